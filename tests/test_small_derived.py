"""What derivations are made of, in small: what an equation rests on, what is cited, said and named."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy

import fcsym
from fcsym import Network
from fcsym.deriving.citation import _without, is_of_the_papers_kind, is_trained_as_in_the_paper
from fcsym.deriving.contribution import _read, _vanishes
from fcsym.deriving.differentiate import _over_one
from fcsym.deriving.gradient import _is_constant, spelt
from fcsym.deriving.increments import _has_a_rule, _moving, _read_without_bias
from fcsym.deriving.kinds import is_dense
from fcsym.deriving.pipeline import _by_name
from fcsym.deriving.record import _decimal
from fcsym.deriving.update import named_in
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import activation, smooth
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import Apply, Array, Axis, Index, Ref, Role, mul, power, total

mlp = Network.mlp
K, J = Index(Axis("K"), "k"), Index(Axis("J"), "j")
W = Array("W", 1, (K.axis, J.axis), role=Role.PARAMETER)
B = Array("b", 1, (K.axis,), role=Role.PARAMETER)
ALL = Array("c", 1, (), role=Role.PARAMETER)
X = Array("x", None, (J.axis,), role=Role.INPUT)
S = Array("s", 1, (K.axis,), role=Role.PRE_ACTIVATION)
NETWORKS = (
    (mlp([1, 1]), {}),
    (mlp([2, 2, 2], bias=True), {}),
    (mlp([1, 1, 1, 1], "tanh"), {"order": "sequential"}),
    (mlp([2, 1, 1], "leaky_relu"), {"batch": "mean"}),
    (mlp([1, 2, 2], loss="cross_entropy"), {"rule": "adam"}),
)


@pytest.mark.parametrize(("network", "setting"), NETWORKS, ids=lambda one: str(one) if isinstance(one, Network) else "")
def test_an_error_rests_on_every_equation_whose_symbol_is_in_it(network, setting):
    d = fcsym.derive(network, **setting)
    seen = 0
    for e in d.equations:
        if e.rule in (Rule.ADJOINT, Rule.GRADIENT):
            assert set(e.uses) == {a.name for a in e.operands if a.name in d.by_name}, e.name
            seen += 1
    assert seen >= len(network.layers)


def test_an_equation_is_found_by_its_name_and_a_list_is_its_text():
    d = fcsym.derive(mlp([1, 1, 1]))
    for e in d.equations:
        assert d[e.name] is e
    assert d["p"].name == "p" and repr(d) == str(d) and repr(d).startswith(d.title)


def test_it_is_said_what_training_leaves_alone():
    one, two = mlp([1, 1, 1]).frozen("W1"), mlp([1, 1, 1], bias=True).frozen("W1", "b1")
    assert "Training leaves `W1` as it is." in fcsym.derive(one).assumptions
    assert "Training leaves `W1` and `b1` as they are." in fcsym.derive(two).assumptions
    assert not any("leaves" in sentence for sentence in fcsym.derive(mlp([1, 1, 1])).assumptions)


def test_a_coefficient_is_said_as_it_was_given():
    for text in ("0.9", "0.001", "1e-08", "0.5"):
        assert _decimal(Fraction(text)) == text
    assert _decimal(Fraction(3)) == "3" and _decimal(Fraction(0)) == "0"


def test_a_piece_vanishes_where_its_line_meets_0_within_it():
    pieces = [fcsym.Piece(-1, 1, 2), fcsym.Piece(0, 0, 1), fcsym.Piece(2, 1, 1), fcsym.Piece(None, -3, 9)]
    phi = fcsym.piecewise_linear("bent", pieces)
    assert [_vanishes(phi, n) for n in range(4)] == [True, False, False, True]
    assert [_vanishes(activation("relu"), n) for n in (0, 1)] == [False, False]
    assert [_vanishes(activation("leaky_relu"), n) for n in (0, 1)] == [True, False]


@pytest.mark.parametrize(
    ("network", "trained", "kind"),
    [
        (mlp([1, 1, 1]), True, True),
        (mlp([1, 1, 1], bias=True), True, False),
        (mlp([1, 1, 1], "tanh"), True, False),
        (mlp([1, 1]), True, False),
        (mlp([1, 1, 2], loss="cross_entropy"), False, False),
        (mlp([1, 1, 1], loss="l1"), False, False),
    ],
    ids=str,
)
def test_a_network_is_the_paper_s_where_it_is_trained_and_made_as_there(network, trained, kind):
    assert is_trained_as_in_the_paper(network) is trained and is_of_the_papers_kind(network) is kind
    for other in (fcsym.derive(network, batch="mean").network, fcsym.derive(network, rule="momentum").network):
        assert is_trained_as_in_the_paper(other) is False and is_of_the_papers_kind(other) is False


def test_of_a_citation_what_is_not_meant_is_left_out():
    assert _without("eq. 9, 22, 26", frozenset({"22"})) == "eq. 9, 26"
    assert _without("eq. 22", frozenset({"22"})) == "" and _without("claim v", frozenset({"22"})) == "claim v"


def test_one_name_says_one_thing():
    """Whatever its index is called, and in whatever form; a table only as it is."""
    other = Index(K.axis, "m")
    b, s, t = (Array(name, 1, (K.axis,)) for name in "bst")
    one = Equation(s[K], 2 * b[K] + b[K], Rule.DEFINITION, "")
    same = Equation(s[other], mul(3, b[other]), Rule.DEFINITION, "")
    assert _by_name([one, same]) == {"s1": one} and _by_name([one, one]) == {"s1": one}
    with pytest.raises(UnsupportedExpression, match="s1 would mean"):
        _by_name([one, replace(same, rhs=mul(2, b[other]))])
    rows = Cases((Branch("", (Condition(b[K], ">"),), b[K]), Branch("", (Condition(b[K], "<="),), t[K])))
    table = Equation(s[K], rows, Rule.CASES, "")
    assert _by_name([table, replace(table, because="again")]) == {"s1": table}
    for wrong in (one, replace(table, rhs=Cases(rows.branches[:1]))):
        with pytest.raises(UnsupportedExpression, match="s1 would mean"):
            _by_name([table, wrong])


def product_of(matrix=W, read=X):
    return total(J, matrix[K, J] * read[J])


def test_a_dense_layer_is_a_matrix_times_what_it_reads_and_at_most_one_shift():
    def said(rhs, lhs=None):
        return is_dense(Equation(S[K] if lhs is None else lhs, rhs, Rule.DEFINITION, ""))

    n = Index(Axis("samples", open=True), "n")
    t = Index(Axis("T"), "t")
    assert said(product_of()) and said(product_of() + B[K]) and said(product_of() + ALL[()])
    assert not said(product_of() + B[K] + ALL[()]) and not said(B[K]) and not said(2 * product_of())
    assert not said(product_of() + X[Index(J.axis, "j")]) and not said(product_of() + product_of(W, X))
    for axis, dense in ((n, True), (t, False)):
        s, x = Array("s", 1, (axis.axis, K.axis)), Array("x", None, (axis.axis, J.axis), role=Role.INPUT)
        assert said(total(J, W[K, J] * x[axis, J]) + B[K], s[axis, K]) is dense
    assert not said(product_of(Array("V", 1, (K.axis, J.axis)))), "no parameter"
    assert not is_dense(Equation(Ref(ALL, ()), Ref(ALL, ()), Rule.DEFINITION, ""))


def test_a_change_follows_by_a_rule_from_those_of_sums_products_squares_and_quotients():
    b, relu = B[K], activation("relu")
    for node, has in (
        (b, True),
        (b * W[K, J] + 3, True),
        (power(b, 2), True),
        (power(b, -1), True),
        (power(b, 3), False),
        (power(b, -2), False),
        (Apply(relu, b), True),
        (Apply(relu, b, 1), False),
        (total(J, W[K, J] * X[J]), True),
        (total(K, Apply(smooth("exp"), b)), False),
        (b * power(b + 1, 2), False),
    ):
        assert _has_a_rule(node) is has, node


def test_what_is_read_more_than_once_has_an_error_of_its_own():
    """And so has every pre-activation; of what one equation reads the error is put in there."""
    v = Array("v", 1, (K.axis,), role=Role.ACTIVATION)
    s2 = Array("s", 2, (K.axis,), role=Role.PRE_ACTIVATION)
    end = Array("y", None, (K.axis,), role=Role.PRE_ACTIVATION)

    def forward(*readers):
        first = [Equation(S[K], product_of(), Rule.DEFINITION, "")]
        first.append(Equation(v[K], Apply(activation("relu"), S[K]), Rule.DEFINITION, ""))
        return first + [Equation(a[K], rhs, Rule.DEFINITION, "") for a, rhs in readers]

    once = named_in(forward((s2, 2 * v[K]), (end, s2[K] * 3)))
    assert once(S) and once(s2) and once(end) and not once(v) and not once(X) and not once(W)
    assert named_in(forward((s2, 2 * v[K]), (end, s2[K] + v[K])))(v)
    assert not named_in(forward((s2, v[K]), (end, s2[K])))(v)


# ------------------------------------------------------------------------------------------------- the compensation


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_integrated_compensation_is_the_integral_over_its_weight(order, outputs):
    """By hand, for a unit that stays active: p = w' ds/v^c with ds = -eta a0 (dE/dy w + rho), and P is 0 at the start.

    The error passes through w = w' + eta dE/dy v^c in simultaneous order, through w' in sequential order.
    """
    d = fcsym.derive(mlp([1, 1, outputs]), order)
    keep = ("vc", "delta2", "W2_new", "a0", *(["rho"] if outputs > 1 else []))
    found = d.expr("P", 1, output=1, case="active -> active", keep=keep)
    named = {symbol.name: symbol for symbol in found.free_symbols}
    (vc,) = (s for name, s in named.items() if name.startswith("vc") or name.startswith("v_c"))
    error = next((s for name, s in named.items() if name.startswith("dE_d")), sympy.Symbol("error"))  # it may cancel
    (after,) = (s for name, s in named.items() if name.endswith("new"))
    (before,) = (s for name, s in named.items() if name in ("W2_1_1", "w_2"))
    rho = next((s for name, s in named.items() if name.startswith("rho")), 0)
    (norm,) = (s for name, s in named.items() if name.startswith(("a0", "a_0")))
    eta = sympy.Symbol("eta", real=True)
    through = after + (eta * error * vc if order == "simultaneous" else 0)
    p = -after * eta * norm * (error * through + rho) / vc
    assert sympy.simplify(found.diff(after) + p / (eta * error * vc)) == 0
    assert sympy.simplify(found.subs(after, before)) == 0 and (rho != 0) is (outputs > 1)


def test_where_what_moves_the_unit_is_not_trained_there_is_no_integral():
    assert "P" in fcsym.derive(mlp([1, 1, 1])).by_name
    assert "P" not in fcsym.derive(mlp([1, 1, 1]).frozen("W1")).by_name


def test_a_compensation_makes_up_for_the_change_on_every_piece():
    """p v^c = w' dv, with slopes that are not 1 on either side."""
    half = fcsym.piecewise_linear("half", [fcsym.Piece(0, Fraction(1, 2)), fcsym.Piece(None, 3)])
    d = fcsym.derive(mlp([1, 1, 1], half))
    seen = 0
    for row in d.by_name["p"].rhs:
        if row.value is None or "0" in row.name:
            continue
        p, dv, vc, w = (d.expr(name, 1, case=row.name) for name in ("p", "dv1", "vc", "W2_new"))
        assert sympy.simplify(p * vc - w * dv) == 0, row.name
        seen += 1
    assert seen == 4


