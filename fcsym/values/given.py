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

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

from fcsym.errors import ArgumentError, MissingTool, shown
from fcsym.files import file_name
from fcsym.language.expression import Array
from fcsym.networks.losses import needs_of
from fcsym.networks.names import flat_names, scalar_name
from fcsym.networks.network import Network
from fcsym.values.ball import Ball

__all__ = [
    "Values",
    "fraction",
    "given_for",
    "numbers_in",
    "place_of",
    "read_table",
    "read_values",
    "shaped",
    "target_of",
    "values_of",
]

Nested: TypeAlias = "Any"
"""A number, or a tuple of nested."""

_MAX_FILE = 50_000_000  # bytes
_LARGEST = 10**400
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
            (array, place): _at(value, place)
            for array, value in zip(arrays, given, strict=True)
            for place in product(*map(range, network.shape(array)))
        }

    def floats(self, dtype: Any = float) -> tuple[list[Any], Any, Any, Any, list[Any]]:
        """(weights, x, target, eta, memory) as arrays of NumPy, for kernels."""
        import numpy as np

        weights, memory = ([_array(value, dtype) for value in values] for values in (self.weights, self.memory))
        x, target = (_array(value, dtype) for value in (self.x, self.target))
        return weights, x, target, np.dtype(dtype).type(float(self.eta)), memory

    def floats_along(self, dtype: Any = float) -> list[Any]:
        """The directions as arrays of NumPy."""
        return [_array(value, dtype) for value in self.directions.values()]


def _array(value: Nested, dtype: Any) -> Any:
    import numpy as np

    return np.array(_mapped(value, float), dtype=dtype)


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


def read_table(where: Path) -> dict[str, Any]:
    """The names and numbers in a file, with decimals as they are written."""
    try:
        if not where.exists() or where.is_dir():
            raise ArgumentError(f"{where} is not there: give a file with values, .toml, .json, .npz or .safetensors.")
        if where.stat().st_size > _MAX_FILE:
            raise ArgumentError(f"{where} is larger than {_MAX_FILE} bytes: take the first few samples.")
        match where.suffix.lower():
            case ".toml":
                return tomllib.loads(where.read_text("utf-8"), parse_float=Decimal)
            case ".json":
                read = json.loads(where.read_text("utf-8"), parse_float=Decimal)
                if not isinstance(read, dict):
                    raise ArgumentError(f'{where} holds no names: write an object such as {{"x": [1, 2]}}.')
                return read
            case ".npz":
                return _npz(where)
            case ".safetensors":
                return _safetensors(where)
    except (OSError, UnicodeDecodeError) as problem:
        raise ArgumentError(f"{where} cannot be read ({problem}): give a readable file in UTF-8.") from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as problem:
        if isinstance(problem, ArgumentError):
            raise
        raise ArgumentError(f"{where} is not valid: {problem}; mend it there.") from None
    raise ArgumentError(f"{where} is of an unknown kind: values are read from .toml, .json, .npz and .safetensors.")


def _npz(where: Path) -> dict[str, Any]:
    import numpy as np

    try:
        with where.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError:
        raise
    except Exception as problem:  # of the archive, its compression, its checksums, or the arrays in it
        raise ArgumentError(f"{where} is no .npz file ({shown(problem, 80)}): write it with numpy.savez.") from None


def _safetensors(where: Path) -> dict[str, Any]:
    try:
        from safetensors.numpy import load_file  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise MissingTool(
            "Reading .safetensors needs the package of that name: pip install 'fcsym[safetensors]'."
        ) from None
    try:
        return dict(load_file(where))
    except Exception as problem:  # a type of the package's own, made in Rust
        raise ArgumentError(
            f"{where} is no .safetensors file ({shown(problem, 80)}): write it with safetensors."
        ) from None


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
    said = left.pop("samples", None)
    network = _with_samples(network, taken["x"], said) if "x" in taken else network
    weights = _weights(network, left)
    memory = tuple(_remembered(network, array, rest, left) for array, rest in network.memory.items())
    lost = next((array.name for array in directions if array.name not in left), None)
    if lost is not None:
        raise ArgumentError(f"{lost} is missing: give the direction that the derivative is taken along.")
    along = {a: shaped(left.pop(a.name), network.shape(a), a.name) for a in directions}
    if left:
        known = ["x", "target", "eta", "samples", *(theta.name for theta in network.parameters)]
        known += [array.name for array in (*network.memory, *directions)]
        raise ArgumentError(f"{shown(next(iter(left)))!r} is no name of {network}: the names are {', '.join(known)}.")
    for name in ("x", "target"):
        if name not in taken:
            raise ArgumentError(f"{name} is missing: give its numbers.")
    if "eta" not in taken and network.rule.eta is None and needs_eta:
        raise ArgumentError("eta is missing: give the learning rate.")
    eta = fraction(taken["eta"], "eta") if "eta" in taken else network.rule.eta or Fraction(0)
    x = shaped(taken["x"], network.shape(network.input), "x")
    return Values(network, weights, x, target_of(network, taken["target"]), eta, memory, along)


