"""Activations of every kind, through derivation, proof, kernel and check; the slope at a kink as declared."""

from __future__ import annotations

import subprocess
from fractions import Fraction

import numpy as np
import pytest
from conftest import ORDERS, need, need_package
from exact import step

import fcsym
from fcsym.checking.oracle import phi_of, slope_of
from fcsym.derivation import derive
from fcsym.errors import NetworkError
from fcsym.kernel.export import TARGETS
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.language.activation import SMOOTH, Piece, piecewise_linear, smooth
from fcsym.networks.network import Network

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
@pytest.mark.parametrize("name", SMOOTH)
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
        (0, "1", 0), (0, float("nan"), 0), (float("inf"), 1, 0), (0, None, 0), (0, 1, None), ("0", 1, 0), (0, True, 0),
        (0, 1, [1]), (0, 1j, 0),
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
