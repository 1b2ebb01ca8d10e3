"""Certificates: Coq accepts what is derived, and refuses a derivation with an error in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import sympy
from conftest import few, need
from planted import around, refused

import fcsym
from fcsym.certificates import certificate_of, certify
from fcsym.certificates.checking import AXIOMS, checked
from fcsym.certificates.file import certificate
from fcsym.cli import main
from fcsym.commands.reports import scheme_conclusion, scheme_summary
from fcsym.derivation import derive
from fcsym.equations import hidden, indices, input_, parameter, total
from fcsym.errors import ArgumentError, MissingTool
from fcsym.gallery import Case, certified, read
from fcsym.language.activation import Piece, piecewise_linear, relu
from fcsym.language.algebra import replaced
from fcsym.language.equation import Cases, Equation, Rule, Status, Verdict
from fcsym.language.expression import Apply, Array, Expr, add, mul, number
from fcsym.layers import (
    GRU,
    Conv1d,
    Embedding,
    Flatten,
    Linear,
    MaxPool1d,
    MultiheadAttention,
    Residual,
    RMSNorm,
)
from fcsym.networks.network import Network
from fcsym.networks.symbols import ETA
from fcsym.schemes import SCHEMES

EVERY = sorted(path.parent.name for path in (Path(__file__).parent.parent / "derivations").glob("*/spec.toml"))


@cache
def in_gallery(name):
    return Case(read(Path(__file__).parent.parent / "derivations" / name / "spec.toml")).derivation


LAYERS = ["conv1d", "elman", "attention", "lenet", "lstm-cell"]


def without_comments(text):
    return re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL)


# --------------------------------------------------------------------------------------------------- accepted


@pytest.mark.parametrize("name", few(EVERY, 3))
def test_coq_accepts_what_is_derived(name):
    need("coqc")
    found = certify(in_gallery(name))
    assert found, found.said
    assert set(found.axioms) <= AXIOMS


@pytest.mark.parametrize("name", few(LAYERS, 1))
def test_coq_accepts_what_is_derived_of_layers(name):
    need("coqc")
    found = certify(in_gallery(name))
    assert found, found.said
    text = found.certificate.text
    assert "Theorem derivative_of_E" in text
    assert "Theorem gradient_of_E" in text


def _logcosh():
    y, t = sympy.symbols("y t", real=True)
    return fcsym.loss("logcosh", sympy.log(sympy.cosh(y - t)))


KINDS = {
    "max pooling": lambda: derive(
        Network.sequential((1, 5), [Conv1d(1, 2, 2), "relu", MaxPool1d(2, padding=1), Flatten(), Linear(6, 2)])
    ),
    "GRU": lambda: derive(Network.sequential((2, 2), [GRU(2, 3, last=True), Linear(3, 2)])),
    "embedding": lambda: derive(Network.sequential((2, 5), [Embedding(5, 3), Flatten(), Linear(6, 2)])),
    "residual": lambda: derive(
        Network.sequential((3,), [Residual([Linear(3, 3), "tanh", Linear(3, 3)]), Linear(3, 2)])
    ),
    "normalisation": lambda: derive(Network.sequential((3,), [Linear(3, 4), RMSNorm(4), "gelu", Linear(4, 2)])),
    "sequential order": lambda: derive(
        Network.sequential((1, 5), [Conv1d(1, 2, 2), "relu", Flatten(), Linear(8, 2)]), "sequential"
    ),
    "a mini-batch": lambda: derive(
        Network.sequential((1, 4), [Conv1d(1, 2, 2), "relu", Flatten(), Linear(6, 2)]), batch="mean", samples=3
    ),
    "a pool of three": lambda: derive(
        Network.sequential((1, 6), [Conv1d(1, 2, 2), "relu", MaxPool1d(3, stride=2), Flatten(), Linear(4, 2)])
    ),
    "softmax under another loss": lambda: derive(Network.mlp([2, 3, 3], output="softmax")),
    "softmax that is divided by": lambda: derive(Network.mlp([2, 3, 3], output="softmax", loss="bce")),
    "logits": lambda: derive(Network.mlp([2, 3, 2], output="tanh", loss="bce_logits"), "sequential", batch="mean"),
    "a loss of one's own": lambda: derive(Network.mlp([2, 3, 2], "tanh", loss=_logcosh())),
    "Adam": lambda: derive(Network.sequential((1, 3), [Conv1d(1, 1, 2), "relu", Flatten(), Linear(2, 1)]), rule="adam"),
}  # fmt: skip


@pytest.mark.parametrize("name", few(KINDS, 2))
def test_coq_accepts_every_kind_of_layer_and_loss(name):
    need("coqc")
    found = certify(KINDS[name]())
    assert found, found.said
    assert found.certificate.statements == found.certificate.certified
    assert not found.admitted


@pytest.mark.parametrize("name", few(EVERY, 6))
def test_every_finding_of_the_gallery_is_certified_and_what_must_be_believed_is_short(name):
    d = in_gallery(name)
    made = d.certificate()
    assert made.statements == made.certified == len(d.proof.findings)
    assert not made.admitted
    assert "Axiom" not in without_comments(made.text)
    assert "Admitted" not in without_comments(made.text)
    believed = made.text.partition("What must be believed. ---- *)\n")[2].partition("(* ---- The theorems.")[0]
    assert 10 < len(believed.splitlines()) <= 60


FROZEN = {  # a network, how it is trained, and a unit that cannot wake up
    "above a frozen layer": (Network.mlp([2, 3, 2, 1]).frozen("W1"), {"order": "sequential"}, 2),
    "in the second of two": (
        Network.mlp([2, 2, 2, 2, 1], activation=["relu", "leaky_relu", "relu"]).frozen("W1", "W2"),
        {},
        2,
    ),
    "in a mini-batch": (Network.mlp([2, 2, 2, 1], bias=True).frozen("W1", "b1"), {"batch": "mean"}, 1),
    "whatever the rule": (Network.mlp([2, 2, 2, 1], bias=True).frozen("W1", "b1"), {"rule": "momentum"}, 1),
    "by RMSProp": (Network.mlp([2, 2, 2, 1], bias=True).frozen("W1", "b1"), {"rule": "rmsprop"}, 2),
    "by RMSProp, in the first layer": (Network.mlp([2, 2, 1], bias=True), {"rule": "rmsprop"}, 1),
}


@pytest.mark.parametrize("name", FROZEN)
def test_what_cannot_occur_at_or_above_layers_that_are_frozen_is_proved_at_every_width(name):
    """The lowest unit that moves reads the same before and after: it is as one of the first layer."""
    network, settings, layer = FROZEN[name]
    made = derive(network, **settings).certificate()
    assert made.statements == made.certified
    assert not made.admitted
    at = "n i" if "batch" in settings else "i"
    woken = f"Theorem dv{layer}_case_4_never : forall ({at} : nat), s{layer} {at} <= 0 -> 0 < s{layer}' {at} -> False."
    assert made.text.partition(woken)[2].startswith("\nProof. ")
    need("coqc")
    assert checked(made)


@pytest.mark.parametrize(
    "network",
    [
        Network.parse("2-2-1-1"),  # one unit in the last hidden layer cannot wake up; two might
        Network.sequential((1, 2), [Conv1d(1, 1, 2), "relu", Flatten(), Linear(1, 1)]),  # nor can what one window feeds
    ],
    ids=str,
)
def test_what_is_not_certified_is_admitted_by_name_and_counted(network):
    made = derive(network).certificate()
    assert made.statements - made.certified == len(made.admitted) == made.text.count("\nAdmitted.") == 2
    head = made.text.partition("*)")[0]
    assert f"{made.statements} statements, {made.certified} certified, 2 admitted" in head
    assert all(name in head for name, _ in made.admitted)


# ---------------------------------------------------------------------------------------------------- refused


def _with(d, name, change):
    """The derivation with one equation changed."""
    return replace(d, equations=tuple(change(e) if e.name == name else e for e in d.equations))


def _rhs(change):
    return lambda e: Equation(e.lhs, change(e), e.rule, e.because, e.uses, e.cite, e.label)


def _row(number_of_row, **new):
    def changed(e):
        rows = list(e.rhs)
        values = {key: value(rows[number_of_row]) for key, value in new.items()}
        rows[number_of_row] = replace(rows[number_of_row], **values)
        return Cases(tuple(rows))

    return _rhs(changed)


def _swapped(old, new):
    """One array in the place of another with the same axes."""

    def swap(node: Expr) -> Expr:
        return replaced(node, lambda ref: new(ref) if ref.array.name == old else ref)

    return swap


PAPER = Network.parse("2-2-1")
DEEP = Network.parse("2-3-2-2")

PLANTED = {
    "the weight goes uphill": (PAPER, "W2_new", _rhs(lambda e: e.rhs.terms[0] - e.rhs.terms[1])),
    "the other order's error": (
        PAPER, "delta1", _rhs(lambda e: _swapped("W2", lambda ref: ref.array.primed[ref.indices])(e.rhs)),
    ),
    "twice the increment": (PAPER, "ds1", _rhs(lambda e: 2 * e.rhs)),
    "a norm that is not squared": (PAPER, "a0", _rhs(lambda e: replace(e.rhs, body=e.rhs.body.base))),
    "a dying unit with the wrong sign": (PAPER, "dv1", _row(1, value=lambda row: -row.value)),
    "a case with the condition of another": (PAPER, "dv1", _row(2, when=lambda row: (row.when[0],))),
    "w in place of w' in p": (
        PAPER, "p",
        _row(0, value=lambda row: _swapped("W2_new", lambda ref: ref.array.unprimed[ref.indices])(row.value)),
    ),
    "every p solves what none does": (
        PAPER, "p", _row(3, value=lambda _: number(0), status=lambda _: Status.CHOSEN),
    ),
    "the compensation is taken off": (PAPER, "r", _rhs(lambda e: e.rhs.terms[0] - e.rhs.terms[1])),
    "a half for a third in P": (PAPER, "P", _row(0, value=lambda row: mul(Fraction(3, 2), row.value))),
    "another slope at the kink": (PAPER, "g1", _rhs(lambda e: Apply(relu("1/2"), e.rhs.argument, 1))),
    "a part of the error that is lost": (DEEP, "rho", _rhs(lambda e: e.rhs.terms[0])),
    "an increment without what comes from below": (DEEP, "dy", _rhs(lambda e: e.rhs.terms[1])),
}  # fmt: skip


IN_LAYERS = {
    "a convolution's error from the other end": (
        "conv1d", "dE_dW1", _rhs(lambda e: mul(-1, e.rhs)),
    ),
    "a normalisation that forgets its mean": ("attention", "adj_z1", _rhs(lambda e: 2 * e.rhs)),
    "a step in time that is lost": ("elman", "dE_dU1", _rhs(lambda e: e.rhs.terms[0])),
    "a quotient's change without its second part": ("attention", "dv2", _rhs(lambda e: e.rhs.terms[0])),
    "a softmax less twice its target": ("lenet", "delta4", _rhs(lambda e: add(e.rhs, e.rhs.terms[1]))),
    "a forget gate that is not passed on": ("lstm-cell", "adj_c1_t1", _rhs(lambda e: e.rhs.terms[0])),
}  # fmt: skip


@pytest.mark.parametrize("name", few(IN_LAYERS, 2))
def test_coq_refuses_a_planted_error_in_layers(name):
    need("coqc")
    of, equation, change = IN_LAYERS[name]
    d = in_gallery(of)
    wrong = _with(d, equation, change)
    assert wrong.by_name[equation] != d.by_name[equation]
    assert f"eq_{equation}" in refused(certificate(d, d.proof), certificate(wrong, d.proof))


@pytest.mark.parametrize("name", few(PLANTED, 4))
def test_coq_refuses_a_planted_error(name):
    need("coqc")
    network, equation, change = PLANTED[name]
    d = derive(network)
    wrong = _with(d, equation, change)
    assert wrong.by_name[equation] != d.by_name[equation]
    assert refused(certificate(d, d.proof), certificate(wrong, d.proof))


def test_what_an_error_does_not_reach_is_left_open_and_no_refusal_of_the_error():
    """What is right is not refused so; nor is a theorem beside the error, whatever is wrong with it."""
    need("coqc")
    d = derive(Network.parse("2-1"))
    right = certificate(d, d.proof)
    error = certificate(_with(d, "W1_new", _rhs(lambda e: 2 * e.rhs)), d.proof)
    text, reached = around(right.text, error.text)
    assert {"eq_W1'"} < reached and "eq_delta1" not in reached
    assert text.count("Admitted.") > right.text.count("Qed.") / 2 > text.count("Qed.") > 0
    beside = re.sub(r"(Theorem eq_delta1 .*?) = ", r"\1 = 1 + ", right.text, count=1, flags=re.DOTALL)
    with pytest.raises(AssertionError):
        refused(right, replace(right, text=right.text + "(* nothing *)"))
    with pytest.raises(AssertionError):
        refused(replace(right, text=beside), replace(right, text=beside + "(* nothing *)"))


def _trained_in_place_of_frozen(d):
    """v^c is v', so that p has nothing to make up for: what is proved of p and of the output is so all the same."""
    needless = Cases(tuple(replace(row, value=number(0), status=Status.VALUE) for row in d.by_name["p"].rhs))
    trained = _with(d, "vc", _rhs(lambda e: d.by_name["v1_new"].lhs.array[e.lhs.indices]))
    trained = _with(trained, "p", _rhs(lambda _: needless))
    return replace(trained, equations=tuple(e for e in trained.equations if e.name != "P"))


