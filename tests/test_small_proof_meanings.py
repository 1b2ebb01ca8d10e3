"""What index notation says of an equation: true, false, or nothing, where it is about something else.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from test_small_proofs import HAT, mlp

import fcsym
from fcsym import Linear, MultiheadAttention, Network, Residual
from fcsym.language.activation import activation, smooth
from fcsym.language.algebra import as_expr, expand, indices_of, inline
from fcsym.language.equation import Cases, Condition, Rule, Status, Verdict
from fcsym.language.expression import ONE, ZERO, Apply, Array, Role, add, arrays_in, mul, power
from fcsym.language.findings import Counterexample
from fcsym.networks.symbols import gate_of
from fcsym.proof.answers import finding_on
from fcsym.proof.general import General
from fcsym.proof.induction import Meanings as OfSchemes
from fcsym.proof.obligations import Meanings

LAYERS = {
    "beside": Network.sequential((1,), [Residual([Linear(1, 1)]), "tanh", Linear(1, 1)]),
    "a softmax": Network.sequential(
        (1,), [Residual([Linear(1, 1)]), Linear(1, 2)], output="softmax", loss="cross_entropy"
    ),
    "attention": Network.sequential((2, 1), [MultiheadAttention(1, 1), Linear(1, 1)]),
}  # fmt: skip
STACKS = {
    "relu": mlp([1, 2, 1]),
    "hat": mlp([1, 1, 1], HAT),
}


@cache
def derived(network, order="sequential"):
    return fcsym.derive(network, order=order)


def meanings_of(network, order="sequential"):
    d = derived(network, order)
    return (Meanings if d.network.built is None else General).of(d.network, d.order, d.by_name)


@pytest.mark.parametrize("name", ["a softmax", "attention"])
def test_what_a_softmax_divides_by_is_the_sum_that_it_is(name):
    """Of an adjoint times sum / Z, which is 1, in a network of layers."""
    network = LAYERS[name]
    d, meanings = derived(network), meanings_of(network)
    partition = next(e for e in d.equations if e.array.role is Role.PARTITION)
    seen = 0
    for e in d.equations:
        if e.rule is not Rule.ADJOINT or len(e.array.axes) < len(partition.array.axes):
            continue
        at = e.lhs.indices[: len(partition.array.axes)]
        if tuple(i.axis for i in at) != partition.array.axes:
            continue
        whole = inline(partition.array[at], {partition.array: (partition.lhs.indices, partition.rhs)})
        of_one = mul(whole, power(partition.array[at], -1))
        seen += meanings.holds(replace(e, rhs=mul(e.rhs, of_one))) is True
        assert meanings.holds(replace(e, rhs=mul(2, e.rhs, of_one))) is not True
    assert seen


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("name", LAYERS)
def test_an_adjoint_of_layers_passes_the_weights_that_its_order_says(name, order):
    """Those after the step where upper layers move first; with the others in their place it is another number."""
    network = LAYERS[name]
    d, meanings = derived(network, order), meanings_of(network, order)
    changed = {a: a.primed for a in network.trained}
    if order == "sequential":
        changed = {new: old for old, new in changed.items()}
    seen = 0
    for e in d.equations:
        if e.rule is Rule.ADJOINT:
            assert meanings.holds(e) is True
            wrong = inline(e.rhs, {a: (indices_of(a), b[indices_of(a)]) for a, b in changed.items()})
            if wrong != e.rhs:
                assert meanings.holds(replace(e, rhs=wrong)) is False, e
                seen += 1
    assert seen


def test_of_what_no_step_of_layers_has_nothing_is_said():
    """An input after the step, a target, a weight that is frozen, and a name that is nobody's."""
    network = LAYERS["beside"].frozen("W1")
    d, meanings, strange = derived(network), meanings_of(network), Array("q", None, ())
    for array in (strange, *(a.primed for a in (strange, network.input, network.target, network.parameters[0]))):
        indices = indices_of(array)
        for rhs in (ZERO, array.unprimed[indices], array[indices]):
            e = replace(d["y"], lhs=array[indices], rhs=rhs)
            assert meanings.holds(e) is None, e


def test_a_gate_is_of_an_activation_of_its_own():
    """The logits have none where the output is linear, and what is said to be theirs is no gate."""
    network = mlp([1, 1, 1])
    d, meanings = derived(network), meanings_of(network)
    y = network.logits
    for phi in ("relu", "tanh", "identity"):
        rhs = Apply(activation(phi), y[indices_of(y)], derivative=1)
        assert meanings.holds(replace(d["g1"], lhs=gate_of(y)[indices_of(y)], rhs=rhs)) is False
    assert meanings.holds(d["g1"]) is True


