"""`collapsed` and backpropagation in floats beside the same training in balls, gate events and all.

Balls grow faster than what they are about: in the long form, of ten thousand steps, each begins from the middles.
"""

from __future__ import annotations

import numpy as np
import pytest
from conftest import LONG
from test_carried import start

import fcsym

flint = pytest.importorskip("flint")
STEPS, BITS = (10_000, 256) if LONG else (1_000, 1024)


class InBalls:
    """One hidden layer of ReLU units in balls, in simultaneous order."""

    def __init__(self, weights, x):
        self.a, self.b, self.x = (flint.arb_mat(np.asarray(m).tolist()) for m in (*weights, x))

    def seen(self):
        """Pre-activations, and which are above 0: none of them is so near that a ball does not tell."""
        s = self.x * self.a.transpose()
        on = [entry > 0 for entry in s.entries()]
        assert all(above or entry < 0 for above, entry in zip(on, s.entries(), strict=True))
        return s, on

    def step(self, target, eta):
        s, on = self.seen()
        v = self._where(s, on)
        error = v * self.b.transpose() - flint.arb_mat(target.tolist())
        back = self._where(error * self.b, on)
        self.b -= flint.arb(eta) * (error.transpose() * v)
        self.a -= flint.arb(eta) * (back.transpose() * self.x)
        if LONG:
            self.a, self.b = self.a.mid(), self.b.mid()

    @staticmethod
    def _where(m, on):
        zero = flint.arb(0)
        kept = [entry if above else zero for above, entry in zip(on, m.entries(), strict=True)]
        return flint.arb_mat(m.nrows(), m.ncols(), kept)

    def far(self, weights):
        """The largest difference from these weights: of balls from floats, and so no rounding of its own."""
        return max(
            abs(float((entry - flint.arb(float(own))).mid()))
            for matrix, array in zip((self.a, self.b), weights, strict=True)
            for entry, own in zip(matrix.entries(), np.ravel(array), strict=True)
        )


def test_thousands_of_steps_are_as_near_to_the_exact_ones_as_those_of_backpropagation():
    """With blocks that lose units, by what `expand` gives; every event is where exact training has it."""
    network = fcsym.Network.parse("4-80-2")
    weights, x, _ = start(network, 2, seed=3)
    collapsed, plain = (fcsym.scheme(network, name, batch="sum").compile() for name in ("collapsed", "backprop"))
    state, other = collapsed.init(weights, x), plain.init(weights)
    assert state.widths[1] < 80
    goal = 6 * np.random.default_rng(0).normal(size=(2, 2))
    precision = flint.ctx.prec
    flint.ctx.prec = BITS
    try:
        exact = InBalls(weights, x)
        gates, crossed = exact.seen()[1], []
        for step in range(1, STEPS + 1):
            now = goal * (1 + np.sin(step / 40))  # it does not come to rest
            state, other = collapsed.step(state, x, now, 2e-3), plain.step(other, x, now, 2e-3)
            exact.step(now, 2e-3)
            before, gates = gates, exact.seen()[1]
            changed = {n % 80 for n, (old, new) in enumerate(zip(before, gates, strict=True)) if old != new}
            crossed += [(step, unit) for unit in changed]
        own, peer = exact.far(collapsed.expand(state, weights, x)), exact.far(other[:2])
    finally:
        flint.ctx.prec = precision
    assert len(crossed) > STEPS / 50
    assert sorted((event.step, unit) for event in state.events for unit in event.units) == sorted(crossed)
    assert own < 2 * peer < 1e-9
