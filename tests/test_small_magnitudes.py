"""How far rounding may move a number, to first order: node by node, beside exact differences.

Each takes a fraction of a second, so that a fault in what a check allows for is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from test_small_proofs import HAT
from test_small_running_bounds import NODES, A, B, C, D, I, J, drawn, exactly, inputs_of, stepped

import fcsym
from fcsym import Network
from fcsym.checking.magnitude import Magnitude, aligned, made_of
from fcsym.checking.points import lattice
from fcsym.checking.report import ULPS
from fcsym.language.equation import Condition
from fcsym.language.expression import Apply, Inverse, add, greatest, least, mul, number, power
from fcsym.networks.symbols import lacking

BAR = 2.0**-48


def made_with(arrays, d=D, bar=0.0):
    """Of a small network, where these are known, too: name => (numbers, how far each may be off)."""
    given = inputs_of(d.network)
    made = Magnitude(d, given, stepped(d, given), bar)
    for name, (value, off) in arrays.items():
        made.values[name], made.known[name] = np.asarray(value), np.asarray(off)
    return made


WITHOUT_NUMBERS = [
    name for name in NODES if name not in ("a number", "half", "a third", "a sum of three", "many alike")
]


@pytest.mark.parametrize("name", WITHOUT_NUMBERS)
def test_a_node_moves_by_its_slope_in_each_operand(name):
    """All of them away from 0, where no sign is left: the size, and the difference over a billionth of the way."""
    node, axes, true, _ = NODES[name]
    arrays, share = drawn(), Fraction(1, 2**40)
    size, moved = made_with(arrays)._size(node, axes)
    for n in range(0, 40, 3):
        at, off = ([abs(exactly(arrays[key][part][n])) for key in "abc"] for part in (0, 1))
        terms = abs(true(*at))
        slope = (abs(true(*(v + share * e for v, e in zip(at, off, strict=True)))) - terms) / share
        for each, wanted in ((size, terms), (moved, slope)):
            one = np.asarray(each)[n] if np.ndim(each) > len(axes) else np.asarray(each)
            near = np.broadcast_to(one, np.shape(wanted)).astype(float)
            np.testing.assert_allclose(near, np.asarray(wanted, float), rtol=1e-9, atol=1e-12)


def test_a_number_is_itself_rounded():
    """By one rounding, of which a bar has so many."""
    made = made_with(drawn())
    for value in (Fraction(1, 3), Fraction(-7, 2)):
        size, moved = made._size(number(value), ())
        assert float(size) == pytest.approx(float(abs(value)), rel=1e-15) and moved * ULPS == size
    size, moved = made._size(add(mul(3, B), Fraction(-1, 3)), (J,))
    value, off = drawn()["b"]
    np.testing.assert_allclose(size.astype(float), 3 * abs(value) + 1 / 3, rtol=1e-15)
    np.testing.assert_allclose(moved.astype(float), 3 * off + (3 * abs(value) + 1 / 3) / ULPS, rtol=1e-14)


@pytest.mark.parametrize("exponent", [-1, -2, -3])
def test_a_power_below_0_moves_by_its_slope(exponent):
    """n t / |s|^(n + 1) to first order; of 0, where a case has no value, neither is anything."""
    arrays = drawn(0.5)
    value, off = arrays["b"]
    value[0, 0] = 0.0
    size, moved = made_with(arrays)._size(power(B, exponent), (J,))
    some = value != 0
    np.testing.assert_allclose(size[some].astype(float), abs(value[some]) ** exponent, rtol=1e-14)
    slope = -exponent * off[some] * abs(value[some]) ** (exponent - 1)
    np.testing.assert_allclose(moved[some].astype(float), slope, rtol=1e-14)
    assert size[0, 0] == moved[0, 0] == 0


@pytest.mark.parametrize("pick", [least, greatest])
def test_an_extreme_moves_as_far_as_the_farthest_of_its_terms(pick):
    arrays = drawn()
    (a, off), (b, apart), _ = arrays.values()
    size, moved = made_with(arrays)._size(pick(J, mul(A, B)), (I,))
    terms = abs(a * b[:, None])
    slope = abs(a) * apart[:, None] + abs(b[:, None]) * off
    np.testing.assert_allclose(size.astype(float), terms.max(axis=-1), rtol=1e-14)
    np.testing.assert_allclose(moved.astype(float), slope.max(axis=-1), rtol=1e-14)


def test_an_inverse_moves_by_that_of_its_matrix_on_both_sides():
    """|K^-1| (what K may be off by, and its largest element as often as it has rows) |K^-1|."""
    rng = np.random.default_rng(0)
    matrix, off = rng.normal(size=(2, 5, 3, 3))
    array = fcsym.language.expression.Array("K", None, (J.axis, J.axis))
    made = made_with({"K": (matrix, abs(off))})
    inverse = np.linalg.inv(matrix)
    made.values["Ki"] = inverse
    size, moved = made._size(Inverse(array[J, fcsym.language.expression.Index(J.axis, "l")]), ())
    wanted = [abs(i) @ (e + 3 * abs(m).max()) @ abs(i) for i, e, m in zip(inverse, abs(off), matrix, strict=True)]
    np.testing.assert_allclose(size.astype(float), abs(inverse), rtol=1e-15)
    np.testing.assert_allclose(moved.astype(float), wanted, rtol=1e-12)


SMOOTH = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda s: 1 / (1 + mpmath.exp(-s)),
    "softplus": lambda s: mpmath.log1p(mpmath.exp(s)),
    "silu": lambda s: s / (1 + mpmath.exp(-s)),
}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_moves_by_its_slope(name, order):
    """And where that is small by its curve; derivatives have terms of about 1, with such a slope."""
    d = fcsym.derive(Network.mlp([1, 1, 1], name))
    s = np.array([-3.0, -1.25, -0.5, 0.0, 0.25, 1.0, 2.5])[:, None]
    off = np.linspace(0.25, 2, 7)[:, None]
    node, axes = Apply(d.network.layers[0].activation, d.by_name["s1"].lhs, order), d.by_name["s1"].lhs.indices
    for bar in (0.0, 2.0**-10):
        size, moved = made_with({"s1": (s, off)}, d, bar)._size(node, axes)
        for at, e, one, by in zip(s.ravel(), off.ravel(), size.ravel(), moved.ravel(), strict=True):
            value, slope, bend = (abs(float(mpmath.diff(SMOOTH[name], at, order + n))) for n in range(3))
            if order:
                wanted, moves = max(1, value), max(1, slope) * e
            else:
                wanted, moves = value, slope * e + bar * bend * e**2
            assert float(one) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
            assert float(by) == pytest.approx(moves, rel=1e-9, abs=1e-12)


def test_a_root_moves_at_0_as_far_as_it_is_off_there():
    """sqrt(bar t) / bar, where the slope is infinite; where nothing moves s, nothing moves it."""
    S = fcsym.language.smooth_functions.symbols()[0]
    d = fcsym.derive(Network.mlp([1, 1, 1], fcsym.smooth("root", S**2)))
    s, off = np.array([[0.0], [0.0], [4.0]]), np.array([[0.5], [0.0], [0.5]])
    made = made_with({"s1": (s, off)}, d, BAR)
    lhs = d.by_name["s1"].lhs
    size, moved = made._size(Apply(fcsym.smooth("sqrt"), lhs), lhs.indices)
    assert size.ravel().tolist() == [0, 0, 2]
    assert float(moved[0, 0]) == pytest.approx((BAR * 0.5) ** 0.5 / BAR, rel=1e-9)
    assert float(moved[1, 0]) == 0 and float(moved[2, 0]) == pytest.approx(0.5 / 4, rel=1e-6)


@pytest.mark.parametrize("derivative", [False, True])
def test_pieces_move_by_their_slope_and_one_rounding_of_it(derivative):
    """k s + c on each piece, which holds its upper end; the slope itself is exact."""
    phi = fcsym.piecewise_linear("own", [fcsym.Piece(-1, Fraction(-1, 2), 1), fcsym.Piece(2, -2, Fraction(-1, 2)),
                                         fcsym.Piece(None, 3, Fraction(-21, 2))])  # fmt: skip
    d = fcsym.derive(Network.mlp([1, 1, 1], phi))
    s = np.arange(-12, 17)[:, None] / 4
    lhs = d.by_name["s1"].lhs
    size, moved = made_with({"s1": (s, s**2)}, d)._size(Apply(phi, lhs, derivative), lhs.indices)
    for at, one, by in zip(s.ravel(), np.ravel(size), np.broadcast_to(moved, s.shape).ravel(), strict=True):
        piece = phi.pieces[int(at > -1) + int(at > 2)]
        slope, shift = abs(float(piece.slope)), abs(float(piece.intercept))
        assert one == (slope if derivative else slope * abs(at) + shift)
        assert by == (0 if derivative else slope * (at**2 + abs(at) / ULPS))


def test_the_bound_of_a_case_is_that_of_the_case_alone():
    """Of what has none it is 0; conditions hold as they are written."""
    d = fcsym.derive(Network.mlp([1, 1, 1]))
    ds, s = d.by_name["ds1"].lhs, d.by_name["s1"].lhs
    grid = np.array([(a, b) for a in (-1.0, 0.0, 2.0) for b in (-2.0, 0.0, 3.0)])
    arrays = {"s1": grid[:, :1], "s1_new": grid[:, 1:], "ds1": grid[:, 1:] - grid[:, :1]}
    made = made_with({name: (value, np.full(value.shape, 0.25)) for name, value in arrays.items()}, d)
    found = made._right_side(d.by_name["dv1"])
    for (a, b), own in zip(grid, found[:, 0], strict=True):
        if a > 0:
            wanted = abs(b - a) + 0.25 if b > 0 else abs(a) + 0.25 + abs(a) / ULPS  # -1 is a number
        else:
            wanted = 0 if b <= 0 else abs(a) + abs(b - a) + 0.5
        assert float(own) == pytest.approx(wanted, rel=1e-12), (a, b)
        assert float(own) >= float(made.least)
    for relation, holds in {">": grid > 0.5, "<=": grid <= 0.5, "=": grid == 2, "!=": grid != 2}.items():
        bound = Fraction(1, 2) if relation in (">", "<=") else Fraction(2)
        assert (made._holds((Condition(s, relation, bound),), s.indices)[:, 0] == holds[:, 0]).all()
    weight, v, off = d.by_name["y"].operands[0].name, made.values["v1"], 0.25
    made.known["v1"] = np.full(v.shape, off)
    own = np.abs(made.values[weight]).ravel() * (np.abs(v).ravel() + off)
    np.testing.assert_allclose(made._right_side(d.by_name["y"]).ravel().astype(float), own, rtol=1e-15)
    both = made._holds((Condition(s, ">", Fraction(0)), Condition(ds, ">", Fraction(0))), s.indices)
    assert both[:, 0].tolist() == [a > 0 and b > a for a, b in grid]


@pytest.mark.parametrize("phi", ["relu", HAT, "tanh"], ids=["relu", "hat", "tanh"])
def test_what_w_dv_lacks_is_resolved_as_far_as_two_passes_are_apart(phi):
    """The sum over the units of |w'| by what v and v' are rounded to; on a kink, by all that s' moves."""
    d = fcsym.derive(Network.mlp([1, 2, 2], phi))
    network = d.network.training(d.network.rule, "sum")
    rng = np.random.default_rng(0)
    w, v, after = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4, 2))
    s = rng.choice([0.0, 2.0, 0.5, -1.0], size=(3, 4, 2))
    arrays = {"W2_new": (w, 0 * w), "v1": (v, v), "v1_new": (after, v)}
    made = made_with(arrays | {"s1_new": (s, abs(v))}, d, BAR)
    own = ULPS * float(np.finfo(np.longdouble).eps) / BAR
    off = own * (abs(v) + abs(after))
    for kink in network.hidden[-1].activation.kinks:
        off = off + np.where(s == float(kink), abs(v), 0)
    found = made._resolved(network)
    np.testing.assert_allclose(found.astype(float), off @ abs(w).transpose(0, 2, 1), rtol=1e-12)
    near = made_with(arrays | {"s1_new": (s + BAR * abs(v) / 2, abs(v))}, d, BAR)
    np.testing.assert_allclose(near._resolved(network).astype(float), found.astype(float), rtol=1e-12)


