"""HTML: one self-contained page with MathML, no script and no request; for phones, the dark and paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from fcsym.drawing.mathml import mathml, need_mathml, sentence
from fcsym.language.equation import Cases, Equation, Verdict
from fcsym.language.expression import Apply
from fcsym.language.names import latex_array
from fcsym.networks.drawn import draw
from fcsym.render import formula
from fcsym.render.content import content
from fcsym.render.parts import Chapter, Content, Row, Section, Step, counted
from fcsym.trust import TITLE, grounds

if TYPE_CHECKING:
    from fcsym.deriving.readable import Shown
    from fcsym.drawing.picture import Picture
    from fcsym.language.equation import Detail, Notation
    from fcsym.networks.network import Network

__all__ = ["document", "fragment"]

_SIGN = {
    Verdict.PROVED: "✓", Verdict.REFUTED: "✗", Verdict.ASSUMED: "△", Verdict.CHOSEN: "◆",
    Verdict.DEFINITION: "≔", Verdict.SAMPLED: "≈", Verdict.UNDECIDED: "?",
}  # fmt: skip

_MOST_ROWS_QUOTED = 4
"""A longer case table is named where another equation uses it, and not printed again."""


def document(d: Shown, *, notation: Notation = "indexed", detail: Detail = "full", only: str | None = None) -> str:
    """A stand-alone page. Raises MissingTool without latex2mathml."""
    need_mathml()
    page = content(d, notation, detail, only)
    maps = d.case_maps() if page.small and page.full and only is None else ()
    style = files("fcsym.render").joinpath("page.css").read_text(encoding="utf-8")
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # nothing may be fetched and nothing may run, whatever the page contains
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(page.title)}</title>",
        f"<style>\n{style}</style>\n</head>\n<body>",
        '<div class="page">',
        *_header(page, d.lists[0].network),
        *_contents(page, bool(maps)),
        "<main>",
        *_assumptions(page),
        *_state(page),
        *(line for chapter in page.chapters for line in _chapter(chapter, page)),
    ]
    if page.full:
        parts += [*_maps(maps), *_verdicts(page), *_closed_forms(page), *_source(page), *_citations(page)]
    return "\n".join([*parts, "</main>\n</div>\n</body>\n</html>\n"])


def fragment(d: Shown) -> str:
    """The equations as a table, for a notebook. Raises MissingTool without latex2mathml."""
    need_mathml()
    groups = [("What the state stands for", d.invariants)] if d.invariants else []
    groups += [("" if one is d else one.function, one.equations) for one in d.lists if one.equations]
    rows: list[str] = []
    number = 0
    for title, equations in groups:
        if title:
            rows.append(f'<tr><th colspan="2" scope="rowgroup">{escape(title)}</th></tr>')
        for equation in equations:
            number += 1
            shown = mathml(formula.equation(equation), str(equation))
            rows.append(f"<tr><td>({number})</td><td>{shown}</td></tr>")
    return f'<div style="overflow-x: auto"><table>{"".join(rows)}</table></div>'  # a page of a notebook keeps its width


# ----------------------------------------------------------------------------------------------------- formulas


def _box(latex: str, spoken: str) -> str:
    """A formula in a box of its own, which scrolls where it is too wide."""
    return f'<div class="formula scroll" tabindex="0" role="group" aria-label="equation">{mathml(latex, spoken)}</div>'


def _prose(text_: str, page: Content) -> str:
    return sentence(formula.sentence(text_, page.arrays))


def _mark(verdict: Verdict) -> str:
    word = verdict.value.lower()
    return f'<span class="mark {word}"><span aria-hidden="true">{_SIGN[verdict]}</span> {word}</span>'


def _link(number: int) -> str:
    return f'<a href="#eq-{number}">({number})</a>'


# -------------------------------------------------------------------------------------------------- front matter


def _header(page: Content, network: Network) -> Iterator[str]:
    yield f"<header>\n<h1>{escape(page.title).replace('-', '&#8209;')}</h1>"
    steps = sum(1 for _ in page.steps)
    if steps:
        yield f'<p class="soft">{steps} equations, each with the rule that justifies it and the verdict on it.</p>'
    for said in (*page.about, page.remark if page.flat else ""):
        if said:
            yield f'<p class="soft">{_prose(said, page)}</p>'
    for function in page.functions:
        shown = mathml(", ".join(function.latex), function.text, "inline")
        yield f'<p class="soft scroll">Here {shown}.</p>'
    if page.legend:
        yield f'<p class="soft">{sentence(page.legend)}</p>'
    if page.counts:
        yield from _counts(page)
    if page.full:  # at its own size, so that its letters can be read on a phone
        yield f'<figure class="scroll" tabindex="0" aria-label="network">{draw(network).svg}</figure>'
    yield "</header>"


def _counts(page: Content) -> Iterator[str]:
    yield '<ul class="counts" aria-label="verdicts">'
    for verdict, count in page.counts:
        yield (
            f'<li class="mark {verdict.value.lower()}"><span aria-hidden="true">{_SIGN[verdict]}</span> '
            f"{counted(verdict, count)}</li>"
        )
    yield "</ul>"


def _slug(*titles: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(titles).lower()).strip("-")


def _range(steps: Sequence[Step]) -> str:
    """The numbers of the equations, for the contents."""
    if not steps:
        return ""
    first, last = steps[0].number, steps[-1].number
    return f' <span class="range">{f"({first})" if first == last else f"({first})–({last})"}</span>'


def _contents(page: Content, with_maps: bool) -> Iterator[str]:
    yield '<nav aria-label="Contents"><div class="inner">\n<h2>Contents</h2>\n<ol>'
    if page.assumptions:
        yield '<li><a href="#assumptions">Assumptions</a></li>'
    if page.state:
        yield f'<li><a href="#the-state">The state</a>{_range(page.invariants)}</li>'
    for chapter in page.chapters:
        if chapter.title:
            anchor = f'<a href="#{_slug(chapter.title)}">{escape(chapter.title)}</a>'
            yield f"<li>{anchor}{_range(tuple(chapter.steps))}</li>"
        for section in chapter.sections:
            inner = ' class="inner-title"' if chapter.title else ""
            anchor = f'<a href="#{_slug(chapter.title, section.title)}">{escape(section.title)}</a>'
            yield f"<li{inner}>{anchor}{_range(section.steps)}</li>"
    titles = [
        ("Maps of cases", with_maps),
        ("Verdicts", page.findings),
        ("Closed forms", page.closed),
        ("The kernel", page.source),
    ]
    for title, there in titles:
        if page.full and there:
            yield f'<li><a href="#{_slug(title)}">{title}</a></li>'
    if page.full and page.citations:
        yield '<li><a href="#paper">The paper’s equations</a></li>'
    yield "</ol>\n</div></nav>"


def _assumptions(page: Content) -> Iterator[str]:
    if not page.assumptions:
        return
    yield '<section aria-labelledby="assumptions">\n<h2 id="assumptions">Assumptions</h2>\n<ul>'
    for assumption in page.assumptions:
        yield f"<li>{_prose(assumption, page)}</li>"
    yield "</ul>\n</section>"


# -------------------------------------------------------------------------------------------------------- steps


def _state(page: Content) -> Iterator[str]:
    """What a scheme carries, what that stands for, and how far this is proved."""
    if not page.state:
        return
    yield '<section aria-labelledby="the-state">\n<h2 id="the-state">The state</h2>'
    yield '<div class="scroll" tabindex="0" role="group" aria-label="state">\n<table>'
    yield "<caption>What training carries from step to step</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{column}</th>' for column in ("array", "shape", "what it stands for"))
    yield "</tr></thead>\n<tbody>"
    for carried in page.state:
        name = mathml(latex_array(carried.array), carried.array.name, "inline")
        more = "" if carried.number is None else f" {_link(carried.number)}"
        yield (
            f'<tr><th scope="row">{name}</th><td class="formula-cell">{carried.shape}</td>'
            f'<td class="remark">{_prose(carried.meaning, page)}{more}</td></tr>'
        )
    yield "</tbody>\n</table>\n</div>"
    for step in page.invariants:
        yield from _step(step, page, 3)
    if page.induction:
        yield f"<p>{_prose(page.induction, page)}</p>"
    yield "</section>"


def _chapter(chapter: Chapter, page: Content) -> Iterator[str]:
    """The equations of one list, in sections; those of a function stand one level lower."""
    slug = _slug(chapter.title)
    if chapter.title:
        yield f'<section aria-labelledby="{slug}">\n<h2 id="{slug}">{escape(chapter.title)}</h2>'
    if chapter.about:
        yield f"<p>{_prose(chapter.about, page)}</p>"
    for section in chapter.sections:
        yield from _section(section, _slug(chapter.title, section.title), page, 3 if chapter.title else 2)
    if chapter.title:
        yield "</section>"


def _section(section: Section, slug: str, page: Content, level: int) -> Iterator[str]:
    yield f'<section aria-labelledby="{slug}">\n<h{level} id="{slug}">{escape(section.title)}</h{level}>'
    for step in section.steps:
        yield from _step(step, page, level + 1)
    yield "</section>"


def _step(step: Step, page: Content, level: int) -> Iterator[str]:
    yield f'<article class="step" id="eq-{step.number}" aria-label="Equation {step.number}">'
    yield '<div class="head">'
    yield f'<h{level} class="number">{_link(step.number)}</h{level}>'
    if step.has_cases:
        lead = ", ".join(formula.expression(written.lhs) for written in step.written)
        yield _box(rf"{lead} \quad\text{{by cases}}", f"{_spoken(step.written, left=True)} by cases")
    else:
        yield _box(_display(step.written), _spoken(step.written))
    yield f"{'' if step.verdict is None else _mark(step.verdict)}</div>"
    for written, rows in zip((w for w in step.written if isinstance(w.rhs, Cases)), step.rows, strict=True):
        yield from _case_table(written, rows, page)
    yield from _in_numbers(step)
    if page.full:
        yield from _reason(step, page)
    yield "</article>"


def _in_numbers(step: Step) -> Iterator[str]:
    """Every element in numbers, those by cases each with the case that holds."""
    groups = [[item] for item in step.worked] if step.has_cases else [list(step.worked)]
    for items in groups:
        if items:
            yield _box(formula.in_numbers([item.chain for item in items]), "; ".join(map(str, items)))
        if step.has_cases and items[0].case:
            when = mathml(formula.conditions(items[0].when), " and ".join(map(str, items[0].when)), "inline")
            yield f'<p class="small soft">{sentence(formula.case_name(items[0].case))}, as {when}</p>'


def _spoken(written: Sequence[Equation], left: bool = False) -> str:
    """The plain text of equations, or of their left-hand sides."""
    return ", ".join(repr(item.lhs) if left else str(item) for item in written)


def _display(written: Sequence[Equation]) -> str:
    """The equations of one step below each other."""
    if any(isinstance(item.rhs, Cases | Apply) for item in written):
        return _below_each_other([formula.equation(item) for item in written])
    return formula.stacked(written)


def _below_each_other(lines: Sequence[str]) -> str:
    return lines[0] if len(lines) == 1 else r"\begin{aligned} & " + r" \\ & ".join(lines) + r" \end{aligned}"


def _case_table(written: Equation, rows: Sequence[Row], page: Content) -> Iterator[str]:
    left, spoken = formula.expression(written.lhs), repr(written.lhs)
    yield '<div class="scroll" tabindex="0" role="group" aria-label="case table">\n<table>'
    yield f"<caption>{mathml(left, spoken, 'inline')}, case by case</caption>"
    columns = ["case", "where", "value", "verdict", *(["remark"] if any(row.note for row in rows) else [])]
    yield "<thead><tr>" + "".join(f'<th scope="col">{column}</th>' for column in columns) + "</tr></thead>\n<tbody>"
    for row in rows:
        when = ", ".join(str(c) for c in row.branch.when)
        value = row.branch.value
        cells = [
            f'<th scope="row">{sentence(formula.case_name(row.branch.name))}</th>',
            f'<td class="formula-cell">{mathml(formula.conditions(row.branch.when), when, "inline")}</td>',
            '<td class="formula-cell">'
            + ("undefined" if value is None else mathml(_value(row), repr(value), "inline"))
            + "</td>",
            f"<td>{_mark(row.verdict)}</td>",
        ]
        if len(columns) == 5:
            cells.append(f'<td class="remark">{_prose(row.note, page)}</td>')
        yield f"<tr{'' if row.possible else ' class=never'}>" + "".join(cells) + "</tr>"
    yield "</tbody>\n</table>\n</div>"


def _value(row: Row) -> str:
    assert row.branch.value is not None
    return rf"\displaystyle {formula.value(row.branch.value)}"


def _reason(step: Step, page: Content) -> Iterator[str]:
    rule = step.equation.rule.value
    cite = f" · paper, {escape(step.equation.cite)}" if step.equation.cite else ""
    yield f"<details>\n<summary>{escape(rule[0].upper() + rule[1:])}{cite}</summary>"
    yield f'<div class="why"><p>{_prose(step.equation.because, page)}</p>'
    if step.note:
        yield f"<p>{_prose(step.note[0].upper() + step.note[1:], page)}.</p>"
    if step.uses:
        by_number = {other.number: other for other in page.steps}
        yield '<p class="small soft">It uses</p>\n<ul class="uses">'
        for number in step.uses:
            yield f"<li>{_link(number)} {_quoted(by_number[number])}</li>"
        yield "</ul>"
    yield "</div>\n</details>"


def _quoted(step: Step) -> str:
    """An equation where another one uses it."""
    if any(len(rows) > _MOST_ROWS_QUOTED for rows in step.rows):
        left = ", ".join(formula.expression(written.lhs) for written in step.written)
        return _box(rf"{left} \quad\text{{by cases}}", f"{_spoken(step.written, left=True)} by cases")
    return _box(_display(step.written), _spoken(step.written))


# -------------------------------------------------------------------------------------------------- at the end


def _maps(maps: Sequence[Picture]) -> Iterator[str]:
    if not maps:
        return
    yield '<section aria-labelledby="maps-of-cases">\n<h2 id="maps-of-cases">Maps of cases</h2>'
    yield "<p>Where each case of a unit holds, found with the kernel, at the numbers given below each map.</p>"
    yield '<div class="maps">'
    for picture in maps:
        yield f"<figure>{picture.svg}<figcaption>{sentence(picture.caption)}</figcaption></figure>"
    yield "</div>\n</section>"


def _verdicts(page: Content) -> Iterator[str]:
    if not page.findings:
        return
    yield '<section aria-labelledby="verdicts">\n<h2 id="verdicts">Verdicts</h2>'
    yield (
        "<p>Every right-hand side was held against what its left-hand side means in the network: in index notation, at "
        f"the network’s own widths, and on the instance {escape(page.instance)}, {escape(page.method)}.</p>"
    )
    yield "<details>\n<summary>What each decider said</summary>"
    yield '<div class="scroll" tabindex="0" role="group" aria-label="verdicts">'
    yield "<table>\n<caption>Every statement that needs a proof</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{c}</th>' for c in ("statement", "index notation", "instance", "verdict"))
    yield "</tr></thead>\n<tbody>"
    for number, f in page.findings:
        case = "" if f.case is None else f" {sentence(formula.case_name(f.case))}"
        said = {"z3": "by z3"}.get(f.expanded, f.expanded) or "–"
        yield (
            f'<tr><th scope="row">{_link(number)}{case}</th><td>{escape(f.index) or "–"}</td>'
            f"<td>{escape(said)}</td><td>{_mark(f.verdict)}</td></tr>"
        )
    yield "</tbody>\n</table>\n</div>\n</details>"
    yield f"<details>\n<summary>{TITLE}</summary>\n<dl>"
    for ground in grounds(page.kinked):
        yield f"<dt>{ground.word}</dt><dd>{escape(ground.of)}. It rests on {escape(ground.by)}.</dd>"
    yield "</dl>\n</details>\n</section>"


def _closed_forms(page: Content) -> Iterator[str]:
    if not page.closed:
        return
    yield '<section aria-labelledby="closed-forms">\n<h2 id="closed-forms">Closed forms</h2>'
    stay = " and ".join(mathml(latex_array(array), array.name, "inline") for array in page.kept)
    yield f"<p>In weights, inputs, target and step size{f'; {stay} stay symbols' if stay else ''}."
    yield f"{_prose(page.remark, page)} Cases that cannot occur, and cases with the value 0, are left out.</p>"
    for form in page.closed:
        case = f"{sentence(formula.case_name(form.case))}, " if form.case else ""
        yield f'<div class="step"><p class="small soft">{case}from {_link(form.number)} {_mark(form.verdict)}</p>'
        yield f"{_box(formula.equation(form.equation), str(form.equation))}</div>"
    yield "</section>"


def _source(page: Content) -> Iterator[str]:
    if not page.source:
        return
    yield '<section class="source" aria-labelledby="the-kernel">\n<h2 id="the-kernel">The kernel</h2>'
    yield "<p>The same equations as a function of arrays; leading axes broadcast.</p>"
    yield "<details>\n<summary>Source</summary>"
    yield f'<pre class="scroll" tabindex="0" role="group" aria-label="source"><code>{escape(page.source)}</code></pre>'
    yield "</details>\n</section>"


def _citations(page: Content) -> Iterator[str]:
    if not page.citations:
        return
    yield '<section aria-labelledby="paper">\n<h2 id="paper">The paper’s equations</h2>'
    yield (
        "<p>S. Mishra and A. Arunkumar, <cite>Front Contribution instead of Back Propagation</cite>, "
        "arXiv 2106.05569, 2021.</p>"
    )
    yield "<table>\n<caption>Where each equation of the paper stands here</caption>"
    yield '<thead><tr><th scope="col">paper</th><th scope="col">here</th></tr></thead>\n<tbody>'
    for cite, numbers in page.citations.items():
        yield f'<tr><th scope="row">{escape(cite)}</th><td>{", ".join(map(_link, numbers))}</td></tr>'
    yield "</tbody>\n</table>\n</section>"
