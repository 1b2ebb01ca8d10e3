"""Case tables, by z3: they cover every point, no two rows overlap, and which rows can occur at all.

One unit is enough: a row speaks of its own pre-activation before and after the step, whatever the widths are.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import z3

from fcsym.errors import UnsupportedExpression
from fcsym.language import smt
from fcsym.language.activation import Activation
from fcsym.language.equation import Branch, Cases, Condition, Equation
from fcsym.language.expression import Expr, Ref
from fcsym.networks.network import Hidden
from fcsym.networks.symbols import frozen_activation, increment_of

__all__ = ["Table"]

_TIMEOUT = 5_000  # milliseconds for one question; they take one or two


class Table:
    """The conditions of one case table, as statements about a unit's s and ds."""

    def __init__(
        self, equation: Equation, unit: Hidden, gated: bool, below: Activation | None = None,
        answers: dict[str, bool | None] | None = None, still: bool = False,
    ) -> None:  # fmt: skip
        """`still`: nothing below the unit is trained, and it stays as it is.

        `answers` are those of other tables: the units of a deep network ask the same questions in every layer.
        """
        assert isinstance(equation.rhs, Cases)
        self.answers = {} if answers is None else answers
        self.branches = equation.rhs.branches
        phi, self.subjects = unit.activation, _subjects(equation, unit)
        self.s, self.ds = z3.Reals("s ds")
        if phi.is_smooth:  # any function: values before and after are free
            self.v, self.dv = z3.Reals("v dv")
            gated, below = False, None
            self.nonzero = [self.v != 0, self.v + self.dv != 0] if phi.never_zero else []
        else:
            self.v = _value(phi, self.s)
            self.dv = _value(phi, self.s + self.ds) - self.v
            self.nonzero = []
        self.facts = [*self.nonzero, *([self._moves(phi)] if gated else [])]
        if still:
            self.facts.append(self.ds == 0 if not z3.is_const(self.v) else self.dv == 0)
        if below is not None:
            self.facts += self._fed_by_one(phi, below)

    def _moves(self, phi: Activation) -> Any:
        """ds = phi'(s) u for some u: with an input that stays, a unit moves only as far as its gate lets it."""
        u = z3.Real("u")
        return self.ds == _slope(phi, self.s) * u

    def _fed_by_one(self, phi: Activation, below: Activation) -> list[Any]:
        """s = w v before and (w - phi'(s) u) v' after, where v is the one unit below, which moves by its own gate."""
        w, u, lower, moved = z3.Reals("w u_w s_below u_below")
        after = lower + _slope(below, lower) * moved
        return [
            self.s == w * _value(below, lower),
            self.s + self.ds == (w - _slope(phi, self.s) * u) * _value(below, after),
        ]

    def _statement(self, condition: Condition) -> Any:
        if condition.subject not in self.subjects:
            raise UnsupportedExpression(f"{condition.subject!r} is not about the unit of its row.")
        subject = {"s": self.s, "s'": self.s + self.ds, "v": self.v, "dv": self.dv}[self.subjects[condition.subject]]
        bound = _number(condition.bound)
        return {
            ">": subject > bound, "<=": subject <= bound, "=": subject == bound, "!=": subject != bound,
        }[condition.relation]  # fmt: skip

    def _row(self, branch: Branch) -> Any:
        return z3.And(*(self._statement(condition) for condition in branch.when))

    def understood(self) -> bool:
        """Whether every condition is about the unit itself: its pre-activation, its value, or its change."""
        return all(condition.subject in self.subjects for row in self.branches for condition in row.when)

    def covers(self) -> bool | None:
        """Some row holds at every point."""
        return _negated(self._possible(z3.Not(z3.Or(*map(self._row, self.branches)))))

    def excludes(self) -> bool | None:
        """No two rows hold at the same point: one question, where one of every pair would be hundreds."""
        return _negated(self._possible(z3.AtLeast(*map(self._row, self.branches), 2)))

    def gap(self) -> Mapping[str, Fraction] | None:
        """A point that no row covers, or that two rows cover."""
        rows = [self._row(branch) for branch in self.branches]
        solver = z3.Solver()
        solver.add(z3.Or(z3.Not(z3.Or(*rows)), z3.AtLeast(*rows, 2)))
        if smt.check(solver) != z3.sat:
            return None
        names = (self.s, self.ds) if not z3.is_const(self.v) else (self.v, self.dv)
        return _point(solver.model(), *names)

    def possible(self, branch: Branch) -> bool | None:
        """Whether the row can occur, given how far the unit can move."""
        return self._possible(z3.And(self._row(branch), *self.facts))

    def keeps(self, branch: Branch, condition: Condition) -> bool:
        """Whether a further condition holds wherever the row does; False where it is about something else."""
        if condition.subject not in self.subjects:
            return False
        return _possible(z3.And(self._row(branch), z3.Not(self._statement(condition)))) is False

    def solvable(self, branch: Branch, *, by_any: bool) -> bool | None:
        """On the row, 0 * p = w' dv is solved by every p (`by_any`), or by none."""
        change = self.dv != 0 if by_any else self.dv == 0
        return _negated(self._possible(z3.And(self._row(branch), z3.Or(self.v != 0, change))))

    def _possible(self, statement: Any) -> bool | None:
        """Whether some point satisfies a statement; z3 is asked once for each."""
        text = statement.sexpr()
        if text not in self.answers:
            self.answers[text] = _possible(statement)
        return self.answers[text]


def _subjects(equation: Equation, hidden: Hidden) -> dict[Expr, str]:
    """What a condition of a row may speak of, all of the unit that the row is about."""
    assert isinstance(equation.lhs, Ref)
    s, v = hidden.s, hidden.v
    unit = equation.lhs.indices[-len(s.axes) :]
    found: dict[Expr, str] = {s[unit]: "s", s.primed[unit]: "s'", increment_of(v)[unit]: "dv"}
    return found | {v[unit]: "v", frozen_activation(v)[unit]: "v"}


def _point(model: Any, *names: Any) -> dict[str, Fraction]:
    values = {}
    for name in names:
        value = model.eval(name, model_completion=True)
        values[str(name)] = Fraction(value.numerator_as_long(), value.denominator_as_long())
    return values


def _number(value: Fraction) -> Any:
    return z3.RatVal(value.numerator, value.denominator)


def _value(phi: Activation, s: Any) -> Any:
    result = _number(phi.pieces[0].slope) * s + _number(phi.pieces[0].intercept)
    for kink, piece in zip(phi.kinks, phi.pieces[1:], strict=True):
        result = z3.If(s > _number(kink), _number(piece.slope) * s + _number(piece.intercept), result)
    return result


def _slope(phi: Activation, s: Any) -> Any:
    result = _number(phi.pieces[0].slope)
    for kink, piece in zip(phi.kinks, phi.pieces[1:], strict=True):
        result = z3.If(s > _number(kink), _number(piece.slope), result)
    for kink, slope in zip(phi.kinks, phi.kink_slopes, strict=True):
        result = z3.If(s == _number(kink), _number(slope), result)
    return result


def _possible(statement: Any) -> bool | None:
    solver = z3.Solver()
    solver.set("timeout", _TIMEOUT)
    solver.add(statement)
    answer = smt.check(solver)
    return None if answer == z3.unknown else bool(answer == z3.sat)


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer
