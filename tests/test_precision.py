"""Errors in ulp, running bounds that hold, and the figures that `fcsym accuracy` gives."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
import sympy
from conftest import few, need_package
from exact import step as by_hand

import fcsym
from fcsym import precision
from fcsym.checking import running
from fcsym.checking.enclosures import enclosures
from fcsym.checking.hard import HARD, TAME
from fcsym.checking.running import running_bounds
from fcsym.cli import main
from fcsym.errors import ArgumentError, LossWarning, SizeError
from fcsym.kernel.scheme import SchemeKernel
from fcsym.language import smooth_functions
from fcsym.language.activation import SMOOTH as SMOOTH_NAMES
from fcsym.language.activation import Piece, piecewise_linear, smooth

S = sympy.Symbol("s", real=True)

HAT = piecewise_linear("hat", [Piece(0, -1), Piece(2, 1), Piece(None, 0, 2)], "1/2")
NETWORKS = {
    "relu": fcsym.Network.parse("2-2-1"),
    "three pieces, biases": fcsym.Network.mlp([2, 3, 2, 2], HAT, True),
    "leaky output, absolute error": fcsym.Network.mlp([2, 3, 2], "leaky_relu", output="leaky_relu", loss="l1"),
    "mini-batches": fcsym.Network.mlp([2, 2, 1], "leaky_relu").training(batch="mean", samples=2),
    "momentum with decay": fcsym.Network.parse("2-2-2").training(fcsym.rule("momentum", weight_decay="0.01")),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_no_running_bound_is_exceeded_and_none_is_far_too_large(name, order):
    found = fcsym.accuracy(NETWORKS[name], order, trials=42, steps=0)
    assert found.passed, str(found)
    assert not found.notes
    every = [row.of_bound for row in found.rows if row.subject == "step"]
    assert max(share or 0 for share in every) > 0.1
    assert {"y", "y_new", "p", "W1_new", "E"} <= {row.quantity for row in found.rows}


@pytest.mark.parametrize("part", ["_UNIT", "_SMALLEST"])
def test_a_bound_that_is_too_small_is_seen(part, monkeypatch):
    monkeypatch.setattr(running, part, getattr(running, part) / 64)
    assert not fcsym.accuracy(NETWORKS["relu"], trials=70, steps=0).passed


def test_an_inverse_has_a_bound_that_holds_and_one_that_is_too_small_is_seen(monkeypatch):
    batches = NETWORKS["mini-batches"]
    found = fcsym.accuracy(batches, trials=42, steps=0)
    assert found.passed and all(0.001 < found.row(name).of_bound < 1 for name in ("Ki", "mu", "p"))
    whole = running._Bounds._inverse
    monkeypatch.setattr(running._Bounds, "_inverse", lambda *given: whole(*given) / 1024)
    assert not fcsym.accuracy(batches, trials=42, steps=0).passed


def test_mini_batches_without_a_number_of_samples_have_two_and_train():
    found = fcsym.accuracy(fcsym.Network.mlp([1, 2, 1], bias=True).training(batch="sum"), trials=14, steps=2)
    assert found.passed and found.notes == ("A mini-batch has 2 samples.",)
    assert found.row("y").numbers == 2 * found.row("E").numbers > 0
    assert {"K", "p"} <= {row.quantity for row in found.rows}
    assert {row.subject for row in found.rows} == {"step", "backprop", "states"}


def test_a_kernel_that_is_off_is_seen():
    d = fcsym.derive(NETWORKS["relu"])
    points = HARD["ordinary"](d.network, d.compile(), np.random.default_rng(0), 40)
    result = points.step(d.compile())
    inputs = {"W1": points.weights[0], "W2": points.weights[1], "x": points.x, "yg": points.target, "eta": points.eta}
    bounds = running_bounds(d, inputs, result)
    for n in range(40):
        rational = [[[Fraction(float(v)) for v in row] for row in w[n]] for w in points.weights]
        x, t = ([Fraction(float(v)) for v in a[n]] for a in (points.x, points.target))
        true = by_hand((2, 2, 1), rational, x, t, Fraction(float(points.eta[n])), "simultaneous")
        off = abs(Fraction(float(result["y_new"][n, 0])) - true.v_new[-1][0])
        assert off <= Fraction(float(bounds["y_new"][n, 0]))
        wrong = Fraction(float(result["y_new"][n, 0] + 1e-13)) - true.v_new[-1][0]
        assert abs(wrong) > Fraction(float(bounds["y_new"][n, 0]))


def test_gates_that_rounding_decides_are_counted_and_bounds_know_both_sides():
    """0.1 + 0.2 - 0.3 is above 0 in floats, and so is the exact sum of them; 0.1 * 3 - 0.3 is not what is computed."""
    d = fcsym.derive(fcsym.Network.parse("2-1-1"))
    w, x = np.array([[[3.0, -1.0]]]), np.array([[0.1, 0.3]])
    exact = 3 * Fraction(0.1) - Fraction(0.3)
    result = d.compile().step([w, np.ones((1, 1, 1))], x, np.zeros((1, 1)), np.array([0.5]))
    computed = float(result.s1[0, 0])
    assert 0 < exact < 2.0**-54
    inputs = {"W1": w, "W2": np.ones((1, 1, 1)), "x": x, "yg": np.zeros((1, 1)), "eta": np.array([0.5])}
    bound = running_bounds(d, inputs, result._asdict())
    assert abs(Fraction(computed) - exact) <= Fraction(float(bound["s1"][0, 0]))
    assert float(bound["g1"][0, 0]) >= 1  # either slope
    found = fcsym.accuracy(fcsym.Network.parse("2-2-1"), trials=350, steps=0)
    assert 0 < found.wrong_gates < found.gates / 20


def test_errors_are_those_of_numbers_rounded_once():
    """One layer and one input: y = W x is one product, and right to half a unit."""
    found = fcsym.accuracy(fcsym.Network.parse("1-1"), trials=42, steps=0)
    y = found.row("y")
    assert max(y.worst, y.hard_worst) <= 0.5
    assert y.median > 0.1
    assert len(found.errors["step", "y"][0]) + len(found.errors["step", "y"][1]) == y.numbers
    with pytest.raises(ArgumentError, match="not measured"):
        found.row("z")


def test_schemes_are_measured_beside_balls():
    found = fcsym.accuracy(NETWORKS["relu"], trials=7, steps=10)
    names = {row.subject for row in found.rows}
    assert names == {"step", *fcsym.schemes.SCHEMES}
    for row in found.rows:
        if row.subject != "step":
            assert 0 < row.worst < 1e6 and row.of_bound is None


SMOOTH = {
    "sigmoid": fcsym.Network.mlp([2, 2, 1], "sigmoid", True, output="sigmoid"),
    "cross-entropy": fcsym.Network.mlp([2, 2, 2], "gelu", loss="cross_entropy"),
    "pieces of its own": fcsym.Network.mlp(
        [1, 2, 1], fcsym.smooth("elu", sympy.Piecewise((S, S > 0), (sympy.exp(S) - 1, True)))
    ),
}


@pytest.mark.parametrize("name", few(SMOOTH, 2))
def test_smooth_functions_have_bounds_that_hold(name, order):
    need_package("flint")
    found = fcsym.accuracy(SMOOTH[name], order, trials=14, steps=0)
    assert found.passed, str(found)
    assert "far out" in found.notes[0] and "bound" not in found.notes[0]
    assert all(row.of_bound is not None for row in found.rows)
    assert max(row.of_bound for row in found.rows) > 0.5


def test_a_smooth_function_that_is_off_is_seen(monkeypatch):
    """By a millionth: the values of exp in balls say so, whatever made the number."""
    need_package("flint")
    made = fcsym.derive(SMOOTH["sigmoid"])
    kernel = made.compile()
    points = HARD["ordinary"](made.network, kernel, np.random.default_rng(0), 5)
    result = points.step(kernel)
    inputs = dict(zip((a.name for a in made.network.parameters), points.weights, strict=True))
    inputs |= {"x": points.x, "yg": points.target, "eta": points.eta}
    right = running_bounds(made, inputs, result)["v1"]
    wrong = running_bounds(made, inputs, result | {"v1": result["v1"] * (1 + 1e-6)})["v1"]
    assert (right < 1e-15).all() and (wrong > 1e-7 * result["v1"]).all()
    monkeypatch.setattr(running, "enclosures", lambda *given: (enclosures(*given)[0], np.zeros(given[2].shape)))
    assert not fcsym.accuracy(SMOOTH["sigmoid"], trials=14, steps=0).passed


@pytest.mark.parametrize("name", [*SMOOTH_NAMES, "exp"])
def test_an_enclosure_holds_every_value(name):
    need_package("flint")
    phi, form = smooth(name), smooth_functions.expression(smooth(name))
    at, off = (
        np.array([-30.0, -1.25, 0.0, 0.5, 9.0], np.longdouble),
        np.array([1e-9, 0.25, 0.5, 0, 1e-3], np.longdouble),
    )
    for n in range(3):
        middle, radius = enclosures(phi, n, at, off)
        f = sympy.lambdify(smooth_functions.symbols()[0], sympy.diff(form, smooth_functions.symbols()[0], n), "mpmath")
        with mpmath.workdps(40):
            for k, share in product(range(len(at)), (-1, -0.5, 0, 0.7, 1)):
                true = f(mpmath.mpf(float(at[k])) + share * mpmath.mpf(float(off[k])))
                far = abs(true - mpmath.mpf(float(middle[k])) - mpmath.mpf(float(middle[k] - np.float64(middle[k]))))
                assert far <= mpmath.mpf(float(radius[k])) * (1 + mpmath.mpf(10) ** -15), (n, at[k], share)
    middle, radius = enclosures(phi, 0, at, np.zeros(5, np.longdouble))
    assert (radius < 1e-18 * np.abs(middle) + 1e-60).all()


def test_an_enclosure_knows_what_it_does_not_know():
    need_package("flint")
    at = np.array([-1.0, 0.25, np.nan, 2.0], np.longdouble)
    middle, radius = enclosures(smooth("log"), 0, at, np.array([0, 0.5, 0, np.inf], np.longdouble))
    assert np.isinf(radius).all()
    corner = fcsym.smooth("elu", sympy.Piecewise((S, S > 0), (sympy.exp(S) - 1, True)))
    middle, radius = enclosures(corner, 0, np.array([0.0]), np.array([0.5]))
    assert middle[0] + radius[0] >= 0.5 and middle[0] - radius[0] <= math.expm1(-0.5)


def test_what_has_no_balls_says_so_and_comes_back(monkeypatch):
    adam = fcsym.accuracy(fcsym.Network.parse("2-2-1").training("adam"), trials=8, steps=2)
    assert adam.passed and len(adam.notes) == 1 and "far out" in adam.notes[0]
    assert adam.row("y").worst < 1e6
    late = fcsym.accuracy(NETWORKS["relu"], trials=10_000, steps=0, limit=0.5)
    assert "s were over" in late.notes[0] and late.row("y").numbers < 10_000
    monkeypatch.setattr(running, "enclosures", _nothing)
    monkeypatch.setattr(precision, "available", lambda: False)
    without = fcsym.accuracy(SMOOTH["sigmoid"], trials=8, steps=0)
    assert without.passed and "no running bound without python-flint" in without.notes[0]
    assert without.row("v1").of_bound is None and without.row("s1").of_bound is not None


def _nothing(phi, order, s, error):
    return np.full(s.shape, np.nan, np.longdouble), np.full(s.shape, np.inf, np.longdouble)


def test_what_only_storing_leaves_is_half_a_unit_at_most_where_the_inputs_are_exact():
    """s1 = W1 x rounded once; after that, what has been rounded before enters."""
    found = fcsym.accuracy(fcsym.Network.mlp([3, 2, 1]), trials=42, steps=10)
    once = {name: errors[2] for (subject, name), errors in found.errors.items() if subject == "step"}
    assert len(once["s1"]) == 12 and max(once["s1"]) <= 0.5 < max(once["y"])
    for row in found.rows:
        if row.subject == "step":
            assert row.once <= row.median + 0.35, row
        elif row.quantity == "y":
            assert 0 <= row.once < 2, row


def test_kinds_of_points_are_what_they_say():
    d = fcsym.derive(NETWORKS["relu"])
    kernel, rng = d.compile(), np.random.default_rng(0)
    assert set(TAME) < set(HARD)
    small = HARD["subnormal numbers"](d.network, kernel, rng, 50).step(kernel)["s1"]
    assert (np.abs(small) < np.finfo(float).tiny).all() and (small != 0).mean() > 0.5
    after = HARD["s' near 0"](d.network, kernel, rng, 200).step(kernel)["s1_new"]
    assert (np.abs(after) < 1e-14).any(axis=1).mean() > 0.2
    bits = HARD["random bits"](d.network, kernel, rng, 200)
    exponents = np.frexp(np.concatenate([w.ravel() for w in bits.weights]))[1]
    assert exponents.min() < -900 and exponents.max() > 900


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ("2-2-1", {}), (NETWORKS["relu"], {"trials": 0}),
        (NETWORKS["relu"], {"steps": -1}), (NETWORKS["relu"], {"seed": -1}), (NETWORKS["relu"], {"limit": 0}),
        (NETWORKS["relu"], {"limit": math.nan}), (NETWORKS["relu"], {"order": "crossed"}),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(given, settings):
    with pytest.raises(ArgumentError):
        fcsym.accuracy(given, **settings)


@pytest.mark.parametrize(
    "network", [fcsym.Network.parse("100-100-1"), fcsym.Network.parse("2-2-1").training("sgd", "mean", 200)]
)
def test_networks_that_are_too_large_for_exact_numbers_are_refused(network):
    with pytest.raises(SizeError, match="narrower"):
        fcsym.accuracy(network)


def test_the_command(capsys):
    assert main(["accuracy", "2-2-1", "--trials", "7", "--steps", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] and {row["subject"] for row in found["rows"]} == {"step"}
    assert main(["accuracy", "2-2-1", "--trials", "7", "--steps", "0"]) == 0
    text = capsys.readouterr().out
    assert "y_front" in text and "gates decided wrongly" in text
    assert main(["accuracy", "2-2-1", "--trials", "0", "--json"]) == 2
    assert "whole number" in json.loads(capsys.readouterr().out)["error"]


def test_the_command_fails_where_a_bound_is_exceeded(capsys, monkeypatch):
    monkeypatch.setattr(
        precision, "running_bounds", lambda *given: {n: 0 * b for n, b in running_bounds(*given).items()}
    )
    assert main(["accuracy", "2-2-1", "--trials", "14", "--steps", "0"]) == 1
    assert "exceeded" in capsys.readouterr().out


def test_numbers_where_there_is_none_are_a_failure_also_where_nothing_else_was_compared(monkeypatch):
    """p has no value at any point: no error is measured of it, and every number that the kernel gives is wrong."""
    true = precision.evaluated

    def without(*given, **more):
        found = true(*given, **more)
        return found | {"p": ((None, None),)}

    monkeypatch.setattr(precision, "evaluated", without)
    found = precision.accuracy(fcsym.Network.parse("2-2-1"), trials=7, steps=0)
    assert not found.passed and found.row("p").numbers == 0 and found.row("p").exceeded > 0
    assert "a running bound was exceeded" in found.conclusion


def test_a_network_that_has_no_values_is_left_out_of_training_and_the_others_are_measured():
    """The logarithm of a linear output has a value in some networks, and not in others."""
    with pytest.warns(LossWarning):
        net = fcsym.Network.mlp([2, 2, 1], loss="bce")
    found = precision.accuracy(net, trials=1, steps=3)
    assert found.left_out > 0 and found.row("W1 by expand", "weights").numbers >= 4
    assert not any("not measured" in note for note in found.notes)
    assert "has no value" in found.conclusion


def test_the_end_of_the_time_is_said_once_and_where_nothing_was_measured():
    found = precision.accuracy(fcsym.Network.parse("2-2-1"), limit=1e-9)
    assert not found.passed and found.conclusion.startswith("Nothing was measured.")
    assert len([note for note in found.notes if "s were over in" in note]) == 1


def test_the_end_of_the_time_ends_training_after_a_step(monkeypatch):
    """Not after all steps of a network, which may take minutes in exact numbers."""
    calls = iter(range(10**6))
    monkeypatch.setattr(precision.time, "monotonic", lambda: 0.0 if next(calls) < 6 else 1e9)
    found = precision.accuracy(fcsym.Network.parse("2-2-1"), trials=1, steps=20)
    assert 1 <= found.row("y", "backprop").numbers < 8
    assert {row.subject for row in found.rows} == {"step", "backprop"}
    assert not any("expand" in row.quantity for row in found.rows)


@pytest.mark.parametrize(("scheme", "passed"), [("states", False), ("compensation", True)])
def test_a_scheme_that_gives_no_number_is_wrong_where_it_is_undefined_nowhere(scheme, passed, monkeypatch):
    given = SchemeKernel.output

    def without(self, *arguments, **more):
        found = given(self, *arguments, **more)
        return found * np.nan if self.scheme.name == scheme else found

    monkeypatch.setattr(SchemeKernel, "output", without)
    found = precision.accuracy(fcsym.Network.parse("1-2-1"), trials=1, steps=2)
    assert found.passed is passed
    assert any(row.exceeded for row in found.rows if (row.subject, row.quantity) == (scheme, "y")) is not passed
