"""Statements that hold at every step of training, proved like schemes: the induction, and the next input.

They are written as schemes so that the same induction over steps proves them; their state is all weights, and they are
read, not run.
"""

from __future__ import annotations

from dataclasses import replace

from fcsym.deriving.pipeline import one_step
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError
from fcsym.language.equation import Cases, Condition, Equation, Order, Rule, Status
from fcsym.language.expression import ZERO, Apply, Array, Expr, Index, total
from fcsym.language.names_of_cases import named_row
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ETA,
    adjoint_of,
    bias,
    frozen_activation,
    increment_of,
    norm,
    p_of,
    seen_by,
    units,
    weight,
)
from fcsym.schemes.record import (
    Routine,
    SchemeRecord,
    Words,
    cut,
    first_pre_activation,
    needs_plain_steps,
    needs_stack,
    target_of,
)

__all__ = ["collapse", "next_input"]


def collapse(network: Network, order: Order = "simultaneous", slope_at_kink: object = None) -> SchemeRecord:
    """n layers => n - 1 => ... => 1: the compensation at every layer boundary, after any number of steps.

    With every layer below it frozen, layer l needs the weights R_l = W_l + p_l on the constant input v^c of the layer
    below, and then has the pre-activations of backpropagation. So the next layer reads the same v, and the argument can
    be repeated (supplement, induction; eq. 22 at every boundary). The last R is the direct formula
    w + w (v - v^c)/v^c: v is the same in both.
    `order`, `slope_at_kink`: as for `derive`. Raises ArgumentError for a network without a hidden layer and for an
    unknown order.
    """
    needs_stack(network, "collapse")
    base = one_step(network, order, slope_at_kink)
    needs_plain_steps(network, "collapse", "give the network without them")
    depth = len(network.layers)
    if depth < 2:
        raise ArgumentError(f"{network} has one layer already: collapse needs a hidden layer.")
    x, y = network.input, network.output
    frozen = [replace(frozen_activation(network.passed_on(n)), layer=n) for n in range(1, depth)]
    state = (*network.parameters, *frozen)
    hidden = [network.passed_on(n) for n in range(1, depth)]
    start = []
    for vc, v in zip(frozen, hidden, strict=True):
        j = Index(v.axes[0], "j")
        start.append(Equation(vc[j], v[j], Rule.DEFINITION, f"`{v.name}` is frozen here.", (), "eq. 4, 21"))
    output: list[Equation] = [base.by_name[network.hidden[0].s.name], base.by_name[network.hidden[0].v.name]]
    meanings = []
    for layer in range(2, depth + 1):
        made, meaning = _boundary(base, layer)
        output += made
        meanings.append(meaning)
    after = tuple(theta.primed for theta in network.parameters)
    given = (*state, x, target_of(network), ETA)
    return SchemeRecord(
        "collapse",
        base,
        state,
        tuple(meanings),
        {
            "init": Routine(
                (*network.parameters, x), (*cut(base.equations, (*network.parameters, x), hidden), *start), state
            ),
            "step": Routine(given, cut(base.equations, given, after), (*after, *frozen)),
            "output": Routine((*state, x), tuple(output), (y,)),
            "expand": Routine(state, (), network.parameters),
        },
        Words(
            "n layers collapse to n - 1, ..., to one, with a compensation at every boundary.",
            ("The input `x` is the same at every step and is the one that `init` was given.",),
        ),
        single_input=True,
        is_statement=True,
    )


