"""Training on a closed state, with gate events carried: as backpropagation trains, at a cost without the widths.

    run = fcsym.find_collapse(net, inputs=8).train(weights, X)
    run.step(targets, eta)                   # on all inputs
    run.step(target, eta, which=3)           # on one of them
    run.output, run.expand(), run.events

Between events nothing is as long as a layer that is summed over is wide.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.charts import events_over_time
from fcsym.collapsing.equations import named
from fcsym.collapsing.finder import Search
from fcsym.collapsing.given import checked_inputs, checked_places, checked_rate, checked_weights
from fcsym.collapsing.layer import Event, Layer
from fcsym.collapsing.lines import Lines, ReadOut, Smooth
from fcsym.collapsing.program import Program
from fcsym.collapsing.quantities import Quantity
from fcsym.drawing.picture import Picture
from fcsym.errors import ArgumentError, Diverged
from fcsym.language.expression import Array, Axis, Role
from fcsym.networks.network import Network
from fcsym.networks.symbols import ETA, adjoint_of, gate_of, units

__all__ = ["Carried"]

_Values = npt.NDArray[Any]


class Carried:
    """A network in training, held as virtual units: `step`, `output`, `expand` and the `events` so far."""

    def __init__(
        self, network: Network, found: Search, weights: Sequence[npt.ArrayLike], inputs: npt.ArrayLike
    ) -> None:
        """`found`: a search that closed. `weights`: [W1, b1, W2, ...]. `inputs`: (m, n_0), or (n_0,) for one."""
        held = found.held
        if 0 in held.contracted and not held.first_out:
            raise ArgumentError(
                f"The first layer of {network} is not held by its pre-activations: sum over other layers (contracted)."
            )
        self.network, self.held, self._found = network, held, found
        self._program = Program(held)
        self._weights = checked_weights(network, weights)
        self._x = checked_inputs(held.network, inputs)
        self._several = bool(held.network.batch)
        self.events: list[Event] = []
        self.steps = 0
        self._known: dict[Array, _Values] = {held.network.input: self._x}
        if held.first_out:
            bias = int(network.layers[0].bias)
            self._known[held.inner] = np.asarray(self._x @ self._x.T + bias)
        self._known |= {array: np.asarray(float(value)) for array, value in network.rule.values.items()}
        self._read_out = ReadOut(held.network)
        self._free = {array: self._first_value(array) for array in self._program.free}
        self._sums: dict[Quantity, _Values] = {}
        self._passed: dict[int, Smooth] = {
            n: Smooth(held.network, n) for n in range(1, held.depth) if n not in held.contracted
        }
        self._layers: dict[int, Layer] = {}
        self._settled = False
        self._shares = np.eye(len(self._program.followers))
        for n, arrays in self._program.of_units.items():
            self._layers[n] = self._layer(n, arrays)
        self._ends: dict[Array, _Values] = {}  # of the first layer, where its units are not summed over
        if 1 not in self._layers:
            self._ends = {
                f.array: np.zeros(self._shape_of(f.array.axes)) if f.is_matrix else self._first_value(f.array)
                for f in self._program.followers
            }
        self._forward()

    def copy(self) -> Carried:
        """The same state, to go on from without changing this one."""
        made = copy.copy(self)
        made.events, made._known, made._free = list(self.events), dict(self._known), dict(self._free)
        made._sums = {}
        made._layers = {n: layer.copy() for n, layer in self._layers.items()}
        for n, layer in made._layers.items():
            layer.rows_of = made._rows(n)
        return made

    @property
    def inputs(self) -> _Values:
        """The held inputs."""
        return self._x

    # ------------------------------------------------------------------------------------------------- the start

    def _first_value(self, array: Array) -> _Values:
        """What an array is before the first step, without groups."""
        network = self.held.network
        origin = self.held.origin(array)
        if origin in network.parameters:
            return self._weights[network.parameters.index(origin)].copy()
        if origin in network.memory:
            return np.full(network.shape(origin), float(network.memory[origin]))
        if origin == network.pre_activation(1):
            bias = self._weights[1] if network.layers[0].bias else 0.0
            return np.asarray(self._x @ self._weights[0].T + bias)
        return np.zeros([network.sizes[axis] for axis in origin.axes])

    def _layer(self, n: int, arrays: Sequence[Array]) -> Layer:
        held, unit = self.held, units(n)
        phi = held.network.layers[n - 1].activation
        start = {a: self._by_unit(a, unit, np.ones if a.role is Role.UNIT else None) for a in arrays}
        followers = {}
        for follower in self._program.followers if n == 1 else ():
            array = follower.array
            followers[array] = self._by_unit(array, unit, np.zeros if follower.is_matrix else None)
        lines = None if phi.is_identity else Lines(phi)
        return Layer(n, unit, held.groups.get(unit), arrays, lines, start, followers)

    def _by_unit(self, array: Array, unit: Any, made: Any = None) -> _Values:
        """The first value with the unit first."""
        origin = self.held.origin(array)
        if made is not None:
            value = made([self.held.network.sizes[axis] for axis in origin.axes])
        else:
            value = self._first_value(array)
        return np.moveaxis(value, origin.axes.index(unit), 0)

    # --------------------------------------------------------------------------------------------------- values

    def _of(self, operand: Array | Quantity) -> _Values:
        """The numbers of an array, or of a sum over units."""
        if isinstance(operand, Quantity):
            if operand not in self._sums:
                self._sums[operand] = self._contracted(operand)
            return self._sums[operand]
        known = self._known.get(operand)
        if known is not None:
            return known
        if operand in self._free:
            return self._free[operand]
        for layer in self._layers.values():
            if operand in layer.place:
                return layer.as_operand(operand)
        if operand.role is Role.UNIT:  # the 1 of every unit, where units are not summed over
            return np.ones(self._shape_of(operand.axes))
        raise KeyError(operand)

    def _contracted(self, quantity: Quantity) -> _Values:
        (axis,) = quantity.bound
        layer = next(own for own in self._layers.values() if own.unit == axis)
        arrays = quantity.arrays
        one, other = arrays if len(arrays) == 2 else (arrays[0], layer.one)
        return layer.contracted(one, other)

    def _rows(self, n: int) -> Any:
        """V => the pre-activations of virtual units, (p, m, d)."""
        held, s = self.held, self.held.network.hidden[n - 1].s
        axes = [a for axis in s.axes for a in ((held.groups[axis], axis) if axis in held.groups else (axis,))]

        def rows(virtual: _Values) -> _Values:
            del virtual  # it is the layer's own, which the sum reads
            layer = self._layers[n]
            made = self._program.reads[n].value(self._of, [*self._shape_of(axes)])
            order = [axes.index(layer.group)] if layer.group is not None else []
            order += [k for k, axis in enumerate(axes) if axis not in (layer.group, layer.unit)]
            made = made.transpose([*order, axes.index(layer.unit)])
            made = made if layer.group is not None else made[None]
            return made.reshape(len(made), -1, layer.numbers)

        return rows

    def _shape_of(self, axes: Sequence[Axis]) -> list[int]:
        """The lengths of axes: groups as many as there are, and virtual units in the place of units."""
        sizes, found = self.held.network.sizes, []
        for axis in axes:
            own = next((a for a in self._layers.values() if axis in (a.unit, a.group)), None)
            found.append(sizes[axis] if own is None else own.numbers if axis == own.unit else len(own.members))
        return found

    # ------------------------------------------------------------------------------------------------ one pass

    def _forward(self) -> None:
        """Layer by layer: who has left its line, what is read, and the logits."""
        held, network = self.held, self.held.network
        self._sums.clear()
        for n in range(1, held.depth):
            hidden = network.hidden[n - 1]
            layer = self._layers.get(n)
            if layer is None:
                s = self._observed(hidden.s)
                value, slope = self._passed[n].of(s)
                self._known |= {hidden.v: value, gate_of(hidden.s): slope}
                continue
            if not self._settled:
                layer.settle(self._codes(n, layer), self._rows(n))
            else:
                self.events += layer.look(self.steps)
            if layer.lines is not None:
                slopes, offsets = layer.slopes(), layer.offsets()
                gate, offset = held.group_arrays(n)
                self._known[gate] = slopes if self._several else slopes[0]
                self._known[offset] = offsets if self._several else offsets[0]
        self._settled = True
        self._logits = self._observed(network.logits)
        if not np.isfinite(self._logits).all():
            raise Diverged(
                f"Training of {self.network} has left the range of floating-point numbers after step {self.steps}: "
                "take a smaller eta."
            )

    def _codes(self, n: int, layer: Layer) -> Any:
        """On which line each unit is at the start."""
        if layer.lines is None:
            return np.zeros((len(layer.zeta), 1), np.int16)
        network = self.held.network
        if n == 1:
            s = self._first_value(network.pre_activation(1))
        else:
            below = self._known[network.hidden[n - 2].v]
            place = network.parameters.index(network.feeding(n)[0])
            s = below @ self._weights[place].T
            if network.layers[n - 1].bias:
                s = s + self._weights[place + 1]
        return layer.lines.codes(np.atleast_2d(s)).T

    def _observed(self, array: Array) -> _Values:
        if array in self._free:
            return self._free[array]
        return self._program.observed[array].value(self._of, self._shape_of(array.axes))

    @property
    def output(self) -> _Values:
        """y on the held inputs, (m, n_L), or (n_L,) for one."""
        return self._read_out.of(self._logits, np.zeros_like(self._logits))[0]

    @property
    def state(self) -> dict[str, _Values]:
        """The finder's quantities as they are, by the names that its equations have; the groups are their last axis."""
        names = named(self._found.quantities)
        return {
            array.name: np.array(self._of(quantity if quantity.bound else quantity.arrays[0]))
            for array, quantity in zip(names, self._found.quantities, strict=True)
        }

    @property
    def slopes(self) -> dict[int, _Values]:
        """The slopes of the groups of each layer that is summed over, (m, groups)."""
        return {n: layer.slopes() for n, layer in self._layers.items() if layer.lines is not None}

    def chart(self) -> Picture:
        """How many units have crossed a kink so far, over the steps, layer by layer."""
        return events_over_time(self.events, self.steps, str(self.network))

    @property
    def groups(self) -> dict[int, int]:
        """How many groups each layer that is summed over has."""
        return {n: len(layer.members) for n, layer in self._layers.items()}

    @property
    def numbers(self) -> int:
        """How many numbers a step reads and writes: those of virtual units and Gram matrices, and free arrays."""
        own = sum(2 * layer.virtual.size for layer in self._layers.values())
        return own + sum(value.size for value in self._free.values())

    @property
    def saves(self) -> bool:
        """Whether these are fewer than training carries; not where nearly every unit has a group of its own."""
        carried = (*self.network.parameters, *self.network.memory)
        return self.numbers < sum(int(np.prod(self.network.shape(a))) for a in carried)

    # ------------------------------------------------------------------------------------------------ one step

    def step(self, target: npt.ArrayLike, eta: float | None = None, which: Any = None) -> list[Event]:
        """One step of training; the events that it brought.

        `target`: (m, n_L), or (n_L,) for one input. `which`: a position, or several different ones, of the inputs that
        the step is on, with a target for each; None for all. `eta`: a number; it may be left out where the rule has
        one. Raises ArgumentError for what does not fit, Diverged where the output is no number any more.
        """
        rate = checked_rate(self.network, eta)
        chosen = checked_places(which, len(self._x) if self._several else 0)
        logits = self._logits if chosen is None else self._logits[chosen]
        goal = np.asarray(target, dtype=float)
        if chosen is not None and goal.ndim == 1 and len(chosen) == 1:
            goal = goal[None]
        if goal.shape != logits.shape or not np.isfinite(goal).all():
            raise ArgumentError(f"target has the shape {goal.shape}: give finite numbers of the shape {logits.shape}.")
        driver = self.held.driver
        with np.errstate(over="ignore", invalid="ignore"):  # it is said by name where the output is no number
            error = self._read_out.of(logits, goal)[1]
            if chosen is not None:
                whole = np.zeros_like(self._logits)
                whole[chosen] = error
                error = whole
            self._known |= {ETA: np.asarray(rate), driver: error}
            for hidden in reversed(self.held.network.hidden):
                array = adjoint_of(hidden.s)
                if array in self._program.observed:
                    self._known[array] = self._observed(array)
            self._move()
            self.steps += 1
            before = len(self.events)
            self._forward()
        return self.events[before:]

    def _move(self) -> None:
        """Every array after the step, from those before it."""
        program = self._program
        new = {array: one.value(self._of, self._shape_of(array.axes)) for array, one in program.updates.items()}
        first = self._layers.get(1)
        added = {}
        if first is not None and program.followers:
            kin = list(first.ending)
            by = np.zeros((len(kin), len(kin)))
            for follower in program.followers:
                array = follower.array
                shape = self._shape_of(array.axes)
                value = first.taken_back(array, follower.added.value(self._of, shape))
                for other, share in follower.shares.items():
                    factor = float(share.value(self._of))
                    by[kin.index(array), kin.index(other)] = factor
                    value = value + factor * first.following[other]
                added[array] = value
            first.following = added
            first.shares = by @ first.shares
            self._shares = by @ self._shares
        elif program.followers:
            self._follow_freely()
        for array, value in new.items():
            if array in self._free:
                self._free[array] = value
        for layer in self._layers.values():
            moved = [
                layer.taken_back(a, new[a]) if a in new else layer.virtual[:, layer.place[a]] for a in layer.arrays
            ]
            layer.virtual = np.concatenate(moved, axis=1)

    def _follow_freely(self) -> None:
        """The coefficients of the inputs where the first layer's units are not summed over."""
        program = self._program
        kin = list(self._ends)
        by, made = np.zeros((len(kin), len(kin))), {}
        for follower in program.followers:
            value = follower.added.value(self._of, self._shape_of(follower.array.axes))
            for other, share in follower.shares.items():
                factor = float(share.value(self._of))
                by[kin.index(follower.array), kin.index(other)] = factor
                value = value + factor * self._ends[other]
            made[follower.array] = value
        self._ends, self._shares = made, by @ self._shares

    # -------------------------------------------------------------------------------------------------- expand

    def expand(self) -> list[_Values]:
        """[W1, b1, W2, ...]: the weights that backpropagation has after the same steps."""
        now: dict[Array, _Values] = {self.held.origin(a): v for a, v in self._free.items()}
        ends: dict[Array, _Values] = dict(self._ends)
        for layer in self._layers.values():
            whole = np.empty_like(layer.zeta)
            for c in range(len(layer.members)):
                whole[layer.members[c]] = layer.now(c)
                for array, part in layer.ends(c).items():
                    ends.setdefault(array, np.zeros((len(whole), part.shape[1])))[layer.members[c]] = part
            for array in layer.arrays:
                if array.role is not Role.UNIT:
                    own = whole[:, layer.place[array]].reshape(len(whole), *layer.legs[array])
                    origin = self.held.origin(array)
                    now[origin] = np.moveaxis(own, 0, origin.axes.index(layer.unit))
        for n, follower in enumerate(self._program.followers):
            value: _Values | None = ends.get(follower.array)
            if 1 in self._layers and value is not None:
                legs = self._layers[1].ending_legs[follower.array]
                value = np.moveaxis(value.reshape(len(value), *legs), 0, -1)
            self._put_back(now, follower, value, self._shares[n])
        return [now[array] for array in self.held.network.parameters]

    def _put_back(self, now: dict[Array, _Values], follower: Any, value: _Values | None, shares: _Values) -> None:
        """A matrix of the first layer from what came along the inputs, or its bias."""
        network = self.held.network
        theta = follower.theta
        if theta not in network.parameters:
            return
        first = self._weights[network.parameters.index(theta)]
        if not follower.is_matrix:
            now[theta] = first.copy() if value is None else value
            return
        share = shares[[f.array for f in self._program.followers].index(follower.array)]
        now[theta] = share * first
        if value is not None:
            now[theta] = now[theta] + (value.T @ self._x if self._several else np.outer(value, self._x))
