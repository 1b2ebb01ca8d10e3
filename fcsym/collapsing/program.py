"""The step of a closed state as sums for NumPy: of free arrays, of the numbers of a unit, and of what only follows.

A unit's numbers z (its weights to free layers, its pre-activations, what the rule remembers of them) move by one linear
map that all units of a group share. So a few virtual units, one for each number, are trained in place of all: every
unit is a fixed combination of them, and sums over units are read off with the Gram matrix of these combinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fcsym.collapsing.held import Held
from fcsym.collapsing.quantities import Places, Quantity, terms_of
from fcsym.collapsing.rewriting import one_of
from fcsym.collapsing.sums import Sum, summed
from fcsym.language.algebra import Monomial, Polynomial, rename
from fcsym.language.expression import Array, Axis, Expr, Index, Ref, add, mul, total
from fcsym.networks.symbols import coefficient_of, moment, units

__all__ = ["Follower", "Program"]


@dataclass(frozen=True)
class Follower:
    """An array of the first layer that nothing reads: what it is multiplied by, and what units add to it.

    Of a matrix that is what comes along the inputs: W1 = share W1_c + sum_n C[n] x[n].
    """

    theta: Array  # the network's own
    array: Array  # as it runs: with the inputs as its leg where it is the coefficient of a matrix
    shares: Mapping[Array, Sum]  # by which numbers it and its kin go on
    added: Sum
    is_matrix: bool


@dataclass(frozen=True)
class Program:
    """Everything that runs, for one choice of layers."""

    held: Held

    @cached_property
    def places(self) -> Places:
        """What is summed over."""
        return Places(self.held.axes, self.held.groups)

    def _sum(self, indices: tuple[Index, ...], value: Expr) -> Sum:
        terms = terms_of(self.held.expanded(value), self.places, self.held.is_trained)
        return summed(terms, indices)

    @cached_property
    def observed(self) -> dict[Array, Sum]:
        """What is read, in its order."""
        return {array: self._sum(*definition) for array, definition in self.held.observed.items()}

    @cached_property
    def reads(self) -> dict[int, Sum]:
        """The pre-activations of contracted layers, for a unit."""
        return {n: self._sum(*self.held.reads(n)) for n in sorted(self.held.contracted) if n}

    @cached_property
    def updates(self) -> dict[Array, Sum]:
        """Every array that moves and is read, after the step."""
        found: dict[Array, Sum] = {}
        waiting = [a for one in (*self.observed.values(), *self.reads.values()) for a in self._trained(one)]
        mine = {theta for family in self.held.families.values() for theta in family if theta.axes}
        first = mine if self.held.first_out else set()
        every = (*self.held.network.parameters, *self.held.network.memory)
        waiting += [self._grouped(a) for a in every if a not in first]
        while waiting:
            array = waiting.pop(0)
            if array in found:
                continue
            found[array] = self._sum(*self.held.update(array))
            waiting += self._trained(found[array])
        return found

    def _grouped(self, array: Array) -> Array:
        axes = [axis for a in array.axes for axis in ((self.held.groups[a], a) if a in self.held.groups else (a,))]
        return replace(array, axes=tuple(axes))

    def _trained(self, one: Sum) -> Iterator[Array]:
        for operand in one.operands:
            arrays = (operand,) if isinstance(operand, Array) else operand.arrays
            yield from (a for a in arrays if self.held.is_trained(a))

    def unit_axis(self, array: Array) -> Axis | None:
        """The contracted hidden layer whose units an array has a number for."""
        return next((a for a in array.axes if a in self.held.axes and a != units(0)), None)

    @cached_property
    def of_units(self) -> dict[int, tuple[Array, ...]]:
        """The numbers of a unit, by layer; with the 1 of every unit where it counts."""
        found = {}
        for n in sorted(self.held.contracted):
            if not n:
                continue
            own = [array for array in self.updates if self.unit_axis(array) == units(n)]
            moved = [self.reads[n], *(self.updates[array] for array in own)]
            if not all(self._is_of_one(product.operands, units(n)) for one in moved for product in one.products):
                raise AssertionError("a unit's numbers move by a map of their own")  # which the finder has excluded
            if self.held.counts:
                own.append(self._grouped(one_of(self.held.network.hidden[n - 1].s)))
            found[n] = tuple(own)
        return found

    def _is_of_one(self, operands: Sequence[Array | Quantity], axis: Axis) -> bool:
        """Whether a term has one number of the unit, and no more."""
        return sum(isinstance(o, Array) and axis in o.axes for o in operands) == 1

    @cached_property
    def free(self) -> tuple[Array, ...]:
        """The arrays that move as they are."""
        return tuple(array for array in self.updates if self.unit_axis(array) is None)

    # ----------------------------------------------------------------------------------- what only follows

    @cached_property
    def followers(self) -> tuple[Follower, ...]:
        """The arrays of the first layer, where its pre-activations stand for it."""
        if not self.held.first_out:
            return ()
        s = self.held.network.pre_activation(1)
        found = []
        for stands, family in self.held.families.items():
            for theta in family:
                if theta.axes:
                    kind = coefficient_of(s) if stands == s else moment(coefficient_of(s), 1)
                    found.append(self._follower(theta, self._grouped(kind if len(theta.axes) == 2 else theta)))
        return tuple(found)

    @cached_property
    def _kin(self) -> dict[Array, Array]:
        """The arrays that a matrix, or a bias, of the first layer goes on from, as they run."""
        s = self.held.network.pre_activation(1)
        found = {}
        for stands, family in self.held.families.items():
            for theta in family:
                kind = coefficient_of(s) if stands == s else moment(coefficient_of(s), 1)
                found[self._grouped(theta)] = self._grouped(kind if len(theta.axes) == 2 else theta)
        return found

    def _follower(self, theta: Array, runs: Array) -> Follower:
        held = self.held
        indices, value = held.step_of(theta)
        polynomial = held.expanded(value)
        shares: dict[Array, list[Expr]] = {}
        rest: Polynomial = {}
        for monomial, coefficient in polynomial.items():
            own = next((f for f, _ in monomial.factors if isinstance(f, Ref) and f.array in self._kin), None)
            if own is None:
                rest[monomial] = coefficient
                continue
            share = tuple((f, e) for f, e in monomial.factors if f != own)
            shares.setdefault(self._kin[own.array], []).append(Monomial(share, ()).expr(coefficient))
        is_matrix = len(theta.axes) == 2
        samples = held.network.input.axes[:-1]
        legs = tuple(Index(axis, "n") for axis in samples) if is_matrix else ()
        unit = tuple(i for i in indices if i.axis != units(0))
        parts = [self._along(m, legs) if is_matrix else m.expr() for m in rest]
        added = add(*(mul(c, part) for c, part in zip(rest.values(), parts, strict=True)))
        return Follower(
            theta,
            runs,
            {a: self._sum((), add(*own)) for a, own in shares.items()},
            self._sum((*legs, *unit), added),
            is_matrix,
        )

    def _along(self, monomial: Monomial, legs: tuple[Index, ...]) -> Expr:
        """What a term has beside the input that it goes along."""
        x = self.held.network.input
        along = next(f for f, e in monomial.factors if isinstance(f, Ref) and f.array == x and e == 1)
        names = dict(zip(along.indices[:-1], legs, strict=True))
        rest = [f**e for f, e in monomial.factors if f != along]
        over = tuple(i for i in monomial.bound if i not in names)
        return rename(total(over, mul(*rest)), names)
