"""Functions of one number: what a rule says, evaluated with many digits and with few, against what it stands for."""

from __future__ import annotations

import re
from fractions import Fraction

import mpmath
import pytest
import sympy

import fcsym
from fcsym.errors import NetworkError, UnsupportedExpression
from fcsym.language.accurate import _common, held, measured
from fcsym.language.differences import _RULES, AFTER, CHANGE, difference
from fcsym.language.expression import Array, Ref
from fcsym.language.formulas import NUMBER, S, evaluate, mpmath_table
from fcsym.language.smooth_functions import value
from fcsym.language.sympy_bridge import from_sympy

S_OF = sympy.Symbol("s", real=True)
TWO = (NUMBER, 2, 1)
INNER = ("add", ("mul", TWO, S), (NUMBER, 1, 3))
SQUARE = ("add", ("pow", S, TWO), (NUMBER, 1, 2))
FORMULAS = {
    **{name: (name, SQUARE if name in ("log", "log1p") else S) for name in _RULES},
    **{f"{name} inside": (name, ("mul", TWO, SQUARE) if name in ("log", "log1p") else INNER) for name in _RULES},
    "product": ("mul", S, ("exp", S), ("tanh", INNER)),
    "square": ("pow", S, TWO),
    "fifth power": ("pow", INNER, (NUMBER, 5, 1)),
    "quotient": ("pow", SQUARE, (NUMBER, -1, 1)),
    "cubed below": ("pow", SQUARE, (NUMBER, -3, 1)),
    "root": ("pow", SQUARE, (NUMBER, 1, 2)),
    "root cubed": ("pow", SQUARE, (NUMBER, 3, 2)),
    "root below": ("pow", SQUARE, (NUMBER, -1, 2)),
    "two pieces": ("above", 1, 4, ("add", ("exp", S), (NUMBER, -1, 1)), ("sin", S)),
    "constant beside": ("add", ("exp", (NUMBER, 1, 2)), ("mul", TWO, S), ("pi",)),
}
AT = ("-7.5", "-2.25", "-0.75", "-0.1", "0.3", "0.9", "2.5", "6")
BY = ("1e-12", "-3e-9", "2e-6", "-0.003", "0.04", "-0.3", "0.8", "1.5", "-4", "9")


def at(formula, s, by):
    """A difference at s and ds, with its three heads more."""

    def inner(node):
        match node:
            case ("s",):
                return s
            case ("after",):
                return s + by
            case ("change",):
                return by
            case ("where", u, p, q, a, b):
                return inner(a) if inner(u) > mpmath.mpf(p) / q else inner(b)
            case ("number", p, q):
                return mpmath.mpf(p) / q
            case ("above", p, q, a, b):
                return inner(a) if s > mpmath.mpf(p) / q else inner(b)
            case (head, *parts):
                return mpmath_table()[head](*map(inner, parts))

    return inner(formula)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_difference_is_one(name):
    """With 60 digits: f(s + ds) - f(s), on either side of every place where another form is taken."""
    formula = FORMULAS[name]
    rule = difference(formula)
    assert rule is not None
    digits = 15 if re.match("normal_cdf|erf", name) else 50  # a series of six terms
    for s, by in ((s, by) for s in AT for by in BY):
        with mpmath.workdps(60):
            s, by = mpmath.mpf(s), mpmath.mpf(by)
            found = at(rule, s, by)
            true = evaluate(formula, s + by, mpmath_table()) - evaluate(formula, s, mpmath_table())
            assert abs(found - true) <= abs(true) * mpmath.mpf(10) ** -digits + mpmath.mpf(10) ** (-digits - 5), (s, by)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_small_difference_loses_no_digits(name):
    """In numbers of 53 bits, where two values of the function agree in most of theirs."""
    formula, subtracted = FORMULAS[name], 0
    for s, by in ((s, by) for s in AT for by in BY[:3]):
        with mpmath.workprec(53):
            a, d = mpmath.mpf(s), mpmath.mpf(by)
            found = at(difference(formula), a, d)
            apart = evaluate(formula, a + d, mpmath_table()) - evaluate(formula, a, mpmath_table())
        with mpmath.workdps(60):
            true = evaluate(formula, a + d, mpmath_table()) - evaluate(formula, a, mpmath_table())
            size = abs(true) * 1e-13 + abs(d) * mpmath.mpf(10) ** -14
            assert abs(found - true) <= size, (s, by)
            subtracted += abs(apart - true) > size
    assert subtracted > 3 or name in ("Abs", "Abs inside")


