"""How many digits are right: kernels beside exact numbers, in units in the last place.

    fcsym.accuracy(net)        one step beside rationals, training by every scheme beside balls of 1024 bits

A unit in the last place (ulp) is the distance between the floats next to the exact number; what is rounded once, and
rightly, is off by at most 1/2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.enclosures import available
from fcsym.checking.exact import Step, distance, trajectory, writes_out
from fcsym.checking.hard import HARD, ORDINARY, TAME
from fcsym.checking.points import Points, on_one_sample
from fcsym.checking.running import running_bounds
from fcsym.derivation import Derivation, derive
from fcsym.errors import ArgumentError, SizeError, UnsupportedExpression, shown
from fcsym.kernel.lower import resting_on_p
from fcsym.kernel.stored import fraction_of, once_rounded, trained
from fcsym.language.equation import Order, Rule
from fcsym.language.expression import applied_in
from fcsym.language.instance import Plans
from fcsym.networks.network import Network
from fcsym.schemes import every_scheme
from fcsym.training import Scheme
from fcsym.values.ball import Ball
from fcsym.values.exact import evaluated
from fcsym.values.given import Values
from fcsym.values.nested import fractions
from fcsym.values.path import path

__all__ = ["HEADINGS", "Accuracy", "Measured", "accuracy"]

_Array = npt.NDArray[Any]
STEP = "step"
HEADINGS = ("numbers", "median", "rounded once", "largest", "median, hard", "largest, hard", "of bound")
MOST_WEIGHTS = 5000
_AT_ONCE = 70  # points
_SHARE_OF_STEP = 0.6  # of the time
_NETWORKS = 8  # that a scheme trains
_SAMPLES = 2  # of a mini-batch: with more than there are hidden units, there is no p


@dataclass(frozen=True, slots=True)
class Measured:
    """One quantity: errors in units in the last place, on ordinary points and on hard ones."""

    subject: str  # "step", or the scheme that trained
    quantity: str
    numbers: int
    median: float | None  # on ordinary points; None where there are none
    once: float | None  # the median if everything were exact but for the numbers that are stored, each rounded once
    worst: float | None
    hard_median: float | None
    hard_worst: float | None
    of_bound: float | None  # the largest error in units of its running bound; None where none is finite
    exceeded: int  # how often the bound did not hold


@dataclass(frozen=True)
class Accuracy:
    """What `fcsym.accuracy` found."""

    network: str
    order: str
    trials: int
    steps: int
    seed: int
    rows: tuple[Measured, ...]
    gates: int  # how many gates were decided, before and after the step
    wrong_gates: int  # and how many of them by rounding, and wrongly
    left_out: int  # points of which some number overflowed, or no digits say what it is
    notes: tuple[str, ...] = ()
    errors: Mapping[tuple[str, str], tuple[list[float], list[float], list[float]]] = field(
        default_factory=dict, repr=False
    )
    """Every error by subject and quantity: on ordinary points, on hard ones, and of numbers that are rounded once."""

    @property
    def passed(self) -> bool:
        """Something was measured, and no bound was exceeded."""
        return bool(self.rows) and not any(row.exceeded for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def row(self, quantity: str, subject: str = STEP) -> Measured:
        """The figures of one quantity. Raises ArgumentError for one that was not measured."""
        found = next((row for row in self.rows if (row.subject, row.quantity) == (subject, quantity)), None)
        if found is None:
            raise ArgumentError(f"{shown(quantity)} of {shown(subject)} was not measured: see the rows.")
        return found

    @property
    def title(self) -> str:
        """What was measured."""
        return f"{self.network}, {self.order} order: errors in ulp"

    @property
    def conclusion(self) -> str:
        """The gates, what was left out, and what else there is to say."""
        gates = f"{self.wrong_gates} of {self.gates} gates decided wrongly by rounding"
        exceeded = sum(row.exceeded for row in self.rows)
        bound = f"a running bound was exceeded {exceeded} times" if exceeded else "no running bound was exceeded"
        left = f"{self.left_out} points left out, where something overflows or no digits say what it is"
        return " ".join((f"{gates}; {bound}; {left}.", *self.notes))

    @staticmethod
    def figures(row: Measured) -> tuple[str, ...]:
        """A row as text, by `HEADINGS`."""
        shown = (row.median, row.once, row.worst, row.hard_median, row.hard_worst, row.of_bound)
        return str(row.numbers), *("" if value is None else f"{value:.3g}" for value in shown)

    def __str__(self) -> str:
        lines = [self.title]
        for row in self.rows:
            said = zip(HEADINGS, self.figures(row), strict=True)
            lines.append(f"  {row.subject:12} {row.quantity:12} " + ", ".join(f"{h} {v}" for h, v in said if v))
        return "\n".join([*lines, self.conclusion])


@dataclass
class _Errors:
    """The errors of one quantity so far."""

    ordinary: list[float] = field(default_factory=list)
    hard: list[float] = field(default_factory=list)
    once: list[float] = field(default_factory=list)
    of_bound: float | None = None
    exceeded: int = 0

    def row(self, subject: str, quantity: str) -> Measured:
        middle, worst, hard_middle, hard_worst = (
            f(e) if e else None for e in (self.ordinary, self.hard) for f in (median, max)
        )
        count = len(self.ordinary) + len(self.hard)
        once = median(self.once) if self.once else None
        return Measured(
            subject, quantity, count, middle, once, worst, hard_middle, hard_worst, self.of_bound, self.exceeded
        )


def accuracy(
    network: Network, order: Order = "simultaneous", *, trials: int = 350, steps: int = 20, seed: int = 0,
    limit: float = 60.0, progress: Callable[[str], None] = lambda _: None,
) -> Accuracy:  # fmt: skip
    """Errors of a network's kernels in ulp: of every quantity of one step, and of training by each of its schemes.

    `trials`: points of a step, drawn from `seed`: ordinary ones, and ones that are hard (v^c near 0, s' near 0, tiny
    and huge eta, subnormal numbers, random bits). Each number is compared with its exact value, a rational, or a ball
    where a smooth function enters; beside it stands a running error bound, which must hold. `order`: "simultaneous" or
    "sequential". `steps`: how long schemes train beside balls of 1024 bits (`fcsym.checking.exact`), 0 for none.
    `limit`: after so many seconds measuring ends, and the report says so.
    A network that trains in mini-batches is given so many samples as it takes, or 2.
    Raises ArgumentError for what is no network, and numbers that are out of range, SizeError for a network that is too
    large for exact numbers.

    >>> found = accuracy(Network.parse("1-1-1"), trials=14, steps=0)
    >>> found.passed, found.row("y").of_bound <= 1
    (True, True)
    """
    if not isinstance(network, Network):
        raise ArgumentError(f"accuracy got {type(network).__name__}: give a network.")
    for name, value, least, most in (("trials", trials, 1, 10_000_000), ("steps", steps, 0, 100_000)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ArgumentError(f"{name} is {shown(value)}: give a whole number from {least} to {most}.")
    size = sum(math.prod(network.shape(theta)) for theta in network.parameters)
    if size > MOST_WEIGHTS:
        raise SizeError(
            f"{network} has {size} weights, and accuracy is measured in exact numbers up to {MOST_WEIGHTS}: take a "
            "narrower network, the equations are the same."
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"seed is {shown(seed)}: give a whole number from 0.")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < math.inf:
        raise ArgumentError(f"limit is {shown(limit)}: give a number of seconds above 0.")
    open_batch = network.batch and not network.samples
    network = replace(network, samples=_SAMPLES) if open_batch else network
    run = _Measuring(derive(network, order), seed, float(limit), progress)
    run.notes += [f"A mini-batch has {_SAMPLES} samples."] if open_batch else []
    run.step(trials)
    for name, record in every_scheme(network, order).items() if steps else ():
        run.scheme(name, Scheme.of(record), steps)
    rows = tuple(errors.row(*key) for key, errors in run.errors.items() if errors.ordinary or errors.hard)
    return Accuracy(
        str(network), order, trials, steps, seed, rows, run.gates, run.wrong, run.left_out, tuple(run.notes),
        {key: (errors.ordinary, errors.hard, errors.once) for key, errors in run.errors.items()},
    )  # fmt: skip


class _Measuring:
    """What has been measured so far."""

    def __init__(self, derivation: Derivation, seed: int, limit: float, progress: Callable[[str], None]) -> None:
        self.derivation, self.network, self.kernel = derivation, derivation.network, derivation.compile()
        self.alone = on_one_sample(self.network)  # for which points are made
        self.single = derive(self.alone, derivation.order).compile() if self.network.batch else self.kernel
        self.rng, self.start, self.limit, self.progress = np.random.default_rng(seed), time.monotonic(), limit, progress
        # P, which no kernel computes, would take most of the time: its terms have the longest fractions
        self.computed = tuple(e for e in derivation if e.rule is not Rule.INTEGRAL)
        self.may_be_undefined = resting_on_p(derivation)
        self.plans: Plans = {}
        self.errors: dict[tuple[str, str], _Errors] = {}
        self.gates = self.wrong = self.left_out = 0
        self.notes: list[str] = []

    def _late(self, share: float, what: str) -> bool:
        """Whether a share of the time is over."""
        if time.monotonic() < self.start + share * self.limit:
            return False
        self.notes.append(f"{share * self.limit:g} s were over {what}: the rest is not measured; see `limit`.")
        return True

    # ------------------------------------------------------------------------------------------------- one step

    def step(self, trials: int) -> None:
        """One step, on points of every kind."""
        smooth = _smooth_in(self.derivation)
        kinds = TAME if smooth else HARD
        if smooth:
            none = "" if available() else ", and no running bound without python-flint"
            self.notes.append(
                f"With {' and '.join(smooth)} points far out are not tried{none}: the digits of a smooth function have "
                "no end."
            )
        done = 0
        for start in range(0, trials, _AT_ONCE):  # every kind has its turn, whenever it ends
            shares = np.array_split(range(min(_AT_ONCE, trials - start)), len(kinds))
            for (kind, made), count in zip(kinds.items(), map(len, shares), strict=True):
                if not count:
                    continue
                self.progress(f"{kind}, {done} of {trials} points")
                points = self._points(made, count)
                with np.errstate(all="ignore"):
                    result = self._with_points(points.step(self.kernel), count)
                    bounds = running_bounds(self.derivation, self._inputs(points), result)
                for n in range(count):
                    if self._late(_SHARE_OF_STEP, f"after {done} of {trials} points"):
                        return
                    self._one(points, result, bounds, n, kind)
                    done += 1

    def _points(self, made: Callable[..., Points], count: int) -> Points:
        """So many networks; each with a mini-batch, where it takes one."""
        samples = self.network.samples
        points = made(self.alone, self.single, self.rng, max(count, samples))
        return (points.in_batches(samples) if samples else points).chosen(slice(count))

    def _with_points(self, result: dict[str, _Array], count: int) -> dict[str, _Array]:
        """Every quantity with the axis of points; how many samples there are has none."""
        axes = {e.name: len(e.array.axes) for e in self.computed if e.defines}
        return {
            name: np.broadcast_to(value, (count, *value.shape)) if value.ndim == axes.get(name) else value
            for name, value in result.items()
        }

    def _inputs(self, points: Points) -> dict[str, _Array]:
        found = dict(zip((theta.name for theta in self.network.parameters), points.weights, strict=True))
        count = len(points.x)
        for n, (array, value) in enumerate(self.network.memory.items()):
            at_rest = np.full((count, *self.network.shape(array)), float(value))
            found[array.name] = at_rest if points.memory is None else points.memory[n]
        return found | {"x": points.x, "yg": points.target, "eta": points.eta}

    def _one(self, points: Points, result: dict[str, _Array], bounds: dict[str, _Array], n: int, kind: str) -> None:
        """One point: every number of every quantity."""
        for name in bounds:
            found = result[name][n]
            if np.isinf(found).any() or (np.isnan(found).any() and name not in self.may_be_undefined):
                self.left_out += 1
                return
        inputs = self._inputs(points)
        values = Values(
            self.network, tuple(fractions(w[n]) for w in points.weights), fractions(points.x[n]),
            fractions(points.target[n]), Fraction(float(points.eta[n])),
            tuple(fractions(inputs[a.name][n]) for a in self.network.memory),
        )  # fmt: skip
        try:
            exact = evaluated(self.computed, values, plans=self.plans)
        except (UnsupportedExpression, OverflowError):  # digits do not say on which side of something a number is
            self.left_out += 1
            return
        for name in bounds:
            errors = self.errors.setdefault((STEP, name), _Errors())
            found = np.asarray(result[name][n]).ravel()
            limits = np.asarray(bounds[name][n]).ravel()
            for number, true, bound in zip(found, _flat(exact[name]), limits, strict=True):
                if true is None or np.isnan(number):
                    if (true is None) != bool(np.isnan(number)) and np.isfinite(bound):
                        errors.exceeded += 1
                    continue
                self._number(errors, float(number), true, bound, kind)
        if kind == ORDINARY:
            self._stored(values, exact, bounds)
        for unit in self.network.activated:
            for array in (unit.s, unit.s.primed):
                for kink in unit.activation.kinks:
                    for number, true in zip(np.ravel(result[array.name][n]), _flat(exact[array.name]), strict=True):
                        self.gates += 1
                        self.wrong += (float(number) > kink) != (fraction_of(true) > kink)

    def _stored(self, values: Values, exact: Mapping[str, Any], names: Iterable[str]) -> None:
        """The errors that are left where each equation is computed exactly from the numbers before it, and rounded."""
        with suppress(UnsupportedExpression, OverflowError):
            once = evaluated(self.computed, values, kind=once_rounded(), plans=self.plans)
            for name in names:
                for number, true in zip(_flat(once[name]), _flat(exact[name]), strict=True):
                    if number is not None and true is not None:
                        middle = fraction_of(true)
                        self.errors[STEP, name].once.append(_in_ulp(abs(number - middle), middle))

    def _number(self, errors: _Errors, number: float, true: Any, bound: Any, kind: str) -> None:
        middle = fraction_of(true)
        off = abs(Fraction(number) - middle)
        (errors.ordinary if kind == ORDINARY else errors.hard).append(_in_ulp(off, middle))
        if np.isfinite(bound):
            most = _in_full(bound) + (fraction_of(true.radius) if isinstance(true, Ball) else 0)
            errors.of_bound = max(errors.of_bound or 0.0, _ratio(off, most) if most else 0.0)
            errors.exceeded += off > most

    # ------------------------------------------------------------------------------------------------- many steps

    def scheme(self, name: str, scheme: Scheme, steps: int) -> None:
        """Training by a scheme, in ordinary networks, beside balls."""
        kernel = scheme.compile()
        self.progress(name)
        points = self._points(HARD[ORDINARY], _NETWORKS)
        inputs = points.x[:, None].repeat(steps, axis=1)
        if not scheme.single_input:
            inputs = self.rng.normal(size=inputs.shape)
        for n in range(_NETWORKS):
            if self._late(1.0, f"in {name}"):
                return
            weights = [w[n] for w in points.weights]
            norm = 1 + float(np.sum(inputs[n].reshape(steps, -1) ** 2, axis=-1).max())
            eta = float(points.eta[n]) / norm
            try:
                self._trained(name, kernel, weights, inputs[n], points.target[n], eta)
            except OverflowError:  # what it grows to has no exponential in exact numbers
                self.left_out += 1
            except UnsupportedExpression as problem:
                said = f"Training is not measured: {problem}"
                self.notes += [said] if said not in self.notes else []
                return

    def _stored_states(
        self, name: str, scheme: Any, weights: list[_Array], xs: _Array, target: _Array, eta: float
    ) -> None:  # fmt: skip
        """The errors that are left where only the state is rounded, after each step, and then what is read off it."""
        truth = list(self._truth(weights, xs, target, eta))
        exact = [("y", one.output) for one in truth]
        exact += [(f"{a.name} by expand", w) for a, w in zip(self.network.parameters, truth[-1].weights, strict=True)]
        with suppress(OverflowError, TypeError):  # what has no value, or none in range
            for (what, true), found in zip(exact, trained(scheme, weights, list(xs), target, eta), strict=True):
                self.errors[name, what].once += _beside(found, true)

    def _truth(self, weights: list[_Array], xs: _Array, target: _Array, eta: float) -> Iterator[Step]:
        """Training as it is: written out by hand where it is known so, and else by the equations in exact numbers."""
        inputs, targets = list(xs), [target] * len(xs)
        if writes_out(self.network):
            yield from trajectory(self.network, self.derivation.order, weights, inputs, targets, eta)
            return
        for output, now in path(self.network, self.derivation, weights, inputs, targets, eta):
            yield Step([*map(_middle, _flat(output))], [[*map(_middle, _flat(w))] for w in now])

    def _trained(self, name: str, kernel: Any, weights: list[_Array], xs: _Array, target: _Array, eta: float) -> None:
        truth = self._truth(weights, xs, target, eta)
        state = kernel.init(weights, xs[0], undefined="nan")
        outputs = self.errors.setdefault((name, "y"), _Errors())
        for x, before in zip(xs, truth, strict=False):
            _note(outputs, kernel.output(state, x, undefined="nan"), before.output)
            state = kernel.step(state, x, target, eta, undefined="nan")
        after = next(truth)
        _note(outputs, kernel.output(state, xs[-1], undefined="nan"), after.output)
        for theta, found, true in zip(
            self.network.parameters, kernel.expand(state, weights, xs[0]), after.weights, strict=True
        ):
            _note(self.errors.setdefault((name, f"{theta.name} by expand"), _Errors()), found, true)
        self._stored_states(name, kernel.scheme, weights, xs, target, eta)


def _note(errors: _Errors, found: Any, exact: Any) -> None:
    """The errors of numbers beside balls; one that is undefined, or overflows, says nothing."""
    errors.ordinary += _beside(found, exact)


def _beside(found: Any, exact: Any) -> Iterator[float]:
    for number, true in zip(np.ravel(found), _leaves(exact), strict=True):
        near = float(true.mid()) if hasattr(true, "mid") else float(true)
        if np.isfinite(number) and math.isfinite(near):
            off = distance(number, true)
            yield off / math.ulp(near) if near else math.inf if off else 0.0


def _smooth_in(derivation: Derivation) -> list[str]:
    """The smooth functions that a step computes, by their names."""
    found: dict[str, None] = {}
    for equation in derivation.equations:
        for side in equation.expressions:
            found |= {node.activation.name: None for node in applied_in(side) if node.activation.is_smooth}
    return list(found)


def _middle(value: Any) -> Fraction:
    """A ball's middle, whose radius is far below the last place of a float."""
    if value is None:
        raise UnsupportedExpression("A quantity has no value in exact numbers.")
    return fraction_of(value)


def _flat(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in _flat(part)] if isinstance(value, tuple) else [value]


def _leaves(value: Any) -> Iterator[Any]:
    for part in value if isinstance(value, Sequence) else [value]:
        if isinstance(part, Sequence):
            yield from _leaves(part)
        else:
            yield part


def _in_ulp(off: Fraction, exact: Fraction) -> float:
    """An error in units in the last place of the exact number; infinite where that is 0, or beyond the range."""
    try:
        return _ratio(off, Fraction(math.ulp(float(exact)))) if exact else math.inf if off else 0.0
    except OverflowError:
        return math.inf


def _in_full(bound: Any) -> Fraction:
    """A number in extended precision, exactly."""
    mantissa, exponent = np.frexp(bound)
    whole, place = int(np.ldexp(mantissa, 113)), int(exponent) - 113
    return Fraction(whole << place) if place >= 0 else Fraction(whole, 1 << -place)


def _ratio(a: Fraction, b: Fraction) -> float:
    """a / b rounded once, without the common divisors that nobody needs; infinite beyond the range."""
    try:
        return (a.numerator * b.denominator) / (a.denominator * b.numerator)
    except OverflowError:
        return math.inf
