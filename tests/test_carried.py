"""Training on a closed state with gate events carried, beside backpropagation written out here."""

from __future__ import annotations

import time

import numpy as np
import pytest

import fcsym
from fcsym.checking.oracle import backpropagation

HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)])

BENT = fcsym.piecewise_linear("bent", [fcsym.Piece(1, 1), fcsym.Piece(None, 1)], slope_at_kink="1/2")
TWICE = fcsym.piecewise_linear("twice", [fcsym.Piece(None, 2)])


def start(network, inputs, seed=0):
    """Random weights, inputs and targets."""
    rng = np.random.default_rng(seed)
    several = inputs > 1 or network.batch
    weights = [rng.normal(size=network.shape(a)) / np.sqrt(max((1, *network.shape(a)[1:]))) for a in network.parameters]
    x = rng.normal(size=(inputs, network.inputs) if several else network.inputs)
    return weights, x, rng.dirichlet(np.ones(network.widths[-1]), inputs if several else None)


def trained(network, order, weights, x, target, eta, steps, which=None):
    """What automatic differentiation makes of the weights; one sample after the other where `which` says so."""
    now, memory = [np.array(w) for w in weights], {a.name: np.zeros(network.shape(a)) for a in network.memory}
    for step in range(steps):
        own, goal = (x, target) if which is None else (x[which[step]], target[which[step]])
        one = backpropagation(
            network, order, [w[None] for w in now], own[None], goal[None], np.array([eta]),
            {name: value[None] for name, value in memory.items()},
        )  # fmt: skip
        now = [
            np.asarray(one[f"{a.name}_new"][0] if f"{a.name}_new" in one else w, float)
            for a, w in zip(network.parameters, now, strict=True)
        ]
        memory = {name: np.asarray(one[f"{name}_new"][0], float) for name in memory}
    return now


CASES = {
    "one input": ("3-20-2", {}, 1, [0, 1]),
    "biases, leaky": ("3-20-2", {"bias": True, "activation": "leaky_relu"}, 3, [0, 1]),
    "any inputs": ("3-20-2", {"bias": True}, 4, [1]),
    "no layer": ("3-6-2", {"bias": True}, 2, [0]),
    "intercepts": ("3-20-2", {"bias": True, "activation": HAT}, 3, [0, 1]),
    "intercepts, any inputs": ("3-20-2", {"activation": HAT}, 3, [1]),
    "three matrices": ("3-20-4-2", {"bias": True}, 2, [0, 1]),
    "the upper hidden layer": ("3-8-20-2", {"bias": True}, 2, [0, 2]),
    "two layers of three": ("3-10-4-12-2", {"activation": ["relu", "tanh", "leaky_relu"]}, 2, [0, 1, 3]),
    "a shared bias above": ("2-5-9-2", {"activation": HAT, "bias": [False, True, True]}, 2, [0, 2]),
    "linear, a shared bias": ("3-9-2", {"activation": "identity", "bias": True}, 2, [0, 1]),
    "no layer, a shared bias": ("3-9-2", {"bias": True}, 2, [0]),
    "linear": ("3-20-2", {"activation": "identity"}, 2, [0, 1]),
    "a slope at a kink between equal lines": ("3-20-2", {"activation": BENT}, 2, [0, 1]),
    "a line above": ("2-3-20-2", {"activation": ["relu", TWICE]}, 2, [0, 2]),
    "softmax": ("3-20-3", {"bias": True, "loss": "cross_entropy"}, 2, [0, 1]),
}


