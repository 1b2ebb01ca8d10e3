"""What layers of the oracle compute, number by number, and its steps, beside those in rational numbers.

Each takes a fraction of a second, so that a fault in what everything is held against is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import exact as by_hand
import numpy as np
import pytest
from test_small_running_bounds import NODES, A, B, C, I, J, drawn, exactly

import fcsym
from fcsym import Flatten, Linear, Network
from fcsym.checking import checker
from fcsym.checking.layer_oracles import ORACLES, Passing, Weight, forward
from fcsym.checking.oracle import backpropagation, derivatives, second_derivatives
from fcsym.checking.own_oracle import _Reading
from fcsym.checking.points import random_points
from fcsym.checking.tally import Tally
from fcsym.equations import apply, hidden, indices, input_, parameter, total
from fcsym.errors import ArgumentError, NetworkError
from fcsym.language.expression import Extreme, mul
from fcsym.layers import Node


def passed(layer, x, *weights):
    """What a layer makes of one sample."""
    given = [Weight(w[None], w[None]) for w in weights]
    at = Passing(given)
    found = ORACLES[layer.kind](layer, at, [one[None, None] for one in (x if isinstance(x, list) else [x])])
    assert not at.weights  # every parameter is taken
    return found[0, 0]


def pair(value, count):
    return value if isinstance(value, tuple) else (value,) * count


def windows(x, size, stride, padding, dilation):
    """Of every window: its place, and the elements that it reads, with None where there is none."""
    count = x.ndim - 1
    size, stride, padding, dilation = (pair(one, count) for one in (size, stride, padding, dilation))
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    starts = [range(-p, n + p - r + 1, s) for n, p, r, s in zip(x.shape[1:], padding, reach, stride, strict=True)]
    for where in product(*(range(len(one)) for one in starts)):
        corner = [one[n] for one, n in zip(starts, where, strict=True)]
        taps = {}
        for tap in product(*map(range, size)):
            at = [c + d * k for c, d, k in zip(corner, dilation, tap, strict=True)]
            inside = all(0 <= a < n for a, n in zip(at, x.shape[1:], strict=True))
            taps[tap] = tuple(at) if inside else None
        yield where, taps


CONVOLUTIONS = {
    "plain": (fcsym.Conv1d(2, 3, 2), (2, 5)),
    "strided": (fcsym.Conv1d(1, 2, 3, stride=2, padding=1), (1, 6)),
    "dilated": (fcsym.Conv1d(1, 2, 2, dilation=2, bias=False), (1, 6)),
    "in groups": (fcsym.Conv1d(4, 6, 2, groups=2), (4, 3)),
    "of two directions": (fcsym.Conv2d(2, 2, (1, 2), stride=(2, 1), padding=(0, 1)), (2, 3, 3)),
    "of two, in groups": (fcsym.Conv2d(2, 4, 2, padding=1, dilation=(1, 2), groups=2, bias=False), (2, 2, 3)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_is_a_sum_over_each_window(name):
    layer, shape = CONVOLUTIONS[name]
    rng, count = np.random.default_rng(0), len(shape) - 1
    x, size = rng.normal(size=shape), pair(layer.kernel_size, count)
    inner, outer = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    w = rng.normal(size=(layer.out_channels, inner, *size))
    weights = [w, rng.normal(size=layer.out_channels)] if layer.bias else [w]
    found = passed(layer, x, *weights)
    places = dict(windows(x, size, layer.stride, layer.padding, layer.dilation))
    assert found.shape == (layer.out_channels, *(max(axis) + 1 for axis in zip(*places, strict=True)))
    for k, (where, taps) in product(range(layer.out_channels), places.items()):
        group = k // outer
        terms = [
            w[(k, c, *tap)] * x[(group * inner + c, *at)]
            for c in range(inner) for tap, at in taps.items() if at is not None
        ]  # fmt: skip
        wanted = sum(terms) + (weights[1][k] if layer.bias else 0)
        assert found[(k, *where)] == pytest.approx(wanted, rel=1e-12, abs=1e-14)


POOLS = {
    "pairs": (fcsym.MaxPool1d(2), (2, 6)),
    "strided": (fcsym.MaxPool1d(3, stride=1, padding=1), (1, 5)),
    "dilated": (fcsym.MaxPool1d(2, stride=1, dilation=2), (1, 5)),
    "of two directions": (fcsym.MaxPool2d((2, 1), stride=(1, 2), padding=(1, 0)), (1, 3, 4)),
    "averages": (fcsym.AvgPool1d(2), (2, 6)),
    "strided averages": (fcsym.AvgPool1d(3, stride=2, padding=1), (1, 5)),
    "averages of two directions": (fcsym.AvgPool2d((2, 3), stride=1), (2, 3, 4)),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_is_the_mean_or_the_greatest_of_each_window(name):
    """Where a window has no element, the mean has a 0, and the greatest nothing."""
    layer, shape = POOLS[name]
    x = np.random.default_rng(0).normal(size=shape) - 3  # a 0 beside them would be the greatest
    found = passed(layer, x)
    places = dict(
        windows(x, layer.kernel_size, layer.stride or layer.kernel_size, layer.padding, getattr(layer, "dilation", 1))
    )
    assert found.shape == (shape[0], *(max(axis) + 1 for axis in zip(*places, strict=True)))
    for c, (where, taps) in product(range(shape[0]), places.items()):
        read = [x[(c, *at)] for at in taps.values() if at is not None]
        wanted = max(read) if layer.kind.startswith("max") else sum(read) / len(taps)
        assert found[(c, *where)] == pytest.approx(wanted, rel=1e-12)


def test_what_is_joined_added_picked_and_dropped():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 2, 4))
    assert (passed(fcsym.layers.Add(), [a, b, c]) == a + b + c).all()
    assert (passed(fcsym.Concatenate(), [a, b[:, :1], c]) == np.concatenate([a, b[:, :1], c], axis=1)).all()
    assert (passed(Flatten(), a) == a.ravel()).all()
    table, tokens = rng.normal(size=(5, 3)), [4, 0, 4]
    assert (passed(fcsym.Embedding(5, 3), np.eye(5)[tokens], table) == table[tokens]).all()
    mask = np.array([[1.0, 0, 1, 1], [0, 1, 0, 1]])
    np.testing.assert_allclose(passed(fcsym.Dropout("1/4"), a, mask), mask * a / 0.75, rtol=1e-15)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_of_a_recurrence_all_states_are_given_or_the_last_one(last, nonlinearity):
    rng = np.random.default_rng(0)
    w, u, x = rng.normal(size=(3, 2)), rng.normal(size=(3, 3)), rng.normal(size=(4, 2))
    h, states = np.zeros(3), []
    for own in x:
        s = w @ own + u @ h
        h = np.tanh(s) if nonlinearity == "tanh" else np.maximum(s, 0)
        states.append(h)
    layer = fcsym.RNN(2, 3, nonlinearity=nonlinearity, bias=False, last=last)
    np.testing.assert_allclose(passed(layer, x, w, u), states[-1] if last else states, rtol=1e-12)


def test_a_layer_that_nothing_is_written_for_is_named():
    class Odd(Flatten):
        kind = "odd"

    with pytest.raises(NetworkError, match="Nothing independent is written for odd"):
        forward([Node(Odd(), "y", ("x",))], Passing([]), np.zeros((1, 1, 2)))


def test_layers_are_passed_in_the_order_in_which_they_are_read():
    """However they are listed; the read-out is the one that nothing reads, beside what it reads."""
    nodes = [Node(Linear(2, 1, bias=False), "y", ("b",)), Node(fcsym.layers.Add(), "b", ("x", "a")),
             Node(Linear(2, 2, bias=False), "a", ("x",))]  # fmt: skip
    a, y, x = np.array([[1.0, 2], [3, 4]]), np.array([[0.5, -1]]), np.array([1.0, -1])
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        one = [nodes[n] for n in order]
        weights = [Weight(w[None], w[None]) for w in (a, y)]
        features, out = forward(one, Passing(weights), x[None, None])
        assert (features[0, 0] == x + a @ x).all() and (out[0, 0] == y @ (x + a @ x)).all()


# ------------------------------------------------------------------------------------------ equations of one's own


def read(node, axes, a, b, c):
    """An expression as the oracle reads it, at numbers of several networks."""
    reading = object.__new__(_Reading)
    reading.at, reading.sizes = Passing([]), {I.axis: 2, J.axis: 3}
    reading.known = {}
    for ref, value in ((A, a), (B, b), (C, c)):
        wide = np.asarray(value, np.longdouble)[:, None]
        reading.known[ref.array] = wide, wide
    found, seen = reading.value(node, axes)
    assert (seen == found).all()
    return found[:, 0]


@pytest.mark.parametrize("name", NODES)
def test_an_expression_of_one_s_own_is_read_as_it_is_written(name):
    """In rational numbers, with the axes of the left-hand side in their order."""
    node, axes, true, _ = NODES[name]
    arrays = [value[:5] for value, _ in drawn().values()]
    found = read(node, axes, *arrays)
    assert found.ndim == 1 + len(axes)
    for n in range(5):
        wanted = np.asarray(true(*(exactly(array[n]) for array in arrays)))
        one = np.broadcast_to(found[n if len(found) > 1 else 0], wanted.shape)
        np.testing.assert_allclose(one.astype(float), wanted.astype(float), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("kind", ["min", "max"])
def test_an_extreme_of_one_s_own_is_along_what_it_is_taken_over(kind):
    a, b, c = (value[:5] for value, _ in drawn().values())
    reduce = {"min": np.min, "max": np.max}[kind]
    rows, whole = (
        read(Extreme(kind, over, of), axes, a, b, c) for over, of, axes in (((J,), mul(A, B), (I,)), ((I, J), A, ()))
    )
    np.testing.assert_allclose(rows.astype(float), reduce(a * b[:, None], axis=-1), rtol=1e-15)
    assert (whole == reduce(a, axis=(1, 2))).all()
    columns = read(Extreme(kind, (I,), A), (J,), a, b, c)
    assert (columns == reduce(a, axis=1)).all() and columns.shape == (5, 3)


def test_equations_of_one_s_own_are_the_layers_that_they_are(order):
    """Of one hidden layer, listed in any order of their indices: every step, whichever network the numbers are for."""
    i, j, k = indices("i j k")
    x, W, V, y = input_("x", i), parameter("W", j, i), parameter("V", k, j), hidden("y", k)
    s, v, b = hidden("s", j), hidden("v", j), parameter("b", j)
    own = Network.from_equations(
        [(s[j], total(i, W[j, i] * x[i]) + b[j]), (v[j], apply("tanh", s[j])), (y[k], total(j, V[k, j] * v[j]))],
        {"i": 3, "j": 2, "k": 2},
    )
    dense = Network.mlp([3, 2, 2], "tanh", bias=[True, False])
    points = random_points(dense, np.random.default_rng(0), 4)
    given = dict(zip(("W", "b", "V"), points.weights, strict=True))
    a = backpropagation(own, order, [given[theta.name] for theta in own.parameters], *points[1:4])
    c = backpropagation(dense, order, *points[:4])
    for name, other in {"W": "W1", "b": "b1", "V": "W2"}.items():
        close(a[f"{name}_new"], c[f"{other}_new"])
    for name in ("E", "y", "y_new", "dy"):
        close(a[name], c[name])


# ------------------------------------------------------------------------------------------------------------- steps


def eighths(rng, *shape):
    return rng.integers(-8, 9, size=shape) / 8


def rational(array):
    return [rational(part) for part in array] if np.ndim(array) else Fraction(float(array))


def close(found, wanted):
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(wanted, dtype=object).astype(float), rtol=1e-13, atol=1e-16
    )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [(2, 2), (2, 3, 2), (1, 2, 2, 2)], ids=len)
def test_a_step_of_the_oracle_is_that_in_rational_numbers(widths, bias, order):
    """Every quantity before and after, of several networks at once."""
    network, rng = Network.mlp(list(widths), bias=bias), np.random.default_rng(1)
    weights = [eighths(rng, 6, *network.shape(a)) for a in network.parameters]
    x, target = eighths(rng, 6, widths[0]), eighths(rng, 6, widths[-1])
    found = backpropagation(network, order, weights, x, target, np.full(6, 0.25))
    last = len(widths) - 1
    for n in range(6):
        own = [rational(w[n]) for w in weights]
        w, b = own[:: 1 + bias], own[1::2] if bias else None
        true = by_hand.step(widths, w, rational(x[n]), rational(target[n]), Fraction(1, 4), order, biases=b)
        wanted = {"E": sum((y - t) ** 2 for y, t in zip(true.v[-1], rational(target[n]), strict=True)) / 2}
        for layer in range(1, last + 1):
            wanted |= {f"W{layer}_new": true.w[layer - 1], f"delta{layer}": true.delta[layer - 1]}
            if bias:
                wanted[f"b{layer}_new"] = true.b[layer - 1]
            name = "y" if layer == last else f"s{layer}"
            wanted |= {name: true.s[layer - 1], f"{name}_new": true.s_new[layer - 1]}
            wanted[f"d{name}"] = np.subtract(true.s_new[layer - 1], true.s[layer - 1])
            if layer < last:
                wanted |= {f"v{layer}": true.v[layer], f"v{layer}_new": true.v_new[layer]}
                wanted[f"dv{layer}"] = np.subtract(true.v_new[layer], true.v[layer])
                wanted[f"g{layer}"] = [Fraction(s > 0) for s in true.s[layer - 1]]
        assert set(wanted) <= set(found) and f"g{last}" not in found
        for name, value in wanted.items():
            close(found[name][n], value)


@pytest.mark.parametrize("batch", ["sum", "mean"])
def test_a_step_on_a_mini_batch_is_by_the_gradients_of_its_samples(batch):
    """In simultaneous order, of a bias for each unit and of one that all have."""
    network, rng = Network.mlp([2, 3, 2], bias=True), np.random.default_rng(1)
    weights = [eighths(rng, 1, *network.shape(a)) for a in network.parameters]
    x, target, eta = eighths(rng, 1, 3, 2), eighths(rng, 1, 3, 2), np.array([0.25])
    alone = [backpropagation(network, "simultaneous", weights, x[:, n], target[:, n], eta) for n in range(3)]
    trained = network.training(network.rule, batch, 3)
    found = backpropagation(trained, "simultaneous", weights, x, target, eta)
    share = 1 / 3 if batch == "mean" else 1
    for array, w in zip(network.parameters, weights, strict=True):
        moved = sum(one[f"{array.name}_new"] - w for one in alone) * share
        close(found[f"{array.name}_new"], w + moved)
    close(found["E"], sum(one["E"] for one in alone) * share)
    close(found["s1"], np.stack([one["s1"] for one in alone], axis=1))
    common = network.shared("b1")
    given = [w if a.name != "b1" else w[:, 0] for a, w in zip(network.parameters, weights, strict=True)]
    full = [
        w if a.name != "b1" else np.repeat(w[:, :1], 3, axis=1)
        for a, w in zip(network.parameters, weights, strict=True)
    ]
    one = backpropagation(common, "simultaneous", given, x[:, 0], target[:, 0], eta)
    each = backpropagation(network, "simultaneous", full, x[:, 0], target[:, 0], eta)
    close(one["b1_new"], given[1] + (each["b1_new"] - full[1]).sum(axis=1))
    close(one["W1_new"], each["W1_new"])
    both = backpropagation(common.training(network.rule, batch, 3), "simultaneous", given, x, target, eta)
    many = backpropagation(trained, "simultaneous", full, x, target, eta)
    close(both["b1_new"], given[1] + (many["b1_new"] - full[1]).sum(axis=1))


STACK = Network([Flatten(), Linear(3, 2), "tanh", Linear(2, 2)], input=(3, 1))
DENSE = Network.mlp([3, 2, 2], "tanh", bias=True)


@pytest.mark.parametrize("batch", ["", "sum", "mean"])
def test_dense_layers_are_a_stack_of_them(batch, order):
    """Step by step, and in every derivative, though each is computed by functions of its own."""
    assert STACK.built is not None and DENSE.built is None
    points = random_points(DENSE, np.random.default_rng(0), 4)
    stack, dense = (one.training(one.rule, batch, 2) if batch else one for one in (STACK, DENSE))
    points = points.in_batches(2) if batch else points
    x = points.x[..., None]
    a = backpropagation(stack, order, points.weights, x, points.target, points.eta)
    b = backpropagation(dense, order, points.weights, *points[1:4])
    names = dict(zip((p.name for p in STACK.parameters), (p.name for p in DENSE.parameters), strict=True))
    for own, other in names.items():
        close(a[f"{own}_new"], b[f"{other}_new"])
    for name in ("E", "y", "y_new", "dy"):
        close(a[name], b[name])
    for of in ("E", "y"):
        first, _ = derivatives(stack, of, [*names, "x"], points.weights, x, points.target)
        second, _ = derivatives(dense, of, [*names.values(), "x"], *points[:3])
        for own, other in (names | {"x": "x"}).items():
            close(first[own].reshape(second[other].shape), second[other])
    by = next(iter(names))
    first, _ = second_derivatives(stack, by, {}, [*names, "x"], points.weights, x, points.target)
    second, _ = second_derivatives(dense, names[by], {}, [*names.values(), "x"], *points[:3])
    for own, other in (names | {"x": "x"}).items():
        close(first[own].reshape(second[other].shape), second[other])


def test_networks_beside_each_other_in_several_axes_are_as_many_points():
    """With what the rule carries, in the shape in which they are given."""
    network = STACK.training("momentum")
    points, rng = random_points(STACK, np.random.default_rng(0), 6), np.random.default_rng(1)
    memory = {a.name: rng.normal(size=(6, *network.shape(a))) for a in network.memory}
    flat = backpropagation(network, "sequential", *points[:4], memory)

    def laid(array):
        return array.reshape(2, 3, *array.shape[1:])

    wide = backpropagation(network, "sequential", [laid(w) for w in points.weights], *map(laid, points[1:4]),
                           {name: laid(value) for name, value in memory.items()})  # fmt: skip
    assert wide.keys() == flat.keys()
    for name, value in flat.items():
        assert (wide[name] == (laid(value) if value.ndim else value)).all() and wide[name].shape[:2] in ((2, 3), ()), (
            name
        )


@pytest.mark.parametrize(("given", "said"), [
    ({"trials": 0}, "trials is 0"), ({"trials": True}, "trials is True"), ({"trials": 1.5}, "trials is 1.5"),
    ({"trials": 10_000_001}, "trials is 10000001"), ({"seed": -1}, "seed is -1"), ({"seed": True}, "seed is True"),
    ({"seed": 0.5}, "seed is 0.5"), ({"against": "both"}, "against is 'both'"), ({"steps": 0}, "steps is 0"),
    ({"steps": True}, "steps is True"), ({"steps": "2"}, "steps is "),
])  # fmt: skip
def test_a_check_is_asked_for_by_whole_numbers_and_an_order(given, said):
    d = fcsym.derive(Network.mlp([1, 1]))
    with pytest.raises(ArgumentError) as refused:
        fcsym.check(d, **{"trials": 1} | given)
    assert said in str(refused.value)


def test_a_check_takes_the_least_and_tells_what_it_was_asked_for():
    network = Network.mlp([1, 1])
    for subject, more, against in (
        (fcsym.derive(network), {"seed": 0, "steps": 1}, "simultaneous"),
        (fcsym.derive(network, "sequential"), {"seed": 3}, "sequential"),
        (fcsym.derive(network), {"against": "sequential"}, "sequential"),
        (fcsym.scheme(network, "backprop"), {"steps": 1}, "simultaneous"),
    ):
        report = fcsym.check(subject, trials=1, **more)
        assert report.passed and report.trials == 1 and report.seed == more.get("seed", 0)
        assert report.against == against and report.points > 0
    with pytest.raises(ArgumentError, match="check got str"):
        fcsym.check("1-1", trials=1)
    with pytest.raises(ArgumentError, match="a scheme is checked in NumPy"):
        fcsym.check(fcsym.scheme(network, "backprop"), trials=1, target="c")
    subject = fcsym.gradient(network, by="W1")
    assert fcsym.check(subject, trials=1).passed and fcsym.check(subject, trials=1, against="simultaneous").passed
    for other in ({"against": "sequential"}, {"target": "c"}, {"against": "simultaneous", "target": "c"}):
        with pytest.raises(ArgumentError, match="leave against and target out"):
            fcsym.check(subject, trials=1, **other)


OUTPUTS = {
    "sigmoid": ({"output": "sigmoid", "loss": "bce"}, lambda s: 1 / (1 + np.exp(-s))),
    "softmax": (
        {"output": "softmax", "loss": "cross_entropy"},
        lambda s: np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True),
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_of_the_oracle_are_functions_of_its_logits(name, order):
    """Before the step and after it, which is by y - t; the slope is that of the function, where it is one of each."""
    setting, phi = OUTPUTS[name]
    network, rng = Network.mlp([2, 2, 3], "tanh", bias=True, **setting), np.random.default_rng(0)
    points = random_points(network, rng, 4)
    t = np.eye(3)[[0, 2, 1, 1]]
    w, b, u, c = points.weights
    found = backpropagation(network, order, points.weights, points.x, t, points.eta)
    v = np.tanh(np.einsum("pij,pj->pi", w, points.x) + b)
    s = np.einsum("pij,pj->pi", u, v) + c
    error, eta = phi(s) - t, points.eta[:, None]
    after = u - (eta * error)[..., None] * v[:, None]
    wanted = {"s1": np.arctanh(v), "v1": v, "s2": s, "y": phi(s), "delta2": error, "W2_new": after,
              "b2_new": c - eta * error, "g1": 1 - v**2}  # fmt: skip
    below = np.einsum("pki,pk->pi", after if order == "sequential" else u, error) * (1 - v**2)
    wanted |= {"delta1": below, "W1_new": w - (eta * below)[..., None] * points.x[:, None], "b1_new": b - eta * below}
    v_new = np.tanh(np.einsum("pij,pj->pi", wanted["W1_new"], points.x) + wanted["b1_new"])
    s_new = np.einsum("pij,pj->pi", after, v_new) + wanted["b2_new"]
    wanted |= {"v1_new": v_new, "s2_new": s_new, "y_new": phi(s_new), "ds2": s_new - s, "dy": phi(s_new) - phi(s)}
    if name == "sigmoid":
        wanted["g2"] = phi(s) * (1 - phi(s))
    else:  # what a softmax gives after the step is no quantity of it
        del wanted["y_new"], wanted["dy"]
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key].astype(float), value, rtol=1e-9, atol=1e-13, err_msg=key)
    assert ("g2" in found) is (name == "sigmoid")
    first, passed = derivatives(network, "y", ["W2", "b1"], points.weights, points.x, t)
    slope = np.einsum("pk,kl->pkl", phi(s), np.eye(3)) - (phi(s)[..., None] * phi(s)[:, None])
    slope = slope if name == "softmax" else np.einsum("pk,kl->pkl", phi(s) * (1 - phi(s)), np.eye(3))
    np.testing.assert_allclose(first["W2"].astype(float), np.einsum("pkl,pi->pkli", slope, v), rtol=1e-9, atol=1e-13)
    through = np.einsum("pkl,pli,pi->pki", slope, u, 1 - v**2)
    np.testing.assert_allclose(first["b1"].astype(float), through, rtol=1e-9, atol=1e-13)
    assert set(passed) == {"s1", "s2", "y"}
    np.testing.assert_allclose(passed["y"].astype(float), phi(s), rtol=1e-9)
    np.testing.assert_allclose(passed["s2"].astype(float), s, rtol=1e-9, atol=1e-13)
    stack = Network([Flatten(), Linear(2, 2), "tanh", Linear(2, 3)], input=(2, 1), **setting)
    own = backpropagation(stack, order, points.weights, points.x[..., None], t, points.eta)
    for key in {"E", "y", "y_new"} & set(found):
        close(own[key], found[key])
    second, _ = derivatives(stack, "y", [stack.parameters[2].name], points.weights, points.x[..., None], t)
    close(second[stack.parameters[2].name], first["W2"])


@pytest.mark.parametrize("batch", ["", "sum"])
def test_a_derivative_by_a_bias_that_all_units_have_is_that_of_all_of_them(batch):
    """Of E, of an output, and of a derivative once more; other biases are as they were."""
    network, rng = Network.mlp([2, 3, 2], "tanh", bias=True), np.random.default_rng(0)
    common, points = network.shared("b1"), random_points(network, rng, 3)
    if batch:
        network, common = (one.training(one.rule, batch, 2) for one in (network, common))
        points = points.in_batches(2)
    w, b, u, c = points.weights
    given, full = [w, b[:, 0], u, c], [w, np.repeat(b[:, :1], 3, axis=1), u, c]
    for of in ("E", "y"):
        one, _ = derivatives(common, of, ["W1", "b1", "W2", "b2"], given, points.x, points.target)
        each, _ = derivatives(network, of, ["W1", "b1", "W2", "b2"], full, points.x, points.target)
        close(one["b1"], each["b1"].sum(axis=-1))
        for name in ("W1", "W2", "b2"):
            close(one[name], each[name])
    one, _ = second_derivatives(common, "b1", {}, ["b1", "b2"], given, points.x, points.target)
    each, _ = second_derivatives(network, "b1", {}, ["b1", "b2"], full, points.x, points.target)
    close(one["b1"], each["b1"].sum(axis=(-1, -2)))
    close(one["b2"], each["b2"].sum(axis=-2))


@pytest.mark.parametrize("batch", ["", "sum", "mean"])
def test_the_loss_of_a_sequence_is_the_sum_over_its_positions(batch):
    """Of each sample, of which a mini-batch has the sum or the mean; and a derivative of E is that of the sum."""
    network = Network([fcsym.RNN(2, 2, last=False), Linear(2, 1)], input=(3, 2))
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, *network.shape(a))) for a in network.parameters]
    trained = network.training(network.rule, batch, 2) if batch else network
    lead = (4, 2) if batch else (4,)
    x, t, eta = rng.normal(size=(*lead, 3, 2)), rng.normal(size=(*lead, 3, 1)), np.full(4, 0.125)
    found = backpropagation(trained, "simultaneous", weights, x, t, eta)
    each = ((found["y"] - t) ** 2).sum(axis=(-1, -2)) / 2
    close(found["E"], {"": each, "sum": each.sum(-1), "mean": each.mean(-1)}[batch])
    bias = trained.parameters[-1].name
    slope = (found["y"] - t).sum(axis=-2)
    close(found[f"dE_d{bias}"], {"": slope, "sum": slope.sum(axis=1), "mean": slope.mean(axis=1)}[batch])
    close(found[f"{bias}_new"], weights[-1] - 0.125 * found[f"dE_d{bias}"])
    close(found["dy"], found["y_new"] - found["y"])


def test_units_with_kinks_are_told_with_what_they_give(order):
    """Of layers, as of a stack: s and v of each, before the step and after it, and p."""
    dense, rng = Network.mlp([2, 3, 2], bias=True), np.random.default_rng(0)
    stack = Network([Flatten(), Linear(2, 3), "relu", Linear(3, 2)], input=(2, 1))
    points = random_points(dense, rng, 6)
    a = backpropagation(stack, order, points.weights, points.x[..., None], points.target, points.eta)
    b = backpropagation(dense, order, *points[:4])
    (unit,) = (unit for unit in stack.hidden if unit.activation.kinks)
    for own, other in ((unit.s.name, "s1"), (unit.v.name, "v1")):
        for form in ("{}", "{}_new", "d{}"):
            close(a[form.format(own)], b[form.format(other)])
    for name in {"p", "r", "vc"} & set(a):
        np.testing.assert_array_equal(np.isnan(a[name]), np.isnan(b[name]))
        close(np.nan_to_num(a[name]), np.nan_to_num(b[name]))
    assert {"p", "r", "vc"} <= set(b)


def test_for_a_case_that_none_has_reached_points_are_drawn_in_every_way(monkeypatch):
    """Made for it in each round; random networks are aimed at it, and all are drawn anew, in some of the rounds."""
    d, said = fcsym.derive(Network.mlp([1, 1, 1])), []
    rounds = {"placed": 0, "aimed": 0, "draws": 0}

    def counted(name):
        def none(*given):
            rounds[name] += 1
            return iter(())

        return none

    for name in rounds:
        monkeypatch.setattr(checker, name, counted(name))
    monkeypatch.setattr(Tally, "missing", [("dv1", "dead -> dead")])
    monkeypatch.setattr(Tally, "rows", lambda self, demand_all: ())
    fcsym.check(d, trials=1, progress=said.append)
    assert rounds["placed"] == said.count("cases not reached yet") == checker._ROUNDS
    assert 2 <= rounds["aimed"] == rounds["draws"] - 1
