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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from functools import cache
from itertools import combinations
from typing import Any

from fcsym.errors import ArgumentError
from fcsym.language.equation import Order
from fcsym.language.spelling import exact
from fcsym.paper.formula import Claim, Condition, Node, S, nodes, num, plain, plain_condition, series
from fcsym.paper.model import Key, Undefined, Unknown, World
from fcsym.paper.numbers import Fork, Point, Polynomials, Terms, compare, remainder
from fcsym.paper.recheck import recheck

__all__ = ["Counterexample", "Decision", "Limits", "Setup", "Verdict", "decide"]

_POINTS = 1500
_MANY = 200  # points after which the best counterexample so far will do
_ENOUGH = 12  # counterexamples among which the simplest is chosen
_FEW = 150  # points that are tried before z3 is asked whether a case can occur


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
class Decision:
    """What was found out about a claim."""

    verdict: Verdict
    condition: tuple[Condition, ...] = ()
    counterexample: Counterexample | None = None
    ring: str = "silent"  # identical, differs, silent
    z3: str = "silent"
    note: str = ""


@dataclass(slots=True)
class _Case:
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
        return self.ring is True and self.z3 is True


# ------------------------------------------------------------------------------------------------ the claim


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


def _ring_names(claim: Claim, setup: Setup) -> tuple[str, ...]:
    errors = tuple(dict.fromkeys(f"e{mark}" for mark in setup.inputs))
    series = ("T5", "T6", "rest") if setup.setting == "series" else ()
    return variables(claim, setup) + errors + series


def _world(numbers: Any, setup: Setup, free_errors: bool = True) -> World:
    return World(numbers, setup.inputs, setup.setting, setup.order, free_errors)


def _implied(setup: Setup) -> tuple[Condition, ...]:
    """What every claim of a setting takes for granted."""
    positive = (S("eta") > 0,)
    if setup.setting == "series":  # the unit was active all along: the initial state is one of the steps before
        return (*positive, S("v1c") > 0, S("v2c") > 0)
    return positive


# -------------------------------------------------------------------------------------------- the first decider


def _cases(claim: Claim, setup: Setup, fixed: Mapping[str, str | int] | None = None) -> Iterator[_Case]:
    """Every assignment of signs that the claim can tell apart and its conditions do not exclude at once.

    `fixed`: variables that have the value of another one, or a number.
    """
    names = _ring_names(claim, setup)
    open_cases: list[dict[Key, bool]] = [{}]
    while open_cases:
        signs = open_cases.pop()
        numbers = Polynomials(names, signs)
        for name, value in (fixed or {}).items():
            special = numbers.variable(value) if isinstance(value, str) else numbers.number(Fraction(value))
            numbers.fixed[name] = special
        world = _world(numbers, setup)
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
        yield _Case(signs, kinks, ring, known=known)


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


# ------------------------------------------------------------------------------------------- the second decider


def _z3(facts: Sequence[Any], limits: Limits) -> bool | None:
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


def _ask(
    case: _Case, claim: Claim, setup: Setup, limits: Limits, named: bool, known: Sequence[Condition]
) -> tuple[bool | None, list[Condition]]:
    """z3 on one case: does the claim hold there (None: it does not say), and which denominators can vanish."""
    import z3

    from fcsym.language.smt import simplified

    terms, world, given = _facts(case, claim, setup, named)
    left, right = world.value(claim.left), world.value(claim.right)
    vanishing = []
    for denominator in denominators(claim):
        zero = terms.relation("=", world.value(denominator), terms.number(Fraction(0)))
        condition = denominator.differs(0)
        if condition in known or _z3([*terms.facts, *given, zero], limits) is not False:
            vanishing.append(condition)
            given.append(z3.Not(zero))
    goal = simplified(terms.relation("!=", left, right), som=True)
    if z3.is_false(goal):
        return True, vanishing
    answer = _z3([*terms.facts, *given, goal], limits)
    return (None if answer is None else not answer), vanishing


def _facts(case: _Case, claim: Claim, setup: Setup, named: bool) -> tuple[Terms, World, list[Any]]:
    """The case in z3: a world of terms, whose numbers collect the facts, and the conditions."""
    terms = Terms(dict(case.signs), named)
    world = _world(terms, setup)
    terms.fallback = lambda key, value: _twin(value, case, world)

    def fact(condition: Condition) -> Any:
        return terms.relation(condition.relation, world.value(condition.left), world.value(condition.right))

    given = [fact(condition) for condition in (*_implied(setup), *claim.when) if _applies(condition, claim)]
    for key, sign in case.signs.items():
        relation = ("=" if sign else "!=") if key[2].endswith("=") else (">" if sign else "<=")
        terms.tell(key, relation, world.symbol(f"s{key[0]}", key[1], key[2].rstrip("=")))
    return terms, world, given


def _twin(value: Any, case: _Case, world: World) -> bool:
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


def _applies(condition: Condition, claim: Claim) -> bool:
    """Conditions that a setting implies concern only the unit that the claim is about."""
    if condition in claim.when or condition.left.name == "eta":
        return True
    named = {n.name for side in (claim.left, claim.right) for n in nodes(side)}
    return condition.left.name in named


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


# ------------------------------------------------------------------------------------------------ counterexamples


def points(setup: Setup) -> Iterator[World]:
    """Small exact numbers to try a claim at."""
    return (world for _, world in _pool(setup))


def _pool(setup: Setup, most: int = _POINTS) -> Iterator[tuple[Point, World]]:
    """Points, each drawn once and only when one gets there."""
    drawn = _drawn(setup)
    for seed in range(most):
        if seed == len(drawn):
            point = Point(seed)
            drawn.append((point, _world(point, setup, free_errors=False)))
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


