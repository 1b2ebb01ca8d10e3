"""A derivation or a scheme as a file; the ending of its name says how."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fcsym.drawing.mathml import need_mathml
from fcsym.errors import ArgumentError
from fcsym.files import file_name, refuse_place, write_bytes, write_text

if TYPE_CHECKING:
    from fcsym.deriving.readable import Shown
    from fcsym.language.equation import Detail, Notation

__all__ = ["ENDINGS", "save", "writable"]

ENDINGS = (".tex", ".html", ".pdf")


def _need_engine() -> None:
    from fcsym.render.pdf import engine

    engine()


_NEEDS: dict[str, Callable[[], None]] = {".html": need_mathml, ".pdf": _need_engine}


def writable(path: str | os.PathLike[str], fragment: bool = False, certifiable: bool = True) -> Path:
    """The path, if such a file can be written there and what it needs is installed; ArgumentError or MissingTool.

    `certifiable`: whether what is written could be a certificate as well, which is another file.
    """
    where = file_name(path)
    if fragment and where.suffix != ".tex":
        raise ArgumentError(f"{where} is no LaTeX file, and only that has a fragment: choose a name that ends in .tex.")
    if where.suffix not in ENDINGS:
        *others, last = ENDINGS
        known = f"{', '.join(ENDINGS)}, or, for a certificate, .v" if certifiable else f"{', '.join(others)} or {last}"
        none = "" if certifiable else ", and derivatives by name have no certificate" * (where.suffix == ".v")
        raise ArgumentError(f"{where} ends in {where.suffix or 'nothing'}{none}: choose a name that ends in {known}.")
    if where.suffix in _NEEDS:
        _NEEDS[where.suffix]()
    refuse_place(where)
    return where


def save(
    document: Shown, path: str | os.PathLike[str], *,
    notation: Notation = "indexed", detail: Detail = "full", only: str | None = None, fragment: bool = False,
) -> Path:  # fmt: skip
    """Write a derivation or a scheme; with `fragment`, its equations alone, to \\input.

    ArgumentError for an ending that is not supported and a place that cannot be written; MissingTool where a program or
    a package is not installed.
    """
    where = writable(path, fragment)
    if where.suffix == ".html":
        from fcsym.render import html

        return write_text(where, html.document(document, notation=notation, detail=detail, only=only))
    from fcsym.render import latex

    if fragment:
        return write_text(where, latex.listing(document, notation=notation, only=only))
    source = latex.document(document, notation=notation, detail=detail, only=only)
    if where.suffix == ".tex":
        return write_text(where, source)
    from fcsym.render.pdf import compiled

    return write_bytes(where, compiled(source))
