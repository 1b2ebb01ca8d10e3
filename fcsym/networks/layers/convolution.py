"""Convolutions and poolings: sums over taps, with an indicator for what each tap reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, ClassVar

from fcsym.language.activation import relu
from fcsym.language.expression import Apply, Axis, Expr, Index, IndexForm, Role, add, indicator, mul, total
from fcsym.networks.layers.base import Building, Layer, Signal, pair, share, whole
from fcsym.networks.symbols import gate_of

__all__ = ["AvgPool1d", "AvgPool2d", "Conv1d", "Conv2d", "MaxPool1d", "MaxPool2d"]

_PLACES = {1: (("T", "tu"),), 2: (("H", "rh"), ("X", "cw"))}
_TAPS = {1: (("K", "kl"),), 2: (("K", "kl"), ("L", "lq"))}
_SAID = {1: "channels and positions, (C, T)", 2: "channels, rows and columns, (C, H, W)"}


@dataclass(frozen=True, slots=True)
class _Window:
    """How windows lie along one direction."""

    size: int
    stride: int
    padding: int
    dilation: int = 1

    @property
    def reach(self) -> int:
        """How many places the window spans."""
        return self.dilation * (self.size - 1) + 1

    def count(self, length: int) -> int:
        """How many windows there are along an axis of that length."""
        return (length + 2 * self.padding - self.reach) // self.stride + 1

    def at(self, t: Index, k: Index | int) -> IndexForm:
        """The place that tap k of window t reads."""
        return self.stride * t + self.dilation * k - self.padding

    def before(self, k: int) -> bool:
        """Whether tap k of some window stands before the first place."""
        return self.dilation * k < self.padding

    def outside(self, k: int, length: int) -> bool:
        """Whether tap k of some window reads no place of an axis of that length."""
        last = self.stride * (self.count(length) - 1) + self.dilation * k - self.padding
        return self.before(k) or last >= length

    def empty(self, length: int) -> bool:
        """Whether some window reads no place of an axis of that length at all."""
        starts = range(-self.padding, self.stride * self.count(length) - self.padding, self.stride)
        taps = range(0, self.reach, self.dilation)
        return any(all(not 0 <= start + k < length for k in taps) for start in starts)


def _windows(
    at: Building, size: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
) -> list[_Window]:  # fmt: skip
    made = [_Window(*one) for one in zip(size, stride, padding, dilation, strict=True)]
    for one in made:
        if one.padding > one.size:
            raise at.refuse(
                f"the padding {one.padding} is larger than the kernel of {one.size}: give at most {one.size}."
            )
    return made


def _outputs(at: Building, windows: Sequence[_Window], places: Sequence[Axis]) -> tuple[Axis, ...]:
    """An axis for the windows of each direction."""
    made = []
    for one, axis, (letter, letters) in zip(windows, places, _PLACES[len(windows)], strict=True):
        length = at.size(axis) + 2 * one.padding
        if length < one.reach:
            raise at.refuse(
                f"its window spans {one.reach} places and the axis {axis.name} has {at.size(axis)}"
                f"{f', {length} with padding' if one.padding else ''}: give a smaller kernel, or more padding."
            )
        made.append(at.axis(letter, one.count(at.size(axis)), letters))
    return tuple(made)


def _read(source: Signal, lead: Sequence[Index], forms: Sequence[IndexForm], *times: Expr) -> Expr:
    """sum over places of [place = form] v[lead, place], times what else there is."""
    places = tuple(Index(axis, f"u{n}") for n, axis in enumerate(source.axes[len(lead) :]))
    marks = [indicator(u, form) for u, form in zip(places, forms, strict=True)]
    return total(places, mul(*times, *marks, source.array[(*lead, *places)]))


def _where(source: Signal, forms: Sequence[IndexForm], asked: Sequence[bool], value: Expr) -> Expr:
    """The value, and 0 where one of the forms that are asked for leaves its axis."""
    marked = [
        (Index(axis, f"w{n}"), form)
        for n, (axis, form, ask) in enumerate(zip(source.axes[1:], forms, asked, strict=True))
        if ask
    ]
    return total(tuple(w for w, _ in marked), mul(*(indicator(w, form) for w, form in marked), value))


_LENGTHS = ("kernel_size", "stride", "padding", "dilation")


class _Windowed(Layer):
    """What reads windows."""

    dimensions: ClassVar[int]

    def fitted(self, at: Building, *sources: Signal) -> Layer:
        """The same layer, with one number for two directions that are alike, and the stride that None stands for."""
        made: Any = super().fitted(at, *sources)
        if getattr(made, "stride", None) is None:
            made = replace(made, stride=made.kernel_size)
        said = {name: getattr(made, name) for name in _LENGTHS if isinstance(getattr(made, name, None), tuple | list)}
        alike = {
            name: value[0] if len(value) == 2 and value[0] == value[1] else tuple(value) for name, value in said.items()
        }
        return replace(made, **alike)  # type: ignore[no-any-return]


class _Conv(_Windowed):
    """What convolutions in one and two directions share."""

    measured: ClassVar[str] = "in_channels"
    measures: ClassVar[int] = 0
    in_channels: int
    out_channels: int
    groups: int
    bias: bool

    def _lengths(self, where: str) -> tuple[Sequence[int], ...]:
        raise NotImplementedError

    def build(self, at: Building, *sources: Signal) -> Signal:
        """W of shape (out_channels, in_channels/groups, taps), and b."""
        (source,) = sources
        at.needs(source, 1 + self.dimensions, _SAID[self.dimensions])
        channels, *places = source.axes
        at.fits(channels, self.in_channels, "channels")
        out, groups = (
            whole(self.out_channels, f"out_channels of {at.where}"),
            whole(self.groups, f"groups of {at.where}"),
        )
        if self.in_channels % groups or out % groups:
            raise at.refuse(f"{groups} groups do not divide {self.in_channels} and {out} channels: choose a divisor.")
        windows = _windows(at, *self._lengths(at.where))
        own = at.axis("C", out, "oce")
        taps = tuple(at.axis(a, one.size, b) for one, (a, b) in zip(windows, _TAPS[self.dimensions], strict=True))
        made = _outputs(at, windows, places)
        o, t = Index(own, "o"), tuple(Index(axis, f"t{n}") for n, axis in enumerate(made))
        k = tuple(Index(axis, f"k{n}") for n, axis in enumerate(taps))
        u = tuple(Index(axis, f"u{n}") for n, axis in enumerate(places))
        c = Index(channels, "c")
        marks = [indicator(place, one.at(a, b)) for place, one, a, b in zip(u, windows, t, k, strict=True)]
        if groups == 1:
            weight = at.parameter("W", own, channels, *taps)
            value = total((c, *k, *u), mul(weight[(o, c, *k)], *marks, source.array[(c, *u)]))
        else:  # channel c of group g is the h-th of it: o = g (out/groups) + m, c = g (in/groups) + h
            each, per = self.in_channels // groups, out // groups
            inner = at.axis("D", each, "hd")
            group, member = at.axis("G", groups, "g"), at.axis("M", per, "m")
            g, m, h = Index(group, "g"), Index(member, "m"), Index(inner, "h")
            weight = at.parameter("W", own, inner, *taps)
            marks += [indicator(o, per * g + m), indicator(c, each * g + h)]
            value = total((g, m, h, c, *k, *u), mul(weight[(o, h, *k)], *marks, source.array[(c, *u)]))
        if self.bias:
            value = value + at.parameter("b", own)[o]
        s = at.pre_activation((own, *made))
        at.define(s, (o, *t), value, f"Layer {at.n} is a convolution: every window meets the same weights.")
        return Signal(s)


@dataclass(frozen=True)
class Conv1d(_Conv):
    """s_ot = sum_ck W_ock v_c,(stride t + dilation k - padding) + b_o, as `torch.nn.Conv1d`; reads (C, T)."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    kind: ClassVar[str] = "conv1d"
    reads: ClassVar[tuple[str, ...]] = ("C", "T")
    dimensions: ClassVar[int] = 1

    def _lengths(self, where: str) -> tuple[Sequence[int], ...]:
        return (
            (whole(self.kernel_size, f"kernel_size of {where}"),), (whole(self.stride, f"stride of {where}"),),
            (whole(self.padding, f"padding of {where}", 0),), (whole(self.dilation, f"dilation of {where}"),),
        )  # fmt: skip


