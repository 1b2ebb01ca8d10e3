"""Forward equations: what a network computes, from its input to the error.

Layers, output activations and losses are written for one sample, and what follows on the read-out for one position of
it. Here they get axes for the others. Reverse mode, the update, the contribution, the proof and the kernel read the
list that comes out, and none of them asks what made an equation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath

from fcsym.errors import ArgumentError, listed
from fcsym.language import smooth_functions
from fcsym.language.algebra import replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, Apply, Array, Axis, Expr, Extreme, Index, Ref, Role, children, total
from fcsym.language.formulas import NoRealValue
from fcsym.language.instance import Element, Field, Instance, first_that_holds
from fcsym.networks.losses import loss_equations, softmax_equations
from fcsym.networks.network import Network
from fcsym.networks.symbols import SAMPLES, count_of_samples, over_samples

__all__ = ["forward", "refuse_greatest"]

_DRAWS = 4
_SHIFT, _DIGITS = Fraction(1, 3), 30


def forward(network: Network) -> tuple[Equation, ...]:
    """Network => its forward equations, and the error E at the end (eq. 9-12).

    In a mini-batch what depends on the sample has an axis for it, and E is the mean or the sum. Where the read-out is
    taken at several positions, the error of a sample is the sum over them.
    """
    one = replace(network, batch="", samples=0) if network.batch else network
    outputs = one.outputs.at_one(len(one.positions))
    after = list(softmax_equations(outputs)) if one.softmax else []
    known = {equation.array for equation in after}  # a cross-entropy is made of what the softmax is
    after += (equation for equation in loss_equations(one.loss, outputs) if equation.array not in known)
    equations = [*one.layer_equations, *_at_positions(after, one.positions)]
    return tuple(_over_samples(equations, network)) if network.batch else tuple(equations)


_ONCE = (Role.PARAMETER, Role.HYPER_PARAMETER)
"""What is the same at every position."""


def _over_samples(equations: Sequence[Equation], network: Network) -> Iterator[Equation]:
    """The equations of one sample => those of all of them, and E over them."""
    n = Index(SAMPLES, "n")

    def each(node: Expr) -> Expr:
        def one(ref: Ref) -> Expr:
            same = ref.array.role is Role.HYPER_PARAMETER or ref.array in network.once
            return ref if same else over_samples(ref.array)[n, *ref.indices]

        return replaced(node, one)

    *passed, error = equations
    assert isinstance(error.rhs, Expr)
    for equation in passed:
        assert isinstance(equation.rhs, Expr)
        yield replace(equation, lhs=each(equation.lhs), rhs=each(equation.rhs))
    of_all = total(n, each(error.rhs))
    if network.batch == "mean":
        number = count_of_samples()[()]
        yield Equation(number, total(n, ONE), Rule.DEFINITION, "This is the number of samples.")
        of_all = of_all / number
    what = error.because.removeprefix("This is ").removesuffix(".")
    yield replace(error, rhs=of_all, because=f"This is {what}: the {network.batch} over the samples.")


def _at_positions(equations: Sequence[Equation], positions: tuple[Axis, ...]) -> list[Equation]:
    """The equations of one position => those of all of them, and E as the sum over them."""
    if not positions:
        return list(equations)
    at = tuple(Index(axis, f"p{n}") for n, axis in enumerate(positions))

    def each(node: Expr) -> Expr:
        return replaced(node, lambda ref: ref if ref.array.role in _ONCE else _with_axes(ref, at))

    *parts, error = equations
    assert isinstance(error.rhs, Expr)
    made = [replace(e, lhs=each(e.lhs), rhs=each(e.rhs)) for e in parts if isinstance(e.rhs, Expr)]
    what = error.because.removeprefix("This is ").removesuffix(".")
    return [
        *made,
        replace(error, rhs=total(at, each(error.rhs)), because=f"This is {what}: the sum over the positions."),
    ]


def _with_axes(ref: Ref, at: tuple[Index, ...]) -> Expr:
    array = replace(ref.array, axes=(*(index.axis for index in at), *ref.array.axes))
    return array[(*at, *ref.indices)]


def refuse_greatest(network: Network) -> None:
    """ArgumentError where E depends on a greatest or least value of one's own equations.

    Reverse mode holds it, which is right where it goes out again, as in a softmax whose exponents it is taken from.
    That is tried at random points of a small network: with something added to it, E has to be the same.
    """
    if network.own is None or not (found := _with_extremes(forward(network))):
        return
    small = network.reduced()
    equations = {e.array: e for e in forward(small)}
    root, sizes = next(reversed(equations)), small.sizes
    with mpmath.workdps(_DIGITS):
        for seed in range(_DRAWS):
            try:
                plain, moved = (_evaluated(equations, root, sizes, seed, shift) for shift in (Fraction(0), _SHIFT))
            except (NoRealValue, ZeroDivisionError):
                continue
            if abs(plain - moved) > mpmath.mpf(10) ** (-_DIGITS // 2) * (1 + abs(plain)):
                raise ArgumentError(
                    f"E depends on the greatest or least value in {listed(found)}, which is not differentiated: take "
                    "it out again, as a softmax does, or write the greater one of a and b as b + relu(a - b)."
                )


def _with_extremes(equations: Sequence[Equation]) -> list[str]:
    return [e.name for e in equations if any(map(_has_extreme, e.expressions))]


def _has_extreme(node: Expr) -> bool:
    return isinstance(node, Extreme) or any(map(_has_extreme, children(node)))


def _evaluated(
    equations: Mapping[Array, Equation], root: Array, sizes: Mapping[Axis, int], seed: int, shift: Fraction
) -> Any:  # fmt: skip
    """E at random numbers, with something added to every greatest and every least value."""

    def number(value: Fraction) -> Any:
        return mpmath.mpf(value.numerator) / value.denominator

    def apply(node: Apply, _: Element, value: Any) -> Any:
        phi = node.activation
        if phi.is_smooth:
            return smooth_functions.value(phi, node.derivative, value)
        piece = phi.pieces[sum(value > number(kink) for kink in phi.kinks)]
        return number(piece.slope) if node.derivative else number(piece.slope) * value + number(piece.intercept)

    def leaf(array: Array, at: tuple[int, ...]) -> Any:
        return number(Fraction(random.Random(f"{seed} {array.name} {at}").randint(-99, 99), 40))

    extreme = {kind: partial(_added, take, number(shift)) for kind, take in (("min", min), ("max", max))}
    field = Field(number, lambda a, b: a / b, apply, first_that_holds, extreme=extreme)
    return Instance(equations, sizes, leaf, field).element(root, ())


def _added(take: Callable[[list[Any]], Any], shift: Any, values: list[Any]) -> Any:
    return take(values) + shift
