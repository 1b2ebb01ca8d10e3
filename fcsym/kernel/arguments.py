"""Arguments of kernels: everything that can be wrong with them is found before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, listed, shown
from fcsym.language.expression import Array
from fcsym.language.spelling import exact
from fcsym.networks.losses import needs_of
from fcsym.networks.network import Network

__all__ = [
    "Argument",
    "all_finite",
    "as_array",
    "cast",
    "checked",
    "goal",
    "mode",
    "parameters",
    "point",
    "rate",
    "remembered",
    "rows_of_steps",
]


_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_FEW = 8192  # a longer product is shared among threads, which may have to wait for a core
_WIDE = 64  # a matrix with which a step multiplies anyway


class Argument(NamedTuple):  # made for every array of every call: a dataclass takes three times as long
    """One array: what it is called, what was given, and its last axes; None is an axis of any length."""

    name: str
    value: Any
    shape: tuple[int | str | None, ...]  # a name is an axis that has the same length in every array
    finite: bool = True  # whether numbers that are not finite are refused
    why_not: str = "give finite ones"


def parameters(network: Network, weights: Any) -> list[Argument]:
    """[W1, b1, W2, ...] as arguments; ArgumentError for a wrong number of arrays."""
    arrays = network.parameters
    if not hasattr(weights, "__len__") or len(weights) != len(arrays):
        names = listed(array.name for array in arrays)
        count = len(weights) if hasattr(weights, "__len__") else "no"
        raise ArgumentError(f"weights has {count} arrays and {network} needs {len(arrays)}: {names}.")
    return [Argument(a.name, value, network.shape(a)) for a, value in zip(arrays, weights, strict=True)]


def remembered(network: Network, memory: Any) -> list[Argument]:
    """What the update rule carries as arguments; without any, what it is before the first step."""
    arrays = network.memory
    if memory is None:
        return [
            Argument(a.name, float(v) if not a.axes else _at_rest(network, a, v), network.shape(a))
            for a, v in arrays.items()
        ]
    if not hasattr(memory, "__len__") or len(memory) != len(arrays):
        names = listed(array.name for array in arrays) or "none"
        count = len(memory) if hasattr(memory, "__len__") else "no"
        raise ArgumentError(f"memory has {count} arrays and the update rule carries {len(arrays)}: {names}.")
    return [Argument(a.name, value, network.shape(a)) for a, value in zip(arrays, memory, strict=True)]


def _at_rest(network: Network, array: Array, value: Fraction) -> Any:
    return np.broadcast_to(float(value), network.shape(array)).tolist()  # of no precision of its own


def rate(network: Network, eta: Any) -> Any:
    """The learning rate: what is given, or the number of the update rule; ArgumentError where there is neither."""
    if eta is None:
        if network.rule.eta is None:
            raise ArgumentError(
                "eta is missing: give a learning rate, or a rule that has one, fcsym.rule(name, eta=...)."
            )
        return float(network.rule.eta)
    return float(exact(eta, "eta", ArgumentError)) if isinstance(eta, str) else eta


def goal(network: Network, target: Any, x: Any, checked_: bool = True) -> Any:
    """The target as numbers for each output: class labels, where the loss takes them, become distributions.

    Labels are whole numbers from 0, one for each sample. With `checked_`, ArgumentError for a label out of range, and
    for targets that are no probabilities where the loss needs them.
    """
    needs = needs_of(network.loss)
    if not needs:
        return target
    array, labels = as_array("target", target), _places(network, x)
    if needs == "distribution":
        _refuse_no_labels(network, array, labels)
    if needs == "distribution" and array.dtype.kind in "iu" and array.shape == labels:
        classes = network.widths[-1]
        wrong = (array < 0) | (array >= classes)
        if wrong.any():
            raise ArgumentError(
                f"target has the label {int(array[wrong].flat[0])}: labels of {network} are whole numbers from 0 to "
                f"{classes - 1}."
            )
        dtype = x.dtype if getattr(x, "dtype", None) == _SINGLE else _DOUBLE
        return np.eye(classes, dtype=dtype)[array]
    if checked_ and array.dtype.kind in "fiu" and array.shape[-1:] == network.widths[-1:]:
        _refuse_no_probabilities(network, needs, array)
    return target


def point(network: Network, x: Any, weights: Any = ()) -> Any:
    """The input as numbers: tokens, where the network begins with an embedding, become rows of 0 and a 1.

    Tokens are whole numbers from 0, of the shape of the input without its last axis. The rows have the precision of the
    weights. ArgumentError for a token out of range.
    """
    count = network.tokens
    if not count:
        return x
    array = as_array("x", x)
    *own, _ = network.shape_in
    fits = array.shape[array.ndim - len(own) :] == tuple(own) if array.ndim >= len(own) else False
    if array.dtype.kind not in "iu" or not fits or _one_hot(array, network.shape_in):
        return x
    wrong = (array < 0) | (array >= count)
    if wrong.any():
        raise ArgumentError(
            f"x has the token {int(array[wrong].flat[0])}: tokens of {network} are whole numbers from 0 to {count - 1}."
        )
    single = len(weights) > 0 and all(getattr(a, "dtype", None) == _SINGLE for a in weights)
    return np.eye(count, dtype=_SINGLE if single else _DOUBLE)[array]


def _one_hot(array: npt.NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Whether whole numbers are rows of 0 and a 1."""
    if array.shape[max(0, array.ndim - len(shape)) :] != shape:
        return False
    return bool(((array == 0) | (array == 1)).all() and (array.sum(axis=-1) == 1).all())


