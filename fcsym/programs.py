"""Programs that fcsym starts, compilers and checkers: a folder to work in, a time limit, and no process left over."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fcsym.errors import ArgumentError
from fcsym.files import held

__all__ = ["Ended", "run", "workspace"]

_PREFIX = ".fcsym-work-"
_LAST = 5.0  # seconds
_TURNS = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its status, None where it was stopped, and what it wrote."""

    status: int | None
    out: str
    err: str


def run(
    command: Sequence[str | os.PathLike[str]], seconds: float, folder: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:  # fmt: skip
    """Start a program in a folder, and end it and all that it has started after so many seconds.

    OSError where it cannot be started. An interruption leaves no process behind either.
    """
    made = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        out, err = made.communicate(timeout=seconds)
    except BaseException as problem:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(made.pid, signal.SIGKILL)
            else:
                made.kill()
        with suppress(subprocess.TimeoutExpired):  # one that has left them all may still hold the pipes
            made.communicate(timeout=_LAST)
        if isinstance(problem, subprocess.TimeoutExpired):
            return Ended(None, "", "")
        raise
    return Ended(made.returncode, out, err)


@contextmanager
def workspace(parent: Path | None = None) -> Iterator[Path]:
    """A folder for a while, in the folder for temporary files by default.

    It goes at the end. If its process is killed, the next one that wants such a folder there removes it.
    """
    where = Path(tempfile.gettempdir()) if parent is None else parent
    _sweep(where)
    folder, number = _taken(where)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if number >= 0:
            os.close(number)


def _taken(where: Path) -> tuple[Path, int]:
    """A new folder and its lock, -1 where folders have none. One that is not held belongs to nobody, from the start."""
    for _ in range(_TURNS):
        folder, number = Path(tempfile.mkdtemp(dir=where, prefix=_PREFIX)), -1
        try:
            number = os.open(folder, os.O_RDONLY)
            # another process may have seen it before it was held, and holds it, or has removed it
            if held(number) is not False and os.path.samestat(os.fstat(number), folder.stat()):
                return folder, number
        except FileNotFoundError:
            pass
        except OSError:  # a system that does not open folders has no locks for them
            return folder, number
        if number >= 0:
            os.close(number)
    raise ArgumentError(f"Folders in {where} are removed as soon as they are made: choose another place.")


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are gone: those that are this user's, and that nobody holds."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or (hasattr(os, "getuid") and about.st_uid != os.getuid()):
                continue
            number = os.open(folder, os.O_RDONLY)
            try:
                for _ in range(3 if held(number) else 0):  # a compiler may outlive who has started it, for a moment
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(number)
