"""Second derivatives and Hessian-vector products of networks of layers: proved, and against autograd and PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import few, need_package

import fcsym
from fcsym import LSTM, RNN, Conv1d, Dense, Flatten, LayerNorm, Linear, MaxPool1d, MultiheadAttention, Network
from fcsym.language.equation import Rule, Verdict
from fcsym.language.expression import mul
from fcsym.networks.symbols import bend_of

NETWORKS = {
    "convolution": Network([Conv1d(1, 2, 2), "tanh", Flatten(), Dense(2)], input=(1, 4), loss="cross_entropy"),
    "greatest": Network([Conv1d(1, 1, 2), "relu", MaxPool1d(2), Flatten(), Dense(1)], input=(1, 5)),
    "norm": Network([Linear(3, 3), LayerNorm(3), Flatten(), Dense(1)], input=(2, 3)),
    "recurrence": Network([RNN(2, 2, last=True), Dense(1)], input=(2, 2)),
    "lstm": Network([LSTM(1, 2, last=True), Dense(1)], input=(2, 1)),
    "attention": Network([MultiheadAttention(2, 1), Flatten(), Dense(1)], input=(2, 2)),
    "looking back": Network([MultiheadAttention(2, 1, causal=True), Dense(1)], input=(2, 2)),
}


def lists(name, batch=None):
    """A Hessian-vector product, and what one gradient moves by with others."""
    network = NETWORKS[name]
    names = [network.parameters[0].name, network.parameters[-1].name, "x"]
    yield fcsym.gradient(network, "E", names, along=names, batch=batch)
    yield fcsym.gradient(network, f"dE_d{names[0]}", names, batch=batch)


CASES = [(name, batch) for name in NETWORKS for batch in (None, "mean")]


@pytest.mark.parametrize(("name", "batch"), few(CASES, 7))
def test_every_equation_is_proved_and_checked(name, batch):
    for g in lists(name, batch):
        assert g.proof.holds, [f for f in g.proof.findings if f.verdict not in (Verdict.PROVED, Verdict.DEFINITION)]
        assert "index notation" in g.proof.method
    assert fcsym.check(g, trials=4)


@pytest.mark.parametrize("name", few(NETWORKS, 4))
def test_what_is_changed_is_not_proved(name):
    for g in lists(name):
        seen = 0
        bends = {bend_of(e.array) for e in g.equations}
        for n, equation in enumerate(g.equations):
            if equation.name.startswith("d2E") or equation.array in bends:
                other = replace(equation, rhs=mul(2, equation.rhs))
                changed = replace(g, equations=(*g.equations[:n], other, *g.equations[n + 1 :]))
                seen += 1
                if seen % 4 == 1:
                    assert not changed.proof.holds, f"{other} passes"
        assert seen > 3


def test_a_wrong_first_derivative_proves_no_second_one():
    g = next(lists("convolution"))
    n = next(n for n, e in enumerate(g.equations) if e.name == "dE_dW1")
    assert g.equations[n].rule is Rule.GRADIENT
    wrong = replace(g.equations[n], rhs=mul(2, g.equations[n].rhs))
    findings = {
        f.equation: f for f in replace(g, equations=(*g.equations[:n], wrong, *g.equations[n + 1 :])).proof.findings
    }
    assert findings["d2E_dT_dW1"].verdict is Verdict.UNDECIDED


def test_products_are_those_of_torch():
    torch = need_package("torch")
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Conv1d(1, 2, 2), nn.Tanh(), nn.LayerNorm(3), nn.Flatten(), nn.Linear(6, 2)).double()
    network = Network.from_torch(module, input=(1, 4))
    names, rng = [*(theta.name for theta in network.parameters), "x"], np.random.default_rng(0)
    x, target = rng.normal(size=(1, 4)), rng.normal(size=2)
    along = [rng.normal(size=np.shape(a)) for a in (*network.weights, x)]
    found = fcsym.gradient(network, "E", names, along=names).compile().gradient(network.weights, x, target, along=along)
    keys, own = zip(*module.named_parameters(), strict=True)

    def error(*arrays):
        y = torch.func.functional_call(module, dict(zip(keys, arrays[:-1], strict=True)), (arrays[-1][None],))[0]
        return ((y - torch.tensor(target)) ** 2).sum() / 2

    arrays = (*(p.detach() for p in own), torch.tensor(x))
    directions = tuple(torch.tensor(t).reshape(a.shape) for t, a in zip(along, arrays, strict=True))
    products = torch.autograd.functional.hvp(error, arrays, directions)[1]
    for name, product in zip(names, products, strict=True):
        value = getattr(found, f"d2E_dT_d{name}")
        np.testing.assert_allclose(value.ravel(), product.numpy().ravel(), rtol=1e-9, atol=1e-11)
