"""Kernels: a derivation as a function of arrays.

    kernel = derivation.compile("numpy")
    after = kernel.step(weights, x, target, eta)
    after.W2_new, after.p, after.y_new

A target is a module with a function `source(derivation) -> Program`. The call checks its arguments, then runs the
generated source, which contains no loop over networks and no branch: leading axes broadcast.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, CompileError, UndefinedContribution
from fcsym.kernel.numpy_source import Program, program

if TYPE_CHECKING:
    from fcsym.derivation import Derivation

__all__ = ["Kernel", "compile_step"]

_TARGETS = {"numpy": program}


def compile_step(derivation: Derivation, target: str = "numpy") -> Kernel:
    """Derivation => the step as a callable. Raises CompileError for an unknown target."""
    if target not in _TARGETS:
        raise CompileError(f"The target {str(target)[:40]!r} is not known: choose one of {', '.join(_TARGETS)}.")
    return Kernel(derivation, _TARGETS[target](derivation))


class Kernel:
    """One training step, its increments and its compensation, for one network or many at once."""

    def __init__(self, derivation: Derivation, made: Program) -> None:
        self.network = derivation.network
        self.order = derivation.order
        self.source = made.source
        self.outputs = made.outputs
        self._fields: Any = namedtuple("Step", (*made.outputs, "undefined"))  # type: ignore[misc]
        namespace: dict[str, Any] = {"np": np}
        # The text was generated above from a derivation; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(self.source, f"<fcsym kernel {self.network}>", "exec"), namespace)
        self._step = namespace["step"]

    def step(
        self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike, eta: npt.ArrayLike,
        undefined: str = "raise",
    ) -> Any:  # fmt: skip
        """One step: a named tuple with every quantity of the derivation but P, by its ASCII name.

        `weights`: [W1, W2, ...], with biases [W1, b1, W2, b2, ...]; W_l (..., n_l, n_{l-1}), b_l (..., n_l).
        `x`: (..., n_0). `target`: (..., n_L). `eta`: a number, or (...). Leading axes broadcast.
        The result is float32 when all arrays are, otherwise float64. `undefined`, the mask of last hidden units without
        a compensation, has shape (..., n_{L-1}).

        Raises ArgumentError for a wrong number of arrays, wrong shapes, and complex or non-finite numbers;
        UndefinedContribution where a unit with v^c = 0 changes, unless undefined="nan", which makes its p `nan`.
        """
        if undefined not in ("raise", "nan"):
            raise ArgumentError(f"undefined is {str(undefined)[:40]!r}: choose raise or nan.")
        arrays = self._checked(weights, x, target, eta)
        with np.errstate(under="ignore"):  # a product that vanishes is 0; that is no fault of anyone's
            result = self._fields(*self._step(*arrays))
        if undefined == "raise" and np.any(result.undefined):
            place = np.argwhere(result.undefined)[0]
            unit, network = int(place[-1]) + 1, tuple(int(n) for n in place[:-1])
            at = f" of network {network}" if network else ""
            raise UndefinedContribution(
                f"Unit {unit} of layer {len(self.network.layers) - 1}{at} has v^c = 0 and changes: no p exists; "
                'pass undefined="nan" to mark such units, or update the lower layers.'
            )
        return result

    def _checked(
        self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike, eta: npt.ArrayLike
    ) -> list[npt.NDArray[Any]]:
        parameters = self.network.parameters
        if not hasattr(weights, "__len__") or len(weights) != len(parameters):
            names = ", ".join(array.name for array in parameters)
            count = len(weights) if hasattr(weights, "__len__") else "no"
            raise ArgumentError(f"weights has {count} arrays and {self.network} needs {len(parameters)}: {names}.")
        widths = self.network.widths
        wanted = [(array.name, self.network.shape(array)) for array in parameters]
        wanted += [("x", widths[:1]), ("target", widths[-1:]), ("eta", ())]
        given = [_real(value, name) for value, (name, _) in zip((*weights, x, target, eta), wanted, strict=True)]
        for array, (name, shape) in zip(given, wanted, strict=True):
            if len(shape) > array.ndim or array.shape[array.ndim - len(shape) :] != shape:
                expected = ", ".join(("...", *map(str, shape)))
                raise ArgumentError(f"{name} has shape {array.shape}: it must be ({expected}).")
        leads = [array.shape[: array.ndim - len(shape)] for array, (_, shape) in zip(given, wanted, strict=True)]
        try:
            np.broadcast_shapes(*leads)
        except ValueError:
            pairs = ", ".join(f"{name} {lead}" for (name, _), lead in zip(wanted, leads, strict=True) if lead)
            raise ArgumentError(f"The leading axes do not broadcast ({pairs}): make them equal or 1.") from None
        single = all(array.dtype == np.float32 for array in given[:-1])
        return [array.astype(np.float32 if single else np.float64, copy=False) for array in given]


def _real(value: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ArgumentError(f"{name} is not rectangular: its rows must have equal lengths.") from None
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"{name} has dtype {array.dtype}: give real numbers.")
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} contains numbers that are not finite: give finite ones.")
    return array
