"""A network in training as columns: what no step changes, the arrays that do, and what is read off them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.columns import Columns
from fcsym.collapsing.events import Event, events_over_time
from fcsym.collapsing.gates_held import gates_held, held_arrays, with_widths, without_gates
from fcsym.collapsing.lines import Lines
from fcsym.collapsing.numbers import Numbers, numbers_of
from fcsym.collapsing.watch import Watch
from fcsym.drawing.picture import Picture
from fcsym.kernel.by_target import compile_scheme
from fcsym.language.equation import Order
from fcsym.language.expression import Array, Axis
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    coefficient_of,
    data_share,
    gram_of_data,
    kept_share,
    key_of,
    moment,
    norm,
    units,
)

__all__ = ["CollapsedState", "ManyStates", "Run", "compiled", "given", "passed", "there"]

_Values = npt.NDArray[Any]


@lru_cache(maxsize=32)
def compiled(network: Network, order: Order, contracted: tuple[int, ...], target: str) -> Any:
    """The four functions with the gates of these layers held."""
    return compile_scheme(gates_held(network, order, contracted), target)


@dataclass(frozen=True)
class Run:
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
    def share(self) -> Array:
        """What the first matrix makes of the inputs, where that is no pre-activation by itself."""
        return data_share(self.network.feeding(1)[0], self.network.pre_activation(1).axes)

    @cached_property
    def numbers(self) -> dict[int, Numbers]:
        """Where the numbers of the units are, by layer."""
        return numbers_of(self.network, self.own, self.contracted)

    @cached_property
    def bounded(self) -> bool:
        """Whether a few numbers bound how far a step moves the pre-activations: see `columns.Pace`."""
        alone = self.contracted == (0, 1) and len(self.network.layers) == 2 and self.network.rule.is_plain
        counts = any(numbers.counts for numbers in self.numbers.values())
        return alone and not counts and not any(piece.intercept for piece in self.network.layers[0].activation.pieces)

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
        gram = norm(self.network.input)
        still = {key_of(self.network.input), gram, gram_of_data(self.network.feeding(1)[0], gram.axes)}
        return frozenset(k for k, a in enumerate(self.own) if k not in follows and a not in still)

    def machine(self, widths: Sequence[int]) -> Any:
        """The compiled functions for so many columns in each layer."""
        inputs = 1 if self.first_out else self.network.inputs
        return compiled(with_widths(self.network, inputs, widths), self.order, self.contracted, self.target)

    def here(self, array: Any) -> _Values:
        """An array of the target's library as one of NumPy."""
        made: _Values = np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)
        return made


@dataclass(frozen=True, repr=False)
class CollapsedState:
    """A network in training: arrays over columns, the columns of each layer, and the events so far."""

    run: Run = field(repr=False)
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
        return {n: len(columns.patterns) for n, columns in self.columns.items()}

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
        y = self.run.here(passed(self)[0])
        return np.asarray(y[0] if self.run.single else y)

    def expand(self) -> list[_Values]:
        """[W1, b1, W2, ...]: the weights that backpropagation has after the same steps."""
        return self._expanded(self._unit_by_unit()[0])

    def of_units(self) -> tuple[dict[Array, _Values], dict[Axis, _Values]]:
        """Every array unit by unit, and who is in which group, (groups, units), in the order of `Columns.patterns`.

        Arrays are those of the state, the weights, the inputs, and the first layer's pre-activations with what the rule
        remembers of them.
        """
        run, (now, groups) = self.run, self._unit_by_unit()
        network, s = run.network, run.network.pre_activation(1)
        bias = network.feeding(1)[1:]
        for array, share, shifts in (
            (s, run.share, bias), (moment(s, 1), moment(run.share, 1), tuple(moment(b, 1) for b in bias)),
        ):  # fmt: skip
            parts = [now[a] for a in (share, *shifts) if a in now]
            if array not in now and run.first_out:
                now[array] = sum(parts, np.zeros([network.sizes[axis] for axis in s.axes]))
        found = dict(zip(network.parameters, self._expanded(now), strict=True))
        return {**now, **found, network.input: run.x}, groups

    def _unit_by_unit(self) -> tuple[dict[Array, _Values], dict[Axis, _Values]]:
        """The arrays of the state with units in the place of columns, and who is in which group."""
        run, groups = self.run, {}
        arrays = [run.here(a) for a in self.arrays]
        for n, columns in self.columns.items():
            values, following, codes = columns.all_units(arrays)
            arrays = run.numbers[n].put(arrays, values, following)
            groups[units(n)] = (columns.patterns[:, None] == codes).all(axis=2).astype(run.dtype)
        return dict(zip(run.own, arrays, strict=True)), groups

    def _expanded(self, now: Mapping[Array, _Values]) -> list[_Values]:
        """The weights from the arrays of the state, unit by unit."""
        run, made = self.run, []
        for theta, start in zip(run.network.parameters, run.weights, strict=True):
            if theta in now:
                made.append(now[theta].copy())
                continue
            along = now.get(coefficient_of(run.network.pre_activation(1)))
            if along is None:  # a matrix that is held fixed
                made.append(start.copy())
                continue
            share = now.get(kept_share(), 1)
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


def there(state: CollapsedState, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Arrays of NumPy as those of the target's library."""
    run = state.run
    if run.target in ("numpy", "c"):
        return tuple(np.asarray(a, run.dtype, order="C") for a in arrays)
    make = state.machine._make
    return tuple(make(np.asarray(a, run.dtype, order="C"), None) for a in arrays)


def given(state: CollapsedState, *more: _Values) -> list[Any]:
    """What a compiled function is given; `more`: which samples a step is on, the errors before it, and the rest."""
    run = state.run
    use, errors, *rest = there(state, more)
    points = () if run.first_out else there(state, [run.x])
    return [*state.arrays, *state.held, use, errors, *points, *rest]


def passed(state: CollapsedState) -> Sequence[Any]:
    """The output, and the pre-activations of layers with held gates that the state does not have."""
    run = state.run
    still = np.zeros((len(run.x), run.network.widths[-1]))
    made: Sequence[Any] = state.machine.unchecked("output", given(state, np.ones(len(run.x)), still))
    return made
