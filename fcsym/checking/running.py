"""What rounding can have moved each number of a step by: a bound that holds, computed beside the numbers themselves.

    |computed - exact| <= R + gamma_c (T + R),    gamma_c = c u / (1 - c u),  u = 2^-53

for an expression with c roundings on the way to it, whatever the order of its sums and products: T is the sum of the
absolute values of its terms at the operands that were computed, R what the bounds of the operands let them move by, in
all orders and not to the first one alone. Where a bound leaves open on which side of a kink a number is, every piece
and every case that is possible is taken into account. What underflows is bounded by the smallest number, times what it
is multiplied by. Smooth functions have no bound here, since a library says nothing certain of its own: it is infinite.
The bound is computed in extended precision and enlarged by a millionth, far more than its own rounding.

Source: Higham, Accuracy and Stability of Numerical Algorithms, chapters 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fcsym.checking.enclosures import enclosures
from fcsym.checking.magnitude import aligned
from fcsym.language.activation import Activation
from fcsym.language.equation import Cases, Condition, Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Expr,
    Extreme,
    Index,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    applied_in,
)
from fcsym.networks.symbols import front_of

if TYPE_CHECKING:
    from fcsym.checking.subject import Derived

__all__ = ["running_bounds"]

_Array = npt.NDArray[Any]
_Axes = tuple[Index, ...]
_DOUBLE = np.finfo(np.float64)
_UNIT, _SMALLEST = np.longdouble(_DOUBLE.epsneg), np.longdouble(_DOUBLE.smallest_subnormal)
_OWN = 1.000001


class _Known(NamedTuple):
    """An expression at the operands that were computed, aligned with the left-hand side."""

    value: _Array
    terms: _Array  # the sum of the absolute values of its terms
    off: _Array  # what the operands' bounds, and underflow, let it move by
    roundings: int  # between the operands and it, on the longest way

    @property
    def error(self) -> Any:
        """How far what is computed may be from what is exact."""
        share = self.roundings * _UNIT / (1 - self.roundings * _UNIT)
        return self.off + share * (self.terms + self.off)


def running_bounds(derived: Derived, inputs: Mapping[str, _Array], values: Mapping[str, _Array]) -> dict[str, _Array]:
    """The bound of every number of a step, by the quantity's name, in extended precision; infinite where there is none.

    `inputs`: parameters, x, yg, eta and what the rule carries, which are exact; `values`: what the kernel made of them,
    both with one axis of points in front. The kernel computes in float64.
    """
    return _Bounds(derived, inputs, values).known


class _Bounds:
    def __init__(self, derived: Derived, inputs: Mapping[str, _Array], values: Mapping[str, _Array]) -> None:
        self.network = derived.network
        numbers = {a.name: np.asarray(float(value)) for a, value in self.network.rule.values.items()}
        self.values = {n: np.asarray(v, np.longdouble) for n, v in {**inputs, **values, **numbers}.items()}
        self.known: dict[str, _Array] = {}
        self.exact = {name: np.zeros((), np.longdouble) for name in inputs}
        self.exact |= {name: np.abs(self.values[name]) * _UNIT for name in numbers}
        with np.errstate(all="ignore"):
            for equation in derived.equations:
                name = equation.name if equation.defines else front_of(self.network.logits).name
                if name in values:
                    bound = np.asarray(self._of(equation)) * _OWN
                    bound = np.where(np.isnan(bound), np.inf, bound)
                    self.known[name] = np.broadcast_to(bound, self.values[name].shape)

    def _of(self, equation: Equation) -> Any:
        assert isinstance(equation.lhs, Ref)
        axes = equation.lhs.indices
        name = equation.name if equation.defines else front_of(self.network.logits).name
        if isinstance(equation.rhs, Inverse):
            return self._inverse(equation.rhs.element.array.name, self.values[name])
        if not isinstance(equation.rhs, Cases):
            one = self._at(equation.rhs, axes)
            if any(node.activation.is_smooth for node in applied_in(equation.rhs)):  # whatever way it was computed
                return np.abs(self.values[name] - one.value) + one.error
            return one.error
        chosen, widest = self.values[name], np.zeros((), np.longdouble)
        for branch in equation.rhs:
            possible: Any = True
            for condition in branch.when:
                possible = possible & self._may_hold(condition, axes)
            if branch.value is None:  # perhaps there is no exact value
                far = np.where(np.isnan(chosen), 0, np.inf)
            else:
                one = self._at(branch.value, axes)
                far = np.abs(chosen - one.value) + one.error
                far = np.where(np.isnan(far), np.inf, far)
            widest = np.maximum(widest, np.where(possible, far, 0))
        return widest

    def _inverse(self, name: str, found: _Array) -> Any:
        """R = I - X A  =>  |A^-1 - X| <= |R| |X| / (1 - ||R||), whatever way X was computed; for ||R|| < 1.

        A^-1 is (I + R + R^2 + ...) X: each element is at most the sum of a row of |R| times the largest of a column.
        """
        matrix, size = self.values[name], np.abs(found)
        count, own = found.shape[-1], np.finfo(np.longdouble).eps
        left = np.abs(np.eye(count) - found @ matrix) + size @ self.known[name]
        left = left + 2 * count * own * (np.eye(count) + size @ np.abs(matrix))
        rows = left.sum(axis=-1, keepdims=True)
        most = rows.max(axis=-2, keepdims=True)
        return np.where(most < 1, rows * size.max(axis=-2, keepdims=True) / (1 - most), np.inf)

    def _may_hold(self, condition: Condition, axes: _Axes) -> Any:
        """Whether it cannot be excluded: of what is no number anything may hold."""
        at, bound = self._at(condition.subject, axes), np.longdouble(float(condition.bound))
        error = np.where(np.isnan(at.error), np.inf, at.error)
        match condition.relation:
            case ">":
                return ~(at.value + error <= bound)
            case "<=":
                return ~(at.value - error > bound)
            case "=":
                return ~(np.abs(at.value - bound) > error)
            case _:
                return (error > 0) | (at.value != bound)

    def _at(self, node: Expr, axes: _Axes) -> _Known:
        zero = np.zeros((), np.longdouble)
        match node:
            case Number(number):
                value = np.asarray(np.longdouble(float(number)))
                return _Known(value, np.abs(value), zero, 0 if float(number) == number else 1)
            case Ref(array, _):
                if array.name not in self.values:
                    return self._unknown()
                value = aligned(self.values[array.name], node, axes)
                error = self.known.get(array.name, self.exact.get(array.name))
                if error is None:
                    return self._unknown()
                return _Known(value, np.abs(value), aligned(error, node, axes) if error.ndim else error, 0)
            case Indicator():
                sizes = self.network.sizes
                places = np.ix_(*(np.arange(sizes[i.axis]) if i in node.indices else np.zeros(1, int) for i in axes))
                at: dict[Index, Any] = dict(zip(axes, places, strict=True))
                value = np.asarray(at[node.index] == node.form.at(at), np.longdouble)
                return _Known(value, value, zero, 0)
            case Add(terms):
                parts = [self._at(term, axes) for term in terms]
                value, size, off = (reduce(np.add, each) for each in zip(*(part[:3] for part in parts), strict=True))
                return _Known(value, size, off, max(part.roundings for part in parts) + len(parts) - 1)
            case Mul(factors):
                return _product([self._at(factor, axes) for factor in factors])
            case Pow(base, exponent) if exponent > 0:
                return _product([self._at(base, axes)] * exponent)
            case Pow(Ref() as base, -1):
                one = self._at(base, axes)
                least = one.terms - one.off
                off = np.where(least > 0, one.off / (one.terms * least), np.inf) + _SMALLEST
                return _Known(1 / one.value, 1 / one.terms, off, 1)
            case Total(over, body):
                one = self._at(body, (*axes, *over))
                lengths = tuple(self.network.sizes[index.axis] for index in over)
                last = tuple(range(-len(over), 0))
                value, size, off = (
                    np.broadcast_to(a, (*a.shape[: a.ndim - len(over)], *lengths)).sum(axis=last) for a in one[:3]
                )
                return _Known(value, size, off, one.roundings + prod(lengths) - 1)
            case Extreme(kind, over, body):
                one = self._at(body, (*axes, *over))
                last = tuple(range(-len(over), 0))
                value = (np.max if kind == "max" else np.min)(one.value, axis=last)
                shape = np.broadcast_shapes(one.value.shape, np.shape(one.error))
                return _Known(value, np.abs(value), np.broadcast_to(one.error, shape).max(axis=last), 0)
            case Apply(phi, Ref() as argument, derivative) if phi.is_smooth:
                one = self._at(argument, axes)
                value, off = enclosures(phi, int(derivative), *np.broadcast_arrays(one.value, one.error))
                return _Known(value, np.abs(value), off, 0)
            case Apply(phi, Ref() as argument, derivative) if derivative < 2:
                return _piecewise(phi, self._at(argument, axes), bool(derivative))
        return self._unknown()

    @staticmethod
    def _unknown() -> _Known:
        """Of what nothing is known."""
        nothing = np.full((), np.nan, np.longdouble)
        return _Known(nothing, nothing, np.full((), np.inf, np.longdouble), 0)


def _product(factors: list[_Known]) -> _Known:
    """|(a + r)(b + t) - a b| <= r |b| + |a| t + r t; a partial product that underflows is multiplied by the others."""
    value = reduce(np.multiply, (f.value for f in factors))
    size, off = factors[0].terms, factors[0].off
    room = np.maximum(1, size + off)
    for f in factors[1:]:
        size, off = size * f.terms, off * (f.terms + f.off) + size * f.off
        room = room * np.maximum(1, f.terms + f.off)
    return _Known(
        value, size, off + (len(factors) - 1) * _SMALLEST * room, sum(f.roundings for f in factors) + len(factors) - 1
    )


def _piecewise(phi: Activation, s: _Known, derivative: bool) -> _Known:
    """phi(s) or phi'(s): what s may move it by is the steepest piece that it may be on, or how far slopes are apart."""
    kinks = [np.longdouble(float(kink)) for kink in phi.kinks]
    slopes = np.array([float(piece.slope) for piece in phi.pieces], np.longdouble)
    error = np.where(np.isnan(s.error), np.inf, s.error)
    places = (s.value, s.value - error, s.value + error)
    here, first, last = (sum((at > kink for kink in kinks), np.zeros(np.shape(at), int)) for at in places)
    on = [(n >= first) & (n <= last) for n in range(len(slopes))]
    if not derivative:
        pieces = np.array([float(piece.intercept) for piece in phi.pieces], np.longdouble)
        slope, shift = slopes[here], pieces[here]
        steepest = np.max([np.where(o, abs(k), 0) for o, k in zip(on, slopes, strict=True)], axis=0)
        off = steepest * error + 2 * _SMALLEST
        return _Known(slope * s.value + shift, np.abs(slope * s.value) + np.abs(shift), off, 3)
    value = slopes[here]
    highest = np.max([np.where(o, k, -np.inf) for o, k in zip(on, slopes, strict=True)], axis=0)
    lowest = np.min([np.where(o, k, np.inf) for o, k in zip(on, slopes, strict=True)], axis=0)
    at_kinks = (np.longdouble(float(slope)) for slope in phi.kink_slopes)
    for kink, its_own in zip(kinks, at_kinks, strict=True):
        value = np.where(s.value == kink, its_own, value)
        touched = np.abs(s.value - kink) <= error
        highest = np.where(touched, np.maximum(highest, its_own), highest)
        lowest = np.where(touched, np.minimum(lowest, its_own), lowest)
    off = np.where(error > 0, highest - lowest, 0)
    off = np.where(np.isnan(s.value), np.inf, off)  # what is no number is on no piece
    return _Known(value, np.abs(value), off, 1)
