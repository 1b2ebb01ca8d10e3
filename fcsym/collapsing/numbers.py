"""The numbers of a unit of a layer that is summed over: where they are in a state, and which of them are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Numbers"]

_Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Numbers:
    """Where the numbers of a layer's units are in a state: (array, axis of the units)."""

    layer: int
    read: tuple[tuple[int, int], ...]
    following: tuple[tuple[int, int], ...]  # of what nothing reads, and starts anew with a pattern
    rows: int | None = None  # where pre-activations begin that only the layer's own activations read
    counts: bool = False  # whether a bias is one number for all units, which adds up their ones

    def of(self, arrays: Sequence[_Values], columns: Any = slice(None)) -> tuple[_Values, _Values]:
        """Both as one row for each column."""
        rows = _rows(arrays, self.read, columns)
        return rows, _rows(arrays, self.following, columns) if self.following else np.zeros((len(rows), 0))

    def put(self, arrays: Sequence[_Values], values: _Values, following: _Values) -> list[_Values]:
        """The arrays with these columns in place of theirs."""
        made = list(arrays)
        for places, rows in ((self.read, values), (self.following, following)):
            start = 0
            for place, axis in places:
                legs = np.delete(arrays[place].shape, axis)
                own = rows[:, start : start + prod(legs)].reshape(len(rows), *legs)
                made[place] = np.ascontiguousarray(np.moveaxis(own, 0, axis), arrays[place].dtype)
                start += prod(legs)
        return made


def _rows(arrays: Sequence[_Values], places: Sequence[tuple[int, int]], columns: Any) -> _Values:
    parts = [np.moveaxis(arrays[place], axis, 0)[columns] for place, axis in places]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
