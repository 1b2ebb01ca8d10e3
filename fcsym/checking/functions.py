"""Activations for the independent oracle, in extended precision and for autograd.

They are written with `where`: autograd's `maximum` has the slope 1/2 at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import autograd.numpy as anp
import mpmath
import numpy as np
import numpy.typing as npt
from autograd import elementwise_grad, grad
from autograd.extend import defvjp, primitive

from fcsym.language import smooth_functions
from fcsym.language.activation import Activation

__all__ = ["bend_of", "erf", "erfc", "exactly", "phi", "phi_of", "slope_of"]

_Array = npt.NDArray[Any]


@primitive  # type: ignore[untyped-decorator]
def erfc(s: Any) -> Any:
    """1 - erf(s), as accurate as double precision: NumPy has none."""
    return np.vectorize(math.erfc, otypes=[np.longdouble])(np.asarray(s, np.float64))


defvjp(erfc, lambda _, s: lambda g: -2 / np.sqrt(np.longdouble(np.pi)) * anp.exp(-(s**2)) * g)


@primitive  # type: ignore[untyped-decorator]
def erf(s: Any) -> Any:
    """As accurate as double precision."""
    return np.vectorize(math.erf, otypes=[np.longdouble])(np.asarray(s, np.float64))


defvjp(erf, lambda _, s: lambda g: 2 / np.sqrt(np.longdouble(np.pi)) * anp.exp(-(s**2)) * g)


_SMOOTH = {
    "exp": anp.exp,
    "log": anp.log,
    "sqrt": anp.sqrt,
    "gelu": lambda s: s * erfc(-s / np.sqrt(np.longdouble(2))) / 2,
    "tanh": anp.tanh,
    "sigmoid": lambda s: anp.exp(-anp.logaddexp(0, -s)),
    "softplus": lambda s: anp.logaddexp(0, s),
    "silu": lambda s: s * anp.exp(-anp.logaddexp(0, -s)),
}


@cache
def _function(activation: Activation) -> Callable[[Any], Any]:
    """A smooth activation for autograd: as written here, or as its own expression is written."""
    if not activation.formula and activation.name in _SMOOTH:
        known: Callable[[Any], Any] = _SMOOTH[activation.name]
        return known
    return _written(smooth_functions.formula(activation), 0)


_BETWEEN = 1 / 64, 4
"""Where an expression is computed as it is written: below, terms of size 1 swallow s, and above, e^s swallows them."""


def _written(formula: tuple[Any, ...], order: int) -> Callable[[Any], Any]:
    """A formula (`language.formulas`), or a derivative of it, as a function that autograd differentiates.

    In extended precision and by autograd where that keeps the digits; elsewhere in many digits and by mpmath.
    """

    def plain(s: Any) -> Any:
        return _walk(formula, s)

    for _ in range(order):
        plain = elementwise_grad(plain)

    @primitive  # type: ignore[untyped-decorator]
    def function(s: Any) -> Any:
        wide = np.asarray(s, np.longdouble)
        inside = (np.abs(wide) >= _BETWEEN[0]) & (np.abs(wide) <= _BETWEEN[1])
        result = np.array(plain(np.where(inside, wide, 1)), np.longdouble)
        for place in map(tuple, np.argwhere(~inside)):
            result[place] = _in_digits(formula, order, wide[place])
        return result

    defvjp(function, lambda _, s: lambda g: g * _written(formula, order + 1)(s))
    known: Callable[[Any], Any] = function
    return known


_WIDEST = 4900  # powers of ten: outside, extended precision has 0 or overflows


@lru_cache(10_000)
def _in_digits(formula: tuple[Any, ...], order: int, s: Any) -> Any:
    if not np.isfinite(s):
        return s
    for digits in (40 + int(min(abs(s), 400)), 700):
        with mpmath.workdps(digits):
            found = mpmath.diff(lambda t: _walk(formula, t, mpmath), mpmath.mpf(str(s)), order)
            if abs(found) > mpmath.mpf(10) ** (-digits // 3):  # or else what is left may be rounding alone
                break
    if found and not -_WIDEST < mpmath.log10(abs(found)) < _WIDEST:
        return np.longdouble(0 if abs(found) < 1 else math.inf) * int(mpmath.sign(found))
    return np.longdouble(mpmath.nstr(found, 25))


_NAMES = {"atan": "arctan"}


def _walk(written: tuple[Any, ...], s: Any, library: Any = None) -> Any:
    """A formula as it is written, term by term: for autograd, or a number of mpmath."""
    head, *parts = written
    if head == "s":
        return s
    wide = np.longdouble if library is None else mpmath.mpf
    if head == "number":
        return wide(parts[0]) / wide(parts[1])
    if head == "pi":
        return 4 * np.arctan(wide(1)) if library is None else +mpmath.pi
    if head == "above":
        bound = wide(parts[0]) / wide(parts[1])
        if library is not None:
            return _walk(parts[2] if s > bound else parts[3], s, library)
        # each side at numbers of its own: what overflows on the other one has no derivative
        here, there = anp.where(s > bound, s, bound), anp.where(s > bound, bound, s)
        return anp.where(s > bound, _walk(parts[2], here), _walk(parts[3], there))
    if head == "pow" and parts[1][0] == "number" and parts[1][2] == 1:
        return _walk(parts[0], s, library) ** parts[1][1]
    values = [_walk(part, s, library) for part in parts]
    if head == "add":
        return sum(values[1:], values[0])
    if head == "mul":
        return math.prod(values[1:], start=values[0])
    if head == "pow":
        return values[0] ** values[1]
    if head == "Abs":
        return abs(values[0])
    if library is None and head in ("erf", "erfc"):
        return (erf if head == "erf" else erfc)(values[0])
    return getattr(anp if library is None else library, _NAMES.get(head, head) if library is None else head)(values[0])


def phi_of(activation: Activation, s: _Array) -> _Array:
    """phi(s), element by element."""
    return np.asarray(phi(activation, s))


def slope_of(activation: Activation, s: _Array) -> _Array:
    """phi'(s) by autograd, with the declared slope at each kink."""
    return np.asarray(grad(lambda t: anp.sum(phi(activation, t)))(s))


def bend_of(activation: Activation, s: _Array, order: int = 2) -> _Array:
    """phi''(s) of a smooth activation, or a derivative of another order, by autograd."""

    def function(t: Any) -> Any:
        return phi(activation, t)

    for _ in range(order):
        function = elementwise_grad(function)
    return np.asarray(function(s))


def phi(activation: Activation, s: Any) -> Any:
    """An activation for autograd, with the declared slope at each kink."""
    if activation.is_smooth:
        return _function(activation)(s)
    result = float(activation.pieces[0].slope) * s + float(activation.pieces[0].intercept)
    for kink, piece in zip(activation.kinks, activation.pieces[1:], strict=True):
        result = anp.where(s > float(kink), exactly(piece.slope) * s + exactly(piece.intercept), result)
    for kink, slope in zip(activation.kinks, activation.kink_slopes, strict=True):
        value = exactly(activation.value_at(kink)) + exactly(slope) * (s - float(kink))
        result = anp.where(s == float(kink), value, result)
    return result


def exactly(value: Any) -> Any:
    """A rational as the float64 that the kernel has in its source; the difference is no error of the kernel."""
    return np.longdouble(float(value))
