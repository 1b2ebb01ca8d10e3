"""Running bounds of checks, node by node and equation by equation, each beside its definition in rational numbers.

Each takes a fraction of a second, so that a fault in a bound, by which a check is passed, is seen by a test that is
quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
from conftest import need_package

import fcsym
from fcsym import Network
from fcsym.checking.points import Points
from fcsym.checking.running import _Bounds, _Known, _product, running_bounds
from fcsym.language.equation import Condition
from fcsym.language.expression import (
    Apply,
    Array,
    Index,
    Pow,
    add,
    greatest,
    indicator,
    least,
    mul,
    number,
    power,
    total,
)

UNIT, SMALLEST = Fraction(1, 2**53), Fraction(1, 2**1074)
THIRD = Fraction(1, 3)
D = fcsym.derive(Network.mlp([3, 2, 1]))
I, J = (Index(array.axes[0], letter) for array, letter in zip((D.by_name["s1"].lhs.array, D.network.input), "ij"))  # noqa: B905, E741
A, B, C = Array("a", None, (I.axis, J.axis))[I, J], Array("b", None, (J.axis,))[J], Array("c", None, (J.axis,))[J]


def exactly(array):
    """Numbers of extended precision, digit by digit."""

    def one(value):
        high = float(value)
        return Fraction(high) + Fraction(float(value - np.longdouble(high)))

    return np.vectorize(one, otypes=[object])(array)


def inputs_of(network, value=1.0):
    """A step of a network whose parameters are all the same."""
    names = {array.name: np.full((1, *network.shape(array)), value) for array in network.parameters}
    one = {array.name: np.full((1, *network.shape(array)), value) for array in (network.input, network.target)}
    carried = {array.name: np.full((1, *network.shape(array)), value) for array in network.memory}
    return names | one | {"eta": np.array([0.125])} | carried


def stepped(d, given):
    """What the kernel makes of it."""
    network = d.network
    weights, memory = ([given[a.name] for a in arrays] for arrays in (network.parameters, network.memory))
    made = Points(weights, given["x"], given["yg"], given["eta"], memory or None).step(d.compile())
    return {e.name: np.asarray(made[e.name]) for e in d.equations if e.name in made}


def bounds_of(arrays):
    """Those of a small network, where these are known, too: name => (numbers, how far each may be off)."""
    given = inputs_of(D.network)
    made = _Bounds(D, given, stepped(D, given))
    for name, (value, off) in arrays.items():
        made.values[name] = np.asarray(value, np.longdouble)
        made.known[name] = np.asarray(off, np.longdouble)
    return made


def drawn(least_value=0.0):
    """a of 2 x 3, b and c of 3 numbers, forty times, of both signs."""
    rng = np.random.default_rng(5)
    made = {}
    for name, shape in {"a": (2, 3), "b": (3,), "c": (3,)}.items():
        value = rng.normal(size=(40, *shape)) * 2
        value = value + np.copysign(least_value, value)
        made[name] = value, np.abs(rng.normal(size=value.shape)) / 4
    return made


NODES = {
    "a number": (number(2), (), lambda a, b, c: 0 * b[0] + 2, 0),
    "half": (number(Fraction(-1, 2)), (), lambda a, b, c: 0 * b[0] - Fraction(1, 2), 0),
    "a third": (number(THIRD), (), lambda a, b, c: 0 * b[0] + THIRD, 1),
    "an element": (B, (J,), lambda a, b, c: b, 0),
    "beside another index": (B, (I, J), lambda a, b, c: np.stack([b, b]), 0),
    "of two indices": (A, (J, I), lambda a, b, c: a.T, 0),
    "a sum": (add(B, C), (J,), lambda a, b, c: b + c, 1),
    "a sum of three": (add(B, mul(B, C), THIRD), (J,), lambda a, b, c: b + b * c + THIRD, 1 + 2),
    "a product": (mul(B, C), (J,), lambda a, b, c: b * c, 1),
    "a product of sums": (mul(add(B, C), add(B, B, C)), (J,), lambda a, b, c: (b + c) * (2 * b + c), 1 + 2 + 1),
    "a first power": (Pow(B, 1), (J,), lambda a, b, c: b, 0),
    "a square": (power(B, 2), (J,), lambda a, b, c: b * b, 1),
    "a cube": (power(B, 3), (J,), lambda a, b, c: b * b * b, 2),
    "a row": (total(J, mul(A, B)), (I,), lambda a, b, c: (a * b).sum(-1), 1 + 2),
    "a matrix": (total((I, J), A), (), lambda a, b, c: a.sum(), 5),
    "many alike": (total(J, THIRD), (), lambda a, b, c: 0 * b[0] + 1, 1 + 2),
    "where one is another": (indicator(I, J + (-1)), (I, J), lambda a, b, c: np.eye(2, 3, 1, int) + 0 * a, 0),
    "the other way round": (indicator(I, J + (-1)), (J, I), lambda a, b, c: (np.eye(2, 3, 1, int) + 0 * a).T, 0),
    "in one place": (mul(indicator(I, 1), A), (I, J), lambda a, b, c: np.array([[0], [1]]) * a, 1),
    "shifted": (total(J, mul(indicator(I, J + (-1)), B)), (I,), lambda a, b, c: b[1:], 1 + 2),
    "shifted beside another": (mul(indicator(I, J), B, A), (I, J), lambda a, b, c: np.eye(2, 3, 0, int) * b * a, 2),
}  # fmt: skip
"""Expression, indices of the left-hand side, the numbers by hand, and roundings on the longest way to them."""


@pytest.mark.parametrize("name", NODES)
def test_a_node_has_the_value_the_terms_and_the_movement_of_its_operands(name):
    """All terms add up where no sign is left; operands move it most where all of them go away from 0."""
    node, axes, true, roundings = NODES[name]
    arrays = drawn()
    found = bounds_of(arrays)._at(node, axes)
    assert found.roundings == roundings
    for n in range(40):
        at, off = ([exactly(arrays[key][part][n]) for key in "abc"] for part in (0, 1))
        size = [abs(v) for v in at]
        terms = abs(true(*size))
        moved = abs(true(*(v + e for v, e in zip(size, off, strict=True)))) - terms
        for each, wanted in ((found.value, true(*at)), (found.terms, terms), (found.off, moved)):
            one = np.asarray(each)[n] if np.ndim(each) > len(axes) else np.asarray(each)
            near = np.broadcast_to(one, np.shape(wanted)).astype(float)
            np.testing.assert_allclose(near, np.asarray(wanted, float), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("kind", ["min", "max"])
def test_an_extreme_is_that_of_its_terms_and_as_far_off_as_any(kind):
    arrays = drawn()
    made, pick = bounds_of(arrays), {"min": least, "max": greatest}[kind]
    (a, off), (b, apart), _ = arrays.values()
    found, terms = made._at(pick(J, mul(A, B)), (I,)), made._at(mul(A, B), (I, J))
    true = {"min": np.min, "max": np.max}[kind](a * b[:, None], axis=-1)
    np.testing.assert_allclose(found.value.astype(float), true, rtol=1e-15)
    assert (found.terms == abs(found.value)).all() and found.roundings == 0
    assert (found.off == terms.error.max(axis=-1)).all()
    wide = (abs(a) + off) * (abs(b) + apart)[:, None] - abs(a * b[:, None])
    np.testing.assert_allclose(found.off.astype(float), wide.max(axis=-1), rtol=1e-14)


@np.errstate(all="ignore")
def test_a_reciprocal_moves_most_towards_0_and_anywhere_where_that_is_reached():
    arrays = drawn(0.5)
    arrays["b"][0][0], arrays["b"][1][0] = [0.5, 0.5, 0.0], [0.5, 0.75, 0.0]
    found = bounds_of(arrays)._at(power(B, -1), (J,))
    assert found.roundings == 1
    for value, terms, off, b, apart in zip(*(np.ravel(each) for each in (*found[:3], *arrays["b"])), strict=True):
        if abs(b) <= apart:
            assert np.isinf(off)
            continue
        true, most = 1 / exactly(b), 1 / (abs(exactly(b)) - exactly(apart))
        moved = most - abs(true)
        assert float(value) == pytest.approx(float(true), rel=1e-15)
        assert float(terms) == pytest.approx(float(abs(true)), rel=1e-15)
        assert float(off) == pytest.approx(float(moved), rel=1e-12)
    arrays["b"] = np.full((1, 3), 4.0), np.zeros((1, 3))
    off = bounds_of(arrays)._at(power(B, -1), (J,)).off
    assert (off > 0).all() and (off < 1e-300).all()  # which may be below the smallest number


def test_of_so_many_roundings_an_error_is_this():
    """R + gamma (T + R), gamma = c u / (1 - c u), in rational numbers; without a rounding it is R."""
    for count in (0, 1, 7, 2**20):
        for terms, off in product((0.0, 1.0, 2.0**40), (0.0, 1.0, 2.0**-60)):
            known = _Known(np.zeros(1), np.array([terms], np.longdouble), np.array([off], np.longdouble), count)
            gamma = count * UNIT / (1 - count * UNIT)
            wanted = Fraction(off) + gamma * (Fraction(terms) + Fraction(off))
            (found,) = exactly(known.error)
            assert abs(found - wanted) <= wanted / 2**60, (count, terms, off)


def test_what_underflows_is_multiplied_by_all_that_another_factor_may_be():
    """A factor that is exactly 0 beside one of 2^1000, which may be three times as large; in either order."""
    large, nothing = (
        _Known(*(np.array([v], np.longdouble) for v in (value, value, off)), 0)
        for value, off in ((2.0**1000, 2.0**1001), (0.0, 0.0))
    )
    for factors in ([large, nothing], [nothing, large]):
        (off,) = exactly(_product(factors).off)
        assert off == 3 * Fraction(2) ** 1000 * SMALLEST


RELATIONS = {
    ">": lambda low, high, bound: high > bound,
    "<=": lambda low, high, bound: low <= bound,
    "=": lambda low, high, bound: low <= bound <= high,
    "!=": lambda low, high, bound: low < high or low != bound,
}


@np.errstate(all="ignore")
@pytest.mark.parametrize("relation", RELATIONS)
def test_a_condition_may_hold_where_some_number_within_the_bound_fulfils_it(relation):
    at = [Fraction(k, 4) for k in range(-6, 7)]
    grid = list(product(at, [Fraction(0), Fraction(1, 4), Fraction(3, 4)]))
    values, off = (np.array([[float(one[n])] * 3 for one in grid]) for n in (0, 1))
    made = bounds_of({"b": (values, off)})
    for bound in (Fraction(0), Fraction(1, 2), Fraction(-1)):
        found = made._may_hold(Condition(B, relation, bound), (J,))
        wanted = [RELATIONS[relation](value - e, value + e, bound) for value, e in grid]
        assert found.tolist() == [[one] * 3 for one in wanted]
    for value, e in ((np.nan, 0.0), (1.0, np.nan), (1.0, np.inf)):
        made = bounds_of({"b": (np.full((1, 3), value), np.full((1, 3), e))})
        assert made._may_hold(Condition(B, relation, Fraction(0)), (J,)).all()


ONE = fcsym.derive(Network.mlp([1, 1, 1], "leaky_relu"))
RELU = fcsym.derive(Network.mlp([1, 1, 1]))
AT = [Fraction(k, 2) for k in range(-4, 5)]


def test_what_has_cases_is_off_by_that_of_any_case_that_may_hold():
    """dv of a unit: its value in each case, and how far that may be off, wherever s and s' may be on that side."""
    e, width = Fraction(1, 4), Fraction(1, 2**20)
    grid = list(product(AT, AT, (Fraction(0), e, 4 * e), (Fraction(0), e)))
    given = inputs_of(RELU.network)
    made = _Bounds(RELU, given, stepped(RELU, given))
    relu = [max(s + ds, Fraction(0)) - max(s, Fraction(0)) for s, ds, *_ in grid]
    columns = {
        "s1": ([s for s, *_ in grid], [off for *_, off, _ in grid]),
        "ds1": ([ds for _, ds, *_ in grid], [width] * len(grid)),
        "s1_new": ([s + ds for s, ds, *_ in grid], [off for *_, off in grid]),
        "dv1": (relu, [Fraction(0)] * len(grid)),
    }
    for name, (value, off) in columns.items():
        made.values[name] = np.array(value, float)[:, None].astype(np.longdouble)
        made.known[name] = np.array(off, float)[:, None].astype(np.longdouble)
    found = made._of(RELU.by_name["dv1"])
    for bound, (s, ds, off, apart), dv in zip(exactly(found)[:, 0], grid, relu, strict=True):
        on, below = s + off > 0, s - off <= 0
        after, dead = s + ds + apart > 0, s + ds - apart <= 0
        cases = [
            (on and after, abs(dv - ds) + width),
            (on and dead, abs(dv + s) + off),
            (below and dead, abs(dv)),
            (below and after, abs(dv - s - ds) + off + width),
        ]
        wanted = max(own for possible, own in cases if possible)
        rounded = wanted + 4 * UNIT * (abs(s) + abs(ds) + off + width)
        assert wanted <= bound <= rounded, (s, ds, off, apart)


