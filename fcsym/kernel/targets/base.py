"""What a target is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fcsym.kernel.neutral import Module
from fcsym.kernel.rows import Row

__all__ = ["ArrayTarget", "ArrayWords", "Target"]


@dataclass(frozen=True, slots=True)
class ArrayWords:
    """What a Python file says of arrays whose shapes may differ from call to call."""

    imports: str
    there: str  # a function: an array of NumPy as one of the library
    compiled: str  # the function {name}, compiled anew for every shape
    single: str  # whether the self-test computes in single precision
    needs: str


class Target(Protocol):
    """One language that a module can be written in."""

    name: str  # what compile() and --target call it
    suffix: str  # of the file that export writes

    def source(self, module: Module) -> str:
        """The text that a kernel runs."""
        ...

    def files(self, module: Module, stem: str, rows: Sequence[Row]) -> Mapping[str, str]:
        """The files that stand alone, by name. `rows`: frozen rows of exact evaluation."""
        ...


@runtime_checkable
class ArrayTarget(Target, Protocol):
    """A target whose functions take arrays of any lengths."""

    words: ArrayWords

    def functions(self, module: Module) -> str:
        """The functions alone, `_init` and so on, with what they call."""
        ...
