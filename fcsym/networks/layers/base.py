"""What a layer is: a function that adds forward equations to a network, and says with what shape it passes on.

A layer is written for one sample, with axes of its own for channels, positions and taps, and is told nothing but what
it reads. Nothing after the forward equations knows which layer made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any, ClassVar

from fcsym.errors import NetworkError, shown
from fcsym.language.activation import Activation
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Axis, Expr, Index, Role, arrays_in
from fcsym.language.spelling import exact
from fcsym.networks.symbols import of_layer, units

__all__ = ["MAX_EQUATIONS", "Building", "Layer", "Signal", "pair", "ratio", "share", "whole"]

MAX_EQUATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Signal:
    """What a layer passes on: an array, and how many of its last axes the next linear layer reads as one."""

    array: Array
    together: int = 1

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the array."""
        return self.array.axes


@dataclass
class Building:
    """A network that is being built: the equations so far, and how long each axis is."""

    sizes: dict[Axis, int]
    where: str = ""  # the layer at work, for messages
    n: int = 0  # its number, which its arrays carry
    last: Array | None = None  # what the read-out has to be called, where the layer at work is the read-out
    equations: list[Equation] = field(default_factory=list)
    parameters: list[Array] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    read_outs: list[tuple[Array, Array | None, Array]] = field(default_factory=list)  # W, b and what they give
    made: set[Array] = field(default_factory=set)  # what the equations so far define
    alike: dict[Axis, Axis] = field(default_factory=dict)  # axes that are others', since what is added has the same

    def axis(self, letter: str, size: int, letters: str = "") -> Axis:
        """An axis of the layer at work, of that length."""
        return self._own(Axis(f"{letter}_{self.n}", letters=letters), size)

    def units(self, size: int) -> Axis:
        """The axis of the units of the layer at work."""
        return self._own(units(self.n), size)

    def _own(self, made: Axis, size: int) -> Axis:
        made = self.alike.get(made, made)
        self.sizes[made] = size
        return made

    def same(self, first: Sequence[Axis], other: Sequence[Axis]) -> None:
        """Axes of two signals are the same: those of a later layer become those of an earlier one.

        Where they are not yet, the network is built once more, with what this has noted.
        """
        for one, two in zip(first, other, strict=True):
            kept, gone = sorted((self.alike.get(one, one), self.alike.get(two, two)), key=list(self.sizes).index)
            if kept != gone:
                self.alike |= {axis: kept for axis, to in self.alike.items() if to == gone} | {gone: kept}

    def parameter(self, symbol: str, *axes: Axis, trained: bool = True) -> Array:
        """A parameter of the layer at work."""
        made = of_layer(symbol, self.n, axes, Role.PARAMETER)
        self.parameters.append(made)
        if not trained:
            self.fixed.append(made.name)
        return made

    def pre_activation(self, axes: Sequence[Axis], symbol: str = "s", time: int | None = None) -> Array:
        """What a linear map gives."""
        return of_layer(symbol, self.n, tuple(axes), Role.PRE_ACTIVATION, time)

    def activation(self, axes: Sequence[Axis], symbol: str = "v", time: int | None = None) -> Array:
        """What the layer makes of it."""
        return of_layer(symbol, self.n, tuple(axes), Role.ACTIVATION, time)

    def part(
        self, symbol: str, axes: Sequence[Axis] = (), role: Role = Role.TERM, time: int | None = None
    ) -> Array:  # fmt: skip
        """What is only a part of something, such as the sum that a softmax divides by."""
        return of_layer(symbol, self.n, tuple(axes), role, time)

    def define(self, array: Array, indices: Sequence[Index], value: Expr, because: str) -> Array:
        """array[indices] = value, with a sentence that says why; NetworkError where they are too many."""
        if len(self.equations) >= MAX_EQUATIONS:
            raise self.refuse(
                f"with it the network has more than {MAX_EQUATIONS} equations, some for every step and every place of "
                "a greatest value: give a shorter sequence, or a smaller window."
            )
        uses = tuple(dict.fromkeys(a.name for a in arrays_in(value) if a in self.made))
        self.equations.append(Equation(array[tuple(indices)], value, Rule.DEFINITION, because, uses))
        self.made.add(array)
        return array

    def size(self, axis: Axis) -> int:
        """How long an axis is."""
        return self.sizes[axis]

    def shape(self, signal: Signal) -> tuple[int, ...]:
        """The lengths of a signal's axes."""
        return tuple(self.sizes[axis] for axis in signal.axes)

    def refuse(self, what: str) -> NetworkError:
        """The error for the layer at work."""
        return NetworkError(f"{self.where}: {what}")

    def needs(self, signal: Signal, count: int, said: str) -> None:
        """NetworkError where what a layer reads has not that many axes."""
        if len(signal.axes) != count:
            raise self.refuse(f"it reads {said}, and what it is given has shape {self.shape(signal)}.")

    def fits(self, axis: Axis, size: int, what: str) -> None:
        """NetworkError where an axis is not as long as the layer says."""
        if self.sizes[axis] != size:
            raise self.refuse(f"it expects {shown(size)} {what} and is given {self.sizes[axis]}: make the two alike.")


