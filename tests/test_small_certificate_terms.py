"""What a certificate makes of expressions: slopes, signs, orders of sums and texts, against numbers that are drawn."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import product

import pytest
import sympy
from test_small_certificate_statements import KNOWN, Reader
from test_small_language_values import AI, AJ, HAT, NUMBERS, SIZES, A, B, C, E, drawn, i, j, k, l, worth

from fcsym.certificates.adjoints import _slopes
from fcsym.certificates.constants import _is_inverse
from fcsym.certificates.orders import in_order_of
from fcsym.certificates.printer import Printer
from fcsym.certificates.signs import Signs
from fcsym.certificates.terms import divisors, parts, without
from fcsym.language.activation import smooth
from fcsym.language.algebra import apart
from fcsym.language.decision import decide
from fcsym.language.equation import Branch, Condition
from fcsym.language.expression import (
    Add,
    Apply,
    Expr,
    Extreme,
    Index,
    IndexForm,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    add,
    children,
    indicator,
    mul,
    power,
    total,
)

ALONG = {key: Fraction((5 * n) % 7 - 3, 2) for n, key in enumerate(NUMBERS)}


def smoothly(node):
    """The expression without a least or a greatest value, and with no function of pieces: x for phi(x)."""
    match node:
        case Add(terms):
            return add(*map(smoothly, terms))
        case Mul(factors):
            return mul(*map(smoothly, factors))
        case Total(over, body) | Extreme(_, over, body):
            return total(over, smoothly(body))
        case Apply(_, argument):
            return argument
    return node


def change(node, at):
    """The derivative of an expression along a direction, by the rules for a number that is a value and a change."""
    match node:
        case Ref(array, indices):
            return ALONG[array, tuple(at[index] for index in indices)]
        case Add(terms):
            return sum((change(term, at) for term in terms), Fraction(0))
        case Mul(factors):
            value, moved = Fraction(1), Fraction(0)
            for factor in factors:
                value, moved = value * worth(factor, at), moved * worth(factor, at) + value * change(factor, at)
            return moved
        case Pow(base, exponent):
            return exponent * worth(base, at) ** (exponent - 1) * change(base, at)
        case Total(over, body):
            places = product(*(range(SIZES[index.axis]) for index in over))
            return sum((change(body, {**at, **dict(zip(over, p, strict=True))}) for p in places), Fraction(0))
    return Fraction(0)


@pytest.mark.parametrize("seed", range(2))
def test_slopes_of_all_occurrences_make_the_derivative(seed):
    """Each times what its element changes by, summed over the sums around it."""
    rng = random.Random(seed)
    for n in range(60):
        node = apart(smoothly(drawn(rng, {i, j}, 1 + n % 3)))
        found = list(_slopes(node))
        for at in ({i: p, j: q} for p in range(2) for q in range(3)):
            made = Fraction(0)
            for ref, slope, bound in found:
                for place in product(*(range(SIZES[index.axis]) for index in bound)):
                    here = {**at, **dict(zip(bound, place, strict=True))}
                    made += worth(slope, here) * ALONG[ref.array, tuple(here[index] for index in ref.indices)]
            assert made == change(node, at), node
    (only,) = _slopes(Apply(smooth("tanh"), B[j]))
    assert only == (B[j], Apply(smooth("tanh"), B[j], 1), ()) and not list(_slopes(Apply(smooth("tanh"), B[j], 1)))


# ------------------------------------------------------------------------------------------------------------- signs

ROOT, EXP = smooth("sqrt"), smooth("exp")


def number_of(node, rng):
    """What an expression is worth where elements may be any numbers; no value for a root of what is below 0."""
    match node:
        case Number(value):
            return float(value)
        case Ref():
            return rng.choice([-2.0, -0.5, 0.0, 0.5, 3.0])
        case Indicator():
            return rng.choice([0.0, 1.0])
        case Add(terms):
            return sum(number_of(term, rng) for term in terms)
        case Mul(factors):
            made = 1.0
            for factor in factors:
                made *= number_of(factor, rng)
            return made
        case Pow(base, exponent):
            return number_of(base, rng) ** exponent if exponent > 0 else 1 / (number_of(base, rng) or 1)
        case Total(_, body):
            return sum(number_of(body, rng) for _ in range(2))
        case Apply(phi, argument):
            value = number_of(argument, rng)
            if abs(value) > 50:
                raise OverflowError
            return math.exp(value) if phi == EXP else abs(value) ** 0.5
    raise AssertionError(node)


def with_signs(rng, depth):
    """An expression that may be above 0 whatever its elements are."""
    match rng.choice(["add", "mul", "square", "cube", "total", "exp", "root", "mark"]) if depth else "leaf":
        case "add":
            return add(with_signs(rng, depth - 1), with_signs(rng, depth - 1))
        case "mul":
            return mul(with_signs(rng, depth - 1), with_signs(rng, depth - 1))
        case "square":
            return power(with_signs(rng, depth - 1), 2)
        case "cube":
            return power(with_signs(rng, depth - 1), 3)
        case "total":
            return total(j, with_signs(rng, depth - 1))
        case "exp":
            return Apply(EXP, with_signs(rng, depth - 1))
        case "root":
            return Apply(ROOT, with_signs(rng, depth - 1))
        case "mark":
            return indicator(j, l * 1)
    return rng.choice(
        [B[j], C[i], Number(Fraction(2)), Number(Fraction(1, 3)), Number(Fraction(-1)), Number(Fraction(0))]
    )


class Statement:
    forward = ()


def test_what_is_said_to_be_above_0_is_whatever_its_elements_are():
    """And what is said to be no less is not below."""
    signs, rng = Signs(Statement(), Printer(()), {}), random.Random(3)
    counts = {"above": 0, "least": 0}
    for n in range(1500):
        node = with_signs(rng, 1 + n % 4)
        if any(isinstance(part, Apply) and part.activation == ROOT and not signs._above(part.argument, [])
               for part in parts(node)):  # fmt: skip
            continue
        try:
            values = [number_of(node, rng) for _ in range(20)]
        except OverflowError:
            continue
        picked = any(isinstance(part, Indicator) for part in parts(node))  # whether one is there is for Coq to decide
        if signs._above(node, []) and not picked:
            counts["above"] += 1
            assert all(value > 0 for value in values), node
        if signs._least(node, []):
            counts["least"] += 1
            assert all(value >= 0 for value in values), node
    assert min(counts.values()) > 100


@pytest.mark.parametrize(
    "node, above, least",
    [
        (Number(Fraction(0)), False, False), (Number(Fraction(-2)), False, False), (Number(Fraction(1, 3)), True, True),
        (B[j], False, False), (power(B[j], 2), False, True), (power(B[j], 3), False, False),
        (add(power(B[j], 2), 1), True, True), (add(power(B[j], 2), power(C[i], 2)), False, True),
        (add(B[j], 1), False, False), (add(Apply(EXP, B[j]), -1), False, False), (mul(2, Apply(EXP, B[j])), True, True),
        (mul(B[j], Apply(EXP, B[j])), False, False), (add(Apply(EXP, B[j]), power(B[j], 2)), True, True),
        (Apply(ROOT, add(power(B[j], 2), 1)), True, True), (Apply(ROOT, B[j]), False, False),
        (Apply(EXP, B[j], 1), False, False), (indicator(j, l * 1), False, True), (Apply(HAT, B[j]), False, False),
        (power(add(power(B[j], 2), 1), -1), True, True), (power(Apply(EXP, B[j]), 3), True, True),
        (total(j, power(B[j], 2)), False, True), (total(j, Apply(EXP, B[j])), True, True),
        (total(j, indicator(j, l * 1)), True, True), (total(j, mul(power(B[j], 2), indicator(j, l * 1))), False, True),
    ],
)  # fmt: skip
def test_a_sign_is_seen_where_every_part_has_one(node, above, least):
    signs = Signs(Statement(), Printer(()), {})
    assert (signs._above(node, []), signs._least(node, [])) == (above, least)


# ------------------------------------------------------------------------------------------------- orders and texts


def sums_of(node):
    return [node, *(part for child in children(node) for part in sums_of(child))] if isinstance(node, Expr) else []


@pytest.mark.parametrize("seed", range(2))
def test_with_its_sums_in_another_order_an_expression_is_worth_the_same(seed):
    """Whatever the other one is; of itself with other names and another order it takes that order."""
    rng = random.Random(seed)
    for n in range(40):
        node, other = (smoothly(drawn(rng, {i, j}, 1 + n % 3)) for _ in range(2))
        made = in_order_of(node, other, lambda term: term, lambda ref: (ref.array, ref.indices))
        for at in ({i: p, j: q} for p in range(2) for q in range(3)):
            assert worth(made, at) == worth(node, at), (node, other)


def test_a_number_has_no_order_and_an_indicator_is_a_factor():
    """sum over k, l with an indicator in it takes the order of the other with the same indicator, and a number none."""
    p, q, mark = C[k], C[i], indicator(k, l + 1)

    def seen(ref):
        return ref.array, ref.indices

    two = Index(AI, "m"), Index(AI, "n")
    node = mul(3, total((k, i), mul(p, power(q, 2))))
    other = mul(5, total(two, mul(C[two[1]], power(C[two[0]], 2))))
    assert in_order_of(node, other, lambda term: term, seen).factors[1].over == (i, k)
    assert in_order_of(Number(Fraction(2)), other, lambda term: term, seen) == Number(Fraction(2))
    marked = total((k, l), mul(mark, p, B[l]))
    assert in_order_of(marked, marked, lambda term: term, seen) == marked


def in_coq(node, at):
    """The value of its text."""
    arrays = {array: array for array in (A, B, C, E)}
    printer = Printer(arrays)
    env = dict(KNOWN)
    for axis, size in SIZES.items():
        env[printer.width(axis)] = size
    for (array, place), value in NUMBERS.items():
        env.setdefault(printer.array(array), {} if place else float(value))
        if place:
            env[printer.array(array)][place] = float(value)
    env = {name: table(value) if isinstance(value, dict) else value for name, value in env.items()}
    env["phi_hat"] = lambda u: float(worth_of_hat(u, 0))
    env["slope_hat"] = lambda u: float(worth_of_hat(u, 1))
    env |= {printer.index(index): place for index, place in at.items()}
    return Reader(printer.term(node)).made(env)


def worth_of_hat(u, order):
    return (
        HAT.slope_at(Fraction(u).limit_denominator(1000))
        if order
        else HAT.value_at(Fraction(u).limit_denominator(1000))
    )


def table(values, before=()):
    if before in values:
        return values[before]
    return lambda n: table(values, (*before, n))


@pytest.mark.parametrize("seed", range(3))
def test_a_text_in_coq_has_the_value_of_the_expression(seed):
    rng = random.Random(seed)
    for n in range(40):
        node = drawn(rng, {i, k, j}, 1 + n % 3)
        if any(isinstance(part, Extreme) and len(part.over) > 1 for part in sums_of(node)):
            continue
        if any(ref.array.symbol == "m" for ref in sums_of(node) if isinstance(ref, Ref)):
            continue
        for at in ({i: p, k: r, j: q} for p in range(2) for r in range(2) for q in range(3)):
            assert in_coq(node, at) == pytest.approx(float(worth(node, at)), rel=1e-9, abs=1e-9), node


@pytest.mark.parametrize("terms", [(), ((i, 1),), ((i, -1),), ((i, 2), (k, -3)), ((i, -2), (k, 1)), ((i, 3),)])
@pytest.mark.parametrize("constant", [-2, 0, 1])
def test_a_position_is_compared_without_what_is_subtracted(terms, constant):
    """As Coq has no numbers below 0 there: each side is a sum of what is above."""
    text = Printer(())._position(j, IndexForm(terms, constant))
    assert "-" not in text
    for at in ({i: p, k: r, j: q} for p in range(3) for r in range(3) for q in range(3)):
        found = Reader(f"kron {text}").made({**KNOWN, **{index.letter: place for index, place in at.items()}})
        assert found == (at[j] == sum(c * at[index] for index, c in terms) + constant)


@pytest.mark.parametrize("relation", [">", "<=", "=", "!="])
def test_a_decision_is_one_in_coq(relation):
    s, opposite = E[()], {">": "<=", "<=": ">", "=": "!=", "!=": "="}[relation]
    bound = Fraction(-1, 2)
    rows = [
        Branch("here", (Condition(s, relation, bound),), mul(-1, s)),
        Branch("there", (Condition(s, opposite, bound),), add(s, 1)),
    ]
    printer = Printer([E])
    made = Reader(printer.tree(decide(rows))).made
    for value in (-2.0, -0.5, 0.0, 1.0):
        here = rows[0].when[0].holds(Fraction(value))
        env = {**KNOWN, printer.array(E): value}
        assert made(env) == (-value if here else value + 1)
        assert Reader(printer.condition(rows[0].when[0])).made(env) is here
    assert Reader(printer.tree(Branch("none", (), None))).made({}) == 0


def test_without_an_axis_its_sums_are_0():
    over_both, alone = total((i, j), A[i, j]), total(j, B[j])
    node = add(over_both, alone, total(i, C[i]), E[()])
    assert without(AI, node) == add(alone, E[()]) and without(AJ, node) == add(total(i, C[i]), E[()])
    assert without(AI, total(j, add(B[j], total(i, A[i, j])))) == alone
    assert divisors(add(power(B[j], -1), mul(C[i], power(B[j], -2)), power(E[()], 2), power(add(C[i], 1), -1))) == [
        B[j]
    ]
    assert divisors(None) == [] and list(parts(mul(2, B[j]))) == [mul(2, B[j]), Number(Fraction(2)), B[j]]


@pytest.mark.parametrize("rows", [[[2]], [[1, 2], [3, 7]], [[0, 1, 0], [0, 0, 2], [5, 0, 1]], [[1, 0], [0, 1]]])
def test_two_matrices_are_inverse_to_each_other_where_their_product_is_1(rows):
    """And in no other case: not with one entry changed, nor transposed or with rows in another order."""
    matrix = sympy.Matrix(rows)
    left, right = ([[Fraction(int(x.p), int(x.q)) for x in row] for row in m.tolist()] for m in (matrix, matrix.inv()))
    assert _is_inverse(left, right) and _is_inverse(right, left)
    for n, m in product(range(len(rows)), repeat=2):
        wrong = [[x + (p == n and q == m) for q, x in enumerate(row)] for p, row in enumerate(right)]
        assert not _is_inverse(left, wrong)
    assert len(rows) == 1 or _is_inverse(left, right[::-1]) is False
    assert _is_inverse(left, left) is (matrix**2 == sympy.eye(len(rows)))
