"""The inputs on which schemes are run exactly: as different as they are said to be.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import fcsym
from fcsym import Network
from fcsym.proof.scheme_runs import RUNS, STEPS, _Run

RUN = {
    "one input": ("states", Network.mlp([3, 2, 1]), {}),
    "any input": ("history", Network.mlp([3, 2, 1], bias=True), {}),
    "a batch": ("backprop", Network.mlp([2, 2, 1]), {"batch": "mean", "samples": 2}),
    "a batch that is held": ("states", Network.mlp([2, 2, 1]), {"batch": "sum", "samples": 2}),
}


@pytest.mark.parametrize("examined", ["one", "another"])
@pytest.mark.parametrize("name", RUN)
def test_inputs_of_a_run_differ_where_its_scheme_takes_different_ones(name, examined):
    """Of the first run one is nowhere above the other, of the second both are 0, and the third has those of XOR."""
    kind, network, setting = RUN[name]
    s = fcsym.scheme(network, kind, **setting)
    small = s.network.reduced()
    for seed in range(RUNS):
        run = _Run(SimpleNamespace(scheme=s, network=small, smooth=False), seed, examined)
        assert len(run.inputs) == STEPS >= 3
        if small.batch:
            rows = [[[at[n, i] for i in range(small.inputs)] for n in range(small.samples)] for at in run.inputs]
            assert all(sorted(step) == sorted(rows[0]) for step in rows)  # the same samples at every step
            assert rows[0] == rows[2] and (rows[1] == (rows[0] if s.single_input else rows[0][::-1]))
            first, second = rows[0]
        else:
            steps = [[at[i,] for i in range(small.inputs)] for at in run.inputs]
            assert steps[0] == steps[2] and (steps[0] == steps[1] or not s.single_input)
            first, second = steps[:2]
            assert run.stored == list(dict.fromkeys(map(tuple, steps)))
        if s.single_input and not small.batch:
            continue
        if seed == 0:
            assert all(a >= b for a, b in zip(first, second, strict=True)) and first != second
            assert first[:-1] == second[:-1] and first[-1] - second[-1] == 1
        elif seed == 1:
            assert not any(first) and not any(second)
        elif seed == 2:
            assert [first, second] == [[n == m for n in range(small.inputs)] for m in (0, 1)]
    assert run.eta > 0
