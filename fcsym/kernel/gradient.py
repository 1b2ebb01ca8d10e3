"""The kernel of a list of derivatives: a function of weights, input and target that gives each of them as an array."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError
from fcsym.kernel.arguments import Argument, checked, goal, mode, parameters, point
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
        text = function_text(made, DIALECT, sizes=network.sizes)
        self.source = "\n\n".join([*helpers(text), text])
        namespace: dict[str, Any] = {"np": np, "math": math}
        # The text was generated above from a derivation; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(self.source, f"<fcsym gradient {network}>", "exec"), namespace)
        self._function = namespace["gradient"]
        self.results = tuple(results)
        self.outputs = tuple(array.name for array in results)
        self._fields: Any = namedtuple("Gradients", self.outputs)  # type: ignore[misc]
        self._about = record.title

    def __repr__(self) -> str:
        return f"<kernel of derivatives: {self._about}>"

    def gradient(
        self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike | None = None,
        undefined: str = "raise",
    ) -> Any:  # fmt: skip
        """A named tuple with every quantity of the list, by its ASCII name: dE_dW1 (..., n_1, n_0), dE_dx (..., n_0).

        Of y the axis of the outputs comes first: dy_dW1 (..., n_L, n_1, n_0), dy_dx (..., n_L, n_0); in a mini-batch
        after that of the samples. Arguments and precision are those of `Kernel.step`; the target is needed where E is
        differentiated, and may be class labels where the loss takes them. With undefined="nan" a target that is no
        probability is taken all the same, where the loss needs one.
        Raises ArgumentError for a wrong number of arrays, wrong shapes, and complex or non-finite numbers.
        """
        network, marks = self.network, mode(undefined)
        x = point(network, x, weights)
        wanted = [*parameters(network, weights), Argument("x", x, network.lengths(network.input))]
        if self.needs_target:
            if target is None:
                raise ArgumentError("target is missing: what is differentiated depends on it.")
            wanted.append(Argument("target", goal(network, target, x, not marks), network.lengths(network.target)))
        arrays = checked(wanted)
        units = [np.eye(network.shape(a)[0], dtype=arrays[0].dtype) for a in self._units]
        with np.errstate(all="ignore"):  # what leaves the range is seen to be inf
            values = self._function(*arrays, *units)
        lead = np.broadcast_shapes(
            *(array.shape[: array.ndim - len(given.shape)] for array, given in zip(arrays, wanted, strict=True))
        )
        sizes = dict(network.sizes)
        if network.batch:
            sizes[network.input.axes[0]] = np.shape(x)[-len(network.input.axes)]
        shapes = ((*lead, *(sizes[axis] for axis in array.axes)) for array in self.results)
        pairs = zip(values, shapes, strict=True)  # what is the same for all, as a unit matrix is, has their axes too
        return self._fields(*(v if np.shape(v) == shape else np.broadcast_to(v, shape) for v, shape in pairs))
