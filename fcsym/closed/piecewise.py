"""A Piecewise that stays as it was written.

SymPy's own rearranges itself whenever it is built, also by `subs` and `xreplace` and with evaluate=False: a Piecewise
inside a condition is folded outwards, which gives 2^n rows for n gates and does not end beyond a handful; and a power
is pushed into the rows, which divides by zero in the one that is not taken. This one drops rows that cannot hold,
stops at the first that must, and does nothing else. Everything that understands `sympy.Piecewise` understands it.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

__all__ = ["Piecewise"]


class Piecewise(sympy.Piecewise):  # type: ignore[misc]
    """The value of the first row whose condition holds; `nan` where none does."""

    def __new__(cls, *rows: Any, **_: Any) -> Any:
        """Rows as (value, condition)."""
        kept = []
        for row in rows:
            value, condition = row.args if isinstance(row, ExprCondPair) else row
            if condition in (False, sympy.false):
                continue
            kept.append(sympy.Tuple.__new__(ExprCondPair, sympy.sympify(value, strict=True), condition))
            if condition in (True, sympy.true):
                break
        if not kept:
            return sympy.nan
        if kept[0].cond in (True, sympy.true):
            return kept[0].expr
        return sympy.Basic.__new__(cls, *kept)

    def _eval_subs(self, old: Any, new: Any) -> Any:
        rows = []
        for value, condition in self.args:
            condition = condition._subs(old, new)
            rows.append((value if condition == False else value._subs(old, new), condition))  # noqa: E712
        return self.func(*rows)

    def _eval_power(self, _: Any) -> None:
        return None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        """LaTeX; SymPy's printer has no power of a Piecewise, since its own never occurs."""
        text = str(printer._print_Piecewise(self))
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"
