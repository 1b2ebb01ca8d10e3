"""On which line of its activation each unit of a layer is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.language.activation import Activation

__all__ = ["Lines"]

_Values = npt.NDArray[Any]


class Lines:
    """The lines of an activation by code: 2n for piece n, 2n + 1 for the kink at its end, with the declared slope."""

    def __init__(self, phi: Activation) -> None:
        self.kinks = np.array([float(kink) for kink in phi.kinks])
        slopes, offsets = [], []
        for n, piece in enumerate(phi.pieces):
            slopes.append(float(piece.slope))
            offsets.append(float(piece.intercept))
            if n < len(phi.kinks):
                kink, slope = phi.kinks[n], phi.kink_slopes[n]
                slopes.append(float(slope))
                offsets.append(float(phi.value_at(kink) - slope * kink))
        self.slopes, self.offsets = np.array(slopes), np.array(offsets)

    def codes_of(self, s: _Values) -> npt.NDArray[np.int8]:
        """The line of each pre-activation; one that is a kink exactly has its own, and what is no number the lowest."""
        found = np.zeros(s.shape, np.int8)
        for kink in self.kinks.tolist():
            found += s > kink
            found += s >= kink
        return found

    def distance(self, s: _Values) -> _Values:
        """How far each pre-activation is from the nearest kink."""
        if not self.kinks.size:
            return np.full(s.shape, np.inf)
        return np.asarray(np.abs(np.asarray(s)[..., None] - self.kinks).min(axis=-1))
