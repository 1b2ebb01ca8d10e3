"""A bias that is one number for all units of its layer: its gradient is the sum over its uses, everywhere."""

import json
from dataclasses import replace
from fractions import Fraction

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from conftest import need_package

import fcsym
from fcsym.cli import main
from fcsym.language.expression import mul
from fcsym.proof import prove
from fcsym.schemes import every_scheme
from fcsym.values.given import values_of

ORDERS = ("simultaneous", "sequential")
FUNCTIONS = {
    "relu": lambda s: anp.maximum(s, 0.0), "leaky_relu": lambda s: anp.where(s > 0, s, s / 100),
    "sigmoid": lambda s: 1 / (1 + anp.exp(-s)), "identity": lambda s: s,
}  # fmt: skip
HAND = [np.array([[0.15, 0.20], [0.25, 0.30]]), 0.35, np.array([[0.40, 0.45], [0.50, 0.55]]), 0.60]


def every_bias(net):
    return net.shared(*(theta.name for theta in net.parameters if len(theta.axes) == 1))


NETWORKS = [
    every_bias(fcsym.Network.mlp([2, 3, 2], bias=True)),
    every_bias(fcsym.Network.mlp([2, 3, 2, 2], bias=True)),
    fcsym.Network.mlp([2, 2, 2, 1], "leaky_relu", True).shared("b2"),
    fcsym.Network.mlp([2, 2, 2], bias=True).shared("b1", "b2").frozen("b1"),
    fcsym.Network.mlp([2, 2, 2], bias=True).shared("b1").frozen("W1"),
    every_bias(fcsym.Network.mlp([3, 2], bias=True)),
]
BATCH = every_bias(fcsym.Network.mlp([2, 4, 2], "relu", True)).training(batch="mean", samples=3)


def passed(net, weights, x):
    """(s, v) of each layer in NumPy, scalars added to all units by broadcasting; v starts with x."""
    s, v = [], [x]
    for n, layer in enumerate(net.layers):
        s.append(v[-1] @ weights[2 * n].T + weights[2 * n + 1])
        v.append(FUNCTIONS[layer.activation.name](s[-1]))
    return s, v


def loss(weights, net, x, target):
    return anp.sum((passed(net, weights, x)[1][-1] - target) ** 2) / 2


def drawn(net, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=net.shape(theta)) for theta in net.parameters]
    lead = (net.samples,) if net.batch else ()
    return weights, rng.normal(size=(*lead, net.inputs)), rng.normal(size=(*lead, net.widths[-1]))


def one_by_one(net, weights, x, target, eta):
    """A step in sequential order by autograd, a layer at a time: old gates, and the weights above as they are then."""
    s, v = passed(net, weights, x)
    slopes = [
        grad(lambda z, f=FUNCTIONS[la.activation.name]: anp.sum(f(z)))(z) for la, z in zip(net.layers, s, strict=True)
    ]
    new, error = list(weights), v[-1] - target
    for n in reversed(range(len(net.layers))):

        def linear(matrix, shift, n=n):
            z = v[n] @ matrix.T + shift
            for m in range(n + 1, len(net.layers)):
                z = (slopes[m - 1] * z) @ new[2 * m].T
            return anp.sum(error * slopes[-1] * z)

        for place, part in ((2 * n, 0), (2 * n + 1, 1)):
            new[place] = weights[place] - eta * grad(linear, part)(weights[2 * n], weights[2 * n + 1])
    return new


