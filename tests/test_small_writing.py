"""How expressions are written down and put in other forms, each beside what the form means.

Each takes a fraction of a second, so that a fault in what is printed, or handed to other tools, is seen by a test that
is quick.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from itertools import pairwise, product
from math import prod

import mpmath
import numpy as np
import pytest
import sympy
import z3

import fcsym
from fcsym.errors import UnsupportedExpression
from fcsym.language import differences, shifts, smt, sympy_bridge
from fcsym.language.accurate import POINTS, _logarithms, _sides, in_calls, measured
from fcsym.language.activation import activation, smooth
from fcsym.language.equation import Condition, Equation, Rule, Status
from fcsym.language.expression import (
    Apply,
    Array,
    Axis,
    Index,
    Indicator,
    Number,
    Ref,
    Role,
    add,
    indicator,
    mul,
    power,
    total,
)
from fcsym.language.formulas import NUMBER, evaluate, from_sympy, mpmath_table
from fcsym.language.instance import Instance, exact_field
from fcsym.language.names import latex_array
from fcsym.language.names_of_cases import remark, spoken
from fcsym.language.own_functions import _root
from fcsym.language.piecewise import Piecewise
from fcsym.language.smooth_functions import _may_be_constant, as_formula, form, slope_of, value

s = sympy.Symbol("s", real=True)
x, y = sympy.symbols("x y", real=True)
VALUES = {"a": Fraction(3, 2), "b": Fraction(-2, 5), "c": Fraction(7, 3)}


def drawn(rng, depth):
    """An expression in three numbers, and what it is worth."""
    kind = rng.choice(["add", "mul", "mul", "power"]) if depth else rng.choice(["number", "ref", "ref"])
    if kind == "number":
        value = rng.choice([Fraction(n) for n in (-3, -2, -1, 1, 2, 5)] + [Fraction(-1, 2), Fraction(3, 4)])
        return Number(value), value
    if kind == "ref":
        name = rng.choice("abc")
        return Ref(Array(name, None, ()), ()), VALUES[name]
    if kind == "power":
        (base, value), exponent = drawn(rng, depth - 1), rng.choice([-3, -2, -1, 2, 3])
        return (power(base, exponent), value**exponent) if value else (base, value)
    parts = [drawn(rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
    whole = sum(v for _, v in parts)
    if kind == "mul":
        whole = parts[0][1]
        for _, value in parts[1:]:
            whole *= value
    return (add if kind == "add" else mul)(*(node for node, _ in parts)), whole


def test_the_text_of_an_expression_is_python_of_the_same_value():
    """With its parentheses, signs, powers and quotients, eight hundred of them."""
    rng = random.Random(4)
    seen = set()
    for n in range(800):
        node, value = drawn(rng, n % 4)
        text = repr(node)
        python = re.sub(r"(?<![\w*-])(\d+)", r"Fraction(\1)", re.sub(r"\*\*(-?)(\d+)", r"** \1 \2", text))
        assert eval(python, {"Fraction": Fraction, **VALUES}) == value, text
        seen |= {mark for mark in ("-(", "1/", "**-", "/(", "*(", " - ", ")**") if mark in text}
    assert len(seen) == 7


def test_the_text_of_a_power_and_of_a_sign_is_the_shortest():
    a, b = (Ref(Array(name, None, ()), ()) for name in "ab")
    for node, text in (
        (mul(-1, a), "-a"), (mul(-2, a), "-2*a"), (mul(-1, add(a, b)), "-(a + b)"), (power(a, -1), "1/a"),
        (power(a, -2), "a**-2"), (mul(a, power(b, -1)), "a/b"), (mul(a, power(b, -2)), "a/(b**2)"),
        (mul(Fraction(1, 2), a), "(1/2)*a"), (add(a, mul(-1, b)), "a - b"), (power(add(a, b), 2), "(a + b)**2"),
        (mul(-1, a, b), "-a*b"), (add(a, -1), "a - 1"),
    ):  # fmt: skip
        assert repr(node) == text


# ------------------------------------------------------------------------------------------- numbers of an expression

I, J = (Index(Axis(letter), letter) for letter in "ij")  # noqa: E741
B, P = Array("b", None, (J.axis,)), Array("p", None, (I.axis,))


def test_of_a_product_that_an_indicator_makes_0_nothing_else_is_asked():
    """sum_j [j = i + 1] b_j reads b_(i + 1) alone, and nothing where there is none; and no value is no matter there."""
    asked = []

    def leaf(array, position):
        asked.append(position)
        return None if position == (0,) else Fraction(10 + position[0])

    rhs = total(J, mul(indicator(J, I + 1), B[J], add(B[J], 1)))
    equation = Equation(P[I], rhs, Rule.DEFINITION, "")
    made = Instance({P: equation}, {I.axis: 3, J.axis: 3}, leaf, exact_field())
    found = [made.element(P, (n,)) for n in range(3)]
    assert found == [11 * 12, 12 * 13, 0] and sorted(set(asked)) == [(1,), (2,)]


# -------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("symbol", ["s", "sc", "v", "vz", "vzc", "vc", "lo", "hi"])
def test_what_is_remarked_on_a_row_says_why_it_has_no_value_of_its_own(symbol):
    """At a kink of the first layer alone, at the ends of sums, where a unit gives nothing, and at 0."""
    axis = Axis("I")
    index, phi = Index(axis, "i"), activation("relu")

    def said(name, layer, status, relation="=", value=None, after=False):
        subject = Array(name, layer, (axis,))[index]
        subject = subject.array.primed[subject.indices] if after else subject
        return remark(phi, (Condition(subject, relation),), value, status)

    assert said(symbol, 1, Status.VALUE) == ""
    kink, sums = "the kink's slope is not that of a piece", "the sums hold units that are elsewhere by now"
    zero, one = Number(Fraction(0)), Number(Fraction(1))
    divided = "`v^c = 0` while `dv'` is not: no `p` solves it"
    for layer in (1, 2):
        undefined, chosen = said(symbol, layer, Status.UNDEFINED), said(symbol, layer, Status.CHOSEN, value=one)
        if symbol in ("lo", "hi"):
            assert undefined == chosen == sums
        elif symbol in ("s", "sc") and layer == 1:
            assert undefined == chosen == kink
            assert said(symbol, 1, Status.UNDEFINED, ">") == divided
            assert said(symbol, 1, Status.UNDEFINED, after=True) == divided
        elif symbol in ("v", "vz", "vzc"):
            assert undefined == "the unit wakes up: no weight makes 0 give what it gives"
            assert chosen.endswith("any value does, and the one without compensation is chosen")
            assert said(symbol, layer, Status.CHOSEN, value=zero).endswith("any value does, and 0 is chosen")
        else:
            assert undefined == divided and chosen == "`0 = p * 0`: every `p` solves it, and 0 is chosen"


def test_a_unit_matrix_is_a_letter_with_what_it_is_of():
    """I, and in the superscript the letters of its axes, however many."""
    axis = Axis("I")
    for symbol, latex in (("I", "I^{(2)}"), ("Ik", r"I^{\mathrm{k}(2)}"), ("Ikt", r"I^{\mathrm{kt}(2)}")):
        assert latex_array(Array(symbol, 2, (axis, axis), role=Role.UNIT)) == latex


# ----------------------------------------------------------------------------------------------------------- to SymPy


def test_rows_that_have_no_names_are_counted():
    q = Ref(Array("q", None, ()), ())
    rows = sympy.Piecewise((x, x > 1), (2 * x, sympy.And(x > 0, x <= 1)), (0, sympy.true))
    table = fcsym.from_sympy(rows, {x: q})
    assert [branch.name for branch in table.branches] == ["case 1", "case 2", "case 3"]
    assert [branch.value for branch in table.branches] == [q, mul(2, q), Number(Fraction(0))]


def test_a_divisor_is_marked_once_however_deep_it_is():
    """In the NumPy that is printed, in which every row is computed everywhere."""
    inner = Piecewise((1 / x, x > 0), (1 / y, sympy.true))
    rows = Piecewise((inner + 1 / (x - y), y > 0), (x, sympy.true))
    code = sympy.printing.numpy.NumPyPrinter().doprint(rows)
    assert code.count("lambda q") == 3
    function = eval(f"lambda x, y: {code}", {"numpy": np})
    for at in ((2.0, 4.0), (-1.0, 0.5), (3.0, -1.0)):
        wanted = (1 / at[0] if at[0] > 0 else 1 / at[1]) + 1 / (at[0] - at[1]) if at[1] > 0 else at[0]
        assert float(function(*at)) == wanted
    assert np.isnan(function(2.0, 2.0))
    for row, divisors in ((1 / x + 1 / y, 2), (x / y, 1), (x * y, 0), (1 / (1 + x**2), 0), ((x + 1 / x) / y, 2)):
        printed = sympy.printing.numpy.NumPyPrinter().doprint(Piecewise((row, x > 0), (y, sympy.true)))
        assert printed.count("lambda q") == divisors, row


def test_a_condition_on_what_has_no_value_is_left_open():
    """SymPy would refuse to compare it; what is replaced is a number, or a condition as a whole."""
    inner = Piecewise((y, y > 0))
    outer = Piecewise((5, sympy.Gt(inner, 1, evaluate=False)), (7, sympy.true))
    for change in (lambda made, rule: made.subs(rule), lambda made, rule: made.xreplace(rule)):
        open_row = change(outer, {y: sympy.Integer(-1)})
        assert isinstance(open_row, Piecewise) and [row.expr for row in open_row.args] == [5, 7]
        assert open_row.args[0].cond.lhs is sympy.nan
        assert change(Piecewise((x / y, y > 0), (x, sympy.true)), {y: sympy.Integer(0)}) == x
        assert change(outer, {outer.args[0].cond: sympy.true}) == 5
    assert Piecewise((x, x > 0)).subs(y, 3) == Piecewise((x, x > 0))


# ------------------------------------------------------------------------------------------------------ other forms

small, log_small = sympy.Symbol("small", positive=True), sympy.Symbol("L", real=True)
LOG1P = sympy.Function("log1p", real=True)
LOGARITHMS = {
    "a power": (small**2, 2 * log_small),
    "a multiple": (3 * small, sympy.log(3) + log_small),
    "near a constant": (2 + small, sympy.log(2) + LOG1P(small / 2)),
    "near a power": (2 * small + 6 * small**3, log_small + sympy.log(2) + LOG1P(3 * small**2)),
    "a quotient": ((1 + small**2) / (3 + small), LOG1P(small**2) - sympy.log(3) - LOG1P(small / 3)),
    "of a power": ((5 + small) / small**2, sympy.log(5) + LOG1P(small / 5) - 2 * log_small),
    "negative": (small - 1, sympy.log(small - 1)),
    "no polynomial": (1 + sympy.sqrt(small), sympy.log(1 + sympy.sqrt(small))),
}


@pytest.mark.parametrize("name", LOGARITHMS)
def test_what_grows_is_taken_out_of_a_logarithm(name):
    """And what is left is near 1; within other terms, too, and nothing of what has no power of it."""
    inner, wanted = LOGARITHMS[name]
    beside = sympy.log(s) * small
    for found, true in (
        (_logarithms(sympy.log(inner), small, log_small), wanted),
        (_logarithms(beside - 2 * sympy.log(inner), small, log_small), beside - 2 * wanted),
    ):
        assert sympy.expand(found - true) == 0
    assert _logarithms(sympy.log(s), small, log_small) == sympy.log(s)


def numbers_in(form):
    """The heads of a formula, and its numbers as fractions."""
    if form[0] == NUMBER:
        return {NUMBER}, [Fraction(form[1], form[2])]
    heads, values = {form[0]}, []
    for part in form[1:]:
        if isinstance(part, tuple):
            more, own = numbers_in(part)
            heads, values = heads | more, values + own
    return heads, values


IRRATIONAL = {
    "on one side": sympy.pi * s,
    "on two": sympy.Piecewise((sympy.pi * s, s > 0), (sympy.sqrt(2) * s, True)),
    "a sum": s + sympy.sqrt(3),
    "a power": s**sympy.pi,
    "with a factor": sympy.pi * sympy.cos(s) + 1,
    "a sum of three": sympy.sqrt(3) + s + sympy.cos(s),
    "a product of three": sympy.pi * s * sympy.cos(s),
    "a product of sums": sympy.pi * (s + sympy.cos(s) + sympy.sqrt(2)) * sympy.sin(s),
}


@pytest.mark.parametrize("name", IRRATIONAL)
def test_constants_are_fractions_of_forty_digits(name):
    """As targets have no others; and the value is the same."""
    form = in_calls(IRRATIONAL[name])
    for at in ("0.25", "1.5", "7"):
        with mpmath.workdps(50):
            true = sympy.lambdify(s, IRRATIONAL[name], "mpmath")(mpmath.mpf(at))
            assert mpmath.almosteq(evaluate(form, mpmath.mpf(at), mpmath_table()), true, 1e-35)
    heads, values = numbers_in(form)
    assert "pi" not in heads and values
    constants = [value for value in values if value.denominator > 1]
    with mpmath.workdps(50):
        known = [mpmath.pi, mpmath.sqrt(2), mpmath.sqrt(3)]
        assert constants and all(
            min(abs(mpmath.mpf(v.numerator) / v.denominator - one) for one in known) < mpmath.mpf(10) ** -38
            for v in constants
        )


def test_the_error_of_a_form_is_that_of_the_numbers_that_targets_have():
    """s/3 as a product with a number that is rounded: of doubles, at numbers of single precision."""
    third = ("mul", ("s",), (NUMBER, 1, 3))
    found = measured(third, lambda order, at: at / 3 if order == 0 else mpmath.mpf(1) / 3)
    worst = Fraction(0)
    for point in POINTS:
        at = Fraction(float(np.float32(float(point))))
        error = abs(Fraction(float(at) * (1.0 / 3.0)) - at / 3)
        worst = max(worst, error / (2 * abs(at / 3) * Fraction(1, 2**52)))
    assert found == pytest.approx(float(worst), rel=1e-3)
    large = ("exp", ("mul", (NUMBER, 20, 1), ("s",)))
    with mpmath.workdps(30):
        assert measured(large, lambda order, at: mpmath.mpf(1)) == float("inf")
        assert measured(large, lambda order, at: mpmath.exp(20 * at) * 20**order) < 2


PIECES = {
    "relu": fcsym.relu(), "leaky": fcsym.leaky_relu(slope_at_kink="1/3"), "leaky as below": fcsym.leaky_relu(),
    "a kink of its own": fcsym.relu(slope_at_kink=1),
    "away from 0": fcsym.piecewise_linear(
        "own", [fcsym.Piece(-1, 2, 1), fcsym.Piece(1, 1), fcsym.Piece(None, Fraction(1, 2), Fraction(1, 2))], ["2", "3"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_the_gate_of_a_piece_is_its_slope_wherever_the_unit_gives_something(name):
    """On the piece and on its upper end; none where the slope that is declared there is another one."""
    phi = PIECES[name]
    ends = [Fraction(-100), *phi.kinks, Fraction(100)]
    for n, (low, high) in enumerate(pairwise(ends)):
        at = [low + (high - low) * Fraction(k, 8) for k in range(1, 9)]
        slopes = {phi.slope_at(value) for value in at if phi.value_at(value) != 0}
        if slopes:
            assert phi.gate_on(n) == (slopes.pop() if len(slopes) == 1 else None)
        else:
            assert phi.gate_on(n) == phi.pieces[n].slope


def test_constants_beside_an_exponential_are_fractions_too():
    form = _sides(sympy.pi / (1 + sympy.exp(s)) + sympy.sqrt(2), s)
    heads, _ = numbers_in(form)
    assert "pi" not in heads and NUMBER in heads
    with mpmath.workdps(40):
        for at in ("-3", "0.5", "20"):
            true = mpmath.pi / (1 + mpmath.exp(mpmath.mpf(at))) + mpmath.sqrt(2)
            assert mpmath.almosteq(evaluate(form, mpmath.mpf(at), mpmath_table()), true, 1e-30)


SIGNED = {
    "a product": (sympy.Abs(s) * s**2, 3 * s * sympy.Abs(s)),
    "twice": (s * sympy.Abs(s), 2 * sympy.Abs(s)),
    "without a factor": (sympy.Abs(s) * sympy.cos(s), None),
    "of another": (sympy.Abs(s - 1) * s, None),
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_sign_beside_its_argument_is_an_absolute_value(name):
    """And nothing is divided by the argument: at 0 there is a value, too."""
    phi, wanted = SIGNED[name]
    found = slope_of(phi)
    assert wanted is None or sympy.simplify(found - wanted) == 0
    assert not sympy.denom(sympy.together(found)).has(s)
    for at in (sympy.Rational(-3, 2), sympy.Rational(1, 3), sympy.Integer(2)):
        h = sympy.Rational(1, 10**6)
        slope = (phi.subs(s, at + h) - phi.subs(s, at - h)) / (2 * h)
        assert abs(sympy.N(found.subs(s, at) - slope)) < 1e-4


def test_what_has_no_value_at_a_point_may_be_constant():
    """Nothing is known of it; what has the same value at both of them may be, and no other."""
    for what, wanted in (
        (s / s + 2, True), (sympy.sin(s) ** 2 + sympy.cos(s) ** 2, True), (s, False), (s**2 - s, False),
        (sympy.log(s - 1), True), (1 / (s - sympy.Rational(7, 5)), True), (1 / (3 * s - 1), True),
        (s * 10**-9, False),
    ):  # fmt: skip
        assert _may_be_constant(sympy.sympify(what)) is wanted, what


def test_a_root_that_is_met_is_the_answer():
    """By halving between two numbers with values of different signs, in as many digits as there are."""
    line = ("add", ("s",), (NUMBER, -1, 2))
    with mpmath.workdps(30):
        assert _root(line, mpmath.mpf(0), mpmath.mpf(1), mpmath.mpf(-1) / 2) == mpmath.mpf(1) / 2
        found = _root(("add", ("pow", ("s",), (NUMBER, 2, 1)), (NUMBER, -2, 1)), mpmath.mpf(1), mpmath.mpf(2), -1)
        assert mpmath.almosteq(found, mpmath.sqrt(2), 1e-28)


# --------------------------------------------------------------------------------------------------------------- z3


def test_a_question_to_z3_leaves_the_interruption_to_python():
    """Which raises it, where z3 would say that it does not know; what else goes wrong there is raised as it is."""

    class Asked:
        def __init__(self, answer):
            self.answer, self.options = answer, {}

        def set(self, name, value):
            self.options[name] = value

        def check(self):
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    asked = Asked(z3.sat)
    assert smt.check(asked) == z3.sat and asked.options == {"ctrl_c": False}
    with pytest.raises(z3.Z3Exception, match="no such sort"):
        smt.check(Asked(z3.Z3Exception("no such sort")))


@pytest.mark.parametrize("said", ["canceled", "interrupted", "invalid argument"])
def test_what_is_stopped_while_it_is_simplified_is_an_interruption(said, monkeypatch):
    def stopped(term, **options):
        raise z3.Z3Exception(said)

    q = z3.Real("q")
    assert z3.eq(smt.simplified(q + 0), q)
    monkeypatch.setattr(z3, "simplify", stopped)
    with pytest.raises(z3.Z3Exception if said.startswith("invalid") else KeyboardInterrupt):
        smt.simplified(q + 0)


# -------------------------------------------------------------------------------------------------------- differences

EXACT = {
    NUMBER: Fraction,
    "add": lambda *parts: sum(parts),
    "mul": lambda *parts: prod(parts),
    "pow": lambda a, b: a ** int(b),
}


def test_formulas_are_put_together_without_what_is_nothing():
    """Sums without 0, products without 1; where 0 is a factor nothing is left, and nothing of nothing is a number."""
    s_of, at = ("s",), Fraction(5, 3)
    parts = [(NUMBER, 0, 1), (NUMBER, 1, 1), (NUMBER, -3, 2), s_of, ("add", s_of, (NUMBER, 2, 1)), ("mul", s_of, s_of)]

    def worth(form):
        return evaluate(form, at, EXACT)

    for chosen in (chosen for count in range(4) for chosen in product(parts, repeat=count)):
        values = list(map(worth, chosen))
        assert worth(differences._sum(*chosen)) == sum(values)
        made = differences._product(*chosen)
        assert worth(made) == prod(values) and (made[0] != "mul" or (NUMBER, 1, 1) not in made)
        if chosen:
            true = sum(value * at**n for n, value in enumerate(values))
            assert worth(differences._horner(list(chosen), s_of)) == true
        if len(chosen) == 2:
            assert worth(differences._minus(*chosen)) == values[0] - values[1]
    for part in parts:
        assert worth(differences._halved(part)) == worth(part) / 2
        assert worth(differences._negative(part)) == -worth(part)
        for n in (0, 1, 2, 3):
            assert worth(differences._to(part, n)) == worth(part) ** n
    assert differences._product(s_of, (NUMBER, 1, 1)) == s_of == differences._sum((NUMBER, 0, 1), s_of)
    assert differences._to(s_of, 1) == s_of


def test_a_row_of_a_scheme_is_called_by_what_its_units_have_done():
    """Whether all are on their pieces, or which one has left it, and at which end; else its conditions in words."""
    phi, axis = activation("relu"), Axis("I")
    index = Index(axis, "i")

    def of(symbol, relation, layer=None, bound=0):
        return Condition(Array(symbol, layer, (axis,))[index], relation, Fraction(bound))

    low, high = (piece.name for piece in phi.pieces)
    for when, said in (
        ((of("lo", ">"), of("hi", ">")), "every unit is on its piece"),
        ((of("lo", ">"),), "every unit is on its piece"),
        ((of("lo", "<="),), f"a unit that was {high} has changed sides, at the least w/s"),
        ((of("lo", ">", 1), of("hi", "<=", 1)), f"a unit that was {low} has changed sides, at the greatest w/s"),
        ((of("lo", ">", 2), of("lo", "<=", 2)), f"a unit that was {high} has changed sides, at the least w/s"),
        ((of("lo", ">"), of("hi", "=")), "lo > 0, hi = 0"),
        ((of("lo", "<="), of("hi", ">")), "lo <= 0, hi > 0"),
        ((of("lo", ">"), of("v", "=")), "lo > 0, v = 0"),
        ((of("lo", ">", bound=2),), "lo > 2"),
        ((of("N", "!="),), "some"), ((of("N", "="),), "none"), ((of("xm", ">"),), "the greatest"),
        ((of("xm", "<="),), "the least"), ((of("sc", ">"),), "above the kink"),
        ((of("s", "<="),), "not above the kink"),
        ((of("s", "<="), of("s", "!=")), "below the kink"), ((of("s", "<="), of("s", "=")), "on the kink"),
        ((of("s", ">"), of("v", "=")), "s > 0, v = 0"), ((of("vc", "="), of("dv", "!=")), "v^c = 0, dv' != 0"),
    ):  # fmt: skip
        assert spoken(phi, when) == said


def test_a_choice_is_read_with_either_relation_and_either_side_first():
    """s > c, s >= c, s < c and s <= c, from the first row on: what each of them says."""
    a, b, c = s + 1, 2 * s, s**2
    for kind, above in ((sympy.Gt, True), (sympy.Ge, True), (sympy.Lt, False), (sympy.Le, False)):
        for bound in (sympy.Integer(1), sympy.Rational(-3, 2)):
            rows = sympy.Piecewise((a, kind(s, bound)), (b, s > 5), (c, True), evaluate=False)
            form = from_sympy(rows)
            for at in (Fraction(-4), Fraction(0), Fraction(2), Fraction(6)):
                first = (at > bound) == above
                wanted = a if first else b if at > 5 else c
                assert evaluate(form, at, EXACT) == Fraction(str(wanted.subs(s, sympy.Rational(str(at))))), (kind, at)
    for wrong in (sympy.Piecewise((a, s > 0)), sympy.Piecewise((a, s**2 > 1), (b, True))):
        with pytest.raises(fcsym.errors.NetworkError):
            from_sympy(wrong)


def test_roots_that_are_no_functions_of_the_language_are_refused():
    """A square root of what varies is one; a third root is none, and neither is a number that is no fraction."""
    q = Ref(Array("q", None, ()), ())
    assert fcsym.from_sympy(sympy.sqrt(x), {x: q}) == Apply(smooth("sqrt"), q)
    assert fcsym.from_sympy(x**-3, {x: q}) == power(q, -3)
    for wrong in (x ** sympy.Rational(1, 3), sympy.sqrt(2) * x, x ** sympy.Rational(-1, 2), 2**x):
        with pytest.raises(UnsupportedExpression):
            fcsym.from_sympy(wrong, {x: q})


BENT = fcsym.piecewise_linear(
    "bent",
    [fcsym.Piece(-1, 2, 1), fcsym.Piece(1, 1), fcsym.Piece(2, -1, 2), fcsym.Piece(None, 3, -6)],
    ["2", "5", "-1"],
)


def test_pieces_in_sympy_have_the_values_and_slopes_of_the_function():
    """On every piece and on its kinks, also where it is known which piece it is on."""
    for phi in (BENT, fcsym.relu(), fcsym.leaky_relu(slope_at_kink="1/3"), activation("identity")):
        value, slope = sympy_bridge.phi_at(phi, x), sympy_bridge.slope_at(phi, x)
        for at in (Fraction(n, 4) for n in range(-12, 17)):
            rational = sympy.Rational(at.numerator, at.denominator)
            assert Fraction(str(sympy.sympify(value).subs(x, rational))) == phi.value_at(at)
            assert Fraction(str(sympy.sympify(slope).subs(x, rational))) == phi.slope_at(at)
            on = sympy_bridge.slope_at(phi, x, piece=phi.piece_at(at))
            assert Fraction(str(sympy.sympify(on).subs(x, rational))) == phi.slope_at(at)


def test_derivatives_of_a_function_of_ones_own_are_those_of_its_expression():
    """The formula as it comes, the value in many digits, and the form that is computed."""
    expression = s**2 * sympy.tanh(s) + sympy.Piecewise((sympy.sin(s), s > 0), (s, True))
    phi = fcsym.smooth("twisted", expression)
    smooth_part, true = (
        sympy.Piecewise((s**2 * sympy.tanh(s) + sympy.sin(s), s > 0), (s**2 * sympy.tanh(s) + s, True)),
        [],
    )
    for order in (0, 1, 2):
        true = sympy.lambdify(s, sympy.diff(smooth_part, s, order), "mpmath")
        for at in ("-1.5", "0.25", "2"):
            with mpmath.workdps(30):
                wanted, place = true(mpmath.mpf(at)), mpmath.mpf(at)
                assert mpmath.almosteq(evaluate(as_formula(phi, order), place, mpmath_table()), wanted, 1e-20)
                assert mpmath.almosteq(value(phi, order, place), wanted, 1e-20)
                assert mpmath.almosteq(evaluate(form(phi, order), place, mpmath_table()), wanted, 1e-12)


def test_another_number_is_put_in_the_place_of_s_in_a_choice_too():
    """Which is one by that number then; where s stays, so does the choice."""
    after, s_of = differences.AFTER, ("s",)
    choice = ("above", 1, 2, s_of, ("mul", s_of, after))
    assert differences.put(choice, {s_of: after}) == ("where", after, 1, 2, after, ("mul", after, after))
    assert differences.put(choice, {after: s_of}) == ("above", 1, 2, s_of, ("mul", s_of, s_of))
    assert differences.put(("add", s_of, (NUMBER, 1, 1)), {s_of: after}) == ("add", after, (NUMBER, 1, 1))


def test_an_index_goes_where_what_is_left_says_the_same_without_it():
    """An element has to have it; other indicators only within their forms; no sum and no quotient beside it."""
    T, K, U = (Axis(letter) for letter in "TKU")
    t, k, u, v = Index(T, "t"), Index(K, "k"), Index(U, "u"), Index(U, "v")
    form, a, w = t + k, Array("a", None, (U,)), Array("w", None, (K,))
    for marks, rest, wanted in (
        ([], [a[u]], True), ([], [w[k]], False), ([], [], False), ([], [a[u], w[k]], True),
        ([Indicator(v, u * 1)], [a[u]], True), ([Indicator(u, v * 1)], [a[u]], False),
        ([Indicator(t, u * 2)], [a[u]], False), ([Indicator(v, t * 1)], [a[u]], True),
        ([], [a[u], power(a[u], -1)], False), ([], [a[u], add(a[u], 1)], True), ([], [a[u], power(w[k], -1)], True),
        ([], [a[u], total(v, mul(a[v], add(a[u], 1)))], False), ([], [power(a[u], 2)], False),
    ):  # fmt: skip
        assert shifts._can_go(u, form, marks, rest) is wanted, (marks, rest)
