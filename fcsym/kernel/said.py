"""What kernels, their states and their results say of themselves: what they are of, and the shapes of their arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["say_shapes", "shapes"]

_MOST = 12  # arrays that are named; a deep network has many


def shapes(arrays: Iterable[tuple[str, Iterable[object]]]) -> str:
    """s1 (2,), W2 (1, 2), eta (): names with the lengths of their axes, the first dozen of many."""
    every = [f"{name} {_shape(tuple(lengths))}" for name, lengths in arrays]
    more = [f"and {len(every) - _MOST} more"] if len(every) > _MOST else []
    return ", ".join([*every[:_MOST], *more])


def _shape(lengths: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, lengths))}{',' if len(lengths) == 1 else ''})"


def say_shapes(fields: Any, kind: str, what: str) -> Any:
    """The class of a named tuple of arrays, which from now on says what it is."""

    def __repr__(self: Any) -> str:
        arrays = tuple(tuple.__iter__(self))
        said = shapes(zip(self._fields, map(_lengths, arrays), strict=True))
        return f"<{kind}: {what}; {', '.join([said, *_precision(arrays)])}>"

    fields.__repr__ = __repr__
    return fields


def _lengths(array: Any) -> tuple[object, ...]:
    return tuple(getattr(array, "shape", ()))


def _precision(arrays: Iterable[Any]) -> Iterator[str]:
    """float64, and torch.float64 of a tensor: that of the first array of numbers."""
    for array in arrays:
        if str(getattr(array, "dtype", "bool")).removeprefix("torch.") != "bool":
            yield str(array.dtype)
            return
