"""The language of the equations, in small: what a word, a form or a rule of it says, against its definition."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
import sympy

import fcsym
from fcsym.language.accurate import _sides, with_calls
from fcsym.language.activation import activation, smooth
from fcsym.language.differences import _hermite, _logarithm_near
from fcsym.language.equation import Case, Condition, Equation, Rule
from fcsym.language.expression import Apply, Array, Axis, Index, Ref, Role, indicator, mul, power, total
from fcsym.language.findings import Counterexample, Verdict, presupposed
from fcsym.language.formulas import NUMBER, S, evaluate, mpmath_table
from fcsym.language.names import latex_array
from fcsym.language.names_of_cases import of_unit
from fcsym.language.shifts import written
from fcsym.language.smooth_functions import _digits, _in_value, form, value
from fcsym.language.sympy_bridge import Symbolic, to_sympy
from fcsym.language.tables import toml_table

s = sympy.Symbol("s", real=True)


def scalar(name):
    return Ref(Array(name, None, ()), ())


@pytest.mark.parametrize(
    "names, said",
    [
        ("", ""),
        ("a", "where `a` is not 0"),
        ("ab", "where `a` and `b` are not 0"),
        ("abc", "where `a`, `b` and `c` are not 0"),
    ],
)
def test_what_is_presupposed_is_said_of_all_conditions(names, said):
    assert presupposed([Condition(scalar(name), "!=") for name in names]) == said


def test_an_equation_is_no_other_thing():
    """The answer is a truth value, as everywhere else."""
    equation = fcsym.derive(fcsym.Network.parse("1-1-1"))["p"]
    assert (equation == 1) is False and (equation == equation) is True
    assert equation.__eq__("p") is NotImplemented


def test_a_row_of_a_case_table_says_its_value():
    assert str(Case("a -> b", (), sympy.Integer(3), Verdict.UNDECIDED)).startswith("a -> b:  3   [")
    assert str(Case("a -> b", (), None, Verdict.UNDECIDED)).startswith("a -> b:  undefined   [")


# ---------------------------------------------------------------------------------------------- numbers and functions


@pytest.mark.parametrize("at", [-30, -2.5, -0.3, 0, 0.7, 4, 50])
def test_the_functions_of_the_language_are_what_they_are_called(at):
    table = mpmath_table()
    with mpmath.workdps(40):
        at = mpmath.mpf(at)
        true = {
            "sigmoid": 1 / (1 + mpmath.exp(-at)),
            "softplus": mpmath.log(1 + mpmath.exp(at)),
            "normal_cdf": mpmath.ncdf(at),
            "normal_pdf": mpmath.exp(-(at**2) / 2) / mpmath.sqrt(2 * mpmath.pi),
            "expm1": mpmath.exp(at) - 1,
        }
        for name, value in true.items():
            assert mpmath.almosteq(table[name](at), value, 1e-25, 1e-35), name


def test_where_terms_cancel_more_digits_are_taken():
    """10^80 (e^s - 1 - s) at 10^-45, of which 80 digits have nothing; and a term that 80 digits do not see at all."""
    one, less = (NUMBER, 1, 1), (NUMBER, -1, 1)
    rest = "mul", (NUMBER, 10**80, 1), ("add", ("exp", S), less, ("mul", less, S))
    at = mpmath.mpf(10) ** -45
    with mpmath.workdps(300):
        true = 10**80 * (mpmath.exp(at) - 1 - at)
    assert mpmath.almosteq(_digits(rest, at), true)

    hidden = ("log", ("add", one, ("exp", ("mul", (NUMBER, -4, 1), S))))
    with mpmath.workdps(300):
        true = mpmath.log(1 + mpmath.exp(-200)) + mpmath.exp(-250)
    found = _digits(("add", hidden, ("exp", ("mul", (NUMBER, -5, 1), S))), mpmath.mpf(50))
    assert mpmath.almosteq(found, true)


def test_the_logarithm_near_1_is_taken_above_half():
    """log(1 + t) at a share t above -1/2, held at 0 beyond, where the logarithms are apart, and no digits are lost."""
    far = NUMBER, 77, 1
    test, held = ("where", S, -1, 2), ("where", S, -1, 2, S, (NUMBER, 0, 1))
    assert _logarithm_near(S, far) == (*test, ("log1p", held), far)


def test_hermite_polynomials_of_even_degree():
    for k, found in enumerate(_hermite(8)):
        true = np.polynomial.hermite_e.herme2poly([0] * (2 * k) + [1])
        assert found == [round(c) for c in true[::2]]


SIDED = {
    "softplus of 2s": sympy.log(1 + sympy.exp(2 * s)),
    "softplus of s/3": sympy.log(1 + sympy.exp(s / 3)),
    "two rates": 1 / (2 + sympy.exp(s / 2) + sympy.exp(-s / 3)),
    "tanh of 3s": sympy.tanh(3 * s),
    "a square of it": 1 - sympy.tanh(s) ** 2,
    "s times it": s**2 / (1 + sympy.exp(-2 * s)),
    "logarithm of what grows": sympy.log(sympy.exp(2 * s) + 3 * sympy.exp(3 * s)),
    "logarithm of what falls": sympy.log(2 * sympy.exp(-s) + sympy.exp(-3 * s)),
    "logarithm of a quotient": sympy.log((1 + sympy.exp(2 * s)) / (3 + sympy.exp(s))),
}


@pytest.mark.parametrize("name", SIDED)
def test_on_either_side_of_0_a_quotient_is_the_same(name):
    form = _sides(SIDED[name], s)
    for at in ("-40", "-3", "-0.25", "0.5", "2", "35"):
        with mpmath.workdps(40):
            true = sympy.lambdify(s, SIDED[name], "mpmath")(mpmath.mpf(at))
            assert mpmath.almosteq(evaluate(form, mpmath.mpf(at), mpmath_table()), true, 1e-20)


def test_what_is_no_quotient_has_no_sides():
    assert _sides(sympy.exp(s) + sympy.exp(s**2), s) is None
    assert _sides(1 + s**2, s) is None


@pytest.mark.parametrize(
    "expression",
    [sympy.exp(s) / (1 + sympy.exp(s)), sympy.exp(2 * s) / (1 + sympy.exp(s)) ** 2, 1 / (1 + sympy.exp(s))],
)
def test_what_is_a_sigmoid_is_written_as_one(expression):
    """No power of e is left, which would overflow."""
    made = with_calls(expression)
    assert not made.has(sympy.exp)
    sigmoid = {"sigmoid": lambda u: 1 / (1 + mpmath.exp(-u))}
    for at in (-3, 0.5, 2):
        found, true = (sympy.lambdify(s, e, [sigmoid, "mpmath"])(mpmath.mpf(at)) for e in (made, expression))
        assert mpmath.almosteq(found, true)


@pytest.mark.parametrize(
    "value, slope, wanted",
    [
        (sympy.tanh(s), 1 - sympy.tanh(s) ** 2, lambda v: 1 - v**2),
        (1 / (1 + sympy.exp(-s)), sympy.exp(-s) / (1 + sympy.exp(-s)) ** 2, lambda v: v * (1 - v)),
        (sympy.exp(s) + 3, sympy.exp(s), lambda v: v - 3),
    ],
)
def test_a_slope_is_found_in_the_value(value, slope, wanted):
    v = fcsym.language.smooth_functions.symbols()[1]
    assert sympy.expand(_in_value(value, slope) - wanted(v)) == 0


# -------------------------------------------------------------------------------------------------------------- names

AXES = (Axis("I"), Axis("J"))


@pytest.mark.parametrize(
    "symbol, layer, latex",
    [
        ("W", 2, "W^{(2)}"),
        ("Wq", 2, r"W^{\mathrm{q}(2)}"),
        ("Whr", 1, r"W^{\mathrm{hr}(1)}"),
        ("gain", 1, r"\mathrm{gain}^{(1)}"),
        ("gain", None, r"\mathrm{gain}"),
        ("beta", 1, r"\beta^{(1)}"),
    ],
)
def test_a_word_is_written_upright_and_a_letter_with_what_it_belongs_to(symbol, layer, latex):
    """Up to three letters are that of a layer, and those of a gate and a head."""
    assert latex_array(Array(symbol, layer, AXES, role=Role.PARAMETER)) == latex


# ------------------------------------------------------------------------------------------------------ rows by cases


def test_a_row_at_0_is_called_by_its_piece_where_there_is_one_or_it_has_not_moved():
    """ "active at v^c = 0": of two pieces, which one is left is said, too, and that v^c is 0 beside it."""
    relu, straight = activation("relu"), fcsym.piecewise_linear("half", [fcsym.Piece(None, Fraction(1, 2), name="on")])
    i = Index(Axis("I"), "i")
    at, vc = Array("s", 1, (i.axis,))[i], Array("vc", 1, (i.axis,))[i]
    after = Ref(at.array.primed, at.indices)
    low, high = relu.pieces
    zero = Condition(vc, "=")
    assert of_unit(straight, at, (zero,)) == "on at v^c = 0"
    assert of_unit(relu, at, (Condition(at, ">"), zero)) == f"{high.name} at v^c = 0"
    assert of_unit(relu, at, (Condition(at, "<="),)) == low.name
    said = of_unit(relu, at, (Condition(at, ">"), Condition(after, "<="), zero))
    assert said.startswith(f"{high.name} -> {low.name}, ") and "= 0" in said
    assert of_unit(relu, at, (Condition(at, ">"), Condition(after, "<="), Condition(vc, "!="))) == "active -> dead"


def test_a_key_may_have_as_many_parts_as_is_said():
    with pytest.raises(ValueError, match=r"a key of more than \d+ parts") as refused:
        toml_table(b".".join([b"a"] * 1000) + b" = 1")
    most = int(re.search(r"\d+", str(refused.value))[0])
    for parts in ([b"a"] * most, [b'"a"', b"b "] * (most // 2)):
        assert toml_table(b".".join(parts) + b" = 1")
        with pytest.raises(ValueError, match="more than"):
            toml_table(b".".join([*parts, b"c"]) + b" = 1")


# ------------------------------------------------------------------------------------------------- to SymPy and back

S_OF, T_OF = sympy.symbols("s t", real=True)
KNOWN = {S_OF: scalar("q"), T_OF: scalar("u")}


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt"])
def test_a_function_of_anything_is_read_by_its_name(name):
    inner = S_OF * T_OF + 2
    found = fcsym.from_sympy(getattr(sympy, name)(inner), KNOWN)
    assert found == Apply(smooth(name), fcsym.from_sympy(inner, KNOWN))


@pytest.mark.parametrize("kind, relation", [(sympy.Gt, ">"), (sympy.Le, "<="), (sympy.Eq, "="), (sympy.Ne, "!=")])
def test_a_relation_between_two_sides_is_one_of_their_difference(kind, relation):
    q, u = KNOWN.values()
    table = fcsym.from_sympy(sympy.Piecewise((S_OF, kind(S_OF, T_OF, evaluate=False))), KNOWN)
    assert table.branches[0].when == (Condition(q - u, relation),)
    alone = fcsym.from_sympy(sympy.Piecewise((S_OF, kind(S_OF, sympy.Rational(3, 2)))), KNOWN)
    assert alone.branches[0].when == (Condition(q, relation, Fraction(3, 2)),)


@pytest.mark.parametrize("kind, relation", [(sympy.Lt, ">"), (sympy.Ge, "<=")])
def test_a_relation_that_the_language_has_not_is_one_of_the_other_side(kind, relation):
    """s < t is t - s > 0, and s >= t is t - s <= 0."""
    q, u = KNOWN.values()
    table = fcsym.from_sympy(sympy.Piecewise((S_OF, kind(S_OF, T_OF, evaluate=False))), KNOWN)
    assert table.branches[0].when == (Condition(u - q, relation),)


def test_a_sum_of_cases_is_a_number():
    """It commutes with other numbers, as every sum does, and stays a sum."""
    axis = Axis("I")
    i = Index(axis, "i")
    inner = Apply(activation("relu"), Array("x", None, (axis,))[i])
    written = to_sympy(Equation(scalar("p"), total(i, inner), Rule.DEFINITION, "")).rhs
    assert isinstance(written, sympy.Sum) and written.function.has(sympy.Piecewise)
    assert written.is_commutative is True and written * S_OF == S_OF * written


def test_a_slope_at_a_shifted_sum_keeps_what_stands_for_the_value():
    """sigmoid'(sum_k w_k x_{t+k}), with the same argument, or a symbol, or nothing in the place of sigmoid."""
    t, u, k = (Index(Axis(name), name.lower()) for name in "TUK")
    inner = total((u, k), mul(indicator(u, t + k), Array("w", 1, (k.axis,))[k], Array("x", None, (u.axis,))[u]))
    shown, sigmoid = written(inner), smooth("sigmoid")
    assert repr(shown) != repr(inner)
    symbol = Array("v", 1, (t.axis,))[t]
    for known, wanted in ((None, None), (symbol, symbol), (Apply(sigmoid, inner), Apply(sigmoid, shown))):
        made = written(Apply(sigmoid, inner, 1, known))
        assert made.argument == shown and made.value == wanted and made.derivative == 1


