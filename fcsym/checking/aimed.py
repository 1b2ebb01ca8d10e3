"""Points made for cases that random ones have not reached: networks in which a unit crosses as it is wanted to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from fcsym.checking.points import (
    MAX_NUMBERS,
    Points,
    activate,
    lattice,
    on_one_sample,
    pre_activations,
    random_points,
    together,
)
from fcsym.language.equation import Cases, Condition
from fcsym.language.expression import Ref, Role
from fcsym.networks.network import Network
from fcsym.networks.symbols import increment_of

if TYPE_CHECKING:
    from fcsym.checking.subject import Derived
    from fcsym.checking.tally import Tally

__all__ = ["aimed", "placed"]

_Array = npt.NDArray[Any]
_CANDIDATES, _KEPT = 64, 8  # networks made for one case, and how many of those in which it occurs are compared
_TAME = 1e6


def placed(derivation: Derived, tally: Tally, kernel: Any, rng: np.random.Generator) -> Iterator[Points]:
    """For each case that none has reached: networks made so that it occurs, and only those in which it does.

    What reaches a deep layer of a narrow random network is mostly 0. So the other layers get positive weights that
    neither enlarge nor diminish what they pass on; the unit's own weights are moved until s lies on the piece before,
    close to the side on which the one after is; and the step size is the one that brings it there.
    """
    network, wanted = on_one_sample(derivation.network), tally.missing
    size = sum(math.prod(network.shape(array)) for array in network.parameters)
    count = max(1, min(_CANDIDATES, MAX_NUMBERS // size))
    found: list[Points] = []
    for name, case in wanted:
        layer = network.activated.index(network.units[derivation.by_name[name].array.axes[-1]])
        for points in _candidates(derivation, name, case, layer, kernel, rng, count):
            with np.errstate(over="ignore", invalid="ignore"):
                result = points.step(kernel)
            masks = dict(tally.cases(name, result))
            after = result[network.logits.primed.name]
            tame = (np.abs(after) < _TAME).all(axis=1)  # a step that runs away tests no case
            hit = np.flatnonzero(masks[case].reshape(len(points.x), -1).any(axis=1) & tame)[:_KEPT]
            if len(hit):
                found.append(points.chosen(hit))
        if sum(len(points.x) for points in found) * size > MAX_NUMBERS:
            yield together(found)
            found = []
    if found:
        yield together(found)


def _candidates(
    derivation: Derived, name: str, case: str, layer: int, kernel: Any, rng: np.random.Generator, count: int
) -> Iterator[Points]:
    """Points at which a case of a hidden layer, from 0, may occur."""
    network = on_one_sample(derivation.network)
    hidden = network.activated[layer]
    equation = derivation.by_name[name]
    branch = next((branch for branch in cast("Cases", equation.rhs) if branch.name == case), None)
    if branch is None or any(condition.relation in ("=", "!=") for condition in branch.when):
        yield from _at_rest(network, layer, rng, count)
        if branch is None:
            return
    points = _passing(network, rng, count)
    unit = rng.integers(network.widths[layer + 1], size=count)
    near = 10 ** rng.uniform(-3, 0, size=count)
    (lower, upper), (goal_lower, goal_upper) = (_range(branch.when, after) for after in (False, True))
    up = goal_lower >= upper
    start = _inside(lower, upper, near, from_above=up)
    end = _inside(goal_lower, goal_upper, near, from_above=goal_upper <= lower)
    rows, position = np.arange(count), _matrix_of(network, layer)
    # across what it reads a unit may have large weights: so it can rise while all that it reads falls
    across = rng.normal(size=(count, network.widths[layer])) * 10 ** rng.uniform(-1, 1, size=(count, 1))
    points.weights[position][rows, unit] += across
    _move(network, points, layer, unit, start)
    for _ in range(2):  # in sequential order ds grows faster than eta: once more from there
        with np.errstate(all="ignore"):
            result = points.step(kernel)
            s, ds = (result[array.name][rows, unit] for array in (hidden.s, increment_of(hidden.s)))
            factor = (end - s) / ds
            good = np.isfinite(factor) & (factor > 0) & (points.eta * factor < 1e3)
        if not good.any():
            return
        points = points._replace(eta=np.where(good, points.eta * factor, points.eta)).chosen(good)
        unit, end, rows = unit[good], end[good], np.arange(int(good.sum()))
        yield points


def _inside(lower: float, upper: float, near: _Array, from_above: bool) -> _Array:
    """Numbers in (lower, upper], near the upper end or near the lower one where there are such."""
    room = np.minimum(near, (upper - lower) / 2)
    if np.isfinite(upper) and (from_above or not np.isfinite(lower)):
        return np.asarray(upper - room)
    return np.asarray(lower + room if np.isfinite(lower) else near)


def _passing(network: Network, rng: np.random.Generator, count: int) -> Points:
    """Positive networks whose layers pass on as much as they are given."""
    points = random_points(network, rng, count)
    for array, weight in zip(network.parameters, points.weights, strict=True):
        if weight.ndim == 3:
            weight[...] = np.abs(weight) + 0.1
            weight /= weight.sum(axis=-1).mean(axis=-1)[:, None, None]
            if network.input.axes[-1] in array.axes:  # no unit of the first layer is below 0
                weight *= np.where(np.matvec(weight, points.x) < 0, -1.0, 1.0)[..., None]
        else:
            weight *= 0.1
    return points


def _at_rest(network: Network, layer: int, rng: np.random.Generator, count: int) -> Iterator[Points]:
    """Exact points at which a layer's units are at 0: where the output has no error they stay, otherwise they move."""
    for still in (True, False):
        points = lattice(network, rng, count) if len(network.layers) <= 4 else _passing(network, rng, count)
        for array, weight in zip(network.parameters, points.weights, strict=True):
            if array in network.feeding(layer + 1):
                weight[(slice(None), 0) if array.axes else ...] = 0
            if still and array in network.feeding(len(network.layers)):
                weight[...] = 0
        yield points._replace(target=np.zeros_like(points.target)) if still else points


