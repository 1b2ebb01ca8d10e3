"""Errors in units in the last place, the distance between the floats next to the exact number: what is kept of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np

from fcsym.checking.exact import distance
from fcsym.errors import ArgumentError, shown

__all__ = ["HEADINGS", "STEP", "Accuracy", "Errors", "Measured", "beside", "in_full", "in_ulp", "note", "ratio"]

STEP = "step"
HEADINGS = ("numbers", "median", "rounded once", "largest", "median, hard", "largest, hard", "of bound")


@dataclass(frozen=True, slots=True)
class Measured:
    """One quantity: errors in units in the last place, on ordinary points and on hard ones."""

    subject: str  # "step", or the scheme that trained
    quantity: str
    numbers: int
    median: float | None  # on ordinary points; None where there are none
    once: float | None  # the median if everything were exact but for the numbers that are stored, each rounded once
    worst: float | None
    hard_median: float | None
    hard_worst: float | None
    of_bound: float | None  # the largest error in units of its running bound; None where none is finite
    exceeded: int  # how often the bound did not hold


@dataclass(frozen=True)
class Accuracy:
    """What `fcsym.accuracy` found."""

    network: str
    order: str
    trials: int
    steps: int
    seed: int
    rows: tuple[Measured, ...]
    gates: int  # how many gates were decided, before and after the step
    wrong_gates: int  # and how many of them by rounding, and wrongly
    left_out: int  # points of which some number overflowed or has no value, or no digits say what it is
    notes: tuple[str, ...] = ()
    errors: Mapping[tuple[str, str], tuple[list[float], list[float], list[float]]] = field(
        default_factory=dict, repr=False
    )
    """Every error by subject and quantity: on ordinary points, on hard ones, and of numbers that are rounded once."""

    @property
    def passed(self) -> bool:
        """Something was measured, and no bound was exceeded."""
        return bool(self.rows) and not any(row.exceeded for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def row(self, quantity: str, subject: str = STEP) -> Measured:
        """The figures of one quantity. Raises ArgumentError for one that was not measured."""
        found = next((row for row in self.rows if (row.subject, row.quantity) == (subject, quantity)), None)
        if found is None:
            raise ArgumentError(f"{shown(quantity)} of {shown(subject)} was not measured: see the rows.")
        return found

    @property
    def title(self) -> str:
        """What was measured."""
        return f"{self.network}, {self.order} order: errors in ulp"

    @property
    def conclusion(self) -> str:
        """The gates, what was left out, and what else there is to say."""
        gates = f"{self.wrong_gates} of {self.gates} gates decided wrongly by rounding"
        exceeded = sum(row.exceeded for row in self.rows)
        bound = f"a running bound was exceeded {exceeded} times" if exceeded else "no running bound was exceeded"
        why = "where something overflows or has no value, or no digits say what it is"
        left = f"{self.left_out} points left out, {why}"
        nothing = () if self.rows else ("Nothing was measured.",)
        return " ".join((*nothing, f"{gates}; {bound}; {left}.", *self.notes))

    @staticmethod
    def figures(row: Measured) -> tuple[str, ...]:
        """A row as text, by `HEADINGS`."""
        shown = (row.median, row.once, row.worst, row.hard_median, row.hard_worst, row.of_bound)
        return str(row.numbers), *("" if value is None else f"{value:.3g}" for value in shown)

    def __str__(self) -> str:
        lines = [self.title]
        for row in self.rows:
            said = zip(HEADINGS, self.figures(row), strict=True)
            lines.append(f"  {row.subject:12} {row.quantity:12} " + ", ".join(f"{h} {v}" for h, v in said if v))
        return "\n".join([*lines, self.conclusion])


@dataclass
class Errors:
    """The errors of one quantity so far."""

    ordinary: list[float] = field(default_factory=list)
    hard: list[float] = field(default_factory=list)
    once: list[float] = field(default_factory=list)
    of_bound: float | None = None
    exceeded: int = 0

    @property
    def any(self) -> bool:
        """Whether something was compared: a number beside none, too, which has no error and is wrong."""
        return bool(self.ordinary or self.hard or self.exceeded)

    def row(self, subject: str, quantity: str) -> Measured:
        """Their figures."""
        middle, worst, hard_middle, hard_worst = (
            f(e) if e else None for e in (self.ordinary, self.hard) for f in (median, max)
        )
        count = len(self.ordinary) + len(self.hard)
        once = median(self.once) if self.once else None
        return Measured(
            subject, quantity, count, middle, once, worst, hard_middle, hard_worst, self.of_bound, self.exceeded
        )


_FAR = 1e150  # beyond it products overflow


def note(errors: Errors, found: Any, exact: Any, always: bool = False) -> None:
    """The errors of numbers beside balls; one that is undefined, or overflows, says nothing.

    `always`: there is no place where they are undefined, and what is none is as wrong as one beyond its bound.
    """
    errors.ordinary += beside(found, exact)
    if always:
        near = [abs(_middle(true)) for true in _leaves(exact)]
        errors.exceeded += int(np.sum(np.isnan(np.ravel(found).astype(float)) & (np.array(near) < _FAR)))


def beside(found: Any, exact: Any) -> Iterator[float]:
    """The errors of numbers beside exact ones or balls, but of those that are undefined or overflow."""
    for number, true in zip(np.ravel(found), _leaves(exact), strict=True):
        near = _middle(true)
        if np.isfinite(number) and math.isfinite(near):
            off = distance(number, true)
            yield off / math.ulp(near) if near else math.inf if off else 0.0


def _middle(true: Any) -> float:
    return float(true.mid()) if hasattr(true, "mid") else float(true)


def _leaves(value: Any) -> Iterator[Any]:
    for part in value if isinstance(value, Sequence) else [value]:
        if isinstance(part, Sequence):
            yield from _leaves(part)
        else:
            yield part


def in_ulp(off: Fraction, exact: Fraction) -> float:
    """An error in units in the last place of the exact number; infinite where that is 0, or beyond the range."""
    try:
        return ratio(off, Fraction(math.ulp(float(exact)))) if exact else math.inf if off else 0.0
    except OverflowError:
        return math.inf


def in_full(bound: Any) -> Fraction:
    """A number in extended precision, exactly."""
    mantissa, exponent = np.frexp(bound)
    whole, place = int(np.ldexp(mantissa, 113)), int(exponent) - 113
    return Fraction(whole << place) if place >= 0 else Fraction(whole, 1 << -place)


def ratio(a: Fraction, b: Fraction) -> float:
    """a / b rounded once, without the common divisors that nobody needs; infinite beyond the range."""
    try:
        return (a.numerator * b.denominator) / (a.denominator * b.numerator)
    except OverflowError:
        return math.inf
