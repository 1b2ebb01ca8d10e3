"""What a scheme's training is compared with: the exact trajectory, and beside it what rounding alone makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.oracle import backpropagation
from fcsym.language.equation import Order
from fcsym.networks.network import Network

__all__ = ["Truth"]

_Array = npt.NDArray[Any]
_STRAY = 2  # trajectories with rounded weights


class Truth:
    """Backpropagation by autodiff in extended precision: as it is, and with weights rounded anew at every step.

    All of them are trained side by side, in one axis in front; the first is the exact one.
    """

    def __init__(
        self, network: Network, order: Order, weights: list[_Array], rng: np.random.Generator, eps: float
    ) -> None:
        self.network, self.order = network, order
        self.weights = [np.stack([array.astype(np.longdouble)] * (1 + _STRAY)) for array in weights]
        self.memory: dict[str, _Array] = {
            a.name: np.full((1 + _STRAY, len(weights[0]), *network.shape(a)), float(v), np.longdouble)
            for a, v in network.memory.items()
        }
        self.rng, self.eps = rng, eps
        self._round({})

    def look(self, x: _Array, target: _Array, eta: _Array) -> dict[str, _Array]:
        """Everything about one step, which is not taken yet."""
        x, target, eta = (np.stack([array] * (1 + _STRAY)) for array in (x, target, eta))
        with np.errstate(all="ignore"):  # a run that overflows, or is at log 0, is left out
            return backpropagation(self.network, self.order, self.weights, x, target, eta, self.memory)

    @staticmethod
    def each(seen: Mapping[str, _Array]) -> list[dict[str, _Array]]:
        """The same for every one of them."""
        return [{name: value[n] for name, value in seen.items()} for n in range(1 + _STRAY)]

    def move(self, seen: Mapping[str, _Array], noise: Mapping[str, _Array]) -> None:
        """Take the step. `noise`: the absolute terms of updated parameters, where their own sizes say too little."""
        self.weights = [seen[array.primed.name] for array in self.network.parameters]
        self.memory = {
            a.name: np.broadcast_to(seen[a.primed.name], self.memory[a.name].shape) for a in self.network.memory
        }
        self._round(noise)

    def _round(self, noise: Mapping[str, _Array]) -> None:
        """Round every weight but the exact ones by up to eps of the largest that feeds its unit, or of its terms."""
        for n in range(1, 1 + _STRAY):
            for array, w in zip(self.network.parameters, (stack[n] for stack in self.weights), strict=True):
                feeding = tuple(range(1 - len(array.axes), 0))  # its axes but the first
                size = np.abs(w).max(axis=feeding, keepdims=True) if feeding else np.abs(w)
                size = np.maximum(size, noise.get(array.name, 0))
                with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is left out
                    w += self.eps * size * self.rng.uniform(-1, 1, size=w.shape)
