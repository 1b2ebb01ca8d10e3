"""Which patterns occur, and at which numbers a row is wrong, beside a step by hand in rational numbers.

Each takes a fraction of a second, so that a fault in any part of a search is seen by a test that is quick.
"""

from __future__ import annotations

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
from fcsym.proof import joint as joints
from fcsym.proof.pieces import _phi

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
