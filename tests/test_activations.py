"""Activations of every kind, through derivation, proof, kernel and check; the slope at a kink as declared."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from fractions import Fraction
from io import StringIO

import numpy as np
import pytest
import sympy
from conftest import ORDERS, need, need_package
from exact import step
from rich.console import Console

import fcsym
from fcsym.checking.functions import phi_of, slope_of
from fcsym.cli import main
from fcsym.derivation import derive
from fcsym.errors import NetworkError
from fcsym.kernel import neutral
from fcsym.kernel.export import TARGETS
from fcsym.kernel.lower import _node, lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.language import smooth_functions
from fcsym.language.activation import BUILT_IN, SMOOTH, Piece, piecewise_linear, smooth
from fcsym.language.expression import Apply, Array, Index
from fcsym.language.formulas import evaluate, mpmath_table
from fcsym.networks.network import Network
from fcsym.networks.symbols import units
from fcsym.schemes import every_scheme

PIECES = {
    "absolute": "[{ upper = 0, slope = -1 }, { slope = 1 }]",
    "hard_tanh": "[{ upper = -1, slope = 0, intercept = -1 }, { upper = 1, slope = 1 }, { slope = 0, intercept = 1 }]",
    "relu6": "[{ upper = 0, slope = 0 }, { upper = 6, slope = 1 }, { slope = 0, intercept = 6 }]",
    "leaky": "[{ upper = 0, slope = 0.25 }, { slope = 1 }]",
    "maxout": "[{ upper = -1, slope = -0.5 }, { upper = 2, slope = 0, intercept = 0.5 }, "
    "{ slope = 1.5, intercept = -2.5 }]",  # never 0
}


def own(tmp_path, name, widths, slope="0"):
    path = tmp_path / "net.toml"
    path.write_text(
        f'widths = {widths}\nactivation = "{name}"\n[[activations]]\nname = "{name}"\n'
        f"slope_at_kink = {slope}\npieces = {PIECES[name]}\n"
    )
    return fcsym.Network.load(path)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PIECES)
def test_pieces_from_a_file(name, order, tmp_path):
    deep = fcsym.derive(own(tmp_path, name, [2, 3, 2, 1]), order=order)
    assert deep.proof.holds, [f for f in deep.proof.findings if f.verdict.value in ("REFUTED", "UNDECIDED")][:3]
    report = fcsym.check(fcsym.derive(own(tmp_path, name, [2, 4, 1]), order=order), trials=300)
    assert report.passed, str(report)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", [*SMOOTH, "exp"])
def test_smooth_ones_by_name(name, order):
    d = fcsym.derive(fcsym.Network.mlp([2, 3, 2, 1], activation=name, bias=True), order=order)
    assert d.proof.holds
    assert "P" not in d.by_name
    assert fcsym.check(d, trials=300).passed
    assert not fcsym.check(d, trials=300, against=next(o for o in ORDERS if o != order)).passed


@pytest.mark.parametrize("name", ["softplus", "gelu"])
@pytest.mark.parametrize("scheme", ["weights", "compensation", "states", "history", "basis"])
def test_smooth_ones_in_schemes(name, scheme):
    s = fcsym.scheme(fcsym.Network.mlp([3, 3, 2], activation=name), scheme)
    assert s.proof.holds and fcsym.check(s, trials=20, steps=40).passed


@pytest.mark.parametrize("name", SMOOTH)
def test_the_slope_is_the_limit_of_differences(name):
    """phi' of the kernel and of the oracle against a difference quotient of phi, which knows no formula for phi'."""
    s = np.linspace(-4, 4, 41)
    h = 1e-5
    wide = s.astype(np.longdouble)
    quotient = (phi_of(smooth(name), wide + h) - phi_of(smooth(name), wide - h)) / (2 * h)
    np.testing.assert_allclose(slope_of(smooth(name), wide), quotient, rtol=0, atol=1e-9)
    kernel = fcsym.derive(fcsym.Network.mlp([1, 1, 1], activation=name)).compile()
    ones = np.ones((len(s), 1, 1))
    result = kernel.step([s[:, None, None], ones], np.ones((len(s), 1)), np.zeros((len(s), 1)), 0.1)
    np.testing.assert_allclose(result.g1[:, 0], quotient, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_closed_forms_of_smooth_ones(name):
    """The closed form, in numbers, is what the kernel computes."""
    net = fcsym.Network.mlp([1, 2, 1], activation=name)
    d = fcsym.derive(net, order="sequential")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=net.shape(a)) for a in net.parameters]
    x, target, eta = np.array([0.7]), np.array([0.2]), 0.1
    p = d.expr("p", unit=1, case="v^c != 0")
    names = {str(symbol): symbol for symbol in p.free_symbols}
    values = {"x_1": 0.7, "y_g": 0.2, "eta": 0.1}
    values |= {f"W1_{j + 1}_1": weights[0][j, 0] for j in range(2)} | {
        f"W2_1_{j + 1}": weights[1][0, j] for j in range(2)
    }
    found = float(p.subs({names[name]: value for name, value in values.items() if name in names}))
    assert np.isclose(found, d.compile().step(weights, x, target, eta).p[0, 0], rtol=1e-10)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PIECES)
def test_the_slope_at_every_kink_is_the_declared_one(name, order, tmp_path):
    """A unit exactly on a kink, against a step written out by hand with the declared slope."""
    kinks = own(tmp_path, name, [1, 1, 1]).layers[0].activation.kinks
    net = own(tmp_path, name, [1, 1, 1], slope=str([n / 4 for n in range(1, len(kinks) + 1)]))
    phi = net.layers[0].activation
    kernel = fcsym.derive(net, order=order).compile()
    for n, kink in enumerate(kinks):
        weights = [[[kink]], [[Fraction(1, 2)]]]
        true = step(
            (1, 1, 1), weights, [Fraction(1)], [Fraction(2)], Fraction(1, 8), order, phi=phi.value_at,
            slope=lambda s, k=kink, m=n: Fraction(m + 1, 4) if s == k else phi.pieces[phi.piece_at(s)].slope,
        )  # fmt: skip
        result = kernel.step([np.array([[float(kink)]]), np.array([[0.5]])], [1.0], [2.0], 0.125, undefined="nan")
        assert result.g1[0] == (n + 1) / 4
        assert result.W1_new[0, 0] == float(true.w[0][0][0]) and result.W2_new[0, 0] == float(true.w[1][0][0])


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", SMOOTH)
def test_the_files_of_every_target_agree_with_exact_evaluation(name, target, tmp_path):
    s = fcsym.scheme(fcsym.Network.mlp([2, 3, 1], name, bias=True), "states")
    files = TARGETS[target].files(lower_scheme(s), "update", frozen_rows(s, 10))
    if target == "c":
        need("gcc")
        need("make")
        for file, text in files.items():
            (tmp_path / file).write_text(text)
        done = subprocess.run(["make", "-s", "-f", "update.mk", "test"], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout.count("agree with exact evaluation") == 2, done.stderr
        return
    if target != "numpy":
        need_package(target)
    module = {"__name__": "exported"}
    exec(compile(files["update.py"], "<exported>", "exec"), module)
    assert "agree with exact evaluation" in module["selftest"]()


# ------------------------------------------------------------------------------------------------ slopes at kinks


IN_TORCH = {"relu": "ReLU", "leaky_relu": "LeakyReLU"}
"""The modules of torch.nn for the built-in activations that have kinks."""


def test_the_slope_at_a_kink_is_that_of_pytorch():
    """At each kink exactly; a new built-in activation needs its module here."""
    torch = need_package("torch")
    for name in BUILT_IN:
        phi = fcsym.Network.mlp([1, 1, 1], name).layers[0].activation
        for kink, slope in zip(phi.kinks, phi.kink_slopes, strict=True):
            s = torch.tensor(float(kink), dtype=torch.float64, requires_grad=True)
            getattr(torch.nn, IN_TORCH[name])()(s).backward()
            assert float(slope) == float(s.grad), name


@pytest.mark.parametrize("name", [*BUILT_IN, *PIECES])
def test_the_slope_at_a_kink_is_a_subgradient_and_that_on_the_left(name, tmp_path):
    """Between the slopes of the two pieces, unless something else is declared."""
    if name in BUILT_IN:
        net = fcsym.Network.mlp([1, 1, 1], name)
    else:
        file = tmp_path / "net.toml"
        file.write_text(
            f'widths = [1, 1, 1]\nactivation = "own"\n[[activations]]\nname = "own"\npieces = {PIECES[name]}\n'
        )
        net = fcsym.Network.load(file)
    phi = net.layers[0].activation
    for n, slope in enumerate(phi.kink_slopes):
        left, right = phi.pieces[n].slope, phi.pieces[n + 1].slope
        assert min(left, right) <= slope <= max(left, right)
        assert slope == left


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_leaky_unit_at_zero_goes_on_learning(target):
    """dE/dW1 = slope * w * dE/dy * x with the slope 1/100 of the leaky ReLU at 0, and not 0."""
    if target == "c":
        need("gcc")
    elif target != "numpy":
        need_package(target)
    array = {"torch": lambda a: need_package("torch").tensor(a, dtype=need_package("torch").float64)}.get(
        target, np.array
    )
    kernel = fcsym.scheme(fcsym.Network.mlp([1, 1, 1], "leaky_relu"), "backprop").compile(target)
    state = kernel.step(
        kernel.init([array([[0.0]]), array([[2.0]])], array([1.0])), array([1.0]), array([3.0]), array(0.5)
    )
    assert float(np.asarray(state[0])[0, 0]) == pytest.approx(0.5 * 0.01 * 2 * 3, rel=1e-6)


WRITTEN = {
    "1/2": Fraction(1, 2),
    "0.25": Fraction(1, 4),
    " 1/3 ": Fraction(1, 3),
    "1e-2": Fraction(1, 100),
    ".5": Fraction(1, 2),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_fractions_and_decimals_may_be_written(text, tmp_path, capsys):
    """In Python, in a network file and on the command line."""
    value = WRITTEN[text]
    assert fcsym.relu(text).kink_slopes == fcsym.relu(value).kink_slopes == (value,)
    assert fcsym.leaky_relu(text).pieces[0].slope == value
    assert fcsym.derive(fcsym.Network.parse("2-2-1"), slope_at_kink=text).network.layers[0].activation.kink_slopes == (
        value,
    )
    phi = own(tmp_path, "leaky", [1, 1, 1], slope=f'"{text}"').layers[0].activation
    assert phi.kink_slopes == (value,)
    assert main(["derive", "1-1-1", "--slope-at-kink", text, "--trials", "20", "-o", str(tmp_path / "d.tex")]) == 0
    capsys.readouterr()
    assert (
        rf"{{{value.numerator}}}{{{value.denominator}}} & \text{{if }} s^{{(1)}}_{{i}} = 0"
        in (tmp_path / "d.tex").read_text()
    )


@pytest.mark.parametrize(
    "text", ["", "1/0", "nan", "inf", "1/2/3", "one", "1_0", "0x1", "١", "9" * 99, "1e999", "1e400", "2**9", "1 / 2"]
)
def test_what_is_no_number_is_refused_in_a_sentence(text, capsys):
    with pytest.raises(fcsym.NetworkError, match=r"slope_at_kink is .*: give a"):
        fcsym.relu(text)
    assert main(["derive", "2-2-1", "--slope-at-kink", text]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --------------------------------------------------------------------------------- what is said of smooth functions


@pytest.mark.parametrize("name", SMOOTH)
def test_the_derivative_of_every_entry_is_its_derivative(name):
    """By SymPy, and both in numbers against automatic differentiation."""
    s, v = smooth_functions.symbols()
    phi, slope = smooth_functions.expression(smooth(name)), smooth_functions.derivative(smooth(name))
    assert sympy.simplify(slope.subs(v, phi) - sympy.diff(phi, s)) == 0
    shown = [smooth_functions.shown(smooth(name), order).subs(v, phi) for order in (0, 1)]
    assert sympy.simplify(shown[0].rewrite(sympy.exp) - phi.rewrite(sympy.exp)) == 0
    for at in (-3, -0.5, 0, 0.25, 2):
        true = (phi_of(smooth(name), np.array([at])), slope_of(smooth(name), np.array([at])))
        assert [float(form.subs(s, at)) for form in shown] == pytest.approx([float(t[0]) for t in true], abs=1e-12)


def test_the_derivatives_are_those_of_the_books():
    assert smooth_functions.text(smooth("sigmoid"), 0, "s", "v") == "1/(1 + exp(-s))"
    assert smooth_functions.text(smooth("sigmoid"), 1, "s", "v") == "v*(1 - v)"
    assert smooth_functions.text(smooth("tanh"), 1, "s", "v") == "1 - v**2"
    assert smooth_functions.text(smooth("softplus"), 1, "s", "v") == "1/(1 + exp(-s))"


def documents(net):
    """Every text about a network: of one step and of every scheme, in every format and target, by name."""
    from fcsym.render import terminal

    found = {}
    schemes = {name: fcsym.Scheme.of(record) for name, record in every_scheme(net).items()}
    for name, document in {"step": fcsym.derive(net), **schemes}.items():
        found |= {f"{name}.tex": document.latex(), f"{name}.html": document.html(), f"{name}.txt": str(document)}
        console = Console(width=400, file=StringIO())
        console.print(terminal.document(document))
        found[f"{name} in the terminal"] = console.file.getvalue()
    for target in TARGETS.values():
        made = target.files(lower_scheme(fcsym.scheme(net, "states")), "update", ())
        found |= {f"{target.name}, {file}": text for file, text in made.items()}
    return found


def test_documents_of_a_smooth_activation_define_it_and_say_nothing_of_pieces():
    for name, text in documents(fcsym.Network.mlp([2, 2, 1], "sigmoid")).items():
        said = re.search(r"\b(pieces?|kinks?|gates?|piecewise)\b", re.sub(r"<style>.*?</style>", "", text, flags=re.S))
        assert said is None, (name, said and said.string[max(0, said.start() - 60) : said.end() + 60])
        if name.endswith("update.mk") or "update_test.c" in name:
            continue
        assert "smooth" in text or name.endswith(".txt"), name
        if name.endswith(".tex"):
            assert r"\operatorname{sigmoid}\left(s^{(1)}_{i}\right) = \frac{1}{1 + e^{- {s^{(1)}_{i}}}}" in text
            assert (
                r"\operatorname{sigmoid}'\left(s^{(1)}_{i}\right) = {v^{(1)}_{i}} \left(1 - {v^{(1)}_{i}}\right)"
                in text
            )
        elif not name.endswith("update.h"):
            flat = " ".join(text.replace("│", " ").split())
            assert re.search(r"sigmoid\(s1\[\w\]\) = 1/\(1 \+ exp\(-s1\[\w\]\)\)", flat), name
            assert re.search(r"v1\[\w\]\*\(1 - v1\[\w\]\)", flat), name
    flat = fcsym.derive(fcsym.Network.mlp([2, 2, 1], "tanh")).latex(notation="paper")
    assert r"= 1 - {v_{2}}^{2}" in flat


def test_sentences_follow_from_the_activation():
    def said(*names):
        d = fcsym.derive(fcsym.Network.mlp([2, *(2 for _ in names), 1], list(names)))
        text = " ".join([*d.assumptions, *(e.because for e in d), *fcsym.scheme(d.network, "history").assumptions])
        return "at a kink as declared" in text, "is the derivative everywhere" in text, "gate" in text

    assert said("relu") == (True, False, True)
    assert said("tanh") == (False, True, False)
    assert said("identity") == (False, False, False)
    assert said("tanh", "relu") == (True, True, True)


def test_what_a_derivative_is_written_with_is_shown_with_it():
    """sigma' = v (1 - v), and so v."""
    only = fcsym.derive(fcsym.Network.mlp([2, 2, 1], "sigmoid")).latex(only="g1")
    assert r"v^{(1)}_{i} = \operatorname{sigmoid}" in only


