"""What training on a closed state is given: weights, held inputs, the rate of a step and what it is on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, listed, shown
from fcsym.networks.network import Network

__all__ = ["checked_inputs", "checked_places", "checked_rate", "checked_weights"]

_Values = npt.NDArray[Any]


def checked_weights(network: Network, weights: Sequence[npt.ArrayLike]) -> list[_Values]:
    """The weights as arrays of their shapes."""
    arrays = [np.array(w, dtype=float) for w in weights]
    names = [theta.name for theta in network.parameters]
    if len(arrays) != len(names):
        raise ArgumentError(f"There are {len(arrays)} arrays of weights: give {listed(names)}.")
    for theta, array in zip(network.parameters, arrays, strict=True):
        if array.shape != network.shape(theta) or not np.isfinite(array).all():
            raise ArgumentError(
                f"{theta.name} has the shape {array.shape}: give finite numbers of the shape {network.shape(theta)}."
            )
    return arrays


def checked_inputs(network: Network, inputs: npt.ArrayLike) -> _Values:
    """The held inputs, (m, n_0), or (n_0,) for one."""
    array = np.array(inputs, dtype=float)
    wanted = (network.samples, network.inputs) if network.batch else (network.inputs,)
    if array.shape != wanted or not np.isfinite(array).all():
        raise ArgumentError(f"The inputs have the shape {array.shape}: give finite numbers of the shape {wanted}.")
    return array


def checked_rate(network: Network, eta: float | None) -> float:
    """The rate of a step: what is given, or what the rule has."""
    own = network.rule.eta
    if eta is None and own is None:
        raise ArgumentError("eta is not given, and the update rule has none: give a number.")
    rate = float(own if eta is None else eta)  # type: ignore[arg-type]  # one of them is there
    if not np.isfinite(rate):
        raise ArgumentError(f"eta is {rate}: give a finite number.")
    return rate


def checked_places(which: Any, count: int) -> npt.NDArray[np.intp] | None:
    """The inputs that a step is on; `count`: how many there are, 0 where there is one that is no row of several."""
    if which is None:
        return None
    if not count:
        raise ArgumentError("which is given, and there is one input: leave it out.")
    places = np.atleast_1d(np.asarray(which))
    if places.dtype.kind not in "iu" or places.ndim != 1 or len(set(places.tolist())) != len(places):
        raise ArgumentError(f"which is {shown(which)}: give a position, or several different ones.")
    if not ((places >= 0) & (places < count)).all():
        raise ArgumentError(f"which is {shown(which)}: the inputs have the positions 0 to {count - 1}.")
    return places
