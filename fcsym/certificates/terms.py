"""What a certificate asks of an expression: what it is after a step, what it divides by, what is left of empty sums."""

from __future__ import annotations

from collections.abc import Iterator

from fcsym.language.algebra import replaced
from fcsym.language.equation import Cases, Equation
from fcsym.language.expression import ZERO, Add, Array, Axis, Expr, Pow, Ref, Total, add, children, total

__all__ = ["after", "cases_of", "divisors", "parts", "without"]


def cases_of(e: Equation) -> tuple[str | None, ...]:
    """What there is a verdict on: the equation as a whole, and each of its rows by name."""
    return (None, *((row.name for row in e.rhs) if isinstance(e.rhs, Cases) else ()))


def after(e: Equation, changed: set[Array]) -> Equation:
    """The same equation of the values after a step."""
    assert isinstance(e.rhs, Expr)

    def primed(node: Expr) -> Expr:
        return replaced(node, lambda ref: ref.array.primed[ref.indices] if ref.array in changed else ref)

    return Equation(primed(e.lhs), primed(e.rhs), e.rule, e.because)


def parts(node: Expr) -> Iterator[Expr]:
    """The expression, and everything in it."""
    yield node
    for part in children(node):
        yield from parts(part)


def divisors(node: object) -> list[Ref]:
    """What an expression divides by; nothing, for what is none."""
    found = [p.base for p in (parts(node) if isinstance(node, Expr) else ()) if isinstance(p, Pow) and p.exponent < 0]
    return list(dict.fromkeys(ref for ref in found if isinstance(ref, Ref)))


def without(axis: Axis, node: Expr) -> Expr:
    """The expression where an axis is empty: sums over it are 0."""
    if isinstance(node, Total):
        return ZERO if any(i.axis == axis for i in node.over) else total(node.over, without(axis, node.body))
    if isinstance(node, Add):
        return add(*(without(axis, term) for term in node.terms))
    return node
