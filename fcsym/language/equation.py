"""The central records: an equation, its cases, and what can be said of them. No algorithms live here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fcsym.language import smooth_functions
from fcsym.language.expression import Apply, Array, Expr, Ref, applied_in, arrays_in, value_of
from fcsym.language.shifts import written

if TYPE_CHECKING:
    import sympy

    from fcsym.language.activation import Activation

__all__ = [
    "COUNTED",
    "OPEN",
    "Branch",
    "Case",
    "Cases",
    "Condition",
    "Equation",
    "Rule",
    "Status",
    "Verdict",
    "functions_in",
]

Order: TypeAlias = Literal["simultaneous", "sequential"]
Notation: TypeAlias = Literal["indexed", "paper"]
Detail: TypeAlias = Literal["full", "summary"]


class Verdict(Enum):
    """What is known of a statement."""

    PROVED = "PROVED"
    REFUTED = "REFUTED"  # always with an exact counterexample
    ASSUMED = "ASSUMED"
    CHOSEN = "CHOSEN"  # one of many solutions, and said to be
    DEFINITION = "DEFINITION"
    SAMPLED = "SAMPLED"  # true wherever it was tried, and tried only: no proof
    UNDECIDED = "UNDECIDED"


COUNTED = (Verdict.PROVED, Verdict.REFUTED, Verdict.SAMPLED, Verdict.UNDECIDED, Verdict.CHOSEN)
"""The verdicts that reports count, under these names in small letters."""

OPEN = (Verdict.SAMPLED, Verdict.UNDECIDED)
"""The verdicts that say nothing for certain: said where they occur, and with them nothing holds."""


class Rule(Enum):
    """What justifies an equation; the proof obligation follows from it."""

    DEFINITION = "definition"  # introduces a symbol; nothing to prove
    ADJOINT = "reverse mode"  # lhs = dE/ds
    GRADIENT = "gradient"  # lhs = dE/dparameter
    TRAINING = "update rule"  # lhs = what the update rule makes of a gradient
    UPDATE = "gradient step"  # lhs = the parameter after the step: parameter - eta dE/dparameter, or as the rule has it
    INCREMENT = "increment"  # lhs = what the forward equation changes by
    AFTER = "after the step"  # lhs = the forward equation at the updated values
    CASES = "case distinction"  # lhs = phi(s') - phi(s), piece by piece
    CHOICE = "choice"  # lhs is one solution of an equation with many
    IDENTITY = "identity"  # both sides are known already
    INTEGRAL = "integral"  # lhs = integral over the last layer's weight
    SPLIT = "split"  # names a part of a sum
    INVARIANT = "invariant"  # what an array of a scheme's state stands for, at every step
    STATE = "state"  # lhs = the state array for which the invariant holds again
    EXPANSION = "expansion"  # lhs = the weights that backpropagation has


class Status(Enum):
    """What a case offers."""

    VALUE = "value"
    CHOSEN = "chosen"  # any value would do; this one is taken
    UNDEFINED = "undefined"  # no value does


@dataclass(frozen=True, slots=True)
class Condition:
    """subject relation bound, for example s1[i] > 0."""

    subject: Expr
    relation: Literal[">", "<=", "=", "!="]
    bound: Fraction = Fraction(0)

    def holds(self, value: Any) -> bool:
        """Whether the condition holds for a value of its subject."""
        match self.relation:
            case ">":
                return bool(value > self.bound)
            case "<=":
                return bool(value <= self.bound)
            case "=":
                return bool(value == self.bound)
            case "!=":
                return bool(value != self.bound)

    def __str__(self) -> str:
        return f"{self.subject!r} {self.relation} {self.bound}"


@dataclass(frozen=True, slots=True)
class Branch:
    """One row of a case table."""

    name: str
    when: tuple[Condition, ...]  # all must hold; the author's order is kept
    value: Expr | None  # None where the status is UNDEFINED
    status: Status = Status.VALUE
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cases:
    """A right-hand side by cases; exactly one branch holds at every point."""

    branches: tuple[Branch, ...]

    def __iter__(self) -> Iterator[Branch]:
        return iter(self.branches)


@dataclass(frozen=True, slots=True)
class Equation:
    """lhs = rhs, with the reason why.

    For all values of the free indices of `lhs`. The right-hand side contains symbols of earlier equations, the
    network's weights, its input and target, and eta.
    """

    lhs: Expr  # an array element, or (rule IDENTITY) an expression
    rhs: Expr | Cases
    rule: Rule
    because: str  # one sentence
    uses: tuple[str, ...] = ()  # names of the equations whose symbols or statements enter
    cite: str = ""  # the paper's equation number
    label: str = ""  # the name, where `lhs` is no symbol

    def __eq__(self, other: object) -> bool:
        """The same statement for the same reason, also where one of them can do more with itself."""
        if not isinstance(other, Equation):
            return NotImplemented
        return all(getattr(self, field.name) == getattr(other, field.name) for field in fields(Equation))

    @property
    def array(self) -> Array:
        """The array that the equation defines."""
        if not isinstance(self.lhs, Ref):
            raise TypeError(f"{self.name} states an identity and defines no array.")
        return self.lhs.array

    @property
    def defines(self) -> bool:
        """Whether the equation introduces a symbol, as opposed to stating something about known ones."""
        return isinstance(self.lhs, Ref) and not self.label

    @property
    def name(self) -> str:
        """The ASCII name, `W1_new`; the key in `derivation[...]`."""
        if self.label:
            return self.label
        return self.array.name

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """Every expression on the right-hand side, conditions included."""
        if isinstance(self.rhs, Expr):
            return (self.rhs,)
        parts: list[Expr] = []
        for branch in self.rhs:
            parts.extend(condition.subject for condition in branch.when)
            if branch.value is not None:
                parts.append(branch.value)
        return tuple(parts)

    @property
    def operands(self) -> tuple[Array, ...]:
        """The arrays on the right-hand side, each once."""
        return tuple(dict.fromkeys(array for expr in self.expressions for array in arrays_in(expr)))

    def __str__(self) -> str:
        if isinstance(self.rhs, Apply) and self.rhs.activation.is_smooth:  # what it is stands beside it
            node = self.rhs
            what = smooth_functions.text(node.activation, node.derivative, repr(node.argument), repr(value_of(node)))
            return f"{self.lhs!r} = {node!r} = {what}" if what != repr(node) else f"{self.lhs!r} = {what}"
        if not isinstance(self.rhs, Cases):
            return f"{self.lhs!r} = {written(self.rhs)!r}"
        rows = []
        for branch in self.rhs:
            value = "undefined" if branch.value is None else repr(written(branch.value))
            rows.append(f"  {value}   if {' and '.join(map(str, branch.when))}   ({branch.name})")
        return f"{self.lhs!r} =\n" + "\n".join(rows)


def functions_in(equations: Iterable[Equation]) -> tuple[Activation, ...]:
    """The functions that are applied somewhere on a right-hand side, each once, in their order."""
    return tuple(dict.fromkeys(f.activation for e in equations for side in e.expressions for f in applied_in(side)))


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a unit's case table, instantiated: what `Derivation.cases` returns."""

    name: str  # "active -> dead"
    when: tuple[sympy.Basic, ...]  # all must hold; the author's order is kept
    value: sympy.Expr | None  # None where no value exists
    verdict: Verdict
    note: str = ""
    status: Status = Status.VALUE
    possible: bool = True  # False where it is proved that the case cannot occur
    condition: str = ""  # `when` in the derivation's own symbols, s_1 > 0 and s_1' > 0

    def __str__(self) -> str:
        value = "undefined" if self.value is None else str(self.value)
        return f"{self.name}:  {value}   [{self.verdict.value}]"

    def __reduce__(self) -> Any:
        """For pickle and copy: SymPy would build the conditions anew, and might decide or rearrange them."""
        rest = tuple(getattr(self, field.name) for field in fields(self) if field.name != "when")
        return _case, (tuple((c.func, c.args) if c.args else (None, c) for c in self.when), *rest)


def _case(when: tuple[Any, ...], name: str, *rest: Any) -> Case:
    return Case(name, tuple(args if kind is None else kind(*args, evaluate=False) for kind, args in when), *rest)
