"""The same identities at random points: one training step of a network of layers, evaluated exactly in a prime field.

Parameters, inputs, targets, eta, the value of every smooth function and the slope of every piece are free numbers, so
that one point stands for every joint pattern of gates. Derivatives are those of dual numbers, equation by equation; the
values after the step come from the forward equations at the updated parameters. No rule of the derivation is used.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from math import prod
from operator import itemgetter
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation
from fcsym.language.algebra import indices_of
from fcsym.language.equation import Branch, Equation, Order, Rule, functions_in
from fcsym.language.expression import Add, Apply, Array, Ref, Role, add, arrays_in, indices_in
from fcsym.language.findings import Counterexample
from fcsym.language.instance import Element, Field, Instance, positions
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ETA,
    adjoint_of,
    effective,
    frozen_activation,
    gate_of,
    gradient_of,
    increment_of,
    norm,
    p_of,
)
from fcsym.proof.general import moving
from fcsym.proof.numbers import Dual, Residue, digest, drawn
from fcsym.proof.reference import plus

__all__ = ["Numbers", "Points", "World", "rationals", "residues"]

_TRIES = 60


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where free numbers come from, and what functions do to them."""

    variable: Callable[[str], Any]
    number: Callable[[Fraction], Any]
    function: Callable[[Activation, Element, Any], tuple[Any, Any]]  # phi(s) and phi'(s)
    extreme: Mapping[str, Callable[[list[Any]], Any]]


def _where(element: Element) -> str:
    array, position = element
    return f"{array.name}[{', '.join(str(p + 1) for p in position)}]" if position else array.name


def residues(seed: str) -> Numbers:
    """Numbers modulo a prime, each of which follows from the digest and its name."""

    def variable(name: str) -> Residue:
        return Residue(drawn(seed, name))

    def function(phi: Activation, source: Element, s: Any) -> tuple[Any, Any]:
        at = _where(source)
        if phi.is_identity:
            return s, Residue.of(Fraction(1))
        if not phi.is_smooth:
            slope = variable(f"slope of {phi.name} at {at}")
            shifted = any(piece.intercept for piece in phi.pieces)
            return slope * s + variable(f"shift of {phi.name} at {at}") if shifted else slope * s, slope
        value = variable(f"{phi.name} at {at}")
        own = smooth_functions.slope_by_value(phi)
        if own is not None:
            slope = Residue.of(own[0])
            return value, slope * value if own[1] > 0 else slope / value
        known = smooth_functions.slope_among_entries(phi)
        if known is None:
            return value, variable(f"slope of {phi.name} at {at}")
        factor, name, exponent = known
        slope = Residue.of(factor)
        if name is not None:
            slope = slope * variable(f"{name} at {at}")
        return value, slope if not exponent else slope / s

    return Numbers(variable, Residue.of, function, dict.fromkeys(("min", "max"), itemgetter(0)))


def rationals(seed: int) -> Numbers:
    """Small rational numbers, and functions that are what they are."""
    source, made = random.Random(seed), dict[str, Fraction]()

    def variable(name: str) -> Fraction:
        if name not in made:
            made[name] = Fraction(source.randint(-4, 4), source.choice((1, 1, 2)))
        return abs(made[name]) or Fraction(1) if name == ETA.name else made[name]

    def function(phi: Activation, _: Element, s: Any) -> tuple[Any, Any]:
        return phi.value_at(s), phi.slope_at(s)

    return Numbers(variable, lambda value: value, function, {"min": min, "max": max})


_WORK = 4_000


def _small_enough(network: Network) -> Network:
    """The network itself, or with axes so short that its forward equations have few terms in all."""
    for width in (0, 4, 3, 2):
        made = network.reduced(width) if width else network.reduced(max(network.sizes.values()))
        if width == 2 or sum(_terms(e, made) for e in forward(made)) <= _WORK:
            return network if not width and not network.batch else made
    raise AssertionError("2 is the last one")


def _terms(equation: Equation, network: Network) -> int:
    every = {index.axis: index for node in equation.expressions for index in indices_in(node)}
    return prod(network.sizes.get(axis, 2) for axis in every)


