"""Inputs with more axes than one in every form of a kernel: bound, in batches, many in one call, and at the border.

Each takes a fraction of a second, so that a fault in what positions need is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError
from fcsym.kernel.gated import _apart, _Found
from fcsym.networks.layers import Conv1d, Flatten, Linear

LAYERS = {
    "all outside": ((1, 2), [Conv1d(1, 1, 1, padding=1), "relu", Flatten(), Linear(4, 1)]),
    "outside on one side": ((1, 4), [Conv1d(1, 2, 3, stride=2, padding=1), "tanh", Flatten(), Linear(4, 2)]),
    "outside on both sides": ((2, 3), [Conv1d(2, 1, 2, padding=1), "relu", Flatten(), Linear(4, 1)]),
    "positions": ((2, 3), [Linear(3, 2), "relu", Flatten(), Linear(4, 1)]),
}


def by_hand(weights, x, target, eta, layers):
    """A step of a convolution or a layer at positions, a function, and a read-out, by loops."""
    first, function, _, _ = layers
    padding, stride = getattr(first, "padding", 0), getattr(first, "stride", 1)
    phi, slope = (
        (np.tanh, lambda s: 1 - np.tanh(s) ** 2)
        if function == "tanh"
        else (lambda s: np.maximum(s, 0), lambda s: (s > 0).astype(float))
    )
    w, b, v, c = weights
    if isinstance(first, Linear):
        s = x @ w.T + b
        windows = None
    else:
        wide = np.pad(x, ((0, 0), (padding, padding)))
        count = (wide.shape[1] - w.shape[2]) // stride + 1
        windows = np.stack([wide[:, stride * t : stride * t + w.shape[2]] for t in range(count)])
        s = np.einsum("ock,tck->ot", w, windows) + b[:, None]
    h = phi(s).ravel()
    flat = v.reshape(len(v), -1)
    error = flat @ h + c - target
    delta = (flat.T @ error).reshape(s.shape) * slope(s)
    if windows is None:
        moved = delta.T @ x, delta.sum(axis=0)
    else:
        moved = np.einsum("ot,tck->ock", delta, windows), delta.sum(axis=1)
    every = (*moved, np.outer(error, h).reshape(v.shape), error)
    return [old - eta * d for old, d in zip(weights, every, strict=True)]


@pytest.mark.parametrize("target", ["numpy", "c"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_form_of_a_step_is_the_one_by_hand(name, target):
    if target == "c":
        need("gcc")
    shape, layers = LAYERS[name]
    network = Network.sequential(shape, layers)
    kernel = fcsym.scheme(network, "backprop").compile(target)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(theta)) for theta in network.parameters]
    xs, goals = rng.normal(size=(3, *shape)), rng.normal(size=(3, *network.one_target))
    true = [weights]
    for x, goal in zip(xs, goals, strict=True):
        true.append(by_hand(true[-1], x, goal, 0.1, layers))
    state = kernel.init(weights)

    def same(found, expected):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)

    same(kernel.step(state, xs[0], goals[0], 0.1), true[1])
    same(kernel.run(state, xs, goals, 0.1), true[3])
    bound = kernel.bind(state, xs[0], goals[0], 0.1)
    bound.step()
    same(bound.state, true[1])
    for x, goal in zip(xs[1:], goals[1:], strict=True):
        bound.set(x=x, target=goal)
        bound.step()
    same(bound.state, true[3])
    if target == "c":
        many = kernel.bind(state, xs[0], goals[0], 0.1)
        many.run(xs, goals)
        same(many.state, true[3])
        said = ", ".join(map(str, shape))
        with pytest.raises(ArgumentError, match=rf"of shapes \(steps, {said}\) and "):
            many.run(xs.reshape(3, -1)[:, :1], goals)
    batch = kernel.batch([state, state])
    batch.step(np.stack([xs[0]] * 2), np.stack([goals[0]] * 2), 0.1)
    same([array[1] for array in batch.state], true[1])


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_several_networks_are_not_bound(target):
    if target == "c":
        need("gcc")
    kernel = fcsym.scheme(Network.parse("2-2-1"), "backprop").compile(target)
    state = kernel.init([np.ones((2, 2)), np.ones((1, 2))])
    for given in [(np.ones((3, 2)), [1.0], 0.1), ([1.0, 1.0], np.ones((3, 1)), 0.1), ([1.0, 1.0], [1.0], [0.1, 0.2])]:
        with pytest.raises(ArgumentError, match="bind takes one network"):
            kernel.bind(state, *given)


@pytest.mark.parametrize("number", ["1/3", "0.1", "2.7", "0", "12345/977"])
def test_how_far_a_float_is_from_a_number_is_no_less_than_it_is(number):
    exact = Fraction(number)
    for dtype in (np.float32, np.float64):
        value = dtype(float(exact))
        apart = abs(exact - Fraction(float(value)))
        said = Fraction(_apart(_Found(exact, {}), value))
        assert apart <= said <= 2 * apart
