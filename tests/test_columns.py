"""The scheme `collapsed` of networks that the finder closes, on every target, beside backpropagation."""

from __future__ import annotations

from itertools import product

import mpmath
import numpy as np
import pytest
from conftest import few, need
from test_carried import CASES, Plain, network_of, start, trained

import fcsym
from fcsym.collapsing.columns import Columns
from fcsym.collapsing.kernel import CollapsedKernel

TARGETS = ("numpy", "c", "torch", "jax")
TOLD = [(name, order) for name in CASES for order in ("simultaneous", "sequential")]


def kernel_of(network, order, contracted, target):
    """A kernel for these layers; in double precision where a library has to be told."""
    if target == "c":
        need("gcc")
    if target in ("torch", "jax"):
        library = pytest.importorskip(target)
        if target == "jax":
            library.config.update("jax_enable_x64", True)
    return CollapsedKernel(network, order, contracted, target)


@pytest.mark.parametrize(
    ("name", "order", "target"),
    [(*case, "numpy") for case in TOLD]
    + [(*case, target) for n, target in enumerate(TARGETS[1:]) for case in few(TOLD, 4, turn=n)],
)
def test_training_is_that_of_backpropagation(name, order, target):
    *_, inputs, contracted = CASES[name]
    network = network_of(name)
    weights, x, wanted = start(network, inputs)
    kernel = kernel_of(network, order, contracted, target)
    state, eta = kernel.init(weights, x), 0.004 if "hat" in str(network) else 0.02
    for _ in range(40):
        state = kernel.step(state, x, wanted, eta)
    together = network.training(None, "sum", inputs) if inputs > 1 else network
    true = trained(together, order, weights, x, wanted, eta, 40)
    assert max(np.abs(a - b).max() for a, b in zip(true, kernel.expand(state, weights, x), strict=True)) < 1e-14


@pytest.mark.parametrize("rule", ["momentum", "nesterov", "sgd"])
@pytest.mark.parametrize("contracted", [(0, 1), (1,)])
def test_rules_are_carried_one_sample_after_the_other_and_in_means(rule, contracted):
    """With what the rule remembers, in blocks of units, on one of the inputs, on some, and on all."""
    order = "sequential" if rule == "momentum" else "simultaneous"
    network = fcsym.Network.parse("3-60-1", bias=True).training(fcsym.rule(rule, weight_decay=0.1), "mean")
    weights, x, target = start(network, 2)
    kernel = CollapsedKernel(network, order, contracted)
    state = kernel.init(weights, x)
    assert state.widths[1] < 60
    single = network.training(network.rule)
    for which in [0, 1, 1, 0] * 6:
        state = kernel.step(state, x[which], target[which], 0.01)
    true = trained(single, order, weights, x, target, 0.01, 24, [0, 1, 1, 0] * 6)
    assert max(np.abs(a - b).max() for a, b in zip(true, kernel.expand(state), strict=True)) < 1e-14
    state = kernel.init(weights, x)
    for _ in range(30):
        state = kernel.step(state, x, target, 0.02)
    true = trained(network.training(network.rule, "mean", 2), order, weights, x, target, 0.02, 30)
    assert max(np.abs(a - b).max() for a, b in zip(true, kernel.expand(state), strict=True)) < 1e-14


def followed(units, steps, contracted=(0, 1), target="numpy"):
    """Training that does not come to rest, beside plain backpropagation: what crossed there, and what was told."""
    network = fcsym.Network.parse(f"4-{units}-2")
    weights, x, _ = start(network, 3, seed=3)
    kernel = kernel_of(network, "simultaneous", contracted, target)
    state, plain = kernel.init(weights, x), Plain(weights, x)
    first = state.widths[1]
    goal = 6 * np.random.default_rng(0).normal(size=(3, 2))
    gates, changed = plain.gates(), []
    for step in range(1, steps + 1):
        now = goal * (1 + np.sin(step / 40))
        state = kernel.step(state, None, now, 1e-3)
        plain.step(now, 1e-3)
        after = plain.gates()
        crossed = np.flatnonzero((after != gates).any(axis=0)).tolist()
        changed += [(step, unit, tuple(gates[:, unit]), tuple(after[:, unit])) for unit in crossed]
        gates = after
    told = [
        (e.step, unit, tuple(v > 0 for v in e.before), tuple(v > 0 for v in e.after))
        for e in state.events
        for unit in e.units
    ]
    return first, state, plain, sorted(changed), sorted(told)


