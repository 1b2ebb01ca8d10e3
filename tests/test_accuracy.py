"""Smooth functions in the code of every target, against balls: near 0, far from it, and where terms cancel.

The measure of an error is eps (|f| + |s f'|), a rounding of the value and what a rounding of s moves it by.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import sympy
from conftest import need, need_package

import fcsym
from fcsym.checking.functions import phi_of, slope_of
from fcsym.kernel import neutral as n
from fcsym.kernel.bound import FUNCTIONS
from fcsym.kernel.lower import _named_once, _smooth
from fcsym.kernel.native import Call, load
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c_native import native_text, work_of
from fcsym.kernel.targets.jax import DIALECT as JAX
from fcsym.kernel.targets.numpy import DIALECT as NUMPY
from fcsym.kernel.targets.numpy import helpers
from fcsym.kernel.targets.straight import python_function, unroll
from fcsym.kernel.targets.torch import DIALECT as TORCH
from fcsym.language import smooth_functions
from fcsym.language.accurate import POINTS
from fcsym.language.activation import SMOOTH, smooth
from fcsym.language.expression import Array, Axis, Index

s = sympy.Symbol("s", real=True)
exp, tanh, sqrt, log = sympy.exp, sympy.tanh, sympy.sqrt, sympy.log

OWN = {
    "mish": s * tanh(log(1 + exp(s))),
    "mish_as_a_quotient": s * ((1 + exp(s)) ** 2 - 1) / ((1 + exp(s)) ** 2 + 1),
    "logistic": 1 / (1 + exp(-s)),
    "log_logistic": log(1 / (1 + exp(-s))),
    "softsign": s / (1 + sympy.Abs(s)),
    "bump": exp(-(s**2)),
    "scaled": sympy.Rational(17159, 10000) * tanh(2 * s / 3),
    "elu": sympy.Piecewise((s, s > 0), (exp(s) - 1, True)),
    "isru": s / sqrt(1 + s**2),
    "gelu_by_tanh": s / 2 * (1 + tanh(sqrt(2 / sympy.pi) * (s + sympy.Float("0.044715") * s**3))),
    "tanh_as_a_quotient": (exp(s) - exp(-s)) / (exp(s) + exp(-s)),
    "bent": (sqrt(s**2 + 1) - 1) / 2 + s,
    "softplus_of_two": log(1 + exp(2 * s)) / 2,
    "serf": s * sympy.erf(log(1 + exp(s))),
    "waves": s + sympy.sin(s) ** 2,
    "turn": sympy.atan(s),
}

KINDS = {**{name: smooth(name) for name in SMOOTH}, **{name: smooth(name, form) for name, form in OWN.items()}}

AS_ONE = {("tanh", 1)}
"""1 - tanh^2 is as exact as a number of size 1: it takes nothing but the value."""

MOST = {"numpy": 4, "numbers": 4, "c": 4, "jax": 8, "torch": 4}
"""The largest error that is allowed, in the measure above."""

AT = np.array([0.0, *map(float, POINTS), -1.1924512, -0.7517915, -1.2784645], np.float32)  # numbers of both precisions
ROW = Axis(1)
i = Index(ROW, "i")
U = Array("u", None, (ROW,))


def ball(node, x):
    """A SymPy expression as a Taylor series of balls: nothing is shared with what is tested."""
    import flint

    if node.is_Symbol:
        return x
    if node.is_Rational:
        return flint.arb_series([flint.arb(int(node.p)) / int(node.q)], 2)
    if node.is_Float:
        return ball(sympy.Rational(str(node)), x)
    if node is sympy.pi:
        return flint.arb_series([flint.arb.pi()], 2)
    if isinstance(node, sympy.Piecewise):
        (a, condition), (b, _) = node.args
        return ball(a if condition.subs(s, sympy.Rational(str(float(x[0].mid())))) else b, x)
    parts = [ball(part, x) for part in node.args]
    if node.is_Add:
        return sum(parts[1:], parts[0])
    if node.is_Mul:
        return math.prod(parts[1:], start=parts[0])
    if node.is_Pow:
        power, half = divmod(int(2 * node.exp), 2)
        whole = math.prod([parts[0]] * abs(power), start=flint.arb_series([1], 2))
        whole = whole if power >= 0 else 1 / whole
        return whole * parts[0].sqrt() if half else whole
    if isinstance(node, sympy.tanh):
        large, small = parts[0].exp(), (-parts[0]).exp()
        return (large - small) / (large + small)
    if isinstance(node, sympy.Abs):
        return -parts[0] if parts[0][0] < 0 else parts[0]
    return getattr(parts[0], node.func.__name__)()


@cache
def truth():
    """{name: (phi, phi', phi'') at every point}, as close as double precision is."""
    need_package("flint")
    import flint

    before, flint.ctx.prec = flint.ctx.prec, 2500
    try:
        found = {}
        for name, phi in KINDS.items():
            plain = OWN.get(name)
            if plain is None:
                plain = smooth_functions.expression(phi).xreplace({smooth_functions.symbols()[0]: s})
            slope = sympy.diff(plain, s).replace(sympy.sign, lambda u: u / sympy.Abs(u))
            rows = []
            for at in AT:
                x = flint.arb_series([flint.arb(float(at)), 1], 2)
                beside = x if at else x + flint.arb("1e-600")  # u/|u| has no value at 0
                value, first = ball(plain, x), ball(slope, beside)
                assert all(float(part.rad()) < 1e-300 for part in (value[0], first[0], first[1]))
                rows.append([float(value[0]), float(first[0]), float(first[1])])
            found[name] = np.array(rows).T
        return found
    finally:
        flint.ctx.prec = before


def function():
    """Every phi and phi' at u, as one function."""
    statements, results = [], []
    for name, phi in KINDS.items():
        for order in (0, 1):
            own = f"{name}_{order}"
            statements += _named_once(own, (i,), _smooth(smooth_functions.form(phi, order), {"s": n.Load("u", (i,))}))
            results.append(Array(own, None, (ROW,)))
    return n.Function("output", "Every function.", (), (U,), tuple(statements), tuple(results), False)


def by_c(dtype):
    need("gcc")
    made = function()
    same = n.Function("init", "The same.", (), (U,), (), (U,), False)
    moved = n.Define("u_new", (i,), n.Sum(((1, n.Load("u", (i,))), (-1, n.Const(1)))))
    step = n.Function("step", "Nothing much.", (), (U,), (moved,), (Array("u_new", None, (ROW,)),), False)
    rest = n.Function("expand", "The same.", (), (U,), (), (U,), False)
    module = n.Module(
        "", "none", "none", "none", (same, step, made, rest), (U,), (U,), {}, {ROW: len(AT)}, False, False, (), ""
    )
    library = load(native_text(module), dtype)
    results = [np.zeros(len(AT), dtype) for _ in made.results]
    call = Call(len(results) + 1)
    call.set(networks=1)
    for place, array in enumerate([AT.astype(dtype), *results]):
        call.place(place, array, 0)
    call.point(work=np.empty(work_of(module).at(0) + 1, dtype))
    assert library.function("output")(call.address) == 0
    return results


def by_numbers(dtype):
    if dtype != np.float64:
        pytest.skip("Python has one precision")
    flat = unroll(function(), {ROW: 1}, {})
    made = [array.name for array in function().results]
    text = python_function(flat, "output", ["u_1"], ["u_1"], []).replace("def output(s=s)", "def output(s)")
    text += f"    return [{', '.join(f'{name}_1' for name in made)}]\n"
    namespace = dict(FUNCTIONS)
    exec(text, namespace)
    return np.array([namespace["output"]([float(at)]) for at in AT]).T


def by_arrays(target, dtype):
    namespace = {"np": np, "math": math}
    dialect, given, enough = NUMPY, AT.astype(dtype), np.errstate(over="raise", divide="raise", invalid="raise")
    if target == "jax":
        jax = need_package("jax")
        namespace |= {"jax": jax, "jnp": jax.numpy}
        dialect, enough = JAX, jax.enable_x64(dtype == np.float64)
    if target == "torch":
        torch = namespace["torch"] = need_package("torch")
        dialect, given = TORCH, torch.as_tensor(given)
    text = function_text(function(), dialect)
    exec("\n".join([*(helpers(text) if target == "numpy" else []), text]), namespace)
    with enough:
        if target == "jax":
            given = namespace["jnp"].asarray(given)
        return [np.asarray(array) for array in namespace["output"](given)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("target", list(MOST))
def test_every_target_computes_every_function_to_a_few_roundings(target, dtype):
    found = by_c(dtype) if target == "c" else by_numbers(dtype) if target == "numbers" else by_arrays(target, dtype)
    about = np.finfo(dtype)
    for k, (name, order) in enumerate((name, order) for name in KINDS for order in (0, 1)):
        true = truth()[name]
        value, slope, at = true[order], true[order + 1], AT.astype(np.float64)
        assert np.asarray(found[k]).dtype == dtype
        size = about.eps * (1.0 if (name, order) in AS_ONE else np.abs(value) + np.abs(at * slope))
        errors = np.abs(np.asarray(found[k], np.float64) - value) / (size + 4 * about.tiny * (1 + np.abs(at)))
        worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
        assert errors[worst] <= MOST[target], (name, order, at[worst], found[k][worst], value[worst])


def test_the_oracle_is_as_good():
    """Which has forms of its own, and differentiates by itself."""
    for name, phi in KINDS.items():
        value, slope, bend = truth()[name]
        at = AT.astype(np.longdouble)
        with np.errstate(over="ignore"):
            pairs = (phi_of(phi, at), value, slope), (slope_of(phi, at), slope, bend)
        for found, true, more in pairs:
            size = np.finfo(float).eps * (np.abs(true) + np.abs(at * more)) + 1e-300
            if phi.formula:
                assert np.max(np.abs(found - true) / size) <= 8, name  # a check allows twice as much
            else:  # of size 1, as it is written by hand
                np.testing.assert_allclose(found.astype(float), true, rtol=1e-15, atol=1e-16, err_msg=name)


def test_what_is_measured_in_rounded_numbers_is_what_targets_have():
    """`bound` says beforehand how good a form is; the forms that no rule makes good are few, and known."""
    for name, phi in KINDS.items():
        for order in (0, 1):
            assert smooth_functions.bound(phi, order) < 4 or (name, order) in AS_ONE, (name, order)
    asinh = smooth("own", log(s + sqrt(s**2 + 1)))  # cancels where s is below 0
    assert smooth_functions.bound(asinh, 0) > 1e6
    assert smooth_functions.bound(asinh, 1) < 4


def test_the_digits_of_a_function_are_its_own():
    """What files are tested with, to 50 digits, where 50 digits are not enough to compute it."""
    import mpmath

    with mpmath.workdps(50):
        found = smooth_functions.value(smooth("tanh"), 1, mpmath.mpf(150))
        assert abs(found / (4 * mpmath.exp(-300)) - 1) < mpmath.mpf(10) ** -48
        found = smooth_functions.value(smooth("mish", OWN["mish"]), 0, mpmath.mpf(-200))
        assert abs(found / (-200 * mpmath.exp(-200)) - 1) < mpmath.mpf(10) ** -45


def test_a_kernel_of_a_network_overflows_nowhere():
    phi = fcsym.smooth("mish", OWN["mish"])
    kernel = fcsym.derive(fcsym.Network.mlp([1, 1, 1], phi)).compile()
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        result = kernel.step([np.array([[[a]] for a in (-5000.0, 5000.0)]), np.ones((2, 1, 1))], [1.0], [0.0], 1e-9)
    assert result.v1[:, 0].tolist() == [0.0, 5000.0] and result.g1[:, 0].tolist() == [0.0, 1.0]
