"""A Piecewise that stays as it was written.

SymPy's own rearranges itself whenever it is built, also by `subs`, `xreplace` and `pickle` and with evaluate=False: a
Piecewise inside a condition is folded outwards, which gives 2^n rows for n gates and does not end beyond a handful; and
a power is pushed into the rows, which divides by zero in the one that is not taken. This one drops rows that cannot
hold, stops at the first that must, and does nothing else. Everything that understands `sympy.Piecewise` understands it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair

__all__ = ["Piecewise", "never_zero", "with_parts"]


class Row(ExprCondPair):  # type: ignore[misc]
    """A value and its condition; SymPy's own folds a Piecewise out of the condition."""

    def __new__(cls, value: Any, condition: Any) -> Any:
        return sympy.Tuple.__new__(cls, sympy.sympify(value, strict=True), condition)

    def _sympyrepr(self, printer: Any) -> str:
        return f"ExprCondPair({printer._print(self.expr)}, {printer._print(self.cond)})"


class Piecewise(sympy.Piecewise):  # type: ignore[misc]
    """The value of the first row whose condition holds; `nan` where none does."""

    def __new__(cls, *rows: Any, **_: Any) -> Any:
        """Rows as (value, condition)."""
        kept = []
        for row in rows:
            value, condition = row.args if isinstance(row, ExprCondPair) else row
            if condition in (False, sympy.false):
                continue
            kept.append(Row(value, condition))
            if condition in (True, sympy.true):
                break
        if not kept:
            return sympy.nan
        if kept[0].cond in (True, sympy.true):
            return kept[0].expr
        return sympy.Basic.__new__(cls, *kept)

    def __reduce__(self) -> Any:
        """For pickle and copy: SymPy would build the conditions anew, and might decide or rearrange them."""
        return _as_it_was, (type(self), *((value, _packed(condition)) for value, condition in self.args))

    def _eval_subs(self, old: Any, new: Any) -> Any:
        return self._changed(lambda part: part._subs(old, new), {old: new})

    def _xreplace(self, rule: Any) -> Any:
        if self in rule:
            return rule[self], True
        result = self._changed(lambda part: part._xreplace(rule)[0], rule)
        return result, result is not self

    def _changed(self, change: Callable[[Any], Any], rule: Any) -> Any:
        """The same with every part changed: conditions first, since what cannot hold need not have a value.

        `rule`: what replaces a condition as a whole.
        """
        rows = []
        for value, condition in self.args:
            condition = rule[condition] if condition in rule else with_parts(condition, change)
            rows.append((value if condition in (False, sympy.false) else change(value), condition))
        same = all(a is c and b is d for (a, b), (c, d) in zip(rows, self.args, strict=True))
        return self if same else self.func(*rows)

    def _eval_power(self, _: Any) -> None:
        return None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        """LaTeX; SymPy's printer has no power of a Piecewise, since its own never occurs."""
        text = str(printer._print_Piecewise(self))
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"

    def _ccode(self, printer: Any, **_: Any) -> str:
        """C; SymPy's printer wants a last row that holds everywhere."""
        return str(printer._print_Piecewise(self.func(*self.args, (sympy.nan, sympy.true))))

    def _numpycode(self, printer: Any, **_: Any) -> str:
        """NumPy computes every row everywhere; where a row is not taken, it may divide by 0 and says nothing."""
        where, text = printer._module_format("numpy.where"), printer._module_format("numpy.nan")
        for value, condition in reversed(self.args):
            shown = printer._print(_guarded(value))
            text = shown if condition == True else f"{where}({printer._print(condition)}, {shown}, {text})"  # noqa: E712
        return str(text)


class _Divisor(sympy.Function):  # type: ignore[misc]
    """A number that is divided by, `nan` in place of 0; for printing only."""

    def _numpycode(self, printer: Any, **_: Any) -> str:
        where, nan = printer._module_format("numpy.where"), printer._module_format("numpy.nan")
        return f"(lambda q: {where}(q == 0, {nan}, q))({printer._print(self.args[0])})"


def never_zero(node: Any) -> bool:
    """Whether SymPy knows at a glance that a real expression is not 0: 1 + e^(-s)."""
    return not node.has(sympy.Piecewise) and node.is_nonzero is True


def _guarded(node: Any) -> Any:
    """The value of a row, with every divisor that may be 0 marked; a Piecewise within it does so itself."""
    if not node.args or isinstance(node, sympy.Piecewise):
        return node
    parts = [_guarded(part) for part in node.args]
    if isinstance(node, sympy.Pow) and node.exp.is_negative and not never_zero(node.base):
        return sympy.Pow(_Divisor(parts[0]), parts[1], evaluate=False)
    return node if all(a is b for a, b in zip(parts, node.args, strict=True)) else node.func(*parts)


def with_parts(condition: Any, change: Callable[[Any], Any]) -> Any:
    """A condition with both sides of each relation changed; it is decided where that takes no search.

    SymPy decides a relation by assumptions, and walks through every Piecewise within it for that.
    """
    if isinstance(condition, Relational):
        left, right = change(condition.lhs), change(condition.rhs)
        if left is condition.lhs and right is condition.rhs:
            return condition
        open_cases = left.has(sympy.Piecewise) or right.has(sympy.Piecewise) or sympy.nan in (left, right)
        return condition.func(left, right, evaluate=not open_cases)
    if not condition.args:
        return change(condition)  # true, or a name that stands for a condition
    return condition.func(*(with_parts(part, change) for part in condition.args))


def _packed(condition: Any) -> Any:
    """A relation as (class, left, right), for pickle would decide it."""
    return (condition.func, *condition.args) if isinstance(condition, Relational) else condition


def _as_it_was(kind: Any, *rows: Any) -> Any:
    """What `__reduce__` took apart."""
    made = []
    for value, condition in rows:
        whole = condition[0](*condition[1:], evaluate=False) if isinstance(condition, tuple) else condition
        made.append(Row(value, whole))
    return sympy.Basic.__new__(kind, *made)
