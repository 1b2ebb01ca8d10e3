"""Values to all digits where terms cancel: with more and more, until two results agree that are no remainder."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest

from fcsym.language import smooth_functions
from fcsym.language.formulas import NUMBER, S, evaluate
from fcsym.language.smooth_functions import _digits


def less(power):
    """10^power + s - 10^power, which is s only with more digits than that."""
    return "add", ("add", (NUMBER, 10**power, 1), S), (NUMBER, -(10**power), 1)


@pytest.mark.parametrize("powers", [(60,), (60, 100), (100,), (60, 100, 170), (30,)])
@pytest.mark.parametrize("beside", [Fraction(1), Fraction(-7, 3)])
def test_two_results_that_differ_are_not_taken_for_one(powers, beside):
    """Some terms are there with 80 digits, others with 160 or more."""
    if powers == (100,):
        beside = Fraction(0)  # beside what stays, what is not there with 80 digits cannot be told
    form = "add", *map(less, powers), (NUMBER, beside.numerator, beside.denominator)
    at = mpmath.mpf("1.5")
    true = len(powers) * Fraction(3, 2) + beside
    assert mpmath.almosteq(_digits(form, at), mpmath.mpf(true.numerator) / true.denominator, 1e-14)


@pytest.mark.parametrize("size", [25, 30, 40])
def test_two_results_that_agree_in_a_remainder_are_not_taken(size):
    """What is small beside the digits of what has cancelled may be all that is seen of it."""
    form = "add", less(100), (NUMBER, 1, 10**size)
    assert mpmath.almosteq(_digits(form, mpmath.mpf("0.25")), mpmath.mpf("0.25"), 1e-14)


@pytest.mark.parametrize("form, true", [
    (("exp", S), "20.085536923187668"), (("pow", S, (NUMBER, -9, 1)), "5.080526342529086e-05"),
    (("exp", ("mul", (NUMBER, -30, 1), S)), "8.194012623990515e-40"), (("add", S, (NUMBER, -3, 1)), "0"),
])  # fmt: skip
def test_what_is_plain_or_small_or_nothing_is_what_it_is(form, true):
    with mpmath.workdps(40):
        found = _digits(form, mpmath.mpf(3))
    assert mpmath.almosteq(found, mpmath.mpf(true), 1e-14, 1e-60)


def test_a_value_on_which_the_first_two_results_agree_is_not_computed_again(monkeypatch):
    asked = []
    monkeypatch.setattr(smooth_functions, "evaluate", lambda *given: asked.append(mpmath.mp.dps) or evaluate(*given))
    assert mpmath.almosteq(_digits(("exp", S), mpmath.mpf(2)), mpmath.exp(2))
    assert len(asked) == 2 and asked[1] == 2 * asked[0]
