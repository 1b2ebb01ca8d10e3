"""Worked examples: what is printed holds under a convention, or is explained by a slip, and nothing else is said."""

import json
import shutil
import subprocess
import tomllib
import warnings
from decimal import Decimal
from pathlib import Path

import autograd.numpy as anp
import pytest
from autograd import grad

import fcsym
from fcsym.cli import main
from fcsym.deriving.pipeline import one_step
from fcsym.errors import ArgumentError, FcsymError
from fcsym.worked import audit_example
from fcsym.worked.grammar import equation
from fcsym.worked.report import document
from fcsym.worked.statement import is_proved

EXAMPLES = Path(__file__).parents[1] / "derivations" / "examples"
PLANTED = {
    "softmax-2-2-3-slip": "one derivative of the output activation, y(1 - y), too many",
    "momentum-2-2-1-slip": "the gradient times 1 - beta = 1/10 in the velocity",
    "samples-2-2-1-slip": "W1 transposed",
    "recurrence-2-slip": "the way back through s1_t2 to h1_t1 left out",
}


def example(claims, network="2-2-1", order=None, **values):
    base = {
        "x": [Decimal("0.5"), 2], "target": [1], "eta": Decimal("0.1"),
        "W1": [[Decimal("0.3"), Decimal("0.2")], [Decimal("-0.1"), Decimal("0.4")]],
        "W2": [[Decimal("0.7"), Decimal("-0.6")]],
    }  # fmt: skip
    table = {"network": network, "values": base | values, "claims": claims}
    return table if order is None else table | {"order": order}


def read(name):
    return tomllib.loads((EXAMPLES / f"{name}.toml").read_text(), parse_float=Decimal)


# ------------------------------------------------------------------------------------------------- the six, and copies


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_an_example_is_decided_and_a_planted_slip_is_found(path):
    result = audit_example(path)
    assert result.decided
    refuted = [row for row in result if row.verdict == "REFUTED"]
    if path.stem not in PLANTED:
        assert not refuted
        return
    numbers = [row for row in refuted if row.printed]
    assert len(numbers) >= 3
    assert all(f"With {PLANTED[path.stem]}, it comes out as printed" in row.explanation for row in numbers)
    assert f": {PLANTED[path.stem]}." in result.conclusion


def test_every_planted_slip_has_an_example_without_it():
    assert {path.stem for path in EXAMPLES.glob("*-slip.toml")} == set(PLANTED)
    for name in PLANTED:
        clean, copy = read(name.removesuffix("-slip")), read(name)
        assert clean["network"] == copy["network"] and clean["values"] == copy["values"]


def test_the_recurrence_is_that_of_autodiff():
    """By hand and by autograd, to the digits of float64; what is off in the fourteenth digit does not hold."""

    def error(w, u, v):
        first = anp.tanh(w)
        second = anp.tanh(2 * w + u * first)
        return ((v * first - 1) ** 2 + (v * second - 2) ** 2) / 2

    claims = {row.claim.split()[1]: row for row in audit_example(EXAMPLES / "recurrence-2.toml") if row.printed}
    at = (0.5, 0.1, 2.0)
    assert float(claims["E"].printed) == pytest.approx(error(*at), rel=1e-15)
    for place, name in enumerate(("dE_dW1", "dE_dU1", "dE_dW2")):
        assert float(claims[name].printed) == pytest.approx(grad(error, place)(*at), rel=2e-15)
        assert "float64" in claims[name].convention
    wrong = read("recurrence-2") | {
        "claims": ["before, E is 0.09938075343915763", "before, dE_dU1 is -0.1588024206612"]
    }
    assert [row.verdict for row in audit_example(wrong)] == ["REFUTED", "HOLDS"]


def test_the_most_copied_example_mixes_both_orders():
    """Which order each published number is of, and after how many steps, is found and not told."""
    result = audit_example(EXAMPLES / "sigmoid-2-2-2.toml")
    rows = {row.claim: row for row in result}
    assert rows["after one step w5 is 0.35891648"].convention == "simultaneous order; after one step"
    first = rows["after one step E is 0.291027924"]
    assert first.convention == "sequential order; after one step"
    assert "0.29102777369" in first.explanation
    late = rows["after 10,000 steps E is 0.0000351085"]
    assert late.convention == "simultaneous order; after 9,999 steps"
    assert float(late.value) == pytest.approx(3.510854812e-05, rel=1e-9)
    assert "3.510187783e-5" in late.explanation
    assert not result.holds
    assert "No one convention serves all" in result.conclusion


