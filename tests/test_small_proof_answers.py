"""What is said of an equation, of a row and of a table follows from what the deciders answer, whatever they answer.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from test_small_proofs import HAT, LAYERS, MORE, STEPS, changed, mlp

import fcsym
from fcsym import Linear, Network, Residual
from fcsym.language.activation import activation
from fcsym.language.algebra import inline
from fcsym.language.equation import Cases, Rule, Status, Verdict
from fcsym.language.expression import ZERO, Apply, Array, Expr, Extreme, Role, add, mul
from fcsym.language.findings import Counterexample, Finding
from fcsym.proof import _Examiner, prove, search
from fcsym.proof.expanded import Expansion
from fcsym.proof.obligations import Meanings
from fcsym.proof.schemes import prove_scheme
from fcsym.proof.structure import flaws, gates_needed
from fcsym.proof.tables import Table

ANSWERS = list(product((True, False, None), repeat=2))


@cache
def derived():
    return fcsym.derive(mlp([1, 1, 1]))


@cache
def examiner_of():
    return _Examiner(derived())


def says(monkeypatch, index, expanded, full, sees):
    """Deciders that give these answers, whatever they are asked."""
    for name in ("holds", "case_holds"):
        monkeypatch.setattr(Meanings, name, lambda *_: index)
        monkeypatch.setattr(Expansion, name, lambda *_: expanded)
    monkeypatch.setattr(search, "_TRIES", 1)
    monkeypatch.setattr(Expansion, "expands", lambda *_: full)
    monkeypatch.setattr(Expansion, "integral_in_full", lambda *_: full)
    monkeypatch.setattr(Expansion, "sees", lambda *_: sees)
    monkeypatch.setattr(examiner_of().expansion, "in_full", full)
    return examiner_of(), {True: "identical", False: "differs", None: ""}


def wanted(index, expanded, sees):
    """Nothing is proved where one of them disagrees, or where none has seen the statement itself."""
    if False in (index, expanded) or index is expanded is None:
        return Verdict.UNDECIDED
    return Verdict.PROVED if index or sees else Verdict.SAMPLED


@pytest.mark.parametrize(("index", "expanded"), ANSWERS)
def test_an_equation_is_proved_where_all_who_speak_agree(index, expanded, monkeypatch):
    """What only one of them has tried, at points or at smaller widths, is no proof; a definition stays one."""
    for full, sees in product((True, False), repeat=2):
        examiner, words = says(monkeypatch, index, expanded, full, sees)
        at_points = "identical" if full else "identical at random points"
        for name in ("delta1", "W1_new", "dy"):
            found = examiner.equation(derived()[name])
            assert found.verdict is wanted(index, expanded, sees), found
            assert found.index == words[index]
            assert found.expanded == (at_points if expanded else words[expanded])
            assert ("only tried" in found.note) is (found.verdict is Verdict.SAMPLED)
            assert ("sees a difference" in found.note) is (False in (index, expanded))
            assert ("neither decider" in found.note) is (index is expanded is None)
        made, found = wanted(index, expanded, sees), examiner.equation(derived()["y"])
        assert found.verdict is (Verdict.DEFINITION if made is Verdict.PROVED else made)


@pytest.mark.parametrize(("index", "expanded"), ANSWERS)
def test_a_row_is_proved_where_all_who_speak_agree(index, expanded, monkeypatch):
    """Of what neither understands it is not said that one sees a difference."""
    for full, whole, sees in product((True, False), repeat=3):
        examiner, words = says(monkeypatch, index, expanded, full, sees)
        monkeypatch.setattr(Expansion, "integral_in_full", lambda *_, whole=whole: whole)
        for name in ("dv1", "p", "P"):
            in_full = full and (whole or name != "P")
            at_points = "identical" if in_full else "identical at random points"
            found = {f.case: f for f in examiner.table(derived()[name])}[derived()[name].rhs.branches[0].name]
            assert found.verdict is wanted(index, expanded, sees and in_full), found
            assert found.index == words[index]
            assert found.expanded == (at_points if expanded else words[expanded])
            assert ("only tried" in found.note) is (found.verdict is Verdict.SAMPLED)
            assert ("sees a difference" in found.note) is (False in (index, expanded))
            assert ("neither decider" in found.note) is (index is expanded is None)


@pytest.mark.parametrize("name", ["dv1", "p"])
@pytest.mark.parametrize(("covers", "excludes"), ANSWERS)
def test_a_table_is_proved_where_its_rows_cover_everything_once(covers, excludes, name, monkeypatch):
    """It is refuted where one of the two is false, and nothing is said of either where z3 does not answer."""
    monkeypatch.setattr(Table, "covers", lambda _: covers)
    monkeypatch.setattr(Table, "excludes", lambda _: excludes)
    monkeypatch.setattr(Table, "gap", lambda _: {"s": 3, "ds": 5})
    whole, *rows = examiner_of().table(derived()[name])
    proved = Verdict.CHOSEN if name == "p" else Verdict.PROVED
    assert whole.verdict is (Verdict.REFUTED if False in (covers, excludes) else
                             Verdict.UNDECIDED if None in (covers, excludes) else proved)  # fmt: skip
    assert ("z3" in whole.note) is (whole.expanded == "z3") is bool(covers and excludes)
    assert (whole.counterexample is not None) is (False in (covers, excludes))
    if whole.counterexample is not None:
        assert whole.counterexample.point == {"s": 3, "ds": 5} and name in whole.counterexample.quantity
    assert ("s = 3, ds = 5" in whole.note) is (False in (covers, excludes))
    assert ("no case holds" in whole.note) is (covers is False)
    assert ("two cases hold" in whole.note) is (covers is not False and excludes is False)
    assert {f.verdict for f in rows} <= {Verdict.PROVED, Verdict.CHOSEN}


WORST_FIRST = [Verdict.REFUTED, Verdict.UNDECIDED, Verdict.SAMPLED, Verdict.PROVED]


@pytest.mark.parametrize("name", ["dv1", "p"])
def test_a_table_is_not_better_than_its_worst_row(name, monkeypatch):
    for name_of in ("covers", "excludes"):
        monkeypatch.setattr(Table, name_of, lambda _: True)
    for two in product(WORST_FIRST, repeat=2):
        verdicts = (Verdict.PROVED, *two, Verdict.PROVED)
        points = [Counterexample({}, str(n), 1, 2) if v is Verdict.REFUTED else None for n, v in enumerate(verdicts)]
        given = iter(zip(verdicts, points, strict=True))

        def row(_, e, b, __, given=given):
            verdict, at = next(given)
            return Finding(e.name, b.name, verdict, counterexample=at)

        monkeypatch.setattr(_Examiner, "_row", row)
        whole, *rows = examiner_of().table(derived()[name])
        assert tuple(f.verdict for f in rows) == verdicts
        worst = min(verdicts, key=WORST_FIRST.index)
        best = Verdict.CHOSEN if name == "p" else Verdict.PROVED
        assert whole.verdict is (best if worst is Verdict.PROVED else worst)
        assert whole.counterexample is next((at for at in points if at is not None), None)


LISTS = {"plain": STEPS["plain"], "beside": MORE["beside, with adam"]}


@pytest.mark.parametrize("name", LISTS)
def test_of_an_incomplete_list_every_equation_is_undecided_and_named_once(name):
    """What is left out, or stands twice, is named with what is wrong; of all others it is said why they are not."""
    network, setting = LISTS[name]
    d = fcsym.derive(network, **setting)
    for equations, wrong in [(d.equations[1:], d.equations[0].name), ((*d.equations, d.equations[2]), None)]:
        proof = prove(replace(d, equations=equations))
        names = [f.equation for f in proof.findings]
        assert {f.verdict for f in proof.findings} == {Verdict.UNDECIDED} and not proof.holds
        assert set(names) == {e.name for e in d.equations} and (wrong is None or len(names) == len(set(names)))
        found = dict(flaws(d.network, equations))
        for f in proof.findings:
            said = f"{f.equation} {found[f.equation]}" if f.equation in found else "the derivation is incomplete"
            assert f.note == said
    step = fcsym.scheme(mlp([1, 1, 1]), "backprop")
    routine = step.routines["step"]
    made = replace(step, routines={**step.routines, "step": replace(routine, equations=routine.equations[1:])})
    for part, proof in prove_scheme(made).items():
        names = [f.equation for f in proof.findings]
        assert set(names) >= {e.name for e in getattr(made, part)} and len(set(names)) == len(names)
        assert {f.verdict for f in proof.findings} <= {Verdict.UNDECIDED} and proof.holds is not bool(names)


@pytest.mark.parametrize("name", LISTS)
def test_an_equation_that_is_called_something_else_is_no_equation_of_a_list(name):
    """One about another array, under the name that is wanted; and one that defines nothing, though it should."""
    network, setting = LISTS[name]
    d = fcsym.derive(network, **setting)
    other = Array("other", None, ())[()]
    for n, e in enumerate(d.equations):
        if not e.defines:
            wrong = [replace(e, label="", lhs=Array(e.name, None, e.lhs.array.axes)[e.lhs.indices])]
        else:
            a = e.array
            alike = replace(a, layer=99) if a.layer != 99 else a
            wrong = [replace(e, lhs=alike[e.lhs.indices], label=""), replace(e, label=e.name)]
            wrong += [replace(e, lhs=other, label=e.name)]
        for one in wrong:
            if one.name != e.name or (one.array == e.array and one.defines == e.defines):
                continue
            found = flaws(d.network, (*d.equations[:n], one, *d.equations[n + 1 :]))
            assert (e.name, "does not say what it is called") in found, one


@pytest.mark.parametrize("name", LISTS)
def test_an_equation_rests_on_what_stands_before_it(name):
    """What it mentions, and what its reason names: else two could be proved by each other."""
    network, setting = LISTS[name]
    d = fcsym.derive(network, **setting)
    for n, e in enumerate(d.equations):
        later = next((one for one in d.equations[n + 1 :] if e.array in one.operands and e.defines), None)
        if later is None:
            continue
        others = [one for one in d.equations if one not in (e, later)]
        found = flaws(d.network, (*others[:n], later, e, *others[n:]))
        early = [said.split()[1] for blamed, said in found if blamed == later.name and said.endswith("it stands")]
        assert len(early) == 1 and d[early[0]] in d.equations[n : d.equations.index(later)]
    cited = replace(d.equations[0], uses=(d.equations[-1].name,))
    assert (cited.name, f"uses {d.equations[-1].name} before it stands") in flaws(d.network, (cited, *d.equations[1:]))


ALONE = [
    "plain", "two outputs", "bias in the middle", "shared bias", "frozen weights", "momentum", "nesterov", "rmsprop",
    "adam", "adamw", "mean", "two samples", "smooth, huber", "softmax", "bce on logits", "tokens", "positions",
    "identity", "patches",
]  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_each_of_the_two_sees_alone_what_is_changed(name):
    """Neither leans on the other one: what one of them knows, and what it does not know twice as much of."""
    network, setting = (STEPS | LAYERS | MORE)[name]
    d = fcsym.derive(network, **setting)
    examiner, seen = _Examiner(d), 0
    for e in d.equations:
        if not isinstance(e.rhs, Expr):
            continue
        for decider in (examiner.meanings, examiner.expansion):
            said = decider.holds(e)
            unknown = said is None or isinstance(e.rhs, Extreme)  # of twice the greatest one nothing is known
            assert said is not False and decider.holds(changed(e)) in ((None, False) if unknown else (False,)), e
            seen += said is True
        assert e.rule is Rule.SPLIT or e.name in ("r", "vc") or examiner.meanings.holds(e) is True, e
    assert seen > len(d.equations)


@pytest.mark.parametrize("name", ["p", "P"])
def test_a_row_with_another_status_is_not_proved(name, monkeypatch):
    """That 0 is chosen where one value is right, or that there is none: of p at numbers of the unit."""
    monkeypatch.setattr(search, "_TRIES", 60)
    e = derived()[name]
    for n, row in enumerate(e.rhs):
        right = row.status, row.value
        for status, value in {(Status.CHOSEN, ZERO), (Status.UNDEFINED, None)} - {right}:
            one = replace(row, status=status, value=value)
            made = replace(e, rhs=Cases((*e.rhs.branches[:n], one, *e.rhs.branches[n + 1 :])))
            whole, *rows = examiner_of().table(made)
            found = rows[n]
            assert found.verdict is whole.verdict is (Verdict.REFUTED if name == "p" else Verdict.UNDECIDED)
            if name == "P":
                assert found.counterexample is whole.counterexample is None
                continue
            at = found.counterexample
            assert at is whole.counterexample and str(at) == found.note
            v, after = (max(s, 0) for s in (at.point["s"], at.point["s"] + at.point["ds"]))
            true = at.point["W'"] * (after - v) / v if v else None if after else 0
            assert (at.derived, at.true) == (None if value is None else 0, true) and at.derived != at.true


INTEGRALS = {
    "deeper": (mlp([1, 1, 1, 1]), "simultaneous"),
    "deeper, with biases": (mlp([1, 1, 2, 1], bias=True), "sequential"),
    "shared bias": (mlp([1, 2, 1], bias=True).shared("b1"), "sequential"),
    "two outputs": (mlp([1, 1, 2], "leaky_relu"), "simultaneous"),
}


@pytest.mark.parametrize("name", INTEGRALS)
def test_index_notation_alone_sees_what_is_no_integral(name):
    """Twice of it has twice the slope, and one more is not 0 at the weight of the start."""
    d = fcsym.derive(*INTEGRALS[name])
    meanings, seen = Meanings.of(d.network, d.order, d.by_name), 0
    for row in d["P"].rhs:
        said = meanings.case_holds(d["P"], row)
        assert said is (True if row.status is Status.VALUE and " at " not in row.name else None), row
        for wrong in (mul(2, row.value), add(row.value, 1)) if said and row.value != ZERO else ():
            assert meanings.case_holds(d["P"], replace(row, value=wrong)) is False
            seen += 1
    assert seen > 1


ROWS = {"relu": "relu", "leaky": "leaky_relu", "hat": HAT, "tanh": "tanh"}


@pytest.mark.parametrize("name", ROWS)
def test_index_notation_alone_sees_what_is_wrong_in_a_row(name):
    """One more than a change, or than p, on every pair of pieces."""
    d = fcsym.derive(mlp([1, 1, 1], ROWS[name]))
    meanings, seen = Meanings.of(d.network, d.order, d.by_name), 0
    for e in (d["dv1"], d["p"]):
        for row in e.rhs if isinstance(e.rhs, Cases) else ():
            said = meanings.case_holds(e, row)
            assert said is (True if row.status is Status.VALUE else None), row
            if said:
                assert meanings.case_holds(e, replace(row, value=add(row.value, 1))) is False
                seen += 1
    assert seen == {"relu": 6, "leaky": 8, "hat": 18, "tanh": 1}[name]


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_a_gate_is_the_slope_of_its_unit(phi):
    """An adjoint may have either of the two; not the slope of another function, nor the slope of a slope."""
    d = fcsym.derive(mlp([1, 1, 1], phi))
    meanings, e, gate = Meanings.of(d.network, d.order, d.by_name), d["delta1"], d["g1"]
    assert gate.array in e.operands and meanings.holds(e) is True
    s, own = gate.rhs.argument.array, gate.rhs.activation
    for function, derivative in [(own, 1), (own, 0), (own, 2), (activation("leaky_relu"), 1)]:
        put = {gate.array: (gate.lhs.indices, Apply(function, s[gate.lhs.indices], derivative))}
        right = function == own and derivative == 1
        assert meanings.holds(replace(e, rhs=inline(e.rhs, put))) is right, (function, derivative)


def test_points_are_nothing_in_full():
    """What is only tried there is said to be."""
    network, setting = MORE["beside, with adam"]
    d = fcsym.derive(network, **setting)
    expansion = _Examiner(d).expansion
    assert not (expansion.in_full or expansion.integral_in_full())
    assert not any(expansion.sees(e) or expansion.expands(e) for e in d.equations)


def test_of_what_is_above_0_by_its_form_it_is_not_said_that_it_must_not_be_0():
    """The sum of exp that a softmax divides by, in a step and in a gradient, of stacks and of layers."""
    layers = Network.sequential((1,), [Residual([Linear(1, 1)]), Linear(1, 2)], output="softmax", loss="cross_entropy")
    for network in (STEPS["softmax"][0], layers):
        proofs = [fcsym.derive(network).proof, fcsym.gradient(network, "E", "W1").proof]
        for proof in proofs:
            assert proof.holds and not [f for f in proof.findings if any("Z" in str(c.subject) for c in f.where)]


@pytest.mark.parametrize("name", ["dv1", "p", "P"])
def test_a_table_without_rows_is_no_table(name):
    """It has no value anywhere, and nothing is asked of z3."""
    d = derived()
    equations = tuple(replace(e, rhs=Cases(())) if e.name == name else e for e in d.equations)
    assert flaws(d.network, equations) == [(name, "has no cases")]
    proof = prove(replace(d, equations=equations))
    assert not proof.holds and {f.note for f in proof.findings if f.equation == name} == {f"{name} has no cases"}


GATES = {
    "relu, linear": (mlp([1, 1, 1]), ["s1"]),
    "relu, identity, linear": (mlp([1, 1, 1, 1], ["relu", "identity"]), ["s1"]),
    "all of them": (mlp([1, 1, 1], "tanh", output="relu", loss="l1"), ["s1", "s2"]),
    "squares of a sigmoid": (mlp([1, 1, 1], output="sigmoid"), ["s1", "s2"]),
    "the loss goes around a sigmoid": (mlp([1, 1, 1], output="sigmoid", loss="bce"), ["s1"]),
    "the loss goes around a softmax": (mlp([1, 1, 2], output="softmax", loss="cross_entropy"), ["s1"]),
    "squares of a softmax": (mlp([1, 1, 2], output="softmax"), ["s1"]),
}


@pytest.mark.parametrize("name", GATES)
def test_a_list_needs_the_gates_that_its_adjoints_pass(name):
    """Not of an identity, and not where the loss is about the logits."""
    network, needed = GATES[name]
    assert sorted(a.name for a in gates_needed(network)) == needed


COMPLETE = [
    "two outputs", "momentum", "adam", "two samples", "shared bias above", "frozen weights", "softmax",
    "no hidden layer", "convolution", "norm", "tokens", "frozen among layers", "beside, with adam", "read by two",
    "positions", "identity", "patches, with momentum",
]  # fmt: skip


@pytest.mark.parametrize("name", COMPLETE)
def test_a_list_is_complete_as_it_is_and_not_without_any_of_its_equations(name):
    """But for what an adjoint of layers is made of, which has a name where it is needed."""
    network, setting = (STEPS | MORE | LAYERS)[name]
    d = fcsym.derive(network, **setting)
    assert flaws(d.network, d.equations) == []
    for n, e in enumerate(d.equations):
        found = flaws(d.network, d.equations[:n] + d.equations[n + 1 :])
        needed = d.network.built is None or e.array.role not in (Role.GATE, Role.ADJOINT)
        assert ((e.name, "is missing") in found) is needed
        assert needed or found or not any(e.array in one.operands for one in d.equations)


def test_a_row_of_the_integrated_contribution_says_whether_its_identity_was_expanded(monkeypatch):
    """Quotients grow faster than all else: P may be evaluated at random points where p is expanded."""
    d = fcsym.derive(fcsym.Network.parse("2-2-1"))
    usual = {f.expanded for f in d.proof.findings if f.equation == "P" and f.case}
    monkeypatch.setattr(Expansion, "integral_in_full", lambda *asked: False)
    found = fcsym.derive(fcsym.Network.parse("2-2-1")).proof.findings
    words = {name: {f.expanded for f in found if f.equation == name and f.case} for name in ("p", "P")}
    assert usual == words["p"] == {"identical", "z3"}
    assert words["P"] == {"identical at random points", "z3"}
