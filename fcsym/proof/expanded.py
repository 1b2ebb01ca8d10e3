"""The same identities, expanded in full on a small instance: same depth, every width at most 2.

Weights, inputs, eta, the output error, every gate and every activation after the step are free variables, so that one
expansion covers every joint gate pattern. (y_g enters only through dE/dy = y - y_g, and v' only through the free gate
after the step; both are invertible changes of variables.) What is compared is always a right-hand side of the
derivation with the full weight update and forward pass of `reference`.

Where the polynomials would be too large, they are evaluated at random points of a prime field instead: exact
arithmetic, and a false identity of degree d survives each point with probability d / 2^127. The points follow from a
digest of the equations under examination, so that no equation can be written for the points it will be tried at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation, smooth
from fcsym.language.equation import Branch, Cases, Equation, Order, Rule, functions_in
from fcsym.language.expression import Array, Role
from fcsym.language.findings import Counterexample
from fcsym.language.instance import Element, Field, Instance, positions
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ALPHA,
    ETA,
    adjoint_of,
    frozen_activation,
    gate_of,
    increment_of,
    kappa,
    norm,
    rho,
)
from fcsym.proof.numbers import Dual, Quotient, Residue, TermCount, digest, drawn, product
from fcsym.proof.quotients import divides
from fcsym.proof.reference import Gates, plus, reference
from fcsym.proof.search import in_network

__all__ = ["Arithmetic", "Expansion", "random_points"]

MAX_TERMS, MAX_TERMS_DEEP = 1_000_000_000, 2_000
"""Terms before like ones are collected. Up to three layers this bound overshoots a thousandfold, so what it admits is
expanded and then measured; in deeper networks it is close, and there are more variables."""
MAX_COLLECTED = 4_000
"""Terms once like ones are collected: each case multiplies such polynomials, at every place."""
_POINTS = 3


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Numbers for one evaluation: where free variables come from, and what a quotient is."""

    units: frozenset[tuple[Array, str]]  # pre-activations, and the activation that reads each
    variable: Callable[[str], Any]
    number: Callable[[Fraction], Any]
    lift: Callable[[Any], Any]  # into a domain that divides

    def function(self, phi: Activation, source: Element, s: Any) -> tuple[Any, Any]:
        """phi(s) and phi'(s) of a function in a loss: free variables, but for what is known of its slope."""
        array, position = source
        at = "_".join([array.name, *map(str, position)])
        if not phi.is_smooth:
            slope = self.variable(f"slope_{phi.name}_{at}")
            shifted = any(piece.intercept for piece in phi.pieces)
            return slope * s + self.variable(f"shift_{phi.name}_{at}") if shifted else slope * s, slope
        value = self.variable(f"value_{phi.name}_{at}")
        own = smooth_functions.slope_by_value(phi)
        if own is not None:
            slope = self.number(own[0])
            return value, slope * value if own[1] > 0 else slope / value
        known = smooth_functions.slope_among_entries(phi)
        if known is None:
            return value, self.variable(f"slope_{phi.name}_{at}")
        factor, name, exponent = known
        slope = self.number(factor)
        if name is not None:
            unit = (array, name) in self.units
            read = (
                self.variable(f"c_{array.name}_{_at(position)}") if unit else self.function(smooth(name), source, s)[0]
            )
            slope = slope * read
        return value, slope if not exponent else slope / s


_Units: TypeAlias = "frozenset[tuple[Array, str]]"


def _polynomials(units: _Units, names: list[str]) -> Arithmetic:
    from sympy import QQ, ring

    made, *generators = ring(names, QQ)
    table = dict(zip(names, generators, strict=True))
    return Arithmetic(
        units, table.__getitem__, lambda v: made(QQ(v.numerator, v.denominator)), lambda value: Quotient(value, made(1))
    )


