"""What derivations say of gates, of what is dense, of zeros and of what is missing, against numbers and definitions."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import pytest

import fcsym
from fcsym import GRU, Linear, Network
from fcsym.deriving.contribution import _vanishes
from fcsym.deriving.gradient import said
from fcsym.deriving.kinds import is_dense
from fcsym.deriving.record import UnknownQuantity
from fcsym.language.equation import Branch, Cases, Equation, Rule
from fcsym.language.expression import Array, Axis, Index, Ref, Role
from fcsym.language.instance import Instance, exact_field
from fcsym.networks.symbols import SAMPLES

BENT = fcsym.piecewise_linear("bent", [fcsym.Piece(-1, 3, 1), fcsym.Piece(2, 1, -1), fcsym.Piece(None, "1/2", 0)])
FIRST = {
    "relu": Network(["relu", Linear(2, 2)], input=(2,)),
    "bent": Network([BENT, Linear(2, 1)], input=(2,)),
    "twice": Network([BENT, "leaky_relu", Linear(2, 1)], input=(2,)),
    "hidden": Network(["relu", Linear(2, 2), BENT, Linear(2, 1)], input=(2,)),
}
"""Networks whose inputs are read by an activation."""


def values_of(equations, network, drawn):
    """What every element is worth where the network's own are these."""
    return Instance({e.array: e for e in equations}, network.sizes, lambda a, at: drawn[a.name, at], exact_field())


def numbers_for(equations, network, seed):
    rng, own = random.Random(seed), {e.array for e in equations}
    arrays = {a for e in equations for a in e.operands} - own
    return {
        (a.name, at): Fraction(2 * rng.randint(-9, 9) + 1, 8)
        for a in sorted(arrays, key=lambda a: a.name)
        for at in product(*(range(network.sizes[axis]) for axis in a.axes))
    }


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("of", ["E", "y"])
def test_a_derivative_by_inputs_that_an_activation_reads_is_one(name, of):
    """By differences, exact as long as no kink is between: all is of degree 2 at most."""
    network = FIRST[name]
    equations = fcsym.gradient(network, of, "x").equations
    known = {e.array for e in equations}
    assert {a for e in equations for a in e.operands if a.role is Role.GATE} <= known
    (result,) = [e.array for e in equations if e.name == f"d{of}_dx"]
    root = next(e.array for e in equations if e.name == of)
    drawn = numbers_for(equations, network, 1)
    by = Fraction(1, 10**6)
    for outputs in product(*(range(network.sizes[axis]) for axis in root.axes)):
        for at in product(range(2)):
            moved = []
            for side in (-1, 1):
                other = {**drawn, ("x", at): drawn["x", at] + side * by}
                moved.append(values_of(equations, network, other).element(root, outputs))
            found = values_of(equations, network, drawn).element(result, (*outputs, *at))
            assert found == (moved[1] - moved[0]) / (2 * by)


@pytest.mark.parametrize("name", FIRST)
def test_gates_of_inputs_stand_in_a_list_only_where_it_differentiates_by_inputs(name):
    """And every gate in a list is one that something after it has."""
    network = FIRST[name]
    weights = next(theta.name for theta in network.trained if theta.name.startswith("W"))
    lists = {"x": fcsym.gradient(network, "E", "x").equations, "W": fcsym.gradient(network, "E", weights).equations}
    lists["step"] = fcsym.derive(network).equations
    for by, equations in lists.items():
        gates = [e.name for e in equations if e.array.role is Role.GATE]
        assert ("gx" in gates) is (by == "x")
        for n, e in enumerate(equations):
            if e.array.role is Role.GATE:
                assert any(e.array in other.operands for other in equations[n + 1 :]), (by, e.name)


def test_what_is_no_equation_of_an_element_by_an_expression_is_not_dense():
    """Cases, and an identity, whose left-hand side is no element."""
    k, b = Index(Axis("K"), "k"), Array("b", 1, (Axis("K"),), role=Role.PARAMETER)
    s = Array("s", 1, (k.axis,), role=Role.PRE_ACTIVATION)
    for e in (
        Equation(s[k], Cases((Branch("all", (), b[k]),)), Rule.CASES, ""),
        Equation(s[k] + b[k], b[k], Rule.IDENTITY, "", label="i"),
        Equation(Ref(Array("e", None, ()), ()), Ref(Array("f", None, ()), ()), Rule.DEFINITION, ""),
    ):
        assert is_dense(e) is False


