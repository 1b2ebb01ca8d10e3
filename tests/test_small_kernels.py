"""Kernels of the smallest networks against something else that computes: networks one by one, and rational numbers.

Each takes a fraction of a second, so that a fault in what stands between equations and numbers is seen by a test that
is quick.
"""

from __future__ import annotations

import re
from fractions import Fraction

import exact
import numpy as np
import pytest
from conftest import need, need_package

import fcsym
from fcsym import Network
from fcsym.errors import Diverged, UndefinedContribution
from fcsym.kernel.batch import ArrayBatch, TileBatch
from fcsym.kernel.export import _AsArrays
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.kernel.targets.c_test import test_program as program_of

COUNT = 200
"""Networks in a batch: more than a tile has, and no multiple of it."""


def many(kernel, scheme, seed=3):
    """The states of many networks, what they are trained on, and a step size for each."""
    rng, network = np.random.default_rng(seed), scheme.network
    weights = [rng.normal(size=(COUNT, *network.shape(a))) for a in network.parameters]
    x, targets = rng.normal(size=network.inputs), rng.normal(size=(3, COUNT, network.widths[-1]))
    state = kernel.init(weights, x) if scheme.single_input else kernel.init(weights)
    return state, x, targets, rng.uniform(0.01, 0.2, COUNT)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["backprop", "states"])
@pytest.mark.parametrize("kind", [TileBatch, ArrayBatch])
def test_networks_in_a_batch_are_each_trained_alone(kind, name, threads, monkeypatch):
    scheme = fcsym.scheme(Network.mlp([2, 2, 1], bias=True), name, order="sequential")
    kernel = scheme.compile()
    monkeypatch.setitem(kernel._namespace, "CACHE", 1)  # the narrowest tiles that there are: 64 networks
    state, x, targets, eta = many(kernel, scheme)
    batch = kind(kernel, state, threads)
    assert (batch._width if kind is TileBatch else 64) == 64
    batch.hold(x, eta=eta)
    batch.step(target=targets[0])
    batch.run(np.stack([x, x]), targets[1:])
    alone = state
    for target in targets:
        alone = kernel.step(alone, x, target, eta)
    for name_, found, wanted in zip(state._fields, batch.state, alone, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12, err_msg=name_)
    assert not np.allclose(batch.state[0], state[0])


@pytest.mark.parametrize("kind", [TileBatch, ArrayBatch])
def test_a_network_without_a_compensation_is_named(kind):
    """The last of three, whose units give 0 and move: at x = 0 and without a bias above that."""
    network = Network.mlp([2, 2, 1], "tanh", bias=[True, False])
    kernel = fcsym.scheme(network, "weights").compile()
    biases = np.array([[1.0, 1.0], [1.0, 2.0], [0.0, 0.0]])
    weights = [np.ones((3, 2, 2)), biases, np.ones((3, 1, 2))]
    kind(kernel, kernel.init([w[:2] for w in weights], [0.0, 0.0])).step([0.0, 0.0], [1.0], 0.5)
    state = kernel.init(weights, [0.0, 0.0])
    batch = kind(kernel, state)
    with pytest.raises(UndefinedContribution, match=r"unit h1 of layer 1 of network \(2,\) leaves 0"):
        batch.step([0.0, 0.0], [1.0], 0.5)
    with pytest.raises(Diverged, match=r"of network \(2,\) is not finite"):
        batch.read()
    assert np.isfinite(batch.read(undefined="nan")[0][:2]).all()


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "tanh", "softplus", "gelu", "sigmoid"])
def test_closed_forms_as_one_function_are_the_step(phi, order):
    """Every quantity, and phi(s) to its digits where a formula as it is written would lose them, or its range."""
    d = fcsym.derive(Network.mlp([1, 1, 1], phi, bias=True), order)
    closed, kernel = d.compile("lambdify"), d.compile()
    s = np.array([-30.0, -8.0, -1.5, -0.2, 0.7, 2.0, 40.0])[:, None]
    weights = [s[..., None], np.full((len(s), 1), 0.125), np.full((len(s), 1, 1), -1.5), np.full((len(s), 1), 0.5)]
    one, other = (k.step(weights, [1.0], [0.25], 0.125, undefined="nan") for k in (closed, kernel))
    assert one._fields == other._fields
    for name in one._fields:
        pair = (tuple.__getitem__(made, made._fields.index(name)) for made in (one, other))
        np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-14 * (name != "v1"), err_msg=name)


# ------------------------------------------------------------------------------------------------- derivatives


def error(weights, x, target):
    """1/2 |y - t|^2 of a network with a tanh layer, written out."""
    w1, b1, w2, b2 = weights
    return 0.5 * np.sum((w2 @ np.tanh(w1 @ x + b1) + b2 - target) ** 2)


