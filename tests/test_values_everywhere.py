"""A values file goes into every command that has a network."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest

import fcsym
from fcsym.cli import main
from fcsym.commands import COMMANDS
from fcsym.render.worked import worked
from fcsym.schemes import SCHEMES
from fcsym.values.shown import decimal

VALUES = """x = [2, 3]
target = 1
W1 = [[0.11, 0.21], [0.12, 0.08]]
W2 = [[0.14, 0.15]]
eta = 0.05
"""
WITHOUT_NUMBERS = {"accuracy", "cost", "collapse", "certify", "audit", "claims", "reproduce"}
"""Commands about polynomials in the widths, about the paper, or with a file of their own."""


@pytest.fixture
def values(tmp_path):
    file = tmp_path / "v.toml"
    file.write_text(VALUES)
    return file


def said(capsys, *words):
    """What a command says as JSON."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_command_with_a_network_takes_them(capsys):
    assert set(COMMANDS) > WITHOUT_NUMBERS
    for command in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([command, "--help"])
        assert end.value.code == 0
        assert ("--values" in capsys.readouterr().out) == (command not in WITHOUT_NUMBERS)


def test_gradients_in_numbers(values, capsys):
    found = said(capsys, "gradient", "2-2-1", "--by", "W1,x", "--values", values, "--trials", 5)
    y = Fraction(191, 1000)  # by hand: s1 = .85, .48
    w = [Fraction(14, 100), Fraction(15, 100)]
    assert found["exact"]["dE_dW1"] == [[str((y - 1) * v * x) for x in (2, 3)] for v in w]
    by_x = np.array([0.14, 0.15]) @ np.array([[0.11, 0.21], [0.12, 0.08]])
    assert np.allclose(found["values"]["dE_dx"], (0.191 - 1) * by_x, rtol=1e-12)


def test_second_derivatives_and_products_in_numbers(values, capsys):
    found = said(capsys, "gradient", "2-2-1", "--by", "W1", "--by", "W1", "--values", values, "--trials", 5)
    a = np.array([[0.14 * 2, 0.14 * 3], [0.15 * 2, 0.15 * 3]])
    hessian = np.einsum("ij,kl->ijkl", a, a)  # of 1/2 (y - t)^2, where y is linear in W1
    assert (found["of"], found["by"]) == ("dE_dW1", ["W1"])
    assert np.allclose(found["values"]["d2E_dW1_dW1"], hessian, rtol=1e-12)
    values.write_text(VALUES.replace("eta = 0.05", "TW1 = [[1, -2], [0.5, 3]]"))  # eta is needed for steps alone
    found = said(capsys, "gradient", "2-2-1", "--along", "W1", "--values", values, "--trials", 5)
    along = np.array([[1, -2], [0.5, 3]])
    assert found["along"] == ["W1"]
    assert np.allclose(found["values"]["d2E_dT_dW1"], np.einsum("ijkl,kl->ij", hessian, along), rtol=1e-12)
    assert main(["gradient", "2-2-1", "--along", "W1", "--values", str(values), "--trials", "5", "--digits", "4"]) == 0
    out = capsys.readouterr().out
    assert "TW1" in out and "in numbers" in out


def test_a_document_of_derivatives_shows_the_numbers_put_in(values, tmp_path):
    g = fcsym.gradient(fcsym.Network.parse("2-2-1"), "E", "W2").with_values(values, 4)
    assert r"\left(-0.809\right) \cdot 0.85 = -0.6876" in g.latex()
    assert g.proof.holds and fcsym.check(g, trials=5).passed


