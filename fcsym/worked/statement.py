"""A claimed equation in index notation => an equation of the language, which the proof can decide at every width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fcsym.deriving.record import Record
from fcsym.errors import FcsymError
from fcsym.language.activation import activation
from fcsym.language.equation import Verdict
from fcsym.language.expression import (
    Apply,
    Array,
    Axis,
    Expr,
    Index,
    Number,
    Ref,
    add,
    greatest,
    least,
    mul,
    power,
    total,
)
from fcsym.networks.symbols import ETA
from fcsym.proof import prove
from fcsym.worked.grammar import Formula

__all__ = ["is_proved"]


class _NotSaid(Exception):
    """Something that index notation does not have: a single number by name, a position."""


def is_proved(record: Record, left: Formula, right: Formula, arrays: Mapping[str, Array]) -> bool:
    """Whether the derivation, with this equation in the place of its own, is proved in it.

    A definition of the network, such as that of E, counts where it is identical.
    False where that cannot be said, too: for single numbers by name, and for what the derivation has no equation of.
    """
    try:
        lhs = _element(left, arrays, {})
        if not isinstance(lhs, Ref) or lhs.array.name not in record.by_name:
            return False
        rhs = _element(right, arrays, {index.letter: index for index in lhs.indices})
        own = record.by_name[lhs.array.name]
        claimed = replace(own, lhs=lhs, rhs=rhs)
        changed = tuple(claimed if equation is own else equation for equation in record.equations)
        finding = prove(Record(record.network, record.order, changed)).verdict(own.name)
    except (_NotSaid, FcsymError, TypeError, KeyError):  # TypeError: a diagonal
        return False
    return finding.verdict in (Verdict.PROVED, Verdict.DEFINITION) and not finding.where


def _element(node: Formula, arrays: Mapping[str, Array], bound: Mapping[str, Index]) -> Expr:
    def of(part: Formula, more: Mapping[str, Index] = bound) -> Expr:
        return _element(part, arrays, more)

    match node:
        case ("number", number):
            return Number(number)
        case ("name", "eta", ()):
            return ETA[()]
        case ("name", text, indices):
            return _ref(text, indices, arrays, bound)
        case ("neg", part):
            return -of(part)
        case ("inv", part):
            below = of(part)
            return Number(1 / below.value) if isinstance(below, Number) and below.value else power(below, -1)
        case ("pow", part, exponent):
            return power(of(part), exponent)
        case ("add", parts):
            return add(*map(of, parts))
        case ("mul", parts):
            return mul(*map(of, parts))
        case ("sum" | "max" | "min" as head, over, body):
            axes = _axes(body, arrays)
            if not set(over) <= axes.keys():
                raise _NotSaid
            made = {letter: Index(axes[letter], letter) for letter in over}
            result = of(body, {**bound, **made})
            for index in made.values():
                result = {"sum": total, "max": greatest, "min": least}[head](index, result)
            return result
        case ("call", name, slope, argument) if slope < 2:
            return Apply(activation(name), of(argument), slope)
    raise _NotSaid


def _ref(
    text: str, indices: tuple[str | int, ...], arrays: Mapping[str, Array], bound: Mapping[str, Index]
) -> Ref:  # fmt: skip
    name = text.rstrip("'") + ("_new" if text.endswith("'") else "")
    array = arrays.get({"y_g": "yg"}.get(name, name))
    if array is None or len(array.axes) != len(indices) or any(isinstance(index, int) for index in indices):
        raise _NotSaid
    pairs = zip(indices, array.axes, strict=True)
    return array[tuple(bound.get(str(letter), Index(axis, str(letter))) for letter, axis in pairs)]


def _axes(node: Formula, arrays: Mapping[str, Array]) -> dict[str, Axis]:
    """The axis of every letter, from where it stands."""
    found: dict[str, Axis] = {}
    match node:
        case ("name", text, indices):
            name = text.rstrip("'") + ("_new" if text.endswith("'") else "")
            array = arrays.get({"y_g": "yg"}.get(name, name))
            if array is not None and len(array.axes) == len(indices):
                found |= {str(letter): axis for letter, axis in zip(indices, array.axes, strict=True)}
        case ("add" | "mul", parts):
            for part in parts:
                found |= _axes(part, arrays)
        case ("neg" | "inv", part) | ("pow", part, _) | ("sum" | "max" | "min", _, part) | ("call", _, _, part):
            found |= _axes(part, arrays)
    return found
