"""Smooth functions: what is found of them holds, and how they are computed loses no digits."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
import sympy
from sympy.parsing.sympy_parser import parse_expr
from sympy.printing.numpy import NumPyPrinter

import fcsym
from fcsym.errors import NetworkError
from fcsym.language import accurate, smooth_functions
from fcsym.language.accurate import POINTS, _forms, _sides, in_calls, measured, with_calls
from fcsym.language.activation import SMOOTH, smooth
from fcsym.language.formulas import NUMBER, NoRealValue, S, evaluate, from_sympy, mpmath_table, to_sympy
from fcsym.language.piecewise import Piecewise
from fcsym.language.smooth_functions import ENTRIES, slope_among_entries, slope_by_value

s = sympy.Symbol("s", real=True)

U = 3 * s + sympy.Rational(1, 2)
NEAR_NOUGHT = {
    "1 - sigmoid": (5 - 5 / (1 + sympy.exp(-U)), "8"), "exp - 1": (2 * sympy.exp(s) - 2, "1e-10"),
    "1 - exp": (sympy.Rational(1, 3) - sympy.exp(-s) / 3, "3e-9"), "1 + erf": (1 + sympy.erf(U), "-2"),
    "1 - erf": (4 - 4 * sympy.erf(U), "1.5"), "1 + tanh": (2 + 2 * sympy.tanh(U), "-5"),
    "1 - tanh": (1 - sympy.tanh(U), "5"), "1 - tanh^2": (7 - 7 * sympy.tanh(U) ** 2, "4"),
    "tanh^2 - 1": (sympy.tanh(U) ** 2 - 1, "-6"), "root": (3 * sympy.sqrt(1 + s**2) - 3, "1e-5"),
    "1 - root": (2 - 2 * sympy.sqrt(1 + s), "-1e-9"), "logarithm near 1": (sympy.log(1 + s**2), "1e-5"),
    "softplus": (sympy.log(1 + sympy.exp(-s)), "30"), "in a product": (s * (1 - sympy.tanh(U)), "5"),
    "logarithm of a sigmoid": (sympy.log(1 / (1 + sympy.exp(-U))), "9"),
}  # fmt: skip


def true_at(expression, at):
    """With many digits."""
    with mpmath.workdps(80):
        return sympy.lambdify(s, expression, "mpmath")(mpmath.mpf(at))


@pytest.mark.parametrize("name", NEAR_NOUGHT)
def test_what_would_lose_its_digits_has_them_all(name):
    """In numbers of 53 bits, where as it is written next to none are left of it."""
    expression, at = NEAR_NOUGHT[name]
    with mpmath.workprec(53):
        point = mpmath.mpf(at)
        found = evaluate(in_calls(expression), point, mpmath_table())
        plain = sympy.lambdify(s, expression, "mpmath")(point)
    true = true_at(expression, point)
    assert abs(found - true) <= abs(true) * 1e-13
    assert abs(plain - true) > abs(true) * 1e-11
    assert with_calls(expression).is_real is expression.is_real


@pytest.mark.parametrize(
    "expression",
    [
        sympy.exp(s**2) / (1 + sympy.exp(s)), sympy.exp(2 * s) / (1 + sympy.exp(s)), sympy.exp(-s) / (1 + sympy.exp(s)),
        sympy.exp(s / 2) / (1 + sympy.exp(s)), sympy.exp(3 * s) / (1 + sympy.exp(s)) ** 2,
        sympy.exp(s) / (1 + sympy.exp(s)) ** 3, s * sympy.exp(2 * s) / (1 + sympy.exp(s)) ** 2,
    ],
)  # fmt: skip
def test_an_exponential_is_taken_into_a_sigmoid_as_often_as_both_are_there(expression):
    """Whole times, and none is divided by for it: a sigmoid may be too small for that."""
    made = with_calls(expression)
    sigmoid = {"sigmoid": lambda u: 1 / (1 + mpmath.exp(-u))}
    for at in ("-3", "0.5", "2"):
        with mpmath.workdps(30):
            found = sympy.lambdify(s, made, [sigmoid, "mpmath"])(mpmath.mpf(at))
            assert mpmath.almosteq(found, true_at(expression, at), 1e-25)
    for factor in sympy.Mul.make_args(made):
        base, exponent = factor.as_base_exp()
        assert base.func.__name__ != "sigmoid" or (exponent.is_Integer and exponent > 0)


SIDED = {
    "tanh": sympy.tanh(s), "expm1": sympy.exp(s) - 1, "of two rates": sympy.exp(s / 2) - sympy.exp(-s / 2),
    "a square of it": (sympy.exp(s) - 1) ** 2 / (1 + sympy.exp(2 * s)),
    "over a cube": (sympy.exp(2 * s) - 1) / (1 + sympy.exp(s)) ** 3,
    "three at once": (1 - sympy.exp(s)) * (1 - sympy.exp(-s)) * s,
}  # fmt: skip


@pytest.mark.parametrize("name", SIDED)
def test_near_0_a_quotient_that_is_0_there_has_all_its_digits(name):
    """On either side, in numbers of 53 bits: e^-|s| - 1 is a factor of its own."""
    made = _sides(SIDED[name], s)
    for at in ("1e-9", "-3e-7", "0.002", "-0.4", "5"):
        with mpmath.workprec(53):
            point = mpmath.mpf(at)
            found = evaluate(made, point, mpmath_table())
        true = true_at(SIDED[name], point)
        assert abs(found - true) <= abs(true) * 1e-13, at


def parts_of(formula):
    yield formula
    for part in formula[1:]:
        if isinstance(part, tuple):
            yield from parts_of(part)


@pytest.mark.parametrize(
    "expression", [sympy.pi * s / (s**2 + 3), sympy.sqrt(2) * sympy.cos(s) + sympy.pi, sympy.exp(s) * sympy.sqrt(5)]
)
def test_every_form_that_is_tried_has_constants_that_targets_have(expression):
    """And the value of the function."""
    tried = list(_forms(expression, s))
    assert len(tried) > 1
    for formula in tried:
        assert not any(part[0] == "pi" for part in parts_of(formula))
        for at in ("-1.5", "0.25", "3"):
            with mpmath.workdps(40):
                assert mpmath.almosteq(
                    evaluate(formula, mpmath.mpf(at), mpmath_table()), true_at(expression, at), 1e-35
                )


@pytest.mark.parametrize("name", ENTRIES)
def test_in_a_form_that_an_entry_says_numbers_stand_first(name):
    """As in every form that is computed."""
    for said in filter(None, (smooth_functions._given(name, (), order) for order in range(3))):
        for part in parts_of(said):
            if part[0] in ("add", "mul"):
                assert all(other[0] != NUMBER for other in part[2:]), part


# ------------------------------------------------------------------------------------------------- what is found

OWN = {
    "a sigmoid": sympy.log(sympy.exp(2 * s) + sympy.exp(s)) - s,
    "a sigmoid and 1": sympy.log(1 + sympy.exp(s)) + s,
    "a sigmoid less 1": sympy.log(1 + sympy.exp(s)) - s,
    "a sigmoid and s": sympy.log(1 + sympy.exp(s)) + s**2 / 2,
    "an exponential and 1": 2 * sympy.exp(s) + sympy.sin(s) ** 2 + sympy.cos(s) ** 2,
    "tanh": sympy.log(sympy.cosh(s)),
    "an exponential": sympy.exp(s) * 3,
    "falling": -sympy.exp(s),
    "at least 1": s**2 + 1,
    "odd": s**3,
}
FUNCTIONS = {name: smooth(name) for name in ENTRIES} | {
    name: smooth(f"own{n}", OWN[name]) for n, name in enumerate(OWN)
}
KNOWN = {
    "a sigmoid": (1, "sigmoid", 0), "softplus": (1, "sigmoid", 0), "exp": (1, "exp", 0), "log": (1, None, -1),
    "tanh": (1, "tanh", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_slope_is_a_function_of_the_language_where_it_is_said_to_be(name):
    """And where it is one, it is said. "tanh" is the integral of tanh here, and tanh itself."""
    phi = FUNCTIONS[name]
    expression = OWN[name] if name in OWN else smooth_functions.expression(phi)
    among, by = slope_among_entries(phi), slope_by_value(phi)
    assert (among is None) == (name not in KNOWN)
    assert (by is None) == (name not in ("exp", "sqrt", "an exponential", "falling"))
    for at in ("0.3", "1.7"):
        with mpmath.workdps(40):
            function = sympy.lambdify(s, expression, "mpmath")
            point = mpmath.mpf(at)
            slope = mpmath.diff(function, point)
            if among is not None:
                factor, other, power = among
                known = 1 if other is None else sympy.lambdify(s, ENTRIES[other].expression(s), "mpmath")(point)
                assert mpmath.almosteq(slope, factor.numerator * known * point**power / factor.denominator, 1e-12)
            if by is not None:
                factor, power = by
                assert mpmath.almosteq(slope, factor.numerator * function(point) ** power / factor.denominator, 1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_never_0_has_one_sign_everywhere(name):
    """It is True or False, and no other word for it."""
    phi = FUNCTIONS[name]
    never = ("sigmoid", "softplus", "exp", "an exponential", "an exponential and 1", "falling", "at least 1")
    assert phi.never_zero is (name in (*never, "a sigmoid and s"))
    if phi.never_zero:
        expression = smooth_functions.expression(phi)
        signs = {mpmath.sign(true_at(expression, at)) for at in range(-40, 41, 4)}
        assert len(signs) == 1 and 0 not in signs


@pytest.mark.parametrize("name", ["log((s - n)^2)", "(s - n)^2 log |s - n|", "1/(s - n)^2", "|s - n|"])
@pytest.mark.parametrize("n", range(-3, 4))
def test_what_has_no_value_or_slope_at_a_whole_number_is_refused(name, n):
    """These are where people put it, and where no sign on either side tells of it."""
    expression = {
        "log((s - n)^2)": sympy.log((s - n) ** 2, evaluate=False), "1/(s - n)^2": (s - n) ** -2,
        "(s - n)^2 log |s - n|": (s - n) ** 2 * sympy.log(sympy.Abs(s - n)), "|s - n|": sympy.Abs(s - n),
    }[name]  # fmt: skip
    with pytest.raises(NetworkError, match=rf"at s = {float(n) if n else '0.0'}") as refused:
        fcsym.smooth("own", expression)
    assert ("corner" in str(refused.value)) == (name == "|s - n|")


@pytest.mark.parametrize("expression", [2 * s + 1, -s / 3, sympy.log(sympy.exp(s)), sympy.pi * s])
def test_a_straight_line_is_no_smooth_function(expression):
    with pytest.raises(NetworkError, match="is a straight line: use piecewise_linear"):
        fcsym.smooth("own", expression)
    assert fcsym.smooth("own", expression + sympy.exp(-(s**2)) / 1000)


@pytest.mark.parametrize("at", ["1", "-23"])
def test_a_value_on_which_two_agree_is_not_computed_again(at, monkeypatch):
    asked = []

    def counted(*given):
        asked.append(mpmath.mp.dps)
        return evaluate(*given)

    monkeypatch.setattr(smooth_functions, "evaluate", counted)
    found = smooth_functions._digits(("exp", S), mpmath.mpf(at))
    assert len(asked) == 2 and asked[0] < asked[1]
    assert mpmath.almosteq(found, mpmath.exp(mpmath.mpf(at)))


SIZED = {
    "a sign beside s": (sympy.Abs(s) + s**2 / 2, lambda x: mpmath.sign(x) + x),
    "falling on both sides": ((1 + sympy.Abs(s)) * sympy.exp(-sympy.Abs(s)), lambda x: -x * mpmath.exp(-abs(x))),
    "s |s|": (s * sympy.Abs(s), lambda x: 2 * abs(x)),
    "|s|^3 and s": (sympy.Abs(s) ** 3 / 3 + s, lambda x: x * abs(x) + 1),
    "a quotient": (s / (1 + sympy.Abs(s)), lambda x: 1 / (1 + abs(x)) ** 2),
    "a sign in an exponent": (sympy.exp(sympy.Abs(s - 1)), lambda x: mpmath.sign(x - 1) * mpmath.exp(abs(x - 1))),
}


@pytest.mark.parametrize("name", SIZED)
def test_a_slope_of_sizes_is_one_on_either_side(name):
    expression, true = SIZED[name]
    found = smooth_functions.slope_of(expression)
    for at in ("-2.5", "-0.25", "0.5", "3"):
        assert mpmath.almosteq(true_at(found, at), true(mpmath.mpf(at)))


CALLED = {
    "tanh": mpmath.tanh, "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)),
    "softplus": lambda u: mpmath.log(1 + mpmath.exp(u)),
    "silu": lambda u: u / (1 + mpmath.exp(-u)), "gelu": lambda u: u * mpmath.ncdf(u), "exp": mpmath.exp,
    "log": mpmath.log, "sqrt": mpmath.sqrt,
}  # fmt: skip


def test_a_function_is_what_it_is_called_in_every_form_and_has_no_value_beyond_its_ends():
    """As a formula, as an expression, in text and as it is computed; and its slopes, by differences."""
    table = mpmath_table()
    assert set(CALLED) == set(ENTRIES)
    for name, true in CALLED.items():
        phi = smooth(name)
        for at in (mpmath.mpf("0.7"), mpmath.mpf(3)):
            forms = (smooth_functions.formula(phi), smooth_functions.as_formula(phi, 0), smooth_functions.in_calls(phi))
            for made in filter(None, forms):
                assert mpmath.almosteq(evaluate(made, at, table), true(at), 1e-12), name
            told = parse_expr(smooth_functions.text(phi, 0, "s", "v"), {"s": s})
            assert mpmath.almosteq(true_at(told, at), true(at), 1e-12)
            for order in (1, 2):
                slope = mpmath.diff(true, at, order)
                for made in (smooth_functions.derivative(phi, order), smooth_functions.shown(phi, order)):
                    value = made.subs(
                        dict(zip(smooth_functions.symbols(), (s, ENTRIES[name].expression(s)), strict=True))
                    )
                    assert mpmath.almosteq(true_at(value, at), slope, 1e-8), (name, order)
        found, held = accurate.in_calls(ENTRIES[name].expression(s)), accurate.held
        direct = smooth_functions._in_calls(name, ())
        assert direct == (found if held(found) == smooth_functions.form(phi, 0) else None)
    assert (
        smooth_functions.in_calls(smooth("sigmoid")) is not None
        and smooth_functions.in_calls(smooth("tanh")) is not None
    )
    for name, order in product(("log", "sqrt"), range(3)):  # as no activation has them, for what they are
        slope = sympy.diff(ENTRIES[name].expression(s), s, order)
        assert smooth_functions.form(smooth(name), order) == from_sympy(
            slope.subs(s, smooth_functions.symbols()[0]), fold=True
        )
    assert evaluate(from_sympy(sympy.E * s + sympy.E), mpmath.mpf(2), table) == pytest.approx(3 * mpmath.e)
    own = smooth("own", s**3 + 1)
    assert smooth_functions.shown(own, 0) == s**3 + 1 and smooth_functions.shown(own, 1) == 3 * s**2
    assert [smooth_functions.value(own, n, mpmath.mpf(2)) for n in range(4)] == [9, 12, 12, 6]
    assert smooth_functions.text(own, 1, "u", "v") == "3*u**2" and smooth_functions.latex(own, 2, "u", "v") == "6 {u}"
    choice = to_sympy(("above", 1, 2, S, (NUMBER, 1, 2)), s)
    assert choice.args[0] == (s, s > sympy.Rational(1, 2)) and from_sympy(choice) == ("above", 1, 2, S, (NUMBER, 1, 2))
    assert smooth_functions.formula(own) == own.formula and evaluate(own.formula, mpmath.mpf(2), mpmath_table()) == 9
    assert all(symbol.is_real for symbol in smooth_functions.symbols())
    for name, order, at in (("log", 0, 0), ("log", 1, 0), ("log", 0, -1), ("sqrt", 0, -1), ("sqrt", 1, 0)):
        with pytest.raises(NoRealValue):
            smooth_functions.value(smooth(name), order, mpmath.mpf(at))


def test_a_form_is_measured_on_both_sides_of_0_from_what_is_tiny_to_what_is_large():
    """From 1e-18 to 10^4, of each sign as many, and nowhere twice."""
    assert len(set(POINTS)) == len(POINTS) and {-p for p in POINTS} == set(POINTS) and 0 not in POINTS
    sizes = sorted(p for p in POINTS if p > 0)
    assert sizes[0] == Fraction(1, 10**18) and 9_999 < sizes[-1] < 10_001
    assert sum(size < Fraction(1, 100) for size in sizes) > 3 and sum(1 < size < 100 for size in sizes) > 10


def test_the_error_of_a_form_is_measured_beside_the_value_and_what_it_changes_by():
    """Of s^2 as a product of doubles, beside |s^2| + |s| |2 s|, each in roundings."""
    square = ("mul", S, S)
    found = measured(square, lambda order, at: (at**2, 2 * at, mpmath.mpf(2))[order])
    worst = 0.0
    for point in POINTS:
        at = float(np.float32(float(point)))
        exact = Fraction(at) ** 2
        worst = max(worst, float(abs(Fraction(at * at) - exact) / (3 * exact) * 2**52))
    assert found == pytest.approx(worst, rel=1e-6) and worst < 0.2
    reciprocal = smooth_functions.bound(smooth("log"), 1)  # 1/s, as a quotient of doubles, beside 1/s and s/s^2
    worst = 0.0
    for point in POINTS:
        at = float(np.float32(float(point)))
        exact = 1 / Fraction(at)
        worst = max(worst, float(abs(Fraction(1 / at) - exact) / abs(2 * exact) * 2**52))
    assert reciprocal == pytest.approx(worst, rel=1e-6) and 0 < smooth_functions.bound(smooth("tanh"), 0) < 16
    above = ("add", square, ("mul", (NUMBER, 1, 2**40), S))  # at which it is off by a part of the value
    off = measured(above, lambda order, at: (at**2, 2 * at, mpmath.mpf(2))[order])
    assert off > 1e6


@pytest.mark.parametrize(
    "errors, taken",
    [
        ([3.0, 1.0], 0), ([16.0], 0), ([17.0, 2.0], 1), ([16.0, 2.0], 0),
        ([100.0, 7.0, 1.0], 1), ([100.0, 50.0, 60.0], 1), ([100.0, 95.0], 0),
        ([90.0, float("inf"), 20.0, 19.0], 2), ([float("inf"), 40.0], 1), ([float("inf"), float("inf")], 0),
    ],
)  # fmt: skip
def test_the_first_form_that_is_good_is_taken_or_else_the_one_that_is_clearly_better(errors, taken, monkeypatch):
    """Up to 16 roundings; what is no more than a tenth better does not count."""
    forms = [("form", n) for n in range(len(errors))]
    monkeypatch.setattr(accurate, "_forms", lambda expression, symbol: iter(forms))
    monkeypatch.setattr(accurate, "measured", lambda form, number: errors[form[1]])
    assert accurate.accurate(s, s, lambda order, at: at) == (forms[taken], errors[taken])


# --------------------------------------------------------------------------------------------------------- in pieces

X, Y, T = sympy.symbols("x y t", real=True)


def test_what_is_put_into_rows_is_in_every_row_and_in_every_condition():
    """And with nothing to put in it is the same object, so that SymPy can go on with it."""
    rows = Piecewise((X, T > 1), (2 * X + T, T > 0), (-X, True))
    for old, new in ((X, Y), (X, Y + 1), (T, Y), (T, 2 * X), (X, T)):
        for made in (rows.subs(old, new), rows.xreplace({old: new})):
            for x, y, t in product(
                (Fraction(-2), Fraction(3)), (Fraction(1, 3),), (Fraction(-1), Fraction(1, 2), Fraction(4))
            ):
                there = {X: x, Y: y, T: t}
                put = {**there, old: sympy.sympify(new).subs(there)}
                true = put[X] if put[T] > 1 else 2 * put[X] + put[T] if put[T] > 0 else -put[X]
                assert made.subs(there) == true, (old, new)
    assert rows.subs(Y, 2) is rows and rows.xreplace({Y: X}) is rows
    assert rows.xreplace({rows: Y}) == Y and (rows + X).xreplace({rows: Y}) == X + Y
    assert NumPyPrinter().doprint(rows).count("where") == 2
    both = Piecewise((X, sympy.And(T > 0, Y > X)), (Y, sympy.Or(T < -1, Y <= 0)), (T, True))
    for x, y, t in product((-1, 2), (-2, 3), (-2, Fraction(1, 2))):
        true = x if t > 0 and y > x else y if t < -1 or y <= 0 else t
        assert (
            both.subs(X, x).subs(Y, y).subs(T, t)
            == both.xreplace({X: sympy.Integer(x), Y: sympy.Integer(y)}).subs(T, t)
            == true
        )


@pytest.mark.parametrize("length", [1, 2])
def test_a_piece_without_an_end_is_the_last_and_no_other(length):
    ends = [None] * length + [Fraction(1)]
    for wrong in (ends, [Fraction(0), Fraction(1)], [None, None]):
        with pytest.raises(NetworkError, match="the last must have none"):
            fcsym.piecewise_linear("own", [fcsym.Piece(end, 1) for end in wrong])


def test_a_piece_has_a_name_of_as_many_letters_as_is_said():
    def named(length):
        return fcsym.piecewise_linear("own", [fcsym.Piece(0, 0, name="a" * length), fcsym.Piece(None, 1, name="b")])

    with pytest.raises(NetworkError, match=r"use at most \d+ letters") as refused:
        named(32)
    most = int(re.search(r"at most (\d+) letters", str(refused.value))[1])
    assert named(most).pieces[0].name == "a" * most
    with pytest.raises(NetworkError, match="letters"):
        named(most + 1)
    assert set(SMOOTH) < set(ENTRIES)
