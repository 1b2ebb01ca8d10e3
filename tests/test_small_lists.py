"""Lists of equations beside a step by hand, in rational numbers: every value, what it changes by, and what is cited.

Each takes a few hundredths of a second, so that a fault in how a list is made is seen by a test that is quick.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import product

import pytest

import fcsym
from fcsym import Network
from fcsym.deriving.citation import cited, is_of_the_papers_kind, is_trained_as_in_the_paper
from fcsym.deriving.contribution import _and, _integral, _Last, _p_rows, _vanishes, _what
from fcsym.deriving.differentiate import _Called, _gate_equation, _has_units, _known_quotient
from fcsym.deriving.forward import forward
from fcsym.deriving.gradient import of_one_sample
from fcsym.deriving.increments import _along, change_of, pairs
from fcsym.errors import ArgumentError
from fcsym.language.activation import activation
from fcsym.language.algebra import equal, expand, inline
from fcsym.language.equation import Equation, Rule, Status
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Index,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    add,
    mul,
    power,
    refs_in,
    total,
)
from fcsym.language.instance import Instance
from fcsym.networks.symbols import ETA, SAMPLES, adjoint_of, bend_of, gate_of
from fcsym.values.exact import exact_field

H = Fraction(1, 10**9)
ETA_ = Fraction(1, 7)


def places(network, array):
    return list(product(*(range(network.sizes[axis]) for axis in array.axes)))


def drawn(network, seed=1):
    """Weights, an input and a target, no unit of which is on a kink."""
    rng = random.Random(seed)
    arrays = (*network.parameters, network.input, network.target)
    return {(a, at): Fraction(rng.randint(-60, 60) * 2 + 1, 32) for a in arrays for at in places(network, a)}


def values(network, equations, given):
    """Every element of every array that is defined, by its name."""
    own = {e.array: e for e in equations if e.defines}
    leaves = {**given, (ETA, ()): ETA_}
    leaves |= {(a, ()): v for a, v in network.rule.values.items()}
    run = Instance(own, network.sizes, lambda array, at: leaves[array, at], exact_field())
    return {a.name: {at: run.element(a, at) for at in places(network, a)} for a in own}


def error(network, given):
    return values(network, forward(network), given)["E"][()]


SMALL = {
    "plain": Network.mlp([2, 2, 2]),
    "deep": Network.mlp([1, 2, 2, 1], "leaky_relu", bias=True),
    "shared": Network.mlp([2, 2, 1], bias=True).shared("b1", "b2"),
    "some biases": Network.mlp([2, 2, 2], "leaky_relu", bias=[True, False]),
    "frozen": Network.mlp([2, 2, 1], "leaky_relu", bias=True).frozen("W1"),
    "no hidden layer": Network.mlp([2, 2], bias=True),
    "a batch": Network.mlp([2, 3, 1], "leaky_relu", bias=True).training(batch="mean", samples=2),
    "a sum": Network.mlp([2, 2, 1], "leaky_relu").training(batch="sum", samples=2),
    "positions": Network.sequential((3, 2), [fcsym.Linear(2, 2), "leaky_relu", fcsym.Flatten(), fcsym.Linear(6, 1)]),
    "patches": Network.sequential((1, 3), [fcsym.Conv1d(1, 2, 2), "leaky_relu", fcsym.Flatten(), fcsym.Linear(4, 1)]),
    "around": Network.sequential(2, [fcsym.Linear(2, 2), fcsym.Residual([fcsym.Linear(2, 2), "leaky_relu"]),
                                     fcsym.Linear(2, 1)]),
}  # fmt: skip


def listed(name, order="simultaneous"):
    network = SMALL[name]
    d = fcsym.derive(network, order)
    return d, drawn(network), values(network, d.equations, drawn(network))


@pytest.mark.parametrize("name", SMALL)
def test_what_a_step_changes_is_what_the_network_is_after_it(name):
    """Each array at the updated parameters, and what it changed by: by its forward equation once more."""
    d, given, found = listed(name)
    network = d.network
    after = dict(given)
    for theta in network.trained:
        after |= {(theta, at): found[theta.primed.name][at] for at in places(network, theta)}
    true = values(network, forward(network), after)
    seen = 0
    for e in forward(network):
        if e.array.primed.name in found:
            assert found[e.array.primed.name] == true[e.array.name], e.array.name
            change = found.get("d" + e.array.name)
            if change is not None:
                assert change == {at: v - found[e.array.name][at] for at, v in true[e.array.name].items()}, e.array.name
            seen += change is not None
    assert seen >= len(network.layers)


@pytest.mark.parametrize("name", SMALL)
def test_a_step_goes_down_the_slope_of_the_error(name):
    """Which a difference gives without a rest, where the error is a square between kinks."""
    d, given, found = listed(name)
    for theta in d.network.trained:
        for at in places(d.network, theta)[::2]:
            ends = [error(d.network, given | {(theta, at): given[theta, at] + h}) for h in (H, -H)]
            assert found[theta.primed.name][at] == given[theta, at] - ETA_ * (ends[0] - ends[1]) / (2 * H)


@pytest.mark.parametrize("name", ["plain", "deep", "some biases"])
def test_in_sequential_order_the_error_comes_through_new_weights(name):
    """By hand, from the last layer to the first."""
    d, given, found = listed(name, "sequential")
    network, count = d.network, len(d.network.layers)
    widths = [network.inputs, *(layer.width for layer in network.layers)]
    weights = {a.name: a for a in network.parameters}
    x = {(k,): given[network.input, (k,)] for k in range(widths[0])}
    last = "y" if "y" in found else f"s{count}"
    delta = [found[last][(k,)] - given[network.target, (k,)] for k in range(widths[-1])]
    for layer in range(count, 0, -1):
        below = found[f"v{layer - 1}"] if layer > 1 else x
        w, new = weights[f"W{layer}"], found[f"W{layer}_new"]
        for i, j in places(network, w):
            assert new[i, j] == given[w, (i, j)] - ETA_ * delta[i] * below[(j,)]
        if f"b{layer}" in weights:
            b = weights[f"b{layer}"]
            assert all(found[f"b{layer}_new"][(i,)] == given[b, (i,)] - ETA_ * delta[i] for (i,) in places(network, b))
        if layer > 1:
            phi, s = network.layers[layer - 2].activation, found[f"s{layer - 1}"]
            delta = [
                phi.slope_at(s[(j,)]) * sum(new[i, j] * delta[i] for i in range(widths[layer]))
                for j in range(widths[layer - 1])
            ]


@pytest.mark.parametrize("name", [name for name, network in SMALL.items() if len(network.layers) > 1])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_what_the_read_out_needs_makes_up_for_what_it_reads(name, order):
    """sum r v^c + b' is the output after the step; unit by unit where one p serves one sample."""
    d, _, found = listed(name, order)
    network = d.network
    if "p" not in d.by_name:
        assert not (network.has_common_p and network.features_move)
        return
    (statement,) = (e for e in d.equations if e.label == "compensation")
    run = {e.array: e for e in d.equations if e.defines}
    leaves = {**drawn(network), (ETA, ()): ETA_}
    instance = Instance(run, network.sizes, lambda array, at: leaves[array, at], exact_field())
    whole = Equation(
        Array("front", None, statement.array.axes)[statement.lhs.indices], statement.rhs, Rule.IDENTITY, ""
    )
    both = Instance({**run, whole.array: whole}, network.sizes, lambda array, at: leaves[array, at], exact_field())
    for at in places(network, whole.array):
        assert both.element(whole.array, at) == instance.element(statement.array, at)
    assert all(found["r"][at] == found[network.read_out.primed.name][at] + p for at, p in found["p"].items())
    vc = next(values for key, values in found.items() if key.startswith("vc") or key == "v_c")
    dv = found["d" + network.hidden[-1].v.name]
    if not network.places:
        new = found[network.read_out.primed.name]
        for at, p in found["p"].items():
            assert p * vc[at[1:]] == new[at] * dv[at[1:]]


