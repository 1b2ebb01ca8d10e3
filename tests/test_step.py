"""`fcsym step`: a training step in numbers."""

from __future__ import annotations

import json
from fractions import Fraction

import exact
import numpy as np
import pytest

from fcsym.cli import main

VALUES = """
x = [2, 3]
target = [1]
eta = 0.05
W1 = [[0.11, 0.21], [0.12, 0.08]]
W2 = [[0.14, 0.15]]
"""
DEAD = """
x = [1]
target = [1]
eta = 1
W1 = [[0]]
W2 = [[1]]
b1 = 0
b2 = 0
"""


@pytest.fixture
def values(tmp_path):
    (tmp_path / "v.toml").write_text(VALUES)
    return str(tmp_path / "v.toml")


def run(capsys, *arguments):
    status = main(("step", *arguments))
    out, err = capsys.readouterr()
    return status, out, err


def by_hand(order, steps):
    """The last of some steps, and what it started from."""
    weights = [[[Fraction(w, 100) for w in row] for row in rows] for rows in ([[11, 21], [12, 8]], [[14, 15]])]
    for _ in range(steps):
        before = weights
        done = exact.step((2, 2, 1), weights, (Fraction(2), Fraction(3)), (Fraction(1),), Fraction(1, 20), order)
        weights = done.w
    return before, done


def floats(value):
    return [floats(part) for part in value] if isinstance(value, list) else float(value)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_the_document_has_the_last_step(capsys, values, order, steps):
    status, out, err = run(capsys, "2-2-1", "--values", values, "--order", order, "--steps", str(steps), "--json")
    assert (status, err) == (0, "")
    data = json.loads(out)
    before, done = by_hand(order, steps)
    assert data["network"] == "2-2-1"
    assert (data["order"], data["steps"]) == (order, steps)
    for layer in (1, 2):
        assert data["values"][f"W{layer}"] == floats(before[layer - 1])
        assert data["values"][f"W{layer}_new"] == floats(done.w[layer - 1])
    assert data["values"]["y"] == floats(done.v[-1])
    assert data["values"]["y_new"] == floats(done.v_new[-1])
    assert data["error"] == data["values"]["E_new"] == float((done.v_new[-1][0] - 1) ** 2 / 2)
    assert data["values"]["E"] == float((done.v[-1][0] - 1) ** 2 / 2)
    assert {"x", "yg", "eta", "s1", "p", "P", "r", "delta1"} <= set(data["values"])


def test_both_orders_are_two_documents_and_two_columns(capsys, values):
    _, out, _ = run(capsys, "2-2-1", "--values", values, "--order", "both", "--json", "--exact")
    data = json.loads(out)
    assert data["order"] == "both"
    assert [one["order"] for one in data["runs"]] == ["simultaneous", "sequential"]
    for one in data["runs"]:
        _, done = by_hand(one["order"], 1)
        assert one["exact"]["W1_new"] == [[str(w) for w in row] for row in done.w[0]]
        assert one["exact"]["y_new"] == [str(done.v_new[-1][0])]
    _, out, _ = run(capsys, "2-2-1", "--values", values, "--order", "both", "--only", "W1")
    assert "simultaneous" in out
    assert "sequential" in out
    for order in ("simultaneous", "sequential"):
        assert f"{float(by_hand(order, 1)[1].w[0][0][0]):.10g}" in out


def test_fractions_decimals_and_floats_are_shown(capsys, values):
    _, out, _ = run(capsys, "2-2-1", "--values", values, "--exact", "--only", "W2'")
    new = by_hand("simultaneous", 1)[1].w[1][0][0]
    assert str(new) in out
    assert str(float(new)) in out
    _, out, _ = run(capsys, "2-2-1", "--values", values, "--digits", "4", "--only", "W2_new", "--steps", "2")
    assert "float64" in out
    assert "float32" in out
    assert f"{float(by_hand('simultaneous', 2)[1].w[1][0][0]):.4g}" in out
    single = next(line for line in out.splitlines() if "W2_new[1,1]" in line).split()
    assert abs(float(single[-2])) < 1e-6
    assert "after step" in out


def test_a_smooth_function_gives_digits_that_are_certain(capsys, values):
    _, out, _ = run(capsys, "2-2-1", "--activation", "tanh", "--values", values, "--exact", "--only", "v1")
    assert "digits certain" in out
    assert f"{np.tanh(0.85):.10g}" in out


def test_many_steps_are_taken_in_float64_and_it_is_said(capsys, values):
    status, out, _ = run(capsys, "2-2-1", "--values", values, "--steps", "1000", "--only", "E")
    assert status == 0
    assert "are float64's" in " ".join(out.split())
    _, out, _ = run(capsys, "2-2-1", "--values", values, "--steps", "1000", "--json")
    data = json.loads(out)
    assert data["numbers"] == "float64"
    assert data["error"] < 1e-9
    status, _, err = run(capsys, "2-2-1", "--values", values, "--steps", "1000", "--exact")
    assert status == 2
    assert "exactly for at most" in err


