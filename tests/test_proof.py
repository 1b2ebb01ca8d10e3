from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from itertools import islice

import pytest
from conftest import ORDERS, few

import fcsym
from fcsym.derivation import derive
from fcsym.language.equation import Branch, Cases, Rule, Status, Verdict
from fcsym.language.expression import Add, Mul, Number, Pow, Ref, Total, add, mul, power, total
from fcsym.networks.network import Network
from fcsym.proof import prove
from fcsym.proof.expanded import Expansion
from fcsym.proof.numbers import Quotient, product
from fcsym.proof.tables import Table


def test_everything_is_proved(derivation):
    wrong = [f for f in derivation.proof.findings if f.verdict in (Verdict.REFUTED, Verdict.UNDECIDED)]
    assert not wrong
    assert derivation.proof.holds


def test_both_deciders_say_so_where_there_is_something_to_prove(derivation):
    for finding in derivation.proof.findings:
        if finding.verdict is not Verdict.PROVED or derivation.by_name[finding.equation].rule is Rule.DEFINITION:
            continue
        if finding.expanded == "z3":
            continue
        assert finding.index == "identical", finding
        assert finding.expanded.startswith("identical"), finding


def test_small_depths_are_expanded_in_full_and_large_ones_say_that_they_are_not():
    assert Expansion(Network.parse("2-2-1"), "sequential", derive(Network.parse("2-2-1"), "sequential").by_name).in_full
    small = derive(Network.parse("2-2-1"), "sequential")
    assert {f.expanded for f in small.proof.findings if f.index == "identical"} == {"identical"}
    deep = derive(Network.parse("2-2-2-2-2-1"), "sequential")
    assert "random points" in deep.proof.method
    assert {f.expanded for f in deep.proof.findings if f.index == "identical"} == {"identical at random points"}


def test_a_table_is_proved_where_its_rows_cover_everything_and_exclude_each_other(monkeypatch):
    """Both must have been found; None is what z3 did not decide."""
    d = derive(Network.parse("2-2-1"))
    for covers, excludes in itertools.product((True, None, False), repeat=2):
        monkeypatch.setattr(Table, "covers", lambda self, said=covers: said)
        monkeypatch.setattr(Table, "excludes", lambda self, said=excludes: said)
        found = next(f for f in prove(d).findings if f.equation == "dv1" and f.case is None)
        refuted, both = False in (covers, excludes), (covers, excludes) == (True, True)
        assert found.verdict is (Verdict.REFUTED if refuted else Verdict.PROVED if both else Verdict.UNDECIDED)
        assert found.expanded == ("z3" if both else "")
        assert found.note.startswith("the cases cover everything and exclude each other") == both
        assert found.note.startswith("no case holds") == (covers is False)
        assert found.note.startswith("two cases hold") == (refuted and covers is not False)
        assert (found.counterexample is not None) == refuted


def test_the_choice_is_called_one():
    d = derive(Network.parse("2-2-1"))
    assert d.proof.verdict("p").verdict is Verdict.CHOSEN
    assert d.proof.case("p", "dead -> dead").verdict is Verdict.CHOSEN
    assert d.proof.case("p", "active -> active").verdict is Verdict.PROVED


# ------------------------------------------------------------------------------------------------- mutations


def sites(node):
    """Every expression that differs from `node` in one sign, one factor or one exponent."""
    match node:
        case Add(terms):
            for n, term in enumerate(terms):
                yield "sign", add(*terms[:n], -term, *terms[n + 1 :])
                for kind, mutant in sites(term):
                    yield kind, add(*terms[:n], mutant, *terms[n + 1 :])
        case Mul(factors):
            yield "sign", -node
            for n, factor in enumerate(factors):
                yield "factor", mul(*factors[:n], *factors[n + 1 :])
                for kind, mutant in sites(factor):
                    yield kind, mul(*factors[:n], mutant, *factors[n + 1 :])
        case Total(over, body):
            for kind, mutant in sites(body):
                yield kind, total(over, mutant)
        case Pow(base, exponent):
            yield "exponent", power(base, exponent + 1 if exponent > 0 else exponent - 1)
        case Ref():
            yield "sign", -node
        case Number(value):
            yield "factor", Number(value * 2 or Fraction(1))


def replaced(d, name, rhs):
    equations = tuple(dataclasses.replace(e, rhs=rhs) if e.name == name else e for e in d.equations)
    return dataclasses.replace(d, equations=equations)


def mutants(d, name):
    """(what was done, the mutated derivation) for one equation."""
    rhs = d.by_name[name].rhs
    if not isinstance(rhs, Cases):
        for kind, mutant in sites(rhs):
            yield kind, replaced(d, name, mutant)
        return
    rows = rhs.branches
    for n, row in enumerate(rows):
        if row.status is Status.VALUE:
            for kind, mutant in sites(row.value):
                changed = dataclasses.replace(row, value=mutant)
                yield f"{kind} in {row.name}", replaced(d, name, Cases((*rows[:n], changed, *rows[n + 1 :])))
        for m in range(n):
            swapped = list(rows)
            swapped[n] = dataclasses.replace(row, value=rows[m].value, status=rows[m].status)
            swapped[m] = dataclasses.replace(rows[m], value=row.value, status=row.status)
            yield f"cases {row.name} and {rows[m].name} swapped", replaced(d, name, Cases(tuple(swapped)))


