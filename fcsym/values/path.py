"""Training in exact numbers, input after input: the list of equations evaluated as it stands.

In fractions, and in balls from where a smooth function enters. Of the list only what training rests on is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.language.equation import Equation
from fcsym.language.expression import Array
from fcsym.networks.network import Network
from fcsym.values.exact import evaluated, shortened
from fcsym.values.given import Nested, Values

__all__ = ["path"]

_Array = npt.NDArray[Any]


def path(
    network: Network, equations: Iterable[Equation], weights: Sequence[_Array], xs: Sequence[_Array],
    targets: Sequence[_Array], eta: float,
) -> Iterator[tuple[Nested, tuple[Nested, ...]]]:  # fmt: skip
    """The output and the parameters before each of the steps, and once more after the last one, as nested tuples.

    `weights`: one array per parameter; `xs`, `targets`: one input and one target per step. What the update rule carries
    begins as at rest. Raises UnsupportedExpression where no digits say on which side of a kink a number is.
    """
    every = tuple(equations)
    after = {a: a.primed if a in network.trained else a for a in network.parameters}
    after |= {array: array.primed for array in network.memory}
    known = _needed(every, [network.output, *after.values()])
    now = tuple(_nested(w) for w in weights)
    memory = tuple(_filled(network.shape(array), value) for array, value in network.memory.items())
    for x, target in zip(xs, targets, strict=True):
        given = Values(network, now, _nested(x), _nested(target), Fraction(float(eta)), memory)
        found = evaluated(known, given)
        yield found[network.output.name], now
        now = tuple(shortened(found[after[a].name]) for a in network.parameters)
        memory = tuple(shortened(found[after[a].name]) for a in network.memory)
    given = Values(network, now, _nested(xs[-1]), _nested(targets[-1]), Fraction(float(eta)), memory)
    yield evaluated(_needed(every, [network.output]), given)[network.output.name], now


def _needed(equations: Sequence[Equation], wanted: Sequence[Array]) -> tuple[Equation, ...]:
    """The equations that these quantities rest on, in their order."""
    defined = {e.array: e for e in equations if e.defines}
    left, needed = list(wanted), set()
    while left:
        array = left.pop()
        if array in defined and array not in needed:
            needed.add(array)
            left += defined[array].operands
    return tuple(e for array, e in defined.items() if array in needed)


def _nested(array: Any) -> Nested:
    return tuple(_nested(part) for part in array) if np.ndim(array) else Fraction(float(array))


def _filled(shape: Sequence[int], value: Fraction) -> Nested:
    return tuple(_filled(shape[1:], value) for _ in range(shape[0])) if shape else value