# ----------------------------------------------------------------------------------------------------- the integral


def at_numbers(node, numbers):
    """A sum of products at rational numbers, by what stands in it."""
    match node:
        case Add(terms):
            return sum(at_numbers(term, numbers) for term in terms)
        case Mul(factors):
            return math.prod(at_numbers(factor, numbers) for factor in factors)
        case Pow(base, exponent):
            return at_numbers(base, numbers) ** exponent
        case Number(number):
            return number
        case Ref(array, _):
            return numbers[array.name]
    raise AssertionError(node)


def slope(function, at):
    """Of a polynomial of degree 4 or less, without a rest."""
    one, two = ((function(at + k) - function(at - k)) for k in (1, 2))
    return (8 * one - two) / 12


def test_the_integral_of_a_polynomial_is_one_and_begins_at_0():
    last = _Last.of(SMALL["plain"])
    w, old = last.w_new, last.w
    for node in (Number(Fraction(3)), 2 * w, add(mul(5, last.vc, power(w, 2)), mul(-1, w), last.error), power(w, 3)):
        made = _integral(expand(node), last)
        for start in (Fraction(1, 3), Fraction(-2)):
            numbers = {old.array.name: start, last.vc.array.name: Fraction(7, 2), last.error.array.name: Fraction(-3)}

            def primitive(at, numbers=numbers, made=made):
                return at_numbers(made, {**numbers, w.array.name: at})

            assert primitive(start) == 0
            for at in (Fraction(0), Fraction(5, 4)):
                assert slope(primitive, at) == at_numbers(node, {**numbers, w.array.name: at})


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("kind", ["none", "own", "shared", "a shared one that stays", "deep"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_integral_of_p_is_that_over_its_own_weight(order, outputs, kind):
    """By hand: the unit changes by kappa - eta alpha phi' (error through + rho), which has the weight in it."""
    deep, shared = kind == "deep", "shared" in kind
    network = Network.mlp([1, 1, *([1] * deep), outputs], "leaky_relu", bias=kind not in ("none", "deep"))
    network = network.shared("b1") if shared else network
    d = fcsym.derive(network.frozen("b1") if "stays" in kind else network, order)
    assert ("rho" in " ".join(d.by_name)) is (outputs > 1)
    assert ("kappa" in " ".join(d.by_name)) is (kind in ("shared", "deep"))
    assert "integral of `-p/(eta dE/dy v^c)`" in d.by_name["P"].because
    last, eta, err, vc = _Last.of(d.network), ETA_, Fraction(-2, 5), Fraction(3, 2)
    numbers = {"eta": eta, last.error.array.name: err, "vc": vc, "W2": Fraction(5, 3), "W3": Fraction(5, 3)}
    alpha, rho = Fraction(7, 4), Fraction((outputs > 1) * 13, 8)
    kappa = Fraction((kind in ("shared", "deep")) * 11, 9)
    numbers |= {"a0": alpha, "a1": alpha, "alpha": alpha, "kappa": kappa, "rho": rho}
    pieces = d.network.hidden[-1].activation.pieces
    rows = zip(d.by_name["P"].rhs, _p_rows(last), strict=True)
    seen = []
    for row, (_, before) in rows:
        if row.value is None or row.status is not Status.VALUE:
            continue
        m, named = pieces[before].slope, {**numbers, last.vc.array.name: vc}

        def primitive(at, row=row, named=named):
            return at_numbers(row.value, {**named, last.w_new.array.name: at})

        assert primitive(numbers["W2"]) == 0
        for at in (Fraction(1, 2), Fraction(-3)):
            through = at + (eta * err * vc if order == "simultaneous" else 0)
            s, ds = vc / m, kappa - eta * alpha * m * (err * through + rho)
            changes = [after.slope * (s + ds) - vc for after in pieces]
            assert slope(primitive, at) in [-at * dv / vc / (eta * err * vc) for dv in changes]
        seen.append(before)
    assert sorted(seen) == [0, 0, 1, 1]


def test_words_are_said_in_a_row():
    assert _and(["a"]) == "a" and _and(["a", "b"]) == "a and b" and _and(["a", "b", "c"]) == "a, b and c"


def test_what_the_read_out_gives_is_the_output_or_what_it_is_made_of():
    assert _what(SMALL["plain"]) == "output"
    assert _what(Network.mlp([1, 1, 1], output="sigmoid", loss="bce")) == "pre-activations of the output"


HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, Fraction(1, 2), 1)])