def _places(network: Network, x: Any) -> tuple[int, ...]:
    """The shape that labels have: networks, samples, and positions of the read-out."""
    shape = np.shape(x)
    return (
        *shape[: max(0, len(shape) - len(network.shape_in or (0,)))],
        *(network.sizes[a] for a in network.positions),
    )


def _refuse_no_labels(network: Network, array: npt.NDArray[Any], labels: tuple[int, ...]) -> None:
    """ArgumentError for what can only be meant as labels and is none, and for what may be labels or a distribution.

    `labels`: the shape that labels have.
    """
    classes = network.widths[-1]
    if (
        array.ndim == len(labels)
        and array.shape[-1:] != (classes,)
        and (array.shape != labels or array.dtype.kind == "f")
    ):
        wanted = f"({', '.join(map(str, labels))}{',' if len(labels) == 1 else ''})"
        raise ArgumentError(
            f"target has shape {array.shape} and dtype {array.dtype}: give labels, whole numbers of shape {wanted}, or "
            f"distributions over {classes} classes, (..., {classes})."
        )
    one_hot = array.dtype.kind in "iu" and array.shape == labels and array.shape[-1:] == (classes,)
    if one_hot and ((array == 0) | (array == 1)).all() and (array.sum(axis=-1) == 1).all() and not network.batch:
        raise ArgumentError(
            f"target may be {classes} labels or one distribution over {classes} classes: give a distribution as "
            "floats, and labels for networks one by one."
        )


def _refuse_no_probabilities(network: Network, needs: str, array: npt.NDArray[Any]) -> None:
    with np.errstate(all="ignore"):
        off = 1e-4 if array.dtype == _SINGLE else 1e-8  # of sums that were rounded
        wrong = ~((array >= 0) & (array <= 1))
        if needs == "distribution":
            wrong = wrong.any(axis=-1) | (np.abs(array.sum(axis=-1) - 1) > off * array.shape[-1])
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        what = "numbers from 0 to 1 that add up to 1, or labels" if needs == "distribution" else "numbers from 0 to 1"
        raise ArgumentError(
            f"target{f' at {at}' if at else ''} is no probability, and the loss {network.loss} needs {what}: give "
            'such, or pass undefined="nan".'
        )


