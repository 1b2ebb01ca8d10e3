"""Numbers as commands show them: nested values element by element, for JSON and as cells of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["as_float", "at_place", "elements", "exactly", "exactly_or_rounded", "mapped", "rows_of", "shown_with"]

MANY = 64  # elements of an array that are shown without being asked for
_WIDEST = 40  # columns of a fraction in a table

Cell = Callable[[str, tuple[int, ...]], str]


def elements(value: Any, place: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], Any]]:
    """Every number in nested lists, with its place, from 1."""
    if not isinstance(value, list | tuple):
        return [(place, value)]
    return [pair for n, part in enumerate(value, 1) for pair in elements(part, (*place, n))]


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Nested lists with a function of every number."""
    if isinstance(value, list | tuple):
        return [mapped(part, function) for part in value]
    return function(value)


def as_float(value: Any) -> float | None:
    """A number for JSON; what has no value, and what JSON cannot hold, is null."""
    try:
        made = math.nan if value is None else float(value)
    except OverflowError:
        made = math.inf
    return made if math.isfinite(made) else None


def at_place(values: Mapping[str, Any], name: str, place: Sequence[int]) -> Any:
    """One element of a quantity; None where it has no value."""
    found = values.get(name)
    for n in place:
        found = found[n - 1] if found is not None else None
    return None if isinstance(found, float) and math.isnan(found) else found


def exactly(value: Any) -> str:
    """A fraction as it is, or how much of a ball is certain: a cell of a table."""
    from fcsym.values.ball import Ball
    from fcsym.values.shown import certain, fractional

    if isinstance(value, Ball):
        return f"{certain(value)} digits certain"
    text = fractional(value) or ""
    return text if len(text) <= _WIDEST else f"a fraction of {len(text)} digits"


def exactly_or_rounded(value: Any, digits: int) -> str | None:
    """A fraction as it is, a ball with the digits that are certain, for JSON."""
    from fcsym.values.shown import decimal, fractional

    return None if value is None else fractional(value) or decimal(value, digits)


def rows_of(values: Mapping[str, Any], names: Sequence[str], columns: Sequence[Cell], everything: bool) -> list[Any]:
    """A row for every element of these quantities; one for a large array, unless everything is asked for."""
    rows: list[list[str]] = []
    for name in names:
        if name not in values:
            continue
        places = [place for place, _ in elements(values[name])]
        if len(places) > MANY and not everything:
            shape = " × ".join(map(str, places[-1]))
            rows.append([name, f"{shape} numbers, shown with --only {name}", *[""] * (len(columns) - 1)])
            continue
        for place in places:
            at = f"[{','.join(map(str, place))}]" if place else ""
            rows.append([f"{name}{at}", *(cell(name, place) for cell in columns)])
    return rows


def shown_with(values: Mapping[str, Any], digits: int) -> Cell:
    """A column of decimals; nothing for a quantity that is not there."""
    from fcsym.values.shown import decimal

    return lambda name, place: decimal(at_place(values, name, place), digits) if name in values else ""
