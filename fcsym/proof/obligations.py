"""What every equation has to mean, and whether it does: identities in index notation, at any width.

The meaning of a symbol is read off the network's forward equations and the update order, never off the derivation:
s' is the forward equation at primed values, ds is s' - s, delta is the part of E that is linear in a change of s, and
so on. Derivatives are the linear part after a substitution; no rule of differentiation is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fcsym.deriving.forward import forward
from fcsym.deriving.kinds import is_dense
from fcsym.errors import UnsupportedExpression
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation, smooth
from fcsym.language.algebra import (
    Definition,
    as_expr,
    contract,
    contracted,
    expand,
    fresh,
    indices_of,
    inline,
    linear_part,
    rename,
    replaced,
    rewritten,
)
from fcsym.language.equation import Branch, Equation, Order, Rule, Status
from fcsym.language.expression import (
    ONE,
    ZERO,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    Inverse,
    Number,
    Pow,
    Ref,
    Role,
    add,
    applied_in,
    arrays_in,
    mul,
    power,
    total,
)
from fcsym.language.names_of_cases import of_unit, piece_conditions, remark
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ERROR,
    ETA,
    adjoint_of,
    bend_of,
    derivative_of,
    frozen_activation,
    gate_of,
    gram_of,
    increment_of,
    inverse_gram_of,
    lacking,
    multiplier,
    norm,
    p_of,
    unit_matrix,
)
from fcsym.proof.quotients import equal_where_defined

__all__ = ["Meanings", "in_the_place_of"]


@dataclass(frozen=True, slots=True)
class Meanings:
    """What symbols mean in a network that is trained in a given order."""

    network: Network
    order: Order
    passed: Mapping[Array, Equation]  # the forward equations, made anew from the network
    given: Mapping[str, Equation]  # the derivation's own definitions: a, rho, kappa, alpha, v^c, r
    readers: Mapping[Array, Sequence[Equation]]  # the forward equations in which an array stands
    seen: Mapping[Array, Definition]  # in sequential order the error passes through updated weights
    belongs: Mapping[Array, Array]  # gates, adjoints, increments and norms, and whose they are
    made: Mapping[Array, Equation]  # what the update rule makes of gradients, made anew from the rule
    ones: frozenset[Axis]  # axes of length one in this network: a sum over such an axis is its single term
    root: Array = ERROR  # what is differentiated
    at: tuple[Index, ...] = ()  # which element of it

    @classmethod
    def of(cls, network: Network, order: Order, given: Mapping[str, Equation]) -> Meanings:
        """The meanings for a network; `given` are the equations under examination."""
        passed = forward(network)
        readers: dict[Array, list[Equation]] = {}
        for equation in passed:
            for array in equation.operands:
                readers.setdefault(array, []).append(equation)
        seen = {} if order == "simultaneous" else {a: _renamed(a, a.primed) for a in network.trained}
        ones = frozenset(axis for axis, size in network.sizes.items() if size == 1 and not axis.open)
        belongs: dict[Array, Array] = {}
        for array in (equation.array for equation in passed):
            of_unit = (gate_of, adjoint_of) if array.role is Role.PRE_ACTIVATION else ()
            belongs |= {make(array): array for make in (increment_of, *of_unit)}
        for read in network.read_by_matrices:
            belongs[norm(read)] = read
        if network.hidden:
            belongs[frozen_activation(network.hidden[-1].v)] = network.hidden[-1].v
        by_array = {equation.array: equation for equation in passed}
        made: dict[Array, Equation] = {}
        if not network.rule.is_plain:
            rules = [network.rule.shared(), *(network.rule.equations(a, indices_of(a)) for a in network.trained)]
            made = {equation.array: equation for part in rules for equation in part}
        return cls(network, order, by_array, given, readers, seen, belongs, made, ones)

    def same(self, left: Expr, right: Expr) -> bool:
        """left = right at the network's own widths, wherever no denominator is 0."""
        if self.at:  # of the unit matrices only sums occur
            left, right = (contracted(as_expr(expand(side))) for side in (left, right))
        return equal_where_defined(left, right, self.ones)

    # ------------------------------------------------------------------------------- equations without cases

    def holds(self, equation: Equation) -> bool | None:
        """Whether the right-hand side means what the left-hand side does; None where this cannot be said here."""
        assert isinstance(equation.rhs, Expr)
        try:
            if equation.rule is Rule.IDENTITY or not isinstance(equation.lhs, Ref):
                return self._identity(equation)
            array, indices = equation.lhs.array, equation.lhs.indices
            if array in self.passed or array in self.made:
                expected = self.passed[array] if array in self.passed else self.made[array]
                assert isinstance(expected.rhs, Expr) and isinstance(expected.lhs, Ref)
                meant = inline(array[indices], {array: (expected.lhs.indices, expected.rhs)})
                return meant == equation.rhs or self._same_form(meant, equation.rhs)
            if array.role is Role.GRADIENT:
                return array.of is not None and self.gradient(array.of, equation)
            if self.network.places and array in self._solved():
                return self._solution(equation)
            if array.after and array.unprimed in self.network.trained:
                return self._update(array.unprimed, equation)
            if array.after:
                base = array.unprimed
                return self.same(equation.rhs, base[indices] + increment_of(base)[indices])
            whose = self.belongs.get(array)
            if whose is not None and array == gate_of(whose):
                return self._gate(equation, whose)
            if whose is not None and array == adjoint_of(whose):
                return self.adjoint(whose, equation)
            if whose is not None and array == increment_of(whose):
                return self._increment(equation, whose)
            if whose is not None:
                return self.same(equation.rhs, self._named(array, whose, indices))
        except UnsupportedExpression:
            return None
        return None

    def _same_form(self, left: Expr, right: Expr) -> bool:
        return not any(applied_in(left)) and not any(applied_in(right)) and self.same(left, right)

    def _named(self, array: Array, read: Array, indices: tuple[Index, ...]) -> Expr:
        """What v^c, and the squared norm of what a layer reads, stand for."""
        if array.role is not Role.NORM:
            return read[indices]
        i = Index(read.axes[-1], "i")
        moved = [
            [len(a.axes) for a in e.operands if a in self.network.trained] for e in self.readers[read] if is_dense(e)
        ]
        shifted = all(1 in axes for axes in moved if 2 in axes)  # what one of them lacks is no part of it
        # of a mini-batch the inner products of its samples
        one, other = (*indices[:1], i), (*indices[1:], i)
        return total(i, read[one] * read[other]) + (1 if shifted else 0)

    def _gate(self, equation: Equation, s: Array) -> bool:
        assert isinstance(equation.lhs, Ref)
        unit = self.network.units.get(s.axes[-1])
        phi = None if unit is None or unit.s != s else unit.activation
        return phi is not None and equation.rhs == Apply(phi, s[equation.lhs.indices], derivative=1)

    def _linear(self, variable: Array, direction: Array, weights: bool) -> Expr:
        """sum over the equations that read `variable`: adjoint * what is linear in the direction."""
        if variable == self.root and self.at:
            return direction[self.at]
        parts: list[Expr] = []
        for equation in self.readers.get(variable, ()):
            array = equation.array
            assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
            if isinstance(equation.rhs, Apply) and array.role is Role.ACTIVATION:  # v = phi(s), the gate held constant
                tangent = Array("tangent", array.layer, array.axes)
                inner = self._linear(array, tangent, weights)
                gate = gate_of(variable)
                parts.append(inline(inner, {tangent: _product_of(tangent, gate, direction)}))
                continue
            if array.role is Role.ACTIVATION:  # a linear layer passes the direction on
                inner = self._linear(array, Array("tangent", array.layer, array.axes), weights)
                tangent = Array("tangent", array.layer, array.axes)
                parts.append(inline(inner, {tangent: _renamed(tangent, direction)}))
                continue
            if array.role is Role.GATE:  # g = phi'(s), which only a smooth function moves
                if isinstance(equation.rhs, Apply) and equation.rhs.activation.is_smooth:
                    tangent = Array("tangent", array.layer, array.axes)
                    inner = self._linear(array, tangent, weights)
                    parts.append(inline(inner, {tangent: _product_of(tangent, bend_of(variable), direction)}))
                continue
            if isinstance(equation.rhs, Extreme):  # wherever that goes, E must not notice
                tangent = Array("tangent", array.layer, array.axes)
                inner = self._linear(array, tangent, weights)
                parts.append(inline(inner, {tangent: _renamed(tangent, _anywhere(array))}))
                continue
            rhs = equation.rhs if weights else inline(equation.rhs, self.seen)
            if array.role in (Role.TERM, Role.PARTITION) or (array.role is Role.GRADIENT and array != self.root):
                # a part of the loss, or of a derivative along directions, passes the direction on
                tangent = Array("tangent", array.layer, array.axes)
                inner = self._linear(array, tangent, weights)
                if inner == ZERO:  # as the softmax does, where the loss goes around it
                    continue
                moved = self._first_order(rhs, variable, direction)
                parts.append(inline(inner, {tangent: (equation.lhs.indices, moved)}))
                continue
            moved = self._first_order(rhs, variable, direction)
            parts.append(total(equation.lhs.indices, mul(self._reaching(array, equation.lhs.indices), moved)))
        result: Expr = ZERO
        for part in parts:
            result = result + part
        return result

    def _reaching(self, array: Array, indices: tuple[Index, ...]) -> Expr:
        """What is differentiated, by an element: its own derivative is 1, or a unit matrix."""
        if array != self.root:
            return derivative_of(self.root, array)[(*self.at, *indices)]
        return mul(*(unit_matrix(i.axis)[i, m] for i, m in zip(self.at, indices, strict=True)))

    def _first_order(self, node: Expr, variable: Array, direction: Array) -> Expr:
        """What is linear in the direction, with functions of the variable moved by their slopes.

        Of 1/Z, which times Z is 1: what it moves by, times Z, and 1/Z times what Z moves by, add up to 0.
        """
        if node != (lifted := _inverted(node, variable)):
            reciprocal, moves = _reciprocal(variable), Array("reciprocal_moves", None, variable.axes)
            indices = indices_of(variable)
            moved = mul(-1, power(variable[indices], -2), direction[indices])
            part = inline(linear_part(lifted, reciprocal, moves), {moves: (indices, moved)})
            back = {reciprocal: (indices, power(variable[indices], -1))}
            return inline(part, back) + inline(linear_part(lifted, variable, direction), back)
        found = {f: f.argument for f in applied_in(node) if isinstance(f.argument, Ref)}
        read = dict.fromkeys((f.activation, f.derivative, ref.array) for f, ref in found.items())
        stands = {key: Array(f"{key[0].name}{key[1]}_of_{key[2].name}", None, key[2].axes) for key in read}
        plain = in_the_place_of(
            node, {f: stands[f.activation, f.derivative, ref.array][ref.indices] for f, ref in found.items()}
        )
        result = linear_part(plain, variable, direction)
        indices = indices_of(variable)
        for phi, order, array in read:
            if array == variable and (phi.is_smooth or not order):
                moves = Array(f"{phi.name}_moves", None, variable.axes)
                moved = _slope(phi, variable[indices], order) * direction[indices]
                part = linear_part(plain, stands[phi, order, array], moves)
                result = result + inline(part, {moves: (indices, moved)})
        return _replaced_arrays(result, {stand: key for key, stand in stands.items()})

    def _opaque(self, node: Expr) -> Expr:
        """Functions as elements: of y where the output activation makes it, of arrays of their own elsewhere."""

        def element(f: Apply) -> Expr:
            assert isinstance(f.argument, Ref)
            array, indices = f.argument.array, f.argument.indices
            wanted = f.activation, f.derivative, array
            for one in self.passed.values():  # where the forward pass has a name for it, that
                node = one.rhs
                known = isinstance(node, Apply) and isinstance(node.argument, Ref)
                if known and (node.activation, node.derivative, node.argument.array) == wanted:  # type: ignore[union-attr]
                    return one.array[indices]
            unit = self.network.units.get(array.axes[-1]) if array.axes else None
            gate = self.given.get(gate_of(array).name)  # of two that read one array it is the slope of one alone
            other = gate is not None and isinstance(gate.rhs, Apply) and gate.rhs.activation != f.activation
            if unit is not None and unit.s == array and unit.activation == f.activation and not other:
                return (unit.v, gate_of(array), bend_of(array))[f.derivative][indices]
            return Array(f"{f.activation.name}{f.derivative}_{array.name}", None, array.axes)[indices]

        return in_the_place_of(node, {f: element(f) for f in applied_in(node)})

    def adjoint(self, variable: Array, equation: Equation) -> bool:
        """sum_j delta_j t_j = what E changes by, to first order, when s changes by t."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        direction = Array("t", variable.layer, variable.axes)
        own = equation.lhs.indices[len(self.at) :]
        claimed = total(own, equation.rhs * direction[own])
        sides = self._opaque(claimed), self._opaque(self._linear(variable, direction, weights=False))
        if self.network.softmax:
            shown = self.passed[self.network.output]
            assert isinstance(shown.rhs, Expr) and isinstance(shown.lhs, Ref)
            sides = tuple(inline(side, {shown.array: (shown.lhs.indices, shown.rhs)}) for side in sides)  # type: ignore[assignment]
        for one in self.passed.values():
            if one.array.role is Role.PARTITION:  # never 0, and what it is a sum of may cancel against it
                assert isinstance(one.rhs, Expr) and isinstance(one.lhs, Ref)
                moved = [direction, *(_anywhere(e.array) for e in self.passed.values() if isinstance(e.rhs, Extreme))]
                below = (f for side in sides for monomial in expand(side) for f in monomial.factors)
                most = max(
                    (-exponent for ref, exponent in below if isinstance(ref, Ref) and ref.array == one.array), default=0
                )
                scaled = {a: _times(a, one.array, most) for a in moved}  # as good a direction as any
                made = {one.array: (one.lhs.indices, one.rhs)}
                sides = tuple(inline(as_expr(expand(inline(side, scaled))), made) for side in sides)  # type: ignore[assignment]
        return self.same(*sides)

    def gradient(self, theta: Array, equation: Equation) -> bool:
        """sum dE/dtheta T = what E changes by, to first order, when theta changes by T."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        direction = Array("T", theta.layer, theta.axes)
        own = equation.lhs.indices[len(self.at) :]
        claimed = total(own, equation.rhs * direction[own])
        return self.same(claimed, self._linear(theta, direction, weights=True))

    def along(self, claimed: Expr, moved: Mapping[Array, Array]) -> bool:
        """dE/dT is what E changes by, to first order, when each array changes along its direction T."""
        parts = (self._linear(theta, direction, weights=True) for theta, direction in moved.items())
        return self.same(claimed, add(*parts))

    def _update(self, theta: Array, equation: Equation) -> bool:
        """sum (theta - theta') T = eta times what E changes by, to first order, when theta changes by T."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        indices = equation.lhs.indices
        direction = Array("T", theta.layer, theta.axes)
        claimed = total(indices, (theta[indices] - equation.rhs) * direction[indices])
        return self.same(claimed, ETA[()] * self._linear(theta, direction, weights=True))

    def updated(self, theta: Array) -> Definition:
        """theta' = theta - eta delta v, with the gradient read off its linear part; or as the update rule has it."""
        indices = indices_of(theta)
        if theta.primed in self.made:
            return indices, theta[indices] + increment_of(theta)[indices]
        direction = Array("T", theta.layer, theta.axes)
        change = self._linear(theta, direction, weights=True)
        return indices, theta[indices] - mul(ETA[()], _coefficient(change, direction, indices))

    def _own(self, *names: str) -> dict[Array, Definition]:
        """Definitions that the derivation made itself."""
        result = {}
        for name in names:
            equation = self.given.get(name)
            if equation is not None and isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr):
                result[equation.array] = (equation.lhs.indices, equation.rhs)
        return result

    def _norms(self) -> dict[Array, Definition]:
        return self._own(*(norm(read).name for read in self.network.read_by_matrices))

    def _after_definitions(self) -> dict[Array, Definition]:
        """v' = v + dv for every array that a layer reads."""
        result: dict[Array, Definition] = {}
        for v in (layer.v for layer in self.network.hidden):
            indices = indices_of(v)
            result[v.primed] = (indices, v[indices] + increment_of(v)[indices])
        return result

    def _increment(self, equation: Equation, base: Array) -> bool:
        """The claimed change = the forward equation at primed values - the same at the old ones."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        forward_equation = self.passed[base]
        assert isinstance(forward_equation.rhs, Expr) and isinstance(forward_equation.lhs, Ref)
        rhs = inline(base[equation.lhs.indices], {base: (forward_equation.lhs.indices, forward_equation.rhs)})
        if isinstance(rhs, Apply) and rhs.activation.is_smooth:
            assert isinstance(rhs.argument, Ref)
            after = Apply(rhs.activation, rhs.argument.array.primed[equation.lhs.indices])
            return equation.rhs == after - base[equation.lhs.indices]
        if base.role is Role.ACTIVATION:  # a linear layer: dv = ds
            source = next(iter(arrays_in(rhs)))
            return self.same(equation.rhs, increment_of(source)[equation.lhs.indices])
        moving = (*self.network.trained, *(a for a in self.passed if a.role is Role.ACTIVATION))
        primes = {array: _renamed(array, array.primed) for array in moving}
        change = inline(inline(rhs, primes), self._after_definitions()) - rhs
        updates = {theta.primed: self.updated(theta) for theta in self.network.trained if theta in arrays_in(rhs)}
        left, right = inline(inline(equation.rhs, self._norms()), updates), inline(change, updates)
        return self.same(left, right)

    def _solved(self) -> tuple[Array, ...]:
        """What a p for all samples or positions is made of, and p."""
        if not self.network.hidden:
            return ()
        vc, logits = frozen_activation(self.network.hidden[-1].v), self.network.logits
        return lacking(logits), gram_of(vc), inverse_gram_of(vc), multiplier(logits), p_of(self.network.read_out)

    def _solution(self, equation: Equation) -> bool:
        """K = v^c v^cT, mu = K^-1 w' dv and p = mu v^c: then p v^c = w' dv at every place, since K^-1 K is 1."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
        hidden, array = self.network.hidden[-1].v, equation.array
        lack, gram, inverse_, mu, _ = self._solved()
        vc, dv, new = frozen_activation(hidden), increment_of(hidden), self.network.read_out.primed
        j = _fresh_each(hidden.axes[1:], equation.lhs.indices)
        m = fresh(hidden.axes[0], (*equation.lhs.indices, *j))
        if array == inverse_:
            return equation.rhs == Inverse(gram[equation.lhs.indices])
        if array == lack:
            n, k = equation.lhs.indices
            return self.same(equation.rhs, total(j, new[(k, *j)] * dv[(n, *j)]))
        if array == gram:
            one, other = equation.lhs.indices
            return self.same(equation.rhs, total(j, vc[(one, *j)] * vc[(other, *j)]))
        if array == mu:
            n, k = equation.lhs.indices
            return self.same(equation.rhs, total(m, inverse_[n, m] * lack[m, k]))
        k, *own = equation.lhs.indices
        j = tuple(own)
        n = fresh(hidden.axes[0], (m, *j))
        solved = {mu: ((n, k), total(m, inverse_[n, m] * lack[m, k]))}
        left = total(n, mul(gram[m, n], mu[n, k]))  # p v^c at the place m, with K for the products of v^c
        made = {gram: ((m, n), total(j, vc[(m, *j)] * vc[(n, *j)]))}
        applied = total(j, mul(equation.rhs, vc[(m, *j)]))
        cancelled = as_expr(contract(expand(inline(left, solved)), gram, inverse_))
        shortest = self.same(equation.rhs, total(n, mu[n, k] * vc[(n, *j)]))  # a combination of what the places have
        return shortest and self.same(applied, inline(left, made)) and self.same(cancelled, lack[m, k])

    def _identity(self, equation: Equation) -> bool:
        """y' = sum r v^c + b', wherever p v^c = w' dv."""
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        last = self.network.hidden[-1].v
        output = self.network.logits
        weight = self.network.read_out
        k = Index(output.axes[-1], "k")
        sample = equation.lhs.indices[:-1]  # p v^c = w' dv is summed over j there, and only such sums occur
        j = tuple(Index(axis, f"j{n}") for n, axis in enumerate(last.axes[len(sample) :]))
        vc, dv = frozen_activation(last), increment_of(last)
        p = p_of(weight)
        rhs = inline(equation.rhs, self._own("r"))
        rhs = inline(rhs, {p: ((k, *j), weight.primed[(k, *j)] * dv[(*sample, *j)] / vc[(*sample, *j)])})
        # expand first, so that v^c cancels, and only then say what it is
        rhs = inline(as_expr(expand(rhs)), {vc: _renamed(vc, last)})
        passed = self.passed[output]
        assert isinstance(passed.rhs, Expr) and isinstance(passed.lhs, Ref)
        moving = (*self.network.trained, *(a for a in self.passed if a.role is Role.ACTIVATION))
        after = inline(passed.rhs, {array: _renamed(array, array.primed) for array in moving})
        meant = inline(equation.lhs, {output.primed: (passed.lhs.indices, inline(after, self._after_definitions()))})
        return self.same(meant, rhs)

    # ----------------------------------------------------------------------------------------- single cases

    def pieces(self, equation: Equation, branch: Branch) -> tuple[int, int] | None:
        """(piece before, piece after) that the branch's conditions describe; None where they describe none."""
        phi, s = self.unit(equation)
        indices = tuple(index for index in _indices_of(equation) if index.axis in s.axes)
        for a in range(len(phi.pieces)):
            for b in range(len(phi.pieces)):
                wanted = (*piece_conditions(phi, a, s[indices]), *piece_conditions(phi, b, s.primed[indices]))
                if branch.when[: len(wanted)] == wanted:
                    return a, b
        return None

    def named(self, equation: Equation, branch: Branch) -> bool:
        """Whether the branch is called what its conditions say, to the letter."""
        phi, s = self.unit(equation)
        indices = tuple(index for index in _indices_of(equation) if index.axis in s.axes)
        return branch.name == of_unit(phi, s[indices], branch.when)

    def defined_by(self, equation: Equation) -> Expr:
        """The quotient that what a table means contains, whatever its rows look like: P is an integral over it."""
        if equation.rule is not Rule.INTEGRAL:
            return ONE
        assert isinstance(equation.lhs, Ref)
        k, j = equation.lhs.indices
        error = adjoint_of(self.network.logits)[k]
        return power(mul(ETA[()], error, frozen_activation(self.network.hidden[-1].v)[j]), -1)

    def remarked(self, equation: Equation, branch: Branch) -> bool:
        """Whether the branch has the remark that its status gives it."""
        return branch.note == remark(self.unit(equation)[0], branch.when, branch.value, branch.status)

    def unit(self, equation: Equation) -> tuple[Activation, Array]:
        """The activation and the pre-activation that a case table is about."""
        unit = self.network.unit_of(equation.array) or self.network.hidden[-1]
        return unit.activation, unit.s

    def case_holds(self, equation: Equation, branch: Branch) -> bool | None:
        """Whether the branch's value means what the left-hand side does on its pieces."""
        pieces = self.pieces(equation, branch)
        if self.unit(equation)[0].is_smooth and branch.value is not None and equation.rule is Rule.CHOICE:
            return None if branch.status is not Status.VALUE else self._smooth_choice(equation, branch.value)
        if pieces is None or branch.value is None:
            return None
        try:
            match equation.rule:
                case Rule.CASES:
                    return self._change(equation, branch.value, pieces)
                case Rule.CHOICE:
                    return None if branch.status is not Status.VALUE else self._choice(equation, branch.value, pieces)
                case Rule.INTEGRAL:
                    return None if branch.status is not Status.VALUE else self._integral(equation, branch.value, pieces)
        except UnsupportedExpression:
            return None
        return None

    def _on_pieces(self, equation: Equation, pieces: tuple[int, int]) -> tuple[Ref, Ref, Expr, Expr]:
        """s, ds, phi(s) and phi(s + ds) - phi(s) for a unit on these pieces."""
        phi, array = self.unit(equation)
        indices = tuple(index for index in _indices_of(equation) if index.axis in array.axes)
        s, ds = array[indices], increment_of(array)[indices]
        before, after = phi.pieces[pieces[0]], phi.pieces[pieces[1]]
        value = s * before.slope + before.intercept
        return s, ds, value, (s + ds) * after.slope + after.intercept - value

    def _change(self, equation: Equation, value: Expr, pieces: tuple[int, int]) -> bool:
        _, _, _, change = self._on_pieces(equation, pieces)
        return self.same(value, change)

    def _choice(self, equation: Equation, value: Expr, pieces: tuple[int, int]) -> bool:
        """p v^c = w' dv on the pieces."""
        assert isinstance(equation.lhs, Ref)
        k, *own = equation.lhs.indices
        j = tuple(own)
        vc = frozen_activation(self.network.hidden[-1].v)
        weight = self.network.read_out.primed
        _, _, before, change = self._on_pieces(equation, pieces)
        left = inline(as_expr(expand(value * vc[j])), {vc: (j, before)})
        return self.same(left, weight[(k, *j)] * change)

    def _smooth_choice(self, equation: Equation, value: Expr) -> bool:
        """p v^c = w' dv wherever v^c is not 0."""
        assert isinstance(equation.lhs, Ref)
        k, *own = equation.lhs.indices
        j = tuple(own)
        weight = self.network.read_out.primed
        dv = increment_of(self.network.hidden[-1].v)
        return self.same(value * frozen_activation(self.network.hidden[-1].v)[j], weight[(k, *j)] * dv[j])

    def _integral(self, equation: Equation, value: Expr, pieces: tuple[int, int]) -> bool:
        """dP/dw' (-eta dE/dy v^c) = p with the rest held constant, and P = 0 where w' = w."""
        assert isinstance(equation.lhs, Ref)
        k, j = equation.lhs.indices
        depth = len(self.network.layers)
        old = self.network.read_out
        new, vc = old.primed, frozen_activation(self.network.hidden[-1].v)
        error = adjoint_of(self.network.logits)
        indices = indices_of(new)
        if not self.same(inline(value, {new: (indices, old[indices])}), ZERO):
            return False
        direction = Array("T", depth, new.axes)
        slope = inline(linear_part(value, new, direction), {direction: (indices_of(direction), ONE)})
        s, ds, before, change = self._on_pieces(equation, pieces)
        clear = power(vc[j], 2)  # no quotient is left, so that v^c can be replaced by phi(s)
        left = mul(-1, ETA[()], error[k], vc[j], slope, clear)
        right = mul(new[k, j], change, vc[j])
        gate = gate_of(s.array)
        phi, _ = self.unit(equation)
        slope_before = phi.gate_on(pieces[0])

        def opened(side: Expr) -> Expr:
            side = as_expr(expand(inline(side, self._own("rho", "kappa", "alpha"))))
            side = inline(side, {ds.array: self._own(ds.array.name)[ds.array]})
            side = inline(side, self._norms() | {vc: ((j,), before)})
            side = inline(side, {theta.primed: self.updated(theta) for theta in self.network.trained
                                 if theta.layer == depth - 1})  # fmt: skip
            side = inline(side, {adjoint_of(s.array): self._delta(s.array)})
            side = inline(side, {old.primed: self.updated(old)})
            if slope_before is not None:
                side = inline(side, {gate: (indices_of(gate), Number(slope_before))})
            return inline(side, {self.network.hidden[-1].v: ((j,), before)})

        return self.same(opened(left), opened(right))

    def _delta(self, s: Array) -> Definition:
        """delta_j = phi'(s_j) sum_k w~_kj dE/dy_k, read off the linear part."""
        direction = Array("t", s.layer, s.axes)
        indices = indices_of(s)
        return indices, _coefficient(self._linear(s, direction, weights=False), direction, indices)