class Layer:
    """A kind of layer. A subclass is a frozen dataclass whose fields are those of the layer of that name in PyTorch."""

    kind: ClassVar[str]  # its name in network files
    reads: ClassVar[tuple[str, ...]] = ()  # the letters of the axes that it reads, where it is the first layer
    sources: ClassVar[int] = 1  # how many signals it reads; 0 for any number
    numbered: ClassVar[bool] = True  # whether its arrays have a number of their own
    one_hot: ClassVar[bool] = False  # whether it reads rows of 0 and a 1, for which kernels take tokens
    flattened: ClassVar[bool] = False  # whether it reads what Flatten has made one axis
    measured: ClassVar[str] = ""  # the field that says how long an axis is that it reads; None there: whatever it is
    measures: ClassVar[int] = -1  # which axis that is; the last one with those that are read as one with it

    def build(self, at: Building, *sources: Signal) -> Signal:
        """Adds the equations of the layer; returns what it passes on. NetworkError where what it reads does not fit."""
        raise NotImplementedError

    def fitted(self, at: Building, *sources: Signal) -> Layer:
        """The same layer, told how long the axis is that it reads, where its field for that is None."""
        if not self.measured or getattr(self, self.measured) is not None or not sources:
            return self
        (source, *_) = sources
        axes = source.axes[-source.together :] if self.measures == -1 else source.axes[self.measures :][:1]
        return replace(self, **{self.measured: prod(at.size(axis) for axis in axes)})  # type: ignore[type-var]

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations that it applies."""
        return ()

    def with_activations(self, change: Any) -> Layer:
        """The same layer with other activations."""
        del change
        return self

    def inner(self) -> tuple[Any, ...]:
        """The layers, or nodes, in a row that it is made of, where it is a group."""
        return ()

    def closing(self) -> Layer | None:
        """What puts together what a group reads and what its last layer gives; None where that passes it on."""
        return None


def whole(value: object, what: str, least: int = 1) -> int:
    """A whole number from `least` on; NetworkError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
        raise NetworkError(f"The {what} is {shown(value)!r}: give a whole number from {least} to 1000000.")
    return value


def ratio(value: object, what: str, below: int | None = None) -> Fraction:
    """A number from 0 on, exactly as it is written: 1e-5 is 1/100000."""
    made = exact(value, what)
    if made < 0 or (below is not None and made >= below):
        least = "from 0 on" if below is None else f"from 0 up to, but not, {below}"
        raise NetworkError(f"The {what} is {shown(value)}: give a number {least}.")
    return made


def pair(value: object, what: str, least: int = 1) -> tuple[int, int]:
    """A number for both directions, or one for each."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise NetworkError(f"The {what} is {shown(value)}: give one number, or one for rows and one for columns.")
        return whole(value[0], what, least), whole(value[1], what, least)
    return whole(value, what, least), whole(value, what, least)


def share(count: int) -> Fraction:
    """1/count."""
    return Fraction(1, count)