def test_what_is_asked_for_is_measured_with_what_it_is_made_of():
    """And nothing else: of p the step of its unit, and of y the weights alone."""
    d = fcsym.derive(Network.mlp([1, 2, 1]))
    for name in ("y", "dv1", "p"):
        found, wanted, more = made_of(d, [name]), {name}, True
        while more:
            new = {a.name for e in d.equations if e.defines and e.name in wanted for a in e.operands} - wanted
            wanted, more = wanted | new, bool(new)
        assert found == wanted and ("eta" in found) == (name != "y")
    given = inputs_of(d.network)
    made = Magnitude(d, given, stepped(d, given), BAR, made_of(d, ["y"]))
    assert {"s1", "v1", "y"} <= set(made.known) and not {"E", "p", "dv1"} & set(made.known)
    whole = Magnitude(d, given, stepped(d, given), BAR)
    assert (made.of("y") == whole.of("y")).all() and {"E", "p", "dv1"} <= set(whole.known)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_what_underflows_is_rounded_as_the_smallest_normal_number_is(precision):
    """That of the precision whose rounding the bar is a multiple of."""
    d = fcsym.derive(Network.mlp([1, 1]))
    given = inputs_of(d.network, 0.0)
    made = Magnitude(d, given, stepped(d, given), ULPS * float(np.finfo(precision).eps))
    assert float(np.ravel(made.of("y"))[0]) == float(np.finfo(precision).smallest_normal)


