"""What training conserves: forms that every step multiplies by a known factor, and constants of motion for small steps.

Exactly: the quantities of a pattern move linearly, q' = sum_e e A_e q, with e the products of eta and errors. A row r
with r A_e = lambda_e r for every e is a form r q that a step multiplies by sum_e lambda_e e, whatever the errors are.
The same is true of every unit and of every set of units of the pattern: all have the same map.

For small eta: of a hidden layer, the sums of squares of what goes into a unit and of what comes out of it are
multiplied out after a step; combinations without a term in eta are constants of motion, and the terms in eta^2 say by
how much one step changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import sympy

from fcsym.collapsing.equations import Closure, lettered
from fcsym.collapsing.held import Held, Unsuited
from fcsym.collapsing.lumped import NotLinear, Scalars, block_of, matrices
from fcsym.language.algebra import Monomial, Polynomial, expand, indices_of, inline, replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Expr, Index, Ref, add, mul, power, total
from fcsym.networks.network import Network
from fcsym.networks.symbols import ETA, adjoint_of, increment_of, units

__all__ = ["Constant", "Form", "constants", "forms"]

_MOST = 6  # quantities of a pattern; the eigenvectors of more take long


@dataclass(frozen=True)
class Form:
    """A form that every step multiplies by a known factor."""

    form: sympy.Expr  # in the quantities S1, S2, ... of a pattern
    factor: sympy.Expr  # in eta, the error, the slope, and what is held
    definitions: tuple[Equation, ...]  # of the quantities

    def __str__(self) -> str:
        return f"({self.form})' = ({self.factor})*({self.form})"


def forms(closure: Closure) -> tuple[Form, ...]:
    """Every form, in order; () where a pattern has no linear step with legs of length one, or more than 6 numbers."""
    block = block_of(closure)
    if not block or len(block) > _MOST:
        return ()
    scalars = Scalars(closure, block)
    try:
        steps = matrices({q: closure.found.steps[q] for q in block}, block, scalars)
    except NotLinear:
        return ()
    by_quantity = dict(zip(closure.found.quantities, closure.definitions, strict=True))
    own = tuple(by_quantity[q] for q in block)
    # a squared norm has a root, which is then a number like others
    norms = {equation.array.name for equation in closure.data}
    held = sorted((s for s in scalars.known if str(s) in norms), key=str)
    root = {s: sympy.Symbol(f"root_{s}") for s in held}
    squared = {s: r**2 for s, r in root.items()}
    back = {r: sympy.sqrt(sympy.Symbol(str(s), positive=True)) for s, r in root.items()}
    made = {e: matrix.subs(squared) for e, matrix in steps.items()}
    found = []
    for row, factor in _common(made):
        symbols = [sympy.Symbol(e.array.name) for e in own]
        form = sum(entry * symbol for entry, symbol in zip(row, symbols, strict=True))
        rest = sympy.Matrix([row]) * reduce(lambda a, b: a + b, (e * m for e, m in made.items()))
        assert all(sympy.expand(left - factor * right) == 0 for left, right in zip(rest, row, strict=True))
        shown = sympy.factor(factor).subs(back), sympy.expand(form).subs(back)
        found.append(Form(shown[1], shown[0], own))
    return tuple(sorted(found, key=lambda f: (sympy.count_ops(f.form), str(f.form))))


def _common(steps: dict[Any, sympy.Matrix]) -> list[tuple[list[Any], Any]]:
    """Rows that are eigenvectors of all matrices, and the sum of the eigenvalues with what they belong to."""
    size = next(iter(steps.values())).shape[0]
    spaces: list[tuple[sympy.Matrix, Any]] = [(sympy.eye(size), sympy.Integer(0))]  # columns, factor so far
    for monomial, matrix in sorted(steps.items(), key=lambda item: str(item[0])):
        narrower = []
        for columns, factor in spaces:
            for value in map(_rooted, matrix.T.eigenvals()):
                within = ((matrix.T - value * sympy.eye(size)) * columns).applyfunc(sympy.expand)
                kernel = within.nullspace()
                if kernel:
                    narrower.append((columns * sympy.Matrix.hstack(*kernel), factor + value * monomial))
        spaces = narrower
    return [(_clear(columns.col(n)), factor) for columns, factor in spaces for n in range(columns.shape[1])]


def _rooted(value: sympy.Expr) -> sympy.Expr:
    """The same with squares in front of its roots: 2*sqrt(x**2 + 1), and not sqrt(4*x**2 + 4) beside it."""
    return value.replace(lambda node: node.is_Pow and node.exp == sympy.Rational(1, 2), lambda node: _root(node.base))


def _root(square: sympy.Expr) -> sympy.Expr:
    constant, factors = sympy.factor_list(square)
    outside, inside = sympy.sqrt(constant), sympy.Integer(1)
    for factor, many in factors:
        pairs = many // 2 if factor.is_real else 0
        outside, inside = outside * abs(factor) ** pairs, inside * factor ** (many - 2 * pairs)
    return outside * sympy.sqrt(sympy.expand(inside))


def _clear(column: sympy.Matrix) -> list[Any]:
    """The same without denominators and common factors, with a plus in the last place."""
    entries = [sympy.cancel(sympy.together(entry)) for entry in column]
    below = reduce(sympy.lcm, [sympy.denom(entry) for entry in entries], sympy.Integer(1))
    above = [sympy.expand(sympy.cancel(entry * below)) for entry in entries]
    shared = reduce(sympy.gcd, above)
    made = [sympy.expand(sympy.cancel(entry / shared)) for entry in above]
    last = next(entry for entry in reversed(made) if entry != 0)
    return [-entry for entry in made] if last.could_extract_minus_sign() else made


# ------------------------------------------------------------------------------------------ for small steps


@dataclass(frozen=True)
class Constant:
    """A constant of motion of every unit of a hidden layer, and what one step changes it by, exactly."""

    layer: int
    value: Equation  # Q[j], with the unit free
    rate: Expr  # what it is multiplied by per unit of eta: 0, or the decay
    change: Equation  # dQ[j] = eta^2 (...), beside the decay

    def __str__(self) -> str:
        kept = "" if self.rate == mul(0) else f", but for the decay {self.rate!r} per unit of eta"
        return f"{self.value} is constant as eta -> 0{kept}; in one step {self.change}"


def constants(network: Network, order: str, inputs: int = 1) -> tuple[Constant, ...]:
    """For every hidden layer of lines through 0: combinations of squares without a first order in eta.

    Nothing is found where the rule remembers something, or where the units of a layer have smooth activations,
    intercepts or one bias for all of them.
    """
    found: list[Constant] = []
    if network.memory:
        return ()
    for n in range(1, len(network.layers)):
        held = Held.of(network, order, inputs, frozenset({n}))  # type: ignore[arg-type]  # checked by the caller
        try:
            found += _of_layer(held, n)
            if n == 1 and not held.network.batch:
                found += _of_first(Held.of(network, order, inputs, frozenset({0, 1})))  # type: ignore[arg-type]
        except Unsuited:
            continue
    return tuple(found)


def _of_layer(held: Held, n: int) -> list[Constant]:
    """Of what goes into the units of a layer and what comes out of them."""
    network = held.network
    j = Index(units(n), "j")
    arrays = [theta for theta in (network.feeding(n + 1)[0], *network.feeding(n)) if theta in network.trained]
    s = network.hidden[n - 1].s

    def after(kept: frozenset[Array]) -> Callable[[Expr], Expr]:
        return lambda node: held.resolved(replaced(node, held.after), kept)

    squares = [_square(theta, j) for theta in arrays]
    raw = after(frozenset())
    # the error of a unit is that of the old weights in simultaneous order only: in the other it moves the second order
    return _combined(
        held, n, squares, raw, after(frozenset({s, adjoint_of(s)})) if held.order == "simultaneous" else raw
    )


def _of_first(held: Held) -> list[Constant]:
    """Of the first layer on one input, with its pre-activations in place of what goes into them."""
    network = held.network
    if not held.first_out or not set(network.feeding(1)) <= set(network.trained):
        return []
    j = Index(units(1), "j")
    s, inner = network.hidden[0].s, held.inner[()]
    moved = {s: held.first_update(s)}

    def after(kept: frozenset[Array]) -> Callable[[Expr], Expr]:
        return lambda node: held.resolved(inline(replaced(node, held.after), moved), held.kept | kept)

    squares = [power(s[j], 2), mul(inner, _square(network.feeding(2)[0], j))]
    return _combined(held, 1, squares, after(frozenset()), after(frozenset()))


def _combined(
    held: Held, n: int, squares: Sequence[Expr], after: Callable[[Expr], Expr], shown: Callable[[Expr], Expr]
) -> list[Constant]:
    """The combinations of these without a first order in eta, and the exact step of each."""
    first = [_of_order(expand(after(square)), 1) for square in squares]
    rates, rest = [], []
    for square, polynomial in zip(squares, first, strict=True):
        rate, left = _own_share(expand(square), polynomial)
        rates.append(rate)
        rest.append(left)
    rows = sorted({m for polynomial in rest for m in polynomial}, key=repr)
    matrix = sympy.Matrix(
        [[sympy.Rational(p[m].numerator, p[m].denominator) if m in p else 0 for p in rest] for m in rows]
    )
    made = []
    for column in matrix.nullspace() if rows else [sympy.eye(len(squares)).col(k) for k in range(len(squares))]:
        shares = [Fraction(int(c.p), int(c.q)) for c in column]
        own = {rate for rate, share in zip(rates, shares, strict=True) if share}
        if len(own) == 1:
            parts = [(s, q) for s, q in zip(shares, squares, strict=True) if s]
            made.append(_constant(held, n, parts, own.pop(), shown))
    return made


def _constant(
    held: Held, n: int, parts: Sequence[tuple[Fraction, Expr]], rate: Expr, shown: Callable[[Expr], Expr]
) -> Constant:
    """The exact step, with pre-activations and errors of the layer by their names."""
    change: Polynomial = {}
    for share, square in parts:
        for monomial, coefficient in expand(shown(square)).items():
            if _power_of_eta(monomial) >= 2:
                change[monomial] = change.get(monomial, Fraction(0)) + share * coefficient
    stands = Array("Q", n, (units(n),))
    j = Index(units(n), "j")
    value = Equation(stands[j], add(*(mul(*part) for part in parts)), Rule.DEFINITION, "A combination of squares.")
    exact = add(*(m.expr(c) for m, c in change.items() if c))
    moved = Equation(increment_of(stands)[j], exact, Rule.IDENTITY, "Everything else of the step cancels.")
    return Constant(n, lettered(value, held.network), rate, lettered(moved, held.network))


def _square(theta: Array, j: Index) -> Expr:
    """sum of theta^2 over everything but the unit."""
    indices = tuple(j if i.axis == j.axis else i for i in indices_of(theta))
    return total(tuple(i for i in indices if i != j), power(theta[indices], 2))


def _power_of_eta(monomial: Monomial) -> int:
    return sum(e for f, e in monomial.factors if isinstance(f, Ref) and f.array == ETA)


def _of_order(polynomial: Polynomial, order: int) -> Polynomial:
    """The coefficient of a power of eta."""
    found: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        if _power_of_eta(monomial) == order:
            rest = tuple((f, e) for f, e in monomial.factors if not (isinstance(f, Ref) and f.array == ETA))
            found[Monomial(rest, monomial.bound)] = coefficient
    return found


def _own_share(square: Polynomial, polynomial: Polynomial) -> tuple[Expr, Polynomial]:
    """rate * square + rest: what the decay makes of the square itself, and everything else."""
    ((own, _),) = square.items()
    rate: list[Expr] = []
    rest: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        others = tuple((f, e) for f, e in monomial.factors if (f, e) not in own.factors)
        scalars = all(isinstance(f, Ref) and not f.indices for f, _ in others)
        if set(own.factors) <= set(monomial.factors) and scalars:
            rate.append(Monomial(others, ()).expr(coefficient))
        else:
            rest[monomial] = coefficient
    return add(*rate), rest
