"""Many steps and many networks in machine code, beside one step of one network after another in NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, Diverged

NETWORK = Network.mlp([2, 2, 1], bias=True)


def kernels(name):
    need("cc")
    scheme = fcsym.scheme(NETWORK, name)
    return scheme.compile("c"), scheme.compile()


def drawn(*shape):
    return np.random.default_rng(4).uniform(-1, 1, shape)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("many", ["state", "x", "target", "eta", "x and eta"])
def test_networks_are_as_many_as_the_widest_of_what_is_given(many, steps):
    """Whichever it is: each is the one network that is trained alone."""
    native, plain = kernels("backprop")
    lead = {part: (3,) if part in many else () for part in ("state", "x", "target", "eta")}
    weights = [drawn(*lead["state"], *NETWORK.shape(a)) for a in NETWORK.parameters]
    xs, targets = drawn(steps, *lead["x"], 2), drawn(steps, *lead["target"], 1)
    eta = 0.1 + 0.05 * np.arange(3.0) if lead["eta"] else np.float64(0.1)
    made = native.run(native.init(weights), xs, targets, eta)
    for k in range(3):
        state = plain.init([w[k] if lead["state"] else w for w in weights])
        for x, target in zip(xs, targets, strict=True):
            state = plain.step(state, *(a[k] if a.ndim > n else a for a, n in ((x, 1), (target, 1), (eta, 0))))
        for found, wanted in zip(made, state, strict=True):
            np.testing.assert_allclose(found[k], wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("shared", [False, True])
def test_a_batch_takes_every_step_on_its_own_input(shared, steps):
    """On that of all networks, or of each; more than the machine has lanes, and no multiple of them."""
    native, plain = kernels("backprop")
    count = 11
    weights = [drawn(count, *NETWORK.shape(a)) for a in NETWORK.parameters]
    batch, state = native.batch(native.init(weights)), plain.init(weights)
    xs, targets = drawn(steps, *([] if shared else [count]), 2), drawn(steps, *([] if shared else [count]), 1)
    batch.hold(eta=0.1)
    batch.run(xs, targets)
    for x, target in zip(xs, targets, strict=True):
        state = plain.step(state, x, target, 0.1)
    for found, wanted in zip(batch.state, state, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["backprop", "states"])
def test_training_that_diverges_is_said_to_with_its_step_and_nothing_that_is_not_finite_is_bound(name):
    native, _ = kernels(name)
    weights, x = [drawn(*NETWORK.shape(a)) for a in NETWORK.parameters], np.array([0.5, 1.0])
    state = native.init(weights, x) if name == "states" else native.init(weights)
    with pytest.raises(Diverged, match=r"^At step [1-9]"):
        native.run(state, [x] * 9, [[1.0]] * 9, 1e150)
    marked = native.run(state, [x] * 9, [[1.0]] * 9, 1e150, undefined="nan")
    assert not all(np.isfinite(array).all() for array in marked)
    with pytest.raises(ArgumentError, match="not finite"):
        native.bind(state._replace(W2=np.full((1, 2), np.nan)), x, [1.0], 0.1)


@pytest.mark.parametrize("batch", [None, "mean"])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_another_input_is_refused_in_the_same_words_by_many_steps_as_by_one(lead, batch):
    """Which network it is of is said; and inputs may be those of all networks, or of each."""
    need("cc")
    scheme = fcsym.scheme(NETWORK, "states", **({"batch": batch} if batch else {}))
    native, plain = scheme.compile("c"), scheme.compile()
    each = (*lead, *((2,) if batch else ()))
    weights, x = [drawn(*lead, *NETWORK.shape(a)) for a in NETWORK.parameters], drawn(*each, 2)
    state, targets = native.init(weights, x), drawn(3, *each, 1)
    native.run(state, np.stack([x] * 3), targets, 0.1)
    same = x[(0,) * len(lead)]
    native.run(native.init(weights, same), np.stack([same] * 3), targets, 0.1)
    for step, network in product(range(3), np.ndindex(lead)):
        xs = np.stack([x] * 3)
        xs[(step, *network)] += 0.5
        said = []
        for kernel in (native, plain):
            with pytest.raises(ArgumentError, match=r"is not the (input|one) that init was given") as refused:
                kernel.run(state, xs, targets, 0.1)
            said.append(str(refused.value))
        assert said[0] == said[1] and (f"network {network}" in said[0]) is (bool(lead) and not batch)
