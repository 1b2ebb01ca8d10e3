"""The proof of networks of layers: what is derived is proved, and what is changed on purpose is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import few

from fcsym import derive, gradient
from fcsym.language.equation import Branch, Cases, Rule, Verdict
from fcsym.language.expression import Expr, add, mul
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MultiheadAttention,
    Residual,
    RMSNorm,
)
from fcsym.networks.network import Network
from fcsym.proof import prove

CONV = [Conv1d(1, 2, 3), Activation("relu"), MaxPool1d(2), Flatten(), Linear(6, 3), Activation("tanh"), Linear(3, 2)]
POOL = [Conv2d(2, 2, 2, groups=2), Activation("leaky_relu"), AvgPool2d(3, 1), Flatten(), Linear(2, 2)]
NETWORKS = {
    "windows": Network.sequential((1, 8), CONV, loss="cross_entropy"),
    "images": Network.sequential((2, 4, 4), POOL),
    "positions": Network.sequential((3, 2), [Linear(2, 3), Activation("relu"), Linear(3, 2)], loss="cross_entropy"),
}
BLOCK = [Residual([LayerNorm(2), MultiheadAttention(2, 1)]), Linear(2, 2)]
OTHERS = {
    "recurrence": Network.sequential((3, 2), [RNN(2, 2), Linear(2, 1)]),
    "relu recurrence": Network.sequential((2, 2), [RNN(2, 2, last=True, nonlinearity="relu"), Linear(2, 1)]),
    "gru": Network.sequential((2, 2), [GRU(2, 2, last=True), Linear(2, 1)]),
    "gru without biases": Network.sequential((2, 2), [GRU(2, 2, bias=False, last=True), Linear(2, 1)]),
    "lstm": Network.sequential((2, 2), [LSTM(2, 2, last=True), Linear(2, 1)]),
    "attention": Network.sequential((3, 4), [MultiheadAttention(4, 2), Flatten(), Linear(12, 2)], loss="cross_entropy"),
    "causal attention": Network.sequential((3, 2), [MultiheadAttention(2, 1, causal=True), Linear(2, 2)]),
    "residual block": Network.sequential((2, 2), BLOCK),
    "root mean square": Network.sequential((3,), [Linear(3, 3), RMSNorm(3), Activation("tanh"), Linear(3, 1)]),
    "embedding": Network.sequential((3, 4), [Embedding(4, 2), Flatten(), Linear(6, 1)]),
}
SETTINGS = [
    {},
    {"order": "sequential"},
    {"batch": "mean"},
    {"batch": "sum", "samples": 2, "rule": "momentum"},
    {"rule": "adam"},
]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_every_equation_is_proved(name, setting):
    d = derive(NETWORKS[name], **setting)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict.name not in ("PROVED", "DEFINITION", "CHOSEN")]
    assert any(f.verdict is Verdict.PROVED and f.index == "identical" for f in d.proof.findings)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[2]], ids=str)
def test_other_layers_are_proved(name, setting):
    d = derive(OTHERS[name], **setting)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict.name not in ("PROVED", "DEFINITION", "CHOSEN")]


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_a_softmax_in_other_losses_is_proved(loss):
    """What it divides by stands three times below a derivative of squares, and not twice."""
    layers = [Linear(4, 3), RMSNorm(3), Linear(3, 3)]
    proof = prove(derive(Network.sequential((4,), layers, output="softmax", loss=loss)))
    assert proof.holds, [f for f in proof.findings if f.verdict is Verdict.SAMPLED]


def wrong(equation):
    """The same equation, and one that says something else."""
    if isinstance(equation.rhs, Cases):
        for n, branch in enumerate(equation.rhs):
            value = branch.value
            if value is not None:
                other = Branch(branch.name, branch.when, add(value, 1), branch.status, branch.note)
                rows = [other if m == n else row for m, row in enumerate(equation.rhs)]
                yield replace(equation, rhs=Cases(tuple(rows)))
        return
    assert isinstance(equation.rhs, Expr)
    yield replace(equation, rhs=mul(2, equation.rhs))
    yield replace(equation, rhs=add(equation.rhs, 1))


EVERY = NETWORKS | OTHERS
MUTANTS = [
    (name, setting, n)
    for name in EVERY
    for setting in SETTINGS[: 2 if name in NETWORKS else 1]
    for n in range(len(derive(EVERY[name], **setting).equations))
]


@pytest.mark.parametrize(("name", "setting", "n"), few(MUTANTS, 30), ids=str)
def test_what_is_changed_is_not_proved(name, setting, n):
    d = derive(EVERY[name], **setting)
    equation = d.equations[n]
    for other in wrong(equation):
        changed = replace(d, equations=(*d.equations[:n], other, *d.equations[n + 1 :]))
        proof = prove(changed)
        assert not proof.holds, f"{other} passes"
        if equation.rule in (Rule.ADJOINT, Rule.UPDATE, Rule.INCREMENT):
            own = [f for f in proof.findings if f.equation == equation.name and f.case is None]
            assert own[0].verdict in (Verdict.REFUTED, Verdict.UNDECIDED)


def test_a_wrong_equation_has_a_counterexample():
    d = derive(NETWORKS["images"])
    place = next(n for n, e in enumerate(d.equations) if e.name == "dE_dW1")
    other = replace(d.equations[place], rhs=mul(2, d.equations[place].rhs))
    proof = prove(replace(d, equations=(*d.equations[:place], other, *d.equations[place + 1 :])))
    finding = next(f for f in proof.findings if f.equation == "dE_dW1")
    assert finding.verdict is Verdict.REFUTED and finding.counterexample.derived == 2 * finding.counterexample.true


def test_an_adjoint_that_is_left_out_is_missed():
    d = derive(NETWORKS["windows"])
    for name in ("delta1", "dE_dW1", "W1_new", "ds1", "adj_v2"):
        left = tuple(e for e in d.equations if e.name != name)
        assert not prove(replace(d, equations=left)).holds


@pytest.mark.parametrize("name", ["windows", "lstm", "residual block"])
@pytest.mark.parametrize("of", ["E", "y"])
@pytest.mark.parametrize("batch", [None, "mean"])
def test_derivatives_by_name_are_proved(name, of, batch):
    net = EVERY[name]
    g = gradient(net, of, [net.parameters[0].name, "x"], batch=batch)
    assert g.proof.holds
    for n, equation in enumerate(g.equations):
        if equation.rule in (Rule.ADJOINT, Rule.GRADIENT):
            other = replace(equation, rhs=mul(2, equation.rhs))
            changed = replace(g, equations=(*g.equations[:n], other, *g.equations[n + 1 :]))
            assert not changed.proof.holds, f"{other} passes"
            return


def test_a_wrong_row_of_a_unit_has_a_counterexample_at_that_unit():
    d = derive(OTHERS["relu recurrence"])
    for place, equation in enumerate(d.equations):
        if isinstance(equation.rhs, Cases) and equation.rule is Rule.CASES:
            other = next(iter(wrong(equation)))
            proof = prove(replace(d, equations=(*d.equations[:place], other, *d.equations[place + 1 :])))
            rows = [f for f in proof.findings if f.equation == equation.name and f.case]
            assert rows[0].verdict is Verdict.REFUTED and rows[0].counterexample is not None