@pytest.mark.parametrize(
    "pieces",
    [
        [fcsym.Piece(1, 0, -1), fcsym.Piece(2, 2, -3), fcsym.Piece(None, 1, -1)],
        [fcsym.Piece(-2, "1/2", 2), fcsym.Piece(4, "-1/4", "1/2"), fcsym.Piece(None, 3, "-25/2")],
        [fcsym.Piece(0, -3, 1), fcsym.Piece("3/2", -2, 1), fcsym.Piece(None, 4, -8)],
        [fcsym.Piece(0, 1, 0), fcsym.Piece(None, 2, 0)],
    ],
)
def test_a_piece_of_any_slope_vanishes_where_its_function_changes_its_sign(pieces):
    """Or is 0 at the kink that belongs to it."""
    phi = fcsym.piecewise_linear("own", pieces)
    places = [Fraction(n, 24) for n in range(-240, 241)]
    for number in range(len(phi.pieces)):
        assert _vanishes(phi, number) is any(phi.piece_at(s) == number and phi.value_at(s) == 0 for s in places)


def test_why_there_is_no_p_says_what_to_do_about_the_places_that_there_are():
    """Positions of samples are flattened; of too many samples there are to be fewer."""
    positions = Network.sequential((2, 1), [Linear(1, 1), "relu", Linear(1, 1)])
    with pytest.raises(UnknownQuantity, match="flatten what it reads, or ask for dy"):
        fcsym.derive(positions, batch="mean")["p"]
    with pytest.raises(UnknownQuantity, match="give at most 1 samples, or ask for dy"):
        fcsym.derive(Network.mlp([1, 1, 1]), batch="mean", samples=5)["p"]


def test_in_sequential_order_an_error_comes_through_updated_weights_and_an_output_through_none():
    d = fcsym.derive(Network.mlp([2, 2, 2, 1]), "sequential")
    weights = {a.name for name in ("dE_dx", "delta1", "delta2") for a in d[name].operands if a.role is Role.PARAMETER}
    assert weights == {"W1_new", "W2_new", "W3_new"}
    made = fcsym.derive(Network.mlp([2, 2, 2, 1]))
    weights = {a.name for name in ("dE_dx", "delta1") for a in made[name].operands if a.role is Role.PARAMETER}
    assert weights == {"W1", "W2"}


RECURRENT = Network.sequential((2, 1), [GRU(1, 1), Linear(1, 1)])


@pytest.mark.parametrize("network", [RECURRENT, Network.mlp([2, 2, 1], bias=True)], ids=["recurrent", "dense"])
def test_only_what_is_made_of_something_of_a_sample_has_one_for_each(network):
    """A bias that is all that a first step of a recurrence sees is the same for all, in a step and in a derivative."""
    lists = (
        fcsym.derive(network, batch="mean").equations, fcsym.gradient(network, "y", "x", batch="mean").equations,
        fcsym.gradient(network, "E", "x", batch="mean", samples=2).equations,
    )  # fmt: skip
    for equations in lists:
        shared = 0
        for e in equations:
            given = [a for a in e.operands if SAMPLES in a.axes]
            if e.rule is Rule.DEFINITION and not given:
                assert SAMPLES not in e.array.axes, e
            shared += not given and bool(e.operands) and e.array.role is Role.PRE_ACTIVATION
        assert bool(shared) is (network is RECURRENT)


def test_a_derivative_is_called_by_a_quotient_and_an_adjoint_by_its_name():
    for name, text in (
        ("dE_dW1", "dE/dW1"), ("dy_dx", "dy/dx"), ("d2E_dW1_dW2", "d2E/dW1 dW2"), ("adj_r", "adj_r"),
        ("delta", "delta"),
    ):  # fmt: skip
        assert said(Array(name, None, ())) == text
