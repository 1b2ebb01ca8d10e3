"""The second decider: z3 is asked for numbers that satisfy all conditions of a case and not the claim."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from fcsym.paper.decision import Limits, Setup
from fcsym.paper.formula import Claim, Condition, Node, nodes
from fcsym.paper.gate_cases import Case, applies, implied, world_of
from fcsym.paper.model import Key, Undefined, Unknown, World
from fcsym.paper.numbers import Point, Terms

__all__ = ["ask", "can_hold", "denominators", "differ_at", "facts_of"]


def can_hold(facts: Sequence[Any], limits: Limits) -> bool | None:
    """Whether the facts can hold together; None where z3 gives up within its limits."""
    import z3

    from fcsym.language.smt import check

    solver = z3.Solver()
    solver.set("rlimit", limits.steps)
    solver.set("timeout", max(1, int(limits.seconds * 1000)))
    solver.set("random_seed", 0)
    solver.add(*facts)
    answer = check(solver)
    return None if answer == z3.unknown else bool(answer == z3.sat)


def ask(
    case: Case, claim: Claim, setup: Setup, limits: Limits, named: bool, known: Sequence[Condition]
) -> tuple[bool | None, list[Condition]]:
    """z3 on one case: does the claim hold there (None: it does not say), and which denominators can vanish."""
    import z3

    from fcsym.language.smt import simplified

    terms, world, given = facts_of(case, claim, setup, named)
    left, right = world.value(claim.left), world.value(claim.right)
    vanishing = []
    for denominator in denominators(claim):
        zero = terms.relation("=", world.value(denominator), terms.number(Fraction(0)))
        condition = denominator.differs(0)
        if condition in known or can_hold([*terms.facts, *given, zero], limits) is not False:
            vanishing.append(condition)
            given.append(z3.Not(zero))
    goal = simplified(terms.relation("!=", left, right), som=True)
    if z3.is_false(goal):
        return True, vanishing
    answer = can_hold([*terms.facts, *given, goal], limits)
    return (None if answer is None else not answer), vanishing


def facts_of(case: Case, claim: Claim, setup: Setup, named: bool) -> tuple[Terms, World, list[Any]]:
    """The case in z3: a world of terms, whose numbers collect the facts, and the conditions."""
    terms = Terms(dict(case.signs), named)
    world = world_of(terms, setup)
    terms.fallback = lambda key, value: _twin(value, case, world)

    def fact(condition: Condition) -> Any:
        return terms.relation(condition.relation, world.value(condition.left), world.value(condition.right))

    given = [fact(condition) for condition in (*implied(setup), *claim.when) if applies(condition, claim)]
    for key, sign in case.signs.items():
        relation = ("=" if sign else "!=") if key[2].endswith("=") else (">" if sign else "<=")
        terms.tell(key, relation, world.symbol(f"s{key[0]}", key[1], key[2].rstrip("=")))
    return terms, world, given


def _twin(value: Any, case: Case, world: World) -> bool:
    """A pre-activation with another name and the same value has the sign of its twin."""
    from fcsym.language.smt import simplified

    for key, sign in case.signs.items():
        if key[2].endswith("="):
            continue
        difference = world.symbol(f"s{key[0]}", key[1], key[2]) - value
        if _is_zero(simplified(difference.numerator, som=True)):
            return sign
    if _is_zero(simplified(value.numerator, som=True)):
        return False
    raise Unknown("a pre-activation that the case does not know")


def _is_zero(term: Any) -> bool:
    import z3

    return bool(z3.is_rational_value(term) and term.as_fraction() == 0)


def denominators(claim: Claim) -> list[Node]:
    """The factors of the printed denominators."""
    found: list[Node] = []
    for side in (claim.left, claim.right):
        for node in nodes(side):
            below = [node.args[1]] if node.head == "/" else []
            if node.head == "^" and node.value < 0:
                below = [node.args[0]]
            while below:
                part = below.pop()
                if part.head in ("*", "^"):
                    below += list(reversed(part.args))
                elif part.head != "num" and part not in found and part.name != "eta":
                    found.append(part)
    return found


def differ_at(claim: Claim, setup: Setup, point: dict[str, Fraction], limits: Limits) -> bool:
    """Whether z3, given the numbers of a counterexample, finds that both sides differ."""
    import z3

    numbers = Point(0)
    numbers.drawn.update(point)
    exact = world_of(numbers, setup, free_errors=False)
    terms = Terms({}, named=False)

    def sign(key: Key, _: Any) -> bool:
        value = exact.symbol(f"s{key[0]}", key[1], key[2].rstrip("="))
        return bool(value == 0 if key[2].endswith("=") else value > 0)

    terms.fallback = sign
    world = world_of(terms, setup, free_errors=False)
    facts = [z3.Real(name) == z3.RatVal(v.numerator, v.denominator) for name, v in point.items()]
    facts += [z3.Real(name) == 0 for name in ("T5", "T6", "rest")]
    sides: list[Any] = []
    for side in (claim.left, claim.right):
        try:
            sides.append(world.value(side))
        except Undefined:
            return True  # one side has no value
    apart = terms.relation("!=", *sides)
    below = [side.denominator == 0 for side in sides if side.denominator is not None]
    return can_hold([*terms.facts, *facts, z3.Or(apart, *below)], limits) is True
