"""`--max-seconds` and `--max-memory`: a command in a process of its own, which is stopped with one sentence.

What is stopped has exit status 2, as everything that does not fit: no check has failed, and what was asked for, or what
was allowed, has to change. It has written nothing: its standard output is handed on only once it is done, unless that
is a terminal; a file that it was writing is taken back; and its temporary files are in a folder that goes with it. What
has its files in place when the limit is reached is not stopped: it has something to say of them, and no more.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsym.commands.streams import put
from fcsym.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

__all__ = ["Limits", "add", "child", "raising", "run"]

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?", re.ASCII | re.IGNORECASE)
_LEAST = 5e7  # bytes: Python and SymPy alone need as much
_BETWEEN = 0.05  # seconds from one look at a process to the next
_LOOK = 1.0  # seconds from one look of a process at who watches it to the next
_RESERVED = 1 << 32  # bytes that libraries for arrays reserve and do not use: beyond these, the system refuses
_WRITTEN = "written"  # a file beside the streams: what the command was to write is in its place
_GRACE = 1.0  # seconds in which a process may take back what it was writing
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from fcsym.cli import main; from fcsym.commands.limits import child; "
    "sys.exit(child(main, sys.argv[2:], **json.loads(sys.argv[1])))"
)

_limited = False  # whether this process is the one that is stopped


@dataclass(frozen=True)
class Limits:
    """What a command may use; None where it may use what there is."""

    seconds: float | None = None
    bytes: int | None = None


class Stopped(BaseException):
    """The process that watches over this one wants it to end."""


def add(parser: argparse.ArgumentParser) -> None:
    """The two options, for every command. `stopped_after`: of one that has --max-seconds for a part of its work."""
    if parser.get_default("stopped_after") is None:
        parser.add_argument("--max-seconds", type=_seconds, metavar="S", help="stop after so many seconds")
        parser.set_defaults(stopped_after=float)
    parser.add_argument(
        "--max-memory", type=_size, metavar="SIZE", help="stop where more memory is needed, such as 500MB or 4GB"
    )


def _seconds(text: str) -> float:
    """A number of seconds above 0."""
    from fcsym.commands.options import number

    seconds = number(text)
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is no time: give a number of seconds above 0")
    return seconds


def _size(text: str) -> int:
    """4GB => 4000000000, 4GiB => 4294967296."""
    found = _SIZE.fullmatch(text.strip())
    size = float(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not _LEAST <= size < 1e18:
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is no size from 50MB on: write one such as 500MB or 4GB")
    return int(size)


def of(options: argparse.Namespace) -> Limits:
    """What is said on the command line, for the process as a whole."""
    seconds = options.max_seconds
    return Limits(None if seconds is None else options.stopped_after(seconds), options.max_memory)


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run a command within its limits: here where it has none, otherwise in a process of its own. Its exit status.

    Raises FcsymError where a limit is reached.
    """
    limits = of(options)
    if _limited or limits == Limits():
        return int(options.run(options))
    from fcsym.errors import FcsymError

    if not hasattr(os, "killpg"):
        raise FcsymError("--max-seconds and --max-memory need a POSIX system: leave them out.")
    with tempfile.TemporaryDirectory(prefix="fcsym-") as folder:
        process = _started(Path(folder), limits, arguments)
        try:
            problem = _watched(process, limits)
        except BaseException:  # an interruption reaches the other process through this one
            _end(process)
            raise
        if problem and not _end(process, Path(folder) / _WRITTEN):
            raise FcsymError(
                f"The command {options.command} {problem}, and nothing was written: allow more, or ask for less."
            )
        for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
            said = Path(folder) / name
            if said.exists() and stream is not None and (text := said.read_text("utf-8", "backslashreplace")):
                if stream is sys.stdout:
                    put(text, end="")
                else:
                    stream.write(text)
        if process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            raise FcsymError(f"The command {options.command} was ended by {name} within its limits: allow more memory.")
        return process.returncode


