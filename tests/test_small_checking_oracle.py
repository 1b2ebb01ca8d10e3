"""The oracle's own p, what reaches a parameter in sequential order, and how large a check may be.

Each takes a fraction of a second, so that a fault in what everything is held against is seen by a test that is quick.
"""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace

import autograd.numpy as anp
import numpy as np
import pytest
import sympy
from autograd import grad
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking import gradients, trajectory
from fcsym.checking import points as points_
from fcsym.checking.compensated import common_p, own_p
from fcsym.checking.layer_oracles import ORACLES, Passing, Weight
from fcsym.checking.layer_step import _same
from fcsym.checking.losses import loss_by_samples
from fcsym.checking.oracle import backpropagation, derivatives, second_derivatives
from fcsym.checking.points import draws, random_points
from fcsym.checking.report import ULPS
from fcsym.checking.tally import Tally
from fcsym.checking.trajectory import _Comparison
from fcsym.checking.truth import Truth
from fcsym.errors import ArgumentError, SizeError
from fcsym.networks.symbols import front_of

NAN = float("nan")


def test_p_of_a_sample_is_what_its_units_move_by():
    """w' dv / v^c; 0 of a unit that stays at 0, and none of one that leaves 0, where the output is none, either."""
    network, w = Network.mlp([1, 3, 2]), np.array([[1.0, -2.0, 4.0], [0.5, 3.0, -1.0]])
    for before, after, wanted in (
        ([2.0, 4.0, -1.0], [3.0, 4.0, 1.0], [0.5, 0, -2]), ([0.0, 1.0, 2.0], [0.0, 0.0, 1.0], [0, -1, -0.5]),
        ([0.0, 1.0, 0.0], [1.0, 2.0, 0.0], [NAN, 1, 0]),
    ):  # fmt: skip
        logits = np.array([7.0, -3.0])
        made = own_p(network, *(np.array([one]) for one in (w, before, after, logits)))
        np.testing.assert_array_equal(made["p"][0], w * np.array(wanted))
        np.testing.assert_array_equal(made["r"][0], w + w * np.array(wanted))
        assert made["vc"][0].tolist() == before
        front = made[front_of(network.logits).name][0]
        assert np.isnan(front).all() if np.isnan(wanted).any() else (front == logits).all()


