"""The paper's sentences that state mathematics: each a question that the engine answers.

Every function gives a verdict with its condition, counterexample and correction. Equations that a sentence amounts to
go through `decide`; counts, ranks and cases come from the derivation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from fcsym.derivation import derive
from fcsym.language.equation import Cases, Rule, Status
from fcsym.language.equation import Verdict as Proved
from fcsym.language.instance import Field, Instance
from fcsym.networks.network import Network
from fcsym.paper.decision import Limits, Setup, Verdict
from fcsym.paper.formula import Claim, S, derivative, iverson, text
from fcsym.paper.model import derivation
from fcsym.paper.points import points
from fcsym.paper.verdict import decide

__all__ = ["STATEMENTS", "Answer", "Statement"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found out about a sentence."""

    verdict: Verdict
    condition: str = ""
    counterexample: str = ""
    correction: Claim | str = ""
    ring: str = "silent"
    z3: str = "silent"
    note: str = ""


_TRUE = (Verdict.PROVED, Verdict.PROVED_UNDER)
_ALL = ("w1", "w2", "w3", "w4", "w5", "w6", "eta", "x1", "x2", "yg")
_HELD = Setup(("",), "held")


def forward(limits: Limits) -> Answer:
    """Y = f(X, W_1, .., W_n): what the output is made of, followed through the derivation to what nothing defines."""
    d = derivation("sequential")
    leaves, open_names, seen = set(), ["y"], set()
    while open_names:
        name = open_names.pop()
        seen.add(name)
        for array in d.by_name[name].operands:
            if array.name not in d.by_name:
                leaves.add(array.symbol)
            elif array.name not in seen:
                open_names.append(array.name)
    same = Claim(S("y"), S("w5") * S("v1") + S("w6") * S("v2"))
    decision = decide(same, Setup(), limits)
    good = leaves <= {"x", "W"} and decision.verdict is Verdict.PROVED and d.by_name["y"].rule is Rule.DEFINITION
    return Answer(
        Verdict.DEFINITION if good else Verdict.UNDECIDED, ring=decision.ring, z3=decision.z3,
        note=f"the output depends on {', '.join(sorted(leaves))} alone",
    )  # fmt: skip


def nonlinear(limits: Limits) -> Answer:
    """p is non-linear in w_5': whether w_5' dp/dw_5' is p (linear), in each case that can occur."""
    s, after, p = S("s1"), S("s1", 1), S("p")
    linear = Claim(S("w5", 1) * derivative(p), p)
    lives = decide(Claim(linear.left, linear.right, (s > 0, after > 0)), _HELD, limits)
    dies = decide(Claim(p, -S("w5", 1), (s > 0, after <= 0)), _HELD, limits)
    if lives.verdict is Verdict.REFUTED and dies.verdict is Verdict.PROVED:
        where = next(w for w in points(_HELD) if w.symbol("s1") > 0 and w.symbol("s1", 1) < 0 and w.symbol("w5", 1))
        numbers = {name: where.symbol(name) for name in ("w1", "w2", "eta", "x1", "x2")}
        at = ", ".join(f"{text(S(n))} = {v}" for n, v in numbers.items())
        return Answer(
            Verdict.PROVED_UNDER, f"{s > 0} and {after > 0}",
            f"where the unit dies p = -w_5', which is linear: {at}, dE/dY = {where.symbol('e')}, "
            f"w_5' = {where.symbol('w5', 1)}: p = {where.symbol('p')}",
            ring="identical", z3="identical", note="of degree 2 while the unit stays active",
        )  # fmt: skip
    return Answer(Verdict.UNDECIDED)


def _changes() -> tuple[list[Any], list[Any]]:
    """The rows of dv_1' that can occur with one input, and those that cannot."""
    d = derivation("sequential")
    table = d.by_name["dv1"].rhs
    assert isinstance(table, Cases)
    possible = [row for row in table if d.proof.case("dv1", row.name).possible]
    return possible, [row for row in table if row not in possible]


def three_values(limits: Limits) -> Answer:
    """How many values dv_1' can have: the different values of the cases that can occur."""
    possible, _ = _changes()
    d = derivation("sequential")
    proved = all(d.proof.case("dv1", row.name).verdict is Proved.PROVED for row in possible)
    values = list(dict.fromkeys(str(row.value) for row in possible))
    if not proved or d.proof.verdict("dv1").verdict is not Proved.PROVED:
        return Answer(Verdict.UNDECIDED)
    listed = ", ".join(f"{row.name}: {row.value}" for row in possible)
    if len(values) == 3:
        return Answer(Verdict.PROVED, ring="identical", z3="identical", note=listed)
    return Answer(Verdict.REFUTED, counterexample=listed, correction=f"{len(values)} possible values", ring="differs")


