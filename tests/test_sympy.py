"""SymPy in and out: equations as SymPy objects and back, and the lambdified step."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import sympy

import fcsym
from fcsym.closed.sharing import cse
from fcsym.derivation import TARGETS
from fcsym.gallery import Case, read
from fcsym.language.algebra import equal
from fcsym.language.equation import Cases
from fcsym.language.expression import Apply, Array, Ref
from fcsym.language.sympy_bridge import Greatest, Least, Symbolic, to_sympy

GALLERY = sorted((Path(__file__).parent.parent / "derivations").glob("*/spec.toml"))
N0 = sympy.Symbol("n_0", integer=True, positive=True)
S, T = sympy.Symbol("s", real=True), sympy.Symbol("t", real=True)
Q, U = Ref(Array("q", None, ()), ()), Ref(Array("u", None, ()), ())


def derived(text="2-2-1", order="sequential", **options):
    return fcsym.derive(fcsym.Network.parse(text, **options), order)


# ---------------------------------------------------------------------------------------------------------- and back


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.parent.name)
def test_every_equation_of_the_gallery_comes_back_as_it_was(path):
    d = Case(read(path)).derivation
    for equation in d:
        back = fcsym.from_sympy(d.sympy(equation.name))
        assert back == equation
        assert str(back) == str(equation)  # what phi' is printed with, too


@pytest.mark.parametrize("name", ["states", "history", "collapsed"])
def test_every_equation_of_a_scheme_comes_back_as_it_was(name):
    for part in fcsym.scheme(fcsym.Network.parse("2-2-1"), name).parts:
        for equation in part:
            assert fcsym.from_sympy(part.sympy(equation.name)) == equation


@pytest.mark.parametrize("activation", ["relu", "identity", "gelu"])
def test_a_pair_of_sides_survives_pickle_and_copy(activation):
    d = derived(activation=activation, bias=True)
    for equation in d:
        for evaluate in (False, True):
            made = d.sympy(equation.name, evaluate)
            for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
                assert again == made
                assert hash(again.rhs) == hash(made.rhs)


def test_what_sympy_has_sorted_says_the_same():
    d = derived("2-3-2")
    for equation in d:
        made = d.sympy(equation.name, evaluate=True)
        back = fcsym.from_sympy(made)
        if isinstance(equation.rhs, Cases):
            pairs = [(a.value, b.value) for a, b in zip(back.rhs, equation.rhs, strict=True)]
        else:
            pairs = [(back.rhs, equation.rhs)]
        for found, true in pairs:
            assert (found is None) == (true is None)
            assert found == true or equal(found, true)


def test_what_was_changed_in_sympy_is_read_and_not_remembered():
    d = derived()
    made = d.sympy("ds1")
    twice = Symbolic(made.lhs, 2 * made.rhs, made.of)
    assert str(fcsym.from_sympy(twice)).startswith("ds1[i] = -2*")
    assert pickle.loads(pickle.dumps(twice)).lhs == made.lhs


# ---------------------------------------------------------------------------------------------- what people expect


def test_an_equation_is_made_of_indexed_real_numbers_and_sums_over_widths():
    lhs, rhs = derived().sympy("s1")
    assert isinstance(lhs, sympy.Indexed) and isinstance(rhs, sympy.Sum)
    assert lhs.is_real and rhs.is_real
    ((j, lower, upper),) = rhs.limits
    assert (lower, upper) == (0, N0 - 1) and isinstance(j, sympy.Idx)
    weight, x = rhs.function.args
    assert weight.base.shape == (sympy.Symbol("n_1", integer=True, positive=True), N0)
    assert rhs.diff(weight) == sympy.Sum(x, (j, 0, N0 - 1))  # as SymPy has it for an index that is bound
    assert str(rhs.subs(N0, 2).doit()) == "W1[i, 0]*x[0] + W1[i, 1]*x[1]"
    assert str(derived().sympy("s1")) == "s1[i] = Sum(W1[i, j]*x[j], (j, 0, n_0 - 1))"


def test_an_equation_can_be_lambdified_as_it_stands():
    lhs, rhs = derived().sympy("s1")
    weight, x = rhs.function.args
    function = sympy.lambdify([weight.base, x.base, lhs.indices[0], N0], rhs, "numpy")
    assert function(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]), 1, 2) == 43


def test_cases_are_rows_and_nothing_is_nan():
    rhs = derived().sympy("p").rhs
    assert isinstance(rhs, sympy.Piecewise)
    assert [row.expr for row in rhs.args][1:] == [-rhs.args[0].expr.args[0], 0, sympy.nan]
    assert "NAN" in sympy.ccode(rhs)
    elements = {str(part): part for part in rhs.atoms(sympy.Indexed)}
    dead = {elements["s1[j]"]: 1, elements["s1_new[j]"]: -1}
    assert rhs.subs(dead) == -elements["W2_new[k, j]"]


def test_an_equal_sign_stays_an_equation():
    made = derived().sympy("y")
    assert isinstance(made.eq, sympy.Eq) and (made.eq.lhs, made.eq.rhs) == tuple(made)
    assert made._repr_latex_() == (r"$\displaystyle {y}_{k} = \sum_{j=0}^{n_{1} - 1} {W_{2}}_{k,j} {v_{1}}_{j}$")
    same = to_sympy(derived()["y"])
    assert isinstance(sympy.Eq(same.lhs, same.lhs, evaluate=False), sympy.Eq)


def test_the_least_of_some_numbers_is_known_by_name():
    made = fcsym.scheme(fcsym.Network.parse("2-2-1"), "collapsed").init
    least = next(found for found in (part.rhs for part in map(made.sympy, made.by_name)) if "Least" in str(type(found)))
    n = next(iter(least.limits[0][2].free_symbols))
    assert isinstance(least.subs(n, 2).doit(), sympy.Min)


@pytest.mark.parametrize("kind, plain", [(Least, sympy.Min), (Greatest, sympy.Max)])
def test_the_least_and_the_greatest_are_written_out(kind, plain):
    """Over every place between the limits, the last one too; not before both limits are numbers."""
    x, n = sympy.IndexedBase("x", real=True), sympy.Symbol("n", integer=True)
    i, j = sympy.symbols("i j", integer=True)
    chosen = kind(2 * x[i, j], (i, 0, 1), (j, 1, n))
    assert chosen.doit() == chosen
    assert chosen.subs(n, 2).doit() == plain(*(2 * x[a, b] for a in (0, 1) for b in (1, 2)))
    assert chosen.subs(n, 2).is_extended_real


def test_sympy_is_not_imported_unless_it_is_asked_for():
    text = "import sys, fcsym; fcsym.derive(fcsym.Network.parse('2-2-1'))['p']; assert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", text], check=True)


# --------------------------------------------------------------------------------------------- expressions of one's own


def test_an_expression_over_a_derivation_is_read():
    d = derived()
    eta = sympy.Symbol("eta", real=True)
    assert repr(fcsym.from_sympy(d.sympy("s1").rhs * eta / 2, d)) == "(1/2)*eta*sum(j: W1[i, j]*x[j])"
    slope = d.sympy("v1").rhs.diff(d.sympy("s1").lhs)
    assert repr(fcsym.from_sympy(slope, d)) == "relu'(s1[i])"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (3, "3"),
        (sympy.Rational(1, 7), "1/7"),
        (S**2 / 3 + T * S - 0.1, "(1/3)*(q**2) + u*q - 1/10"),
        (sympy.Float("0.01") * S, "(1/100)*q"),
        (sympy.tanh(S), "tanh(q)"),
        (sympy.tanh(2 * S + T), "tanh(u + 2*q)"),
        (S * (1 - sympy.tanh(S) ** 2), "q*tanh'(q)"),
        (1 / (1 + sympy.exp(-S)), "sigmoid(q)"),
        (sympy.log(1 + sympy.exp(S)), "softplus(q)"),
    ],
)
def test_an_expression_over_symbols_is_read(found, text):
    read_back = fcsym.from_sympy(found, {S: Q, T: U})
    flipped = repr(read_back)
    assert sorted(flipped) == sorted(text)  # SymPy sorts sums, and not the same in every version


def test_cases_of_one_s_own_exclude_each_other():
    """SymPy takes the first row that holds."""
    table = fcsym.from_sympy(sympy.Piecewise((S, S > 1), (2, S > 0), (T, True)), {S: Q, T: U})
    assert [" and ".join(map(str, row.when)) for row in table] == ["q > 1", "q > 0 and q <= 1", "q <= 1 and q <= 0"]
    assert (
        fcsym.from_sympy(sympy.Piecewise((S, S <= 1), (T, S > 1)), {S: Q, T: U}).branches[1].when
        == table.branches[0].when
    )
    assert [row.value for row in table] == [Q, fcsym.from_sympy(2), U]


@pytest.mark.parametrize(
    "found",
    [
        sympy.sin(S), S**T, sympy.pi * S, sympy.sqrt(2) * S, sympy.oo, sympy.zoo, sympy.nan, sympy.I * S,
        sympy.Symbol("z"), 1 + sympy.Piecewise((S, S > 0), (T, True)), sympy.Max(S, T), sympy.Eq(S, T),
        S > 0, sympy.Matrix([S]),
        sympy.Sum(S, (T, 0, 3)), sympy.Integral(S, S), sympy.Piecewise((S, (S > 0) & (T > 0)), (T, True)),
        sympy.Piecewise((S, (S > 0) | (T > 0)), (T, True)), sympy.IndexedBase("W")[sympy.Idx("i")], float("nan"),
        sympy.Function("f")(S), sympy.Symbol("s"), "s + 1", None, [S], object(),
    ],
)  # fmt: skip
def test_what_the_language_has_not_is_refused_in_one_sentence(found):
    with pytest.raises(fcsym.FcsymError) as caught:
        fcsym.from_sympy(found, {S: Q, T: U})
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_symbols_without_assumptions_are_others():
    with pytest.raises(fcsym.FcsymError, match="real=True"):
        fcsym.from_sympy(sympy.Symbol("eta"), derived())
    with pytest.raises(fcsym.ArgumentError, match="names is a int"):
        fcsym.from_sympy(S, 5)


def test_no_text_is_evaluated(monkeypatch):
    monkeypatch.setattr(sympy, "parse_expr", lambda *_: pytest.fail("a text is evaluated"))
    for text in ("__import__('os').getcwd()", "eta"):
        with pytest.raises(fcsym.ArgumentError, match="no text is evaluated"):
            fcsym.from_sympy(text, derived())


def test_the_language_s_own_functions_are_what_sympy_says():
    """Whatever is smooth can be read at a number that stands for itself."""
    for name in fcsym.language.activation.SMOOTH:
        node = Apply(fcsym.language.activation.smooth(name), Q)
        written = to_sympy(derived(activation=name)["v1"]).rhs
        (element,) = written.atoms(sympy.Indexed)
        assert fcsym.from_sympy(written.xreplace({element: S}), {S: Q}) == node


# ------------------------------------------------------------------------------------------------- the lambdified step


@pytest.mark.parametrize(
    ("text", "activation", "bias", "dtype"),
    [
        ("2-2-1", "relu", False, np.float64),
        ("2-2-1", "leaky_relu", True, np.float32),
        ("2-3-2", "tanh", True, np.float64),
        ("2-2-1", "softplus", False, np.float64),
        ("2-2-1", "gelu", False, np.float64),
        ("2-2-2-1", "relu", False, np.float64),
        ("3-2", "relu", False, np.float64),
    ],
)
def test_the_lambdified_step_agrees_with_autodiff(order, text, activation, bias, dtype):
    d = derived(text, order, activation=activation, bias=bias)
    assert fcsym.check(d, 200, target="lambdify", dtype=dtype).passed


def test_the_other_order_is_found_out():
    assert not fcsym.check(derived(), 200, target="lambdify", against="simultaneous").passed


@pytest.mark.parametrize("activation", ["leaky_relu", "sigmoid"])
def test_the_lambdified_step_is_called_as_the_numpy_kernel_is(activation):
    d = derived("2-3-1", activation=activation, bias=True)
    rng = np.random.default_rng(1)
    weights = [rng.integers(-2, 3, size=(40, *d.network.shape(a))) / 2 for a in d.network.parameters]
    arguments = weights, np.array([1.0, 0.0]), rng.normal(size=(40, 1)), 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = d.compile("lambdify").step(*arguments, undefined="nan")
    true = d.compile().step(*arguments, undefined="nan")
    assert found._fields == true._fields
    for one, other in zip(found, true, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    if activation == "leaky_relu":
        assert found.undefined.any()
        with pytest.raises(fcsym.UndefinedContribution):
            _ = d.compile("lambdify").step(*arguments).p


def test_nothing_is_computed_outside_of_its_guard():
    """Both rows divide by the same number, and only where it is positive."""
    v, s = sympy.symbols("v s", real=True)
    rows = [sympy.Piecewise((s / v, v > 0), (n, True)) for n in (0, 1)]
    replacements, rest = cse(rows)
    assert not any(expr.has(sympy.Pow) for _, expr in replacements)
    assert [row.subs({v: 0}) for row in rest] == [0, 1]
    assert cse([s / v, rows[0]])[0]  # computed anyway
    assert cse((s + v) ** 2 + sympy.sin(s + v))[0][0][1] == s + v
    source = derived("2-2-1", activation="leaky_relu").compile("lambdify").source
    for line in source.splitlines():
        assert "/" not in line.replace("1/100", "").replace("1/2", "") or "where(" in line


def test_a_reader_s_names_do_not_reach_the_source(tmp_path):
    """Weights may be called as NumPy's functions are."""
    file = tmp_path / "net.toml"
    file.write_text('widths = [1, 1, 1]\nnames = ["where", "greater"]\n')
    d = fcsym.derive(fcsym.Network.load(file))
    assert fcsym.check(d, 50, target="lambdify").passed


def test_what_is_too_large_is_refused_with_its_size():
    with pytest.raises(fcsym.SizeError, match=r"about 3\.2e\+04 operations, more than 20000: compile for numpy"):
        derived("64-64-1").compile("lambdify")


def test_targets_of_a_derivation_are_listed(capsys):
    with pytest.raises(fcsym.CompileError) as caught:
        derived().compile("c")
    for text in (str(caught.value), fcsym.Derivation.compile.__doc__):
        assert all(name in text for name in TARGETS)
    from fcsym.cli import main

    with pytest.raises(SystemExit):
        main(["check", "--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in TARGETS)
    assert main(["check", "2-2-1", "--target", "lambdify", "--trials", "50"]) == 0
    assert main(["check", "2-2-1", "--target", "c"]) == 2
    assert main(["check", "2-2-1", "--scheme", "states", "--target", "lambdify"]) == 2