def test_numbers_of_a_rule_are_rounded_once_and_inputs_are_exact():
    d = fcsym.derive(Network.mlp([1, 1]).training(fcsym.rule("momentum")))
    given = inputs_of(d.network)
    made = Magnitude(d, given, stepped(d, given), BAR)
    ((array, value),) = ((a, v) for a, v in d.network.rule.values.items() if a.name in made.known)
    assert float(made.of(array.name)) * ULPS == float(value)
    assert all((made.of(name) == 0).all() for name in given)


def test_an_array_is_laid_along_the_indices_of_the_left_hand_side():
    """Whatever their order, and between others; axes of points stay in front."""
    value = np.arange(24.0).reshape(4, 2, 3)
    K = fcsym.language.expression.Index(I.axis, "k")
    for axes, wanted in (
        ((I, J), value), ((J, I), value.transpose(0, 2, 1)), ((J, K, I), value.transpose(0, 2, 1)[:, :, None]),
        ((K, I, J), value[:, None]),
    ):  # fmt: skip
        assert (aligned(value, A, axes) == wanted).all() and aligned(value, A, axes).shape == wanted.shape


def test_of_a_mini_batch_what_w_dv_lacks_has_what_can_be_resolved_beside_it():
    """Beside the terms of its equation."""
    network = Network.mlp([1, 1, 1])
    d = fcsym.derive(network.training(network.rule, "sum"))
    points = lattice(network, np.random.default_rng(0), 6).in_batches(2)
    given = {"W1": points.weights[0], "W2": points.weights[1], "x": points.x, "yg": points.target, "eta": points.eta}
    made = Magnitude(d, given, points.step(d.compile()), BAR)
    name = lacking(d.network.logits).name
    whole, terms, own = made.of(name), made._right_side(d.by_name[name]), made._resolved(d.network)
    assert (own > 0).any()
    np.testing.assert_allclose(whole.astype(float), (terms + own).astype(float), rtol=1e-12)


