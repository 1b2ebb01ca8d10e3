"""The scheme `collapsed` beside backpropagation in C: a part of `python -m benchmarks`, or alone.

Steps on all samples at once, between gate events and with them, against the compiled scheme `backprop` of the same
network in mini-batches. With few inputs and many samples it loses: every unit has a pattern of its own, and a step
needs the inner products of all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fcsym
from benchmarks.native import row, seconds, table
from fcsym.kernel.native import compiler

__all__ = ["main", "rows"]

ROWS = (
    *((784, 2, 8), (784, 100, 8), (784, 1000, 8), (784, 4096, 8), (784, 100_000, 8)),
    *((784, 1000, 1), (784, 1000, 64), (784, 1000, 256), (8, 1000, 256), (4, 16, 8)),
)
"""Inputs, width of the hidden layer, and samples."""

NUMPY, NATIVE, PEER = "collapsed, NumPy", "collapsed, C", "backprop, C"
ETA, STILL, STEPS = 2e-4, 1e-12, 10_000  # the rate of training, one at which nothing crosses a kink, and how long
EVENTS = f"784-4096-10 on 8, {STEPS} steps"


def _name(inputs: int, width: int, samples: int) -> str:
    return f"{inputs}-{width}-10 on {samples}"


SMALL, LARGE, LOST = _name(784, 100, 8), _name(784, 100_000, 8), _name(8, 1000, 256)
TARGETS = (
    *(((LARGE, own), (SMALL, own), "at most 4") for own in (NUMPY, NATIVE)),
    *(((LARGE, PEER), (LARGE, own), "at least 1000") for own in (NUMPY, NATIVE)),
    ((EVENTS, PEER), (EVENTS, NUMPY), "at least 20"),
    ((LOST, PEER), (LOST, NUMPY), "none: here it loses"),
)


def _start(width: int, samples: int, inputs: int = 784) -> tuple[fcsym.Network, list[Any], Any, Any]:
    network = fcsym.Network.parse(f"{inputs}-{width}-10")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) * np.sqrt(2 / network.shape(a)[-1]) for a in network.parameters]
    return network, weights, rng.normal(size=(samples, inputs)), np.eye(10)[rng.integers(0, 10, samples)]


def between_events(inputs: int, width: int, samples: int) -> list[dict[str, Any]]:
    """A step each way where nothing crosses a kink; a step that moves something is compared first."""
    network, weights, x, goal = _start(width, samples, inputs)
    peer = fcsym.scheme(network, "backprop", batch="sum").compile("c")
    state = peer.init(weights)
    moved = peer.output(peer.step(state, x, goal, 1e-6), x)
    works: dict[str, Callable[[], object]] = {}
    for name, target in ((NUMPY, "numpy"), (NATIVE, "c")):
        kernel = fcsym.scheme(network, "collapsed").compile(target)
        held = kernel.init(weights, x)
        np.testing.assert_allclose(
            kernel.output(kernel.step(held, x, goal, 1e-6), x), moved, rtol=1e-9, atol=1e-9, err_msg=name
        )
        works[name] = lambda kernel=kernel, held=held: kernel.step(held, x, goal, STILL)  # type: ignore[misc]
    works[PEER] = lambda: peer.step(state, x, goal, STILL)
    # one after the other: a matrix of 600 MB leaves nothing of another's numbers in the cache, as no training does
    return [one for name, work in works.items() for one in table(_name(inputs, width, samples), {name: work})]


def with_events() -> list[dict[str, Any]]:
    """The whole of a training, events and all, against as many steps of backpropagation; per step."""
    network, weights, x, goal = _start(4096, 8)
    kernel = fcsym.scheme(network, "collapsed").compile()
    peer = fcsym.scheme(network, "backprop", batch="sum").compile("c")
    held, state = kernel.init(weights, x), peer.init(weights)

    def train() -> None:
        nonlocal held
        for _ in range(STEPS):
            held = kernel.step(held, x, goal, ETA)

    own = seconds(train, 1) / STEPS
    other = [seconds(lambda: peer.step(state, x, goal, ETA), 1) for _ in range(20)]
    crossed = sum(len(event.units) for event in held.events)
    assert crossed > 1000, "a training in which hundreds of units cross their kinks is what is measured"
    return [row(EVENTS, NUMPY, [1e9 * own]), row(EVENTS, PEER, [1e9 * t for t in other])]


def rows() -> Iterator[dict[str, Any]]:
    """Every row, then the ratios that have a target; none without a C compiler."""
    if not compiler():
        return
    result = [one for sizes in ROWS for one in between_events(*sizes)] + with_events()
    yield from result
    best = {(one["work"], one["peer"]): one["minimum_ns"] for one in result}
    for a, b, target in TARGETS:
        yield {"ratio": f"{' '.join(a)} / {' '.join(b)}", "value": best[a] / best[b], "target": target}


def main() -> None:
    """Print the table."""
    from benchmarks import on_one_core
    from benchmarks.__main__ import lines

    on_one_core()
    print("\n".join(lines(list(rows()))))


if __name__ == "__main__":
    main()