def _residues(units: _Units, seed: str) -> Arithmetic:
    table: dict[str, Residue] = {}

    def variable(name: str) -> Residue:
        if name not in table:
            table[name] = Residue(drawn(seed, name))
        return table[name]

    return Arithmetic(units, variable, Residue.of, lambda value: value)


def random_points(units: _Units, seed: str) -> list[Arithmetic]:
    """The points of a digest, each with numbers of its own."""
    return [_residues(units, f"{seed} {n}") for n in range(_POINTS)]


def _counting(units: _Units, names: list[str]) -> Arithmetic:
    """Arithmetic that counts terms and writes down which variables were asked for."""

    def variable(name: str) -> TermCount:
        if name not in names:
            names.append(name)
        return TermCount(1)

    return Arithmetic(units, variable, lambda v: TermCount(int(v != 0)), lambda value: Quotient(value, TermCount(1)))


def _at(position: tuple[int, ...]) -> str:
    """(1, 0) => 1_0."""
    return "_".join(map(str, position))


def _divides(network: Network) -> bool:
    """Whether the loss, the slope of a function in it or the update rule has something below a line."""
    if network.batch == "mean" or network.rule.divides:
        return True
    terms = [e for e in forward(network) if e.array.role in (Role.LOSS, Role.TERM, Role.PARTITION)]
    smooth = [phi for phi in functions_in(terms) if phi.is_smooth]
    slopes = [*map(smooth_functions.slope_among_entries, smooth), *map(smooth_functions.slope_by_value, smooth)]
    return any(map(divides, terms)) or any(slope is not None and slope[-1] < 0 for slope in slopes)


