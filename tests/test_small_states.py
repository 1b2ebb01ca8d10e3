"""What closed states rest on: sums over the inputs, pieces of products, lines of patterns, and what is told of them.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
from test_small_proofs import HAT

import fcsym
from fcsym import Network, find_collapse
from fcsym.collapsing.held import Held
from fcsym.collapsing.quantities import Places, _canonical, _pieces, terms_of
from fcsym.collapsing.rewriting import one_of
from fcsym.language.algebra import expand
from fcsym.language.expression import Array, Axis, Index, Role, mul, refs_in, total
from fcsym.language.instance import Instance, exact_field

HELD = {
    "one input": (Network.mlp([2, 2, 1]), 1),
    "two inputs": (Network.mlp([2, 2, 1]), 2),
    "one input, biases": (Network.mlp([2, 2, 1], bias=True), 1),
    "two inputs, biases": (Network.mlp([2, 2, 1], bias=True), 2),
    "two inputs, frozen biases": (Network.mlp([2, 2, 1], bias=True).frozen("b1"), 2),
    "two inputs, shared bias": (Network.mlp([2, 2, 1], bias=True).shared("b1"), 2),
}


def any_number(array, position):
    return Fraction(random.Random(f"{array.name}{position}").randint(-20, 20), 7)


@pytest.mark.parametrize("name", HELD)
def test_a_sum_over_the_inputs_is_replaced_by_what_it_is_and_by_nothing_else(name):
    """W x is s less the bias, and x x is a less the 1 of the bias: whatever stands beside them, at any numbers."""
    network, inputs = HELD[name]
    held = Held.of(network, "simultaneous", inputs, frozenset({0, 1}))
    w, x, s, a = network.parameters[0], held.network.input, held.network.hidden[0].s, held.inner
    k, i, j = Index(w.axes[0], "k"), Index(w.axes[1], "i"), Index(w.axes[1], "j")
    n, m = ([Index(axis, letter) for axis in x.axes[:-1]] for letter in "nm")
    q, biases = Array("q", None, w.axes[1:]), [theta for theta in network.parameters if theta.layer == 1][1:]

    def leaf(array, position):
        if array == s:
            shifts = [any_number(b, position[-1:] if b.axes else ()) for b in biases]
            rows = (any_number(w, (position[-1], c)) * any_number(x, (*position[:-1], c)) for c in range(2))
            return sum(shifts) + sum(rows)
        if array == a:
            half = len(position) // 2
            rows = (any_number(x, (*position[:half], c)) * any_number(x, (*position[half:], c)) for c in range(2))
            return bool(biases) + sum(rows)
        return Fraction(1) if array == one_of(s) else any_number(array, position)

    wx, xx = w[k, i] * x[(*n, i)], x[(*n, i)] * x[(*m, i)]
    shorter = [total([i], wx), total([i], xx), q[j] * total([i], wx), total([i, j], wx * x[(*n, j)] * q[j])]
    same = [
        wx, xx, x[(*n, i)], total([i], x[(*n, i)]), total([i], wx * q[i]), total([i], xx * q[i]),
        total([i], xx * w[k, i]),
        total([i], q[i] * x[(*n, i)]),
    ]  # fmt: skip
    if inputs > 1:  # the square of one input's length stays as it is
        same.append(total([i], x[(*n, i)] * x[(*n, i)]))
    at = Instance({}, dict.fromkeys((*x.axes, *w.axes), 2), leaf, exact_field())
    for node in [*shorter, *same]:
        ((monomial, _),) = expand(node).items()
        made = held._shorter(monomial)
        assert (made == monomial.expr()) == (node in same), node
        letters = [k, i, j, *n, *m]
        for place in product(range(2), repeat=len(letters)):
            binding = dict(zip(letters, place, strict=True))
            assert at.value(made, binding) == at.value(node, binding), node


SUMMED, KEPT = [Axis(f"s_{n}") for n in range(3)], [Axis("k_0"), Axis("k_1")]
J, K, L = (Index(axis, letter) for axis, letter in zip(SUMMED, "jkl", strict=True))
A, B = (Index(axis, letter) for axis, letter in zip(KEPT, "ab", strict=True))
PLACES = Places(frozenset(SUMMED), {})
TWO = [Index(SUMMED[0], letter) for letter in "jm"]
M, N = (Index(KEPT[0], letter) for letter in "mn")
P = Array("P", None, (KEPT[0], SUMMED[0]))
PIECES = {
    "chain": ([[(A, J), (J, K), (K, L), (L, B)]], {J, K, L}),
    "star": ([[(A, J), (B, J), (J, K), (K, L)]], {J, K, L}),
    "two": ([[(A, J), (J, K)], [(B, L), (L, A)]], {J, K, L}),
    "alone": ([[(A, B)], [(A, J), (J, B)], [(B, A)]], {J}),
}
"""Products of four or fewer factors, in pieces that share what is summed over, by their indices."""


@pytest.mark.parametrize("name", PIECES)
def test_factors_that_share_a_sum_stand_together_whatever_their_order_is(name):
    """And those that do not stand apart."""
    pieces, inside = PIECES[name]
    every = [[Array(f"{n}{m}", None, tuple(i.axis for i in own))[own] for m, own in enumerate(piece)]
             for n, piece in enumerate(pieces)]  # fmt: skip
    wanted = {frozenset(piece) for piece in every}
    for order in permutations([ref for piece in every for ref in piece]):
        found = _pieces(order, inside)
        assert len(found) == len(wanted) and set(map(frozenset, found)) == wanted


def test_a_quantity_is_the_same_whatever_the_order_of_its_factors_is():
    """And stands at the same indices, where an exchange of two of them is the same quantity."""
    j, m = TWO
    for refs in ([P[M, j], P[N, j]], [P[M, j], P[N, j], P[M, m], P[N, m]], [P[N, j], P[N, j]]):
        found = {
            (use.quantity, use.indices) for order in permutations(refs) for use in [_canonical(order, {j, m}, PLACES)]
        }
        assert len(found) == 1
        other = [ref.array[(N if ref.indices[0] == M else M), ref.indices[1]] for ref in refs]
        assert {_canonical(other, {j, m}, PLACES).quantity} == {quantity for quantity, _ in found}
    product_ = total([j], mul(P[M, j], P[N, j]))
    terms = [
        terms_of(expand(node), PLACES, lambda array: True) for node in (product_, total([j], mul(P[N, j], P[M, j])))
    ]
    assert terms[0] == terms[1] and len(terms[0]) == 1


PLAIN, BIASED, ONE = (Network.mlp([2, 3, n], HAT, bias=bias) for n, bias in ((2, False), (2, True), (1, True)))
CLOSED = {
    "plain": (PLAIN, (0, 1), set()),
    "weights of the first layer": (PLAIN, (1,), set()),
    "biases": (BIASED, (0, 1), set()),
    "biases, weights of the first layer": (BIASED, (1,), set()),
    "shared bias": (ONE.shared("b1"), (0, 1), set()),
    "shared bias, weights of the first layer": (ONE.shared("b1"), (1,), set()),
    "frozen bias": (BIASED.frozen("b1"), (0, 1), {"b1"}),
    "frozen weights": (BIASED.frozen("W1"), (1,), {"W1"}),
    "relu": (Network.mlp([2, 3, 2], bias=True), (0, 1), set()),
    "shared bias, frozen": (ONE.shared("b1").frozen("b1"), (0, 1), {"b1"}),
}
"""Networks, layers to sum over, and what of them no step moves."""


def fractions(*shape):
    """Numbers of that shape, the same every time."""
    source = random.Random(f"{shape}")
    return np.vectorize(lambda _: Fraction(source.randint(-9, 9), 4), otypes=[object])(np.zeros(shape))


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_state_stays_what_it_stands_for_in_a_step_by_hand(name, order):
    """Of three units in two groups, with any errors: in rational numbers, and so is what is read off it."""
    network, contracted, still = CLOSED[name]
    made = find_collapse(network, 2, order, contracted=contracted).choices[0].closure
    outputs, group, eta = network.widths[-1], np.array([0, 1, 0]), Fraction(1, 3)
    x, delta = fractions(2, 2), fractions(2, outputs) + 1
    gate, shift = fractions(2, 2), fractions(2, 2) / 3
    if "relu" in name:
        shift = 0 * shift
    w = {theta.name: fractions(*network.shape(theta)) for theta in network.parameters}
    w |= {"b1": w.get("b1", 0 * fractions(3)), "b2": w.get("b2", 0 * fractions(outputs))}

    def forward(w):
        s = x @ w["W1"].T + w["b1"]
        v = gate[:, group] * s + shift[:, group]
        return s, v, v @ w["W2"].T + w["b2"]

    _, v, y = forward(w)
    after = {"W2": w["W2"] - eta * delta.T @ v, "b2": w["b2"] - eta * delta.sum(axis=0)}
    through = gate[:, group] * (delta @ (after if order == "sequential" else w)["W2"])
    after |= {"W1": w["W1"] - eta * through.T @ x}
    after |= {"b1": w["b1"] - eta * (through.sum() if w["b1"].shape != (3,) else through.sum(axis=0))}
    after |= {theta: w[theta] for theta in still}
    if not network.layers[0].bias:
        after |= {"b1": w["b1"], "b2": w["b2"]}

    def instance(w, equations):
        known = {**w, "x": x, "s1": forward(w)[0], "delta2": delta, "g1": gate, "o1": shift, "eta": np.array(eta)}

        def leaf(array, at):
            axes = [axis.name for axis in array.axes]
            grouped = "p_1" in axes and "n_1" in axes
            if grouped:  # unit j of group c, where it is in it
                c, j = at[axes.index("p_1")], at[axes.index("n_1")]
                if group[j] != c:
                    return Fraction(0)
                at = tuple(k for k, axis in zip(at, axes, strict=True) if axis != "p_1")
            return Fraction(1) if array.name == "one1" else np.array(known[array.name], dtype=object)[at]

        sizes = {**made.found.held.network.sizes, **dict.fromkeys(made.patterns, 2)}
        return Instance(equations, sizes, leaf, exact_field())

    stands = {e.array: e for e in (*made.definitions, *made.data) if e.lhs != e.rhs}
    before, later = instance(w, stands), instance(after, stands)
    sizes = before.sizes
    for e in made.recursion:
        for at in list(product(*(range(sizes[axis]) for axis in e.array.axes)))[-3:]:
            assert before.right_side(e, at) == later.element(e.array.unprimed, at), f"{e} at {at}"
    (read,) = [e for e in made.read if e.name == "y"]
    assert {at: before.right_side(read, at) for at in np.ndindex(2, outputs)} == dict(np.ndenumerate(y))


def test_a_quantity_has_no_1_of_a_unit_beside_something_else_of_it():
    """Nor twice: a bias that all units share leads to no numbers that are others under another name."""
    for network in (ONE.shared("b1"), ONE, PLAIN, Network.mlp([2, 3, 1], bias=True).shared("b1")):
        held = Held.of(network, "simultaneous", 1, frozenset({0, 1}))
        one, w = one_of(held.network.pre_activation(1)), held.network.parameters[-2 if network.layers[-1].bias else -1]
        j, k = Index(one.axes[0], "j"), Index(w.axes[0], "k")
        for node in (one[j] * one[j], one[j] * w[k, j], one[j] ** 3 * w[k, j] ** 2):
            (monomial,) = held.expanded(held.in_groups(total([j], node)))
            ones = [exponent for ref, exponent in monomial.factors if ref.array.role is Role.UNIT]
            assert ones == ([] if w in {ref.array for ref in _refs(node)} else [1])
    found = find_collapse(Network.mlp([2, 3, 1], bias=True).shared("b1"), 1, contracted=(0, 1)).choices[0].found
    for quantity in found.quantities:
        every = [(array.role is Role.UNIT, places[-1]) for array, places in quantity.factors]
        assert not [place for unit, place in every if unit and [p for _, p in every].count(place) > 1]


def _refs(node):
    return [factor for m in expand(node) for factor, _ in m.factors]


@pytest.mark.parametrize("name", ["hat", "relu"])
def test_a_unit_is_the_columns_of_its_group_and_so_is_its_1(name):
    """Where lines have intercepts: with xi and the ones of the columns as a decomposition gives them."""
    network = Network.mlp([2, 4, 2], HAT if name == "hat" else "relu")
    grouping = fcsym.scheme(network, "collapsed", batch="sum", samples=2).induction.grouping
    (own,) = grouping.layers
    assert (own.one is None) == (own.offset is None) == (name == "relu")
    if own.one is None:
        return
    (j,), value = own.one
    group, ones = [0, 1, 1, 0], [[Fraction(2), Fraction(-1)], [Fraction(1, 3), Fraction(4)]]

    def leaf(array, at):
        if array == own.within:
            return Fraction(group[at[1]] == at[0])
        if array.symbol == "xi":  # such that the columns of its group make 1 of it
            unit, column = at
            return ones[group[unit]][column] / sum(n * n for n in ones[group[unit]])
        assert array.name == "onez1"
        return ones[at[0]][at[1]]

    sizes = {axis: 2 for ref in refs_in(value) for axis in ref.array.axes} | {own.units: 4}
    at = Instance({}, sizes, leaf, exact_field())
    assert [at.value(value, {j: n}) for n in range(4)] == [1] * 4
    for array in {ref.array for ref in refs_in(value)} - {own.within}:  # how many columns there are is not known
        assert network.lengths(array)[-1] == "d_1"
