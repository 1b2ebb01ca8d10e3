"""How much memory a piece of work needs, against how much there is: what does not fit is refused before it begins."""

from __future__ import annotations

from pathlib import Path

from fcsym.errors import SizeError

__all__ = ["available", "refuse_beyond"]


def available() -> int | None:
    """The bytes that this process can still have, where the system says: the machine's, or those of its container."""
    known = [_machine(), _container()]
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


def refuse_beyond(what: str, needed: float, instead: str) -> None:
    """SizeError where `needed` bytes are more than there are; `what` begins the sentence and `instead` ends it."""
    there = available()
    if there is not None and needed > there:
        raise SizeError(
            f"{what} takes about {needed / 1e9:.3g} GB of memory and {there / 1e9:.3g} GB are free: {instead}."
        )
