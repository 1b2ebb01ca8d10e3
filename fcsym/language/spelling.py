"""Names and numbers that people write, checked before anything is made of them: no text is ever evaluated."""

from __future__ import annotations

import keyword
import re
import unicodedata
from decimal import Decimal
from fractions import Fraction
from numbers import Rational, Real

from fcsym.errors import FcsymError, NetworkError, shown

__all__ = ["check_name", "exact", "visible"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)


def check_name(name: object, where: str) -> str:
    """The name, if it is safe and usable in Python, C and LaTeX; NetworkError otherwise."""
    if not isinstance(name, str):
        raise NetworkError(f"{where}: the name {shown(name)!r} is no text: write it as a string.")
    if not _NAME.fullmatch(name) or "__" in name:
        raise NetworkError(
            f"{where}: the name {shown(name)!r} is not allowed: use a letter, then at most 31 ASCII letters, "
            "digits or single underscores."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _C_KEYWORDS:
        raise NetworkError(f"{where}: the name {name!r} is a keyword: choose another one.")
    return name


def visible(text: str, lines: bool = False) -> str:
    r"""A text of a reader's for a terminal: what would move the cursor, change colours or turn letters round is \x1b.

    With `lines` its lines stay lines.
    """
    kept = "\n" if lines else ""
    return "".join(
        letter.encode("unicode_escape").decode("ascii")
        if unicodedata.category(letter) in _STEERING and letter not in kept
        else letter
        for letter in text
    )


_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode: control and format characters, halves of pairs, and what ends lines and paragraphs."""

_C_KEYWORDS = frozenset(
    {"auto", "case", "char", "const", "default", "do", "double", "enum", "extern", "float", "goto", "inline", "int"}
    | {"long", "register", "restrict", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union"}
    | {"unsigned", "void", "volatile", "main"}
)

_WRITTEN = re.compile(
    r"[+-]?(\d{1,40}/\d{1,40}|(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,3})?)", re.ASCII | re.IGNORECASE
)
_LARGEST = 10**300


def exact(value: object, what: str, error: type[FcsymError] = NetworkError) -> Fraction:
    """A finite number, or a fraction or decimal as a text => what was written, exactly (0.01 is 1/100, "1/3" too).

    `error` for anything else, with `what` as its subject.
    """
    given = value.strip() if isinstance(value, str) else value
    if isinstance(given, bool) or not isinstance(given, Real | Decimal | str):
        raise error(f"{what} is {shown(value)!r}: give a number.")
    try:
        if isinstance(given, str) and not _WRITTEN.fullmatch(given):
            raise ValueError
        if isinstance(given, Decimal) and given.is_finite() and abs(given.adjusted()) > 400:
            raise OverflowError  # short to write, and long to store
        result = Fraction(given) if isinstance(given, Rational | Decimal) else Fraction(str(given))
    except (ValueError, OverflowError, ZeroDivisionError):
        raise error(f"{what} is {shown(value)!r}: give a number, such as 0.5 or 1/2.") from None
    if abs(result) > _LARGEST:
        raise error(f"{what} is {shown(value)!r}: give a number of ordinary size.")
    return result
