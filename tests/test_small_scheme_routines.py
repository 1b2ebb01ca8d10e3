"""The functions of a scheme as lists: each equation reads what is given or was computed, and what is computed is read.

Each takes a fraction of a second, so that a fault in what a scheme is made of is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_small_proofs import CARRIED
from test_small_proofs import SCHEMES as PROVED

import fcsym
from fcsym import Network
from fcsym.errors import FcsymError, GateEvent
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import Add, Array, Axis, Index, Indicator, Role, mul, power, total
from fcsym.layers import Activation, Node
from fcsym.schemes.data_maps import _map, _terms, _Use, _uses
from fcsym.schemes.read_data import _alike
from fcsym.schemes.record import Refusal, SingleInput, needs_plain_steps, no_compensation

mlp = Network.mlp
PIECES = {"relu": 1, "leaky_relu": 2, "identity": 0}
MADE = {name: (name, *given) for name, given in PROVED.items()} | CARRIED
MADE |= {f"collapsed, {phi}": ("collapsed", mlp([2, 2, 1], phi, bias=True), {}) for phi in PIECES}
MADE["collapsed, an output activation"] = "collapsed", mlp([1, 2, 1], output="sigmoid", loss="bce"), {}
BESIDE = [
    Node(fcsym.Linear(2, 1), "a", ("x",)), Node(Activation("tanh"), "t", ("x",)),
    Node(fcsym.Concatenate(), "c", ("a", "t")), Node(fcsym.Linear(3, 1), "y"),
]  # fmt: skip
MADE["states, what is made of the input is read beside"] = "states", Network(BESIDE, input=(2,)), {}
for bias in (False, True):
    MADE[f"collapse, {bias}"] = fcsym.collapse, mlp([1, 2, 2, 1], bias=[bias, not bias, bias]), {}
    for depth in (2, 3):
        network = mlp([1] * (depth + 1), bias=[bias, *[not bias] * (depth - 1)])
        MADE[f"next input, {depth}, {bias}"] = fcsym.next_input, network, {}
"""Schemes and statements, of networks with a bias in some layers alone."""


@pytest.mark.parametrize("name", MADE)
def test_each_function_of_a_scheme_computes_what_it_reads_before_and_reads_what_it_computes(name):
    """But for numbers of the update rule and fixed ones of the scheme; of a statement some are shown alone."""
    kind, network, setting = MADE[name]
    s = kind(network) if callable(kind) else fcsym.scheme(network, kind, **setting)
    fixed = {array.name for array in (*s.network.rule.values, *getattr(s, "constants", ()))}
    for part, routine in s.routines.items():
        known, read = {a.name for a in routine.given} | fixed, {a.name for a in routine.results}
        for e in routine.equations:
            assert {a.name for a in e.operands} <= known, (part, e.name)
            known.add(e.name)
            read |= {a.name for a in e.operands}
        names = [e.name for e in routine.equations]
        assert len(set(names)) == len(names), part
        assert s.is_statement or set(names) <= read, part
        if s.name != "history" or part != "init":  # which holds nothing yet
            assert {a.name for a in routine.results} <= known, part


def test_a_scheme_is_shown_as_it_is_said():
    s = fcsym.scheme(mlp([1, 1, 1]), "weights")
    assert repr(s) == str(s) and "weights" in repr(s)


@pytest.mark.parametrize("bias", [(True, False), (False, True)])
def test_what_another_input_gives_has_the_bias_of_the_first_layer(bias):
    s = fcsym.next_input(mlp([2, 2, 1], bias=list(bias)))
    seen = {e.name: {a.name for a in e.operands} for e in s.routines["next"].equations}
    assert seen["sz"] == {"W1", "z"} | ({"b1"} if bias[0] else set())
    meant = {e.name: {a.name for a in e.operands} for e in s.meanings}
    assert meant["sz_new"] == {"W1_new", "z"} | ({"b1_new"} if bias[0] else set())
    inner = next(e for e in s.routines["next"].equations if e.name == "Kz")
    assert isinstance(inner.rhs, Add) is bias[0]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_of_a_collapse_so_many_layers_are_on_the_constant_input(depth):
    """A layer and all above it; at the uppermost one it is one."""
    s = fcsym.collapse(mlp([1] * (depth + 1)))
    said = [e.because for e in s.routines["output"].equations if "on the constant input `" in e.because]
    counts = [f"{n} layer{'s' if n != 1 else ''} on the constant input " for n in range(depth - 1, 0, -1)]
    assert len(said) == depth - 1 and all(one.startswith(count) for one, count in zip(said, counts, strict=True))
    assert [one.endswith("has the output of backpropagation.") for one in said] == [*[False] * (depth - 2), True]


@pytest.mark.parametrize(("phi", "pieces"), PIECES.items())
def test_units_that_are_held_together_stay_so_while_they_keep_their_pieces_where_there_are_some(phi, pieces):
    """A layer without kinks is one piece, and its weights are given by one map, in no case."""
    s = fcsym.scheme(mlp([2, 2, 1], phi), "collapsed")
    assert ("as long as each keeps its piece" in s.words.summary) is (pieces > 0)
    expanded = {e.name: e for e in s.routines["expand"].equations}
    for name in ("s1", "W2"):
        assert isinstance(expanded[name].rhs, Cases) is (pieces > 0)
    assert [e.name for e in s.routines["expand"].equations][-2:] == ["W1", "W2"]


@pytest.mark.parametrize("bias", [False, True])
def test_inner_products_of_samples_have_1_where_there_is_a_bias(bias):
    """And their reason says so; a velocity of what is read is that of the weights and of the bias, read alike."""
    network = mlp([2, 2, 1], bias=[bias, False])
    s = fcsym.scheme(network, "states", batch="sum", samples=2, rule="momentum")
    inner = [e for e in s.routines["init"].equations if e.because.startswith("These are the inner products")]
    assert inner and all(e.because.endswith("plus 1 for the bias." if bias else "samples.") for e in inner)
    assert all(isinstance(e.rhs, Add) is bias for e in inner)
    velocity = next(e for e in s.meanings if e.name == "ms1")
    assert {a.name for a in velocity.operands} == {"M1", "x"} | ({"m1"} if bias else set())


@pytest.mark.parametrize("bias", [False, True])
def test_how_an_input_is_measured_is_defined_for_each_number_of_it(bias):
    """Definitions alone, each once; the entry of the bias is one where there is a bias."""
    network = mlp([2, 2, 1], bias=bias)
    made = SingleInput.of(fcsym.derive(network)).measures
    names = [e.name for e in made]
    assert {e.rule for e in made} == {Rule.DEFINITION} and {"xh", "xl", "xm", "c0", "xs", "sc1", "sd1"} <= set(names)
    assert ("ic0" in names) is bias and ("mx" in names) is bias


def test_what_is_refused_is_a_sentence_with_or_without_a_place():
    made = Refusal(GateEvent, "{at}a unit left its piece.", "left")
    assert made.said("network 3: ") == "network 3: a unit left its piece."
    assert made.said() == "A unit left its piece."
    assert made.error is GateEvent and issubclass(made.error, FcsymError)


@pytest.mark.parametrize(("phi", "does"), [(["leaky_relu", "relu"], "wakes up"), (["relu", "leaky_relu"], "leaves 0")])
def test_where_no_p_exists_it_is_said_what_the_last_hidden_layer_does(phi, does):
    """Not one below it; without a hidden layer, of what there is."""
    made = no_compensation(mlp([1, 1, 1, 1], phi))
    assert f"a frozen unit with v^c = 0 {does} at this step" in made.sentence.format(at="")
    assert no_compensation(mlp([1, 1, 1], phi[-1])) == made and no_compensation(mlp([1, 1])).said()


DECAY = fcsym.rule("sgd", weight_decay="0.1")


@pytest.mark.parametrize(
    ("rule", "said"), [("momentum", "momentum: "), ("adam", "adam: "), (DECAY, "sgd with decay: ")]
)
def test_a_rule_that_is_no_plain_step_is_named(rule, said):
    with pytest.raises(FcsymError) as refused:
        needs_plain_steps(mlp([1, 1, 1]).training(rule), "it")
    assert f" is {said}" in str(refused.value) and str(refused.value).endswith("choose backprop, which trains so.")
    needs_plain_steps(mlp([1, 1, 1]), "it")


J, I, K, T = (Index(Axis(letter), letter) for letter in "jikt")  # noqa: E741
W, X = Array("W", None, (J.axis, I.axis)), Array("x", None, (I.axis,))
S, V = (Array(name, None, (J.axis,), role=Role.PRE_ACTIVATION) for name in "sv")


def use(lhs=S[J], weight=W[J, I], inside=(X[I],), outside=(), features=(I,), positions=(), left=()):
    """A term W x of a pre-activation, or another one."""
    equation = Equation(lhs, total(I, mul(weight, *inside)), Rule.DEFINITION, "")
    return _Use(equation, 0, weight, inside, outside, (), features, positions, left)


def test_a_term_is_all_of_a_pre_activation_where_nothing_stands_beside_it():
    """No indicator, no index that is summed; and all of its indices, and no others, are those of the left-hand side."""
    assert use().is_whole and use(positions=(T,), lhs=Array("s", None, (T.axis, J.axis))[T, J]).is_whole
    for other in (
        {"outside": (Indicator(J, 1 * T),)},
        {"left": (T,)},
        {"lhs": Array("s", None, (J.axis, K.axis))[J, K]},
    ):
        assert not use(**other).is_whole
    assert not use(positions=(T,)).is_whole


def test_terms_read_alike_whatever_their_indices_are_called():
    """And not where the weight, what it is summed over, or what is read is another one."""
    one = use()
    i, j = Index(I.axis, "m"), Index(J.axis, "n")
    assert use(weight=W[j, i], inside=(X[i],), features=(i,)).canonical() == one.canonical()
    y, at = Array("y", None, (I.axis,)), Array("p", None, (T.axis, I.axis))
    turned = Array("W", None, (I.axis, J.axis))[I, J]
    others = [
        use(inside=(y[I],)), use(inside=(X[I], X[I])), use(features=(J,)), use(weight=turned),
        use(weight=Array("U", None, (J.axis, I.axis))[J, I]), use(inside=(at[T, I],), positions=(T,)),
    ]  # fmt: skip
    assert len({one.canonical(), *(other.canonical() for other in others)}) == 7


def test_what_a_weight_gives_is_held_itself_where_it_is_read_once_and_is_a_whole_pre_activation():
    for uses, itself in (
        ([use()], True), ([use(), use(lhs=V[J])], False), ([use(outside=(Indicator(J, 1 * T),))], False),
    ):  # fmt: skip
        made = _map(uses, {W: len(uses)}, (W,))
        assert made.is_pre_activation is itself and len(made.uses) == len(uses)


def test_a_term_with_a_parameter_is_a_map_where_it_has_one_once():
    """Not where it is squared, or two are multiplied; nor beside what is no data."""
    w, u, v = (replace(a, role=Role.PARAMETER) for a in (W, Array("U", None, (J.axis,)), Array("v", None, (I.axis,))))
    for term, found in (
        (mul(w[J, I], X[I]), 1), (mul(3, w[J, I], X[I]), 1), (mul(power(w[J, I], 2), X[I]), 0),
        (mul(w[J, I], u[J], X[I]), 0), (mul(w[J, I], v[I]), 0), (mul(w[J, I], Array("q", None, (I.axis,))[I], X[I]), 0),
    ):  # fmt: skip
        made = list(_uses(Equation(S[J], total(I, term), Rule.DEFINITION, ""), frozenset({X})))
        assert len(made) == found, term
        assert all(one.weight == w[J, I] and one.features == (I,) and one.is_whole for one in made)
    assert not list(_uses(Equation(W[J, I], mul(w[J, I], X[I]), Rule.DEFINITION, ""), frozenset({X})))


def test_what_has_cases_has_no_terms():
    d = fcsym.derive(mlp([1, 1, 1]))
    assert _terms(d.by_name["dv1"]) == () and _terms(d.by_name["s1"]) == (d.by_name["s1"].rhs,)
    assert _terms(d.by_name["y_new"]) == d.by_name["y_new"].rhs.terms


def test_maps_are_alike_where_they_read_the_same_vectors():
    """At as many positions, with as many biases, and not where the vectors are those of their units."""

    def read(data, positions=(), features=(I,), shifts=(), units=(J,)):
        return SimpleNamespace(data=data, positions=positions, features=features, shifts=shifts, units=units)

    i, t = Index(I.axis, "m"), Index(T.axis, "n")
    at = Array("p", None, (T.axis, I.axis))
    one, placed = read(X[I]), read(at[T, I], (T,))
    assert _alike(one, read(X[i], features=(i,))) and _alike(placed, read(at[t, i], (t,), (i,)))
    y, own = Array("y", None, (I.axis,)), Array("o", None, (J.axis, I.axis))[J, I]
    for other in (placed, read(y[I]), read(X[I], shifts=("b",)), read(own), read(X[I], features=(I, K))):
        assert not _alike(one, other) and not _alike(other, one)
    assert not _alike(read(own), read(own))
