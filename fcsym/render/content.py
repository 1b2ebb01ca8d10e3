"""What a document says, whatever its format: the equations in sections and steps, with reasons, cases and verdicts.

Everything is read off the list of equations: sections follow from the rules, numbers from the order, references from
`uses`. No quantity is known here by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, get_args

from fcsym.errors import ArgumentError, CompileError, FcsymError, SizeError, UnsupportedExpression
from fcsym.language import smooth_functions
from fcsym.language.equation import Branch, Cases, Condition, Detail, Equation, Notation, Rule, Verdict
from fcsym.language.expression import (
    Apply,
    Array,
    Axis,
    Expr,
    Mul,
    Number,
    Pow,
    Ref,
    Written,
    add,
    applied_in,
    arrays_in,
    mul,
    number,
    power,
)
from fcsym.language.names import latex_array
from fcsym.networks.names import flat_latex, own_names, scalar_name
from fcsym.networks.symbols import front_of
from fcsym.render.flat import element_of, written_out
from fcsym.render.formula import escape

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable, Shown
    from fcsym.language.findings import Finding
    from fcsym.networks.network import Network

__all__ = [
    "Carried",
    "Chapter",
    "ClosedForm",
    "Content",
    "Function",
    "Row",
    "Section",
    "Step",
    "Worked",
    "checked",
    "content",
    "counted",
    "element",
    "worked",
]

MAX_FLAT = 24
"""Weights up to which a network is small: its equations can be written out, and have an appendix of closed forms."""

_MAX_OPERATIONS = 160  # operations of a closed form that still can be read


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a case table."""

    branch: Branch
    verdict: Verdict
    note: str
    possible: bool


@dataclass(frozen=True, slots=True)
class Worked:
    """One element in numbers: its name = the formula = the numbers put in = its value, and the case that holds."""

    chain: tuple[Expr, ...]
    case: str = ""
    when: tuple[Condition, ...] = ()  # with the numbers put in

    def __str__(self) -> str:
        said = f"   as {' and '.join(map(str, self.when))}" if self.when else ""
        return " = ".join(map(repr, self.chain)) + said + (f"   ({self.case})" if self.case else "")


@dataclass(frozen=True, slots=True)
class Step:
    """One equation with its reason; in flat notation, that equation for every element."""

    number: int  # its place in the whole document, also where only a part is shown
    equation: Equation
    written: tuple[Equation, ...]
    uses: tuple[int, ...]
    verdict: Verdict | None  # None for an invariant: the verdicts on what makes and keeps it are elsewhere
    note: str
    rows: tuple[tuple[Row, ...], ...]  # the case table of each written equation; empty where there are no cases
    worked: tuple[Worked, ...] = ()  # every element in numbers, where the document has them

    @property
    def has_cases(self) -> bool:
        """Whether the right-hand side is a case distinction."""
        return isinstance(self.equation.rhs, Cases)


@dataclass(frozen=True, slots=True)
class Section:
    """Steps that belong together."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One list of equations: all of a derivation, or one function of a scheme."""

    title: str  # "" where it is the only one
    about: str  # what the function does, is given and returns; "" for what is no function
    sections: tuple[Section, ...]

    @property
    def steps(self) -> Iterator[Step]:
        """Every step, in order."""
        return (step for section in self.sections for step in section.steps)


@dataclass(frozen=True, slots=True)
class Carried:
    """One array of a scheme's state."""

    array: Array
    shape: str  # 3 × 2
    meaning: str  # in a sentence
    number: int | None  # the invariant that says it in symbols


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """One element in weights and inputs."""

    number: int  # the equation that it comes from
    equation: Equation  # written out
    case: str  # "" where there are no cases
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Function:
    """What a smooth function is that the equations apply, and its derivative where they have that."""

    name: str
    text: str  # sigmoid(s) = 1/(1 + exp(-s)), sigmoid'(s) = v*(1 - v), v = sigmoid(s)
    latex: tuple[str, ...]  # formula by formula, between which a line may be broken


