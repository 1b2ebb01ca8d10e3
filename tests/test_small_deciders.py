"""The parts of the deciders, each against a definition: pieces for z3, patterns, numbers for one unit, signs.

Each takes a fraction of a second, so that a fault in what a proof is made of is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import z3

import fcsym
from fcsym import Network
from fcsym.errors import SizeError
from fcsym.language.activation import activation
from fcsym.language.equation import Cases, Rule
from fcsym.language.expression import Array, Number, Pow, add, mul
from fcsym.proof import joint, quotients, search
from fcsym.proof.expanded import _divides
from fcsym.proof.obligations import Meanings
from fcsym.proof.once import free_unit
from fcsym.proof.pieces import _phi
from fcsym.proof.tables import Table
from fcsym.proof.twice import _bend

HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)], [0, "1/2"])
PHIS = [activation("relu"), activation("leaky_relu"), activation("identity"), HAT]
POINTS = [Fraction(n, 2) for n in range(-6, 7)]


def fraction(term):
    value = z3.simplify(term)
    return Fraction(value.numerator_as_long(), value.denominator_as_long())


@pytest.mark.parametrize("phi", PHIS, ids=lambda phi: phi.name)
def test_a_function_of_pieces_is_the_same_for_z3(phi):
    for s in POINTS:
        at = z3.RatVal(s.numerator, s.denominator)
        assert fraction(_phi(phi, at, derivative=False)) == phi.value_at(s)
        assert fraction(_phi(phi, at, derivative=True)) == phi.slope_at(s)


@pytest.mark.parametrize("phi", PHIS, ids=lambda phi: phi.name)
def test_the_slope_of_a_piece_is_the_one_declared_at_its_kink(phi):
    terms, s = joint._Terms(Network.parse("1-1-1"), (0,)), z3.Real("s")
    for at in POINTS:
        known = terms._slope(phi, phi.piece_at(at), s)
        if z3.is_expr(known):
            known = fraction(z3.substitute(known, (s, z3.RatVal(at.numerator, at.denominator))))
        assert known == terms._slope(phi, phi.piece_at(at), at) == phi.slope_at(at)


def test_every_pattern_has_a_number_of_its_own_in_their_order():
    network = Network.mlp([1, 2, 1, 1], activation=[HAT, "relu"])
    patterns = list(joint._patterns(network))
    before, after = (np.array([[pair[n] for pair in pattern] for pattern in patterns]) for n in (0, 1))
    count = 3 * 3 * 2
    assert list(joint._coded(network, before, after)) == [
        int(np.ravel_multi_index((*a, *b), (3, 3, 2) * 2)) for a, b in zip(before, after, strict=True)
    ]
    assert len(patterns) == count**2 == joint._coded(network, before, after).max() + 1


@pytest.mark.parametrize(("text", "number"), [("2-9-1", 4**9), ("2-12-12-1", 4**24)])
def test_how_many_patterns_are_too_many(text, number):
    with pytest.raises(SizeError, match=f"has {number} joint patterns"):
        joint.joint(Network.parse(text))
    with pytest.raises(SizeError, match="has more than 10\\^18 joint patterns"):
        joint.joint(Network.parse("2-15-15-1"))


def tables(d):
    return [(e, branch) for e in d if isinstance(e.rhs, Cases) and e.name != "P" for branch in e.rhs]


DERIVATIONS = {
    "relu": fcsym.derive(Network.parse("1-1-1"), order="sequential"),
    "hat": fcsym.derive(Network.mlp([1, 1, 1], activation=HAT)),
    "tanh": fcsym.derive(Network.mlp([1, 1, 1], activation="tanh")),
}


@pytest.mark.parametrize("name", DERIVATIONS)
def test_no_numbers_for_one_unit_speak_against_a_right_row_and_some_do_against_a_wrong_one(name):
    d = DERIVATIONS[name]
    seen = 0
    for equation, branch in tables(d):
        assert search.on_unit(d.network, equation, branch) is None, branch
        if branch.value is None:
            continue
        found = search.on_unit(d.network, equation, replace(branch, value=add(branch.value, 1)))
        if found is None:
            continue  # a value over numbers of several units is not tried on one
        seen += 1
        assert found.derived == found.true + 1
        names = {"vc", "dv"} if name == "tanh" else {"s", "ds"}
        assert set(found.point) == names | ({"W'"} if equation.rule is Rule.CHOICE else set())
        none = search.on_unit(d.network, equation, replace(branch, value=None))
        assert none is not None and none.derived is None and none.true is not None
    assert seen >= 2


@pytest.mark.parametrize("order", ["sequential", "simultaneous"])
@pytest.mark.parametrize("name", ["relu", "hat"])
def test_no_numbers_speak_against_an_integral_that_is_right(name, order):
    d = fcsym.derive(DERIVATIONS[name].network, order=order)
    phi, seen = d.network.hidden[-1].activation, 0
    names = [piece.name for piece in phi.pieces]
    for branch in d["P"].rhs:
        words = branch.name.split(" at ")[0].split(" -> ")
        if branch.value is None or not set(words) <= set(names) or len(words) != 2:
            continue
        at = (names.index(words[0]), names.index(words[1]))
        assert search.on_integral(d.network, order, d["P"], branch, at) is None
        wrong = replace(branch, value=add(branch.value, 1))
        seen += search.on_integral(d.network, order, d["P"], wrong, at) is not None
    assert seen


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


@pytest.mark.parametrize(
    ("network", "divides"),
    [
        (Network.parse("1-1-1"), False),
        (Network.parse("1-1-1").training(batch="sum"), False),
        (Network.parse("1-1-1").training(batch="mean"), True),
        (Network.parse("1-1-1").training("adam"), True),
        (Network.parse("1-1-1").training("momentum"), False),
    ],
    ids=str,
)
def test_what_has_something_below_a_line(network, divides):
    assert _divides(network) is divides


X, Y = (Array(name, None, ())[()] for name in "xy")
SIGNS = [
    (Number(Fraction(3)), 2), (Number(Fraction(1, 2)), 2), (Number(Fraction(0)), 1), (Number(Fraction(-1)), 0),
    (X, 0), (Pow(X, 2), 1), (Pow(X, 3), 0), (add(Pow(X, 2), 1), 2), (add(Pow(X, 2), Pow(Y, 2)), 1),
    (add(Pow(X, 2), -1), 0), (add(X, 1), 0), (mul(3, Pow(X, 2)), 1), (mul(X, Y), 0), (Pow(add(Pow(X, 2), 1), -1), 2),
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
