"""Training in exact numbers, input after input: the list of equations evaluated as it stands.

In fractions, and in balls from where a smooth function enters. Of the list only what training rests on is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy.typing as npt

from fcsym.language.equation import Equation
from fcsym.language.expression import Array
from fcsym.networks.network import Network
from fcsym.values.exact import evaluated, shortened
from fcsym.values.given import Values
from fcsym.values.nested import Nested, fractions, nested

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
    now = tuple(fractions(w) for w in weights)
    memory = tuple(_at_rest(network, array) for array in network.memory)
    for x, target in zip(xs, targets, strict=True):
        given = Values(network, now, fractions(x), fractions(target), Fraction(float(eta)), memory)
        found = evaluated(known, given)
        yield found[network.output.name], now
        now = tuple(shortened(found[after[a].name]) for a in network.parameters)
        memory = tuple(shortened(found[after[a].name]) for a in network.memory)
    given = Values(network, now, fractions(xs[-1]), fractions(targets[-1]), Fraction(float(eta)), memory)
    yield evaluated(_needed(every, [network.output]), given)[network.output.name], now


def _at_rest(network: Network, array: Array) -> Nested:
    value = network.memory[array]
    return nested(network.shape(array), lambda _: value)


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
