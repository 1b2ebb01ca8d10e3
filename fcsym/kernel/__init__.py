"""Kernels: a derivation as a function of arrays.

    kernel = derivation.compile("numpy")
    after = kernel.step(weights, x, target, eta)
    after.W2_new, after.p, after.y_new

A derivation is lowered to the neutral form (`kernel.neutral`), which a target prints. The call checks its arguments,
then runs the generated source, which contains no loop over networks and no branch: leading axes broadcast.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.errors import ArgumentError, UndefinedContribution
from fcsym.kernel.arguments import Argument, checked, goal, mode, parameters, point, rate, remembered
from fcsym.kernel.gated import Gated, exact_gates
from fcsym.kernel.lower import in_numbers, lower_step, named, resting_on_p
from fcsym.kernel.said import say_shapes, shapes
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.numpy import DIALECT, helpers
from fcsym.values import exact_step, values_of

if TYPE_CHECKING:
    from fcsym.deriving.record import Record
    from fcsym.kernel.neutral import Function
    from fcsym.networks.network import Network

__all__ = ["Kernel", "of_objects", "refuse_undefined"]


class Kernel:
    """One training step, its increments and its compensation, for one network or many at once."""

    def __init__(
        self, derivation: Record, target: str = "numpy", written: tuple[str, Callable[..., Any]] | None = None,
        gates: str = "float",
    ) -> None:  # fmt: skip
        """`written`: the source and the function for a target other than `numpy`, which takes and returns the same.

        `gates`: "exact" for gates as exact numbers decide them (`fcsym.kernel.gated`).
        """
        self._list = derivation
        self.network = derivation.network
        self.order = derivation.order
        self.target = target
        made = lower_step(derivation)
        self.source, self._step = written or self._numpy(made)
        self.gated: Gated | None = None
        if exact_gates(gates):
            self._step = self.gated = Gated(made, named(in_numbers(derivation)), self.network.sizes, {})
        self.results = made.results
        self.outputs = tuple(array.name for array in made.results)
        self._marks = made.marks
        fields = namedtuple("Step", (*self.outputs, "undefined"))  # type: ignore[misc]
        self._fields: Any = say_shapes(fields, "training step", self._what)
        self._partly = _refusing(self._fields, resting_on_p(derivation), self.network)

    def _numpy(self, made: Function) -> tuple[str, Callable[..., Any]]:
        text = function_text(made, DIALECT, sizes=self.network.sizes)
        source = "\n\n".join([*helpers(text, [made], self.network.sizes), text])
        namespace: dict[str, Any] = {"np": np, "math": math}
        # The text was generated above from a derivation; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(source, f"<fcsym kernel {self.network}>", "exec"), namespace)
        return source, namespace["step"]

    @property
    def _what(self) -> str:
        return f"{self.network}, {self.order} order, target {self.target}"

    def __repr__(self) -> str:
        given = shapes((theta.name, self.network.lengths(theta)) for theta in self.network.parameters)
        return f"<kernel of one training step: {self._what}; weights {given}>"

    def step(
        self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, target: npt.ArrayLike,
        eta: npt.ArrayLike | None = None, undefined: str = "raise", memory: Sequence[npt.ArrayLike] | None = None,
    ) -> Any:  # fmt: skip
        """One step: a named tuple with every quantity of the derivation but P, by its ASCII name.

        `weights`: [W1, W2, ...], with biases [W1, b1, W2, b2, ...]; W_l (..., n_l, n_{l-1}), b_l (..., n_l),
        a shared one (...).
        `x`: (..., n_0). `target`: (..., n_L). `eta`: a number, or (...). Leading axes broadcast.
        In mini-batches `x` is (..., samples, n_0) and `target` (..., samples, n_L), and so is what depends on a sample.
        With the loss cross_entropy, `target` may be class labels, whole numbers from 0, one for each sample. Where the
        network begins with an embedding, `x` may be tokens, whole numbers from 0, (..., positions).
        `memory`: what the update rule carries, `network.memory` in its order; by default as before the first step. What
        it is after the step has the same names with `_new`. `eta` may be left out where the rule has one.
        The result is float32 when all arrays are, otherwise float64; what leaves its range is `inf` or `nan`.

        Where a last hidden unit with v^c = 0 changes, no p exists. The result's `undefined` is the mask of such units,
        (..., n_{L-1}); their p, r and the y_front of their network are `nan`, and the update, E and all else are as
        ever. Asking the result for p, r or y_front raises UndefinedContribution where a unit is marked; with
        undefined="nan" it gives the arrays with their `nan`, as going through the tuple does.

        Raises ArgumentError for a wrong number of arrays, wrong shapes, and complex or non-finite numbers.
        """
        marks = mode(undefined)
        network, widths = self.network, self.network.widths
        x = point(network, x, weights)
        arrays = checked(
            [
                *parameters(network, weights),
                *remembered(network, memory),
                Argument("x", x, network.lengths(network.input)),
                Argument("target", goal(network, target, x, not marks), network.lengths(network.target)),
                Argument("eta", rate(network, eta), ()),
            ]
        )
        with np.errstate(all="ignore"):  # a product that vanishes is 0, and what leaves the range is seen to be inf
            values = self._step(*arrays)
        if network.places:  # one p for all samples or positions, which is there or is not
            named = dict(zip(self.outputs, values, strict=True))
            lead = np.zeros(named["y"].shape[: -1 - len(network.places)], dtype=bool)
            values = (*values, np.isnan(named["p"]).any(axis=(-2, -1)) if "p" in named else lead)
        elif not self._marks:  # a network without hidden layer has nothing to compensate
            y = values[self.outputs.index("y")]
            values = (*values, np.zeros((*y.shape[:-1], widths[-2]), dtype=bool))
        return (self._partly if not marks and values[-1].any() else self._fields)(*values)

    def unchecked(self, arrays: Sequence[npt.NDArray[Any]]) -> tuple[Any, ...]:
        """The outputs of a step on arrays that are known to fit, in the order of its signature, for many steps on end.

        `arrays`: parameters, what the update rule carries, x, target, eta; nothing is looked at.
        """
        with np.errstate(all="ignore"):
            return self._step(*arrays)  # type: ignore[no-any-return]

    def exact(
        self, weights: Any, x: Any, target: Any, eta: Any = None, memory: Any = None
    ) -> Any:  # fmt: skip
        """One step for one network in exact numbers: the named tuple of `step`, without `undefined`.

        Arguments as for `step`, with no leading axes; numbers may be int, Fraction, Decimal, text such as "1/3", and
        floats, which mean the shortest decimal that gives them. The result's arrays have dtype object: fractions, balls
        (`fcsym.values.ball.Ball`) where a smooth function enters, and None where a quantity has no value. What the step
        gives is exact: it comes from the equations, not from the source of the kernel.
        Raises ArgumentError as `step` does.

        >>> import fcsym
        >>> k = fcsym.derive(fcsym.Network.parse("1-1")).compile()
        >>> k.exact([[["1/3"]]], [1], [1], "1/2").W1_new
        array([[Fraction(2, 3)]], dtype=object)
        """
        given = {
            "weights": weights,
            "x": point(self.network, x),
            "target": target,
            **({} if eta is None else {"eta": eta}),
        }
        if memory is not None:
            arrays = self.network.memory
            if not hasattr(memory, "__len__") or len(memory) != len(arrays):
                raise ArgumentError(f"memory is no list of {len(arrays)} arrays: {', '.join(a.name for a in arrays)}.")
            given |= {array.name: value for array, value in zip(arrays, memory, strict=True)}
        values = values_of(self.network, given)
        found = exact_step(self._list, values)
        fields = namedtuple("Exact", self.outputs)  # type: ignore[misc]
        return fields(*(of_objects(found[a.name], values.network.shape(a)) for a in self.results))


def of_objects(value: Any, shape: tuple[int, ...]) -> Any:
    """Nested tuples as an array of objects; a single one as it is."""
    if not shape:
        return value
    array = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        part = value
        for n in place:
            part = part[n]
        array[place] = part
    return array


def _refusing(fields: Any, names: Sequence[str], network: Network) -> Any:
    """The same named tuple, of which some fields raise UndefinedContribution when they are asked for."""

    def refusal(name: str) -> property:
        def get(step: Any) -> None:
            mask = np.asarray(step[-1])
            what = f"{name} is undefined, the rest of the step is there: "
            (refuse_dependent if network.places else refuse_undefined)(mask, network, what)

        return property(get, doc=f"{name}, which is undefined for some unit.")

    places = {fields._fields.index(name): name for name in names}

    def item(step: Any, at: Any) -> Any:
        if isinstance(at, int) and at % len(step) in places:
            return getattr(step, places[at % len(step)])
        return tuple.__getitem__(step, at)

    return type("Step", (fields,), {"__slots__": (), "__getitem__": item} | {name: refusal(name) for name in names})


def refuse_dependent(mask: npt.NDArray[Any], network: Network, what: str = "") -> None:
    """UndefinedContribution for the first network of a mask, (...), whose samples or positions leave dependent v^c."""
    if not np.any(mask):
        return
    number = tuple(int(n) for n in np.argwhere(mask)[0])
    raise UndefinedContribution(
        f"{what}the v^c of the {network.place}s{f' of network {number}' if number else ''} are linearly dependent, so "
        f"that one p for all of them need not exist: give at most {network.most_served} {network.place}s, with "
        'different live units, or pass undefined="nan".'
    )


def refuse_undefined(mask: npt.NDArray[Any], network: Network, what: str = "") -> None:
    """UndefinedContribution for the first unit of a mask, (..., n); nothing where no unit is marked."""
    if not np.any(mask):
        return
    place, layer = np.argwhere(mask)[0], len(network.layers) - 1
    unit, number = int(place[-1]) + 1, tuple(int(n) for n in place[:-1])
    at = f" of network {number}" if number else ""
    does = network.layers[layer - 1].activation.leaving_zero[0]
    raise UndefinedContribution(
        f"{what}unit h{unit} of layer {layer}{at} {does} at this step; it had v^c = 0 and changes, so no p exists: "
        'pass undefined="nan" to mark such units, or train the lower layers (schemes states, history, basis).'
    )
