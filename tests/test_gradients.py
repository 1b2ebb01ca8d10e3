"""Derivatives by name, against PyTorch's, and against their own list when it is corrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import fcsym
from fcsym.cli import main
from fcsym.errors import ArgumentError, CompileError
from fcsym.language.equation import Rule, Verdict
from fcsym.language.expression import Apply, Expr, mul

NETWORKS = {
    "relu": fcsym.Network.mlp([3, 4, 2], bias=True),
    "deep": fcsym.Network.mlp([2, 3, 3, 2], activation=["tanh", "leaky_relu"], bias=[True, False, True]),
    "sigmoid": fcsym.Network.mlp([3, 3, 2], activation="sigmoid", output="sigmoid", loss="bce", bias=True),
    "softmax": fcsym.Network.mlp([3, 4, 3], activation="tanh", output="softmax", loss="cross_entropy"),
    "softmax squared": fcsym.Network.mlp([2, 3, 3], output="softmax", loss="squared", bias=True),
    "huber": fcsym.Network.mlp([3, 2, 2], output="tanh", loss="huber"),
}


def gradient(network, of, batch=None):
    return fcsym.gradient(network, of, [a.name for a in network.parameters] + ["x"], batch=batch)


def drawn(network, samples=None):
    """Weights, x and a target that is a distribution."""
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    x = rng.normal(size=(*([samples] if samples else []), network.inputs))
    target = rng.random((*x.shape[:-1], network.widths[-1]))
    return weights, x, target / target.sum(axis=-1, keepdims=True)


def in_torch(network, of, batch):
    """E or y as a function of weights, x and target, written with torch's own layers and losses."""
    torch = pytest.importorskip("torch")
    named = {
        "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda s: s,
        "leaky_relu": lambda s: torch.where(s > 0, s, 0.01 * s),
    }  # fmt: skip
    losses = {
        "squared": lambda y, s, t: ((y - t) ** 2).sum(-1) / 2,
        "bce": lambda y, s, t: torch.nn.functional.binary_cross_entropy(y, t, reduction="none").sum(-1),
        "cross_entropy": lambda y, s, t: -(t * torch.log_softmax(s, -1)).sum(-1),
        "huber": lambda y, s, t: torch.nn.functional.huber_loss(y, t, reduction="none").sum(-1),
    }

    def function(weights, x, target):
        arrays, v = iter(weights), x
        for layer in network.layers:
            s = v @ next(arrays).T
            s = s + next(arrays) if layer.bias else s
            v = named[layer.activation.name](s)
        y = torch.softmax(s, -1) if network.softmax else v
        if of == "y":
            return y
        error = losses[network.loss](y, s, target)
        return error if batch is None else error.mean() if batch == "mean" else error.sum()

    return torch, function


