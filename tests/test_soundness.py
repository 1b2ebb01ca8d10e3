"""What a proof must not accept: forged points, quotients without their conditions, names that are not so."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from conftest import ORDERS, few

import fcsym
from fcsym.derivation import derive
from fcsym.language.equation import Cases, Condition, Rule, Verdict
from fcsym.language.expression import ONE, Array, Index, Ref, power, total
from fcsym.networks import symbols
from fcsym.networks.network import Network
from fcsym.networks.symbols import units
from fcsym.proof import _Examiner
from fcsym.proof.expanded import Expansion
from fcsym.proof.obligations import Meanings
from fcsym.proof.quotients import equal_where_defined, never_zero
from fcsym.proof.schemes import _flaws, prove_scheme
from fcsym.proof.tables import Table
from fcsym.training import collapse, next_input

ETA, X = symbols.ETA[()], symbols.input_array()
NORM = symbols.norm(X)[()]
M, J = Index(units(0), "i1"), Index(units(1), "j1")


def with_rhs(d, name, change):
    """The derivation with another right-hand side of one equation."""
    return replace(d, equations=tuple(replace(e, rhs=change(e.rhs)) if e.name == name else e for e in d.equations))


def squares(d):
    return total(M, X[M] * X[M]) + (1 if d.network.layers[0].bias else 0)


# ------------------------------------------------------------------------------------------------------- quotients


@pytest.mark.parametrize("net", ["2-2-1", "3-3-2", "2-2-2-2-1"])
@pytest.mark.parametrize(
    "change",
    [
        lambda d, e: e * NORM**3 * power(NORM, -3),
        lambda d, e: e + NORM / NORM - 1,
        lambda d, e: e * squares(d) / NORM,
        lambda d, e: e * (squares(d) + NORM) / (2 * NORM),
    ],
)
def test_an_equation_with_a_quotient_is_proved_where_its_denominator_is_not_0(net, change):
    d = derive(Network.parse(net))
    changed = with_rhs(d, "ds1", lambda e: change(d, e))
    finding = changed.proof.verdict("ds1")
    assert (finding.verdict, finding.index) == (Verdict.PROVED, "identical")
    assert finding.where == (Condition(NORM, "!="),)
    assert "where `a0` is not 0" in finding.note


def test_a_norm_with_a_bias_is_never_0():
    d = derive(Network.parse("2-2-1", bias=True))
    finding = with_rhs(d, "ds1", lambda e: e * NORM / NORM).proof.verdict("ds1")
    assert (finding.verdict, finding.where) == (Verdict.PROVED, ())
    assert never_zero(squares(d), {})
    assert not never_zero(squares(d) - 1, {})
    assert not never_zero(total(M, X[M]) + 1, {})


def test_a_quotient_that_is_wrong_is_not_proved():
    d = derive(Network.parse("2-2-1"))
    wrong = with_rhs(d, "ds1", lambda e: e * (NORM + 1) / NORM)
    assert wrong.proof.verdict("ds1").verdict is Verdict.REFUTED
    nowhere = with_rhs(d, "ds1", lambda e: e * (NORM - squares(d)) / (NORM - squares(d)))
    assert nowhere.proof.verdict("ds1").verdict is Verdict.UNDECIDED  # 0/0 everywhere


def test_an_integral_is_proved_where_what_it_divides_by_is_not_0():
    d = derive(Network.parse("2-2-1"))
    errors = Ref(d.by_name["delta2"].array, (d.by_name["P"].lhs.indices[0],))
    for row in d.by_name["P"].rhs:
        finding = d.proof.case("P", row.name)
        below = {condition.subject for condition in finding.where}
        assert below == ({ETA, errors} if finding.verdict is Verdict.PROVED and row.value is not None else set())
    assert not [f for f in d.proof.findings if f.where and f.equation != "P"]


def test_multiplying_out():
    none, a, b = frozenset(), NORM, ETA
    nested = power(1 + power(a + b, -1), -1)
    assert equal_where_defined(nested, (a + b) / (a + b + 1), none)
    assert not equal_where_defined(nested, (a + b) / (a + b + 2), none)
    assert equal_where_defined((a * a - b * b) / (a - b), a + b, none)
    s = symbols.pre_activation(1)
    summed = total(J, (s[J] + a) / (s[J] + a))
    with pytest.raises(fcsym.FcsymError, match="summed over"):
        equal_where_defined(summed, total(J, a / a), none)
    with pytest.raises(fcsym.FcsymError, match="is 0"):
        equal_where_defined(power(a - a * ONE, -1), a, none)


# --------------------------------------------------------------------------------------------------------- sampling


def hidden_zero(scale=ONE):
    """A sum over units that is 0 and that index notation does not see to be: its denominators are summed over."""
    s = symbols.weight(1)
    other = Index(units(0), "n1")
    below = total(other, s[J, other] * X[other]) + ETA
    return total(J, scale * below / below) - total(J, scale * ETA / ETA)


@pytest.mark.parametrize(("net", "bias"), [("3-3-1", False), ("2-2-2-2-1", True)])
def test_what_was_only_tried_is_not_proved(net, bias):
    d = derive(Network.parse(net, bias=bias))
    changed = with_rhs(d, "ds1", lambda e: e + hidden_zero())
    finding = changed.proof.verdict("ds1")
    assert (finding.verdict, finding.index) == (Verdict.SAMPLED, "")
    assert "only tried" in finding.note
    assert not changed.proof.holds


def test_small_networks_are_decided_by_their_full_expansion_alone():
    d = derive(Network.parse("2-2-1"))
    finding = with_rhs(d, "ds1", lambda e: e + hidden_zero()).proof.verdict("ds1")
    assert (finding.verdict, finding.index, finding.expanded) == (Verdict.PROVED, "", "identical")


def test_points_follow_from_the_equations():
    d = derive(Network.parse("2-2-2-2-2-1"))
    same, other = (Expansion(d.network, d.order, e.by_name) for e in (d, with_rhs(d, "ds1", lambda e: e * ONE + 0)))
    assert same.seed == other.seed
    changed = with_rhs(d, "ds1", lambda e: e + ETA - ETA)
    assert Expansion(d.network, d.order, changed.by_name).seed != same.seed


def test_a_polynomial_that_is_0_at_known_points_is_not_proved():
    """Whoever knows the points can write an equation that is true there; with it in the list, they are others."""
    d = derive(Network.parse("2-2-2-2-1", bias=True))
    world = Expansion(d.network, d.order, d.by_name)
    assert not world.in_full
    forged = ONE
    for arithmetic in world._arithmetics:
        forged = forged * (ETA - arithmetic.variable("eta").value)
    changed = with_rhs(d, "ds1", lambda e: e + forged * (1 + hidden_zero()))
    assert changed.proof.verdict("ds1").verdict in (Verdict.REFUTED, Verdict.UNDECIDED)


def test_points_are_the_same_in_every_process():
    code = (
        "from fcsym.derivation import derive; from fcsym.networks.network import Network; "
        "from fcsym.proof.expanded import Expansion; d = derive(Network.parse('2-2-1')); "
        "print(Expansion(d.network, d.order, d.by_name).seed)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_every_reader_knows_every_verdict(tmp_path, capsys):
    from fcsym.language.equation import COUNTED, OPEN
    from fcsym.render import html, terminal

    assert set(terminal._STYLE) == set(html._SIGN) == set(Verdict)
    assert {*COUNTED, Verdict.DEFINITION, Verdict.ASSUMED} == set(Verdict)
    assert set(OPEN) <= set(COUNTED)


def test_every_report_says_that_something_was_only_tried(monkeypatch, capsys, tmp_path):
    import json

    from fcsym import cli
    from fcsym.gallery import WRITERS, Case, Spec

    holds = Meanings.holds
    monkeypatch.setattr(Meanings, "holds", lambda self, e: None if e.name == "ds1" else holds(self, e))
    arguments = ["derive", "3-3-1", "--trials", "5"]
    assert cli.main([*arguments, "-o", str(tmp_path / "d.tex")]) == 1
    said = capsys.readouterr().out
    assert "SAMPLED ds1: index notation cannot say, and it was only tried on 2-2-1" in " ".join(said.split())
    assert "1 sampled" in " ".join(said.split())
    assert r"\verdict{sampled}" in (tmp_path / "d.tex").read_text()
    assert cli.main([*arguments, "--json", "-o", str(tmp_path / "d.html")]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["sampled"], document["passed"]) == (1, False)
    assert [e["name"] for e in document["equations"] if e["verdict"] == "SAMPLED"] == ["ds1"]
    assert 'class="mark sampled"' in (tmp_path / "d.html").read_text()
    gallery = Case(Spec("one", "One", "It is.", Network.parse("3-3-1"), "simultaneous", "states", None, None))
    assert json.loads(WRITERS["report.json"](gallery))["sampled"] == 1


# --------------------------------------------------------------------------------------------- names and remarks

OWN = fcsym.piecewise_linear(
    "bent",
    [fcsym.Piece(Fraction(-1), Fraction(-1), Fraction(-1), "low"), fcsym.Piece(Fraction(1), Fraction(0), name="flat"),
     fcsym.Piece(None, Fraction(1), Fraction(-1), "high")],
)  # fmt: skip
TABLES = {
    "relu": Network.parse("2-2-1"),
    "leaky": Network.mlp([2, 2, 1], activation="leaky_relu", bias=True),
    "own pieces": Network.mlp([1, 2, 1], activation=OWN),
    "smooth": Network.mlp([2, 2, 1], activation="tanh"),
    "never 0": Network.mlp([2, 1, 2], activation="sigmoid"),
    "linear": Network.mlp([2, 2, 1], activation="identity"),
    "deeper": Network.mlp([2, 2, 2, 1], activation=["leaky_relu", "relu"]),
}


def renamed(rows, n):
    """Every other name and every other remark that could be taken for that of row n."""
    row = rows[n]
    names = {other.name for other in rows} | {f"{row.name}, and more", f"{row.name} ", "", "v^c = 0", "v^c != 0"}
    names |= {
        row.name.replace("!=", "="),
        row.name.replace(" = ", " != "),
        row.name.split(",")[0],
        f"{row.name}, dv' = 0",
    }
    for name in sorted(names - {row.name}):
        yield replace(row, name=name)
    for note in sorted({other.note for other in rows} | {"", "true"}):
        if note != row.note:
            yield replace(row, note=note)


def put(rows, n, *new):
    return Cases((*rows[:n], *new, *rows[n + 1 :]))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("key", list(TABLES))
def test_names_and_remarks_of_cases_are_proved(key, order):
    """Row by row, in every table: no other name and no other remark is that of the row."""
    d = derive(TABLES[key], order)
    meanings = Meanings.of(d.network, d.order, d.by_name)
    for equation in d.equations:
        rows = equation.rhs.branches if isinstance(equation.rhs, Cases) else ()
        for n, row in enumerate(rows):
            assert meanings.named(equation, row)
            assert meanings.remarked(equation, row)
            for other in renamed(rows, n):
                assert not (meanings.named(equation, other) and meanings.remarked(equation, other)), (
                    equation.name,
                    other,
                )


@pytest.mark.parametrize("key", list(TABLES))
def test_rows_with_a_wrong_name_or_a_wrong_remark_do_not_hold(key):
    d = derive(TABLES[key], "sequential")
    examiner = _Examiner(d)
    for equation in (d.by_name[name] for name in ("p", f"dv{len(d.network.layers) - 1}")):
        rows = equation.rhs.branches if isinstance(equation.rhs, Cases) else ()
        for n, row in enumerate(rows):
            unit = examiner.network.units[equation.array.axes[-1]]
            for other in (replace(row, name=rows[n - 1].name + "."), replace(row, note="so it is")):
                finding = examiner._row(equation, other, Table(equation, unit, False))
                assert finding.verdict in (Verdict.REFUTED, Verdict.UNDECIDED), (equation.name, other)


@pytest.mark.parametrize("name", ["p", "P", "dv1"])
def test_a_table_with_a_wrong_name_does_not_hold(name):
    d = derive(TABLES["leaky"] if name != "dv1" else TABLES["relu"])
    rows = d.by_name[name].rhs.branches
    wrong = next(iter(renamed(rows, len(rows) - 1)))
    changed = with_rhs(d, name, lambda rhs: put(rhs.branches, len(rows) - 1, wrong))
    assert not changed.proof.holds
    assert changed.proof.verdict(name).verdict in (Verdict.REFUTED, Verdict.UNDECIDED)


SCHEMES = ("weights", "compensation", "states", "history", "collapsed")


def with_equations(scheme, part, equations):
    routine = replace(scheme.routines[part], equations=tuple(equations))
    return replace(scheme, routines={**scheme.routines, part: routine})


def tables_of(scheme):
    """Part, place and equation of every case table of a scheme that is not the step's own."""
    for part, routine in scheme.routines.items():
        for n, equation in enumerate(routine.equations):
            if isinstance(equation.rhs, Cases) and equation.name not in scheme.base.by_name:
                yield part, n, equation