def test_the_statement_has_the_shift_that_the_output_has():
    """r v^c + b', which is y'."""
    text = str(fcsym.derive(mlp([1, 1, 1], bias=True))["compensation"])
    assert "+ b2_new[" in text and "- b2_new" not in text


def test_what_the_read_out_reads_has_an_index_for_each_axis():
    one, two = _read((K.axis,)), _read((K.axis, J.axis))
    assert one == (Index(K.axis, "j"),)
    assert [index.axis for index in two] == [K.axis, J.axis] and len({index.letter for index in two}) == 2
    assert all(index.letter.startswith("j") and index.letter != "j" for index in two)


def test_a_derivative_by_what_is_not_there_is_refused_with_its_name():
    for wrong, shown in ((["W1", "nonsense"], "'nonsense' is nothing"), ([], "'' is nothing")):
        with pytest.raises(fcsym.ArgumentError, match=shown):
            fcsym.gradient(mlp([1, 1]), "E", wrong)


def test_a_derivative_is_called_as_people_write_it():
    for written, name in (
        ("dE/dW1", "dE_dW1"),
        ("d2E/dT dW1", "d2E_dT_dW1"),
        ("d2E/dW1 dW2", "d2E_dW1_dW2"),
        ("d2E/dW1^2", "d2E_dW1_dW1"),
        (" W1 ", "W1"),
    ):
        assert spelt(written) == name


