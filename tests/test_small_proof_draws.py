"""The numbers at which patterns and steps are tried, and what is computed with them.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import z3
from test_small_proofs import mlp

import fcsym
from fcsym import Conv1d, Flatten, Linear, MultiheadAttention, Network
from fcsym.errors import SizeError
from fcsym.language.equation import Rule
from fcsym.language.expression import Expr, Extreme
from fcsym.language.instance import positions
from fcsym.proof import joint as joints
from fcsym.proof.points import Points, World, rationals, residues

PARTS = [*map(Fraction, (-1, 0, 1, 2, 3)), Fraction(1, 2), Fraction(-1, 2), Fraction(2, 3), Fraction(-5, 4)]


def test_a_product_of_a_fraction_and_a_term_is_that():
    """In either order, and of two of a kind; 0 times a term is 0, and no term any more."""
    x, at = z3.Real("x"), Fraction(7, 3)
    put = (x, z3.RatVal(7, 3))
    for one, other in product([*PARTS, x], repeat=2):
        found = joints._product(one, other)
        wanted = (at if one is x else one) * (at if other is x else other)
        if z3.is_expr(found):
            value = z3.simplify(z3.substitute(found, put))
            found = Fraction(value.numerator_as_long(), value.denominator_as_long())
            assert one is x or other is x
        assert found == wanted
    assert joints._product(Fraction(0), x) == joints._product(x, Fraction(0)) == Fraction(0)


@pytest.mark.parametrize("inputs", [1, 2])
def test_a_second_input_is_drawn_where_there_are_two(inputs, monkeypatch):
    """And is the first one where there is one; a network of the batch is given with that many."""
    monkeypatch.setattr(joints, "_BATCH", 50)
    draw = joints._Draw.of(mlp([2, 2, 1], bias=True), inputs, np.random.default_rng(3))
    assert draw.x.shape == draw.other.shape == (50, 2)
    assert (draw.other is draw.x) is (inputs == 1) is bool((draw.other == draw.x).all())
    for n in range(50):
        at = draw.witness(n)
        assert at.inputs == inputs and (at.x == at.other or inputs == 2)


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_the_pattern_at_numbers_is_the_same_by_hand_and_by_the_reference(order, inputs, monkeypatch):
    """Of the input that the step sees and of another one, which units leave for either side."""
    monkeypatch.setattr(joints, "_BATCH", 30)
    network = mlp([1, 2, 1], bias=True)
    draw = joints._Draw.of(network, inputs, np.random.default_rng(5))
    found = [joints._pattern_at(network, order, draw.witness(n)) for n in range(30)]
    assert found == [joints._pattern_of(network, order, draw.witness(n)) for n in range(30)]
    assert inputs == 1 or any(before != after for pattern in found for before, after in pattern)


@pytest.mark.parametrize("units", [6, 29, 30])
def test_patterns_that_are_too_many_are_counted_up_to_a_million_million_million(units):
    """Four of each relu: it was dead or active, and is so after the step."""
    number = f"{4**units}" if 4**units < 10**18 else r"more than 10\^18"
    with pytest.raises(SizeError, match=rf" has {number} joint patterns of {units} hidden .*: up to 1024 patterns "):
        joints.joint(mlp([1, units, 1]))


def test_the_greatest_of_one_key_is_that_key():
    """A softmax over one position, whose slopes are 0: in rationals and modulo the prime."""
    network = Network.sequential((1, 1), [MultiheadAttention(1, 1), Linear(1, 1)])
    d = fcsym.derive(network)
    points = Points(d.network, d.order, d.by_name)
    assert any(isinstance(e.rhs, Extreme) for e in d.equations)
    world = World(points, residues("seed"))
    assert all(world.holds(e) for e in d.equations if isinstance(e.rhs, Expr) and e.rule is Rule.ADJOINT)


@pytest.mark.parametrize("numbers", [residues("seed"), rationals(1)], ids=["residues", "rationals"])
def test_what_nothing_reads_has_a_number_too(numbers):
    """The last input of a convolution that does not reach it; the same one each time."""
    network = Network([Conv1d(1, 1, 2, stride=2), "relu", Flatten(), Linear(1, 1)], input=(1, 3))
    d = fcsym.derive(network)
    world = World(Points(d.network, d.order, d.by_name), numbers)
    for at in positions(network.input, network.sizes):
        value = world._known(network.input, at)
        assert value is not None and world.value(network.input, at) == value == world._known(network.input, at)


@pytest.mark.parametrize("rule", [{}, {"rule": "momentum"}])
def test_a_parameter_moves_by_the_change_that_has_a_name(rule):
    """By what it is after the step less what it was before, whatever the rule is."""
    d = fcsym.derive(Network.sequential((1, 1), [MultiheadAttention(1, 1), Linear(1, 1)]), **rule)
    world = World(Points(d.network, d.order, d.by_name), residues("seed"))
    changes = [e for e in d.equations if e.array.of in d.network.trained and e.array.name.startswith("dW")]
    assert all(world.holds(e) for e in changes) and (changes or not rule)
    assert all(world.holds(e) for e in d.equations if e.rule is Rule.UPDATE)
