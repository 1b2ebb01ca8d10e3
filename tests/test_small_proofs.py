"""Proofs of the smallest network of every kind: what is derived is proved, and what is changed on purpose is not.

Each takes less than a second, so that a fault in any part of the proof is seen by a test that is quick.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import fcsym
from fcsym import (
    GRU,
    Concatenate,
    Conv1d,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MultiheadAttention,
    Network,
    Residual,
)
from fcsym.certificates.checking import Accepted
from fcsym.certificates.file import Certificate
from fcsym.language.equation import Cases, Rule, Status, Verdict
from fcsym.language.expression import Expr, add, mul
from fcsym.layers import Node
from fcsym.proof import prove
from fcsym.proof.schemes import prove_scheme

mlp = Network.mlp
HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)], "1/2")
STEPS = {
    "plain": (mlp([1, 2, 1], bias=True), {}),
    "two outputs": (mlp([1, 1, 2]), {"order": "sequential"}),
    "several pieces": (mlp([1, 1, 1], HAT, output=HAT), {}),
    "bias in the middle": (mlp([1, 1, 1, 1], bias=[False, True, False]), {"order": "sequential"}),
    "biases outside": (mlp([1, 1, 1, 1], "leaky_relu", bias=[True, False, True]), {}),
    "shared bias": (mlp([1, 2, 1], bias=True).shared("b1"), {"order": "sequential"}),
    "shared bias above": (mlp([1, 1, 2, 1], bias=True).shared("b2"), {}),
    "frozen bias": (mlp([1, 1, 1], bias=True).frozen("b1"), {}),
    "frozen weights": (mlp([1, 1, 1, 1], bias=True).frozen("W2"), {"order": "sequential"}),
    "momentum": (mlp([1, 1, 1]), {"rule": fcsym.rule("momentum", beta="0.9", weight_decay="0.1")}),
    "nesterov": (mlp([1, 1, 1]), {"rule": "nesterov", "order": "sequential"}),
    "rmsprop": (mlp([1, 1, 1], bias=True), {"rule": "rmsprop"}),
    "adam": (mlp([1, 1, 1]), {"rule": fcsym.rule("adam", weight_decay="0.1")}),
    "adamw": (mlp([1, 1, 1]), {"rule": fcsym.rule("adamw", weight_decay="0.1"), "order": "sequential"}),
    "mean": (mlp([1, 2, 1], bias=True), {"batch": "mean"}),
    "two samples": (mlp([1, 1, 1], "tanh"), {"batch": "sum", "samples": 2}),
    "mean with adam": (mlp([1, 1, 1]), {"batch": "mean", "rule": "adam", "order": "sequential"}),
    "smooth, huber": (mlp([1, 1, 1], "tanh", output="tanh", loss="huber"), {}),
    "pieces, l1": (mlp([1, 1, 1], output="relu", loss="l1"), {"order": "sequential"}),
    "hinge": (mlp([1, 1, 2], loss="hinge"), {}),
    "softmax": (mlp([1, 1, 2], "sigmoid", output="softmax", loss="cross_entropy"), {}),
    "sigmoid, bce": (mlp([1, 1, 1], "softplus", output="sigmoid", loss="bce"), {}),
    "bce on logits": (mlp([1, 1, 2], "silu", loss="bce_logits"), {}),
    "gelu": (mlp([1, 1, 1], "gelu", loss="mse"), {"order": "sequential"}),
    "no hidden layer": (mlp([2, 1], bias=True), {}),
    "convolution": (
        Network([Conv1d(1, 1, 2), "relu", MaxPool1d(2), Flatten(), Linear(1, 1)], input=(1, 3)),
        {"order": "sequential"},
    ),
    "attention": (Network.sequential((2, 1), [MultiheadAttention(1, 1), Linear(1, 1)]), {}),
    "gates": (Network.sequential((1, 1), [GRU(1, 1, last=True), Linear(1, 1)]), {}),
    "norm": (Network.sequential((2,), [LayerNorm(2), Linear(2, 1)]), {"batch": "mean"}),
    "tokens": (Network.sequential((2, 2), [Embedding(2, 1), Flatten(), Linear(2, 1)]), {}),
}
MORE = {
    "identity": (mlp([1, 1, 1, 1], ["relu", "identity"], bias=True), {"order": "sequential"}),
    "softmax and squares": (mlp([1, 1, 2], output="softmax"), {}),
    "frozen among layers": (
        Network.sequential((2,), [Linear(2, 1), "relu", Residual([Linear(1, 1)]), Linear(1, 1)]).frozen("W1"), {}
    ),
    "beside, with adam": (
        Network.sequential((1,), [Residual([Linear(1, 1)]), Linear(1, 1)]), {"rule": "adam"}
    ),
    "read by two": (
        Network(
            [
                Node(Linear(1, 1), "a", ("x",)), Node(Linear(1, 1), "b", ("a",)), Node("relu", "r", ("a",)),
                Node(Concatenate(), "c", ("b", "r")), Node(Linear(2, 1), "y"),
            ],
            input=(1,),
        ),
        {},
    ),
}  # fmt: skip
"""Of these no texts are kept."""


def changed(equation):
    """The same equation, twice as much; one more where that is 0, and in the last case that has a value."""
    if isinstance(equation.rhs, Expr):
        twice = mul(2, equation.rhs)
        return replace(equation, rhs=twice if twice != equation.rhs else add(twice, 1))
    last = max(n for n, branch in enumerate(equation.rhs) if branch.value is not None)
    rows = [replace(b, value=add(b.value, 1)) if n == last else b for n, b in enumerate(equation.rhs)]
    return replace(equation, rhs=Cases(tuple(rows)))


@pytest.mark.parametrize("name", [*STEPS, *MORE])
def test_what_is_derived_is_proved_by_whoever_can_speak(name):
    """Both deciders say something of every equation, but for what only one of them knows, and z3 of the others."""
    network, setting = (STEPS | MORE)[name]
    d = fcsym.derive(network, **setting)
    assert d.proof.holds, d.proof
    built, full = d.network.built is not None, d.proof.method == "expanded in full"
    word = "identical" if full else "identical at random points"
    places = {"ell", "K", "Ki", "mu", "p", "compensation"} if d.network.places else ()
    for f in d.proof.findings:
        equation = d[f.equation]
        row = next((b for b in equation.rhs if b.name == f.case), None) if isinstance(equation.rhs, Cases) else None
        if isinstance(equation.rhs, Cases) and (row is None or row.status is not Status.VALUE):
            said = "", "z3"
        elif f.equation == "r":  # what p was made for is said by the compensation
            said = "", word if built and not places else ""
        elif equation.rule is Rule.SPLIT:
            said = "", word
        elif f.equation in places or (built and row is not None):
            said = "identical", ""
        else:
            said = "identical", word
        assert (f.index, f.expanded) == said or (full and f.expanded == f"{word} at random points"), f


@pytest.mark.parametrize("name", STEPS)
def test_what_is_changed_is_not(name):
    """One equation of each list, another one in every list: the proof says which one it is."""
    network, setting = STEPS[name]
    d = fcsym.derive(network, **setting)
    place = list(STEPS).index(name) * 7 % len(d.equations)
    wrong = changed(d.equations[place])
    proof = prove(replace(d, equations=(*d.equations[:place], wrong, *d.equations[place + 1 :])))
    assert not proof.holds, f"{wrong} passes"


SCHEMES = {
    "backprop": (mlp([1, 1, 1], bias=True), {"order": "sequential"}),
    "weights": (mlp([1, 1, 1]), {}),
    "compensation": (mlp([1, 1, 1], bias=True), {"order": "sequential"}),
    "states": (mlp([1, 1, 1, 1], bias=True), {"order": "sequential"}),
    "history": (mlp([1, 1, 1], bias=True), {}),
    "basis": (mlp([2, 1, 1], "tanh"), {"order": "sequential"}),
}
READERS = [
    Node(Linear(1, 1), "a", ("x",)),
    Node(Linear(1, 1, bias=False), "b", ("x",)),
    Node(Concatenate(), "c", ("a", "b")),
]
LAYERS = {
    "one that is read beside": (Network.sequential((1,), [Residual([Linear(1, 1)]), "tanh", Linear(1, 1)]), {}),
    "two that read the same": (Network([*READERS, Node(Linear(2, 1), "y")], input=(1,)), {}),
    "patches": (Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(2, 1)], input=(1, 3)), {"order": "sequential"}),
    "patches, with momentum": (
        Network([Conv1d(1, 1, 2, bias=False), Flatten(), Linear(2, 1)], input=(1, 3)),
        {"rule": fcsym.rule("momentum", weight_decay="0.1")},
    ),
    "positions": (Network.sequential((2, 1), [Linear(1, 1), "relu", Flatten(), Linear(2, 1)]), {"batch": "mean"}),
    "tokens": (Network.sequential((2, 2), [Embedding(2, 1), Flatten(), Linear(2, 1)]), {"rule": "nesterov"}),
}
"""Networks of layers, whose states are of every layer that reads the data."""
CARRIED = {
    "states of a batch": ("states", mlp([1, 1, 1], bias=True), {"batch": "mean", "samples": 2}),
    "states with momentum": ("states", mlp([1, 1, 1]), {"batch": "sum", "samples": 1, "rule": "nesterov"}),
    "backprop with adam": ("backprop", mlp([1, 1, 1]), {"batch": "mean", "rule": "adam"}),
    **{name: ("states", *given) for name, given in LAYERS.items()},
}


@pytest.mark.parametrize("name", [*SCHEMES, *CARRIED])
def test_a_scheme_is_proved_by_both(name):
    """But for abbreviations of its own, and what z3 alone knows: which rows there are, and which have no value."""
    kind, network, setting = CARRIED[name] if name in CARRIED else (name, *SCHEMES[name])
    proof = fcsym.scheme(network, kind, **setting).proof
    assert proof.holds, proof
    for f in proof.findings:
        if f.verdict is Verdict.DEFINITION:
            assert f.index == "identical" or f.case is not None or not f.equation.startswith("init") or network.built
        elif f.index:
            assert f.index == "identical" and f.expanded.startswith("identical"), f
        else:
            assert f.expanded == "z3" or (f.case is None and "exclude each other (z3)" in f.note), f


@pytest.mark.parametrize("part", ["init", "step", "output", "expand"])
@pytest.mark.parametrize("name", [*SCHEMES, *LAYERS])
def test_a_changed_equation_of_a_scheme_is_not(name, part):
    """The first one of each function, and the last one, that are no equations of the step of backpropagation."""
    network, setting = (SCHEMES | LAYERS)[name]
    s = fcsym.scheme(network, name if name in SCHEMES else "states", **setting)
    routine, base = s.routines[part], s.base.by_name
    own = [n for n, e in enumerate(routine.equations) if base.get(e.name) != e and e.name != "key"]
    for place in dict.fromkeys([*own[:1], *own[-1:]]):
        equations = list(routine.equations)
        equations[place] = changed(equations[place])
        other = replace(s, routines={**s.routines, part: replace(routine, equations=tuple(equations))})
        assert not prove_scheme(other, part)[part].holds, f"{equations[place]} passes"


@pytest.mark.parametrize("name", ["dv1", "p", "P"])
def test_a_table_about_something_else_is_not_decided(name):
    """Not one of its rows, whatever they say: the first condition is about the norm of the input."""
    d = fcsym.derive(mlp([1, 1, 1]))
    rows = [replace(b, when=(replace(b.when[0], subject=d["a0"].lhs), *b.when[1:])) for b in d[name].rhs]
    wrong = replace(d[name], rhs=Cases(tuple(rows)))
    proof = prove(replace(d, equations=tuple(wrong if e.name == name else e for e in d.equations)))
    found = {f.case: f for f in proof.findings if f.equation == name}
    assert found.keys() == {None, *(b.name for b in rows)}
    assert {f.verdict for f in found.values()} == {Verdict.UNDECIDED} and not proof.holds
    assert all("not about the unit" in f.note for f in found.values())


MOVED = re.compile(r"-eta\*(sum\(m: )?delta1\[(m, )?i\](\*a0(\[n, m\]\))?)?")
"""-eta delta times what is fixed, in one sample and in several, and by a bias alone."""


@pytest.mark.parametrize("name", [name for name, (network, _) in STEPS.items() if network.built is None])
def test_a_reason_names_the_step_of_the_weights_where_it_is_that(name):
    network, setting = STEPS[name]
    d = fcsym.derive(network, **setting)
    if "ds1" in d.by_name:
        by_errors = MOVED.fullmatch(str(d["ds1"].rhs)) is not None
        assert ("moved by `-eta delta` times it" in d["ds1"].because) is by_errors, d["ds1"]
        assert by_errors or not d.network.rule.is_plain or "shared" in name or "frozen" in name


@pytest.mark.parametrize("accepted", [True, False])
def test_what_coq_said_is_said_in_numbers(accepted):
    made = Certificate("", 22, 19, (("a", "too long"), ("b", "")))
    said = Accepted(made, accepted, 1.0, "" if accepted else "Error", (), accepted)
    assert (said.statements, said.certified, said.admitted, bool(said)) == (22, 19, 2, accepted)
    assert str(said).startswith("22 statements, 19 certified, 2 admitted: ")
    assert ("NOT" in str(said)) is not accepted
