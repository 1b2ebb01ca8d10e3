"""Training on a closed state, by kernels, files and the finder: shapes, many networks, and what is said of it.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from test_small_proofs import HAT

from fcsym import Network, find_collapse
from fcsym.checking.oracle import backpropagation
from fcsym.closed.costs import cost
from fcsym.collapsed import CollapsedAnyInputs
from fcsym.collapsing.agreeing import defined
from fcsym.collapsing.alone import Trainer
from fcsym.collapsing.beside import beside_text
from fcsym.collapsing.export import _known, text_of
from fcsym.collapsing.kernel import CollapsedKernel
from fcsym.collapsing.scheme import collapsed_scheme
from fcsym.deriving.pipeline import one_step
from fcsym.kernel.targets.numpy import NumpyTarget

RNG = np.random.default_rng(11)
SQUARED = Network.mlp([2, 6, 2], bias=True)
LABELS = Network.mlp([2, 6, 3], output="softmax", loss="cross_entropy")
ETA = 0.02


def beside(network, weights, x, target, eta, samples):
    """Weights after a step of backpropagation of many networks, and the outputs before it."""
    trained = network.training(network.rule, "sum", samples) if samples else network
    true = backpropagation(trained, "simultaneous", weights, x, target, np.broadcast_to(eta, len(x)))
    return [true[f"{theta.name}_new"] for theta in trained.parameters], true["y"]


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 2)], ids=str)
@pytest.mark.parametrize("samples", [0, 1, 3], ids=["one input", "a batch of one", "several"])
@pytest.mark.parametrize("network", [SQUARED, LABELS], ids=["squared", "labels"])
def test_networks_are_trained_one_by_one_on_their_own_inputs(network, samples, lead):
    """As backpropagation trains them, with a rate for each; labels stand for what they say."""
    many, tail = int(np.prod(lead)), (samples,) if samples else ()
    weights = [RNG.normal(size=(many, *network.shape(a))) for a in network.parameters]
    x = RNG.normal(size=(many, *tail, 2))
    eta = np.linspace(0.01, 0.03, many) if lead else ETA
    if network is LABELS:
        target = RNG.integers(0, 3, size=(many, *tail))
        numbers = np.eye(3)[target]
    else:
        numbers = target = RNG.normal(size=(many, *tail, 2))
    kernel = CollapsedKernel(network, "simultaneous", (0, 1), "numpy")
    own = [w.reshape(*lead, *w.shape[1:]) for w in weights]
    points, goals = (np.reshape(a, (*lead, *a.shape[1:])) for a in (x, target))
    rates = np.reshape(eta, lead) if lead else eta
    state = kernel.init(own, points)
    for given in (points, None):
        true, y = beside(network, weights, x, numbers, eta, samples)
        after = kernel.step(state, given, goals, rates)
        for found, wanted in zip(kernel.expand(after), true, strict=True):
            np.testing.assert_allclose(found, wanted.reshape(found.shape).astype(float), rtol=1e-10, atol=1e-12)
        out = kernel.output(state, given)
        assert out.shape == (*lead, *tail, network.widths[-1])
        np.testing.assert_allclose(out, y.reshape(out.shape).astype(float), rtol=1e-10, atol=1e-12)
    if samples == 3 and network is SQUARED:  # and on one of the held inputs of each network
        true, _ = beside(network, weights, x[:, 1:2], numbers[:, 1:2], eta, 1)
        after = kernel.step(state, points[..., 1, :], goals[..., 1, :], rates)
        for found, wanted in zip(kernel.expand(after), true, strict=True):
            np.testing.assert_allclose(found, wanted.reshape(found.shape).astype(float), rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def file():
    """The four functions of a file of `collapsed` in NumPy, for any number of inputs."""
    names = defined(text_of(SQUARED, "simultaneous", (0, 1), NumpyTarget(), "update", []))
    trainer = Trainer(names["_FUNCTIONS"], names["_TABLE"], lambda array: array)
    return {name: getattr(trainer, name) for name in ("init", "step", "output", "expand")}


@pytest.mark.parametrize("flat", [True, False], ids=["one input", "one row"])
def test_a_file_takes_one_input_as_it_is_or_as_a_row(file, flat):
    """A target and an output have the form that the input was given in."""
    weights = [RNG.normal(size=SQUARED.shape(a)) for a in SQUARED.parameters]
    x, target = RNG.normal(size=(1, 2)), RNG.normal(size=(1, 2))
    true, y = beside(SQUARED, [w[None] for w in weights], x, target, np.array([ETA]), 0)
    form = (lambda a: a[0]) if flat else (lambda a: a)
    state = file["init"](weights, form(x))
    for given in (form(x), None):
        after = file["step"](state, given, form(target), ETA)
        np.testing.assert_allclose(file["output"](state, given), form(y).astype(float), rtol=1e-10)
        for found, wanted in zip(file["expand"](after), true, strict=True):
            np.testing.assert_allclose(found, wanted[0].astype(float), rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="target has shape"):
        file["step"](state, None, form(target)[None], ETA)


def test_a_file_of_several_inputs_takes_one_of_them_as_it_is_or_as_a_row(file):
    weights = [RNG.normal(size=SQUARED.shape(a)) for a in SQUARED.parameters]
    x, target = RNG.normal(size=(3, 2)), RNG.normal(size=(1, 2))
    state = file["init"](weights, x)
    true, y = beside(SQUARED, [w[None] for w in weights], x[1:2], target, np.array([ETA]), 0)
    for form in (lambda a: a[0], lambda a: a):
        after = file["step"](state, form(x[1:2]), form(target), ETA)
        np.testing.assert_allclose(file["output"](state, form(x[1:2])), form(y).astype(float), rtol=1e-10)
        for found, wanted in zip(file["expand"](after), true, strict=True):
            np.testing.assert_allclose(found, wanted[0].astype(float), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("wrong", ["W1", "b2", "x", "finite", "fewer"])
def test_a_file_says_which_array_does_not_fit(file, wrong):
    given = {a.name: np.ones(SQUARED.shape(a)) for a in SQUARED.parameters}
    x = np.ones((3, 2))
    said = f"{wrong} has shape"
    if wrong == "x":
        x = np.ones((3, 3))
    elif wrong == "finite":
        given["b1"][2], said = np.nan, "b1 has shape .*: give finite numbers"
    elif wrong == "fewer":
        del given["b2"]
        said = "3 arrays were given, and these are needed: W1, b1, W2, b2"
    else:
        given[wrong] = given[wrong][..., :-1]
    with pytest.raises(ValueError, match=said):
        file["init"](list(given.values()), x)


def test_a_file_says_after_which_step_the_state_is_lost(file):
    weights = [np.full(SQUARED.shape(a), 1e3) for a in SQUARED.parameters]
    state = file["init"](weights, np.ones((2, 2)))
    with pytest.raises(
        ArithmeticError, match=r"the state is not finite after step [1-9]: go back and take a smaller eta"
    ):
        for _ in range(9):
            state = file["step"](state, None, np.zeros((2, 2)), 1e30)


SETTINGS = {
    "nothing": ({}, ("sgd", ""), ("momentum", "mean")),
    "a rule": ({"rule": "nesterov"}, ("nesterov", ""), ("nesterov", "mean")),
    "a batch": ({"batch": "sum"}, ("sgd", "sum"), ("momentum", "sum")),
    "both": ({"rule": "nesterov", "batch": "sum"}, ("nesterov", "sum"), ("nesterov", "sum")),
}
"""What is asked for, and by which rule and in which batch a network trains that has none, and one that has both."""


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("asked", SETTINGS)
def test_a_state_is_looked_for_under_the_rule_and_batch_that_are_asked_for(asked, inputs):
    """Or else under the network's own; and it saves something where it has fewer numbers than training carries."""
    setting, *wanted = SETTINGS[asked]
    plain = Network.mlp([2, 3, 1])
    for network, (rule, batch) in zip((plain, plain.training("momentum", "mean")), wanted, strict=True):
        found = find_collapse(network, inputs, contracted=(0,), **setting)
        assert (found.network.rule.name, found.network.batch) == (rule, batch)
        memories = 1 if rule == "sgd" else 2  # a velocity for each weight
        assert found.carried == 9 * memories
        assert found.choice.numbers == (3 * inputs + 3) * memories
        assert found.saves == (inputs == 1) and ("nothing is saved" in found.conclusion) == (inputs == 2)


