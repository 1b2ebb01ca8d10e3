"""Units whose pieces have slopes and intercepts of every kind, in closed forms, proofs and integrals.

Most functions of pieces have only the slopes 0 and 1 and no intercepts, where a wrong one is not seen.
"""

from __future__ import annotations

import random
from fractions import Fraction

import exact
import pytest
import sympy

import fcsym
from fcsym import Network

PHI = fcsym.piecewise_linear(
    "bent",
    [
        fcsym.Piece(-1, "1/2", -1),
        fcsym.Piece(1, 2, "1/2"),
        fcsym.Piece(3, "-1/3", "17/6"),
        fcsym.Piece(None, 3, "-43/6"),
    ],
)


def phi(s):
    """By its pieces, a kink to the one below."""
    if s <= -1:
        return s / 2 - 1
    if s <= 1:
        return 2 * s + Fraction(1, 2)
    return -s / 3 + Fraction(17, 6) if s <= 3 else 3 * s - Fraction(43, 6)


def slope(s):
    return next(
        (m for end, m in [(-1, Fraction(1, 2)), (1, Fraction(2)), (3, Fraction(-1, 3))] if s <= end), Fraction(3)
    )


def piece(s):
    return sum(s > kink for kink in (-1, 1, 3))


def small(source):
    return Fraction(source.randint(-20, 20), source.randint(1, 5))


@pytest.mark.parametrize("order", ["sequential", "simultaneous"])
def test_closed_forms_of_every_case_are_the_step_by_hand(order):
    d = fcsym.derive(Network.mlp([1, 1, 1], activation=PHI), order=order)
    names, source, seen = [piece.name for piece in PHI.pieces], random.Random(0), set()
    for _ in range(20000):
        w1, w2, x, target = (small(source) for _ in range(4))
        eta = Fraction(source.randint(1, 9), 10)
        true = exact.step((1, 1, 1), [[[w1]], [[w2]]], [x], [target], eta, order, phi, slope)
        case = piece(true.s[0][0]), piece(true.s_new[0][0])
        before, after = true.v[1][0], true.v_new[1][0]
        if case in seen or not before:
            continue  # of v^c = 0 there is no p
        seen.add(case)
        known = {"W1_1_1": w1, "W2_1_1": w2, "x_1": x, "y_g": target, "eta": eta}
        label = " -> ".join(names[n] for n in case)
        for name, wanted in (("dv1", after - before), ("p", true.w[1][0][0] * (after - before) / before)):
            found = d.expr(name, 1, case=label)
            numbers = {symbol: sympy.Rational(str(known[symbol.name])) for symbol in found.free_symbols}
            assert Fraction(str(found.subs(numbers))) == wanted, (name, label)
        if len(seen) == 16:
            return
    raise AssertionError(f"only {len(seen)} of 16 cases were met")


@pytest.mark.parametrize("order", ["sequential", "simultaneous"])
def test_what_is_derived_of_them_is_proved_with_its_integral(order):
    d = fcsym.derive(Network.mlp([1, 1, 1], activation=PHI), order=order)
    assert "P" in d.by_name and d.proof.holds
