"""Networks of layers against autodiff: every kind in every setting, and what is changed in them is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import few

from fcsym import ArgumentError, Network, check, derive, gradient, scheme
from fcsym.checking.layer_oracles import ORACLES
from fcsym.checking.oracle import backpropagation
from fcsym.equations import apply, hidden, indices, input_, parameter
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import replaced
from fcsym.language.equation import Cases
from fcsym.language.expression import ONE, Indicator, Mul, Number, Pow, Total, add, indicator, mul, total
from fcsym.language.expression import Add as Plus
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    AvgPool1d,
    AvgPool2d,
    Concatenate,
    Conv1d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MaxPool2d,
    MultiheadAttention,
    Node,
    Residual,
    RMSNorm,
)  # fmt: skip
from fcsym.networks.layers import KINDS

RELU, TANH = Activation("relu"), Activation("tanh")
NETWORKS = {
    "conv1d": ((2, 6), [Conv1d(2, 4, 2, stride=2, padding=1, groups=2), RELU, MaxPool1d(2), Flatten(), Linear(8, 2)]),
    "dilated": ((1, 7), [Conv1d(1, 2, 2, dilation=3), TANH, AvgPool1d(2, 1), Flatten(), Linear(6, 1)]),
    "conv2d": ((1, 4, 5), [Conv2d(1, 2, (2, 3), stride=(1, 2)), RELU, AvgPool2d((2, 1), 1), Flatten(), Linear(8, 2)]),
    "maxpool2d": ((1, 4, 4), [Conv2d(1, 2, 1, bias=False), RELU, MaxPool2d(2), Flatten(), Linear(8, 2)]),
    "padded": ((1, 4), [Conv1d(1, 1, 2), RELU, MaxPool1d(3, 2, 1), Flatten(), Linear(2, 2)]),
    "strided": ((1, 7), [Conv1d(1, 1, 2, stride=3), RELU, Flatten(), Linear(2, 1, bias=False)]),
    "rnn": ((3, 2), [RNN(2, 2), Linear(2, 1)]),
    "relu recurrence": ((2, 1), [RNN(1, 2, nonlinearity="relu", last=True), Linear(2, 1)]),
    "lstm": ((2, 2), [LSTM(2, 2, last=True), Linear(2, 1)]),
    "gru": ((2, 1), [GRU(1, 2, bias=False), Linear(2, 1)]),
    "gru of two steps": ((2, 2), [GRU(2, 2, bias=False, last=True), Linear(2, 1)]),
    "one step": ((1, 1), [LSTM(1, 1), GRU(1, 1, last=True), Linear(1, 1)]),
    "attention": ((3, 4), [Residual([LayerNorm(4), MultiheadAttention(4, 2, causal=True)]), Linear(4, 1)]),
    "embedding": ((2, 3), [Embedding(3, 2), Dropout("0.25"), RMSNorm(2), MultiheadAttention(2, 1), Linear(2, 1)]),
    "graph": ((2,), [
        Node(Linear(2, 3), "a"), Node(TANH, "b"), Node(Linear(2, 3), "c", ("x",)), Node(Add(), "d", ("b", "c")),
        Node(Concatenate(), "e", ("d", "a")), Linear(6, 1),
    ]),
}  # fmt: skip
WITHOUT_ORDER = ("rnn", "relu recurrence", "lstm", "gru", "gru of two steps", "one step")


def network(name, **more):
    shape, layers = NETWORKS[name]
    return Network.sequential(shape, layers, **more)


READ_ONCE = {  # whether a unit whose gate is closed moves only by its gate, and which increment says so
    "a window over all": ((1, 2), [Conv1d(1, 1, 2), RELU, Flatten(), Linear(1, 1)], "dv1", True),
    "two windows": ((1, 3), [Conv1d(1, 1, 2), RELU, Flatten(), Linear(2, 1)], "dv1", False),
    "one step": ((1, 2), [RNN(2, 2, nonlinearity="relu", last=True), Linear(2, 1)], "dh1_t1", True),
    "the first of two steps": ((2, 2), [RNN(2, 2, nonlinearity="relu", last=True), Linear(2, 1)], "dh1_t1", False),
    "beside what is passed on": ((2,), [Residual([Linear(2, 2), RELU]), Linear(2, 1)], "dv1", True),
    "what is read again": ((2,), [
        Node(Linear(2, 2), "a"), Node(RELU, "b"), Node(Add(), "c", ("a", "b")), Linear(2, 1),
    ], "dv1", False),
    "above what moves": ((2,), [Residual([Linear(2, 2)]), Linear(2, 2), RELU, Linear(2, 1)], "dv3", False),
    "a sum with the input": ((2,), [Residual([Linear(2, 2)]), RELU, Linear(2, 1)], "dv3", True),
    "two maps beside each other": ((2,), [
        Node(Linear(2, 2), "a"), Node(Linear(2, 1), "b", ("x",)), Node(Concatenate(), "c", ("a", "b")), RELU,
        Linear(3, 1),
    ], "dv4", True),
    "read for two units": ((2,), [
        Node(Linear(2, 2), "a"), Node(Linear(2, 2), "b", ("x",)), Node(Add(), "d", ("a", "b")),
        Node(Concatenate(), "c", ("a", "d")), RELU, Linear(4, 1),
    ], "dv5", False),
    "below a mask": ((2,), [Linear(2, 2), Dropout("0.5"), RELU, Linear(2, 1)], "dv3", True),
    "one mean": ((1, 4), [Conv1d(1, 2, 2, 2), AvgPool1d(2), RELU, Flatten(), Linear(2, 1)], "dv3", True),
    "one greatest": ((1, 4), [Conv1d(1, 2, 2, 2), MaxPool1d(2), RELU, Flatten(), Linear(2, 1)], "dv3", True),
    "two means": ((1, 8), [Conv1d(1, 2, 2, 2), AvgPool1d(2), RELU, Flatten(), Linear(4, 1)], "dv3", False),
    "below a norm": ((2,), [Linear(2, 2), LayerNorm(2), RELU, Linear(2, 1)], "dv3", False),
}  # fmt: skip


@pytest.mark.parametrize("case", few(READ_ONCE, 4))
def test_a_unit_that_is_read_once_cannot_wake_up_and_others_do(case):
    shape, layers, name, closed = READ_ONCE[case]
    d = derive(Network.sequential(shape, layers))
    woken = next(f for f in d.proof.findings if f.equation == name and f.case == "dead -> active")
    assert woken.possible is not closed
    report = check(d, trials=20, seed=0)
    assert report.passed
    row = next(row for row in report.rows if (row.quantity, row.case) == (name, "dead -> active"))
    assert (row.points == 0) is row.impossible is closed
    batches = derive(Network.sequential(shape, layers), batch="mean")
    assert all(f.possible for f in batches.proof.findings if f.case == "dead -> active")


def test_every_kind_has_an_entry_and_a_network():
    groups = {name for name, kind in KINDS.items() if kind.inner is not KINDS["linear"].inner}
    assert set(ORACLES) == set(KINDS) - groups
    used = {node.layer.kind for name in NETWORKS for node in network(name).nodes}
    assert used == set(ORACLES)


SETTINGS = [
    {}, {"batch": "mean", "samples": 2}, {"batch": "sum", "rule": "momentum"}, {"rule": "adam"},
    {"batch": "mean", "rule": "nesterov", "samples": 3},
]  # fmt: skip
CASES = [(name, n) for name in NETWORKS for n in range(len(SETTINGS))]


@pytest.mark.parametrize(("name", "n"), few(CASES, 26), ids=str)
def test_a_step_is_that_of_autodiff(name, n):
    report = check(derive(network(name), **SETTINGS[n]), trials=16)
    assert report.passed, str(report)
    seen = {row.quantity for row in report.rows}
    assert {"y", "E", "dy", "y_new"} <= seen
    assert {theta.primed.name for theta in network(name).trained} <= seen


@pytest.mark.parametrize("name", few([name for name in NETWORKS if name not in WITHOUT_ORDER], 5))
def test_in_sequential_order_and_in_no_other(name):
    d = derive(network(name), "sequential")
    assert check(d, trials=16)
    against = check(d, trials=16, against="simultaneous")
    assert not against.passed


@pytest.mark.parametrize(
    "name", few([name for name in WITHOUT_ORDER if name not in ("one step", "relu recurrence")], 2)
)
def test_a_parameter_that_comes_after_itself_has_no_sequential_order(name):
    net = Network.sequential((3, NETWORKS[name][0][1]), NETWORKS[name][1])
    with pytest.raises(ArgumentError, match="before its own gradient is known"):
        derive(net, "sequential")


def test_autodiff_finds_no_end_there():
    net = network("rnn")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(1, *net.shape(theta))) for theta in net.parameters]
    x, y = (rng.normal(size=(1, *net.shape(array))) for array in (net.input, net.target))
    with pytest.raises(UnsupportedExpression, match="comes after itself"):
        backpropagation(net, "sequential", weights, x, y, np.ones(1))


@pytest.mark.parametrize("name", few(NETWORKS, 6))
def test_training_is_that_of_autodiff(name):
    report = check(scheme(network(name), "backprop", batch="mean", rule="momentum"), trials=4, steps=12)
    assert report.passed, str(report)


@pytest.mark.parametrize("of", ["E", "y"])
@pytest.mark.parametrize("name", few(NETWORKS, 7))
def test_derivatives_are_those_of_autodiff(name, of):
    net = network(name)
    names = [net.parameters[0].name, net.parameters[-1].name, "x"]
    for batch in (None, "mean"):
        report = check(gradient(net, of, names, batch=batch), trials=4)
        assert report.passed, str(report)


# ------------------------------------------------------------------------------------------------- what is refused


def changed(d, name, change):
    """The derivation with one equation replaced, as if it had been derived so."""
    old = d.by_name[name]
    new = replace(old, rhs=change(old.rhs))
    assert new.rhs != old.rhs
    return replace(d, equations=tuple(new if e is old else e for e in d.equations))


def without(kind):
    """A change that takes factors of a kind away: what a mean divides by, say."""
    return lambda node: rebuilt(node, lambda part: ONE if isinstance(part, kind) else None)


def rebuilt(node, change):
    """An expression with some parts put in the place of others."""
    made = change(node)
    if made is not None:
        return made
    match node:
        case Plus(terms):
            return add(*(rebuilt(term, change) for term in terms))
        case Mul(factors):
            return mul(*(rebuilt(factor, change) for factor in factors))
        case Total(over, body):
            return total(over, rebuilt(body, change))
    return node


def one_place_further(node):
    """A window that lies one place further on."""
    return rebuilt(node, lambda part: indicator(part.index, part.form + 1) if isinstance(part, Indicator) else None)


def another_stride(node):
    """Windows that follow each other one place later."""

    def later(part):
        if not isinstance(part, Indicator):
            return None
        return indicator(part.index, part.form + next(index for index, step in part.form.terms if step > 1))

    return rebuilt(node, later)


def another_array(d, old, new):
    """A change that reads another array in the place of one, with the same indices."""
    arrays = {e.name: e.array for e in d.equations} | {theta.name: theta for theta in d.network.parameters}
    return lambda node: replaced(node, lambda ref: arrays[new][ref.indices] if ref.array.name == old else ref)


def transposed(name):
    return lambda node: replaced(node, lambda ref: ref.array[ref.indices[::-1]] if ref.array.name == name else ref)


def slightly(node):
    return mul(Number(Fraction(1_000_001, 1_000_000)), node)


def without_term(n):
    return lambda node: add(*(term for m, term in enumerate(node.terms) if m != n))


SLIPS = {
    "the windows of the update lie one place further on": ("conv1d", {}, "dE_dW1", one_place_further),
    "the windows of the change lie one place further on": ("strided", {}, "ds1", one_place_further),
    "another stride": ("strided", {}, "s1", another_stride),
    "the mean over the samples is not divided": ("conv1d", {"batch": "mean"}, "delta3", without(Pow)),
    "the mean of a pooling is not divided": ("dilated", {}, "v2", without(Number)),
    "a matrix is transposed": ("lstm", {}, "adj_h1_t1", transposed("Ug1")),
    "a use of a shared matrix is forgotten": ("rnn", {}, "dE_dU1", without_term(1)),
    "a factor of a gate is forgotten": ("gru", {}, "dh1_t2", without_term(0)),
    "what dropout makes up for is forgotten": ("embedding", {}, "delta1", without(Number)),
    "the residual connection is forgotten": ("attention", {}, "v3", without_term(0)),
    "the scale of a normalisation is off by a millionth": ("attention", {}, "dE_dgamma1", slightly),
    "the width of the heads is off by a millionth": ("attention", {}, "dim2", slightly),
    "what is side by side is read one place further on": ("graph", {}, "delta1", one_place_further),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_refused(slip):
    name, setting, equation, change = SLIPS[slip]
    d = derive(network(name), **setting)
    slipped = changed(d, equation, change)
    assert check(d, trials=4)
    assert not check(slipped, trials=4)


def test_of_two_orders_of_the_update_one_is_refused():
    d = derive(network("conv1d"), "sequential")
    wrong = another_array(d, "W3_new", "W3")
    assert not check(changed(d, "adj_v2", wrong), trials=4)


UNSEEN = ("z2_t2", "m2_t1_new", "dz2_t2", "z2_t2_new")  # only their signs matter, or nothing reads them


@pytest.mark.parametrize("name", ["conv1d"])
def test_a_millionth_in_any_equation_is_refused(name):
    d = derive(network(name))
    names = [e.name for e in d.equations if e.defines and not isinstance(e.rhs, Cases) and e.name not in UNSEEN]
    for equation in few(names, 5):
        assert not check(changed(d, equation, slightly), trials=4), equation


# -------------------------------------------------------------------------------------------- a reader's own equations


def own(**more):
    """A gate over what a window of one's own reads."""
    i, t, u, k = indices("i t u k")
    x, w, a, out = input_("x", u), parameter("W", i), parameter("A", t, u), parameter("U", k, t)
    s, z, g, v, y = (*(hidden(name, t) for name in "szgv"), hidden("y", k))
    window = (s[t], total((i, u), w[i] * indicator(u, 2 * t + i) * x[u]))
    gate = [(z[t], total(u, a[t, u] * x[u])), (g[t], apply("sigmoid", z[t])), (v[t], g[t] * s[t] ** 2)]
    read = (y[k], total(t, out[k, t] * v[t]))
    return Network.from_equations([window, *gate, read], {"i": 2, "u": 5, "t": 2, "k": 1}, **more)


@pytest.mark.parametrize("setting", [{}, {"order": "sequential"}, {"batch": "mean", "rule": "adam"}], ids=str)
def test_equations_of_ones_own_are_checked(setting):
    d = derive(own(), **setting)
    assert check(d, trials=16)
    assert not check(changed(d, "dE_dW", slightly), trials=4)
    assert not check(changed(d, "s", one_place_further), trials=4)
