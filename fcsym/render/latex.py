r"""LaTeX: a stand-alone document that `pdflatex` compiles in one pass with the packages of a basic installation.

Numbers are tags and references are written out, as links that pdfTeX makes by itself, so that no second pass is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from fcsym.language.equation import Branch, Cases, Equation, Verdict
from fcsym.language.expression import Apply, Array
from fcsym.language.names import latex_array
from fcsym.render.content import content
from fcsym.render.formula import case_name, conditions, equation, escape, expression, in_numbers, prose, stacked
from fcsym.render.parts import Chapter, Content, Row, Step, Worked, counted
from fcsym.render.trust import HEAD, TITLE, grounds

if TYPE_CHECKING:
    from fcsym.deriving.readable import Shown
    from fcsym.language.equation import Detail, Notation

__all__ = ["document", "equation", "expression", "fragment", "listing"]

_ROWS_PER_TABLE = 18
_PAGE = 22
"""Lines of a display that are sure to fit on a page."""

_T = TypeVar("_T")

_PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[margin=2.4cm]{geometry}
\usepackage{amsmath}
\usepackage{color}
\ifdefined\pdfdest
  \newcommand{\target}[1]{\smash{\raisebox{2\baselineskip}{\pdfdest name {eq.#1} xyz}}}
  \newcommand{\eqn}[1]{\leavevmode\pdfstartlink attr {/Border [0 0 0]} goto name {eq.#1}(#1)\pdfendlink}
\else
  \newcommand{\target}[1]{} \newcommand{\eqn}[1]{(#1)}
\fi
\ifdefined\pdfinfoomitdate \pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1 \fi
\definecolor{soft}{gray}{0.32}
\allowdisplaybreaks \raggedright \raggedbottom \setlength{\parindent}{0pt} \setlength{\parskip}{0.6ex}
\hbadness=10000 \vbadness=10000
\renewcommand{\labelitemi}{$\bullet$}
\renewcommand{\arraystretch}{1.25}
\newcommand{\verdict}[1]{\textsc{#1}}
\newcommand{\reason}[1]{{\small\color{soft}#1\par}\vspace{0.6ex}}"""

_PAPER = r"S. Mishra and A. Arunkumar, \emph{Front Contribution instead of Back Propagation}, arXiv 2106.05569, 2021."


def document(d: Shown, *, notation: Notation = "indexed", detail: Detail = "full", only: str | None = None) -> str:
    """A stand-alone document: equations with their reasons, case tables, assumptions, verdicts, closed forms.

    Of a scheme: its state, what that stands for, and its functions one after the other.
    """
    page = content(d, notation, detail, only)
    lines = [
        _PREAMBLE,
        rf"\ifdefined\pdfinfo \pdfinfo{{/Title ({_plain(page.title)})}} \fi",
        r"\begin{document}",
        rf"{{\LARGE\bfseries {escape(page.title)}\par}}",
        r"\vspace{0.8ex}",
        *([rf"{{\color{{soft}}{_summary(page)}\par}}"] if page.counts else []),
        *_sentences(page),
        *_assumptions(page),
        *_state(page),
    ]
    for chapter in page.chapters:
        lines += _chapter(chapter, page)
    if page.full:
        lines += [*_verdicts(page), *_closed_forms(page), *_citations(page)]
    return "\n".join([*lines, r"\end{document}", ""])


def _summary(page: Content) -> str:
    counts = ", ".join(counted(verdict, count) for verdict, count in page.counts)
    steps = sum(1 for _ in page.steps)
    return f"{steps} equations. Verdicts on them and on their cases: {counts}."


def _plain(text: str) -> str:
    """Text for the PDF's own title, which is no LaTeX."""
    return "".join(letter for letter in text if letter.isascii() and (letter.isalnum() or letter in " -,_."))


def _sentences(page: Content) -> Iterator[str]:
    for sentence in (*page.about, page.remark if page.flat else ""):
        if sentence:
            yield rf"{{\color{{soft}}{prose(sentence, page.arrays)}\par}}"
    for function in page.functions:
        yield rf"{{\color{{soft}}Here {', '.join(f'${part}$' for part in function.latex)}.\par}}"
    if page.legend:
        legend = "".join(f"${part}$" if is_math else part for is_math, part in page.legend)
        yield rf"{{\color{{soft}}{legend}\par}}"


def _assumptions(page: Content) -> list[str]:
    items = [rf"\item {prose(sentence, page.arrays)}" for sentence in page.assumptions]
    if not items:
        return []
    return [
        r"\subsection*{Assumptions}",
        r"\begin{itemize} \setlength{\itemsep}{0pt}",
        *items,
        r"\end{itemize}",
    ]