def test_what_is_left_of_a_product_whose_factors_are_next_to_0():
    """bar t u beside |a| u + |b| t, of a square 2 |b| t + bar t^2; and so for a cube."""
    arrays, bar = drawn(), 2.0**-6
    (b, t), (c, u) = arrays["b"], arrays["c"]
    made = made_with(arrays, bar=bar)
    for node, wanted in (
        (mul(B, C), abs(b) * u + abs(c) * t + bar * t * u),
        (power(B, 2), 2 * abs(b) * t + bar * t**2),
        (power(B, 3), 3 * b**2 * t + 3 * bar * abs(b) * t**2 + bar**2 * t**3),
    ):
        np.testing.assert_allclose(made._size(node, (J,))[1].astype(float), wanted, rtol=1e-13)


@pytest.mark.parametrize(("bend", "first"), [(np.inf, False), (3.0, True)])
def test_where_a_slope_bends_without_end_a_function_is_off_by_its_own_difference(monkeypatch, bend, first):
    """|s|^(3/2) at 0: its slope is 0 there, and its second derivative infinite."""
    module = "fcsym.checking.magnitude"
    monkeypatch.setattr(f"{module}.phi_of", lambda phi, s: np.abs(s) ** 1.5)
    monkeypatch.setattr(f"{module}.slope_of", lambda phi, s: 0 * s)
    monkeypatch.setattr(f"{module}.bend_of", lambda phi, s, n=2: np.full(np.shape(s), bend))
    bar, off = 2.0**-6, np.array([4.0, 0.0])
    arrays = {"b": (np.zeros(2), off)}
    made = made_with(arrays, bar=bar)
    moved = made._size(Apply(fcsym.smooth("tanh"), B), (J,))[1].astype(float).ravel()
    wanted = bar * bend * off**2 if first else np.where(off > 0, (bar * off) ** 1.5 / bar, 0)
    np.testing.assert_allclose(moved[:2] if moved.size > 1 else moved, wanted, rtol=1e-13)
