"""`compensation`: the last weights stay fixed too, and P accumulates beside them (technique 2; eq. 28-30 made exact).

y = sum_j (w^c_j + P_j) v^c_j        P' - P = (w' dv + (w' - w) v) / v^c
"""

from __future__ import annotations

from fcsym.deriving.record import Record
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ZERO
from fcsym.networks.symbols import ETA, adjoint_of, frozen_copy, increment_of, integral_of
from fcsym.schemes.frozen import Frozen
from fcsym.schemes.record import Routine, SchemeRecord, cut, single_input_words

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """P grows by the compensation of each step and by what the weight itself would have moved, over v^c."""
    held = Frozen.of(base, "compensation")
    shared, k, j = held.shared, held.k, held.j
    fixed = frozen_copy(held.w)
    total_p, moved_w = integral_of(held.w), increment_of(held.w)
    w, vc, v, dv = held.w[k, j], held.vc[j], held.v[j], held.dv[j]
    learned = ETA[()] * adjoint_of(held.y)[k] * v
    grown = total_p[k, j] + w.array.primed[k, j] * dv / vc - learned * v / vc
    equations = (
        Equation(
            w, fixed[k, j] + moved_w[k, j], Rule.STATE, "The weight is the fixed one and what it would have moved by."
        ),
        *held.with_output((fixed[k, j] + total_p[k, j]) * vc),
        Equation(
            moved_w.primed[k, j],
            moved_w[k, j] - learned,
            Rule.STATE,
            "This is the gradient step of the last layer, kept apart from its fixed weights.",
            (),
            "eq. 13",
        ),
        Equation(
            total_p.primed[k, j],
            held.by_cases(grown, total_p[k, j]),
            Rule.STATE,
            "`w'v' - wv = w' dv + (w' - w) v`, divided by `v^c`: the compensations of single steps add up.",
            (),
            "eq. 28",
        ),
    )
    state = (fixed, total_p, moved_w, shared.s, *held.inner, held.vc, *shared.input_facts)
    moved = tuple(array.primed for array in (total_p, moved_w, shared.s, *held.inner))
    given = (*state, shared.target, shared.eta)
    start = (
        Equation(fixed[k, j], w, Rule.STATE, "The last layer's weights stay where they are."),
        Equation(total_p[k, j], ZERO, Rule.STATE, "Nothing has moved yet."),
        Equation(moved_w[k, j], ZERO, Rule.STATE, "Nothing has moved yet."),
    )
    meanings = (
        Equation(
            moved_w[k, j], w - fixed[k, j], Rule.INVARIANT, f"What `{w.array.name}` would have moved by.", (), "eq. 13"
        ),
        Equation(
            total_p[k, j],
            w * v / vc - fixed[k, j],
            Rule.INVARIANT,
            "What the frozen network lacks, wherever `v^c` is not 0.",
            (),
            "eq. 28",
        ),
    )
    return SchemeRecord(
        "compensation",
        base,
        state,
        (*shared.meanings, *meanings),
        {
            "init": Routine(shared.init_given, (*held.start(), *start), state),
            "step": Routine(given, cut(equations, given, moved), (fixed, *moved, held.vc, *shared.input_facts)),
            "output": Routine(state, cut(equations, state, (base.network.output,)), (base.network.output,)),
            "expand": shared.expand(state, extra=equations[:1]),
        },
        single_input_words("All weights stay fixed, and P accumulates beside the last layer's."),
        single_input=True,
        constants_for=shared.constants,
        moving=shared.moving,
        measures=shared.measures,
    )