def _state(page: Content) -> Iterator[str]:
    """What a scheme carries, what that stands for, and how far this is proved."""
    if not page.state:
        return
    yield r"\section{The state}"
    rows = []
    for carried in page.state:
        more = "" if carried.number is None else f" {_references([carried.number])}"
        shape = escape(carried.shape).replace("×", r"$\times$")
        rows.append((f"${latex_array(carried.array)}$", shape, f"{prose(carried.meaning, page.arrays)}{more}"))
    yield from _tables(("array", "shape", "what it stands for"), ("2.4cm", "2.4cm", "9.8cm"), rows)
    yield ""
    for step in page.invariants:
        yield from _step(step, page)
    if page.induction:
        yield rf"{prose(page.induction, page.arrays)}\par"


# ------------------------------------------------------------------------------------------------------- steps


def _chapter(chapter: Chapter, page: Content) -> Iterator[str]:
    """The equations of one list, in sections; those of a function stand one level lower."""
    level = r"\section"
    if chapter.title:
        yield rf"\section{{{escape(chapter.title)}}}"
        level = r"\subsection"
    if chapter.about:
        yield rf"{prose(chapter.about, page.arrays)}\par"
    for section in chapter.sections:
        yield rf"{level}{{{escape(section.title)}}}"
        for step in section.steps:
            yield from _step(step, page)


def _displays(step: Step) -> Iterator[str]:
    """The equation, in as many displays as it needs."""
    plain: list[Equation] = []
    for written in step.written:
        if isinstance(written.rhs, Cases):
            yield from _fitting(written.rhs.branches, partial(_rows_of, written))
        elif _is_table(written):
            yield equation(written)
        else:
            plain.append(written)
    yield from _fitting(plain, stacked)


def _rows_of(written: Equation, branches: Sequence[Branch]) -> str:
    return equation(replace(written, rhs=Cases(tuple(branches))))


def _fitting(parts: Sequence[_T], show: Callable[[Sequence[_T]], str]) -> Iterator[str]:
    """Displays of as many parts as fit on a page: no display can be broken there."""
    start = 0
    for end in range(1, len(parts) + 1):
        if end == len(parts) or _height(show(parts[start : end + 1])) > _PAGE:
            yield show(parts[start:end])
            start = end


def _height(display: str) -> float:
    """About how many lines a display takes."""
    return display.count(r"\\") + 0.7 * display.count(r"\frac")


def _is_table(written: Equation) -> bool:
    """Whether the right-hand side is an activation, which is printed piece by piece, or as the function that it is."""
    return isinstance(written.rhs, Apply) and len(written.rhs.activation.pieces) != 1


def _step(step: Step, page: Content) -> Iterator[str]:
    for n, display in enumerate(_displays(step)):
        tag = f"{step.number}" if n == 0 else f"{step.number}, continued"
        target = rf"\target{{{step.number}}}" if n == 0 else ""
        yield rf"\begin{{equation*}}{target}"
        yield f"{display} \\tag{{{tag}}}"
        yield r"\end{equation*}"
    yield from _in_numbers(step)
    mark = "" if step.verdict is None else rf"{_verdict(step.verdict)}."
    if not page.full:
        if mark:
            yield rf"\reason{{{mark}}}"
        return
    rule = step.equation.rule.value
    sentence = [rf"\emph{{{escape(rule[0].upper() + rule[1:])}.}} {prose(step.equation.because, page.arrays)}"]
    if step.uses:
        sentence.append(f"Uses {_references(step.uses)}.")
    if step.equation.cite:
        sentence.append(f"Paper: {escape(step.equation.cite)}.")
    if mark:
        sentence.append(mark)
    if step.note and not step.has_cases:
        sentence.append(f"{prose(step.note, page.arrays)}.")
    yield rf"\reason{{{' '.join(sentence)}}}"
    if step.has_cases:
        yield from _case_table(step.rows[0], page.arrays)
    yield ""


def _in_numbers(step: Step) -> Iterator[str]:
    """Every element in numbers, those by cases each with the case that holds."""

    def show(items: Sequence[Worked]) -> str:
        return in_numbers([item.chain for item in items])

    by_cases = [[item] for item in step.worked] if step.has_cases else [list(step.worked)]
    for items in by_cases:
        for display in _fitting(items, show):
            yield rf"\begin{{equation*}}{display}\end{{equation*}}"
        if step.has_cases and items[0].case:
            yield rf"\reason{{{_case_name(items[0].case)}, as ${conditions(items[0].when)}$.}}"


def _references(numbers: Iterable[int]) -> str:
    return ", ".join(rf"\eqn{{{number}}}" for number in numbers)


