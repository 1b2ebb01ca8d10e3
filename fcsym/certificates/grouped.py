"""A state of sums over units in groups: the condition that every unit keeps its line, and how sums over groups are met.

A sum over the units of group c is one over all units j with on[c, j], which is 1 where j is in it: so the network's own
sums, which know no group, and those of the state are compared unit by unit. Of the units of a layer it is assumed, by
name, that at every input each is on the line of its group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.resources import files

from fcsym.certificates.opened import Opened
from fcsym.certificates.orders import in_order_of
from fcsym.certificates.printer import Printer
from fcsym.certificates.statement import Statement
from fcsym.certificates.theorem import Theorem
from fcsym.language.algebra import Definition, indices_of, inline, rename
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, Array, Axis, Expr, Index, Ref, Role
from fcsym.networks.symbols import gate_of
from fcsym.schemes.groups import Grouping, Groups

__all__ = ["Grouped"]

_SAID = (
    "every unit is in one group, and held says that it is on the line of its group at every input: so it is at the "
    "start, with a group for each pattern that occurs, and after a step it is assumed again, by name. Where a unit has "
    "left its line the groups are others: what is carried is then what init makes of the weights that expand gives, "
    "with the new groups, and all of this holds of them, too"
)


class Grouped:
    """The groups of one scheme, and the proofs that look at units one by one."""

    def __init__(self, grouping: Grouping, statement: Statement, printer: Printer, opened: Opened) -> None:
        self.grouping, self.statement, self.printer, self.opened = grouping, statement, printer, opened
        self.network = statement.network

    @staticmethod
    def lemmas() -> Theorem:
        """What is needed of sums, wherever one stands."""
        return Theorem("", files("fcsym.certificates").joinpath("groups.v").read_text(encoding="utf-8").rstrip(), "")

    @property
    def given(self) -> Mapping[Array, None]:
        """What the groups define."""
        return dict.fromkeys(own.within for own in self.grouping.layers)

    @property
    def named(self) -> set[Array]:
        """And what they bring."""
        lines = {a for own in self.grouping.layers for a in (own.slope, own.offset) if a is not None}
        return {*self.given, *lines}

    @property
    def patterns(self) -> set[Axis]:
        """The axes that count groups."""
        return {own.patterns for own in self.grouping.layers}

    def _map(self, own: Groups) -> str:
        return f"group{own.pre_activation.layer}"

    def _held(self, own: Groups) -> str:
        return f"held{own.pre_activation.layer}"

    # ----------------------------------------------------------------------------------------------- the condition

    def stated(self) -> Iterator[Theorem]:
        """The groups of the units, their lines, and the condition that a unit keeps to them."""
        printer = self.printer
        for n, own in enumerate(self.grouping.layers):
            mine, units, patterns = self._map(own), printer.width(own.units), printer.width(own.patterns)
            lines = [own.slope] if own.offset is None else [own.slope, own.offset]
            named = "".join(f" ({printer.array(a)} : {printer.type(a)})" for a in lines)
            yield Theorem(
                "", f"Variables ({patterns} : nat) ({mine} : nat -> nat){named}.", "", None, "" if n else _SAID
            )
            within = printer.array(own.within)
            yield Theorem("", f"Hypothesis {mine}_is : forall j, (j < {units})%nat -> ({mine} j < {patterns})%nat.", "")
            yield Theorem("", f"Definition {within} (c j : nat) : R := kron ({mine} j) c.", "")
            kind, held = printer.type(own.pre_activation), " /\\ ".join(self._line(own, "s"))
            every = f"forall {self._at(own)}, {self._bounds(own)}{held}"
            yield Theorem("", f"Definition {self._held(own)} (s : {kind}) : Prop := {every}.", "")

    def condition(self) -> Iterator[Theorem]:
        """That every unit is on the line of its group, and what it says of phi and of its slope."""
        for own in self.grouping.layers:
            s, name = self.printer.array(own.pre_activation), f"{self._held(own)}_now"
            yield Theorem("", f"Hypothesis {name} : {self._held(own)} {s}.", "", None, "every unit keeps its line")
            for which, said in zip(("slope", "phi"), self._line(own, s), strict=True):
                every = f"forall {self._at(own)}, {self._bounds(own)}{said}"
                yield Theorem(f"{which}_{name}", every, f"intros; apply {name}; assumption.")
            if own.one is not None and own.offset is not None:
                (j,), value = own.one
                one = self.printer.term(rename(value, {j: Index(j.axis, "j")}))
                law, width = f"one{own.pre_activation.layer}_laid", self.printer.width(own.units)
                every = f"forall j, (j < {width})%nat -> 1 = {one}"
                yield Theorem("", f"Hypothesis {law} : {every}.", "", None, "1 is the same combination of columns")
                line, shift = self._line(own, s)[1].rsplit(" + ", 1)
                yield Theorem(
                    f"laid_{name}", f"forall {self._at(own)}, {self._bounds(own)}{line} + {shift} * {one}",
                    f"intros; rewrite <- ({law} j) by assumption; rewrite phi_{name} by assumption; ring.",
                )  # fmt: skip

    @staticmethod
    def _letters(own: Groups) -> list[str]:
        return ["n", "j"][-len(own.pre_activation.axes) :]

    def _at(self, own: Groups) -> str:
        return " ".join(self._letters(own))

    def _bounds(self, own: Groups) -> str:
        both = zip(self._letters(own), own.pre_activation.axes, strict=True)
        return "".join(f"({i} < {self.printer.width(a)})%nat -> " for i, a in both)

    def _line(self, own: Groups, s: str) -> tuple[str, str]:
        """The slope, and phi, on the line of a unit's group; of pre-activations that are called so."""
        printer, phi = self.printer, self.printer.function(self.network.units[own.units].activation)
        at, group = self._at(own), " ".join([*self._letters(own)[:-1], f"({self._map(own)} j)"])
        slope = f"{printer.array(own.slope)} {group}"
        shift = "" if own.offset is None else f" + {printer.array(own.offset)} {group}"
        return f"slope_{phi} ({s} {at}) = {slope}", f"phi_{phi} ({s} {at}) = {slope} * {s} {at}{shift}"

    def moves(self) -> Iterator[Theorem]:
        """How far a step moves the first layer's pre-activations."""
        for e in self.grouping.moved:
            yield self._moved(e)

    def _moved(self, e: Equation) -> Theorem:
        """s1 after the step, as a function: it stands under sums."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        printer, name = self.printer, self.printer.array(e.array)
        at = printer.indices(e.lhs.indices)
        found = self.opened.arrays((e.array,), (a for a in e.operands if a.role is not Role.ADJOINT))
        names = [printer.array(a) for a, _ in found] + [f"{printer.array(a.unprimed)}_of" for a, made in found if made]
        names += [printer.array(a) for a in e.operands if a.role is Role.NORM]
        extended = "apply FunctionalExtensionality.functional_extensionality; intro; " * len(e.lhs.indices)
        return Theorem(
            f"moved_{name}", f"{name} = (fun {at} : nat => {printer.term(e.rhs)})",
            f"{extended}unfold {', '.join(dict.fromkeys(names))}; sums.", None, "how far a step moves it",
        )  # fmt: skip

    # --------------------------------------------------------------------------------------------------- the proofs

    def within(self, e: Equation) -> str:
        """Bounds of the indices of an equation at which a unit, or an input, has to be one that there is."""
        assert isinstance(e.lhs, Ref)
        axes = {axis for own in self.grouping.layers for axis in own.pre_activation.axes}
        mine = dict.fromkeys(i for i in e.lhs.indices if i.axis in axes)
        return "".join(f"({self.printer.index(i)} < {self.printer.width(i.axis)})%nat -> " for i in mine)

    def kept(self, e: Equation, assumed: Mapping[str, Equation]) -> str:
        """The proof that the state stands for the same after the step; `assumed`: laws of before, by name."""
        top = "".join(f"rewrite ?M_{name} by assumption; " for name in assumed)
        tries = []
        for name, law in assumed.items():
            if self.is_layout(law):  # of a unit, which is met under sums
                assert isinstance(law.lhs, Ref)
                letters = "abcd"[: len(law.lhs.indices)]
                at, use = " ".join(f"?{x}" for x in letters), " ".join(letters)
                what = f"{self.printer.array(law.array)} {at}"
                tries.append(f"match goal with |- context [{what}] => rewrite (M_{name} {use}) by assumption end")
        return self.script(e, assumed.values(), top, " | ".join(tries))

    def is_layout(self, law: Equation) -> bool:
        """Whether it says of units that they are combinations of columns."""
        return bool(self._layout(law))

    def _layout(self, law: Equation) -> list[Axis]:
        """The axis that counts columns: no array of the network has it."""
        known = {axis for e in self.statement.forward for a in (e.array, *e.operands) for axis in a.axes}
        known |= {own.patterns for own in self.grouping.layers}
        return [axis for a in law.operands for axis in a.axes if axis not in known]

    def laid_out(self, law: Equation) -> Theorem:
        """Units are combinations of columns at the start: with one column for each unit, to name a layout."""
        assert isinstance(law.lhs, Ref)
        printer, name = self.printer, self.printer.array(law.array)
        j = next(i for i in law.lhs.indices if i.axis in self.grouping.summed and i.axis in self.network.units)
        letter, width = printer.index(j), printer.width(j.axis)
        column = printer.term(rename(law.lhs, {j: Index(j.axis, "u")}))
        value = f"sum {width} (fun u => kron u {letter} * {column})"
        for own in self.grouping.layers:
            if own.units == j.axis:
                within = f"{printer.array(own.within)} c {letter}"
                value = f"sum {printer.width(own.patterns)} (fun c => {within} * {value})"
        opened = f"unfold {', '.join(map(printer.array, self.given))}; in_its_group; " if self.given else ""
        every = f"forall ({printer.indices(law.lhs.indices)} : nat), ({letter} < {width})%nat -> "
        return Theorem(
            f"laid_out_{name}", f"{every}{printer.term(law.lhs)} = {value}",
            f"intros; {opened}rewrite sum_kron by assumption; rewrite ?(kron_is _ _ eq_refl); ring.",
            None, "a layout, with a column for each unit",
        )  # fmt: skip

    def script(self, e: Equation, assumed: Iterable[Equation] = (), top: str = "", laws: str = "") -> str:
        """The proof of an equation, unit by unit; `laws`: tactics that put in what a weight is made of."""
        first, later = self._names(e, assumed)
        moved = "".join(f"rewrite ?moved_{self.printer.array(m.array)}; " for m in self.grouping.moved)
        looked = f"unfold {', '.join(first)}; " if first else ""
        units, others, columns = self._axes
        then = self._over(columns, "(in_its_group; same_or_not; ring)")
        if laws:
            within = f"unfold {', '.join(map(self.printer.array, self.given))}; " if self.given else ""
            then = f"(repeat first [{laws}]; {within}{then})"
        then = self._over(others, then)
        if later:
            then = f"(unfold {', '.join(later)}; {then})"
        then = self._over(units, f"({self._lines(bool(laws))}; {then})")
        opened = f"{looked}{moved}{looked}" + (f"{top}{looked}" if top else "")
        return f"intros; first [reflexivity | {opened}apply Rminus_diag_uniq; {then}]."

    @cached_property
    def _axes(self) -> tuple[list[str], list[str], list[str]]:
        """What is summed over: units of groups and inputs, the network's other axes, and columns."""
        units = [own.units for own in self.grouping.layers]
        units += [axis for own in self.grouping.layers for axis in own.pre_activation.axes]
        arrays = [a for e in self.statement.forward for a in (e.array, *e.operands)]
        others = [axis for a in arrays for axis in a.axes]
        more = [axis for e in self.opened.own.values() for a in (e.array, *e.operands) for axis in a.axes]
        patterns = {own.patterns for own in self.grouping.layers}
        found: list[list[str]] = []
        for axes in (units, others, more):
            known = {name for names in found for name in names}
            names = dict.fromkeys(self.printer.width(axis) for axis in axes if axis not in patterns)
            found.append([name for name in names if name not in known])
        return found[0], found[1], found[2]

    def _over(self, axes: list[str], then: str) -> str:
        for axis in reversed(axes):
            then = f"over {axis} ltac:({then})"
        return then

    def _lines(self, in_columns: bool) -> str:
        """Puts the line of its group in for what a unit gives, wherever the unit is at hand."""
        tries = []
        for own in self.grouping.layers:
            s, name = self.printer.array(own.pre_activation), f"{self._held(own)}_now"
            phi = self.printer.function(self.network.units[own.units].activation)
            for kind in ("slope", "phi"):
                law = "laid" if kind == "phi" and in_columns and own.one is not None else kind
                put = f"rewrite ({law}_{name} n j) by assumption"
                tries.append(f"match goal with |- context [{kind}_{phi} ({s} ?n ?j)] => {put} end")
        return f"repeat first [{' | '.join(tries)}]" if tries else "idtac"

    def _names(self, e: Equation, assumed: Iterable[Equation]) -> tuple[list[str], list[str]]:
        """What is looked into, and what only after the lines of the units are put in: their pre-activations."""
        found, late = self._looked_into(e, assumed)
        return self._flat(a for a in found if a not in late), self._flat(late)

    def _flat(self, arrays: Iterable[Array]) -> list[str]:
        """The names of arrays, each before those that it is made of."""
        names: list[str] = []
        for array in reversed(list(arrays)):
            names.append(self.printer.array(array))
            made = self.opened.forward.get(array.unprimed)
            if made is not None and self.statement.operands(made):
                names.append(f"{self.printer.array(array.unprimed)}_of")
        return list(dict.fromkeys(names))

    def _looked_into(self, e: Equation, assumed: Iterable[Equation] = ()) -> tuple[dict[Array, Equation], set[Array]]:
        """The definitions that a proof looks into, each after those that it uses, and those that come late."""
        found: dict[Array, Equation] = {}
        late: set[Array] = set()
        seen: set[Array] = set()
        statement, opened = self.statement, self.opened
        first = {m.array: m for m in self.grouping.moved}
        kept = {array.unprimed for array in first}
        steps = {s.array: s for s in statement.steps}

        def visit(array: Array, at_top: bool = False) -> None:
            if array in seen:
                return
            seen.add(array)
            unit = bool(self.grouping.summed & set(array.axes))
            if array in self.given:
                found[array] = Equation(array[indices_of(array)], ONE, Rule.DEFINITION, "")
            elif array in first:
                each(first[array])
            elif array in opened.own and array not in kept:
                each(opened.own[array])
                found[array] = opened.own[array]
            elif array in steps:
                if at_top or unit or array.role not in (Role.ADJOINT, Role.GATE):
                    each(steps[array])
                    found[array] = steps[array]
            elif array.unprimed in opened.forward and array not in kept and (at_top or unit):
                each(opened.forward[array.unprimed])
                found[array] = opened.forward[array.unprimed]
                if array.role is Role.PRE_ACTIVATION and not at_top:
                    late.add(array)

        def each(made: Equation) -> None:
            for operand in made.operands:
                visit(operand)

        visit(e.array, at_top=True)
        each(e)
        for law in assumed:
            each(law)
        return found, late

    # ---------------------------------------------------------------------------------------------------- the order

    def aligned(self, e: Equation, meaning: Equation | None) -> Equation:
        """The equation with its sums in the order in which what it says that of has them.

        `meaning`: what the array stands for after the step, where the network does not say it.
        """
        about = meaning or self.statement.by_array.get(e.array)
        if about is None or not isinstance(e.rhs, Expr) or not isinstance(about.rhs, Expr):
            return e
        assert isinstance(e.lhs, Ref) and isinstance(about.lhs, Ref)
        found, _ = self._looked_into(replace(e, rhs=about.rhs))
        found.pop(e.array, None)
        own = {m.array: m for m in self.grouping.moved}
        put = dict(self._definitions({**found, **own}))
        for layer in self.grouping.layers:
            hidden, c = self.network.units[layer.units], Index(layer.patterns, "c")
            at = indices_of(hidden.s)
            slope = layer.slope[(*at[:-1], c)]
            line = slope * hidden.s[at] + (0 if layer.offset is None else layer.offset[(*at[:-1], c)])
            put |= {gate_of(hidden.s): (at, slope), hidden.v: (at, line)}
        left = rename(about.rhs, dict(zip(about.lhs.indices, e.lhs.indices, strict=True)))
        for _ in put:
            left = inline(left, put)
        meant = dict(self._definitions({a: d for a, d in self.opened.own.items() if not a.after}))
        return replace(e, rhs=in_order_of(e.rhs, left, lambda node: inline(node, meant), self._seen))

    @staticmethod
    def _definitions(equations: Mapping[Array, Equation]) -> Iterator[tuple[Array, Definition]]:
        for array, e in equations.items():
            if isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr):
                yield array, (e.lhs.indices, e.rhs)

    def _seen(self, ref: Ref) -> tuple[object, tuple[Index, ...]] | None:
        """A line without its group, which is that of a unit; nothing of who is in which group."""
        if ref.array in self.given:
            return None
        lines = {a for own in self.grouping.layers for a in (own.slope, own.offset)}
        return ref.array, ref.indices[:-1] if ref.array in lines else ref.indices
