"""`basis`: the first layer's responses to n_0 probe vectors take the place of its weights (eq. 5, 32, made right).

    Z = W1 B        s1(x) = Z B^-1 x        Z' = Z - eta delta1 (x^T B)

The paper's s, S are the probes (1, 1) and (1, -1); with its own probes (x_1, x_2) and (x_1, -x_2) eq. 32 holds only
where x_1 = x_2 = 1. Probes that do not depend on the input are right for every input, zero entries included.
"""

from __future__ import annotations

from fractions import Fraction

from fcsym.deriving.record import Record
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Index, mul, total
from fcsym.machine.memory import refuse_beyond
from fcsym.networks.symbols import ETA, PROBE, adjoint_of, units
from fcsym.schemes.record import (
    Matrix,
    Routine,
    SchemeRecord,
    Words,
    cut,
    first_pre_activation,
    needs_plain_steps,
    needs_stack,
    target_of,
    without_first_matrix,
)

__all__ = ["build", "probes"]


def probes(inputs: int) -> tuple[Matrix, Matrix]:
    """(B, B^-1): sums and differences of neighbouring inputs, the paper's (1, 1) and (1, -1), and a last one alone.

    Columns of B are orthogonal, so that going back and forth costs no accuracy, and all entries are exact in binary.
    Raises SizeError for more inputs than there is memory for.
    """
    refuse_beyond(f"As many probes as the {inputs} inputs", 64.0 * inputs**2, "choose history or fewer inputs")
    zero, one, half = Fraction(0), Fraction(1), Fraction(1, 2)
    matrix = [[zero] * inputs for _ in range(inputs)]
    inverse = [[zero] * inputs for _ in range(inputs)]
    for n in range(0, inputs - 1, 2):
        matrix[n][n], matrix[n + 1][n], matrix[n][n + 1], matrix[n + 1][n + 1] = one, one, one, -one
        inverse[n][n], inverse[n + 1][n], inverse[n][n + 1], inverse[n + 1][n + 1] = half, half, half, -half
    if inputs % 2:
        matrix[-1][-1] = inverse[-1][-1] = one
    return tuple(map(tuple, matrix)), tuple(map(tuple, inverse))


def build(base: Record) -> SchemeRecord:
    """Z = W1 B, trained in place of W1."""
    network = base.network
    needs_stack(network, "basis", "a layer that reads patches or positions would need probes for each of them")
    needs_plain_steps(network, "basis")
    s, x, y = first_pre_activation(network), network.input, network.output
    j, i, m = Index(s.axes[0], "j"), Index(units(0), "i"), Index(PROBE, "m")
    matrix = network.parameters[0]
    bias = tuple(theta for theta in network.parameters if theta.axes == s.axes)
    z, b, inverse = (
        Array("Z", 1, (*s.axes, PROBE)),
        Array("B", None, (units(0), PROBE)),
        Array("Bi", None, (PROBE, units(0))),
    )
    q, t = Array("q", None, (PROBE,)), Array("t", None, (PROBE,))
    rhs = total(m, z[j, m] * q[m])
    if bias:
        rhs = rhs + bias[0][j]
    read = (
        Equation(
            q[m],
            total(i, inverse[m, i] * x[i]),
            Rule.DEFINITION,
            "The coordinates of `x` in the probe basis.",
            (),
            "eq. 5, 32",
        ),
        Equation(
            s[j],
            rhs,
            Rule.IDENTITY,
            "The first layer is linear: its response to `x` is that to the probes.",
            (),
            "eq. 5, 32",
        ),
    )
    store = (
        Equation(t[m], total(i, x[i] * b[i, m]), Rule.DEFINITION, "The inner products of `x` with the probes."),
        Equation(
            z.primed[j, m],
            z[j, m] - mul(ETA[()], adjoint_of(s)[j], t[m]),
            Rule.STATE,
            "The first layer's gradient step, seen by the probes.",
            (),
            "eq. 5, 32",
        ),
    )
    others = tuple(e for e in base.equations if e.defines and e.array != s)
    equations = (*read, *others, *store)
    kept = without_first_matrix(network)
    state = (z, *kept)
    after = tuple(array.primed for array in state)
    given = (*state, x, target_of(network), ETA)
    response = total(i, matrix[j, i] * b[i, m])
    return SchemeRecord(
        "basis",
        base,
        state,
        (Equation(z[j, m], response, Rule.INVARIANT, "The first layer's responses to the probes.", (), "eq. 5, 32"),),
        {
            "init": Routine(
                network.parameters,
                (
                    Equation(
                        z[j, m], response, Rule.STATE, "The first layer is applied to every probe.", (), "eq. 5, 32"
                    ),
                ),
                state,
            ),
            "step": Routine(given, cut(equations, given, after), after),
            "output": Routine((*state, x), cut(equations, (*state, x), (y,)), (y,)),
            "expand": Routine(
                state,
                (
                    Equation(
                        matrix[j, i],
                        total(m, z[j, m] * inverse[m, i]),
                        Rule.EXPANSION,
                        "The probes are a basis: their responses determine the weights.",
                        (),
                        "claim v",
                    ),
                ),
                network.parameters,
            ),
        },
        Words("The first layer's responses to as many probes as there are inputs are stored."),
        single_input=False,
        constants_for=lambda inputs: dict(zip((b, inverse), probes(inputs), strict=True)),
    )
