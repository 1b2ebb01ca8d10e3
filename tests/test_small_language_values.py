"""What an expression, a case table or a list of equations is worth, against its definition, number by number."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise, product
from math import prod

import mpmath
import pytest
import sympy

from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Piece as Line
from fcsym.language.activation import piecewise_linear
from fcsym.language.decision import Decision, decide
from fcsym.language.differences import AFTER, CHANGE, difference
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    add,
    indicator,
    mul,
    power,
    total,
)
from fcsym.language.formulas import S as ARGUMENT
from fcsym.language.formulas import mpmath_table
from fcsym.language.instance import Field, Instance, exact_field, first_that_holds

AI, AJ = Axis("I"), Axis("J")
SIZES = {AI: 2, AJ: 3}
i, k, j, l = (Index(axis, letter) for axis, letter in ((AI, "i"), (AI, "k"), (AJ, "j"), (AJ, "l")))  # noqa: E741
A, B, C, M, E = (
    Array(name, None, axes) for name, axes in zip("abcme", ((AI, AJ), (AJ,), (AI,), (AJ, AJ), ()), strict=True)
)
NUMBERS = {
    (array, at): Fraction((7 * n + 3) % 11 - 5 or 4, 1 + n % 3)
    for array in (A, B, C, M, E)
    for n, at in enumerate(product(*(range(SIZES[axis]) for axis in array.axes)))
}
HAT = piecewise_linear("hat", [Line(0, -1), Line(2, 1), Line(None, 0, 2)], "1/2")


def hat(value, derivative):
    """|s| up to 2, and 2 beyond; its slope on a kink is 1/2."""
    if derivative:
        return Fraction(1, 2) if value in (0, 2) else Fraction(-1 if value < 0 else 1 if value < 2 else 0)
    return min(abs(value), Fraction(2)) if value > 0 else -value


def worth(node, at):
    """By definition."""
    match node:
        case Number(value):
            return value
        case Ref(array, indices):
            return NUMBERS[array, tuple(at[index] for index in indices)]
        case Indicator(index, form):
            return Fraction(at[index] == sum(c * at[other] for other, c in form.terms) + form.constant)
        case Add(terms):
            return sum((worth(term, at) for term in terms), Fraction(0))
        case Mul(factors):
            return prod((worth(factor, at) for factor in factors), start=Fraction(1))
        case Pow(base, exponent):
            return worth(base, at) ** exponent
        case Total(over, body) | Extreme(_, over, body):
            places = product(*(range(SIZES[index.axis]) for index in over))
            every = [worth(body, {**at, **dict(zip(over, place, strict=True))}) for place in places]
            return sum(every, Fraction(0)) if isinstance(node, Total) else {"min": min, "max": max}[node.kind](every)
        case Apply(_, argument, derivative):
            return hat(worth(argument, at), derivative)
    raise AssertionError(node)


def drawn(rng, scope, depth):
    """An expression in the indices of a scope, with every kind of node that has a value over exact numbers."""
    kinds = ["add", "mul", "marked", "total", "least", "greatest", "power", "applied"] if depth else ["ref"]
    match rng.choice(kinds):
        case "add":
            return add(drawn(rng, scope, depth - 1), drawn(rng, scope, depth - 1))
        case "mul":
            return mul(*(drawn(rng, scope, depth - 1) for _ in range(3)))
        case "marked" if len(scope) > 1:
            one, other = rng.sample(sorted(scope), 2)
            return mul(
                indicator(one, rng.choice([1, 2]) * other + rng.choice([-1, 0, 1])), drawn(rng, scope, depth - 1)
            )
        case "total" | "least" | "greatest" as kind:
            over = tuple(rng.sample([i, k, j, l], rng.choice([1, 2])))
            body = drawn(rng, {*scope, *over}, depth - 1)
            return total(over, body) if kind == "total" else Extreme("min" if kind == "least" else "max", over, body)
        case "power":
            return power(drawn(rng, scope, 0), rng.choice([-3, -2, -1, 2, 3]))
        case "applied":
            element = drawn(rng, scope, 0)
            return Apply(HAT, element, rng.choice([0, 1])) if isinstance(element, Ref) else element
    fitting = [Number(Fraction(value)) for value in ("-3/2", "2", "-1", "-2")]
    for array in (A, B, C, M, E):
        choices = product(*([index for index in sorted(scope) if index.axis == axis] for axis in array.axes))
        fitting += [array[indices] for indices in choices if len(set(indices)) == len(indices)]
    return rng.choice(fitting)


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_an_expression_is_worth_what_it_says(seed, planned):
    """Whether its indices are looked up once or every time."""
    rng = random.Random(seed)
    for n in range(80):
        scope = rng.choice([(), (i,), (i, j), (k, j, l)])
        node, made = drawn(rng, set(scope), 1 + n % 3), Array(f"r{n}", None, tuple(index.axis for index in scope))
        equation = Equation(made[scope] if scope else made[()], node, Rule.DEFINITION, "")
        instance = Instance(
            {made: equation}, SIZES, lambda array, at: NUMBERS[array, at], exact_field(), plans={} if planned else None
        )
        instance.fill()
        for at in product(*(range(SIZES[index.axis]) for index in scope)):
            assert instance.known[made, at] == worth(node, dict(zip(scope, at, strict=True))), node


@pytest.mark.parametrize("planned", [False, True])
def test_an_element_may_rest_on_a_long_chain_of_others(planned):
    """Each is asked for within the one before it, and twice: 2^n - 1, after 3000 steps as well as after 3."""
    arrays = [Array("t", n, ()) for n in range(3001)]
    equations = {
        array: Equation(array[()], add(mul(2, below[()]), 1), Rule.DEFINITION, "") for below, array in pairwise(arrays)
    }
    plans = {} if planned else None
    instance = Instance(equations, {}, lambda array, at: Fraction(0), exact_field(), plans=plans)
    for n in (3, 8, 9, 40, 3000):
        assert instance.element(arrays[n], ()) == 2**n - 1


@pytest.mark.parametrize("planned", [False, True])
def test_an_inverse_is_that_of_the_matrix_and_is_computed_once(planned):
    """None everywhere where there is none, and refused where the field has no inverse."""
    found, asked = Array("n", None, (AJ, AJ)), []
    equations = {found: Equation(found[j, l], Inverse(M[j, l]), Rule.DEFINITION, "")}
    exact = exact_field()

    def inverse(rows):
        asked.append(rows)
        matrix = sympy.Matrix([[sympy.Rational(x.numerator, x.denominator) for x in row] for row in rows])
        return None if matrix.det() == 0 else matrix.inv().tolist()

    field = Field(exact.number, exact.divide, exact.apply, exact.choose, inverse=inverse)
    for values in (
        {at: NUMBERS[M, at] for at in product(range(3), repeat=2)},
        dict.fromkeys(product(range(3), repeat=2), 1),
    ):
        asked.clear()
        instance = Instance(
            equations, SIZES, lambda _, at, values=values: Fraction(values[at]), field, plans={} if planned else None
        )
        instance.fill()
        assert asked == [[[values[n, m] for m in range(3)] for n in range(3)]]
        if len(set(values.values())) == 1:
            assert {instance.known[found, at] for at in values} == {None}
            continue
        for n, m in values:
            assert sum(values[n, q] * instance.known[found, (q, m)] for q in range(3)) == (n == m)
    with pytest.raises(UnsupportedExpression, match="The inverse of m cannot be evaluated"):
        Instance(equations, SIZES, lambda _, at: Fraction(1), exact, plans={} if planned else None).fill()


@pytest.mark.parametrize("planned", [False, True])
def test_a_function_of_more_than_an_element_cannot_be_evaluated(planned):
    made = Array("r", None, ())
    equation = Equation(made[()], Apply(HAT, E[()] + 1), Rule.DEFINITION, "")
    with pytest.raises(UnsupportedExpression, match="cannot be evaluated"):
        Instance({made: equation}, SIZES, lambda *_: Fraction(1), exact_field(), plans={} if planned else None).fill()


def test_where_no_case_holds_it_is_said_of_what():
    b, e = B[j], E[()]
    cases = Cases(
        (Branch("one", (Condition(b, ">", Fraction(1)),), e), Branch("other", (Condition(b, "=", Fraction(0)),), None))
    )
    assert first_that_holds(cases, (B, (0,)), lambda node: Fraction(2)) == 2
    assert first_that_holds(cases, (B, (0,)), lambda node: Fraction(0)) is None
    with pytest.raises(ArithmeticError, match=r"No case of b holds\."):
        first_that_holds(cases, (B, (0,)), lambda node: Fraction(1))


# ------------------------------------------------------------------------------------------------------ case tables

HOLDS = {">": lambda a, b: a > b, "<=": lambda a, b: a <= b, "=": lambda a, b: a == b, "!=": lambda a, b: a != b}
S, T = (Ref(Array(name, None, ()), ()) for name in "st")
PLACES = [Fraction(n, 2) for n in range(-3, 7)]


def rows_of(*subjects):
    """For each subject its pieces between ends; a piece may be its end and the rest."""
    options = []
    for subject, ends in subjects:
        own = []
        for below, above in zip([None, *ends], [*ends, None], strict=True):
            lower = [Condition(subject, ">", Fraction(below))] if below is not None else []
            upper = [Condition(subject, "<=", Fraction(above))] if above is not None else []
            own.append((*lower, *upper))
        options.append(own)
    return [sum(parts, ()) for parts in product(*options)]


TABLES = {
    "one kink": rows_of((S, (0,))),
    "three pieces": rows_of((S, (0, 1))),
    "four pieces": rows_of((S, (-1, 0, 2))),
    "before and after": rows_of((S, (0,)), (T, (0,))),
    "three pieces twice": rows_of((S, (0, 1)), (T, (0, 1))),
    **{f"in any order, {n}": random.Random(n).sample(rows_of((S, (0, 1)), (T, (0,))), 6) for n in range(8)},
    "from above": rows_of((S, (0, 1, 2)))[::-1],
    "on the kink": [
        (Condition(S, ">", Fraction(0)),), (Condition(S, "<=", Fraction(0)), Condition(S, "!=", Fraction(0))),
        (Condition(S, "<=", Fraction(0)), Condition(S, "=", Fraction(0))),
    ],
    "equal or not": [
        (Condition(S, "=", Fraction(0)), Condition(T, "=", Fraction(0))), (Condition(S, "!=", Fraction(0)),),
        (Condition(S, "=", Fraction(0)), Condition(T, "!=", Fraction(0))),
    ],
}  # fmt: skip


def holds(condition, at):
    return HOLDS[condition.relation](at[condition.subject], condition.bound)


@pytest.mark.parametrize("name", TABLES)
def test_nested_decisions_lead_to_the_row_that_holds(name):
    """And on no way is anything asked that is known there already."""
    rows = [Branch(f"row {n}", when, Number(Fraction(n))) for n, when in enumerate(TABLES[name])]
    everywhere = [dict(zip((S, T), at, strict=True)) for at in product(PLACES, repeat=2)]

    def walk(tree, there):
        if not isinstance(tree, Decision):
            assert there and all(all(holds(c, at) for c in tree.when) for at in there)
            return
        sides = [[at for at in there if holds(tree.condition, at) is side] for side in (True, False)]
        assert all(sides), tree.condition
        for part, side in zip((tree.then, tree.otherwise), sides, strict=True):
            walk(part, side)

    walk(decide(rows), everywhere)


def test_what_all_rows_ask_for_is_not_asked():
    """A table for units that are on the piece: only the rest tells its rows apart."""
    on, rest = Condition(S, ">", Fraction(0)), Condition(T, "<=", Fraction(1))
    below, above = (Branch("b", (on, rest), None), Branch("a", (on, Condition(T, ">", Fraction(1))), None))
    assert decide([below, above]) == Decision(rest, below, above)


# ------------------------------------------------------------------------------------------- differences of functions


@pytest.mark.parametrize("u", ["0.6", "-0.6", "1.7"])
def test_a_difference_of_arc_tangents_is_one_across_0(u):
    """At every product of the two arguments from -3/2 to 1/2, of which only a part has a form of its own."""
    rule = difference(("atan", ARGUMENT))
    for n in range(-30, 11):
        with mpmath.workdps(40):
            before = mpmath.mpf(u)
            after = mpmath.mpf(n) / 20 / before
            places = {ARGUMENT: before, AFTER: after, CHANGE: after - before}
            assert mpmath.almosteq(at(rule, places), mpmath.atan(after) - mpmath.atan(before), 1e-35, 1e-35), n


def at(formula, places):
    """A formula with numbers in the places of s, s + ds and ds."""
    if formula in places:
        return places[formula]
    match formula:
        case ("where", u, p, q, a, b):
            return at(a, places) if at(u, places) > mpmath.mpf(p) / q else at(b, places)
        case ("number", p, q):
            return mpmath.mpf(p) / q
    return mpmath_table()[formula[0]](*(at(part, places) for part in formula[1:]))