def network_of(name):
    """The network of a case."""
    text, settings, *_ = CASES[name]
    network = fcsym.Network.parse(text, **settings)
    return network.shared("b2" if "above" in name else "b1") if "shared" in name else network


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("name", CASES)
def test_training_is_that_of_backpropagation(name, order):
    *_, inputs, contracted = CASES[name]
    network = network_of(name)
    weights, x, target = start(network, inputs)
    found = fcsym.find_collapse(network, inputs, order, contracted=contracted)
    run = found.train(weights, x)
    steps, eta = 60, 0.004 if "hat" in str(network) else 0.02
    for _ in range(steps):
        run.step(target, eta)
    together = network.training(None, "sum", inputs) if inputs > 1 else network
    wanted = trained(together, order, weights, x, target, eta, steps)
    assert max(np.abs(a - b).max() for a, b in zip(wanted, run.expand(), strict=True)) < 1e-14


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.training("momentum"),
        lambda n: n.training(fcsym.rule("nesterov", weight_decay=0.1)),
        lambda n: n.training(fcsym.rule("sgd", weight_decay=0.1), "mean"),
        lambda n: n.shared("b1"),
        lambda n: n.frozen("b1"),
        lambda n: n.frozen("W1", "b2"),
    ],
    ids=["momentum", "nesterov and decay", "mean and decay", "shared", "frozen", "frozen matrix"],
)
def test_rules_and_what_is_held_are_carried(change, order):
    network = change(fcsym.Network.parse("3-20-2", bias=True))
    weights, x, target = start(network, 3)
    run = fcsym.find_collapse(network, 3, order, contracted=[0, 1]).train(weights, x)
    for _ in range(60):
        run.step(target, 0.01)
    together = network if network.batch else network.training(network.rule, "sum", 3)
    wanted = trained(together, order, weights, x, target, 0.01, 60)
    assert max(np.abs(a - b).max() for a, b in zip(wanted, run.expand(), strict=True)) < 1e-14


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_one_sample_after_the_other(order):
    network = fcsym.Network.parse("3-20-2", bias=True).training("momentum")
    weights, x, target = start(network, 4)
    run = fcsym.find_collapse(network, 4, order, contracted=[0, 1]).train(weights, x)
    which = [0, 1, 2, 3, 3, 1, 0, 2] * 8
    for one in which:
        run.step(target[one], 0.01, which=one)
    wanted = trained(network, order, weights, x, target, 0.01, len(which), which)
    assert max(np.abs(a - b).max() for a, b in zip(wanted, run.expand(), strict=True)) < 1e-14
    assert run.events


class Plain:
    """One hidden layer of ReLU units, in simultaneous order, written out with NumPy in extended precision."""

    def __init__(self, weights, x):
        self.a, self.b = (np.array(w, np.longdouble) for w in weights)
        self.x = np.array(np.atleast_2d(x), np.longdouble)

    def gates(self):
        return self.x @ self.a.T > 0

    def step(self, target, eta, which=slice(None)):
        x = self.x[which]
        s = x @ self.a.T
        error = np.maximum(s, 0) @ self.b.T - target
        back = (error @ self.b) * (s > 0)
        self.b = self.b - eta * error.T @ np.maximum(s, 0)
        self.a = self.a - eta * back.T @ x


def test_ten_thousand_steps_with_hundreds_of_events_agree_step_by_step():
    network = fcsym.Network.parse("4-100-2")
    weights, x, _ = start(network, 5, seed=3)
    run = fcsym.find_collapse(network, 5, contracted=[0, 1]).train(weights, x)
    plain = Plain(weights, x)
    rng = np.random.default_rng(0)
    target = 3 * rng.normal(size=(5, 2))
    gates, changed = plain.gates(), []
    for step in range(1, 10_001):
        goal = target * (1 + np.sin(step / 40))  # it does not come to rest
        run.step(goal, 2e-3)
        plain.step(goal, 2e-3)
        after = plain.gates()
        crossed = np.flatnonzero((after != gates).any(axis=0))
        changed += [(step, int(unit), tuple(gates[:, unit]), tuple(after[:, unit])) for unit in crossed]
        gates = after
    told = [
        (e.step, unit, tuple(v > 0 for v in e.before), tuple(v > 0 for v in e.after))
        for e in run.events
        for unit in e.units
    ]
    assert len(changed) > 200
    assert sorted(told) == sorted(changed)  # never a step late, and no other
    assert max(np.abs(a - b).max() for a, b in zip((plain.a, plain.b), run.expand(), strict=True)) < 1e-11
    assert np.abs(run.output - np.maximum(plain.x @ plain.a.T, 0) @ plain.b.T).max() < 1e-11


def exactly(weights, x, target, eta, steps, which=None, **settings):
    """Steps of numbers that floats have exactly, beside plain backpropagation."""
    network = fcsym.Network.mlp([len(np.atleast_2d(x)[0]), len(weights[0]), len(weights[1])], **settings)
    run = fcsym.find_collapse(network, len(x) if np.ndim(x) > 1 else 1, contracted=[0, 1]).train(weights, x)
    plain = Plain(weights, x)
    for _ in range(steps):
        run.step(target, eta)
        plain.step(np.atleast_2d(target), eta)
    for own, wanted in zip(run.expand(), (plain.a, plain.b), strict=True):
        assert np.abs(own - wanted).max() < 1e-14
    return run