def test_every_choice_of_layers_is_told_with_what_came_of_it():
    """One that closes with its numbers, and one that does not with why."""
    found = find_collapse(Network.mlp([1, 1, 1, 1]))
    told = [line for line in str(found).splitlines() if line.startswith("  summed over ")]
    assert len(told) == len(found.choices) == 6 and {c.closed for c in found.choices} == {True, False}
    for line, choice in zip(told, found.choices, strict=True):
        numbers = f"; {choice.closure.size} numbers, {choice.numbers} at these widths" if choice.closed else ""
        assert line == f"  summed over {choice.layers}: {choice.said}{numbers}"
        assert ("closed: " in line) == choice.closed and ("open: " in line) != choice.closed


@pytest.mark.parametrize("widths", [[1, 3, 2], [3, 2, 8, 1], [1, 8, 2, 1]])
def test_what_is_chosen_has_the_fewest_numbers_of_what_closes_over_a_hidden_layer(widths):
    """And under the names that other schemes have: what the state stands for."""
    s = collapsed_scheme(Network.mlp(widths), "simultaneous")
    assert s.invariants == s.definitions == s.found.definitions != ()
    layers = s.chosen(2)
    closed = [c for c in s.found.choices if c.closed and any(c.found.contracted)]
    least = min(closed, key=lambda c: c.numbers)
    assert set(least.found.contracted) <= set(layers) and set(layers) in [
        set(c.found.contracted) for c in s.found.choices if c.closed
    ]


