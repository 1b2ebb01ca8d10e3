"""Training on columns with gate events, in NumPy alone: what an exported file has beside its equations.

z_j = sum_u xi[j, u] Z_u        sum_j xi[j, u] xi[j, v] = [u = v]

Units of one gate pattern are combinations xi of a few columns Z. A step takes the columns to what it takes the units
to, while no unit leaves its line. A unit that is a column is seen to leave at once. A pre-activation of another has
moved by no more than |xi_j| |S - S_seen|, with S the row of pre-activations of its columns (Cauchy and Schwarz): it is
looked at where that may have taken it to a kink. Units that have left are put on the lines that they are on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "Event", "Layer", "State", "Table", "Trainer", "Units"]

Values = npt.NDArray[Any]


class Layer(NamedTuple):
    """A layer that is summed over: where the numbers of its units are, and the lines of its activation."""

    read: tuple[tuple[int, int], ...]  # (array of the state, axis of the units)
    follows: tuple[tuple[int, int], ...]  # of what no equation of a step reads
    seen: int | None  # its pre-activations: an array of the state, or from there on what `output` gives beside y
    start: int | None  # the same of what `forward` gives
    kinks: tuple[float, ...]
    slopes: tuple[float, ...]  # piece, kink, piece, ...; nothing where the equations need none
    offsets: tuple[float, ...]  # nothing where all are 0
    counts: bool = False  # whether the bias is one number for all units

    @property
    def adds_ones(self) -> bool:
        """Whether a step adds up the ones of units."""
        return self.counts or bool(self.offsets)


class Table(NamedTuple):
    """What is known of a network and its state before there are numbers."""

    parameters: Mapping[str, tuple[int, ...]]
    point: tuple[int | None, int]  # how many inputs are held, None for any number, and of how many numbers
    outputs: int
    state: tuple[str, ...]
    layers: Mapping[int, Layer]
    above: tuple[tuple[int, int, tuple[float, ...]], ...]  # layers above these: see Layer.seen, Layer.start, its kinks
    finite: tuple[int, ...]  # the arrays of the state that are looked at for numbers that are none
    begins: tuple[int, ...]  # the weights at init that `expand` is given
    reads_x: bool  # whether `step` and `output` are given x, and `init` is not
    mean: bool  # whether a step is on the mean of the losses


class Event(NamedTuple):
    """Units that left their lines together: after which step, and the lines on every input before and after.

    A line is the number of a piece, from 0, or that of a kink, 0.5 where pieces 0 and 1 meet.
    """

    step: int
    layer: int
    units: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


class Block(NamedTuple):
    """Units of one pattern that a few columns stand for."""

    members: Values
    xi: Values  # (units, columns)
    first: int  # its first column


class Units(NamedTuple):
    """How the units of a layer stand in columns: blocks first, then units that are columns, then spare columns."""

    blocks: tuple[Block, ...]
    loose: Values  # the units that are columns
    loose_from: int
    codes: Values  # (units, inputs): the line of each unit
    begin: Values  # (units, numbers): what of that which follows was there when the columns had none
    ones: Values  # of each column the number that is 1 for a unit
    due: Values  # (inputs, blocks): how far a row may go before a unit of the block may have left its line
    seen: Values  # (inputs, columns): the rows when the units of the block were last looked at


class State(NamedTuple):
    """What training carries. It is never changed: every step gives another one."""

    arrays: tuple[Any, ...]
    held: tuple[Any, ...]  # slopes and intercepts of the columns
    units: Mapping[int, Units]
    weights: tuple[Values, ...]  # those of init
    x: Values  # (inputs, n_0)
    single: bool  # one input that is no row of several
    turned: bool  # whether units may stand together: not while one above them is exactly on a kink
    steps: int
    events: tuple[Event, ...]


class Trainer:
    """init, step, output and expand of one network.

    `functions`: the equations of the file, by name. `there`: an array of NumPy as one of the library.
    `worth`: how many times as many units as a unit has numbers make columns of their own.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], table: Table, there: Callable[[Values], Any],
        worth: float = 2,
    ) -> None:  # fmt: skip
        self.functions, self.table, self.there, self.worth = functions, table, there, worth

    def call(self, name: str, arrays: Sequence[Any]) -> Sequence[Any]:
        """The results of a function of the equations."""
        with np.errstate(all="ignore"):
            made: Sequence[Any] = self.functions[name](*arrays)
        return made

    # ------------------------------------------------------------------------------------------ the four functions

    def init(self, weights: Sequence[Any], x: Any) -> State:
        """Weights and the held inputs => the state; ValueError for arrays that do not fit."""
        table = self.table
        given = [_here(w) for w in weights]
        points = _here(x)
        if len(given) != len(table.parameters):
            raise ValueError(f"{len(given)} arrays were given, and these are needed: {', '.join(table.parameters)}")
        single, count = points.ndim == 1, table.point[0]
        rows = np.atleast_2d(points)
        own = {name: array for name, array in zip(table.parameters, given, strict=True)}
        for name, array, shape in (*((n, own[n], s) for n, s in table.parameters.items()), ("x", rows, None)):
            wanted = (count or max(1, len(rows)), table.point[1]) if shape is None else shape
            if array.shape != wanted or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise ValueError(f"{name} has shape {array.shape}: give finite numbers of shape {wanted}")
        real = np.float32 if all(a.dtype == np.float32 for a in (*given, points)) else np.float64
        given, rows = [np.array(a, real) for a in given], np.array(rows, real)
        begun = [self.there(a) for a in (*given, rows)]
        made = [_here(a) for a in self.call("init", begun[:-1] if table.reads_x else begun)]
        sides = [_here(a) for a in self.call("forward", begun)] if "forward" in self.functions else []
        turned = not any(np.isin(sides[at], kinks).any() for _, at, kinks in table.above)
        state = State((), (), {}, tuple(given), rows, single, turned, 0, ())
        codes = {}
        for n, layer in table.layers.items():
            at = layer.start
            codes[n] = np.zeros((self._width(made, layer), len(rows)), np.int8)
            if at is not None:
                codes[n] = _codes(layer, sides[at]).T
        return self._laid_out(state, made, codes, {n: None for n in codes})

    def step(self, state: State, x: Any, target: Any, eta: Any) -> State:
        """The state after a step on all held inputs, where x is None or these, or on some of them.

        ValueError for arrays that do not fit; ArithmeticError where the state is not finite after it.
        """
        table, count = self.table, len(state.x)
        places = self._places(state, x)
        flat = state.single or (x is not None and np.ndim(_here(x)) == 1)
        wanted, rate = np.asarray(_here(target)), np.asarray(_here(eta))
        shape = (table.outputs,) if flat else (len(places), table.outputs)
        for name, array, own in (("target", wanted, shape), ("eta", rate, ())):
            if array.shape != own or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise ValueError(f"{name} has shape {array.shape}: give finite numbers of shape {own}")
        real = state.x.dtype
        whole, use = np.zeros((count, table.outputs), real), np.zeros(count, real)
        whole[places] = wanted
        use[places] = count / len(places) if table.mean else 1
        more = (whole, use, whole, rate.astype(real))
        goal, on, still, size = (self.there(np.asarray(a)) for a in more)
        points = (self.there(state.x),) if table.reads_x else ()
        made = self.call("step", [*state.arrays, *state.held, on, still, *points, goal, size])[: len(table.state)]
        for at in table.finite:
            if not np.isfinite(_here(made[at])).all():
                raise ArithmeticError("the state is not finite after this step: go back and take a smaller eta")
        return self._looked_at(state._replace(arrays=tuple(made), steps=state.steps + 1))

    def output(self, state: State, x: Any = None) -> Any:
        """The output on held inputs; on all where x is None. ValueError for an input that is not held."""
        places = self._places(state, x)
        y = _here(self._passed(state)[0])[places]
        return self.there(y[0] if state.single or (x is not None and np.ndim(_here(x)) == 1) else y)

    def expand(self, state: State) -> list[Any]:
        """The weights that backpropagation has after the same steps."""
        arrays = [_here(a) for a in state.arrays]
        for n, layer in self.table.layers.items():
            arrays = _put(layer, arrays, *_all_units(layer, state.units[n], arrays))
        begins = [state.weights[k] for k in self.table.begins]
        given = [*arrays, *begins, *([state.x] if begins else [])]
        return list(self.call("expand", [self.there(a) for a in given]))

    # -------------------------------------------------------------------------------------------------- inside

    def _places(self, state: State, x: Any) -> Values:
        """Which of the held inputs these are."""
        if x is None:
            return np.arange(len(state.x))
        rows = np.atleast_2d(_here(x).astype(state.x.dtype))
        if rows.shape == state.x.shape and (rows == state.x).all():
            return np.arange(len(rows))
        found: list[int] = []
        for row in rows:
            same = (state.x == row).all(axis=1) if rows.shape[1:] == state.x.shape[1:] else np.zeros(0, bool)
            equal = [k for k in np.flatnonzero(same).tolist() if k not in found]
            if not equal:
                raise ValueError("x is not what init was given: give held inputs, or init again with others")
            found.append(equal[0])
        return np.array(found)

    @staticmethod
    def _width(arrays: Sequence[Values], layer: Layer) -> int:
        place, axis = layer.read[0]
        return int(arrays[place].shape[axis])

    def _passed(self, state: State) -> Sequence[Any]:
        """What `output` gives for the columns."""
        count, real = len(state.x), state.x.dtype
        still = np.zeros((count, self.table.outputs), real)
        points = (self.there(state.x),) if self.table.reads_x else ()
        more = (self.there(np.ones(count, real)), self.there(still))
        return self.call("output", [*state.arrays, *state.held, *more, *points])

    def _rows(self, state: State) -> Callable[[int], Values]:
        """Pre-activations by their place: see Layer.seen."""
        count = len(self.table.state)
        passed: list[Any] = []

        def rows(at: int) -> Values:
            if at >= count and not passed:
                passed.extend(self._passed(state))
            return _here(state.arrays[at] if at < count else passed[1 + at - count])

        return rows

    def _looked_at(self, state: State) -> State:
        """The state with every unit on the line that it is on."""
        table, rows = self.table, self._rows(state)
        units, codes, events = dict(state.units), {n: own.codes for n, own in state.units.items()}, list(state.events)
        left: dict[int, Values | None] = {}
        for n, layer in table.layers.items():
            if layer.seen is None:
                continue
            units[n], codes[n] = _look(layer, units[n], rows(layer.seen))
            moved = np.flatnonzero((codes[n] != units[n].codes).any(axis=1))
            if len(moved):
                left[n] = moved
                events += _told(n, state.steps, moved, units[n].codes[moved], codes[n][moved])
        state = state._replace(units=units, events=tuple(events))
        if not state.turned and not any(np.isin(rows(at), kinks).any() for at, _, kinks in table.above):
            state, left = state._replace(turned=True), dict.fromkeys(codes)
        return self._laid_out(state, state.arrays, codes, left) if left else state

    def _laid_out(
        self, state: State, given: Sequence[Any], codes: Mapping[int, Values], left: Mapping[int, Values | None]
    ) -> State:
        """The state with the units that left their lines on those of `codes`; None: all are put into columns anew.

        `given`: the arrays of the state, of the units themselves where they are in no columns yet.
        """
        table, arrays, units = self.table, [_here(a) for a in given], dict(state.units)
        anew = []
        for n, moved in left.items():
            layer = table.layers[n]
            if moved is not None and np.isin(moved, units[n].loose).all():
                units[n] = units[n]._replace(codes=codes[n])
                continue
            anew.append(n)
            now = _all_units(layer, units[n], arrays) if n in units else _numbers(layer, arrays)
            units[n], values, following = _columns(layer, *now, codes[n], self.worth if state.turned else np.inf)
            arrays = _put(layer, arrays, values, following)
        held = [a for n, layer in table.layers.items() for a in _lines(layer, units[n])]
        state = state._replace(
            arrays=tuple(self.there(a) for a in arrays), held=tuple(self.there(a.astype(state.x.dtype)) for a in held)
        )
        rows = self._rows(state._replace(units=units))
        for n in anew:
            at = table.layers[n].seen
            if at is not None:
                units[n] = _look(table.layers[n], units[n]._replace(due=units[n].due - np.inf), rows(at))[0]
        return state._replace(units=units)


