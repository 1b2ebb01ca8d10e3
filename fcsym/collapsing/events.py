"""Gate events: units that left their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

__all__ = ["Event", "told"]

_Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Units that left their lines together: after which step, and the lines on every input before and after.

    A line is the number of a piece, from 0, or that of a kink, 0.5 where pieces 0 and 1 meet.
    """

    step: int
    layer: int
    units: tuple[int, ...]  # from 0
    before: tuple[float, ...]
    after: tuple[float, ...]


def told(layer: int, step: int, units: _Values, before: _Values, after: _Values) -> list[Event]:
    """Events of units that went from one pattern of codes to another together; `before`, `after`: (units, samples)."""
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for unit, old, new in zip(units.tolist(), before.tolist(), after.tolist(), strict=True):
        found.setdefault((tuple(old), tuple(new)), []).append(unit)
    return [
        Event(step, layer, tuple(sorted(own)), *(tuple(v / 2 for v in pattern) for pattern in pair))
        for pair, own in sorted(found.items())
    ]
