"""Errors in units in the last place, what is said of them, and the samples of XOR, each beside its definition.

Each takes a fraction of a second, so that a fault in what accuracy is measured by is seen by a test that is quick.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from conftest import need_package

import fcsym
from fcsym import Network
from fcsym.checking import hard, xor
from fcsym.checking.gradients import _Tally
from fcsym.checking.hard import HARD
from fcsym.checking.points import random_points
from fcsym.checking.report import Report
from fcsym.checking.ulps import HEADINGS, Accuracy, Errors, Measured, beside, in_full, in_ulp, note, ratio
from fcsym.errors import ArgumentError

INF, NAN = math.inf, math.nan


def test_a_quotient_is_rounded_once():
    """As Python divides fractions; infinite beyond the range, and of a common divisor nothing is left."""
    numbers = [Fraction(n, d) for n, d in ((0, 1), (1, 3), (-7, 5), (10**30, 7), (6, 4), (1, 2**60))]
    for a, b in product(numbers, numbers[1:]):
        assert ratio(a, b) == float(a / b)
    assert ratio(Fraction(10**200), Fraction(1, 10**200)) == INF


@pytest.mark.parametrize("value", [0.0, 1.0, -0.75, 1 / 3, 2.0**-1074, 1.5 * 2.0**1023, 2.0**113, 2.0**112 + 2.0**60])
def test_a_number_of_extended_precision_is_a_fraction(value):
    assert in_full(np.longdouble(value)) == Fraction(value)


@pytest.mark.parametrize("bits", [1, 53, 54, 60, 63])
def test_a_number_of_extended_precision_has_all_its_digits(bits):
    """1 + 2^-n, and as many times larger or smaller."""
    for exponent in (-40, 0, 40, 200):
        value = np.ldexp(1 + np.ldexp(np.longdouble(1), -bits), exponent)
        assert in_full(value) == (1 + Fraction(1, 2**bits)) * Fraction(2) ** exponent


def test_a_number_below_and_above_those_of_a_double_is_a_fraction():
    for exponent in (-1500, 1500):
        assert in_full(np.ldexp(np.longdouble(3), exponent)) == 3 * Fraction(2) ** exponent


def test_an_error_is_so_many_times_the_distance_of_two_floats():
    for exact in (Fraction(1), Fraction(-3, 7), Fraction(10**20, 3), Fraction(1, 2**1060)):
        ulp = Fraction(math.ulp(float(exact)))
        for share in (Fraction(0), Fraction(1, 2), Fraction(7, 3)):
            assert in_ulp(share * ulp, exact) == float(share)
    assert in_ulp(Fraction(0), Fraction(0)) == 0 and in_ulp(Fraction(1, 2**2000), Fraction(0)) == INF
    assert in_ulp(Fraction(1), Fraction(10**400)) == INF


def balls(*values):
    import flint

    return [flint.arb(value) for value in values]


def test_errors_are_those_of_numbers_that_are_there():
    """In the order of the elements, however they are nested; beside balls, and exact numbers of another kind."""
    need_package("flint")
    import flint

    with flint.ctx.workprec(200):
        third = flint.arb(1) / 3
    found = np.array([[1 + 2.0**-52, 0.25], [NAN, INF], [0.0, 2.0**-60], [1 / 3 + 2.0**-54, 5.0]])
    exact = [balls(1, 0.25), balls(1, 1), balls(0, 0), [third, flint.arb("inf")]]
    own = list(beside(found, exact))
    assert own[:4] == [1, 0, 0, INF] and len(own) == 5
    true = abs(Fraction(1 / 3 + 2.0**-54) - Fraction(1, 3)) / Fraction(2.0**-54)
    assert own[4] == pytest.approx(float(true), rel=1e-9)
    assert list(beside(2.0, flint.arb(2))) == [0] == list(beside(np.array([0.5]), [flint.arb(0.5)]))


def test_what_is_no_number_exceeds_every_bound_where_there_is_one_everywhere():
    """But where the exact one is so large that products overflow."""
    need_package("flint")
    found, exact = np.array([NAN, 1.0, NAN, NAN, NAN]), balls(1, 1, -2, 1e151, 0)
    for always, exceeded in ((False, 0), (True, 3)):
        errors = Errors()
        note(errors, found, exact, always)
        assert errors.ordinary == [0] and not errors.hard and errors.exceeded == exceeded
        note(errors, found, exact, always)
        assert errors.ordinary == [0, 0] and errors.exceeded == 2 * exceeded


def test_figures_are_those_of_all_errors():
    """How many numbers, the middle one and the largest, of ordinary points and of hard ones; none of what is not."""
    made = Errors([3.0, 1.0, 2.0], [8.0, 4.0], [0.5, 0.25], 0.75, 2)
    assert made.row("step", "y") == Measured("step", "y", 5, 2.0, 0.375, 3.0, 6.0, 8.0, 0.75, 2) and made.any
    assert Errors().row("step", "y") == Measured("step", "y", 0, None, None, None, None, None, None, 0)
    assert not Errors().any and Errors(exceeded=1).any and Errors([0.0]).any and Errors(hard=[0.0]).any
    assert not Errors(once=[1.0]).any


ROW = Measured("step", "y", 5, 2.0, 0.375, 3.0, None, 8.25, 0.12345, 0)
OTHER = Measured("states", "W1", 7, None, None, None, None, None, None, 2)


def accuracy(*rows, **more):
    return Accuracy("1-1", "sequential", 3, 4, 0, rows, 9, 1, 6, **more)


def test_what_was_measured_passes_where_no_bound_was_exceeded():
    for rows, passed in (((ROW,), True), ((), False), ((ROW, OTHER), False), ((OTHER,), False)):
        assert accuracy(*rows).passed is passed is bool(accuracy(*rows))
    both = accuracy(ROW, OTHER)
    assert both.row("y") == ROW and both.row("W1", "states") == OTHER and "errors" not in repr(both)
    for name in (("W1",), ("y", "states"), ("E",)):
        with pytest.raises(ArgumentError, match="was not measured: see the rows"):
            both.row(*name)


def test_what_was_measured_is_said_line_by_line():
    """Of each quantity what there is, and at the end the gates, the bounds, and what was left out."""
    assert Accuracy.figures(ROW) == ("5", "2", "0.375", "3", "", "8.25", "0.123")
    assert Accuracy.figures(OTHER) == ("7", *[""] * 6) and len(HEADINGS) == 7
    title, first, second, last = str(accuracy(ROW, OTHER, notes=("That is all.",))).splitlines()
    assert title == "1-1, sequential order: errors in ulp"
    assert " ".join(first.split()) == (
        "step y numbers 5, median 2, rounded once 0.375, largest 3, largest, hard 8.25, of bound 0.123"
    )
    assert " ".join(second.split()) == "states W1 numbers 7"
    assert last.startswith("1 of 9 gates decided wrongly by rounding; a running bound was exceeded 2 times; 6 points")
    assert last.endswith("no digits say what it is. That is all.")
    assert "no running bound was exceeded; " in accuracy(ROW).conclusion
    assert accuracy(ROW).conclusion.startswith("1 of 9 gates") and accuracy().conclusion.startswith(
        "Nothing was measured. 1"
    )
    assert accuracy(replace(OTHER, exceeded=3), OTHER).conclusion.count("exceeded 5 times") == 1


def test_a_report_is_of_one_step_in_which_nothing_is_left_out_unless_more_is_said():
    made = Report("1-1", "simultaneous", "sequential", 1, 0, "float64", (), 0, 1)
    assert (made.left_out, made.steps, made.points, made.passed) == (0, 1, 0, False)
    assert replace(made, left_out=2, steps=3).rows == ()


@pytest.mark.parametrize(("widths", "wanted"), [
    ([2, 1], True), ([2, 3, 1], True), ([1, 2, 1], False), ([2, 2, 2], False), ([3, 1], False), ([1, 2], False),
])  # fmt: skip
def test_xor_is_of_two_inputs_and_one_output(widths, wanted):
    assert xor.applies(Network.mlp(widths)) is wanted


def test_samples_of_xor_are_its_table_beside_networks_of_their_own():
    """All four for each of so many networks, with ordinary weights, which the seed decides."""
    network = Network.mlp([2, 2, 1], bias=True)
    points = xor.points(network, 3, seed=5)
    assert points.x.shape == (12, 2) and points.target.shape == (12, 1) and (points.eta == 0.1).all()
    table = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 0}
    for start in (0, 4, 8):
        rows = {
            tuple(x): t.item()
            for x, t in zip(points.x[start : start + 4], points.target[start : start + 4], strict=True)
        }
        assert rows == table
    assert [w.shape[1:] for w in points.weights] == [network.shape(a) for a in network.parameters]
    assert len(np.unique(np.concatenate([w.ravel() for w in points.weights]))) == 12 * 9
    again, other = xor.points(network, 3, seed=5), xor.points(network, 3)
    assert all((a == b).all() for a, b in zip(points.weights, again.weights, strict=True))
    assert not any((a == b).any() for a, b in zip(points.weights, other.weights, strict=True))
    assert len(xor.points(network).x) == 100


def test_of_layers_hard_points_are_ordinary_ones():
    """Of which no unit is put near a kink."""
    network = Network([fcsym.Conv1d(1, 1, 2), "relu", fcsym.Flatten(), fcsym.Linear(2, 1)], input=(1, 3))
    wanted = random_points(network, np.random.default_rng(0), 9)
    for kind in ("v^c near 0", "s' near 0"):
        found = HARD[kind](network, fcsym.derive(network).compile(), np.random.default_rng(0), 9)
        for one, other in zip([*found.weights, *found[1:4]], [*wanted.weights, *wanted[1:4]], strict=True):
            assert (one == other).all()


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_derivatives_may_be_off_by_sixteen_roundings_and_no_more(precision):
    """Of their terms, in the precision of the kernel: a kernel that is off by more fails."""
    network = Network.mlp([1, 1])
    subject, eps = fcsym.gradient(network, by="W1"), float(np.finfo(precision).eps)
    points = random_points(network, np.random.default_rng(0), 40)._replace(target=np.zeros((40, 1)))
    for off, passed in ((4, True), (64, False), (1e6, False)):
        tally = _Tally(subject, np.dtype(precision), 0)
        assert tally.bar == 16 * eps
        kernel = tally.kernel

        class Off:
            def gradient(self, *given, kernel=kernel, off=off, **more):
                made = kernel.gradient(*given, **more)
                return made._replace(**{name: value * (1 + off * eps) for name, value in made._asdict().items()
                                        if name.startswith("dE_")})  # fmt: skip

        tally.kernel = Off()
        tally.compare(points.astype(np.dtype(precision)))
        assert all(row.passed for row in tally.seen.values()) is passed and tally.seen, off


@pytest.mark.parametrize(("kind", "low", "high"), [("tiny eta", -30, -8), ("huge eta", 3, 12)])
def test_step_sizes_that_are_far_out_are_of_every_size(kind, low, high):
    """As many of each power of ten; the networks are ordinary ones."""
    network = Network.mlp([2, 1])
    points = HARD[kind](network, None, np.random.default_rng(0), 3000)
    powers = np.log10(points.eta)
    assert low <= powers.min() < low + 0.1 and high - 0.1 < powers.max() <= high
    counts, _ = np.histogram(powers, bins=high - low, range=(low, high))
    assert counts.sum() == 3000 and counts.min() / counts.mean() > 0.5 and counts.max() / counts.mean() < 1.5
    assert 0.1 <= hard._eta(-1, 0)(network, None, np.random.default_rng(1), 1).eta.item() <= 1
    ordinary = random_points(network, np.random.default_rng(0), 3000)
    assert (points.x == ordinary.x).all() and (points.weights[0] == ordinary.weights[0]).all()
