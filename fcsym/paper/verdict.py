"""A claim about the paper's network => what is true of it.

Every pre-activation that the claim depends on is greater than 0 or not: that gives the cases. In each of them both
sides are quotients of polynomials. Two deciders look at every case: the polynomial ring, where the claim holds when the
cross products are the same polynomial (where a kink is prescribed, the same up to a multiple of the pre-activation that
is 0 there), and z3, which is asked for numbers that satisfy all conditions and not the claim.

    holds in every case                                     PROVED
    fails in some, and conditions that keep units active
    or denominators away from 0 exclude all of those        PROVED_UNDER these conditions, the fewest
    otherwise                                               REFUTED, by exact small numbers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

from fcsym.paper.decision import Decision, Either, Limits, Setup, Verdict
from fcsym.paper.formula import Claim, Condition, Node, S, nodes, series
from fcsym.paper.gate_cases import Case, cases_of, ring_names
from fcsym.paper.model import Key, Undefined, World
from fcsym.paper.points import counterexample, implied_at, points, pool, satisfied
from fcsym.paper.smt import ask, can_hold, denominators, differ_at, facts_of

__all__ = ["decide"]

_FEW = 150  # points that are tried before z3 is asked whether a case can occur


def _hypothesis() -> Iterator[Claim]:
    """What `model.World` takes for granted in a series, with n in place of n - 1: the induction step."""
    for unit, (first, second) in enumerate((("w1", "w2"), ("w3", "w4"))):
        learned = series(S("en") * S(f"w{unit + 5}n"))
        for weight, x in ((first, "x1"), (second, "x2")):
            active = (S(("An-1", "Bn-1")[unit]) > 0,)
            yield Claim(S(f"{weight}c"), S(f"{weight}n") + S("eta") * S(x) * learned, active)


@cache
def _inductive(limits: Limits) -> bool:
    return all(_decide(claim, Setup(("",), "series"), limits).verdict is Verdict.PROVED for claim in _hypothesis())


def decide(claim: Claim, setup: Setup = Setup(), limits: Limits = Limits()) -> Decision:
    """Claim => verdict, with the condition or the counterexample that belongs to it."""
    if setup.setting == "series" and not _inductive(limits):
        return Decision(Verdict.UNDECIDED, note="the induction over the steps is not proved")
    return _decide(claim, setup, limits)


def _decide(claim: Claim, setup: Setup, limits: Limits) -> Decision:
    cases = sorted(cases_of(claim, setup), key=lambda case: (sum(case.signs.values()), sorted(case.signs)))
    wrong = [case for case in cases if not case.ring]
    witnessed = _witnessed(wrong, claim, setup) if wrong else set()
    active = [case for case in wrong if case.ring is False and all(case.signs.values())]
    if any(id(case) in witnessed for case in active):  # no condition excludes the case in which everything is active
        return _refute(claim, setup, active, limits)
    vanishing: list[Condition] = []
    for case in cases:
        if case.ring:
            _examine(case, claim, setup, limits, vanishing)
        else:
            case.feasible = id(case) in witnessed or _feasible(case, claim, setup, limits)
    real = [case for case in cases if case.feasible]
    if not any(case.ring is not True for case in real) and not _satisfiable(cases, claim, setup, limits):
        return Decision(Verdict.PROVED, ring="identical", z3="identical", note="nothing satisfies the conditions")
    silent = [case for case in real if case.ring and case.z3 is None]
    if silent:
        return Decision(
            Verdict.UNDECIDED, ring="identical",
            note=f"z3 came to no end within {limits.steps} steps of its own or {limits.seconds:g} s",
        )  # fmt: skip
    if any(case.ring and case.z3 is False for case in real):
        return Decision(Verdict.UNDECIDED, ring="identical", z3="differs", note="the deciders do not agree")
    bad = [case for case in real if not case.good]
    agreed: Any = {"ring": "identical", "z3": "identical"}
    if not bad:
        needed = _vanishing(real)
        if not needed:
            return Decision(Verdict.PROVED, **agreed)
        return Decision(Verdict.PROVED_UNDER, needed, counterexample(claim, setup), **agreed)
    found = _condition(real, setup, claim)
    if found is not None:
        return Decision(Verdict.PROVED_UNDER, found, counterexample(claim, setup), **agreed)
    return _refute(claim, setup, bad, limits)


def _witnessed(cases: Sequence[Case], claim: Claim, setup: Setup) -> set[int]:
    """The cases that some small numbers belong to: these need no proof that they can occur."""
    found: set[int] = set()
    for _, world in pool(setup, _FEW):
        try:
            if not all(satisfied(c, world) for c in (*claim.when, *implied_at(claim, setup))):
                continue
        except Undefined:
            continue
        for case in cases:
            if id(case) not in found and all(_has_sign(world, key, sign) for key, sign in case.signs.items()):
                found.add(id(case))
    return found


def _has_sign(world: World, key: Key, sign: bool) -> bool:
    value = world.symbol(f"s{key[0]}", key[1], key[2].rstrip("="))
    return bool((value == 0) is sign if key[2].endswith("=") else (value > 0) is sign)


def _examine(case: Case, claim: Claim, setup: Setup, limits: Limits, vanishing: list[Condition]) -> None:
    """Ask z3; first with the engine's quotients as variables of their own, then with cross products.

    `vanishing` collects the denominators that are known to vanish somewhere, which are not asked about again.
    """
    for named in (True, False):
        first = replace(limits, steps=max(1, limits.steps // 10)) if named else limits
        case.z3, case.vanishing = ask(case, claim, setup, first, named, vanishing)
        if case.z3 is not None:
            vanishing += [condition for condition in case.vanishing if condition not in vanishing]
            return


def _feasible(case: Case, claim: Claim, setup: Setup, limits: Limits) -> bool:
    """Whether some numbers have these signs and satisfy the conditions; True where z3 cannot tell."""
    terms, _, given = facts_of(case, claim, setup, named=False)
    return can_hold([*terms.facts, *given], limits) is not False


def _satisfiable(cases: Sequence[Case], claim: Claim, setup: Setup, limits: Limits) -> bool:
    """Whether anything satisfies the conditions of the claim."""
    conditions = (*claim.when, *implied_at(claim, setup))
    for world in points(setup):
        try:
            if all(satisfied(condition, world) for condition in conditions):
                return True
        except Undefined:
            continue
    return any(_feasible(case, claim, setup, limits) for case in cases)


def _vanishing(cases: Sequence[Case]) -> tuple[Condition, ...]:
    return tuple(dict.fromkeys(condition for case in cases for condition in case.vanishing))


def _condition(cases: Sequence[Case], setup: Setup, claim: Claim) -> tuple[Any, ...] | None:
    """The fewest conditions that leave only cases in which the claim holds, the weakest first.

    A condition may keep a unit active, off its kink, or solvable. It may not switch a unit off: where nothing is
    learned, almost anything is true.
    """
    options = list(_options(cases, setup, claim))
    for size in range(1, 5):
        for chosen in combinations(options, size):
            left = [case for case in cases if all(admits(case) for _, admits in chosen)]
            if all(case.good for case in left) and any(not case.kinks for case in left):
                return (*(condition for condition, _ in chosen), *_vanishing(left))
    return None


def _options(cases: Sequence[Case], setup: Setup, claim: Claim) -> Iterator[tuple[Any, Any]]:
    keys = sorted({key for case in cases for key in case.known})
    for key in sorted({key for case in cases for key in case.kinks}):
        yield _named(key, setup).differs(0), lambda case, key=key: key not in case.kinks
    for unit, steps, mark in keys:
        start = (unit, 0, mark)
        if steps and start in keys:
            frozen, change = S(f"v{unit}c", 0, _mark(mark, setup)), S(f"dv{unit}", steps, _mark(mark, setup))
            yield (
                Either(frozen.differs(0), change.equals(0)),
                lambda case, a=start, b=(unit, steps, mark): case.known.get(a, True) or not case.known.get(b, False),
            )
    below = denominators(claim)
    for key in keys:
        frozen = S(f"v{key[0]}c", 0, _mark(key[2], setup))
        if not key[1] and frozen in below:
            yield frozen.differs(0), lambda case, key=key: case.known.get(key, True)
    given = _gates_are_given(claim)
    for key in keys:
        if not (given and key[2] in setup.inputs):
            yield _named(key, setup) > 0, lambda case, key=key: case.known.get(key, True)


def _gates_are_given(claim: Claim) -> bool:
    """Whether the text says itself for which gates, or by which factor; then those are not for the audit to mend."""
    if any(condition.relation != "!=" for condition in claim.when):
        return True
    return any(node.head == "if" for side in (claim.left, claim.right) for node in nodes(side))


def _mark(mark: str, setup: Setup) -> str:
    return "" if mark == setup.inputs[0] else mark


def _named(key: Key, setup: Setup) -> Node:
    if setup.setting == "series":
        return S("AB"[key[0] - 1] + ("n" if key[1] else "n-1"))
    return S(f"s{key[0]}", key[1], _mark(key[2], setup))


def _refute(claim: Claim, setup: Setup, bad: Sequence[Case], limits: Limits) -> Decision:
    found = counterexample(claim, setup)
    ring = "differs" if any(case.ring is False for case in bad) else "undefined"
    if found is None:
        return Decision(
            Verdict.UNDECIDED, ring=ring, note="a decider sees a difference, and no counterexample was found"
        )
    if not found.rechecked:
        return Decision(
            Verdict.UNDECIDED, counterexample=found, ring=ring,
            note="the counterexample is not confirmed by the code that shares nothing with the engine",
        )  # fmt: skip
    if not differ_at(claim, setup, found.point, limits):
        return Decision(
            Verdict.UNDECIDED, counterexample=found, ring=ring, note="z3 does not confirm the counterexample"
        )
    return Decision(Verdict.REFUTED, _where_it_holds(claim, setup, limits), found, ring, "differs")


_SPECIAL: tuple[tuple[tuple[str, str | int], ...], ...] = (
    (("x1@", "x1"), ("x2@", "x2")),
    (("x1", "x2"),),
    (("x1", 1), ("x2", 1)),
)
"""Inputs for which a statement may be right although it is wrong in general: the same again, equal, and unit ones."""


def _where_it_holds(claim: Claim, setup: Setup, limits: Limits) -> tuple[Condition, ...]:
    """Special inputs at which a refuted claim is right in every case, for both deciders."""
    names = ring_names(claim, setup)
    for special in _SPECIAL:
        if not all(name in names for name, _ in special):
            continue
        cases: list[Case] = []
        for case in cases_of(claim, setup, dict(special)):
            cases.append(case)
            if not case.ring:  # one is enough
                break
        if not cases or not cases[-1].ring:
            continue
        inputs = tuple(S(n[:2], 0, n[2:]).equals(S(v) if isinstance(v, str) else v) for n, v in special)
        there = replace(claim, when=(*claim.when, *inputs))
        if all(ask(case, there, setup, limits, named=False, known=()) == (True, []) for case in cases):
            return inputs
    return ()
