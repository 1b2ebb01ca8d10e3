"""What a document says, whatever its format: the equations in sections and steps, with reasons, cases and verdicts.

Everything is read off the list of equations: sections follow from the rules, numbers from the order, references from
`uses`. No quantity is known here by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from fcsym.errors import ArgumentError, CompileError, shown
from fcsym.language import smooth_functions
from fcsym.language.equation import Cases, Detail, Equation, Notation, Verdict
from fcsym.language.expression import Array, Axis, applied_in
from fcsym.render.appendix import arrays_of, closed_forms
from fcsym.render.flat import written_out
from fcsym.render.flat_names import MAX_FLAT, flat_name, legend_of, refuse_many, remark_on_names, weight_count
from fcsym.render.formula import escape
from fcsym.render.parts import Carried, Chapter, Content, Function, Row, Section, Step
from fcsym.render.sections import sections_of
from fcsym.render.worked import worked

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable, Shown
    from fcsym.language.findings import Finding

__all__ = ["checked", "content"]


def checked(
    document: Shown, notation: object = "indexed", detail: object = "full", only: str | None = None
) -> list[set[str]]:
    """The names of the equations shown, for each list; raises what `content` would, before the work is done."""
    for what, value, known in (("notation", notation, get_args(Notation)), ("detail", detail, get_args(Detail))):
        if value not in known:
            raise ArgumentError(f"The {what} {shown(value)!r} is not known: choose {' or '.join(known)}.")
    if notation == "paper":
        for d in document.lists:
            refuse_many(d)
    if only is None:
        return [set(d.by_name) for d in document.lists]
    if only in _functions(document):
        return [set(d.by_name) if d.function == only else set() for d in document.lists]
    return [set() if name is None else _leading_to(d, name) for d, name in _resolved(document, only)]


def _functions(document: Shown) -> list[str]:
    """The names of a scheme's functions; none for a derivation, or for one of the functions by itself."""
    return [d.function for d in document.lists if d is not document]


def _resolved(document: Shown, only: str) -> list[tuple[Readable, str | None]]:
    """The full name of a quantity in every list, None where a list lacks it; ArgumentError where all do."""
    found: list[tuple[Readable, str | None]] = []
    for d in document.lists:
        try:
            found.append((d, d.resolve(only)))
        except ArgumentError:
            if len(document.lists) == 1:
                raise
            found.append((d, None))
    if all(name is None for _, name in found):
        functions = ", ".join(_functions(document))
        names = ", ".join(dict.fromkeys(name for d in document.lists for name in d.by_name))
        raise ArgumentError(
            f"{document.heading} has no function and no quantity {shown(only)!r}: choose one of {functions}; {names}."
        )
    return found


