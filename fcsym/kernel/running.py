"""The neutral form evaluated with running error bounds: every number comes with how far it can be from the exact one.

    s1[i] = sum_j W1[i, j] x[j]    =>    fl(s1), and |fl(s1) - s1| <= (n + 2) u sum_j |W1[i, j]| |x[j]|

The bounds are those of the standard model of floating point: the result of an operation is within a share u of the
exact result, and of the least number besides where it may underflow. They hold for sums in any order. Functions such as
exp are taken to be right to 16 units in the last place, which no standard says. Bounds are numbers of double precision
and somewhat enlarged, so that what they are rounded by themselves does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, reduce
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.numpy import DIALECT, helpers
from fcsym.language.expression import Axis, Index

__all__ = ["RELATIONS", "Near", "Running"]

_Array: TypeAlias = "npt.NDArray[Any]"
_Indices: TypeAlias = "tuple[Index, ...]"

_MORE = 1.0 + 2.0**-20
"""By how much a bound is enlarged: more than what is lost in computing it."""

_STEEPEST = {name: 1.2 for name in ("tanh", "sigmoid", "softplus", "normal_cdf", "normal_pdf", "erf", "atan")} | {
    name: 1.0 for name in ("sin", "cos", "Abs")
}
"""The greatest slope of a function, where it has one; the others are monotone, and looked at at both ends."""


@dataclass(frozen=True, slots=True)
class Near:
    """Numbers, and how far each is at most from what it stands for: 0 where it is exact, not-a-number where unknown."""

    value: _Array
    error: _Array


@dataclass(slots=True)
class Running:
    """The values of a function's arrays, statement after statement, for one network or many at once."""

    function: n.Function
    constants: Mapping[str, n.Values]
    sizes: Mapping[Axis, int]
    settle: Callable[[str, Near], Near]  # what is put in the place of an array that has just been computed
    arrays: dict[str, Near] = field(default_factory=dict)
    lengths: dict[Axis, int] = field(default_factory=dict)
    dtype: Any = np.float64
    undefined: _Array | None = None

    def run(self, given: Sequence[_Array]) -> tuple[_Array, ...]:
        """What the function returns: its results, and the mask of undefined elements where it marks some."""
        self.dtype = np.dtype(np.result_type(*given))
        self.lengths = dict(self.sizes)
        for array, value in zip(self.function.given, given, strict=True):
            self.arrays[array.name] = self._exactly(value)
            self.lengths |= zip(array.axes, value.shape[value.ndim - len(array.axes) :], strict=True)
        for name, numbers in self.constants.items():
            rounded = np.array(numbers, object).astype(float).astype(self.dtype)
            self.arrays[name] = Near(rounded, np.abs(rounded.astype(float)) * self._unit)
        for statement in self.function.statements:
            if isinstance(statement, n.Mark):
                self.undefined = self._guard(statement.guard, statement.indices)
            else:
                own = self._whole(self._near(statement.value, statement.indices), statement.indices)
                self.arrays[statement.name] = self.settle(statement.name, own)
        results = [self._result(array) for array in self.function.results]
        if self.function.marks:
            assert self.undefined is not None
            results.append(self.undefined)
        return tuple(results)

    def _result(self, array: n.Array) -> _Array:
        if array.name in self.arrays:
            return self.arrays[array.name].value
        first = next(given for given in self.function.given if len(given.axes) == 2)  # nothing is stored yet
        lead = self.arrays[first.name].value.shape[:-2]
        return np.zeros((*lead, 0, self.lengths[array.axes[-1]]), self.dtype)

    # ------------------------------------------------------------------------------------------------ precision

    @property
    def _unit(self) -> float:
        return float(np.finfo(self.dtype).eps) / 2

    @property
    def _tiny(self) -> float:
        return float(np.finfo(self.dtype).smallest_subnormal)

    @staticmethod
    def _exactly(value: _Array) -> Near:
        return Near(value, np.zeros(value.shape))

    def constant(self, value: Fraction) -> Near:
        """A number, rounded."""
        rounded = np.asarray(float(value), self.dtype)
        return Near(rounded, np.asarray(abs(float(Fraction(float(rounded)) - value)) * _MORE))

    def _whole(self, made: Near, axes: _Indices) -> Near:
        """With every axis as long as it is."""
        shape = (*made.value.shape[: made.value.ndim - len(axes)], *(self.lengths[i.axis] for i in axes))
        error = np.broadcast_to(made.error, np.broadcast_shapes(made.error.shape, shape))
        return Near(np.broadcast_to(made.value, error.shape), error)

    # ---------------------------------------------------------------------------------------------- expressions

    def _near(self, node: n.Node, axes: _Indices) -> Near:
        """A node with these axes last, each as long as it is, or one long."""
        match node:
            case n.Const(value):
                made = self.constant(value)
                return Near(made.value.reshape((1,) * len(axes)), made.error.reshape((1,) * len(axes)))
            case n.Undefined():
                nothing = np.full((1,) * len(axes), np.nan)
                return Near(nothing.astype(self.dtype), nothing)
            case n.Load(name, indices):
                return self._lined_up(self.arrays[name], indices, axes)
            case n.Indicator():
                return self._lined_up(self._positions(node), node.indices, axes)
            case n.Sum(terms):
                signed = [(sign, self._near(term, axes)) for sign, term in terms]
                first = [Near(sign * near.value, near.error) for sign, near in signed]
                return reduce(self._plus, first)
            case n.Product(factors):
                return reduce(self._times, [self._near(factor, axes) for factor in factors])
            case n.Power(base, exponent):
                return reduce(self._times, [self._near(base, axes)] * exponent)
            case n.Quotient(above, below):
                return self._over(self._near(above, axes), self._near(below, axes))
            case n.Guarded(above, below, guard):
                held, a, b = self._guard(guard, axes), self._near(above, axes), self._near(below, axes)
                one = Near(np.where(held, b.value, self.dtype.type(1)), np.where(held, b.error, 0.0))
                made = self._over(a, one)
                return Near(np.where(held, made.value, self.dtype.type(0)), np.where(held, made.error, 0.0))
            case n.Select(test, then, otherwise):
                held, a, b = self._test(test, axes), self._near(then, axes), self._near(otherwise, axes)
                return Near(np.where(held, a.value, b.value), np.where(held, a.error, b.error))
            case n.Reduce(over, body):
                return self._sum(over, body, axes)
            case n.Extreme(kind, over, terms):
                function = {"min": np.minimum, "max": np.maximum}[kind]
                every = [self._near(term, (*axes, *over)) for term in terms]
                if over:
                    own = self._whole(every[0], (*axes, *over))
                    last = tuple(range(-len(over), 0))
                    return Near(function.reduce(own.value, axis=last), np.maximum.reduce(own.error, axis=last))
                values, errors = [near.value for near in every], [near.error for near in every]
                return Near(reduce(function, values), reduce(np.maximum, errors))
            case n.Inverse(name, _):
                value = _functions()["inverse"](self.arrays[name].value)
                return Near(value, np.full(value.shape, np.nan))
            case n.Call(function, argument):
                return self._call(function, self._near(argument, axes))
            case _:
                raise CompileError(f"{type(node).__name__} has no error bound.")

    def _lined_up(self, near: Near, indices: _Indices, axes: _Indices) -> Near:
        """The axes of an array in the order of others, one long where it has none."""
        order = sorted(range(len(indices)), key=lambda k: axes.index(indices[k]))

        def moved(array: _Array) -> _Array:
            lead = array.ndim - len(indices)
            array = array.transpose(*range(lead), *(lead + k for k in order))
            own = iter(array.shape[lead:])
            return array.reshape((*array.shape[:lead], *(next(own) if i in indices else 1 for i in axes)))

        return Near(moved(near.value), moved(near.error))

    def _positions(self, node: n.Indicator) -> Near:
        """1 where an indicator holds and 0 elsewhere, with its indices as axes."""
        grid = np.meshgrid(*(np.arange(self.lengths[i.axis]) for i in node.indices), indexing="ij")
        at = dict(zip(node.indices, grid, strict=True))
        form = sum((step * at[index] for index, step in node.form.terms), start=node.form.constant)
        return self._exactly((at[node.index] == form).astype(self.dtype))

    def _plus(self, a: Near, b: Near) -> Near:
        value = a.value + b.value
        rounding = np.where((a.value == 0) | (b.value == 0), 0.0, self._unit * np.abs(value.astype(float)))
        return Near(value, (a.error + b.error + rounding) * _MORE)

    def _times(self, a: Near, b: Near) -> Near:
        value = a.value * b.value
        left, right = np.abs(a.value.astype(float)), np.abs(b.value.astype(float))
        nothing = ((left == 0) & (a.error == 0)) | ((right == 0) & (b.error == 0))
        error = left * b.error + right * a.error + a.error * b.error
        error = (error + self._unit * np.abs(value.astype(float)) + 8 * self._tiny) * _MORE
        return Near(value, np.where(nothing, 0.0, error))

    def _over(self, a: Near, b: Near) -> Near:
        value = a.value / b.value
        size, below = np.abs(value.astype(float)), np.abs(b.value.astype(float)) - b.error * _MORE
        error = (a.error + size * b.error) / np.where(below > 0, below, np.nan)
        error = (error + self._unit * size + 8 * self._tiny) * _MORE * _MORE
        return Near(value, np.where((a.value == 0) & (a.error == 0) & (below > 0), 0.0, error))

    def _sum(self, over: _Indices, body: n.Node, axes: _Indices) -> Near:
        """A sum: of products of elements as one contraction, of anything else element by element."""
        count = prod(self.lengths[i.axis] for i in over)
        flat = _elements(body)
        if not flat:
            inner = self._whole(self._near(body, (*axes, *over)), (*axes, *over))
            last = tuple(range(-len(over), 0))
            size, error = np.abs(inner.value.astype(float)).sum(axis=last), inner.error.sum(axis=last)
            return self._added(inner.value.sum(axis=last), error, size, count, (size == 0) & (error == 0))
        parts = [self.arrays[f.name] if isinstance(f, n.Load) else self._positions(f) for f in flat]
        indices = [f.indices for f in flat]
        present = {i for own in indices for i in own}
        kept, summed = tuple(i for i in axes if i in present), tuple(i for i in over if i in present)
        times = prod(self.lengths[i.axis] for i in over if i not in present)
        letters = {i: "abcdefghijklmnopqrstuvwxyz"[k] for k, i in enumerate((*kept, *summed))}
        text = ",".join("..." + "".join(letters[i] for i in own) for own in indices)
        text += "->..." + "".join(letters[i] for i in kept)

        def contracted(arrays: Sequence[_Array]) -> _Array:
            return np.asarray(times * np.einsum(text, *arrays, optimize=len(arrays) > 2))

        sizes = [np.abs(part.value.astype(float)) for part in parts]
        most = [size + part.error for size, part in zip(sizes, parts, strict=True)]
        size = contracted(most)
        exact = all(not part.error.any() for part in parts)
        error = np.zeros(size.shape) if exact else size - contracted(sizes)
        scale = prod(max(1.0, float(one.max(initial=0.0))) for one in most) if len(most) > 2 else 1.0
        nothing = contracted([(one != 0).astype(float) for one in most]) == 0  # where a product of others underflows
        value = contracted([part.value for part in parts])
        made = self._added(value, error, size, count + 3 * len(parts), nothing, scale)
        return self._lined_up(Near(made.value.astype(self.dtype), made.error), kept, axes)

    def _added(
        self, value: _Array, error: _Array, size: _Array, count: int, nothing: _Array, scale: float = 1.0
    ) -> Near:  # fmt: skip
        """A sum of so many terms, in any order, whose sizes and errors add up to these; where all are 0, exactly 0."""
        share = 4 * count * self._unit
        if share > 0.25:
            return Near(value, np.full(value.shape, np.nan))
        error = (np.maximum(error, 0.0) + share * size + 8 * count * self._tiny * scale) * _MORE
        return Near(value, np.where(nothing, 0.0, error))

    def _call(self, name: str, s: Near) -> Near:
        function = _functions()[name]
        value = np.asarray(function(s.value), self.dtype)
        if name in _STEEPEST:
            error = _STEEPEST[name] * s.error
        else:
            middle = s.value.astype(float)
            places = ((middle + side * s.error * _MORE, side * np.inf) for side in (-1.0, 1.0))
            beyond = (np.where(s.error == 0, middle, np.nextafter(at, away)) for at, away in places)
            ends = [np.abs(function(at) - value) for at in beyond]
            error = np.maximum(*ends)
        return Near(value, (error + 16 * self._unit * (np.abs(value.astype(float)) + 1.0)) * _MORE)

    # -------------------------------------------------------------------------------------------------- tests

    def _test(self, test: n.Test, axes: _Indices) -> _Array:
        bound = self.constant(test.bound).value
        return np.asarray(RELATIONS[test.relation](self._near(test.left, axes).value, bound))

    def _guard(self, guard: n.Guard, axes: _Indices) -> _Array:
        rows = [reduce(np.logical_and, [self._test(test, axes) for test in row]) for row in guard]
        return np.asarray(reduce(np.logical_or, rows))


RELATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": np.greater, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip


def _elements(body: n.Node) -> list[n.Load | n.Indicator]:
    """The factors of a product, each as often as it occurs; none where one of them is no element and no indicator."""
    made: list[n.Load | n.Indicator] = []
    for factor in body.factors if isinstance(body, n.Product) else (body,):
        base, times = (factor.base, factor.exponent) if isinstance(factor, n.Power) else (factor, 1)
        if not isinstance(base, n.Load | n.Indicator):
            return []
        made += [base] * times
    return made


@cache
def _functions() -> dict[str, Any]:
    """What NumPy has of the functions, and what is written beside generated source, by name."""
    import math

    namespace: dict[str, Any] = {"np": np, "math": math}
    text = "\n\n".join([*helpers(" ".join([*DIALECT.smooth.values(), DIALECT.inverse])), ""])
    lines = [f"    {name!r}: lambda s: {call.format(s='s')}," for name, call in DIALECT.smooth.items()]
    exec("\n".join([text, "made = {", *lines, "    'inverse': inverse,", "}"]), namespace)  # text of this program alone
    return namespace["made"]  # type: ignore[no-any-return]
