"""Numbers at which an equation is wrong: they are those of a step by hand, and twice what is right is twice it there.

Each takes a fraction of a second, so that a fault in any part of such a search is seen by a test that is quick.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

import exact
import pytest
from test_small_proofs import MORE, STEPS, changed, mlp

import fcsym
from fcsym.language.expression import Expr, mul
from fcsym.proof import _Examiner, points, search

BY_FRACTIONS = [
    "plain", "two outputs", "several pieces", "bias in the middle", "shared bias above", "frozen weights", "nesterov",
    "mean", "pieces, l1", "hinge", "no hidden layer", "convolution", "read by two", "frozen among layers", "identity",
]  # fmt: skip


@cache
def examined(name):
    network, setting = (STEPS | MORE)[name]
    d = fcsym.derive(network, **setting)
    return d, _Examiner(d).expansion


@pytest.mark.parametrize("name", BY_FRACTIONS)
def test_twice_what_is_right_is_refuted_by_numbers_at_which_it_is_twice_that(name):
    """Every other equation; of r and of the parts of p over samples there are none: they are what the list says."""
    d, expansion = examined(name)
    for equation in d.equations[len(name) % 2 :: 2]:
        if not isinstance(equation.rhs, Expr) or equation.name == "r":
            continue
        if d.network.places and equation.name in ("ell", "K", "Ki", "mu", "p", "compensation"):
            continue
        wrong = changed(equation)
        found = expansion.counterexample(wrong)
        assert found.quantity.split("[")[0] == (
            equation.array.name if equation.defines else d.network.logits.primed.name
        )
        more = found.true if wrong.rhs == mul(2, equation.rhs) else 1
        assert found.derived - found.true == more != 0, (wrong, found)
        assert found.point.get("eta", 1) > 0
        for element in (found.quantity, *found.point):
            array, _, at = element.removesuffix("]").partition("[")
            axes = next(a.axes for e in d.equations for a in (e.array, *e.operands) if a.name == array)
            shape = [expansion.network.sizes[axis] for axis in axes]
            at = [int(n) for n in at.split(", ")] if at else []
            assert all(1 <= n <= size for n, size in zip(at, shape, strict=True)), element


@pytest.mark.parametrize("name", BY_FRACTIONS[::2])
def test_what_is_right_is_refuted_by_no_numbers(name, monkeypatch):
    """However it is looked for; the few that are tried here are tried elsewhere, too."""
    for module in (search, points):
        monkeypatch.setattr(module, "_TRIES", 1)
    d, expansion = examined(name)
    assert not [e.name for e in d.equations if isinstance(e.rhs, Expr) and expansion.counterexample(e)]


BY_STEP = {
    "plain": (mlp([1, 2, 1], bias=True), "simultaneous"),
    "two outputs": (mlp([2, 1, 2]), "sequential"),
    "deep": (mlp([2, 2, 1, 1]), "sequential"),
}


@pytest.mark.parametrize("name", BY_STEP)
def test_what_should_be_there_is_what_a_step_by_hand_has(name):
    """At the numbers that are shown: nothing else enters."""
    network, order = BY_STEP[name]
    d = fcsym.derive(network, order)
    expansion, widths, depth = _Examiner(d).expansion, network.widths, len(network.layers)
    compared = set()
    for equation in d.equations:
        if not isinstance(equation.rhs, Expr) or equation.name == "r":
            continue
        found = expansion.counterexample(changed(equation))

        def number(array, *at, found=found):
            return found.point.get(f"{array}[{', '.join(str(n + 1) for n in at)}]", Fraction(0))

        w = [
            [[number(f"W{n}", i, j) for j in range(widths[n - 1])] for i in range(widths[n])]
            for n in range(1, depth + 1)
        ]
        b = [[number(f"b{n}", i) for i in range(widths[n])] for n in range(1, depth + 1)]
        x, goal = ([number(a, i) for i in range(n)] for a, n in (("x", widths[0]), ("yg", widths[-1])))
        true = exact.step(widths, w, x, goal, found.point.get("eta", Fraction(0)), order, biases=b)
        s, v, delta, new = true.s, true.v, true.delta, true.w
        by_hand = {
            "y": s[-1],
            "y_new": true.s_new[-1],
            "dy": [a - c for a, c in zip(true.s_new[-1], s[-1], strict=True)],
        }
        for n in range(1, depth + 1):
            by_hand |= {f"s{n}": s[n - 1], f"v{n}": v[n], f"delta{n}": delta[n - 1], f"W{n}_new": new[n - 1]}
            by_hand |= {f"b{n}_new": true.b[n - 1], f"s{n}_new": true.s_new[n - 1], f"v{n}_new": true.v_new[n]}
            by_hand |= {f"ds{n}": [a - c for a, c in zip(true.s_new[n - 1], s[n - 1], strict=True)], "vc": v[-2]}
            by_hand |= {f"a{n - 1}": sum(a * a for a in v[n - 1]) + bool(network.layers[n - 1].bias)}
        array, at = re.fullmatch(r"(\w+)(?:\[(.*)\])?", found.quantity).groups()
        if array in by_hand:
            value = by_hand[array]
            for n in at.split(", ") if at else ():
                value = value[int(n) - 1]
            assert found.true == value, found
            compared.add(array)
    assert {
        "y",
        "y_new",
        "dy",
        "W1_new",
        "W2_new",
        "s1",
        "s1_new",
        "v1",
        "v1_new",
        "delta1",
        "vc",
        "ds1",
        "a0",
    } <= compared


@pytest.mark.parametrize("name", ["rmsprop", "smooth, huber", "gates", "beside, with adam"])
def test_what_fractions_cannot_say_is_refuted_by_no_numbers(name):
    d, expansion = examined(name)
    assert not any(expansion.counterexample(changed(e)) for e in d.equations[:6])
