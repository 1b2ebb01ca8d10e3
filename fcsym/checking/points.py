"""The points at which kernels are checked: networks, inputs, targets and step sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fcsym.checking.oracle import phi_of
from fcsym.errors import ArgumentError
from fcsym.language.activation import Activation
from fcsym.language.expression import Add, Array, Expr, Mul, Number, Ref, Role, applied_in
from fcsym.networks.losses import loss_equations
from fcsym.networks.network import Network

__all__ = ["MAX_NUMBERS", "Points", "activate", "in_the_loss", "lattice", "pre_activations"]

_Array = npt.NDArray[Any]
MAX_NUMBERS = 4_000_000  # weights in one batch of points; a larger check runs in several


class Points(NamedTuple):
    """Networks, inputs, targets and step sizes, with one leading axis."""

    weights: list[_Array]
    x: _Array
    target: _Array
    eta: _Array


def lattice(network: Network, rng: np.random.Generator, count: int) -> Points:
    """Small integers, sparse: sums and products are exact, and s = 0 and s' = 0 come up often."""
    weights = []
    for array in network.parameters:
        shape = network.shape(array)
        deep = len(network.layers) > 3  # in sequential order a step grows like the square of the layer above
        density = min(0.75, (1.5 if deep else 3) / shape[-1]) if len(shape) == 2 else 0.5
        values = rng.choice([-1.0, 1.0, 1.0, 1.0 if deep else 2.0], size=(count, *shape))
        values = values * (rng.random((count, *shape)) < density)
        if network.input.axes[0] in array.axes or array.axes[0] == network.parameters[0].axes[0]:
            values[1::4] /= 2  # halves, for kinks and zeros that are no integers
        weights.append(values)
    x = rng.choice([-1.0, 0.0, 1.0, 1.0], size=(count, network.inputs))
    x[:, 0] = np.where((x == 0).all(axis=1), 1.0, x[:, 0])
    eta = rng.choice([0.5, 1.0], size=count)
    points = Points(weights, x, np.zeros((count, network.widths[-1])), eta)
    error = rng.choice([-1.0, 0.0, 1.0, 2.0], size=points.target.shape)
    y = activate(network, len(network.layers) - 1, pre_activations(network, points)[-1])
    return points._replace(target=y - error)


def pre_activations(network: Network, points: Points) -> list[_Array]:
    """s of every layer."""
    result, v, given = [], points.x, iter(points.weights)
    for n, layer in enumerate(network.layers):
        s = np.matvec(next(given), v)
        s = s + next(given) if layer.bias else s
        result.append(s)
        v = activate(network, n, s)
    return result


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


def in_the_loss(network: Network) -> list[tuple[Activation, Array, Callable[[_Array, _Array], _Array]]]:
    """The piecewise functions in the loss, each with what it reads: the array, and a function of y and the target."""
    equations = {e.array: e for e in loss_equations(network.loss, network.outputs)}
    nodes = [node for e in equations.values() for side in e.expressions for node in applied_in(side)]
    found = dict.fromkeys((f.activation, f.argument.array) for f in nodes if isinstance(f.argument, Ref))

    def reading(array: Array) -> Callable[[_Array, _Array], _Array]:
        def value(node: Expr, y: _Array, target: _Array) -> Any:
            match node:
                case Number(number):
                    return float(number)
                case Ref(of):
                    return y if of == network.output else target
                case Add(parts):
                    return sum(value(part, y, target) for part in parts)
                case Mul(parts):
                    return math.prod(value(part, y, target) for part in parts)
            raise ArgumentError(f"{node!r} is no term of a loss that a check can read.")

        return lambda y, target: value(equations[array].expressions[0], y, target)

    return [(phi, array, reading(array)) for phi, array in found if phi.kinks and array.role is Role.TERM]
