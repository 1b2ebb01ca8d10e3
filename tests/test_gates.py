"""Gates that are decided exactly: sums that cancel to 0 or to the last bit, and bounds that are never exceeded."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from fcsym import Network, derive, relu, scheme
from fcsym.errors import CompileError
from fcsym.kernel.gated import Gates, gates_of
from fcsym.kernel.running import Near, Running
from fcsym.language.activation import Piece, piecewise_linear
from fcsym.layers import AvgPool2d, Conv2d, Flatten, Linear

MANY = 60


def cancelling(rng, count, dtype=np.float64):
    """Weights of `count` units with six inputs of 1: exactly 0, or a least number above or below it, in any order."""
    rows = []
    for _ in range(count):
        a, b, c = (dtype(v) for v in rng.normal(size=3) * 2.0 ** rng.integers(-40, 40, 3))
        total = a + b + c
        rest = Fraction(float(a)) + Fraction(float(b)) + Fraction(float(c)) - Fraction(float(total))
        first = dtype(float(rest))
        second = rest - Fraction(float(first))  # of three numbers nothing is left after two roundings, or a third one
        row = [a, b, c, -total, -first, -dtype(float(second)) + dtype(rng.choice([0, 1, -1])) * np.finfo(dtype).tiny]
        rows.append(rng.permutation(np.array(row, dtype)))
    return np.array(rows, dtype)


def sign(number):
    return int(number > 0) - int(number < 0)


def exact_sums(weights, x):
    """sum_j W_ij x_j in fractions."""
    return [sum(Fraction(float(w)) * Fraction(float(v)) for w, v in zip(row, x, strict=True)) for row in weights]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_that_cancel_are_on_the_right_side(dtype):
    rng = np.random.default_rng(3)
    net = Network.parse("6-4-1")
    weights = [cancelling(rng, 4 * MANY, dtype).reshape(MANY, 4, 6), rng.normal(size=(MANY, 1, 4)).astype(dtype)]
    x, target = np.ones(6, dtype), np.ones(1, dtype)
    plain, gated = derive(net).compile(), derive(net).compile(gates="exact")
    seen, made = (k.step(weights, x, target, 0.1, undefined="nan") for k in (plain, gated))
    truth = np.array([[sign(s) for s in exact_sums(w, x)] for w in weights[0]])
    assert {-1, 0, 1} <= set(truth.ravel())
    assert made.s1.dtype == dtype and np.array_equal(np.sign(made.s1), truth)
    assert np.array_equal(made.v1 > 0, truth > 0)
    wrong = np.count_nonzero((seen.s1 > 0) != (truth > 0))
    assert wrong > MANY / 10  # or nothing was tested
    gates = gates_of(gated, plain, weights, x, target, 0.1)
    assert gates.wrong >= wrong and gates.open == 0 and gates.balls + gates.exact <= gates.compared
    np.testing.assert_allclose(made.s1, seen.s1, atol=4 * np.finfo(dtype).eps * np.abs(weights[0]).sum(axis=-1).max())


def trained(weights, x, target, eta):
    """A step of a network with one hidden layer of ReLUs in fractions: s1 before it and after it, and W1 after it."""
    (w1, w2), x = ([[[Fraction(float(w)) for w in row] for row in m] for m in weights], [Fraction(float(v)) for v in x])
    s = [sum(a * b for a, b in zip(row, x, strict=True)) for row in w1]
    delta = sum(w * max(a, 0) for w, a in zip(w2[0], s, strict=True)) - Fraction(float(target))
    moved = [Fraction(float(eta)) * delta * w * (a > 0) for w, a in zip(w2[0], s, strict=True)]
    after = [[w - m * v for w, v in zip(row, x, strict=True)] for row, m in zip(w1, moved, strict=True)]
    return s, [sum(a * b for a, b in zip(row, x, strict=True)) for row in after], after


def test_units_that_are_trained_to_zero_are_on_the_right_side_after_the_step():
    """s1' = w - eta delta, where eta delta is w but for the rounding of 3/10 or 1/10, or w itself."""
    rng, net, wrong, reached = np.random.default_rng(4), Network.parse("2-2-1"), 0, set()
    plain, gated = derive(net).compile(), derive(net).compile(gates="exact")
    for _ in range(MANY):
        k, other = (float(n) for n in rng.integers(1, 2**20, 2))
        first, delta, eta = [(3 * k, 10 * k, 0.3), (k, 10 * k, 0.1), (k, 4 * k, 0.25)][rng.integers(3)]
        weights, x = [np.array([[first, 1.0], [other, 1.0]]), np.array([[1.0, 0.5]])], np.array([1.0, 0.0])
        target = first + other / 2 - delta
        made = gated.step(weights, x, [target], eta, undefined="nan")
        s, after, _ = trained(weights, x, target, eta)
        reached.add(sign(after[0]))
        assert [sign(v) for v in made.s1] == [sign(v) for v in s]
        assert [sign(v) for v in made.s1_new] == [sign(v) for v in after]
        wrong += gates_of(gated, plain, weights, x, [target], eta).wrong
    assert reached == {-1, 0, 1} and wrong > MANY / 10


