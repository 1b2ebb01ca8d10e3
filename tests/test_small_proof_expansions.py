"""What is expanded in full and what is evaluated at points, and the numbers that both are made of.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
import sympy
from test_small_proofs import mlp

import fcsym
from fcsym.language.activation import smooth
from fcsym.language.equation import Rule, Status
from fcsym.language.expression import Array, mul, power
from fcsym.language.instance import positions
from fcsym.networks.symbols import ETA, gate_of
from fcsym.proof import expanded, numbers
from fcsym.proof.expanded import Expansion, _divides, random_points
from fcsym.proof.numbers import Quotient, Residue, digest, drawn

Y, T = sympy.symbols("y t", real=True)
BELOW = {
    "squares": (mlp([1, 1, 1]), False),
    "huber": (mlp([1, 1, 1], loss="huber"), False),
    "hinge": (mlp([1, 1, 1], loss="hinge"), False),
    "softplus, whose slope is a sigmoid": (mlp([1, 1, 1], loss="bce_logits"), False),
    "log, whose slope is 1/s": (mlp([1, 1, 1], loss=fcsym.loss("own", sympy.log(Y**2 + T**2 + 1))), True),
    "a softmax": (mlp([1, 1, 2], output="softmax", loss="cross_entropy"), True),
    "exp, which is its own slope": (mlp([1, 1, 1], loss=fcsym.loss("own", sympy.exp(Y) - T * Y)), False),
    "sqrt, by whose value it is": (mlp([1, 1, 1], loss=fcsym.loss("own", sympy.sqrt(Y**2 + T**2 + 1))), True),
    "a sum of samples": (mlp([1, 1, 1]).training(batch="sum"), False),
    "a mean of samples": (mlp([1, 1, 1]).training(batch="mean"), True),
    "momentum": (mlp([1, 1, 1]).training("momentum"), False),
    "adam": (mlp([1, 1, 1]).training("adam"), True),
}  # fmt: skip


@pytest.mark.parametrize("name", BELOW)
def test_quotients_are_where_a_loss_its_slopes_or_a_rule_has_something_below_a_line(name):
    network, divides = BELOW[name]
    assert _divides(network) is divides


SLOPES = {
    "exp": lambda s, value, slope: slope - value,
    "sqrt": lambda s, value, slope: slope * value - Residue.of(Fraction(1, 2)),
    "log": lambda s, value, slope: slope * s - Residue(1),
}


@pytest.mark.parametrize("name", SLOPES)
def test_what_is_known_of_a_slope_holds_at_random_points(name):
    """exp' = exp, 2 sqrt sqrt' = 1, s log' = 1; the value itself is free."""
    source = Array("q", None, ()), ()
    for arithmetic in random_points(frozenset(), "seed"):
        s = arithmetic.variable("s")
        value, slope = arithmetic.function(smooth(name), source, s)
        assert SLOPES[name](s, value, slope) == Residue(0)
        assert len({s.value, value.value, slope.value}) == (2 if name == "exp" else 3)


@pytest.mark.parametrize("layers", range(1, 6))
def test_up_to_three_layers_more_terms_are_admitted(layers, monkeypatch):
    """There the count overshoots, and what it admits is measured."""
    network = mlp([1] * (layers + 1), "identity")
    d = fcsym.derive(network)
    for most, deep in [("MAX_TERMS", False), ("MAX_TERMS_DEEP", True)]:
        with monkeypatch.context() as patch:
            patch.setattr(expanded, most, 0)
            assert Expansion(network, d.order, d.by_name).in_full is ((layers > 3) is not deep)


