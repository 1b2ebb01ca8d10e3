"""Derivations, case tables, proofs and checks in the terminal, by rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fcsym.language import text
from fcsym.language.equation import OPEN, Case, Verdict
from fcsym.render.content import NOTHING, Step, content

if TYPE_CHECKING:
    from fcsym.checking.checker import Report
    from fcsym.closed.joint import Joint
    from fcsym.document import Document
    from fcsym.proof import Proof

__all__ = ["cases", "checks", "document", "joint", "plain", "refutations", "table"]

_STYLE = {
    Verdict.PROVED: "green", Verdict.REFUTED: "bold red", Verdict.ASSUMED: "yellow", Verdict.CHOSEN: "cyan",
    Verdict.DEFINITION: "dim", Verdict.SAMPLED: "bold yellow", Verdict.UNDECIDED: "bold yellow",
}  # fmt: skip


def plain(sentence: str) -> str:
    """A sentence without the marks around its mathematics."""
    return sentence.replace("`", "")


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.value, style=_STYLE[verdict])


def document(d: Document) -> RenderableType:
    """The equations with their reasons and verdicts; of a scheme, function by function, after its state."""
    page = content(d, detail="summary")
    parts: list[RenderableType] = []
    if page.state:
        rows = [(c.array.name, c.shape, c.meaning + _numbers([c.number] if c.number else [])) for c in page.state]
        parts += [
            table(page.title, ("array", "shape", "what it stands for"), rows),
            _equations("what the state stands for", page.invariants),
            Text(plain(page.induction)),
        ]
    for chapter in page.chapters:
        title = f"{chapter.title}: {plain(chapter.about)}" if chapter.title else d.lists[0].title
        parts.append(_equations(title, tuple(chapter.steps)) if chapter.sections else Text(f"{title} {NOTHING}"))
    assumed = Text("\n".join(f"assumed: {plain(sentence)}" for sentence in page.assumptions))
    return Group(*parts, assumed)


def _numbers(numbers: Sequence[int]) -> str:
    return f" {', '.join(f'({number})' for number in numbers)}" if numbers else ""


def _equations(title: str, steps: Sequence[Step]) -> RenderableType:
    result = Table(title=Text(title), title_justify="left", show_lines=True)
    result.add_column("#", justify="right")
    result.add_column("equation", ratio=3)
    result.add_column("why", ratio=2)
    result.add_column("paper")
    result.add_column("verdict")
    for step in steps:
        e = step.equation
        why = f"{e.rule.value}: {plain(e.because)}" + (f" Uses{_numbers(step.uses)}." if step.uses else "")
        why += f" {plain(step.note[0].upper() + step.note[1:])}." if step.note and not step.has_cases else ""
        verdict = Text("") if step.verdict is None else _verdict(step.verdict)
        result.add_row(str(step.number), Text(text.equation(e)), Text(why), Text(e.cite), verdict)
    return result


def cases(title: str, rows: Sequence[Case]) -> RenderableType:
    """A unit's case table."""
    table = Table(title=Text(title), title_justify="left", show_lines=True)
    for column in ("case", "when", "value", "verdict", "remark"):
        table.add_column(column)
    for row in rows:
        value = "undefined" if row.value is None else str(row.value)
        table.add_row(
            Text(row.name), Text(row.condition), Text(value), _verdict(row.verdict), Text(plain(row.note))
        )  # fmt: skip
    return table


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """A plain table of text."""
    result = Table(title=Text(title), title_justify="left", show_lines=True)
    for column in head:
        result.add_column(column)
    for row in rows:
        result.add_row(*(Text(plain(cell)) for cell in row))
    return result


def joint(found: Joint) -> RenderableType:
    """Joint gate patterns: a row for those that differ in the order of units only, with numbers for one of them."""
    seen = "one input" if found.inputs == 1 else "the pattern of an input x@ that the step does not see"
    unknown = f", {len(found.unknown)} unknown" if found.unknown else ""
    title = (
        f"{found.network}, {found.order} order, {seen}: {len(found.reachable)} joint patterns occur, "
        f"{len(found.impossible)} are impossible (z3){unknown}"
    )
    table = Table(title=Text(title), title_justify="left")
    for column in ("pattern", "patterns", "where it occurs"):
        table.add_column(column)
    for pattern, count in found.groups.items():
        table.add_row(Text(found.named(pattern)), str(count), Text(str(found.reachable[pattern])))
    return table


def refutations(proof: Proof) -> RenderableType:
    """What is wrong, each with its counterexample, and what is left open."""
    wrong = [f for verdict in (Verdict.REFUTED, *OPEN) for f in proof.findings if f.verdict is verdict]
    return Text("\n".join(plain(f"{f.verdict.value} {f.name}: {f.note}") for f in wrong))


def checks(report: Report) -> RenderableType:
    """The comparison with autodiff, a row per quantity and case."""
    title = f"{report.network}, {report.order} order, against autodiff in {report.against} order, {report.dtype}"
    table = Table(title=Text(title), title_justify="left")
    for column in ("quantity", "case", "points", "worst error", "bound there", "error / bound", ""):
        table.add_column(column, justify="left" if column in ("quantity", "case", "") else "right")
    for row in report.rows:
        mark = Text("ok", "green") if row.passed else Text("FAILED", "bold red")
        if row.impossible and not row.points:
            mark = Text("cannot occur", "dim")
        table.add_row(
            Text(row.quantity), Text(row.case), str(row.points), f"{row.worst:.2e}", f"{row.bound:.2e}",
            f"{row.ratio:.2g}", mark,
        )  # fmt: skip
    return table