def content(
    document: Shown, notation: Notation = "indexed", detail: Detail = "full", only: str | None = None
) -> Content:
    """A derivation or a scheme => its content.

    `notation`: "indexed", or "paper" with a name for every number. `detail`: "full", or "summary" without reasons,
    case by case verdicts, appendix and source. `only`: one quantity, with the equations that lead to it, or one
    function of a scheme.
    """
    shown = checked(document, notation, detail, only)
    flat = notation == "paper"
    full = detail == "full"
    first = document.lists[0]
    invariants = tuple(
        Step(n, one, _written(first, one, flat), (), None, "", ()) for n, one in enumerate(document.invariants, 1)
    )
    numbers: list[Mapping[str, int]] = []
    start = 1 + len(invariants)
    for d in document.lists:
        numbers.append({equation.name: n for n, equation in enumerate(d.equations, start)})
        start += len(d.equations)
    chapters = tuple(
        _chapter(d, names, numbered, flat, "" if d is document else d.function)
        for d, names, numbered in zip(document.lists, shown, numbers, strict=True)
        if names
    )
    wanted = None
    if only is not None and only not in _functions(document):
        wanted = ", ".join(dict.fromkeys(name for _, name in _resolved(document, only) if name))
    kept, closed = closed_forms(first, numbers[0], wanted) if full and document is first else ((), ())
    assumptions = document.assumptions
    if only is not None and not any("P" in names for names in shown):
        assumptions = tuple(sentence for sentence in assumptions if not sentence.startswith("For `P` only"))
    findings = tuple(
        (numbered[f.equation], f)
        for d, names, numbered in zip(document.lists, shown, numbers, strict=True)
        for f in d.proof.findings
        if f.equation in names
    )
    return Content(
        title=document.heading,
        about=(*_about(document, only, wanted), *_idle(document, only)),
        small=weight_count(first) <= MAX_FLAT,
        flat=flat,
        remark=remark_on_names(document),
        legend=legend_of(first.network),
        full=full,
        kinked=any(
            node.activation.kinks
            for d in document.lists
            for e in d
            for side in e.expressions
            for node in applied_in(side)
        ),
        functions=_functions_in(
            e for d, names in zip(document.lists, shown, strict=True) for e in d if e.name in names
        ),
        assumptions=assumptions,
        state=_state(document, invariants) if only is None else (),
        invariants=invariants if only is None else (),
        induction=_induction(document),
        chapters=chapters,
        counts=tuple(
            (verdict, count) for verdict in Verdict if (count := sum(f.verdict is verdict for _, f in findings))
        ),
        findings=tuple((n, f) for n, f in findings if _is_decided(f)) if full else (),
        instance=first.proof.instance,
        method=first.proof.method,
        kept=kept,
        closed=closed,
        source=_source(document) if full and only is None else "",
        arrays=arrays_of(document),
    )


def _functions_in(equations: Iterable[Equation]) -> tuple[Function, ...]:
    applied = [node for e in equations for side in e.expressions for node in applied_in(side)]
    functions = []
    for phi in dict.fromkeys(node.activation for node in applied if node.activation.is_smooth):
        name = phi.name
        plain, typeset = [f"{name}(s)"], [rf"\operatorname{{{escape(name)}}}(s)"]
        plain[0] += f" = {smooth_functions.text(phi, 0, 's', 'v')}"
        typeset[0] += f" = {smooth_functions.latex(phi, 0, 's', 'v')}"
        if plain[0] == f"{name}(s) = {name}(s)":  # exp, log and sqrt are what they are called
            continue
        orders = sorted({node.derivative for node in applied if node.activation == phi} - {0})
        for order in orders:
            mark = "'" * order
            plain.append(f"{name}{mark}(s) = {smooth_functions.text(phi, order, 's', 'v')}")
            typeset.append(
                rf"\operatorname{{{escape(name)}}}{mark}(s) = {smooth_functions.latex(phi, order, 's', 'v')}"
            )
        if "v" in {symbol.name for order in orders for symbol in smooth_functions.shown(phi, order).free_symbols}:
            plain.append(f"v = {name}(s)")
            typeset.append(rf"v = \operatorname{{{escape(name)}}}(s)")
        functions.append(Function(name, ", ".join(plain), tuple(typeset)))
    return tuple(functions)


def _is_decided(finding: Finding) -> bool:
    """Whether there was something to decide."""
    said = finding.index or finding.expanded or finding.case is None
    return bool(said) and finding.verdict is not Verdict.DEFINITION


def _chapter(d: Readable, names: set[str], numbers: Mapping[str, int], flat: bool, title: str) -> Chapter:
    """The equations of one list that are shown, in sections."""
    findings = {(f.equation, f.case): f for f in d.proof.findings}

    def step(equation: Equation) -> Step:
        written = _written(d, equation, flat)
        finding = findings.get((equation.name, None))
        return Step(
            numbers[equation.name], equation, written,
            tuple(numbers[name] for name in equation.uses if name in names),
            Verdict.UNDECIDED if finding is None else finding.verdict, "" if finding is None else finding.note,
            tuple(_rows(equation.name, one, findings) for one in written if isinstance(one.rhs, Cases)),
            tuple(worked(d, equation, flat)),
        )  # fmt: skip

    sections: list[Section] = []
    for name, equations in sections_of(d):
        steps = tuple(step(e) for e in equations if e.name in names)
        if steps:
            again = any(name == section.title for section in sections)
            sections.append(Section(f"{name}, continued" if again else name, steps))
    return Chapter(title, _signature(d), tuple(sections))


