"""From a scheme to its kernel, by target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fcsym.errors import CompileError, shown
from fcsym.kernel.array_scheme import ArrayKernel
from fcsym.kernel.gated import exact_gates
from fcsym.kernel.native_scheme import native_kernel
from fcsym.kernel.pure import pure_kernel
from fcsym.kernel.targets.base import Target
from fcsym.kernel.targets.c_file import CTarget
from fcsym.kernel.targets.jax import JAX
from fcsym.kernel.targets.numpy import NumpyTarget
from fcsym.kernel.targets.torch import TORCH

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["TARGETS", "Way", "compile_scheme"]


class Way(NamedTuple):
    """What there is for a target."""

    target: Target  # what it is called, and how its files are written
    kernel: Callable[[SchemeRecord], Any]  # what runs here


_WAYS = (
    Way(NumpyTarget(), ArrayKernel),
    Way(CTarget(), native_kernel),
    *(Way(library, partial(pure_kernel, target=library)) for library in (JAX, TORCH)),
)
TARGETS: Mapping[str, Way] = {way.target.name: way for way in _WAYS}
"""Every target, in the order in which it is told of."""


def compile_scheme(scheme: SchemeRecord, target: str = "numpy", gates: str = "float") -> Any:
    """Scheme => its four functions as callables.

    `numpy`: arrays, checked. `c`: the same, built by the machine's compiler; without one, a warning says so and the
    NumPy kernel is returned. `jax`, `torch`: pure functions of that library's arrays.
    `gates`: "exact" for gates as exact numbers decide them, for NumPy alone (`fcsym.kernel.gated`).
    Raises CompileError for an unknown target, and where the library is not installed.
    """
    if target not in TARGETS:
        raise CompileError(f"The target {shown(target)!r} is not known: choose one of {', '.join(TARGETS)}.")
    if exact_gates(gates) and target != "numpy":
        raise CompileError(f'gates="exact" is for the target numpy, and not for {target}: leave one of them out.')
    return ArrayKernel(scheme, gates) if exact_gates(gates) else TARGETS[target].kernel(scheme)
