"""Schemes compiled to machine code: the same calls, many steps inside, and many networks in lanes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, CompileError, warn
from fcsym.kernel import neutral as n
from fcsym.kernel.arguments import all_finite, cast, goal, mode, point, rate, rows_of_steps
from fcsym.kernel.array_scheme import ArrayKernel
from fcsym.kernel.batch import Batch
from fcsym.kernel.bound import Bound, bound_arrays
from fcsym.kernel.native import Call, Library, load
from fcsym.kernel.scheme import SchemeKernel
from fcsym.kernel.targets.c import parameters_of
from fcsym.kernel.targets.c_native import native_text, work_of
from fcsym.language.expression import Array

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["LaneBatch", "NativeKernel", "aligned", "many", "native_kernel"]

_Array = npt.NDArray[Any]
_UNDEFINED = 1
_KEPT = 1 << 18  # numbers of work memory that are kept from one call to the next, at most


def native_kernel(scheme: SchemeRecord) -> SchemeKernel:
    """The scheme in machine code; with a warning, the NumPy kernel where there is no compiler."""
    kernel = NativeKernel(scheme)
    try:
        kernel.library(np.float64)
    except CompileError as problem:
        warn(f"{problem} Until then the NumPy kernel does the work.", RuntimeWarning)
        return ArrayKernel(scheme)
    return kernel


class NativeKernel(SchemeKernel):
    """A scheme's four functions in machine code, for one network or many at once."""

    target = "c"

    def __init__(self, scheme: SchemeRecord) -> None:
        super().__init__(scheme)
        self._numpy_step = self._namespace["step"]
        self.source = native_text(self.module)
        self._libraries: dict[np.dtype[Any], Library] = {}
        self.work = work_of(self.module)  # numbers that a call needs besides its arrays
        self._kept = threading.local()
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
        eta: npt.ArrayLike | None = None,
        undefined: str = "raise",
    ) -> Any:
        """The state after one step for each row of `xs` (steps, ..., n_0) and `targets` (steps, ..., n_L), in one call.

        Errors as for `step`, with the number of the step, from 1.
        """
        marks = mode(undefined)
        xs = point(self.network, xs, state)
        inputs, wanted = rows_of_steps(xs, goal(self.network, targets, xs, not marks), state)
        if not len(inputs):
            return super().run(state, xs, targets, eta, undefined)
        first = self._checked(state, marks, x=inputs[0], target=wanted[0], eta=rate(self.network, eta))
        dtype, held = first[0].dtype, first[: len(self.scheme.state)]
        inputs, wanted = self._rows("x", inputs, dtype), self._rows("target", wanted, dtype)
        if self.scheme.single_input:
            self._same_inputs(held, inputs)
        if self._stored:
            # one network: each input once, in the order in which steps one by one would meet them
            met = np.sort(np.unique(inputs, axis=0, return_index=True)[1]) if inputs.ndim == 2 else range(len(inputs))
            for at in met:
                held = self._remember(held, inputs[at])
        result, status = self._steps(held, inputs, wanted, first[-1])
        after = self._state(result, first)
        good = not status and all(all_finite(array) for array in after)
        return after if good or marks else super().run(state, xs, targets, eta, undefined)  # which step it was

    def _same_inputs(self, held: Sequence[_Array], inputs: _Array) -> None:
        """All steps at once, and one by one where one is another, so that the sentence is that of a step."""
        told = zip(held[-3:], self.scheme.state[-3:], strict=True)
        ones = (1,) * max(value.ndim - len(array.axes) for value, array in told)  # steps stay in front of all networks
        try:
            self._same_input(held, inputs.reshape(len(inputs), *ones, *inputs.shape[1:]))
        except ArgumentError:
            for x in inputs:
                self._same_input(held, x)
            raise

    def _rows(self, name: str, array: _Array, dtype: np.dtype[Any]) -> _Array:
        shape = self.network.one_input if name == "x" else self.network.one_target
        if (
            array.ndim < 1 + len(shape) + self.module.samples
            or array.shape[-len(shape) :] != shape
            or array.dtype.kind not in "fiu"
            or not all_finite(array)
        ):
            raise ArgumentError(
                f"{name}s must be finite real numbers of shape (steps, ..., {', '.join(map(str, shape))})."
            )
        return array if array.dtype == dtype else cast(f"{name}s", array, dtype)

    def bind(
        self, state: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike, eta: npt.ArrayLike
    ) -> Bound:
        """One network pinned in memory; see `ArrayKernel.bind`. A stored input's row is added here."""
        if self.module.samples:
            raise CompileError(f"{self.scheme.name} in mini-batches has no bound form: use step or run.")
        arrays = self._checked(state, False, x=x, target=target, eta=eta)
        held = arrays[: len(self.scheme.state)]
        self._same_input(held, arrays[-3])
        bound_arrays(self, arrays)
        if self._stored:
            held = self._remember(held, arrays[-3])
        return Bound(self, self.library(arrays[0].dtype), [*held, *arrays[-3:]])

    def batch(self, states: Any, threads: int = 1) -> LaneBatch:
        """Many networks, packed once into the layout of the machine's vector registers; see `ArrayKernel.batch`."""
        return LaneBatch(self, states, threads)

    # ---------------------------------------------------------------------------------------------- the calls

    def _call(self, name: str, arrays: Sequence[_Array]) -> Any:
        if name == "step":
            function = self.module["step"]
            own = len(self.module.state)
            given = dict(zip((array.name for array in function.given), arrays, strict=True))
            unread = np.zeros((1,) * len(self.network.input.axes), given["yg"].dtype)
            x = given.get("x", unread)[None]
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
        dtype = np.result_type(*arrays)
        results, status = many(self.library(dtype), self.module, name, arrays, self._memory)
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
        # the last axes of x and of the target: of a mini-batch the samples, and those of one
        own = {
            name: len(shape) + self.module.samples
            for name, shape in (("x", self.network.one_input), ("target", self.network.one_target))
        }
        rows = targets.shape[-own["target"]] if self.module.samples else rows_of(state, held)
        shapes = [shape_of(array, self.module, rows) for array in state]
        leads = [a.shape[: a.ndim - len(s)] for a, s in zip(held, shapes, strict=True)]
        lead = np.broadcast_shapes(*leads, xs.shape[1 : -own["x"]], targets.shape[1 : -own["target"]], eta.shape)
        dtype = np.result_type(*held)
        result = [np.array(np.broadcast_to(a, lead + s), dtype, order="C") for a, s in zip(held, shapes, strict=True)]
        call = Call(self._most)
        call.set(networks=prod(lead), steps=len(xs), rows=rows)
        call.point(work=self._memory(rows, np.dtype(dtype)))
        for k, (array, shape) in enumerate(zip(result, shapes, strict=True)):
            call.place(k, array, prod(shape))
        for name, rows_ in (("x", xs), ("target", targets)):
            axes = own[name]
            point = rows_.shape[-axes:]
            width = prod(point)
            shared = prod(rows_.shape[1:-axes]) == 1
            ones = (1,) * (len(lead) - (rows_.ndim - 1 - axes))  # the axis of steps stays in front
            spread = rows_.reshape(len(rows_), *ones, *rows_.shape[1:])
            flat = rows_.reshape(len(rows_), width) if shared else np.broadcast_to(spread, (len(rows_), *lead, *point))
            flat = np.ascontiguousarray(flat, dtype)
            call.point(**{name: flat})
            distance = {f"{name}_network": 0 if shared else width}
            call.set(**distance, **{f"{name}_step": width if shared else width * prod(lead)})
        flat_eta, distance_eta = _spread(eta.astype(dtype, copy=False), (), lead)
        call.point(eta=flat_eta)
        call.set(eta_network=distance_eta)
        return result, int(self.library(dtype).function("run")(call.address))

    def _memory(self, rows: int, dtype: np.dtype[Any]) -> _Array:
        """Work memory for a call; what is not large is kept, for each thread, since fresh memory costs time."""
        size = self.work.at(rows) + 1
        kept: dict[Any, _Array] = self._kept.__dict__
        if size > _KEPT:
            return aligned((size,), dtype)
        if dtype not in kept or len(kept[dtype]) != size:
            kept[dtype] = aligned((size,), dtype)
        return kept[dtype]


