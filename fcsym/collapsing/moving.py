"""The state of a network before any step, and after one, with every unit on the lines that it then has."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.columns import Columns, Crossed, laid_out
from fcsym.collapsing.gates_held import seen
from fcsym.collapsing.lines import Lines
from fcsym.collapsing.state import CollapsedState, Run, compiled, given, passed, there
from fcsym.collapsing.watch import Watch
from fcsym.errors import Diverged
from fcsym.language.expression import Array, Role
from fcsym.networks.symbols import kept_share, norm

__all__ = ["moved", "started"]

_Values = npt.NDArray[Any]


def _pre_activations(run: Run) -> dict[Array, _Values]:
    """Those of the first layer, and of all layers with kinks, at the start."""
    network = run.network
    rest = [np.full(network.shape(a), float(v), run.dtype) for a, v in network.memory.items()]
    function = compiled(network, run.order, (), "numpy")
    use, still = np.ones(len(run.x), run.dtype), np.zeros((len(run.x), network.widths[-1]), run.dtype)
    _, *others = function.unchecked("output", [*run.weights, *rest, use, still, run.x])
    shift = run.weights[1] if network.layers[0].bias else 0
    first = run.x @ run.weights[0].T + shift
    return dict(zip(seen(network, ()), others, strict=True)) | {network.pre_activation(1): first}


@np.errstate(all="ignore")
def started(run: Run) -> CollapsedState:
    """The state of a network before any step."""
    network = run.network
    made, first = _pre_activations(run), run.weights[0]
    state = []
    known = dict(zip(network.parameters, run.weights, strict=True))
    for array in run.own:
        if array in known:
            state.append(known[array].copy())
        elif array == network.pre_activation(1):
            state.append(np.asarray(made[array], run.dtype))
        elif array == run.share:
            state.append(np.asarray(run.x @ first.T, run.dtype))
        elif array.role is Role.NORM and array.of == network.parameters[0]:
            state.append(np.asarray(run.x @ run.x.T, run.dtype))
        elif array in network.memory:
            state.append(np.full(network.shape(array), float(network.memory[array]), run.dtype))
        elif array == norm(network.input):
            state.append(np.asarray(run.x @ run.x.T + int(network.layers[0].bias), run.dtype))
        elif array == kept_share():
            state.append(np.ones((), run.dtype))
        else:
            state.append(np.zeros([network.sizes[axis] for axis in array.axes], run.dtype))
    columns = {}
    turned = not any((made[s] == float(kink)).any() for s, kink in run.kinks_above)
    for n, numbers in run.numbers.items():
        hidden = network.hidden[n - 1]
        lines = None if n not in run.gated else Lines(hidden.activation)
        codes = lines.codes_of(made[hidden.s]).T if lines is not None else np.zeros((network.widths[n], 1), np.int8)
        values, following = numbers.of(state)
        columns[n], state = laid_out(numbers, lines, values, following, codes, state, 0, turned)
    begun = _fitted(CollapsedState(run, tuple(state), columns, {}, _held(columns)))
    begun = replace(begun, arrays=there(begun, begun.arrays), held=there(begun, begun.held))
    rows = _seen(begun)
    begun = replace(begun, turned=turned, rows=rows)
    return replace(begun, watches={n: _paced(begun, n, columns[n].watch(rows[n])) for n in run.gated})


def _held(columns: dict[int, Columns]) -> tuple[_Values, ...]:
    return tuple(array for own in columns.values() for array in own.held)


def _fitted(state: CollapsedState) -> CollapsedState:
    """The state with the functions for as many columns as it has."""
    network = state.run.network
    widths = [
        state.columns[n].width if n in state.columns else network.widths[n] for n in range(1, len(network.layers))
    ]
    return replace(state, machine=state.run.machine(widths))


def _seen(state: CollapsedState) -> dict[int, _Values]:
    """The pre-activations of the columns of layers with held gates."""
    run = state.run
    if run.rows is not None:
        return {n: run.here(state.arrays[place]) for n, place in run.rows.items()}
    return {n: run.here(s) for n, s in _above(state).items() if n in run.gated}


def _above(state: CollapsedState) -> dict[int, _Values]:
    """The pre-activations of all layers with kinks."""
    run = state.run
    made = dict(zip(seen(run.network, run.own), passed(state)[1:], strict=False))
    made |= {s: state.arrays[run.own.index(s)] for s in (h.s for h in run.network.hidden) if s in run.own}
    return {n: run.here(made[h.s]) for n, h in enumerate(run.network.hidden, 1) if h.s in made}


@np.errstate(all="ignore")  # training may leave the range of numbers, which is said by name
def moved(state: CollapsedState, target: _Values, use: _Values, rate: float) -> CollapsedState:
    """The state after a step, with every unit on the lines that it then has."""
    run = state.run
    made = state.machine.unchecked("step", given(state, use, target, target, run.dtype(rate)))
    after = CollapsedState(
        run, tuple(made[: len(run.own)]), state.columns, state.watches, state.held, state.machine, state.steps + 1,
        state.events, state.turned,
    )  # fmt: skip
    watches = {n: _faster(watch, run.here(made[-1])) for n, watch in state.watches.items()}
    _refuse_infinite(after, {n for n, watch in watches.items() if watch.pace is not None and watch.pace.holds})
    rows = _seen(after)
    for n in run.gated:
        columns, watch = after.columns[n], watches[n]
        crossed, watches[n] = columns.look(rows[n], watch)
        if crossed:
            after = _regrouped(after, n, crossed)
            rows = _seen(after)
            watches[n] = _watched_again(after.columns[n], watches[n], rows[n], columns, crossed)
        if watches[n] is not watch:
            watches[n] = _paced(after, n, watches[n])
    after = _with(after, watches, rows)
    return after if after.turned or _on_kinks(after) else _turned(after)


def _faster(watch: Watch, errors: _Values) -> Watch:
    """The watch with its bound after a step."""
    if watch.pace is None or not watch.pace.holds:
        return watch
    return Watch(watch.travelled, watch.size, watch.due, watch.least, watch.seen, watch.pace.after(errors))


def _paced(state: CollapsedState, n: int, watch: Watch) -> Watch:
    """The watch with a bound for the steps to come, where there is one: of plain steps of one hidden layer."""
    run = state.run
    if not run.bounded or not state.columns[n].blocks:
        return watch
    place = run.own.index(run.network.read_out)
    return state.columns[n].paced(watch, run.here(state.arrays[place]).T, run.steepest, run.inner)


def _with(state: CollapsedState, watches: dict[int, Watch], rows: dict[int, _Values]) -> CollapsedState:
    """The state that has just been made, with what has been seen of it."""
    object.__setattr__(state, "watches", watches)
    object.__setattr__(state, "rows", rows)
    return state


def _on_kinks(state: CollapsedState) -> bool:
    """Whether a unit above those that are summed over is exactly on a kink, where rounding would move it off."""
    above = _above(state)
    places = {h.s: n for n, h in enumerate(state.run.network.hidden, 1)}
    return any((above[places[s]] == float(kink)).any() for s, kink in state.run.kinks_above)


def _turned(state: CollapsedState) -> CollapsedState:
    """The same with blocks for patterns that have many units."""
    run, arrays, columns = state.run, [state.run.here(a) for a in state.arrays], {}
    for n, own in state.columns.items():
        values, following, codes = own.all_units(arrays)
        columns[n], arrays = laid_out(own.numbers, own.lines, values, following, codes, arrays)
    made = _fitted(replace(state, columns=columns, turned=True))
    made = replace(made, arrays=there(made, arrays), held=there(made, _held(columns)))
    rows = _seen(made)
    return replace(made, rows=rows, watches={n: _paced(made, n, columns[n].watch(rows[n])) for n in run.gated})


def _regrouped(state: CollapsedState, n: int, crossed: Crossed) -> CollapsedState:
    """The units that crossed on their new lines, and what is reported of them."""
    run, columns = state.run, state.columns[n]
    events = (*state.events, *columns.events(crossed, state.steps))
    if not crossed.members:
        made, _ = columns.regrouped(crossed, ())
        every = {**state.columns, n: made}
        return replace(state, columns=every, held=there(state, _held(every)), events=events)
    made, arrays = columns.regrouped(crossed, [run.here(a) for a in state.arrays])
    every = {**state.columns, n: made}
    state = _fitted(replace(state, columns=every, events=events))
    return replace(state, arrays=there(state, arrays), held=there(state, _held(every)))


def _watched_again(columns: Columns, watch: Watch, rows: _Values, before: Columns, crossed: Crossed) -> Watch:
    """The watch after units have left blocks."""
    if not crossed.members:
        return watch
    same = len(columns.blocks) == len(before.blocks) and columns.width == before.width
    pairs = zip(columns.blocks, before.blocks, strict=False)
    if same and all(a is b or k in crossed.members for k, (a, b) in enumerate(pairs)):
        return columns.watch_on(watch, rows, list(crossed.members))
    return columns.watch(rows)


def _refuse_infinite(state: CollapsedState, bounded: Collection[int]) -> None:
    """Diverged where a number of the units, or of the free layers, is none any more.

    `bounded`: layers whose blocks are as long as a bound allows, and need no look.
    """
    run, looked_at = state.run, {}
    for n in bounded:
        loose = state.columns[n].loose
        for place, axis in run.numbers[n].read:
            looked_at[place] = (slice(None),) * axis + (loose,) if loose.stop > loose.start else None
    for place in run.watched:
        own = looked_at.get(place, ())
        if own is None:
            continue
        part = run.here(state.arrays[place])[own]
        total = np.add.reduce(part, axis=None)
        if not math.isfinite(total) and not np.isfinite(part).all():
            raise Diverged(
                f"Training of {run.network} has left the range of floating-point numbers after step {state.steps}: "
                "take a smaller eta."
            )
