"""Polynomials in another form: with what all terms have in front, and with the factors in the order of people."""

from __future__ import annotations

from itertools import permutations

import pytest

from fcsym.language.algebra import common_factor, equal, expand, in_order
from fcsym.language.expression import ONE, ZERO, Array, Axis, Index, Mul, Role, add, indicator, mul, power, total

I, O, T = Axis("I"), Axis("A"), Axis("T")  # noqa: E741
i, o, t = Index(I, "i"), Index(O, "o"), Index(T, "t")
u, v, w = (Array(name, None, ())[()] for name in "uvw")
x, y = (Array(name, None, (I,))[i] for name in "xy")
SUMS = {
    "of powers": (add(mul(2, power(u, 3), v), mul(4, power(u, 2), power(v, 2))), mul(2, power(u, 2), v)),
    "of one term": (mul(3, power(u, 2), power(v, -1)), mul(3, power(u, 2))),
    "of nothing": (add(u, mul(-2, v)), ONE),
    "with sums": (add(mul(u, w, total(i, mul(x, y))), mul(-3, u, total(i, x))), u),
    "in a sum alone": (add(total(i, mul(x, x)), total(i, mul(x, y))), ONE),
    "beside a quotient": (add(mul(u, power(v, -1)), mul(u, w)), u),
    "with an index that is free": (add(mul(x, y), mul(x, u)), x),
    "of three": (add(mul(u, v, w), mul(power(u, 2), v), mul(5, u, v, power(w, 2))), mul(u, v)),
}  # fmt: skip


@pytest.mark.parametrize("name", SUMS)
def test_what_all_terms_have_outside_their_sums_stands_in_front(name):
    """Once, and what is left has it no more: the product of both is what it was."""
    node, wanted = SUMS[name]
    polynomial = expand(node)
    factor, rest = common_factor(polynomial)
    assert expand(mul(factor, rest)) == polynomial
    number = next(iter(expand(factor).values())) / next(iter(expand(wanted).values()))
    assert equal(factor, mul(number, wanted))


def test_nothing_has_no_common_factor():
    assert common_factor({}) == (ONE, ZERO)


@pytest.mark.parametrize("constant", [0, 2, 4, -2])
def test_where_an_axis_has_one_position_an_indicator_says_the_same_with_its_form_turned_round(constant):
    """That f is 0, and that -f is 0: wherever the form has its constant, and as no other form says."""
    one = frozenset({O})
    turned = mul(indicator(o, constant - 2 * t), x)
    for other in range(-12, 13, 2):
        plain = mul(indicator(o, 2 * t - other), x)
        assert equal(plain, turned, ones=one) is equal(turned, plain, ones=one) is (other == constant)


def test_factors_stand_in_the_order_of_people_whatever_order_they_come_in():
    """eta, gate, weight, error, and then the rest."""
    roles = (Role.HYPER_PARAMETER, Role.GATE, Role.PARAMETER, Role.ADJOINT, Role.OTHER)
    factors = [Array(f"f{k}", None, (), role=role)[()] for k, role in enumerate(roles)]
    for given in permutations(factors):
        made = in_order(*given)
        assert isinstance(made, Mul) and list(made.factors) == factors
