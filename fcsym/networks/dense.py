"""Stacks of dense layers: what each computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Protocol

from fcsym.errors import NetworkError
from fcsym.language.activation import Activation
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Array, Expr, Index, total
from fcsym.networks.symbols import units, weight

__all__ = ["MAX_LAYERS", "MAX_WIDTH", "Dense", "Stack", "activated", "dense_equations", "width_of"]

MAX_LAYERS = 128
MAX_WIDTH = 1_000_000


@dataclass(frozen=True, slots=True)
class Dense:
    """A fully connected layer: s = W v (+ b), v = phi(s)."""

    width: int
    activation: Activation
    bias: bool


class Stack(Protocol):
    """What of a stack of dense layers its equations follow from."""

    @property
    def layers(self) -> Sequence[Any]:
        """Each with an activation and a bias or none."""

    @property
    def output(self) -> Array:
        """y."""

    def passed_on(self, layer: int) -> Array:
        """What a layer passes on, counted from the input."""

    def pre_activation(self, layer: int) -> Array:
        """What the weights of a layer give, counted from 1."""

    def bias(self, layer: int) -> Array:
        """b of a layer."""


def dense_equations(network: Stack) -> tuple[Equation, ...]:
    """s_i = sum_j W_ij v_j + b_i, v_i = phi(s_i), layer by layer (eq. 9-11)."""
    return tuple(equation for n in range(1, len(network.layers) + 1) for equation in _layer(network, n))


def _layer(network: Stack, n: int) -> list[Equation]:
    last, layer = n == len(network.layers), network.layers[n - 1]
    i, j = Index(units(n), "k" if last else "i"), Index(units(n - 1), "j")
    weights, source = weight(n), network.passed_on(n - 1)
    pre = network.pre_activation(n)
    rhs = total(j, weights[i, j] * source[j])
    if layer.bias:
        shift = network.bias(n)
        rhs = rhs + shift[(i,) if shift.axes else ()]
    uses = (source.name,) if n > 1 else ()
    what = "the output" if pre == network.output else f"the pre-activation of layer {n}"
    equations = [Equation(pre[i], rhs, Rule.DEFINITION, f"This is {what}.", uses, "eq. 11" if last else "eq. 9")]
    after = network.passed_on(n)
    if after != pre:
        what = "The output activation" if last else f"The activation of layer {n}"
        said = f"Layer {n} is linear." if layer.activation.is_identity and not last else ""
        equations.append(activated(pre, after, layer.activation, what, said))
    return equations


def activated(pre: Array, after: Array, phi: Activation, what: str, said: str = "") -> Equation:
    """v = phi(s), element by element (eq. 10)."""
    i = tuple(Index(axis, "k" if n == len(pre.axes) - 1 else f"t{n}") for n, axis in enumerate(pre.axes))
    value: Expr = pre[i] if phi.is_identity else Apply(phi, pre[i])
    return Equation(after[i], value, Rule.DEFINITION, said or f"{what} is {phi.name}.", (pre.name,), "eq. 10")


def width_of(value: object, what: str) -> int:
    """A whole number from 1 to MAX_WIDTH; NetworkError for anything else."""
    try:
        if isinstance(value, bool):
            raise TypeError
        width = index(value)  # type: ignore[arg-type]  # takes NumPy's integers, refuses floats and its booleans
    except TypeError:
        raise NetworkError(f"The {what} is {str(value)[:40]!r}: give a whole number.") from None
    if not 1 <= width <= MAX_WIDTH:
        raise NetworkError(f"The {what} is {str(width)[:40]}: a width is between 1 and {MAX_WIDTH}.")
    return width
