"""The four functions of a closed state as lists of equations, to be read: what the finder found, in its order.

init:   the weights and the held inputs  => what the state stands for
step:   read what a step has to know     => the error at the read-out, then the recursion
output: read                             => y
expand: every unit is a fixed combination of the columns of its pattern, and every step moved W1 along the inputs

The verdicts are those of the finder's proof, and of one further identity: a step takes every combination of units of a
pattern to the same combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fcsym.collapsing.equations import Closure, lettered
from fcsym.collapsing.gates_held import gates_held, held_arrays
from fcsym.collapsing.held import Held
from fcsym.deriving.pipeline import one_step
from fcsym.deriving.record import Record
from fcsym.language.algebra import Definition, fresh, indices_of, inline, replaced
from fcsym.language.equation import Equation, Rule, Verdict
from fcsym.language.expression import Array, Axis, Expr, Index, Ref, Role, add, arrays_in, mul, total
from fcsym.language.findings import Finding, Proof
from fcsym.networks.symbols import ETA, adjoint_of, column_of, frozen_copy, units
from fcsym.schemes.record import SchemeRecord, cut

__all__ = ["ClosedParts", "Function", "column_axis"]

_ABOUT = {
    "init": "A conventional network and the held inputs become the state.",
    "step": "The state after one training step, while every unit keeps its line.",
    "output": "The output of the network that the state stands for.",
    "expand": "The weights that backpropagation has after the same steps.",
}
_COMBINED = (
    "A step takes the columns of a pattern to what it takes its units to, so every unit stays the combination of them "
    "that it was when its pattern was laid out."
)


@dataclass(frozen=True)
class Function:
    """One of the four: what it is given, its equations, what it returns, and the verdicts on these."""

    name: str
    given: tuple[Array, ...]
    equations: tuple[Equation, ...]
    results: tuple[Array, ...]
    proof: Proof

    @property
    def about(self) -> str:
        """What it does, in a sentence."""
        return _ABOUT[self.name]


@dataclass(frozen=True)
class ClosedParts:
    """The four functions of a closed state."""

    closure: Closure
    along: Sequence[Finding]  # what is proved of how the first layer moved
    own: Sequence[Finding]  # and of the network's own equations

    @property
    def held(self) -> Held:
        """The step with its gates held."""
        return self.closure.found.held

    @cached_property
    def base(self) -> Record:
        """The step of the network."""
        return one_step(self.closure.network, self.held.order)

    @property
    def data(self) -> tuple[Array, ...]:
        """What the held inputs give."""
        return tuple(equation.array for equation in self.closure.data)

    @cached_property
    def gates(self) -> tuple[Array, ...]:
        """The slopes, and the intercepts, of the patterns."""
        used = {a for e in (*self.closure.recursion, *self.closure.read, *self.closure.definitions) for a in e.operands}
        made = [a for n in sorted(self.held.contracted - {0}) for a in self.held.group_arrays(n)]
        return tuple(array for array in made if array in used)

    def _finding(self, equation: Equation, verdict: Verdict, said: str = "") -> Finding:
        return Finding(equation.name, None, verdict, said)

    def _proof(self, findings: Sequence[Finding]) -> Proof:
        return Proof(tuple(findings), self.closure.proof.instance, self.closure.proof.method)

    # ----------------------------------------------------------------------------------------------- the functions

    @cached_property
    def init(self) -> Function:
        """The definitions of the state."""
        held, closure = self.held, self.closure
        made = [*closure.data]
        read = {held.origin(a) for e in (*closure.parts, *closure.definitions) for a in (e.array, *e.operands)}
        for array in held.families if held.first_out else ():
            if array not in read:
                continue
            indices, value = held.definition(array)
            because = "The pre-activations of the first layer."
            if array not in held.kept:
                because = "The same of what is remembered."
            lhs = replace(array, axes=tuple(i.axis for i in indices))[indices]
            made.append(lettered(Equation(lhs, value, Rule.DEFINITION, because), closure.network))
        made += [e for e in (*closure.parts, *closure.definitions) if e.lhs != e.rhs]
        made = list({e.array: e for e in made}.values())
        findings = [self._finding(e, Verdict.DEFINITION) for e in made]
        given = (*closure.network.parameters, *closure.network.memory, closure.network.input, *self.gates)
        return Function("init", given, tuple(made), (*closure.state, *self.data), self._proof(findings))

    def _listed(self, wanted: Sequence[Array], given: Sequence[Array]) -> tuple[Equation, ...]:
        """The equations on the way from the state to what is wanted: read off it, and the network's own."""
        read = {e.array: e for e in self.closure.read}
        own = [read.get(e.array, e) for e in self.base.equations if e.defines]
        return cut(own, given, wanted)

    def _judged(self, equations: Sequence[Equation]) -> list[Finding]:
        """The verdicts on equations: the finder's where they are read off the state, or the network's."""
        found = {f.equation: [f] for f in self.closure.proof.findings}
        return [f for e in equations for f in found.get(e.name) or self._known(e, self.own)]

    def _known(self, equation: Equation, findings: Sequence[Finding]) -> list[Finding]:
        known = [f for f in findings if f.equation == equation.name]
        return known or [self._finding(equation, Verdict.UNDECIDED)]

    @cached_property
    def step(self) -> Function:
        """What a step has to know, and the recursion."""
        closure, network = self.closure, self.closure.network
        given = (*closure.state, *self.data, *self.gates, network.target, ETA)
        wanted = [a for e in closure.recursion for a in e.operands if a not in closure.state]
        made = (*self._listed(wanted, given), *closure.recursion)
        results = tuple(e.array for e in closure.recursion)
        return Function("step", given, made, results, self._proof(self._judged(made)))

    @cached_property
    def output(self) -> Function:
        """y, off the state."""
        closure = self.closure
        given = (*closure.state, *self.data, *self.gates)
        made = self._listed([closure.network.output], given)
        return Function("output", given, made, (closure.network.output,), self._proof(self._judged(made)))

    @cached_property
    def expand(self) -> Function:
        """Units from columns, and the first layer along the inputs, whose verdicts are those of `along`."""
        held, network = self.held, self.closure.network
        start = gates_held(network, held.order, tuple(held.contracted)).routines["expand"]
        read = {*(a for e in start.equations for a in e.operands), *start.results}
        own = [a for a in start.given if a in read and a.role is not Role.FROZEN]
        combined, given = [], []
        for array in own:
            layer = next((n for n in sorted(held.contracted - {0}) if units(n) in array.axes), None)
            if layer is None or array in map(frozen_copy, network.parameters):
                given.append(array)
                continue
            indices = held.indices_in_groups(indices_of(array))
            ref = replace(array, axes=tuple(i.axis for i in indices))[indices]
            combination = self.combination(ref, layer)
            given += [a for a in arrays_in(combination) if a not in given]
            combined.append((array, lettered(Equation(ref, combination, Rule.EXPANSION, _COMBINED), network)))
        grouped = [self._in_groups(e) for e in start.equations]
        findings = [
            self._finding(e, Verdict.PROVED if self.follows(a) else Verdict.UNDECIDED, "identical") for a, e in combined
        ]
        findings += [f for e in grouped for f in self._known(e, self.along)]
        frozen = [a for a in start.given if a not in own and a in read]
        made = (*(e for _, e in combined), *grouped)
        return Function("expand", (*given, *frozen), made, network.parameters, self._proof(findings))

    def _in_groups(self, equation: Equation) -> Equation:
        """With every unit of a layer that is summed over as unit j of a pattern c."""
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        indices = self.held.indices_in_groups(equation.lhs.indices)
        lhs = replace(equation.array, axes=tuple(i.axis for i in indices))[indices]
        return lettered(replace(equation, lhs=lhs, rhs=self.held.in_groups(equation.rhs)), self.closure.network)

    # ------------------------------------------------------------------------------------------------- the columns

    def combination(self, ref: Ref, layer: int) -> Expr:
        """z[c, j] => sum_u xi[c, j, u] Z[c, u]."""
        j = next(i for i in ref.indices if i.axis == units(layer))
        group = [i for i in ref.indices if i.axis == self.held.groups.get(units(layer))]
        u = fresh(column_axis(layer), ref.indices)
        xi = Array("xi", layer, (*(i.axis for i in group), j.axis, u.axis))
        return total(u, mul(xi[(*group, j, u)], _column(ref, layer, u)))

    def follows(self, array: Array) -> bool:
        """Whether a step takes every combination of units to the same combination of what it takes them to."""
        (layer,) = (n for n in self.held.contracted - {0} if units(n) in array.axes)
        moved = self.moved(array, layer)
        if moved is None:
            return True
        indices, value = moved
        value = add(*(m.expr(c) for m, c in self.held.expanded(value).items()))
        return self.commutes(value, indices, layer)

    def moved(self, array: Array, layer: int) -> Definition | None:
        """What a step makes of an array of a layer's units, as unit j of a pattern c; None where none moves it.

        It is made of the state, of the errors at the read-out, which are times eta where a step is plain, and of what
        is known of the layers that are read.
        """
        held, states = self.held, self.by_steps
        by_array = {e.array: e for e in states.routines["step"].equations if e.defines}
        step = by_array.get(array.primed)
        if step is None:
            return None
        assert isinstance(step.lhs, Ref) and isinstance(step.rhs, Expr)
        value = step.rhs
        known = {adjoint_of(self.closure.network.logits)}
        while True:
            inside = [a for a in arrays_in(value) if a in by_array and a not in known and a not in states.state]
            if not inside:
                break
            one = by_array[inside[0]]
            assert isinstance(one.lhs, Ref)
            if not isinstance(one.rhs, Expr) or units(layer) not in one.array.axes:
                known.add(one.array)  # of a layer that is read
                continue
            value = inline(value, {one.array: (one.lhs.indices, one.rhs)})
        gates = {a for own in held_arrays(self.closure.network, tuple(held.contracted)).values() for a in own}
        value = replaced(
            value, lambda ref: replace(ref.array, role=Role.GATE)[ref.indices] if ref.array in gates else ref
        )
        return held.indices_in_groups(step.lhs.indices), held.in_groups(value)

    @cached_property
    def by_steps(self) -> SchemeRecord:
        """The step with its gates held, of units and of columns alike."""
        return gates_held(self.closure.network, self.held.order, tuple(self.held.contracted))

    def commutes(self, value: Expr, indices: tuple[Index, ...], layer: int) -> bool:
        """f(sum_u xi[j, u] Z_u) = sum_u xi[j, u] f(Z_u), for what a step makes of the numbers of unit j."""
        held = self.held
        j = next(i for i in indices if i.axis == units(layer))
        group = [i for i in indices if i.axis == held.groups.get(units(layer))]
        u = fresh(column_axis(layer), indices)
        xi = Array("xi", layer, (*(i.axis for i in group), j.axis, u.axis))

        def of_unit(ref: Ref) -> bool:
            return units(layer) in ref.array.axes

        left = replaced(value, lambda ref: self.combination(ref, layer) if of_unit(ref) else ref)
        right = replaced(value, lambda ref: _column(ref, layer, u) if of_unit(ref) else ref)
        return not held.expanded(left - total(u, mul(xi[(*group, j, u)], right)))


def column_axis(layer: int) -> Axis:
    """The columns of a pattern: as many as a unit has numbers, or as the pattern has units."""
    return Axis(f"d_{layer}", open=True, like=f"d_{layer}", letters="u")


def _column(ref: Ref, layer: int, u: Index) -> Expr:
    """The same number of a column."""
    indices = tuple(u if i.axis == units(layer) else i for i in ref.indices)
    return column_of(ref.array, tuple(i.axis for i in indices))[indices]
