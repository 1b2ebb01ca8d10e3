"""What stands between equations and the text of a program: each rewriting beside what it rewrites.

Each takes a fraction of a second, so that a fault in how a list is lowered is seen by a test that is quick.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.changes import change_of
from fcsym.kernel.common import shared
from fcsym.kernel.gates import select_by_gates
from fcsym.kernel.lower import _by_cases, _node, _smooth, _split, _together, in_numbers
from fcsym.kernel.running import Running
from fcsym.language import smooth_functions
from fcsym.language.activation import activation
from fcsym.language.algebra import equal, inline
from fcsym.language.differences import difference
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule, Status
from fcsym.language.expression import ZERO as ZERO_VALUE
from fcsym.language.expression import Add, Apply, Array, Axis, Index, Mul, Number, Pow, Ref, Role, mul, power
from fcsym.language.formulas import evaluate, mpmath_table

I, J = (Index(Axis(letter), letter) for letter in "ij")  # noqa: E741
ZERO, ONE = n.Const(Fraction(0)), n.Const(Fraction(1))
COMPUTED = n.Sum | n.Product | n.Power | n.Call


def element(name):
    return n.Load(name, ())


def added(*terms):
    return n.Sum(tuple((1, term) for term in terms))


def times(*factors):
    return n.Product(factors)


def function_of(statements, results, given="abc", axes=()):
    arrays = [Array(name, None, axes) for name in given]
    return n.Function(
        "f", "", (), tuple(arrays), tuple(statements), tuple(Array(r, None, axes) for r in results), False
    )


def values_of(function, lengths=None):
    """What it gives, for a few networks; each element by numpy."""
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(40, *((lengths or {})[axis] for axis in array.axes))) for array in function.given]
    return Running(function, {}, lengths or {}, lambda name, near: near).run(given)


# ----------------------------------------------------------------------------------------------- what occurs again

A, B, C = map(element, "abc")
AGAIN = {
    "nothing": {"r": added(A, times(B, C))},
    "a whole": {"r": times(A, B), "s": times(A, B), "t": added(times(A, B), C)},
    "a beginning": {"r": times(A, B, C), "s": times(A, B, A)},
    "within itself": {"r": times(added(A, B), added(A, B)), "s": n.Power(added(A, B), 2)},
    "within what occurs again": {"r": n.Call("exp", added(A, B)), "s": added(n.Call("exp", added(A, B)), C)},
    "both": {"r": n.Call("exp", added(A, B)), "s": times(n.Call("exp", added(A, B)), added(A, B))},
    "two": {"r": added(times(A, B), times(B, C)), "s": added(times(B, C), times(A, B), A)},
    "one element": {"r": A, "s": A, "t": added(A, B)},
    "in a test": {"r": n.Select(n.Test(times(A, B), ">", Fraction(0)), times(A, B), C), "s": C},
}


def in_pairs(node):
    """A product is multiplied from the left: its beginnings are parts of it."""
    node = n.rebuilt(node, in_pairs)
    if isinstance(node, n.Product) and len(node.factors) > 2:
        return in_pairs(n.Product((n.Product(node.factors[:-1]), node.factors[-1])))
    return node


def computed(node):
    if isinstance(node, COMPUTED):
        yield node
    for part in n.parts(node):
        yield from computed(part)


@pytest.mark.parametrize("name", AGAIN)
def test_what_occurs_again_is_computed_once_and_nothing_else_has_a_name(name):
    """The same numbers, bit by bit; no value twice; every name of what is shared read more than once."""
    before = function_of([n.Define(key, (), value) for key, value in AGAIN[name].items()], AGAIN[name])
    after = shared(before)
    for one, other in zip(values_of(before), values_of(after), strict=True):
        assert (one == other).all()
    own = [s.name for s in after.statements]
    assert len(set(own)) == len(own)
    many = Counter(node for s in after.statements for node in computed(in_pairs(s.value)))
    assert max(many.values(), default=1) == 1
    read = Counter(load.name for s in after.statements for load in n.loads(s))
    extra = [s.name for s in after.statements if s.name not in AGAIN[name]]
    assert all(read[one] > 1 for one in extra) and extra == [f"common{k}" for k in range(1, len(extra) + 1)]
    assert all(not isinstance(s.value, n.Load) or s.value.name not in extra for s in after.statements)
    known = {"a", "b", "c"}
    for s in after.statements:
        assert {load.name for load in n.loads(s)} <= known
        known.add(s.name)


# ------------------------------------------------------------------------------------------------------------ gates


def of(name):
    return n.Load(name, (J,))


GATE = n.Select(n.Test(of("s"), ">", Fraction(0)), ONE, ZERO)
WINDOW = n.Select(n.Test(of("s"), ">", Fraction(1)), ZERO, n.Select(n.Test(of("s"), ">", Fraction(0)), ONE, ZERO))
HALF = n.Select(n.Test(of("s"), ">", Fraction(0)), ONE, n.Const(Fraction(1, 2)))


@pytest.mark.parametrize(("gate", "put"), [(GATE, True), (WINDOW, True), (HALF, False)])
@pytest.mark.parametrize("kept", [False, True])
def test_a_product_with_a_gate_is_a_choice(gate, put, kept):
    """The same numbers; the gate is not read any more, and is there only where it is a result."""
    other = Index(J.axis, "m")
    products = {
        "one": times(of("g"), of("a")),
        "many": times(of("a"), of("g"), of("b")),
        "summed": n.Sum(((1, times(of("g"), of("a"))), (-1, of("b")))),
        "chosen": n.Select(n.Test(of("a"), ">", Fraction(0)), times(of("g"), of("b")), of("b")),
        "alone": times(of("a"), of("b")),
    }
    statements = [n.Define("g", (J,), gate), *(n.Define(name, (J,), value) for name, value in products.items())]
    statements.append(n.Define("renamed", (other,), times(n.Load("g", (other,)), n.Load("a", (other,)))))
    results = [*products, "renamed", *(["g"] if kept else [])]
    before = function_of(statements, results, "sab", (J.axis,))
    after = select_by_gates(before)
    for one, two in zip(*(values_of(f, {J.axis: 6}) for f in (before, after)), strict=True):
        assert (one == two).all()
    read = {load.name for s in after.statements for load in n.loads(s)}
    assert ("g" in read) is not put
    assert ("g" in {s.name for s in after.statements}) is (kept or not put)
    assert len(after.statements) == len(statements) - (put and not kept)
    whole = {s.name: s.value for s in after.statements}
    assert isinstance(whole["one"], n.Select) is put and whole["alone"] == products["alone"]
    if put:
        assert of("a") in n.parts(whole["one"]) + sum(map(n.parts, n.parts(whole["one"])), ())


# ---------------------------------------------------------------------------------------------------------- changes

T = Array("v", 1, (J.axis,))
S, DS, W = Array("s", 1, (J.axis,)), Array("ds", 1, (J.axis,)), Array("w", 1, (J.axis,))
OTHER = Index(J.axis, "m")


def known_as(value, moved):
    return {T: Equation(T[J], value, Rule.DEFINITION, ""), S.primed: Equation(S.primed[J], moved, Rule.DEFINITION, "")}


def test_the_change_of_a_smooth_unit_is_found_in_its_equations():
    """phi(s') - v, where v = phi(s) and s' is s and what it changes by, in any order and by whatever index."""
    tanh = activation("tanh")
    dv = Equation(Array("dv", 1, (J.axis,))[J], Apply(tanh, S.primed[J]) - T[J], Rule.DEFINITION, "")
    places = {"s": n.Load("s1", (J,)), "after": n.Load(S.primed.name, (J,)), "change": n.Load("ds1", (J,))}
    for moved in (S[J] + DS[J], DS[J] + S[J]):
        assert change_of(dv, known_as(Apply(tanh, S[J]), moved)) == (
            difference(smooth_functions.in_calls(tanh)),
            places,
        )
    renamed = Equation(T[OTHER], Apply(tanh, S[OTHER]), Rule.DEFINITION, "")
    assert change_of(dv, known_as(Apply(tanh, S[J]), S[J] + DS[J]) | {T: renamed})[1] == places


@pytest.mark.parametrize(
    ("rhs", "value", "moved"),
    [
        (Apply(activation("relu"), S.primed[J]) - T[J], Apply(activation("relu"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - 2 * T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) + T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[OTHER], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J], 1) - T[J], Apply(activation("tanh"), S[J], 1), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("sigmoid"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J], 1), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J] + W[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), W[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), S[J] * DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), S[J] + 2 * DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), 2 * S[J]), 2 * S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], S[J], S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]), Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (power(S.primed[J], 2) - T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
    ],
)
def test_what_is_no_change_of_a_smooth_unit_is_not_taken_for_one(rhs, value, moved):
    equation = Equation(Array("dv", 1, (J.axis,))[J], rhs, Rule.DEFINITION, "")
    assert change_of(equation, known_as(value, moved)) is None
    assert change_of(equation, {}) is None


# ------------------------------------------------------------------------------------------------------- expressions


def value(node, at):
    """An element-wise node at rational numbers, or at numbers of mpmath, by what the form says of itself."""
    match node:
        case n.Const(number):
            return number
        case n.Load(name, _):
            return at[name]
        case n.Sum(terms):
            assert {sign for sign, _ in terms} <= {1, -1}
            return sum(sign * value(term, at) for sign, term in terms)
        case n.Product(factors):
            return math.prod(value(factor, at) for factor in factors)
        case n.Power(base, exponent):
            assert exponent >= 2
            return value(base, at) ** exponent
        case n.Quotient(above, below):
            one, other = value(above, at), value(below, at)
            return one / other if isinstance(other, Fraction) else in_digits(one) / other
        case n.Select(test, then, otherwise):
            return value(then if holds(test, at) else otherwise, at)
        case n.Guarded(above, below, guard):
            chosen = any(all(holds(test, at) for test in row) for row in guard)
            return value(above, at) / value(below, at) if chosen else Fraction(0)
        case n.Undefined():
            return None
        case n.Call(name, argument):
            u = value(argument, at)
            return {"expm1": mpmath.expm1, "log1p": mpmath.log1p, "normal_cdf": mpmath.ncdf, "Abs": abs}.get(
                name, getattr(mpmath, name, None)
            )(in_digits(u))
    raise AssertionError(node)


def in_digits(number):
    return mpmath.mpf(number.numerator) / number.denominator if isinstance(number, Fraction) else number


def holds(test, at):
    left = value(test.left, at)
    return {">": left > test.bound, "<=": left <= test.bound, "==": left == test.bound, "!=": left != test.bound}[
        test.relation
    ]


def inside(node):
    yield node
    for part in n.parts(node):
        yield from inside(part)


U, V = (Array(name, 1, (J.axis,)) for name in "uv")
NORM, LIMIT = Array("n", 1, (), role=Role.NORM), Array("d", 1, (J.axis,), role=Role.DIVISOR)
EXPRESSIONS = [
    (2 * U[J] - 3 * V[J] + Fraction(1, 2), lambda u, v, n, d: 2 * u - 3 * v + Fraction(1, 2)),
    (U[J] - Fraction(1, 3), lambda u, v, n, d: u - Fraction(1, 3)),
    (-1 * (U[J] * V[J]), lambda u, v, n, d: -u * v),
    (mul(Fraction(-2, 3), U[J]), lambda u, v, n, d: Fraction(-2, 3) * u),
    (mul(Fraction(1, 3), U[J]) - mul(Fraction(1, 4), V[J]), lambda u, v, n, d: u / 3 - v / 4),
    (mul(Fraction(5, 3), U[J], V[J]), lambda u, v, n, d: Fraction(5, 3) * u * v),
    (power(U[J], 3) - power(V[J], 2), lambda u, v, n, d: u**3 - v**2),
    (power(NORM[()], -1), lambda u, v, n, d: 1 / n),
    (U[J] * power(NORM[()], -2), lambda u, v, n, d: u / n**2),
    (-2 * U[J] * V[J] / NORM[()], lambda u, v, n, d: -2 * u * v / n),
    (U[J] / NORM[()] / LIMIT[J] + 1, lambda u, v, n, d: u / (n * d) + 1),
    (-1 * power(LIMIT[J], -1), lambda u, v, n, d: -1 / d),
]


@pytest.mark.parametrize(("node", "true"), EXPRESSIONS, ids=lambda one: "" if callable(one) else str(one))
def test_an_expression_is_its_node_at_rational_numbers(node, true):
    """No number in it is below 0: that is said by the sign of its term."""
    made, rng = _node(node), random.Random(0)
    assert all(part.value >= 0 for part in inside(made) if isinstance(part, n.Const))
    for _ in range(5):
        at = {name: Fraction(rng.choice([-5, -2, -1, 1, 3, 7]), rng.randint(1, 4)) for name in ("u1", "v1", "n1", "d1")}
        assert value(made, at) == true(*at.values())


def test_what_may_be_0_is_divided_by_in_a_case_alone():
    for node in (
        power(U[J], -1),
        U[J] / V[J],
        U[J] / NORM[()] / V[J],
        mul(Fraction(1, 2), power(U[J], -1)),
        power(U[J], -2),
    ):
        with pytest.raises(CompileError, match="a quotient must belong to a case that guards it"):
            _node(node)
    with pytest.raises(CompileError, match="name its argument first"):
        _node(Apply(activation("relu"), 2 * U[J]))


PIECES = fcsym.piecewise_linear(
    "bent",
    [
        fcsym.Piece(-1, 0, 2),
        fcsym.Piece(0, -2),
        fcsym.Piece(1, 2),
        fcsym.Piece(2, 1, 1),
        fcsym.Piece(None, Fraction(1, 2), 2),
    ],
)


@pytest.mark.parametrize("phi", [PIECES, activation("relu"), activation("leaky_relu")], ids=lambda phi: phi.name)
def test_pieces_are_those_of_the_function_at_every_kink_and_between(phi):
    for at in (Fraction(k, 4) for k in range(-8, 9)):
        assert value(_node(Apply(phi, U[J])), {"u1": at}) == phi.value_at(at)
        assert value(_node(Apply(phi, U[J], 1)), {"u1": at}) == phi.slope_at(at)


S_, HALF_ = ("s",), ("number", 1, 2)
FORMULAS = [
    ("add", S_, ("number", -1, 3)),
    ("add", ("number", 2, 1), ("mul", ("number", -1, 2), S_)),
    ("mul", HALF_, S_),
    ("mul", ("number", 2, 1), S_),
    ("mul", ("number", -2, 1), ("number", 3, 2), S_),
    ("mul", ("number", -3, 2), S_, ("mul", ("number", -1, 1), ("exp", S_))),
    ("mul", ("number", 1, 1), S_, ("add", S_, ("number", 1, 1))),
    ("mul", ("number", -1, 1), ("pow", S_, ("number", -1, 1))),
    ("mul", S_, ("pow", ("exp", S_), ("number", -2, 1))),
    ("pow", S_, ("number", 2, 1)),
    ("pow", S_, HALF_),
    ("pow", S_, ("number", 3, 2)),
    ("pow", S_, ("number", 5, 2)),
    ("pow", S_, ("number", 1, 3)),
    ("pow", S_, ("number", 7, 5)),
    ("pow", S_, ("number", -1, 2)),
    ("pow", S_, ("number", -4, 3)),
    ("pow", S_, ("number", -3, 1)),
    ("above", 1, 2, ("exp", S_), ("log", S_)),
    ("sign", ("add", S_, ("number", -1, 1))),
    ("add", ("sign", S_), ("number", 3, 1)),
    ("sqrt", ("add", S_, ("number", 1, 1))),
]


@pytest.mark.parametrize("form", FORMULAS, ids=str)
def test_a_formula_is_its_node_at_many_digits(form):
    made = _smooth(form, {"s": n.Load("s", (J,))})
    assert all(part.value >= 0 for part in inside(made) if isinstance(part, n.Const)) or form[0] in ("sign", "add")
    with mpmath.workdps(30):
        for s in ("0.125", "0.5", "1", "2.5", "7"):
            true = evaluate(form, mpmath.mpf(s), mpmath_table())
            found = in_digits(value(made, {"s": Fraction(s)}))
            assert abs(found - true) < 1e-25 * (1 + abs(true)), s


# -------------------------------------------------------------------------------------------------------------- cases

P, X = Array("p", None, (I.axis, J.axis)), Array("w", None, (I.axis, J.axis))
ZERO_, NOT_ = Condition(V[J], "="), Condition(V[J], "!=")
SCALE = Array("q", None, ())


def as_written(expression, at):
    """The value of a sum of products at rational numbers, by what stands in it."""
    match expression:
        case Add(terms):
            return sum(as_written(term, at) for term in terms)
        case Mul(factors):
            return math.prod(as_written(factor, at) for factor in factors)
        case Pow(base, exponent):
            return as_written(base, at) ** exponent
        case Number(number):
            return number
        case Ref(array, _):
            return at[array.name]


@pytest.mark.parametrize(
    ("rows", "ratios"),
    [
        ([X[I, J] * U[J] / V[J]], 1),
        ([X[I, J] * U[J] / V[J] - X[I, J]], 1),
        ([-2 * X[I, J] / V[J] + U[J]], 1),
        ([mul(X[I, J], U[J], U[J], power(V[J], -1))], 1),
        ([X[I, J] / SCALE[()] + U[J] / V[J]], 2),
        ([X[I, J] * U[J] / V[J], X[I, J] * U[J] / V[J] + 1], 1),
        ([U[J] + 2 * power(SCALE[()], -1)], 1),
        ([X[I, J] * U[J], U[J] + X[I, J]], 0),
    ],
    ids=str,
)
def test_a_quotient_by_cases_is_divided_only_where_its_case_holds(rows, ratios):
    """Everywhere the value of the row that holds; what is undefined is marked, and what is chosen is 0."""
    branches = [Branch("zero", (ZERO_, Condition(U[J], "=")), ZERO_VALUE, Status.CHOSEN)]
    branches.append(Branch("none", (ZERO_, Condition(U[J], "!=")), None, Status.UNDEFINED))
    if len(rows) == 1:
        branches.append(Branch("one", (NOT_,), rows[0]))
    else:
        branches.append(Branch("up", (NOT_, Condition(U[J], ">")), rows[0]))
        branches.append(Branch("down", (NOT_, Condition(U[J], "<=")), rows[1]))
    made = _by_cases("p", Cases(tuple(branches)), (I, J))
    names = [s.name for s in made if isinstance(s, n.Define)]
    assert names == [*(["p_ratio"] if ratios == 1 else [f"p_ratio{k + 1}" for k in range(ratios)]), "p"]
    assert [s.indices for s in made if isinstance(s, n.Mark)] == [(J,)]
    for u in (Fraction(0), Fraction(2, 3), Fraction(-5)):
        for v in (Fraction(0), Fraction(-3, 4), Fraction(2)):
            at, marked = {"u1": u, "v1": v, "w": Fraction(7, 3), "q": Fraction(-4)}, None
            for s in made:
                if isinstance(s, n.Mark):
                    marked = any(all(holds(test, at) for test in row) for row in s.guard)
                else:
                    at[s.name] = value(s.value, at)
            row = rows[0] if len(rows) == 1 or u > 0 else rows[1]
            assert marked is (v == 0 and u != 0)
            assert at["p"] == (as_written(row, at) if v else None if u else 0)


def test_a_quotient_has_the_element_above_that_goes_with_the_one_below():
    """One of its shape; over a number any, since the inverse of that may be none; 1 where there is none."""
    for factors, quotient, rest in (
        ((X[I, J], U[J], power(V[J], -1)), (U[J], power(V[J], -1)), [X[I, J]]),
        ((U[J], V[J], power(V[J], -1)), (U[J], power(V[J], -1)), [V[J]]),
        ((X[I, J], power(V[J], -1)), (power(V[J], -1),), [X[I, J]]),
        ((X[I, J], power(SCALE[()], -1)), (X[I, J], power(SCALE[()], -1)), []),
        ((SCALE[()], X[I, J], power(SCALE[()], -1)), (SCALE[()], power(SCALE[()], -1)), [X[I, J]]),
    ):
        found = _split(Mul(factors))
        assert found == (Mul(quotient) if len(quotient) > 1 else quotient[0], rest)
    assert _split(Mul((X[I, J], U[J]))) is None and _split(U[J]) is None


@pytest.mark.parametrize("wrong", [U[J] / V[J] / SCALE[()], U[J] * power(V[J], -2)], ids=str)
def test_one_element_is_divided_by_another_once(wrong):
    with pytest.raises(CompileError, match="only one element can be divided by another"):
        _by_cases("p", Cases((Branch("one", (NOT_,), wrong), Branch("zero", (ZERO_,), ZERO_VALUE))), (J,))


# ----------------------------------------------------------------------------------------------------- update rules

G, H, D_, R = (Array(name, 1, (J.axis,)) for name in "ghdr")


@pytest.mark.parametrize(
    ("steps", "results", "kept"),
    [
        ([(G, Rule.GRADIENT, 2 * U[J]), (H, Rule.TRAINING, G[J] + V[J])], [H], [H]),
        ([(G, Rule.GRADIENT, 2 * U[J]), (H, Rule.TRAINING, G[J] + V[J])], [G, H], [G, H]),
        ([(G, Rule.GRADIENT, 2 * U[J]), (H, Rule.TRAINING, G[J] * G[J])], [H], [G, H]),
        ([(G, Rule.GRADIENT, 2 * U[J]), (H, Rule.TRAINING, G[J] + V[J]), (R, Rule.UPDATE, G[J])], [H, R], [G, H, R]),
        ([(G, Rule.DEFINITION, 2 * U[J]), (H, Rule.TRAINING, G[J] + V[J])], [H], [G, H]),
        ([(G, Rule.TRAINING, 2 * U[J]), (H, Rule.TRAINING, Apply(activation("tanh"), G[J]))], [H], [G, H]),
        ([(G, Rule.TRAINING, 2 * U[J]), (H, Rule.TRAINING, 3 * G[J]), (R, Rule.TRAINING, H[J] + U[J])], [R], [R]),
        ([(LIMIT, Rule.TRAINING, 2 * U[J]), (H, Rule.TRAINING, U[J] / LIMIT[J])], [H], [LIMIT, H]),
        ([(G, Rule.GRADIENT, 2 * U[J]), (H, Rule.TRAINING, V[J])], [H], [G, H]),
    ],
)
def test_a_step_of_a_rule_that_one_other_needs_becomes_a_part_of_it(steps, results, kept):
    """Unless it is a result, is needed again, is divided by, or is what a function is taken of."""
    equations = [Equation(array[J], rhs, rule, "") for array, rule, rhs in steps]
    made = _together(equations, results)
    assert [e.array for e in made] == kept
    for found in ([{}, made], [{}, equations]):
        for e in found[1]:
            found[0][e.array] = inline(e.rhs, {array: ((J,), rhs) for array, rhs in found[0].items()})
        for e in kept:
            whole = {array: rhs for array, _, rhs in steps}
            true = whole[e]
            for _ in steps:
                true = inline(true, {array: ((J,), rhs) for array, rhs in whole.items()})
            assert found[0][e] == true or equal(found[0][e], true)


def test_numbers_of_a_rule_stand_in_the_place_of_its_coefficients():
    d = fcsym.derive(Network.mlp([1, 1, 1]), rule="momentum")
    made = in_numbers(d)
    held = set(d.network.rule.values)
    assert held and any(held & set(e.operands) for e in d.equations)
    assert len(made) == len(d.equations) and not any(held & set(e.operands) for e in made)
    assert [e.lhs for e in made] == [e.lhs for e in d.equations]
    assert in_numbers(fcsym.derive(Network.mlp([1, 1, 1]))) == fcsym.derive(Network.mlp([1, 1, 1])).equations
