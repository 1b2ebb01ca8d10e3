"""Bounds of single operations beside rational numbers, and decisions of gates, one element at a time.

Each takes a fraction of a second, so that a fault in what decides a gate is seen by a test that is quick.
"""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.kernel import neutral as n
from fcsym.kernel.gated import Gated, Gates, _apart, _beside, _Found, exact_gates
from fcsym.kernel.running import Near, Running, _elements
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Axis, Index, mul, power, total
from fcsym.values.ball import Ball, ball_of

J = Index(Axis("j"), "j")
FEW = Fraction(1, 1 << 17)
"""By what share a bound may be wider than what operands and one rounding make it."""
LEAST = Fraction(2) ** -1074


def of(dtype=np.float64, arrays=None, length=3):
    running = Running(None, {}, {}, lambda name, near: near, arrays or {}, {J.axis: length})
    running.dtype = np.dtype(dtype)
    return running


def near(value, error, dtype=np.float64):
    return Near(np.asarray(value, dtype), np.asarray(error, float))


ENDS = [
    (value, error)
    for value in (0.0, 1.0, -1.0, 0.1, -2.7, 3e100, 15e-324)
    for error in (0.0, 1.0, 1e-3, 7e-18)
]  # fmt: skip


@pytest.mark.parametrize("operation", ["+", "*", "/"])
def test_an_operation_is_off_by_what_its_operands_may_be_and_by_its_rounding(operation):
    """At all four ends of both, and no wider than that; exact where nothing is rounded: of 0, or added to 0."""
    running, unit = of(), Fraction(1, 1 << 53)
    true = {"+": lambda a, b: a + b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}[operation]
    made_by = {"+": running._plus, "*": running._times, "/": running._over}[operation]
    for a, e in ENDS:
        for b, t in ENDS:
            if operation == "/" and abs(b) <= 2 * t:
                continue
            with np.errstate(all="ignore"):
                made = made_by(near(a, e), near(b, t))
            if not (np.isfinite(made.value) and np.isfinite(made.error)):
                assert (abs(Fraction(a)) + Fraction(e)) / abs(Fraction(b)) > Fraction(2) ** 1000
                continue
            value, error = Fraction(float(made.value)), Fraction(float(made.error))
            corners = [
                true(Fraction(a) + i * Fraction(e), Fraction(b) + k * Fraction(t)) for i in (-1, 1) for k in (-1, 1)
            ]
            worst = max(abs(value - corner) for corner in corners)
            assert worst <= error, (a, e, b, t)
            around = max(abs(true(Fraction(a), Fraction(b)) - corner) for corner in corners)
            if operation == "+":
                rounding = 0 if a == 0 or b == 0 else unit * abs(value)
            else:
                nothing = (a == 0 and e == 0) or (operation == "*" and b == 0 and t == 0)
                rounding = 0 if nothing else unit * abs(value) + 10 * LEAST
            assert error <= (around + rounding) * (1 + FEW) + LEAST * bool(rounding or around), (a, e, b, t)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_number_is_off_by_what_it_is_rounded_by(dtype):
    for value in (Fraction(0), Fraction(1, 2), Fraction(-3), Fraction(1, 3), Fraction(-22, 7), Fraction(1, 10**5)):
        made = of(dtype).constant(value)
        off = abs(Fraction(float(made.value)) - value)
        assert made.value.dtype == dtype and off <= Fraction(float(made.error)) <= off * (1 + FEW)
        assert off <= abs(value) * Fraction(float(np.finfo(dtype).eps)) / 2 + Fraction(float(np.finfo(dtype).tiny))


