"""As eta -> 0: what a unit's effective weight is as a function of the weight itself, from what is conserved.

v^2 - a w^2 = C       v is a function of w: sqrt(C + a w^2) on the side on which the unit is active
r = w v / v^c         the effective weight on the frozen activation, with C = (v^c)^2 - a (w^c)^2

For C > 0 this is an odd series in w; for C = 0 it is sqrt(a) w |w| / v^c; for C < 0 the weight never reaches 0, where
there is nothing to expand about, and r is real for a w^2 > -C only. Eq. 29 holds everything but the weight constant:
P = a w^3/(3 (v^c)^2), and r = w + P - P(w^c).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from fcsym.collapsing import find_collapse
from fcsym.collapsing.conserved import forms
from fcsym.collapsing.equations import Closure
from fcsym.errors import ArgumentError, shown
from fcsym.networks.network import Network

__all__ = ["Measured", "Sign", "Solution", "measured", "solution"]

_W, _A, _C, _VC, _WC = (sympy.Symbol(name, real=True) for name in ("w", "a", "C", "vc", "wc"))


@dataclass(frozen=True)
class Sign:
    """One sign of C: when, what r is, and its coefficients in w."""

    when: str
    r: sympy.Expr
    series: dict[int, sympy.Expr]  # powers of w and their coefficients; empty where there is no series about 0


@dataclass(frozen=True)
class Solution:
    """r as a function of w in the limit, by the sign of C, and what eq. 29 has in its place."""

    conserved: sympy.Expr  # the form that is C, in w and v
    factor: sympy.Expr  # what a step multiplies it by
    signs: tuple[Sign, ...]
    printed: sympy.Expr  # r from eq. 29 with its constant of integration
    difference: dict[int, sympy.Expr]  # for C > 0: the coefficients of r less those of eq. 29, power by power

    def __str__(self) -> str:
        lines = [f"{self.conserved} = C, multiplied by {self.factor} in every step"]
        for sign in self.signs:
            series = ", ".join(f"w^{power}: {value}" for power, value in sign.series.items())
            lines.append(f"  {sign.when}: r = {sign.r}" + (f"; {series}" if series else ""))
        off = ", ".join(f"w^{power}: {value}" for power, value in self.difference.items())
        return "\n".join([*lines, f"  eq. 29: r = {self.printed}", f"  off by, for C > 0: {off}"])


def solution(terms: int = 3) -> Solution:
    """The limit for one hidden layer, one input and one output, derived from what the finder's state conserves.

    `terms`: how many coefficients. Raises ArgumentError for a number below 2.
    """
    if isinstance(terms, bool) or not isinstance(terms, int) or not 2 <= terms <= 20:
        raise ArgumentError(f"terms is {shown(terms)}: give a whole number from 2 to 20.")
    found = find_collapse(Network.parse("2-2-1"), contracted=(0, 1)).choices[0].found
    form, factor = _without_root(Closure.of(found))
    v = sympy.Symbol("v", positive=True)
    conserved = form.subs({sympy.Symbol("S3"): v**2, sympy.Symbol("S2"): _W**2}).subs(
        sympy.Symbol("a0", positive=True), _A
    )
    (upper,) = [root for root in sympy.solve(conserved - _C, v, dict=False) if root.subs({_A: 1, _C: 1, _W: 1}) > 0]
    r = _W * upper / _VC
    c, a = sympy.Symbol("C", positive=True), sympy.Symbol("a", positive=True)
    # what is simplified here is one known formula of three symbols, and at most 20 of its coefficients
    expanded = sympy.series(r.subs({_C: c, _A: a}), _W, 0, 2 * terms).removeO()
    series = {n: sympy.simplify(expanded.coeff(_W, n)) for n in range(1, 2 * terms, 2)}
    zero = sympy.simplify(r.subs(_C, 0).subs(_A, a))
    signs = (
        Sign("C > 0", r, series),
        Sign("C = 0", zero, {}),
        Sign("C < 0, where a*w**2 > -C", r, {}),
    )
    printed = _W + _A * (_W**3 - _WC**3) / (3 * _VC**2)
    flat = sympy.expand(printed.subs(_A, a))
    powers = sorted({0, *series})  # eq. 29 has the powers 0, 1 and 3
    difference = {n: sympy.simplify(series.get(n, sympy.Integer(0)) - flat.coeff(_W, n)) for n in powers}
    return Solution(conserved, factor, signs, printed, difference)


def _without_root(closure: Closure) -> tuple[sympy.Expr, sympy.Expr]:
    """The form in squares alone."""
    for form in forms(closure):
        if not form.form.has(sympy.sqrt(sympy.Symbol("a0", positive=True))):
            return form.form, form.factor
    raise ArgumentError("No form without a root is conserved: the network is none of those that this is about.")


@dataclass(frozen=True)
class Measured:
    """How far r is from what backpropagation gives, relative to the largest r of the layer, after one unit of time."""

    eta: float
    steps: int
    limit: float  # the limit's r
    printed: float  # eq. 29's


def measured(etas: Sequence[float] = (1e-2, 1e-3, 1e-4), time: float = 1.0, seed: int = 0) -> tuple[Measured, ...]:
    """Training of 3-6-1 from random weights to the time eta * steps, for each eta; units that stay active count."""
    rng = np.random.default_rng(seed)
    network = Network.parse("3-6-1")
    weights = [np.abs(rng.normal(size=(6, 3))) / 2, np.abs(rng.normal(size=(1, 6))) / 2]
    x, target = np.abs(rng.normal(size=3)), np.array([3.0])
    found = find_collapse(network, contracted=(0, 1))
    a, frozen, start = float(x @ x), weights[0] @ x, weights[1][0]
    rows = []
    for eta in etas:
        run = found.train(weights, x)
        steps = round(time / eta)
        for _ in range(steps):
            run.step(target, eta)
        first, last = run.expand()
        w, s = last[0], first @ x
        kept = (s > 0) & (frozen > 0)
        true = (w * s / frozen)[kept]
        limit = (w * np.sqrt(frozen**2 - a * start**2 + a * w**2) / frozen)[kept]
        printed = (w + a * (w**3 - start**3) / (3 * frozen**2))[kept]
        largest = np.abs(true).max()
        off = [float(np.abs(value - true).max() / largest) for value in (limit, printed)]
        rows.append(Measured(eta, steps, *off))
    return tuple(rows)
