"""Training on a closed state in NumPy, C, JAX or PyTorch, with the arguments that schemes have.

k = fcsym.scheme(net, "collapsed").compile("c")
state = k.init(weights, X)                   # X: (m, n_0), or (n_0,) for one input
state = k.step(state, X, targets, eta)       # or on one of the inputs, k.step(state, X[1], targets[1], eta)
k.output(state, X), k.expand(state, weights, X), state.events

A state is never changed: every step gives a new one. Between gate events a step is the compiled function of
`gates_held` on columns (`columns`), and nothing in it is as long as a layer that is summed over is wide; after it the
columns say which units have left their lines, and these are put on their new ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.charts import events_over_time
from fcsym.collapsing.columns import Columns, Crossed, Watch, laid_out
from fcsym.collapsing.gates_held import gates_held, held_arrays, seen, with_widths, without_gates
from fcsym.collapsing.given import checked_inputs, checked_rate, checked_weights, refuse_what_is_kept
from fcsym.collapsing.layer import Event
from fcsym.collapsing.lines import Lines
from fcsym.collapsing.numbers import Numbers, numbers_of
from fcsym.drawing.picture import Picture
from fcsym.errors import ArgumentError, CompileError, Diverged, shown
from fcsym.kernel.arguments import as_array, goal, mode, parameters
from fcsym.kernel.arguments import rate as checked_rates
from fcsym.kernel.by_target import TARGETS, compile_scheme
from fcsym.language.equation import Order
from fcsym.language.expression import Array
from fcsym.networks.losses import needs_of
from fcsym.networks.network import Network
from fcsym.networks.symbols import coefficient_of, kept_share, key_of, norm

__all__ = ["CollapsedKernel", "CollapsedState", "ManyStates"]

_Values = npt.NDArray[Any]


@lru_cache(maxsize=32)
def _compiled(network: Network, order: Order, contracted: tuple[int, ...], target: str) -> Any:
    return compile_scheme(gates_held(network, order, contracted), target)


@dataclass(frozen=True)
class _Run:
    """What no step changes: the network, its held inputs, where it started, and what is compiled."""

    network: Network  # in mini-batches over all inputs
    order: Order
    contracted: tuple[int, ...]
    target: str
    x: _Values
    single: bool  # one input that is no row of several
    weights: tuple[_Values, ...]
    dtype: Any

    @cached_property
    def first_out(self) -> bool:
        """Whether the first layer is held by its pre-activations."""
        return 0 in self.contracted

    @cached_property
    def gated(self) -> tuple[int, ...]:
        """The layers whose gates are held."""
        return tuple(held_arrays(self.network, self.contracted))

    @cached_property
    def own(self) -> tuple[Array, ...]:
        """The arrays of the state as the equations have them, without gates."""
        return without_gates(self.network, self.order, self.contracted)

    @cached_property
    def rows(self) -> dict[int, int] | None:
        """Where the state has the pre-activations of the layers whose gates are held, if it has them all."""
        own = {n: self.network.pre_activation(n) for n in self.gated}
        return {n: self.own.index(s) for n, s in own.items()} if set(own.values()) <= set(self.own) else None

    @cached_property
    def numbers(self) -> dict[int, Numbers]:
        """Where the numbers of the units are, by layer."""
        return numbers_of(self.network, self.own, self.contracted)

    @cached_property
    def bounded(self) -> bool:
        """Whether a few numbers bound how far a step moves the pre-activations: see `columns.Pace`."""
        alone = self.contracted == (0, 1) and len(self.network.layers) == 2 and self.network.rule.is_plain
        return alone and not any(piece.intercept for piece in self.network.layers[0].activation.pieces)

    @cached_property
    def steepest(self) -> float:
        """The largest slope of the first layer's activation, in absolute terms."""
        return float(np.abs(Lines(self.network.layers[0].activation).slopes).max())

    @cached_property
    def everywhere(self) -> _Values:
        """By what the errors count in a step on all inputs."""
        return np.ones(len(self.x), self.dtype)

    @cached_property
    def inner(self) -> _Values:
        """The inner products of the held inputs, in absolute terms."""
        made: _Values = np.abs(np.asarray(self.x @ self.x.T, float) + int(self.network.layers[0].bias)) * (1 + 1e-9)
        return made

    @cached_property
    def kinks_above(self) -> tuple[tuple[Array, Any], ...]:
        """The kinks of layers above one that is summed over, whose pre-activations are what its columns give."""
        first = min((n for n in self.contracted if n), default=len(self.network.hidden))
        return tuple((h.s, kink) for h in self.network.hidden[first:] for kink in h.activation.kinks)

    @cached_property
    def watched(self) -> frozenset[int]:
        """The places of arrays that are looked at for numbers that are none; what follows is one with them."""
        follows = {place for own in self.numbers.values() for place, _ in own.following}
        still = {key_of(self.network.input), norm(self.network.input)}
        return frozenset(k for k, a in enumerate(self.own) if k not in follows and a not in still)

    def machine(self, widths: Sequence[int]) -> Any:
        """The compiled functions for so many columns in each layer."""
        inputs = 1 if self.first_out else self.network.inputs
        return _compiled(with_widths(self.network, inputs, widths), self.order, self.contracted, self.target)

    def here(self, array: Any) -> _Values:
        """An array of the target's library as one of NumPy."""
        made: _Values = np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)
        return made


