"""The independent oracle: one step of backpropagation by automatic differentiation (HIPS autograd), in either order.

It knows networks and nothing of derivations. Everything is computed in extended precision, so that what a comparison
shows is the kernel's rounding and not the oracle's. Activations are written with `where`: autograd's `maximum` has the
slope 1/2 at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, TypeAlias

import autograd.numpy as anp
import mpmath
import numpy as np
import numpy.typing as npt
from autograd import elementwise_grad, grad
from autograd.extend import defvjp, primitive

from fcsym.language import smooth_functions
from fcsym.language.activation import Activation
from fcsym.networks.network import Network

__all__ = ["backpropagation", "bend_of", "derivatives", "phi_of", "second_derivatives", "slope_of"]

_Array = npt.NDArray[Any]


@primitive  # type: ignore[untyped-decorator]
def _erfc(s: Any) -> Any:
    """1 - erf(s), as accurate as double precision: NumPy has none."""
    return np.vectorize(math.erfc, otypes=[np.longdouble])(np.asarray(s, np.float64))


defvjp(_erfc, lambda _, s: lambda g: -2 / np.sqrt(np.longdouble(np.pi)) * anp.exp(-(s**2)) * g)


@primitive  # type: ignore[untyped-decorator]
def _erf(s: Any) -> Any:
    """As accurate as double precision."""
    return np.vectorize(math.erf, otypes=[np.longdouble])(np.asarray(s, np.float64))


defvjp(_erf, lambda _, s: lambda g: 2 / np.sqrt(np.longdouble(np.pi)) * anp.exp(-(s**2)) * g)


_SMOOTH = {
    "exp": anp.exp,
    "log": anp.log,
    "sqrt": anp.sqrt,
    "gelu": lambda s: s * _erfc(-s / np.sqrt(np.longdouble(2))) / 2,
    "tanh": anp.tanh,
    "sigmoid": lambda s: anp.exp(-anp.logaddexp(0, -s)),
    "softplus": lambda s: anp.logaddexp(0, s),
    "silu": lambda s: s * anp.exp(-anp.logaddexp(0, -s)),
}


@cache
def _function(activation: Activation) -> Callable[[Any], Any]:
    """A smooth activation for autograd: as written here, or as its own expression is written."""
    if not activation.formula and activation.name in _SMOOTH:
        known: Callable[[Any], Any] = _SMOOTH[activation.name]
        return known
    return _written(smooth_functions.formula(activation), 0)


_BETWEEN = 1 / 64, 4
"""Where an expression is computed as it is written: below, terms of size 1 swallow s, and above, e^s swallows them."""


def _written(formula: tuple[Any, ...], order: int) -> Callable[[Any], Any]:
    """A formula (`language.formulas`), or a derivative of it, as a function that autograd differentiates.

    In extended precision and by autograd where that keeps the digits; elsewhere in many digits and by mpmath.
    """

    def plain(s: Any) -> Any:
        return _walk(formula, s)

    for _ in range(order):
        plain = elementwise_grad(plain)

    @primitive  # type: ignore[untyped-decorator]
    def function(s: Any) -> Any:
        wide = np.asarray(s, np.longdouble)
        inside = (np.abs(wide) >= _BETWEEN[0]) & (np.abs(wide) <= _BETWEEN[1])
        result = np.array(plain(np.where(inside, wide, 1)), np.longdouble)
        for place in map(tuple, np.argwhere(~inside)):
            result[place] = _in_digits(formula, order, wide[place])
        return result

    defvjp(function, lambda _, s: lambda g: g * _written(formula, order + 1)(s))
    known: Callable[[Any], Any] = function
    return known


_WIDEST = 300  # powers of ten: outside, every kernel has 0 or overflows


@lru_cache(10_000)
def _in_digits(formula: tuple[Any, ...], order: int, s: Any) -> Any:
    if not np.isfinite(s):
        return s
    for digits in (40 + int(min(abs(s), 400)), 700):
        with mpmath.workdps(digits):
            found = mpmath.diff(lambda t: _walk(formula, t, mpmath), mpmath.mpf(str(s)), order)
            if abs(found) > mpmath.mpf(10) ** (-digits // 3):  # or else what is left may be rounding alone
                break
    if found and not -_WIDEST < mpmath.log10(abs(found)) < _WIDEST:
        return np.longdouble(0 if abs(found) < 1 else math.inf) * int(mpmath.sign(found))
    return np.longdouble(mpmath.nstr(found, 25))


_NAMES = {"atan": "arctan"}


def _walk(written: tuple[Any, ...], s: Any, library: Any = None) -> Any:
    """A formula as it is written, term by term: for autograd, or a number of mpmath."""
    head, *parts = written
    if head == "s":
        return s
    wide = np.longdouble if library is None else mpmath.mpf
    if head == "number":
        return wide(parts[0]) / wide(parts[1])
    if head == "pi":
        return 4 * np.arctan(wide(1)) if library is None else +mpmath.pi
    if head == "above":
        bound = wide(parts[0]) / wide(parts[1])
        if library is not None:
            return _walk(parts[2] if s > bound else parts[3], s, library)
        # each side at numbers of its own: what overflows on the other one has no derivative
        here, there = anp.where(s > bound, s, bound), anp.where(s > bound, bound, s)
        return anp.where(s > bound, _walk(parts[2], here), _walk(parts[3], there))
    if head == "pow" and parts[1][0] == "number" and parts[1][2] == 1:
        return _walk(parts[0], s, library) ** parts[1][1]
    values = [_walk(part, s, library) for part in parts]
    if head == "add":
        return sum(values[1:], values[0])
    if head == "mul":
        return math.prod(values[1:], start=values[0])
    if head == "pow":
        return values[0] ** values[1]
    if head == "Abs":
        return abs(values[0]) if library is not None else anp.abs(values[0])
    if library is None and head in ("erf", "erfc"):
        return (_erf if head == "erf" else _erfc)(values[0])
    return getattr(anp if library is None else library, _NAMES.get(head, head) if library is None else head)(values[0])


def phi_of(activation: Activation, s: _Array) -> _Array:
    """phi(s), element by element."""
    return np.asarray(_phi(activation, s))


def slope_of(activation: Activation, s: _Array) -> _Array:
    """phi'(s) by autograd, with the declared slope at each kink."""
    return np.asarray(grad(lambda t: anp.sum(_phi(activation, t)))(s))


