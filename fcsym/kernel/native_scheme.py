"""Schemes compiled to machine code: the same calls, many steps inside, and many networks in lanes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, CompileError, Diverged
from fcsym.expression import Array
from fcsym.kernel.arguments import all_finite, mode
from fcsym.kernel.bound import Bound, bound_arrays
from fcsym.kernel.native import Call, Library, load
from fcsym.kernel.neutral import STORED_KIND
from fcsym.kernel.scheme import SchemeKernel
from fcsym.kernel.targets.c import parameters_of
from fcsym.kernel.targets.c_native import native_text

if TYPE_CHECKING:
    from fcsym.schemes import Scheme

__all__ = ["Batch", "NativeKernel", "native_kernel"]

_Array = npt.NDArray[Any]
_UNDEFINED = 1


def native_kernel(scheme: Scheme) -> SchemeKernel:
    """The scheme in machine code; with a warning, the NumPy kernel where there is no compiler."""
    kernel = NativeKernel(scheme)
    try:
        kernel.library(np.float64)
    except CompileError as problem:
        warnings.warn(f"{problem} Until then the NumPy kernel does the work.", RuntimeWarning, stacklevel=4)
        return SchemeKernel(scheme)
    return kernel


class NativeKernel(SchemeKernel):
    """A scheme's four functions in machine code, for one network or many at once."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme)
        self._numpy_step = self._namespace["step"]
        self.source = native_text(self.module)
        self._libraries: dict[np.dtype[Any], Library] = {}
        self._most = max(len(parameters_of(function, self.module)) for function in self.module.functions)

    def library(self, dtype: npt.DTypeLike) -> Library:
        """The machine code for float32 or float64, built where it is not there yet."""
        real = np.dtype(dtype)
        if real not in self._libraries:
            self._libraries[real] = load(self.source, real)
        return self._libraries[real]

    def run(
        self,
        state: Sequence[npt.ArrayLike],
        xs: npt.ArrayLike,
        targets: npt.ArrayLike,
        eta: npt.ArrayLike,
        undefined: str = "raise",
    ) -> Any:
        """The state after one step for each row of `xs` (steps, ..., n_0) and `targets` (steps, ..., n_L), in one call.

        Errors as for `step`, with the number of the step, from 1.
        """
        marks = mode(undefined)
        inputs, wanted = np.asarray(xs), np.asarray(targets)
        if inputs.ndim < 2 or wanted.ndim < 2 or len(inputs) != len(wanted) or not len(inputs):
            return super().run(state, xs, targets, eta, undefined)
        first = self._checked(state, marks, x=inputs[0], target=wanted[0], eta=eta)
        dtype, held = first[0].dtype, first[: len(self.scheme.state)]
        inputs, wanted = self._rows("x", inputs, dtype), self._rows("target", wanted, dtype)
        self._same_input(held, inputs)
        if self._stored:
            distinct = np.unique(inputs, axis=0) if inputs.ndim == 2 else inputs
            for x in distinct:
                held = self._remember(held, x)
        result, status = self._steps(held, inputs, wanted, first[-1])
        after = self._state(result, first)
        good = not status and all(all_finite(array) for array in after)
        return after if good or marks else super().run(state, xs, targets, eta, undefined)  # which step it was

    def _rows(self, name: str, array: _Array, dtype: np.dtype[Any]) -> _Array:
        width = self.network.inputs if name == "x" else self.network.widths[-1]
        if array.shape[-1] != width or array.dtype.kind not in "fiu" or not all_finite(array):
            raise ArgumentError(f"{name}s must be finite real numbers of shape (steps, ..., {width}).")
        return array.astype(dtype, copy=False)

    def bind(
        self, state: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike, eta: npt.ArrayLike
    ) -> Bound:
        """One network pinned in memory; see `SchemeKernel.bind`. A stored input's row is added here."""
        arrays = self._checked(state, False, x=x, target=target, eta=eta)
        held = arrays[: len(self.scheme.state)]
        self._same_input(held, arrays[-3])
        bound_arrays(self, arrays)
        if self._stored:
            held = self._remember(held, arrays[-3])
        return Bound(self, self.library(arrays[0].dtype), [*held, *arrays[-3:]])

    def batch(self, states: Any, threads: int = 1) -> Batch:
        """Many networks, packed once into the layout of the machine's vector registers. See `Batch`."""
        return Batch(self, states, threads)

    # ---------------------------------------------------------------------------------------------- the calls

    def _call(self, name: str, arrays: Sequence[_Array]) -> Any:
        if name == "step":
            function = self.module["step"]
            own = len(self.module.state)
            given = dict(zip((array.name for array in function.given), arrays, strict=True))
            like = np.zeros(given["yg"].shape[-1:], given["yg"].dtype)
            x = given.get("x", like)[None]
            result, status = self._steps(arrays[:own], x, given["yg"][None], given["eta"])
            if self.module.marks:
                mask = np.zeros(1, bool)
                if status & _UNDEFINED:
                    with np.errstate(all="ignore"):
                        mask = self._numpy_step(*arrays)[-1]
                result.append(mask)
            return result
        return self._many(name, arrays)

    def _many(self, name: str, arrays: Sequence[_Array]) -> list[_Array]:
        """init, output or expand over all networks, and a mask of what is undefined where it can be."""
        function = self.module[name]
        rows = self._rows_of(function.given, arrays)
        shapes = [self._shape(array, rows) for array in (*function.given, *function.results)]
        lead = np.broadcast_shapes(*(a.shape[: a.ndim - len(s)] for a, s in zip(arrays, shapes, strict=False)))
        dtype = np.result_type(*arrays)
        call = Call(self._most)
        call.set(networks=prod(lead), rows=rows)
        call.point(work=np.empty(4 * rows + 1, dtype))
        results = [np.empty(lead + shape, dtype) for shape in shapes[len(arrays) :]]
        for k, (array, shape) in enumerate(zip(arrays, shapes, strict=False)):
            call.place(k, *_spread(array.astype(dtype, copy=False), shape, lead))
        for k, result in enumerate(results, len(arrays)):
            call.place(k, result, prod(shapes[k]))
        status = self.library(dtype).function(name)(call.address)
        if function.marks:
            mask = np.zeros(1, bool)
            if status & _UNDEFINED:
                with np.errstate(all="ignore"):
                    mask = self._namespace[name](*arrays)[-1]
            results.append(mask)
        return results

    def _steps(self, held: Sequence[_Array], xs: _Array, targets: _Array, eta: _Array) -> tuple[list[_Array], int]:
        """The state after all steps, and the status; `xs` and `targets` have an axis of steps in front."""
        state = self.module.state
        rows = self._rows_of(state, held)
        shapes = [self._shape(array, rows) for array in state]
        leads = [a.shape[: a.ndim - len(s)] for a, s in zip(held, shapes, strict=True)]
        lead = np.broadcast_shapes(*leads, xs.shape[1:-1], targets.shape[1:-1], eta.shape)
        dtype = np.result_type(*held)
        result = [np.array(np.broadcast_to(a, lead + s), dtype, order="C") for a, s in zip(held, shapes, strict=True)]
        call = Call(self._most)
        call.set(networks=prod(lead), steps=len(xs), rows=rows)
        call.point(work=np.empty(4 * rows + 1, dtype))
        for k, (array, shape) in enumerate(zip(result, shapes, strict=True)):
            call.place(k, array, prod(shape))
        for name, rows_ in (("x", xs), ("target", targets)):
            width = rows_.shape[-1]
            shared = prod(rows_.shape[1:-1]) == 1
            flat = rows_.reshape(len(rows_), width) if shared else np.broadcast_to(rows_, (len(rows_), *lead, width))
            flat = np.ascontiguousarray(flat, dtype)
            call.point(**{name: flat})
            distance = {f"{name}_network": 0 if shared else width}
            call.set(**distance, **{f"{name}_step": width if shared else width * prod(lead)})
        flat_eta, distance_eta = _spread(eta.astype(dtype, copy=False), (), lead)
        call.point(eta=flat_eta)
        call.set(eta_network=distance_eta)
        return result, int(self.library(dtype).function("run")(call.address))

    @staticmethod
    def _rows_of(arrays: Sequence[Array], values: Sequence[_Array]) -> int:
        return next((v.shape[-2] for a, v in zip(arrays, values, strict=False) if a.name == "X"), 0)

    def _shape(self, array: Array, rows: int) -> tuple[int, ...]:
        sizes = self.module.sizes
        return tuple(rows if axis.kind == STORED_KIND else sizes[axis] for axis in array.axes)