@pytest.mark.parametrize(
    "scheme",
    [
        *(fcsym.scheme(Network.parse("2-2-1"), name) for name in SCHEMES),
        fcsym.scheme(Network.mlp([2, 2, 1], activation="leaky_relu"), "collapsed", order="sequential"),
        collapse(Network.parse("2-2-2-1")),
        next_input(Network.parse("2-2-1")),
    ],
    ids=lambda scheme: scheme.title,
)
def test_names_and_remarks_of_a_schemes_cases_are_proved(scheme):
    from fcsym.proof.schemes import _misnamed

    count = 0
    for part in scheme.parts:
        for equation in part:
            if not isinstance(equation.rhs, Cases) or equation.name in scheme.base.by_name:
                continue
            rows = equation.rhs.branches
            assert not any(_misnamed(part, row) for row in rows)
            for n in range(len(rows)):
                for other in renamed(rows, n):
                    assert _misnamed(part, other), (equation.name, rows[n], other)
                    count += 1
    for part, place, equation in few(tables_of(scheme), 8):  # and one of a table through the proof as a whole
        rows = equation.rhs.branches
        wrong = replace(equation, rhs=put(rows, 0, next(iter(renamed(rows, 0)))))
        equations = [*scheme.routines[part].equations]
        equations[place] = wrong
        assert not prove_scheme(with_equations(scheme, part, equations), part)[part].holds
    assert count or scheme.name == "states"


