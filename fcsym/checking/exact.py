"""The exact trajectory of backpropagation: balls of 1024 bits, or 1024-bit floating point where python-flint is absent.

It is written out by hand, knows networks only, and says which of two floating-point results is nearer to the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation
from fcsym.language.equation import Order
from fcsym.networks.network import Network

__all__ = ["BITS", "Step", "arithmetic", "distance", "trajectory", "writes_out"]

BITS = 1024


def arithmetic() -> str:
    """What the trajectory is computed in, in words."""
    try:
        import flint
    except ImportError:
        return f"floating point of {BITS} bits"
    return f"balls of {BITS} bits (python-flint {flint.__version__})"


def _numbers() -> tuple[Any, Callable[[], AbstractContextManager[Any]]]:
    """(float => an exact number, a context in which numbers compute with BITS bits)."""
    try:
        import flint
    except ImportError:
        import mpmath  # comes with SymPy

        own = mpmath.MPContext()
        own.prec = BITS
        return own.mpf, nullcontext
    return flint.arb, lambda: flint.ctx.workprec(BITS)


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

    `weights`: [W1, (b1,) W2, ...] as arrays of floats; `xs`, `targets`: one row per step.
    Raises UnsupportedExpression for smooth activations, and where a ball cannot say on which side of a kink s is.
    """
    make, precisely = _numbers()
    state = _start(network, weights, make)
    for x, target in zip(xs, targets, strict=True):
        with precisely():
            s, v = _forward(network, state, x, make)
            before = Step(v[-1], _copied(state))
            state = _stepped(network, order, state, s, v, target, make(float(eta)), make)
        yield before
    with precisely():
        _, v = _forward(network, state, xs[-1], make)
        after = Step(v[-1], _copied(state))
    yield after


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
        if not (s > corner or s <= corner):
            raise UnsupportedExpression(
                f"{BITS} bits do not say on which side of {kink} a pre-activation is: take fewer steps."
            )
        if s == corner:
            value = activation.pieces[n].slope * kink + activation.pieces[n].intercept
            return make(float(value)), make(float(activation.kink_slopes[n]))
        piece += bool(s > corner)
    chosen = activation.pieces[piece]
    slope, intercept = make(float(chosen.slope)), make(float(chosen.intercept))
    return slope * s + intercept, slope
