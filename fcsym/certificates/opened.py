"""Which definitions the proof of a scheme's equation looks into, in an order in which each stands before what it uses.

What a scheme defines is looked into, and the step from a gradient to the parameter after it; a value of the network
where it is what the equation is about, or made of parameters that the scheme does not carry. Errors that are passed
back, gates and activations are the same on both sides, and stay names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from fcsym.certificates.statement import Statement
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Role

__all__ = ["Opened"]

_STAY = frozenset({Role.ADJOINT, Role.GATE})


class Opened:
    """The definitions of one file."""

    def __init__(self, statement: Statement, own: Mapping[Array, Equation], gone: Collection[Array]) -> None:
        """`own`: what the scheme defines without cases; `gone`: the parameters that it does not carry."""
        self.statement, self.own, self.gone = statement, own, gone
        self.forward = {e.array: e for e in statement.forward}
        self.steps = {e.array: e for e in statement.steps if e.array.role not in _STAY}

    def arrays(
        self, about: Iterable[Array], others: Iterable[Array] = (), steps: bool = True
    ) -> list[tuple[Array, bool]]:
        """What is looked into, and whether by its forward equation, too.

        `about`: what the equation is about; not `steps`: what is so of any parameters, before and after a step.
        """
        found: dict[Array, bool] = {}
        seen: set[Array] = set()

        def visit(array: Array, at_top: bool = False) -> None:
            if array in seen:
                return
            seen.add(array)
            value = array.unprimed
            if array in self.own:
                for operand in self.own[array].operands:
                    visit(operand)
                found[array] = False
            elif array in self.statement.changes:
                changed = self.statement.changes[array]
                visit(changed.primed, at_top)
                visit(changed, at_top)
                found[array] = False
            elif array in self.steps and steps:
                for operand in self.steps[array].operands:
                    visit(operand)
                found[array] = False
            elif value in self.forward and (array == value or value in self.statement.moving):
                reads = self.forward[value].operands
                if at_top or set(self.gone) & set(reads):
                    for operand in reads:
                        visit(self.statement.after(operand) if array.after else operand)
                    found[array] = bool(self.statement.operands(self.forward[value]))

        for array in about:
            visit(array, at_top=True)
        for array in others:
            visit(array)
        return list(reversed(found.items()))
