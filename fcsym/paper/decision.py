"""What is said of a claim about the paper's network: a verdict, its condition, numbers at which the claim fails."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from fcsym.errors import ArgumentError
from fcsym.language.equation import Order
from fcsym.language.spelling import exact
from fcsym.paper.formula import Condition

__all__ = ["Counterexample", "Decision", "Either", "Limits", "Setup", "Verdict"]


class Verdict(Enum):
    """What is known of a printed statement."""

    PROVED = "PROVED"
    PROVED_UNDER = "PROVED_UNDER"  # a condition that the text does not state
    REFUTED = "REFUTED"
    DEFINITION = "DEFINITION"
    CHOSEN = "CHOSEN"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long z3 may take for one question: by its own count, so that every machine says the same, and in seconds."""

    steps: int = 3_000_000
    seconds: float = 20.0  # a number, or a text such as "1/2"

    def __post_init__(self) -> None:
        """Seconds become a float; ArgumentError for what is no number."""
        object.__setattr__(self, "seconds", float(exact(self.seconds, "the time limit", ArgumentError)))


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a claim is made: which input each step sees, and what is held constant. See `model.World`."""

    inputs: tuple[str, ...] = ("",)
    setting: str = "steps"
    order: Order = "sequential"


@dataclass(frozen=True, slots=True)
class Counterexample:
    """Exact numbers at which the claim fails; anyone can check them by hand."""

    point: dict[str, Fraction]
    left: Fraction | None  # None: it has no value there
    right: Fraction | None
    rechecked: bool  # confirmed by code that shares nothing with the engine

    def __str__(self) -> str:
        where = ", ".join(f"{_shown(name)} = {value}" for name, value in self.point.items())
        sides = ("undefined" if side is None else str(side) for side in (self.left, self.right))
        return f"{where}: left {next(sides)}, right {next(sides)}"


def _shown(name: str) -> str:
    head = name.rstrip("@*#'~")
    word = "y_g" if head == "yg" else head if head == "eta" else f"{head[0]}_{head[1:]}"
    return word + name[len(head) :].replace("~", " (other)")


@dataclass(frozen=True, slots=True)
class Either:
    """One of two conditions."""

    first: Condition
    second: Condition

    def __str__(self) -> str:
        return f"{self.first} or {self.second}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found out about a claim."""

    verdict: Verdict
    condition: tuple[Condition, ...] = ()
    counterexample: Counterexample | None = None
    ring: str = "silent"  # identical, differs, silent
    z3: str = "silent"
    note: str = ""
