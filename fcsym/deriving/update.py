"""The update: one step on every weight, in either order, by the gradient or as an update rule has it.

    theta' = theta - eta dE/dtheta

The order is data. In `simultaneous` order the backward pass sees the old weights, as every autodiff SGD step does;
in `sequential` order it sees weights of upper layers already updated, with old activations, gates and output error:
the paper updates w_1 with w_5', eq. 13-14.
"""

from __future__ import annotations

from collections.abc import Sequence

from fcsym.deriving.differentiate import reverse
from fcsym.language.algebra import in_order
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import Array, Expr, Role, arrays_in
from fcsym.networks.rules import PLAIN, UpdateRule
from fcsym.networks.symbols import ETA, gradient_of

__all__ = ["step"]


def step(
    forward: Sequence[Equation], parameters: Sequence[Array], order: Order, update: UpdateRule = PLAIN
) -> tuple[Equation, ...]:
    """Forward equations => gates, adjoints and updates, each after what it uses."""
    seen = {theta: theta.primed for theta in parameters} if order == "sequential" else {}
    adjoints, gradients = reverse(forward, lambda array: array.role is Role.PRE_ACTIVATION, seen)
    where = "already updated" if order == "sequential" else "old"

    result: list[Equation] = [] if update.is_plain else list(update.shared())
    ready: set[str] = set()
    for adjoint in adjoints:
        result.append(adjoint)
        ready.add(adjoint.name)
        for theta in parameters:
            indices, gradient = gradients[theta]
            uses = tuple(a.name for a in _operands(gradient))
            needed = [a.name for a in _operands(gradient) if a.role is Role.ADJOINT]
            if theta.primed.name in ready or not set(needed) <= ready:
                continue
            if update.is_plain:
                result.append(
                    Equation(
                        theta.primed[indices],
                        theta[indices] - in_order(ETA[()], gradient),
                        Rule.UPDATE,
                        f"This is one gradient step; the error came through the {where} weights.",
                        uses,
                        "eq. 13" if adjoint is adjoints[0] else "eq. 14",
                    )
                )
            else:
                because = f"This is the gradient; the error came through the {where} weights."
                result.append(Equation(gradient_of(theta)[indices], gradient, Rule.GRADIENT, because, uses))
                result += update.equations(theta, indices)
            ready.add(theta.primed.name)
    return tuple(result)


def _operands(gradient: object) -> tuple[Array, ...]:

    assert isinstance(gradient, Expr)
    return tuple(a for a in arrays_in(gradient) if a.role in (Role.ADJOINT, Role.ACTIVATION))
