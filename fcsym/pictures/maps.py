"""The map of cases: where in a plane of two numbers each case of a unit holds.

The compiled step says which case holds at a point. Cells whose corners agree are one colour; where they differ, the
crossing on each side of the cell is found by bisection, so that borders are as straight as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fcsym.drawing.picture import Picture, Region, region_map
from fcsym.errors import ArgumentError, CompileError, shown
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import Array, Ref, Role
from fcsym.language.spelling import exact
from fcsym.networks.names import flat_latex, flat_names, scalar_name

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable
    from fcsym.networks.network import Network

__all__ = ["arrays_of", "case_map", "case_maps", "default_plane", "numbers_of", "sample", "table_of", "value_ends"]

_CELLS = 96
_BISECTIONS = 16
_ROUNDING = 1e-12  # where all units below are dead, s' is 0 in a whole area, and s + ds is that but for rounding
_OFF_BORDERS = (3.1415926e-7, 7.2973525e-7)  # round numbers lie on kinks, where rounding would choose the case
_TRIED = 40  # samples from which the one is taken that shows most
_NUMBERS = 4_000_000  # at most so many at once

Point: TypeAlias = "tuple[float, float]"
Labels: TypeAlias = "npt.NDArray[np.int64]"
Scalars: TypeAlias = "Mapping[str, tuple[Array, tuple[int, ...]]]"
Plane: TypeAlias = "Callable[[npt.NDArray[np.float64]], Labels]"


def case_map(
    d: Readable, plane: Sequence[str] = ("x_1", "x_2"), unit: int = 1, *, layer: int | None = None,
    at: Mapping[str, float] | None = None, ends: Sequence[Sequence[float]] | None = None,
    mark: Sequence[float] | None = None,
) -> Picture:  # fmt: skip
    """Where each case of one hidden unit holds, over two of the numbers that enter a step.

    `plane`: their names, such as ("x_1", "x_2") or ("eta", "w_5"), as formulas or pictures show them. `layer`: which
    hidden layer, by default the last. `at`: values of other numbers; those that are not given are taken from the first
    of a few fixed samples that shows as many cases as possible. `ends`: both ends of each axis. `mark`: the two values
    of a point to mark.
    Raises ArgumentError for a name, unit, layer or value that does not exist, CompileError without a kernel.
    """
    equation = table_of(d, layer)
    scalars = numbers_of(d)
    names = plane_of(d, plane, scalars)
    width = d.network.sizes[equation.array.axes[-1]]
    if isinstance(unit, bool) or not isinstance(unit, int) or not 1 <= unit <= width:
        raise ArgumentError(f"There is no unit {shown(unit)}: it runs from 1 to {width}.")
    given = values_given(d, {} if at is None else at, names, scalars)
    spans = value_ends(ends, names)
    kernel = _Kernel(d, d.compile().step, equation, unit - 1, scalars, names)
    values = _sample(kernel, scalars, given, spans)
    regions, borders = _regions(equation, kernel.plane(values, spans))
    fixed = {name: value for name, value in values.items() if name not in names}
    title = f"Unit {unit} of layer {equation.array.layer}: cases over {names[0]} and {names[1]}"
    shares = ", ".join(f"{region.name} {100 * region.share:.0f} %" for region in regions)
    latex = {name: flat_latex(d.network, *place) for name, place in scalars.items()}
    caption = [(False, f"Unit {unit} of layer {equation.array.layer}, at ")]
    for name, value in fixed.items():
        caption += [(True, f"{latex[name]} = {value:g}"), (False, ", ")]
    axes = [(latex[name], low, high) for name, (low, high) in zip(names, spans, strict=True)]
    return region_map(
        title,
        f"{title}, at {', '.join(f'{name} = {value:g}' for name, value in fixed.items())}: {shares}.",
        regions,
        borders,
        (axes[0], axes[1]),
        (*caption[:-1], (False, f": {shares}.")),
        _mark(mark, spans),
    )


def _mark(mark: Sequence[float] | None, spans: tuple[Point, Point]) -> Point | None:
    """The two values => a place in the unit square; ArgumentError for one outside the map."""
    if mark is None:
        return None
    if isinstance(mark, str) or not isinstance(mark, Sequence) or len(mark) != 2:
        raise ArgumentError(f"mark is {shown(mark)!r}: give the two values of a point.")
    x, y = ((_real(value, "mark") - low) / (high - low) for value, (low, high) in zip(mark, spans, strict=True))
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ArgumentError(f"mark is {shown(mark)!r}, which is not on the map: give a point between its ends.")
    return x, y


def case_maps(d: Readable) -> tuple[Picture, ...]:
    """The maps of the first unit that a document shows: over the inputs, where there are two, and over eta and w.

    w is the unit's weight in the layer above. There are none for a derivation without case distinctions or kernel.
    """
    try:
        equation = table_of(d, None)
        scalars = numbers_of(d)
        inputs = [name for name, (array, _) in scalars.items() if array.role is Role.INPUT]
        planes = [tuple(inputs)] * (len(inputs) == 2)
        planes += [default_plane(equation, scalars)] if "eta" in scalars else []
        return tuple(case_map(d, plane) for plane in planes)
    except (ArgumentError, CompileError):
        return ()


def default_plane(equation: Equation, scalars: Scalars, unit: int = 1) -> tuple[str, str]:
    """Eta, and the first weight with which the layer above reads the unit."""
    axis = equation.array.axes[-1]
    above = next(
        (
            name
            for name, (array, place) in scalars.items()
            if array.role is Role.PARAMETER and len(array.axes) == 2 and array.axes[1] == axis and place[1] == unit - 1
        ),
        None,
    )
    if above is None:
        raise ArgumentError(f"No matrix reads the units of {equation.array.name}: name the two numbers of the plane.")
    return "eta", above


# ---------------------------------------------------------------------------------------------------- arguments


def table_of(d: Readable, layer: int | None) -> Equation:
    """The case distinction of a hidden layer's units."""
    hidden = {unit.v.axes[0] for unit in d.network.hidden}
    tables = [e for e in d.equations if e.rule is Rule.CASES and isinstance(e.rhs, Cases) and e.array.axes[0] in hidden]
    tables = [e for e in tables if len(e.array.axes) == 1]  # a map is that of a unit, not of one at a position
    chosen = [e for e in tables if layer is None or e.array.layer == layer]
    if not chosen:
        there = ", ".join(str(e.array.layer) for e in tables)
        none = "it needs a layer of units with a kink, and without positions"
        advice = f"choose one of the layers {there}" if there else none
        where = f"{d.network} has no cases" + ("" if layer is None else f" in layer {shown(layer, 20)}")
        raise ArgumentError(f"{where}: {advice}.")
    return chosen[-1]


