"""The induction, the next input, P as a series, r after n steps, and the paper's claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
from conftest import NETWORKS, ORDERS
from test_schemes import mutated, random_weights

import fcsym
from fcsym.closed.series import flow, powers
from fcsym.language.equation import Verdict
from fcsym.paper.claims import Answer, claims
from fcsym.paper.r_formula import measure
from fcsym.proof.schemes import prove_scheme

HIDDEN = [name for name, network in NETWORKS.items() if len(network.layers) > 1]


@pytest.mark.parametrize("net", HIDDEN)
def test_the_induction_is_proved_at_every_boundary(net, order):
    network = NETWORKS[net]
    statement = fcsym.collapse(network, order=order)
    assert statement.proof.holds
    for layer in range(2, len(network.layers) + 1):
        assert f"p{layer}" in statement.output.by_name
        assert statement.output.proof.verdict(f"p{layer}").verdict is Verdict.CHOSEN
    assert statement.output.proof.verdict("y").verdict is Verdict.PROVED


def test_statements_are_read_and_not_run():
    for statement in (fcsym.collapse(NETWORKS["2-2-1"]), fcsym.next_input(NETWORKS["2-2-1"])):
        for call in (statement.compile, lambda s=statement: fcsym.check(s)):
            with pytest.raises(fcsym.CompileError, match="is a statement to be read"):
                call()


def test_the_induction_needs_a_hidden_layer():
    with pytest.raises(fcsym.ArgumentError, match="has one layer already"):
        fcsym.collapse(NETWORKS["linear"])


@pytest.mark.parametrize("net", list(NETWORKS))
def test_the_next_input_is_proved(net, order):
    statement = fcsym.next_input(NETWORKS[net], order=order)
    assert statement.proof.holds
    assert ("pz" in statement.parts[-1].by_name) == (len(NETWORKS[net].layers) == 2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("make", "part", "own"), [
    (fcsym.collapse, "output", {"p2", "R2", "p3", "R3", "s2", "y"}),
    (fcsym.next_input, "next", {"Kz", "c", "own input", "dsz", "sz_new", "pz", "yz"}),
])  # fmt: skip
def test_no_changed_statement_is_proved(make, part, own, order):
    network = NETWORKS["three layers" if make is fcsym.collapse else "2-2-1"]
    statement = make(network, order=order)
    routine = statement.routines[part]
    count = 0
    for n, equation in enumerate(routine.equations):
        for other in mutated(equation) if equation.name in own else ():
            try:
                changed = replace(statement, routines={
                    **statement.routines,
                    part: replace(routine, equations=(*routine.equations[:n], other, *routine.equations[n + 1 :])),
                })  # fmt: skip
                proof = prove_scheme(changed)[part]
            except (KeyError, TypeError):  # an index without a sum: no equation at all
                continue
            assert not proof.holds, str(other)
            count += 1
    assert count >= 10


def test_eq_31_in_numbers():
    """p@ on top of p gives the output of backpropagation on the next input; the paper's sign does not."""
    rng = np.random.default_rng(4)
    network = NETWORKS["2-2-1"]
    weights = [np.abs(w) for w in random_weights(network, rng)]
    x, z, target, eta = np.array([0.5, 1.0]), np.array([1.0, 0.25]), np.array([0.3]), 0.05
    kernel = fcsym.scheme(network, "backprop", order="sequential").compile()
    after = kernel.step(kernel.init(weights), x, target, eta)
    w, frozen, now = after.W2[0], weights[0] @ z, after.W1 @ z
    p = w * (after.W1 @ x - weights[0] @ x) / (weights[0] @ x)
    more = w * (now - frozen) / frozen - p
    assert np.isclose((w + p + more) @ frozen, w @ now, rtol=1e-14)
    assert not np.isclose((w + p + (more + 2 * p)) @ frozen, w @ now, rtol=1e-3)


# ------------------------------------------------------------------------------------------------------------ series


def test_powers_of_p_are_its_coefficients():
    """P, put together again from its coefficients, is P: in two and in three layers."""
    for net, symbol in (("2-2-1", "w_5_new"), ("three layers", "W3_1_1_new")):
        d = fcsym.derive(NETWORKS[net], order="sequential")
        found = powers(d, "active -> active")
        assert max(found) == 3 and set(found) >= {0, 3}
        keep = ("vc", f"W{len(d.network.layers)}_new", f"delta{len(d.network.layers)}", "kappa", "alpha", "a0")
        keep = tuple(name for name in keep if name in d.by_name)
        closed = sympy.Poly(d.expr("P", 1, case="active -> active", keep=keep), sympy.Symbol(symbol, real=True))
        assert {power for (power,), c in closed.terms() if c} == set(found)
    with pytest.raises(fcsym.ArgumentError, match="has no case 'alive' with a value: choose one of active"):
        powers(d, "alive")


