"""Equations written out: one per element, with the names of single numbers instead of indices.

s^1_i = sum_j W^1_ij x_j    =>    s_1 = w_1 x_1 + w_2 x_2,   s_2 = w_3 x_1 + w_4 x_2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import TypeAlias

from fcsym.errors import UnsupportedExpression
from fcsym.language.equation import Branch, Cases, Condition, Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    Written,
    add,
    mul,
    power,
)
from fcsym.render.formula import expression, width

__all__ = ["element_of", "written_out"]

Name: TypeAlias = "Callable[[Array, tuple[int, ...]], Written]"
Binding: TypeAlias = "Mapping[Index, int]"


def written_out(equation: Equation, sizes: Mapping[Axis, int], name: Name) -> Iterator[Equation]:
    """The equation at every position of its left-hand side, in row order."""
    free = equation.lhs.indices if isinstance(equation.lhs, Ref) else ()
    for position in product(*(range(sizes[index.axis]) for index in free)):
        binding = dict(zip(free, position, strict=True))

        def at(node: Expr, binding: Binding = binding) -> Expr:
            return _element(node, binding, sizes, name)

        if isinstance(equation.rhs, Cases):
            rhs: Expr | Cases = Cases(tuple(_branch(branch, at) for branch in equation.rhs))
        else:
            rhs = at(equation.rhs)
        yield replace(equation, lhs=at(equation.lhs), rhs=rhs)


def element_of(side: Expr, lhs: Ref, position: tuple[int, ...], sizes: Mapping[Axis, int], name: Name) -> Expr:
    """A right-hand side, or a condition's subject, at one position of the left-hand side."""
    return _element(side, dict(zip(lhs.indices, position, strict=True)), sizes, name)


def _branch(branch: Branch, at: Callable[[Expr], Expr]) -> Branch:
    when = tuple(Condition(at(c.subject), c.relation, c.bound) for c in branch.when)
    return replace(branch, when=when, value=None if branch.value is None else at(branch.value))


def _element(node: Expr, binding: Binding, sizes: Mapping[Axis, int], name: Name) -> Expr:
    """The expression with its indices bound; a sum over an index becomes a sum of terms."""
    match node:
        case Number() | Written():
            return node
        case Indicator():
            return Number(Fraction(node.at(binding)))
        case Ref(array, indices):
            return name(array, tuple(binding[index] for index in indices))
        case Add(terms):
            return add(*(_element(term, binding, sizes, name) for term in terms))
        case Mul(factors):
            return mul(*(_element(factor, binding, sizes, name) for factor in factors))
        case Pow(base, exponent):
            return power(_element(base, binding, sizes, name), exponent)
        case Total(over, body):
            ranges = [range(sizes[index.axis]) for index in over]
            bound = ({**binding, **dict(zip(over, at, strict=True))} for at in product(*ranges))
            return add(*(_element(body, each, sizes, name) for each in bound))
        case Extreme(kind, over, body):
            ranges = [range(sizes[index.axis]) for index in over]
            bound = ({**binding, **dict(zip(over, at, strict=True))} for at in product(*ranges))
            every = [_element(body, each, sizes, name) for each in bound]
            if len(every) == 1:
                return every[0]
            listed = ", ".join(map(expression, every))
            plain = f"{kind}({', '.join(map(repr, every))})"
            return Written(rf"\{kind}\left({listed}\right)", 3 + sum(width(each) + 1 for each in every), plain)
        case Apply(phi, argument, derivative, known):
            value = None if known is None else _element(known, binding, sizes, name)
            return Apply(phi, _element(argument, binding, sizes, name), derivative, value)
    raise UnsupportedExpression(f"{node!r} cannot be written out: choose the indexed notation.")
