"""Exact numbers as people read them: fractions, and decimals with as many digits as are certain."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

from fcsym.values.ball import DIGITS, Ball, text_of

__all__ = ["certain", "decimal", "fractional"]

_LONGEST = 13_000  # bits of a fraction that is written: Python writes integers of up to 4300 digits


def certain(value: Ball) -> int:
    """How many significant digits of a ball are certain."""
    middle, radius = abs(value.middle), value.radius
    if not radius:
        return DIGITS
    if not middle:
        return 0
    ratio = Decimal(text_of(radius / middle, 5))
    return max(0, min(DIGITS, -ratio.adjusted() - 1))


def decimal(value: Any, digits: int) -> str:
    """A fraction, a ball or a float with so many significant digits, of a ball no more than are certain.

    "undefined" where there is no value. What is rounded keeps its zeros at the end: 0.5932 and 0.593200 say different
    things.
    """
    if value is None:
        return "undefined"
    if isinstance(value, Ball):
        sure = certain(value)
        if not sure:
            return "0" if not value.middle else f"0 ± {text_of(value.radius + abs(value.middle), 1)}"
        number = _context(min(digits, sure)).create_decimal(text_of(value.middle, min(digits, sure) + 10))
        return _written(number, min(digits, sure))
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return _written(_rounded(Fraction(value), digits), digits)


def _rounded(exact: Fraction, digits: int) -> Decimal:
    """A fraction to so many digits, without zeros at the end where nothing is lost.

    Of one with a million digits the quotient is short all the same: Decimal would have all digits of both its parts.
    """
    above, below = abs(exact.numerator), exact.denominator
    size = (above.bit_length() - below.bit_length()) * 30103 // 100000  # of its first digit, to within two places
    places = digits - size + 3
    whole, rest = divmod(above * 10 ** max(places, 0), below * 10 ** max(-places, 0))
    figures = tuple(map(int, f"{whole}{'1' if rest else '0'}"))  # the last one says on which side of a tie it is
    full = Decimal((int(exact < 0), figures, -places - 1))
    number = _context(digits).plus(full)
    return number.normalize(_context(digits)) if not rest and number == full else number


def fractional(value: Any) -> str | None:
    """A fraction as p/q; None for what is none, and for one that is too long to write."""
    if not isinstance(value, Fraction | int) or Fraction(value).denominator.bit_length() > _LONGEST:
        return None
    return None if abs(Fraction(value).numerator).bit_length() > _LONGEST else str(Fraction(value))


def _context(digits: int) -> Context:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emax=10**9, Emin=-(10**9))


def _written(number: Decimal, digits: int) -> str:
    """0.00015, and 1.5e-7 where there would be many zeros."""
    if not number:
        return "0"
    first = number.adjusted()
    if -6 < first < max(digits, 7):
        return f"{number:f}"
    sign, figures, _ = number.as_tuple()
    text = "".join(map(str, figures))
    return f"{'-' if sign else ''}{text[0]}{'.' + text[1:] if text[1:] else ''}e{first:+03d}"
