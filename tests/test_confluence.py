"""What an expression is, and not how it is written, decides its canonical form."""

from __future__ import annotations

import pytest
from conftest import LONG

from fcsym.language import algebra
from fcsym.language.algebra import equal, expand
from fcsym.language.expression import Array, Axis, Index, indicator, mul, total
from reliability.chapters.confluence import LONG as EVERY
from reliability.chapters.confluence import chapter, trial
from reliability.frame import Wrong

N, M = Axis("n"), Axis("m")
i, j, k = (Index(N, letter) for letter in "ijk")
t, u, v = (Index(M, letter) for letter in "tuv")


def test_forms_are_confluent():
    *_, table = chapter(EVERY if LONG else 800, seed=0)
    assert table.failures == [] and set(table.rows) == {"none", "one", "both"}


def test_an_indicator_is_solved_for_whatever_can_be():
    """[u = -v - t] [t = u] and [v = -u - t] [u = t] say one thing, v = -2t, whatever stands on the left."""
    b = Array("b", None, (N,))
    first = total((t, u, v), mul(indicator(u, -1 * v - t), indicator(t, u), b[i]))
    second = total((t, u, v), mul(indicator(v, -1 * u - t), indicator(u, t), b[i]))
    assert equal(first, second)


def test_a_matrix_over_an_axis_of_length_one_twice():
    q = Array("Q", None, (N, N))
    ones = frozenset({N})
    assert equal(total((i, j), q[i, j]), q[j, k], ones=ones)
    assert not equal(q[i, j], q[i, j] * q[j, i], ones=ones)
    assert len(expand(q[i, j] + q[j, i], ones=ones)) == 1


def test_an_indicator_of_the_only_position():
    """Over an axis of length one the position is 0: 2t = 0 says t = 0, 2t = 1 says nothing that can be."""
    ones, b = frozenset({N}), Array("b", None, (M,))
    assert equal(indicator(i, 2 * t), indicator(t, 0), ones=ones)
    assert not expand(indicator(i, 2 * t - 1) * b[t], ones=ones)
    # 2t = 3u is 3u = 2t
    assert equal(indicator(i, 2 * t - 3 * u), indicator(i, 3 * u - 2 * t), ones=ones)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("permutations", lambda group: [tuple(group)]),  # symmetric indices keep the order of their names
        ("_normal", lambda node: node),  # [t = u] is not [u = t]
        ("_apart", lambda over: lambda term: term),  # the indices of a sum in a sum are those outside
        ("_identity", lambda factor: ("", factor.indices)),  # factors are told apart by their indices alone
    ],
)
def test_a_fault_is_found(monkeypatch, name, fault):
    monkeypatch.setattr(algebra, name, fault)

    with pytest.raises((Wrong, TypeError, AssertionError)):
        for number in range(400):
            trial(0, number)