def test_pieces_are_exact_numbers_whatever_was_written():
    """A half as a float is 1/2, everywhere that pieces go; what is no number is refused where it is written."""
    hat = piecewise_linear("hat", [Piece(0, 0.5), Piece(None, 1)])
    assert all(isinstance(n, Fraction) for p in hat.pieces for n in (p.slope, p.intercept))
    assert hat.pieces[0].slope == Fraction(1, 2)
    assert Piece(0, 0.1) == Piece(Fraction(0), Fraction(1, 10))
    net = Network.mlp([2, 1, 1], activation=hat)
    assert derive(net).proof.holds
    assert derive(net).latex()
    for upper, slope, intercept in (
        (0, "one", 0), (0, float("nan"), 0), (float("inf"), 1, 0), (0, None, 0), (0, 1, None), ("zero", 1, 0),
        (0, True, 0), (0, 1, [1]), (0, 1j, 0),
    ):  # fmt: skip
        with pytest.raises(NetworkError) as caught:
            Piece(upper, slope, intercept)
        assert str(caught.value).endswith(".")
    for name, pieces in (
        ("hat", 5),
        ("hat", "ab"),
        ("hat", [1, 2]),
        ("hat", None),
        (3, hat.pieces),
        ("a b", hat.pieces),
    ):
        with pytest.raises(NetworkError):
            piecewise_linear(name, pieces)
    with pytest.raises(NetworkError):
        Piece(None, 1, name=3)