def _held_in_part(d):
    """Half of what P is the integral over is hidden in what it holds constant: ds2 is the same sum of both."""
    half = mul(Fraction(1, 2), d.by_name["alpha"].rhs)
    kappa = d.by_name["kappa"]
    delta = d.by_name["delta2"].lhs.array[kappa.lhs.indices]
    hidden = _with(d, "kappa", _rhs(lambda e: add(e.rhs, mul(-1, ETA[()], delta, half))))
    return _with(hidden, "alpha", _rhs(lambda _: half))


MEANT = {
    "v^c": (PAPER, _trained_in_place_of_frozen, "eq_vc"),
    "what P holds constant": (Network.parse("2-2-2-1"), _held_in_part, "eq_kappa"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEANT)
def test_a_derivation_does_not_choose_what_its_own_names_stand_for(name):
    """All else follows from these wrong definitions: only what the name means in the network refuses them."""
    need("coqc")
    network, change, theorem = MEANT[name]
    d = derive(network, "sequential")
    found = checked(certificate(change(d), d.proof))
    assert found.said.startswith(theorem)


@pytest.mark.parametrize("name", ["2-2-1", "2-2-2-2"])
def test_what_the_derivation_names_itself_is_stated_of_the_network(name):
    d = derive(Network.parse(name, bias=True))
    text = d.certificate().text
    believed, theorems = text.split("(* ---- The theorems. ---- *)")
    assert believed.count("Definition vc (j : nat) : R := v") == 1
    for e in d.equations:
        if e.defines and e.rule in (Rule.DEFINITION, Rule.SPLIT):
            assert f"Theorem eq_{e.name} : " in theorems


def test_an_error_is_said_with_the_theorem_that_fails():
    need("coqc")
    d = derive(PAPER)
    found = checked(certificate(_with(d, "ds1", _rhs(lambda e: 2 * e.rhs)), d.proof))
    assert found.said.startswith("eq_ds1")
    assert "NOT" in str(found)


def test_a_theorem_without_proof_is_not_accepted():
    need("coqc")
    made = derive(Network.parse("2-1")).certificate()
    begun, theorem, rest = made.text.partition("Theorem eq_delta1")
    left_open = re.sub(r"Proof\..*?Qed\.", "Admitted.", rest, count=1)
    found = checked(replace(made, text=begun + theorem + left_open))
    assert not found
    assert "eq_delta1" in found.said


@pytest.mark.parametrize("made", [derive, lambda network: fcsym.scheme(network, "states")], ids=["step", "scheme"])
def test_what_coq_says_of_axioms_is_about_every_theorem(made):
    text = certificate_of(made(PAPER)).text
    proved = re.findall(r"^Theorem ([\w']+)", text.partition("(* ---- The theorems. ---- *)")[2], re.MULTILINE)
    gathered = re.findall(r"also _ ([\w']+) ", text)
    whole = {name for name in gathered if name.startswith("all_")}  # those of a section
    assert sorted(set(gathered) - whole) == sorted(proved)
    assert whole == set(re.findall(r"^Definition (all_\w+)", text, re.MULTILINE))
    assert len(gathered) == len(set(gathered))


def test_the_p_of_a_batch_is_the_shortest():
    assert "Theorem p_is_shortest : " in in_gallery("batch-with-p").certificate().text


def test_coq_is_stopped_in_time():
    need("coqc")
    found = certify(derive(PAPER), max_seconds=0.05)
    assert not found
    assert "0.05 s" in found.said
    with pytest.raises(ArgumentError, match="max_seconds"):
        certify(derive(PAPER), max_seconds=0)


# ---------------------------------------------------------------------------------------------------- schemes


HALF = piecewise_linear("half", [Piece(0, "1/2"), Piece(None, 2)], "1/2")
DOWN = piecewise_linear("down", [Piece(0, -3), Piece(None, 0)])

CARRIED = {
    f"{name} of {network}": lambda name=name, network=network: fcsym.scheme(network, name, "sequential")
    for name in SCHEMES if name != "collapsed" for network in (Network.mlp([2, 3, 2], "tanh", bias=True), PAPER)
} | {
    f"collapsed of {name}": lambda order=order, network=network: fcsym.scheme(network, "collapsed", order)
    for name, order, network in (
        ("one input", "simultaneous", PAPER),
        ("biases and two pieces with a slope", "sequential", Network.mlp([2, 2, 1], HALF, True, output="sigmoid")),
        ("a piece below", "sequential", Network.mlp([1, 3, 1], DOWN)),
        ("a kink with a slope", "simultaneous", Network.mlp([2, 2, 1], relu("1/2"), output="sigmoid", loss="bce")),
        ("no kink", "sequential", Network.mlp([2, 2, 1], piecewise_linear("twice", [Piece(None, 2)]), [False, True])),
    )
} | {
    "states of a convolution": lambda: fcsym.scheme(in_gallery("conv1d").network, "states", "sequential"),
    "states of a recurrence": lambda: fcsym.scheme(in_gallery("elman").network, "states"),
    "states of attention": lambda: fcsym.scheme(
        Network.sequential((3, 4), [MultiheadAttention(4, 2), Flatten(), Linear(12, 2)]), "states"
    ),
    "states of an embedding": lambda: fcsym.scheme(
        Network.sequential((2, 5), [Embedding(5, 3), Flatten(), Linear(6, 2)]), "states", "sequential"
    ),
    "states of windows with strides in a mini-batch": lambda: fcsym.scheme(
        Network.sequential((2, 7), [Conv1d(2, 2, 3, stride=2, padding=1), "relu", Flatten(), Linear(8, 2)]),
        "states", batch="mean", samples=3,
    ),
    "states of a convolution with momentum": lambda: fcsym.scheme(
        in_gallery("conv1d").network, "states", rule=fcsym.rule("momentum", weight_decay="0.1")
    ),
    "states with momentum and decay": lambda: fcsym.scheme(
        PAPER, "states", batch="mean", rule=fcsym.rule("momentum", beta=0.9, weight_decay=0.01)
    ),
    "Adam": lambda: fcsym.scheme(PAPER, "backprop", rule="adam"),
}  # fmt: skip


@pytest.mark.parametrize("name", few(CARRIED, 4))
def test_coq_accepts_the_induction_of_a_scheme(name):
    need("coqc")
    s = CARRIED[name]()
    found = certify(s)
    assert found, found.said
    assert set(found.axioms) <= AXIOMS
    assert found.certificate.statements == found.certificate.certified == len(s.proof.findings)
    assert not found.admitted


def _in_scheme(scheme, part, equation, change):
    """The scheme with one equation of one function changed."""
    routine = scheme.routines[part]
    assert equation in [e.name for e in routine.equations]
    equations = tuple(change(e) if e.name == equation else e for e in routine.equations)
    assert equations != routine.equations
    return replace(scheme, routines={**scheme.routines, part: replace(routine, equations=equations)})


def _refused_in(scheme, *error):
    """What Coq refuses of the scheme with that error."""
    return refused(certificate_of(scheme), certificate_of(_in_scheme(scheme, *error)))


IN_SCHEMES = {
    "the first layer goes uphill": ("history", "step", "C_new", _rhs(lambda e: e.rhs.terms[0] - e.rhs.terms[1])),
    "an increment by half the norm": ("states", "step", "ds1", _rhs(lambda e: e.rhs / 2)),
    "a norm that is not that of the input": ("states", "init", "t0", _row(0, value=lambda row: 2 * row.value)),
    "weights that do not come back": ("states", "expand", "W1", _row(0, value=lambda row: row.value.terms[0])),
    "a start that is not w": ("weights", "init", "r", _rhs(lambda e: 2 * e.rhs)),
    "a P that forgets what w moved by": (
        "compensation", "step", "P_new", _row(0, value=lambda row: add(*row.value.terms[:-1])),
    ),
    "responses that go uphill": ("basis", "step", "Z1_new", _rhs(lambda e: e.rhs.terms[0] - e.rhs.terms[1])),
    "coordinates by the probes and not their inverse": (
        "basis", "step", "q", _rhs(lambda e: _swapped("Bi", lambda ref: _other_probes(ref))(e.rhs)),
    ),
    "a pre-activation that is half of it at the start": ("states", "init", "s1", _rhs(lambda e: e.rhs / 2)),
    "weights by twice the inverse": ("basis", "expand", "W1", _rhs(lambda e: 2 * e.rhs)),
}  # fmt: skip


def _other_probes(ref):
    """B in the place of its inverse, at the same two indices."""
    return Array("B", None, ref.array.axes[::-1])[ref.indices[::-1]]


@pytest.mark.parametrize("name", few(IN_SCHEMES, 2))
def test_coq_refuses_a_scheme_with_an_error(name):
    need("coqc")
    of, *error = IN_SCHEMES[name]
    assert _refused_in(fcsym.scheme(PAPER, of), *error)


IN_SCHEMES_OF_LAYERS = {
    "one patch's coefficients go uphill": ("conv1d", "step", "C1_new", _rhs(lambda e: e.rhs.terms[0] - e.rhs.terms[1])),
    "inner products that forget the bias": ("conv1d", "init", "G1", _rhs(lambda e: e.rhs.terms[0])),
    "patches that are twice the data": ("conv1d", "expand", "X1", _rhs(lambda e: 2 * e.rhs)),
    "patches that are twice the data at the start": ("conv1d", "init", "X1", _rhs(lambda e: 2 * e.rhs)),
    "a pre-activation without its bias at the start": ("conv1d", "init", "s1", _rhs(lambda e: e.rhs.terms[0])),
    "weights without what they started from": ("conv1d", "expand", "W1", _rhs(lambda e: e.rhs.terms[1])),
    "a share of the data that is lost": ("elman", "step", "adj_z1", _rhs(lambda e: add(*e.rhs.terms[:-1]))),
    "the data's share twice": ("elman", "output", "s1_t2", _rhs(lambda e: add(*e.rhs.terms, e.rhs.terms[0]))),
}  # fmt: skip


@pytest.mark.parametrize("name", few(IN_SCHEMES_OF_LAYERS, 2))
def test_coq_refuses_a_scheme_of_layers_with_an_error(name):
    need("coqc")
    of, *error = IN_SCHEMES_OF_LAYERS[name]
    assert _refused_in(fcsym.scheme(in_gallery(of).network, "states"), *error)


def test_two_patches_in_one_product_are_met_in_either_order():
    """A velocity of what patches give is a product of two sums over the same axis: Coq takes either first."""
    need("coqc")
    assert checked(certificate_of(CARRIED["states of a convolution with momentum"]()))


DOUBLED = ("basis", "states of a convolution", "states with momentum and decay", "collapsed of one input")


@pytest.mark.parametrize("name", few(DOUBLED, 1))
def test_coq_refuses_a_scheme_of_which_any_one_equation_is_doubled(name):
    need("coqc")
    s = fcsym.scheme(PAPER, "basis") if name == "basis" else CARRIED[name]()
    every = [
        (part, e.name) for part, routine in s.routines.items() for e in routine.equations
        if isinstance(e.rhs, Expr)
        and e.name not in ("key", "xh", "xl", "xm")  # no formula reads the key, and any scale measures the input
    ]  # fmt: skip
    for part, equation in few(every, 2):
        change = _rhs(lambda e: number(1) if e.rhs == number(0) else 2 * e.rhs)
        assert _refused_in(s, part, equation, change), f"{part}: {equation}"


TWO = Network.mlp([2, 3, 2])


def test_the_condition_that_units_keep_their_lines_is_said_by_name_and_once():
    """The file of `collapsed`: what must be believed knows no group, and the condition stands beside the groups."""
    s = fcsym.scheme(TWO, "collapsed", "sequential")
    made = s.certificate()
    believed, theorems = made.text.split("(* ---- The theorems. ---- *)")
    believed = believed.split("(* ---- What must be believed. ---- *)")[1]
    assert "group1" not in believed and len(believed.strip().splitlines()) <= 60
    assert theorems.count("Hypothesis held1_now : held1 s1.") == 1
    assert "slope_relu (s n j) = slope1 n (group1 j) /\\ phi_relu (s n j) = slope1 n (group1 j) * s n j" in theorems
    assert "Where a unit has left its line the groups are others" in theorems
    assert made.statements == made.certified == sum(len(part.equations) for part in s.lists) and not made.admitted
    for array in s.shown.state:
        assert f"Theorem start_{array.name} " in theorems and f"Theorem kept_{array.name} " in theorems
    for theta in s.network.parameters:
        assert f"Theorem kept_{theta.name} " in theorems and f"Theorem expand_{theta.name} " in theorems


def test_coq_accepts_sums_over_units_in_groups():
    need("coqc")
    found = certify(fcsym.scheme(TWO, "collapsed"))
    assert found, found.said
    assert set(found.axioms) <= AXIOMS


IN_SUMS = {
    "a sum that goes uphill": (
        "step", "S2_new", _rhs(lambda e: add(*e.rhs.terms[:2], -e.rhs.terms[2], *e.rhs.terms[3:])),
    ),
    "a term of the step that is lost": ("step", "S1_new", _rhs(lambda e: add(*e.rhs.terms[:-1]))),
    "an output that is read without its lines": ("output", "y", _rhs(lambda e: 2 * e.rhs)),
    "a start that is not the sum": ("init", "S1", _rhs(lambda e: 2 * e.rhs)),
    "a unit that is twice its columns": ("expand", "W2", _rhs(lambda e: 2 * e.rhs)),
}  # fmt: skip


@pytest.mark.parametrize("name", few(IN_SUMS, 1))
def test_coq_refuses_sums_with_an_error(name):
    need("coqc")
    assert _refused_in(fcsym.scheme(TWO, "collapsed").induction, *IN_SUMS[name])


def test_statements_and_parts_of_schemes_have_no_certificate(tmp_path):
    with pytest.raises(ArgumentError, match=r"has no certificate \(it is a statement on all steps"):
        fcsym.next_input(PAPER).save(tmp_path / "statement.v")
    with pytest.raises(ArgumentError, match="certify the whole scheme"):
        fcsym.scheme(PAPER, "states").step.save(tmp_path / "step.v")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("network", [TWO.frozen("W1"), Network.parse("2-2-3-3-2")], ids=str)
def test_what_is_not_proved_is_stated_and_admitted_by_name(network):
    """Coq reads every statement, and none counts as certified; the network's own step is proved there all the same."""
    need("coqc")
    scheme = fcsym.scheme(network, "collapsed")
    made = certificate_of(scheme)
    step = certificate_of(fcsym.scheme(network, "backprop"))
    assert scheme.uncertified and made.certified == 0 < made.statements <= len(made.admitted)
    assert {why for _, why in made.admitted} == {scheme.uncertified}
    assert made.text.count("Admitted.") == len(made.admitted) and not step.admitted
    assert f"{made.statements} statements, 0 certified, {len(made.admitted)} admitted" in made.text
    found = checked(made)
    assert found and not found.certified, found.said


# ------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("name", ["Prop", "forall", "sum", "Qed", "exp", "W1"])
def test_names_that_mean_something_to_coq_do_no_harm(name):
    phi = piecewise_linear(name, [Piece(0, -1), Piece(None, 1)])
    text = derive(Network.mlp([1, 1, 1], activation=phi)).certificate().text
    assert f"Definition phi_{name} " in text
    assert not re.search(rf"Definition {name} \(s", text)


CLASHING = ("INR", "S", "share_1", "sum_ext", "s_of", "H_", "eq_y", "n_i", "K_v_0")


@pytest.mark.parametrize("name", CLASHING)
def test_an_array_has_no_name_that_the_file_has_for_something_else(name):
    """As Coq would have it: what is defined at the top of a file, or a variable of it, is so once."""
    i, j, k = indices("i j k")
    x, U, W = input_("x", j), parameter(name, i, j), parameter("W", k, i)
    s, v, y = hidden("s", i), hidden("v", i), hidden("y", k)
    own = [(s[i], total(j, U[i, j] * x[j])), (v[i], s[i] * s[i]), (y[k], total(i, W[k, i] * v[i]))]
    made = derive(Network.from_equations(own, {"i": 3, "j": 2, "k": 1})).certificate()
    bare = without_comments(made.text)
    assert re.search(rf"Variables [^.]*\b{name}_ ", bare)
    assert not re.search(rf"Variables [^.]*[ (]{name} [^.]*: nat -> nat -> R", bare)
    if name in few(CLASHING, 1):
        need("coqc")
        found = checked(made)
        assert found, found.said


def test_coq_accepts_such_a_name():
    need("coqc")
    phi = piecewise_linear("forall", [Piece(0, "1/2"), Piece(None, 1)])
    assert certify(derive(Network.mlp([1, 1], output=phi)))


@pytest.mark.parametrize(
    "hostile", ["*) Axiom false : False. (*", 'a " b', "x. Axiom y : 0 = 1", "*)\nAxiom z : False.\n(*"]
)
def test_a_hostile_name_injects_nothing(hostile):
    d = derive(PAPER)
    renamed = _with(d, "dv1", _row(0, name=lambda _: hostile))
    text = certificate(renamed, d.proof).text
    assert "Axiom" not in without_comments(text)
    assert text.count('"') == d.certificate().text.count('"')
    with pytest.raises(ArgumentError, match="cannot stand in a Coq file"):
        certificate(replace(d, equations=(*d.equations, _named(hostile))), d.proof)
    with pytest.raises(ArgumentError, match="cannot stand in a Coq file"):
        certificate(_with(d, "compensation", lambda e: replace(e, label=hostile)), d.proof)


def _named(name):
    return Equation(Array(name, None, ())[()], number(0), Rule.DEFINITION, "")


# ----------------------------------------------------------------------------------------- files and commands


def test_a_gallery_is_certified_case_by_case(tmp_path, capsys, monkeypatch):
    need("coqc")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "spec.toml").write_text(
        'title = "one"\nabout = "One."\norder = "sequential"\nscheme = "backprop"\n[network]\nwidths = [2, 1]\n'
    )
    assert certified(tmp_path)
    assert "1 of 1 certificates accepted" in capsys.readouterr().out
    monkeypatch.setattr(Case, "derivation", _with(derive(Network.parse("2-1")), "dy", _rhs(lambda e: 2 * e.rhs)))
    assert not certified(tmp_path)
    assert "0 of 1 certificates accepted" in capsys.readouterr().out


