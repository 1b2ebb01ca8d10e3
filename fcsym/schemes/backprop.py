"""`backprop`: the state is the weights; the reference that every other scheme is held against."""

from __future__ import annotations

from fcsym.deriving.record import Record
from fcsym.networks.symbols import ETA
from fcsym.schemes.record import Routine, SchemeRecord, Words, cut, target_of

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """W' = W - eta dE/dW for every layer (eq. 13-14)."""
    network, state = base.network, base.network.parameters
    x, y = network.input, network.output
    after = tuple(theta.primed if theta in network.trained else theta for theta in state)
    given = (*state, x, target_of(network), ETA)
    return SchemeRecord(
        "backprop",
        base,
        state,
        (),
        {
            "init": Routine(state, (), state),
            "step": Routine(given, cut(base.equations, given, after), after),
            "output": Routine((*state, x), cut(base.equations, (*state, x), (y,)), (y,)),
            "expand": Routine(state, (), state),
        },
        Words("Every weight is stored and updated."),
        single_input=False,
    )
