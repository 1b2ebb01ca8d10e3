"""A scheme's four functions in rational numbers, on small networks, beside `reference`, which knows no scheme."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from fcsym.deriving.forward import forward
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation
from fcsym.language.equation import Cases, Condition, Equation, functions_in
from fcsym.language.expression import Array, Expr, Role
from fcsym.language.findings import Counterexample
from fcsym.language.instance import Element, Field, Instance, first_that_holds, positions
from fcsym.networks.symbols import ETA, PROBE, STORED, frozen_copy
from fcsym.proof.numbers import PRIME, Residue, digest
from fcsym.proof.reference import Gates, plus, reference
from fcsym.proof.scheme_in_symbols import backpropagation_of

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["RUNS", "STEPS", "ExactRuns"]

RUNS, STEPS = 6, 3


class ExactRuns:
    """Small networks trained exactly: by the scheme's equations, and by `reference` beside them."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme = scheme
        self.network = scheme.network.reduced()
        functions = functions_in((*forward(self.network), *scheme.base.equations))  # an update rule has some, too
        self.smooth = any(phi.is_smooth for phi in functions)
        self.kind = "modulo 2^127 - 1, with arbitrary numbers for phi" if self.smooth else "in rational numbers"
        self.word = "identical at random points" if self.smooth else "identical in exact runs"
        self.refuted: dict[tuple[str, str], Counterexample | str] = {}
        self.compared: set[tuple[str, str]] = set()
        seed = digest(
            scheme.network, scheme.order, *(part.given + part.results for part in scheme.parts),
            *((e.lhs, e.rhs, e.rule, e.label) for part in scheme.parts for e in part), *scheme.meanings,
        )  # fmt: skip
        for number in range(RUNS):
            try:
                _Run(self, number, seed).go()
            except _Stop:
                continue

    def record(self, part: str, name: str, problem: Counterexample | str | None) -> None:
        """What a comparison showed; the first refutation stays, and ends its run."""
        self.compared.add((part, name))
        if problem is not None:
            self.refuted.setdefault((part, name), problem)
            raise _Stop


class _Stop(Exception):
    """A run cannot go on: something is refuted, or undefined on purpose."""


