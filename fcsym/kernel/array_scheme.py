"""Schemes compiled to NumPy: one network pinned as single numbers, and many networks in a layout of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fcsym.errors import CompileError
from fcsym.kernel.batch import ArrayBatch, Batch, TileBatch
from fcsym.kernel.bound import BoundNumbers, bound_arrays
from fcsym.kernel.scheme import SchemeKernel

__all__ = ["ArrayKernel"]


class ArrayKernel(SchemeKernel):
    """A scheme's four functions over NumPy arrays, for one network or many at once."""

    def bind(
        self, state: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike, eta: npt.ArrayLike
    ) -> BoundNumbers:
        """One network pinned in memory, for the least time per call: `bound.step()`, `bound.set(x=...)`, `bound.state`.

        A step raises UndefinedContribution or GateEvent, and does not look for numbers that are not finite; reading
        `bound.state` does. Errors otherwise as for `step`; ArgumentError for more than one network.
        """
        self._refuse_gated("bound")
        arrays = self._checked(state, False, x=x, target=target, eta=eta)
        self._same_input(arrays[: len(self.scheme.state)], arrays[-3])
        if self.module.samples:
            raise CompileError(f"{self.scheme.name} in mini-batches has no bound form: use step or run.")
        bound_arrays(self, arrays)
        if self._stored:
            raise CompileError(
                f"{self.scheme.name} grows with its inputs and has no form in single numbers: "
                'compile("c") binds it where there is a compiler, and step works everywhere.'
            )
        return BoundNumbers(self, arrays)

    def batch(self, states: Any, threads: int = 1) -> Batch:
        """Many networks in a layout of their own, packed once: `batch.step(x, target, eta)`, `.run`, `.state`.

        `states`: the named tuple of arrays (N, ...), or a sequence of states. `threads`: how many cores to use.
        Raises ArgumentError as `step` does, for no networks, and for `history`, which grows with its inputs.
        """
        self._refuse_gated("batched")
        return (TileBatch if "_step_tile" in self._namespace else ArrayBatch)(self, states, threads)

    def _refuse_gated(self, form: str) -> None:
        """CompileError where gates are exact, which only `init`, `step`, `run`, `output` and `expand` have."""
        if self.gated:
            raise CompileError(f'A kernel with gates="exact" has no {form} form: use step or run.')
