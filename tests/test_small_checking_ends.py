"""Bounds of a check at their ends: what is just as far away as rounding may move it, and what is shown of a point.

Each takes some hundredths of a second, so that a fault in what a check allows for is seen by a test that is quick.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.checking.magnitude import Magnitude
from fcsym.checking.points import random_points
from fcsym.checking.report import ULPS
from fcsym.checking.tally import Tally
from fcsym.language.expression import Apply, Index

BAR = 2.0**-8


def known(network, **arrays):
    """Magnitudes of these alone: name => (numbers, how far each may be off)."""
    made = object.__new__(Magnitude)
    made.bar, made.derivation = BAR, SimpleNamespace(network=network)
    made.values = {name: np.asarray(value, float) for name, (value, _) in arrays.items()}
    made.known = {name: np.asarray(off, float) for name, (_, off) in arrays.items()}
    return made


def test_a_hyperbolic_tangent_moves_by_its_slope_and_its_curve():
    """1 - v^2 and 2 v (1 - v^2); a derivative of it, whose terms are of about 1, by the slope of that."""
    network = Network.mlp([1, 1, 1], "tanh")
    s, t = np.array([[-1.5], [0.0], [0.5], [3.0]]), np.array([[0.5], [1.0], [2.0], [8.0]])
    made, ref = known(network, s1=(s, t)), network.pre_activation(1)[Index(network.pre_activation(1).axes[0], "j")]
    v = np.tanh(s)
    slope, bend, third = 1 - v**2, 2 * np.abs(v) * (1 - v**2), np.abs(2 * (1 - v**2) * (3 * v**2 - 1))
    phi = network.layers[0].activation
    for order, size, moved in (
        (0, np.abs(v), slope * t + BAR * bend * t**2),
        (1, np.maximum(1, slope), np.maximum(1, bend) * t),
        (2, np.maximum(1, bend), np.maximum(1, third) * t),
    ):
        own, by = made._size(Apply(phi, ref, order), ref.indices)
        np.testing.assert_allclose(own.astype(float), size, rtol=1e-12)
        np.testing.assert_allclose(by.astype(float), moved, rtol=1e-12)


@pytest.mark.parametrize("kink", [0.0, 2.0])
def test_a_unit_that_rounding_moves_just_as_far_as_a_kink_may_be_on_either_side(kink):
    """On both sides; a little further it is on its own."""
    phi = fcsym.piecewise_linear("own", [fcsym.Piece(0, 0), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)])
    network = Network.mlp([1, 1, 1], phi).training(None, "sum", 1)
    for off, counts in ((0.0, True), (BAR, True), (-BAR, True), (1.01 * BAR, False), (-1.01 * BAR, False)):
        one, zero = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
        made = known(
            network, W2_new=(3 * one, zero), v1=(zero, zero), v1_new=(zero, zero), s1_new=(kink + off + zero, one)
        )
        assert made._resolved(network).item() == (3.0 if counts else 0.0), off


def test_whether_a_unit_is_0_is_undecided_where_it_is_just_as_far_from_0():
    """On one side of a comparison alone; where both are 0, or neither is, it is decided."""
    made, wide = object.__new__(Tally), 2.0**-10
    vars(made).update(network=Network.mlp([1, 1, 1]), dtype=np.dtype(float), after_p=(), _inner_gates=[])
    scale = SimpleNamespace(of=lambda name: np.full((1, 1), wide / (ULPS * 2.0**-52)))
    y = {"y": np.ones((1, 1))}
    for one, other, counts in (
        (0.0, wide, False), (-wide, 0.0, False), (0.0, 1.01 * wide, True), (0.0, 0.0, True), (wide, wide / 2, True),
    ):  # fmt: skip
        result, truth = (y | {"vc": np.full((1, 1), value)} for value in (one, other))
        assert made._clear(result, truth, scale).tolist() == [counts], (one, other)


@pytest.mark.parametrize(("widths", "shown"), [([44, 3, 4], True), ([12, 9, 8], False)])
def test_all_numbers_of_a_point_are_shown_where_they_are_two_hundred(widths, shown):
    """Weights, inputs, targets and the step size; one more is too many."""
    network = Network.mlp(widths, bias=shown)
    numbers = sum(int(np.prod(network.shape(a))) for a in (*network.parameters, network.input, network.target)) + 1
    report = fcsym.check(fcsym.derive(network), points=random_points(network, np.random.default_rng(0), 2))
    assert numbers == (200 if shown else 201) and report.passed
    assert {"x" in row.where for row in report.rows} == {shown}
