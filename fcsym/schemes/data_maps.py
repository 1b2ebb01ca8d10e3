"""Linear maps that read data: found in the forward equations by what their arrays are, whatever layer made them.

A pre-activation has terms W x, in which a parameter meets nothing but data: the input, and what is made of it alone.
Such a map gives z = sum over features of W D, with one data vector D for each position: a patch of an image, a time
step, a token, each for every sample. Indices that W and D share are features where the sum is over them, and units
where it is not; all others say where z is read, and are the positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fcsym.deriving.record import Record
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import expand, free_in, products, rename
from fcsym.language.equation import Equation
from fcsym.language.expression import (
    ONE,
    Add,
    Array,
    Expr,
    Index,
    Indicator,
    Ref,
    Role,
    add,
    arrays_in,
    mul,
    power,
    refs_in,
    total,
)
from fcsym.networks.symbols import adjoint_of, data_share

__all__ = ["DataMap", "Reading", "made_of_data", "reading"]


@dataclass(frozen=True)
class DataMap:
    """z[at] = sum over features of weight times data, with what is added for every unit alike."""

    weight: Array
    shifts: tuple[Array, ...]  # biases that leave with it: they stand beside it and nowhere else
    z: Array
    at: tuple[Index, ...]  # the indices of z, those of the positions and of the units
    element: Ref  # the weight, at the indices of its units and features
    data: Expr  # one data vector for each position
    positions: tuple[Index, ...]
    units: tuple[Index, ...]
    features: tuple[Index, ...]
    uses: tuple[tuple[Equation, Expr, tuple[Index, ...]], ...]  # where z is read: beside which factor, summed over what

    @property
    def is_pre_activation(self) -> bool:
        """Whether z is a pre-activation as it is, and no part of one."""
        return any(equation.array == self.z for equation, *_ in self.uses)

    @property
    def parameters(self) -> tuple[Array, ...]:
        """What z stands in place of."""
        return (self.weight, *self.shifts)


@dataclass(frozen=True)
class Reading:
    """The maps of a network that read data, and its forward equations with z in their place."""

    maps: tuple[DataMap, ...]
    equations: Mapping[Array, Equation]  # those in which z takes the place of a sum
    data: frozenset[Array]  # the input, and what is made of it alone


def made_of_data(equations: Sequence[Equation], x: Array) -> frozenset[Array]:
    """The input and every array that is made of it alone."""
    found, constant = {x}, set[Array]()
    for equation in equations:
        read = set(equation.operands)
        if not read - found - constant:
            (found if read & found else constant).add(equation.array)
    return frozenset(found)


@dataclass(frozen=True)
class _Use:
    """A term of a pre-activation in which a parameter meets data."""

    equation: Equation
    place: int  # which term it is
    weight: Ref
    inside: tuple[Expr, ...]  # what is summed with the weight
    outside: tuple[Expr, ...]  # what says where z is read
    summed: tuple[Index, ...]  # the bound indices inside that the weight has not
    features: tuple[Index, ...]
    positions: tuple[Index, ...]
    bound: tuple[Index, ...]  # those of the positions that the term sums over

    @property
    def units(self) -> tuple[Index, ...]:
        """The indices of the weight that stay."""
        return tuple(i for i in self.weight.indices if i not in self.features)

    @property
    def data(self) -> Expr:
        """The data vector."""
        return total(self.summed, mul(*self.inside))

    @property
    def is_whole(self) -> bool:
        """Whether the term is z, at the indices of its equation."""
        here = self.equation.lhs.indices if isinstance(self.equation.lhs, Ref) else ()
        return not self.outside and not self.bound and set(here) == {*self.positions, *self.units}

    def canonical(self) -> tuple[object, ...]:
        """What is the same for two terms that read the same data vectors in the same way."""
        names = {i: Index(i.axis, f"w{n}") for n, i in enumerate(self.weight.indices)}
        names |= {i: Index(i.axis, f"p{n}") for n, i in enumerate(self.positions)}
        features = tuple(self.weight.indices.index(i) for i in self.features)
        data = frozenset(expand(rename(self.data, names)).items())
        return self.weight.array, features, tuple(i.axis for i in self.positions), data


def reading(record: Record, forward: Sequence[Equation]) -> Reading:
    """The step of a network, and its forward equations => what of it reads data; no maps where nothing does."""
    network = record.network
    data = made_of_data(forward, network.input)
    constant = {e.array for e in forward if not e.operands}
    found: dict[Array, list[_Use]] = {}
    seen: dict[Array, int] = {}
    for equation in forward:
        for node in equation.expressions:
            for ref in refs_in(node):
                seen[ref.array] = seen.get(ref.array, 0) + 1
        for use in _uses(equation, data | constant):
            found.setdefault(use.weight.array, []).append(use)
    maps = []
    for weight in network.trained:
        uses = found.get(weight, [])
        alone = len(uses) == seen.get(weight)
        known = all(adjoint_of(use.equation.array).name in record.by_name for use in uses)
        if uses and alone and known and uses[0].features and len({use.canonical() for use in uses}) == 1:
            maps.append(_map(uses, seen, network.trained))
    return Reading(tuple(maps), dict(_with_z(maps, found)), data)


def _terms(equation: Equation) -> tuple[Expr, ...]:
    if not isinstance(equation.rhs, Expr):
        return ()
    return equation.rhs.terms if isinstance(equation.rhs, Add) else (equation.rhs,)


def _uses(equation: Equation, data: frozenset[Array]) -> Iterator[_Use]:
    """The terms of a pre-activation in which one parameter meets nothing but data."""
    if equation.array.role is not Role.PRE_ACTIVATION:
        return
    for place, term in enumerate(_terms(equation)):
        read = [array for array in arrays_in(term) if array.role is not Role.PARAMETER]
        if not read or not data.issuperset(read):
            continue
        try:
            every = products(term)
        except UnsupportedExpression:
            continue
        if len(every) != 1:
            continue
        coefficient, factors, bound = every[0]
        weights = [f for f in factors if isinstance(f, Ref) and f.array.role is Role.PARAMETER]
        if len(weights) == 1 and factors[weights[0]] == 1:
            rest = [power(f, e) for f, e in factors.items() if f != weights[0]]
            yield _split(equation, place, weights[0], [mul(coefficient), *rest], bound)


def _split(equation: Equation, place: int, weight: Ref, factors: list[Expr], bound: frozenset[Index]) -> _Use:
    """What is summed with a weight, and what only says where the sum is read.

    An indicator is part of the sum where it has an index of the weight, or one that is summed away with it.
    """
    own, marks = set(weight.indices), [f for f in factors if isinstance(f, Indicator)]
    rest = [f for f in factors if not isinstance(f, Indicator) and f != ONE]
    inner: list[Indicator] = []
    while more := [m for m in marks if m not in inner and own & set(m.indices)]:
        inner += more
        own |= {i for m in more for i in m.indices if i in bound}
    read = {i for f in rest for i in _indices(f)} - set(weight.indices)
    inside = (*rest, *(_on_the_left(mark, read & bound) for mark in inner))
    free = [i for f in inside for i in _indices(f)]
    summed = tuple(dict.fromkeys(i for i in free if i in own and i in bound and i not in weight.indices))
    positions = tuple(dict.fromkeys(i for i in free if i not in weight.indices and i not in summed))
    features = tuple(i for i in weight.indices if i in bound)
    outside = tuple(m for m in marks if m not in inner)
    left = tuple(sorted(bound - {*features, *summed}))
    return _Use(equation, place, weight, inside, outside, summed, features, positions, left)


def _on_the_left(mark: Indicator, of_data: set[Index]) -> Indicator:
    """[k = u - t] => [u = t + k], where u is an index of the data: a patch is a shift of what it is cut from."""
    for index, form in mark.fixes(of_data & set(mark.indices)):
        return Indicator(index, form)
    return mark


def _indices(node: Expr) -> tuple[Index, ...]:
    """The free indices of a factor, in its own order."""
    free = free_in(node)
    every = [i for ref in refs_in(node) for i in ref.indices]
    every += node.indices if isinstance(node, Indicator) else ()
    return tuple(dict.fromkeys(i for i in every if i in free))


def _map(uses: Sequence[_Use], seen: Mapping[Array, int], trained: Sequence[Array]) -> DataMap:
    """The map that some terms are uses of."""
    first = uses[0]
    shifts = _shifts(first, seen, trained) if len(uses) == 1 and first.is_whole else None
    if shifts is not None:
        assert isinstance(first.equation.lhs, Ref)
        z, at = first.equation.array, first.equation.lhs.indices
        reads: tuple[tuple[Equation, Expr, tuple[Index, ...]], ...] = ((first.equation, ONE, ()),)
    else:
        names = {i: Index(i.axis, f"z{n}") for n, i in enumerate((*first.positions, *first.weight.indices))}
        at = tuple(names[i] for i in (*first.positions, *first.units))
        z = data_share(first.weight.array, tuple(i.axis for i in at))
        reads = tuple(_read(use, at) for use in uses)
        weight = Ref(first.weight.array, tuple(names[i] for i in first.weight.indices))
        first = replace(
            first, weight=weight, features=tuple(names[i] for i in first.features),
            inside=tuple(rename(f, names) for f in first.inside), positions=tuple(names[i] for i in first.positions),
        )  # fmt: skip
    return DataMap(
        first.weight.array, shifts or (), z, at, first.weight, first.data, first.positions, first.units,
        first.features, reads,
    )  # fmt: skip


def _read(use: _Use, at: tuple[Index, ...]) -> tuple[Equation, Expr, tuple[Index, ...]]:
    """An equation that reads z, what stands beside z there, and over which of its indices the adjoint is summed.

    Its indices are renamed: those of z are `at`.
    """
    assert isinstance(use.equation.lhs, Ref)
    names = dict(zip((*use.positions, *use.units), at, strict=True))
    lhs = rename(use.equation.lhs, names)
    assert isinstance(lhs, Ref)
    over = tuple(i for i in lhs.indices if i not in at)
    return replace(use.equation, lhs=lhs), mul(*(rename(m, names) for m in use.outside)), over


def _shifts(use: _Use, seen: Mapping[Array, int], trained: Sequence[Array]) -> tuple[Array, ...] | None:
    """The biases beside a map that is all of a pre-activation but for them; None where there is something else."""
    others = [term for n, term in enumerate(_terms(use.equation)) if n != use.place]
    found = []
    for term in others:
        own = isinstance(term, Ref) and term.array in trained and seen[term.array] == 1
        if not own or not isinstance(term, Ref) or term.indices != use.units:
            return None
        found.append(term.array)
    return tuple(found)


def _with_z(maps: Sequence[DataMap], found: Mapping[Array, Sequence[_Use]]) -> Iterator[tuple[Array, Equation]]:
    """The equations in which a part of a pre-activation is z."""
    changed: dict[Array, tuple[Equation, dict[int, Expr]]] = {}
    for one in maps:
        if one.is_pre_activation:
            continue
        for use in found[one.weight]:
            _, terms = changed.setdefault(use.equation.array, (use.equation, {}))
            terms[use.place] = total(use.bound, mul(*use.outside, one.z[(*use.positions, *use.units)]))
    for array, (equation, terms) in changed.items():
        rhs = add(*(terms.get(n, term) for n, term in enumerate(_terms(equation))))
        yield array, replace(equation, rhs=rhs)