def many(
    library: Library, module: n.Module, name: str, arrays: Sequence[_Array],
    memory: Callable[[int, np.dtype[Any]], _Array],
) -> tuple[list[_Array], int]:  # fmt: skip
    """What kernel_NAME gives for all networks, and its status; `memory`: what it works in, by rows and precision."""
    function = module[name]
    rows = rows_of(function.given, arrays)
    shapes = [shape_of(array, module, rows) for array in (*function.given, *function.results)]
    lead = np.broadcast_shapes(*(a.shape[: a.ndim - len(s)] for a, s in zip(arrays, shapes, strict=False)))
    dtype = np.result_type(*arrays)
    call = Call(max(len(parameters_of(function, module)) for function in module.functions))
    call.set(networks=prod(lead), rows=rows)
    call.point(work=memory(rows, np.dtype(dtype)))
    results = [np.empty(lead + shape, dtype) for shape in shapes[len(arrays) :]]
    for k, (array, shape) in enumerate(zip(arrays, shapes, strict=False)):
        call.place(k, *_spread(array.astype(dtype, copy=False), shape, lead))
    for k, result in enumerate(results, len(arrays)):
        call.place(k, result, prod(shapes[k]))
    return results, int(library.function(name)(call.address))


def rows_of(arrays: Sequence[Array], values: Sequence[_Array]) -> int:
    """How many inputs are stored, or samples given: the length of the open axis."""
    given = zip(arrays, values, strict=False)
    return next((v.shape[-len(a.axes)] for a, v in given if len(a.axes) > 1 and a.axes[0].open), 0)