def test_deeper_layers_follow_from_gates_that_are_right():
    """The second layer reads what the first one's gates let through: a unit that rounding turned on would be read."""
    rng, net = np.random.default_rng(5), Network.parse("6-4-3-1")
    w1, w2 = cancelling(rng, 4, np.float64), rng.normal(size=(3, 4)) * 2.0**1000
    made = derive(net).compile(gates="exact").step([w1, w2, np.ones((1, 3))], np.ones(6), [0.0], 0.0, undefined="nan")
    v = [max(s, 0) for s in exact_sums(w1, np.ones(6))]
    truth = [sum(Fraction(float(w)) * a for w, a in zip(row, v, strict=True)) for row in w2]
    assert [sign(s) for s in made.s2] == [sign(s) for s in truth]


def test_balls_decide_behind_a_smooth_function_and_say_where_they_cannot():
    net = Network.mlp([1, 2, 1, 1], activation=["tanh", "relu"])
    near = np.nextafter(1.0, 2.0)
    kernel = derive(net).compile(gates="exact")

    def step(w):
        return kernel.step([[[8 * w], [8.0]], [[1.0, -1.0]], [[1.0]]], [1.0], [0.0], 0.1, undefined="nan")

    made = step(near)
    with mpmath.workdps(60):
        truth = mpmath.tanh(8 * mpmath.mpf(near)) - mpmath.tanh(8)
    assert truth > 0 and made.s2[0] > 0 and abs(float(truth) / made.s2[0] - 1) < 1e-12
    assert np.tanh(8 * near) == np.tanh(8.0)  # which is what plain floating point sees
    assert kernel.gated.gates.balls > 0
    step(1.0)  # exactly 0, which no ball shows
    assert kernel.gated.gates.open > 0


def test_a_kink_between_two_floats_is_where_it_is():
    """1/10 is below the float 0.1, so that a unit at 0.1 is above its kink."""
    phi = piecewise_linear("late", [Piece("1/10", 0), Piece(None, 1, "-1/10")])
    net = Network.mlp([1, 1, 1], activation=phi)
    given = ([[[0.1]], [[1.0]]], [1.0], [0.0], 0.0)
    plain, gated = (derive(net).compile(gates=gates).step(*given, undefined="nan") for gates in ("float", "exact"))
    assert plain.v1[0] == 0.0 < gated.v1[0] < 1e-16
    assert Fraction(0.1) > Fraction(1, 10)


NETWORKS = {
    "leaky, biases": derive(Network.mlp([3, 4, 3, 2], activation="leaky_relu", bias=True), "sequential"),
    "tanh, cross-entropy": derive(Network.mlp([3, 3, 2], activation="tanh", loss="cross_entropy")),
    "Adam, mini-batch": derive(Network.mlp([3, 3, 2], loss="huber"), rule="adam", batch="mean", samples=2),
    "convolution": derive(
        Network.sequential((1, 4, 4), [Conv2d(1, 2, 2), "relu", AvgPool2d(3), Flatten(), Linear(2, 1)])
    ),
}  # fmt: skip


def fractions(array):
    """The floats themselves, and not the decimals that they are written as."""
    return [fractions(one) for one in array] if np.ndim(array) else Fraction(float(array))


