"""Training on a closed state beside backpropagation in C: `python -m benchmarks.collapsed`.

Steps on all samples at once, between gate events and with them, against the compiled scheme `backprop` of the same
network in mini-batches. Ratios of one run, one thread; the row with many samples is one where nothing is saved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fcsym

__all__ = ["compare", "main"]

ROWS = ((2, 8), (100, 8), (1000, 8), (4096, 8), (100_000, 8), (1000, 1), (1000, 64))
"""Widths of the hidden layer, and samples."""


def _best(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _start(width: int, samples: int) -> tuple[fcsym.Network, list[Any], Any, Any]:
    network = fcsym.Network.parse(f"784-{width}-10")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) * np.sqrt(2 / network.shape(a)[-1]) for a in network.parameters]
    return network, weights, rng.normal(size=(samples, 784)), np.eye(10)[rng.integers(0, 10, samples)]


def compare(width: int, samples: int, steps: int = 30) -> dict[str, float]:
    """Seconds of one step each way, where nothing crosses a kink, and what each carries."""
    network, weights, x, target = _start(width, samples)
    run = fcsym.find_collapse(network, samples, contracted=[0, 1]).train(weights, np.squeeze(x) if samples == 1 else x)
    goal, eta = (target[0] if samples == 1 else target), 1e-12
    run.step(goal, eta)
    own = _best(lambda: run.step(goal, eta), steps)
    kernel = fcsym.scheme(network, "backprop", batch="sum").compile("c")
    state = kernel.init(weights)
    kernel.step(state, x, target, eta)
    peer = _best(lambda: kernel.step(state, x, target, eta), 3 if width > 10_000 else 10)
    return {
        "width": width, "samples": samples, "collapsed": own, "backprop in C": peer, "ratio": peer / own,
        "groups": run.groups[1], "numbers": run.numbers, "weights": sum(w.size for w in weights),
    }  # fmt: skip


def with_events(width: int = 4096, samples: int = 8, steps: int = 10_000, eta: float = 2e-4) -> dict[str, float]:
    """The whole of a training, events and all, against as many steps of backpropagation in C."""
    network, weights, x, target = _start(width, samples)
    run = fcsym.find_collapse(network, samples, contracted=[0, 1]).train(weights, x)
    start = time.perf_counter()
    for _ in range(steps):
        run.step(target, eta)
    own = time.perf_counter() - start
    kernel = fcsym.scheme(network, "backprop", batch="sum").compile("c")
    state = kernel.init(weights)
    peer = steps * _best(lambda: kernel.step(state, x, target, eta), 10)
    crossed = sum(len(event.units) for event in run.events)
    return {
        "width": width,
        "steps": steps,
        "collapsed": own,
        "backprop in C": peer,
        "ratio": peer / own,
        "events": crossed,
    }


def main() -> None:
    """Print a line for each row."""
    for width, samples in ROWS:
        row = compare(width, samples)
        own, peer = (1e3 * row[name] for name in ("collapsed", "backprop in C"))
        print(
            f"784-{width}-10 on {samples}: {own:.3f} ms, backprop in C {peer:.2f} ms, {row['ratio']:.3g} times; "
            f"{row['groups']} groups, {row['numbers']} numbers for {row['weights']} weights"
        )
    row = with_events()
    print(
        f"{row['steps']} steps of 784-{row['width']}-10 on 8 with {row['events']} units crossing: "
        f"{row['collapsed']:.1f} s, backprop in C {row['backprop in C']:.1f} s, {row['ratio']:.3g} times"
    )


if __name__ == "__main__":
    main()