def test_an_input_of_zero_and_inputs_that_are_equal_or_parallel():
    weights = [np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25]]), np.array([[1.0, -1.0, 0.5]])]
    zero = exactly(weights, np.zeros(2), np.array([1.0]), 0.5, 5)
    assert zero.output == 0 and not zero.events
    for x in ([[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [-1.0, -2.0]], [[1.0, 2.0], [0.0, 0.0]]):
        exactly(weights, np.array(x), np.array([[1.0], [-1.0]]), 0.125, 40)


def test_a_unit_on_its_kink_at_the_start_has_the_declared_slope():
    weights = [np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([[1.0, 1.0]])]
    x = np.array([1.0, 1.0])  # the first unit is at 0
    assert not exactly(weights, x, np.array([1.0]), 0.125, 3).events
    network = fcsym.Network.parse("2-2-1").with_slope_at_kink("1/2")
    run = fcsym.find_collapse(network, contracted=[0, 1]).train(weights, x)
    (event,) = run.step([1.0], 0.125)
    assert (event.units, event.before, event.after) == ((0,), (0.5,), (0.0,))  # y = 2, so it moved down by 1/8
    assert run.expand()[0][0].tolist() == [1 - 0.0625, -1 - 0.0625]


def test_a_unit_that_lands_on_its_kink_is_there():
    # y = 2, h = 1: the second unit goes to 1 - 2 * 1/2 * 1 = 0 exactly, and has slope 0 from there on
    weights = [np.array([[1.0], [1.0]]), np.array([[1.0, 1.0]])]
    run = fcsym.find_collapse(fcsym.Network.parse("1-2-1"), contracted=[0, 1]).train(weights, [1.0])
    (event,) = run.step([1.0], 1.0)
    assert (event.units, event.after) == ((0, 1), (0.5,)) and run.output == 0
    assert not run.step([1.0], 1.0)
    assert run.expand()[0].tolist() == [[0.0], [0.0]]


def test_a_long_step_turns_a_factor_around_and_a_longer_one_ends():
    weights = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.5, 0.25]])]
    for eta in (1.0, 2.0, 4.0):  # 1 - a h^2 is above 0, 0 and below
        exactly(weights, np.array([1.0, 1.0]), np.array([0.25]), eta, 2)
    run = fcsym.find_collapse(fcsym.Network.parse("2-2-1"), contracted=[0, 1]).train(
        [10 * np.eye(2), np.array([[5.0, 5.0]])], [1.0, 1.0]
    )
    with pytest.raises(fcsym.Diverged, match="after step"):
        for _ in range(100):
            run.step([-1e300], -1.0)


def test_no_active_unit_one_group_and_a_group_for_every_unit():
    rng = np.random.default_rng(1)
    x = np.abs(rng.normal(size=(3, 2)))
    dead = exactly([-np.ones((4, 2)), np.ones((1, 4))], x, np.ones((3, 1)), 0.125, 3)
    assert dead.groups == {1: 1} and not dead.output.any() and not dead.events
    together = exactly([np.ones((40, 2)), np.ones((1, 40)) / 64], x, np.ones((3, 1)), 2.0**-9, 3)
    assert together.groups == {1: 1} and together.saves
    apart = fcsym.find_collapse(fcsym.Network.parse("6-4-1"), 6, contracted=[0, 1]).train(
        [np.array([[1.0, -1, -1, -1, -1, -1], [-1, 1, -1, -1, -1, -1], [1, 1, -1, -1, -1, -1], [1, 1, 1, -1, -1, -1]]),
         np.ones((1, 4))], np.eye(6),
    )  # fmt: skip
    assert apart.groups == {1: 4} and not apart.saves


