"""Mini-batches against peers: PyTorch's own layers, loss and optimiser, JAX compiled, and `states` beside backprop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

import fcsym
from benchmarks.native import checked, table, weights_of
from fcsym.checking.oracle import backpropagation
from fcsym.kernel.native import compiler

ETA = 1e-3
MINI = "784-128-10, 32 samples, momentum"
FULL = "4096-256-10, 64 samples"
TARGETS = [
    (MINI, "fcsym NumPy", "PyTorch eager", "at most 1"),
    (MINI, "fcsym NumPy", "JAX jit", "at most 1.1"),
    (MINI, "fcsym C", "fcsym NumPy", "at most 1.2"),
    (FULL, "backprop", "states", "at least 20"),
    (FULL, "backprop", "states, samples not compared", "at least 20"),
]


def pytorch(weights: list[Any], x: Any, labels: Any) -> tuple[Callable[[], object], Callable[[], list[Any]]]:
    """Linear, ReLU, CrossEntropyLoss and SGD; the learning rate is 0 after the first step, which is looked at."""
    import torch

    torch.set_num_threads(1)
    layers: list[Any] = []
    for matrix, bias in zip(weights[::2], weights[1::2], strict=True):
        made = torch.nn.Linear(matrix.shape[1], matrix.shape[0], dtype=torch.float64)
        made.weight.data, made.bias.data = torch.tensor(matrix), torch.tensor(bias)
        layers += [made, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.SGD(model.parameters(), ETA, momentum=0.9)
    loss, inputs, wanted = torch.nn.CrossEntropyLoss(), torch.tensor(x), torch.tensor(labels)

    def step() -> None:
        optimiser.zero_grad()
        loss(model(inputs), wanted).backward()
        optimiser.step()

    step()
    first = [parameter.detach().numpy().copy() for parameter in model.parameters()]
    return step, lambda: first


def jax(weights: list[Any], x: Any, labels: Any) -> tuple[Callable[[], object], Callable[[], list[Any]]]:
    """The gradient of the loss and the step of momentum, compiled as one function."""
    import jax as lib
    import jax.numpy as jnp

    with lib.enable_x64(True):
        held, velocities = [jnp.asarray(w) for w in weights], [jnp.zeros_like(jnp.asarray(w)) for w in weights]
        inputs, wanted = jnp.asarray(x), jnp.asarray(labels)

    def loss(own: list[Any], x: Any, labels: Any) -> Any:
        v = jnp.maximum(x @ own[0].T + own[1], 0)
        scores = v @ own[2].T + own[3]
        return -jnp.mean(jnp.take_along_axis(lib.nn.log_softmax(scores), labels[:, None], axis=1))

    @lib.jit
    def step(own: list[Any], carried: list[Any], x: Any, labels: Any) -> Any:
        slopes = lib.grad(loss)(own, x, labels)
        carried = [0.9 * m + g for m, g in zip(carried, slopes, strict=True)]
        return [w - ETA * m for w, m in zip(own, carried, strict=True)], carried

    def call() -> Any:
        with lib.enable_x64(True):
            return lib.block_until_ready(step(held, velocities, inputs, wanted))

    return call, lambda: [np.asarray(a) for a in call()[0]]


def mini() -> list[dict[str, Any]]:
    """A step of 784-128-10 with softmax cross-entropy and momentum, as digits are trained."""
    network = fcsym.Network.mlp([784, 128, 10], bias=True, loss="cross_entropy")
    rng = np.random.default_rng(6)
    weights, x, labels = weights_of(network), rng.normal(size=(32, 784)), rng.integers(0, 10, size=32)
    s = fcsym.scheme(network, "backprop", batch="mean", rule="momentum")
    target = np.eye(10)[labels]
    true = backpropagation(s.network, "simultaneous", weights, x, target, np.asarray(ETA))
    wanted = [true[a.primed.name] for a in network.parameters]
    works: dict[str, Callable[[], object]] = {}
    for name, kind in (("fcsym NumPy", "numpy"), ("fcsym C", "c")):
        if kind == "c" and compiler() is None:
            continue
        kernel = s.compile(kind)
        state = kernel.init(weights)
        checked(name, kernel.expand(kernel.step(state, x, labels, ETA)), wanted)
        works[name] = lambda kernel=kernel, state=state: kernel.step(state, x, labels, ETA)  # type: ignore[misc]
    for name, package, make in (("PyTorch eager", "torch", pytorch), ("JAX jit", "jax", jax)):
        if find_spec(package):
            work, result = make(weights, x, labels)
            checked(name, result(), wanted)
            works[name] = work
    return table(MINI, works)


def full() -> list[dict[str, Any]]:
    """What leaving the first layer's weights untouched saves for a full batch, both in NumPy."""
    network = fcsym.Network.mlp([4096, 256, 10], bias=True, loss="cross_entropy")
    rng = np.random.default_rng(7)
    weights, x, labels = weights_of(network), rng.normal(size=(64, 4096)), rng.integers(0, 10, size=64)
    kernels = {name: fcsym.scheme(network, name, batch="mean").compile() for name in ("states", "backprop")}
    states = {name: kernel.init(weights, x) for name, kernel in kernels.items()}
    after = {n: k.expand(k.step(states[n], x, labels, ETA), weights, x) for n, k in kernels.items()}
    checked("states", after["states"], after["backprop"])
    works = {
        name: lambda kernel=kernel, name=name: kernel.step(states[name], x, labels, ETA)  # type: ignore[misc]
        for name, kernel in kernels.items()
    }
    works["states, samples not compared"] = lambda: kernels["states"].step(states["states"], None, labels, ETA)
    return table(FULL, works)


def derivations() -> dict[str, Callable[[], object]]:
    """The derivation of a mini-batch with softmax cross-entropy and Adam, beside the plain one."""
    network = fcsym.Network.mlp([8, 16, 16, 1], loss="cross_entropy")
    return {
        "derive 8-16-16-1|fcsym, batch, cross-entropy, Adam": lambda: fcsym.derive(
            network, "sequential", rule="adam", batch="mean"
        )
    }


def rows() -> Iterator[dict[str, Any]]:
    """Every row, then the ratios that have a target."""
    result = mini() + full()
    yield from result
    best = {(row["work"], row["peer"]): row["minimum_ns"] for row in result}
    for work, a, b, target in TARGETS:
        if (work, a) in best and (work, b) in best:
            yield {"ratio": f"{work}: {a} / {b}", "value": best[work, a] / best[work, b], "target": target}
