"""Training on columns for a few steps beside automatic differentiation: weights, outputs, and units that leave a line.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import numpy as np
import pytest
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking.oracle import backpropagation
from fcsym.collapsing.kernel import CollapsedKernel

DECAY = fcsym.rule("sgd", weight_decay=0.1)
NETWORKS = {
    "one input": (Network.mlp([2, 40, 2]), 1, (0, 1)),
    "several inputs": (Network.mlp([2, 120, 2], bias=True), 3, (0, 1)),
    "leaky": (Network.mlp([2, 120, 1], "leaky_relu"), 2, (0, 1)),
    "intercepts": (Network.mlp([2, 120, 1], HAT, bias=[True, False]), 2, (0, 1)),
    "any inputs": (Network.mlp([2, 120, 2], bias=[False, True]), 2, (1,)),
    "intercepts, any inputs": (Network.mlp([2, 120, 2], HAT), 2, (1,)),
    "no layer": (Network.mlp([2, 5, 2], bias=True), 2, (0,)),
    "a mean": (Network.mlp([2, 120, 2]).training(None, "mean"), 2, (0, 1)),
    "the layer above": (Network.mlp([2, 3, 120, 2], bias=True), 2, (0, 2)),
    "the layer below": (Network.mlp([2, 120, 3, 2], ["relu", "leaky_relu"], bias=True), 2, (0, 1)),
    "one bias for all": (Network.mlp([2, 120, 2], bias=[True, False]).shared("b1"), 2, (0, 1)),
    "one bias for all above": (Network.mlp([2, 3, 120, 2], "leaky_relu", bias=True).shared("b2"), 2, (0, 2)),
    "no gates": (Network.mlp([2, 30, 2], "identity", bias=True), 2, (0, 1)),
    "momentum": (Network.mlp([2, 120, 1], bias=True).training("momentum"), 2, (0, 1)),
    "decay": (Network.mlp([2, 120, 1], bias=True).training(DECAY), 2, (0, 1)),
    "a frozen bias": (Network.mlp([2, 120, 1], bias=True).frozen("b1"), 2, (0, 1)),
    "one line": (Network.mlp([2, 40, 2], fcsym.piecewise_linear("twice", [fcsym.Piece(None, 2)])), 2, (0, 1)),
    "labels": (Network.mlp([2, 120, 3], loss="cross_entropy"), 2, (0, 1)),
}
EVENTFUL = ("several inputs", "leaky", "intercepts", "any inputs", "one bias for all", "decay", "a mean")


class Trained:
    """Weights and what a rule remembers, in automatic differentiation."""

    def __init__(self, network, order, weights, x):
        self.network, self.order, self.weights, self.x = network, order, weights, x
        self.memory = {a.name: np.zeros((1, *network.shape(a))) for a in network.memory}

    def step(self, target, eta):
        one = backpropagation(
            self.network, self.order, [w[None] for w in self.weights], self.x[None], target[None], np.array([eta]),
            self.memory,
        )  # fmt: skip
        self.weights = [
            np.asarray(one[f"{a.name}_new"][0], float) if f"{a.name}_new" in one else w
            for a, w in zip(self.network.parameters, self.weights, strict=True)
        ]
        self.memory = {name: np.asarray(one[f"{name}_new"], float) for name in self.memory}
        return self.weights


def lines_on(network, weights, x):
    """The line that each unit of a layer is on, for every sample, by layer; and the output."""
    rest, v, found = list(weights), np.atleast_2d(x), {}
    for n, layer in enumerate(network.layers, 1):
        s = v @ rest.pop(0).T
        s = s + rest.pop(0) if layer.bias else s
        if n == len(network.layers):
            break
        phi = layer.activation
        if phi.is_smooth:
            v = np.tanh(s)
            continue
        kinks = [float(k) for k in phi.kinks]
        found[n] = np.searchsorted(kinks, s)
        assert not np.isin(s, kinks).any()
        slopes, offsets = np.array([[float(p.slope), float(p.intercept)] for p in phi.pieces]).T
        v = slopes[found[n]] * s + offsets[found[n]]
    return found, s


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_on_columns_are_those_of_automatic_differentiation(name):
    """In the other order where a name is long: all of both would take twice as long."""
    network, inputs, layers = NETWORKS[name]
    order = "sequential" if len(name) % 2 else "simultaneous"
    rng = np.random.default_rng(len(name))
    weights = [rng.normal(size=network.shape(a)) / np.sqrt((*network.shape(a), 1, 1)[1]) for a in network.parameters]
    several = inputs > 1 or network.batch
    x = rng.normal(size=(inputs, network.inputs) if several else network.inputs)
    labels = rng.integers(0, 3, size=inputs) if name == "labels" else None
    far, eta = (12, 0.01) if len(network.layers) == 2 else (1, 0.002)  # far from the outputs units cross
    target = far * rng.normal(size=(inputs, network.widths[-1]))
    goal = (target if several else target[0]) if labels is None else np.eye(3)[labels]
    kernel = CollapsedKernel(network, order, layers)
    state, steps = kernel.init(weights, x), 6
    assert all(width < network.widths[n] for n, width in state.widths.items())
    together = network.training(network.rule, network.batch or "sum", inputs) if several else network
    plain = Trained(together, order, weights, x)
    told, wanted = {n: set() for n in layers}, {n: set() for n in layers}
    before, y = lines_on(network, weights, x)
    for step in range(1, steps + 1):
        np.testing.assert_allclose(np.atleast_2d(kernel.output(state, x)), y, rtol=1e-10, atol=1e-12)
        state = kernel.step(state, x, goal if labels is None else labels, eta)
        true = plain.step(goal, eta)
        after, y = lines_on(network, true, x)
        for n in layers:
            for unit in np.flatnonzero((before[n] != after[n]).any(axis=0)) if n in before else ():
                wanted[n].add((step, int(unit), tuple(before[n][:, unit]), tuple(after[n][:, unit])))
        before = after
    for event in kernel.events(state):
        told[event.layer] |= {(event.step, unit, event.before, event.after) for unit in event.units}
    assert told == wanted and state.steps == steps
    assert name not in EVENTFUL or any(wanted.values())
    for got, own in zip(kernel.expand(state), true, strict=True):
        np.testing.assert_allclose(got, own, rtol=1e-11, atol=1e-12)
    codes = {n: 2 * own.T for n, own in before.items() if n in layers}
    for n, own in codes.items():
        patterns = np.unique(own, axis=0)
        np.testing.assert_array_equal(state.columns[n].patterns, patterns)
        assert state.groups[n] == len(patterns)
        assert not np.any(own % 2)


@pytest.mark.parametrize(
    ("phi", "bias"), [("relu", [True, False]), ("leaky_relu", [False, True]), ("relu", [True, True])], ids=str
)
def test_gate_events_of_one_input_and_one_output_are_carried(phi, bias):
    """Whichever layer has biases: the equations of one input know where every unit is."""
    network = Network.mlp([2, 12, 1], phi, bias=bias)
    kernel = fcsym.scheme(network, "collapsed").compile()
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    fresh, x, target = weights, rng.normal(size=2), np.array([3.0])
    state = kernel.init(weights, x)
    before, wanted = lines_on(network, weights, x)[0], []
    plain = Trained(network, "simultaneous", weights, x)
    for step in range(1, 9):
        state = kernel.step(state, x, target * (-1) ** step, 0.08)
    for step in range(1, 9):
        weights = plain.step(target * (-1) ** step, 0.08)
        after, y = lines_on(network, weights, x)
        wanted += [(step, int(u)) for u in np.flatnonzero((before[1] != after[1])[0])]
        before = after
    assert wanted
    assert sorted((e.step, u) for e in state.events for u in e.units) == wanted
    assert {e.layer for e in state.events} == {1} and kernel.events(state) == state.events
    whole = kernel.run(kernel.init(fresh, x), [x] * 8, [target * (-1) ** step for step in range(1, 9)], 0.08)
    assert tuple(whole) == tuple(state) and whole.events == state.events
    assert kernel.events(kernel._inner.init(fresh, x)) == ()
    np.testing.assert_allclose(kernel.output(state, x), y[0], rtol=1e-10)
    for got, own in zip(kernel.expand(state, weights, x), weights, strict=True):
        np.testing.assert_allclose(got, own, rtol=1e-10, atol=1e-12)


def test_steps_for_several_inputs_in_one_call_are_those_of_several_inputs():
    kernel = fcsym.scheme(Network.mlp([2, 12, 1]), "collapsed").compile()
    rng = np.random.default_rng(1)
    weights, x, targets = (
        [rng.normal(size=(12, 2)), rng.normal(size=(1, 12))],
        rng.normal(size=(3, 2)),
        np.ones((2, 3, 1)),
    )
    state = kernel.init(weights, x)
    made = kernel.run(state, [None, x], targets, 0.01)
    after = kernel.step(kernel.step(state, x, targets[0], 0.01), x, targets[1], 0.01)
    np.testing.assert_array_equal(kernel.output(made, x), kernel.output(after, x))
    one = kernel.run(kernel.init(weights, x[0]), [x[0]] * 3, np.ones((3, 1)), 1e-6)
    assert one.start.steps == 3 and not one.events
    every = kernel.init(weights, x[:, None])  # one input each, of as many networks that are alike
    for n, own in enumerate(x):
        assert [a[n, 0] for a in every[:3]] == list(kernel.init(weights, own)[:3])


def test_a_copy_of_training_goes_on_by_itself():
    network = Network.mlp([2, 30, 2])
    rng = np.random.default_rng(0)
    weights, x, target = [rng.normal(size=(30, 2)), rng.normal(size=(2, 30))], rng.normal(size=(2, 2)), np.ones((2, 2))
    run = fcsym.find_collapse(network, 2, contracted=[0, 1]).train(weights, x)
    other = run.copy()
    with pytest.raises(fcsym.ArgumentError, match="there is one input"):
        fcsym.find_collapse(network, contracted=[0, 1]).train(weights, x[0]).step(target[0], 0.01, which=[0])
    first, numbers, used = run.output, run.numbers, run._now.columns[1].used
    # of every column 2 weights, 2 pre-activations and 2 numbers that these follow from; and of the inputs 4 products
    assert numbers == 6 * used + 4 + 2
    run.step(target, 0.01)
    np.testing.assert_array_equal(other.output, first)
    np.testing.assert_array_equal(run.inputs, x)
    assert (other.steps, run.steps) == (0, 1) and other.numbers == numbers
    other.step(target, 0.01)
    np.testing.assert_array_equal(other.output, run.output)
