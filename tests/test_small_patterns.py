"""Joint patterns, step by step: what is drawn, what it becomes when units change places, and what z3 is asked.

Whole networks are decided in `test_joint`; here each part is held against a step by hand, in a fraction of a second.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product
from math import comb, factorial, prod

import exact
import numpy as np
import pytest
from test_small_proofs import HAT
from test_small_searches import BY_HAND, KINKS, piece_of

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, SizeError
from fcsym.proof import joint as joints

mlp = Network.mlp


@pytest.fixture
def few(monkeypatch):
    """Fewer networks at once than are drawn elsewhere."""
    monkeypatch.setattr(joints, "_BATCH", 12)


def by_hand(network, name, order, at):
    """The pattern of numbers, by a step that knows nothing of the engine."""
    phi, slope, _ = BY_HAND[name]
    rest = iter(at.weights)
    both = [(next(rest), next(rest) if layer.bias else None) for layer in network.layers]
    w = [[list(row) for row in matrix] for matrix, _ in both]
    b = [
        list(bias) if bias else [Fraction(0)] * layer.width
        for (_, bias), layer in zip(both, network.layers, strict=True)
    ]
    after = exact.step(network.widths, w, at.x, at.target, at.eta, order, phi, slope, b)
    trained = [new if bias else old for new, old, (_, bias) in zip(after.b, b, both, strict=True)]

    def pieces(w, b):
        nothing = [Fraction(0)] * network.widths[-1]
        s = exact.step(network.widths, w, at.other, nothing, Fraction(0), order, phi, slope, b).s
        return [piece_of(name, value) for layer in s[:-1] for value in layer]

    return tuple(zip(pieces(w, b), pieces(after.w, trained), strict=True))


DRAWN = [("relu", [2, 2, 1, 2], False), ("leaky", [1, 2, 1], True), ("hat", [2, 1, 2, 1], True), ("clip", [1, 3, 2], 0)]


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize(("name", "widths", "bias"), DRAWN)
def test_networks_that_are_drawn_have_the_pieces_that_their_numbers_have(few, name, widths, bias, inputs, order):
    """In floats, in fractions and by the reference of the proofs, as by hand; they are as drawn."""
    network = mlp(widths, KINKS[name], bias=bool(bias))
    draw = joints._Draw.of(network, inputs, np.random.default_rng(1))
    before, after = draw.pieces(order)
    assert before.shape == after.shape == (12, sum(widths[1:-1]))
    others = 0
    for n in range(12):
        at = draw.witness(n)
        true = by_hand(network, name, order, at)
        assert tuple(zip(before[n], after[n], strict=True)) == true == joints._pattern_of(network, order, at)
        if n < 2:
            assert joints._pattern_at(network, order, at) == true
        y = joints._output(network, at.weights, at.x)
        assert [a - b for a, b in zip(y, at.target, strict=True)] == draw.error[n].tolist()
        assert at.eta == draw.eta[n] > 0 and at.inputs == inputs
        others += at.x != at.other
    assert bool(others) == (inputs == 2)


@pytest.mark.parametrize("inputs", [1, 2])
def test_numbers_that_are_drawn_lie_about_0(inputs):
    draw = joints._Draw.of(mlp([2, 2, 1], bias=True), inputs, np.random.default_rng(0))
    for drawn in (*draw.parameters, draw.x, draw.other, draw.error):
        assert drawn.min() == -drawn.max() < 0 == (drawn % 1).max()
    assert draw.eta.min() < 1 < draw.eta.max()


def test_numbers_at_which_a_pattern_occurs_are_shown_by_their_names():
    half, one, two = Fraction(1, 2), Fraction(1), Fraction(2)
    weights = ((one, -half), (two, one)), (half, two), ((-one, two),)
    at = joints.Witness(weights, (one, two), (half, -one), (-two,), Fraction(1, 8), 2)
    first = "W1 = ((1, -1/2), (2, 1)), b1 = (1/2, 2), W2 = ((-1, 2)), x = (1, 2), "
    assert str(at) == first + "x@ = (1/2, -1), y_g = (-2), eta = 1/8"
    assert str(replace(at, inputs=1)) == first + "y_g = (-2), eta = 1/8"


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("name", KINKS)
def test_each_pattern_that_is_found_by_trying_is_found_once_and_occurs(few, name, inputs, order):
    """And every pattern that the drawn networks have is found."""
    network = mlp([1, 1, 1, 1] if name == "clip" else [1, 2, 1], KINKS[name], bias=name == "clip")
    found = list(joints._tried(network, order, inputs, 2))
    assert found == list(joints._tried(network, order, inputs, 2))
    assert all(by_hand(network, name, order, at) == pattern for pattern, at in found)
    source, every = np.random.default_rng(0), set()
    for _ in range(2):
        draw = joints._Draw.of(network, inputs, source)
        every |= {by_hand(network, name, order, draw.witness(n)) for n in range(12)}
    assert len(found) == len(dict(found)) and dict(found).keys() == every


def test_trying_ends_where_nothing_new_is_found(few, monkeypatch):
    """Long before all that it may try, and not where there was something new a moment ago."""
    counted = []
    slow = joints._Draw.of
    monkeypatch.setattr(joints._Draw, "of", lambda *given: counted.append(0) or slow(*given))
    found = [(len(counted), pattern) for pattern, _ in joints._tried(mlp([1, 1, 1], HAT), "simultaneous", 1, 10**6)]
    assert found[-1][0] < len(counted) < found[-1][0] + 30


def test_numbers_of_a_kind_are_the_first_that_are_found(few, order):
    network = mlp([1, 1, 1], HAT)
    found = list(joints._tried(network, order, 1, 4))
    for wanted, numbers in found:
        assert joints.witness(network, order, lambda pattern, wanted=wanted: pattern == wanted) == numbers
    assert joints.witness(network, order, lambda _: True) == found[0][1]
    assert joints.witness(network, order, lambda _: False) is None


@pytest.mark.parametrize(("name", "widths", "bias"), [("relu", [2, 2, 3, 1], True), ("hat", [1, 3, 2, 2], False)])
def test_when_units_change_places_the_pattern_changes_places_with_them(few, name, widths, bias, order):
    """Each layer's on their own; not again to a pattern that is known."""
    network = mlp(widths, KINKS[name], bias=bias)
    draw, (first, second) = joints._Draw.of(network, 2, np.random.default_rng(2)), widths[1:-1]
    for n in range(3):
        at = draw.witness(n)
        pattern = by_hand(network, name, order, at)
        one, other = pattern[:first], pattern[first:]
        every = {(*a, *b) for a, b in product(permutations(one, first), permutations(other, second))}
        made = dict(joints._relabelled(network, order, pattern, at, {}))
        assert made.keys() == every
        assert all(by_hand(network, name, order, numbers) == moved for moved, numbers in made.items())
        assert not list(joints._relabelled(network, order, pattern, at, made))
        assert len({joints._canonical(network, moved) for moved in every}) == 1


