"""Second derivatives and Hessian-vector products, against PyTorch's, and with their own list corrupted."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from conftest import need, need_package
from rich.console import Console
from test_gradients import NETWORKS, doubled, drawn, in_torch

import fcsym
from fcsym.errors import ArgumentError, CompileError
from fcsym.kernel.gradient import TARGETS
from fcsym.language import smooth_functions
from fcsym.language.activation import smooth
from fcsym.language.equation import Rule, Verdict
from fcsym.render import terminal

SMALL = fcsym.Network.mlp([2, 2, 1], activation="tanh")


def names(network):
    return [a.name for a in network.parameters] + ["x"]


def products(network, batch=None):
    """Hessian-vector products by everything, along everything."""
    return fcsym.gradient(network, "E", names(network), along=names(network), batch=batch)


def blocks(network, first, batch=None):
    """Second derivatives by one array and then by all."""
    return fcsym.gradient(network, f"dE_d{first}", names(network), batch=batch)


def point(network, batch=None, seed=3):
    """Weights, x, a target and a direction for each of what comes before it."""
    weights, x, target = drawn(network, 3 if batch else None)
    rng = np.random.default_rng(seed)
    return weights, x, target, [rng.normal(size=np.shape(a)) for a in (*weights, x)]


@pytest.mark.parametrize("batch", [None, "mean", "sum"])
@pytest.mark.parametrize("name", NETWORKS)
def test_second_derivatives_are_those_of_torch(name, batch):
    network = NETWORKS[name]
    torch, function = in_torch(network, "E", batch)
    weights, x, target, along = point(network, batch)
    arrays, goal = tuple(torch.tensor(a) for a in (*weights, x)), torch.tensor(target)

    def error(*own):
        return function(own[:-1], own[-1], goal)

    hvp = torch.autograd.functional.hvp(error, arrays, tuple(map(torch.tensor, along)))[1]
    found = products(network, batch).compile().gradient(weights, x, target, along=along)
    for own, expected in zip(names(network), hvp, strict=True):
        value = getattr(found, f"d2E_dT_d{own}")
        assert value.shape == expected.shape
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    hessian = torch.autograd.functional.hessian(error, arrays)
    for first, row in zip(names(network), hessian, strict=True):
        if first == "x" and batch:
            continue
        found = blocks(network, first, batch).compile().gradient(weights, x, target)
        for own, expected in zip(names(network), row, strict=True):
            value = getattr(found, f"d2E_d{first}_d{own}")
            assert value.shape == expected.shape
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_equation_is_proved_by_both_deciders_and_checked(name):
    network = NETWORKS[name]
    for g in (products(network), blocks(network, "W2"), fcsym.gradient(network, "E", "W1", along="x,W1", batch="mean")):
        assert g.proof.holds
        for e in g.equations:
            finding = g.proof.verdict(e.name)
            assert finding.verdict is (Verdict.DEFINITION if e.rule is Rule.DEFINITION else Verdict.PROVED)
            assert (finding.index, finding.expanded) == ("identical", "identical at random points")
        report = fcsym.check(g, trials=10)
        assert report.passed
        assert {row.quantity for row in report.rows} == {e.name for e in g.results}


@pytest.mark.parametrize(
    "g",
    [products(fcsym.Network.parse("2-2-1", bias=True)), fcsym.gradient(NETWORKS["relu"], "dE_dW1", "W2", batch="mean")],
    ids=["along", "by"],
)
def test_a_corrupted_equation_is_refuted_with_numbers(g):
    for e in (e for e in g.equations if e.rule is not Rule.DEFINITION):
        finding = doubled(g, e.name).proof.verdict(e.name)
        assert {finding.index, finding.expanded} == {"differs"}
        assert finding.verdict is Verdict.REFUTED
        assert finding.counterexample.derived == 2 * finding.counterexample.true


def test_corrupted_equations_of_a_smooth_network_are_not_proved_and_do_not_pass_the_check():
    g = fcsym.gradient(NETWORKS["sigmoid"], "E", "W1", along="W1,b2")
    for e in g.equations:
        if e.rule in (Rule.ADJOINT, Rule.GRADIENT):
            finding = doubled(g, e.name).proof.verdict(e.name)
            assert finding.verdict is Verdict.UNDECIDED and {finding.index, finding.expanded} == {"differs"}
    assert not fcsym.check(doubled(g, "d2E_dT_dW1"), trials=5).passed
    (bend,) = (e for e in g.equations if e.name == "dg1")
    slope = replace(bend, rhs=replace(bend.rhs, derivative=1))
    other = replace(g, equations=tuple(slope if e is bend else e for e in g.equations))
    assert other.proof.verdict("dg1").verdict is Verdict.UNDECIDED
    assert not fcsym.check(other, trials=5).passed


def test_a_list_with_something_missing_or_strange_is_not_proved():
    g = products(NETWORKS["relu"])
    for lost in ("dE_dT", "d2E_dT_ddelta1", "g1", g.equations[-1].name):
        assert not replace(g, equations=tuple(e for e in g.equations if e.name != lost)).proof.holds
    swapped = tuple(replace(e, rule=Rule.ADJOINT) if e.name == "dE_dT" else e for e in g.equations)
    assert not replace(g, equations=swapped).proof.holds


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_computes_the_same(target):
    need("cc") if target == "c" else None if target == "numpy" else need_package(target)
    network = NETWORKS["deep"]
    lists = products(network), fcsym.gradient(network, "dE_dW2", "b3", batch="mean"), fcsym.gradient(network, "y", "x")
    for g in lists[:1] if target == "jax" else lists:  # which takes a second for a list
        batch = g.network.batch or None
        weights, x, goal, along = point(network, batch)
        given = {"along": along} if g.along else {}
        stacked = [np.stack([w, -w]) for w in weights]
        for own in (weights, stacked)[: 1 if target == "jax" else 2]:
            expected = g.compile().gradient(own, x, goal, **given)
            found = g.compile(target).gradient(own, x, goal, **given)
            for a, b in zip(found, expected, strict=True):
                assert a.shape == b.shape and a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-4 if target == "jax" else 1e-12, atol=1e-5)


def test_closed_forms():
    import sympy

    g = fcsym.gradient(SMALL, "dE_dW1", "W1,W2")
    error = fcsym.derive(SMALL).expr("E")
    one, other, above = (sympy.Symbol(f"w_{n}", real=True) for n in (2, 3, 5))
    assert sympy.simplify(g.expr("d2E_dW1_dW2", at=(1, 2, 1, 1)) - sympy.diff(error, one, above)) == 0
    assert sympy.simplify(g.expr("d2E/dW1^2", at=(1, 2, 1, 2)) - sympy.diff(error, one, 2)) == 0
    assert sympy.simplify(g.expr("d2E_dW1_dW1", at=(1, 2, 2, 1)) - sympy.diff(error, one, other)) == 0


@pytest.mark.parametrize(
    "written", ["d2E_dW1_dW2", "d2E_dW1dW2", "d2E/dW1dW2", "d^2E/dW1 dW2", "d2E/(dW1 dW2)", "d**2E/dW1*dW2"]
)
def test_names_as_people_write_them(written):
    d = fcsym.derive(SMALL)
    assert d[written].name == "d2E_dW1_dW2"
    assert fcsym.gradient(SMALL, "dE/dW1", "W2")[written].name == "d2E_dW1_dW2"
    for twice in ("d2E_dW1", "d2E/dW1^2", "d2E/dW1**2", "d2E_dW1_dW1"):
        assert d[twice].name == "d2E_dW1_dW1"


def test_bad_input_is_one_sentence():
    with pytest.raises(KeyError, match="choose"):
        fcsym.derive(SMALL)["d2E_dW1_dW7"]
    with pytest.raises(KeyError, match="choose"):
        fcsym.derive(SMALL)["d2E_dw2"]
    with pytest.raises(ArgumentError, match="simultaneous"):
        fcsym.derive(SMALL, "sequential")["d2E_dW1_dW2"]
    with pytest.raises(ArgumentError, match="once only"):
        fcsym.gradient(SMALL, "dy_dW1", "W2")
    with pytest.raises(ArgumentError, match="once only"):
        fcsym.gradient(SMALL, "dE_dW1", "W2", along="W1")
    with pytest.raises(ArgumentError, match="differentiate E"):
        fcsym.gradient(SMALL, "y", "W2", along="W1")
    with pytest.raises(ArgumentError, match="row for each sample"):
        fcsym.gradient(SMALL, "dE_dx", "W2", batch="mean")
    with pytest.raises(ArgumentError, match="choose among"):
        fcsym.gradient(SMALL, "E", "W2", along="s1")
    g = fcsym.gradient(SMALL, "E", "W1", along="W1,W2")
    weights, x, target, along = point(SMALL)
    kernel = g.compile()
    for wrong in (None, along[:1], {"W1": along[0]}, {"W1": along[0], "W2": along[1], "x": along[2]}):
        with pytest.raises(ArgumentError, match="direction for each of W1, W2"):
            kernel.gradient(weights, x, target, along=wrong)
    with pytest.raises(ArgumentError, match="TW2 has shape"):
        kernel.gradient(weights, x, target, along=[along[0], along[0]])
    with pytest.raises(ArgumentError, match="each of none"):
        fcsym.gradient(SMALL).compile().gradient(weights, x, target, along=along[:1])
    by_name = kernel.gradient(weights, x, target, along={"W2": along[1], "W1": along[0]})
    assert np.array_equal(by_name.d2E_dT_dW1, kernel.gradient(weights, x, target, along=along[:2]).d2E_dT_dW1)
    with pytest.raises(CompileError, match="numpy, c, jax, torch"):
        g.compile("fortran")


def test_pieces_have_no_second_derivative():
    g = fcsym.gradient(fcsym.Network.parse("2-2-1"), "dE_dW1", "W1", "1/2")
    assert any("Second derivatives of relu are 0" in said for said in g.assumptions)
    found = g.compile().gradient([[[1.0, 1], [2, 0]], [[3.0, 5]]], [1.0, -1], [0.0])  # s1 = 0, a kink, and s2 = 2
    share = 3 / 2  # w5/2
    slopes = np.outer([share, -share, 5, -5], [share, -share, 5, -5])
    assert np.array_equal(found.d2E_dW1_dW1.reshape(4, 4), slopes)
    report = fcsym.check(g, trials=20)
    assert report.passed and "at a kink" in {row.case for row in report.rows}


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu", "gelu"])
def test_second_derivatives_of_functions_keep_their_digits(name):
    assert smooth_functions.bound(smooth(name), 2) < 2


def test_documents(tmp_path):
    need_package("latex2mathml")
    g = products(SMALL)
    text = g.latex()
    assert r"(\mathrm{d}^2E/\mathrm{d}T\,\mathrm{d}W^{(1)})_{ij}" in text
    assert r"\varphi^{(1)\prime\prime}_{i} = \operatorname{tanh}''" in text
    assert "T^{(1)W}_{ij}" in text
    assert "$dE_dT$" not in text
    assert g.save(tmp_path / "g.tex").read_text() == text
    assert "def gradient(" in g.html()


@pytest.mark.filterwarnings("ignore::fcsym.LossWarning")
def test_a_logarithm_of_a_linear_output_has_kernels():
    network = fcsym.Network.mlp([2, 2, 1], loss="bce")
    for g in (fcsym.gradient(network), fcsym.gradient(network, "dE_dW1", "W2")):
        assert g.proof.holds and fcsym.check(g, trials=20).passed
    assert fcsym.check(fcsym.derive(network), trials=20).passed


def test_a_product_is_found_by_the_names_that_its_list_has():
    g = products(SMALL)
    assert g["d2E/dT dW1"].name == "d2E_dT_dW1"
    assert g["dE/dT"].name == "dE_dT" and g["dE/ds1"].name == "delta1"
    with pytest.raises(KeyError, match="choose"):
        g["d2E_dT_dW9"]


def test_a_check_of_derivatives_speaks_of_no_order():
    console = Console(width=100, record=True, file=StringIO())
    console.print(terminal.checks(fcsym.check(fcsym.gradient(SMALL), trials=5)))
    assert "order" not in console.export_text()
