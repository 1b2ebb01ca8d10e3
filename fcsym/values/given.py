"""Values: the numbers of a training step as people write them, read as exact fractions.

    x = [0.05, 0.10]                      or inputs
    target = [0.01, 0.99]                 or targets, t, y_g; a whole number is a class label
    eta = 0.5                             or lr, learning_rate
    W1 = [[0.15, 0.20], [0.25, 0.30]]     or weights = [W1, b1, W2, ...], or w1 = 0.15, w2 = 0.20, one by one
    b1 = 0.35                             one number stands for all the biases of layer 1
    samples = 4                           how many rows x has, said once more

A decimal is the fraction that is written; of a float it is the shortest decimal that means the float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any

from fcsym.errors import ArgumentError, listed, shown
from fcsym.files import file_name
from fcsym.language.expression import Array
from fcsym.networks.losses import needs_of
from fcsym.networks.names import biases, scalar_name
from fcsym.networks.network import Network
from fcsym.values.called import names_of
from fcsym.values.nested import (
    Nested,
    at,
    fitting,
    fraction,
    is_number,
    mapped,
    nested,
    plain,
    scalar,
    shape_of,
    shaped,
)
from fcsym.values.table import read_table

__all__ = ["Values", "given_for", "read_values", "target_of", "values_of"]

_ALIASES = {
    "x": ("x", "input", "inputs"),
    "target": ("target", "targets", "t", "y_g", "labels"),
    "eta": ("eta", "lr", "learning_rate"),
}


@dataclass(frozen=True)
class Values:
    """The numbers of a training step, exactly: nested tuples of fractions in the shapes of the network's arrays."""

    network: Network
    weights: tuple[Nested, ...]  # as `network.parameters`
    x: Nested
    target: Nested
    eta: Fraction
    memory: tuple[Nested, ...] = ()  # as `network.memory`
    directions: Mapping[Array, Nested] = field(default_factory=dict)  # where a derivative is taken along some

    def leaves(self) -> dict[tuple[Array, tuple[int, ...]], Any]:
        """Every element that a step is given."""
        network = self.network
        arrays = [*network.parameters, network.input, network.target, *network.memory, *self.directions]
        given = [*self.weights, self.x, self.target, *self.memory, *self.directions.values()]
        return {
            (array, place): at(value, place)
            for array, value in zip(arrays, given, strict=True)
            for place in product(*map(range, network.shape(array)))
        }

    def floats(self, dtype: Any = float) -> tuple[list[Any], Any, Any, Any, list[Any]]:
        """(weights, x, target, eta, memory) as arrays of NumPy, for kernels."""
        import numpy as np

        weights, memory = ([_array(value, dtype) for value in values] for values in (self.weights, self.memory))
        x, target = (_array(value, dtype) for value in (self.x, self.target))
        return weights, x, target, np.dtype(dtype).type(float(self.eta)), memory

    def floats_along(self) -> list[Any]:
        """The directions as arrays of NumPy."""
        return [_array(value, float) for value in self.directions.values()]


def _array(value: Nested, dtype: Any) -> Any:
    import numpy as np

    return np.array(mapped(value, float), dtype=dtype)


def read_values(
    network: Network, path: str | Path, directions: Sequence[Array] = (), needs_eta: bool = True
) -> Values:  # fmt: skip
    """A values file (.toml, .json, .npz, .safetensors) => the numbers for a network; see `values_of`.

    Raises ArgumentError for a file that cannot be read, for a missing, an unknown or a misshapen name and for what is
    no number; MissingTool where a file needs a package that is not installed.
    """
    where = file_name(path)
    try:
        return values_of(network, read_table(where), directions, needs_eta)
    except ArgumentError as problem:
        text = str(problem)
        raise ArgumentError(text if text.startswith(str(where)) else f"{where}: {text}") from None