def test_what_does_not_change_has_no_difference():
    assert difference(("exp", (NUMBER, 1, 2))) == (NUMBER, 0, 1)
    assert difference(S) == CHANGE
    assert difference(("sinh", S)) is None and difference(("pow", S, (NUMBER, 1, 3))) is None
    assert AFTER not in (S, CHANGE)


def test_a_side_that_is_not_taken_is_held():
    """e^s below 1 and 2 above it: at 1000 neither is too large, and the value is what it was."""
    formula = ("above", 1, 1, TWO, ("above", -3, 1, ("exp", ("mul", S, S)), ("exp", ("mul", (NUMBER, -1, 1), S))))
    made, largest = held(formula), []

    def exp(u):
        largest.append(u)
        return mpmath.exp(u)

    both = {**mpmath_table(), "exp": exp, "above": lambda test, a, b: a if test else b}
    for s in (-3.5, -3, -1, 0.5, 1, 1.5, 1000):
        largest.clear()
        assert evaluate(made, mpmath.mpf(s), both) == evaluate(formula, mpmath.mpf(s), mpmath_table())
        assert len(largest) == 2 and max(largest) <= max(9, -s)


s = sympy.Symbol("s", real=True)


@pytest.mark.parametrize(
    "expression, what, where",
    [
        (1 / (s**2 - 2), "no real value", "sqrt(2)"),
        (s / (s - sympy.Rational(22, 7)), "no real value", "22/7"),
        (sympy.log(s + sympy.Rational(1, 3)), "no real value", None),
        (s * sympy.Abs(s**3 - 5), "has a corner", "cbrt(5)"),
        (sympy.Abs(sympy.exp(s) - 3), "has a corner", "log(3)"),
        (sympy.Piecewise((s, s > sympy.Rational(1, 7)), (s**2, True)), "jumps", "1/7"),
        (sympy.Piecewise((s, s > sympy.Rational(2, 7)), (2 * s - sympy.Rational(2, 7), True)), "has a corner", "2/7"),
    ],
)
def test_a_corner_or_a_pole_between_points_is_found(expression, what, where):
    with pytest.raises(NetworkError, match=what) as refused:
        fcsym.smooth("own", expression)
    if where is not None:
        wanted = [mpmath.nstr(sign * mpmath.mpf(sympy.sympify(where).evalf(20)), 4) for sign in (1, -1)]
        assert re.search(r"at s = ([-\d.]+\d)", str(refused.value))[1] in wanted


@pytest.mark.parametrize("expression", [s * sympy.Abs(s), sympy.Abs(s) ** 3, sympy.log(1 + s**2), s / (1 + s**2)])
def test_what_is_smooth_at_a_corner_s_place_is_taken(expression):
    phi = fcsym.smooth("own", expression)
    for n in (-2, 0, 3):
        found, true = value(phi, 0, mpmath.mpf(n) / 2), expression.subs(s, sympy.Rational(n, 2))
        assert float(found) == pytest.approx(float(true), abs=1e-15)


def test_the_largest_number_of_which_two_are_multiples():
    """Both are whole multiples of it, and these have no divisor in common."""
    assert _common(Fraction(1, 2), Fraction(1, 3)) == Fraction(1, 6)
    assert _common(Fraction(3, 4), Fraction(9, 2)) == Fraction(3, 4)
    assert _common(Fraction(0), Fraction(5, 7)) == Fraction(5, 7)


def test_a_form_that_is_not_0_where_the_function_is_has_a_large_error():
    assert measured((NUMBER, 0, 1), lambda order, at: mpmath.mpf(0)) == 0
    assert measured((NUMBER, 1, 1), lambda order, at: mpmath.mpf(0)) > 1e100


@pytest.mark.parametrize("ends", [(2, 0), (1, 1), (0, 3, 1)])
def test_ends_of_pieces_that_do_not_increase_are_refused(ends):
    pieces = [fcsym.Piece(end, 1) for end in (*ends, None)]
    with pytest.raises(NetworkError, match="must increase"):
        fcsym.piecewise_linear("folded", pieces)
    assert fcsym.piecewise_linear("straight", [fcsym.Piece(end, 1) for end in (0, 1, None)])


@pytest.mark.parametrize("found", [sympy.gamma(S_OF), sympy.Function("tanh")(S_OF, 2), sympy.Function("f")(S_OF, 2)])
def test_a_function_that_the_language_has_not_is_refused(found):
    """One of another name, and one of a known name that is given too much; the list of those that there are is said."""
    with pytest.raises(UnsupportedExpression, match=r"the functions of the language are .*tanh"):
        from_sympy(found, {S_OF: Ref(Array("q", None, ()), ())})
