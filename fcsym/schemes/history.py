"""`history`: W1 stays untouched, and every distinct input gets one coefficient per unit (dual form; eq. 18-20).

s1(x) = W1_c x + sum_m C_m (x_m . x)        exact for any sequence of inputs
C_m'  = C_m - eta delta1        for the m whose input this step is about
"""

from __future__ import annotations

from fcsym.deriving.record import Record
from fcsym.language.equation import Condition, Equation, Rule
from fcsym.language.expression import ONE, ZERO, Array, Index, greatest, least, mul, total
from fcsym.networks.symbols import ETA, STORED, adjoint_of, units
from fcsym.schemes.record import (
    Routine,
    SchemeRecord,
    Words,
    branches,
    cut,
    first_pre_activation,
    frozen_weights,
    needs_plain_steps,
    needs_stack,
    target_of,
    without_first_matrix,
)

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """W1 = W1_c + sum_m C_m x_m^T, never formed."""
    network = base.network
    needs_stack(
        network, "history",
        "of a layer that reads one input at many positions every stored input would need a coefficient per unit for "
        "each of them", "choose states, where the inputs stay, or backprop.",
    )  # fmt: skip
    needs_plain_steps(network, "history")
    s, x, y = first_pre_activation(network), network.input, network.output
    j, i, m = Index(s.axes[0], "j"), Index(units(0), "i"), Index(STORED, "m")
    matrix = network.parameters[0]
    fixed, inputs, coefficient = (
        frozen_weights(network)[0],
        Array("X", None, (STORED, units(0))),
        Array("C", None, (STORED, *s.axes)),
    )
    kernel, q = Array("K", None, (STORED,)), Array("q", None, (STORED,))
    above, below = Array("dh", None, (STORED,)), Array("dl", None, (STORED,))
    bias = tuple(theta for theta in network.parameters if theta.axes == s.axes)
    rhs = total(i, fixed[j, i] * x[i]) + total(m, coefficient[m, j] * kernel[m])
    if bias:
        rhs = rhs + bias[0][j]
    first = Equation(
        s[j],
        rhs,
        Rule.IDENTITY,
        "The first layer is its frozen weights and what each stored input has added.",
        (),
        "eq. 18-20",
    )
    read = (
        Equation(
            kernel[m],
            total(i, inputs[m, i] * x[i]),
            Rule.DEFINITION,
            "The stored inputs meet the new one.",
            (),
            "eq. 19",
        ),
        first,
    )
    store = (
        Equation(
            above[m],
            greatest(i, inputs[m, i] - x[i]),
            Rule.DEFINITION,
            "How far the stored input is above `x`; a sum of squares would vanish for two inputs that are small.",
        ),
        Equation(below[m], least(i, inputs[m, i] - x[i]), Rule.DEFINITION, "And how far below."),
        Equation(
            q[m],
            branches(
                network.layers[0].activation,
                ((Condition(above[m], "="), Condition(below[m], "=")), ONE),
                ((Condition(above[m], "!="),), ZERO),
                ((Condition(above[m], "="), Condition(below[m], "!=")), ZERO),
            ),
            Rule.DEFINITION,
            "The coordinates of `x` among the stored inputs, of which it is one: a new one is stored before its step.",
        ),
        Equation(
            coefficient.primed[m, j],
            coefficient[m, j] - mul(ETA[()], adjoint_of(s)[j], q[m]),
            Rule.STATE,
            "The first layer's gradient step, kept as a coefficient of its input.",
            (),
            "eq. 18-20",
        ),
    )
    others = tuple(e for e in base.equations if e.defines and e.array != s)
    equations = (*read, *others, *store)
    kept = without_first_matrix(network)
    state = (fixed, inputs, coefficient, *kept)
    after = tuple(array.primed for array in (coefficient, *kept))
    given = (*state, x, target_of(network), ETA)
    start = Equation(fixed[j, i], matrix[j, i], Rule.STATE, "The first layer's weights stay where they are.")
    expanded = Equation(
        matrix[j, i],
        fixed[j, i] + total(m, coefficient[m, j] * inputs[m, i]),
        Rule.EXPANSION,
        "What every stored input has added is added.",
        (),
        "claim v",
    )
    meanings = (
        Equation(
            matrix[j, i],
            fixed[j, i] + total(m, coefficient[m, j] * inputs[m, i]),
            Rule.INVARIANT,
            "Every step moved the first layer along its input.",
            (),
            "eq. 18-20",
        ),
        Equation(x[i], total(m, q[m] * inputs[m, i]), Rule.INVARIANT, "The input is one of the stored ones.", ()),
    )
    return SchemeRecord(
        "history",
        base,
        state,
        meanings,
        {
            "init": Routine(network.parameters, (start,), state),
            "step": Routine(given, cut(equations, given, after), (fixed, inputs, *after)),
            "output": Routine((*state, x), cut(equations, (*state, x), (y,)), (y,)),
            "expand": Routine(state, (expanded,), network.parameters),
        },
        Words(
            "Distinct inputs are stored, each with one coefficient per first-layer unit.",
            ("An input that is not among the stored ones is stored before its step, with coefficients 0.",),
        ),
        single_input=False,
    )