def given_for(
    network: Network, values: Any, directions: Sequence[Array] = (), needs_eta: bool = True
) -> Values:  # fmt: skip
    """The path of a values file, or names with numbers, or what was made of them => the numbers for a network."""
    if isinstance(values, Values):
        return values
    if isinstance(values, str | Path):
        return read_values(network, values, directions, needs_eta)
    return values_of(network, values, directions, needs_eta)


def values_of(
    network: Network, given: Mapping[str, Any], directions: Sequence[Array] = (), needs_eta: bool = True
) -> Values:  # fmt: skip
    """Names and numbers => the numbers for a network. Numbers: int, float, Decimal, Fraction, "1/3", arrays, tensors.

    See the module for the names. `directions`: arrays such as TW1 that are given as well. `needs_eta`: without it eta
    is 0 where it is not given, for what no step is taken in. Raises ArgumentError as `read_values`.

    >>> values_of(Network.parse("1-1"), {"x": [2], "target": 1, "W1": [["1/2"]], "eta": 0.1}).eta
    Fraction(1, 10)
    """
    if not isinstance(given, Mapping):
        raise ArgumentError(f"The values are {shown(given)!r}: give names with numbers, such as {{'x': [1, 2]}}.")
    left = {str(key): value for key, value in given.items() if key != "values"}
    for table in ("values", "weights", "biases"):
        if isinstance(given.get(table), Mapping):
            left.pop(table, None)
            left |= {str(key): value for key, value in given[table].items()}
    taken: dict[str, Any] = {}
    for name, aliases in _ALIASES.items():
        found = [alias for alias in aliases if alias in left]
        if len(found) > 1:
            raise ArgumentError(f"{found[0]} and {found[1]} are two names of one thing: give one of them.")
        if found:
            taken[name] = left.pop(found[0])
    said = scalar(left.pop("samples", None))
    network = _with_samples(network, taken["x"], said) if "x" in taken else network
    weights = _weights(network, left)
    memory = [_remembered(network, array, rest, left) for array, rest in network.memory.items()]
    lost = next((array.name for array in directions if array.name not in left), None)
    if lost is not None:
        raise ArgumentError(f"{lost} is missing: give the direction that the derivative is taken along.")
    along = {a: fitting(left.pop(a.name), network.shape(a), a.name) for a in directions}
    if left:
        known = ["x", "target", "eta", "samples", *(theta.name for theta in network.parameters)]
        known += [array.name for array in (*network.memory, *directions)]
        raise ArgumentError(f"{shown(next(iter(left)))!r} is no name of {network}: the names are {listed(known)}.")
    for name in ("x", "target"):
        if name not in taken:
            raise ArgumentError(f"{name} is missing: give its numbers.")
    if "eta" not in taken and network.rule.eta is None and needs_eta:
        raise ArgumentError("eta is missing: give the learning rate.")
    eta = fraction(taken["eta"], "eta") if "eta" in taken else network.rule.eta or Fraction(0)
    x = fitting(taken["x"], network.shape(network.input), "x")
    target = _target(network, taken["target"])
    read = [tuple(one() for one in some) for some in (weights, memory)]  # all names and shapes are known to fit
    return Values(network, read[0], x(), target(), eta, read[1], {a: one() for a, one in along.items()})


def _with_samples(network: Network, x: Any, said: Any) -> Network:
    """The network with as many samples as x has rows."""
    if not network.batch:
        if said is not None and not _counts(said, 1):
            raise ArgumentError(f"samples is {shown(said)} and {network} takes one: give it a batch, mean or sum.")
        return network
    rows = network.samples or (len(x) if shape_of(x) != () else 0)
    if said is not None and not _counts(said, rows):
        raise ArgumentError(f"samples is {shown(said)} and x has {rows} rows: give as many.")
    if not rows:
        raise ArgumentError(f"x is {shown(x)!r} and {network} takes a batch: give a row for each sample.")
    return replace(network, samples=rows)


def _counts(said: Any, rows: int) -> bool:
    """Whether something is this whole number. To compare what is no number may itself go wrong, as with Decimal."""
    return isinstance(said, Integral) and not isinstance(said, bool) and said == rows