def test_a_pair_of_sides_is_as_it_was_written_unless_it_is_asked_for():
    made = to_sympy(fcsym.derive(fcsym.Network.parse("1-1-1"))["s1"])
    pair = Symbolic(made.lhs, 2 * made.rhs, made.of)
    assert made.evaluate is False and pair.evaluate is False


# --------------------------------------------------------------------------------------------------- without cancelling

U = 3 * s + sympy.Rational(1, 2)
CALLED = {
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)),
    "softplus": lambda u: mpmath.log(1 + mpmath.exp(u)),
    "log1p": lambda u: mpmath.log(1 + u),
    "expm1": lambda u: mpmath.exp(u) - 1,
    "normal_cdf": mpmath.ncdf,
}
CANCELLING = {
    "1 - sigmoid": 5 - 5 / (1 + sympy.exp(-U)),
    "exp - 1": 2 * sympy.exp(U) - 2,
    "1 - exp": sympy.Rational(1, 3) - sympy.exp(U) / 3,
    "1 + erf": 1 + sympy.erf(U),
    "1 - erf": 4 - 4 * sympy.erf(U),
    "1 + tanh": 2 + 2 * sympy.tanh(U),
    "1 - tanh": 1 - sympy.tanh(U),
    "1 - tanh^2": 7 - 7 * sympy.tanh(U) ** 2,
    "tanh^2 - 1": sympy.tanh(U) ** 2 - 1,
    "root": 3 * sympy.sqrt(1 + s**2) - 3,
    "something beside it": 1 - sympy.tanh(U) ** 2 + s * sympy.cos(s),
    "logarithm near 1": sympy.log(1 + s**2),
    "logarithm of a sigmoid": sympy.log(1 / (1 + sympy.exp(-U))),
    "logarithm elsewhere": sympy.log(2 + s**2),
    "erfc": sympy.erfc(U),
    "sinh": sympy.sinh(U) - sympy.cosh(s),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_what_would_cancel_is_written_with_functions_that_do_not(name):
    """The same number, by functions by whose names targets have them."""
    expression = CANCELLING[name]
    made = with_calls(expression)
    for at in ("-2", "-0.3", "0.01", "0.7", "3"):
        with mpmath.workdps(40):
            found, true = (sympy.lambdify(s, e, [CALLED, "mpmath"])(mpmath.mpf(at)) for e in (made, expression))
            assert mpmath.almosteq(found, true, 1e-25), at
    called = {str(node.func) for node in made.atoms(sympy.core.function.AppliedUndef)}
    assert bool(called) is (name not in ("root", "logarithm elsewhere", "sinh")), made


@pytest.mark.parametrize(
    "name, true",
    [
        ("tanh", mpmath.tanh),
        ("sigmoid", lambda u: 1 / (1 + mpmath.exp(-u))),
        ("softplus", lambda u: mpmath.log(1 + mpmath.exp(u))),
        ("silu", lambda u: u / (1 + mpmath.exp(-u))),
        ("gelu", lambda u: u * mpmath.ncdf(u)),
        ("exp", mpmath.exp),
        ("log", mpmath.log),
        ("sqrt", mpmath.sqrt),
    ],
)
def test_a_function_and_its_slopes_are_those_of_its_name(name, true):
    """Against differences of the function itself, with many digits."""
    for order, at in product(
        (0, 1, 2), ("0.3", "1.7", "4") if name in ("log", "sqrt") else ("-2.5", "-0.4", "0.3", "3")
    ):
        with mpmath.workdps(40):
            found, wanted = value(smooth(name), order, mpmath.mpf(at)), mpmath.diff(true, mpmath.mpf(at), order)
            computed = evaluate(form(smooth(name), order), mpmath.mpf(at), mpmath_table())
            assert mpmath.almosteq(found, wanted, 1e-12) and mpmath.almosteq(computed, wanted, 1e-12), (order, at)


def test_a_power_of_a_power_is_one():
    q = scalar("q")
    assert power(power(q, 2), 3) == power(q, 6) and power(power(q, 3), -1) == power(q, -3)
    assert power(power(q, 2), 1) == power(q, 2) and power(power(q, -1), -1) == q


def test_a_counterexample_says_what_is_derived_and_what_should_be():
    said = str(Counterexample({"w": Fraction(1, 2), "x": Fraction(3)}, "p", None, Fraction(2, 3)))
    assert said == "p is undefined and should be 2/3 at w = 1/2, x = 3"
    assert str(Counterexample({"w": Fraction(1)}, "p", Fraction(0), None)) == "p is 0 and should be undefined at w = 1"