@dataclass(frozen=True, slots=True)
class Content:
    """A document, before it has a format."""

    title: str
    about: tuple[str, ...]  # what it is about, and what part of it is shown, in sentences
    small: bool  # whether a person can follow every number
    flat: bool  # a name for every number
    remark: str  # how such names are to be read, in a sentence
    legend: tuple[tuple[bool, str], ...]  # the reader's names of weights: parts of a sentence, True for LaTeX
    full: bool
    kinked: bool  # whether something in its lists has kinks
    functions: tuple[Function, ...]  # the smooth functions of what is shown, which their names alone do not say
    assumptions: tuple[str, ...]
    state: tuple[Carried, ...]  # what a scheme carries from step to step
    invariants: tuple[Step, ...]  # what that stands for
    induction: str  # how far they are proved, in a sentence
    chapters: tuple[Chapter, ...]
    counts: tuple[tuple[Verdict, int], ...]
    findings: tuple[tuple[int, Finding], ...]  # what deciders said, row by row, and of which equation
    instance: str
    method: str
    kept: tuple[Array, ...]  # what stays a symbol in the closed forms
    closed: tuple[ClosedForm, ...]
    source: str  # the kernel's; "" where there is none
    arrays: Mapping[str, Array]

    @property
    def sections(self) -> tuple[Section, ...]:
        """Every section, in order."""
        return tuple(section for chapter in self.chapters for section in chapter.sections)

    @property
    def steps(self) -> Iterator[Step]:
        """Every equation that was derived, in order."""
        return (step for chapter in self.chapters for step in chapter.steps)

    @property
    def citations(self) -> Mapping[str, list[int]]:
        """The paper's equation numbers, and where each stands here."""
        found: dict[str, list[int]] = {}
        for step in (*self.invariants, *self.steps):
            if step.equation.cite:
                found.setdefault(step.equation.cite, []).append(step.number)
        return found


def checked(
    document: Shown, notation: object = "indexed", detail: object = "full", only: str | None = None
) -> list[set[str]]:
    """The names of the equations shown, for each list; raises what `content` would, before the work is done."""
    for what, value, known in (("notation", notation, get_args(Notation)), ("detail", detail, get_args(Detail))):
        if value not in known:
            raise ArgumentError(f"The {what} {str(value)[:40]!r} is not known: choose {' or '.join(known)}.")
    if notation == "paper":
        for d in document.lists:
            _refuse_many(d)
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
            f"{document.heading} has no function and no quantity {str(only)[:40]!r}: "
            f"choose one of {functions}; {names}."
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
    kept, closed = _closed_forms(first, numbers[0], wanted) if full and document is first else ((), ())
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
        small=_weights(first) <= MAX_FLAT,
        flat=flat,
        remark=_remark(document),
        legend=_legend(first.network),
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
        arrays=_arrays(document),
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
    for name, equations in _sections(d):
        steps = tuple(step(e) for e in equations if e.name in names)
        if steps:
            again = any(name == section.title for section in sections)
            sections.append(Section(f"{name}, continued" if again else name, steps))
    return Chapter(title, _signature(d), tuple(sections))


def _written(d: Readable, equation: Equation, flat: bool) -> tuple[Equation, ...]:
    """The equation, or in flat notation that equation for every element."""
    return tuple(written_out(equation, d.network.sizes, _flat_name(d))) if flat else (equation,)


def worked(d: Readable, equation: Equation, flat: bool = False) -> Iterator[Worked]:
    """The equation at every element: its formula, the numbers put in, and its value; nothing without numbers."""
    numbers = d.numbers
    if numbers is None:
        return
    name = _flat_name(d) if flat else _element_name

    def digits(array: Array, position: tuple[int, ...]) -> Written:
        return _digits(numbers.text[array.name, position])

    assert isinstance(equation.lhs, Ref)
    lhs, own = equation.lhs, equation.array.name if equation.defines else front_of(equation.array.unprimed).name
    for position in product(*(range(numbers.sizes[index.axis]) for index in lhs.indices)):
        text, case = numbers.text[own, position], numbers.holds.get((own, position), "")
        value, holds = _digits(text), None
        if isinstance(equation.rhs, Cases):
            holds = next((branch for branch in equation.rhs if branch.name == case), None)
            side = None if holds is None else holds.value
        else:
            side = equation.rhs
        left = name(lhs.array, position)
        links: list[Expr] = []
        if side is not None:
            with suppress(UnsupportedExpression):  # the inverse of a matrix is not written out
                links = [element_of(side, lhs, position, numbers.sizes, each) for each in (name, digits)]
        if not text:  # the formula stands, and what it rests on has no value
            links = links[:1]
        when = tuple(
            Condition(element_of(c.subject, lhs, position, numbers.sizes, digits), c.relation, c.bound)
            for c in (holds.when if holds is not None else ())
        )
        chain = {repr(link): link for link in (*links, value)}  # what is a number already is not said twice
        yield Worked((left, *chain.values()), case, when)


