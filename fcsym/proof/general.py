"""What every equation has to mean in a network of layers, by its forward equations alone, at any width.

The forward equations are what the network is. An adjoint is what is linear in a change, carried through every equation
that reads the array; an increment is a forward equation at primed values less the same at old ones; and so on. What
earlier equations of the list say has its own verdict and may be used. Functions such as exp and sqrt are elements with
what is known of their slopes: an identity is decided modulo these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fcsym.deriving.update import changes_with_names
from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import Definition, as_expr, expand, indices_of, inline, products, rename
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import (
    ZERO,
    Apply,
    Array,
    Expr,
    Extreme,
    Mul,
    Pow,
    Ref,
    Role,
    Total,
    add,
    applied_in,
    arrays_in,
    mul,
    total,
)
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    adjoint_of,
    derivative_of,
    effective,
    frozen_activation,
    gate_of,
    increment_of,
    norm,
)
from fcsym.proof.obligations import Meanings, in_the_place_of

__all__ = ["General", "moving"]


def _divisions(array: Array, *sides: Expr) -> int:
    """How often an array stands below a product of the sides, at most: so often times it, a direction is as good."""
    every = (factors.items() for side in sides for _, factors, _ in products(side))
    return max([0, *(-e for factors in every for f, e in factors if isinstance(f, Ref) and f.array == array)])


def _spelt_out(node: Expr) -> Expr:
    """Functions as elements of arrays of their own, which are the same where function and argument are."""

    def element(f: Apply) -> Expr:
        if not isinstance(f.argument, Ref):
            raise UnsupportedExpression(f"{f!r} is applied to more than an element.")
        array, indices = f.argument.array, f.argument.indices
        return Array(f"{f.activation.name}{f.derivative}_{array.name}", None, array.axes)[indices]

    return in_the_place_of(node, {f: element(f) for f in applied_in(node)})


def moving(passed: Mapping[Array, Equation], trained: tuple[Array, ...]) -> frozenset[Array]:
    """The forward arrays that a step may change: those that a trained parameter reaches."""
    found: set[Array] = set()
    for array, equation in passed.items():
        if any(a in trained or a in found for a in equation.operands):
            found.add(array)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class General(Meanings):
    """What symbols mean in a network of layers that is trained in a given order."""

    @classmethod
    def of(cls, network: Network, order: Order, given: Mapping[str, Equation]) -> General:
        """The meanings for a network; `given` are the equations under examination."""
        plain = Meanings.of(network, order, given)
        made = dict(plain.made)
        named = changes_with_names(tuple(plain.passed.values()), network.trained)
        for theta in network.trained if network.rule.is_plain else ():
            if theta in named:
                equations = network.rule.equations(theta, indices_of(theta), named=True)
                made |= {equation.array: equation for equation in equations}
        return cls(
            network, order, plain.passed, given, plain.readers, plain.seen, plain.belongs, made, plain.ones,
        )  # fmt: skip

    def holds(self, equation: Equation) -> bool | None:
        """Whether the right-hand side means what the left-hand side does; None where this cannot be said here."""
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        array, indices = equation.lhs.array, equation.lhs.indices
        base = array.unprimed
        try:
            if equation.rule is Rule.IDENTITY:
                return self._identity(equation)
            if array in self.passed or array in self.made:
                expected = self.passed[array] if array in self.passed else self.made[array]
                assert isinstance(expected.rhs, Expr) and isinstance(expected.lhs, Ref)
                meant = inline(array[indices], {array: (expected.lhs.indices, expected.rhs)})
                return self._says(meant, equation.rhs)
            if array.of is not None and array == derivative_of(self.root, array.of):
                return self._derivative(equation, array.of, weights=array.of not in self.passed)
            if self.network.places and array in self._solved():
                return self._solution(equation)
            if array.after and base in self.network.trained:
                return self._update(base, equation)
            if array.after and base in self.passed:
                return self._after(equation, base)
            whose = array.of
            if whose is None:
                return None
            if array == increment_of(whose) and whose in self.passed:
                return self._change_of(equation, whose)
            if array == gate_of(whose):
                return self._is_gate(equation, whose)
            if array == adjoint_of(whose) and whose in self.passed:
                return self._derivative(equation, whose, weights=False)
            if array in (norm(whose), frozen_activation(whose)):
                return self.same(equation.rhs, self._named(array, whose, indices))
        except UnsupportedExpression:
            return None
        return None

    def _says(self, meant: Expr, said: Expr) -> bool:
        """Whether two sides are the same but for the names of bound indices and the order of terms."""
        if meant == said:
            return True
        if isinstance(meant, Extreme) and isinstance(said, Extreme):
            if meant.kind != said.kind or [i.axis for i in meant.over] != [i.axis for i in said.over]:
                return False
            return self._says(rename(meant.body, dict(zip(meant.over, said.over, strict=True))), said.body)
        if isinstance(meant, Extreme) or isinstance(said, Extreme):
            return False
        return self.same(_spelt_out(meant), _spelt_out(said))

    # ---------------------------------------------------------------------------------------------- derivatives

    def _is_gate(self, equation: Equation, s: Array) -> bool:
        assert isinstance(equation.lhs, Ref)
        read = [e.rhs for e in self.readers.get(s, ()) if isinstance(e.rhs, Apply) and not e.rhs.derivative]
        at = s[equation.lhs.indices]
        return any(equation.rhs == Apply(node.activation, at, derivative=1) for node in read)

    def _named_adjoint(self, array: Array) -> Array | None:
        """What the list calls the derivative by an array, where it has one."""
        for made in (derivative_of(self.root, array), adjoint_of(array)):
            found = self.given.get(made.name)
            if found is not None and found.rule in (Rule.ADJOINT, Rule.GRADIENT):
                return made
        return None

    def _linear(self, variable: Array, direction: Array, weights: bool) -> Expr:
        """What E changes by, to first order, when an array moves by the direction."""
        if variable == self.root and self.at:
            return direction[self.at]
        parts: list[Expr] = []
        for equation in self.readers.get(variable, ()):
            array = equation.array
            assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
            if isinstance(equation.rhs, Extreme):  # E does not depend on it, which is decided for itself
                if not self._goes_unnoticed(array):
                    raise UnsupportedExpression(f"E depends on {array.name}, whose slope is not known.")
                continue
            if isinstance(equation.rhs, Apply) and equation.rhs.derivative:
                moved = self._bent(equation, variable, direction)
            else:
                rhs = equation.rhs if weights else inline(equation.rhs, self.seen)
                moved = self._moved(equation, rhs, variable, direction)
            if moved == ZERO:
                continue
            indices = equation.lhs.indices
            if array == self.root:
                parts.append(total(indices, mul(self._reaching(array, indices), moved)))
            elif (named := self._named_adjoint(array)) is not None:
                parts.append(total(indices, mul(named[(*self.at, *indices)], moved)))
            else:
                tangent = Array(f"tangent_{array.name}", None, array.axes)
                inner = self._linear(array, tangent, weights)
                parts.append(inline(inner, {tangent: (equation.lhs.indices, moved)}))
        return add(*parts)

    def _bent(self, equation: Equation, variable: Array, direction: Array) -> Expr:
        """What a gate changes by: nothing between the kinks of what is made of pieces."""
        del variable, direction
        assert isinstance(equation.rhs, Apply)
        if equation.rhs.activation.is_smooth:
            raise UnsupportedExpression(f"{equation.name} is a slope that changes.")
        return ZERO

    def _moved(self, equation: Equation, rhs: Expr, variable: Array, direction: Array) -> Expr:
        if isinstance(rhs, Apply) and isinstance(rhs.argument, Ref) and rhs.argument.array == variable:
            at = rhs.argument.indices
            gate = self.given.get(gate_of(variable).name)
            named = gate is not None and isinstance(gate.rhs, Apply) and gate.rhs.activation == rhs.activation
            if named and equation.array.role is Role.ACTIVATION:
                return mul(gate_of(variable)[at], direction[at])
        return self._first_order(rhs, variable, direction)

    def _goes_unnoticed(self, extreme: Array) -> bool:
        """Whether E is the same wherever an extreme of some scores goes, as it is where a softmax takes it out."""
        direction = Array(f"moved_{extreme.name}", None, extreme.axes)
        change = self._in_elements(self._linear(extreme, direction, weights=True))
        for array, equation in self.passed.items():
            if array.role is not Role.PARTITION or array.axes != extreme.axes[: len(array.axes)]:
                continue
            assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
            indices = indices_of(direction)
            scaled = mul(array[indices[: len(array.axes)]] ** _divisions(array, change), direction[indices])
            change = as_expr(expand(inline(change, {direction: (indices, scaled)})))
            divisor = {array: (equation.lhs.indices, self._in_elements(equation.rhs))}
            change = as_expr(expand(inline(change, divisor)))
        return self.same(change, ZERO)

    def _in_elements(self, node: Expr) -> Expr:
        """Functions as elements, and what a softmax is made of, masks, products, sums and quotients, written out."""
        shown: dict[Array, Definition] = {}
        for array, equation in self.passed.items():
            assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
            factors = equation.rhs.factors if isinstance(equation.rhs, Mul) else ()
            quotient = any(isinstance(factor, Pow) and factor.exponent < 0 for factor in factors)
            mask = bool(array.axes) and isinstance(equation.rhs, Total) and not equation.operands  # made of positions
            if quotient or mask or (array.role is Role.TERM and isinstance(equation.rhs, Total | Mul)):
                shown[array] = (equation.lhs.indices, equation.rhs)
        node = self._opaque(node)
        while shown.keys() & set(arrays_in(node)):
            node = inline(node, shown)
        return node

    def _derivative(self, equation: Equation, variable: Array, weights: bool) -> bool:
        """sum delta t = what E changes by, to first order, when the array moves by t."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        direction = Array(f"t_{variable.name}", None, variable.axes)
        own = equation.lhs.indices[len(self.at) :]
        claimed = self._in_elements(total(own, equation.rhs * direction[own]))
        meant = self._in_elements(self._linear(variable, direction, weights))
        return self.same(claimed, meant) or self._same_with_sums(claimed, meant, direction)

    def _same_with_sums(self, left: Expr, right: Expr, direction: Array) -> bool:
        """The same where what a softmax divides by has to be seen as the sum that it is."""
        for array, equation in self.passed.items():
            if array.role is not Role.PARTITION or array.axes != direction.axes[: len(array.axes)]:
                continue
            assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
            indices = indices_of(direction)
            scaled = mul(array[indices[: len(array.axes)]] ** _divisions(array, left, right), direction[indices])
            sides = (as_expr(expand(inline(side, {direction: (indices, scaled)}))) for side in (left, right))
            divisor = {array: (equation.lhs.indices, self._in_elements(equation.rhs))}
            one, other = (inline(side, divisor) for side in sides)
            if self.same(one, other):
                return True
        return False

    # ----------------------------------------------------------------------------------------------- the step

    def _primes(self) -> dict[Array, Definition]:
        """Every array that a step changes => the same after the step."""
        every = (*self.network.trained, *moving(self.passed, self.network.trained))
        return {array: (indices_of(array), array.primed[indices_of(array)]) for array in every}

    def _differences(self) -> dict[Array, Definition]:
        """Every increment => the value after the step less the one before."""
        found: dict[Array, Definition] = {}
        for array in (*self.network.trained, *self.passed):
            indices = indices_of(array)
            found[increment_of(array)] = (indices, array.primed[indices] - array[indices])
        return found

    def _at_the_end(self, base: Array, equation: Equation) -> Expr:
        assert isinstance(equation.lhs, Ref)
        passed = self.passed[base]
        assert isinstance(passed.rhs, Expr) and isinstance(passed.lhs, Ref)
        now = inline(base[equation.lhs.indices], {base: (passed.lhs.indices, passed.rhs)})
        return inline(now, self._primes())

    def _after(self, equation: Equation, base: Array) -> bool:
        """A' = A + dA, or the forward equation at the updated values."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        at = equation.lhs.indices
        if increment_of(base) in equation.operands:
            return self.same(equation.rhs, base[at] + increment_of(base)[at])
        return self._says(self._at_the_end(base, equation), equation.rhs)

    def _change_of(self, equation: Equation, base: Array) -> bool:
        """The claimed change = the forward equation at primed values less the same at the old ones."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        at = equation.lhs.indices
        if base.primed in equation.operands:  # which then stands for the forward equation
            return self.same(equation.rhs, base.primed[at] - base[at])
        after, passed = self._at_the_end(base, equation), self.passed[base]
        assert isinstance(passed.lhs, Ref) and isinstance(passed.rhs, Expr)
        if isinstance(after, Apply):
            return equation.rhs == add(after, mul(-1, base[at]))
        now = inline(base[at], {base: (passed.lhs.indices, passed.rhs)})
        updates = {
            theta.primed: self.updated(theta) for theta in self.network.trained
            if theta.primed not in self.made and theta in passed.operands
        }  # fmt: skip
        claimed = inline(inline(equation.rhs, self._norms()), self._differences())
        return self.same(inline(claimed, updates), inline(add(after, mul(-1, now)), updates))

    def _identity(self, equation: Equation) -> bool:
        """y' = sum r v^c + b', wherever p v^c = w' dv: unit by unit, or in the sums over units that occur here."""
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        network, sample = self.network, equation.lhs.indices[:-1]
        last, weight = network.hidden[-1].v, network.read_out
        vc, r = frozen_activation(last), effective(weight)
        own = self.given[r.name]
        assert isinstance(own.lhs, Ref) and isinstance(own.rhs, Expr)
        claimed = inline(equation.rhs, {r: (own.lhs.indices, own.rhs)})
        k, *j = own.lhs.indices
        p = own.operands
        lifted = {a: ((k, *j), weight.primed[(k, *j)] * increment_of(last)[(*sample, *j)] / vc[(*sample, *j)])
                  for a in p if a.axes == weight.axes and a not in (weight.primed, weight)}  # fmt: skip
        claimed = inline(claimed, lifted)
        claimed = inline(as_expr(expand(claimed)), {vc: (indices_of(last), last[indices_of(last)])})
        meant = self._at_the_end(network.logits, equation)
        return self.same(inline(claimed, self._differences()), meant)
