"""The losses and functions of the oracle, each against what it is defined as, in many digits.

Each takes a fraction of a second, so that a fault in what everything is held against is seen by a test that is quick.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from autograd import elementwise_grad, grad
from mpmath import mpf

from fcsym import Network
from fcsym.checking.functions import erf, erfc
from fcsym.checking.losses import loss_by_samples, loss_of_logits, softmax
from fcsym.networks.losses import LOSSES

POINTS = [-3.5, -1.25, -0.5, -1e-3, 0.25, 1.0, 2.75]


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_an_error_function_has_its_value_and_its_slope(name):
    function = {"erf": erf, "erfc": erfc}[name]
    for s in POINTS:
        assert float(function(s)) == pytest.approx(float(getattr(mpmath, name)(s)), rel=4e-16, abs=0)
        slope = float(mpmath.diff(getattr(mpmath, name), s))
        assert float(elementwise_grad(function)(np.longdouble(s))) == pytest.approx(slope, rel=1e-14)


def log1p_exp(s):
    return mpmath.log(1 + mpmath.exp(s))


def sigma(s):
    return 1 / (1 + mpmath.exp(-s))


DEFINED = {
    "squared": lambda s, t: sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / 2,
    "mse": lambda s, t: sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / len(s),
    "half_mse": lambda s, t: sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / len(s) / 2,
    "l1": lambda s, t: sum(abs(a - b) for a, b in zip(s, t, strict=True)),
    "huber": lambda s, t: sum(
        (a - b) ** 2 / 2 if abs(a - b) < 1 else abs(a - b) - mpf(1) / 2 for a, b in zip(s, t, strict=True)
    ),
    "hinge": lambda s, t: sum(max(mpf(0), 1 - a * b) for a, b in zip(s, t, strict=True)),
    "bce": lambda s, t: (
        -sum(b * mpmath.log(sigma(a)) + (1 - b) * mpmath.log(1 - sigma(a)) for a, b in zip(s, t, strict=True))
    ),
    "bce_logits": lambda s, t: sum(log1p_exp(a) - b * a for a, b in zip(s, t, strict=True)),
    "cross_entropy": lambda s, t: (
        -sum(b * mpmath.log(mpmath.exp(a) / sum(map(mpmath.exp, s))) for a, b in zip(s, t, strict=True))
    ),
}
"""E of one sample, of the logits and the targets: by its definition, with nothing done for the digits."""
OUTPUT = {"bce": "sigmoid", "cross_entropy": "softmax"}
LOGITS = np.array([[0.5, -2.25, 1.5], [3.0, 0.75, -0.125], [-1.5, 0.25, 0.3125]])
TARGETS = {
    "cross_entropy": np.array([[0.0, 1.0, 0.0], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0]]),
    "hinge": np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, 1.0, -1.0]]),
}
OTHERS = np.array([[0.0, 1.0, 0.75], [0.25, 1.0, 0.5], [1.0, 0.0, 0.125]])


def slope_of(function, s, t, n):
    """dE/ds_n, by differences in many digits."""
    return mpmath.diff(lambda u: function([*s[:n], u, *s[n + 1 :]], t), s[n])


def test_every_loss_has_a_definition_here():
    assert set(DEFINED) == set(LOSSES)


@pytest.mark.parametrize("name", DEFINED)
def test_a_loss_is_what_it_is_defined_as(name):
    """Its value for every sample, their mean and their sum, and its gradient by differences in many digits."""
    network = Network.mlp([2, 3], output=OUTPUT.get(name, "identity"), loss=name)
    targets = TARGETS.get(name, OTHERS)
    with mpmath.workdps(40):
        rows = [[list(map(mpf, map(float, row))) for row in pair] for pair in zip(LOGITS, targets, strict=True)]
        true = np.array([float(DEFINED[name](s, t)) for s, t in rows])
        slopes = np.array([[float(slope_of(DEFINED[name], s, t, n)) for n in range(3)] for s, t in rows])
    np.testing.assert_allclose(loss_by_samples(network, LOGITS, targets), true, rtol=1e-14)
    np.testing.assert_allclose(grad(lambda s: loss_by_samples(network, s, targets).sum())(LOGITS), slopes, rtol=1e-12)
    for batch, whole in (("mean", true.mean()), ("sum", true.sum())):
        trained = network.training(batch=batch)
        np.testing.assert_allclose(loss_of_logits(trained, LOGITS, targets), whole, rtol=1e-14)


def test_a_softmax_is_a_share():
    for row, given in zip(softmax(LOGITS), LOGITS, strict=True):
        powers = [mpmath.exp(mpf(float(s))) for s in given]
        np.testing.assert_allclose(row, [float(p / sum(powers)) for p in powers], rtol=1e-15)
    np.testing.assert_array_equal(softmax(np.array([1e4, 1e4])), [0.5, 0.5])
