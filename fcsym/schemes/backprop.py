"""`backprop`: every weight is stored and updated; the reference that the other schemes reproduce."""

from __future__ import annotations

from collections.abc import Iterator

from fcsym.deriving.record import Record
from fcsym.language.algebra import indices_of
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Number
from fcsym.networks.network import Network
from fcsym.networks.symbols import ETA
from fcsym.schemes.record import Routine, SchemeRecord, Words, cut, target_of

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """W' = W - eta dE/dW for every layer (eq. 13-14), or as the update rule has it, with what that carries."""
    network, weights = base.network, base.network.parameters
    state = (*weights, *network.memory)
    x, y = network.input, network.output
    changed = {*network.trained, *network.memory}
    after = tuple(array.primed if array in changed else array for array in state)
    given = (*state, x, target_of(network), ETA)
    carried = " and what the update rule carries" if network.memory else ""
    return SchemeRecord(
        "backprop",
        base,
        state,
        (),
        {
            "init": Routine(weights, tuple(at_rest(network)), state),
            "step": Routine(given, cut(base.equations, given, after), after),
            "output": Routine((*state, x), cut(base.equations, (*state, x), (y,)), (y,)),
            "expand": Routine(state, (), weights),
        },
        Words(f"Every weight{carried} is stored and updated."),
        single_input=False,
    )


def at_rest(network: Network) -> Iterator[Equation]:
    """What the update rule carries, before the first step."""
    for array, value in network.memory.items():
        what = "No gradient has been seen yet." if array.axes else "No step has been taken yet."
        yield Equation(array[indices_of(array)], Number(value), Rule.DEFINITION, what)