@pytest.mark.parametrize(("phi", "widths"), [("relu", [1, 2, 1, 1]), (HAT, [1, 1, 2, 1]), ("leaky_relu", [2, 3, 1])])
def test_patterns_that_differ_by_the_order_of_units_are_one_group(phi, widths):
    """As many groups as there are multisets of pairs in each layer, and as many patterns as have that order."""
    network = mlp(widths, phi)
    pairs = len(network.layers[0].activation.pieces) ** 2
    made = joints.Joint(network, "simultaneous", 1, dict.fromkeys(joints._patterns(network)), (), ())
    assert len(made.groups) == prod(comb(pairs + width - 1, width) for width in widths[1:-1])
    assert list(made.groups) == sorted(made.groups, reverse=True)  # the most active one first
    names = [piece.name for piece in network.layers[0].activation.pieces]
    for pattern, count in made.groups.items():
        layers = [pattern[: widths[1]], pattern[widths[1] :]][: len(widths) - 2]
        orders = (factorial(len(layer)) // prod(map(factorial, Counter(layer).values())) for layer in layers)
        assert count == prod(orders)
        said = [[tuple(map(names.index, unit.split(" -> "))) for unit in layer.split(", ")]
                for layer in made.named(pattern).split(" | ")]  # fmt: skip
        assert said == list(map(list, layers))


@pytest.mark.parametrize("answers", ["z3", "all impossible", "all open"])
def test_what_is_decided_so_far_is_said(answers, monkeypatch):
    """Each of nine patterns of one unit is asked about when as many are decided as come before it."""
    monkeypatch.setattr(joints, "_tried", lambda *_: ())
    if answers != "z3":
        said = False if answers == "all impossible" else None
        monkeypatch.setattr(joints, "_decided", lambda *_: (said, None))
    words = []
    made = joints.joint(mlp([1, 1, 1], HAT), progress=words.append)
    assert words[1:] == [f"pattern {n} of 9" for n in range(9)]
    if answers != "z3":
        whole, nothing = (
            (made.impossible, made.unknown) if answers == "all impossible" else (made.unknown, made.impossible)
        )
        assert sorted(whole) == sorted(joints._patterns(made.network)) and not nothing and not made.reachable


def test_what_is_said_of_a_pattern_is_said_of_every_order_of_its_units(monkeypatch):
    """z3 is asked about one of them; those that occur are listed from the most active one on."""
    asked = []
    network = mlp([1, 2, 1])
    slow = joints._decided
    monkeypatch.setattr(joints, "_tried", lambda *_: ())
    monkeypatch.setattr(joints, "_decided", lambda *given: asked.append(given[-1]) or slow(*given))
    made = joints.joint(network)
    assert len({frozenset(Counter(pattern).items()) for pattern in asked}) == len(asked) == comb(5, 2)
    assert set(made.reachable) == set(product([(0, 0), (1, 0), (1, 1)], repeat=2)) and not made.unknown
    assert list(made.reachable) == sorted(made.reachable, reverse=True)
    for pattern, at in made.reachable.items():
        assert by_hand(network, "relu", "simultaneous", at) == pattern


@pytest.mark.parametrize("inputs", [1, 2])
def test_where_z3_has_no_rational_numbers_the_pattern_stays_open(inputs, monkeypatch):
    """It can occur, says z3: that is not said to be impossible."""
    monkeypatch.setattr(joints._Terms, "witness", lambda *_: None)
    monkeypatch.setattr(joints, "_tried", lambda *_: ())
    made = joints.joint(mlp([1, 1, 1]), inputs=inputs)
    known = set(product(product((0, 1), repeat=2))) - ({((0, 1),)} if inputs == 1 else set())
    assert not made.reachable and set(made.unknown) == known


REFUSED = {
    "another order": (mlp([1, 1, 1]), {"order": "both"}),
    "three inputs": (mlp([1, 1, 1]), {"inputs": 3}),
    "no input": (mlp([1, 1, 1]), {"inputs": 0}),
    "momentum": (mlp([1, 1, 1]).training(fcsym.rule("momentum")), {}),
    "a batch": (mlp([1, 1, 1]).training(batch="mean"), {}),
    "another loss": (mlp([1, 1, 1], loss="l1"), {}),
    "another output": (mlp([1, 1, 1], output="relu"), {}),
    "no hidden units": (mlp([1, 1]), {}),
    "smooth units": (mlp([1, 1, 1, 1], ["relu", "tanh"]), {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_of_which_no_patterns_are_known_are_refused(name):
    network, setting = REFUSED[name]
    with pytest.raises(ArgumentError):
        joints.joint(network, **setting)


@pytest.mark.parametrize(("widths", "phi", "small"), [
    ([2, 5, 1], "relu", True), ([2, 6, 1], "relu", False), ([1, 3, 1], HAT, True), ([1, 4, 1], HAT, False),
    ([38, 1, 1], "relu", True), ([39, 1, 1], "relu", False),
])  # fmt: skip
def test_up_to_1024_patterns_and_a_sum_of_40_are_decided(widths, phi, small, monkeypatch):
    """Where they are, numbers are tried."""
    begun = []
    monkeypatch.setattr(joints, "_tried", lambda *_: begun.append(0) or ())
    monkeypatch.setattr(joints, "_decided", lambda *_: (False, None))
    try:
        made = joints.joint(mlp(widths, phi))
    except SizeError:
        assert not small and not begun
        return
    pieces = len(made.network.layers[0].activation.pieces)
    assert small and begun and len(made.impossible) == pieces ** (2 * widths[1])
