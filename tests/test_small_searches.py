"""Which patterns occur, and at which numbers a row is wrong, beside a step by hand in rational numbers.

Each takes a fraction of a second, so that a fault in any part of a search is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import exact
import numpy as np
import pytest
import z3
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.errors import SizeError
from fcsym.language.equation import Condition
from fcsym.language.expression import ZERO, add, mul
from fcsym.proof import joint as joints
from fcsym.proof import search
from fcsym.proof.pieces import _phi
from fcsym.proof.search import misnamed, on_integral, on_unit

HALF = Fraction(1, 2)
LEAKY = fcsym.leaky_relu(slope_at_kink="1/3")
CLIP = fcsym.piecewise_linear(
    "clip", [fcsym.Piece(-1, 0, -1), fcsym.Piece(1, 1), fcsym.Piece(None, 0, 1)], ["2", "1/2"]
)
KINKS = {"relu": fcsym.relu(), "leaky": LEAKY, "hat": HAT, "clip": CLIP}
AT = (*map(Fraction, (-3, -1, 0, 1, 2)), -HALF, HALF, 5 * HALF)
BY_HAND = {
    "relu": (lambda s: max(s, 0 * s), lambda s: Fraction(s > 0), (0,)),
    "leaky": (
        lambda s: max(s, s / 100),
        lambda s: Fraction(1) if s > 0 else Fraction(1, 3 if s == 0 else 100),
        (0,),
    ),
    "hat": (
        lambda s: -s if s <= 0 else min(s, Fraction(2)),
        lambda s: HALF if s in (0, 2) else Fraction(-1 if s < 0 else s < 2),
        (0, 2),
    ),
    "clip": (
        lambda s: max(min(s, Fraction(1)), Fraction(-1)),
        lambda s: {1: HALF, -1: Fraction(2)}.get(s, Fraction(abs(s) < 1)),
        (-1, 1),
    ),
}
"""Functions, their slopes and their kinks, as they are written down."""


def number(term, *put):
    """What z3 has when numbers are put in, as a fraction."""
    if isinstance(term, Fraction):
        return term
    value = z3.simplify(z3.substitute(term, *put))
    return Fraction(value.numerator_as_long(), value.denominator_as_long())


@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("name", KINKS)
def test_a_function_and_its_slope_are_these_on_every_piece_and_on_every_kink(name, derivative):
    s = z3.Real("s")
    made = _phi(KINKS[name], s, derivative)
    for at in AT:
        found = number(made, (s, z3.RatVal(at.numerator, at.denominator)))
        assert found == BY_HAND[name][derivative](at), at


WEIGHTS = {
    "on no kink": ([[[Fraction(2)]], [[Fraction(-1)]], [[HALF]]], [[Fraction(1)], [Fraction(3)], [Fraction(1, 4)]]),
    "on kinks": ([[[Fraction(-2)]], [[Fraction(3)]], [[HALF]]], [[Fraction(3)], [Fraction(2)], [Fraction(1)]]),
    "below": ([[[Fraction(-2)]], [[Fraction(1)]], [[HALF]]], [[Fraction(1)], [Fraction(-5)], [Fraction(0)]]),
}
"""Of 1-1-1-1 on 3/2, with biases and without: the units are at 0 and at 2 in the second one, the kinks of hat."""


def piece_of(name, s):
    """Which one a number is on, counting from 0."""
    return sum(s > kink for kink in BY_HAND[name][2])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given", WEIGHTS)
@pytest.mark.parametrize("name", KINKS)
def test_terms_of_a_step_are_the_step_at_numbers(name, given, bias, order):
    """On the pieces that the units are on, and what they are told is then so; on any others it is not."""
    network = Network.mlp([1, 1, 1, 1], KINKS[name], bias=bias)
    (w, b), x, eta, error = WEIGHTS[given], Fraction(3, 2), Fraction(1, 3), Fraction(-2, 3)
    phi, slope, _ = BY_HAND[name]
    nothing = [[Fraction(0)]] * 3
    s = exact.step((1, 1, 1, 1), w, [x], [0], eta, order, phi, slope, b if bias else nothing).s
    true = exact.step((1, 1, 1, 1), w, [x], [s[-1][0] - error], eta, order, phi, slope, b if bias else nothing)
    values = {"x": x, "e": error, "eta": eta}
    values |= {f"W{n}_0_0": rows[0][0] for n, rows in enumerate(w, 1)}
    values |= {f"b{n}_0": row[0] for n, row in enumerate(b, 1)}
    put = [(z3.Real(known), z3.RatVal(v.numerator, v.denominator)) for known, v in values.items()]
    on = tuple(piece_of(name, s[n][0]) for n in (0, 1))
    for pieces in product(range(len(KINKS[name].pieces)), repeat=2):
        terms = joints._Terms(network, pieces)
        weights = [terms.array(array) for array in network.parameters]
        new = terms.step(weights, [z3.Real("x")], [z3.Real("e")], z3.Real("eta"), order, pieces)
        facts = [z3.simplify(z3.substitute(fact, *put)) for fact in terms.facts]
        assert (all(map(z3.is_true, facts)) and not terms.contradiction) == (pieces == on)
        if pieces == on:
            found = [number(row[0] if isinstance(row, list) else row, *put) for (row,) in new]
            layers = zip(true.w, true.b, strict=True)
            assert found == [v for w, b in layers for v in ([w[0][0], b[0]] if bias else [w[0][0]])]


@pytest.mark.parametrize("name", KINKS)
def test_patterns_are_counted_in_their_order(name):
    """Each has a number of its own, of a network whose units have as many pieces as they do."""
    network = Network.mlp([1, 2, 1, 1], [KINKS[name], HAT])
    patterns = np.array(list(joints._patterns(network)))
    own = len(KINKS[name].pieces)
    assert len(patterns) == own**4 * 9
    found = joints._coded(network, patterns[..., 0], patterns[..., 1])
    assert sorted(found) == list(range(len(patterns)))


@pytest.mark.parametrize(("widths", "number"), [
    ([1, 6, 1], 4**6), ([1, 6, 5, 1], 4**11), ([1, 29, 1], 4**29), ([1, 15, 15, 1], None), ([1, 4000, 1], None),
])  # fmt: skip
def test_patterns_that_are_too_many_are_counted(widths, number):
    """Up to a million million million, of two pieces a unit before the step and after it."""
    with pytest.raises(SizeError) as refused:
        joints.joint(Network.mlp(widths))
    said = "more than 10^18" if number is None else str(number)
    assert f" has {said} joint patterns of {sum(widths[1:-1])} hidden units" in str(refused.value)


ASKED = {
    "impossible, as is seen at once": ([(False, None)], False),
    "impossible": ([(None, None), (False, None)], False),
    "possible": ([(None, None), (True, "numbers")], True),
    "possible, at no rational numbers": ([(None, None), (True, None)], None),
    "open": ([(None, None), (None, None)], None),
}


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("end", ASKED)
def test_the_easy_question_is_asked_first_and_the_hard_one_where_it_is_open(end, inputs, monkeypatch):
    """For the pieces of the step's own input: those of the pattern, or any where it is another one that is asked of."""
    answers, wanted = ASKED[end]
    asked = []

    def ask(network, order, inputs, pattern, trained, *, relaxed):
        asked.append((trained, relaxed))
        return answers[0 if relaxed else 1]

    monkeypatch.setattr(joints, "_asked", ask)
    found = joints._decided(Network.mlp([1, 1, 1]), "simultaneous", inputs, ((1, 0),))
    assert found == (wanted, "numbers" if wanted else None)
    every = [(1,)] if inputs == 1 else [(0,), (1,)]
    assert asked == [(pieces, n == 0) for pieces in (every[:1] if wanted else every) for n in range(len(answers))]