# -------------------------------------------------------------------------------------------- an entry, and one's own

S = sympy.Symbol("s", real=True)
OWN = {
    "mish": S * sympy.tanh(sympy.log(1 + sympy.exp(S))),
    "elu": sympy.Piecewise((S, S > 0), (sympy.exp(S) - 1, True)),
    "softsign": S / (1 + sympy.Abs(S)),
}


@pytest.fixture
def entry(monkeypatch):
    """A smooth function that the package does not have, entered in one place."""
    name = "isru"
    monkeypatch.setitem(smooth_functions.ENTRIES, name, smooth_functions.Entry(lambda s: s / sympy.sqrt(1 + s**2)))
    return name


def goes_through_everything(net, tmp_path, schemes=None, targets=tuple(TARGETS)):
    """Derivation, proof and check in both orders; every scheme, document and closed form; the files of every target."""
    for order in ORDERS:
        d = fcsym.derive(net, order=order)
        assert d.proof.holds and fcsym.check(d, trials=40).passed
    for record in every_scheme(net).values():
        if schemes and record.name not in schemes:
            continue
        s = fcsym.Scheme.of(record)
        assert s.proof.holds and fcsym.check(s, trials=3, steps=10).passed
    name = net.layers[0].activation.name
    d = fcsym.derive(net)
    assert f"\\operatorname{{{name}}}" in d.latex() and name in str(d) and name in d.html()
    s = fcsym.scheme(net, "states")
    rng = np.random.default_rng(0)
    weights, x = [rng.normal(size=net.shape(a)) for a in net.parameters], np.array([0.7, -0.4])
    values = {"w_1": weights[0][0, 0], "w_2": weights[0][0, 1], "x_1": 0.7, "x_2": -0.4}
    y = d.expr("v1", unit=1).subs({sympy.Symbol(name, real=True): value for name, value in values.items()})
    found = d.compile().step(weights, x, [0.2], 0.1)
    assert float(y) == pytest.approx(found.v1[0], rel=1e-12)
    rows = frozen_rows(s, 10)
    for target in map(TARGETS.get, targets):
        files = target.files(lower_scheme(s), "update", rows)
        if target.name == "c":
            need("gcc")
            need("make")
            for file, text in files.items():
                (tmp_path / file).write_text(text)
            done = subprocess.run(
                ["make", "-s", "-f", "update.mk", "test"], cwd=tmp_path, capture_output=True, text=True
            )
            assert done.stdout.count("agree with exact evaluation") == 2, done.stderr
        else:
            if target.name != "numpy":
                need_package(target.name)
            module = {"__name__": "exported"}
            exec(compile(files["update.py"], "<exported>", "exec"), module)
            assert "agree with exact evaluation" in module["selftest"]()


