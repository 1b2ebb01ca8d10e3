"""`states`: the first layer's pre-activations take the place of its weights (technique 3; eq. 17).

s1' = s1 - eta delta1 |x|^2        exact for one input, any depth, either order
"""

from __future__ import annotations

from fcsym.deriving.record import Record
from fcsym.schemes import full_batch, read_data
from fcsym.schemes.record import Routine, SchemeRecord, SingleInput, cut, needs_plain_steps, single_input_words

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """(s1, W2, ..., WL) reproduces backpropagation without W1."""
    if base.network.built is not None:
        return read_data.build(base)
    if base.network.batch:
        return full_batch.build(base)
    needs_plain_steps(base.network, "states", "choose backprop, or a batch, which may be of one sample")
    network, shared = base.network, SingleInput.of(base)
    y = network.output
    state = (shared.s, *shared.upper, *shared.input_facts)
    after = tuple(array.primed for array in (shared.s, *shared.upper))
    given = (*state, shared.target, shared.eta)
    return SchemeRecord(
        "states",
        base,
        state,
        shared.meanings,
        {
            "init": Routine(shared.init_given, shared.start((shared.s,)), state),
            "step": Routine(given, cut(shared.equations, given, after), (*after, *shared.input_facts)),
            "output": Routine(state, cut(shared.equations, state, (y,)), (y,)),
            "expand": shared.expand(state),
        },
        single_input_words("The first layer's pre-activations are stored in place of its weights."),
        single_input=True,
        constants_for=shared.constants,
        moving=shared.moving,
        measures=shared.measures,
    )
