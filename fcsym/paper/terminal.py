"""The audit in the terminal, by rich."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fcsym.paper import Audit, Finding, Verdict
from fcsym.paper.typeset import words

__all__ = ["conclusion", "table"]

_STYLE = {
    Verdict.PROVED: "green", Verdict.PROVED_UNDER: "yellow", Verdict.REFUTED: "bold red", Verdict.CHOSEN: "cyan",
    Verdict.DEFINITION: "dim", Verdict.UNDECIDED: "bold yellow",
}  # fmt: skip


def table(audit: Audit) -> RenderableType:
    """A row per printed equation."""
    result = Table(title=Text("Every printed equation"), title_justify="left", show_lines=True)
    result.add_column("where")
    result.add_column("printed", ratio=3)
    result.add_column("verdict")
    result.add_column("condition, counterexample, correction", ratio=4)
    for finding in audit.findings:
        row = finding.row
        printed = words(row.printed) if row.claim is None else str(row.claim)
        printed += f"\n({row.reading})" if row.reading else ""
        result.add_row(
            Text(f"{row.label}\n{row.place}"), Text(printed),
            Text(finding.verdict.value, style=_STYLE[finding.verdict]), Text(_remarks(finding)),
        )  # fmt: skip
    return result


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
