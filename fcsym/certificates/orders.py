"""Sums of a multiplied-out expression in the order in which another one has them, from the outside to the inside.

    sum(n: d[n]*v[n]) * sum(m: d[m]*a[k, m])   beside   sum(m, n: d[n]*d[m]*v[n]*a[k, m])   =>   sum(n, m: ...)

The order of finite sums says nothing, and a proof that takes one sum of both sides after the other goes through at once
where it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from fcsym.language.algebra import apart
from fcsym.language.expression import Add, Axis, Expr, Index, Mul, Number, Pow, Ref, Total, add, mul

__all__ = ["in_order_of"]

_Factor = tuple[object, tuple[Index, ...]]
_Term = tuple[list[_Factor], tuple[Index, ...]]
Seen = Callable[[Ref], "_Factor | None"]


def in_order_of(node: Expr, other: Expr, looked_into: Callable[[Expr], Expr], seen: Seen) -> Expr:
    """The first expression with its sums in the order of the second, term by term; a term without its like stays.

    `looked_into`: what the first one's elements are made of. `seen`: what an element is compared as; None for one that
    follows from others.
    """
    left = list(_products(apart(other), seen))
    terms = node.terms if isinstance(node, Add) else (node,)
    return add(*(_reordered(term, left, looked_into, seen) for term in terms))


def _reordered(term: Expr, left: Sequence[_Term], looked_into: Callable[[Expr], Expr], seen: Seen) -> Expr:
    factors = term.factors if isinstance(term, Mul) else (term,)
    sums = [f for f in factors if isinstance(f, Total)]
    if len(sums) != 1:
        return term
    mine = next(_products(apart(looked_into(term)), seen))
    for factors_of, order in left:
        names = _matched(mine[0], factors_of, set(mine[1]), set(order))
        if names is not None:
            place = {index: n for n, index in enumerate(order)}
            over = _sorted(sums[0].over, {i: place[names[i]] for i in sums[0].over if i in names})
            return mul(*(Total(over, f.body) if f is sums[0] else f for f in factors))
    return term


def _sorted(over: tuple[Index, ...], place: dict[Index, int]) -> tuple[Index, ...]:
    """The indices of each axis by their places."""
    by_axis: dict[Axis, list[Index]] = {}
    for index in sorted((i for i in over if i in place), key=place.__getitem__):
        by_axis.setdefault(index.axis, []).append(index)
    return tuple(by_axis[i.axis].pop(0) if i in place else i for i in over)


def _products(node: Expr, seen: Seen) -> Iterator[_Term]:
    """The terms of an expression that is multiplied out, with what is summed over from the left to the right."""
    match node:
        case Number():
            yield [], ()
        case Ref():
            found = seen(node)
            yield ([] if found is None else [found]), ()
        case Add(terms):
            for term in terms:
                yield from _products(term, seen)
        case Mul(factors):
            for chosen in product(*(list(_products(f, seen)) for f in factors)):
                yield [f for one, _ in chosen for f in one], tuple(i for _, over in chosen for i in over)
        case Pow(base, exponent) if exponent > 0:
            for chosen in product(*[list(_products(base, seen))] * exponent):
                yield [f for one, _ in chosen for f in one], tuple(i for _, over in chosen for i in over)
        case Total(over, body):
            for found_in, inner in _products(body, seen):
                yield found_in, (*over, *inner)
        case _:
            yield [(node, ())], ()


def _matched(mine: list[_Factor], other: list[_Factor], bound: set[Index], to: set[Index]) -> dict[Index, Index] | None:
    """The names under which two products are the same, or None."""
    if sorted(repr(a) for a, _ in mine) != sorted(repr(a) for a, _ in other):
        return None

    def going_on(n: int, names: dict[Index, Index], left: list[_Factor]) -> dict[Index, Index] | None:
        if n == len(mine):
            return names
        array, indices = mine[n]
        for k, (candidate, theirs) in enumerate(left):
            if candidate != array or len(theirs) != len(indices):
                continue
            made = dict(names)
            if all(_fits(made, i, j, bound, to) for i, j in zip(indices, theirs, strict=True)):
                found = going_on(n + 1, made, left[:k] + left[k + 1 :])
                if found is not None:
                    return found
        return None

    return going_on(0, {}, other)


def _fits(names: dict[Index, Index], mine: Index, other: Index, bound: set[Index], to: set[Index]) -> bool:
    """Whether an index can be called so, and what is called so then."""
    if (mine in bound) is not (other in to):
        return False  # though they may have the same letter
    if mine not in bound:
        return mine == other
    if mine in names or other in names.values():
        return names.get(mine) == other
    names[mine] = other
    return mine.axis == other.axis
