"""The scheme `collapsed` of one input and one output, as equations (`schemes.collapsed`), with gate events carried.

A state of one network knows the weights and the input that it began with. When a unit has left its piece, what the
state stands for is exact; so it is expanded, the units are put on the pieces that they are on now, and training goes
on. What those equations do not hold, several inputs and a unit that is on a kink with a slope, is trained on as any
network's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.events import Event, told
from fcsym.collapsing.gates_held import lines_of
from fcsym.collapsing.kernel import CollapsedKernel, CollapsedState, ManyStates
from fcsym.collapsing.state import LeftRange
from fcsym.errors import ArgumentError, Diverged, GateEvent

__all__ = ["OneInputKernel"]

_OF_SEVERAL = (CollapsedState, LeftRange, ManyStates)


@dataclass(frozen=True)
class _Start:
    """Where a state began, and what has happened since the first of them."""

    weights: list[Any]
    x: Any
    codes: npt.NDArray[np.int8]  # (units, 1)
    steps: int = 0
    events: tuple[Event, ...] = ()


class OneInputKernel:
    """A kernel of the one-input scheme that carries gate events; all else is that kernel's.

    `init` gives a state that carries them for one network and one input; of many networks, and where it is bound or
    packed, a unit that leaves its piece is refused as ever.
    """

    def __init__(self, inner: Any, general: Callable[[], CollapsedKernel]) -> None:
        self._inner, self._general = inner, general
        self._kernel: CollapsedKernel | None = None
        self._lines = lines_of(inner.network.layers[0].activation)
        own = {"start": None, "__doc__": inner.State.__doc__, "events": property(self.events)}
        self._state = type("State", (inner.State,), own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_inner" not in self.__dict__:  # asked while it is being copied
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def several(self) -> CollapsedKernel:
        """The kernel for what the equations of one input do not hold."""
        if self._kernel is None:
            self._kernel = self._general()
        return self._kernel

    # ------------------------------------------------------------------------------------------ the four functions

    def init(self, weights: Sequence[Any], x: Any = None, **settings: Any) -> Any:
        """The state; `x`: (n_0,), or (m, n_0) for several inputs of one network. Otherwise as the kernel's own."""
        shapes = [np.shape(w) for w in weights] if hasattr(weights, "__len__") else []
        alone = bool(shapes) and all(
            len(s) == len(theta.axes) for s, theta in zip(shapes, self._inner.network.parameters, strict=False)
        )
        if not alone or settings or x is None or self._is_traced:
            return self._inner.init(weights, x, **settings)
        if np.ndim(x) == 2:
            return self.several.init(weights, x)
        try:
            state = self._inner.init(weights, x)
        except GateEvent:  # on a kink with a slope
            return self.several.init(weights, x)
        if np.ndim(x) != 1:
            return state
        try:
            codes = self._codes(weights, x)
        except (RuntimeError, TypeError):  # numbers that are not there yet: a library maps or traces the call
            return state
        return self._carried(state, _Start(list(weights), x, codes))

    def step(self, state: Any, x: Any, target: Any, eta: Any = None, **settings: Any) -> Any:
        """The state after a step, with every unit on the piece that it then has; otherwise as the kernel's own."""
        if isinstance(state, _OF_SEVERAL):
            return self.several.step(state, x, target, eta, **settings)
        start: _Start | None = getattr(state, "start", None)
        if start is None or settings or self._is_traced:
            made = self._inner.step(state, x, target, eta, **settings)
            return self._state(*made) if isinstance(state, self._state) else made  # a loop of JAX keeps the type
        try:
            after = self._tried("step", state, x, target, eta)
        except GateEvent:
            again = self._again(state)
            if isinstance(again, CollapsedState):
                return self.several.step(again, x, target, eta)
            state, after = again, self._inner.step(again, x, target, eta)
        return self._carried(after, replace(state.start, steps=state.start.steps + 1))

    def output(self, state: Any, x: Any, **settings: Any) -> Any:
        """The output of the network that the state stands for."""
        if isinstance(state, _OF_SEVERAL):
            return self.several.output(state, x, **settings)
        if getattr(state, "start", None) is None or settings or self._is_traced:
            return self._inner.output(state, x, **settings)
        try:
            return self._tried("output", state, x)
        except GateEvent:
            again = self._again(state)
            if isinstance(again, CollapsedState):
                return self.several.output(again, x)
            return self._inner.output(again, x)

    def run(self, state: Any, xs: Any, targets: Any, eta: Any = None, **settings: Any) -> Any:
        """The state after one step for each row of `xs` and `targets`."""
        if isinstance(state, _OF_SEVERAL):
            return self.several.run(state, xs, targets, eta)
        start: _Start | None = getattr(state, "start", None)
        if start is None or settings:
            return self._inner.run(state, xs, targets, eta, **settings)
        try:
            after = self._inner.run(state, xs, targets, eta)
        except GateEvent:
            for n, (x, target) in enumerate(zip(xs, targets, strict=True), 1):
                try:
                    state = self.step(state, x, target, eta)
                except Diverged as problem:
                    raise Diverged(f"At step {n}, {problem}") from None
            return state
        return self._carried(after, replace(start, steps=start.steps + len(xs)))

    def expand(self, state: Any, weights: Sequence[Any] = (), x: Any = None) -> Any:
        """The weights that backpropagation has after the same steps; `weights` and `x` as for `init`."""
        if isinstance(state, _OF_SEVERAL):
            return self.several.expand(state, weights, x)
        start: _Start | None = getattr(state, "start", None)
        return self._inner.expand(state, weights if start is None else start.weights, x)

    def events(self, state: Any) -> tuple[Event, ...]:
        """The gate events that brought a state about: none of those that do not carry them."""
        if isinstance(state, CollapsedState | LeftRange):
            return state.events
        if getattr(state, "start", None) is None:
            return ()
        try:
            self._tried("output", state, None if self._of_arrays else state.start.x)
        except GateEvent:
            return self._left(state)[2]
        made: tuple[Event, ...] = state.start.events
        return made

    # ------------------------------------------------------------------------------------------ carrying

    @property
    def _of_arrays(self) -> bool:
        """Whether what is undefined is raised, and not marked."""
        return self._inner.target in ("numpy", "c")

    def _tried(self, name: str, *arguments: Any) -> Any:
        """What a function gives; GateEvent where it is undefined, also where a library marks that."""
        if self._of_arrays:
            return getattr(self._inner, name)(*arguments)
        made = getattr(self._inner, name)(*arguments)
        y = made if name == "output" else self._inner.output(arguments[0], arguments[1])
        try:
            lost = np.isnan(_here(y)).any() and all(np.isfinite(_here(a)).all() for a in arguments[0])
        except (RuntimeError, TypeError):  # numbers that are not there yet
            return made
        if lost:
            raise GateEvent("a hidden unit has left its piece.")
        return made

    @property
    def _is_traced(self) -> bool:
        """Whether PyTorch is compiling the call: what is carried then is what the equations give."""
        torch = sys.modules.get("torch") if self._inner.target == "torch" else None
        return torch is not None and bool(torch.compiler.is_compiling())

    def _carried(self, state: Any, start: _Start) -> Any:
        made = self._state(*state)
        made.start = start
        return made

    def _codes(self, weights: Sequence[Any], x: Any) -> npt.NDArray[np.int8]:
        with np.errstate(all="ignore"):  # a product may underflow: the equations say what is lost, and where
            s = _here(weights[0]) @ _here(x)
            if self._inner.network.layers[0].bias:
                s = s + _here(weights[1])
        return self._lines.codes_of(s[:, None])

    def _left(self, state: Any) -> tuple[Any, npt.NDArray[np.int8], tuple[Event, ...]]:
        """The weights, the piece that every unit is on now, and the events so far with those that brought it there."""
        start: _Start = state.start
        weights = self._inner.expand(state, start.weights, start.x)
        codes = self._codes(weights, start.x)
        moved = np.flatnonzero((codes != start.codes).any(axis=1))
        return weights, codes, (*start.events, *told(1, start.steps, moved, start.codes[moved], codes[moved]))

    def _again(self, state: Any) -> Any:
        """The same network with every unit on the piece that it is on now; as any network's where one is on a kink."""
        start: _Start = state.start
        weights, codes, every = self._left(state)
        try:
            again = self._inner.init(weights, start.x)
        except GateEvent:  # on a kink with a slope
            general = self.several.init([_here(w) for w in weights], start.x)
            return replace(general, steps=start.steps, events=every)
        except ArgumentError:  # the weights are numbers, and sums of their squares are none
            raise Diverged(
                f"Training of {self._inner.network} has left the range of floating-point numbers after step "
                f"{start.steps}: take a smaller eta."
            ) from None
        return self._carried(again, _Start(list(weights), start.x, codes, start.steps, every))


def _here(array: Any) -> npt.NDArray[Any]:
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)
