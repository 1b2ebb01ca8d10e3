"""What each equation of a derivation becomes: a definition, or a theorem with the one proof script of its rule."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fcsym.certificates.cases import Tables
from fcsym.certificates.printer import Printer, identifier
from fcsym.certificates.signs import Signs
from fcsym.certificates.statement import Statement, definition
from fcsym.certificates.terms import divisors
from fcsym.certificates.theorem import Theorem
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import Array, Expr, Inverse, Ref
from fcsym.networks.symbols import gradient_of, increment_of

__all__ = ["Equations"]


class Equations:
    """The theorems on the equations of one list."""

    def __init__(
        self, statement: Statement, printer: Printer, given: Mapping[str, Equation], tables: Tables,
        meant: Mapping[Array, Equation], signs: Signs | None = None, believed: Collection[Array] = (),
    ) -> None:  # fmt: skip
        """`meant`: what the list's own arrays stand for, where that is said; `signs`: what may be divided by.

        `believed`: those of them that the file has defined where it says what must be believed.
        """
        self.signs, self.believed = signs, believed
        self.statement, self.printer, self.given, self.tables, self.meant = statement, printer, given, tables, meant
        self.stated = set(statement.by_array) | set(statement.changes) | statement.after_step
        self.forward = {e.array: e for e in statement.forward}

    def theorems(self, e: Equation) -> Iterator[Theorem]:
        """Those of one equation: of the whole, and of each case."""
        if isinstance(e.rhs, Cases):
            yield from self.tables.theorems(e)
        elif e.defines and e.array not in self.stated:
            yield from self._defined(e)
        else:
            yield from self._stated(e)

    def _defined(self, e: Equation) -> Iterator[Theorem]:
        """What is a name of the list's own: a definition, or what it stands for and that it equals what is said."""
        name = self.printer.array(e.array)
        if isinstance(e.rhs, Inverse):
            yield from self._inverse(e)
        elif e.array in self.meant:
            if e.array not in self.believed:
                yield Theorem("", f"Definition {name} {definition(self.meant[e.array], self.printer)}", "")
            yield from self._stated(e)
        else:
            yield Theorem(name, f"Definition {name} {definition(e, self.printer)}", "", (e.name, None))

    def _inverse(self, e: Equation) -> Iterator[Theorem]:
        """Any right inverse: where the matrix has one."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Inverse)
        name, matrix = self.printer.array(e.array), self.printer.array(e.rhs.element.array)
        n, m = (self.printer.index(i) for i in e.lhs.indices)
        width = self.printer.width(e.array.axes[0])
        text = (
            f"Variable {name} : {self.printer.type(e.array)}. (* an inverse of {matrix}, where it has one *)\n"
            f"Hypothesis {name}_inverse : forall {n} {m}, ({n} < {width})%nat -> ({m} < {width})%nat ->\n"
            f"  sum {width} (fun l => {matrix} {n} l * {name} l {m}) = kron {m} {n}."
        )
        yield Theorem(name, text, "", (e.name, None))

    def _stated(self, e: Equation) -> Iterator[Theorem]:
        """What has a meaning in the network: that it equals what the derivation says."""
        assert isinstance(e.rhs, Expr)
        printer = self.printer
        name = f"eq_{printer.array(e.array)}"
        indices = e.lhs.indices if isinstance(e.lhs, Ref) else ()
        every = f"forall ({printer.indices(indices)} : nat), " if indices else ""
        if e.rule is Rule.IDENTITY and e.array not in self.statement.changes:
            yield from self.tables.identity(e)
            return
        if e.label:
            name = f"eq_{identifier('_'.join(e.label.split()))}"
        within, known = self._divided(e)
        yield Theorem(
            name, f"{every}{within}{printer.term(e.lhs)} = {printer.term(e.rhs)}", self.script(e, known, bool(within)),
            (e.name, None), e.rule.value,
        )  # fmt: skip

    def _divided(self, e: Equation) -> tuple[str, str]:
        """Premises and tactics that say of what an increment divides by that it is not 0."""
        if self.signs is None or e.array not in self.statement.changes:
            return "", ""
        assert isinstance(e.lhs, Ref)
        bounds = ((self.printer.index(i), self.printer.width(i.axis)) for i in e.lhs.indices)
        within = "".join(f"({i} < {width})%nat -> " for i, width in bounds)
        premises, known = "", ""
        for ref in divisors(e.rhs):
            if not set(ref.indices) <= set(e.lhs.indices):
                continue
            if self.signs.seen(ref.array) is None:
                premises += f"{self.printer.term(ref)} <> 0 -> "
            else:
                at = f" {self.printer.indices(ref.indices)}" if ref.indices else ""
                name = f"nonzero_{self.printer.array(ref.array)}{at}"
                known += f"assert ({self.printer.term(ref)} <> 0) by (apply ({name}); assumption); "
        return (within + premises, known) if known or premises else ("", "")

    def script(self, e: Equation, known: str = "", divides: bool = False) -> str:
        """The proof of an equation without cases, by its rule; `divides`: by what its premises say is not 0."""
        opened = ", ".join(dict.fromkeys(self.opened(e)))
        more = " | field; repeat split; assumption" if divides else ""
        more = (" | changes" if e.array in self.statement.changes and not divides else "") + " | sums" + more
        return f"intros; first [reflexivity | {known}unfold {opened}; first [reflexivity{more}]]."

    def opened(self, e: Equation) -> Iterator[str]:
        """The names whose definitions the proof looks into."""
        array = e.lhs.array if isinstance(e.lhs, Ref) else e.array
        printer = self.printer
        if e.rule is Rule.AFTER:
            yield printer.array(increment_of(array.unprimed))
            return
        yield printer.array(array)
        if array in self.meant:
            yield from self._made_of(e)
        elif array in self.forward:
            yield from self._of(array)
        elif array in self.statement.changes:
            yield from self._increment(e)
        elif e.rule is Rule.UPDATE:
            yield printer.array(gradient_of(array.unprimed))

    def _made_of(self, e: Equation) -> Iterator[str]:
        """What the list's own arrays stand for, and the updates that they see."""
        both = {*e.operands, *self.meant[e.array].operands}
        yield from (self.printer.array(a) for a in e.operands if a in self.statement.changes)
        yield from (self.printer.array(a) for a in self.given_arrays if a in both)
        for theta in self.statement.network.trained:
            if theta.primed in {b for a in both for b in (a, *self._meaning_of(a))}:
                yield from (self.printer.array(theta.primed), self.printer.array(gradient_of(theta)))
        yield from (self.printer.array(a) for a in self.given_arrays if a in both)

    @property
    def given_arrays(self) -> list[Array]:
        """What the list defines itself, the last one first."""
        return [
            e.array
            for e in reversed(list(self.given.values()))
            if e.defines and e.array not in self.stated and isinstance(e.rhs, Expr)
        ]

    def _meaning_of(self, array: Array) -> tuple[Array, ...]:
        return self.meant[array].operands if array in self.meant else ()

    def _of(self, array: Array) -> Iterator[str]:
        if self.statement.operands(self.forward[array]):
            yield f"{self.printer.array(array)}_of"

    def _increment(self, e: Equation) -> Iterator[str]:
        """q' - q: the forward equation before and after, the updates of what it reads, and the names made for it."""
        q, printer = self.statement.changes[e.array], self.printer
        yield from (printer.array(q.primed), printer.array(q), *self._of(q))
        for operand in self.forward[q].operands:
            if operand in self.statement.network.trained:
                yield printer.array(operand.primed)
                if self.statement.network.rule.is_plain:
                    yield printer.array(gradient_of(operand))
            elif operand in self.statement.moving:
                yield printer.array(increment_of(operand))
        yield from (printer.array(a) for a in self.given_arrays if a in e.operands)
