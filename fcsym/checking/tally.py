"""What has been compared so far: errors beside their bounds, by quantity and case."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fcsym.checking.magnitude import Magnitude
from fcsym.checking.oracle import backpropagation
from fcsym.checking.points import Points, in_the_loss, on_one_sample
from fcsym.checking.report import ULPS, Row
from fcsym.language.activation import Activation
from fcsym.language.equation import Cases, Order, Rule
from fcsym.language.expression import Apply, Array, Ref, applied_in
from fcsym.networks.losses import loss_equations
from fcsym.networks.network import Network
from fcsym.networks.symbols import front_of, increment_of, one_sample

if TYPE_CHECKING:
    from fcsym.checking.subject import Derived

__all__ = ["MAX_SHOWN", "Both", "Computed", "Tally", "alike"]

_Array = npt.NDArray[Any]
MAX_SHOWN = 200  # numbers; the points of larger networks are found again by the seed


def alike(network: Network, points: Points) -> Points:
    """Points of one sample as a mini-batch that trains alike: of that sample, as often as there have to be samples."""
    count = network.samples or 1
    x, target = (np.repeat(array[:, None], count, axis=1) for array in (points.x, points.target))
    eta = points.eta / count if network.batch == "sum" else points.eta
    return points._replace(x=x, target=target, eta=eta)


class Computed(NamedTuple):
    """Points, every quantity of a step there by the kernel, and the absolute terms: the same for every oracle."""

    points: Points
    result: dict[str, _Array]
    scale: Magnitude


class Both(NamedTuple):
    """Points, every quantity of a step there by name from either side, the absolute terms, and which points count."""

    points: Points
    result: dict[str, _Array]
    truth: dict[str, _Array]
    scale: Magnitude
    keep: _Array


class Tally:
    """What has been seen so far, per quantity and case. `oracle`: what is compared with, in place of autograd."""

    def __init__(
        self, derivation: Derived, dtype: np.dtype[Any], oracle: Callable[..., dict[str, _Array]] | None = None
    ) -> None:
        self.oracle = oracle or backpropagation
        self.derivation, self.network, self.dtype = derivation, derivation.network, dtype
        front = front_of(self.network.logits).name
        self.names = [e.name for e in derivation.equations if e.defines]
        if not all(e.defines for e in derivation.equations):  # the compensation, where anything is to be compensated
            self.names.append(front)
        self.after_p = ("p", "r", "Ki", "mu", front)  # nan where a unit has no compensation
        self.seen: dict[tuple[str, str], Row] = {}
        self.left_out = 0

    @cached_property
    def expected(self) -> dict[tuple[str, str], bool]:
        """(quantity, case) => whether it is proved impossible; on points that are given, nobody asks."""
        result: dict[tuple[str, str], bool] = {}
        for equation in self.derivation.equations:
            if not isinstance(equation.rhs, Cases) or equation.rule is Rule.INTEGRAL:
                continue
            if self.network.built is not None and equation.rule is not Rule.CASES:
                continue  # whether what the read-out reads can be 0 is nothing that points can be aimed at there
            for branch in equation.rhs:
                possible = self.derivation.proof.case(equation.name, branch.name).possible
                result[equation.name, branch.name] = not possible
            unit = self.network.unit_of(equation.array)
            if equation.rule is Rule.CASES and unit is not None and unit.s.name in self.names:
                phi, kinks = unit.activation, unit.activation.kinks
                # exact steps of sums that weights can make anything, from an error that is a fraction
                exact = self.network.rule.is_plain and self._is_weighed(one_sample(unit.s))
                exact &= unit.s != self.network.logits or not self._rounds_in_the_loss
                for kink in kinks if exact else ():
                    if abs(kink) <= 2 and (2 * kink).denominator == 1:  # others are hit by chance, if at all
                        result[equation.name, f"s = {kink}"] = False
                        result[equation.name, f"s' = {kink}"] = False
                if any(phi.value_at(kink) == 0 for kink in kinks):
                    result[equation.name, "v^c near 0"] = False
        return result

    @cached_property
    def _rounds_in_the_loss(self) -> bool:
        """Whether the loss has an exponential or a logarithm: then the output itself moves by no exact number."""
        one = on_one_sample(self.network)  # a loss is written for one
        equations = loss_equations(self.network.loss, one.outputs.at_one(len(one.positions)))
        sides = (side for equation in equations for side in equation.expressions)
        return any(node.activation.is_smooth for side in sides for node in applied_in(side))

    def _is_weighed(self, s: Array) -> bool:
        """Whether a pre-activation has parameters of its own, which may make it anything."""
        built = self.network.built
        made = {e.array: e for e in built.equations} if built is not None else {}
        return s not in made or not {*self.network.parameters}.isdisjoint(made[s].operands)

    @cached_property
    def _inner_gates(self) -> list[tuple[Activation, Array]]:
        """What is decided within a layer, and no unit's pre-activation: an activation, and what it is applied to."""
        units = {array for unit in self.network.activated for array in (unit.s, unit.s.primed)}
        found = []
        for equation in self.derivation.equations:
            match equation.rhs:
                case Apply(phi, Ref() as argument) if phi.kinks:
                    if argument.array not in units and argument.array.name in self.names:
                        found.append((phi, argument.array))
        return found

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Cases that could occur and have not."""
        return [key for key, impossible in self.expected.items() if not impossible and key not in self.seen]

    def cases(self, name: str, result: Mapping[str, _Array]) -> Iterator[tuple[str, _Array]]:
        """The rows of a quantity's report with the elements of a result that belong to each."""
        return self._cases(name, result, np.shape(result[name]))

    def computed(self, kernel: Any, points: Points, names: Collection[str] = ()) -> Computed:
        """A batch by the kernel, and how far rounding may move each quantity, or those of some names alone."""
        if self.network.batch and points.x.ndim == len(self.network.input.axes):
            points = alike(self.network, points)
        made = points.astype(self.dtype)
        with np.errstate(all="ignore"):  # a point that overflows, or is at log 0, is left out later
            result = made.step(kernel)
            scale = Magnitude(self.derivation, self._inputs(made), result, self._bar, names)
        return Computed(made, {n: self._with_points(n, value, len(made.x)) for n, value in result.items()}, scale)

    def both(self, kernel: Any, order: Order, points: Points) -> Both:
        """A batch by the kernel and by the oracle, how far rounding may move each quantity, and where that is clear."""
        return self._beside(self.computed(kernel, points), order)

    def _beside(self, computed: Computed, order: Order) -> Both:
        made, result, scale = computed
        carried = dict(zip((a.name for a in self.network.memory), made.memory or (), strict=bool(made.memory)))
        with np.errstate(all="ignore"):
            truth = self.oracle(self.network, order, made.weights, *made[1:4], carried)
        truth = {name: self._with_points(name, value, len(made.x)) for name, value in truth.items()}
        return Both(made, result, truth, scale, self._clear(result, truth, scale))

    def compare(self, kernel: Any, order: Order, points: Points) -> None:
        """Run both sides on a batch."""
        self.compare_computed(self.computed(kernel, points), order)

    def compare_computed(self, computed: Computed, order: Order) -> None:
        """Run the oracle on a batch that the kernel has run on."""
        made, result, truth, scale, keep = self._beside(computed, order)
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
            for case, mask in self._cases(name, inputs | kept, error.shape):
                self._record(name, case, error, bound, mask, inputs)

    def _with_points(self, name: str, value: _Array, count: int) -> _Array:
        """A quantity with the axis of points, which a number does not have that is the same in all of them."""
        equation = self.derivation.by_name.get(name)
        alone = equation is not None and value.ndim == len(equation.array.axes)
        return np.broadcast_to(value, (count, *value.shape)) if alone else value

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
        """Points without overflow at which rounding decides no gate, not s' itself and not whether v^c is 0."""
        keep = np.ones(len(result[self.network.output.name]), dtype=bool)
        for name, value in result.items():
            if name not in (*self.after_p, "undefined"):
                keep &= ~_any(~np.isfinite(value))
            elif name in self.after_p:  # not a number where there is no p; but what is infinite has overflowed
                keep &= ~_any(np.isinf(value))
        for name in (name for name in result if name in truth and name not in self.after_p):
            unsaid = ~np.isfinite(scale.of(name))  # a bound that is none: what is divided by may be 0 up to rounding
            keep &= ~_any(unsaid) if unsaid.ndim else ~unsaid
        for unit in self.network.activated:
            before, after = unit.s.name, unit.s.primed.name  # an input, which is given, has neither
            if unit.activation.is_smooth and after in result:
                # a first-order bound says nothing of phi(s') where rounding moves s' by > 1
                keep &= ~_any(~(self._bar * scale.of(after) <= 1))
            for kink in unit.activation.kinks:
                if before in result:
                    s, true = result[before], truth[before]
                    close = (np.abs(s - float(kink)) <= self._bar * scale.of(before)) & (s != true)
                    keep &= ~_any(close)
                if after in result:
                    s, true = result[after], truth[after]
                    apart = (s > float(kink)) != (true > float(kink))  # what comes from there is on another piece
                    close = np.abs(s - float(kink)) <= self._bar * scale.of(after)
                    keep &= ~_any(apart & close)
        for phi, array in self._inner_gates:  # as of a largest value of two: the oracle has none of them
            for kink in phi.kinks:
                away, rounding = np.abs(result[array.name] - float(kink)), self._bar * scale.of(array.name)
                tie = (away == 0) & (rounding <= np.finfo(self.dtype).eps ** 0.5)  # of equals, not of what is unknown
                keep &= ~_any((away <= rounding) & ~tie)
        if "vc" in result and not self.network.places:  # which case of p holds, also where phi is 0 at no kink
            vc, true = result["vc"], truth["vc" if "vc" in truth else self.network.hidden[-1].v.name]
            close = np.abs(vc - true) <= self._bar * scale.of("vc")
            keep &= ~_any(close & ((vc == 0) != (true == 0)))
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
        lost = ULPS**2 * float(np.finfo(self.dtype).smallest_subnormal)  # what underflows has no digits
        bound = self._bar * scale.of(name) + lost
        fine = ULPS * np.finfo(np.longdouble).eps
        if name[0] == "d" and f"{name[1:]}_new" in result:
            bound = bound + fine * (scale.of(f"{name[1:]}_new") + scale.of(name[1:]))
            bound = bound + self._spread(name[1:], result, scale)
        if name.endswith("_new"):
            bound = bound + self._spread(name.removesuffix("_new"), result, scale)
        if name in ("p", "r") and not self.network.places:
            last = self.network.hidden[-1].v
            moved = fine * (scale.of(last.primed.name) + scale.of(last.name))
            moved = moved + self._spread(last.name, result, scale)
            frozen = np.abs(result["vc"])
            ratio = np.divide(moved, frozen, out=np.zeros_like(moved), where=frozen > 0)
            ratio = np.where((frozen > 0) & (frozen <= self._bar * scale.of("vc")), np.inf, ratio)  # v^c may be 0
            bound = bound + scale.of(self.network.read_out.primed.name) * ratio[:, None]
        elif name in ("ell", "p", "r") and name in self.derivation.by_name:
            bound = bound + self._lacked(name, result, scale, fine)
        return np.asarray(bound)

    def _lacked(self, name: str, result: Mapping[str, _Array], scale: Magnitude, fine: np.longdouble) -> _Array:
        """What the oracle resolves of ell, a difference of two passes at each place, and of the p for all of them."""
        (last,) = self.derivation.by_name["vc"].operands
        v, vc = result[last.primed.name], np.abs(result["vc"])
        moved = fine * (scale.of(last.primed.name) + scale.of(last.name)) + self._spread(last.name, result, scale)
        matrix = np.abs(result[self.network.read_out.primed.name])
        flat, rows = (*v.shape[:2], -1), (*matrix.shape[:2], -1)
        moved, vc, matrix = np.broadcast_to(moved, v.shape).reshape(flat), vc.reshape(flat), matrix.reshape(rows)
        lack = np.einsum("pkf,pnf->pnk", matrix, moved)
        if name == "ell":
            return np.asarray(lack)
        inverse = np.nan_to_num(np.abs(result["Ki"]))
        return np.asarray(np.einsum("pnm,pmk,pnf->pkf", inverse, lack, vc).reshape(result["p"].shape))

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
        if self.network.places:  # one inverse for all: where it is nearly none, rounding decides whether there is one
            values = np.linalg.eigvalsh(np.where(np.isfinite(truth["K"]), truth["K"], 0).astype(np.float64))
            near = values[..., 0] <= 4 * np.finfo(self.dtype).eps ** 0.6 * values[..., -1]
            near |= values[..., 0] <= self._bound("K", result, scale).max(axis=(-1, -2))
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
        unit = self.network.unit_of(equation.array)
        if equation.rule is Rule.CASES and unit is not None and unit.s.primed.name in result:
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
            expected = self.expected if demand_all else {}
            lacking = [
                Row(name, case, 0, 0.0, 0.0, {}, impossible)
                for (quantity, case), impossible in expected.items()
                if quantity == name and (quantity, case) not in self.seen
            ]
            rows += [*found, *lacking]
        return tuple(rows)


def _any(marked: _Array) -> _Array:
    """Of each point, whether one of its numbers is marked."""
    return np.asarray(marked.reshape(len(marked), -1).any(axis=1))
