"""What a check says, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["ULPS", "Report", "Row"]

ULPS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity in one case: how many numbers were compared, and the worst of them."""

    quantity: str
    case: str
    points: int
    worst: float  # the absolute error where error / bound is largest
    bound: float  # 16 eps times the sum of absolute terms there
    where: Mapping[str, Any]  # which element, from 1, and all numbers of the point where they are few
    impossible: bool = False

    @property
    def ratio(self) -> float:
        """The worst error in units of its bound."""
        if self.worst == 0:
            return 0.0
        return self.worst / self.bound if self.bound else float("inf")

    @property
    def passed(self) -> bool:
        """Some points, all within the bound; or none, where that is proved."""
        return self.ratio <= 1 if self.points else self.impossible


@dataclass(frozen=True)
class Report:
    """The outcome of a check."""

    network: str
    order: str
    against: str  # the order of the oracle
    trials: int
    seed: int
    dtype: str
    rows: tuple[Row, ...]
    left_out: int  # points at which rounding decides a gate, or that overflow: nothing can be said there
    steps: int

    @property
    def passed(self) -> bool:
        """Every row passed, and something was compared at all."""
        return self.points > 0 and all(row.passed for row in self.rows)

    @cached_property
    def worst(self) -> Row:
        """The row with the largest error in units of its bound."""
        return max(self.rows, key=lambda row: (not row.passed, row.ratio))

    @property
    def points(self) -> int:
        """How many numbers were compared."""
        return sum(row.points for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [f"{self.network}, {self.order} order, against {self.against} autodiff, {self.dtype}"]
        for row in self.rows:
            mark = "ok  " if row.passed else "FAIL"
            note = "cannot occur" if row.impossible and not row.points else f"{row.ratio:.3g} of the bound"
            lines.append(f"  {mark} {row.quantity:8} {row.case:32} {row.points:9} points  {note}")
        return "\n".join(lines)
