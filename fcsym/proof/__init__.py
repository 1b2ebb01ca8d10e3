"""Proof: the verdict on every equation and every case of a derivation.

Two deciders that share nothing but the equations under examination: `obligations` compares canonical forms in index
notation, at the network's own widths; `expanded` compares polynomials on an instance of the same depth. Both hold a
right-hand side against what its left-hand side means in the network. PROVED needs all who could say something to agree;
REFUTED needs an exact counterexample; anything else is UNDECIDED.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fcsym.language.activation import Activation
from fcsym.language.equation import Branch, Cases, Equation, Rule, Status, Verdict
from fcsym.language.findings import Counterexample, Finding, Proof
from fcsym.proof.expanded import Expansion
from fcsym.proof.obligations import Meanings
from fcsym.proof.search import in_network, misnamed, on_integral, on_unit
from fcsym.proof.structure import flaws
from fcsym.proof.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from fcsym.derivation import Derivation

__all__ = ["Counterexample", "Finding", "Proof", "prove"]


def prove(derivation: Derivation, progress: Callable[[str], None] = lambda _: None) -> Proof:
    """Derivation => a finding for every equation and every case.

    `progress` is called with the name of each equation before it is examined.
    """
    wrong = flaws(derivation.network, derivation.equations)
    if wrong:  # what is left of such a list is not worth a verdict
        findings = [Finding(name, None, Verdict.UNDECIDED, note=f"{name} {said}") for name, said in dict(wrong).items()]
        others = (e.name for e in derivation.equations if e.name not in dict(wrong))
        findings += [Finding(name, None, Verdict.UNDECIDED, note="the derivation is incomplete") for name in others]
        return Proof(tuple(findings), "none", "not examined, since the derivation is incomplete")
    examiner = _Examiner(derivation)
    findings = []
    for equation in derivation.equations:
        progress(equation.name)
        if isinstance(equation.rhs, Cases):
            findings += examiner.table(equation)
        else:
            findings.append(examiner.equation(equation))
    return Proof(tuple(findings), str(examiner.expansion.network), examiner.expansion.method)


def _word(answer: bool | None, in_full: bool = True) -> str:
    """What a decider said; never more than it did."""
    if answer is None:
        return ""
    if not answer:
        return "differs"
    return "identical" if in_full else "identical at random points"


class _Examiner:
    """Both deciders, set up for one derivation."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self.network, self.order, self.given = derivation.network, derivation.order, derivation.by_name
        self.meanings = Meanings.of(self.network, self.order, self.given)
        self.expansion = Expansion(self.network, self.order, self.given)
        self.answers: dict[str, bool | None] = {}  # of z3, to questions that come up in every layer

    def equation(self, equation: Equation) -> Finding:
        """The finding on an equation without cases."""
        index, expanded = self.meanings.holds(equation), self.expansion.holds(equation)
        said: Any = {"index": _word(index), "expanded": _word(expanded, self.expansion.in_full)}
        if False in (index, expanded):
            found = in_network(self.network, self.order, equation, self.given)
            if found is not None:
                return Finding(equation.name, None, Verdict.REFUTED, **said, note=str(found), counterexample=found)
            return Finding(
                equation.name,
                None,
                Verdict.UNDECIDED,
                **said,
                note="a decider sees a difference, and no counterexample was found",
            )
        if equation.rule in (Rule.DEFINITION, Rule.SPLIT):
            return Finding(equation.name, None, Verdict.DEFINITION, **said)
        if index is None and expanded is None:
            return Finding(equation.name, None, Verdict.UNDECIDED, note="neither decider understands it")
        return Finding(equation.name, None, Verdict.PROVED, **said)

    def table(self, equation: Equation) -> list[Finding]:
        """The finding on a case table, and on each of its rows."""
        assert isinstance(equation.rhs, Cases)
        phi, s = self.meanings.unit(equation)
        table = Table(equation, phi, self._moves_by_its_gate(s.layer), self._only_unit_below(s.layer), self.answers)
        rows = [self._row(equation, branch, table) for branch in equation.rhs]
        covers, excludes = table.covers(), table.excludes()
        note = ""
        if covers and excludes:
            note = "the cases cover everything and exclude each other (z3)"
        if False in (covers, excludes):
            point = table.gap() or {}
            missing = "no case holds" if not covers else "two cases hold"
            at = ", ".join(f"{name} = {value}" for name, value in point.items())
            verdict, note = Verdict.REFUTED, f"{missing} at {at}"
        elif any(row.verdict is Verdict.REFUTED for row in rows):
            verdict = Verdict.REFUTED
        elif None in (covers, excludes) or any(row.verdict is Verdict.UNDECIDED for row in rows):
            verdict = Verdict.UNDECIDED
        else:
            verdict = Verdict.CHOSEN if equation.rule is Rule.CHOICE else Verdict.PROVED
        counterexample = next((row.counterexample for row in rows if row.counterexample is not None), None)
        if verdict is Verdict.REFUTED and counterexample is None:
            counterexample = Counterexample(table.gap() or {}, f"the number of cases of {equation.name}", None, None)
        decided = "z3" if covers and excludes else ""
        whole = Finding(equation.name, None, verdict, expanded=decided, note=note, counterexample=counterexample)
        return [whole, *rows]

    def _moves_by_its_gate(self, layer: int | None) -> bool:
        """Whether a unit with a closed gate stays where it is.

        In the first layer s moves only through the unit's own weights. In a layer of one unit, what reaches the layers
        below has passed its gate: if that is closed, nothing below learns and nothing arrives from there.
        """
        return layer is not None and (layer == 1 or self.network.widths[layer] == 1)

    def _only_unit_below(self, layer: int | None) -> Activation | None:
        """The activation of the layer below, where that is one unit and nothing else feeds this layer."""
        if layer is None or layer < 2 or self.network.widths[layer - 1] != 1 or self.network.layers[layer - 1].bias:
            return None
        below = self.network.layers[layer - 2].activation
        return None if below.is_smooth else below  # of a smooth one z3 knows nothing

    def _row(self, equation: Equation, branch: Branch, table: Table) -> Finding:
        finding = self._value(equation, branch, table)
        if finding.verdict not in (Verdict.PROVED, Verdict.CHOSEN):
            return finding
        if not self.meanings.named(equation, branch):
            found = misnamed(self.network, equation, branch)
            verdict = Verdict.REFUTED if found else Verdict.UNDECIDED
            note = "the case's name is not what its conditions say"
            return replace(finding, verdict=verdict, note=f"{note}: {found}" if found else note, counterexample=found)
        if equation.rule is Rule.CHOICE and branch.status is Status.VALUE and table.solvable(branch, by_any=True):
            return replace(finding, verdict=Verdict.UNDECIDED, note="every value solves this case, and it is not said")
        return finding

    def _value(self, equation: Equation, branch: Branch, table: Table) -> Finding:
        possible = table.possible(branch) is not False
        phi, _ = self.meanings.unit(equation)
        why = f"{phi.name} is never 0" if phi.never_zero else "with a closed gate, nothing that moves `s` can reach it"
        never = "" if possible else f"impossible here: {why}"
        if branch.status is not Status.VALUE and equation.rule is not Rule.CASES:
            solved = table.solvable(branch, by_any=branch.status is Status.CHOSEN)
            note = "; ".join(part for part in (branch.note, never) if part)
            if solved:
                verdict = Verdict.CHOSEN if branch.status is Status.CHOSEN else Verdict.PROVED
                return Finding(equation.name, branch.name, verdict, expanded="z3", note=note, possible=possible)
            found = on_unit(self.network, equation, branch)
            verdict = Verdict.REFUTED if found else Verdict.UNDECIDED
            return Finding(equation.name, branch.name, verdict, note=str(found or note), counterexample=found)
        pieces = (0, 0) if phi.is_smooth else self.meanings.pieces(equation, branch)
        index = self.meanings.case_holds(equation, branch)
        expanded = None if pieces is None else self.expansion.case_holds(equation, branch, pieces)
        in_full = self.expansion.in_full
        if in_full and equation.rule is Rule.INTEGRAL and pieces is not None and branch.value is not None:
            in_full = self.expansion.integral_in_full(equation, branch, pieces)
        said: Any = {"index": _word(index), "expanded": _word(expanded, in_full)}
        if index and expanded is not False:
            return Finding(equation.name, branch.name, Verdict.PROVED, **said, note=never, possible=possible)
        if equation.rule is not Rule.INTEGRAL:
            found = on_unit(self.network, equation, branch)
        elif pieces is not None:
            found = on_integral(self.network, self.order, equation, branch, pieces)
        else:
            found = None
        if found is not None:
            return Finding(
                equation.name, branch.name, Verdict.REFUTED, **said, note=str(found), possible=possible,
                counterexample=found,
            )  # fmt: skip
        return Finding(
            equation.name,
            branch.name,
            Verdict.UNDECIDED,
            **said,
            note="a decider sees a difference, and no counterexample was found",
        )
