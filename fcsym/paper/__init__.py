"""The audit: every printed equation of the paper, decided by the engine from its own derivation.

    printed row -> claim -> cases -> two deciders -> verdict -> counterexample, rechecked -> correction, proved

`printed` has the equations as data and no verdict; `model` gives the paper's symbols their values, read off the
derivation; `verdict` decides, `correction` finds the smallest change that makes a refuted equation true, `statements`
answers the sentences. `recheck` evaluates counterexamples with fractions alone.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from html import escape
from typing import Any

from fcsym.errors import ArgumentError, shown
from fcsym.language.equation import Rule
from fcsym.paper.correction import Correction, correct
from fcsym.paper.decision import Counterexample, Decision, Limits, Setup, Verdict
from fcsym.paper.formula import Claim, latex_claim
from fcsym.paper.model import derivation
from fcsym.paper.printed import ROWS, Row
from fcsym.paper.statements import STATEMENTS, Answer
from fcsym.paper.verdict import decide

__all__ = ["ROWS", "Audit", "Claim", "Finding", "Limits", "Row", "Setup", "Verdict", "audit", "examine"]

_KIND = {Rule.DEFINITION: Verdict.DEFINITION, Rule.INTEGRAL: Verdict.DEFINITION, Rule.CHOICE: Verdict.CHOSEN}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the audit says of one printed row."""

    row: Row
    verdict: Verdict
    condition: str = ""  # under which it is true, beyond what the text offers it under
    counterexample: str = ""
    correction: str = ""
    correction_latex: str = ""
    kind: str = ""  # what the correction changes: sign, factor, exponent, prime, index, relation, replaced
    ring: str = "silent"
    z3: str = "silent"
    fractions: str = "silent"  # whether the code that shares nothing with the engine confirms the counterexample
    note: str = ""
    point: Counterexample | None = None
    under: tuple[Any, ...] = ()  # the condition, as data; of a refuted row, where it happens to be true

    def as_dict(self) -> dict[str, Any]:
        """The row of the JSON document."""
        point = None
        if self.point is not None:
            point = {
                "point": {name: str(value) for name, value in self.point.point.items()},
                "left": _text(self.point.left), "right": _text(self.point.right),
            }  # fmt: skip
        claim = self.row.claim
        return {
            "label": self.row.label, "place": self.row.place, "printed": self.row.printed,
            "formula": None if claim is None else str(claim), "reading": self.row.reading,
            "assumptions": assumptions(self.row), "verdict": self.verdict.value,
            "condition": self.condition or None, "counterexample": self.counterexample or None,
            "numbers": point, "correction": self.correction or None, "change": self.kind or None,
            "deciders": {"ring": self.ring, "z3": self.z3, "fractions": self.fractions}, "note": self.note,
        }  # fmt: skip


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """Every finding, in the order of the paper."""

    findings: tuple[Finding, ...]

    @property
    def decided(self) -> bool:
        """Nothing is left open."""
        return not self.count(Verdict.UNDECIDED)

    def count(self, verdict: Verdict) -> int:
        """How many rows have that verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    def _repr_html_(self) -> str:
        rows = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in self._cells()]
        head = "".join(
            f'<th scope="col">{name}</th>'
            for name in ("where", "printed", "verdict", "true where", "false at", "correct")
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        return f'<div style="overflow-x: auto">{table}</div>'

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join(" | ".join(cells) for cells in self._cells())

    def _cells(self) -> list[tuple[str, ...]]:
        """For each row: where it is printed, what, the verdict, condition, counterexample and correction."""
        return [
            (
                f"{f.row.label}, {f.row.place}", str(f.row.claim or f.row.printed), f.verdict.value,
                f.condition, f.counterexample, f.correction,
            )
            for f in self.findings
        ]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        return {"rows": [finding.as_dict() for finding in self.findings]}


def assumptions(row: Row) -> list[str]:
    """What the text offers the equation under, and what is held constant."""
    if row.claim is None:
        return []
    result = [str(condition) for condition in row.claim.when]
    order = {"sequential": "w_1..w_4 see w_5', w_6'", "simultaneous": "w_1..w_4 see w_5, w_6"}[row.setup.order]
    result.append(order)
    if row.setup.setting == "held":
        result.append("v_1^c, dE/dY and the gates are held constant")
    if row.setup.setting == "series":
        result.append("the unit was active in all n - 1 steps before, for any n")
    if len(row.setup.inputs) > 1:
        seen = ", ".join(f"x{mark}" for mark in row.setup.inputs)
        result.append(f"the steps see the inputs {seen}")
    return result


def audit(
    limits: Limits = Limits(),
    rows: Sequence[Row | str] | None = None, progress: Callable[[str], None] = lambda _: None,
) -> Audit:  # fmt: skip
    """The verdict of the engine on each equality that the paper prints (arXiv 2106.05569, main text and supplement).

    `rows`: all of them, or only these; a text stands for every row whose label begins with it, such as "eq. 31".
    `limits`: how long z3 may think. `progress` is called with the label of each row before it is examined.
    Raises ArgumentError for a text that no label begins with.
    """
    findings = []
    with _few_collections():
        for row in (row for entry in (ROWS if rows is None else rows) for row in _meant(entry)):
            progress(row.label)
            findings.append(examine(row, limits))
    return Audit(tuple(findings))


@contextmanager
def _few_collections() -> Iterator[None]:
    """Almost everything that an audit makes is kept to its end: looking for garbage all the time is a sixth of it."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 200_000) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _meant(entry: Row | str) -> Sequence[Row]:
    if isinstance(entry, Row):
        return (entry,)
    found = [row for row in ROWS if re.match(rf"{re.escape(str(entry))}(?![0-9a-z])", row.label)]
    if not found:
        labels = ", ".join(dict.fromkeys(row.label.split(",")[0] for row in ROWS))
        raise ArgumentError(f"No printed row is called {shown(entry)!r}: the labels begin with {labels}.")
    return found