def test_the_flow_is_where_training_with_small_steps_goes():
    """r(w) = w sqrt(C + a w^2)/v^c is approached by training as eta -> 0, and not by the integral."""
    network = NETWORKS["2-2-1"]
    found = flow(fcsym.derive(network))
    assert found.rest == 0
    weights = [np.array([[0.5, 0.4], [0.3, 0.9]]), np.array([[0.3, 0.2]])]
    x, target = np.array([1.0, 0.5]), np.array([1.5])
    w, a, c, vc = sympy.symbols("w a C vc", positive=True)
    off = []
    for eta in (0.02, 0.01, 0.005):
        kernel = fcsym.scheme(network, "weights").compile()
        state = kernel.run(kernel.init(weights, x), np.tile(x, (200, 1)), np.tile(target, (200, 1)), eta)
        constant = state.vc**2 - float(state.c0**2 * state.t0) * weights[1][0] ** 2
        facts = [{w: state.W2[0, j], a: float(state.c0**2 * state.t0), c: constant[j], vc: state.vc[j]} for j in (0, 1)]
        predicted = [float(found.r.subs(numbers)) for numbers in facts]
        off.append(np.abs(np.array(predicted) - state.r[0]).max())
    assert off[0] > off[1] > off[2] and off[2] < 1e-2
    assert np.isclose(off[0] / off[2], 4, rtol=0.5)  # first order in eta


def test_the_series_is_that_of_the_flow():
    found = flow(fcsym.derive(NETWORKS["2-2-1"]), terms=4)
    numbers = {"a": 1.25, "C": 2.0, "vc": 0.7}
    at = {symbol: numbers[symbol.name] for symbol in found.r.free_symbols if symbol.name in numbers}
    w = next(symbol for symbol in found.r.free_symbols if symbol.name == "w")
    truth = float(found.r.subs(at | {w: 0.1}))
    terms = [float(c.subs(at)) * 0.1 ** (2 * n + 1) for n, c in enumerate(found.series)]
    assert abs(sum(terms) - truth) < abs(terms[-1])
    assert abs(sum(terms[:2]) - truth) > abs(sum(terms) - truth)
    with pytest.raises(fcsym.ArgumentError, match="flow needs two layers"):
        flow(fcsym.derive(NETWORKS["three layers"]))


def test_r_after_n_steps():
    rows = {(d.formula, d.order, d.steps): d for d in measure(networks=200)}
    for order in ORDERS:
        for steps in (1, 10, 100):
            printed, mended, exact = (rows[name, order, steps] for name in ("printed", "mended", "exact"))
            assert exact.median < 1e-14 and exact.worst < 1e-9
            assert printed.median > 0.1
            assert exact.median < mended.median < printed.median
    with pytest.raises(fcsym.ArgumentError, match="steps is"):
        measure(steps=(0,))


# ------------------------------------------------------------------------------------------------------------ claims


def test_claims_are_computed():
    small, wide = ({c.label: c for c in claims(fcsym.Network.parse(net))} for net in ("2-2-1", "64-4-1"))
    assert small["(ii)"].answer is Answer.FAILS and wide["(ii)"].answer is Answer.CONDITION
    assert list(small) == ["(i)", "(ii)", "(iii)", "(iv)", "(v)", "(vi)", "induction", "collapse"]
    assert small["(vi)"].answer is Answer.CONDITION
    assert small["induction"].answer is Answer.CONDITION
    found = fcsym.find_collapse(fcsym.Network.parse("64-4-1"), 1, "sequential")
    assert wide["collapse"].answer is Answer.CONDITION
    assert wide["collapse"].number.startswith(f"{found.choice.numbers} numbers in place of {found.carried}")
    smooth = {c.label: c for c in claims(fcsym.Network.parse("2-2-1", "tanh"))}["collapse"]
    assert smooth.answer is Answer.FAILS and "tanh is not made of lines" in smooth.finding
    saved = fcsym.cost(fcsym.scheme(fcsym.Network.parse("64-4-1"), "backprop", order="sequential"))
    own = fcsym.cost(fcsym.scheme(fcsym.Network.parse("64-4-1"), "states", order="sequential"))
    assert f"states {saved.at(saved.state) - own.at(own.state):+d}" in wide["(ii)"].number


@pytest.mark.parametrize("given", [
    {"widths": [2, 3, 1], "batch": "mean"}, {"widths": [2, 3, 1], "rule": {"name": "adam"}}, {"widths": [3, 2]},
    {"widths": [2, 3, 1], "bias": True, "train": {"b1": False}},
], ids=str)  # fmt: skip
def test_what_the_paper_claims_nothing_of_is_refused_with_what_to_ask_instead(given):
    with pytest.raises(fcsym.ArgumentError, match=r"^the paper's claims are about .*: ask about a dense network"):
        claims(fcsym.Network.from_table(given))


def beyond():
    return {c.label: c for c in claims(fcsym.Network.parse("1-1-1"))}["(vi)"]


def test_the_claim_about_other_layers_is_counted():
    claim = beyond()
    said = dict(part.split(": ", 1) for part in claim.number.split("; "))
    assert set(said) == {"convolution", "recurrence", "gated recurrence", "attention block"}
    net = fcsym.Network.sequential((3, 2), [fcsym.layers.RNN(2, 3, last=True), fcsym.layers.Linear(3, 2)])
    proof = fcsym.derive(net).proof
    assert said["recurrence"].startswith(f"proved {proof.count(fcsym.Verdict.PROVED)} of ")
    assert "at 3 positions, the condition number of v^c v^cT" in said["attention block"]
    assert all("y_front" in of_one for of_one in said.values())
    assert "linearly independent: attention block" in claim.condition and "states" in claim.condition


@pytest.mark.parametrize("apart", [1e-3, float("nan")])
def test_the_claim_about_other_layers_fails_where_the_outputs_differ(apart, monkeypatch):
    monkeypatch.setattr("fcsym.paper.claims._apart", lambda _: (apart, 1.0))
    assert beyond().answer is Answer.FAILS