def value_in(name, claim):
    """A published number of an example, by the beginning of its claim."""
    said = next(text for text in read(name)["claims"] if text.startswith(claim))
    return [float(part) for part in said.split(" is ")[1].split()]


def test_the_printed_numbers_come_from_autograd():
    def error(weights, X, T, phi, out):
        W1, b1, W2, b2 = weights
        return out(anp.dot(phi(anp.dot(X, W1.T) + b1), W2.T) + b2, T)

    def cross_entropy(s, T):
        return anp.mean(anp.log(anp.sum(anp.exp(s), axis=1)) - anp.sum(s * T, axis=1))

    def squared(s, T):
        return anp.mean(0.5 * anp.sum((s - T) ** 2, axis=1))

    def numbers(name):
        v = read(name)["values"]
        arrays = {key: anp.array(value, dtype=float) for key, value in v.items()}
        zero = [anp.zeros(2), anp.zeros(1)]
        return arrays, [arrays["W1"], arrays.get("b1", zero[0]), arrays["W2"], arrays.get("b2", zero[1])]

    a, w = numbers("softmax-2-2-3")
    X, T = a["x"][None], anp.eye(3)[[int(a["target"])]]
    g = grad(error)(w, X, T, anp.tanh, cross_entropy)
    after = [p - 0.1 * q for p, q in zip(w, g, strict=True)]
    assert value_in("softmax-2-2-3", "after one step W2") == pytest.approx(after[2].ravel(), abs=6e-9)
    end = error(after, X, T, anp.tanh, cross_entropy)
    assert value_in("softmax-2-2-3", "after one step E") == pytest.approx([end], abs=6e-9)

    a, w = numbers("samples-2-2-1")
    relu = lambda s: anp.maximum(s, 0)  # noqa: E731
    g = grad(error)(w, a["x"], a["target"], relu, squared)
    assert value_in("samples-2-2-1", "after one step W2") == pytest.approx((w[2] - 0.3 * g[2]).ravel(), abs=6e-9)

    a, w = numbers("momentum-2-2-1")
    velocity = [0, 0, 0, 0]
    for n in ("one step", "two steps", "three steps"):
        g = grad(error)(w, a["x"][None], a["target"][None], lambda s: 1 / (1 + anp.exp(-s)), squared)
        velocity = [0.9 * v + q for v, q in zip(velocity, g, strict=True)]
        w = [w[0] - 0.2 * velocity[0], w[1], w[2] - 0.2 * velocity[2], w[3]]
        assert value_in("momentum-2-2-1", f"after {n} W2") == pytest.approx(w[2].ravel(), abs=6e-9)


# -------------------------------------------------------------------------------------------------------- conventions


def test_a_number_that_is_wrong_in_its_last_digit_does_not_hold():
    (row,) = audit_example(example(["before, y is 0.148"], W1=[[1, 0], [0, 1]], W2=[["0.1", "0.049"]]))
    assert row.verdict == "HOLDS"
    (row,) = audit_example(example(["before, y is 0.1479"], W1=[[1, 0], [0, 1]], W2=[["0.1", "0.049"]]))
    assert row.verdict == "REFUTED"
    assert float(row.value) == 0.148


def test_what_a_page_leaves_unsaid_is_said():
    net = fcsym.Network.mlp([2, 2, 1], bias=True)
    values = {"b1": [1, "1/2"], "b2": ["1/4"], "target": [3]}
    k = fcsym.derive(net, "sequential").compile()
    table = example([], **values)["values"]
    weights = [table[name] for name in ("W1", "b1", "W2", "b2")]
    w = float(k.exact(weights, table["x"], table["target"], table["eta"]).W1_new[0, 0])
    (row,) = audit_example(example([f"after one step w1 is {w:.9f}"], net, **values))
    assert (row.verdict, row.convention) == ("HOLDS", "sequential order; after one step")
    fixed = fcsym.derive(net.frozen("b1", "b2")).compile()
    first = fixed.exact(weights, table["x"], table["target"], table["eta"])
    end = fixed.exact([first.W1_new, weights[1], first.W2_new, weights[3]], *(table[n] for n in ("x", "target", "eta")))
    (row,) = audit_example(example([f"after one step y is {float(end.y[0]):.9f}"], net, **values))
    assert (row.verdict, row.convention) == ("HOLDS", "simultaneous order, biases not trained; after one step")


