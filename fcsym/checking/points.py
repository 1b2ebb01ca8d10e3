"""The points at which kernels are checked: networks, inputs, targets and step sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from fcsym.checking.functions import phi_of
from fcsym.checking.layer_step import passed_through
from fcsym.errors import ArgumentError, SizeError
from fcsym.language.activation import Activation
from fcsym.language.expression import Add, Array, Expr, Mul, Number, Ref, Role, applied_in, indices_in
from fcsym.networks.losses import loss_equations, needs_of
from fcsym.networks.network import Network
from fcsym.networks.symbols import moment

__all__ = [
    "EXACT", "MAX_NUMBERS", "NEAR", "Points", "activate", "draws", "in_the_loss", "lattice", "near_kink",
    "on_one_sample", "pre_activations", "random_points", "remembered", "together",
]  # fmt: skip

_Array = npt.NDArray[Any]
MAX_NUMBERS = 4_000_000  # weights in one batch of points; a larger check runs in several


class Points(NamedTuple):
    """Networks, inputs, targets and step sizes, with one leading axis; and what the update rule carries."""

    weights: list[_Array]
    x: _Array
    target: _Array
    eta: _Array
    memory: list[_Array] | None = None  # None: as before the first step

    @classmethod
    def of(cls, weights: list[_Array], x: _Array, target: _Array, eta: Any, memory: list[_Array]) -> Points:
        """One point."""
        return cls([w[None] for w in weights], x[None], target[None], np.asarray(eta)[None], [m[None] for m in memory])

    def step(self, kernel: Any) -> dict[str, _Array]:
        """Every quantity of a step from here, by name."""
        made = kernel.step(self.weights, self.x, self.target, self.eta, undefined="nan", memory=self.memory)
        result: dict[str, _Array] = made._asdict()
        return result

    def chosen(self, which: Any) -> Points:
        """Some of them, by their numbers or a mask."""
        memory = None if self.memory is None else [array[which] for array in self.memory]
        weights = [weight[which] for weight in self.weights]
        return Points(weights, self.x[which], self.target[which], self.eta[which], memory)

    def in_batches(self, count: int) -> Points:
        """Each network with a mini-batch of so many samples: its own and those of the networks beside it."""

        def together(array: _Array) -> _Array:
            return np.stack([np.roll(array, n, axis=0) for n in range(count)], axis=1)

        return self._replace(x=together(self.x), target=together(self.target))

    def astype(self, dtype: Any) -> Points:
        """The same in a precision."""
        memory = None if self.memory is None else [array.astype(dtype) for array in self.memory]
        weights = [weight.astype(dtype) for weight in self.weights]
        return Points(weights, self.x.astype(dtype), self.target.astype(dtype), self.eta.astype(dtype), memory)


def remembered(network: Network, rng: np.random.Generator, count: int) -> list[_Array] | None:
    """What an update rule may carry after some steps: squares above 0, powers of a number below 1."""
    if not network.memory:
        return None
    found: list[_Array] = []
    for array in network.memory:
        values: _Array = 0.3 * rng.normal(size=(count, *network.shape(array)))
        if not array.axes:
            values = 1 - 0.9 ** rng.integers(1, 20, size=count)
        found.append(values**2 if array.axes and array == moment(cast("Array", array.of), 2) else values)
    return found


def lattice(network: Network, rng: np.random.Generator, count: int) -> Points:
    """Small integers, sparse: sums and products are exact, and s = 0 and s' = 0 come up often."""
    weights, read = [], network.feeding(1) if network.built is None else network.parameters[:1]
    for array in network.parameters:
        shape = network.shape(array)
        deep = len(network.layers) > 3  # in sequential order a step grows like the square of the layer above
        density = min(0.75, (1.5 if deep else 3) / math.prod(shape[1:])) if len(shape) > 1 else 0.5
        values = rng.choice([-1.0, 1.0, 1.0, 1.0 if deep else 2.0], size=(count, *shape))
        values = values * (rng.random((count, *shape)) < density)
        if array in read:
            values[1::4] /= 2  # halves, for kinks and zeros that are no integers
        weights.append(values)
    x = rng.choice([-1.0, 0.0, 1.0, 1.0], size=(count, *network.shape(network.input)))
    first = x.reshape(count, -1)[:, 0]
    first[...] = np.where((x == 0).reshape(count, -1).all(axis=1), 1.0, first)
    eta = rng.choice([0.5, 1.0], size=count)
    points = Points(weights, x, np.zeros((count, *network.shape(network.target))), eta)
    error = rng.choice([-1.0, 0.0, 1.0, 2.0], size=points.target.shape)
    return points._replace(target=_wanted(network, points, error))


