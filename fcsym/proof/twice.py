"""Proof of second derivatives by name: what each equation of such a list has to be, and the two who decide it.

In index notation a second derivative is the linear part of a first one, whose own equations are examined as well. The
other decider knows no first derivative: it carries dual numbers of dual numbers through the forward equations,
E(W + a T + b S) with a^2 = b^2 = 0, and what stands before a b is the second derivative along T and S. What a first
derivative moves by with an adjoint delta of a pre-activation is what that pre-activation moves by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.deriving.gradient import Wanted
from fcsym.errors import UnsupportedExpression
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation, smooth
from fcsym.language.algebra import inline, rename
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Array, Index, Ref, Role
from fcsym.language.instance import Element, Field, Instance, positions
from fcsym.networks.network import Network
from fcsym.networks.symbols import bend_of, derivative_of, direction_of
from fcsym.proof.expanded import Arithmetic
from fcsym.proof.numbers import Dual
from fcsym.proof.once import Examiner, free_unit, no_cases, right
from fcsym.proof.reference import plus

__all__ = ["TwiceExaminer"]


class TwiceExaminer(Examiner):
    """Both deciders, for one network and one first derivative to differentiate."""

    def __init__(self, network: Network, asked: Wanted, equations: tuple[Equation, ...]) -> None:
        super().__init__(network, asked.of, tuple(array.name for array in asked.once))
        self.asked, self.derivative = asked, asked.root
        self.directions = tuple(map(direction_of, asked.along))
        inner = list(self.gates.values())
        smooth_ones = {unit.s for unit in network.activated if unit.activation.is_smooth}
        self.bends = {bend_of(a): a for a in inner if a in smooth_ones}
        self.moved = {derivative_of(self.derivative, a): a for a in self.adjoints}  # what each s moves by
        self.through = {derivative_of(self.derivative, a): a for a in inner}
        self.second = {derivative_of(self.derivative, a): a for a in asked.by}
        self.results = [self.derivative, *self.second]
        known = {*self.passed, *self.gates, *self.adjoints, *self.gradients, self.derivative}
        first = {e.array: e for e in equations if e.array in known and e.array != asked.of}
        self.known, self.first = known - {self.derivative} | {*self.gradients}, tuple(first.values())
        readers: dict[Array, list[Equation]] = {}
        for e in first.values():
            for array in e.operands:
                readers.setdefault(array, []).append(e)
        self.own = tuple(Index(axis, f"of{n}") for n, axis in enumerate(self.derivative.axes))
        self.twice = replace(self.meanings, passed=first, readers=readers, root=self.derivative, at=self.own)

    def rules(self) -> dict[Array, Rule]:
        """What each equation of the list claims."""
        rules = super().rules() | dict.fromkeys(self.bends, Rule.DEFINITION)
        rules |= dict.fromkeys((*self.moved, *self.through), Rule.ADJOINT)
        return rules | dict.fromkeys((self.derivative, *self.second), Rule.GRADIENT)

    def _in_indices(self, equation: Equation) -> bool | None:
        array = equation.array
        assert isinstance(equation.lhs, Ref)
        try:
            if array in self.bends:
                s = self.bends[array]
                phi = self.network.units[s.axes[-1]].activation
                return equation.rhs == Apply(phi, s[equation.lhs.indices], derivative=2)
            meant = self.moved.get(array, self.through.get(array))
            along = array == self.derivative and bool(self.asked.along)
            if meant is None and array not in self.second and not along:
                return super()._in_indices(equation)
            if not self._first_hold:  # of what is differentiated nothing is known then
                return None
            if along:
                return self._is_along(equation)
            names = dict(zip(equation.lhs.indices, self.own, strict=False))
            one = replace(equation, lhs=rename(equation.lhs, names), rhs=rename(right(equation), names))
            if meant is not None:
                return self.twice.adjoint(meant, one)
            return self.twice.gradient(self.second[array], one)
        except UnsupportedExpression:
            return None

    @cached_property
    def _first_hold(self) -> bool:
        """Whether the first derivatives that the list has are what they are called."""
        return all(super(TwiceExaminer, self)._in_indices(e) for e in self.first if e.array in self.known)

    def _is_along(self, equation: Equation) -> bool:
        """dE/dT is what E moves by, to first order, when everything with a direction moves along it."""
        gradients = (self.twice.passed[a] for a in self.gradients)
        named = {e.array: (e.lhs.indices, right(e)) for e in gradients if isinstance(e.lhs, Ref)}
        moved = dict(zip(self.asked.along, self.directions, strict=True))
        return self.meanings.along(inline(right(equation), named), moved)

    # ------------------------------------------------------------------------------- dual numbers of dual numbers

    def at_random(self, arithmetic: Arithmetic) -> Any:
        """A world of residues, in which gates, their slopes and the values of smooth functions are free."""

        def of_unit(phi: Activation, at: Element, s: Any) -> tuple[Any, ...]:
            return free_unit(arithmetic, phi, at, s)

        def of_term(phi: Activation, at: Element, s: Any) -> tuple[Any, ...]:
            return (*arithmetic.function(phi, at, s), _bend(arithmetic, phi, at, s))

        return _World(self, arithmetic.number, arithmetic.variable, of_unit, of_term)

    def in_rationals(self, variable: Callable[[str], Fraction]) -> Any:
        """A world of small rationals, for networks without smooth functions."""

        def exactly(phi: Activation, _: Element, s: Fraction) -> tuple[Any, ...]:
            return phi.value_at(s), phi.slope_at(s), Fraction(0)

        return _World(self, Fraction, variable, exactly, exactly)


def _bend(arithmetic: Arithmetic, phi: Activation, at: Element, s: Any) -> Any:
    """phi''(s) of a function in a loss: c f'(s) where phi' is c f for a function f of the language, -c/s^2 for c/s."""
    if not phi.is_smooth:
        return arithmetic.number(Fraction(0))
    known = smooth_functions.slope_among_entries(phi)
    if known is None:
        return arithmetic.variable("_".join([f"bend_{phi.name}", at[0].name, *map(str, at[1])]))
    factor, name, exponent = known
    if name is None:
        return arithmetic.number(-factor) / s / s if exponent else arithmetic.number(Fraction(0))
    inner = smooth(name)
    unit = (at[0], name) in arithmetic.units
    slope = (free_unit(arithmetic, inner, at, s) if unit else arithmetic.function(inner, at, s))[1]
    return arithmetic.number(factor) * slope


@dataclass
class _World:
    """One evaluation of the forward equations, and what E moves by to second order."""

    examiner: TwiceExaminer
    number: Callable[[Fraction], Any]
    variable: Callable[[str], Any]
    of_unit: Callable[[Activation, Element, Any], tuple[Any, ...]]  # phi(s), phi'(s) and phi''(s) of a layer
    of_term: Callable[[Activation, Element, Any], tuple[Any, ...]]  # of a function in a loss
    runs: dict[tuple[Element | None, Element | None], Instance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        network = self.examiner.small
        self.sizes = network.sizes
        inner = dict.fromkeys(self.examiner.gates.values())
        self.bumps = {array: Array(f"{array.name}_bump", None, array.axes) for array in inner}
        self.equations = {
            e.array: replace(e, rhs=e.rhs + self.bumps[e.array][e.lhs.indices]) if e.array in self.bumps else e  # type: ignore
            for e in forward(network)
        }

    def _function(self, node: Apply, at: Element, s: Any) -> tuple[Any, ...]:
        unit = self.examiner.small.units.get(at[0].axes[-1]) if at[0].axes else None
        own = unit is not None and unit.s == at[0] and unit.activation == node.activation
        return (self.of_unit if own else self.of_term)(node.activation, at, s)

    def _run(self, outer: Element | None, inner: Element | None) -> Instance:
        """The forward equations with one element moved by a and one by b; outer None: everything along T by a."""
        if (outer, inner) not in self.runs:
            self.runs[outer, inner] = self._moved(outer, inner)
        return self.runs[outer, inner]

    def _moved(self, outer: Element | None, inner: Element | None) -> Instance:
        zero, one = self.number(Fraction(0)), self.number(Fraction(1))
        bumped = {bump: array for array, bump in self.bumps.items()}
        along = {direction.of: direction for direction in self.examiner.directions}

        def leaf(array: Array, at: tuple[int, ...]) -> Dual:
            place = bumped.get(array, array), at
            by_a = one if place == outer else zero
            if outer is None and array in along:
                by_a = self._variable(along[array], at)
            base = zero if array in bumped else self._variable(array, at)
            return Dual(Dual(base, one if place == inner else zero), Dual(by_a, zero))

        def apply(node: Apply, at: Element, s: Dual) -> Dual:
            value, slope, bend = self._function(node, at, s.value.value)
            by_b = s.value.slope
            return Dual(Dual(value, slope * by_b), Dual(slope, bend * by_b) * s.slope)

        def greatest(every: list[Dual]) -> Dual:
            return max(every, key=lambda one: one.value.value) if self.number is Fraction else every[0]

        def number(value: Fraction) -> Dual:
            return Dual(Dual(self.number(value), zero), Dual(zero, zero))

        def divide(a: Dual, b: Dual) -> Dual:
            return a / b

        world = Field(number, divide, apply, no_cases, plus, extreme={"max": greatest})
        return Instance(self.equations, self.sizes, leaf, world)

    def _variable(self, array: Array, at: tuple[int, ...]) -> Any:
        where = f"[{', '.join(str(p + 1) for p in at)}]" if at else ""
        return self.variable(f"{array.name}{where}")

    def _error(self, outer: Element | None, inner: Element | None) -> Dual:
        found: Dual = self._run(outer, inner).element(self.examiner.root, ())
        return found

    def _true(self, array: Array, at: tuple[int, ...]) -> Any:
        examiner = self.examiner
        if array.role is Role.UNIT:
            return self.number(Fraction(int(at[0] == at[1])))
        if array in self.equations:
            return self._run(None, None).element(array, at).value.value
        for order, slopes in ((1, examiner.gates), (2, examiner.bends)):
            if array in slopes:
                s = slopes[array]
                phi = examiner.small.units[s.axes[-1]].activation
                return self.of_unit(phi, (s, at), self._true(s, at))[order]
        by = examiner.adjoints.get(array, examiner.gradients.get(array))
        if by is not None:
            return self._error(None, (by, at)).value.slope
        if array == examiner.derivative:  # along T; by one array it is a gradient, above
            return self._error(None, None).slope.value
        return self._second(array, at)

    def _second(self, array: Array, at: tuple[int, ...]) -> Any:
        examiner = self.examiner
        own = len(examiner.derivative.axes)
        outer = None if examiner.asked.first is None else (examiner.asked.first, at[:own])
        if array in examiner.moved:
            s = examiner.adjoints[examiner.moved[array]]
            return self._run(outer, None).element(s, at[own:]).slope.value
        inner = examiner.through.get(array, examiner.second.get(array))
        if inner is None:
            return self._variable(array, at)
        return self._error(outer, (inner, at[own:])).slope.slope

    def sides(self, equation: Equation, at: tuple[int, ...]) -> tuple[Any, Any]:
        """The right-hand side at one place, and what it should be."""

        def apply(node: Apply, source: Element, s: Any) -> Any:
            return self._function(node, source, s)[node.derivative]

        extreme: Mapping[str, Callable[[list[Any]], Any]] = {"max": max if self.number is Fraction else _first}
        world = Field(self.number, lambda a, b: a / b, apply, no_cases, plus, extreme=extreme)
        here = Instance({}, self.sizes, self._true, world)
        return here.right_side(equation, at), self._true(equation.array, at)

    def holds(self, equation: Equation) -> bool:
        """Whether both are the same at every place."""
        every = (self.sides(equation, at) for at in positions(equation.array, self.sizes))
        return all(left == right for left, right in every)


def _first(every: list[Any]) -> Any:
    """E may not depend on which is taken."""
    return every[0]