def _with_samples(network: Network, x: Any, said: Any) -> Network:
    """The network with as many samples as x has rows."""
    if not network.batch:
        if said is not None and not _counts(said, 1):
            raise ArgumentError(f"samples is {shown(said)} and {network} takes one: give it a batch, mean or sum.")
        return network
    rows = network.samples or (len(x) if hasattr(x, "__len__") else 0)
    if said is not None and not _counts(said, rows):
        raise ArgumentError(f"samples is {shown(said)} and x has {rows} rows: give as many.")
    if not rows:
        raise ArgumentError(f"x is {shown(x)!r} and {network} takes a batch: give a row for each sample.")
    return replace(network, samples=rows)


def _counts(said: Any, rows: int) -> bool:
    """Whether something is this whole number. To compare what is no number may itself go wrong, as with Decimal."""
    return isinstance(said, Integral) and not isinstance(said, bool) and said == rows


def _weights(network: Network, left: dict[str, Any]) -> tuple[Nested, ...]:
    """[W1, b1, W2, ...], from a list, from arrays by name, or from single numbers by name."""
    arrays = network.parameters
    if "weights" in left:
        listed = left.pop("weights")
        if not hasattr(listed, "__len__") or len(listed) != len(arrays):
            count = len(listed) if hasattr(listed, "__len__") else "no"
            names = ", ".join(a.name for a in arrays)
            raise ArgumentError(f"weights has {count} arrays and {network} needs {len(arrays)}: {names}.")
        return tuple(shaped(value, network.shape(a), a.name) for a, value in zip(arrays, listed, strict=True))
    own = len(network.names) == len(arrays)
    numbered = _numbered(network, left)
    result = []
    for n, array in enumerate(arrays):
        shape, name = network.shape(array), array.name
        name = network.names[n] if own and network.names[n] in left else name
        if name in left and name not in numbered:
            result.append(shaped(left.pop(name), shape, name, fill=len(shape) == 1))
            continue
        single: dict[tuple[int, ...], Fraction] = {}
        for place in product(*map(range, shape)):
            codes = [name for name, code in numbered.items() if code == scalar_name(network, array, place)]
            called = [name for name in (*codes, *names_of(network, array, place)) if name in left]
            if called:
                single[place] = fraction(left.pop(called[0]), called[0])
        missing = [place for place in product(*map(range, shape)) if place not in single]
        if missing:
            which = name if not single else names_of(network, array, missing[0])[0]
            raise ArgumentError(f"{which} is missing: {name} has the shape {shape}; give its numbers.")
        result.append(_nested(shape, lambda place, found=single: found[place]))
    return tuple(result)


def names_of(network: Network, array: Array, place: Sequence[int]) -> list[str]:
    """What one parameter may be called: the reader's name, W1_1_2, W1[1,2]; numbered through all layers, w_2 and w2."""
    code = scalar_name(network, array, place)
    plain = "_".join([array.name, *(str(n + 1) for n in place)])
    flat = [name for name, meant in flat_names(network).items() if meant == code]
    bracketed = f"{array.name}[{','.join(str(n + 1) for n in place)}]" if place else code
    arrays = {theta.name for theta in network.parameters}
    short = [name.replace("_", "") for name in flat if name.replace("_", "") not in arrays]
    return list(dict.fromkeys([code, plain, bracketed, *flat, *short]))


def _numbered(network: Network, left: Mapping[str, Any]) -> dict[str, str]:
    """b1, b2, ... => the name in code, where they number all the biases one by one and are no arrays."""
    arrays = {theta.name for theta in network.parameters}
    if not any(
        name.startswith("b") and name not in arrays for name in left
    ):  # a million names are not made for nothing
        return {}
    short = {flat.replace("_", ""): code for flat, code in flat_names(network).items()}
    one_by_one = {name: code for name, code in short.items() if name.startswith("b")}
    if set(one_by_one) - arrays and all(name in left and _is_number(left[name]) for name in one_by_one):
        return one_by_one
    return {}