@pytest.mark.parametrize(
    ("contracted", "target"), [((0, 1), "numpy"), ((1,), "numpy"), *(((0, 1), t) for t in TARGETS[1:])]
)
def test_units_leave_blocks_when_they_do_in_backpropagation(contracted, target):
    """Never a step late, and no other; hundreds of events, with blocks that lose units and are laid out anew."""
    first, state, plain, changed, told = followed(300, 1200 if target == "numpy" else 250, contracted, target)
    assert first < 100
    assert len(changed) > (200 if target == "numpy" else 20) and told == changed
    assert max(np.abs(a - b).max() for a, b in zip((plain.a, plain.b), state.expand(), strict=True)) < 1e-11
    assert np.abs(state.output - np.maximum(plain.x @ plain.a.T, 0) @ plain.b.T).max() < 1e-11
    assert f"{len(changed)} units have crossed a kink" in state.chart().svg


def test_a_bound_that_is_too_wide_is_seen(monkeypatch):
    """The comparison is sharp: units that are looked at when they have gone twice as far as they may are late."""
    due = Columns._due
    monkeypatch.setattr(Columns, "_due", lambda *given: 2 * due(*given))
    *_, changed, told = followed(300, 200)
    assert changed != told


def test_a_step_has_nothing_as_long_as_the_layer_is_wide():
    """What is read and written does not depend on the width, once every pattern has more units than it has columns."""
    sizes = set()
    for width in (2_000, 8_000):
        network = fcsym.Network.parse(f"20-{width}-2")
        weights, x, target = start(network, 3)
        kernel = fcsym.scheme(network, "collapsed").compile()
        state = kernel.step(kernel.init(weights, x), x, target, 1e-9)
        read = sum(2 + sum(on) for on in product((0, 1), repeat=3))  # weights, and pre-activations with a slope
        assert state.groups == {1: 8} and state.widths == {1: read} and state.saves
        sizes.add((state.numbers, sum(a.size for a in (*state.arrays, *state.held))))
    assert len(sizes) == 1


# ------------------------------------------------------------------------------------------- what could go wrong


def exactly(weights, x, target, eta, steps, slope=None, order="simultaneous", bar=1e-14):
    """Steps of numbers that floats have exactly, beside plain backpropagation; the states."""
    network = fcsym.Network.mlp([len(np.atleast_2d(x)[0]), len(weights[0]), len(weights[1])])
    kernel = fcsym.scheme(network, "collapsed", order=order, slope_at_kink=slope).compile()
    states = [kernel.init(weights, x)]
    single = np.ndim(x) == 1
    network = network.with_slope_at_kink(slope) if slope is not None else network
    together = network if single else network.training(None, "sum", len(x))
    for _ in range(steps):
        states.append(kernel.step(states[-1], x, target, eta))
    true = trained(together, order, weights, x, target, eta, steps)
    for own, wanted in zip(kernel.expand(states[-1], weights, x), true, strict=True):
        assert np.abs(own - wanted).max() < bar
    return kernel, states