@dataclass(frozen=True, repr=False)
class CollapsedState:
    """A network in training: arrays over columns, the columns of each layer, and the events so far."""

    run: _Run = field(repr=False)
    arrays: tuple[Any, ...]  # in the target's library, as `run.own` has them
    columns: dict[int, Columns]
    watches: dict[int, Watch]
    held: tuple[Any, ...]  # slopes and intercepts
    machine: Any = field(repr=False, default=None)  # what is compiled for as many columns
    steps: int = 0
    events: tuple[Event, ...] = ()
    turned: bool = True  # whether units may stand together: not while one above them is exactly on a kink
    rows: dict[int, _Values] = field(repr=False, default_factory=dict)  # pre-activations of columns with held gates

    @property
    def inputs(self) -> _Values:
        """The held inputs."""
        return self.run.x[0] if self.run.single else self.run.x

    @property
    def groups(self) -> dict[int, int]:
        """How many gate patterns occur in each layer that is summed over."""
        return {n: columns.patterns for n, columns in self.columns.items()}

    @property
    def widths(self) -> dict[int, int]:
        """How many columns stand for the units of each layer that is summed over."""
        return {n: columns.used for n, columns in self.columns.items()}

    @property
    def numbers(self) -> int:
        """How many numbers a step moves."""
        count = 0
        for k, array in enumerate(self.arrays):
            size = int(np.prod(array.shape))
            for n, columns in self.columns.items():
                if any(place == k for place, _ in (*self.run.numbers[n].read, *self.run.numbers[n].following)):
                    size = size // columns.width * columns.used
            count += size
        return count

    @property
    def saves(self) -> bool:
        """Whether these are fewer than training carries; not where nearly every unit has a group of its own."""
        network = self.run.network
        return self.numbers < sum(int(np.prod(network.shape(a))) for a in (*network.parameters, *network.memory))

    @property
    def said(self) -> str:
        """What is carried in place of what, in a sentence."""
        units_ = ", ".join(f"{c.units} units of layer {n} as {c.used}" for n, c in self.columns.items())
        network = self.run.network
        whole = sum(int(np.prod(network.shape(a))) for a in (*network.parameters, *network.memory))
        saved = "" if self.saves else ": nothing is saved"
        return f"{units_ or 'no units summed over'}; {self.numbers} numbers in place of {whole}{saved}"

    @property
    def output(self) -> _Values:
        """y on the held inputs, (m, n_L), or (n_L,) for one."""
        y = self.run.here(_passed(self)[0])
        return np.asarray(y[0] if self.run.single else y)

    def expand(self) -> list[_Values]:
        """[W1, b1, W2, ...]: the weights that backpropagation has after the same steps."""
        run = self.run
        arrays = [run.here(a) for a in self.arrays]
        for n, columns in self.columns.items():
            values, following, _ = columns.all_units(arrays)
            arrays = run.numbers[n].put(arrays, values, following)
        now = {array: value for array, value in zip(run.own, arrays, strict=True)}
        made = []
        for theta, start in zip(run.network.parameters, run.weights, strict=True):
            if theta in now:
                made.append(now[theta].copy())
                continue
            share = now.get(kept_share(), 1)
            along = now[coefficient_of(run.network.pre_activation(1))]
            made.append(share * start + (along.T @ run.x if start.ndim == 2 else along.sum(axis=0)))
        return made

    def chart(self) -> Picture:
        """How many units have crossed a kink so far, over the steps, layer by layer."""
        return events_over_time(self.events, self.steps, str(self.run.network))

    def __repr__(self) -> str:
        return f"<state of {self.run.network} after {self.steps} steps: {self.said}>"


