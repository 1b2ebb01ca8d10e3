"""A scheme as one Coq file: what its state stands for holds at the start, is kept by a step, and is read off it.

The network's step is stated as for a derivation, with W1, W2, ... the weights that backpropagation has. While training
is carried, what the state stands for is assumed; every equation of a step is held against backpropagation under it, and
what the state stands for is proved again of the state after the step. At the start it is proved of what `init` makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fcsym.certificates.choice import Choice
from fcsym.certificates.file import Certificate, assembled
from fcsym.certificates.single_input import expansion
from fcsym.certificates.started import Started
from fcsym.certificates.statement import free, ordered
from fcsym.certificates.terms import after, cases_of, divisors, parts
from fcsym.certificates.theorem import Theorem
from fcsym.errors import ArgumentError
from fcsym.language.algebra import rename
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import ZERO, Array, Expr, Ref, Total
from fcsym.networks.symbols import (
    SIZE,
    frozen_activation,
    frozen_copy,
    gradient_of,
    increment_of,
)
from fcsym.schemes.record import SchemeRecord, first_layer

__all__ = ["certifiable", "scheme_certificate"]


def certifiable(scheme: SchemeRecord) -> None:
    """ArgumentError where a scheme has no certificate."""
    if scheme.is_statement:
        raise ArgumentError(
            f"{scheme.title} has no certificate (it is a statement on all steps, and no way to carry training): "
            "certify a scheme, or the derivation."
        )


def scheme_certificate(scheme: SchemeRecord, admitted: str = "") -> Certificate:
    """A scheme => the file. ArgumentError where there is none.

    `admitted`: why what is carried is stated and not proved; the network's own step is proved all the same.
    """
    certifiable(scheme)
    return _Scheme(scheme).made(admitted)


class _Scheme(Started):
    # ------------------------------------------------------------------------------------------------- the file

    def made(self, admitted: str) -> Certificate:
        """The file."""
        wanted = [
            (f"{part.name}: {e.name}", case)
            for part in self.scheme.parts for e in part.equations for case in cases_of(e)
        ]  # fmt: skip
        base, own = [*self.writer.of_functions(), *self._of_base()], [*self._carried(), *self._started()]
        if admitted:
            own = [replace(t, script="", admitted=admitted) if t.script else t for t in own]
        reached = set() if admitted else self.reached
        return assembled(self.scheme.title, self.writer.believed(), [*base, *own], wanted, reached)

    def _of_base(self) -> Iterator[Theorem]:
        """The step that the scheme is cut from, as far as it needs it."""
        needed = {e.array for part in self.scheme.parts for e in part.equations}
        needed |= {a for e in self.scheme.meanings for a in (e.array, *e.operands)}
        needed |= self.pieces.needed if self.pieces else set()
        for e in self.scheme.base.equations:
            if e.array in self._norms or (e.defines and e.array in needed & self.equations.stated):
                yield from self.equations.theorems(e)

    # --------------------------------------------------------------------------------------- while it is carried

    def _carried(self) -> Iterator[Theorem]:
        if self.pieces:
            yield self.pieces.lemmas()
        else:
            for e in ordered(self._frozen_data):
                yield from self._defined("", e)
        if self.groups:
            yield self.groups.lemmas()
            yield from self.groups.stated()
        yield Theorem("", "Section carried.", "")
        yield from self._given()
        seen: dict[str, Equation] = {}
        for part in (self.scheme.expand, self.scheme.step, self.scheme.output):  # weights given back are put in
            for e in part.equations:
                if not self._own(part.name, e):
                    continue
                if e.name in seen and (seen[e.name].lhs, seen[e.name].rhs) == (e.lhs, e.rhs):
                    self._reach(part.name, e, *self._certified(e))
                    continue
                seen[e.name] = e
                yield from self._equation(part.name, e)
            if part.name == "step":
                yield from self._kept()
        yield Theorem("", "End carried.", "")

    def _given(self) -> Iterator[Theorem]:
        """The state, and what it stands for: by definition, where that is made of the network; assumed otherwise."""
        parts = (self.scheme.step, self.scheme.output, self.scheme.expand)
        mentioned = dict.fromkeys(
            a for e in (*self.scheme.meanings, *self.scheme.moving.values()) for a in (e.array, *e.operands)
        )
        mentioned |= dict.fromkeys(a for part in parts for e in part.equations for a in e.operands)
        made = {e.array for part in parts for e in part.equations if e.defines}
        free_ = [a for a in mentioned if not a.after and not self._is_stated(a) and a not in made | set(self.meant)]
        made |= self.groups.named if self.groups else set()
        made |= {e.array for e in self._frozen_data} if self.pieces else set()
        yield from self._variables([a for a in free_ if a not in made], "what is carried, and what it is compared with")
        yield from self.constants.theorems()
        if self.groups:
            yield from self.groups.condition()
        for e in ordered([*self.meant.values(), *(self._frozen_data if self.pieces else ())]):
            yield from self._defined("", e)
        for e in self.scheme.step.equations:  # what a meaning mentions is defined before it
            if e.rule in (Rule.DEFINITION, Rule.STATE) and self._is_defined("step", e):
                yield from self._defined("step", e)
        for e in self.scheme.invariants:
            if e in self._assumed:
                yield Theorem("", f"Hypothesis M_{self._name(e)} : {self._meaning(e)}.", "")
            elif e.array not in self.meant:
                script = f"intros; first [reflexivity | unfold {self._looked_into(e)}; sums]."
                yield Theorem(f"M_{self._name(e)}", self._meaning(e), script, None, "what is carried is that, too")
        if self.groups:
            yield from self._moving()
            yield from self.groups.moves()
        if self.pieces:
            yield from self.pieces.condition()
            yield from self.pieces.laws()

    def _moving(self) -> Iterator[Theorem]:
        """What no equation of the step needs, after it."""
        for e in ordered([*self.scheme.moving.values()]):
            assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
            value = f"{free(e.lhs, self.printer)}: R := {self.printer.term(e.rhs)}."
            yield Theorem("", f"Definition {self.printer.array(e.array)} {value}", "")

    def _equation(self, part: str, e: Equation) -> Iterator[Theorem]:
        """One of the scheme's own."""
        if e.rule in (Rule.DEFINITION, Rule.STATE) and self._is_defined(part, e):
            if part == "step":
                return  # defined before what a meaning mentions
            if any(known.array == e.array for known in self._frozen_data):
                yield self._so_always(part, e)
            else:
                yield from self._defined(part, e)
        elif e.rule is Rule.EXPANSION:
            yield self._expanded(part, e)
        elif self.pieces:
            yield self._by_piece(part, e)
        elif isinstance(e.rhs, Cases):
            yield from self._by_cases(part, e)
        else:
            yield self._held(part, e)

    def _held(self, part: str, e: Equation) -> Theorem:
        """What has a meaning in the network, made of the state: that it equals that."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        printer, name = self.printer, self.printer.array(e.array)
        self._reach(part, e, None)
        at = printer.indices(e.lhs.indices)
        every = f"forall ({at} : nat), " if at else ""
        statement = f"{every}{printer.term(e.lhs)} = {printer.term(e.rhs)}"
        if self.groups:
            statement = self._meaning(self._aligned(e))
        assumed = [printer.array(m.array) for m in self._assumed]
        of_step = [printer.array(a) for a in self.base[e.name].operands] if e.name in self.base else []
        if self.groups:
            script = self.groups.script(e)
        elif e.array in self.statement.changes and set(of_step) & set(assumed):
            laws = ", ".join(f"M_{a}" for a in of_step if a in assumed)
            script = f"intros; rewrite eq_{name}, {laws}; ring."
        elif self._frozen in e.operands:
            return self._read_out(e)
        else:
            script = f"intros; {self._put_in(e)}sums."
        return Theorem(f"{part}_{name}", statement, script, None, e.rule.value)

    def _by_piece(self, part: str, e: Equation) -> Theorem:
        """What the units of a piece give, while they keep it."""
        assert self.pieces is not None
        self._reach(part, e, *self._certified(e))
        held = self.pieces.defined(e)
        name = f"{part}_{self.printer.array(e.array)}"
        return Theorem(name, self._meaning(held), self.pieces.script(held), None, e.rule.value)

    def _certified(self, e: Equation) -> tuple[str | None, ...]:
        """The cases of an equation that its theorem says: not where units have left their piece."""
        return tuple(c for c in cases_of(e) if self.pieces is None or self.pieces.certifies(e, c))

    def _put_in(self, e: Equation) -> str:
        """The tactics that put what weights are, made of the state, in their place, and look into the rest."""
        made, printer = self._opened.forward.get(e.array), self.printer
        reached = [a for a, _ in self._opened.arrays((), e.operands) if a in self._opened.own]
        within = {b for a in reached for b in self._opened.own[a].operands}
        laws, folded = "", list[Array]()
        for theta in () if made is None else made.operands:
            assumed = any(m.array == theta for m in self._assumed)
            if theta in self._given_back and not assumed:
                laws += f"put_in expand_{printer.array(theta)}; "
                folded += self._given_back[theta].operands
            elif theta in self._given_back and theta not in within:
                laws += f"put_in M_{printer.array(theta)}; "
        name = printer.array(e.array)
        begun = f"unfold {name}, {name}_of; {laws}" if laws else ""
        return f"{begun}unfold {self._looked_into(e, folded)}; "

    @property
    def _given_back(self) -> dict[Array, Equation]:
        """The equations that give weights back."""
        return {e.array: e for e in self.scheme.expand.equations if e.rule is Rule.EXPANSION}

    def _read_out(self, e: Equation) -> Theorem:
        """The sum over the frozen units, wherever none of them has come from 0."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        printer, name = self.printer, self.printer.array(e.array)
        unit = self.network.hidden[-1]
        meaning = self.scheme.invariants[-1]
        assert isinstance(meaning.lhs, Ref)
        _, j = meaning.lhs.indices
        width, at = printer.width(j.axis), printer.index(j)
        c, v = printer.term(frozen_activation(unit.v)[j]), printer.term(unit.v[j])
        whole = next(part for part in parts(e.rhs) if isinstance(part, Total))
        inner = printer.term(rename(whole.body, {whole.over[0]: j}))
        k = printer.index(e.lhs.indices[0])
        script = (
            f"intros {k} U_; unfold {name}, {name}_of; rewrite (sum_ext {width} _ (fun {at} => {inner})); "
            f"[reflexivity | intros {at} B_; destruct (Req_EM_T ({c}) 0) as [Z_|Z_]; "
            f"[rewrite (U_ {at} B_ Z_), Z_; ring "
            f"| rewrite M_{printer.array(meaning.array)} by exact Z_; field; exact Z_]]."
        )
        statement = (
            f"forall ({k} : nat), (forall {at}, ({at} < {width})%nat -> {c} = 0 -> {v} = 0) ->\n  "
            f"{printer.term(e.lhs)} = {printer.term(e.rhs)}"
        )
        return Theorem(f"read_{name}", statement, script, None, "the frozen network gives what backpropagation gives")

    def _by_cases(self, part: str, e: Equation) -> Iterator[Theorem]:
        """The state after the step, unit by unit: what makes the frozen network give what backpropagation gives."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Cases)
        printer, unit = self.printer, self.network.hidden[-1]
        k, j = e.lhs.indices
        w, fixed = self.network.read_out, frozen_copy(self.network.read_out)
        base = fixed[k, j] if fixed in self.scheme.state else ZERO
        vc = frozen_activation(unit.v)
        names = [printer.array(a) for a in (increment_of(unit.v), w.primed, gradient_of(w))]
        first = f"rewrite ?M_{printer.array(e.array.unprimed)} by assumption; unfold {', '.join(names)}; "
        choice = Choice(printer, e, w.primed[k, j], base, unit.v.primed[j], vc[j], "", first)
        yield from choice.theorems()
        self._reach(part, e, *cases_of(e))

    def _kept(self) -> Iterator[Theorem]:
        """What the state stands for, of the state after the step."""
        printer = self.printer
        if not self.groups:
            yield from self._moving()
        plain = (e for e in self._assumed if not divisors(e.rhs) and not (self.pieces and self.pieces.within(e)))
        laws = "; ".join(f"rewrite ?M_{self._name(e)}" for e in plain)
        if self.pieces:
            yield from self.pieces.unmoved()
        for e in self.scheme.invariants:
            later = after(e, self._changed)
            assert isinstance(later.lhs, Ref)
            name = self._name(e)
            moved = any(a.after for a in (later.array, *later.operands))
            if divisors(e.rhs):
                solves = f"{printer.array(e.array.primed)}_solves"
                own_defined = f"{printer.array(e.array.primed)}_defined"
                at = printer.indices(later.lhs.indices)
                (below,) = (printer.term(ref) for ref in divisors(e.rhs))
                script = (
                    f"intros {at} Z_; assert (D_ : {own_defined} {at}) by (unfold {own_defined}; tauto); "
                    f"pose proof ({solves} {at} D_) as S_; apply (Rmult_eq_reg_r ({below})); [|exact Z_]; "
                    f"transitivity (({printer.term(later.lhs)}) * {below}); [reflexivity|]; field_simplify_eq; "
                    f"[lra | exact Z_]."
                )
            elif moved and self.pieces and self.pieces.within(e):
                script = self.pieces.script(later)
            elif moved and self.groups:
                script = self.groups.kept(later, {self._name(a): a for a in self._assumed if e in self._assumed})
            elif moved:
                looked = self._looked_into(later, steps=e in self._assumed or e.array in self.meant)
                again = f"{laws}; unfold {looked}; " if laws and e in self._assumed else ""
                script = f"intros; unfold {looked}; {again}sums."
            else:
                script = "reflexivity." if e.array in self.meant else f"exact M_{name}."
            yield Theorem(f"kept_{name}", self._meaning(later), script, None, "it stands for the same after the step")

    def _expanded(self, part: str, e: Equation) -> Theorem:
        """The weights that backpropagation has, given back."""
        assert isinstance(e.lhs, Ref)
        printer, name = self.printer, self.printer.array(e.array)
        self._reach(part, e, *cases_of(e))
        value = self._side(e)
        within, script = "", f"intros; apply M_{name}."
        if self.groups:
            within = self.groups.within(e)
            script = f"intros; first [reflexivity | apply M_{name}; assumption]."
        elif self.pieces and self.pieces.within(e):
            within, script = self.pieces.within(e), self.pieces.given_back(e)
        elif self.constants.give_back(e):
            within, script = self.constants.inverted(e)
        elif not any(m.array == e.array for m in self._assumed):
            script = f"intros; unfold {self._looked_into(e)}; sums."
        elif SIZE in self.scheme.state and e.array in first_layer(self.network):
            within = "".join(f"({printer.index(i)} < {printer.width(i.axis)})%nat -> " for i in e.lhs.indices[1:])
            script = expansion(self.scheme, printer, e)
        statement = f"forall ({printer.indices(e.lhs.indices)} : nat), {within}{printer.term(e.lhs)} = {value}"
        return Theorem(f"expand_{name}", statement, script, None, e.rule.value)