def test_a_step_does_not_depend_on_the_width():
    times = {}
    for width in (100, 20_000):
        network = fcsym.Network.parse(f"50-{width}-3")
        weights, x, target = start(network, 3)
        run = fcsym.find_collapse(network, 3, contracted=[0, 1]).train(weights, x)
        for _ in range(10):
            run.step(target, 1e-7)
        assert run.groups == {1: 8}
        best = np.inf
        for _ in range(15):
            begin = time.perf_counter()
            run.step(target, 1e-7)
            best = min(best, time.perf_counter() - begin)
        times[width] = best
    assert times[20_000] < 4 * times[100]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f, w, x, t: f.train(w[:1], x), "arrays of weights"),
        (lambda f, w, x, t: f.train([w[0].T, w[1]], x), "W1 has the shape"),
        (lambda f, w, x, t: f.train(w, x[:1]), "inputs have the shape"),
        (lambda f, w, x, t: f.train(w, x).step(t[:1], 0.1), "target has the shape"),
        (lambda f, w, x, t: f.train(w, x).step(t), "eta is not given"),
        (lambda f, w, x, t: f.train(w, x).step(t, np.nan), "eta is nan"),
        (lambda f, w, x, t: f.train(w, x).step(t[0], 0.1, which=2), "positions 0 to 1"),
        (lambda f, w, x, t: f.train(w, x).step(t, 0.1, which=[1, 1]), "different"),
    ],
)
def test_what_does_not_fit_is_refused(call, said):
    network = fcsym.Network.parse("3-5-2")
    weights, x, target = start(network, 2)
    with pytest.raises(fcsym.ArgumentError, match=said):
        call(fcsym.find_collapse(network, 2), weights, x, target)


def test_a_map_that_is_not_shared_is_seen():
    """The comparison is sharp: a step that is a millionth too long does not pass it."""
    network = fcsym.Network.parse("3-20-2", bias=True)
    weights, x, target = start(network, 3)
    run = fcsym.find_collapse(network, 3, contracted=[0, 1]).train(weights, x)
    for _ in range(60):
        run.step(target, 0.05 * (1 + 1e-6))
    wanted = trained(network.training(None, "sum", 3), "simultaneous", weights, x, target, 0.05, 60)
    assert max(np.abs(a - b).max() for a, b in zip(wanted, run.expand(), strict=True)) > 1e-8


def test_the_state_is_what_the_definitions_say_and_events_are_drawn():
    network = fcsym.Network.parse("3-30-1")
    weights, x, _ = start(network, 1)
    run = fcsym.find_collapse(network, contracted=[0, 1]).train(weights, x)
    for _ in range(20):
        run.step([2.0], 0.05)
    a, b = run.expand()
    s = a @ x
    on = int(np.argmax(run.slopes[1][0]))
    units = s > 0
    assert run.state["S1"][0, on] == pytest.approx(b[0, units] @ s[units], abs=1e-13)
    assert run.state["S2"][0, 0, on] == pytest.approx((b[0, units] ** 2).sum(), abs=1e-13)
    assert run.state["S3"][on] == pytest.approx((s[units] ** 2).sum(), abs=1e-13)
    assert run.output[0] == pytest.approx(run.state["S1"][0, on], abs=1e-13)
    crossed = sum(len(event.units) for event in run.events)
    assert f"{crossed} units have crossed a kink in 20 steps" in run.chart().svg


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_the_four_functions_leave_a_state_as_it_is(order):
    network = fcsym.Network.parse("3-30-2", bias=True)
    weights, x, target = start(network, 3)
    kernel = fcsym.find_collapse(network, 3, order, contracted=[0, 1]).compile()
    first = kernel.init(weights, x)
    states, now = [first], first
    for step in range(40):
        now = kernel.step(now, x[step % 3], target[step % 3], 0.05)
        states.append(now)
    assert now.events
    wanted = trained(network, order, weights, x, target, 0.05, 40, [n % 3 for n in range(40)])
    assert max(np.abs(a - b).max() for a, b in zip(wanted, kernel.expand(now, weights, x), strict=True)) < 1e-13
    # from any earlier state the same again, and the first one is the weights
    again = states[10]
    for step in range(10, 40):
        again = kernel.step(again, x[step % 3], target[step % 3], 0.05)
    assert all((a == b).all() for a, b in zip(now.expand(), again.expand(), strict=True))
    assert max(np.abs(a - b).max() for a, b in zip(weights, first.expand(), strict=True)) < 1e-15
    assert kernel.output(now, x).shape == (3, 2) and (kernel.output(now, x[1]) == now.output[1]).all()
    both = kernel.step(now, x[[2, 0]], target[[2, 0]], 0.05)
    assert both.steps == 41 and now.steps == 40
    with pytest.raises(fcsym.ArgumentError, match="not given"):
        kernel.step(now, x[0] + 1, target[0], 0.05)
