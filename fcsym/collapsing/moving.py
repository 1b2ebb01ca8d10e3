"""A network in training as columns: where it starts, and a step, with every unit on the lines that it then has.

Whatever computes the equations, NumPy, C, JAX or PyTorch, the columns are NumPy's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.blocks import Crossed
from fcsym.collapsing.columns import Columns, laid_out
from fcsym.collapsing.events import Event
from fcsym.collapsing.table import Table
from fcsym.collapsing.watch import Watch

__all__ = ["Run", "State", "here", "moved", "passed", "started", "unit_by_unit"]

_Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Run:
    """What no step changes: where everything is, the held inputs, where it started, and what computes a step."""

    table: Table
    x: _Values
    single: bool  # one input that is no row of several
    weights: tuple[_Values, ...]
    dtype: Any

    @cached_property
    def everywhere(self) -> _Values:
        """By what the errors count in a step on all inputs."""
        return np.ones(len(self.x), self.dtype)

    @cached_property
    def inner(self) -> _Values:
        """The inner products of the held inputs, in absolute terms."""
        bias = 0 if self.table.bound is None else self.table.bound[1]
        made: _Values = np.abs(np.asarray(self.x @ self.x.T, float) + bias) * (1 + 1e-9)
        return made

    @cached_property
    def fine(self) -> float:
        """How near to a kink a unit in a block is on it, relative to its pre-activations: see `Columns.fine`.

        Only where weights and inputs are short, multiples of 2^-20: others come to no kink exactly. A sixteenth of half
        the digits, chosen and not derived: a step multiplies what rounding leaves by its errors and weights.
        """
        arrays = (self.x, *reversed(self.weights))
        ends = (a.ravel()[:64] for a in arrays)  # which tells of nearly all that are not
        short = all((a == np.ldexp(np.rint(np.ldexp(a, 20)), -20)).all() for own in (ends, arrays) for a in own)
        return float(np.sqrt(np.finfo(self.dtype).eps)) / 16 if short else 0.0

    @property
    def together(self) -> bool:
        """Whether units may stand together at all."""
        return True

    def machine(self, widths: Mapping[int, int]) -> Any:
        """What computes the equations for so many columns in each layer."""
        raise NotImplementedError

    def call(self, machine: Any, name: str, arrays: list[Any]) -> Sequence[Any]:
        """The results of one of the equations' functions."""
        raise NotImplementedError

    def there(self, machine: Any, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Arrays of NumPy as those of the library that computes."""
        raise NotImplementedError

    def diverged(self, steps: int) -> ArithmeticError:
        """What is raised where the state is not finite any more."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class State:
    """A network in training: arrays over columns, the columns of each layer, and the events so far.

    It is never changed: every step gives another one.
    """

    run: Any
    arrays: tuple[Any, ...]  # in the library that computes, as the equations have them
    columns: dict[int, Columns] = field(default_factory=dict)
    watches: dict[int, Watch] = field(default_factory=dict)
    held: tuple[Any, ...] = ()  # slopes and intercepts
    machine: Any = None  # what computes the equations for as many columns
    steps: int = 0
    events: tuple[Event, ...] = ()
    turned: bool = True  # whether units may stand together: not while one above them is exactly on a kink
    rows: dict[int, _Values] = field(default_factory=dict)  # pre-activations of columns with held gates


_Own = TypeVar("_Own", bound=State)


def here(array: Any) -> _Values:
    """An array of any library as one of NumPy."""
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)


def _given(state: State, *more: Any) -> list[Any]:
    """What a function of the equations is given; `more`: which samples a step is on, the errors before it, the rest."""
    run = state.run
    use, errors, *rest = run.there(state.machine, more)
    points = run.there(state.machine, [run.x]) if run.table.reads_x else ()
    return [*state.arrays, *state.held, use, errors, *points, *rest]


def passed(state: State) -> Sequence[Any]:
    """The output, and the pre-activations of layers with held gates that the state does not have."""
    run = state.run
    still = np.zeros((len(run.x), run.table.outputs))
    made: Sequence[Any] = run.call(state.machine, "output", _given(state, run.everywhere, still))
    return made


