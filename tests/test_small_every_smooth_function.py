"""The functions that have a name, once round: what they are, what is found of them, and how they are told."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import mpmath
import pytest
import sympy

from fcsym.language import smooth_functions as functions
from fcsym.language.activation import smooth
from fcsym.language.formulas import NoRealValue, evaluate, from_sympy, mpmath_table, to_sympy

TRUE = {
    "gelu": lambda u: u * mpmath.ncdf(u), "silu": lambda u: u / (1 + mpmath.exp(-u)), "tanh": mpmath.tanh,
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)), "softplus": lambda u: mpmath.log(1 + mpmath.exp(u)),
    "exp": mpmath.exp, "log": mpmath.log, "sqrt": mpmath.sqrt,
}  # fmt: skip
AT = mpmath.mpf("0.75")


def near(found, true):
    return mpmath.almosteq(found, true, 1e-10)


def test_the_functions_that_have_a_name_are_what_they_are_called_in_every_way():
    """As they come, as formulas, as they are computed, and in words; with their slopes, by differences."""
    s, v = functions.symbols()
    assert s.is_real and v.is_real and set(TRUE) == set(functions.ENTRIES)
    table = mpmath_table()
    for name, true in TRUE.items():
        entry, phi, slope = functions.ENTRIES[name], smooth(name), mpmath.diff(true, AT)
        assert near(evaluate(from_sympy(entry.expression(s)), AT, table), true(AT)), name
        assert near(evaluate(functions.formula(phi), AT, table), true(AT)), name
        assert near(functions.value(phi, 0, AT), true(AT)) and near(functions.value(phi, 1, AT), slope), name
        for said, wanted in ((entry.value, true(AT)), (entry.slope, slope)):
            if said is not None:
                assert said(s).is_real and near(evaluate(from_sympy(said(s), fold=True), AT, table), wanted), name
        try:
            assert (functions.value(phi, 0, mpmath.mpf(-2)), entry.everywhere)[1] is True
        except NoRealValue:
            assert entry.everywhere is False
    for name in ("gelu", "log"):
        assert near(evaluate(functions.form(smooth(name), 1), AT, table), mpmath.diff(TRUE[name], AT)), name
    assert functions.text(smooth("tanh"), 1, "s", "v") in ("1 - v**2", "-v**2 + 1")
    assert functions.form(smooth("log"), 1) == from_sympy(1 / s, fold=True)
    assert sympy.expand(functions.derivative(smooth("tanh")) - 1 + v**2) == 0
    assert sympy.expand(functions.derivative(smooth("sigmoid")) - v * (1 - v)) == 0
    assert functions.latex(smooth("tanh"), 1, "s", "v^{c}") == "1 - {{v^{c}}}^{2}"  # with no parentheses
    assert functions._named(smooth("tanh"), 1, "s", "w").free_symbols == {sympy.Symbol("w", real=True)}
    assert functions.slope_among_entries(smooth("log")) == (1, None, -1)
    assert functions.slope_among_entries(smooth("softplus")) == (1, "sigmoid", 0)
    assert functions.slope_by_value(smooth("exp")) == (1, 1) and functions.in_calls(smooth("exp")) is not None
    assert functions.never_zero(smooth("sigmoid")) is True and functions.never_zero(smooth("log")) is False
    own = smooth("own", s**3 + 1)
    assert functions.formula(own) == own.formula and to_sympy(own.formula, s) == s**3 + 1
    assert [functions.value(own, n, mpmath.mpf(2)) for n in range(4)] == [9, 12, 12, 6]
    assert functions.shown(own, 0) == s**3 + 1 and functions.shown(own, 1) == 3 * s**2


S_ = functions.symbols()[0]


@pytest.mark.parametrize("expression, wanted", [
    (sympy.log(S_**3 + S_**4) - sympy.log(1 + S_), (Fraction(3), None, -1)),
    (-sympy.log(S_) / 2, (Fraction(-1, 2), None, -1)), (S_**2, None), (S_**3, None), (1 / S_, None),
    (sympy.log(S_) + S_, None), (sympy.log(S_ + 1), None),
])  # fmt: skip
def test_the_slope_of_a_logarithm_is_an_inverse_however_it_is_written(expression, wanted):
    own = SimpleNamespace(name="own", formula=from_sympy(expression))
    assert functions.slope_among_entries(own) == wanted


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", ["log", "sqrt"])
def test_what_is_no_activation_is_computed_as_it_is_written(name, order):
    """Without being measured, which is done on both sides of 0."""
    given = functions._given.__wrapped__(name, (), order)
    assert given == from_sympy(sympy.diff(functions.ENTRIES[name].expression(S_), S_, order), fold=True)
    assert functions._given.__wrapped__("exp", (), order) is None


SIZED = {
    "a sign beside s": (sympy.Abs(S_) + S_**2 / 2, lambda x: mpmath.sign(x) + x),
    "a sign times s": (S_**2 * sympy.Abs(S_), lambda x: 3 * x * abs(x)),
    "a sign times another": (sympy.exp(sympy.Abs(S_ - 1)), lambda x: mpmath.sign(x - 1) * mpmath.exp(abs(x - 1))),
    "a sign and a product": (
        sympy.Abs(S_) + S_**2 * sympy.exp(S_),
        lambda x: mpmath.sign(x) + (x * x + 2 * x) * mpmath.exp(x),
    ),
}


@pytest.mark.parametrize("name", SIZED)
def test_a_slope_with_a_sign_is_that_of_both_sides(name):
    """And between them, where a sign is 0 and nothing is divided by it."""
    expression, true = SIZED[name]
    found = sympy.lambdify(S_, functions.slope_of(expression), "mpmath")
    for at in ("-2.5", "-0.25", "0", "0.5", "3"):
        assert near(found(mpmath.mpf(at)), true(mpmath.mpf(at)))
