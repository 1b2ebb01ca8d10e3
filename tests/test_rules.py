"""Update rules: equations that are proved, and kernels that train as PyTorch's optimisers do."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import few, need_package

import fcsym
from fcsym.checking.points import lattice, random_points, together
from fcsym.cli import main
from fcsym.language.equation import Rule
from fcsym.language.expression import mul
from fcsym.networks.rules import RULES, rule
from fcsym.proof import prove

ORDERS = ("simultaneous", "sequential")
DECAYED = [rule(name, weight_decay="0.1") for name in RULES]
NETWORKS = [
    fcsym.Network.mlp([2, 3, 2], bias=True),
    fcsym.Network.mlp([2, 3, 2, 1], activation="tanh", output="sigmoid", loss="bce"),
    fcsym.Network.mlp([2, 2], bias=True),
]


def torch_optimiser(torch, name, parameters, eta, decay):
    """The optimiser of `torch.optim` that a rule is named after, with its own defaults."""
    known = {
        "sgd": lambda: torch.optim.SGD(parameters, eta, weight_decay=decay),
        "momentum": lambda: torch.optim.SGD(parameters, eta, momentum=0.9, weight_decay=decay),
        "nesterov": lambda: torch.optim.SGD(parameters, eta, momentum=0.9, nesterov=True, weight_decay=decay),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, eta, weight_decay=decay),
        "adam": lambda: torch.optim.Adam(parameters, eta, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(parameters, eta, weight_decay=decay),
    }
    return known[name]()


def torch_network(torch, net, weights):
    """The network in PyTorch's own layers, without its output activation where that belongs to the loss."""
    functions = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    layers, given = [], iter(weights)
    for n, layer in enumerate(net.layers):
        made = torch.nn.Linear(net.widths[n], layer.width, bias=layer.bias, dtype=torch.float64)
        made.weight.data = torch.tensor(np.array(next(given)))
        if layer.bias:
            made.bias.data = torch.tensor(np.array(next(given)))
        layers.append(made)
        if n + 1 < len(net.layers):
            layers.append(functions[layer.activation.name]())
    return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("decay", [0, 0.01])