def _wanted(network: Network, points: Points, error: _Array) -> _Array:
    """Targets so far from the outputs; where the loss takes probabilities alone, exact ones: 0 and 1, one 1 of all."""
    needs = needs_of(network.loss)
    if needs == "distribution":
        return np.asarray(np.eye(error.shape[-1])[error.argmax(axis=-1)])
    return np.clip(error, 0.0, 1.0) if needs else _outputs(network, points) - error


def at_rest(network: Network, rng: np.random.Generator, count: int) -> Points:
    """The same with some parameters at 0, all of each: what they feed is at 0 exactly, and what they pass is none."""
    points = lattice(network, rng, count)
    weights = [weight * (rng.random((count, *(1,) * (weight.ndim - 1))) < 0.5) for weight in points.weights]
    target = points.target * (rng.random((count, *(1,) * (points.target.ndim - 1))) < 0.5)
    return points._replace(weights=weights, target=target)


def small(network: Network, rng: np.random.Generator, count: int) -> Points:
    """Ordinary networks with small weights, of which units are near 0 and are brought to its other side."""
    points = random_points(network, rng, count)
    return points._replace(weights=[weight * 10 ** rng.uniform(-3, 0) for weight in points.weights])


def _outputs(network: Network, points: Points) -> _Array:
    """y, but for a softmax."""
    if network.built is None:
        return activate(network, len(network.layers) - 1, pre_activations(network, points)[-1])
    _, logits, _ = passed_through(network, points.weights, points.weights, points.x[:, None])
    return activate(network, len(network.layers) - 1, np.asarray(logits[:, 0]))


def pre_activations(network: Network, points: Points) -> list[_Array]:
    """s of every layer."""
    result, v, given = [], points.x, iter(points.weights)
    for n, layer in enumerate(network.layers):
        s = np.matvec(next(given), v)
        s = s + _for_units(next(given), s) if layer.bias else s
        result.append(s)
        v = activate(network, n, s)
    return result


RANDOM, EXACT, NEAR = "random points", "exact points", "points near kinks"


