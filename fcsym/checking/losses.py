"""The losses for the independent oracle, of logits and targets, for autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import autograd.numpy as anp
import mpmath
import numpy as np
import numpy.typing as npt

from fcsym.checking.functions import erf, erfc, phi
from fcsym.networks.network import Network

__all__ = ["in_all_digits", "loss_by_samples", "loss_of_logits", "softmax"]

_Array = npt.NDArray[Any]


def _huber(e: Any) -> Any:
    return anp.where(_plain(abs(e)) < 1, e**2 / 2, _distance(e) - 1 / 2)


def _distance(e: Any) -> Any:
    """|e|, with the slope 0 at 0, and everywhere without a second one."""
    return anp.where(e > 0, e, anp.where(e < 0, -e, 0))


def _plain(s: Any) -> _Array:
    """The numbers alone, however often they are differentiated."""
    while hasattr(s, "_value"):
        s = s._value
    return np.asarray(s)


def _softplus(s: Any) -> Any:
    return anp.logaddexp(0, s)


def _log_sum_exp(s: Any) -> Any:
    top = np.max(_plain(s), axis=-1, keepdims=True)
    return top[..., 0] + anp.log(anp.sum(anp.exp(s - top), axis=-1))


def _above_zero(m: Any) -> Any:
    """max(0, m), with the slope 0 at 0."""
    return anp.where(m > 0, m, 0)


_LOSSES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "squared": lambda y, s, t: anp.sum((y - t) ** 2, axis=-1) / 2,
    "mse": lambda y, s, t: anp.mean((y - t) ** 2, axis=-1),
    "half_mse": lambda y, s, t: anp.mean((y - t) ** 2, axis=-1) / 2,
    "l1": lambda y, s, t: anp.sum(_distance(y - t), axis=-1),
    "huber": lambda y, s, t: anp.sum(_huber(y - t), axis=-1),
    "hinge": lambda y, s, t: anp.sum(_above_zero(1 - t * y), axis=-1),
    "bce": lambda y, s, t: -anp.sum(t * anp.log(y) + (1 - t) * anp.log(1 - y), axis=-1),
    "cross_entropy": lambda y, s, t: _log_sum_exp(s) - anp.sum(t * s, axis=-1),
    "bce_logits": lambda y, s, t: anp.sum(_softplus(s) - t * s, axis=-1),
}
"""The losses of y, the logits s and the target t, written for autograd."""


def loss_of_logits(network: Network, logits: Any, target: Any) -> Any:
    """E of the logits, each network's own: of a mini-batch the mean or the sum."""
    each = loss_by_samples(network, logits, target)
    if not network.batch:
        return each
    return anp.mean(each, axis=-1) if network.batch == "mean" else anp.sum(each, axis=-1)


def softmax(s: Any) -> Any:
    """e^s over the sum of them, along the last axis."""
    powers = anp.exp(s - np.max(_plain(s), axis=-1, keepdims=True))
    return powers / anp.sum(powers, axis=-1, keepdims=True)


def loss_by_samples(network: Network, logits: Any, target: Any) -> Any:
    """The loss of every sample, and of every position, where there are several."""
    if network.softmax:
        return _loss_of(network)(softmax(logits), logits, target)
    last = network.output_activation
    if network.loss == "bce" and last.name == "sigmoid":  # log(1 - y) has no digits where y is near 1
        return anp.sum(target * _softplus(-logits) + (1 - target) * _softplus(logits), axis=-1)
    y = logits if last.is_identity else phi(last, logits)
    return _loss_of(network)(y, logits, target)


def _loss_of(network: Network) -> Callable[[Any, Any, Any], Any]:
    """The loss as it is written here, or a reader's own as it was given."""
    if isinstance(network.loss, str):
        return _LOSSES[network.loss]
    function = _own_loss(network.loss.expression)
    return lambda y, _, t: anp.sum(function(y, t), axis=-1)


def in_all_digits(network: Network, logits: _Array, target: _Array) -> _Array:
    """E by a reader's own loss in many digits: as it is written, log(1 + e^-80) has none in extended precision."""
    assert not isinstance(network.loss, str)
    last = network.output_activation
    y = softmax(logits) if network.softmax else logits if last.is_identity else phi(last, logits)
    function = _digits_of(network.loss.expression)
    found = np.zeros(np.broadcast_shapes(y.shape, target.shape), np.longdouble)
    pairs = zip(*(np.broadcast_to(a, found.shape).ravel() for a in (y, target)), strict=True)
    with mpmath.workdps(60):
        for n, (one, other) in enumerate(pairs):
            try:
                known = np.isfinite([one, other]).all()
                value = function(mpmath.mpf(str(one)), mpmath.mpf(str(other))) if known else mpmath.nan
            except ZeroDivisionError:  # y/t at t = 0 is no number of the loss
                value = mpmath.nan
            found.ravel()[n] = np.longdouble(mpmath.nstr(mpmath.re(value), 25))
    each = found.sum(axis=-1)
    if not network.batch:
        return np.asarray(each)
    return np.asarray(each.mean(axis=-1) if network.batch == "mean" else each.sum(axis=-1))


@cache
def _digits_of(expression: Any) -> Callable[[Any, Any], Any]:
    import sympy

    # the SymPy expression that `fcsym.loss` has read, never text: its symbols are y and t, its functions known ones
    made: Callable[[Any, Any], Any] = sympy.lambdify([sympy.Symbol(n, real=True) for n in "yt"], expression, "mpmath")
    return made


@cache
def _own_loss(expression: Any) -> Callable[[Any, Any], Any]:
    import sympy

    symbols = [sympy.Symbol(letter, real=True) for letter in "yt"]
    named: dict[str, Any] = {"Abs": anp.abs, "atan": anp.arctan, "erf": erf, "erfc": erfc}
    # as above, never text; autograd differentiates it, so that no derivative of fcsym's is in the comparison
    made: Callable[[Any, Any], Any] = sympy.lambdify(symbols, expression, modules=[named, anp])
    return made
