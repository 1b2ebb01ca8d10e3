"""How far three formulas for r after n steps are from backpropagation, on random networks.

    printed   r = w_n + w_n^3 |x|^2 / (3 (v^c + sum_t dE/dY_t w_t |x|^4))              the paper's display r_5n, case 1
    mended    r = w_n + |x|^2 (w_n^3 - w_c^3) / (3 (v^c)^2)                            eq. 29 with its constant
    exact     r = w_n v_n / v^c,   v_n = v^c - eta |x|^2 sum_t dE/dY_t w~_t            the scheme `weights`

w~ is the weight that the error passes through. Only networks whose units were all active and stayed so are measured:
the display is about these. The printed formula has no eta, the norm to the wrong power, and no constant of integration;
the mended one is what eq. 28-29 give when these are put right, and it still holds constant what is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fcsym.errors import ArgumentError
from fcsym.language.equation import Order
from fcsym.networks.network import Network
from fcsym.training import scheme

__all__ = ["FORMULAS", "Distance", "measure"]

FORMULAS = ("printed", "mended", "exact")


@dataclass(frozen=True, slots=True)
class Distance:
    """|sum_j r_j v^c_j - y_n| / |y_n| for one formula after some steps, over random networks."""

    formula: str
    order: str
    steps: int
    networks: int
    median: float
    worst: float


def measure(
    steps: Sequence[int] = (1, 10, 100), networks: int = 1000, seed: int = 0, eta: float = 0.05,
    orders: Sequence[Order] = ("simultaneous", "sequential"),
) -> tuple[Distance, ...]:  # fmt: skip
    """2-2-1 networks, one random input each; ArgumentError for step counts below 1."""
    if not isinstance(steps, Sequence) or not steps or any(not _whole(n, 1) for n in steps):
        raise ArgumentError(f"steps is {steps!r}: give whole numbers from 1, in a list.")
    if not _whole(networks, 1) or not _whole(seed, 0):
        raise ArgumentError(f"networks and seed are {networks!r} and {seed!r}: give whole numbers, networks from 1.")
    network = Network.parse("2-2-1")
    rows = []
    for order in orders:
        rng = np.random.default_rng(seed)
        weights = [rng.normal(size=(networks, *network.shape(array))) for array in network.parameters]
        x, target = np.abs(rng.normal(size=(networks, 2))), rng.normal(size=(networks, 1))
        weights[0] = np.abs(weights[0])  # active at the start
        kernel, states = (scheme(network, name, order).compile() for name in ("weights", "states"))
        state, trained = kernel.init(weights, x), states.init(weights, x)
        start, frozen, norm = weights[1][:, 0], state.vc, np.sum(x**2, axis=-1, keepdims=True)
        printed_sum, exact_sum = np.zeros_like(frozen), np.zeros_like(frozen)
        active = np.ones(networks, dtype=bool)
        with np.errstate(all="ignore"):  # printed and mended divide by what may be 0; diverging runs are left out below
            for n in range(1, max(steps) + 1):
                error = states.output(trained, x) - target
                old = trained.W2[:, 0]
                trained = states.step(trained, x, target, eta, undefined="nan")
                through = trained.W2[:, 0] if order == "sequential" else old
                printed_sum, exact_sum = printed_sum + error * trained.W2[:, 0], exact_sum + error * through
                active &= (trained.s1 > 0).all(axis=-1)
                if n not in steps:
                    continue
                w, y = trained.W2[:, 0], states.output(trained, x)[:, 0]
                formulas = {
                    "printed": w + w**3 * norm / (3 * (frozen + printed_sum * norm**2)),
                    "mended": w + norm * (w**3 - start**3) / (3 * frozen**2),
                    "exact": w * (frozen - eta * norm * exact_sum) / frozen,
                }
                for name in FORMULAS:
                    off = np.abs(np.sum(formulas[name] * frozen, axis=-1) - y) / np.abs(y)
                    kept = off[active & np.isfinite(off)]
                    if not len(kept):
                        raise ArgumentError(f"No unit is still active after {n} steps: take a smaller eta.")
                    rows.append(Distance(name, order, n, len(kept), float(np.median(kept)), float(kept.max())))
    return tuple(rows)


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
