"""Units of a layer in groups, all of a group on one line of their activation for every held input."""

from __future__ import annotations

from dataclasses import dataclass

from fcsym.language.algebra import Definition
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Axis

__all__ = ["Grouping", "Groups"]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one layer: phi(s[n, j]) = slope[n, c] s[n, j] + offset[n, c] for every unit j of group c."""

    pre_activation: Array
    units: Axis
    patterns: Axis  # the groups
    within: Array  # 1 where unit j is in group c, 0 where it is not
    slope: Array
    offset: Array | None  # None where no line has an intercept
    one: Definition | None = None  # what columns make of the 1 of a unit j, where lines have intercepts


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which layers a state is summed over, and how far a step moves what stands for the first layer's weights."""

    layers: tuple[Groups, ...]  # those whose units have gates
    summed: frozenset[Axis]
    moved: tuple[Equation, ...]  # s1 after the step, and its velocity, by the errors of the first layer
