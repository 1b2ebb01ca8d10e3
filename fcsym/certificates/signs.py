"""What is above 0 whatever the parameters are, as a sum of exponentials is: what may be divided by, or have a root.

What is not seen to be is a premise of the theorems that need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from fcsym.certificates.functions import Function
from fcsym.certificates.printer import LETTERS, Printer
from fcsym.certificates.statement import Statement
from fcsym.certificates.terms import parts
from fcsym.certificates.theorem import Theorem
from fcsym.language.activation import Activation
from fcsym.language.equation import Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    arrays_in,
)

__all__ = ["Signs"]


class Signs:
    """The arrays of one network that are above 0 at every place."""

    def __init__(self, statement: Statement, printer: Printer, functions: Mapping[Activation, Function]) -> None:
        self.statement, self.printer, self.functions = statement, printer, functions
        self.forward: dict[Array, Equation] = {e.array: e for e in statement.forward}

    @cached_property
    def needed(self) -> tuple[Array, ...]:
        """What the forward equations divide by, and what they have functions of that need it above 0."""
        found: list[Array] = []
        for e in self.statement.forward:
            assert isinstance(e.rhs, Expr)
            for node in parts(e.rhs):
                if isinstance(node, Pow) and node.exponent < 0:
                    found += arrays_in(node.base)
                if isinstance(node, Apply) and self.functions[node.activation].positive:
                    found += arrays_in(node.argument)
        return tuple(dict.fromkeys(found))

    def seen(self, array: Array) -> list[str] | None:
        """What a proof that the array is above 0 looks into; None where it is not seen to be."""
        names: list[str] = []
        if not self._above(array[self.printer.letters(array, LETTERS)], names):
            return None
        return list(dict.fromkeys(reversed(names)))[::-1]  # each name after all that it is found in

    def _into(self, array: Array, names: list[str]) -> Expr | None:
        e = self.forward.get(array.unprimed)
        if e is None or not isinstance(e.rhs, Expr):
            return None
        names += [self.printer.array(array), self.printer.array(self.statement.after(array.unprimed))]
        if self.statement.operands(e):
            names += [f"{self.printer.array(array.unprimed)}_of"]
        return e.rhs

    def _above(self, node: Expr, names: list[str], somewhere: bool = False) -> bool:
        """Whether it is above 0, or in a sum: at one of the places of which an indicator picks some."""
        match node:
            case Number(value):
                return value > 0
            case Indicator():
                return somewhere
            case Apply(phi, _, 0) if phi.name == "exp":
                names.append("phi_exp")
                return True
            case Apply(phi, argument, 0) if phi.name == "sqrt":
                names.append("phi_sqrt")
                return self._above(argument, names, somewhere)
            case Ref(array):
                made = self._into(array, names)
                return made is not None and self._above(made, names, somewhere)
            case Add(terms):
                return all(self._least(t, names) for t in terms) and any(self._above(t, [], somewhere) for t in terms)
            case Mul(factors):
                return all(self._above(f, names, somewhere) for f in factors)
            case Pow(base, _):
                return self._above(base, names, somewhere)
            case Total(_, body):
                return self._least(body, names) and self._above(body, [], somewhere=True)
        return False

    def _least(self, node: Expr, names: list[str]) -> bool:
        """Whether it is at least 0; a sum of such is above 0 where one of them is."""
        match node:
            case Indicator():
                return True
            case Pow(_, exponent) if exponent % 2 == 0:
                return True
            case Add(parts) | Mul(parts):
                return all(self._least(part, names) for part in parts)
            case Total(_, body):
                return self._least(body, names)
            case Ref(array):
                made = self._into(array, names)
                return made is not None and self._least(made, names)
        return self._above(node, names)

    def axes(self) -> tuple[Axis, ...]:
        """Those that must not be empty: sums over them are above 0 for that alone."""
        found = []
        for array in self.needed:
            e = self.forward.get(array)
            if e is not None and isinstance(e.rhs, Total) and self.seen(array) is not None:
                found += [i.axis for i in e.rhs.over if i.axis not in array.axes]
        return tuple(dict.fromkeys(found))

    def known(self) -> list[str]:
        """The theorems on those that are."""
        return [
            f"{kind}_{self.printer.array(a)}"
            for a in self.needed
            if self.seen(a) is not None
            for kind in ("above", "nonzero")
        ]

    def premises(self) -> list[tuple[str, str]]:
        """(name, premise) for those that are not seen to be above 0."""
        found = []
        for array in self.needed:
            if self.seen(array) is None:
                name, at = self.printer.array(array), self.printer.letters(array, LETTERS)
                here = self.printer.indices(at)
                every = f"forall ({here} : nat), " if at else ""
                element = f"{name} {here}" if at else name
                found.append((f"K_{name}", f"{every}0 < {element}"))
                found.append((f"K_{name}_nonzero", f"{every}{element} <> 0"))
        return found

    def theorems(self) -> Iterator[Theorem]:
        """That they are, before the step and after it."""
        for array in self.needed:
            for one in (array, array.primed) if array in self.statement.moving else (array,):
                yield from self._theorem(one)

    def _theorem(self, array: Array) -> Iterator[Theorem]:
        opened = self.seen(array)
        if opened is None:
            return
        printer, name = self.printer, self.printer.array(array)
        at = printer.letters(array, LETTERS)
        here = printer.indices(at)
        every = f"forall ({here} : nat), " if at else ""
        within = "".join(f"({printer.index(i)} < {printer.width(i.axis)})%nat -> " for i in at)
        element = f"{name} {here}" if at else name
        yield Theorem(f"above_{name}", f"{every}{within}0 < {element}", f"intros; unfold {', '.join(opened)}; above.")
        script = f"intros; apply Rgt_not_eq, above_{name}; assumption."
        yield Theorem(f"nonzero_{name}", f"{every}{within}{element} <> 0", script)
