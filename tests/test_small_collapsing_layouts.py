"""Units and the columns that stand for them, beside a list of units: laid out in any way, they are the same units.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import numpy as np
import pytest

from fcsym.collapsing.blocks import Crossed
from fcsym.collapsing.columns import _room, laid_out
from fcsym.collapsing.lines import Lines
from fcsym.collapsing.numbers import Numbers

RELU = Lines((0.0,), (0.0, 0.5, 1.0), ())
LEAKY = Lines((0.0,), (0.25, 0.5, 1.0), ())
HAT = Lines((-1.0, 1.0), (0.0, 0.5, 1.0, 0.5, 0.0), (0.0, 0.5, 1.0, 1.5, 2.0))
# of a unit: 2 weights above it, 2 pre-activations, 3 weights below it, and 2 numbers that nothing reads
ABOVE, SEEN, BELOW, NEXT = (0, 1), (1, 1), (2, 0), (3, 1)
KINDS = {
    "a plain step": (RELU, Numbers(1, (ABOVE, SEEN), (NEXT,), 2)),
    "where no slope is 0": (LEAKY, Numbers(1, (ABOVE, SEEN), (NEXT,), 2)),
    "what a rule remembers": (RELU, Numbers(1, (ABOVE, SEEN, BELOW), ())),
    "intercepts": (HAT, Numbers(1, (ABOVE, SEEN), (NEXT,), 2)),
    "one bias for all": (RELU, Numbers(1, (SEEN, BELOW), (), None, True)),
    "no lines": (None, Numbers(1, (ABOVE, BELOW), (NEXT,))),
    "no lines, one bias for all": (None, Numbers(1, (ABOVE, BELOW), (), None, True)),
}


class Units:
    """Units one by one: their numbers, their lines, and what training makes of them."""

    def __init__(self, name, count, rng):
        self.lines, self.numbers = KINDS[name]
        self.arrays = [rng.normal(size=shape) for shape in ((2, count), (2, count), (count, 3), (2, count))]
        self.codes = np.zeros((count, 2), np.int8)
        if self.lines is not None:
            self.arrays[1][:, 0] = self.lines.kinks[0]  # the first one is on a kink
            self.codes = self.lines.codes_of(self.arrays[1]).T
        self.blur = np.zeros(count)
        self.rng = rng

    @property
    def counts(self):
        return self.numbers.counts or bool(self.lines and self.lines.offsets)

    @property
    def values(self):
        return self.numbers.of(self.arrays)

    def read(self, values, codes):
        """What a step reads of them: no pre-activation where the slope is 0."""
        made = values.copy()
        if self.lines is not None and self.numbers.rows is not None:
            made[:, self.numbers.rows :][self.lines.slope_of[codes] == 0] = 0
        return made

    def moved(self, values, following, codes, ones, by):
        """After a step, which is linear in what it reads, and in 1: one for every pattern."""
        now, after, later = self.read(values, codes), values.copy(), following.copy()
        for pattern in np.unique(codes, axis=0):
            own = (codes == pattern).all(axis=1)
            matrix, beside, other = by[tuple(pattern.tolist())]
            after[own] += now[own] @ matrix + (ones[own, None] * beside if self.counts else 0)
            later[own] += now[own] @ other
        return after, later

    def laid_out(self, **more):
        codes = self.codes.copy()  # what is laid out has views of them
        return laid_out(self.numbers, self.lines, *self.values, codes, self.arrays, blur=self.blur, **more)

    def train(self, columns, arrays):
        """All of them after a step, and the columns after the same."""
        values, following = self.values
        by = {
            tuple(pattern.tolist()): (
                self.rng.normal(size=(values.shape[1], values.shape[1])) / 8, self.rng.normal(size=values.shape[1]),
                self.rng.normal(size=(values.shape[1], following.shape[1])),
            )
            for pattern in np.unique(np.concatenate([self.codes, columns.codes.T]), axis=0)
        }  # fmt: skip
        self.arrays = self.numbers.put(
            self.arrays, *self.moved(values, following, self.codes, np.ones(len(values)), by)
        )
        made = self.moved(*self.numbers.of(arrays), columns.codes.T, columns.ones, by)
        return self.numbers.put(arrays, *made)

    def cross(self, columns, leaving, loose, blur):
        """So many members of each block, and units that are columns, on other lines.

        `blur`: of whatever is in no block any more.
        """
        most = 2 * len(self.lines.kinks)
        members = {}
        for block in columns.blocks:
            self.blur[block.members] = blur
        for b, count in leaving.items():
            block = columns.blocks[b]
            places = np.sort(self.rng.choice(len(block.members), count, replace=False))
            members[b] = places, self.rng.integers(0, most + 1, size=(count, 2)).astype(np.int8)
            self.codes[block.members[places]] = members[b][1]
        own = np.flatnonzero(columns.unit_of >= 0)
        own = np.sort(self.rng.choice(own, min(loose, len(own)), replace=False))
        codes = self.rng.integers(0, most + 1, size=(len(own), 2)).astype(np.int8)
        self.codes[columns.unit_of[own]] = codes
        return Crossed(own, codes, members, blur)


def is_of(columns, arrays, units):
    """The columns stand for these units, and sums over them are sums over the units."""
    numbers, lines = units.numbers, units.lines
    values, following = units.values
    found = columns.all_units(arrays)
    for got, wanted in zip(found, (values, following, units.codes), strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, atol=1e-11 * max(1, np.abs(wanted).max(initial=0)))
    alone = columns.unit_of[columns.unit_of >= 0]
    members = [block.members for block in columns.blocks]
    assert sorted(np.concatenate([alone, *members]).tolist()) == list(range(len(values)))
    assert columns.used == columns.loose.stop <= columns.width
    assert (columns.unit_of[columns.loose] >= 0).all() and columns.loose.start == columns.loose_from
    assert (columns.unit_of[columns.used :] == -1).all() and (columns.unit_of[: columns.loose_from] == -1).all()
    np.testing.assert_array_equal(columns.blur[columns.loose], units.blur[alone])
    np.testing.assert_array_equal(columns.patterns, np.unique(units.codes, axis=0))
    for block in columns.blocks:
        idle = 0 if numbers.rows is None else int((lines.slope_of[block.pattern] == 0).sum())
        assert block.xi.shape == (len(block.members), values.shape[1] + units.counts - idle)
        assert len(block.members) > block.xi.shape[1] and not (block.pattern % 2).any()
        assert block.rest.shape == (len(block.members), idle)
        np.testing.assert_allclose(block.xi.T @ block.xi, np.eye(block.xi.shape[1]), atol=1e-12)
        assert block.start.shape == (len(block.members), following.shape[1])
        assert (block.pattern == columns.codes[:, block.columns].T).all()
        if units.counts:
            np.testing.assert_allclose(block.xi @ columns.ones[block.columns], 1, atol=1e-12)
    assert not arrays[numbers.read[0][0]].take(range(columns.used, columns.width), axis=numbers.read[0][1]).any()
    held = list(columns.held)
    if numbers.counts:
        ones = held.pop()
        assert (ones[columns.loose] == 1).all() and ones @ ones == pytest.approx(len(values))
    own, whole = numbers.of(arrays)[0], units.values[0]
    if lines is None:
        assert not held
        np.testing.assert_allclose(own.T @ own, whole.T @ whole, atol=1e-10 * np.abs(whole).max() ** 2)
        return
    for n in range(2):  # sum_j z_j (g_j s_j + o_j), whatever the numbers z are
        s = arrays[1][n]
        made = held[0][n] * s + (held[1][n] if lines.offsets else 0)
        true = lines.slope_of[units.codes[:, n]] * units.arrays[1][n]
        true = true + (lines.offset_of[units.codes[:, n]] if lines.offsets else 0)
        if numbers.rows is None:
            np.testing.assert_allclose(made @ own, true @ whole, atol=1e-10 * np.abs(whole).max() ** 2)
        else:
            wanted = true @ whole[:, : numbers.rows]
            np.testing.assert_allclose(made @ own[:, : numbers.rows], wanted, atol=1e-10 * np.abs(whole).max() ** 2)


@pytest.mark.parametrize("count", [9, 120])
@pytest.mark.parametrize("name", KINDS)
def test_columns_stand_for_the_units_that_they_were_made_of(name, count):
    """After steps, too; and every one is a unit where none may stand with another."""
    units = Units(name, count, np.random.default_rng(count))
    columns, arrays = units.laid_out()
    assert bool(columns.blocks) is (count > 100)
    for _ in range(3):
        is_of(columns, arrays, units)
        arrays = units.train(columns, arrays)
    is_of(columns, arrays, units)
    columns, arrays = units.laid_out(turn=False)
    is_of(columns, arrays, units)
    assert not columns.blocks and columns.unit_of.tolist() == list(range(count))


@pytest.mark.parametrize("loose", [0, 4])
@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name][0] is not None])
def test_units_that_leave_their_lines_are_the_same_units(name, loose):
    """As columns of their own while there is room, and with all others laid out anew where there is none."""
    units = Units(name, 160, np.random.default_rng(7))
    columns, arrays = units.laid_out()
    stayed = again = 0
    for turn in range(9):
        arrays = units.train(columns, arrays)
        spare, left = columns.width - columns.used, {}
        for b, block in enumerate(columns.blocks):
            may = len(block.members) - block.xi.shape[1] - 1  # as many as it needs stay
            left[b] = [may, 2, may + 1, 1][(turn + b) % 4]
        left = {b: count for b, count in left.items() if count > 0 and (turn or not b)}
        if turn == 1:  # as many as there is room for
            left = {0: min(spare, len(columns.blocks[0].members) - columns.blocks[0].xi.shape[1] - 1)}
        if turn == 4:
            left = {}
        crossed, before, were = units.cross(columns, left, loose, (turn + 1) / 16), columns, arrays
        columns, arrays = columns.regrouped(crossed, arrays)
        is_of(columns, arrays, units)
        enough = all(len(before.blocks[b].members) - k > before.blocks[b].xi.shape[1] for b, k in left.items())
        if enough and sum(left.values()) <= spare:
            assert columns.width == before.width and len(columns.blocks) == len(before.blocks)
            assert all(
                a is b for k, (a, b) in enumerate(zip(columns.blocks, before.blocks, strict=True)) if k not in left
            )
            stayed += bool(left)
        else:
            again += 1
        assert left or all(a is b for a, b in zip(arrays, were, strict=True))
    assert stayed and again


@pytest.mark.parametrize("itemsize", [4, 8])
def test_there_is_room_for_what_is_used_and_rows_do_not_meet_in_a_cache(itemsize):
    """Rows that are a multiple of 4096 bytes apart do; room to spare is there where blocks may lose units."""
    for used in range(1, 2100):
        for blocks in (False, True):
            width = _room(used, blocks, itemsize)
            assert width * itemsize % 4096 and used <= width <= used + 8 + blocks * max(32, used / 32)
            assert width >= used + blocks * max(32, used // 32)
            if (used * itemsize) % 4096 and not blocks:
                assert width == used


@pytest.mark.parametrize("room", ["none", "less", "as many as are used", "more than is taken"])
def test_columns_stay_as_many_as_they_were_where_that_is_enough(room):
    units = Units("a plain step", 120, np.random.default_rng(0))
    first, _ = units.laid_out()
    assert first.used + 32 <= first.width
    asked = {
        "none": 0,
        "less": first.used - 1,
        "as many as are used": first.used,
        "more than is taken": first.width + 1,
    }
    columns, arrays = units.laid_out(room=asked[room])
    is_of(columns, arrays, units)
    assert columns.width == (first.used if room == "as many as are used" else first.width)


@pytest.mark.parametrize("name", ["a plain step", "where no slope is 0", "intercepts", "one bias for all"])
def test_units_are_turned_into_columns_where_there_are_more_than_twice_as_many(name):
    """Than a unit of their pattern has numbers that are read."""
    lines, numbers = KINDS[name]
    size = 4 + bool(lines.offsets) if numbers.rows is not None else 5 + numbers.counts
    for s in ((-3.0, -2.0), (-4.0, 0.5), (0.25, 0.5)):
        idle = 0 if numbers.rows is None else sum(lines.slope_of[lines.codes_of(np.array(s))] == 0)
        for count in (2 * (size - idle), 2 * (size - idle) + 1):
            units = Units(name, count, np.random.default_rng(3))
            units.arrays[1][:] = np.array(s)[:, None] * np.linspace(1, 1.5, count)
            units.codes = lines.codes_of(units.arrays[1]).T
            columns, arrays = units.laid_out()
            is_of(columns, arrays, units)
            assert len(columns.blocks) == (count > 2 * (size - idle))
