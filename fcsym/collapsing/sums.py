"""Sums of products of array elements, run in NumPy: what the finder's terms are made into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.quantities import Quantity, Term
from fcsym.language.expression import Array, Axis, Index

__all__ = ["Sum", "summed"]

_Values = npt.NDArray[Any]


@dataclass
class _Product:
    """coefficient * scalars * product of operands, as `einsum` reads it."""

    coefficient: float
    scalars: tuple[Array, ...]
    operands: tuple[Array | Quantity, ...]
    subscripts: str
    missing: tuple[int, ...]  # axes of the result along which the product is the same
    path: Any = None  # the order of the contractions, for the shapes that it was found with
    shapes: tuple[tuple[int, ...], ...] = ()

    def value(self, of: Callable[[Array | Quantity], _Values]) -> Any:
        """The product, with axes of length one where it is the same."""
        factor = self.coefficient
        for scalar in self.scalars:
            factor = factor * float(of(scalar))
        if not self.operands:
            return factor
        values = [of(operand) for operand in self.operands]
        if len(values) > 1:
            shapes = tuple(value.shape for value in values)
            if shapes != self.shapes and len(values) > 2:
                self.path, self.shapes = np.einsum_path(self.subscripts, *values, optimize="greedy")[0], shapes
            made = np.einsum(self.subscripts, *values, optimize=self.path if len(values) > 2 else False)
        else:
            made = values[0] if self._plain else np.einsum(self.subscripts, *values)
        made = made if factor == 1 else factor * made
        return np.expand_dims(made, self.missing) if self.missing else made

    @property
    def _plain(self) -> bool:
        before, after = self.subscripts.split("->")
        return before == after


@dataclass
class Sum:
    """A sum of products with the axes of what it defines."""

    axes: tuple[Axis, ...]
    products: tuple[_Product, ...]

    @property
    def operands(self) -> tuple[Array | Quantity, ...]:
        """What it reads, each once."""
        return tuple(dict.fromkeys(o for product in self.products for o in (*product.scalars, *product.operands)))

    def value(self, of: Callable[[Array | Quantity], _Values], shape: Sequence[int] = ()) -> _Values:
        """The numbers, in a new array of that shape."""
        result = np.zeros(shape)
        for product in self.products:
            result += product.value(of)
        return result


def summed(terms: Sequence[Term], indices: Sequence[Index]) -> Sum:
    """Terms with free indices => the sum; arrays by themselves, and what is contracted over units as a quantity."""
    products = []
    for term in terms:
        letters: dict[Index, str] = {}
        operands: list[Array | Quantity] = []
        scalars: list[Array] = []
        parts = []
        for use in (*term.data, *term.uses):
            plain = len(use.quantity.factors) == 1 and not use.quantity.bound
            if plain and not use.indices:
                scalars.append(use.quantity.arrays[0])
                continue
            operands.append(use.quantity.arrays[0] if plain else use.quantity)
            parts.append("".join(letters.setdefault(i, chr(97 + len(letters))) for i in use.indices))
        own = letters.keys() - set(term.over)  # a bound index may have the name of a free one that the term lacks
        out = "".join(letters[i] for i in indices if i in own)
        missing = tuple(n for n, i in enumerate(indices) if i not in own)
        subscripts = f"{','.join(parts)}->{out}"
        products.append(_Product(float(term.coefficient), tuple(scalars), tuple(operands), subscripts, missing))
    return Sum(tuple(index.axis for index in indices), tuple(products))