def _element_name(array: Array, position: tuple[int, ...]) -> Written:
    """W^{(1)}_{12}, in plain text W1[1,2]."""
    latex = latex_array(array, [str(n + 1) for n in position])
    return Written(
        latex, _letters(latex), array.name + (f"[{','.join(str(n + 1) for n in position)}]" * bool(position))
    )


def _digits(text: str) -> Written:
    """A number as it is printed; what has no value is said to have none."""
    if not text:
        return Written(r"\text{undefined}", 8, "undefined")
    figures, _, exponent = text.partition("e")
    latex = rf"{figures} \cdot 10^{{{int(exponent)}}}" if exponent else figures
    return Written(latex, 0.8 * len(text) + bool(exponent), text, not exponent)


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


# ----------------------------------------------------------------------------------------------------- the state


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


def counted(verdict: Verdict, count: int) -> str:
    """ "22 proved", "9 definitions"."""
    return f"{count} {verdict.value.lower()}{'s' if verdict is Verdict.DEFINITION and count != 1 else ''}"


def _arrays(document: Shown) -> dict[str, Array]:
    equations = [*document.invariants, *(e for d in document.lists for e in d.equations)]
    found = {array.name: array for e in equations for array in e.operands}
    found |= {e.name: e.array for e in equations if e.defines}
    found |= {array.name: array for d in document.lists for arrays in d.signature for array in arrays}
    network = document.lists[0].network
    return found | {a.name: a for theta in (*network.parameters, *network.memory) for a in (theta, theta.primed)}


