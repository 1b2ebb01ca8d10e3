"""What rounding can move a quantity by: the sum of its absolute terms, read off the list of equations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.functions import bend_of, phi_of, slope_of
from fcsym.checking.report import ULPS
from fcsym.errors import ArgumentError
from fcsym.language.equation import Cases, Equation
from fcsym.language.expression import Add, Apply, Expr, Extreme, Index, Indicator, Inverse, Mul, Number, Pow, Ref, Total
from fcsym.networks.network import Network
from fcsym.networks.symbols import front_of, lacking

if TYPE_CHECKING:
    from fcsym.checking.subject import Derived

__all__ = ["Magnitude", "aligned", "made_of"]

_Array = npt.NDArray[Any]


class Magnitude:
    """The sum of the absolute terms of a quantity, with the operands' own sums carried through to first order.

    Each equation is read as a pair: the sum of the absolute values of its terms, and what rounding in its operands can
    move it by, sum |d lhs / d operand| * magnitude(operand). Actual values are used, not bounds on them, since those
    grow like the square of the layer above in sequential order.
    """

    def __init__(
        self, derivation: Derived, inputs: Mapping[str, _Array], values: Mapping[str, _Array], bar: float,
        names: Collection[str] = (),
    ) -> None:  # fmt: skip
        """`names`: the quantities that are asked for, with what they are made of (`made_of`); all of them by default.

        `values` has every quantity.
        """
        numbers = {a.name: np.asarray(float(value)) for a, value in derivation.network.rule.values.items()}
        self.derivation, self.values, self.bar = derivation, {**inputs, **values, **numbers}, bar
        single = bar > ULPS * np.finfo(np.float64).eps  # a bar is that of single precision, or of double
        self.least = np.longdouble(np.finfo(np.float32 if single else np.float64).smallest_normal)
        self.known: dict[str, _Array] = {name: np.zeros(()) for name in inputs}  # inputs are exact
        self.known |= {name: np.abs(value) / ULPS for name, value in numbers.items()}  # 9/10 is itself rounded
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for equation in derivation.equations:
                name = equation.name if equation.defines else front_of(derivation.network.logits).name
                if name in values and (not names or name in names):
                    self.known[name] = self._right_side(equation)
                    if name == lacking(derivation.network.logits).name:
                        self.known[name] = self.known[name] + self._resolved(derivation.network)

    def _resolved(self, network: Network) -> _Array:
        """What the oracle, a difference of two passes, can resolve of w' dv; on a kink, rounding chooses a piece."""
        unit, matrix = network.hidden[-1], np.abs(self.values[network.read_out.primed.name])
        passed = np.abs(self.values[unit.v.name]) + np.abs(self.values[unit.v.primed.name])
        off = ULPS * np.finfo(np.longdouble).eps / self.bar * passed
        after, moved = self.values[unit.s.primed.name], self.known[unit.s.primed.name]
        for kink in unit.activation.kinks:
            off = off + np.where(np.abs(after - float(kink)) <= self.bar * moved, moved, 0)
        features = len(network.read_out.axes) - 1
        flat = (array.reshape((*array.shape[: array.ndim - features], -1)) for array in (matrix, off))
        return np.asarray(np.einsum("pkj,pnj->pnk", *flat))

    def of(self, name: str) -> _Array:
        """The magnitude of each element."""
        return self.known[name]

    def _right_side(self, equation: Equation) -> _Array:
        assert isinstance(equation.lhs, Ref)
        axes = equation.lhs.indices
        if not isinstance(equation.rhs, Cases):
            size, moved = self._size(equation.rhs, axes)
            return np.asarray(size + moved + self.least)  # what underflows is rounded as the smallest normal number is
        result = np.zeros(())
        for branch in equation.rhs:
            if branch.value is not None:
                size, moved = self._size(branch.value, axes)
                result = result + np.where(self._holds(branch.when, axes), size + moved + self.least, 0)
        return result

    def _holds(self, when: Sequence[Any], axes: tuple[Index, ...]) -> Any:
        result: Any = True
        for condition in when:
            assert isinstance(condition.subject, Ref)
            values = aligned(self.values[condition.subject.array.name], condition.subject, axes)
            result = result & {
                ">": np.greater, "<=": np.less_equal, "=": np.equal, "!=": np.not_equal,
            }[condition.relation](values, float(condition.bound))  # fmt: skip
        return result

    def _inverse(self, name: str) -> tuple[_Array, _Array]:
        """|A^-1|, and |A^-1| (what A may be off by, and what eigenvalues are off by) |A^-1|."""
        matrix = np.asarray(self.values[name], np.longdouble)
        count = matrix.shape[-1]
        inverse = np.abs(np.asarray(self.values[f"{name}i"], np.longdouble))
        off = self.known[name] + count * np.abs(matrix).max(axis=(-1, -2), keepdims=True)
        return inverse, np.einsum("...ab,...bc,...cd->...ad", inverse, off, inverse)

    def _size(self, node: Expr, axes: tuple[Index, ...]) -> tuple[_Array, _Array]:
        """(sum of absolute terms, movement by the operands' rounding), aligned with the left-hand side."""
        zero = np.zeros((), np.longdouble)
        match node:
            case Number(value):
                constant = np.asarray(abs(np.longdouble(float(value))))
                return constant, constant / ULPS  # 1/100 is itself rounded
            case Ref():
                actual = np.abs(aligned(self.values[node.array.name], node, axes)).astype(np.longdouble)
                known = self.known[node.array.name]
                return actual, known if known.ndim == 0 else aligned(known, node, axes)
            case Indicator():
                sizes = self.derivation.network.sizes
                places = np.ix_(*(np.arange(sizes[i.axis]) if i in node.indices else np.zeros(1, int) for i in axes))
                at: dict[Index, Any] = dict(zip(axes, places, strict=True))
                return np.asarray(at[node.index] == node.form.at(at), np.longdouble), zero
            case Add(terms):
                size, moved = zero, zero
                for term in terms:
                    more, shift = self._size(term, axes)
                    size, moved = size + more, moved + shift
                return size, moved
            case Mul(factors):
                size, moved = np.ones((), np.longdouble), zero
                for factor in factors:
                    more, shift = self._size(factor, axes)
                    both = self.bar * moved * shift  # all that is left where both factors are 0 up to rounding
                    size, moved = size * more, moved * more + size * shift + both
                return size, moved
            case Pow(base, exponent) if exponent > 0:
                size, moved = self._size(base, axes)
                spread = zero  # ((size + bar moved)^n - size^n)/bar: to first order nothing is left where the base is 0
                for k in range(1, exponent + 1):
                    spread = spread + comb(exponent, k) * size ** (exponent - k) * moved**k * self.bar ** (k - 1)
                return np.asarray(size**exponent), np.asarray(spread)
            case Pow(base, exponent):
                size, moved = self._size(base, axes)
                safe = np.where(size > 0, size, np.inf)
                return np.asarray(safe**exponent), np.asarray(-exponent * moved * safe ** (exponent - 1))
            case Total(over, Number()):  # how many there are, exactly
                count = np.asarray(np.longdouble(self.values[self.derivation.network.input.name].shape[-2]))
                return count, zero
            case Inverse(Ref(array, _)):
                return self._inverse(array.name)
            case Total(over, body):
                size, moved = self._size(body, (*axes, *over))
                last, shape = tuple(range(-len(over), 0)), np.broadcast_shapes(size.shape, moved.shape)
                return size.sum(axis=last), np.broadcast_to(moved, shape).sum(axis=last)
            case Extreme(_, over, body):
                size, moved = self._size(body, (*axes, *over))
                last, shape = tuple(range(-len(over), 0)), np.broadcast_shapes(size.shape, moved.shape)
                return size.max(axis=last), np.broadcast_to(moved, shape).max(axis=last)
            case Apply(phi, Ref() as argument, derivative):
                s = aligned(self.values[argument.array.name], argument, axes)
                if phi.is_smooth:
                    _, moved = self._size(argument, axes)
                    if derivative:  # 1 - tanh^2 and the like: terms of size 1, with a slope of about 1 or less
                        large, steep = (np.maximum(1, np.abs(bend_of(phi, s, derivative + n))) for n in (0, 1))
                        return np.asarray(large, np.longdouble), steep * moved
                    with np.errstate(all="ignore"):
                        steep, bend = np.abs(slope_of(phi, s)), np.abs(bend_of(phi, s))
                        known = np.isfinite(steep) & np.isfinite(bend)
                        first = steep * moved + self.bar * bend * moved**2
                    if not known.all():  # sqrt at 0: how far it can be off there
                        far = np.abs(phi_of(phi, np.asarray(self.bar * moved + s))) / self.bar
                        first = np.where(known, first, np.where(moved > 0, far, 0))
                    return np.abs(phi_of(phi, s)), first
                piece = sum((s > float(kink) for kink in phi.kinks), np.zeros(s.shape, int))
                slopes: _Array = np.array([abs(float(p.slope)) for p in phi.pieces])[piece]
                if derivative:
                    return slopes, zero  # exact, wherever rounding does not decide the gate
                size, moved = self._size(argument, axes)
                intercepts = np.array([abs(float(p.intercept)) for p in phi.pieces])[piece]
                return np.asarray(slopes * size + intercepts), np.asarray(slopes * (moved + size / ULPS))
        raise ArgumentError(f"{node!r} cannot be measured.")


def made_of(derivation: Derived, names: Collection[str]) -> frozenset[str]:
    """The quantities of those names, and all that they are made of."""
    wanted = set(names)
    for equation in reversed(derivation.equations):
        if equation.defines and equation.name in wanted:
            wanted |= {array.name for array in equation.operands}
    return frozenset(wanted)


def aligned(value: _Array, ref: Ref, axes: tuple[Index, ...]) -> _Array:
    """The array with one axis per index of the left-hand side."""
    order = sorted(range(len(ref.indices)), key=lambda n: axes.index(ref.indices[n]))
    lead = value.ndim - len(ref.indices)
    moved = np.transpose(value, (*range(lead), *(lead + n for n in order)))
    present = {index for index in ref.indices}
    selector: list[Any] = [slice(None) if index in present else None for index in axes]
    return moved[(..., *selector)]
