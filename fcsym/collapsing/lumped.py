"""Fewer numbers than the finder's: sums of its quantities that move by themselves, by linear algebra.

Where the other indices of what is contracted have length one, a pattern has a few numbers q, and with the errors as
they come its step is linear: q' = sum_e e A_e q, with e the products of eta and of errors. What the output reads is a
row of coefficients; the rows that the A_e make of it span a space, and where that is smaller than q it is a state of
its own. A basis of it is read off the rows in the order in which they come (constrained linear lumping).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy

from fcsym.collapsing.equations import Closure, lettered
from fcsym.collapsing.quantities import Quantity, Term, Use
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Add, Array, Expr, Index, Role, add, arrays_in, mul, number, power, total

__all__ = ["NotLinear", "Scalars", "block_of", "lumped", "matrices"]

_DRIVING = (Role.HYPER_PARAMETER, Role.ADJOINT)


def lumped(closure: Closure) -> Closure | None:
    """The same with fewer numbers; None where there are none fewer, or where a step is not linear."""
    block = block_of(closure)
    if len(block) < 2:
        return None
    scalars = Scalars(closure, block)
    try:
        rows = [_row(terms, block, scalars) for terms in closure.found.observed.values()]
        rows = [row for row in rows if any(row)]
        steps = matrices({q: closure.found.steps[q] for q in block}, block, scalars)
    except NotLinear:
        return None
    basis = _span([_clean(row) for row in rows], steps)
    if len(basis) >= len(block):
        return None
    return _rewritten(closure, block, scalars, basis, steps)


class NotLinear(Exception):
    """A step has a product of two quantities, reads one outside of the pattern, or knows several numbers at once."""


def block_of(closure: Closure) -> tuple[Quantity, ...]:
    """The quantities of a pattern, where every other index of theirs has length one; () where it has not."""
    network, held = closure.network, closure.found.held
    groups = set(held.groups.values())
    if len(groups) != 1:
        return ()
    found = []
    for quantity in closure.found.quantities:
        own = [axis for axis in quantity.free if axis in groups]
        if not own:
            continue
        if len(own) > 1 or any(network.sizes.get(axis) != 1 for axis in quantity.free if axis not in groups):
            return ()
        found.append(quantity)
    return tuple(found)


class Scalars:
    """SymPy symbols for what is known, which has one value for each pattern or for all."""

    def __init__(self, closure: Closure, block: Sequence[Quantity]) -> None:
        groups = closure.found.held.groups
        self.group = Index(next(iter(groups.values())), "c")
        self.known: dict[sympy.Symbol, Expr] = {}
        self.driving: set[sympy.Symbol] = set()
        self.block = block
        self.lengths = closure.network.sizes

    def of(self, use: Use) -> sympy.Symbol:
        """The symbol of a known number."""
        quantity = use.quantity
        array = quantity.arrays[0]
        alone = all(axis == self.group.axis or self.lengths.get(axis) == 1 for axis in array.axes)
        if len(quantity.factors) != 1 or quantity.bound or not alone:
            raise NotLinear
        symbol = sympy.Symbol(array.name, real=True)
        self.known[symbol] = _only(array, self.group)
        if array.role in _DRIVING:
            self.driving.add(symbol)
        return symbol


def _only(array: Array, group: Index) -> Expr:
    """The one element of an array for a pattern: sums over axes of length one."""
    indices = tuple(group if axis == group.axis else Index(axis, f"u{n}") for n, axis in enumerate(array.axes))
    over = tuple(index for index in indices if index != group)
    return total(over, array[indices])


def _row(terms: Sequence[Term], block: Sequence[Quantity], scalars: Scalars) -> list[Any]:
    """The coefficients of the quantities in a sum of terms."""
    row: list[Any] = [sympy.Integer(0)] * len(block)
    for term in terms:
        inside = [use for use in term.uses if use.quantity in block]
        if not inside:
            continue
        if len(term.uses) != 1:
            raise NotLinear
        value = sympy.Rational(term.coefficient.numerator, term.coefficient.denominator)
        row[block.index(inside[0].quantity)] += value * sympy.prod(map(scalars.of, term.data))
    return row


def matrices(
    steps: Mapping[Quantity, Sequence[Term]], block: Sequence[Quantity], scalars: Scalars
) -> dict[Any, sympy.Matrix]:
    """A_e for each product e of what drives the step."""
    rows = []
    for quantity in block:
        if any(use.quantity not in block for term in steps[quantity] for use in term.uses):
            raise NotLinear
        if any(not term.uses for term in steps[quantity]):
            raise NotLinear
        rows.append(_row(steps[quantity], block, scalars))
    driving = sorted(scalars.driving, key=str)
    found: dict[Any, sympy.Matrix] = {}
    for n, row in enumerate(rows):
        for m, entry in enumerate(row):
            for powers, coefficient in sympy.Poly(entry, *driving).terms() if driving else [((), entry)]:
                monomial = sympy.prod(d**p for d, p in zip(driving, powers, strict=True))
                matrix = found.setdefault(monomial, sympy.zeros(len(block), len(block)))
                matrix[n, m] += coefficient
    return found


def _clean(row: Sequence[Any]) -> tuple[Any, ...]:
    """The row without a common factor."""
    together = [sympy.together(entry) for entry in row]
    below = sympy.lcm_list([sympy.denom(entry) for entry in together]) if together else 1
    above = [sympy.cancel(entry * below) for entry in together]
    shared = sympy.gcd_list([entry for entry in above if entry != 0])
    made = [sympy.cancel(entry / shared) for entry in above]
    first = next(entry for entry in made if entry != 0)
    sign = -1 if first.could_extract_minus_sign() else 1
    return tuple(sign * entry for entry in made)


def _span(rows: Sequence[tuple[Any, ...]], steps: Mapping[Any, sympy.Matrix]) -> list[tuple[Any, ...]]:
    """A basis of the smallest space that has these rows and all that the steps make of them."""
    basis: list[tuple[Any, ...]] = []
    waiting = list(rows)
    while waiting:
        row = waiting.pop(0)
        if not any(row) or _within(row, basis):
            continue
        basis.append(_clean(row))
        for _, matrix in sorted(steps.items(), key=lambda item: str(item[0])):
            made = sympy.Matrix([basis[-1]]) * matrix
            waiting.append(tuple(sympy.cancel(entry) for entry in made))
    return basis


def _within(row: Sequence[Any], basis: Sequence[Sequence[Any]]) -> bool:
    if not basis:
        return False
    return bool(sympy.Matrix([*basis, row]).rank() <= len(basis))


def _rewritten(
    closure: Closure, block: Sequence[Quantity], scalars: Scalars, basis: Sequence[Sequence[Any]],
    steps: Mapping[Any, sympy.Matrix],
) -> Closure:  # fmt: skip
    """The equations in the fewer numbers."""
    c, network = scalars.group, closure.network
    names = [Array("T", n, (c.axis,)) for n in range(1, len(basis) + 1)]
    by_quantity = dict(zip(closure.found.quantities, closure.definitions, strict=True))
    gone = {by_quantity[q].array for q in block}
    old = [_only(by_quantity[q].array, c) for q in block]
    columns = sympy.Matrix(basis).T

    def written(expression: Any) -> Expr:
        return _as_expr(expression, scalars.known)

    definitions, recursion = [], []
    for name, row in zip(names, basis, strict=True):
        value = add(*(mul(written(entry), q) for entry, q in zip(row, old, strict=True) if entry != 0))
        because = "What of the pattern the output reads, and what that reads in turn."
        definitions.append(lettered(Equation(name[c], value, Rule.DEFINITION, because), network))
        parts = []
        for monomial, matrix in steps.items():
            made = sympy.Matrix([row]) * matrix
            shares = _shares(columns, made)
            parts += [
                mul(written(sympy.expand(share * monomial)), other[c])
                for share, other in zip(shares, names, strict=True) if share != 0
            ]  # fmt: skip
        value = add(*parts)
        because = "The step of the sum is a sum of the same."
        recursion.append(lettered(Equation(name.primed[c], value, Rule.STATE, because), network))
    read = []
    for (_, terms), equation in zip(closure.found.observed.items(), closure.read, strict=True):
        row = _row(terms, block, scalars)
        if not any(row):
            read.append(equation)
            continue
        shares = _shares(columns, sympy.Matrix([row]))
        value = add(*(mul(written(s), t[c]) for s, t in zip(shares, names, strict=True) if s != 0))
        read.append(lettered(replace(equation, rhs=add(total(c, value), _rest(equation, gone))), network))
    kept = [(d, r) for d, r in zip(closure.definitions, closure.recursion, strict=True) if d.array not in gone]
    return replace(
        closure,
        definitions=(*(d for d, _ in kept), *definitions),
        recursion=(*(r for _, r in kept), *recursion),
        read=tuple(read),
        parts=tuple(d for d in closure.definitions if d.array in gone),
        ones=frozenset(axis for quantity in block for axis in quantity.free if axis != c.axis),
    )


def _rest(equation: Equation, gone: set[Array]) -> Expr:
    """The terms of an equation without what is gone."""
    assert isinstance(equation.rhs, Expr)
    terms = equation.rhs.terms if isinstance(equation.rhs, Add) else (equation.rhs,)
    return add(*(term for term in terms if not gone & set(arrays_in(term))))


def _shares(columns: sympy.Matrix, row: sympy.Matrix) -> list[Any]:
    """The row as a sum of basis rows."""
    (solution,) = sympy.linsolve((columns, row.T))
    return [sympy.cancel(entry) for entry in solution]


def _as_expr(expression: Any, known: Mapping[sympy.Symbol, Expr]) -> Expr:
    """A quotient of polynomials in known numbers, with a product below."""
    above, below = sympy.fraction(sympy.together(expression))
    symbols = sorted(known, key=str)

    def polynomial(value: Any) -> Expr:
        parts = []
        for powers, coefficient in sympy.Poly(value, *symbols).terms():
            factors = [power(known[s], int(p)) for s, p in zip(symbols, powers, strict=True) if p]
            parts.append(mul(number(_fraction(coefficient)), *factors))
        return add(*parts)

    made = polynomial(above)
    return made if below == 1 else mul(made, power(polynomial(below), -1))


def _fraction(value: Any) -> Any:
    return Fraction(int(value.p), int(value.q))
