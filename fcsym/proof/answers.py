"""What is said of one equation of a scheme: the finding that follows from what the deciders saw."""

from __future__ import annotations

from typing import Any

from fcsym.language.algebra import Definition
from fcsym.language.equation import Equation, Rule, Verdict
from fcsym.language.expression import Expr, Ref
from fcsym.language.findings import Counterexample, Finding

__all__ = ["finding_on", "left_indices", "pair", "refuted", "right_side", "same_statement"]


def same_statement(one: Equation | None, other: Equation) -> bool:
    """Whether an equation is one of the step's own, word for word."""
    return one is not None and (one.lhs, one.rhs, one.rule) == (other.lhs, other.rhs, other.rule)


def finding_on(
    equation: Equation, case: str | None, said: bool | None, found: Counterexample | str | None, ran: str
) -> Finding:
    """`said`: what index notation says; `found`: where a run disagrees; `ran`: what the runs say otherwise."""
    word = {True: "identical", False: "differs", None: ""}[said]
    if found is not None:
        return refuted(equation, case, found, word, "differs")
    if said is False:
        note = "a decider sees a difference, and no counterexample was found"
        return Finding(equation.name, case, Verdict.UNDECIDED, word, ran, note)
    if equation.rule is Rule.DEFINITION:
        return Finding(equation.name, case, Verdict.DEFINITION, word, ran)
    if said is None:
        return Finding(equation.name, case, Verdict.UNDECIDED, word, ran, "index notation cannot say")
    return Finding(equation.name, case, Verdict.PROVED, word, ran)


def refuted(equation: Equation, case: str | None, found: Counterexample | str, index: str, ran: str) -> Finding:
    """A finding on what a run has refuted."""
    if isinstance(found, str):  # true of arbitrary functions in place of phi, which no one can check by hand
        return Finding(equation.name, case, Verdict.UNDECIDED, index, ran, found)
    return Finding(equation.name, case, Verdict.REFUTED, index, ran, str(found), counterexample=found)


def right_side(equation: Equation) -> Expr:
    """The right-hand side of an equation without cases."""
    assert isinstance(equation.rhs, Expr)
    return equation.rhs


def left_indices(equation: Equation) -> tuple[Any, ...]:
    """The indices of the left-hand side."""
    assert isinstance(equation.lhs, Ref)
    return equation.lhs.indices


def pair(equation: Equation) -> Definition:
    """An equation as a definition to put in."""
    return left_indices(equation), right_side(equation)
