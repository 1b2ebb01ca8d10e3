"""What joins signals: sums, residual connections, concatenation; and what takes a part of one: dropout by a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fcsym.errors import NetworkError, shown
from fcsym.language.expression import Expr, Index, add, indicator, mul, total
from fcsym.networks.layers.base import Building, Layer, Signal, ratio

__all__ = ["Add", "Concatenate", "Dropout", "Residual"]


def _alike(at: Building, sources: tuple[Signal, ...], but_last: bool) -> None:
    """NetworkError where the shapes of what is joined are not the same, up to the last axis or with it."""
    first = sources[0]
    if len(sources) < 2:
        raise at.refuse("it joins layers and is given one: name what it reads, Node(Add(), of=(..., ...)).")
    for other in sources[1:]:
        one, two = at.shape(first), at.shape(other)
        if len(one) != len(two) or (one[:-1] != two[:-1] if but_last else one != two):
            said = " but for the last axis" if but_last else ""
            raise at.refuse(f"it joins shapes {one} and {two}: make them alike{said}.")


@dataclass(frozen=True)
class Add(Layer):
    """v = the sum of what the named layers give, element by element: a + b in PyTorch. Their shapes are the same."""

    kind: ClassVar[str] = "add"
    flattened: ClassVar[bool] = True
    sources: ClassVar[int] = 0

    def build(self, at: Building, *sources: Signal) -> Signal:
        """No parameters."""
        _alike(at, sources, but_last=False)
        for other in sources[1:]:
            at.same(sources[0].axes, other.axes)
        axes = sources[0].axes
        value: Expr = add(*(s.array[tuple(Index(axis, f"i{n}") for n, axis in enumerate(s.axes))] for s in sources))
        indices = tuple(Index(axis, f"i{n}") for n, axis in enumerate(axes))
        v = at.define(at.activation(axes), indices, value, "What the layers give is added.")
        return Signal(v, sources[0].together)


@dataclass(frozen=True)
class Residual(Layer):
    """v = x + f(x) for layers f in a row: `x + f(x)` in PyTorch. What f gives has the shape of what it reads."""

    layers: tuple[Any, ...]
    kind: ClassVar[str] = "residual"

    def __post_init__(self) -> None:
        """A list of layers is taken too; NetworkError for what is none, and where it is empty."""
        if isinstance(self.layers, str) or not isinstance(self.layers, Sequence) or not self.layers:
            raise NetworkError(f"Residual has the layers {shown(self.layers)!r}: give a list of them, at least one.")
        object.__setattr__(self, "layers", tuple(self.layers))

    def inner(self) -> tuple[Any, ...]:
        """f."""
        return self.layers

    def closing(self) -> Layer:
        """The sum."""
        return Add()


@dataclass(frozen=True)
class Concatenate(Layer):
    """What the named layers give side by side along the last axis, as `torch.cat(..., dim=-1)`."""

    kind: ClassVar[str] = "concatenate"
    sources: ClassVar[int] = 0

    def build(self, at: Building, *sources: Signal) -> Signal:
        """No parameters."""
        _alike(at, sources, but_last=True)
        lead = sources[0].axes[:-1]
        for other in sources[1:]:
            at.same(lead, other.axes[:-1])
        widths = [at.size(source.axes[-1]) for source in sources]
        own = at.units(sum(widths))
        i, t = Index(own, "i"), tuple(Index(axis, f"t{n}") for n, axis in enumerate(lead))
        parts: list[Expr] = []
        for number, source in enumerate(sources):
            j = Index(source.axes[-1], f"j{number}")
            places = (*(Index(axis, f"t{n}") for n, axis in enumerate(source.axes[:-1])), j)
            parts.append(total(j, mul(indicator(i, j + sum(widths[:number])), source.array[places])))
        v = at.activation((*lead, own))
        return Signal(at.define(v, (*t, i), add(*parts), "What the layers give stands side by side."))


@dataclass(frozen=True)
class Dropout(Layer):
    """v = M x/(1 - p) with a mask M of 0 and 1 that is given with the weights, and not trained.

    `torch.nn.Dropout` while training draws M anew at every step; with M = 1 - p everywhere this is what it does
    otherwise. The mask has the shape of what it reads.
    """

    p: object = 0.5
    kind: ClassVar[str] = "dropout"
    flattened: ClassVar[bool] = True

    def build(self, at: Building, *sources: Signal) -> Signal:
        """M, of the shape of what is read."""
        (source,) = sources
        share = ratio(self.p, f"p of {at.where}", 1)
        i = tuple(Index(axis, f"i{n}") for n, axis in enumerate(source.axes))
        mask = at.parameter("M", *source.axes, trained=False)
        value = mul(1 / (1 - share), mask[i], source.array[i])
        v = at.activation(source.axes)
        return Signal(at.define(v, i, value, "A mask takes units away; the others make up for them."), source.together)