def test_p_of_a_mini_batch_is_the_smallest_that_gives_every_sample_its_output():
    """Beside numpy's own solution of least norm; where the samples are dependent there is none."""
    network, rng = Network.mlp([2, 4, 2]), np.random.default_rng(0)
    network = network.training(network.rule, "sum", 3)
    matrix, frozen, moved = rng.normal(size=(5, 2, 4)), *rng.normal(size=(2, 5, 3, 4))
    frozen[4, 2] = 2 * frozen[4, 0]
    logits = rng.normal(size=(5, 3, 2))
    made = common_p(network, *(np.asarray(a, np.longdouble) for a in (matrix, frozen, moved, logits)))
    for n, (w, v, v_new) in enumerate(zip(matrix, frozen, moved, strict=True)):
        lack = (v_new - v) @ w.T
        np.testing.assert_allclose(made["ell"][n].astype(float), lack, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(made["K"][n].astype(float), v @ v.T, rtol=1e-12, atol=1e-14)
        front = made[front_of(network.logits).name][n]
        if n == 4:
            assert all(np.isnan(a).all() for a in (made["Ki"][n], made["p"][n], made["r"][n], front))
            continue
        np.testing.assert_allclose(made["Ki"][n].astype(float), np.linalg.inv(v @ v.T), rtol=1e-9)
        p = np.linalg.lstsq(v, lack, rcond=None)[0].T
        np.testing.assert_allclose(made["p"][n].astype(float), p, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(made["r"][n].astype(float), w + p, rtol=1e-9, atol=1e-12)
        assert (front == logits[n]).all()
    more = network.training(network.rule, "sum", 7)
    assert more.has_common_p == bool(common_p(more, *(np.ones((1, *s)) for s in ((2, 4), (7, 4), (7, 4), (7, 2)))))


@pytest.mark.parametrize("batch", ["", "sum"])
@pytest.mark.parametrize("widths", [[2, 2], [2, 3, 2], [1, 2, 3, 2]], ids=len)
def test_a_step_of_the_oracle_has_a_p_where_there_is_a_hidden_layer(widths, batch, order):
    """With which the read-out, updated, gives of the last layer before the step what it gives after it of its own."""
    network, rng = Network.mlp(widths, "tanh", bias=True), np.random.default_rng(3)
    points = random_points(network, rng, 4)
    if batch:
        network, points = network.training(network.rule, batch, 2), points.in_batches(2)
    made = backpropagation(network, order, *points[:4])
    hidden = len(widths) - 2
    assert ({"p", "r", "vc"} <= set(made)) is (hidden > 0) and ("ell" in made) is bool(batch and hidden)
    if hidden:
        given = made[f"v{hidden}"].reshape(4, -1, widths[-2])
        assert (made["vc"].reshape(given.shape) == given).all()
        shift = made[f"b{hidden + 1}_new"][:, None]
        after = np.einsum("pkj,pnj->pnk", made["r"], given) + shift
        np.testing.assert_allclose(after, made["y_new"].reshape(4, -1, 2), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(made["r"], made[f"W{hidden + 1}_new"] + made["p"], rtol=1e-15)


def test_what_reaches_below_comes_through_the_parameter_that_is_seen_there():
    """The value is that of the one before the step, and so is the slope in it; that in what is read is of the other."""
    rng = np.random.default_rng(0)
    value, seen, v, error = rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 2, 3)), *rng.normal(size=(2, 1, 4, 3))
    error = error[..., :2]

    def through(own, read, back=seen):
        return Passing([]).times("poi,pni->pno", Weight(own, own if back is None else back), read)

    np.testing.assert_allclose(through(value, v), v @ value[0].T, rtol=1e-14)
    for back, below in ((seen, error @ seen[0]), (None, error @ value[0])):
        found = grad(lambda read, back=back: anp.sum(error * through(value, read, back)))(v)
        np.testing.assert_allclose(found, below, rtol=1e-13)
        found = grad(lambda own, back=back: anp.sum(error * through(own, v, back)))(value)
        np.testing.assert_allclose(found[0], error[0].T @ v[0], rtol=1e-13)


def test_two_lists_of_parameters_are_the_same_where_all_their_numbers_are():
    a, b = np.array([1.0, NAN]), np.array([[2.0]])
    assert _same([a, b], [a.copy(), b.copy()]) and not _same(None, [a, b])
    assert not _same([a, b], [a, b + 1]) and not _same([a, b], [a + 1, b])


@pytest.mark.parametrize("kind", ["a step", "derivatives"])
def test_a_check_is_refused_where_a_point_has_more_numbers_than_is_said(kind, monkeypatch):
    """Ten times as many as a batch has room for; as many as that are no more. The sentence has both numbers."""
    for widths, room, fits in (([6, 5], 2, False), ([6, 5], 3, True), ([6, 5], 4, True), ([7, 3], 2, False)):
        network, count = Network.mlp(widths, bias=False), widths[0] * widths[1]
        subject = fcsym.gradient(network, by="W1")
        monkeypatch.setattr(points_ if kind == "a step" else gradients, "MAX_NUMBERS", room)

        def start(network=network, subject=subject):
            if kind == "a step":
                return next(draws(network, np.random.default_rng(0), 3, 2.0**-52))
            return gradients._Tally(subject, np.dtype(float), 0)

        if fits:
            assert start()
        else:
            with pytest.raises(SizeError, match=f" {count} numbers.*, more than {10 * room}[ :]"):
                start()


def test_no_point_is_left_out_where_rounding_decides_nothing():
    """And all of its numbers are counted: of a network without a kink."""
    network = Network.mlp([2, 3])
    points = random_points(network, np.random.default_rng(0), 7)
    report = fcsym.check(fcsym.gradient(network, by="W1"), points=points)
    assert report.passed and report.left_out == 0
    assert {row.points for row in report.rows if row.case == "all"} == {7 * 6}
    tally = Tally(fcsym.derive(network), np.dtype(float))
    assert tally.left_out == 0
    tally.compare(tally.derivation.compile(), "simultaneous", points)
    assert tally.left_out == 0 and {row.points for row in tally.rows(False)} <= {7, 7 * 3, 7 * 6}


def test_a_unit_above_a_smooth_one_is_on_a_kink_by_chance_alone():
    """Its sum is rounded: such a point counts for nothing, up to the rounding of its terms, and others count."""
    network, wide = Network.mlp([1, 2, 2, 2, 1], ["relu", "tanh", "leaky_relu"]), 2.0**-10
    run = object.__new__(_Comparison)
    vars(run).update(network=network, eps=2.0**-52, y=network.output.name)
    assert [unit.s.name for unit in run._rounded] == ["s3"] and run._kinks == [("s1", 0)]
    scale = SimpleNamespace(of=lambda name: np.full((6, 2), wide / (ULPS * 2.0**-52)))
    s = np.ones((6, 2))
    s[1:, 1] = 0, wide, -wide, 1.01 * wide, -1.01 * wide
    truth = {"s1": 0 * s, "s2": 0 * s, "s3": s, run.y: s}
    assert run._by_chance(truth, scale).tolist() == [False, True, True, True, False, False]
    run = object.__new__(_Comparison)
    vars(run).update(network=Network.mlp([1, 2, 2, 2, 1], ["relu", "tanh", HAT]), eps=2.0**-52, y="y")
    s[1:, 1] = 2, 2 + wide, 2 - wide, -2, 2 + 1.01 * wide
    assert run._by_chance(truth, scale).tolist() == [False, True, True, True, False, False]
    for phi, rounded in ((["relu", "relu"], []), (["tanh", "relu"], ["s2"]), (["relu", "tanh"], [])):
        run = object.__new__(_Comparison)
        run.network = Network.mlp([1, 1, 1, 1], phi)
        assert [unit.s.name for unit in run._rounded] == rounded


def test_kinks_that_are_rows_of_their_own_are_those_that_exact_points_hit():
    """Whole numbers and halves up to 2, on both sides of 0."""
    kinks = [Fraction(-5, 2), Fraction(-2), Fraction(-1, 4), Fraction(1, 3), Fraction(3, 2), Fraction(3)]
    phi = fcsym.piecewise_linear("own", joined(kinks))
    assert list(phi.kinks) == kinks
    tally = Tally(fcsym.derive(Network.mlp([1, 1, 1], phi)), np.dtype(float))
    tally.derivation = SimpleNamespace(
        equations=tally.derivation.equations,
        proof=SimpleNamespace(case=lambda *_: SimpleNamespace(possible=True)),
    )
    asked = {case for name, case in tally.expected if name == "dv1" and case.startswith("s")}
    assert asked == {"s = -2", "s' = -2", "s = 3/2", "s' = 3/2"}
    run = object.__new__(_Comparison)
    run.network = tally.network
    assert run._kinks == [("s1", Fraction(-2)), ("s1", Fraction(3, 2))]


def joined(kinks):
    """Slopes of 0, 1, 0, 1, ... between these."""
    made, value, before = [], Fraction(0), Fraction(0)
    for n, kink in enumerate((*kinks, None)):
        made.append(fcsym.Piece(kink, n % 2, value - (n % 2) * before))
        value, before = (value + (n % 2) * (kink - before), kink) if kink is not None else (value, before)
    return made


LAYERS = {
    "linear": (fcsym.Linear(3, 2), (3,), [(2, 3), (2,)]),
    "conv1d": (fcsym.Conv1d(2, 2, 2), (2, 4), [(2, 2, 2), (2,)]),
    "conv2d": (fcsym.Conv2d(1, 2, 2), (1, 3, 3), [(2, 1, 2, 2), (2,)]),
    "layernorm": (fcsym.LayerNorm(3), (2, 3), [(3,), (3,)]),
    "layernorm of all": (fcsym.LayerNorm((2, 3)), (2, 3), [(6,), (6,)]),
    "rmsnorm": (fcsym.RMSNorm(3), (2, 3), [(3,)]),
    "rnn": (fcsym.RNN(2, 3), (3, 2), [(3, 2), (3, 3), (3,), (3,)]),
    "gru": (fcsym.GRU(2, 2, last=False), (3, 2), [(2, 2)] * 6 + [(2,)] * 6),
    "lstm": (fcsym.LSTM(2, 2), (3, 2), [(2, 2)] * 8 + [(2,)] * 8),
    "attention": (fcsym.MultiheadAttention(2, 1), (3, 2), [(2, 2), (2,)] * 4),
    "maxpool1d": (fcsym.MaxPool1d(2), (2, 4), []),
    "avgpool2d": (fcsym.AvgPool2d(2), (1, 4, 4), []),
    "flatten": (fcsym.Flatten(), (2, 3), []),
}


@pytest.mark.parametrize("name", LAYERS)
def test_several_points_and_samples_at_once_are_each_of_them_alone(name):
    """Each point has parameters of its own, and all samples of it the same."""
    layer, shape, parameters = LAYERS[name]
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(3, 2, *shape)), [rng.normal(size=(3, *own)) for own in parameters]

    def passed(points, samples):
        given = [Weight(w[points], w[points]) for w in weights]
        return ORACLES[layer.kind](layer, Passing(given), [x[points, samples]])

    whole = passed(slice(None), slice(None))
    assert whole.shape[:2] == (3, 2)
    for n in range(3):
        for m in range(2):
            alone = passed(slice(n, n + 1), slice(m, m + 1))
            np.testing.assert_allclose(alone[0, 0], whole[n, m], rtol=1e-12, err_msg=f"{n} {m}")


