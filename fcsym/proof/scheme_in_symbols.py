"""What every array of a scheme means, in symbols at any width, and whether its equations say so."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Definition, as_expr, contract, expand, indices_of, inline
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import (
    ZERO,
    Apply,
    Array,
    Expr,
    Extreme,
    Number,
    Pow,
    Ref,
    Role,
    arrays_in,
    children,
    mul,
    power,
)
from fcsym.networks.symbols import SHAPE, SIZE, STORED, frozen_activation, frozen_copy, frozen_pre_activation, norm
from fcsym.proof.answers import left_indices, pair, right_side
from fcsym.proof.pieces import Pieces

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["InSymbols", "backpropagation_of"]

_ROUNDS = 6  # an update rule has a name for each of its steps: as many are put in, one after another


class InSymbols:
    """What every array means, in symbols, at any width."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme, self.base = scheme, backpropagation_of(scheme)
        self.depth = len(scheme.network.layers)
        self.ones = frozenset(axis for axis, size in scheme.network.sizes.items() if size == 1 and not axis.open)
        constants = scheme.constants
        self.definitions = {e.array: e for e in (*scheme.frozen, *scheme.measures)}
        self.pieces = Pieces(scheme) if scheme.gates else None
        self.scalars = {
            e.array: e.rhs for e in scheme.base if e.defines and isinstance(e.rhs, Expr) and not e.array.axes
        }
        squared = norm(scheme.network.input)
        self.held: dict[Array, Definition] = {}
        if not squared.axes:  # a0 = c0 t0 c0, for one input
            self.held = {SHAPE: ((), mul(squared[()], power(SIZE[()], -2)))}
        self.inverse = [(a, b) for a in constants for b in constants if _are_inverse(constants[a], constants[b])]

    def starts_empty(self, array: Array) -> bool:
        """Whether an array has no entries before the first step, so that `init` says nothing of it."""
        return STORED in array.axes

    def is_defined_so(self, part: PartRecord, equation: Equation) -> bool:
        """Whether an equation is the scheme's definition of its left-hand side; in `init`, at the first weights."""
        definition = self.definitions[equation.array]
        shift = self._before_the_first() if part.name == "init" else {}

        def moved(node: Expr) -> Expr:
            return inline(node, shift)

        if isinstance(definition.rhs, Expr):
            return bool(moved(definition.rhs) == equation.rhs)
        rows = [
            replace(
                row,
                when=tuple(replace(condition, subject=moved(condition.subject)) for condition in row.when),
                value=None if row.value is None else moved(row.value),
            )
            for row in definition.rhs
        ]
        return isinstance(equation.rhs, Cases) and rows == list(equation.rhs)

    def refused_rightly(self, part: PartRecord, branch: Branch) -> bool:
        """Whether a row without a value says so only where a unit has left its piece."""
        return self.pieces is not None and self.pieces.refused_rightly(part, branch)

    def holds(self, part: PartRecord, equation: Equation) -> bool | None:
        """Whether an equation without cases says what its left-hand side means; None where this cannot be said."""
        assert isinstance(equation.rhs, Expr)
        return self._compare(part, equation, equation.rhs, {})

    def case_holds(self, part: PartRecord, equation: Equation, branch: Branch) -> bool | None:
        """The same for one row; where its condition says that the largest entry of x is 0, x is."""
        assert branch.value is not None
        x, zero = self.scheme.network.input, dict[Array, Definition]()
        if self.pieces is not None:  # a row may be about the units of one piece
            zero = {e: (indices_of(e), Number(n)) for e, n in self.pieces.indicators_where(branch.when).items()}
        for condition in branch.when:
            if condition == Condition(SIZE[()], "="):
                zero[x] = indices_of(x), ZERO
        rows: dict[Array, Definition] = {}
        for other in part.equations:  # what has cases of its own is on the row with the same condition
            if other.defines and isinstance(other.rhs, Cases) and other.array in self.definitions:
                value = next((row.value for row in other.rhs if row.when == branch.when), None)
                rows |= {} if value is None else {other.array: (left_indices(other), value)}
        return self._compare(part, equation, inline(branch.value, rows), zero)

    def _compare(self, part: PartRecord, equation: Equation, rhs: Expr, zero: dict[Array, Definition]) -> bool | None:
        own = equation.rule is Rule.DEFINITION and equation.defines and not self._known(equation.array)
        if own and not (part.name == "init" and equation.array.role is Role.FROZEN):
            return None  # the scheme's own abbreviation
        try:
            return all(
                self._same(part, equation, left, right, zero) for left, right in self._claims(part, equation, rhs)
            )
        except UnsupportedExpression:
            return None

    def _known(self, array: Array) -> bool:
        """Whether backpropagation has the array."""
        network = self.scheme.network
        return array.name in self.base or array in network.parameters or array in network.memory

    def _claims(self, part: PartRecord, equation: Equation, rhs: Expr) -> list[tuple[Expr, Expr]]:
        """What has to be equal for the equation to be right."""
        if not equation.defines:  # a statement about arrays that are known already
            return [(self._truth(equation.lhs), rhs)]
        own = {
            e.array: pair(e)
            for e in part.equations
            if e.defines and isinstance(e.rhs, Expr) and not self._known(e.array) and e.rule is not Rule.DEFINITION
        }
        if self._known(equation.array):
            meant = any(m.array == equation.array for m in self.scheme.meanings)
            return [(equation.lhs if meant else self._truth(equation.lhs), inline(rhs, own))]
        if equation.rule is Rule.DEFINITION:  # v^c
            return [(inline(equation.lhs, self._before_the_first()), rhs)]
        own[equation.array] = left_indices(equation), rhs
        changed = equation.array.unprimed if part.name in ("init", "step") else equation.array
        mentioning = [m for m in self.scheme.meanings if changed in (m.array, *m.operands)]
        if not mentioning:
            raise UnsupportedExpression(f"Nothing is known of what {equation.name} stands for.")
        shift: dict[Array, Definition] = {}
        if part.name == "init":  # but for what is examined
            shift = {a: first for a, first in self._before_the_first().items() if a != equation.array}
        elif part.name == "step":
            shift = self._after_the_step(part)
        claims = []
        for meaning in mentioning:
            sides = [inline(meaning.lhs, shift), inline(as_expr(expand(right_side(meaning))), shift)]
            for _ in range(2):  # a new value may rest on another one
                sides = [inline(side, own) for side in sides]
            claims.append((sides[0], sides[1]))
        return claims

    def _truth(self, lhs: Expr) -> Expr:
        """What an array is in backpropagation, one equation down."""
        assert isinstance(lhs, Ref)
        equation = self.base.get(lhs.array.name)
        if equation is None or not isinstance(equation.rhs, Expr):
            return lhs
        return inline(lhs, {lhs.array: pair(equation)})

    def _before_the_first(self) -> dict[Array, Definition]:
        """Nothing has moved: W_c is W, v^c is v, u is 0, and nothing is stored."""
        network = self.scheme.network
        shift: dict[Array, Definition] = {}
        shift |= {frozen_copy(a): (indices_of(a), a[indices_of(a)]) for a in network.parameters}
        for layer in range(1, self.depth):
            v = network.passed_on(layer)
            shift[Array("vc", layer, v.axes)] = indices_of(v), v[indices_of(v)]
            if layer == self.depth - 1:
                shift[frozen_activation(v)] = indices_of(v), v[indices_of(v)]
        s = network.pre_activation(1)
        shift[frozen_pre_activation(s)] = indices_of(s), s[indices_of(s)]
        resting = [after.unprimed for after in self.scheme.moving]
        resting += [a for a in self.scheme.state if self.starts_empty(a)]
        shift |= {a: (indices_of(a), Number(value)) for a, value in network.memory.items()}
        return shift | {a: (indices_of(a), ZERO) for a in resting}

    def _after_the_step(self, part: PartRecord) -> dict[Array, Definition]:
        """Every array that a step changes gets its prime."""
        arrays = {a for m in self.scheme.meanings for a in (m.array, *m.operands)}
        changed = {e.array for e in part.equations} | set(self.scheme.moving)
        moving = [a for a in arrays if a.primed in changed or a.primed.name in self.base]
        return {a: (indices_of(a), a.primed[indices_of(a)]) for a in moving}

    def _same(
        self, part: PartRecord, equation: Equation, left: Expr, right: Expr, zero: dict[Array, Definition]
    ) -> bool:
        """left = right when every array stands for what it means, with quotients by scalars cleared.

        Where a scheme says what s is, there are two ways to put that in: by the weights below it, or as it says.
        """
        readings = [self._stages(part)]
        if self.pieces is not None:
            readings.append(self._on_pieces(part, equation, self.pieces))
        return any(self._equal(stages, left, right, zero) for stages in readings)

    def _equal(
        self, stages: list[dict[Array, Definition]], left: Expr, right: Expr, zero: dict[Array, Definition]
    ) -> bool:
        def opened(node: Expr) -> Expr:
            for _ in range(_ROUNDS):  # a meaning may mention what another one is about
                before = node
                for stage in stages:
                    node = inline(node, stage)
                if node == before:
                    break
            return inline(node, zero)

        difference = as_expr(expand(opened(left) - opened(right)))
        for one, other in self.inverse:
            difference = as_expr(contract(expand(difference), one, other))
        cleared = expand(mul(difference, *_denominators(difference)))
        norm = {e.array: pair(e) for e in self.base.values() if e.name == "a0"}
        squared = expand(inline(inline(inline(as_expr(cleared), self.held), norm), zero))
        result = expand(mul(as_expr(squared), *_denominators(as_expr(squared))), ones=self.ones)
        return not (result and self.pieces.reduced(result) if self.pieces is not None else result)

    def _on_pieces(self, part: PartRecord, equation: Equation, pieces: Pieces) -> list[dict[Array, Definition]]:
        """What is put in where units are held on their pieces: the gates, too, if an equation has a value only then."""
        own, _, moved, meanings = self._stages(part)
        gates = {e.array: pair(e) for e in self.scheme.gates} if pieces.gates_hold(part, equation) else {}
        carried = {
            e.array: pair(e) for e in self.base.values() if e.name in ("ds1", "delta1") and isinstance(e.rhs, Expr)
        }
        frozen = {
            e.array: pair(e)
            for e in self.scheme.frozen[1:]
            if isinstance(e.rhs, Expr) and not isinstance(e.rhs, Extreme)
        }
        return [own, carried, moved, gates, meanings, frozen]

    def _stages(self, part: PartRecord) -> list[dict[Array, Definition]]:
        """What is put in: abbreviations, the first layer, what the step made of things, what the state stands for."""
        divisors = {array for e in part.equations for node in e.expressions for array in _divisors(node)}
        own = [
            e
            for e in part.equations
            if (e.rule is Rule.DEFINITION or e.array.role is Role.MOMENT)  # what a change is made of
            and isinstance(e.rhs, Expr)
            and not isinstance(e.rhs, Apply)
            and not self._known(e.array)
            and e.array not in divisors  # a quotient stays one by an array element
        ]
        first = [self.base[self.scheme.network.pre_activation(1).name]]
        after = [e for e in self.base.values() if e.defines and e.array.after and isinstance(e.rhs, Expr)]
        trained = (Rule.GRADIENT, Rule.TRAINING)
        made = [e for e in self.base.values() if e.rule in trained and not e.array.after and isinstance(e.rhs, Expr)]
        moved = [*after, *made, *self.scheme.moving.values()]
        return [{e.array: pair(e) for e in stage} for stage in (own, first, moved, self.scheme.meanings)]


