"""Numbers in nested tuples: any number that is given, exactly, in the shape that an array has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from math import prod
from numbers import Rational, Real
from typing import Any, TypeAlias

from fcsym.errors import ArgumentError, shown
from fcsym.values.ball import Ball

__all__ = [
    "Nested",
    "at",
    "fitting",
    "fraction",
    "fractions",
    "is_number",
    "mapped",
    "nested",
    "numbers_in",
    "plain",
    "scalar",
    "shape_of",
    "shaped",
]

Nested: TypeAlias = "Any"
"""A number, or a tuple of nested."""

_LARGEST = 10**400
_MOST_AXES = 32


def fraction(value: Any, name: str) -> Any:
    """A number, exactly; ArgumentError for what is none. A float is the shortest decimal that means it.

    A ball, of an earlier step, stays what it is.
    """
    if isinstance(value, Ball):
        return value
    value = scalar(value)
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
        result = Fraction(value if isinstance(value, Rational | Decimal | str) else _digits(value))
        if abs(result) > _LARGEST:
            raise ValueError
        return result
    except (TypeError, ValueError, ZeroDivisionError, ArithmeticError):
        raise ArgumentError(f'{name} is {shown(value)!r}: give a number, such as 0.5 or "1/2".') from None


def _digits(value: Any) -> str:
    """What a float of another length than Python's is written as; TypeError for what is no float."""
    if not isinstance(value, Real):
        raise TypeError
    return str(value)


def scalar(value: Any) -> Any:
    """The number in a scalar of NumPy or a tensor; one of low precision is the shortest decimal that means it."""
    value = _read(value)
    if not hasattr(value, "dtype") or value.ndim:
        return value
    return float(str(value.astype(str))) if _is_short(value) else value.item()


def plain(value: Any) -> Any:
    """An array or a tensor as nested lists."""
    value = _read(value)
    if not hasattr(value, "dtype") or not value.ndim:
        return value
    return mapped(value.astype(str).tolist(), float) if _is_short(value) else value.tolist()


def _read(value: Any) -> Any:
    """A tensor, or an array that is only told of, as that of a file, as one of NumPy; what is no array as it is."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    if not hasattr(value, "__array__"):
        return value
    import numpy as np

    return np.asarray(value)


def _is_short(array: Any) -> bool:
    """Whether its numbers have fewer digits than those of Python."""
    return bool(array.dtype.kind == "f" and array.dtype.itemsize < 8)


def is_number(value: Any) -> bool:
    """Whether a value is one number, by the look of it."""
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def shape_of(value: Any, most: int = _MOST_AXES) -> tuple[int, ...] | None:
    """The shape of an array or of nested lists, `most` axes of it; None where these are not rectangular."""
    if not most or is_number(value):
        return ()
    if hasattr(value, "shape"):  # nothing of it is read
        return tuple(int(length) for length in value.shape)
    inner = {shape_of(part, most - 1) for part in value}
    if len(inner) != 1 or None in inner:
        return None if inner else (0,)
    (below,) = inner
    assert below is not None
    return len(value), *below


def shaped(value: Any, shape: tuple[int, ...], name: str) -> Nested:
    """Numbers in a shape, exactly. ArgumentError for another shape, saying which, and whether the transpose would fit.

    A single number is enough for one of one element.
    """
    return fitting(value, shape, name)()


def fitting(value: Any, shape: tuple[int, ...], name: str, *, fill: bool = False) -> Callable[[], Nested]:
    """The numbers of `shaped`, still to be read: only their shape is looked at, and refused where it does not fit.

    With `fill` a single number is enough for any shape.
    """
    have = shape_of(value)
    if have == () and (fill or prod(shape) == 1):

        def one() -> Nested:
            number = fraction(plain(value), name)
            return nested(shape, lambda _: number)

        return one
    if have is None:
        raise ArgumentError(f"{name} is not rectangular and needs the shape {shape}: its rows must have equal lengths.")
    if have != shape:
        fits = " its transpose would fit." if len(have) == 2 and have[::-1] == shape else ""
        raise ArgumentError(
            f"{name} has the shape {shown(have, 60)} and needs {shape}:{fits or ' give as many numbers.'}"
        )
    return lambda: _converted(plain(value), name, len(shape))


def _converted(value: Any, name: str, axes: int) -> Nested:
    return tuple(_converted(part, name, axes - 1) for part in value) if axes else fraction(value, name)


def nested(shape: tuple[int, ...], number: Callable[[tuple[int, ...]], Any], place: tuple[int, ...] = ()) -> Nested:
    """A function of the place, at every place."""
    if not shape:
        return number(place)
    return tuple(nested(shape[1:], number, (*place, n)) for n in range(shape[0]))


def fractions(array: Any) -> Nested:
    """The numbers of an array exactly as the floats that they are, in nested tuples."""
    return tuple(fractions(part) for part in array) if getattr(array, "ndim", 0) else Fraction(float(array))


def at(value: Nested, place: Sequence[int]) -> Any:
    """The number at a place."""
    for n in place:
        value = value[n]
    return value


def mapped(value: Nested, function: Any) -> Any:
    """A function of every number, in nested lists."""
    if isinstance(value, tuple | list):
        return [mapped(part, function) for part in value]
    return function(value)


def numbers_in(value: Nested) -> Iterable[Any]:
    """Every number in nested tuples, in row order."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from numbers_in(part)
    else:
        yield value
