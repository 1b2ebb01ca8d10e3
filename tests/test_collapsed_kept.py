"""Closed states with parameters that training leaves alone, or that are one number for all units of a layer."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from conftest import few, need

import fcsym
from fcsym.collapsing import export as files
from fcsym.collapsing.agreeing import defined
from fcsym.collapsing.c_running import CFiles
from fcsym.kernel.export import TARGETS
from fcsym.language.equation import Verdict

KEPT = {
    "a frozen matrix": (("W1",), ()),
    "a frozen bias": (("b1",), ()),
    "both frozen": (("W1", "b1"), ()),
    "frozen above": (("b2",), ()),
    "a shared bias": ((), ("b1",)),
    "a shared bias beside a frozen matrix": (("W1",), ("b1",)),
    "a shared bias that is frozen": (("b1",), ("b1",)),
    "a shared bias above": ((), ("b2",)),
}
RULES = {
    "plain": (0.0, 0.0), "decay": (0.0, 0.1), "momentum": (0.9, 0.0), "momentum and decay": (0.9, 0.1),
}  # fmt: skip
ORDERS = ("simultaneous", "sequential")
CASES = list(product(KEPT, RULES, ORDERS))


def network_of(kept, rule, text="3-240-2"):
    """The network of a case, and its rule."""
    (frozen, shared), (beta, decay) = KEPT[kept], RULES[rule]
    made = fcsym.rule("momentum", beta=beta, weight_decay=decay) if beta else fcsym.rule("sgd", weight_decay=decay)
    return fcsym.Network.parse(text, bias=True).shared(*shared).frozen(*frozen).training(made)


def start(network, inputs=2, seed=0):
    """Random weights, inputs and targets."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=network.shape(a)) / (1 + len(network.shape(a))) for a in network.parameters]
    return weights, rng.normal(size=(inputs, 3)), rng.normal(size=(inputs, 2))


def plainly(weights, x, target, eta, order, frozen, rule, which):
    """[W1, b1, W2, b2] after a step of a ReLU network on some of the inputs for each of `which`, by hand."""
    (beta, decay), now = RULES[rule], dict(zip(("W1", "b1", "W2", "b2"), map(np.array, weights), strict=True))
    speed = {name: np.zeros_like(value) for name, value in now.items()}

    def move(name, gradient):
        if name not in frozen:
            speed[name] = beta * speed[name] + gradient + decay * now[name]
            now[name] = now[name] - eta * speed[name]

    def along(errors, bias):
        return errors.sum(axis=0) if bias.ndim else errors.sum()

    for places in which:
        points = x[places]
        s = points @ now["W1"].T + now["b1"]
        v = np.maximum(s, 0)
        error = v @ now["W2"].T + now["b2"] - target[places]
        before = now["W2"]
        move("W2", error.T @ v)
        move("b2", along(error, now["b2"]))
        back = (error @ (now["W2"] if order == "sequential" else before)) * (s > 0)
        move("W1", back.T @ points)
        move("b1", along(back, now["b1"]))
    return list(now.values())


EVERY = [slice(None)] * 12 + [[0], [1], [0]] * 4


@pytest.mark.parametrize(("kept", "rule", "order"), few(CASES, 16))
def test_training_is_that_of_backpropagation(kept, rule, order):
    network = network_of(kept, rule)
    weights, x, target = start(network)
    run = fcsym.find_collapse(network, 2, order, contracted=[0, 1]).train(weights, x)
    for places in EVERY:
        run.step(target[places], 1e-3, which=None if isinstance(places, slice) else places)
    true = plainly(weights, x, target, 1e-3, order, KEPT[kept][0], rule, EVERY)
    assert max(np.abs(a - b).max() for a, b in zip(true, run.expand(), strict=True)) < 1e-13
    assert run.saves and sum(run.groups.values()) > 1
    # the numbers by name are sums over units of what the weights are
    w1, b1, w2, _ = true
    on = x @ w1.T + b1 > 0
    squares = [w2[:, own] @ w2[:, own].T for own in ((on == g[:, None]).all(axis=0) for g in run.slopes[1].T)]
    wanted = np.moveaxis(np.array(squares), 0, -1)
    alike = [v for v in run.state.values() if v.shape == wanted.shape and np.abs(v - wanted).max() < 1e-12]
    frozen, shared = KEPT[kept]
    by_unit = "W1" not in frozen or ("b1" not in frozen and "b1" not in shared)
    assert len(alike) == by_unit  # where a pre-activation learns through its own weights, the step asks for them