@pytest.mark.parametrize("phi", [activation("relu"), activation("leaky_relu"), HAT], ids=lambda phi: phi.name)
def test_a_unit_changes_by_the_difference_of_its_values(phi):
    """On every pair of pieces: the highest first, and from each to itself before the others."""
    s, ds = Array("s", 1, ())[()], Array("ds", 1, ())[()]
    every = pairs(phi)
    assert sorted(every) == sorted(product(range(len(phi.pieces)), repeat=2))
    assert [a for a, _ in every] == sorted((a for a, _ in every), reverse=True)
    assert all(b == a for (a, b) in every[:: len(phi.pieces)])
    for a, b in every:
        made = change_of(phi.pieces[a], phi.pieces[b], s, ds)
        for at, by in ((Fraction(1, 3), Fraction(2)), (Fraction(-5), Fraction(1, 7)), (Fraction(3), Fraction(-4))):
            ends = [piece.slope * v + piece.intercept for piece, v in ((phi.pieces[a], at), (phi.pieces[b], at + by))]
            assert at_numbers(made, {"s1": at, "ds1": by}) == ends[1] - ends[0]


@pytest.mark.parametrize("phi", [activation("leaky_relu"), HAT], ids=lambda phi: phi.name)
def test_p_times_what_is_frozen_is_what_the_weight_makes_of_the_change(phi):
    """p v^c = w' dv with v^c on the piece before; where that may be 0, something else is chosen or nothing."""
    last = _Last.of(Network.mlp([1, 1, 1], phi))
    seen = set()
    for row, before in _p_rows(last):
        if row.value is None or row.status is not Status.VALUE:
            continue
        piece = phi.pieces[before]
        after = [b for b in range(len(phi.pieces)) if phi.pieces[b] is not None]
        for s, ds, w in ((Fraction(5, 3), Fraction(1, 2), Fraction(3)), (Fraction(-7), Fraction(2), Fraction(-1, 2))):
            vc = piece.slope * s + piece.intercept
            numbers = {last.vc.array.name: vc, last.ds.array.name: ds, last.w_new.array.name: w, last.s.array.name: s}
            numbers[last.s_new.array.name] = s + ds
            p = at_numbers(row.value, numbers)
            ends = {b: phi.pieces[b].slope * (s + ds) + phi.pieces[b].intercept - vc for b in after}
            assert p * vc in {w * dv for dv in ends.values()}
        seen.add(before)
    assert seen == set(range(len(phi.pieces)))
    assert [_vanishes(HAT, k) for k in range(3)] == [True, False, False]