def test_terms_are_admitted_up_to_the_limit_and_not_beyond(monkeypatch):
    """Those of the largest of all values, once like ones are collected; and those of both sides of an integral."""
    d = fcsym.derive(mlp([1, 1, 1]))
    whole = Expansion(d.network, d.order, d.by_name)
    most = max(len(value) for value in whole._worlds[0].truth.values())
    for limit in (most - 1, most, most + 1):
        monkeypatch.setattr(expanded, "MAX_COLLECTED", limit)
        assert Expansion(d.network, d.order, d.by_name).in_full is (limit >= most)
    row = next(b for b in d["P"].rhs if b.status is Status.VALUE)
    counting = expanded._counting(whole.units, [])
    sides = expanded._World(whole, counting, whole._truth(counting, (1, 1))).integral_sides(d["P"], row)
    most = max(side.numerator.terms for pair in sides for side in pair)
    for limit in (most - 1, most, most + 1):
        monkeypatch.setattr(expanded, "MAX_TERMS", limit)
        assert whole.integral_in_full(d["P"], row, (1, 1)) is (limit >= most)


@pytest.mark.parametrize("widths", [[1, 1, 1], [2, 1, 2, 1]])
def test_the_gate_of_an_identity_is_one(widths):
    """In full and at points, so that its adjoints are those of a linear layer."""
    network = mlp(widths, "identity")
    d = fcsym.derive(network)
    expansion = Expansion(network, d.order, d.by_name)
    small = expansion.network
    assert small.hidden and expansion.in_full
    for world in expansion._worlds:
        for unit in small.hidden:
            for at in positions(unit.s, small.sizes):
                assert world.truth[gate_of(unit.s), at] == 1
                assert world.truth[unit.v, at] == world.truth[unit.s, at]
    assert all(expansion.holds(d[f"delta{n}"]) is True for n in range(1, len(widths)))


def test_what_is_not_evaluated_is_not_expanded():
    """A quotient with an array that has no value here."""
    d = fcsym.derive(mlp([1, 1, 1]))
    expansion = Expansion(d.network, d.order, d.by_name)
    strange, eta = Array("q", None, ())[()], ETA[()]
    assert expansion.in_full
    for rhs, said in [
        (mul(d["y"].rhs, power(eta, -1), eta + 1), True),
        (mul(strange, power(eta + 1, -1)), False),
        (mul(d["y"].rhs, power(strange, -1)), False),
    ]:
        equation = replace(d["y"], rhs=rhs)
        assert expansion.expands(equation) is said
        assert (expansion.holds(equation) is None) is not said


COMPUTED = [operator.add, operator.sub, operator.mul, operator.truediv]


@pytest.mark.parametrize("compute", COMPUTED)
def test_a_quotient_computes_as_a_fraction_does(compute):
    """Of integers above and below the line, alike ones or not."""
    every = list(product((-3, 0, 1, 2), (1, 2, 5)))
    for (a, b), (c, d) in product(every, repeat=2):
        if compute is operator.truediv and not c:
            with pytest.raises(ZeroDivisionError):
                compute(Quotient(a, b), Quotient(c, d))
            continue
        found = compute(Quotient(a, b), Quotient(c, d))
        wanted = compute(Fraction(a, b), Fraction(c, d))
        assert Fraction(found.numerator, found.denominator) == wanted
        assert found == Quotient(wanted.numerator, wanted.denominator) != Quotient(wanted.numerator + 1, 1)


def test_points_are_other_ones_for_whatever_else_is_examined():
    """64 letters that follow from all of it, and from the order of it."""
    given = [(), ("a",), ("b",), ("a", "b"), ("b", "a"), (1, "a"), (Rule.CASES, "a"), ("ab",)]
    made = [digest(*one) for one in given]
    assert made == [digest(*one) for one in given] and len(set(made)) == len(given)
    assert all(len(one) == 64 and set(one) <= set("0123456789abcdef") for one in made)
    d, other = (fcsym.derive(mlp([1, 1, 1]), order=order) for order in ("simultaneous", "sequential"))
    seeds = [Expansion(one.network, one.order, one.by_name).seed for one in (d, d, other)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_numbers_are_drawn_from_1_up_to_what_is_no_multiple_of_the_prime(monkeypatch):
    """Each of them, and 0 never: by it nothing could be divided."""
    monkeypatch.setattr(numbers, "PRIME", 7)
    assert {drawn("seed", str(n)) for n in range(200)} == set(range(1, 7))
    assert len({drawn("seed", "x"), drawn("seed", "x")}) == 1
