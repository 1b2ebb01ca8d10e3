"""The greatest value of one's own equations: it is held, so that E must not depend on it."""

from __future__ import annotations

import pytest

import fcsym
from fcsym import Network, check, derive
from fcsym.equations import apply, greatest, hidden, indices, input_, least, parameter, total
from fcsym.errors import ArgumentError

i, j, k, m = indices("i j k m")
x, U, W = input_("x", j), parameter("U", i, j), parameter("W", k, i)
s, t, e, v = (hidden(name, i) for name in "stev")
n, z, y = hidden("n"), hidden("z"), hidden("y", k)
SUM, OUT = (s[i], total(j, U[i, j] * x[j])), (y[k], total(i, W[k, i] * v[i]))
SIZES = {"i": 3, "j": 2, "k": 2}
LATER = [(t[i], s[i] - n[()]), (e[i], apply("exp", t[i])), (z[()], total(i, e[i])), (v[i], e[i] / z[()]), OUT]
SOFTMAX = {
    "by its name": [SUM, (n[()], greatest(i, s[i])), *LATER],
    "the least one": [SUM, (n[()], least(i, s[i])), *LATER],
}
NOTICED = {
    "a factor": [SUM, (n[()], greatest(i, s[i])), (v[i], s[i] * n[()]), OUT],
    "a shift": [SUM, (n[()], least(i, s[i])), (v[i], s[i] - n[()]), OUT],
    "under a function": [SUM, (n[()], greatest(i, s[i])), (t[i], s[i] - n[()]), (v[i], apply("tanh", t[i])), OUT],
}


@pytest.mark.parametrize("setting", [{}, {"batch": "mean"}, {"order": "sequential"}], ids=str)
@pytest.mark.parametrize("name", NOTICED)
def test_what_would_be_differentiated_wrongly_is_refused_with_what_to_do(name, setting):
    network = Network.from_equations(NOTICED[name], SIZES)
    with pytest.raises(ArgumentError, match=r"greatest or least value in n, which is not differentiated: .* relu"):
        derive(network, **setting)


@pytest.mark.parametrize("of", ["E", "y", "dE/dU"])
def test_so_are_derivatives_and_schemes(of):
    network = Network.from_equations(NOTICED["a factor"], SIZES)
    for ask in (lambda: fcsym.gradient(network, of=of, by="U"), lambda: fcsym.scheme(network, "backprop")):
        with pytest.raises(ArgumentError, match="greatest or least value in n"):
            ask()


@pytest.mark.parametrize("setting", [{}, {"batch": "mean", "samples": 2}, {"order": "sequential"}], ids=str)
@pytest.mark.parametrize("name", SOFTMAX)
def test_a_softmax_takes_it_out_again(name, setting):
    d = derive(Network.from_equations(SOFTMAX[name], SIZES), **setting)
    verdicts = {f.verdict.name for f in d.proof.findings}
    assert verdicts <= {"PROVED", "DEFINITION", "CHOSEN", "SAMPLED"}
    assert check(d, trials=2)
