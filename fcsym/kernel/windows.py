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
    made = Reading(tuple(Operand(factor, free_in(factor)) for factor in factors), tuple(over))
    left = list(dict.fromkeys(indicators))
    while left:
        ways = [(cost, k, way) for k, one in enumerate(left) for cost, way in _ways(made, one, left, sizes)]
        if not ways:
            return replace(made, masks=tuple(left))
        _, k, made = min(ways, key=lambda found: found[:2])
        del left[k]
    return made


def _indices(form: IndexForm) -> tuple[Index, ...]:
    return tuple(index for index, _ in form.terms)


def _ways(
    at: Reading, one: n.Indicator, left: Sequence[n.Indicator], sizes: Mapping[Axis, int]
) -> Iterator[tuple[tuple[int, ...], Reading]]:
    """The ways to do without an indicator, each with what it costs: products, and the length of an array."""
    elsewhere = {index for other in left if other is not one for index in other.indices}
    elsewhere |= {index for place in at.places for index in (place.index, *_indices(place.form))}
    elsewhere |= {index for span in at.spans for index in span.indices}
    for index in one.indices:
        form = one.solved(index)
        if form is None or index in elsewhere:
            continue
        having = [operand for operand in at.operands if index in operand.indices]
        moved = tuple(operand.read(index, form) for operand in at.operands)
        can = all(operand.can_read(index, form) for operand in having)
        volume = _length({i for operand in moved for i in operand.indices} | set(_indices(form)), sizes)
        rest, own = tuple(i for i in at.over if i != index), set(_indices(form))
        if index in at.over and having and can:
            longest = max(_length(operand.indices, sizes) for operand in moved if index in operand.axes)
            yield (volume, 0, longest), replace(at, operands=moved, over=rest)
        if index in at.over and not having:
            volume = _length(at.present | own, sizes)
            yield (volume, 1, _length(own, sizes)), replace(at, over=rest, spans=(*at.spans, Span(form, index.axis)))
        if index not in at.over and can and own and own <= set(at.over) - elsewhere and own & at.present:
            kept = {i for operand in moved for i in operand.indices} - (set(at.over) - own - elsewhere)
            longest = 2 * _length(kept, sizes)  # what has a place is added to what is there
            yield (volume, 0, longest), replace(at, operands=moved, places=(*at.places, Place(index, form)))


def _length(indices: Iterable[Index], sizes: Mapping[Axis, int]) -> int:
    return prod(sizes.get(index.axis, _OPEN) for index in indices)
