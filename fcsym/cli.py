"""The command line: `main` finds the command, runs it, and says what went wrong."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

from fcsym.commands import COMMANDS, limits
from fcsym.commands.options import Parser, Usage
from fcsym.commands.streams import (
    DONE,
    INTERRUPTED,
    Unwritable,
    checked_streams,
    complain,
    into_nothing,
    remark,
    writing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns 0 when done, 1 when a check failed, 2 when the input was wrong, 130 when interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    wants_json = "--json" in arguments
    try:
        with _heard(), _remarked():
            checked_streams()
            with writing():
                options = _parser().parse_args(arguments)
            status = limits.run(options, arguments)
            with writing():
                sys.stdout.flush()
            return status
    except BrokenPipeError:  # the reader of our output has left
        into_nothing(sys.stdout)
        return DONE
    except KeyboardInterrupt:
        return complain("Interrupted.", wants_json, INTERRUPTED)
    except Exception as problem:
        from fcsym.errors import FcsymError

        if isinstance(problem, MemoryError):
            from fcsym.machine.memory import exhausted

            return complain(exhausted(), wants_json)
        if isinstance(problem, FcsymError | Usage | Unwritable):
            return complain(str(problem), wants_json and not isinstance(problem, Unwritable))
        raise
    finally:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        except (OSError, ValueError):
            into_nothing(sys.stderr)


@contextmanager
def _heard() -> Iterator[None]:
    """Ctrl-C is heard wherever it comes."""
    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    signal.signal(signal.SIGINT, limits.raising(signal.SIGINT, KeyboardInterrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _remarked() -> Iterator[None]:
    """What is odd about what was asked for is a sentence on standard error, where no JSON goes."""
    from fcsym.errors import LossWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", LossWarning)
        otherwise = warnings.showwarning

        def told(
            message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
            line: str | None = None,
        ) -> None:  # fmt: skip
            if issubclass(category, LossWarning):
                remark(message)
            else:
                otherwise(message, category, filename, lineno, file, line)

        warnings.showwarning = told
        yield


def _parser() -> argparse.ArgumentParser:
    from fcsym import __version__

    parser = Parser(
        prog="fcsym", description="Derive, prove, typeset, compile and check the learning rules of small networks."
    )
    parser.add_argument("--version", action="version", version=f"fcsym {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for name in COMMANDS:
        import_module(f"fcsym.commands.{name}").add(commands)
        limits.add(commands.choices[name])
    return parser