MUTATED = {
    "2-2-1": Network.parse("2-2-1"),
    "biases, two outputs": Network.parse("2-2-2", bias=True),
    "three layers": Network.parse("2-2-2-1"),
}
NAMES = {key: [e.name for e in derive(net).equations] for key, net in MUTATED.items()}


@pytest.mark.parametrize(("key", "name"), [(key, name) for key in MUTATED for name in NAMES[key]])
def test_every_mutant_of_every_equation_is_refuted(key, name, order):
    d = derive(MUTATED[key], order)
    count = 0
    some = islice(mutants(d, name), 12)  # enough of the same kinds; the first ones differ most
    for what, mutant in few(some, 3 if key != "three layers" else 2, turn=ORDERS.index(order)):
        proof = prove(mutant)
        assert proof.refuted, f"{name}: {what} passes"
        for finding in proof.refuted:
            example = finding.counterexample
            assert example is not None, finding
            assert example.derived != example.true or "number of cases" in example.quantity
            assert all(isinstance(value, Fraction) for value in example.point.values())
        count += 1
    assert count or name in ("v1", "v2", "g1", "g2", "vc")


@pytest.mark.parametrize("key", list(MUTATED))
def test_the_other_order_is_refuted(key, order):
    d = derive(MUTATED[key], order)
    other = "sequential" if order == "simultaneous" else "simultaneous"
    assert dataclasses.replace(d, order=other).proof.refuted


def test_a_counterexample_can_be_checked_by_hand():
    """The two values of a counterexample, recomputed from its numbers by code that shares nothing with the engine."""
    from exact import step

    d = derive(Network.parse("2-2-1"))
    wrong = replaced(d, "ds1", -d.by_name["ds1"].rhs)
    (finding,) = [f for f in wrong.proof.refuted if f.equation == "ds1"]
    point = finding.counterexample.point
    weights = [[[point[f"W1[{i}, {j}]"] for j in (1, 2)] for i in (1, 2)], [[point["W2[1, 1]"], point["W2[1, 2]"]]]]
    true = step((2, 2, 1), weights, [point["x[1]"], point["x[2]"]], [point["yg[1]"]], point["eta"], "simultaneous")
    unit = int(finding.counterexample.quantity[4]) - 1
    assert finding.counterexample.true == true.s_new[0][unit] - true.s[0][unit]
    assert finding.counterexample.derived == -finding.counterexample.true


def test_tables_with_a_gap_or_an_overlap_are_refuted():
    d = derive(Network.parse("2-2-1"))
    rows = d.by_name["dv1"].rhs.branches
    gap = replaced(d, "dv1", Cases(rows[:3])).proof.verdict("dv1")
    assert gap.verdict is Verdict.REFUTED
    assert "no case holds" in gap.note
    wide = Branch("again", rows[0].when[:1], rows[0].value)
    overlap = replaced(d, "dv1", Cases((*rows, wide))).proof.verdict("dv1")
    assert overlap.verdict is Verdict.REFUTED
    assert "two cases hold" in overlap.note


def test_progress_names_every_equation():
    d, said = derive(Network.parse("2-2-1")), []
    prove(d, said.append)
    assert said == [e.name for e in d.equations]


def test_own_activations_are_proved(tmp_path, order):
    """Kinks away from zero, intercepts, a piece that is zero between two others, a table like absolute value."""
    file = tmp_path / "net.toml"
    file.write_text(
        """
        widths = [2, 2, 2, 1]
        activation = ["soft_threshold", "hat"]
        bias = [false, true, false]
        [[activations]]
        name = "soft_threshold"
        pieces = [{ upper = -1, slope = 1, intercept = 1 }, { upper = 1, slope = 0 }, { slope = 1, intercept = -1 }]
        [[activations]]
        name = "hat"
        slope_at_kink = 0.25
        pieces = [{ upper = 0, slope = -1 }, { upper = 2, slope = 1 }, { slope = 0, intercept = 2 }]
        """
    )
    d = derive(Network.load(file), order)
    assert d.proof.holds, [str(f) for f in d.proof.findings if f.verdict in (Verdict.REFUTED, Verdict.UNDECIDED)]


def test_p_at_a_kink_where_phi_is_not_zero(tmp_path):
    """The gate there is the declared slope and not that of the piece, in p and in its integral alike."""
    import sympy

    file = tmp_path / "net.toml"
    file.write_text(
        'widths = [1, 1, 1]\nactivation = "f"\n[[activations]]\nslope_at_kink = 0\nname = "f"\n'
        "pieces = [{ upper = 1, slope = 1 }, { slope = 2, intercept = -1 }]\n"
    )
    d = derive(Network.load(file), "sequential")
    assert d.proof.holds
    at_kink = {"W1_1_1": 1, "x_1": 1, "W2_1_1": 3, "y_g": 1, "eta": sympy.Rational(1, 4)}
    for name in ("p", "P"):
        form = d.expr(name, 1, case="piece 1 -> piece 1")
        assert form.xreplace({s: sympy.sympify(at_kink[s.name]) for s in form.free_symbols}) == 0
    beside = {**at_kink, "W1_1_1": sympy.Rational(1, 2)}
    assert form.xreplace({s: sympy.sympify(beside[s.name]) for s in form.free_symbols}) != 0