def test_which_case_every_unit_is_in(values, capsys):
    found = said(capsys, "cases", "2-2-1", "--values", values)
    step = fcsym.derive(fcsym.Network.parse("2-2-1")).compile().exact(
        [[["0.11", "0.21"], ["0.12", "0.08"]], [["0.14", "0.15"]]], [2, 3], [1], "0.05"
    )  # fmt: skip
    assert [row["exact"] for row in found["at_values"]] == [str(p) for p in step.p[0]]
    assert {row["case"] for row in found["at_values"]} == {"active -> active"}
    values.write_text(VALUES.replace("0.12, 0.08", "-0.12, -0.08"))
    found = said(capsys, "cases", "2-2-1", "--values", values, "--quantity", "dv")
    assert [(row["element"], row["case"]) for row in found["at_values"]] == [
        ([1], "active -> active"),
        ([2], "dead -> dead"),
    ]
    assert said(capsys, "cases", "2-2-1")["at_values"] is None


def test_the_kernel_is_checked_at_these_numbers(values, capsys):
    found = said(capsys, "check", "2-2-1", "--values", values)
    rows = {row["quantity"]: row for row in found["checks"]}
    assert found["passed"] and rows["W1_new"]["points"] == 4 and rows["E"]["points"] == 1
    assert main(["check", "2-2-1", "--values", str(values)]) == 0
    assert "at the values that were given" in capsys.readouterr().out


