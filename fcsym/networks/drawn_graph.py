"""A network of layers draws itself: a box for every layer, and arrows with what it passes on and in which shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from fcsym.drawing.picture import Picture, extent, framed, label, over_lines, rounded, spans
from fcsym.language.expression import Array, Role
from fcsym.language.names import latex_array
from fcsym.networks.graph import INPUT, Built

__all__ = ["draw_graph"]

_WIDE, _HIGH, _GAP, _ROW, _MARGIN = 156, 30, 34, 74, 30
_SKIP = 26  # how far an arrow that passes boxes by keeps from them
_MOST = 30
"""A network with more boxes is shown by its first and last ones."""


class Graph(Protocol):
    """What of a network its picture follows from."""

    @property
    def built(self) -> Built | None:
        """The forward equations."""

    def shape(self, array: Array) -> tuple[int, ...]:
        """The lengths of an array's axes."""


@dataclass(frozen=True, slots=True)
class _Box:
    """One layer, or one equation of one's own, with the activation that follows on it."""

    words: str
    reads: tuple[str, ...]
    array: Array  # what it passes on


def draw_graph(network: Graph) -> Picture:
    """The layers from the input down, each arrow with its array and its shape; what skips layers passes them by."""
    built = network.built
    assert built is not None
    boxes = {INPUT: _Box("input", (), built.input), **(_of_layers(built) if built.nodes else _of_equations(built))}
    depth: dict[str, int] = {}
    for name, box in boxes.items():
        depth[name] = 1 + max((depth[source] for source in box.reads), default=-1)
    left_out = max(0, max(depth.values()) + 1 - _MOST)
    gone = range(_MOST // 2, _MOST // 2 + left_out)
    rows = [row for row in range(max(depth.values()) + 1) if row not in gone]
    shown = {name: box for name, box in boxes.items() if depth[name] not in gone}
    by_row = {row: [name for name in shown if depth[name] == row] for row in rows}
    most = max(map(len, by_row.values()))
    middle = _MARGIN + _SKIP + (most * _WIDE + (most - 1) * _GAP) / 2
    places: dict[str, tuple[float, float]] = {}
    for place, row in enumerate(rows):
        names = by_row[row]
        start = middle - (len(names) * _WIDE + (len(names) - 1) * _GAP) / 2
        for n, name in enumerate(names):
            places[name] = start + n * (_WIDE + _GAP) + _WIDE / 2, _MARGIN + place * _ROW + _HIGH / 2
    lanes = _lanes(shown, {name: rows.index(depth[name]) for name in shown})
    width = 2 * middle + _SKIP * max([0, *lanes.values()]) + 60
    height = 2 * _MARGIN + (len(rows) - 1) * _ROW + _HIGH + 26

    def body() -> Iterator[str]:
        for name, box in shown.items():
            for source in box.reads:
                if source in places:
                    yield from _arrow(places[source], places[name], lanes.get((source, name), 0), middle)
        for name, box in shown.items():
            x, y = places[name]
            yield (
                f'<rect class="fc-unit" x="{rounded(x - _WIDE / 2)}" y="{rounded(y - _HIGH / 2)}" width="{_WIDE}" '
                f'height="{_HIGH}" rx="8"/>'
            )
            yield label(x, y + 5, escape(box.words), "fc-name")
            symbol = latex_array(box.array)
            shape = " × ".join(map(str, network.shape(box.array)))
            yield over_lines(x + 16, y + _HIGH / 2 + 21, spans(symbol))
            yield label(x + 26 + 0.6 * extent(symbol), y + _HIGH / 2 + 20, shape, "fc-soft fc-left")
        if left_out:
            y = _MARGIN + (_MOST // 2 - 0.5) * _ROW + _HIGH / 2
            yield label(middle - _WIDE / 3, y + 6, f"⋮ {left_out} rows")

    said = ", ".join(f"{box.words} gives {box.array.name} {_times(network, box.array)}" for box in boxes.values())
    return framed(width, height, f"The network {network}", f"The network {network}, layer by layer: {said}.", body())


def _times(network: Graph, array: Array) -> str:
    return " x ".join(map(str, network.shape(array)))


def _of_layers(built: Built) -> dict[str, _Box]:
    """A box for every layer with a number of its own; what follows on it without one shares its box."""
    readers: dict[str, int] = {}
    for node in built.nodes:
        for name in node.of:
            readers[name] = readers.get(name, 0) + 1
    boxes: dict[str, _Box] = {}
    within: dict[str, str] = {INPUT: INPUT}  # in which box a layer is
    for node in built.nodes:
        first = within[node.of[0]]
        kinds = ", ".join(phi.name for phi in node.layer.activations) if not node.layer.numbered else ""
        words = kinds or node.layer.kind
        given = "" if "layer " in node.name or "." in node.name else f"{node.name}: "
        array = built.passed[node.name]
        if not node.layer.numbered and first != INPUT and readers[node.of[0]] == 1:
            boxes[first] = _Box(f"{boxes[first].words}, {words}", boxes[first].reads, array)
            within[node.name] = first
            continue
        within[node.name] = node.name
        boxes[node.name] = _Box(f"{given}{words}", tuple(dict.fromkeys(within[name] for name in node.of)), array)
    return boxes


def _of_equations(built: Built) -> dict[str, _Box]:
    """A box for every forward equation."""
    names = {built.input: INPUT, **{equation.array: equation.name for equation in built.equations}}
    return {
        equation.name: _Box(
            equation.name,
            tuple(names[array] for array in equation.operands if array.role is not Role.PARAMETER),
            equation.array,
        )
        for equation in built.equations
    }


def _lanes(boxes: Mapping[str, _Box], row: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Arrows that pass rows by, each in a lane in which no other is at that height."""
    taken: list[list[range]] = []
    found: dict[tuple[str, str], int] = {}
    long = [(row[a], row[b], a, b) for b, box in boxes.items() for a in box.reads if a in row and row[b] > row[a] + 1]
    for start, end, source, name in sorted(long, key=lambda entry: entry[1] - entry[0]):
        own = range(start, end)
        free = next((n for n, lane in enumerate(taken) if not any(_meet(own, other) for other in lane)), len(taken))
        if free == len(taken):
            taken.append([])
        taken[free].append(own)
        found[source, name] = free + 1
    return found


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _arrow(start: Sequence[float], end: Sequence[float], lane: int, middle: float) -> Iterator[str]:
    """From below a box to above another, or past those in between."""
    (x1, y1), (x2, y2) = start, end
    if lane:
        out = 2 * middle - _MARGIN + _SKIP * (lane - 1)
        right1, right2 = x1 + _WIDE / 2, x2 + _WIDE / 2
        yield (
            f'<path class="fc-edge" d="M{rounded(right1)} {rounded(y1)}C{rounded(out)} {rounded(y1)} {rounded(out)} '
            f"{rounded(y1)} {rounded(out)} {rounded(y1 + 24)}V{rounded(y2 - 24)}C{rounded(out)} {rounded(y2)} "
            f'{rounded(out)} {rounded(y2)} {rounded(right2 + 6)} {rounded(y2)}"/>'
        )
        yield f'<path class="fc-edge" d="M{rounded(right2 + 8)} {rounded(y2 - 4)}l-7 4l7 4"/>'
        return
    low, high = y1 + _HIGH / 2, y2 - _HIGH / 2
    yield f'<path class="fc-edge" d="M{rounded(x1)} {rounded(low)}L{rounded(x2)} {rounded(high)}"/>'
    yield f'<path class="fc-edge" d="M{rounded(x2 - 4)} {rounded(high - 8)}l4 7l4 -7"/>'
