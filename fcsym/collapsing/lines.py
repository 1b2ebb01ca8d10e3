"""Numbers of a layer: on which line of its activation each unit is, and what the output's error is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.deriving.pipeline import one_step
from fcsym.kernel import Kernel
from fcsym.language.activation import Activation
from fcsym.networks.network import Dense, Network
from fcsym.networks.rules import PLAIN

__all__ = ["Lines", "ReadOut"]

_Values = npt.NDArray[Any]


class Lines:
    """The lines of an activation by code: 2n for piece n, 2n + 1 for the kink at its end, with the declared slope."""

    def __init__(self, phi: Activation) -> None:
        self.kinks = np.array([float(kink) for kink in phi.kinks])
        slopes, offsets = [], []
        for n, piece in enumerate(phi.pieces):
            slopes.append(float(piece.slope))
            offsets.append(float(piece.intercept))
            if n < len(phi.kinks):
                kink, slope = phi.kinks[n], phi.kink_slopes[n]
                slopes.append(float(slope))
                offsets.append(float(phi.value_at(kink) - slope * kink))
        self.slopes, self.offsets = np.array(slopes), np.array(offsets)

    def codes(self, s: _Values) -> npt.NDArray[np.int16]:
        """The line of each pre-activation; one that is a kink exactly has a line of its own."""
        piece = np.searchsorted(self.kinks, s, side="left")
        at = np.zeros(s.shape, dtype=bool)
        for kink in self.kinks:
            at |= s == kink
        return (2 * piece + at).astype(np.int16)

    def codes_of(self, s: _Values) -> npt.NDArray[np.int8]:
        """The same, for many at once; what is no number is on the lowest line."""
        found = np.zeros(s.shape, np.int8)
        for kink in self.kinks.tolist():
            found += s > kink
            found += s >= kink
        return found

    def distance(self, s: _Values) -> _Values:
        """How far each pre-activation is from the nearest kink."""
        if not self.kinks.size:
            return np.full(s.shape, np.inf)
        return np.asarray(np.abs(np.asarray(s)[..., None] - self.kinks).min(axis=-1))


class ReadOut:
    """y and dE/d logits for logits and a target: the last layer of a network alone, with its loss."""

    def __init__(self, network: Network) -> None:
        width = network.widths[-1]
        last = Dense(width, network.layers[-1].activation, False)
        alone = replace(network, inputs=width, layers=(last,), names=(), fixed=(), common=(), rule=PLAIN, samples=0)
        self._kernel = Kernel(one_step(alone))
        self._places = [self._kernel.outputs.index(name) for name in ("y", "delta1")]
        self._unit = np.eye(width)

    def of(self, logits: _Values, target: _Values) -> tuple[_Values, _Values]:
        """y, and the derivative of the loss by the logits."""
        made = self._kernel.unchecked([self._unit, logits, target, np.asarray(0.0)])
        y, error = (made[place] for place in self._places)
        return y, error


class Smooth:
    """phi and phi' of a layer that is read, whatever its activation."""

    def __init__(self, network: Network, layer: int) -> None:
        width, phi = network.widths[layer], network.layers[layer - 1].activation
        alone = Network.mlp([width, width], output=phi).training(None, network.batch or None)
        self._kernel = Kernel(one_step(alone))
        self._width, self._target = np.eye(width), np.zeros(width)
        self._names = self._kernel.outputs

    def of(self, s: _Values) -> tuple[_Values, _Values]:
        """phi(s) and phi'(s)."""
        made = dict(zip(self._names, self._kernel.unchecked([self._width, s, np.zeros_like(s), np.asarray(0.0)]),
                        strict=True))  # fmt: skip
        return made["y"], made.get("g1", np.ones_like(s))
