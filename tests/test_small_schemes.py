"""What schemes and statements say, in rational numbers beside a step by hand, and what they refuse.

Each takes a fraction of a second, so that a fault in any part of a scheme is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import exact
import numpy as np
import pytest
from test_small_proofs import CARRIED, SCHEMES

import fcsym
from fcsym import Concatenate, Linear, Network
from fcsym.deriving.pipeline import one_step
from fcsym.language.expression import Expr, power
from fcsym.language.instance import Instance, exact_field
from fcsym.layers import Node
from fcsym.networks.symbols import SIZE
from fcsym.schemes import build
from fcsym.schemes.read_data import _listed
from fcsym.schemes.record import SingleInput

NUMBERS = {
    "W1": [[1, 2], [Fraction(1, 2), Fraction(-1, 4)]],
    "b1": [Fraction(1, 4), Fraction(1, 3)],
    "W2": [[2, Fraction(-3, 2)], [Fraction(1, 3), 1]],
    "b2": [Fraction(1, 5), Fraction(-1, 7)],
    "x": [Fraction(3, 2), Fraction(1, 2)],
    "yg": [1, Fraction(-1, 3)],
    "z": [2, Fraction(1, 3)],
    "eta": Fraction(1, 50),
}
"""Both hidden units stay active in the step, and see both inputs."""


fractions = np.vectorize(Fraction, otypes=[object])


def entry(name, position):
    """A number of the table as a fraction."""
    return Fraction(np.array(NUMBERS[name], dtype=object)[position])


def test_the_next_input_is_what_it_says_in_numbers(order):
    """Each equation and each invariant about the other input, beside the step by hand."""
    statement = fcsym.next_input(Network.mlp([2, 2, 2], bias=True), order=order)
    equations = {e.array: e for e in statement.routines["next"].equations if e.defines}
    sizes = statement.network.sizes
    instance = Instance(equations, sizes, lambda array, position: entry(array.name, position), exact_field())
    n = {
        name: np.vectorize(Fraction, otypes=[object])(np.array(value, dtype=object)) for name, value in NUMBERS.items()
    }
    made = exact.step(
        (2, 2, 2), [n["W1"].tolist(), n["W2"].tolist()], n["x"], n["yg"], n["eta"][()], order,
        biases=[n["b1"].tolist(), n["b2"].tolist()],
    )  # fmt: skip
    before, after = n["W1"] @ n["z"] + n["b1"], np.array(made.w[0]) @ n["z"] + made.b[0]
    assert (before > 0).all() and (after > 0).all() and min(made.s[0] + made.s_new[0]) > 0
    w = np.array(made.w[1])
    own = w * (np.array(made.v_new[1]) - made.v[1]) / made.v[1]
    assert own.all()
    wanted = {
        "Kz": n["x"] @ n["z"] + 1,
        "c": (np.array(made.s_new[0]) - made.s[0]) / (n["x"] @ n["x"] + 1),
        "dsz": after - before,
        "sz_new": after,
        "p": own,
        "pz": w * (after - before) / before - own,
        "yz": w @ after + made.b[1],
    }
    told = {e.name: e for e in statement.routines["next"].equations}
    meant = {e.name: e for e in statement.meanings}
    for name, value in wanted.items():
        value = np.array(value)
        for e in (told.get(name), meant.get(name)):
            for position in product(*map(range, value.shape)) if e is not None else ():
                assert instance.right_side(e, position) == value[position], f"{e} at {position}"
    assert meant.keys() <= wanted.keys() <= told.keys()


@pytest.mark.parametrize(("widths", "said", "instead"), [
    ([2, 1], "has none", "choose backprop or states."),
    ([1, 1, 1, 1], "has 2", "choose states, which takes any depth."),
    ([1, 2, 1, 1, 1], "has 3", "choose states, which takes any depth."),
    ([2, 2, 2], "one output, and 2-2-2 has 2", "choose states, which takes any number."),
])  # fmt: skip
def test_equations_of_one_input_say_which_network_they_are_not_for(widths, said, instead):
    """How many hidden layers it has, or how many outputs, and what to choose."""
    with pytest.raises(fcsym.ArgumentError) as refused:
        build(Network.mlp(widths), "collapsed")
    assert said in str(refused.value) and str(refused.value).endswith(instead)


@pytest.mark.parametrize("biases", [(False, False), (True, False), (True, True)])
def test_inner_products_of_what_is_read_have_1_where_there_is_a_bias(biases):
    """And their reason says so."""
    first, second = (Node(Linear(2, 1, bias=bias), name, ("x",)) for bias, name in zip(biases, "ab", strict=True))
    network = Network([first, second, Node(Concatenate(), "c", ("a", "b")), Node(Linear(2, 1), "y")], input=(2,))
    x = [Fraction(2), Fraction(-1, 2)]
    instance = Instance({}, network.sizes, lambda array, at: x[at[-1]], exact_field())
    found = {}
    for e in fcsym.scheme(network, "states").routines["init"].equations:
        if e.because.startswith("These are the inner products of the data"):
            found[e.because.removeprefix("These are the inner products of the data that is read")] = e
    said = {True: " plus 1 for the bias.", False: "."}
    assert found.keys() == {said[bias] for bias in biases}
    for bias in biases:
        e = found[said[bias]]
        assert instance.right_side(e, (0,) * len(e.lhs.indices)) == Fraction(17, 4) + bias


@pytest.mark.parametrize(("names", "said"), [
    ("a", "`a`"), ("ab", "`a` and `b`"), ("abc", "`a`, `b` and `c`"), ("abcd", "`a`, `b`, `c` and `d`"),
])  # fmt: skip
def test_maps_are_listed_in_words(names, said):
    assert _listed([SimpleNamespace(weight=SimpleNamespace(name=name)) for name in names]) == said


@pytest.mark.parametrize("bias", [False, True])
def test_the_norm_of_one_input_is_held_and_not_defined_again(bias):
    """All other equations of the step are there, with what is held in its place."""
    base = one_step(Network.mlp([2, 2, 1], bias=bias))
    made = SingleInput.of(base).equations
    assert [e.name for e in made] == [e.name for e in base.equations if e.name != "a0"]
    reads = {e.name for e in base.equations if isinstance(e.rhs, Expr) and "a0" in {a.name for a in e.operands}}
    told = {e.name for e in made if e != base.by_name[e.name]}
    assert told == reads != set()
    assert not any(a.name == "a0" for e in made if e.name in reads for a in e.operands)


def test_the_inverse_of_a_size_is_of_the_layer_that_the_size_is_of():
    """1/c0 is called ic0, and is one number."""
    s = fcsym.scheme(Network.mlp([2, 2, 1], bias=True), "states")
    (inverse,) = {e.array for part in s.parts for e in part if e.rhs == power(SIZE[()], -1)}
    assert (inverse.name, inverse.layer, inverse.axes) == ("ic0", SIZE.layer, ())


@pytest.mark.parametrize(("phi", "pieces"), [("relu", [""]), ("leaky_relu", ["1", "2"]), ("identity", [""])])
def test_numbers_of_pieces_are_told_apart_where_there_are_several(phi, pieces):
    s = fcsym.scheme(Network.mlp([2, 2, 1], phi), "collapsed")
    for name in ("A", "B"):
        assert {a.name for a in s.state if a.symbol == name} == {f"{name}{piece}" for piece in pieces}


@pytest.mark.parametrize("name", [*SCHEMES, *CARRIED])
def test_each_array_of_a_state_is_told_in_a_sentence(name):
    kind, network, setting = CARRIED[name] if name in CARRIED else (name, *SCHEMES[name])
    s = fcsym.scheme(network, kind, **setting)
    assert [array for array, _, _ in s.carried] == list(s.state)
    for array, words, _ in s.carried:
        assert words.endswith((".", ".)")) and words[0].isupper() | (words[0] == "`"), (array.name, words)


MOMENTUM = {"batch": "sum", "samples": 2, "rule": fcsym.rule("momentum", weight_decay="0.1")}
BATCHES = {
    "momentum, biases": (Network.mlp([1, 1, 1], bias=True), MOMENTUM),
    "momentum, two layers": (Network.mlp([1, 1, 1, 1], bias=True), MOMENTUM),
    "frozen bias": (Network.mlp([1, 1, 1], bias=True).frozen("b1"), {"batch": "mean"}),
    "shared bias": (Network.mlp([1, 2, 1], bias=True).shared("b1"), {"batch": "mean", "order": "sequential"}),
    "frozen weights above": (Network.mlp([1, 1, 1, 1], bias=True).frozen("W2"), {"batch": "sum"}),
    "no hidden layer": (Network.mlp([2, 1], bias=True), {"batch": "mean"}),
    "no hidden layer, momentum": (Network.mlp([2, 1], bias=True), MOMENTUM),
}


@pytest.mark.parametrize("name", BATCHES)
def test_the_states_of_a_batch_are_proved(name):
    network, setting = BATCHES[name]
    proof = fcsym.scheme(network, "states", **setting).proof
    assert proof.holds, proof


@pytest.mark.parametrize("name", [*SCHEMES, *CARRIED, "collapse", "next input"])
def test_a_scheme_takes_one_input_where_it_says_that_the_input_stays(name):
    """Or the same samples; and names of cases speak of the pieces of the first layer."""
    network = Network.mlp([1, 1, 1])
    if name in ("collapse", "next input"):
        s = (fcsym.collapse if name == "collapse" else fcsym.next_input)(network)
    else:
        kind, network, setting = CARRIED[name] if name in CARRIED else (name, *SCHEMES[name])
        s = fcsym.scheme(network, kind, **setting)
    stays = [said for said in s.assumptions if "the same at every step" in said]
    assert s.single_input == bool(stays)
    if network.built is None:
        assert s.split_by is s.network.layers[0].activation
