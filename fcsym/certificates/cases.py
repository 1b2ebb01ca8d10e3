"""Case tables: each row, that the rows cover everything and exclude each other, the choice of p, the integrated P."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations

from fcsym.certificates.choice import DECIDED, Choice, common_identity
from fcsym.certificates.functions import Function
from fcsym.certificates.integral import Integral
from fcsym.certificates.printer import ATOM, Printer, number
from fcsym.certificates.statement import Statement
from fcsym.certificates.theorem import Theorem
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation
from fcsym.language.algebra import indices_of
from fcsym.language.decision import Decision, Tree, decide
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule, Status
from fcsym.language.expression import Array, Axis, Mul, Ref, add
from fcsym.networks.network import Hidden
from fcsym.networks.symbols import (
    adjoint_of,
    frozen_activation,
    gate_of,
    gradient_of,
    increment_of,
    p_of,
)

__all__ = ["Tables"]


class Tables:
    """The theorems on the case tables of one list."""

    def __init__(
        self, statement: Statement, printer: Printer, given: Mapping[str, Equation],
        functions: Mapping[Activation, Function], impossible: frozenset[tuple[str, str]],
    ) -> None:  # fmt: skip
        """`impossible`: rows that are said not to occur, by equation and name."""
        self.statement, self.printer, self.given = statement, printer, given
        self.functions, self.impossible = functions, impossible

    def theorems(self, e: Equation) -> Iterator[Theorem]:
        """Those of one table."""
        if e.rule is Rule.CASES:
            yield from self._change(e)
        elif e.rule is Rule.CHOICE:
            yield from self._choice(e)
        elif e.rule is Rule.INTEGRAL:
            yield from self._integral(e)

    # ---------------------------------------------------------------------------------------------------- parts

    def _unit(self, e: Equation) -> Hidden:
        network = self.statement.network
        found = network.unit_of(e.array)
        return network.hidden[-1] if found is None else found  # a choice is about what the read-out reads

    def _every(self, e: Equation) -> str:
        assert isinstance(e.lhs, Ref)
        return f"forall ({self.printer.indices(e.lhs.indices)} : nat)"

    def _when(self, conditions: Iterable[Condition]) -> str:
        return "".join(f"{self.printer.condition(c)} -> " for c in conditions)

    def _opened(self, unit: Hidden, *more: Array) -> str:
        """What a unit's values are: looked into until nothing but s before and after is left."""
        name, printer = self.printer.array(unit.v), self.printer
        names = [printer.array(a) for a in (*more, increment_of(unit.v), unit.v.primed, unit.v)]
        names += [f"{name}_of"]
        if not unit.activation.is_smooth and not unit.activation.is_identity:
            names += [f"phi_{printer.function(unit.activation)}"]
        moved = unit.s.primed if unit.s in self.statement.network.trained else increment_of(unit.s)  # s' = s + ds
        return ", ".join([*names, printer.array(moved)])

    def _cover(self, e: Equation, like: Equation | None = None) -> Iterator[Theorem]:
        """The rows cover everything, and no two of them hold at once; `like`: a table that may have the same rows."""
        assert isinstance(e.rhs, Cases) and isinstance(e.lhs, Ref)
        printer, rows, name = self.printer, e.rhs.branches, self.printer.array(e.array)
        every = self._every(e)
        either = " \\/\n  ".join("(" + " /\\ ".join(printer.condition(c) for c in row.when) + ")" for row in rows)
        covered = f"intros; {self._reached(decide(rows), rows)}."
        excluded = "intros; repeat split; intros; first [lra | contradiction]."
        if like is not None and isinstance(like.rhs, Cases) and [r.when for r in like.rhs] == [r.when for r in rows]:
            other = self.printer.array(like.array)
            covered, excluded = f"exact {other}_covered.", f"exact {other}_excluded."
        yield Theorem(
            f"{name}_covered", f"{every},\n  {either}", covered, None,
            f"the cases of {name} cover everything"
        )  # fmt: skip
        pairs = [f"({self._when(dict.fromkeys((*a.when, *b.when)))}False)" for a, b in combinations(rows, 2)]
        if pairs:
            stated = f"{every},\n  " + " /\\\n  ".join(pairs)
            yield Theorem(f"{name}_excluded", stated, excluded, None, "and exclude each other")

    def _reached(self, tree: Tree, rows: Sequence[Branch]) -> str:
        """The tactic that goes down a tree of decisions, and finds each row at its place."""
        if isinstance(tree, Decision):
            ways = [self._reached(tree.then, rows), self._reached(tree.otherwise, rows)]
            if tree.condition.relation in ("<=", "!="):
                ways.reverse()
            return f"destruct ({self._test(tree.condition)}); [{' | '.join(ways)}]"
        place = list(rows).index(tree)
        return "right; " * place + ("left; " if place + 1 < len(rows) else "") + f"repeat split; {DECIDED}"

    def _test(self, condition: Condition) -> str:
        subject, bound = self.printer.term(condition.subject, ATOM), number(condition.bound)
        return f"Rlt_dec {bound} {subject}" if condition.relation in (">", "<=") else f"Req_EM_T {subject} {bound}"

    # ---------------------------------------------------------------------------------------------- v' - v

    def _change(self, e: Equation) -> Iterator[Theorem]:
        assert isinstance(e.rhs, Cases)
        name, unit, term = self.printer.array(e.array), self._unit(e), self.printer.term(e.lhs)
        opened = self._opened(unit)
        for n, row in enumerate(e.rhs, 1):
            assert row.value is not None
            yield Theorem(
                f"{name}_case_{n}", f"{self._every(e)}, {self._when(row.when)}{term} = {self.printer.term(row.value)}",
                f"intros; unfold {opened} in *; decisions; lra.", (e.name, row.name), row.name,
            )  # fmt: skip
        tree = self.printer.tree(decide(e.rhs.branches))
        yield Theorem(
            f"eq_{name}", f"{self._every(e)}, {term} = {tree}", f"intros; unfold {opened}; decisions; lra.",
            (e.name, None), e.rule.value,
        )  # fmt: skip
        yield from self._cover(e)
        yield from self._never(e)

    def _never(self, e: Equation) -> Iterator[Theorem]:
        """Rows that cannot occur, since a unit of the first layer moves as far as its gate lets it."""
        assert isinstance(e.rhs, Cases) and isinstance(e.lhs, Ref)
        unit, name = self._unit(e), self.printer.array(e.array)
        at = self.printer.indices(e.lhs.indices)
        for n, row in enumerate(e.rhs, 1):
            if (e.name, row.name) not in self.impossible:
                continue
            yield self._never_so(
                f"{name}_case_{n}_never", f"{self._every(e)}, {self._when(row.when)}False", unit,
                f"intros; {self._still(unit, at)}.", f"{row.name} cannot occur", (e.name, row.name),
            )  # fmt: skip

    def _never_so(
        self, name: str, statement: str, unit: Hidden, script: str, said: str, of: tuple[str, str | None]
    ) -> Theorem:  # fmt: skip
        """What cannot occur; where that needs the network's own widths, it is left open."""
        network = self.statement.network
        rests = network.rule.rests and not network.batch
        if network.built is None:  # of layers it may be for a length: one window, one step
            layer = self._layer(unit)
            fed = [theta for theta in network.feeding(layer) if theta in network.trained]
            own = unit.s == network.pre_activation(layer) and all(unit.s.axes[-1] in theta.axes for theta in fed)
            if own and (rests or not fed):
                return Theorem(name, statement, script, None, said)
        elif self._moves_by_its_gate(unit):
            return Theorem(name, statement, script, None, said)
        widths = "".join(
            f"{self.printer.width(axis)} = {size}%nat -> " for axis, size in network.sizes.items() if axis in self.axes
        )
        reason = f"{said} at these widths, of which fcsym has decided it with z3; at every width it may"
        return Theorem(name, f"{widths}{statement}", "", of, said, reason)

    def _moves_by_its_gate(self, unit: Hidden) -> bool:
        """Whether ds is a product with the unit's own adjoint, and that one with its gate, in whatever network."""
        factors, trained = [], unit.s in self.statement.network.trained
        adjoint = gradient_of(unit.s) if trained else adjoint_of(unit.s)
        for array, factor in ((increment_of(unit.s), adjoint), (adjoint, gate_of(unit.s))):
            e = self.given.get(array.name)
            if e is None or not isinstance(e.lhs, Ref) or not isinstance(e.rhs, Mul):
                return False
            factors.append(factor[e.lhs.indices] in e.rhs.factors)
        return all(factors)

    def _layer(self, unit: Hidden) -> int:
        """Whose unit it is, up to the first layer in which something is trained."""
        if self.statement.network.built is not None:
            return 1  # of layers nothing is proved by it
        numbers = range(1, self._lowest_that_moves)
        return next((n for n in numbers if self.statement.network.pre_activation(n) == unit.s), self._lowest_that_moves)

    @cached_property
    def _lowest_that_moves(self) -> int:
        """The first layer of a dense network that is trained; what it reads is the same before and after the step."""
        network = self.statement.network
        layers = enumerate(network.layers, 1)
        return next(n for n, _ in layers if set(network.feeding(n)) & set(network.trained))

    @cached_property
    def axes(self) -> set[Axis]:
        """Whose lengths the file has names for."""
        return {
            axis for e in self.statement.by_array.values() for array in (e.array, *e.operands) for axis in array.axes
        }

    def _still(self, unit: Hidden, at: str, *more: Array) -> str:
        """A unit that moves by its gate alone stays where the gate is closed, against what is assumed of it."""
        printer = self.printer
        ds, gate = printer.array(increment_of(unit.s)), printer.array(gate_of(unit.s))
        slope = f"slope_{printer.function(unit.activation)}"
        opened = self._opened(unit, *more)
        if unit.s in self.statement.network.trained:
            made = f"{opened}, {ds}, {printer.array(gradient_of(unit.s))}, {gate}, {slope}"
            return f"unfold {made} in *; decisions; lra"
        network = self.statement.network
        layer = self._layer(unit)
        closed = f"{printer.array(adjoint_of(unit.s))}, {gate}, {slope}"
        same, below = "", network.passed_on(layer - 1)
        if layer > 1:  # below nothing is trained: v' is v, by definition
            letters = " ".join(map(printer.index, printer.letters(below)))
            at_rest = f"forall {letters}, {printer.array(increment_of(below))} {letters} = 0"
            same = f"assert (Z_ : {at_rest}) by (intros; apply Rminus_diag_eq; reflexivity); "
        if network.rule.is_plain or network.built is not None or layer != self._lowest_that_moves:
            rest = f"first [ring | {same}sums_by ltac:(rewrite ?Z_; ring)]" if same else "ring"
            stays = f"rewrite eq_{ds}; unfold {closed}; unfold {opened} in *; decisions; try {rest}"
        else:
            shut = f"unfold {closed}; unfold {opened} in *; decisions; first [ring | lra]"
            stays = f"{same}assert (D_ : {printer.array(adjoint_of(unit.s))} {at} = 0) by ({shut}); "
            stays += self._without_gradient(unit, at, "?Z_, " if same else "")
        return f"(assert (E_ : {ds} {at} = 0); [{stays} | unfold {opened} in *; decisions; lra])"

    def _without_gradient(self, unit: Hidden, at: str, known: str) -> str:
        """ds = 0 from an adjoint of 0, by a rule that moves no number whose gradient is 0."""
        network, printer, parts, zeros = self.statement.network, self.printer, [], []
        trained = [theta for theta in network.feeding(self._lowest_that_moves) if theta in network.trained]
        for n, theta in enumerate(trained):
            made = [e.array for e in network.rule.equations(theta, indices_of(theta))[:-1]]
            opened = ", ".join(map(printer.array, [*reversed(made), gradient_of(theta)]))
            others = [f"j{m}_" for m, axis in enumerate(theta.axes) if axis != unit.s.axes[-1]]
            element = [f"j{m}_" if axis != unit.s.axes[-1] else at for m, axis in enumerate(theta.axes)]
            every = f"forall ({' '.join(others)} : nat), " if others else ""
            parts.append(
                f"assert (Z{n}_ : {every}{printer.array(increment_of(theta))} {' '.join(element)} = 0) by "
                f"(intros; unfold {opened}, Rdiv; rewrite ?D_; ring); "
            )
            zeros.append(f"?Z{n}_")
        moved = printer.array(increment_of(unit.s))
        return f"{''.join(parts)}rewrite eq_{moved}; sums_by ltac:(rewrite {known}{', '.join(zeros)}; ring)"

    # ------------------------------------------------------------------------------------------------------- p

    def choice(self, e: Equation) -> Choice:
        """What a table of choices solves: (w' + p) v^c = w' v', or the same for another input on top of that."""
        assert isinstance(e.rhs, Cases) and isinstance(e.lhs, Ref)
        network, unit = self.statement.network, self._unit(e)
        k, *j = e.lhs.indices
        w = self.statement.after(network.read_out)[k, *j]
        if e.array == p_of(network.read_out):
            vc = frozen_activation(unit.v)
            opened = self._opened(unit, vc)
            change = self.given.get(increment_of(unit.v).name)
            if unit.activation.is_smooth or (
                change is not None and network.built is not None and change.rule is not Rule.CASES
            ):
                opened = ", ".join(map(self.printer.array, (increment_of(unit.v), vc)))
            return Choice(self.printer, e, w, w, unit.v.primed[tuple(j)], vc[tuple(j)], opened)
        at_zero = next(row for row in e.rhs if row.status is Status.CHOSEN)
        c, v = (condition.subject for condition in at_zero.when)
        before = (self.given[a.name] for a in e.operands if a.name in self.given)
        base = add(w, *(a.array[k, *j] for a in before if a.rule is Rule.CHOICE))
        return Choice(self.printer, e, w, base, v, c, "")

    def _choice(self, e: Equation) -> Iterator[Theorem]:
        yield from self.choice(e).theorems()
        yield from self._cover(e)
        assert isinstance(e.rhs, Cases) and isinstance(e.lhs, Ref)
        undefined = [row for row in e.rhs if row.value is None]
        change = increment_of(self._unit(e).v)
        name, at = self.printer.array(e.array), self.printer.indices(e.lhs.indices)
        unit, vc = self._unit(e), frozen_activation(self._unit(e).v)
        if not undefined or any((e.name, row.name) not in self.impossible for row in undefined):
            return
        statement, said = f"{self._every(e)}, {name}_defined {at}", "it exists for every unit"
        begun = f"intros {at}; unfold {name}_defined; repeat split; intro U_; decompose [and] U_; "
        if unit.activation.is_smooth:
            v, phi = self.printer.array(unit.v), self.printer.function(unit.activation)
            looked = f"unfold {self.printer.array(vc)}, {v}, {v}_of in *; eapply never_zero_{phi}; eassumption."
            if self.functions[unit.activation].never_zero:
                yield Theorem(f"{name}_is_defined", statement, begun + looked, None, said)
            return
        if change.name in self.given:
            still = self._still(unit, self.printer.indices(e.lhs.indices[1:]), vc)
            yield self._never_so(f"{name}_is_defined", statement, unit, f"{begun}{still}.", said, (e.name, None))

    def identity(self, e: Equation) -> Iterator[Theorem]:
        """The compensation: what was chosen unit by unit, under the sum."""
        if self.statement.network.places:
            yield from common_identity(self.statement, self.printer, e)
            return
        assert isinstance(e.lhs, Ref)
        y = e.lhs.array
        opened = [self.printer.array(y)]
        if y in self.statement.after_step:
            opened.append(f"{self.printer.array(y.unprimed)}_of")
        chosen, between = self.chosen_in(e)
        yield self.choice(chosen).under_sum(e, ", ".join(opened), [self.printer.array(a) for a in between])

    def chosen_in(self, e: Equation) -> tuple[Equation, list[Array]]:
        """The last choice that an equation rests on, and the names between."""
        own = [self.given[a.name] for a in e.operands if a.name in self.given]
        direct = [d for d in own if d.rule is Rule.CHOICE]
        if direct:
            return direct[-1], []
        for d in own:
            for a in d.operands:
                if a.name in self.given and self.given[a.name].rule is Rule.CHOICE:
                    return self.given[a.name], [d.array]
        raise UnsupportedExpression(f"{e.name} rests on no choice: it cannot be certified as a compensation.")

    def _integral(self, e: Equation) -> Iterator[Theorem]:
        """P, row by row."""
        assert isinstance(e.rhs, Cases) and isinstance(e.lhs, Ref)
        of_p = self.choice(self.given[p_of(self.statement.network.read_out).name])
        name = self.printer.array(e.array)
        at_zero = {str(t.of[1]): t for t in replace(of_p, e=e).rows() if t.of is not None}
        yield from Integral(self.statement, self.printer, self.given, e).theorems(at_zero)
        tree = self.printer.tree(decide(e.rhs.branches))
        at = self.printer.indices(e.lhs.indices)
        yield Theorem(name, f"Definition {name} ({at} : nat) : R := {tree}.", "", (e.name, None))
        yield from self._cover(e, of_p.e)
