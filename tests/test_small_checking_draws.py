"""What networks are drawn for a check: how large their numbers are, how many there are, and which of them are 0.

Each takes a fraction of a second, so that a fault in what is compared, or how much, is seen by a test that is quick.
"""

from __future__ import annotations

import numpy as np
import pytest

import fcsym
from fcsym import Linear, Network
from fcsym.checking import trajectory
from fcsym.checking.oracle import backpropagation
from fcsym.checking.points import activate, draws, lattice, pre_activations
from fcsym.checking.trajectory import _Comparison
from fcsym.checking.truth import Truth


def run_of(network, name="backprop"):
    return _Comparison(fcsym.scheme(network, name), "simultaneous", np.dtype(float), 1, None)


@pytest.mark.parametrize("kind", ["layers", "dense"])
def test_networks_that_are_trained_are_ordinary_ones(kind):
    """Weights of a variance of one over what a unit reads, and biases of a number of their own."""
    network = Network([fcsym.Conv1d(2, 3, 2), fcsym.Flatten(), Linear(9, 4)], input=(2, 4))
    network = network if kind == "layers" else Network.mlp([9, 3, 1], bias=True)
    run = object.__new__(_Comparison)
    vars(run).update(network=network, dtype=np.dtype(float), scheme=fcsym.scheme(Network.mlp([1, 1]), "backprop"))
    weights, *_ = run._draw(np.random.default_rng(0), 2000)
    assert len(weights) == len(network.parameters) == 4
    for array, weight in zip(network.parameters, weights, strict=True):
        shape = network.shape(array)
        wide = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.5
        assert weight.shape == (2000, *shape)
        assert weight.std() == pytest.approx(wide, rel=0.05) and abs(weight.mean()) < 0.05


def test_one_of_several_inputs_is_nearly_another_and_of_a_single_one_a_quarter_is_0():
    """All of one input in eight."""
    for name, many in (("backprop", 4), ("weights", 1)):
        _, inputs, targets, eta = run_of(Network.mlp([4, 1, 1]), name)._draw(np.random.default_rng(0), 3000)
        assert inputs.shape == (3000, many, 4) and targets.shape == (3000, many, 1) and eta.shape == (3000,)
        nothing = (inputs == 0).all(axis=-1)[:, : max(1, many - 1)]
        assert nothing.mean() == pytest.approx(1 / 8, abs=0.02)
        some = inputs[:, : max(1, many - 1)][~nothing]
        assert (some == 0).mean() == pytest.approx(1 / 4, abs=0.03)
        for k in range(many - 1):
            apart = np.abs(inputs[:, -1] - inputs[:, k]).max(axis=-1)
            assert (apart.max() < 0.01 and apart.min() > 0) if k == 0 else np.median(apart) > 0.5


@pytest.mark.parametrize("name", ["backprop", "states"])
def test_steps_from_a_kink_are_those_of_networks_that_have_a_unit_there(name):
    """And of no others: every number of their weights counts."""
    network = Network.mlp([2, 2, 1])
    points = lattice(network, np.random.default_rng(3), 200)
    on = (pre_activations(network, points)[0] == 0).any(axis=-1)
    run = run_of(network, name)
    run.on_kinks(np.random.default_rng(3), 200)
    rows = {row.quantity: row for row in run.rows() if "kink" in row.case}
    assert set(rows) == {"W1 by expand", "W2 by expand"} and 20 < on.sum() < 180
    assert rows["W1 by expand"].points == 4 * on.sum() and rows["W2 by expand"].points == 2 * on.sum()


LAYERS = [fcsym.Conv1d(1, 2, 2), "relu", fcsym.Flatten(), Linear(6, 2)]


def test_of_networks_of_layers_as_many_points_as_are_asked_for():
    """Half as many exact ones, and in each of both kinds a quarter more: some at rest, and some of small weights."""
    network = Network(LAYERS, input=(1, 4))
    for trials in (4, 200):
        seen = {}
        for kind, points in draws(network, np.random.default_rng(0), trials, 2.0**-52):
            seen[kind] = seen.get(kind, 0) + len(points.x)
        more = max(trials // 4, 16)
        assert seen == {"random points": trials + more, "exact points": max(trials // 2, 16) + more}


@pytest.mark.parametrize("output", ["identity", "relu"])
def test_outputs_of_exact_points_of_layers_are_off_by_small_numbers(output):
    """What the oracle gives, with the function that the output has."""
    network = Network(LAYERS, input=(1, 4), output=output)
    points = lattice(network, np.random.default_rng(0), 300)
    y = backpropagation(network, "simultaneous", *points[:4])["y"]
    assert (y < 0).any() is np.bool_(output == "identity") and (y > 0).any()
    assert set(np.unique(y - points.target).astype(float)) == {-1, 0, 1, 2}
    s = backpropagation(network, "simultaneous", *points[:4])[network.logits.name]
    assert (activate(network, len(network.layers) - 1, s) == y).all()


def test_a_mini_batch_has_as_many_samples_as_are_said():
    """Each an input of its own, with a target of its own."""
    network = Network.mlp([2, 1]).training(None, "mean", 5)
    _, inputs, targets, _ = run_of(network)._draw(np.random.default_rng(0), 6)
    assert inputs.shape == (6, trajectory._INPUTS, 5, 2) and targets.shape == (6, trajectory._INPUTS, 5, 1)


def test_each_network_is_rounded_as_far_as_its_own_weights_are_large():
    """Unit by unit, whatever the networks beside it have."""
    network, rng = Network.mlp([2, 3, 1], bias=True), np.random.default_rng(0)
    sizes = 10.0 ** np.arange(-3, 4)
    weights = [rng.uniform(0.5, 1, size=(7, *network.shape(a))) for a in network.parameters]
    weights = [w * sizes.reshape(7, *(1,) * (w.ndim - 1)) for w in weights]
    truth = Truth(network, "simultaneous", weights, rng, 2.0**-30)
    for stack, own in zip(truth.weights, weights, strict=True):
        assert (stack[0] == own).all()
        far = np.abs(stack[1:] - own).reshape(2, 7, -1).max(axis=(0, 2)) / sizes
        assert (far <= 2.0**-30).all() and (far > 2.0**-35).all()