def place_of(network: Network, name: str) -> tuple[Array, tuple[int, ...]] | None:
    """The parameter that a name means, if it means one."""
    wanted = name.replace(" ", "")
    for array in network.parameters:
        for place in product(*map(range, network.shape(array))):
            if wanted in names_of(network, array, place):
                return array, place
    return None


def _remembered(network: Network, array: Array, at_rest: Fraction, left: dict[str, Any]) -> Nested:
    shape = network.shape(array)
    if array.name in left:
        return shaped(left.pop(array.name), shape, array.name)
    return _nested(shape, lambda _: at_rest)


def target_of(network: Network, value: Any) -> Nested:
    """The target; class labels, where the loss takes them, as distributions."""
    shape = network.shape(network.target)
    if needs_of(network.loss) == "distribution" and _shape(_plain(value)) == shape[:-1]:
        labels = shaped(value, shape[:-1], "target")

        def one_hot(place: tuple[int, ...]) -> Fraction:
            label = _at(labels, place[:-1])
            if label.denominator != 1 or not 0 <= label < shape[-1]:
                raise ArgumentError(
                    f"target has the label {label}: labels are whole numbers from 0 to {shape[-1] - 1}."
                )
            return Fraction(int(label == place[-1]))

        return _nested(shape, one_hot)
    return shaped(value, shape, "target")


# ------------------------------------------------------------------------------------------------------------ numbers


def fraction(value: Any, name: str) -> Any:
    """A number, exactly; ArgumentError for what is none. A float is the shortest decimal that means it.

    A ball, of an earlier step, stays what it is.
    """
    if isinstance(value, Ball):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = _item(value)
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, float):
            return Fraction(repr(value))
        if isinstance(value, str) and len(value) > 1000:
            raise ValueError
        if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 400):
            raise ValueError
        if isinstance(value, str) and abs(Decimal(value.split("/")[0].strip() or "x").adjusted()) > 400:
            raise ValueError
        result = Fraction(value)
        if abs(result) > _LARGEST:
            raise ValueError
        return result
    except (TypeError, ValueError, ZeroDivisionError, ArithmeticError):
        raise ArgumentError(f'{name} is {shown(value)!r}: give a number, such as 0.5 or "1/2".') from None


def _item(value: Any) -> Any:
    """The number in a scalar of NumPy or a tensor; one of float32 is the shortest decimal that means it."""
    single = str(getattr(value, "dtype", "")).endswith("float32")
    number = value.item()
    if single:
        import numpy as np

        return float(str(np.float32(number)))
    return number


def _plain(value: Any) -> Any:
    """An array or a tensor as nested lists."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "tolist") and getattr(value, "ndim", None):
        if str(getattr(value, "dtype", "")) == "float32":
            return _mapped(value.astype(str).tolist(), float)
        return value.tolist()
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, str) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists; None where they are not rectangular."""
    if _is_number(value):
        return ()
    inner = {_shape(part) for part in value}
    if len(inner) != 1 or None in inner:
        return None if inner else (0,)
    (below,) = inner
    assert below is not None
    return len(value), *below


def shaped(value: Any, shape: tuple[int, ...], name: str, *, fill: bool = False) -> Nested:
    """Numbers in a shape, exactly. ArgumentError for another shape, saying which, and whether the transpose would fit.

    A single number is enough for one of one element, and with `fill` for any.
    """
    value = _plain(value)
    have = _shape(value)
    if have == () and (fill or prod(shape) == 1):
        number = fraction(value, name)
        return _nested(shape, lambda _: number)
    if have is None:
        raise ArgumentError(f"{name} is not rectangular and needs the shape {shape}: its rows must have equal lengths.")
    if have != shape:
        fits = " its transpose would fit." if len(have) == 2 and have[::-1] == shape else ""
        raise ArgumentError(f"{name} has the shape {have} and needs {shape}:{fits or ' give as many numbers.'}")
    return _converted(value, name)


def _converted(value: Any, name: str) -> Nested:
    if _is_number(value):
        return fraction(value, name)
    return tuple(_converted(part, name) for part in value)


def _nested(shape: tuple[int, ...], at: Any, place: tuple[int, ...] = ()) -> Nested:
    if not shape:
        return at(place)
    return tuple(_nested(shape[1:], at, (*place, n)) for n in range(shape[0]))


def _at(value: Nested, place: Sequence[int]) -> Any:
    for n in place:
        value = value[n]
    return value


def _mapped(value: Nested, function: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_mapped(part, function) for part in value]
    return function(value)


def numbers_in(value: Nested) -> Iterable[Any]:
    """Every number in nested tuples, in row order."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from numbers_in(part)
    else:
        yield value
