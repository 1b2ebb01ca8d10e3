"""Sums with indicators as people write them: with shifted elements, which say the same where outside counts 0."""

from __future__ import annotations

import re
from itertools import product
from math import prod
from zlib import crc32

import pytest
from conftest import few

from fcsym import RNN, AvgPool1d, AvgPool2d, Conv1d, Conv2d, Dense, Flatten, Linear, MaxPool1d, Network, derive
from fcsym.language.equation import Cases
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    Written,
    indicator,
    mul,
    total,
)  # fmt: skip
from fcsym.language.shifts import shifted, written

NETWORKS = {
    "two convolutions": ([Conv1d(2, 3, 2), "relu", Conv1d(3, 2, 3), Flatten(), Dense(1)], (2, 7)),
    "strides": ([Conv1d(1, 2, 1), Conv1d(2, 1, 3, 2, 1, 2), MaxPool1d(3, 2, 1), Flatten(), Dense(1)], (1, 9)),
    "images": ([Conv2d(1, 2, 2, padding=1), Conv2d(2, 1, 2, 2), AvgPool2d(2, 1), Flatten(), Dense(1)], (1, 4, 5)),
    "groups": ([Conv1d(2, 2, 1), Conv1d(2, 4, 2, groups=2), AvgPool1d(2), Flatten(), Dense(1)], (2, 5)),
    "a recurrence": ([RNN(1, 2), Linear(2, 1)], (3, 1)),
}  # fmt: skip


class Outside(dict):
    """Elements by their places: whole numbers at random, and 0 outside of the array."""

    def at(self, array, place, sizes):
        lengths = [sizes[axis] for axis in array.axes]
        if not all(0 <= n < length for n, length in zip(place, lengths, strict=True)):
            return 0
        return self.setdefault((array.name, place), crc32(repr((array.name, place)).encode()) % 17 - 8)


def value(node, binding, sizes, elements, arrays):
    """What an expression is at a place; of one that is written, by its text."""

    def of(part, more=binding):
        return value(part, more, sizes, elements, arrays)

    match node:
        case Number(number):
            return number
        case Ref(array, indices):
            return elements.at(array, tuple(binding[i.letter] for i in indices), sizes)
        case Written(text=text):
            name, places = re.fullmatch(r"(\w+)\[(.*)\]", text).groups()
            forms = [re.sub(r"(\d)([a-z])", r"\1*\2", form) for form in places.split(", ")]
            return elements.at(arrays[name], tuple(eval(form, {}, dict(binding)) for form in forms), sizes)
        case Indicator(index, form):
            return int(binding[index.letter] == form.at({i: binding[i.letter] for i, _ in form.terms}))
        case Add(parts):
            return sum(map(of, parts))
        case Mul(parts):
            return prod(map(of, parts))
        case Pow(base, exponent):
            return of(base) ** exponent
        case Apply(_, argument, derivative):  # any function will do
            return of(argument) ** 2 + derivative
        case Total(over, body) | Extreme(_, over, body):
            ranges = [range(sizes[i.axis]) for i in over]
            every = [
                of(body, binding | dict(zip([i.letter for i in over], at, strict=True))) for at in product(*ranges)
            ]
            return sum(every) if isinstance(node, Total) else max(every)
    raise TypeError(node)


def sides():
    for layers, shape in NETWORKS.values():
        d = derive(Network(layers, input=shape))
        for e in d.equations:
            if not isinstance(e.rhs, Cases) and written(e.rhs) is not e.rhs:
                yield d.network.sizes, e


@pytest.mark.parametrize(("sizes", "equation"), few(sides(), 12), ids=lambda given: getattr(given, "name", ""))
def test_what_is_written_is_what_is_meant(sizes, equation):
    arrays, elements = {a.name: a for a in equation.operands}, Outside()
    free = equation.lhs.indices
    for place in list(product(*(range(sizes[i.axis]) for i in free)))[:: 3 if len(free) > 2 else 1]:
        binding = dict(zip([i.letter for i in free], place, strict=True))
        meant = value(equation.rhs, binding, sizes, elements, arrays)
        assert value(written(equation.rhs), binding, sizes, elements, arrays) == meant


def test_a_convolution_is_printed_as_people_write_it():
    d = derive(Network(*NETWORKS["images"][:1], input=(1, 4, 5)))
    assert str(d["s1"]) == "s1[o, r, c] = sum(e, k, l: W1[o, e, k, l]*x[e, r + k - 1, c + l - 1]) + b1[o]"
    assert r"\sum_{e,k,l} W^{(1)}_{oekl} \, x_{e,r + k - 1,c + l - 1}" in d["s1"].latex()
    assert str(d["dE_dW2"]) == "dE_dW2[o, c, k, l] = sum(r, w: delta2[o, r, w]*s1[c, 2r + k, 2w + l])"
    assert str(d["v3"]) == "v3[o, r, c] = (1/4)*sum(k, l: s2[o, r + k, c + l])"
    assert str(d["delta1"]) == "delta1[o, r, c] = sum(e, h, w: W2[e, o, r - 2h, c - 2w]*delta2[e, h, w])"
    one = derive(Network(*NETWORKS["two convolutions"][:1], input=(2, 7)))
    assert str(one["delta1"]) == "delta1[o, t] = g1[o, t]*sum(c, k: delta2[c, t - k]*W2[c, o, k])"
    assert any("outside of its array is 0" in said for said in one.assumptions)
    assert not any("outside" in said for said in derive(Network.mlp([2, 2, 1])).assumptions)


def test_an_indicator_that_no_element_stands_for_stays():
    t, u, k = (Index(Axis(name), letter) for name, letter in (("T", "t"), ("U", "u"), ("K", "k")))
    x, w, g = Array("x", None, (u.axis,)), Array("w", None, (k.axis,)), Array("g", None, (t.axis,))
    mark = indicator(u, 2 * t + k)
    assert shifted(total(u, mark)) is None  # a mask: 1 where the form lies on the axis
    assert shifted(total(u, mul(mark, x[u] ** -1))) is None  # outside of the axis it would be 1/0
    assert shifted(total(u, mul(mark, x[u] + 1))) is None  # and here 1 in the place of 0
    assert shifted(total((t, u), mul(indicator(k, 2 * t + 2 * u), g[t]))) is None  # no whole form
    assert str(written(total((t, k), mul(mark, g[t], w[k])))) == "sum(t: g[t]*w[u - 2t])"
    assert repr(total(u, mul(mark, x[u]))) == "sum(u: [u = 2t + k]*x[u])"  # what is computed with stays as it is
    assert str(written(total(u, mul(mark, x[u], x[u] + 1)))) == "x[2t + k]*(x[2t + k] + 1)"
