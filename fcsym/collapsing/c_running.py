"""Files of `collapsed` in C, run in this process: before they are written, and by tests."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.kernel.native import opened
from fcsym.networks.network import Network

__all__ = ["CFiles"]

_MORE = """
size_t kernel_state_size(void)
{
    return sizeof(state_type);
}

size_t kernel_work_size(void)
{
    return UPPER_WORK;
}

int kernel_columns(state_type *state, int layer)
{
    columns_type c[LAYERS];
    columns_of(state, c);
    return *c[layer].count;
}

int kernel_crossed(state_type *state, int layer, int *unit, signed char *before, signed char *after)
{
    columns_type c[LAYERS];
    columns_of(state, c);
    for (int k = 0; k < *c[layer].crossed; k++) {
        unit[k] = c[layer].crossed_unit[k];
        for (int n = 0; n < state->samples; n++) {
            before[k * state->samples + n] = c[layer].before[k * state->samples + n];
            after[k * state->samples + n] = c[layer].line[unit[k] * state->samples + n];
        }
    }
    return *c[layer].crossed;
}
"""
_OK, _UNDEFINED = 0, 1


class CFiles:
    """The functions of the files: a state is bytes, and every step gives another one.

    Raises CompileError where there is no compiler. A call that is refused raises ValueError, and one after which the
    state is not finite ArithmeticError.
    """

    def __init__(
        self, files: Mapping[str, str], network: Network, stem: str, capacity: int, dtype: npt.DTypeLike = float
    ) -> None:  # fmt: skip
        self.network, self.real, upper = network, np.dtype(dtype), stem.upper()
        source = files[f"{stem}.c"].replace(f'#include "{stem}.h"\n', files[f"{stem}.h"])
        single = [f"-D{upper}_SINGLE"] * (self.real == np.float32)
        self._library = opened(
            source + _MORE.replace("UPPER", upper), lambda path: ctypes.CDLL(str(path)),
            f"-D{upper}_CAPACITY={capacity}", *single, "-O1",
        )  # fmt: skip
        self._stem, self._shapes = stem, [network.shape(theta) for theta in network.parameters]
        self.ends = np.cumsum([prod(shape) for shape in self._shapes])[:-1]
        self._size = self._number("state")
        self._work = np.full(self._number("work"), np.nan, self.real)
        self.samples = 0

    def _number(self, name: str) -> int:
        function = getattr(self._library, f"kernel_{name}_size")
        function.restype = ctypes.c_size_t
        return int(function())

    def _call(self, name: str, *arguments: Any) -> None:
        eta = ctypes.c_float if self.real == np.float32 else ctypes.c_double
        given = [
            self._at(a) if isinstance(a, np.ndarray) else eta(a) if isinstance(a, float) else a
            for a in (*arguments, self._work)
        ]
        status = getattr(self._library, f"{self._stem}_{name}")(*given)
        if status == _UNDEFINED:
            raise ArithmeticError("the state is not finite")
        if status != _OK:
            raise ValueError(f"{name} is refused: status {status}")

    def _packed(self, weights: Sequence[Any]) -> npt.NDArray[Any]:
        return np.concatenate([np.ravel(np.asarray(w, self.real)) for w in weights])

    def init(self, weights: Sequence[Any], x: Any, name: str = "init", samples: int | None = None) -> npt.NDArray[Any]:
        """The state; `name`: init_apart where no units may stand together."""
        self.weights = self._packed(weights)
        self.x = np.atleast_2d(np.ascontiguousarray(x, self.real))
        state = np.full(self._size + 64, 0x5A, np.uint8)  # what is not written is not read as numbers that look right
        state = state[-state.ctypes.data % 64 :][: self._size]
        self.samples = len(self.x) if samples is None else samples
        self._call(name, state, self.weights, self.x, self.samples)
        return state

    def step(self, state: npt.NDArray[Any], which: Sequence[int] | None, target: Any, eta: float) -> npt.NDArray[Any]:
        """The state after a step on all samples, or on some of them by their places."""
        after = np.empty(len(state) + 64, np.uint8)
        after = after[-after.ctypes.data % 64 :][: len(state)]
        after[:] = state
        self.step_in_place(after, which, target, eta)
        return after

    def step_in_place(self, state: npt.NDArray[Any], which: Sequence[int] | None, target: Any, eta: float) -> None:
        """The same as the file has it."""
        goal = np.ascontiguousarray(target, self.real)
        if which is None:
            self._call("step", state, goal, float(eta))
        else:
            self._call("step_on", state, np.array(which, np.intc), len(which), goal, float(eta))

    def output(self, state: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """y on all samples."""
        y = np.empty((self.samples, self.network.widths[-1]), self.real)
        self._call("output", state, y)
        return y

    def expand(self, state: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The weights that backpropagation has."""
        made = np.empty(len(self.weights), self.real)
        self._call("expand", state, self.weights, self.x, made)
        return [part.reshape(shape) for part, shape in zip(np.split(made, self.ends), self._shapes, strict=True)]

    def columns(self, state: npt.NDArray[Any], layer: int = 0) -> int:
        """How many columns stand for the units of a layer; `layer`: from 0, of those that are summed over."""
        return int(self._library.kernel_columns(self._at(state), layer))

    def crossed(self, state: npt.NDArray[Any], layer: int = 0) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """The units that left their lines in the last step, and their lines before and after, by sample."""
        most = max(self.network.widths)
        unit = np.zeros(most, np.intc)
        lines = [np.zeros((most, self.samples), np.int8) for _ in range(2)]
        count = self._library.kernel_crossed(self._at(state), layer, *map(self._at, (unit, *lines)))
        return [
            (int(u), tuple(b.tolist()), tuple(a.tolist()))
            for u, b, a in zip(unit[:count], *(own[:count] for own in lines), strict=True)
        ]

    @staticmethod
    def _at(array: Any) -> ctypes.c_void_p:
        made: ctypes.c_void_p = array.ctypes.data_as(ctypes.c_void_p)
        return made