def test_layers_have_a_sequential_order_however_few_parameters_there_are():
    """W - eta (y - t) x, of one; of two, one after the other, the lower one through the upper one after its step."""
    one = Network([fcsym.Flatten(), fcsym.Linear(2, 1, bias=False)], input=(2, 1))
    w, x, target, eta = np.array([[[2.0, -1.0]]]), np.array([[[3.0], [1.0]]]), np.array([[1.0]]), np.array([0.25])
    found = backpropagation(one, "sequential", [w], x, target, eta)
    np.testing.assert_allclose(found[f"{one.parameters[0].name}_new"], w - 0.25 * 4 * np.array([[[3.0, 1.0]]]))
    two = Network([fcsym.Flatten(), fcsym.Linear(2, 1, bias=False), fcsym.Linear(1, 1, bias=False)], input=(2, 1))
    above = np.array([[[0.5]]])
    found = backpropagation(two, "sequential", [w, above], x, target, eta)
    error = 0.5 * 5 - 1
    after = 0.5 - 0.25 * error * 5
    lower, upper = (found[f"{theta.name}_new"] for theta in two.parameters)
    assert float(upper.item()) == after
    np.testing.assert_allclose(lower, w - 0.25 * error * after * np.array([[[3.0, 1.0]]]))


def test_a_loss_of_one_s_own_has_its_value_and_its_slopes():
    """Of every output, summed, beside numpy; in a mini-batch the mean of the samples."""
    y, t = sympy.symbols("y t", real=True)
    network = Network.mlp([1, 2], loss=fcsym.loss("own", (y - t) ** 4 + sympy.atan(y) * t + sympy.erf(y)))
    rng = np.random.default_rng(0)
    s, goal = rng.normal(size=(2, 5, 2))
    true = (s - goal) ** 4 + np.arctan(s) * goal + np.vectorize(math.erf)(s)
    np.testing.assert_allclose(loss_by_samples(network, s, goal), true.sum(axis=-1), rtol=1e-12)
    slopes = 4 * (s - goal) ** 3 + goal / (1 + s**2) + 2 / math.pi**0.5 * np.exp(-(s**2))
    np.testing.assert_allclose(grad(lambda at: anp.sum(loss_by_samples(network, at, goal)))(s), slopes, rtol=1e-12)