@pytest.mark.parametrize("name", RULES)
def test_kernels_train_as_pytorch_does(name, decay):
    need_package("torch")
    import torch

    net = fcsym.Network.mlp([4, 5, 3], activation="tanh", bias=True)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=net.shape(a)) * 0.5 for a in net.parameters]
    xs, ts = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
    theirs = torch_network(torch, net, weights)
    optimiser = torch_optimiser(torch, name, theirs.parameters(), 0.01, decay)
    for x, t in zip(xs, ts, strict=True):
        optimiser.zero_grad()
        ((theirs(torch.tensor(x)) - torch.tensor(t)) ** 2).sum().div(2).backward()
        optimiser.step()
    for target in ("numpy", "c"):
        kernel = fcsym.scheme(net, "backprop", rule=rule(name, weight_decay=decay)).compile(target)
        ours = kernel.expand(kernel.run(kernel.init(weights), xs, ts, 0.01))
        for array, parameter in zip(ours, theirs.parameters(), strict=True):
            np.testing.assert_allclose(array, parameter.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("update", DECAYED, ids=lambda r: r.name)
@pytest.mark.parametrize("order", ORDERS)
def test_every_rule_is_proved_and_agrees_with_autodiff(order, update):
    for net in few(NETWORKS, 2, turn=list(RULES).index(update.name)):
        d = fcsym.derive(net, order, rule=update)
        assert d.proof.holds, d.proof
        assert fcsym.check(d, trials=60).passed
        s = fcsym.scheme(net, "backprop", order, rule=update)
        assert s.proof.holds
        assert fcsym.check(s, trials=20, steps=20).passed


@pytest.mark.parametrize(
    ("name", "coefficients", "rests"),
    [
        ("sgd", {}, True),
        ("rmsprop", {}, True),
        ("rmsprop", {"alpha": 0}, True),
        ("momentum", {"beta": 0}, True),
        ("adam", {"beta1": 0}, True),
        ("adamw", {"beta1": 0, "weight_decay": 0}, True),
        ("adamw", {"beta1": 0}, False),
        *((name, {"weight_decay": "0.1"}, False) for name in RULES),
        *((name, {}, False) for name in RULES if name not in ("sgd", "rmsprop")),
    ],
    ids=str,
)
def test_a_dead_unit_stays_by_a_rule_that_leaves_alone_what_has_no_gradient(name, coefficients, rests, order):
    """A velocity or a decay wakes it up; RMSProp does not, although it remembers: `check` waits for no such point."""
    net, update = fcsym.Network.parse("3-2-2", bias=True), rule(name, **coefficients)
    d = fcsym.derive(net, order, rule=update)
    rng = np.random.default_rng(3)
    weights = [-rng.uniform(0.1, 1, size=net.shape(a)) for a in net.parameters]
    memory = [rng.uniform(0.1, 0.9, size=d.network.shape(a)) for a in d.network.memory]
    after = d.compile().step(weights, rng.uniform(0.1, 1, size=3), rng.normal(size=2), 0.1, memory=memory)
    assert bool((after.W1_new == weights[0]).all() and (after.b1_new == weights[1]).all()) is rests
    assert update.rests is rests
    woken = next(f for f in d.proof.findings if f.equation == "dv1" and f.case == "dead -> active")
    assert woken.possible is not rests
    assert fcsym.check(d, trials=30).passed


@pytest.mark.parametrize("update", DECAYED, ids=lambda r: r.name)
def test_a_wrong_rule_is_not_proved(update):
    d = fcsym.derive(NETWORKS[0], rule=update)
    examined = 0
    made = [(n, e) for n, e in enumerate(d.equations) if e.rule in (Rule.TRAINING, Rule.GRADIENT, Rule.UPDATE)]
    for place, equation in few(made, 8, turn=1):
        for wrong in (mul(2, equation.rhs), equation.rhs + 1):
            mutated = (*d.equations[:place], replace(equation, rhs=wrong), *d.equations[place + 1 :])
            proof = prove(replace(d, equations=mutated))
            assert not proof.holds and proof.verdict(equation.name).verdict.value in ("REFUTED", "UNDECIDED")
            examined += 1
    assert examined >= 12


def test_points_before_the_first_step_and_after_some_are_compared_together():
    """A case that is sought at exact points and at others, by a rule that remembers: what remembers nothing has 0."""
    net = fcsym.Network.mlp([2, 3, 2], bias=True).training(rule("adam"), None)
    rng = np.random.default_rng(0)
    first, later = lattice(net, rng, 3), random_points(net, rng, 2)
    assert first.memory is None and later.memory is not None
    for parts in ([first, later], [later, first]):
        whole = together(parts)
        assert [len(array) for array in whole.memory] == [5] * len(net.memory)
        rows = slice(0, 3) if parts[0] is first else slice(2, 5)
        kept = slice(3, 5) if parts[0] is first else slice(0, 2)
        for array, before in zip(whole.memory, later.memory, strict=True):
            assert not array[rows].any() and (array[kept] == before).all()
        made, alone = (points.step(fcsym.derive(net).compile()) for points in (whole, first))
        np.testing.assert_array_equal(made["W1_new"][rows], alone["W1_new"])
    assert together([first, first]).memory is None


def test_a_linear_rule_is_refuted_with_numbers():
    d = fcsym.derive(NETWORKS[0], rule="momentum")
    place = next(n for n, e in enumerate(d.equations) if e.name == "M1_new")
    wrong = replace(d.equations[place], rhs=d.equations[place].rhs * 3)
    proof = prove(replace(d, equations=(*d.equations[:place], wrong, *d.equations[place + 1 :])))
    found = proof.verdict("M1_new").counterexample
    assert found is not None and found.derived == 3 * found.true


def test_the_first_step_with_momentum_is_the_plain_one():
    net = NETWORKS[0]
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=net.shape(a)) for a in net.parameters]
    x, t = rng.normal(size=2), rng.normal(size=2)
    plain = fcsym.derive(net).compile().step(weights, x, t, 0.1)
    kernel = fcsym.derive(net, rule="momentum").compile()
    first = kernel.step(weights, x, t, 0.1)
    np.testing.assert_allclose(first.W1_new, plain.W1_new, rtol=1e-15)
    second = kernel.step(weights, x, t, 0.1, memory=[first.M1_new, first.m1_new, first.M2_new, first.m2_new])
    np.testing.assert_allclose(second.M1_new, 1.9 * first.M1_new, rtol=1e-15)
    with pytest.raises(fcsym.ArgumentError, match="memory has 1 arrays and the update rule carries 4: M1, m1, M2, m2"):
        kernel.step(weights, x, t, 0.1, memory=[first.M1_new])