def _started(folder: Path, limits: Limits, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """The same command in a process, with a session and a folder for temporary files of its own."""
    places: dict[str, Any] = {}
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        live = name == "stderr" or (stream is not None and stream.isatty())
        try:
            places[name] = stream.fileno() if live and stream is not None else None
        except (OSError, ValueError):  # a stream of this process alone
            places[name] = None
        if places[name] is None:
            places[name] = (folder / name).open("wb")
    temporary = folder / "temporary"
    temporary.mkdir()
    held = [name for name, file in places.items() if not isinstance(file, int)]
    settings = {"seconds": limits.seconds, "size": limits.bytes, "held": held, "mark": str(folder / _WRITTEN)}
    settings["watcher"] = os.getpid()
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path), json.dumps(settings)]
    environment = os.environ | {"TMPDIR": str(temporary)}
    try:
        return subprocess.Popen([*command, *arguments], env=environment, start_new_session=True, **places)
    finally:
        for file in places.values():
            if not isinstance(file, int):
                file.close()


def _watched(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """Wait for its end; what it has reached before that, "" for nothing."""
    began = time.monotonic()
    while True:
        left = math.inf if limits.seconds is None else limits.seconds - (time.monotonic() - began)
        try:
            process.wait(max(0.0, min(_BETWEEN, left)))
            return ""
        except subprocess.TimeoutExpired:
            pass
        if left <= 0:
            return f"was stopped after {limits.seconds:g} s (--max-seconds)"
        if limits.bytes is not None and _resident(process.pid) > limits.bytes:
            return f"was stopped at {limits.bytes / 1e9:.3g} GB of memory (--max-memory)"


def _resident(session: int) -> int:
    """The bytes that the processes of a session have in memory, where the system says."""
    pages = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = file.read_text("utf-8", "replace").rpartition(")")[2].split()
            pages += int(fields[21]) if int(fields[3]) == session else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _end(process: subprocess.Popen[bytes], mark: Path | None = None) -> bool:
    """End a process and all that it has started; it has a moment to take back what it was writing.

    Where it has made the mark that all is written it may go on to its end: whether this is so.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    if mark is not None and mark.exists():
        process.wait()
        return True
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return False


def child(
    main: Callable[[list[str]], int], arguments: list[str], seconds: float | None, size: int | None,
    held: Sequence[str], mark: str, watcher: int,
) -> int:  # fmt: skip
    """The command in the process that is watched; its exit status.

    `held`: the streams that are files in UTF-8; `mark`: the file that it makes as soon as its own are in place, and
    from then on it is not stopped. `watcher`: the process that watches; without it, nobody holds this one to any limit.
    """
    global _limited
    import resource
    import threading

    from fcsym.files import when_written
    from fcsym.machine import duration
    from fcsym.machine.memory import allow

    _limited = True
    if size is not None:
        allow(size)
        _bounded(resource.RLIMIT_DATA, size + _RESERVED)
    if seconds is not None:
        duration.allow(seconds)  # and, should the process that watches be gone:
        most = math.ceil(seconds + 5) * (os.cpu_count() or 1)
        _bounded(resource.RLIMIT_CPU, most)
    for name in held:
        getattr(sys, name).reconfigure(encoding="utf-8")
    signal.signal(signal.SIGTERM, raising(signal.SIGTERM, Stopped))
    threading.Thread(target=_end_with, args=(watcher,), daemon=True).start()

    def written() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(mark).touch()

    when_written.append(written)
    try:
        return main(arguments)
    except Stopped:
        if Path(mark).exists():  # it came between the last file and the mark
            return 0
        return 128 + signal.SIGTERM


def _bounded(kind: int, most: int) -> None:
    """Allow this process no more of a resource than that, nor than it was allowed before (`ulimit`)."""
    import resource

    hard = resource.getrlimit(kind)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (least, least))


def _end_with(watcher: int) -> None:
    """Stop this process once the one that has started it is gone: a killed one takes nothing with it by itself."""
    while os.getppid() == watcher:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)


def raising(number: int, problem: type[BaseException]) -> Any:
    """A handler of a signal that raises, wherever the signal comes.

    Python drops an exception that is raised while an object is taken down, and z3's own Python takes down what it has
    only half made, which ends the process: a signal that comes there comes again a moment later.
    """
    import threading

    def heard(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name == "__del__" or frame.f_globals.get("__name__", "").startswith("z3."):
                again = threading.Timer(0.01, os.kill, (os.getpid(), number))
                again.daemon = True
                again.start()
                return
            frame = frame.f_back
        raise problem

    return heard
