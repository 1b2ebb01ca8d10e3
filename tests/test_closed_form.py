from __future__ import annotations

import copy
import ctypes
import math
import pickle
import random
import subprocess
import warnings
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy
from conftest import need
from exact import step

from fcsym.closed.sharing import cse
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, SizeError
from fcsym.layers import RNN, Linear
from fcsym.networks.network import Network

PAPER = ("w_1", "w_2", "w_3", "w_4", "w_5", "w_6")


def numbers(source, count):
    return [Fraction(source.randint(-6, 6), source.choice((1, 2, 3))) for _ in range(count)]


def paper_point(seed):
    source = random.Random(seed)
    w, x, (target,) = numbers(source, 6), numbers(source, 2), numbers(source, 1)
    eta = Fraction(1, source.randint(1, 9))
    values = dict(zip(PAPER, w, strict=True)) | {"x_1": x[0], "x_2": x[1], "y_g": target, "eta": eta}
    return values, ([[w[0:2], w[2:4]], [w[4:6]]], x, [target], eta)


def evaluate(expr, values):
    return expr.xreplace(
        {s: sympy.Rational(values[s.name].numerator, values[s.name].denominator) for s in expr.free_symbols}
    )


def fraction(value):
    return Fraction(int(value.p), int(value.q))


@pytest.mark.parametrize("unit", [1, 2])
def test_closed_forms_of_the_paper_s_network_are_right_everywhere(order, unit):
    d = derive(Network.parse("2-2-1"), order)
    forms = {name: d.expr(name, unit) for name in ("p", "dv", "ds", "s'", "v'", "r", "W2'")}
    assert {s.name for s in forms["p"].free_symbols} == {*PAPER, "x_1", "x_2", "y_g", "eta"}
    seen = set()
    for seed in range(60):
        values, (weights, x, target, eta) = paper_point(seed)
        true = step((2, 2, 1), weights, x, target, eta, order)
        j = unit - 1
        s, after = true.s[0][j], true.s_new[0][j]
        change = true.v_new[1][j] - true.v[1][j]
        seen.add((s > 0, after > 0))
        assert fraction(evaluate(forms["ds"], values)) == after - s
        assert fraction(evaluate(forms["s'"], values)) == after
        assert fraction(evaluate(forms["dv"], values)) == change
        assert fraction(evaluate(forms["v'"], values)) == true.v_new[1][j]
        assert fraction(evaluate(forms["W2'"], values)) == true.w[1][0][j]
        p = true.w[1][0][j] * change / true.v[1][j] if true.v[1][j] else Fraction(0)
        assert fraction(evaluate(forms["p"], values)) == p
        assert fraction(evaluate(forms["r"], values)) == true.w[1][0][j] + p
    assert seen == {(True, True), (True, False), (False, False)}


def test_closed_forms_of_three_layers(order):
    d = derive(Network.parse("2-2-2-1"), order)
    form = d.expr("s2'", 2)
    for seed in range(6):
        source = random.Random(seed)
        w = numbers(source, 10)
        weights = [[w[0:2], w[2:4]], [w[4:6], w[6:8]], [w[8:10]]]
        x, target, eta = numbers(source, 2), numbers(source, 1), Fraction(1, 4)
        true = step((2, 2, 2, 1), weights, x, target, eta, order)
        values = {f"W{layer + 1}_{i + 1}_{j + 1}": weights[layer][i][j]
                  for layer in range(3) for i in range(len(weights[layer])) for j in range(2)}  # fmt: skip
        values |= {"x_1": x[0], "x_2": x[1], "y_g": target[0], "eta": eta}
        assert fraction(evaluate(form, values)) == true.s_new[1][1]


def test_cases_hold_exactly_one_at_a_time_and_give_the_value(order):
    d = derive(Network.parse("2-2-1"), order)
    table, whole = d.cases("p", unit=2), d.expr("p", unit=2)
    for seed in range(30):
        values, _ = paper_point(seed)
        holding = [row for row in table if all(bool(evaluate(c, values)) for c in row.when)]
        assert len(holding) == 1
        assert evaluate(holding[0].value, values) == evaluate(whole, values)