@pytest.mark.parametrize("name", NETWORKS)
def test_no_bound_is_exceeded(name, monkeypatch):
    d = NETWORKS[name]
    kernel, rng = d.compile(gates="exact"), np.random.default_rng(6)
    net, seen, checked = kernel.network, {}, 0
    run = Running.run

    def watched(self, given):
        self.settle = lambda name, near: seen.setdefault(name, near)
        return run(self, given)

    monkeypatch.setattr(Running, "run", watched)
    for draw in range(4):
        seen.clear()
        size = 2.0 ** rng.integers(-30, 30) if draw % 2 else 1.0
        lead = (2,) * bool(net.batch)
        weights = [rng.normal(size=net.shape(a)) * size for a in net.parameters]
        memory = [np.abs(rng.normal(size=net.shape(a))) for a in net.memory] or None
        x = rng.normal(size=(*lead, *net.lengths(net.input)[len(lead) :]))
        target = np.abs(rng.normal(size=(*lead, *net.lengths(net.target)[len(lead) :])))
        target = target / target.sum(axis=-1, keepdims=True)
        kernel.step(weights, x, target, 0.1, undefined="nan", memory=memory)
        own = None if memory is None else [fractions(m) for m in memory]
        exact = kernel.exact([fractions(w) for w in weights], fractions(x), fractions(target), Fraction(0.1), own)
        for field in exact._fields:
            if field not in seen:
                continue
            values = np.ravel(np.array(getattr(exact, field), dtype=object))
            for value, got, error in zip(values, seen[field].value.flat, seen[field].error.flat, strict=True):
                if value is None or not np.isfinite(error):
                    continue
                distance = abs(value - Fraction(float(got))) if np.isfinite(got) else 0
                middle = float(distance.middle) if hasattr(distance, "middle") else float(distance)
                assert middle <= error, (field, value, got, error)
                checked += 1
    assert checked > 100


@pytest.mark.parametrize("name", ["backprop", "states", "history", "basis"])
def test_schemes_have_them_too(name):
    rng, net = np.random.default_rng(7), Network.parse("6-3-1")
    plain, gated = (scheme(net, name).compile(gates=gates) for gates in ("float", "exact"))
    x, wanted = np.ones(6), []
    weights = [cancelling(rng, 3), np.array([[1.0, 2.0, -1.0]])]
    for kernel in (plain, gated):
        state = kernel.init(weights, x)
        wanted.append(kernel.expand(kernel.step(state, x, [0.25], 2.0**-6), weights, x))
    if name == "backprop":
        assert any(np.any(a != b) for a, b in zip(*wanted, strict=True))
        for got, truth in zip(wanted[1][0], trained(weights, x, 0.25, 2.0**-6)[2], strict=True):
            np.testing.assert_allclose(got, np.array(truth, float), rtol=1e-12)
    ordinary = [rng.normal(size=net.shape(a)) for a in net.parameters]
    ends = []
    for kernel in (plain, gated):
        state = kernel.run(kernel.init(ordinary, x), np.stack([x, x]), [[1.0], [1.0]], 0.01)
        ends.append([kernel.output(state, x), *kernel.expand(state, ordinary, x)])
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_what_cannot_be_is_refused_in_one_sentence():
    net = Network.parse("2-2-1")
    for asked in (
        lambda: derive(net).compile(gates="right"), lambda: scheme(net, "states").compile(gates="right"),
        lambda: derive(net).compile("lambdify", gates="exact"), lambda: scheme(net, "states").compile("c", "exact"),
    ):  # fmt: skip
        with pytest.raises(CompileError, match=r"choose float or exact\.$|leave one of them out\.$"):
            asked()
    kernel = scheme(net, "backprop").compile(gates="exact")
    with pytest.raises(CompileError, match="use step or run"):
        kernel.bind(kernel.init([np.ones((2, 2)), np.ones((1, 2))]), [1, 1], [1], 0.1)
    with pytest.raises(CompileError, match="use step or run"):
        kernel.batch([kernel.init([np.ones((2, 2)), np.ones((1, 2))])])


def test_counts_add_up():
    assert Gates(3, 1, 0, 0, 1) + Gates(4, 0, 2, 1, 0) == Gates(7, 1, 2, 1, 1)