@dataclass(frozen=True)
class Conv2d(_Conv):
    """The same in two directions, as `torch.nn.Conv2d`; reads (C, H, W). A number stands for both directions."""

    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    kind: ClassVar[str] = "conv2d"
    reads: ClassVar[tuple[str, ...]] = ("C", "H", "X")
    dimensions: ClassVar[int] = 2

    def _lengths(self, where: str) -> tuple[Sequence[int], ...]:
        return (
            pair(self.kernel_size, f"kernel_size of {where}"), pair(self.stride, f"stride of {where}"),
            pair(self.padding, f"padding of {where}", 0), pair(self.dilation, f"dilation of {where}"),
        )  # fmt: skip


class _Pool(_Windowed):
    """What poolings share."""

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None
    padding: int | tuple[int, int]

    def _laid(self, at: Building, source: Signal) -> tuple[list[_Window], tuple[Axis, ...]]:
        at.needs(source, 1 + self.dimensions, _SAID[self.dimensions])
        count = self.dimensions
        size = pair(self.kernel_size, f"kernel_size of {at.where}")[:count]
        stride = size if self.stride is None else pair(self.stride, f"stride of {at.where}")[:count]
        padding = pair(self.padding, f"padding of {at.where}", 0)[:count]
        dilation = pair(getattr(self, "dilation", 1), f"dilation of {at.where}")[:count]
        for length, extra in zip(size, padding, strict=True):
            if extra > length // 2:
                raise at.refuse(f"the padding {extra} is more than half of the window of {length}: give at most half.")
        windows = _windows(at, size, stride, padding, dilation)
        return windows, _outputs(at, windows, source.axes[1:])