def bend_of(activation: Activation, s: _Array, order: int = 2) -> _Array:
    """phi''(s) of a smooth activation, or a derivative of another order, by autograd."""

    def function(t: Any) -> Any:
        return _phi(activation, t)

    for _ in range(order):
        function = elementwise_grad(function)
    return np.asarray(function(s))


def _phi(activation: Activation, s: Any) -> Any:
    """phi(s), with the declared slope at each kink."""
    if activation.is_smooth:
        return _function(activation)(s)
    result = float(activation.pieces[0].slope) * s + float(activation.pieces[0].intercept)
    for kink, piece in zip(activation.kinks, activation.pieces[1:], strict=True):
        result = anp.where(s > float(kink), _exact(piece.slope) * s + _exact(piece.intercept), result)
    for kink, slope in zip(activation.kinks, activation.kink_slopes, strict=True):
        value = _exact(activation.value_at(kink)) + _exact(slope) * (s - float(kink))
        result = anp.where(s == float(kink), value, result)
    return result


def _exact(value: Any) -> Any:
    """A rational as the float64 that the kernel has in its source; the difference is no error of the kernel."""
    return np.longdouble(float(value))


def _applied(network: Network, matrix: Any, v: Any) -> Any:
    """W v, for every sample of a mini-batch."""
    return anp.einsum("...ij,...j->...i", matrix[..., None, :, :] if network.batch else matrix, v)