def _case_table(rows: Sequence[Row], arrays: Mapping[str, Array]) -> Iterator[str]:
    body = [(_case_name(row.branch.name), _verdict(row.verdict), prose(row.note, arrays)) for row in rows]
    columns = 3 if any(remark for _, _, remark in body) else 2
    head, widths = ("case", "verdict", "remark"), ("4.2cm", "2.4cm", "8cm")
    yield from _tables(head[:columns], widths[:columns], [row[:columns] for row in body])


def _case_name(name: str) -> str:
    return "".join(
        f"${part}$" if is_math else escape(part).replace("->", r"$\to$") for is_math, part in case_name(name)
    )


def _verdict(verdict: Verdict) -> str:
    return rf"\verdict{{{verdict.value.lower()}}}"


def _tables(head: Sequence[str], widths: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One table, or several where it would not fit on a page."""
    for start in range(0, len(rows), _ROWS_PER_TABLE):
        yield ""
        yield from _tabular(head, widths, rows[start : start + _ROWS_PER_TABLE])


def _tabular(head: Sequence[str], widths: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    columns = "".join(rf"p{{{width}}}" for width in widths)
    body = [" & ".join(rf"\raggedright {cell}" for cell in row) + r" \tabularnewline" for row in rows]
    title = " & ".join(rf"\emph{{{name}}}" for name in head)
    return [
        rf"{{\small\begin{{tabular}}{{@{{}}{columns}@{{}}}}", rf"{title} \\ \hline", *body,
        r"\end{tabular}\par}\vspace{1ex}",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------- at the end


def _verdicts(page: Content) -> list[str]:
    rows = [
        (
            rf"\eqn{{{number}}}" + (f" {_case_name(f.case)}" if f.case is not None else ""),
            f.index or "--",
            {"z3": "by z3"}.get(f.expanded, f.expanded) or "--",
            _verdict(f.verdict),
        )
        for number, f in page.findings
    ]
    if not rows:
        return []
    return [
        r"\section{Verdicts}",
        "Every right-hand side was held against what its left-hand side means in the network: in index notation,",
        f"at the network's own widths, and on the instance {escape(page.instance)}, {escape(page.method)}.",
        *_tables(("statement", "index notation", "instance", "verdict"), ("5.4cm", "2.6cm", "4.2cm", "2.4cm"), rows),
        "",
        rf"\subsection*{{{escape(TITLE)}}}",
        *_tables(HEAD, ("1.6cm", "8cm", "5cm"), [(g.word, escape(g.of), escape(g.by)) for g in grounds(page.kinked)]),
        "",
    ]


def _closed_forms(page: Content) -> Iterator[str]:
    if not page.closed:
        return
    yield r"\section{Closed forms}"
    stay = " and ".join(f"${latex_array(array)}$" for array in page.kept)
    yield "In weights, inputs, target and step size" + (f"; {stay} stay symbols." if stay else ".")
    yield f"{prose(page.remark, page.arrays)} Cases that cannot occur, and cases with the value 0, are left out."
    for form in page.closed:
        yield r"\begin{equation*}"
        yield equation(form.equation)
        yield r"\end{equation*}"
        case = f"{_case_name(form.case)}; " if form.case else ""
        yield rf"\reason{{{case}from \eqn{{{form.number}}}; {_verdict(form.verdict)}.}}"


def _citations(page: Content) -> Iterator[str]:
    if not page.citations:
        return
    yield r"\section{The paper's equations}"
    yield _PAPER
    yield ""
    yield "; ".join(f"{escape(cite)}: {_references(numbers)}" for cite, numbers in page.citations.items()) + "."


def listing(d: Shown, *, notation: Notation = "indexed", only: str | None = None) -> str:
    """The equations in displays with labels, one after the other; of a scheme, under the names of its functions."""
    page = content(d, notation, "summary", only)
    lines = [line for step in page.invariants for line in _labelled(step, "invariant:")]
    for chapter in page.chapters:
        if chapter.title:
            lines += [rf"\par\noindent\textbf{{{escape(chapter.title)}}}\par"]
        lines += [line for step in chapter.steps for line in _labelled(step, f"{chapter.title}:" * bool(chapter.title))]
    return "\n".join([*lines, ""])


def _labelled(step: Step, place: str) -> Iterator[str]:
    """One equation with a number of the document's own; what does not fit on a page goes on without one."""
    for n, display in enumerate(_displays(step)):
        kind = "equation*" if n else "equation"
        yield rf"\begin{{{kind}}}" + ("" if n else rf" \label{{fcsym:{place}{step.equation.name}}}")
        yield display
        yield rf"\end{{{kind}}}"


def fragment(d: Shown) -> str:
    """The equations as one display, for a notebook."""
    lines = [f"& {equation(e)}" for e in d.invariants]
    for one in d.lists:
        if one is not d and one.equations:
            lines.append(rf"& \textbf{{{escape(one.function)}}}")
        lines += [f"& {equation(e)}" for e in one.equations]
    return "$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$"