@pytest.mark.parametrize(
    ("name", "part"), [("states", "step"), ("weights", "step"), ("history", "expand"), ("basis", "init")]
)
def test_a_second_definition_is_not_proved(name, part):
    scheme = fcsym.scheme(Network.parse("2-2-1"), name)
    routine = scheme.routines[part]
    for equation in routine.equations:
        if equation.array in routine.results:
            for again in (equation, replace(equation, rhs=ETA * 0 + 1)):
                assert not prove_scheme(with_equations(scheme, part, [*routine.equations, again]), part)[part].holds
                assert not prove_scheme(with_equations(scheme, part, [again, *routine.equations]), part)[part].holds


def test_a_scheme_says_no_more_than_its_equations_do():
    """What it calls frozen, what it says of arrays that no function has, and which axes have length one."""
    base = Network.parse("2-2-2")
    scheme = fcsym.scheme(base, "states")
    step = scheme.base.by_name["W2_new"]
    for claim in (
        {"frozen": (replace(step, rhs=step.rhs + ETA),)},
        {"moving": {**scheme.moving, step.array: replace(step, rhs=step.rhs + ETA)}},
        {"ones": frozenset({units(2)})},
    ):
        assert not replace(scheme, **claim).proof.holds


@pytest.mark.parametrize("name", ["weights", "compensation", "history", "basis", "collapsed"])
def test_every_equation_of_a_scheme_has_the_one_rule_that_it_needs(name):
    """A step that is called a definition would need no proof."""
    scheme = fcsym.scheme(Network.parse("2-2-1"), name)
    for part in scheme.parts:
        assert not _flaws(part)
        for n, equation in enumerate(part.equations):
            for rule in Rule:
                wrong = (*part.equations[:n], replace(equation, rule=rule), *part.equations[n + 1 :])
                assert rule is equation.rule or _flaws(replace(part, equations=wrong)), (part.name, equation, rule)


