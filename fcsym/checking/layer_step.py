"""One step of backpropagation of a network of layers, by automatic differentiation, in either order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import autograd.numpy as anp
import numpy as np
import numpy.typing as npt
from autograd import grad

from fcsym.checking.compensated import common_p, own_p
from fcsym.checking.functions import phi
from fcsym.checking.layer_oracles import Passing, Weight, forward
from fcsym.checking.losses import loss_by_samples, softmax
from fcsym.checking.optimiser import Optimiser
from fcsym.checking.own_oracle import forward_of_own
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation
from fcsym.networks.network import Network

__all__ = ["derivatives_of_layers", "passed_through", "step_of_layers", "taken", "twice_differentiable"]

_Array = npt.NDArray[Any]


def passed_through(
    network: Network, values: Sequence[Any], seen: Sequence[Any], x: Any
) -> tuple[Any, Any, list[tuple[Activation, Any, Any]]]:  # fmt: skip
    """What the read-out reads, what it gives, and what activations with kinks are applied to.

    Parameters have an axis of points in front, and `x` one of points and one of samples.
    """
    at = Passing([Weight(*pair) for pair in zip(values, seen, strict=True)])
    features, logits = forward_of_own(network, at, x) if network.own is not None else forward(network.nodes, at, x)
    return features, logits, at.applied


def step_of_layers(
    network: Network, order: str, weights: Sequence[_Array], x: _Array, target: _Array, eta: _Array,
    memory: Mapping[str, _Array] | None = None,
) -> dict[str, _Array]:  # fmt: skip
    """One step of training => every quantity that has a meaning without its equation, by the names of derivations.

    In sequential order the gradient of a parameter is taken with old values, and with what comes after it already
    updated: parameters are moved again and again, until none moves any more. UnsupportedExpression where that has no
    end, because a parameter comes after itself.
    """
    if eta.ndim > 1:  # networks beside each other in several axes are points beside each other in one
        lead, count = eta.shape, eta.size

        def flat(array: _Array) -> _Array:
            return array.reshape((count, *array.shape[len(lead) :]))

        kept = {name: flat(array) for name, array in (memory or {}).items()}
        points = [flat(weight) for weight in weights], flat(x), flat(target), flat(eta)
        found = step_of_layers(network, order, *points, kept or None)
        return {
            name: array.reshape((*lead, *array.shape[1:])) if array.ndim else array for name, array in found.items()
        }
    wide = np.longdouble
    values = [weight.astype(wide) for weight in weights]
    x, target, eta = x.astype(wide), target.astype(wide), eta.astype(wide)
    read, goal = (x, target) if network.batch else (x[:, None], target[:, None])

    def loss(own: Sequence[Any], seen: Sequence[Any] | None) -> Any:
        _, logits, _ = passed_through(network, own, own if seen is None else seen, read)
        return anp.sum(_loss(network, logits, goal))

    names, seen = [theta.name for theta in network.parameters], None
    for _ in range(len(values) + 2):
        optimiser = Optimiser(network, memory, eta)
        gradients = grad(loss)(values, seen)
        moved = [
            optimiser.moved(name, value, np.asarray(gradient, wide))
            for name, value, gradient in zip(names, values, gradients, strict=True)
        ]
        if order == "simultaneous" or _same(seen, moved):
            break
        seen = moved
    else:
        raise UnsupportedExpression(f"{network} has no sequential order: a parameter comes after itself.")
    found = {f"dE_d{name}": np.asarray(g) for name, g in zip(names, gradients, strict=True)} | optimiser.seen
    found |= {f"{name}_new": after for name, after in zip(names, moved, strict=True)}
    return found | _passes(network, values, moved, read, goal)


def derivatives_of_layers(
    network: Network, of: str, by: Sequence[str], weights: Sequence[_Array], x: _Array, target: _Array
) -> tuple[dict[str, _Array], dict[str, _Array]]:
    """dE/d each array by its name, or dy/d with the axes of the output ahead; and what decides gates, and y, by name.

    Arrays have an axis of points in front. In a mini-batch E is differentiated.
    """
    wide = np.longdouble
    values = [weight.astype(wide) for weight in weights]
    read, goal = ((a if network.batch else a[:, None]).astype(wide) for a in (x, target))

    def value(own: tuple[Sequence[Any], Any], place: tuple[int, ...]) -> Any:
        _, logits, _ = passed_through(network, own[0], own[0], own[1])
        if of == "E":
            return anp.sum(_loss(network, logits, goal))
        return anp.sum(_outputs(network, logits)[(slice(None), slice(None), *place)])

    one = () if of == "E" else network.shape(network.target)
    places = list(np.ndindex(*one))
    slopes = [grad(value)((values, read), place) for place in places]
    names, found = [theta.name for theta in network.parameters], {}
    for name in by:
        each = [s[1] if name == "x" else s[0][names.index(name)] for s in slopes]
        each = [array[:, 0] if name == "x" and not network.batch else array for array in each]
        stacked = np.stack([np.asarray(array, wide) for array in each], axis=1)
        found[name] = stacked[:, 0] if of == "E" else stacked.reshape((len(x), *one, *stacked.shape[2:]))
    seen = _passes(network, values, values, read, goal)
    return found, {name: array for name, array in seen.items() if not name.endswith("_new")}


def twice_differentiable(
    network: Network, weights: Sequence[_Array], x: _Array, target: _Array
) -> tuple[tuple[list[_Array], _Array], Callable[[Any, int], Any], dict[str, _Array]]:
    """Parameters with x, E as a function of them, summed over all points, and what decides gates, and y, by name."""
    wide = np.longdouble
    values = [weight.astype(wide) for weight in weights]
    read, goal = ((a if network.batch else a[:, None]).astype(wide) for a in (x, target))

    def value(own: tuple[Sequence[Any], Any], output: int) -> Any:
        del output
        _, logits, _ = passed_through(network, own[0], own[0], own[1])
        return anp.sum(_loss(network, logits, goal))

    seen = _passes(network, values, values, read, goal)
    return (values, read), value, {name: array for name, array in seen.items() if not name.endswith("_new")}


def taken(network: Network, name: str, slopes: Any) -> Any:
    """Of the slopes in parameters and x, those in one array, as it is given."""
    if name == "x":
        return slopes[1] if network.batch else slopes[1][:, 0]
    return slopes[0][[theta.name for theta in network.parameters].index(name)]


def _outputs(network: Network, logits: Any) -> Any:
    if network.softmax:
        return softmax(logits)
    return logits if network.output_activation.is_identity else phi(network.output_activation, logits)


def _same(before: Sequence[_Array] | None, after: Sequence[_Array]) -> bool:
    if before is None:
        return False
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))


def _loss(network: Network, logits: Any, target: Any) -> Any:
    """E of each point: of all positions the sum, and of samples the mean or the sum."""
    each = loss_by_samples(network, logits, target)
    each = anp.sum(each, axis=tuple(range(2, each.ndim)))
    return anp.mean(each, axis=1) if network.batch == "mean" else anp.sum(each, axis=1)


def _passes(
    network: Network, values: Sequence[_Array], moved: Sequence[_Array], x: _Array, target: _Array
) -> dict[str, _Array]:
    """The pass before the step and the one after it, and p."""
    frozen, logits, applied = passed_through(network, values, values, x)
    features, after, then = passed_through(network, moved, moved, x)

    def own(value: Any) -> _Array:
        return np.asarray(value if network.batch else value[:, 0])

    found = {"E": np.asarray(_loss(network, logits, target))}
    pairs = {network.logits.name: (logits, after)}
    pairs[network.output.name] = _outputs(network, logits), _outputs(network, after)
    assert network.built is not None
    read, shape = network.built.features, tuple(network.sizes[axis] for axis in network.read_out.axes[1:])
    own_shape = tuple(network.sizes[axis] for axis in read.axes)
    pairs[network.hidden[-1].v.name] = tuple(v.reshape((*v.shape[:2], *own_shape)) for v in (frozen, features))
    kinked = [unit for unit in network.hidden if unit.activation.kinks]
    for unit, (_, s, v), (_, s_new, v_new) in zip(kinked, applied, then, strict=True):
        own_shape = (*s.shape[:2], *(network.sizes[axis] for axis in unit.s.axes if not axis.open))
        pairs[unit.s.name] = s.reshape(own_shape), s_new.reshape(own_shape)
        pairs[unit.v.name] = v.reshape(own_shape), v_new.reshape(own_shape)
    once = {array.name for array in network.once}  # their samples are all the same
    for name, (old, new) in pairs.items():
        earlier, later = (np.asarray(side[:, 0]) if name in once else own(side) for side in (old, new))
        found |= {name: earlier, f"{name}_new": later, f"d{name}": later - earlier}
    if network.has_common_p:
        place, served = network.parameters.index(network.read_out), tuple(network.sizes[a] for a in network.positions)
        matrix = moved[place].reshape((len(x), -1, prod(shape)))
        still, moving = (own(a.reshape((*a.shape[:2], *served, prod(shape)))) for a in (frozen, features))
        made = (common_p if network.places else own_p)(network, matrix, still, moving, own(after))
        for name in ("vc", "p", "r"):
            made |= {name: made[name].reshape((*made[name].shape[:-1], *shape))} if name in made else {}
        found |= made
    return found
