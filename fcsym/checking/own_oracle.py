"""What a network of one's own computes, for autograd: its equations are the network, read here element by element.

Nothing of how fcsym differentiates, inlines or lowers them is used. Arrays have an axis of points and one of samples in
front, and then one for each index of what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import autograd.numpy as anp
import numpy as np

from fcsym.checking.functions import exactly
from fcsym.checking.layer_oracles import Passing, held
from fcsym.errors import ArgumentError
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Expr,
    Extreme,
    Index,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
)
from fcsym.networks.network import Network

__all__ = ["forward_of_own"]


def forward_of_own(network: Network, at: Passing, x: Any) -> tuple[Any, Any]:
    """What the read-out reads, and what it gives."""
    assert network.built is not None
    return _Reading(network, at, x).passed()


class _Reading:
    """The values so far, each beside what the backward pass sees in its place."""

    def __init__(self, network: Network, at: Passing, x: Any) -> None:
        assert network.built is not None
        self.built, self.sizes, self.at = network.built, network.sizes, at
        self.known: dict[Array, tuple[Any, Any]] = {network.built.input: (x, x)}
        for theta, weight in zip(network.parameters, list(at.weights), strict=True):
            self.known[theta] = weight.value[:, None], weight.seen[:, None]

    def passed(self) -> tuple[Any, Any]:
        """Equation by equation."""
        for equation in self.built.equations:
            assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
            axes = equation.lhs.indices
            if isinstance(equation.rhs, Apply) and isinstance(equation.rhs.argument, Ref):
                value = self.at.apply(equation.rhs.activation, self.value(equation.rhs.argument, axes)[0])
            else:
                value, _ = self.value(equation.rhs, axes)
            samples = self.known[self.built.input][0].shape[1]
            shape = (value.shape[0], samples, *(self.sizes[index.axis] for index in axes))
            value = value + np.zeros(shape, np.longdouble)
            self.known[equation.array] = value, value
        return self.known[self.built.features][0], self.known[self.built.logits][0]

    def value(self, node: Expr, axes: Sequence[Index]) -> tuple[Any, Any]:
        """An expression with an axis for each index, of length 1 where it does not depend on it."""
        one = (1, 1, *(1,) * len(axes))
        match node:
            case Number(number):
                made = np.full(one, exactly(number))
                return made, made
            case Indicator(index, form):
                made = np.equal(self._places(index, axes), form.at({i: self._places(i, axes) for i, _ in form.terms}))
                made = np.asarray(made, np.longdouble).reshape((1, 1, *made.shape))
                return made, made
            case Ref(array, indices):
                first, second = (self._aligned(value, indices, axes) for value in self.known[array])
                return first, (first if self.known[array][0] is self.known[array][1] else second)
            case Add(terms):
                values, seen = zip(*(self.value(term, axes) for term in terms), strict=True)
                return sum(values[1:], values[0]), sum(seen[1:], seen[0])
            case Mul(factors):
                return self._product([self.value(factor, axes) for factor in factors])
            case Pow(base, exponent):
                value, seen = self.value(base, axes)
                slope = exponent * (seen ** (exponent - 1) - value ** (exponent - 1)) if seen is not value else 0
                return value**exponent + held(slope) * (value - held(value)), seen**exponent
            case Total(over, body) | Extreme(_, over, body):
                pair = self.value(body, (*axes, *over))
                lengths = (*(1,) * (2 + len(axes)), *(self.sizes[index.axis] for index in over))
                whole = [value + np.zeros(lengths, np.longdouble) for value in pair]
                reduce = anp.sum if isinstance(node, Total) else anp.max if node.kind == "max" else anp.min
                first, second = (reduce(value, axis=tuple(range(-len(over), 0))) for value in whole)
                return first, (first if pair[0] is pair[1] else second)
            case Apply(activation, argument, 0):
                value, _ = self.value(argument, axes)
                made = self.at.apply(activation, value)
                return made, made
        raise ArgumentError(f"{node!r} is nothing that a check of one's own equations can read.")

    def _places(self, index: Index, axes: Sequence[Index]) -> Any:
        """The positions along an index, laid out beside the others."""
        shape = [self.sizes[index.axis] if index == other else 1 for other in axes]
        return np.arange(self.sizes[index.axis]).reshape(shape)

    @staticmethod
    def _aligned(value: Any, indices: Sequence[Index], axes: Sequence[Index]) -> Any:
        """An array with its axes in the order of `axes`."""
        order = sorted(range(len(indices)), key=lambda n: axes.index(indices[n]))
        moved = anp.transpose(value, (0, 1, *(2 + n for n in order)))
        lengths = iter(moved.shape[2:])
        return moved.reshape((*moved.shape[:2], *(next(lengths) if index in indices else 1 for index in axes)))

    @staticmethod
    def _product(factors: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        """What reaches a factor comes through what is seen of the others."""
        values, seen = zip(*factors, strict=True)
        value = prod(values[1:], start=values[0])
        if all(a is b for a, b in factors):
            return value, value
        for n, own in enumerate(values):
            others = [prod((*side[:n], *side[n + 1 :]), start=np.longdouble(1)) for side in (seen, values)]
            value = value + held(others[0] - others[1]) * (own - held(own))
        return value, prod(seen[1:], start=seen[0])