def _forward(network: Network, parameters: Sequence[Any], x: Any) -> list[Any]:
    """[s1, v1, s2, v2, ..., y], or with an output activation [..., s_L, y]."""
    result, v = [], x
    for n, layer in enumerate(network.layers):
        s = _applied(network, parameters[2 * n], v) + parameters[2 * n + 1]
        result.append(s)
        if n + 1 < len(network.layers) or not layer.activation.is_identity:
            v = _phi(layer.activation, s)
            result.append(v)
    return result


def _slopes(network: Network, values: Sequence[Any]) -> list[Any]:
    """phi'(s) of each layer with an activation, by autograd, one element at a time."""
    layers = network.layers if not network.layers[-1].activation.is_identity else network.layers[:-1]
    return [slope_of(layer.activation, values[2 * n]) for n, layer in enumerate(layers)]


def _distance(e: Any) -> Any:
    """|e|, with the slope 0 at 0, and everywhere without a second one."""
    return anp.where(e > 0, e, anp.where(e < 0, -e, 0))


def _huber(e: Any) -> Any:
    return anp.where(_plain(abs(e)) < 1, e**2 / 2, _distance(e) - 1 / 2)


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


def _loss(network: Network, logits: Any, target: Any) -> Any:
    """E of the logits, each network's own: of a mini-batch the mean or the sum."""
    each = _of_samples(network, logits, target)
    if not network.batch:
        return each
    return anp.mean(each, axis=-1) if network.batch == "mean" else anp.sum(each, axis=-1)


def _softmax(s: Any) -> Any:
    powers = anp.exp(s - np.max(_plain(s), axis=-1, keepdims=True))
    return powers / anp.sum(powers, axis=-1, keepdims=True)


def _of_samples(network: Network, logits: Any, target: Any) -> Any:
    if network.softmax:
        return _loss_of(network)(_softmax(logits), logits, target)
    phi = network.layers[-1].activation
    if network.loss == "bce" and phi.name == "sigmoid":  # log(1 - y) has no digits where y is near 1
        return anp.sum(target * _softplus(-logits) + (1 - target) * _softplus(logits), axis=-1)
    y = logits if phi.is_identity else _phi(phi, logits)
    return _loss_of(network)(y, logits, target)


def _loss_of(network: Network) -> Callable[[Any, Any, Any], Any]:
    """The loss as it is written here, or a reader's own as it was given."""
    if isinstance(network.loss, str):
        return _LOSSES[network.loss]
    function = _own_loss(network.loss.expression)
    return lambda y, _, t: anp.sum(function(y, t), axis=-1)


def _in_all_digits(network: Network, logits: _Array, target: _Array) -> _Array:
    """E by a reader's own loss in many digits: as it is written, log(1 + e^-80) has none in extended precision."""
    assert not isinstance(network.loss, str)
    phi = network.layers[-1].activation
    y = _softmax(logits) if network.softmax else logits if phi.is_identity else _phi(phi, logits)
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
    named: dict[str, Any] = {"Abs": anp.abs, "atan": anp.arctan, "erf": _erf, "erfc": _erfc}
    # as above, never text; autograd differentiates it, so that no derivative of fcsym's is in the comparison
    made: Callable[[Any, Any], Any] = sympy.lambdify(symbols, expression, modules=[named, anp])
    return made