def numbers_of(d: Readable) -> Scalars:
    """Every number that enters a step, by its name."""
    if d.network.batch or not d.network.rule.is_plain:
        raise ArgumentError(
            f"A map is that of a gradient step on one sample, and {d.network} trains otherwise: derive it without a "
            "rule and a batch."
        )
    defined = {e.array for e in d.equations if e.defines}
    operands = dict.fromkeys(array for e in d.equations for array in e.operands)
    arrays = [*d.network.parameters, *(a for a in operands if a not in defined and a not in d.network.parameters)]
    for array in arrays[len(d.network.parameters) :]:
        if array.name not in ("x", "yg", "eta"):
            raise ArgumentError(f"The derivation uses {array.name} and does not define it: there is no map of it.")
    return {
        scalar_name(d.network, array, place): (array, place)
        for array in arrays
        for place in product(*(range(length) for length in d.network.shape(array)))
    }


def plane_of(d: Readable, plane: Sequence[str], scalars: Mapping[str, object]) -> tuple[str, str]:
    """The names of two numbers, by which code knows them; ArgumentError for anything else."""
    if isinstance(plane, str) or not isinstance(plane, Sequence) or len(plane) != 2 or plane[0] == plane[1]:
        raise ArgumentError(f"plane is {shown(plane)!r}: give two different names, such as ('x_1', 'x_2').")
    also, asked = flat_names(d.network), plane
    plane = [also.get(name, name) if isinstance(name, str) else name for name in plane]
    if plane[0] == plane[1]:
        raise ArgumentError(f"plane is {shown(asked)!r}, two names of one number: give two different ones.")
    for name in plane:
        if not isinstance(name, str) or name not in scalars:
            raise ArgumentError(
                f"There is no number {shown(name)!r} to vary: choose two of {', '.join(list(scalars)[:40])}."
            )
    return plane[0], plane[1]


