"""Training by a scheme beside the oracle: what is right passes, and what is off by more than rounding does not.

Each takes a fraction of a second, so that a fault in a check, which would let others pass, is seen by a test that is
quick.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.checking import points as points_
from fcsym.checking import trajectory
from fcsym.checking.compensated import _inverse
from fcsym.checking.points import Points, random_points
from fcsym.checking.tally import Tally
from fcsym.checking.trajectory import _Comparison
from fcsym.checking.truth import Truth

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def run_of(network, name="backprop", steps=3, dtype="float64", **setting):
    return _Comparison(fcsym.scheme(network, name, **setting), "simultaneous", np.dtype(dtype), steps, None)


def off_by(kernel, part, error):
    """A kernel whose output, or whose weights at the end, are off by so much in one of the networks."""

    def wrong(*given, **more):
        made = getattr(kernel, part)(*given, **more)
        for array in made if part == "expand" else [made]:
            array[-1].flat[-1:] += np.asarray(error, array.dtype)
        return made

    own = {name: getattr(kernel, name) for name in ("init", "step", "output", "expand")}
    return SimpleNamespace(**own | {part: wrong})


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("name", ["backprop", "weights", "states"])
def test_training_that_is_right_passes_and_any_that_is_off_does_not(name, dtype):
    """By a thousand roundings, in one number of one network: an output at a step, or a weight at the end."""
    network = Network.mlp([1, 2, 2], "tanh", bias=True)
    run = run_of(network, name, dtype=dtype)
    kernel, said = run.kernel, []
    run.batch(np.random.default_rng(0), 6, said.append)
    assert said == ["step 1 of 3"] and run.left_out == 0
    rows = {(row.quantity, row.case): row for row in run.rows()}
    sizes = {"y": 3 * 2} | {f"{a.name} by expand": int(np.prod(network.shape(a))) for a in network.parameters}
    cases = {key: "every step" if key == "y" else "after 3 steps" for key in sizes}
    assert set(rows) == set(cases.items())
    assert all(row.passed and row.points == 6 * sizes[row.quantity] for row in rows.values())
    assert all(0 < row.bound < 1e5 * EPS[dtype] for row in rows.values())
    for part, wrong in (("output", {"y"}), ("expand", set(sizes) - {"y"})):
        run.seen.clear()
        run.kernel = off_by(kernel, part, 1e5 * EPS[dtype])
        run.batch(np.random.default_rng(0), 6, said.append)
        assert {row.quantity for row in run.rows() if not row.passed} == wrong
        (row, *_) = (row for row in run.rows() if not row.passed)
        assert row.where["step"] in ((1, 2, 3) if part == "output" else (3,)) and row.where["eta"] > 0


def test_progress_is_told_every_twenty_five_steps():
    run, said = run_of(Network.mlp([1, 1]), steps=51), []
    run.batch(np.random.default_rng(0), 2, said.append)
    assert said == ["step 1 of 51", "step 26 of 51", "step 51 of 51"]


def test_training_of_another_order_is_seen():
    """By the weights of the lower layer, which come through the upper ones after their step."""
    network = Network.mlp([2, 3, 1], "tanh")
    run = _Comparison(fcsym.scheme(network, "backprop"), "sequential", np.dtype(float), 3, None)
    run.batch(np.random.default_rng(0), 6, lambda label: None)
    assert {row.quantity for row in run.rows() if not row.passed} >= {"y", "W1 by expand"}


def test_what_a_weight_is_updated_by_may_be_off_by_its_absolute_terms():
    """Of the exact network, as a check of one step has them; a weight beyond all is taken for nothing."""
    network = Network.mlp([2, 2, 1], "tanh").training("momentum")
    run, rng = run_of(network), np.random.default_rng(0)
    points = random_points(network, rng, 5)
    truth = Truth(network, "simultaneous", points.weights, rng, run.eps)
    found = run._noise(truth, points.x, points.target, points.eta)
    memory = [np.zeros((5, *network.shape(a))) for a in network.memory]
    tally = Tally(run.scheme.conventional, np.dtype(float))
    scale = tally.computed(run.step, Points(points.weights, *points[1:4], memory)).scale
    assert set(found) == {"W1", "W2"}
    for name, size in found.items():
        np.testing.assert_allclose(size.astype(float), scale.of(f"{name}_new").astype(float), rtol=1e-12)
    truth.weights[0][0, 2, 0, 0] = 2e8
    other = run._noise(truth, points.x, points.target, points.eta)
    weights = [w.copy() for w in points.weights]
    weights[0][2, 0, 0] = 0
    scale = tally.computed(run.step, Points(weights, *points[1:4], memory)).scale
    np.testing.assert_allclose(other["W1"].astype(float), scale.of("W1_new").astype(float), rtol=1e-12)


@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_a_point_needs_room_for_its_weights_and_for_all_terms_of_a_sum(name):
    if name == "dense":
        network = Network.mlp([3, 4, 2], bias=True)
        assert points_._numbers_at_once(network) == 12 + 4 + 8 + 2
        return
    small = Network([fcsym.Conv1d(2, 3, 2), fcsym.Flatten(), fcsym.Linear(12, 1)], input=(2, 5))
    needed = points_._numbers_at_once(small)
    assert needed >= 4 * 3 * 4 * 2 * 2  # output channels, positions, input channels and taps
    wide = Network([fcsym.Flatten(), fcsym.Linear(4, 1), fcsym.Linear(1, 1)], input=(4, 1))
    assert points_._numbers_at_once(wide) >= sum(int(np.prod(wide.shape(a))) for a in wide.parameters)


@pytest.mark.parametrize("batch", ["sum", "mean"])
def test_a_network_on_one_sample_is_the_one_that_it_was_before(batch):
    network = Network.mlp([2, 1], bias=True)
    for samples in (None, 3):
        assert points_.on_one_sample(network.training(network.rule, batch, samples)) == network
    assert points_.on_one_sample(network) is network


def test_a_trajectory_of_one_parameter_carries_what_its_rule_does():
    """As many networks as are trained, each with numbers of its own."""
    network, rng = Network.mlp([2, 1]).training("momentum"), np.random.default_rng(0)
    points = random_points(network, rng, 4)
    truth = Truth(network, "simultaneous", points.weights, rng, 0.0)
    assert [array.shape for array in truth.memory.values()] == [(3, 4, 1, 2)]
    seen = truth.look(points.x, points.target, points.eta)
    truth.move(seen, {})
    error = np.einsum("pki,pi->pk", points.weights[0], points.x) - points.target
    gradient = error[..., None] * points.x[:, None]
    for own in range(3):
        np.testing.assert_allclose(truth.memory["M1"][own].astype(float), gradient, rtol=1e-12)
        wanted = points.weights[0] - points.eta[:, None, None] * gradient
        np.testing.assert_allclose(truth.weights[0][own].astype(float), wanted, rtol=1e-12)
    assert [len(one) for one in truth.each(seen)] == [len(seen)] * 3
    assert all((one["y"] == seen["y"][n]).all() for n, one in enumerate(truth.each(seen)))


@pytest.mark.parametrize(("room", "trials", "parts", "kinks"), [
    (2, 5, [2, 2, 1], 2), (5, 5, [5], 5), (300, 5, [5], 200), (300, 250, [250], 250),
])  # fmt: skip
def test_as_many_networks_are_trained_as_are_asked_for(room, trials, parts, kinks, monkeypatch):
    """As many at once as there is room for, and then steps from exactly on a kink, of two hundred or more."""
    seen, said = [], []
    monkeypatch.setattr(trajectory, "_at_once", lambda network: room)
    monkeypatch.setattr(_Comparison, "batch", lambda self, rng, count, progress: seen.append(count))
    monkeypatch.setattr(_Comparison, "on_kinks", lambda self, rng, count: seen.append(count))
    s = fcsym.scheme(Network.mlp([1, 1]), "backprop", "sequential")
    report = trajectory.check_scheme(s, trials, 7, 3, None, np.float32, said.append)
    assert seen == [*parts, kinks] and said == ["steps from exactly on a kink"]
    assert (report.trials, report.seed, report.steps, report.dtype, report.left_out) == (trials, 7, 3, "float32", 0)
    assert (report.order, report.against) == ("sequential", "sequential") and not report.passed
    report = trajectory.check_scheme(s, 1, 7, 3, "simultaneous", np.float64, said.append)
    assert (report.order, report.against) == ("sequential", "simultaneous")


def test_a_step_from_a_kink_is_left_to_rules_that_divide_by_nothing_and_units_that_have_one():
    for network, some in (
        (Network.mlp([1, 1, 1]), True), (Network.mlp([1, 1, 1], "tanh"), False),
        (Network.mlp([1, 1, 1]).training("adam"), False), (Network.mlp([1, 1, 1]).training("momentum"), True),
    ):  # fmt: skip
        run = run_of(network)
        run.on_kinks(np.random.default_rng(0), 40)
        rows = [row for row in run.seen.values() if "kink" in row.case]
        assert bool(rows) is some and all(row.passed for row in rows)


@pytest.mark.parametrize("wrong", [False, True])
def test_what_is_said_by_name_is_one_number_of_the_first_step(wrong):
    run = run_of(Network.mlp([1, 1, 1]), "weights")
    run._told("raised", wrong, {"x": np.array([[0.5]])})
    (row,) = run.seen.values()
    assert (row.quantity, row.case, row.points, row.passed) == ("y", "raised", 1, not wrong)
    assert row.where == {"element": [], "step": 1, "x": [0.5]}


def test_every_input_of_a_network_is_trained_on_where_a_scheme_takes_several():
    """Four of them, some of which are 0; of a scheme of one input, this one alone."""
    for name, many in (("backprop", 4), ("weights", 1)):
        run, seen = run_of(Network.mlp([3, 1, 1], "tanh"), name, steps=40), [set() for _ in range(3)]
        kernel = run.kernel

        def step(state, x, *given, kernel=kernel, seen=seen, **more):
            for own, inputs in zip(seen, x, strict=True):
                own.add(tuple(inputs))
            return kernel.step(state, x, *given, **more)

        run.kernel = SimpleNamespace(init=kernel.init, output=kernel.output, expand=kernel.expand, step=step)
        run.batch(np.random.default_rng(2), 3, lambda label: None)
        assert max(map(len, seen)) == many


@pytest.mark.parametrize("count", [2, 20])
def test_rows_are_dependent_where_rounding_may_have_made_their_least_eigenvalue(count):
    """Some roundings for each of the rows, of the largest one; where it is clearly more there is an inverse."""
    whole = np.ones((count, count)) / count
    eps = 16 * count * 2.0**-52
    for share, lost in ((0.5, True), (4.0, False)):
        gram = whole + share * eps * np.eye(count)
        found = _inverse(np.stack([gram, 4 * gram]).astype(np.longdouble))
        assert np.isnan(found).all() if lost else np.isfinite(found).all()


@pytest.mark.parametrize("trials", [1, 3, 4])
def test_of_points_as_many_are_drawn_as_are_asked_for(trials, monkeypatch):
    """In batches that there is room for, of which the last one may be a single point."""
    network = Network.mlp([1, 1])
    monkeypatch.setattr(points_, "MAX_NUMBERS", 2)
    drawn = [len(batch.x) for label, batch in points_.draws(network, np.random.default_rng(0), trials, 2.0**-52)
             if label == points_.RANDOM]  # fmt: skip
    assert sum(drawn) == trials and max(drawn) <= 2
