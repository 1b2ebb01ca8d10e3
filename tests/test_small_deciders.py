"""The parts of the deciders, each against a definition: integrals in index notation, free units, signs, tables.

Each takes a fraction of a second, so that a fault in what a proof is made of is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest

import fcsym
from fcsym import Network
from fcsym.language.activation import activation
from fcsym.language.equation import Cases
from fcsym.language.expression import Array, Number, Pow, add, mul
from fcsym.proof import quotients
from fcsym.proof.expanded import _divides
from fcsym.proof.obligations import Meanings
from fcsym.proof.once import free_unit
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
