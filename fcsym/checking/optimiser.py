"""The update rules for the independent oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.functions import exactly
from fcsym.networks.network import Network
from fcsym.networks.symbols import moment

__all__ = ["Optimiser"]

_Array = npt.NDArray[Any]


class Optimiser:
    """The update rules as the manuals of `torch.optim` have them, array by array; written for this oracle alone."""

    def __init__(self, network: Network, memory: Mapping[str, _Array] | None, eta: _Array) -> None:
        self.network, self.rule, self.eta = network, network.rule, eta
        self.thetas = {theta.name: theta for theta in network.parameters}
        self.seen: dict[str, _Array] = {}
        known = memory or {}
        self.memory = {
            a.name: np.asarray(known.get(a.name, np.full(network.shape(a), float(v))), np.longdouble)
            for a, v in network.memory.items()
        }

    def _own(self, name: str) -> Any:
        return exactly(self.rule[name])

    def _rest(self, name: str) -> Any:
        return exactly(1 - self.rule[name])

    def _averaged(self, what: str, name: str, new: _Array) -> _Array:
        result = self._own(name) * self.memory[what] + self._rest(name) * new
        self.seen[f"{what}_new"] = result
        return np.asarray(result)

    def _correction(self, kind: int) -> _Array:
        rest = self._own(f"beta{kind}") * self.memory[f"h{kind}"] + self._rest(f"beta{kind}")
        self.seen[f"h{kind}_new"] = rest
        return np.asarray(rest)

    def moved(self, name: str, value: _Array, gradient: _Array) -> _Array:
        """A parameter after the step, W2 say; a frozen one as it is."""
        if name in self.network.fixed:
            return value
        eta = self.eta.reshape(self.eta.shape + (1,) * (value.ndim - self.eta.ndim))
        rule, theta = self.rule.name, self.thetas[name]
        first, second = (moment(theta, kind).name for kind in (1, 2))
        if self.rule.is_plain:
            self.seen[f"d{name}"] = -eta * gradient
            return np.asarray(value - eta * gradient)
        self.seen[f"dE_d{name}"] = gradient
        decay = self._own("weight_decay")
        step = gradient + (0 if rule == "adamw" else decay * value)
        if rule in ("momentum", "nesterov"):
            beta = self._own("beta")
            buffer = beta * self.memory[first] + step
            self.seen[f"{first}_new"] = buffer
            step = step + beta * buffer if rule == "nesterov" else buffer
        elif rule == "rmsprop":
            step = step / (np.sqrt(self._averaged(second, "alpha", step**2)) + self._own("eps"))
        elif rule in ("adam", "adamw"):
            mean, squares = self._averaged(first, "beta1", step), self._averaged(second, "beta2", step**2)
            grown = [
                c.reshape(c.shape + (1,) * (value.ndim - c.ndim)) if c.ndim else c
                for c in map(self._correction, (1, 2))
            ]
            step = mean / grown[0] / (np.sqrt(squares / grown[1]) + self._own("eps"))
        change = -eta * step - (eta * decay * value if rule == "adamw" else 0)
        self.seen[f"d{name}"] = change
        return np.asarray(value + change)
