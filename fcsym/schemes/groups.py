"""Units of a layer in groups, all of a group on one line of their activation for every held input; or on one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fcsym.language.algebra import Definition
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Axis, Expr

__all__ = ["Grouping", "Groups", "HeldLayer", "HeldPiece"]


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


@dataclass(frozen=True, slots=True)
class HeldPiece:
    """The units that were on a piece at init: s/s^c = c q + d with the same c, d, above 0 while they keep it."""

    slope: Fraction
    indicator: Array  # 1 for a unit on the piece
    count: Array  # how many there are
    moves: Array  # the slope, 0 where there is none
    ratio: Array  # q = w^c/s^c
    total: Array  # its sum
    mean: Array  # and its mean, 0 where no unit is on the piece
    filled: Array  # q, with the mean for units off the piece
    extremes: tuple[Array, Array]  # the least and the greatest q
    margins: tuple[Array, Array]  # c q + d there
    map: tuple[Expr, Expr]  # c, d
    rest: Mapping[Array, Expr]  # what a step moves, and its values where nothing has moved


@dataclass(frozen=True, slots=True)
class HeldLayer:
    """A layer of one output whose units keep the piece that they had at init."""

    outgoing: Array  # w^c: what a unit gave to the one output
    pieces: tuple[HeldPiece, ...]  # with a slope; none where there is no kink