def _spread(array: _Array, shape: tuple[int, ...], lead: tuple[int, ...]) -> tuple[_Array, int]:
    """The array in one piece, and the distance from one network to the next: 0 where all share it."""
    if prod(array.shape[: array.ndim - len(shape)]) == 1:
        return np.ascontiguousarray(array), 0
    return np.ascontiguousarray(np.broadcast_to(array, lead + shape)), prod(shape)


class Batch:
    """Many networks in the layout of the vector registers: packed once, stepped in place, unpacked when read.

        batch = kernel.batch(state, threads=2)      state: a named tuple of arrays (N, ...), or a sequence of states
        batch.step(x, target, eta)                  x (n_0,) for all, or (N, n_0); target and eta alike
        batch.run(xs, targets, eta)                 the same with an axis of steps in front
        batch.state                                 arrays (N, ...)

    `hold` packs inputs once that stay the same from step to step. What is undefined is raised by the step in which
    it happens, with the state as that step left it; Diverged when `state` is read.
    """

    def __init__(self, kernel: NativeKernel, states: Any, threads: int = 1) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
            raise ArgumentError(f"threads is {str(threads)[:40]}: give a whole number from 1.")
        if kernel.module.stored:
            raise ArgumentError(
                f"{kernel.scheme.name} grows with its inputs: use run, which takes many networks as well."
            )
        if not hasattr(states, "_fields"):
            states = kernel.State(*(np.stack(arrays) for arrays in zip(*states, strict=True)))
        self.kernel, self._threads = kernel, threads
        x = np.zeros(kernel.network.inputs)
        arrays = kernel._checked(states, False, x=x, target=np.zeros(kernel.network.widths[-1]), eta=0.0)
        arrays = arrays[: len(kernel.scheme.state)]
        self._shapes = [kernel._shape(array, 0) for array in kernel.scheme.state]
        leads = [a.shape[: a.ndim - len(s)] for a, s in zip(arrays, self._shapes, strict=True)]
        self._lead = np.broadcast_shapes(*leads)
        self.networks = prod(self._lead)
        if not self.networks:
            raise ArgumentError("batch got no networks: give arrays with at least one.")
        single = all(np.asarray(array).dtype == np.float32 for array in states)
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self._library = kernel.library(self.dtype)
        self.lanes = self._library.lanes
        self._blocks = -(-self.networks // self.lanes)
        self._memory = [
            self._packed(np.broadcast_to(a, self._lead + s).reshape(self.networks, prod(s)))
            for a, s in zip(arrays, self._shapes, strict=True)
        ]
        self._held: dict[str, tuple[_Array, int, int, int]] = {}
        self._calls = self._prepared()
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def _packed(self, flat: _Array) -> _Array:
        """(N, size) => (blocks, size, lanes), the last block filled up with copies of the last network."""
        result = _aligned((self._blocks, flat.shape[1], self.lanes), self.dtype)
        full = self.networks // self.lanes
        result[:full] = flat[: full * self.lanes].reshape(full, self.lanes, flat.shape[1]).transpose(0, 2, 1)
        if full < self._blocks:
            result[full] = flat[-1][:, None]
            result[full, :, : self.networks - full * self.lanes] = flat[full * self.lanes :].T
        return result

    def _prepared(self) -> list[Call]:
        """A call for each thread, over its share of the blocks."""
        share = -(-self._blocks // self._threads)
        calls = []
        for start in range(0, self._blocks, share):
            call = Call(self.kernel._most)
            call.set(networks=min(share, self._blocks - start), steps=1)
            for k, memory in enumerate(self._memory):
                call.place(k, memory[start:], memory.shape[1])
            calls.append(call)
        return calls

    def hold(
        self, x: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None, eta: npt.ArrayLike | None = None
    ) -> None:
        """Inputs for every step that is not given others; packed once."""
        for name, value in (("x", x), ("target", target), ("eta", eta)):
            if value is not None:
                self._held[name] = self._input(name, np.asarray(value)[None])

    def _input(self, name: str, value: _Array) -> tuple[_Array, int, int, int]:
        """(memory, distance between steps, between blocks, steps), in numbers of a register each."""
        width = {"x": self.kernel.network.inputs, "target": self.kernel.network.widths[-1], "eta": 1}[name]
        rows = value[..., None] if name == "eta" else value
        bad = rows.dtype.kind not in "fiu" or rows.shape[-1] != width or not all_finite(rows)
        lead = rows.shape[1:-1]
        if bad or (prod(lead) != 1 and lead != self._lead):
            raise ArgumentError(
                f"{name} has shape {value.shape[1:]}: give finite numbers, one set for all networks or one for each of "
                f"{self._lead}."
            )
        steps = len(rows)
        if prod(lead) == 1:
            memory = _aligned((steps, width, self.lanes), self.dtype)
            memory[...] = rows.reshape(steps, width, 1)
            return memory, width, 0, steps
        memory = _aligned((steps, self._blocks, width, self.lanes), self.dtype)
        for k, row in enumerate(rows):
            memory[k] = self._packed(row.reshape(self.networks, width).astype(self.dtype, copy=False))
        return memory, self._blocks * width, width, steps

    def step(
        self, x: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None, eta: npt.ArrayLike | None = None
    ) -> None:
        """One step of every network, in place. What is not given is what was held."""
        given = {"x": x, "target": target, "eta": eta}
        self._go({name: np.asarray(value)[None] for name, value in given.items() if value is not None}, 1)

    def run(self, xs: npt.ArrayLike, targets: npt.ArrayLike, eta: npt.ArrayLike | None = None) -> None:
        """A step of every network for each row of `xs` (steps, n_0) or (steps, N, n_0), and of `targets`."""
        inputs, wanted = np.asarray(xs), np.asarray(targets)
        if inputs.ndim < 2 or wanted.ndim < 2 or len(inputs) != len(wanted):
            raise ArgumentError(f"xs has {inputs.shape} and targets {wanted.shape}: both need one row per step.")
        given = {"x": inputs, "target": wanted}
        self._go(given | ({} if eta is None else {"eta": np.asarray(eta)[None]}), len(inputs))

    def _go(self, given: dict[str, _Array], steps: int) -> None:
        inputs = self._held | {name: self._input(name, value) for name, value in given.items()}
        if self.kernel.scheme.single_input:
            if "x" in given:
                self._same(given["x"])
            inputs.pop("x", None)
        needed = {"target", "eta"} if self.kernel.scheme.single_input else {"x", "target", "eta"}
        missing = needed - set(inputs)
        if missing:
            raise ArgumentError(f"The batch has no {', '.join(sorted(missing))}: give it to step, or hold it.")
        start = 0
        for call in self._calls:
            values = {"steps": steps}
            for name, (memory, per_step, per_block, _) in inputs.items():
                place = memory.ctypes.data + start * per_block * self.lanes * memory.itemsize
                values[name] = place
                values[f"{name}_network"] = per_block
                if name != "eta":
                    values[f"{name}_step"] = per_step if steps > 1 else 0
            call.set(**values)
            start += int(call.places[0])
        run = self._library.function("lanes")
        addresses = [call.address for call in self._calls]
        statuses = [run(addresses[0])] if self._pool is None else list(self._pool.map(run, addresses))
        if any(statuses):
            self._complain()

    def _same(self, x: _Array) -> None:
        norm, key = (memory.transpose(0, 2, 1).reshape(-1)[: self.networks] for memory in self._memory[-2:])
        flat = x.reshape(len(x), -1, x.shape[-1])
        for row in flat:
            self.kernel._same_input([norm, key], np.broadcast_to(row, (self.networks, x.shape[-1])))

    def _complain(self) -> None:
        values = dict(zip(self.kernel.State._fields, self._unpacked(), strict=True))
        lost = next((values[name] for name in ("r", "P") if name in values), None)
        mask = np.isnan(next(iter(values.values())))[..., None] if lost is None else np.isnan(lost).any(axis=-2)
        self.kernel._refuse(mask)
        refusal = self.kernel.scheme.refusal
        raise refusal.error(f"At an earlier step, {refusal.status}; start from an earlier state.")

    def _unpacked(self) -> list[_Array]:
        return [
            np.ascontiguousarray(memory.transpose(0, 2, 1))
            .reshape(-1, memory.shape[1])[: self.networks]
            .reshape(self._lead + shape)
            for memory, shape in zip(self._memory, self._shapes, strict=True)
        ]

    @property
    def state(self) -> Any:
        """The state of every network, unpacked. Raises Diverged where one is not finite."""
        arrays = self._unpacked()
        for name, array, shape in zip(self.kernel.State._fields, arrays, self._shapes, strict=True):
            if not all_finite(array):
                place = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])[: array.ndim - len(shape)]
                raise Diverged(
                    f"state.{name} of network {place} is not finite: training diverges; start from an earlier "
                    "state and take a smaller eta."
                )
        return self.kernel.State(*arrays)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
    """An empty array that starts where a vector register may be loaded from."""
    size = prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
