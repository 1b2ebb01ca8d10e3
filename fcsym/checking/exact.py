"""The exact trajectory of backpropagation, in balls of 1024 bits and of more where these do not decide it.

Where python-flint is absent, it is in floating point of 1024 bits. It is written out by hand, knows networks only, and
says which of two floating-point results is nearer to the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation
from fcsym.language.equation import Order
from fcsym.networks.network import Network

__all__ = ["BITS", "Step", "arithmetic", "distance", "trajectory", "writes_out"]

BITS = 1024
_MOST_BITS = 1 << 16  # training that is unstable loses about two of them in a step
_SHARP = 128  # bits that are certain of a number,
_SMALL = 2.0**-256  # unless it is as small as this


def arithmetic() -> str:
    """What the trajectory is computed in, in words."""
    try:
        import flint
    except ImportError:
        return f"floating point of {BITS} bits"
    return f"balls of {BITS} bits or more (python-flint {flint.__version__})"


def _numbers(bits: int) -> tuple[Any, Callable[[], AbstractContextManager[Any]]]:
    """(float => an exact number, a context in which numbers compute with so many bits)."""
    try:
        import flint
    except ImportError:
        import mpmath  # comes with SymPy

        own = mpmath.MPContext()
        own.prec = bits
        return own.mpf, nullcontext
    return flint.arb, lambda: flint.ctx.workprec(bits)


@dataclass(frozen=True, slots=True)
class Step:
    """The network before a step."""

    output: list[Any]
    weights: list[Any]  # [W1, b1, W2, ...] as nested lists


def distance(value: Any, exact: Any) -> float:
    """|value - exact| for a float, rounded to one."""
    difference = abs(exact - type(exact)(float(value)))
    return float(difference.mid()) if hasattr(difference, "mid") else float(difference)


def trajectory(
    network: Network, order: Order, weights: Sequence[Any], xs: Sequence[Any], targets: Sequence[Any], eta: float
) -> Iterator[Step]:
    """The output and the weights before each of the steps, and once more after the last one.

    `weights`: [W1, (b1,) W2, ...] as arrays of floats; `xs`, `targets`: one row per step. Where balls are too wide to
    say what a number is, or on which side of a kink s is, training begins again with twice as many bits.
    Raises UnsupportedExpression for smooth activations, and where 65536 bits do not decide it.
    """
    bits, done = BITS, 0
    while True:
        try:
            for step in islice(_trajectory(network, order, weights, xs, targets, eta, bits), done, None):
                yield step
                done += 1
            return
        except _Undecided as problem:
            bits *= 2
            if bits > _MOST_BITS:
                raise UnsupportedExpression(
                    f"{bits // 2} bits do not say {problem} after {done} steps: take fewer steps, or other weights."
                ) from None


class _Undecided(Exception):
    """What a number of bits does not say."""


def _trajectory(
    network: Network, order: Order, weights: Sequence[Any], xs: Sequence[Any], targets: Sequence[Any], eta: float,
    bits: int,
) -> Iterator[Step]:  # fmt: skip
    """The same with so many bits; _Undecided where they do not suffice."""
    make, precisely = _numbers(bits)
    state = _start(network, weights, make)
    for x, target in zip(xs, targets, strict=True):
        with precisely():
            s, v = _forward(network, state, x, make)
            before = _sharp(v[-1], state)
            state = _stepped(network, order, state, s, v, target, make(float(eta)), make)
        yield before
    with precisely():
        _, v = _forward(network, state, xs[-1], make)
        after = _sharp(v[-1], state)
    yield after


def _sharp(output: list[Any], state: _State) -> Step:
    """The network before a step; _Undecided where a ball is too wide to say what the number is."""
    for row in (output, *(row for matrix, bias in state for row in (*matrix, bias or []))):
        for value in row:
            if hasattr(value, "rad") and value.rel_accuracy_bits() < _SHARP and not value.rad() <= _SMALL:
                raise _Undecided("what the numbers are")
    return Step(output, _copied(state))


def writes_out(network: Network) -> bool:
    """Whether `trajectory` knows the network: dense, lines in pieces, squared error, one sample a step."""
    smooth = any(layer.activation.is_smooth for layer in network.layers)
    return network.built is None and network.is_plain and network.loss == "squared" and not (network.softmax or smooth)


_State = list[tuple[list[list[Any]], list[Any] | None]]
"""The matrix and the bias of each layer."""


def _start(network: Network, weights: Sequence[Any], make: Any) -> _State:
    given = iter(weights)
    return [
        (
            [[make(float(w)) for w in row] for row in next(given)],
            [make(float(b)) for b in next(given)] if layer.bias else None,
        )
        for layer in network.layers
    ]


def _forward(network: Network, state: _State, x: Sequence[float], make: Any) -> tuple[list[Any], list[Any]]:
    v, s = [[make(float(value)) for value in x]], []
    for layer, (matrix, bias) in zip(network.layers, state, strict=True):
        sums = [_dot(row, v[-1], make) for row in matrix]
        s.append(sums if bias is None else [a + b for a, b in zip(sums, bias, strict=True)])
        v.append([_phi(layer.activation, value, make)[0] for value in s[-1]])
    return s, v


def _stepped(
    network: Network,
    order: Order,
    old: _State,
    s: list[Any],
    v: list[Any],
    target: Sequence[float],
    eta: Any,
    make: Any,
) -> _State:
    if not network.is_plain:
        raise UnsupportedExpression(
            "The exact trajectory needs every parameter trained by the gradient step on one sample and no shared bias, "
            f"and got {network}."
        )
    if network.loss != "squared" or network.softmax:
        raise UnsupportedExpression(f"The exact trajectory needs the squared error, not {network.loss}.")
    slopes = [_phi(network.layers[-1].activation, value, make)[1] for value in s[-1]]
    delta = [g * (y - make(float(t))) for g, y, t in zip(slopes, v[-1], target, strict=True)]
    new = list(old)
    for n in range(len(network.layers) - 1, -1, -1):
        if n + 1 < len(network.layers):
            above, _ = (new if order == "sequential" else old)[n + 1]
            slopes = [_phi(network.layers[n].activation, value, make)[1] for value in s[n]]
            columns = zip(*above, strict=True)
            delta = [g * _dot(column, delta, make) for g, column in zip(slopes, columns, strict=True)]
        matrix, bias = old[n]
        new[n] = (
            [
                [w - eta * d * source for w, source in zip(row, v[n], strict=True)]
                for row, d in zip(matrix, delta, strict=True)
            ],
            None if bias is None else [b - eta * d for b, d in zip(bias, delta, strict=True)],
        )
    return new


def _copied(state: _State) -> list[Any]:
    result: list[Any] = []
    for matrix, bias in state:
        result.append([list(row) for row in matrix])
        if bias is not None:
            result.append(list(bias))
    return result


def _dot(row: Sequence[Any], v: Sequence[Any], make: Any) -> Any:
    result = make(0.0)
    for a, b in zip(row, v, strict=True):
        result = result + a * b
    return result


def _phi(activation: Activation, s: Any, make: Any) -> tuple[Any, Any]:
    """phi(s) and phi'(s); rational constants as the floats that kernels have."""
    if activation.is_smooth:
        raise UnsupportedExpression(f"The exact trajectory needs a piecewise-linear activation, not {activation.name}.")
    piece = 0
    for n, kink in enumerate(activation.kinks):
        corner = make(float(kink))
        if not (s > corner or s < corner or s == corner):
            raise _Undecided(f"on which side of {kink}, or whether exactly there, a pre-activation is")
        if s == corner:
            value = activation.pieces[n].slope * kink + activation.pieces[n].intercept
            return make(float(value)), make(float(activation.kink_slopes[n]))
        piece += bool(s > corner)
    chosen = activation.pieces[piece]
    slope, intercept = make(float(chosen.slope)), make(float(chosen.intercept))
    return slope * s + intercept, slope