class _Average(_Pool):
    def build(self, at: Building, *sources: Signal) -> Signal:
        """The mean over every window; what padding adds is 0 and counts, as in PyTorch."""
        (source,) = sources
        windows, made = self._laid(at, source)
        taps = tuple(at.axis(a, one.size, b) for one, (a, b) in zip(windows, _TAPS[self.dimensions], strict=True))
        c, t = Index(source.axes[0], "c"), tuple(Index(axis, f"t{n}") for n, axis in enumerate(made))
        k = tuple(Index(axis, f"k{n}") for n, axis in enumerate(taps))
        u = tuple(Index(axis, f"u{n}") for n, axis in enumerate(source.axes[1:]))
        marks = [indicator(place, one.at(a, b)) for place, one, a, b in zip(u, windows, t, k, strict=True)]
        value = mul(share(prod(one.size for one in windows)), total((*k, *u), mul(*marks, source.array[(c, *u)])))
        v = at.activation((source.axes[0], *made))
        return Signal(at.define(v, (c, *t), value, f"Layer {at.n} takes the mean over every window."))


class _Greatest(_Pool):
    def build(self, at: Building, *sources: Signal) -> Signal:
        """The greatest over every window, tap by tap: m' = (1 - g) m + g z, with the gate g = 1 where z > m.

        Of equal values the first one is taken, and what padding adds is never taken, as in PyTorch.
        """
        (source,) = sources
        windows, made = self._laid(at, source)
        lengths = [at.size(axis) for axis in source.axes[1:]]
        for one, axis, length in zip(windows, source.axes[1:], lengths, strict=True):
            if one.padding and one.empty(length):
                raise at.refuse(
                    f"one of its windows lies outside of the axis {axis.name} of {length}, where nothing is greatest: "
                    "give a smaller dilation, or less padding."
                )
        c, t = Index(source.axes[0], "c"), tuple(Index(axis, f"t{n}") for n, axis in enumerate(made))
        axes, places = (source.axes[0], *made), (c, *t)
        _, *taps = product(*(range(one.size) for one in windows))
        padded = any(one.before(0) for one in windows)
        because = f"Layer {at.n} takes the greatest of every window."
        if not taps:
            best = at.define(at.activation(axes), places, self._first(source, windows, c, t), because)
            return Signal(best)
        best = at.define(
            at.activation(axes, "m", 1), places, self._first(source, windows, c, t),
            "The first place of the window" + (" that is none of padding's." if padded else "."),
        )  # fmt: skip
        for number, tap in enumerate(taps, 2):
            forms = [one.at(a, b) for one, a, b in zip(windows, t, tap, strict=True)]
            z = _read(source, (c,), forms)
            outside = [one.outside(k, length) for one, k, length in zip(windows, tap, lengths, strict=True)]
            d = at.define(
                at.part("z", axes, Role.OTHER, number), places, z - _where(source, forms, outside, best[places]),
                "How far the next place is above the greatest" + ("; 0 where padding stands." if any(outside) else "."),
            )  # fmt: skip
            gate = at.define(
                gate_of(d), places, Apply(relu(), d[places], derivative=1),
                "1 where it is greater, and 0 where it is not: of equal ones the first is taken.",
            )[places]  # fmt: skip
            value = mul(1 - gate, best[places]) + mul(gate, z)
            if tap == taps[-1]:
                return Signal(at.define(at.activation(axes), places, value, because))
            best = at.define(at.activation(axes, "m", number), places, value, "The greatest so far.")
        raise AssertionError("a window has a place")

    def _first(self, source: Signal, windows: Sequence[_Window], c: Index, t: Sequence[Index]) -> Expr:
        """What the first tap of a window reads that stands on a place.

        Along one direction that is sum_k (1 - [tap k - 1 stands on a place]) z_k, since what a tap reads beside every
        place is 0, and since those that stand on places follow on each other.
        """
        taps = [[k for k in range(one.size) if k == 0 or one.before(k - 1)] for one in windows]
        terms = []
        for tap in product(*taps):
            unread = [
                1 - total(w, indicator(w, one.at(a, k - 1)))
                for n, (one, a, k, axis) in enumerate(zip(windows, t, tap, source.axes[1:], strict=True))
                if k
                for w in (Index(axis, f"w{n}"),)
            ]
            forms = [one.at(a, k) for one, a, k in zip(windows, t, tap, strict=True)]
            terms.append(_read(source, (c,), forms, *unread))
        return add(*terms)


