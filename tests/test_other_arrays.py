"""Arrays of one library in a kernel of another: converted, or refused in a sentence; the same numbers either way."""

from __future__ import annotations

import numpy as np
import pytest

from fcsym.errors import ArgumentError
from fcsym.networks.network import Network
from fcsym.training import scheme

W = [np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[1.0, -0.5]])]
X, T = np.array([1.0, -0.25]), np.array([0.5])
TARGETS = ["numpy", "c", "torch", "jax"]
SCHEMES = ["backprop", "states", "history"]


def makers():
    import jax.numpy
    import torch

    return {
        "numpy": np.asarray, "lists": lambda a: a.tolist(), "torch": torch.as_tensor, "jax": jax.numpy.asarray,
        "single": lambda a: a.astype(np.float32), "whole": lambda a: np.round(a).astype(int),
    }  # fmt: skip


def kernel_of(name, target):
    if target in ("torch", "jax"):
        pytest.importorskip(target)
    return scheme(Network.parse("2-2-1"), name).compile(target)


def trained(kernel, make):
    weights = [make(w) for w in W]
    state = kernel.init(weights, make(X))
    for _ in range(3):
        state = kernel.step(state, make(X), make(T), 0.1)
    return [np.asarray(kernel.output(state, make(X))), *map(np.asarray, kernel.expand(state, weights, make(X)))]


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_array_in_every_kernel(name, target):
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    kernel, kinds = kernel_of(name, target), makers()
    for kind, make in kinds.items():
        like = kinds["whole"] if kind == "whole" else np.asarray
        wanted = trained(kernel_of(name, "numpy"), like)
        for found, true in zip(trained(kernel, make), wanted, strict=True):
            assert found == pytest.approx(true, abs=1e-5), kind


@pytest.mark.parametrize("target", TARGETS)
def test_lists_take_the_precision_of_the_state(target):
    kernel = kernel_of("backprop", target)
    state = kernel.init([w.astype(np.float32) for w in W])
    after = kernel.step(state, X.tolist(), T.tolist(), 0.1)
    assert {str(array.dtype).removeprefix("torch.") for array in after} == {"float32"}


@pytest.mark.parametrize("target", ["numpy", "c", "jax"])
def test_a_tensor_that_is_differentiated_is_refused_in_a_sentence(target):
    torch = pytest.importorskip("torch")
    kernel = kernel_of("states", target)
    weights = [torch.tensor(w, requires_grad=True) for w in W]
    with pytest.raises(ArgumentError, match=r"W1 is a (Tensor|Parameter) .*detach\(\)\.cpu\(\)\.numpy\(\)\.$"):
        kernel.init(weights, X)
    state = kernel.init(W, X)
    with pytest.raises(ArgumentError, match="x is a Tensor"):
        kernel.step(state, torch.tensor(X, requires_grad=True), T, 0.1)
    if target != "jax":
        with pytest.raises(ArgumentError, match="xs is a Tensor"):
            kernel.run(state, torch.tensor(X[None], requires_grad=True), T[None], 0.1)
        with pytest.raises(ArgumentError, match="x is a Tensor"):
            kernel.bind(state, X, T, 0.1).set(x=torch.tensor(X, requires_grad=True))


@pytest.mark.parametrize("target", ["torch", "jax"])
@pytest.mark.parametrize(
    ("weights", "x"),
    [
        (W[:1], X), ([W[0].T[:1], W[1]], X), (W, X[:1]), (W, 1.0), (W, "ab"), (W, [[1.0], [1.0, 2.0]]), (5, X),
        ([W[0], object()], X), ([W[0] + 1j, W[1]], X),
    ],
)  # fmt: skip
def test_wrong_arguments_of_pure_kernels(target, weights, x):
    kernel = kernel_of("states", target)
    with pytest.raises(ArgumentError) as caught:
        kernel.init(weights, x)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["torch", "jax"])
def test_wrong_states_and_capacities(target):
    kernel = kernel_of("states", target)
    for state in (5, (), [1, 2]):
        with pytest.raises(ArgumentError):
            kernel.step(state, X, T, 0.1)
    with pytest.raises(ArgumentError):
        kernel.init(W, X, capacity=3)
    for capacity in (0, -1, 1.5, True, 10**9):
        with pytest.raises(ArgumentError):
            kernel_of("history", target).init(W, X, capacity=capacity)