def test_the_compensation_follows_from_the_rule():
    for update in ("momentum", "adam"):
        d = fcsym.derive(NETWORKS[0], "sequential", rule=update)
        assert "p" in d.by_name and "P" not in d.by_name
        assert any("no closed form of `P`" in said for said in d.assumptions)
    assert "P" in fcsym.derive(NETWORKS[0]).by_name
    assert "P" in fcsym.derive(NETWORKS[0], rule="sgd").by_name  # without decay it is the gradient step


def test_a_rule_may_bring_its_learning_rate():
    net = fcsym.Network.parse("2-2-1")
    weights = [np.ones(net.shape(a)) for a in net.parameters]
    given = fcsym.scheme(net, "backprop", rule="momentum")
    brought = fcsym.scheme(net, "backprop", rule=fcsym.rule("momentum", eta=0.1))
    for target in ("numpy", "c"):
        one, other = given.compile(target), brought.compile(target)
        a = one.step(one.init(weights), [1.0, 2.0], [0.5], 0.1)
        b = other.step(other.init(weights), [1.0, 2.0], [0.5])
        np.testing.assert_array_equal(a.W1, b.W1)
        with pytest.raises(fcsym.ArgumentError, match="eta is missing"):
            one.step(one.init(weights), [1.0, 2.0], [0.5])


def test_coefficients_are_exact_and_zero_stands_nowhere():
    update = fcsym.rule("adam", betas=(0.8, 0.99))
    assert update["beta1"] == Fraction(4, 5) and update["eps"] == Fraction(1, 10**8)
    assert str(fcsym.rule("momentum", beta=0.9, weight_decay=0.01)) == "momentum beta 0.9 weight_decay 0.01"
    names = {a.name for e in fcsym.derive(NETWORKS[0], rule="momentum").equations for a in e.operands}
    assert "lamda" not in names and "beta" in names


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"name": "adagrad"}, "The update rule 'adagrad' is not known: choose one of sgd, momentum"),
        ({"name": "momentum", "beta": 1}, r"beta of the update rule momentum is 1: it must lie in \[0, 1\)"),
        ({"name": "adam", "beta2": -0.1}, r"beta2 of the update rule adam is -0.1: it must lie in \[0, 1\)"),
        ({"name": "rmsprop", "eps": 0}, r"eps of the update rule rmsprop is 0: it must lie in \(1e-30, inf\)"),
        ({"name": "sgd", "weight_decay": -1}, r"weight_decay of the update rule sgd is -1"),
        ({"name": "sgd", "weight_decay": "much"}, "weight_decay of the update rule sgd is 'much': give a number"),
        ({"name": "sgd", "momentum": 0.9}, "The update rule sgd has no coefficient 'momentum'"),
        ({"name": "sgd", "betas": (1, 2)}, "The update rule sgd has no betas"),
        ({"name": "adam", "betas": 3}, "betas is '3': give two numbers"),
        ({"name": "adam", "eta": 0}, "eta of the update rule adam is 0"),
        ({"name": "adam", "betas": (0.5, 0.5), "beta1": 0.9}, "is given betas and beta1 or beta2: give one"),
    ],
)
def test_bad_rules_are_one_sentence(settings, said):
    with pytest.raises(fcsym.ArgumentError, match=said):
        fcsym.rule(**settings)


