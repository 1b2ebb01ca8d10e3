from __future__ import annotations

import pytest
import sympy

from fcsym.derivation import derive
from fcsym.errors import ArgumentError, FcsymError
from fcsym.language.equation import Cases, Rule, Verdict
from fcsym.networks.network import Network


def test_the_list_does_not_know_widths(order):
    small, large = (derive(Network.parse(text), order) for text in ("2-3-3-2", "64-48-32-10"))
    assert small.equations == large.equations


def test_every_equation_uses_only_earlier_ones(derivation):
    seen = set()
    for equation in derivation:
        missing = [name for name in equation.uses if name not in seen]
        assert not missing, f"{equation.name} uses {missing} before they stand"
        seen.add(equation.name)


def test_every_equation_says_why(derivation):
    for equation in derivation:
        assert equation.because.endswith("."), equation.name
        assert equation.rule in Rule
        if equation.rule is not Rule.DEFINITION:
            assert equation.uses, equation.name


def test_the_paper_is_cited(order):
    cites = {e.name: e.cite for e in derive(Network.parse("2-2-1"), order)}
    assert cites["s1"] == "eq. 9"
    assert cites["W2_new"] == "eq. 13"
    assert cites["W1_new"] == "eq. 14"
    assert "22" in cites["p"]
    assert "28" in cites["P"]


def test_the_two_orders_differ_only_in_the_weights_that_the_error_passes():
    a, b = (derive(Network.parse("2-3-2-1"), order).by_name for order in ("simultaneous", "sequential"))
    differing = {name for name in a if a[name].rhs != b[name].rhs}
    assert differing == {"delta1", "delta2", "P"}


def test_four_cases_per_unit_kind_and_not_four_to_the_n():
    for text in ("2-2-1", "2-50-1"):
        d = derive(Network.parse(text))
        assert isinstance(d["dv1"].rhs, Cases)
        names = [branch.name for branch in d["dv1"].rhs]
        assert names == ["active -> active", "active -> dead", "dead -> dead", "dead -> active"]


def symbols(*names):
    return sympy.symbols(names, real=True)


def test_the_paper_s_p_in_sequential_order():
    d = derive(Network.parse("2-2-1"), "sequential")
    case = d.cases("p", unit=1, keep=("dE_dY", "W2'", "vc"))[0]
    eta, error, w, v, x1, x2 = symbols("eta", "dE_dY", "w_5_new", "vc_1", "x_1", "x_2")
    assert case.name == "active -> active"
    assert case.verdict is Verdict.PROVED
    assert sympy.expand(case.value + eta * error * w**2 * (x1**2 + x2**2) / v) == 0


def test_simultaneous_order_has_one_old_and_one_new_weight():
    d = derive(Network.parse("2-2-1"), "simultaneous")
    case = d.cases("p", unit=1, keep=("dE_dY", "W2'", "vc"))[0]
    eta, error, old, new, v, x1, x2 = symbols("eta", "dE_dY", "w_5", "w_5_new", "vc_1", "x_1", "x_2")
    assert sympy.expand(case.value + eta * error * old * new * (x1**2 + x2**2) / v) == 0


def test_the_integrated_p_of_mathematics_section_3():
    d = derive(Network.parse("2-2-1"), "sequential")
    first, second, *_ = d.cases("P", unit=1, keep=("dE_dY", "W2'", "vc"))
    eta, error, old, new, v, x1, x2 = symbols("eta", "dE_dY", "w_5", "w_5_new", "vc_1", "x_1", "x_2")
    assert sympy.expand(first.value - (new**3 - old**3) * (x1**2 + x2**2) / (3 * v**2)) == 0
    assert sympy.expand(second.value - (new**2 - old**2) / (2 * eta * error * v)) == 0


def test_a_unit_that_dies_loses_its_whole_weight():
    for order in ("simultaneous", "sequential"):
        d = derive(Network.parse("3-4-2"), order)
        assert d.cases("p", unit=2, output=2, keep=("W2'",))[1].value == -sympy.Symbol("W2_2_2_new", real=True)


def test_v_c_zero_is_chosen_impossible_or_undefined():
    shallow = {c.name: c for c in derive(Network.parse("2-2-1")).cases("p")}
    assert shallow["dead -> dead"].verdict is Verdict.CHOSEN
    assert shallow["dead -> active"].value is None
    assert not shallow["dead -> active"].possible
    deep = {c.name: c for c in derive(Network.parse("2-2-2-1")).cases("p", keep=("s2", "s2'", "vc", "W3'"))}
    assert deep["dead -> active"].value is None
    assert deep["dead -> active"].possible
    # a gate that is open at the kink lets a unit with s = 0 move
    open_gate = {c.name: c for c in derive(Network.parse("2-2-1"), slope_at_kink=1).cases("p")}
    assert open_gate["dead -> active"].possible
    # in a chain of single units nothing below learns once the last one is dead
    chain = {c.name: c for c in derive(Network.parse("1-1-1-1")).cases("p", keep=("s2", "s2'", "vc", "W3'"))}
    assert not chain["dead -> active"].possible


@pytest.mark.parametrize("bad", ["sorted", "", None, 3, "Sequential"])
def test_unknown_orders_are_refused(bad):
    with pytest.raises(ArgumentError, match="order"):
        derive(Network.parse("2-2-1"), bad)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ArgumentError):
        derive("2-2-1")
    for slope in ("x", float("nan"), float("inf"), [0, 1], True):
        with pytest.raises(FcsymError):
            derive(Network.parse("2-2-1"), slope_at_kink=slope)


def test_names_are_found_as_people_write_them():
    d = derive(Network.parse("2-3-3-1"))
    assert d["W3'"] is d["W3_new"]
    assert d["dv"] is d["dv2"]
    assert d["dv'"] is d["dv2"]
    assert d["dE_dY"] is d["delta3"]
    with pytest.raises(KeyError, match="no quantity"):
        d["nothing"]


def test_notebooks_and_terminals_have_a_form():
    d = derive(Network.parse("2-2-1"))
    assert r"\begin{cases}" in d._repr_latex_()
    assert set(d._repr_mimebundle_()) == {"text/html", "text/latex", "text/plain"}
    assert "dv1[i] =" in str(d)


def test_sympy_s_global_printer_stays_as_it_was():
    before = str(sympy.Symbol("x") ** 2), sympy.latex(sympy.Symbol("x_1"))
    derive(Network.parse("2-2-1")).latex()
    derive(Network.parse("2-2-1")).cases("p")
    assert (str(sympy.Symbol("x") ** 2), sympy.latex(sympy.Symbol("x_1"))) == before
