"""A command within limits ends with one sentence, exit status 2 and nothing written; what is too much is refused."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import need

from fcsym.cli import _parser, main
from fcsym.commands import COMMANDS, limits, options
from fcsym.derivation import derive
from fcsym.errors import SizeError
from fcsym.kernel import export
from fcsym.kernel.export import TARGETS
from fcsym.language.work import spaces, work
from fcsym.layers import Conv1d, Dense, Flatten
from fcsym.machine import duration, memory
from fcsym.networks.network import Network
from fcsym.schemes import SCHEMES
from reliability.chapters import limits as reliable

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="processes of POSIX")

SLOW = ["check", "2-2-1", "--scheme", "history", "--steps", "100000000", "--trials", "1000"]
"""Would take days, and refuses nothing beforehand."""


def run(*arguments, **more):
    command = [sys.executable, "-m", "fcsym", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)


def processes(session):
    """Those that are left of a session."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            found.append(int(file.read_text().rpartition(")")[2].split()[3]) == session)
        except OSError:
            continue
    return sum(found)


def children(process):
    """Those that a process has started, which are there still."""
    return [
        int(file.parent.name)
        for file in Path("/proc").glob("[0-9]*/stat")
        if file.exists() and int(file.read_text().rpartition(")")[2].split()[1]) == process
    ]


