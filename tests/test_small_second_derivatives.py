"""Second derivatives by name: what a wrong one is told by, what a slope moves by, and what a list of them has to have.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from test_small_proofs import mlp

import fcsym
from fcsym import Concatenate, Conv1d, Flatten, Linear, Network
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import indices_of
from fcsym.language.equation import Verdict
from fcsym.language.expression import ZERO, Apply, mul
from fcsym.layers import Node
from fcsym.networks.symbols import bend_of, direction_of, gate_of
from fcsym.proof.structure import flaws, flaws_of_derivatives
from fcsym.proof.twice_of_layers import TwiceOfLayers


def test_places_of_a_counterexample_count_from_1():
    """Of every element that it has a number for: of a parameter, of the data, and of the direction."""
    network = mlp([2, 1, 2])
    g = fcsym.gradient(network, "E", ["W1", "W2", "x"], along=["W1", "x"])
    arrays = [*network.parameters, network.input, network.target]
    arrays += [direction_of(a) for a in (network.parameters[0], network.input)]
    every = {
        f"{a.name}[{', '.join(map(str, at))}]"
        for a in arrays for at in product(*(range(1, network.sizes[axis] + 1) for axis in a.axes))
    }  # fmt: skip
    named = [e for e in g.equations if e.name in ("d2E_dT_dW1", "d2E_dT_dW2", "d2E_dT_dx")]
    assert len(named) == 3
    for wrong in named:
        changed = replace(wrong, rhs=mul(2, wrong.rhs))
        equations = tuple(changed if e is wrong else e for e in g.equations)
        found = next(f for f in replace(g, equations=equations).proof.findings if f.equation == wrong.name)
        assert found.verdict is Verdict.REFUTED
        point = found.counterexample.point
        assert {"W1[1, 1]", "W1[1, 2]", "TW1[1, 2]", "Tx[2]", "x[1]"} <= set(point) <= every
        assert found.counterexample.derived == 2 * found.counterexample.true != 0


@cache
def around():
    """A network in which a pre-activation is read by a function and by something else."""
    nodes = [Node(Linear(1, 2), "a", ("x",)), Node("tanh", "r", ("a",)), Node(Concatenate(), "c", ("a", "r"))]
    return fcsym.gradient(Network([*nodes, Node(Linear(4, 1), "y")], input=(1,)), "E", ["W1"], along=["W1"])


def test_a_slope_moves_although_what_it_is_of_is_read_elsewhere():
    """Each equation is proved, and none of those on the second derivative if it is twice that."""
    g = around()
    assert g.proof.holds and {f.index for f in g.proof.findings} == {"identical"}
    for name in ("dg1", "d2E_dT_ds1"):
        equations = tuple(replace(e, rhs=mul(2, e.rhs)) if e.name == name else e for e in g.equations)
        assert not replace(g, equations=equations).proof.holds


def test_a_slope_moves_by_the_second_one_where_the_list_has_that():
    """A function itself is no slope; of a list without it nothing is said, and by nothing else does a slope move."""
    g = around()
    moving = TwiceOfLayers(g.network, g.asked, g.equations).moving
    s = next(e.array for e in g.equations if e.name == "s1")
    slope = next(e for e in g.equations if e.array == gate_of(s))
    direction, at = direction_of(s), indices_of(s)
    assert moving._bent(slope, s, direction) == mul(bend_of(s)[at], direction[at])
    assert moving._bent(slope, direction, direction) == ZERO
    without = replace(moving, given={name: e for name, e in moving.given.items() if name != bend_of(s).name})
    for one, derivative in ((without, 1), (moving, 0), (moving, 2), (without, 0)):
        rhs = Apply(slope.rhs.activation, s[at], derivative=derivative)
        with pytest.raises(UnsupportedExpression, match="a slope that changes"):
            one._bent(replace(slope, rhs=rhs), s, direction)


def test_what_no_derivative_needs_is_none_of_a_list():
    g = fcsym.gradient(mlp([1, 1, 1]), "E", ["W1", "W2"])
    rules = {e.array: e.rule for e in g.equations}
    every = tuple(e.array for e in g.equations if e.name in ("E", "dE_dW1", "dE_dW2"))
    assert len(every) == 3 and flaws_of_derivatives(g.network, (), g.equations, every, rules) == []
    found = flaws_of_derivatives(g.network, (), g.equations, every[:-1], rules)
    assert (every[-1].name, "is needed by no result") in found


LAYERS = {
    "one map": Network([Flatten(), Linear(2, 1)], input=(1, 2)),
    "windows": Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(2, 2)], input=(1, 3), output="sigmoid", loss="bce"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_list_of_layers_is_complete_and_is_not_without_any_of_its_equations(name):
    """Up to the last linear map and with the activation behind it."""
    d = fcsym.derive(LAYERS[name])
    assert flaws(d.network, d.equations) == []
    for gone in d.equations:
        assert flaws(d.network, [e for e in d.equations if e is not gone]), gone
