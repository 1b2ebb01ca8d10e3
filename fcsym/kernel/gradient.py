"""The kernel of a list of derivatives: a function of weights, input and target that gives each of them as an array."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError
from fcsym.kernel import neutral as n
from fcsym.kernel.arguments import Argument, checked, goal, mode, parameters, point
from fcsym.kernel.lower import lower
from fcsym.kernel.native import load
from fcsym.kernel.native_scheme import aligned, many
from fcsym.kernel.pure import installed, library
from fcsym.kernel.targets import jax, numpy, torch
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c_native import function_text as native_text
from fcsym.kernel.targets.c_native import work_of
from fcsym.kernel.targets.pure_file import PureLanguage
from fcsym.language.expression import Role
from fcsym.networks.network import Network
from fcsym.networks.symbols import direction_of

if TYPE_CHECKING:
    from fcsym.deriving.gradient import GradientRecord

__all__ = ["TARGETS", "GradientKernel", "lowered"]


class GradientKernel:
    """Derivatives of one network, or of many at once.

    `source` is its text: for JAX and PyTorch a pure function of the library's own arrays, for jit, vmap and the like.
    JAX computes in float32 unless its x64 is switched on.
    """

    def __init__(self, record: GradientRecord, target: str = "numpy") -> None:
        self.network, self.target = record.network, target
        self.function = made = lowered(record)
        self.directions = tuple(array for array in made.given if array.role is Role.DIRECTION)
        self._units = tuple(array for array in made.given if array.role is Role.UNIT)
        self.needs_target = record.network.target in made.given
        self.results = made.results
        self.outputs = tuple(array.name for array in made.results)
        self._fields: Any = namedtuple("Gradients", self.outputs)  # type: ignore[misc]
        self._about = record.title
        self.source, self._function = TARGETS[target](made, record.network)

    def __repr__(self) -> str:
        where = "" if self.target == "numpy" else f", target {self.target}"
        return f"<kernel of derivatives: {self._about}{where}>"

    def gradient(
        self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike | None = None,
        undefined: str = "raise", *, along: Any = None,
    ) -> Any:  # fmt: skip
        """A named tuple with every quantity of the list, by its ASCII name: dE_dW1 (..., n_1, n_0), dE_dx (..., n_0).

        Of y the axis of the outputs comes first: dy_dW1 (..., n_L, n_1, n_0), dy_dx (..., n_L, n_0); in a mini-batch
        after that of the samples. Of a second derivative the axes of what was first differentiated by come first:
        d2E_dW1_dW2 (..., n_1, n_0, n_2, n_1), and d2E_dT_dW1 (..., n_1, n_0) has those of W1 alone. `along`: the
        directions T, one array for each name that the derivative is taken along, in that order or by these names.
        Arguments and precision are those of `Kernel.step`; the target is needed where E is differentiated, and may be
        class labels where the loss takes them. With undefined="nan" a target that is no probability is taken all the
        same, where the loss needs one.
        Raises ArgumentError for a wrong number of arrays, wrong shapes, and complex or non-finite numbers.
        """
        network, marks = self.network, mode(undefined)
        x = point(network, x, weights)
        wanted = [*parameters(network, weights), Argument("x", x, network.lengths(network.input))]
        if self.needs_target:
            if target is None:
                raise ArgumentError("target is missing: what is differentiated depends on it.")
            wanted.append(Argument("target", goal(network, target, x, not marks), network.lengths(network.target)))
        wanted += self._along(along)
        arrays = checked(wanted)
        units = [np.eye(network.shape(a)[0], dtype=arrays[0].dtype) for a in self._units]
        lead = np.broadcast_shapes(
            *(array.shape[: array.ndim - len(given.shape)] for array, given in zip(arrays, wanted, strict=True))
        )
        sizes = dict(network.sizes)
        if network.batch:
            sizes[network.input.axes[0]] = np.shape(x)[-len(network.input.axes)]
        with np.errstate(all="ignore"):  # what leaves the range is seen to be inf
            values = self._function(*arrays, *units)
        shapes = ((*lead, *(sizes[axis] for axis in array.axes)) for array in self.results)
        pairs = zip(map(np.asarray, values), shapes, strict=True)
        # what is the same for all, as a unit matrix is, has their axes too
        return self._fields(*(v if v.shape == shape else np.broadcast_to(v, shape) for v, shape in pairs))

    def _along(self, along: Any) -> list[Argument]:
        """The directions as arguments; ArgumentError where they are none, or not those that are needed."""
        names = [array.of.name for array in self.directions if array.of is not None]
        if not names and along is None:
            return []
        given = along
        if isinstance(along, Mapping):
            given = None if set(along) != set(names) else [along[name] for name in names]
        if not names or given is None or not hasattr(given, "__len__") or len(given) != len(names):
            said = ", ".join(names) or "none"
            raise ArgumentError(f"along must have a direction for each of {said}: give arrays of their shapes.")
        pairs = zip(self.directions, given, strict=True)
        return [Argument(array.name, value, self.network.lengths(array)) for array, value in pairs]


def lowered(record: GradientRecord) -> n.Function:
    """The list as a function of weights, x, the target, directions and unit matrices, as far as it reads them."""
    network = record.network
    read = {array for e in record.equations for array in e.operands}
    target = [network.target] if network.target in read else []
    directions = [a for a in map(direction_of, (*network.parameters, network.input)) if a in read]
    units = sorted({a for a in read if a.role is Role.UNIT}, key=lambda a: a.name)
    given = (*network.parameters, network.input, *target, *directions, *units)
    results = [e.array for e in record.equations]
    return lower("gradient", f"{record.heading}.", given, record.equations, results, False)


Way: TypeAlias = "Callable[[n.Function, Network], tuple[str, Callable[..., Any]]]"
"""A function => its text, and what runs it on checked arrays of NumPy."""


def _numpy(made: n.Function, network: Network) -> tuple[str, Callable[..., Any]]:
    text = function_text(made, numpy.DIALECT, sizes=network.sizes)
    source = "\n\n".join([*numpy.helpers(text, [made], network.sizes), text])
    return source, _read(source, {"np": np, "math": math})


def _read(source: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    # The text was generated from a derivation; array names are fcsym's own (W1, x), never a reader's.
    exec(compile(source, "<fcsym gradient>", "exec"), namespace)
    made: Callable[..., Any] = namespace["gradient"]
    return made


def _pure(
    target: str, language: PureLanguage, made: n.Function, network: Network
) -> tuple[str, Callable[..., Any]]:  # fmt: skip
    installed(target)
    source = f"{language.imports}\n\n{function_text(made, language.dialect, sizes=network.sizes)}"
    function, own = _read(source, {}), library(target)[1]

    def run(*arrays: Any) -> list[Any]:
        given: list[Any] = []
        for array in arrays:
            given.append(own(array, given[0] if given else None))
        return [np.asarray(value, arrays[0].dtype) for value in function(*given)]

    return source, run


def _native(made: n.Function, network: Network) -> tuple[str, Callable[..., Any]]:
    every = made.every_axis
    module = n.Module(
        title=made.title, scheme="", order="simultaneous", network=str(network), functions=(made,), state=(),
        weights=network.parameters, constants={}, sizes={a: network.sizes[a] for a in every if not a.open},
        single_input=False, first_bias=False, assumptions=(), digest="",
    )  # fmt: skip
    source = native_text(module)
    work = work_of(module)

    def memory(rows: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        return aligned((work.at(rows) + 1,), dtype)

    def run(*arrays: Any) -> list[Any]:
        return many(load(source, arrays[0].dtype), module, made.name, arrays, memory)[0]

    return source, run


TARGETS: Mapping[str, Way] = {
    "numpy": _numpy,
    "c": _native,
    "jax": partial(_pure, "jax", jax.LANGUAGE),
    "torch": partial(_pure, "torch", torch.LANGUAGE),
}
"""What derivatives can be compiled for."""