@pytest.mark.parametrize("batch", ["", "sum"])
def test_derivatives_of_the_oracle_are_those_of_a_product_of_matrices(batch):
    """y = B (A x + a) + b, in every array and in x; of E, of every output, and of a derivative once more."""
    network, rng = Network.mlp([3, 2, 2], "identity", bias=True), np.random.default_rng(0)
    names = [theta.name for theta in network.parameters]
    points, outputs = random_points(network, rng, 4), range(2)
    if batch:
        network, points = network.training(network.rule, batch, 2), points.in_batches(2)
    (A, a, B, b), x, t = points.weights, points.x.reshape(4, -1, 3), points.target.reshape(4, -1, 2)
    v = np.einsum("pij,pnj->pni", A, x) + a[:, None]
    e = np.einsum("pij,pnj->pni", B, v) + b[:, None] - t
    below = np.einsum("pki,pnk->pni", B, e)
    of_e = {
        "W1": np.einsum("pni,pnj->pij", below, x), "b1": below.sum(1), "W2": np.einsum("pnk,pni->pki", e, v),
        "b2": e.sum(1), "x": np.einsum("pij,pni->pnj", A, below),
    }  # fmt: skip
    found, passed = derivatives(network, "E", [*names, "x"], *points[:3])
    for name, wanted in of_e.items():
        np.testing.assert_allclose(found[name], wanted.reshape(found[name].shape), rtol=1e-10, err_msg=name)
    np.testing.assert_allclose(passed["s1"], v.reshape(passed["s1"].shape), rtol=1e-12)
    np.testing.assert_allclose(passed["y"], (e + t).reshape(passed["y"].shape), rtol=1e-12, atol=1e-15)
    found, passed = derivatives(network, "y", [*names, "x"], *points[:3])
    eye, lead = np.eye(2), (4, 2) if batch else (4,)
    of_y = {
        "W1": np.einsum("pki,pnj->pnkij", B, x), "b1": np.einsum("pki,pnj->pnki", B, x[..., :1] ** 0),
        "W2": np.einsum("kl,pni->pnkli", eye, v), "b2": np.einsum("kl,pnj->pnkl", eye, x[..., :1] ** 0),
        "x": np.einsum("pki,pij,pnm->pnkj", B, A, x[..., :1] ** 0),
    }  # fmt: skip
    for name, wanted in of_y.items():
        assert found[name].shape == (*lead, *wanted.shape[2:]), name
        np.testing.assert_allclose(found[name], wanted.reshape(found[name].shape), rtol=1e-10, err_msg=name)
    assert passed["y"].shape == (*lead, 2) and len(outputs) == 2
    twice, _ = second_derivatives(network, "b2", {}, names, *points[:3])  # dE/db2 = sum_n e
    for name in names:
        np.testing.assert_allclose(twice[name], of_y[name].sum(1), rtol=1e-10, atol=1e-14, err_msg=name)
    along = {"W2": rng.normal(size=B.shape), "b1": rng.normal(size=a.shape)}
    turned, _ = second_derivatives(network, "", along, ["b2", "W2"], *points[:3])
    moved = np.einsum("pki,pni->pnk", along["W2"], v) + np.einsum("pki,pi->pk", B, along["b1"])[:, None]
    np.testing.assert_allclose(turned["b2"], moved.sum(1), rtol=1e-10)
    own = np.einsum("pnk,pni->pki", moved, v) + np.einsum("pnk,pi->pki", e, along["b1"])
    np.testing.assert_allclose(turned["W2"], own, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32"), "float64", np.float64, float])
def test_a_check_is_of_single_or_double_precision_however_that_is_said(dtype):
    report = fcsym.check(fcsym.derive(Network.mlp([1, 1])), trials=1, dtype=dtype)
    assert report.passed and report.dtype == str(np.dtype(dtype)) and report.steps == 1


@pytest.mark.parametrize("dtype", ["float16", np.float16, int, "double", None, object])
def test_a_check_of_another_precision_is_refused(dtype):
    with pytest.raises(ArgumentError, match="choose float32 or float64"):
        fcsym.check(fcsym.derive(Network.mlp([1, 1])), trials=1, dtype=dtype)


def test_directions_are_quarters_up_to_2():
    """So that products with what is exact are exact."""
    tally = object.__new__(gradients._Tally)
    tally.rng = np.random.default_rng(0)
    drawn = tally._direction(np.zeros((50, 20), np.float32))
    assert drawn.dtype == np.float32 and set(np.unique(4 * drawn)) == set(range(-8, 9))


def test_every_trajectory_but_the_exact_one_is_rounded():
    """Each of them, at the start and after a step."""
    network, rng = Network.mlp([2, 2, 1]), np.random.default_rng(0)
    points = random_points(network, rng, 20)
    made = Truth(network, "simultaneous", points.weights, rng, 2.0**-20)
    for _ in range(2):
        for stack in made.weights:
            apart = abs(stack[1:] - stack[0]).reshape(len(stack) - 1, -1).max(axis=1)
            assert (apart > 2.0**-22).all() and (apart < 2.0**-16).all() and len(set(apart.tolist())) == len(apart)
        seen = made.look(points.x, points.target, points.eta)
        made.move(seen, {})


def test_so_many_networks_are_trained_at_once_as_there_is_room_for(monkeypatch):
    """Four times their weights; at least one. Memory is asked for as many, or for those of steps from a kink."""
    network, asked = Network.mlp([3, 4, 2]), []
    monkeypatch.setattr(trajectory, "refuse_beyond", lambda what, size, instead: asked.append(size))
    for room, trials, many in (
        (79, 5, 1),
        (80, 5, 1),
        (160, 500, 2),
        (8000, 500, 100),
        (80_000, 500, 500),
        (80_000, 5, 200),
    ):
        monkeypatch.setattr(trajectory, "MAX_NUMBERS", room)
        assert trajectory._at_once(network) == max(1, room // 80)
        trajectory.refuse_large(network, trials)
        assert asked.pop() == trajectory._BYTES * 20 * many


@pytest.mark.parametrize(("off", "passed"), [(0.9, True), (1.5, False)])
def test_weights_after_a_step_from_a_kink_may_be_off_by_rounding_alone(off, passed):
    """Of 1 at least, or of the largest number that is summed."""
    network = Network.mlp([1, 1, 1])
    run = _Comparison(fcsym.scheme(network, "backprop"), "simultaneous", np.dtype(float), 1, None)
    kernel = run.kernel

    def expand(*given):
        return [w + off * ULPS * 2.0**-52 * (-1) ** n for n, w in enumerate(kernel.expand(*given))]

    run.kernel = SimpleNamespace(init=kernel.init, step=kernel.step, output=kernel.output, expand=expand)
    run.on_kinks(np.random.default_rng(0), 200)
    rows = [row for row in run.rows() if "kink" in row.case]
    assert len(rows) == 2 and all(row.points > 20 and row.passed is passed for row in rows)


def test_a_loss_is_that_of_the_output_whatever_function_it_is_of():
    """Squared errors of a sigmoid, and of its cross-entropy no digit is lost where the output is next to 1."""
    s = np.array([[0.5, -2.0], [40.0, -60.0]], np.longdouble)
    t = np.array([[1.0, 0.25], [0.0, 0.5]], np.longdouble)
    y = 1 / (1 + np.exp(-s))
    squared = Network.mlp([1, 2], output="sigmoid", loss="squared")
    np.testing.assert_allclose(loss_by_samples(squared, s, t), ((y - t) ** 2).sum(axis=-1) / 2, rtol=1e-15)
    crossed = Network.mlp([1, 2], output="sigmoid", loss="bce")
    wanted = [np.sum(t[0] * np.log1p(np.exp(-s[0])) + (1 - t[0]) * np.log1p(np.exp(s[0]))), 40 + 30]
    np.testing.assert_allclose(loss_by_samples(crossed, s, t).astype(float), np.array(wanted, float), rtol=1e-15)


def test_cross_entropies_of_a_softmax_are_those_of_its_shares():
    """-t log y - (1 - t) log(1 - y), output by output, though it could be written by logits where it were a sigmoid."""
    network = Network.mlp([1, 3], output="softmax", loss="bce")
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(4, 3)), rng.random((4, 3))
    y = np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)
    wanted = -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum(axis=-1)
    np.testing.assert_allclose(loss_by_samples(network, s, t), wanted, rtol=1e-13)
    slope = -t / y + (1 - t) / (1 - y)
    slopes = y * (slope - (y * slope).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(grad(lambda at: anp.sum(loss_by_samples(network, at, t)))(s), slopes, rtol=1e-11)


def test_points_that_are_mini_batches_are_compared_as_they_are():
    """Of a step and of derivatives; those of one sample as often as it takes."""
    network = Network.mlp([2, 2, 1], "tanh")
    trained, points = network.training(network.rule, "mean", 3), random_points(network, np.random.default_rng(0), 5)
    for subject, numbers in ((fcsym.derive(trained), 5 * 4), (fcsym.gradient(trained, by="W1"), 5 * 4)):
        for given in (points, points.in_batches(3)):
            report = fcsym.check(subject, points=given)
            assert report.passed and report.left_out == 0
            rows = {row.quantity: row.points for row in report.rows if row.case == "all"}
            assert rows.get("W1_new", rows.get("dE_dW1")) == numbers
