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


mlp = Network.mlp
GATE, STILL = "with a closed gate, nothing that moves `s` can reach it", "nothing that the unit is made of is trained"
WAKE = {"dead -> active": GATE}
REST = {"active -> dead": STILL, "dead -> active": STILL}
IMPOSSIBLE = {
    "one layer": (mlp([1, 2, 1]), [WAKE]),
    "biases": (mlp([1, 2, 1], bias=True), [WAKE]),
    "shared bias": (mlp([1, 2, 1], bias=True).shared("b1"), [{}]),
    "frozen": (mlp([1, 2, 1], bias=True).frozen("W1", "b1"), [REST]),
    "frozen weights": (mlp([1, 2, 1], bias=True).frozen("W1"), [WAKE]),
    "two layers": (mlp([1, 2, 2, 1]), [WAKE, {}]),
    "one unit above": (mlp([1, 2, 1, 1]), [WAKE, WAKE]),
    "above what is frozen": (mlp([1, 2, 2, 1]).frozen("W1"), [REST, WAKE]),
    "one unit below": (mlp([1, 1, 2, 1]), [WAKE, WAKE]),
    "one unit below with a bias": (mlp([1, 1, 2, 1], bias=[True, False, False]), [WAKE, WAKE]),
    "one unit below, and biases": (mlp([1, 1, 2, 1], bias=[False, True, False]), [WAKE, {}]),
    "two units below": (mlp([1, 2, 2, 1]), [WAKE, {}]),
    "samples": (mlp([1, 2, 1]).training("sgd", "mean", 2), [{}]),
    "momentum": (mlp([1, 2, 1]).training("momentum"), [{}]),
}
"""What a unit of each hidden layer cannot do in a step on its own input, and why."""


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_a_unit_cannot_do_is_told_with_its_reason(name):
    """It wakes up where something moves it that has not passed its gate: a bias that is shared, or what is below.

    Of one unit below v1 is 0 and stays so, or the sign of s2 is that of a weight that the gate of s2 holds.
    """
    network, layers = IMPOSSIBLE[name]
    found = fcsym.derive(network).proof.findings
    for n, wanted in enumerate(layers, 1):
        rows = [f for f in found if f.equation == f"dv{n}" and f.case is not None]
        assert {f.case: f.note for f in rows if not f.possible} == {
            case: f"impossible here: {why}" for case, why in wanted.items()
        }
