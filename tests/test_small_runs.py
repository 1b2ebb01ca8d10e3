"""Many steps in one call, what they refuse, and how statements are written: beside steps one by one.

Each takes a fraction of a second, so that a fault in what stands around a step is seen by a test that is quick.
"""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import need
from sympy import Abs, Symbol, tanh

import fcsym
from fcsym import Network
from fcsym.checking.oracle import backpropagation
from fcsym.errors import ArgumentError, CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.bound import _outside, _overflowing
from fcsym.kernel.export import _group
from fcsym.kernel.lower import _named_once, _smooth
from fcsym.kernel.rows import Row, frozen_rows
from fcsym.kernel.running import Near, Running
from fcsym.kernel.targets.c_products import Products
from fcsym.kernel.targets.c_test import _c_row
from fcsym.kernel.targets.sums import Sums
from fcsym.language.expression import Axis, Index, IndexForm
from fcsym.schemes import SCHEMES

TARGETS = ["numpy", "c"]
S = Symbol("s", real=True)


def compiled(scheme, target):
    if target == "c":
        need("cc")
    return scheme.compile(target)


def started(kernel, scheme, lead=()):
    """A state, the weights that it is of, and numbers to draw from."""
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=(*lead, *scheme.network.shape(a))) for a in scheme.network.parameters]
    return (kernel.init(weights, [0.5, -1.0]) if scheme.single_input else kernel.init(weights)), weights, rng


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SCHEMES)
def test_no_step_in_one_call_leaves_the_state_as_it_is(name, target):
    """Array by array, also where inputs are stored and there is none."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), name)
    kernel = compiled(scheme, target)
    state = started(kernel, scheme)[0]
    after = kernel.run(state, np.zeros((0, 2)), np.zeros((0, 1)), 0.1)
    assert type(after) is type(state)
    for field, one, other in zip(state._fields, state, after, strict=True):
        assert one.shape == other.shape and (one == other).all(), field


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lead", [(), (2,)])
def test_inputs_are_stored_in_the_order_in_which_they_come(lead, target):
    """Each once, of one call as of steps one by one; none before the first step."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), "history")
    kernel = compiled(scheme, target)
    start, _, rng = started(kernel, scheme, lead)
    assert start.X.shape[-2:] == (0, 2) and start.C.shape[-2:] == (0, 2)
    xs = np.array([[2.0, 1.0], [1.0, 0.0], [2.0, 1.0], [-1.0, 3.0]])
    targets, state = rng.normal(size=(4, 1)), start
    for x, goal in zip(xs, targets, strict=True):
        state = kernel.step(state, x, goal, 0.1)
    assert state.X.reshape(-1, 3, 2)[0].tolist() == [[2, 1], [1, 0], [-1, 3]]
    first = kernel.run(start, xs[:1], targets[:1], 0.1)
    assert first.X.reshape(-1, 1, 2)[0].tolist() == [[2, 1]]
    for one, other in zip(state, kernel.run(start, xs, targets, 0.1), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["backprop", "states"])
