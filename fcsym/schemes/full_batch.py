"""`states` for a full batch: first pre-activations of all samples in place of the first layer's weights.

W1 = kept W1_c + sum_n C_n x_n^T, since every gradient is such a sum and the rule is linear in gradients and weights; so

s1_n' = s1_n - eta sum_m (x_n . x_m + 1) delta_m        and with momentum and decay as the rule has it for W1

with one fixed matrix of inner products. Exact at any depth, in either order, for as many samples as there are.

Where W1 and b1 do not train alike, one of them held fixed or b1 one number for all units, z1 = W1 x_n takes the place
of W1 alone, and s1_n = z1_n + b1. A matrix that is held fixed leaves z1 as it is.
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
    data_share,
    frozen_copy,
    gradient_of,
    gram_of_data,
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
    upper = tuple(theta for theta in network.parameters if theta not in made.leaving)
    memory = tuple(a for a in network.memory if a.of in upper)
    changed = {*made.carried, *made.moments, *network.trained, *memory}
    own = (*(made.carried or (made.z,)), *made.moments, *upper, *memory)
    facts = (*made.inner, made.key)
    state = (*own, *facts)
    after = tuple(array.primed if array in changed else array for array in own)
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
            "step": Routine(given, cut(tuple(made.step()), given, after), (*after, *facts)),
            "output": Routine(state, cut(tuple(made.forward()), state, (y,)), (y,)),
            "expand": Routine((*state, *map(frozen_copy, made.leaving), x), tuple(made.expand()), network.parameters),
        },
        Words(
            "The first layer's pre-activations of all samples are stored in place of its weights.",
            ("The samples `x` are the same at every step and are those that `init` was given.",),
        ),
        single_input=True,
        constants_for=SingleInput.constants,
    )


class _Batch:
    """The arrays of the scheme and its equations; the update rule holds for z, for C and for what is kept of W1_c."""

    def __init__(self, base: Record) -> None:
        self.base, self.network = base, base.network
        network = self.network
        self.x, self.s, first = network.input, first_pre_activation(network), first_layer(network)
        alike = all(theta in network.trained and theta.axes for theta in first)
        self.leaving = first if alike else first[:1]  # what z takes the place of
        self.beside = first[len(self.leaving) :]
        self.z = self.s if alike else data_share(first[0], self.s.axes)
        self.key, self.shares = key_of(self.x), coefficient_of(self.s)
        moves = first[0] in network.trained
        gram = norm(self.x)
        self.inner: tuple[Array, ...] = (gram if alike else gram_of_data(first[0], gram.axes),) if moves else ()
        self.kept = (kept_share(),) if network.rule["weight_decay"] and moves else ()
        self.carried = (self.z, self.shares, *self.kept) if moves else ()
        self.moments = tuple(moment(a, 1) for a in self.carried) if network.rule.memory(self.carried) else ()
        n, i, j = self.s.axes[0], self.s.axes[1], self.x.axes[1]
        self.n, self.i, self.j = Index(n, "n"), Index(i, "i"), Index(j, "j")

    def start(self, memory: tuple[Array, ...]) -> Iterator[Equation]:
        """What `init` computes."""
        yield from cut(self._own(), (*self.network.parameters, self.x), (self.z,))
        zero = "Nothing has moved yet."
        for array in self.carried[1:]:
            value = ONE if array in self.kept else ZERO
            yield Equation(array[self._indices(array)], value, Rule.STATE, zero)
        for array in self.moments:
            yield Equation(array[self._indices(array)], ZERO, Rule.STATE, zero)
        for array in memory:
            yield Equation(
                array[self._of(array)], Number(self.network.memory[array]), Rule.DEFINITION,
                "No gradient has been seen yet.",
            )  # fmt: skip
        yield from self._inner(Rule.STATE)
        told = total(self.j, mul(MULTIPLIER[self.j], self.x[self.n, self.j]))
        yield Equation(
            self.key[self.n], told, Rule.DEFINITION,
            "A fixed combination of its entries tells a sample from others; no formula reads it.",
        )  # fmt: skip

    def _own(self) -> tuple[Equation, ...]:
        """The equations of the step with s1 as it is made of z."""
        if self.z == self.s:
            return self.base.equations
        n, i, j = self.n, self.i, self.j
        shifts = [theta[(i,) if theta.axes else ()] for theta in self.beside]
        weight = self.leaving[0]
        what = f"This is what `{weight.name}` makes of the samples."
        made = (
            Equation(self.z[n, i], total(j, weight[i, j] * self.x[n, j]), Rule.STATE, what),
            Equation(self.s[n, i], add(self.z[n, i], *shifts), Rule.IDENTITY, f"`{self.z.name}` is in it as it is."),
        )
        return (*made, *(e for e in self.base.equations if not (e.defines and e.array == self.s)))

    def forward(self) -> Iterator[Equation]:
        """The same where z is known."""
        yield from (e for e in self._own() if e.array != self.z or self.z == self.s)

    def _inner(self, rule: Rule) -> Iterator[Equation]:
        n, m = self.n, fresh(self.n.axis, [self.n])
        for inner in self.inner:
            known = self.base.by_name.get(inner.name)
            if known is not None:
                yield known if rule is Rule.STATE else replace(known, rule=rule)
                continue
            value = total(self.j, self.x[n, self.j] * self.x[m, self.j])
            value = value + 1 if len(self.leaving) > 1 else value
            because = "These are the inner products of the samples" + (
                " plus 1 for the bias." if len(self.leaving) > 1 else "."
            )
            yield Equation(inner[n, m], value, rule, because)

    def _indices(self, array: Array) -> tuple[Index, ...]:
        return (self.n, self.i) if array.axes else ()

    @staticmethod
    def _of(array: Array) -> tuple[Index, ...]:
        result: list[Index] = []
        for axis in array.axes:
            result.append(fresh(axis, result))
        return tuple(result)

    def step(self) -> Iterator[Equation]:
        """The step's equations, with the changes of z, C and the share of W1_c by the update rule."""
        delta, own = adjoint_of(self.s), increment_of(self.s)
        apart = self.z != self.s
        replaced = not self.network.rule.is_plain and not apart
        for equation in self.forward():
            if not (equation.defines and equation.array in self.inner) and not (
                replaced and equation.defines and equation.array == own
            ):
                yield equation
            if equation.defines and equation.array == delta and self.carried:  # all that the rule needs is there
                yield from self._changes(self.shares, delta[self.n, self.i])
                for share in self.kept:
                    yield from self._changes(share, ZERO)
                if apart:
                    yield from self._changes(self.z, self._reached())
                if replaced:
                    *made, _ = self._changes(self.s, self._reached())  # the last one is s1' = s1 + ds1, as it is
                    yield from (replace(e, rule=Rule.IDENTITY) if e.array == own else e for e in made)

    def _reached(self) -> Expr:
        """sum_m G_nm delta_m."""
        m = fresh(self.n.axis, [self.n])
        (inner,) = self.inner
        return total(m, adjoint_of(self.s)[m, self.i] * inner[self.n, m])

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
        what = {self.z: "first pre-activations", self.shares: "coefficients of the samples"}.get(
            array, "first weights' share"
        )
        return f"The update rule, which is linear, holds for the {what} as for the weights."

    def meanings(self) -> Iterator[Equation]:
        """W1 = kept W1_c + sum_n C_n x_n^T, its velocity alike, and the velocity of z."""
        for theta in self.leaving if self.carried else ():
            yield self._sum(
                theta, self.shares, *self.kept, because=f"Every step moved `{theta.name}` along the samples."
            )
        if self.moments:
            velocity, share, *kept = self.moments
            for theta in self.leaving:
                because = f"The velocity of `{theta.name}` is a sum over the samples, too."
                yield self._sum(moment(theta, 1), share, *kept, because=because, of=theta)
            value = total(self.j, moment(self.leaving[0], 1)[self.i, self.j] * self.x[self.n, self.j])
            for theta in self.leaving[1:]:
                value = value + moment(theta, 1)[self.i]
            yield Equation(velocity[self.n, self.i], value, Rule.INVARIANT, f"The velocity of `{self.z.name}`.")
        if self.z != self.s:
            yield replace(self._own()[0], rule=Rule.INVARIANT)
        yield from self._inner(Rule.INVARIANT)

    def _sum(self, array: Array, shares: Array, *kept: Array, because: str, of: Array | None = None) -> Equation:
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
        for theta in self.leaving:
            if not self.carried:
                indices = (self.i, self.j)
                still = "Training leaves it as it is."
                yield Equation(theta[indices], frozen_copy(theta)[indices], Rule.EXPANSION, still)
                continue
            yield replace(
                self._sum(theta, self.shares, *self.kept, because="The steps along the samples, added up."),
                rule=Rule.EXPANSION,
            )
