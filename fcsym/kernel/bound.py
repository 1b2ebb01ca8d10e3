"""One network pinned in memory: no argument is checked or copied between two steps."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, Diverged
from fcsym.kernel import neutral as n
from fcsym.kernel.arguments import all_finite, as_array, cast
from fcsym.kernel.native import NOT_FINITE, Call, Library
from fcsym.kernel.said import shapes
from fcsym.kernel.targets.straight import columns, python_function, unroll

if TYPE_CHECKING:
    from fcsym.kernel.scheme import SchemeKernel

__all__ = ["FUNCTIONS", "Bound", "BoundNumbers", "bound_arrays"]

_Array = npt.NDArray[Any]


def bound_arrays(kernel: SchemeKernel, arrays: Sequence[_Array]) -> None:
    """ArgumentError unless the arrays, state and x, target, eta, are those of one network."""
    own = *kernel.scheme.state, kernel.network.input, kernel.network.target
    tails = [*(len(array.axes) for array in own), 0]
    if any(array.ndim > tail for array, tail in zip(arrays, tails, strict=True)):
        raise ArgumentError("bind takes one network, and these arrays have leading axes: use batch or step for many.")


class _Pinned:
    """What both kinds share: named values that can be set, and a state that can be read."""

    step: Callable[[], Any]
    """One training step, without arguments."""

    def __init__(self, kernel: SchemeKernel, arrays: Sequence[_Array]) -> None:
        self._kernel = kernel
        self._held = [np.array(array, order="C") for array in arrays[: len(kernel.scheme.state)]]
        self._inputs = dict(zip(("x", "target", "eta"), (np.array(a, order="C") for a in arrays[-3:]), strict=True))

    def __repr__(self) -> str:
        held = shapes(zip(self._kernel.State._fields, (array.shape for array in self._held), strict=True))
        return f"<bound step: {self._kernel.module.title}, target {self._kernel.target}; state {held}>"

    def _numbers(self, name: str, value: npt.ArrayLike) -> _Array:
        given = as_array(name, value)
        if given.shape != self._inputs[name].shape or not all_finite(given):
            raise ArgumentError(f"{name} must be finite numbers of shape {self._inputs[name].shape}.")
        array = cast(name, given, self._inputs[name].dtype)
        if name == "x":
            self._kernel._same_input(self._read(), array)
        return array

    def _given_numbers(self, **values: npt.ArrayLike | None) -> dict[str, _Array]:
        """All of what is given, looked at before any of it is set."""
        return {name: self._numbers(name, value) for name, value in values.items() if value is not None}

    def _read(self) -> list[_Array]:
        raise NotImplementedError

    @property
    def state(self) -> Any:
        """The state as arrays of its own. Raises Diverged where it is not finite."""
        result = self._kernel.State(*(array.copy() for array in self._read()))
        for name, array in zip(result._fields, result, strict=True):
            if not all_finite(array):
                raise Diverged(
                    f"state.{name} is not finite: training diverges; bind an earlier state with smaller eta."
                )
        return result


class Bound(_Pinned):
    """Buffers that compiled code works on; `step` goes from Python straight into it."""

    def __init__(self, kernel: SchemeKernel, library: Library, arrays: Sequence[_Array]) -> None:
        super().__init__(kernel, arrays)
        call = Call(max(len(self._held), kernel._most))  # type: ignore[attr-defined]
        x, target, eta = self._inputs.values()
        rows = max(
            (len(a) for a, own in zip(self._held, kernel.scheme.state, strict=True) if own.name == "X"), default=0
        )
        call.set(
            networks=1,
            steps=1,
            rows=rows,
            error=id(ArgumentError if kernel.module.stored else kernel.scheme.refusal.error),
        )
        work = kernel.work.at(rows)  # type: ignore[attr-defined]
        call.point(x=x, target=target, eta=eta, work=np.zeros(work + 1, x.dtype))
        for k, array in enumerate(self._held):
            call.place(k, array, 0)
        self.step = _callable(library.address("bound"), call, library)
        self._call, self._run = call, library.function("steps")
        self._many = not (kernel.module.single_input or kernel.module.stored)
        call.set(x_step=x.size, target_step=target.size)
        self._own = x.ctypes.data, target.ctypes.data

    def set(
        self, x: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None, eta: npt.ArrayLike | None = None
    ) -> None:
        """Other numbers for the next step; ArgumentError for a wrong shape, or another input where one must stay."""
        for name, array in self._given_numbers(x=x, target=target, eta=eta).items():
            self._inputs[name][...] = array

    def run(self, xs: npt.ArrayLike, targets: npt.ArrayLike) -> None:
        """One step for each row of `xs` and `targets`, which have an axis of steps in front, in place and in one call.

        What the scheme raises where one of the steps is undefined; ArgumentError for wrong shapes, for numbers that are
        not finite, and for schemes that hold one input or store them.
        """
        x, target = self._inputs["x"], self._inputs["target"]
        with np.errstate(all="ignore"):  # what does not fit is not finite, which the compiled loop looks at
            rows, wanted = np.ascontiguousarray(xs, x.dtype), np.ascontiguousarray(targets, x.dtype)
        if not self._many:
            raise ArgumentError(f"{self._kernel.scheme.name} looks at every input: use kernel.run.")
        status = NOT_FINITE
        if rows.shape == (len(rows), *x.shape) and wanted.shape == (len(rows), *target.shape):
            self._call.between(len(rows), rows.ctypes.data, wanted.ctypes.data)
            status = self._run(self._call.address)  # which looks at all of them first
            self._call.between(1, *self._own)
        if status & NOT_FINITE:
            shapes_of = (f"(steps, {', '.join(map(str, array.shape))})" for array in (x, target))
            raise ArgumentError(f"xs and targets must be finite, of shapes {' and '.join(shapes_of)}.")
        if status:
            refusal = self._kernel.scheme.refusal
            raise refusal.error(refusal.said())

    def _read(self) -> list[_Array]:
        return self._held


class _MethodDef(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


_NO_ARGUMENTS = 4


def _callable(address: int, call: Call, library: Library) -> Callable[[], None]:
    """A function of Python that is machine code at an address; it keeps everything it needs alive."""
    api = ctypes.pythonapi
    api.PyCapsule_New.restype, api.PyCapsule_New.argtypes = ctypes.py_object, [ctypes.c_void_p] * 3
    api.PyCFunction_NewEx.restype = ctypes.py_object
    api.PyCFunction_NewEx.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    definition = _MethodDef(b"step", address, _NO_ARGUMENTS, b"One training step on the bound buffers.")
    capsule = api.PyCapsule_New(call.address, None, None)
    owner = (definition, call, library)  # the function holds its module, which is this
    result: Callable[[], None] = api.PyCFunction_NewEx(ctypes.addressof(definition), capsule, owner)
    return result


class BoundNumbers(_Pinned):
    """The same without a compiler: straight-line Python on single numbers."""

    def __init__(self, kernel: SchemeKernel, arrays: Sequence[_Array]) -> None:
        super().__init__(kernel, arrays)
        module = kernel.module
        flat = unroll(module["step"], module.sizes, module.constants)
        own = [array.name for array in module.state]
        shapes = {array.name: n.shape(array.axes, module.sizes) for array in flat.given}
        names = [c for array in flat.given for c in columns(array.name, shapes[array.name])]
        self._at = {c: k for k, c in enumerate(names)}
        made = {s.name for s in flat.statements if isinstance(s, n.Define)}
        results = [
            (new_c, old_c)
            for old, new in zip(module.state, flat.results, strict=True)
            for new_c, old_c in zip(
                columns(new.name, shapes[old.name]), columns(old.name, shapes[old.name]), strict=True
            )
            if new_c in made
        ]
        read = {load.name for s in flat.statements for load in n.loads(s)}
        self.source = python_function(flat, "step", [c for c in names if c in read], names, results)
        self._s = [float(v) for a in (*self._held, *self._given(flat, own)) for v in np.ravel(a)]
        namespace: dict[str, Any] = {"s": self._s, "nan": math.nan, **FUNCTIONS}
        # The text was generated from a derivation; names are fcsym's own.
        exec(compile(self.source, f"<fcsym bound {kernel.scheme.name}>", "exec"), namespace)
        function = namespace["step"]

        def step() -> None:
            """One training step."""
            if function():
                raise kernel.scheme.refusal.error(kernel.scheme.refusal.said())

        self.step = step if module.marks else function

    def _given(self, flat: n.Function, own: Sequence[str]) -> list[_Array]:
        self._extra = [array.name for array in flat.given if array.name not in own]
        return [self._inputs[{"yg": "target"}.get(name, name)] for name in self._extra]

    def set(
        self, x: npt.ArrayLike | None = None, target: npt.ArrayLike | None = None, eta: npt.ArrayLike | None = None
    ) -> None:
        """Other numbers for the next step; ArgumentError for a wrong shape, or another input where one must stay."""
        for name, array in self._given_numbers(x=x, target=target, eta=eta).items():
            own = {"target": "yg"}.get(name, name)
            if own in self._extra:
                for column, number in zip(columns(own, array.shape), np.ravel(array), strict=True):
                    self._s[self._at[column]] = float(number)

    def _read(self) -> list[_Array]:
        at = 0
        for array in self._held:
            with np.errstate(all="ignore"):  # what is not finite in single precision is said by the reader
                array[...] = np.reshape(self._s[at : at + array.size], array.shape)
            at += array.size
        return self._held


def _sigmoid(s: float) -> float:
    small = math.exp(-abs(s))
    return (1.0 if s > 0.0 else small) / (1.0 + small)


def _softplus(s: float) -> float:
    return max(s, 0.0) + math.log1p(math.exp(-abs(s)))


def _normal_cdf(s: float) -> float:
    return 0.5 * math.erfc(-s / math.sqrt(2.0))


def _normal_pdf(s: float) -> float:
    return math.exp(-0.5 * s * s) / math.sqrt(2.0 * math.pi)


def _overflowing(function: Callable[[float], float], most: float) -> Callable[[float], float]:
    def call(s: float) -> float:
        try:
            return function(s)
        except OverflowError:
            return most

    return call


def _outside(function: Callable[[float], float]) -> Callable[[float], float]:
    def call(s: float) -> float:
        try:
            return function(s)
        except ValueError:
            return math.nan

    return call


FUNCTIONS = {
    "tanh": math.tanh, "sigmoid": _sigmoid, "softplus": _softplus,
    "normal_cdf": _normal_cdf, "normal_pdf": _normal_pdf,
    "exp": _overflowing(math.exp, math.inf), "expm1": _overflowing(math.expm1, math.inf),
    "log": _outside(math.log), "log1p": _outside(math.log1p), "sqrt": _outside(math.sqrt),
    "erf": math.erf, "atan": math.atan, "sin": _outside(math.sin), "cos": _outside(math.cos), "Abs": abs,
}  # fmt: skip
"""The functions of one number, as `neutral.CALLS` has them; what is no number is none, and nothing is raised."""