def _weights(network: Network, left: dict[str, Any]) -> list[Callable[[], Nested]]:
    """[W1, b1, W2, ...], still to be read, from a list, from arrays by name, or from single numbers by name."""
    arrays = network.parameters
    if "weights" in left:
        each = left.pop("weights")
        if shape_of(each) == () or len(each) != len(arrays):
            count = len(each) if shape_of(each) != () else "no"
            names = listed(a.name for a in arrays)
            raise ArgumentError(f"weights has {count} arrays and {network} needs {len(arrays)}: {names}.")
        return [fitting(value, network.shape(a), a.name) for a, value in zip(arrays, plain(each), strict=True)]
    own = len(network.names) == len(arrays)
    numbered = _numbered(network, left)
    one_by_one = frozenset(numbered.values())
    found = []
    for n, array in enumerate(arrays):
        name = network.names[n] if own and network.names[n] in left else array.name
        if name in left and name not in one_by_one:
            shape = network.shape(array)
            found.append(fitting(left.pop(name), shape, name, fill=len(shape) == 1))
        else:
            found.append(_element_by_element(network, array, name, left, numbered))
    return found


def _element_by_element(
    network: Network, array: Array, name: str, left: dict[str, Any], numbered: Mapping[str, str]
) -> Callable[[], Nested]:
    """An array from the numbers of its elements, by name."""
    shape = network.shape(array)
    single: dict[tuple[int, ...], Fraction] = {}
    for place in product(*map(range, shape)):
        code = numbered.get(scalar_name(network, array, place))
        called = [name for name in (code, *names_of(network, array, place)) if name in left]
        if called:
            single[place] = fraction(left.pop(called[0]), called[0])
        else:  # the first one that is missing is enough: there are as many steps as names
            which = names_of(network, array, place)[0] if single else name
            raise ArgumentError(f"{which} is missing: {name} has the shape {shape}; give its numbers.")
    return lambda: nested(shape, lambda place: single[place])


def _numbered(network: Network, left: Mapping[str, Any]) -> dict[str, str]:
    """b1, b2, ... by the name in code, where they number all the biases one by one and are no arrays."""
    numbered = biases(network)
    count = sum(prod(network.shape(theta)) for theta in numbered)
    short = [f"b{n}" for n in range(1, count + 1 if count <= len(left) and not network.names else 1)]
    if not set(short) - {theta.name for theta in numbered}:
        return {}
    if not all(name in left and is_number(left[name]) for name in short):
        return {}
    places = ((theta, place) for theta in numbered for place in product(*map(range, network.shape(theta))))
    return {scalar_name(network, theta, place): name for name, (theta, place) in zip(short, places, strict=True)}


def _remembered(
    network: Network, array: Array, at_rest: Fraction, left: dict[str, Any]
) -> Callable[[], Nested]:  # fmt: skip
    shape = network.shape(array)
    if array.name in left:
        return fitting(left.pop(array.name), shape, array.name)
    return lambda: nested(shape, lambda _: at_rest)


def target_of(network: Network, value: Any) -> Nested:
    """The target; class labels, where the loss takes them, as distributions."""
    return _target(network, value)()


def _target(network: Network, value: Any) -> Callable[[], Nested]:
    """The same, still to be read."""
    shape = network.shape(network.target)
    if needs_of(network.loss) != "distribution" or shape_of(value) != shape[:-1]:
        return fitting(value, shape, "target")

    def read() -> Nested:
        labels = shaped(value, shape[:-1], "target")

        def one_hot(place: tuple[int, ...]) -> Fraction:
            label = at(labels, place[:-1])
            if label.denominator != 1 or not 0 <= label < shape[-1]:
                raise ArgumentError(
                    f"target has the label {label}: labels are whole numbers from 0 to {shape[-1] - 1}."
                )
            return Fraction(int(label == place[-1]))

        return nested(shape, one_hot)

    return read
