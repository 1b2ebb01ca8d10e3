"""A scheme against autodiff backpropagation over many steps, in the same order.

What agreement can mean after many steps is measured beside it: autodiff runs in extended precision, once as it is and
twice with every weight rounded anew at every step, at random, as far as the scheme's precision rounds. How far those
two stray is what rounding does to this very trajectory, and 16 times that, with 16 eps of the terms that are summed,
is the bar. A network is left out from the step on at which rounding decides a gate: what follows is nobody's fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.magnitude import made_of
from fcsym.checking.points import MAX_NUMBERS, Points, in_the_loss, lattice, on_one_sample
from fcsym.checking.report import ULPS, Report, Row
from fcsym.checking.tally import Tally
from fcsym.checking.truth import Truth
from fcsym.errors import GateEvent, UndefinedContribution
from fcsym.language.equation import Order
from fcsym.machine.memory import refuse_beyond
from fcsym.networks.network import Network

if TYPE_CHECKING:
    from fcsym.checking.subject import Trained

__all__ = ["check_scheme", "refuse_large"]

_Array = npt.NDArray[Any]
_INPUTS = 4  # different inputs per network, for the schemes that take several
_ON_KINK = "one step, s on a kink"
_SAMPLES = 3  # of a mini-batch
_FAR = 1e8  # a weight beyond, of a network that diverges, is compared no more
_BYTES = 400  # for each weight: three trajectories in extended precision, their gradients, and the scheme's own state


def check_scheme(
    scheme: Trained, trials: int, seed: int, steps: int, against: Order | None, dtype: npt.DTypeLike,
    progress: Callable[[str], None], step: Any = None,
) -> Report:  # fmt: skip
    """Train `trials` random networks for `steps` steps: the output before every step, and `expand` at the end.

    `step`: the kernel of the conventional step, where there is one already.
    Raises SizeError where that does not fit into memory.
    """
    network, order = scheme.network, against or scheme.order
    refuse_large(network, trials)
    most, rng = _at_once(network), np.random.default_rng(seed)
    run = _Comparison(scheme, order, np.dtype(dtype), steps, step)
    for start in range(0, trials, most):
        run.batch(rng, min(most, trials - start), progress)
    progress("steps from exactly on a kink")
    run.on_kinks(rng, min(most, max(trials, 200)))
    return Report(
        f"{scheme.name} of {network}", scheme.order, order, trials, seed, str(np.dtype(dtype)), run.rows(),
        run.left_out, steps,
    )  # fmt: skip


def refuse_large(network: Network, trials: int) -> None:
    """SizeError where training so many networks beside autodiff does not fit into memory."""
    size = sum(math.prod(network.shape(array)) for array in network.parameters)
    refuse_beyond(
        f"Training {network} beside autodiff", _BYTES * size * min(_at_once(network), max(trials, 200)),
        "check a narrower network, the equations are the same",
    )  # fmt: skip


def _at_once(network: Network) -> int:
    """How many networks are trained side by side."""
    return max(1, MAX_NUMBERS // (4 * sum(math.prod(network.shape(array)) for array in network.parameters)))


class _Comparison:
    """What has been compared so far."""

    def __init__(self, scheme: Trained, order: Order, dtype: np.dtype[Any], steps: int, step: Any) -> None:
        self.scheme, self.network, self.order, self.dtype, self.steps = scheme, scheme.network, order, dtype, steps
        self.kernel, self.y = scheme.compile("numpy"), scheme.network.output.name
        self.eps = float(np.finfo(dtype).eps)
        conventional = scheme.conventional
        self.step, self.tally = step or conventional.compile(), Tally(conventional, dtype)
        self.moved = made_of(conventional, [array.primed.name for array in scheme.network.trained])
        self.seen: dict[tuple[str, str], Row] = {}
        self.left_out = 0

    def batch(self, rng: np.random.Generator, count: int, progress: Callable[[str], None]) -> None:
        """One batch of networks, trained side by side."""
        network, kernel = self.network, self.kernel
        weights, inputs, targets, eta = self._draw(rng, count)
        first = inputs[:, 0]
        state = kernel.init(weights, first, undefined="nan")
        truth = Truth(network, self.order, weights, rng, self.eps)
        keep, woken = np.ones(count, dtype=bool), np.zeros(count, dtype=bool)
        if self.scheme.gates:  # a unit on a kink at init
            woken |= _marked(state, count)
        start: Mapping[str, _Array] | None = None
        spread: _Array = np.zeros(())
        inputs_by_name = {theta.name: w for theta, w in zip(network.parameters, weights, strict=True)} | {
            "inputs": inputs,
            "targets": targets,
            "eta": eta,
        }
        for n in range(1, self.steps + 1):
            if n % 25 == 1:
                progress(f"step {n} of {self.steps}")
            at = np.zeros(count, dtype=int) if self.scheme.single_input else rng.integers(inputs.shape[1], size=count)
            x, target = (array[np.arange(count), at] for array in (inputs, targets))
            seen = truth.look(x, target, eta)
            exact, *others = truth.each(seen)
            keep &= self._clear(exact, others, target) & _within_range(truth.weights)
            with np.errstate(invalid="ignore"):  # of networks that are left out
                apart = np.max([np.abs(other[self.y] - exact[self.y]) for other in others], axis=0)
            spread = np.maximum(spread, apart)
            keep &= np.isfinite(spread).reshape(count, -1).all(axis=-1)
            start = exact if start is None else start
            woken |= self._lost(start, exact)
            bound = ULPS * (spread + self.eps * self._terms(exact, [array[0] for array in truth.weights]))
            self._record(
                "y", "every step", kernel.output(state, x, undefined="nan"), exact[self.y], bound, keep & ~woken, n,
                inputs_by_name,
            )  # fmt: skip
            if woken.any():
                marked = np.isnan(kernel.output(state, x, undefined="nan")).all(axis=-1)
                self._record(
                    "y", f"after {self._event}: nan", np.where(marked, 0.0, 1.0), np.zeros(count), np.zeros(count),
                    keep & woken, n, inputs_by_name,
                )  # fmt: skip
            state = kernel.step(state, x, target, eta, undefined="nan")
            noise = self._noise(truth, x, target, eta)
            for size in noise.values():
                keep &= np.isfinite(size).reshape(count, -1).all(axis=-1)
            truth.move(seen, noise)
        expanded = kernel.expand(state, weights, first)
        keep &= _within_range(truth.weights)
        for array, found, (true, *rounded) in zip(network.parameters, expanded, truth.weights, strict=True):
            with np.errstate(invalid="ignore"):
                strayed = np.max([np.abs(other - true) for other in rounded], axis=0)
            largest = np.max(np.abs(true).reshape(count, -1), axis=1).reshape((count,) + (1,) * (true.ndim - 1))
            bound = ULPS * (np.max(strayed.reshape(count, -1), axis=1).reshape(largest.shape) + self.eps * largest)
            self._record(
                f"{array.name} by expand", f"after {self.steps} steps", found, true, np.broadcast_to(bound, true.shape),
                keep & ~woken, self.steps, inputs_by_name,
            )  # fmt: skip
        self.left_out += int((~keep).sum())

    def _noise(self, truth: Truth, x: _Array, target: _Array, eta: _Array) -> dict[str, _Array]:
        """The absolute terms of each updated parameter: what cancels in an update is rounded before it does."""
        near = [array[0] for array in (*truth.weights, *truth.memory.values())]
        exact = [np.where(np.abs(array) < _FAR, array, 0).astype(self.dtype) for array in near]  # others are left out
        points = Points(exact[: len(truth.weights)], x, target, eta, exact[len(truth.weights) :])
        scale = self.tally.computed(self.step, points, self.moved).scale
        return {array.name: scale.of(array.primed.name) for array in self.network.trained}

    def on_kinks(self, rng: np.random.Generator, count: int) -> None:
        """One step of networks of small integers: a unit sits exactly on a kink, and rounding decides no gate."""
        if not self._kinks or self.network.rule.divides:  # which divides by what may be rounding alone
            return
        network, kernel = self.network, self.kernel
        points = lattice(on_one_sample(network), rng, count)
        if network.batch:
            points = points.in_batches(network.samples or 2)
        made, _, truth, scale, clear = self.tally.both(self.step, self.order, points)
        clear = clear & ~self._by_chance(truth, scale)
        weights, x, target, eta = made[:4]
        state = kernel.init(weights, x, undefined="nan")
        after = kernel.step(state, x, target, eta, undefined="nan")
        on_kink = np.any([(truth[s] == float(k)).reshape(count, -1).any(axis=-1) for s, k in self._kinks], axis=0)
        sizes = [np.abs(truth[array.primed.name]).reshape(count, -1).max(axis=1) for array in network.parameters]
        moderate = clear & np.all([size < 1e4 for size in sizes], axis=0)
        sizes += [scale.of(array.primed.name).reshape(count, -1).max(axis=1) for array in network.trained]
        if self.scheme.gates:
            self._on_pieces(state, after, truth, on_kink, moderate, (weights, x))
            on_kink = on_kink & ~_marked(state, count)
        primed = {name: truth[f"{name}_new"] for name in truth if f"{name}_new" in truth}
        woken = np.zeros(count, dtype=bool) if self.scheme.gates else self._lost(truth, primed)
        last = network.hidden[-1].v.name
        where = {"x": x, "targets": target, "eta": eta}
        where |= {theta.name: w for theta, w in zip(network.parameters, weights, strict=True)}
        for array, found in zip(network.parameters, kernel.expand(after, weights, x), strict=True):
            true = truth[array.primed.name]
            size = np.maximum(np.max(sizes, axis=0), 1)  # slopes such as 1/100 are rounded, and so is what is summed
            largest = size.reshape((count,) + (1,) * (true.ndim - 1))
            bound = np.broadcast_to(ULPS * self.eps * largest, true.shape)
            keep = on_kink & moderate & ~woken
            self._record(f"{array.name} by expand", _ON_KINK, found, true, bound, keep, 1, where)
        rose = (truth[last] == 0) & (np.abs(truth[f"{last}_new"]) > 1e-3)
        clearly = moderate & woken & rose.reshape(count, -1).any(axis=-1)
        if clearly.any():
            self._raises(weights, x, target, eta, int(np.argmax(clearly)), where)

    @cached_property
    def _summed(self) -> list[Any]:
        """Units whose pre-activation is computed, and no input or parameter."""
        given = {self.network.input, *self.network.parameters}
        return [unit for unit in self.network.activated if unit.s not in given]

    @cached_property
    def _rounded(self) -> list[Any]:
        """Units above a smooth one: their sums are rounded."""
        every = self._summed
        first = next((n for n, unit in enumerate(every) if unit.activation.is_smooth), len(every))
        return every[first + 1 :]

    def _by_chance(self, truth: Mapping[str, _Array], scale: Any) -> _Array:
        """Points with such a unit near a kink: summed in another order, it is on another side."""
        count = len(truth[self.y])
        found = np.zeros(count, dtype=bool)
        for name, kink in ((unit.s.name, kink) for unit in self._rounded for kink in unit.activation.kinks):
            near = np.abs(truth[name] - float(kink)) <= ULPS * self.eps * scale.of(name)
            found |= near.reshape(count, -1).any(axis=-1)
        return found

    @property
    def _event(self) -> str:
        return "a unit left its piece" if self.scheme.gates else f"a unit {self._leaving[1]}"

    @property
    def _leaving(self) -> tuple[str, str]:
        """What a frozen unit does where no p exists."""
        return self.network.layers[max(0, len(self.network.layers) - 2)].activation.leaving_zero

    def _lost(self, start: Mapping[str, _Array], now: Mapping[str, _Array]) -> _Array:
        """Networks of which a scheme cannot say any more what they give."""
        last = self.network.hidden[-1].v.name if self.network.hidden else ""
        if self.scheme.gates:
            return np.asarray((np.sign(start["s1"]) != np.sign(now["s1"])).any(axis=-1) & bool(self._all_kinks))
        if last in start and self.scheme.name in ("weights", "compensation"):
            return np.asarray(((start[last] == 0) & (now[last] != 0)).any(axis=-1))
        return np.zeros(len(now[self.network.logits.name]), dtype=bool)

    @property
    def _refuses_kinks(self) -> bool:
        """Whether no step is possible from exactly on a kink, because its slope is that of no piece of the scheme."""
        slopes = [slope for layer in self.network.layers[:-1] for slope in layer.activation.kink_slopes]
        return bool(self.scheme.gates) and any(slopes)

    @property
    def _all_kinks(self) -> list[Any]:
        return [kink for layer in self.network.layers[:-1] for kink in layer.activation.kinks]

    def _on_pieces(
        self, state: Any, after: Any, truth: Mapping[str, _Array], on_kink: _Array, moderate: _Array, given: Any
    ) -> None:
        """A scheme with pieces refuses by name: kinks with a slope of their own, and outputs from another side."""
        weights, x = given
        refused = _marked(state, len(x))
        self._told("init on a kink", bool((refused != (on_kink & self._refuses_kinks)).any()), {})
        old, new = truth["s1"], truth["s1_new"]
        margin = np.abs(new).min(axis=-1) > 1e-3
        crossed = moderate & margin & ~refused & (np.sign(old) * np.sign(new) < 0).any(axis=-1)
        if not crossed.any():
            return
        n = int(np.argmax(crossed))
        try:
            self.kernel.output([np.asarray(array)[n] for array in after], x[n])
            silent = True
        except GateEvent:
            silent = False
        some = {"x": x[n : n + 1]} | {f"W{k}": w[n : n + 1] for k, w in enumerate(weights, 1)}
        self._told("a unit leaves its piece: raised", silent, some)

    @property
    def _kinks(self) -> list[tuple[str, Any]]:
        """(s, kink) for every kink that small integers and halves can hit."""
        return [
            (unit.s.name, kink)
            for unit in self._summed
            for kink in (unit.activation.kinks if unit in self.network.hidden and unit not in self._rounded else ())
            if abs(kink) <= 2 and (2 * kink).denominator == 1
        ]

    def _raises(
        self, weights: list[_Array], x: _Array, target: _Array, eta: _Array, n: int, where: Mapping[str, _Array]
    ) -> None:
        """Where a unit with v^c = 0 changes, the step says so by name."""
        state = self.kernel.init([w[n] for w in weights], x[n])
        try:
            self.kernel.step(state, x[n], target[n], eta[n])
            silent = True
        except UndefinedContribution:
            silent = False
        some = {name: value[n : n + 1] for name, value in where.items()}
        self._told(f"a unit {self._leaving[0]}: raised", silent, some)

    def _told(self, case: str, wrong: bool, where: Mapping[str, _Array]) -> None:
        """A row of one number, which is as it should be or is not, in the first step."""
        nothing = np.zeros(1)
        self._record("y", case, nothing + wrong, nothing, nothing, np.array([True]), 1, where)

    def _draw(self, rng: np.random.Generator, count: int) -> tuple[list[_Array], _Array, _Array, _Array]:
        """Random networks, each with a few inputs: zero entries, and one input in eight of zeros only."""
        network = self.network
        weights = []
        for array in network.parameters:
            shape = network.shape(array)
            scale = 1 / np.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.5
            weights.append((rng.normal(size=(count, *shape)) * scale).astype(self.dtype))
        many = 1 if self.scheme.single_input else _INPUTS
        samples = (network.samples or _SAMPLES,) if network.batch else ()
        shape = (count, many, *samples)
        one = on_one_sample(network)
        given = (*shape, *one.shape(one.input))
        inputs = rng.normal(size=given) * (rng.random(given) > 0.25)
        inputs *= (rng.random(shape) > 0.125).reshape((*shape, *(1,) * len(one.input.axes)))
        if many > 1:  # one that is nearly another: to be told apart all the same
            inputs[:, -1] = inputs[:, 0] + 1e-3 * rng.normal(size=inputs[:, 0].shape)
        targets = rng.normal(size=(*shape, *one.shape(one.target)))
        norm = 1 + np.sum(inputs.reshape((*shape, -1)) ** 2, axis=-1).reshape(count, -1).max(axis=-1) * math.prod(
            samples
        )
        eta = 10 ** rng.uniform(-2.5, -1, size=count) / norm  # small enough for most runs to stay finite
        return weights, inputs.astype(self.dtype), targets.astype(self.dtype), eta.astype(self.dtype)

    def _clear(self, exact: Mapping[str, _Array], others: list[dict[str, _Array]], target: _Array) -> _Array:
        """Networks in which rounding decides no gate at this step, in the loss neither, and nothing has overflowed.

        What extended precision still holds has overflowed where it is beyond the precision of the scheme.
        """
        count = len(exact[self.y])
        keep = np.isfinite(exact[self.y]).reshape(count, -1).all(axis=-1)
        for value in exact.values():  # not a number where there is no p
            keep &= ~(np.abs(value) > np.finfo(self.dtype).max).reshape(count, -1).any(axis=-1)
        kinked = [unit for unit in self._summed if unit.activation.kinks]
        read = [(u.activation, exact[u.s.name], [other[u.s.name] for other in others]) for u in kinked]
        for phi, _, term in in_the_loss(self.network):
            read.append((phi, *(term(exact[self.y], target), [term(other[self.y], target) for other in others])))
        for phi, s, strayed in read:
            moved = np.max([np.abs(other - s) for other in strayed], axis=0)
            for kink in phi.kinks:
                margin = np.abs(s - np.longdouble(float(kink)))
                near = (margin <= ULPS * (moved + self.eps * np.abs(s))) & (moved > 0)
                keep &= ~near.reshape(len(near), -1).any(axis=-1)
        return np.asarray(keep)

    def _terms(self, exact: Mapping[str, _Array], weights: list[_Array]) -> _Array:
        """The sum of the absolute terms that make up each output."""
        matrix = weights[self.network.parameters.index(self.network.read_out)]
        hidden = exact.get(self.network.hidden[-1].v.name) if self.network.hidden else None
        if hidden is None:
            return np.asarray(np.abs(exact[self.y]) + 1)
        count = math.prod(matrix.shape[2:])
        flat = (
            np.abs(array).reshape((*array.shape[: array.ndim - matrix.ndim + 2], count)) for array in (matrix, hidden)
        )
        return np.asarray(np.einsum("pkj,p...j->p...k", *flat) + np.abs(exact[self.y]))

    def _record(
        self, quantity: str, case: str, found: _Array, true: _Array, bound: _Array, keep: _Array, step: int,
        inputs: Mapping[str, _Array],
    ) -> None:  # fmt: skip
        with np.errstate(invalid="ignore"):  # of networks that are left out
            error = np.abs(found.astype(np.longdouble) - true)
        error = np.where(np.isnan(error), np.inf, error)
        mask = np.broadcast_to(keep.reshape((-1,) + (1,) * (error.ndim - 1)), error.shape)
        if not mask.any():
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(mask, np.where(error == 0, 0, error / bound), -1)
        place = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        where: dict[str, Any] = {"element": [int(n) + 1 for n in place[1:]], "step": step}
        where |= {k: np.asarray(v[place[0]]).tolist() for k, v in inputs.items()} if self._small(inputs) else {}
        row = Row(quantity, case, int(mask.sum()), float(error[place]), float(bound[place]), where)
        old = self.seen.get((quantity, case))
        if old is not None:
            best = row if row.ratio >= old.ratio else old
            row = Row(quantity, case, old.points + row.points, best.worst, best.bound, best.where)
        self.seen[quantity, case] = row

    @staticmethod
    def _small(inputs: Mapping[str, _Array]) -> bool:
        return bool(sum(value[0].size for value in inputs.values()) <= 200)

    def rows(self) -> tuple[Row, ...]:
        """What had to be compared first; a row without points, which fails, where nothing could be."""
        wanted = [("y", "every step")]
        wanted += [(f"{array.name} by expand", f"after {self.steps} steps") for array in self.network.parameters]
        if self._kinks and not self._refuses_kinks and not self.network.rule.divides:
            wanted += [(f"{array.name} by expand", _ON_KINK) for array in self.network.parameters]
        empty = {key: Row(*key, 0, 0.0, 0.0, {}) for key in wanted}
        return tuple((empty | self.seen).values())


def _within_range(weights: Sequence[_Array]) -> _Array:
    """The networks whose training has not left what one compares: far beyond, one product overflows before another.

    Nor that of any that is rounded anew: where one of them is no number, nothing is known of what rounding does.
    """
    count = weights[0].shape[1]
    sizes = [np.abs(np.asarray(array[0])).reshape(count, -1).max(axis=-1, initial=0) for array in weights]
    known = [np.isfinite(array).reshape(len(array), count, -1).all(axis=(0, 2)) for array in map(np.asarray, weights)]
    return np.asarray(np.all([size < _FAR for size in sizes], axis=0) & np.all(known, axis=0))


def _marked(state: Sequence[_Array], count: int) -> _Array:
    """Networks of whose state some number is undefined."""
    return np.asarray(np.any([np.isnan(np.asarray(a)).reshape(count, -1).any(axis=-1) for a in state], axis=0))
