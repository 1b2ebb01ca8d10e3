"""Networks of layers: how long they take to derive at two sizes, and their steps against PyTorch's own layers.

LeNet on images, a transformer of six blocks, and the networks of layers in the gallery, which are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import fcsym
from benchmarks.modules import step_of
from benchmarks.native import checked, table
from fcsym.gallery import read
from fcsym.kernel.native import compiler
from fcsym.layers import Activation, AvgPool2d, Conv2d, Flatten, LayerNorm, Linear, MultiheadAttention, Residual

ETA = 1e-3
NUMPY, NATIVE, PYTORCH = "fcsym NumPy", "fcsym C", "PyTorch eager"
LENET, BLOCKS, CAUSAL = "LeNet x 32", "transformer x 8", "causal transformer x 8"
GALLERY = {f"{name} x 4": name for name in ("conv1d", "lenet", "elman", "lstm-cell", "attention")}
DERIVED = {"LeNet": ("28 x 28", "112 x 112"), "6 blocks": ("32 tokens", "512 tokens")}
_PRECISIONS = (np.float64, np.float32)

TARGETS = (
    [(f"{LENET}, {p.__name__}", NUMPY, PYTORCH, "at most 2") for p in _PRECISIONS]
    + [(f"{LENET}, {p.__name__}", NATIVE, NUMPY, "at most 1.2") for p in _PRECISIONS]
    + [(f"{work}, {p.__name__}", NUMPY, PYTORCH, "at most 1.5") for work in (BLOCKS, CAUSAL) for p in _PRECISIONS]
    + [(work, NATIVE, PYTORCH, "at most 1") for work in GALLERY]
)
TIMES = {"LeNet": 0.3, "6 blocks": 2.0}
"""Seconds in which a network is to be derived."""


def lenet(size: int = 28) -> fcsym.Network:
    """Two convolutions with poolings, and three linear layers; of size x size places and ten outputs."""
    first = [Conv2d(1, 6, 5, padding=2), Activation("relu"), AvgPool2d(2)]
    second = [Conv2d(6, 16, 5), Activation("relu"), AvgPool2d(2), Flatten()]
    places = ((size // 2 - 4) // 2) ** 2
    last = [Linear(16 * places, 120), Activation("relu"), Linear(120, 84), Activation("relu"), Linear(84, 10)]
    return fcsym.Network.sequential((1, size, size), [*first, *second, *last])


def transformer(tokens: int = 32, causal: bool = False, blocks: int = 6, width: int = 64) -> fcsym.Network:
    """Blocks of attention and of two linear layers, each after a normalisation and beside a residual connection."""
    attention = Residual([LayerNorm(width), MultiheadAttention(width, 4, causal=causal)])
    inner = Residual([LayerNorm(width), Linear(width, 4 * width), Activation("relu"), Linear(4 * width, width)])
    layers = [Linear(32, width), *[attention, inner] * blocks, LayerNorm(width), Linear(width, 32)]
    return fcsym.Network.sequential((tokens, 32), layers, loss="cross_entropy")


def one(work: str, network: fcsym.Network, samples: int, dtype: type = np.float64) -> list[dict[str, Any]]:
    """A step of a mini-batch: forward, all gradients, the update."""
    rng = np.random.default_rng(8)
    shapes = [network.shape(a) for a in network.parameters]
    weights = [(rng.normal(size=s) / np.sqrt(np.prod(s[1:], initial=1))).astype(dtype) for s in shapes]
    x, target = (rng.normal(size=(samples, *network.lengths(a))).astype(dtype) for a in (network.input, network.target))
    given = target
    if network.loss == "cross_entropy":
        given = rng.integers(target.shape[-1], size=target.shape[:-1])
        target = np.eye(target.shape[-1], dtype=dtype)[given]
    s = fcsym.scheme(network, "backprop", batch="mean")
    small = len(network.nodes) < 20
    kernels = {NUMPY: s.compile("numpy")} | ({NATIVE: s.compile("c")} if compiler() and small else {})
    eta = np.asarray(ETA, dtype)
    made = {name: kernel.step(kernel.init(weights), x, target, eta) for name, kernel in kernels.items()}
    works: dict[str, Callable[[], object]] = {}
    for name, kernel in kernels.items():
        state = kernel.init(weights)
        works[name] = lambda kernel=kernel, state=state: kernel.step(state, x, target, eta)  # type: ignore[misc]
    if find_spec("torch"):
        works[PYTORCH], after = step_of(network, weights, x, given, ETA)
        for name, state in made.items():
            if dtype is np.float64:
                checked(name, state, [a.reshape(b.shape) for a, b in zip(after, state, strict=True)])
    return table(work, works)


def derivations() -> Iterator[tuple[str, str, Callable[[], fcsym.Derivation]]]:
    """What is derived, at which size, and how: the network is built anew each time."""
    for name, build, sizes in (("LeNet", lenet, (28, 112)), ("6 blocks", transformer, (32, 512))):
        for said, size in zip(DERIVED[name], sizes, strict=True):
            yield name, said, lambda build=build, size=size: fcsym.derive(build(size))  # type: ignore[misc]


def derived() -> Iterator[dict[str, Any]]:
    """How long the derivations take, and that there are as many equations at either size."""
    every = list(derivations())
    timed = table("", {f"{name}, {said}": work for name, said, work in every})
    yield from ({**row, "work": f"derive {row['peer']}", "peer": "fcsym"} for row in timed)
    best = {row["peer"]: row["minimum_ns"] for row in timed}
    for name, sizes in DERIVED.items():
        counts = {len(work().equations) for own, _, work in every if own == name}
        assert len(counts) == 1, f"{name}: the number of equations depends on its size: {sorted(counts)}"
        for said in sizes:
            seconds = best[f"{name}, {said}"] / 1e9
            ratio = f"derive {name}, {said}, {counts.copy().pop()} equations: seconds"
            yield {"ratio": ratio, "value": seconds, "target": f"under {TIMES[name]:g}"}


def rows() -> Iterator[dict[str, Any]]:
    """Every row, then the ratios that have a target."""
    large = ((LENET, lenet(), 32), (BLOCKS, transformer(), 8), (CAUSAL, transformer(causal=True), 8))
    result = [row for work, net, n in large for p in _PRECISIONS for row in one(f"{work}, {p.__name__}", net, n, p)]
    folder = Path(__file__).parent.parent / "derivations"
    for work, name in GALLERY.items():
        result += one(work, read(folder / name / "spec.toml").network, 4)
    every = list(derived())
    yield from (row for row in every if "work" in row)
    yield from result
    yield from (row for row in every if "ratio" in row)
    best = {(row["work"], row["peer"]): row["minimum_ns"] for row in result}
    for work, a, b, target in TARGETS:
        if (work, a) in best and (work, b) in best:
            yield {"ratio": f"{work}: {a} / {b}", "value": best[work, a] / best[work, b], "target": target}