@pytest.mark.parametrize("factors", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("length", [1, 3])
def test_a_sum_of_products_has_room_for_each_of_its_roundings(length, factors):
    """Of n products of m numbers (n - 1) + n (m - 1) on the way to n results: m + n - 2 to each term."""
    loads = [n.Load(f"a{k}", (J,)) for k in range(factors)]
    arrays = {load.name: near(np.linspace(0.3, 1.1, length) + k / 7, np.zeros(length)) for k, load in enumerate(loads)}
    running = of(arrays=arrays, length=length)
    made = running._near(n.Reduce((J,), n.Product(tuple(loads)) if factors > 1 else loads[0]), ())
    size = sum(
        math.prod(Fraction(float(arrays[load.name].value[k])) for load in loads) for k in range(length)
    )  # fmt: skip
    share = Fraction(float(made.error)) / size / Fraction(1, 1 << 53)
    assert length + factors - 2 <= share <= 40 * (length + factors)
    off = [Near(one.value, one.value / 8) for one in arrays.values()]
    made = of(arrays=dict(zip(arrays, off, strict=True)), length=length)._near(
        n.Reduce((J,), n.Product(tuple(loads)) if factors > 1 else loads[0]), ()
    )
    wider = size * (Fraction(9, 8) ** factors - 1)
    assert wider <= Fraction(float(made.error)) <= wider * (1 + FEW)


def test_a_sum_of_two_factors_is_no_wider_where_one_of_them_is_large():
    """What underflows in a product of two is below the least number, whatever they are."""
    made = of(arrays={"a": near([1e250], [0.0]), "b": near([1e-320], [0.0])}, length=1)._near(
        n.Reduce((J,), n.Product((n.Load("a", (J,)), n.Load("b", (J,))))), ()
    )
    assert made.error <= 100 * 2.0**-53 * made.value


@pytest.mark.parametrize("name", ["exp", "log", "sqrt"])
def test_a_function_of_what_is_off_by_1_is_looked_at_at_both_ends(name):
    made = of()._call(name, near(2.0, 1.0))
    ends = [getattr(mpmath, name)(at) for at in (1, 3)]
    widest = max(abs(end - float(made.value)) for end in ends)
    assert widest <= float(made.error) <= widest * (1 + 1e-5)


def test_a_constant_of_one_number_is_a_vector_of_it():
    given = Array("b", None, (J.axis,))
    value = n.Product((n.Load("one", (J,)), n.Load("b", (J,))))
    function = n.Function("f", "", (), (given,), (n.Define("r", (J,), value),), (Array("r", None, (J.axis,)),), False)
    (made,) = Running(function, {"one": (Fraction(3, 2),)}, {J.axis: 1}, lambda name, near: near).run([np.array([2.0])])
    assert made.tolist() == [3.0]


@pytest.mark.parametrize("lead", [(), (3,)])
def test_of_inputs_that_are_not_there_yet_there_are_none(lead):
    """As many networks, no input, and numbers as wide as an input."""
    scheme = fcsym.scheme(Network.parse("4-2-1"), "history")
    weights = [np.ones((*lead, 2, 4)), np.ones((*lead, 1, 2))]
    for one, other in zip(*(scheme.compile(gates=g).init(weights) for g in ("exact", "float")), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype


def test_the_factors_of_a_product_are_elements_or_there_are_none():
    a, b = n.Load("a", (J,)), n.Load("b", (J,))
    assert _elements(n.Product((a, n.Power(b, 3)))) == [a, b, b, b] and _elements(a) == [a]
    assert _elements(n.Product((a, n.Sum(((1, b),))))) == [] == _elements(n.Power(n.Const(Fraction(2)), 2))


def test_of_a_quotient_of_nothing_by_nothing_nothing_is_known():
    with np.errstate(all="ignore"):
        for above in (0.0, 1.0):
            assert np.isnan(of()._over(near(above, 0.0), near(0.0, 0.0)).error)
            for below in (1.0, 1.0 + 2.0**-20):  # which is as near to it as a bound that is enlarged reaches
                assert np.isnan(of()._over(near(above, 0.0), near(below, 1.0)).error)


# ------------------------------------------------------------------------------------------------------- decisions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_float_that_stands_for_a_number_is_the_next_one_on_its_side(dtype):
    """Of every bound; where the float itself is on that side it stays. Beyond the range it is infinite."""
    kind, third = np.dtype(dtype), Fraction(1, 3)
    apart = Fraction(1, 10**30)
    for bound in (Fraction(0), third, Fraction(6), Fraction(-1, 2)):
        edge = dtype(float(bound))
        for number in (bound, bound + apart, bound - apart, bound + 5, bound - 5, bound * 2 + third):
            side = (number > bound) - (number < bound)
            made = _beside(_Found(number, {bound: side}), kind)
            assert made.dtype == kind and int(made > edge) - int(made < edge) == side
            nearest = dtype(float(number))
            if int(nearest > edge) - int(nearest < edge) == side:
                assert made == nearest
            else:
                assert made == (edge if side == 0 else np.nextafter(edge, dtype(side * math.inf)))
    for sign in (1, -1):
        assert _beside(_Found(sign * Fraction(10) ** 400, {Fraction(0): sign}), kind) == sign * math.inf


def test_how_far_a_float_is_from_a_number_holds_for_all_that_the_number_may_be():
    """A ball of the numbers from 1 to 2; what is less than all floats; and what is infinite."""
    wide = Ball.greatest([ball_of(Fraction(1)), ball_of(Fraction(2))])
    wide = Ball(type(wide.range)([1, 2])) if wide.radius == 0 else wide
    for value in (0.0, 1.0, 1.5, 2.0, 5.0):
        most = max(abs(value - 1), abs(value - 2))
        assert most <= _apart(_Found(wide, {}), np.float64(value)) <= most * (1 + 1e-5)
    small = LEAST / 3
    assert small <= _apart(_Found(small, {}), np.float64(0)) <= 2 * LEAST
    assert np.isnan(_apart(_Found(Fraction(1), {}), np.float64(np.inf)))


K = Index(Axis("k"), "k")
GIVEN_W, GIVEN_X = Array("w", None, (J.axis,)), Array("x", None, (J.axis,))
S, CUT, G = (Array(name, None, ()) for name in ("s", "cut", "g"))


def summed(bound, constants=None):
    """s = sum_j w_j x_j (c_j), compared with a bound; what is decided of it."""
    factors = [n.Load(a.name, (J,)) for a in (GIVEN_W, GIVEN_X)]
    refs = [GIVEN_W[J], GIVEN_X[J]]
    if constants:
        fixed = Array("c", None, (J.axis,))
        factors.append(n.Load("c", (J,)))
        refs.append(fixed[J])
    chosen = n.Select(n.Test(n.Load("s", ()), ">", bound), n.Const(Fraction(1)), n.Const(Fraction(0)))
    statements = (n.Define("s", (), n.Reduce((J,), n.Product(tuple(factors)))), n.Define("g", (), chosen))
    function = n.Function("f", "", (), (GIVEN_W, GIVEN_X), statements, (S, G), False)
    equation = Equation(S[()], total(J, mul(*refs)), Rule.DEFINITION, "")
    return Gated(function, {"s": (S, equation)}, {J.axis: 3}, {"c": constants} if constants else {})


@pytest.mark.parametrize("shapes", [((), ()), ((4,), ()), ((), (4,)), ((2, 1), (1, 4)), ((2, 1), (4,)), ((4,), (2, 1))])
@pytest.mark.parametrize("fixed", [None, (Fraction(1, 3), Fraction(1), Fraction(-1, 7))])
def test_every_network_is_decided_by_its_own_numbers(shapes, fixed):
    """Whichever leading axes its arrays have, one long or not at all; sums that cancel but for what is rounded."""
    rng = np.random.default_rng(1)
    w, x = (rng.integers(1, 9, size=(*lead, 3)) / 8 for lead in shapes)
    w = w + rng.choice([0, 2.0**-50], size=w.shape)
    w[..., 2] *= -1
    c = [Fraction(1)] * 3 if fixed is None else list(fixed)
    lead = np.broadcast_shapes(*shapes)
    every = [np.broadcast_to(array, (*lead, 3)) for array in (w, x)]
    true = np.empty(lead, object)
    for at in np.ndindex(*lead):
        true[at] = sum(
            (Fraction(float(u)) * Fraction(float(v)) * k for u, v, k in zip(*(e[at] for e in every), c, strict=True))
        )
    bound = Fraction(true.flat[0])  # the first of them is the bound itself
    gated = summed(bound, fixed)
    s, g = gated(w, x)
    assert s.shape == g.shape == lead
    for at in np.ndindex(*lead):
        assert g[at] == (true[at] > bound), at
    edge = float(bound)
    assert ((s > edge).astype(int) - (s < edge) == np.vectorize(lambda t: (t > bound) - (t < bound))(true)).all()
    assert gated.gates.compared == max(1, int(np.prod(lead))) and gated.gates.open == gated.gates.wrong == 0
    assert gated.gates.balls + gated.gates.exact >= 1


@pytest.mark.parametrize("shapes", [((2, 1), (1, 4)), ((2, 1), (4,)), ((4,), (2, 1)), ((1,), (3, 1))])
def test_sums_that_all_cancel_are_each_decided_by_their_own_numbers(shapes):
    """a x + 2^-60 e y - a x is on the side that e y is on."""
    rng = np.random.default_rng(2)
    w, x = (rng.integers(1, 9, size=(*lead, 3)) / 8 for lead in shapes)
    w[..., 1] = rng.choice([-1, 0, 1], size=w.shape[:-1]) * 2.0**-60
    x[..., 1] = rng.choice([-1, 1], size=x.shape[:-1])
    w[..., 2], x[..., 2] = -w[..., 0], x[..., 0]
    s, g = summed(Fraction(0))(w, x)
    side = np.sign(w[..., 1]) * x[..., 1]
    assert (np.sign(s) == side).all() and (g == (side > 0)).all()


def test_gates_are_decided_exactly_where_that_is_asked_for():
    assert exact_gates("exact") is True and exact_gates("float") is False


def test_what_is_far_from_a_bound_or_exactly_on_it_needs_no_second_look():
    """Nor does what is added without a rounding; but what may just be the bound does."""
    x = np.array([1.0, 1.0, 0.0])
    for bound in (Fraction(6), Fraction(0), Fraction(1, 10)):
        for w, on in (([5.0, 3.0, 1.0], 1), ([-3.0, -5.0, 1.0], 0)):
            gated = summed(bound)
            assert gated(np.array(w), x)[1] == on and gated.gates == Gates(compared=1)
    gated = summed(Fraction(0))
    assert gated(np.zeros(3), x)[1] == 0 and gated.gates == Gates(compared=1)
    seen = []

    class Asked:
        @staticmethod
        def sides(array, place, bounds):
            seen.append(place)
            return None, Gates(open=1)

    gated._settle("s", Near(np.array([1.0, 1.0, 1.0]), np.array([1.0, 0.9, 0.0])), Asked)
    assert seen == [(0,)] and gated.left_open["s"].tolist() == [True, False, False]


def test_it_is_counted_who_decides():
    """Balls where their digits do; rational numbers where these do not; and without a number of its own, nothing."""
    gated = summed(Fraction(0))
    gated(np.array([1.0, 2.0**-60, -1.0]), np.array([1.0, 1.0, 1.0]))
    assert gated.gates == Gates(compared=1, balls=1)
    assert gated(np.array([1.0, 2.0**-400, -1.0]), np.array([1.0, 1.0, 1.0]))[1] == 1
    assert gated.gates == Gates(compared=1, exact=1)
    gated.equations[S] = Equation(S[()], total(J, mul(GIVEN_W[J], power(GIVEN_X[J], -1))), Rule.DEFINITION, "")
    gated(np.array([1.0, 2.0**-60, -1.0]), np.array([1.0, 0.0, 1.0]))
    assert gated.gates == Gates(compared=1, open=1) and gated.left_open["s"]
    assert Gates() + Gates(open=2) == Gates(0, 0, 0, 2, 0)
