"""Real numbers that are known to lie between two others: what a fraction becomes under a smooth function.

A ball is an interval of mpmath with outward rounding at DIGITS digits. It computes with fractions and integers, and
says which of two numbers is greater only where that is certain.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
from mpmath.ctx_iv import MPIntervalContext

from fcsym.errors import UnsupportedExpression
from fcsym.language.formulas import NUMBER, Formula, NoRealValue, evaluate

__all__ = ["DIGITS", "Ball", "ball_of", "smooth_at", "text_of"]

DIGITS = 80

_IV = MPIntervalContext()
_IV.dps = DIGITS
_MP = mpmath.MPContext()
_MP.dps = DIGITS + 20


class Ball:
    """Some real number in an interval."""

    __slots__ = ("range",)

    def __init__(self, interval: Any) -> None:
        self.range = interval

    @property
    def middle(self) -> Any:
        """The middle, as a number of mpmath."""
        return (_end(self.range.a) + _end(self.range.b)) / 2

    @property
    def radius(self) -> Any:
        """How far from the middle the number may be."""
        return (_end(self.range.b) - _end(self.range.a)) / 2

    @property
    def holds_zero(self) -> bool:
        """Whether the number may be 0."""
        return bool(self.range.a <= 0 <= self.range.b)

    @classmethod
    def greatest(cls, every: list[Ball]) -> Ball:
        """What is known of the greatest of some numbers, whichever it is."""
        return cls(_IV.mpf([max(_end(one.range.a) for one in every), max(_end(one.range.b) for one in every)]))

    def __add__(self, other: Any) -> Any:
        return _combined(self, other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return _combined(self, other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return _combined(self, other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return _combined(self, other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return _combined(self, other, _quotient)

    def __rtruediv__(self, other: Any) -> Any:
        return _combined(self, other, lambda a, b: _quotient(b, a))

    def __neg__(self) -> Ball:
        return Ball(-self.range)

    def __abs__(self) -> Ball:
        return Ball(abs(self.range))

    def __gt__(self, other: Any) -> bool:
        return self._sign(other, "greater than") > 0

    def __lt__(self, other: Any) -> bool:
        return self._sign(other, "less than") < 0

    def __ge__(self, other: Any) -> bool:
        return self._sign(other, "at least") >= 0

    def __le__(self, other: Any) -> bool:
        return self._sign(other, "at most") <= 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ball | Fraction | int):
            return NotImplemented
        return self._sign(other, "equal to") == 0

    __hash__ = None  # type: ignore[assignment]

    def _sign(self, other: Any, what: str) -> int:
        """The sign of the difference. UnsupportedExpression where the digits do not say it."""
        difference = self.range - _interval(other)
        if difference.a > 0:
            return 1
        if difference.b < 0:
            return -1
        if difference.a == difference.b == 0:
            return 0
        raise UnsupportedExpression(
            f"{DIGITS} digits do not say whether {_MP.nstr(self.middle, 12)} is {what} {_shown(other)}: compute in "
            "float64."
        )

    def __float__(self) -> float:
        return float(self.middle)

    def __repr__(self) -> str:
        return f"Ball({_MP.nstr(self.middle, 20)} ± {_MP.nstr(self.radius, 2)})"

    def __str__(self) -> str:
        return f"{_MP.nstr(self.middle, 17)} ± {_MP.nstr(self.radius, 2)}"


def text_of(number: Any, digits: int) -> str:
    """A middle or a radius with so many significant digits."""
    return str(_MP.nstr(number, digits, min_fixed=1, max_fixed=0))


def _end(interval: Any) -> Any:
    """The lower end of an interval, as a number of mpmath."""
    return _MP.make_mpf(interval._mpi_[0])


def _shown(other: Any) -> str:
    return _MP.nstr(other.middle, 12) if isinstance(other, Ball) else str(other)


def _interval(value: Any) -> Any:
    if isinstance(value, Ball):
        return value.range
    if isinstance(value, int):
        return _IV.mpf(value)
    return _IV.mpf(value.numerator) / _IV.mpf(value.denominator)


def _combined(ball: Ball, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
    if not isinstance(other, Ball | Fraction | int):
        return NotImplemented
    return Ball(operation(ball.range, _interval(other)))


def _quotient(a: Any, b: Any) -> Any:
    if b.a <= 0 <= b.b:
        if b.a == b.b:
            raise ZeroDivisionError("division by 0")
        raise UnsupportedExpression(f"{DIGITS} digits do not say whether a divisor is 0: compute in float64.")
    return a / b


def ball_of(value: Any) -> Ball:
    """The ball of a fraction: its neighbours with DIGITS digits."""
    return value if isinstance(value, Ball) else Ball(_interval(value))


def smooth_at(formula: Formula, s: Any) -> Ball:
    """A function of the language at a fraction or a ball, as a ball.

    Raises NoRealValue where it is not defined, and UnsupportedExpression where digits do not say whether it is.
    """
    try:
        return Ball(evaluate(formula, _interval(s), _table()))
    except ZeroDivisionError as problem:
        raise NoRealValue from problem


@cache
def _table() -> dict[str, Callable[..., Any]]:
    """Every head of a formula for intervals. Monotone functions that mpmath has for numbers go through the ends."""
    one = _IV.mpf(1)

    def rising(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def of(s: Any) -> Any:
            low, high = (function(_end(end)) for end in (s.a, s.b))
            margin = _MP.mpf(10) ** (-DIGITS - 5)
            return _IV.mpf([low - abs(low) * margin, high + abs(high) * margin])

        return of

    def falling(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda s: -rising(lambda t: -function(t))(s)

    def product(*factors: Any) -> Any:
        result = one
        for factor in factors:
            result = result * factor
        return result

    def power(base: Any, exponent: Any) -> Any:
        if exponent.a == exponent.b == _IV.mpf(1) / 2:
            return root(base)
        whole = exponent.a == exponent.b and exponent.a == int(exponent.a)
        if whole and int(exponent.a) < 0:
            return one / base ** -int(exponent.a)
        return base ** int(exponent.a) if whole else _IV.exp(exponent * logarithm(base))

    def root(s: Any) -> Any:
        """Of what is no less than 0, although its ball may reach below."""
        if s.b < 0:
            raise NoRealValue
        return _IV.sqrt(_IV.mpf([max(_end(s.a), _MP.zero), _end(s.b)]))

    def logarithm(s: Any) -> Any:
        if s.b <= 0:
            raise NoRealValue
        if s.a <= 0:
            raise UnsupportedExpression(
                f"{DIGITS} digits do not say whether a logarithm has a value: compute in float64."
            )
        return _IV.log(s)

    def sign(s: Any) -> Any:
        return _IV.mpf([-1 if s.a < 0 else 0 if s.a == 0 else 1, 1 if s.b > 0 else 0 if s.b == 0 else -1])

    def above(where: Any, here: Any, there: Any) -> Any:
        if where is None:  # on both sides
            return _IV.mpf([min(here.a, there.a), max(here.b, there.b)])
        return here if where else there

    rising_ = {
        "tanh": _MP.tanh, "sinh": _MP.sinh, "erf": _MP.erf, "atan": _MP.atan, "expm1": _MP.expm1,
        "log1p": lambda s: _MP.log1p(s), "sigmoid": lambda s: 1 / (1 + _MP.exp(-s)),
        "softplus": lambda s: _MP.log1p(_MP.exp(s)), "normal_cdf": _MP.ncdf,
    }  # fmt: skip
    return {
        NUMBER: lambda p, q: _IV.mpf(p) / _IV.mpf(q),
        "pi": lambda: +_IV.pi,
        "add": lambda *terms: sum(terms[1:], terms[0]),
        "mul": product,
        "pow": power,
        "exp": _IV.exp,
        "log": logarithm,
        "sqrt": root,
        "sin": _IV.sin,
        "cos": _IV.cos,
        "cosh": lambda s: (_IV.exp(s) + _IV.exp(-s)) / 2,
        "erfc": falling(_MP.erfc),
        "normal_pdf": lambda s: _IV.exp(-(s**2) / 2) / _IV.sqrt(2 * _IV.pi),
        "Abs": abs,
        "sign": sign,
        "above": above,
        **{name: rising(function) for name, function in rising_.items()},
    }
