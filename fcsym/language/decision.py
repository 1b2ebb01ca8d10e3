"""Case tables as nested decisions: each condition is tested once, and no two are ever combined with `and`.

a if s > 0 and s' > 0          s > 0 ?  s' > 0 ? a : b
b if s > 0 and s' <= 0    =>            s' > 0 ? d : c
c if s <= 0 and s' <= 0
d if s <= 0 and s' > 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fcsym.language.equation import Branch, Condition

__all__ = ["Decision", "Tree", "decide", "excludes", "negation"]


@dataclass(frozen=True, slots=True)
class Decision:
    """`then` where the condition holds, `otherwise` elsewhere."""

    condition: Condition
    then: Tree
    otherwise: Tree


Tree: TypeAlias = "Decision | Branch"


def decide(branches: Sequence[Branch]) -> Tree:
    """A table whose rows exclude each other and cover everything => the same as nested decisions."""
    return _build([(branch, branch.when) for branch in branches])


def _build(rows: Sequence[tuple[Branch, tuple[Condition, ...]]]) -> Tree:
    first, open_conditions = rows[0]
    if len(rows) == 1 or not open_conditions:
        return first
    test = open_conditions[0]
    then = [(b, tuple(c for c in when if not _implies(test, c))) for b, when in rows if not excludes(test, when)]
    against = negation(test)
    otherwise = [
        (b, tuple(c for c in when if not _implies(against, c))) for b, when in rows if not excludes(against, when)
    ]
    if not otherwise:
        return _build(then)
    return Decision(test, _build(then), _build(otherwise))


def negation(condition: Condition) -> Condition:
    """The condition that holds where this one does not."""
    opposite = {">": "<=", "<=": ">", "=": "!=", "!=": "="}[condition.relation]
    return Condition(condition.subject, opposite, condition.bound)  # type: ignore[arg-type]


def _implies(known: Condition, other: Condition) -> bool:
    """Whether `other` follows from `known`."""
    if known.subject != other.subject:
        return False
    if known == other:
        return True
    if known.relation == other.relation == ">":
        return known.bound >= other.bound
    return known.relation == other.relation == "<=" and known.bound <= other.bound


def excludes(known: Condition, when: tuple[Condition, ...]) -> bool:
    """Whether one of the conditions contradicts `known`."""
    return any(_implies(known, negation(condition)) for condition in when)
