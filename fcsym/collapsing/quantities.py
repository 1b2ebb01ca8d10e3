"""Quantities: monomials in what is trained, contracted over the units of large layers, with the other indices free.

A monomial of the step falls into pieces where the indices of free layers are cut. A piece with something trained in it
is a quantity; what is left is data: inner products of inputs, slopes, errors, coefficients.

    sum(j: W2[k, j]*s1[n, j]) * g[n] * delta[k]   =>   (W2 s1)[k, n],  and  g[n] delta[k] beside it

The same quantity is found again whatever its indices are called: a piece is written with its factors and its contracted
indices in the order that comes first, and what exchanges factors and changes nothing is a symmetry of its free indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import permutations, product
from math import factorial, prod
from typing import TypeAlias

from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Monomial, fresh
from fcsym.language.expression import Array, Axis, Expr, Index, Ref, mul, total

__all__ = ["Places", "Quantity", "Term", "Use", "terms_of"]

_MOST_ORDERS = 5040
_Key: TypeAlias = "tuple[tuple[str, tuple[tuple[str, int], ...]], ...]"
_Written: TypeAlias = "tuple[_Key, tuple[Index, ...], tuple[Axis, ...], tuple[Array, ...]]"


@dataclass(frozen=True, slots=True)
class Places:
    """Which axes are summed over, and which of them have groups."""

    summed: frozenset[Axis]
    groups: Mapping[Axis, Axis]

    def is_group(self, axis: Axis) -> bool:
        """Whether an axis counts groups."""
        return axis in self.groups.values()


@dataclass(frozen=True)
class Quantity:
    """A connected product of array elements, summed over the units of contracted layers.

    `factors`: each with what stands at its places: the number of a contracted index, or of a free one. A contracted
    index of a layer in groups has its group as a free index of its own, after those of the factors.
    """

    factors: tuple[tuple[Array, tuple[tuple[str, int], ...]], ...]  # ("sum", 0), ("free", 2)
    bound: tuple[Axis, ...]
    free: tuple[Axis, ...]
    places: Places | None = field(compare=False, default=None, repr=False)

    def __hash__(self) -> int:
        return hash(self.factors)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of its factors."""
        return tuple(array for array, _ in self.factors)

    @cached_property
    def letters(self) -> tuple[Index, ...]:
        """An index for each free place."""
        found: list[Index] = []
        for axis in self.free:
            found.append(fresh(axis, found))
        return tuple(found)

    def at(self, indices: Sequence[Index]) -> Expr:
        """What it stands for, with these free indices."""
        bound, parts = self._written_out(indices)
        return total(bound, mul(*parts)) if bound else mul(*parts)

    def _written_out(self, indices: Sequence[Index]) -> tuple[list[Index], list[Ref]]:
        """The indices that are summed over, and the factors."""
        assert self.places is not None
        taken = list(indices)
        bound: list[Index] = []
        for axis in self.bound:
            bound.append(fresh(axis, (*taken, *bound)))
        groups = [n for n, axis in enumerate(self.free) if self.places.is_group(axis)]
        of_bound: dict[int, Index] = {}
        for number, axis in enumerate(self.bound):
            if axis in self.places.groups:
                of_bound[number] = indices[groups[len(of_bound)]]
        parts: list[Ref] = []
        for array, where in self.factors:
            own: list[Index] = []
            for kind, number in where:
                if kind == "free":
                    own.append(indices[number])
                    continue
                if number in of_bound:
                    own.append(of_bound[number])
                own.append(bound[number])
            parts.append(array[tuple(own)])
        return bound, parts

    @cached_property
    def symmetries(self) -> tuple[tuple[int, ...], ...]:
        """The exchanges of free indices under which it is the same."""
        assert self.places is not None
        apart = tuple(Index(axis, f"f{n}") for n, axis in enumerate(self.free))
        bound, refs = self._written_out(apart)
        return _symmetries(refs, set(bound), self.places)

    def count(self, length: Callable[[Axis], object]) -> object:
        """How many numbers it is: index values up to its symmetries, as Burnside counts them."""
        group = self.symmetries
        result: object = 0
        for symmetry in group:
            lengths = [length(self.free[cycle[0]]) for cycle in _cycles(symmetry)]
            result = result + prod(lengths)  # type: ignore[operator,arg-type]
        return result / len(group) if not isinstance(result, int) else Fraction(result, len(group))  # type: ignore[operator]


def _cycles(symmetry: Sequence[int]) -> Iterator[list[int]]:
    left = set(range(len(symmetry)))
    while left:
        cycle, place = [], min(left)
        while place in left:
            left.discard(place)
            cycle.append(place)
            place = symmetry[place]
        yield cycle


@dataclass(frozen=True, slots=True)
class Use:
    """A quantity at its free indices."""

    quantity: Quantity
    indices: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """coefficient * data * quantities, summed over indices of free layers."""

    coefficient: Fraction
    data: tuple[Use, ...]  # of arrays that no step moves, contracted or not
    uses: tuple[Use, ...]
    over: tuple[Index, ...]


def terms_of(
    polynomial: Mapping[Monomial, Fraction], places: Places, is_trained: Callable[[Array], bool]
) -> tuple[Term, ...]:
    """A polynomial => its terms, each in pieces. UnsupportedExpression for a piece that is too large to compare."""
    return tuple(_term(m, c, places, is_trained) for m, c in polynomial.items())


