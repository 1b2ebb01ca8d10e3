"""One p for a read-out that is taken at several positions: proved, certified, in closed form, or none."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pytest
import sympy
from conftest import need

import fcsym
from fcsym import RNN, Conv1d, Linear, MultiheadAttention, Network
from fcsym.proof import prove

NETWORKS = {
    "units": Network([Linear(2, 4), "leaky_relu", Linear(4, 2)], input=(3, 2)),
    "steps": Network([RNN(2, 3), Linear(3, 1)], input=(2, 2)),
    "channels": Network([Conv1d(1, 2, 2), "tanh", Linear(4, 2)], input=(1, 5)),
    "tokens": Network([Linear(2, 4), "tanh", MultiheadAttention(4, 2), Linear(4, 3)], input=(3, 2)),
    "one token": Network([Linear(2, 3), "relu", Linear(3, 1)], input=(1, 2)),
    "classes": Network([RNN(2, 4, nonlinearity="relu"), Linear(4, 3)], input=(2, 2), loss="cross_entropy"),
}


def numbers(network, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=network.shape(a)) + 0.3 for a in network.parameters]
    target = rng.random(network.one_target)
    return weights, rng.normal(size=network.one_input) + 0.4, target / target.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_proved_and_is_that_of_least_norm(name):
    network = NETWORKS[name]
    d = fcsym.derive(network)
    assert d.proof.holds and d.proof.verdict("compensation").verdict.value == "PROVED"
    step = d.compile().step(*numbers(network), 0.05)
    features, moved = step.vc, getattr(step, f"d{network.hidden[-1].v.name}")
    matrix = getattr(step, f"{network.read_out.name}_new")
    wanted = (np.linalg.pinv(features) @ (moved @ matrix.T)).T  # NumPy's own least norm
    np.testing.assert_allclose(step.p, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(features @ step.r.T, (features + moved) @ matrix.T, rtol=1e-8, atol=1e-9)
    assert np.abs(step.p).max() > 1e-4
    assert fcsym.check(d, trials=40).passed


def test_a_wrong_p_is_not_proved():
    d = fcsym.derive(NETWORKS["units"])
    for n, equation in enumerate(d.equations):
        if equation.name not in ("p", "mu"):
            continue
        wrong = replace(d, equations=(*d.equations[:n], replace(equation, rhs=2 * equation.rhs), *d.equations[n + 1 :]))
        assert not prove(wrong).holds, equation.name


def test_coq_accepts_it(tmp_path):
    coqc = need("coqc")
    d = fcsym.derive(NETWORKS["units"])
    d.save(tmp_path / "units.v")
    text = (tmp_path / "units.v").read_text()
    assert "p_is_shortest" in text and "Admitted" not in text
    done = subprocess.run([coqc, "units.v"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_its_closed_form_has_the_value_of_the_kernel():
    network = NETWORKS["steps"]
    d = fcsym.derive(network)
    step = d.compile().step(*numbers(network), 0.05)
    keep = ("vc", "dv1", "W2_new")
    for j in range(3):
        form = d.expr("p", at=(1, j + 1), keep=keep)
        own = {f"vc_{t + 1}_{i + 1}": step.vc[t, i] for t in range(2) for i in range(3)}
        own |= {f"dv1_{t + 1}_{i + 1}": step.dv1[t, i] for t in range(2) for i in range(3)}
        own |= {f"W2_1_{i + 1}_new": step.W2_new[0, i] for i in range(3)}
        value = form.subs({s: own[s.name] for s in form.free_symbols})
        assert float(sympy.N(value)) == pytest.approx(step.p[0, j], rel=1e-9)
    with pytest.raises(fcsym.SizeError, match="p for 2x2 rnn"):
        d.expr("p", at=(1, 1))


def test_equal_positions_have_none_and_it_is_said():
    network = NETWORKS["units"]
    weights, x, target = numbers(network)
    kernel = fcsym.derive(network).compile()
    x[1] = x[0]
    step = kernel.step(weights, x, target, 0.05)
    assert bool(step.undefined)
    with pytest.raises(fcsym.UndefinedContribution, match=r"the v\^c of the positions are linearly dependent"):
        _ = step.p
    assert np.isnan(kernel.step(weights, x, target, 0.05, undefined="nan").p).all()
    both = kernel.step(weights, np.stack([x, numbers(network)[1]]), np.stack([target, target]), 0.05, undefined="nan")
    assert list(both.undefined) == [True, False]


@pytest.mark.parametrize(
    ("network", "told", "said"),
    [
        (NETWORKS["units"], {"batch": "mean"}, "taken at 3 positions of every sample"),
    ],
    ids=["and samples"],
)
def test_where_none_is_derived_the_reason_is_said(network, told, said):
    d = fcsym.derive(network, **told)
    assert "p" not in d.by_name and d.proof.holds
    with pytest.raises(fcsym.ArgumentError, match=said):
        _ = d["p"]
    assert any(said in assumption for assumption in d.assumptions)


def test_more_positions_than_numbers_never_have_one():
    """The list is as long for every length; that there is none is said beside it, and by whoever asks a step for it."""
    made = {n: fcsym.derive(Network([Linear(2, 3), "tanh", Linear(3, 1)], input=(n, 2))) for n in (2, 3, 4, 9)}
    assert len({len(d.equations) for d in made.values()}) == 1
    said = {n: any("Here they never are" in line for line in d.assumptions) for n, d in made.items()}
    assert said == {2: False, 3: False, 4: True, 9: True}
    d = made[4]
    assert d.proof.holds and fcsym.check(d, trials=30).passed
    step = d.compile().step(*numbers(d.network), 0.05)
    assert bool(step.undefined) and np.isfinite(step.W1_new).all()
    with pytest.raises(fcsym.UndefinedContribution, match="give at most 3 positions"):
        _ = step.p
