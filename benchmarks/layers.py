"""Convolutions and poolings against PyTorch's own: a step of LeNet on images, and of networks that are small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

import fcsym
from benchmarks.native import checked, table
from fcsym.kernel.native import compiler
from fcsym.layers import Activation, AvgPool2d, Conv1d, Conv2d, Flatten, Linear

ETA = 1e-3
LENET, IMAGES, SIGNALS = "LeNet x 32", "conv2d 8x8 x 4", "conv1d 16 x 4"
TARGETS = [
    (f"{LENET}, {precision}", a, b, target)
    for precision in ("float64", "float32")
    for a, b, target in (("fcsym NumPy", "PyTorch eager", "at most 2"), ("fcsym C", "fcsym NumPy", "at most 1.2"))
] + [(f"{work}, float64", "fcsym C", "fcsym NumPy", "at most 1") for work in (IMAGES, SIGNALS)]


def lenet() -> fcsym.Network:
    """Two convolutions with poolings, and three linear layers; of 28 x 28 places and ten outputs."""
    first = [Conv2d(1, 6, 5, padding=2), Activation("relu"), AvgPool2d(2)]
    second = [Conv2d(6, 16, 5), Activation("relu"), AvgPool2d(2), Flatten()]
    last = [Linear(400, 120), Activation("relu"), Linear(120, 84), Activation("relu"), Linear(84, 10)]
    return fcsym.Network.sequential((1, 28, 28), [*first, *second, *last])


def images() -> fcsym.Network:
    """A convolution of images of 8 x 8 places, and a linear layer."""
    return fcsym.Network.sequential(
        (1, 8, 8), [Conv2d(1, 2, 3), Activation("relu"), AvgPool2d(2), Flatten(), Linear(18, 3)]
    )


def signals() -> fcsym.Network:
    """A convolution of a signal of 16 places, and a linear layer."""
    return fcsym.Network.sequential((1, 16), [Conv1d(1, 2, 3), Activation("relu"), Flatten(), Linear(28, 2)])


def in_torch(layer: Any) -> Any:
    """The layer of that name in PyTorch, with the same numbers; what it starts from is put in later."""
    import torch

    if isinstance(layer, Activation):
        return torch.nn.ReLU()
    if isinstance(layer, Flatten):
        return torch.nn.Flatten()
    return getattr(torch.nn, type(layer).__name__)(**{name: getattr(layer, name) for name in vars(layer)})


def pytorch(
    network: fcsym.Network, weights: list[np.ndarray], x: np.ndarray, target: np.ndarray
) -> tuple[Callable[[], object], list[np.ndarray]]:
    """The same step with PyTorch's layers, autograd and SGD; and the weights after the first one."""
    import torch

    torch.set_num_threads(1)
    inputs, wanted = torch.tensor(x), torch.tensor(target)
    model = torch.nn.Sequential(*(in_torch(node.layer) for node in network.nodes)).to(inputs.dtype)
    for parameter, start in zip(model.parameters(), weights, strict=True):
        parameter.data = torch.tensor(start.reshape(parameter.shape))
    optimiser = torch.optim.SGD(model.parameters(), ETA)

    def step() -> None:
        optimiser.zero_grad()
        (((model(inputs) - wanted) ** 2).sum() / (2 * len(inputs))).backward()
        optimiser.step()

    step()
    return step, [parameter.detach().numpy().copy() for parameter in model.parameters()]


def one(work: str, network: fcsym.Network, samples: int, dtype: type) -> list[dict[str, Any]]:
    """A step of a mini-batch: forward, all gradients, the update."""
    rng = np.random.default_rng(8)
    shapes = [network.shape(a) for a in network.parameters]
    weights = [(rng.normal(size=s) / np.sqrt(np.prod(s[1:], initial=1))).astype(dtype) for s in shapes]
    x, target = (rng.normal(size=(samples, *network.lengths(a))).astype(dtype) for a in (network.input, network.target))
    s = fcsym.scheme(network, "backprop", batch="mean")
    kernels = {"fcsym NumPy": s.compile("numpy")} | ({"fcsym C": s.compile("c")} if compiler() else {})
    eta = np.asarray(ETA, dtype)
    made = {name: kernel.step(kernel.init(weights), x, target, eta) for name, kernel in kernels.items()}
    works: dict[str, Callable[[], object]] = {}
    for name, kernel in kernels.items():
        state = kernel.init(weights)
        works[name] = lambda kernel=kernel, state=state: kernel.step(state, x, target, eta)  # type: ignore[misc]
    if find_spec("torch"):
        works["PyTorch eager"], after = pytorch(network, weights, x, target)
        for name, state in made.items():
            if dtype is np.float64:
                checked(name, state, [a.reshape(b.shape) for a, b in zip(after, state, strict=True)])
    return table(work, works)


def rows() -> Iterator[dict[str, Any]]:
    """Every row, then the ratios that have a target."""
    result = [row for p in (np.float64, np.float32) for row in one(f"{LENET}, {p.__name__}", lenet(), 32, p)]
    result += one(f"{IMAGES}, float64", images(), 4, np.float64) + one(f"{SIGNALS}, float64", signals(), 4, np.float64)
    yield from result
    best = {(row["work"], row["peer"]): row["minimum_ns"] for row in result}
    for work, a, b, target in TARGETS:
        if (work, a) in best and (work, b) in best:
            yield {"ratio": f"{work}: {a} / {b}", "value": best[work, a] / best[work, b], "target": target}