@pytest.mark.parametrize("target", ["numpy", "c", "torch"])
def test_derivatives_are_differences(target):
    """Of E by every parameter and the input, for two networks at once."""
    if target == "c":
        need("cc")
    if target == "torch":
        need_package("torch")
    network = Network.mlp([2, 2, 1], "tanh", bias=True)
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(2, *network.shape(a))) for a in network.parameters]
    x, goal, h = rng.normal(size=(2, 2)), rng.normal(size=(2, 1)), 1e-5
    by = [*(a.name for a in network.parameters), "x"]
    kernel = fcsym.gradient(network, "E", by).compile(target)
    made = kernel.gradient(weights, x, goal)
    for k in range(2):
        given = [*(w[k] for w in weights), x[k]]
        for place, name in enumerate(by):
            found = getattr(made, f"dE_d{name}")[k]
            assert found.shape == given[place].shape and found.dtype == np.float64
            for at in np.ndindex(found.shape):
                ends = []
                for step in (h, -h):
                    moved = [np.array(a) for a in given]
                    moved[place][at] += step
                    ends.append(error(moved[:-1], moved[-1], goal[k]))
                assert found[at] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-8), (name, at)


def test_a_kernel_of_another_library_stands_behind_arrays_of_numpy():
    torch = need_package("torch")
    scheme = fcsym.scheme(Network.mlp([1, 2, 1], bias=True), "states")
    behind, plain = _AsArrays(scheme.compile("torch"), lambda a: torch.as_tensor(np.asarray(a))), scheme.compile()
    weights = [np.array([[0.5], [-0.25]]), np.array([0.1, 1.0]), np.array([[1.0, -2.0]]), np.array([0.5])]
    x, ends = np.array([1.5]), []
    for kernel in (behind, plain):
        state = kernel.init(weights, x)
        state = kernel.step(state, x, np.array([1.0]), np.array(0.125))
        ends.append([kernel.output(state, x), *kernel.expand(state, weights, x)])
        assert all(isinstance(array, np.ndarray) for array in ends[-1])
    for found, wanted in zip(*ends, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-14)


# --------------------------------------------------------------------------------- the rows of a test program


def braces(text):
    """{1, {2, 3}} => [1, [2, 3]], with numbers as fractions."""
    text = re.sub(r"/\*.*?\*/|\(\w+_real\)", "", text)
    text = re.sub(r"[-\d.e+]*\d[-\d.e+]*", lambda found: f"F('{found[0]}')", text)
    return eval(text.replace("{", "[").replace("}", "]"), {"__builtins__": {}, "F": lambda t: Fraction(float(t))})


@pytest.mark.parametrize("name", ["backprop", "states"])
def test_the_rows_of_a_test_program_are_training_by_hand(name, order):
    """Weights, inputs, targets, outputs and the weights after it, against the step that imports nothing of fcsym."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), name, order=order)
    rows = frozen_rows(scheme, draws=12)
    text = program_of(lower_scheme(scheme), "update", rows)
    (table,) = re.findall(r"rows\[\] = (\{.*?\n\});", text, re.DOTALL)
    checked = 0
    for flat, steps, undefined, eta, xs, targets, outputs, after in braces(table):
        assert not undefined and len(xs) == steps and len(outputs) == steps + 1
        first, second = flat
        weights = [[first[:2], first[2:]], [second]]
        for n in range(int(steps)):
            done = exact.step([2, 2, 1], weights, xs[n], targets[n], eta, order)
            assert float(outputs[n][0]) == pytest.approx(float(done.s[-1][0]), rel=1e-14, abs=1e-14)
            weights = done.w
        assert float(outputs[-1][0]) == pytest.approx(float(done.s_new[-1][0]), rel=1e-14, abs=1e-14)
        flat_after = [[float(w) for row in layer for w in row] for layer in weights]
        assert [list(map(float, part)) for part in after] == [pytest.approx(part, rel=1e-14) for part in flat_after]
        checked += 1
    assert checked == len(rows) > 0
    assert len(re.findall(r"/\* row \d+: ", text)) == checked


@pytest.mark.parametrize("target", ["numpy", "c"])
@pytest.mark.parametrize("name", ["backprop", "states", "weights"])
@pytest.mark.parametrize("lead", [(), (2,), (2, 1)])
def test_many_steps_in_one_call_are_those_steps(lead, name, target):
    """However many networks there are, with inputs that all of them share."""
    if target == "c":
        need("cc")
    s, rng = fcsym.scheme(Network.mlp([2, 2, 1]), name), np.random.default_rng(1)
    kernel = s.compile(target)
    weights = [rng.normal(size=(*lead, *s.network.shape(a))) for a in s.network.parameters]
    x, targets = rng.normal(size=2), rng.normal(size=(3, 1))
    start = kernel.init(weights, x) if s.single_input else kernel.init(weights)
    state, found = start, kernel.run(start, np.stack([x] * 3), targets, 0.1)
    for target_ in targets:
        state = kernel.step(state, x, target_, 0.1)
    for one, other in zip(found, state, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("lead", [(1,), (3,), (2, 3), (1, 1)])
def test_a_batch_says_how_many_networks_it_has(lead):
    kernel = fcsym.scheme(Network.mlp([2, 2, 1]), "backprop").compile()
    batch = kernel.batch(kernel.init([np.ones((*lead, 2, 2)), np.ones((*lead, 1, 2))]))
    count = int(np.prod(lead))
    assert batch.networks == count
    assert f"batch of {count} network{'s' * (count != 1)}: " in repr(batch)
    assert f"W1 {(*lead, 2, 2)}" in repr(batch) and "float64" in repr(batch)