@pytest.mark.parametrize("name", ["weights", "compensation", "states", "history", "basis"])
def test_schemes_that_cannot_say_so_by_name(name):
    net = fcsym.Network.parse("2-2-1")
    for update in ("momentum", "adam", rule("sgd", weight_decay=0.1)):
        with pytest.raises(fcsym.ArgumentError, match=f"{name} is made of plain gradient steps.*: choose"):
            fcsym.scheme(net, name, rule=update)


def test_adam_in_single_precision_loses_no_digits():
    """1 - beta^t is added up: of a difference, three of its seven digits would be left at the first step."""
    net = fcsym.Network.mlp([2, 3, 3], activation="tanh")
    rng = np.random.default_rng(9)
    weights = [rng.normal(size=net.shape(a)).astype(np.float32) for a in net.parameters]
    x, t = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    kernel = fcsym.scheme(net, "backprop", rule="adam", batch="mean").compile()
    single, double = kernel.init(weights), kernel.init([w.astype(float) for w in weights])
    for _ in range(30):
        single = kernel.step(single, x, t, np.float32(0.1))
        double = kernel.step(double, x.astype(float), t.astype(float), 0.1)
    assert single.W1.dtype == np.float32 and np.abs(single.W1 - double.W1).max() < 2e-6


def test_what_is_for_the_gradient_step_says_so():
    d = fcsym.derive(fcsym.Network.parse("2-2-1"), rule="adam")
    with pytest.raises(fcsym.CompileError, match="lambdify is for the gradient step on one sample"):
        d.compile("lambdify")
    with pytest.raises(fcsym.ArgumentError, match="A map is that of a gradient step on one sample"):
        d.case_map()
    assert d.case_maps() == ()
    assert fcsym.rule("momentum", beta=np.float32(0.9)) == fcsym.rule("momentum", beta=0.9)


def test_the_command_line_and_network_files(tmp_path, capsys):
    assert main(["derive", "2-2-1", "--rule", "momentum,beta=0.8,weight_decay=0.01", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["network"] == "2-2-1 rule momentum beta 0.8 weight_decay 0.01"
    file = tmp_path / "net.toml"
    file.write_text('widths = [2, 2, 1]\nrule = { name = "momentum", beta = 0.8, weight_decay = 0.01 }\n')
    assert str(fcsym.Network.load(file)) == made["network"]
    assert fcsym.derive(fcsym.Network.load(file)).by_name.keys() >= {"M1_new", "dE_dW1"}
    for text, said in (
        ("momentum,beta", "--rule has 'beta': write a coefficient as NAME=NUMBER"),
        ("nonsense", "The update rule 'nonsense' is not known"),
        ("momentum,beta=2", "beta of the update rule momentum is 2"),
        ("momentum,beta=0.5,beta=0.6", "--rule gives beta twice: give it once"),
    ):
        assert main(["derive", "2-2-1", "--rule", text]) == 2
        assert said in capsys.readouterr().err
    file.write_text("widths = [2, 2, 1]\nrule = { beta = 0.8 }\n")
    with pytest.raises(fcsym.NetworkError, match="rule is no name and no table with one"):
        fcsym.Network.load(file)


def test_documents_and_sympy_have_the_rule(tmp_path):
    d = fcsym.derive(NETWORKS[0], rule="adam")
    d.save(tmp_path / "adam.tex")
    text = (tmp_path / "adam.tex").read_text()
    assert r"\beta_1" in text and r"\hat Q" in text and "The update rule is adam, as in PyTorch" in text
    for equation in d.equations:
        if equation.defines:
            assert fcsym.from_sympy(d.sympy(equation.name)) == equation
