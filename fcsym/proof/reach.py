"""How far a unit of a network of layers can move in one gradient step, read off the forward equations.

    s_i = sum_j W_ij x_j + b_i,  where W and b are read here alone and x is data, and s by its activation alone
    =>  dW = -eta delta_i x_j,  db = -eta delta_i,  delta_i = phi'(s_i) u:  where the gate is closed, nothing moves s_i

One sample, the plain gradient step: a velocity, a decay or another sample moves a unit whatever its gate.
"""

from __future__ import annotations

from fcsym.language.expression import Array, Ref, refs_in
from fcsym.networks.network import Hidden, Network
from fcsym.networks.symbols import one_sample

__all__ = ["moves_by_its_gate", "stays"]


def stays(network: Network, unit: Hidden) -> bool:
    """Whether training reaches nothing that the unit's pre-activation is made of."""
    return one_sample(unit.s) not in _reached(network)


def moves_by_its_gate(network: Network, unit: Hidden) -> bool:
    """Whether the unit moves only through parameters of its own, whose gradients have passed its gate."""
    assert network.built is not None
    if network.batch and network.samples != 1:
        return False
    equations, s, v = network.built.equations, one_sample(unit.s), one_sample(unit.v)
    made = next((e for e in equations if e.array == s), None)
    if made is None or any(s in e.operands and e.array != v for e in equations):
        return False
    assert isinstance(made.lhs, Ref)
    own = {index for index in made.lhs.indices if network.sizes[index.axis] > 1}
    moved = [ref for side in made.expressions for ref in refs_in(side) if ref.array in _reached(network)]
    return all(ref.array in network.trained and own <= set(ref.indices) for ref in moved) and not any(
        ref.array in e.operands for ref in moved for e in equations if e is not made
    )


def _reached(network: Network) -> set[Array]:
    """The trained parameters, and what is made of them."""
    assert network.built is not None
    reached = set(network.trained)
    for equation in network.built.equations:
        if reached & set(equation.operands):
            reached.add(equation.array)
    return reached
