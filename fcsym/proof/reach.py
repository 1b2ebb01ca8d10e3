"""How far a unit of a network of layers can move in one gradient step, read off the forward equations.

    s_i = sum_j W_ij a_j + b_i + q_i,  where W, b and q are read for the unit i alone, and a does not move
    =>  every gradient of what s_i is made of has the factor delta_i = phi'(s_i) u:  where the gate is closed, nothing
        moves s_i

What is on the way from the parameters to s is read for it alone, and every element of it by one unit: a sum of two
maps, a mask, a window that shares no weight, maps beside each other. One sample, and an update rule that leaves alone
what has no gradient: a velocity, a decay or another sample moves a unit whatever its gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from fcsym.errors import UnsupportedExpression
from fcsym.language.algebra import products
from fcsym.language.equation import Equation
from fcsym.language.expression import Apply, Array, Index, Indicator, Ref, refs_in
from fcsym.networks.network import Hidden, Network
from fcsym.networks.symbols import one_sample

__all__ = ["moves_by_its_gate", "stays"]

_Tie: TypeAlias = "tuple[int, int, int]"
"""(n, f, c): the position of the unit, along one of its axes, is f times an element's n-th index, plus c."""


def stays(network: Network, unit: Hidden) -> bool:
    """Whether training reaches nothing that the unit's pre-activation is made of."""
    return one_sample(unit.s) not in _reached(network)


def moves_by_its_gate(network: Network, unit: Hidden) -> bool:
    """Whether the unit moves only through what is read for it alone, whose gradients have passed its gate."""
    assert network.built is not None
    s, v = one_sample(unit.s), one_sample(unit.v)
    made = {e.array: e for e in network.built.equations}
    if s in network.trained:  # each of its numbers has one gate, whatever the sample
        return all(s not in e.operands or e.array == v for e in made.values())
    if network.batch and network.samples != 1:
        return False
    if s not in made or any(s in e.operands and e.array != v for e in made.values()):
        return False
    below = _below(s, made, _reached(network))
    whose: dict[Array, tuple[_Tie, ...]] = {
        s: tuple((n, 1, 0) for n, axis in enumerate(s.axes) if network.sizes[axis] > 1)
    }
    reads = [e for e in reversed(network.built.equations) if e.array in below] if whose[s] else []
    for equation in reads:  # by the only unit that there is whatever is read is read for it
        for ref, indicators in _read_in(equation):
            if ref is None:
                return False
            if ref.array not in below:
                continue
            ties = _ties(equation, whose[equation.array], ref, indicators)
            if ties is None or whose.setdefault(ref.array, ties) != ties:
                return False
    return all(array == s or e.array in below for array in below for e in made.values() if array in e.operands)


def _below(s: Array, made: Mapping[Array, Equation], reached: set[Array]) -> set[Array]:
    """What s is made of and training reaches, s itself included."""
    found, ahead = {s}, [s]
    while ahead:
        array = ahead.pop()
        new = set(made[array].operands) & reached - found if array in made else set()
        found |= new
        ahead += new
    return found


def _read_in(equation: Equation) -> Iterable[tuple[Ref | None, tuple[Indicator, ...]]]:
    """Every element that is read, with the indicators it is multiplied with; None for what is read in another way."""
    for side in equation.expressions:
        if isinstance(side, Apply):
            yield from ((ref, ()) for ref in refs_in(side.argument))
            continue
        try:
            terms = products(side)
        except UnsupportedExpression:
            yield None, ()
            continue
        for _, factors, _ in terms:
            indicators = tuple(factor for factor in factors if isinstance(factor, Indicator))
            yield from ((ref, indicators) for ref in factors if isinstance(ref, Ref))


def _ties(
    equation: Equation, whose: Iterable[_Tie], ref: Ref, indicators: Iterable[Indicator]
) -> tuple[_Tie, ...] | None:  # fmt: skip
    """Which unit an element is read for; None where that does not follow from its indices."""
    assert isinstance(equation.lhs, Ref)
    found = []
    for n, factor, constant in whose:
        index = equation.lhs.indices[n]
        where = next((w for w in _positions(index, ref.indices, indicators)), None)
        if where is None:
            return None
        position, times, more = where
        found.append((position, factor * times, factor * more + constant))
    return tuple(found)


def _positions(index: Index, given: tuple[Index, ...], indicators: Iterable[Indicator]) -> Iterable[_Tie]:
    """What an index is by those of an element: one of them, or what an indicator says of one."""
    if index in given:
        yield given.index(index), 1, 0
    for indicator in indicators:
        form = indicator.solved(index) if index in indicator.indices else None
        if form is not None and len(form.terms) == 1 and form.terms[0][0] in given:
            ((other, times),) = form.terms
            yield given.index(other), times, form.constant


def _reached(network: Network) -> set[Array]:
    """The trained parameters, and what is made of them."""
    assert network.built is not None
    reached = set(network.trained)
    for equation in network.built.equations:
        if reached & set(equation.operands):
            reached.add(equation.array)
    return reached