class Expansion:
    """The derivation's right-hand sides against the truth, on the reduced instance."""

    def __init__(self, network: Network, order: Order, given: Mapping[str, Equation]) -> None:
        self.full, self.network, self.order, self.given = network, network.reduced(), order, given
        self.seed = digest(network, order, *((e.lhs, e.rhs, e.rule, e.label) for e in given.values()))
        self.units = frozenset((layer.s, layer.activation.name) for layer in self.network.activated)
        names: list[str] = []
        size = max(value.terms for value in self._truth(_counting(self.units, names)).values())
        polynomial = not _divides(self.network)  # or the slope of a function in it does
        self.in_full = polynomial and bool(size <= (MAX_TERMS if len(network.layers) <= 3 else MAX_TERMS_DEEP))
        if self.in_full:
            arithmetic = _polynomials(self.units, names)
            truth = self._truth(arithmetic)
            self.in_full = max(map(len, truth.values())) <= MAX_COLLECTED
        self._arithmetics = [arithmetic] if self.in_full else self._points()
        self._worlds = [
            _World(self, arithmetic, truth if self.in_full else self._truth(arithmetic))
            for arithmetic in self._arithmetics
        ]

    def _points(self) -> list[Arithmetic]:
        return random_points(self.units, self.seed)

    @property
    def method(self) -> str:
        """How the identities were decided, for the report."""
        if self.in_full:
            return "expanded in full"
        if _divides(self.network):
            what = "update rule" if self.network.rule.divides else "loss"
            return f"evaluated exactly at {_POINTS} random points modulo 2^127 - 1, since the {what} has a quotient"
        return f"evaluated exactly at {_POINTS} random points modulo 2^127 - 1, since the expansion is too large"

    def _truth(self, arithmetic: Arithmetic, fixed: tuple[int, int] | None = None) -> dict[Element, Any]:
        """The reference values; `fixed` puts the first unit of the last hidden layer on a pair of pieces."""
        network = self.network

        def leaf(array: Array, position: tuple[int, ...]) -> Any:
            return arithmetic.variable("_".join([array.name, *map(str, position)]))

        def gate(letter: str, source: Element) -> Any:
            (array, position) = source
            return arithmetic.variable(f"{letter}_{array.name}_{_at(position)}")

        def phi(source: Element) -> Activation:
            return network.units[source[0].axes[-1]].activation

        def on_piece(source: Element, number: int) -> Any:
            if fixed is None or source != (network.hidden[-1].s, (0,)):  # P, which a mini-batch does not have
                return None
            return phi(source).pieces[fixed[number]]

        def value(source: Element, s: Any) -> Any:
            piece = on_piece(source, 0)
            if piece is not None:
                return arithmetic.number(piece.slope) * s + arithmetic.number(piece.intercept)
            if phi(source).is_smooth:  # any function: its value is a free variable
                return gate("c", source)
            free = gate("g", source) * s
            shifted = any(piece.intercept for piece in phi(source).pieces)
            return free + gate("c", source) if shifted else free

        def slope(source: Element, _: Any) -> Any:
            if fixed is not None and on_piece(source, 0) is not None:
                on = phi(source).gate_on(fixed[0])
                return gate("g", source) if on is None else arithmetic.number(on)
            if phi(source).is_identity:
                return arithmetic.number(Fraction(1))
            return gate("g", source)

        def after(source: Element, s: Any) -> Any:
            piece = on_piece(source, 1)
            if piece is not None:
                return arithmetic.number(piece.slope) * s + arithmetic.number(piece.intercept)
            return gate("u", source)

        return reference(
            network, self.order, leaf, lambda at: arithmetic.variable(f"e_{_at(at)}"),
            Gates(value, slope, after, arithmetic.function), arithmetic.number,
        )  # fmt: skip

    def holds(self, equation: Equation) -> bool | None:
        """Whether an equation without cases is true on the instance; None where it has no truth to compare with."""
        try:
            results = [world.holds(equation) for world in self._worlds_for(equation)]
        except ZeroDivisionError:  # it divides by what is 0 everywhere
            return False
        except (KeyError, UnsupportedExpression):  # it mentions what has no value here
            return None
        return None if None in results else all(results)

    def counterexample(self, equation: Equation) -> Counterexample | None:
        """A network with small weights in which the right-hand side is not what the left-hand side means."""
        return in_network(self.full, self.order, equation, self.given)

    def sees(self, equation: Equation) -> bool:
        """Whether what is examined here is the equation itself: in full, and at the network's own widths."""
        return bool(self.network == self.full and self.expands(equation))

    def expands(self, equation: Equation) -> bool:
        """Whether an equation is expanded in full; with quotients it is where its own terms are few enough."""
        if not self.in_full or not divides(equation) or isinstance(equation.rhs, Cases):
            return self.in_full
        counting = _counting(self.units, [])
        try:
            return bool(_World(self, counting, self._truth(counting)).terms(equation) <= MAX_TERMS)
        except (KeyError, UnsupportedExpression, ZeroDivisionError):  # then it is not evaluated, either
            return False

    def _worlds_for(self, equation: Equation) -> list[_World]:
        if self.expands(equation) or not self.in_full:
            return self._worlds
        return [_World(self, arithmetic, self._truth(arithmetic)) for arithmetic in self._points()]

    def case_holds(self, equation: Equation, branch: Branch, pieces: tuple[int, int]) -> bool | None:
        """Whether the value of one case is true on the instance."""
        if branch.value is None:
            return None
        try:
            if equation.rule is Rule.INTEGRAL:
                return self._integral_holds(equation, branch, pieces)
            return all(world.case_holds(equation, branch, pieces) for world in self._worlds)
        except ZeroDivisionError:  # a row that divides by phi(s) on a piece where that is 0
            return False
        except (KeyError, UnsupportedExpression):  # it mentions what has no value here
            return None

    def _integral_holds(self, equation: Equation, branch: Branch, pieces: tuple[int, int]) -> bool:
        """P has the slope -p/(eta dE/dy v^c) in the weight, with the unit's gates held at the case's pieces."""
        arithmetics = self._arithmetics if self.integral_in_full(equation, branch, pieces) else self._points()
        return all(
            left == right
            for arithmetic in arithmetics
            for left, right in self._integral(arithmetic, equation, branch, pieces)
        )

    def integral_in_full(self, equation: Equation, branch: Branch, pieces: tuple[int, int]) -> bool:
        """Whether the identity of a case of P is expanded; quotients grow faster than everything else."""
        if not self.in_full or self.network.layers[-2].activation.pieces[pieces[0]].is_zero:
            return False
        sides = self._integral(_counting(self.units, []), equation, branch, pieces)
        return bool(max(side.numerator.terms for pair in sides for side in pair) <= MAX_TERMS)

    def _integral(
        self, arithmetic: Arithmetic, equation: Equation, branch: Branch, pieces: tuple[int, int]
    ) -> list[tuple[Any, Any]]:
        world = _World(self, arithmetic, self._truth(arithmetic, pieces))
        return world.integral_sides(equation, branch)