# -------------------------------------------------------------------------------------------------------- citations


def with_numbers(*cites):
    s = Array("s", 1, ())[()]
    return tuple(Equation(s, Number(Fraction(1)), Rule.DEFINITION, "", (), cite) for cite in cites)


KINDS = {
    "the paper's": (Network.mlp([1, 1, 1]), True, True),
    "biases": (Network.mlp([1, 1, 1], bias=True), True, False),
    "leaky": (Network.mlp([1, 1, 1], "leaky_relu"), True, False),
    "one of two is no ReLU": (Network.mlp([1, 1, 1, 1], ["relu", "tanh"]), True, False),
    "no hidden layer": (Network.mlp([1, 1]), True, False),
    "another loss": (Network.mlp([1, 1, 1], loss="l1"), False, False),
    "an output function": (Network.mlp([1, 1, 1], output="sigmoid"), False, False),
    "a batch": (Network.mlp([1, 1, 1]).training(batch="mean"), False, False),
    "a rule": (Network.mlp([1, 1, 1]).training("momentum"), False, False),
    "other layers": (Network.sequential((1, 3), [fcsym.Conv1d(1, 1, 2), "relu", fcsym.Flatten(), fcsym.Linear(2, 1)]),
                     True, None),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_number_is_cited_where_it_is_the_paper_s(name):
    """Eq. 9-16 in its own network beside front contribution, 23 and 25-27 of its units, 4, 21 and 22 of all."""
    network, trained, kind = KINDS[name]
    assert is_trained_as_in_the_paper(network) is trained
    assert kind is None or is_of_the_papers_kind(network) is kind
    every = [f"eq. {k}" for k in range(1, 40)]
    equations = with_numbers(*every, "claim v", "", "eq. 9, 22, 25")
    made = cited(network, equations, equations)
    kept = {k for k, e in enumerate(made[:39], 1) if e.cite}
    wanted = set(range(1, 40))
    if not trained:
        wanted = set()
    elif kind is None:
        wanted = {4, 21, 22}
    elif not kind:
        wanted -= {*range(9, 17), 23, 25, 26, 27}
    assert kept == wanted and all(made[k - 1].cite == f"eq. {k}" for k in kept)
    assert made[39].cite == ("claim v" if trained else "") and made[40].cite == ""
    assert made[41].cite == ("" if not trained else "eq. 9, 22, 25" if kind else "eq. 22")
    if kind:
        alone = cited(network, equations, with_numbers("eq. 9", "eq. 16", "eq. 12, 13", ""))
        assert {k for k, e in enumerate(alone[:39], 1) if e.cite} == set(range(1, 40)) - set(range(9, 17))
        assert all(e.cite for e in cited(network, equations[:39], with_numbers("eq. 9, 17")))


# ------------------------------------------------------------------------------------------------------ derivatives

K, J, N, M = Index(Axis("K"), "k"), Index(Axis("J"), "j"), Index(SAMPLES, "n"), Index(SAMPLES, "m")
W = Array("W", 1, (K.axis, J.axis), role=Role.PARAMETER)
X1, S1 = Array("x", None, (J.axis,), role=Role.INPUT), Array("s", 1, (K.axis,), role=Role.PRE_ACTIVATION)
X, S = Array("x", None, (SAMPLES, J.axis), role=Role.INPUT), Array("s", 1, (SAMPLES, K.axis), role=Role.PRE_ACTIVATION)
GRAM, FIXED = Array("g", 1, (SAMPLES, SAMPLES)), Array("c", 1, (K.axis,))
UNIT = Array("I", None, (SAMPLES, SAMPLES), role=Role.UNIT)
G = Array("G", 1, (K.axis, J.axis), role=Role.GRADIENT)


def equation(lhs, rhs):
    return Equation(lhs, rhs, Rule.DEFINITION, "")


def test_an_equation_of_all_samples_is_that_of_one_where_they_do_not_mix():
    one = of_one_sample(equation(S[N, K], total(J, W[K, J] * X[N, J])))
    assert one.lhs == S1[K] and one.rhs == total(J, W[K, J] * X1[J])
    fixed = of_one_sample(equation(S[N, K], FIXED[K] * S[N, K]))
    assert fixed.lhs == S1[K] and fixed.rhs == FIXED[K] * S1[K]
    width = equation(FIXED[K], total(J, W[K, J] * W[K, J]))
    assert of_one_sample(width) == width


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        (S[N, K], total(J, W[K, J] * X[M, J])),
        (S[N, K], total(M, GRAM[N, M] * S[M, K])),
        (S[N, K], total(M, UNIT[N, M]) * S[N, K]),
        (G[K, J], total(N, S[N, K] * X[N, J])),
        (GRAM[N, M], total(J, X[N, J] * X[M, J])),
        (S[N, K], total(J, W[K, J] * X1[J])),
        (S1[K], total(J, W[K, J] * X1[J])),
    ],
    ids=str,
)
def test_where_samples_mix_there_is_no_equation_of_one(lhs, rhs):
    assert of_one_sample(equation(lhs, rhs)) is None


