"""What keeps a denominator away from 0, and what a case table asks of a unit, at numbers.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
import z3
from test_small_searches import AT, BY_HAND, KINKS, number

import fcsym
from fcsym import Network
from fcsym.language.activation import smooth
from fcsym.language.equation import Condition
from fcsym.language.expression import ONE, ZERO, Apply, Array, Axis, Index, Number, add, mul, power, total
from fcsym.proof.quotients import _keeps, _sign, needed, never_zero
from fcsym.proof.tables import Table

HALF = Fraction(1, 2)
OPEN, CLOSED = Axis("o", open=True), Axis("c")
N, C = Index(OPEN, "i"), Index(CLOSED, "j")
A, B, D, E, F = (Array(name, None, ())[()] for name in "abdef")
X, Y = Array("x", None, (CLOSED,))[C], Array("y", None, (OPEN,))[N]
V = Array("v", None, (CLOSED,))[C]
EXP, TANH = smooth("exp"), smooth("tanh")
MADE = {
    D.array: add(power(A, 2), ONE), E.array: mul(A, B), F.array: add(D, Apply(EXP, A)), V.array: Apply(EXP, X),
}  # fmt: skip
"""What some names stand for."""
SIGNS = {
    "2": (Number(2), 2), "0": (ZERO, 1), "-1": (Number(-1), 0), "a": (A, 0), "a^2": (power(A, 2), 1),
    "a^3": (power(A, 3), 0), "a^-2": (power(A, -2), 1), "a^-1": (power(A, -1), 0), "ab": (mul(A, B), 0),
    "a^2 b": (mul(power(A, 2), B), 0), "-a^2": (mul(-1, power(A, 2)), 0), "3 a^2": (mul(3, power(A, 2)), 1),
    "a^2 b^2": (mul(power(A, 2), power(B, 2)), 1), "exp": (Apply(EXP, A), 2), "tanh": (Apply(TANH, A), 0),
    "exp'": (Apply(EXP, A, 1), 0), "exp exp": (mul(Apply(EXP, A), Apply(EXP, B)), 2),
    "a^2 exp": (mul(power(A, 2), Apply(EXP, B)), 1), "exp^-3": (power(Apply(EXP, A), -3), 2),
    "a^2 + 1": (add(power(A, 2), ONE), 2), "a^2 + b^2": (add(power(A, 2), power(B, 2)), 1),
    "a^2 - 1": (add(power(A, 2), Number(-1)), 0), "a + 1": (add(A, ONE), 0), "d": (D, 2), "e": (E, 0), "f": (F, 2),
    "d e": (mul(D, E), 0), "(a^2 + 1)^-1": (power(add(power(A, 2), ONE), -1), 2),
    "(a^2 + 1)^3 b^2": (mul(power(add(power(A, 2), ONE), 3), power(B, 2)), 1),
    "sum x^2": (total([C], power(X, 2)), 1), "sum exp": (total([C], Apply(EXP, X)), 2),
    "sum exp, maybe of none": (total([N], Apply(EXP, Y)), 1), "sum x": (total([C], X), 0), "v": (V, 2),
    "sum v": (total([C], V), 2), "(sum x^2)^3": (power(total([C], power(X, 2)), 3), 1),
}  # fmt: skip
"""Expressions, with 2 for what is above 0, 1 for what is not below it, and 0 for what may be anything."""


@pytest.mark.parametrize("name", SIGNS)
def test_what_is_never_0_is_seen_by_its_form(name):
    node, sign = SIGNS[name]
    assert _sign(node, MADE) == sign
    assert never_zero(node, MADE) == (sign == 2)
    if not isinstance(node, Number):
        below = tuple(c.subject for c in needed(power(node, -1), (), MADE))
        assert (not below) or sign < 2


@pytest.mark.parametrize("relation", [">", "<=", "=", "!="])
def test_a_condition_keeps_0_away_where_0_does_not_fulfil_it(relation):
    """And no others: a point of the condition's own that is 0 is none of it."""
    for bound in (-1, -HALF, 0, HALF, 1):
        condition = Condition(A, relation, Fraction(bound))
        fulfilled = {">": bound < 0, "<=": bound >= 0, "=": bound == 0, "!=": bound != 0}[relation]
        assert _keeps(condition) is not fulfilled
        assert (needed(power(A, -1), [condition], {}) == ()) is not fulfilled


@pytest.mark.parametrize("array", ["dv1", "p"])
@pytest.mark.parametrize("name", KINKS)
def test_rows_of_a_table_hold_at_the_numbers_of_their_conditions(name, array):
    """Of a unit by hand: its pre-activation and its value, before and after; one of them at every point."""
    d = fcsym.derive(Network.mlp([1, 1, 1], KINKS[name]))
    unit, phi = d.network.hidden[0], BY_HAND[name][0]
    table = Table(d[array], unit, gated=False)
    for s, ds in product(AT, AT):
        put = [(table.s, z3.RatVal(*s.as_integer_ratio())), (table.ds, z3.RatVal(*ds.as_integer_ratio()))]
        dv = phi(s + ds) - phi(s)
        assert (number(table.v, *put), number(table.dv, *put)) == (phi(s), dv)
        values = {"s1": s, "s1_new": s + ds, "ds1": ds, "v1": phi(s), "vc": phi(s), "dv1": dv}
        held = []
        for row in d[array].rhs:
            wanted = all(c.holds(values[c.subject.array.name]) for c in row.when)
            assert z3.is_true(z3.simplify(z3.substitute(table._row(row), *put))) == wanted, (row.name, s, ds)
            held.append(wanted)
        assert sum(held) == 1
    assert table.covers() and table.excludes() and table.understood()


@pytest.mark.parametrize("name", [*KINKS, "tanh"])
def test_a_unit_below_which_nothing_moves_stays_as_it_is(name):
    d = fcsym.derive(Network.mlp([1, 1, 1], KINKS.get(name, name)))
    table = Table(d["p"], d.network.hidden[0], gated=False, still=True)
    moved = table.dv if name == "tanh" else table.ds
    assert len(table.facts) == 1
    for change in (Fraction(0), Fraction(1), Fraction(-1, 2)):
        fact = z3.simplify(z3.substitute(table.facts[0], (moved, z3.RatVal(*change.as_integer_ratio()))))
        assert z3.is_true(fact) == (change == 0) and z3.is_false(fact) == (change != 0)
