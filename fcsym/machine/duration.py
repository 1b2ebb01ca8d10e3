"""How long a piece of work takes, against how long it may: minutes that nobody has asked for are refused beforehand."""

from __future__ import annotations

import math

from fcsym.errors import SizeError

__all__ = ["allow", "refuse_longer"]

_UNASKED = 60.0

_allowed = _UNASKED  # seconds


def allow(seconds: float) -> None:
    """So many seconds were asked for."""
    global _allowed
    _allowed = max(_UNASKED, seconds)


def refuse_longer(what: str, seconds: float, instead: str) -> None:
    """SizeError where work takes longer than it may; `what` begins the sentence and `instead` ends it."""
    if seconds > _allowed:
        raise SizeError(
            f"{what} would take about {math.ceil(seconds / 60)} minutes: allow it with --max-seconds "
            f"{2 * math.ceil(seconds)}, or {instead}."
        )