def dead_to_active(limits: Limits) -> Answer:
    """Whether the third case of the list, dead and becomes active, is the third case that occurs."""
    possible, impossible = _changes()
    if "dead -> active" not in [row.name for row in impossible]:
        return Answer(Verdict.UNDECIDED)
    third = next(row for row in possible if row.name not in ("dead -> dead", "active -> active"))
    right = Claim(S("dv1", 1), -S("s1"), (S("s1") > 0, S("s1", 1) < 0))
    proof = decide(right, Setup(), limits)
    where = next(w for w in points(Setup()) if w.symbol("s1") > 0 and w.symbol("s1", 1) < 0)
    numbers = ", ".join(f"{text(S(n))} = {where.symbol(n)}" for n in _ALL)
    return Answer(
        Verdict.REFUTED if proof.verdict is Verdict.PROVED else Verdict.UNDECIDED,
        counterexample=f"{numbers}: s_1 = {where.symbol('s1')}, "
        f"s_1' = {where.symbol('s1', 1)}: {third.name}, which the list lacks; that a dead unit wakes up cannot happen",
        correction=f"(iii) {third.name}", ring="differs", z3="differs",
        note="with one input a dead unit does not move: its gate is closed",
    )  # fmt: skip


def two_values(limits: Limits) -> Answer:
    """dE/dw_1 is 0 or dE/dY w_5 x_1, by the gate; nothing else occurs."""
    slope, s = S("dEdw1"), S("s1")
    active = decide(Claim(slope, S("e") * S("w5") * S("x1"), (s > 0,)), Setup(), limits)
    dead = decide(Claim(slope, S("e") * 0, (s <= 0,)), Setup(), limits)
    good = active.verdict is dead.verdict is Verdict.PROVED
    return Answer(Verdict.PROVED if good else Verdict.UNDECIDED, ring=active.ring, z3=active.z3)


def relu_covers(limits: Limits) -> Answer:
    """Whether the two lines of RELU cover every s."""
    import z3

    from fcsym.language.smt import check

    s = z3.Real("s")
    solver = z3.Solver()
    solver.add(z3.Not(z3.Or(s > 0, s < 0)))
    if check(solver) == z3.unsat:
        return Answer(Verdict.DEFINITION, z3="identical")
    gap = solver.model()[s].as_fraction()
    return Answer(
        Verdict.DEFINITION, "s != 0", f"s = {gap}: no line holds", "0 if s <= 0", z3="differs",
        note="the value at the kink is left open, and with it the derivative there",
    )  # fmt: skip


def storage(limits: Limits) -> Answer:
    """That every input must be stored: a unit's state after two steps, from two numbers."""
    inputs = ((1, 0), (0, 1), (1, 1))
    rank = _rank([[Fraction(n) for n in row] for row in inputs])
    probe = Claim(
        S("s1", 1, "@"),
        S("s1", 0, "@")
        - S("eta")
        * S("e")
        * S("w5", 1)
        * (S("x1") * S("x1", 0, "@") + S("x2") * S("x2", 0, "@"))
        * iverson(S("s1") > 0),
    )
    enough = Claim(S("s1", 2, "*"), S("w1", 2) * S("x1", 0, "*") + S("w2", 2) * S("x2", 0, "*"))
    step, state = decide(probe, Setup(), limits), decide(enough, Setup(("", "@")), limits)
    good = step.verdict is state.verdict is Verdict.PROVED and rank < len(inputs)
    return Answer(
        Verdict.REFUTED if good else Verdict.UNDECIDED,
        counterexample=f"x = (1, 0), x@ = (0, 1), x* = (1, 1): {len(inputs)} inputs of rank {rank}; s_1'' on any input "
        f"is a combination of {rank} numbers per unit, its values on two probes, however long the sequence is",
        correction=probe, ring=step.ring, z3=step.z3,
        note="for a probe x@ of a basis this updates the state, and no input is stored",
    )  # fmt: skip


