"""What checks rest on, each beside something else that computes: functions, balls around their values, and points.

Each takes a fraction of a second, so that a fault in any part of a check is seen by a test that is quick.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from conftest import need_package
from sympy import Symbol
from sympy.parsing.sympy_parser import parse_expr
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking.aimed import aimed, placed
from fcsym.checking.enclosures import enclosures
from fcsym.checking.functions import bend_of, phi_of, slope_of
from fcsym.checking.tally import Tally

SMOOTH = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda s: 1 / (1 + mpmath.exp(-s)),
    "softplus": lambda s: mpmath.log(1 + mpmath.exp(s)),
    "silu": lambda s: s / (1 + mpmath.exp(-s)),
    "gelu": lambda s: s * mpmath.erfc(-s / mpmath.sqrt(2)) / 2,
    "s*exp(-s**2)": lambda s: s * mpmath.exp(-(s**2)),
    "atan(s)/3 + erf(s)": lambda s: mpmath.atan(s) / 3 + mpmath.erf(s),
    "log(1 + s**2)": lambda s: mpmath.log(1 + s**2),
    "sqrt(4 + s**2)": lambda s: mpmath.sqrt(4 + s**2),
    "pi*cos(s)/(2 + sin(s))": lambda s: mpmath.pi * mpmath.cos(s) / (2 + mpmath.sin(s)),
    "s*Abs(s)": lambda s: s * abs(s),
}
S = Symbol("s", real=True)
AT = (-35.0, -6.5, -1.25, -0.3, -1e-5, 2e-3, 0.7, 1.5, 5.25, 30.0)


def activation(name):
    """One that is known, or one that is written."""
    return fcsym.smooth(name) if name.isalpha() else fcsym.smooth("own", parse_expr(name, {"s": S}))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", SMOOTH)
def test_functions_of_the_oracle_are_these(name, order):
    """To nearly all digits of a float, where they do not vanish."""
    phi, s = activation(name), np.array(AT, np.longdouble)
    found = [phi_of, slope_of, bend_of][order](phi, s)
    with mpmath.workdps(60):
        for value, at in zip(found, AT, strict=True):
            true = mpmath.diff(SMOOTH[name], mpmath.mpf(at), order)
            assert abs(mpmath.mpf(str(value)) - true) <= 1e-13 * abs(true) + mpmath.mpf(10) ** -14, (at, value)


def test_pieces_of_the_oracle_are_these():
    """max(-s, s, ...) by hand: -s up to 0, s up to 2, then 2; the slope at a kink is the declared one."""
    s = np.array([-3.0, -0.5, 0.0, 0.5, 2.0, 2.5])
    assert phi_of(HAT, s).tolist() == [3, 0.5, 0, 0.5, 2, 2]
    assert slope_of(HAT, s).tolist() == [-1, -1, 0.5, 1, 0.5, 0]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", SMOOTH)
def test_balls_hold_the_values_around_a_number_and_little_else(name, order):
    need_package("flint")
    phi, s = activation(name), np.array([at for at in AT if abs(at) < 7])
    for size in (0.0, 1e-12, 1e-3):
        error = np.full(s.shape, size)
        middle, radius = enclosures(phi, order, s, error)
        with mpmath.workdps(60):
            for m, r, at in zip(middle, radius, s.tolist(), strict=True):
                ends = [mpmath.diff(SMOOTH[name], mpmath.mpf(at) + by * size, order) for by in (-1, 0, 1)]
                m, r = mpmath.mpf(str(m)), mpmath.mpf(repr(float(r)))
                assert all(abs(end - m) <= r * (1 + 1e-9) for end in ends), (at, size)
                spread = max(abs(end - ends[1]) for end in ends)
                assert r <= 40 * spread + 40 * size**2 + 1e-17 * (1 + abs(m)) + 30 * size * (at**2 + 1), (at, size)


def test_nothing_is_known_where_there_is_no_ball():
    need_package("flint")
    phi, s = activation("log(1 + s**2)"), np.array([0.5, np.inf, 0.5, np.nan])
    middle, radius = enclosures(phi, 0, s, np.array([1e-3, 0.0, np.inf, 0.0]))
    assert np.isinf(radius).tolist() == [False, True, True, True]
    assert np.isnan(middle).tolist() == [False, True, True, True]


NETWORKS = {
    "a kink": Network.mlp([1, 1, 1]),
    "two layers": Network.mlp([1, 1, 1, 1]),
    "a slope": Network.mlp([1, 1, 1], "leaky_relu", bias=True),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("aim", ["placed", "aimed"])
def test_what_is_aimed_at_is_hit(name, aim, order):
    """Every case of the first of what has cases, with no point before: in networks whose numbers stay small."""
    d = fcsym.derive(NETWORKS[name], order)
    tally, kernel, rng = Tally(d, np.dtype(float)), d.compile(), np.random.default_rng(1)
    wanted = [(quantity, case) for quantity, case in tally.missing if "->" in case]
    assert len(wanted) >= 3 and len(tally.missing) > len(wanted)
    made = placed(d, tally, kernel, rng) if aim == "placed" else aimed(d, wanted, kernel, rng, 300)
    hit = dict.fromkeys(wanted, 0)
    for points in made:
        result = points.step(kernel)
        for quantity, case in wanted:
            hit[quantity, case] += int(dict(tally.cases(quantity, result))[case].sum())
        if aim == "placed":
            assert np.abs(result[d.network.logits.primed.name]).max() < 1e6 and (points.eta > 0).all()
    missed = [one for one, count in hit.items() if not count]
    assert len(missed) <= (0 if aim == "placed" else len(wanted) // 2), missed