@pytest.mark.parametrize("outputs", [1, 2])
def test_inputs_of_zero_equal_and_parallel(outputs):
    weights = [np.array([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.25]]), np.array([[1.0, -1.0, 0.5], [0.5, 2.0, 1.0]])]
    weights[1] = weights[1][:outputs]
    kernel, states = exactly(weights, np.zeros(2), np.ones(outputs), 0.5, 5)
    assert not kernel.output(states[-1], np.zeros(2)).any()
    for x in ([[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [-1.0, -2.0]], [[1.0, 2.0], [0.0, 0.0]]):
        exactly(weights, np.array(x), np.array([[1.0] * outputs, [-1.0] * outputs]), 0.0625, 30)


def test_a_unit_on_its_kink_at_the_start_and_after_a_step():
    weights, x = [np.array([[1.0, -1.0], [2.0, 0.0]]), np.array([[1.0, 1.0]])], np.array([1.0, 1.0])
    kernel, states = exactly(weights, x, np.array([1.0]), 0.125, 3)
    assert not kernel.events(states[-1])
    kernel, states = exactly(weights, x, np.array([1.0]), 0.125, 3, slope="1/2")  # y = 2: it moves down by 1/8
    (event,) = kernel.events(states[1])
    assert (event.units, event.before, event.after) == ((0,), (0.5,), (0.0,))
    # y = 2 and h = 1: both units go from 1 to 0 exactly, have slope 0 there, and stay
    weights = [np.array([[1.0], [1.0]]), np.array([[1.0, 1.0]])]
    for given, goal in (([1.0], [1.0]), ([[1.0]], [[1.0]])):
        kernel, states = exactly(weights, np.array(given), np.array(goal), 1.0, 3)
        (event,) = kernel.events(states[-1])
        assert (event.step, event.units, event.after) == (1, (0, 1), (0.5,))


@pytest.mark.parametrize("slope", [0, "1/2", 1])
def test_many_units_that_stand_together_reach_a_kink_at_once(slope):
    """In numbers that floats have exactly; the columns, which round, do not decide on which side of it they are."""
    together = [np.ones((40, 1)), np.full((1, 40), 4.0)]
    some = [np.where(np.arange(40) < 20, 1.0, 2.0)[:, None], together[1]]
    for weights, left in ((together, 40), (some, 20)):  # eta delta w is 1 for each of them
        target = weights[1] @ weights[0] - 0.25
        kernel, states = exactly(
            weights, np.array([[1.0]]), target, 1.0, 2, slope, bar=1e-9
        )  # which errors grow to in two such steps
        assert states[0].widths == {1: 2}
        event = kernel.events(states[1])[0]
        assert (len(event.units), event.before, event.after) == (left, (1.0,), (0.5,))


@pytest.mark.parametrize("eta", [1.0, 2.0, 4.0])
def test_a_factor_of_zero_and_below(eta):
    """1 - a h^2 above 0, 0 and below: a step turns numbers around, and nothing is divided by."""
    weights = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.5, 0.25]])]
    exactly(weights, np.array([1.0, 1.0]), np.array([0.25]), eta, 2)
    exactly(weights, np.array([[1.0, 1.0]]), np.array([[0.25]]), eta, 2)


def test_divergence_ends_by_name():
    for x in ([1.0, 1.0], [[1.0, 1.0], [1.0, 0.0]]):
        kernel = fcsym.scheme(fcsym.Network.parse("2-2-1"), "collapsed").compile()
        state = kernel.init([10 * np.eye(2), np.array([[5.0, 5.0]])], np.array(x))
        with pytest.raises(fcsym.Diverged, match="after"):
            for _ in range(100):
                state = kernel.step(state, None, np.full((*np.shape(x)[:-1], 1), -1e300), -1.0)


def test_what_diverges_is_not_a_number_where_that_is_asked_for():
    """One network of two diverges: it is nan from then on, and the other one goes on."""
    kernel = fcsym.scheme(fcsym.Network.parse("2-3-2"), "collapsed").compile()
    weights = [np.stack([w, w]) for w in (10 * np.ones((3, 2)), 5 * np.ones((2, 3)))]
    x, target, eta = np.ones((2, 2)), np.full((2, 2), -1e300), np.array([-1.0, 1e-310])
    state = kernel.init(weights, x, undefined="nan")
    with pytest.raises(fcsym.Diverged):
        for _ in range(5):
            state = kernel.step(state, x, target, eta)
    for _ in range(5):
        state = kernel.step(state, x, target, eta, undefined="nan")
    y, expanded = kernel.output(state, x), kernel.expand(state)
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()
    assert all(np.isnan(a[0]).all() and np.isfinite(a[1]).all() for a in expanded)
    assert state[0].events == () and np.isnan(state[0].output).all()


def test_divergence_of_blocks_ends_by_name():
    """Numbers of columns leave the range of floats before any unit is looked at by itself, and nothing warns."""
    network = fcsym.Network.parse("4-300-2")
    weights, x, target = start(network, 3)
    kernel = fcsym.scheme(network, "collapsed").compile()
    state = kernel.init(weights, x)
    assert state.widths[1] < 100
    with pytest.raises(fcsym.Diverged, match="after step"):
        for _ in range(100):
            state = kernel.step(state, x, target, -1.0)  # uphill