@pytest.mark.parametrize("phi", ["tanh", "sigmoid"])
def test_functions_move_by_their_slopes_each_with_its_own_order(phi):
    """(f f')' = f'^2 + f f'', and of a sum of three it is the sum; what reads something else stays as it is."""
    network = mlp([1, 1, 1], phi)
    meanings, s, f = meanings_of(network), network.hidden[0].s, smooth(phi)
    at, t, other = indices_of(s), Array("t", None, s.axes), Array("q", None, s.axes)
    value, slope, bend = (Apply(f, s[at], derivative=order) for order in range(3))
    alien = Apply(f, other[at])

    def moved(node):
        return as_expr(expand(meanings._opaque(meanings._first_order(node, s, t))))

    def wanted(node):
        return as_expr(expand(meanings._opaque(mul(node, t[at]))))

    assert moved(value) == wanted(slope) and moved(slope) == wanted(bend) and moved(alien) == wanted(ZERO)
    assert moved(value) == as_expr(expand(mul(gate_of(s)[at], t[at]))), "the slope of a unit is its gate"
    assert gate_of(s) not in arrays_in(meanings._opaque(Apply(smooth("softplus"), s[at], derivative=1)))
    assert moved(mul(value, slope)) == wanted(add(power(slope, 2), mul(value, bend)))
    assert moved(add(value, mul(3, slope), alien)) == wanted(add(slope, mul(3, bend)))
    assert moved(mul(alien, value)) == wanted(mul(alien, slope))


@pytest.mark.parametrize("name", ["relu", "hat"])
def test_of_a_row_that_is_about_no_pieces_or_has_no_value_nothing_is_said(name):
    network = STACKS[name]
    d, meanings = derived(network), meanings_of(network)
    for e in (e for e in d.equations if isinstance(e.rhs, Cases)):
        for row in e.rhs:
            assert meanings.case_holds(e, replace(row, value=None)) is None
            about = Condition(d["a0"].lhs, "=")
            assert meanings.case_holds(e, replace(row, when=(about,), value=ONE, status=Status.VALUE)) is None
            assert meanings.case_holds(e, row) is (
                True if row.status is Status.VALUE and " at " not in row.name else None
            )


SECOND = {
    "of a weight by itself": ("dE/dW1", "W1", None),
    "of an output": ("y", "W1", None),
    "along a weight": ("E", "W1", "W1"),
}


@pytest.mark.parametrize("name", SECOND)
def test_derivatives_of_derivatives_are_known_in_index_notation(name):
    of, by, along = SECOND[name]
    record = fcsym.gradient(mlp([1, 1, 1], "tanh"), of, by, along=along)
    assert record.proof.holds and {f.index for f in record.proof.findings} == {"identical"}


ANSWERS = {True: "identical", False: "differs", None: ""}


@pytest.mark.parametrize("rule", [Rule.DEFINITION, Rule.STATE])
@pytest.mark.parametrize("said", ANSWERS)
def test_a_finding_follows_from_both_of_those_who_looked(said, rule):
    """A run that disagrees refutes, with numbers or with words; without one nothing is proved but what indices say."""
    e = replace(derived(mlp([1, 1, 1]))["y"], rule=rule)
    point = Counterexample({"x": 1}, "y", 1, 2)
    for found in (None, point, "true of arbitrary functions"):
        for case in (None, "a case"):
            finding = finding_on(e, case, said, found, "identical in runs")
            assert (finding.equation, finding.case, finding.index) == ("y", case, ANSWERS[said])
            assert finding.expanded == ("identical in runs" if found is None else "differs")
            assert finding.counterexample is (found if found is point else None)
            if found is not None:
                wanted = Verdict.REFUTED if found is point else Verdict.UNDECIDED
                assert finding.note == str(found)
            elif said is False or (said is None and rule is not Rule.DEFINITION):
                wanted = Verdict.UNDECIDED
                assert ("sees a difference" in finding.note) is (said is False) is not ("cannot say" in finding.note)
            else:
                wanted = Verdict.DEFINITION if rule is Rule.DEFINITION else Verdict.PROVED
                assert not finding.note
            assert finding.verdict is wanted


@pytest.mark.parametrize("name", ["beside", "a softmax"])
def test_before_the_first_step_weights_stand_for_themselves(name):
    """In what `init` makes no weight is what it will have become; in a step each of them is."""
    s = fcsym.scheme(LAYERS[name], "states")
    meanings, weights = OfSchemes(s), {*s.network.parameters}
    assert weights & {*meanings.meant} and {*meanings.meant} - weights
    assert {*meanings._meant(s.init)} == {*meanings.meant} - weights
    assert all(meanings._meant(part) == meanings.meant for part in s.parts if part.name != "init")