def test_a_certificate_is_a_file(tmp_path):
    d = derive(PAPER)
    assert d.save(tmp_path / "proof.v").read_text() == certificate_of(d).text
    with pytest.raises(ArgumentError, match="leave the options"):
        d.save(tmp_path / "other.v", only="p")
    with pytest.raises(ArgumentError, match="no certificate"):
        fcsym.gradient(PAPER, "E", "W1").save(tmp_path / "other.v")
    assert not (tmp_path / "other.v").exists()


def test_derive_writes_it_and_says_how_much_is_certified(tmp_path, capsys):
    assert main(["derive", "2-1", "--trials", "20", "-o", str(tmp_path / "proof.v")]) == 0
    proved = derive(Network.parse("2-1")).proof.count(Verdict.PROVED)
    assert proved > 3
    assert f": {proved} proved, {proved} certified, 0 chosen" in capsys.readouterr().out.splitlines()[-1]
    assert (tmp_path / "proof.v").read_text().startswith("(* 2-1")
    assert main(["derive", "2-1", "--only", "y", "-o", str(tmp_path / "other.v")]) == 2
    assert main(["derive", "2-1", "-o", str(tmp_path / "2-1.v")]) == 2  # Coq would not have this name
    assert [path.name for path in tmp_path.iterdir()] == ["proof.v"]