def test_sum_and_mean_and_the_kink():
    net = fcsym.Network.mlp([2, 2, 1]).training(batch="mean", samples=2)
    numbers = {"x": [[1, 2], [3, 1]], "target": [[1], [2]]}
    table = example([], **numbers)["values"]
    exact = fcsym.derive(net, batch="sum").compile().exact([table["W1"], table["W2"]], *numbers.values(), table["eta"])
    claim = f"after one step w5 is {float(exact.W2_new[0, 0]):.8f}"
    (row,) = audit_example(example([claim], net, **numbers))
    assert (row.verdict, row.convention) == ("HOLDS", "simultaneous order, the sum over the samples; after one step")
    on_kink = {"W1": [[2, "-1/2"], ["0.1", "0.2"]]}  # s1 = 0
    half = fcsym.derive(fcsym.Network.parse("2-2-1"), slope_at_kink="1/2").compile()
    made = half.exact([on_kink["W1"], table["W2"]], example([])["values"]["x"], [1], table["eta"])
    (row,) = audit_example(example([f"after one step w1 is {float(made.W1_new[0, 0]):.8f}"], **on_kink))
    assert (row.verdict, row.convention) == ("HOLDS", "simultaneous order, slope 1/2 at a kink; after one step")


@pytest.mark.parametrize("rule", ["momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("loss", ["squared", "bce"])
def test_what_a_rule_carries_follows_the_parameters_that_are_trained(rule, loss):
    """Under "biases not trained" the rule carries nothing for them; and bce has no value where y is below 0."""
    network = {"widths": [2, 2, 1], "activation": "tanh", "bias": True, "output": "tanh", "loss": loss, "rule": rule}
    biases = {"b1": [Decimal("0.1"), 0], "b2": [Decimal("-0.2")]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = audit_example(example(["before, E is 77", "after 2 steps W1[1,1] is 55"], network, **biases))
    assert [row.verdict for row in result.rows] == ["REFUTED", "REFUTED"]


def test_digits_that_are_cut_off_and_times_that_are_off():
    (row,) = audit_example(example(["before, y is 0.14"], W1=[[1, 0], [0, 1]], W2=[["0.1", "0.049"]]))
    assert (row.verdict, row.convention) == (
        "HOLDS",
        "simultaneous order; before the step, digits cut off and not rounded",
    )
    (row,) = audit_example(example(["after one step y is 0.148"], W1=[[1, 0], [0, 1]], W2=[["0.1", "0.049"]]))
    assert row.convention == "simultaneous order; before the step"
    assert "As it stands (simultaneous order; after one step) it is" in row.explanation


# -------------------------------------------------------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("changed", "slip"),
    [
        ({"W1": [["0.2", "0.3"], ["-0.1", "0.4"]]}, "w1 and w2 exchanged"),
        ({"x": [2, 2]}, "x[2] taken for x[1]"),
        ({"eta": 1}, "10 times eta"),
        ({"target": [-1]}, "the sign of target[1] lost"),
    ],
)
def test_a_number_taken_for_another_is_found(changed, slip):
    net = fcsym.Network.mlp([2, 2, 1], activation="tanh")
    v = example([])["values"] | changed
    exact = fcsym.derive(net).compile().exact([v["W1"], v["W2"]], v["x"], v["target"], v["eta"])
    claims = [f"after one step w{n + 1} is {float(w):.9f}" for n, w in enumerate(exact.W1_new.ravel())]
    result = audit_example(example(claims, net))
    assert {row.verdict for row in result} == {"REFUTED"}
    assert f": {slip}." in result.conclusion


@pytest.mark.parametrize(
    ("slip", "delta"),
    [
        ("without the derivative of the output activation", lambda y, e: e),
        ("a factor 2 too much in the gradient", lambda y, e: 2 * e * y * (1 - y)),
        ("the sign of the gradient reversed", lambda y, e: -e * y * (1 - y)),
    ],
)
def test_a_slip_in_an_equation_is_found(slip, delta):
    net = fcsym.Network.mlp([2, 2, 1], activation="tanh", output="sigmoid")
    v = {key: anp.array(value, dtype=float) for key, value in example([])["values"].items()}
    hidden = anp.tanh(v["W1"] @ v["x"])
    y = 1 / (1 + anp.exp(-v["W2"] @ hidden))
    wrong = v["W2"] - v["eta"] * anp.outer(delta(y, y - v["target"]), hidden)
    (row,) = audit_example(example([f"after one step W2 is {wrong[0, 0]:.8f} {wrong[0, 1]:.8f}"], net))
    assert row.verdict == "REFUTED"
    assert row.explanation.startswith(
        f"{slip[0].upper()}{slip[1:]}, it comes"
        if slip.startswith("without")
        else f"With {slip}, it comes out as printed"
    )


def test_rounding_on_the_way_is_found():
    net = fcsym.Network.mlp([2, 2, 1], activation="tanh")
    v = {key: anp.array(value, dtype=float) for key, value in example([])["values"].items()}
    hidden = anp.round(anp.tanh(anp.round(v["W1"] @ v["x"], 3)), 3)
    y = anp.round(v["W2"] @ hidden, 3)
    assert abs(y - v["W2"] @ anp.tanh(v["W1"] @ v["x"])).max() > 1e-4
    result = audit_example(example([f"before, y is {y[0]:.6f}"], net))
    assert "every number on the way rounded to 3 decimals" in result.rows[0].explanation


def test_what_nothing_explains_is_not_explained():
    (row,) = audit_example(example(["after one step w5 is 0.123456789012"]))
    assert row.verdict == "REFUTED"
    assert "No convention and none of" in row.explanation


# ----------------------------------------------------------------------------------------------------------- formulas


@pytest.mark.parametrize(
    ("formula", "verdict"),
    [
        ("delta2[k] = y[k] - y_g[k]", "HOLDS"),
        ("delta2[k] = y_g[k] - y[k]", "REFUTED"),
        ("E = (1/2)*sum(k: (y[k] - y_g[k])**2)", "HOLDS"),
        ("E = sum(k: (y[k] - y_g[k])**2)", "REFUTED"),
        ("W1'[i,j] = W1[i,j] - eta*relu'(s1[i])*sum(k: W2[k,i]*delta2[k])*x[j]", "HOLDS"),
        ("W1'[i,j] = W1[i,j] - eta*relu'(s1[i])*sum(k: W2'[k,i]*delta2[k])*x[j]", "REFUTED"),
        ("y[1] = w5*max(j: s1[j]) - w5*max(j: s1[j]) + w5*v1[1] + w6*v1[2]", "HOLDS"),
        ("dE_dW1[i,j] = delta1[i]*x[j]", "HOLDS"),
        ("p[k,j]*v1[j] = W2'[k,j]*dv1[j]", "HOLDS"),
    ],
)
def test_a_formula(formula, verdict):
    (row,) = audit_example(example([formula]))
    assert row.verdict == verdict
    if verdict == "REFUTED":
        assert "on the left" in row.explanation


@pytest.mark.parametrize(
    ("formula", "proved"),
    [
        ("E = (1/2)*sum(k: (y[k] - y_g[k])**2)", True),
        ("delta1[a] = g1[a]*sum(b: delta2[b]*W2[b,a])", True),
        ("W1'[i,j] = W1[i,j] - eta*delta1[i]*x[j]", True),
        ("W1'[i,j] = W1[i,j] - eta*x[j]*g1[i]*W2[1,i]*delta2[1]", False),  # a position: true, and not at every width
        ("y[1] = w5*v1[1] + w6*v1[2]", False),
    ],
)
def test_an_equation_in_indices_is_proved_and_others_are_evidence(formula, proved):
    (row,) = audit_example(example([formula]))
    assert row.verdict == "HOLDS"
    assert row.explanation.startswith("Proved in index notation" if proved else "Both sides agree at")


def test_a_wrong_equation_is_not_called_proved():
    """A wrong equation is not proved, although a right one of the same form is."""
    record = one_step(fcsym.Network.parse("2-2-1"))
    arrays = {equation.array.name: equation.array for equation in record.equations if equation.defines}
    arrays |= {array.name: array for array in record.network.parameters}
    for text, proved in (("delta1[i] = g1[i]*sum(k: W2[k,i]*delta2[k])", True), ("delta1[i] = sum(k: W2[k,i])", False)):
        assert is_proved(record, *equation(text), arrays) is proved


@pytest.mark.parametrize(
    "text",
    ["a", "a =", "= b", "a = b c", "a[ = 1", "a = (1", "a = 1 ** x", "a = sum(jj: 1)", "a = __import__('os')",
     "a = " + "(" * 200 + "1", "a = 1; b = 2", "a = " + "-" * 500 + "1", "a = 9**99", "a = 1e9999999"],
)  # fmt: skip
def test_what_is_no_formula_is_one_sentence(text):
    with pytest.raises(ArgumentError, match=r"^[^\n]+\.$|^[^\n]+\]\)\.$"):
        equation(text)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"claims": ["after one step q9 is 1"]}, "'q9' is no quantity"),
        ({"claims": ["after one step w5 is 1.2.3"]}, "'1.2.3' is no number"),
        ({"claims": ["W2 is 1"]}, "has 2 numbers and 1 are printed"),
        ({"claims": ["v1[3] is 1"]}, "is not there"),
        ({"claims": []}, "There are no claims"),
        ({"claims": ["hello"]}, "is not understood"),
        ({"claims": ["after 99999999 steps E is 1"]}, "are more than"),
        ({"claims": ["y[k] = sum(i: W1[k,i]*v1[i])"]}, "runs over"),
        ({"order": "backwards"}, "order 'backwards' is not known"),
        ({"colour": 1}, "no key 'colour'"),
        ({"values": {"x": [1, 2]}}, "is missing"),
    ],
)
def test_bad_input_is_one_sentence(change, said):
    with pytest.raises(FcsymError) as problem:
        audit_example(example(["before, y is 1"]) | change)
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_search_that_would_be_too_large_says_how_large():
    net = fcsym.Network.mlp([20, 20, 1])
    values = {"x": [1] * 20, "target": [1], "eta": 1, "W1": [["1/7"] * 20] * 20, "W2": [["1/3"] * 20]}
    with pytest.raises(ArgumentError, match=r"would try \d+ readings"):
        audit_example({"network": net, "values": values, "claims": ["before, y is 1"]})


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("before, y is -0,065", "comma between thousands"),
        ("after 1,0 steps y is 1", "no number of steps"),
        ("after " + "9" * 5000 + " steps y is 1", "no number of steps"),
        ("y_" + "1" * 5000 + " is 1", "is no quantity"),
        ("y[k] = y[" + "1" * 1900 + "]", "out of range"),
        ("y[k] = sum(z: 1)", "has no range"),
        ("y[k] = sum(j,j: y[k])", "has no range"),
        ({"quantity": "y", "printed": "1_0"}, "is no number"),
        ({"quantity": "y[", "printed": "1"}, "is no quantity"),
        ({"quantity": "y[a]", "printed": "1"}, "is no quantity"),
        ({"quantity": "y[1", "printed": "1"}, "is no quantity"),
        ({"quantity": "y[" + "1" * 4500 + "]", "printed": "1"}, "is no quantity"),
        ({3: 4}, "no key '3'"),
        ({"claim": "y is 1", "after": 3}, "or a formula alone"),
        ({"quantity": "y", "printed": "1", "formula": "y[1] = 1"}, "or a formula alone"),
    ],
)  # fmt: skip
def test_a_claim_that_says_nothing_is_one_short_sentence(claim, said):
    with pytest.raises(ArgumentError, match=said) as problem:
        audit_example(example([claim]))
    assert len(str(problem.value)) < 400


