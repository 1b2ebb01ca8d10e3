"""The trajectory that says which of two results is nearer to the truth, and the functions of the oracle at their ends.

Each takes a fraction of a second, so that a fault in what everything is held against is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import autograd.numpy as anp
import exact as by_hand
import mpmath
import numpy as np
import pytest
from autograd import elementwise_grad
from conftest import need_package
from sympy import Symbol, exp

import fcsym
from fcsym import Network
from fcsym.checking import exact
from fcsym.checking.enclosures import _at, _table, _value, available, enclosures
from fcsym.checking.functions import _walk, _written, bend_of, phi_of, slope_of
from fcsym.errors import UnsupportedExpression

TENT = fcsym.piecewise_linear("tent", [fcsym.Piece(0, -1, 1), fcsym.Piece(2, 1, 1), fcsym.Piece(None, 0, 3)], "1/4")
PHI = {
    "relu": (lambda s: max(s, Fraction(0)), lambda s: Fraction(s > 0)),
    TENT: (
        lambda s: 1 - s if s <= 0 else min(s + 1, Fraction(3)),
        lambda s: Fraction(1, 4) if s in (0, 2) else Fraction(-1) if s < 0 else Fraction(s < 2),
    ),
}
"""Activations by hand, with the slope that is declared at a kink: numbers that floats have."""


def eighths(rng, *shape):
    return rng.integers(-8, 9, size=shape) / 8


def rational(array):
    return [rational(part) for part in array] if np.ndim(array) else Fraction(float(array))


def same(value, true):
    """A ball around a number, and no wider than a thousandth part of its bits make it."""
    mantissa, exponent = value.mid().man_exp()
    middle = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    return abs(middle - true) < Fraction(1, 2**900) and value.rad() < 2.0**-900


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("phi", PHI, ids=["relu", "tent"])
@pytest.mark.parametrize("widths", [(2, 3, 2), (1, 2, 2, 1)], ids=str)
def test_training_in_balls_is_that_in_rational_numbers(widths, phi, bias, order):
    """Every output and every weight, before each step and at the end."""
    need_package("flint")
    network, rng = Network.mlp(list(widths), phi, bias=bias), np.random.default_rng(len(widths))
    weights = [eighths(rng, *network.shape(a)) for a in network.parameters]
    xs, targets = eighths(rng, 3, widths[0]), eighths(rng, 3, widths[-1])
    matrices, shifts = weights[:: 1 + bias], weights[1::2] if bias else [np.zeros(n) for n in widths[1:]]
    w, b = rational_layers(matrices), rational_layers(shifts)
    found = list(exact.trajectory(network, order, weights, list(xs), list(targets), 0.25))
    assert len(found) == 4
    for n, step in enumerate(found):
        x, target = (rational(array[min(n, 2)]) for array in (xs, targets))
        own = by_hand.step(widths, w, x, target, Fraction(1, 4), order, *PHI[phi], b if bias else None)
        flat = [row for layer in zip(w, b, strict=True) for row in (layer if bias else layer[:1])]
        pairs = zip(leaves([step.output, step.weights]), leaves([own.v[-1], flat]), strict=True)
        assert all(same(*pair) for pair in pairs)
        w, b = own.w, own.b if bias else b


def rational_layers(arrays):
    return [rational(array) for array in arrays]


def touching(place, side):
    """A ball that ends at a place exactly: of the rounding of 1/3, beside what it is around."""
    import flint

    third = flint.arb(1) / 3
    with flint.ctx.workprec(200):
        ball = place + side * third.rad() + (third - third.mid())
        assert ball.mid() - side * ball.rad() == place and ball.rad() > 0
    return ball


def test_of_a_ball_that_touches_a_kink_nothing_is_said():
    """From either side: it may be exactly there, where the slope is one of its own. Exactly there, and apart, it is."""
    need_package("flint")
    from flint import arb

    around = [arb(kink, radius) for kink in (0, 2) for radius in (1e-9, 0.5, 5)]
    for ball in [touching(kink, side) for kink in (0, 2) for side in (-1, 1)] + around:
        with pytest.raises(exact._Undecided, match=r"on which side of [02], or whether exactly there"):
            exact._phi(TENT, ball, arb)
    for middle, radius, value, slope in (
        (-1, 0.5, 2, -1), (0, 0, 1, 0.25), (1, 0.5, 2, 1), (2, 0, 3, 0.25), (3, 0.5, 3, 0), (0.125, 0.0625, 1.125, 1),
    ):  # fmt: skip
        found, own = exact._phi(TENT, arb(middle, radius), arb)
        assert found.contains(value) and own == slope
        assert float(found.rad()) == pytest.approx(radius * abs(slope) if radius else 0, rel=1e-6)


def test_training_begins_again_with_more_bits_where_balls_are_too_wide(monkeypatch):
    """And gives what it would have given with these; where no number of bits does it says so, after so many steps."""
    need_package("flint")
    network, rng = Network.mlp([2, 3, 1], bias=True), np.random.default_rng(1)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    xs, targets = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
    given = network, "sequential", weights, list(xs), list(targets), 0.125
    wide, bits = list(exact.trajectory(*given)), []
    numbers = exact._numbers
    monkeypatch.setattr(exact, "_numbers", lambda n: bits.append(n) or numbers(n))
    monkeypatch.setattr(exact, "BITS", 64)
    found = list(exact.trajectory(*given))
    assert bits[0] == 64 and len(bits) > 1 and all(more == 2 * n for n, more in pairwise(bits))
    for one, other in zip(found, wide, strict=True):
        pairs = zip(leaves([one.output, one.weights]), leaves([other.output, other.weights]), strict=True)
        assert all(own.overlaps(true) and own.rel_accuracy_bits() >= 128 for own, true in pairs)
    monkeypatch.setattr(exact, "_MOST_BITS", 128)
    taken = []
    with pytest.raises(UnsupportedExpression, match="128 bits do not say what the numbers are after 0 steps"):
        taken.extend(exact.trajectory(*given))
    assert not taken


def leaves(part):
    return [leaf for one in part for leaf in leaves(one)] if isinstance(part, list) else [part]


def test_a_ball_says_what_a_number_is_where_it_is_sharp_or_next_to_nothing():
    """Of outputs, weights and biases; one bit in a hundred and twenty eight is enough to be in doubt."""
    need_package("flint")
    from flint import arb

    for ball, sharp in (
        (arb(0.75), True), (arb(0), True), (arb(1, 2.0**-140), True), (arb(1, 2.0**-100), False), (arb(0, 1), False),
        (arb(0, 2.0**-300), True), (arb(0, 2.0**-200), False), (arb(2) ** -300, True),
    ):  # fmt: skip
        for output, matrix, bias in (
            ([ball], [[arb(1)]], None),
            ([arb(1)], [[ball]], None),
            ([arb(1)], [[arb(1)]], [ball]),
        ):
            if sharp:
                found = exact._sharp(output, [(matrix, bias)])
                assert found.output == output and found.weights == ([matrix] if bias is None else [matrix, bias])
            else:
                with pytest.raises(exact._Undecided, match="what the numbers are"):
                    exact._sharp(output, [(matrix, bias)])


def test_how_far_a_float_is_from_an_exact_number():
    need_package("flint")
    from flint import arb

    for third in (arb(1) / 3, mpmath.mpf(1) / 3):
        assert exact.distance(0.5, third) == pytest.approx(1 / 6) == exact.distance(np.float32(0.5), third)
        assert exact.distance(-0.5, third) == pytest.approx(5 / 6)


def test_networks_that_are_written_out_are_those_of_lines_and_plain_steps():
    mlp = Network.mlp
    for network, wanted in (
        (mlp([1, 2, 1]), True), (mlp([1, 2, 1], TENT, bias=True), True), (mlp([1, 1], output="relu"), True),
        (mlp([1, 2, 1], "tanh"), False), (mlp([1, 2, 1], output="sigmoid"), False), (mlp([1, 2, 1], loss="l1"), False),
        (mlp([1, 2, 2], output="softmax", loss="cross_entropy"), False), (mlp([1, 1]).training("momentum"), False),
        (mlp([1, 2, 1]).frozen("W1"), False), (Network([fcsym.Flatten(), fcsym.Linear(2, 1)], input=(2, 1)), False),
    ):  # fmt: skip
        assert exact.writes_out(network) is wanted, network
        if not wanted and network.built is None:
            weights = [np.ones(network.shape(a)) for a in network.parameters]
            given = [np.ones(network.shape(network.input))], [np.ones(network.shape(network.target))]
            with pytest.raises(UnsupportedExpression, match="The exact trajectory needs"):
                list(exact.trajectory(network, "simultaneous", weights, *given, 0.5))


# ---------------------------------------------------------------------------------------------- functions at ends

S = Symbol("s", real=True)
SQUARED = ("pow", ("s",), ("number", 2, 1))
CHOICES = {
    Fraction(3, 2): (SQUARED, ("add", ("mul", ("number", 3, 1), ("s",)), ("number", -9, 4)), (3, -2.25, 1)),
    Fraction(31, 4): (("mul", SQUARED, ("number", 2, 31)), ("add", ("s",), ("number", -31, 8)), (1, -3.875, 2 / 31)),
}
"""A square above here, and up to here the line that touches it, with the slope, the shift and the factor of these."""


@pytest.mark.parametrize("kink", CHOICES, ids=str)
def test_a_choice_has_its_values_and_slopes_up_to_its_end_and_beyond_it(kink):
    """Whether it is computed as it is written or in many digits; exactly there it is what stands below."""
    above, below, (slope, shift, factor) = CHOICES[kink]
    p, q = kink.as_integer_ratio()
    end = np.longdouble(p) / q
    s = np.array([end * 0.75, end, end * 1.5], np.longdouble)
    line, square = slope * s + shift, factor * s**2
    for order, wanted in enumerate((np.where(s > end, square, line), np.where(s > end, 2 * factor * s, slope))):
        found = _written(("above", p, q, above, below), order)(s)
        np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol=1e-13)
    apart = ("above", p, q, ("number", 5, 1), ("mul", ("number", 3, 1), ("s",)))
    wanted = [float(3 * s[0]), float(3 * end), 5]
    assert _written(apart, 0)(s).astype(float).tolist() == wanted
    places = [mpmath.mpf(p) / q * mpmath.mpf(share) for share in (0.75, 1, 1.5)]
    assert [float(_walk(apart, at, mpmath)) for at in places] == wanted
    np.testing.assert_array_equal(elementwise_grad(lambda t: _walk(apart, t))(s), [3, 3, 0])


def test_what_overflows_on_the_side_that_is_not_taken_has_no_part_in_a_slope():
    """1 / (s - 3) below 2, and 3 s above: at 3 its slope is that of the line; and on the other side, alike."""
    pole = ("pow", ("add", ("s",), ("number", -3, 1)), ("number", -1, 1))
    line = ("mul", ("number", 3, 1), ("s",))
    with np.errstate(all="ignore"):
        above = elementwise_grad(lambda t: _walk(("above", 2, 1, line, pole), t))(np.array([1.0, 3.0], np.longdouble))
        below = elementwise_grad(lambda t: _walk(("above", 4, 1, pole, line), t))(np.array([3.0, 5.0], np.longdouble))
    np.testing.assert_array_equal(above, [-0.25, 3])
    np.testing.assert_array_equal(below, [3, -0.25])


@pytest.mark.parametrize("function", [phi_of, slope_of, bend_of])
def test_of_what_is_no_number_a_function_is_none(function):
    phi = fcsym.smooth("own", Symbol("s", real=True) * exp(-(Symbol("s", real=True) ** 2)))
    found = function(phi, np.array([np.nan, np.inf, -np.inf, 0.5], np.longdouble))
    assert np.isfinite(found).tolist() == [False, False, False, True] and np.isnan(found[0])


POWERS = {
    "2^s": (2**S, lambda s: 2**s),
    "(2 + s^2)^s": ((2 + S**2) ** S, lambda s: (2 + s**2) ** s),
    "(2 + s^2)^(s^3/8)": ((2 + S**2) ** (S**3 / 8), lambda s: (2 + s**2) ** (s**3 / 8)),
    "s^5 - s^2": (S**5 - S**2, lambda s: s**5 - s**2),
}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", POWERS)
def test_a_power_is_that_of_its_exponent_whatever_that_is(name, order):
    """Also where s is in it: where it is computed as it is written, and where in many digits."""
    written, own = POWERS[name]
    s = np.array([-5.0, -1.5, -0.25, 0.005, 0.75, 2.0, 4.5], np.longdouble)
    found = [phi_of, slope_of, bend_of][order](fcsym.smooth("own", written), s)
    with mpmath.workdps(50):
        for value, at in zip(found, s, strict=True):
            true = mpmath.diff(own, mpmath.mpf(float(at)), order)
            assert abs(mpmath.mpf(str(value)) - true) <= 1e-15 * abs(true), at


def test_what_is_too_small_for_a_float_is_within_its_ball():
    """e^-2000, which is not 0, of a function and of its derivative; with and without a width."""
    need_package("flint")
    s = np.array([-2000.0, -800.0])
    for order in (0, 1):
        for width in (0.0, 1.0):
            middle, radius = enclosures(fcsym.smooth("exp"), order, s, np.full(2, width))
            assert (radius > 0).all() and (radius < 1e-300).all()
            for m, r, at in zip(middle, radius, s, strict=True):
                with mpmath.workdps(60):
                    for end in (at - width, at, at + width):
                        assert abs(mpmath.exp(end) - mpmath.mpf(str(m))) <= mpmath.mpf(str(r))


def test_a_radius_is_no_smaller_for_becoming_a_float_and_hardly_larger(monkeypatch):
    """Of s itself: what its argument may be off by, of which nothing is lost where numbers are converted."""
    need_package("flint")
    from flint import arb

    for radius in (2.0**-40, 0.5, 1 / 3, 1e10):
        for middle in (0.0, 0.75, -1e6):
            ball = arb(middle, radius)
            found, own = _at(("s",), ball, _table())
            assert found == middle and 0 < own - np.longdouble(float(ball.rad())) < 2e-9 * (radius + abs(middle) / 1e6)
    monkeypatch.setattr("fcsym.checking.enclosures.as_formula", lambda phi, order: ("s",))
    s, error = np.array([0.5, -3.0, 0.0]), np.array([0.25, 1e-9, 0.0])
    middle, radius = enclosures(fcsym.smooth("exp"), 0, s, error)
    assert (middle == s).all() and (radius >= error * (1 + 1e-9)).all() and (radius[:2] <= error[:2] * (1 + 1e-6)).all()
    third = arb(1) / 3
    found, own = _at(("s",), third, _table())
    high = Fraction(float(found)) + Fraction(float(found - np.longdouble(float(found))))
    assert abs(high - Fraction(1, 3)) <= Fraction(float(own)) < Fraction(1, 2**51)


def test_of_an_argument_that_is_no_number_nothing_is_known_though_the_function_is_the_same_everywhere(monkeypatch):
    need_package("flint")
    monkeypatch.setattr("fcsym.checking.enclosures.as_formula", lambda phi, order: ("number", 3, 2))
    s, error = np.array([0.5, np.nan, 0.5, np.inf]), np.array([0.25, 0.0, np.inf, 0.0])
    middle, radius = enclosures(fcsym.smooth("exp"), 0, s, error)
    assert middle[0] == 1.5 and radius[0] < 1e-17 and np.isnan(middle[1:]).all() and np.isinf(radius[1:]).all()


def test_a_ball_that_begins_at_the_end_of_a_choice_holds_what_is_there():
    """At the end itself the choice is what stands below it."""
    need_package("flint")
    from flint import arb

    form = ("above", 1, 1, ("number", 5, 1), ("number", 3, 1))
    for ball, low, high in (
        (touching(1, 1), 3, 5), (touching(1, -1), 3, 3), (arb(1), 3, 3), (arb(2, 0.5), 5, 5), (arb(1, 1), 3, 5),
    ):  # fmt: skip
        found = _value(form, ball, _table())
        assert (float(found.lower()), float(found.upper())) == pytest.approx((low, high), abs=1e-6), ball


def test_an_error_function_far_out_keeps_its_digits():
    """Of both, with their slopes: 1 - erf(s) would have none beyond 6."""
    from fcsym.checking.functions import erf, erfc

    for s in (-9.0, -0.0, 6.5, 20.0):
        for function, name in ((erf, "erf"), (erfc, "erfc")):
            value = float(function(np.longdouble(s)))
            assert value == pytest.approx(float(getattr(mpmath, name)(s)), rel=1e-14, abs=0)
            slope = elementwise_grad(lambda t, function=function: 3 * function(anp.array(t)))(np.longdouble(s))
            true = (-6 if name == "erfc" else 6) / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(s**2))
            assert float(slope) == pytest.approx(float(true), rel=1e-13, abs=0)


def test_a_power_of_a_ball_is_that_of_all_its_numbers():
    """Whole ones, also below 0 and around 0, halves, thirds, and of any exponent."""
    need_package("flint")
    from flint import arb

    power = _table()["pow"]
    for exponent in (
        0,
        1,
        2,
        3,
        -1,
        -2,
        Fraction(1, 2),
        Fraction(-3, 2),
        Fraction(5, 2),
        Fraction(1, 3),
        Fraction(-2, 7),
    ):
        p, q = Fraction(exponent).as_integer_ratio()
        for middle, radius in ((2.0, 0.25), (0.5, 0.0)):
            found = power(arb(middle, radius), arb(p) / q)
            ends = sorted(float(mpmath.mpf(middle + side * radius) ** (mpmath.mpf(p) / q)) for side in (-1, 1))
            low, high = float(found.lower()), float(found.upper())
            assert low <= ends[0] * (1 + 1e-15) and high >= ends[1] * (1 - 1e-15), exponent
            assert high - low <= 4 * (ends[1] - ends[0]) + 1e-12, exponent
    assert power(arb(0, 1), arb(2)).contains(1) and power(arb(0, 1), arb(3)).contains(-1)
    assert not power(arb(0, 1), arb(-1)).is_finite()


def test_without_balls_nothing_is_known(monkeypatch):
    monkeypatch.setattr("fcsym.checking.enclosures._table", lambda: None)
    middle, radius = enclosures(fcsym.smooth("tanh"), 0, np.zeros(3), np.zeros(3))
    assert np.isnan(middle).all() and np.isinf(radius).all() and not available()
    monkeypatch.undo()
    need_package("flint")
    assert available()


@pytest.mark.parametrize("s", [690.0, 703.5, -690.0, -707.0, 9000.0, -9000.0])
def test_next_to_the_ends_of_what_a_float_is_the_oracle_has_all_digits(s):
    """And beyond them those of extended precision, so that a float there is beside a number."""
    own = fcsym.smooth("own", Symbol("s", real=True) * exp(Symbol("s", real=True)))
    with mpmath.workdps(40):
        for function, true in ((phi_of, s * mpmath.exp(s)), (slope_of, (1 + s) * mpmath.exp(s))):
            (found,) = function(own, np.array([s], np.longdouble))
            assert abs(mpmath.mpf(str(found)) / true - 1) < 1e-15
