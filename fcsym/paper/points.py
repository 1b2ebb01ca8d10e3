"""Small exact numbers to try a claim at, and the simplest of them at which it fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from fcsym.paper.decision import Counterexample, Setup
from fcsym.paper.formula import Claim, Condition, plain, plain_condition
from fcsym.paper.gate_cases import applies, implied, variables, world_of
from fcsym.paper.model import Undefined, World
from fcsym.paper.numbers import Point, compare
from fcsym.paper.recheck import recheck

__all__ = ["counterexample", "implied_at", "points", "pool", "satisfied", "sides_at"]

_POINTS = 1500
_MANY = 200  # points after which the best counterexample so far will do
_ENOUGH = 12  # counterexamples among which the simplest is chosen


def points(setup: Setup) -> Iterator[World]:
    """Small exact numbers to try a claim at."""
    return (world for _, world in pool(setup))


def pool(setup: Setup, most: int = _POINTS) -> Iterator[tuple[Point, World]]:
    """Points, each drawn once and only when one gets there."""
    drawn = _drawn(setup)
    for seed in range(most):
        if seed == len(drawn):
            point = Point(seed)
            drawn.append((point, world_of(point, setup, free_errors=False)))
        yield drawn[seed]


@cache
def _drawn(setup: Setup) -> list[tuple[Point, World]]:
    return []


def sides_at(
    claim: Claim, world: World, extra: Sequence[Condition] = ()
) -> tuple[Fraction | None, Fraction | None] | None:
    """Both sides at a point; None where a condition does not hold there."""
    try:
        if not all(satisfied(c, world) for c in (*claim.when, *extra)):
            return None
    except Undefined:
        return None
    sides = []
    for side in (claim.left, claim.right):
        try:
            sides.append(world.value(side))
        except Undefined:
            sides.append(None)
    return sides[0], sides[1]


def satisfied(condition: Condition, world: World) -> bool:
    """Whether a condition holds at a point."""
    return compare(condition.relation, world.value(condition.left), world.value(condition.right))


def implied_at(claim: Claim, setup: Setup) -> tuple[Condition, ...]:
    """What a claim takes for granted and a point may not satisfy."""
    return tuple(c for c in implied(setup) if applies(c, claim) and c.left.name != "eta")


def counterexample(claim: Claim, setup: Setup) -> Counterexample | None:
    """The simplest of some small numbers at which the claim fails; where possible, both sides have values there."""
    names = [*variables(claim, setup), *(f"yg{mark}" for mark in dict.fromkeys(setup.inputs))]
    best: tuple[tuple[bool, int], dict[str, Fraction], Any] | None = None
    hits = 0
    for n, (point, world) in enumerate(pool(setup)):
        if n >= _MANY and best is not None:
            break
        sides = sides_at(claim, world, implied_at(claim, setup))
        if sides is None or sides[0] == sides[1]:
            continue
        used = {name: point.variable(name) for name in names}
        cost = sum(abs(value.numerator) + value.denominator - 1 for value in used.values())
        rank = (None in sides, cost + sum(len(str(side)) for side in sides))
        if best is None or rank < best[0]:
            best = rank, used, sides
        hits += 1
        if hits >= _ENOUGH:
            break
    if best is None:
        return None
    _, used, sides = best
    return Counterexample(used, sides[0], sides[1], _confirmed(claim, setup, used, sides))


def _confirmed(claim: Claim, setup: Setup, point: dict[str, Fraction], sides: Any) -> bool:
    """Whether code that shares nothing with the engine finds the same numbers."""
    again = recheck(
        point, setup.inputs, setup.setting, setup.order, plain(claim.left), plain(claim.right),
        [plain_condition(condition) for condition in claim.when],
    )  # fmt: skip
    return again == (True, *sides)