def shape_of(array: Array, module: n.Module, rows: int) -> tuple[int, ...]:
    """The lengths of an array's axes, `rows` of an open one."""
    return tuple(rows if axis.open else module.sizes[axis] for axis in array.axes)


def _spread(array: _Array, shape: tuple[int, ...], lead: tuple[int, ...]) -> tuple[_Array, int]:
    """The array in one piece, and the distance from one network to the next: 0 where all share it."""
    if prod(array.shape[: array.ndim - len(shape)]) == 1:
        return np.ascontiguousarray(array), 0
    return np.ascontiguousarray(np.broadcast_to(array, lead + shape)), prod(shape)


class LaneBatch(Batch):
    """Networks interleaved in blocks of a vector register: one machine instruction goes over all of a block."""

    kernel: NativeKernel

    def _place(self, arrays: list[_Array]) -> None:
        self._library = self.kernel.library(self.dtype)
        self.lanes = self._library.lanes
        self._blocks = -(-self.networks // self.lanes)
        self._memory = [self._packed(a) for a in arrays]
        self._calls = self._prepared()

    def _packed(self, flat: _Array) -> _Array:
        """(N, size) => (blocks, size, lanes), the last block filled up with copies of the last network."""
        result = aligned((self._blocks, flat.shape[1], self.lanes), self.dtype)
        full = self.networks // self.lanes
        result[:full] = flat[: full * self.lanes].reshape(full, self.lanes, flat.shape[1]).transpose(0, 2, 1)
        if full < self._blocks:
            result[full] = flat[-1][:, None]
            result[full, :, : self.networks - full * self.lanes] = flat[full * self.lanes :].T
        return result

    def _flat(self) -> list[_Array]:
        return [
            np.ascontiguousarray(memory.transpose(0, 2, 1)).reshape(-1, memory.shape[1])[: self.networks]
            for memory in self._memory
        ]

    def _prepared(self) -> list[Call]:
        """A call for each thread, over its share of the blocks."""
        share = -(-self._blocks // self._threads)
        calls, work = [], work_of(self.kernel.module, self.lanes).fixed
        for start in range(0, self._blocks, share):
            call = Call(self.kernel._most)
            call.set(networks=min(share, self._blocks - start))
            call.point(work=aligned((work,), self.dtype))
            for k, memory in enumerate(self._memory):
                call.place(k, memory[start:], memory.shape[1])
            calls.append(call)
        return calls

    def _packed_input(self, rows: _Array, shape: tuple[int, ...]) -> tuple[_Array, int, int]:
        """(memory, distance between steps, between blocks), in numbers of a register each."""
        del shape  # one number after another
        steps, networks, width = rows.shape
        if networks == 1:
            memory = aligned((steps, width, self.lanes), self.dtype)
            memory[...] = rows.reshape(steps, width, 1)
            return memory, width, 0
        memory = aligned((steps, self._blocks, width, self.lanes), self.dtype)
        for k, row in enumerate(rows):
            memory[k] = self._packed(row)
        return memory, self._blocks * width, width

    def _advance(self, inputs: Mapping[str, Any], steps: int) -> bool:
        start = 0
        for call in self._calls:
            values = {"steps": steps}
            for name, (memory, per_step, per_block) in inputs.items():
                values[name] = memory.ctypes.data + start * per_block * self.lanes * memory.itemsize
                values[f"{name}_network"] = per_block
                if name != "eta":
                    values[f"{name}_step"] = per_step if steps > 1 else 0
            call.set(**values)
            start += int(call.places[0])
        return self._shares(self._library.function("lanes"), [call.address for call in self._calls])


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Array:
    """An empty array that starts where a vector register may be loaded from."""
    size = prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
