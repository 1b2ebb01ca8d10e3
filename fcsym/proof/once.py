"""Proof of first derivatives by name: what each equation of such a list has to be, and the two who decide it.

The same two deciders as for a step. In index notation each adjoint and each derivative is the linear part of what is
differentiated, layer by layer, as `obligations` has it. The other one carries dual numbers through the forward
equations, one element at a time and at random points of a prime field, with free gates: forward mode, so that reverse
mode is not checked against itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation
from fcsym.language.algebra import rename
from fcsym.language.equation import Equation, Rule, Verdict, functions_in
from fcsym.language.expression import Apply, Array, Expr, Index, Ref, Role
from fcsym.language.findings import Counterexample, Finding
from fcsym.language.instance import Element, Field, Instance, positions
from fcsym.networks.network import Network
from fcsym.networks.symbols import derivative_of, gate_of
from fcsym.proof.expanded import Arithmetic, random_points
from fcsym.proof.numbers import Dual, digest
from fcsym.proof.obligations import Meanings
from fcsym.proof.reference import plus
from fcsym.proof.structure import flaws_of_derivatives

__all__ = ["Examiner", "World", "free_unit", "no_cases", "right"]

_TRIES = 200


def right(equation: Equation) -> Expr:
    """The right-hand side, which is no case distinction."""
    assert isinstance(equation.rhs, Expr)
    return equation.rhs


class Examiner:
    """Both deciders, for one network and one thing to differentiate."""

    def __init__(self, network: Network, root: Array, by: tuple[str, ...]) -> None:
        self.network, self.root = network, root
        self.examined: tuple[Equation, ...] = ()
        self.directions: tuple[Array, ...] = ()
        self.small = network.reduced()
        passed = forward(network)
        until = passed[: next(n for n, e in enumerate(passed) if e.array == root) + 1]
        self.passed = {e.array: e for e in until}
        self.at = tuple(Index(axis, f"of{n}") for n, axis in enumerate(root.axes))
        inner = [a for a in self.passed if a.role is Role.PRE_ACTIVATION and a != root]
        self.gates = {gate_of(a): a for a in inner}
        self.adjoints = {derivative_of(root, a): a for a in inner}
        self.results = [derivative_of(root, a) for a in (*network.parameters, network.input, *inner) if a.name in by]
        ends = (*network.parameters, network.input)
        self.gradients = {derivative_of(root, a): a for a in ends if a.name in by}
        readers: dict[Array, list[Equation]] = {}
        for e in until:
            for array in e.operands:
                readers.setdefault(array, []).append(e)
        whole = Meanings.of(network, "simultaneous", {})
        self.meanings = replace(whole, passed=self.passed, readers=readers, root=root, at=self.at)

    @cached_property
    def definitions(self) -> dict[Array, Expr]:
        """What scalars stand for, to see which of them are never 0."""
        return {a: right(e) for a, e in self.passed.items() if not a.axes or isinstance(e.rhs, Apply)}

    def rules(self) -> dict[Array, Rule]:
        """What each equation of the list claims."""
        rules = dict.fromkeys((*self.passed, *self.gates), Rule.DEFINITION)
        return rules | dict.fromkeys(self.adjoints, Rule.ADJOINT) | dict.fromkeys(self.gradients, Rule.GRADIENT)

    def flaws(self, equations: list[Equation]) -> list[tuple[str, str]]:
        """What keeps the list from being one of derivatives."""
        return flaws_of_derivatives(self.network, self.directions, equations, (self.root, *self.results), self.rules())

    def equation(self, equation: Equation) -> Finding:
        """The verdict of both."""
        index, expanded = self._in_indices(equation), self._at_points(equation)
        said: Any = {
            "index": {None: "", True: "identical", False: "differs"}[index],
            "expanded": {None: "", True: "identical at random points", False: "differs"}[expanded],
        }
        if False in (index, expanded):
            found = None if expanded else self._counterexample(equation)  # there is none where random points agree
            if found is not None:
                return Finding(
                    equation.name, None, Verdict.REFUTED, **said, note=str(found), counterexample=found
                )  # fmt: skip
            note = "a decider sees a difference, and no counterexample was found"
            return Finding(equation.name, None, Verdict.UNDECIDED, **said, note=note)
        if index and equation.rule is Rule.DEFINITION:
            return Finding(equation.name, None, Verdict.DEFINITION, **said)
        if index:
            return Finding(equation.name, None, Verdict.PROVED, **said)
        if expanded:
            note = f"index notation cannot say, and it was only tried on {self.small} at random points"
            return Finding(equation.name, None, Verdict.SAMPLED, **said, note=note)
        return Finding(equation.name, None, Verdict.UNDECIDED, note="neither decider understands it")

    def _in_indices(self, equation: Equation) -> bool | None:
        array = equation.array
        try:
            if array in self.passed or array in self.gates:
                return self.meanings.holds(equation)
            assert isinstance(equation.lhs, Ref)
            names = dict(zip(equation.lhs.indices, self.at, strict=False))
            one = replace(equation, lhs=rename(equation.lhs, names), rhs=rename(right(equation), names))
            if array in self.adjoints:
                return self.meanings.adjoint(self.adjoints[array], one)
            return self.meanings.gradient(self.gradients[array], one)
        except UnsupportedExpression:
            return None

    # ------------------------------------------------------------------------------------------- dual numbers

    def _at_points(self, equation: Equation) -> bool | None:
        try:
            return all(world.holds(equation) for world in self._worlds)
        except ZeroDivisionError:  # it divides by what is 0 everywhere
            return False
        except (KeyError, UnsupportedExpression):  # it mentions what has no value here
            return None

    @cached_property
    def _worlds(self) -> list[Any]:
        units = frozenset((layer.s, layer.activation.name) for layer in self.small.activated)
        seed = digest(self.network, self.root, *((e.lhs, e.rhs, e.rule) for e in self.examined))
        return [self.at_random(arithmetic) for arithmetic in random_points(units, seed)]

    def at_random(self, arithmetic: Arithmetic) -> Any:
        """A world of residues, in which gates and the values of smooth functions are free."""

        def of_unit(phi: Activation, at: Element, s: Any) -> tuple[Any, ...]:
            return free_unit(arithmetic, phi, at, s)[:2]

        return World(self, arithmetic.number, arithmetic.variable, of_unit, arithmetic.function)

    def in_rationals(self, variable: Callable[[str], Fraction]) -> Any:
        """A world of small rationals, for networks without smooth functions."""

        def exactly(phi: Activation, _: Element, s: Fraction) -> tuple[Any, ...]:
            return phi.value_at(s), phi.slope_at(s)

        return World(self, Fraction, variable, exactly, exactly, max)

    def _counterexample(self, equation: Equation) -> Counterexample | None:
        """A network of small rationals in which the right-hand side is not what the left-hand side means."""
        if any(phi.is_smooth for phi in functions_in(forward(self.small))):
            return None  # tanh of a rational is none: nothing here could be checked by hand
        for seed in range(_TRIES):
            source = random.Random(seed)
            drawn: dict[str, Fraction] = {}

            def variable(name: str, source: random.Random = source, drawn: dict[str, Fraction] = drawn) -> Fraction:
                if name not in drawn:
                    drawn[name] = Fraction(source.randint(-4, 4), source.choice((1, 1, 2)))
                return drawn[name]

            world = self.in_rationals(variable)
            try:
                for position in positions(equation.array, self.small.sizes):
                    derived, true = world.sides(equation, position)
                    if derived != true:
                        where = f"[{', '.join(str(p + 1) for p in position)}]" if position else ""
                        return Counterexample(dict(drawn), f"{equation.name}{where}", derived, true)
            except (KeyError, ArithmeticError, UnsupportedExpression):
                continue
        return None


def free_unit(arithmetic: Arithmetic, phi: Activation, at: Element, s: Any) -> tuple[Any, Any, Any]:
    """phi(s), phi'(s) and phi''(s) of a unit: free, but that a gate is constant where phi is made of pieces."""
    where = "_".join([at[0].name, *map(str, at[1])])
    zero = arithmetic.number(Fraction(0))
    if phi.is_identity:
        return s, arithmetic.number(Fraction(1)), zero
    slope = arithmetic.variable(f"g_{where}")
    if phi.is_smooth:
        return arithmetic.variable(f"c_{where}"), slope, arithmetic.variable(f"b_{where}")
    shifted = any(piece.intercept for piece in phi.pieces)
    return (slope * s + arithmetic.variable(f"c_{where}") if shifted else slope * s), slope, zero