def test_derivatives_stand_at_the_end_in_the_order_that_was_asked_for():
    network = SMALL["plain"]
    for by in (["W2", "W1"], ["W1", "x", "W2"]):
        d = fcsym.gradient(network, "E", by)
        assert (
            [e.name for e in d.equations[-len(by) :]] == [f"dE_d{name}" for name in by] == [e.name for e in d.results]
        )
        d = fcsym.gradient(network.training(batch="mean"), "y", by)
        assert (
            [e.name for e in d.equations[-len(by) :]] == [f"dy_d{name}" for name in by] == [e.name for e in d.results]
        )
    d = fcsym.gradient(network, "grad W1", ["W2"])
    assert [e.name for e in d.results] == ["d2E_dW1_dW2"] and d.of == "dE_dW1"
    assert d.resolve("d2E/dW1 dW2") == "d2E_dW1_dW2" and d.resolve("grad W1") == "dE_dW1"
    first = fcsym.gradient(network, "E", "W1")
    for absent in ("dE/dW2", "grad W2", "d2E/dW1 dW2", "dE/dq"):
        with pytest.raises(ArgumentError):
            first.resolve(absent)


def test_what_is_assumed_of_derivatives_is_what_they_need():
    """Kinks and directions of second derivatives, and unit matrices where one is read."""
    network, units = SMALL["plain"], []
    for of, by, along in (("E", "W1", None), ("y", "W2", None), ("dE_dW1", "W2", None), ("E", "W2", "W1")):
        d = fcsym.gradient(network, of, by, along=along)
        said, second = " ".join(d.assumptions), of == "dE_dW1" or along is not None
        assert ("Second derivatives of relu are 0" in said) is second
        assert ("is the unit matrix" in said) is any(a.role is Role.UNIT for e in d for a in e.operands)
        assert ("The directions `TW1` are given" in said) is (along is not None)
        units.append("is the unit matrix" in said)
    assert units[:2] == [False, True]
    said = " ".join(fcsym.gradient(Network.mlp([2, 2, 1], "identity"), "dE_dW1", "W2").assumptions)
    assert "Second derivatives" not in said