def _leading_to(d: Readable, name: str) -> set[str]:
    """The names of an equation and of all that it rests on."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found and current in d.by_name:
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


# --------------------------------------------------------------------------------------------------- sections


_DEFINING = (Rule.DEFINITION, Rule.SPLIT)
_TITLES = {
    Rule.ADJOINT: "Backpropagation", Rule.GRADIENT: "Backpropagation", Rule.TRAINING: "Backpropagation",
    Rule.UPDATE: "Backpropagation", Rule.INCREMENT: "Front contribution",
    Rule.AFTER: "Front contribution", Rule.CASES: "Front contribution", Rule.CHOICE: "The compensation",
    Rule.INTEGRAL: "The integrated compensation", Rule.EXPANSION: "The weights",
}  # fmt: skip
_NETWORK = "The network"


def _sections(d: Readable) -> Iterator[tuple[str, Sequence[Equation]]]:
    """Runs of equations with related rules; a definition goes with what it is made for, which comes next."""
    current: tuple[str, list[Equation]] | None = None
    waiting: list[Equation] = []
    for equation in d.equations:
        if equation.rule in _DEFINING:
            waiting.append(equation)
            continue
        title = _TITLES.get(equation.rule, equation.rule.value.capitalize())
        if _says_it_again(equation, d):
            title = _NETWORK if current is None else current[0]
        elif current is None and waiting:
            yield _NETWORK, waiting
            waiting = []
        elif current is not None and current[0] == _NETWORK:
            current[1].extend(waiting)
            waiting = []
        if current is None or current[0] != title:
            if current is not None:
                yield current
            current = (title, [])
        current[1].extend((*waiting, equation))
        waiting = []
    if current is None:
        yield _NETWORK, waiting
        return
    current[1].extend(waiting)
    yield current


def _says_it_again(equation: Equation, d: Readable) -> bool:
    """Whether an equation gives a known quantity in another way, and so belongs to what it stands with."""
    restored = equation.rule is Rule.STATE and equation.defines and equation.array in d.network.parameters
    return restored or equation.rule is Rule.IDENTITY


# --------------------------------------------------------------------------------------------------- flat names


def _weights(d: Readable) -> int:
    return sum(prod(d.network.shape(theta)) for theta in d.network.parameters)


def _refuse_many(d: Readable) -> None:
    if d.network.batch:
        raise SizeError(
            f"The paper's flat names are for one sample, and {d.network} trains on mini-batches: choose the indexed "
            "notation."
        )
    if _weights(d) > MAX_FLAT:
        raise SizeError(
            f"The paper's flat names are for networks of at most {MAX_FLAT} weights, and {d.network} has "
            f"{_weights(d)}: choose the indexed notation."
        )
    if not _own_axes(d):
        raise SizeError("Some arrays run over more than the network's layers: choose the indexed notation.")


def _own_axes(d: Readable) -> bool:
    """Whether every array runs over layers of the network, and not over something else."""
    axes = {axis for e in d.equations for array in (*e.operands, *_defined(e)) for axis in array.axes}
    return axes <= set(d.network.sizes)


def _defined(equation: Equation) -> tuple[Array, ...]:
    return arrays_in(equation.lhs)


def _flat_name(d: Readable) -> Any:
    @cache
    def name(array: Array, position: tuple[int, ...]) -> Written:
        latex = flat_latex(d.network, array, position)
        plain = scalar_name(d.network, array, position)
        return Written(latex, _letters(latex), plain, not latex.startswith(r"\tfrac"))

    return name


def _letters(latex: str) -> float:
    r"""About how wide a name is: w_{5} 2, s^{(1)\prime}_{12} 3.4; what stands above and below shares the room."""
    if latex.startswith(r"\tfrac"):
        return 2.0
    base, _, lower = latex.partition("_{")
    base, _, upper = base.partition("^{")
    small = max(len(part.replace(r"\prime", "'").replace(r"\mathrm", "").strip("{}")) for part in (upper, lower))
    wide = 2.0 if r"\mathrm{d}" in base else 1.2 if base.startswith("\\") and "mathrm" not in base else len(base) + 0.2
    return min(wide, 40.0) + 0.7 * small


def _remark(document: Shown) -> str:
    network = document.lists[0].network
    matrices = [theta for theta in network.parameters if len(theta.axes) == 2]
    carried = sorted(
        {
            e.name
            for d in document.lists
            for e in d.equations
            if e.defines and e.array.layer is None and any(e.array.axes == theta.axes for theta in matrices)
        }
    )
    names = "The weights have names of their own" if network.names else "The weights are counted in row order"
    if not carried:
        return f"{names}."
    listed = ", ".join(f"`{symbol}`" for symbol in carried)
    return f"{names}; what there is one of per weight ({listed}) carries the weight's number."


def _legend(network: Network) -> tuple[tuple[bool, str], ...]:
    """A = W^{(1)}, B = W^{(2)}: what the reader called A and B; of many names the first ones."""
    names = own_names(network)
    if not names:
        return ()
    parts: list[tuple[bool, str]] = [(False, "The weights have names of their own: ")]
    for own, what in names[:MAX_FLAT]:
        parts += [(True, f"{own} = {what}"), (False, ", ")]
    return (*parts[:-1], (False, "." if len(names) <= MAX_FLAT else ", and so on in row order."))


# ------------------------------------------------------------------------------------------------ closed forms


_SHOWN = (Rule.UPDATE, Rule.CHOICE, Rule.INTEGRAL)


class _Unreadable(Exception):
    """A closed form contains a Piecewise."""


def _closed_forms(
    d: Readable, numbers: Mapping[str, int], wanted: str | None
) -> tuple[tuple[Array, ...], tuple[ClosedForm, ...]]:
    """What a step is made for in weights and inputs, for a network that is small enough, and what stays a symbol there.

    The activations stay symbols, and so do their slopes where a Piecewise would be left otherwise: what they stand for
    is a case distinction of its own, and tables of different units are never multiplied together.
    """
    if _weights(d) > MAX_FLAT // 2 or not _own_axes(d):
        return (), ()
    activated = {e.name: e.rhs.derivative for e in d.equations if e.defines and isinstance(e.rhs, Apply)}
    values = tuple(name for name, derivative in activated.items() if not derivative)
    names = _scalar_names(d)
    kept: set[str] = set()
    result: list[ClosedForm] = []
    for equation in d.equations:
        wants = equation.rule in _SHOWN if wanted is None else equation.name == wanted
        if not wants or not equation.defines or equation.name in activated or len(equation.array.axes) > 2:
            continue
        for keep in dict.fromkeys((values, tuple(activated))):
            try:
                result += _elements(d, equation, keep, numbers[equation.name], names)
            except _Unreadable:
                continue  # with more symbols it may do
            except FcsymError:  # too large, or over axes that closed forms do not know
                break
            kept |= set(keep)
            break
    return tuple(d.by_name[name].array for name in activated if name in kept), tuple(result)


def _scalar_names(d: Readable) -> dict[str, Written]:
    """The ASCII names that closed forms use => how they are written, in the order that factors have."""
    flat = _flat_name(d)
    known = _arrays(d)
    first = [array for name, array in known.items() if not array.axes]
    return {
        scalar_name(d.network, array, position): flat(array, position)
        for array in (*first, *d.network.parameters, *known.values())
        if set(array.axes) <= set(d.network.sizes)
        for position in product(*(range(length) for length in d.network.shape(array)))
    }


def _elements(
    d: Readable, equation: Equation, keep: tuple[str, ...], place: int, names: Mapping[str, Written]
) -> list[ClosedForm]:
    """Every element, and every case of it that can occur and has a value other than 0."""
    findings = {(f.equation, f.case): f for f in d.proof.findings}
    shape = d.network.shape(equation.array)
    settings: dict[str, Any] = {"keep": keep, "max_operations": _MAX_OPERATIONS}
    result = []
    for position in product(*(range(length) for length in shape)):
        at = dict(zip(("output", "unit")[2 - len(shape) :], (n + 1 for n in position), strict=True)) | settings
        lhs = names[scalar_name(d.network, equation.array, position)]
        labels = [""]
        if isinstance(equation.rhs, Cases):
            labels = [b.name for b in equation.rhs if b.value is not None and _occurs(findings, equation, b)]
        for label in labels:
            value = d.expr(equation.name, case=label or None, **at)
            if label and value == 0:
                continue
            written = Equation(lhs, _from_sympy(value, names), equation.rule, equation.because)
            result.append(ClosedForm(place, written, label, _verdict(findings, equation.name, label or None)))
    return result


def element(
    d: Readable, name: str, unit: int, output: int = 1, *, case: str | None = None, keep: tuple[str, ...] = ()
) -> Equation | None:
    """The closed form of one element, written out as documents have it; None where it would be too long to read.

    Arguments as for `Derivation.expr`.
    """
    equation = d.by_name[d.resolve(name)]
    shape = d.network.shape(equation.array)
    place = {"unit": unit} | ({"output": output} if len(shape) == 2 else {})
    names = _scalar_names(d)
    position = (output - 1, unit - 1)[2 - len(shape) :]
    lhs = names[scalar_name(d.network, equation.array, position)]
    for kept in (keep, tuple(dict.fromkeys((*keep, *(e.name for e in d if e.defines and isinstance(e.rhs, Apply)))))):
        try:
            value = d.expr(equation.name, **place, case=case, keep=kept)
            if value.count_ops() > _MAX_OPERATIONS:
                continue
            return Equation(lhs, _from_sympy(value, names), equation.rule, equation.because)
        except (_Unreadable, SizeError):
            continue
    return None


def _occurs(findings: Mapping[tuple[str, str | None], Finding], equation: Equation, branch: Branch) -> bool:
    finding = findings.get((equation.name, branch.name))
    return finding is None or finding.possible


def _verdict(findings: Mapping[tuple[str, str | None], Finding], name: str, case: str | None) -> Verdict:
    """The verdict on a case; what was not examined is undecided."""
    finding = findings.get((name, case))
    return Verdict.UNDECIDED if finding is None else finding.verdict


def _from_sympy(value: Any, names: Mapping[str, Written]) -> Expr:
    """A SymPy expression as one of ours, for the printer, its terms and factors in SymPy's printing order."""
    if value.is_Rational:
        return number(Fraction(int(value.p), int(value.q)))
    if value.is_Symbol:
        return names[value.name]
    if value.is_Add:
        terms = [_from_sympy(term, names) for term in value.as_ordered_terms()]
        return add(*sorted(terms, key=_is_negative))  # a sum that begins with a minus is harder to read
    if value.is_Mul:
        order: dict[Expr, int] = {name: n for n, name in enumerate(names.values())}
        factors = [_from_sympy(factor, names) for factor in value.as_ordered_factors()]
        return mul(*sorted(factors, key=lambda f: order.get(_base(f), len(order)) if not isinstance(f, Number) else -1))
    if value.is_Pow and value.exp.is_Integer:
        return power(_from_sympy(value.base, names), int(value.exp))
    raise _Unreadable


def _base(node: Expr) -> Expr:
    return node.base if isinstance(node, Pow) else node


def _is_negative(node: Expr) -> bool:
    first = node.factors[0] if isinstance(node, Mul) else node
    return isinstance(first, Number) and first.value < 0
