"""Schemes as functions of arrays: init, step, output, expand, and many steps in one call.

    k = scheme.compile("numpy")
    state = k.init(weights, x)
    state = k.step(state, x, target, eta)
    y = k.output(state, x)
    weights = k.expand(state, weights, x)

The call checks its arguments, then runs generated source. Leading axes broadcast: one call trains many networks.
"""

from __future__ import annotations

import math
import threading
from collections import namedtuple
from collections.abc import Sequence, Set
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, Diverged, GateEvent, UndefinedContribution
from fcsym.kernel import of_objects, refuse_undefined
from fcsym.kernel.arguments import Argument, all_finite, checked, goal, mode, parameters, point, rate, rows_of_steps
from fcsym.kernel.gated import Gated, compared, exact_gates
from fcsym.kernel.lower import in_numbers, lower_scheme, named
from fcsym.kernel.rows import Exact
from fcsym.kernel.said import say_shapes, shapes
from fcsym.kernel.targets.numpy import NumpyTarget
from fcsym.language.expression import Array
from fcsym.networks.symbols import frozen_copy, moment
from fcsym.values.exact import exact_field
from fcsym.values.given import target_of
from fcsym.values.nested import fraction, numbers_in, shaped

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["SchemeKernel"]

_Array = npt.NDArray[Any]


