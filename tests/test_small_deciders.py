"""The parts of the deciders, each against a definition: integrals in index notation, free units, signs, tables.

Each takes a fraction of a second, so that a fault in what a proof is made of is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import pytest
import sympy
import z3
from test_small_proofs import LAYERS, MORE

import fcsym
from fcsym import Add, AvgPool1d, Concatenate, Conv1d, Embedding, Flatten, Linear, Network, Residual
from fcsym.deriving.forward import forward
from fcsym.language.activation import activation, smooth
from fcsym.language.algebra import indices_of, inline, rename, rewritten
from fcsym.language.equation import Cases, Condition, Status, Verdict
from fcsym.language.expression import (
    ZERO,
    Array,
    Axis,
    Extreme,
    Index,
    Indicator,
    Number,
    Pow,
    Total,
    add,
    applied_in,
    children,
    mul,
)
from fcsym.language.instance import Instance, exact_field, positions
from fcsym.layers import Node
from fcsym.networks.symbols import ETA
from fcsym.proof import _Examiner, points, quotients
from fcsym.proof.beside import Beside
from fcsym.proof.expanded import _divides, random_points
from fcsym.proof.general import General
from fcsym.proof.numbers import Residue
from fcsym.proof.obligations import Meanings
from fcsym.proof.once import free_unit
from fcsym.proof.points import Points, World, rationals, residues
from fcsym.proof.reach import _positions, _ties, moves_by_its_gate, stays
from fcsym.proof.schemes import _refused_at_init
from fcsym.proof.tables import Table
from fcsym.proof.twice import _bend

HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)], [0, "1/2"])
DERIVATIONS = {
    "relu": fcsym.derive(Network.parse("1-1-1"), order="sequential"),
    "hat": fcsym.derive(Network.mlp([1, 1, 1], activation=HAT)),
}


@pytest.mark.parametrize("name", ["relu", "hat"])
def test_an_integral_begins_at_0_in_index_notation(name):
    d = DERIVATIONS[name]
    meanings = Meanings.of(d.network, d.order, d.by_name)
    answers = [meanings.case_holds(d["P"], branch) for branch in d["P"].rhs if branch.value is not None]
    assert True in answers and set(answers) <= {True, None}
    moved = [replace(branch, value=add(branch.value, 1)) for branch in d["P"].rhs if branch.value is not None]
    assert [meanings.case_holds(d["P"], branch) for branch in moved] == [
        None if answer is None else False for answer in answers
    ]


def test_a_world_of_free_units_knows_what_an_identity_is():
    plain = SimpleNamespace(number=Fraction, units={}, variable=str)
    at = (Array("s1", 1, ()), ())
    assert free_unit(plain, activation("identity"), at, Fraction(5)) == (5, 1, 0)
    assert _bend(plain, activation("relu"), at, Fraction(5)) == 0


def test_a_slope_of_a_slope_is_a_number_of_its_function_and_its_place():
    """Where nothing is known of it."""
    world = random_points(frozenset(), "seed")[0]
    places = [(Array(name, None, ()), at) for name in ("s1", "s2") for at in ((), (0,), (1,), (0, 1))]
    functions = [smooth(name) for name in ("tanh", "sigmoid", "silu")]
    found = [_bend(world, phi, at, world.variable("s")) for phi in functions for at in places]
    assert len({number.value for number in found}) == len(found) == len(functions) * len(places)


@pytest.mark.parametrize(
    ("network", "divides"),
    [
        (Network.parse("1-1-1"), False),
        (Network.parse("1-1-1").training(batch="sum"), False),
        (Network.parse("1-1-1").training(batch="mean"), True),
        (Network.parse("1-1-1").training("adam"), True),
        (Network.parse("1-1-1").training("momentum"), False),
        (Network.mlp([1, 1, 2], loss="bce_logits"), False),
        (Network.mlp([1, 1, 1], "tanh", loss="huber"), False),
        (Network.mlp([1, 1, 2], output="softmax", loss="cross_entropy"), True),
    ],
    ids=str,
)
def test_what_has_something_below_a_line(network, divides):
    assert _divides(network) is divides


X, Y = (Array(name, None, ())[()] for name in "xy")
AXIS = Axis("n")
H, J, K, L = (Index(AXIS, letter) for letter in "hjkl")
SIGNS = [
    (Number(Fraction(3)), 2), (Number(Fraction(1, 2)), 2), (Number(Fraction(0)), 1), (Number(Fraction(-1)), 0),
    (X, 0), (Pow(X, 2), 1), (Pow(X, 3), 0), (add(Pow(X, 2), 1), 2), (add(Pow(X, 2), Pow(Y, 2)), 1),
    (add(Pow(X, 2), -1), 0), (add(X, 1), 0), (mul(3, Pow(X, 2)), 1), (mul(X, Y), 0), (Pow(add(Pow(X, 2), 1), -1), 2),
    (mul(*[add(X, -1)] * 2), 1), (mul(*[add(X, -1)] * 3), 0), (mul(*[add(X, -1)] * 4), 1), (Indicator(K, 4 - H), 1),
    (add(mul(*[add(X, -1)] * 3), 1), 0), (add(mul(*[add(X, -1)] * 2), 1), 2), (add(Indicator(K, 4 - H), 1), 2),
]  # fmt: skip


@pytest.mark.parametrize(("node", "sign"), SIGNS, ids=str)
def test_the_sign_of_what_is_made_of_squares(node, sign):
    """2: above 0, 1: not below it, 0: not known; held against small numbers."""
    assert quotients._sign(node, {}) == sign


@pytest.mark.parametrize(("widths", "impossible"), [("2-2-1-1", True), ("2-2-2-1", False)])
def test_in_a_deeper_layer_a_dead_unit_stays_dead_where_it_is_alone(widths, impossible):
    d = fcsym.derive(Network.parse(widths))
    found = [f for f in d.proof.findings if f.equation == "dv2" and f.case and f.case.startswith("dead -> active")]
    assert found and all(f.note.startswith("impossible here") is impossible for f in found)


def test_a_table_covers_every_point_once():
    """A row less leaves a gap, a row twice overlaps, and a unit that stays where it is has no change but 0."""
    d = DERIVATIONS["hat"]
    (unit,), equation = d.network.hidden, d["dv1"]
    rows = equation.rhs.branches
    for given, covers, excludes in [(rows, True, True), (rows[1:], False, True), ((*rows, rows[1]), True, False)]:
        table = Table(replace(equation, rhs=Cases(given)), unit, gated=False)
        assert (table.covers(), table.excludes()) == (covers, excludes)
        assert (table.gap() is None) is (covers and excludes)
    for still in (False, True):
        table = Table(equation, unit, gated=False, still=still)
        for branch in rows:
            before, after = branch.name.split(" -> ")
            assert table.possible(branch) is (before == after or not still)


GAPS = {"relu": "dv1", "hat": "p", "tanh": "p"}


@pytest.mark.parametrize("name", GAPS)
def test_a_gap_of_a_table_is_shown_at_numbers_of_the_unit(name):
    """Its pre-activation and what it moves by, or its value where that is all that is known; in no row, or in two."""
    d = DERIVATIONS.get(name) or fcsym.derive(Network.mlp([1, 1, 1], name))
    equation, (unit,) = d[GAPS[name]], d.network.hidden
    rows = equation.rhs.branches
    for given in [rows[:1], *(rows[:n] + rows[n + 1 :] for n in range(len(rows))), *((*rows, row) for row in rows)]:
        at = Table(replace(equation, rhs=Cases(given)), unit, gated=False).gap()
        assert set(at) == ({"v", "dv"} if name == "tanh" else {"s", "ds"})
        if name == "tanh":
            v, dv = at["v"], at["dv"]
            values = {"vc": v, "v1": v, "dv1": dv}
        else:
            s, after = at["s"], at["s"] + at["ds"]
            v, dv = unit.activation.value_at(s), unit.activation.value_at(after) - unit.activation.value_at(s)
            values = {"s1": s, "s1_new": after, "vc": v, "v1": v, "dv1": dv}
        held = [all(c.holds(values[c.subject.array.name]) for c in row.when) for row in given]
        assert sum(held) != 1, (given, at)


def test_a_row_keeps_only_what_is_about_its_unit_away_from_0():
    """s1 > 0 keeps v^c and s1 from 0; of eta and of another unit it says nothing."""
    d = DERIVATIONS["relu"]
    table, active = Table(d["p"], d.network.hidden[0], gated=False), d["p"].rhs.branches[0]
    s, after, v, dv = (d[name].lhs.array[d["s1"].lhs.indices] for name in ("s1", "s1_new", "vc", "dv1"))
    j = active.when[0].subject.indices
    about = {"s1": s.array[j], "s1_new": after.array[j], "vc": v.array[j]}
    assert all(table.keeps(active, Condition(subject, "!=")) for subject in about.values())
    others = [dv.array[j], d["E"].lhs, ETA[()], s.array[Index(j[0].axis, "other"),]]
    assert not any(table.keeps(active, Condition(subject, "!=")) for subject in others)


@pytest.mark.parametrize("phi", ["sigmoid", "softplus", "tanh"])
def test_a_unit_that_is_never_0_is_it_neither_before_nor_after(phi):
    """At numbers of its value and its change."""
    d = fcsym.derive(Network.mlp([1, 1, 1], phi))
    table = Table(d["p"], d.network.hidden[0], gated=False)
    for v, dv in product((-1, 0, 1, 2), repeat=2):
        put = [(table.v, z3.RealVal(v)), (table.dv, z3.RealVal(dv))]
        held = all(z3.is_true(z3.simplify(z3.substitute(fact, *put))) for fact in table.facts)
        assert held is (phi == "tanh" or (v != 0 and v + dv != 0))


def sums_in(node):
    """Every sum in an expression."""
    inner = [part for child in children(node) for part in sums_in(child)]
    return [node, *inner] if isinstance(node, Total) else inner


BELOW = {
    "one unit": (Network.mlp([2, 1, 2, 1]), [None, "relu"]),
    "two units": (Network.mlp([1, 2, 2, 1]), [None, None]),
    "three units, then one": (Network.mlp([1, 3, 1, 2, 1]), [None, None, "relu"]),
    "a bias above": (Network.mlp([1, 1, 2, 1], bias=[False, True, False]), [None, None]),
    "biases elsewhere": (Network.mlp([1, 1, 2, 1], bias=[True, False, True]), [None, "relu"]),
    "a shared bias": (Network.mlp([1, 1, 2, 1], bias=True).shared("b2"), [None, None]),
    "a smooth one": (Network.mlp([1, 1, 2, 1], ["tanh", "relu"]), [None, None]),
    "a leaky one": (Network.mlp([1, 1, 2, 1], ["leaky_relu", "relu"]), [None, "leaky_relu"]),
    "one input": (Network.mlp([1, 2, 1]), [None]),
    "momentum": (Network.mlp([1, 1, 2, 1]).training("momentum"), [None, None]),
    "two samples": (Network.mlp([1, 1, 2, 1]).training(batch="sum", samples=2), [None, None]),
    "one sample": (Network.mlp([1, 1, 2, 1]).training(batch="sum", samples=1), [None, "relu"]),
}
"""What each hidden layer reads where that is one unit alone, in one sample and a step of the gradient."""


@pytest.mark.parametrize("name", BELOW)
def test_one_unit_below_is_known_where_nothing_else_feeds_a_unit(name):
    network, wanted = BELOW[name]
    examiner = _Examiner(fcsym.derive(network))
    found = [examiner._only_unit_below(unit) for unit in network.hidden]
    assert [None if phi is None else phi.name for phi in found] == wanted


def test_a_value_that_is_as_good_as_any_has_to_be_said_to_be_chosen():
    """The row that says 0 where every p does is no value that follows."""
    d = DERIVATIONS["relu"]
    rows = [replace(b, status=Status.VALUE, note="") if b.status is Status.CHOSEN else b for b in d["p"].rhs]
    ((_, row),) = [(n, b) for n, b in enumerate(rows) if b != d["p"].rhs.branches[n]]
    wrong = replace(d["p"], rhs=Cases(tuple(rows)))
    found = {f.case: f for f in _Examiner(d).table(wrong)}
    assert found[row.name].verdict is found[None].verdict is Verdict.UNDECIDED
    assert found[row.name].note == "every value solves this case, and it is not said"
    assert {f.verdict for case, f in found.items() if case not in (None, row.name)} == {Verdict.PROVED}


@pytest.mark.parametrize("network", [Network.parse("1-1-1"), LAYERS["positions"][0]], ids=str)
def test_of_what_nobody_knows_nothing_is_said(network):
    """Not in a list, where it is missing or too much, but by the deciders themselves."""
    d = fcsym.derive(network)
    unknown = replace(d["E"], lhs=Array("q", None, ())[()])
    finding = _Examiner(d).equation(unknown)
    assert (finding.verdict, finding.index, finding.expanded) == (Verdict.UNDECIDED, "", "")
    assert finding.note == "neither decider understands it"


@pytest.mark.parametrize("name", ["relu", "softmax"])
def test_a_sum_may_be_written_over_another_index(name):
    """Where there is a function in the equation it has to be as it is given."""
    d = DERIVATIONS.get(name) or fcsym.derive(Network.mlp([1, 1, 2], output="softmax", loss="cross_entropy"))
    meanings = Meanings.of(d.network, d.order, d.by_name)
    sums = [(e, node) for e in d.equations if e.array in meanings.passed for node in sums_in(e.rhs)]
    assert len(sums) > 2
    for equation, node in sums:
        names = {index: Index(index.axis, "other") for index in node.over}
        other = Total(tuple(names.values()), rename(node.body, names))
        written, twice = (
            rewritten(equation.rhs, lambda part, new=new, node=node: new if part == node else None)
            for new in (other, mul(2, other))
        )
        assert written != equation.rhs
        assert meanings.holds(replace(equation, rhs=written)) is not any(applied_in(equation.rhs))
        assert meanings.holds(replace(equation, rhs=twice)) is False


RATIONAL = {
    "x": lambda x, y: x,
    "x^2 y": lambda x, y: x**2 * y,
    "1/x": lambda x, y: x**-1,
    "y/x": lambda x, y: y / x,
    "y^2/x^2 + x": lambda x, y: y**2 / x**2 + x,
    "x^3 - 2/x^3": lambda x, y: x**3 - 2 * x**-3,
    "(x + y)/x + 5": lambda x, y: (x + y) / x + 5,
    "y": lambda x, y: y,
}


@pytest.mark.parametrize("name", RATIONAL)
def test_what_moves_to_first_order_is_the_derivative(name):
    """At numbers, by SymPy; of what stands below a line, too."""
    made, t = RATIONAL[name], Array("t", None, ())
    meanings = Meanings.of(DERIVATIONS["relu"].network, "simultaneous", {})
    moved = meanings._first_order(made(X, Y), X.array, t)
    put = {X.array: Fraction(3, 2), Y.array: Fraction(-2, 5), t: Fraction(7)}
    found = Instance({}, {}, lambda array, _: put[array], exact_field()).value(moved, {})
    x, y = sympy.symbols("x y")
    slope = sympy.diff(made(x, y), x).subs({x: sympy.Rational(3, 2), y: sympy.Rational(-2, 5)})
    assert found == 7 * Fraction(str(slope))


def test_small_rational_numbers_are_about_0_and_eta_is_above_it():
    drawn = [rationals(seed).variable for seed in range(40)]
    eta, others = [variable("eta") for variable in drawn], [variable("x[1]") for variable in drawn]
    assert min(eta) > 0 and min(others) < 0 < max(others) and 0 in others
    assert [variable("eta") for variable in drawn] == eta and len(set(others)) > 5


FORMS = {
    "itself": (H, (H, K), (), [(0, 1, 0)]),
    "a window": (H, (J, K), (Indicator(H, 2 * K + J + 1), Indicator(H, 3 * K + 5)), [(1, 3, 5)]),
    "backwards": (H, (K,), (Indicator(K, 4 - H),), [(0, -1, 4)]),
    "not whole": (H, (K,), (Indicator(K, 2 * H),), []),
    "of another one": (H, (K,), (Indicator(L, 2 * K),), []),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_unit_for_which_an_element_is_read_follows_from_its_indices(name):
    """The unit is at 2i + 3 along an axis: at what that is wherever the indicators are 1."""
    own, given, indicators, wanted = FORMS[name]
    a, b = Array("a", None, (AXIS,) * len(given)), Array("b", None, (AXIS,))
    equation = replace(DERIVATIONS["relu"]["s1"], lhs=b[own])
    assert list(_positions(own, given, indicators)) == wanted
    ties = _ties(equation, ((0, 2, 3),), a[given], indicators)
    assert (ties is None) == (not wanted)
    for place in product(range(12), repeat=3) if wanted else ():
        at = dict(zip((H, J, K), place, strict=True))
        if all(indicator.at(at) for indicator in indicators):
            ((n, factor, constant),) = ties
            assert factor * at[given[n]] + constant == 2 * at[own] + 3


def test_an_extreme_is_another_one_of_the_same_kind_over_the_same():
    d = fcsym.derive(LAYERS["positions"][0])
    says = General.of(d.network, d.order, d.by_name)._says
    v = Array("v", None, (AXIS, AXIS))
    most = Extreme("max", (H,), v[H, K])
    assert says(most, most) and says(most, Extreme("max", (J,), v[J, K])) and says(v[H, J], v[H, J])
    others = [
        Extreme("min", (H,), v[H, K]), Extreme("max", (H,), v[K, H]), Extreme("max", (J,), 2 * v[J, K]),
        Extreme("max", (Index(Axis("m"), "m"),), v[H, K]), Extreme("max", (H, J), v[H, J]), v[H, K], ZERO,
    ]  # fmt: skip
    for other in others:
        assert not says(most, other) and not says(other, most), other


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_rows_that_init_has_refused_are_about_the_kink(phi):
    """A unit that is on it has no slope of a piece: only those of a function with a slope on both sides are refused."""
    s = fcsym.scheme(Network.mlp([1, 1, 1], phi), "collapsed")
    rows = [(part, row) for part in s.parts for e in part if isinstance(e.rhs, Cases) for row in e.rhs]
    refused = [row.name for part, row in rows if _refused_at_init(part, row)]
    assert refused == ([] if phi == "relu" else ["on the kink", "on the kink"])
    for part, row in rows:  # the same of something else
        when = tuple(replace(c, subject=Y) for c in row.when)
        assert not _refused_at_init(part, replace(row, when=when))


@pytest.mark.parametrize("name", ["mC1_new", "ms1_new", "mkept_new"])
def test_what_is_wrong_from_the_second_step_on_is_seen_by_runs(name):
    """A velocity starts from 0: twice of it is right in the first step."""
    network, setting = LAYERS["patches, with momentum"]
    s = fcsym.scheme(network, "states", **setting)
    routine = s.routines["step"]
    place = next(n for n, e in enumerate(routine.equations) if e.name == name)
    velocity = next(a for a in routine.equations[place].operands if a.primed.name == name)
    twice = {velocity: (indices_of(velocity), mul(2, velocity[indices_of(velocity)]))}
    equations = list(routine.equations)
    equations[place] = replace(equations[place], rhs=inline(equations[place].rhs, twice))
    assert not Beside(s).refuted
    made = replace(s, routines={**s.routines, "step": replace(routine, equations=tuple(equations))})
    (((part, _), found),) = Beside(made).refuted.items()
    assert part == "step" and found.quantity.endswith(" in step") and found.derived != found.true


def test_what_is_wrong_from_the_start_is_shown_by_small_numbers():
    """Twice of what `init` makes, at which it is twice what it should be; with a smooth function it is only said."""
    for phi in ([], ["tanh"]):
        network = Network([Conv1d(1, 1, 2, bias=False), *phi, Flatten(), Linear(2, 1)], input=(1, 3))
        s = fcsym.scheme(network, "states")
        routine = s.routines["init"]
        gram = next(e for e in routine.equations if e.name == "G1")
        equations = tuple(replace(e, rhs=mul(2, e.rhs)) if e is gram else e for e in routine.equations)
        made = replace(s, routines={**s.routines, "init": replace(routine, equations=equations)})
        (((part, name), found),) = Beside(made).refuted.items()
        assert (part, name) == ("init", "G1")
        if phi:
            assert found == "G1[1, 1] in init differs from backpropagation for some numbers in place of phi"
            continue
        assert found.quantity == "G1[1, 1] in init" and found.derived == 2 * found.true
        x = [found.point[f"x[1, {n}]"] for n in (1, 2, 3)]
        assert found.true == x[0] ** 2 + x[1] ** 2 != 0 < found.point["eta"]
        assert sorted(found.point) == sorted(
            ["W1[1, 1, 1]", "W1[1, 1, 2]", "W2[1, 1, 1]", "W2[1, 1, 2]", "b2[1]", "eta"]
            + [f"x[1, {n}]" for n in (1, 2, 3)]
        )


TWO = [Residual([Linear(2, 2)]), "relu"]
GATED = {
    "one window": Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(1, 1)], input=(1, 2)),
    "two windows": Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(2, 1)], input=(1, 3)),
    "two channels": Network([Conv1d(1, 2, 2), "relu", Flatten(), Linear(2, 1)], input=(1, 2)),
    "a mean of windows": Network([Conv1d(1, 2, 1), AvgPool1d(2), "relu", Flatten(), Linear(2, 1)], input=(1, 2)),
    "positions": Network.sequential((2, 1), [Linear(1, 1), "relu", Flatten(), Linear(2, 1)]),
    "tokens": Network.sequential((2, 3), [Embedding(3, 1), "relu", Flatten(), Linear(2, 1)]),
    "beside its input": Network.sequential((2,), [*TWO, Linear(2, 1)]),
    "two layers": Network.sequential((2,), [*TWO, Linear(2, 2), "relu", Linear(2, 1)]),
    "above what is frozen": Network.sequential((2,), [*TWO, Linear(2, 2), "relu", Linear(2, 1)]).frozen("W1", "b1"),
    "frozen weights": Network.sequential((2,), [*TWO, Linear(2, 2), "relu", Linear(2, 1)]).frozen("W1", "W4"),
    "one unit above": Network.sequential((2,), [*TWO, Linear(2, 1), "relu", Linear(1, 1)]),
    "linear below": Network.sequential((1,), [Residual([Linear(1, 1)]), Linear(1, 2), "relu", Linear(2, 1)]),
    "read by two": MORE["read by two"][0],
    "two maps of one input": Network(
        [
            Node(Linear(1, 2), "a", ("x",)), Node(Linear(1, 2), "b", ("x",)), Node(Add(), "s", ("a", "b")),
            Node("relu", "r", ("s",)), Node(Linear(2, 1), "y", ("r",)),
        ],
        input=(1,),
    ),
    "beside each other": Network(
        [
            Node(Linear(1, 2), "a", ("x",)), Node(Linear(1, 1), "b", ("x",)), Node(Concatenate(), "c", ("a", "b")),
            Node("relu", "r", ("c",)), Node(Linear(3, 1), "y", ("r",)),
        ],
        input=(1,),
    ),
    "one sample": Network.sequential((2,), [*TWO, Linear(2, 1)]).training(batch="sum", samples=1),
    "two samples": Network.sequential((2,), [*TWO, Linear(2, 1)]).training(batch="sum", samples=2),
}  # fmt: skip


@pytest.mark.parametrize("name", GATED)
def test_a_unit_of_layers_moves_by_its_gate_where_no_step_moves_it_else(name):
    """Of small networks in rational numbers: no unit that gives nothing moves in any of them, or one does in some."""
    network = GATED[name]
    step = Points(network, "simultaneous", fcsym.derive(network).by_name)
    units = [unit for unit in network.hidden if unit.activation.name == "relu"]
    woken, moved = set(), set()
    for seed in range(25):
        world = World(step, rationals(seed))
        for unit in units:
            for at in positions(unit.s, step.network.sizes):
                before, after = world.value(unit.s, at), world.value(unit.s.primed, at)
                moved |= {unit.s} if before != after else set()
                woken |= {unit.s} if before != after and before <= 0 else set()
    assert step.network.widths == network.widths and units
    assert [moves_by_its_gate(network, unit) for unit in units] == [unit.s not in woken for unit in units]
    assert [stays(network, unit) for unit in units] == [unit.s not in moved for unit in units]


SMOOTH = {
    "exp": lambda s, value, slope, at: slope == value(smooth("exp"), at, s),
    "sqrt": lambda s, value, slope, at: slope * value(smooth("sqrt"), at, s) == Residue.of(Fraction(1, 2)),
    "log": lambda s, value, slope, at: slope * s == Residue.of(Fraction(1)),
    "softplus": lambda s, value, slope, at: slope == value(smooth("sigmoid"), at, s),
}
"""What is known of their slopes."""
WORLDS = {"of layers": lambda: residues("seed"), "of stacks": lambda: random_points(frozenset(), "seed")[0]}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", [*SMOOTH, "tanh", "identity", "relu", "leaky_relu", "hat"])
def test_functions_at_random_points_are_free_but_for_what_is_known_of_them(name, world):
    """Another number at every place; a slope that has one of its own, or is what it has to be."""
    numbers, phi = WORLDS[world](), HAT if name == "hat" else smooth(name) if name in SMOOTH else activation(name)
    at, other = ((Array("z", None, (AXIS,)), (n,)) for n in range(2))
    s, more = (numbers.variable(letter) for letter in ("s", "t"))
    (value, slope), (elsewhere, _) = numbers.function(phi, at, s), numbers.function(phi, other, s)
    assert (value, slope) == numbers.function(phi, at, s)

    def value_of(phi, at, s):
        return numbers.function(phi, at, s)[0]

    if name == "identity":  # no loss has it
        assert world == "of stacks" or (value, slope, elsewhere) == (s, numbers.number(Fraction(1)), s)
    elif phi.is_smooth:
        assert value != elsewhere and value != s and (value != slope or name == "exp")
        assert name == "tanh" or SMOOTH[name](s, value_of, slope, at)
        assert value == value_of(phi, at, more) or name in ("exp", "tanh")  # a number of the place alone
    else:
        shift = value - slope * s
        assert value_of(phi, at, more) - slope * more == shift
        assert (shift == numbers.number(Fraction(0))) is (name != "hat") and value != elsewhere


WIDE = Network.sequential((6,), [Residual([Linear(6, 6)]), "relu", Linear(6, 5)])


def test_an_instance_is_the_widest_whose_terms_are_few_enough(monkeypatch):
    """Of y there are as many as it has weights: the network itself, where it may be that large."""
    by_array = {e.array.name: e for e in forward(WIDE)}
    assert [points._terms(by_array[name], WIDE) for name in ("v2", "y", "E")] == [6, 30, 5]
    every = [(most, sum(points._terms(e, made) for e in forward(made))) for most in (6, 4, 3, 2)
             for made in [WIDE.reduced(most)]]  # fmt: skip
    assert [terms for _, terms in every] == sorted((terms for _, terms in every), reverse=True)
    for most, terms in every:
        for room in (terms, terms + 1):
            monkeypatch.setattr(points, "_WORK", room)
            assert points._small_enough(WIDE) == (WIDE if most == 6 else WIDE.reduced(most))
    monkeypatch.setattr(points, "_WORK", 1)
    assert points._small_enough(WIDE) == WIDE.reduced(2)
    monkeypatch.setattr(points, "_WORK", every[0][1] - 1)
    assert points._small_enough(WIDE) == WIDE.reduced(4)


@pytest.mark.parametrize("whole", [True, False])
def test_what_divides_by_0_is_wrong_where_the_network_itself_is_tried(whole):
    """In a smaller one something may be 0 that is not."""

    def divides(_):
        raise ZeroDivisionError

    made = SimpleNamespace(_world=SimpleNamespace(holds=divides), network=1, full=1 if whole else 2)
    assert Points.holds(made, DERIVATIONS["relu"]["y"]) is (False if whole else None)
