"""Schemes trained a few steps beside backpropagation, and what they say of themselves.

Each takes a fraction of a second, so that a fault in what a scheme keeps is seen by a test that is quick.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fcsym
from fcsym import Concatenate, Conv1d, Flatten, Linear, Network
from fcsym.errors import ArgumentError
from fcsym.layers import Node
from fcsym.schemes import SCHEMES, basis

TWO = [Node(Linear(2, 2), "a"), Node(Linear(2, 1), "b", ("x",)), Node(Concatenate(), "c", ("a", "b")), "relu"]
UNLIKE = [Node(Linear(2, 2), "a"), Node(Linear(2, 1, bias=False), "b", ("x",)), Node(Concatenate(), "c", ("a", "b"))]
CONVOLUTION = Network.sequential((1, 4), [Conv1d(1, 2, 2), "relu", Flatten(), Linear(6, 1)])
NETWORKS = {
    "plain": Network.mlp([2, 2, 1]),
    "one output alone": Network.mlp([2, 2]),
    "biases": Network.mlp([2, 2, 2], "leaky_relu", bias=True),
    "a bias that stays": Network.mlp([2, 2, 1], bias=True).frozen("b1"),
    "a shared bias": Network.mlp([2, 2, 1], bias=True).shared("b1"),
    "three inputs": Network.mlp([3, 2, 1], "leaky_relu"),
    "a convolution": CONVOLUTION,
    "a convolution whose bias stays": CONVOLUTION.frozen("b1"),
    "two read it": Network.sequential(2, [*TWO, Linear(3, 1)]),
    "two read it, and one bias stays": Network.sequential(2, [*TWO, Linear(3, 1)]).frozen("b1"),
    "two read it, one without a bias": Network.sequential(2, [*UNLIKE, "relu", Linear(3, 1)]),
}


@cache
def built(name, scheme, batch, rule):
    return fcsym.scheme(NETWORKS[name], scheme, batch=batch, rule=rule)


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in ("backprop", "collapsed")])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("batch", "rule"), [(None, None), ("mean", None), ("sum", "momentum")])
def test_a_scheme_trains_as_backpropagation_does(name, scheme, batch, rule):
    """The outputs of three steps and the weights at the end, and each array of its state is told in words.

    Where there is none it says so by its name.
    """
    try:
        one = built(name, scheme, batch, rule)
    except ArgumentError as problem:
        assert scheme in str(problem)
        return
    network, rng = one.network, np.random.default_rng(5)
    kernels = [fcsym.scheme(NETWORKS[name], "backprop", batch=batch, rule=rule).compile("numpy"), one.compile("numpy")]
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    count = (3,) if batch else ()
    xs = rng.normal(size=(1 if one.single_input else 3, *count, *network.one_input))
    goals = rng.normal(size=(3, *count, *network.one_target))
    states = [kernel.init(weights, xs[0]) for kernel in kernels]
    for k, goal in enumerate(goals):
        x = xs[k % len(xs)]
        first, second = (kernel.output(state, x) for kernel, state in zip(kernels, states, strict=True))
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-11)
        states = [kernel.step(state, x, goal, 0.05) for kernel, state in zip(kernels, states, strict=True)]
    first, second = (kernel.expand(state, weights, xs[0]) for kernel, state in zip(kernels, states, strict=True))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert all(isinstance(words, str) for _, words, _ in one.carried)
    own = sum(array.name.startswith("W") or array.name.startswith("b") for array in network.parameters)
    assert own and one.split_by == network.layers[0].activation


@pytest.mark.parametrize(("name", "said"), [("a convolution", " makes of the data is stored in place of its weights")])
def test_what_stands_in_the_place_of_weights_is_said(name, said):
    assert said in built(name, "states", None, None).summary
    assert " make of the data is stored in place of their weights" in built("two read it", "states", None, None).summary


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_what_an_update_rule_carries_is_told_in_a_sentence(rule):
    carried = fcsym.scheme(NETWORKS["plain"], "backprop", rule=rule).carried
    assert len(carried) > 2 and all(words.endswith(".") and meaning is None for _, words, meaning in carried)


def test_memory_for_probes_is_asked_for_as_there_are_numbers(monkeypatch):
    """Two square matrices of as many inputs; and one times the other is 1."""
    asked = []
    monkeypatch.setattr(basis, "refuse_beyond", lambda what, size, instead: asked.append(size))
    for inputs in (1, 2, 3, 6):
        matrix, inverse = (np.array(made, float) for made in basis.probes(inputs))
        assert (matrix @ inverse == np.eye(inputs)).all() and asked[-1] >= 16 * inputs**2
        assert asked[-1] / asked[0] == inputs**2
