"""The audit in the terminal, by rich."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from fcsym.paper import Audit, Finding, Verdict
from fcsym.paper.typeset import words

__all__ = ["HEAD", "conclusion", "rows"]

_STYLE = {
    Verdict.PROVED: "green", Verdict.PROVED_UNDER: "yellow", Verdict.REFUTED: "bold red", Verdict.CHOSEN: "cyan",
    Verdict.DEFINITION: "dim", Verdict.UNDECIDED: "bold yellow",
}  # fmt: skip


HEAD = ("where", "printed", "verdict", "condition, counterexample, correction")


def rows(audit: Audit) -> Iterator[tuple[str | Text, ...]]:
    """A row per printed equation, under HEAD."""
    for finding in audit.findings:
        row = finding.row
        printed = words(row.printed) if row.claim is None else str(row.claim)
        printed += f"\n({row.reading})" if row.reading else ""
        verdict = Text(finding.verdict.value, style=_STYLE[finding.verdict])
        yield f"{row.label}\n{row.place}", printed, verdict, _remarks(finding)


def _remarks(finding: Finding) -> str:
    parts = [
        (finding.condition, "true where: "), (finding.counterexample, "false at: " if _false(finding) else "outside: "),
        (finding.correction, "correct: "), (finding.note, ""),
    ]  # fmt: skip
    return "\n".join(f"{name}{value}" for value, name in parts if value)


def _false(finding: Finding) -> bool:
    return finding.verdict is Verdict.REFUTED


def conclusion(audit: Audit) -> str:
    """One line: how many rows, and what became of them."""
    counts = ", ".join(f"{v.value} {audit.count(v)}" for v in Verdict if audit.count(v))
    corrected = sum(bool(f.correction) for f in audit.findings if f.verdict is Verdict.REFUTED)
    return f"{len(audit.findings)} printed rows: {counts}; {corrected} refuted rows have a proved correction."