class _World:
    """One evaluation: the truth, and the derivation's right-hand sides at it."""

    def __init__(self, expansion: Expansion, arithmetic: Arithmetic, truth: dict[Element, Any]) -> None:
        self.network, self.given, self.arithmetic = expansion.network, expansion.given, arithmetic
        self.truth, self.sizes = truth, expansion.network.sizes
        own = [norm(self.network.passed_on(n)) for n in range(len(self.network.layers))]
        if self.network.hidden:
            own += [rho(self.network.read_out), kappa(self.network.hidden[-1].s), ALPHA]
        named = (self.given[array.name] for array in own if array.name in self.given)
        self.own = {equation.array: equation for equation in named}
        self.plain = self._instance(lambda value: value, self.own)
        self.lifted = self._instance(arithmetic.lift, self.own)
        self.divides = any(map(divides, self.own.values()))

    def _instance(self, lift: Callable[[Any], Any], equations: Mapping[Array, Equation]) -> Instance:
        number = self.arithmetic.number

        def leaf(array: Array, position: tuple[int, ...]) -> Any:
            return lift(self.truth[array, position])

        def never(*_: Any) -> Any:
            raise AssertionError("cases are examined one by one")

        def apply(node: Any, source: Element, value: Any) -> Any:
            if (source[0].unprimed, node.activation.name) not in self.arithmetic.units:  # in a loss or an update rule
                return lift(self.arithmetic.function(node.activation, source, self.truth[source])[node.derivative])
            unit = self.network.units[source[0].axes[-1]]
            read = gate_of(unit.s) if node.derivative else unit.v
            return lift(self.truth[read.primed if source[0].after else read, source[1]])

        extreme = {"max": lambda every: every[0]}  # as in the reference
        field = Field(lambda v: lift(number(v)), lambda a, b: a / b, apply, never, plus, extreme=extreme)
        return Instance(equations, self.sizes, leaf, field)

    def holds(self, equation: Equation) -> bool | None:
        if equation.rule is Rule.IDENTITY:
            return None if self.network.places else self._identity(equation)  # there p is no quotient
        array = equation.array
        first = (array, next(iter(positions(array, self.sizes))))
        if first not in self.truth:
            return None
        instance, lift = self._reading(equation)
        return all(
            instance.right_side(equation, position) == lift(self.truth[array, position])
            for position in positions(array, self.sizes)
        )

    def _reading(self, equation: Equation) -> tuple[Instance, Callable[[Any], Any]]:
        """Where a right-hand side is evaluated, and how the truth gets there: into a domain that divides if it does."""
        if self.divides or divides(equation):
            return self.lifted, self.arithmetic.lift
        return self.plain, lambda value: value

    def terms(self, equation: Equation) -> int:
        """How many terms a right-hand side with quotients has, counted."""
        if equation.rule is Rule.IDENTITY or (equation.array, (0,) * len(equation.array.axes)) not in self.truth:
            return 0
        sides = [self.lifted.right_side(equation, at) for at in positions(equation.array, self.network.sizes)]
        return max((side.numerator.terms * side.denominator.terms for side in sides), default=0)

    def _identity(self, equation: Equation) -> bool:
        """y' = sum r v^c + b' with p = w' dv / v^c."""
        lift = self.arithmetic.lift
        lifted = self._instance(lift, {self.given["r"].array: self.given["r"]})
        p = self.given["p"].array
        for k, j in positions(p, self.sizes):
            weight, change, frozen = self._around(k, j)
            lifted.known[p, (k, j)] = lift(weight * change) / lift(frozen)
        output = self.network.logits
        return all(
            lifted.right_side(equation, position) == lift(self.truth[output.primed, position])
            for position in positions(output, self.sizes)
        )

    def _around(self, k: int, j: int) -> tuple[Any, Any, Any]:
        """w'_kj, dv_j and v^c_j."""
        hidden, weight = self.network.hidden[-1].v, self.network.read_out.primed
        frozen = frozen_activation(hidden)
        return self.truth[weight, (k, j)], self.truth[increment_of(hidden), (j,)], self.truth[frozen, (j,)]

    def _pieces(self, equation: Equation, position: tuple[int, ...], pieces: tuple[int, int]) -> tuple[Any, Any]:
        """phi(s) and phi(s') - phi(s) for a unit on these pieces."""
        unit = self.network.units[equation.array.axes[-1]]
        phi, s = unit.activation, unit.s
        if phi.is_smooth:
            v = unit.v
            return self.truth[v, position[-len(v.axes) :]], self.truth[increment_of(v), position[-len(v.axes) :]]
        number = self.arithmetic.number
        before, after = (phi.pieces[n] for n in pieces)
        at = position[-len(s.axes) :]  # of p, which has an output before it, the unit's own
        old = number(before.slope) * self.truth[s, at] + number(before.intercept)
        new = number(after.slope) * self.truth[s.primed, at] + number(after.intercept)
        return old, new - old

    def case_holds(self, equation: Equation, branch: Branch, pieces: tuple[int, int]) -> bool:
        for position in positions(equation.array, self.sizes):
            old, change = self._pieces(equation, position, pieces)
            if equation.rule is Rule.CASES:
                instance, lift = self._reading(equation)
                if instance.branch(equation, branch, position) != lift(change):
                    return False
                continue
            lift = self.arithmetic.lift
            lifted = self._instance(lift, {})
            vc = frozen_activation(self.network.units[equation.array.axes[-1]].v)
            lifted.known[vc, position[-len(vc.axes) :]] = lift(old)
            weight = self._around(*position)[0]
            if product(lifted.branch(equation, branch, position), lift(old)) != lift(weight * change):
                return False
        return True

    def integral_sides(self, equation: Equation, branch: Branch) -> list[tuple[Any, Any]]:
        """dP/dw' (-eta dE/dy v^c) and p with the rest constant, by dual numbers; P at w' = w, and 0."""
        lift, number = self.arithmetic.lift, self.arithmetic.number
        zero, one = lift(number(Fraction(0))), lift(number(Fraction(1)))
        weight, change, frozen = self._around(0, 0)
        new = self.network.read_out.primed
        moving = self._instance(lambda value: Dual(lift(value), zero), self.own)
        moving.known[new, (0, 0)] = Dual(lift(weight), one)
        slope = moving.branch(equation, branch, (0, 0)).slope
        eta = self.truth[ETA, ()]
        error = self.truth[adjoint_of(self.network.logits), (0,)]
        start = self._instance(lift, self.own)
        start.known[new, (0, 0)] = lift(self.truth[new.unprimed, (0, 0)])
        return [
            (slope * lift(eta * error * frozen * frozen), lift(number(Fraction(-1)) * weight * change)),
            (start.branch(equation, branch, (0, 0)), zero),
        ]
