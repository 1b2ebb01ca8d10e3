"""Layers in network files: the tables [[layers]], whose keys are the fields of the layer of that kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from fcsym.errors import NetworkError, shown
from fcsym.language.activation import Activation as Phi
from fcsym.language.activation import activation
from fcsym.language.spelling import check_name
from fcsym.networks.graph import INPUT, Node
from fcsym.networks.layers import KINDS, Activation, Dense

__all__ = ["DENSE", "nodes_in"]

DENSE = Dense.kind
"""What a table is that says nothing of its kind; as in a file of a stack, it has no bias unless it is said."""

_AROUND = ("kind", "name", "from", "activation")
"""The keys that every layer has: what it is, what it is called, what it reads, and what follows on it."""


def nodes_in(
    tables: Sequence[Mapping[str, Any]], own: Sequence[Phi], where: str = "[[layers]] number", inner: bool = False
) -> tuple[list[Node], object]:
    """The layers of a network file in a row, and the activation of the last one, which is that of the output.

    NetworkError for a kind that is not known, and for a key that its layer has not.
    """
    called = {table["name"]: n for n, table in enumerate(tables) if isinstance(table.get("name"), str)}
    given = {name: _last_of(tables[n], name) for name, n in called.items() if n < len(tables) - 1}
    made: list[Node] = []
    output: object = "identity"
    for n, table in enumerate(tables, 1):
        here = f"{where} {n}"
        layer = _layer(table, own, here)
        name = check_name(table["name"], here) if "name" in table else "" if inner else f"layer {n}"
        if name == INPUT:
            raise NetworkError(f"{here}: the name {name!r} is the input's: choose another one.")
        of = tuple(given.get(source, source) for source in _sources(table, here))
        made.append(Node(layer, name, of))
        if "activation" not in table:
            continue
        if n == len(tables) and not inner:
            output = table["activation"]
        else:
            phi = Activation(activation(table["activation"], own))
            made.append(Node(phi, _last_of(table, name) if name else ""))
    return made, output


def _last_of(table: Mapping[str, Any], name: str) -> str:
    """What the last node of a table is called: the table's name, unless an activation follows on the layer."""
    return f"{name}.activation" if "activation" in table else name


def _sources(table: Mapping[str, Any], where: str) -> list[str]:
    value = table.get("from", [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise NetworkError(f'{where}: from is {shown(value)!r}: write the name of a layer, or ["a", "b"].')
    return names


def _layer(table: Mapping[str, Any], own: Sequence[Phi], where: str) -> Any:
    kind = table.get("kind", DENSE)
    if not isinstance(kind, str) or kind not in KINDS:
        raise NetworkError(f"{where}: the kind {shown(kind)!r} is not known: the kinds are {', '.join(KINDS)}.")
    layer: Any = KINDS[kind]
    keys = {"bias": False, **table} if kind == DENSE else table
    own_keys = [entry.name for entry in fields(layer)]
    for key in table:
        if key not in (*own_keys, *_AROUND):
            raise NetworkError(
                f"{where} ({kind}) has an unknown key {shown(key)!r}: the keys are {', '.join([*own_keys, *_AROUND])}."
            )
    values = {}
    for entry in fields(layer):
        if entry.name in keys:
            values[entry.name] = _value(keys[entry.name], str(entry.type), f"{where} ({kind}), {entry.name}", own)
        elif entry.name == layer.measured:
            values[entry.name] = None  # whatever it reads
        elif entry.default is MISSING:
            raise NetworkError(f"{where} ({kind}) has no {entry.name}: give one.")
    return layer(**values)


def _value(value: Any, kind: str, where: str, own: Sequence[Phi]) -> Any:
    """A value of a file as a layer has it: layers for tables, and a reader's own activation for its name."""
    if kind == "bool" and not isinstance(value, bool):
        raise NetworkError(f"{where} is {shown(value)!r}: write true or false.")
    if isinstance(value, list):
        if value and all(isinstance(entry, dict) for entry in value):
            return tuple(nodes_in(value, own, f"{where} number", inner=True)[0])
        return tuple(value)
    return next((phi for phi in own if phi.name == value), value)