def test_functions_that_are_none_get_a_verdict():
    scheme = fcsym.scheme(Network.parse("2-2-1"), "weights")
    for part, routine in scheme.routines.items():
        for given, results in (
            (routine.given[1:], routine.results),
            (routine.given, routine.results[1:]),
            (routine.given, (*routine.results, routine.results[-1])),
        ):
            changed = replace(routine, given=given, results=results)
            proofs = replace(scheme, routines={**scheme.routines, part: changed}).proofs
            assert not proofs[part].holds
    for part, place, equation in tables_of(scheme):
        for n, row in enumerate(equation.rhs):
            for others in ((), (row, row), (replace(row, when=row.when[:-1]),), (replace(row, value=ONE + ETA),)):
                equations = [*scheme.routines[part].equations]
                equations[place] = replace(equation, rhs=put(equation.rhs.branches, n, *others))
                assert not prove_scheme(with_equations(scheme, part, equations), part)[part].holds


# ----------------------------------------------------------------------------------------------------- other forgeries


def forgeries(d):
    """Lists that are no derivation, each by one change of what an equation says that it is."""
    for n, e in enumerate(d.equations):

        def put_(*new, n=n):
            return replace(d, equations=(*d.equations[:n], *new, *d.equations[n + 1 :]))

        yield put_()
        yield put_(e, e)
        yield put_(replace(e, rule=next(rule for rule in Rule if rule is not e.rule)))
        yield put_(replace(e, label="" if e.label else e.name))
        yield put_(replace(e, uses=("nothing",)))
        if n + 1 < len(d.equations):
            yield put_(replace(e, uses=(d.equations[-1].name,)))
        a = e.array
        if a.layer is not None:  # the same name, and another array
            spoof = Array(f"{a.symbol}{a.layer}", None, a.axes, a.after)
            assert spoof.name == a.name
            yield put_(replace(e, lhs=Ref(spoof, e.lhs.indices)))
        if not isinstance(e.rhs, Cases):
            yield put_(replace(e, rhs=e.rhs + Array("zeta", None, ())[()]))
            yield put_(replace(e, rhs=e.rhs + X[M] if M not in e.lhs.indices else e.rhs + ONE))


def test_a_list_with_one_forged_equation_does_not_hold():
    d = derive(Network.parse("2-2-1"))
    for forged in forgeries(d):
        assert not forged.proof.holds


def test_conditions_about_something_else_are_not_proved():
    d = derive(Network.parse("2-2-2-1"))
    rows = d.by_name["p"].rhs.branches
    j = d.by_name["p"].lhs.indices[1]
    for subject in (Array("ds", 2, (j.axis,))[j], 2 * Array("s", 2, (j.axis,))[j], ETA):
        more = replace(rows[0], when=(*rows[0].when, Condition(subject, ">")))
        changed = with_rhs(d, "p", lambda rhs, more=more: put(rhs.branches, 0, more))
        assert changed.proof.verdict("p").verdict is Verdict.UNDECIDED
