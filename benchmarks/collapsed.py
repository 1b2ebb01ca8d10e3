"""The scheme `collapsed` beside backpropagation in C: `python -m benchmarks.collapsed`.

Steps on all samples at once, between gate events and with them, against the compiled scheme `backprop` of the same
network in mini-batches. Ratios of one run, one thread. Narrow layers lose, and so do many samples, where every unit has
a pattern of its own and nothing is saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fcsym

__all__ = ["compare", "main", "with_events"]

ROWS = (
    *((784, 2, 8), (784, 100, 8), (784, 1000, 8), (784, 4096, 8), (784, 100_000, 8)),
    *((784, 1000, 1), (784, 1000, 64), (784, 1000, 256), (8, 1000, 256), (4, 16, 8)),
)
"""Inputs, width of the hidden layer, and samples."""


def _best(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _start(width: int, samples: int, inputs: int = 784) -> tuple[fcsym.Network, list[Any], Any, Any]:
    network = fcsym.Network.parse(f"{inputs}-{width}-10")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) * np.sqrt(2 / network.shape(a)[-1]) for a in network.parameters]
    return network, weights, rng.normal(size=(samples, inputs)), np.eye(10)[rng.integers(0, 10, samples)]


def compare(width: int, samples: int, steps: int = 100, target: str = "numpy", inputs: int = 784) -> dict[str, Any]:
    """Seconds of one step each way, where nothing crosses a kink, and what each carries."""
    network, weights, x, goal = _start(width, samples, inputs)
    collapsed = fcsym.scheme(network, "collapsed").compile(target)
    held, eta = collapsed.init(weights, x), 1e-12
    own = _best(lambda: collapsed.step(held, x, goal, eta), steps)
    kernel = fcsym.scheme(network, "backprop", batch="sum").compile("c")
    state = kernel.init(weights)
    kernel.step(state, x, goal, eta)
    peer = _best(lambda: kernel.step(state, x, goal, eta), 3 if width > 10_000 else 10)
    return {
        "width": width, "samples": samples, "collapsed": own, "backprop in C": peer, "ratio": peer / own,
        "groups": max(held.groups.values()), "columns": max(held.widths.values()), "numbers": held.numbers,
        "weights": sum(w.size for w in weights),
    }  # fmt: skip


def with_events(
    width: int = 4096, samples: int = 8, steps: int = 10_000, eta: float = 2e-4, target: str = "numpy"
) -> dict[str, float]:
    """The whole of a training, events and all, against as many steps of backpropagation in C."""
    network, weights, x, goal = _start(width, samples)
    collapsed = fcsym.scheme(network, "collapsed").compile(target)
    kernel = fcsym.scheme(network, "backprop", batch="sum").compile("c")
    held, state = collapsed.init(weights, x), kernel.init(weights)
    start = time.perf_counter()
    for _ in range(steps):
        held = collapsed.step(held, x, goal, eta)
    own = time.perf_counter() - start
    peer = steps * _best(lambda: kernel.step(state, x, goal, eta), 20)
    crossed = sum(len(event.units) for event in held.events)
    return {
        "width": width, "steps": steps, "collapsed": own, "backprop in C": peer, "ratio": peer / own, "events": crossed,
    }  # fmt: skip


def main() -> None:
    """Print a line for each row."""
    for inputs, width, samples in ROWS:
        row = compare(width, samples, inputs=inputs)
        own, peer = (1e3 * row[name] for name in ("collapsed", "backprop in C"))
        print(
            f"{inputs}-{width}-10 on {samples}: {own:.3f} ms, backprop in C {peer:.2f} ms, {row['ratio']:.3g} times; "
            f"{row['groups']} groups, {row['columns']} columns, {row['numbers']} numbers for {row['weights']} weights"
        )
    row = with_events()
    print(
        f"{row['steps']} steps of 784-{row['width']}-10 on 8 with {row['events']} units crossing: "
        f"{row['collapsed']:.1f} s, backprop in C {row['backprop in C']:.1f} s, {row['ratio']:.3g} times"
    )


if __name__ == "__main__":
    main()
