"""Many networks in a layout of their own: packed once, stepped in place, unpacked when read.

    batch = kernel.batch(state, threads=2)      state: a named tuple of arrays (N, ...), or a sequence of states
    batch.step(x, target, eta)                  x (n_0,) for all, or (N, n_0); target and eta alike
    batch.run(xs, targets, eta)                 the same with an axis of steps in front
    batch.state                                 arrays (N, ...)

A kernel chooses the layout: `TileBatch` has the networks last, so that one NumPy operation goes over many of them,
`ArrayBatch` first, for matrix products; machine code has one of its own in `native_scheme`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, Diverged, shown
from fcsym.kernel import neutral as n
from fcsym.kernel.arguments import all_finite, as_array, cast, mode, rows_of_steps
from fcsym.kernel.said import shapes
from fcsym.kernel.targets.tiles import tile_function

if TYPE_CHECKING:
    from fcsym.kernel.scheme import SchemeKernel

__all__ = ["ArrayBatch", "Batch", "TileBatch"]

_Array: TypeAlias = npt.NDArray[Any]


class Batch(ABC):
    """Many networks in the layout that suits what computes them.

    `hold` packs inputs once that stay the same from step to step. What is undefined is raised by the step in which
    it happens, with the state as that step left it; Diverged when `state` is read.
    """

    def __init__(self, kernel: SchemeKernel, states: Any, threads: int = 1) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
            raise ArgumentError(f"threads is {shown(threads)}: give a whole number from 1.")
        if kernel.module.stored:
            raise ArgumentError(
                f"{kernel.scheme.name} grows with its inputs: use run, which takes many networks as well."
            )
        if kernel.module.samples:
            raise ArgumentError(
                f"{kernel.scheme.name} in mini-batches has no layout of its own for many networks: use step or run, "
                "which take them as leading axes."
            )
        if not hasattr(states, "_fields"):
            states = _stacked(kernel, states)
        self.kernel, self._threads = kernel, threads
        arrays = kernel._checked(states, False)
        self.dtype = arrays[0].dtype
        self._shapes = [n.shape(array.axes, kernel.module.sizes) for array in kernel.scheme.state]
        leads = [a.shape[: a.ndim - len(s)] for a, s in zip(arrays, self._shapes, strict=True)]
        self._lead = np.broadcast_shapes(*leads)
        self.networks = prod(self._lead)
        if not self.networks:
            raise ArgumentError("batch got no networks: give arrays with at least one.")
        self._place(
            [
                np.broadcast_to(a, self._lead + s).reshape(self.networks, prod(s))
                for a, s in zip(arrays, self._shapes, strict=True)
            ]
        )
        # the last three numbers of a state that holds its input tell it from others, and no step changes them
        self._told = [np.array(a) for a in arrays[-3:]] if kernel.module.single_input else []
        self._held: dict[str, Any] = {}
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __repr__(self) -> str:
        kernel, count = self.kernel, "1 network" if self.networks == 1 else f"{self.networks} networks"
        held = shapes((name, self._lead + own) for name, own in zip(kernel.State._fields, self._shapes, strict=True))
        return f"<batch of {count}: {kernel.module.title}, target {kernel.target}; state {held}, {self.dtype}>"

    # -------------------------------------------------------------------------------------------- the layout

    @abstractmethod
    def _place(self, arrays: list[_Array]) -> None:
        """Pack a state of arrays (networks, numbers)."""

    @abstractmethod
    def _flat(self) -> list[_Array]:
        """The state as arrays (networks, numbers), contiguous and of their own."""

    @abstractmethod
    def _packed_input(self, rows: _Array, shape: tuple[int, ...]) -> Any:
        """Pack inputs (steps, networks or 1, width)."""

    @abstractmethod
    def _advance(self, inputs: Mapping[str, Any], steps: int) -> bool:
        """All steps of all networks, in place; whether one of them is undefined."""

    def _shares(self, work: Callable[[Any], bool], shares: list[Any]) -> bool:
        """Whether work on one of the shares says so; on all cores that were asked for."""
        return any([work(share) for share in shares] if self._pool is None else list(self._pool.map(work, shares)))

    # --------------------------------------------------------------------------------------------- the steps

    def hold(
        self, x: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None, eta: npt.ArrayLike | None = None
    ) -> None:
        """Inputs for every step that is not given others; packed once.

        Raises ArgumentError for wrong shapes, for numbers that are not finite, and for another input than that of
        `init` where the scheme holds one.
        """
        self._held |= self._inputs(_given(x=x, target=target, eta=eta))

    def step(
        self, x: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None, eta: npt.ArrayLike | None = None
    ) -> None:
        """One step of every network, in place. What is not given is what was held.

        Raises ArgumentError as `hold` does, and for what is neither given nor held; UndefinedContribution or GateEvent
        where the scheme is undefined for a network.
        """
        self._go(_given(x=x, target=target, eta=eta), 1)

    def run(self, xs: npt.ArrayLike, targets: npt.ArrayLike, eta: npt.ArrayLike | None = None) -> None:
        """A step of every network for each row of `xs` (steps, n_0) or (steps, N, n_0), and of `targets`.

        Errors as for `step`.
        """
        inputs, wanted = rows_of_steps(xs, targets)
        self._go({"x": inputs, "target": wanted} | _given(eta=eta), len(inputs))

    @property
    def state(self) -> Any:
        """The state of every network, unpacked. Raises Diverged where one is not finite."""
        return self.read()

    def read(self, undefined: str = "raise") -> Any:
        """The same; with undefined="nan" the numbers of networks that are lost are `nan` or `inf`, without an error."""
        marks = mode(undefined)
        arrays = self._unpacked()
        for name, array, shape in zip(self.kernel.State._fields, arrays, self._shapes, strict=True):
            if not marks and not all_finite(array):
                place = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])[: array.ndim - len(shape)]
                raise Diverged(
                    f"state.{name} of network {place} is not finite: it was undefined, or training diverges; "
                    'read(undefined="nan") gives the others.'
                )
        return self.kernel.State(*arrays)

    def _unpacked(self) -> list[_Array]:
        return [a.reshape(self._lead + shape) for a, shape in zip(self._flat(), self._shapes, strict=True)]

    def _inputs(self, given: Mapping[str, _Array]) -> dict[str, Any]:
        """What is given, looked at and packed; values have an axis of steps in front."""
        packed = {name: self._packed_input(self._rows(name, value), self._one(name)) for name, value in given.items()}
        if "x" in packed and self.kernel.module.single_input:
            self._same(given["x"])
            del packed["x"]  # the state knows it
        return packed

    def _one(self, name: str) -> tuple[int, ...]:
        """The last axes of one input, target or eta."""
        network = self.kernel.network
        return {"x": network.one_input, "target": network.one_target, "eta": (1,)}[name]

    def _rows(self, name: str, value: _Array) -> _Array:
        """(steps, networks or 1, width), in the batch's precision."""
        shape = self._one(name)
        rows = value[..., None] if name == "eta" else value
        bad = rows.ndim <= len(shape) or rows.shape[-len(shape) :] != shape or not all_finite(rows)
        lead = rows.shape[1 : -len(shape)]
        if bad or (prod(lead) != 1 and lead != self._lead):
            raise ArgumentError(
                f"{name} has shape {value.shape[1:]}: give finite numbers, one set for all networks or one for each of "
                f"{self._lead}."
            )
        return cast(name, rows.reshape(len(rows), prod(lead), prod(shape)), self.dtype)  # a copy: what is held is held

    def _go(self, given: Mapping[str, _Array], steps: int) -> None:
        inputs = self._held | self._inputs(given)
        needed = ("target", "eta") if self.kernel.module.single_input else ("x", "target", "eta")
        missing = [name for name in needed if name not in inputs]
        if missing:
            raise ArgumentError(f"The batch has no {', '.join(missing)}: give it to step, or hold it.")
        if self._advance(inputs, steps):
            self._complain()

    def _same(self, x: _Array) -> None:
        """ArgumentError for another input than that of `init`."""
        for row in x:
            lead = np.broadcast_shapes(self._lead, row.shape[:-1])
            self.kernel._same_input(self._told, np.broadcast_to(row, (*lead, x.shape[-1])), self.dtype)

    def _complain(self) -> None:
        values = dict(zip(self.kernel.State._fields, self._unpacked(), strict=True))
        lost = next((values[name] for name in ("r", "P") if name in values), None)
        mask = np.isnan(next(iter(values.values())))[..., None] if lost is None else np.isnan(lost).any(axis=-2)
        self.kernel._refuse(mask)
        refusal = self.kernel.scheme.refusal
        raise refusal.error(f"At an earlier step, {refusal.status}; start from an earlier state.")