def test_an_entry_in_one_place_is_all_that_a_smooth_activation_needs(entry, tmp_path):
    """By name, also in a network file."""
    path = tmp_path / "net.toml"
    path.write_text(f'widths = [2, 2, 1]\nactivation = "{entry}"\n')
    net = fcsym.Network.load(path)
    assert net == fcsym.Network.mlp([2, 2, 1], entry)
    goes_through_everything(net, tmp_path)


def test_the_oracle_keeps_digits_that_the_expression_as_written_loses():
    """log(1 + e^s) at s = -20, and e^s - 1 near 0: many points of a wide network, some of them there."""
    for name in ("mish", "elu"):
        net = fcsym.Network.mlp([4, 8, 8, 2], fcsym.smooth(name, OWN[name]))
        assert fcsym.check(fcsym.derive(net), trials=200).passed


@pytest.mark.parametrize("name", OWN)
def test_a_smooth_function_of_ones_own(name, tmp_path):
    net = fcsym.Network.mlp([2, 2, 1], fcsym.smooth(name, OWN[name]))
    goes_through_everything(net, tmp_path, ["states", "history"], ["numpy", "c"])


def test_a_function_of_ones_own_is_data():
    """It hashes, compares, is pickled, and does not depend on the symbol that it was written with."""
    mish, t = fcsym.smooth("mish", OWN["mish"]), sympy.Symbol("t")
    assert mish == fcsym.smooth("mish", OWN["mish"].subs(S, t)) == pickle.loads(pickle.dumps(mish))
    assert hash(mish) == hash(pickle.loads(pickle.dumps(mish)))
    assert mish != fcsym.smooth("mish", S * sympy.tanh(S)) and mish != fcsym.smooth("tanh")
    assert sympy.simplify(smooth_functions.expression(mish) - OWN["mish"]) == 0
    assert fcsym.Network.mlp([1, 2, 1], mish) == fcsym.Network.mlp([1, 2, 1], mish)


