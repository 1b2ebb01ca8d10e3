"""A check tells what rounding alone decides from what is wrong, in networks of layers that had it fail."""

from __future__ import annotations

import numpy as np
import pytest

import fcsym
from fcsym.checking.points import random_points
from fcsym.checking.tally import Tally
from fcsym.equations import hidden, indices, input_, parameter, total
from fcsym.errors import LossWarning
from fcsym.layers import (
    AvgPool1d,
    Conv1d,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MultiheadAttention,
    Residual,
    RMSNorm,
)
from fcsym.networks.network import Network


def cubed():
    """y = W (U x)^3, with an output activation."""
    i, j, k = indices("i j k")
    x, h, v, z = input_("x", j), hidden("h1", i), hidden("h2", i), hidden("z", k)
    u, w, b = parameter("U1", i, j), parameter("W", k, i), parameter("b", k)
    made = [(h[i], total(j, u[i, j] * x[j])), (v[i], h[i] ** 3), (z[k], total(i, w[k, i] * v[i]) + b[k])]
    return Network.from_equations(made, {"i": 2, "j": 2, "k": 2}, output="tanh")


def of_a_loss(*given, **more):
    """A network whose loss means little after its output activation, which is said elsewhere."""
    with pytest.warns(LossWarning):
        return Network.mlp(*given, **more)


CHECKED = {
    # nothing below the read-out is trained: there is no compensation to compare
    "an activation, and what reads it": (Network.sequential((3,), ["relu", Linear(3, 2)]), {"rule": "adam"}),
    "a frozen convolution": (
        Network.sequential((1, 4), [Conv1d(1, 2, 2), AvgPool1d(3), Flatten(), Linear(2, 1)]).frozen("W1", "b1"),
        {"order": "sequential"},
    ),
    # a gradient of 0 that rounding makes something, divided by its own size: nothing is known of the step
    "the bias of keys by RMSProp": (
        Network.sequential((2, 2), [MultiheadAttention(2, 1), Flatten(), Linear(4, 1)]),
        {"rule": "rmsprop", "order": "sequential"},
    ),
    # v^c of 0 that rounding makes something
    "a frozen value that cancels": (
        Network.sequential((3,), [LayerNorm(3), Linear(3, 3, bias=False), Linear(3, 2, bias=False)], output="tanh"),
        {},
    ),
    "one that cancels, in a mini-batch": (
        Network.sequential((2,), [LayerNorm(2), "gelu", Linear(2, 1), Linear(1, 2, bias=False)], loss="l1"),
        {"batch": "mean"},
    ),
    "one that cancels, beside a way around": (
        Network.sequential(
            (3,), [LayerNorm(3), RMSNorm(3), Residual([Linear(3, 3), "tanh"]), Linear(3, 1, bias=False)]
        ),
        {"order": "sequential"},
    ),
    # what may be 0, to its third power: to first order nothing is left of how far it may be off
    "a power of what cancels": (cubed(), {"batch": "sum", "samples": 2}),
    # which of two equals is the largest after a step of which nothing is known
    "a largest value of equals": (
        Network.sequential((1, 4), [Conv1d(1, 2, 2), "softplus", MaxPool1d(3), Flatten(), Linear(2, 1)]),
        {"rule": "adamw", "batch": "sum", "samples": 2},
    ),
    # a pre-activation without weights of its own is 0 by chance, if at all
    "a unit that has no weights": (
        Network.sequential((3,), [Residual([Linear(3, 3), "sigmoid"]), "identity", "relu", Linear(3, 1)]),
        {"batch": "mean"},
    ),
    # an output that moves by an exponential: no exact point is on a kink after the step
    "a kink above a softmax": (of_a_loss([3, 3, 3], "sigmoid", True, output="leaky_relu", loss="cross_entropy"), {}),
    # the oracle takes a difference of two passes, and is lost in its own digits where a step is tiny
    "one p for a mini-batch": (
        of_a_loss([2, 2, 2], "leaky_relu", output="leaky_relu", loss="hinge"),
        {"batch": "sum", "samples": 1},
    ),
    # the only unit that there is, whatever it reads through: with a closed gate nothing moves
    "one output above attention": (
        Network.sequential((2, 2), [MultiheadAttention(2, 1), Flatten(), Linear(4, 1)], output="relu"),
        {"rule": "rmsprop"},
    ),
}


@pytest.mark.parametrize("name", CHECKED)
def test_what_rounding_decides_is_no_failure(name):
    network, settings = CHECKED[name]
    d = fcsym.derive(network, **settings)
    assert d.proof.holds
    found = fcsym.check(d, trials=1000 if network.built is None else 300)
    assert found.passed, "\n".join(line for line in str(found).splitlines() if "FAIL" in line)
    assert ("_front " in str(found)) == any(not e.defines for e in d.equations)


def test_one_unit_above_attention_cannot_wake_up_and_one_of_two_can():
    for outputs in (1, 2):
        network = Network.sequential((2, 2), [MultiheadAttention(2, 1), Flatten(), Linear(4, outputs)], output="relu")
        proof = fcsym.derive(network).proof
        assert proof.case("dy", "dead -> active").possible is (outputs > 1)
        assert proof.case("dy", "active -> dead").possible


def test_a_wrong_compensation_is_seen_where_rounding_decides_nothing():
    """What is not compared is not all: twice the p, or a p of no unit, is found at the points that are left."""
    for name in ("a frozen value that cancels", "the bias of keys by RMSProp"):
        network, settings = CHECKED[name]
        d = fcsym.derive(network, **settings)
        tally = Tally(d, np.dtype(float))
        kernel = d.compile()
        rng = np.random.default_rng(0)
        computed = tally.computed(kernel, random_points(network.training(d.network.rule, None), rng, 40))
        computed.result["p"] = computed.result["p"] * (1 + 1e-4)
        tally.compare_computed(computed, d.order)
        assert max(row.ratio for (quantity, _), row in tally.seen.items() if quantity == "p") > 1
        assert tally.left_out < 20