def test_derive_counts_what_is_certified_without_writing_it(capsys):
    network = "2-2-1-1"  # one unit in the last hidden layer cannot wake up, which no certificate says
    d = derive(Network.parse(network))
    made, proved = d.certificate(), d.proof.count(Verdict.PROVED)
    left = 1  # of what is proved, the case itself; that p exists for every unit is admitted, too, and is a choice
    assert main(["derive", network, "--trials", "20"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert f": {proved} proved, {proved - left} certified, {len(made.admitted)} admitted, " in said
    assert main(["derive", network, "--trials", "20", "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert (counted["statements"], counted["certified"]) == (made.statements, made.certified)
    assert (counted["proved"], counted["admitted"]) == (proved, len(made.admitted))


def test_of_a_state_that_was_found_closed_the_same_statements_are_proved_and_certified():
    """Those of its four functions, and not those by which it was found, for which no certificate has a name."""
    s = fcsym.scheme(TWO, "collapsed")
    made, verdicts = s.certificate(), [f.verdict for part in s.lists for f in part.proof.findings]
    proved = verdicts.count(Verdict.PROVED)
    report = SimpleNamespace(
        worst=SimpleNamespace(ratio=0.0, quantity="y"), rows=[], left_out=0, trials=1, steps=1, passed=True
    )
    assert f": {proved} proved, {proved} certified, 0 refuted" in scheme_conclusion(s, report, made)
    assert scheme_summary(s, report, True)["proved"] == proved
    assert len(verdicts) == made.statements == made.certified


def test_derivatives_by_name_are_no_certificate_and_nobody_is_sent_round_in_circles(tmp_path, capsys):
    assert main(["gradient", "2-1", "--by", "W1", "-o", str(tmp_path / "proof.v")]) == 2
    said = capsys.readouterr().err
    assert "have no certificate: choose a name that ends in .tex, .html or .pdf." in said


def test_what_a_scheme_has_frozen_is_for_the_scheme_to_say():
    text = fcsym.scheme(PAPER, "compensation").certificate().text
    assert "vc" not in text.partition("(* ---- The theorems. ---- *)")[0].partition("What must be believed.")[2]


def test_certify_says_what_was_accepted(capsys):
    need("coqc")
    assert main(["certify", "2-1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["statements"] == said["certified"] > 0
    assert said["accepted"] is True
    assert (said["admitted"], said["reasons"]) == (0, {})
    assert set(said["axioms"]) <= AXIOMS
    assert main(["certify", "2-1", "--max-seconds", "0.01"]) == 1
    assert "did NOT accept" in capsys.readouterr().out


def test_without_coq_it_is_said_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["certify", "2-1"]) == 2
    assert "apt-get install coq" in capsys.readouterr().err
    with pytest.raises(MissingTool):
        certify(derive(PAPER))


TRAINED = {
    "one input": lambda: fcsym.scheme(Network.mlp([2, 3, 1], bias=True), "states"),
    "weights": lambda: fcsym.scheme(Network.mlp([2, 2, 2], "leaky_relu"), "weights", "sequential"),
    "compensation": lambda: fcsym.scheme(Network.parse("2-2-1"), "compensation"),
    "samples, decay": lambda: fcsym.scheme(
        Network.parse("2-2-1"), "states", rule=fcsym.rule("nesterov", weight_decay="0.1"), batch="sum"
    ),
    "history": lambda: fcsym.scheme(Network.parse("2-2-1"), "history"),
    "groups, momentum": lambda: fcsym.scheme(TWO, "collapsed", rule="momentum", batch="mean"),
}


@pytest.mark.parametrize("name", TRAINED)
def test_no_theorem_says_that_something_is_itself(name):
    """At the start W1 = Wc1_0 + u1_0 x, with Wc1_0 and u1_0 defined, and not W1 = W1; a velocity is not 0 = 0."""
    text = TRAINED[name]().certificate().text
    theorems = re.findall(r"^Theorem ([\w']+) : (.*?)\.\nProof", text, re.MULTILINE | re.DOTALL)
    assert any(name.startswith("start_") for name, _ in theorems)
    for said, statement in theorems:
        left, is_equal, right = re.split(r", |-> ", statement)[-1].partition(" = ")
        assert not is_equal or left.strip() != right.strip(), f"{said}: {statement}"


def test_a_dead_unit_of_a_network_of_layers_stays_dead_at_every_width():
    """ds1 = -eta delta1 |x|^2, and delta1 has the gate: what else the network has is no matter."""
    net = Network([fcsym.Dense(3), "relu", fcsym.Dropout(0.5), fcsym.Dense(1)], input=(2,))
    made = certificate_of(derive(net))
    assert not made.admitted and made.statements == made.certified
    assert "Theorem dv1_case_4_never : forall (i : nat), s1 i <= 0 -> 0 < s1' i -> False." in made.text
    window = Network([fcsym.Conv1d(1, 1, 3), "relu", fcsym.Flatten(), fcsym.Dense(1)], input=(1, 3))
    (name, reason), *_ = certificate_of(derive(window)).admitted  # with one window, and with more it may
    assert name == "dv1_case_4_never" and "at every width it may" in reason


def test_coq_accepts_that_a_dead_unit_stays_dead_in_a_network_of_layers():
    need("coqc")
    net = Network([fcsym.Dense(3), "relu", fcsym.Dropout(0.5), fcsym.Dense(1)], input=(2,))
    assert certify(derive(net))
