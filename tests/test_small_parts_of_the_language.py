"""Functions of one's own, cases in SymPy, differences and positions: each in what it must not take for another."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations

import mpmath
import pytest
import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

import fcsym
from fcsym.errors import NetworkError
from fcsym.language.activation import Piece, activation, smooth
from fcsym.language.differences import difference
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, Apply, Array, Axis, Index, add, mul, power
from fcsym.language.formulas import NUMBER, S, evaluate, from_sympy, mpmath_table
from fcsym.language.instance import Field, Instance
from fcsym.language.piecewise import Piecewise, with_parts
from fcsym.language.sympy_bridge import Greatest, Least, _Reader, _sum, base_of, index_of, phi_at, slope_at, to_sympy

s = sympy.Symbol("s", real=True)
X, Y, T = sympy.symbols("x y t", real=True)
THIRD = sympy.Rational(1, 3)


# ------------------------------------------------------------------------------------------- functions of one's own


@pytest.mark.parametrize("expression, said", [
    (sympy.exp(-sympy.Function("expm1")(s) ** 2), "calls expm1, which is not known"),
    (s + sympy.cos(sympy.Function("log1p")(s**2)), "calls log1p, which is not known"),
    (sympy.exp(sympy.Abs(s - THIRD)), r"has a corner at s = 0.3333"), (sympy.Abs(s - THIRD), "has a corner"),
    (sympy.exp(sympy.Piecewise((s / 2, s > THIRD), (0, True))), r"jumps at s = 0.3333"),
    (s + sympy.Piecewise((s / 2, s > THIRD), (0, True)), r"jumps at s = 0.3333"),
    (1 / (s - THIRD), "no real value at s = 0.3333"), (s**2 + sympy.exp(-1 / (s - THIRD) ** 2), None),
    (sympy.Abs(s - 400) ** 3 + 1000 * s, None), (sympy.Abs(s - THIRD) ** 3, None),
])  # fmt: skip
def test_a_function_is_looked_at_wherever_a_corner_a_jump_or_a_pole_may_be(expression, said):
    """Within other functions, too, and between the points where all are looked at; a large value is none of these."""
    if said is None:
        assert fcsym.smooth("own", expression).is_smooth
        return
    with pytest.raises(NetworkError, match=said):
        fcsym.smooth("own", expression)


def test_pieces_end_one_after_another_and_a_straight_line_says_that_its_slope_is_one():
    for ends in ((0, 0), (1, 0)):
        with pytest.raises(NetworkError, match="the upper ends of its pieces must increase"):
            fcsym.piecewise_linear("own", [Piece(ends[0], 0), Piece(ends[1], 1), Piece(None, 2)])
    line = fcsym.piecewise_linear("line", [Piece(None, 2)])
    assert line.said_of_slope() == "This is the slope of line, the same everywhere."
    assert "declared at its kinks" in activation("relu").said_of_slope()
    assert smooth("tanh").said_of_slope(2) == "This is the second derivative of tanh, a smooth function."
    never = {phi.name: phi.never_zero for phi in (line, activation("relu"), smooth("sigmoid"), smooth("tanh"))}
    assert never == {"line": False, "relu": False, "sigmoid": True, "tanh": False}
    assert all(isinstance(one, bool) for one in never.values())


# ------------------------------------------------------------------------------------------------------- in numbers

U = "add", ("mul", S, S), (NUMBER, 1, 1)
CHANGES = {
    "a cube root": ("pow", U, (NUMBER, 1, 3)), "a square root": ("pow", U, (NUMBER, 1, 2)),
    "an inverse cube root": ("pow", U, (NUMBER, -2, 3)), "a power of a root": ("pow", U, (NUMBER, 3, 2)),
    "a root of a number": ("mul", S, ("pow", (NUMBER, 2, 1), (NUMBER, 1, 2))),
    "a power of a number": ("add", ("pow", (NUMBER, 3, 1), (NUMBER, -2, 1)), S), "softplus": ("softplus", S),
    "softplus of more": ("softplus", ("mul", (NUMBER, 3, 1), S)),
}  # fmt: skip


@pytest.mark.parametrize("change", ["1e-9", "-0.4", "0.75", "1.5", "-1.75", "2.5", "-30"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_function_changes_by_is_the_difference_of_two_values(name, change):
    """In numbers of 53 bits, with what is left of them where the difference itself loses none."""
    form, start, change = CHANGES[name], mpmath.mpf("0.625"), mpmath.mpf(change)
    made = difference(form)
    if "cube" in name:  # of which there is no rule
        assert made is None
        return
    table = {**mpmath_table(), "where": lambda test, a, b: a if test else b}
    with mpmath.workprec(53):
        after = start + change
        change = after - start
        found = changed(made, start, after, change, table)
    with mpmath.workdps(60):
        true = evaluate(form, after, mpmath_table()) - evaluate(form, start, mpmath_table())
    assert abs(found - true) <= abs(true) * mpmath.mpf("1e-14")


def changed(form, start, after, change, table):
    """The value of a formula for a change."""
    places = {"s": start, "after": after, "change": change}
    if form[0] in places and len(form) == 1:
        return places[form[0]]
    if form[0] == NUMBER:
        return table[NUMBER](*form[1:])
    again = [part if isinstance(part, int) else changed(part, start, after, change, table) for part in form[1:]]
    if form[0] == "where":
        test, p, q, here, there = again
        return here if test * q > p else there
    return table[form[0]](*again)


@pytest.mark.parametrize("expression", [
    sympy.E * s + sympy.E**2, 2 * sympy.pi * s * sympy.exp(s), 3 * s * sympy.exp(s) * sympy.cos(s),
    sympy.sqrt(2) + s + s**2, 5 + sympy.exp(s) + s, 7 * (s + 1) * s, sympy.pi * (s + 1), sympy.E,
])  # fmt: skip
@pytest.mark.parametrize("fold", [False, True])
def test_a_formula_has_every_part_of_its_expression(expression, fold):
    made = from_sympy(expression, fold)
    with mpmath.workdps(30):
        true = sympy.lambdify(s, expression, "mpmath")(mpmath.mpf(2))
        assert mpmath.almosteq(evaluate(made, mpmath.mpf(2), mpmath_table()), true, 1e-25)


def test_functions_of_a_formula_are_what_they_are_called_on_both_sides_of_0():
    table = mpmath_table()
    for at in map(mpmath.mpf, ("-3", "-0.5", "0", "0.5", "4")):
        assert mpmath.almosteq(table["softplus"](at), mpmath.log(1 + mpmath.exp(at)), 1e-13)
        assert mpmath.almosteq(table["sigmoid"](at), 1 / (1 + mpmath.exp(-at)), 1e-13)
        assert mpmath.almosteq(table["normal_cdf"](at), mpmath.ncdf(at), 1e-13)


# ------------------------------------------------------------------------------------------- positions and elements

I, J = Axis("I"), Axis("J")  # noqa: E741
i, j = Index(I, "i"), Index(J, "j")


def test_a_position_is_a_whole_number_of_indices_and_nothing_else():
    for wrong in (True, False, 1.0, Fraction(1), "1", None):
        for call in (lambda w: (2 * i) + w, lambda w: (2 * i) - w, lambda w: w * (2 * i)):
            with pytest.raises(TypeError):
                call(wrong)
    assert (2 * i + j - 1).at({i: 3, j: 2}) == 7
    assert str(Array("W", 2, (I, J), True)) == Array("W", 2, (I, J), True).name == "W2_new"


@pytest.mark.parametrize("deep", [1, 2, 5])
def test_elements_within_elements_end_at_the_depth_where_they_began(deep):
    """However often one is asked for: so that no chain is taken for a deeper one."""
    arrays = [Array(f"a{k}", None, ()) for k in range(deep + 1)]
    equations = {
        new: Equation(new[()], add(old[()], old[()], ONE), Rule.DEFINITION, "") for old, new in pairwise(arrays)
    }
    field = Field(number=lambda v: v, divide=lambda a, b: a / b, apply=None, choose=None)
    for _ in range(3):
        run = Instance(equations, {}, lambda array, at: Fraction(1), field)
        for array in reversed(arrays):
            assert run.element(array, ()) == 2 ** (arrays.index(array) + 1) - 1
            assert run._nested == 0


# ---------------------------------------------------------------------------------------------------------- in SymPy


def test_what_is_least_of_sums_is_written_out_with_its_sums():
    """Unless it is asked for on the surface alone."""
    array, (k, m) = sympy.IndexedBase("a", shape=(2, 2)), (sympy.Idx("k"), sympy.Idx("m"))
    for kind, of in ((Least, sympy.Min), (Greatest, sympy.Max)):
        made = kind(sympy.Sum(array[k, m], (m, 0, 1)), (k, 0, 1))
        assert made.doit() == of(array[0, 0] + array[0, 1], array[1, 0] + array[1, 1])
        assert made.doit(deep=False).has(sympy.Sum)


def test_sums_of_cases_are_not_cases_of_sums_and_other_sums_are_those_of_sympy():
    k = sympy.Idx("k")
    x, limits = sympy.IndexedBase("x", shape=(3,)), ((k, sympy.Integer(0), sympy.Integer(2)),)
    cases = Piecewise((x[k], x[k] > 0), (0, True))
    assert _sum(cases, limits).args[0] == cases and isinstance(_sum(cases, limits), sympy.Sum)
    for body in (x[k], x[k] ** 2 + 1, sympy.Integer(0)):
        assert _sum(body, limits) == sympy.Sum(body, *limits)


def test_a_slope_that_is_declared_at_a_kink_stands_there_whatever_is_known_of_the_argument():
    phi = fcsym.piecewise_linear("own", [Piece(0, 0), Piece(None, 1)], Fraction(1, 2))
    for at in (X, sympy.Symbol("p", positive=True), sympy.Symbol("n", negative=True)):
        (half, kink), (one, above), (zero, rest) = slope_at(phi, at).args
        assert (half, one, zero, rest) == (sympy.Rational(1, 2), 1, 0, True)
        assert kink.func is sympy.Eq and kink.args == (at, 0) and above.func is sympy.Gt


def test_equations_are_read_as_they_were_written():
    """Whatever order SymPy would have; what is held together is what it holds, and a function may be anywhere else."""
    u, v, w = (Array(name, 1, (I,))[i] for name in "uvw")
    relu, made = activation("relu"), Array("r", None, (I,))[i]
    for terms in permutations((u, mul(2, v), power(w, 2), ONE)):
        rhs = Apply(relu, add(*terms))
        equation = Equation(made, rhs, Rule.DEFINITION, "")
        assert _Reader.of([equation]).read(to_sympy(equation).rhs) == rhs
    reader = _Reader.of([Equation(made, Apply(relu, u), Rule.DEFINITION, ""), Equation(made, w, Rule.DEFINITION, "")])
    element, other = (base_of(part.array)[index_of(i)] for part in (u, w))
    assert reader.read(element) == u and reader.read(sympy.UnevaluatedExpr(element + 1)) == add(u, ONE)
    for at, read in ((element, u), (other, w)):
        assert reader.read(phi_at(relu, at)) == Apply(relu, read)


def test_rows_are_replaced_as_a_whole_and_written_so_that_sympy_reads_them():
    rows = Piecewise((X, T > 1), (2 * X + T, T > 0), (-X, True))
    assert rows.xreplace({rows: Y}) == Y and (rows + X).xreplace({rows: Y}) == X + Y
    assert sympy.exp(rows).xreplace({rows: Y}) == sympy.exp(Y)
    read = eval(sympy.srepr(rows), vars(sympy) | {"Piecewise": Piecewise, "ExprCondPair": ExprCondPair})
    assert read == rows and read is not rows


@pytest.mark.parametrize("condition", [
    T > 1, sympy.And(T > 0, Y > X), sympy.Or(T < -1, Y <= 0), sympy.And(T > 0, sympy.Or(X > 1, Y < 2)), sympy.true,
    sympy.false,
])  # fmt: skip
def test_both_sides_of_every_relation_are_changed(condition):
    at = {X: sympy.Integer(2), Y: sympy.Integer(-1), T: sympy.Rational(1, 2)}
    assert with_parts(condition, lambda part: part) == condition
    for old, new in at.items():
        made = with_parts(condition, lambda part, old=old, new=new: part.subs(old, new))
        assert old not in made.free_symbols and made.subs(at) == condition.subs(at)
    turned = {T: X, X: Y, Y: T}  # what stands on a side alone, and is no condition
    made = with_parts(condition, lambda part: turned.get(part, part))
    assert made == condition.xreplace(turned)
