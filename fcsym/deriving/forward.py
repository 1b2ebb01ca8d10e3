"""Forward equations: what each kind of layer computes.

This is the only place that knows layer kinds. A new kind gives its forward equations here; reverse mode, the update,
the contribution, the proof and the kernel read them.
"""

from __future__ import annotations

from fractions import Fraction

from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Expr, Index, add, mul, power, total
from fcsym.networks.network import Dense, Network
from fcsym.networks.symbols import ERROR, ETA, bias, pre_activation, units, weight

__all__ = ["forward"]

ETA = ETA


def forward(network: Network) -> tuple[Equation, ...]:
    """Network => its forward equations, and the error E at the end (eq. 9-12)."""
    equations: list[Equation] = []
    for n, layer in enumerate(network.layers, 1):
        equations += _dense(network, n, layer)
    equations.append(_error(network))
    return tuple(equations)


def _dense(network: Network, n: int, layer: Dense) -> list[Equation]:
    """s_i = sum_j W_ij v_j + b_i,  v_i = phi(s_i)."""
    i, j = Index(units(n), "i"), Index(units(n - 1), "j")
    last = n == len(network.layers)
    if last:
        i = Index(units(n), "k")
    weights, source = weight(n), network.passed_on(n - 1)
    pre = network.passed_on(n) if last else pre_activation(n)
    rhs = total(j, weights[i, j] * source[j])
    if layer.bias:
        rhs = rhs + bias(n)[i]
    uses = (source.name,) if n > 1 else ()
    what = "the output" if last else f"the pre-activation of layer {n}"
    equations = [
        Equation(
            pre[i], rhs, Rule.DEFINITION, f"This is {what}.", uses, {True: "eq. 11", False: "eq. 9"}[last]
        )
    ]  # fmt: skip
    if not last:
        phi = layer.activation
        value: Expr = pre[i] if phi.is_identity else Apply(phi, pre[i])
        because = f"Layer {n} is linear." if phi.is_identity else f"The activation of layer {n} is {phi.name}."
        after = network.passed_on(n)
        equations.append(Equation(after[i], value, Rule.DEFINITION, because, (pre.name,), "eq. 10"))
    return equations


def _error(network: Network) -> Equation:
    """E = 1/2 sum_k (y_k - y_g,k)^2."""
    output = network.output
    target = network.target
    k = Index(output.axes[0], "k")
    half = mul(Fraction(1, 2), total(k, power(add(output[k], mul(-1, target[k])), 2)))
    return Equation(ERROR[()], half, Rule.DEFINITION, "This is the squared error.", (output.name,), "eq. 12")
