"""A layer that is summed over, while it runs: groups of units, virtual units in place of them, and who changes group.

z_j = V_c zeta_j      zeta_j: the numbers of unit j at the start of its group; V_c: the map of the group since then
sum_j z_j z_j^T = V_c G_c V_c^T,   G_c = sum_j zeta_j zeta_j^T

A unit's pre-activation on input n is a row of V_c times zeta_j. Since the start of the group it moved by no more than
the length of the difference of that row times the length of zeta_j (Cauchy and Schwarz). Only a unit whose distance
from the kink, in units of its own length, is within that is looked at; all others are where they were. A unit that
joins a group gets the zeta_j that it would have had there from the start.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.lines import Lines
from fcsym.language.expression import Array, Axis, Role

__all__ = ["Event", "Layer"]

_Values = npt.NDArray[Any]
_ROUNDING = 64 * np.finfo(float).eps
_NEAR = 0.5  # of the unit matrix: as close the map of a group is inverted without loss


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


class Layer:
    """The units of one layer, in groups of one gate pattern."""

    def __init__(
        self, number: int, unit: Axis, group: Axis | None, arrays: Sequence[Array], lines: Lines | None,
        start: dict[Array, _Values], followers: dict[Array, _Values],
    ) -> None:  # fmt: skip
        """`start`: for each array (n, ...) with the unit first; `followers`: the same of what nothing reads."""
        self.number, self.unit, self.group, self.lines = number, unit, group, lines
        self.arrays = tuple(arrays)
        self.legs = {a: start[a].shape[1:] for a in self.arrays}
        ends = np.cumsum([0, *(prod(self.legs[a]) for a in self.arrays)])
        self.place = {a: slice(int(b), int(e)) for a, (b, e) in zip(self.arrays, pairwise(ends), strict=True)}
        self.numbers = int(ends[-1])
        self.zeta = np.concatenate([start[a].reshape(len(start[a]), -1) for a in self.arrays], axis=1)
        self.ending = {a: value.reshape(len(value), -1).copy() for a, value in followers.items()}
        self.ending_legs = {a: value.shape[1:] for a, value in followers.items()}
        self.shared = False
        self.patterns: npt.NDArray[np.int16] = np.zeros((1, 1), np.int16)
        self.members: list[npt.NDArray[np.intp]] = []

    # ------------------------------------------------------------------------------------------------- groups

    def settle(self, codes: npt.NDArray[np.int16], rows: Any) -> None:
        """Put every unit into the group of its lines; `rows`: V => the pre-activations of virtual units, (p, m, d)."""
        self.rows_of = rows
        patterns, where = np.unique(codes, axis=0, return_inverse=True)
        where = where.ravel()
        order = np.argsort(where, kind="stable")
        ends = np.searchsorted(where[order], np.arange(len(patterns) + 1))
        self.patterns = patterns
        self.members = [order[b:e] for b, e in pairwise(ends)]
        self._fresh(len(patterns))
        for c in range(len(patterns)):
            self._rest(c)
        self.start_rows: _Values = rows(self.virtual)
        for c in range(len(patterns)):
            self._measure(c)

    def _fresh(self, count: int) -> None:
        d = self.numbers
        self.virtual = np.broadcast_to(np.eye(d), (count, d, d)).copy()
        self.gram = np.zeros((count, d, d))
        self.looked = np.zeros(count, np.int64)
        self.following = {a: np.zeros((count, prod(legs), d)) for a, legs in self.ending_legs.items()}
        self.shares = np.broadcast_to(np.eye(len(self.ending)), (count, len(self.ending), len(self.ending))).copy()
        self.least = np.full((count, self.patterns.shape[1]), np.inf)
        self.ratio: list[_Values] = [np.zeros((0, 0))] * count

    def now(self, c: int, units: npt.NDArray[np.intp] | None = None) -> _Values:
        """The numbers of the units of a group, or of some of them."""
        own = self.members[c] if units is None else units
        return np.asarray(self.zeta[own] @ self.virtual[c].T)

    def ends(self, c: int, units: npt.NDArray[np.intp] | None = None) -> dict[Array, _Values]:
        """The same of what nothing reads."""
        own = self.members[c] if units is None else units
        found = {}
        for n, array in enumerate(self.ending):
            value = self.zeta[own] @ self.following[array][c].T
            for m, other in enumerate(self.ending):
                if self.shares[c, n, m]:
                    value = value + self.shares[c, n, m] * self.ending[other][own]
            found[array] = value
        return found

    def _rest(self, c: int) -> None:
        """Take the units of a group where they are as its new start."""
        own = self.members[c]
        for array, value in self.ends(c).items():
            self.ending[array][own] = value
        self.zeta[own] = self.now(c)
        self.virtual[c] = np.eye(self.numbers)
        self.gram[c] = self.zeta[own].T @ self.zeta[own]
        for value in self.following.values():
            value[c] = 0
        self.shares[c] = np.eye(len(self.ending))
        self.looked[c] = 0

    def _measure(self, c: int) -> None:
        """How far each unit of a group was from its kinks at the start, in units of its length."""
        self.ratio[c] = self._ratios(c, self.members[c])
        self.least[c] = self.ratio[c].min(axis=0, initial=np.inf)

    def _ratios(self, c: int, units: npt.NDArray[np.intp]) -> _Values:
        """The same for some units; 0, which is always looked at, where the start is not on the lines of the group."""
        if self.lines is None:
            return np.full((len(units), 1), np.inf)
        s = self.zeta[units] @ self.start_rows[c].T
        length = np.linalg.norm(self.zeta[units], axis=1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(length > 0, self.lines.distance(s) / length, np.inf)
        ratio[self.lines.codes(s) != self.patterns[c]] = 0
        return ratio

    # ------------------------------------------------------------------------------------------------- events

    def look(self, step: int) -> list[Event]:
        """Every unit that has left its lines goes to the group of its new ones."""
        if self.lines is None or not self.lines.kinks.size:
            return []
        rows: _Values = self.rows_of(self.virtual)
        moved = np.sqrt(np.einsum("cnd,cnd->cn", rows - self.start_rows, rows - self.start_rows))
        rounding = _ROUNDING * np.sqrt(np.einsum("cnd,cnd->cn", rows, rows))
        reach = np.where(moved > 0, moved + rounding, -1.0)
        leaving: dict[int, tuple[npt.NDArray[np.intp], npt.NDArray[np.int16]]] = {}
        suspects = np.flatnonzero((self.least <= reach).any(axis=1)).tolist()
        if suspects:
            self._alone()
        for c in suspects:
            near = np.flatnonzero((self.ratio[c] <= reach[c]).any(axis=1))
            codes = self.lines.codes(self.zeta[self.members[c][near]] @ rows[c].T)
            crossed = (codes != self.patterns[c]).any(axis=1)
            self.looked[c] += len(near)
            if crossed.any():
                leaving[c] = near[crossed], codes[crossed]
            elif self.looked[c] > max(64, 2 * len(self.members[c])):
                self._renew(c)
        return self._regrouped(step, leaving, rows) if leaving else []

    def copy(self) -> Layer:
        """The same, to go on from: what only events change is shared until one comes."""
        made = copy.copy(self)
        made.shared = True
        return made

    def _alone(self) -> None:
        """Events change arrays in place: no other state may have them."""
        if not self.shared:
            return
        self.shared = False
        for name in ("zeta", "gram", "looked", "least", "start_rows", "virtual", "shares"):
            setattr(self, name, getattr(self, name).copy())
        self.members, self.ratio = list(self.members), list(self.ratio)
        self.ending = {array: value.copy() for array, value in self.ending.items()}
        self.following = {array: value.copy() for array, value in self.following.items()}

    def _renew(self, c: int) -> None:
        """A new start for a group, and its units measured from there."""
        self._rest(c)
        self.start_rows[c] = self.rows_of(self.virtual)[c]
        self._measure(c)

    def _regrouped(self, step: int, leaving: Any, rows: _Values) -> list[Event]:
        """The units that left, each in the group of its lines; no other unit is touched."""
        events, known = [], {tuple(pattern): c for c, pattern in enumerate(self.patterns.tolist())}
        arriving: dict[tuple[int, ...], list[Any]] = {}
        for c, (near, codes) in leaving.items():
            units = self.members[c][near]
            z, ends = self.now(c, units), self.ends(c, units)
            self._leave(c, near)
            patterns, where = np.unique(codes, axis=0, return_inverse=True)
            for n, pattern in enumerate(map(tuple, patterns.tolist())):
                own = np.flatnonzero(where.ravel() == n)
                before, after = (tuple(v / 2 for v in p) for p in (self.patterns[c].tolist(), pattern))
                events.append(Event(step, self.number, tuple(units[own].tolist()), before, after))
                arriving.setdefault(pattern, []).append((units[own], z[own], {a: v[own] for a, v in ends.items()}))
        for pattern, parts in arriving.items():
            if pattern not in known:
                known[pattern] = len(known)
                self._add(pattern)
            self._arrive(known[pattern], parts)
        if any(not len(own) for own in self.members):
            self._keep(np.array([bool(len(own)) for own in self.members]))
        return events

    def _leave(self, c: int, near: npt.NDArray[np.intp]) -> None:
        gone = self.zeta[self.members[c][near]]
        removed = gone.T @ gone
        self.members[c] = np.delete(self.members[c], near)
        self.ratio[c] = np.delete(self.ratio[c], near, axis=0)
        self.least[c] = self.ratio[c].min(axis=0, initial=np.inf)
        if (2 * np.diagonal(removed) > np.diagonal(self.gram[c])).any():  # of what is left, too many digits would go
            own = self.zeta[self.members[c]]
            self.gram[c] = own.T @ own
        else:
            self.gram[c] -= removed

    def _arrive(self, c: int, parts: Sequence[Any]) -> None:
        """Units come as if they had been there from the start of the group, wherever that is a stable thing to say."""
        units = np.concatenate([part[0] for part in parts])
        z = np.concatenate([part[1] for part in parts])
        if np.linalg.norm(self.virtual[c] - np.eye(self.numbers)) > _NEAR or not len(self.members[c]):
            self._renew(c)
        self.zeta[units] = np.linalg.solve(self.virtual[c], z.T).T
        back = np.linalg.inv(self.shares[c]) if self.ending else np.eye(0)
        left = {
            a: np.concatenate([part[2][a] for part in parts]) - self.zeta[units] @ self.following[a][c].T
            for a in self.ending
        }
        for n, array in enumerate(self.ending):
            value = np.zeros_like(left[array])
            for m, other in enumerate(self.ending):
                if back[n, m]:
                    value = value + back[n, m] * left[other]
            self.ending[array][units] = value
        self.members[c] = np.concatenate([self.members[c], units])
        self.gram[c] += self.zeta[units].T @ self.zeta[units]
        ratio = self._ratios(c, units)
        self.ratio[c] = np.concatenate([self.ratio[c].reshape(-1, ratio.shape[1]), ratio])
        self.least[c] = self.ratio[c].min(axis=0, initial=np.inf)

    def _add(self, pattern: tuple[int, ...]) -> None:
        """A group with no unit in it yet."""
        d, kin = self.numbers, len(self.ending)
        self.patterns = np.concatenate([self.patterns, np.array([pattern], np.int16)])
        self.members.append(np.zeros(0, np.intp))
        self.ratio.append(np.zeros((0, len(pattern))))
        self.virtual = np.concatenate([self.virtual, np.eye(d)[None]])
        self.gram = np.concatenate([self.gram, np.zeros((1, d, d))])
        self.shares = np.concatenate([self.shares, np.eye(kin)[None]])
        self.looked = np.append(self.looked, 0)
        self.least = np.concatenate([self.least, np.full((1, self.least.shape[1]), np.inf)])
        self.start_rows = np.concatenate([self.start_rows, np.zeros((1, *self.start_rows.shape[1:]))])
        for array, value in self.following.items():
            self.following[array] = np.concatenate([value, np.zeros((1, *value.shape[1:]))])

    def _keep(self, full: npt.NDArray[np.bool_]) -> None:
        """Only the groups that have units."""
        self.members = [own for own, keep in zip(self.members, full, strict=True) if keep]
        self.ratio = [own for own, keep in zip(self.ratio, full, strict=True) if keep]
        for name in ("patterns", "virtual", "gram", "shares", "looked", "least", "start_rows"):
            setattr(self, name, getattr(self, name)[full])
        self.following = {array: value[full] for array, value in self.following.items()}

    # ------------------------------------------------------------------------------------------------- values

    def as_operand(self, array: Array) -> _Values:
        """The virtual units of an array, with the axes that the array has, in its order."""
        return self._arranged(array, self.virtual[:, self.place[array]], self.legs[array])

    def _arranged(self, array: Array, value: _Values, legs: tuple[int, ...]) -> _Values:
        own = [axis for axis in array.axes if axis not in (self.unit, self.group)]
        made = value.reshape(len(value), *legs, self.numbers)
        order = {self.group: 0, self.unit: made.ndim - 1} | {axis: n + 1 for n, axis in enumerate(own)}
        if len(set(own)) != len(own):  # never met: a leg twice
            raise AssertionError(array)
        if self.group is None:
            made, order = made[0], {axis: n - 1 for axis, n in order.items()}
        return made.transpose([order[axis] for axis in array.axes])

    def taken_back(self, array: Array, value: _Values) -> _Values:
        """An array with its own axes => virtual units, (p, numbers of the array, d)."""
        own = [axis for axis in array.axes if axis not in (self.unit, self.group)]
        axes = list(array.axes)
        order = [axes.index(axis) for axis in ((self.group,) if self.group is not None else ()) + (*own, self.unit)]
        made = value.transpose(order)
        made = made if self.group is not None else made[None]
        return made.reshape(len(made), -1, made.shape[-1])

    def contracted(self, one: Array, other: Array) -> _Values:
        """The sum over units of two of their arrays, (legs of one, legs of the other, p)."""
        left, right = self.virtual[:, self.place[one]], self.virtual[:, self.place[other]]
        made = left @ self.gram @ right.transpose(0, 2, 1)
        made = made.reshape(len(made), *self.legs[one], *self.legs[other])
        return made[0] if self.group is None else np.moveaxis(made, 0, -1)

    @property
    def one(self) -> Array:
        """The 1 of every unit."""
        return next(array for array in self.arrays if array.role is Role.UNIT)

    def slopes(self) -> _Values:
        """g[n, c], the slopes of the groups."""
        assert self.lines is not None
        return self.lines.slopes[self.patterns].T

    def offsets(self) -> _Values:
        """o[n, c], the intercepts of the groups."""
        assert self.lines is not None
        return self.lines.offsets[self.patterns].T
