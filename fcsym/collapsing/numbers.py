"""The numbers of a unit of a layer that is summed over: where they are in a state, and which of them are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.gates_held import ones_of
from fcsym.language.expression import Array
from fcsym.networks.network import Network
from fcsym.networks.symbols import coefficient_of, units

__all__ = ["Numbers", "most_columns", "numbers_of"]

_Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Numbers:
    """Where the numbers of a layer's units are in a state: (array, axis of the units)."""

    layer: int
    read: tuple[tuple[int, int], ...]
    following: tuple[tuple[int, int], ...]  # of what nothing reads, and starts anew with a pattern
    rows: int | None = None  # where pre-activations begin that only the layer's own activations read
    counts: bool = False  # whether a bias is one number for all units, which adds up their ones

    def of(self, arrays: Sequence[_Values], columns: Any = slice(None)) -> tuple[_Values, _Values]:
        """Both as one row for each column."""
        rows = _rows(arrays, self.read, columns)
        return rows, _rows(arrays, self.following, columns) if self.following else np.zeros((len(rows), 0))

    def put(self, arrays: Sequence[_Values], values: _Values, following: _Values) -> list[_Values]:
        """The arrays with these columns in place of theirs."""
        made = list(arrays)
        for places, rows in ((self.read, values), (self.following, following)):
            start = 0
            for place, axis in places:
                legs = np.delete(arrays[place].shape, axis)
                own = rows[:, start : start + prod(legs)].reshape(len(rows), *legs)
                made[place] = np.ascontiguousarray(np.moveaxis(own, 0, axis), arrays[place].dtype)
                start += prod(legs)
        return made


def _rows(arrays: Sequence[_Values], places: Sequence[tuple[int, int]], columns: Any) -> _Values:
    parts = [np.moveaxis(arrays[place], axis, 0)[columns] for place, axis in places]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def numbers_of(network: Network, own: Sequence[Array], contracted: Sequence[int]) -> dict[int, Numbers]:
    """The numbers of the units of each layer that is summed over; `own`: the arrays of the state."""
    first = network.pre_activation(1)
    follows = coefficient_of(first) if network.rule.is_plain else None
    found, counted = {}, ones_of(network, contracted)
    for n in contracted:
        if n:
            places = [(k, a.axes.index(units(n)), a) for k, a in enumerate(own) if units(n) in a.axes]
            read = tuple((k, axis) for k, axis, a in places if a != follows)
            before = [own[k] for k, _ in read[: next((m for m, (k, _) in enumerate(read) if own[k] == first), 0)]]
            # a plain step adds to the first layer's pre-activations, which its own activations alone read
            rows = sum(_each(network, a, n) for a in before) if first in own and n == 1 and follows else None
            following = tuple((k, axis) for k, axis, a in places if a == follows)
            found[n] = Numbers(n, read, following, rows, n in counted)
    return found


def _each(network: Network, array: Array, n: int) -> int:
    """How many numbers of an array a unit of the layer has."""
    return prod(network.sizes[axis] for axis in array.axes if axis != units(n))


def most_columns(network: Network, numbers: Numbers, own: Sequence[Array]) -> int:
    """As many columns as every gate pattern of a layer has numbers that are read, if all patterns occur."""
    pieces = network.layers[numbers.layer - 1].activation.pieces
    count = sum(_each(network, own[k], numbers.layer) for k, _ in numbers.read)
    count += numbers.counts or any(piece.intercept for piece in pieces)
    samples = network.samples
    flat = sum(not piece.slope for piece in pieces) if numbers.rows is not None else 0
    patterns: int = len(pieces) ** min(samples, 64)  # more than any layer has units
    return patterns * count - patterns * samples * flat // len(pieces)
