"""How long a piece of work takes, against how long it may: what nobody has asked to wait for is refused beforehand."""

from __future__ import annotations

import math

from fcsym.errors import SizeError

__all__ = ["allow", "refuse_longer"]

_UNASKED = 20.0  # what a person waits for without having been told

_allowed = _UNASKED  # seconds


def allow(seconds: float) -> None:
    """So many seconds were asked for."""
    global _allowed
    _allowed = max(_UNASKED, seconds)


def refuse_longer(what: str, seconds: float, instead: str) -> None:
    """SizeError where work takes longer than it may; `what` begins the sentence and `instead` ends it."""
    if seconds > _allowed:
        raise SizeError(
            f"{what} would take about {_in_words(seconds)}: allow it with --max-seconds "
            f"{2 * math.ceil(seconds)}, or {instead}."
        )


def _in_words(seconds: float) -> str:
    """ "42 seconds", "2 minutes": rounded up."""
    return f"{math.ceil(seconds)} seconds" if seconds <= 60 else f"{math.ceil(seconds / 60)} minutes"
