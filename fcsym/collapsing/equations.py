"""What the finder saw, as equations: names for its quantities, what each stands for, and what a step makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy

from fcsym.collapsing.finder import Search
from fcsym.collapsing.quantities import Quantity, Term, Use
from fcsym.language.algebra import Definition, fresh, in_order, inline, rename, tidy, tidy_bound
from fcsym.language.equation import Equation, Rule, Verdict
from fcsym.language.expression import Array, Axis, Expr, Index, Ref, add, arrays_in, indicator, mul, power, total
from fcsym.language.findings import Finding, Proof
from fcsym.language.sympy_bridge import STORED, length
from fcsym.networks.network import Network
from fcsym.networks.symbols import SAMPLES, units

__all__ = ["Closure", "lettered", "named", "proved"]


@dataclass(frozen=True)
class Closure:
    """A closed state: what it is made of, and its step. `recursion` may be replaced, and is proved as it stands."""

    found: Search
    definitions: tuple[Equation, ...]  # each array of the state, in what the network has
    recursion: tuple[Equation, ...]  # each array of the state after a step
    read: tuple[Equation, ...]  # the output, and what else a step has to know
    data: tuple[Equation, ...]  # what the held inputs give, once and for all
    parts: tuple[Equation, ...] = ()  # what definitions are made of, and the state does not have
    ones: frozenset[Axis] = frozenset()  # axes that have to have length one

    @classmethod
    def of(cls, found: Search) -> Closure:
        """The equations of a search that closed."""
        arrays = dict(zip(found.quantities, named(found.quantities), strict=True))
        held = found.held

        def used(use: Use) -> Expr:
            return _reference(arrays[use.quantity], use.indices) if use.quantity in arrays else _data(use)

        definitions, recursion = [], []
        for quantity in found.quantities:
            array, own = arrays[quantity], quantity.letters
            definitions.append(
                Equation(array[own], quantity.at(own), Rule.DEFINITION, "What the step needs, summed over units.")
            )
            value = _sum(found.steps[quantity], used)
            recursion.append(
                Equation(array.primed[own], value, Rule.STATE, "The step of what it is made of, multiplied out.")
            )
        read = [
            Equation(array[held.observed[array][0]], _sum(terms, used), Rule.IDENTITY, "Read off the state.")
            for array, terms in found.observed.items()
        ]
        data = []
        if held.first_out:
            indices, value = held.inner_definition
            what = Equation(held.inner[indices], value, Rule.DEFINITION, "The inner products of the held inputs.")
            data.append(what)

        def finished(equations: Sequence[Equation]) -> tuple[Equation, ...]:
            return tuple(lettered(equation, held.network) for equation in equations)

        return cls(found, finished(definitions), finished(recursion), finished(read), finished(data))

    @property
    def network(self) -> Network:
        """The network, in mini-batches over the held inputs."""
        return self.found.held.network

    @property
    def state(self) -> tuple[Array, ...]:
        """The arrays of the state."""
        return tuple(equation.array for equation in self.definitions)

    @cached_property
    def size(self) -> Any:
        """How many numbers the state has, as a polynomial in the widths, the inputs m and the numbers p of patterns."""
        by_array = dict(zip(named(self.found.quantities), self.found.quantities, strict=True))
        counted = (
            by_array[a].count(length_of) if a in by_array else sympy.prod(map(length_of, a.axes)) for a in self.state
        )
        return sympy.expand(sympy.Add(*counted))

    @property
    def patterns(self) -> Mapping[Axis, int]:
        """For each axis of groups the most that there can be: one for each pattern with an effect, or each unit."""
        found = {}
        for axis, group in self.found.held.groups.items():
            hidden = self.network.units[axis]
            pieces = hidden.activation.pieces
            idle = sum(piece.is_zero for piece in pieces)
            samples = self.network.samples or 1
            width = self.network.sizes[axis]
            most = len(pieces) ** min(samples, 64) - idle ** min(samples, 64)
            found[group] = min(width, most)
        return found

    def at_widths(self, expression: Any) -> int:
        """A polynomial at the network's widths, with as many patterns as there can be."""
        values = {length_of(axis): size for axis, size in self.network.sizes.items()}
        values |= {length_of(axis): size for axis, size in self.patterns.items()}
        return int(sympy.sympify(expression, strict=True).subs(values))  # a number or an expression: text is refused

    @cached_property
    def proof(self) -> Proof:
        """Every equation held against what it stands for: both sides in weights, at any width."""
        return proved(self)


def length_of(axis: Axis) -> sympy.Symbol:
    """The symbol for the length of an axis: m for the held inputs."""
    return STORED if axis == SAMPLES else length(axis)