def rows_of_steps(
    xs: npt.ArrayLike, targets: npt.ArrayLike, state: Any = ()
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Both as arrays with an axis of steps in front; ArgumentError where they have none, or not the same.

    Lists take the precision of the state.
    """
    inputs, wanted = as_array("xs", xs), as_array("targets", targets)
    if inputs.ndim < 2 or wanted.ndim < 2 or len(inputs) != len(wanted):
        raise ArgumentError(
            f"xs has shape {inputs.shape} and targets {wanted.shape}: both need one row per step, (steps, ..., n)."
        )
    if hasattr(state, "__len__") and len(state) and all(getattr(a, "dtype", None) == _SINGLE for a in state):
        inputs, wanted = (
            array if hasattr(given, "dtype") or array.dtype.kind not in "fiu" else cast(name, array, _SINGLE)
            for name, array, given in (("xs", inputs, xs), ("targets", wanted, targets))
        )
    return inputs, wanted


def mode(undefined: object) -> bool:
    """Whether undefined numbers are marked instead of raised."""
    if not isinstance(undefined, str) or undefined not in ("raise", "nan"):
        raise ArgumentError(f"undefined is {shown(undefined)!r}: choose raise or nan.")
    return undefined == "nan"


@lru_cache(maxsize=16)
def _ones(count: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.ones(count, dtype)


def all_finite(array: npt.NDArray[Any]) -> bool:
    """Whether every number of a real array is finite.

    A sum, of squares or of rows, is finite only if all of it is, and takes half the time; it may overflow, and then
    every number is looked at.
    """
    if array.dtype.kind != "f" or (array.size <= _FEW and math.isfinite(np.vdot(array, array))):
        return True
    if array.ndim == 2 and min(array.shape) >= _WIDE:
        with np.errstate(all="ignore"):
            sums = array @ _ones(array.shape[-1], array.dtype)
        if math.isfinite(np.vdot(sums, sums)):
            return True
    return bool(np.isfinite(array).all())


def checked(arguments: Sequence[Argument]) -> list[npt.NDArray[Any]]:
    """The arrays, all float32 or all float64.

    The result is float32 when all arrays are; lists and plain numbers have no say, nor has eta.
    Raises ArgumentError for wrong shapes, leading axes that do not broadcast, and complex or non-finite numbers.
    """
    arrays, kinds = [], set()
    open_: dict[str, tuple[int, str]] = {}
    ahead = False  # whether one has leading axes
    for argument in arguments:
        array, shape = _real(argument), argument.shape
        arrays.append(array)
        if argument.name != "eta" and hasattr(argument.value, "dtype"):
            kinds.add(array.dtype)
        if array.shape == shape:
            continue
        ahead = True
        tail = array.shape[array.ndim - len(shape) :]
        if len(shape) > array.ndim or any(isinstance(b, int) and a != b for a, b in zip(tail, shape, strict=True)):
            expected = ", ".join(("...", *("m" if n is None else str(n) for n in shape)))
            raise ArgumentError(f"{argument.name} has shape {array.shape}: it must be ({expected}).")
        for length, axis in zip(tail, shape, strict=True):
            if isinstance(axis, str):
                _same_length(argument.name, axis, length, open_)
    if ahead:
        leads = [array.shape[: array.ndim - len(a.shape)] for array, a in zip(arrays, arguments, strict=True)]
        try:
            np.broadcast_shapes(*leads)
        except ValueError:
            pairs = ", ".join(f"{a.name} {lead}" for a, lead in zip(arguments, leads, strict=True) if lead)
            raise ArgumentError(f"The leading axes do not broadcast ({pairs}): make them equal or 1.") from None
    real = _SINGLE if kinds == {_SINGLE} else _DOUBLE
    return [
        array if array.dtype == real else cast(argument.name, array, real)
        for argument, array in zip(arguments, arrays, strict=True)
    ]


def _same_length(name: str, axis: str, length: int, known: dict[str, tuple[int, str]]) -> None:
    """ArgumentError where an open axis is empty, or has another length than in an array before."""
    if not length:
        raise ArgumentError(f"{name} has no {axis}: give at least one.")
    other, first = known.setdefault(axis, (length, name))
    if other != length:
        raise ArgumentError(f"{name} has {length} {axis} and {first} has {other}: give as many.")


def cast(name: str, array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array in another precision, as a copy of its own.

    ArgumentError for a finite number beyond its range, and for an eta that would vanish in it: nothing would train.
    """
    with np.errstate(all="ignore"):  # other numbers are rounded, those that are tiny to 0
        result = array.astype(dtype)
        lost = ~np.isfinite(result) & np.isfinite(array)
        if name == "eta":
            lost = lost | ((result == 0) & (array != 0))
        if lost.any():
            number = array[lost].flat[0]
            raise ArgumentError(
                f"{name} contains {number:.3g}, which is {'too large' if abs(number) > 1 else 'too small'} for "
                f"{result.dtype}: give another number, or arrays in float64."
            )
    return result


def as_array(name: str, value: Any) -> npt.NDArray[Any]:
    """What was given as a NumPy array of real numbers; ArgumentError where it can be none.

    Tensors and arrays of other libraries are read where they can be; one that is differentiated or on a device cannot.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ArgumentError(f"{name} is not rectangular: its rows must have equal lengths.") from None
    except Exception as problem:  # whatever another library says
        said = (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")[:120]
        raise ArgumentError(
            f"{name} is a {type(value).__name__} that is no array ({said}): give NumPy arrays, numbers or lists, of a "
            "tensor its value .detach().cpu().numpy()."
        ) from None
    if array.dtype.kind in "OU":
        return _written(name, array)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{name} has dtype {array.dtype}: give real numbers.")
    return array


def _written(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Fractions, decimals and texts such as "1/2" => the nearest floats."""
    for value in array.flat:
        if value is None or isinstance(value, bool | complex):
            raise ArgumentError(f"{name} has dtype {array.dtype}: give real numbers.")
    numbers = [float(exact(value, f"a number of {name}", ArgumentError)) for value in array.flat]
    return np.array(numbers, _DOUBLE).reshape(array.shape)


def _real(argument: Argument) -> npt.NDArray[Any]:
    name, array = argument.name, as_array(argument.name, argument.value)
    if argument.finite and not all_finite(array):
        raise ArgumentError(f"{name} contains numbers that are not finite: {argument.why_not}.")
    return array
