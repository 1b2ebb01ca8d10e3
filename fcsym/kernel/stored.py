"""What rounding is left where arithmetic is exact and only what is stored is rounded, to the float next to it.

    W1_new = W1 - eta delta x    =>    the float next to the exact value, at floats for W1, eta, delta and x

What a kernel is off by beyond that comes from its own operations, and not from what it stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fcsym.kernel.rows import Exact
from fcsym.language.equation import Equation
from fcsym.language.instance import Instance
from fcsym.schemes.record import SchemeRecord
from fcsym.values.ball import Ball
from fcsym.values.exact import exact_field

__all__ = ["fraction_of", "once_rounded", "trained"]


_RANGE = 1 << 14  # the powers of two that are told apart; those of floats end at 1024 and at -1074


def fraction_of(value: Any) -> Fraction:
    """The number, one of mpmath, too, or the middle of its ball; of one far below all floats no more than the sign.

    OverflowError for one far above them. Either would be a fraction of more digits than there is memory for.
    """
    number = value.middle if isinstance(value, Ball) else value
    if isinstance(number, Fraction):
        return number
    if not hasattr(number, "_mpf_"):
        return Fraction(number)
    sign, mantissa, exponent, size = number._mpf_
    if exponent + size > _RANGE:
        raise OverflowError(f"A number is above 2 to the power of {_RANGE}.")
    if exponent + size < -_RANGE:
        return Fraction(-1 if sign else 1, 1 << _RANGE)
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent) * (-1 if sign else 1)


def once_rounded() -> type[Instance]:
    """The interpreter of equations that rounds every element of a left-hand side once."""
    return _OnceRounded


@dataclass(slots=True)
class _OnceRounded(Instance):
    def right_side(self, equation: Equation, position: tuple[int, ...]) -> Any:
        value = Instance.right_side(self, equation, position)
        return None if value is None else Fraction(float(fraction_of(value)))


def trained(
    scheme: SchemeRecord, weights: Sequence[Any], xs: Sequence[Any], target: Any, eta: float
) -> Iterator[list[Any]]:
    """The output before each step and after the last one, and each parameter by expand, flat: a rounded state.

    `weights`: [W1, b1, ...] as arrays of floats; `xs`: an input for each step. Raises TypeError where something has no
    value, OverflowError where it is out of range.
    """

    def fractions(array: Any) -> list[Fraction]:
        return [Fraction(float(number)) for number in np.ravel(array)]

    machine, given = Exact(scheme, field=exact_field()), [fractions(w) for w in weights]
    state = _stored(machine.init(given, fractions(xs[0])))
    for x in xs:
        yield [float(y) for y in machine.output(state, fractions(x))]
        state = _stored(machine.step(state, fractions(x), fractions(target), Fraction(eta)))
    yield [float(y) for y in machine.output(state, fractions(xs[-1]))]
    for values in machine.expand(state, given, fractions(xs[0])):
        yield [float(w) for w in values]


def _stored(state: Mapping[str, Mapping[Any, Any]]) -> dict[str, dict[Any, Any]]:
    return {name: {at: Fraction(float(v)) for at, v in values.items()} for name, values in state.items()}
