"""Names that people choose, checked before anything is made of them: no text from a user is ever evaluated."""

from __future__ import annotations

import keyword
import re

from fcsym.errors import NetworkError

__all__ = ["check_name"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)


def check_name(name: object, where: str) -> str:
    """The name, if it is safe and usable in Python, C and LaTeX; NetworkError otherwise."""
    if not isinstance(name, str):
        raise NetworkError(f"{where}: the name {str(name)[:40]!r} is no text: write it as a string.")
    if not _NAME.fullmatch(name) or "__" in name:
        raise NetworkError(
            f"{where}: the name {name[:40]!r} is not allowed: use a letter, then at most 31 ASCII letters, "
            "digits or single underscores."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _C_KEYWORDS:
        raise NetworkError(f"{where}: the name {name!r} is a keyword: choose another one.")
    return name


_C_KEYWORDS = frozenset(
    {"auto", "case", "char", "const", "default", "do", "double", "enum", "extern", "float", "goto", "inline", "int"}
    | {"long", "register", "restrict", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union"}
    | {"unsigned", "void", "volatile", "main"}
)
