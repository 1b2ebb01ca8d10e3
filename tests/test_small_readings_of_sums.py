"""A sum whose indicators are done without is the same sum, at every place of its result; and products worth a panel."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from fcsym.kernel import neutral as n
from fcsym.kernel.targets import c_windows
from fcsym.kernel.targets.c_windows import Grouped, Windows
from fcsym.kernel.windows import Operand, Reading, _ways, free_in, reading
from fcsym.language.expression import Axis, Index, indicator

SIZES = {Axis("O"): 2, Axis("T"): 3, Axis("K"): 2, Axis("U"): 5, Axis("M"): 4}
O, T, K, U, M = (Index(axis, axis.name.lower()) for axis in SIZES)  # noqa: E741
W, V, DELTA, Q = n.Load("W", (O, K)), n.Load("V", (U,)), n.Load("D", (O, T)), n.Load("Q", (M, T))
SUMS = {
    "an axis read at a form": ((K, U), [indicator(U, 2 * T + K - 1)], [W, V]),
    "terms that have places": ((O, T, K), [indicator(U, 2 * T + K - 1)], [W, DELTA]),
    "a slope": ((T, U), [indicator(U, 2 * T + K - 1)], [DELTA, V]),
    "an indicator alone": ((K,), [indicator(T, U - K)], []),
    "an indicator of what is free": ((), [indicator(U, T + K)], [V]),
    "two": ((K, U, M), [indicator(U, T + K), indicator(M, U - 1)], [W, V, Q]),
    "two for one axis": ((K, U), [indicator(U, T + K), indicator(U, M)], [V]),
    "two that have places": ((T, K), [indicator(U, T + K), indicator(M, T)], [DELTA, W]),
    "what is counted": ((T, K, U), [indicator(U, T + K)], [W]),
    "an axis backwards": ((K, U), [indicator(U, 3 - T - K)], [W, V]),
}


def at_place(load, at, arrays):
    return arrays[load.name][tuple(at[i] for i in load.indices)]


def meant(over, marks, factors, at, arrays):
    """The sum as it was written."""
    result = 0
    for places in product(*(range(SIZES[i.axis]) for i in over)):
        here = {**at, **dict(zip(over, places, strict=True))}
        if all(mark.form.at(here) == here[mark.index] for mark in marks):
            result += np.prod([at_place(load, here, arrays) for load in factors])
    return result


def value_of(made, at, arrays):
    """The sum without its indicators: what an operand has beyond its axis is 0, and terms have their places."""
    result = 0
    for places in product(*(range(SIZES[i.axis]) for i in made.over)):
        here = {**at, **dict(zip(made.over, places, strict=True))}
        if any(place.form.at(here) != here[place.index] for place in made.places):
            continue
        if any(mark.form.at(here) != here[mark.index] for mark in made.masks):
            continue
        if any(not 0 <= span.form.at(here) < SIZES[span.axis] for span in made.spans):
            continue
        term = 1
        for operand in made.operands:
            forms = dict(operand.at)
            there = [(forms[i].at(here) if i in forms else here[i]) for i in operand.axes]
            inside = all(0 <= k < SIZES[i.axis] for k, i in zip(there, operand.axes, strict=True))
            term *= arrays[operand.factor.name][tuple(there)] if inside else 0
        result += term
    return result


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_without_its_indicators_is_the_same_sum(name):
    """The one that is taken, and after every way to do without the first or the second of them."""
    over, marks, factors = SUMS[name]
    rng = np.random.default_rng(1)
    arrays = {load.name: rng.integers(1, 9, [SIZES[i.axis] for i in load.indices]) for load in factors}
    start = Reading(tuple(Operand(load, free_in(load)) for load in factors), over)
    made = [reading(over, marks, factors, SIZES)]
    for one in marks:
        left = [other for other in marks if other is not one]
        made += [Reading(way.operands, way.over, way.spans, tuple(left), way.places) for way in _ways(start, one, left)]
    assert all(place.index not in one.over for one in made for place in one.places)  # it is one of the result
    assert len(made) > 1 or name in ("an indicator of what is free", "two for one axis")
    free = sorted({i for part in (*marks, *factors) for i in free_in(part)} - set(over))
    for places in product(*(range(SIZES[i.axis]) for i in free)):
        at = dict(zip(free, places, strict=True))
        true = meant(over, marks, factors, at, arrays)
        for one in made:
            assert value_of(one, at, arrays) == true, (one, at)


def test_a_convolution_and_what_goes_back_through_it_need_no_array_of_0_and_1():
    for name in ("an axis read at a form", "terms that have places", "a slope", "an indicator alone", "two"):
        assert not reading(*SUMS[name], SIZES).masks, name


@pytest.mark.parametrize("rows, over, columns, worth", [
    (64, 64, 64, True), (2**11, 2**11, 2**11, True), (2**10, 2**12, 2**11, False), (2**10, 2**11, 2**12, False),
    (8, 2**20, 16, False),
])  # fmt: skip
def test_a_panel_has_no_more_numbers_than_is_said(rows, over, columns, worth):
    """As many as the sum has terms, for every column."""
    sizes = {Axis("R"): rows, Axis("S"): over, Axis("C"): columns}
    r, s, c = (Index(axis, axis.name.lower()) for axis in sizes)
    panel = Operand(n.Load("B", (s, c)), (s, c))
    made = Grouped(n.Load("A", (r, s)), panel, (r,), (c,), (s,), (), (), ())
    windows = Windows(SimpleNamespace(module=SimpleNamespace(sizes=sizes), lanes=False))
    assert windows._worth(made) is worth is (over * columns <= c_windows._LARGEST)
