"""What each kind of layer computes, written for autograd from the manuals of `torch.nn`, one entry for each kind.

It knows layers as data, and nothing of their forward equations. Arrays have an axis of points and one of samples in
front; what a layer passes on has the shape that PyTorch's layer of that name gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import prod
from typing import Any, NamedTuple

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive

from fcsym.checking.functions import exactly, phi
from fcsym.errors import NetworkError
from fcsym.language.activation import Activation, activation
from fcsym.language.spelling import exact
from fcsym.networks.graph import INPUT, in_order

__all__ = ["ORACLES", "Passing", "Weight", "forward", "held"]


class Weight(NamedTuple):
    """A parameter, and what the backward pass sees in its place: in sequential order the updated one."""

    value: Any
    seen: Any


@primitive  # type: ignore[untyped-decorator]
def held(value: Any) -> Any:
    """A value that nothing is differentiated by."""
    return value


defvjp(held, lambda _, value: lambda g: anp.zeros_like(value))


@dataclass
class Passing:
    """A forward pass: the parameters that are still to come, in the order of the network, and what was seen so far."""

    weights: list[Weight]
    applied: list[tuple[Activation, Any, Any]] = field(default_factory=list)  # (phi, s, v) of activations with kinks

    def take(self, *shape: int) -> Weight:
        """The next parameter, each point's with the shape that PyTorch gives it."""
        made = self.weights.pop(0)
        return Weight(*(array.reshape((array.shape[0], *shape)) for array in made))

    def times(self, into: str, weight: Weight, v: Any) -> Any:
        """A product that is linear in both. What reaches v comes through the parameter that is seen there."""
        value = anp.einsum(into, weight.value, v)
        if weight.seen is weight.value:
            return value
        return value + anp.einsum(into, held(weight.seen - weight.value), v - held(v))

    def apply(self, function: Activation, s: Any) -> Any:
        """phi(s)."""
        v = phi(function, s)
        if function.kinks:
            self.applied.append((function, s, v))
        return v


_Oracle = Callable[[Any, Passing, Sequence[Any]], Any]
_Gates = Callable[[Any, Passing, Sequence[Any], Sequence[Any], Any, Any], tuple[Any, Any]]


def _shift(bias: Weight, axes: int) -> Any:
    """A bias beside what has an axis of samples in front of its own, and `axes` between."""
    value = bias.value
    return value.reshape((value.shape[0], *(1,) * (axes + 1), *value.shape[1:]))


def _dense(at: Passing, weight: Weight, bias: Weight | None, v: Any) -> Any:
    """v W^T + b on the last axis."""
    made = at.times("poi,pn...i->pn...o", weight, v)
    return made if bias is None else made + _shift(bias, made.ndim - 3)