@pytest.mark.parametrize("inputs", [1, 2])
def test_numbers_that_z3_finds_have_the_pattern_that_it_was_asked_for(inputs, order, monkeypatch):
    """Where nothing is tried before; on the pieces of hat, by a step by hand, and of as many inputs as are asked of."""
    monkeypatch.setattr(joints, "_tried", lambda *_: ())
    made = joints.joint(Network.mlp([1, 1, 1], HAT), order, inputs)
    assert not made.unknown and len(made.reachable) + len(made.impossible) == 9
    for pattern, at in made.reachable.items():
        weights = [list(map(list, w)) for w in at.weights]
        true = exact.step((1, 1, 1), weights, at.x, at.target, at.eta, order, *BY_HAND["hat"][:2])
        on = [piece_of("hat", w[0][0][0] * at.other[0]) for w in (weights, true.w)]
        assert (tuple(on),) == pattern and at.eta > 0
        assert at.inputs == inputs and (inputs == 2 or at.other == at.x)
        assert ("x@ = " in str(at)) == (inputs == 2)


@pytest.mark.parametrize("name", ["relu", "hat"])
def test_what_arrives_from_above_may_be_any_number(name):
    """The one that the last layer passes down gives the step; with another one the layers below move by that."""
    network, (w, b), pieces = Network.mlp([1, 1, 1, 1], KINKS[name], bias=True), WEIGHTS["on no kink"], None
    x, error, one = Fraction(3, 2), Fraction(-2, 3), Fraction(1)
    phi, slope, _ = BY_HAND[name]
    s = exact.step((1, 1, 1, 1), w, [x], [0], one, "simultaneous", phi, slope, b).s
    pieces = tuple(piece_of(name, s[n][0]) for n in (0, 1))
    values = {"x": x, "e": error} | {f"W{n}_0_0": rows[0][0] for n, rows in enumerate(w, 1)}
    values |= {f"b{n}_0": row[0] for n, row in enumerate(b, 1)}
    for h in (w[2][0][0] * error, Fraction(5, 7)):
        put = [(z3.Real(known), z3.RatVal(*v.as_integer_ratio())) for known, v in (values | {"h": h}).items()]
        terms = joints._Terms(network, pieces)
        weights = [terms.array(array) for array in network.parameters]
        new = terms.step(weights, [z3.Real("x")], [z3.Real("e")], one, "simultaneous", pieces, [z3.Real("h")])
        found = [number(row[0] if isinstance(row, list) else row, *put) for (row,) in new]
        second = slope(s[1][0]) * h
        first = slope(s[0][0]) * w[1][0][0] * second
        moved = [first * x, first, second * phi(s[0][0]), second, error * phi(s[1][0]), error]
        old = [v for n in range(3) for v in (w[n][0][0], b[n][0])]
        assert found == [a - c for a, c in zip(old, moved, strict=True)]


