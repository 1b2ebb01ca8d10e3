"""What `weights` and `compensation` share: the layers below the last are frozen, and the output is read off v^c."""

from __future__ import annotations

from dataclasses import dataclass

from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError
from fcsym.language.equation import Cases, Condition, Equation, Rule, Status
from fcsym.language.expression import Array, Expr, Index, total
from fcsym.language.names_of_cases import named_row
from fcsym.networks.symbols import bias, frozen_activation, increment_of
from fcsym.schemes.record import SingleInput, needs_plain_steps, needs_smooth_output, needs_stack

__all__ = ["Frozen"]


@dataclass(frozen=True, slots=True)
class Frozen:
    """The arrays around the last layer, with k over the outputs and j over the last hidden units."""

    base: Record
    shared: SingleInput
    depth: int
    k: Index
    j: Index
    w: Array  # the last layer's weights
    v: Array  # what backpropagation would have there
    dv: Array
    vc: Array  # what is frozen
    y: Array  # the logits, which are the output where that is linear
    inner: tuple[Array, ...]  # trained parameters between the first pre-activations and the last weights, and last bias

    @classmethod
    def of(cls, base: Record, name: str) -> Frozen:
        """The arrays; ArgumentError where there is no hidden layer."""
        network, depth = base.network, len(base.network.layers)
        needs_stack(network, name, "its weights replace those of one dense layer above frozen units")
        if depth < 2:
            raise ArgumentError(
                f"{name} needs a hidden layer to freeze, and {network} has none: choose another scheme."
            )
        needs_smooth_output(network, name)
        needs_plain_steps(network, name)
        shared = SingleInput.of(base)
        hidden, y = network.hidden[-1].v, network.logits
        w = network.read_out
        return cls(
            base,
            shared,
            depth,
            Index(y.axes[0], "k"),
            Index(hidden.axes[0], "j"),
            w,
            hidden,
            increment_of(hidden),
            frozen_activation(hidden),
            y,
            tuple(theta for theta in shared.upper if theta != w),
        )

    def start(self) -> tuple[Equation, ...]:
        """First pre-activations, v^c and the facts of the input."""
        frozen = Equation(
            self.vc[self.j],
            self.v[self.j],
            Rule.DEFINITION,
            "The layers below the last are frozen here.",
            (),
            "eq. 4, 21",
        )
        return (*self.shared.start((self.shared.s, self.v)), frozen)

    def with_output(self, share: Expr) -> tuple[Equation, ...]:
        """The step's equations, with the output as the sum of what the frozen units give."""
        rhs, linear = total(self.j, share), self.base.network.output == self.y
        if self.base.network.layers[-1].bias:
            rhs = rhs + bias(self.depth)[self.k]
        output = Equation(
            self.y[self.k],
            rhs,
            Rule.IDENTITY,
            f"The frozen network has the {'output' if linear else 'pre-activations of the output'} of backpropagation.",
            (),
            "eq. 4, 21",
        )
        return tuple(output if e.defines and e.array == self.y else e for e in self.shared.equations if e.defines)

    def by_cases(self, value: Expr, free: Expr) -> Cases:
        """A value with v^c below the line; where v^c = 0, what solves 0 = 0, and nothing where v' is not 0."""
        vc, after = self.vc[self.j], self.v.primed[self.j]
        zero = Condition(vc, "=")
        phi = self.base.network.layers[-2].activation
        rows = (
            named_row(phi, (Condition(vc, "!="),), value),
            named_row(phi, (zero, Condition(after, "=")), free, Status.CHOSEN),
            named_row(phi, (zero, Condition(after, "!=")), None, Status.UNDEFINED),
        )
        return Cases(rows)
