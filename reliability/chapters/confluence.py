"""One canonical form, however an expression is written.

Two expressions are proved equal by their canonical forms. A trial makes a sum of contractions with few arrays, many
equal factors, symmetric indices and indicators, and writes it twice: terms, factors and the indices of each sum in
another order, other names for bound indices (those of other sums, too), other sums inside sums, indicators solved for
other indices. Both must have one canonical form, and its value in rationals must be that of what was written; some are
compared where axes have the length one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from fcsym.language.algebra import as_expr, expand
from fcsym.language.expression import (
    Array,
    Axis,
    Expr,
    Index,
    Indicator,
    Ref,
    Total,
    add,
    indicator,
    mul,
    power,
)
from fcsym.language.instance import Instance, exact_field
from reliability.frame import Table, Wrong, trials

SHORT, LONG = 4_000, 100_000
N, M = Axis("n"), Axis("m")
ARRAYS = (
    Array("eta", None, ()),
    Array("b", None, (N,)),
    Array("c", None, (M,)),
    Array("W", None, (N, M)),
    Array("Q", None, (N, N)),
    Array("R", None, (M, M)),
    Array("T", None, (N, M, N)),
)
LETTERS = "ijkmnqrt"
FEW = 5
"""How many letters a sum that has another one in it takes its names from: few, so that names come again."""


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many expressions."""
    table = Table(("expressions", "most terms", "most bound indices"), "axes of length one")
    for outcome in trials(trial, count, seed, only, processes=1, seconds=60.0):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            name = ("none", "one", "both")[outcome.value["ones"]]
            table.add(name, "expressions")
            table.most(name, "most terms", outcome.value["terms"])
            table.most(name, "most bound indices", outcome.value["indices"])
        yield table


@dataclass(frozen=True)
class Contraction:
    """A coefficient times a product, summed over the bound indices."""

    coefficient: Fraction
    bound: tuple[Index, ...]
    factors: tuple[tuple[Ref | Indicator, int], ...]  # each with its exponent


def contraction(random: Random, free: tuple[Index, ...]) -> Contraction:
    """A product of few arrays and of indicators over at most five bound indices and the free ones."""
    bound = tuple(Index(random.choice((N, M)), f"b{n}") for n in range(random.randint(1, 5)))
    arrays = random.sample(ARRAYS, random.randint(1, 3))
    factors: list[tuple[Ref | Indicator, int]] = []
    for array in random.choices(arrays, k=random.randint(1, 6)):
        indices: list[Index] = []
        for axis in array.axes:
            left = [index for index in (*bound, *free) if index.axis == axis and index not in indices]
            indices += [random.choice(left)] if left else []
        if len(indices) == len(array.axes):
            factors.append((Ref(array, tuple(indices)), random.choice((1, 1, 1, 2, -1))))
    for _ in range(random.choice((0, 0, 1, 2))):
        factors += [(node, 1) for node in (_indicator(random, (*bound, *free)),) if isinstance(node, Indicator)]
    coefficient = Fraction(random.choice((1, 2, 3, -1)), random.choice((1, 2)))
    return Contraction(coefficient, bound, tuple(factors))


def _indicator(random: Random, indices: tuple[Index, ...]) -> Expr | None:
    """[u = t], or [u = 2t - k + 1] and the like; None where there are too few indices."""
    axis = random.choice((N, M))
    alike = [index for index in indices if index.axis == axis]
    if len(alike) < 2:
        return None
    place, other = random.sample(alike, 2)
    third = random.choice(indices)
    if random.random() < 0.6 or third in (place, other):
        return indicator(place, other)
    form = random.choice((1, 2, -1)) * other + random.choice((1, -1, 2)) * third + random.choice((0, -1, 1))
    return indicator(place, form)


def written(random: Random, contractions: Iterable[Contraction], free: tuple[Index, ...]) -> Expr:
    """The sum of contractions, written in one of many ways."""
    names = {index: index for index in free}
    terms = [mul(part.coefficient, _nested(random, part.bound, part.factors, names)) for part in contractions]
    return add(*random.sample(terms, len(terms)))


def _nested(
    random: Random,
    bound: Iterable[Index],
    factors: Iterable[tuple[Ref | Indicator, int]],
    names: Mapping[Index, Index],
) -> Expr:
    """The sum over `bound` of the product; what only some factors have may be summed inside, under any free name."""
    bound, factors = list(bound), list(factors)
    random.shuffle(bound)
    random.shuffle(factors)
    cut = random.randint(0, len(factors)) if random.random() < 0.6 else 0
    inner, outer = factors[:cut], factors[cut:]
    within = [index for index in bound if not any(index in factor.indices for factor, _ in outer)] if inner else []
    around = [index for index in bound if index not in within]
    named = dict(names)
    taken = {new for old, new in names.items() if any(old in factor.indices for factor, _ in factors)}
    for index in around:
        letters = LETTERS[:FEW] if within else LETTERS
        named[index] = random.choice([i for i in (Index(index.axis, letter) for letter in letters) if i not in taken])
        taken.add(named[index])
    parts = [_leaf(random, factor, exponent, named) for factor, exponent in (outer if within else factors)]
    if within:
        parts.append(_nested(random, within, inner, named))
    body = mul(*random.sample(parts, len(parts)))
    return Total(tuple(named[index] for index in around), body) if around else body


def _leaf(random: Random, factor: Ref | Indicator, exponent: int, names: Mapping[Index, Index]) -> Expr:
    """A factor under these names; an indicator solved for any of the indices that it can be solved for."""
    if isinstance(factor, Indicator):
        index, form = random.choice([*factor.fixes(factor.indices)])
        return Indicator(index, form).renamed(names)
    return power(Ref(factor.array, tuple(names[index] for index in factor.indices)), exponent)


def trial(seed: int, number: int) -> dict[str, int]:
    """One expression, written twice; how large it is. Wrong where it has two forms, or one of another value."""
    random = Random(f"{seed} {number}")
    free = (Index(N, "i"), Index(M, "j"))[: random.randint(0, 2)]
    contractions = [contraction(random, free) for _ in range(random.randint(1, 3))]
    ones = frozenset(random.sample((N, M), random.choice((0, 0, 0, 1, 2))))
    one, other = (written(random, contractions, free) for _ in range(2))
    form = expand(one, ones=ones)
    if form != expand(other, ones=ones):
        raise Wrong(f"{one} and {other} are one expression and have two forms.")
    shorter = as_expr(form)
    sizes = {axis: 1 if axis in ones else length for axis, length in ((N, 2), (M, 3))}
    places = {index: random.randrange(sizes[index.axis]) for index in free}
    only = {Index(axis, letter): 0 for axis in ones for letter in "12"}
    values = Instance({}, sizes, _element, exact_field())
    if values.value(one, places) != values.value(shorter, places | only):
        raise Wrong(f"{one} has another value than its form {shorter}.")
    return {"ones": len(ones), "terms": len(form), "indices": max((len(term.bound) for term in form), default=0)}


def _element(array: Array, position: tuple[int, ...]) -> Fraction:
    """A rational number for every element, never 0."""
    return Fraction(2 * (sum(map(ord, f"{array.name}{position}")) * 7 % 23 - 11) + 1, 3)