def examine(row: Row, limits: Limits = Limits()) -> Finding:
    """One row => its finding."""
    if row.claim is None:
        return _sentence(row, limits)
    decision, correction = _decided(row.claim, row.setup, row.instead, limits)
    finding = Finding(
        row, _verdict(row, decision.verdict), condition=_condition(decision), ring=decision.ring, z3=decision.z3,
        note=decision.note, under=decision.condition,
    )  # fmt: skip
    found = decision.counterexample
    if found is not None:
        confirmed = "confirmed" if found.rechecked else "not confirmed"
        finding = replace(finding, counterexample=str(found), point=found, fractions=confirmed)
        if not found.rechecked:
            finding = replace(finding, verdict=Verdict.UNDECIDED)
    if correction is not None:
        where = _condition(correction.decision)
        extra = f" where {where}" if where and not correction.claim.when else f" and {where}" if where else ""
        finding = replace(
            finding, correction=f"{correction.claim}{extra}", kind=correction.kind,
            correction_latex=latex_claim(_under(correction)),
        )  # fmt: skip
    elif decision.verdict is Verdict.REFUTED:
        finding = replace(finding, note=finding.note or "no correction was found")
    return finding


@cache
def _decided(
    claim: Claim, setup: Setup, instead: Claim | None, limits: Limits
) -> tuple[Decision, Correction | None]:  # fmt: skip
    """The main text repeats most of the supplement: each claim is examined once."""
    decision = decide(claim, setup, limits)
    refuted = decision.verdict is Verdict.REFUTED
    return decision, correct(claim, setup, limits, instead) if refuted else None


def _verdict(row: Row, verdict: Verdict) -> Verdict:
    """A true equation that introduces a symbol is what the derivation's own equation for it is."""
    if row.introduces and verdict in (Verdict.PROVED, Verdict.PROVED_UNDER):
        return _KIND.get(derivation(row.setup.order).by_name[row.introduces].rule, verdict)
    return verdict


def _condition(decision: Decision) -> str:
    said = " and ".join(map(str, decision.condition))
    return f"{said} (true there, and not in general)" if said and decision.verdict is Verdict.REFUTED else said


def _under(correction: Correction) -> Claim:
    from fcsym.paper.formula import Condition

    extra = tuple(c for c in correction.decision.condition if isinstance(c, Condition))
    return replace(correction.claim, when=(*correction.claim.when, *extra))


@cache
def _answered(statement: str, limits: Limits) -> Answer:
    return STATEMENTS[statement].answer(limits)


def _sentence(row: Row, limits: Limits) -> Finding:
    answer = _answered(row.statement, limits)
    correction = answer.correction
    return Finding(
        row, answer.verdict, answer.condition, answer.counterexample, str(correction),
        latex_claim(correction) if isinstance(correction, Claim) else "",
        "replaced" if correction else "", answer.ring, answer.z3, note=answer.note,
    )  # fmt: skip
