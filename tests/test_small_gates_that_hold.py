"""Which units of layers a step moves by their gates alone, beside steps in numbers.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import numpy as np
import pytest

import fcsym
from fcsym import Concatenate, Conv1d, Flatten, LayerNorm, Linear, MaxPool1d, MultiheadAttention, Network
from fcsym.layers import Node
from fcsym.networks.symbols import increment_of
from fcsym.proof.reach import moves_by_its_gate, stays

TWO = [Node(Linear(2, 1), "a", ("x",)), Node(Linear(2, 1), "b", ("x",)), Node(Concatenate(), "c", ("a", "b"))]
NETWORKS = {
    "plain": (Network([Linear(2, 2), "relu", LayerNorm(2), Linear(2, 1)], input=(2,)), True),
    "two maps beside each other": (Network([*TWO, Node("relu", "r"), Node(Linear(2, 1), "y")], input=(2,)), True),
    "one window": (Network([Conv1d(1, 2, 2), "relu", Flatten(), Linear(2, 1)], input=(1, 2)), True),
    "two windows": (Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(2, 1)], input=(1, 3)), False),
    "greatest of windows": (
        Network([Conv1d(1, 1, 2), MaxPool1d(2), "relu", Flatten(), Linear(2, 1)], input=(1, 5)), False,
    ),
    "normalised": (Network([Linear(2, 2), LayerNorm(2), "relu", Linear(2, 1)], input=(2,)), False),
    "a way around": (
        Network(
            [
                Node(Linear(2, 2), "a", ("x",)), Node("relu", "r", ("a",)), Node(Concatenate(), "c", ("a", "r")),
                Node(Linear(4, 1), "y"),
            ],
            input=(2,),
        ),
        False,
    ),
    "around what is read in another way": (
        Network(
            [
                Node(Linear(1, 1), "a", ("x",)), Node(MultiheadAttention(1, 1), "m", ("a",)), Node(Linear(1, 1), "b"),
                Node("relu", "r"), Node(Concatenate(), "c", ("a", "r")), Node(Flatten(), "f"), Node(Linear(2, 1), "y"),
            ],
            input=(1, 1),
        ),
        False,
    ),
}  # fmt: skip
"""And whether the gate of a unit holds it where it is closed."""


@pytest.mark.parametrize("name", NETWORKS)
def test_where_its_gate_alone_moves_a_unit_it_stays_while_that_is_closed(name):
    """Elsewhere it moves at some of the numbers that are drawn."""
    network, alone = NETWORKS[name]
    unit = next(unit for unit in network.hidden if unit.activation.name == "relu")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=[20, *(network.sizes[a] for a in theta.axes)]) for theta in network.parameters]
    x = rng.normal(size=[20, *(network.sizes[a] for a in network.input.axes)])
    after = fcsym.derive(network).compile().step(weights, x, rng.normal(size=(20, 1)), 0.1)
    s, moved = (np.asarray(getattr(after, array.name)) for array in (unit.s, increment_of(unit.s)))
    closed = s <= 0
    assert 0 < closed.sum() < closed.size and moved[~closed].any()
    assert not moved[closed].any() if alone else moved[closed].any()
    assert moves_by_its_gate(network, unit) is alone and not stays(network, unit)
