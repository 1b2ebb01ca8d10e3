"""Frozen rows: small trajectories in exact numbers that together reach every case, for files to test themselves with.

A row is a network, one or two steps, the output after each and the weights at the end, evaluated on the derivation
itself by the exact interpreter (`instance`), not by any target. Rational numbers; where an activation is smooth, 50
digits. Numbers are drawn from a small lattice, so that pre-activations of exactly 0 and units that die and wake up are
common; a row is kept when it reaches a case, a piece or a kink that no row before it has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from fcsym.errors import ArgumentError
from fcsym.kernel.lower import in_numbers
from fcsym.language import smooth_functions
from fcsym.language.equation import Cases, Equation, functions_in
from fcsym.language.expression import Apply, Array, Axis, Expr
from fcsym.language.formulas import NoRealValue
from fcsym.language.instance import Element, Field, Instance, Plans
from fcsym.networks.symbols import frozen_copy
from fcsym.values.given import Values as Given
from fcsym.values.nested import numbers_in

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["LARGEST", "Exact", "Row", "frozen_rows"]

LARGEST = 5000
"""Networks with more weights get no rows: a file would be mostly numbers."""

_DRAWS = 150
_STEPS = 2
_SAMPLES = 3  # of a mini-batch
_RANGE = 1000
_BITS = 1 << 16
"""Rational numbers with more are no rows: their length is multiplied in every layer, and all that is kept is floats."""


class _Undefined(ArithmeticError):
    """A function has no value here, and nothing that rests on it has."""


class _TooLong(ArithmeticError):
    """An exact number has more digits than a row can use."""


def _product(factors: list[Any]) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    if isinstance(result, Fraction) and result.denominator.bit_length() > _BITS:
        raise _TooLong
    return result


Values = dict[str, dict[tuple[int, ...], Any]]
"""Numbers by the names of arrays, and positions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One trajectory. Arrays are flat, in row order; `undefined` says that the last step must be refused."""

    weights: tuple[tuple[float, ...], ...]
    x: tuple[tuple[Any, ...], ...]  # one per step: numbers in rows, as the input has axes; of a mini-batch by samples
    target: tuple[tuple[Any, ...], ...]
    eta: float
    y: tuple[tuple[float, ...], ...]  # the output on each step's input before it, and on the last one after it
    expanded: tuple[tuple[float, ...], ...]  # nothing where undefined
    undefined: bool
    reaches: tuple[str, ...]  # what no row before has


class Exact:
    """A scheme in exact numbers, with a record of the cases it came through."""

    def __init__(
        self, scheme: SchemeRecord, rounded: Callable[[float], Any] | None = None, field: Field | None = None
    ) -> None:  # fmt: skip
        self._own = field  # instead of the field that records cases
        self.rounded = rounded  # every number to a precision: do the same cases come up?
        self.scheme, self.network = scheme, scheme.network
        self.smooth = any(phi.is_smooth for phi in functions_in(scheme.base.equations))
        self.reached: set[str] = set()
        self._widths = scheme.network.widths
        self._parts: dict[str, tuple[Mapping[Array, Equation], set[Axis]]] = {}  # equations and axes, by function
        self._plans: dict[tuple[str, int], Plans] = {}  # by function, and how many inputs are stored
        self.samples = (self.network.samples or _SAMPLES) if self.network.batch else 0

    def again(self, rounded: Callable[[float], Any]) -> Exact:
        """The same scheme with every number rounded; it walks over no equation again."""
        other = Exact(self.scheme, rounded)
        other.samples = self.samples
        other._parts, other._plans = self._parts, self._plans
        return other

    def _field(self) -> Field:
        if self._own is not None:
            return self._own

        def number(value: Fraction) -> Any:
            if self.rounded:
                return self.rounded(float(value))
            return mpmath.mpf(value.numerator) / value.denominator if self.smooth else value

        def apply(node: Apply, where: Element, value: Any) -> Any:
            phi = node.activation
            if phi.is_smooth:
                result = smooth_functions.value(
                    phi, node.derivative, mpmath.mpf(float(value)) if self.rounded else value
                )
                return self.rounded(float(result)) if self.rounded else result
            at = _fraction(value)
            kind = "kink" if at in phi.kinks else "piece"
            self.reached.add(f"{where[0].name} on {kind} {phi.piece_at(at) + 1}")
            result = phi.slope_at(at) if node.derivative else phi.value_at(at)
            return number(result)

        def choose(cases: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
            for branch in cases:
                if all(condition.holds(_fraction(value(condition.subject))) for condition in branch.when):
                    self.reached.add(f"{where[0].name}: {branch.name}")
                    if branch.value is None and self.scheme.gates:
                        raise _Undefined
                    return None if branch.value is None else value(branch.value)
            raise ArithmeticError(f"No case of {where[0].name} holds.")

        return Field(number=number, divide=lambda a, b: a / b, apply=apply, choose=choose, mul=_product)

    def call(self, part: PartRecord, given: Values, rows: int = 0) -> Values:
        """The results of one of the four functions, `rows` inputs being stored."""
        instance = self.instance(part, given, rows)
        result: Values = {}
        for array in part.results:
            ranges = [range(instance.sizes[axis]) for axis in array.axes]
            result[array.name] = {at: instance.element(array, at) for at in product(*ranges)}
        return result

    def instance(self, part: PartRecord, given: Values, rows: int = 0) -> Instance:
        """Every element of one of the four functions, each as it is asked for."""
        if part.name not in self._parts:
            self._parts[part.name] = {e.array: e for e in in_numbers(part)}, _axes(part)
        equations, axes = self._parts[part.name]
        sizes = {axis: self.size(axis, rows) for axis in axes}
        field, scheme = self._field(), self.scheme
        constants = {array.name: (array, matrix) for array, matrix in scheme.constants.items()}

        def leaf(array: Array, at: tuple[int, ...]) -> Any:
            if array.name in constants:
                matrix = constants[array.name][1]
                return field.number(matrix[0][at[0]] if len(at) == 1 else matrix[at[0]][at[1]])
            return given[array.name][at]

        plans = self._plans.setdefault((part.name, rows), {})
        return Instance(equations, sizes, leaf, field, plans=plans)

    def size(self, axis: Axis, rows: int) -> int:
        """How long an axis is, where `rows` inputs are stored."""
        if axis.open:
            return self.samples or rows
        return self.network.sizes[axis]

    def init(self, weights: Sequence[Sequence[Fraction]], x: Sequence[Fraction]) -> Values:
        """The state of a conventional network, by array and position."""
        part = self.scheme.init
        given = self._arrays(self.network.parameters, weights) | self._arrays([self.network.input], [x])
        return self._state(self.call(part, given))

    def _arrays(self, arrays: Sequence[Array], values: Sequence[Sequence[Any]]) -> Values:
        field, result = self._field(), {}
        for array, numbers in zip(arrays, values, strict=True):
            shape = [self.size(axis, 0) for axis in array.axes]
            where = product(*map(range, shape)) if array.axes else [()]
            result[array.name] = {at: field.number(v) for at, v in zip(where, numbers, strict=True)}
        return result

    def _state(self, results: Values) -> Values:
        return {a.name: v for a, v in zip(self.scheme.state, results.values(), strict=True)}

    def step(self, state: Values, x: Sequence[Fraction], target: Sequence[Fraction], eta: Fraction) -> Values:
        """The state after one step; None for a number that is undefined."""
        part = self.scheme.step
        given = state | self._inputs(part, x) | {"eta": {(): self._field().number(eta)}}
        given |= self._arrays([a for a in part.given if a.name == "yg"], [target])
        if "X" in state:
            given |= _remember(state, given["x"], self.network.widths[1])
        return self._state(self.call(part, given, _rows(given)))

    def _inputs(self, part: PartRecord, x: Sequence[Fraction]) -> Values:
        return self._arrays(
            [a for a in part.given if a.name == "x"], [x] if "x" in {a.name for a in part.given} else []
        )

    def output(self, state: Values, x: Sequence[Fraction]) -> list[Any]:
        """The output of the network that the state stands for."""
        part = self.scheme.output
        return list(self.call(part, state | self._inputs(part, x), _rows(state))["y"].values())

    def expand(self, state: Values, weights: Sequence[Sequence[Fraction]], x: Sequence[Fraction]) -> list[list[Any]]:
        """The weights that backpropagation has."""
        part = self.scheme.expand
        named = [frozen_copy(a) for a in self.network.parameters]
        kept = [(a, w) for a, w in zip(named, weights, strict=True) if a in part.given and a not in self.scheme.state]
        given = state | self._inputs(part, x) | self._arrays([a for a, _ in kept], [w for _, w in kept])
        return [list(values.values()) for values in self.call(part, given, _rows(given)).values()]


def _rows(values: Values) -> int:
    return len({at[0] for at in values["X"]}) if "X" in values else 0


def _remember(state: Values, x: Mapping[tuple[int, ...], Any], units: int) -> Values:
    """X and C with a row for x, as targets do it."""
    rows = _rows(state)
    stored = [[state["X"][m, i] for i in range(len(x))] for m in range(rows)]
    if list(x.values()) in stored or not any(x.values()):
        return {}
    more = {(rows, i): value for (i,), value in x.items()}
    return {"X": state["X"] | more, "C": state["C"] | {(rows, j): 0 * x[(0,)] for j in range(units)}}


def _axes(part: PartRecord) -> set[Axis]:
    arrays = [*part.given, *part.results, *(a for e in part.equations for a in (e.array, *e.operands))]
    own = {axis for array in arrays for axis in array.axes}
    indices = {index.axis for e in part.equations for node in e.expressions for index in _indices(node)}
    return own | indices


def _indices(node: Expr) -> set[Any]:
    from fcsym.language.expression import indices_in

    return set(indices_in(node))


def _fraction(value: Any) -> Fraction:
    """A number of either kind as the fraction that it is."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, np.floating):
        return Fraction(float(value))
    mantissa, exponent = value.man_exp  # without the sign
    return (-1 if value < 0 else 1) * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


