"""`states` for a full batch: first pre-activations of all samples in place of the first layer's weights.

W1 = kept W1_c + sum_n C_n x_n^T, since every gradient is such a sum and the rule is linear in gradients and weights; so

s1_n' = s1_n - eta sum_m (x_n . x_m + 1) delta_m        and with momentum and decay as the rule has it for W1

with one fixed matrix of inner products. Exact at any depth, in either order, for as many samples as there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError
from fcsym.language.algebra import fresh, inline
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, ZERO, Array, Expr, Index, Number, add, mul, total
from fcsym.networks.symbols import (
    ETA,
    adjoint_of,
    coefficient_of,
    frozen_copy,
    gradient_of,
    increment_of,
    kept_share,
    key_of,
    moment,
    norm,
)
from fcsym.schemes.record import (
    MULTIPLIER,
    Routine,
    SchemeRecord,
    SingleInput,
    Words,
    cut,
    first_layer,
    first_pre_activation,
    frozen_weights,
    target_of,
)

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """(s1, C, the upper weights, the inner products); ArgumentError for a rule that is not linear."""
    network = base.network
    if not network.rule.is_linear:
        raise ArgumentError(
            f"states needs an update rule that is linear in the gradient, and that of {network} is {network.rule.name}"
            ": choose backprop."
        )
    made = _Batch(base)
    upper = tuple(theta for theta in network.parameters if theta not in made.first)
    memory = tuple(a for a in network.memory if a.of in upper)
    moving = (made.s, made.shares, *made.kept, *made.moments, *upper, *memory)
    state = (*moving, made.inner, made.key)
    after = tuple(array.primed for array in moving)
    given = (*state, target_of(network), ETA)
    x, y = network.input, network.output
    start = (*network.parameters, x)
    return SchemeRecord(
        "states",
        base,
        state,
        tuple(made.meanings()),
        {
            "init": Routine(start, tuple(made.start(memory)), state),
            "step": Routine(given, cut(tuple(made.step()), given, after), (*after, made.inner, made.key)),
            "output": Routine(state, cut(base.equations, state, (y,)), (y,)),
            "expand": Routine((*state, *frozen_weights(network), x), tuple(made.expand()), network.parameters),
        },
        Words(
            "The first layer's pre-activations of all samples are stored in place of its weights.",
            ("The samples `x` are the same at every step and are those that `init` was given.",),
        ),
        single_input=True,
        constants_for=SingleInput.constants,
    )


class _Batch:
    """The arrays of the scheme and its equations; the update rule holds for s1, for C and for what is kept of W1_c."""

    def __init__(self, base: Record) -> None:
        self.base, self.network = base, base.network
        self.first = first_layer(self.network)
        self.s = first_pre_activation(self.network)
        self.x = self.network.input
        self.shares = coefficient_of(self.s)
        self.inner, self.key = norm(self.x), key_of(self.x)
        rule = self.network.rule
        decays = bool(rule["weight_decay"])
        self.kept = (kept_share(),) if decays else ()
        carried = (self.s, self.shares, *self.kept)
        self.moments = tuple(moment(array, 1) for array in carried) if rule.memory(carried) else ()
        n, i, j = self.s.axes[0], self.s.axes[1], self.x.axes[1]
        self.n, self.i, self.j = Index(n, "n"), Index(i, "i"), Index(j, "j")

    def start(self, memory: tuple[Array, ...]) -> Iterator[Equation]:
        """What `init` computes."""
        yield from cut(self.base.equations, (*self.network.parameters, self.x), (self.s,))
        zero = "Nothing has moved yet."
        yield Equation(self.shares[self.n, self.i], ZERO, Rule.STATE, zero)
        for share in self.kept:
            yield Equation(share[()], ONE, Rule.STATE, zero)
        for array in self.moments:
            yield Equation(array[self._indices(array)], ZERO, Rule.STATE, zero)
        for array in memory:
            value = Number(self.network.memory[array])
            yield Equation(array[self._of(array)], value, Rule.DEFINITION, "No gradient has been seen yet.")
        yield self._inner(Rule.STATE)
        told = total(self.j, mul(MULTIPLIER[self.j], self.x[self.n, self.j]))
        yield Equation(
            self.key[self.n], told, Rule.DEFINITION,
            "A fixed combination of its entries tells a sample from others; no formula reads it.",
        )  # fmt: skip

    def _inner(self, rule: Rule) -> Equation:
        n, m = self.n, fresh(self.n.axis, [self.n])
        known = self.base.by_name.get(self.inner.name)
        if known is not None:
            return known if rule is Rule.STATE else replace(known, rule=rule)
        value = total(self.j, self.x[n, self.j] * self.x[m, self.j])
        value = value + 1 if len(self.first) > 1 else value
        because = "These are the inner products of the samples" + (
            " plus 1 for the bias." if len(self.first) > 1 else "."
        )
        return Equation(self.inner[n, m], value, rule, because)

    def _indices(self, array: Array) -> tuple[Index, ...]:
        return (self.n, self.i) if array.axes else ()

    @staticmethod
    def _of(array: Array) -> tuple[Index, ...]:
        result: list[Index] = []
        for axis in array.axes:
            result.append(fresh(axis, result))
        return tuple(result)

    def step(self) -> Iterator[Equation]:
        """The step's equations, with the changes of s1, C and the share of W1_c by the update rule."""
        m = fresh(self.n.axis, [self.n])
        delta = adjoint_of(self.s)
        reached = total(m, delta[m, self.i] * self.inner[self.n, m])
        own = increment_of(self.s)
        replaced = not self.network.rule.is_plain
        for equation in self.base.equations:
            if not (equation.defines and equation.array == self.inner) and not (
                replaced and equation.defines and equation.array == own
            ):
                yield equation
            if equation.defines and equation.array == delta:  # everything that the rule needs is there
                yield from self._changes(self.shares, delta[self.n, self.i])
                for share in self.kept:
                    yield from self._changes(share, ZERO)
                if replaced:
                    *made, _ = self._changes(self.s, reached)  # the last one is s1' = s1 + ds1, as it is
                    yield from (replace(e, rule=Rule.IDENTITY) if e.array == own else e for e in made)

    def _changes(self, array: Array, gradient: Expr) -> Iterator[Equation]:
        """What the update rule makes of an array whose gradient is known; the last equation is the array after it."""
        indices, results = self._indices(array), (array.primed, moment(array, 1).primed)
        put = {gradient_of(array): (indices, gradient)}
        for equation in self.network.rule.equations(array, indices):
            assert isinstance(equation.rhs, Expr)
            rule = Rule.STATE if equation.array in results else Rule.DEFINITION
            yield replace(
                equation, rhs=inline(equation.rhs, put), rule=rule, because=self._said(array, equation), uses=()
            )

    def _said(self, array: Array, equation: Equation) -> str:
        if equation.array == array.primed:
            return "The change is added."
        what = {self.s: "first pre-activations", self.shares: "coefficients of the samples"}.get(
            array, "first weights' share"
        )
        return f"The update rule, which is linear, holds for the {what} as for the weights."

    def meanings(self) -> Iterator[Equation]:
        """W1 = kept W1_c + sum_n C_n x_n^T, its velocity alike, and the velocity of s1."""
        for theta in self.first:
            yield self._sum(
                theta, self.shares, *self.kept, because=f"Every step moved `{theta.name}` along the samples."
            )
        if self.moments:
            velocity, share, *kept = self.moments
            for theta in self.first:
                because = f"The velocity of `{theta.name}` is a sum over the samples, too."
                yield self._sum(moment(theta, 1), share, *kept, because=because, of=theta)
            value = total(self.j, moment(self.first[0], 1)[self.i, self.j] * self.x[self.n, self.j])
            for theta in self.first[1:]:
                value = value + moment(theta, 1)[self.i]
            yield Equation(velocity[self.n, self.i], value, Rule.INVARIANT, f"The velocity of `{self.s.name}`.")
        yield self._inner(Rule.INVARIANT)

    def _sum(
        self, array: Array, shares: Array, *kept: Array, because: str, of: Array | None = None
    ) -> Equation:  # fmt: skip
        """kept W1_c + sum_n C_n x_n^T, of which only the second part is there while nothing decays."""
        theta = of or array
        matrix = len(theta.axes) == 2
        indices = (self.i, self.j) if matrix else (self.i,)
        moved = shares[self.n, self.i] * self.x[self.n, self.j] if matrix else shares[self.n, self.i]
        first: Expr = frozen_copy(theta)[indices] if of is None else ZERO
        for share in kept:
            first = share[()] * frozen_copy(theta)[indices]
        value = add(first, total(self.n, moved))
        return Equation(array[indices], value, Rule.INVARIANT, because, (), "claim v")

    def expand(self) -> Iterator[Equation]:
        """The weights of backpropagation; no inverse of the inner products is needed."""
        for theta in self.first:
            yield replace(
                self._sum(theta, self.shares, *self.kept, because="The steps along the samples, added up."),
                rule=Rule.EXPANSION,
            )
