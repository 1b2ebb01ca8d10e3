"""The four XOR samples of the paper's experiment."""

from __future__ import annotations

import numpy as np

from fcsym.checking.points import Points
from fcsym.networks.network import Network

__all__ = ["applies", "points"]

SAMPLES = ((0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0))


def applies(network: Network) -> bool:
    """XOR has two inputs and one output."""
    return network.inputs == 2 and network.widths[-1] == 1


def points(network: Network, networks: int = 25, seed: int = 0) -> Points:
    """Each sample with `networks` random weights."""
    rng = np.random.default_rng(seed)
    data = np.tile(np.array(SAMPLES), (networks, 1))
    weights = [rng.normal(size=(len(data), *network.shape(array))) for array in network.parameters]
    return Points(weights, data[:, :2], data[:, 2:], np.full(len(data), 0.1))
