"""Derivatives by name against independent autodiff, on the points and under the bar of every other check."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.magnitude import Magnitude
from fcsym.checking.oracle import derivatives, second_derivatives
from fcsym.checking.points import EXACT, MAX_NUMBERS, NEAR, Points, draws, in_the_loss, on_one_sample
from fcsym.checking.report import ULPS, Report, Row
from fcsym.checking.subject import Differentiated
from fcsym.errors import SizeError
from fcsym.language.expression import Role
from fcsym.networks.symbols import direction_of

__all__ = ["check_gradient"]

_Array = npt.NDArray[Any]


def check_gradient(
    subject: Differentiated, trials: int, seed: int, dtype: npt.DTypeLike, points: Points | None,
    progress: Callable[[str], None],
) -> Report:  # fmt: skip
    """Every derivative of a list, from its kernel and from autodiff, in one row each; and one for points on kinks."""
    network = subject.network
    one = on_one_sample(network)
    rng, real = np.random.default_rng(seed), np.dtype(dtype)
    tally = _Tally(subject, real, seed)
    drawn = draws(one, rng, trials, float(np.finfo(real).eps)) if points is None else iter([("given", points)])
    for label, batch in drawn:
        progress(label)
        if network.batch and batch.x.ndim == len(network.input.axes):
            batch = batch.in_batches(network.samples or (2 if label == EXACT else 1 if label == NEAR else 3))
        for start in range(0, len(batch.x), tally.most):
            tally.compare(batch.chosen(slice(start, start + tally.most)).astype(real))
    rows = tuple(tally.seen.values())
    return Report(str(network), "", "", trials, seed, str(real), rows, tally.left_out, 1)


class _Tally:
    """What has been seen so far, per derivative."""

    def __init__(self, subject: Differentiated, dtype: np.dtype[Any], seed: int) -> None:
        self.subject, self.network = subject, subject.network
        sizes = self.network.sizes
        size = max(math.prod(sizes.get(axis, 3) for axis in e.array.axes) for e in subject.equations)
        if size > 10 * MAX_NUMBERS:
            raise SizeError(
                f"A derivative of {self.network} has {size:.2g} numbers, more than {10 * MAX_NUMBERS} at a single "
                "point: check a narrower network, the equations are the same."
            )
        self.most = max(1, MAX_NUMBERS // (2 * size))  # points at once: the oracle has twice the digits
        self.kernel = subject.compile()
        self.bar = ULPS * float(np.finfo(dtype).eps)
        self.seen: dict[tuple[str, str], Row] = {}
        self.rng = np.random.default_rng(seed)
        self.left_out = 0
        self.units = {a.name: a for e in subject.equations for a in e.operands if a.role is Role.UNIT}

    def compare(self, points: Points) -> None:
        """Run both sides on a batch."""
        with np.errstate(all="ignore"):  # a point that overflows is left out below
            named = dict(zip((a.name for a in self.network.parameters), points.weights, strict=True))
            inputs = named | {"x": points.x, "yg": points.target}
            along = {a.name: self._direction(np.asarray(inputs[a.name])) for a in self.subject.asked.along}
            given = {"along": along} if along else {}
            made = self.kernel.gradient(points.weights, points.x, points.target, undefined="nan", **given)._asdict()
            truth, passed = self._truth(points, along)
            inputs |= {direction_of(a).name: along[a.name] for a in self.subject.asked.along}
            units = {name: np.eye(self.network.sizes[a.axes[0]]) for name, a in self.units.items()}
            count = len(points.x)
            scale = Magnitude(self.subject, inputs | units, made, self.bar)
        keep, on_kink = self._clear(made, passed, scale)
        self.left_out += int((~keep).sum())
        for name, equation in zip(self.subject.by, self.subject.results, strict=True):
            true = truth[name]
            found = np.broadcast_to(made[equation.name], true.shape).astype(np.longdouble)
            bound = np.broadcast_to(self.bar * scale.of(equation.name), true.shape)
            fine = keep & (np.isfinite(true) & np.isfinite(found)).reshape(count, -1).all(axis=1)
            with np.errstate(invalid="ignore"):  # what is infinite on both sides is left out
                off = np.abs(found - true)
            for case, which in (("all", fine), ("at a kink", fine & on_kink)):
                self._record(equation.name, case, which, off, bound, inputs)

    def _truth(self, points: Points, along: dict[str, _Array]) -> tuple[dict[str, _Array], dict[str, _Array]]:
        first, by = self.subject.asked.first, self.subject.by
        if first is None and not along:
            return derivatives(self.network, self.subject.of, by, *points[:3])
        return second_derivatives(self.network, "" if first is None else first.name, along, by, *points[:3])

    def _direction(self, like: _Array) -> _Array:
        """Multiples of 1/4, so that products with what is exact are exact."""
        drawn: _Array = self.rng.integers(-8, 9, size=like.shape) / 4
        return drawn.astype(like.dtype)

    def _clear(self, made: Any, passed: dict[str, _Array], scale: Magnitude) -> tuple[_Array, _Array]:
        """Points at which rounding decides no gate, and those at which a unit is on a kink."""
        count = len(passed[self.network.output.name])
        keep, on = np.ones(count, bool), np.zeros(count, bool)
        for unit in self.network.activated:
            name = unit.s.name
            for kink in unit.activation.kinks if name in made else ():
                value, true = made[name], passed[name]
                close = (np.abs(value - float(kink)) <= self.bar * scale.of(name)) & (value != true)
                keep &= ~close.reshape(count, -1).any(axis=1)
                on |= (true == float(kink)).reshape(count, -1).any(axis=1)
        exact = (
            (made[self.network.output.name] == passed[self.network.output.name]).reshape(count, -1).all(axis=1)
            if self.network.output.name in made
            else keep
        )
        for phi, array, _ in in_the_loss(self.network):
            for kink in phi.kinks if array.name in made else ():
                away = np.abs(made[array.name] - float(kink))
                shown = exact.reshape(-1, *(1,) * (away.ndim - 1))
                near = (~shown | (away > 0)) & (away <= self.bar * scale.of(array.name))
                keep &= ~near.reshape(count, -1).any(axis=1)
        return keep, on

    def _record(self, name: str, case: str, which: _Array, error: _Array, bound: _Array, inputs: Any) -> None:
        if not which.any():
            return
        error, bound = error[which], bound[which]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error == 0, 0, error / bound)
        place = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        numbers = sum(value[0].size for value in inputs.values())
        where = {"element": [int(n) + 1 for n in place[1:]]} | (
            {} if numbers > 200 else {k: np.asarray(v[which][place[0]]).tolist() for k, v in inputs.items()}
        )
        row = Row(name, case, error.size, float(error[place]), float(bound[place]), where)
        old = self.seen.get((name, case))
        if old is not None:
            best = row if row.ratio >= old.ratio else old
            row = Row(name, case, old.points + row.points, best.worst, best.bound, best.where)
        self.seen[name, case] = row
