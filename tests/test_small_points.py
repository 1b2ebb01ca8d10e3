"""What a check compares: points that hit what they aim at, which of them count, and how far rounding may move each.

Each takes a fraction of a second, so that a fault in a check, which would let others pass, is seen by a test that is
quick.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from sympy import Matrix
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking.aimed import _at_rest, _candidates
from fcsym.checking.checker import _OneSample
from fcsym.checking.compensated import _inverse
from fcsym.checking.layer_oracles import Passing
from fcsym.checking.losses import loss_of_logits
from fcsym.checking.magnitude import Magnitude
from fcsym.checking.own_oracle import _Reading
from fcsym.checking.points import Points, lattice, pre_activations, random_points, small
from fcsym.checking.report import ULPS
from fcsym.checking.tally import Tally
from fcsym.checking.trajectory import _Comparison
from fcsym.checking.truth import Truth
from fcsym.errors import ArgumentError
from fcsym.language.equation import Cases
from fcsym.language.expression import Apply, Array, Axis, Index, Mul, Number, Pow, Total

DEEP = Network.mlp([2, 2, 2, 1], bias=True)
DOUBLE = np.dtype(float)


class Scale:
    """How far rounding moves each quantity, by hand: 1 of everything that is not named."""

    def __init__(self, **own):
        self.own = own

    def of(self, name):
        return np.full((1, 1), self.own.get(name, 1.0))


def beyond(value, by=1e-3):
    """A little further away from 0."""
    return value * (1 + by)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("kink", [0, 2])
def test_a_point_counts_where_rounding_decides_no_gate(kink, side):
    """A gate is decided by rounding up to the bound and not beyond it, and only where something was rounded."""
    d = fcsym.derive(Network.mlp([1, 1, 1], HAT))
    tally = Tally(d, DOUBLE)
    one = np.ones((1, 1, 1))
    points = Points([0.7 * one, one], one[0], one[0], np.array([0.01]))
    result, truth, *_ = tally.both(d.compile(), "simultaneous", points)[1:]
    truth = {name: np.asarray(value) for name, value in truth.items()}
    wide = 2.0**-10
    scale = Scale(s1=wide / tally._bar, s1_new=wide / tally._bar)

    def clear(own, true):
        return bool(tally._clear(result | own, truth | true, scale)[0])

    def at(value):
        return np.full((1, 1), value)

    assert clear({}, {})
    for name in ("s1", "s1_new"):
        for size, counts in ((wide / 2, False), (wide, False), (beyond(wide), True)):
            other = at(kink - side * size / 8)
            assert clear({name: at(kink + side * size)}, {name: other}) == counts, (name, size)
    near, far = at(kink + side * wide / 2), at(kink + side * wide / 4)
    assert clear({"s1": near}, {"s1": near}) and not clear({"s1": near}, {"s1": far})
    assert clear({"s1_new": near}, {"s1_new": far})  # which is on the same side
    scale = Scale(vc=wide / tally._bar)  # whether v^c is 0 decides which case of p holds
    for size, counts in ((wide / 2, False), (wide, False), (beyond(wide), True)):
        for own, true in ((0.0, side * size), (side * size, 0.0)):
            assert clear({"vc": at(own)}, {"vc": at(true)}) == counts
        assert clear({"vc": at(side * size)}, {"vc": at(2 * side * size)}) and clear({"vc": at(0)}, {"vc": at(0)})


def test_a_point_counts_where_a_first_order_bound_says_something():
    """Of phi(s') where rounding moves s' by 1 at most."""
    d = fcsym.derive(Network.mlp([1, 1, 1], "tanh"))
    tally, one = Tally(d, DOUBLE), np.ones((1, 1, 1))
    points = Points([0.7 * one, one], one[0], one[0], np.array([0.01]))
    result, truth, *_ = tally.both(d.compile(), "simultaneous", points)[1:]
    for size, counts in ((0.5, True), (1.0, True), (1.01, False)):
        assert tally._clear(result, truth, Scale(s1_new=size / tally._bar)).all() == counts


def test_two_pieces_are_apart_by_rounding_at_their_kink_alone():
    """v' may be that of either, by as much as s' is rounded: at 0 and at 2, and not at -2."""
    d = fcsym.derive(Network.mlp([1, 1, 1], HAT))
    tally, wide = Tally(d, DOUBLE), 2.0**-10
    scale = Scale(s1_new=wide / tally._bar)
    for kink, found in ((0.0, wide), (2.0, wide), (-2.0, 0.0), (1.0, 0.0)):
        for off, there in ((0.0, True), (wide, True), (-wide, True), (beyond(wide), False)):
            spread = tally._spread("v1", {"s1_new": np.full((1, 1), kink + off)}, scale)
            assert spread.tolist() == [[found if there else 0.0]], (kink, off)
    assert tally._spread("y", {}, scale) == 0


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "tanh", HAT], ids=["relu", "leaky", "tanh", "hat"])
def test_what_occurs_is_possible(phi):
    """No case that exact points reach is among those that are proved impossible."""
    d = fcsym.derive(Network.mlp([2, 2, 1], phi))
    tally = Tally(d, DOUBLE)
    result = lattice(d.network, np.random.default_rng(0), 400).step(d.compile())
    reached = {
        (name, case) for name in tally.names if name in result for case, mask in tally.cases(name, result) if mask.any()
    }
    assert reached >= {key for key in tally.expected if key[1].startswith("s = ")}
    assert not [key for key, impossible in tally.expected.items() if impossible and key in reached]


@pytest.mark.parametrize("layer", [0, 1])
def test_a_layer_at_rest_is_at_0_and_stays_there_where_it_is_to(layer):
    """One of its units before the step, exactly; and after it, where the output has no error."""
    kernel, rng = fcsym.derive(DEEP).compile(), np.random.default_rng(0)
    still, moving = _at_rest(DEEP, layer, rng, 50)
    for points in (still, moving):
        assert (pre_activations(DEEP, points)[layer][:, 0] == 0).all()
    made, moved = still.step(kernel), moving.step(kernel)
    s = f"s{layer + 1}"
    assert (made["y"] == still.target).all() and (made["E"] == 0).all()
    assert (made[f"{s}_new"] == made[s]).all() and (moved[f"{s}_new"] != moved[s]).any()


def test_where_a_case_needs_a_number_to_be_0_it_is():
    """What is tried first for it; for cases of inequalities alone no unit is put at 0."""
    d = fcsym.derive(Network.mlp([2, 2, 2, 1], "leaky_relu", bias=True))
    kernel, rng, some = d.compile(), np.random.default_rng(0), set()
    for equation in d.equations:
        for branch in equation.rhs if isinstance(equation.rhs, Cases) else ():
            equal = any(condition.relation in ("=", "!=") for condition in branch.when)
            points = next(_candidates(d, equation.name, branch.name, 1, kernel, rng, 40))
            assert (pre_activations(d.network, points)[1][:, 0] == 0).all() == equal, (equation.name, branch.name)
            some.add(equal)
    assert some == {True, False}


@pytest.mark.parametrize("phi", ["relu", "tanh"])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_a_batch_of_one_sample_is_that_sample(order, phi):
    """Every quantity, with its shape, and the marks of what is undefined."""
    network, rng = Network.mlp([2, 2, 1], phi, bias=True), np.random.default_rng(0)
    alone = fcsym.derive(network, order)
    points = lattice(network, rng, 60)
    for batch in ("sum", "mean"):
        d = fcsym.derive(network.training(network.rule, batch), order)
        names = {a.name for a in d.compile().results}
        found = _OneSample(d.compile()).step(*points[:4], undefined="nan")._asdict()
        wanted = alone.compile().step(*points[:4], undefined="nan")._asdict()
        for name in found.keys() & wanted.keys() & names - {"p", "r", "y_front"}:  # of all samples together
            assert found[name].shape == wanted[name].shape, name
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-14, err_msg=name)
        assert found["undefined"].shape == (60,)


GRAMS = {
    "one": [[3]],
    "two": [[2, 1], [1, 3]],
    "with a pivot below": [[0, 2, 1], [2, 5, 0], [1, 0, 1]],
    "three": [[9, 1, -2], [1, 4, 1], [-2, 1, 7]],
}
NO_INVERSE = {
    "dependent": [[1.0, 2.0], [2.0, 4.0]],
    "nothing": [[0.0, 0.0], [0.0, 0.0]],
    "infinite": [[np.inf]],
    "infinite beside others": [[np.inf, 0.0], [0.0, 1.0]],
    "infinite between two": [[1.0, np.inf], [np.inf, 1.0]],
    "no number": [[1.0, 0.0], [0.0, np.nan]],
}


def test_the_inverse_of_the_oracle_is_that_of_rational_numbers():
    """One matrix after another, also many at once; what is not positive is not asked for."""
    for gram in GRAMS.values():
        rows = np.array(gram, np.longdouble)
        rows = rows.T @ rows
        exact = Matrix(np.array(rows, int).tolist()).inv()
        for found in (_inverse(rows), *_inverse(np.stack([rows, rows])), _inverse(rows[None, None])[0, 0]):
            for place in np.ndindex(rows.shape):
                assert float(found[place]) == pytest.approx(float(exact[place]), rel=1e-15, abs=1e-16)


@pytest.mark.parametrize("name", NO_INVERSE)
def test_where_there_is_no_inverse_there_is_no_number(name):
    """Beside others, which have theirs."""
    gram = np.array(NO_INVERSE[name], np.longdouble)
    found = _inverse(np.stack([gram, np.eye(len(gram), dtype=np.longdouble) / 4]))
    assert np.isnan(found[0]).any() and (found[1] == 4 * np.eye(len(gram))).all()


@pytest.mark.parametrize("exponent", [2, 3])
def test_a_power_is_off_by_as_much_as_a_product(exponent):
    """Of factors that are the same, also where they are 0."""
    d = fcsym.derive(Network.mlp([1, 1, 1]))
    points = lattice(d.network, np.random.default_rng(0), 40)
    given = {"W1": points.weights[0], "W2": points.weights[1], "x": points.x, "yg": points.target, "eta": points.eta}
    made = Magnitude(d, given, points.step(d.compile()), 2.0**-48)
    s = d.by_name["s1"].lhs
    rng = np.random.default_rng(0)
    for off in (1.0, 2.0**10, 2.0**30):
        made.known["s1"] = off * rng.random((40, 1))
        powers, products = (made._size(node, s.indices) for node in (Pow(s, exponent), Mul((s,) * exponent)))
        at = np.abs(made.values["s1"]).astype(np.longdouble)
        np.testing.assert_allclose(powers[0], at**exponent, rtol=1e-15)
        np.testing.assert_allclose(products[0], at**exponent, rtol=1e-15)
        # (s + e)^n - s^n, where e is what the bar makes of it
        np.testing.assert_allclose(powers[1], products[1], rtol=1e-12)
        bar, known = 2.0**-48, made.known["s1"]
        more = {2: bar * known**2, 3: 3 * bar * at * known**2 + bar**2 * known**3}[exponent]
        np.testing.assert_allclose(powers[1], exponent * at ** (exponent - 1) * known + more, rtol=1e-12)


@pytest.mark.parametrize("batch", ["", "sum", "mean"])
@pytest.mark.parametrize("loss", ["squared", "cross_entropy", "bce_logits", "l1"])
def test_losses_of_the_oracle_are_summed_over_a_batch(loss, batch):
    """Each network's own: of each sample by hand, then the sum or the mean of them."""
    network = Network.mlp([1, 2], loss=loss)
    network = network.training(network.rule, batch) if batch else network
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(3, 4, 2)), rng.random((3, 4, 2))
    t /= t.sum(axis=-1, keepdims=True)
    each = {
        "squared": lambda: ((y - t) ** 2).sum(-1) / 2,
        "cross_entropy": lambda: np.log(np.exp(y).sum(-1)) - (t * y).sum(-1),
        "bce_logits": lambda: (np.log(1 + np.exp(y)) - t * y).sum(-1),
        "l1": lambda: abs(y - t).sum(-1),
    }[loss]()
    wanted = {"": each, "sum": each.sum(axis=1), "mean": each.sum(axis=1) / 4}[batch]
    np.testing.assert_allclose(loss_of_logits(network, y, t), wanted, rtol=1e-12)


