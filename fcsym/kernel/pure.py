"""Schemes as pure functions of another library's arrays: `compile("jax")` and `compile("torch")`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fcsym.errors import ArgumentError, CompileError
from fcsym.kernel.arguments import as_array, goal, parameters, point, rate
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.said import say_shapes, shapes
from fcsym.kernel.targets.base import Target

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["PureKernel", "installed", "library", "pure_kernel"]


def pure_kernel(scheme: SchemeRecord, target: Target) -> PureKernel:
    """The scheme's four functions in JAX or PyTorch. Raises CompileError where that is not installed."""
    installed(target.name)
    return PureKernel(scheme, target)


def installed(target: str) -> None:
    """CompileError where the library of a target is not there."""
    if find_spec(target) is None:
        raise CompileError(
            f"The target {target!r} needs the package {target}: install it with pip install 'fcsym[{target}]'."
        )


class PureKernel:
    """init, step, output and expand as functions of arrays; nothing in them depends on a value.

    They can be traced, compiled, mapped and differentiated. What is undefined is nan, nothing is raised but for missing
    arguments and wrong shapes, and the scheme for any inputs with stored ones takes `capacity` at `init`. Arrays of
    another library, NumPy's too, and lists become the library's own, in the precision and on the device of the state.
    """

    def __init__(self, scheme: SchemeRecord, target: Target) -> None:
        self.scheme, self.network, self.order, self.module = scheme, scheme.network, scheme.order, lower_scheme(scheme)
        self.target = target.name
        self.source = target.source(self.module)
        made = ModuleType(f"_fcsym_{target.name}_{scheme.name.replace(' ', '_')}_{self.module.digest}")
        sys.modules[made.__name__] = made  # where torch.compile looks for what the functions call
        namespace = vars(made)
        # The text was generated from derivations; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(self.source, f"<fcsym {target.name} {scheme.name}>", "exec"), namespace)
        self.State = say_shapes(namespace["State"], "state", f"{self.module.title}, target {self.target}")
        self._functions = {name: namespace[name] for name in ("init", "step", "output", "expand")}
        self._plain = {name: namespace[f"_{name}"] for name in self._functions}
        self._own, self._make = library(target.name)

    def __repr__(self) -> str:
        held = shapes((array.name, self.network.lengths(array)) for array in self.scheme.state)
        return f"<kernel: {self.module.title}, target {self.target}; state {held}>"

    def init(self, weights: Sequence[Any], x: Any = None, capacity: int | None = None) -> Any:
        """The state of a conventional network; `capacity`: how many inputs `history` has room for (64).

        Raises ArgumentError for a wrong number of arrays, wrong shapes, and a capacity where nothing is stored.
        """
        room = {} if capacity is None else {"capacity": capacity}
        if room and (not self.module.stored or isinstance(capacity, bool) or not isinstance(capacity, int)):
            raise ArgumentError(f"capacity is {capacity!r}: give history a whole number, and other schemes none.")
        if room and not 1 <= room["capacity"] <= 1_000_000:
            raise ArgumentError(f"capacity is {capacity}: give a whole number from 1 to 1000000.")
        held = self._weights(weights)
        return self._functions["init"](held, *self._vectors(held[0], x=self._rows(x, held[0])), **room)

    def step(self, state: Any, x: Any, target: Any, eta: Any = None) -> Any:
        """The state after one training step; `eta` may be left out where the update rule has one."""
        held = self._held(state)
        x = self._rows(x, held[0])
        if not isinstance(target, self._own):
            target = goal(self.network, target, x, False)
        points = self._vectors(held[0], x=x, target=target)
        if self.network.batch:
            arrays = (self.network.input, self.network.target)
            given, wanted = (p.shape[-len(array.axes)] for p, array in zip(points, arrays, strict=True))
            if given != wanted:
                raise ArgumentError(f"target has {wanted} samples and x has {given}: give as many.")
        return self._functions["step"](held, *points, rate(self.network, eta))

    def output(self, state: Any, x: Any) -> Any:
        """The output of the network that the state stands for."""
        held = self._held(state)
        return self._functions["output"](held, *self._vectors(held[0], x=self._rows(x, held[0])))

    def expand(self, state: Any, weights: Sequence[Any] = (), x: Any = None) -> Any:
        """The weights that backpropagation has after the same steps."""
        if not self.scheme.single_input:
            return self._functions["expand"](self._held(state))
        held = self._weights(weights)
        return self._functions["expand"](self._held(state), held, *self._vectors(held[0], x=self._rows(x, held[0])))

    def unchecked(self, name: str, arrays: Sequence[Any]) -> Sequence[Any]:
        """What a function gives for arrays that are known to fit, in the order of its signature."""
        made: Sequence[Any] = self._plain[name](*arrays)
        return made

    # ------------------------------------------------------------------------------------------- arguments

    def _rows(self, x: Any, like: Any) -> Any:
        """x, with rows of 0 and a 1 where it is tokens; the library's own arrays may be traced, and are looked up."""
        if x is None:
            return None
        if not self.network.tokens or not isinstance(x, self._own):
            return point(self.network, x)
        *own, count = self.network.shape_in
        given: Any = x
        whole, last = _is_whole(given), tuple(given.shape)[-len(own) - 1 :]
        tokens = whole and last[-len(own) :] == tuple(own) and last != (*own, count)
        return self._make(np.eye(count), like)[given] if tokens else given

    def _weights(self, weights: Any) -> list[Any]:
        given = parameters(self.network, weights)
        arrays = self._reals([(a.name, a.value) for a in given], None)
        for argument, array in zip(given, arrays, strict=True):
            self._fits(argument.name, array, argument.shape)
        return arrays

    def _held(self, state: Any) -> Any:
        names = self.State._fields
        if not hasattr(state, "__len__") or len(state) != len(names):
            raise ArgumentError(f"state must have {len(names)} arrays, {', '.join(names)}: use init.")
        held = zip((f"state.{name}" for name in names), state, strict=True)
        return self.State(*self._converted(list(held), None))

    def _vectors(self, like: Any, **values: Any) -> list[Any]:
        network = self.network
        shapes = {"x": network.lengths(network.input), "target": network.lengths(network.target)}
        given = [(name, value) for name, value in values.items() if value is not None]
        arrays = dict(zip((name for name, _ in given), self._reals(given, like), strict=True))
        for name, array in arrays.items():
            self._fits(name, array, shapes[name])
        return [arrays.get(name) for name in values]

    def _converted(self, values: Sequence[tuple[str, Any]], like: Any) -> list[Any]:
        """The library's arrays as they are, others as ones like `like`, or like the first of them."""
        like = next((value for _, value in values if isinstance(value, self._own)), like)
        other = {name: as_array(name, value) for name, value in values if not isinstance(value, self._own)}
        real = np.result_type(np.float32, *(array.dtype for array in other.values())) if other else None
        return [self._make(other[name].astype(real), like) if name in other else value for name, value in values]

    def _reals(self, values: Sequence[tuple[str, Any]], like: Any) -> list[Any]:
        """The same, but whole numbers of the library are made real: PyTorch multiplies no matrices of two types."""
        own = [value for _, value in values if isinstance(value, self._own) and not _is_whole(value)]
        like = own[0] if own else like

        def real(value: Any) -> Any:
            if not (isinstance(value, self._own) and _is_whole(value)):
                return value
            given: Any = value
            return given * 1.0 if like is None else self._make(given, like)

        return self._converted([(name, real(value)) for name, value in values], like)

    @staticmethod
    def _fits(name: str, array: Any, shape: tuple[int | str | None, ...]) -> None:
        found = tuple(array.shape)
        tail = found[len(found) - len(shape) :]
        wrong = len(found) < len(shape) or any(isinstance(n, int) and n != m for n, m in zip(shape, tail, strict=True))
        if wrong or 0 in tail:
            raise ArgumentError(f"{name} has shape {found}: it must be ({', '.join(('...', *map(str, shape)))}).")


def _is_whole(array: Any) -> bool:
    """Whether an array of a library holds whole numbers."""
    return "int" in str(array.dtype)


def library(name: str) -> tuple[type, Callable[[Any, Any], Any]]:
    """The type of a library's arrays, and how a NumPy array becomes one like another."""
    if name == "torch":
        import torch

        def tensor(array: Any, like: Any) -> Any:
            if like is None:
                return torch.as_tensor(array)
            return torch.as_tensor(array, dtype=like.dtype, device=like.device)

        return torch.Tensor, tensor
    import jax

    return jax.Array, lambda array, like: jax.numpy.asarray(array, dtype=None if like is None else like.dtype)