def test_exact_gates_after_a_step_with_momentum_are_those_of_its_own_numbers():
    """W' = 1 - 9/10 where there is no gradient: the unit stays above 0 by a tenth."""
    d = derive(Network.mlp([1, 1, 1]), rule="momentum")
    one, none = np.ones((1, 1)), np.zeros((1, 1))
    step = d.compile(gates="exact").step([one, none], [1.0], [0.0], 1.0, memory=[one, none])
    np.testing.assert_allclose(step.W1_new, [[0.1]])
    np.testing.assert_allclose(step.v1_new, [0.1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_product_below_all_floats_is_not_nothing(dtype):
    """Of 0.25 and the least number nothing is left in floating point, and s1 = 0.125 least numbers is above 0."""
    least = np.finfo(dtype).smallest_subnormal
    x, target, eta = np.array([0.25, 0.125], dtype), np.ones(1, dtype), dtype(0.1)
    for first, sides in (([least, -least], 1), ([-least, least], -1), ([least, -2 * least], 0)):
        weights = [np.array([first], dtype), np.ones((1, 1), dtype)]
        for name in (None, "backprop", "states", "history"):
            if name is None:
                made = derive(Network.parse("2-1-1")).compile(gates="exact").step(weights, x, target, eta)
                assert sign(made.s1[0]) == sides and made.g1[0] == (sides > 0)
                continue
            kernel = scheme(Network.parse("2-1-1"), name).compile(gates="exact")
            state = kernel.init(weights, x)
            moved = kernel.expand(kernel.step(state, x, target, eta), weights, x)
            np.testing.assert_allclose(moved[0][0], (sides > 0) * x / 10, atol=1e-7 if sides > 0 else 1e-30)


def test_a_sum_of_anything_else_below_all_floats_is_not_nothing():
    """A hidden unit at 1e-200 is read with the weight 1e-200, and with a kink at 0 that is above it."""
    tiny, one = np.full((1, 1), 1e-200), np.ones((1, 1))
    made = derive(Network.mlp([1, 1, 1, 1])).compile(gates="exact").step([one, tiny, one], [1e-200], [1.0], 0.1)
    assert made.s2[0] > 0 and made.g2[0] == 1


def test_in_single_precision_the_kink_is_where_it_is_too():
    """The float32 next to 1/10 is above it."""
    phi = piecewise_linear("late", [Piece("1/10", 0), Piece(None, 1, "-1/10")])
    kernel = derive(Network.mlp([1, 1, 1], activation=phi, bias=[True, False])).compile(gates="exact")
    one = np.ones((1, 1), np.float32)
    for value, on in ((np.float32(0.1), 1), (np.nextafter(np.float32(0.1), np.float32(0)), 0)):
        given = ([0 * one, value * one[0], one], one[0], one[0], np.float32(0))  # nothing is rounded but the kink
        assert kernel.step(*given, undefined="nan").g1[0] == on
    assert Fraction(float(np.float32(0.1))) > Fraction(1, 10)


def test_nothing_of_what_is_beyond_the_range_is_nothing():
    """v1 = 1e400 is infinite in floating point, and 0 times that not a number."""
    huge, none = np.full((1, 1), 1e200), np.zeros((1, 1))
    net = Network.mlp([1, 1, 1, 1], activation=["relu", relu("1/2")])
    made = derive(net).compile(gates="exact").step([huge, none, none], [1e200], [0.0], 0.1, undefined="nan")
    assert made.s2[0] == 0 and made.g2[0] == 0.5


def test_what_a_state_carries_keeps_its_side():
    """1 + 1e-17 - 1 in any order, kept as a pre-activation by `states`: init and step do not round it away."""
    net, x, target = Network.parse("3-1-1"), np.ones(3), [1.0]
    for row in ([1.0, 1e-17, -1.0], [1e-17, 1.0, -1.0], [1.0, -1.0, 1e-17]):
        kernel = scheme(net, "states").compile(gates="exact")
        state = kernel.init([np.array([row]), np.ones((1, 1))], x)
        assert state.s1[0] == 1e-17
        assert scheme(net, "states").compile(gates="exact").step(state, x, target, 0.5).s1[0] > 1
    wide = scheme(Network.parse("6-4-1"), "states").compile(gates="exact")
    rng = np.random.default_rng(8)
    weights = [cancelling(rng, 4 * MANY).reshape(MANY, 4, 6), rng.normal(size=(MANY, 1, 4))]
    truth = [[sign(s) for s in exact_sums(w, np.ones(6))] for w in weights[0]]
    np.testing.assert_array_equal(np.sign(wide.init(weights, np.ones(6)).s1), truth)


def test_an_error_below_the_last_place_moves_a_steep_function():
    """exp(700 + e) is off by e exp(700), also where 700 + e is 700 in floating point."""
    kernel = derive(Network.mlp([1, 1, 1], activation="tanh")).compile(gates="exact")
    running = Running(kernel.gated.function, {}, {}, lambda name, near: near)
    running.dtype = np.dtype(float)
    for error in (0.0, 1e-16, 5e-14, 1e-10):
        made = running._call("exp", Near(np.array(700.0), np.array(error)))
        assert error * np.exp(700.0) <= made.error < (error + 1e-12) * 2 * np.exp(700.0)
