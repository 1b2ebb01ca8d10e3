"""Expressions as text: the parentheses that Python needs, arrays as wide as they are said to be, and what has no text.

Python says itself which parentheses it needs: it writes what it has read with no others.
"""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from math import prod
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.lower import _smooth, lower_scheme
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c import core_text
from fcsym.kernel.targets.c_file import CTarget
from fcsym.kernel.targets.c_windows import _following
from fcsym.kernel.targets.c_words import remember_text
from fcsym.kernel.targets.jax import JAX
from fcsym.kernel.targets.numpy import DIALECT
from fcsym.kernel.targets.straight import python_function
from fcsym.kernel.targets.torch import TORCH
from fcsym.language.expression import Array, Axis, Index
from fcsym.networks.symbols import STORED

I, J = Axis("I"), Axis("J")  # noqa: E741
i, j = Index(I, "i"), Index(J, "j")
NUMBERS = {name: Array(name, None, ()) for name in "abcd"}


def drawn(random, depth):
    """Sums, products and quotients of numbers with names, some of them with a minus."""
    kind = random.choice("lspq" if depth else "l")
    if kind == "l":
        return n.Load(random.choice("abcd"), ())
    parts = [drawn(random, depth - 1) for _ in range(random.choice((2, 3)))]
    if kind == "s":
        return n.Sum(tuple((random.choice((1, -1)), part) for part in parts))
    return n.Product(tuple(parts)) if kind == "p" else n.Quotient(*parts[:2])


def value_of(node, at):
    match node:
        case n.Load(name, _):
            return at[name]
        case n.Sum(terms):
            return sum(sign * value_of(term, at) for sign, term in terms)
        case n.Product(factors):
            return prod(value_of(factor, at) for factor in factors)
        case n.Quotient(above, below):
            return value_of(above, at) / value_of(below, at)


def texts_of(node):
    """As arrays in NumPy, and as single numbers."""
    given, made = tuple(NUMBERS.values()), Array("r", None, ())
    function = n.Function("f", "Some.", (), given, (n.Define("r", (), node),), (made,), False)
    for text, start in (
        (function_text(function, DIALECT), "r = "),
        (python_function(function, "f", [*"abcd"], [*"abcd"], [("r", "a")]), "s[0] = "),
    ):
        (line,) = (own.strip() for own in text.splitlines() if own.strip().startswith(start))
        yield line.removeprefix(start)


@pytest.mark.parametrize("seed", range(40))
def test_an_expression_has_the_parentheses_that_python_needs_and_no_others(seed):
    """And the value of what is written."""
    node = drawn(Random(seed), 3)
    at = {"a": Fraction(3, 2), "b": Fraction(-5, 7), "c": Fraction(9, 4), "d": Fraction(3, 8)}
    for text in texts_of(node):
        assert ast.unparse(ast.parse(text)) == text
        try:
            true = value_of(node, at)
        except ZeroDivisionError:  # a - a
            continue
        assert eval(text, {}, at) == true


def test_an_inverse_is_that_of_a_whole_matrix_where_there_is_a_word_for_it():
    """Its element at another place has no array form, and neither has one where no inverse is known."""
    matrix, made = Array("A", None, (I, I)), Array("r", None, (I, I))
    other = Index(I, "m")

    def text(indices, dialect):
        return function_text(
            n.Function(
                "f", "Some.", (), (matrix,), (n.Define("r", (i, other), n.Inverse("A", indices)),), (made,), False
            ),
            dialect,
        )

    assert "r = inverse(A)" in text((i, other), DIALECT)
    for indices, dialect in (
        ((other, i), DIALECT),
        ((i, other), TORCH.language.dialect),
        ((i, other), JAX.language.dialect),
    ):
        with pytest.raises(CompileError, match="Inverse has no array form"):
            text(indices, dialect)


def test_a_result_has_every_axis_where_an_array_at_hand_is_as_long():
    """One that is made here, too; not one that broadcasts itself."""
    a, b = n.Load("a", (i,)), n.Load("b", (j,))
    both, narrow = n.Load("t", (i, j)), n.Load("u", (i, j))
    statements = [
        n.Define("u", (i, j), a),  # nothing at hand is so wide: it broadcasts
        n.Define("v", (i, j), n.Sum(((1, narrow), (1, a)))),
        n.Define("t", (i, j), n.Product((a, b))),
        n.Define("w", (i, j), a),
        n.Define("x", (i, j), n.Sum(((1, both), (1, narrow)))),
        n.Define("c", (i, j), n.Const(Fraction(3))),
    ]
    given, results = (Array("a", None, (I,)), Array("b", None, (J,))), [Array(k, None, (I, J)) for k in "uvtwxc"]
    function = n.Function("f", "Some.", (), given, tuple(statements), tuple(results), False)
    space = {"np": np}
    exec(function_text(function, DIALECT, sizes={I: 3, J: 2}), space)
    x, y = np.array([1.0, 2.0, -4.0]), np.array([0.5, 3.0])
    column = np.broadcast_to(x[:, None], (3, 2))
    true = [column, 2 * column, column * y, column, column * y + column, np.full((3, 2), 3.0)]
    made = space["f"](x, y)
    for name, found, wanted in zip("uvtwxc", made, true, strict=True):
        assert np.array_equal(np.broadcast_to(found, (3, 2)), wanted), name
    assert [array.shape for array in made[2:]] == [(3, 2)] * 4


