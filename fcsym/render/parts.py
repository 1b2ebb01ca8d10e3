"""What a document consists of, before it has a format: chapters, sections, steps, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcsym.language.equation import Branch, Cases, Condition, Equation, Verdict
from fcsym.language.expression import Array, Expr

if TYPE_CHECKING:
    from fcsym.language.findings import Finding

__all__ = ["Carried", "Chapter", "ClosedForm", "Content", "Function", "Row", "Section", "Step", "Worked", "counted"]


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


def counted(verdict: Verdict, count: int) -> str:
    """ "22 proved", "9 definitions"."""
    return f"{count} {verdict.value.lower()}{'s' if verdict is Verdict.DEFINITION and count != 1 else ''}"
