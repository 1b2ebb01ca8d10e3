"""Proof of second derivatives by name in a network of layers: in index notation, at every width.

A second derivative is the linear part of a first one, whose own equations are examined as well: what E changes by, to
first order, carried through the list of the first derivative, with a slope phi'(s) that changes by phi''(s).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fcsym.deriving.gradient import Wanted
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import inline, rename
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ZERO, Apply, Array, Expr, Index, Ref, mul
from fcsym.networks.network import Network
from fcsym.networks.symbols import bend_of, derivative_of, direction_of
from fcsym.proof.derivatives_of_layers import LayersExaminer
from fcsym.proof.general import General

__all__ = ["TwiceOfLayers"]


@dataclass(frozen=True, slots=True)
class _Moving(General):
    """What is linear in a change of a first derivative's list."""

    def _bent(self, equation: Equation, variable: Array, direction: Array) -> Expr:
        """What a gate changes by: phi''(s) times the direction, where the list has that."""
        rhs = equation.rhs
        assert isinstance(rhs, Apply) and isinstance(rhs.argument, Ref)
        if not rhs.activation.is_smooth or rhs.argument.array != variable:
            return ZERO
        bend = bend_of(variable)
        if rhs.derivative != 1 or bend.name not in self.given:
            raise UnsupportedExpression(f"{equation.name} is a slope that changes.")
        return mul(bend[rhs.argument.indices], direction[rhs.argument.indices])

    def _named_adjoint(self, array: Array) -> Array | None:
        """Only what is a derivative of the first derivative: an adjoint of the list is one of its arrays here."""
        made = derivative_of(self.root, array)
        found = self.given.get(made.name)
        return made if found is not None and found.rule in (Rule.ADJOINT, Rule.GRADIENT) else None


class TwiceOfLayers(LayersExaminer):
    """Index notation for the second derivatives, and both deciders for the first ones that they rest on."""

    def __init__(self, network: Network, asked: Wanted, equations: Sequence[Equation]) -> None:
        super().__init__(network, asked.of, tuple(array.name for array in asked.once), equations)
        self.asked, self.derivative = asked, asked.root
        self.directions = tuple(map(direction_of, asked.along))
        adjoints = tuple(derivative_of(self.root, a) for a in self.passed)
        known = {*self.passed, *self._gates, *adjoints, *self.results, self.derivative} - {asked.of}
        self.first = {e.array: e for e in equations if e.array in known}
        before, needed = list[Equation](), {self.derivative}  # what the first derivative rests on
        for e in reversed(self.first.values()):
            if e.array in needed:
                before.insert(0, e)
                needed |= set(e.operands)
        readers: dict[Array, list[Equation]] = {}
        for e in before:
            for array in e.operands:
                readers.setdefault(array, []).append(e)
        self.gradients = tuple(self.results)
        self.results = [self.derivative, *asked.results]
        self.own = tuple(Index(axis, f"of{n}") for n, axis in enumerate(self.derivative.axes))
        given = {e.name: e for e in equations}
        plain = _Moving.of(network, "simultaneous", given)
        self.moving = replace(
            plain, passed={e.array: e for e in before}, readers=readers, root=self.derivative, at=self.own
        )

    def rules(self) -> dict[Array, Rule]:
        """What each equation of the list claims."""
        rules = super().rules() | dict.fromkeys(self._bends, Rule.DEFINITION)
        rules |= dict.fromkeys((derivative_of(self.derivative, a) for a in self.first), Rule.ADJOINT)
        return rules | dict.fromkeys((self.derivative, *self.asked.results), Rule.GRADIENT)

    @property
    def _bends(self) -> dict[Array, Array]:
        """phi''(s), by what it is taken at."""
        return {bend_of(a): a for a in (*self._ends, *self.passed)}

    @cached_property
    def _first_hold(self) -> bool:
        """Whether the first derivatives that the list has are what they are called."""
        rest = (e for e in self.first.values() if not (self.asked.along and e.array == self.derivative))
        return all(super(TwiceOfLayers, self)._in_indices(e) for e in rest)

    def _in_indices(self, equation: Equation) -> bool | None:
        array = equation.array
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        try:
            if array in self._bends:
                return self._is_bend(equation, self._bends[array])
            if array in self.first or array == self.asked.of:
                along = bool(self.asked.along) and array == self.derivative
                return self._is_along(equation) if along else super()._in_indices(equation)
            if not self._first_hold:  # of what is differentiated nothing is known then
                return None
            names = dict(zip(equation.lhs.indices, self.own, strict=False))
            return self.moving.holds(
                replace(equation, lhs=rename(equation.lhs, names), rhs=rename(equation.rhs, names))
            )
        except UnsupportedExpression:
            return None

    def _is_bend(self, equation: Equation, s: Array) -> bool:
        """It is phi''(s) of an activation that reads s."""
        assert isinstance(equation.lhs, Ref)
        read = [e.rhs for e in self.meanings.readers.get(s, ()) if isinstance(e.rhs, Apply) and not e.rhs.derivative]
        return any(equation.rhs == Apply(f.activation, s[equation.lhs.indices], derivative=2) for f in read)

    def _is_along(self, equation: Equation) -> bool:
        """dE/dT is what E moves by, to first order, when everything with a direction moves along it."""
        assert isinstance(equation.rhs, Expr)
        named = {}
        for array in self.gradients:
            gradient = self.first[array]
            assert isinstance(gradient.lhs, Ref) and isinstance(gradient.rhs, Expr)
            named[array] = gradient.lhs.indices, gradient.rhs
        moved = dict(zip(self.asked.along, self.directions, strict=True))
        return self.meanings.along(inline(equation.rhs, named), moved)

    def _at_points(self, equation: Equation) -> bool | None:
        second = equation.array not in self.first and equation.array != self.asked.of
        if second or (self.asked.along and equation.array == self.derivative):
            return None
        return super()._at_points(equation)
