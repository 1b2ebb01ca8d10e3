"""A closed state in units: the scheme that a certificate is about, with sums over all units of a layer.

    S1[k, n, c] = sum(j: W2[k, c, j]*s1[n, c, j])     =>     S1[k, n, c] = sum(j: on1[c, j]*W2[k, j]*s1[n, j])

Unit j of group c becomes unit j alone, and on[c, j] is 1 where it is in group c: the network has units, and no groups.
What is proved of the state is then said of the network's own step, whatever groups its units are in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from fcsym.collapsing.equations import lettered
from fcsym.collapsing.parts import ClosedParts, Function, column_axis
from fcsym.collapsing.rewriting import one_of, visited
from fcsym.language.algebra import fresh, indices_of, inline, replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import (
    ONE,
    Array,
    Axis,
    Expr,
    Index,
    Mul,
    Ref,
    Role,
    Total,
    arrays_in,
    mul,
    refs_in,
    total,
)
from fcsym.networks.symbols import ETA, column_of, units
from fcsym.schemes.groups import Grouping, Groups
from fcsym.schemes.record import Routine, SchemeRecord, Words

__all__ = ["ByUnit"]


class ByUnit:
    """The equations of a closed state, unit by unit."""

    def __init__(self, parts: ClosedParts) -> None:
        self.parts, self.closure, self.held = parts, parts.closure, parts.held
        self.network = self.closure.network

    @cached_property
    def groups(self) -> dict[Axis, Groups]:
        """The groups of each layer that has any, by the axis that counts them."""
        found = {}
        for axis, patterns in self.held.groups.items():
            hidden = self.network.units[axis]
            n, s = hidden.s.layer, hidden.s
            slopes, offsets = self.held.group_arrays(n or 0)
            shifted = any(piece.intercept for piece in hidden.activation.pieces)
            found[patterns] = Groups(
                s, axis, patterns, Array("on", n, (patterns, axis), role=Role.FROZEN),
                Array("slope", n, slopes.axes, role=Role.FROZEN),
                Array("offset", n, offsets.axes, role=Role.FROZEN) if shifted else None,
            )  # fmt: skip
        return found

    def _with_one(self, own: Groups) -> Groups:
        """With 1 as a combination of columns, like any number of a unit, where lines have intercepts."""
        if own.offset is None:
            return own
        one = one_of(own.pre_activation)
        indices = self.held.indices_in_groups(indices_of(one))
        ref = replace(one, axes=tuple(i.axis for i in indices))[indices]
        assert isinstance(ref, Ref)
        value = self._value(self.parts.combination(ref, own.pre_activation.layer or 0))
        said = lettered(Equation(one[indices[-1:]], self._of_free(ref, value), Rule.INVARIANT, ""), self.network)
        assert isinstance(said.lhs, Ref) and isinstance(said.rhs, Expr)
        return replace(own, one=(said.lhs.indices, said.rhs))

    @cached_property
    def _lines(self) -> dict[Array, Array]:
        """The slopes and the intercepts of the groups, which the network has no arrays for."""
        found = {}
        for own in self.groups.values():
            slopes, offsets = self.held.group_arrays(own.pre_activation.layer or 0)
            found[slopes] = own.slope
            if own.offset is not None:
                found[offsets] = own.offset
        return found

    # ---------------------------------------------------------------------------------------------- expressions

    def equation(self, e: Equation) -> Equation:
        """The equation with unit j in the place of unit j of group c; inner products as a step has them."""
        known = self.parts.base.by_name.get(e.name)
        if e.array in self.parts.data and known is not None:
            return known
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        return replace(e, lhs=self._plain(e.lhs), rhs=self._of_free(e.lhs, self._value(e.rhs)))

    def _of_free(self, lhs: Ref, rhs: Expr) -> Expr:
        """sum_c on[c, j] (...) for a unit j on the left, whose group is still on the right."""
        for c, j in self._pairs(lhs):
            if any(c in ref.indices for ref in refs_in(rhs)):
                rhs = total(c, mul(self.groups[c.axis].within[c, j], rhs))
        return rhs

    def _pairs(self, ref: Ref) -> list[tuple[Index, Index]]:
        """(c, j), where an element is one of unit j of group c."""
        both = zip(ref.indices, ref.indices[1:], strict=False)
        return [(c, j) for c, j in both if c.axis in self.groups and self.groups[c.axis].units == j.axis]

    def _is_one(self, ref: Ref) -> bool:
        """Whether it is the 1 of every unit."""
        return ref.array.role is Role.UNIT

    def _plain(self, ref: Ref) -> Ref:
        """The element without its group; what the groups have in common keeps it."""
        if ref.array in self._lines:
            found = self._lines[ref.array][ref.indices]
            assert isinstance(found, Ref)
            return found
        gone = [c for c, _ in self._pairs(ref)]
        indices = tuple(i for i in ref.indices if i not in gone)
        made = replace(ref.array, axes=tuple(i.axis for i in indices))[indices]
        assert isinstance(made, Ref)
        return made

    def _value(self, node: Expr) -> Expr:
        if not any(ref.array in self._lines or self._is_one(ref) or self._pairs(ref) for ref in refs_in(node)):
            return node
        if isinstance(node, Ref):
            return ONE if self._is_one(node) else self._plain(node)
        if not isinstance(node, Total):
            return visited(node, self._value)
        group_of = {j: c for ref in refs_in(node.body) for c, j in self._pairs(ref)}
        own = [(group_of[j], j) for j in node.over if j in group_of]
        return total(node.over, mul(*(self.groups[c.axis].within[c, j] for c, j in own), self._value(node.body)))

    # -------------------------------------------------------------------------------------------------- columns

    @cached_property
    def _carried(self) -> dict[Array, int | None]:
        """What training moves, but for the pre-activations that stand for W1, with the layer whose units it is of."""
        states = self.parts.by_steps
        by_array = {e.array: e for e in states.routines["step"].equations if e.defines}
        summed = sorted(self.held.contracted - {0})
        return {
            array: next((n for n in summed if units(n) in array.axes), None)
            for array in states.state if array.primed in by_array and array.role is not Role.FROZEN
        }  # fmt: skip

    def _moved(self, array: Array, layer: int | None) -> tuple[tuple[Index, ...], Expr]:
        """What a step makes of an array that is carried; of a layer in columns those of a pattern c, at column u."""
        if layer is not None:
            found = self.parts.moved(array, layer)
            assert found is not None
            indices, value = found[0], _fewer(found[1])
            u = fresh(column_axis(layer), indices)
            at = tuple(u if i.axis == units(layer) else i for i in indices)
            return at, self._eta(self._value(replaced(value, lambda ref: self._column(ref, layer, u))))
        return self._by_errors(array)

    def _by_errors(self, array: Array) -> tuple[tuple[Index, ...], Expr]:
        """What a step makes of an array, in what is carried and in errors."""
        states = self.parts.by_steps
        by_array = {e.array: e for e in states.routines["step"].equations if e.defines}
        step = by_array[array.primed]
        assert isinstance(step.lhs, Ref) and isinstance(step.rhs, Expr)
        value = step.rhs
        while inside := [a for a in arrays_in(value) if a in by_array and a.role is not Role.ADJOINT]:
            one = by_array[inside[0]]
            assert isinstance(one.lhs, Ref) and isinstance(one.rhs, Expr)
            value = inline(value, {one.array: (one.lhs.indices, one.rhs)})
        return step.lhs.indices, self._eta(value)

    def _first(self) -> Iterator[Equation]:
        """s1 after the step, and its velocity, where they stand for the first layer's weights."""
        for array in self.held.families if self.held.first_out else ():
            if array in self._carried:
                indices, value = self._by_errors(array)
                because = "Every step moves the weights along the inputs."
                yield lettered(Equation(array.primed[indices], value, Rule.IDENTITY, because), self.network)

    def _eta(self, value: Expr) -> Expr:
        """A plain step is there with errors that are times eta already."""
        if not self.network.rule.is_plain:
            return value
        return replaced(value, lambda ref: ETA[()] * ref if ref.array.role is Role.ADJOINT else ref)

    def _column(self, ref: Ref, layer: int, u: Index) -> Expr:
        if units(layer) not in ref.array.axes:
            return ref
        indices = tuple(u if i.axis == units(layer) else i for i in ref.indices)
        return column_of(ref.array, tuple(i.axis for i in indices))[indices]

    @cached_property
    def columns(self) -> tuple[Equation, ...]:
        """Every unit is a combination of the columns of its group, the same at every step."""
        made = []
        for array, layer in self._carried.items():
            if layer is None:
                continue
            indices = self.held.indices_in_groups(indices_of(array))
            ref = replace(array, axes=tuple(i.axis for i in indices))[indices]
            assert isinstance(ref, Ref)
            because = "Every unit is the combination of columns that it was when its group was laid out."
            made.append(Equation(ref, self.parts.combination(ref, layer), Rule.INVARIANT, because))
        return tuple(lettered(self.equation(e), self.network) for e in made)

    @cached_property
    def moving(self) -> dict[Array, Equation]:
        """What a step makes of the columns, and of what is left of W1."""
        found = {}
        for array, layer in self._carried.items():
            if array in self.network.parameters and layer is None:
                continue
            indices, value = self._moved(array, layer)
            after = array.primed if layer is None else column_of(array, tuple(i.axis for i in indices)).primed
            if layer is not None or after not in {e.array for e in self.parts.base.equations if e.defines}:
                made = Equation(after[indices], value, Rule.STATE, "What a step makes of it.")
                found[after] = lettered(made, self.network)
        stated = {*self.network.parameters, *self.network.memory, *self.held.families}
        for e in self.columns:
            if e.array not in stated:
                found[e.array.primed] = lettered(self._after(e, {a.unprimed for a in found}), self.network)
        for e in self.parts.by_steps.meanings:
            if e.array in self.held.families and e.array not in self.held.kept:
                found[e.array.primed] = lettered(self._after(e, set()), self.network)
        return found

    def _after(self, e: Equation, others: set[Array]) -> Equation:
        """What an array stands for after the step, which changes others, too."""
        changes = {*self.network.trained, *self.network.memory, e.array, *others}

        def primed(ref: Ref) -> Expr:
            return ref.array.primed[ref.indices] if ref.array in changes else ref

        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        return replace(e, lhs=primed(e.lhs), rhs=replaced(e.rhs, primed))

    # ------------------------------------------------------------------------------------------------ the record

    @cached_property
    def record(self) -> SchemeRecord:
        """The scheme, whose lists are those of the document."""
        closure, parts = self.closure, self.parts
        defined = {e.array: e for e in map(self.equation, (*closure.data, *closure.parts, *closure.definitions))}
        meanings = [e for e in self.parts.by_steps.meanings if e.array not in defined]
        definitions = [e for e in defined.values() if e.lhs != e.rhs]
        routines = {one.name: self._routine(one) for one in (parts.init, parts.step, parts.output, parts.expand)}
        return SchemeRecord(
            "collapsed", parts.base, closure.state, (*meanings, *self.columns, *definitions), routines,
            Words("Sums over the units of a group stand for them."), single_input=True, moving=self.moving,
            grouping=Grouping(tuple(map(self._with_one, self.groups.values())), self.held.axes, tuple(self._first())),
        )  # fmt: skip

    def _routine(self, one: Function) -> Routine:
        return Routine(one.given, tuple(map(self.equation, one.equations)), one.results)


def _fewer(node: Expr) -> Expr:
    """one[j] (...) => (...), where that is of unit j."""
    if not isinstance(node, Mul):
        return visited(node, _fewer)
    kept: list[Expr] = []
    for n, factor in enumerate(node.factors):
        if isinstance(factor, Ref) and factor.array.role is Role.UNIT:
            others = (ref for m, other in enumerate(node.factors) if m != n for ref in refs_in(other))
            if any(factor.indices[-1] in ref.indices and ref.array.role is not Role.UNIT for ref in others):
                continue
        kept.append(_fewer(factor))
    return mul(*kept)