def assert_a_step_is(step, net, weights, new, x):
    """The parameters after the step, the forward pass at them, and p and r where they are defined."""
    for theta, old, value in zip(net.parameters, weights, new, strict=True):
        np.testing.assert_allclose(getattr(step, f"{theta.name}_new", old), value, rtol=1e-11, atol=1e-13)
    before, after = passed(net, weights, x), passed(net, new, x)
    np.testing.assert_allclose(step.y_new, after[1][-1], rtol=1e-10, atol=1e-12)
    for n in range(1, len(net.layers)):
        np.testing.assert_allclose(getattr(step, f"ds{n}"), after[0][n - 1] - before[0][n - 1], rtol=1e-9, atol=1e-13)
    if len(net.layers) > 1 and not net.batch:
        with np.errstate(all="ignore"):
            p = new[-2] * ((after[1][-2] - before[1][-2]) / before[1][-2])
        here = before[1][-2] != 0
        np.testing.assert_allclose(step.p[:, here], p[:, here], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(step.r[:, here], (new[-2] + p)[:, here], rtol=1e-9, atol=1e-12)


def frozen_as_they_are(net, weights, new):
    return [w if theta.name in net.fixed else v for theta, w, v in zip(net.parameters, weights, new, strict=True)]


@pytest.mark.parametrize("order", ORDERS)
def test_the_hand_worked_network_with_its_shared_biases_trained(order):
    net = fcsym.Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid").shared("b1", "b2")
    x, t = np.array([0.05, 0.10]), np.array([0.01, 0.99])
    d = fcsym.derive(net, order)
    step = d.compile().step(HAND, x, t, 0.5)
    new = one_by_one(net, HAND, x, t, 0.5)
    if order == "simultaneous":
        new = [w - 0.5 * g for w, g in zip(HAND, grad(loss)(HAND, net, x, t), strict=True)]
        np.testing.assert_allclose(step.W2_new[0], [0.35891648, 0.408666186], atol=5e-9)  # published: b is not in it
    assert_a_step_is(step, net, HAND, new, x)
    assert step.b1_new.shape == step.b2_new.shape == ()
    assert step.b2_new == pytest.approx(0.6 - 0.5 * step.delta2.sum(), rel=1e-14)
    other = d.compile("lambdify").step(HAND, x, t, 0.5)
    assert_a_step_is(other, net, HAND, new, x)
    closed = d.expr("b1_new")
    given = {"b1": 0.35, "b2": 0.60, "eta": 0.5, "x_1": 0.05, "x_2": 0.10, "y_g_1": 0.01, "y_g_2": 0.99}
    given |= {f"W{n}_{i}_{j}": HAND[2 * n - 2][i - 1, j - 1] for n in (1, 2) for i in (1, 2) for j in (1, 2)}
    assert float(closed.subs({s: given[s.name] for s in closed.free_symbols})) == pytest.approx(new[1], rel=1e-13)
    assert float(d.compile().exact(HAND, x, t, 0.5).b1_new.middle) == pytest.approx(new[1], rel=1e-14)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("net", NETWORKS, ids=str)
def test_steps_are_those_of_autograd(net, order):
    kernel = fcsym.derive(net, order).compile()
    for seed in range(6):
        weights, x, t = drawn(net, seed)
        new = one_by_one(net, weights, x, t, 0.3)
        if order == "simultaneous":
            new = [w - 0.3 * g for w, g in zip(weights, grad(loss)(weights, net, x, t), strict=True)]
        step = kernel.step(weights, x, t, 0.3, undefined="nan")
        assert_a_step_is(step, net, weights, frozen_as_they_are(net, weights, new), x)


@pytest.mark.parametrize(
    ("net", "order"), [(net, ORDERS[n % 2]) for n, net in enumerate([*NETWORKS, BATCH, NETWORKS[0]])], ids=str
)
def test_the_proof_holds_and_the_check_agrees(net, order):
    d = fcsym.derive(net, order)
    assert d.proof.holds, d.proof
    assert fcsym.check(d, trials=25).passed
    s = fcsym.scheme(net, "backprop", order)
    assert s.proof.holds and fcsym.check(s, trials=5, steps=10).passed
    assert "one number for all units" in " ".join(d.assumptions)


@pytest.mark.parametrize("update", [None, "adam"])
def test_a_batch(update):
    weights, x, t = drawn(BATCH)
    gradient = grad(loss)(weights, BATCH, x, t)
    if update is None:
        step = fcsym.derive(BATCH).compile().step(weights, x, t, 0.3, undefined="nan")
        assert_a_step_is(step, BATCH, weights, [w - 0.1 * g for w, g in zip(weights, gradient, strict=True)], x)
    else:  # the first step of Adam is eta sign(g), but for eps
        step = fcsym.derive(BATCH.training(update, "sum")).compile().step(weights, x, t, 0.01, undefined="nan")
        np.testing.assert_allclose(step.b1_new, weights[1] - 0.01 * np.sign(gradient[1]), rtol=1e-6)
        np.testing.assert_allclose(step.dE_db2, gradient[3], rtol=1e-12)
    targets = ["numpy", *(["c"] if update is None else [])]
    for target in targets:
        k = fcsym.scheme(BATCH, "backprop").compile(target)
        state = k.step(k.init(weights), x, t, 0.3)
        np.testing.assert_allclose(state[1], weights[1] - 0.1 * gradient[1], rtol=1e-12)


@pytest.mark.parametrize("target", ["c", "jax", "torch"])
def test_targets_train_it(target):
    if target != "c":
        need_package(target)
    net = NETWORKS[1]
    weights, x, t = drawn(net, 3)
    k, numpy = (fcsym.scheme(net, "backprop").compile(name) for name in (target, "numpy"))
    single = [np.asarray(w, dtype=np.float32) for w in weights]
    ours = k.expand(k.step(k.init(single), x.astype("f"), t.astype("f"), np.float32(0.1)))
    theirs = numpy.expand(numpy.step(numpy.init(single), x.astype("f"), t.astype("f"), np.float32(0.1)))
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(np.asarray(a), b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("net", "names"), [
    (fcsym.Network.mlp([2, 2, 1], bias=True).shared("b1", "b2"), ("b1_new", "b2_new", "a0", "ds1", "kappa", "alpha")),
    (fcsym.Network.mlp([1, 2, 2, 1], bias=True).shared("b2"), ("b2_new", "ds2", "kappa", "alpha")),
    (BATCH, ("b1_new", "ds1")),
], ids=str)  # fmt: skip
def test_a_wrong_equation_is_refuted(net, names):
    d = fcsym.derive(net)
    for name in names:
        place = next(n for n, e in enumerate(d.equations) if e.name == name)
        wrong = replace(d.equations[place], rhs=mul(2, d.equations[place].rhs))
        proof = prove(replace(d, equations=(*d.equations[:place], wrong, *d.equations[place + 1 :])))
        assert not proof.holds, name
        assert name in {f.equation for f in proof.findings if f.verdict.value in ("REFUTED", "UNDECIDED")}


def test_the_increments_of_biases_of_their_own_are_wrong_for_a_shared_one():
    """ds_i = -eta delta_i (|x|^2 + 1) is what a bias for each unit gives."""
    d, own = fcsym.derive(NETWORKS[0]), fcsym.derive(fcsym.Network.mlp([2, 3, 2], bias=True))
    mutated = tuple(own[e.name] if e.name in ("a0", "ds1") else e for e in d.equations)
    proof = prove(replace(d, equations=mutated))
    assert proof.verdict("ds1").verdict.value == "REFUTED"


def test_a_dead_unit_can_be_moved_by_what_it_shares():
    """With a bias of its own, a unit of the first layer with a closed gate stays where it is."""
    possible = {}
    for net in (fcsym.Network.mlp([2, 2, 1], bias=True), fcsym.Network.mlp([2, 2, 1], bias=True).shared("b1")):
        d = fcsym.derive(net)
        possible[bool(net.common)] = next(
            f for f in d.proof.findings if (f.equation, f.case) == ("dv1", "dead -> active")
        )
    assert possible[True].possible and not possible[False].possible
    weights = [np.array([[1.0, 0.0], [0.0, 1.0]]), 0.0, np.array([[1.0, 1.0]]), 0.0]
    step = fcsym.derive(fcsym.Network.mlp([2, 2, 1], bias=True).shared("b1", "b2")).compile().step(
        weights, [1.0, -0.25], [3.0], 0.5, undefined="nan"
    )  # fmt: skip
    assert step.s1[1] < 0 < step.s1_new[1] and step.undefined.tolist() == [False, True]


@pytest.mark.parametrize("order", ORDERS)
def test_frozen_it_is_the_network_with_equal_biases(order):
    net = fcsym.Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid").frozen("b1", "b2")
    equal = [HAND[0], [0.35, 0.35], HAND[2], [0.60, 0.60]]
    given = [0.05, 0.10], [0.01, 0.99], 0.5
    one = fcsym.derive(net.shared("b1", "b2"), order).compile().step(HAND, *given)
    each = fcsym.derive(net, order).compile().step(equal, *given)
    assert one._fields == each._fields
    assert all(np.array_equal(a, b) for a, b in zip(one, each, strict=True))


def test_a_network_file_and_values(tmp_path, capsys):
    file = tmp_path / "net.toml"
    file.write_text(
        "widths = [2, 2, 2]\nbias = true\nshare = { b1 = true, b2 = false }\ntrain = { b1 = false }\n"
        'names = ["A", "a", "B", "c"]\n'
    )
    net = fcsym.Network.load(file)
    made = fcsym.Network.mlp([2, 2, 2], bias=True).shared("b1").frozen("b1")
    assert net == replace(made, names=("A", "a", "B", "c"))
    assert str(made) == "2-2-2 bias shared b1 frozen b1"
    assert [made.shape(theta) for theta in made.parameters] == [(2, 2), (), (2, 2), (2,)]
    assert made.reduced(1).shape(made.parameters[1]) == () and "b1" in made.reduced(1).common
    values = {"x": [1, 2], "target": [0, 1], "eta": "1/2", "W1": [[1, 2], [3, 4]], "W2": [[1, 0], [0, 1]]}
    read = values_of(made, values | {"b1": "1/3", "b2": 2})
    assert read.weights[1] == Fraction(1, 3) and read.weights[3] == (2, 2)
    with pytest.raises(fcsym.ArgumentError, match="b1 has the shape"):
        values_of(made, values | {"b1": [1, 2], "b2": 2})
    with pytest.raises(fcsym.ArgumentError, match="b1 is missing"):
        values_of(made, values | {"b2": 2})
    file.write_text('widths = [1, 2]\nbias = true\nshare = { b1 = true }\nnames = ["u", "w", "c"]\n')  # one by one
    assert "c" in {str(s) for s in fcsym.derive(fcsym.Network.load(file)).expr("y").free_symbols}
    assert main(["check", str(file), "--trials", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_a_worked_example_with_a_shared_bias():
    net, x, t = (
        fcsym.Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid").shared("b1", "b2"),
        [0.05, 0.1],
        [0.01, 0.99],
    )
    after = [w - 0.5 * g for w, g in zip(HAND, grad(loss)(HAND, net, np.array(x), np.array(t)), strict=True)]
    example = {
        "network": {
            "widths": [2, 2, 2], "bias": True, "activation": "sigmoid", "output": "sigmoid",
            "share": {"b1": True, "b2": True},
        },
        "values": {
            "x": x, "target": t, "eta": 0.5, "W1": HAND[0], "b1": 0.35, "W2": HAND[2], "b2": 0.6,
        },
        "claims": [f"after one step b1 is {after[1]:.9f}", f"after one step b2 is {after[3]:.9f}"],
    }  # fmt: skip
    assert [row.verdict for row in fcsym.audit_example(example)] == ["HOLDS", "HOLDS"]


def test_documents_and_costs():
    d = fcsym.derive(NETWORKS[0])
    assert r"+ b^{(1)}" in d.latex() and "</math>" in d.html()
    assert "b1" in str(d.sympy("b1_new")) and "shared b1,b2" in NETWORKS[0]._repr_svg_()
    assert list(every_scheme(NETWORKS[0])) == ["backprop"]


@pytest.mark.parametrize(("names", "said"), [
    (("b3",), "the biases of 2-2-1 bias in 1 are b1"),
    (("b2",), "the biases of 2-2-1 bias in 1 are b1"),
    (("W1",), "it is a matrix"),
    (("b1", "W2"), "it is a matrix"),
])  # fmt: skip
def test_what_cannot_be_shared(names, said, tmp_path):
    net = fcsym.Network.mlp([2, 2, 1], bias=[True, False])
    with pytest.raises(fcsym.NetworkError, match=said) as caught:
        net.shared(*names)
    assert "\n" not in str(caught.value)
    file = tmp_path / "net.toml"
    file.write_text(
        f"widths = [2, 2, 1]\nbias = [true, false]\nshare = {{ {', '.join(f'{n} = true' for n in names)} }}\n"
    )
    assert main(["derive", str(file)]) == 2


@pytest.mark.parametrize("text", [
    "share = true", "share = { b1 = 1 }", "share = { b2 = false }", 'share = ["b1"]',
    'share = { b1 = true }\nnames = ["p", "q", "u", "w", "c", "e"]',  # one more than there are weights
])  # fmt: skip
def test_bad_files_are_refused(text, tmp_path, capsys):
    file = tmp_path / "net.toml"
    file.write_text(f"widths = [2, 2]\nbias = true\n{text}\n")
    assert main(["derive", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_refused_says_why():
    net = NETWORKS[0]
    for name in ("weights", "compensation", "states", "history", "basis"):
        with pytest.raises(fcsym.ArgumentError, match=f"{name} needs a bias for every unit.*b1 and b2 shared"):
            fcsym.scheme(net, name)
    with pytest.raises(fcsym.ArgumentError, match=r"b1 has shape \(3,\)|leading axes"):
        weights, x, t = drawn(net)
        fcsym.derive(net).compile().step([weights[0], [1.0, 2.0, 3.0], [weights[2]] * 2, weights[3]], x, t, 0.1)
    named = replace(fcsym.Network.mlp([2, 2], bias=True), names=("p", "q", "u", "w", "c", "e"))
    with pytest.raises(fcsym.NetworkError, match="names has 6 entries"):
        named.shared("b1")
