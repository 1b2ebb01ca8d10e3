"""What a check records, draws and leaves out, each beside its definition.

Each takes a fraction of a second, so that a fault in a check, which would let others pass, is seen by a test that is
quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking import functions, gradients
from fcsym.checking.hard import HARD
from fcsym.checking.points import in_the_loss, pre_activations, random_points
from fcsym.checking.report import ULPS, Report, Row
from fcsym.checking.tally import Tally, alike
from fcsym.checking.trajectory import _Comparison, _marked, _within_range
from fcsym.errors import GateEvent

DOUBLE = np.dtype(float)
NAN, INF = float("nan"), float("inf")


def bare(kind, **own):
    """A tally that has seen nothing."""
    made = object.__new__(kind)
    vars(made).update(seen={}, eps=2.0**-52, dtype=DOUBLE, **own)
    return made


def _by_tally(tally, error, bound, mask, inputs):
    tally._record("q", "all", error, bound, mask, inputs)


def _by_comparison(tally, error, bound, mask, inputs):
    true = np.where(error >= 0.25, np.longdouble(0.5), 0)
    tally._record("q", "all", true - error, true, bound, mask.reshape(len(mask), -1)[:, 0], 7, inputs)


def _by_gradient(tally, error, bound, mask, inputs):
    tally._record("q", "all", mask.reshape(len(mask), -1)[:, 0], error, bound, inputs)


RECORDERS = {
    "a step": (Tally, _by_tally),
    "training": (_Comparison, _by_comparison),
    "derivatives": (gradients._Tally, _by_gradient),
}


@pytest.mark.parametrize("numbers", [200, 201])
@pytest.mark.parametrize("kind", RECORDERS)
def test_of_all_that_is_compared_the_worst_is_kept(kind, numbers):
    """In units of its bound, of those that count alone, with the element from 1, and the point where that is small."""
    cls, record = RECORDERS[kind]
    tally, rng = bare(cls), np.random.default_rng(0)
    worst, count = None, 0
    for batch in range(5):
        error, bound = rng.integers(0, 60, size=(6, 3, 2)) / 4, rng.integers(1, 7, size=(6, 3, 2)) / 4
        mask = np.broadcast_to((rng.random(6) < 0.5)[:, None, None], error.shape)
        assert mask.any() and not mask.all()
        inputs = {"W": rng.normal(size=(6, numbers - 2)), "x": rng.normal(size=(6, 2))}
        record(tally, error, bound, mask, inputs)
        count += int(mask.sum())
        for place in np.ndindex(error.shape):
            if mask[place] and (worst is None or error[place] / bound[place] > worst[0]):
                worst = error[place] / bound[place], error[place], bound[place], place, inputs, batch
        row = tally.seen["q", "all"]
        ties = row.ratio == worst[0] and (row.worst, row.bound) != worst[1:3]
        assert row.points == count and row.ratio == worst[0]
        if ties:
            continue
        n, *element = worst[3]
        assert row.where["element"] == [k + 1 for k in element]
        assert row.where.get("step", 7) == 7
        shown = {name: value[n].tolist() for name, value in worst[4].items()} if numbers <= 200 else {}
        assert {name: row.where[name] for name in row.where if name in ("W", "x")} == shown
    record(tally, error, bound, mask & False, inputs)
    assert tally.seen["q", "all"] == row


@pytest.mark.parametrize("kind", RECORDERS)
def test_what_is_right_is_within_any_bound_and_what_is_off_not_within_none(kind):
    cls, record = RECORDERS[kind]
    tally, whole, step = bare(cls), np.ones((1, 2), bool), {"step": 7} if kind == "training" else {}
    inputs = {"x": np.zeros((1, 2))}
    record(tally, np.array([[0.0, 0.25]]), np.ones((1, 2)), whole, inputs)
    assert tally.seen.pop(("q", "all")) == Row("q", "all", 2, 0.25, 1.0, {"element": [2], "x": [0, 0]} | step)
    record(tally, np.zeros((1, 2)), np.zeros((1, 2)), whole, inputs)
    assert tally.seen["q", "all"].passed and tally.seen["q", "all"].ratio == 0
    record(tally, np.array([[0.0, 1e-30]]), np.zeros((1, 2)), whole, inputs)
    assert not tally.seen["q", "all"].passed and tally.seen["q", "all"].where["element"] == [2]


def test_a_row_passes_within_its_bound_or_where_nothing_can_be_compared():
    for worst, bound, ratio in ((0.0, 0.0, 0), (1.0, 2.0, 0.5), (2.0, 2.0, 1), (3.0, 2.0, 1.5), (1.0, 0.0, INF)):
        for points, impossible in product((0, 3), (False, True)):
            row = Row("q", "all", points, worst, bound, {}, impossible)
            assert row.ratio == ratio and row.passed == (ratio <= 1 if points else impossible)
    good, bad, none = (
        Row(name, "all", n, off, 2.0, {}) for name, n, off in (("a", 2, 1.0), ("b", 3, 4.0), ("c", 0, 0))
    )
    far = Row("d", "all", 0, 0.0, 0.0, {}, True)

    def report(*rows):
        return Report("1-1", "simultaneous", "sequential", 1, 0, "float64", rows, 0, 1)

    assert report(Row("a", "all", 1, 0.0, 1.0, {})).passed
    for rows, passed, points in (
        ((good,), True, 2), ((good, bad), False, 5), ((good, none), False, 2), ((good, far), True, 2),
        ((far,), False, 0),
    ):  # fmt: skip
        made = report(*rows)
        assert made.passed is passed is bool(made) and made.points == points
        assert [line.split()[0] for line in str(made).splitlines()[1:]] == ["ok" if r.passed else "FAIL" for r in rows]
    assert report(good, bad).worst == bad and report(good, none).worst == none and report(far, good).worst == good
    said = str(report(good, bad, none, far))
    assert said.splitlines()[0] == "1-1, simultaneous order, against sequential autodiff, float64"
    assert said.count("cannot occur") == 1 and "0.5 of the bound" in said and "2 of the bound" in said


@pytest.mark.parametrize("batch", ["sum", "mean"])
def test_a_sample_as_a_mini_batch_of_itself_trains_alike(batch):
    """As many gradients as there are samples, of a step as much smaller; or their mean."""
    network = Network.mlp([2, 2, 1])
    points = random_points(network, np.random.default_rng(0), 5)
    alone = points.step(fcsym.derive(network).compile())
    for samples in (0, 1, 3):
        d = fcsym.derive(network.training(network.rule, batch, samples or None))
        made = alike(d.network, points)
        assert made.x.shape == (5, samples or 1, 2) and made.target.shape == (5, samples or 1, 1)
        found = made.step(d.compile())
        for name in ("W1_new", "W2_new"):
            np.testing.assert_allclose(found[name], alone[name], rtol=1e-13)


def comparison(network, name="weights", steps=3):
    return _Comparison(fcsym.scheme(network, name), "simultaneous", DOUBLE, steps, None)


@pytest.mark.parametrize("name", ["backprop", "weights"])
def test_networks_that_are_trained_have_ordinary_weights_and_some_inputs(name):
    """One where the scheme is of one; an eighth of them is 0, a quarter of entries, and the last is near the first."""
    network = Network.mlp([4, 25, 2], bias=True)
    weights, inputs, targets, eta = comparison(network, name)._draw(np.random.default_rng(0), 4000)
    for array, weight in zip(network.parameters, weights, strict=True):
        shape = network.shape(array)
        assert weight.shape == (4000, *shape)
        assert np.std(weight) == pytest.approx(shape[1] ** -0.5 if len(shape) == 2 else 0.5, rel=0.03)
    many = 4 if name == "backprop" else 1
    assert inputs.shape == (4000, many, 4) and targets.shape == (4000, many, 2)
    first = inputs[:, 0]
    nothing = (first == 0).all(axis=-1)
    assert nothing.mean() == pytest.approx(1 / 8 + 7 / 8 / 4**4, abs=0.02)
    assert (first == 0).mean() == pytest.approx(1 / 8 + 7 / 8 / 4, abs=0.02)
    assert np.std(first[first != 0]) == pytest.approx(1, rel=0.05) == np.std(targets)
    if many > 1:
        apart = inputs[:, -1] - first
        assert np.std(apart) == pytest.approx(1e-3, rel=0.05) and (apart != 0).all()
        assert np.std(inputs[:, 1] - first) > 0.5
    size = eta * (1 + (inputs**2).sum(axis=-1).max(axis=-1))
    logs = np.log10(size)
    assert -2.5 - 1e-9 <= logs.min() < -2.49 and -1.01 < logs.max() <= -1 + 1e-9


@pytest.mark.parametrize("samples", [0, 2])
def test_mini_batches_that_are_trained_on_have_their_samples(samples):
    """Three where nothing is said; a step is as much smaller as there are of them."""
    network = Network.mlp([2, 2, 1])
    run = comparison(network.training(network.rule, "mean", samples or None), "backprop")
    _, inputs, targets, eta = run._draw(np.random.default_rng(0), 300)
    count = samples or 3
    assert inputs.shape == (300, 4, count, 2) and targets.shape == (300, 4, count, 1)
    alone = (inputs == 0).all(axis=-1)
    assert 0.1 < alone.mean() < 0.3 and alone.any(axis=-1).mean() > alone.all(axis=-1).mean()
    size = 1 + (inputs**2).sum(axis=-1).max(axis=(-1, -2)) * count
    logs = np.log10(eta * size)
    assert (logs >= -2.5 - 1e-9).all() and (logs <= -1 + 1e-9).all() and np.ptp(logs) > 1.4


def test_training_that_leaves_what_is_compared_is_left_out():
    """A weight beyond a hundred million of the exact one; or one that is no number in any."""
    first, second = np.zeros((3, 7, 2, 2)), np.zeros((3, 7, 1))
    first[0, 1, 0, 1] = 1.5e8
    first[0, 2, 1, 0] = -1e8
    first[0, 3, 1, 1] = 0.99e8
    first[2, 4, 0, 0] = NAN
    second[1, 5, 0] = INF
    second[2, 6, 0] = 1e9
    assert _within_range([first, second]).tolist() == [True, False, False, True, False, False, True]
    state = [np.zeros((3, 2)), np.array([[0.0], [NAN], [0.0]]), np.array([0.0, 1.0, NAN])]
    assert _marked(state, 3).tolist() == [False, True, True]


@pytest.mark.parametrize("widths", [[2, 3, 2], [2, 2]])
def test_terms_of_an_output_are_those_of_its_sum_and_itself(widths):
    """The absolute values; without a hidden layer nothing is summed that is not read, and 1 is added."""
    network, rng = Network.mlp(widths, bias=True), np.random.default_rng(0)
    run, weights = (
        comparison(network, "backprop"),
        [rng.normal(size=(5, *network.shape(a))) for a in network.parameters],
    )
    y, v = rng.normal(size=(5, 2)), rng.normal(size=(5, widths[-2]))
    found = run._terms({run.y: y, "v1": v} if len(widths) > 2 else {run.y: y}, weights)
    if len(widths) > 2:
        wanted = [abs(w) @ abs(one) + abs(out) for w, one, out in zip(weights[2], v, y, strict=True)]
    else:
        wanted = abs(y) + 1
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


def test_a_network_is_left_out_where_rounding_decides_a_gate_or_a_number_overflows():
    """Of a unit at either kink of a hat, where it was rounded at all; and of a number beyond those of a float."""
    network = Network.mlp([1, 2, 1], HAT)
    run, far = comparison(network, "backprop"), ULPS * 2.0**-52
    names = {"s1": (1, 2), "v1": (1, 2), run.y: (1, 1)}
    target = np.zeros((1, 1))

    def kept(own, *others):
        exact = {name: np.full(shape, 0.75, np.longdouble) for name, shape in names.items()} | own
        return bool(run._clear(exact, [exact | other for other in others], target)[0])

    assert kept({}, {}, {})
    for kink, side in product((0, 2), (-1, 1)):
        at = np.array([[0.75, kink + side * 2.0**-20]], np.longdouble)
        for moved, counts in ((0.0, True), (2.0**-25, True), (0.99 * 2.0**-24, True), (1.01 * 2.0**-24, False)):
            off = {"s1": at + np.array([[0.0, moved]])}
            assert kept({"s1": at}, {"s1": at}, off) == counts, (kink, side, moved)
    at = np.array([[0.75, 2 + 1.5 * far]], np.longdouble)  # within the rounding of s itself
    assert kept({"s1": at}, {"s1": at}) and not kept({"s1": at}, {"s1": at + np.longdouble(2.0**-60)})
    at = np.array([[0.75, 0.0]], np.longdouble)
    assert kept({"s1": at}, {"s1": at}) and not kept({"s1": at}, {"s1": at + far}, {"s1": at})
    large = np.full((1, 2), 1e308, np.longdouble) * 10
    assert not kept({"v1": large}, {}) and kept({"v1": large / 100}, {}) and kept({"p": np.full((1, 2), NAN)}, {})
    both = {name: np.full((2, 2), 0.75, np.longdouble) for name in ("s1", "v1")} | {run.y: np.array([[1, 1], [NAN, 1]])}
    assert run._clear(both, [both, both], np.zeros((2, 2))).tolist() == [True, False]
    assert not kept({run.y: np.full((1, 1), NAN)}, {}) and not kept({run.y: np.full((1, 1), INF)}, {})


def of_a_scheme(network, name):
    """What has been compared with one, which is nothing."""
    return bare(_Comparison, network=network, scheme=SimpleNamespace(name=name, gates=name == "collapsed"))


def test_what_a_scheme_cannot_say_is_lost():
    """Where the last layer leaves 0, of those that train p; where a unit changes its sign, of one with pieces."""
    hidden = Network.mlp([1, 2, 2, 1])
    y = {hidden.output.name: np.zeros((3, 1))}
    start = {"s1": np.array([[1.0, -1], [1, -1], [0, 1]]), "v2": np.array([[0.0, 1], [0, 1], [2, 1]])} | y
    now = {"s1": np.array([[2.0, -1], [-1, -1], [1, 1]]), "v2": np.array([[0.0, 2], [3, 1], [0, 0]])} | y
    for name in ("weights", "compensation"):
        assert of_a_scheme(hidden, name)._lost(start, now).tolist() == [False, True, False]
    for name in ("backprop", "states"):
        assert of_a_scheme(hidden, name)._lost(start, now).tolist() == [False] * 3
    for phi, wanted in (("relu", [False, True, True]), ("identity", [False] * 3)):
        run = of_a_scheme(Network.mlp([1, 2, 1], phi), "collapsed")
        assert run._lost(start | {"v1": now["v2"]}, now).tolist() == wanted
        assert run._event == "a unit left its piece" and len(run._all_kinks) == (phi == "relu")
    for phi, words in (("relu", ("wakes up", "woke up")), ("leaky_relu", ("leaves 0", "left 0"))):
        run = of_a_scheme(Network.mlp([1, 2, 1], phi), "weights")
        assert run._leaving == words and run._event == f"a unit {words[1]}"
    assert of_a_scheme(Network.mlp([1, 1, 1, 1], ["leaky_relu", "relu"]), "weights")._leaving[0] == "wakes up"
    assert of_a_scheme(Network.mlp([1, 1], output="leaky_relu"), "backprop")._leaving[0] == "leaves 0"
    assert of_a_scheme(Network.mlp([1, 1, 1, 1], [HAT, "relu"]), "backprop")._all_kinks == [0, 2, 0]
    for slope, refused in ((0, False), (1, True)):
        for name, gated in (("collapsed", True), ("backprop", False)):
            phi = fcsym.leaky_relu(slope_at_kink=slope)
            assert of_a_scheme(Network.mlp([1, 2, 1], phi), name)._refuses_kinks == (gated and refused)


def test_where_a_unit_leaves_its_piece_the_point_is_shown():
    """Its input and weights, by their names; and a scheme with pieces refuses to say what it gives there."""
    run = comparison(Network.mlp([2, 2, 1]), "collapsed", 1)
    run.on_kinks(np.random.default_rng(0), 60)
    row = run.seen["y", "a unit leaves its piece: raised"]
    assert row.passed and row.points == 1 and set(row.where) == {"element", "step", "x", "W1", "W2"}
    assert np.shape(row.where["x"]) == (2,) and np.shape(row.where["W1"]) == (2, 2)
    assert np.shape(row.where["W2"]) == (1, 2) and row.where["step"] == 1
    on = run.seen["y", "init on a kink"]
    assert on.passed and on.points == 1 and on.where["step"] == 1


@pytest.mark.parametrize("slope", [0, 1])
@pytest.mark.parametrize("name", ["refuses too little", "refuses too much", "as it should"])
def test_a_scheme_with_pieces_that_refuses_too_little_or_too_much_fails(name, slope):
    """At init from exactly on a kink whose slope is that of no piece, and nowhere else."""
    run = of_a_scheme(Network.mlp([1, 2, 1], fcsym.leaky_relu(slope_at_kink=slope)), "collapsed")
    old, new = np.array([[0.5, 0], [0, 1], [2, 1]]), np.array([[1.0, -1], [-1, 1], [2, 1]])
    on = np.array([True, True, False])
    refused = on & bool(slope)
    refused = refused & False if name == "refuses too little" else refused | (name == "refuses too much")
    state = [np.where(refused[:, None], NAN, 1.0)]
    run._on_pieces(state, state, {"s1": old, "s1_new": new}, on, ~refused, ([np.ones((3, 2, 1))], np.ones((3, 1))))
    (row,) = run.seen.values()  # from 0 to below none leaves its piece
    assert row.passed == (name == "as it should" or (name == "refuses too little" and not slope))


@pytest.mark.parametrize("silent", [False, True])
def test_a_scheme_with_pieces_that_gives_an_output_from_another_one_fails(silent):
    """Of networks in which a unit is clearly on the other side, and the first of them."""

    def output(state, x):
        assert (state[0] == 1).all() and (x == [1]).all()
        if not silent:
            raise GateEvent("s1 is on another side")

    run = of_a_scheme(Network.mlp([1, 2, 1]), "collapsed")
    run.kernel = SimpleNamespace(output=output)
    old, new = np.array([[0.5, 1], [1, 1], [2, -1]]), np.array([[1.0, 1], [1, -1], [-2, -1]])
    state, x = [np.arange(3.0)[:, None] * np.ones((3, 2))], np.arange(3.0)[:, None]
    on = np.zeros(3, bool)
    run._on_pieces(state, state, {"s1": old, "s1_new": new}, on, ~on, ([x[:, None], 2 * x[:, None]], x))
    row = run.seen["y", "a unit leaves its piece: raised"]
    assert row.passed is not silent
    assert row.where == {"element": [], "step": 1, "x": [1.0], "W1": [[1.0]], "W2": [[2.0]]}
    run.seen.clear()
    close = np.array([[1.0, 1], [1, -1e-4], [1, 1]])  # too near to a kink, and not counted
    run._on_pieces(state, state, {"s1": old, "s1_new": close}, on, on, ([x[:, None]], x))
    assert list(run.seen) == [("y", "init on a kink")]


def points_of(kind, network, count=60):
    d = fcsym.derive(network)
    kernel = d.compile()
    points = HARD[kind](network, kernel, np.random.default_rng(0), count)
    return points, points.step(kernel)


def test_hard_points_are_near_a_kink_before_the_step_or_after_it():
    network = Network.mlp([3, 4, 3, 1])
    points, _ = points_of("v^c near 0", network, 300)
    near = [(abs(s) < 1e-2) & (s != 0) for s in pre_activations(network, points)]
    assert near[1].any(axis=1).mean() > 0.8 > 0.2 > near[0].any(axis=1).mean()
    points, _ = points_of("v^c near 0", Network.mlp([3, 4, 1]), 300)
    assert (abs(pre_activations(Network.mlp([3, 4, 1]), points)[0]) < 1e-2).any(axis=1).mean() > 0.8
    for kind in ("v^c near 0", "s' near 0"):  # of networks without a unit, ordinary ones
        alone, ordinary = Network.mlp([2, 1]), random_points(Network.mlp([2, 1]), np.random.default_rng(0), 60)
        found, _ = points_of(kind, alone)
        for one, other in zip([*found.weights, *found[1:4]], [*ordinary.weights, *ordinary[1:4]], strict=True):
            assert (one == other).all()
    points, made = points_of("s' near 0", Network.mlp([3, 4, 1]), 300)
    after, size = made["s1_new"], abs(made["s1"]) + abs(made["ds1"])
    close = abs(after) <= 2.0**-50 * size
    assert close.any(axis=1).mean() > 0.5 and (points.eta > 0).all()
    before = random_points(Network.mlp([3, 4, 1]), np.random.default_rng(0), 300).eta
    assert ((points.eta > before) & close.any(axis=1)).any() and ((points.eta < before) & close.any(axis=1)).any()
    assert {-1.0, 1.0} <= set(np.unique(np.sign(after[close]))) and (after[close] == 0).mean() > 0.1


@pytest.mark.parametrize(("kind", "low", "high"), [("tiny eta", -30, -8), ("huge eta", 3, 12)])
def test_hard_steps_are_as_small_or_as_large_as_they_are_called(kind, low, high):
    points, _ = points_of(kind, Network.mlp([1, 1]), 400)
    logs = np.log10(points.eta)
    assert low <= logs.min() < low + 0.5 and high - 0.5 < logs.max() <= high


def test_hard_numbers_are_subnormal_or_any_that_there_are():
    network = Network.mlp([2, 2, 1], "identity")
    with np.errstate(all="ignore"):
        points, made = points_of("subnormal numbers", network, 200)
        bits, _ = points_of("random bits", network, 2000)
    least = np.finfo(float).smallest_normal
    assert ((made["s1"] != 0) & (abs(made["s1"]) < least)).mean() > 0.5 and (
        made["v1"] @ points.weights[1][0].T == 0
    ).all()
    assert (abs(points.target) < least).all() and (points.target != 0).all()
    for values in (*bits.weights, bits.x, bits.target, bits.eta):
        flat = values.ravel()
        size = np.log2(abs(flat))
        middling = (size >= -90) & (size < 91)
        assert 0.5 < middling.mean() < 0.65 and np.isfinite(flat).all() and size.min() < -900 < 900 < size.max()
        inner = size[middling]
        assert inner.min() < -80 and inner.max() > 80 and abs(inner.mean()) < 8
        assert ((flat > 0).mean() == 1) if values is bits.eta else 0.4 < (flat > 0).mean() < 0.6
        parts = np.ldexp(flat[middling], -np.floor(inner).astype(int))
        assert 0.3 < (abs(parts) < 1.5).mean() < 0.7


def test_a_number_that_an_inverse_needs_is_left_out_where_its_matrix_is_nearly_none():
    """Of a mini-batch: where the least eigenvalue is next to nothing beside the largest; for all numbers of a point."""
    network = Network.mlp([1, 2, 1])
    tally = object.__new__(Tally)
    tally.network, tally.dtype = SimpleNamespace(places=(0,)), DOUBLE
    bar = 4 * (2.0**-52) ** 0.6
    K = np.stack([np.diag([1.0, 1.0]), np.diag([3.0, 3.0 * bar * 0.9]), np.diag([3.0, 3 * bar * 1.1]), np.zeros((2, 2)),
                  np.diag([1.0, -0.5])])  # fmt: skip
    keep = np.array([True, True, True, False, True])
    exact = SimpleNamespace(of=lambda name: np.zeros((5, 2, 2)))
    found = tally._unclear_change({}, {"K": K}, exact, (4, 1, 2), keep)
    assert found.shape == (4, 1, 2) and network.hidden
    assert found[:, 0].tolist() == [[one] * 2 for one in (False, True, False, True)]


def test_whether_there_is_a_p_is_rounding_where_a_unit_at_0_moves_by_next_to_nothing():
    """On one side and not at all on the other; for each of its weights, and for the outputs of a network with one."""
    d = fcsym.derive(Network.mlp([1, 3, 2]))
    tally, bound = Tally(d, DOUBLE), 2.0**-40
    tally._bound = lambda name, result, scale: np.full((4, 3), bound if name == "dv1" else INF)
    vc = np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    found = np.array([[0.0, 1, bound], [bound, 0, 0], [0, 0, 0], [0, 0, bound / 2]])
    true = np.array([[0.0, 1, 0], [0, 2 * bound, bound], [0, 0, bound], [0, bound, bound]])
    wanted = np.array([[False, False, True], [True, False, False], [False, True, False]])
    keep = np.array([True, True, False, True])
    given = {"vc": vc, "dv1": found}, {"dv1": true}, None
    rows = tally._unclear_change(*given, (3, 2, 3), keep)
    assert (rows == wanted[:, None]).all() and rows.shape == (3, 2, 3)
    assert (tally._unclear_change(*given, (3, 2), keep) == wanted.any(axis=1)[:, None]).all()


@pytest.mark.parametrize("samples", [None, 4])
def test_mini_batches_are_checked_in_several_samples(samples, monkeypatch):
    """As many as they have, or three; of exact points two, and near kinks one, whose networks are made for it."""
    network, seen = Network.mlp([1, 1, 1]), []
    d = fcsym.derive(network.training(network.rule, "sum", samples))

    def compare(self, kernel, order, points):
        seen.append((labels[-1], points.x.shape[1] if points.x.ndim == 3 else None))

    labels = []
    monkeypatch.setattr(Tally, "compare", compare)
    monkeypatch.setattr(Tally, "missing", [])
    fcsym.check(d, trials=20, seed=0, progress=labels.append)
    wanted = {"random points": {None, samples or 3}, "exact points": {None, samples or 2}, "points near kinks": {None}}
    assert {label: {n for name, n in seen if name == label} for label, _ in seen} == wanted


@pytest.mark.parametrize("samples", [None, 3])
def test_steps_from_a_kink_of_mini_batches_are_of_several_samples(samples, monkeypatch):
    network, seen = Network.mlp([1, 1, 1]), []
    run = comparison(network.training(network.rule, "sum", samples), "backprop")

    def both(step, order, points):
        seen.append(points.x.shape)
        raise InterruptedError

    run.tally.both = both
    with pytest.raises(InterruptedError):
        run.on_kinks(np.random.default_rng(0), 8)
    assert seen == [(8, samples or 2, 1)]


def test_all_points_of_derivatives_are_compared_as_many_at_once_as_there_is_room_for(monkeypatch):
    network = Network.mlp([1, 1])
    derivatives, seen = fcsym.gradient(network, by="W1"), []
    monkeypatch.setattr(gradients, "MAX_NUMBERS", 6)  # twice as many digits, so that there is room for three numbers

    def compare(self, points):
        seen.append(points.x.ravel().tolist())

    monkeypatch.setattr(gradients._Tally, "compare", compare)
    points = random_points(network, np.random.default_rng(0), 7)
    gradients.check_gradient(derivatives, 7, 0, DOUBLE, points, lambda label: None)
    assert [len(part) for part in seen] == [3, 3, 1]
    assert [value for part in seen for value in part] == points.x.ravel().tolist()


def test_a_network_of_which_nothing_is_said_any_more_says_so(monkeypatch):
    """In each of them alone, and for both of its outputs; one that gives a number all the same is seen."""
    run = comparison(Network.mlp([1, 1, 2]), "weights")
    monkeypatch.setattr(run, "_lost", lambda start, now: np.arange(len(now["y"])) % 2 == 0)
    output = run.kernel.output

    def marked(state, x, **more):
        made = output(state, x, **more)
        return np.where((np.arange(len(made)) % 2 == 0)[:, None], NAN, made)

    run.kernel = SimpleNamespace(output=marked, init=run.kernel.init, step=run.kernel.step, expand=run.kernel.expand)
    said = []
    run.batch(np.random.default_rng(0), 7, said.append)
    row = run.seen["y", "after a unit woke up: nan"]
    assert row.passed and row.points == 3 * 4 and said == ["step 1 of 3"]
    run.seen.clear()
    run.kernel.output = output
    run.batch(np.random.default_rng(0), 7, said.append)
    assert not run.seen["y", "after a unit woke up: nan"].passed


ABOVE = fcsym.piecewise_linear(
    "above", [fcsym.Piece(-1, -1, 1), fcsym.Piece(2, 0, 2), fcsym.Piece(None, 1)], ["3", "-2"]
)


@pytest.mark.parametrize("phi", [HAT, ABOVE], ids=["hat", "above"])
def test_pieces_have_their_values_in_the_oracle_and_their_slopes_by_autograd(phi):
    """On every piece and at every kink, where the slope is the declared one."""
    s = [Fraction(n, 4) for n in range(-12, 13)]
    at = np.array([float(value) for value in s], np.longdouble)
    assert functions.phi(phi, at).tolist() == [float(phi.value_at(value)) for value in s]
    assert functions.slope_of(phi, at).tolist() == [float(phi.slope_at(value)) for value in s]


def test_a_row_near_v_0_is_wanted_where_a_unit_gives_0_at_a_kink():
    """Of rows by cases: of the kinks themselves those that exact points can hit, and only where steps are exact."""
    for phi, near, kinks in (("relu", True, ["0"]), (HAT, True, ["0", "2"]), (ABOVE, False, ["-1", "2"])):
        tally = Tally(fcsym.derive(Network.mlp([1, 1, 1], phi)), DOUBLE)
        wanted = {case for name, case in tally.expected if name == "dv1"}
        assert ("v^c near 0" in wanted) is near
        assert {case for case in wanted if case.startswith("s")} == {
            f"s{mark} = {k}" for mark in ("", "'") for k in kinks
        }


def test_rows_that_have_to_be_compared_are_there_without_a_number():
    """Every step, the end, and from a kink where there is one that exact points hit and the rule divides by nothing."""
    kink, end = "one step, s on a kink", "after 3 steps"
    relu = Network.mlp([1, 1, 1])
    for network, name, on in (
        (relu, "backprop", True), (relu.training("adam"), "backprop", False),
        (relu.training("momentum"), "backprop", True),
        (Network.mlp([1, 1, 1], "tanh"), "backprop", False), (relu, "collapsed", True),
        (Network.mlp([1, 1, 1], fcsym.relu(slope_at_kink=1)), "collapsed", False),
    ):  # fmt: skip
        run = of_a_scheme(network, name)
        run.steps = 3
        rows = run.rows()
        weights = [f"W{n} by expand" for n in (1, 2)]
        assert [(row.quantity, row.case) for row in rows] == [
            ("y", "every step"), *((w, end) for w in weights), *((w, kink) for w in weights if on)
        ]  # fmt: skip
        assert not any(row.points or row.passed for row in rows)
        run.seen["y", "every step"] = Row("y", "every step", 2, 0.0, 1.0, {})
        assert run.rows()[0].points == 2 and len(run.rows()) == len(rows)


def test_a_derivative_counts_where_rounding_decides_no_gate_and_no_side_of_a_loss():
    """A unit or an error near a kink up to the bound; exactly on it where nothing was rounded, and that is noted."""
    network, bar, wide = Network.mlp([1, 2, 2], HAT, loss="l1"), 2.0**-20, 2.0**-10
    tally = bare(gradients._Tally, network=network, bar=bar)
    ((_, term, _),) = in_the_loss(network)
    scale = SimpleNamespace(of=lambda name: np.full((2, 2), wide / bar))

    def clear(s=0.75, s_true=0.75, away=0.5, y=1.0, y_true=1.0):
        """Of two points, of which the second is far from all kinks."""
        made, passed = ({"s1": np.full((2, 2), 0.75), network.output.name: np.ones((2, 2))} for _ in range(2))
        made[term.name] = np.full((2, 2), 0.5)
        made["s1"][0, 1], passed["s1"][0, 1], made[term.name][0, 1] = s, s_true, away
        made[network.output.name][0, 0], passed[network.output.name][0, 0] = y, y_true
        keep, on = tally._clear(made, passed, scale)
        assert keep[1] and not on[1]
        return bool(keep[0]), bool(on[0])

    assert clear() == (True, False) == clear(y=1.1)
    for kink in (0.0, 2.0):
        assert clear(kink, kink) == (True, True)
        for side in (-1, 1):
            for size, counts in ((wide / 2, False), (wide, False), (1.01 * wide, True)):
                assert clear(kink + side * size, kink + side * size / 4) == (counts, False)
                assert clear(kink + side * size, kink + side * size) == (True, False)
    for side in (-1, 1):
        for size, counts in ((wide / 2, False), (wide, False), (1.01 * wide, True)):
            assert clear(away=side * size) == (counts, False)
    assert clear(away=0.0) == (True, False) and clear(away=0.0, y=1.1) == (False, False)