def _rank(rows: list[list[Fraction]]) -> int:
    rank, rows = 0, [list(row) for row in rows]
    for column in range(len(rows[0])):
        pivot = next((n for n in range(rank, len(rows)) if rows[n][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for n in range(rank + 1, len(rows)):
            factor = rows[n][column] / rows[rank][column]
            rows[n] = [a - factor * b for a, b in zip(rows[n], rows[rank], strict=True)]
        rank += 1
    return rank


def operations(inputs: int, hidden: int) -> int:
    """Arithmetic operations for one step's p of every unit of a network with one hidden layer, all active."""
    d = derive(Network.parse(f"{inputs}-{hidden}-1"), "sequential")
    count = 0

    def tick(times: int) -> int:
        nonlocal count
        count += times
        return 0

    field = Field(
        lambda _: 0, lambda a, b: tick(1), lambda node, source, value: 0,
        lambda cases, where, value: value(next(row.value for row in cases if row.value is not None)),
        lambda terms: tick(len(terms) - 1), lambda factors: tick(len(factors) - 1),
    )  # fmt: skip
    equations = {e.array: e for e in d if e.defines}
    instance = Instance(equations, d.network.sizes, lambda array, position: 0, field)
    p = d.by_name["p"].array
    for j in range(hidden):
        instance.element(p, (0, j))
    return count


def constant_time(limits: Limits) -> Answer:
    """Whether the operations of a step depend on the widths: counted, and fitted by a polynomial that is tested."""
    base, more, wider = operations(2, 2), operations(3, 2), operations(2, 3)
    mixed = operations(3, 3) - more - wider + base
    constant = base - 2 * (more - base) - 2 * (wider - base) + 4 * mixed
    a, b = more - base - 2 * mixed, wider - base - 2 * mixed
    fits = all(operations(n, m) == constant + a * n + b * m + mixed * n * m for n, m in product((1, 4, 7), (1, 5, 8)))
    if not fits or not (more != base or wider != base):
        return Answer(Verdict.UNDECIDED)
    terms = [(constant, ""), (a, " n_0"), (b, " n_1"), (mixed, " n_0 n_1")]
    formula = " + ".join(f"{n}{name}" for n, name in reversed(terms) if n).replace("+ -", "- ")
    return Answer(
        Verdict.REFUTED,
        counterexample=f"2-2-1 takes {base} operations for one step's p, 3-2-1 takes {more}, 2-3-1 takes {wider}",
        correction=f"{formula} operations per step for n_0-n_1-1, all units active", ring="differs",
        note="counted on the derivation; the formula is tested at nine other sizes",
    )  # fmt: skip


def induction(limits: Limits) -> Answer:
    """Whether a network with two hidden layers can be collapsed: where its compensation exists."""
    from fcsym.proof.joint import witness

    net = Network.parse("2-2-2-1")
    d = derive(net, "sequential")
    holds = d.proof.verdict("compensation").verdict is Proved.PROVED
    woken = d.proof.case("p", "dead -> active")
    row = next(r for r in d.by_name["p"].rhs if r.name == "dead -> active")  # type: ignore[union-attr]
    if not holds or row.status is not Status.UNDEFINED or woken.verdict is not Proved.PROVED:
        return Answer(Verdict.UNDECIDED)
    found = witness(net, "sequential", lambda pattern: (0, 1) in pattern[2:])
    if found is None:
        return Answer(Verdict.UNDECIDED)
    return Answer(
        Verdict.PROVED_UNDER, "v_j^c != 0 or dv_j' = 0 for every unit j of the last hidden layer, and one input",
        f"2-2-2-1: {found}: a unit of the last hidden layer wakes up, v^c = 0 and dv' != 0, so that no p solves "
        "v^c p = w' dv'",
        ring="identical", z3="identical", note=woken.note.replace("`", ""),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence: the function that answers it, and why no theorem over real numbers says it."""

    answer: Callable[[Limits], Answer]
    no_theorem: str


STATEMENTS: dict[str, Statement] = {
    f.__name__: Statement(f, why)
    for f, why in (
        (forward, "it names a function and says nothing of it: what the output is made of is a definition of the file"),
        (nonlinear, "it is about the form of a formula: that w_5' dp/dw_5' is not p has a row with numbers"),
        (three_values, "it counts values that rows on them name: what is certified with the derivation is each case"),
        (dead_to_active, "it is an item of a list of cases: that it cannot occur is certified with the derivation"),
        (two_values, "it counts values that rows on them name"),
        (relu_covers, "it is a definition that leaves a point out, and no claim about the network"),
        (storage, "it is about what has to be stored, and not about a value"),
        (constant_time, "it is about a number of operations, and not about a value"),
        (induction, "it is about networks of any depth: the step of each is certified with its derivation"),
    )
}
