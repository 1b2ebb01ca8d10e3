"""Whether a derivation is complete: every equation that it must have, once, with its rule, after those it uses.

Without this, a derivation that leaves out what it cannot prove would look proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fcsym.language.equation import Cases, Equation, Rule, Status
from fcsym.language.expression import ZERO
from fcsym.networks.network import Network

__all__ = ["expected", "flaws"]


def expected(network: Network) -> Iterator[tuple[str, Rule]]:
    """The names and rules that a derivation has, whatever its order is."""
    depth = len(network.layers)
    for layer in range(1, depth):
        yield from ((f"s{layer}", Rule.DEFINITION), (f"v{layer}", Rule.DEFINITION))
    yield from (("y", Rule.DEFINITION), ("E", Rule.DEFINITION))
    for layer in range(depth, 0, -1):
        gated = layer < depth and not network.layers[layer - 1].activation.is_identity
        yield from [(f"g{layer}", Rule.DEFINITION)] if gated else []
        yield f"delta{layer}", Rule.ADJOINT
        yield from ((theta.primed.name, Rule.UPDATE) for theta in network.parameters if theta.layer == layer)
    for layer in range(1, depth + 1):
        s = "y" if layer == depth else f"s{layer}"
        yield from ((f"a{layer - 1}", Rule.DEFINITION), (f"d{s}", Rule.INCREMENT), (f"{s}_new", Rule.AFTER))
        if layer < depth:
            phi = network.layers[layer - 1].activation
            by_cases = not (phi.is_identity or phi.is_smooth)
            yield from ((f"dv{layer}", Rule.CASES if by_cases else Rule.INCREMENT), (f"v{layer}_new", Rule.AFTER))
    if depth > 1:
        yield from (
            ("vc", Rule.DEFINITION),
            ("p", Rule.CHOICE),
            ("r", Rule.DEFINITION),
            ("compensation", Rule.IDENTITY),
        )
    if depth > 1 and not network.layers[-2].activation.is_smooth:
        yield from [("rho", Rule.SPLIT)] if network.widths[-1] > 1 else []
        yield from [("kappa", Rule.SPLIT), ("alpha", Rule.SPLIT)] if depth > 2 else []
        yield "P", Rule.INTEGRAL


def flaws(network: Network, equations: Sequence[Equation]) -> list[tuple[str, str]]:
    """(name, what is wrong) for everything that keeps the list from being a derivation."""
    wanted = dict(expected(network))
    names = [equation.name for equation in equations]
    found = [(name, "is missing") for name in wanted if name not in names]
    seen: set[str] = set()
    for equation in equations:
        name = equation.name
        if name not in wanted:
            found.append((name, "is no equation of this derivation"))
        elif name in seen:
            found.append((name, "stands twice"))
        elif equation.rule is not wanted[name]:
            found.append((name, f"claims the rule {equation.rule.value!r} and needs {wanted[name].value!r}"))
        early = [array.name for array in equation.operands if array.name in wanted and array.name not in seen]
        if early and name in wanted:
            found.append((name, f"uses {early[0]} before it stands"))
        if name in ("p", "P") and not isinstance(equation.rhs, Cases):
            found.append((name, "has no cases"))
        found += [(name, said) for said in _rows(equation)]
        seen.add(name)
    return found


def _rows(equation: Equation) -> Iterator[str]:
    """Rows whose value is not what their status says."""
    for branch in equation.rhs if isinstance(equation.rhs, Cases) else ():
        if branch.status is Status.CHOSEN and branch.value != ZERO:
            yield f"says in {branch.name!r} that 0 is chosen and has another value"
        if (branch.status is Status.UNDEFINED) != (branch.value is None):
            yield f"has a value in {branch.name!r} exactly if it should have none"
        if branch.status is not Status.VALUE and equation.rule is Rule.CASES:
            yield f"has no value in {branch.name!r}"
