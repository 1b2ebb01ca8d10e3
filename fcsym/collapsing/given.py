"""What training on a closed state is given: weights of one network, and its held inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError
from fcsym.networks.network import Network

__all__ = ["checked_inputs", "checked_weights"]

_Values = npt.NDArray[Any]


def checked_weights(network: Network, weights: Sequence[npt.ArrayLike]) -> list[_Values]:
    """The weights as arrays of their shapes."""
    arrays = [np.array(w, dtype=float) for w in weights]
    names = [theta.name for theta in network.parameters]
    if len(arrays) != len(names):
        raise ArgumentError(f"There are {len(arrays)} arrays of weights: give {', '.join(names)}.")
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
