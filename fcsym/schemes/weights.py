"""`weights`: the network below the last layer is frozen, and the last weights become r = w + p (technique 1).

y = sum_j r_j v^c_j        r = w v / v^c        (eq. 4, 21-22; exact after any number of steps)
"""

from __future__ import annotations

from fcsym.deriving.record import Record
from fcsym.language.equation import Equation, Rule
from fcsym.networks.symbols import effective
from fcsym.schemes.frozen import Frozen
from fcsym.schemes.record import Routine, SchemeRecord, cut, single_input_words

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """r' = w' v' / v^c, with the output read off r and the frozen v^c alone."""
    frozen = Frozen.of(base, "weights")
    shared, k, j = frozen.shared, frozen.k, frozen.j
    r = effective(frozen.w)
    w, vc, v = frozen.w[k, j], frozen.vc[j], frozen.v[j]
    after = w.array.primed[k, j] * v.array.primed[j] / vc
    updated = Equation(
        r.primed[k, j],
        frozen.by_cases(after, w.array.primed[k, j]),
        Rule.STATE,
        "The frozen network must have the output of backpropagation; solved unit by unit, the paper's choice.",
        (),
        "eq. 22, r_5n, r_6n",
    )
    state = (r, frozen.w, shared.s, *frozen.inner, frozen.vc, *shared.input_facts)
    moved = tuple(array.primed for array in (r, frozen.w, shared.s, *frozen.inner))
    given = (*state, shared.target, shared.eta)
    equations = (*frozen.with_output(r[k, j] * vc), updated)
    start = Equation(r[k, j], w, Rule.STATE, "Nothing has moved yet: `p` is 0.", (), "eq. 22")
    meaning = Equation(
        r[k, j],
        w * v / vc,
        Rule.INVARIANT,
        "What the frozen network needs, wherever `v^c` is not 0.",
        (),
        "r_5n, r_6n",
    )
    return SchemeRecord(
        "weights",
        base,
        state,
        (*shared.meanings, meaning),
        {
            "init": Routine(shared.init_given, (*frozen.start(), start), state),
            "step": Routine(given, cut(equations, given, moved), (*moved, frozen.vc, *shared.input_facts)),
            "output": Routine(state, cut(equations, state, (base.network.output,)), (base.network.output,)),
            "expand": shared.expand(state),
        },
        single_input_words("The lower layers stay frozen and the last layer's weights become r = w + p."),
        single_input=True,
        constants_for=shared.constants,
        moving=shared.moving,
        measures=shared.measures,
    )
