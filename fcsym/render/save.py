"""A derivation as a file; the ending of its name says how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fcsym.errors import ArgumentError
from fcsym.files import write_text

if TYPE_CHECKING:
    from fcsym.derivation import Derivation

__all__ = ["ENDINGS", "save", "writable"]

ENDINGS = (".tex",)


def writable(path: str | os.PathLike[str]) -> Path:
    """The path, if its ending is one that can be written; ArgumentError otherwise."""
    where = Path(path)
    if where.suffix not in ENDINGS:
        raise ArgumentError(
            f"{where} ends in {where.suffix or 'nothing'}: choose a name that ends in {', '.join(ENDINGS)}."
        )
    return where


def save(derivation: Derivation, path: str | os.PathLike[str]) -> Path:
    """Write a derivation; ArgumentError for an ending that is not supported and a place that cannot be written."""
    from fcsym.render.latex import document

    return write_text(writable(path), document(derivation))