def test_a_single_case_can_be_asked_for():
    d = derive(Network.parse("2-2-1"))
    assert d.expr("p", 1, case="active -> dead") == d.cases("p", 1)[1].value
    assert d.expr("p", 1, case="dead -> active") is sympy.nan


def test_scalars_have_closed_forms_too():
    d = derive(Network.parse("2-2-1"))
    assert str(d.expr("a0")) == "x_1**2 + x_2**2"
    assert d.cases("a0")[0].name == "always"
    assert d.expr("E").free_symbols


def test_names_are_the_reader_s_own(tmp_path):
    file = tmp_path / "net.toml"
    file.write_text('widths = [1, 1, 1]\nnames = ["a", "b"]\n')
    d = derive(Network.load(file))
    assert {s.name for s in d.expr("W1'").free_symbols} == {"a", "b", "x_1", "y_g", "eta"}
    assert {s.name for s in derive(Network.parse("1-2-2")).expr("y", 2).free_symbols} == {
        "W1_1_1", "W1_2_1", "W2_2_1", "W2_2_2", "x_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        *({"unit": unit} for unit in (0, 3, True, 1.0, "1")),
        {"output": 2},
        {"case": "asleep"},
        {"layer": 7},
        {"keep": ("nothing",)},
        {"keep": 3},
        *({"max_operations": value} for value in ("x", -1, 0, True, 1.5)),
    ],
)
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ArgumentError) as caught:
        derive(Network.parse("2-2-1")).expr("p", **arguments)
    assert "\n" not in str(caught.value)


def test_row_and_column_are_those_of_the_matrix(order):
    """Every element of the updated weights, by the numbers that the kernel has for it."""
    d = derive(Network.parse("3-2-2", bias=True), order)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=d.network.shape(theta)) for theta in d.network.parameters]
    x, target, eta = rng.normal(size=3), rng.normal(size=2), 0.25
    after = d.compile().step(weights, x, target, eta, undefined="nan")._asdict()
    numbers = (
        {"eta": eta} | {f"x_{n}": v for n, v in enumerate(x, 1)} | {f"y_g_{n}": v for n, v in enumerate(target, 1)}
    )
    for theta, array in zip(d.network.parameters, weights, strict=True):
        numbers |= {
            f"{theta.name}_{'_'.join(str(k + 1) for k in place)}": array[place] for place in np.ndindex(array.shape)
        }
    values = {sympy.Symbol(name, real=True): value for name, value in numbers.items()}
    for name in ("W1", "W2", "b1", "b2"):
        for place in np.ndindex(after[f"{name}_new"].shape):
            at = dict(zip(("row", "column"), (k + 1 for k in place), strict=False))
            assert float(d.expr(f"{name}'", **at).subs(values)) == pytest.approx(after[f"{name}_new"][place], rel=1e-12)


def test_unit_says_which_it_means_or_is_refused():
    d = derive(Network.parse("2-3-2"))
    assert d.expr("W1'", row=3, column=2) == d.expr("W1'", 2, output=3) == d.expr("W1'", row=3, unit=2)
    assert d.expr("W1'", row=3, column=2) != d.expr("W1'", row=2, column=1)
    assert d.expr("W1'") == d.expr("W1'", 1) == d.expr("W1'", row=1, column=1)
    assert d.expr("p", row=2, column=3) == d.expr("p", 3, output=2) != d.expr("p", 3)  # units are the columns of p
    assert d.expr("W2'", 3) == d.expr("W2'", row=1, column=3)
    assert d.expr("s1", 3) == d.expr("s1", row=3)
    assert d.expr("y", output=2) == d.expr("y", 2) == d.expr("y", row=2)
    assert d.cases("p", row=2, column=3) == d.cases("p", 3, output=2)
    for name, at, said in (
        ("W1'", {"unit": 2}, "Unit 2 of W1_new may be its row or its column"),
        ("W1'", {"row": 4}, "W1_new has no row 4: it runs from 1 to 3"),
        ("W1'", {"column": 3}, "W1_new has no column 3: it runs from 1 to 2"),
        ("W1'", {"row": 1, "output": 1}, "row and column, or output and unit"),
        ("W1'", {"unit": 1, "column": 1}, "row and column, or output and unit"),
        ("s1", {"column": 1}, "has one axis: give unit or row"),
        ("s1", {"output": 2}, "has one axis: give unit or row"),
        ("E", {"row": 1}, "is one number and needs none"),
    ):
        for ask in (d.expr, d.cases):
            with pytest.raises(ArgumentError) as caught:
                ask(name, **at)
            assert said in str(caught.value).replace("output and row", "row and output")