LISTED = {
    "momentum": (Network.mlp([2, 3, 1], bias=True), {"batch": "sum", "rule": "momentum"}),
    "the second of two layers": (Network.mlp([3, 2, 8, 1]), {"batch": "sum"}),
    "hat": (Network.mlp([2, 3, 1], HAT, bias=True), {"batch": "sum"}),
    "frozen": (Network.mlp([2, 3, 1], bias=True).frozen("b1"), {"batch": "sum"}),
}


@pytest.mark.parametrize("name", LISTED)
def test_a_listed_function_has_all_that_it_needs_once(name):
    """Given, or made by the equations above it; and what units are made of is read where it is given."""
    network, setting = LISTED[name]
    lists = [part.part for part in CollapsedAnyInputs.of(one_step(network, **setting)).lists]
    assert [part.name for part in lists] == ["init", "step", "output", "expand"]
    for part in lists:
        assert len(set(part.given)) == len(part.given) and part.proof.holds
        known = {"beta", "one1", *(a.name for a in part.given)}  # a number of the rule, and what is 1 for every unit
        for e in part.equations:
            assert known >= {a.name for a in e.operands}, f"{part.name}: {e}"
            known.add(e.name)
        assert {a.name for a in part.results} <= known
    init, *_, expand = lists
    read = {a.name for e in expand.equations for a in e.operands}
    assert {a.name for a in expand.given} <= read | {a.name for a in expand.results}
    for e in init.equations:
        if e.name in ("s1", "ms1"):
            of_memory = "of what is remembered" in e.because
            assert of_memory == (e.name != "s1") and ("pre-activations of the first layer" in e.because) != of_memory


@pytest.mark.parametrize("widths", [[2, 5, 3], [12, 4, 1]], ids=str)
def test_the_test_program_of_a_file_in_c_draws_every_weight_and_compares_it(widths):
    """All of each; so that what a unit feels is of the size of what it reads: weights of variance 1 / fan-in."""
    network = Network.mlp(widths, bias=True)
    _, module, table = _known(network, "simultaneous", (0, 1))
    text = beside_text(module, table, "update")
    drawn = re.findall(r"draw\(weights\.(\w+), (\d+), \(real\)([\d.e-]+), &seed\);", text)
    compared = re.findall(r"worst \|= apart\(trained\.(\w+), now_(\w+), (\w+)\);", text)
    sizes = {a.name: int(np.prod(network.shape(a))) for a in network.parameters}
    assert {name: int(count) for name, count, _ in drawn} == sizes
    assert [(a, b, count) for a, b, count in compared] == [(name, name, str(n)) for name, n in sizes.items()]
    for (name, _, size), theta in zip(drawn, network.parameters, strict=True):
        if name.startswith("W"):  # a number between -size and size has the variance size^2 / 3
            assert float(size) ** 2 / 3 * network.shape(theta)[1] == pytest.approx(1, rel=1e-2)


def test_a_scheme_for_any_number_of_inputs_is_counted_for_one():
    """With as many columns as there are patterns of one input."""
    network = Network.mlp([2, 300, 2])
    costs = [cost(collapsed_scheme(n, "simultaneous")) for n in (network, network.training("sgd", "sum", 1))]
    assert costs[0].widths == costs[1].widths and costs[0].state == costs[1].state
    assert costs[0].parts == costs[1].parts and costs[0].at(costs[0].state) < 100
    s = collapsed_scheme(network, "simultaneous")
    assert (s.found.inputs, s._of_one.inputs) == (2, 1)