@pytest.mark.parametrize("target", TARGETS)
def test_targets_that_are_no_probabilities_are_refused_where_marks_are_not_wanted(target, name):
    """By a step, and by many in one call."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1], output="sigmoid", loss="bce"), name)
    kernel = compiled(scheme, target)
    state, x = started(kernel, scheme)[0], np.array([0.5, -1.0])
    marked = kernel.step(state, x, [2.0], 0.1, undefined="nan")
    for one, other in zip(marked, kernel.run(state, x[None], [[2.0]], 0.1, undefined="nan"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    for call in (lambda: kernel.step(state, x, [2.0], 0.1), lambda: kernel.run(state, x[None], [[2.0]], 0.1)):
        with pytest.raises(ArgumentError, match="is no probability"):
            call()


def test_a_step_of_a_derivation_refuses_what_is_no_probability_where_marks_are_not_wanted():
    network = Network.mlp([2, 2, 1], output="sigmoid", loss="bce")
    kernel, weights = fcsym.derive(network).compile(), [np.ones((2, 2)), np.ones((1, 2))]
    with pytest.raises(ArgumentError, match="is no probability"):
        kernel.step(weights, [0.5, 0.5], [2.0], 0.1)
    assert np.isfinite(kernel.step(weights, [0.5, 0.5], [2.0], 0.1, undefined="nan").y).all()


@pytest.mark.parametrize("name", ["backprop", "basis"])
def test_a_bound_network_takes_one_step_at_a_time_also_after_many(name):
    """In machine code: many in one call, one, and one; beside steps that are not bound."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), name)
    kernel = compiled(scheme, "c")
    state, _, rng = started(kernel, scheme)
    x, goal, xs, goals = rng.normal(size=2), rng.normal(size=1), rng.normal(size=(3, 2)), rng.normal(size=(3, 1))
    bound = kernel.bind(state, x, goal, 0.1)
    bound.run(xs, goals)
    bound.step()
    bound.step()
    for point, wanted in zip([*xs, x, x], [*goals, goal, goal], strict=True):
        state = kernel.step(state, point, wanted, 0.1)
    for one, other in zip(bound.state, state, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


I, J, K, L = (Index(Axis(letter), letter) for letter in "ijkl")  # noqa: E741


def test_what_is_needed_once_has_no_statement_of_its_own():
    """A function that is needed again has one, with all that is in it; what is no function has none."""
    s = n.Load("s", (I,))
    exp, inner = n.Call("exp", s), n.Call("tanh", n.Call("exp", s))
    once = n.Sum(((1, n.Call("tanh", s)), (1, s), (-1, s)))
    assert _named_once("v", (I,), once) == [n.Define("v", (I,), once)]
    for value, parts in (
        (n.Sum(((1, exp), (1, n.Product((s, exp))))), [exp]),
        (n.Power(exp, 2), [exp]),
        (n.Sum(((1, inner), (1, n.Product((inner, s))))), [inner]),
        (n.Sum(((1, inner), (1, exp))), [exp]),
        (inner, []),
    ):
        *named, whole = _named_once("v", (I,), value)
        assert [part.value for part in named] == parts, value
        held = {part.name: part.value for part in named}

        def written(node, held=held):
            return written(held[node.name]) if getattr(node, "name", "") in held else n.rebuilt(node, written)

        assert whole.name == "v" and written(whole.value) == value


def test_a_sign_is_that_of_its_number():
    s = np.array([-2.5, -1e-300, 0.0, 1e-300, 3.0])
    node = _smooth(("sign", ("mul", ("number", -2, 1), ("s",))), {("s",): n.Load("s", (I,)), "s": n.Load("s", (I,))})
    running = Running(None, {}, {}, lambda name, near: near, {"s": Near(s, 0 * s)}, {I.axis: 5})
    assert running._near(node, (I,)).value.tolist() == (-np.sign(s)).tolist()


def test_what_has_no_compiled_form_is_said_to_have_none():
    """A power of s itself, of which no rule says what it changes by."""
    phi = fcsym.smooth("own", 2**S)
    with pytest.raises(CompileError, match="pow has no compiled form"):
        fcsym.derive(Network.mlp([1, 1, 1], phi)).compile()
    fcsym.derive(Network.mlp([1, 1, 1], fcsym.smooth("own", S**2 * tanh(Abs(S))))).compile()


@pytest.mark.parametrize("name", ["backprop", "weights", "compensation"])
@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "tanh", "identity"])
def test_rows_have_an_output_before_every_step_and_after_the_last(phi, name):
    """None after one that is undefined. Rows are drawn on while they meet something that is decided, and no longer."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1], phi), name)
    rows = frozen_rows(scheme)
    for row in rows:
        assert len(row.y) == len(row.x) + (not row.undefined) and len(row.target) == len(row.x)
    decided = [set(row.reaches) for row in rows]
    assert (len(rows) > 1) == any(decided) and all(decided[1:])
    assert len(set().union(*decided)) == sum(map(len, decided))  # each says what is new
    if phi == "leaky_relu" and name == "weights":
        assert any(row.undefined for row in rows)


def test_products_of_a_statement_have_the_rows_and_columns_of_one_result():
    """All that can have those of the first: they are computed tile by tile, together."""
    sizes = {index.axis: 64 for index in (I, J, K, L)}
    a, b, c, d = (n.Load(name, at) for name, at in {"a": (I, J), "b": (J, K), "c": (I, L), "d": (L, K)}.items())
    first, second = n.Reduce((J,), n.Product((a, b))), n.Reduce((L,), n.Product((c, d)))
    alone = n.Reduce((J,), n.Product((a, n.Load("e", (J,)))))
    products = Products(SimpleNamespace(module=SimpleNamespace(sizes=sizes), lanes=False))
    value = n.Sum(((1, first), (-1, second), (1, alone)))
    for indices in ((I, K), (K, I)):
        found = products.of(n.Define("r", indices, value))
        assert list(found) == [first, second]
        assert len({(made.rows, made.columns) for made in found.values()}) == 1
        assert {made.over for made in found.values()} == {J, L}


@pytest.mark.parametrize("name", ["backprop", "history"])
def test_blocks_of_c_are_indented(name):
    """By four places each, line by line where a statement begins."""
    need("cc")
    depth, before, comment = 0, ";", False
    for line in fcsym.scheme(Network.mlp([2, 2, 1], "tanh", bias=True), name).compile("c").source.splitlines():
        text = line.strip()
        comment = comment or text.startswith("/*")
        if not comment and text and not text.startswith("#"):
            if before[-1] in ";{}":
                assert len(line) - len(line.lstrip()) == 4 * (depth - text.startswith("}")), line
            depth, before = depth + text.count("{") - text.count("}"), text
        comment = comment and "*/" not in text
    assert depth == 0


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_not_finite_is_refused(name):
    """The input and the target, of a step and of the network alone."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), name)
    kernel = scheme.compile()
    state, x = started(kernel, scheme)[0], [0.5, -1.0]
    for bad in (np.nan, np.inf):
        for call in (
            lambda bad=bad: kernel.step(state, [0.5, bad], [1.0], 0.1),
            lambda bad=bad: kernel.step(state, x, [bad], 0.1),
            lambda bad=bad: kernel.output(state, [0.5, bad]),
        ):
            with pytest.raises(ArgumentError, match="finite"):
                call()


