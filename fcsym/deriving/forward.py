"""Forward equations: what each kind of layer computes.

This is the only place that knows layer kinds. A new kind gives its forward equations here; reverse mode, the update,
the contribution, the proof and the kernel read them.
"""

from __future__ import annotations

from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Expr, Index, total
from fcsym.networks.losses import loss_equations
from fcsym.networks.network import Dense, Network
from fcsym.networks.symbols import bias, units, weight

__all__ = ["forward"]


def forward(network: Network) -> tuple[Equation, ...]:
    """Network => its forward equations, and the error E at the end (eq. 9-12)."""
    equations: list[Equation] = []
    for n, layer in enumerate(network.layers, 1):
        equations += _dense(network, n, layer)
    equations += loss_equations(network.loss, network.outputs)
    return tuple(equations)


def _dense(network: Network, n: int, layer: Dense) -> list[Equation]:
    """s_i = sum_j W_ij v_j + b_i,  v_i = phi(s_i)."""
    i, j = Index(units(n), "i"), Index(units(n - 1), "j")
    last = n == len(network.layers)
    if last:
        i = Index(units(n), "k")
    weights, source = weight(n), network.passed_on(n - 1)
    pre = network.pre_activation(n)
    rhs = total(j, weights[i, j] * source[j])
    if layer.bias:
        rhs = rhs + bias(n)[i]
    uses = (source.name,) if n > 1 else ()
    what = "the output" if pre == network.output else f"the pre-activation of layer {n}"
    equations = [
        Equation(
            pre[i], rhs, Rule.DEFINITION, f"This is {what}.", uses, {True: "eq. 11", False: "eq. 9"}[last]
        )
    ]  # fmt: skip
    after = network.passed_on(n)
    if after != pre:
        phi = layer.activation
        value: Expr = pre[i] if phi.is_identity else Apply(phi, pre[i])
        because = f"Layer {n} is linear." if phi.is_identity else f"The activation of layer {n} is {phi.name}."
        if last:
            because = f"The output activation is {phi.name}."
        equations.append(Equation(after[i], value, Rule.DEFINITION, because, (pre.name,), "eq. 10"))
    return equations
