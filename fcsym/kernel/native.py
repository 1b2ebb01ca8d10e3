"""C source => functions of this process: built by the machine's compiler, and kept in the user's cache folder.

A library is found by a hash of its source, compiler and flags, and carries a hash of its own bytes at its end. It is
used only if that hash is right and the file is the user's own; anything else is rebuilt. A new library is built under a
name of its own and renamed into place, so that processes which build the same one at the same time do not meet.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, CompileError
from fcsym.files import write_bytes
from fcsym.machine.programs import run, workspace

__all__ = ["NOT_FINITE", "Call", "Library", "compiler", "load", "opened"]

_SEAL = b"fcsym1"
_SECONDS = 120.0  # for a compiler: ten times what the largest source takes
_FLAGS = (
    "-std=c99",
    "-O2",
    "-ftree-vectorize",
    "-march=native",
    "-fno-tree-slp-vectorize",  # it shuffles the numbers of a small network for a fifth of the time
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fPIC",
    "-shared",
    "-w",
)
_Array = npt.NDArray[Any]

NOT_FINITE = 4
"""The status of many steps whose inputs are not all finite: nothing was done."""

HEAD = 13  # places of a call_type before its arrays: see targets.c_native


def compiler() -> list[str] | None:
    """The machine's C compiler as the start of a command: $CC, cc, gcc or clang; None where there is none.

    Raises CompileError where $CC cannot be read.
    """
    try:
        wanted = shlex.split(os.environ.get("CC", ""))
    except ValueError:
        raise CompileError("CC has a quotation mark without its partner: set it to a compiler.") from None
    for command in [wanted, ["cc"], ["gcc"], ["clang"]]:
        if command and (path := shutil.which(command[0])):
            return [path, *command[1:]]
    return None


class Library:
    """A loaded library, for one precision."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path, self.dtype = path, dtype
        self._library = ctypes.CDLL(str(path))
        self.lanes = int(self._library.kernel_lane_count())

    def function(self, name: str) -> Any:
        """kernel_NAME: takes the address of a call, returns a status."""
        result = getattr(self._library, f"kernel_{name}")
        result.argtypes, result.restype = [ctypes.c_void_p], ctypes.c_int
        return result

    def address(self, name: str) -> int:
        """Where kernel_NAME is."""
        return int(ctypes.cast(getattr(self._library, f"kernel_{name}"), ctypes.c_void_p).value or 0)


def load(source: str, dtype: npt.DTypeLike) -> Library:
    """The library of a source text, from the cache or built now. Raises CompileError where that is not possible."""
    real = np.dtype(dtype)
    types = ("float", "int32_t") if real == np.float32 else ("double", "int64_t")
    made: Library = opened(source, lambda path: Library(path, real), f"-DREAL={types[0]}", f"-DINTEGER={types[1]}")
    return made


def opened(source: str, open_at: Callable[[Path], Any], *more: str) -> Any:
    """What `open_at` makes of a library, from the cache or built now; errors as for `load`. `more`: flags."""
    command = compiler()
    if command is None:
        raise CompileError("No C compiler was found (looked for $CC, cc, gcc and clang): install one, or set CC.")
    flags = (*_FLAGS, *more)
    text = "\0".join([source, *command, _version(tuple(command)), *flags, _machine()])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    folder = _folder()
    path = folder / f"{key}.so"
    try:
        if not _sound(path):
            _build(source, [*command, *flags], path)
        return open_at(path)
    except (ArgumentError, OSError) as problem:
        raise CompileError(f"The library {path} cannot be loaded ({problem}): remove it, or set CC.") from None


@cache
def _version(command: tuple[str, ...]) -> str:
    try:
        done = run([*command, "--version"], _SECONDS)
    except OSError:
        return ""
    if done.status is None:
        raise CompileError(f"{command[0]} did not say its version within {_SECONDS:g} s: set CC to another compiler.")
    return done.out.partition("\n")[0]


@cache
def _machine() -> str:
    """What -march=native depends on: a cache folder may be shared between machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return platform.machine() + next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _folder() -> Path:
    """The user's cache folder for libraries; a folder for this process alone where it cannot be used."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "fcsym" / "native"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
        mine = about.st_uid == os.getuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if mine and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return _private()


@cache
def _private() -> Path:
    return Path(tempfile.mkdtemp(prefix="fcsym-"))


def _sound(path: Path) -> bool:
    """Whether a library is the user's own, and as it was when it was built."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & stat.S_IWOTH:
            return False
        content = path.read_bytes()
    except OSError:
        return False
    body, seal = content[: -len(_SEAL) - 32], content[-len(_SEAL) - 32 :]
    return seal == _seal(path, body)


def _seal(path: Path, body: bytes) -> bytes:
    """What stands at the end of a library: that it is whole, and the one of this name."""
    return _SEAL + hashlib.sha256(path.stem.encode() + body).digest()


def _build(source: str, command: list[str], path: Path) -> None:
    with workspace(path.parent) as folder:
        text, made = folder / "kernel.c", folder / "kernel.so"
        text.write_text(source, encoding="utf-8")
        try:
            done = run([*command, "-o", str(made), str(text), "-lm"], _SECONDS)
            reason = f"stopped after {_SECONDS:g} s" if done.status is None else ""
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
        if reason:
            raise CompileError(f"{command[0]} did not finish ({reason}): set CC to another compiler.")
        if done.status or not made.is_file():
            said = next((line for line in done.err.splitlines() if "error" in line), done.err[:200]).strip()
            raise CompileError(f"{command[0]} refused the generated source ({said[:200]}): set CC to another compiler.")
        body = made.read_bytes()
    if path.is_symlink() or not os.access(path, os.W_OK):  # in the way, and not ours to write to
        path.unlink(missing_ok=True)
    write_bytes(path, body + _seal(path, body), asked=False)


class Call:
    """A call_type: where the arrays of a call are, and how far it is from one network to the next."""

    def __init__(self, arrays: int) -> None:
        self.places: npt.NDArray[np.intp] = np.zeros(HEAD + 2 * arrays, np.intp)
        self.arrays = arrays
        self.address = self.places.ctypes.data
        self.held: list[Any] = []  # what must live as long as the call

    _NAMES = ("networks", "steps", "rows", "x_network", "x_step", "target_network", "target_step", "eta_network",
              "x", "target", "eta", "work", "error")  # fmt: skip

    def set(self, **values: int) -> None:
        """Counts and distances, in numbers."""
        for name, value in values.items():
            self.places[self._NAMES.index(name)] = value

    def between(self, steps: int, x: int, target: int) -> None:
        """How many steps, and where their inputs are: what differs from one run of a bound network to the next."""
        self.places[1], self.places[8], self.places[9] = steps, x, target

    def point(self, **arrays: _Array) -> None:
        """Where x, target, eta and work are."""
        for name, array in arrays.items():
            self.places[self._NAMES.index(name)] = array.ctypes.data
            self.held.append(array)

    def place(self, number: int, array: _Array, distance: int) -> None:
        """Where array `number` is, and its distance from one network to the next."""
        self.places[len(self._NAMES) + number] = array.ctypes.data
        self.places[len(self._NAMES) + self.arrays + number] = distance
        self.held.append(array)
