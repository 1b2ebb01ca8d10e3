"""Schemes that hold hidden units on linear pieces: what is known of a unit, decided by z3 wherever it can be.

Three things are proved of every unit, whatever the numbers are, region by region of its pre-activation s^c at `init`:

    e is 1 on a piece and 0 off it, so that e e = e, e1 e2 = 0, and mu e = m e          (`reduced`)
    where the conditions for an output hold, phi(s) and phi'(s) are those of the piece  (`gates_hold`)
    where they do not, some unit has left its piece, or is exactly between two          (`refused_rightly`)

A least value is one of those it is taken over, and none of them is below it: that is all that is used of extremes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import z3

from fcsym.errors import UnsupportedExpression
from fcsym.language import smt
from fcsym.language.activation import Activation
from fcsym.language.algebra import Polynomial, as_expr, coefficients, expand, inline
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import (
    ZERO,
    Add,
    Array,
    Expr,
    Extreme,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    mul,
    power,
    total,
)

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["Pieces"]

_TIMEOUT = 20_000  # milliseconds of z3 for one question; most take one or two


class Pieces:
    """What is known of the units of a scheme that has `gates`."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme, self.phi = scheme, scheme.network.layers[0].activation
        self.ones = scheme.ones
        self.definitions = {e.array: e for e in scheme.frozen}
        self.now = next(m for m in scheme.meanings if m.array.role is Role.PRE_ACTIVATION)  # s, from s^c on
        self.start = scheme.frozen[0].array
        self._answers: dict[Any, bool] = {}
        self._units = [unit for unit in (_Unit(self, r) for r in range(2 * len(self.phi.kinks) + 1)) if unit.allowed]

    # ---------------------------------------------------------------------------------------------- indicators

    @property
    def indicators(self) -> list[Array]:
        """The arrays that are 0 or 1 for every unit."""
        return [
            e.array
            for e in self.scheme.frozen
            if isinstance(e.rhs, Cases) and e.array.axes and all(u.number(e.array) in (0, 1) for u in self._units)
        ]

    def indicators_where(self, when: tuple[Condition, ...]) -> dict[Array, Fraction]:
        """What indicators are worth for every unit of which some conditions hold, where that is one number."""
        result = {}
        for array in self.indicators:
            numbers = {unit.number(array) for unit in self._units if unit.may(when)}
            if len(numbers) == 1 and (number := numbers.pop()) is not None:
                result[array] = number
        return result

    def reduced(self, polynomial: Polynomial) -> Polynomial:
        """e^2 => e, e1 e2 => 0, mu e => m e."""
        indicators, slopes = self.indicators, self._slopes
        result: Polynomial = {}
        for monomial, coefficient in polynomial.items():
            refs = [(ref, exponent) for ref, exponent in monomial.factors if isinstance(ref, Ref)]
            present = [ref for ref, exponent in refs if ref.array in indicators and exponent > 0]
            if any(self._exclusive(a, b) for a in present for b in present):
                continue
            factors: list[Expr] = []
            for ref, exponent in monomial.factors:
                slope = slopes.get(ref.array) if isinstance(ref, Ref) else None
                if ref in present:
                    factors.append(ref)
                elif slope is not None and exponent > 0 and slope[0] in [e.array for e in present]:
                    factors.append(Number(slope[1] ** exponent))
                else:
                    factors.append(power(ref, exponent))
            for shorter, number in expand(mul(coefficient, total(monomial.bound, mul(*factors)))).items():
                result[shorter] = result.get(shorter, Fraction(0)) + number
        return {monomial: number for monomial, number in result.items() if number}

    def _exclusive(self, a: Ref, b: Ref) -> bool:
        return a.array != b.array and a.indices == b.indices and all(
            u.number(a.array) * u.number(b.array) == 0 for u in self._units  # type: ignore[operator]
        )  # fmt: skip

    @property
    def _slopes(self) -> dict[Array, tuple[Array, Fraction]]:
        """mu => (e, m) where mu is m as soon as the sum of e over the units is not 0: as it is where one e is 1."""
        found = {}
        for e in self.scheme.frozen:
            if not isinstance(e.rhs, Cases) or e.array.axes:
                continue
            for row in e.rhs:
                if len(row.when) != 1 or row.when[0].relation != "!=" or not isinstance(row.value, Number):
                    continue
                counted = self._summed(row.when[0].subject)
                if counted in self.indicators and counted is not None:
                    found[e.array] = (counted, row.value.value)
        return found

    def _summed(self, count: Expr) -> Array | None:
        """N => e where N = sum_j e_j."""
        rhs = self.definitions[count.array].rhs if isinstance(count, Ref) and count.array in self.definitions else None
        return rhs.body.array if isinstance(rhs, Total) and isinstance(rhs.body, Ref) else None

    # --------------------------------------------------------------------------------------------------- gates

    def guard(self, part: PartRecord) -> Equation | None:
        """The equation that is undefined where a unit has left its piece."""
        return next(
            (e for e in part.equations if isinstance(e.rhs, Cases) and any(b.value is None for b in e.rhs)), None
        )

    def gates_hold(self, part: PartRecord, equation: Equation) -> bool:
        """Whether phi and phi' are those of the pieces at `init` wherever an equation of a part has a value."""
        if part.name not in ("step", "output"):
            return False
        guard = self.guard(part)
        if guard is not None and equation.name != guard.name and guard.array not in _behind(part, equation):
            return False
        table = guard.rhs if guard is not None and isinstance(guard.rhs, Cases) else ()
        conditions = [row.when for row in table if row.value is not None] or [()]
        key = part.name
        if key not in self._answers:
            self._answers[key] = all(u.keeps(part, when) for when in conditions for u in self._units)
        return self._answers[key]

    def refused_rightly(self, part: PartRecord, branch: Branch) -> bool:
        """In a row without a value some unit has left its piece: if all had kept theirs, its last condition would fail.

        The margin is linear in an extreme ratio, c r + d. Either r is the ratio of a unit on the piece, and that unit
        says that it is positive; or it is the mean, and N (c r + d) is the sum of c q + d e over all units.
        """
        margin = branch.when[-1]
        if margin.relation != "<=" or margin.bound or part.name not in ("step", "output"):
            return False
        rhs = _opened(part, margin.subject)
        extreme = next((r for r in _refs(rhs) if isinstance(self._rhs(r.array), Extreme)), None)
        if extreme is None:
            return False
        by_power = coefficients(expand(rhs), extreme)
        if not set(by_power) <= {0, 1}:
            return False
        c, d = (as_expr(by_power.get(n, {})) for n in (1, 0))
        taken = self._rhs(extreme.array)
        assert isinstance(taken, Extreme)
        if not isinstance(taken.body, Ref):
            return False
        own = [u for u in self._units if u.ratio(taken.body.array) is not None]
        return all(u.positive(part, c, d, taken.body.array) for u in own) and self._mean_is_positive(
            part, c, d, taken.body.array, own
        )

    def _rhs(self, array: Array) -> Expr | Cases | None:
        return self.definitions[array].rhs if array in self.definitions else None

    def _mean_is_positive(self, part: PartRecord, c: Expr, d: Expr, filled: Array, own: list[_Unit]) -> bool:
        """The same for what stands in for the units off the piece."""
        others = [u for u in self._units if u not in own]
        means = {u.filled(filled) for u in others}
        if not others:
            return True
        if len(means) != 1:
            return False
        (mean,) = means
        table = self._rhs(mean.array) if isinstance(mean, Ref) else None
        if not isinstance(table, Cases):
            return False
        some, none = (next((b for b in table if [x.relation for x in b.when] == [r]), None) for r in ("!=", "="))
        if some is None or none is None or none.value != ZERO or some.when[0].subject != none.when[0].subject:
            return False
        count = some.when[0].subject
        e = self._summed(count)
        quotient = some.value.factors if isinstance(some.value, Mul) else ()
        if e is None or len(quotient) != 2 or quotient[1] != power(count, -1):
            return False
        q = self._summed(quotient[0])
        if q is None or not all(u.number(e) == 1 and u.same(q, filled) for u in own):
            return False
        if not all(u.number(e) == 0 and u.number(q) == 0 for u in others):
            return False
        return self._rests(part, count, d)

    def _rests(self, part: PartRecord, count: Expr, d: Expr) -> bool:
        """Where a piece has no unit, nothing has moved since `init`, and d > 0."""
        zero: dict[Array, Any] = {}
        for e in self.scheme.frozen:
            for row in e.rhs if isinstance(e.rhs, Cases) else ():
                if row.when == (Condition(count, "="),) and row.value == ZERO:
                    zero[e.array] = (), ZERO
        first = {
            e.array: e.rhs for e in self.scheme.init.equations if e.rule is Rule.STATE and isinstance(e.rhs, Number)
        }
        still = {array: ((), value) for array, value in first.items()}
        step = {e.array: e for e in self.scheme.step.equations if e.defines}
        moved = {}
        for array in first:
            rhs = _opened(self.scheme.step, array.primed[()], (Rule.DEFINITION, Rule.STATE))
            mu = [m for m in zero if m in {r.array for r in _refs(rhs)}]
            if mu and array.primed in step:
                moved[array] = expand(inline(rhs, zero | still))
        if any(value != expand(first[array]) for array, value in moved.items()):
            return False
        at_rest = expand(inline(d, {array: still[array] for array in moved}))
        return len(at_rest) == 1 and all(not m.factors and number > 0 for m, number in at_rest.items())


