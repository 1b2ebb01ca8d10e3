"""Proofs of the smallest network of every kind: what is derived is proved, and what is changed on purpose is not.

Each takes less than a second, so that a fault in any part of the proof is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

import fcsym
from fcsym import GRU, Conv1d, Embedding, Flatten, LayerNorm, Linear, MaxPool1d, MultiheadAttention, Network
from fcsym.language.equation import Cases
from fcsym.language.expression import Expr, add, mul
from fcsym.proof import prove

mlp = Network.mlp
HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)], "1/2")
STEPS = {
    "plain": (mlp([1, 2, 1], bias=True), {}),
    "two outputs": (mlp([1, 1, 2]), {"order": "sequential"}),
    "several pieces": (mlp([1, 1, 1], HAT, output=HAT), {}),
    "bias in the middle": (mlp([1, 1, 1, 1], bias=[False, True, False]), {"order": "sequential"}),
    "biases outside": (mlp([1, 1, 1, 1], "leaky_relu", bias=[True, False, True]), {}),
    "shared bias": (mlp([1, 2, 1], bias=True).shared("b1"), {"order": "sequential"}),
    "shared bias above": (mlp([1, 1, 2, 1], bias=True).shared("b2"), {}),
    "frozen bias": (mlp([1, 1, 1], bias=True).frozen("b1"), {}),
    "frozen weights": (mlp([1, 1, 1, 1], bias=True).frozen("W2"), {"order": "sequential"}),
    "momentum": (mlp([1, 1, 1]), {"rule": fcsym.rule("momentum", beta="0.9", weight_decay="0.1")}),
    "nesterov": (mlp([1, 1, 1]), {"rule": "nesterov", "order": "sequential"}),
    "rmsprop": (mlp([1, 1, 1], bias=True), {"rule": "rmsprop"}),
    "adam": (mlp([1, 1, 1]), {"rule": fcsym.rule("adam", weight_decay="0.1")}),
    "adamw": (mlp([1, 1, 1]), {"rule": fcsym.rule("adamw", weight_decay="0.1"), "order": "sequential"}),
    "mean": (mlp([1, 2, 1], bias=True), {"batch": "mean"}),
    "two samples": (mlp([1, 1, 1], "tanh"), {"batch": "sum", "samples": 2}),
    "mean with adam": (mlp([1, 1, 1]), {"batch": "mean", "rule": "adam", "order": "sequential"}),
    "smooth, huber": (mlp([1, 1, 1], "tanh", output="tanh", loss="huber"), {}),
    "pieces, l1": (mlp([1, 1, 1], output="relu", loss="l1"), {"order": "sequential"}),
    "hinge": (mlp([1, 1, 2], loss="hinge"), {}),
    "softmax": (mlp([1, 1, 2], "sigmoid", output="softmax", loss="cross_entropy"), {}),
    "sigmoid, bce": (mlp([1, 1, 1], "softplus", output="sigmoid", loss="bce"), {}),
    "bce on logits": (mlp([1, 1, 2], "silu", loss="bce_logits"), {}),
    "gelu": (mlp([1, 1, 1], "gelu", loss="mse"), {"order": "sequential"}),
    "no hidden layer": (mlp([2, 1], bias=True), {}),
    "convolution": (
        Network([Conv1d(1, 1, 2), "relu", MaxPool1d(2), Flatten(), Linear(1, 1)], input=(1, 3)),
        {"order": "sequential"},
    ),
    "attention": (Network.sequential((2, 1), [MultiheadAttention(1, 1), Linear(1, 1)]), {}),
    "gates": (Network.sequential((1, 1), [GRU(1, 1, last=True), Linear(1, 1)]), {}),
    "norm": (Network.sequential((2,), [LayerNorm(2), Linear(2, 1)]), {"batch": "mean"}),
    "tokens": (Network.sequential((2, 2), [Embedding(2, 1), Flatten(), Linear(2, 1)]), {}),
}


def changed(equation):
    """The same equation, twice as much; one more in the last case that has a value."""
    if isinstance(equation.rhs, Expr):
        return replace(equation, rhs=mul(2, equation.rhs))
    last = max(n for n, branch in enumerate(equation.rhs) if branch.value is not None)
    rows = [replace(b, value=add(b.value, 1)) if n == last else b for n, b in enumerate(equation.rhs)]
    return replace(equation, rhs=Cases(tuple(rows)))


@pytest.mark.parametrize("name", STEPS)
def test_what_is_derived_is_proved(name):
    network, setting = STEPS[name]
    d = fcsym.derive(network, **setting)
    assert d.proof.holds, d.proof


@pytest.mark.parametrize("name", STEPS)
def test_what_is_changed_is_not(name):
    """One equation of each list, another one in every list: the proof says which one it is."""
    network, setting = STEPS[name]
    d = fcsym.derive(network, **setting)
    place = list(STEPS).index(name) * 7 % len(d.equations)
    wrong = changed(d.equations[place])
    proof = prove(replace(d, equations=(*d.equations[:place], wrong, *d.equations[place + 1 :])))
    assert not proof.holds, f"{wrong} passes"


SCHEMES = {
    "backprop": (mlp([1, 1, 1], bias=True), {"order": "sequential"}),
    "weights": (mlp([1, 2, 1]), {}),
    "compensation": (mlp([1, 1, 1], bias=True), {"order": "sequential"}),
    "states": (mlp([1, 1, 1, 1], bias=True), {"order": "sequential"}),
    "history": (mlp([1, 1, 1], bias=True), {}),
    "basis": (mlp([2, 1, 1], "tanh"), {"order": "sequential"}),
}
CARRIED = {
    "states of a batch": ("states", mlp([1, 1, 1], bias=True), {"batch": "mean", "samples": 2}),
    "states with momentum": ("states", mlp([1, 1, 1]), {"batch": "sum", "samples": 1, "rule": "nesterov"}),
    "backprop with adam": ("backprop", mlp([1, 1, 1]), {"batch": "mean", "rule": "adam"}),
}


@pytest.mark.parametrize("name", [*SCHEMES, *CARRIED])
def test_a_scheme_is_proved(name):
    kind, network, setting = CARRIED[name] if name in CARRIED else (name, *SCHEMES[name])
    proof = fcsym.scheme(network, kind, **setting).proof
    assert proof.holds, proof
