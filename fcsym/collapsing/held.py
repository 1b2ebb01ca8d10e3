"""The step with its gates held: what is trained, what moves it, and what is read, as polynomials.

Forward equations and update are those of `deriving`. Three things are put in:

 - A unit of a contracted layer is a unit j of a group c, and all units of a group have one gate pattern over the
   inputs: phi(s[n, c, j]) = g[n, c] s[n, c, j] (+ o[n, c] where a piece has an intercept).
 - A layer whose units stay free is seen: its pre-activations and its errors are observed, its activations and gates
   are known numbers as soon as these are, and no gate of such a layer is held.
 - The error at the read-out drives the step, whatever loss it comes from. A step on one of m inputs is a step on all of
   them with the error of the others 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from fcsym.collapsing.polynomials import expanded
from fcsym.collapsing.rewriting import fewer, of_each, of_group, offset_of, one_of, read_back, visited
from fcsym.deriving.forward import forward
from fcsym.deriving.update import step
from fcsym.errors import ArgumentError, shown
from fcsym.language.algebra import Definition, Monomial, Polynomial, expand, fresh, indices_of, inline, replaced
from fcsym.language.equation import Equation, Order
from fcsym.language.expression import (
    Array,
    Axis,
    Expr,
    Index,
    Ref,
    Role,
    Total,
    add,
    applied_in,
    mul,
    total,
)
from fcsym.networks.dense import MAX_WIDTH
from fcsym.networks.network import Network
from fcsym.networks.symbols import adjoint_of, gate_of, moment, norm, units

__all__ = ["Held", "Unsuited", "group_axis"]


class Unsuited(Exception):
    """Why a layer cannot be contracted, or a step is no polynomial: a sentence."""


def group_axis(layer: int) -> Axis:
    """The gate patterns of a hidden layer that occur: groups of units with the same slopes on all inputs."""
    return Axis(f"p_{layer}", open=True, like=f"p_{layer}", letters="c")


@dataclass(frozen=True)
class Held:
    """One step of a network on held inputs, with the axes of `contracted` layers summed over; 0 is the inputs."""

    network: Network  # in mini-batches over all inputs where there are several
    order: Order
    contracted: frozenset[int]

    @classmethod
    def of(cls, network: Network, order: Order, inputs: int, contracted: frozenset[int]) -> Held:
        """The step on so many inputs. ArgumentError for what cannot be a number of inputs."""
        if isinstance(inputs, bool) or not isinstance(inputs, int) or not 1 <= inputs <= MAX_WIDTH:
            raise ArgumentError(f"inputs is {shown(inputs)!r}: give a whole number from 1 to {MAX_WIDTH}.")
        if inputs > 1 or network.batch:
            network = network.training(network.rule, network.batch or "sum", inputs)
        return cls(network, order, contracted)

    # ------------------------------------------------------------------------------------------ the lists

    @cached_property
    def _forward(self) -> tuple[Equation, ...]:
        return forward(self.network)

    @cached_property
    def defined(self) -> Mapping[Array, Equation]:
        """Every equation of the step by what it defines."""
        learned = step(self._forward, self.network.trained, self.order, self.network.rule)
        found = {e.array: e for e in (*self._forward, *learned)}
        for n in self.contracted - {0}:  # one number for all units is that number times the 1 of each
            s, shift = self.network.hidden[n - 1].s, self.network.bias(n)
            if not shift.axes:
                found[s] = of_each(found[s], shift, one_of(s))
        return found

    @property
    def driver(self) -> Array:
        """dE/d logits."""
        return adjoint_of(self.network.logits)

    @cached_property
    def _summed(self) -> Mapping[Axis, int]:
        """The axes that are summed over, with their layers."""
        return {units(n): n for n in self.contracted}

    @property
    def axes(self) -> frozenset[Axis]:
        """The axes that are summed over."""
        return frozenset(self._summed)

    @cached_property
    def groups(self) -> Mapping[Axis, Axis]:
        """The axis of a contracted layer with gates => that of its groups."""
        found = {}
        for axis, n in self._summed.items():
            if n and not self.network.layers[n - 1].activation.is_identity:
                found[axis] = group_axis(n)
        return found

    @cached_property
    def first_out(self) -> bool:
        """Whether the first layer's pre-activations move without its matrix: no weight of it is left in any update."""
        return 0 in self.contracted and self._first is not None

    # --------------------------------------------------------------------------------- what stands for what

    def _offset(self, layer: int) -> Expr | None:
        """o[n, j] of a layer with intercepts."""
        hidden = self.network.hidden[layer - 1]
        if not any(piece.intercept for piece in hidden.activation.pieces):
            return None
        return offset_of(hidden.s)[indices_of(hidden.s)] * one_of(hidden.s)[indices_of(hidden.s)[-1:]]

    @cached_property
    def _known(self) -> Mapping[Array, Definition | None]:
        """What activations are: slope times pre-activation in a group, and known numbers where units are free."""
        if self.network.rule.divides:
            raise Unsuited(
                f"{self.network.rule.name} divides by the root of an average of squares, weight by weight: its step is "
                "no polynomial"
            )
        found: dict[Array, Definition | None] = {self.driver: None, self.network.input: None}
        for n, hidden in enumerate(self.network.hidden, 1):
            if n not in self.contracted:
                found |= {hidden.v: None, gate_of(hidden.s): None, adjoint_of(hidden.s): None}
                continue
            if hidden.activation.is_smooth:
                raise Unsuited(
                    f"the units of layer {n} do not share a slope: {hidden.activation.name} is not made of lines"
                )
            found[gate_of(hidden.s)] = None
            if not hidden.activation.is_identity:
                indices = indices_of(hidden.s)
                offset = self._offset(n)
                value = gate_of(hidden.s)[indices] * hidden.s[indices]
                found[hidden.v] = indices, value if offset is None else value + offset
        return found

    def resolved(self, node: Expr, kept: frozenset[Array]) -> Expr:
        """The expression in what is trained, what is known and what is kept."""
        if isinstance(node, Ref):
            array = node.array
            if array in kept:
                return node
            if array in self._known:
                known = self._known[array]
                return node if known is None else self.resolved(inline(node, {array: known}), kept)
            if array not in self.defined:
                return node
            equation = self.defined[array]
            assert isinstance(equation.lhs, Ref)
            if not isinstance(equation.rhs, Expr) or any(True for _ in applied_in(equation.rhs)):
                raise Unsuited(f"{equation.name} is no polynomial")
            return self.resolved(inline(node, {array: (equation.lhs.indices, equation.rhs)}), kept)
        return visited(node, lambda child: self.resolved(child, kept))

    # --------------------------------------------------------------------------------------- the first layer

    @cached_property
    def families(self) -> dict[Array, tuple[Array, ...]]:
        """What stands for the matrix and the bias of the first layer, and for what the rule remembers of them."""
        s = self.network.pre_activation(1)
        own = self.network.feeding(1)
        found = {s: own}
        if any(moment(theta, 1) in self.network.memory for theta in own):
            found[moment(s, 1)] = tuple(moment(theta, 1) for theta in own if moment(theta, 1) in self.network.memory)
        return found

    def meaning(self, array: Array) -> Definition:
        """s1 = W1 x + b1, and the same of what the rule remembers."""
        family = self.families[array]
        indices = indices_of(array)
        parts: list[Expr] = []
        for theta in family:
            if len(theta.axes) == 2:
                i = fresh(theta.axes[1], indices)
                parts.append(total(i, theta[indices[-1], i] * self.network.input[(*indices[:-1], i)]))
            else:
                parts.append(self._of_unit(theta, indices[-1]))
        return indices, add(*parts)

    def _of_unit(self, bias: Array, j: Index) -> Expr:
        """b[j]; one number for all units is that number times the 1 of each."""
        return bias[j] if bias.axes else bias[()] * one_of(self.network.pre_activation(1))[j]

    @cached_property
    def _first(self) -> dict[Array, Definition] | None:
        """The updates of s1, and of its velocity, without W1: or None where a weight of the first layer is left."""
        s = frozenset((self.network.pre_activation(1),))
        moving = {*self.network.trained, *self.network.memory}  # a frozen bias may stay: it is a number like others
        gone = {theta for family in self.families.values() for theta in family if theta in moving}
        found = {}
        for array in self.families:
            indices, value = self.meaning(array)
            moved = replaced(value, self.after)
            node = read_back(self.resolved(moved, s), self._shorter)
            found[array] = indices, node
            if gone & {ref.array for m in expand(node) for ref, _ in m.factors if isinstance(ref, Ref)}:
                return None
        return found

    def first_update(self, array: Array) -> Definition:
        """What a step makes of s1, or of its velocity, without groups."""
        assert self._first is not None
        return self._first[array]

    def _shorter(self, monomial: Monomial) -> Expr:
        """A monomial with one sum over the inputs replaced by what it is."""
        x = self.network.input
        reads = [f for f, e in monomial.factors if isinstance(f, Ref) and f.array == x for _ in range(e)]
        matrices = {family[0]: (s, family[1:]) for s, family in self.families.items() if len(family[0].axes) == 2}
        for seen in reads:
            i = seen.indices[-1]
            rest = [f for f, e in monomial.factors for _ in range(e)]
            rest.remove(seen)
            beside = [f for f in rest if i in f.indices]
            if i not in monomial.bound or len(beside) != 1 or not isinstance(beside[0], Ref):
                continue
            rest.remove(other := beside[0])
            if other.array in matrices:
                s, biases = matrices[other.array]
                j = other.indices[0]
                value: Expr = s[(*seen.indices[:-1], j)] - add(*(self._of_unit(b, j) for b in biases))
            elif other.array == x and (not x.axes[:-1] or other.indices != seen.indices):
                value = self.measure(seen.indices[:-1], other.indices[:-1])
            else:
                continue
            return total(tuple(b for b in monomial.bound if b != i), mul(*rest, value))
        return monomial.expr()

    def after(self, ref: Ref) -> Expr:
        """What is trained, after the step."""
        after = ref.array.primed
        return after[ref.indices] if after in self.defined else ref

    @property
    def inner(self) -> Array:
        """a, the inner products of the inputs, with 1 more where the first layer has biases."""
        return norm(self.network.input)

    def measure(self, one: tuple[Index, ...], other: tuple[Index, ...]) -> Expr:
        """x . x of two inputs: a, less the 1 of the bias."""
        return self.inner[(*one, *other)] - int(self.network.layers[0].bias)

    @property
    def inner_definition(self) -> Definition:
        """a[n, m] = sum_i x[n, i] x[m, i] (+ 1)."""
        indices = indices_of(self.inner)
        half = len(indices) // 2
        x, i = self.network.input, fresh(self.network.input.axes[-1], indices)
        products = total(i, x[(*indices[:half], i)] * x[(*indices[half:], i)])
        return indices, products + int(self.network.layers[0].bias)

    # ----------------------------------------------------------------------------------------------- results

    @cached_property
    def kept(self) -> frozenset[Array]:
        """Pre-activations that stand for the weights below them."""
        return frozenset((self.network.pre_activation(1),)) if self.first_out else frozenset()

    def update(self, array: Array) -> Definition:
        """What a step makes of something trained, in groups: indices, and a polynomial."""
        origin = self.origin(array)
        if self.first_out and origin in self.families:
            assert self._first is not None
            indices, value = self._first[origin]
        else:
            indices = indices_of(origin)
            value = self.resolved(self.after(origin[indices]), self.kept)
        return self.indices_in_groups(indices), self.in_groups(value)

    def definition(self, array: Array) -> Definition:
        """Something that a step moves in terms of the weights: itself, or s1 = W1 x + b1."""
        origin = self.origin(array)
        if self.first_out and origin in self.families:
            indices, value = self.meaning(origin)
        else:
            indices = indices_of(origin)
            value = origin[indices]
        return self.indices_in_groups(indices), self.in_groups(value)

    def weight_update(self, array: Array) -> Definition:
        """What a step makes of a weight, in weights alone: what the result is proved against."""
        origin = self.origin(array)
        indices = indices_of(origin)
        return self.indices_in_groups(indices), self.in_groups(self.resolved(self.after(origin[indices]), frozenset()))

    @cached_property
    def observed(self) -> dict[Array, Definition]:
        """What a step has to know, in its order: pre-activations of free layers, logits, errors of free layers."""
        free = [hidden.s for n, hidden in enumerate(self.network.hidden, 1) if n not in self.contracted]
        found = {}
        for array in (*free, self.network.logits, *map(adjoint_of, reversed(free))):
            equation = self.defined[array]
            assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
            value: Expr = equation.lhs if array in self.kept else self.resolved(equation.rhs, self.kept)
            found[array] = self.indices_in_groups(equation.lhs.indices), self.in_groups(value)
        return found

    def group_arrays(self, layer: int) -> tuple[Array, Array]:
        """The slopes and the intercepts of the groups of a layer."""
        s = self.network.hidden[layer - 1].s
        axes = tuple(self.groups.get(axis, axis) for axis in s.axes)
        return replace(gate_of(s), axes=axes), replace(offset_of(s), axes=axes)

    def is_trained(self, array: Array) -> bool:
        """Whether training moves it, or could: parameters, moments, and what stands for them."""
        origin = self.origin(array)
        return origin.role in (Role.PARAMETER, Role.MOMENT) or origin in self.kept

    @property
    def counts(self) -> bool:
        """Whether how many units there are may matter: a bias that they share, or an intercept."""
        return bool(self.network.common) or any(
            piece.intercept for hidden in self.network.hidden for piece in hidden.activation.pieces
        )

    def expanded(self, node: Expr, ones: frozenset[Axis] = frozenset()) -> Polynomial:
        """The polynomial, with no 1 of a unit beside something else of the same unit; `ones` as for `expand`."""
        found = expanded(node, ones)
        while self.counts:
            parts = [mul(c, fewer(monomial)) for monomial, c in found.items()]
            again = expanded(add(*parts), ones)
            if again == found:
                break
            found = again
        return found

    # ------------------------------------------------------------------------------------------------ groups

    def in_groups(self, node: Expr) -> Expr:
        """The expression with every unit of a contracted layer as unit j of group c."""
        if not self.groups:
            return node
        if isinstance(node, Ref):
            return self._element(node)
        if isinstance(node, Total):
            return total(self.indices_in_groups(node.over), self.in_groups(node.body))
        return visited(node, self.in_groups)

    def _element(self, ref: Ref) -> Expr:
        indices = self.indices_in_groups(ref.indices)
        if not of_group(ref.array):
            return replace(ref.array, axes=tuple(i.axis for i in indices))[indices]
        own = tuple(i for i in indices if i.axis not in self.groups)
        slope = replace(ref.array, axes=tuple(i.axis for i in own))[own]
        if not self.counts or ref.array.of is None or ref.indices[-1].axis not in self.groups:
            return slope
        return slope * self._element(one_of(ref.array.of)[ref.indices[-1:]])

    def indices_in_groups(self, indices: tuple[Index, ...]) -> tuple[Index, ...]:
        """j => c, j."""
        found: list[Index] = []
        for index in indices:
            if index.axis in self.groups:
                found.append(Index(self.groups[index.axis], index.letter))
            found.append(index)
        return tuple(found)

    def origin(self, array: Array) -> Array:
        """The array without its groups."""
        return replace(array, axes=tuple(axis for axis in array.axes if axis not in self.groups.values()))
