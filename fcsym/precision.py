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
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.enclosures import available
from fcsym.checking.exact import Step, trajectory, writes_out
from fcsym.checking.hard import HARD, ORDINARY, TAME
from fcsym.checking.points import Points, on_one_sample
from fcsym.checking.running import running_bounds
from fcsym.checking.ulps import STEP, Accuracy, Errors, Measured, beside, in_full, in_ulp, note, ratio
from fcsym.derivation import Derivation, derive
from fcsym.errors import ArgumentError, FcsymError, SizeError, UnsupportedExpression, shown
from fcsym.kernel.lower import resting_on_p
from fcsym.kernel.stored import fraction_of, once_rounded, trained
from fcsym.language.equation import Cases, Order, Rule
from fcsym.language.expression import applied_in
from fcsym.language.instance import Plans
from fcsym.language.work import work
from fcsym.networks.network import Network
from fcsym.schemes import every_scheme
from fcsym.schemes.record import SchemeRecord
from fcsym.training import Scheme
from fcsym.values.ball import Ball
from fcsym.values.exact import evaluated
from fcsym.values.given import Values
from fcsym.values.nested import fractions
from fcsym.values.path import path

__all__ = ["Accuracy", "Measured", "accuracy"]

_Array = npt.NDArray[Any]
MOST_WEIGHTS = 5000
MOST_TERMS = 100_000  # of one step: in exact numbers they take seconds
_AT_ONCE = 70  # points
_SHARE_OF_STEP = 0.6  # of the time
_NETWORKS = 8  # that a scheme trains
_SAMPLES = 2  # of a mini-batch: with more than there are hidden units, there is no p


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
    derivation = derive(network, order)
    terms = work([e for e in derivation if e.rule is not Rule.INTEGRAL], network.sizes).terms
    if terms > MOST_TERMS:
        raise SizeError(
            f"A step of {network} adds up {terms} terms, and accuracy is measured in exact numbers up to {MOST_TERMS}: "
            "take a narrower network or fewer samples, the equations are the same."
        )
    run = _Measuring(derivation, seed, float(limit), progress)
    run.notes += [f"A mini-batch has {_SAMPLES} samples."] if open_batch else []
    run.step(trials)
    for name, record in every_scheme(network, order).items() if steps else ():
        run.scheme(name, Scheme.of(record), steps)
    rows = tuple(errors.row(*key) for key, errors in run.errors.items() if errors.any)
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
        self.errors: dict[tuple[str, str], Errors] = {}
        self.gates = self.wrong = self.left_out = 0
        self.late = False  # whether all of the time is over
        self.notes: list[str] = []

    def _late(self, share: float, what: str) -> bool:
        """Whether a share of the time is over."""
        if time.monotonic() < self.start + share * self.limit:
            return False
        if not self.late:  # once: of what comes after it nothing is measured either
            self.notes.append(f"{share * self.limit:g} s were over {what}: the rest is not measured; see `limit`.")
            self.late = share == 1
        return True

    # ------------------------------------------------------------------------------------------------- one step

    def step(self, trials: int) -> None:
        """One step, on points of every kind."""
        smooth = _smooth_in(self.derivation)
        kinds = TAME if smooth else HARD
        if smooth:
            none = "" if available() else ", and no running bound without python-flint"
            self.notes.append(
                f"With {' and '.join(smooth)}, points far out are not tried{none}: the digits of a smooth function "
                "have no end."
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
            errors = self.errors.setdefault((STEP, name), Errors())
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
                for kink in unit.activation.kinks if array.name in bounds else ():  # what is given is exact
                    for number, true in zip(np.ravel(result[array.name][n]), _flat(exact[array.name]), strict=True):
                        if true is None:  # counted above, where the number is one
                            continue
                        self.gates += 1  # what is compared with is the float next to a kink
                        self.wrong += (float(number) > float(kink)) != (fraction_of(true) > kink)

    def _stored(self, values: Values, exact: Mapping[str, Any], names: Iterable[str]) -> None:
        """The errors that are left where each equation is computed exactly from the numbers before it, and rounded."""
        with suppress(UnsupportedExpression, OverflowError):
            once = evaluated(self.computed, values, kind=once_rounded(), plans=self.plans)
            for name in names:
                for number, true in zip(_flat(once[name]), _flat(exact[name]), strict=True):
                    if number is not None and true is not None:
                        middle = fraction_of(true)
                        self.errors[STEP, name].once.append(in_ulp(abs(number - middle), middle))

    def _number(self, errors: Errors, number: float, true: Any, bound: Any, kind: str) -> None:
        middle = fraction_of(true)
        off = abs(Fraction(number) - middle)
        (errors.ordinary if kind == ORDINARY else errors.hard).append(in_ulp(off, middle))
        if np.isfinite(bound):
            most = in_full(bound) + (fraction_of(true.radius) if isinstance(true, Ball) else 0)
            errors.of_bound = max(errors.of_bound or 0.0, ratio(off, most) if most else 0.0)
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
        problem: FcsymError | None = None
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
            except UnsupportedExpression as found:  # no value, or none that the digits say, of this network
                self.left_out += 1
                problem = found
        if problem is not None and not self.errors[name, "y"].any:
            self.notes.append(f"Training by {name} is not measured: {problem}")

    def _stored_states(
        self, name: str, scheme: Any, truth: Sequence[Step], weights: list[_Array], xs: _Array, target: _Array,
        eta: float,
    ) -> None:  # fmt: skip
        """The errors that are left where only the state is rounded, after each step, and then what is read off it."""
        exact = [("y", one.output) for one in truth]
        exact += [(f"{a.name} by expand", w) for a, w in zip(self.network.parameters, truth[-1].weights, strict=True)]
        with suppress(OverflowError, TypeError):  # what has no value, or none in range
            for (what, true), found in zip(exact, trained(scheme, weights, list(xs), target, eta), strict=True):
                self.errors[name, what].once += beside(found, true)
                if self._late(1.0, f"in {name}"):
                    return

    def _truth(self, weights: list[_Array], xs: _Array, target: _Array, eta: float) -> Iterator[Step]:
        """Training as it is: written out by hand where it is known so, and else by the equations in exact numbers."""
        inputs, targets = list(xs), [target] * len(xs)
        if writes_out(self.network):
            yield from trajectory(self.network, self.derivation.order, weights, inputs, targets, eta)
            return
        for output, now in path(self.network, self.derivation, weights, inputs, targets, eta):
            yield Step([*map(_middle, _flat(output))], [[*map(_middle, _flat(w))] for w in now])

    def _trained(self, name: str, kernel: Any, weights: list[_Array], xs: _Array, target: _Array, eta: float) -> None:
        truth, known = self._truth(weights, xs, target, eta), list[Step]()
        state = kernel.init(weights, xs[0], undefined="nan")
        outputs = self.errors.setdefault((name, "y"), Errors())
        always = not _has_undefined(kernel.scheme)
        for x, before in zip(xs, truth, strict=False):
            note(outputs, kernel.output(state, x, undefined="nan"), before.output, always)
            state = kernel.step(state, x, target, eta, undefined="nan")
            known.append(before)
            if self._late(1.0, f"in {name}"):
                return
        after = next(truth)
        note(outputs, kernel.output(state, xs[-1], undefined="nan"), after.output, always)
        for theta, found, true in zip(
            self.network.parameters, kernel.expand(state, weights, xs[0]), after.weights, strict=True
        ):
            note(self.errors.setdefault((name, f"{theta.name} by expand"), Errors()), found, true, always)
        self._stored_states(name, kernel.scheme, [*known, after], weights, xs, target, eta)


def _has_undefined(scheme: SchemeRecord) -> bool:
    """Whether a function of a scheme is undefined anywhere: no p exists there, or a unit has left its piece."""
    tables = (e.rhs for part in scheme.parts for e in part.equations if isinstance(e.rhs, Cases))
    return any(row.value is None for table in tables for row in table)


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
