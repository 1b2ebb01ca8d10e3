"""What smooth functions change by in a step: against many digits, for changes of every size."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from conftest import few
from test_accuracy import KINDS, OWN, s

import fcsym
from fcsym.language import smooth_functions
from fcsym.language.differences import difference

AT = (0.0, 1e-12, -3e-7, 0.3, -0.7, 1.1, -1.3, 2.5, -4.0, 7.0, -33.0)
ETA = (1e-300, 1e-30, 1e-16, 3e-9, 2e-6, 7e-4, 0.03, 0.26, 1.2, 20.0, 60.0)
MOST = 4
SUBTRACTED = {"mish_as_a_quotient", "tanh_as_a_quotient"}
"""What is computed in another form than it is written in."""
FAR_OUT = {"isru"}
"""s' (1/root' - 1/root) + ds/root: far out these two cancel, as 1/s^2 does beside 1."""


def steps(phi):
    """s, ds and dv of a unit behind x = 1 with a weight of 1 after it, where the error is 1 or -1: ds = -+eta phi'."""
    kernel = fcsym.derive(fcsym.Network.mlp([1, 1, 1], phi, loss="l1")).compile()
    at, eta, target = map(np.ravel, np.meshgrid(AT, ETA, (-1e9, 1e9)))
    ones = np.ones((len(at), 1))
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        made = kernel.step([at[:, None, None], ones[:, None]], ones, target[:, None], eta, undefined="nan")
    return made.s1[:, 0], made.ds1[:, 0], made.dv1[:, 0]


def truth(name, at, by):
    """phi(s + ds) - phi(s), and what a rounding of s, of ds or of the result moves it by."""
    phi = OWN.get(name, smooth_functions.expression(KINDS[name]).xreplace({smooth_functions.symbols()[0]: s}))
    slope, bend = (sympy.diff(phi, s, n).replace(sympy.sign, lambda u: u / sympy.Abs(u)) for n in (1, 2))
    bend = bend.replace(sympy.DiracDelta, lambda *_: 0)
    f, g, h = (sympy.lambdify(s, part, "mpmath") for part in (phi, slope, bend))
    found = []
    with mpmath.workdps(400):
        for a, d in zip(at, by, strict=True):
            start = mpmath.mpf(float(a)) + (0 if a else mpmath.mpf(10) ** -390)  # u/|u| has no value at 0
            end = start + mpmath.mpf(float(d))
            change = f(end) - f(start)
            moved = abs(mpmath.mpf(float(d))) * sum(abs(g(c)) + abs(c * h(c)) for c in (start, end))
            found.append((change, abs(change) + moved))
    return found


def errors(name, at, by, found):
    """In units of eps times that size."""
    worst = []
    for (true, size), number in zip(truth(name, at, by), found, strict=True):
        worst.append(float(abs(mpmath.mpf(float(number)) - true) / (size * 2.0**-52 + 1e-320)))
    return np.array(worst)


@pytest.mark.parametrize("name", few([name for name in KINDS if name not in SUBTRACTED], 6))
def test_a_change_is_as_exact_as_what_it_is_made_of(name):
    at, by, found = steps(KINDS[name])
    sure = np.abs(at) < 3 if name in FAR_OUT else np.ones(len(at), bool)
    assert errors(name, at[sure], by[sure], found[sure]).max() <= MOST
    assert (np.abs(by) < 1e-9).sum() > 50 and (np.abs(by) > 0.2).sum() > 3


@pytest.mark.parametrize("name", few(sorted(SUBTRACTED), 1))
def test_what_is_computed_in_another_form_is_subtracted(name):
    assert smooth_functions.in_calls(KINDS[name]) is None
    at, by, found = steps(KINDS[name])
    phi = sympy.lambdify(s, OWN[name], "mpmath")
    apart = np.array(
        [float(phi(mpmath.mpf(float(a + d))) - phi(mpmath.mpf(float(a)))) for a, d in zip(at, by, strict=True)]
    )
    np.testing.assert_allclose(found, apart, rtol=0, atol=1e-13 * (1 + np.abs(at).max()))


def test_what_has_no_rule_is_subtracted_too():
    assert difference(("tanh", ("s",)))
    assert difference(("normal_pdf", ("s",))) is None
