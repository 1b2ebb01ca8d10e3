"""Quotients: what they divide by, which is a condition of everything proved with them, and how they are multiplied out.

A quotient by array elements is a monomial with negative exponents, and the algebra compares those. A quotient by a sum
is not: there the sum gets a name, the comparison is multiplied by it, and then the name is replaced by the sum again.
What holds then holds wherever no denominator is 0, and nowhere else is anything said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Definition, as_expr, equal, expand, free_in, inline
from fcsym.language.equation import Condition, Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Index,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    add,
    children,
    mul,
    power,
    total,
)

__all__ = ["divides", "divisors", "equal_where_defined", "needed", "never_zero"]


def divisors(node: Expr) -> tuple[Expr, ...]:
    """The factors below a line, each once."""
    return tuple(dict.fromkeys(_divisors(node)))


def _divisors(node: Expr) -> Iterator[Expr]:
    if isinstance(node, Pow) and node.exponent < 0:
        for factor in node.base.factors if isinstance(node.base, Mul) else (node.base,):
            base = factor.base if isinstance(factor, Pow) else factor
            if not isinstance(base, Number):
                yield base
    for child in children(node):
        yield from _divisors(child)


def divides(equation: Equation) -> bool:
    """Whether anything on the right-hand side stands below a line."""
    return any(divisors(node) for node in equation.expressions)


def needed(node: Expr, given: Iterable[Condition], definitions: Mapping[Array, Expr]) -> tuple[Condition, ...]:
    """The denominators of an expression that `given` does not keep away from 0, as conditions that they are not 0."""
    kept = {c.subject for c in given if _keeps(c)}
    found = (d for d in divisors(node) if d not in kept and not never_zero(d, definitions))
    return tuple(Condition(d, "!=") for d in found)


def _keeps(condition: Condition) -> bool:
    match condition.relation:
        case ">":
            return condition.bound >= 0
        case "<=":
            return condition.bound < 0
        case "!=":
            return condition.bound == 0
        case _:
            return condition.bound != 0


def never_zero(node: Expr, definitions: Mapping[Array, Expr]) -> bool:
    """Whether an expression is a sum of squares and of numbers above 0, by its form: |x|^2 + 1."""
    return _sign(node, definitions) == 2


def _sign(node: Expr, definitions: Mapping[Array, Expr]) -> int:
    """2: above 0, 1: not below it, 0: not known."""
    match node:
        case Number(value):
            return 2 if value > 0 else 1 if not value else 0
        case Indicator():
            return 1
        case Apply(phi, _, 0) if phi.name == "exp" and not phi.formula:
            return 2
        case Ref(array, _) if isinstance(definitions.get(array), Apply):
            return _sign(definitions[array], {})
        case Ref(array, ()) if array in definitions:
            return _sign(definitions[array], {a: e for a, e in definitions.items() if a != array})
        case Add(terms):
            signs = [_sign(term, definitions) for term in terms]
            return max(signs) if min(signs) > 0 else 0
        case Mul(factors):
            single = [f for f in factors if factors.count(f) % 2]
            signs = [_sign(f, definitions) for f in single]
            if min(signs, default=1) == 0:
                return 0
            return 2 if len(single) == len(factors) and min(signs) == 2 else 1
        case Pow(base, exponent):
            inside = _sign(base, definitions)
            return 2 if inside == 2 else 1 if exponent % 2 == 0 or (inside and exponent > 0) else 0
        case Total(over, body):
            sign = _sign(body, definitions)
            return sign if not any(index.axis.open for index in over) else min(1, sign)  # others are not empty
        case _:
            return 0


# ------------------------------------------------------------------------------------------------ multiplying out


def equal_where_defined(left: Expr, right: Expr, ones: frozenset[Axis]) -> bool:
    """left = right wherever no denominator is 0.

    Raises UnsupportedExpression where a sum stands below the line that a summed index runs through.
    """
    try:
        return equal(left, right, ones=ones)
    except UnsupportedExpression:
        names: dict[Expr, Ref] = {}
        difference = _named(left - right, names)
        if not names:  # it is something else that is not understood
            raise
    definitions: dict[Array, Definition] = {ref.array: (ref.indices, base) for base, ref in names.items()}
    while polynomial := expand(difference, ones=ones):
        below: dict[Ref, int] = {}
        for monomial in polynomial:
            for ref, exponent in monomial.factors:
                if isinstance(ref, Ref) and ref.array in definitions:
                    if exponent < 0 and set(ref.indices) & set(monomial.bound):
                        raise UnsupportedExpression("A sum below the line depends on an index that is summed over.")
                    below[ref] = max(below.get(ref, 0), -exponent)
        if not below:
            return False
        cleared = mul(as_expr(polynomial), *(power(ref, exponent) for ref, exponent in below.items()))
        difference = inline(as_expr(expand(cleared, ones=ones)), definitions)
    return True


_SYMBOL = "below"  # no network has an array of this name


def _named(node: Expr, names: dict[Expr, Ref]) -> Expr:
    """Every sum below a line gets a name, with the indices that nothing in it binds; the innermost first."""
    match node:
        case Add(terms):
            return add(*(_named(term, names) for term in terms))
        case Mul(factors):
            return mul(*(_named(factor, names) for factor in factors))
        case Total(over, body):
            return total(over, _named(body, names))
        case Pow(base, exponent):
            inside = _named(base, names)
            if exponent > 0 or _is_monomial(inside):
                return power(inside, exponent)
            indices: tuple[Index, ...] = tuple(sorted(free_in(inside)))
            if inside not in names:
                names[inside] = Array(_SYMBOL, len(names), tuple(index.axis for index in indices))[indices]
            return power(names[inside], exponent)
        case _:  # leaves, and what stands for itself
            return node


def _is_monomial(node: Expr) -> bool:
    polynomial = expand(node)
    if not polynomial:
        raise UnsupportedExpression("What stands below the line is 0.")
    return len(polynomial) == 1 and not next(iter(polynomial)).bound
