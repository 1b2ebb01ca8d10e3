"""At which points a check says nothing, since rounding decides there what is compared."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import z3

import fcsym
from fcsym import Network
from fcsym.checking.report import ULPS, Report
from fcsym.checking.tally import Tally
from fcsym.language.expression import Array
from fcsym.layers import Conv1d, Flatten, LayerNorm, Linear, MaxPool1d, MultiheadAttention
from fcsym.proof.tables import _value

BAR = ULPS * 2.0**-52
HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(2, -1), fcsym.Piece(None, 1, -4)])
"""One kink, at 2."""


def tally_of(network, **known):
    made = object.__new__(Tally)
    vars(made).update(network=network, dtype=np.dtype(float), after_p=(), **known)
    return made


@pytest.mark.parametrize(
    ("value", "wide", "counts"),
    [
        (2 + 2.0**-11, 2.0**-10, False),  # nearer to the kink than rounding moves it
        (2 - 2.0**-11, 2.0**-10, False),
        (2 + 2.0**-10, 2.0**-10, False),  # just as far
        (2 + 1.1 * 2.0**-10, 2.0**-10, True),
        (-2 + 2.0**-11, 2.0**-10, True),  # beside where there is none
        (2.0, 2.0**-30, True),  # equals, which both programs give
        (2.0, 2.0**-26, True),
        (2.0, 2.0**-25, False),  # no equals are known so badly: the root of eps is the limit
        (3.0, 2.0, False),
        (2.25, 2.0**-30, True),
    ],
)
def test_a_gate_within_a_layer_is_decided_away_from_its_kink_and_by_equals(value, wide, counts):
    made = tally_of(Network.mlp([1, 1]), _inner_gates=[(HAT, Array("z", 1, ()))])
    scale = SimpleNamespace(of=lambda name: np.full((1, 1), wide / BAR if name == "z1" else 0.0, np.longdouble))
    result = {"y": np.ones((1, 1)), "z1": np.full((1, 1), value)}
    assert made._clear(result, {"y": np.ones((1, 1))}, scale).tolist() == [counts]


NEAR = 4 * 2.0 ** (-52 * 0.6)


@pytest.mark.parametrize(
    ("least", "wide", "unclear"),
    [
        (0.99 * NEAR, 0.0, True),  # beside the largest eigenvalue, 1, it may be 0
        (1.2 * NEAR, 0.0, False),
        (2.0**-20, 2.0**-19, True),  # K itself is not known so well
        (2.0**-20, 2.0**-20, True),
        (2.0**-20, 2.0**-21, False),
        (0.25, 0.0, False),
    ],
)
def test_whether_there_is_an_inverse_is_undecided_where_an_eigenvalue_is_next_to_0(least, wide, unclear):
    made = tally_of(SimpleNamespace(places=("samples",)))
    rounding = np.zeros((3, 2, 2), np.longdouble)
    rounding[1, 0, 1] = wide / BAR  # of one entry, which is enough
    eigenvalues = np.array([[1.0, 1.0], [least, 1.0], [0.5, 1.0]])
    truth = {"K": np.stack([np.diag(values) for values in eigenvalues]).astype(np.longdouble)}
    found = made._unclear_change({}, truth, SimpleNamespace(of=lambda name: rounding), (3, 2, 2), np.ones(3, bool))
    assert found.shape == (3, 2, 2)
    assert found.all(axis=(1, 2)).tolist() == found.any(axis=(1, 2)).tolist() == [False, unclear, False]


def test_gates_within_layers_are_those_of_largest_values_and_no_units():
    """relu' of a unit is compared by its pre-activation; what is smooth decides nothing."""
    windows = Network.sequential((1, 4), [Conv1d(1, 2, 2), "relu", MaxPool1d(3), Flatten(), Linear(2, 1)])
    found = Tally(fcsym.derive(windows), np.dtype(float))._inner_gates
    assert {array.name for _, array in found} == {"z2_t2", "z2_t3", "z2_t2_new", "z2_t3_new"}
    assert not any(phi.is_smooth for phi, _ in found)
    for network in (
        Network.parse("2-2-2"),
        Network.sequential(2, ["relu", LayerNorm(2), Linear(2, 2), "relu", Linear(2, 1)]),
        Network.sequential((2, 2), [MultiheadAttention(2, 1), "relu", Flatten(), Linear(4, 1)]),
        Network.sequential(2, [Linear(2, 2), "leaky_relu", "tanh", "relu", Linear(2, 1)]),
    ):
        assert Tally(fcsym.derive(network), np.dtype(float))._inner_gates == []


def test_what_z3_takes_for_an_activation_is_the_activation():
    """Pieces with intercepts, and a jump of the slope: values at and beside the kinks."""
    phi = fcsym.piecewise_linear(
        "stairs", [fcsym.Piece(-1, 2, 3), fcsym.Piece(2, "1/2", "3/2"), fcsym.Piece(None, -1, "9/2")]
    )
    for at in (Fraction(n, 2) for n in range(-6, 9)):
        found = z3.simplify(_value(phi, z3.RatVal(at.numerator, at.denominator)))
        assert found.as_fraction() == phi.value_at(at), at


def test_a_report_of_nothing_leaves_nothing_out():
    report = Report("2-1", "simultaneous", "simultaneous", 1, 0, "float64", ())
    assert (report.left_out, report.steps) == (0, 1)
