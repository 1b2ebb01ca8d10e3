"""The numbers of a counterexample: a step that goes down the gradient, and errors of all outputs.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from test_small_proofs import mlp

import fcsym
from fcsym.language.expression import ONE, ZERO, add, mul
from fcsym.proof import search
from fcsym.proof.search import in_network, on_integral


@pytest.mark.parametrize("drawn", [-2, "-1/2", 0, "1/2", 3])
def test_a_step_has_the_size_that_is_drawn_and_goes_down(drawn, monkeypatch):
    """Of 0 it would be none: then it is 1."""
    d = fcsym.derive(mlp([1, 1, 1]))
    drawn = Fraction(drawn)
    monkeypatch.setattr(search, "_small", lambda source: drawn)
    monkeypatch.setattr(search, "_TRIES", 2)
    assert in_network(d.network, d.order, d["y"], d.by_name) is None
    found = in_network(d.network, d.order, replace(d["W2_new"], rhs=add(d["W2_new"].rhs, ONE)), d.by_name)
    point = found.point
    assert point["eta"] == (abs(drawn) if drawn else 1)
    v = max(point["W1[1, 1]"] * point["x[1]"], Fraction(0))
    assert point["yg[1]"] == point["W2[1, 1]"] * v - drawn
    assert (found.quantity, found.true) == ("W2_new[1, 1]", point["W2[1, 1]"] - point["eta"] * drawn * v)
    assert found.derived == found.true + 1


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_errors_of_other_outputs_move_a_unit_too(phi, order, monkeypatch):
    """Of P no numbers are found, unless it is another one; these have the errors of the others in rho."""
    monkeypatch.setattr(search, "_TRIES", 60)
    d = fcsym.derive(mlp([1, 1, 2], phi), order)
    words = [piece.name for piece in d.network.hidden[0].activation.pieces]
    seen = 0
    for row in d["P"].rhs:
        if " at " in row.name or row.value in (None, ZERO):
            continue
        pieces = tuple(map(words.index, row.name.split(" -> ")))
        assert on_integral(d.network, order, d["P"], row, pieces) is None
        found = on_integral(d.network, order, d["P"], replace(row, value=mul(2, row.value)), pieces)
        if found is None:
            continue
        at, seen = found.point, seen + bool(found.point["rho"])
        through = at["W'"] if order == "sequential" else at["W"]
        assert at["ds"] == -at["eta"] * at["g"] * (through * at["delta"] + at["rho"]) * at["a"]
    assert seen
