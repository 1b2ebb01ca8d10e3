"""Gates as exact numbers decide them: the floating-point values, except where rounding could turn a decision.

Whether a unit is on is a test such as s > 0. A filter computes with running error bounds (`kernel.running`); where a
number is too near to what it is compared with for its bound to say on which side it is, the equations themselves are
evaluated at the given floats, in balls of many digits and, where those do not say it either, in rational numbers. The
rounded exact number takes the place of the other, on the side on which it is, and everything after it is computed from
that. An input is exactly the float that it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fcsym.errors import CompileError, UnsupportedExpression, shown
from fcsym.kernel import neutral as n
from fcsym.kernel.running import RELATIONS, Near, Running
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Axis
from fcsym.language.instance import Instance
from fcsym.values.ball import Ball, ball_of
from fcsym.values.exact import exact_field

if TYPE_CHECKING:
    from fcsym.kernel import Kernel

__all__ = ["Gated", "Gates", "compared", "exact_gates", "gates_of"]

_Array: TypeAlias = "npt.NDArray[Any]"
_Test: TypeAlias = "tuple[str, Fraction]"  # relation and bound


@dataclass(frozen=True, slots=True)
class Gates:
    """How the elements that a step compares with something were decided."""

    compared: int = 0  # elements, each counted once
    balls: int = 0  # of which balls decided
    exact: int = 0  # of which rational numbers decided
    open: int = 0  # of which nothing did: too near in all digits of a smooth function, or without an exact value
    wrong: int = 0  # of which plain floating point decides otherwise

    def __add__(self, other: Gates) -> Gates:
        own, more = ([getattr(one, name) for name in Gates.__slots__] for one in (self, other))
        return Gates(*(a + b for a, b in zip(own, more, strict=True)))


def exact_gates(gates: object) -> bool:
    """Whether gates are decided exactly. CompileError for what is neither "float" nor "exact"."""
    if gates not in ("float", "exact"):
        raise CompileError(f"gates is {shown(gates)!r}: choose float or exact.")
    return gates == "exact"


class Gated:
    """A function of the neutral form on arrays, with exact gates; `gates` tells of its last call.

    `equations`: what each array stands for, by its name in the function. `carried`: what is compared with something
    by a function that is called later, by its name here: the side on which it is must not be lost where it is rounded.
    """

    def __init__(
        self, function: n.Function, equations: Mapping[str, tuple[Array, Equation]], sizes: Mapping[Axis, int],
        constants: Mapping[str, n.Values], carried: Mapping[str, Iterable[_Test]] | None = None,
    ) -> None:  # fmt: skip
        self.function, self.sizes, self.constants = function, sizes, constants
        self.equations = dict(equations.values())
        self._array = {name: array for name, (array, _) in equations.items()}
        self.tests: dict[str, dict[_Test, None]] = {}  # array => what its elements are compared with
        for name, tests in (*compared(function).items(), *(carried or {}).items()):
            if name in equations:
                self.tests.setdefault(name, {}).update(dict.fromkeys(tests))
        self.gates = Gates()
        self.settled: dict[str, _Array] = {}  # the values of the arrays that are compared with something
        self.left_open: dict[str, _Array] = {}  # where nothing decided

    def __call__(self, *given: _Array) -> tuple[_Array, ...]:
        """What the function returns."""
        self.gates, self.settled, self.left_open = Gates(), {}, {}
        exact = _Exactly(self, given)
        running = Running(self.function, self.constants, self.sizes, lambda name, near: self._settle(name, near, exact))
        return running.run(given)

    def _settle(self, name: str, near: Near, exact: _Exactly) -> Near:
        """The array with its elements on the right side of what they are compared with."""
        if name not in self.tests:
            return near
        bounds = {bound for _, bound in self.tests[name]}
        unsure = np.isnan(near.value)  # 0 times what is beyond the range, which is 0 and has no error
        for bound in bounds:
            distance = np.abs(near.value.astype(float) - float(bound))
            edge = Fraction(float(near.value.dtype.type(float(bound))))  # which the function compares with
            slack = 2.0 * float(abs(edge - bound))
            unsure |= ~((distance > near.error * (1.0 + 2.0**-20) + slack) | ((near.error == 0) & (slack == 0)))
        self.gates += Gates(compared=unsure.size)
        value, error, left = near.value, near.error, np.zeros(unsure.shape, bool)
        if unsure.any():
            value, error = value.copy(), error.copy()
            for place in map(tuple, np.argwhere(unsure)):
                found, how = exact.sides(self._array[name], place, bounds)
                self.gates += how
                if found is None:
                    left[place] = True
                    continue
                value[place] = _beside(found, value.dtype)
                error[place] = _apart(found, value[place])
        self.settled[name], self.left_open[name] = value, left
        return Near(value, error)


@dataclass(frozen=True, slots=True)
class _Found:
    """An exact number, or a ball, and on which side of each bound it is: -1, 0 or 1."""

    number: Fraction | Ball
    sides: Mapping[Fraction, int]


class _Exactly:
    """The equations at the numbers that a function is given, network by network."""

    def __init__(self, gated: Gated, given: Sequence[_Array]) -> None:
        self._gated = gated
        self._given = {array.name: (array, value) for array, value in zip(gated.function.given, given, strict=True)}
        self._lead = max(value.ndim - len(array.axes) for array, value in self._given.values())
        self._sizes = dict(gated.sizes)
        for array, value in self._given.values():
            self._sizes |= zip(array.axes, value.shape[value.ndim - len(array.axes) :], strict=True)
        self._known: dict[tuple[tuple[int, ...], bool], Instance] = {}

    def sides(
        self, array: Array, place: tuple[int, ...], bounds: set[Fraction]
    ) -> tuple[_Found | None, Gates]:  # fmt: skip
        """The exact number at a place, of which the first indices are those of a network; None where none is found."""
        own = len(array.axes)
        network, at = place[: len(place) - own], place[len(place) - own :]
        for how, balls in ((Gates(balls=1), True), (Gates(exact=1), False)):
            try:
                number = self._instance(network, balls).element(array, at)
                if number is None:
                    break
                return _Found(number, {bound: int(number > bound) - int(number < bound) for bound in bounds}), how
            except (UnsupportedExpression, ArithmeticError, TypeError):  # the digits do not say it, or a part of it
                continue
        return None, Gates(open=1)

    def _instance(self, network: tuple[int, ...], balls: bool) -> Instance:
        key = (network, balls)
        if key not in self._known:
            self._known[key] = Instance(
                self._gated.equations, self._sizes, lambda array, at: self._leaf(array, at, network, balls),
                exact_field(),
            )  # fmt: skip
        return self._known[key]

    def _leaf(self, array: Array, at: tuple[int, ...], network: tuple[int, ...], balls: bool) -> Any:
        if array.name in self._gated.constants:
            numbers: Any = self._gated.constants[array.name]
            for index in at:
                numbers = numbers[index]
            return numbers
        own, value = self._given[array.name]
        lead = value.shape[: value.ndim - len(own.axes)]
        where = ((0,) * self._lead + network)[len(network) + self._lead - len(lead) :]
        number = Fraction(float(value[(*(k if size > 1 else 0 for k, size in zip(where, lead, strict=True)), *at)]))
        return ball_of(number) if balls and number else number


def compared(function: n.Function) -> dict[str, dict[_Test, None]]:
    """The arrays whose elements a function compares with something, and with what."""
    found: dict[str, dict[_Test, None]] = {}
    for statement in function.statements:
        for test in _tests(statement):
            if isinstance(test.left, n.Load):
                found.setdefault(test.left.name, {})[test.relation, test.bound] = None
    return found


def _tests(node: n.Node | n.Statement) -> list[n.Test]:
    """Every comparison in a statement."""
    match node:
        case n.Define(_, _, value):
            return _tests(value)
        case n.Mark(_, guard):
            return [test for row in guard for test in row]
        case n.Select(test, then, otherwise):
            return [test, *_tests(then), *_tests(otherwise)]
        case n.Guarded(above, below, guard):
            return [*(test for row in guard for test in row), *_tests(above), *_tests(below)]
        case _:
            return [test for part in n.parts(node) for test in _tests(part)]


def _beside(found: _Found, dtype: Any) -> Any:
    """The float next to an exact number that is on the same sides."""
    try:
        value = dtype.type(float(found.number))
    except OverflowError:
        value = dtype.type(np.inf if found.number > 0 else -np.inf)
    for bound, side in found.sides.items():
        edge = dtype.type(float(bound))
        if side == 0:
            return edge
        if int(value > edge) - int(value < edge) != side:
            value = np.nextafter(edge, dtype.type(side * np.inf))
    return value


def _apart(found: _Found, value: Any) -> float:
    """How far a float is from an exact number, at most."""
    if not np.isfinite(value):
        return float("nan")
    distance = abs(found.number - Fraction(float(value)))
    if not isinstance(distance, Ball) and not distance:
        return 0.0
    radius = float(distance.radius) if isinstance(distance, Ball) else 0.0
    return (float(distance) + radius) * (1.0 + 2.0**-20) + 2.0**-1074  # less than that is none in double precision


def gates_of(kernel: Kernel, plain: Kernel, *arguments: Any, **more: Any) -> Gates:
    """How a step's gates are decided, and how many of them the plain kernel decides wrongly by rounding.

    `kernel`: of a derivation, compiled with gates="exact"; `plain`: the same without. The arguments are those of
    `step`. Of what the plain kernel does not return nothing can be wrong.
    """
    kernel.step(*arguments, **{"undefined": "nan", **more})
    seen = plain.step(*arguments, **{"undefined": "nan", **more})
    gated = kernel.gated
    assert gated is not None
    wrong = 0
    for name, value in gated.settled.items():
        if name not in seen._fields:
            continue
        other = tuple.__getitem__(seen, seen._fields.index(name))
        differs = np.zeros(np.broadcast_shapes(value.shape, other.shape), bool)
        for relation, bound in gated.tests[name]:
            edge = value.dtype.type(float(bound))
            one, two = (RELATIONS[relation](array, edge) for array in (value, other))
            differs |= one != two
        wrong += int(np.count_nonzero(differs & ~gated.left_open[name]))
    return replace(gated.gates, wrong=wrong)