def _names(quantities: Sequence[Quantity]) -> dict[Quantity, int]:
    """The numbers of the quantities that have no name of their own."""
    several = [quantity for quantity in quantities if not _is_plain(quantity)]
    return {quantity: number for number, quantity in enumerate(several, 1)}


def named(quantities: Sequence[Quantity]) -> tuple[Array, ...]:
    """The array that each is in equations."""
    names = _names(quantities)
    return tuple(_named(quantity, names) for quantity in quantities)


def _is_plain(quantity: Quantity) -> bool:
    """Whether it is an array of the network as it is."""
    return len(quantity.factors) == 1 and not quantity.bound


def _named(quantity: Quantity, names: Mapping[Quantity, int]) -> Array:
    return quantity.arrays[0] if _is_plain(quantity) else Array("S", names[quantity], quantity.free)


def _reference(array: Array, indices: Sequence[Index]) -> Expr:
    """An element; one index twice is written with two indices that are equal."""
    own: list[Index] = []
    equal: list[Expr] = []
    over: list[Index] = []
    for index in indices:
        if index in own:
            other = fresh(index.axis, (*indices, *own))
            over.append(other)
            equal.append(indicator(other, index))
            own.append(other)
        else:
            own.append(index)
    return total(over, mul(*equal, array[tuple(own)]))


def _data(use: Use) -> Expr:
    return use.quantity.at(use.indices)


def _sum(terms: Sequence[Term], value: Callable[[Use], Expr]) -> Expr:
    parts = []
    for term in terms:
        factors = list(map(value, (*term.data, *term.uses)))
        powers = [power(factor, factors.count(factor)) for factor in dict.fromkeys(factors)]
        parts.append(mul(term.coefficient, total(term.over, in_order(*powers))))
    return add(*parts)


def lettered(equation: Equation, network: Network) -> Equation:
    """The equation with letters that a reader can tell apart."""
    assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
    output = units(len(network.layers))
    names = tidy(equation.lhs.indices, output)
    used = frozenset(index.letter for index in names.values())
    rhs = tidy_bound(rename(equation.rhs, names), used, output)
    return replace(equation, lhs=rename(equation.lhs, names), rhs=rhs)


# --------------------------------------------------------------------------------------------------- proof


def proved(closure: Closure) -> Proof:
    """A finding for each equation: put in what the state stands for, multiply out, and compare every term.

    The step of the state is held against the step of the weights that it is made of, for any widths, any numbers of
    patterns and any errors at the read-out.
    """
    held = closure.found.held
    parts = _by_array(closure.parts)
    meant = {array: (own, inline(value, parts)) for array, (own, value) in _by_array(closure.definitions).items()}
    below = _below(closure)
    data = _by_array(closure.data)

    def in_weights(node: Expr) -> Expr:
        return inline(inline(inline(node, meant), below), data)

    findings = []
    for equation in closure.recursion:
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        before = equation.array.unprimed
        start = in_weights(before[equation.lhs.indices])
        after = inline(start, _moved(closure, start))
        findings.append(_finding(closure, equation, in_weights(equation.rhs), inline(after, below)))
    for equation in closure.read:
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        indices, value = held.observed[equation.array]
        wanted = rename(value, dict(zip(indices, equation.lhs.indices, strict=True)))
        findings.append(_finding(closure, equation, in_weights(equation.rhs), inline(inline(wanted, below), data)))
    return Proof(tuple(findings), str(closure.network), "identity in index notation, at every width")


def _by_array(equations: Sequence[Equation]) -> dict[Array, Definition]:
    """What each array stands for; not those that are the network's own."""
    found = {}
    for equation in equations:
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        if equation.lhs != equation.rhs:
            found[equation.array] = equation.lhs.indices, equation.rhs
    return found


def _below(closure: Closure) -> dict[Array, Definition]:
    """s1 = W1 x + b1, where the state has it in place of the first layer."""
    held = closure.found.held
    arrays = {a for q in closure.found.quantities for a in q.arrays if held.is_trained(a)}
    found = {}
    for array in arrays:
        indices, value = held.definition(array)
        if value != array[indices]:
            found[array] = indices, value
    return found


def _moved(closure: Closure, node: Expr) -> dict[Array, Definition]:
    held = closure.found.held
    return {array: held.weight_update(array) for array in arrays_in(node) if held.is_trained(array)}


def _finding(closure: Closure, equation: Equation, left: Expr, right: Expr) -> Finding:
    same = not closure.found.held.expanded(left - right, closure.ones)
    verdict = Verdict.PROVED if same else Verdict.UNDECIDED
    note = "" if same else "its two sides differ in what the weights give"
    return Finding(equation.name, None, verdict, "identical" if same else "differs", note=note)
