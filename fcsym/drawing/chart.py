"""Charts of lines as SVG, in the style of `picture`. No mathematics happens here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10

from fcsym.drawing.picture import Picture, framed, label, rounded

__all__ = ["Line", "Panel", "bars", "chart"]

_WIDTH, _LEFT, _RIGHT, _TOP, _GAP, _KEY = 520, 62, 26, 52, 40, 22
_STYLE = """<style>
.fc-chart { --fc-l0: #0060a8; --fc-l1: #b8480a; --fc-l2: #6b7078; --fc-l3: #11744f; --fc-l4: #9b3f86;
  --fc-l5: #8a6a00; --fc-l6: #c0203f; --fc-l7: #4a5cc0; }
@media (prefers-color-scheme: dark) { .fc-chart { --fc-l0: #6cb2ee; --fc-l1: #f0905a; --fc-l2: #a4abb5;
  --fc-l3: #5cc39a; --fc-l4: #d890c8; --fc-l5: #d8b84a;
  --fc-l6: #ff7f96; --fc-l7: #9aa8ff; } }
.fc-chart path { fill: none; }
.fc-chart .fc-line { stroke-width: 1.3; stroke-linejoin: round; stroke-linecap: round; }
.fc-chart .fc-rule { stroke: var(--fc-line); stroke-width: 0.6; }
.fc-chart .fc-end { text-anchor: end; }
</style>"""
_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its points, where it is defined."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram."""

    title: str
    lines: tuple[Line, ...]


def chart(
    title: str, words: str, panels: Sequence[Panel], across: str, up: str, *, log: bool = False, log_up: bool = False,
    height: int = 150,
) -> Picture:  # fmt: skip
    """Panels below each other with one horizontal axis. `log`, `log_up`: which axis is logarithmic."""
    points = [point for panel in panels for line in panel.lines for point in line.points]
    across_all = [x for x, _ in points]
    xs = (min(across_all), max(across_all)) if log and min(across_all) < max(across_all) else _ends(across_all, log)
    key = list({line.name: line for panel in panels for line in panel.lines}.values())
    bottom = _TOP + len(panels) * (height + _GAP)
    rows = (len(key) + 1) // 2

    def body() -> Iterator[str]:
        yield _STYLE
        yield '<g class="fc-chart">'
        for n, panel in enumerate(panels):
            top = _TOP + n * (height + _GAP)
            ys = _ends([y for line in panel.lines for _, y in line.points], log_up)
            yield label(_LEFT, top - 10, escape(panel.title), "fc-name fc-left")
            yield from _ticks(xs, ys, top, height, (log, log_up), last=n == len(panels) - 1)
            for line in panel.lines:
                yield _curve(line, xs, ys, top, height, (log, log_up))
        yield label(_LEFT, 18, escape(up), "fc-soft fc-left")
        yield label(_LEFT + _WIDTH / 2, bottom - _GAP + 38, escape(across), "fc-soft")
        for n, line in enumerate(key):
            x, y = _LEFT + _WIDTH // 2 * (n % 2), bottom + 22 + _KEY * (n // 2)
            yield f'<path class="fc-line" d="M{x} {y - 4}h26" {_stroke(line)}/>'
            yield label(x + 34, y, escape(line.name), "fc-soft fc-left")
        yield "</g>"

    return framed(_LEFT + _WIDTH + _RIGHT, bottom + 14 + _KEY * rows, title, words, body())


def bars(title: str, words: str, rows: Sequence[tuple[str, float, str]], across: str) -> Picture:
    """Numbers around 1 as bars on a logarithmic axis: (name, number, what stands beside it), above 1 to the right."""
    left, width, step = 250, 330, 20
    ends = min(0.1, *(value for _, value, _ in rows)), max(10.0, *(value for _, value, _ in rows))

    def place(value: float) -> float:
        return left + width * _share(value, ends, True)

    def body() -> Iterator[str]:
        yield _STYLE
        yield '<g class="fc-chart">'
        bottom = _TOP + step * len(rows)
        for tick in _round_numbers(ends, True):
            kind = "fc-frame" if tick == 1 else "fc-rule"
            yield f'<path class="{kind}" d="M{rounded(place(tick))} {_TOP - 12}V{rounded(bottom)}"/>'
            yield label(place(tick), bottom + 18, _plain(tick), "fc-soft")
        for n, (name, value, beside) in enumerate(rows):
            y = _TOP + step * n
            colour = 0 if value >= 1 else 1
            yield label(left - 14, y + 4, escape(name), "fc-soft fc-end")
            across_bar = f"M{rounded(place(1))} {y}H{rounded(place(value))}"
            yield f'<path d="{across_bar}" stroke="var(--fc-l{colour})" stroke-width="9"/>'
            yield label(place(max(value, 1)) + 8, y + 4, escape(beside), "fc-soft fc-left")
        yield label(_LEFT, 18, escape(across), "fc-soft fc-left")
        yield "</g>"

    return framed(left + width + 200, _TOP + step * len(rows) + 34, title, words, body())


def _stroke(line: Line) -> str:
    dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
    return f'stroke="var(--fc-l{line.colour % _COLOURS})"{dashes}'


def _ends(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Both ends of an axis."""
    finite = [value for value in values if isfinite(value) and (value > 0 or not log)]
    if not finite:
        return (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        return min(finite), max(max(finite), min(finite) * 10)
    return min(0.0, *finite), max(finite) or 1.0


def _share(value: float, ends: tuple[float, float], log: bool) -> float:
    low, high = ends
    if log:
        value, low, high = log10(value), log10(low), log10(high)
    return (value - low) / (high - low)


def _curve(
    line: Line, xs: tuple[float, float], ys: tuple[float, float], top: float, height: float, logs: tuple[bool, bool]
) -> str:
    """The points joined, with a gap where one is not finite."""
    parts, pen = [], "M"
    for x, y in line.points:
        if not isfinite(y):
            pen = "M"
            continue
        across = _LEFT + _WIDTH * _share(x, xs, logs[0])
        down = top + height * (1 - _share(y, ys, logs[1]))
        parts.append(f"{pen}{rounded(across)} {rounded(down)}")
        pen = "L"
    if len(parts) == 1:  # a single step is a dot
        parts.append("h0")
    return f'<path class="fc-line" d="{"".join(parts)}" {_stroke(line)}/>'


def _ticks(
    xs: tuple[float, float], ys: tuple[float, float], top: float, height: float, logs: tuple[bool, bool], last: bool
) -> Iterator[str]:
    for value in _round_numbers(ys, logs[1]):
        y = top + height * (1 - _share(value, ys, logs[1]))
        yield f'<path class="fc-rule" d="M{_LEFT} {rounded(y)}h{_WIDTH}"/>'
        yield label(_LEFT - 8, y + 4, _plain(value), "fc-soft fc-end")
    yield f'<path class="fc-frame" d="M{_LEFT} {rounded(top)}v{rounded(height)}h{_WIDTH}"/>'
    if last:
        for value in _round_numbers(xs, logs[0]):
            x = _LEFT + _WIDTH * _share(value, xs, logs[0])
            yield f'<path class="fc-frame" d="M{rounded(x)} {rounded(top + height)}v5"/>'
            yield label(x, top + height + 19, _plain(value), "fc-soft")


def _round_numbers(ends: tuple[float, float], log: bool) -> list[float]:
    """Powers of ten, or multiples of 1, 2 or 5 times one: about seven between the ends."""
    low, high = ends
    if log:
        first, final = floor(log10(low) + 1 - 1e-9), floor(log10(high) + 1e-9)
        if final - first > 1:
            return [10.0**n for n in range(first, final + 1, 1 + (final - first) // 7)]
        between = [m * 10.0**n for n in range(first - 1, final + 1) for m in (1, 2, 5)]
        return [value for value in between if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    raw = (high - low) / 5
    unit = 10.0 ** floor(log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * (1 - 1e-9))
    return [n * step for n in range(floor(low / step + 1 - 1e-9), floor(high / step + 1e-9) + 1)]


def _plain(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
