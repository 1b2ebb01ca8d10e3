"""Expansion of long terms: the canonical form of `language.algebra`, found by refinement.

Terms of a step have many indices that play the same part at first sight. Indices are told apart by the factors that
they are in, factors by their indices, and again, until nothing new is told apart; where that leaves a choice, each is
tried. The names that come out differ from those of `expand`, so the forms of one are compared with its own only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import count as counting
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from fcsym.language.algebra import Factor, Monomial, Polynomial, expand, products
from fcsym.language.expression import Axis, Expr, Index, Ref, indicators_in

__all__ = ["expanded"]

_Refs: TypeAlias = "tuple[tuple[Ref, int], ...]"
_Factors: TypeAlias = "Sequence[tuple[int, tuple[int, ...]]]"
"""Which array to which power, and the numbers of its indices."""


def expanded(node: Expr, ones: frozenset[Axis] = frozenset()) -> Polynomial:
    """An expression => its canonical sum of monomials; `ones` and errors as for `expand`."""
    if any(indicators_in(node)):
        return expand(node, ones=ones)
    result: Polynomial = {}
    for coefficient, factors, bound in products(node):
        monomial = _canonical(*_shortened(factors, bound, ones))
        value = result.get(monomial, Fraction(0)) + coefficient
        if value:
            result[monomial] = value
        else:
            result.pop(monomial, None)
    return result


def _shortened(
    factors: Mapping[Factor, int], bound: frozenset[Index], ones: frozenset[Axis]
) -> tuple[_Refs, frozenset[Index]]:
    """Indices over axes of length one have their only value."""
    merged: dict[Ref, int] = {}
    for factor, exponent in factors.items():
        assert isinstance(factor, Ref)
        own = Ref(factor.array, tuple(Index(i.axis, "1") if i.axis in ones else i for i in factor.indices))
        merged[own] = merged.get(own, 0) + exponent
    return tuple((f, e) for f, e in merged.items() if e), frozenset(i for i in bound if i.axis not in ones)


def _canonical(refs: _Refs, bound: frozenset[Index]) -> Monomial:
    """The monomial with names for its bound indices that follow from its form."""
    free = sorted({index for ref, _ in refs for index in ref.indices} - bound)
    inside = sorted(bound)
    number = {index: n for n, index in enumerate((*inside, *free))}
    kinds = {kind: rank for rank, kind in enumerate(sorted({(ref.array.name, exponent) for ref, exponent in refs}))}
    factors = [(kinds[ref.array.name, e], tuple(number[i] for i in ref.indices)) for ref, e in refs]
    met = {n for _, where in factors for n in where}
    start = [(1 if n in met else 2, index.axis.name, "") for n, index in enumerate(inside)]  # 2: counted, in no factor
    names = _names(inside, free)
    order = {index: rank for rank, index in enumerate(sorted((*free, *(i for own in names.values() for i in own))))}
    called = _Called(
        [index.axis for index in inside],
        {axis: [order[name] for name in own] for axis, own in names.items()},
        [order[index] for index in free],
    )
    colour = _ranked([*start, *((0, index.axis.name, index.letter) for index in free)])
    _, ranks = _least(factors, called, [n for n in range(len(inside)) if n in met], colour)
    of_rank = {rank: index for index, rank in order.items()}
    named = {index: of_rank[ranks[n]] for index, n in number.items()}
    made = [(Ref(ref.array, tuple(named[i] for i in ref.indices)), exponent) for ref, exponent in refs]
    made.sort(key=lambda item: (item[0].array.name, item[0].indices, item[1]))
    return Monomial(tuple(made), tuple(sorted(named[index] for index in inside)))


def _names(bound: Sequence[Index], free: Sequence[Index]) -> dict[Axis, list[Index]]:
    """As many names for each axis as it has bound indices, none of them a free one's."""
    names: dict[Axis, list[Index]] = {}
    for axis in dict.fromkeys(index.axis for index in bound):
        every = (Index(axis, f"z{n}") for n in counting(1))
        names[axis] = list(islice((i for i in every if i not in free), sum(index.axis == axis for index in bound)))
    return names


class _Called(NamedTuple):
    """What the indices of a monomial, which are numbered, may be called; a name is its rank among all of them."""

    axes: list[Axis]  # of the bound ones, which come first
    names: dict[Axis, list[int]]
    free: list[int]

    def by(self, colour: Sequence[int]) -> list[int]:
        """The name of each index: those of an axis in the order of their colours."""
        ranks = [0] * len(self.axes)
        left = {axis: iter(own) for axis, own in self.names.items()}
        for n in sorted(range(len(self.axes)), key=colour.__getitem__):
            ranks[n] = next(left[self.axes[n]])
        return ranks + self.free


def _ranked(values: Sequence[Any]) -> list[int]:
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [ranks[value] for value in values]


def _refined(factors: _Factors, colour: list[int]) -> list[int]:
    """Indices told apart by where they are, as far as that goes."""
    count = len(set(colour))
    while count < len(colour):
        seen: list[list[Any]] = [[] for _ in colour]
        for kind, where in factors:
            sign = (kind, *[colour[n] for n in where])
            for place, n in enumerate(where):
                seen[n].append((place, sign))
        colour = _ranked([(own, tuple(sorted(around))) for own, around in zip(colour, seen, strict=True)])
        now = len(set(colour))
        if now == count:
            break
        count = now
    return colour


def _least(factors: _Factors, called: _Called, bound: Sequence[int], colour: list[int]) -> tuple[Any, list[int]]:
    """The first of the forms that the remaining choices give, and what the indices are called in it."""
    colour = _refined(factors, colour)
    alike: dict[int, list[int]] = {}
    for n in bound:
        alike.setdefault(colour[n], []).append(n)
    several = [group for _, group in sorted(alike.items()) if len(group) > 1]
    if not several:
        ranks = called.by(colour)
        return sorted((kind, [ranks[n] for n in where]) for kind, where in factors), ranks
    apart = ([2 * rank + (n == chosen) for n, rank in enumerate(colour)] for chosen in several[0])
    return min((_least(factors, called, bound, _ranked(own)) for own in apart), key=itemgetter(0))
