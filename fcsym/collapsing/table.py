"""Where everything is, by place: the arrays of a state, the numbers of units, and what is read off the equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from fcsym.collapsing.lines import Lines
from fcsym.collapsing.numbers import Numbers

__all__ = ["Layer", "Table"]


@dataclass(frozen=True)
class Layer:
    """A layer that is summed over."""

    numbers: Numbers
    lines: Lines | None  # of its activation, where its units have gates that are held
    seen: int | None  # its pre-activations: an array of the state, or from there on what `output` gives beside y
    start: int | None  # the same of what `forward` gives

    @property
    def adds_ones(self) -> bool:
        """Whether a step adds up the ones of units: where a line has an intercept, or a bias is one number for all."""
        return self.numbers.counts or (self.lines is not None and bool(self.lines.offsets))


@dataclass(frozen=True)
class Table:
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
    bound: tuple[int, int] | None  # the read-out, and 1 for a bias, where few numbers bound a step: see Pace

    @cached_property
    def gated(self) -> tuple[int, ...]:
        """The layers whose units are looked at."""
        return tuple(n for n, layer in self.layers.items() if layer.seen is not None)

    @cached_property
    def rows(self) -> dict[int, int] | None:
        """Where the state has the pre-activations of these layers, if it has them all."""
        found = {n: at for n in self.gated if (at := self.layers[n].seen) is not None and at < len(self.state)}
        return found if len(found) == len(self.gated) else None
