"""On which line of its activation each unit of a layer is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Lines"]

_Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Lines:
    """The lines of an activation by code: 2n for piece n, 2n + 1 for the kink at its end, with the declared slope."""

    kinks: tuple[float, ...]
    slopes: tuple[float, ...]
    offsets: tuple[float, ...]  # nothing where all are 0

    @cached_property
    def slope_of(self) -> _Values:
        """The slopes as an array."""
        return np.array(self.slopes)

    @cached_property
    def offset_of(self) -> _Values:
        """The intercepts as an array."""
        return np.array(self.offsets)

    @cached_property
    def steepest(self) -> float:
        """The largest slope, in absolute terms."""
        return max(map(abs, self.slopes))

    def codes_of(self, s: _Values, blur: Any = 0.0) -> npt.NDArray[np.int8]:
        """The line of each pre-activation; one that is a kink has its own, and what is no number the lowest.

        `blur`: what is no further than this from a kink is on it.
        """
        found = np.zeros(s.shape, np.int8)
        for kink in self.kinks:
            found += s > kink + blur
            found += s >= kink - blur
        return found

    def distance(self, s: _Values) -> _Values:
        """How far each pre-activation is from the nearest kink."""
        if not self.kinks:
            return np.full(s.shape, np.inf)
        return np.asarray(np.abs(np.asarray(s)[..., None] - np.array(self.kinks)).min(axis=-1))