def _written(d: Readable, equation: Equation, flat: bool) -> tuple[Equation, ...]:
    """The equation, or in flat notation that equation for every element."""
    return tuple(written_out(equation, d.network.sizes, flat_name(d))) if flat else (equation,)


def _signature(d: Readable) -> str:
    """What a function does, is given and returns."""
    if not d.function:
        return ""
    given, results = (", ".join(f"`{array.name}`" for array in arrays) for arrays in d.signature)
    return f"{d.summary} It is given {given}; it returns {results}.".lstrip()


def _about(document: Shown, only: str | None, wanted: str | None) -> tuple[str, ...]:
    sentences: tuple[str, ...] = (document.summary,) if document is not document.lists[0] else ()
    if document.numbers is not None:
        count = document.numbers.digits
        digits = f"{count} significant digit{'s' if count > 1 else ''}"
        sentences += (f"Beside every equation stand the numbers of one step, computed exactly and shown to {digits}.",)
        if len(document.lists) > 1:
            sentences += ("`output` and `expand` are shown for the state after it.",)
    if only is None:
        return sentences
    shown = f"{wanted} and the equations that lead to it" if wanted else f"the equations of the function {only}"
    whole = "derivation" if document is document.lists[0] else "scheme"
    return *sentences, f"Shown are {shown}, with the numbers that they have in the whole {whole}."


def _idle(document: Shown, only: str | None) -> Iterator[str]:
    """A sentence for each function that has no equations, and so no chapter."""
    for d in document.lists:
        if not d.equations and (only is None or only == d.function):
            given, results = (", ".join(f"`{array.name}`" for array in arrays) for arrays in d.signature)
            what = f": it is given {given} and returns {results}" if d.function else ""
            yield f"There is nothing to compute{f' in {d.function}' if d.function else ''}{what}."


def _state(document: Shown, invariants: Sequence[Step]) -> tuple[Carried, ...]:
    """Every array that a scheme carries, and what it stands for."""
    sizes: dict[Axis, int] = dict(document.lists[0].network.sizes)
    numbers = {step.equation: step.number for step in invariants}

    def shape(array: Array) -> str:
        lengths = (sizes.get(axis, axis.like) for axis in array.axes)
        return " × ".join(map(str, lengths)) or "1"

    return tuple(
        Carried(array, shape(array), meaning, None if more is None else numbers[more])
        for array, meaning, more in document.carried
    )


def _induction(document: Shown) -> str:
    """What the verdicts say of the invariants."""
    if not document.invariants:
        return ""
    if all(d.proof.holds for d in document.lists):
        return (
            "They hold when training starts and after every step: that `init` makes them true and `step` keeps them "
            "true is what the verdicts on these functions say."
        )
    return (
        "They are not proved: some verdicts below leave open whether the functions make them true and keep them true."
    )


def _leading_to(d: Readable, name: str) -> set[str]:
    """The names of an equation and of all that it rests on."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += d.by_name[current].uses
    return found


def _rows(name: str, written: Equation, findings: Mapping[tuple[str, str | None], Finding]) -> tuple[Row, ...]:
    assert isinstance(written.rhs, Cases)
    rows = []
    for branch in written.rhs:
        finding = findings.get((name, branch.name))
        if finding is None:
            rows.append(Row(branch, Verdict.UNDECIDED, branch.note, True))
        else:
            rows.append(Row(branch, finding.verdict, finding.note, finding.possible))
    return tuple(rows)


def _source(document: Shown) -> str:
    try:
        return document.kernel_source()
    except CompileError:  # a derivation without a kernel is a derivation all the same
        return ""
