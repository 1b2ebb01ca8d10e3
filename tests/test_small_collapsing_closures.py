"""Closed states of the smallest networks, in numbers: the equations, how many numbers there are, and what is conserved.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
import sympy
from points import Point, evaluate, spread
from test_collapsing import worst_error
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.collapsing.conserved import _clear, _common, _rooted, constants, forms
from fcsym.collapsing.equations import Closure, length_of, named
from fcsym.collapsing.finder import Bounds
from fcsym.collapsing.held import Held
from fcsym.collapsing.lumped import _as_expr, block_of
from fcsym.collapsing.training import Training
from fcsym.language.expression import Array, mul

# both lines have an intercept, so that it counts whatever the weights are
BUMP = fcsym.piecewise_linear("bump", [fcsym.Piece(0, -1, 1), fcsym.Piece(None, 2, 1)])
DECAY = fcsym.rule("sgd", weight_decay=0.1)
BIASED = Network.mlp([2, 3, 3, 2], bias=True)
NETWORKS = {
    "one output": (Network.mlp([2, 4, 1]), 1, (0, 1)),
    "one output, leaky": (Network.mlp([2, 4, 1], "leaky_relu", bias=True), 1, (0, 1)),
    "one output, two inputs": (Network.mlp([2, 4, 1]), 2, (0, 1)),
    "one bias for all units, two inputs": (Network.mlp([2, 3, 1], bias=True).shared("b1"), 2, (0, 1)),
    "shared above": (BIASED.shared("b2"), 1, (2,)),
    "both shared": (BIASED.shared("b1", "b2"), 1, (0, 1)),
    "both shared, above": (BIASED.shared("b1", "b2"), 1, (0, 2)),
    "intercepts": (Network.mlp([2, 5, 1], BUMP), 2, (0, 1)),
    "intercepts, biases": (Network.mlp([1, 5, 1], BUMP, bias=[True, False]), 1, (0, 1)),
    "intercepts above": (Network.mlp([2, 2, 5, 1], ["relu", BUMP], bias=True), 1, (0, 2)),
    "decay": (Network.mlp([3, 4, 2]).training(DECAY), 2, (0, 1)),
    "a frozen bias": (Network.mlp([3, 5, 1], bias=True).frozen("b1"), 2, (0, 1)),
    "a frozen matrix": (Network.mlp([3, 5, 1], bias=True).frozen("W1"), 1, (0, 1)),
    "three matrices": (Network.mlp([2, 3, 2, 1]), 1, (0, 1)),
    "the inputs and above": (Network.mlp([2, 3, 2, 1], bias=True), 1, (0, 2)),
    "above alone": (Network.mlp([2, 3, 2, 1], bias=True), 2, (2,)),
    "the layer alone": (Network.mlp([2, 3, 2], bias=True), 2, (1,)),
    "the inputs alone": (Network.mlp([2, 3, 2], "tanh", bias=True), 2, (0,)),
    "a mean": (Network.mlp([2, 5, 3], loss="cross_entropy").training(None, "mean"), 2, (0, 1)),
    "no gates, shared above": (Network.mlp([2, 3, 3, 2], "identity", bias=True).shared("b2"), 1, (2,)),
    "no gates": (Network.mlp([2, 4, 3, 2], "identity"), 1, (0, 2)),
    "momentum, above": (Network.mlp([2, 2, 3, 1], ["tanh", "relu"], bias=True).training("momentum"), 1, (2,)),
}
# the other order is quick for these, too; for all others it takes as long as all of these together
SHORT = ("one output", "decay", "a frozen bias", "three matrices", "no gates")
BOTH = [
    *((name, "simultaneous") for name in NETWORKS),
    *((name, "sequential") for name in SHORT),
]


@cache
def found(name, order):
    network, inputs, layers = NETWORKS[name]
    return fcsym.find_collapse(network, inputs, order, contracted=layers)


@pytest.mark.parametrize(("name", "order"), BOTH)
def test_a_closed_state_moves_as_automatic_differentiation_says(name, order):
    closure = found(name, order).closure
    assert worst_error(closure) < 1e-15
    assert closure.proof.holds
    # the inner products of the inputs stand for the first matrix where the inputs are summed over
    assert [e.array.name for e in closure.data] == ["a0"] * (0 in NETWORKS[name][2])


def values_of(point, equations, after=False):
    """What these are of weights, one after the other."""
    made = {}
    for e in equations:
        numbers, indices = evaluate(e.rhs, lambda a: made[a] if a in made else point.array(a, after))
        made[e.array] = spread(numbers, indices, e.lhs.indices)
    return made


@pytest.mark.parametrize(("name", "order"), BOTH)
def test_the_size_of_a_state_is_how_many_different_numbers_it_has(name, order):
    """Of random weights: those that are equal by a symmetry count once, and no others are equal."""
    closure = found(name, order).closure
    point = Point(closure.found.held)
    made = values_of(point, (*closure.parts, *closure.definitions))
    # a number apart from all others of its array by more than rounding
    different = 0
    for array in closure.state:
        values = np.sort(np.ravel(made[array]))
        different += 1 + int((np.diff(values) > 1e-15 * np.abs(values).max()).sum())
    lengths = {length_of(axis): size for axis, size in point.sizes.items() if size is not None}
    assert sympy.sympify(closure.size).subs(lengths) == different


def test_one_output_reads_two_numbers_of_a_pattern():
    """r and its partner: what the output reads, and what that reads; in the other order there is one more."""
    for name in ("one output", "one output, leaky"):
        state = found(name, "simultaneous").closure.state
        assert len([a for a in state if a.symbol == "T"]) == 2 and len(state) == 2 + ("leaky" in name)
    assert len(found("one output", "sequential").closure.state) == 3


@pytest.mark.parametrize("samples", [1, 2, 3, 5])
@pytest.mark.parametrize("phi", ["relu", "leaky_relu", HAT], ids=["relu", "leaky", "hat"])
def test_there_are_as_many_patterns_as_pieces_on_every_input_but_where_none_has_an_effect(phi, samples):
    """Or as many as there are units, where these are fewer."""
    for width in (3, 400):
        network = Network.mlp([2, width, 2], phi)
        closure = fcsym.find_collapse(network, samples, contracted=(1,)).closure
        pieces = network.layers[0].activation.pieces
        every = [own for own in product(pieces, repeat=samples) if not all(p.slope == p.intercept == 0 for p in own)]
        assert list(closure.patterns.values()) == [min(width, len(every))]
        (group,) = closure.patterns
        assert closure.at_widths(length_of(group)) == min(width, len(every))


def test_a_layer_without_gates_has_no_patterns():
    for name in ("no gates", "no gates, shared above"):
        assert found(name, "simultaneous").closure.patterns == {}


@pytest.mark.parametrize(("name", "order"), BOTH)
def test_quantities_are_as_they_are_written(name, order):
    """Each has its definition whatever its indices are called, and a symmetry of it changes nothing."""
    search = found(name, order).choice.found
    closure = found(name, order).choice.closure
    point = Point(search.held)
    definitions = {e.array: e for e in (*closure.parts, *closure.definitions)}
    for quantity, array in zip(search.quantities, named(search.quantities), strict=True):
        if array not in definitions:
            continue
        numbers, indices = evaluate(quantity.at(quantity.letters), lambda a: point.array(a, False))
        numbers = spread(numbers, indices, quantity.letters)
        e = definitions[array]
        if e.rhs != e.lhs:
            own, places = evaluate(e.rhs, lambda a: point.array(a, False))
            np.testing.assert_array_equal(spread(own, places, e.lhs.indices), numbers)
        assert tuple(range(len(quantity.free))) in quantity.symmetries and "Places" not in repr(quantity)
        for symmetry in quantity.symmetries:
            np.testing.assert_allclose(np.transpose(numbers, symmetry), numbers, rtol=1e-13, atol=1e-15)


def test_numbers_of_a_state_in_training_are_what_its_definitions_say_of_the_weights():
    """Group by group, in the order of their slopes."""
    for name in ("one output", "both shared", "intercepts above", "decay", "above alone", "momentum, above"):
        network, _, layers = NETWORKS[name]
        search = found(name, "simultaneous").choice.found
        point = Point(search.held)
        if network.memory and 0 not in layers:
            continue
        training = Training(network, search, point.weights, point.known["x"])
        for quantity, array in zip(search.quantities, named(search.quantities), strict=True):
            if any(a.name in point.memory for a in quantity.arrays):
                continue
            numbers, indices = evaluate(quantity.at(quantity.letters), lambda a, point=point: point.array(a, False))
            wanted = spread(numbers, indices, quantity.letters)
            np.testing.assert_allclose(training.state[array.name], wanted.astype(float), rtol=1e-10, atol=1e-12)


CONSERVING = {
    "one output": Network.mlp([3, 4, 1]),
    "two outputs, biases": Network.mlp([2, 3, 2], "leaky_relu", bias=True),
    "two layers": Network.mlp([2, 3, 3, 2], "leaky_relu", bias=[True, True, False]),
    "decay": Network.mlp([2, 3, 2], bias=True).training(DECAY),
    "decay, two layers": Network.mlp([2, 3, 2, 1]).training(DECAY),
}


@pytest.mark.parametrize(("inputs", "order"), [(1, "simultaneous"), (2, "simultaneous"), (1, "sequential")])
@pytest.mark.parametrize("name", CONSERVING)
def test_one_step_changes_a_constant_by_what_is_said(name, order, inputs):
    """Beside the decay: (Q' - Q)/eta is its rate times Q, and what is said over eta."""
    network = CONSERVING[name]
    found = constants(network, order, inputs)
    layers = range(1, len(network.layers))
    assert [c.layer for c in found] == sorted([*layers, *([1] if inputs == 1 else [])])
    for constant in found:
        point = Point(Held.of(network, order, inputs, frozenset({constant.layer})))

        def value(node, after=False, point=point):
            return evaluate(node, lambda a: np.asarray(point.array(a, after)))[0].astype(float)

        change = value(constant.value.rhs, True) - value(constant.value.rhs)
        wanted = point.eta * value(constant.rate) * value(constant.value.rhs) + value(constant.change.rhs)
        np.testing.assert_allclose(change, wanted, rtol=1e-9, atol=1e-13)
        assert np.abs(change).max() > 1e-6
        names, n = {one.name for one in constant.change.operands}, constant.layer
        if order == "simultaneous" and f"s{n}" not in {one.name for one in constant.value.operands}:
            assert {f"s{n}", f"delta{n}"} <= names  # by their names, and not as what they are of weights


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_of_layers_beside_others_that_have_none_constants_are_found(order):
    """Of units with a bias each, below units that share one, and of lines through 0 beside functions that are not."""
    shared = Network.mlp([2, 3, 3, 2], "leaky_relu", bias=True).shared("b2")
    for network, layers in (
        (shared, [1, 1]), (shared.shared("b1"), []), (Network.mlp([2, 3, 3, 2], ["relu", "tanh"]), [1, 1]),
        (Network.mlp([2, 3, 3, 2], [HAT, "relu"]), [2]), (Network.mlp([2, 3, 3, 2], [BUMP, "relu"], bias=True), [2]),
    ):  # fmt: skip
        found = constants(network, order)
        assert [c.layer for c in found] == layers
        for constant in found:
            assert constant.rate == mul(0)
            largest = 0
            for seed in range(3):
                point = Point(Held.of(network, order, 1, frozenset({constant.layer})), seed)

                def value(node, after=False, point=point):
                    return evaluate(node, lambda a: np.asarray(point.array(a, after)))[0].astype(float)

                change = value(constant.value.rhs, True) - value(constant.value.rhs)
                np.testing.assert_allclose(change, value(constant.change.rhs), rtol=1e-9, atol=1e-12)
                largest = max(largest, np.abs(change).max())
            assert largest > 1e-5


P, Q = sympy.Symbol("p"), sympy.Symbol("q")


@pytest.mark.parametrize(
    "value", [P / Q, P / (Q + 1) + 2, P**2 * Q, 1 / (P * Q), P * 3 / 4, P / 2 + Q, P / Q**2 - 2 * Q / 3], ids=str
)
def test_a_quotient_of_known_numbers_is_written_as_one(value):
    known = {symbol: Array(symbol.name, None, ())[()] for symbol in (P, Q)}
    at = {"p": Fraction(3, 7), "q": Fraction(-5, 2)}
    made, indices = evaluate(_as_expr(value, known), lambda a: np.longdouble(float(at[a.name])))
    assert indices == () and float(made) == pytest.approx(float(value.subs({P: 3 / 7, Q: -5 / 2})), rel=1e-12)


@pytest.mark.parametrize(
    "column",
    [[2 * P, 4 * P * Q], [P / 2, -P], [1 / P, Q / P, 0], [0, P**2 - P, 1 - P], [P / (Q + 1), 1 / Q], [-P, -Q]], ids=str
)  # fmt: skip
def test_a_row_is_written_without_denominators_and_common_factors(column):
    """With a plus in the last place that is not 0."""
    made = _clear(sympy.Matrix(column))
    (share,) = {sympy.cancel(a / sympy.sympify(b)) for a, b in zip(made, column, strict=True) if b != 0}
    assert share != 0 and all(a == 0 for a, b in zip(made, column, strict=True) if b == 0)
    entries = [sympy.Poly(a, P, Q) for a in made if a != 0]
    assert sympy.gcd_list([e.as_expr() for e in entries]) == 1
    assert not entries[-1].as_expr().could_extract_minus_sign()


FORMED = {
    "no bias": Network.mlp([2, 5, 1]),
    "decay": Network.mlp([2, 5, 1]).training(DECAY),
    "a frozen bias": Network.mlp([2, 5, 1], bias=True).frozen("b1"),
}


@pytest.mark.parametrize("name", FORMED)
def test_a_form_of_every_pattern_is_multiplied_by_its_factor_in_a_step(name):
    """And is written without denominators and common factors."""
    search = fcsym.find_collapse(FORMED[name], contracted=(0, 1)).choices[0].found
    found = forms(Closure.of(search))
    assert len(found) == 3 and len({str(one.form) for one in found}) == 3
    point = Point(search.held, 3)
    ((_, members),) = point.groups.items()
    assert len(members) == 2
    slopes = point.seen["g1"][members.argmax(axis=1)]
    for one in found:
        before, after = values_of(point, one.definitions), values_of(point, one.definitions, True)
        for c in range(len(members)):

            def at(expression, made, c=c):
                known = {a.name: float(np.ravel(v[..., c])[0]) for a, v in made.items()}
                known |= {"eta": point.eta, "g1": slopes[c], "delta2": point.seen["delta2"].item(), "lamda": 0.1}
                known["a0"] = float(point.array(search.held.inner, False))
                return complex(expression.subs({s: known[s.name] for s in expression.free_symbols}))

            wanted = at(one.factor, before) * at(one.form, before)
            assert abs(at(one.form, after) - wanted) < 1e-12 and abs(wanted) > 1e-4
        symbols = [sympy.Symbol(e.array.name) for e in one.definitions]
        entries = [one.form.coeff(symbol) for symbol in symbols]
        assert sympy.expand(sum(k * s for k, s in zip(entries, symbols, strict=True))) == one.form
        assert sympy.gcd_list([k for k in entries if k != 0]) == 1
        assert not [s for k in entries for s in sympy.denom(sympy.together(k)).free_symbols]


def test_choices_are_made_of_choices_that_close_alone():
    """And of all of them: none that closes is passed over, and none is tried with a part that does not."""
    found = fcsym.find_collapse(Network.mlp([2, 3, 3, 2, 1]), bounds=Bounds(factors=3))
    closed = {frozenset(c.found.contracted): c.closed for c in found.choices}
    for layers in map(frozenset, (c for n in range(1, 5) for c in combinations(range(4), n))):
        parts = [layers - {n} for n in layers if len(layers) > 1]
        assert (layers in closed) is all(closed.get(part, False) for part in parts)
    assert not all(closed.values()) and sum(closed.values()) > 4
    assert all(dict(c.found.growth) for c in found.choices if c.closed)


def test_nothing_is_conserved_where_a_part_of_a_sum_of_squares_does_not_move():
    """Or moves otherwise; and what does not move at all is no constant of motion."""
    for names in (["W1"], ["b1"], ["W1", "b1"]):
        assert constants(Network.mlp([2, 3, 2], bias=True).frozen(*names), "simultaneous") == ()
    smooth, bent = Network.mlp([2, 3, 2], "tanh"), Network.mlp([2, 3, 2], HAT)
    shared, fast = Network.mlp([2, 3, 2], bias=True).shared("b1"), Network.mlp([2, 3, 2]).training("momentum")
    for network in (Network.mlp([2, 3, 2]).frozen("W1"), smooth, bent, shared, fast):
        assert constants(network, "simultaneous") == ()


A, X, E = (sympy.Symbol(name, real=True) for name in ("g1", "x", "e"))


@pytest.mark.parametrize(
    ("square", "root"),
    [
        (4 * X**2 + 4, 2 * sympy.sqrt(X**2 + 1)), (A**2 * X**2 + A**2, abs(A) * sympy.sqrt(X**2 + 1)),
        (X**4 + 2 * X**2 + 1, X**2 + 1), (X**2 - 1, sympy.sqrt(X**2 - 1)),
        (A**3 * X**2, abs(A) * abs(X) * sympy.sqrt(A)),
        (12 * X**2, 2 * sympy.sqrt(3) * abs(X)), (P**2, sympy.sqrt(P**2)), (A, sympy.sqrt(A)),
    ],
    ids=str,
)  # fmt: skip
def test_squares_are_in_front_of_a_root(square, root):
    """Of what is real; all else stays in it."""
    assert _rooted(sympy.sqrt(square, evaluate=False)) == root == _rooted(root)
    assert sympy.expand(_rooted(1 / X + 3 * sympy.sqrt(square, evaluate=False)) - 1 / X - 3 * root) == 0


@pytest.mark.parametrize("weight", [1, 2, A])
def test_rows_with_roots_are_multiplied_by_their_factors(weight):
    """Exactly, also where a root is a multiple of another one."""
    matrix = sympy.Matrix([[0, -X, -1], [-(weight**2) * X, 0, 0], [-(weight**2), 0, 0]])
    found = _common({E: matrix})
    assert len(found) == 3 and {sympy.simplify(factor**2) for _, factor in found} == {
        0, sympy.simplify(E**2 * weight**2 * (X**2 + 1))}  # fmt: skip
    for row, factor in found:
        made = E * sympy.Matrix([row]) * matrix
        assert [sympy.expand(a - factor * b) for a, b in zip(made, row, strict=True)] == [0, 0, 0]


def test_two_outputs_have_no_forms_of_a_pattern_and_numbers_in_forms_are_real():
    """A pattern has numbers of each output, which no number of a pattern multiplies."""
    two, one = (fcsym.find_collapse(Network.mlp([1, 3, n]), contracted=(0, 1)).choices[0].found for n in (2, 1))
    assert forms(Closure.of(two)) == ()
    for network in (Network.mlp([2, 3, 1], bias=True).shared("b1"), Network.mlp([1, 3, 1], BUMP)):
        closure = Closure.of(fcsym.find_collapse(network, contracted=(0, 1)).choices[0].found)
        assert len(block_of(closure)) > 1 and forms(closure) == ()  # how many units there are is in its step
    symbols = {s for each in forms(Closure.of(one)) for s in each.factor.free_symbols}
    assert {s.name for s in symbols} == {"a0", "g1", "delta2", "eta"} and all(s.is_real for s in symbols)
    assert [s.name for s in symbols if s.is_positive] == ["a0"]  # a squared norm, and nothing else has a sign
