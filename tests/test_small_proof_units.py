"""What a proof takes for granted of a unit, how far it moves and what it is fed by, and what it makes of its rows.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_small_proofs import mlp

import fcsym
from fcsym import Linear, Network, Residual
from fcsym.language.equation import Cases, Status, Verdict
from fcsym.language.expression import ZERO, add, mul, power
from fcsym.language.instance import positions
from fcsym.networks.symbols import ETA, gate_of, increment_of
from fcsym.proof import _Examiner
from fcsym.proof.points import Points, World, rationals
from fcsym.proof.tables import Table

LAYERS = [Linear(1, 2), "relu", Residual([Linear(2, 2, bias=False)]), "relu", Linear(2, 1)]
MOVED = {
    "the first layer": mlp([1, 2, 1]),
    "two layers": mlp([1, 2, 2, 1]),
    "the lower one frozen": mlp([1, 2, 2, 1]).frozen("W1"),
    "both of them frozen": mlp([1, 2, 2, 1]).frozen("W1", "W2"),
    "the upper one frozen": mlp([1, 2, 2, 1]).frozen("W2"),
    "a shared bias": mlp([1, 2, 1], bias=True).shared("b1"),
    "one unit, and a shared bias": mlp([1, 2, 1, 1], bias=True).shared("b2"),
    "one unit below": mlp([1, 1, 2, 1]),
    "one unit below, and a bias": mlp([1, 1, 2, 1], bias=[False, True, False]),
    "layers that are frozen": Network.sequential((1,), LAYERS).frozen("W1", "b1"),
    "layers of which one is": Network.sequential((1,), LAYERS).frozen("W1"),
    "two samples": mlp([1, 1, 1, 1]).training(batch="sum", samples=2),
    "momentum": mlp([1, 1, 1, 1]).training("momentum"),
}
DRAWN = 25


@pytest.mark.parametrize("name", MOVED)
def test_how_a_unit_moves_is_how_it_does_in_small_numbers(name):
    """That it stays, that it stays where its gate is closed, and that it is a multiple of what one unit below gives.

    Each where it is so in every network that is tried, and there alone.
    """
    d = fcsym.derive(MOVED[name])
    examiner, points = _Examiner(d), Points(d.network, d.order, d.by_name)
    worlds = [World(points, rationals(seed)) for seed in range(DRAWN)]
    units = d.network.activated
    for n, unit in enumerate(units):
        places = list(positions(unit.s, points.network.sizes))
        moves = [(w.value(increment_of(unit.s), at), w.value(gate_of(unit.s), at)) for w in worlds for at in places]
        assert examiner._still(unit) is all(not change for change, _ in moves)
        assert examiner._moves_by_its_gate(unit) is all(not change or bool(gate) for change, gate in moves)
        fed = n > 0 and d.network.rule.is_plain and not d.network.batch and d.network.built is None
        if fed:
            below, first = units[n - 1].v, (0,)
            fed = not any(w.value(unit.s, at) and not w.value(below, first) for w in worlds for at in places)
        assert examiner._only_unit_below(unit) == (units[n - 1].activation if fed else None)


def with_row(equation, n, **changes):
    """The table where one row says something else."""
    rows = [replace(b, **changes) if place == n else b for place, b in enumerate(equation.rhs)]
    return replace(equation, rhs=Cases(tuple(rows)))


def row_of(examiner, equation, n):
    """What is said of one row."""
    unit = examiner.network.hidden[-1]
    return examiner._row(equation, equation.rhs.branches[n], Table(equation, unit, gated=True))


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_what_a_row_divides_by_is_said_not_to_be_0_where_its_conditions_do_not_say_so(phi):
    """Of p that is v^c, which is 0 in rows without a quotient alone; of P it is eta and the error, too."""
    d = fcsym.derive(mlp([1, 1, 1], phi))
    examiner = _Examiner(d)
    for equation in (d[e] for e in ("p", "P") if e in d.by_name):
        for n, row in enumerate(equation.rhs):
            divides = row.status is Status.VALUE and row.value != ZERO
            found = {(c.subject.array.name, c.relation) for c in row_of(examiner, equation, n).where}
            assert found == ({("eta", "!="), ("delta2", "!=")} if divides and equation.name == "P" else set())
    one_more = add(ETA[()], 1)
    value = mul(d["p"].rhs.branches[0].value, one_more, power(one_more, -1))
    assert [c.subject for c in row_of(examiner, with_row(d["p"], 0, value=value), 0).where] == [one_more]


@pytest.mark.parametrize("word", ["active", "dead"])
def test_a_wrong_integral_has_a_point_at_which_it_is_wrong(word):
    """Twice of it has another slope in the weight, and one more is not 0 where the weight has not moved.

    Both are read off the numbers of the point by hand: of the slope of P it is -w' dv / (eta error v^2).
    """
    d = fcsym.derive(mlp([1, 1, 1]))
    n, row = next((n, b) for n, b in enumerate(d["P"].rhs) if b.name == f"active -> {word}")
    for wrong in (add(row.value, 1), mul(2, row.value)):
        finding = row_of(_Examiner(d), with_row(d["P"], n, value=wrong), n)
        found, at = finding.counterexample, finding.counterexample.point
        assert finding.verdict is Verdict.REFUTED and finding.note == str(found)
        assert at["vc"] == at["s"] > 0 and (at["s"] + at["ds"] > 0) is (word == "active")
        if wrong == mul(2, row.value):
            dv = max(at["s"] + at["ds"], 0) - at["s"]
            assert found.true == -at["W'"] * dv / (at["eta"] * at["delta"] * at["vc"] ** 2)
            assert found.derived == 2 * found.true and found.quantity.startswith("dP/dw'")
        else:
            assert (found.true, found.derived) == (0, 1) and at["W"] == at["W'"]
