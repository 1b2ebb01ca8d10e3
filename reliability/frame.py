"""What a chapter is, and what chapters share.

A chapter is a module in `chapters/`. Its docstring is the text that stands above its table: the first line is the
heading. It has

    SHORT, LONG                 how many trials the short and the long form make
    def chapter(count, seed, only) -> Iterator[Table]

`chapter` tries `count` times, from `seed`, and yields the same table whenever something has been added to it. The last
one is the result; after an interruption it is what had been yielded by then. Where `only` is a number, that trial alone
is made again. A trial depends on the seed and its number and on nothing else: so one command repeats a failure.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FrameType, ModuleType
from typing import Any

__all__ = ["Failure", "Outcome", "Table", "Wrong", "chapters", "trials"]

PROCESSES = 2
_FRESH = 200  # trials after which a process is replaced: what it keeps for reuse grows


class Wrong(Exception):
    """What a trial raises where something came out wrong: one sentence."""


@dataclass(frozen=True)
class Failure:
    """What came out wrong in one trial."""

    number: int  # of the trial: --only repeats it
    said: str  # one sentence: what was tried, what came out


@dataclass
class Table:
    """The figures so far."""

    columns: tuple[str, ...]  # their headings, from the second on; the first one says what a row is about
    about: str = ""  # the heading of the first column
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # by name; figures by their headings
    tried: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what the figures leave out, and why

    def row(self, name: str) -> dict[str, Any]:
        """The figures of a row, which is made where there is none."""
        return self.rows.setdefault(name, {})

    def add(self, name: str, heading: str, number: float = 1) -> None:
        """Count something."""
        row = self.row(name)
        row[heading] = row.get(heading, 0) + number

    def most(self, name: str, heading: str, number: float) -> None:
        """Keep the largest."""
        row = self.row(name)
        row[heading] = max(row.get(heading, number), number)

    def fail(self, number: int, said: str) -> None:
        """Note a failure."""
        self.failures.append(Failure(number, " ".join(said.split())))


@dataclass(frozen=True)
class Outcome:
    """What one trial gave: anything that can be sent from process to process, or what went wrong in it."""

    number: int
    value: Any = None
    failure: str = ""


def chapters() -> dict[str, ModuleType]:
    """Every chapter by its name, which is that of its file."""
    folder = Path(__file__).with_name("chapters")
    names = sorted(found.name for found in iter_modules([str(folder)]))
    return {name: import_module(f"reliability.chapters.{name}") for name in names}


def trials(
    trial: Callable[[int, int], Any], count: int, seed: int, only: int | None = None, *, seconds: float = 300.0,
    processes: int = PROCESSES,
) -> Iterator[Outcome]:  # fmt: skip
    """`trial(seed, number)` for every number from 0, in several processes, as they end.

    `trial`: a function of a module. A failure is whatever it raises, `Wrong` with a sentence or anything else, and
    what takes longer than so many seconds. With `only` it runs once, in this process, and what it raises is not caught.
    """
    if only is not None:
        yield Outcome(only, trial(seed, only))
        return
    made = partial(_made, trial, seed, seconds)
    if processes == 1:
        yield from map(made, range(count))
        return
    context = multiprocessing.get_context("spawn")  # what a library has started in threads does not survive a fork
    with context.Pool(processes, _quietly, maxtasksperchild=_FRESH) as pool:
        yield from pool.imap_unordered(made, range(count))


def _quietly() -> None:
    """An interruption is the first process's concern; others step back before what a person does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)


def _made(trial: Callable[[int, int], Any], seed: int, seconds: float, number: int) -> Outcome:
    try:
        with _no_longer_than(seconds):
            return Outcome(number, trial(seed, number))
    except Exception as problem:
        said = str(problem) if isinstance(problem, Wrong) else f"{type(problem).__name__}: {problem}"
        return Outcome(number, failure=said[:600])


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """TimeoutError for what does not come back."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no result after {seconds:g} s")

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