def _matrix_of(network: Network, layer: int) -> int:
    """The place of the matrix that a hidden layer, from 0, reads with, among the parameters."""
    return network.parameters.index(network.feeding(layer + 1)[0])


def _move(network: Network, points: Points, layer: int, unit: _Array, wanted: _Array) -> None:
    """Move the weights of one unit of each network along what it reads, so that its pre-activation is as wanted."""
    position = _matrix_of(network, layer)
    before = pre_activations(network, points)
    source = points.x if layer == 0 else activate(network, layer - 1, before[layer - 1])
    norm, rows = np.sum(source**2, axis=-1), np.arange(len(unit))
    shift = np.where(norm > 1e-12, (wanted - before[layer][rows, unit]) / np.where(norm > 1e-12, norm, 1), 0)
    points.weights[position][rows, unit] += shift[:, None] * source


def aimed(
    derivation: Derived, missing: Sequence[tuple[str, str]], kernel: Any, rng: np.random.Generator, count: int
) -> Iterator[Points]:
    """For each case that none has reached: random networks with the step size that brings a unit there.

    A step moves s by eta times something that hardly depends on eta; the size that lands on the wanted piece is aimed
    at, and may miss.
    """
    network = on_one_sample(derivation.network)
    for name, case in missing:
        equation = derivation.by_name[name]
        branches = equation.rhs if isinstance(equation.rhs, Cases) else ()
        branch = next((branch for branch in branches if branch.name == case), None)
        if branch is None:
            continue
        unit = network.units[equation.array.axes[-1]]
        points = random_points(network, rng, count)
        points = _stretched(network, points, network.activated.index(unit) + 1, rng)
        result = points.step(kernel)
        s, ds = result[unit.s.name], result[increment_of(unit.s).name]
        (below, above), (lower, upper) = (_range(branch.when, after) for after in (False, True))
        wanted = (
            (lower + upper) / 2 if np.isfinite(lower + upper) else upper - 0.1 if np.isfinite(upper) else lower + 0.1
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where((s > below) & (s <= above), (wanted - s) / ds, np.inf)
        factor = np.where(factor > 0, factor, np.inf).min(axis=-1)
        reached = factor * points.eta < 1e3
        if reached.any():
            eta = points.eta[reached] * factor[reached]
            for share in (1.0, 0.5, 0.25, 2.0, 4.0):  # in sequential order, ds grows faster than eta
                yield points.chosen(reached)._replace(eta=eta * share)


def _stretched(network: Network, points: Points, layer: int, rng: np.random.Generator) -> Points:
    """Larger pre-activations, since pieces may be far out; and a layer that reads large numbers by small weights.

    What a layer reads enters its step squared: so s moves far while the layers above hardly do.
    """
    count = len(points.x)
    scale, ratio = rng.uniform(0.5, 4, size=count), 10 ** rng.uniform(0, 1.5, size=count)
    weights = []
    for array, weight in zip(network.parameters, points.weights, strict=True):
        into = next(n for n in range(1, len(network.layers) + 1) if array in network.feeding(n))
        own = scale / ratio if into == layer else ratio if into == layer - 1 else np.ones(count)
        weights.append(weight * own.reshape((count,) + (1,) * (weight.ndim - 1)))
    return points._replace(weights=weights, x=points.x * ratio[:, None] if layer == 1 else points.x)


def _range(when: Sequence[Condition], after: bool) -> tuple[float, float]:
    """Where conditions put s, or s' after the step: (lower, upper]."""
    lower, upper = -np.inf, np.inf
    for condition in when:
        subject = condition.subject
        if isinstance(subject, Ref) and subject.array.role is Role.PRE_ACTIVATION and subject.array.after == after:
            lower = float(condition.bound) if condition.relation == ">" else lower
            upper = float(condition.bound) if condition.relation == "<=" else upper
    return lower, upper
