"""Sums of products have one form: no name of an index, and no order of factors or of terms, changes it.

Each takes a fraction of a second, so that a fault in what the finder compares is seen by a test that is quick.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from fcsym.collapsing.polynomials import expanded
from fcsym.collapsing.quantities import Places, _canonical, _orders, terms_of
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import expand, replaced
from fcsym.language.expression import Array, Axis, Index, add, mul, number, power, total

J, K = Axis("n_1"), Axis("n_2")
A, B = (Array(name, 1, (J, J)) for name in "AB")
W, V = Array("W", 2, (K, J)), Array("V", 2, (K, J))
s, t, C = Array("s", 1, (J,)), Array("t", 1, (J,)), Array("c", None, ())
j, k, n, m, o = (Index(J, letter) for letter in "jknmo")
p, q = (Index(K, letter) for letter in "pq")

SUMS = {
    "two of each": ((j, k, p, q), mul(W[p, j], W[q, k])),
    "two of each, joined": ((j, k, p, q), mul(W[p, j], W[q, k], V[p, k], V[q, j])),
    "two pairs": ((j, k, n, m), mul(A[j, k], A[k, j], B[n, m], B[m, n])),
    "a ring": ((j, k, n), mul(A[j, k], A[k, n], A[n, j])),
    "a pair and a ring": ((j, k, n, m, o), mul(A[j, k], A[k, j], A[n, m], A[m, o], A[o, n])),
    "a path": ((j, k, n), mul(A[j, k], A[k, n], s[j])),
    "a star": ((j, k, n), mul(A[j, k], A[j, n], s[k], power(s[n], 2))),
    "a square": ((j, k), power(mul(A[j, k], s[k]), 2)),
}


def called(node, names):
    return replaced(node, lambda ref: ref.array[tuple(names[i] for i in ref.indices)])


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_is_the_same_whatever_its_indices_are_called(name):
    """All of them together are as many times the first of them: not two of them are taken for different sums."""
    over, body = SUMS[name]
    places = [[i for i in over if i.axis == axis] for axis in (J, K)]
    (one,) = expanded(total(over, body)).items()
    orders = [(*a, *b) for a in permutations(places[0]) for b in permutations(places[1])]
    nodes = [total(over, called(body, dict(zip([*places[0], *places[1]], own, strict=True)))) for own in orders]
    for node in nodes:
        assert list(expanded(node).items()) == [one]
    assert expanded(add(*nodes)) == {one[0]: len(orders) * one[1]}
    assert expanded(add(nodes[-1], mul(-1, nodes[0]))) == {}


def test_sums_that_differ_have_different_forms():
    forms = [expanded(total(*SUMS[name])) for name in SUMS]
    assert all(a != b for place, a in enumerate(forms) for b in forms[:place])
    turned = expanded(total((j, k), mul(A[j, k], B[k, j])))
    assert turned != expanded(total((j, k), mul(A[j, k], B[j, k])))


PRODUCTS = {
    "a path": ([A[j, k], A[k, n], A[n, m]], {k, n}, 1),
    "a path that is closed": ([W[p, j], A[j, k], W[q, k]], {j, k}, None),
    "two alike": ([W[p, j], W[q, j]], {j}, 2),
    "three alike": ([A[j, k], A[j, n], A[j, m]], {j}, 6),
    "a pair at one": ([A[j, k], A[k, n], s[k]], {k}, 1),
    "two with others beside them": ([A[j, k], A[j, n], s[k], t[n]], {j, k, n}, 1),
    "two of a kind": ([W[p, j], V[q, j], W[q, j]], {j}, 2),
    "one alone": ([A[j, k]], {k}, 1),
    "a ring": ([A[j, k], A[k, n], A[n, j]], {j, k, n}, None),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_quantity_is_the_same_whatever_order_its_factors_have(name):
    """And its indices are called; orders are tried of factors that nothing tells apart, and of no others."""
    refs, inside, count = PRODUCTS[name]
    places = Places(frozenset((J,)), {})
    first = _canonical(refs, inside, places)
    assert count is None or len(list(_orders(refs, inside))) == count
    bound = sorted(inside)
    for order in permutations(refs):
        assert _canonical(list(order), inside, places) == first
    for names in permutations(bound):
        own = [called(ref, {**{i: i for ref in refs for i in ref.indices}, **dict(zip(bound, names, strict=True))})
               for ref in refs]  # fmt: skip
        assert _canonical(own, inside, places) == first
    assert sorted(first.quantity.free) == sorted(i.axis for ref in refs for i in ref.indices if i not in inside)


@pytest.mark.parametrize(
    "node", [power(s[j], -1), mul(s[j], power(C[()], -1)), mul(A[j, k], power(B[j, k], -2))], ids=str
)
def test_a_quotient_is_no_term_of_a_step(node):
    """And a product of the same without it is one."""
    places = Places(frozenset((J,)), {})
    with pytest.raises(UnsupportedExpression, match="is no polynomial"):
        terms_of(expand(node), places, lambda array: True)
    (term,) = terms_of(expand(mul(number(3), s[j], power(C[()], 2))), places, lambda array: array == s)
    assert term.coefficient == 3 and [u.quantity.arrays for u in term.uses] == [(s,)] and len(term.data) == 2
