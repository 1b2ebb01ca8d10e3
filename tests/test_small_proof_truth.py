"""What is passed back from a loss, in the truth that proofs are held against, beside closed forms from textbooks.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import numpy as np
import pytest
from test_small_proofs import mlp

from fcsym.checking.functions import phi_of, slope_of
from fcsym.networks.symbols import ETA, adjoint_of
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


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_passes_back_is_what_textbooks_have(name):
    setting, output, passed = LOSSES[name]
    network = mlp([1, 2, 3], "tanh", **setting)

    def phi(array):
        return network.units[array.axes[-1]].activation

    gates = Gates(
        lambda at, s: float(phi_of(phi(at[0]), np.array(s))),
        lambda at, s: float(slope_of(phi(at[0]), np.array(s))),
        lambda at, s: float(phi_of(phi(at[0]), np.array(s))),
        lambda own, _, s: (float(phi_of(own, np.array(s))), float(slope_of(own, np.array(s)))),
    )
    given = {"W1": np.array([[0.5], [-0.75]]), "W2": np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.5]])}
    given |= {"x": np.array([0.5]), ETA.name: np.array(0.125)}
    known = reference(
        network, "simultaneous", lambda array, at: float(given[array.name][at]), lambda at: R[at[-1]], gates, float
    )
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