def _here(array: Any) -> Values:
    """An array of any library as one of NumPy."""
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)


def _codes(layer: Layer, s: Values) -> Values:
    """On which line each pre-activation is: 2n for piece n, 2n + 1 for the kink at its end."""
    found = np.zeros(s.shape, np.int8)
    for kink in layer.kinks:
        found += s > kink
        found += s >= kink
    return found


def _numbers(layer: Layer, arrays: Sequence[Values]) -> tuple[Values, Values]:
    """The numbers of each unit, or column, as a row, and of what follows."""

    def rows(places: Sequence[tuple[int, int]]) -> Values:
        parts = [np.moveaxis(arrays[place], axis, 0) for place, axis in places]
        return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)

    values = rows(layer.read)
    return values, rows(layer.follows) if layer.follows else np.zeros((len(values), 0), values.dtype)


def _put(layer: Layer, arrays: Sequence[Values], values: Values, following: Values) -> list[Values]:
    """The arrays of the state with these numbers in place of theirs."""
    made = list(arrays)
    for places, rows in ((layer.read, values), (layer.follows, following)):
        at = 0
        for place, axis in places:
            shape = [n for k, n in enumerate(arrays[place].shape) if k != axis]
            size = int(np.prod(shape))
            own = rows[:, at : at + size].reshape(len(rows), *shape)
            made[place] = np.ascontiguousarray(np.moveaxis(own, 0, axis), arrays[place].dtype)
            at += size
    return made