@np.errstate(all="ignore")
def test_where_no_p_may_exist_its_bound_says_so():
    """From 0 to 1 there is none, which is marked: nothing is off. What is a number, and might be none, has no bound."""
    given = inputs_of(RELU.network)
    for s, marked, off, wanted in (
        (-1.0, True, 0.0, 0.0), (-1.0, False, 0.0, np.inf), (-1.0, True, 2.0, np.inf), (1.0, False, 0.0, 1e-12),
        (1.0, False, 2.0, np.inf), (1.0, True, 0.0, np.inf),
    ):  # fmt: skip
        made = _Bounds(RELU, given, stepped(RELU, given))
        for name, value, own in (("s1", s, off), ("s1_new", 1.0, 0.0), ("ds1", 1.0 - s, 0.0), ("vc", max(s, 0.0), 0.0)):
            made.values[name], made.known[name] = (np.full((1, 1), each, np.longdouble) for each in (value, own))
        made.values["W2_new"], made.known["W2_new"] = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
        made.values["p"] = np.full((1, 1, 1), np.nan if marked else 0.0, np.longdouble)
        found = float(made._of(RELU.by_name["p"]).item())
        assert found == wanted or 0 <= found <= wanted < 1, (s, marked, off)


NETWORKS = {
    "relu": Network.mlp([1, 2, 1], bias=True),
    "momentum": Network.mlp([1, 2, 1]).training(fcsym.rule("momentum", weight_decay="1/7")),
    "cross-entropy": Network.mlp([1, 2, 2], loss="cross_entropy"),
}


