"""A kernel against independent autodiff, in the same order, on points that reach every case.

The bar for an error is 16 eps times the sum of the absolute values of all terms that make up the quantity, with the
operands' own sums carried through to first order: what a sum of rounded terms can be off by, and not a typed-in
tolerance. The points are drawn by kind: random ones, exact ones on a small lattice (s = 0 and s' = 0 hold there
without rounding), and ones with v^c near 0. A case that no point reaches fails, unless it is proved that none can; of
networks of layers, the cases of p are compared where points reach them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt

from fcsym.checking.magnitude import Magnitude
from fcsym.checking.oracle import backpropagation
from fcsym.checking.points import (
    EXACT,
    MAX_NUMBERS,
    NEAR,
    Points,
    activate,
    draws,
    in_the_loss,
    lattice,
    pre_activations,
    random_points,
    together,
)
from fcsym.checking.report import ULPS, Report, Row
from fcsym.errors import ArgumentError
from fcsym.language.equation import Cases, Condition, Order, Rule
from fcsym.language.expression import (
    Ref,
    Role,
)
from fcsym.networks.network import Network
from fcsym.networks.symbols import front_of, increment_of

if TYPE_CHECKING:
    from fcsym.checking.subject import Derived, Differentiated, Trained

__all__ = ["Report", "Row", "check", "lattice"]

_Array = npt.NDArray[Any]
MAX_SHOWN = 200  # numbers; the points of larger networks are found again by the seed
_CANDIDATES, _KEPT = 64, 8  # networks made for one case, and how many of those in which it occurs are compared
_TAME = 1e6
_ROUNDS = 20  # how often points are drawn anew for a case that none has reached yet


def check(
    subject: Derived | Trained | Differentiated, trials: int = 1000, seed: int = 0, *, against: Order | None = None,
    dtype: npt.DTypeLike = np.float64, points: Points | None = None, steps: int = 100, target: str = "numpy",
    progress: Callable[[str], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Compile a derivation and compare every quantity of its step with autodiff backpropagation; or train by a scheme.

    `trials`: how many random points, drawn from `seed`; exact ones and ones with v^c near 0 come on top. `against`: the
    order of the oracle, by default the derivation's own; the other one must fail. `points`: compare on these instead.
    `steps`: how long a scheme is trained (see `fcsym.checking.trajectory`); derivations are about one step.
    Derivatives (`fcsym.gradient`) are compared with autodiff's, Jacobians output by output.
    `target`: what a derivation is compiled for, as for `Derivation.compile`; schemes are checked in NumPy.
    Raises ArgumentError when trials or steps is not a positive number, CompileError for what has no kernel.
    """
    if isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials <= 10_000_000:
        raise ArgumentError(f"trials is {str(trials)[:40]}: give a whole number from 1 to 10000000.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"seed is {str(seed)[:40]}: give a whole number from 0.")
    if against is not None and against not in get_args(Order):
        raise ArgumentError(f"against is {str(against)[:40]!r}: choose {' or '.join(get_args(Order))}.")
    if not any(dtype is kind or str(dtype) == kind.__name__ for kind in (np.float32, np.float64)) and np.dtype(
        dtype if isinstance(dtype, type | np.dtype) else object
    ) not in (np.float32, np.float64):
        raise ArgumentError(f"dtype is {str(dtype)[:40]!r}: choose float32 or float64.")
    if not hasattr(subject, "network"):
        raise ArgumentError(f"check got {type(subject).__name__}: give a derivation, derivatives or a scheme.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ArgumentError(f"steps is {str(steps)[:40]}: give a whole number from 1.")
    if hasattr(subject, "by"):
        from fcsym.checking.gradients import check_gradient

        if (against, target) not in ((None, "numpy"), ("simultaneous", "numpy")):
            raise ArgumentError("Derivatives are checked in NumPy and have no order: leave against and target out.")
        return check_gradient(cast("Differentiated", subject), trials, seed, dtype, points, progress)
    if hasattr(subject, "parts"):
        from fcsym.checking.trajectory import check_scheme

        if target != "numpy":
            raise ArgumentError(f"target is {str(target)[:40]!r}: a scheme is checked in NumPy, its files on export.")
        return check_scheme(cast("Trained", subject), trials, seed, steps, against, dtype, progress)
    derived = cast("Derived", subject)
    full, kernel = derived.network, derived.compile(target)
    one = _one(full)
    alone = _OneSample(kernel) if full.batch else kernel
    order: Order = against or derived.order
    tally = _Tally(derived, np.dtype(dtype))
    rng, eps = np.random.default_rng(seed), float(np.finfo(dtype).eps)
    drawn = iter([("given", points)]) if points is not None else draws(one, rng, trials, eps)
    for label, batch in drawn:
        progress(label)
        assert batch is not None
        tally.compare(kernel, order, batch)
        if full.batch and points is None and label != NEAR:  # and as many samples as the halves of the lattice allow
            tally.compare(kernel, order, batch.in_batches(full.samples or (2 if label == EXACT else 3)))
    if points is None:
        for attempt in range(_ROUNDS):
            if not tally.missing:
                break
            progress("cases not reached yet")
            if one.built is not None:
                for _, batch in draws(one, rng, trials, eps):
                    tally.compare(kernel, order, batch)
                continue
            for batch in _placed(derived, tally, alone, rng):
                tally.compare(kernel, order, batch)
            if attempt and attempt % 3 == 0:
                for batch in _aimed(derived, tally.missing, alone, rng, min(trials, 1000)):
                    tally.compare(kernel, order, batch)
                for _, batch in draws(one, rng, trials, eps):
                    tally.compare(kernel, order, batch)
    return Report(
        str(full), derived.order, order, trials, seed, str(np.dtype(dtype)),
        tally.rows(demand_all=points is None), tally.left_out,
    )  # fmt: skip


def _one(network: Network) -> Network:
    """The network on one sample, for which points are made, also where it trains in mini-batches."""
    return replace(network, batch="", samples=0) if network.batch else network


class _OneSample:
    """A kernel for mini-batches at points of one sample each: every quantity without the axis of samples."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._samples = {a.name: (sum(axis.open for axis in a.axes), len(a.axes)) for a in kernel.results}

    def step(self, weights: Any, x: _Array, target: _Array, eta: _Array, **others: Any) -> Any:
        """The step of `Kernel`, for x (..., n_0) and target (..., n_L)."""
        points = _alike(self._kernel.network, Points(weights, x, target, eta))
        made = self._kernel.step(*points[:4], **others)
        alone = []
        for name, value in zip(made._fields, tuple(made), strict=True):
            samples, axes = self._samples.get(name, (0, 0))
            alone.append(value[(..., *(0,) * samples, *(slice(None),) * (axes - samples))])
        return type(made)(*alone)


def _alike(network: Network, points: Points) -> Points:
    """Points of one sample as a mini-batch that trains alike: of that sample, as often as there have to be samples."""
    count = network.samples or 1
    x, target = (np.repeat(array[:, None], count, axis=1) for array in (points.x, points.target))
    eta = points.eta / count if network.batch == "sum" else points.eta
    return points._replace(x=x, target=target, eta=eta)


# ------------------------------------------------------------------------------------------------------ points


def _placed(derivation: Derived, tally: _Tally, kernel: Any, rng: np.random.Generator) -> Iterator[Points]:
    """For each case that none has reached: networks made so that it occurs, and only those in which it does.

    What reaches a deep layer of a narrow random network is mostly 0. So the other layers get positive weights that
    neither enlarge nor diminish what they pass on; the unit's own weights are moved until s lies on the piece before,
    close to the side on which the one after is; and the step size is the one that brings it there.
    """
    network, wanted = _one(derivation.network), tally.missing
    size = sum(math.prod(network.shape(array)) for array in network.parameters)
    count = max(1, min(_CANDIDATES, MAX_NUMBERS // size))
    found: list[Points] = []
    for name, case in wanted:
        layer = network.activated.index(network.units[derivation.by_name[name].array.axes[-1]])
        for points in _candidates(derivation, name, case, layer, kernel, rng, count):
            with np.errstate(over="ignore", invalid="ignore"):
                result = points.step(kernel)
            masks = dict(tally.cases(name, result))
            after = result[network.logits.primed.name]
            tame = (np.abs(after) < _TAME).all(axis=1)  # a step that runs away tests no case
            hit = np.flatnonzero(masks[case].reshape(len(points.x), -1).any(axis=1) & tame)[:_KEPT]
            if len(hit):
                found.append(points.chosen(hit))
        if sum(len(points.x) for points in found) * size > MAX_NUMBERS:
            yield together(found)
            found = []
    if found:
        yield together(found)


def _candidates(
    derivation: Derived, name: str, case: str, layer: int, kernel: Any, rng: np.random.Generator, count: int
) -> Iterator[Points]:
    """Points at which a case of a hidden layer, from 0, may occur."""
    network = _one(derivation.network)
    hidden = network.activated[layer]
    equation = derivation.by_name[name]
    branch = next((branch for branch in cast("Cases", equation.rhs) if branch.name == case), None)
    if branch is None or any(condition.relation in ("=", "!=") for condition in branch.when):
        yield from _at_rest(network, layer, rng, count)
        if branch is None:
            return
    points = _passing(network, rng, count)
    unit = rng.integers(network.widths[layer + 1], size=count)
    near = 10 ** rng.uniform(-3, 0, size=count)
    (lower, upper), (goal_lower, goal_upper) = (_range(branch.when, after) for after in (False, True))
    up = goal_lower >= upper
    start = _inside(lower, upper, near, from_above=up)
    end = _inside(goal_lower, goal_upper, near, from_above=goal_upper <= lower)
    rows, position = np.arange(count), _matrix_of(network, layer)
    # across what it reads a unit may have large weights: so it can rise while all that it reads falls
    across = rng.normal(size=(count, network.widths[layer])) * 10 ** rng.uniform(-1, 1, size=(count, 1))
    points.weights[position][rows, unit] += across
    _move(network, points, layer, unit, start)
    for _ in range(2):  # in sequential order ds grows faster than eta: once more from there
        with np.errstate(all="ignore"):
            result = points.step(kernel)
            s, ds = (result[array.name][rows, unit] for array in (hidden.s, increment_of(hidden.s)))
            factor = (end - s) / ds
            good = np.isfinite(factor) & (factor > 0) & (points.eta * factor < 1e3)
        if not good.any():
            return
        points = points._replace(eta=np.where(good, points.eta * factor, points.eta)).chosen(good)
        unit, end, rows = unit[good], end[good], np.arange(int(good.sum()))
        yield points


def _inside(lower: float, upper: float, near: _Array, from_above: bool) -> _Array:
    """Numbers in (lower, upper], near the upper end or near the lower one where there are such."""
    room = np.minimum(near, (upper - lower) / 2)
    if np.isfinite(upper) and (from_above or not np.isfinite(lower)):
        return np.asarray(upper - room)
    return np.asarray(lower + room if np.isfinite(lower) else near)


def _passing(network: Network, rng: np.random.Generator, count: int) -> Points:
    """Positive networks whose layers pass on as much as they are given."""
    points = random_points(network, rng, count)
    for array, weight in zip(network.parameters, points.weights, strict=True):
        if weight.ndim == 3:
            weight[...] = np.abs(weight) + 0.1
            weight /= weight.sum(axis=-1).mean(axis=-1)[:, None, None]
            if network.input.axes[-1] in array.axes:  # no unit of the first layer is below 0
                weight *= np.where(np.matvec(weight, points.x) < 0, -1.0, 1.0)[..., None]
        else:
            weight *= 0.1
    return points


def _at_rest(network: Network, layer: int, rng: np.random.Generator, count: int) -> Iterator[Points]:
    """Exact points at which a layer's units are at 0: where the output has no error they stay, otherwise they move."""
    for still in (True, False):
        points = lattice(network, rng, count) if len(network.layers) <= 4 else _passing(network, rng, count)
        for array, weight in zip(network.parameters, points.weights, strict=True):
            if array in network.feeding(layer + 1):
                weight[(slice(None), 0) if array.axes else ...] = 0
            if still and array in network.feeding(len(network.layers)):
                weight[...] = 0
        yield points._replace(target=np.zeros_like(points.target)) if still else points


def _matrix_of(network: Network, layer: int) -> int:
    """The place of the matrix that a hidden layer, from 0, reads with, among the parameters."""
    return network.parameters.index(network.feeding(layer + 1)[0])


def _move(network: Network, points: Points, layer: int, unit: _Array, wanted: _Array) -> None:
    """Move the weights of one unit of each network along what it reads, so that its pre-activation is as wanted."""
    position = _matrix_of(network, layer)
    before = pre_activations(network, points)
    source = points.x if layer == 0 else activate(network, layer - 1, before[layer - 1])
    norm, rows = np.sum(source**2, axis=-1), np.arange(len(unit))
    shift = np.where(norm > 1e-12, (wanted - before[layer][rows, unit]) / np.where(norm > 1e-12, norm, 1), 0)
    points.weights[position][rows, unit] += shift[:, None] * source


def _aimed(
    derivation: Derived, missing: Sequence[tuple[str, str]], kernel: Any, rng: np.random.Generator, count: int
) -> Iterator[Points]:
    """For each case that none has reached: random networks with the step size that brings a unit there.

    A step moves s by eta times something that hardly depends on eta; the size that lands on the wanted piece is aimed
    at, and may miss.
    """
    network = _one(derivation.network)
    for name, case in missing:
        equation = derivation.by_name[name]
        branches = equation.rhs if isinstance(equation.rhs, Cases) else ()
        branch = next((branch for branch in branches if branch.name == case), None)
        if branch is None:
            continue
        unit = network.units[equation.array.axes[-1]]
        points = random_points(network, rng, count)
        points = _stretched(network, points, network.activated.index(unit) + 1, rng)
        result = points.step(kernel)
        s, ds = result[unit.s.name], result[increment_of(unit.s).name]
        (below, above), (lower, upper) = (_range(branch.when, after) for after in (False, True))
        wanted = (
            (lower + upper) / 2 if np.isfinite(lower + upper) else upper - 0.1 if np.isfinite(upper) else lower + 0.1
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where((s > below) & (s <= above) & (ds != 0), (wanted - s) / ds, np.inf)
        factor = np.where(factor > 0, factor, np.inf).min(axis=-1)
        reached = factor * points.eta < 1e3
        if reached.any():
            eta = points.eta[reached] * factor[reached]
            for share in (1.0, 0.5, 0.25, 2.0, 4.0):  # in sequential order, ds grows faster than eta
                yield points.chosen(reached)._replace(eta=eta * share)


def _stretched(network: Network, points: Points, layer: int, rng: np.random.Generator) -> Points:
    """Larger pre-activations, since pieces may be far out; and a layer that reads large numbers by small weights.

    What a layer reads enters its step squared: so s moves far while the layers above hardly do.
    """
    count = len(points.x)
    scale, ratio = rng.uniform(0.5, 4, size=count), 10 ** rng.uniform(0, 1.5, size=count)
    weights = []
    for array, weight in zip(network.parameters, points.weights, strict=True):
        into = next(n for n in range(1, len(network.layers) + 1) if array in network.feeding(n))
        own = scale / ratio if into == layer else ratio if into == layer - 1 else np.ones(count)
        weights.append(weight * own.reshape((count,) + (1,) * (weight.ndim - 1)))
    return points._replace(weights=weights, x=points.x * ratio[:, None] if layer == 1 else points.x)


def _range(when: Sequence[Condition], after: bool) -> tuple[float, float]:
    """Where conditions put s, or s' after the step: (lower, upper]."""
    lower, upper = -np.inf, np.inf
    for condition in when:
        subject = condition.subject
        if isinstance(subject, Ref) and subject.array.role is Role.PRE_ACTIVATION and subject.array.after == after:
            lower = float(condition.bound) if condition.relation == ">" else lower
            upper = float(condition.bound) if condition.relation == "<=" else upper
    return lower, upper


class _Tally:
    """What has been seen so far, per quantity and case."""

    def __init__(self, derivation: Derived, dtype: np.dtype[Any]) -> None:
        self.derivation, self.network, self.dtype = derivation, derivation.network, dtype
        self.names = [e.name for e in derivation.equations if e.defines] + [front_of(self.network.logits).name]
        self.after_p = ("p", "r", "Ki", "mu", self.names[-1])  # nan where a unit has no compensation
        self.seen: dict[tuple[str, str], Row] = {}
        self.expected = self._expected()
        self.left_out = 0

    def _expected(self) -> dict[tuple[str, str], bool]:
        """(quantity, case) => whether it is proved impossible."""
        result: dict[tuple[str, str], bool] = {}
        for equation in self.derivation.equations:
            if not isinstance(equation.rhs, Cases) or equation.rule is Rule.INTEGRAL:
                continue
            if self.network.built is not None and equation.rule is not Rule.CASES:
                continue  # whether what the read-out reads can be 0 is nothing that points can be aimed at there
            for branch in equation.rhs:
                possible = self.derivation.proof.case(equation.name, branch.name).possible
                result[equation.name, branch.name] = not possible
            if equation.rule is Rule.CASES and isinstance(equation.rhs, Cases):
                unit = self.network.unit_of(equation.array)
                assert unit is not None
                phi, kinks = unit.activation, unit.activation.kinks
                plain = self.network.rule.is_plain  # other steps are not exact
                for kink in kinks if plain else ():
                    if 2 * abs(kink) <= 4 and (2 * kink).denominator == 1:  # others are hit by chance, if at all
                        result[equation.name, f"s = {kink}"] = False
                        result[equation.name, f"s' = {kink}"] = False
                if any(phi.value_at(kink) == 0 for kink in kinks):
                    result[equation.name, "v^c near 0"] = False
        return result

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Cases that could occur and have not."""
        return [key for key, impossible in self.expected.items() if not impossible and key not in self.seen]

    def cases(self, name: str, result: Mapping[str, _Array]) -> Iterator[tuple[str, _Array]]:
        """The rows of a quantity's report with the elements of a result that belong to each."""
        return self._cases(name, result, np.shape(result[name]))

    def compare(self, kernel: Any, order: Order, points: Points) -> None:
        """Run both sides on a batch."""
        if self.network.batch and points.x.ndim == len(self.network.input.axes):
            points = _alike(self.network, points)
        made = points.astype(self.dtype)
        carried = dict(zip((a.name for a in self.network.memory), made.memory or (), strict=bool(made.memory)))
        with np.errstate(all="ignore"):  # a point that overflows, or is at log 0, is left out below
            result = made.step(kernel)
            truth = backpropagation(self.network, order, made.weights, *made[1:4], carried)
            scale = Magnitude(self.derivation, self._inputs(made), result, self._bar)
        result = {name: self._with_points(name, value, len(made.x)) for name, value in result.items()}
        truth = {name: self._with_points(name, value, len(made.x)) for name, value in truth.items()}
        keep = self._clear(result, truth, scale)
        self.left_out += int((~keep).sum())
        inputs, kept = self._inputs(made.chosen(keep)), {name: v[keep] for name, v in result.items()}
        for name in (name for name in self.names if name in truth):
            found, true = result[name][keep].astype(np.longdouble), truth[name][keep]
            bound = np.broadcast_to(self._bound(name, result, scale), truth[name].shape)[keep]
            error = np.abs(found - true)
            one = np.isnan(found) ^ np.isnan(true)
            if name in self.after_p:  # 0 or not is rounding here, and with it whether p exists
                one &= ~self._unclear_change(result, truth, scale, one.shape, keep)
            error = np.where(one, np.inf, np.where(np.isnan(found) | np.isnan(true), 0, error))
            bound = np.where(np.isnan(bound), 0, bound)
            for case, mask in self._cases(name, kept, error.shape):
                self._record(name, case, error, bound, mask, inputs)

    def _with_points(self, name: str, value: _Array, count: int) -> _Array:
        """A quantity with the axis of points, which a number does not have that is the same in all of them."""
        equation = self.derivation.by_name.get(name)
        axes = len(equation.array.axes) if equation is not None else value.ndim - 1
        return np.broadcast_to(value, (count, *value.shape)) if value.ndim == axes else value

    def _inputs(self, points: Points) -> dict[str, _Array]:
        network = self.network
        found = dict(zip((theta.name for theta in network.parameters), points.weights, strict=True))
        count = len(points.x)
        for n, (array, value) in enumerate(network.memory.items()):
            at_rest = np.full((count, *network.shape(array)), float(value))
            found[array.name] = at_rest if points.memory is None else points.memory[n]
        return found | {"x": points.x, "yg": points.target, "eta": points.eta}

    @property
    def _bar(self) -> float:
        return ULPS * float(np.finfo(self.dtype).eps)

    def _clear(self, result: Mapping[str, _Array], truth: Mapping[str, _Array], scale: Magnitude) -> _Array:
        """Points without overflow at which rounding does not decide a gate or s' itself: off its kinks, or exact."""
        keep = np.ones(len(result[self.network.output.name]), dtype=bool)
        for name, value in result.items():
            if name not in (*self.after_p, "undefined"):
                keep &= np.isfinite(value).reshape(len(value), -1).all(axis=1)
            elif name in self.after_p:  # not a number where there is no p; but what is infinite has overflowed
                keep &= ~np.isinf(value).reshape(len(value), -1).any(axis=1)
        for name in (name for name in result if name in truth and name not in self.after_p):
            unsaid = np.isnan(scale.of(name))  # a bound that is none: what is divided by may be 0 up to rounding
            keep &= ~unsaid.reshape(len(unsaid), -1).any(axis=1) if unsaid.ndim else ~unsaid
        for unit in self.network.activated:
            name = unit.s.name
            every = tuple(range(1, result[name].ndim))
            if unit.activation.is_smooth:  # a first-order bound says nothing of phi(s') where rounding moves s' by > 1
                keep &= (self._bar * scale.of(f"{name}_new") <= 1).all(axis=every)
            for kink in unit.activation.kinks:
                s, true = result[name], truth[name]
                close = (np.abs(s - float(kink)) <= self._bar * scale.of(name)) & (s != true)
                keep &= ~close.any(axis=every)
        exact = (result[self.network.output.name] == truth[self.network.output.name]).all(
            axis=tuple(range(1, result[self.network.output.name].ndim))
        )
        for phi, array, _ in in_the_loss(self.network):
            for kink in phi.kinks:
                away = np.abs(result[array.name] - float(kink))
                shown = exact.reshape(-1, *(1,) * (away.ndim - 1))
                near = (~shown | (away > 0)) & (away <= self._bar * scale.of(array.name))
                keep &= ~near.any(axis=tuple(range(1, away.ndim)))
        return keep

    def _bound(self, name: str, result: Mapping[str, _Array], scale: Magnitude) -> _Array:
        """16 eps times the absolute terms; and what the oracle, a difference of two passes, can itself resolve."""
        bound = self._bar * scale.of(name)
        fine = ULPS * np.finfo(np.longdouble).eps
        if name[0] == "d" and name[1:] in result:
            bound = bound + fine * (scale.of(f"{name[1:]}_new") + scale.of(name[1:]))
            bound = bound + self._spread(name[1:], result, scale)
        if name.endswith("_new"):
            bound = bound + self._spread(name.removesuffix("_new"), result, scale)
        if name in ("p", "r") and not self.network.batch:
            last = self.network.hidden[-1].v
            moved = fine * (scale.of(last.primed.name) + scale.of(last.name))
            moved = moved + self._spread(last.name, result, scale)
            frozen = np.abs(result["vc"])
            ratio = np.divide(moved, frozen, out=np.zeros_like(moved), where=frozen > 0)
            bound = bound + scale.of(self.network.read_out.primed.name) * ratio[:, None]
        return np.asarray(bound)

    def _spread(self, value: str, result: Mapping[str, _Array], scale: Magnitude) -> Any:
        """What may separate two neighbouring cases of v, or y, where rounding of s' decides which one is taken."""
        unit = next((unit for unit in self.network.activated if unit.v.name == value), None)
        spread: Any = 0
        if unit is None:
            return spread
        after = result[unit.s.primed.name]
        for kink in unit.activation.kinks:
            rounding = self._bar * scale.of(unit.s.primed.name)
            spread = spread + np.where(np.abs(after - float(kink)) <= rounding, rounding, 0)
        return spread

    def _unclear_change(
        self, result: Mapping[str, _Array], truth: Mapping[str, _Array], scale: Magnitude,
        shape: tuple[int, ...], keep: _Array,
    ) -> _Array:  # fmt: skip
        """Where v^c = 0 and the change is 0 on one side and within rounding of 0 on the other."""
        if self.network.batch:  # one inverse for all: where it is nearly none, rounding decides whether there is one
            values = np.linalg.eigvalsh(np.where(np.isfinite(truth["K"]), truth["K"], 0).astype(np.float64))
            near = values[..., 0] <= 4 * np.finfo(self.dtype).eps ** 0.6 * values[..., -1]
            return np.broadcast_to(near[keep].reshape((-1,) + (1,) * (len(shape) - 1)), shape)
        last = increment_of(self.network.hidden[-1].v).name
        small = np.abs(truth[last]) <= self._bound(last, result, scale)
        unclear = ((result["vc"] == 0) & small & ((result[last] == 0) ^ (truth[last] == 0)))[keep]
        if len(shape) == unclear.ndim + 1:
            return np.broadcast_to(unclear[:, None], shape)
        return np.broadcast_to(unclear.any(axis=tuple(range(1, unclear.ndim)))[..., None], shape)

    def _cases(self, name: str, result: Mapping[str, _Array], shape: tuple[int, ...]) -> Iterator[tuple[str, _Array]]:
        """The rows of a quantity's report with the numbers that belong to each."""
        equation = self.derivation.by_name.get(name)
        if equation is None or not isinstance(equation.rhs, Cases):
            yield "all", np.ones(shape, dtype=bool)
            return
        for branch in equation.rhs:
            mask = np.ones(shape, dtype=bool)
            for condition in branch.when:
                assert isinstance(condition.subject, Ref)
                values = result[condition.subject.array.name]
                holds = {
                    ">": np.greater, "<=": np.less_equal, "=": np.equal, "!=": np.not_equal,
                }[condition.relation](values, float(condition.bound))  # fmt: skip
                mask &= holds if holds.ndim == mask.ndim else holds[:, None]
            yield branch.name, mask
        if equation.rule is Rule.CASES:
            unit = self.network.unit_of(equation.array)
            assert unit is not None
            s, after = result[unit.s.name], result[unit.s.primed.name]
            for kink in unit.activation.kinks:
                yield f"s = {kink}", s == float(kink)
                yield f"s' = {kink}", after == float(kink)
            value = np.abs(result[unit.v.name])
            yield "v^c near 0", (value > 0) & (value < 1e-2)

    def _record(
        self, name: str, case: str, error: _Array, bound: _Array, mask: _Array, inputs: Mapping[str, _Array]
    ) -> None:
        count = int(mask.sum())
        if not count:
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(mask, np.where(error == 0, 0, error / bound), -1)
        place = np.unravel_index(int(np.nanargmax(ratio)), ratio.shape)
        old = self.seen.get((name, case))
        where: dict[str, Any] = {"element": [int(n) + 1 for n in place[1:]]}
        if sum(value[0].size for value in inputs.values()) <= MAX_SHOWN:
            where |= {key: np.asarray(value[place[0]]).tolist() for key, value in inputs.items()}
        row = Row(name, case, count, float(error[place]), float(bound[place]), where)
        if old is not None:
            total = old.points + count
            best = row if row.ratio >= old.ratio else old
            row = Row(name, case, total, best.worst, best.bound, best.where)
        self.seen[name, case] = row

    def rows(self, demand_all: bool) -> tuple[Row, ...]:
        """Every quantity in the order of the derivation; cases without points, too, when they were to be reached."""
        rows: list[Row] = []
        for name in self.names:
            found = [row for (quantity, _), row in self.seen.items() if quantity == name]
            lacking = [
                Row(name, case, 0, 0.0, 0.0, {}, impossible)
                for (quantity, case), impossible in self.expected.items()
                if quantity == name and (quantity, case) not in self.seen and (demand_all or impossible)
            ]
            rows += [*found, *lacking]
        return tuple(rows)
