"""Functions in a form that loses no digits: which one it is, and that it is the same function."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
import sympy

from fcsym.language import accurate
from fcsym.language.accurate import POINTS, _sides, held, measured, with_calls
from fcsym.language.formulas import NUMBER, S, evaluate, from_sympy, mpmath_table

s = sympy.Symbol("s", real=True)
CALL = {n: sympy.Function(n, real=True) for n in ("sigmoid", "softplus", "log1p", "expm1", "normal_cdf")}
sigmoid, softplus, log1p, expm1, cdf = CALL.values()
exp, tanh, erf, root, log = sympy.exp, sympy.tanh, sympy.erf, sympy.sqrt, sympy.log
HALF = sympy.Rational(1, 2)
MADE = [
    (1 / (1 + exp(-s)), sigmoid(s)), (1 / (1 + exp(s)) ** 3, sigmoid(-s) ** 3), ((1 + exp(s)) ** 2, (1 + exp(s)) ** 2),
    (exp(s) / (1 + exp(s)), sigmoid(s)), (exp(2 * s) / (1 + exp(s)) ** 3, sigmoid(s) ** 2 * sigmoid(-s)),
    (log(1 + exp(s)), softplus(s)), (log(1 / (1 + exp(s))), -softplus(s)), (log(1 + s**2), log1p(s**2)),
    (log(2 + s**2), log(2 + s**2)), (3 - 3 / (1 + exp(-s)), 3 * sigmoid(-s)), (2 * exp(s) - 2, 2 * expm1(s)),
    (exp(s) + 1, exp(s) + 1), (HALF - HALF * exp(s), -HALF * expm1(s)),
    (1 + erf(s), 2 * cdf(root(2) * s)), (4 - 4 * erf(s), 8 * cdf(-root(2) * s)), (3 + 3 * tanh(s), 6 * sigmoid(2 * s)),
    (HALF - HALF * tanh(s), sigmoid(-2 * s)), (1 - tanh(s) ** 2, 4 * sigmoid(2 * s) * sigmoid(-2 * s)),
    (5 * tanh(s) ** 2 - 5, -20 * sigmoid(2 * s) * sigmoid(-2 * s)), (1 - tanh(s) ** 3, 1 - tanh(s) ** 3),
    (root(1 + s**2) - 1, s**2 / (root(1 + s**2) + 1)), (2 - 2 * root(1 + s), -2 * s / (root(1 + s) + 1)),
    (sympy.erfc(s), 2 * cdf(-root(2) * s)), (root(2) - root(2) * tanh(s), root(2) - root(2) * tanh(s)),
    (tanh(s) - exp(s), tanh(s) - exp(s)), (s * (1 - tanh(3 * s)), 2 * s * sigmoid(-6 * s)),
]  # fmt: skip


@pytest.mark.parametrize("expression, wanted", MADE)
def test_what_would_cancel_is_called_by_the_name_of_a_function_that_does_not(expression, wanted):
    found = with_calls(expression)
    assert sympy.simplify(found - wanted) == 0 and found.count_ops() <= wanted.count_ops() + 1
    assert from_sympy(found, fold=True) == from_sympy(wanted, fold=True)


SIDED = {
    "1 - tanh^2": (1 - tanh(s) ** 2, 1), "twice": (exp(2 * s) / (1 + exp(4 * s)), 2),
    "softplus": (log(1 + exp(s)), 1), "half": (1 / (1 + exp(s / 2)), Fraction(1, 2)),
    "a third and a half": (1 / (1 + exp(s / 2) + exp(s / 3)), Fraction(1, 6)),
    "a logarithm of both": (log(exp(2 * s) + 3 * exp(s) + 2), 1), "s beside it": (s * exp(2 * s) / (1 + exp(2 * s)), 2),
    "a logarithm of a quotient": (log((1 + 2 * exp(3 * s)) / (5 + exp(3 * s))), 3),
    "odd": (sympy.sinh(s) / (1 + sympy.cosh(s)), 1),
    "a logarithm of s": (log(1 + s**2) + log(1 + exp(s)), 1),
}  # fmt: skip


def parts_of(form):
    yield form
    for part in form[1:]:
        if isinstance(part, tuple):
            yield from parts_of(part)


@pytest.mark.parametrize("name", SIDED)
def test_a_quotient_of_exponentials_is_one_in_the_one_that_falls_on_either_side(name):
    """Of -q |s| for the largest q that makes all of them powers; it overflows nowhere, and has all its digits."""
    expression, rate = SIDED[name]
    made = _sides(expression, s)
    falling = ("mul", (NUMBER, -rate.numerator, rate.denominator), ("Abs", S))
    inside = {part[1] for part in parts_of(made) if part[0] in ("exp", "expm1")}
    assert inside == {falling}
    true = sympy.lambdify(s, expression, "mpmath")
    for at in ("-400", "-3", "-0.25", "0.5", "2", "300"):
        with mpmath.workprec(53):
            point = mpmath.mpf(at)
            found = evaluate(made, point, mpmath_table())
        with mpmath.workdps(400):
            wanted = true(point)
        assert abs(found - wanted) <= abs(wanted) * 1e-13, at


@pytest.mark.parametrize("expression, true", [
    (1 / root(1 + exp(s)), lambda x: 1 / mpmath.sqrt(1 + mpmath.exp(x))),
    (root(sympy.cosh(s)), lambda x: mpmath.sqrt(mpmath.cosh(x))),
])  # fmt: skip
def test_a_root_of_exponentials_is_one_in_what_falls_and_overflows_nowhere(expression, true):
    """In numbers of single precision, too, which hold no square of what is under the root."""
    assert measured(_sides(expression, s), lambda n, at: mpmath.diff(true, at, n) if n else true(at)) < 4


def test_a_form_is_chosen_by_its_digits_at_points_of_every_size(monkeypatch):
    """Of a difference of fractions their quotient, where numbers are large; of an exponential what overflows last."""
    assert {-p for p in POINTS} == set(POINTS) and 0 not in POINTS and len(set(POINTS)) == len(POINTS) > 50
    falls = 1 / (1 + s**2) - 1 / (2 + s**2)

    def true(order, at):
        one, two = 1 + at**2, 2 + at**2
        return 2 * at * (1 / two**2 - 1 / one**2) if order else 1 / (one * two)

    form, worst = accurate.accurate(falls, s, true)
    assert worst < 16 and measured(from_sympy(falls, fold=True), true) > 1e3
    assert evaluate(form, mpmath.mpf(2), mpmath_table()) == pytest.approx(1 / 30)
    grows = 5 * exp(s)  # at 263/3 it is above what single precision holds, and nothing is asked of it there
    assert measured(from_sympy(grows), lambda n, at: 5 * mpmath.exp(at)) < 16
    assert measured(("mul", ("exp", S), ("exp", S)), lambda n, at: mpmath.mpf(1)) == float("inf")
    monkeypatch.setattr(accurate, "_forms", lambda expression, symbol: iter([("first",), ("second",)]))
    for errors, taken in (((16.0, 1.0), "first"), ((16.5, 1.0), "second"), ((17.0, 1.0), "second")):
        monkeypatch.setattr(accurate, "measured", lambda form, _, e=errors: e[form[0] == "second"])
        assert accurate.accurate(s, s, true)[0] == (taken,)


def test_each_side_of_a_choice_has_s_held_on_that_side_at_every_depth():
    """At all of s, in a choice within it too: so no side overflows where it is not taken."""
    inner = "above", 2, 1, ("exp", S), ("mul", S, S)
    form = "above", 1, 2, ("add", inner, ("number", 1, 1)), ("exp", ("mul", (NUMBER, -1, 1), S))
    made = held(form)
    assert made[:3] == form[:3]
    for at in ("-3", "0.25", "0.5", "1", "2", "2.5"):
        point = mpmath.mpf(at)
        assert evaluate(made, point, mpmath_table()) == evaluate(form, point, mpmath_table())
    met = []
    table = {
        **mpmath_table(),
        "above": lambda test, a, b: a if test else b,
        "exp": lambda u: met.append(u) or mpmath.exp(u),
    }
    evaluate(made, mpmath.mpf(-800), table)
    evaluate(made, mpmath.mpf("0.75"), table)
    assert max(met) <= 800 and min(met) >= -0.5