def test_one_network_is_bound_and_no_more():
    """Nothing that it is given has leading axes, not even one of length 1."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), "backprop")
    kernel = scheme.compile()
    state, weights, _ = started(kernel, scheme)
    good = {"state": state, "x": np.ones(2), "target": np.ones(1), "eta": np.asarray(0.1)}
    kernel.bind(*good.values()).step()
    for name in ("x", "target", "eta"):
        with pytest.raises(ArgumentError, match="leading axes"):
            kernel.bind(*(good | {name: good[name][None]}).values())
    with pytest.raises(ArgumentError, match="leading axes"):
        kernel.bind(kernel.init([w[None] for w in weights]), *list(good.values())[1:])


def test_numbers_of_a_test_program_are_rounded_where_they_say_so():
    """A literal that single precision holds is written as it is; others are cast, and none is changed."""
    row = Row(((0.5, -3.0), (0.1,)), ((1.0, float("inf")),), ((1 / 3,),), 0.25, ((2.0,),), ((),), False, ())
    text = _c_row(row, "real", False)
    found = re.findall(r"(\(real\))?(-?(?:\d[\d.e+-]*|inf))", text.split("\n")[0] + text)
    said = {float(number): bool(cast) for cast, number in found}
    for number in (0.5, -3.0, 1.0, 0.25, 2.0, 0.1, 1 / 3):
        assert said[number] == (float(np.float32(number)) != number), number


def test_functions_of_single_numbers_overflow_to_what_is_said():
    for function, at, most in ((math.exp, 1.5, math.inf), (math.cosh, -2.0, math.inf)):
        made = _overflowing(function, most)
        assert made(at) == function(at) and made(1e4) == most
    root = _outside(math.sqrt)
    assert root(4.0) == 2.0 and math.isnan(root(-1.0))


@pytest.mark.parametrize("wrong", ["", "output", "expand"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_kernel_is_compared_at_every_output_and_at_the_end(count, wrong):
    """However few networks there are: what is off there is found."""
    scheme = fcsym.scheme(Network.mlp([2, 2, 1], "tanh"), "backprop")
    kernel = scheme.compile()

    class Off:
        def __getattr__(self, name):
            return getattr(kernel, name)

        def output(self, *given):
            return kernel.output(*given) + (wrong == "output")

        def expand(self, *given):
            return [w + (wrong == "expand") for w in kernel.expand(*given)]

    good, off, problem = _group(scheme, Off(), backpropagation, 0.01, np.random.default_rng(0), count)
    assert (good, problem) == (count, "") and (off > 0.1 if wrong else off < 1e-12)


def test_a_slice_is_what_a_form_says():
    """Position by position where one index moves it; where it is no slice, there is none."""
    module = SimpleNamespace(sizes={I.axis: 3, J.axis: 12, K.axis: 2})
    sums = Sums(SimpleNamespace(sizes=module.sizes, module=module))
    for step in (1, 2, 3):
        for constant in (-1, 0, 1, 5, 9):
            form = I * step + constant
            at = [constant + step * i for i in range(3)]
            text = sums._slice(J, form)
            if at[0] >= 0 and at[-1] < 12:
                assert eval(f"array[{text}]", {"array": np.arange(12)}).tolist() == at, form
            else:
                assert text is None, form
    assert sums._slice(J, IndexForm((), 4)) == "4" and sums._slice(J, None) == ":"
    assert sums._slice(J, I + K) is None and sums._slice(J, 5 - I) is None