def _fresh_each(axes: Sequence[Axis], taken: Sequence[Index]) -> tuple[Index, ...]:
    """An index over each axis, none of which is among those taken."""
    made: list[Index] = []
    for axis in axes:
        made.append(fresh(axis, (*taken, *made)))
    return tuple(made)


def _slope(phi: Activation, at: Ref, order: int = 0) -> Expr:
    """phi'(s), or the next derivative: in other functions where it is one of these, or a function of its own."""
    own = smooth_functions.slope_by_value(phi) if phi.is_smooth and not order else None
    if own is not None:
        return mul(own[0], power(Apply(phi, at), own[1]))
    known = smooth_functions.slope_among_entries(phi) if phi.is_smooth and not order else None
    if known is None:
        return Apply(phi, at, derivative=order + 1)
    factor, name, exponent = known
    return mul(factor, ONE if name is None else Apply(smooth(name), at), power(at, exponent))


def in_the_place_of(node: Expr, new: Mapping[Apply, Expr]) -> Expr:
    """The expression with these in the place of functions."""
    return rewritten(node, lambda part: new.get(part, part) if isinstance(part, Apply) else None)


def _replaced_arrays(node: Expr, new: Mapping[Array, tuple[Activation, int, Array]]) -> Expr:
    """The expression with functions again in the place of arrays that stood for them."""

    def function(ref: Ref) -> Expr:
        phi, derivative, variable = new.get(ref.array, (None, 0, ref.array))
        return ref if phi is None else Apply(phi, variable[ref.indices], derivative)

    return replaced(node, function)