class _Optimiser:
    """The update rules as the manuals of `torch.optim` have them, array by array; written for this oracle alone."""

    def __init__(self, network: Network, memory: Mapping[str, _Array] | None, eta: _Array) -> None:
        self.network, self.rule, self.eta = network, network.rule, eta
        self.seen: dict[str, _Array] = {}
        known = memory or {}
        self.memory = {
            a.name: np.asarray(known.get(a.name, np.full(network.shape(a), float(v))), np.longdouble)
            for a, v in network.memory.items()
        }

    def _own(self, name: str) -> Any:
        return _exact(self.rule[name])

    def _rest(self, name: str) -> Any:
        return _exact(1 - self.rule[name])

    def _averaged(self, letter: str, at: str, name: str, new: _Array) -> _Array:
        result = self._own(name) * self.memory[f"{letter}{at}"] + self._rest(name) * new
        self.seen[f"{letter}{at}_new"] = result
        return np.asarray(result)

    def _correction(self, kind: int) -> _Array:
        rest = self._own(f"beta{kind}") * self.memory[f"h{kind}"] + self._rest(f"beta{kind}")
        self.seen[f"h{kind}_new"] = rest
        return np.asarray(rest)

    def moved(self, name: str, value: _Array, gradient: _Array) -> _Array:
        """A parameter after the step, W2 say; a frozen one as it is."""
        if name in self.network.fixed:
            return value
        eta = self.eta.reshape(self.eta.shape + (1,) * (value.ndim - self.eta.ndim))
        rule, at, matrix = self.rule.name, name[1:], name[0] == "W"
        first, second = ("M", "Q") if matrix else ("m", "q")
        if self.rule.is_plain:
            return np.asarray(value - eta * gradient)
        self.seen[f"dE_d{name}"] = gradient
        decay = self._own("weight_decay")
        step = gradient + (0 if rule == "adamw" else decay * value)
        if rule in ("momentum", "nesterov"):
            beta = self._own("beta")
            buffer = beta * self.memory[f"{first}{at}"] + step
            self.seen[f"{first}{at}_new"] = buffer
            step = step + beta * buffer if rule == "nesterov" else buffer
        elif rule == "rmsprop":
            step = step / (np.sqrt(self._averaged(second, at, "alpha", step**2)) + self._own("eps"))
        elif rule in ("adam", "adamw"):
            mean, squares = self._averaged(first, at, "beta1", step), self._averaged(second, at, "beta2", step**2)
            grown = [
                c.reshape(c.shape + (1,) * (value.ndim - c.ndim)) if c.ndim else c
                for c in map(self._correction, (1, 2))
            ]
            step = mean / grown[0] / (np.sqrt(squares / grown[1]) + self._own("eps"))
        change = -eta * step - (eta * decay * value if rule == "adamw" else 0)
        self.seen[f"d{name}"] = change
        return np.asarray(value + change)


def backpropagation(
    network: Network, order: str, weights: Sequence[_Array], x: _Array, target: _Array, eta: _Array,
    memory: Mapping[str, _Array] | None = None,
) -> dict[str, _Array]:  # fmt: skip
    """One step of training => every quantity before and after, by the names that derivations use.

    Arguments as for `Kernel.step`, all with the same leading axes; `memory` by name. In sequential order a layer's
    gradient is taken with upper weights already updated, and with old activations, gates and output error.
    """
    lead = x.shape[:-2] if network.batch else x.shape[:-1]
    wide = np.longdouble
    parameters: list[_Array] = []
    biases: list[_Array] = []
    given = iter(weights)
    for layer in network.layers:
        parameters.append(next(given).astype(wide))
        # a bias that the network lacks is held at 0: its gradient is the adjoint of the pre-activation
        biases.append(next(given).astype(wide) if layer.bias else np.zeros((*lead, layer.width), wide))
        parameters.append(_each(network, _for_units(biases[-1], lead, layer.width), x))
    x, target, eta = x.astype(wide), target.astype(wide), eta.astype(wide)
    optimiser = _Optimiser(network, memory, eta)

    before = _forward(network, parameters, x)
    logits, slopes = before[2 * len(network.layers) - 2], _slopes(network, before)
    error = np.asarray(grad(lambda s: anp.sum(_loss(network, s, target)))(logits))
    if order == "simultaneous":
        gradients = _together(network, parameters, x, target)
    else:
        gradients = _one_by_one(network, parameters, x, before, error, slopes, optimiser)
    after, moved = list(parameters), list(biases)
    adjoints: dict[int, _Array] = {}
    for n, layer in enumerate(network.layers):
        adjoints[n + 1] = gradients[2 * n + 1]
        after[2 * n] = optimiser.moved(f"W{n + 1}", parameters[2 * n], gradients[2 * n])
        if layer.bias:
            of_all = gradients[2 * n + 1].sum(axis=-2) if network.batch else gradients[2 * n + 1]
            if biases[n].ndim == len(lead):  # one number that all units have
                of_all = of_all.sum(axis=-1)
            moved[n] = optimiser.moved(f"b{n + 1}", biases[n], of_all)
            after[2 * n + 1] = _each(network, _for_units(moved[n], lead, layer.width), x)
    updated = [array for pair in zip(after[::2], moved, strict=True) for array in pair]
    return _named(network, updated, before, _forward(network, after, x), slopes, adjoints, target) | optimiser.seen