class Points:
    """The derivation's right-hand sides against the truth, at a random point of a smaller instance."""

    in_full = False

    def __init__(self, network: Network, order: Order, given: Mapping[str, Equation]) -> None:
        self.full, self.network, self.order, self.given = network, _small_enough(network), order, given
        self.seed = digest(network, order, *((e.lhs, e.rhs, e.rule, e.label) for e in given.values()))

    @property
    def method(self) -> str:
        """How the identities were decided, for the report."""
        return "evaluated exactly at a random point modulo 2^127 - 1, with dual numbers"

    @cached_property
    def _world(self) -> World:
        return World(self, residues(self.seed))

    def holds(self, equation: Equation) -> bool | None:
        """Whether an equation without cases is true at the point; None where it has no truth to compare with."""
        try:
            return self._world.holds(equation)
        except ZeroDivisionError:  # by what is 0 everywhere, or only where a window leaves a smaller axis
            return False if self.network == self.full else None
        except (KeyError, UnsupportedExpression):
            return None

    def sees(self, _: Equation) -> bool:
        """Whether what is examined here is the equation itself, in full: never."""
        return False

    expands = sees

    def integral_in_full(self, *_: object) -> bool:
        """There is no integrated P here."""
        return False

    def case_holds(self, equation: Equation, branch: Branch, pieces: tuple[int, int]) -> bool | None:
        """Cases are decided in index notation."""
        del equation, branch, pieces
        return None

    def counterexample(self, equation: Equation) -> Counterexample | None:
        """A network of small rationals in which the right-hand side is not what the left-hand side means."""
        if self.network.rule.divides or any(phi.is_smooth for phi in functions_in(forward(self.network))):
            return None  # tanh of a rational is none: nothing here could be checked by hand
        for seed in range(_TRIES):
            world = World(self, rationals(seed))
            try:
                for at in positions(equation.array, self.network.sizes):
                    derived, true = world.sides(equation, at)
                    if derived != true:
                        return Counterexample(dict(world.drawn), _where((equation.array, at)), derived, true)
            except (KeyError, ArithmeticError, UnsupportedExpression):
                continue
        return None