def _are_inverse(left: Any, right: Any) -> bool:
    """Whether two matrices are inverse to each other, computed."""
    if left is right or len(left) != len(left[0]) or len(left) != len(right) or len(right) != len(right[0]):
        return False
    columns = list(zip(*right, strict=True))
    return all(
        sum((a * b for a, b in zip(row, column, strict=True) if a and b), Fraction(0)) == (n == m)
        for n, row in enumerate(left)
        for m, column in enumerate(columns)
    )


def _divisors(node: Expr) -> set[Array]:
    """The arrays that an expression divides by."""
    found = {a for child in children(node) for a in _divisors(child)}
    if isinstance(node, Pow) and node.exponent < 0:
        found |= set(arrays_in(node.base))
    return found


def _denominators(node: Expr) -> list[Expr]:
    """Scalars below a line: what both sides are multiplied by."""
    result: dict[Ref, int] = {}
    for monomial in expand(node):
        for ref, exponent in monomial.factors:
            if isinstance(ref, Ref) and exponent < 0 and not ref.indices:
                result[ref] = max(result.get(ref, 0), -exponent)
    return [power(ref, exponent) for ref, exponent in result.items()]


def backpropagation_of(scheme: SchemeRecord) -> dict[str, Equation]:
    """The equations of one training step, without the compensation that the same derivation ends with."""
    own = (Rule.CHOICE, Rule.IDENTITY, Rule.SPLIT, Rule.INTEGRAL)
    return {e.name: e for e in scheme.base if e.rule not in own and e.name not in ("vc", "r")}
