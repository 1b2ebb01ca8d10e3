"""How much memory a piece of work needs, against how much there is: what does not fit is refused before it begins."""

from __future__ import annotations

import os
from pathlib import Path

from fcsym.errors import SizeError

__all__ = ["allow", "available", "exhausted", "refuse_beyond"]

_allowed: int | None = None  # bytes, where this process has been told so


def available() -> int | None:
    """The bytes that this process can still have, where the system says: the machine's, its container's or its own."""
    known = [_machine(), _container(), _own()]
    return min((number for number in known if number is not None), default=None)


def _machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _container() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        most, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
        return max(0, most - used)
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return None


def allow(size: int) -> None:
    """Bound this process: no more than `size` bytes in memory are counted as free from now on."""
    global _allowed
    _allowed = size


def _own() -> int | None:
    if _allowed is None:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return max(0, _allowed - pages * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        return _allowed


def exhausted() -> str:
    """What is said where memory has run out all the same."""
    if _allowed is None:
        return "There is not enough memory for this: try a smaller network, or fewer points."
    return f"This needs more than {_allowed / 1e9:.3g} GB of memory (--max-memory): allow more, or ask for less."


def refuse_beyond(what: str, needed: float, instead: str) -> None:
    """SizeError where `needed` bytes are more than there are; `what` begins the sentence and `instead` ends it."""
    there = available()
    if there is not None and needed > there:
        raise SizeError(
            f"{what} takes about {needed / 1e9:.3g} GB of memory and {there / 1e9:.3g} GB are free: {instead}."
        )
