"""Functions of the input and of parameters: what is given has gates too, and rounding decides none of them."""

from __future__ import annotations

import numpy as np
import pytest

import fcsym
from fcsym import Network, check, derive
from fcsym.equations import apply, hidden, indices, input_, parameter, total
from fcsym.proof.beside import Beside, _Run
from fcsym.proof.points import residues

i, j, k = indices("i j k")
x, c, U, W = input_("x", j), parameter("c", i), parameter("U", i, j), parameter("W", k, i)
q, z, s, v, y = hidden("q", i), hidden("z", j), hidden("s", i), hidden("v", i), hidden("y", k)
OUT = (y[k], total(i, W[k, i] * v[i]))


def network(what, function):
    """v = s phi(c), or v = s^2 of phi(x)."""
    if what == "c":
        made = [(q[i], apply(function, c[i])), (s[i], total(j, U[i, j] * x[j])), (v[i], s[i] * q[i]), OUT]
    else:
        made = [(z[j], apply(function, x[j])), (s[i], total(j, U[i, j] * z[j])), (v[i], s[i] * s[i]), OUT]
    return Network.from_equations(made, {"i": 3, "j": 2, "k": 2})


DIVISORS = {"divided by a sum of squares": total(i, s[i] ** 2), "divided by a sum": total(i, s[i])}


def divided(name):
    """s over what may be 0, which is a premise of a certificate."""
    n = hidden("n")
    made = [(s[i], total(j, U[i, j] * x[j])), (n[()], DIVISORS[name]), (v[i], s[i] / n[()]), OUT]
    return Network.from_equations(made, {"i": 3, "j": 2, "k": 2})


CASES = [(what, function) for what in "cx" for function in ("softplus", "relu", "leaky_relu")]
SETTINGS = [{}, {"order": "sequential"}, {"batch": "mean"}, {"batch": "sum", "samples": 2}, {"rule": "momentum"}]
STARTS_WITH_ONE = Network.sequential((3,), ["relu", fcsym.Linear(3, 2), "tanh", fcsym.Linear(2, 1)])


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize(("what", "function"), CASES, ids=str)
def test_a_step_is_proved_and_is_that_of_autodiff(what, function, setting):
    d = derive(network(what, function), **setting)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict.name not in ("PROVED", "DEFINITION", "CHOSEN")]
    assert check(d, trials=2)
    assert [e.name for e in d.equations if e.rule.name == "CASES"] == ["dq"] * (what == "c" and function != "softplus")


@pytest.mark.parametrize("setting", [{}, {"batch": "mean"}, {"order": "sequential"}], ids=str)
@pytest.mark.parametrize("name", ["backprop", "states"])
@pytest.mark.parametrize(("what", "function"), CASES[:2] + CASES[3:5], ids=str)
def test_schemes_are_proved_and_train_as_autodiff(what, function, name, setting):
    found = fcsym.scheme(network(what, function), name, **setting)
    assert found.proof.holds
    assert check(found, trials=2, steps=5)


@pytest.mark.parametrize(("of", "by"), [("E", "own"), ("y", "own"), ("dE/down", "own"), ("dE/dU", "own")])
@pytest.mark.parametrize(("what", "function"), CASES, ids=str)
def test_derivatives_by_what_is_given_have_its_gate(what, function, of, by):
    found = fcsym.gradient(network(what, function), of=of.replace("own", what), by=by.replace("own", what))
    assert found.proof.holds
    assert check(found, trials=2)
    gate = next(e for e in found.equations if e.name == f"g{what}")
    assert str(gate.rhs) == f"{function}'({what}[{'i' if what == 'c' else gate.lhs.indices[0].letter}])"


def test_a_gate_stands_before_what_it_is_in():
    names = [e.name for e in derive(network("c", "softplus"))]
    assert names.index("gc") < names.index("dE_dc")


@pytest.mark.parametrize("setting", SETTINGS[:3], ids=str)
def test_a_network_may_begin_with_a_function(setting):
    d = derive(STARTS_WITH_ONE, **setting)
    assert d.proof.holds
    assert check(d, trials=2)
    own = fcsym.scheme(STARTS_WITH_ONE, "states", **setting)
    assert own.proof.holds
    assert check(own, trials=2, steps=5)
    found = fcsym.gradient(STARTS_WITH_ONE, of="dE/dW3", by="x")
    assert found.proof.holds
    assert check(found, trials=2)


@pytest.mark.parametrize("net", [network("c", "relu"), network("x", "leaky_relu"), STARTS_WITH_ONE], ids=str)
def test_errors_are_counted_and_gates_of_what_is_given_are_decided_rightly(net):
    found = fcsym.accuracy(net, trials=2, steps=2)
    assert found.passed


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_what_is_the_same_for_every_sample_has_no_axis_of_samples(order):
    d = derive(network("c", "tanh"), order, batch="mean", samples=3)
    own = {e.name: [index.axis.name for index in e.lhs.indices] for e in d.equations if e.defines}
    assert [own[name] for name in ("q", "gc", "dq", "q_new")] == [["I"]] * 4
    assert len(own["s"]) == len(own["v"]) == 2


def test_the_cases_of_a_parameter_are_drawn(tmp_path):
    """Where each holds is a picture in a page; the parameter itself is no result of a step."""
    d = derive(network("c", "relu"))
    d.save(tmp_path / "page.html")
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_a_closed_gate_of_a_parameter_stays_closed():
    d = derive(network("c", "relu"))
    assert not d.proof.case("dq", "dead -> active").possible
    rng = np.random.default_rng(0)
    net = network("c", "relu")
    weights = [rng.normal(size=(500, *net.shape(a))) for a in net.parameters]
    after = d.compile().step(weights, rng.normal(size=(500, 2)), rng.normal(size=(500, 2)), 0.5, undefined="nan")
    place = [a.name for a in net.parameters].index("c")
    closed = weights[place] <= 0
    assert (after.c_new[closed] == weights[place][closed]).all() and closed.any()


@pytest.mark.parametrize("setting", [{}, {"batch": "mean"}], ids=str)
def test_only_what_stays_has_the_same_function_at_every_step_of_a_run(setting):
    """Of what training moves they are others at each step, before it and after it: one run stands for every pattern."""
    made = [(z[j], apply("tanh", x[j])), (s[i], total(j, U[i, j] * z[j])), (v[i], apply("tanh", s[i])), OUT]
    beside = Beside(fcsym.scheme(Network.from_equations(made, {"i": 2, "j": 2, "k": 2}), "states", **setting))
    first, then = _Run(beside, [residues("first"), residues("then")]).numbers
    outer, inner = beside.network.hidden[-1], beside.network.hidden[0]
    for array, same in ((inner.s, True), (outer.s, False), (outer.s.primed, False)):
        at = array, (0,) * len(array.axes)
        given = [numbers.function(inner.activation, at, 1) for numbers in (first, then)]
        assert (given[0] == given[1]) is same, array