def waited_for(there):
    """What is there after a while."""
    for _ in range(600):
        if found := there():
            return found
        time.sleep(0.1)
    raise AssertionError("It did not come within a minute.")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_both_limits(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    assert said.count("--max-seconds S") == said.count("--max-memory SIZE") == 2  # in the usage, and with what it is


@pytest.mark.parametrize("as_json", [False, True])
def test_time_that_is_up_is_a_sentence(monkeypatch, capsys, tmp_path, as_json):
    """In the process of the tests, where the streams are no files."""
    started = []
    begin = limits._started
    monkeypatch.setattr(limits, "_started", lambda *a: started.append(begin(*a)) or started[0])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    began = time.monotonic()
    assert main([*SLOW, "--max-seconds", "1.5", *["--json"] * as_json]) == 2
    assert time.monotonic() - began < 90
    out, err = capsys.readouterr()
    sentence = json.loads(out)["error"] if as_json else err.removeprefix("fcsym: ").rstrip("\n")
    assert (out, err)[as_json] == ""
    assert sentence == (
        "The command check was stopped after 1.5 s (--max-seconds), and nothing was written: allow more, or ask for "
        "less."
    )
    assert processes(started[0].pid) == 0
    assert not list(tmp_path.iterdir())


def test_what_watches_takes_its_process_with_it_however_it_ends():
    """Nobody would hold it to its limits, and it would go on for days."""
    watching = subprocess.Popen([sys.executable, "-m", "fcsym", *SLOW, "--max-memory", "4GB"])
    try:
        started = waited_for(lambda: children(watching.pid))
        time.sleep(3)  # it has begun
        assert processes(started[0]) > 0
    finally:
        watching.kill()
        watching.wait()
    waited_for(lambda: processes(started[0]) == 0)


def test_memory_that_is_used_up_is_a_sentence():
    done = run("check", "2-300000-1", "--trials", "50", "--max-memory", "200MB", "--json")
    assert done.returncode == 2
    assert done.stderr == ""
    assert "0.2 GB of memory (--max-memory)" in json.loads(done.stdout)["error"]


def test_an_estimate_is_held_against_what_is_allowed(monkeypatch, tmp_path):
    """Before the work, and not only while it is done."""
    monkeypatch.setattr(memory, "_allowed", 1)
    with pytest.raises(memory.SizeError, match="This takes about 1 GB of memory and 0 GB are free: try less"):
        memory.refuse_beyond("This", 1e9, "try less")
    assert "1e-09 GB" in memory.exhausted()
    done = run("export", "3000-3000-1", "--max-memory", "1GB", "-o", str(tmp_path))
    assert done.returncode == 2
    assert "takes about 1.15 GB of memory and 0.9" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("network", ["2-1000000-1", "2-2-1 --batch mean --samples 1000000"])
def test_a_step_of_very_many_numbers_is_refused_before_they_are_read(network, tmp_path, capsys):
    """Three million numbers of a million units; as many of a million samples, and terms of every two of these."""
    missing = str(tmp_path / "none.npz")
    for command in (["step"], ["export", "-o", str(tmp_path / "out")]):
        assert main([*command, *network.split(), "--values", missing]) == 2
        said = capsys.readouterr().err
        assert re.search(
            f"and {command[0]} would take about [0-9]+ (seconds|minutes): allow it with --max-seconds ", said
        )
    assert main(["step", *network.replace("1000000", "1000").split(), "--values", missing]) == 2
    assert "none.npz" in capsys.readouterr().err


def test_a_batch_has_as_many_samples_as_are_given(monkeypatch, tmp_path, capsys):
    """What is not said of a network is known once its values are read."""
    file = tmp_path / "v.npz"
    ones = np.ones((300, 2))
    np.savez(file, x=ones, target=ones[:, :1], W1=np.ones((2, 2)), W2=np.ones((1, 2)), eta=0.1)
    monkeypatch.setattr(options, "_NUMBER", duration._UNASKED / 906)  # and it has some of its own
    assert main(["step", "2-2-1", "--batch", "mean", "--values", str(file)]) == 2
    assert "is given 906 numbers, has" in capsys.readouterr().err


def test_the_check_of_an_export_counts_its_samples():
    """As many as weights of a wide network: fewer random networks are compared, and memory and time are refused."""
    batch = Network.parse("2-2-1").training(Network.parse("2-2-1").rule, "mean", 10**5)
    export.refuse_large_check(batch)
    batch = replace(batch, samples=10**6)
    assert export._networks(export._weights(batch) + export._given(batch)) == export._FEWEST
    with pytest.raises(SizeError, match="against autodiff would take about 2 minutes: allow it with --max-seconds 194"):
        export.refuse_large_check(batch)


def test_time_that_nobody_has_asked_for_is_refused(monkeypatch, tmp_path, capsys):
    """A recurrence is as long as it has steps; --max-seconds asks for what takes longer."""
    file = tmp_path / "net.toml"
    layers = '[[layers]]\nkind = "rnn"\nhidden_size = 1\n[[layers]]\nkind = "linear"\nout_features = 1\n'
    file.write_text(f"shape = [400, 1]\n{layers}")
    assert main(["derive", str(file)]) == 2
    parsed = _parser().parse_args(["derive", str(file)])
    seconds = math.ceil(802 * parsed.pace)  # two for each step, and those of the read-out
    said = (
        f"have 802 equations, and derive would take about {seconds} seconds: allow it with --max-seconds {2 * seconds}"
    )
    assert said in capsys.readouterr().err
    monkeypatch.setattr(duration, "_allowed", duration._allowed)
    duration.allow(2 * seconds)
    assert options.network_of(parsed).shape_in == (400, 1)


@pytest.mark.parametrize("samples", [None, 3, 10**6])
def test_how_much_is_checked_unasked_follows_from_the_list(samples):
    d = derive(Network.parse("2-2-1").training(None, "mean", samples))
    unasked = argparse.Namespace(trials=None)
    if samples == 10**6:
        with pytest.raises(SizeError, match="terms in a sum, and its comparison"):
            options.trials_of(unasked, d)
    else:
        assert options.trials_of(unasked, d) == 1000


def test_what_is_of_every_two_samples_has_no_room(monkeypatch, tmp_path, capsys):
    """The products of all inputs with each other are n x n numbers, of which a file of n inputs says nothing."""
    n = 20_000
    file = tmp_path / "v.npz"
    x = np.ones((n, 2))
    np.savez(file, x=x, target=x[:, :1], W1=np.ones((2, 2)), W2=np.ones((1, 2)), eta=0.1)
    monkeypatch.setattr(duration, "_allowed", math.inf)  # only memory is refused
    monkeypatch.setattr(memory, "_allowed", 8 * n**2)
    assert main(["step", "2-2-1", "--batch", "mean", "--values", str(file)]) == 2
    said = capsys.readouterr().err
    d = derive(Network.parse("2-2-1").training(None, "mean"))  # the file says how many there are
    own = work(d.equations, replace(d.network, samples=n).sizes).numbers
    assert own > 2 * n**2  # inputs, and hidden units
    assert f"has {own} of its own" in said
    assert " GB of memory and " in said


def test_a_large_network_trains_for_fewer_steps_unasked():
    """What one step costs is that of each equation, and that of each weight of all networks."""
    long, wide, short = "-".join(["1"] * 129), "100-100-1", "2-2-1"
    parsed = _parser().parse_args(["check", short, "--scheme", "backprop"])
    found = {text: options.training_of(parsed, derive(Network.parse(text))) for text in (long, wide, short)}
    for text, weights in ((long, 128), (wide, 10_100)):
        trials, steps = found[text]
        assert trials * weights <= options._MANY_WEIGHTS
        assert options._FEW_STEPS <= steps < options._STEPS
    assert found[short] == (options._MOST // 5, options._STEPS)
    asked = _parser().parse_args(["check", short, "--scheme", "backprop", "--steps", "7", "--trials", "9"])
    assert options.training_of(asked, derive(Network.parse(long))) == (9, 7)
    with pytest.raises(SizeError, match="Training 20 networks 400-400-1 beside autodiff for 10 steps would take about"):
        options.training_of(parsed, derive(Network.parse("400-400-1")))


def test_a_window_is_counted_by_what_it_reads():
    """Of a convolution every place of every channel adds up kernel times channels, however long the input is."""
    network = Network.sequential((1, 8), [Conv1d(1, 2, 3), "relu", Flatten(), Dense(2)])
    first = network.built.equations[0]
    assert sorted(spaces([first], network.sizes)) == [2, 2 * 6 * 1 * 3]  # the bias, and the window


def test_what_is_tried_of_limits_follows_from_the_commands():
    rows = {request.row for request in reliable.requests()}
    for command in COMMANDS:
        if command not in ("audit", "reproduce"):  # these take no network
            assert f"{command}: every network" in rows
    assert {"check: every one of the step targets", "export: every one of the schemes", "cases: a product"} <= rows
    tried = {word for request in reliable.requests() for word in request.words}
    assert {"--trials", "--steps", "--inputs", "--samples", *SCHEMES, *TARGETS} <= tried


@pytest.mark.parametrize("arguments", [["cost", "2-2-1", "--json"], ["cost", "2-0-1", "--json"], ["cost", "2-0-1"]])
def test_within_its_limits_a_command_says_what_it_says_without_them(arguments):
    plain, limited = run(*arguments), run(*arguments, "--max-seconds", "50", "--max-memory", "4GB")
    assert (plain.returncode, plain.stdout, plain.stderr) == (limited.returncode, limited.stdout, limited.stderr)


@pytest.mark.parametrize("less", ["-t 50", f"-d {6 << 20}"])  # seconds of the processor, and 6 GiB of data
def test_what_was_allowed_before_is_not_raised(less):
    """As by `ulimit`: what a process may not have it cannot give to itself."""
    command = [sys.executable, "-m", "fcsym", "cost", "2-2-1", "--max-seconds", "100", "--max-memory", "4GB"]
    done = subprocess.run(
        ["sh", "-c", f'ulimit {less} && exec "$@"', "sh", *command],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_coq_that_is_stopped_has_not_accepted():
    need("coqc")
    done = run("certify", "2-1", "--max-seconds", "0.01")
    assert (done.returncode, done.stderr) == (1, "")
    assert "Coq did NOT accept the certificate (it did not finish within 0.01 s)" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("--max-seconds", "0"), ("--max-seconds", "x"), ("--max-memory", "4"), ("--max-memory", "4 apples")],
)
def test_a_limit_that_is_none_is_refused(arguments, capsys):
    assert main(["cost", "2-2-1", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_sizes_are_read_as_people_write_them():
    assert [limits._size(text) for text in ("50MB", "4GB", "4 gb", "1.5g", "2GiB", "100000000")] == [
        50_000_000, 4_000_000_000, 4_000_000_000, 1_500_000_000, 2**31, 100_000_000,
    ]  # fmt: skip


SAVES = """import json, sys, time; sys.path[:] = json.loads(sys.argv.pop(1))
from pathlib import Path
from fcsym.commands.limits import child
from fcsym.files import write_bytes
def main(arguments):
    write_bytes(Path(sys.argv[-1]), b"whole", asked=ASKED)
    time.sleep(SLEEP)
    print("written")
    return 0
sys.exit(child(main, sys.argv[2:], **json.loads(sys.argv[1])))
"""


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_written_when_time_is_up_stays_written_and_is_said(monkeypatch, capsys, tmp_path, asked):
    """What a cache keeps is nothing that is written."""
    monkeypatch.setattr(limits, "_CHILD", SAVES.replace("ASKED", str(asked)).replace("SLEEP", "5" if asked else "300"))
    where = tmp_path / "update.py"
    status = main(["export", "1-1-1", "--max-seconds", "3", "-o", str(where)])
    said = capsys.readouterr()
    assert where.read_bytes() == b"whole"
    assert (status, said.out) == ((0, "written\n") if asked else (2, ""))
    assert ("nothing was written" in said.err) is not asked
