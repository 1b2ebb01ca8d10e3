"""A network in training as columns, in the library: what a state is made of, and what is read off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.drawn import events_over_time
from fcsym.collapsing.events import Event
from fcsym.collapsing.gates_held import gates_held, with_widths, without_gates
from fcsym.collapsing.moving import Run, State, here, passed, started, unit_by_unit
from fcsym.collapsing.tabled import table_of
from fcsym.drawing.picture import Picture
from fcsym.errors import Diverged
from fcsym.kernel.by_target import compile_scheme
from fcsym.language.equation import Order
from fcsym.language.expression import Array, Axis, Role
from fcsym.networks.network import Network
from fcsym.networks.symbols import coefficient_of, data_share, kept_share, moment, norm, units

__all__ = ["CollapsedState", "LeftRange", "ManyStates", "begin"]

_Values = npt.NDArray[Any]


@lru_cache(maxsize=32)
def _compiled(network: Network, order: Order, contracted: tuple[int, ...], target: str) -> Any:
    """The four functions with the gates of these layers held."""
    return compile_scheme(gates_held(network, order, contracted), target)


@dataclass(frozen=True)
class NetworkRun(Run):
    """The same with the network, in mini-batches over all inputs, and compiled functions."""

    network: Network
    order: Order
    contracted: tuple[int, ...]
    target: str

    @cached_property
    def own(self) -> tuple[Array, ...]:
        """The arrays of the state as the equations have them, without gates."""
        return without_gates(self.network, self.order, self.contracted)

    @cached_property
    def share(self) -> Array:
        """What the first matrix makes of the inputs, where that is no pre-activation by itself."""
        return data_share(self.network.feeding(1)[0], self.network.pre_activation(1).axes)

    def machine(self, widths: Mapping[int, int]) -> Any:
        """The compiled functions for so many columns in each layer."""
        inputs = self.network.inputs if self.table.reads_x else 1
        every = [widths.get(n, width) for n, width in enumerate(self.network.widths[1:-1], 1)]
        return _compiled(with_widths(self.network, inputs, every), self.order, self.contracted, self.target)

    def call(self, machine: Any, name: str, arrays: list[Any]) -> Sequence[Any]:
        """The results of a compiled function."""
        made: Sequence[Any] = machine.unchecked(name, arrays)
        return made

    def there(self, machine: Any, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Arrays of NumPy as those of the target's library."""
        own = tuple(np.asarray(a, self.dtype, order="C") for a in arrays)
        return own if self.target in ("numpy", "c") else tuple(machine._make(a, None) for a in own)

    def diverged(self, steps: int) -> ArithmeticError:
        """Diverged: which network, and after which step."""
        return Diverged(
            f"Training of {self.network} has left the range of floating-point numbers after step {steps}: "
            "take a smaller eta."
        )


class CollapsedState(State):
    """A network in training: arrays over columns, the columns of each layer, and the events so far."""

    run: NetworkRun

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
            for columns in self.columns.values():
                if any(place == k for place, _ in (*columns.numbers.read, *columns.numbers.following)):
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
        y = here(passed(self)[0])
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
            if array not in now and not run.table.reads_x:
                now[array] = sum(parts, np.zeros([network.sizes[axis] for axis in s.axes]))
        found = dict(zip(network.parameters, self._expanded(now), strict=True))
        return {**now, **found, network.input: run.x}, groups

    def _unit_by_unit(self) -> tuple[dict[Array, _Values], dict[Axis, _Values]]:
        """The arrays of the state with units in the place of columns, and who is in which group."""
        run, (arrays, codes) = self.run, unit_by_unit(self)
        groups = {
            units(n): (self.columns[n].patterns[:, None] == own).all(axis=2).astype(run.dtype)
            for n, own in codes.items()
        }
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


@dataclass(frozen=True)
class LeftRange:
    """A network that has left the range of floating-point numbers, for undefined="nan": all that is read of it is nan.

    It stays so. `last`: the state before that step.
    """

    last: CollapsedState

    @property
    def run(self) -> NetworkRun:
        """What does not change in training."""
        return self.last.run

    @property
    def events(self) -> tuple[Event, ...]:
        """The gate events until then."""
        return self.last.events

    @property
    def output(self) -> _Values:
        """nan for every output on the held inputs."""
        return np.full_like(self.last.output, np.nan)

    def expand(self) -> list[_Values]:
        """nan for every weight."""
        return [np.full_like(array, np.nan) for array in self.run.weights]


class ManyStates(tuple["CollapsedState | LeftRange", ...]):
    """The states of many networks, in row order of their leading axes."""

    lead: tuple[int, ...]

    @classmethod
    def of(cls, states: Sequence[CollapsedState | LeftRange], lead: tuple[int, ...]) -> ManyStates:
        """States with the leading axes that they had."""
        made = cls(states)
        made.lead = lead
        return made


def begin(
    network: Network, order: Order, contracted: tuple[int, ...], target: str, x: _Values, single: bool,
    weights: Sequence[_Values], dtype: Any,
) -> CollapsedState:  # fmt: skip
    """The state of a network before any step; arguments as in `NetworkRun`."""
    table = table_of(network, order, contracted)
    run = NetworkRun(table, x, single, tuple(weights), dtype, network, order, contracted, target)
    rest = [np.full(network.shape(a), float(v), dtype) for a, v in network.memory.items()]
    use, still = np.ones(len(x), dtype), np.zeros((len(x), network.widths[-1]), dtype)
    whole = _compiled(network, order, (), "numpy")
    with np.errstate(all="ignore"):
        _, *sides = whole.unchecked("output", [*weights, *rest, use, still, x])
        arrays = tuple(_first(run, array) for array in run.own)
    return started(CollapsedState(run, arrays), sides)


def _first(run: NetworkRun, array: Array) -> _Values:
    """An array of the state before any step, unit by unit."""
    network, x, first = run.network, run.x, run.weights[0]
    known = dict(zip(network.parameters, run.weights, strict=True))
    if array in known:
        return known[array].copy()
    if array == network.pre_activation(1):
        return np.asarray(x @ first.T + (run.weights[1] if network.layers[0].bias else 0), run.dtype)
    if array == run.share:
        return np.asarray(x @ first.T, run.dtype)
    if array.role is Role.NORM and array.of == network.parameters[0]:
        return np.asarray(x @ x.T, run.dtype)
    if array in network.memory:
        return np.full(network.shape(array), float(network.memory[array]), run.dtype)
    if array == norm(network.input):
        return np.asarray(x @ x.T + int(network.layers[0].bias), run.dtype)
    if array == kept_share():
        return np.ones((), run.dtype)
    return np.zeros([network.sizes[axis] for axis in array.axes], run.dtype)