def test_no_active_unit_one_group_and_a_group_for_every_unit():
    x = np.abs(np.random.default_rng(1).normal(size=(3, 2)))
    kernel, states = exactly([-np.ones((4, 2)), np.ones((1, 4))], x, np.ones((3, 1)), 0.125, 3)
    assert states[-1].groups == {1: 1} and not kernel.output(states[-1], x).any() and not states[-1].events
    _, states = exactly([np.ones((40, 2)), np.ones((1, 40)) / 64], x, np.ones((3, 1)), 2.0**-9, 3)
    assert states[-1].groups == {1: 1} and states[-1].widths == {1: 1 + 3}
    weights = [2.0 * np.array(list(product((-1, 1), repeat=6)))[::4], np.ones((1, 16))]
    kernel, states = exactly(weights, np.eye(6), np.ones((6, 1)), 2.0**-6, 3)
    assert states[0].groups == {1: 16} and states[0].widths == {1: 16}
    assert not states[0].saves and "nothing is saved" in str(states[0])


def test_accuracy_is_no_worse_than_that_of_backpropagation():
    """Against steps in 50 digits, with blocks and events, over several starts."""
    network, worse = fcsym.Network.parse("3-24-1"), []
    for seed in range(4):
        weights, x, target = start(network, 2, seed)
        kernel, peer = (fcsym.scheme(network, n, batch="sum").compile() for n in ("collapsed", "backprop"))
        state, other = kernel.init(weights, x), peer.init(weights)
        with mpmath.workdps(50):
            exact = [np.vectorize(mpmath.mpf, otypes=[object])(w) for w in (*weights, x)]
            for _ in range(80):
                a, b, points = exact
                s = points @ a.T
                on = s > 0
                error = (s * on) @ b.T - target
                exact = [
                    a - mpmath.mpf(0.02) * ((error @ b) * on).T @ points,
                    b - mpmath.mpf(0.02) * error.T @ (s * on),
                    points,
                ]
                state, other = kernel.step(state, x, target, 0.02), peer.step(other, x, target, 0.02)
            far = [
                max(float(np.abs(p - q).max()) for p, q in zip(made, exact, strict=False))
                for made in (kernel.expand(state), [other[0], other[1]])
            ]
        worse.append(far[0] / far[1])
    assert np.median(worse) < 2


# -------------------------------------------------------------------------------------------------- the scheme


def test_a_scheme_of_any_network_that_closes():
    scheme = fcsym.scheme(fcsym.Network.parse("3-40-4-2", bias=True, loss="cross_entropy"), "collapsed")
    assert scheme.proof.holds and scheme.chosen(3) == (0, 1) and "p_1" in str(scheme.size)
    assert r"\sum" in scheme.latex() and "collapsed of 3-40-4-2" in str(scheme)
    kernel = scheme.compile()
    weights, x, _ = start(scheme.network, 3)
    state = kernel.step(kernel.init(weights, x), x, [0, 1, 1], 0.1)  # labels
    wanted = kernel.step(kernel.init(weights, x), x, np.eye(2)[[0, 1, 1]], 0.1)
    assert (kernel.output(state, x[1]) == kernel.output(wanted, x)[1]).all()
    assert fcsym.check(fcsym.scheme(fcsym.Network.parse("2-3-2"), "collapsed"), trials=2, steps=3).passed
    with pytest.raises(fcsym.CompileError, match="target 'fortran'"):
        scheme.compile("fortran")


def test_a_unit_above_that_is_on_its_kink_stays_there():
    """Columns that stand for many units round; while a unit above them is on a kink exactly, none does."""
    network = fcsym.Network.parse("1-40-2-1")
    weights = [np.ones((40, 1)), np.array([[1.0, -1.0] * 20, [0.125] * 40]), np.ones((1, 2))]
    x, target = np.array([1.0]), np.array([4.0])
    for text in ("sequential", "simultaneous"):
        kernel = CollapsedKernel(network, text, (0, 1))
        state = kernel.init(weights, x)
        assert state.widths == {1: 40}
        state = kernel.step(state, x, target, 0.25)
        true = trained(network, text, weights, x, target, 0.25, 1)
        assert all((a == b).all() for a, b in zip(true, state.expand(), strict=True))


@pytest.mark.parametrize(("line", "status", "said"), [
    ("check 2-3-2 --scheme collapsed --trials 2 --steps 2", 0, "agrees with autodiff"),
    ("export 2-3-2 --scheme collapsed --target c -o OUT", 0, "agrees with backpropagation"),
    ("derive 2-3-2 --scheme collapsed --trials 2 -o OUT.v", 0, "proved"),
])  # fmt: skip
def test_commands_take_it_or_say_what_to_do(line, status, said, tmp_path, capsys):
    from fcsym.cli import main

    assert main(line.replace("OUT", str(tmp_path / "out")).split()) == status
    told = capsys.readouterr()
    assert said in " ".join((told.out + told.err).split())
    assert any(tmp_path.iterdir()) == (status == 0 and "OUT" in line)


