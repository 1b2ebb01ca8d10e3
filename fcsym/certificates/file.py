"""A derivation as one Coq file: what must be believed, and a theorem for every equation and every case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from fcsym.certificates.cases import Tables
from fcsym.certificates.curves import Curves
from fcsym.certificates.equations import Equations
from fcsym.certificates.functions import Function, function, needed
from fcsym.certificates.named import frozen, named
from fcsym.certificates.printer import Printer, remark
from fcsym.certificates.signs import Signs
from fcsym.certificates.statement import Statement, definition
from fcsym.certificates.terms import cases_of, parts
from fcsym.certificates.theorem import Theorem
from fcsym.deriving.record import Record
from fcsym.language.activation import Activation
from fcsym.language.equation import Equation, functions_in
from fcsym.language.expression import Array, Expr, Total, applied_in
from fcsym.language.findings import Proof
from fcsym.schemes.record import PartRecord

__all__ = ["Certificate", "certificate"]


@dataclass(frozen=True)
class Certificate:
    """A Coq file, with what it counts at its head."""

    text: str
    statements: int
    certified: int
    admitted: tuple[tuple[str, str], ...]  # names, and reasons
    reached: frozenset[tuple[str, str | None]] = frozenset()  # equations, and cases of them, that have a proof script


LINES = 60
"""What must be believed has no more lines than that: neighbours share one where it would."""


def _short(lines: Sequence[str]) -> Sequence[str]:
    """The lines, or as many of them on one as it takes; a comment begins a line of its own."""
    made, columns = lines, 100
    while len(made) > LINES:
        made, columns = [], columns + 10
        for line in lines:
            fits = made and not line.startswith("(*") and len(made[-1]) + len(line) < columns
            if fits and made[-1].endswith("."):
                made[-1] += f" {line}"
            else:
                made.append(line)
    return made


_ITEM = re.compile(r"^(?=(?:\(\*|(?<!\*\)\n)(?:Require|Inductive|Fixpoint|Definition|Lemma|Ltac)) )", re.MULTILINE)
_NAMED = re.compile(r"^(?:Inductive|Fixpoint|Definition|Lemma|Ltac|with) (\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+")


@cache
def prelude() -> tuple[tuple[str, frozenset[str], frozenset[str]], ...]:
    """Finite sums and derivatives: lemmas and tactics, each with the names that it makes and those that it uses."""
    text = files("fcsym.certificates").joinpath("prelude.v").read_text(encoding="utf-8")
    items = _ITEM.split(text)
    return tuple((item, frozenset(_NAMED.findall(item)), frozenset(_WORD.findall(item))) for item in items if item)


def head(text: str) -> str:
    """What a file begins with: of the lemmas and tactics those that it uses, all proved there."""
    used, kept = set(_WORD.findall(text)), []
    for item, made, uses in reversed(prelude()):  # each stands after what it uses
        if not made or used & made:
            used |= uses
            kept.append(item)
    return "".join(reversed(kept))


def by_reason(admitted: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The names of theorems by the reason that they are admitted for."""
    found: dict[str, list[str]] = {}
    for name, reason in admitted:
        found.setdefault(reason, []).append(name)
    return found


def assembled(
    title: str, believed: Iterable[str], theorems: Sequence[Theorem], wanted: Sequence[tuple[str, str | None]],
    reached: set[tuple[str, str | None]],
) -> Certificate:  # fmt: skip
    """The parts of a file, with what it counts at its head: of the statements that are wanted, those with a script."""
    admitted = [(t.name, t.admitted) for t in theorems if t.admitted]
    missing = [", ".join(filter(None, of)) for of in wanted if of not in reached]
    statements, certified = len(wanted), len(wanted) - len(missing)
    counted = [
        f"(* {remark(title)}",
        f"   {statements} statements, {certified} certified, {len(admitted)} admitted",
        *(f"   {', '.join(names)}: {remark(reason)}" for reason, names in by_reason(admitted).items()),
        *(f"   not certified: {remark(name)}" for name in missing),
        "*)",
    ]
    body = "\n".join([
        "Section derivation.", "(* ---- What must be believed. ---- *)", *_short(tuple(believed)),
        "(* ---- The theorems. ---- *)", *_gathered(theorems), "End derivation.", "Print Assumptions everything.",
    ])  # fmt: skip
    text = "\n".join([*counted, f"{head(body)}{body}\n"])
    return Certificate(text, statements, certified, tuple(admitted), frozenset(wanted) & reached)


_BOUNDARY = re.compile(r"^(Section|End) (\w+)\.$", re.MULTILINE)


def _gathered(theorems: Sequence[Theorem]) -> Iterator[str]:
    """The theorems, and those of each section as one, which are named where what they say is short: within it."""
    proved: list[list[str]] = [[]]
    for t in theorems:
        boundary = None if t.name else _BOUNDARY.search(t.statement)
        if boundary and boundary[1] == "Section":
            proved.append([])
        elif boundary:
            yield _all(name := f"all_{boundary[2]}", proved.pop())
            proved[-1].append(name)
        if t.script:
            proved[-1].append(t.name)
        yield t.text
    yield _all("everything", *proved)


