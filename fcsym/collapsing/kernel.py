"""A closed state as four functions, with the arguments that schemes have.

k = fcsym.find_collapse(net, inputs=3).compile()
state = k.init(weights, X)
state = k.step(state, X, targets, eta)       # or on one of the inputs, k.step(state, X[1], targets[1], eta)
k.output(state, X), k.expand(state, weights, X)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.carried import Carried
from fcsym.collapsing.finder import Search
from fcsym.errors import ArgumentError
from fcsym.networks.network import Network

__all__ = ["CollapsedKernel"]


class CollapsedKernel:
    """init, step, output and expand over a state that is never changed: every step gives a new one."""

    def __init__(self, network: Network, found: Search) -> None:
        """`found`: a search that closed."""
        self.network, self._found = network, found

    def init(self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike) -> Carried:
        """Weights and the held inputs, (m, n_0), or (n_0,) for one => the state."""
        return Carried(self.network, self._found, weights, x)

    def step(self, state: Carried, x: npt.ArrayLike, target: npt.ArrayLike, eta: float | None = None) -> Carried:
        """The state after a step on all held inputs, on some, or on one of them.

        Raises ArgumentError for an input that is not held, and for a target that does not fit.
        """
        made = state.copy()
        made.step(target, eta, which=self._places(state, x))
        return made

    def output(self, state: Carried, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """y on held inputs. Raises ArgumentError for an input that is not held."""
        places = self._places(state, x)
        if places is None:
            return state.output
        return np.asarray(state.output[places[0] if np.ndim(x) == 1 else places])

    def expand(self, state: Carried, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike) -> list[npt.NDArray[Any]]:
        """The weights that backpropagation has; `weights` and `x` are those of `init`, which the state has, too."""
        del weights, x
        return state.expand()

    def _places(self, state: Carried, x: npt.ArrayLike) -> npt.NDArray[np.intp] | None:
        """Which of the held inputs these are; None for all of them in their order."""
        array, held = np.asarray(x, dtype=float), state.inputs
        if array.shape == held.shape and (array == held).all():
            return None
        if held.ndim == 1 or array.shape[-1:] != held.shape[-1:] or array.ndim > 2:
            raise ArgumentError("x is not what init was given: give held inputs, or init again with others.")
        places, taken = [], set()
        for row in np.atleast_2d(array):
            equal = [n for n in np.flatnonzero((held == row).all(axis=1)).tolist() if n not in taken]
            if not equal:
                raise ArgumentError("x has an input that init was not given: give held inputs, or init again.")
            taken.add(equal[0])
            places.append(equal[0])
        return np.array(places)