def pieces(*kinks):
    """Slopes of 0, 1, 0, 1, ... between these, with 0 up to the first."""
    made, value, before = [], Fraction(0), Fraction(0)
    for n, kink in enumerate((*kinks, None)):
        made.append(fcsym.Piece(kink, n % 2, value - (n % 2) * before))
        value, before = (value + (n % 2) * (kink - before), kink) if kink is not None else (value, before)
    return fcsym.piecewise_linear("own", made)


def test_kinks_that_exact_points_hit_are_those_that_are_asked_for():
    """Every one of a small network, and no other."""
    network = Network.mlp([1, 1, 1], pieces(Fraction(1, 3), Fraction(1, 2), Fraction(2), Fraction(5, 2), Fraction(3)))
    run = _Comparison(fcsym.scheme(network, "backprop"), "simultaneous", DOUBLE, 1, None)
    s = pre_activations(network, lattice(network, np.random.default_rng(0), 500))[0]
    hit = [kink for kink in network.layers[0].activation.kinks if (s == float(kink)).any()]
    assert [kink for _, kink in run._kinks] == hit == [Fraction(1, 2), 2]


@pytest.mark.parametrize("name", ["backprop", "states", "weights"])
def test_what_a_trajectory_may_be_off_by_is_no_less_than_rounding(name, monkeypatch):
    """Of the weights at the end: 16 roundings of the largest, and 16 times what rounding made of them."""
    seen, record = {}, _Comparison._record

    def recorded(self, quantity, case, found, true, bound, keep, step, inputs):
        seen[quantity, case] = found, true, bound, keep, step
        return record(self, quantity, case, found, true, bound, keep, step, inputs)

    monkeypatch.setattr(_Comparison, "_record", recorded)
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), name)
    report = fcsym.check(scheme, trials=20, seed=0, steps=3)
    assert report.passed
    for quantity, case in (("W1 by expand", "after 3 steps"), ("W2 by expand", "after 3 steps")):
        _, true, bound, keep, step = seen[quantity, case]
        size = np.abs(true).reshape(len(true), -1).max(axis=1)
        least = bound.reshape(len(bound), -1).min(axis=1)
        assert step == 3 and (least[keep] >= ULPS * np.finfo(float).eps * size[keep]).all()
        assert (least[keep] <= 100 * ULPS * np.finfo(float).eps * size[keep] * 3).mean() > 0.5
    for row in report.rows:
        if "one step" in row.case:
            assert row.where["step"] == 1 and seen[row.quantity, row.case][4] == 1


