"""Numbers beside the equations: what every quantity is at given values, as it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fcsym.language.expression import Axis

__all__ = ["Numbers"]

Place: TypeAlias = "tuple[str, tuple[int, ...]]"
"""A quantity by name, and a position in it from 0."""


@dataclass(frozen=True)
class Numbers:
    """What a document shows of a step in numbers. Whoever makes it has computed and rounded; renderers do neither."""

    sizes: Mapping[Axis, int]
    digits: int
    text: Mapping[Place, str]  # 0.5932; nothing where there is no value
    holds: Mapping[Place, str]  # the name of the case that holds, of what is defined by cases