def test_numbers_out_of_the_range_of_floats_are_decided():
    for change in ({"x": [Decimal("1e300"), 1]}, {"eta": Decimal("1e300")}, {"target": [Decimal("1e300")]}):
        (row,) = audit_example(example(["after one step E is 3"], **change))
        assert row.verdict == "REFUTED"
    (row,) = audit_example(example(["y[k] = (((10**12)**12)**12)**12"]))
    assert row.verdict == "REFUTED"


# --------------------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    "claim",
    [
        "w5' is 0.758575", "w5+ = 0.758575", "W2' is [0.758575, -0.520125]",
        "W2 after one step is 0.758575 and -0.520125",
        "after the first step, w5 is 0.758575", "after step 1 w5 is 0.758575",
        "after 1 step: the weight w5 is 0.758575",
        "after one step w5' is 0.758575", "the error is 0.5671125", "the error before the step is 0.5671125",
        "the value of E is 5.671125e-1", "before, y is \N{MINUS SIGN}0.0650",
    ],
)  # fmt: skip
def test_a_sentence_as_people_write_it(claim):
    """y = 0.7*0.55 - 0.6*0.75 = -0.065, E = 1.065**2/2, W2 - eta*(y - 1)*v1."""
    (row,) = audit_example(example([claim]))
    assert row.verdict == "HOLDS"
    assert not row.explanation