def test_as_many_numbers_as_a_batch_has_samples():
    """What a mean divides by is exact."""
    network = Network.mlp([1, 1, 1])
    d = fcsym.derive(network.training(network.rule, "mean"))
    points = lattice(network, np.random.default_rng(0), 5).in_batches(3)
    given = {"W1": points.weights[0], "W2": points.weights[1], "x": points.x, "yg": points.target, "eta": points.eta}
    made = Magnitude(d, given, points.step(d.compile()), 2.0**-48)
    samples = d.by_name["s1"].lhs.indices[:1]
    size, moved = made._size(Total(samples, Number(Fraction(1))), ())
    assert (size == 3).all() and (moved == 0).all()


def test_units_of_exact_points_read_about_three_numbers():
    """Half as many where a network is deep: what they sum up stays small, however wide it is."""
    for widths, least, most in (([60, 60, 1], 2.0, 4.0), ([60, 60, 60, 60, 1], 1.0, 2.0)):
        points = lattice(Network.mlp(widths), np.random.default_rng(0), 20)
        for weight in points.weights:
            assert least < (weight != 0).sum(axis=-1).mean() < most


def test_small_weights_are_those_of_ordinary_networks_made_smaller():
    """By one number for each array, down to a thousandth."""
    network = Network.mlp([3, 3, 1], bias=True)
    for seed in range(10):
        found, ordinary = (make(network, np.random.default_rng(seed), 4) for make in (small, random_points))
        for one, other in zip(found.weights, ordinary.weights, strict=True):
            share = one / other
            assert np.ptp(share) < 1e-12 and 1e-3 <= share.flat[0] <= 1


