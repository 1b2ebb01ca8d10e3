"""Derivations, case tables, proofs and checks in the terminal, by rich: as wide as the window, and no wider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from fcsym.language.equation import OPEN, Case, Verdict
from fcsym.language.spelling import visible
from fcsym.render.content import content
from fcsym.render.parts import Step

if TYPE_CHECKING:
    from fcsym.deriving.readable import Shown
    from fcsym.language.equation import Detail
    from fcsym.language.findings import Proof

__all__ = ["Grid", "cases", "checks", "document", "joint", "plain", "refutations", "table"]

_STYLE = {
    Verdict.PROVED: "green", Verdict.REFUTED: "bold red", Verdict.ASSUMED: "yellow", Verdict.CHOSEN: "cyan",
    Verdict.DEFINITION: "dim", Verdict.SAMPLED: "bold yellow", Verdict.UNDECIDED: "bold yellow",
}  # fmt: skip

_WIDE = 110
"""Columns of a window in which an equation and its reason fit beside each other."""


def plain(sentence: str) -> str:
    """A sentence without the marks around its mathematics, and with nothing in it that steers a terminal."""
    return visible(sentence.replace("`", ""), lines=True)


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.value, style=_STYLE[verdict])


@dataclass(frozen=True)
class Grid:
    """Rows under heads: a table where no word has to be broken for it, otherwise one row below the other.

    A column with nothing in it is left out.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    right: frozenset[str] = frozenset()  # heads of columns of numbers
    lines: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if not self.rows:
            return
        rows = [[Text(plain(cell)) if isinstance(cell, str) else cell for cell in row] for row in self.rows]
        filled = [n for n in range(len(self.head)) if any(row[n].plain for row in rows)]
        head, rows = [self.head[n] for n in filled], [[row[n] for n in filled] for row in rows]
        widths = self._widths(head, rows, options.max_width)
        yield self._below(head, rows) if widths is None else self._beside(head, rows, widths)

    def _widths(self, head: Sequence[str], rows: Sequence[Sequence[Text]], window: int) -> list[int] | None:
        """The width of each column: its longest word, and a share of what the window has left; None without room."""
        columns = list(zip(head, *([cell.plain for cell in row] for row in rows), strict=True))
        words = [max(cell_len(word) for cell in column for word in [*cell.split(), ""]) for column in columns]
        lines = [max(cell_len(line) for cell in column for line in [*cell.splitlines(), ""]) for column in columns]
        left = window - sum(words) - 3 * len(columns) - 1
        if left < 0:
            return None
        wanted = [line - word for line, word in zip(lines, words, strict=True)]
        for done, n in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):  # who wants little gets all of it
            share = min(wanted[n], left // (len(wanted) - done))
            words[n] += share
            left -= share
        return words

    def _beside(self, head: Sequence[str], rows: Sequence[Sequence[Text]], widths: Sequence[int]) -> RenderableType:
        result = Table(title=Text(visible(self.title)), title_justify="left", show_lines=self.lines)
        for name, width in zip(head, widths, strict=True):
            side: JustifyMethod = "right" if name in self.right else "left"
            result.add_column(name, justify=side, overflow="fold", width=width)
        for row in rows:
            result.add_row(*row)
        return result

    def _below(self, head: Sequence[str], rows: Sequence[Sequence[Text]]) -> RenderableType:
        result = Table(title=Text(visible(self.title)), title_justify="left", show_header=False)
        result.add_column(style="dim", overflow="fold", max_width=20)
        result.add_column(overflow="fold")
        for row in rows:
            for name, cell in zip(head, row, strict=True):
                if cell.plain:
                    result.add_row(name, cell)
            result.add_section()
        return result


@dataclass(frozen=True)
class _Equations:
    """Equations with their numbers and verdicts, and their reasons where these are wanted."""

    title: str
    steps: Sequence[Step]
    reasons: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if not self.steps:
            return
        beside = self.reasons and options.max_width >= _WIDE
        cites = beside and any(step.equation.cite for step in self.steps)
        judged = any(step.verdict is not None for step in self.steps)
        result = Table(title=Text(visible(self.title)), title_justify="left", show_lines=True)
        result.add_column("#", justify="right")
        result.add_column("equation", overflow="fold")
        if beside:
            result.add_column("why", overflow="fold")
        if cites:
            result.add_column("paper")
        if judged:
            result.add_column("verdict")
        for step in self.steps:
            shown, why = Text("\n".join((str(step.equation), *map(str, step.worked)))), self._why(step)
            if self.reasons and not beside:
                cite = f" Paper: {step.equation.cite}." if step.equation.cite else ""
                shown = Text.assemble(shown, "\n", (f"{why}{cite}", "dim"))
            cells = [Text(str(step.number)), shown]
            cells += [Text(why)] if beside else []
            cells += [Text(step.equation.cite)] if cites else []
            cells += [Text("") if step.verdict is None else _verdict(step.verdict)] if judged else []
            result.add_row(*cells)
        yield result

    def _why(self, step: Step) -> str:
        uses = f" Uses{_numbers(step.uses)}." if step.uses else ""
        noted = step.note and not step.has_cases
        note = f" {plain(step.note[0].upper() + step.note[1:])}." if noted else ""
        return f"{step.equation.rule.value}: {plain(step.equation.because)}{uses}{note}"


def document(d: Shown, *, detail: Detail = "full", only: str | None = None) -> RenderableType:
    """The equations with their reasons and verdicts; of a scheme, function by function, after its state.

    `detail`: "full", or "summary" without the reasons. `only`: as for documents. Raises what `content` raises.
    """
    page, full = content(d, detail="summary", only=only), detail == "full"
    parts: list[RenderableType] = [Text(plain(sentence)) for sentence in page.about]
    if page.state:
        rows = [(c.array.name, c.shape, c.meaning + _numbers([c.number] if c.number else [])) for c in page.state]
        parts.append(Grid(page.title, ("array", "shape", "what it stands for"), rows))
        parts.append(_Equations("what the state stands for", page.invariants, full))
        parts += [Text(plain(page.induction))] if page.induction else []
    for chapter in page.chapters:
        title = f"{chapter.title}: {plain(chapter.about)}" if chapter.title else d.lists[0].title
        parts.append(_Equations(title, tuple(chapter.steps), full))
    parts += [Text(f"here: {function.text}") for function in page.functions]
    if page.assumptions:
        parts.append(Text("\n".join(f"assumed: {plain(sentence)}" for sentence in page.assumptions)))
    return Group(*parts)


def _numbers(numbers: Sequence[int]) -> str:
    return f" {', '.join(f'({number})' for number in numbers)}" if numbers else ""


def cases(title: str, rows: Sequence[Case]) -> RenderableType:
    """A unit's case table."""
    cells = [
        (row.name, row.condition, "undefined" if row.value is None else str(row.value), _verdict(row.verdict), row.note)
        for row in rows
    ]
    return Grid(title, ("case", "when", "value", "verdict", "remark"), cells)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str | Text]], texts: int = 0) -> RenderableType:
    """A table of text; of numbers from a column on, to the right and without lines between rows, where that is said."""
    return Grid(title, head, rows, right=frozenset(head[texts:]), lines=False) if texts else Grid(title, head, rows)


