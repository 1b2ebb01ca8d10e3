"""How much memory the temporaries of a C function take, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["STACK", "Amount", "Room"]

STACK = 256
"""How many numbers the temporaries of a function may have on the stack: 2 KiB in double precision."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How many numbers: so many, and so many for every row that is stored or sample that is given, and every pair."""

    fixed: int = 0
    per_row: int = 0
    per_pair: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(*map(sum, zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[int, int, int]:
        """For none, one and two axes of open length."""
        return self.fixed, self.per_row, self.per_pair

    def __bool__(self) -> bool:
        return any(self.parts)

    def at(self, rows: int) -> int:
        """The number itself."""
        return self.fixed + (self.per_row + self.per_pair * rows) * rows

    def most(self, other: Amount) -> Amount:
        """Enough for either."""
        return Amount(*map(max, zip(self.parts, other.parts, strict=True)))

    def behind(self, place: str) -> str:
        """place + 12 + 3 * rows, as C text."""
        numbers = (f"{part}{' * rows' * degree}" for degree, part in enumerate(self.parts) if part)
        return " + ".join([place, *numbers])


@dataclass(frozen=True, slots=True)
class Room:
    """What the temporaries of a function take, and how much more the strips of products by CBLAS take."""

    numbers: Amount
    strips: Amount

    @property
    def outside(self) -> bool:
        """Whether the caller gives memory for the arrays, which are too many for a stack."""
        return self.numbers.fixed > STACK or bool(self.numbers.per_pair or self.strips)

    @property
    def stack(self) -> int:
        """How many numbers, besides those of the rows, stand on the stack."""
        return 0 if self.outside else self.numbers.fixed

    @property
    def by_rows(self) -> Amount:
        """What depends on the number of rows."""
        return replace(self.numbers, fixed=0)

    @property
    def given(self) -> Amount:
        """All that a function is given by its caller, or by what calls it in the same file."""
        return self.numbers if self.outside else self.by_rows

    def __bool__(self) -> bool:
        """Whether the function takes work memory."""
        return bool(self.given)
