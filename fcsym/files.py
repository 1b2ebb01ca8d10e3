"""Writing files so that a reader never finds half of one."""

from __future__ import annotations

import glob
import os
import secrets
import time
from pathlib import Path

from fcsym.errors import ArgumentError

__all__ = ["file_name", "refuse_place", "write_bytes", "write_text"]

_STALE = 3600.0  # seconds


def file_name(path: object) -> Path:
    """What a caller gave as the name of a file; ArgumentError for anything that can be none."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise ArgumentError(f"The name of a file is {str(path)[:40]!r}: give it as text.")
    text = os.fspath(path)
    if not text.isprintable():
        raise ArgumentError(f"The name of a file is {text[:60]!r}: leave out characters that cannot be printed.")
    return Path(text)


def write_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8 with LF. See `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file by renaming a finished one into place. Raises ArgumentError where that is not possible.

    Whatever ends the writing, Ctrl-C too, leaves the old file or the new one and nothing else.
    """
    refuse_place(path)
    _sweep(path)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"  # known before it exists
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as problem:
        raise ArgumentError(f"{path} cannot be written ({problem.strerror}): choose another place.") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def refuse_place(path: Path) -> None:
    """Raise ArgumentError where a file cannot be, before the work that would go into it."""
    try:
        if path.is_dir():
            raise ArgumentError(f"{path} is a folder: give the name of a file in it.")
        if path.is_symlink():
            raise ArgumentError(f"{path} is a link: give the file it points to.")
        if path.exists() and not path.is_file():
            raise ArgumentError(f"{path} is no regular file: choose another name.")
        if not path.parent.is_dir():
            raise ArgumentError(f"The folder {path.parent} is not there: make it first.")
        if path.exists() and not os.access(path, os.W_OK):
            raise ArgumentError(f"{path} may not be written to: choose another name.")
    except OSError as problem:  # a name too long to be asked for
        raise ArgumentError(f"{str(path)[:60]!r} cannot be a file ({problem.strerror}): choose another name.") from None


def _sweep(path: Path) -> None:
    """Remove what an interrupted write of the same file has left; a recent one may still be under way."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        try:
            if not left.is_symlink() and time.time() - left.stat().st_mtime > _STALE:
                left.unlink()
        except OSError:
            pass
