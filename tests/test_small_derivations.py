"""What the list of equations says of itself: what is assumed, where names lead, which equations have a rule.

Each takes a fraction of a second, so that a fault in what a derivation is made of is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

import fcsym
from fcsym import Network
from fcsym.deriving.citation import _without
from fcsym.deriving.contribution import _vanishes
from fcsym.deriving.increments import _has_a_rule
from fcsym.deriving.kinds import is_dense
from fcsym.deriving.pipeline import _by_name
from fcsym.deriving.record import Record, UnknownQuantity, _decimal
from fcsym.errors import ArgumentError, UnsupportedExpression
from fcsym.language.activation import BUILT_IN, activation
from fcsym.language.equation import Branch, Cases, Equation, Rule
from fcsym.language.expression import Array, Axis, Index, Role, total

PLAIN = Network.parse("2-2-1")
NETWORKS = {
    "plain": PLAIN,
    "no hidden layer": Network.parse("2-1"),
    "batch": PLAIN.training(batch="mean"),
    "batch, no hidden layer": Network.parse("2-1").training(batch="mean"),
    "momentum": PLAIN.training("momentum"),
    "momentum, no hidden layer": Network.parse("2-1").training("momentum"),
    "bias": Network.mlp([2, 2, 1], bias=True),
    "convolution": Network.sequential((1, 4), [fcsym.Conv1d(1, 2, 2), "relu", fcsym.Flatten(), fcsym.Linear(6, 1)]),
}


@pytest.fixture(scope="module", params=NETWORKS)
def derivation(request):
    return fcsym.derive(NETWORKS[request.param])


def test_why_there_is_no_integral_is_said_where_there_is_a_p_without_one(derivation):
    said = " ".join(derivation.assumptions)
    alone = "p" in derivation.by_name and "P" not in derivation.by_name
    assert ("No `P` is derived" in said or "There is no closed form of `P`" in said) is alone


def test_whether_one_p_serves_all_samples_is_said_where_there_are_several(derivation):
    network, said = derivation.network, " ".join(derivation.assumptions)
    several = bool(network.batch) and len(network.layers) > 1
    assert ("A `p` for all samples" in said) is (several and "p" in derivation.by_name)
    assert ("No `p` is derived" in said) is (several and "p" not in derivation.by_name)


@pytest.mark.parametrize(("value", "text"), [("0.9", "0.9"), ("1e-8", "1e-08"), ("2", "2"), ("0", "0"), ("1.5", "1.5")])
def test_a_coefficient_is_written_as_people_write_it(value, text):
    assert _decimal(Fraction(value)) == text


def test_a_name_without_a_number_is_of_the_last_hidden_layer_the_read_out_or_the_one_below():
    whole = fcsym.derive(Network.parse("2-3-3-1"))
    assert whole["ds"].name == "ds2"
    for kept in ("ds1", "delta3", "W3_new", "dv1"):
        short = Record(whole.network, whole.order, (whole[kept],))
        name = kept.removesuffix("_new")[:-1]
        asked = name + ("'" if kept.endswith("_new") else "")
        assert short.resolve(asked) == kept and short[asked] is short.equations[0]
    assert whole.resolve("s", layer=1) == "s1"
    with pytest.raises(UnknownQuantity, match="no quantity 's' in layer 7: "):
        whole.resolve("s", layer=7)
    with pytest.raises(UnknownQuantity, match="no quantity 'zz': "):
        whole.resolve("zz")


def test_the_adjoint_of_a_linear_read_out_is_the_output_error_and_no_other_is(derivation):
    own = derivation.network.read_out.layer
    said = [e.name for e in derivation if e.because == "This is `dE/dy`, the output error."]
    assert said == [f"delta{own}"]
    sixteenth = [e.name for e in derivation if "16" in e.cite]
    assert sixteenth in ([], said)


def test_only_what_is_trained_as_in_the_paper_cites_it(derivation):
    numbers = [e.cite for e in derivation if e.cite.startswith("eq. ")]
    plain = derivation.network.is_plain and derivation.network.loss == "squared"
    assert bool(numbers) is (plain and "p" in derivation.by_name)


@pytest.mark.parametrize(
    ("cite", "left"),
    [("eq. 22, 26, 27", "eq. 22, 27"), ("eq. 26", ""), ("claim v", "claim v"), ("eq. 1, 2", "eq. 1, 2")],
)
def test_numbers_that_do_not_fit_are_left_out_of_a_citation(cite, left):
    assert _without(cite, frozenset({"26"})) == left


def test_the_cases_of_the_first_layer_are_the_paper_s():
    d = fcsym.derive(Network.parse("2-3-3-1"))
    assert [("23" in d[name].cite, "25" in d[name].cite) for name in ("dv1", "dv2")] == [(True, True), (False, False)]


SMALL = Network.mlp([1, 1, 2], bias=True)


@pytest.mark.parametrize("order", ["sequential", "simultaneous"])
@pytest.mark.parametrize("network", [SMALL, SMALL.shared("b1"), SMALL.shared("b1", "b2").frozen("b1")], ids=str)
def test_the_integral_is_that_of_p_where_the_error_comes_through_several_outputs(order, network):
    d = fcsym.derive(network, order=order)
    assert "P" in d.by_name and d.proof.holds


X, Y = Array("x", None, ()), Array("y", None, ())


@pytest.mark.parametrize("exponent", [-3, -2, -1, 2, 3])
def test_an_inverse_and_a_square_change_by_a_rule_and_no_other_power_does(exponent):
    """1/(x + dx) - 1/x = -dx/(x (x + dx)) and (x + dx)^2 - x^2 = dx (2x + dx): no power of x is expanded."""
    assert _has_a_rule(X[()] ** exponent) is (exponent in {-1, 2})


HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)])
LOW = fcsym.piecewise_linear("low", [fcsym.Piece(1, 0, -1), fcsym.Piece(3, 1, -2), fcsym.Piece(None, 0, 1)])
ABOVE = fcsym.piecewise_linear("above", [fcsym.Piece(0, -1, 1), fcsym.Piece(None, 1, 1)])
OF_PIECES = [*(phi for phi in map(activation, BUILT_IN) if getattr(phi, "pieces", ())), HAT, LOW, ABOVE]


@pytest.mark.parametrize("phi", OF_PIECES, ids=lambda phi: phi.name)
def test_a_piece_has_a_zero_where_the_function_has_one_there(phi):
    """All roots of these lie on quarters; a kink belongs to the piece below it."""
    points = [Fraction(n, 4) for n in range(-40, 41)]
    ends = [-10, *phi.kinks, 10]
    for number, (low, high) in enumerate(pairwise(ends)):
        values = [phi.pieces[number].slope * s + phi.pieces[number].intercept for s in points if low < s <= high]
        assert _vanishes(phi, number) is (0 in values and any(values))


A, B = Axis("A"), Axis("B")
K, J = Index(A, "k"), Index(B, "j")
W, C, D = (
    Array("W", 1, (A, B), role=Role.PARAMETER),
    Array("b", 1, (A,), role=Role.PARAMETER),
    Array("c", 1, (), role=Role.PARAMETER),
)
V, S = Array("v", 0, (B,), role=Role.ACTIVATION), Array("s", 1, (A,), role=Role.PRE_ACTIVATION)


@pytest.mark.parametrize(
    ("rhs", "dense"),
    [
        (total(J, W[K, J] * V[J]), True),
        (total(J, W[K, J] * V[J]) + C[K], True),
        (total(J, W[K, J] * V[J]) + D[()], True),
        (total(J, W[K, J] * V[J]) + C[K] + D[()], False),
        (C[K], False),
        (total(J, W[K, J] * V[J]) * D[()], False),
    ],
    ids=str,
)
def test_a_dense_layer_has_one_product_and_at_most_one_bias(rhs, dense):
    assert is_dense(Equation(S[K], rhs, Rule.DEFINITION, "")) is dense


def of_cases(value):
    return Equation(Y[()], Cases((Branch("all", (), value),)), Rule.CASES, "")


def test_what_is_said_twice_is_said_once_and_a_contradiction_is_refused():
    for one, same, other in [
        (of_cases(X[()]), of_cases(X[()]), of_cases(2 * X[()])),
        (*(Equation(Y[()], rhs, Rule.DEFINITION, "") for rhs in (2 * X[()], X[()] + X[()], X[()])),),
    ]:
        assert list(_by_name([one, one]).values()) == [one]
        assert list(_by_name([one, same]).values()) == [one]
        with pytest.raises(UnsupportedExpression, match="y would mean"):
            _by_name([one, other])


def test_what_two_layers_read_has_an_adjoint_of_its_own_and_what_one_reads_has_none():
    for residual in (True, False):
        inner = [fcsym.Linear(3, 3)]
        layers = [fcsym.Linear(2, 3), "tanh", fcsym.Residual(inner) if residual else inner[0], fcsym.Linear(3, 1)]
        d = fcsym.derive(Network.sequential(2, layers))
        assert ("adj_v1" in d.by_name) is residual


@pytest.mark.parametrize(("of", "along"), [("dy_dW1", None), ("dE_dW1", "u")])
def test_a_second_derivative_is_one_of_the_error_and_has_no_direction_besides(of, along):
    with pytest.raises(ArgumentError, match="differentiated once only"):
        fcsym.gradient(PLAIN, of, "W2", along=along)


@pytest.mark.parametrize(("by", "said"), [("", "''"), ("W1,zz", "'zz'"), ([], "''")])
def test_what_cannot_be_differentiated_by_is_named(by, said):
    with pytest.raises(UnknownQuantity, match=f"^{said} is nothing that 2-2-1 can be differentiated by"):
        fcsym.gradient(PLAIN, "E", by)


@pytest.mark.parametrize(("of", "by"), [("y", "W1"), ("E", "W1")])
def test_only_the_derivative_of_an_output_is_by_its_own_input(of, by):
    said = fcsym.gradient(NETWORKS["batch"], of, by).assumptions
    assert any("by its own input" in sentence for sentence in said) is (of == "y")