def _boundary(base: Record, layer: int) -> tuple[list[Equation], Equation]:
    """Layer `layer` on the constant input below it: its compensation, its weights, and what it computes."""
    network = base.network
    s = network.pre_activation(layer)
    below = network.passed_on(layer - 1)
    i, j = Index(s.axes[0], "i"), Index(below.axes[0], "j")
    w = weight(layer)
    p, r = (Array(symbol, layer, w.axes) for symbol in ("p", "R"))
    vc, v = replace(frozen_activation(below), layer=layer - 1)[j], below[j]
    zero, phi = Condition(vc, "="), network.layers[layer - 2].activation
    value = w[i, j] * (v - vc) / vc
    rows = Cases(
        (
            named_row(phi, (Condition(vc, "!="),), w[i, j] * v / vc - w[i, j]),
            named_row(phi, (zero, Condition(v, "=")), ZERO, Status.CHOSEN),
            named_row(phi, (zero, Condition(v, "!=")), None, Status.UNDEFINED),
        )
    )
    rhs = total(j, r[i, j] * vc)
    if network.layers[layer - 1].bias:
        rhs = rhs + bias(layer)[i]
    left = len(network.layers) - layer + 1
    equations = [
        Equation(
            p[i, j],
            rows,
            Rule.CHOICE,
            f"Everything below layer {layer} stays frozen; what its inputs moved by goes into its weights.",
            (),
            "eq. 22",
        ),
        Equation(
            r[i, j], w[i, j] + p[i, j], Rule.DEFINITION, f"These are the weights of layer {layer} on a constant input."
        ),
        Equation(
            s[i],
            rhs,
            Rule.IDENTITY,
            f"{left} layer{'s' if left > 1 else ''} on the constant input `{vc.array.name}`, and layer {layer} has the "
            f"{'output' if s == network.output else 'pre-activations'} of backpropagation.",
            (),
            "section 3, induction",
        ),
    ]
    if network.passed_on(layer) != s:
        equations.append(base.by_name[network.passed_on(layer).name])
    meaning = Equation(
        p[i, j], value, Rule.INVARIANT, f"The direct formula at layer {layer}, wherever `v^c` is not 0.", (), "eq. 22"
    )
    return equations, meaning


def next_input(network: Network, order: Order = "simultaneous", slope_at_kink: object = None) -> SchemeRecord:
    """One step on x, seen from another input z: eq. 18-19, and for one hidden layer eq. 31 with its domain.

    Repeated for every step, eq. 18-19 is the scheme `history`: s1(z) = W1_c z + sum_m C_m (x_m . z).
    `order`, `slope_at_kink`: as for `derive`. Raises ArgumentError for an unknown order.
    """
    needs_stack(network, "next_input")
    base = one_step(network, order, slope_at_kink)
    needs_plain_steps(network, "next_input", "give the network without them")
    depth = len(network.layers)
    s = first_pre_activation(network)
    x, z = network.input, Array("z", None, (units(0),))
    j, i = Index(s.axes[0], "j"), Index(units(0), "i")
    matrix, shift, shifted = network.parameters[0], bias(1), network.layers[0].bias
    seen, moved = Array("sz", None, s.axes), Array("dsz", None, s.axes)
    inner, ratio = Array("Kz", None, ()), Array("c", None, s.axes)
    squared, change, delta = norm(x)[()], increment_of(s), adjoint_of(s)

    def response(weights: Array, constant: Array) -> Expr:
        value = total(i, weights[j, i] * z[i])
        return value + constant[j] if shifted else value

    overlap = total(i, x[i] * z[i])
    equations = [
        Equation(
            seen[j],
            response(matrix, shift),
            Rule.DEFINITION,
            "What the first layer makes of the other input.",
            (),
            "eq. 18",
        ),
        Equation(
            inner[()],
            overlap + 1 if shifted else overlap,
            Rule.DEFINITION,
            "How much the two inputs have in common.",
            (),
            "eq. 18",
        ),
        Equation(ratio[j], -ETA[()] * delta[j], Rule.STATE, "What the step adds per unit of overlap.", (), "eq. 18"),
        Equation(
            change[j],
            ratio[j] * squared,
            Rule.IDENTITY,
            "The step's own input overlaps with itself: where it is not 0, `c = (s' - s)/|x|^2`, as the paper has it.",
            (),
            "eq. 19",
            label="own input",
        ),
        Equation(
            moved[j],
            ratio[j] * inner[()],
            Rule.STATE,
            "The other input sees the step through the overlap.",
            (),
            "eq. 18-19",
        ),
        Equation(seen.primed[j], seen[j] + moved[j], Rule.STATE, "The increment is added.", (), "eq. 19-20"),
    ]
    meanings = [
        Equation(ratio[j], -ETA[()] * delta[j], Rule.INVARIANT, "The coefficient of this input.", (), "eq. 18"),
        Equation(
            moved[j],
            response(matrix.primed, shift.primed) - response(matrix, shift),
            Rule.INVARIANT,
            "What the other input's pre-activation moves by.",
            (),
            "eq. 18",
        ),
        Equation(
            seen.primed[j],
            response(matrix.primed, shift.primed),
            Rule.INVARIANT,
            "The other input's pre-activation after the step.",
            (),
            "eq. 18",
        ),
    ]
    if depth == 2:
        made, meant = _next_compensation(base, seen)
        equations += made
        meanings += meant
    parameters = network.parameters
    after = tuple(theta.primed for theta in parameters)
    given = (*parameters, x, target_of(network), ETA)
    needed = tuple(dict.fromkeys(a for e in equations for a in (e.array, *e.operands)))
    step = cut(base.equations, given, (*after, *needed))
    return SchemeRecord(
        "next input",
        base,
        parameters,
        tuple(meanings),
        {
            "init": Routine(parameters, (), parameters),
            "step": Routine(given, cut(base.equations, given, after), after),
            "output": Routine(
                (*parameters, x),
                cut(base.equations, (*parameters, x), (network.output,)),
                (network.output,),
            ),
            "expand": Routine(parameters, (), parameters),
            "next": Routine(
                (*given, z), (*(e for e in step if e.name not in _statements(equations)), *equations), (seen.primed,)
            ),
        },
        Words("One step on x, seen from another input z."),
        single_input=False,
        is_statement=True,
    )