# ------------------------------------------------------------------------------------------------- parts of the list


@pytest.mark.parametrize("samples", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("apart", [False, True])
def test_what_a_layer_learned_is_along_what_it_reads(samples, bias, apart):
    """With the norm, or the inner products, put in again it is what it was; the 1 of a bias in it or beside it."""
    if samples:
        delta = adjoint_of(S)
        inside = total(J, X[M, J] * X[N, J]) + (1 if bias else 0)
        learned, indices, array, source = total(M, -1 * ETA[()] * delta[M, K] * inside), (N, K), S, X
    else:
        delta = adjoint_of(S1)
        inside = total(J, X1[J] * X1[J]) + (1 if bias else 0)
        learned, indices, array, source = -1 * ETA[()] * delta[K] * inside, (K,), S1, X1
    moved, made = _along(learned, array, source, indices, apart)
    norm_of = made.lhs
    back = inline(moved, {norm_of.array: (norm_of.indices, made.rhs)})
    assert equal(back, learned) and ("plus 1" in made.because) is (bias and not apart)
    assert equal(made.rhs, inside - (1 if bias and apart else 0) if not samples else made.rhs)
    alone = (total(M, -1 * ETA[()] * delta[M, K]) if samples else -1 * ETA[()] * delta[K]) * 1
    moved, made = _along(alone, array, source, indices, apart)
    assert made is None and equal(moved, alone)


PSI, Z, Y, Q, R = Array("psi", None, (K.axis,)), Array("Z", None, ()), Array("y", None, (K.axis,)), *(
    Array(name, None, (K.axis,)) for name in "qr"
)  # fmt: skip
I2 = Index(K.axis, "i")


def test_a_quotient_that_has_a_name_is_called_by_it():
    """In every product, once or more; with the name put in again it is what it was."""
    named = {PSI: [(3, PSI[K], Z[()], Y[K])], R: [(1, R[K], Z[()], Q[K])]}
    values_ = _Called({}, named)
    below = power(Z[()], -1)
    a = Array("a", None, (K.axis,))
    for node, times in (
        (mul(PSI[I2], below), {Y: 1}),
        (mul(a[K], PSI[I2], below), {Y: 1}),
        (mul(PSI[I2], power(Z[()], -2)), {Y: 1}),
        (mul(PSI[I2], PSI[K], power(Z[()], -2), a[K]), {Y: 2}),
        (mul(PSI[I2], R[K], power(Z[()], -2)), {Y: 1, Q: 1}),
        (mul(PSI[I2], R[K], below), {Q: 1}),
        (mul(a[K], below), {}),
        (mul(a[K], PSI[K]), {}),
        (mul(PSI[K], power(a[K], -1)), {}),
    ):
        made = _known_quotient(node, values_)
        back = inline(made, {Y: ((K,), mul(PSI[K], below)), Q: ((K,), mul(R[K], below))})
        assert equal(back, node), node
        found = [ref.array for factor in getattr(made, "factors", (made,)) for ref in refs_in(factor)]
        assert {array: found.count(array) for array in (Y, Q) if array in found} == times, node
    assert _known_quotient(PSI[K], values_) == PSI[K]


def test_a_gate_is_the_slope_of_what_it_opens_and_a_bend_that_of_the_gate():
    v, phi = Array("v", 1, (K.axis,), role=Role.ACTIVATION), activation("relu")
    applied = {S1: equation(v[K], Apply(phi, S1[K]))}
    for array, order, cite in ((gate_of(S1), 1, "eq. 14"), (bend_of(S1), 2, "")):
        made = _gate_equation(array, applied)
        assert made.lhs == array[K] and made.cite == cite and made.uses == ("s1",)
        assert made.rhs.derivative == order and made.rhs.argument == S1[K] and made.rhs.activation == phi
    assert _has_units(mul(UNIT[N, M], S[M, K])) is True and _has_units(mul(FIXED[K], S[M, K])) is False


def test_a_name_that_is_none_is_refused_and_a_change_has_two():
    d = fcsym.derive(SMALL["plain"])
    assert d["dv'"] is d["dv1"] is d["dv"]
    for wrong in ("q'", "q", "s7'", "dq"):
        with pytest.raises(ArgumentError, match="no quantity"):
            d[wrong]
    for of, by, along in (("dE/dW1", "s1", None), ("E", "s1", "W1"), ("dE/dW1", "y", None)):
        with pytest.raises(ArgumentError, match="nothing that"):
            fcsym.gradient(SMALL["plain"], of, by, along=along)


def test_what_an_output_function_makes_changes_too():
    """And has no adjoint of its own, however often the loss reads it."""
    d = fcsym.derive(Network.mlp([1, 1, 1], output="sigmoid", loss="bce"))
    assert {"dy", "y_new", "ds2", "s2_new"} <= set(d.by_name)
    assert [e.name for e in d if e.rule is Rule.ADJOINT] == ["delta2", "delta1"]


@pytest.mark.parametrize("name", SMALL)
def test_every_equation_stands_after_what_it_uses_and_every_gate_is_read(name):
    d = listed(name)[0]
    known = set()
    for e in d.equations:
        own = {a for a in e.operands if a in {one.array for one in d.equations}}
        assert own <= known, e.name
        known.add(e.array)
    read = {a for e in d.equations for a in e.operands}
    assert all(e.array in read for e in d.equations if e.array.role is Role.GATE)


def test_places_are_called_by_the_letters_of_their_axis():
    for network in (SMALL["a batch"], Network.sequential((3, 2), [fcsym.Linear(2, 4), "relu", fcsym.Linear(4, 1)])):
        d = fcsym.derive(network)
        (axis,) = network.places
        (inverse,) = (e for e in d if e.rhs.__class__.__name__ == "Inverse")
        assert "".join(index.letter for index in inverse.lhs.indices) == axis.letters[:2] != ""