class SchemeKernel:
    """A scheme's four functions, for one network or many at once. `State` is the named tuple of its arrays."""

    target = "numpy"

    def __init__(self, scheme: SchemeRecord, gates: str = "float") -> None:
        """`gates`: "exact" for gates as exact numbers decide them (`fcsym.kernel.gated`)."""
        self.scheme, self.network, self.order, self.module = scheme, scheme.network, scheme.order, lower_scheme(scheme)
        self.source = NumpyTarget().source(self.module)
        fields = namedtuple("State", [array.name for array in scheme.state])  # type: ignore[misc]
        self.State: Any = say_shapes(fields, "state", f"{self.module.title}, target {self.target}")
        self._namespace: dict[str, Any] = {"np": np, "math": math, "threading": threading}
        # The text was generated from derivations; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(self.source, f"<fcsym kernel {scheme.name} {self.network}>", "exec"), self._namespace)
        self.gated = self._gated() if exact_gates(gates) else {}
        self._namespace |= self.gated
        self._marks = self.module.marks
        network = self.network
        self._shapes: dict[str, tuple[int | str | None, ...]] = {
            "x": network.lengths(network.input), "target": network.lengths(network.target), "eta": (),
        }  # fmt: skip
        self._stored = self.module.stored
        # of a mini-batch everything that is carried enters what is carried on, and is seen there if it is not finite
        self._late = frozenset(scheme.state if network.batch else self.module.weights)
        # an average of gradients that is not finite is seen in what it is added to
        self._seen = frozenset(a for a in scheme.state if a.of is not None and a == moment(a.of, 1))
        for array in scheme.state:
            lengths = network.lengths(array)
            if self._stored:  # as many inputs as have been seen, which may differ from state to state
                lengths = tuple(None if isinstance(n, str) else n for n in lengths)  # type: ignore[misc]
            self._shapes[f"state.{array.name}"] = lengths

    def _gated(self) -> dict[str, Gated]:
        """The four functions with exact gates, by name."""
        made, sizes = {}, self.network.sizes
        later: dict[str, dict[tuple[str, Fraction], None]] = {}  # what is carried from a step to the next one
        for function in self.module.functions:
            for array in self.scheme.state:
                tests = compared(function).get(array.name, {})
                for name in (array.name, array.primed.name):
                    later.setdefault(name, {}).update(tests)
        for part, function in zip(self.scheme.parts, self.module.functions, strict=True):
            results = {array.name for array in function.results}
            carried = {name: tests for name, tests in later.items() if tests and name in results}
            made[function.name] = Gated(function, named(in_numbers(part)), sizes, self.module.constants, carried)
        return made

    def __repr__(self) -> str:
        held = shapes((array.name, self._shapes[f"state.{array.name}"]) for array in self.scheme.state)
        return f"<kernel: {self.module.title}, target {self.target}; state {held}>"

    # ------------------------------------------------------------------------------------------ the four functions

    def init(self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike | None = None, undefined: str = "raise") -> Any:
        """The state of a conventional network.

        `weights`: [W1, W2, ...], with biases [W1, b1, W2, b2, ...]; W_l (..., n_l, n_{l-1}), b_l (..., n_l),
        a shared one (...).
        `x`: (..., n_0), needed by the schemes for one input and not used by the others.
        Raises ArgumentError for a wrong number of arrays, wrong shapes, and complex or non-finite numbers; GateEvent
        where `collapsed` has no piece for a unit, unless undefined="nan", which makes numbers of its state `nan`.
        """
        marks = mode(undefined)
        given = parameters(self.network, weights)
        if x is not None:
            given.append(Argument("x", point(self.network, x, weights), self._shapes["x"]))
        elif self.scheme.single_input:
            held = "a full batch: give init its samples" if self.network.batch else "one input: give init that input"
            raise ArgumentError(f"{self.scheme.name} is a scheme for {held} as well.")
        arrays = checked(given)
        if self.scheme.single_input:
            self._refuse_tiny(arrays[-1])
        wanted = len(self.scheme.init.given)
        result = list(self._call("init", arrays[:wanted]))
        if self.module["init"].marks:
            mask = result.pop()
            if not marks:
                self._refuse_kink(mask)
        state = self._state(result, arrays)
        if self.scheme.single_input:
            state = state._replace(key=self._cast([self._key(arrays[-1])], arrays)[0])
        for name, array in zip(self.State._fields, state, strict=True):
            if not marks and not all_finite(array):
                raise ArgumentError(f"state.{name} is not finite: weights or x are too large; scale them down.")
        return state

    def step(
        self,
        state: Sequence[npt.ArrayLike],
        x: npt.ArrayLike | None,
        target: npt.ArrayLike,
        eta: npt.ArrayLike | None = None,
        undefined: str = "raise",
    ) -> Any:
        """The state after one training step.

        `state`: from `init` or `step`. `x`: (..., n_0); a scheme that holds its input reads nothing of it and compares
        it with that of `init`, unless it is None. `target`: (..., n_L). `eta`: a number, or (...); it may be left
        out where the update rule has one. With the loss cross_entropy `target` may be class labels, counted from 0.
        In mini-batches `x` is (..., samples, n_0), `target` (..., samples, n_L).
        Raises ArgumentError for wrong shapes, and for another input than that of `init` where the scheme holds one;
        UndefinedContribution where a frozen unit with v^c = 0 changes, GateEvent where a unit has left its piece in a
        scheme that holds it there; Diverged when the new state is not finite. With undefined="nan" these are no errors:
        numbers of the networks concerned become `nan` or `inf`.
        """
        marks = mode(undefined)
        x, compared = self._input(state, x)
        target = goal(self.network, target, x, not marks)
        arrays = self._checked(state, marks, self._late, x=x, target=target, eta=rate(self.network, eta))
        held, x_, rest = arrays[: len(self.scheme.state)], arrays[-3], arrays[-2:]
        if compared:
            self._same_input(held, x_, self._real(state))
        if self._stored:
            held = self._remember(held, x_)
        inputs = [*held, *rest] if self.scheme.single_input else [*held, x_, *rest]
        result = list(self._call("step", inputs))
        mask = result.pop() if self._marks else None
        after = self._state(result, arrays)
        every = zip(self.scheme.state, after, held, strict=True)
        made = (new for array, new, old in every if new is not old and array not in self._seen)
        if not marks and ((mask is not None and np.any(mask)) or not all(map(all_finite, made))):
            checked(self._held(state, False))
            if mask is not None:
                self._refuse(mask)
            self._refuse_infinite(after)
        return after

    def output(self, state: Sequence[npt.ArrayLike], x: npt.ArrayLike | None, undefined: str = "raise") -> _Array:
        """The output (..., n_L) of the network that the state stands for; errors as for `step`."""
        marks = mode(undefined)
        x, compared = self._input(state, x)
        arrays = self._checked(state, True, x=x)
        held, x_ = arrays[:-1], arrays[-1]
        if compared:
            self._same_input(held, x_, self._real(state))
        y, *mask = self._call("output", held if self.scheme.single_input else [*held, x_])
        if mask and not marks:
            self._refuse(mask[0])
        return self._cast([y], arrays)[0]

    def expand(
        self, state: Sequence[npt.ArrayLike], weights: Sequence[npt.ArrayLike] = (), x: npt.ArrayLike | None = None
    ) -> list[_Array]:
        """[W1, W2, ...]: the weights that backpropagation has after the same steps (claim v).

        `weights` and `x` are those given to `init`; the schemes for any input use neither. Errors as for `step`.
        """
        if not self.scheme.single_input:
            arrays = self._checked(state, True)
            return self._cast(self._call("expand", arrays), arrays)
        if x is None:
            raise ArgumentError(f"{self.scheme.name} needs the input that init was given: expand(state, weights, x).")
        start = parameters(self.network, weights)
        needed = self.scheme.expand.given[len(self.scheme.state) :]
        first = [a for a, theta in zip(start, self.network.parameters, strict=True) if _at_init(theta) in needed]
        given = Argument("x", point(self.network, x, state), self._shapes["x"])
        arrays = checked([*self._held(state, True), *first, given])
        self._same_input(arrays[: len(self.scheme.state)], arrays[-1], self._real(state))
        return self._cast(self._call("expand", arrays), arrays)

    def exact(self, state: Any, x: Any, target: Any, eta: Any = None) -> Any:
        """The state after one step of one network in exact numbers: arguments as for `step`, with no leading axes.

        Numbers may be int, Fraction, Decimal, text such as "1/3", floats, which mean the shortest decimal that gives
        them, and what an earlier step gave. The arrays of the result have dtype object: fractions, balls
        (`fcsym.values.ball.Ball`) where a smooth function enters, and None where a number has no value. The equations
        are evaluated, not the source of the kernel; what `init` has rounded stays as it was rounded.
        Raises ArgumentError as `step` does.

        >>> import fcsym
        >>> k = fcsym.scheme(fcsym.Network.parse("1-1"), "backprop").compile()
        >>> k.exact([[["1/3"]]], [1], [1], "1/2").W1
        array([[Fraction(2, 3)]], dtype=object)
        """
        self._held(state, True)  # as many arrays as there are
        x = point(self.network, x)
        rows = len(state[self.State._fields.index("X")]) if self._stored else 0
        machine = Exact(self.scheme, field=exact_field())
        network = self.network
        if network.batch:
            machine.samples = network.samples or (len(x) if hasattr(x, "__len__") else 0)
            if not machine.samples:
                raise ArgumentError("x has no samples: give at least one.")
            network = replace(network, samples=machine.samples)

        def given(array: Array, value: Any, name: str) -> dict[tuple[int, ...], Any]:
            shape = tuple(machine.size(axis, rows) for axis in array.axes)
            if 0 in shape:  # no inputs are stored yet
                return {}
            return dict(zip(np.ndindex(*shape), numbers_in(shaped(value, shape, name)), strict=True))

        held = {a.name: given(a, v, f"state.{a.name}") for a, v in zip(self.scheme.state, state, strict=True)}
        flat = list(given(network.input, x, "x").values())
        if self.scheme.single_input:
            floats = [
                np.array([*map(float, v.values())]).reshape(np.shape(s))
                for v, s in zip(held.values(), state, strict=True)
            ]
            self._same_input(floats, np.array([*map(float, flat)]).reshape(network.shape(network.input)))
        step_size = network.rule.eta if eta is None else fraction(eta, "eta")
        if step_size is None:
            raise ArgumentError("eta is missing: give the learning rate.")
        after = machine.step(held, flat, list(numbers_in(target_of(network, target))), step_size)
        sizes = [tuple(max(axis) + 1 for axis in zip(*after[a.name], strict=True)) for a in self.scheme.state]
        return self.State(
            *(
                of_objects(list(after[a.name].values()), (prod(size),)).reshape(size) if size else after[a.name][()]
                for a, size in zip(self.scheme.state, sizes, strict=True)
            )
        )

    def run(
        self,
        state: Sequence[npt.ArrayLike],
        xs: npt.ArrayLike,
        targets: npt.ArrayLike,
        eta: npt.ArrayLike | None = None,
        undefined: str = "raise",
    ) -> Any:
        """The state after one step for each row of `xs` (steps, ..., n_0) and `targets` (steps, ..., n_L).

        In mini-batches each row is one, (..., samples, n_0).

        Errors as for `step`, with the number of the step, from 1.
        """
        marks = mode(undefined)
        xs = point(self.network, xs, state)
        inputs, wanted = rows_of_steps(xs, goal(self.network, targets, xs, False), state)
        if not len(inputs):
            return self.State(*checked(self._held(state, marks)))
        for n, (x, target) in enumerate(zip(inputs, wanted, strict=True), 1):
            try:
                state = self.step(state, x, target, eta, undefined)
            except (Diverged, GateEvent, UndefinedContribution) as problem:
                raise type(problem)(f"At step {n}, {problem}") from None
        return state

    def unchecked(self, name: str, arrays: Sequence[_Array]) -> Sequence[_Array]:
        """What a function gives for arrays that are known to fit, in the order of its signature."""
        made: Sequence[_Array] = self._call(name, arrays)
        return made

    # ------------------------------------------------------------------------------------------------- checking

    def _refuse(self, mask: _Array) -> None:
        """What the scheme says where it is undefined, for the first place in a mask; nothing where there is none."""
        refusal = self.scheme.refusal
        if refusal.error is UndefinedContribution:
            refuse_undefined(mask, self.network)
        elif np.any(mask):
            network = tuple(int(n) for n in np.argwhere(mask)[0][:-1])
            raise refusal.error(refusal.sentence.format(at=f" of network {network}" if network else ""))

    def _refuse_kink(self, mask: _Array) -> None:
        """GateEvent for the first unit that starts exactly on a kink whose slope is not 0."""
        if np.any(mask):
            place = [int(n) for n in np.argwhere(mask)[0]]
            unit, network = place[-1] % self.network.widths[1] + 1, tuple(place[:-1])
            raise GateEvent(
                f"unit h{unit} of layer 1{f' of network {network}' if network else ''} is exactly on the kink of "
                f"{self.network.layers[0].activation.name}, whose slope there is not 0: it can move off to a side, and "
                f"{self.scheme.name} does not know which; train with states."
            )

    def _held(self, state: Sequence[npt.ArrayLike], marks: bool, late: Set[Array] = frozenset()) -> list[Argument]:
        names = self.State._fields
        if not hasattr(state, "__len__") or len(state) != len(names):
            count = len(state) if hasattr(state, "__len__") else "no"
            raise ArgumentError(
                f"state has {count} arrays and {self.scheme.name} holds {len(names)}: {', '.join(names)}; use init."
            )
        why = "the run has diverged; go back to an earlier state and take a smaller eta"
        return [
            Argument(f"state.{name}", value, self._shapes[f"state.{name}"], not marks and array not in late, why)
            for name, array, value in zip(names, self.scheme.state, state, strict=True)
        ]

    def _checked(self, state: Any, marks: bool, late: Set[Array] = frozenset(), **others: Any) -> list[_Array]:
        """The state's arrays and then the others; with `marks`, a state that is not finite is let through.

        So are those that are looked at `late`: weights of which a step subtracts something are finite if the new ones
        are, and wide ones take as long to look at as to multiply with.
        """
        # the key of samples that stay is compared, and that of others, finite or not, is another one
        told = self.scheme.single_input and bool(self.network.batch)
        if "x" in others:
            others["x"] = point(self.network, others["x"], state)
        given = [Argument(name, v, self._shapes[name], not (told and name == "x")) for name, v in others.items()]
        arrays = checked([*self._held(state, marks, late), *given])
        if self._stored:
            x_stored, c_stored = arrays[1], arrays[2]
            if x_stored.shape[-2] != c_stored.shape[-2]:
                raise ArgumentError(
                    f"state.X has {x_stored.shape[-2]} inputs and state.C {c_stored.shape[-2]} rows: use init and step."
                )
        return arrays

    def _input(self, state: Sequence[npt.ArrayLike], x: npt.ArrayLike | None) -> tuple[Any, bool]:
        """x, and whether it is to be compared; where a scheme holds its input and x is None, zeros of its shape."""
        if x is not None or not self.scheme.single_input:
            return point(self.network, x, state), True
        key = self._held(state, True)[-1].value
        precision = np.float32 if getattr(key, "dtype", None) == np.float32 else np.float64
        return np.broadcast_to(np.zeros((), precision), (*np.shape(key), self.network.one_input[-1])), False

    def _same_input(self, held: Sequence[_Array], x: _Array, real: npt.DTypeLike | None = None) -> None:
        """The schemes for one input carry three numbers about it: its size, its norm in units of that, and a fixed
        combination of its entries.

        `real`: the precision of the state, where it has been cast to another one since.
        """
        if not self.scheme.single_input:
            return
        if not self.module.measured:
            self._same_samples(held, x, real)
            return
        size, shape, key = (np.asarray(array, np.float64) for array in held[-3:])
        about = np.finfo(real or held[-1].dtype)
        with np.errstate(all="ignore"):
            x = x.astype(about.dtype).astype(np.float64)
            bias = float(self.network.layers[0].bias)
            largest = np.maximum(np.abs(x).max(axis=-1), bias)
            unit = np.where(largest > 0.0, largest, 1.0)
            scaled = x / unit[..., None]  # what is scaled before it is squared stays within range
            wanted = np.vecdot(scaled, scaled) + (bias / unit) ** 2
            rounding = x.shape[-1] * np.finfo(np.float64).eps * np.vecdot(np.abs(scaled), self._namespace["h"])
            rounding = rounding + x.shape[-1] * about.smallest_subnormal / unit  # of an input near the least numbers
            other = np.abs(self._key(x) / unit - key / unit) > 2 * about.eps * np.abs(key / unit) + rounding
            other = other | (np.abs(wanted - shape) > max(64, x.shape[-1]) * about.eps * wanted)
            other = other | (np.abs(largest - size) > 2 * about.eps * largest)
        if np.any(other):
            network = tuple(int(n) for n in np.argwhere(other)[0])
            at = f" (network {network})" if network else ""
            raise ArgumentError(
                f"x is not the input that init was given{at}, and {self.scheme.name} is a scheme for one input: "
                "use history or basis for several."
            )

    def _same_samples(self, held: Sequence[_Array], x: _Array, real: npt.DTypeLike | None) -> None:
        """A scheme that divides by no norm carries a fixed combination of the entries along the last axis of x."""
        key = np.asarray(held[-1], np.float64)
        about = np.finfo(real or held[-1].dtype)
        own = len(self.network.one_input)
        with np.errstate(all="ignore"):
            if np.array_equal(self._key(x), key):  # as it is where nothing has been cast: no copy of x is made
                return
            x = x.astype(about.dtype).astype(np.float64)
            rounding = x.shape[-1] * np.finfo(np.float64).eps * np.vecdot(np.abs(x), self._namespace["h"])
            rounding = rounding + about.smallest_subnormal  # of a combination near the least numbers
            # a key may be no number, and the bound of what is not finite is not either
            other = ~(np.abs(self._key(x) - key) < 2 * about.eps * np.abs(key) + rounding)
        if np.any(other) and self.network.batch:
            raise ArgumentError(
                f"sample {int(np.argwhere(other)[0][-own]) + 1} of x is not the one that init was given, and "
                f"{self.scheme.name} is a scheme for a full batch that stays: use backprop for batches that change."
            )
        if np.any(other):
            lead = tuple(int(n) for n in np.argwhere(other)[0][: other.ndim - own + 1])
            raise ArgumentError(
                f"x is not the input that init was given{f' (network {lead})' if lead else ''}, and {self.scheme.name} "
                "is a scheme for one input: use backprop for inputs that change."
            )

    def _refuse_tiny(self, x: _Array) -> None:
        """ArgumentError for an input below the normal numbers, whose inverse is none; a bias is an entry of 1."""
        if not self.module.measured:  # which divides by nothing
            return
        largest, least = np.abs(x).max(axis=-1), np.finfo(x.dtype).smallest_normal
        lost = (largest < least) & (largest > 0.0)
        if not self.network.layers[0].bias and np.any(lost):
            network = tuple(int(n) for n in np.argwhere(lost)[0])
            at = f" of network {network}" if network else ""
            raise ArgumentError(
                f"x{at} is below {least:.3g}, the smallest normal number of {x.dtype}, and {self.scheme.name} divides "
                "by its size: scale it up, or train with history or basis."
            )

    def _key(self, x: _Array) -> _Array:
        """The key of an input in double precision: in single, other inputs would be as near as its rounding."""
        with np.errstate(all="ignore"):
            return np.asarray(np.matvec(x.astype(np.float64, copy=False), self._namespace["h"])
                              if x.ndim == 2 else np.vecdot(x.astype(np.float64), self._namespace["h"]))  # fmt: skip

    @staticmethod
    def _real(state: Sequence[npt.ArrayLike]) -> npt.DTypeLike:
        """The precision in which a state was made."""
        last = np.asarray(state[-1])
        return np.float32 if last.dtype == np.float32 else np.float64

    def _remember(self, held: list[_Array], x: _Array) -> list[_Array]:
        names = list(self.State._fields)
        at, with_it = names.index("X"), names.index("C")
        with np.errstate(all="ignore"):
            stored, coefficients = self._namespace["remember"](held[at], held[with_it], x)
        result = list(held)
        result[at], result[with_it] = stored, coefficients
        return result

    def _refuse_infinite(self, state: Any) -> None:
        for name, array in zip(self.State._fields, state, strict=True):
            if not all_finite(array):
                place = tuple(int(n) for n in np.argwhere(~np.isfinite(array))[0])
                lead = place[: array.ndim - len(self.scheme.state[self.State._fields.index(name)].axes)]
                at = f" of network {lead}" if lead else ""
                small = ", or v^c is too small to divide by" if name in ("r", "P") else ""
                raise Diverged(
                    f"state.{name}{at} is not finite after this step: training diverges{small}; go back to an earlier "
                    "state and take a smaller eta."
                )

    def _call(self, name: str, arrays: Sequence[_Array]) -> Any:
        with np.errstate(all="ignore"):  # a product that vanishes is 0, and what is not finite is said by the caller
            return self._namespace[name](*arrays)

    def _state(self, arrays: Sequence[_Array], like: Sequence[_Array]) -> Any:
        return self.State(*self._cast(arrays, like))

    @staticmethod
    def _cast(arrays: Sequence[_Array], like: Sequence[_Array]) -> list[_Array]:
        with np.errstate(all="ignore"):  # what is not finite is said by the caller
            return [np.asarray(array).astype(like[0].dtype, copy=False) for array in arrays]


def _at_init(theta: Array) -> Array:
    """W2 => Wc2, the weights as `init` was given them."""
    return frozen_copy(theta)
