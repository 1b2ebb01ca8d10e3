"""Training on a closed state, beside automatic differentiation.

A trial draws a network of up to four layers as the chapter on random networks does, until a hidden layer of it can be
summed over, and trains four of them by the scheme `collapsed`, for some forty steps on inputs that stay, beside
automatic differentiation in extended precision: the output before every step, and all weights at the end. Units cross
kinks meanwhile, and the state is carried over; some two hundred further networks of small integers make one step from
exactly on a kink. A network is left out from where rounding decides a gate, or where its training diverges. The bar is
how far rounding takes this very trajectory; a figure of the last column is the largest error in units of it, and a
failure is above 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from reliability.chapters.differential import ORDERS, TRAINED, compared, drawn, gather
from reliability.frame import Table, trials

SHORT, LONG = 8, 400
STEPS, LAYERS = 40, 4  # steps of a network; layers: of more the finder has many choices, each of them large
CROSSED = "units that crossed a kink"


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many networks."""
    table = Table(
        ("networks", CROSSED, "numbers compared", "points left out", "largest error"), "what the networks have"
    )
    table.row("all")
    for outcome in trials(trial, count, seed, only):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            found = outcome.value
            for name in ("all", *found["marks"]):
                table.add(name, CROSSED, found["crossed"])
            gather(table, found)
        yield table


def trial(seed: int, number: int) -> dict[str, Any]:
    """One network. Wrong where something disagrees."""
    import fcsym
    from fcsym.checking.trajectory import check_scheme

    rng, order = np.random.default_rng([seed, number]), ORDERS[number % 2]
    while True:
        network, marks = drawn(rng)
        if len(network.layers) > LAYERS:
            continue
        try:
            scheme = fcsym.scheme(network, "collapsed", order)
        except fcsym.ArgumentError:  # no layer of it can be summed over
            continue
        break
    watched = _Watched(scheme)
    kernel = scheme.conventional.compile()
    report = check_scheme(watched, TRAINED, int(rng.integers(2**31)), STEPS, None, float, lambda _: None, kernel)
    found = {
        "marks": [*marks, f"order {order}"],
        "crossed": watched.crossed,
        "compared": 0,
        "left out": 0,
        "worst": 0.0,
    }
    compared(report, found, f"collapsed of {network}, {order}")
    return found


class _Watched:
    """A scheme whose kernel says how many units have crossed a kink in what it trained."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.crossed = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def compile(self, target: str = "numpy") -> Any:
        return _WatchedKernel(self._inner.compile(target), self)


class _WatchedKernel:
    """The kernel of a scheme that is watched: states are counted where their weights are asked for, at the end."""

    def __init__(self, inner: Any, watched: _Watched) -> None:
        self._inner, self._watched = inner, watched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def expand(self, state: Any, weights: Any = (), x: Any = None) -> Any:
        self._watched.crossed += sum(len(event.units) for one in state for event in getattr(one, "events", ()))
        return self._inner.expand(state, weights, x)
