"""Folders that results go to: made before the work, so that it is said at once where one cannot be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcsym.files import file_name, made_folder

__all__ = ["folder_for"]


@contextmanager
def folder_for(path: object, above: bool = True) -> Iterator[Path]:
    """The folder while something is done for it; what was made of it goes where that fails. See `made_folder`."""
    where = file_name(path)
    missing = [folder for folder in (where, *where.parents) if not os.path.exists(folder)]  # noqa: PTH110 - names that no system takes are none
    try:
        yield made_folder(where, above)
    except BaseException:
        for folder in missing:  # the innermost first; what has something in it stays
            with suppress(OSError):
                folder.rmdir()
        raise
