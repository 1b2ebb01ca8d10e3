"""Programs that fcsym starts, compilers and checkers: a folder to work in, a time limit, and no process left over."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fcsym.files import held

__all__ = ["Ended", "run", "workspace"]

_PREFIX, _NEW = ".fcsym-work-", ".fcsym-new-"
_LAST = 5.0  # seconds
_STALE = 3600.0  # seconds


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
    folder, number = Path(tempfile.mkdtemp(dir=where, prefix=_NEW)), -1
    try:
        with suppress(OSError):  # a system that does not open folders has no locks for them
            number = os.open(folder, os.O_RDONLY)
            if held(number):  # from now on it has the name of one that belongs to nobody when it is not held
                folder = folder.rename(where / folder.name.replace(_NEW, _PREFIX))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if number >= 0:
            os.close(number)


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are gone: those that are this user's, and that nobody holds."""
    for folder in (*parent.glob(f"{_PREFIX}*"), *parent.glob(f"{_NEW}*")):
        with suppress(OSError):
            about = folder.lstat()
            mine = stat.S_ISDIR(about.st_mode) and (not hasattr(os, "getuid") or about.st_uid == os.getuid())
            if not mine or (folder.name.startswith(_NEW) and time.time() - about.st_ctime < _STALE):
                continue
            number = os.open(folder, os.O_RDONLY)
            try:
                for _ in range(3 if held(number) else 0):  # a compiler may outlive who has started it, for a moment
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(number)