@pytest.mark.parametrize("loss", ["half_mse", "mse", "huber", "hinge", "bce"])
def test_a_loss_of_the_oracle_is_that_of_its_definition(loss):
    """Output by output in plain Python, far from kinks and on both sides of them."""
    network = Network.mlp([1, 2], loss=loss, **({"output": "sigmoid"} if loss == "bce" else {}))
    rng = np.random.default_rng(0)
    s, t = 2 * rng.normal(size=(20, 2)), rng.random((20, 2))
    found = loss_of_logits(network, s, t)
    for value, logits, goals in zip(found, s.tolist(), t.tolist(), strict=True):
        each = []
        for a, b in zip(logits, goals, strict=True):
            y, off = 1 / (1 + np.exp(-a)), abs(a - b)
            each.append(
                {
                    "half_mse": off**2 / 4,
                    "mse": off**2 / 2,
                    "huber": off**2 / 2 if off <= 1 else off - 0.5,
                    "hinge": max(0.0, 1 - a * b),
                    "bce": -b * np.log(y) - (1 - b) * np.log(1 - y),
                }[loss]
            )
        assert float(value) == pytest.approx(sum(each), rel=1e-12)


def test_weights_are_rounded_as_far_as_the_largest_of_their_unit():
    """Also those that are 0 beside it; one that has terms that are larger as far as these; the exact ones never."""
    network, eps = Network.mlp([3, 2, 1], bias=True), 2.0**-20
    weights = [np.zeros((40, *network.shape(a))) for a in network.parameters]
    weights[0][:, 0, 0], weights[0][:, 1, 2], weights[1][:, 1] = 4.0, 0.5, 2.0
    made = Truth(network, "simultaneous", weights, np.random.default_rng(0), eps)
    for stack, exact in zip(made.weights, weights, strict=True):
        assert (stack[0] == exact).all()
    moved = np.abs(made.weights[0][1:] - weights[0])
    for unit, size in ((0, 4.0), (1, 0.5)):
        for place in range(3):
            assert size * eps / 2 < moved[:, :, unit, place].max() <= size * eps, (unit, place)
    shift = np.abs(made.weights[1][1:] - weights[1])
    assert (shift[..., 0] == 0).all() and eps < shift[..., 1].max() <= 2 * eps
    made._round({"W2": np.full((40, 1, 2), 8.0)})
    assert 4 * eps < np.abs(made.weights[2][1:]).max() <= 8 * eps and (made.weights[2][0] == 0).all()