def _coefficient(change: Expr, direction: Array, indices: tuple[Index, ...]) -> Expr:
    """sum_ij c_ij T_ij => c_ij: T's indices get the free names, and T is dropped."""
    result: Expr = ZERO
    for monomial, coefficient in expand(change).items():
        target = next(ref for ref, _ in monomial.factors if isinstance(ref, Ref) and ref.array == direction)
        names = dict(zip(target.indices, indices, strict=True))
        body = mul(*(power(factor, exponent) for factor, exponent in monomial.factors if factor != target))
        left = tuple(index for index in monomial.bound if index not in target.indices)
        result = result + mul(coefficient, rename(total(left, body), names))
    return result


def _indices_of(equation: Equation) -> tuple[Index, ...]:
    assert isinstance(equation.lhs, Ref)
    return equation.lhs.indices


def _renamed(old: Array, new: Array) -> Definition:
    """old[...] => new[...]."""
    indices = indices_of(old)
    return indices, new[indices]


def _reciprocal(partition: Array) -> Array:
    """1/Z as an element of its own."""
    return Array(f"{partition.name}_reciprocal", None, partition.axes)


def _inverted(node: Expr, partition: Array) -> Expr:
    """The expression with 1/Z as an element of its own."""

    def reciprocal(part: Expr) -> Expr | None:
        match part:
            case Pow(Ref(array, indices), exponent) if array == partition and exponent < 0:
                return power(_reciprocal(partition)[indices], -exponent)
        return None

    return rewritten(node, reciprocal)


def _anywhere(extreme: Array) -> Array:
    """What the least or the greatest of some numbers moves by, which is nobody's concern."""
    return Array(f"{extreme.name}_moved", None, extreme.axes)


def _times(direction: Array, factor: Array, exponent: int) -> Definition:
    """t[n, k] => Z[n]^e t[n, k]."""
    indices = indices_of(direction)
    return indices, mul(power(factor[indices[: len(factor.axes)]], max(exponent, 0)), direction[indices])


def _product_of(symbol: Array, gate: Array, direction: Array) -> Definition:
    indices = indices_of(symbol)
    return indices, gate[indices] * direction[indices]