@pytest.mark.parametrize("target", ["c", "torch", "jax"])
@pytest.mark.parametrize("case", few(CASES, 2))
def test_every_target_has_them(case, target):
    if target == "c":
        need("gcc")
    elif pytest.importorskip(target) and target == "jax":
        pytest.importorskip("jax").config.update("jax_enable_x64", True)
    kept, rule, order = case
    network = network_of(kept, rule)
    weights, x, goal = start(network)
    kernel = fcsym.scheme(network, "collapsed", order, rule=network.rule).compile(target)
    state = kernel.init(weights, x)
    assert state.widths[1] < 240
    for _ in range(8):
        state = kernel.step(state, x, goal, 1e-3)
    true = plainly(weights, x, goal, 1e-3, order, KEPT[kept][0], rule, EVERY[:8])
    assert max(np.abs(a - b).max() for a, b in zip(true, kernel.expand(state), strict=True)) < 1e-13


@pytest.mark.parametrize("target", ["numpy", "c"])
@pytest.mark.parametrize("case", few(CASES, 5, turn=1))
def test_files_have_them(case, target):
    """Over blocks of columns and single units, on all of the inputs and on one of them."""
    kept, rule, order = case
    network = network_of(kept, rule)
    weights, x, goal = start(network)
    if target == "c":
        need("gcc")
        made = CFiles(files.c_text_of(network, order, (0, 1), "update", []), network, "update", 2, float)
        begin, step, expand = made.init, made.step, made.expand
    else:
        names = defined(files.text_of(network, order, (0, 1), TARGETS[target], "update", []))
        begin, step, expand = names["init"], names["step"], names["expand"]
    state = begin(weights, x)
    for places in EVERY:
        on = None if isinstance(places, slice) else places if target == "c" else x[places]
        state = step(state, on, goal[places], 1e-3)
    true = plainly(weights, x, goal, 1e-3, order, KEPT[kept][0], rule, EVERY)
    assert max(np.abs(a - b).max() for a, b in zip(true, expand(state), strict=True)) < 1e-13


@pytest.mark.parametrize(("kept", "rule"), few(list(product(KEPT, RULES)), 3))
def test_documents_are_proved(kept, rule):
    network = network_of(kept, rule, "2-2-2")
    scheme = fcsym.scheme(network, "collapsed", rule=network.rule)
    assert scheme.proof.holds
    verdicts = {f.verdict for part in scheme.lists for f in part.proof.findings}
    assert verdicts <= {Verdict.PROVED, Verdict.DEFINITION, Verdict.CHOSEN}


def test_a_frozen_matrix_of_one_output_is_checked_beside_autodiff():
    scheme = fcsym.scheme(fcsym.Network.parse("2-2-1").frozen("W1"), "collapsed")
    assert fcsym.check(scheme, trials=1, steps=2).passed


def test_a_bias_of_all_units_counts_them(monkeypatch):
    """The comparison is sharp: with 1 for every column, whatever units it is of, it does not pass."""
    from fcsym.collapsing.columns import Columns

    held = Columns.held.fget
    monkeypatch.setattr(Columns, "held", property(lambda own: (*held(own)[:-1], np.ones(own.width))))
    network = network_of("a shared bias", "plain")
    weights, x, target = start(network)
    run = fcsym.find_collapse(network, 2, contracted=[0, 1]).train(weights, x)
    run.step(target, 1e-3)
    true = plainly(weights, x, target, 1e-3, "simultaneous", (), "plain", EVERY[:1])
    assert max(np.abs(a - b).max() for a, b in zip(true, run.expand(), strict=True)) > 1e-6
