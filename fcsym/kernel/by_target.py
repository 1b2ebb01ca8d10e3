"""From a scheme to its kernel, by target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcsym.errors import CompileError, shown
from fcsym.kernel.array_scheme import ArrayKernel
from fcsym.kernel.gated import exact_gates
from fcsym.kernel.native_scheme import native_kernel
from fcsym.kernel.pure import pure_kernel

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["TARGETS", "compile_scheme"]

TARGETS = ("numpy", "c", "jax", "torch")


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
    if target == "c":
        return native_kernel(scheme)
    if target != "numpy":
        return pure_kernel(scheme, target)
    return ArrayKernel(scheme, gates)