@dataclass
class World:
    """One training step: every quantity that a derivation may mention, element by element."""

    points: Points
    numbers: Numbers
    drawn: dict[str, Any] = field(default_factory=dict)
    truth: dict[Element, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        network = self.points.network
        self.network, self.sizes = network, network.sizes
        self.passed = {e.array: e for e in forward(network)}
        self.readers: dict[Array, list[Equation]] = {}
        for e in self.passed.values():
            for array in e.operands:
                self.readers.setdefault(array, []).append(e)
        base = Instance(self.passed, self.sizes, self._leaf, self.field())
        base.fill()
        self.truth |= base.known
        for array in network.parameters:  # whether anything reads them or not
            for at in positions(array, self.sizes):
                self._leaf(array, at)

    def _leaf(self, array: Array, at: tuple[int, ...]) -> Any:
        """A free number: a parameter, an input, a target, what the update rule carries, eta."""
        if (array, at) not in self.truth:
            name = _where((array, at))
            coefficients = self.network.rule.values
            known = coefficients.get(array)
            self.truth[array, at] = self.numbers.variable(name) if known is None else self.numbers.number(known)
            self.drawn[name] = self.truth[array, at]
        return self.truth[array, at]

    def field(self, after: bool = False) -> Field:
        """The arithmetic of this world, with its functions before the step or after it."""

        def apply(node: Apply, source: Element, s: Any) -> Any:
            place = (source[0].primed, source[1]) if after else source
            return self.numbers.function(node.activation, place, s)[node.derivative]

        def never(*_: Any) -> Any:
            raise AssertionError("cases are examined one by one")

        return Field(self.numbers.number, lambda a, b: a / b, apply, never, plus, extreme=self.numbers.extreme)

    # ---------------------------------------------------------------------------------------- derivatives

    def _adjoint(self, array: Array, at: tuple[int, ...], theta: bool = False) -> Any:
        """dE by one element: what each equation that reads it moves by, met with what E moves by with that."""
        key = (adjoint_of(array) if not theta else gradient_of(array), at)
        if key not in self.truth:
            zero = self.numbers.number(Fraction(0))
            parts = [zero]
            for e in self.readers.get(array, ()):
                for place, slope in self._moves(e, array, at, theta):
                    reached = self.numbers.number(Fraction(1))
                    if e.array.role is not Role.LOSS:
                        reached = self._adjoint(e.array, place)
                    parts.append(slope * reached)
            self.truth[key] = plus(parts)
        return self.truth[key]

    def _moves(
        self, e: Equation, array: Array, at: tuple[int, ...], theta: bool
    ) -> Iterator[tuple[tuple[int, ...], Any]]:  # fmt: skip
        """What the elements of an equation move by when one that it reads does."""
        zero, one = self.numbers.number(Fraction(0)), self.numbers.number(Fraction(1))
        updated = self.points.order == "sequential" and not theta

        def leaf(read: Array, place: tuple[int, ...]) -> Dual:
            if (read, place) == (array, at):
                return Dual(self.truth[read, place], one)
            if updated and read in self.network.trained:  # the error passes through updated weights
                return Dual(self.value(read.primed, place), zero)
            return Dual(self._known(read, place), zero)

        def apply(node: Apply, source: Element, s: Dual) -> Dual:
            value, slope = self.numbers.function(node.activation, source, self.truth[source])
            if node.derivative:  # constant between its kinks
                return Dual(slope, zero)
            return Dual(value, slope * s.slope)

        def never(*_: Any) -> Any:
            raise AssertionError("forward equations have no cases")

        def taken(kind: str, every: list[Dual]) -> Dual:
            value = self.numbers.extreme[kind]([each.value for each in every])
            return next(each for each in every if each.value == value)

        extreme = {kind: partial(taken, kind) for kind in self.numbers.extreme}
        duals = Field(
            lambda v: Dual(self.numbers.number(v), zero), lambda a, b: a / b, apply, never, plus, extreme=extreme
        )
        instance = Instance({}, self.sizes, leaf, duals)
        if isinstance(e.rhs, Add):  # what the array is no part of does not move; its weights may not be known yet
            e = replace(e, rhs=add(*(term for term in e.rhs.terms if array in arrays_in(term))))
        for place in positions(e.array, self.sizes):
            slope = instance.right_side(e, place).slope
            if slope != zero:
                yield place, slope

    def _known(self, array: Array, at: tuple[int, ...]) -> Any:
        found = self.truth.get((array, at))
        return self._leaf(array, at) if found is None else found

    # ------------------------------------------------------------------------------------------- the step

    @cached_property
    def _rule(self) -> dict[Array, Equation]:
        rule = self.network.rule
        made = [*rule.shared(), *(e for a in self.network.trained for e in rule.equations(a, indices_of(a)))]
        return {e.array: e for e in made}

    @cached_property
    def _after(self) -> Instance:
        """The forward equations at the updated parameters."""

        def leaf(array: Array, at: tuple[int, ...]) -> Any:
            return self.value(array.primed, at) if array in self.network.trained else self._known(array, at)

        moves = moving(self.passed, self.network.trained)
        still = {element: value for element, value in self.truth.items() if element[0] not in moves}
        still = {element: value for element, value in still.items() if element[0] in self.passed}
        made = Instance(self.passed, self.sizes, leaf, self.field(after=True), dict(still))
        made.fill()
        return made

    def value(self, array: Array, at: tuple[int, ...]) -> Any:
        """The true value of one element; KeyError for what has none here."""
        if (array, at) not in self.truth:
            self.truth[array, at] = self._value(array, at)
        return self.truth[array, at]

    def _value(self, array: Array, at: tuple[int, ...]) -> Any:
        network, base, whose = self.network, array.unprimed, array.of
        if array in self._rule and array.role is not Role.GRADIENT:
            return Instance({}, self.sizes, self.value, self.field()).right_side(self._rule[array], at)
        if array.after and base in self.passed:
            return self._after.element(base, at)
        if array == p_of(network.read_out) and not network.places:
            k, *j = at
            vc, dv = frozen_activation(network.hidden[-1].v), increment_of(network.hidden[-1].v)
            del k
            weight = self.value(network.read_out.primed, at)
            return weight * self.value(dv, tuple(j)) / self.value(vc, tuple(j))
        if array == effective(network.read_out) and not network.places:
            return self.value(network.read_out.primed, at) + self.value(p_of(network.read_out), at)
        if whose is None:
            if array in (
                *network.parameters,
                *network.memory,
                network.input,
                network.target,
                *network.rule.values,
                ETA,
            ):
                return self._leaf(array, at)
            raise KeyError(array)
        if array in network.memory:
            return self._leaf(array, at)
        if array == gradient_of(whose) and whose not in self.passed:
            return self._adjoint(whose, at, theta=True)
        if array == increment_of(whose):
            return self.value(whose.primed, at) - self.value(whose, at)
        if array in (adjoint_of(whose), gradient_of(whose)) and whose in self.passed:
            return self._adjoint(whose, at)
        if array == gate_of(whose):
            phi = next(node.activation for node in self._applied(whose) if not node.derivative)
            return self.numbers.function(phi, (whose, at), self.value(whose, at))[1]
        if array == frozen_activation(whose):
            return self.value(whose, at)
        if array == norm(whose):
            given = self.points.given[array.name]
            return Instance({}, self.sizes, self.value, self.field()).right_side(given, at)
        raise KeyError(array)

    def _applied(self, s: Array) -> Iterator[Apply]:
        for e in self.readers.get(s, ()):
            if isinstance(e.rhs, Apply) and isinstance(e.rhs.argument, Ref):
                yield e.rhs

    # ------------------------------------------------------------------------------------------- comparison

    def sides(self, equation: Equation, at: tuple[int, ...]) -> tuple[Any, Any]:
        """The right-hand side at one place, and what it should be."""
        here = Instance({}, self.sizes, self.value, self.field())
        assert isinstance(equation.lhs, Ref)
        return here.right_side(equation, at), self.value(equation.lhs.array, at)

    def holds(self, equation: Equation) -> bool | None:
        """Whether both are the same at every place."""
        assert isinstance(equation.lhs, Ref)
        if equation.rule is Rule.IDENTITY and self.network.places:
            return None
        every = (self.sides(equation, at) for at in positions(equation.lhs.array, self.sizes))
        return all(left == right for left, right in every)