def test_what_would_be_too_large_is_refused_with_its_size_and_the_way_out():
    d = derive(Network.parse("64-64-64-10"))
    with pytest.raises(SizeError, match=r"operations.*max_operations=\d+"):
        d.expr("p")
    assert d.expr("p", keep=("W3'", "dv2", "s2", "s2'", "ds2", "vc"))
    small = derive(Network.parse("2-2-1"))
    with pytest.raises(SizeError):
        small.expr("p", max_operations=10)


def test_all_closed_forms_of_a_4_8_8_1_unit_can_be_had(order):
    d = derive(Network.parse("4-8-8-1"), order)
    for name in ("ds", "dv", "p", "P", "r", "v'", "s'"):
        assert d.expr(name, 1) is not None


def test_the_estimate_is_the_size(order):
    """The estimate is an upper bound on what SymPy counts, and not a wild one."""
    from fcsym.closed.closed_form import operations

    d = derive(Network.parse("2-2-1"), order)
    for name in ("s1", "y", "ds", "p", "P"):
        form = d.expr(name)
        counted, estimate = sympy.count_ops(form), operations(d, d[name])
        assert counted <= 2 * estimate + 10
        assert estimate <= 4 * counted + 10


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "tanh"])
def test_the_estimate_of_every_quantity_is_never_below_half(phi):
    from fcsym.closed.closed_form import operations

    d = derive(Network.mlp([1, 1, 1], phi, bias=True), "sequential")
    for equation in d.equations:
        if equation.defines:  # a statement has no value
            counted, estimate = sympy.count_ops(d.expr(equation.name)), operations(d, equation)
            assert counted <= 2 * estimate and estimate <= 8 * counted + 10, equation.name


def test_people_can_go_on_with_a_closed_form(order):
    """subs, evalf, diff, lambdify and the printers, in three layers, where SymPy's own Piecewise would not end."""
    d = derive(Network.parse("2-2-2-1"), order)
    form = d.expr("s2'", 1)
    source = random.Random(1)
    values = {s: sympy.Rational(source.randint(-9, 9), 7) for s in sorted(form.free_symbols, key=str)}
    exact = form.xreplace(values)
    assert exact.is_Rational
    assert form.subs(values) == exact
    assert abs(form.evalf(subs=values) - exact) < 1e-9
    target = sympy.Symbol("y_g", real=True)
    step, rest = sympy.Rational(1, 10**6), {s: v for s, v in values.items() if s != target}
    ahead = form.xreplace({**rest, target: values[target] + step})
    assert abs(form.diff(target).xreplace(values) - (ahead - exact) / step) < 1e-4
    function = sympy.lambdify(list(values), form, "math")
    assert abs(function(*map(float, values.values())) - float(exact)) < 1e-9
    for name in ("p", "r", "s2'"):
        assert r"\begin{cases}" in sympy.latex(d.expr(name, 1))
        assert "Piecewise(" in str(d.expr(name, 1))


# ------------------------------------------------------------------------------------ as people use SymPy

NAMES = ("y", "g1", "v1", "dv", "s'", "p", "r", "W1'")
NETWORKS = (("2-2-1", "relu"), ("2-2-1", "leaky_relu"), ("2-2-1", "tanh"), ("1-2-1", "sigmoid"))