def _implied_at(claim: Claim, setup: Setup) -> tuple[Condition, ...]:
    return tuple(c for c in _implied(setup) if _applies(c, claim) and c.left.name != "eta")


def counterexample(claim: Claim, setup: Setup) -> Counterexample | None:
    """The simplest of some small numbers at which the claim fails; where possible, both sides have values there."""
    names = [*variables(claim, setup), *(f"yg{mark}" for mark in dict.fromkeys(setup.inputs))]
    best: tuple[tuple[bool, int], dict[str, Fraction], Any] | None = None
    hits = 0
    for n, (point, world) in enumerate(_pool(setup)):
        if n >= _MANY and best is not None:
            break
        sides = sides_at(claim, world, _implied_at(claim, setup))
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


def _z3_at(claim: Claim, setup: Setup, point: dict[str, Fraction], limits: Limits) -> bool:
    """Whether z3, given the numbers of a counterexample, finds that both sides differ."""
    import z3

    numbers = Point(0)
    numbers.drawn.update(point)
    exact = _world(numbers, setup, free_errors=False)
    terms = Terms({}, named=False)

    def sign(key: Key, _: Any) -> bool:
        value = exact.symbol(f"s{key[0]}", key[1], key[2].rstrip("="))
        return bool(value == 0 if key[2].endswith("=") else value > 0)

    terms.fallback = sign
    world = _world(terms, setup, free_errors=False)
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
    return _z3([*terms.facts, *facts, z3.Or(apart, *below)], limits) is True


# --------------------------------------------------------------------------------------------------- the verdict


@dataclass(frozen=True, slots=True)
class Either:
    """One of two conditions."""

    first: Condition
    second: Condition

    def __str__(self) -> str:
        return f"{self.first} or {self.second}"


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


def decide(claim: Claim, setup: Setup = Setup(), limits: Limits = Limits()) -> Decision:  # both are frozen
    """Claim => verdict, with the condition or the counterexample that belongs to it."""
    if setup.setting == "series" and not _inductive(limits):
        return Decision(Verdict.UNDECIDED, note="the induction over the steps is not proved")
    return _decide(claim, setup, limits)


def _decide(claim: Claim, setup: Setup, limits: Limits) -> Decision:
    cases = sorted(_cases(claim, setup), key=lambda case: (sum(case.signs.values()), sorted(case.signs)))
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
        return Decision(Verdict.PROVED_UNDER, needed, _shown_outside(claim, setup), **agreed)
    found = _condition(real, setup, claim)
    if found is not None:
        return Decision(Verdict.PROVED_UNDER, found, _shown_outside(claim, setup), **agreed)
    return _refute(claim, setup, bad, limits)


def _witnessed(cases: Sequence[_Case], claim: Claim, setup: Setup) -> set[int]:
    """The cases that some small numbers belong to: these need no proof that they can occur."""
    found: set[int] = set()
    for _, world in _pool(setup, _FEW):
        try:
            if not all(satisfied(c, world) for c in (*claim.when, *_implied_at(claim, setup))):
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


def _examine(case: _Case, claim: Claim, setup: Setup, limits: Limits, vanishing: list[Condition]) -> None:
    """Ask z3; first with the engine's quotients as variables of their own, then with cross products.

    `vanishing` collects the denominators that are known to vanish somewhere, which are not asked about again.
    """
    for named in (True, False):
        first = replace(limits, steps=max(1, limits.steps // 10)) if named else limits
        case.z3, case.vanishing = _ask(case, claim, setup, first, named, vanishing)
        if case.z3 is not None:
            vanishing += [condition for condition in case.vanishing if condition not in vanishing]
            return


def _feasible(case: _Case, claim: Claim, setup: Setup, limits: Limits) -> bool:
    """Whether some numbers have these signs and satisfy the conditions; True where z3 cannot tell."""
    terms, _, given = _facts(case, claim, setup, named=False)
    return _z3([*terms.facts, *given], limits) is not False


def _satisfiable(cases: Sequence[_Case], claim: Claim, setup: Setup, limits: Limits) -> bool:
    """Whether anything satisfies the conditions of the claim."""
    conditions = (*claim.when, *_implied_at(claim, setup))
    for world in points(setup):
        try:
            if all(satisfied(condition, world) for condition in conditions):
                return True
        except Undefined:
            continue
    return any(_feasible(case, claim, setup, limits) for case in cases)


def _vanishing(cases: Sequence[_Case]) -> tuple[Condition, ...]:
    return tuple(dict.fromkeys(condition for case in cases for condition in case.vanishing))


def _condition(cases: Sequence[_Case], setup: Setup, claim: Claim) -> tuple[Any, ...] | None:
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


def _options(cases: Sequence[_Case], setup: Setup, claim: Claim) -> Iterator[tuple[Any, Any]]:
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


def _shown_outside(claim: Claim, setup: Setup) -> Counterexample | None:
    """Why the condition is needed."""
    return counterexample(claim, setup)


def _refute(claim: Claim, setup: Setup, bad: Sequence[_Case], limits: Limits) -> Decision:
    found = _shown_outside(claim, setup)
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
    if not _z3_at(claim, setup, found.point, limits):
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
    names = _ring_names(claim, setup)
    for special in _SPECIAL:
        if not all(name in names for name, _ in special):
            continue
        cases: list[_Case] = []
        for case in _cases(claim, setup, dict(special)):
            cases.append(case)
            if not case.ring:  # one is enough
                break
        if not cases or not cases[-1].ring:
            continue
        inputs = tuple(S(n[:2], 0, n[2:]).equals(S(v) if isinstance(v, str) else v) for n, v in special)
        there = replace(claim, when=(*claim.when, *inputs))
        if all(_ask(case, there, setup, limits, named=False, known=()) == (True, []) for case in cases):
            return inputs
    return ()