def _looked_up(state: State, places: Sequence[int]) -> list[_Values]:
    """Pre-activations by their places: see Layer.seen."""
    count = len(state.run.table.state)
    beside = passed(state)[1:] if any(place >= count for place in places) else ()
    return [here(state.arrays[at] if at < count else beside[at - count]) for at in places]


def _seen(state: State) -> dict[int, _Values]:
    """The pre-activations of the columns of layers with held gates."""
    table = state.run.table
    if table.rows is not None:
        return {n: here(state.arrays[at]) for n, at in table.rows.items()}
    return dict(zip(table.gated, _looked_up(state, [table.layers[n].seen for n in table.gated]), strict=True))


@np.errstate(all="ignore")
def started(state: _Own, sides: Sequence[_Values]) -> _Own:
    """The state before any step, from one whose arrays are of the units; `sides`: what `forward` gives."""
    run, arrays, columns = state.run, [here(a) for a in state.arrays], {}
    turned = run.together and not any(np.isin(sides[at], kinks).any() for _, at, kinks in run.table.above)
    for n, layer in run.table.layers.items():
        values, following = layer.numbers.of(arrays)
        codes = np.zeros((len(values), len(run.x)), np.int8)
        if layer.start is not None and layer.lines is not None:
            codes = layer.lines.codes_of(sides[layer.start]).T
        columns[n], arrays = laid_out(
            layer.numbers, layer.lines, values, following, codes, arrays, 0, turned, fine=run.fine
        )
    return _begun(replace(state, columns=columns, turned=turned), arrays)


def _begun(state: _Own, arrays: Sequence[_Values]) -> _Own:
    """The state with these arrays over its columns, watched from now on."""
    state = _fitted(state)
    there = state.run.there(state.machine, arrays)
    state = replace(state, arrays=there, held=state.run.there(state.machine, _held(state.columns)))
    rows = _seen(state)
    return replace(
        state, rows=rows, watches={n: _paced(state, n, state.columns[n].watch(rows[n])) for n in state.run.table.gated}
    )


def _held(columns: Mapping[int, Columns]) -> tuple[_Values, ...]:
    return tuple(array for own in columns.values() for array in own.held)


def _fitted(state: _Own) -> _Own:
    """The state with what computes for as many columns as it has."""
    return replace(state, machine=state.run.machine({n: own.width for n, own in state.columns.items()}))


@np.errstate(all="ignore")  # training may leave the range of numbers, which is said by name
def moved(state: _Own, target: _Values, use: _Values, rate: float) -> _Own:
    """The state after a step, with every unit on the lines that it then has."""
    run = state.run
    made = run.call(state.machine, "step", _given(state, use, target, target, run.dtype(rate)))
    after = type(state)(
        run, tuple(made[: len(run.table.state)]), state.columns, state.watches, state.held, state.machine,
        state.steps + 1, state.events, state.turned,
    )  # fmt: skip
    watches = {n: _faster(watch, made[-1]) for n, watch in state.watches.items()}
    _refuse_infinite(after, {n for n, watch in watches.items() if watch.pace is not None and watch.pace.holds})
    rows = _seen(after)
    for n in run.table.gated:
        columns, watch = after.columns[n], watches[n]
        crossed, watches[n] = columns.look(rows[n], watch)
        if crossed:
            after = _regrouped(after, n, crossed)
            rows = _seen(after)
            watches[n] = _watched_again(after.columns[n], watches[n], rows[n], columns, crossed)
        if watches[n] is not watch:
            watches[n] = _paced(after, n, watches[n])
    after = _with(after, watches, rows)
    return after if after.turned or not run.together or _on_kinks(after) else _put_together(after)


def _faster(watch: Watch, errors: Any) -> Watch:
    """The watch with its bound after a step."""
    if watch.pace is None or not watch.pace.holds:
        return watch
    return Watch(watch.travelled, watch.size, watch.due, watch.least, watch.seen, watch.pace.after(here(errors)))