# ------------------------------------------------------------------------------------------ steps, by layer and by rule


def test_the_paper_s_numbers_stand_at_the_layers_that_it_means():
    """The last layer's step is eq. 13 and every other's eq. 14; what the input moves is eq. 17, what follows eq. 15."""
    d = fcsym.derive(mlp([1, 1, 1, 1]))
    assert [d[f"W{n}_new"].cite for n in (1, 2, 3)] == ["eq. 14", "eq. 14", "eq. 13"]
    assert [d[f"s{n}_new"].cite for n in (1, 2)] == ["eq. 17", "eq. 15"]
    assert [d[f"dv{n}"].cite for n in (1, 2)] == ["eq. 23, 25", ""]
    smooth_ = fcsym.derive(mlp([1, 1, 1], "tanh"))
    numbers = {n for e in smooth_ for n in e.cite.removeprefix("eq. ").split(", ")}
    assert "17" in numbers and not numbers & {*map(str, range(9, 17)), "23", "25", "26", "27"}


def test_what_is_moved_is_what_is_made_of_something_that_moves():
    v, t = Array("v", 1, (K.axis,), role=Role.ACTIVATION), Array("t", 1, (K.axis,))
    passed = [
        Equation(S[K], product_of(), Rule.DEFINITION, ""),
        Equation(v[K], Apply(activation("relu"), S[K]), Rule.DEFINITION, ""),
        Equation(t[K], 2 * v[K], Rule.DEFINITION, ""),
    ]
    step = Equation(W.primed[K, J], W[K, J], Rule.UPDATE, "")
    assert _moving(passed, {W: step}, False) == _moving(passed, {W: step}, True) == {S, v, t}
    assert _moving(passed, {}, False) == set() and _moving(passed, {}, True) >= {S, v}
    assert _moving(passed[2:], {}, True) == set()