def test_files_test_themselves_with_these_numbers(values, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", "2-2-1", "--scheme", "states", "--values", str(values), "-o", str(out)]) == 0
    text = (out / "update.py").read_text()
    assert "[[0.11, 0.21, 0.12, 0.08], [0.14, 0.15]]" in text
    done = subprocess.run([sys.executable, out / "update.py"], capture_output=True, text=True, check=True)
    assert "agree with exact evaluation" in done.stdout
    spoilt = text.replace("[0.14, 0.15]]", "[0.14, 0.16]]")
    (out / "spoilt.py").write_text(spoilt)
    assert spoilt != text
    assert subprocess.run([sys.executable, out / "spoilt.py"], capture_output=True, check=False).returncode
    values.write_text(VALUES.replace("[2, 3]", "[20000, 3]"))
    assert main(["export", "2-2-1", "--values", str(values), "-o", str(tmp_path / "none")]) == 2
    assert "are no test of a file" in capsys.readouterr().err


GIVEN = {"x": [2, 3], "target": 1, "W1": [["0.11", "0.21"], ["0.12", "0.08"]], "W2": [["0.14", "0.15"]], "eta": "0.05"}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_shows_the_numbers_put_in(name, order):
    """What `step` and `expand` show is what backpropagation has, and what the scheme's own kernel makes exactly."""
    network = fcsym.Network.parse("2-2-1")
    s = fcsym.scheme(network, name, order).with_values(GIVEN, 12)
    weights = [GIVEN["W1"], GIVEN["W2"]]
    true = fcsym.derive(network, order).compile().exact(weights, GIVEN["x"], [1], GIVEN["eta"])
    for array, theta in zip(s.expand.results, (true.W1_new, true.W2_new), strict=True):
        shown = [s.expand.numbers.text[array.name, place] for place in np.ndindex(theta.shape)]
        assert shown == [decimal(value, 12) for value in theta.ravel()]
    text = s.latex()
    assert "Beside every equation stand the numbers of one step" in text and r" \cdot 2 " in text
    found = [one for part in s.parts for e in part for one in worked(part, e)]
    assert len(found) > 20 and all(one.chain for one in found)
    assert fcsym.scheme(network, name, order).step.numbers is None


def test_bad_values_of_a_scheme_are_one_sentence():
    s = fcsym.scheme(fcsym.Network.parse("2-2-1"), "states")
    with pytest.raises(fcsym.ArgumentError, match="digits"):
        s.with_values(GIVEN, 0)
    with pytest.raises(fcsym.ArgumentError, match="is missing"):
        s.with_values({"x": [1, 2]})
    with pytest.raises(fcsym.ArgumentError, match="statement"):
        fcsym.next_input(s.network).with_values(GIVEN)
    wide = fcsym.Network.parse("9-9-1")
    many = {"x": [1] * 9, "target": 1, "W1": [[1] * 9] * 9, "W2": [[1] * 9], "eta": 1}
    with pytest.raises(fcsym.SizeError, match="at most 64"):
        fcsym.scheme(wide, "backprop").with_values(many)


@pytest.mark.parametrize(
    "command",
    [["gradient"], ["cases"], ["check"], ["export", "-o", "none"], ["derive"], ["derive", "--scheme", "states"]],
)
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("W2 = [[0.14, 0.15]]", "", "W2 is missing"),
        ("eta = 0.05", "eta = 0.05\nW3 = 1", "'W3' is no name"),
        ("[[0.14, 0.15]]", "[[0.14], [0.15]]", "its transpose would fit"),
        ("0.21", "nan", "give a number"),
    ],
)
def test_bad_values_are_one_sentence_and_write_nothing(
    command, old, new, sentence, values, tmp_path, monkeypatch, capsys
):
    values.write_text(VALUES.replace(old, new))
    monkeypatch.chdir(tmp_path)
    name, *more = command
    assert main([name, "2-2-1", *more, "--values", str(values), "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"error"} and sentence in said["error"] and "\n" not in said["error"]
    assert [path.name for path in tmp_path.iterdir()] == ["v.toml"]


def test_digits_without_numbers_and_numbers_where_there_are_none(values, capsys):
    assert main(["gradient", "2-2-1", "--digits", "3"]) == 2
    assert main(["check", "2-2-1", "--scheme", "states", "--values", str(values)]) == 2
    assert "leave --scheme out" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_read_as_a_file_is(tmp_path, capsys):
    pipe = tmp_path / "v.toml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(VALUES,), daemon=True)
    writer.start()
    assert said(capsys, "step", "2-2-1", "--values", pipe)["values"]["y"] == [0.191]
    writer.join()


def test_what_has_no_value_at_the_numbers_is_undefined_and_the_rest_is_said(tmp_path, capsys):
    """The binary cross-entropy of an output below 0 has no value; its derivative, 1/y among others, has one."""
    network, file = tmp_path / "net.toml", tmp_path / "v.toml"
    network.write_text('widths = [2, 1, 1]\nactivation = "gelu"\noutput = "tanh"\nloss = "bce"\n')
    file.write_text("x = [0.5, 0.25]\ntarget = 0.5\nW1 = [[1, 0.5]]\nW2 = [[-0.5]]\neta = 0.1\n")
    for words in (("step", network), ("step", network, "--exact"), ("step", network, "--steps", 3)):
        found = said(capsys, *words, "--values", file)
        assert "undefined" in json.dumps(found) or found["values"].get("E", 0) is None
    by_w2 = said(capsys, "gradient", network, "--by", "W2", "--values", file, "--trials", 5)["values"]["dE_dW2"]
    v = 0.625 * (1 + math.erf(0.625 / math.sqrt(2))) / 2
    y = math.tanh(-0.5 * v)
    assert by_w2[0][0] == pytest.approx((y - 0.5) / (y * (1 - y)) * (1 - y * y) * v, rel=1e-12)
    assert main(["cases", str(network), "--unit", "1", "--values", str(file)]) == 0
    assert main(["check", str(network), "--values", str(file), "--trials", "5"]) == 1
    assert "NOTHING could be compared" in capsys.readouterr().out
    network.write_text(network.read_text().replace("[2,", "[3,"))
    for target in ("numpy", "c"):  # the rows of a file leave out where 1/y is none
        assert main(["export", str(network), "--target", target, "-o", str(tmp_path / target)]) == 0


def test_a_quotient_of_balls_by_zero_has_no_value():
    with pytest.warns(fcsym.errors.LossWarning):
        net = fcsym.Network.mlp([1, 1, 1], activation="tanh", output="tanh", loss="bce")
    done = fcsym.derive(net).compile().exact([[[0]], [[1]]], [1], [1], 1)  # y = tanh(0), a ball of radius 0
    assert done.y[0] == 0 and done.E is None and done.delta2[0] is None and done.s2[0] == 0
