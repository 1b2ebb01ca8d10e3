"""What a step on columns is made of: its state, what is put in, which numbers are known, and files that are written.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from test_small_collapses import plain
from test_small_collapsing_closures import BUMP
from test_small_proofs import HAT

import fcsym
from fcsym import Network, find_collapse
from fcsym.collapsing import export, kernel
from fcsym.collapsing.beside import beside_text
from fcsym.collapsing.conserved import _own_share
from fcsym.collapsing.gates_held import _put_in, gates_held
from fcsym.collapsing.held import Held, Unsuited
from fcsym.collapsing.kernel import CollapsedKernel
from fcsym.collapsing.lumped import NotLinear, Scalars, block_of
from fcsym.collapsing.moving import Run
from fcsym.collapsing.quantities import Quantity, Use
from fcsym.collapsing.tabled import table_of
from fcsym.errors import ArgumentError
from fcsym.kernel.targets.c import room_of
from fcsym.kernel.targets.numpy import NumpyTarget
from fcsym.language.algebra import expand
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Axis, Index, Role, add, mul, power, total
from fcsym.networks.symbols import ETA, SAMPLES, increment_of

J, N = Axis("n_1"), Axis("n_0")
j, i = Index(J, "j"), Index(N, "i")
W, s, x = Array("W", 1, (J, N)), Array("s", 1, (J,), role=Role.PRE_ACTIVATION), Array("x", None, (N,))
A, B = (Array(name, None, ()) for name in "ab")


@pytest.mark.parametrize("layers", [(0,), (1,), (0, 1), (2,), (0, 2), (1, 2)])
def test_the_first_matrix_is_in_a_state_where_the_inputs_are_not_summed_over(layers):
    """In its place are pre-activations and what the steps add up to; other matrices are always there."""
    network = Network.mlp([2, 3, 3, 1]).training(None, "sum", 2)
    names = {a.name for a in gates_held(network, "simultaneous", layers).state}
    assert ("W1" in names) is (0 not in layers) and ("s1" in names) is (0 in layers) and {"W2", "W3"} < names


def test_an_increment_is_put_in_where_it_is_read_once():
    """And nowhere else: of two that read it neither is changed, and one that nothing reads stays."""
    ds = increment_of(s)
    own = Equation(ds[j], mul(-1, ETA[()], W[j, i], x[i]), Rule.IDENTITY, "")
    once = Equation(s.primed[j], add(s[j], ds[j]), Rule.STATE, "")
    again = Equation(Array("t", 1, (J,))[j], mul(2, ds[j]), Rule.STATE, "")
    other = Equation(Array("u", 1, (J,))[j], mul(3, s[j]), Rule.STATE, "")
    (made, kept) = _put_in([own, once, other])
    assert kept is other and made.lhs == once.lhs and made.rhs == add(s[j], own.rhs)
    for equations in ([own, once, again], [own, other], [once, other]):
        assert _put_in(equations) == equations


def test_pre_activations_stand_for_the_first_matrix_where_no_weight_of_it_is_left():
    """Of what moves: a frozen bias is a number like others; a frozen matrix is left beside a bias that decays."""
    network = Network.mlp([2, 3, 1], bias=True)
    decay = fcsym.rule("sgd", weight_decay=0.1)
    for own, out in (
        (network, True), (network.frozen("b1"), True), (network.training(decay).frozen("b1"), True),
        (network.training("momentum").frozen("b1"), True), (network.frozen("W1"), True),
        (network.training(decay), True),
        (network.training(decay).frozen("W1"), False), (network.training("momentum").frozen("W1"), False),
    ):  # fmt: skip
        for inputs in (1, 2):
            assert Held.of(own, "simultaneous", inputs, frozenset({0, 1})).first_out is out, (str(own), inputs)
            assert not Held.of(own, "simultaneous", inputs, frozenset({1})).first_out


@pytest.mark.parametrize("output", ["tanh", "relu", HAT], ids=["tanh", "relu", "hat"])
def test_what_is_no_polynomial_is_said_to_be_none(output):
    """An output that is a function of the logits, of which no gate is held; the logits are one."""
    network = Network.mlp([2, 3, 1], output=output)
    held = Held.of(network, "simultaneous", 1, frozenset({0, 1}))
    with pytest.raises(Unsuited, match=r"^y is no polynomial$"):
        held.resolved(network.output[tuple(Index(axis, "k") for axis in network.output.axes)], held.kept)
    k = tuple(Index(axis, "k") for axis in network.logits.axes)
    assert {a.name for a in (held.network.hidden[0].s,)} == {"s1"}
    assert expand(held.resolved(network.logits[k], held.kept))


def test_a_known_number_is_one_of_a_pattern():
    """Not a product of two, not a sum over units, and not one of several."""
    closure = find_collapse(Network.mlp([2, 3, 1]), contracted=(0, 1)).choices[0].closure
    scalars = Scalars(closure, block_of(closure))
    K, C = closure.network.output.axes[0], scalars.group.axis
    one, pair, both = Array("d", 2, (K,)), Array("g", 1, (C,)), Array("h", 1, (K, C))

    def use(*factors, bound=(), free=()):
        places = iter(range(9))
        made = tuple((a, tuple(("free", next(places)) for _ in a.axes)) for a in factors)
        return Use(Quantity(made, bound, free or tuple(axis for a in factors for axis in a.axes)), ())

    for array in (one, pair, both, A):
        assert scalars.of(use(array)) == sympy.Symbol(array.name, real=True)
        assert scalars.of(use(array)).is_real
    wide = Array("w", 1, (closure.network.input.axes[-1],))
    for wrong in (use(one, pair), use(pair, bound=(J,)), use(wide), use(A, A)):
        with pytest.raises(NotLinear):
            scalars.of(wrong)


def test_the_share_of_a_square_is_what_is_that_square_times_single_numbers():
    """Everything else is left: the square of something else, and the square beside what has indices."""
    square = expand(total((j, i), power(W[j, i], 2)))
    parts = {
        mul(-2, A[()], total((j, i), power(W[j, i], 2))): True,
        mul(3, A[()], B[()], total((j, i), power(W[j, i], 2))): True,
        total((j, i), mul(W[j, i], s[j], x[i])): False,
        mul(5, A[()], B[()]): False,
        total((j, i), mul(power(W[j, i], 2), s[j])): False,
    }
    rate, rest = _own_share(square, expand(add(*parts)))
    assert expand(rate) == expand(add(mul(-2, A[()]), mul(3, A[()], B[()])))
    assert rest == expand(add(*(part for part, own in parts.items() if not own)))


@pytest.mark.parametrize("network", [
    Network.mlp([2, 9, 1], bias=True).shared("b1"), Network.mlp([2, 9, 2], HAT), Network.mlp([2, 9, 1], BUMP),
], ids=["one bias for all", "hat", "bump"])  # fmt: skip
def test_units_one_by_one_have_no_ones(network):
    """The 1 of every unit is the number 1 there, in what stands for what and in every function."""
    record = fcsym.scheme(network, "collapsed", batch="sum", samples=2).induction
    every = [*record.meanings, *(e for one in record.routines.values() for e in one.equations)]
    assert every and not [e.name for e in every for a in e.operands if a.role is Role.UNIT]


@pytest.mark.parametrize("network", [
    Network.mlp([2, 9, 2]), Network.mlp([2, 9, 1], bias=True).training("momentum"), Network.mlp([2, 9, 2], HAT),
], ids=["no bias", "momentum", "hat"])  # fmt: skip
def test_which_group_a_unit_is_in_is_asked_for_where_something_is_of_a_group(network):
    """And not of what is of the unit alone."""
    record = fcsym.scheme(network, "collapsed", batch="sum", samples=2).induction
    every = [*record.meanings, *record.moving.values(), *(e for one in record.routines.values() for e in one.equations)]
    asked = [e for e in every if "on1" in {a.name for a in e.operands}]
    assert {"Wz2", "Cz1"} < {a.name for e in asked for a in e.operands}
    for e in asked:
        others = [*(a for a in e.operands if a.name != "on1"), e.array]
        assert any(axis.name == "p_1" for a in others for axis in a.axes), e.name


def test_the_text_of_a_file_says_nothing_of_how_wide_a_layer_is_that_is_summed_over():
    """But where it names the network and its equations, and in the shapes of its weights."""
    narrow, wide = (
        export.text_of(
            Network.mlp([2, n, 2], bias=True), "simultaneous", (0, 1), NumpyTarget(), "update", []
        ).splitlines()
        for n in (37, 654321)
    )
    assert len(narrow) == len(wide)
    other = [(a, b) for a, b in zip(narrow, wide, strict=True) if a != b and "; equations " not in a]
    assert other and all(a.replace("37", "654321") == b for a, b in other)


@pytest.mark.parametrize("batch", ["", "sum", "mean"])
def test_rows_of_a_file_are_of_mini_batches_as_they_are_trained(batch):
    """Of the sum of their losses unless it is said that they have the mean: backpropagation in NumPy, step by step."""
    network = Network.mlp([2, 3, 1])
    network = network.training(None, batch, 2) if batch else network.training(None, "", None)
    rows = [row for row in export._rows(network, "simultaneous", None) if not row.undefined][:5]
    trained = network.training(None, batch or "sum", network.samples or None)
    assert rows
    for row in rows:
        x = np.array(row.x[0], float)
        functions = plain(SimpleNamespace(samples=len(x), inputs=2, batch=trained.batch))
        state = functions["init"]([np.reshape(w, s) for w, s in zip(row.weights, [(3, 2), (1, 3)], strict=True)], x)
        assert x.ndim == 2
        for target, y in zip(row.target, row.y, strict=False):
            np.testing.assert_allclose(functions["output"](state).ravel(), np.ravel(y), rtol=1e-12, atol=1e-13)
            state = functions["step"](state, None, np.array(target, float), row.eta)
        for found, wanted in zip(functions["expand"](state), row.expanded, strict=True):
            np.testing.assert_allclose(found.ravel(), wanted, rtol=1e-12, atol=1e-13)


def test_the_program_that_tests_a_file_in_c_has_room_for_what_backpropagation_writes_down():
    """Its arrays, and its strips of them, of as many samples as there are."""
    _, module, table = export._known(Network.mlp([20, 50, 2], bias=True), "simultaneous", (1,))
    text = beside_text(module, table, "update")
    (count,) = {int(found) for found in re.findall(r"x\[(\d+) \* UPDATE_INPUTS\]", text)}
    rooms = [room_of(replace(module[f], name=n), module) for f, n in (("rest", "rest"), ("backprop", "step"))]
    assert any(room.strips.at(count) for room in rooms)
    needed = max(room.given.at(count) + room.strips.at(count) for room in rooms)
    assert int(re.search(r"plain_work\[(\d+)\]", text)[1]) > needed


@pytest.mark.parametrize("target", ["numpy", "c", "jax", "torch"])
def test_a_package_is_asked_for_where_a_kernel_is_of_its_arrays(target, monkeypatch):
    """When it is compiled, and not only when it is used."""
    asked = []
    monkeypatch.setattr("fcsym.kernel.pure.installed", asked.append)
    CollapsedKernel(Network.mlp([2, 3, 1]), "simultaneous", (0, 1), target)
    assert asked == ([target] if target in ("jax", "torch") else [])


def test_a_target_that_is_no_probability_is_refused_unless_marks_are_asked_for():
    """As schemes do: with undefined="nan" nothing is raised, whatever the target is."""
    own = CollapsedKernel(Network.mlp([2, 9, 2], output="sigmoid", loss="bce"), "simultaneous", (0, 1))
    rng = np.random.default_rng(0)
    x, wrong = rng.normal(size=(2, 2)), np.array([[0.5, 2.0], [0.5, 0.5]])
    state = own.init([rng.normal(size=(9, 2)), rng.normal(size=(2, 9))], x)
    for given, target in ((x, wrong), (x[0], wrong[0])):
        with pytest.raises(ArgumentError, match="probabilit"):
            own.step(state, given, target, 0.1)
        assert own.step(state, given, target, 0.1, undefined="nan").steps == 1
    assert kernel.stepped(state, None, wrong, 0.1, False, False).steps == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_unit_is_on_a_kink_within_a_sixteenth_of_half_the_digits(dtype):
    """Where weights and inputs are short."""
    run = Run(SimpleNamespace(bound=None), np.ones((1, 1), dtype), False, (np.ones((1, 1), dtype),), dtype)
    assert run.fine * 16 == float(np.sqrt(np.finfo(dtype).eps))


@pytest.mark.parametrize("phi", ["relu", HAT, "tanh"], ids=["relu", "hat", "tanh"])
def test_a_layer_with_kinks_above_one_that_is_summed_over_is_looked_at(phi):
    """By its place among what a step gives, and by that among what is known at the start."""
    network = Network.mlp([2, 9, 3, 2, 1], ["relu", "tanh", phi]).training(None, "sum", 2)
    table = table_of(network, "simultaneous", (0, 1))
    kinks = tuple(map(float, network.hidden[2].activation.kinks))
    seen = [h.s.name for h in network.hidden if h.activation.kinks]
    assert len(table.above) == bool(kinks)
    for at, start, own in table.above:
        beside = [name for name in seen if name not in table.state]
        assert [*table.state, *beside][at] == seen[start] == "s3" and own == kinks
    assert all(a.axes[0] == SAMPLES for a in (network.hidden[2].s,))
    assert table_of(network, "simultaneous", (3,)).above == ()
