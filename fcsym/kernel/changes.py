"""What a smooth unit changes by, lowered from ds: phi(s + ds) - phi(s), without subtracting two values of phi.

    s1_new = s1 + ds1,  v1 = tanh(s1),  dv1 = tanh(s1_new) - v1
        =>    dv1 by the rules of `fcsym.language.differences`, of s1, s1_new and ds1

Two values that agree in nine digits have a difference with seven, however well each of them is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fcsym.kernel import neutral as n
from fcsym.language import smooth_functions
from fcsym.language.algebra import inline
from fcsym.language.differences import difference
from fcsym.language.equation import Equation
from fcsym.language.expression import Add, Apply, Array, Expr, Mul, Number, Ref
from fcsym.language.formulas import Formula

__all__ = ["Places", "change_of"]

Places: TypeAlias = "Mapping[str, n.Node]"
"""What stands in the places of a formula: s, and where something changes `after`, s + ds, and `change`, ds."""


def change_of(equation: Equation, known: Mapping[Array, Equation]) -> tuple[Formula, Places] | None:
    """phi(s') - v, where v = phi(s) and s' = s + ds are known => a formula for it, and its places; None otherwise."""
    if not (isinstance(equation.rhs, Add) and isinstance(equation.lhs, Ref)):
        return None
    match equation.rhs.terms:
        case (Apply(phi, Ref(after, at), 0), Mul((Number(number), Ref(before, same)))):
            if not (phi.is_smooth and number == -1 and at == same):
                return None
        case _:
            return None
    value, moved = (_read(known.get(array), array[at]) for array in (before, after))
    if not (isinstance(value, Apply) and value.activation == phi and not value.derivative):
        return None
    s, change = value.argument, _without(moved, value.argument)
    form = smooth_functions.in_calls(phi)
    found = difference(form) if form else None
    if not (found and isinstance(s, Ref) and isinstance(change, Ref)):
        return None
    return found, {
        place: n.Load(r.array.name, r.indices) for place, r in zip(_PLACES, (s, after[at], change), strict=True)
    }


_PLACES = ("s", "after", "change")


def _read(equation: Equation | None, at: Ref) -> Expr | None:
    """What an equation says of an element of its array."""
    if equation is None or not isinstance(equation.lhs, Ref) or not isinstance(equation.rhs, Expr):
        return None
    return inline(at, {at.array: (equation.lhs.indices, equation.rhs)})


def _without(total: Expr | None, part: Expr) -> Expr | None:
    """The other term of a sum of two."""
    if not isinstance(total, Add) or len(total.terms) != 2 or part not in total.terms:
        return None
    return total.terms[1 - total.terms.index(part)]
