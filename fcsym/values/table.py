"""Files with values: the names and the numbers in them, as they are written."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fcsym.errors import ArgumentError, MissingTool, shown
from fcsym.language.tables import json_table, toml_table

__all__ = ["read_table"]

_MAX_FILE = 50_000_000  # bytes
_ENDING = ".npy"


def read_table(where: Path, wanted: str = "a file with values, .toml, .json, .npz or .safetensors") -> dict[str, Any]:
    """The names and numbers in a file, with decimals as they are written. `wanted`: said where there is no file."""
    try:
        if not (where.is_file() or where.is_fifo()):
            what = "no file" if where.exists() else "not there"
            raise ArgumentError(f"{where} is {what}: give {wanted}.")
        if where.stat().st_size > _MAX_FILE:
            raise _too_large(where)
        match where.suffix.lower():
            case ".toml":
                return toml_table(_content(where))
            case ".json":
                read = json_table(_content(where))
                if not isinstance(read, dict):
                    raise ArgumentError(f'{where} holds no names: write an object such as {{"x": [1, 2]}}.')
                return read
            case ".npz":
                return _npz(where)
            case ".safetensors":
                return _safetensors(where)
    except (OSError, UnicodeDecodeError) as problem:
        raise ArgumentError(f"{where} cannot be read ({problem}): give a readable file in UTF-8.") from None
    except ValueError as problem:
        if isinstance(problem, ArgumentError):
            raise
        raise ArgumentError(f"{where} is not valid: {problem}; mend it there.") from None
    raise ArgumentError(f"{where} is of an unknown kind: values are read from .toml, .json, .npz and .safetensors.")


def _content(where: Path) -> bytes:
    """What is in a file, or comes out of a pipe, whose length nobody knows."""
    with where.open("rb") as stream:
        text = stream.read(_MAX_FILE + 1)
    if len(text) > _MAX_FILE:
        raise _too_large(where)
    return text


def _too_large(where: Path) -> ArgumentError:
    return ArgumentError(f"{where} is larger than {_MAX_FILE} bytes: take the first few samples.")


@dataclass(frozen=True)
class _Stored:
    """An array of an .npz file, of which only the header has been read."""

    where: Path
    name: str  # in the archive
    shape: tuple[int, ...]
    dtype: Any

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    def __str__(self) -> str:
        return f"an array of the shape {self.shape}"

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Its numbers, read."""
        import numpy as np

        with _readable(self.where), zipfile.ZipFile(self.where) as archive, archive.open(self.name) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False), dtype)


def _npz(where: Path) -> dict[str, Any]:
    """The arrays by name, with their shapes: what does not fit is refused before its numbers are read."""
    found: dict[str, Any] = {}
    with _readable(where), zipfile.ZipFile(where) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > _MAX_FILE:
            raise ArgumentError(f"{where} holds {size} bytes and {_MAX_FILE} are read: take the first few samples.")
        for member in members:
            name = member.filename.removesuffix(_ENDING)
            with archive.open(member) as stream:
                shape, _, dtype = _header(stream)
            if name in found:
                raise ValueError(f"it has {shown(name)!r} twice")
            if dtype.hasobject:
                raise ArgumentError(f"{where} has objects of Python in {shown(name)}: give it numbers.")
            if prod(shape) * dtype.itemsize > size:
                raise ValueError(f"{shown(name)} is cut off")
            found[name] = _Stored(where, member.filename, shape, dtype)
    return found


def _header(stream: Any) -> Any:
    """(shape, order, dtype) of an array in the format of NumPy."""
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        return (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
    except Exception:  # whatever the text of a header may be
        raise ValueError("an array in it has no valid header") from None


@contextmanager
def _readable(where: Path) -> Iterator[None]:
    """What is wrong with an archive, its compression, its checksums or the arrays in it is a sentence."""
    try:
        yield
    except (OSError, MemoryError, ArgumentError):
        raise
    except Exception as problem:
        raise ArgumentError(f"{where} is no .npz file ({shown(problem, 80)}): write it with numpy.savez.") from None


def _safetensors(where: Path) -> dict[str, Any]:
    try:
        from safetensors.numpy import load_file  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise MissingTool(
            "Reading .safetensors needs the package of that name: pip install 'fcsym[safetensors]'."
        ) from None
    try:
        return dict(load_file(where))
    except Exception as problem:  # a type of the package's own, made in Rust
        raise ArgumentError(
            f"{where} is no .safetensors file ({shown(problem, 80)}): write it with safetensors."
        ) from None
