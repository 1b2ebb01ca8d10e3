"""Proof: the verdict on every equation and every case of a derivation.

Two deciders that share nothing but the equations under examination: `obligations` compares canonical forms in index
notation, at the network's own widths; `expanded` compares polynomials on an instance of the same depth. Both hold a
right-hand side against what its left-hand side means in the network. PROVED needs all who could say something to agree;
REFUTED needs an exact counterexample; SAMPLED is what index notation cannot say and the other only tried, at random
points or at smaller widths; anything else is UNDECIDED. Where something stands below a line, the finding says that it
must not be 0. Names and remarks of cases are part of what is examined; reasons and citations are prose and are not.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from fcsym.deriving.record import Record
from fcsym.language.activation import Activation
from fcsym.language.equation import Branch, Cases, Equation, Order, Rule, Status, Verdict
from fcsym.language.expression import Apply, Array, Expr, mul
from fcsym.language.findings import Counterexample, Finding, Proof, under
from fcsym.networks.symbols import effective
from fcsym.proof.expanded import Expansion
from fcsym.proof.general import General
from fcsym.proof.obligations import Meanings
from fcsym.proof.points import Points
from fcsym.proof.quotients import needed
from fcsym.proof.reach import moves_by_its_gate, stays
from fcsym.proof.search import misnamed, on_integral, on_unit
from fcsym.proof.structure import flaws
from fcsym.proof.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from fcsym.networks.network import Hidden, Network

__all__ = ["Counterexample", "Finding", "Proof", "prove", "proved"]


def prove(derivation: Record, progress: Callable[[str], None] = lambda _: None) -> Proof:
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


def proved(derivation: Record) -> Proof:
    """The same, kept for the few derivations asked for last: schemes share the step that they are cut from."""
    return _proved(derivation.network, derivation.order, derivation.equations)


@lru_cache(maxsize=8)
def _proved(network: Network, order: Order, equations: tuple[Equation, ...]) -> Proof:
    return prove(Record(network, order, equations))


def _word(answer: bool | None, in_full: bool = True) -> str:
    """What a decider said; never more than it did."""
    if answer is None:
        return ""
    if not answer:
        return "differs"
    return "identical" if in_full else "identical at random points"


class _Examiner:
    """Both deciders, set up for one derivation."""

    def __init__(self, derivation: Record) -> None:
        self.derivation = derivation
        self.network, self.order, self.given = derivation.network, derivation.order, derivation.by_name
        if self.network.built is None:
            self.meanings = Meanings.of(self.network, self.order, self.given)
            self.expansion: Expansion | Points = Expansion(self.network, self.order, self.given)
        else:
            self.meanings = General.of(self.network, self.order, self.given)
            self.expansion = Points(self.network, self.order, self.given)
        self.answers: dict[str, bool | None] = {}  # of z3, to questions that come up in every layer

    @cached_property
    def _definitions(self) -> dict[Array, Expr]:
        """What scalars stand for, to see which of them are never 0."""
        return {
            e.array: e.rhs
            for e in self.given.values()
            if e.defines and isinstance(e.rhs, Expr) and (not e.array.axes or isinstance(e.rhs, Apply))
        }

    def equation(self, equation: Equation) -> Finding:
        """The finding on an equation without cases, with the denominators that must not be 0."""
        finding = self._plain(equation)
        assert isinstance(equation.rhs, Expr)
        return under(finding, needed(equation.rhs, (), self._definitions))

    def _plain(self, equation: Equation) -> Finding:
        index, expanded = self.meanings.holds(equation), self.expansion.holds(equation)
        said: Any = {"index": _word(index), "expanded": _word(expanded, self.expansion.expands(equation))}
        if False in (index, expanded):
            found = self.expansion.counterexample(equation)
            if found is not None:
                return Finding(equation.name, None, Verdict.REFUTED, **said, note=str(found), counterexample=found)
            return Finding(
                equation.name,
                None,
                Verdict.UNDECIDED,
                **said,
                note="a decider sees a difference, and no counterexample was found",
            )
        if equation.rule is Rule.SPLIT or (
            equation.rule is Rule.DEFINITION and (index or equation.array == effective(self.network.read_out))
        ):
            return Finding(equation.name, None, Verdict.DEFINITION, **said)
        if index is None and expanded is None:
            return Finding(equation.name, None, Verdict.UNDECIDED, note="neither decider understands it")
        if index is None and not self.expansion.sees(equation):
            return Finding(equation.name, None, Verdict.SAMPLED, **said, note=self._tried(equation))
        made = {Rule.DEFINITION: Verdict.DEFINITION, Rule.TRAINING: Verdict.DEFINITION, Rule.CHOICE: Verdict.CHOSEN}
        return Finding(equation.name, None, made.get(equation.rule, Verdict.PROVED), **said)

    def _tried(self, equation: Equation) -> str:
        where = "" if self.expansion.network == self.network else f"on {self.expansion.network}"
        how = "" if self.expansion.expands(equation) else "at random points"
        return f"index notation cannot say, and it was only tried {' '.join(part for part in (where, how) if part)}"

    def table(self, equation: Equation) -> list[Finding]:
        """The finding on a case table, and on each of its rows."""
        assert isinstance(equation.rhs, Cases)
        unit = self.network.unit_of(equation.array) or self.network.hidden[-1]
        table = Table(
            equation, unit, self._moves_by_its_gate(unit), self._only_unit_below(unit), self.answers, self._still(unit)
        )
        if not table.understood():
            note = "a condition is not about the unit of its row"
            names = (None, *(row.name for row in equation.rhs))
            return [Finding(equation.name, name, Verdict.UNDECIDED, note=note) for name in names]
        rows = [self._row(equation, branch, table) for branch in equation.rhs]
        covers, excludes = table.covers(), table.excludes()
        note = ""
        if covers and excludes:
            note = "the cases cover everything and exclude each other (z3)"
        if False in (covers, excludes):
            point = table.gap() or {}
            missing = "no case holds" if covers is False else "two cases hold"
            at = ", ".join(f"{name} = {value}" for name, value in point.items())
            verdict, note = Verdict.REFUTED, f"{missing} at {at}"
        elif any(row.verdict is Verdict.REFUTED for row in rows):
            verdict = Verdict.REFUTED
        elif None in (covers, excludes) or any(row.verdict is Verdict.UNDECIDED for row in rows):
            verdict = Verdict.UNDECIDED
        elif any(row.verdict is Verdict.SAMPLED for row in rows):
            verdict = Verdict.SAMPLED
        else:
            verdict = Verdict.CHOSEN if equation.rule is Rule.CHOICE else Verdict.PROVED
        counterexample = next((row.counterexample for row in rows if row.counterexample is not None), None)
        if verdict is Verdict.REFUTED and counterexample is None:
            counterexample = Counterexample(table.gap() or {}, f"the number of cases of {equation.name}", None, None)
        decided = "z3" if covers and excludes else ""
        where = tuple(dict.fromkeys(condition for row in rows for condition in row.where))
        whole = Finding(
            equation.name, None, verdict, expanded=decided, note=note, counterexample=counterexample, where=where
        )
        return [whole, *rows]

    @property
    def _moved_from_elsewhere(self) -> bool:
        """Whether a velocity, a decay, another sample or another use of a weight may move a unit."""
        network = self.network
        return not network.rule.rests or bool(network.batch and network.samples != 1) or network.built is not None

    def _moves_by_its_gate(self, unit: Hidden) -> bool:
        """Whether a unit with a closed gate stays where it is.

        In the first trained layer s moves only through the unit's own weights, unless it shares a bias. In a layer of
        one unit, what reaches the layers below has passed its gate: if that is closed, nothing below learns and nothing
        arrives from there.
        """
        if self.network.built is not None and self.network.rule.rests:
            return moves_by_its_gate(self.network, unit)
        if self._moved_from_elsewhere:
            return False
        place = self.network.activated.index(unit)
        first = not place or self._still(self.network.activated[place - 1])
        own = all(unit.s.axes[-1] in theta.axes for theta in self._trained_in(unit))
        return (first and own) or self.network.sizes[unit.s.axes[-1]] == 1

    def _still(self, unit: Hidden) -> bool:
        """Whether no parameter up to the unit's layer is trained."""
        if self.network.built is not None:
            return stays(self.network, unit)
        below = self.network.activated[: self.network.activated.index(unit) + 1]
        return not any(self._trained_in(layer) for layer in below)

    def _trained_in(self, unit: Hidden) -> tuple[Array, ...]:
        """The trained parameters that a unit's layer has."""
        fed = self.network.feeding(self.network.activated.index(unit) + 1)
        return tuple(theta for theta in fed if theta in self.network.trained)

    def _only_unit_below(self, unit: Hidden) -> Activation | None:
        """The activation of the layer below, where that is one unit and nothing else feeds this layer."""
        if self._moved_from_elsewhere:
            return None
        place = self.network.activated.index(unit)
        fed = self.network.feeding(place + 1)
        if not place or self.network.sizes[fed[0].axes[-1]] != 1 or len(fed) > 1:  # a bias feeds it, too
            return None
        below = self.network.activated[place - 1].activation
        return None if below.is_smooth else below  # of a smooth one z3 knows nothing

    def _row(self, equation: Equation, branch: Branch, table: Table) -> Finding:
        finding = self._value(equation, branch, table)
        if finding.verdict not in (Verdict.PROVED, Verdict.CHOSEN, Verdict.SAMPLED):
            return finding
        if branch.value is not None:
            below = needed(mul(branch.value, self.meanings.defined_by(equation)), branch.when, self._definitions)
            finding = under(finding, tuple(c for c in below if not table.keeps(branch, c)))
        if not self.meanings.remarked(equation, branch):
            note = "the case's remark is not what its status says"
            return replace(finding, verdict=Verdict.UNDECIDED, note=note)
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
        if self._still(self.network.unit_of(equation.array) or self.network.hidden[-1]):
            why = "nothing that the unit is made of is trained"
        never = "" if possible else f"impossible here: {why}"
        if branch.status is not Status.VALUE and equation.rule is not Rule.CASES:
            solved = table.solvable(branch, by_any=branch.status is Status.CHOSEN)
            note = "; ".join(part for part in (branch.note, never) if part)
            if solved:
                verdict = Verdict.CHOSEN if branch.status is Status.CHOSEN else Verdict.PROVED
                return Finding(equation.name, branch.name, verdict, expanded="z3", note=note, possible=possible)
            found = on_unit(self.network, equation, branch) if equation.rule is Rule.CHOICE else None
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
        if index is None and expanded:
            sees = in_full and self.expansion.sees(equation)
            note = "" if sees else self._tried(equation)
            verdict = Verdict.PROVED if sees else Verdict.SAMPLED
            return Finding(equation.name, branch.name, verdict, **said, note=note, possible=possible)
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
        note = "a decider sees a difference, and no counterexample was found"
        if index is None and expanded is None:
            note = "neither decider understands it"
        return Finding(equation.name, branch.name, Verdict.UNDECIDED, **said, note=note)
