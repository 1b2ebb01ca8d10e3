"""What a claim speaks of: a name as people write it => the numbers that it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fcsym.errors import ArgumentError, shown
from fcsym.language.expression import Array
from fcsym.networks.network import Network
from fcsym.networks.symbols import gradient_of
from fcsym.values.ball import Ball
from fcsym.values.called import place_of

__all__ = ["Quantities"]

_ALIASES = {
    "error": "E",
    "loss": "E",
    "output": "y",
    "outputs": "y",
    "out": "y",
    "y_g": "yg",
    "target": "yg",
    "t": "yg",
}
_ELEMENT = re.compile(r"(?P<text>[A-Za-z]\w*'*)(?:\[(?P<at>-?\d{1,9}(?:,-?\d{1,9})*)\])?", re.ASCII)
_GRADIENT = re.compile(r"dE_?/?_?d_?(?P<name>[A-Za-z]\w*)")


class Quantities:
    """The names of a derivation: whole arrays, elements with indices from 1, and single parameters by any name."""

    def __init__(self, network: Network, arrays: Mapping[str, Array]) -> None:
        """`arrays`: what is derived, by name."""
        self.network = network
        given = (*network.parameters, *network.memory, network.input, network.target)
        self.arrays = {**{array.name: array for array in given}, **arrays}

    def read(self, name: str, where: str) -> Reader:
        """What a name means. ArgumentError where it means nothing, or an index is out of range."""
        plain = re.sub(r"\s", "", name)
        found = _ELEMENT.fullmatch(plain)
        if found is None:
            raise ArgumentError(f"{where}: {shown(name)!r} is no quantity: write a name or an element such as W1[1,2].")
        indices = tuple(int(part) - 1 for part in found["at"].split(",")) if found["at"] else ()
        return self.element(found["text"], indices, where)

    def after_the_step(self, name: str) -> str:
        """W1' => W1, whose value after a step it is; "" for a name that says nothing of a step."""
        found = _ELEMENT.fullmatch(re.sub(r"\s", "", name))
        if found is None or not found["text"].endswith(("'", "_new")):
            return ""
        return found["text"].removesuffix("_new").rstrip("'") + (f"[{found['at']}]" if found["at"] else "")

    def element(self, text: str, indices: Sequence[int], where: str) -> Reader:
        """The same for a name and positions from 0, any number of them from the left."""
        primed = text.endswith(("'", "_new"))
        base = text.removesuffix("_new").rstrip("'")
        base = _ALIASES.get(base, base) if base not in self.arrays else base
        suffix = "_new" if primed else ""
        if base + suffix in self.arrays:
            return self._of(self.arrays[base + suffix], tuple(indices), where)
        single = None if indices else place_of(self.network, base)
        if single is not None:
            theta, place = single
            array = self.arrays.get(theta.name + suffix, theta.primed if primed else theta)
            return Reader(array.name, place)
        found = _GRADIENT.fullmatch(base)
        if found is not None:
            return self._gradient(found["name"], tuple(indices), where)
        head, _, tail = base.rpartition("_")
        if re.fullmatch(r"\d{1,9}", tail, re.ASCII) and head and not indices:
            return self.element(head + ("'" if primed else ""), [int(tail) - 1], where)
        found = re.fullmatch(r"([A-Za-z]+)(\d)", base)
        if found is not None and found[1] in self.arrays and len(self.arrays[found[1]].axes) == 1 and not indices:
            return self.element(found[1] + ("'" if primed else ""), [int(found[2]) - 1], where)
        known = ", ".join(list(self.arrays)[:40])
        raise ArgumentError(f"{where}: {shown(text)!r} is no quantity of {self.network}: choose one of {known}.")

    def _of(self, array: Array, place: tuple[int, ...], where: str) -> Reader:
        shape = self.network.shape(array)
        if len(place) > len(shape) or any(not 0 <= n < length for n, length in zip(place, shape, strict=False)):
            said = ",".join(f"{n + 1:.6g}" if abs(n) > 10**9 else str(n + 1) for n in place)
            raise ArgumentError(f"{where}: {array.name}[{said}] is not there: {array.name} has the shape {shape}.")
        return Reader(array.name, place)

    def _gradient(self, name: str, indices: tuple[int, ...], where: str) -> Reader:
        theta = next((theta for theta in self.network.parameters if theta.name == name), None)
        if theta is None:
            theta, indices = place_of(self.network, name) or (None, indices)
        if theta is None:
            raise ArgumentError(f"{where}: {shown(name)!r} is no parameter of {self.network}.")
        made = gradient_of(theta)
        if made.name in self.arrays:
            return Reader(made.name, indices)
        self._of(theta, indices, where)
        if theta.primed.name not in self.arrays:
            raise ArgumentError(f"{where}: {theta.name} is not trained, so that no gradient of it is derived.")
        return Reader(theta.name, indices, theta.primed.name)

    def axis(self, reader: Reader, n: int) -> int:
        """The length of the n-th axis of what is read."""
        return self.network.shape(self.arrays[reader.name])[n]


class Reader:
    """Where some numbers are in a snapshot; those of a gradient are what a plain step subtracts, divided by eta."""

    def __init__(self, name: str, place: tuple[int, ...], after: str = "") -> None:
        self.name, self.place, self.after = name, place, after

    @property
    def needs(self) -> tuple[str, ...]:
        """The arrays that are read."""
        return (self.name, self.after) if self.after else (self.name,)

    def __call__(self, snapshot: Mapping[str, Any]) -> list[Any]:
        """The numbers, in row order; None for one without a value."""
        if any(name not in snapshot for name in self.needs):
            return [None]
        found = self._at(snapshot[self.name])
        if self.after:
            eta = snapshot["eta"]
            pairs = zip(found, self._at(snapshot[self.after]), strict=True)
            return [None if b is None else (a - b) / eta for a, b in pairs]
        return found

    def _at(self, value: Any) -> list[Any]:
        for n in self.place:
            value = value[n]
        return list(_flat(value, lambda number: number))


def _flat(value: Any, made: Callable[[Any], Any]) -> Any:
    if isinstance(value, np.ndarray):
        yield from (None if np.isnan(number) else float(number) for number in value.ravel())
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _flat(part, made)
    else:
        yield value if value is None or isinstance(value, Ball | Fraction) else float(value)
