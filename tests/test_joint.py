"""Joint gate patterns and flips: every witness is evaluated again by the tests' own exact step."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import exact
import numpy as np
import pytest
import sympy

import fcsym.proof.joint as joint_module
from fcsym.cli import main
from fcsym.closed.flip import flips
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, SizeError
from fcsym.networks.network import Network
from fcsym.proof.joint import MAX_PATTERNS, joint


def pattern_of(network, order, witness):
    """The pieces of every hidden unit on `witness.other`, before and after, for ReLU without biases."""
    weights = [[list(line) for line in matrix] for matrix in witness.weights]
    kink = network.layers[0].activation.kink_slopes[0]

    def slope(s):
        return Fraction(s > 0) if s else kink

    after = exact.step(network.widths, weights, witness.x, witness.target, witness.eta, order, slope=slope).w

    def gates(w):
        s = exact.step(network.widths, w, witness.other, witness.target, Fraction(0), order).s
        return [int(value > 0) for layer in s[:-1] for value in layer]

    return tuple(zip(gates(weights), gates(after), strict=True))


def read(text):
    """A witness as it is printed => its numbers by name, by a reader that knows nothing of the engine."""
    parts = re.findall(r"([\w@]+) = (.+?)(?=, [\w@]+ = |$)", text)
    return {name: nested(value) for name, value in parts}


def nested(text):
    """ "((1, 2), (3, -1/2))" => lists of fractions."""
    words = re.sub(r"(-?\d+(?:/\d+)?)", r'"\1"', text.replace("(", "[").replace(")", "]"))

    def numbers(value):
        return [numbers(part) for part in value] if isinstance(value, list) else Fraction(value)

    return numbers(json.loads(words))


@pytest.mark.parametrize("text", ["2-2-1", "3-3-1", "2-2-2-1"])
def test_every_pattern_is_decided(text, order):
    network = Network.parse(text)
    for inputs in (1, 2):
        found = joint(network, order, inputs)
        assert not found.unknown
        units = sum(network.widths[1:-1])
        assert len(found.reachable) + len(found.impossible) == 4**units
        assert set(found.reachable).isdisjoint(found.impossible)
        assert sum(found.groups.values()) == len(found.reachable)
        for pattern, witness in found.reachable.items():
            assert pattern_of(network, order, witness) == pattern
            assert witness.eta > 0
            assert inputs == 2 or witness.x == witness.other
            printed = read(str(witness))  # anybody can evaluate it: every number is there
            layers = [f"W{n}" for n in range(1, len(network.layers) + 1)]
            assert list(printed) == [*layers, "x", *(["x@"] if inputs == 2 else []), "y_g", "eta"]
            said = SimpleNamespace(
                weights=[printed[name] for name in layers], x=printed["x"], other=printed.get("x@", printed["x"]),
                target=printed["y_g"], eta=printed["eta"],
            )  # fmt: skip
            assert pattern_of(network, order, said) == pattern


def test_one_hidden_layer_has_three_cases_per_unit(order):
    """With one input a dead unit stays dead, and the units do not hinder each other; with two inputs all four occur."""
    for text, units in (("2-1-1", 1), ("2-2-1", 2), ("3-3-1", 3)):
        assert len(joint(Network.parse(text), order).reachable) == 3**units
        assert len(joint(Network.parse(text), order, 2).reachable) == 4**units


def test_a_narrow_network_has_fewer(order):
    """One unit per layer: a closed gate stops everything."""
    found = joint(Network.parse("1-1-1-1"), order)
    assert not found.unknown
    assert ((0, 0), (0, 1)) in found.impossible
    assert ((0, 0), (1, 1)) in found.impossible


def test_an_open_gate_at_the_kink_wakes_units():
    """With slope 1 at the kink, s = 0 learns: dead -> active occurs."""
    closed, opened = (Network.parse("2-1-1").with_slope_at_kink(k) for k in (0, 1))
    assert ((0, 1),) in joint(closed).impossible
    found = joint(opened)
    assert pattern_of(opened, "simultaneous", found.reachable[((0, 1),)]) == ((0, 1),)


def test_other_activations_and_biases(order):
    for network in (Network.parse("2-1-1", "leaky_relu", True), Network.parse("1-2-1", "relu", True)):
        found = joint(network, order)
        assert not found.unknown
        assert found.reachable


def test_z3_alone_finds_and_excludes(monkeypatch):
    """Without the small numbers, z3 finds the patterns itself."""
    monkeypatch.setattr(joint_module, "_tried", lambda *_: iter(()))
    found = joint(Network.parse("2-1-1"))
    assert set(found.reachable) == {((1, 1),), ((1, 0),), ((0, 0),)}
    assert found.impossible == (((0, 1),),)


def test_a_wrong_witness_is_not_believed(monkeypatch):
    """Floats suggest and fractions decide: with wrong floats, nothing false is claimed."""
    monkeypatch.setattr(joint_module._Draw, "pieces", lambda self, order: (self.x[:, :1] > 9, self.x[:, :1] > -9))
    assert not list(joint_module._tried(Network.parse("2-1-1"), "simultaneous", 1, 2))


@pytest.mark.parametrize("inputs", [1, 2])
def test_the_step_written_out_is_that_of_the_reference(order, inputs):
    """Patterns are read off a step in fractions; the reference of the proofs finds the same, biases and kinks too."""
    for network in (
        Network.parse("2-2-2-1", ["relu", "leaky_relu"], True),
        Network.parse("2-3-2").with_slope_at_kink(Fraction(1, 3)),
    ):
        draw = joint_module._Draw.of(network, inputs, np.random.default_rng(5))
        for n in range(40):
            at = draw.witness(n)
            assert joint_module._pattern_of(network, order, at) == joint_module._pattern_at(network, order, at)


def test_the_reference_is_asked_once_for_each_kind(monkeypatch):
    """Units of a layer are interchangeable: five units have 56 kinds of patterns, and 1024 patterns."""
    asked = []
    slow = joint_module._pattern_at
    monkeypatch.setattr(joint_module, "_pattern_at", lambda *given: asked.append(given) or slow(*given))
    found = joint(Network.parse("2-5-1"), inputs=2)
    assert len(found.reachable) == 4**5
    assert len(asked) <= 56


def test_too_large_is_refused_with_the_number():
    with pytest.raises(SizeError) as caught:
        joint(Network.parse("8-16-16-1"))
    assert str(4**32)[:6] in str(caught.value) or "10^18" in str(caught.value)
    assert str(MAX_PATTERNS) in str(caught.value)
    with pytest.raises(ArgumentError):
        joint(Network.parse("2-1"))


def test_on_the_command_line(capsys, order):
    assert main(["cases", "2-2-2-1", "--joint", "--json", "--order", order]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["joint"] == len(data["joint_patterns"])
    assert data["joint"] + data["joint_impossible"] == 256
    assert data["joint_unknown"] == 0
    assert main(["cases", "2-2-1", "--joint"]) == 0
    assert "9 joint patterns occur" in capsys.readouterr().out
    assert main(["cases", "16-16-16-1", "--joint"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# ----------------------------------------------------------------------------------------------------------- flips


def test_the_interval_of_eta_is_where_the_unit_dies(order):
    """Against exact steps at step sizes on both sides of every end."""
    d = derive(Network.parse("2-2-1"), order)
    flip = flips(d, 1)
    assert flip.proved
    inside = outside = 0
    values = (Fraction(-2), Fraction(-1), Fraction(1), Fraction(3))
    for w1, w5, error in product(values, values, values):
        w, x = [[[w1, Fraction(1)], [Fraction(1), Fraction(2)]], [[w5, Fraction(1)]]], [Fraction(1), Fraction(2)]
        plain = exact.step((2, 2, 1), w, x, [Fraction(0)], Fraction(0), order)
        if plain.s[0][0] <= 0:
            continue
        at = {"s_1": plain.s[0][0], "a0": 5, "w_5": w5, "dE_dY": error}
        numbers = {sympy.Symbol(name, real=True): sympy.Rational(str(value)) for name, value in at.items()}
        target = [plain.v[-1][0] - error]
        for eta in (Fraction(1, 50), Fraction(1, 9), Fraction(1, 5), Fraction(1, 2), Fraction(2), Fraction(20)):
            dead = exact.step((2, 2, 1), w, x, target, eta, order).s_new[0][0] <= 0
            said = all(bool(condition.subs(numbers)) for condition in flip.when)
            said = said and bool(flip.lower.subs(numbers) <= eta) and bool(eta <= flip.upper.subs(numbers))
            assert said is dead
            inside += dead
            outside += not dead
    assert inside > 20
    assert outside > 20


def test_where_there_is_no_closed_form_it_says_so():
    for text, order, layer in (("2-2-2-1", "sequential", 1), ("2-2-2-1", "simultaneous", 2)):
        flip = flips(derive(Network.parse(text), order), 1, layer)
        assert flip.lower is None
        assert "no closed form" in str(flip)
    assert flips(derive(Network.parse("2-2-2-1")), 1, 1).lower is not None


def test_cases_show_the_flip(capsys):
    assert main(["cases", "2-2-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flip"]["proved"] is True
    assert main(["cases", "2-2-1"]) == 0
    assert "flip: unit 1" in capsys.readouterr().out


def test_smooth_units_have_no_patterns(capsys):
    assert main(["cases", "2-2-1", "--activation", "tanh", "--joint"]) == 2
    assert "a smooth function without cases" in capsys.readouterr().err
    for order, inputs in (("sideways", 1), ("simultaneous", 3)):
        with pytest.raises(ArgumentError):
            joint(Network.parse("2-1-1"), order, inputs)