def derivatives(
    network: Network, of: str, by: Sequence[str], weights: Sequence[_Array], x: _Array, target: _Array
) -> tuple[dict[str, _Array], list[_Array]]:
    """dE/d each array by its name, or dy/d with the outputs ahead; and [s1, ..., sL, y] of the forward pass.

    Arrays have an axis of points in front. In a mini-batch an output is differentiated by what its own sample has.
    """
    if network.batch and of != "E":
        count, samples = x.shape[:2]
        one = replace(network, batch="", samples=0)
        repeated = [np.repeat(array, samples, axis=0) for array in weights]
        alone = (array.reshape(count * samples, -1) for array in (x, target))
        found, passed = derivatives(one, of, by, repeated, *alone)
        apart = {name: array.reshape(count, samples, *array.shape[1:]) for name, array in found.items()}
        return apart, [array.reshape(count, samples, -1) for array in passed]
    start, value, passed = _differentiable(network, of, weights, x, target)
    outputs = range(1 if of == "E" else network.widths[-1])
    slopes = [grad(value)(start, output) for output in outputs]
    found = {}
    for name in by:
        each = [_taken(network, name, slope) for slope in slopes]
        found[name] = np.asarray(each[0] if of == "E" else np.stack(each, axis=1))
    return found, passed


def second_derivatives(
    network: Network, first: str, along: Mapping[str, _Array], by: Sequence[str], weights: Sequence[_Array],
    x: _Array, target: _Array,
) -> tuple[dict[str, _Array], list[_Array]]:  # fmt: skip
    """What dE_d(first) moves by with each array, by its name, with the axes of `first` ahead; [s1, ..., y] as above.

    With `along`, directions by name, what E moves by along them is differentiated instead. Autograd twice: the gradient
    of a directional derivative, along one element after another.
    """
    start, value, passed = _differentiable(network, "E", weights, x, target)

    def steepness(own: Any, directions: Mapping[str, _Array]) -> Any:
        slopes = grad(value)(own, 0)
        return sum(anp.sum(_taken(network, name, slopes) * t) for name, t in directions.items())

    def moves(directions: Mapping[str, _Array]) -> list[_Array]:
        slopes = grad(steepness)(start, directions)
        return [np.asarray(_taken(network, name, slopes)) for name in by]

    if along:
        wide = {name: np.asarray(t, np.longdouble) for name, t in along.items()}
        return dict(zip(by, moves(wide), strict=True)), passed
    shape = np.shape(_taken(network, first, grad(value)(start, 0)))
    count = math.prod(shape[1:])
    rows = [moves({first: row.reshape(1, *shape[1:])}) for row in np.eye(count, dtype=np.longdouble)]
    stacked = (np.stack(each, axis=1) for each in zip(*rows, strict=True))
    return {n: a.reshape(shape + a.shape[2:]) for n, a in zip(by, stacked, strict=True)}, passed


_Start: TypeAlias = "tuple[list[_Array], _Array]"