class ManyStates(tuple[CollapsedState, ...]):
    """The states of many networks, in row order of their leading axes."""

    lead: tuple[int, ...]

    @classmethod
    def of(cls, states: Sequence[CollapsedState], lead: tuple[int, ...]) -> ManyStates:
        """States with the leading axes that they had."""
        made = cls(states)
        made.lead = lead
        return made


class CollapsedKernel:
    """init, step, output and expand over a state that is never changed: every step gives a new one."""

    def __init__(
        self, network: Network, order: Order, contracted: Any, target: str = "numpy", inputs: int | None = None
    ) -> None:
        """`contracted`: the layers to sum over, or a function of the number of inputs that gives them."""
        if target not in TARGETS:
            raise CompileError(f"The target {shown(target)!r} is not known: choose one of {', '.join(TARGETS)}.")
        refuse_what_is_kept(network)
        self.network, self.order, self.target, self._inputs = network, order, target, inputs
        self._contracted: Callable[[int], tuple[int, ...]] = (
            contracted if callable(contracted) else lambda _: contracted
        )
        if target in ("jax", "torch"):
            from fcsym.kernel.pure import installed

            installed(target)

    def __repr__(self) -> str:
        return f"<kernel: collapsed of {self.network}, {self.order} order, target {self.target}>"

    # ------------------------------------------------------------------------------------------ the four functions

    def init(self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, undefined: str = "raise") -> Any:
        """Weights and the held inputs, (m, n_0), or (n_0,) for one => the state.

        `weights`: [W1, b1, W2, ...]. float32 where all of them and `x` are, otherwise float64. With leading axes there
        are as many networks, trained one by one; x is then (..., m, n_0), or (..., n_0) for one input each.
        `undefined`: as for other schemes; nothing is. Raises ArgumentError for arrays that do not fit.
        """
        mode(undefined)
        given = [as_array(a.name, a.value) for a in parameters(self.network, weights)]
        rows = as_array("x", x)
        lead = _lead(self.network, given)
        if lead:
            tail = 2 if self.network.batch or rows.ndim > len(lead) + 1 else 1
            each = [_spread(a, lead, len(t.axes)) for a, t in zip(given, self.network.parameters, strict=True)]
            points = _spread(rows, lead, tail)
            return ManyStates.of([self.init([a[n] for a in each], points[n]) for n in range(len(points))], lead)
        single = rows.ndim == 1
        count = 1 if single else len(rows)
        if rows.ndim not in (1, 2) or not count or (self._inputs not in (None, count)):
            wanted = "(m, n_0), or (n_0,) for one" if self._inputs is None else f"({self._inputs}, n_0)"
            raise ArgumentError(f"x has the shape {rows.shape}: give the held inputs, {wanted}.")
        dtype = np.float32 if all(a.dtype == np.float32 for a in (*given, rows)) else np.float64
        network = self.network.training(self.network.rule, self.network.batch or "sum", count)
        arrays = [a.astype(dtype, copy=False) for a in checked_weights(network, weights)]
        points = checked_inputs(network, np.atleast_2d(rows)).astype(dtype, copy=False)
        contracted = tuple(sorted(self._contracted(count)))
        run = _Run(network, self.order, contracted, self.target, points, single, tuple(arrays), dtype)
        return _started(run)

    def step(
        self, state: Any, x: npt.ArrayLike | None, target: npt.ArrayLike, eta: Any = None, undefined: str = "raise"
    ) -> Any:
        """The state after a step on all held inputs (`x` as in `init`, or None), on some, or on one of them.

        `target`: (m, n_L), or (n_L,) for one input; class labels where the loss takes them. `eta`: a number; it may be
        left out where the rule has one. Raises ArgumentError for an input that is not held and for what does not fit,
        Diverged where the state is not finite any more.
        """
        marks = mode(undefined)
        if isinstance(state, ManyStates):
            return self._each(state, x, target, eta, undefined)
        run = state.run
        places = _places(run, x)
        rate = checked_rate(run.network, eta)
        chosen = run.x if places is None else run.x[places]
        flat = run.single or (x is not None and np.ndim(x) == 1)
        wanted = as_array("target", _goal(run, target, chosen, flat, not marks))
        width = run.network.widths[-1]
        if wanted.shape != ((width,) if flat else (len(chosen), width)) or not np.isfinite(wanted).all():
            own = (width,) if flat else (len(chosen), width)
            raise ArgumentError(f"target has the shape {wanted.shape}: give finite numbers of the shape {own}.")
        if places is None and not flat:
            return _moved(state, wanted, run.everywhere, rate)
        whole = np.zeros((len(run.x), width), run.dtype)
        use = np.zeros(len(run.x), run.dtype)
        at = slice(None) if places is None else places
        whole[at] = wanted
        use[at] = len(run.x) / len(chosen) if run.network.batch == "mean" else 1
        return _moved(state, whole, use, rate)

    def run(self, state: Any, xs: Sequence[Any], targets: Sequence[npt.ArrayLike], eta: Any = None) -> Any:
        """The state after a step for each of `xs` and `targets`; an x may be None. Errors as for `step`."""
        for x, target in zip(xs, targets, strict=True):
            state = self.step(state, x, target, eta)
        return state

    def output(self, state: Any, x: npt.ArrayLike | None, undefined: str = "raise") -> _Values:
        """y on held inputs, or on all where `x` is None. Raises ArgumentError for an input that is not held."""
        mode(undefined)
        if isinstance(state, ManyStates):
            points = _points(state, x)
            made = np.stack([self.output(one, point) for one, point in zip(state, points, strict=True)])
            return made.reshape(*state.lead, *made.shape[1:])
        places = _places(state.run, x)
        y = state.run.here(_passed(state)[0])
        if state.run.single or (x is not None and np.ndim(x) == 1):
            return np.asarray(y[0 if places is None else places[0]])
        return np.asarray(y if places is None else y[places])

    def expand(
        self, state: Any, weights: Sequence[npt.ArrayLike] = (), x: npt.ArrayLike | None = None
    ) -> list[_Values]:
        """The weights that backpropagation has; `weights` and `x` are those of `init`, which the state has, too."""
        if isinstance(state, ManyStates):
            every = zip(*(self.expand(one) for one in state), strict=True)
            return [np.stack(arrays).reshape(*state.lead, *arrays[0].shape) for arrays in every]
        del weights, x
        made: list[_Values] = state.expand()
        return made

    @staticmethod
    def events(state: CollapsedState) -> tuple[Event, ...]:
        """The gate events that brought a state about."""
        return state.events

    def _each(self, states: ManyStates, x: Any, target: Any, eta: Any, undefined: str) -> ManyStates:
        """A step of every network."""
        points = _points(states, x)
        goals = as_array("target", target)
        tail = 1 if states[0].run.single or (x is not None and np.ndim(points[0]) == 1) else 2
        labels = goals.dtype.kind in "iu" and needs_of(self.network.loss) == "distribution"
        goals = _spread(goals, states.lead, tail - labels)
        rates = np.broadcast_to(np.asarray(checked_rates(self.network, eta)), states.lead).ravel()
        made = [
            self.step(one, point, goal_, float(rate), undefined)
            for one, point, goal_, rate in zip(states, points, goals, rates, strict=True)
        ]
        return ManyStates.of(made, states.lead)


