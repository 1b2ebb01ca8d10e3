"""Normalisation over the last axes: every position by itself, with its own mean and spread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

from fcsym.language.activation import smooth
from fcsym.language.expression import Apply, Array, Axis, Expr, Index, Role, add, mul, power, total
from fcsym.networks.layers.base import Building, Layer, Signal, ratio, share, whole

__all__ = ["LayerNorm", "RMSNorm"]


@dataclass
class _Place:
    """The axes that are normalised, and those in front of them."""

    at: Building
    source: Signal
    over: tuple[Index, ...]
    lead: tuple[Index, ...]

    @classmethod
    def of(cls, at: Building, source: Signal, shape: int | tuple[int, ...]) -> _Place:
        """The last axes of a signal, as long as `shape` says; NetworkError where they are not."""
        wanted = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        lengths = tuple(whole(one, f"normalized_shape of {at.where}") for one in wanted)
        given = at.shape(source)
        if not lengths or given[-len(lengths) :] != lengths:
            raise at.refuse(f"it normalises axes of shape {lengths} and is given {given}: make the last ones alike.")
        lead = len(given) - len(lengths)
        over = tuple(Index(axis, f"i{n}") for n, axis in enumerate(source.axes[lead:]))
        return cls(at, source, over, tuple(Index(axis, f"t{n}") for n, axis in enumerate(source.axes[:lead])))

    @property
    def every(self) -> tuple[Index, ...]:
        """The indices of what is read."""
        return (*self.lead, *self.over)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Those of what is read."""
        return self.source.axes

    def mean(self, value: Expr) -> Expr:
        """1/n sum of it."""
        return mul(share(prod(self.at.size(index.axis) for index in self.over)), total(self.over, value))

    def divided(self, above: Array, eps: object, affine: bool, bias: bool) -> Signal:
        """above / sqrt(mean above^2 + eps), times gamma and plus b."""
        at, lead, every = self.at, self.lead, self.every
        fronts = tuple(index.axis for index in lead)
        square = at.define(
            at.part("omega", fronts, Role.OTHER), lead,
            add(self.mean(power(above[every], 2)), ratio(eps, f"eps of {at.where}")), "The mean square, kept above 0.",
        )  # fmt: skip
        root = at.define(
            at.part("sigma", fronts, Role.DIVISOR), lead, Apply(smooth("sqrt"), square[lead]), "What is divided by."
        )
        quotient = mul(above[every], power(root[lead], -1))
        because = "Every position is divided by its own spread."
        if not affine:
            return Signal(at.define(at.activation(self.axes), every, quotient, because), self.source.together)
        inner = tuple(index.axis for index in self.over)
        normal = at.define(at.activation(self.axes, "xi"), every, quotient, because)
        value: Expr = mul(at.parameter("gamma", *inner)[self.over], normal[every])
        if bias:
            value = add(value, at.parameter("b", *inner)[self.over])
        v = at.activation(self.axes)
        return Signal(at.define(v, every, value, "A scale of its own for every unit."), self.source.together)


class _Normal(Layer):
    """What normalisations share."""

    normalized_shape: int | tuple[int, ...]
    eps: object
    measured: ClassVar[str] = "normalized_shape"

    def fitted(self, at: Building, *sources: Signal) -> Layer:
        """The same layer, with the lengths of its axes one by one and eps as the number that it is."""
        made: Any = super().fitted(at, *sources)
        lengths = made.normalized_shape
        lengths = tuple(lengths) if isinstance(lengths, tuple | list) else (lengths,)
        eps = ratio(self.eps, f"eps of {at.where}")
        return replace(made, normalized_shape=lengths, eps=eps)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class LayerNorm(_Normal):
    """v = gamma (x - mean)/sqrt(variance + eps) + b over the last axes, as `torch.nn.LayerNorm`.

    gamma is PyTorch's weight, and b its bias.
    """

    normalized_shape: int | tuple[int, ...]
    eps: object = "1e-5"
    elementwise_affine: bool = True
    bias: bool = True
    kind: ClassVar[str] = "layernorm"

    def build(self, at: Building, *sources: Signal) -> Signal:
        """gamma and b of normalized_shape."""
        (source,) = sources
        place = _Place.of(at, source, self.normalized_shape)
        mean = at.activation(tuple(index.axis for index in place.lead), "mu")
        at.define(mean, place.lead, place.mean(source.array[place.every]), "This is the mean.")
        value = add(source.array[place.every], mul(-1, mean[place.lead]))
        centred = at.define(at.activation(place.axes, "z"), place.every, value, "What is above or below the mean.")
        return place.divided(centred, self.eps, self.elementwise_affine, self.bias)


@dataclass(frozen=True)
class RMSNorm(_Normal):
    """v = gamma x/sqrt(mean of x^2 + eps) over the last axes, as `torch.nn.RMSNorm`; gamma is PyTorch's weight.

    eps is a number, 1e-6 by default; PyTorch's default, None, is the precision of the numbers.
    """

    normalized_shape: int | tuple[int, ...]
    eps: object = "1e-6"
    elementwise_affine: bool = True
    kind: ClassVar[str] = "rmsnorm"

    def build(self, at: Building, *sources: Signal) -> Signal:
        """gamma of normalized_shape."""
        (source,) = sources
        place = _Place.of(at, source, self.normalized_shape)
        return place.divided(source.array, self.eps, self.elementwise_affine, False)