def _all(name: str, proved: Sequence[str]) -> str:
    """All of these theorems as one term, which rests on whatever one of them rests on."""
    return f"Definition {name} : theorems := {''.join(f'also _ {one} (' for one in proved)}nothing{')' * len(proved)}."


def certificate(record: Record, proof: Proof) -> Certificate:
    """A derivation and its verdicts => the file.

    The verdicts say which cases cannot occur; that they are right is for Coq to see.
    """
    return Writer(record, proof).made()


class Writer:
    """What stands in the file of one derivation."""

    def __init__(self, record: Record, proof: Proof | None = None, more: Sequence[Equation] = ()) -> None:
        """`more`: what else stands in the file, which may use any name."""
        self.record = record
        self.statement = Statement(record.network, record.order)
        self.equations = (*self.statement.forward, *self.statement.steps, *record.equations)
        arrays = dict.fromkeys(a for e in self.equations for a in ((e.array,) if e.defines else ()) + e.operands)
        self.arrays = tuple(arrays)
        others = (a for e in more for a in ((e.array,) if e.defines else ()) + e.operands)
        self.printer = Printer([*arrays, *others])
        made = (f for e in self.statement.forward for side in e.expressions for f in applied_in(side))
        stepped = {f.activation for f in made if f.derivative}  # whose slopes the network itself computes with
        self.functions: dict[Activation, Function] = {}
        for phi in functions_in((*self.equations, *more)):
            for one in (needed(phi), phi):
                if one is not None and one not in self.functions:
                    self.functions[one] = function(one, self.printer, one in stepped)
        self.signs = Signs(self.statement, self.printer, self.functions)
        self.is_step = proof is not None  # and no scheme, which says itself what is frozen
        findings = () if proof is None else proof.findings
        impossible = frozenset((f.equation, f.case) for f in findings if f.case is not None and not f.possible)
        self.tables = Tables(self.statement, self.printer, record.by_name, self.functions, impossible)

    def made(self) -> Certificate:
        """The file."""
        theorems = list(self._theorems())
        wanted = [(e.name, case) for e in self.record.equations for case in cases_of(e)]
        left = {t.of for t in theorems if t.admitted}
        reached = {t.of for t in theorems if t.of is not None and t.of not in left}
        return assembled(self.record.title, self.believed(), theorems, wanted, reached)

    def believed(self) -> Iterator[str]:
        printer = self.printer
        widths = dict.fromkeys(printer.width(axis) for a in self.arrays for axis in a.axes)
        sums = (part for e in self.equations for side in e.expressions for part in parts(side))
        widths |= dict.fromkeys(printer.width(i.axis) for s in sums if isinstance(s, Total) for i in s.over)
        yield f"Variables ({' '.join(sorted(widths))} : nat)."
        known = set(self.statement.by_array) | {e.array for e in self.record.equations if e.defines}
        known |= set(self.statement.changes) | {a.primed for a in self.statement.moving}
        given: dict[str, list[str]] = {}
        for a in self.arrays:
            if a not in known:
                given.setdefault(printer.type(a), []).append(printer.array(a))
        yield "Variables " + " ".join(f"({' '.join(names)} : {kind})" for kind, names in given.items()) + "."
        for made in self.functions.values():
            yield from made.stated
        for axis in self.signs.axes():
            yield f"Hypothesis some_{printer.width(axis)} : (0 < {printer.width(axis)})%nat."
        yield from self.statement.lines(printer)
        for array, e in self._frozen.items():
            yield "(* what the read-out reads where the layers below it are frozen *)"
            yield f"Definition {printer.array(array)} {definition(e, printer)}"

    @cached_property
    def _frozen(self) -> dict[Array, Equation]:
        """v^c, where the list of a step has it."""
        made = frozen(self.record.network)
        own = {e.array for e in self.record.equations if e.defines}
        return {made.array: made} if made is not None and made.array in own and self.is_step else {}

    def _meant(self) -> dict[Array, Equation]:
        """What the list's own arrays stand for: of a step by the network, of a scheme as it says."""
        if isinstance(self.record, PartRecord):
            return {e.array: e for e in self.record.scheme.invariants if isinstance(e.rhs, Expr)} | self._frozen
        forward = {e.array: e for e in self.statement.forward}
        return {**named(self.record.network, self.record.order, forward), **self._frozen}

    def of_functions(self) -> Iterator[Theorem]:
        """The theorems on the activations."""
        for made in self.functions.values():
            if made.proved:
                yield Theorem("", "\n".join(made.proved), "")

    def _theorems(self) -> Iterator[Theorem]:
        yield from self.of_functions()
        curves = Curves(self.statement, self.printer, self.functions, self.record.equations, self.signs)
        slopes = list(curves.theorems())
        yield from self.signs.theorems()
        equations = Equations(
            self.statement, self.printer, self.record.by_name, self.tables, self._meant(), self.signs, self._frozen
        )
        for e in self.record.equations:
            yield from equations.theorems(e)
        yield from slopes
