from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcsym.collapsing.polynomials import expanded
from fcsym.deriving.differentiate import occurrences
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import as_expr, common_factor, equal, expand, inline, linear_part, rename
from fcsym.language.expression import Array, Index, add, indicator, mul, number, power, total
from fcsym.language.instance import Instance, exact_field
from fcsym.networks.symbols import units

N, M = units(1), units(0)
A, B = Array("A", None, (N, M)), Array("B", None, (M,))
C = Array("C", None, (N,))
i, j, k, m = Index(N, "i"), Index(M, "j"), Index(M, "k"), Index(N, "m")
SIZES = {N: 2, M: 3}


def value(node, binding, seed=0):
    """An expression at fixed rationals: the independent meaning of everything below."""

    def leaf(array, position):
        text = f"{array.name}{position}{seed}"
        return Fraction(sum(map(ord, text)) * 7 % 23 - 11, 1 + len(text) % 3)

    return Instance({}, SIZES, leaf, exact_field()).value(node, binding)


def test_bound_names_do_not_matter():
    assert equal(total(j, A[i, j] * B[j]), total(k, B[k] * A[i, k]))
    assert not equal(total(j, A[i, j] * B[j]), total(j, A[i, j] * B[j] * B[j]))
    assert not equal(A[i, j] * B[j], A[i, j] * B[k])


def test_a_square_of_a_sum_has_two_indices():
    square = power(total(j, B[j]), 2)
    assert equal(square, total((j, k), B[j] * B[k]))
    assert not equal(square, total(j, B[j] * B[j]))


def test_symmetric_terms_have_one_form():
    left = total((j, k), A[i, j] * A[m, k] * B[k])
    right = total((k, j), A[i, k] * A[m, j] * B[j])
    assert len(expand(left - right)) == 0


def test_axes_of_length_one_merge_their_indices():
    one = frozenset({M})
    assert equal(total(j, B[j]) * B[k], B[k] * B[k], ones=one)
    assert not equal(total(j, B[j]) * B[k], B[k] * B[k])


def test_inlining_does_not_capture():
    # C[i] = sum_j A[i, j] B[j] put into a sum that already runs over j
    node = total(j, B[j] * C[i])
    opened = inline(node, {C: ((i,), total(j, A[i, j] * B[j]))})
    assert value(opened, {i: 1}) == sum(value(B[j], {j: n}) for n in range(3)) * value(total(j, A[i, j] * B[j]), {i: 1})


def test_renaming_gives_way_to_a_new_name():
    node = total(j, A[i, j] * B[k])
    renamed = rename(node, {k: j})
    assert value(renamed, {i: 0, j: 2}) == value(node, {i: 0, k: 2})


def test_quotients_of_single_elements_cancel():
    assert equal(A[i, j] / B[j] * B[j], A[i, j])
    with pytest.raises(UnsupportedExpression):
        expand(A[i, j] / (B[j] + 1))


expressions = st.recursive(
    st.sampled_from([A[i, j], B[j], C[i], number(2), number(Fraction(-1, 3))]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: add(*parts)),
        st.lists(inner, min_size=2, max_size=2).map(lambda parts: mul(*parts)),
        inner.map(lambda node: power(node, 2)),
        inner.map(lambda node: total(j, node)),
    ),
    max_leaves=5,
)


@given(expressions)
def test_expansion_keeps_the_value(node):
    assert value(as_expr(expand(node)), {i: 1, j: 2}) == value(node, {i: 1, j: 2})


@pytest.mark.parametrize("form", [expand, expanded])
@given(node=expressions, other=expressions)
def test_there_is_one_form_for_each_value(form, node, other):
    """However its terms are written; what another value has, has another form."""
    same = add(mul(other, node), mul(node, number(-1)))
    again = mul(add(other, number(-1)), node)
    assert form(same) == form(again)
    at = {i: 1, j: 2}
    if form(node) == form(other):
        assert all(value(node, at, seed) == value(other, at, seed) for seed in range(3))
    else:
        assert any(value(node, at, seed) != value(other, at, seed) for seed in range(3))


def test_what_is_1_at_one_place_is_put_in_before_a_form_is_found():
    """In a factor, and alone; the two canonical forms differ in names alone."""
    chosen = indicator(j, k)
    for node, plain in ((total(j, chosen * A[i, j]), A[i, k]), (total(j, B[j] * chosen) - B[k], number(0))):
        for form in (expand, expanded):
            assert form(node) == form(plain)


@given(expressions)
def test_common_factor_keeps_the_value(node):
    factor, rest = common_factor(expand(node))
    assert value(factor, {i: 1, j: 2}) * value(rest, {i: 1, j: 2}) == (value(node, {i: 1, j: 2}) if expand(node) else 0)


@given(expressions)
def test_the_linear_part_is_what_differentiation_gives(node):
    """Two definitions of the derivative that share no code: substitution, and the product rule."""
    direction = Array("T", None, B.axes)
    by_rule = number(0)
    for ref, slope, bound in occurrences(node):
        if ref.array == B:
            by_rule = by_rule + total(bound, slope * direction[ref.indices])
    assert equal(linear_part(node, B, direction), by_rule)
