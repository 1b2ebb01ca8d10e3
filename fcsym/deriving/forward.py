"""Forward equations: what each kind of layer computes.

This is the only place that knows layer kinds. A new kind gives its forward equations here; reverse mode, the update,
the contribution, the proof and the kernel read them.
"""

from __future__ import annotations

from fractions import Fraction

from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Array, Axis, Expr, Index, add, mul, power, total
from fcsym.networks.network import Dense, Network

__all__ = ["ERROR", "ETA", "activated", "forward", "pre_activation"]

ETA = Array("eta", None, ())
ERROR = Array("E", None, ())


def pre_activation(layer: int) -> Array:
    """s of a layer."""
    return Array("s", layer, (Axis(layer),))


def activated(network: Network, layer: int) -> Array:
    """What a layer passes on: x for layer 0, y for the last one, v in between."""
    if layer == 0:
        return Array("x", None, (Axis(0),))
    if layer == len(network.layers):
        return Array("y", None, (Axis(layer),))
    return Array("v", layer, (Axis(layer),))


def forward(network: Network) -> tuple[Equation, ...]:
    """Network => its forward equations, and the error E at the end (eq. 9-12)."""
    equations: list[Equation] = []
    for n, layer in enumerate(network.layers, 1):
        equations += _dense(network, n, layer)
    equations.append(_error(network))
    return tuple(equations)


def _dense(network: Network, n: int, layer: Dense) -> list[Equation]:
    """s_i = sum_j W_ij v_j + b_i,  v_i = phi(s_i)."""
    i, j = Index(Axis(n), "i"), Index(Axis(n - 1), "j")
    last = n == len(network.layers)
    if last:
        i = Index(Axis(n), "k")
    weights, source = Array("W", n, (Axis(n), Axis(n - 1))), activated(network, n - 1)
    pre = activated(network, n) if last else pre_activation(n)
    rhs = total(j, weights[i, j] * source[j])
    if layer.bias:
        rhs = rhs + Array("b", n, (Axis(n),))[i]
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
        after = activated(network, n)
        equations.append(Equation(after[i], value, Rule.DEFINITION, because, (pre.name,), "eq. 10"))
    return equations


def _error(network: Network) -> Equation:
    """E = 1/2 sum_k (y_k - y_g,k)^2."""
    output = activated(network, len(network.layers))
    target = Array("yg", None, output.axes)
    k = Index(output.axes[0], "k")
    half = mul(Fraction(1, 2), total(k, power(add(output[k], mul(-1, target[k])), 2)))
    return Equation(ERROR[()], half, Rule.DEFINITION, "This is the squared error.", (output.name,), "eq. 12")
