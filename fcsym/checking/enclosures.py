"""Where the values of a smooth function are: balls of 200 bits around all numbers that its argument may be.

    s is in [1 - e, 1 + e]    =>    tanh(s) is in [m - r, m + r]

No library is trusted with a function but the one of balls (python-flint), whose results hold the exact ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.language.activation import Activation
from fcsym.language.formulas import FUNCTIONS, NUMBER, Formula
from fcsym.language.smooth_functions import as_formula

__all__ = ["available", "enclosures"]

_Array = npt.NDArray[Any]
_BITS = 200
_MORE = 1 + 1e-9  # for what is lost where a radius becomes a float


def available() -> bool:
    """Whether there are balls: without python-flint nothing is known of smooth functions."""
    return _table() is not None


def enclosures(phi: Activation, order: int, s: _Array, error: _Array) -> tuple[_Array, _Array]:
    """Middles and radii, in extended precision, of phi or its n-th derivative within `error` of s.

    The radius is infinite where nothing is known: where s is not bounded, or a ball of it leaves phi's domain.
    """
    values, radii = np.full(s.shape, np.nan, np.longdouble), np.full(s.shape, np.inf, np.longdouble)
    table = _table()
    if table is None:
        return values, radii
    import flint

    form = as_formula(phi, order)
    with flint.ctx.workprec(_BITS):
        for place in np.ndindex(*s.shape):
            if not (np.isfinite(s[place]) and np.isfinite(error[place])):
                continue
            found = _at(form, flint.arb(float(s[place]), float(error[place]) * _MORE), table)
            if found is not None:
                values[place], radii[place] = found
    return values, radii


def _at(form: Formula, s: Any, table: dict[str, Callable[..., Any]]) -> tuple[Any, Any] | None:
    """The middle of a value in two floats, and its radius with what they leave out; None for no value."""
    import flint

    try:
        ball = _value(form, s, table)
    except (ArithmeticError, ValueError):
        return None
    if not ball.is_finite():
        return None
    high = float(ball.mid())
    rest = ball.mid() - flint.arb(high)
    middle = np.longdouble(high) + np.longdouble(float(rest.mid()))
    return middle, np.longdouble(float(ball.rad()) * _MORE) + np.abs(middle) * np.longdouble(2.0**-62) + _LEAST


def _value(form: Formula, s: Any, table: dict[str, Callable[..., Any]]) -> Any:
    """A formula at a ball; of a choice that the ball leaves open, both sides."""
    match form:
        case ("s",):
            return s
        case ("number", p, q):
            return table[NUMBER](p, q)
        case ("above", p, q, above, below):
            bound = table[NUMBER](p, q)
            if s > bound:
                return _value(above, s, table)
            here = _value(below, s, table)
            return here if s <= bound else here.union(_value(above, s, table))
        case (head, *parts):
            return table[head](*(_value(part, s, table) for part in parts))
    raise AssertionError(form)


_LEAST = np.longdouble(2.0**-1074)


@cache
def _table() -> dict[str, Callable[..., Any]] | None:
    """Every head of a formula in balls."""
    try:
        import flint
    except ImportError:
        return None

    def total(*terms: Any) -> Any:
        return sum(terms[1:], terms[0])

    def product(*factors: Any) -> Any:
        result = factors[0]
        for factor in factors[1:]:
            result = result * factor
        return result

    def power(base: Any, exponent: Any) -> Any:
        twice = 2 * exponent
        if not twice.is_integer():
            return base**exponent
        whole, half = divmod(int(float(twice.mid())), 2)
        made = product(flint.arb(1), *[base] * abs(whole))  # of flint's own power nothing is known around 0
        made = made if whole >= 0 else 1 / made
        return made * base.sqrt() if half else made

    def sign(u: Any) -> Any:
        return flint.arb(1) if u > 0 else flint.arb(-1) if u < 0 else flint.arb(0, 1)

    def called(name: str) -> Callable[[Any], Any]:
        return lambda u: getattr(u, name)()

    return {
        NUMBER: lambda p, q: flint.arb(p) / q, "pi": flint.arb.pi, "add": total, "mul": product, "pow": power,
        "sign": sign, "Abs": abs,
        **{name: called(name) for name in FUNCTIONS if name != "Abs"},
    }  # fmt: skip
