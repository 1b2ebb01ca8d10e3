"""At which points a check says nothing, since rounding decides there what is compared."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import z3

import fcsym
from fcsym import Network
from fcsym.checking import running
from fcsym.checking.report import ULPS
from fcsym.checking.tally import Tally
from fcsym.language.expression import Array
from fcsym.layers import Conv1d, Flatten, LayerNorm, Linear, MaxPool1d, MultiheadAttention, Residual
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


@pytest.mark.parametrize("places", ["samples", "positions", "windows"])
def test_of_one_p_for_all_places_the_oracle_knows_as_much_as_its_difference_of_two_passes(places):
    """|W'| what v' and v are rounded by, at every place; and what the inverse and v^c make of it."""
    network, settings = {
        "samples": (Network.mlp([2, 3, 2], "leaky_relu"), {"batch": "sum"}),
        "positions": (Network.sequential((3, 2), [Linear(2, 4), "relu", Linear(4, 2)]), {}),
        "windows": (
            Network.sequential((1, 4), [Conv1d(1, 2, 2), "relu", Flatten(), Linear(6, 2)]),
            {"batch": "mean", "samples": 2},
        ),
    }[places]
    d = fcsym.derive(network, **settings)
    rng = np.random.default_rng(4)
    made, (last,) = Tally(d, np.dtype(float)), d.by_name["vc"].operands
    read_out = d.network.read_out.primed.name
    features = next(network.shape(a) for a in network.parameters if a.primed.name == read_out)[1:]
    p, n, k = 2, 3, 2
    result = {last.primed.name: rng.normal(size=(p, n, *features)), "vc": rng.normal(size=(p, n, *features))}
    result |= {read_out: rng.normal(size=(p, k, *features)), "Ki": rng.normal(size=(p, n, n))}
    result |= {"p": np.zeros((p, k, *features)), "r": np.zeros((p, k, *features))}
    result["Ki"][0, 0, 1] = np.nan
    off = {name: rng.uniform(1, 2, size=(p, n, *features)) for name in (last.primed.name, last.name)}
    own = {"s1_new": np.full((p, n, *features), 2.0**40)}
    result |= {"s1_new": np.zeros((p, n, *features))}  # on the kink: which piece v' is on is undecided
    scale = SimpleNamespace(of=lambda name: (off | own).get(name, np.zeros(())))
    fine = np.finfo(np.longdouble).eps * ULPS
    moved = fine * (off[last.primed.name] + off[last.name]) + BAR * 2.0**40
    flat = [a.reshape(p, -1, int(np.prod(features))) for a in (moved, np.abs(result["vc"]), np.abs(result[read_out]))]
    lack = np.array([[[flat[2][q, c] @ flat[0][q, m] for c in range(k)] for m in range(n)] for q in range(p)])
    np.testing.assert_allclose(made._lacked("ell", result, scale, fine).astype(float), lack.astype(float), rtol=1e-12)
    inverse = np.where(np.isnan(result["Ki"]), 0, np.abs(result["Ki"]))
    wanted = np.array([(inverse[q] @ lack[q]).T @ flat[1][q] for q in range(p)]).reshape(result["p"].shape)
    for name in ("p", "r"):
        found = made._lacked(name, result, scale, fine)
        np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=1e-12)
        bound = made._bound(name, result, SimpleNamespace(of=lambda name: scale.of(name)))
        np.testing.assert_allclose(bound.astype(float), wanted.astype(float), rtol=1e-12)


def test_of_a_v_that_may_be_0_up_to_rounding_nothing_is_known_of_p():
    made = Tally(fcsym.derive(Network.mlp([1, 5, 1], "tanh")), np.dtype(float))
    wide = 2.0**-10
    result = {"vc": np.array([[0.0, wide, -wide / 2, 1.5 * wide, 0.75]])}
    scale = SimpleNamespace(of=lambda name: np.full((1, 5), wide / BAR if name == "vc" else 1.0, np.longdouble))
    for name in ("p", "r"):
        found = made._bound(name, result | {"s1_new": np.ones((1, 5))}, scale)
        assert np.isinf(found).tolist() == [[[False, True, True, False, False]]]


EXACT = {
    "fractions": (Network.mlp([2, 2, 2], "relu", output="leaky_relu"), {}, {"dv1", "dy"}),
    "a velocity": (Network.mlp([2, 2, 2], "relu", output="leaky_relu"), {"rule": "momentum"}, set()),
    "an exponential in the loss": (
        Network.sequential(2, [Linear(2, 2), "relu", Linear(2, 2)], output="softmax", loss="cross_entropy"),
        {},
        {"dv1"},
    ),
    "a sum without weights of its own": (
        Network.sequential(2, [Residual([Linear(2, 2), "sigmoid"]), "identity", "relu", Linear(2, 1)]), {}, set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_a_kink_is_waited_for_where_exact_points_may_be_on_it(name):
    network, settings, units = EXACT[name]
    expected = Tally(fcsym.derive(network, **settings), np.dtype(float)).expected
    assert {quantity for quantity, case in expected if case == "s = 0"} == units
    assert {quantity for quantity, case in expected if case == "s' = 0"} == units


def test_an_output_is_not_waited_for_on_a_kink_below_a_softmax_of_the_loss():
    with pytest.warns(fcsym.LossWarning):
        network = Network.mlp([2, 2, 2], "relu", output="leaky_relu", loss="cross_entropy")
    expected = Tally(fcsym.derive(network), np.dtype(float)).expected
    assert {quantity for quantity, case in expected if case == "s' = 0"} == {"dv1"}


def test_a_running_bound_is_of_the_unit_of_double_precision_and_more_than_what_it_loses_itself():
    assert np.finfo(float).eps / 2 == running._UNIT and np.finfo(float).smallest_subnormal == running._SMALLEST
    assert 1 < running._OWN < 1.01
