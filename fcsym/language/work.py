"""How much there is to do in a list of equations: what grows is counted here, before anything is done.

A list is long where a network is deep, or has many steps or blocks; its terms are many where it is wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fcsym.language.equation import Equation
from fcsym.language.expression import Add, Array, Axis, Expr, Indicator, children, indices_in

__all__ = ["Work", "room", "spaces", "work"]

_OPEN = 3  # the length of an axis that has none yet, such as the samples of any batch


@dataclass(frozen=True, slots=True)
class Work:
    """How much a list is: what is done for each equation, what has to be kept, and what is added up."""

    equations: int
    numbers: int  # that it defines, and that are all there at its end
    terms: int  # of all sums, written out


def work(equations: Sequence[Equation], sizes: Mapping[Axis, int]) -> Work:
    """A list => how much it is at these lengths: in a batch, also what it has of every two samples."""
    numbers = sum(room((equation.array for equation in equations if equation.defines), sizes))
    return Work(len(equations), numbers, sum(spaces(equations, sizes)))


def room(arrays: Iterable[Array], sizes: Mapping[Axis, int]) -> Iterator[int]:
    """How many numbers each array has."""
    return (math.prod(sizes.get(axis, _OPEN) for axis in array.axes) for array in arrays)


def spaces(equations: Iterable[Equation], sizes: Mapping[Axis, int]) -> Iterator[int]:
    """Of each term, over how many places its indices run, the bound ones and the free ones, where an indicator is 1."""
    for equation in equations:
        for side in equation.expressions:
            for term in side.terms if isinstance(side, Add) else (side,):
                free = math.prod(sizes.get(index.axis, _OPEN) for index in {*indices_in(term)})
                for one in {*_indicators(term)}:  # it leaves one index no choice
                    free //= max((sizes.get(index.axis, _OPEN) for index in one.indices), default=1)
                yield free


def _indicators(node: Expr) -> Iterator[Indicator]:
    if isinstance(node, Indicator):
        yield node
    for child in children(node):
        yield from _indicators(child)
