"""Points at which floating point has it hard: near kinks, before and after the step, and at the ends of its range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.points import Points, near_kink, random_points
from fcsym.networks.network import Network
from fcsym.networks.symbols import increment_of

__all__ = ["HARD", "ORDINARY", "TAME"]

_Array = npt.NDArray[Any]
_Maker = Callable[[Network, Any, np.random.Generator, int], Points]
_EPS = float(np.finfo(float).eps)
_TINY = 2.0**-520  # two of these make a subnormal number, three make none


def _ordinary(network: Network, kernel: Any, rng: np.random.Generator, count: int) -> Points:
    return random_points(network, rng, count)


def _near_before(network: Network, kernel: Any, rng: np.random.Generator, count: int) -> Points:
    """A unit of the last hidden layer near a kink: v^c near 0."""
    layer = len(network.hidden) - 1
    if layer < 0 or network.built is not None:
        return random_points(network, rng, count)
    return near_kink(network, rng, count, layer, _EPS)


def _near_after(network: Network, kernel: Any, rng: np.random.Generator, count: int) -> Points:
    """The step size that brings a unit to s' = 0, up to a few roundings."""
    points = random_points(network, rng, count)
    if not network.hidden or network.built is not None:
        return points
    s = network.hidden[int(rng.integers(len(network.hidden)))].s
    with np.errstate(all="ignore"):
        result = points.step(kernel)
        factor = -result[s.name] / result[increment_of(s).name]
    factor = np.where(np.isfinite(factor) & (factor > 0), factor, np.inf).min(axis=-1)
    near = 1 + _EPS * rng.integers(-1, 2, size=count)
    return points._replace(eta=np.where(factor < 1e6, points.eta * factor * near, points.eta))


def _eta(low: float, high: float) -> _Maker:
    def made(network: Network, kernel: Any, rng: np.random.Generator, count: int) -> Points:
        return random_points(network, rng, count)._replace(eta=10 ** rng.uniform(low, high, size=count))

    return made


def _subnormal(network: Network, kernel: Any, rng: np.random.Generator, count: int) -> Points:
    """Weights and inputs whose products are subnormal."""
    points = random_points(network, rng, count)
    scaled = [weight * _TINY for weight in points.weights]
    return points._replace(weights=scaled, x=points.x * _TINY, target=points.target * _TINY**2)


def _bits(network: Network, kernel: Any, rng: np.random.Generator, count: int) -> Points:
    """Any numbers that a float can be, half of them of middling size, so that not everything overflows."""
    points = random_points(network, rng, count)

    def any_of(array: _Array) -> _Array:
        bits = rng.integers(0, 2**64, size=array.shape, dtype=np.uint64)
        found = bits.view(np.float64)
        middling = np.ldexp(np.copysign(1 + rng.random(array.shape), found), rng.integers(-90, 91, size=array.shape))
        return np.where(np.isfinite(found) & (rng.random(array.shape) < 0.5), found, middling)

    weights, eta = [any_of(weight) for weight in points.weights], np.abs(any_of(points.eta))
    return points._replace(weights=weights, x=any_of(points.x), target=any_of(points.target), eta=eta)


ORDINARY = "ordinary"
TAME: Mapping[str, _Maker] = {
    ORDINARY: _ordinary,
    "v^c near 0": _near_before,
    "s' near 0": _near_after,
    "tiny eta": _eta(-30, -8),
}
"""Kinds of points at which nothing is far out: smooth functions are computed there in many digits without end."""

HARD: Mapping[str, _Maker] = {
    **TAME,
    "huge eta": _eta(3, 12),
    "subnormal numbers": _subnormal,
    "random bits": _bits,
}
"""All kinds of points."""