def _statements(equations: list[Equation]) -> set[str]:
    return {e.name for e in equations if e.defines}


def _next_compensation(base: Record, seen: Array) -> tuple[list[Equation], list[Equation]]:
    """(w' + p + p@) v^c@ = w' v@  =>  p@ = w' (v@ - v^c@)/v^c@ - p, where v^c@ is not 0  (eq. 31)."""
    network = base.network
    phi, hidden, y = network.layers[0].activation, network.passed_on(1), network.logits
    k, j = Index(y.axes[0], "k"), Index(hidden.axes[0], "j")
    w = network.read_out.primed
    frozen, value, p, more = (
        seen_by("z", frozen_activation(hidden)),
        seen_by("z", hidden),
        p_of(w),
        Array("pz", None, w.axes),
    )
    zero = Condition(frozen[j], "=")
    direct = w[k, j] * value[j] / frozen[j] - w[k, j] - p[k, j]

    def activation(s: Array) -> Expr:
        return s[j] if phi.is_identity else Apply(phi, s[j])

    equations = [
        Equation(
            frozen[j],
            activation(seen),
            Rule.DEFINITION,
            "What the frozen layer makes of the other input.",
            (),
            "eq. 31",
        ),
        Equation(value[j], activation(seen.primed), Rule.DEFINITION, "What backpropagation makes of it.", (), "eq. 31"),
        Equation(
            more[k, j],
            Cases(
                (
                    named_row(phi, (Condition(frozen[j], "!="),), direct),
                    named_row(phi, (zero, Condition(value[j], "=")), ZERO, Status.CHOSEN),
                    named_row(phi, (zero, Condition(value[j], "!=")), None, Status.UNDEFINED),
                )
            ),
            Rule.CHOICE,
            "`(w' + p + p@) v^c@ = w' v@` is solved unit by unit: what the other input needs on top of `p`.",
            (),
            "eq. 31",
        ),
    ]
    answer = Array("yz", None, y.axes)
    shift = bias(2).primed[k] if network.layers[1].bias else ZERO
    equations.append(
        Equation(
            answer[k],
            total(j, (w[k, j] + p[k, j] + more[k, j]) * frozen[j]) + shift,
            Rule.IDENTITY,
            "The frozen network has the output of backpropagation on the other input, too.",
            (),
            "eq. 31",
        )
    )
    return equations, [
        Equation(
            more[k, j],
            w[k, j] * (value[j] - frozen[j]) / frozen[j] - p[k, j],
            Rule.INVARIANT,
            "What the other input needs, less what `p` gives already.",
            (),
            "eq. 31",
        ),
        Equation(
            answer[k],
            total(j, w[k, j] * value[j]) + shift,
            Rule.INVARIANT,
            "The output of backpropagation on the other input.",
            (),
            "eq. 31",
        ),
    ]
