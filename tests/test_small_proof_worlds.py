"""The truth that a proof is held against, and where an equation is evaluated beside it.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations
from types import SimpleNamespace

import pytest
from test_small_proofs import HAT, mlp

import fcsym
from fcsym import Flatten, Linear, Network, Residual
from fcsym.language.equation import Status
from fcsym.language.expression import Array, Expr, Index, add, mul, power
from fcsym.language.instance import positions
from fcsym.networks.symbols import (
    ALPHA,
    ETA,
    adjoint_of,
    averages_of_one,
    coefficient,
    increment_of,
    kappa,
    moment,
    rho,
)
from fcsym.proof import expanded
from fcsym.proof.expanded import Expansion
from fcsym.proof.general import General
from fcsym.proof.numbers import Quotient, TermCount
from fcsym.proof.obligations import Meanings
from fcsym.proof.points import rationals, residues
from fcsym.proof.reference import Gates, Training, reference

KINKS = {"relu": "relu", "hat": HAT}


@cache
def derived(name):
    return fcsym.derive(mlp([1, 1, 1], KINKS.get(name, name)))


@cache
def expansion_of(name):
    d = derived(name)
    return Expansion(d.network, d.order, d.by_name)


@pytest.mark.parametrize("phi", ["relu", "tanh", HAT], ids=str)
def test_every_unit_and_every_output_has_numbers_of_its_own(phi, monkeypatch):
    """What were the same for two of them would hide that they are mistaken for each other."""
    monkeypatch.setattr(expanded, "MAX_TERMS", 0)
    d = fcsym.derive(mlp([2, 2, 2], phi, output=phi, loss="l1"))
    expansion = Expansion(d.network, d.order, d.by_name)
    assert not expansion.in_full and len(expansion._worlds) == 3
    for world in expansion._worlds:
        found = defaultdict(list)
        for (array, at), value in world.truth.items():
            found[array.name].append((at, value))
        assert {"s1", "v1", "g1", "y", "g2", "delta2", "delta1", "W1_new", "s1_new", "v1_new", "dv1"} <= set(found)
        for name, values in found.items():
            for (one, a), (other, b) in combinations(values, 2):
                assert a != b or sorted(one) == sorted(other) != list(one), (name, one, other)
    first, second, _ = (world.truth for world in expansion._worlds)
    assert all(first[element] != second[element] for element in first if element[0].name in ("s1", "g1", "y", "E"))


@pytest.mark.parametrize("widths", [[1, 1, 1], [1, 2, 1], [2, 2, 1]])
def test_terms_are_counted_as_they_are_where_none_are_alike(widths):
    """Of y times (eta + 1)/(eta + 1): of what stands above the line times of what stands below it."""
    d = fcsym.derive(mlp(widths))
    expansion = Expansion(d.network, d.order, d.by_name)
    one_more = add(ETA[()], 1)
    equation = replace(d["y"], rhs=mul(d["y"].rhs, one_more, power(one_more, -1)))
    polynomial = expansion._worlds[0].lifted.right_side(equation, (0,))
    counting = expanded._counting(expansion.units, [])
    counted = expanded._World(expansion, counting, expansion._truth(counting)).terms(equation)
    of_y = len(expansion._worlds[0].truth[d["y"].array, (0,)])
    assert counted == len(polynomial.numerator) * len(polynomial.denominator) == 2 * of_y * 2
    strange = replace(equation, lhs=Array("q", None, ())[()])
    assert expanded._World(expansion, counting, expansion._truth(counting)).terms(strange) == 0


def test_what_is_said_to_be_expanded_is(monkeypatch):
    """In one world of polynomials; and at points where the quotient of an equation has too many terms."""
    d, expansion = derived("relu"), expansion_of("relu")
    one_more = add(ETA[()], 1)
    quotients = [
        replace(d[name], rhs=mul(d[name].rhs, one_more, power(one_more, -1))) for name in ("y", "delta1", "W1_new")
    ]
    for most in (1000, 1):
        monkeypatch.setattr(expanded, "MAX_TERMS", most)
        for equation in (*(e for e in d.equations if isinstance(e.rhs, Expr)), *quotients):
            in_full = most > 1 or equation not in quotients
            assert expansion.expands(equation) is in_full
            worlds = expansion._worlds_for(equation)
            assert len(worlds) == (1 if in_full else 3)
            lifted = worlds[0].arithmetic.lift(worlds[0].truth[ETA, ()])
            assert isinstance(lifted, Quotient) is in_full
            assert expansion.holds(equation) is (None if equation.name == "r" else True)  # of r nothing is known
        for equation in quotients:
            assert expansion.holds(replace(equation, rhs=add(equation.rhs, 1))) is False


@pytest.mark.parametrize("array", ["dv1", "p", "P"])
@pytest.mark.parametrize("name", KINKS)
def test_every_row_is_held_against_the_truth(name, array):
    """One more is wrong; and so is what divides by phi(s) on a piece where that is 0."""
    d, expansion = derived(name), expansion_of(name)
    equation, words = d[array], [piece.name for piece in d.network.hidden[0].activation.pieces]
    k, j = d["p"].lhs.indices
    ds, vc, new = (d[n].array for n in ("ds1", "vc", "W2_new"))
    for row in equation.rhs:
        if " at " in row.name:
            continue
        pieces = tuple(map(words.index, row.name.split(" -> ")))
        if row.status is Status.VALUE:
            assert expansion.case_holds(equation, row, pieces) is True
            wrong = replace(row, value=add(row.value, 1))
            assert expansion.case_holds(equation, wrong, pieces) is False
            strange = replace(row, value=Array("q", None, ())[()])
            assert expansion.case_holds(equation, strange, pieces) is None
        if array == "P" and row.value is not None:
            zero = d.network.hidden[0].activation.pieces[pieces[0]].is_zero
            assert expansion.integral_in_full(equation, row, pieces) is not zero
        dead = d.network.hidden[0].activation.pieces[pieces[0]].is_zero
        if array == "p" and dead:
            made = replace(row, value=mul(new[k, j], ds[j], power(vc[j], -1)), status=Status.VALUE)
            assert expansion.case_holds(equation, made, pieces) is False


def test_terms_are_counted_up_to_a_million_million_million():
    """Of sums and of products; of a number that is so large nothing more is said."""
    for a, b in [(3, 5), (10**9, 10**8), (10**17, 10**17), (1, 999)]:
        assert (TermCount(a) + TermCount(b)).terms == (TermCount(a) - TermCount(b)).terms == a + b
        assert (TermCount(a) * TermCount(b)).terms == (TermCount(a) / TermCount(b)).terms == min(a * b, 10**18)
    assert (TermCount(10**18) + TermCount(10**18)).terms == 10**18


def test_a_quotient_is_no_number_and_no_text():
    """It is equal to quotients alone."""
    one = Quotient(Fraction(2), Fraction(4))
    assert one == Quotient(Fraction(3), Fraction(6)) and one != Quotient(Fraction(3), Fraction(5))
    for other in (Fraction(1, 2), 0.5, "1/2", None):
        assert (one == other) is False and (one != other) is True
    for above in (Fraction(1), Fraction(2), Fraction(0)):
        assert Quotient(above, Fraction(3)) / one == Quotient(above * 2, Fraction(3))
        assert one / Quotient(Fraction(1), Fraction(3)) == Quotient(Fraction(3), Fraction(2))
        with pytest.raises(ZeroDivisionError):
            Quotient(above, Fraction(3)) / Quotient(Fraction(0), Fraction(3))


@pytest.mark.parametrize(("kind", "taken"), [("max", 7), ("min", 4)])
def test_the_greatest_or_least_of_one_number_is_that(kind, taken):
    for numbers in (residues("seed"), rationals(1)):
        assert numbers.extreme[kind]([5]) == 5 and numbers.extreme[kind]([5, 7]) in (5, 7)
    assert rationals(1).extreme[kind]([5, 7, 4, 6]) == taken


def test_of_squares_the_error_alone_is_passed_back():
    """y - y_g is one variable, and what y is made of does not enter."""
    d, expansion = derived("relu"), expansion_of("relu")
    delta = d["delta2"].array, (0,)
    assert expansion._truth(expanded._counting(expansion.units, []))[delta].terms == 1
    (world,) = expansion._worlds
    assert world.truth[delta] == world.arithmetic.variable("e_0")


def test_what_is_differentiated_moves_by_what_it_is_moved_by():
    """An element of it by that element of the direction."""
    for network in (mlp([1, 1, 2]), Network.sequential((1,), [Residual([Linear(1, 1)]), Linear(1, 2)])):
        kind = Meanings if network.built is None else General
        y = network.logits
        at = tuple(Index(axis, "of") for axis in y.axes)
        meanings = replace(kind.of(network, "simultaneous", {}), root=y, at=at)
        direction = Array("t", None, y.axes)
        assert meanings._linear(y, direction, True) == meanings._linear(y, direction, False) == direction[at]


AXES = {
    "one of each": (mlp([1, 1, 1]), 3),
    "two units": (mlp([1, 2, 1]), 2),
    "two inputs and outputs": (mlp([2, 1, 2]), 1),
    "none": (mlp([2, 3, 2]), 0),
    "a batch": (mlp([2, 1, 2]).training(batch="mean"), 1),
    "a batch of one": (mlp([2, 1, 1]).training(batch="sum", samples=1), 2),
    "positions": (Network.sequential((3, 2), [Linear(2, 1), "relu", Flatten(), Linear(3, 2)]), None),
}


@pytest.mark.parametrize("name", AXES)
def test_a_sum_is_its_only_term_along_axes_of_length_one_alone(name):
    """Not along one that may be longer, which a batch has."""
    network, number = AXES[name]
    for meanings in (Meanings, General):
        ones = meanings.of(network, "simultaneous", {}).ones
        assert ones == {axis for axis in network.sizes if network.sizes[axis] == 1 and not axis.open}
        assert number is None or len([axis for axis in ones if axis.name.startswith("n_")]) == number


SPLIT = {
    "two layers": (mlp([2, 2, 2]), False),
    "two layers and biases": (mlp([2, 2, 2], bias=True), False),
    "two layers, a shared bias": (mlp([2, 2, 2], bias=True).shared("b1"), True),
    "three layers": (mlp([2, 2, 2, 1]), True),
    "three layers and biases": (mlp([1, 2, 2, 2], bias=True), True),
    "three layers, a shared bias": (mlp([1, 2, 2, 1], bias=True).shared("b2"), True),
    "three layers, a bias elsewhere": (mlp([1, 2, 2, 1], bias=[True, False, True]), True),
    "four layers": (mlp([1, 2, 1, 2, 1], bias=[False, True, True, False]), True),
}


@pytest.mark.parametrize("name", SPLIT)
def test_parts_of_a_change_add_up_to_it(name, order):
    """ds = kappa - eta delta alpha in the last hidden layer, with one alpha for all units; none where s moves alone.

    rho is what the other outputs send down through the weights that the error passes.
    """
    network, parts = SPLIT[name]

    def number(text):
        return Fraction(sum(map(ord, text)) % 17 - 8, 1 + len(text) % 3)

    phi = network.layers[0].activation
    gates = Gates(
        lambda _, s: phi.value_at(s), lambda _, s: phi.slope_at(s), lambda _, s: phi.value_at(s),
        lambda *_: None,
    )  # fmt: skip
    known = reference(
        network, order, lambda a, at: number(f"{a.name}{at}") or Fraction(3), lambda at: Fraction(1 + at[0], 2), gates,
        Fraction,
    )  # fmt: skip
    s, eta = network.hidden[-1].s, known[ETA, ()]
    assert ((ALPHA, ()) in known) == parts
    for (j,) in positions(s, network.sizes):
        if parts:
            change = known[kappa(s), (j,)] - eta * known[adjoint_of(s), (j,)] * known[ALPHA, ()]
            assert known[increment_of(s), (j,)] == change
    weight, outputs = network.read_out, network.sizes[network.output.axes[-1]]
    through = weight.primed if order == "sequential" else weight
    for k, j in positions(weight, network.sizes):
        others = [known[through, (m, j)] * Fraction(1 + m, 2) for m in range(outputs) if m != k]
        assert known[rho(weight), (k, j)] == sum(others)


RULES = {
    "gradient descent": {},
    "momentum": {"beta": "0.9"},
    "momentum and decay": {"beta": "0.5", "weight_decay": "0.1"},
    "momentum without any": {"beta": "0", "weight_decay": "0.2"},
    "nesterov": {"beta": "0.9", "weight_decay": "0.1"},
    "rmsprop": {"alpha": "0.9", "weight_decay": "0.1"},
    "rmsprop of the last gradient": {"alpha": "0"},
    "adam": {"beta1": "0.9", "beta2": "0.8"},
    "adam and decay": {"beta1": "0.5", "beta2": "0.25", "weight_decay": "0.1"},
    "adam without a memory": {"beta1": "0", "beta2": "0"},
    "adamw": {"beta1": "0.9", "beta2": "0.8", "weight_decay": "0.1"},
    "adamw without decay": {"beta1": "0.9", "beta2": "0.8", "weight_decay": "0"},
}


def by_manual(name, given, w, g, eta, memory, seen, eps):
    """A parameter after a step as the manual of torch.optim has it, with x + 7 in place of the root of x."""
    decay = Fraction(given.get("weight_decay", 0))
    if name == "adamw":
        w = w - eta * decay * w
    else:
        g = g + decay * w
    first, second = memory
    if name in ("momentum", "nesterov"):
        beta = Fraction(given["beta"])
        first = beta * first + g if beta else g
        g = first if name == "momentum" else g + beta * first
        return w - eta * g, first, None
    if name == "rmsprop":
        alpha = Fraction(given["alpha"])
        second = alpha * second + (1 - alpha) * g * g
        return w - eta * g / (second + 7 + eps), None, second
    if name in ("adam", "adamw"):
        b1, b2 = Fraction(given["beta1"]), Fraction(given["beta2"])
        first, second = b1 * first + (1 - b1) * g, b2 * second + (1 - b2) * g * g
        one, other = (1 - b * (1 - h) for b, h in zip((b1, b2), seen, strict=True))
        return w - eta * (first / one) / (second / other + 7 + eps), first, second
    return w - eta * g, None, None


@pytest.mark.parametrize("name", RULES)
def test_a_parameter_moves_as_the_manual_of_its_rule_says(name):
    kind = name.split(" ")[0].replace("gradient", "sgd")
    rule = fcsym.rule(kind, **RULES[name]) if RULES[name] else mlp([1, 1, 1]).rule
    theta = mlp([1, 1, 1]).read_out
    w, g, eta, seen = Fraction(3, 2), Fraction(-2, 3), Fraction(1, 5), (Fraction(1, 3), Fraction(2, 7))
    memory = Fraction(4, 3), Fraction(5, 9)
    known = {(theta, (0, 0)): w} | {(a, ()): value for a, value in rule.values.items()}
    known |= {(moment(theta, n), (0, 0)): value for n, value in enumerate(memory, 1)}
    known |= {(a, ()): value for a, value in zip(averages_of_one(), seen, strict=True)}
    training = Training(rule, known, SimpleNamespace(term=lambda phi, at, square: (square + 7, None)), Fraction)
    eps = known.get((coefficient("eps"), ()), Fraction(0))
    moved, *after = by_manual(kind, RULES[name], w, g, eta, memory, seen, eps)
    assert training.moved(theta, (0, 0), eta, g) == moved
    for n, value in enumerate(after, 1):
        assert known.get((moment(theta, n).primed, (0, 0))) == value
    if RULES[name]:
        assert known[increment_of(theta), (0, 0)] == moved - w