@pytest.mark.parametrize("two", [Fraction(n, m) for n in (-2, 0, 1, 3) for m in (1, 2)])
def test_a_product_of_numbers_and_terms_is_their_product(two):
    a, b = z3.Reals("a b")
    put = [(a, z3.RealVal(5)), (b, z3.RatVal(-2, 3))]
    assert joints._product(a, b).sexpr() in ("(* a b)", "(* b a)")
    for one, value in ((a, Fraction(5)), (b, Fraction(-2, 3)), (Fraction(2), Fraction(2)), (Fraction(1), Fraction(1))):
        assert number(joints._product(one, two), *put) == number(joints._product(two, one), *put) == value * two
        assert not (two == 0 and isinstance(joints._product(one, two), z3.ExprRef))


def test_a_sum_of_numbers_and_terms_is_their_sum():
    """Numbers alone stay a number."""
    terms, (a, b) = joints._Terms(Network.mlp([1, 1, 1]), (0,)), z3.Reals("a b")
    put = [(a, z3.RealVal(5)), (b, z3.RatVal(-2, 3))]
    half = Fraction(1, 2)
    for parts, value in [
        ([a, half], 5 + half), ([half, a, b, half], 5 - Fraction(2, 3) + 1), ([a, b], 5 - Fraction(2, 3)),
        ([a, half, -half], 5), ([half, half], 1), ([], 0), ([b], -Fraction(2, 3)), ([-half, b], -half - Fraction(2, 3)),
    ]:  # fmt: skip
        found = terms._sum(parts)
        assert number(found, *put) == value and isinstance(found, Fraction) == (a not in parts and b not in parts)


@pytest.fixture
def few(monkeypatch):
    """Fewer numbers than are tried elsewhere: enough for the rows of one unit."""
    monkeypatch.setattr(search, "_TRIES", 60)


def rows_of(name, array, order="sequential"):
    """The derivation of 1-1-1, and the equation with its rows."""
    d = fcsym.derive(Network.mlp([1, 1, 1], KINKS.get(name, name)), order)
    return d, d[array], list(d[array].rhs)


@pytest.mark.parametrize("array", ["dv1", "p"])
@pytest.mark.parametrize("name", [*KINKS, "tanh"])
def test_numbers_of_a_unit_are_found_where_a_row_is_wrong_and_nowhere_else(name, array, few):
    """One more than a value, a value where there is none, and none where there is one: each at numbers that say so."""
    if (name, array) == ("tanh", "dv1"):
        return  # of which there is no table
    d, e, rows = rows_of(name, array)
    for row in rows:
        assert on_unit(d.network, e, row) is None
        for value in (ZERO, None) if row.value is None else (add(row.value, 1), None):
            found = on_unit(d.network, e, replace(row, value=value))
            if value is row.value:
                assert found is None
                continue
            point = found.point
            assert found.quantity == f"{e.name} [{row.name}]"
            assert set(point) == {*(("vc", "dv") if name == "tanh" else ("s", "ds")), *(["W'"] if array == "p" else [])}
            vc, dv = point.get("vc"), point.get("dv")
            if name != "tanh":
                phi = BY_HAND[name][0]
                vc = phi(point["s"])
                dv = phi(point["s"] + point["ds"]) - vc
            true = dv
            if array == "p":
                true = point["W'"] * dv / vc if vc else None if dv else Fraction(0)
            wrong = None if value is None else Fraction(0) if row.value is None else true + 1
            assert (found.derived, found.true) == (wrong, true)


