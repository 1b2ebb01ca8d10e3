"""How far the columns of a layer have gone since its units were looked at, and until when none can have crossed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INFLATED", "Pace", "Watch"]

_Values = npt.NDArray[Any]
INFLATED = 1 + 1e-9  # for the rounding of the bound itself
_GROWTH = 0.25  # by how much of themselves the rows of weights may grow before they are looked at
_LEAST = float(np.finfo(float).tiny)
_WAIT = 16  # steps whose errors are added up together


@dataclass(frozen=True)
class Watch:
    """How far the pre-activations of blocks have travelled, and how far they may before a unit is looked at."""

    travelled: _Values  # (blocks, samples)
    size: _Values  # the lengths of the rows when they set out
    due: tuple[_Values, ...]  # for each block (units, samples)
    least: _Values  # (blocks, samples)
    seen: _Values  # the rows when they were last looked at
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What the rows of all blocks can have moved by since they were looked at, without looking at them.

    The rows W of weights and S of pre-activations of a block move in a plain step by

        |dW| <= eta g sum_n |delta_n| |S_n|            |dS_n| <= eta g sum_m |a_nm| |delta_m| |W|

    with g the largest slope. Let e_n be the sum of eta |delta_n| over the steps. Then no W is longer than 1 + _GROWTH
    times what it was while g sum_n e_n |S_n| <= _GROWTH |W|, and no S_n has gone further than it may while
    g (1 + _GROWTH) |W| sum_m |a_nm| e_m is less than that: while share @ e is below 1.

    One number is enough for most steps: they add no more to any row of share @ e than the length of the longest row of
    share times that of all their errors (Cauchy and Schwarz). Only where that is too much is e itself added up.
    """

    share: _Values  # (samples + 1, samples)
    longest: float  # of the rows of share
    errors: _Values  # e up to the steps that wait, (samples,)
    waiting: tuple[_Values, ...]  # their errors, (samples, outputs) each
    reached: float  # at least the largest of share @ e, with what waits
    holds: bool  # whether nothing of a block has to be looked at

    @classmethod
    def of(cls, weights: float, rows: _Values, left: _Values, slope: float, inner: _Values) -> Pace:
        """From the longest W of a block, the longest S_n, how far they may go, the largest slope, and |a|."""
        may = np.minimum(left, rows + 1)
        grown = slope * weights * (1 + _GROWTH) * INFLATED
        share = np.concatenate([
            grown * inner / np.where(may > 0, may, 0)[:, None],
            slope * np.maximum(rows + may, 1)[None] / np.asarray(_GROWTH * weights) * INFLATED,
        ])  # fmt: skip
        longest = float(np.sqrt(np.vecdot(share, share).max())) * INFLATED
        return cls(share, longest, np.zeros(len(rows)), (), 0.0, bool(np.isfinite(longest)))

    def after(self, errors: _Values) -> Pace:
        """After a step; `errors`: eta delta, (samples, outputs)."""
        errors = errors.astype(float, copy=False)
        # squares may vanish: then what they are of is shorter than the root of the least number that does not
        reached = self.reached + self.longest * math.sqrt(float(np.vdot(errors, errors)) + _LEAST)
        waiting = (*self.waiting, errors)
        if reached < 1 and len(waiting) < _WAIT:
            return Pace(self.share, self.longest, self.errors, waiting, reached, self.holds)
        every = np.array(waiting)
        made = self.errors + np.sqrt(np.vecdot(every, every) + _LEAST).sum(axis=0)
        reached = float((self.share @ made).max())  # where that is no number it does not hold
        return Pace(self.share, self.longest, made, (), reached, self.holds and reached < 1)
