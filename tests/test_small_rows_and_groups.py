"""Rows that files are tested with, and networks that a kernel is compared on: which there are, and how many.

What trains is put in the place of networks here, so that nothing is left to chance.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.kernel import export, rows
from fcsym.kernel.rows import Exact, _remember, _row
from fcsym.kernel.worked import scheme_numbers
from fcsym.values.given import values_of


@pytest.mark.parametrize("last, steady", [((3, 10), False), ((-3, 10), False), ((1, 4), True), ((-1, 4), True)])
def test_where_rounding_decides_a_case_there_is_no_row(last, steady):
    """1/10 + 2/10 - 3/10 is 0, where a unit starts to work, but not in floating-point numbers."""
    exact = Exact(fcsym.scheme(Network.mlp([3, 1, 1]), "backprop"))
    sign = -1 if last[0] > 0 else 1
    weights = [[Fraction(sign, 10), Fraction(2 * sign, 10), Fraction(*last)], [Fraction(1)]]
    x, target = [[Fraction(1)] * 3] * 2, [[Fraction(0)]] * 2
    exact.reached = set()
    with mpmath.workdps(50):
        made = _row(exact, weights, x, target, Fraction(1, 1024), None)
    assert (made is not None) is steady


def test_an_input_that_is_new_has_a_row_of_coefficients_that_are_0():
    """Also one that begins with 0; one that is known, and one of zeros, have none."""
    state = {"X": {(0, 0): Fraction(1), (0, 1): Fraction(2)}, "C": {(0, j): Fraction(5) for j in range(3)}}
    for x, new in (([0, 2], True), ([1, 0], True), ([1, 2], False), ([0, 0], False), ([2, 1], True)):
        found = _remember(state, {(i,): Fraction(v) for i, v in enumerate(x)}, 3)
        assert bool(found) is new
        if new:
            assert found["X"] == state["X"] | {(1, i): v for i, v in enumerate(x)}
            assert found["C"] == state["C"] | {(1, j): 0 for j in range(3)}


def test_where_a_rule_divides_every_number_is_moved_a_little_three_times(monkeypatch):
    """By a part of 2^20 up or down, or not; besides it is rounded to each of two precisions."""
    met = []

    def again(exact, rounded):
        met.append(rounded)
        return SimpleNamespace(reached=exact.reached)

    monkeypatch.setattr(Exact, "again", again)
    monkeypatch.setattr(rows, "_train", lambda *given: ([[0.5]], [[0.25]], False, 1))
    numbers = [[Fraction(1)]], [[Fraction(1)]], [[Fraction(1)]], Fraction(1, 2)
    for rule, count in (("sgd", 2), ("adam", 5)):
        met.clear()
        exact = Exact(fcsym.scheme(Network.mlp([1, 1]).training(rule), "backprop"))
        assert _row(exact, *numbers, None) is not None
        assert len(met) == count and met[:2] == [np.float32, np.float64]
        for moved in met[2:]:
            found = {float(moved(3.0)) for _ in range(40)}
            assert found == {float(np.float32(3.0 * (1 + k * 2.0**-20))) for k in (-1, 0, 1)}


def group_of(count, lost, off=0.0):
    """What is said of so many networks, of which some are lost in the first step, and what was asked of the kernel."""
    asked = []
    network = Network.mlp([1, 1])

    def gives(name, value):
        asked.append(name)
        return value

    def step(state, *_):
        gone = np.zeros((count, 1, 1))
        gone[:lost] = np.nan
        return gives("step", [gone])

    kernel = SimpleNamespace(
        init=lambda weights, x: gives("init", [np.zeros((count, 1, 1))]),
        step=step,
        output=lambda state, x: gives("output", np.full((count, 1), off * asked.count("step"))),
        expand=lambda state, weights, x: gives("expand", [np.zeros((count, 1, 1))]),
    )
    scheme = SimpleNamespace(network=network, single_input=False, gates=False, order="sequential")
    true = {"y": np.zeros((count, 1)), "W1_new": np.zeros((count, 1, 1))}
    found = export._group(scheme, kernel, lambda *_: true, 0.1, np.random.default_rng(0), count)
    return found, asked


@pytest.mark.parametrize("count, lost", [(c, k) for c, k in product(range(1, 6), range(6)) if k <= c])
def test_networks_are_compared_as_long_as_half_of_them_are_trained(count, lost):
    """Of the others nothing is said; and an output is asked for before every step, and after the last one."""
    (good, worst, problem), asked = group_of(count, lost, off=1.0)
    assert (good, problem) == (count - lost, "")
    if 2 * good >= count:
        assert worst == export._STEPS
        assert asked == ["init", *["output", "step"] * export._STEPS, "output", "expand"]
    else:
        assert worst == 0 and asked == ["init", "output", "step", "output"]


def test_a_distance_is_a_part_of_the_largest_number_where_that_is_above_1():
    """For each network of its own, and of those alone that are looked at."""
    wanted = np.array([[0.5, 0.0], [8.0, -16.0], [1.0, 1.0]])
    for at, size in (((0, 1), 1), ((1, 0), 16), ((1, 1), 16), ((2, 0), 1)):
        got = wanted.copy()
        got[at] += 0.25
        assert export._distance(got, wanted, np.ones(3, bool)) == 0.25 / size
        assert export._distance(got, wanted, np.arange(3) != at[0]) == 0.0
    assert export._distance(wanted, wanted[:, :1], np.ones(3, bool)) == np.inf
    assert export._distance(np.full((3, 2), np.nan), wanted, np.ones(3, bool)) == np.inf


@pytest.mark.parametrize("x", [[1, 1], [0, 0], [-1, 2]])
def test_beside_every_number_that_has_cases_stands_the_one_that_holds(x):
    """For each unit, by a step that is done here."""
    network, first, last = Network.mlp([2, 2, 1]), [[1, 2], [-1, Fraction(1, 2)]], [1, -1]
    own = values_of(network, {"weights": [first, [last]], "x": x, "target": [1], "eta": Fraction(1, 2)})
    shown = scheme_numbers(fcsym.scheme(network, "weights"), own, 6)
    s = [sum(w * v for w, v in zip(row, x, strict=True)) for row in first]
    delta = sum(w * max(v, 0) for w, v in zip(last, s, strict=True)) - 1
    moved = [v - Fraction(1, 2) * delta * w * (v > 0) * sum(k * k for k in x) for v, w in zip(s, last, strict=True)]
    words = {True: "active", False: "dead"}
    for j in range(2):
        assert shown["step"].holds["dv1", (j,)] == f"{words[s[j] > 0]} -> {words[moved[j] > 0]}"
        kept = "v^c != 0" if s[j] > 0 else "v^c = 0, v' = 0"
        assert shown["step"].holds["r_new", (0, j)] == kept
        for i in range(2):
            assert shown["expand"].holds["W1", (j, i)] == ("c != 0" if any(x) else "c = 0")
    assert set(shown["output"].holds.values()) <= {""}