@pytest.mark.parametrize("array", ["dv1", "p"])
@pytest.mark.parametrize("name", KINKS)
def test_numbers_of_a_unit_are_found_where_a_row_has_the_name_of_another_one(name, array, few):
    """On which the row holds, with the pieces that it says and those that the unit is on, counted from 1."""
    d, e, rows = rows_of(name, array)
    words = [piece.name for piece in KINKS[name].pieces]
    for row in rows:
        assert misnamed(d.network, e, row) is None
        for other in product(words, repeat=2):
            said = " -> ".join(other)
            if " at " in row.name or said == row.name:
                continue
            found = misnamed(d.network, e, replace(row, name=said))
            s, moved = found.point["s"], found.point["s"] + found.point["ds"]
            on = [words[piece_of(name, at)] for at in (s, moved)]
            assert " -> ".join(on) == row.name
            n = next(n for n in (0, 1) if on[n] != other[n])
            assert found.quantity == f"the piece {('before', 'after')[n]} in {said!r}"
            assert (found.derived, found.true) == (words.index(other[n]) + 1, words.index(on[n]) + 1)


@pytest.mark.parametrize("relation", [">", "<=", "=", "!="])
@pytest.mark.parametrize("name", KINKS)
def test_numbers_at_which_a_name_is_wrong_fulfil_the_conditions_of_the_row(name, relation):
    """Those on its pre-activation, on its value and on its change, before the step and after it."""
    d, e, rows = rows_of(name, "p")
    phi, last = BY_HAND[name][0], rows[0].name
    about = {c.subject.array.name: c.subject for row in rows for c in row.when}
    for subject, bound in product(about, (0, 1)):
        found = misnamed(d.network, e, replace(rows[0], when=(Condition(about[subject], relation, Fraction(bound)),)))
        if found is None:  # there are no such numbers
            continue
        s, after = found.point["s"], found.point["s"] + found.point["ds"]
        value = {"s1": s, "s1_new": after, "vc": phi(s), "dv1": phi(after) - phi(s)}[subject]
        assert {">": value > bound, "<=": value <= bound, "=": value == bound, "!=": value != bound}[relation]
        words = [piece.name for piece in KINKS[name].pieces]
        assert " -> ".join(words[piece_of(name, at)] for at in (s, after)) != last


@pytest.mark.parametrize("name", KINKS)
def test_numbers_of_a_unit_are_found_where_p_is_no_integral(name, order):
    """Where its slope in the weight is twice what it should be, or where it is 1 at the weight of the start."""
    d, e, rows = rows_of(name, "P", order)
    words = [piece.name for piece in KINKS[name].pieces]
    phi, slope, _ = BY_HAND[name]
    for row in rows:
        if " at " in row.name or row.value in (None, ZERO):
            continue
        before, after = pieces = tuple(map(words.index, row.name.split(" -> ")))
        assert on_integral(d.network, order, e, row, pieces) is None
        found = on_integral(d.network, order, e, replace(row, value=mul(2, row.value)), pieces)
        if not any(slope(Fraction(n, 2)) for n in range(-8, 9) if piece_of(name, Fraction(n, 2)) == before):
            assert found is None and before != after  # from there no unit moves
            continue
        at = found.point
        vc = phi(at["s"])
        through = at["W'"] if order == "sequential" else at["W"]
        assert at["W"] == at["W'"] + at["eta"] * at["delta"] * vc and at["vc"] == vc and at["g"] == slope(at["s"])
        assert at["ds"] == -at["eta"] * at["g"] * through * at["delta"] * at["a"]
        assert (piece_of(name, at["s"]), piece_of(name, at["s"] + at["ds"])) == (before, after)
        dv = phi(at["s"] + at["ds"]) - vc
        true = -at["W'"] * dv / vc / (at["eta"] * at["delta"] * vc)
        assert found.quantity == f"dP/dw' [{row.name}]" and (found.derived, found.true) == (2 * true, true)
        found = on_integral(d.network, order, e, replace(row, value=add(row.value, 1)), pieces)
        assert found.quantity == f"P [{row.name}] at w' = w" and (found.derived, found.true) == (1, 0)
        assert found.point["W'"] == found.point["W"]