def values_given(
    d: Readable, at: Mapping[str, float], names: Sequence[str], scalars: Mapping[str, object]
) -> dict[str, float]:
    """Values by name, of numbers that are not among `names`; ArgumentError for anything else."""
    if not isinstance(at, Mapping):
        raise ArgumentError(f"at is {shown(at)!r}: give values by their names, such as {{'w_1': 0.5}}.")
    also = flat_names(d.network)
    at = {also.get(name, name): value for name, value in at.items()}
    for name in at:
        if name not in scalars or name in names:
            raise ArgumentError(f"at has {shown(name)!r}, which is no number that is held: leave it out.")
    return {name: _real(value, f"at[{name!r}]") for name, value in at.items()}


def _real(value: object, what: str) -> float:
    return float(exact(value, what, ArgumentError))


def value_ends(ends: Sequence[Sequence[float]] | None, names: Sequence[str]) -> tuple[Point, Point]:
    """Both ends of each axis: those given, or 0 to 1 for eta and -2 to 2 for everything else."""
    if ends is None:
        first, second = ((0.0, 1.0) if name == "eta" else (-2.0, 2.0) for name in names)
        return first, second
    try:
        (a, b), (e, f) = ends
    except (TypeError, ValueError):
        raise ArgumentError(f"ends is {shown(ends)!r}: give two ends for each axis, ((-2, 2), (0, 1)).") from None
    a, b, e, f = (_real(value, "an end") for value in (a, b, e, f))
    if not (a < b and e < f):
        raise ArgumentError(f"ends is {shown(ends)!r}: the first end of an axis must be less than the second.")
    return (a, b), (e, f)


# --------------------------------------------------------------------------------------------------- evaluation


def arrays_of(network: Network, scalars: Scalars, columns: Mapping[str, npt.NDArray[np.float64]]) -> tuple[Any, ...]:
    """One row of numbers per point => the arguments of a step, with one leading axis: weights, x, target, eta."""
    count = len(next(iter(columns.values())))
    arrays: dict[str, npt.NDArray[np.float64]] = {}
    for name, (array, place) in scalars.items():
        whole = arrays.setdefault(array.name, np.empty((count, *network.shape(array))))
        whole.reshape(count, -1)[:, _offset(place, network.shape(array))] = columns[name]
    weights = [arrays.pop(theta.name) for theta in network.parameters]
    return weights, arrays["x"], arrays["yg"], arrays["eta"]