def joint(found: Any) -> RenderableType:
    """Joint gate patterns as a table: a row for those that differ in the order of units only, with numbers for one."""
    seen = "one input" if found.inputs == 1 else "the pattern of an input x@ that the step does not see"
    unknown = f", {len(found.unknown)} unknown" if found.unknown else ""
    title = (
        f"{found.network}, {found.order} order, {seen}: {len(found.reachable)} joint patterns occur, "
        f"{len(found.impossible)} are impossible (z3){unknown}"
    )
    rows = [
        (found.named(pattern), str(count), str(found.reachable[pattern])) for pattern, count in found.groups.items()
    ]
    return Grid(title, ("pattern", "patterns", "where it occurs"), rows, lines=False)


def refutations(proof: Proof) -> RenderableType:
    """What is wrong, each with its counterexample, and what is left open."""
    wrong = [f for verdict in (Verdict.REFUTED, *OPEN) for f in proof.findings if f.verdict is verdict]
    return Text("\n".join(plain(f"{f.verdict.value} {f.name}: {f.note}") for f in wrong))


def checks(report: Any, shown: Sequence[Any] | None = None) -> RenderableType:
    """`checking.report.Report` as a table: a row per quantity and case; `shown`: these of its rows, by default all."""
    title = f"{report.network}, {report.order} order, against autodiff in {report.against} order, {report.dtype}"
    if not report.order:  # derivatives have none
        title = f"{report.network}, against autodiff, {report.dtype}"
    rows: list[Sequence[str | Text]] = []
    for row in report.rows if shown is None else shown:
        mark = Text("ok", "green") if row.passed else Text("FAILED", "bold red")
        if row.impossible and not row.points:
            mark = Text("cannot occur", "dim")
        rows.append(
            (row.quantity, row.case, str(row.points), f"{row.worst:.2e}", f"{row.bound:.2e}", f"{row.ratio:.2g}", mark)
        )
    numbers = ("points", "worst error", "bound there", "error / bound")
    return Grid(title, ("quantity", "case", *numbers, "result"), rows, right=frozenset(numbers), lines=False)