def _stacked(kernel: SchemeKernel, states: Any) -> Any:
    """A sequence of states => one with a leading axis."""
    every = list(states) if hasattr(states, "__iter__") else []
    if not every or not all(hasattr(state, "_fields") for state in every):
        raise ArgumentError(
            "batch got no states: give what init or step returns, for many networks, or a list of such."
        )
    try:
        return kernel.State(*(np.stack(arrays) for arrays in zip(*every, strict=True)))
    except (TypeError, ValueError):
        raise ArgumentError("The states of a batch differ in shape: give states of one scheme and network.") from None


def _given(**values: npt.ArrayLike | None) -> dict[str, _Array]:
    """What is not None, with an axis of one step in front; ArgumentError for what is no array of real numbers."""
    return {name: as_array(name, value)[None] for name, value in values.items() if value is not None}


def _spans(total: int, count: int) -> list[tuple[int, int]]:
    """At most `count` spans of about the same length that cover range(total)."""
    share = -(-total // count)
    return [(start, min(start + share, total)) for start in range(0, total, share)]


class TileBatch(Batch):
    """The networks last: every number of a state is one row, and a NumPy operation goes over a tile of it.

    All steps of a tile are done while it is in the cache.
    """

    def _place(self, arrays: list[_Array]) -> None:
        self._memory = [
            np.array(a.T, order="C").reshape((*s, self.networks)) for a, s in zip(arrays, self._shapes, strict=True)
        ]
        module, space = self.kernel.module, self.kernel._namespace
        self._tile = tile_function(module["step"], module.sizes, module.constants)
        self._step, self._workspace = space["_step_tile"], space["_workspace"]
        self._fixed = [space[name].astype(self.dtype)[..., None] for name in self._tile.constants]
        numbers = sum(map(prod, (*self._shapes, *self._shapes, *self._tile.numbers, *self._tile.bits)))
        self._width = max(64, space["CACHE"] // (numbers * self.dtype.itemsize))

    def _flat(self) -> list[_Array]:
        return [np.array(memory.reshape(-1, self.networks).T, order="C") for memory in self._memory]

    def _packed_input(self, rows: _Array, shape: tuple[int, ...]) -> _Array:
        last = np.ascontiguousarray(rows.transpose(0, 2, 1))
        return last.reshape(len(rows), *shape, rows.shape[1])  # (steps, width, networks or 1)

    def _advance(self, inputs: Mapping[str, Any], steps: int) -> bool:
        def work(span: tuple[int, int]) -> bool:
            with np.errstate(all="ignore"):  # what is not finite is said when the state is read
                starts = range(*span, self._width)
                return any([self._steps(slice(k, min(k + self._width, span[1])), inputs, steps) for k in starts])

        return self._shares(work, _spans(self.networks, self._threads))

    def _steps(self, where: slice, inputs: Mapping[str, Any], steps: int) -> bool:
        """All steps of one tile; whether one of them is undefined."""
        tile, count = self._tile, where.stop - where.start
        held = [memory[..., where] for memory in self._memory]
        whole = np.dtype(f"i{self.dtype.itemsize}")
        kinds = ((*self._shapes, *tile.numbers), tile.masks, tile.bits)
        numbers, masks, bits = self._workspace(self.dtype, whole, kinds, count)
        made, numbers = numbers[: len(held)], numbers[len(held) :]
        undefined = np.zeros((tile.marks, count), bool)
        said = False
        for k in range(steps):
            given = []
            for name in ("x", "target", "eta"):
                if name in inputs:
                    rows = inputs[name]
                    row = rows[min(k, len(rows) - 1)]  # eta is one for all steps
                    given.append(row if row.shape[-1] == 1 else row[..., where])
            given[-1] = given[-1][0]  # eta has no axis of its own
            self._step(*held, *given, *self._fixed, *made, undefined, numbers, masks, bits, whole)
            for array, new in zip(held, made, strict=True):
                np.copyto(array, new)
            said = said or bool(undefined.any())
        return said


class ArrayBatch(Batch):
    """The networks first, and every step one call of the function of arrays: wide networks are matrix products."""

    def _place(self, arrays: list[_Array]) -> None:
        self._memory = [a.reshape(self.networks, *s).copy() for a, s in zip(arrays, self._shapes, strict=True)]

    def _flat(self) -> list[_Array]:
        return [memory.reshape(self.networks, -1).copy() for memory in self._memory]

    def _packed_input(self, rows: _Array, shape: tuple[int, ...]) -> _Array:
        return rows.reshape(*rows.shape[:2], *shape)  # (steps, networks or 1, width)

    def _advance(self, inputs: Mapping[str, Any], steps: int) -> bool:
        spans = [slice(*span) for span in _spans(self.networks, self._threads)]
        return self._shares(lambda where: self._steps(where, inputs, steps), spans)

    def _steps(self, where: slice, inputs: Mapping[str, Any], steps: int) -> bool:
        state, said = [memory[where] for memory in self._memory], False
        for k in range(steps):
            given = []
            for name in ("x", "target", "eta"):
                if name in inputs:
                    rows = inputs[name][min(k, len(inputs[name]) - 1)]
                    rows = rows if len(rows) == 1 else rows[where]
                    given.append(rows[:, 0] if name == "eta" else rows)
            with np.errstate(all="ignore"):
                made = list(self.kernel._namespace["step"](*state, *given))
            if self.kernel.module.marks:
                said = bool(made.pop().any()) or said
            state = made
        for memory, array in zip(self._memory, state, strict=True):
            memory[where] = array
        return said
