"""Training in exact numbers: as written out by hand where that is known, and as PyTorch trains where it is not."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from conftest import ORDERS, need_package

import fcsym
from fcsym.checking.exact import distance, trajectory, writes_out
from fcsym.kernel.stored import fraction_of
from fcsym.values.path import path

STEPS = 4


def flat(value):
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, tuple) else [as_float(value)]


def as_float(value):
    return float(value.middle if hasattr(value, "middle") else value)


@pytest.mark.parametrize("order", ORDERS)
def test_equations_train_as_what_is_written_out_by_hand(order):
    need_package("flint")
    network = fcsym.Network.mlp([2, 3, 2], "leaky_relu", bias=True)
    assert writes_out(network)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    xs, targets = rng.normal(size=(STEPS, 2)), rng.normal(size=(STEPS, 2))
    own = list(path(network, fcsym.derive(network, order), weights, list(xs), list(targets), 0.1))
    hand = list(trajectory(network, order, weights, list(xs), list(targets), 0.1))
    assert len(own) == len(hand) == STEPS + 1
    for (output, now), b in zip(own, hand, strict=True):
        assert all(distance(float(one), two) < 1e-15 for one, two in zip(output, b.output, strict=True))
        theirs = [float(v.mid()) for w in b.weights for v in np.ravel(np.array(w, dtype=object))]
        assert flat(now) == theirs  # the same float next to it


@pytest.mark.parametrize("update", [None, "momentum", "adam"])
def test_layers_and_rules_train_as_in_pytorch(update):
    torch = need_package("torch")
    module = torch.nn.Sequential(
        torch.nn.Conv1d(1, 2, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(6, 3)
    ).double()
    network = fcsym.Network.from_torch(module, (1, 4)).training(update)
    assert not writes_out(network)
    weights = [p.detach().numpy().copy() for p in module.parameters()]
    weights = [w.reshape(network.shape(a)) for w, a in zip(weights, network.parameters, strict=True)]
    rng = np.random.default_rng(2)
    xs, targets = rng.normal(size=(STEPS, 1, 4)), rng.normal(size=(STEPS, 3))
    kinds = {
        None: lambda p: torch.optim.SGD(p, 0.1), "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, 0.1),
    }  # fmt: skip
    optimiser = kinds[update](module.parameters())
    exact = path(network, fcsym.derive(network), weights, list(xs), list(targets), 0.1)
    for x, target, (given, _) in zip(xs, targets, exact, strict=False):
        output = module(torch.tensor(x)[None])[0]
        np.testing.assert_allclose(flat(given), output.detach().numpy(), rtol=1e-12, atol=1e-14)
        optimiser.zero_grad()
        (0.5 * (output - torch.tensor(target)) ** 2).sum().backward()
        optimiser.step()
    _, last = next(exact)
    for own, theirs in zip(last, module.parameters(), strict=True):
        np.testing.assert_allclose(flat(own), theirs.detach().numpy().ravel(), rtol=1e-11, atol=1e-14)


NETWORKS = {
    "recurrence": fcsym.Network([fcsym.RNN(2, 2, nonlinearity="relu"), fcsym.Linear(2, 1)], input=(2, 2)),
    "cross-entropy": fcsym.Network.mlp([2, 3, 2], "tanh", output="softmax", loss="cross_entropy"),
    "decay": fcsym.Network.parse("2-2-1").training(fcsym.rule("momentum", weight_decay="0.01")),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_training_by_every_scheme_is_measured(name):
    found = fcsym.accuracy(NETWORKS[name], trials=7, steps=3)
    assert found.passed
    trained = {row.subject for row in found.rows if row.quantity == "y"} - {"step"}
    assert trained >= {"backprop", "states"} - ({"states"} if name == "decay" else set())
    assert all(row.numbers and row.median < 50 for row in found.rows if row.subject != "step" and row.quantity == "y")
    assert not any("not measured" in note for note in found.notes)


def test_every_step_has_an_input_and_a_target():
    network = fcsym.Network.parse("1-1-1")
    with pytest.raises(ValueError, match="shorter"):
        list(trajectory(network, "sequential", [np.ones((1, 1))] * 2, [[1.0], [2.0]], [[0.5]], 0.1))


def test_what_no_float_is_near_is_no_fraction_of_a_million_digits():
    """The softmax of what has diverged is such a number: its fraction took minutes, and any memory."""
    tiny, huge = mpmath.mpf(2) ** -(10**12), mpmath.mpf(2) ** (10**12)
    assert fraction_of(-tiny) < 0 < fraction_of(tiny) < Fraction(5e-324) / 2
    assert fraction_of(mpmath.mpf(0)) == 0
    for float_ in (5e-324, -1.7e308, 0.1):
        assert fraction_of(mpmath.mpf(float_)) == Fraction(float_)
    with pytest.raises(OverflowError, match="2 to the power"):
        fraction_of(huge)