class _Kernel:
    """The number of the case that holds, at many points at once."""

    def __init__(
        self, d: Readable, step: Any, equation: Equation, unit: int,
        scalars: Scalars, names: tuple[str, str],
    ) -> None:  # fmt: skip
        self.network, self.step, self.equation, self.unit = d.network, step, equation, unit
        self.scalars, self.names = scalars, names
        self.weights = sum(prod(d.network.shape(theta)) for theta in d.network.parameters)

    def cases(self, columns: Mapping[str, npt.NDArray[np.float64]]) -> Labels:
        """One row of numbers per point => the number of the branch that holds there."""
        count = len(next(iter(columns.values())))
        at_once = max(1, _NUMBERS // self.weights)
        parts = [
            self._some({name: column[n : n + at_once] for name, column in columns.items()})
            for n in range(0, count, at_once)
        ]
        return np.concatenate(parts)

    def _some(self, columns: Mapping[str, npt.NDArray[np.float64]]) -> Labels:
        count = len(next(iter(columns.values())))
        given = arrays_of(self.network, self.scalars, columns)
        parameters = {theta.name: value for theta, value in zip(self.network.parameters, given[0], strict=True)}
        with np.errstate(all="ignore"):  # a step may overflow somewhere in the plane; what is infinite has its case too
            after = self.step(*given, undefined="nan")
        assert isinstance(self.equation.rhs, Cases)
        labels = np.full(count, -1)
        for n, branch in enumerate(self.equation.rhs):
            holds = np.ones(count, dtype=bool)
            for condition in branch.when:
                assert isinstance(condition.subject, Ref)
                name, bound = condition.subject.array.name, float(condition.bound)
                value = (parameters[name] if name in parameters else getattr(after, name))[..., self.unit]
                on_it = np.abs(value - bound) <= _ROUNDING * np.abs(value).max(initial=1.0)
                holds &= _RELATIONS[condition.relation](np.where(on_it, bound, value), bound)
            labels[holds] = n
        return labels

    def plane(self, values: Mapping[str, float], spans: tuple[Point, Point]) -> Plane:
        """Points of the unit square => cases."""

        def labels(points: npt.NDArray[np.float64]) -> Labels:
            columns = {name: np.full(len(points), value) for name, value in values.items()}
            for n, (name, (low, high)) in enumerate(zip(self.names, spans, strict=True)):
                columns[name] = low + (high - low) * (points[:, n] + _OFF_BORDERS[n])
            return self.cases(columns)

        return labels


def _offset(place: Sequence[int], shape: Sequence[int]) -> int:
    """The number of an element in row order."""
    return int(np.ravel_multi_index(tuple(place), tuple(shape))) if shape else 0


_RELATIONS: Mapping[str, Callable[[Any, float], Any]] = {
    ">": lambda value, bound: value > bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
    "!=": lambda value, bound: value != bound,
}


def sample(d: Readable, equation: Equation, unit: int, names: tuple[str, str], given: Mapping[str, float],
           spans: tuple[Point, Point]) -> dict[str, float]:  # fmt: skip
    """Values for every number, those of the plane included, at which a map shows as much as possible."""
    scalars = numbers_of(d)
    return _sample(_Kernel(d, d.compile().step, equation, unit - 1, scalars, names), scalars, given, spans)


def _sample(
    kernel: _Kernel, scalars: Mapping[str, object], given: Mapping[str, float], spans: tuple[Point, Point]
) -> dict[str, float]:  # fmt: skip
    """Values for all numbers: of a few fixed samples the first that shows most cases in areas one can see."""
    if len(given) + len(kernel.names) == len(scalars):
        return dict(given)  # nothing is left to be drawn
    best: tuple[float, dict[str, float]] | None = None
    coarse = (np.indices((15, 15)).reshape(2, -1).T + 0.5) / 15
    for seed in range(_TRIED if kernel.weights <= 500 else 3):
        random = Random(seed)
        drawn = {name: round(random.choice((-1, 1)) * random.uniform(0.3, 1.5), 1) for name in scalars}
        values = drawn | ({"eta": 0.3} if "eta" in scalars else {}) | dict(given)
        found = np.bincount(kernel.plane(values, spans)(coarse) + 1)
        score = float(np.sum(np.minimum(found / len(coarse), 0.12)))
        if best is None or score > best[0] + 1e-12:
            best = (score, values)
    assert best is not None
    return best[1]


# ----------------------------------------------------------------------------------------------------- geometry


def _regions(equation: Equation, plane: Plane) -> tuple[list[Region], list[tuple[Point, Point]]]:
    """The plane => the polygons of each case, and the borders between them."""
    assert isinstance(equation.rhs, Cases)
    ticks = np.arange(_CELLS + 1) / _CELLS
    corners = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = plane(corners).reshape(_CELLS + 1, _CELLS + 1)
    crossings = _crossings(grid, plane)
    polygons: dict[int, list[tuple[Point, ...]]] = {}
    borders: list[tuple[Point, Point]] = []
    for row in range(_CELLS):
        start = 0
        for column in range(_CELLS + 1):
            mixed = column < _CELLS and len({int(grid[column + a, row + b]) for a in (0, 1) for b in (0, 1)}) > 1
            ends = column == _CELLS or mixed or grid[column, row] != grid[start, row]
            if ends and column > start:
                left, right, low, high = (n / _CELLS for n in (start, column, row, row + 1))
                polygons.setdefault(int(grid[start, row]), []).append(
                    ((left, low), (right, low), (right, high), (left, high))
                )
            if ends:
                start = column
            if mixed:
                _cell(column, row, grid, crossings, polygons, borders)
                start = column + 1
    regions = []
    for number, branch in enumerate(equation.rhs):
        if number in polygons:
            share = float(sum(map(_area, polygons[number])))
            regions.append(Region(branch.name, tuple(polygons[number]), _label(grid == number), share))
    return regions, borders


_SIDES = ((0, 0), (1, 0), (1, 1), (0, 1))  # the corners of a cell, once around


def _crossings(grid: Labels, plane: Plane) -> dict[tuple[int, int, int, int], Point]:
    """For every side of a cell whose ends differ, the place where the case changes."""
    sides = [
        (a, b, a + da, b + db)
        for a in range(_CELLS + 1)
        for b in range(_CELLS + 1)
        for da, db in ((1, 0), (0, 1))
        if a + da <= _CELLS and b + db <= _CELLS and grid[a, b] != grid[a + da, b + db]
    ]
    if not sides:
        return {}
    ends = np.array(sides, dtype=float) / _CELLS
    low, high = ends[:, :2], ends[:, 2:]
    first = grid[tuple(np.array(sides).T[:2])]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        same = (plane(middle) == first)[:, None]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return {side: (float(x), float(y)) for side, (x, y) in zip(sides, (low + high) / 2, strict=True)}


def _cell(
    column: int, row: int, grid: Labels, crossings: Mapping[tuple[int, int, int, int], Point],
    polygons: dict[int, list[tuple[Point, ...]]], borders: list[tuple[Point, Point]],
) -> None:  # fmt: skip
    """Once around a cell: what lies between two crossings belongs to one case."""
    around: list[tuple[Point, int | None]] = []  # (point, case of a corner, or None for a crossing)
    for (a, b), (e, f) in pairwise((*_SIDES, _SIDES[0])):
        here, there = (column + a, row + b), (column + e, row + f)
        around.append(((here[0] / _CELLS, here[1] / _CELLS), int(grid[here])))
        if grid[here] != grid[there]:
            around.append((crossings[min(here, there) + max(here, there)], None))
    first = next(n for n, (_, case) in enumerate(around) if case is None)
    around = around[first:] + around[: first + 1]
    places = [n for n, (_, case) in enumerate(around) if case is None]
    points = [around[n][0] for n in places[:-1]]
    centre = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    for begin, end in pairwise(places):
        case = around[begin + 1][1]
        assert case is not None
        arc = [point for point, _ in around[begin : end + 1]]
        polygons.setdefault(case, []).append(tuple(arc if len(points) == 2 else [*arc, centre]))
    borders += [(points[0], points[1])] if len(points) == 2 else [(point, centre) for point in points]


def _area(polygon: Sequence[Point]) -> float:
    return abs(sum(x * q - p * y for (x, y), (p, q) in pairwise((*polygon, polygon[0])))) / 2


def _label(inside: npt.NDArray[np.bool_]) -> Point | None:
    """The place farthest from everything else, if a name fits there."""
    size = inside.shape[0]
    distance = np.where(inside, -1, 0)
    waiting = deque((a, b) for a in range(size) for b in range(size) if not inside[a, b])
    for a, b in product(range(size), repeat=2):
        if inside[a, b] and (a in (0, size - 1) or b in (0, size - 1)):
            distance[a, b] = 1
            waiting.append((a, b))
    while waiting:
        a, b = waiting.popleft()
        for p, q in _neighbours(a, b, size):
            if distance[p, q] < 0:
                distance[p, q] = distance[a, b] + 1
                waiting.append((p, q))
    best = np.unravel_index(int(np.argmax(distance)), distance.shape)
    across, up = int(best[0]), int(best[1])
    room = 17  # cells to either side: half the width of a name
    if distance[across, up] < 6 or not inside[max(0, across - room) : across + room + 1, up].all():
        return None
    return min(max(across, room), size - 1 - room) / _CELLS, up / _CELLS


def _neighbours(a: int, b: int, size: int) -> Iterator[tuple[int, int]]:
    for p, q in ((a - 1, b), (a + 1, b), (a, b - 1), (a, b + 1)):
        if 0 <= p < size and 0 <= q < size:
            yield p, q
