"""What a target is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from fcsym.kernel.neutral import Module
from fcsym.kernel.rows import Row

__all__ = ["Target"]


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