def _differentiable(
    network: Network, of: str, weights: Sequence[_Array], x: _Array, target: _Array
) -> tuple[_Start, Callable[[Any, int], Any], list[_Array]]:
    """Parameters with x, E or an output as a function of them, summed over all points, and [s1, ..., sL, y]."""
    wide, given = np.longdouble, iter(weights)
    x, target = x.astype(wide), target.astype(wide)
    parameters: list[_Array] = []
    for layer in network.layers:
        matrix = next(given).astype(wide)
        shift = next(given).astype(wide) if layer.bias else np.zeros(matrix.shape[:-1], wide)
        parameters += [matrix, _each(network, _for_units(shift, x.shape[:1], layer.width), x)]
    last = 2 * len(network.layers) - 2

    def value(own: tuple[list[Any], Any], output: int) -> Any:
        passed = _forward(network, own[0], own[1])
        if of == "E":
            return anp.sum(_loss(network, passed[last], target))
        return anp.sum((_softmax(passed[last]) if network.softmax else passed[-1])[..., output])

    passed = _forward(network, parameters, x)
    shown = [*passed[: last + 1 : 2], np.asarray(_softmax(passed[last]) if network.softmax else passed[-1])]
    return (parameters, x), value, shown


def _taken(network: Network, name: str, slopes: Any) -> Any:
    """Of the slopes in parameters and x, those in one array, as it is given."""
    if name == "x":
        return slopes[1]
    found = slopes[0][2 * int(name[1:]) - (2 if name[0] == "W" else 1)]
    if name[0] == "b" and network.batch:  # a shift for every sample: what reaches s there
        found = anp.sum(found, axis=-2)
    if name[0] == "b" and name in network.common:  # one number: what reaches all units
        found = anp.sum(found, axis=-1)
    return found


def _for_units(bias: _Array, lead: tuple[int, ...], width: int) -> _Array:
    """A bias for every unit, where it is one number."""
    return np.repeat(bias[..., None], width, axis=-1) if bias.ndim == len(lead) else bias


def _each(network: Network, bias: _Array, x: _Array) -> _Array:
    """A bias for every sample of a mini-batch, so that its gradient is what reaches the sample."""
    if not network.batch:
        return bias
    return np.broadcast_to(bias[..., None, :], (*bias.shape[:-1], x.shape[-2], bias.shape[-1])).copy()


def _together(network: Network, parameters: list[_Array], x: _Array, target: _Array) -> list[_Array]:
    """The gradients of the loss, of all layers at once."""

    def loss(own: list[Any]) -> Any:
        return anp.sum(_loss(network, _forward(network, own, x)[2 * len(network.layers) - 2], target))

    return list(grad(loss)(parameters))


def _one_by_one(
    network: Network, parameters: list[_Array], x: _Array, before: list[_Array], error: _Array, slopes: list[_Array],
    optimiser: _Optimiser,
) -> list[_Array]:  # fmt: skip
    """Each layer's gradient with the weights above it already updated."""
    after, gradients = list(parameters), list(parameters)
    for n in range(len(network.layers) - 1, -1, -1):

        def loss(own: tuple[Any, Any], n: int = n) -> Any:
            # old activations below, old gates, old output error, new weights above
            v = x if n == 0 else before[2 * n - 1]
            s = _applied(network, own[0], v) + own[1]
            for m in range(n + 1, len(network.layers)):
                s = _applied(network, after[2 * m], slopes[m - 1] * s)
            return anp.sum(error * s)

        gradients[2 * n], gradients[2 * n + 1] = grad(loss)((parameters[2 * n], parameters[2 * n + 1]))
        after[2 * n] = optimiser.moved(f"W{n + 1}", parameters[2 * n], gradients[2 * n])
    return gradients


