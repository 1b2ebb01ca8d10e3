"""Proof of a scheme of a network of layers, by induction over the steps.

What the state stands for (`meanings`) holds at the start, and again after a step. In index notation, at any width:
every array of the state gets its meaning, every parameter after the step what backpropagation makes of it, and both
sides are polynomials in what is left; such a scheme adds no equation with cases. Beside it the four functions are run
over some steps at random points, next to the truth (`beside`). Equations of the step itself are proved there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Definition, expand, indices_of, inline
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Expr, Number, Role
from fcsym.language.findings import Finding, Proof
from fcsym.networks.symbols import frozen_copy
from fcsym.proof import proved
from fcsym.proof.answers import finding_on, pair, right_side, same_statement
from fcsym.proof.beside import Beside

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["prove_of_layers"]

_ROUNDS = 8  # an update rule has a name for each of its steps: as many are put in, one after another


def prove_of_layers(scheme: SchemeRecord, only: str | None = None) -> dict[str, Proof]:
    """Scheme => a finding for every equation of its four derivations, or of `only` one, by part."""
    base, result = proved(scheme.base), {}
    parts = [part for part in scheme.parts if part.name == (only or part.name)]
    own = any(not _is_of_step(part, e) and not _is_start(part, e) for part in scheme.parts for e in part)
    beside = Beside(scheme) if own else None  # a scheme of the step's equations alone needs no run
    meanings = Meanings(scheme)
    for part in parts:
        found: list[Finding] = []
        for equation in part.equations:
            wrong = None if beside is None else beside.refuted.get((part.name, equation.name))
            if _is_of_step(part, equation) and wrong is None:
                found += [f for f in base.findings if f.equation == equation.name]
            elif _is_start(part, equation):
                same = equation.rhs == Number(part.network.memory[equation.array])
                found.append(finding_on(equation, None, same, wrong, ""))
            else:
                ran = beside.word if beside is not None and (part.name, equation.name) in beside.compared else ""
                found.append(finding_on(equation, None, meanings.holds(part, equation), wrong, ran))
        where = base.instance if beside is None else str(beside.network)
        method = base.method if beside is None else beside.method
        result[part.name] = Proof(tuple(found), where, method)
    return result


def _is_of_step(part: PartRecord, equation: Equation) -> bool:
    return same_statement(part.scheme.base.by_name.get(equation.name), equation)


def _is_start(part: PartRecord, equation: Equation) -> bool:
    """Whether an equation says what an update rule starts from."""
    return part.name == "init" and equation.defines and equation.array in part.network.memory


class Meanings:
    """What every array of a scheme stands for, in symbols."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme = scheme
        self.base = scheme.base.by_name
        self.meant = {e.array: pair(e) for e in scheme.meanings}
        self.fixed = {e.array: pair(e) for e in scheme.frozen if isinstance(e.rhs, Expr)}
        trained = (Rule.GRADIENT, Rule.TRAINING, Rule.UPDATE)
        made = [e for e in scheme.base if e.rule in trained or e.array.role is Role.NORM]
        self.moved = {e.array: pair(e) for e in made if isinstance(e.rhs, Expr)}

    def holds(self, part: PartRecord, equation: Equation) -> bool | None:
        """Whether an equation says what its left-hand side means; None where this cannot be said.

        A definition of the scheme's own is what it says; what rests on it is examined with it put in.
        """
        try:
            claims = self._claims(part, equation)
            return None if claims is None else all(self._same(part, left, right) for left, right in claims)
        except UnsupportedExpression:
            return None

    def _claims(self, part: PartRecord, equation: Equation) -> list[tuple[Expr, Expr]] | None:
        array = equation.array
        if not equation.defines:
            return None
        if array in self.fixed:
            return [(inline(equation.lhs, self.fixed), right_side(equation))]
        known = self.base.get(equation.name)
        if known is not None and isinstance(known.rhs, Expr):  # one of the step's, said in another way
            return [(inline(equation.lhs, {known.array: pair(known)}), right_side(equation))]
        if part.name == "expand":
            return None if array not in self.meant else [(equation.lhs, right_side(equation))]
        changed = array.unprimed
        mentioning = [m for m in self.scheme.meanings if changed in (m.array, *m.operands)]
        if not mentioning:
            return None
        shift = self._before_the_first(part) if part.name == "init" else self._after_the_step(part)
        return [(inline(m.lhs, shift), inline(right_side(m), shift)) for m in mentioning]

    def _before_the_first(self, part: PartRecord) -> dict[Array, Definition]:
        """Nothing has moved: W_c is W, and what an update rule carries is what it starts from."""
        network = self.scheme.network
        shift: dict[Array, Definition] = {}
        for theta in network.parameters:
            indices = indices_of(theta)
            shift[frozen_copy(theta)] = indices, theta[indices]
        shift |= {a: (indices_of(a), Number(value)) for a, value in network.memory.items()}
        return shift | {e.array: pair(e) for e in part if self._is_own(e)}

    def _after_the_step(self, part: PartRecord) -> dict[Array, Definition]:
        """Every array that a step changes gets its prime."""
        made = {e.array for e in part} | {e.array for e in self.scheme.base if e.defines}
        arrays = {a for m in self.scheme.meanings for a in (m.array, *m.operands) if a.primed in made}
        return {a: (indices_of(a), a.primed[indices_of(a)]) for a in arrays}

    def _is_own(self, equation: Equation) -> bool:
        """Whether an equation is put in: one of the scheme's, or what a step makes of an array of the state."""
        return equation.rule is Rule.AFTER or not same_statement(self.base.get(equation.name), equation)

    def _same(self, part: PartRecord, left: Expr, right: Expr) -> bool:
        """left = right when every array stands for what it means."""
        own = {e.array: pair(e) for e in part if self._is_own(e)} if part.name == "step" else {}
        stages = (own, self.moved, self._meant(part), self.fixed)
        return not expand(_opened(left - right, stages))

    def _meant(self, part: PartRecord) -> Mapping[Array, Definition]:
        """The meanings that are put in: before the first step the weights stand for themselves."""
        if part.name != "init":
            return self.meant
        return {a: d for a, d in self.meant.items() if a not in self.scheme.network.parameters}


def _opened(node: Expr, stages: tuple[Mapping[Array, Definition], ...]) -> Expr:
    """Everything put in that is known, until nothing is left to put in."""
    for _ in range(_ROUNDS):
        before = node
        for stage in stages:
            node = inline(node, stage)
        if node == before:
            break
    return node