@cache
def used(text, activation):
    """The closed forms of a step, their symbols, points in all cases and on kinks, and the exact values there."""
    d = derive(Network.parse(text, activation=activation), "sequential")
    forms = [d.expr(name, 1) for name in NAMES]
    symbols = sorted(set().union(*(form.free_symbols for form in forms)), key=str)
    source = random.Random(2)
    count = 12 if activation in ("tanh", "sigmoid") else 120
    points = [[sympy.Rational(source.choice([-2, -1, 0, 1, 1, 2, 3]), source.choice([1, 1, 2])) for _ in symbols]
              for _ in range(count)]  # fmt: skip
    eta = [symbol.name for symbol in symbols].index("eta")
    for point in points[::3]:
        point[eta] *= 60  # far enough for a leaky unit to change its piece
    points[0] = [point if symbol.name == "eta" else 0 * point for symbol, point in zip(symbols, points[0], strict=True)]
    values = [[number(form.xreplace(dict(zip(symbols, point, strict=True)))) for form in forms] for point in points]
    tables = [dict(zip(symbols, point, strict=True)) for point in points]
    for case in d.cases("p", 1):
        if case.possible and " = 0" not in case.name:
            reached = [table for table in tables if all(c.xreplace(table) == True for c in case.when)]  # noqa: E712
            assert reached, case.name
    assert any(d.expr("s1", 1).xreplace(table) == 0 for table in tables)  # on the kink
    return forms, symbols, points, values


def number(value):
    return math.nan if value is sympy.nan else float(value)


def assert_right(function, text, activation, of=float):
    _, _, points, values = used(text, activation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for point, true in zip(points, values, strict=True):
            found = [float(value) for value in function(*map(of, point))]
            np.testing.assert_allclose(found, true, rtol=1e-9, atol=1e-9)


def precise(value):
    return mpmath.mpf(int(value.p)) / int(value.q)


@pytest.mark.parametrize(("text", "activation"), NETWORKS)
@pytest.mark.parametrize("shared", [False, cse], ids=["as it is", "cse"])
def test_lambdify_takes_the_right_branch_and_warns_of_nothing(text, activation, shared):
    forms, symbols, points, values = used(text, activation)
    for modules, of in (("numpy", float), ("math", float), ("mpmath", precise)):
        assert_right(sympy.lambdify(symbols, forms, modules, cse=shared), text, activation, of)
    with warnings.catch_warnings():  # all points in one call: every row of every Piecewise is computed
        warnings.simplefilter("error")
        columns = np.array([[float(value) for value in point] for point in points]).T
        found = sympy.lambdify(symbols, forms, "numpy", cse=shared)(*columns)
    for one, true in zip(found, zip(*values, strict=True), strict=True):
        np.testing.assert_allclose(np.broadcast_to(one, len(points)), true, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("text", "activation"), NETWORKS)
def test_c_code_takes_the_right_branch(text, activation, tmp_path):
    need("gcc")
    forms, symbols, _, _ = used(text, activation)
    arguments = ", ".join(f"double {symbol}" for symbol in symbols)
    lines = [f"double f{n}({arguments}) {{ return {sympy.ccode(form)}; }}" for n, form in enumerate(forms)]
    (tmp_path / "f.c").write_text("\n".join(["#include <math.h>", *lines]) + "\n")
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "f.c", "-o", "f.so", "-lm"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "f.so"))
    functions = [getattr(library, f"f{n}") for n in range(len(forms))]
    for function in functions:
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * len(symbols)
    assert_right(lambda *point: [function(*point) for function in functions], text, activation)


