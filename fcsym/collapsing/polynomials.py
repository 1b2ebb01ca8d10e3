"""Expansion of long terms: the canonical form of `language.algebra`, found by refinement.

Terms of a step have many indices that play the same part at first sight. Indices are told apart by the factors that
they are in, factors by their indices, and again, until nothing new is told apart; where that leaves a choice, each is
tried. The names that come out differ from those of `expand`, so the forms of one are compared with its own only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from fcsym.language.algebra import Factor, Monomial, Polynomial, expand, products
from fcsym.language.expression import Axis, Expr, Index, Indicator, Ref, children

__all__ = ["expanded"]

_Refs: TypeAlias = "tuple[tuple[Ref, int], ...]"


def expanded(node: Expr, ones: frozenset[Axis] = frozenset()) -> Polynomial:
    """An expression => its canonical sum of monomials; `ones` and errors as for `expand`."""
    if _has_indicator(node):
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


def _has_indicator(node: Expr) -> bool:
    return isinstance(node, Indicator) or any(_has_indicator(child) for child in children(node))


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
    start: dict[Index, Any] = {}
    for ref, _ in refs:
        for index in ref.indices:
            start[index] = (1, index.axis.name, "") if index in bound else (0, index.axis.name, index.letter)
    for index in bound:  # counted without being in a factor
        start.setdefault(index, (2, index.axis.name, ""))
    return _least(refs, sorted(bound), _ranked(start))


def _ranked(values: Mapping[Index, Any]) -> dict[Index, int]:
    ranks = {value: rank for rank, value in enumerate(sorted(set(values.values())))}
    return {index: ranks[value] for index, value in values.items()}


def _refined(refs: _Refs, colour: dict[Index, int]) -> dict[Index, int]:
    """Indices told apart by where they are, as far as that goes."""
    count = len(set(colour.values()))
    while True:
        seen: dict[Index, list[Any]] = {index: [] for index in colour}
        for ref, exponent in refs:
            sign = (ref.array.name, exponent, *(colour[i] for i in ref.indices))
            for place, index in enumerate(ref.indices):
                seen[index].append((place, sign))
        colour = _ranked({index: (colour[index], tuple(sorted(seen[index]))) for index in colour})
        now = len(set(colour.values()))
        if now == count:
            return colour
        count = now


def _least(refs: _Refs, bound: Sequence[Index], colour: dict[Index, int]) -> Monomial:
    """The first of the forms that the remaining choices give."""
    colour = _refined(refs, colour)
    alike: dict[int, list[Index]] = {}
    for index in bound:
        alike.setdefault(colour[index], []).append(index)
    # an index that no factor has is like any other of its axis
    several = [group for _, group in sorted(alike.items()) if len(group) > 1 and _occurs(refs, group[0])]
    if not several:
        return _named(refs, bound, colour)
    best: tuple[Any, Monomial] | None = None
    for chosen in several[0]:
        apart = {index: 2 * rank + (index == chosen) for index, rank in colour.items()}
        made = _least(refs, bound, _ranked(apart))
        key = [(f.array.name, f.indices, e) for f, e in made.factors if isinstance(f, Ref)]
        if best is None or key < best[0]:
            best = key, made
    assert best is not None
    return best[1]


def _occurs(refs: _Refs, index: Index) -> bool:
    return any(index in ref.indices for ref, _ in refs)


def _named(refs: _Refs, bound: Sequence[Index], colour: Mapping[Index, int]) -> Monomial:
    """Names by rank, which no free index has."""
    taken = {index for ref, _ in refs for index in ref.indices} - set(bound)
    names: dict[Index, Index] = {}
    counts: dict[Axis, int] = {}
    for index in sorted(bound, key=lambda i: (colour[i], i)):
        while True:
            counts[index.axis] = counts.get(index.axis, 0) + 1
            name = Index(index.axis, f"z{counts[index.axis]}")
            if name not in taken:
                break
        names[index] = name
    made = [(Ref(ref.array, tuple(names.get(i, i) for i in ref.indices)), exponent) for ref, exponent in refs]
    made.sort(key=lambda item: (item[0].array.name, item[0].indices, item[1]))
    return Monomial(tuple(made), tuple(sorted(names.values())))