def test_bounds_of_a_step_are_a_few_roundings_of_what_does_not_cancel():
    """Of numbers that are all positive; 1/10 is itself rounded, and what is only read is exact."""
    d = fcsym.derive(NETWORKS["momentum"])
    given = inputs_of(d.network, 0.75)
    made = stepped(d, given)
    bounds = running_bounds(d, given, made)
    for name in ("s1", "v1", "y", *(array.primed.name for array in d.network.memory)):
        size = abs(made[name])
        assert (bounds[name] > UNIT * size / 2).all() and (bounds[name] < 60 * UNIT * size).all(), name
    shape = {name: bound.shape for name, bound in bounds.items()}
    assert shape == {name: made[name].shape for name in bounds} and set(bounds) == set(made)


def test_a_single_product_is_off_by_half_a_unit_and_a_millionth_of_that():
    """y = w x, of numbers that are not rounded: u |w x| / (1 - u), enlarged."""
    d = fcsym.derive(Network.mlp([1, 1]))
    given = inputs_of(d.network, 0.75)
    bound = exactly(running_bounds(d, given, stepped(d, given))["y"]).item()
    least_bound = UNIT / (1 - UNIT) * Fraction(9, 16)
    assert least_bound * (1 + Fraction(9, 10**7)) < bound < least_bound * (1 + Fraction(11, 10**7))


