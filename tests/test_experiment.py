"""The XOR experiment: the runs, their errors, and the files."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

import fcsym
from fcsym.cli import main
from fcsym.networks.network import Network
from fcsym.paper import experiment


@pytest.fixture(scope="module")
def done():
    return experiment.run(steps=300)


def test_every_technique_is_run_on_every_sample_in_both_orders(done):
    kinds = {(run.technique, run.order, run.sample) for run in done.runs}
    assert len(kinds) == len(done.runs) == 3 * 2 * 4 + 2 * 2
    assert all(run.steps == 300 for run in done.runs)


def test_the_three_techniques_are_as_exact_as_the_paper_says_at_this_seed(done):
    for technique in experiment.TECHNIQUES:
        assert 0 < done.worst(technique) < 1e-15
        for run in (run for run in done.runs if run.technique == technique):
            assert run.error_of_front.max() < 1e-14
            moved = np.ptp(run.front)
            assert moved > 0.01 or run.sample == "(0, 0)"  # something was learned


def test_sequential_runs_diverge_more_often(done):
    by_eta: dict[float, dict[str, int]] = {}
    for row in done.divergences:
        by_eta.setdefault(row.eta, {})[row.order] = row.diverged
    assert all(counts["sequential"] >= counts["simultaneous"] for counts in by_eta.values())
    assert any(counts["sequential"] > 10 for counts in by_eta.values())
    assert "The sequential factor is the larger one for every u > 0" in experiment.why()


def test_the_runs_are_repeatable():
    first, second = experiment.run(steps=5, seed=3), experiment.run(steps=5, seed=3)
    assert [run.summary() for run in first.runs] == [run.summary() for run in second.runs]
    assert experiment.run(steps=5, seed=4).runs[0].summary() != first.runs[0].summary() or first.runs[0].worst == 0


def test_the_files(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["reproduce", "-o", str(tmp_path / "out"), "--steps", "20", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"technique", "order", "sample", "steps", "worst_error", "diverged"} <= set(document["runs"][0])
    assert document["figure"] == str(tmp_path / "out" / "figure3.png")
    assert (tmp_path / "out" / "figure3.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "out" / "figure3.csv").read_text().splitlines()))
    assert len(rows) == 20 * len(document["runs"])
    worst = max(float(row["error"]) for row in rows if row["technique"] == "states")
    assert worst == max(run["worst_error"] for run in document["runs"] if run["technique"] == "states")


def test_without_matplotlib_nothing_is_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["reproduce", "-o", str(tmp_path / "out")]) == 2
    assert "pip install 'fcsym[reproduce]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["reproduce", "-o", str(tmp_path / "out"), "--steps", "3", "--no-figure"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"figure3.csv", "figure3.json"}


def test_bad_settings_are_refused(tmp_path, capsys):
    for arguments, problem in {
        ("--steps", "0"): "steps is 0",
        ("--eta", "-1"): "eta is -1",
        ("--eta", "nan"): "eta",
    }.items():
        assert main(["reproduce", "-o", str(tmp_path), "--no-figure", *arguments]) == 2
        assert problem in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["reproduce", "-o", str(tmp_path / "file"), "--no-figure", "--steps", "1"]) == 2
    with pytest.raises(fcsym.ArgumentError):
        experiment.run(steps=True)


def test_cost_and_claims_as_commands(capsys):
    assert main(["cost", "8-32-32-4", "--inputs", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["network"] == "8-32-32-4"
    several = {"backprop", "weights", "compensation", "states", "history", "basis", "collapsed"}
    assert set(document["schemes"]) == several
    own = document["schemes"]["states"]
    assert own["state"] == "n_1*n_2 + n_1 + n_2*n_3 + 3" and own["state_value"] == 32 * 32 + 32 + 32 * 4 + 3
    assert main(["cost", "3-2"]) == 0 and "weights" not in capsys.readouterr().out
    assert main(["cost", "2-2-1", "--inputs", "-1"]) == 2
    assert main(["claims", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]) == 8
    assert main(["claims", "2-2-1"]) == 0
    assert "holds under a" in capsys.readouterr().out


def test_checking_a_scheme_as_a_command(capsys):
    arguments = ["check", "3-4-4-2", "--scheme", "history", "--trials", "20", "--steps", "30"]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] and document["scheme"] == "history" and document["checks"][0]["points"] > 0
    assert main(arguments) == 0
    assert "agrees with autodiff" in capsys.readouterr().out
    assert main(["check", "2-2-1", "--scheme", "magic"]) == 2
    assert main(["check", "2-2-1", "--scheme", "states", "--steps", "0"]) == 2


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(fcsym.ArgumentError, match="seed"):
        experiment.run(steps=1, seed=seed)


def test_a_folder_is_a_name(capsys):
    """A name that no folder can have is refused, by the audit before its work."""
    assert main(["audit", "-o", "a\0b"]) == 2
    assert "cannot be printed" in capsys.readouterr().err
    few = experiment.run(steps=1)
    with pytest.raises(fcsym.ArgumentError):
        experiment.write(few, "a\0b", figure=False)


def test_the_truth_is_computed_no_longer_than_something_is_held_against_it(monkeypatch):
    """Seed 1000 diverges on (1, 1) in sequential order; the digits of the truth would treble in each step after it."""
    network, steps = Network.parse("2-2-1"), 300
    weights = experiment._weights(network, 1000)
    kernel = fcsym.scheme(network, "backprop", order="sequential").compile()
    outputs = experiment._train(kernel, weights, True, steps, 0.1)
    needed = {name: experiment._lasting(outputs[:, n]) for n, name in enumerate(experiment._names())}
    assert [needed[name] for name in ("(0, 0)", "(0, 1)", "(1, 0)")] == [steps] * 3
    lost = needed["(1, 1)"]
    assert np.isfinite(outputs[lost - 1, 3])
    assert not np.isfinite(outputs[lost:, 3]).any()
    truth = experiment._exact(network, "sequential", weights, needed, 0.1, lambda _: None)
    assert {name: len(one) for name, one in truth.items()} == needed
    distances = experiment._distances(outputs[:, 3], truth["(1, 1)"])
    assert np.isfinite(distances[:lost]).all()
    assert np.isinf(distances[lost:]).all()
