"""Sums with indicators as they are written: the element at a shifted place is the one that is meant, and 0 outside."""

from __future__ import annotations

from itertools import product

from test_shifts import Outside, value

from fcsym.language.activation import smooth
from fcsym.language.expression import (
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Role,
    Total,
    Written,
    add,
    indicator,
    indicators_in,
    mul,
    power,
    total,
)
from fcsym.language.shifts import _placed, written

AXES = {"t": Axis("T"), "u": Axis("U"), "k": Axis("K"), "r": Axis("R"), "e": Axis("E")}
SIZES = {AXES["t"]: 3, AXES["u"]: 4, AXES["k"]: 2, AXES["r"]: 2, AXES["e"]: 5}
t, u, k, r, e = (Index(axis, letter) for letter, axis in AXES.items())
X, W, G, V = (
    Array("x", None, (u.axis,)), Array("w", None, (k.axis,), role=Role.PARAMETER), Array("g", None, (t.axis,)),
    Array("v", None, (e.axis, r.axis)),
)  # fmt: skip
NODES = (
    total((k, u), mul(indicator(u, 2 * t + k - 1), W[k], X[u])), total(u, mul(indicator(u, t - 3 * k + 2), X[u], X[u])),
    total((t, k), mul(indicator(u, 2 * t + k), G[t], W[k])), total(u, mul(indicator(e, u + 2 * t), X[u])),
    total((u, e, k), mul(indicator(u, t + k), indicator(e, u + k), X[u], V[e, r], W[k])),
    total((e, u), mul(indicator(e, 2 * u + 1), indicator(u, t - 1), V[e, r], X[u])),
    total((u, k), mul(indicator(u, t + k), power(X[u], 2), W[k])), power(total(u, mul(indicator(u, t + 1), X[u])), 3),
    add(total(u, mul(indicator(u, t + 1), X[u])), mul(-2, total(u, mul(indicator(u, t - 1), X[u])))),
    Extreme("max", (k,), total(u, mul(indicator(u, t + k), X[u]))),
    Total((k,), add(total(u, mul(indicator(u, t + k), X[u])), W[k])),
    Apply(smooth("tanh"), total(u, mul(indicator(u, t + 1), X[u])), 1), mul(indicator(u, t + 1), X[u]),
    indicator(u, t * 2),
)  # fmt: skip


def test_what_is_written_is_worth_what_is_meant_in_every_kind_of_expression():
    """An index of a parameter stays rather than another one, and an indicator that no sum is over."""
    arrays, elements = {a.name: a for a in (X, W, G, V)}, Outside()
    for node in NODES:
        shown = written(node)
        for place in product(*(range(SIZES[axis]) for axis in AXES.values())):
            binding = dict(zip(AXES, place, strict=True))
            meant = value(node, binding, SIZES, elements, arrays)
            assert value(shown, binding, SIZES, elements, arrays) == meant, (node, shown)
    gone = [node for node in NODES if not list(indicators_in(written(node)))]
    assert len(gone) == len(NODES) - 2
    assert repr(written(NODES[0])) == "sum(k: w[k]*x[2t + k - 1])"
    assert repr(written(NODES[2])) == "sum(t: g[t]*w[u - 2t])"


def test_a_letter_is_as_wide_as_it_is_with_what_stands_beside_it():
    """Of no layer and not after a step there is nothing above it: one place below is all that it has."""
    plain, of_layer, primed = (
        written(total(u, mul(indicator(u, t + 1), array[u])))
        for array in (X, Array("x", 1, (u.axis,)), Array("x", None, (u.axis,), True))
    )
    assert all(isinstance(node, Written) for node in (plain, of_layer, primed))
    assert plain.text == "x[t + 1]" and of_layer.text == "x1[t + 1]" and primed.text == "x_new[t + 1]"
    assert plain.width <= min(of_layer.width, primed.width)
    short = written(total(u, mul(indicator(u, 1 * t + 0 * k), X[u])))
    assert short.width < plain.width


def test_an_element_is_wider_with_every_mark_that_it_has_and_stays_where_nothing_is_put_into_it():
    """A layer and a prime above, which one letter below does not outweigh, and the d of an increment before it."""

    def width(layer, after, role=Role.OTHER):
        return _placed(Array("x", layer, (u.axis,), after, role=role)[u], {u: t * 1}).width

    for role in (Role.OTHER, Role.INCREMENT):
        assert width(None, False, role) <= width(None, True, role) < width(1, False, role) < width(1, True, role)
    for layer, after in product((None, 1), (False, True)):
        assert width(layer, after) < width(layer, after, Role.INCREMENT)
    assert _placed(V[e, r], {u: t * 1}) == V[e, r] and _placed(V[e, r], {r: t * 1}).text == "v[e, t]"
