"""Units that keep the linear piece that they had at init, and the proofs that look at them one by one.

All units of a piece have moved by one map: s/s^c = c q + d, where q = w^c/s^c. That it is above 0 for the least and the
greatest q of the piece is assumed, by name: it is where the scheme's output is defined. So it is for every unit, and
what phi and phi' are worth is a theorem.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from fcsym.certificates.printer import ATOM, Printer, number
from fcsym.certificates.statement import Statement
from fcsym.certificates.theorem import Theorem
from fcsym.language.algebra import rename
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import Array, Expr, Index, Ref, arrays_in
from fcsym.networks.symbols import activation, adjoint_of, frozen_pre_activation, gate_of, increment_of, norm
from fcsym.schemes.groups import HeldLayer, HeldPiece
from fcsym.schemes.record import SchemeRecord

__all__ = ["Pieces"]

_LEMMAS = ("groups.v", "pieces.v")


class Pieces:
    """The pieces of one scheme's hidden layer."""

    def __init__(self, scheme: SchemeRecord, held: HeldLayer, statement: Statement, printer: Printer) -> None:
        self.scheme, self.held, self.statement, self.printer = scheme, held, statement, printer
        self.network = scheme.network
        self.s, self.read_out = self.network.hidden[0].s, self.network.read_out
        self.start = frozen_pre_activation(self.s)
        self.frozen = {e.array: e for e in scheme.frozen}
        (self.units,) = self.s.axes

    @property
    def needed(self) -> set[Array]:
        """What a step moves: the base says it of units."""
        return {self.s.primed, increment_of(self.s)}

    @property
    def _one(self) -> str:
        """How many outputs there are: one."""
        (axis,) = self.scheme.ones
        return self.printer.width(axis)

    @property
    def _width(self) -> str:
        return self.printer.width(self.units)

    def within(self, e: Equation) -> str:
        """Bounds of the indices of an equation on units or outputs."""
        assert isinstance(e.lhs, Ref)
        about = (self.s, self.read_out, self.network.logits)
        mine = e.lhs.indices if e.array.unprimed in about else ()
        return "".join(f"({self.printer.index(i)} < {self.printer.width(i.axis)})%nat -> " for i in mine)

    def certifies(self, e: Equation, case: str | None) -> bool:
        """Whether there is a theorem of a row: it has a value, or is undefined because a unit has left its piece."""
        margins = {margin for piece in self.held.pieces for margin in piece.margins}
        rows = [row for row in e.rhs.branches if row.name == case] if isinstance(e.rhs, Cases) else []
        last = (row.when[-1].subject for row in rows if row.value is None)
        return all(isinstance(subject, Ref) and subject.array in margins for subject in last)

    @staticmethod
    def defined(e: Equation) -> Equation:
        """An equation where the functions of the scheme are defined: its other rows are assumed away."""
        if not isinstance(e.rhs, Cases):
            return e
        (value,) = (row.value for row in e.rhs if row.value is not None)
        return Equation(e.lhs, value, e.rule, e.because)

    def _at_j(self, e: Equation) -> Expr:
        """The right-hand side at unit j."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
        return rename(e.rhs, {e.lhs.indices[0]: Index(self.units, "j")})

    # ------------------------------------------------------------------------------------------------- the units

    def lemmas(self) -> Theorem:
        """What is needed of sums and ratios, wherever they stand."""
        texts = (files("fcsym.certificates").joinpath(name).read_text(encoding="utf-8") for name in _LEMMAS)
        return Theorem("", "\n".join(text.rstrip() for text in texts), "")

    def condition(self) -> Iterator[Theorem]:
        """There is one output; and every unit keeps its piece, without which the output is undefined."""
        yield Theorem("", f"Hypothesis one_output_is : {self._one} = 1%nat.", "", None, "there is one output")
        if not self.held.pieces:
            return
        said = "where no unit is on a piece, its map has not moved"
        for piece in self.held.pieces:
            yield Theorem(
                "", f"Hypothesis M_{self.printer.array(piece.count)}_rest : {self._unmoved(piece)}.", "", None, said
            )
            yield from self._lost(piece)
        margins = [self.printer.array(margin) for piece in self.held.pieces for margin in piece.margins]
        above = " /\\ ".join(f"0 < {margin}" for margin in margins)
        said = "every unit is on the piece that it had at init: elsewhere the output is undefined"
        yield Theorem("", f"Hypothesis above_all : {above}.", "", None, said)
        if self._undefined_at_kink:
            every = f"forall j, (j < {self._width})%nat -> {self._at_start} <> 0"
            yield Theorem("", f"Hypothesis nonzero_at_start : {every}.", "", None, "and none was on the kink")

    def _unmoved(self, piece: HeldPiece, prime: str = "") -> str:
        rest = " /\\ ".join(f"{self.printer.array(a)}{prime} = {value}" for a, value in piece.rest.items())
        return f"{self.printer.array(piece.count)} = 0 -> {rest}"

    def unmoved(self) -> Iterator[Theorem]:
        """A step leaves the map of a piece without units as it is."""
        for piece in self.held.pieces:
            count, moves = self.printer.array(piece.count), self.printer.array(piece.moves)
            own = {e.array: e for e in self.scheme.step.equations}
            opened = dict.fromkeys(name for a in piece.rest for name in self._opened(own[a.primed]))
            known = " & ".join(f"U{n}_" for n in range(len(piece.rest)))
            yield Theorem(
                f"kept_{count}_rest", self._unmoved(piece, "'"),
                f"intros Z_; destruct (M_{count}_rest Z_) as ({known}); cbv beta delta [{' '.join(opened)}]; "
                f"unfold {moves}; destruct (Req_EM_T {count} 0); [|contradiction]; all_known; repeat split; ring.",
            )  # fmt: skip

    def started(self) -> Iterator[Theorem]:
        """At the start no map has moved; of names as `init` has them."""
        for piece in self.held.pieces:
            name = self.printer.array(piece.count).removesuffix("_0")
            yield Theorem(f"start_{name}_rest", self._unmoved(piece), "intros; repeat split.", None, "at the start")

    def _maps(self, piece: HeldPiece) -> list[Array]:
        """What its map is made of that a step defines."""
        made = {e.array for e in self.scheme.step.equations if e.rule is Rule.DEFINITION}
        return [a for a in dict.fromkeys(a for part in piece.map for a in arrays_in(part)) if a in made]

    def _lost(self, piece: HeldPiece) -> Iterator[Theorem]:
        """Where c q + d is not above 0 at an extreme, a unit of the piece is on another side than at init."""
        printer, width = self.printer, self._width
        s, start, e, count, q, filled = map(
            printer.array, (self.s, self.start, piece.indicator, piece.count, piece.ratio, piece.filled)
        )
        names = [printer.array(other.indicator) for other in self.held.pieces]
        c, d = (printer.term(part, ATOM) for part in piece.map)
        named = " & ".join(f"U{n}_" for n in range(len(piece.rest)))
        opened = "".join(f"unfold {printer.array(a)} in *; " for a in self._maps(piece))
        rest = f"destruct (M_{count}_rest Z_) as ({named}); {opened}"
        still, no_unit = f"{rest}all_known; ", f"{rest}revert L_; all_known; intro; "
        kept = f"(forall j, (j < {width})%nat -> {e} j = 1 -> 0 < {s} j / {start} j)"
        mean = printer.array(piece.mean)
        total = printer.array(piece.total)
        yield Theorem(
            f"above_{filled}", f"{kept} -> forall j, (j < {width})%nat -> 0 < {c} * {filled} j + {d}",
            f"intros K_ j J_; assert (R_ : forall i_, (i_ < {width})%nat -> {e} i_ = 0 \\/ {e} i_ = 1 /\\ "
            f"0 < {c} * {q} i_ + {d}) by (intros i_ I_; assert (E_ : {e} i_ = 0 \\/ {e} i_ = 1) by "
            f"(unfold {e}; decisions; auto); destruct E_ as [E_|E_]; [left; exact E_ | right; split; [exact E_|]]; "
            f"pose proof (K_ i_ I_ E_) as P_; rewrite (M_{s} i_ I_) in P_; unfold {', '.join(names)} in *; {opened}"
            f"unfold {q} in *; clear K_; decisions; "
            f"match goal with P : 0 < ?t |- 0 < ?g => replace g with t; [exact P | field; lra] end); "
            f"destruct (Req_EM_T {count} 0) as [Z_|Z_]; [clear R_; {still}lra|]; "
            f"destruct (sum_some {width} (fun i_ => {e} i_) (fun i_ => {c} * {q} i_ + {d}) R_) as [U_|[U_ V_]]; "
            f"[exfalso; apply Z_; exact U_|]; "
            f"assert (X_ : sum {width} (fun i_ => {e} i_ * ({c} * {q} i_ + {d})) = {c} * {total} + {d} * {count}) by "
            f"(unfold {total}, {count}; rewrite <- !sum_scal, <- sum_plus; apply sum_ext; intros; "
            f"unfold {e}, {q}; decisions; ring); cbv beta in V_, U_; rewrite X_ in V_; fold {count} in U_; "
            f"assert (Y_ : 0 < {c} * {mean} + {d}) by (unfold {mean}; destruct (Req_EM_T {count} 0); [contradiction|]; "
            f"replace ({c} * ({total} / {count}) + {d}) with (({c} * {total} + {d} * {count}) / {count}) by "
            f"(field; exact Z_); apply Rdiv_lt_0_compat; assumption); "
            f"pose proof (R_ j J_) as T_; clear R_ K_ V_ X_; unfold {filled}, {e} in *; decisions; "
            f"first [assumption | destruct T_ as [T_|[_ T_]]; [exfalso; lra | exact T_]].",
        )  # fmt: skip
        for extreme, margin, which in zip(piece.extremes, piece.margins, ("least", "greatest"), strict=True):
            low, at = printer.array(margin), printer.array(extreme)
            yield Theorem(
                f"never_{low}", f"{low} <= 0 -> ~ {kept}",
                f"intros L_ K_; unfold {low}, {at} in L_; destruct (Nat.eq_dec {width} 0) as [O_|O_]; "
                f"[assert (Z_ : {count} = 0) by (unfold {count}; rewrite O_; reflexivity); clear O_ K_; {no_unit}lra | "
                f"destruct ({which}_is {width} (fun i_ => {filled} i_) ltac:(lia)) as (i_ & I_ & E_); "
                f"pose proof (above_{filled} K_ i_ I_); rewrite E_ in L_; cbv beta in L_; lra].",
                None, "the output is undefined there because a unit has left its piece",
            )  # fmt: skip

    @property
    def _undefined_at_kink(self) -> bool:
        indicators = {piece.indicator for piece in self.held.pieces}
        tables = (e.rhs for e in self.scheme.init.equations if e.array in indicators)
        return any(row.value is None for table in tables if isinstance(table, Cases) for row in table.branches)

    @property
    def _at_start(self) -> str:
        return f"{self.printer.array(self.start)} j"

    def laws(self) -> Iterator[Theorem]:
        """On which piece a unit is, and what phi and its slope are worth there; and how they are put in."""
        printer, width, pieces = self.printer, self._width, self.held.pieces
        at_unit = "fail"
        if pieces:
            yield self._unit()
            met = "pose proof (unit_is j J) as U; clear J; decompose [and or] U; clear U"
            at_unit = f"match goal with J : (?j < {width})%nat |- _ => let U := fresh in {met} end"
        s, w, phi = printer.array(self.s), printer.array(self.read_out), self._phi
        puts = [
            f"match goal with |- context [{s} ?j] => rewrite (M_{s} j) by assumption end",
            f"match goal with |- context [{w} ?k ?j] => rewrite (M_{w} k j) by first [assumption | lia] end",
        ]
        if phi is not None:
            both = list(self._held(phi))
            every = f"forall j, (j < {width})%nat -> "
            yield Theorem("held_is", every + " /\\ ".join(both), self._script(phi))
            for kind, said in zip(("slope", "phi"), both, strict=True):
                yield Theorem(f"{kind}_is", f"{every}{said}", "intros; apply held_is; assumption.")
            put = "match goal with |- context [{0}_{1} ({2} ?j)] => rewrite ({0}_is j) by assumption end"
            puts = [*(put.format(kind, phi, s) for kind in ("slope", "phi")), *puts]
        yield Theorem("", f"Ltac all_of_unit := repeat first [{' | '.join(puts)}].", "")
        yield Theorem(
            "",
            f"Ltac one_output := repeat match goal with K : (?k < {self._one})%nat |- _ => "
            f"assert (k = 0%nat) by lia; subst k end; rewrite ?one_output_is; cbn [sum].\n"
            f"Ltac all_solved := repeat {at_unit}; all_known; ring.", "",
        )  # fmt: skip

    @property
    def _phi(self) -> str | None:
        """What the activation is called, where the file has it as a function."""
        phi = self.network.layers[0].activation
        return self.printer.function(phi) if phi in self.printer.functions else None

    def _held(self, phi: str) -> Iterator[str]:
        """The slope, and phi, at the pre-activation of unit j."""
        s = f"{self.printer.array(self.s)} j"
        of = {gate_of(self.s): f"slope_{phi}", activation(1): f"phi_{phi}"}
        for e in self.scheme.gates:
            assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
            yield f"{of[e.array]} ({s}) = {self.printer.term(self._at_j(e))}"

    def _unit(self) -> Theorem:
        """On which piece: then the slope that steps have is that of the piece, since there is a unit on it."""
        printer, width, pieces = self.printer, self._width, self.held.pieces
        cases, steps = [], ""
        names = [printer.array(piece.indicator) for piece in pieces]
        for piece, e in zip(pieces, names, strict=True):
            moves, slope = printer.array(piece.moves), number(piece.slope)
            others = [f"{other} j = 0" for other in names if other != e]
            cases.append(" /\\ ".join([f"{e} j = 1", *others, f"{moves} = {slope}"]))
            count = printer.array(piece.count)
            steps += (
                f"assert ({e} j = 1 -> {moves} = {slope}) by (intros E_; unfold {moves}; "
                f"destruct (Req_EM_T {count} 0) as [Z_|Z_]; [exfalso | reflexivity]; "
                f"pose proof (sum_above {width} (fun i_ => {e} i_) j J_ ltac:(intros; unfold {e}; decisions; lra) "
                f"ltac:(cbv beta; lra)); unfold {count} in Z_; lra); "
            )
        cases.append(" /\\ ".join(f"{e} j = 0" for e in names))
        return Theorem(
            "unit_is", f"forall j, (j < {width})%nat -> " + " \\/ ".join(cases),
            f"intros j J_; {steps}unfold {', '.join(names)} in *; decisions; "
            "repeat match goal with P : ?a = ?a -> _ |- _ => specialize (P eq_refl) end; one_of.",
        )  # fmt: skip

    def _script(self, phi: str) -> str:
        """Where s was on a side of the kink, it is there."""
        printer, width, pieces = self.printer, self._width, self.held.pieces
        s = printer.array(self.s)
        extremes = [margin for piece in pieces for margin in piece.margins]
        named = [f"P{n}_" for n in range(len(extremes))]
        steps, opened = "", list[str]()
        for n, piece in enumerate(pieces):
            least, greatest = map(printer.array, piece.extremes)
            low, high = map(printer.array, piece.margins)
            c, d = (printer.term(part, ATOM) for part in piece.map)
            filled = printer.array(piece.filled)
            steps += (
                f"assert (Q{n}_ : 0 < {c} * {filled} j + {d}) by "
                f"(apply (above_between {least} ({filled} j) {greatest}); "
                f"[exact (greatest_least {width} (fun i_ => {filled} i_) j J_) "
                f"| unfold {low} in P{2 * n}_; lra | unfold {high} in P{2 * n + 1}_; lra]); "
            )
            opened += map(printer.array, (piece.filled, piece.ratio, *self._maps(piece)))
        names = [printer.array(piece.indicator) for piece in pieces]
        kink = "pose proof (nonzero_at_start j J_); " if self._undefined_at_kink else ""
        before = looked = ""
        if pieces:
            before = f"destruct above_all as ({' & '.join(named)}); {steps}{kink}clear {' '.join(named)}; "
            looked = f"unfold {', '.join(opened)} in *; unfold {', '.join(names)}; "
        return (
            f"intros j J_; rewrite (M_{s} j J_); {before}{looked}unfold phi_{phi}, slope_{phi}; "
            f"destruct (Rtotal_order ({self._at_start}) 0) as [S_|[S_|S_]]; try apply Rgt_lt in S_; "
            "repeat (match goal with P : context [if ?b then _ else _] |- _ => destruct b end; try (exfalso; lra)); "
            "all_moved; decisions; split; lra."
        )

    # ------------------------------------------------------------------------------------------------- the proofs

    def script(self, e: Equation) -> str:
        """The proof of an equation on units or outputs, unit by unit."""
        printer = self.printer
        names = self._opened(e)
        opened = f"cbv beta delta [{' '.join(names)}]; " if names else ""
        solved = f"all_of_unit; unfold {printer.array(self.held.outgoing)}; one_output; all_of_unit; all_solved"
        if e.array == self.s.primed:
            s, a0 = printer.array(self.s), printer.array(norm(self.network.input))
            first = f"rewrite eq_{s}', eq_d{s}, M_{a0}; "
            kept = f"rewrite ?kept_{printer.array(self.read_out)} by first [assumption | lia]; {opened}one_output; "
            return f"intros; {first}{opened}{solved.replace('one_output; ', f'one_output; {kept}')}."
        if e.array in (self.network.logits, self.network.output):
            return f"intros; {opened}apply Rminus_diag_uniq; over {self._width} ltac:({solved})."
        return f"intros; {opened}{solved}."

    def given_back(self, e: Equation) -> str:
        """The proof that s, or an outgoing weight, is what the map of its piece makes of it."""
        name = self.printer.array(e.array)
        indicators = [self.printer.array(piece.indicator) for piece in self.held.pieces]
        opened = f"unfold {', '.join(indicators)}; decisions; " if indicators else ""
        return f"intros; rewrite M_{name} by assumption; {opened}ring."

    def _opened(self, e: Equation) -> list[str]:
        """The definitions that a proof looks into, however deep."""
        own = dict(self.frozen)
        own |= {d.array: d for d in self.scheme.step.equations if d.rule in (Rule.DEFINITION, Rule.STATE)}
        forward, steps = ({d.array: d for d in which} for which in (self.statement.forward, self.statement.steps))
        stay = {self.s, self.s.primed, self.start, *self.network.parameters, adjoint_of(self.network.logits)}
        stay |= {piece.indicator for piece in self.held.pieces} | {piece.moves for piece in self.held.pieces}
        stay |= {self.held.outgoing, self.network.output, self.network.logits, self.read_out.primed} - {e.array}
        found: dict[str, None] = {}

        def visit(array: Array) -> None:
            name = self.printer.array(array)
            if array in stay or name in found:
                return
            for known, more in ((own, []), (steps, []), (forward, [f"{name}_of"])):
                if array in known:
                    found.update(dict.fromkeys([name, *more]))
                    for operand in known[array].operands:
                        visit(operand)
                    return

        for array in (e.array, *e.operands):
            visit(array)
        if e.array == self.s.primed:
            visit(adjoint_of(self.s))
        return list(found)