def _lead(network: Network, arrays: Sequence[_Values]) -> tuple[int, ...]:
    """The leading axes of weights."""
    tails = [len(theta.axes) for theta in network.parameters]
    shapes = [a.shape[: max(0, a.ndim - tail)] for a, tail in zip(arrays, tails, strict=True)]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ArgumentError(
            "weights have leading axes that do not fit together: give as many networks of each."
        ) from None


def _spread(array: _Values, lead: tuple[int, ...], tail: int) -> _Values:
    """One row for each network."""
    own = array.shape[max(0, array.ndim - tail) :]
    try:
        return np.broadcast_to(array, (*lead, *own)).reshape(-1, *own)
    except ValueError:
        raise ArgumentError(f"An array of the shape {array.shape} does not fit {lead} networks.") from None


def _points(states: ManyStates, x: Any) -> list[Any]:
    """The inputs of every network; None where they are those of `init`."""
    if x is None:
        return [None] * len(states)
    array = as_array("x", x)
    single = states[0].run.single or array.ndim < len(states.lead) + 2
    return list(_spread(array, states.lead, 1 if single else 2))


# --------------------------------------------------------------------------------------------------- the state moves


def _pre_activations(run: _Run) -> dict[Array, _Values]:
    """Those of the first layer, and of all layers with kinks, at the start."""
    network = run.network
    rest = [np.full(network.shape(a), float(v), run.dtype) for a, v in network.memory.items()]
    function = _compiled(network, run.order, (), "numpy")
    use, still = np.ones(len(run.x), run.dtype), np.zeros((len(run.x), network.widths[-1]), run.dtype)
    _, *others = function.unchecked("output", [*run.weights, *rest, use, still, run.x])
    shift = run.weights[1] if network.layers[0].bias else 0
    first = run.x @ run.weights[0].T + shift
    return dict(zip(seen(network, ()), others, strict=True)) | {network.pre_activation(1): first}


