"""An array that two functions read has two slopes, of which one alone is its gate.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import mpmath
import pytest

import fcsym
from fcsym import Concatenate, Linear, Network
from fcsym.equations import apply, hidden, indices, input_, parameter, total
from fcsym.language import smooth_functions
from fcsym.language.algebra import rewritten
from fcsym.language.expression import Apply, Role
from fcsym.language.instance import Field, Instance, first_that_holds, positions
from fcsym.layers import Node
from fcsym.networks.symbols import gate_of
from fcsym.proof.general import General

i, j, k = indices("i j k")
x, U, W = input_("x", j), parameter("W1", i, j), parameter("W2", k, i)
s, t, v, u, w, y = (hidden(name, k if name == "y" else i) for name in "stvuwy")
FIRST, LAST = (s[i], total(j, U[i, j] * x[j])), (y[k], total(i, W[k, i] * w[i]))


def product_of(*functions):
    """s, what two or three functions make of it, and the product of that."""
    parts = [(array[i], apply(phi, s[i])) for array, phi in zip((v, u, t), functions, strict=False)]
    made = v[i] * u[i] * (t[i] if len(functions) > 2 else 1)
    return Network.from_equations([FIRST, *parts, (w[i], made), LAST], {"i": 2, "j": 1, "k": 1})


def beside(*functions):
    """A linear map, and what two functions make of it, beside each other."""
    nodes = [Node(phi, f"f{n}", ("a",)) for n, phi in enumerate(functions)]
    made = Node(Concatenate(), "c", tuple(node.name for node in nodes))
    return Network([Node(Linear(1, 1), "a", ("x",)), *nodes, made, Node(Linear(len(functions), 1), "y")], input=(1,))


READ = {
    "relu and tanh": product_of("relu", "tanh"),
    "tanh and relu": product_of("tanh", "relu"),
    "leaky relu, relu and sigmoid": product_of("leaky_relu", "relu", "sigmoid"),
    "one twice": product_of("tanh", "tanh"),
    "beside each other": beside("relu", "tanh"),
    "smooth ones beside each other": beside("softplus", "silu"),
}


@cache
def derived(name, order):
    return fcsym.derive(READ[name], order=order)


def values(record, given):
    """What a list makes of these numbers: each element that it defines."""

    def number(value):
        return mpmath.mpf(value.numerator) / value.denominator

    def apply_to(node, _, value):
        phi = node.activation
        if phi.is_smooth:
            return smooth_functions.value(phi, node.derivative, value)
        piece = phi.pieces[sum(value > number(kink) for kink in phi.kinks)]
        return number(piece.slope) if node.derivative else number(piece.slope) * value + number(piece.intercept)

    def leaf(array, at):
        return mpmath.mpf(at[0] == at[1]) if array.role is Role.UNIT else given[array.name, at]

    field = Field(number, lambda a, b: a / b, apply_to, first_that_holds)
    return Instance({e.array: e for e in record.equations}, record.network.sizes, leaf, field)


@pytest.mark.parametrize("of", ["E", "dE/dW1"])
@pytest.mark.parametrize("name", READ)
def test_its_derivative_is_the_quotient_of_small_differences(name, of):
    """By a weight below, to fifteen digits: in numbers, with no rule of differentiation."""
    network = READ[name]
    record = fcsym.gradient(network, of, "W1")
    assert record.proof.holds
    source = random.Random(name)
    arrays = (*network.parameters, network.input, network.target)
    places = [(a.name, at) for a in arrays for at in positions(a, network.sizes)]
    (result,) = record.results
    root = next(e.array for e in record.equations if e.name == record.of)
    with mpmath.workdps(45):
        given = {place: mpmath.mpf(source.randint(1, 40)) / 16 for place in places}
        here, step = values(record, given), mpmath.mpf(10) ** -15
        for at in (at for array, at in places if array == "W1"):
            above, below = (values(record, given | {("W1", at): given["W1", at] + h}) for h in (step, -step))
            for own in positions(root, network.sizes):
                found = here.element(result.array, (*own, *at))
                slope = (above.element(root, own) - below.element(root, own)) / (2 * step)
                assert abs(slope - found) < step * (1 + abs(found)) and found


def gate_in_its_place(part):
    """The gate of what a function reads, for the slope of any function."""
    if isinstance(part, Apply):
        return gate_of(part.argument.array)[part.argument.indices] if part.derivative else part
    return None


@pytest.mark.parametrize("name", READ)
def test_what_is_derived_of_it_is_proved_and_nothing_else(name, order):
    """With the gate in the place of the other slopes index notation alone sees that an adjoint is wrong."""
    d = derived(name, order)
    functions = {e.rhs.activation for e in d.equations if e.array.role is Role.ACTIVATION and isinstance(e.rhs, Apply)}
    assert d.proof.holds, d.proof
    meanings = General.of(d.network, d.order, d.by_name)
    slopes = 0
    for e in d.equations:
        if e.array.role is not Role.ADJOINT:
            continue
        wrong = rewritten(e.rhs, gate_in_its_place)
        if wrong != e.rhs:
            slopes += 1
            assert meanings.holds(e) is True and meanings.holds(replace(e, rhs=wrong)) is False
    assert slopes == (len(functions) > 1)


@pytest.mark.parametrize("name", ["beside each other", "smooth ones beside each other"])
def test_its_step_is_the_one_of_automatic_differentiation(name):
    assert fcsym.check(derived(name, "simultaneous"), trials=1, seed=0).passed
