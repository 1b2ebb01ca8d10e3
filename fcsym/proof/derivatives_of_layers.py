"""Proof of derivatives by name in a network of layers: by its forward equations alone, and at a random point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import rename
from fcsym.language.equation import Equation, Rule, Verdict
from fcsym.language.expression import Apply, Array, Expr, Index, Ref
from fcsym.language.findings import Finding
from fcsym.networks.network import Network
from fcsym.networks.symbols import ERROR, derivative_of, gate_of
from fcsym.proof.general import General
from fcsym.proof.points import Points
from fcsym.proof.structure import flaws_of_derivatives

__all__ = ["LayersExaminer"]


class LayersExaminer:
    """Both deciders, for one network of layers and one thing to differentiate."""

    directions: tuple[Array, ...] = ()

    def __init__(self, network: Network, root: Array, by: tuple[str, ...], equations: Sequence[Equation]) -> None:
        """`equations`: those under examination, each of one sample where the root is."""
        self.network, self.root, self.examined = network, root, tuple(equations)
        passed = forward(network)
        until = passed[: next(n for n, e in enumerate(passed) if e.array == root) + 1]
        self.passed = {e.array: e for e in until}
        self.at = tuple(Index(axis, f"of{n}") for n, axis in enumerate(root.axes))
        self.results = [derivative_of(root, a) for a in (*self._ends, *self.passed) if a.name in by]
        given = {e.name: e for e in self.examined}
        readers: dict[Array, list[Equation]] = {}
        for e in until:
            for array in e.operands:
                readers.setdefault(array, []).append(e)
        whole = General.of(network, "simultaneous", given)
        self.meanings = replace(whole, passed=self.passed, readers=readers, root=root, at=self.at)
        self.points = Points(network, "simultaneous", given)
        self.small = self.points.network

    @cached_property
    def definitions(self) -> dict[Array, Expr]:
        """What scalars stand for, to see which of them are never 0."""
        found = {a: e.rhs for a, e in self.passed.items() if isinstance(e.rhs, Expr)}
        return {a: rhs for a, rhs in found.items() if not a.axes or isinstance(rhs, Apply)}

    def flaws(self, equations: Sequence[Equation]) -> list[tuple[str, str]]:
        """What keeps the list from being one of derivatives."""
        return flaws_of_derivatives(self.network, self.directions, equations, (self.root, *self.results), self.rules())

    def rules(self) -> dict[Array, Rule]:
        """What each equation of the list claims."""
        rules = dict.fromkeys((*self.passed, *self._gates), Rule.DEFINITION)
        rules |= dict.fromkeys((derivative_of(self.root, a) for a in self.passed), Rule.ADJOINT)
        return rules | {derivative_of(self.root, a): Rule.GRADIENT for a in self._ends}

    @property
    def _ends(self) -> tuple[Array, ...]:
        """What no equation defines."""
        return (*self.network.parameters, self.network.input)

    @property
    def _gates(self) -> tuple[Array, ...]:
        return tuple(map(gate_of, (*self._ends, *self.passed)))

    def _in_indices(self, equation: Equation) -> bool | None:
        """Whether it holds at every width; None where index notation cannot say."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        one = equation
        if equation.array not in self.passed and equation.array not in self._gates:
            names = dict(zip(equation.lhs.indices, self.at, strict=False))
            one = replace(equation, lhs=rename(equation.lhs, names), rhs=rename(equation.rhs, names))
        try:
            return self.meanings.holds(one)
        except UnsupportedExpression:
            return None

    def _at_points(self, equation: Equation) -> bool | None:
        """Whether it holds at random points of a small instance; None for what is not evaluated."""
        return self.points.holds(equation) if self.root == ERROR else None

    def equation(self, equation: Equation) -> Finding:
        """The verdict of both."""
        index, expanded = self._in_indices(equation), self._at_points(equation)
        said: Any = {
            "index": {None: "", True: "identical", False: "differs"}[index],
            "expanded": {None: "", True: "identical at random points", False: "differs"}[expanded],
        }
        if False in (index, expanded):
            found = self.points.counterexample(equation) if self.root == ERROR else None
            if found is not None:
                return Finding(
                    equation.name, None, Verdict.REFUTED, **said, note=str(found), counterexample=found
                )  # fmt: skip
            note = "a decider sees a difference, and no counterexample was found"
            return Finding(equation.name, None, Verdict.UNDECIDED, **said, note=note)
        if index:
            verdict = Verdict.DEFINITION if equation.rule is Rule.DEFINITION else Verdict.PROVED
            return Finding(equation.name, None, verdict, **said)
        if expanded:
            note = f"index notation cannot say, and it was only tried on {self.small} at random points"
            return Finding(equation.name, None, Verdict.SAMPLED, **said, note=note)
        return Finding(equation.name, None, Verdict.UNDECIDED, note="neither decider understands it")