def draws(network: Network, rng: np.random.Generator, trials: int, eps: float) -> Iterator[tuple[str, Points]]:
    """Batches of points of every kind."""
    size = _numbers_at_once(network)
    if size > 10 * MAX_NUMBERS:
        raise SizeError(
            f"A check of {network} needs {size:.2g} numbers for a single point, more than {10 * MAX_NUMBERS}: "
            "check a narrower network, the equations are the same."
        )
    most = max(1, MAX_NUMBERS // size)

    def batches(count: int) -> Iterator[int]:
        while count > 0:
            yield min(count, most)
            count -= most

    for count in batches(trials):
        yield RANDOM, random_points(network, rng, count)
    for count in batches(max(trials // 2, 16)):
        yield EXACT, lattice(network, rng, count)
    if network.built is not None:
        for count in batches(max(trials // 4, 16)):
            yield EXACT, at_rest(network, rng, count)
            yield RANDOM, small(network, rng, count)
    hidden = len(network.activated) if network.built is None else 0
    if hidden:
        share = max(trials // (4 * hidden), 16)
        for count in batches(share):
            parts = [near_kink(network, rng, count, layer, eps) for layer in range(hidden)]
            for start in range(0, hidden, max(1, most // count)):
                yield NEAR, together(parts[start : start + max(1, most // count)])


def _numbers_at_once(network: Network) -> int:
    """How many numbers a point needs: its weights; of networks of layers all terms of their widest sum, if more."""
    size = sum(math.prod(network.shape(array)) for array in network.parameters)
    if network.built is None:
        return size
    sides = [side for equation in network.built.equations for side in equation.expressions]
    terms = [term for side in sides for term in (side.terms if isinstance(side, Add) else (side,))]
    spaces = [{*indices_in(term)} for term in terms]
    return max(size, *(4 * math.prod(network.sizes[index.axis] for index in space) for space in spaces))


def together(parts: Sequence[Points]) -> Points:
    """Several batches as one."""
    weights = [np.concatenate(arrays) for arrays in zip(*(part.weights for part in parts), strict=True)]
    like = next((part.memory for part in parts if part.memory is not None), None)
    carried = None
    if like is not None:  # what has none is before its first step, when everything carried is 0
        starts = [part.memory or [np.zeros((len(part.x), *a.shape[1:]), a.dtype) for a in like] for part in parts]
        carried = [np.concatenate(arrays) for arrays in zip(*starts, strict=True)]
    x, target, eta = (np.concatenate(arrays) for arrays in zip(*(part[1:4] for part in parts), strict=True))
    return Points(weights, x, target, eta, carried)


def random_points(network: Network, rng: np.random.Generator, count: int) -> Points:
    """Ordinary networks, one input in eight with a zero entry, eta from 0.001 to 1."""
    weights = []
    for array in network.parameters:
        shape = network.shape(array)
        scale = 1 / np.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.5
        weights.append(rng.normal(size=(count, *shape)) * scale)
    given, wanted = ((count, *network.shape(array)) for array in (network.input, network.target))
    x = rng.normal(size=given) * (rng.random(given) > 0.125)
    target, eta = rng.normal(size=wanted), 10 ** rng.uniform(-3, 0, size=count)
    return Points(weights, x, target, eta, remembered(network, rng, count))


def near_kink(network: Network, rng: np.random.Generator, count: int, layer: int, eps: float) -> Points:
    """Random networks in which one unit of a hidden layer is near a kink, down to where rounding would decide its gate.

    In every other network the weights of the other layers are positive: there the error reaches deep layers, and units
    wake up that in a random network would rarely do.
    """
    points = random_points(network, rng, count)
    for array, weight in zip(network.parameters, points.weights, strict=True):
        if array not in network.feeding(layer + 1):
            weight[::2] = np.abs(weight[::2])
    unit = rng.integers(network.widths[layer + 1], size=count)
    position = network.parameters.index(network.feeding(layer + 1)[0])
    s = pre_activations(network, points)[layer]
    source = points.x if layer == 0 else activate(network, layer - 1, pre_activations(network, points)[layer - 1])
    norm = np.sum(source**2, axis=-1)
    kinks = [float(kink) for kink in network.layers[layer].activation.kinks] or [0.0]
    near = 10 ** rng.uniform(np.log10(eps) + 3.5, -2, size=count) * rng.choice([-1.0, 1.0], size=count)
    corner = rng.choice(kinks, size=count)
    wanted = corner + near * np.maximum(np.abs(corner), 1)
    rows = np.arange(count)
    shift = np.where(norm > 1e-6, (wanted - s[rows, unit]) / np.where(norm > 1e-6, norm, 1), 0)
    points.weights[position][rows, unit] += shift[:, None] * source
    return points


def _for_units(bias: _Array, s: _Array) -> _Array:
    """A bias beside pre-activations, one that all units share beside each of them."""
    return bias if bias.ndim == s.ndim else bias[..., None]


# ------------------------------------------------------------------------------------------------ comparison


def activate(network: Network, layer: int, s: _Array) -> _Array:
    """v of a hidden layer, from 0, at its pre-activations."""
    phi = network.layers[layer].activation
    if phi.is_smooth:
        return phi_of(phi, s)
    result = float(phi.pieces[0].slope) * s + float(phi.pieces[0].intercept)
    for kink, piece in zip(phi.kinks, phi.pieces[1:], strict=True):
        result = np.where(s > float(kink), float(piece.slope) * s + float(piece.intercept), result)
    return result


def on_one_sample(network: Network) -> Network:
    """The network on one sample, for which points are made, also where it trains in mini-batches."""
    return replace(network, batch="", samples=0) if network.batch else network


def in_the_loss(network: Network) -> list[tuple[Activation, Array, Callable[[_Array, _Array], _Array]]]:
    """The piecewise functions in the loss, each with what it reads: the array, and a function of y and the target."""
    one = on_one_sample(network)  # a loss is written for one
    outputs = one.outputs.at_one(len(one.positions))
    equations = {e.array: e for e in loss_equations(network.loss, outputs)}
    nodes = [node for e in equations.values() for side in e.expressions for node in applied_in(side)]
    found = dict.fromkeys((f.activation, f.argument.array) for f in nodes if isinstance(f.argument, Ref))

    def reading(array: Array) -> Callable[[_Array, _Array], _Array]:
        def value(node: Expr, y: _Array, target: _Array) -> Any:
            match node:
                case Number(number):
                    return float(number)
                case Ref(of):
                    return y if of == outputs.y else target
                case Add(parts):
                    return sum(value(part, y, target) for part in parts)
                case Mul(parts):
                    return math.prod(value(part, y, target) for part in parts)
            raise ArgumentError(f"{node!r} is no term of a loss that a check can read.")

        return lambda y, target: value(equations[array].expressions[0], y, target)

    return [(phi, array, reading(array)) for phi, array in found if phi.kinks and array.role is Role.TERM]
