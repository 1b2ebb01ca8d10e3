"""Exact numbers for proofs: residues, unreduced quotients, and dual numbers for forward-mode derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from typing import Any

__all__ = ["PRIME", "Dual", "Quotient", "Residue", "TermCount", "digest", "drawn", "product"]

MANY = 10**18
PRIME = 2**127 - 1
"""A Mersenne prime: a polynomial of degree d that is not zero vanishes at a random point with probability d / PRIME."""


def digest(*examined: object) -> str:
    """What is examined, as 64 letters: points that follow from it are known to nobody who has not written it down."""
    return sha256("\n".join(map(repr, examined)).encode()).hexdigest()


def drawn(seed: str, name: str) -> int:
    """A number from 1 to PRIME - 1 that follows from a digest and a name, the same in every process."""
    return 1 + int(sha256(f"{seed} {name}".encode()).hexdigest(), 16) % (PRIME - 1)


@dataclass(frozen=True, slots=True)
class Residue:
    """An integer modulo PRIME."""

    value: int

    @classmethod
    def of(cls, value: Fraction) -> Residue:
        """The residue of a rational number."""
        return cls(value.numerator * pow(value.denominator, -1, PRIME) % PRIME)

    def __add__(self, other: Residue) -> Residue:
        return Residue((self.value + other.value) % PRIME)

    def __sub__(self, other: Residue) -> Residue:
        return Residue((self.value - other.value) % PRIME)

    def __mul__(self, other: Residue) -> Residue:
        return Residue(self.value * other.value % PRIME)

    def __truediv__(self, other: Residue) -> Residue:
        if not other.value:
            raise ZeroDivisionError("division by the residue 0")
        return Residue(self.value * pow(other.value, -1, PRIME) % PRIME)


@dataclass(slots=True, eq=False)  # one for every operation: freezing them is half of what they cost
class Quotient:
    """numerator / denominator over a polynomial ring, never reduced: two are equal when their cross products are."""

    numerator: Any
    denominator: Any

    def __add__(self, other: Quotient) -> Quotient:
        if self.denominator == other.denominator:
            return Quotient(self.numerator + other.numerator, self.denominator)
        return Quotient(
            self.numerator * other.denominator + other.numerator * self.denominator,
            self.denominator * other.denominator,
        )

    def __sub__(self, other: Quotient) -> Quotient:
        return Quotient(
            self.numerator * other.denominator - other.numerator * self.denominator,
            self.denominator * other.denominator,
        )

    def __mul__(self, other: Quotient) -> Quotient:
        return Quotient(self.numerator * other.numerator, self.denominator * other.denominator)

    def __truediv__(self, other: Quotient) -> Quotient:
        if other.numerator == 0:
            raise ZeroDivisionError("division by the quotient 0")
        return Quotient(self.numerator * other.denominator, self.denominator * other.numerator)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quotient):
            return NotImplemented
        if self.denominator == other.denominator:
            return bool(self.numerator == other.numerator)
        return bool(self.numerator * other.denominator == other.numerator * self.denominator)

    __hash__ = None  # type: ignore[assignment]


def product(value: Any, factor: Any) -> Any:
    """value * factor; (n / d) d = n without a product, whatever the size of d, which is not 0."""
    if isinstance(value, Quotient) and value.denominator == factor.numerator:
        return Quotient(value.numerator, factor.denominator)
    return value * factor


@dataclass(frozen=True, slots=True)
class Dual:
    """value + slope * epsilon with epsilon^2 = 0: the derivative by definition, in forward mode."""

    value: Any
    slope: Any

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Dual) -> Dual:
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __truediv__(self, other: Dual) -> Dual:
        quotient = self.value / other.value
        return Dual(quotient, (self.slope - quotient * other.slope) / other.value)


@dataclass(frozen=True, slots=True)
class TermCount:
    """How many terms a polynomial has before like ones are collected: an upper bound, found without expanding.

    It stops counting at `MANY`: the number of digits doubles with every layer.
    """

    terms: int

    def __add__(self, other: TermCount) -> TermCount:
        return TermCount(min(self.terms + other.terms, MANY))

    __sub__ = __add__

    def __mul__(self, other: TermCount) -> TermCount:
        return TermCount(min(self.terms * other.terms, MANY))

    __truediv__ = __mul__
