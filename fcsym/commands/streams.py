"""Standard output and standard error, as every command uses them: results, sentences, progress, errors."""

from __future__ import annotations

import io
import json
import os
import sys
import textwrap
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from fcsym.language.spelling import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


class Unwritable(Exception):
    """Standard output does not take what is written to it."""


def complain(sentence: str, as_json: bool, status: int = WRONG_INPUT) -> int:
    """Say what went wrong, where anyone can hear it."""
    stream = sys.stdout if as_json else sys.stderr
    try:
        if stream is not None:
            said = (
                json.dumps({"error": sentence}) if as_json else _broken(f"fcsym: {visible(sentence)}", _window(stream))
            )
            print(said, file=stream, flush=True)
    except (OSError, ValueError):
        into_nothing(stream)
    return status


def checked_streams() -> None:
    """Refuse a closed standard output before the work; put nothing in the place of a closed error output.

    A file that is opened later must not come by the number of a standard stream that is closed.
    """
    closed = [number for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)) if stream is None]
    if closed:
        while (number := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(number)
    if sys.stdout is None:
        raise Unwritable("Standard output is closed: give the command somewhere to write to.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal in ASCII shows less, and no traceback


@contextmanager
def writing() -> Iterator[None]:
    """What goes wrong here goes wrong with standard output."""
    try:
        yield
    except SystemExit:  # after --help and --version
        with writing():
            sys.stdout.flush()
        raise
    except BrokenPipeError:
        raise
    except OSError as problem:
        into_nothing(sys.stdout)
        raise Unwritable(f"Standard output cannot be written ({problem.strerror}): choose another place.") from None


def into_nothing(stream: Any) -> None:
    """What is still to be written to a stream that does not take it goes nowhere, instead of failing at the exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def put(text: str, end: str = "\n") -> None:
    """A line on standard output, as it is."""
    with writing():
        print(text, end=end)


@contextmanager
def progress(total: int | None = None) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is being done, where someone may be watching."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)

        def step(what: str) -> None:
            bar.update(task, description=what, advance=1)

        yield step


def _window(stream: Any) -> int | None:
    """The columns of the window: as COLUMNS says, or as the terminal does; None where neither is there to say it."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None


def _broken(sentence: str, width: int | None) -> str:
    """The sentence in lines where there is a window; a path or a formula in it is never broken."""
    if width is None:
        return sentence
    return textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)


def remark(sentence: object) -> None:
    """A sentence on standard error, beside what the command is asked for."""
    if sys.stderr is not None:
        print(_broken(f"fcsym: {visible(str(sentence))}", _window(sys.stderr)), file=sys.stderr)


def show(*parts: Any) -> None:
    """Tables and documents on standard output, as wide as the window."""
    from rich.console import Console

    console = Console(width=_window(sys.stdout) or 140)
    with writing():
        for part in parts:
            console.print(part)


def say(sentence: object) -> None:
    """A sentence, in lines where there is a window."""
    put(_broken(str(sentence), _window(sys.stdout)))
