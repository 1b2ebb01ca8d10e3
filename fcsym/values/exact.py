"""Training steps in exact numbers: fractions, and balls from where a smooth function enters.

The list of equations is evaluated as it stands, by the interpreter that proofs use, and knows no floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.deriving.numbers import Numbers
from fcsym.errors import SizeError, UnsupportedExpression
from fcsym.language.equation import Cases, Equation
from fcsym.language.expression import Apply, Array, Expr, Role
from fcsym.language.formulas import NoRealValue
from fcsym.language.instance import Element, Field, Instance, Plans, first_that_holds, positions
from fcsym.language.smooth_functions import as_formula
from fcsym.networks.symbols import ETA, front_of
from fcsym.values.ball import Ball, ball_of, smooth_at
from fcsym.values.given import Values
from fcsym.values.nested import Nested, nested
from fcsym.values.shown import decimal

__all__ = [
    "MAX_BITS",
    "MAX_SHOWN",
    "Trained",
    "cases_at",
    "evaluated",
    "exact_field",
    "exact_step",
    "numbers",
    "shortened",
    "trained",
]

MAX_SHOWN = 64
"""Numbers of an array up to which documents write it out."""

MAX_BITS = 20_000
"""The length of a fraction from which on it is carried as a ball: while a network trains it doubles and more, step by
step."""


@dataclass(frozen=True)
class Trained:
    """One training step in exact numbers. `before` has every quantity of the derivation, by name, `None` where it has
    no value; `after` is the forward pass with the new weights, `values` what the next step is given.
    """

    before: dict[str, Nested]
    after: dict[str, Nested]
    values: Values


def trained(derivation: Iterable[Equation], values: Values, steps: int = 1) -> Iterator[Trained]:
    """Step after step, each as it is asked for."""
    equations, forward_list = tuple(derivation), forward(values.network)
    for _ in range(steps):
        before = exact_step(equations, values)
        network = values.network
        names = [f"{theta.name}_new" if theta in network.trained else theta.name for theta in network.parameters]
        values = replace(
            values,
            weights=tuple(shortened(before[name]) for name in names),
            memory=tuple(shortened(before[f"{array.name}_new"]) for array in network.memory),
        )
        yield Trained(before, evaluated(forward_list, values), values)


def exact_step(derivation: Iterable[Equation], values: Values) -> dict[str, Nested]:
    """Every quantity of a derivation by name, given and derived, as nested tuples; None where it has no value.

    A statement about the frozen network gives its right-hand side, by the name that kernels have for it (y_front).
    """
    return evaluated(tuple(derivation), values)


def numbers(derivation: Iterable[Equation], values: Values, digits: int) -> Numbers:
    """The step as documents show it, with so many significant digits.

    Raises SizeError for arrays that are too large to be written out.
    """
    network = values.network
    run, arrays = _instance(tuple(derivation), values)
    for array in arrays:
        if (size := prod(network.shape(array))) > MAX_SHOWN:
            raise SizeError(
                f"{array.name} has {size} numbers, and arrays of at most {MAX_SHOWN} are written out: take a narrower "
                "network, or `fcsym step` for the numbers alone."
            )
    text, holds = {}, {}
    for array in arrays:
        equation = run.equations.get(array)
        for place in positions(array, network.sizes):
            value = run.element(array, place)
            text[array.name, place] = "" if value is None else decimal(value, digits).partition(" ±")[0]
            if equation is not None and isinstance(equation.rhs, Cases):
                case = run.branch_at(equation, place)
                holds[array.name, place] = "" if case is None else case.name
    return Numbers(network.sizes, digits, text, holds)


def cases_at(derivation: Iterable[Equation], values: Values, name: str) -> list[tuple[tuple[int, ...], str, Any]]:
    """Each element of a quantity that is defined by cases: its position, the case that holds, and its value.

    Without a name for what has none, and None for the value where it has none.
    """
    run, _ = _instance(tuple(derivation), values)
    equation = next(e for e in run.equations.values() if e.name == name)
    found = []
    for place in positions(equation.array, values.network.sizes):
        branch = run.branch_at(equation, place) if isinstance(equation.rhs, Cases) else None
        found.append((place, "" if branch is None else branch.name, run.element(equation.array, place)))
    return found


def evaluated(
    equations: Sequence[Equation], values: Values, field: Field | None = None, kind: type[Instance] = Instance,
    plans: Plans | None = None,
) -> dict[str, Nested]:  # fmt: skip
    """The same in another field, or with another interpreter. `plans`: shared by many values of one network."""
    run, arrays = _instance(equations, values, field, kind, plans)
    return {array.name: nested(values.network.shape(array), partial(run.element, array)) for array in arrays}


def _instance(
    equations: Sequence[Equation], values: Values, field: Field | None = None, kind: type[Instance] = Instance,
    plans: Plans | None = None,
) -> tuple[Instance, tuple[Array, ...]]:  # fmt: skip
    """Every element computed, and the arrays that there are: those given and those derived."""
    network = values.network
    leaves: dict[Element, Any] = {**values.leaves(), (ETA, ()): values.eta}
    leaves |= {(a, at): v for a, v in network.rule.values.items() for at in positions(a, network.sizes)}
    units = dict.fromkeys(a for e in equations for a in e.operands if a.role is Role.UNIT)
    leaves |= {(a, at): Fraction(int(at[0] == at[1])) for a in units for at in positions(a, network.sizes)}
    given = dict.fromkeys(array for array, _ in leaves)
    defined = {e.array if e.defines else front_of(e.array.unprimed): e for e in equations}
    run = kind(defined, network.sizes, lambda array, place: leaves[array, place], field or exact_field())
    run.plans = plans
    run.fill()
    return run, (*given, *defined)


def exact_field() -> Field:
    """Fractions and balls; what rests on something without a value has none."""

    def apply(node: Apply, _: Element, value: Any) -> Any:
        phi = node.activation
        if value is None:
            return None
        if phi.is_smooth:
            try:
                return smooth_at(as_formula(phi, int(node.derivative)), value)
            except NoRealValue:
                return None
        if isinstance(value, Ball):  # which piece it is on is certain, or is said not to be
            at = sum(value > kink for kink in phi.kinks)
            piece = phi.pieces[at]
            if not node.derivative:
                return value * piece.slope + piece.intercept
            on_kink = piece.upper is not None and value == piece.upper  # a ball of no width
            return ball_of(phi.kink_slopes[at] if on_kink else piece.slope)
        return phi.slope_at(value) if node.derivative else phi.value_at(value)

    def choose(cases: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
        try:
            return first_that_holds(cases, where, value)
        except UnsupportedExpression:  # the digits do not say which case holds: it is a TypeError, too
            raise
        except TypeError:  # a condition about something without a value
            return None

    return Field(
        number=lambda value: value, divide=_divided, apply=apply, choose=choose, add=_sum, mul=_product,
        extreme={"max": _greatest, "min": lambda every: -_greatest([-one for one in every])}, inverse=_inverse,
    )  # fmt: skip


def _divided(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    try:
        return a / b
    except ZeroDivisionError:
        return None


def _sum(terms: list[Any]) -> Any:
    if any(term is None for term in terms):
        return None
    return sum(terms[1:], terms[0]) if terms else Fraction(0)


def _product(factors: list[Any]) -> Any:
    if any(factor is None for factor in factors):
        return None
    if any(not isinstance(factor, Ball) and factor == 0 for factor in factors):
        return Fraction(0)
    return prod(factors[1:], start=factors[0]) if factors else Fraction(1)


def _greatest(every: list[Any]) -> Any:
    """The greatest; of balls, that which is known of it."""
    if any(one is None for one in every):
        return None
    if not any(isinstance(one, Ball) for one in every):
        return max(every)
    return Ball.greatest([ball_of(one) for one in every])


def _inverse(matrix: list[list[Any]]) -> list[list[Any]] | None:
    """By elimination; None where the matrix is singular, or the digits do not say that it is not."""
    size = len(matrix)
    rows = [[*row, *(Fraction(int(n == m)) for m in range(size))] for n, row in enumerate(matrix)]
    if any(entry is None for row in matrix for entry in row):
        return None
    for n in range(size):
        pivot = max(range(n, size), key=lambda m: abs(ball_of(rows[m][n]).middle))  # which may be above all floats
        rows[n], rows[pivot] = rows[pivot], rows[n]
        head = rows[n][n]
        if head.holds_zero if isinstance(head, Ball) else head == 0:
            return None
        rows[n] = [entry / head for entry in rows[n]]
        for m in range(size):
            if m != n:
                factor = rows[m][n]
                rows[m] = [a - factor * b for a, b in zip(rows[m], rows[n], strict=True)]
    return [row[size:] for row in rows]


def shortened(value: Nested) -> Nested:
    """The same numbers; a fraction with more than MAX_BITS as the ball around it."""
    if isinstance(value, tuple):
        return tuple(shortened(part) for part in value)
    if isinstance(value, Fraction) and value.denominator.bit_length() > MAX_BITS:
        return ball_of(value)
    return value