# ------------------------------------------------------------------------------------------------------ drawing


def frozen_rows(scheme: SchemeRecord, draws: int = _DRAWS, own: Given | None = None) -> list[Row]:
    """Rows that reach every case, piece and kink that random small networks reach; first one of a reader's numbers.

    Raises ArgumentError for numbers that are no row: where rounding decides a case, or numbers grow beyond the range.
    """
    network = scheme.network
    first = [] if own is None else [_of_reader(scheme, own)]
    size = sum(prod(network.shape(a)) for a in network.parameters)
    if size > LARGEST:
        return first
    rng, exact = random.Random(0), Exact(scheme)
    found: list[Row] = []
    known: set[str] = set()
    with mpmath.workdps(50):
        for _ in range(max(3, min(draws, 40 * draws // size))):
            exact.reached = set()
            row = _draw(exact, rng, known if found else None)
            if row is not None:
                new = exact.reached - known
                known |= new
                found.append(replace(row, reaches=tuple(sorted(new))))
                if not known:  # the first row, and it met nothing that is decided: no other row will
                    break
    return [*first, *found]


def _of_reader(scheme: SchemeRecord, own: Given) -> Row:
    """Two steps on the same numbers."""
    exact, network = Exact(scheme), own.network
    exact.samples = network.samples
    weights, (x, target) = [list(numbers_in(w)) for w in own.weights], ([*numbers_in(v)] for v in (own.x, own.target))
    with mpmath.workdps(50):
        row = _row(exact, weights, [x] * _STEPS, [target] * _STEPS, own.eta, None)
    if row is None:
        raise ArgumentError(
            f"The numbers are no test of a file: rounding decides a case there, they grow beyond {_RANGE}, or a "
            "quantity has no value there; take others, or leave them out."
        )
    return replace(row, reaches=("the numbers that were given",))


def _draw(exact: Exact, rng: random.Random, known: set[str] | None) -> Row | None:
    """A trajectory that reaches what is not known, or any; None for another, and for two kinds that say little.

    These are those that grow beyond what is compared in absolute terms, and those where rounding decides a case.
    """
    network = exact.network
    weights = []
    for array in network.parameters:  # about four numbers of a row are not 0: wide networks stay within range
        share = min(1.0, 4 / (network.shape(array) or (1,))[-1])
        size = prod(network.shape(array))
        weights.append([Fraction(rng.randint(-3, 3), 2) if rng.random() < share else Fraction(0) for _ in range(size)])
    count = exact.samples or 1
    one, goal = network.one_input, network.one_target
    x = [[Fraction(rng.randint(-2, 2)) for _ in range(count * prod(one))] for _ in range(_STEPS)]
    if exact.scheme.single_input:
        x = [x[0]] * _STEPS
    target = [[Fraction(rng.randint(-2, 2)) for _ in range(count * prod(goal))] for _ in range(_STEPS)]
    eta = Fraction(1, rng.choice([2, 4, 8, 64, 1024]))
    return _row(exact, weights, x, target, eta, known)


def _row(
    exact: Exact, weights: list[list[Fraction]], x: list[list[Fraction]], target: list[list[Fraction]], eta: Fraction,
    known: set[str] | None,
) -> Row | None:  # fmt: skip
    """These numbers as a row; None where they are none, as for `_draw`."""
    one, goal = exact.network.one_input, exact.network.one_target
    try:
        done = _train(exact, weights, x, target, eta)
    except (_TooLong, ZeroDivisionError, NoRealValue):  # as 1/y at y = 0 in the slope of a loss
        return None
    if done is None:
        return None
    outputs, expanded, undefined, steps = done
    if any(abs(value) > _RANGE for row in (*outputs, *expanded) for value in row):
        return None
    if known is not None and exact.reached <= known:
        return None
    noise = random.Random(0)

    def unsteady(value: float) -> Any:
        """The number in single precision, or one near it: what is divided by less than it was rounded by shows."""
        return np.float32(value * (1 + noise.choice((-1, 0, 1)) * 2**-20))

    probes: list[tuple[Callable[[float], Any], float]] = [(np.float32, 2e-5), (np.float64, 1e-13)]
    if exact.network.rule.divides:
        probes += [(unsteady, 1e-4)] * 3
    for precision, bar in probes:
        rounded = exact.again(precision)
        with np.errstate(all="ignore"):
            other = _train(rounded, weights, x, target, eta)
        if other is None or other[2] != undefined or rounded.reached != exact.reached:
            return None
        if not all(_near(own, true, bar) for own, true in zip(other[0] + other[1], outputs + expanded, strict=True)):
            return None  # on a kink, or where little is divided by less, rounding would decide what is right
    x, target = x[:steps], target[:steps]
    points, goals = _floats(x), _floats(target)
    each = (exact.samples,) if exact.samples else ()
    points, goals = (
        tuple(_shaped(step, (*each, *shape)) for step in steps) for steps, shape in ((points, one), (goals, goal))
    )
    start = _floats(weights), points, goals
    return Row(*start, float(eta), _floats(outputs), _floats(expanded), undefined, ())


def _train(
    exact: Exact, weights: Sequence[Sequence[Fraction]], x: Sequence[Sequence[Fraction]],
    target: Sequence[Sequence[Fraction]], eta: Fraction,
) -> tuple[list[Any], list[Any], bool, int] | None:  # fmt: skip
    """(outputs, weights at the end, whether the last step is undefined, steps); None where no step says so."""
    outputs: list[Any] = []
    try:
        state = exact.init(weights, x[0])
    except _Undefined:
        return None
    for n, (point, goal) in enumerate(zip(x, target, strict=True), 1):
        try:
            outputs.append(exact.output(state, point))
            state = exact.step(state, point, goal, eta)
        except _Undefined:
            return outputs, [], True, n
        if any(value is None for values in state.values() for value in values.values()):
            return outputs, [], True, n
    try:
        outputs.append(exact.output(state, x[-1]))
    except _Undefined:
        return None
    return outputs, exact.expand(state, weights, x[0]), False, len(x)


def _near(rounded: Sequence[Any], true: Sequence[Any], bar: float) -> bool:
    """Whether numbers are those of exact evaluation, but for rounding."""
    scale = max(1.0, *(abs(float(value)) for value in true))
    return all(abs(float(a) - float(b)) <= bar * scale for a, b in zip(rounded, true, strict=True))


def _shaped(numbers: Sequence[float], shape: Sequence[int]) -> tuple[Any, ...]:
    """Numbers in row order => the same in rows."""
    if len(shape) == 1:
        return tuple(numbers)
    size = len(numbers) // shape[0]
    return tuple(_shaped(numbers[k : k + size], shape[1:]) for k in range(0, len(numbers), size))


def _floats(rows: Sequence[Sequence[Any]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in rows)