class _Run:
    """One small network: its weights, its inputs and targets, and the numbers it is computed in."""

    def __init__(self, runs: ExactRuns, seed: int, examined: str) -> None:
        self.runs, self.scheme, self.network = runs, runs.scheme, runs.network
        self.source, self.seed = random.Random(f"{examined} {seed}"), seed  # what is examined says where it is tried
        self.tables: dict[tuple[str, int, Any], Any] = {}
        self.point: dict[str, Fraction] = {}
        network, source = self.network, self.source
        self.weights = {(a, p): self._draw(a, p) for a in network.parameters for p in positions(a, network.sizes)}
        self.start = dict(self.weights)
        memory = network.memory.items()  # an update rule's: what it is before the first step
        self.weights |= {(a, p): self._number(v) for a, v in memory for p in positions(a, network.sizes)}
        self.coefficients: dict[Element, Any] = {
            (a, ()): self._number(value) for a, value in network.rule.values.items()
        }
        inputs = [[_small(source) * (seed != 1) for _ in range(network.inputs)] for _ in range(2)]
        if seed == 0:  # one that is nowhere above the other
            inputs[1] = [value - (n == network.inputs - 1) for n, value in enumerate(inputs[0])]
        if seed == 2:  # XOR's (1, 0) and (0, 1): differences that cancel
            inputs = [[Fraction(n == m) for n in range(network.inputs)] for m in range(2)]
        seen = [inputs[0]] * STEPS if self.scheme.single_input else [inputs[0], inputs[1], inputs[0]]
        self.stored = list(dict.fromkeys(map(tuple, seen)))
        self.inputs: list[dict[tuple[int, ...], Fraction]] = [{(i,): v for i, v in enumerate(row)} for row in seen]
        if network.batch:  # the same samples, in another order at every other step
            rows = [inputs if self.scheme.single_input or n % 2 == 0 else inputs[::-1] for n in range(STEPS)]
            every = [positions(network.input, network.sizes) for _ in rows]
            self.inputs = [{at: row[at[0]][at[1]] for at in places} for row, places in zip(rows, every, strict=True)]
        self.sizes = {
            **network.sizes,
            PROBE: network.inputs,
            STORED: len(self.stored),
        }
        self.eta = abs(_small(source)) / 4 or Fraction(1, 4)
        places = list(positions(network.output, network.sizes))
        self.errors = [{at: _small(source) for at in places} for _ in range(STEPS)]
        z = Array("z", None, network.input.axes)
        self.other: dict[Element, Any] = {(z, (i,)): self._draw(z, (i,)) for i in range(network.inputs)}
        constants = self.scheme.constants_for(network.inputs)
        self.frozen: dict[Element, Any] = {}
        self.fixed = {
            (a, p): self._number(matrix[p[0]][p[1]] if len(p) == 2 else matrix[0][p[0]])
            for a, matrix in constants.items()
            for p in positions(a, self.sizes)
        }

    # ------------------------------------------------------------------------------------------------ numbers

    def _number(self, value: Fraction) -> Any:
        return Residue.of(value) if self.runs.smooth else value

    def _draw(self, array: Array, position: tuple[int, ...]) -> Any:
        value = abs(_small(self.source)) if self.seed % 2 else _small(self.source)  # of positive weights no unit dies
        self.point[_name(array, position)] = value
        return self._number(value)

    def _order(self, value: Any) -> Any:
        """Something to compare by: residues by their representatives, which is as good as any order."""
        return value.value if isinstance(value, Residue) else value

    def _phi(self, name: str, derivative: int, s: Any) -> Any:
        """An arbitrary function in place of a smooth activation, and one in place of its slope."""
        key = (name, derivative, self._order(s))
        if key not in self.tables:
            self.tables[key] = Residue(self.source.randrange(1, PRIME))
        return self.tables[key]

    def _activate(self, source: Element, s: Any, derivative: int) -> Any:
        return self._function(self.network.units[source[0].axes[-1]].activation, s, derivative)

    def _function(self, phi: Activation, s: Any, derivative: int) -> Any:
        if phi.is_smooth:
            own = smooth_functions.slope_by_value(phi) if derivative else None
            if own is not None:
                slope, value = self._number(own[0]), self._phi(phi.name, 0, s)
                return slope * value if own[1] > 0 else slope / value
            known = smooth_functions.slope_among_entries(phi) if derivative else None
            if known is None:
                return self._phi(phi.name, derivative, s)
            factor, name, exponent = known  # softplus' is the function that stands for sigmoid
            slope = self._number(factor)
            slope = slope if name is None else slope * self._phi(name, 0, s)
            return slope if not exponent else slope / s
        if not self.runs.smooth:
            return phi.slope_at(s) if derivative else phi.value_at(s)
        kinks = [self._order(self._number(kink)) for kink in phi.kinks]
        piece = phi.pieces[sum(self._order(s) > kink for kink in kinks)]
        slope, intercept = self._number(piece.slope), self._number(piece.intercept)
        return slope if derivative else slope * s + intercept

    def _choose(self, cases: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
        if not self.runs.smooth:
            return first_that_holds(cases, where, value)
        for branch in cases:
            if all(self._holds(condition, value(condition.subject)) for condition in branch.when):
                return None if branch.value is None else value(branch.value)
        raise ArithmeticError(f"No case of {where[0].name} holds.")

    def _holds(self, condition: Condition, value: Any) -> bool:
        bound = self._order(self._number(condition.bound))
        return replace(condition, bound=Fraction(bound)).holds(self._order(value))

    @property
    def _field(self) -> Field:
        def apply(node: Any, source: Element, value: Any) -> Any:
            return self._function(node.activation, value, node.derivative)

        extreme = {
            kind: lambda every, take=take: take(every, key=self._order) for kind, take in (("min", min), ("max", max))
        }
        return Field(self._number, lambda a, b: a / b, apply, self._choose, plus, extreme=extreme)

    # --------------------------------------------------------------------------------------------------- the run

    def go(self) -> None:
        """Init, then steps with the output before each, then expand: every value that has a truth is compared."""
        truth = self._truth(0)
        state = self._init(truth)
        for n in range(STEPS):
            truth = self._truth(n)
            self._evaluate("output", state, truth, n)
            made = self._evaluate("step", state, truth, n)
            for name in self.scheme.routines:
                if name not in ("init", "step", "output", "expand"):
                    known = {**truth, **state, **self.other}
                    self._meanings(name, {**known, **self._evaluate(name, known, truth, n)}, n)
            part = self.scheme.step
            state = {
                (old, p): made.get((new, p), state.get((old, p)))
                for old, new in zip(self.scheme.state, part.results, strict=True)
                for p in positions(old, self.sizes)
            }
            self.weights = {(a, p): truth.get((a.primed, p), value) for (a, p), value in self.weights.items()}
            self._meanings("step", {**made, **self._after(truth), **state}, n)
        self._expand(state)

    def _truth(self, n: int) -> dict[Element, Any]:
        """Backpropagation at step n, which knows nothing of schemes."""
        x = self.network.input

        def leaf(array: Array, position: tuple[int, ...]) -> Any:
            if array == x:
                return self._number(self.inputs[n][position])
            if array.role is Role.COEFFICIENT:
                return self.coefficients[array, position]
            return self._number(self.eta) if array == ETA else self.weights[array, position]

        gates = Gates(
            lambda source, s: self._activate(source, s, 0),
            lambda source, s: self._activate(source, s, 1),
            lambda source, s: self._activate(source, s, 0),
            lambda phi, _, s: (self._function(phi, s, 0), self._function(phi, s, 1)),
            lambda values: values.index(max(values, key=self._order)),
        )
        truth = reference(
            self.network, self.scheme.order, leaf, lambda at: self._number(self.errors[n][at]), gates, self._number
        )
        return truth | {(x, at): self._number(value) for at, value in self.inputs[n].items()}

    def _after(self, truth: Mapping[Element, Any]) -> dict[Element, Any]:
        """The truth after a step: primed values under their plain names."""
        moved = {(a.unprimed, p): value for (a, p), value in truth.items() if a.after}
        return {**{e: v for e, v in truth.items() if not e[0].after}, **moved}

    def _init(self, truth: Mapping[Element, Any]) -> dict[Element, Any]:
        self.frozen = self._defined()
        made = self._evaluate("init", {}, truth, 0)
        zero = self._number(Fraction(0))
        state: dict[Element, Any] = {}
        for array in self.scheme.state:
            for p in positions(array, self.sizes):
                if array.axes == (STORED, *self.network.input.axes):
                    state[array, p] = self._number(self.stored[p[0]][p[1]])
                else:
                    state[array, p] = made.get((array, p), truth.get((array, p), zero))
        self._meanings("init", {**truth, **made, **state}, 0)
        return state

    def _defined(self) -> dict[Element, Any]:
        """What no step changes, from the first weights on, by the scheme's definitions."""
        x = self.network.input
        known = {(frozen_copy(a), p): value for (a, p), value in self.start.items()}
        known |= {(x, at): self._number(value) for at, value in self.inputs[0].items()}
        equations = {e.array: e for e in self.scheme.frozen}
        instance = Instance(equations, self.sizes, _missing, self._field, known)
        result = {}
        for element in ((a, p) for a in equations for p in positions(a, self.sizes)):
            try:
                result[element] = instance.element(*element)
            except ArithmeticError:  # a table that lacks a row is not proved, whatever the runs show
                raise _Stop from None
            if result[element] is None:
                raise _Stop  # `init` refuses such weights
        return result

    def _expand(self, state: Mapping[Element, Any]) -> None:
        frozen = {(frozen_copy(a), p): value for (a, p), value in self.start.items()}
        x = self.network.input
        given: dict[Element, Any] = {(x, at): self._number(value) for at, value in self.inputs[0].items()}
        self._evaluate("expand", {**frozen, **state, **given}, self.weights, STEPS)

    def _evaluate(
        self, name: str, given: Mapping[Element, Any], truth: Mapping[Element, Any], n: int
    ) -> dict[Element, Any]:
        """A part's equations at the truth of their operands, each compared where its left-hand side has a truth."""
        part = next(part for part in self.scheme.parts if part.name == name)
        known: dict[Element, Any] = {**self.fixed, **self.coefficients, **given}
        made: dict[Element, Any] = {}

        def leaf(array: Array, position: tuple[int, ...]) -> Any:
            if array in part.given or not part.given:
                return truth[array, position]
            raise KeyError(f"{name} uses {array.name}, which it is not given")

        for equation in part.equations:
            instance = Instance({}, self.sizes, leaf, self._field, known)
            for position in positions(equation.array, self.sizes):
                element = (equation.array, position)
                try:
                    value = instance.right_side(equation, position)
                except (KeyError, ArithmeticError) as problem:  # it has no value, or a table has no row for it
                    self.runs.record(name, equation.name, str(problem))
                    raise _Stop from None
                if value is None:
                    raise _Stop  # undefined on purpose
                if not equation.defines:
                    self._compare(name, equation, position, value, known.get(element, truth.get(element)), n)
                    continue
                made[element] = value
                if name == "init" and element in self.frozen:
                    self._compare(name, equation, position, value, self.frozen[element], n)
                if element in truth:
                    self._compare(name, equation, position, value, truth[element], n)
                known[element] = truth.get(element, value)
        return made

    def _compare(self, part: str, equation: Equation, position: tuple[int, ...], value: Any, true: Any, n: int) -> None:
        if value == true:
            self.runs.record(part, equation.name, None)
            return
        what = f"{_name(equation.array, position)} in {part}, step {n + 1}"
        self.runs.record(part, equation.name, self._problem(what, value, true))

    def _problem(self, what: str, value: Any, true: Any) -> Counterexample | str:
        if self.runs.smooth:
            return f"{what} differs from backpropagation for some function in place of phi"
        point = dict(self.point) | {"eta": self.eta}
        for m, values in enumerate(self.inputs, 1):
            point |= {f"x{_place(at)} at step {m}": v for at, v in values.items()}
        for m, values in enumerate(self.errors, 1):
            point |= {f"(y - y_g){_place(at)} at step {m}": v for at, v in values.items()}
        return Counterexample(point, what, value, true)

    def _meanings(self, part: str, values: Mapping[Element, Any], n: int) -> None:
        """What the state stands for, at the numbers; blamed on the part's own equations."""
        shared = part in ("init", "step")  # there the state is named as it is after them
        made = next(p for p in self.scheme.parts if p.name == part).equations
        equations = {e.array.unprimed if shared else e.array: e for e in made if e.defines}
        frozen = {(frozen_copy(a), p): value for (a, p), value in self.start.items()}
        known = {**self.fixed, **self.coefficients, **frozen, **self.frozen, **values}
        for meaning in self.scheme.meanings:
            arrays = (meaning.array, *meaning.operands)
            blamed = [equations[a] for a in arrays if a in equations and not self._is_known(equations[a].array)]
            if not blamed or not all(self._has_values(a, known) for a in arrays):
                continue
            instance = Instance({}, self.sizes, _missing, self._field, dict(known))
            for position in positions(meaning.array, self.sizes):
                try:
                    value = instance.right_side(meaning, position)
                except ZeroDivisionError:  # v^c = 0: the meaning is about the others
                    continue
                own = known[meaning.array, position]
                for equation in blamed:
                    what = f"{_name(meaning.array, position)} after {part}, step {n + 1}"
                    self.runs.record(part, equation.name, None if value == own else self._problem(what, own, value))

    def _has_values(self, array: Array, known: Mapping[Element, Any]) -> bool:
        """Whether an array is known here: u never is, and what `output` defines is not after `init`."""
        return all((array, position) in known for position in positions(array, self.sizes))

    def _is_known(self, array: Array) -> bool:
        return array.name in backpropagation_of(self.scheme) or array in self.network.parameters


def _missing(array: Array, position: tuple[int, ...]) -> Any:
    raise KeyError(f"{array.name}{list(position)} has no value")


def _small(source: random.Random) -> Fraction:
    return Fraction(source.randint(-4, 4), source.choice((1, 1, 2)))


def _name(array: Array, position: tuple[int, ...]) -> str:
    return array.name + _place(position)


def _place(position: tuple[int, ...]) -> str:
    return f"[{', '.join(str(p + 1) for p in position)}]" if position else ""