def _all_units(layer: Layer, units: Units, arrays: Sequence[Values]) -> tuple[Values, Values]:
    """The numbers of every unit, and what follows."""
    values, following = _numbers(layer, arrays)
    z = np.empty((len(units.codes), values.shape[1]), values.dtype)
    f = units.begin.copy()
    own = slice(units.loose_from, units.loose_from + len(units.loose))
    z[units.loose] = values[own]
    f[units.loose] += following[own]
    for block in units.blocks:
        own = slice(block.first, block.first + block.xi.shape[1])
        z[block.members] = block.xi @ values[own]
        f[block.members] += block.xi @ following[own]
    return z, f


def _columns(
    layer: Layer, values: Values, following: Values, codes: Values, worth: float
) -> tuple[Units, Values, Values]:
    """Units => columns: a block for every pattern of many of them; one that is on a kink is a column of its own."""
    counts, real = layer.adds_ones, values.dtype
    whole = np.concatenate([values, np.ones((len(values), int(counts)), real)], axis=1)
    d = whole.shape[1]
    _, where, many = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    order, ends = np.argsort(where.ravel(), kind="stable"), np.cumsum([0, *many])
    blocks: list[Block] = []
    parts: list[Values] = []
    alone = np.ones(len(codes), bool)
    for k, size in enumerate(many.tolist()):
        members = order[ends[k] : ends[k + 1]]
        if size > worth * d and not (codes[members[0]] % 2).any():
            xi, part = np.linalg.qr(whole[members])
            blocks.append(Block(members, xi, d * len(blocks)))
            parts.append(part)
            alone[members] = False
    loose, first = np.flatnonzero(alone), d * len(blocks)
    width = -(-(first + len(loose)) // 16) * 16  # a library compiles a step for every width
    made = np.zeros((width, d), real)
    made[: first + len(loose)] = np.concatenate([*parts, whole[loose]])
    ones = made[:, -1].copy() if counts else np.zeros(width, real)
    begin, follow = following.copy(), np.zeros((width, following.shape[1]), real)
    follow[first : first + len(loose)], begin[loose] = following[loose], 0
    due, seen = np.zeros((codes.shape[1], len(blocks))), np.zeros((codes.shape[1], width))
    units = Units(tuple(blocks), loose, first, codes, begin, ones, due, seen)
    return units, made[:, : values.shape[1]], follow


def _lines(layer: Layer, units: Units) -> list[Values]:
    """The slopes of the columns, (inputs, columns), their intercepts where there are any, and ones where they count."""
    own = [units.ones] * layer.counts
    if not layer.slopes:
        return own
    codes = np.zeros((units.codes.shape[1], len(units.ones)), np.int8)
    for block in units.blocks:
        codes[:, block.first : block.first + block.xi.shape[1]] = units.codes[block.members[0]][:, None]
    codes[:, units.loose_from : units.loose_from + len(units.loose)] = units.codes[units.loose].T
    slopes = np.array(layer.slopes)[codes]
    return [slopes, *([np.array(layer.offsets)[codes] * units.ones] if layer.offsets else []), *own]


def _look(layer: Layer, units: Units, rows: Values) -> tuple[Units, Values]:
    """Where each unit is now: its line, and the same units with what has been seen.

    `rows`: the pre-activations of the columns, (inputs, columns).
    """
    codes, count = units.codes, len(units.loose)
    own = _codes(layer, rows[:, units.loose_from : units.loose_from + count]).T
    if not np.array_equal(own, codes[units.loose]):
        codes = codes.copy()
        codes[units.loose] = own
    if not units.blocks:
        return units, codes

    def lengths(part: Values) -> Values:
        apart = part[:, : units.loose_from].astype(float).reshape(len(part), len(units.blocks), -1)
        made: Values = np.sqrt(np.square(apart).sum(axis=2))
        return made

    with np.errstate(all="ignore"):  # what is not finite is not below what is due
        far = lengths(rows - units.seen)
        reach = far * (1 + 1e-9) + 64 * np.finfo(rows.dtype).eps * (lengths(rows) + far)
    suspects = np.flatnonzero(~(reach < units.due).all(axis=0)).tolist()
    if not suspects:
        return units, codes
    due, seen = units.due.copy(), units.seen.copy()
    low = np.repeat([-np.inf, *layer.kinks], 2)[1:]  # by line: its piece, or its kink
    high = np.repeat([*layer.kinks, np.inf], 2)[:-1]
    for b in suspects:
        block = units.blocks[b]
        at = slice(block.first, block.first + block.xi.shape[1])
        s = block.xi @ rows[:, at].T
        line = units.codes[block.members[0]]
        own = _codes(layer, s)
        left = (own != line).any(axis=1)
        if left.any():
            codes = codes.copy()
            codes[block.members[left]] = own[left]
        room, length = np.minimum(s - low[line], high[line] - s), np.linalg.norm(block.xi, axis=1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            due[:, b] = np.where(length > 0, room / length, np.inf).min(axis=0)
        seen[:, at] = rows[:, at]
    return units._replace(due=due, seen=seen), codes


def _told(layer: int, step: int, units: Values, before: Values, after: Values) -> list[Event]:
    """Events of units that went from one pattern to another together; `before`, `after`: (units, inputs)."""
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for unit, old, new in zip(units.tolist(), before.tolist(), after.tolist(), strict=True):
        found.setdefault((tuple(old), tuple(new)), []).append(unit)
    return [
        Event(step, layer, tuple(sorted(own)), *(tuple(v / 2 for v in pattern) for pattern in pair))
        for pair, own in sorted(found.items())
    ]
