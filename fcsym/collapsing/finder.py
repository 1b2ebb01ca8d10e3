"""The finder: from the output, step by step, to every quantity that training needs; nothing new means closed.

observed: y[k] = sum(c: g[c]*S1[k, c])           S1 = (W2 s1), in groups of one gate pattern
round 1:  S1' reads (W2 W2), (s1 s1)             two new quantities
round 2:  nothing new: the state is closed, and its size does not depend on the units that are summed over
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from fcsym.collapsing.held import Held, Unsuited
from fcsym.collapsing.quantities import Places, Quantity, Term, terms_of
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Definition, inline
from fcsym.language.equation import Order
from fcsym.language.expression import Add, Array, Expr, Mul, Pow, Total
from fcsym.networks.network import Network

__all__ = ["Bounds", "Search", "search", "searches"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the finder stops: it then says what it has seen, and that nothing is known beyond."""

    rounds: int = 8
    quantities: int = 60
    factors: int = 6  # of one quantity
    work: int = 10_000  # for its step: terms before equal ones are put together, times the square of the factors
    read: int = 500  # terms of what is read, before equal ones are put together
    layers: int = 8  # that are chosen from, the widest ones
    choices: int = 12  # of as many layers each, that are taken further


@dataclass(frozen=True)
class Search:
    """What the finder saw for one choice of layers to sum over."""

    held: Held
    rounds: tuple[tuple[Quantity, ...], ...]  # what was new: with the output, and with each application of the step
    steps: Mapping[Quantity, tuple[Term, ...]]
    observed: Mapping[Array, tuple[Term, ...]]
    why_not: str  # "" where the state is closed

    @property
    def closed(self) -> bool:
        """Whether a step of what was found needs nothing else."""
        return not self.why_not

    @property
    def contracted(self) -> tuple[int, ...]:
        """The layers whose units are summed over; 0 for the inputs."""
        return tuple(sorted(self.held.contracted))

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Everything that was found, in the order in which it was."""
        return tuple(quantity for found in self.rounds for quantity in found)

    @property
    def growth(self) -> tuple[tuple[int, int], ...]:
        """For every round how many quantities were new, and how many factors the longest of them has."""
        return tuple((len(new), max((len(q.factors) for q in new), default=0)) for new in self.rounds)


def searches(
    network: Network, order: Order, inputs: int, bounds: Bounds | None = None, only: frozenset[int] | None = None
) -> tuple[Search, ...]:
    """Every choice of layers to sum over, from few to many; a choice with a part that does not close is left out.

    In a deep network only the widest layers are chosen from, and of many choices with as many layers those are taken
    further that sum over the most units. `only`: this one choice, whatever its parts do.
    """
    limits = bounds or Bounds()
    if only is not None:
        return (search(Held.of(network, order, inputs, only), limits),)
    widths = network.widths
    widest = sorted(sorted(range(len(widths) - 1), key=lambda n: -widths[n])[: limits.layers])
    found: dict[frozenset[int], Search] = {}
    level = [frozenset((n,)) for n in widest]
    while level:
        for own in level:
            found[own] = search(Held.of(network, order, inputs, own), limits)
        good = sorted((s for s in level if found[s].closed), key=lambda s: -sum(widths[n] for n in s))
        larger = dict.fromkeys(s | {n} for s in good[: limits.choices] for n in widest if n not in s)
        level = sorted(
            (s for s in larger if all(p in found and found[p].closed for p in (s - {n} for n in s))), key=sorted
        )
    return tuple(found.values())


def search(held: Held, bounds: Bounds) -> Search:
    """One choice of layers: apply the step until nothing is new, or a bound is met."""
    places = Places(held.axes, held.groups)
    observed: dict[Array, tuple[Term, ...]] = {}
    steps: dict[Quantity, tuple[Term, ...]] = {}
    rounds: list[tuple[Quantity, ...]] = []
    known: set[Quantity] = set()

    def unseen(terms: tuple[Term, ...]) -> list[Quantity]:
        new = list(dict.fromkeys(u.quantity for t in terms for u in t.uses if u.quantity not in known))
        known.update(new)
        return new

    def result(why_not: str = "") -> Search:
        return Search(held, tuple(rounds), steps, observed, why_not)

    try:
        new: list[Quantity] = []
        for array, (_, value) in held.observed.items():
            if _terms(value) > bounds.read:
                return result(f"what is read of a layer, {array.name}, has {_terms(value)} terms, too many")
            observed[array] = terms_of(held.expanded(value), places, held.is_trained)
            new += unseen(observed[array])
        updates = _Updates(held)
        while new:
            rounds.append(tuple(new))
            said = _beyond(bounds, rounds, new, updates)
            if said:
                return result(said)
            waiting, new = new, []
            for quantity in waiting:
                moved = inline(quantity.at(quantity.letters), updates.of(quantity))
                steps[quantity] = terms_of(held.expanded(moved), places, held.is_trained)
                new += unseen(steps[quantity])
    except Unsuited as reason:
        return result(str(reason))
    except UnsupportedExpression as reason:
        return result(f"the bound of the comparison was met: {reason}")
    return result()


class _Updates:
    """The updates of what a quantity is made of, and how many terms each has."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.known: dict[Array, Definition] = {}
        self.counts: dict[Array, int] = {}

    def of(self, quantity: Quantity) -> dict[Array, Definition]:
        """The update of every array that a step moves."""
        for array in quantity.arrays:
            if array not in self.known and self.held.is_trained(array):
                self.known[array] = self.held.update(array)
                self.counts[array] = len(self.held.expanded(self.known[array][1]))
        return {array: self.known[array] for array in quantity.arrays if array in self.known}

    def terms(self, quantity: Quantity) -> int:
        """How many terms its step has before equal ones are put together."""
        self.of(quantity)
        count = 1
        for array in quantity.arrays:
            count *= self.counts.get(array, 1)
        return count


def _terms(node: Expr) -> int:
    """How many products an expression has when it is multiplied out."""
    match node:
        case Add(terms):
            return sum(map(_terms, terms))
        case Mul(factors):
            return prod(map(_terms, factors))
        case Pow(base, exponent):
            return int(_terms(base) ** abs(exponent))
        case Total(_, body):
            return _terms(body)
        case _:
            return 1


def _beyond(bounds: Bounds, rounds: list[tuple[Quantity, ...]], new: list[Quantity], updates: _Updates) -> str:
    """Which bound the next round would break; "" where none."""
    if len(rounds) > bounds.rounds:
        return f"after {bounds.rounds} rounds there was still something new"
    if sum(map(len, rounds)) > bounds.quantities:
        return f"more than {bounds.quantities} quantities were found"
    longest = max(new, key=lambda q: len(q.factors))
    if len(longest.factors) > bounds.factors:
        return f"a quantity has {len(longest.factors)} factors, more than {bounds.factors}"

    def work(quantity: Quantity) -> int:
        return updates.terms(quantity) * len(quantity.factors) ** 2

    hardest = max(new, key=work)
    if work(hardest) > bounds.work:
        return f"the step of a quantity of {len(hardest.factors)} factors has {updates.terms(hardest)} terms, too many"
    return ""
