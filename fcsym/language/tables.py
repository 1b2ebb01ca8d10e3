"""Tables as people write them, in TOML and JSON: names with values, every decimal as it is written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from fcsym.errors import shown

__all__ = ["json_table", "toml_table"]

_MOST_KEYS = 50
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_DOTTED = re.compile(rf"(?<![\w-]){_PART}(?:{_PART}){{{_MOST_KEYS - 1}}}")
"""What tomllib needs the square of its length for."""


def toml_table(data: bytes) -> dict[str, Any]:
    """A TOML file => what it holds. ValueError where it is none, with what is wrong and where."""
    text = data.decode("utf-8-sig")
    if _DOTTED.search(text):
        raise ValueError(f"it has a key of more than {_MOST_KEYS} parts")
    try:
        return tomllib.loads(text, parse_float=_decimal)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def json_table(data: bytes) -> Any:
    """A JSON file => what it holds. ValueError where it is none, or says one thing twice."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_float=_decimal, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the number {shown(text)} is out of range") from None


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"it has {shown(key)!r} twice")
        made[key] = value
    return made
