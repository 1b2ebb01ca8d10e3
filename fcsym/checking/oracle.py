"""The independent oracle: one step of backpropagation by automatic differentiation (HIPS autograd), in either order.

It knows networks and nothing of derivations. Everything is computed in extended precision, so that what a comparison
shows is the kernel's rounding and not the oracle's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import autograd.numpy as anp
import numpy as np
import numpy.typing as npt
from autograd import grad

from fcsym.checking.compensated import common_p, own_p
from fcsym.checking.functions import phi, slope_of
from fcsym.checking.layer_step import derivatives_of_layers, step_of_layers, taken, twice_differentiable
from fcsym.checking.losses import in_all_digits, loss_of_logits, softmax
from fcsym.checking.optimiser import Optimiser
from fcsym.networks.network import Network

__all__ = ["backpropagation", "derivatives", "second_derivatives"]

_Array = npt.NDArray[Any]


def _applied(network: Network, matrix: Any, v: Any) -> Any:
    """W v, for every sample of a mini-batch."""
    return anp.einsum("...ij,...j->...i", matrix[..., None, :, :] if network.batch else matrix, v)


def _forward(network: Network, parameters: Sequence[Any], x: Any) -> list[Any]:
    """[s1, v1, s2, v2, ..., y], or with an output activation [..., s_L, y]."""
    result, v = [], x
    for n, layer in enumerate(network.layers):
        s = _applied(network, parameters[2 * n], v) + parameters[2 * n + 1]
        result.append(s)
        if n + 1 < len(network.layers) or not layer.activation.is_identity:
            v = phi(layer.activation, s)
            result.append(v)
    return result


def _slopes(network: Network, values: Sequence[Any]) -> list[Any]:
    """phi'(s) of each layer with an activation, by autograd, one element at a time."""
    layers = network.layers if not network.layers[-1].activation.is_identity else network.layers[:-1]
    return [slope_of(layer.activation, values[2 * n]) for n, layer in enumerate(layers)]


def backpropagation(
    network: Network, order: str, weights: Sequence[_Array], x: _Array, target: _Array, eta: _Array,
    memory: Mapping[str, _Array] | None = None,
) -> dict[str, _Array]:  # fmt: skip
    """One step of training => every quantity before and after, by the names that derivations use.

    Arguments as for `Kernel.step`, all with the same leading axes; `memory` by name. In sequential order a layer's
    gradient is taken with upper weights already updated, and with old activations, gates and output error.
    """
    if network.built is not None:
        return step_of_layers(network, order, weights, x, target, eta, memory)
    lead = x.shape[:-2] if network.batch else x.shape[:-1]
    wide = np.longdouble
    parameters: list[_Array] = []
    biases: list[_Array] = []
    given = iter(weights)
    for layer in network.layers:
        parameters.append(next(given).astype(wide))
        # a bias that the network lacks is held at 0: its gradient is the adjoint of the pre-activation
        biases.append(next(given).astype(wide) if layer.bias else np.zeros((*lead, layer.width), wide))
        parameters.append(_each(network, _for_units(biases[-1], lead, layer.width), x))
    x, target, eta = x.astype(wide), target.astype(wide), eta.astype(wide)
    optimiser = Optimiser(network, memory, eta)

    before = _forward(network, parameters, x)
    logits, slopes = before[2 * len(network.layers) - 2], _slopes(network, before)
    error = np.asarray(grad(lambda s: anp.sum(loss_of_logits(network, s, target)))(logits))
    if order == "simultaneous":
        gradients = _together(network, parameters, x, target)
    else:
        gradients = _one_by_one(network, parameters, x, before, error, slopes, optimiser)
    after, moved = list(parameters), list(biases)
    adjoints: dict[int, _Array] = {}
    for n, layer in enumerate(network.layers):
        adjoints[n + 1] = gradients[2 * n + 1]
        after[2 * n] = optimiser.moved(f"W{n + 1}", parameters[2 * n], gradients[2 * n])
        if layer.bias:
            of_all = gradients[2 * n + 1].sum(axis=-2) if network.batch else gradients[2 * n + 1]
            if biases[n].ndim == len(lead):  # one number that all units have
                of_all = of_all.sum(axis=-1)
            moved[n] = optimiser.moved(f"b{n + 1}", biases[n], of_all)
            after[2 * n + 1] = _each(network, _for_units(moved[n], lead, layer.width), x)
    updated = [array for pair in zip(after[::2], moved, strict=True) for array in pair]
    return _named(network, updated, before, _forward(network, after, x), slopes, adjoints, target) | optimiser.seen


