"""Points that are made for a purpose, each beside the purpose: where a unit is put, and where a step brings it.

Each takes a fraction of a second, so that points that miss what they aim at, which leave a check without any, are seen
by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking import aimed as aims
from fcsym.checking.aimed import _candidates, _inside, _move, _passing, _range, _stretched, aimed, placed
from fcsym.checking.points import (
    Points,
    activate,
    at_rest,
    draws,
    in_the_loss,
    lattice,
    near_kink,
    on_one_sample,
    pre_activations,
    random_points,
    remembered,
)
from fcsym.checking.tally import Tally
from fcsym.language.equation import Condition
from fcsym.networks.rules import RULES

DEEP = Network.mlp([2, 3, 2, 1], HAT, bias=True)
BENT = fcsym.piecewise_linear("bent", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, Fraction(1, 2), 1)])
"""With a slope on each of its pieces, so that a unit moves from there."""
ENDS = (-np.inf, 0.0, 2.0, np.inf)
"""Of the pieces of both: down to 0, up to 2, and from there."""


def drawn(network, count=50):
    return random_points(network, np.random.default_rng(3), count)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_unit_is_moved_to_where_it_is_wanted_and_no_other_one_is(layer):
    """Along what it reads; where that is nothing it stays."""
    points, rng = drawn(DEEP), np.random.default_rng(0)
    points.x[::5] = 0
    if layer:
        for n in (0, 1):
            points.weights[n][::5] = 0
    before = pre_activations(DEEP, points)
    unit, wanted = rng.integers(DEEP.widths[layer + 1], size=50), rng.normal(size=50)
    source = points.x if layer == 0 else np.select([before[0] <= 0, before[0] <= 2], [-before[0], before[0]], 2.0)
    reads, others = (source != 0).any(axis=-1), np.arange(DEEP.widths[layer + 1]) != unit[:, None]
    assert 5 < (~reads).sum() < 25
    _move(DEEP, points, layer, unit, wanted)
    after = pre_activations(DEEP, points)
    np.testing.assert_allclose(after[layer][~others][reads], wanted[reads], rtol=1e-9, atol=1e-12)
    assert (after[layer][~others][~reads] == before[layer][~others][~reads]).all()
    assert (after[layer][others] == before[layer][others]).all()
    assert all((after[n] == before[n]).all() for n in range(layer))


@pytest.mark.parametrize("above", [False, True])
def test_a_number_within_is_near_the_end_that_is_asked_for(above):
    """The only one where there is one alone; any number where there is none; never at the open end."""
    near = np.array([1e-3, 0.5, 3.0])
    for lower, upper in product(ENDS, ENDS):
        if lower >= upper:
            continue
        found = _inside(lower, upper, near, above)
        assert (lower < found).all() and (found <= upper).all()
        high = np.isfinite(upper) and (above or not np.isfinite(lower))
        if not np.isfinite(lower) and not np.isfinite(upper):
            assert (found == near).all()
        elif np.isinf(upper - lower):
            np.testing.assert_allclose(abs(found - (upper if high else lower)), near, rtol=1e-9)
        else:
            np.testing.assert_allclose(abs(found - (upper if high else lower)), np.minimum(near, 1), rtol=1e-9)


def test_conditions_put_a_unit_before_the_step_and_after_it_between_their_bounds():
    """What is said of other quantities puts it nowhere."""
    d = fcsym.derive(DEEP)
    s, other = d.by_name["s1"].lhs, d.by_name["v1"].lhs
    after = s.array.primed[s.indices]
    for bound in (Fraction(0), Fraction(3, 2)):
        for primed, subject in enumerate((s, after)):
            above, below = (Condition(subject, relation, bound) for relation in (">", "<="))
            for when, wanted in (
                ((above,), (float(bound), np.inf)),
                ((below,), (-np.inf, float(bound))),
                ((Condition(subject, "=", bound),), (-np.inf, np.inf)),
                ((above, Condition(subject, "<=", bound + 1)), (float(bound), float(bound) + 1)),
                ((Condition(other, ">", bound), Condition(other, "<=", bound)), (-np.inf, np.inf)),
            ):
                assert _range(when, bool(primed)) == wanted
                assert _range(when, not primed) == (-np.inf, np.inf)


def test_what_a_layer_reads_is_made_larger_and_its_weights_smaller():
    """Each network by a number of its own, so that s becomes up to four times as large, and half as large at least."""
    network, points = Network.mlp([2, 3, 2, 1]), drawn(Network.mlp([2, 3, 2, 1]))
    points.x[points.x == 0] = 1
    for layer in (1, 2, 3):
        made = _stretched(network, points, layer, np.random.default_rng(0))
        shares = [made.x / points.x]
        shares += [new / old for new, old in zip(made.weights, points.weights, strict=True)]
        each = [share.reshape(50, -1).mean(axis=1) for share in shares]
        for share, mean in zip(shares, each, strict=True):
            flat = share.reshape(50, -1)
            assert np.max(abs(flat / mean[:, None] - 1)) < 1e-12
        ratio, scale = each[layer - 1], each[layer - 1] * each[layer]
        assert 1 <= ratio.min() < 2 and 10 < ratio.max() <= 10**1.5
        assert (scale >= 0.5).all() and 3 < np.max(scale) <= 4 and np.min(scale) < 1
        assert all(np.max(abs(mean - 1)) < 1e-12 for n, mean in enumerate(each) if n not in (layer - 1, layer))
        assert (made.eta == points.eta).all() and (made.target == points.target).all()


def test_layers_pass_on_as_much_as_they_are_given():
    """Rows of about 1 in all, of positive weights; no unit of the first layer is below 0, and biases are small."""
    network = Network.mlp([1, 3, 2, 1], bias=True)
    made, ordinary = _passing(network, np.random.default_rng(3), 200), drawn(network, 200)
    assert (made.x == ordinary.x).all() and 10 < (made.x == 0).sum() < 50
    for array, one, other in zip(network.parameters, made.weights, ordinary.weights, strict=True):
        if one.ndim == 2:
            np.testing.assert_allclose(one, other / 10, rtol=1e-12)
            continue
        wanted = abs(other) + 0.1
        wanted = wanted / wanted.sum(axis=2).mean(axis=1)[:, None, None]
        below = (made.x < 0)[:, None, :] & (array == network.parameters[0])
        np.testing.assert_allclose(one, np.where(below, -wanted, wanted), rtol=1e-12)


def sides(d, name, case):
    """(lower, upper] of s before the step and after it, by the names of the pieces in that of the case."""
    names = [piece.name for piece in BENT.pieces]
    on = [names.index(word) for word in case.split(" -> ")]
    return [(ENDS[n], ENDS[n + 1]) for n in on]


CASES = [" -> ".join(pair) for pair in product([piece.name for piece in BENT.pieces], repeat=2)]


@pytest.mark.parametrize("case", CASES)
def test_the_step_size_is_the_one_that_brings_a_unit_to_its_piece(case):
    """From the piece before to the middle of the other one, or a tenth from its only end; and shares of that."""
    d = fcsym.derive(Network.mlp([2, 2, 1], BENT))
    kernel = d.compile()
    tries = list(aimed(d, [("dv1", case), ("dv1", "no such case"), ("y", case)], kernel, np.random.default_rng(1), 200))
    assert len(tries) == 5
    (low, high), (goal_low, goal_high) = sides(d, "dv1", case)
    goal = {0: -0.1, 1: 1.0, 2: 2.1}[ENDS.index(goal_low)]
    first = tries[0]
    made = first.step(kernel)
    s, after = made["s1"], made["s1_new"]
    there = (s > low) & (s <= high) & (abs(after - goal) < 1e-7)
    assert len(s) > 5 and there.any(axis=1).all()
    assert (first.eta < 1e3).all() and (first.eta > 0).all()
    assert ((goal_low < after[there]) & (after[there] <= goal_high)).all()
    # no other unit that is on this piece would have been there before
    with np.errstate(all="ignore"):
        sooner = (goal - s) / (after - s)
    assert not ((s > low) & (s <= high) & (after != s) & (sooner > 0) & (sooner < 1 - 1e-6)).any()
    for points, share in zip(tries, (1, 0.5, 0.25, 2, 4), strict=True):
        np.testing.assert_allclose(points.eta, first.eta * share, rtol=1e-15)
        assert all((a == b).all() for a, b in zip(points.weights, first.weights, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_candidates_for_a_case_start_on_one_piece_and_end_on_the_other(case):
    """A unit of each of them: near the end of its piece beside which the other one is, where they are two."""
    d = fcsym.derive(Network.mlp([2, 2, 1], BENT))
    kernel = d.compile()
    found = list(_candidates(d, "dv1", case, 0, kernel, np.random.default_rng(1), 40))
    (low, high), (goal_low, goal_high) = sides(d, "dv1", case)
    assert len(found) == 2 and len(found[0].x) > 2
    for points in found:
        made = points.step(kernel)
        s, after = made["s1"], made["s1_new"]
        on = (s > low) & (s <= high) & (after > goal_low) & (after <= goal_high)
        assert on.any(axis=1).all() and (points.eta < 1e3).all()
        if low != goal_low:
            end, goal = (high, goal_low) if low < goal_low else (low, goal_high)
            assert (on & (abs(s - end) <= 1 + 1e-9) & (abs(after - goal) <= 1 + 1e-9)).any(axis=1).all()


def test_at_most_eight_points_are_kept_of_those_of_a_case_and_none_that_runs_away(monkeypatch):
    """As many as there is room for at once, then the next ones; each is one in which its case occurs."""
    d = fcsym.derive(Network.mlp([1, 1, 1, 1]))
    kernel, tally = d.compile(), Tally(d, np.dtype(float))
    wanted = [key for key in tally.missing if "->" in key[1]][:4]
    monkeypatch.setattr(Tally, "missing", wanted)
    (made,) = placed(d, tally, kernel, np.random.default_rng(1))
    assert 8 < len(made.x) <= 4 * 8 * 2  # of a case there are two tries
    monkeypatch.setattr(aims, "MAX_NUMBERS", 3 * 64)
    parts = list(placed(d, tally, kernel, np.random.default_rng(1)))
    assert sum(len(part.x) for part in parts) == len(made.x)
    monkeypatch.setattr(aims, "MAX_NUMBERS", 3 * 5)
    parts = list(placed(d, tally, kernel, np.random.default_rng(1)))
    assert len(parts) > 1 and all(len(part.x) <= 5 + 2 * 5 for part in parts)
    monkeypatch.setattr(aims, "MAX_NUMBERS", 2)
    assert all(len(part.x) <= 2 for part in placed(d, tally, kernel, np.random.default_rng(1)))
    monkeypatch.undo()
    monkeypatch.setattr(Tally, "missing", wanted)
    monkeypatch.setattr(aims, "_TAME", 0.0)
    assert not list(placed(d, tally, kernel, np.random.default_rng(1)))


PHI = {"hat": (HAT, (0.0, 2.0)), "relu": ("relu", (0.0,)), "tanh": ("tanh", (0.0,))}


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("name", PHI)
def test_a_unit_is_near_a_kink_and_on_neither_side_by_rounding(name, layer):
    """On both sides of each kink; a smooth one near 0. Every other network has positive weights in all other layers."""
    phi, kinks = PHI[name]
    network, eps = Network.mlp([2, 4, 3, 1], phi, bias=True), 2.0**-52
    points = near_kink(network, np.random.default_rng(2), 400, layer, eps)
    s = pre_activations(network, points)[layer]
    away = np.stack([(s - kink) / max(abs(kink), 1) for kink in kinks], axis=-1)
    near = (abs(away) <= 0.01 * (1 + 1e-9)) & (abs(away) >= eps * 10**3.4)
    assert near.any(axis=(1, 2)).mean() > 0.85
    for n in range(len(kinks)):
        hits = away[..., n][near[..., n]]
        assert len(hits) > 100 / len(kinks) and 0.3 < (hits > 0).mean() < 0.7
        assert (abs(hits) < 1e-9).any() and (abs(hits) > 5e-3).any()
        assert near[..., n].any(axis=0).all()
    for array, weight in zip(network.parameters, points.weights, strict=True):
        own = array in network.feeding(layer + 1)
        assert (weight[::2] < 0).any() == own and (weight[1::2] < 0).any()


@pytest.mark.parametrize("rule", RULES)
def test_what_a_rule_carries_is_something_that_it_may_carry(rule):
    """Squares are not negative, and of powers of a number below 1 what they lack to 1 is between 0 and 1."""
    network = Network.mlp([2, 2, 1]).training(rule)
    found = remembered(network, np.random.default_rng(0), 400)
    if not network.memory:
        assert found is None
        return
    for array, values in zip(network.memory, found, strict=True):
        assert values.shape == (400, *network.shape(array))
        if not array.axes:
            assert (values > 0).all() and (values < 1).all() and np.unique(values).size > 10
            np.testing.assert_allclose(np.log(1 - values) / np.log(0.9), np.rint(np.log(1 - values) / np.log(0.9)))
        else:
            squares = (values >= 0).all()
            assert squares == array.name.startswith("Q")
            assert 0.2 < np.sqrt(np.mean(values if squares else values**2)) < 0.4


def test_exact_points_are_small_and_half_of_the_biases_are_nothing():
    """Integers and halves; eta is 1 or 1/2, an input is not all 0, and outputs are off by -1, 0, 1 or 2."""
    network = Network.mlp([3, 4, 2], bias=True)
    points = lattice(network, np.random.default_rng(0), 800)
    for array, weight in zip(network.parameters, points.weights, strict=True):
        whole = set(np.unique(weight))
        assert whole == ({-1, -0.5, 0, 0.5, 1, 2} if array in network.feeding(1) else {-1, 0, 1, 2})
        nothing = (weight == 0).mean()
        assert 0.45 < nothing < 0.55 if len(network.shape(array)) == 1 else 0.2 < nothing < 0.3
    assert set(np.unique(points.x)) == {-1, 0, 1} and (points.x != 0).any(axis=1).all()
    assert set(points.eta) == {0.5, 1.0}
    assert set(np.unique(pre_activations(network, points)[-1] - points.target)) == {-1, 0, 1, 2}


def test_as_many_points_of_each_kind_as_are_asked_for(monkeypatch):
    """All random ones, half as many exact ones, a quarter near kinks in all; never more than there is room for."""
    network = Network.mlp([2, 2, 2, 1])
    size = 2 * 2 + 2 * 2 + 2
    for trials in (4, 200):
        counts = {}
        for room in (10**6, 25):
            monkeypatch.setattr("fcsym.checking.points.MAX_NUMBERS", room * size)
            seen = {}
            for kind, points in draws(network, np.random.default_rng(0), trials, 2.0**-52):
                seen[kind] = seen.get(kind, 0) + len(points.x)
                assert len(points.x) <= room
            counts[room] = seen
        each = max(trials // 2, 16), 2 * max(trials // 8, 16)
        assert counts[10**6] == counts[25] == dict(zip(
            ("random points", "exact points", "points near kinks"), (trials, *each), strict=True
        ))  # fmt: skip


def test_points_are_chosen_and_converted_with_all_that_they_have():
    network = Network.mlp([2, 2, 1]).training("adam")
    points = drawn(network, 6)
    assert points.memory is not None and on_one_sample(network.training(network.rule, "mean")) == network
    for which in (np.array([4, 1]), np.array([False, True] * 3)):
        some = points.chosen(which)
        for one, other in zip(_all(some), _all(points), strict=True):
            assert (one == other[which]).all()
    for one, other in zip(_all(points.astype(np.float32)), _all(points), strict=True):
        assert one.dtype == np.float32 and (one == other.astype(np.float32)).all()
    plain = drawn(Network.mlp([2, 2, 1]), 2)
    assert plain.memory is plain.chosen([0]).memory is plain.astype(np.float32).memory is None


def _all(points: Points):
    return [*points.weights, points.x, points.target, points.eta, *points.memory]


LOSSES = {
    "l1": (lambda y, t: y - t, lambda y, t: y == t),
    "hinge": (lambda y, t: 1 - y * t, lambda y, t: y * t == 1),
    "huber": (lambda y, t: y - t, lambda y, t: abs(y - t) == 1),
    "squared": (None, None),
    "cross_entropy": (None, None),
}


@pytest.mark.parametrize("batch", ["", "mean"])
@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_kink_of_a_loss_is_of_is_read(loss, batch):
    """Of each output and its target: on a kink where they are so far apart, and as far from it as they are."""
    network = Network.mlp([1, 2], loss=loss)
    found = in_the_loss(network.training(network.rule, batch) if batch else network)
    of, on = LOSSES[loss]
    assert len(found) == (of is not None)
    rng = np.random.default_rng(0)
    y, t = (rng.choice([-2.0, -1, -0.5, 0, 0.5, 1, 2], size=(300, 2)) for _ in "yt")
    for phi, _, read in found:
        value, kinks = read(y, t), np.array(phi.kinks, float)
        assert (np.isin(value, kinks) == on(y, t)).all() and on(y, t).any()
        for one, wanted in zip(value.ravel(), of(y, t).ravel(), strict=True):
            assert one == wanted


ABOVE = fcsym.piecewise_linear("above", [fcsym.Piece(-1, -1, 1), fcsym.Piece(2, 0, 2), fcsym.Piece(None, 1)])


@pytest.mark.parametrize("phi", [HAT, BENT, ABOVE], ids=["hat", "bent", "above"])
def test_units_have_the_values_of_their_pieces(phi):
    network = Network.mlp([1, 1, 1], phi)
    s = [Fraction(n, 4) for n in range(-12, 13)]
    found = activate(network, 0, np.array([float(value) for value in s]))
    assert found.tolist() == [float(phi.value_at(value)) for value in s]
    assert activate(network, 1, found).tolist() == found.tolist()


def test_random_networks_are_ordinary_ones():
    """Weights of a variance of one over what a unit reads, biases half as large as a number of its own, every eighth
    input 0, and step sizes down to a thousandth.
    """
    network = Network.mlp([4, 25, 16], bias=True)
    points = random_points(network, np.random.default_rng(0), 4000)
    for array, weight in zip(network.parameters, points.weights, strict=True):
        shape = network.shape(array)
        assert np.std(weight) == pytest.approx(shape[1] ** -0.5 if len(shape) == 2 else 0.5, rel=0.03)
        assert abs(np.mean(weight)) < 0.02
    assert np.mean(points.x == 0) == pytest.approx(1 / 8, abs=0.02)
    assert np.std(points.x[points.x != 0]) == pytest.approx(1, rel=0.03) == np.std(points.target)
    logs = np.log10(points.eta)
    assert -3 <= logs.min() < -2.99 and -0.01 < logs.max() <= 0 and np.mean(logs) == pytest.approx(-1.5, abs=0.05)


def test_at_rest_half_of_the_arrays_are_nothing_and_the_others_as_they_were():
    """All of each, network by network; and half of the targets."""
    network = Network.mlp([2, 3, 2], bias=True)
    found, whole = (make(network, np.random.default_rng(0), 400) for make in (at_rest, lattice))
    for one, other in zip([*found.weights, found.target], [*whole.weights, whole.target], strict=True):
        assert one.shape == other.shape
        rows, same = one.reshape(400, -1), (one == other).reshape(400, -1).all(axis=1)
        nothing = (rows == 0).all(axis=1)
        assert (nothing | same).all() and 0.4 < nothing.mean() < 0.85
    assert (found.x == whole.x).all() and (found.eta == whole.eta).all()


def test_a_mini_batch_has_the_samples_of_the_networks_before():
    network = Network.mlp([2, 3])
    points, count = drawn(network, 5), 3
    made = points.in_batches(count)
    assert made.x.shape == (5, count, 2) and made.target.shape == (5, count, 3)
    for n, sample in product(range(5), range(count)):
        assert (made.x[n, sample] == points.x[(n - sample) % 5]).all()
        assert (made.target[n, sample] == points.target[(n - sample) % 5]).all()
    assert (made.eta == points.eta).all() and (made.weights[0] == points.weights[0]).all()


def test_one_point_is_several_of_which_there_is_one():
    network = Network.mlp([2, 2, 1]).training("adam")
    points = drawn(network, 3)
    alone = Points.of([w[1] for w in points.weights], points.x[1], points.target[1], points.eta[1],
                      [m[1] for m in points.memory])  # fmt: skip
    for one, other in zip(_all(alone), _all(points.chosen([1])), strict=True):
        assert one.shape == other.shape and (one == other).all()


def test_the_layer_of_a_unit_is_the_one_that_is_stretched(monkeypatch):
    network, seen, whole = Network.mlp([2, 2, 2, 1]), [], aims._stretched

    def stretched(network, points, layer, rng):
        seen.append(layer)
        return whole(network, points, layer, rng)

    monkeypatch.setattr(aims, "_stretched", stretched)
    d = fcsym.derive(network)
    for name in ("dv1", "dv2"):
        (case, *_) = [branch.name for branch in d.by_name[name].rhs]
        next(aimed(d, [(name, case)], d.compile(), np.random.default_rng(0), 100))
    assert seen == [1, 2]