def test_its_cost_is_counted_in_columns(capsys):
    import json

    from fcsym.cli import main

    network = fcsym.Network.parse("20-5000-2")
    spent = fcsym.cost(fcsym.scheme(network, "collapsed", batch="sum", samples=3))
    weights, x, _ = start(network, 3)
    state = fcsym.scheme(network, "collapsed").compile().init(weights, x)
    held = sum(a.size for a in state.arrays) - sum(c.width - c.used for c in state.columns.values()) * (2 + 2 * 3)
    assert held < spent.at(spent.state) < 2.5 * held  # gates, too, and never more than twice as many columns
    assert main(["cost", "20-5000-2", "--inputs", "3", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["schemes"]["collapsed"]
    assert row["state_value"] == spent.at(spent.state) and row["against_backprop"].startswith("saves")
    assert main(["cost", "2-3-1", "--activation", "tanh", "--json"]) == 0
    assert "collapsed" not in json.loads(capsys.readouterr().out)["schemes"]


def test_many_networks_and_single_precision():
    network = fcsym.Network.parse("3-20-2")
    kernel, rng = fcsym.scheme(network, "collapsed").compile(), np.random.default_rng(0)
    weights = [rng.normal(size=(2, 3, *network.shape(a))) for a in network.parameters]
    x, target = rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(4, 2))
    states = kernel.step(kernel.init(weights, x), x, target, np.full((2, 3), 0.01))
    one = kernel.step(kernel.init([w[1, 2] for w in weights], x[1, 2]), None, target, 0.01)
    assert (kernel.output(states, x)[1, 2] == one.output).all()
    assert all((a[1, 2] == b).all() for a, b in zip(kernel.expand(states), one.expand(), strict=True))
    small = kernel.init([w[0, 0].astype(np.float32) for w in weights], x[0, 0].astype(np.float32))
    assert {a.dtype for a in kernel.step(small, None, target, 0.01).expand()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("call", "said"), [
    (lambda k, w, x, t: k.init(w[:1], x), "1 arrays"),
    (lambda k, w, x, t: k.init([w[0].T, w[1]], x), "W1 has the shape"),
    (lambda k, w, x, t: k.init(w, x[:, :2]), "inputs have the shape"),
    (lambda k, w, x, t: k.init(w, np.zeros((2, 2, 3))), "x has the shape"),
    (lambda k, w, x, t: k.step(k.init(w, x), x, t[:1], 0.1), "target has the shape"),
    (lambda k, w, x, t: k.step(k.init(w, x), x, t), "eta is not given"),
    (lambda k, w, x, t: k.step(k.init(w, x), x + 1, t, 0.1), "not given"),
    (lambda k, w, x, t: k.output(k.init(w, x[0]), x), "not what init was given"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call, said):
    network = fcsym.Network.parse("3-5-2")
    weights, x, target = start(network, 2)
    with pytest.raises(fcsym.ArgumentError, match=said) as caught:
        call(fcsym.scheme(network, "collapsed").compile(), weights, x, target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_what_takes_the_place_of_an_array_is_the_last_to_read_it(order):
    """C1 - delta1 is put where delta1 was, after s1_new has read that; nothing that a step is given is written to."""
    network = fcsym.Network.parse("3-40-2", bias=True)
    kernel = CollapsedKernel(network, order, (0, 1))
    weights, x, target = start(network, 4)
    state = kernel.init(weights, x)
    source = state.machine.source
    step = source[source.index("def step") : source.index("def output")]
    assert step.index("s1_new = less(") < step.index("C1_new = less(C1, delta1)") and "delta1 = times(" in step
    before = [np.array(a) for a in (*state.arrays, *state.held)]
    kernel.step(state, x, target, 0.1)
    assert all((a == b).all() for a, b in zip(before, (*state.arrays, *state.held), strict=True))
    names: dict = {"np": np}
    exec(source, names)
    a = np.arange(6.0).reshape(2, 1, 3)
    for function, wanted in (("less", a - np.ones((4, 3))), ("times", a * np.full((4, 3), 2.0))):
        b = np.full((4, 3), 1.0 if function == "less" else 2.0)
        assert (names[function](a, b) == wanted).all()  # which is longer than b