def _paced(state: State, n: int, watch: Watch) -> Watch:
    """The watch with a bound for the steps to come, where there is one: of plain steps of one hidden layer."""
    run, columns = state.run, state.columns[n]
    if run.table.bound is None or not columns.blocks:
        return watch
    return columns.paced(watch, here(state.arrays[run.table.bound[0]]).T, run.table.layers[n].lines.steepest, run.inner)


def _with(state: _Own, watches: dict[int, Watch], rows: dict[int, _Values]) -> _Own:
    """The state that has just been made, with what has been seen of it."""
    object.__setattr__(state, "watches", watches)
    object.__setattr__(state, "rows", rows)
    return state


def _on_kinks(state: State) -> bool:
    """Whether a unit above those that are summed over is exactly on a kink, where rounding would move it off."""
    above = state.run.table.above
    rows = _looked_up(state, [at for at, _, _ in above])
    return any(np.isin(own, kinks).any() for own, (_, _, kinks) in zip(rows, above, strict=True))


def unit_by_unit(state: State) -> tuple[list[_Values], dict[int, npt.NDArray[np.int8]]]:
    """The arrays of the state with units in the place of columns, and the lines of each unit, (units, samples)."""
    arrays, codes = [here(a) for a in state.arrays], {}
    for n, own in state.columns.items():
        values, following, codes[n] = own.all_units(arrays)
        arrays = own.numbers.put(arrays, values, following)
    return arrays, codes


def _put_together(state: _Own) -> _Own:
    """The same with blocks for patterns that have many units."""
    arrays, columns = [here(a) for a in state.arrays], {}
    for n, own in state.columns.items():
        values, following, codes = own.all_units(arrays)
        columns[n], arrays = laid_out(own.numbers, own.lines, values, following, codes, arrays, fine=own.fine)
    return _begun(replace(state, columns=columns, turned=True), arrays)


def _regrouped(state: _Own, n: int, crossed: Crossed) -> _Own:
    """The units that crossed on their new lines, and what is reported of them."""
    run, columns = state.run, state.columns[n]
    events = (*state.events, *columns.events(crossed, state.steps))
    if not crossed.members:
        made, _ = columns.regrouped(crossed, ())
        every = {**state.columns, n: made}
        return replace(state, columns=every, held=run.there(state.machine, _held(every)), events=events)
    made, arrays = columns.regrouped(crossed, [here(a) for a in state.arrays])
    every = {**state.columns, n: made}
    state = _fitted(replace(state, columns=every, events=events))
    there = run.there(state.machine, arrays)
    return replace(state, arrays=there, held=run.there(state.machine, _held(every)))


def _watched_again(columns: Columns, watch: Watch, rows: _Values, before: Columns, crossed: Crossed) -> Watch:
    """The watch after units have left blocks."""
    if not crossed.members:
        return watch
    same = len(columns.blocks) == len(before.blocks) and columns.width == before.width
    pairs = zip(columns.blocks, before.blocks, strict=False)
    if same and all(a is b or k in crossed.members for k, (a, b) in enumerate(pairs)):
        return columns.watch_on(watch, rows, list(crossed.members))
    return columns.watch(rows)


def _refuse_infinite(state: State, bounded: Collection[int]) -> None:
    """Raise where a number of the units, or of the free layers, is none any more.

    `bounded`: layers whose blocks are as long as a bound allows, and need no look.
    """
    run, looked_at = state.run, {}
    for n in bounded:
        loose = state.columns[n].loose
        for place, axis in state.columns[n].numbers.read:
            looked_at[place] = (slice(None),) * axis + (loose,) if loose.stop > loose.start else None
    for place in run.table.finite:
        own = looked_at.get(place, ())
        if own is None:
            continue
        part = here(state.arrays[place])[own]
        total = np.add.reduce(part, axis=None)
        if not math.isfinite(total) and not np.isfinite(part).all():
            raise run.diverged(state.steps)