def derivatives(
    network: Network, of: str, by: Sequence[str], weights: Sequence[_Array], x: _Array, target: _Array
) -> tuple[dict[str, _Array], dict[str, _Array]]:
    """dE/d each array by its name, or dy/d with the outputs ahead; and s1, ..., sL, y of the forward pass by name.

    Arrays have an axis of points in front. In a mini-batch an output is differentiated by what its own sample has.
    """
    if network.batch and of != "E":
        count, samples = x.shape[:2]
        one = replace(network, batch="", samples=0)
        repeated = [np.repeat(array, samples, axis=0) for array in weights]
        alone = (array.reshape(count * samples, *array.shape[2:]) for array in (x, target))
        made = derivatives(one, of, by, repeated, *alone)
        apart, passed = (
            {name: array.reshape(count, samples, *array.shape[1:]) for name, array in side.items()} for side in made
        )
        return apart, passed
    if network.built is not None:
        return derivatives_of_layers(network, of, by, weights, x, target)
    start, value, passed = _differentiable(network, of, weights, x, target)
    outputs = range(1 if of == "E" else network.widths[-1])
    slopes = [grad(value)(start, output) for output in outputs]
    found = {}
    for name in by:
        each = [_taken(network, name, slope) for slope in slopes]
        found[name] = np.asarray(each[0] if of == "E" else np.stack(each, axis=1))
    return found, passed


def second_derivatives(
    network: Network, first: str, along: Mapping[str, _Array], by: Sequence[str], weights: Sequence[_Array],
    x: _Array, target: _Array,
) -> tuple[dict[str, _Array], dict[str, _Array]]:  # fmt: skip
    """What dE_d(first) moves by with each array, by its name, with the axes of `first` ahead; s1, ..., y as above.

    With `along`, directions by name, what E moves by along them is differentiated instead. Autograd twice: the gradient
    of a directional derivative, along one element after another.
    """
    start: Any
    if network.built is not None:
        own_part = taken
        start, value, passed = twice_differentiable(network, weights, x, target)
    else:
        own_part = _taken
        start, value, passed = _differentiable(network, "E", weights, x, target)

    def steepness(own: Any, directions: Mapping[str, _Array]) -> Any:
        slopes = grad(value)(own, 0)
        return sum(anp.sum(own_part(network, name, slopes) * t) for name, t in directions.items())

    def moves(directions: Mapping[str, _Array]) -> list[_Array]:
        slopes = grad(steepness)(start, directions)
        return [np.asarray(own_part(network, name, slopes)) for name in by]

    if along:
        wide = {name: np.asarray(t, np.longdouble) for name, t in along.items()}
        return dict(zip(by, moves(wide), strict=True)), passed
    shape = np.shape(own_part(network, first, grad(value)(start, 0)))
    count = math.prod(shape[1:])
    rows = [moves({first: row.reshape(1, *shape[1:])}) for row in np.eye(count, dtype=np.longdouble)]
    stacked = (np.stack(each, axis=1) for each in zip(*rows, strict=True))
    return {n: a.reshape(shape + a.shape[2:]) for n, a in zip(by, stacked, strict=True)}, passed


_Start: TypeAlias = "tuple[list[_Array], _Array]"


def _differentiable(
    network: Network, of: str, weights: Sequence[_Array], x: _Array, target: _Array
) -> tuple[_Start, Callable[[Any, int], Any], dict[str, _Array]]:
    """Parameters with x, E or an output as a function of them, summed over all points, and s1, ..., sL, y by name."""
    wide, given = np.longdouble, iter(weights)
    x, target = x.astype(wide), target.astype(wide)
    parameters: list[_Array] = []
    for layer in network.layers:
        matrix = next(given).astype(wide)
        shift = next(given).astype(wide) if layer.bias else np.zeros(matrix.shape[:-1], wide)
        parameters += [matrix, _each(network, _for_units(shift, x.shape[:1], layer.width), x)]
    last = 2 * len(network.layers) - 2

    def value(own: tuple[list[Any], Any], output: int) -> Any:
        passed = _forward(network, own[0], own[1])
        if of == "E":
            return anp.sum(loss_of_logits(network, passed[last], target))
        return anp.sum((softmax(passed[last]) if network.softmax else passed[-1])[..., output])

    values = _forward(network, parameters, x)
    read = {network.pre_activation(n).name: values[2 * n - 2] for n in range(1, len(network.layers) + 1)}
    shown = read | {network.output.name: np.asarray(softmax(values[last]) if network.softmax else values[-1])}
    return (parameters, x), value, shown


