"""What the indicators of a sum ask for: an axis read at a linear form, or terms placed at one. One analysis for all.

sum(c, k, u: W[o, c, k] [u = 2t + k - 1] v[c, u])    =>    v is read at u = 2t + k - 1, with t and k in the place of u;
                                                           what is left is a sum over c and k
sum(t, k: W[o, c, k] delta[o, t] [u = 2t + k - 1])   =>    every product of W and delta has its place among the u, where
                                                           those of one place are added up
sum(d: [m = t - d])                                  =>    1 where t - m lies on the axis of d, and 0 elsewhere

Nothing here knows what made a sum. Of all ways to do without an indicator the one is taken that makes the smallest
array; an indicator for which there is none stays, an array of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from fcsym.kernel import neutral as n
from fcsym.language.expression import Axis, Index, IndexForm

__all__ = ["Operand", "Place", "Reading", "Span", "by_length", "free_in", "reading"]

_OPEN = 16  # what an axis is counted as whose length is known only when the program runs


@dataclass(frozen=True, slots=True)
class Operand:
    """A factor of a sum, and at which forms some of its axes are read; it is 0 where a form leaves its axis."""

    factor: n.Node
    axes: tuple[Index, ...]
    at: tuple[tuple[Index, IndexForm], ...] = ()

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices that it has then, in order: those of a form in the place of the axis that is read there."""
        forms = dict(self.at)
        return tuple(i for axis in self.axes for i in (_indices(forms[axis]) if axis in forms else (axis,)))

    def read(self, index: Index, form: IndexForm) -> Operand:
        """The same, with another axis read at a form."""
        return replace(self, at=(*self.at, (index, form))) if index in self.axes else self

    def can_read(self, index: Index, form: IndexForm) -> bool:
        """Whether it has the axis, and none of the form's indices already: no diagonal is read."""
        return index in self.axes and index not in dict(self.at) and set(_indices(form)).isdisjoint(self.indices)


@dataclass(frozen=True, slots=True)
class Place:
    """result[..., index, ...] is the sum of the terms at whose indices the form is that position."""

    index: Index
    form: IndexForm


@dataclass(frozen=True, slots=True)
class Span:
    """1 where a form lies on an axis: what is left of a sum of an indicator alone."""

    form: IndexForm
    axis: Axis

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices of the form, which are the axes of an array of it."""
        return _indices(self.form)


@dataclass(frozen=True, slots=True)
class Reading:
    """A sum without its indicators: the sum over `over` of the operands, the spans and the masks, then the places."""

    operands: tuple[Operand, ...]
    over: tuple[Index, ...]
    spans: tuple[Span, ...] = ()
    masks: tuple[n.Indicator, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def placed(self) -> tuple[Index, ...]:
        """The indices that the terms keep until they have their places."""
        return tuple(i for place in self.places for i in _indices(place.form))

    @property
    def present(self) -> set[Index]:
        """The indices that anything in it has."""
        parts: list[Operand | Span | n.Indicator] = [*self.operands, *self.spans, *self.masks]
        return {i for part in parts for i in part.indices}


def free_in(node: n.Node) -> tuple[Index, ...]:
    """The free indices of a node, in order of first occurrence."""
    match node:
        case n.Load(_, indices) | n.Inverse(_, indices):
            return indices
        case n.Indicator():
            return node.indices
        case _:
            bound = set(node.over) if isinstance(node, n.Reduce | n.Extreme) else set()
            return tuple(dict.fromkeys(i for part in n.parts(node) for i in free_in(part) if i not in bound))


def by_length(form: IndexForm, sizes: Mapping[Axis, int]) -> list[tuple[Index, int]]:
    """The indices of a form with their steps, the longest axis last: along that one there is a loop in one piece."""
    return sorted(form.terms, key=lambda term: sizes.get(term[0].axis, _OPEN))


def reading(
    over: Sequence[Index], indicators: Iterable[n.Indicator], factors: Iterable[n.Node], sizes: Mapping[Axis, int]
) -> Reading:  # fmt: skip
    """The sum over `over` of these indicators and factors, which are no numbers, without indicators."""
    start = Reading(tuple(Operand(factor, free_in(factor)) for factor in factors), tuple(over))
    every = {_settled(start, tuple(dict.fromkeys(indicators))): None}
    done: dict[Reading, None] = {}
    while every:  # all orders in which the indicators can be done without; few sums have more than two
        more: dict[tuple[Reading, tuple[n.Indicator, ...]], None] = {}
        for at, left in every:
            rest = {one: tuple(other for other in left if other != one) for one in left}
            after = [(made, rest[one]) for one in left for made in _ways(at, one, rest[one])]
            more |= dict.fromkeys(_settled(*state) for state in after)
            if not after:
                done[replace(at, masks=left)] = None
        every = more
    return min(done, key=lambda made: _cost(made, sizes))


def _settled(at: Reading, left: tuple[n.Indicator, ...]) -> tuple[Reading, tuple[n.Indicator, ...]]:
    """The same whatever was done first."""
    operands = tuple(replace(operand, at=tuple(sorted(operand.at))) for operand in at.operands)
    order = sorted(range(len(at.places)), key=lambda k: at.places[k].index)
    return replace(at, operands=operands, places=tuple(at.places[k] for k in order)), left


def _cost(made: Reading, sizes: Mapping[Axis, int]) -> tuple[int, ...]:
    """What a plan costs: masks, products of numbers, spans, and the arrays that it makes, how many and how large."""
    read = [operand for operand in made.operands if operand.at]
    kept = made.present - {index for index in made.over if index not in made.placed}
    arrays = sum(_length(operand.indices, sizes) for operand in read)
    if made.places:  # what has a place is added to what is there
        arrays += 2 * _length(kept, sizes)
    count = len(read) + bool(made.places)
    return len(made.masks), _length(made.present, sizes), len(made.spans), count, arrays


def _indices(form: IndexForm) -> tuple[Index, ...]:
    return tuple(index for index, _ in form.terms)


def _ways(at: Reading, one: n.Indicator, left: Iterable[n.Indicator]) -> Iterator[Reading]:
    """The ways to do without an indicator, where those that are left are still to come."""
    elsewhere = {index for other in left for index in other.indices}
    elsewhere |= {index for place in at.places for index in (place.index, *_indices(place.form))}
    elsewhere |= {index for span in at.spans for index in span.indices}
    for index in one.indices:
        form = one.solved(index)
        if form is None or index in elsewhere:
            continue
        having = [operand for operand in at.operands if index in operand.indices]
        moved = tuple(operand.read(index, form) for operand in at.operands)
        can = all(operand.can_read(index, form) for operand in having)
        rest, own = tuple(i for i in at.over if i != index), set(_indices(form))
        if index in at.over and having and can:
            yield replace(at, operands=moved, over=rest)
        if index in at.over and not having:
            yield replace(at, over=rest, spans=(*at.spans, Span(form, index.axis)))
        if index not in at.over and can and own and own <= set(at.over) - elsewhere and own & at.present:
            yield replace(at, operands=moved, places=(*at.places, Place(index, form)))


def _length(indices: Iterable[Index], sizes: Mapping[Axis, int]) -> int:
    return prod(sizes.get(index.axis, _OPEN) for index in indices)
