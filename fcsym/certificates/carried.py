"""What a scheme's file says of arrays: which are the network's own, what others are, and what is assumed of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property

from fcsym.certificates.constants import Constants
from fcsym.certificates.equations import Equations
from fcsym.certificates.file import Writer
from fcsym.certificates.grouped import Grouped
from fcsym.certificates.opened import Opened
from fcsym.certificates.pieces import Pieces
from fcsym.certificates.statement import free
from fcsym.certificates.terms import after, cases_of, divisors
from fcsym.certificates.theorem import Theorem
from fcsym.language.decision import decide
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import Array, Expr, Ref, Role
from fcsym.networks.symbols import (
    ETA,
    frozen_activation,
)
from fcsym.schemes.record import SchemeRecord

__all__ = ["Carried"]


class Carried:
    """The arrays of one scheme, as definitions, hypotheses and variables of its file."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme, self.network = scheme, scheme.network
        self.writer = Writer(scheme.base, more=scheme.written)
        self.printer, self.statement = self.writer.printer, self.writer.statement
        self.base = scheme.base.by_name
        self.equations = Equations(self.statement, self.printer, self.base, self.writer.tables, {})
        self.reached: set[tuple[str, str | None]] = set()

    @cached_property
    def groups(self) -> Grouped | None:
        """Of sums over units in groups: the condition on the units, and the proofs unit by unit."""
        if self.scheme.grouping is None:
            return None
        return Grouped(self.scheme.grouping, self.statement, self.printer, self._opened)

    @cached_property
    def pieces(self) -> Pieces | None:
        """Of units that keep the piece that they had at init: the same."""
        if self.scheme.held is None:
            return None
        return Pieces(self.scheme, self.scheme.held, self.statement, self.printer)

    def _own(self, part: str, e: Equation) -> bool:
        """Whether it is the scheme's own; what it has from the step is proved there."""
        known = self.base.get(e.name)
        if known is not None and (known.lhs, known.rhs) == (e.lhs, e.rhs) and self._is_stated(e.array):
            self._reach(part, e, *cases_of(e))
            return False
        return True

    def _reach(self, part: str, e: Equation, *cases: str | None) -> None:
        self.reached |= {(f"{part}: {e.name}", case) for case in cases}

    @cached_property
    def _norms(self) -> list[Array]:
        return [e.array for e in self.scheme.base.equations if e.defines and e.array.role is Role.NORM]

    @property
    def _frozen(self) -> Array | None:
        """v^c, where the scheme has frozen the layers below the read-out."""
        return frozen_activation(self.network.hidden[-1].v) if self.network.hidden else None

    @cached_property
    def _frozen_data(self) -> list[Equation]:
        """What no step changes and is made of the data alone."""
        given = {*self.network.parameters, *self.scheme.state}
        return [e for e in self.scheme.frozen if not given & set(e.operands)]

    @cached_property
    def meant(self) -> dict[Array, Equation]:
        """What an array of the state is by definition: what it stands for, where that divides by nothing."""
        found: dict[Array, Equation] = {}
        for e in self.scheme.invariants:
            if not self._is_stated(e.array) and not divisors(e.rhs):
                found.setdefault(e.array, e)  # another one of the same array is proved
        return found

    @cached_property
    def constants(self) -> Constants:
        """What the scheme multiplies by, and undoes."""
        return Constants(self.scheme, self.printer, self.meant)

    @cached_property
    def _assumed(self) -> list[Equation]:
        """What is assumed of the state: what has arrays in it that the network does not make."""
        known = {*self.meant, *(e.array for e in self._frozen_data), *self.scheme.constants}
        return [
            e for e in self.scheme.invariants
            if self.meant.get(e.array) != e
            and any(a not in known and not self._is_stated(a) for a in (e.array, *e.operands))
        ]  # fmt: skip

    def _name(self, e: Equation) -> str:
        """What the meaning of an array is called: one array may have two, a definition and what it is a sum of."""
        return self.printer.array(e.array.unprimed) + ("_too" if self.meant.get(e.array, e) != e else "")

    def _is_stated(self, array: Array) -> bool:
        """Whether it is the network's own: a parameter, what it is given, or a value of its step."""
        return array in self._stated

    @cached_property
    def _stated(self) -> frozenset[Array]:
        own = (a for e in (*self.statement.forward, *self.statement.steps) for a in (e.array, *e.operands))
        given = (*self.network.parameters, *self.network.memory, self.network.input, self.network.target, ETA)
        return frozenset({*own, *given, *self.equations.stated, *self._norms})

    @cached_property
    def _changed(self) -> set[Array]:
        """What has a value after the step."""
        made = (*self.scheme.moving, *(e.array for e in self.scheme.step.equations))
        return {
            *(a.unprimed for a in made if a.after),
            *self.network.trained,
            *self.network.memory,
            *self.statement.moving,
        }

    @cached_property
    def _opened(self) -> Opened:
        """What the scheme's own equations are proved by looking into."""
        gone = [theta for theta in self.network.parameters if theta not in self.scheme.state]
        parts = (self.scheme.expand, self.scheme.step, self.scheme.output)
        own = [*self._frozen_data, *self.meant.values(), *self.scheme.moving.values()]
        own += [e for part in parts for e in part.equations if not self._is_stated(e.array)]
        return Opened(self.statement, {e.array: e for e in own if isinstance(e.rhs, Expr)}, gone)

    def _looked_into(self, e: Equation, folded: Collection[Array] = (), steps: bool = True) -> str:
        """The names whose definitions the proof of an equation looks into; not `steps`: it is so of any parameters."""
        found = self._opened.arrays((e.array,), (a for a in e.operands if a not in folded), steps)
        names = [self.printer.array(array) for array, _ in found]
        names += [f"{self.printer.array(array.unprimed)}_of" for array, made in found if made]
        return ", ".join(dict.fromkeys(names or ["kron"]))

    def _meaning(self, e: Equation, value: Expr | None = None) -> str:
        """What an array of the state, or its value, stands for, wherever nothing is divided by 0."""
        assert isinstance(e.lhs, Ref)
        indices = self.printer.indices(e.lhs.indices)
        every = f"forall ({indices} : nat), " if indices else ""
        by_unit = self.groups or self.pieces
        below = by_unit.within(e) if by_unit else ""
        below += "".join(f"{self.printer.term(ref)} <> 0 -> " for ref in divisors(e.rhs))
        return f"{every}{below}{self.printer.term(value or e.lhs)} = {self._side(e)}"

    def _side(self, e: Equation) -> str:
        """The right-hand side: a value, or decisions."""
        if isinstance(e.rhs, Cases):
            return self.printer.tree(decide(e.rhs.branches))
        assert isinstance(e.rhs, Expr)
        return self.printer.term(e.rhs)

    def _aligned(self, e: Equation) -> Equation:
        """The equation as its proof wants it: with its sums in the order in which they are met."""
        if self.groups is None:
            return e
        meaning = self.meant.get(e.array.unprimed) if e.array.after else None
        return self.groups.aligned(e, None if meaning is None else after(meaning, self._changed))

    def _is_defined(self, part: str, e: Equation) -> bool:
        """Whether it is a name that the scheme makes in passing, or of what it carries after the step."""
        is_choice = e.rule is Rule.STATE and isinstance(e.rhs, Cases)
        return self._own(part, e) and not self._is_stated(e.array) and not is_choice

    def _defined(self, part: str, e: Equation) -> Iterator[Theorem]:
        assert isinstance(e.lhs, Ref)
        name, printer = self.printer.array(e.array), self.printer
        value = self._side(self._aligned(e))
        yield Theorem(name, f"Definition {name} {free(e.lhs, printer)}: R := {value}.", "", None, e.rule.value)
        self._reach(part, e, *cases_of(e))

    def _variables(self, arrays: Iterable[Array], said: str) -> Iterator[Theorem]:
        """Arrays that may be any, and lengths that the network does not have."""
        printer = self.printer
        stated = {axis for array in self.writer.arrays for axis in array.axes}
        stated |= self.groups.patterns if self.groups else set()
        axes = dict.fromkeys(axis for array in arrays for axis in array.axes if axis not in stated)
        lines = [f"({printer.width(axis)} : nat)" for axis in axes]
        lines += [f"({printer.array(a)} : {printer.type(a)})" for a in arrays]
        if lines:
            yield Theorem("", f"Variables {' '.join(lines)}.", "", None, said)
