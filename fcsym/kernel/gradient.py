"""The kernel of a list of derivatives: a function of weights, input and target that gives each of them as an array."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError
from fcsym.kernel.arguments import Argument, checked, goal, parameters
from fcsym.kernel.lower import lower
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.numpy import DIALECT, helpers
from fcsym.language.expression import Role

if TYPE_CHECKING:
    from fcsym.deriving.gradient import GradientRecord

__all__ = ["GradientKernel"]


class GradientKernel:
    """Derivatives of one network, or of many at once."""

    def __init__(self, record: GradientRecord) -> None:
        self.network = network = record.network
        read = {array for e in record.equations for array in e.operands}
        self._units = tuple(sorted({a for a in read if a.role is Role.UNIT}, key=lambda a: a.name))
        self.needs_target = network.target in read
        given = (*network.parameters, network.input, *([network.target] if self.needs_target else []), *self._units)
        results = [e.array for e in record.equations]
        made = lower("gradient", f"{record.heading}.", given, record.equations, results, False)
        text = function_text(made, DIALECT)
        self.source = "\n\n".join([*helpers(text), text])
        namespace: dict[str, Any] = {"np": np, "math": math}
        # The text was generated above from a derivation; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(self.source, f"<fcsym gradient {network}>", "exec"), namespace)
        self._function = namespace["gradient"]
        self.outputs = tuple(array.name for array in results)
        self._fields: Any = namedtuple("Gradients", self.outputs)  # type: ignore[misc]
        self._about = record.title

    def __repr__(self) -> str:
        return f"<kernel of derivatives: {self._about}>"

    def gradient(self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike | None = None) -> Any:
        """A named tuple with every quantity of the list, by its ASCII name: dE_dW1 (..., n_1, n_0), dE_dx (..., n_0).

        Of y the axis of the outputs comes first: dy_dW1 (..., n_L, n_1, n_0), dy_dx (..., n_L, n_0); in a mini-batch
        after that of the samples. Arguments and precision are those of `Kernel.step`; the target is needed where E is
        differentiated, and may be class labels where the loss takes them.
        Raises ArgumentError for a wrong number of arrays, wrong shapes, and complex or non-finite numbers.
        """
        network = self.network
        wanted = [*parameters(network, weights), Argument("x", x, network.lengths(network.input))]
        if self.needs_target:
            if target is None:
                raise ArgumentError("target is missing: what is differentiated depends on it.")
            wanted.append(Argument("target", goal(network, target, x), network.lengths(network.target)))
        arrays = checked(wanted)
        units = [np.eye(*network.shape(a), dtype=arrays[0].dtype) for a in self._units]
        with np.errstate(all="ignore"):  # what leaves the range is seen to be inf
            return self._fields(*self._function(*arrays, *units))