@pytest.mark.parametrize("order", [0, 1])
def test_a_smooth_function_is_off_by_what_a_ball_says_whatever_made_it(order):
    """A number that is wrong has a bound that says so; a right one has that of its argument alone."""
    need_package("flint")
    d = fcsym.derive(Network.mlp([1, 1, 1], "tanh"))
    given = inputs_of(d.network, 0.75)
    made = stepped(d, given)
    right, name = running_bounds(d, given, made), ("v1", "g1")[order]
    for off in (1e-6, -1e-6):
        bounds = running_bounds(d, given, made | {name: made[name] + off})
        assert 1e-6 <= float(bounds[name].item()) < 1.0001e-6
    assert 0 < float(right[name].item()) < 1e-15
    with mpmath.workdps(40):
        at = mpmath.diff(mpmath.tanh, mpmath.mpf(9) / 16, order)
        assert abs(at - mpmath.mpf(made[name].item())) <= float(right[name].item())
    s = d.by_name["s1"].lhs
    found = _Bounds(d, given, made)._at(Apply(d.network.layers[0].activation, s, order), s.indices)
    assert found.roundings == 0 and (found.terms == abs(found.value)).all()


def test_an_inverse_is_off_by_its_residual():
    """|R| |X| / (1 - |R|), rows by columns, in rational numbers; nothing is known where R is not below 1."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 3):
        matrix = rng.integers(-3, 4, size=(20, count, count)).astype(float) + 8 * np.eye(count)
        found = np.linalg.inv(matrix) + rng.normal(size=matrix.shape) / 2**10
        own = np.abs(rng.normal(size=matrix.shape)) / 2**10
        bound = exactly(bounds_of({"K": (matrix, own)})._inverse("K", found.astype(np.longdouble)))
        for a, x, off, each in zip(*(exactly(m) for m in (matrix, found, own)), bound, strict=True):
            left = abs(np.eye(count, dtype=int) - x @ a) + abs(x) @ off
            rows, size = left.sum(axis=1), abs(x)
            wanted = np.outer(rows, size.max(axis=0)) / (1 - max(rows))
            assert (wanted <= each).all() and (each <= wanted * (1 + Fraction(1, 10**9))).all()
    for x, known in ((0.0, False), (0.125, False), (0.25, True), (1.0, False)):  # of 4: 1, 1/2 + 1/2, 1/4, 3
        made = bounds_of({"K": (np.full((1, 1, 1), 4.0), np.full((1, 1, 1), 4.0 if x == 0.125 else 1.0))})
        assert np.isfinite(made._inverse("K", np.full((1, 1, 1), x, np.longdouble))).all() == known
