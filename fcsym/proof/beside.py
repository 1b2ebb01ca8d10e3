"""A scheme's four functions run beside the truth: two steps of a small network of layers, evaluated exactly.

The truth is that of `points`: dual numbers on the forward equations, and the update rule from its manual's formulas.
Parameters, inputs, targets and the values of every function are free residues modulo 2^127 - 1, others at each step, so
that one run stands for every pattern of gates. Every equation is compared where its left-hand side has a truth, and
what the state stands for after `init` and after each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language.equation import Equation, functions_in
from fcsym.language.expression import Array
from fcsym.language.findings import Counterexample
from fcsym.language.instance import Element, Instance, positions
from fcsym.networks.symbols import ETA, frozen_copy
from fcsym.proof.general import moving
from fcsym.proof.numbers import digest
from fcsym.proof.points import Numbers, Points, World, rationals, residues

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["Beside"]

_STEPS, _TRIES = 2, 20


class Beside:
    """What the runs have shown: which equations were compared, and which are refuted."""

    word = "identical at random points"

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme = scheme
        self.points = Points(scheme.network, scheme.order, scheme.base.by_name)
        self.network = self.points.network
        self.compared: set[tuple[str, str]] = set()
        self.refuted: dict[tuple[str, str], Counterexample | str] = {}
        seed = digest(
            scheme.network, scheme.order, *(part.given + part.results for part in scheme.parts),
            *((e.lhs, e.rhs, e.rule, e.label) for part in scheme.parts for e in part), *scheme.meanings,
        )  # fmt: skip
        found = _Run(self, [residues(f"{seed} {n}") for n in range(_STEPS + 1)]).go()
        if found is not None:
            part, name, what = found
            self.refuted[part, name] = self._by_hand(part, name) or what

    @property
    def method(self) -> str:
        """How it was decided, for the report."""
        return f"run exactly over {_STEPS} steps of a small network modulo 2^127 - 1, with arbitrary numbers for phi"

    def _by_hand(self, part: str, name: str) -> Counterexample | None:
        """Small rationals at which the same equation is wrong; None where a smooth function is in the way."""
        functions = functions_in((*forward(self.network), *self.scheme.base.equations))
        if any(phi.is_smooth for phi in functions):
            return None
        for seed in range(_TRIES):
            numbers = rationals(seed)
            try:
                run = _Run(self, [numbers] * (_STEPS + 1))
                found = run.go()
            except (ArithmeticError, KeyError, UnsupportedExpression):
                continue
            if found is not None and found[:2] == (part, name):
                return run.counterexample
        return None


class _Stop(Exception):
    """An equation is refuted: nothing that follows on it says more."""


class _Run:
    """One run of all four functions: `numbers` for the start and for each step."""

    def __init__(self, beside: Beside, numbers: list[Numbers]) -> None:
        self.beside, self.scheme = beside, beside.scheme
        self.network, self.sizes = beside.network, beside.network.sizes
        moves = {*self.network.trained, *moving({e.array: e for e in forward(self.network)}, self.network.trained)}
        first = numbers[0]

        def at_step(own: Numbers) -> Numbers:
            """A function gives other numbers at each step only where training moves what it is applied to."""
            return replace(
                own, function=lambda phi, s, value: (own if s[0].unprimed in moves else first).function(phi, s, value)
            )

        self.numbers = [at_step(own) for own in numbers]
        self.wrong: tuple[str, str, str] | None = None
        self.counterexample: Counterexample | None = None
        network = self.network
        self.carried: dict[Element, Any] = {}
        for array in (*network.parameters, network.input, ETA):
            self.carried |= {(array, at): first.variable(_name(array, at)) for at in positions(array, self.sizes)}
        self.drawn = {_name(*element): value for element, value in self.carried.items()}
        self.frozen = {(frozen_copy(a), at): v for (a, at), v in self.carried.items() if a in network.parameters}
        for array, value in network.memory.items():
            self.carried |= {(array, at): first.number(value) for at in positions(array, self.sizes)}
        self.constants: dict[Element, Any] = {}
        for array in beside.scheme.constants:
            self.constants |= {(array, at): first.variable(_name(array, at)) for at in positions(array, self.sizes)}

    def go(self) -> tuple[str, str, str] | None:
        """The part, the equation and the sentence of the first difference; None where there is none."""
        with suppress(_Stop):
            self._train()
        return self.wrong

    def _train(self) -> None:
        scheme = self.scheme
        world = self._world(0)
        state = self._results(scheme.init, self._evaluate(scheme.init, self.carried, world))
        self._meanings(scheme.init, state, self.carried)
        for n in range(1, _STEPS + 1):
            world = self._world(n)
            self._evaluate(scheme.output, state, world)
            target = self.network.target
            goal = {(target, at): world.value(target, at) for at in positions(target, self.sizes)}
            eta: dict[Element, Any] = {(ETA, ()): self.carried[ETA, ()]}
            made = self._evaluate(scheme.step, {**state, **goal, **eta}, world)
            state = self._results(scheme.step, {**state, **made})
            for array in (*self.network.trained, *self.network.memory):
                moved = {(array, at): world.value(array.primed, at) for at in positions(array, self.sizes)}
                self.carried |= moved
            self._meanings(scheme.step, state, self.carried)
        given = {**state, **self.frozen, **self._input()}
        self._evaluate(scheme.expand, given, None)

    def _input(self) -> dict[Element, Any]:
        x = self.network.input
        return {(x, at): self.carried[x, at] for at in positions(x, self.sizes)}

    def _world(self, n: int) -> World:
        """The truth of one step."""
        return World(self.beside.points, self.numbers[n], dict(self.drawn), dict(self.carried))

    def _results(self, part: PartRecord, made: Mapping[Element, Any]) -> dict[Element, Any]:
        """What a function returns, under the names of the state."""
        every = {**self.carried, **made}
        return {
            (old, at): every[new, at]
            for old, new in zip(self.scheme.state, part.results, strict=True)
            for at in positions(old, self.sizes)
        }

    def _evaluate(self, part: PartRecord, given: Mapping[Element, Any], world: World | None) -> dict[Element, Any]:
        """A function's equations, each compared where its left-hand side has a truth."""
        known: dict[Element, Any] = {**self.constants, **given}
        for array, number in self.network.rule.values.items():
            known[array, ()] = self.numbers[0].number(number)
        here = world or self._world(_STEPS)
        made: dict[Element, Any] = {}

        def leaf(array: Array, at: tuple[int, ...]) -> Any:
            raise KeyError(f"{array.name} has no value")

        for equation in part.equations:
            instance = Instance({}, self.sizes, leaf, here.field(), known)
            for at in positions(equation.array, self.sizes):
                value = instance.right_side(equation, at)
                true = self._true(world, equation.array, at)
                if true is not None:
                    self._compare(part, equation, (equation.array, at), value, true)
                made[equation.array, at] = value
            known |= {e: v for e, v in made.items() if e[0] == equation.array}
        return made

    def _true(self, world: World | None, array: Array, at: tuple[int, ...]) -> Any:
        """What backpropagation has there; None where it has no such array."""
        if world is None:  # the weights at the end
            return self.carried.get((array, at))
        try:
            return world.value(array, at)
        except KeyError:
            return None

    def _compare(self, part: PartRecord, equation: Equation, element: Element, value: Any, true: Any) -> None:
        self.beside.compared.add((part.name, equation.name))
        if value == true:
            return
        what = f"{_name(*element)} in {part.name}"
        self.counterexample = Counterexample(dict(self.drawn), what, value, true)
        self.wrong = part.name, equation.name, f"{what} differs from backpropagation for some numbers in place of phi"
        raise _Stop

    def _meanings(self, part: PartRecord, state: Mapping[Element, Any], truth: Mapping[Element, Any]) -> None:
        """What the state stands for, at the numbers; blamed on the part's own equations."""
        blamed = {e.array.unprimed: e for e in part.equations}
        known = {**self.constants, **self.frozen, **truth, **state}
        fixed = {e.array: e for e in self.scheme.frozen}
        data = {e.array: e for e in forward(self.network)}

        def leaf(array: Array, at: tuple[int, ...]) -> Any:
            raise KeyError(f"{array.name} has no value")

        world = self._world(0)
        instance = Instance({**data, **fixed}, self.sizes, leaf, world.field(), known)
        for meaning in self.scheme.meanings:
            own = [blamed[a] for a in (meaning.array, *meaning.operands) if a in blamed]
            for at in positions(meaning.array, self.sizes) if own else ():
                value = instance.right_side(meaning, at)
                for equation in own:
                    self._compare(part, equation, (meaning.array, at), known[meaning.array, at], value)


def _name(array: Array, at: tuple[int, ...]) -> str:
    return f"{array.name}[{', '.join(str(p + 1) for p in at)}]" if at else array.name