def without(d, name):
    return dataclasses.replace(d, equations=tuple(e for e in d.equations if e.name != name))


@pytest.mark.parametrize("name", NAMES["2-2-1"])
def test_a_derivation_that_lacks_an_equation_does_not_hold(name):
    assert not without(derive(MUTATED["2-2-1"]), name).proof.holds


def test_lists_that_are_no_derivation_do_not_hold():
    d = derive(Network.parse("2-2-1"))
    extra = dataclasses.replace(d.by_name["a0"], rhs=Number(Fraction(5)), rule=Rule.SPLIT, label="zeta")
    for equations in ((), d.equations[::-1], d.equations * 2, (*d.equations, extra)):
        assert not dataclasses.replace(d, equations=equations).proof.holds
    for name in ("p", "P", "W1_new", "delta1"):
        claimed = tuple(
            dataclasses.replace(e, rhs=Number(Fraction(0)), rule=Rule.DEFINITION) if e.name == name else e
            for e in d.equations
        )
        assert not dataclasses.replace(d, equations=claimed).proof.holds


@pytest.mark.parametrize("name", ["p", "P", "dv1"])
def test_rows_must_be_what_they_say(name):
    d = derive(Network.parse("2-2-1"))
    rows = d.by_name[name].rhs.branches
    for n, row in enumerate(rows):
        for change in (
            {"value": Number(Fraction(7))},
            {"value": None},
            {"status": Status.CHOSEN},
            {"status": Status.UNDEFINED},
            {"status": Status.VALUE},
        ):
            changed = dataclasses.replace(row, **change)
            if changed == row or (name == "P" and change == {"status": Status.VALUE} and row.value is not None):
                continue
            mutant = replaced(d, name, Cases((*rows[:n], changed, *rows[n + 1 :])))
            assert not mutant.proof.holds, f"{row.name}: {change}"


def test_swapped_names_are_refuted():
    d = derive(Network.parse("2-2-1"))
    for name in ("p", "P", "dv1"):
        rows = list(d.by_name[name].rhs.branches)
        rows[0], rows[1] = (
            dataclasses.replace(rows[0], name=rows[1].name),
            dataclasses.replace(rows[1], name=rows[0].name),
        )
        refuted = replaced(d, name, Cases(tuple(rows))).proof.refuted
        assert refuted
        assert all(finding.counterexample.derived != finding.counterexample.true for finding in refuted if finding.case)


def test_thirty_layers_end():
    assert derive(Network.parse("-".join(["2"] * 31)), "sequential").proof.holds


def test_one_smooth_unit_below_a_layer_of_pieces_is_no_obstacle(order):
    """Of one piecewise-linear unit below z3 knows how it moves; of a smooth one nothing."""
    d = derive(Network.mlp([2, 1, 2, 1], activation=["tanh", "relu"]), order)
    assert d.proof.holds
    assert all(f.possible for f in d.proof.findings if f.equation == "dv2" and f.case)


def test_a_proof_is_shown_as_its_counts():
    proof = derive(Network.parse("2-2-1")).proof
    said = repr(proof)
    assert f"proved {proof.count(Verdict.PROVED)}, " in said and said.endswith("; holds>") and len(said) < 100
    without = dataclasses.replace(proof, findings=tuple(f for f in proof.findings if f.verdict is not Verdict.PROVED))
    assert "proved" not in repr(without)


def test_what_is_large_once_it_is_expanded_is_evaluated_at_points():
    pieces = fcsym.piecewise_linear(
        "pieces", [fcsym.Piece(-1, "1/2"), fcsym.Piece(1, 2, "3/2"), fcsym.Piece(None, -1, "9/2")]
    )
    net = Network.mlp([6, 8, 3, 8], activation=["identity", pieces], loss="bce_logits", bias=True)
    small = Network.mlp([6, 8, 3, 8], loss="bce_logits", bias=True)
    for network, in_full in ((net, False), (small, True)):
        d = derive(network)
        assert Expansion(d.network, d.order, d.by_name).in_full is in_full


def test_a_product_with_what_is_divided_by_is_not_multiplied_out():
    from sympy import QQ, ring

    made, x, y = ring("x, y", QQ)
    assert product(Quotient(x, y), Quotient(y, made(1))).denominator == 1
    assert product(Quotient(x, y), Quotient(y, made(1))) == Quotient(x, made(1))
    assert product(Quotient(x, y), Quotient(x, made(1))) == Quotient(x**2, y)
    assert Quotient(x, y) != Quotient(x + y, y)
    assert Quotient(x * y, y**2) == Quotient(x, y)
