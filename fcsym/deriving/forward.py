"""Forward equations: what each kind of layer computes.

This is the only place that knows layer kinds. A new kind gives its forward equations here; reverse mode, the update,
the contribution, the proof and the kernel read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fcsym.language.algebra import replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, Apply, Expr, Index, Role, total
from fcsym.networks.losses import loss_equations, softmax_equations
from fcsym.networks.network import Dense, Network
from fcsym.networks.symbols import SAMPLES, count_of_samples, over_samples, units, weight

__all__ = ["forward"]


def forward(network: Network) -> tuple[Equation, ...]:
    """Network => its forward equations, and the error E at the end (eq. 9-12).

    A layer and a loss are written for one sample. In a mini-batch what depends on the sample has an axis for it, and E
    is the mean or the sum.
    """
    one = replace(network, batch="", samples=0) if network.batch else network
    equations: list[Equation] = []
    for n, layer in enumerate(one.layers, 1):
        equations += _dense(one, n, layer)
    if one.softmax:
        equations += softmax_equations(one.outputs)
    known = {equation.array for equation in equations}  # a cross-entropy is made of what the softmax is
    equations += (equation for equation in loss_equations(one.loss, one.outputs) if equation.array not in known)
    return tuple(_over_samples(equations, network.batch)) if network.batch else tuple(equations)


_ONCE = (Role.PARAMETER, Role.HYPER_PARAMETER)
"""What is the same for every sample."""


def _over_samples(equations: Sequence[Equation], batch: str) -> Iterator[Equation]:
    """The equations of one sample => those of all of them, and E over them."""
    n = Index(SAMPLES, "n")

    def each(node: Expr) -> Expr:
        return replaced(node, lambda ref: ref if ref.array.role in _ONCE else over_samples(ref.array)[n, *ref.indices])

    *passed, error = equations
    assert isinstance(error.rhs, Expr)
    for equation in passed:
        assert isinstance(equation.rhs, Expr)
        yield replace(equation, lhs=each(equation.lhs), rhs=each(equation.rhs))
    of_all = total(n, each(error.rhs))
    if batch == "mean":
        number = count_of_samples()[()]
        yield Equation(number, total(n, ONE), Rule.DEFINITION, "This is the number of samples.")
        of_all = of_all / number
    what = error.because.removeprefix("This is ").removesuffix(".")
    yield replace(error, rhs=of_all, because=f"This is {what}: the {batch} over the samples.")


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
        shift = network.bias(n)
        rhs = rhs + shift[(i,) if shift.axes else ()]
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
