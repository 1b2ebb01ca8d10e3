"""The columns of a layer that is summed over: units, and combinations of units that stand for many of them.

z_j = sum_u xi[j, u] Z_u        sum_j xi[j, u] xi[j, v] = [u = v]

z_j are the numbers of unit j: its weights to free layers, its pre-activations, what the rule remembers of them. The
units of one gate pattern are as many rows of numbers; a QR decomposition gives as many columns Z as a unit has numbers,
and orthonormal xi. With the gates held a step takes every combination of units to the same combination, and sums over
the units are sums over the columns. A pattern with few units is left as it is: a column is a unit.

Where the slope is 0 nothing reads a pre-activation, and the numbers that are read do not follow from it. So it is not
among the numbers that are turned into columns: it is what it was when they were made, and what they have moved it by.

A unit that is or was one of many that columns stand for is known to rounding. In short numbers, which floats have
exactly, units come to kinks exactly: there one that is `fine` near is on it.

A unit that is a column has left its line as soon as its own pre-activation has. Of a unit that is not, the
pre-activation moves in a step by no more than |xi_j| |dS|, with S the row of pre-activations of its columns (Cauchy and
Schwarz). What that has added up to since the unit was last looked at tells when it may have reached a kink; until then
it is where it was, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.blocks import ROUNDING, Block, Crossed
from fcsym.collapsing.events import Event, told
from fcsym.collapsing.lines import Lines
from fcsym.collapsing.numbers import Numbers
from fcsym.collapsing.watch import INFLATED, Pace, Watch

__all__ = ["Columns", "laid_out"]

_Values = npt.NDArray[Any]
_Places = npt.NDArray[np.intp]
_WORTH = 2  # times as many units as a unit has numbers: fewer are left as they are
_NONE = np.zeros(0, np.intp)
_BEYOND = 4096  # bytes: rows this far apart, or a multiple of it, meet in a processor's cache


_NOBODY = Crossed(_NONE, np.zeros((0, 0), np.int8), {})


@dataclass(frozen=True)
class Columns:
    """How the units of a layer are held: by blocks of columns first, then as columns of their own, then spare room."""

    numbers: Numbers
    lines: Lines | None
    units: int
    unit_of: _Places  # of each column, -1 where it is none
    codes: npt.NDArray[np.int8]  # (samples, columns)
    blocks: tuple[Block, ...]
    ones: _Values  # of each column the number that is 1 for a unit
    blur: _Values  # how near to a kink a unit is on it: 0 where it never was in a block
    fine: float  # the same of those in a block, relative to their pre-activations together

    @property
    def width(self) -> int:
        """How many columns there are, with spare ones."""
        return len(self.unit_of)

    @property
    def used(self) -> int:
        """How many columns stand for something: the first ones."""
        return self.loose_from + int((self.unit_of >= 0).sum())

    @property
    def loose_from(self) -> int:
        """The first column that is a unit."""
        return self.blocks[-1].first + self.blocks[-1].xi.shape[1] if self.blocks else 0

    @cached_property
    def loose(self) -> slice:
        """The columns that are units."""
        return slice(self.loose_from, self.used)

    @cached_property
    def _blur(self) -> Any:
        """The same of the columns that are units; 0 where it is that of all."""
        own = self.blur[self.loose]
        return own if own.any() else 0.0

    @property
    def patterns(self) -> npt.NDArray[np.int8]:
        """The codes of the gate patterns that occur, (patterns, samples), the lowest first."""
        own = self.codes[:, self.unit_of >= 0].T
        blocks = np.array([block.pattern for block in self.blocks], np.int8).reshape(-1, len(self.codes))
        return np.unique(np.concatenate([own, blocks]), axis=0)

    @property
    def held(self) -> tuple[_Values, ...]:
        """The slopes of the columns, (samples, columns), the intercepts, and the ones where they count."""
        found: tuple[_Values, ...] = ()
        if self.lines is not None:
            found = (self.lines.slope_of[self.codes],)
            if self.lines.offsets:
                found = (*found, self.lines.offset_of[self.codes] * self.ones)
        return (*found, self.ones) if self.numbers.counts else found

    # ------------------------------------------------------------------------------------------------ events

    def watch(self, rows: _Values) -> Watch:
        """A watch over the blocks that begins now; `rows`: the pre-activations of the columns, (samples, columns)."""
        blocks, count = self.blocks, len(self.codes)
        travelled = np.zeros((len(blocks), count))
        size = np.sqrt(self._squares(rows[:, : self.loose_from]))
        due = tuple(self._due(block, rows, travelled[0] if blocks else travelled) for block in blocks)
        least = np.array([own.min(axis=0) for own in due]).reshape(len(blocks), count)
        return Watch(travelled, size, due, least, rows)

    def watch_on(self, watch: Watch, rows: _Values, changed: Sequence[int]) -> Watch:
        """The same watch, begun anew over some of the blocks."""
        travelled, size, due, least = watch.travelled.copy(), watch.size.copy(), list(watch.due), watch.least.copy()
        for b in changed:
            own = rows[:, self.blocks[b].columns]
            travelled[b] = 0
            size[b] = np.sqrt(np.square(own, dtype=float).sum(axis=1))
            due[b] = self._due(self.blocks[b], rows, travelled[b])
            least[b] = due[b].min(axis=0)
        far = np.sqrt(self._squares(rows[:, : self.loose_from] - watch.seen[:, : self.loose_from]))
        far[list(changed)] = 0
        return Watch(travelled + far * INFLATED, size, tuple(due), least, rows)

    def paced(self, watch: Watch, weights: _Values, slope: float, inner: _Values) -> Watch:
        """The same watch with a bound for the steps to come.

        `weights`: the numbers of the columns that are no rows. `slope`: the largest one. `inner`: |a|, (samples,
        samples).
        """
        if not self.blocks:
            return watch
        longest = float(np.sqrt(self._squares(weights[: self.loose_from].T).sum(axis=1).max()))
        rows = watch.size + watch.travelled
        slack = self._slack(weights.dtype) * rows
        left = (watch.least - watch.travelled - 2 * slack).min(axis=0)
        return replace(watch, pace=Pace.of(longest, rows.max(axis=0), left, slope, inner))

    def _slack(self, dtype: Any) -> float:
        """How far rows may be from what they stand for, relative to their lengths."""
        return float(ROUNDING * np.finfo(dtype).eps) + self.fine

    def _squares(self, rows: _Values) -> _Values:
        """The sum of squares over the columns of each block, (blocks, samples)."""
        if not self.blocks:
            return np.zeros((0, len(rows)))
        squares = np.square(rows, dtype=float)
        made: _Values = np.add.reduceat(squares, [block.first for block in self.blocks], axis=1).T
        return made

    def _due(self, block: Block, rows: _Values, travelled: _Values, members: Any = slice(None)) -> _Values:
        """What the rows may have travelled before a unit can have reached a kink."""
        assert self.lines is not None
        length = np.linalg.norm(block.xi[members], axis=1)[:, None]
        distance = self.lines.distance(block.seen(rows, members))
        if block.idle.size:  # what stands beside the columns rounds by itself
            distance[:, block.idle] -= ROUNDING * np.finfo(rows.dtype).eps * np.abs(block.rest[members])
        return np.where(length > 0, travelled + distance / length, np.inf)

    def look(self, rows: _Values, watch: Watch) -> tuple[Crossed, Watch]:
        """Who has left its lines in a step, from the pre-activations of the columns after it.

        Where the watch has a bound, blocks are looked at when that says that a unit of one may have crossed.
        """
        assert self.lines is not None
        start, members = self.loose.start, {}
        still = watch.pace is not None and watch.pace.holds
        if self.loose.stop == start and still:
            return _NOBODY, watch
        codes = self.lines.codes_of(rows[:, self.loose], self._blur)
        other = codes != self.codes[:, self.loose]
        loose, blur = np.flatnonzero(other.any(axis=0)) if other.any() else _NONE, 0.0
        if self.blocks and not still:
            far = np.sqrt(self._squares(rows[:, :start] - watch.seen[:, :start]))
            travelled = watch.travelled + far * (1 + 4 * np.finfo(rows.dtype).eps)
            rough = watch.size + travelled
            reach, near_by = travelled + self._slack(rows.dtype) * rough, self.fine / 2 * rough
            blur = float(near_by.max())
            suspects = np.flatnonzero((watch.least <= reach).any(axis=1)).tolist()
            if not suspects:
                watch = Watch(travelled, watch.size, watch.due, watch.least, rows)
            else:
                due, least = list(watch.due), watch.least.copy()
                for b in suspects:
                    block = self.blocks[b]
                    near = np.flatnonzero((due[b] <= reach[b]).any(axis=1))
                    lengths = np.linalg.norm(block.xi[near], axis=1)[:, None]
                    own = self.lines.codes_of(block.seen(rows, near), near_by[b] * lengths)
                    left = (own != block.pattern).any(axis=1)
                    if left.any():
                        members[b] = near[left], own[left]
                    due[b] = due[b].copy()
                    due[b][near] = self._due(block, rows, travelled[b], near)
                    least[b] = due[b].min(axis=0)
                watch = Watch(travelled, watch.size, tuple(due), least, rows)
        return Crossed(loose + start, codes[:, loose].T, members, blur), watch

    def events(self, crossed: Crossed, step: int) -> list[Event]:
        """What is reported of them: units that went from one pattern to another together."""
        columns = crossed.loose
        units, before, after = [self.unit_of[columns]], [self.codes[:, columns].T], [crossed.loose_codes]
        for b, (places, codes) in crossed.members.items():
            block = self.blocks[b]
            units.append(block.members[places])
            before.append(np.broadcast_to(block.pattern, codes.shape))
            after.append(codes)
        return told(self.numbers.layer, step, np.concatenate(units), np.concatenate(before), np.concatenate(after))

    def regrouped(self, crossed: Crossed, arrays: Sequence[_Values]) -> tuple[Columns, list[_Values]]:
        """The same with every unit that crossed on its new lines, as a column of its own."""
        codes = self.codes.copy()
        codes[:, crossed.loose] = crossed.loose_codes.T
        made = replace(self, codes=codes)
        if not crossed.members:
            return made, list(arrays)
        spare = np.flatnonzero((self.unit_of < 0) & (np.arange(self.width) >= self.loose_from))
        leaving = sum(len(places) for places, _ in crossed.members.values())
        dissolved = any(
            len(own.xi) - len(places) <= own.xi.shape[1]
            for own, places in ((self.blocks[b], places) for b, (places, _) in crossed.members.items())
        )
        if leaving > len(spare) or dissolved:
            return made._again(crossed, arrays)
        values, following = self.numbers.of(arrays)
        ones, unit_of, blocks, blur = self.ones.copy(), self.unit_of.copy(), list(self.blocks), self.blur.copy()
        for b, (places, own) in crossed.members.items():
            block = self.blocks[b]
            z, f, e = self._now(block, values, following)
            target, spare = spare[: len(places)], spare[len(places) :]
            values[target], following[target], ones[target], blur[target] = z[places], f[places], 1, crossed.blur
            codes[:, target], unit_of[target] = own.T, block.members[places]
            rest = np.delete(np.arange(len(z)), places)
            made_of = _turned(self.numbers, z[rest], e[rest] if self._counts else None, block.idle)
            xi, values[block.columns], ones[block.columns] = made_of
            following[block.columns] = 0
            idle = _idle(self.numbers, z[rest], block.idle)
            blocks[b] = replace(block, members=block.members[rest], xi=xi, start=f[rest], rest=idle)
        made = replace(made, unit_of=unit_of, blocks=tuple(blocks), ones=ones, blur=blur)
        return made, self.numbers.put(arrays, values, following)

    @property
    def _counts(self) -> bool:
        return _counts(self.numbers, self.lines)

    def _now(self, block: Block, values: _Values, following: _Values) -> tuple[_Values, _Values, _Values]:
        """The units of a block as they are: their numbers, what follows, and the 1 of each."""
        own = block.columns
        made = block.xi @ values[own]
        if self.numbers.rows is not None:
            made[:, self.numbers.rows + block.idle] += block.rest
        f = block.start + block.xi @ following[own] if following.size else block.start
        return made, f, block.xi @ self.ones[own]

    def _again(self, crossed: Crossed, arrays: Sequence[_Values]) -> tuple[Columns, list[_Values]]:
        """Laid out anew, from all units as they are now."""
        values, following, codes = self.all_units(arrays)
        for b, (places, own) in crossed.members.items():
            codes[self.blocks[b].members[places]] = own
        blur, alone = np.full(self.units, crossed.blur), self.unit_of >= 0
        blur[self.unit_of[alone]] = self.blur[alone]
        return laid_out(
            self.numbers, self.lines, values, following, codes, arrays, self.width, blur=blur, fine=self.fine
        )

    def all_units(self, arrays: Sequence[_Values]) -> tuple[_Values, _Values, npt.NDArray[np.int8]]:
        """The numbers of every unit, what follows, and its lines, (units, samples)."""
        values, following = self.numbers.of(arrays)
        own = np.flatnonzero(self.unit_of >= 0)
        z = np.empty((self.units, values.shape[1]), values.dtype)
        f = np.empty((self.units, following.shape[1]), following.dtype)
        codes = np.empty((self.units, len(self.codes)), np.int8)
        z[self.unit_of[own]], codes[self.unit_of[own]] = values[own], self.codes[:, own].T
        if f.size:
            f[self.unit_of[own]] = following[own]
        for block in self.blocks:
            z[block.members], now, _ = self._now(block, values, following)
            codes[block.members] = block.pattern
            if f.size:
                f[block.members] = now
        return z, f, codes


def _idle(numbers: Numbers, values: _Values, idle: _Places) -> _Values:
    """Pre-activations that nothing reads, (units, idle samples)."""
    return values[:, numbers.rows + idle] if numbers.rows is not None else np.zeros((len(values), 0), values.dtype)


def _counts(numbers: Numbers, lines: Lines | None) -> bool:
    """Whether a step adds up the ones of units: where a line has an intercept, or a bias is one number for all."""
    return numbers.counts or (lines is not None and bool(lines.offsets))


def _turned(
    numbers: Numbers, values: _Values, ones: _Values | None, idle: _Places
) -> tuple[_Values, _Values, _Values | float]:
    """Units of one pattern => xi, the numbers of the columns, and their ones; `ones`: where they count."""
    own = np.arange(values.shape[1])
    if numbers.rows is not None:
        own = np.delete(own, numbers.rows + idle)
    whole = values[:, own] if ones is None else np.concatenate([values[:, own], ones[:, None]], axis=1)
    xi, columns = np.linalg.qr(whole)
    made = np.zeros((len(columns), values.shape[1]), values.dtype)
    made[:, own] = columns[:, : len(own)]
    return xi, made, 0 if ones is None else columns[:, -1]


def laid_out(
    numbers: Numbers, lines: Lines | None, values: _Values, following: _Values, codes: npt.NDArray[np.int8],
    arrays: Sequence[_Values], room: int = 0, turn: bool = True, blur: _Values | None = None, fine: float = 0.0,
) -> tuple[Columns, list[_Values]]:  # fmt: skip
    """Units => columns: a block for every pattern with many of them; `room`: as many columns, where that is enough.

    `values`, `following`: the numbers of each unit. `codes`: (units, samples). `arrays`: the state, of which those of
    the layer are replaced. A unit that is on a kink is a column of its own; without `turn`, every unit is.
    `blur`, `fine`: as in `Columns`, `blur` for every unit.
    """
    counts = _counts(numbers, lines)
    most = values.shape[1] + counts
    _, first, where, many = np.unique(codes, axis=0, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(where.ravel(), kind="stable")
    ends = np.cumsum([0, *many])
    blocks: list[Block] = []
    turned, at = np.zeros(len(codes), bool), 0
    parts: list[list[Any]] = []
    for n, size in enumerate(many.tolist()):
        pattern = codes[first[n]]
        idle = _NONE if lines is None or numbers.rows is None else np.flatnonzero(lines.slope_of[pattern] == 0)
        if not turn or size <= _WORTH * (most - len(idle)) or (pattern % 2).any():
            continue
        own = order[ends[n] : ends[n + 1]]
        xi, *columns = _turned(numbers, values[own], np.ones(size, values.dtype) if counts else None, idle)
        start = following[own] if following.size else np.zeros((size, 0), values.dtype)
        blocks.append(Block(pattern, own, xi, at, start, idle, _idle(numbers, values[own], idle)))
        parts.append(columns)
        turned[own] = True
        at += xi.shape[1]
    loose = np.flatnonzero(~turned)
    used = at + len(loose)
    width = _room(used, bool(blocks), values.dtype.itemsize)
    width = room if used <= room <= width else width
    made = np.zeros((width, values.shape[1]), values.dtype)
    ones, blurred = np.zeros(width, values.dtype), np.zeros(width)
    for block, (columns, own) in zip(blocks, parts, strict=True):
        made[block.columns], ones[block.columns] = columns, own
    made[at:used], ones[at:used], blurred[at:used] = values[loose], 1, 0 if blur is None else blur[loose]
    follows = np.zeros((width, following.shape[1]), values.dtype)
    if following.size:
        follows[at:used] = following[loose]
    still = lines.codes_of(np.zeros((1, 1)))[0, 0] if lines is not None else 0
    held = np.full((codes.shape[1], width), still, np.int8)
    held[:, at:used] = codes[loose].T
    for block in blocks:
        held[:, block.columns] = block.pattern[:, None]
    unit_of = np.full(width, -1, np.intp)
    unit_of[at:used] = loose
    found = Columns(numbers, lines, len(codes), unit_of, held, tuple(blocks), ones, blurred, fine)
    return found, numbers.put(arrays, made, follows)


def _room(used: int, blocks: bool, itemsize: int) -> int:
    """How many columns there are room for: more where blocks may lose units."""
    width = used + (max(32, used // 32) if blocks else 0)
    return width + 8 if width * itemsize % _BEYOND == 0 else width