_AFTER = (Role.LOSS, Role.TERM, Role.PARTITION, Role.COUNT)
"""What follows on the last linear map, beside its activation."""


@dataclass
class World:
    """One evaluation of the forward equations, and what anything in them moves the root by."""

    examiner: Examiner
    number: Callable[[Fraction], Any]
    variable: Callable[[str], Any]
    of_unit: Callable[[Activation, Element, Any], tuple[Any, ...]]  # phi(s) and phi'(s) of a layer
    of_term: Callable[[Activation, Element, Any], tuple[Any, ...]]  # of a function in a loss
    greatest: Callable[[list[Any]], Any] = lambda values: values[0]  # E may not depend on which is taken

    def __post_init__(self) -> None:
        network = self.examiner.small
        self.sizes, self.equations = network.sizes, {e.array: e for e in forward(network)}
        zero = self.number(Fraction(0))

        def free(array: Array, position: tuple[int, ...]) -> Dual:
            where = f"[{', '.join(str(p + 1) for p in position)}]" if position else ""
            return Dual(self.variable(f"{array.name}{where}"), zero)

        base = self._carried(self.equations, free, {})
        base.fill()
        self.known: dict[Element, Any] = {element: dual.value for element, dual in base.known.items()}
        self.slopes: dict[Element, Mapping[tuple[int, ...], Any]] = {}
        for layer in range(len(network.layers), 0, -1):  # each rests on the layer above
            s = network.pre_activation(layer)
            for at in positions(s, self.sizes) if s in self.examiner.passed else ():
                self._moves(s, at)

    def _function(self, node: Apply, at: Element, s: Any) -> tuple[Any, ...]:
        unit = self.examiner.small.units.get(at[0].axes[-1]) if at[0].axes else None
        own = unit is not None and unit.s == at[0] and unit.activation == node.activation
        return (self.of_unit if own else self.of_term)(node.activation, at, s)

    def _carried(
        self, equations: Mapping[Array, Equation], leaf: Callable[[Array, tuple[int, ...]], Dual],
        moved: dict[Element, Dual],
    ) -> Instance:  # fmt: skip
        zero = self.number(Fraction(0))

        def apply(node: Apply, at: Element, s: Dual) -> Dual:
            value, slope = self._function(node, at, s.value)
            return Dual(value, slope * s.slope)

        def greatest(every: list[Dual]) -> Dual:
            top = self.greatest([one.value for one in every])
            return next(one for one in every if one.value == top)

        field = Field(
            lambda v: Dual(self.number(v), zero), lambda a, b: a / b, apply, no_cases, plus, extreme={"max": greatest}
        )  # fmt: skip
        return Instance(equations, self.sizes, leaf, field, moved)

    def _moves(self, array: Array, at: tuple[int, ...]) -> Mapping[tuple[int, ...], Any]:
        """What the root moves by, element by element, when an element of an array does.

        It is carried through one layer, where it meets what the root moves by with that layer; the last one carries it
        to the root.
        """
        if (array, at) not in self.slopes:
            zero, network, root = self.number(Fraction(0)), self.examiner.small, self.examiner.root
            layers = range(1, len(network.layers) + 1)
            inner = next((n for n in layers if network.pre_activation(n) == array), 0)
            reads = inner + 1 if inner else next(n for n in layers if array in self._map_of(n).operands)
            if reads in layers:
                wanted, through = network.pre_activation(reads), [network.passed_on(inner)] if inner else []
                carried = {a: self.equations[a] for a in (wanted, *through)}
            else:
                wanted = root
                carried = {a: e for a, e in self.equations.items() if a.role in _AFTER or a == network.output != array}
            seed = {(array, at): Dual(self.known[array, at], self.number(Fraction(1)))}
            moved = self._carried(carried, lambda a, p: Dual(self.known[a, p], zero), seed)
            if wanted == root:
                found = {k: moved.element(root, k).slope for k in positions(root, self.sizes)}
            else:
                met = [(moved.element(wanted, p).slope, self._moves(wanted, p)) for p in positions(wanted, self.sizes)]
                found = {k: plus([slope * more[k] for slope, more in met]) for k in positions(root, self.sizes)}
            self.slopes[array, at] = found
        return self.slopes[array, at]

    def _map_of(self, layer: int) -> Equation:
        """The linear map of a layer."""
        return self.equations[self.examiner.small.pre_activation(layer)]

    def _true(self, array: Array, at: tuple[int, ...]) -> Any:
        examiner = self.examiner
        if array.role is Role.UNIT:
            return self.number(Fraction(int(at[0] == at[1])))
        if array in examiner.gates:
            s = examiner.gates[array]
            phi = examiner.small.units[s.axes[-1]].activation
            return self.of_unit(phi, (s, at), self.known[s, at])[1]
        by = examiner.adjoints.get(array, examiner.gradients.get(array))
        if by is not None:
            own = len(examiner.root.axes)
            return self._moves(by, at[own:])[at[:own]]
        return self.known[array, at]

    def sides(self, equation: Equation, at: tuple[int, ...]) -> tuple[Any, Any]:
        """The right-hand side at one place, and what it should be."""

        def apply(node: Apply, source: Element, s: Any) -> Any:
            return self._function(node, source, s)[node.derivative]

        field = Field(self.number, lambda a, b: a / b, apply, no_cases, plus, extreme={"max": self.greatest})
        here = Instance({}, self.sizes, self._true, field)
        return here.right_side(equation, at), self._true(equation.array, at)

    def holds(self, equation: Equation) -> bool:
        """Whether both are the same at every place."""
        every = (self.sides(equation, at) for at in positions(equation.array, self.sizes))
        return all(left == right for left, right in every)


def no_cases(*_: Any) -> Any:
    """What is asked of a case distinction, which there is none of."""
    raise AssertionError("these equations have no cases")
