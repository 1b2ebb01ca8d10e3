"""Units of one pattern that a few columns stand for, and units that have left their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ROUNDING", "Block", "Crossed"]

_Values = npt.NDArray[Any]
_Places = npt.NDArray[np.intp]
ROUNDING = 64  # roundings that a row of columns may be off by


@dataclass(frozen=True)
class Block:
    """Units of one pattern that a few columns stand for."""

    pattern: npt.NDArray[np.int8]
    members: _Places
    xi: _Values  # (units, columns)
    first: int  # its first column
    start: _Values  # what the units had of what follows, when the columns had none
    idle: _Places  # the samples whose pre-activations nothing reads
    rest: _Values  # these when the columns were made, (units, idle samples)

    @property
    def columns(self) -> slice:
        """Where its columns are."""
        return slice(self.first, self.first + self.xi.shape[1])

    def seen(self, rows: _Values, members: Any = slice(None)) -> _Values:
        """The pre-activations of units, (units, samples), from those of all columns."""
        made: _Values = self.xi[members] @ rows[:, self.columns].T
        if self.idle.size:
            made[:, self.idle] += self.rest[members]
        return made


@dataclass(frozen=True)
class Crossed:
    """Units that have left their lines: columns of their own, and members of blocks, with their lines now."""

    loose: _Places
    loose_codes: npt.NDArray[np.int8]  # (columns, samples)
    members: dict[int, tuple[_Places, npt.NDArray[np.int8]]]
    blur: float = 0.0  # how near to a kink a member is on it from now on

    def __bool__(self) -> bool:
        return bool(len(self.loose) or self.members)