def test_a_primed_weight_is_never_that_of_a_later_step():
    twice = "0.809829"  # w5 after two steps, as the next line says
    (row,) = audit_example(example([f"after two steps w5 is {twice}"]))
    assert (row.verdict, row.explanation) == ("HOLDS", "")
    for claim in (f"w5' is {twice}", f"after one step w5' is {twice}"):
        (row,) = audit_example(example([claim]))
        assert row.convention.endswith("after 2 steps")
        assert "As it stands (simultaneous order; after one step) it is 0.758575" in row.explanation


@pytest.mark.parametrize("text", ["-0.07", "-0.06", "-0.1"])
def test_an_exact_value_between_two_roundings_is_either(text):
    """-0.065 is not what float64 has for it."""
    (row,) = audit_example(example([f"before, y is {text}"]))
    assert (row.verdict, row.value) == ("HOLDS", "-0.065")


def test_a_ball_across_the_edge_is_undecided():
    """sigmoid(1) + sigmoid(-1) = 1, in balls: whether its half rounds to 0 or to 1 no digits say."""
    net = fcsym.Network.mlp([1, 2, 1], activation="sigmoid")
    numbers = {"x": [1], "target": [1], "eta": 1, "W1": [[1], [-1]], "W2": [["1/2", "1/2"]]}
    table = {"network": net, "values": numbers}
    for text, verdict in (("0", "UNDECIDED"), ("1", "UNDECIDED"), ("0.50", "HOLDS"), ("0.51", "REFUTED")):
        (row,) = audit_example(table | {"claims": [f"before, y is {text}"]})
        assert row.verdict == verdict


def test_few_digits_are_said_to_be_few():
    few, many = audit_example(example(["before, y is 6.5e-2", "after one step w5 is 0.641425"]))
    assert "by chance" in few.explanation
    assert "it comes out as printed" in many.explanation
    assert "by chance" not in many.explanation


# -------------------------------------------------------------------------------------------------------- the command


def test_the_command(capsys, tmp_path):
    path = EXAMPLES / "momentum-2-2-1.toml"
    assert main(["audit", str(path), "--json", "-o", str(tmp_path / "report")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"claim", "printed", "verdict", "convention", "value", "explanation"} == set(told["claims"][0])
    assert {row["verdict"] for row in told["claims"]} == {"HOLDS"}
    assert json.loads((tmp_path / "report" / "report.json").read_text())["claims"] == told["claims"]
    assert main(["audit", str(path)]) == 0
    assert "hold to all their digits" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "none.toml")]) == 2
    assert main(["audit", str(path), "--time-limit", "3"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_the_report_is_typeset(tmp_path):
    result = audit_example(example(["E = sum(k: (y[k] - y_g[k])**2)", "after one step w5 is 0.1 "]))
    (tmp_path / "r.tex").write_text(document(result))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "r.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
