"""The finder of closed states: what it finds is held against automatic differentiation, which knows nothing of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from points import Point, evaluate, spread

import fcsym
from fcsym.cli import main
from fcsym.collapsing import Bounds
from fcsym.language.expression import Add, Array

HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)])

# networks, inputs and orders that no text names; the last ones have three and four weight matrices
NETWORKS = {
    "two outputs": (fcsym.Network.parse("2-5-2"), 1, "simultaneous"),
    "three inputs, biases": (fcsym.Network.parse("2-6-2", activation="leaky_relu", bias=True), 3, "sequential"),
    "one bias for all units": (fcsym.Network.parse("3-5-2", bias=True).shared("b1"), 2, "sequential"),
    "a frozen bias": (fcsym.Network.parse("3-5-1", bias=True).frozen("b1"), 2, "simultaneous"),
    "intercepts": (fcsym.Network.mlp([2, 7, 1], activation=HAT, bias=[True, False]), 2, "simultaneous"),
    "momentum": (fcsym.Network.parse("2-5-1", bias=True).training("momentum"), 1, "sequential"),
    "decay": (fcsym.Network.parse("3-4-2").training(fcsym.rule("sgd", weight_decay=0.1)), 2, "simultaneous"),
    "mini-batch": (fcsym.Network.parse("2-5-3", loss="cross_entropy").training(None, "mean"), 2, "simultaneous"),
    "linear layers": (fcsym.Network.parse("2-4-3-2", activation="identity"), 1, "simultaneous"),
    "smooth and lines": (fcsym.Network.parse("2-5-3-1", activation=["relu", "tanh"], bias=True), 2, "sequential"),
    "four matrices": (fcsym.Network.parse("2-4-2-5-1", activation="leaky_relu"), 1, "simultaneous"),
}
SUMMED = {"four matrices": (0, 1, 3)}


def worst_error(closure, seed=0):
    """The largest difference between the recursion and the oracle, in units of the largest number there is."""
    point = Point(closure.found.held, seed)

    def weights(after):
        """The state, from weights before the step or after it."""
        made: dict[Array, np.ndarray] = {}

        def value(array):
            return made[array] if array in made else point.array(array, after)

        for equation in (*closure.parts, *closure.definitions):
            found, indices = evaluate(equation.rhs, value)
            made[equation.array] = spread(found, indices, equation.lhs.indices)
        return made

    before, after = weights(False), weights(True)
    worst = 0.0
    for equation in (*closure.recursion, *closure.read):
        found, indices = evaluate(equation.rhs, lambda a: before[a] if a in before else point.array(a, False))
        found = spread(found, indices, equation.lhs.indices)
        array = equation.array
        wanted = after[array.unprimed] if array.after else point.array(array, False)
        worst = max(worst, float(np.max(np.abs(found - wanted)) / (1 + np.max(np.abs(wanted)))))
    return worst


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_found_agrees_with_automatic_differentiation(name):
    network, inputs, order = NETWORKS[name]
    found = fcsym.find_collapse(network, inputs, order)
    closures = [choice.closure for choice in found.choices if choice.closed]
    assert len(closures) >= 2
    for closure in closures:
        assert closure.proof.holds
        assert worst_error(closure) < 1e-15


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recursion_that_is_broken_is_seen_twice(name):
    network, inputs, order = NETWORKS[name]
    closure = fcsym.find_collapse(network, inputs, order, contracted=SUMMED.get(name, (0, 1))).closure
    for n, equation in list(enumerate(closure.recursion))[:5]:
        terms = equation.rhs.terms
        broken = replace(equation, rhs=Add((*terms[:-1], terms[-1] * 2)))
        wrong = replace(closure, recursion=(*closure.recursion[:n], broken, *closure.recursion[n + 1 :]))
        assert [f.equation for f in wrong.proof.findings if f.verdict is not fcsym.Verdict.PROVED] == [equation.name]
        assert worst_error(wrong) > 1e-11


def test_the_state_of_one_hidden_layer_has_two_numbers_for_one_input_and_one_output():
    for bias in ([False, False], [True, False]):
        found = fcsym.find_collapse(fcsym.Network.parse("3-50-1", bias=bias))
        assert (str(found.size), found.choice.numbers, found.choice.found.contracted) == ("2*p_1", 2, (0, 1))
    assert fcsym.find_collapse(fcsym.Network.parse("3-50-1"), order="sequential").choice.numbers == 3


def test_the_state_for_several_inputs_is_a_gram_matrix_for_every_pattern():
    for order in ("simultaneous", "sequential"):
        for rule, each in (("sgd", 1), ("momentum" if order == "sequential" else "nesterov", 2)):
            found = fcsym.find_collapse(fcsym.Network.parse("5-90-2", bias=True), 3, order, rule=rule)
            symmetric = each * 5 * (each * 5 + 1) // 2  # of K + m numbers of a unit, and their velocities
            assert found.choice.found.contracted == (0, 1)
            assert found.choice.numbers == 7 * symmetric + 2 * each  # 7 patterns with a slope, and the output's bias


def test_three_matrices_close_without_the_first_two_widths():
    found = fcsym.find_collapse(fcsym.Network.parse("7-80-3-1"))
    assert found.choice.found.contracted == (0, 1)
    assert not {"n_0", "n_1"} & set(map(str, found.size.free_symbols))
    assert found.choice.numbers == 3 + 3 + 6 + 1  # w3, s2, K and n


def test_the_first_layer_goes_whatever_the_depth_and_the_activation():
    found = fcsym.find_collapse(fcsym.Network.parse("9-4-3-2-1", activation="tanh"), order="sequential")
    (closed,) = [choice for choice in found.choices if choice.closed]
    assert closed.found.contracted == (0,)
    assert [a.name for a in closed.closure.state] == ["s1", "W2", "W3", "W4"]
    assert all("tanh" in c.said for c in found.choices if not c.closed)


def test_neighbouring_hidden_layers_do_not_close_and_say_how_they_grow():
    found = fcsym.find_collapse(fcsym.Network.parse("2-9-9-9-1"))
    closed = {choice.found.contracted for choice in found.choices if choice.closed}
    opened = {choice.found.contracted: choice for choice in found.choices if not choice.closed}
    assert (0, 1, 3) in closed and not any({n, n + 1} <= set(c) for c in closed for n in (1, 2))
    assert set(opened) == {(1, 2), (2, 3)}
    for choice in opened.values():
        counts, factors = zip(*choice.found.growth, strict=True)
        assert list(factors) == [3, 5, 7] and all(counts)
        assert "3, 5, 7 factors" in choice.said


def test_a_choice_may_be_asked_for_and_a_bound_given():
    network = fcsym.Network.parse("2-3-4-1")
    one = fcsym.find_collapse(network, contracted=[0, 1, 2], bounds=Bounds(factors=4))
    assert not one.closed and one.choices[0].found.growth[-1][1] > 4
    with pytest.raises(fcsym.ArgumentError, match="No closed state"):
        one.state  # noqa: B018
    assert fcsym.find_collapse(network, contracted=[2]).choice.found.contracted == (2,)


def test_a_step_that_is_no_polynomial_is_said_to_be_none():
    found = fcsym.find_collapse(fcsym.Network.parse("2-3-1"), rule="adam")
    assert not found.closed and "adam divides" in found.choices[0].said
    assert "no closed state" in str(found)


def test_nothing_saved_is_said():
    found = fcsym.find_collapse(fcsym.Network.parse("2-2-2"), inputs=6)
    assert found.closed and not found.saves and "nothing is saved" in found.conclusion


@pytest.mark.parametrize(
    "arguments", [{"inputs": 0}, {"inputs": True}, {"order": "sideways"}, {"contracted": [2]}, {"contracted": []}]
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(fcsym.ArgumentError):
        fcsym.find_collapse(fcsym.Network.parse("2-2-1"), **arguments)


def test_the_command_prints_the_state_and_its_recursion(capsys):
    assert main(["collapse", "3-8-4-1"]) == 0
    shown = capsys.readouterr().out
    assert "recursion: S1_new[i, c] = S1[i, c]" in shown and "proved 7 equations" in shown
    assert main(["collapse", "4-30-2", "--inputs", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["closed"] and document["numbers"] == 105 and document["proved"]
    assert {"network", "closed", "state", "size", "rounds"} <= document.keys()
    assert main(["collapse", "2-3-4-1", "--over", "1,2"]) == 0
    assert "open: 1, 5, 3 new in 3 rounds" in capsys.readouterr().out
    assert main(["collapse", "2-2-1", "--over", "x"]) == 2


def test_latex_has_every_equation():
    found = fcsym.find_collapse(fcsym.Network.parse("3-8-4-1"))
    text = found.latex()
    assert text.count(r"\[") == 1 + 3 + 3 + 4 and "S^{(1)" in text
