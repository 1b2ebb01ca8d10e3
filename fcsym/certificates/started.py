"""A scheme at the start: what `init` makes, with names that end in _0, and that it is what the state stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fcsym.certificates.carried import Carried
from fcsym.certificates.pieces import Pieces
from fcsym.certificates.printer import LETTERS
from fcsym.certificates.single_input import measured
from fcsym.certificates.statement import free
from fcsym.certificates.terms import cases_of, without
from fcsym.certificates.theorem import Theorem
from fcsym.language.equation import Equation
from fcsym.language.expression import ONE, ZERO, Expr, Number, Ref, arrays_in
from fcsym.networks.symbols import SIZE, STORED, frozen_copy, kept_share, norm

__all__ = ["Started"]


class Started(Carried):
    """The theorems on the start."""

    def _started(self) -> Iterator[Theorem]:
        """What `init` makes, with names that end in _0, and that it is what the state stands for."""
        printer = self.printer
        part = self.scheme.init
        known = set() if self.pieces else {e.array for e in self._frozen_data}
        own = []
        for e in part.equations:
            if not self._own("init", e):
                continue
            if e.array in known or (self._is_stated(e.array) and e.array not in self.network.memory):
                yield self._so_always("init", e)
            else:
                own.append(e)
        printer.ends = {e.array: "_0" for e in own}
        yield from self._at_rest(own)
        operands = dict.fromkeys(a for e in own for a in e.operands)
        named = self.groups.named if self.groups else set()
        anything = [a for a in operands if a not in {*printer.ends, *named} and not self._is_stated(a)]
        yield from self._variables(anything, "numbers that tell inputs apart, any")
        for e in own:
            yield from self._defined("init", e)
            if e.array in self.network.memory:
                rest = Equation(e.lhs, Number(self.network.memory[e.array]), e.rule, "")
                name = printer.array(e.array)
                yield Theorem(f"start_{name}", self._meaning(rest), "reflexivity.", None, "nothing is remembered yet")
        for e in self._of_start():
            assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
            if self.groups and self.groups.is_layout(e):
                if e in self._assumed:
                    yield self.groups.laid_out(e)
                continue
            if self.groups and e.array in self.meant:
                name = self._name(e).removesuffix("_0")
                yield Theorem(f"start_{name}", self._meaning(e), "reflexivity.", None, "at the start")
                continue
            name = printer.array(e.array).removesuffix("_0")
            at_start = Equation(e.lhs, without(STORED, e.rhs), e.rule, "")
            opened = [printer.array(a) for a in (e.array, *e.operands) if a in printer.ends]
            looked = f"unfold {', '.join(opened)}; " if opened else ""
            script = f"intros; first [reflexivity | {looked}first [ring | field; assumption | sums]]."
            if SIZE in e.operands and e.array == norm(self.network.input):
                script = measured(self.scheme, printer)
            elif self.pieces and self.pieces.within(e):
                s, start = printer.array(self.pieces.s), printer.array(self.pieces.start)
                script = f"intros; change {start} with {s}; unfold {', '.join(n for n in opened if n != start)}; ring."
            yield Theorem(f"start_{name}", self._meaning(at_start), script, None, "at the start")
        if self.pieces:
            yield from self._frozen_at_start(self.pieces)
        printer.ends = {}

    def _of_start(self) -> list[Equation]:
        """What the state stands for, where that is a matter of the start: not which input is at hand, nor what holds of
        any weights.
        """
        of = [e for e in self.scheme.invariants if e.array in self.meant or e in self._assumed]
        return [e for e in of if e.array != self.network.input]

    def _at_rest(self, own: Iterable[Equation]) -> Iterator[Theorem]:
        """What no equation of `init` makes: the weights as it is given them, and what has not moved yet."""
        printer, network = self.printer, self.network
        copies = {frozen_copy(theta): theta for theta in network.parameters}
        resting = {array: Number(value) for array, value in network.memory.items()}
        resting |= {array.unprimed: ZERO for array in self.scheme.moving}
        resting |= {kept_share(): ONE} if kept_share() not in self.scheme.state else {}
        used = dict.fromkeys(a for e in own for a in e.operands)
        for e in self._of_start():
            assert isinstance(e.rhs, Expr)
            if self.groups and self.groups.is_layout(e):
                continue
            used |= dict.fromkeys((e.array, *arrays_in(without(STORED, e.rhs))))
        if self.pieces:
            used |= dict.fromkeys(a for e in self._frozen_data for a in e.operands)
        for array in used:
            if array in printer.ends or array not in {*resting, *copies}:
                continue
            at, said = printer.letters(array, LETTERS), "nothing has moved" if array in resting else "as it is given"
            value = resting[array] if array in resting else copies[array][at]
            printer.ends[array] = "_0"
            made = f"{printer.array(array)} {free(array[at], printer)}: R := {printer.term(value)}"
            yield Theorem("", f"Definition {made}.", "", None, said)
        if self.pieces:
            (e,) = (e for e in self._frozen_data if e.array == self.pieces.start)
            printer.ends[e.array] = "_0"
            yield from self._defined("", e)

    def _frozen_at_start(self, pieces: Pieces) -> Iterator[Theorem]:
        """What the state keeps of the start is what `init` makes."""
        for e in self._frozen_data:
            if e.array in self.printer.ends and e.array != pieces.start:
                name = self.printer.array(e.array).removesuffix("_0")
                yield Theorem(f"start_{name}", self._meaning(e), "intros; reflexivity.", None, "at the start")
        yield from pieces.started()

    def _so_always(self, part: str, e: Equation) -> Theorem:
        """What is the network's own, or made of its data alone: it is that, whatever is carried."""
        self._reach(part, e, *cases_of(e))
        script = f"intros; first [reflexivity | unfold {self._looked_into(e)}; first [reflexivity | sums]]."
        return Theorem(f"{part}_{self.printer.array(e.array)}", self._meaning(e), script, None, e.rule.value)