def test_indices_that_one_step_leads_through_stand_side_by_side_and_have_a_length():
    k, rows = Index(Axis("K"), "k"), Index(STORED, "m")
    cases = [
        (("i", "j", "k"), ("j", "k"), ("j", "k")), (("i", "j", "k"), ("i", "k"), ("k",)),
        (("i", "j", "k"), ("i", "j", "k"), ("i", "j", "k")), (("k", "i", "j"), ("j", "k"), ("k",)),
        (("i", "j", "k"), ("i",), ("i",)), (("j", "i", "k"), ("i", "j", "k"), ("k",)),
        (("k", "j", "i"), ("j", "k"), ("k",)), (("i", "j"), ("i", "k"), ()), (("i", "j"), (), ()),
        (("i", "m"), ("i", "m"), ("m",)), (("m", "i"), ("m", "i"), ("i",)),
    ]  # fmt: skip
    named = {"i": i, "j": j, "k": k, "m": rows}
    for own, among, wanted in cases:
        found = _following(n.Load("W", tuple(named[x] for x in own)), [named[x] for x in among])
        assert found == tuple(named[x] for x in wanted), (own, among)


@pytest.mark.parametrize("order", ["X C W", "C X W", "W C X"])
def test_a_stored_input_is_as_wide_as_the_array_of_stored_inputs(order):
    """Wherever that stands in the state."""
    axes = {"X": (STORED, I), "C": (STORED, J), "W": (J, Axis("K"))}
    state = [Array(name, None, axes[name]) for name in order.split()]
    text = remember_text(SimpleNamespace(state=state, sizes={I: 3, J: 5, Axis("K"): 7}))
    assert "X[free_row * 3 + i]" in text and "C[free_row * 5 + j]" in text and "7" not in text


def test_the_sign_of_nothing_is_nothing():
    """As NumPy has it."""
    node = _smooth(("sign", ("s",)), {"s": n.Load("a", ())})
    made = Array("r", None, ())
    function = n.Function("f", "Some.", (), (NUMBERS["a"],), (n.Define("r", (), node),), (made,), False)
    space = {"np": np}
    exec(function_text(function, DIALECT), space)
    points = np.array([-2.5, 0.0, 1e-30, 4.0])
    assert np.array_equal(space["f"](points)[0], np.sign(points))


def blocks_of(text):
    """How deep every line stands that begins something, in blocks; each four places further than the last."""
    depth, goes_on = 0, False
    for line in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines():
        own = line.strip()
        if not own or own.startswith("#") or "\\" in line:
            continue
        at = depth - own.startswith("}")
        if not goes_on:
            assert len(line) - len(line.lstrip()) == 4 * at, line
            yield at
        depth += own.count("{") - own.count("}")
        goes_on = not own.endswith((";", "{", "}"))
    assert depth == 0


@pytest.mark.parametrize("scheme", ["backprop", "states"])
def test_what_stands_in_a_block_of_c_stands_four_places_further(scheme):
    """In a file with windows that reach beyond their axis; lines that go on stand further still."""
    layers = [fcsym.Conv1d(1, 2, 3, padding=1, stride=2), fcsym.layers.Activation("relu"), fcsym.MaxPool1d(2)]
    network = Network.sequential((1, 7), [*layers, fcsym.Flatten(), fcsym.Linear(4, 1)])
    text = CTarget().files(lower_scheme(fcsym.scheme(network, scheme)), "update", [])["update.c"]
    assert max(blocks_of(text)) >= 3


def test_a_place_that_no_loop_moves_is_looked_at_in_a_block_of_its_own():
    """It may stand beside its axis, and all within stands further in."""
    t, k, u = (Index(Axis(name), name.lower()) for name in "TKU")
    sizes = {t.axis: 3, k.axis: 2, u.axis: 3}
    given, made = Array("V", None, (u.axis,)), Array("r", None, (t.axis, k.axis))
    value = n.Reduce((u,), n.Product((n.Indicator(u, t + k - 1), n.Load("V", (u,)))))
    function = n.Function("output", "Some.", (), (given,), (n.Define("r", (t, k), value),), (made,), False)
    module = n.Module("", "", "", "", (function,), (), (), {}, sizes, False, False, (), "0")
    text = core_text(function, module, "f")
    assert "if (" in text and max(blocks_of(text)) >= 3
