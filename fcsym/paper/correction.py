"""A refuted claim => the smallest change of it that is proved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice

from fcsym.paper.decision import Decision, Limits, Setup, Verdict
from fcsym.paper.edits import Edit, corrections, pairs
from fcsym.paper.formula import Claim, nodes
from fcsym.paper.model import Undefined, Unknown, World
from fcsym.paper.points import points, sides_at
from fcsym.paper.verdict import decide

__all__ = ["Correction", "correct"]

_TRUE = (Verdict.PROVED, Verdict.PROVED_UNDER)
_SAMPLES = 4
_GENERIC = {True: 12, False: 150}  # how many points with units active after the step, and before it


@dataclass(frozen=True, slots=True)
class Correction:
    """A claim that is true, and how it was come by."""

    claim: Claim
    decision: Decision
    kind: str  # what was changed; "replaced" where no small change is enough


def correct(claim: Claim, setup: Setup, limits: Limits, instead: Claim | None) -> Correction | None:
    """The first change that both deciders prove, the smallest first; otherwise the replacement, if it is proved."""
    if not any(node.head == "other" for node in nodes(claim.right)):
        for edit in _plausible(corrections(claim), claim, setup):
            decision = decide(edit.claim, setup, limits)
            if decision.verdict in _TRUE:
                return Correction(edit.claim, decision, edit.kind)
        for edit in _plausible(pairs(claim), claim, setup):
            decision = decide(edit.claim, setup, limits)
            if decision.verdict in _TRUE:
                return Correction(edit.claim, decision, edit.kind)
    if instead is not None:
        decision = decide(instead, setup, limits)
        if decision.verdict in _TRUE:
            return Correction(instead, decision, "replaced")
    return None


def _plausible(edits: Iterable[Edit], claim: Claim, setup: Setup) -> Iterable[Edit]:
    """The changes that are right at some exact points; deciders look at these only."""
    marks = {node.mark for side in (claim.left, claim.right) for node in nodes(side)} | set(setup.inputs)
    active, alive = (_generic_points(setup, tuple(sorted(marks)), after) for after in (True, False))
    for edit in edits:
        if edit.claim.left != edit.claim.right and (_right_at(edit.claim, active) or _right_at(edit.claim, alive)):
            yield edit


@cache
def _generic_points(setup: Setup, marks: tuple[str, ...], after: bool) -> list[World]:
    return list(islice((world for world in points(setup) if _generic(world, setup, marks, after)), _GENERIC[after]))


def _right_at(claim: Claim, worlds: Iterable[World]) -> bool:
    agreed = 0
    for world in worlds:
        try:
            sides = sides_at(claim, world)
        except Unknown:
            return False
        if sides is None or None in sides:
            continue
        if sides[0] != sides[1]:
            return False
        agreed += 1
        if agreed == _SAMPLES:
            return True
    return False


def _generic(world: World, setup: Setup, marks: Iterable[str], after: bool) -> bool:
    """Every unit is active before the steps (`after`: and after them), and no number that matters is 0."""
    try:
        for mark in marks:
            if not all(world.symbol(name, 0, mark) for name in ("x1", "x2")):
                return False
            for steps in range(len(setup.inputs) + 1 if after else 1):
                if not all(world.symbol(f"s{unit}", steps, mark) > 0 for unit in (1, 2)):
                    return False
        return bool(world.symbol("e") and (setup.setting != "steps" or all(world.symbol(f"w{n}", 1) for n in (5, 6))))
    except (Undefined, Unknown):
        return False