@np.errstate(all="ignore")
def _started(run: _Run) -> CollapsedState:
    """The state of a network before any step."""
    network = run.network
    made = _pre_activations(run)
    state = []
    known = dict(zip(network.parameters, run.weights, strict=True))
    for array in run.own:
        if array in known:
            state.append(known[array].copy())
        elif array == network.pre_activation(1):
            state.append(np.asarray(made[array], run.dtype))
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
    first = _fitted(CollapsedState(run, tuple(state), columns, {}, _held(columns)))
    first = replace(first, arrays=_there(first, first.arrays), held=_there(first, first.held))
    rows = _seen(first)
    first = replace(first, turned=turned, rows=rows)
    return replace(first, watches={n: _paced(first, n, columns[n].watch(rows[n])) for n in run.gated})


def _held(columns: dict[int, Columns]) -> tuple[_Values, ...]:
    return tuple(array for own in columns.values() for array in own.held)


def _there(state: CollapsedState, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Arrays of NumPy as those of the target's library."""
    run = state.run
    if run.target in ("numpy", "c"):
        return tuple(np.asarray(a, run.dtype, order="C") for a in arrays)
    make = state.machine._make
    return tuple(make(np.asarray(a, run.dtype, order="C"), None) for a in arrays)


def _fitted(state: CollapsedState) -> CollapsedState:
    """The state with the functions for as many columns as it has."""
    network = state.run.network
    widths = [
        state.columns[n].width if n in state.columns else network.widths[n] for n in range(1, len(network.layers))
    ]
    return replace(state, machine=state.run.machine(widths))


def _given(state: CollapsedState, *more: _Values) -> list[Any]:
    """What a compiled function is given; `more`: which samples a step is on, the errors before it, and the rest."""
    run = state.run
    use, errors, *rest = _there(state, more)
    points = () if run.first_out else _there(state, [run.x])
    return [*state.arrays, *state.held, use, errors, *points, *rest]


def _passed(state: CollapsedState) -> Sequence[Any]:
    """The output, and the pre-activations of layers with held gates that the state does not have."""
    run = state.run
    still = np.zeros((len(run.x), run.network.widths[-1]))
    made: Sequence[Any] = state.machine.unchecked("output", _given(state, np.ones(len(run.x)), still))
    return made


def _seen(state: CollapsedState) -> dict[int, _Values]:
    """The pre-activations of the columns of layers with held gates."""
    run = state.run
    if run.rows is not None:
        return {n: run.here(state.arrays[place]) for n, place in run.rows.items()}
    return {n: run.here(s) for n, s in _above(state).items() if n in run.gated}


def _above(state: CollapsedState) -> dict[int, _Values]:
    """The pre-activations of all layers with kinks."""
    run = state.run
    made = dict(zip(seen(run.network, run.own), _passed(state)[1:], strict=False))
    made |= {s: state.arrays[run.own.index(s)] for s in (h.s for h in run.network.hidden) if s in run.own}
    return {n: run.here(made[h.s]) for n, h in enumerate(run.network.hidden, 1) if h.s in made}


@np.errstate(all="ignore")  # training may leave the range of numbers, which is said by name
def _moved(state: CollapsedState, target: _Values, use: _Values, rate: float) -> CollapsedState:
    """The state after a step, with every unit on the lines that it then has."""
    run = state.run
    made = state.machine.unchecked("step", _given(state, use, target, target, run.dtype(rate)))
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
    made = replace(made, arrays=_there(made, arrays), held=_there(made, _held(columns)))
    rows = _seen(made)
    return replace(made, rows=rows, watches={n: _paced(made, n, columns[n].watch(rows[n])) for n in run.gated})


def _regrouped(state: CollapsedState, n: int, crossed: Crossed) -> CollapsedState:
    """The units that crossed on their new lines, and what is reported of them."""
    run, columns = state.run, state.columns[n]
    events = (*state.events, *columns.events(crossed, state.steps))
    if not crossed.members:
        made, _ = columns.regrouped(crossed, ())
        every = {**state.columns, n: made}
        return replace(state, columns=every, held=_there(state, _held(every)), events=events)
    made, arrays = columns.regrouped(crossed, [run.here(a) for a in state.arrays])
    every = {**state.columns, n: made}
    state = _fitted(replace(state, columns=every, events=events))
    return replace(state, arrays=_there(state, arrays), held=_there(state, _held(every)))


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


# ------------------------------------------------------------------------------------------------------ arguments


def _goal(run: _Run, target: Any, x: _Values, flat: bool, looked_at: bool) -> Any:
    """The target as numbers, from labels where the loss takes them."""
    network = run.network
    if network.samples != len(x):
        network = network.training(network.rule, network.batch, len(x))
    if not flat:
        return goal(network, target, x, looked_at)
    made = np.asarray(goal(network, as_array("target", target)[None], x, looked_at))
    return made[0]


def _places(run: _Run, x: npt.ArrayLike | None) -> npt.NDArray[np.intp] | None:
    """Which of the held inputs these are; None for all of them in their order."""
    if x is None or x is run.x:
        return None
    array, held = np.asarray(x, dtype=run.dtype), run.x[0] if run.single else run.x
    if array.shape == held.shape and (array == held).all():
        return None
    if held.ndim == 1 or array.shape[-1:] != held.shape[-1:] or array.ndim > 2:
        raise ArgumentError("x is not what init was given: give held inputs, or init again with others.")
    places, taken = [], set()
    for row in np.atleast_2d(array):
        equal = [n for n in np.flatnonzero((held == row).all(axis=1)).tolist() if n not in taken]
        if not equal:
            raise ArgumentError("x has an input that init was not given: give held inputs, or init again.")
        taken.add(equal[0])
        places.append(equal[0])
    return np.array(places)