def _linear(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    weight = at.take(layer.out_features, layer.in_features)
    return _dense(at, weight, at.take(layer.out_features) if layer.bias else None, v)


def _activation(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    return at.apply(activation(layer.function), sources[0])


def _flatten(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    return v.reshape((*v.shape[:2], prod(v.shape[2:])))


# -------------------------------------------------------------------------------------------------- windows


def _lengths(value: Any, directions: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * directions


def _taps(v: Any, size: Any, stride: Any, padding: Any, dilation: Any) -> list[Any]:
    """What each tap of the windows reads, in row order: arrays (points, samples, channels, windows)."""
    count = v.ndim - 3
    size, stride, padding, dilation = (_lengths(one, count) for one in (size, stride, padding, dilation))
    v = anp.pad(v, [(0, 0)] * 3 + [(extra, extra) for extra in padding], "constant") if any(padding) else v
    windows = [
        (length - gap * (taps - 1) - 1) // step + 1
        for length, taps, step, gap in zip(v.shape[3:], size, stride, dilation, strict=True)
    ]
    found = []
    for tap in product(*map(range, size)):
        places = tuple(
            slice(gap * k, gap * k + step * (many - 1) + 1, step)
            for k, step, gap, many in zip(tap, stride, dilation, windows, strict=True)
        )
        found.append(v[(slice(None), slice(None), slice(None), *places)])
    return found


def _convolution(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    count, groups = v.ndim - 3, layer.groups
    size = _lengths(layer.kernel_size, count)
    inner, outer = layer.in_channels // groups, layer.out_channels // groups
    weight = at.take(groups, outer, inner, prod(size))
    patches = anp.stack(_taps(v, size, layer.stride, layer.padding, layer.dilation), axis=3)
    patches = patches.reshape((*patches.shape[:2], groups, inner, *patches.shape[3:]))
    made = at.times("pgock,pngck...->pngo...", weight, patches)
    made = made.reshape((*made.shape[:2], layer.out_channels, *made.shape[4:]))
    if not layer.bias:
        return made
    bias = at.take(layer.out_channels).value
    return made + bias.reshape((bias.shape[0], 1, layer.out_channels, *(1,) * count))


def _average(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    taps = _taps(v, layer.kernel_size, layer.stride or layer.kernel_size, layer.padding, 1)
    return sum(taps[1:], taps[0]) / len(taps)


def _greatest(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    window = layer.kernel_size, layer.stride or layer.kernel_size, layer.padding, layer.dilation
    stands = _taps(np.ones(v.shape), *window)
    best, *others = (anp.where(on > 0, tap, -np.inf) for on, tap in zip(stands, _taps(v, *window), strict=True))
    for other in others:  # of equal ones the first
        best = anp.where(other > best, other, best)
    return best


# ---------------------------------------------------------------------------------------------- recurrences


def _recurrence(gates: int, step: _Gates, layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    """A recurrence: h before the first step is 0, and so is the cell. The gates' parameters come one after the other.

    `step`: the layer, what of the input and of h each gate reads, h and the cell => both after the step.
    """
    (x,) = sources
    hidden = layer.hidden_size
    read = [at.take(hidden, layer.input_size) for _ in range(gates)]
    kept = [at.take(hidden, hidden) for _ in range(gates)]
    shifts = [[at.take(hidden) if layer.bias else None for _ in range(gates)] for _ in range(2)]
    h = cell = np.zeros((*x.shape[:2], hidden), x.dtype)
    given = []
    for t in range(x.shape[2]):
        own = [_dense(at, w, b, x[:, :, t]) for w, b in zip(read, shifts[0], strict=True)]
        back = [_dense(at, w, b, h) for w, b in zip(kept, shifts[1], strict=True)]
        h, cell = step(layer, at, own, back, h, cell)
        given.append(h)
    return given[-1] if layer.last else anp.stack(given, axis=2)


def _sigmoid(s: Any) -> Any:
    return phi(activation("sigmoid"), s)


def _elman(layer: Any, at: Passing, own: Sequence[Any], back: Sequence[Any], h: Any, cell: Any) -> tuple[Any, Any]:
    return at.apply(activation(layer.nonlinearity), own[0] + back[0]), cell


def _lstm(layer: Any, at: Passing, own: Sequence[Any], back: Sequence[Any], h: Any, cell: Any) -> tuple[Any, Any]:
    i, f, g, o = (a + b for a, b in zip(own, back, strict=True))
    cell = _sigmoid(f) * cell + _sigmoid(i) * anp.tanh(g)
    return _sigmoid(o) * anp.tanh(cell), cell


def _gru(layer: Any, at: Passing, own: Sequence[Any], back: Sequence[Any], h: Any, cell: Any) -> tuple[Any, Any]:
    r, z = (_sigmoid(a + b) for a, b in zip(own[:2], back[:2], strict=True))
    n = anp.tanh(own[2] + r * back[2])
    return (1 - z) * n + z * h, cell


# ------------------------------------------------------------------------- attention, normalisation, joining


def _attention(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    width, heads = layer.embed_dim, layer.num_heads
    points, samples, steps, _ = v.shape
    made = []
    for _ in range(3):
        weight = at.take(width, width)
        whole = _dense(at, weight, at.take(width) if layer.bias else None, v)
        made.append(whole.reshape((points, samples, steps, heads, width // heads)))
    scores = anp.einsum("pntad,pnmad->pnatm", *made[:2]) / np.sqrt(np.longdouble(width // heads))
    if layer.causal:
        scores = anp.where(np.tri(steps, dtype=bool), scores, -np.inf)
    top = np.max(getattr(scores, "_value", scores), axis=-1, keepdims=True)
    powers = anp.exp(scores - top)
    shares = powers / anp.sum(powers, axis=-1, keepdims=True)
    read = anp.einsum("pnatm,pnmad->pntad", shares, made[2]).reshape((points, samples, steps, width))
    weight = at.take(width, width)
    return _dense(at, weight, at.take(width) if layer.bias else None, read)


def _normalised(layer: Any, at: Passing, v: Any, centred: bool) -> Any:
    """Over the last axes, as many numbers as the layer says, with the variance of all of them."""
    count = prod(_lengths(layer.normalized_shape, 1))
    rows = v.reshape((*v.shape[:2], -1, count))
    if centred:
        rows = rows - anp.mean(rows, axis=-1, keepdims=True)
    made = rows / anp.sqrt(anp.mean(rows**2, axis=-1, keepdims=True) + exactly(exact(layer.eps, "eps")))
    if layer.elementwise_affine:
        made = at.times("pi,pnti->pnti", at.take(count), made)
        if centred and layer.bias:
            made = made + _shift(at.take(count), 1)
    return made.reshape(v.shape)


def _joined(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    return anp.concatenate(list(sources), axis=-1)


def _dropout(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (v,) = sources
    return at.times("p...,pn...->pn...", at.take(*v.shape[2:]), v) / exactly(1 - exact(layer.p, "p"))


def _embedding(layer: Any, at: Passing, sources: Sequence[Any]) -> Any:
    (tokens,) = sources  # 1 at the place of each token
    return at.times("pki,pn...k->pn...i", at.take(layer.num_embeddings, layer.embedding_dim), tokens)


ORACLES: dict[str, _Oracle] = {
    "linear": _linear,
    "activation": _activation,
    "flatten": _flatten,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "avgpool1d": _average,
    "avgpool2d": _average,
    "maxpool1d": _greatest,
    "maxpool2d": _greatest,
    "rnn": partial(_recurrence, 1, _elman),
    "lstm": partial(_recurrence, 4, _lstm),
    "gru": partial(_recurrence, 3, _gru),
    "attention": _attention,
    "layernorm": lambda layer, at, sources: _normalised(layer, at, sources[0], True),
    "rmsnorm": lambda layer, at, sources: _normalised(layer, at, sources[0], False),
    "embedding": _embedding,
    "add": lambda layer, at, sources: sum(sources[1:], sources[0]),
    "concatenate": _joined,
    "dropout": _dropout,
}
"""Layer kinds: the layer, the pass that it is in, and what it reads => what it passes on."""


def forward(nodes: Sequence[Any], at: Passing, x: Any) -> tuple[Any, Any]:
    """What the read-out reads, and what it gives; `nodes`: layers in their places, each after what it reads."""
    passed = {INPUT: x}
    for node in in_order(nodes):
        if node.layer.kind not in ORACLES:
            raise NetworkError(f"Nothing independent is written for {node.layer.kind}: enter it in ORACLES.")
        passed[node.name] = ORACLES[node.layer.kind](node.layer, at, [passed[name] for name in node.of])
    read = {name for node in nodes for name in node.of}
    last = next(node for node in nodes if node.name not in read)
    return passed[last.of[0]], passed[last.name]
