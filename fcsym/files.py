"""Writing files so that a reader never finds half of one, nor half of a set."""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from fcsym.errors import ArgumentError, shown

__all__ = ["file_name", "refuse_place", "write_bytes", "write_files", "write_text"]

_STALE = 3600.0  # seconds


def file_name(path: object) -> Path:
    """What a caller gave as the name of a file; ArgumentError for anything that can be none."""
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise ArgumentError(f"The name of a file is {shown(path)!r}: give it as text.")
    text = os.fspath(path)
    if not text.isprintable():
        raise ArgumentError(f"The name of a file is {text[:60]!r}: leave out characters that cannot be printed.")
    return Path(text)


def write_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8 with LF. See `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file by renaming a finished one into place. Raises ArgumentError where that is not possible."""
    return write_files({path: data})[0]


def write_files(files: Mapping[Path, bytes | str]) -> list[Path]:
    """Write a set of files: all are new at the end, or all are as they were. Text is written in UTF-8 with LF.

    Every file is complete beside its place, and the old ones have a second name, before the first is renamed; what has
    been renamed is taken back where a later one cannot be. Raises ArgumentError where a file cannot be written.
    """
    for path in files:
        refuse_place(path)
        _sweep(path)
    made: dict[Path, Path] = {}
    kept: dict[Path, Path] = {}
    begun: list[Path] = []
    lost: list[str] = []
    where = next(iter(files), Path())
    try:
        for path, data in files.items():
            where = path
            made[path] = _hidden(path, "tmp")
            _write(made[path], data.encode("utf-8") if isinstance(data, str) else data)
        for path in files:
            where = path
            if len(files) > 1 and path.exists():
                kept[path] = _hidden(path, "old")
                _second(path, kept[path])
        for path, finished in made.items():
            where = path
            begun.append(path)
            finished.replace(path)
    except BaseException as problem:
        done = [path for path in begun if not made[path].exists()]
        for path in done if len(done) < len(files) else ():  # interrupted after the last one, the set is complete
            _take_back(path, kept, lost)
        if isinstance(problem, OSError):
            more = "".join(f"; what it was is in {name}" for name in lost)
            raise ArgumentError(
                f"{where} cannot be written ({problem.strerror}): choose another place{more}."
            ) from None
        raise
    finally:
        for left in (*made.values(), *kept.values()):
            if str(left) not in lost:
                left.unlink(missing_ok=True)
    return list(files)


def _hidden(path: Path, kind: str) -> Path:
    """A name beside a file that nothing has yet."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.{kind}")


def _write(path: Path, data: bytes) -> None:
    """A new file, on the disk when this returns."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _second(path: Path, name: Path) -> None:
    """A second name for a file; a copy where the file system has no such names."""
    try:
        os.link(path, name)
    except OSError:
        _write(name, path.read_bytes())
        name.chmod(path.stat().st_mode & 0o7777)


def _take_back(path: Path, kept: Mapping[Path, Path], lost: list[str]) -> None:
    """The old file in its place again, or none where there was none; `lost` says what could not be put back."""
    if path not in kept:
        path.unlink(missing_ok=True)
        return
    try:
        kept[path].replace(path)
    except OSError:
        try:
            path.write_bytes(kept[path].read_bytes())
        except OSError:
            lost.append(str(kept[path]))


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
        raise ArgumentError(f"{shown(path)!r} cannot be a file ({problem.strerror}): choose another name.") from None


def _sweep(path: Path) -> None:
    """Remove what an interrupted write of the same file has left; a recent one may still be under way."""
    for kind in ("tmp", "old"):
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.{kind}"):
            try:
                about = left.lstat()
                made = about.st_mtime if kind == "tmp" else about.st_ctime  # a second name is as old as its file
                if not left.is_symlink() and time.time() - made > _STALE:
                    left.unlink()
            except OSError:
                pass
