"""What is divided by, and how an equation is multiplied out, at numbers.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import z3

import fcsym
from fcsym.checking.functions import phi_of
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import smooth
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import ONE, ZERO, Apply, Array, Axis, Index, Mul, add, mul, power, total
from fcsym.proof.quotients import _is_monomial, _sign, divides, equal_where_defined, never_zero
from fcsym.proof.tables import Table

C = Axis("c")
J, K = Index(C, "j"), Index(C, "k")
A, B, D = (Array(name, None, ())[()] for name in "abd")
X, Y = Array("x", None, (C,)), Array("y", None, (C,))
ROWS = (Branch("one", (Condition(A, ">"),), mul(A, power(B, -1))), Branch("none", (Condition(A, "<="),), None))
DIVIDED = {
    "nothing": (mul(A, B), False), "a square": (power(A, 2), False), "one": (mul(A, power(B, -1)), True),
    "under a sum": (total([J], mul(X[J], power(Y[J], -1))), True), "a sum": (power(add(A, B), -2), True),
    "in a row": (Cases(ROWS), True), "in no row": (Cases((ROWS[1],)), False),
}  # fmt: skip


@pytest.mark.parametrize("name", DIVIDED)
def test_an_equation_divides_where_anything_of_it_stands_below_a_line(name):
    rhs, below = DIVIDED[name]
    assert divides(Equation(D, rhs, Rule.DEFINITION, "")) is below


def test_a_factor_that_stands_twice_is_a_square():
    """What is not known to be above 0 is not below it twice; a third time it may be."""
    tanh = Apply(smooth("tanh"), A)
    for times, sign in ((1, 0), (2, 1), (3, 0), (4, 1)):
        assert _sign(Mul((tanh,) * times), {}) == sign
        assert not never_zero(Mul((tanh,) * times), {})


def test_one_product_is_a_monomial_and_a_sum_is_none():
    for node, single in (
        (A, True), (mul(3, A, power(B, -2)), True), (add(A, B), False), (total([J], X[J]), False), (X[J], True),
        (add(A, mul(2, A)), True), (mul(A, add(A, B)), False),
    ):  # fmt: skip
        assert _is_monomial(node) is single, node
    with pytest.raises(UnsupportedExpression, match="What stands below the line is 0"):
        _is_monomial(add(A, mul(-1, A)))


def test_a_sum_of_quotients_by_elements_is_compared_beside_a_quotient_by_a_sum():
    """An element may depend on what is summed over; a sum below the line may not."""
    one = add(total([J], mul(X[J], power(mul(2, Y[J]), -1))), mul(A, power(add(A, B), -1)))
    half = mul(power(add(ONE, ONE), -1), total([K], mul(X[K], power(Y[K], -1))))
    other = add(half, ONE, mul(-1, B, power(add(B, A), -1)))
    assert equal_where_defined(one, other, frozenset())
    assert not equal_where_defined(one, add(other, A), frozenset())
    with pytest.raises(UnsupportedExpression, match="depends on an index that is summed over"):
        equal_where_defined(total([J], power(add(X[J], ONE), -1)), ZERO, frozenset())


@pytest.mark.parametrize("phi", ["sigmoid", "softplus", "exp", "tanh", "silu"])
def test_of_a_function_that_is_never_0_neither_value_is(phi):
    """Before the step and after it; of another one a table knows nothing."""
    d = fcsym.derive(fcsym.Network.mlp([1, 1, 1], phi))
    unit = d.network.hidden[0]
    table = Table(d["p"], unit, gated=True)
    above = [float(phi_of(unit.activation, np.array(s))) > 0 for s in (-9.0, -0.5, 0.0, 3.0)]
    assert bool(table.facts) is all(above)
    for v, dv in product((-2, -1, 0, 1, 2), repeat=2):
        put = ((table.v, z3.RealVal(v)), (table.dv, z3.RealVal(dv)))
        facts = [z3.is_true(z3.simplify(z3.substitute(fact, *put))) for fact in table.facts]
        assert all(facts) is (not table.facts or (v != 0 and v + dv != 0))