def _refs(node: Expr) -> list[Ref]:
    from fcsym.language.expression import refs_in

    return list(refs_in(node))


def _behind(part: PartRecord, equation: Equation) -> set[Array]:
    """Everything of a part that an equation rests on."""
    by_array = {e.array: e for e in part.equations if e.defines}
    found: set[Array] = set()
    waiting = list(equation.operands)
    while waiting:
        array = waiting.pop()
        if array not in found:
            found.add(array)
            waiting += by_array[array].operands if array in by_array else ()
    return found


def _opened(part: PartRecord, node: Expr, rules: tuple[Rule, ...] = (Rule.DEFINITION,)) -> Expr:
    """An expression with a part's own abbreviations put in."""
    own = {
        e.array: (e.lhs.indices, e.rhs)
        for e in part.equations
        if e.rule in rules and isinstance(e.rhs, Expr) and isinstance(e.lhs, Ref)
    }
    for _ in own:
        node = inline(node, own)
    return node


class _Unit:
    """One hidden unit, at `init` below a kink, on it, or above: its numbers as z3 terms."""

    def __init__(self, pieces: Pieces, region: int) -> None:
        self.pieces, self.phi = pieces, pieces.phi
        self.facts: list[Any] = []
        self.values: dict[Array, Any] = {}
        self.rows: dict[Array, Branch] = {}
        self.allowed = True
        s = self._of(pieces.start)
        self.facts += self._within(s, region)
        self.region = region
        for equation in pieces.scheme.frozen[1:]:
            self._define(equation)
        self._define(pieces.now)

    def _within(self, s: Any, region: int) -> list[Any]:
        """s is below the first kink (0), on it (1), between it and the next (2), ..."""
        kinks = [_number(kink) for kink in self.phi.kinks]
        if region % 2:
            return [s == kinks[region // 2]]
        above, below = kinks[: region // 2][-1:], kinks[region // 2 :][:1]
        return [s > kink for kink in above] + [s < kink for kink in below]

    def _of(self, array: Array) -> Any:
        return self.values.setdefault(array, z3.Real(array.name))

    def _define(self, equation: Equation) -> None:
        array, rhs = equation.array, equation.rhs
        if isinstance(rhs, Extreme):
            one, every = self._of(array), self.value(rhs.body)
            self.facts.append(one <= every if rhs.kind == "min" else one >= every)
        elif isinstance(rhs, Cases):
            row = next((b for b in rhs if self._implies(b.when)), None)
            if row is None:  # it depends on all units
                self._of(array)
            elif row.value is None:  # `init` refuses such a unit
                self.allowed = False
            else:
                self.rows[array] = row
                self.values[array] = self.value(row.value)
        elif isinstance(rhs, Total) and not self._single(rhs):
            self._of(array)
        else:
            self.values[array] = self.value(rhs)

    def _single(self, node: Total) -> bool:
        return all(index.axis in self.pieces.ones for index in node.over)

    def value(self, node: Expr) -> Any:
        """An expression about this unit; sums over all units are numbers of which nothing is known."""
        match node:
            case Number(value):
                return _number(value)
            case Ref(array, _):
                return self._of(array)
            case Add(terms):
                return z3.Sum([self.value(term) for term in terms])
            case Mul(factors):
                below = [f.base for f in factors if isinstance(f, Pow) and f.exponent == -1]
                above = [self.value(f) for f in factors if not (isinstance(f, Pow) and f.exponent == -1)]
                if any(z3.is_rational_value(v) and v.as_fraction() == 0 for v in above):
                    return _number(Fraction(0))
                result = z3.Product(above)
                for base in below:
                    quotient = z3.FreshReal("quotient")
                    self.facts.append(quotient * self.value(base) == result)
                    result = quotient
                return result
            case Pow(base, exponent) if exponent > 0:
                return z3.Product([self.value(base)] * exponent)
            case Total(_, body) if self._single(node):
                return self.value(body)
            case _:
                raise UnsupportedExpression(f"{node!r} is not about one unit.")

    def _condition(self, condition: Condition) -> Any:
        subject, bound = self.value(condition.subject), _number(condition.bound)
        return {">": subject > bound, "<=": subject <= bound, "=": subject == bound, "!=": subject != bound}[
            condition.relation
        ]

    def _implies(self, when: tuple[Condition, ...]) -> bool:
        return self.follows(z3.And(*(self._condition(condition) for condition in when)), self.facts)

    def may(self, when: tuple[Condition, ...]) -> bool:
        """Whether conditions are not known to fail."""
        return not self.follows(z3.Not(z3.And(*(self._condition(condition) for condition in when))), self.facts)

    @staticmethod
    def follows(statement: Any, facts: list[Any]) -> bool:
        """Whether a statement is true wherever the facts are."""
        solver = z3.Solver()
        solver.set("timeout", _TIMEOUT)
        solver.add(*facts, z3.Not(statement))
        return bool(smt.check(solver) == z3.unsat)

    # ------------------------------------------------------------------------------------------------ questions

    def number(self, array: Array) -> Fraction | None:
        """The value of an array for this unit, where that is known."""
        value = self.values.get(array)
        if value is None:
            return None
        value = smt.simplified(value)
        return Fraction(value.as_fraction()) if z3.is_rational_value(value) else None

    def filled(self, array: Array) -> Expr | None:
        """What the case of this unit says that an array is."""
        return self.rows[array].value if array in self.rows else None

    def ratio(self, array: Array) -> Expr | None:
        """The same where it is a number of the unit itself."""
        value = self.filled(array)
        return value if isinstance(value, Ref) and value.array.axes else None

    def same(self, one: Array, other: Array) -> bool:
        """Whether two arrays have one value for this unit."""
        return self.follows(self._of(one) == self._of(other), self.facts)

    def _abbreviations(self, part: PartRecord) -> list[Any]:
        facts = []
        for e in part.equations:
            if e.rule is Rule.DEFINITION and isinstance(e.rhs, Expr) and not e.array.axes:
                try:
                    facts.append(self._of(e.array) == self.value(e.rhs))
                except UnsupportedExpression:  # a sum over all units
                    continue
        return facts

    def keeps(self, part: PartRecord, when: tuple[Condition, ...]) -> bool:
        """phi(s) and phi'(s) are what `gates` say, under conditions."""
        facts = [*self._abbreviations(part), *map(self._condition, when)]
        facts += self.facts
        s = self._of(self.pieces.now.array)
        claims = []
        for gate in self.pieces.scheme.gates:
            assert isinstance(gate.rhs, Expr)
            true = _phi(self.phi, s, derivative=gate.array.role is Role.GATE)
            claims.append(self.value(gate.rhs) == true)
        return all(self.follows(claim, facts) for claim in claims)

    def positive(self, part: PartRecord, c: Expr, d: Expr, ratio: Array) -> bool:
        """A unit that has kept its piece says that c r + d > 0 for its own ratio r."""
        kept = self._within(self._of(self.pieces.now.array), self.region)
        facts = [*self._abbreviations(part), *self.facts, *kept]
        return self.follows(self.value(c) * self._of(ratio) + self.value(d) > 0, facts)


def _number(value: Fraction) -> Any:
    return z3.RatVal(value.numerator, value.denominator)


def _phi(phi: Activation, s: Any, derivative: bool) -> Any:
    """phi(s) or phi'(s), with the declared slopes at kinks."""

    def on(slope: Fraction, intercept: Fraction) -> Any:
        return _number(slope) if derivative else _number(slope) * s + _number(intercept)

    result = on(phi.pieces[0].slope, phi.pieces[0].intercept)
    for kink, slope, piece in zip(phi.kinks, phi.kink_slopes, phi.pieces[1:], strict=True):
        at = on(slope, phi.value_at(kink) - slope * kink)
        result = z3.If(s > _number(kink), on(piece.slope, piece.intercept), z3.If(s == _number(kink), at, result))
    return result
