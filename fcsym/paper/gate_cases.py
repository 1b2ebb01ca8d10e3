"""The cases of a claim, and the first decider.

Every pre-activation that the claim depends on is greater than 0 or not. In each case both sides are quotients of
polynomials, and the claim holds when the cross products are the same polynomial; where a kink is prescribed, the same
up to a multiple of the pre-activation that is 0 there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from fcsym.paper.decision import Setup
from fcsym.paper.formula import Claim, Condition, S, nodes, num
from fcsym.paper.model import Key, Undefined, World
from fcsym.paper.numbers import Fork, Polynomials, remainder

__all__ = ["Case", "applies", "cases_of", "implied", "ring_names", "variables", "world_of"]


@dataclass(slots=True)
class Case:
    """One assignment of signs, and what the deciders say there."""

    signs: dict[Key, bool]
    kinks: tuple[Key, ...]  # pre-activations that are exactly 0 here
    ring: bool | None  # None: a side has no value
    z3: bool | None = None
    known: dict[Key, bool] = field(default_factory=dict)  # the same with every pre-activation of the same value
    feasible: bool = True
    vanishing: list[Condition] = field(default_factory=list)  # denominators that can be 0 here

    @property
    def good(self) -> bool:
        """Whether both deciders say that the claim holds."""
        return self.ring is True and self.z3 is True


def variables(claim: Claim, setup: Setup) -> tuple[str, ...]:
    """The free variables that a claim can depend on."""
    parts = [n for c in (claim.left, claim.right) for n in nodes(c)]
    parts += [n for c in claim.when for side in (c.left, c.right) for n in nodes(side)]
    marks = dict.fromkeys([*setup.inputs, *(n.mark for n in parts if n.head == "sym")])
    names = [*(f"w{n}" for n in range(1, 7)), "eta"]
    for mark in marks:
        names += [f"x1{mark}", f"x2{mark}"]
    if any(n.head == "other" for n in parts):
        names += [f"w{n}~" for n in range(1, 5)]
    if setup.setting == "held":
        names += ["w5'", "w6'"]
    return tuple(names)


def ring_names(claim: Claim, setup: Setup) -> tuple[str, ...]:
    """The variables of the polynomials: those that are free, the errors, and what a series is made of."""
    errors = tuple(dict.fromkeys(f"e{mark}" for mark in setup.inputs))
    series = ("T5", "T6", "rest") if setup.setting == "series" else ()
    return variables(claim, setup) + errors + series


def world_of(numbers: Any, setup: Setup, free_errors: bool = True) -> World:
    """The paper's network in such numbers, as the setup has it."""
    return World(numbers, setup.inputs, setup.setting, setup.order, free_errors)


def implied(setup: Setup) -> tuple[Condition, ...]:
    """What every claim of a setting takes for granted."""
    positive = (S("eta") > 0,)
    if setup.setting == "series":  # the unit was active all along: the initial state is one of the steps before
        return (*positive, S("v1c") > 0, S("v2c") > 0)
    return positive


def cases_of(claim: Claim, setup: Setup, fixed: Mapping[str, str | int] | None = None) -> Iterator[Case]:
    """Every assignment of signs that the claim can tell apart and its conditions do not exclude at once.

    `fixed`: variables that have the value of another one, or a number.
    """
    names = ring_names(claim, setup)
    open_cases: list[dict[Key, bool]] = [{}]
    while open_cases:
        signs = open_cases.pop()
        numbers = Polynomials(names, signs)
        for name, value in (fixed or {}).items():
            special = numbers.variable(value) if isinstance(value, str) else numbers.number(Fraction(value))
            numbers.fixed[name] = special
        world = world_of(numbers, setup)
        try:
            kinks = _prescribed(claim, world, numbers)
            if kinks is None:
                continue
            ring = _identical(claim, world, numbers, kinks)
            kinks = _all_kinks(kinks, signs)
        except Fork as fork:
            open_cases += [{**signs, fork.key: False}, {**signs, fork.key: True}]
            continue
        known = {key: numbers.positive(key, value) for key, value in numbers.values.items()}
        yield Case(signs, kinks, ring, known=known)


def _prescribed(claim: Claim, world: World, numbers: Polynomials) -> tuple[Key, ...] | None:
    """The pre-activations that the conditions put on their kink; None where the signs contradict the conditions."""
    kinks = []
    for condition in claim.when:
        key = _key_of(condition, world)
        if key is None:
            world.value(condition.left)
            continue
        positive = numbers.positive(key, world.symbol(f"s{key[0]}", key[1], key[2]))
        if condition.relation == ">" and not positive:
            return None
        if condition.relation in ("<", "<=", "=") and positive:
            return None
        if condition.relation in (">=", "=") and not positive:
            kinks.append(key)
    return tuple(dict.fromkeys(kinks))


def _all_kinks(prescribed: Sequence[Key], signs: dict[Key, bool]) -> tuple[Key, ...]:
    """The pre-activations that are exactly 0, by the conditions or by the case."""
    told = [(u, n, mark[:-1]) for (u, n, mark), sign in signs.items() if mark.endswith("=") and sign]
    return tuple(dict.fromkeys([*prescribed, *told]))


def _key_of(condition: Condition, world: World) -> Key | None:
    """The pre-activation that a condition compares with 0, by name or because it is the same polynomial."""
    if condition.right != num(0):
        return None
    key = world.key(condition.left)
    if key is not None or condition.left.head == "sym":
        return key
    value = world.value(condition.left)
    for unit in (1, 2):
        for steps in (0, 1):
            candidate = (unit, steps, world.inputs[0])
            if world.symbol(f"s{unit}", steps, world.inputs[0]) == value:
                return candidate
    return None


def _identical(claim: Claim, world: World, numbers: Polynomials, kinks: Sequence[Key]) -> bool | None:
    try:
        left, right = world.value(claim.left), world.value(claim.right)
    except Undefined:
        return None
    rest = left.numerator * right.denominator - right.numerator * left.denominator
    for key in _all_kinks(kinks, numbers.signs):
        if rest != 0:
            divisor = world.symbol(f"s{key[0]}", key[1], key[2]).numerator
            rest = remainder(rest, divisor) if divisor != 0 else rest
    return bool(rest == 0)


def applies(condition: Condition, claim: Claim) -> bool:
    """Conditions that a setting implies concern only the unit that the claim is about."""
    if condition in claim.when or condition.left.name == "eta":
        return True
    named = {n.name for side in (claim.left, claim.right) for n in nodes(side)}
    return condition.left.name in named
