"""P as a series in the last layer's weight (claim iv), and r after any number of steps.

Two answers, and they differ. The paper integrates -p/(eta dE/dy v^c) over the weight with everything else held
constant: P is then a polynomial, of degree 3, whatever lies below. But nothing below stays constant. For two layers,
one output and active units the truth is known: the step maps (w, v) linearly, in simultaneous order v^2 - a w^2 is
multiplied by the same 1 - a (eta dE/dy)^2 for every unit, and as eta -> 0 it is conserved. Then v = sqrt(C + a w^2) and

    r = w v / v^c = (sqrt(C)/v^c) (w + a/(2C) w^3 - a^2/(8C^2) w^5 + ...),        C = (v^c)^2 - a (w^c)^2 > 0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from fcsym.closed.closed_form import symbol_name
from fcsym.errors import ArgumentError, shown
from fcsym.language.algebra import as_expr, coefficients, expand
from fcsym.language.equation import Cases
from fcsym.language.expression import Expr, Ref
from fcsym.language.sympy_bridge import symbol

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable

__all__ = ["Flow", "flow", "powers"]


def powers(derivation: Readable, case: str) -> dict[int, Expr]:
    """The integrated P of one case as a polynomial in the updated weight: {power: coefficient}, in index notation.

    Power 0 holds the constant of integration, with which P = 0 at the initial weight. For any depth: what reaches the
    unit from below enters the coefficients as kappa and alpha. Raises ArgumentError for a case without a value.
    """
    equation = derivation["P"]
    assert isinstance(equation.rhs, Cases) and isinstance(equation.lhs, Ref)
    for branch in equation.rhs:
        if branch.name == case and branch.value is not None:
            weight = derivation.network.read_out.primed
            found = coefficients(expand(branch.value), weight[equation.lhs.indices])
            return {power: as_expr(polynomial) for power, polynomial in sorted(found.items())}
    names = ", ".join(branch.name for branch in equation.rhs if branch.value is not None)
    raise ArgumentError(f"P has no case {shown(case)!r} with a value: choose one of {names}.")


@dataclass(frozen=True)
class Flow:
    """What a derived step says of an active unit of a two-layer network with one output."""

    factor: sympy.Expr  # v'^2 - a w'^2 = factor (v^2 - a w^2) + rest
    rest: sympy.Expr  # 0 where the quantity is multiplied by the same factor for every unit
    determinant: sympy.Expr  # of the linear map (w, v) -> (w', v')
    trace: sympy.Expr
    r: sympy.Expr  # r as a function of w as eta -> 0
    series: tuple[sympy.Expr, ...]  # the coefficients of w, w^3, w^5, ...


def flow(derivation: Readable, terms: int = 3) -> Flow:
    """The step's map of an active unit, its invariant, and r = w v / v^c with its series in w.

    Everything is read off the derivation's closed forms. Symbols: w, v, a = |x|^2, h = eta dE/dy, C, vc.
    Raises ArgumentError unless the network has two layers of ReLU units, one output and no bias.
    """
    network = derivation.network
    if len(network.layers) != 2 or network.widths[-1] != 1 or network.layers[0].bias:
        raise ArgumentError(f"flow needs two layers, one output and no bias in the first, and got {network}.")
    if network.loss != "squared" or network.output != network.logits or not network.is_plain:
        raise ArgumentError(
            f"flow needs the squared error of a linear output, all of it trained by gradient steps, and got {network}."
        )
    if network.layers[1].bias or network.layers[0].activation.name != "relu":
        raise ArgumentError(f"flow needs relu units and no bias, and got {network}.")
    if isinstance(terms, bool) or not isinstance(terms, int) or not 1 <= terms <= 50:
        raise ArgumentError(f"terms is {shown(terms)}: give a whole number from 1 to 50.")
    w, v, a, h, constant, vc = sympy.symbols("w v a h C vc", positive=True)
    (w_after, v_after) = _map(derivation, w, v, a, h)
    quantity = sympy.expand(v_after**2 - a * w_after**2)
    factor = sympy.expand(quantity).coeff(v, 2)
    rest = sympy.expand(quantity - factor * (v**2 - a * w**2))
    matrix = sympy.Matrix([[sympy.diff(f, g) for g in (w, v)] for f in (w_after, v_after)])
    r = w * sympy.sqrt(constant + a * w**2) / vc
    series = sympy.series(sympy.sqrt(constant + a * w**2), w, 0, 2 * terms).removeO()
    return Flow(
        sympy.factor(factor), rest, sympy.expand(matrix.det()), sympy.expand(matrix.trace()), r,
        tuple(sympy.simplify(series.coeff(w, 2 * n) / vc) for n in range(terms)),
    )  # fmt: skip


def _map(
    derivation: Readable, w: sympy.Symbol, v: sympy.Symbol, a: sympy.Symbol, h: sympy.Symbol
) -> tuple[sympy.Expr, sympy.Expr]:
    """(w', v') of an active unit that stays active, from the derivation's closed forms."""
    last = derivation.expr("W2_new", 1, keep=("v1", "delta2"))
    moved = derivation.expr("dv1", 1, case="active -> active", keep=("v1", "delta2", "W2_new", "a0", "g1"))
    names = {symbol.name: symbol for symbol in (last.free_symbols | moved.free_symbols)}
    old = _weight(derivation, 1)
    table = {
        names[name]: value
        for name, value in {old: w, "v_1": v, "a0": a, "g_1": sympy.Integer(1)}.items()
        if name in names
    }
    eta, error = symbol("eta"), symbol("dE_dY")
    w_after = last.subs(table).subs({eta: h, error: 1})
    table[symbol(f"{old}_new")] = w_after
    return sympy.expand(w_after), sympy.expand(v + moved.subs(table).subs({eta: h, error: 1}))


def _weight(derivation: Readable, unit: int) -> str:
    return symbol_name(derivation, derivation.network.parameters[-1], (0, unit - 1))
