"""Rewriting terms of a step: what is put in the place of sums and of numbers that every unit has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Monomial, expand, replaced
from fcsym.language.equation import Equation
from fcsym.language.expression import Apply, Array, Expr, Mul, Ref, Role, Total, add, children, mul, total
from fcsym.networks.symbols import gate_of

__all__ = ["fewer", "of_each", "of_group", "offset_of", "one_of", "read_back", "visited"]


def offset_of(s: Array) -> Array:
    """o, the intercept of the piece on which a unit is."""
    return replace(gate_of(s), symbol="o")


def one_of(s: Array) -> Array:
    """1 for every unit."""
    return Array("one", s.layer, s.axes[-1:], role=Role.UNIT, of=s)


def of_group(array: Array) -> bool:
    """Whether the units of a group have it in common."""
    return array.role is Role.GATE


def visited(node: Expr, visit: Callable[[Expr], Expr]) -> Expr:
    """The node with its parts changed."""
    if isinstance(node, Total):
        return total(node.over, visit(node.body))
    if isinstance(node, Apply):
        raise UnsupportedExpression(f"{node!r} is no polynomial.")
    if not children(node):
        return node
    if isinstance(node, Mul):
        return mul(*map(visit, node.factors))
    if hasattr(node, "terms"):
        return add(*map(visit, children(node)))
    return type(node)(*map(visit, children(node)), node.exponent)  # type: ignore[attr-defined,call-arg]


def fewer(monomial: Monomial) -> Expr:
    """one[c, j] w[c, j] => w[c, j],  one[c, j]^2 => one[c, j]."""
    rest: list[Expr] = []
    for factor, exponent in monomial.factors:
        if isinstance(factor, Ref) and factor.array.role is Role.UNIT:
            others = (f for f, _ in monomial.factors if f != factor)
            if any(factor.indices[-1] in f.indices for f in others):
                continue
            rest.append(factor)
        else:
            rest.append(factor**exponent)
    return total(monomial.bound, mul(*rest))


def read_back(node: Expr, shorter: Callable[[Monomial], Expr]) -> Expr:
    """sum_i W1[j, i] x[n, i] => s1[n, j] - b1[j], and sum_i x[n, i] x[m, i] => a[n, m] (- 1), in every term."""
    while True:
        parts = [mul(c, shorter(monomial)) for monomial, c in expand(node).items()]
        again = add(*(monomial.expr(c) for monomial, c in expand(add(*parts)).items()))
        if again == node:
            return node
        node = again


def of_each(equation: Equation, shift: Array, one: Array) -> Equation:
    """b => b one[j] on the right-hand side."""
    assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
    j = equation.lhs.indices[-1]
    return replace(equation, rhs=replaced(equation.rhs, lambda ref: ref * one[j] if ref.array == shift else ref))
