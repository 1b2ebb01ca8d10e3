"""The update: one step on every weight, in either order, by the gradient or as an update rule has it.

    theta' = theta - eta dE/dtheta

The order is data. In `simultaneous` order the backward pass sees the old weights, as every autodiff SGD step does;
in `sequential` order it sees weights of upper layers already updated, with old activations, gates and output error:
the paper updates w_1 with w_5', eq. 13-14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fcsym.deriving.differentiate import reverse
from fcsym.deriving.kinds import is_dense
from fcsym.errors import ArgumentError
from fcsym.language.algebra import in_order, indices_of
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import ZERO, Apply, Array, Ref, Role, arrays_in
from fcsym.networks.rules import PLAIN, UpdateRule
from fcsym.networks.symbols import ETA, gradient_of

__all__ = ["step"]


def step(
    forward: Sequence[Equation], parameters: Sequence[Array], order: Order, update: UpdateRule = PLAIN
) -> tuple[Equation, ...]:
    """Forward equations => gates, adjoints and updates, each after what it uses."""
    seen = {theta: theta.primed for theta in parameters} if order == "sequential" else {}
    adjoints, found = reverse(forward, named_in(forward), seen, by=parameters)
    gradients = {theta: found.get(theta, (indices_of(theta), ZERO)) for theta in parameters}  # 0 where nothing reads it
    moved = changes_with_names(forward, parameters)
    where = "already updated" if order == "sequential" else "old"

    result: list[Equation] = [] if update.is_plain else list(update.shared())
    ready: set[str] = set()
    made = {adjoint.array for adjoint in adjoints}  # gates among them
    needed = {
        theta: {a.name for a in arrays_in(gradient) if a in made or a.after}
        for theta, (_, gradient) in gradients.items()
    }
    for adjoint in adjoints:
        _refuse(a.unprimed for a in adjoint.operands if a.after and a.unprimed in needed)
        result.append(adjoint)
        ready.add(adjoint.name)
        while (theta := next((theta for theta, names in needed.items() if names <= ready), None)) is not None:
            del needed[theta]
            indices, gradient = gradients[theta]
            if update.is_plain and theta not in moved:
                result.append(
                    Equation(
                        theta.primed[indices],
                        theta[indices] - in_order(ETA[()], gradient),
                        Rule.UPDATE,
                        f"This is one gradient step; the error came through the {where} weights.",
                        (),
                        "eq. 13" if adjoint is adjoints[0] else "eq. 14",
                    )
                )
            else:
                because = f"This is the gradient; the error came through the {where} weights."
                result.append(Equation(gradient_of(theta)[indices], gradient, Rule.GRADIENT, because))
                result += update.equations(theta, indices, named=True)
            ready.add(theta.primed.name)
    _refuse(needed)
    return tuple(result)


def _refuse(early: Iterable[Array]) -> None:
    """ArgumentError for the first parameter that the order needs updated before it can be."""
    for theta in early:
        raise ArgumentError(
            f"In sequential order {theta.name} would have to be updated before its own gradient is known, since the "
            "error passes through it on the way to another use of it: choose the simultaneous order."
        )


def named_in(forward: Sequence[Equation]) -> Callable[[Array], bool]:
    """Which arrays get an adjoint equation of their own: pre-activations, and what more than one equation needs.

    The activation of a pre-activation that one equation reads has none: its adjoint is put in where the gate meets it.
    """
    logits = max(n for n, e in enumerate(forward) if e.array.role is Role.PRE_ACTIVATION)
    before = {e.array: e for e in forward[:logits]}
    uses: dict[Array, int] = {}
    for e in forward:
        for array in e.operands:
            uses[array] = uses.get(array, 0) + 1

    def named(array: Array) -> bool:
        if array.role is Role.PRE_ACTIVATION:
            return True
        if array.role is not Role.ACTIVATION or array not in before:
            return False
        made = before[array].rhs
        return uses.get(array, 0) > 1 or not isinstance(made, Apply | Ref)

    return named


def changes_with_names(forward: Sequence[Equation], parameters: Sequence[Array]) -> frozenset[Array]:
    """The parameters whose change gets a name: all but the matrix and the bias of one dense layer each."""
    readers: dict[Array, list[Equation]] = {}
    for e in forward:
        for array in e.operands:
            readers.setdefault(array, []).append(e)
    return frozenset(
        theta for theta in parameters
        if len(readers.get(theta, ())) != 1 or not is_dense(readers[theta][0])
    )  # fmt: skip