def test_what_is_read_without_a_bias_that_moves_has_a_norm_without_the_1():
    step = {a: Equation(a.primed[i], a[i], Rule.UPDATE, "") for a, i in ((W, (K, J)), (B, (K,)))}
    layer = [Equation(S[K], product_of() + B[K], Rule.DEFINITION, "")]
    assert _read_without_bias(layer, {W: step[W]}) == {X}
    assert _read_without_bias(layer, {B: step[B]}) == set() and _read_without_bias(layer, step) == set()


def test_terms_over_one_number_are_put_over_it_together():
    a, b, z = (Ref(Array(name, None, ()), ()) for name in "abz")
    assert _over_one(a / z + b / z) == (a + b) / z
    assert _over_one(2 * a / z + b / z) == mul(2 * a + b, power(z, -1))
    for node in (a / z + b, a / z + b / a, a + b, a / z):
        assert _over_one(node) == node


def test_a_second_derivative_is_by_what_is_given_and_by_no_unit():
    one = mlp([1, 1, 1])
    assert fcsym.gradient(one, "E", ["s1"]) and fcsym.gradient(one, "dE/dW1", ["W2"])
    for known in ({"of": "dE/dW1"}, {"along": ["W1"]}):
        with pytest.raises(fcsym.ArgumentError, match="'s1' is nothing"):
            fcsym.gradient(one, known.get("of", "E"), ["s1"], along=known.get("along"))


def test_an_equation_of_the_network_alone_is_a_constant():
    width = Array("n", None, ())
    assert _is_constant(Equation(width[()], power(Ref(ALL, ()), 2), Rule.DEFINITION, ""))
    assert not _is_constant(Equation(width[()], product_of(), Rule.DEFINITION, ""))
    assert not _is_constant(Equation(S[K], B[K], Rule.DEFINITION, ""))


def test_what_is_assumed_for_an_integral_is_its_reason():
    d = fcsym.derive(mlp([1, 1, 1]))
    (said,) = (text.removeprefix("For `P` only: ") for text in d.assumptions if text.startswith("For `P`"))
    assert said[0].islower() and said[1:] == d["P"].because[1:] and said[0] == d["P"].because[0].lower()


def test_that_no_integral_is_derived_is_said_of_layers_that_have_a_compensation():
    def layers(*inside):
        return Network([*inside, fcsym.Linear(1, 1)], input=(1,))

    for network, said in (
        (layers(fcsym.Linear(1, 1), "relu", fcsym.Linear(1, 1), "relu"), None),
        (layers(), False),
        (mlp([1, 1, 1]), False),
    ):
        d = fcsym.derive(network)
        found = any(text.startswith("No `P` is derived") for text in d.assumptions)
        assert found is (d.network.built is not None and "p" in d.by_name)
        assert said is None or found is said