@pytest.mark.parametrize("batch", [None, "mean", "sum"])
@pytest.mark.parametrize("of", ["E", "y"])
@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_are_those_of_torch(name, of, batch):
    network = NETWORKS[name]
    torch, function = in_torch(network, of, batch)
    weights, x, target = drawn(network, 3 if batch else None)
    found = gradient(network, of, batch).compile().gradient(weights, x, target)
    arrays = [torch.tensor(array) for array in (*weights, x, target)]
    own = torch.autograd.functional.jacobian(lambda *a: function(a[:-2], a[-2], a[-1]), tuple(arrays))
    for array, expected in zip((*network.parameters, network.input), own[:-1], strict=True):
        true = expected.numpy()
        if array == network.input and batch and of == "y":  # each sample's own
            true = np.stack([true[n, :, n] for n in range(3)])
        value = getattr(found, f"d{of}_d{array.name}")
        assert value.shape == true.shape
        assert np.allclose(value, true, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("of", ["E", "y"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_equation_is_proved_by_both_deciders_and_checked(name, of):
    for batch in (None, "mean"):
        g = gradient(NETWORKS[name], of, batch)
        assert g.proof.holds
        for e in g.equations:
            finding = g.proof.verdict(e.name)
            assert finding.verdict is (Verdict.DEFINITION if e.rule is Rule.DEFINITION else Verdict.PROVED)
            assert finding.index == "identical"
        report = fcsym.check(g, trials=20)
        assert report.passed
        assert {row.quantity for row in report.rows} == {e.name for e in g.results}


@pytest.mark.parametrize("slope", ["0", "1/2", "1"])
def test_any_slope_at_a_kink(slope):
    network = fcsym.Network.parse("2-2-1")
    g = fcsym.gradient(network, "y", "x", slope)
    found = g.compile().gradient([[[1.0, 1], [2, 0]], [[3.0, 5]]], [1.0, -1])  # s1 = 0 and s2 = 2
    share = float(Fraction(slope))
    assert np.array_equal(found.dy_dx, [[3 * share + 10, 3 * share]])
    report = fcsym.check(g, trials=50)
    assert report.passed
    assert "at a kink" in {row.case for row in report.rows}


def doubled(record, name):
    """The list with twice the right-hand side of an equation."""
    other = tuple(
        replace(e, rhs=mul(2, e.rhs)) if e.name == name and isinstance(e.rhs, Expr) else e for e in record.equations
    )
    return replace(record, equations=other)


@pytest.mark.parametrize("of", ["E", "y"])
@pytest.mark.parametrize("batch", [None, "mean"])
def test_a_corrupted_equation_is_refuted_with_numbers(of, batch):
    g = gradient(NETWORKS["relu"], of, batch)
    for e in g.equations:
        if isinstance(e.rhs, Apply):
            continue
        finding = doubled(g, e.name).proof.verdict(e.name)
        assert finding.verdict is Verdict.REFUTED
        found = finding.counterexample
        assert found.derived == 2 * found.true
        assert {finding.index, finding.expanded} == {"differs"}


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "softmax squared"])
def test_a_corrupted_equation_of_a_smooth_network_is_not_proved(name):
    for of in ("E", "y"):
        g = gradient(NETWORKS[name], of)
        for e in g.equations:
            if e.rule in (Rule.ADJOINT, Rule.GRADIENT):
                wrong = doubled(g, e.name)
                assert not wrong.proof.holds
                assert wrong.proof.verdict(e.name).verdict in (Verdict.UNDECIDED, Verdict.REFUTED)
                assert not fcsym.check(wrong, trials=5).passed or e not in g.results


def test_a_list_with_something_missing_or_strange_is_not_proved():
    g = gradient(NETWORKS["relu"], "y")
    names = [e.name for e in g.equations]
    assert not replace(g, equations=g.equations[:-1]).proof.holds
    assert not replace(g, equations=g.equations[1:]).proof.holds
    swapped = tuple(replace(e, rule=Rule.DEFINITION) if e.name == names[-1] else e for e in g.equations)
    assert not replace(g, equations=swapped).proof.holds


def test_samples_that_mix_are_not_proved():
    one, many = (gradient(NETWORKS["relu"], "y", batch) for batch in (None, "mean"))
    assert many.proof.holds
    mixed = tuple(one.by_name[e.name] if e.rule is Rule.GRADIENT else e for e in many.equations)
    assert not replace(many, equations=mixed).proof.holds


def test_the_list_has_what_is_needed_and_no_more():
    g = fcsym.gradient(NETWORKS["deep"], "E", "W3")
    assert list(g.by_name) == ["s1", "v1", "s2", "v2", "y", "E", "delta3", "dE_dW3"]
    assert list(fcsym.gradient(NETWORKS["sigmoid"], "E", "b2").by_name)[-2:] == ["delta2", "dE_db2"]


@pytest.mark.parametrize("written", ["dE_dW1", "dE/dW1", "grad W1", " dE/dW1 ", "nabla W1"])
def test_names_as_people_write_them(written, order):
    d = fcsym.derive(NETWORKS["relu"], order)
    before = d.equations
    assert str(d[written]) == "dE_dW1[i, j] = delta1[i]*x[j]"
    assert fcsym.gradient(d.network)[written].name == "dE_dW1"
    assert d.equations == before
    assert "dE_dW1" not in d.by_name


def test_gradients_of_a_derivation_are_by_its_own_error(order):
    d = fcsym.derive(NETWORKS["relu"], order)
    assert d["dE/ds1"] == d["delta1"]
    assert ("W1_new" in str(d["dE/dx"])) == (order == "sequential")
    assert str(d["dy_dx"]) == "dy_dx[k, j] = sum(i: W1[i, j]*dy_ds1[k, i])"
    assert d["p"].name == "p"


@pytest.mark.parametrize("name", ["dE_dW7", "dz_dW1", "dE/dq", "grad y"])
def test_a_derivative_that_is_none_is_an_unknown_quantity(name):
    d = fcsym.derive(NETWORKS["relu"])
    with pytest.raises(KeyError, match="choose"):
        d[name]


@pytest.mark.parametrize(("of", "by"), [("z", "W1"), ("E", "W9"), ("E", ""), ("E", []), (3, "W1"), ("E", 7)])
def test_bad_names_are_one_sentence(of, by):
    with pytest.raises(ArgumentError, match="choose"):
        fcsym.gradient(NETWORKS["relu"], of, by)


def test_bad_arguments_are_one_sentence():
    with pytest.raises(ArgumentError, match="make one with"):
        fcsym.gradient("2-2-1")
    g = fcsym.gradient(NETWORKS["relu"])
    weights, x, _ = drawn(g.network)
    with pytest.raises(ArgumentError, match="target is missing"):
        g.compile().gradient(weights, x)
    with pytest.raises(CompileError, match="numpy"):
        g.compile("fortran")
    for at in ((1,), (1, 9), (0, 1), "11", (True, 1)):
        with pytest.raises(ArgumentError, match="has no element"):
            g.expr("dE_dW1", at=at)
    with pytest.raises(ArgumentError, match=r"at=\(1, 1, 1\)"):
        fcsym.gradient(g.network, "y").expr("dy_dW1", row=1)
    with pytest.raises(ArgumentError, match="leave against"):
        fcsym.check(g, against="sequential")


def test_leading_axes_and_labels():
    network = NETWORKS["softmax"]
    weights, x, _ = drawn(network, 3)
    g = fcsym.gradient(network, "E", "W1,x").compile()
    labels, rows = np.array([2, 0, 1]), np.eye(3)[[2, 0, 1]]
    assert np.array_equal(g.gradient(weights, x, labels).dE_dW1, g.gradient(weights, x, rows).dE_dW1)
    stacked = [np.stack([w, 2 * w]) for w in weights]
    many = fcsym.gradient(network, "y", "W1,W2", batch="mean").compile()
    both, first = many.gradient(stacked, x), many.gradient(weights, x)
    assert both.dy_dW1.shape == (2, 3, 3, 4, 3)
    assert np.allclose(both.dy_dW1[0], first.dy_dW1, rtol=1e-14)
    plain = fcsym.gradient(NETWORKS["relu"], "y", "b2").compile()
    weights, x, _ = drawn(NETWORKS["relu"], 5)
    assert np.array_equal(plain.gradient(weights, x).dy_db2, np.broadcast_to(np.eye(2), (5, 2, 2)))
    single = plain.gradient([w.astype(np.float32) for w in weights], x.astype(np.float32))
    assert single.dy_db2.dtype == single.y.dtype == np.float32


def test_closed_forms():
    import sympy

    g = fcsym.gradient(fcsym.Network.mlp([2, 2, 2], activation="tanh"), "y", "W1,W2")
    y = fcsym.derive(g.network).expr("y", 1)
    for layer, at in ((1, (1, 2, 1)), (2, (1, 1, 2)), (2, (1, 2, 2))):
        name, by = f"dy_dW{layer}", f"W{layer}_{at[1]}_{at[2]}"
        expected = sympy.diff(y, sympy.Symbol(by, real=True))
        assert sympy.simplify(g.expr(name, at=at) - expected) == 0


def test_closed_forms_of_a_derivation(order):
    import sympy

    d = fcsym.derive(fcsym.Network.mlp([2, 2, 1], activation="tanh", output="sigmoid"), order)
    for name, place, by in (
        ("dE_dW2", {"unit": 2}, "w_6"),
        ("dy/dx", {"unit": 1}, "x_1"),
        ("grad x", {"unit": 2}, "x_2"),
    ):
        if order == "sequential" and name == "grad x":  # the error comes through the updated weights
            assert "eta" in {s.name for s in d.expr(name, **place).free_symbols}
            continue
        of = "y" if name.startswith("dy") else "E"
        expected = sympy.diff(d.expr(of), sympy.Symbol(by, real=True))
        point = {s: sympy.Rational(n + 2, 7) for n, s in enumerate(sorted(expected.free_symbols, key=str))}
        assert abs((d.expr(name, **place) - expected).subs(point).evalf(30)) < 1e-25


def test_large_derivatives_are_compared_in_parts(monkeypatch):
    g = fcsym.gradient(NETWORKS["relu"], "y", "W1,b1")
    whole = fcsym.check(g, trials=20)
    monkeypatch.setattr("fcsym.checking.gradients.MAX_NUMBERS", 300)
    assert [(row.quantity, row.points) for row in fcsym.check(g, trials=20).rows] == [
        (row.quantity, row.points) for row in whole.rows
    ]
    monkeypatch.setattr("fcsym.checking.gradients.MAX_NUMBERS", 2)
    with pytest.raises(fcsym.SizeError, match="single point"):
        fcsym.check(g, trials=20)


def test_documents(tmp_path):
    pytest.importorskip("latex2mathml")
    for of in ("E", "y"):
        g = gradient(fcsym.Network.parse("2-2-1", bias=True), of)
        text = g.latex()
        assert rf"(\mathrm{{d}}{of}/\mathrm{{d}}W)^{{(1)}}" in text
        assert rf"(\mathrm{{d}}{of}/\mathrm{{d}}x)" in text
        assert "Derivatives of 2-2-1" in text
        assert g.save(tmp_path / f"{of}.tex").read_text() == text
        assert "def gradient(" in g.html()


def test_on_the_command_line(capsys, tmp_path):
    file = tmp_path / "g.tex"
    options = ["gradient", "2-3-2", "--activation", "tanh", "--output", "softmax", "--bias", "--trials", "20"]
    assert main([*options, "--of", "y", "--by", "W1,x", "-o", str(file)]) == 0
    out = capsys.readouterr().out
    assert "dy_dx[k, j]" in out
    assert "agrees with autodiff" in out
    assert file.exists()
    assert main([*options, "--by", "b1", "--batch", "mean", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["passed"] is True
    assert (data["of"], data["by"], data["results"]) == ("E", ["b1"], ["dE_db1"])
    assert {row["quantity"] for row in data["checks"]} == {"dE_db1"}
    for bad in (["--by", "W8"], ["--of", "q"], ["--by", ""], ["-o", "x.docx"]):
        assert main([*options, *bad, "--json"]) == 2
        assert set(json.loads(capsys.readouterr().out)) == {"error"}


@pytest.mark.parametrize("batch", [[], ["--batch", "sum"], ["--batch", "mean", "--samples", "2"]], ids=str)
@pytest.mark.parametrize("asked", ["E by W1,x", "y by W2", "y by x", "dE_dW2 by W1"])
def test_without_a_number_of_trials_as_many_numbers_are_compared(asked, batch, capsys):
    """Trials follow from how many numbers there are for one of them, whatever the samples of a mini-batch."""
    of, _, by = asked.split()
    assert main(["gradient", "2-2-2", "--of", of, "--by", by, *batch, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["passed"] is True
    assert 100 < sum(row["points"] for row in data["checks"]) < 200_000


def test_a_report_of_derivatives_is_of_no_training():
    """Of one pass, in no order."""
    report = fcsym.check(fcsym.gradient(fcsym.Network.parse("2-2-1")), trials=5)
    assert (report.steps, report.order, report.against) == (1, "", "")