def _named(
    network: Network, updated: Sequence[_Array], before: Sequence[_Array],
    after: Sequence[_Array], slopes: Sequence[_Array], adjoints: dict[int, _Array], target: _Array,
) -> dict[str, _Array]:  # fmt: skip
    depth = len(network.layers)
    logits = 2 * depth - 2
    result = {"E": np.asarray(_loss(network, before[logits], target))}
    if not isinstance(network.loss, str):
        result["E"] = _in_all_digits(network, before[logits], target)
    linear = network.layers[-1].activation.is_identity and not network.softmax
    names = [name for n in range(1, depth) for name in (f"s{n}", f"v{n}")]
    names += ["y"] if linear else [f"s{depth}"] if network.softmax else [f"s{depth}", "y"]
    if network.softmax:
        result["y"] = np.asarray(_softmax(before[logits]))
    for name, old, new in zip(names, before, after, strict=True):
        result |= {name: old, f"{name}_new": new, f"d{name}": new - old}
    for n, layer in enumerate(network.layers, 1):
        result[f"delta{n}"] = adjoints[n]
        result[f"W{n}_new"] = updated[2 * n - 2]
        if layer.bias:
            result[f"b{n}_new"] = updated[2 * n - 1]
        if not layer.activation.is_identity:
            result[f"g{n}"] = slopes[n - 1]
    if len(network.layers) > 1 and network.batch:
        result |= _common(network, updated[2 * depth - 2], before[logits - 1], after[logits - 1], after[logits], linear)
    elif len(network.layers) > 1:
        frozen, change = before[logits - 1], after[logits - 1] - before[logits - 1]
        weight, lost = updated[2 * len(network.layers) - 2], (frozen == 0) & (change != 0)
        ratio = np.divide(change, frozen, out=np.zeros_like(change), where=frozen != 0)
        result["vc"] = frozen
        result["p"] = np.where(lost[..., None, :], np.nan, weight * ratio[..., None, :])
        result["r"] = weight + result["p"]
        front = "y_front" if linear else f"s{depth}_front"
        result[front] = np.where(lost.any(axis=-1)[..., None], np.nan, after[logits])
    return result


def _common(
    network: Network, matrix: _Array, frozen: _Array, moved: _Array, logits: _Array, linear: bool
) -> dict[str, _Array]:
    """p for all samples of a mini-batch, of least norm; nothing where there are more samples than units."""
    if network.samples > network.widths[-2]:
        return {}
    lack = _applied(network, matrix, moved - frozen)
    gram = np.einsum("...nj,...mj->...nm", frozen, frozen)
    inverse = _inverse(gram)
    p = np.einsum("...nm,...mk,...nj->...kj", inverse, lack, frozen)
    lost: _Array = np.asarray(np.isnan(inverse).any(axis=(-1, -2)))
    front = "y_front" if linear else f"s{len(network.layers)}_front"
    return {
        "vc": frozen, "ell": lack, "K": gram, "Ki": inverse, "p": p, "r": matrix + p,
        front: np.where(lost[..., None, None], np.nan, logits),
    }  # fmt: skip


def _inverse(gram: _Array) -> _Array:
    """The inverse by elimination with the largest pivots; not-a-number where the rows are dependent in float64."""
    count = gram.shape[-1]
    left, right = gram.copy(), np.broadcast_to(np.eye(count, dtype=np.longdouble), gram.shape).copy()
    rows: Any = np.indices(gram.shape[:-2], sparse=True)
    for n in range(count):
        at = n + np.argmax(np.abs(left[..., n:, n]), axis=-1)
        for half in (left, right):
            top, other = half[..., n, :].copy(), half[(*rows, at)].copy()
            half[(*rows, at)], half[..., n, :] = top, other
        pivot = left[..., n, n][..., None].copy()
        with np.errstate(all="ignore"):
            for half in (left, right):
                half[..., n, :] /= pivot
            for m in (m for m in range(count) if m != n):
                share = left[..., m, n][..., None].copy()
                for half in (left, right):
                    half[..., m, :] -= share * half[..., n, :]
    whole = gram.astype(np.float64)
    values = np.linalg.eigvalsh(np.where(np.isfinite(whole), whole, 0))
    least = 16 * count * np.finfo(np.float64).eps * values[..., -1:]
    lost: _Array = np.less_equal(values[..., :1], least)
    return np.where(lost[..., None], np.nan, right)
