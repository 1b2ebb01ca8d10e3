"""Folders that results go to: made before the work, so that it is said at once where one cannot be made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcsym.errors import ArgumentError
from fcsym.files import file_name

__all__ = ["folder_for"]


def made(path: object) -> Path:
    """The folder, and those above it, made where they are not there; ArgumentError where that is not possible."""
    where = file_name(path)
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ArgumentError(f"The folder {where} cannot be made ({problem.strerror}): choose another.") from None
    return where


@contextmanager
def folder_for(path: object, make: Callable[[Path], Path] = made) -> Iterator[Path]:
    """The folder while something is done for it; what was made of it goes where that fails."""
    where = file_name(path)
    missing = [folder for folder in (where, *where.parents) if not os.path.exists(folder)]  # noqa: PTH110 - names that no system takes are none
    try:
        yield make(where)
    except BaseException:
        for folder in missing:  # the innermost first; what has something in it stays
            with suppress(OSError):
                folder.rmdir()
        raise