def _taken(network: Network, name: str, slopes: Any) -> Any:
    """Of the slopes in parameters and x, those in one array, as it is given."""
    if name == "x":
        return slopes[1]
    found = slopes[0][2 * int(name[1:]) - (2 if name[0] == "W" else 1)]
    if name[0] == "b" and network.batch:  # a shift for every sample: what reaches s there
        found = anp.sum(found, axis=-2)
    if name[0] == "b" and name in network.common:  # one number: what reaches all units
        found = anp.sum(found, axis=-1)
    return found


def _for_units(bias: _Array, lead: tuple[int, ...], width: int) -> _Array:
    """A bias for every unit, where it is one number."""
    return np.repeat(bias[..., None], width, axis=-1) if bias.ndim == len(lead) else bias


def _each(network: Network, bias: _Array, x: _Array) -> _Array:
    """A bias for every sample of a mini-batch, so that its gradient is what reaches the sample."""
    if not network.batch:
        return bias
    return np.broadcast_to(bias[..., None, :], (*bias.shape[:-1], x.shape[-2], bias.shape[-1])).copy()


def _together(network: Network, parameters: list[_Array], x: _Array, target: _Array) -> list[_Array]:
    """The gradients of the loss, of all layers at once."""

    def loss(own: list[Any]) -> Any:
        return anp.sum(loss_of_logits(network, _forward(network, own, x)[2 * len(network.layers) - 2], target))

    return list(grad(loss)(parameters))


def _one_by_one(
    network: Network, parameters: list[_Array], x: _Array, before: list[_Array], error: _Array, slopes: list[_Array],
    optimiser: Optimiser,
) -> list[_Array]:  # fmt: skip
    """Each layer's gradient with the weights above it already updated."""
    after, gradients = list(parameters), list(parameters)
    for n in range(len(network.layers) - 1, -1, -1):

        def loss(own: tuple[Any, Any], n: int = n) -> Any:
            # old activations below, old gates, old output error, new weights above
            v = x if n == 0 else before[2 * n - 1]
            s = _applied(network, own[0], v) + own[1]
            for m in range(n + 1, len(network.layers)):
                s = _applied(network, after[2 * m], slopes[m - 1] * s)
            return anp.sum(error * s)

        gradients[2 * n], gradients[2 * n + 1] = grad(loss)((parameters[2 * n], parameters[2 * n + 1]))
        after[2 * n] = optimiser.moved(f"W{n + 1}", parameters[2 * n], gradients[2 * n])
    return gradients


def _named(
    network: Network, updated: Sequence[_Array], before: Sequence[_Array],
    after: Sequence[_Array], slopes: Sequence[_Array], adjoints: dict[int, _Array], target: _Array,
) -> dict[str, _Array]:  # fmt: skip
    depth = len(network.layers)
    logits = 2 * depth - 2
    result = {"E": np.asarray(loss_of_logits(network, before[logits], target))}
    if not isinstance(network.loss, str):
        result["E"] = in_all_digits(network, before[logits], target)
    linear = network.layers[-1].activation.is_identity and not network.softmax
    names = [name for n in range(1, depth) for name in (f"s{n}", f"v{n}")]
    names += ["y"] if linear else [f"s{depth}"] if network.softmax else [f"s{depth}", "y"]
    if network.softmax:
        result["y"] = np.asarray(softmax(before[logits]))
    for name, old, new in zip(names, before, after, strict=True):
        result |= {name: old, f"{name}_new": new, f"d{name}": new - old}
    for n, layer in enumerate(network.layers, 1):
        result[f"delta{n}"] = adjoints[n]
        result[f"W{n}_new"] = updated[2 * n - 2]
        if layer.bias:
            result[f"b{n}_new"] = updated[2 * n - 1]
        if not layer.activation.is_identity:
            result[f"g{n}"] = slopes[n - 1]
    if len(network.layers) > 1 and network.batch:
        result |= common_p(network, updated[2 * depth - 2], before[logits - 1], after[logits - 1], after[logits])
    elif len(network.layers) > 1:
        result |= own_p(network, updated[2 * depth - 2], before[logits - 1], after[logits - 1], after[logits])
    return result
