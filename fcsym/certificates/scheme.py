"""A scheme as one Coq file: what its state stands for holds at the start, is kept by a step, and is read off it.

The network's step is stated as for a derivation, with W1, W2, ... the weights that backpropagation has. While training
is carried, what the state stands for is assumed; every equation of a step is held against backpropagation under it, and
what the state stands for is proved again of the state after the step. At the start it is proved of what `init` makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from fcsym.certificates.choice import Choice
from fcsym.certificates.equations import Equations
from fcsym.certificates.file import Certificate, Writer, assembled
from fcsym.certificates.single_input import expansion, measured
from fcsym.certificates.statement import free
from fcsym.certificates.terms import after, cases_of, divisors, parts, without
from fcsym.certificates.theorem import Theorem
from fcsym.errors import ArgumentError
from fcsym.language.algebra import rename, replaced
from fcsym.language.decision import decide
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import ZERO, Array, Expr, Index, Ref, Role, Total
from fcsym.networks.symbols import (
    ETA,
    SIZE,
    STORED,
    frozen_activation,
    frozen_copy,
    gradient_of,
    increment_of,
    norm,
)
from fcsym.schemes.record import SchemeRecord, first_layer

__all__ = ["KNOWN", "certifiable", "scheme_certificate"]

KNOWN = ("backprop", "states", "history", "weights", "compensation")
"""The schemes whose induction is written in Coq."""


def certifiable(scheme: SchemeRecord) -> None:
    """ArgumentError where a scheme has no certificate."""
    if scheme.name not in KNOWN or scheme.network.batch or not scheme.network.rule.is_plain:
        raise ArgumentError(
            f"{scheme.title} has no certificate yet: certify {', '.join(KNOWN)} with gradient steps on one sample, or "
            "the derivation."
        )


def scheme_certificate(scheme: SchemeRecord) -> Certificate:
    """A scheme => the file. ArgumentError where there is none."""
    certifiable(scheme)
    return _Scheme(scheme).made()


class _Scheme:
    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme, self.network = scheme, scheme.network
        self.writer = Writer(scheme.base, more=scheme.written)
        self.printer, self.statement = self.writer.printer, self.writer.statement
        self.base = scheme.base.by_name
        self.equations = Equations(self.statement, self.printer, self.base, self.writer.tables, {})
        self.reached: set[tuple[str, str | None]] = set()

    # ------------------------------------------------------------------------------------------------- the file

    def made(self) -> Certificate:
        """The file."""
        wanted = [
            (f"{part.name}: {e.name}", case)
            for part in self.scheme.parts for e in part.equations for case in cases_of(e)
        ]  # fmt: skip
        theorems = [*self.writer.of_functions(), *self._of_base(), *self._carried(), *self._started()]
        return assembled(self.scheme.title, self.writer.believed(), theorems, wanted, self.reached)

    def _of_base(self) -> Iterator[Theorem]:
        """The step that the scheme is cut from, as far as it needs it."""
        needed = {e.array for part in self.scheme.parts for e in part.equations}
        needed |= {a for e in self.scheme.meanings for a in (e.array, *e.operands)}
        for e in self.scheme.base.equations:
            if e.array in self._norms or (e.defines and e.array in needed & self.equations.stated):
                yield from self.equations.theorems(e)

    @cached_property
    def _norms(self) -> list[Array]:
        return [e.array for e in self.scheme.base.equations if e.defines and e.array.role is Role.NORM]

    @property
    def _frozen(self) -> Array | None:
        """v^c, where the scheme has frozen the layers below the read-out."""
        return frozen_activation(self.network.hidden[-1].v) if self.network.hidden else None

    def _own(self, part: str, e: Equation) -> bool:
        """Whether it is the scheme's own; what it has from the step is proved there."""
        known = self.base.get(e.name)
        if known is not None and (known.lhs, known.rhs) == (e.lhs, e.rhs) and self._is_stated(e.array):
            self._reach(part, e, *cases_of(e))
            return False
        return True

    def _reach(self, part: str, e: Equation, *cases: str | None) -> None:
        self.reached |= {(f"{part}: {e.name}", case) for case in cases}

    # --------------------------------------------------------------------------------------- while it is carried

    def _carried(self) -> Iterator[Theorem]:
        yield Theorem("", "Section carried.", "")
        yield from self._given()
        seen: dict[str, Equation] = {}
        for part in (self.scheme.step, self.scheme.output, self.scheme.expand):
            for e in part.equations:
                if not self._own(part.name, e):
                    continue
                if e.name in seen and (seen[e.name].lhs, seen[e.name].rhs) == (e.lhs, e.rhs):
                    self._reach(part.name, e, *cases_of(e))
                    continue
                seen[e.name] = e
                yield from self._equation(part.name, e)
            if part.name == "step":
                yield from self._kept()
        yield Theorem("", "End carried.", "")

    def _given(self) -> Iterator[Theorem]:
        """The state, and what it stands for."""
        printer = self.printer
        mentioned = dict.fromkeys(
            a for e in (*self.scheme.meanings, *self.scheme.moving.values()) for a in (e.array, *e.operands)
        )
        parts = (self.scheme.step, self.scheme.output, self.scheme.expand)
        mentioned |= dict.fromkeys(a for part in parts for e in part.equations for a in e.operands)
        made = {e.array for part in parts for e in part.equations if e.defines and not self._is_stated(e.array)}
        free_ = [a for a in mentioned if not a.after and not self._is_stated(a) and a not in made]
        yield from self._variables(free_, "what is carried, and what it is compared with")
        for e in self.scheme.step.equations:  # what a meaning mentions is defined before it
            if e.rule is Rule.DEFINITION and self._own("step", e):
                yield from self._defined("step", e)
        for e in self.scheme.invariants:
            yield Theorem("", f"Hypothesis M_{printer.array(e.array)} : {self._meaning(e)}.", "")

    def _variables(self, arrays: Iterable[Array], said: str) -> Iterator[Theorem]:
        """Arrays that may be any, and lengths that the network does not have."""
        printer = self.printer
        stated = {axis for array in self.writer.arrays for axis in array.axes}
        axes = dict.fromkeys(axis for array in arrays for axis in array.axes if axis not in stated)
        lines = [f"({printer.width(axis)} : nat)" for axis in axes]
        lines += [f"({printer.array(a)} : {printer.type(a)})" for a in arrays]
        if lines:
            yield Theorem("", f"Variables {' '.join(lines)}.", "", None, said)

    def _is_stated(self, array: Array) -> bool:
        known = self.equations.stated | {e.array for e in self.scheme.base.equations if e.array in self._norms}
        inputs = (*self.network.parameters, self.network.input, self.network.target, ETA)
        return array in known or array in inputs

    def _meaning(self, e: Equation) -> str:
        """What an array of the state stands for, wherever nothing is divided by 0."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        indices = self.printer.indices(e.lhs.indices)
        every = f"forall ({indices} : nat), " if indices else ""
        below = "".join(f"{self.printer.term(ref)} <> 0 -> " for ref in divisors(e.rhs))
        return f"{every}{below}{self.printer.term(e.lhs)} = {self.printer.term(e.rhs)}"

    def _defined(self, part: str, e: Equation) -> Iterator[Theorem]:
        assert isinstance(e.lhs, Ref)
        name, printer = self.printer.array(e.array), self.printer
        value = printer.tree(decide(e.rhs.branches)) if isinstance(e.rhs, Cases) else printer.term(e.rhs)
        yield Theorem(name, f"Definition {name} {free(e.lhs, printer)}: R := {value}.", "", None, e.rule.value)
        self._reach(part, e, *cases_of(e))

    def _equation(self, part: str, e: Equation) -> Iterator[Theorem]:
        """One of the scheme's own."""
        if e.rule is Rule.DEFINITION:
            if part != "step":
                yield from self._defined(part, e)
        elif e.rule is Rule.EXPANSION:
            yield self._expanded(part, e)
        elif isinstance(e.rhs, Cases):
            yield from self._by_cases(part, e)
        elif e.rule is Rule.STATE and not self._is_stated(e.array):
            yield from self._defined(part, e)
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
        if e.array in self.statement.changes:
            script = f"intros; rewrite eq_{name}, M_{printer.array(norm(self.network.input))}; ring."
        elif self._frozen in e.operands:
            return self._read_out(e)
        elif e.array in self.network.parameters:
            change = printer.array(increment_of(e.array))
            script = f"intros; rewrite M_{change}; ring."
        else:
            own = [printer.array(a) for a in e.operands if a in {d.array for d in self.scheme.step.equations}]
            script = self._through_first_layer(e, ", ".join([*own, "kron"]))
        return Theorem(f"{part}_{name}", statement, script, None, e.rule.value)

    def _through_first_layer(self, e: Equation, opened: str) -> str:
        """What the first layer makes of the input, with its matrix as the state has it."""
        assert isinstance(e.lhs, Ref)
        printer, name = self.printer, self.printer.array(e.array)
        meaning = next(m for m in self.scheme.invariants if m.array == first_layer(self.network)[0])
        assert isinstance(meaning.lhs, Ref) and isinstance(meaning.rhs, Expr)
        i, j = meaning.lhs.indices
        letter = Index(j.axis, "j_")
        matrix = printer.term(rename(meaning.rhs, {i: e.lhs.indices[0], j: letter}))
        at, x, width = printer.index(letter), printer.array(self.network.input), printer.width(j.axis)
        return (
            f"intros; unfold {name}, {name}_of; rewrite (sum_ext {width} _ (fun {at} => ({matrix}) * {x} {at})) "
            f"by (intros; rewrite M_{printer.array(meaning.array)}; reflexivity); unfold {opened}; sums."
        )

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
        for array, e in self.scheme.moving.items():
            assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
            name = printer.array(array)
            yield Theorem("", f"Definition {name} {free(e.lhs, printer)}: R := {printer.term(e.rhs)}.", "")
        changed = {a.unprimed for a in (*self.scheme.moving, *(e.array for e in self.scheme.step.equations)) if a.after}
        changed |= {*self.network.trained, *self.statement.moving}
        whole = [e for e in self.scheme.invariants if not divisors(e.rhs)]
        rewritten = " ".join(f"rewrite ?M_{printer.array(e.array)};" for e in whole)
        for e in self.scheme.invariants:
            later = after(e, changed)
            assert isinstance(later.lhs, Ref)
            name = printer.array(e.array)
            own = [printer.array(a) for a in (later.lhs.array, *later.operands) if a.after]
            gradients = [
                printer.array(gradient_of(a.unprimed))
                for a in (later.lhs.array, *later.operands)
                if a.unprimed in self.network.trained
            ]
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
            else:
                script = f"intros; unfold {', '.join([*own, *gradients]) or name}; {rewritten} sums."
                if not own:
                    script = f"exact M_{name}."
            yield Theorem(f"kept_{name}", self._meaning(later), script, None, "it stands for the same after the step")

    def _expanded(self, part: str, e: Equation) -> Theorem:
        """The weights that backpropagation has, given back."""
        assert isinstance(e.lhs, Ref)
        printer, name = self.printer, self.printer.array(e.array)
        self._reach(part, e, *cases_of(e))
        value = printer.tree(decide(e.rhs.branches)) if isinstance(e.rhs, Cases) else printer.term(e.rhs)
        within, script = "", f"intros; apply M_{name}."
        if SIZE in self.scheme.state:
            within = "".join(f"({printer.index(i)} < {printer.width(i.axis)})%nat -> " for i in e.lhs.indices[1:])
            script = expansion(self.scheme, printer, e)
        statement = f"forall ({printer.indices(e.lhs.indices)} : nat), {within}{printer.term(e.lhs)} = {value}"
        return Theorem(f"expand_{name}", statement, script, None, e.rule.value)

    # ------------------------------------------------------------------------------------------------- the start

    def _started(self) -> Iterator[Theorem]:
        """What `init` makes, with names that end in _0, and that it is what the state stands for."""
        printer = self.printer
        part = self.scheme.init
        own = [e for e in part.equations if self._own("init", e)]
        printer.ends = {e.array: "_0" for e in own}
        operands = dict.fromkeys(a for e in own for a in e.operands)
        anything = [a for a in operands if a not in printer.ends and not self._is_stated(a)]
        yield from self._variables(anything, "numbers that tell inputs apart, any")
        for e in own:
            yield from self._defined("init", e)
        copies = {frozen_copy(theta): theta for theta in self.network.parameters}
        at_rest = {array.unprimed for array in self.scheme.moving}

        def started(node: Expr) -> Expr:
            def first(ref: Ref) -> Expr:
                if ref.array in at_rest:
                    return ZERO
                if ref.array in copies and ref.array not in printer.ends:
                    return copies[ref.array][ref.indices]
                return ref

            return without(STORED, replaced(node, first))

        for e in self.scheme.invariants:
            assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
            if e.array == self.network.input:
                continue  # which input is at hand is no matter of the start
            name = printer.array(e.array).removesuffix("_0")
            at_start = Equation(e.lhs, started(e.rhs), e.rule, "")
            unfolded = ", ".join(printer.array(a) for a in printer.ends if a in (e.array, *e.operands)) or name
            script = f"intros; try unfold {unfolded}; first [ring | field; assumption]."
            if e.array == norm(self.network.input):
                script = measured(self.scheme, printer)
            yield Theorem(f"start_{name}", self._meaning(at_start), script, None, "at the start")
        printer.ends = {}
