"""How much there is to do in a list of equations: what grows is counted here, before anything is done.

A list is long where a network is deep, or has many steps or blocks; its terms are many where it is wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from fcsym.language.equation import Equation
from fcsym.language.expression import Add, Axis, Expr, Indicator, children, indices_in

__all__ = ["spaces"]

_OPEN = 3  # the length of an axis that has none yet, such as the samples of any batch


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
