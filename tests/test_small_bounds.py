"""Bounds of rounding, each beside rational numbers: what is exact lies within them, and they are no wider than needed.

Each takes a fraction of a second, so that a fault in what decides a gate, or a check, is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from sympy import Matrix
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking.running import _Bounds, _Known, _piecewise, _product
from fcsym.kernel import neutral as n
from fcsym.kernel.running import Near, Running
from fcsym.language.expression import Apply, Array, Axis, Index

I, J, K = (Index(Axis(letter), letter) for letter in "ijk")  # noqa: E741
A, B, C = n.Load("a", (I, J)), n.Load("b", (J,)), n.Load("c", (J,))


def added(*terms):
    return n.Sum(tuple((1, term) for term in terms))


def _taken(a, b, c):
    """b_j where j = 2 i - 1, for both i: there is none for the first."""
    return np.stack([0 * b[:, 0], b[:, 1]], axis=-1)


FORMS = {
    "a sum": ((J,), added(B, C), lambda a, b, c: b + c),
    "a difference": ((J,), n.Sum(((-1, B), (1, C))), lambda a, b, c: c - b),
    "a product": ((J,), n.Product((B, C)), lambda a, b, c: b * c),
    "a power": ((J,), n.Power(B, 3), lambda a, b, c: b * b * b),
    "a third": ((J,), n.Product((n.Const(Fraction(1, 3)), B)), lambda a, b, c: b / 3),
    "a vector": ((I,), n.Reduce((J,), n.Product((A, B))), lambda a, b, c: (a * b[:, None]).sum(-1)),
    "of three": ((I,), n.Reduce((J,), n.Product((A, B, C))), lambda a, b, c: (a * (b * c)[:, None]).sum(-1)),
    "a square": ((I,), n.Reduce((J,), n.Product((A, n.Power(B, 2)))), lambda a, b, c: (a * (b * b)[:, None]).sum(-1)),
    "many alike": ((J,), n.Reduce((K,), B), lambda a, b, c: 4 * b),
    "where an indicator is": ((I,), n.Reduce((J,), n.Product((n.Indicator(J, 2 * I + (-1)), B))), _taken),
    "an indicator beside a sum": (
        (I,),
        n.Reduce((J,), n.Product((n.Indicator(J, 2 * I + (-1)), added(B, C)))),
        lambda a, b, c: _taken(a, b + c, c),
    ),
    "of sums": ((I,), n.Reduce((J,), n.Product((A, added(B, C)))), lambda a, b, c: (a * (b + c)[:, None]).sum(-1)),
}
SUMMED = 1 + 12  # at most so many roundings are there in a form, with what the bound has beyond


def numbers(dtype, share, sizes=(1, 1, 1), count=30):
    """Arrays by their names, with how far each is from what it stands for; a number in five is exactly 0."""
    rng, made = np.random.default_rng(7), {}
    for name, shape, size in zip("abc", [(2, 3), (3,), (3,)], sizes, strict=True):
        value = (rng.normal(size=(count, *shape)) * size * (rng.random((count, *shape)) > 0.2)).astype(dtype)
        made[name] = Near(value, np.abs(value.astype(float)) * share)
    return made


def exactly(array):
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(array)


def bound_of(form, axes, arrays):
    running = Running(None, {}, {}, lambda name, near: near, arrays, {I.axis: 2, J.axis: 3, K.axis: 4})
    running.dtype = arrays["a"].value.dtype
    return running._whole(running._near(form, axes), axes)


@pytest.mark.parametrize("share", [0, 1e-12, 1e-2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORMS)
def test_what_is_exact_is_within_the_bound(name, dtype, share):
    """Wherever operands are within theirs; and the bound is no more than sizes and roundings of the form make it."""
    axes, form, true = FORMS[name]
    arrays, rng = numbers(dtype, share), np.random.default_rng(3)
    made = bound_of(form, axes, arrays)
    value, error = exactly(made.value), exactly(made.error)
    middle = {key: exactly(near.value) for key, near in arrays.items()}
    width = {key: exactly(near.error) for key, near in arrays.items()}
    for _ in range(4):
        at = {key: v + width[key] * rng.choice([-1, 1], v.shape) for key, v in middle.items()}
        assert (abs(value - true(**at)) <= error).all()
    at = {key: v + width[key] * np.where(v < 0, -1, 1) for key, v in middle.items()}
    assert (abs(value - true(**at)) <= error).all()  # where all go away from 0
    size = {key: abs(v) for key, v in middle.items()}
    if name == "a difference":
        size["b"], width["b"] = -size["b"], -width["b"]
    most = true(**{key: size[key] + width[key] for key in size})
    allowed = most - true(**size) + SUMMED * 4 * Fraction(float(np.finfo(dtype).eps)) * most
    least = 300 * Fraction(float(np.finfo(dtype).smallest_subnormal))
    assert (error <= Fraction(1001, 1000) * allowed + least).all()
    assert (error[(most == 0)] == 0).all()


SCALES = {"the first": (1e-200, 1e-200, 1e250), "the last": (1e250, 1e-200, 1e-200), "all": (1e-160, 1e-170, 1e-2)}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["a product", "a power", "a vector", "of three", "a square", "of sums"])
def test_what_underflows_is_within_the_bound(name, scale):
    """Also where it is multiplied by what is large after that."""
    axes, form, true = FORMS[name]
    arrays = numbers(np.float64, 0, SCALES[scale])
    made = bound_of(form, axes, arrays)
    at = {key: exactly(near.value) for key, near in arrays.items()}
    assert (abs(exactly(made.value) - true(**at)) <= exactly(made.error)).all()


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("share", [0, 1e-12, 1e-2])
def test_a_quotient_is_within_its_bound(share, guarded):
    """Of operands wherever they may be; where a guard excludes it, it is 0 and exact."""
    arrays, rng = numbers(np.float64, share), np.random.default_rng(3)
    below = arrays["c"].value
    form = n.Guarded(B, C, ((n.Test(C, "!=", Fraction(0)),),)) if guarded else n.Quotient(B, C)
    if not guarded:
        below[below == 0] = 2.0
        below[0, 0], arrays["c"].error[0, 0] = 1.0, 1.0
    made = bound_of(form, (J,), arrays)
    if not guarded:  # which may be a division by 0
        assert np.isnan(made.error[0, 0]) and np.isfinite(made.error).sum() == below.size - 1
    out = (below == 0) | np.isnan(made.error)
    assert (made.value[below == 0] == 0).all() and (made.error[below == 0] == 0).all()
    value, error, (b, c) = *(exactly(x[~out]) for x in (made.value, made.error)), (arrays["b"], arrays["c"])
    above, off, below, apart = (exactly(x[~out]) for x in (b.value, b.error, c.value, c.error))
    for _ in range(4):
        true = (above + off * rng.choice([-1, 1], off.shape)) / (below + apart * rng.choice([-1, 1], off.shape))
        assert (abs(value - true) <= error).all()
    size = abs(above / below)
    most = (abs(above) + off) / (abs(below) - apart)
    assert (error <= Fraction(1001, 1000) * (most - size + size * Fraction(2) ** -52) + Fraction(5e-320)).all()
    assert (error[above == 0] == 0).all() and ((error > 0) | (above == 0)).all()


def test_a_choice_has_the_bound_of_what_is_chosen():
    arrays = numbers(np.float64, 1e-3)
    b, c = arrays["b"], arrays["c"]
    for relation, holds in {">": b.value > 0, "<=": b.value <= 0, "==": b.value == 0, "!=": b.value != 0}.items():
        made = bound_of(n.Select(n.Test(B, relation, Fraction(0)), B, C), (J,), arrays)
        assert (made.value == np.where(holds, b.value, c.value)).all()
        assert (made.error == np.where(holds, b.error, c.error)).all()


@pytest.mark.parametrize("kind", ["min", "max"])
def test_an_extreme_is_off_by_no_more_than_its_terms(kind):
    arrays, each = numbers(np.float64, 1e-3), {"min": np.min, "max": np.max}[kind]
    made = bound_of(n.Extreme(kind, (J,), (A,)), (I,), arrays)
    assert (made.value == each(arrays["a"].value, axis=-1)).all()
    assert (made.error == np.max(arrays["a"].error, axis=-1)).all()
    made = bound_of(n.Extreme(kind, (), (B, C, n.Const(Fraction(1, 3)))), (J,), arrays)
    third = np.full_like(arrays["b"].value, 1 / 3)
    assert (made.value == each([arrays["b"].value, arrays["c"].value, third], axis=0)).all()
    assert (made.error >= np.maximum(arrays["b"].error, arrays["c"].error)).all()
    assert (made.error <= np.max([arrays["b"].error, arrays["c"].error, 0 * third + 1e-16], axis=0)).all()


CALLS = {"tanh": mpmath.tanh, "exp": mpmath.exp, "log": mpmath.log, "sqrt": mpmath.sqrt, "Abs": abs, "sin": mpmath.sin}


@pytest.mark.parametrize("share", [0, 1e-16, 1e-12, 1e-2])
@pytest.mark.parametrize("name", CALLS)
def test_a_function_is_within_its_bound(name, share):
    """At both ends of where its argument may be; no wider than its slope and a few roundings make it."""
    arrays = numbers(np.float64, share, (1, 2, 1))
    if name in ("log", "sqrt"):
        arrays["b"] = Near(np.abs(arrays["b"].value) + 0.25, arrays["b"].error)
    made = bound_of(n.Call(name, B), (J,), arrays)
    with mpmath.workdps(40):
        for value, error, at, off in zip(
            *(x.ravel() for x in (*(made.value, made.error), *_of(arrays["b"]))), strict=True
        ):
            ends = [CALLS[name](mpmath.mpf(at) + side * mpmath.mpf(off)) for side in (-1, 1)]
            assert all(abs(mpmath.mpf(value) - end) <= error for end in ends)
            widest = max(abs(mpmath.mpf(value) - end) for end in ends)
            assert error <= 1.001 * max(widest, 1.2 * off) + 20 * 2.0**-53 * (abs(value) * (1 + abs(at)) + 1)


def _of(near):
    return near.value, near.error


def test_a_function_is_run_with_its_constants():
    """Arrays of one network or of many; fixed vectors and matrices are rounded; what is undefined is marked."""
    matrix = ((Fraction(1, 3), Fraction(1), Fraction(0)), (Fraction(-1, 7), Fraction(2), Fraction(1, 10)))
    given = Array("b", None, (J.axis,))
    rows = n.Define("r", (I,), n.Reduce((J,), n.Product((n.Load("fixed", (I, J)), B, n.Load("row", (J,))))))
    nothing = n.Define("u", (J,), n.Select(n.Test(B, ">", Fraction(0)), n.Undefined(), B))
    mark = n.Mark((J,), ((n.Test(B, ">", Fraction(0)), n.Test(B, "<=", Fraction(1))),))
    results = tuple(Array(name, None, axes) for name, axes in {"r": (I.axis,), "u": (J.axis,)}.items())
    function = n.Function("f", "", (), (given,), (rows, nothing, mark), results, True)
    constants, kept = {"fixed": matrix, "row": (Fraction(1), Fraction(1, 9), Fraction(2))}, {}

    def settle(name, near):
        kept[name] = near
        return near

    for b in (np.array([0.5, -1.0, 3.0]), np.array([[0.5, -1.0, 3.0], [0.0, 1.0, 2.0]])):
        r, u, marked = Running(function, constants, {I.axis: 2, J.axis: 3}, settle).run([b])
        assert (marked == ((b > 0) & (b <= 1))).all() and marked.shape == b.shape
        assert (np.isnan(u) == (b > 0)).all() and (u[b <= 0] == b[b <= 0]).all()
        true = (np.array(matrix, dtype=object) * np.array(constants["row"]) * exactly(b)[..., None, :]).sum(-1)
        off = abs(exactly(r) - true)
        assert r.shape == true.shape and (off <= exactly(kept["r"].error)).all() and (kept["r"].error < 1e-14).all()


def test_of_very_many_terms_nothing_is_known():
    """Where the roundings of a sum may be as large as its terms: of half precision, and so many terms."""
    for count, known in ((3, True), (5000, False)):
        running = Running(None, {}, {}, lambda name, near: near, {}, {J.axis: count}, np.dtype(np.float16))
        running.arrays["b"] = Near(np.ones(count, np.float16), np.zeros(count))
        for body in (B, added(B, B)):
            made = running._near(n.Reduce((J,), body), ())
            assert np.isfinite(made.error).all() == known


def known(value, off, roundings):
    value = np.asarray(value, np.longdouble)
    return _Known(value, np.abs(value), np.broadcast_to(np.asarray(off, np.longdouble), value.shape), roundings)


def test_a_product_is_off_by_what_its_factors_let_it_move_by():
    """Between rational numbers: wherever all of them are; and what underflows is multiplied by all others."""
    rng, least = np.random.default_rng(0), Fraction(2) ** -1074
    for count in (1, 2, 3, 4):
        middle, off = rng.normal(size=(count, 50)) * 4, np.abs(rng.normal(size=(count, 50)))
        made = _product([known(v, e, n) for n, (v, e) in enumerate(zip(middle, off, strict=True))])
        assert made.roundings == sum(range(count)) + count - 1
        v, e = (np.vectorize(Fraction, otypes=[object])(array) for array in (abs(middle), off))
        size, most, room = 1, 1, 1
        for a, t in zip(v, e, strict=True):
            size, most, room = size * a, most * (a + t), room * np.maximum(a + t, 1)
        wanted = most - size + (count - 1) * least * room
        for name, true in {"value": np.prod(np.sign(middle), axis=0) * size, "terms": size, "off": wanted}.items():
            np.testing.assert_allclose(getattr(made, name), true.astype(float), rtol=1e-15, err_msg=name)
        exact = _product([known(v, 0, 0) for v in middle])
        room = np.prod([np.maximum(size, 1) for size in v], axis=0)
        found = [Fraction(str(off)) / least for off in np.broadcast_to(exact.off, room.shape)]
        assert all(abs(own - (count - 1) * true) <= own / 10**9 for own, true in zip(found, room, strict=True))


def _bounds():
    """Of a step of the smallest network, with all that it read."""
    d = fcsym.derive(Network.mlp([1, 1, 1]))
    given = {"W1": np.ones((1, 1, 1)), "W2": np.ones((1, 1, 1)), "x": np.ones((1, 1)), "yg": np.zeros((1, 1))}
    given["eta"] = np.array([0.125])
    made = d.compile().step([given["W1"], given["W2"]], given["x"], given["yg"], given["eta"])
    return d, _Bounds(
        d, given, {e.name: np.asarray(getattr(made, e.name)) for e in d.equations if hasattr(made, e.name)}
    )


def test_of_what_has_no_bound_nothing_is_known():
    """A number without one; and the second derivative of pieces, which nothing that is derived has."""
    d, bounds = _bounds()
    s, axes = d.by_name["s1"].lhs, d.by_name["s1"].lhs.indices
    phi = d.network.layers[0].activation
    assert np.isfinite(bounds._at(s, axes).error).all()
    for order, some in enumerate((True, True, False)):
        assert np.isfinite(bounds._at(Apply(phi, s, order), axes).error).all() == some
    del bounds.known["s1"]
    assert not np.isfinite(bounds._at(s, axes).error).any()


LEAKY = Network.mlp([1, 1, 1], "leaky_relu").layers[0].activation


@pytest.mark.parametrize("phi", [HAT, LEAKY], ids=["hat", "leaky"])
@pytest.mark.parametrize("derivative", [False, True])
def test_pieces_are_off_by_what_their_argument_lets_them_move_by(phi, derivative):
    """By hand: the steepest piece that it may be on; of slopes, how far those apart are that it may have."""
    kinks, slopes = list(phi.kinks), [piece.slope for piece in phi.pieces]
    for s in (Fraction(k, 4) for k in range(-8, 17)):
        for error in (Fraction(0), Fraction(1, 8), Fraction(1, 4), Fraction(2), Fraction(5)):
            made = _piecewise(phi, known(float(s), float(error), 0), derivative)
            ends = [-100, *kinks, 100]  # a piece holds its upper end, and not its lower one
            on = [
                k for k, low, high in zip(slopes, ends, ends[1:], strict=False) if s + error > low and s - error <= high
            ]
            if derivative:
                own = [k for kink, k in zip(kinks, phi.kink_slopes, strict=True) if abs(s - kink) <= error]
                true, off = phi.slope_at(s), max(on + own) - min(on + own) if error else 0
            else:
                true, off = phi.value_at(s), max(map(abs, on)) * error
            assert float(made.value) == pytest.approx(float(true), abs=1e-17), (s, error)
            assert float(off) <= float(made.off) <= float(off) * (1 + 1e-15) + 1e-322, (s, error)
            underflow = float(made.off) - float(off) if not (error or derivative) else 0.0
            assert underflow == (0.0 if error or derivative else 2 * 2.0**-1074)  # of the slope, and of the product
            assert made.roundings == (1 if derivative else 3)  # it is rounded, multiplied by s, and added to
            n = sum(s > kink for kink in kinks)
            terms = abs(true) if derivative else abs(slopes[n] * s) + abs(phi.pieces[n].intercept)
            assert float(made.terms) == pytest.approx(float(terms), abs=1e-17)
            assert (made.error > 0) == bool(float(made.terms) or made.off)
    assert np.isinf(_piecewise(phi, known(np.nan, 1.0, 0), derivative).error) or not derivative


@pytest.mark.parametrize("digits", [float, np.longdouble])
def test_an_inverse_is_within_its_bound(digits):
    """Of rational numbers, also where it was computed in all digits and the residual is rounding alone."""
    _, bounds = _bounds()
    rng = np.random.default_rng(0)
    for count in (1, 2, 3):
        half = rng.integers(-4, 5, size=(60, count, count)).astype(float)
        matrices = half @ np.swapaxes(half, -1, -2) + 3 * np.eye(count)
        exact = [Matrix(m.astype(int).tolist()).inv() for m in matrices]
        true = np.array([[[Fraction(int(v.p), int(v.q)) for v in m.row(k)] for k in range(count)] for m in exact])
        found = np.vectorize(lambda v: digits(v.numerator) / digits(v.denominator), otypes=[digits])(true)
        bounds.values["K"] = matrices.astype(np.longdouble)
        for off in (0.0, 1e-3):
            bounds.known["K"] = np.full(matrices.shape, off, np.longdouble)
            bound = bounds._inverse("K", found.astype(np.longdouble))
            for place in np.ndindex(found.shape):
                error = abs(_fraction(found[place]) - true[place])
                assert error <= _fraction(bound[place]) and (off or bound[place] < 1e-12), place
    bounds.known["K"] = np.full((60, 3, 3), 10.0, np.longdouble)
    assert np.isinf(bounds._inverse("K", np.broadcast_to(np.eye(3, dtype=np.longdouble), (60, 3, 3)))).all()


def _fraction(value):
    """A number of extended precision, digit by digit."""
    high = float(value)
    return Fraction(high) + Fraction(float(value - np.longdouble(high)))