def _term(monomial: Monomial, coefficient: Fraction, places: Places, is_trained: Callable[[Array], bool]) -> Term:
    refs = [ref for ref, exponent in monomial.factors for _ in range(abs(exponent))]
    if any(e < 0 for _, e in monomial.factors) or not all(isinstance(ref, Ref) for ref in refs):
        raise UnsupportedExpression("A step with a quotient is no polynomial.")
    data: list[Use] = []
    uses: list[Use] = []
    inside = {index for index in monomial.bound if index.axis in places.summed}
    for piece in _pieces([r for r in refs if isinstance(r, Ref)], inside):
        use = _canonical(piece, inside, places)
        (uses if any(map(is_trained, use.quantity.arrays)) else data).append(use)
    over = tuple(index for index in monomial.bound if index not in inside)
    return Term(coefficient, tuple(data), tuple(sorted(uses, key=_order)), over)


def _order(use: Use) -> tuple[object, ...]:
    return len(use.quantity.factors), [a.name for a in use.quantity.arrays], use.indices


def _pieces(refs: Sequence[Ref], inside: set[Index]) -> list[list[Ref]]:
    """Factors that share a contracted index, together."""
    found: list[tuple[set[Index], list[Ref]]] = []
    for ref in refs:
        own = inside & set(ref.indices)
        met = [piece for piece in found if piece[0] & own]
        found = [piece for piece in found if piece not in met]
        found.append((own.union(*(p[0] for p in met)), [*(r for p in met for r in p[1]), ref]))
    return [piece for _, piece in found]


def _canonical(refs: Sequence[Ref], inside: set[Index], places: Places) -> Use:
    """The piece in the order of factors that comes first, and its free indices in that order."""
    orders = list(_orders(refs, inside))
    best: list[_Written] = []
    for order in orders:
        written = _written(order, inside, places)
        if not best or written[0] < best[0][0]:
            best = [written]
        elif written[0] == best[0][0]:
            best.append(written)
    key, indices, bound, arrays = min(best, key=lambda w: w[1])
    quantity = Quantity(
        tuple((array, where) for array, (_, where) in zip(arrays, key, strict=True)),
        bound,
        tuple(index.axis for index in indices),
        places,
    )
    return Use(quantity, indices)


def _symmetries(refs: Sequence[Ref], inside: set[Index], places: Places) -> tuple[tuple[int, ...], ...]:
    """The same for factors with all free indices apart."""
    best: list[tuple[_Key, tuple[Index, ...]]] = []
    for order in _orders(refs, inside):
        key, indices, *_ = _written(order, inside, places)
        if not best or key < best[0][0]:
            best = [(key, indices)]
        elif key == best[0][0]:
            best.append((key, indices))
    first = best[0][1]
    return tuple(sorted({tuple(first.index(index) for index in other) for _, other in best}))


def _orders(refs: Sequence[Ref], inside: set[Index]) -> Iterator[tuple[Ref, ...]]:
    """The orders of factors that may come first: factors that differ in what is around them are never exchanged."""
    if len(refs) == 1:
        yield tuple(refs)
        return
    colour: list[object] = [ref.array.name for ref in refs]
    for _ in range(len(refs)):
        around: list[object] = []
        for n, ref in enumerate(refs):
            seen = []
            for place, index in enumerate(ref.indices):
                if index in inside:
                    seen += [
                        (place, other, colour[m])
                        for m, another in enumerate(refs)
                        for other, again in enumerate(another.indices)
                        if again == index and (m, other) != (n, place)
                    ]
            around.append((colour[n], tuple(sorted(seen, key=repr))))
        ranks = {value: rank for rank, value in enumerate(sorted(set(around), key=repr))}
        new: list[object] = [ranks[value] for value in around]
        if len(set(new)) == len(set(map(repr, colour))) and _ > 0:
            colour = new
            break
        colour = new
    classes: dict[object, list[int]] = {}
    for n, value in enumerate(colour):
        classes.setdefault(value, []).append(n)
    alike = [classes[value] for value in sorted(classes)]  # type: ignore[type-var]
    alike.sort(key=lambda members: (refs[members[0]].array.name, len(members)))
    if prod(factorial(len(members)) for members in alike) > _MOST_ORDERS:
        raise UnsupportedExpression(f"A quantity of {len(refs)} factors is too large to compare.")
    for choice in product(*(permutations(members) for members in alike)):
        yield tuple(refs[n] for members in choice for n in members)


def _written(order: Sequence[Ref], inside: set[Index], places: Places) -> _Written:
    """Factors with numbers at their places, the free indices in order, and the axes that are summed over."""
    numbers: dict[Index, int] = {}
    group_of: dict[Index, Index] = {}
    free: list[Index] = []
    rows: list[tuple[str, tuple[tuple[str, int], ...]]] = []
    for ref in order:
        row: list[tuple[str, int]] = []
        for place, index in enumerate(ref.indices):
            if places.is_group(index.axis) and place + 1 < len(ref.indices) and ref.indices[place + 1] in inside:
                group_of.setdefault(ref.indices[place + 1], index)
                continue
            if index in inside:
                row.append(("sum", numbers.setdefault(index, len(numbers))))
            else:
                row.append(("free", len(free)))
                free.append(index)
        rows.append((ref.array.name, tuple(row)))
    bound = sorted(numbers, key=numbers.__getitem__)
    free += [group_of[j] for j in bound if j in group_of]
    return tuple(rows), tuple(free), tuple(j.axis for j in bound), tuple(ref.array for ref in order)