@dataclass(frozen=True)
class AvgPool1d(_Average):
    """The mean over windows, as `torch.nn.AvgPool1d`; reads (C, T)."""

    kernel_size: int
    stride: int | None = None
    padding: int = 0
    kind: ClassVar[str] = "avgpool1d"
    reads: ClassVar[tuple[str, ...]] = ("C", "T")
    dimensions: ClassVar[int] = 1


@dataclass(frozen=True)
class AvgPool2d(_Average):
    """The mean over windows, as `torch.nn.AvgPool2d`; reads (C, H, W)."""

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    kind: ClassVar[str] = "avgpool2d"
    reads: ClassVar[tuple[str, ...]] = ("C", "H", "X")
    dimensions: ClassVar[int] = 2


@dataclass(frozen=True)
class MaxPool1d(_Greatest):
    """The greatest over windows, as `torch.nn.MaxPool1d`; reads (C, T)."""

    kernel_size: int
    stride: int | None = None
    padding: int = 0
    dilation: int = 1
    kind: ClassVar[str] = "maxpool1d"
    reads: ClassVar[tuple[str, ...]] = ("C", "T")
    dimensions: ClassVar[int] = 1


@dataclass(frozen=True)
class MaxPool2d(_Greatest):
    """The greatest over windows, as `torch.nn.MaxPool2d`; reads (C, H, W)."""

    kernel_size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    kind: ClassVar[str] = "maxpool2d"
    reads: ClassVar[tuple[str, ...]] = ("C", "H", "X")
    dimensions: ClassVar[int] = 2
