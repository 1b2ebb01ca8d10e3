"""Training on a closed state in NumPy, C, JAX or PyTorch, with the arguments that schemes have.

k = fcsym.scheme(net, "collapsed").compile("c")
state = k.init(weights, X)                   # X: (m, n_0), or (n_0,) for one input
state = k.step(state, X, targets, eta)       # or on one of the inputs, k.step(state, X[1], targets[1], eta)
k.output(state, X), k.expand(state, weights, X), state.events

A state is never changed: every step gives a new one. Between gate events a step is the compiled function of
`gates_held` on columns (`columns`), and nothing in it is as long as a layer that is summed over is wide; after it the
columns say which units have left their lines, and these are put on their new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.events import Event
from fcsym.collapsing.given import checked_inputs, checked_rate, checked_weights
from fcsym.collapsing.moving import here, moved, passed
from fcsym.collapsing.state import CollapsedState, LeftRange, ManyStates, NetworkRun, begin
from fcsym.errors import ArgumentError, CompileError, Diverged, shown
from fcsym.kernel.arguments import as_array, goal, mode, parameters
from fcsym.kernel.arguments import rate as checked_rates
from fcsym.kernel.by_target import TARGETS
from fcsym.language.equation import Order
from fcsym.networks.losses import needs_of
from fcsym.networks.network import Network

__all__ = ["CollapsedKernel", "CollapsedState", "ManyStates", "stepped"]

_Values = npt.NDArray[Any]


class CollapsedKernel:
    """init, step, output and expand over a state that is never changed: every step gives a new one."""

    def __init__(
        self, network: Network, order: Order, contracted: Any, target: str = "numpy", inputs: int | None = None
    ) -> None:
        """`contracted`: the layers to sum over, or a function of the number of inputs that gives them."""
        if target not in TARGETS:
            raise CompileError(f"The target {shown(target)!r} is not known: choose one of {', '.join(TARGETS)}.")
        self.network, self.order, self.target, self._inputs = network, order, target, inputs
        self._contracted: Callable[[int], tuple[int, ...]] = (
            contracted if callable(contracted) else lambda _: contracted
        )
        if target in ("jax", "torch"):
            from fcsym.kernel.pure import installed

            installed(target)

    def __repr__(self) -> str:
        return f"<kernel: collapsed of {self.network}, {self.order} order, target {self.target}>"

    # ------------------------------------------------------------------------------------------ the four functions

    def init(self, weights: Sequence[npt.ArrayLike], x: npt.ArrayLike, undefined: str = "raise") -> Any:
        """Weights and the held inputs, (m, n_0), or (n_0,) for one => the state.

        `weights`: [W1, b1, W2, ...]. float32 where all of them and `x` are, otherwise float64. With leading axes there
        are as many networks, trained one by one; x is then (..., m, n_0), or (..., n_0) for one input each.
        `undefined`: as for other schemes: with "nan", a network that diverges is nan from that step on. Raises
        ArgumentError for arrays that do not fit.
        """
        mode(undefined)
        given = [as_array(a.name, a.value) for a in parameters(self.network, weights)]
        rows = as_array("x", x)
        lead = _lead(self.network, given)
        if lead:
            tail = 2 if self.network.batch or rows.ndim > len(lead) + 1 else 1
            each = [_spread(a, lead, len(t.axes)) for a, t in zip(given, self.network.parameters, strict=True)]
            points = _spread(rows, lead, tail)
            return ManyStates.of([self.init([a[n] for a in each], points[n]) for n in range(len(points))], lead)
        single = rows.ndim == 1
        count = 1 if single else len(rows)
        if rows.ndim not in (1, 2) or not count or (self._inputs not in (None, count)):
            wanted = "(m, n_0), or (n_0,) for one" if self._inputs is None else f"({self._inputs}, n_0)"
            raise ArgumentError(f"x has the shape {rows.shape}: give the held inputs, {wanted}.")
        dtype = np.float32 if all(a.dtype == np.float32 for a in (*given, rows)) else np.float64
        network = self.network.training(self.network.rule, self.network.batch or "sum", count)
        arrays = [a.astype(dtype, copy=False) for a in checked_weights(network, weights)]
        points = checked_inputs(network, np.atleast_2d(rows)).astype(dtype, copy=False)
        contracted = tuple(sorted(self._contracted(count)))
        return begin(network, self.order, contracted, self.target, points, single, arrays, dtype)

    def step(
        self, state: Any, x: npt.ArrayLike | None, target: npt.ArrayLike, eta: Any = None, undefined: str = "raise"
    ) -> Any:
        """The state after a step on all held inputs (`x` as in `init`, or None), on some, or on one of them.

        `target`: (m, n_L), or (n_L,) for one input; class labels where the loss takes them. `eta`: a number; it may be
        left out where the rule has one. Raises ArgumentError for an input that is not held and for what does not fit,
        Diverged where the state is not finite any more.
        """
        marks = mode(undefined)
        if isinstance(state, ManyStates):
            return self._each(state, x, target, eta, undefined)
        run = state.run
        places, rate = _places(run, x), checked_rate(run.network, eta)
        if isinstance(state, LeftRange):
            return state
        try:
            return stepped(state, places, target, rate, run.single or (x is not None and np.ndim(x) == 1), not marks)
        except Diverged:
            if marks:
                return LeftRange(state)
            raise

    def run(self, state: Any, xs: Sequence[Any], targets: Sequence[npt.ArrayLike], eta: Any = None) -> Any:
        """The state after a step for each of `xs` and `targets`; an x may be None. Errors as for `step`."""
        for x, target in zip(xs, targets, strict=True):
            state = self.step(state, x, target, eta)
        return state

    def output(self, state: Any, x: npt.ArrayLike | None, undefined: str = "raise") -> _Values:
        """y on held inputs, or on all where `x` is None. Raises ArgumentError for an input that is not held."""
        mode(undefined)
        if isinstance(state, ManyStates):
            points = _points(state, x)
            made = np.stack([self.output(one, point) for one, point in zip(state, points, strict=True)])
            return made.reshape(*state.lead, *made.shape[1:])
        places = _places(state.run, x)
        y = np.atleast_2d(state.output) if isinstance(state, LeftRange) else here(passed(state)[0])
        if state.run.single or (x is not None and np.ndim(x) == 1):
            return np.asarray(y[0 if places is None else places[0]])
        return np.asarray(y if places is None else y[places])

    def expand(
        self, state: Any, weights: Sequence[npt.ArrayLike] = (), x: npt.ArrayLike | None = None
    ) -> list[_Values]:
        """The weights that backpropagation has; `weights` and `x` are those of `init`, which the state has, too."""
        if isinstance(state, ManyStates):
            every = zip(*(self.expand(one) for one in state), strict=True)
            return [np.stack(arrays).reshape(*state.lead, *arrays[0].shape) for arrays in every]
        del weights, x
        made: list[_Values] = state.expand()
        return made

    @staticmethod
    def events(state: CollapsedState) -> tuple[Event, ...]:
        """The gate events that brought a state about."""
        return state.events

    def _each(self, states: ManyStates, x: Any, target: Any, eta: Any, undefined: str) -> ManyStates:
        """A step of every network."""
        points = _points(states, x)
        goals = as_array("target", target)
        tail = 1 if states[0].run.single or (x is not None and np.ndim(points[0]) == 1) else 2
        labels = goals.dtype.kind in "iu" and needs_of(self.network.loss) == "distribution"
        goals = _spread(goals, states.lead, tail - labels)
        rates = np.broadcast_to(np.asarray(checked_rates(self.network, eta)), states.lead).ravel()
        made = [
            self.step(one, point, goal_, float(rate), undefined)
            for one, point, goal_, rate in zip(states, points, goals, rates, strict=True)
        ]
        return ManyStates.of(made, states.lead)


def stepped(
    state: CollapsedState, places: npt.NDArray[np.intp] | None, target: npt.ArrayLike, rate: float, flat: bool,
    looked_at: bool = True,
) -> CollapsedState:  # fmt: skip
    """The state after a step on the held inputs at these places, None for all.

    `target`: one for each of them, or, `flat`, that of the only one. `looked_at`: whether it has to be one of the loss.
    """
    run = state.run
    chosen = run.x if places is None else run.x[places]
    wanted = as_array("target", _goal(run, target, chosen, flat, looked_at))
    width = run.network.widths[-1]
    if wanted.shape != ((width,) if flat else (len(chosen), width)) or not np.isfinite(wanted).all():
        own = (width,) if flat else (len(chosen), width)
        raise ArgumentError(f"target has the shape {wanted.shape}: give finite numbers of the shape {own}.")
    if places is None and not flat:
        return moved(state, wanted, run.everywhere, rate)
    whole = np.zeros((len(run.x), width), run.dtype)
    use = np.zeros(len(run.x), run.dtype)
    at = slice(None) if places is None else places
    whole[at] = wanted
    use[at] = len(run.x) / len(chosen) if run.network.batch == "mean" else 1
    return moved(state, whole, use, rate)


def _lead(network: Network, arrays: Sequence[_Values]) -> tuple[int, ...]:
    """The leading axes of weights."""
    tails = [len(theta.axes) for theta in network.parameters]
    shapes = [a.shape[: max(0, a.ndim - tail)] for a, tail in zip(arrays, tails, strict=True)]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ArgumentError(
            "weights have leading axes that do not fit together: give as many networks of each."
        ) from None


def _spread(array: _Values, lead: tuple[int, ...], tail: int) -> _Values:
    """One row for each network."""
    own = array.shape[max(0, array.ndim - tail) :]
    try:
        return np.broadcast_to(array, (*lead, *own)).reshape(-1, *own)
    except ValueError:
        raise ArgumentError(f"An array of the shape {array.shape} does not fit {lead} networks.") from None


def _points(states: ManyStates, x: Any) -> list[Any]:
    """The inputs of every network; None where they are those of `init`."""
    if x is None:
        return [None] * len(states)
    array = as_array("x", x)
    single = states[0].run.single or array.ndim < len(states.lead) + 2
    return list(_spread(array, states.lead, 1 if single else 2))


def _goal(run: NetworkRun, target: Any, x: _Values, flat: bool, looked_at: bool) -> Any:
    """The target as numbers, from labels where the loss takes them."""
    if not flat:
        return goal(run.network, target, x, looked_at)
    made = np.asarray(goal(run.network, as_array("target", target)[None], x, looked_at))
    return made[0]


def _places(run: NetworkRun, x: npt.ArrayLike | None) -> npt.NDArray[np.intp] | None:
    """Which of the held inputs these are; None for all of them in their order."""
    if x is None or x is run.x:
        return None
    array, held = np.asarray(x, dtype=run.dtype), run.x[0] if run.single else run.x
    if array.shape == held.shape and (array == held).all():
        return None
    if held.ndim == 1 or array.shape[-1:] != held.shape[-1:] or array.ndim > 2:
        raise ArgumentError("x is not what init was given: give held inputs, or init again with others.")
    places, taken = [], set()
    for row in np.atleast_2d(array):
        equal = [n for n in np.flatnonzero((held == row).all(axis=1)).tolist() if n not in taken]
        if not equal:
            raise ArgumentError("x has an input that init was not given: give held inputs, or init again.")
        taken.add(equal[0])
        places.append(equal[0])
    return np.array(places)