@pytest.mark.parametrize("kind", ["random points", "exact points", "points near kinks"])
def test_derivatives_of_mini_batches_are_checked_in_several_samples(kind, monkeypatch):
    """Three, of exact points two; near kinks one sample alone, whose networks are made for it."""
    network, seen, label = Network.mlp([1, 1, 1]), {}, []
    in_batches = Points.in_batches

    def counted(self, count):
        seen.setdefault(label[-1], set()).add(count)
        return in_batches(self, count)

    monkeypatch.setattr(Points, "in_batches", counted)
    derivatives = fcsym.gradient(network.training(network.rule, "sum"), by="W1")
    assert fcsym.check(derivatives, trials=20, seed=0, progress=label.append).passed
    assert seen[kind] == {{"random points": 3, "exact points": 2, "points near kinks": 1}[kind]}


def test_a_function_within_an_equation_of_one_s_own_is_read():
    """Of each number; a derivative is nothing that such an equation has."""
    axis = Axis("i")
    index, array = Index(axis, "i"), Array("s", None, (axis,))
    value = np.array([[[-1.5, 0.0, 2.0]]], np.longdouble)
    reading = object.__new__(_Reading)
    reading.at, reading.known, reading.sizes = Passing([]), {array: (value, value)}, {axis: 3}
    phi = Network.mlp([1, 1, 1], "tanh").layers[0].activation
    for node in (Apply(phi, array[index], 0), Mul((Number(Fraction(2)), Apply(phi, array[index], 0)))):
        found, seen = reading.value(node, (index,))
        np.testing.assert_allclose(found, (2 if isinstance(node, Mul) else 1) * np.tanh(value), rtol=1e-15)
        assert (np.asarray(seen) == np.asarray(found)).all()
    with pytest.raises(ArgumentError, match="nothing that a check"):
        reading.value(Apply(phi, array[index], 1), (index,))
