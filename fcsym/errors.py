"""What can go wrong, sorted by who can mend it.

Every message is one sentence: what is wrong, where, and what to do.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from numbers import Number
from types import FrameType

__all__ = [
    "ArgumentError",
    "CompileError",
    "Diverged",
    "ExportError",
    "FcsymError",
    "GateEvent",
    "LossWarning",
    "MissingTool",
    "NetworkError",
    "SizeError",
    "UndefinedContribution",
    "UnsupportedExpression",
    "listed",
    "shown",
    "warn",
]

_BETWEEN = frozenset({"contextlib", "copy", "dataclasses", "functools"})
"""Modules through which the library calls itself."""


class FcsymError(Exception):
    """Base of every error that fcsym raises on purpose."""


class NetworkError(FcsymError, ValueError):
    """A network, an activation or a network file is not well formed."""


class LossWarning(UserWarning):
    """A loss that means little after the network's output activation: it is derived as it was asked for."""


class ArgumentError(FcsymError, ValueError):
    """An argument of a public function has the wrong value, shape or type."""


class SizeError(FcsymError, ValueError):
    """A result would be too large to write; the message gives its size and the option that allows it."""


class UndefinedContribution(FcsymError, ArithmeticError):
    """No compensation exists: a unit with v^c = 0 changed, and 0 * p = w' dv' has no solution p."""


class GateEvent(FcsymError, ArithmeticError):
    """A hidden unit has left the linear piece on which a scheme holds it, or sits between two of them."""


class Diverged(FcsymError, ArithmeticError):
    """Training has left the range of floating-point numbers; the message says after which step."""


class UnsupportedExpression(FcsymError, TypeError):
    """An expression is outside the language that a reading understands."""


class ExportError(FcsymError):
    """A file is not written, because what it would say does not agree with automatic differentiation."""


class CompileError(FcsymError):
    """A derivation cannot be compiled for the target that was asked for."""


class MissingTool(FcsymError):
    """A program or package that an output needs is not installed; the message says how to install it."""


def shown(value: object, most: int = 40) -> str:
    """What a sentence says of a value that was given: its text, at most so many characters of it.

    Python refuses to write whole numbers of more than some thousand digits, and a value may have no text at all.
    """
    try:
        return str(value)[:most]
    except Exception:
        return "a number too long to write" if isinstance(value, Number) else f"a {type(value).__name__}"


def listed(names: Iterable[str], most: int = 40) -> str:
    """ "W1, b1, W2": what a sentence says of names to choose from, at most so many; a deep network has thousands."""
    every = list(names)
    more = len(every) - most
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:most])} and {more} more"


def warn(sentence: str, category: type[Warning]) -> None:
    """A warning that points at the line from which the library was called, by whatever way it came here."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_library(frame.f_globals.get("__name__", "")):
        if frame.f_back is None:  # the library is all that there is, as for its own command line
            break
        frame, level = frame.f_back, level + 1
    warnings.warn(sentence, category, stacklevel=level)


def _is_library(module: str) -> bool:
    return module.partition(".")[0] == "fcsym" or module in _BETWEEN