POSITIVE = sympy.Symbol("s", positive=True)
REFUSED = {
    "a text": ("tanh(s)", "give a SymPy expression"),
    "no symbol": (sympy.Integer(2), "has no symbol"),
    "two symbols": (S * sympy.Symbol("a"), "symbols a, s"),
    "a narrow symbol": (sympy.sqrt(POSITIVE), "declared positive"),
    "an imaginary symbol": (sympy.Symbol("s", imaginary=True) ** 2, "declared imaginary"),
    "a complex number": (sympy.I * S, "not real and finite"),
    "what is not known": (sympy.gamma(S), "gamma has no formula"),
    "what has no derivative here": (sympy.Max(S, 0), "Max has no formula"),
    "a function without a name": (sympy.Function("f")(S), "f has no formula"),
    "a logarithm": (sympy.log(S), "no real value at s ="),
    "a root": (sympy.sqrt(S), "no real"),
    "a pole": (1 / S, "no real value at s = 0"),
    "a pole that no point is on": (1 / (S - sympy.sqrt(2)), "at s = 1.414"),
    "a corner": (sympy.Abs(S), "has a corner at s = 0"),
    "a corner elsewhere": (sympy.Abs(S**3 - 2), "has a corner at s = 1.26"),
    "a jump": (sympy.Piecewise((S, S < 1), (S**2 + 1, True)), "jumps at s = 1"),
    "pieces that do not end": (sympy.Piecewise((S, S < 1)), "say what holds elsewhere"),
    "pieces by something else": (sympy.Piecewise((S, sympy.sin(S) < 1), (0, True)), "write s < c"),
    "a straight line": (2 * S + 1, "straight line"),
    "what is too long": (sum(sympy.exp(S / n) for n in range(1, 120)), "more than 200 operations"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_smooth_function_is_refused_in_a_sentence(what):
    expression, said = REFUSED[what]
    with pytest.raises(fcsym.NetworkError, match=r"The activation 'own'.*\.$") as caught:
        fcsym.smooth("own", expression)
    assert said in str(caught.value), caught.value


def test_names_of_smooth_functions_are_checked():
    refused = {"tanh": "taken", "relu": "taken", "a b": "not allowed", "class": "keyword", "exp": "taken"}
    for name, said in refused.items():
        with pytest.raises(fcsym.NetworkError, match=said):
            fcsym.smooth(name, OWN["mish"])
    with pytest.raises(fcsym.NetworkError, match=r"choose one of tanh, .*exp, log, sqrt, or give an expression"):
        fcsym.smooth("mish")
    two = [fcsym.smooth("own", sympy.atan(S)), fcsym.smooth("own", S * sympy.tanh(S))]
    with pytest.raises(fcsym.NetworkError, match="two activations with the name 'own'"):
        fcsym.Network.mlp([1, 2, 2, 1], two)
    for name in ("log", "sqrt"):
        with pytest.raises(fcsym.NetworkError, match="no value for every s"):
            fcsym.Network.mlp([1, 1, 1], name)


def test_functions_of_the_language_have_their_derivatives():
    """exp, log and sqrt, where they have values."""
    import mpmath

    at = mpmath.mpf(2)
    for name, slope in {"exp": mpmath.exp(at), "log": 1 / at, "sqrt": 1 / (2 * mpmath.sqrt(at))}.items():
        assert mpmath.almosteq(smooth_functions.value(smooth(name), 1, at), slope)
        assert mpmath.almosteq(evaluate(smooth_functions.form(smooth(name), 1), at, mpmath_table()), slope)
        assert float(slope_of(smooth(name), np.array([2.0]))[0]) == pytest.approx(float(slope), rel=1e-15)
        axis = units(1)
        s = Array("s", 1, (axis,))[Index(axis, "i")]
        assert _node(Apply(smooth(name), s)) == neutral.Call(name, _node(s))


FORMED = {
    "sigmoid": (1 / (1 + sympy.exp(-S)), {"v*(1 - v)", "v - v**2"}),
    "tanh": (sympy.tanh(S), {"1 - v**2"}),
    "twice tanh": (2 * sympy.tanh(S), {"2 - v**2/2"}),
    "softplus": (sympy.log(1 + sympy.exp(S)), {"1/(1 + exp(-s))"}),
    "a root": (sympy.sqrt(1 + S**2), {"s/v"}),
    "softsign": (S / (1 + sympy.Abs(S)), set()),
    "pieces": (sympy.Piecewise((S, S > 0), (sympy.exp(S) - 1, True)), set()),
}


@pytest.mark.parametrize("name", FORMED)
def test_every_form_of_a_derivative_is_the_derivative(name):
    """The printed one is the shortest of them: each is right, and those that a reader expects are among them."""
    phi, expected = FORMED[name]
    s, v = smooth_functions.symbols()
    phi = phi.subs(S, s)
    slope = smooth_functions.slope_of(phi)
    forms = list(smooth_functions._forms(phi, slope))
    for number in (sympy.Rational(-7, 5), sympy.Rational(3, 4), sympy.Rational(5, 2)):
        value = phi.subs(s, number).evalf(30)
        step = sympy.Rational(1, 10**12)
        moved = (phi.subs(s, number + step) - phi.subs(s, number - step)).evalf(30) / (2 * step)
        for form in forms:
            assert abs(form.subs({v: value, s: number}).evalf(30) - moved) < 1e-15, form
    written = {sympy.sympify(text, {"s": s, "v": v}) for text in expected}
    assert all(any(sympy.simplify(form - one) == 0 for form in forms) for one in written)
    assert {str(form) for form in forms} >= {str(one) for one in written}


def test_no_algebra_is_imported_for_a_network_of_pieces():
    code = "import sys, fcsym; fcsym.derive(fcsym.Network.parse('2-2-1')); print('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_pieces_of_one_slope_are_no_choice(order):
    """A kink that is none: two pieces have one slope, and 0 and 0 are no two values to choose from."""
    for slopes in ((0, 0, -1), (1, 1, 2), (0.5, 0.5, 0)):
        first, second, third = (Fraction(slope) for slope in slopes)
        pieces = [Piece(-1, first, 1), Piece(2, second, 1), Piece(None, third, 1 + 2 * (second - third))]
        phi = fcsym.piecewise_linear("pieces", pieces)
        for network in (fcsym.Network.mlp([3, 2], output=phi), fcsym.Network.mlp([3, 2, 2], phi, output=phi)):
            report = fcsym.check(fcsym.derive(network, order), trials=50)
            assert all(row.passed for row in report.rows if row.points)  # few points meet where a piece is 0
            for name in ("backprop", "states"):
                assert fcsym.check(fcsym.scheme(network, name, order), trials=10, steps=3)
