"""What training conserves, held against automatic differentiation and against training in small steps."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from points import Point, evaluate

import fcsym
from fcsym.collapsing.conserved import constants
from fcsym.collapsing.held import Held
from fcsym.collapsing.solution import measured, solution


def parsed(network, order="simultaneous", **settings):
    return fcsym.find_collapse(network, order=order, contracted=[0, 1], **settings)


def plain(expression):
    """The same with symbols that differ by their names only."""
    return sympy.expand(expression.subs({s: sympy.Symbol(str(s), positive=True) for s in expression.free_symbols}))


def test_the_difference_of_squares_is_multiplied_by_a_known_factor_and_so_are_two_squares():
    found = parsed(fcsym.Network.parse("2-9-1"))
    s1, s2, s3, a, eta, delta, g = (
        sympy.Symbol(name, positive=True) for name in ("S1", "S2", "S3", "a0", "eta", "delta2", "g1")
    )
    h, root = eta * delta * g, sympy.sqrt(a)
    assert {plain(form.form): plain(form.factor) for form in found.forms} == {
        s3 - a * s2: sympy.expand(1 - a * h**2),
        s3 + a * s2 + 2 * root * s1: sympy.expand((1 - root * h) ** 2),
        s3 + a * s2 - 2 * root * s1: sympy.expand((1 + root * h) ** 2),
    }


@pytest.mark.parametrize("bias", [[False, False], [True, True]])
@pytest.mark.parametrize("rule", [None, fcsym.rule("sgd", weight_decay=0.1)])
def test_a_form_is_multiplied_by_its_factor_in_training(bias, rule):
    network = fcsym.Network.parse("3-6-1", activation="leaky_relu", bias=bias).training(rule)
    found = parsed(network)
    assert len(found.forms) == 3
    point = Point(Held.of(network, "simultaneous", 1, frozenset({0, 1})))
    a = float(point.data("a0"))
    slope = point.seen["g1"]
    values = {"eta": point.eta, "delta2": float(point.seen["delta2"][0]), "a0": a, "lamda": 0.1}
    for form in found.forms:
        for unit in range(6):  # of every unit by itself
            sides = []
            for w, s in ((point.weights[-1 - bias[1]], point.seen["s1"]), (point.seen["W2_new"], point.seen["s1_new"])):
                sums = {"S1": w[0, unit] * s[unit], "S2": w[0, unit] ** 2, "S3": s[unit] ** 2}
                numbers = sums | values | {"g1": slope[unit]}
                sides.append(
                    [
                        float(e.subs({x: float(numbers[str(x)]) for x in e.free_symbols}))
                        for e in (form.form, form.factor)
                    ]
                )
            (before, factor), (after, _) = sides
            assert after == pytest.approx(factor * before, abs=1e-12)


def test_no_form_is_found_where_none_is_conserved():
    assert not parsed(fcsym.Network.parse("2-9-1"), "sequential").forms
    assert not parsed(fcsym.Network.parse("2-9-2")).forms


CASES = {
    "biases": (fcsym.Network.parse("2-4-3-2", bias=True), 2),
    "one input": (fcsym.Network.parse("3-4-2", activation="leaky_relu"), 1),
    "decay": (fcsym.Network.parse("3-4-2").training(fcsym.rule("sgd", weight_decay=0.1)), 1),
    "smooth below": (fcsym.Network.parse("3-4-5-2", activation=["tanh", "identity"]), 2),
    "mean": (fcsym.Network.parse("2-4-3", loss="cross_entropy").training(None, "mean"), 3),
}


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("name", CASES)
def test_a_constant_changes_by_what_is_said(name, order):
    network, inputs = CASES[name]
    found = constants(network, order, inputs)
    assert {c.layer for c in found} == {n for n, a in enumerate(network.hidden_activations, 1) if not a.is_smooth}
    point = Point(Held.of(network, order, inputs, frozenset()))
    for constant in found:
        before, after = (evaluate(constant.value.rhs, lambda a, k=k: point.array(a, k))[0] for k in (False, True))
        change, _ = evaluate(constant.change.rhs, lambda a: point.array(a, False))
        rate, _ = evaluate(constant.rate, lambda a: point.array(a, False))
        assert np.abs(before * (1 + point.eta * rate) + change - after).max() < 1e-13 * (1 + np.abs(after).max())
        assert np.abs(change).max() > 1e-9  # it is no constant but in the limit


def test_a_frozen_bias_leaves_no_constant_of_its_layer():
    assert not constants(fcsym.Network.parse("2-4-1", bias=True).frozen("b1"), "simultaneous")
    assert not constants(fcsym.Network.parse("2-4-1").training("momentum"), "simultaneous")


def test_the_limit_is_derived_with_the_signs_of_its_constant():
    found = solution(4)
    w, a, c, vc = (sympy.Symbol(n, positive=True) for n in ("w", "a", "C", "vc"))
    positive = found.signs[0]
    series = {n: plain(value) for n, value in positive.series.items()}
    assert sympy.simplify(plain(positive.r) - w * sympy.sqrt(c + a * w**2) / vc) == 0
    assert series[1] == sympy.sqrt(c) / vc and list(series) == [1, 3, 5, 7]
    assert [sympy.simplify(series[n] / series[1]) for n in (3, 5)] == [
        a / (2 * c),
        -(a**2) / (8 * c**2),
    ]
    assert [sign.when[:5] for sign in found.signs] == ["C > 0", "C = 0", "C < 0"]
    assert not found.signs[1].series and not found.signs[2].series
    assert sympy.simplify(plain(found.difference[3]) - (a / (2 * sympy.sqrt(c) * vc) - a / (3 * vc**2))) == 0
    with pytest.raises(fcsym.ArgumentError):
        solution(1)


def test_training_in_small_steps_goes_to_the_limit_and_not_to_the_printed_integral():
    coarse, fine = measured((1e-2, 1e-3))
    assert fine.limit < 0.15 * coarse.limit < 1e-3
    assert fine.printed > 0.1
