"""What is passed back from a loss, in the truth that proofs are held against, beside closed forms from textbooks.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from test_small_proofs import mlp

from fcsym.checking.functions import phi_of, slope_of
from fcsym.language.instance import positions
from fcsym.networks.symbols import ALPHA, ETA, adjoint_of, increment_of, kappa
from fcsym.proof.reference import Gates, reference

R = np.array([0.75, -1.25, 0.5])
"""y - y_g: of a distribution it adds up to 0."""
sigmoid = np.vectorize(lambda s: 1 / (1 + np.exp(-s)))
LOSSES = {
    "squares": ({}, lambda s: s, lambda s, y: R),
    "sigmoid, squares": ({"output": "sigmoid"}, sigmoid, lambda s, y: R * y * (1 - y)),
    "softmax, squares": ({"output": "softmax"}, lambda s: np.exp(s) / np.exp(s).sum(), lambda s, y: y * (R - y @ R)),
    "softmax, cross entropy": (
        {"output": "softmax", "loss": "cross_entropy"}, lambda s: np.exp(s) / np.exp(s).sum(), lambda s, y: R,
    ),
    "sigmoid, bce": ({"output": "sigmoid", "loss": "bce"}, sigmoid, lambda s, y: R),
    "bce on logits": ({"loss": "bce_logits"}, lambda s: s, lambda s, y: sigmoid(s) - (s - R)),
    "tanh, huber": (
        {"output": "tanh", "loss": "huber"}, np.tanh, lambda s, y: np.clip(R, -1, 1) * (1 - y**2),
    ),
    "l1": ({"loss": "l1"}, lambda s: s, lambda s, y: np.sign(R)),
}  # fmt: skip
"""Setting, what the output is by the logits, and what E moves by with them."""


def gates_of(network):
    """The functions of a network at numbers."""

    def phi(array):
        return network.units[array.axes[-1]].activation

    return Gates(
        lambda at, s: float(phi_of(phi(at[0]), np.array(s))),
        lambda at, s: float(slope_of(phi(at[0]), np.array(s))),
        lambda at, s: float(phi_of(phi(at[0]), np.array(s))),
        lambda own, _, s: (float(phi_of(own, np.array(s))), float(slope_of(own, np.array(s)))),
    )


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_passes_back_is_what_textbooks_have(name):
    setting, output, passed = LOSSES[name]
    network = mlp([1, 2, 3], "tanh", **setting)
    given = {"W1": np.array([[0.5], [-0.75]]), "W2": np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.5]])}
    given |= {"x": np.array([0.5]), ETA.name: np.array(0.125)}
    known = reference(
        network, "simultaneous", lambda array, at: float(given[array.name][at]), lambda at: R[at[-1]],
        gates_of(network), float,
    )  # fmt: skip
    s = given["W2"] @ np.tanh(given["W1"] @ given["x"])
    y = output(s)
    of = [np.array([known[array, (k,)] for k in range(3)]) for array in (network.logits, network.output)]
    assert np.allclose(of, [s, y], rtol=1e-13)
    delta = np.array([known[adjoint_of(network.logits), (k,)] for k in range(3)])
    assert np.allclose(delta, passed(s, y), rtol=1e-12)
    step = given["W2"] - 0.125 * np.outer(delta, np.tanh(given["W1"] @ given["x"]))
    after = network.read_out.primed
    made = [[known[after, (k, j)] for j in range(2)] for k in range(3)]
    assert np.allclose(made, step, rtol=1e-12)


@pytest.mark.parametrize("bias", [*product([False, True], repeat=3)], ids=str)
def test_what_a_unit_moves_by_is_split_whatever_layers_have_biases(bias, order):
    """ds = kappa - eta delta alpha in the last hidden layer, where no gate is 0."""
    network = mlp([1, 2, 2, 1], "tanh", bias=list(bias))
    drawn = random.Random(0)
    known = reference(
        network, order, lambda *_: drawn.uniform(0.25, 1), lambda _: 0.5, gates_of(network), float
    )  # fmt: skip
    s = network.hidden[-1].s
    for (j,) in positions(s, network.sizes):
        passed = known[ETA, ()] * known[adjoint_of(s), (j,)] * known[ALPHA, ()]
        assert abs(passed) > 1e-3
        assert np.isclose(known[increment_of(s), (j,)], known[kappa(s), (j,)] - passed, rtol=1e-12)