def test_where_there_is_no_p_it_is_said(capsys, tmp_path):
    (tmp_path / "v.toml").write_text(DEAD)
    arguments = ("1-1-1", "--bias", "--slope-at-kink", "1", "--values", str(tmp_path / "v.toml"))
    status, out, err = run(capsys, *arguments, "--only", "p")
    assert (status, err) == (0, "")
    assert out.count("undefined") == 3
    _, out, _ = run(capsys, *arguments, "--json")
    assert json.loads(out)["values"]["p"] == [[None]]


def test_several_samples_and_a_rule_that_remembers(capsys, tmp_path):
    (tmp_path / "v.toml").write_text(VALUES.replace("[2, 3]", "[[2, 3], [1, 0]]").replace("[1]", "[[1], [0]]"))
    rule = ("--rule", "momentum,beta=0.5", "--batch", "mean")
    _, out, _ = run(capsys, "2-2-1", "--values", str(tmp_path / "v.toml"), *rule, "--json", "--steps", "2")
    found = json.loads(out)["values"]
    weights, memory = [np.array(w) for w in ([[0.11, 0.21], [0.12, 0.08]], [[0.14, 0.15]])], [0.0, 0.0]
    x, target = np.array([[2.0, 3], [1, 0]]), np.array([[1.0], [0]])
    for _ in range(2):  # every unit is live
        v = x @ weights[0].T
        delta = (v @ weights[1].T - target) / 2
        gradients = [(delta @ weights[1]).T @ x, delta.T @ v]
        memory = [0.5 * m + g for m, g in zip(memory, gradients, strict=True)]
        weights = [w - 0.05 * m for w, m in zip(weights, memory, strict=True)]
    np.testing.assert_allclose(found["W1_new"], weights[0], rtol=1e-12)
    np.testing.assert_allclose(found["W2_new"], weights[1], rtol=1e-12)


@pytest.mark.parametrize("width", [60, 80])
def test_nothing_is_wider_than_the_window(capsys, values, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for more in ((), ("--exact",), ("--order", "both", "--steps", "2")):
        _, out, _ = run(capsys, "2-2-1", "--values", values, *more)
        assert max(map(len, out.splitlines())) <= width


def test_long_arrays_are_shown_where_they_are_asked_for(capsys, tmp_path):
    given = {"x": [0.1] * 9, "target": [1.0], "eta": 0.1, "W1": [[0.01] * 9] * 8, "W2": [[0.1] * 8]}
    (tmp_path / "v.json").write_text(json.dumps(given))
    _, out, _ = run(capsys, "9-8-1", "--values", str(tmp_path / "v.json"))
    assert "W1[" not in out
    assert "8 × 9 numbers" in out
    _, out, _ = run(capsys, "9-8-1", "--values", str(tmp_path / "v.json"), "--only", "W1")
    assert "W1[8,9]" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--order", "upwards"), "simultaneous, sequential or both"),
        (("--steps", "0"), "--steps is 0"),
        (("--steps", "x"), "invalid int value"),
        (("--digits", "0"), "--digits is 0"),
        (("--only", "nothing"), "no quantity 'nothing'"),
    ],
)
def test_wrong_options_are_one_sentence_and_status_2(capsys, values, arguments, said):
    status, out, err = run(capsys, "2-2-1", "--values", values, *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_wrong_file_is_one_sentence_and_status_2(capsys, values):
    for arguments in (("2-3-1", "--values", values), ("2-2-1", "--values", "nowhere.toml"), ("2-2-1",)):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "")
        assert len(err.strip().splitlines()) == 1
    status, out, _ = run(capsys, "2-3-1", "--values", values, "--json")
    assert status == 2
    assert "W1 has the shape (2, 2) and needs (3, 2)" in json.loads(out)["error"]


def test_terms_count_as_parameters_do_where_there_are_many(monkeypatch, tmp_path, capsys):
    """A network of six parameters has millions of terms with as many samples; in fractions they would take minutes."""
    file = tmp_path / "v.toml"
    file.write_text("x = [1, 2]\ntarget = [1]\neta = 0.5\nW1 = [[1, 2], [3, 4]]\nW2 = [[1, -1]]\n")
    monkeypatch.setattr("fcsym.commands.step._EXACT_WORK", 10)
    assert main(["step", "2-2-1", "--values", str(file), "--exact", "--json"]) == 0
    monkeypatch.setattr("fcsym.commands.step._TERMS", 1)
    assert main(["step", "2-2-1", "--values", str(file), "--exact"]) == 2
    assert "is trained exactly for at most 0 steps" in capsys.readouterr().err
