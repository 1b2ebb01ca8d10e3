"""Training on a closed state with gate events carried, step after step: as backpropagation trains.

    run = fcsym.find_collapse(net, inputs=8).train(weights, X)
    run.step(targets, eta)                   # on all inputs
    run.step(target, eta, which=3)           # on one of them
    run.output, run.expand(), run.events, run.state

What moves is a state of `kernel`, on columns; between events nothing in a step is as long as a layer that is summed
over is wide. What the finder's names stand for is added up from the units when it is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.equations import named
from fcsym.collapsing.events import Event
from fcsym.collapsing.finder import Search
from fcsym.collapsing.given import checked_inputs, checked_places, checked_rate, checked_weights
from fcsym.collapsing.kernel import CollapsedKernel, stepped
from fcsym.collapsing.quantities import Quantity
from fcsym.collapsing.state import CollapsedState
from fcsym.drawing.picture import Picture
from fcsym.errors import ArgumentError
from fcsym.language.expression import Array, Axis
from fcsym.networks.network import Network
from fcsym.networks.symbols import moment

__all__ = ["Training"]

_Values = npt.NDArray[Any]


class Training:
    """A network in training on held inputs: `step`, `output`, `state`, `expand` and the `events` so far."""

    def __init__(
        self, network: Network, found: Search, weights: Sequence[npt.ArrayLike], inputs: npt.ArrayLike
    ) -> None:
        """`found`: a search that closed. `weights`: [W1, b1, W2, ...]. `inputs`: (m, n_0), or (n_0,) for one."""
        self.network, self._found = network, found
        own, x = checked_weights(network, weights), checked_inputs(found.held.network, inputs)
        kernel = CollapsedKernel(network, found.held.order, found.contracted)
        self._now: CollapsedState = kernel.init(own, x)

    def copy(self) -> Training:
        """The same state, to go on from without changing this one."""
        return copy.copy(self)  # what moves is never changed: a step puts another in its place

    # ---------------------------------------------------------------------------------------------- what it is

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return self._now.steps

    @property
    def events(self) -> list[Event]:
        """The gate events so far."""
        return list(self._now.events)

    @property
    def inputs(self) -> _Values:
        """The held inputs."""
        return self._now.inputs

    @property
    def output(self) -> _Values:
        """y on the held inputs, (m, n_L), or (n_L,) for one."""
        return self._now.output

    @property
    def groups(self) -> dict[int, int]:
        """How many groups each layer that is summed over has."""
        return self._now.groups

    @property
    def slopes(self) -> dict[int, _Values]:
        """The slopes of the groups of each layer that is summed over, (m, groups)."""
        columns = self._now.columns.items()
        return {n: own.lines.slope_of[own.patterns].T for n, own in columns if own.lines is not None}

    @property
    def numbers(self) -> int:
        """How many numbers a step moves."""
        return self._now.numbers

    @property
    def saves(self) -> bool:
        """Whether these are fewer than training carries; not where nearly every unit has a group of its own."""
        return self._now.saves

    @property
    def state(self) -> dict[str, _Values]:
        """The finder's quantities as they are, by the names that its equations have; the groups are their last axis.

        The groups have the order that they have in `slopes`. ArgumentError where a quantity is made of what training
        on columns does not carry: the velocity of a matrix that its pre-activations do not stand for.
        """
        values, groups = self._now.of_units()
        quantities = self._found.quantities
        return {
            array.name: self._value(quantity, values, groups)
            for array, quantity in zip(named(quantities), quantities, strict=True)
        }

    def _value(self, quantity: Quantity, values: Mapping[Array, _Values], groups: Mapping[Axis, _Values]) -> _Values:
        """The product of its factors, added up over the units of each group."""
        held = self._found.held
        letters: dict[tuple[str, int], str] = {}

        def letter(kind: str, number: int) -> str:
            return letters.setdefault((kind, number), chr(97 + len(letters)))

        operands, read = [], []
        for array, where in quantity.factors:
            operands.append(self._of_units(held.origin(array), values))
            read.append("".join(letter(*place) for place in where))
        free = [n for n, axis in enumerate(quantity.free) if axis in held.groups.values()]
        for number, axis in enumerate(quantity.bound):
            if axis in held.groups:
                operands.append(groups[axis])
                read.append(letter("free", free.pop(0)) + letter("sum", number))
        result = "".join(letter("free", n) for n in range(len(quantity.free)))
        made: _Values = np.einsum(f"{','.join(read)}->{result}", *operands, optimize=len(operands) > 2)
        return np.array(made)

    def _of_units(self, array: Array, values: Mapping[Array, _Values]) -> _Values:
        """The numbers of an array, unit by unit, without the samples where there is one input."""
        held, run = self._found.held, self._now.run
        s, own = held.network.pre_activation(1), run.network.pre_activation(1)
        same = {s: own, moment(s, 1): moment(own, 1), held.network.input: run.network.input}
        value = values.get(same.get(array, array))
        if value is None:
            raise ArgumentError(
                f"The state has no numbers of its own for {array.name}: train on it, and read weights with expand()."
            )
        return value[0] if array in same and run.single else value

    def chart(self) -> Picture:
        """How many units have crossed a kink so far, over the steps, layer by layer."""
        return self._now.chart()

    # ------------------------------------------------------------------------------------------------ one step

    def step(self, target: npt.ArrayLike, eta: float | None = None, which: Any = None) -> list[Event]:
        """One step of training; the events that it brought.

        `target`: (m, n_L), or (n_L,) for one input. `which`: a position, or several different ones, of the inputs that
        the step is on, with a target for each; None for all. `eta`: a number; it may be left out where the rule has
        one. Raises ArgumentError for what does not fit, Diverged where the state is no number any more.
        """
        run = self._now.run
        rate = checked_rate(self.network, eta)
        places = checked_places(which, 0 if run.single else len(run.x))
        one = places is not None and len(places) == 1 and np.shape(target) in ((), (self.network.widths[-1],))
        before = len(self._now.events)
        self._now = stepped(self._now, places, target, rate, run.single or one)
        return list(self._now.events[before:])

    def expand(self) -> list[_Values]:
        """[W1, b1, W2, ...]: the weights that backpropagation has after the same steps."""
        return self._now.expand()