@pytest.mark.parametrize(("text", "activation"), [*NETWORKS, ("2-2-2-1", "relu"), ("1-1-1", "gelu")])
def test_closed_forms_survive_pickle_and_copy(text, activation):
    d = derive(Network.parse(text, activation=activation, bias=True), "sequential")
    for name in NAMES:
        form = d.expr(name, 1)
        for again in (pickle.loads(pickle.dumps(form)), copy.deepcopy(form), copy.copy(form)):
            assert again == form and hash(again) == hash(form)
    for case in d.cases("p"):
        for again in (pickle.loads(pickle.dumps(case)), copy.deepcopy(case)):
            assert again == case and str(again) == str(case)


def test_numbers_are_real():
    d = derive(Network.parse("2-2-1"))
    form = d.expr("p")
    assert all(symbol.is_real for symbol in form.free_symbols)
    assert d.expr("a0").is_nonnegative and sympy.sqrt(d.expr("y") ** 2) == sympy.Abs(d.expr("y"))
    assert form.free_symbols >= {sympy.Symbol("eta", real=True)}


@pytest.mark.parametrize(("text", "activation"), NETWORKS)
def test_substitution_is_the_same_in_every_way_and_order(text, activation):
    """Also where a row is decided before it could divide by 0."""
    forms, symbols, points, values = used(text, activation)
    for point, true in zip(points[:8], values[:8], strict=True):
        table = list(zip(symbols, point, strict=True))
        for form, value in zip(forms[3:6], true[3:6], strict=True):
            for found in (
                form.subs(table),
                form.subs(table[::-1]),
                form.subs(dict(table[:4])).xreplace(dict(table[4:])),
            ):
                assert number(found) == pytest.approx(value, nan_ok=True, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("text", "activation"), NETWORKS)
def test_cse_of_sympy_gives_the_same_values(text, activation):
    """SymPy takes quotients out of their rows: what is not taken may be infinite there, and what is taken is right."""
    forms, symbols, points, values = used(text, activation)
    for replacements, rest in (sympy.cse(forms), cse(forms)):
        for point, true in zip(points[:8], values[:8], strict=True):
            table = dict(zip(symbols, point, strict=True))
            for name, expr in replacements:
                table[name] = expr.xreplace(table)
            for expr, value in zip(rest, true, strict=True):
                assert number(expr.xreplace(table)) == pytest.approx(value, nan_ok=True, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("text", "activation"), NETWORKS)
def test_a_derivative_is_that_of_the_branch(text, activation):
    """Off the kinks it is the limit of differences; a gate is a constant of its branch."""
    forms, symbols, points, _ = used(text, activation)
    eta, step = sympy.Symbol("eta", real=True), sympy.Rational(1, 10**8)
    compared = 0
    for form in forms[3:6]:
        slope = form.diff(eta)
        assert pickle.loads(pickle.dumps(slope)) == slope
        for point in points[:8]:
            table = dict(zip(symbols, point, strict=True))
            here, ahead, behind = (number(form.xreplace(table | {eta: table[eta] + k * step})) for k in (0, 1, -1))
            left, right = (here - behind) / float(step), (ahead - here) / float(step)
            if abs(left - right) < 1e-3 * max(1, abs(left)):
                assert number(slope.xreplace(table)) == pytest.approx(right, rel=1e-2, abs=1e-2)
                compared += 1
    assert compared > 8


def test_a_name_may_stand_for_a_condition():
    form = derive(Network.parse("2-2-1")).expr("g1")
    (condition,) = form.atoms(sympy.Gt)
    name = sympy.Symbol("named")
    renamed = form.xreplace({condition: name})
    assert renamed.has(name) and renamed.xreplace({name: condition}) == form == renamed.subs(name, condition)
    assert sympy.latex(form).startswith(r"\begin{cases}")


def test_the_steps_of_a_recurrence_are_told_apart():
    net = Network.sequential((3, 1), [RNN(1, 1, bias=False), RNN(1, 1, bias=False, last=True), Linear(1, 1)])
    d = derive(net)
    assert str(d.expr("U1'", row=1, column=1, keep=("h1_t1", "h1_t2", "delta1_t2", "delta1_t3"))) == (
        "U1_1_1 - eta*(delta1_t2_1*h1_t1_1 + delta1_t3_1*h1_t2_1)"
    )
