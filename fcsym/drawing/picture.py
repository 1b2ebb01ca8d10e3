"""Pictures as SVG: frames, names and maps of regions. No mathematics happens here.

Every picture brings its own colours, for light and dark, and its description for those who cannot see it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import hypot
from pathlib import Path

from fcsym.drawing.mathml import need_mathml, sentence
from fcsym.errors import ArgumentError, MissingTool
from fcsym.files import file_name, write_text
from fcsym.language.names import GREEK

__all__ = ["Picture", "Region", "extent", "framed", "label", "over_lines", "region_map", "rounded", "spans"]

_STYLE = """<style>
.fc-picture { --fc-paper: #ffffff; --fc-ink: #1d2129; --fc-soft: #69717d; --fc-line: #b9bfc8; --fc-unit: #eef2f6;
  --fc-0: #9fc3e4; --fc-1: #f3cd8c; --fc-2: #e2e2de; --fc-3: #b9d9aa; --fc-4: #d9c0e0; --fc-5: #f3b3ac;
  --fc-6: #7fcdbf; --fc-7: #c7a984; --fc-8: #f09fd0; --fc-9: #a9a6ea; --fc-10: #dbe070; --fc-11: #98a4b2;
  font-family: "Latin Modern Roman", "STIX Two Text", Charter, Georgia, serif; }
@media (prefers-color-scheme: dark) { .fc-picture { --fc-paper: #1a1e24; --fc-ink: #e4e6e9; --fc-soft: #a0a8b3;
  --fc-line: #4a525d; --fc-unit: #262d36; --fc-0: #2f5f8f; --fc-1: #86601f; --fc-2: #3a4048; --fc-3: #3f6b3a;
  --fc-4: #684a73; --fc-5: #87403a; --fc-6: #1a6e62; --fc-7: #6e5532; --fc-8: #8e3f72; --fc-9: #4a47a0;
  --fc-10: #6d7015; --fc-11: #55606e; } }
.fc-picture text { fill: var(--fc-ink); font-size: 17px; text-anchor: middle; }
.fc-picture .fc-soft { fill: var(--fc-soft); font: 12px system-ui, sans-serif; }
.fc-picture .fc-left { text-anchor: start; }
.fc-picture .fc-edge { stroke: var(--fc-line); stroke-width: 1.2; fill: none; }
.fc-picture .fc-unit { fill: var(--fc-unit); stroke: var(--fc-ink); stroke-width: 1.2; }
.fc-picture .fc-weight { font-size: 15px; }
.fc-picture .fc-halo { font-size: 15px; stroke: var(--fc-paper); stroke-width: 6px; stroke-linejoin: round; }
.fc-picture .fc-paper { fill: var(--fc-paper); }
.fc-picture .fc-frame { fill: none; stroke: var(--fc-soft); stroke-width: 1; }
.fc-picture .fc-border { fill: none; stroke: var(--fc-paper); stroke-width: 1.6; stroke-linecap: round; }
.fc-picture .fc-mark { fill: var(--fc-ink); stroke: var(--fc-paper); stroke-width: 2; }
.fc-picture .fc-name { font: 13px system-ui, sans-serif; }
</style>"""


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """An SVG, and the same in words."""

    svg: str
    words: str
    caption: tuple[tuple[bool, str], ...] = ()  # what stands below it: (True, LaTeX) or (False, plain text)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str | None:
        if not self.caption:
            return None  # the picture says it all
        try:
            need_mathml()
            return f"<figure>{self.svg}<figcaption>{sentence(self.caption)}</figcaption></figure>"
        except MissingTool:
            return None

    def __str__(self) -> str:
        return self.words

    def __repr__(self) -> str:
        return self.words

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file that ends in .svg; ArgumentError where that is not possible."""
        where = file_name(path)
        if where.suffix != ".svg":
            raise ArgumentError(f"{where} ends in {where.suffix or 'nothing'}: choose a name that ends in .svg.")
        return write_text(where, self.svg + "\n")


def framed(width: float, height: float, title: str, words: str, body: Iterator[str]) -> Picture:
    """What is drawn => the picture, with its own paper and colours."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fc-picture" viewBox="0 0 {rounded(width)} {rounded(height)}" '
        f'width="{rounded(width)}" height="{rounded(height)}" role="img" aria-label="{escape(words)}">'
    )
    paper = f'<rect class="fc-paper" width="{rounded(width)}" height="{rounded(height)}" rx="8"/>'
    parts = [opening, f"<title>{escape(title)}</title>", _STYLE, paper, *body, "</svg>"]
    return Picture("\n".join(parts), words)


def rounded(value: float) -> str:
    """A coordinate, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


# ------------------------------------------------------------------------------------------------------ symbols

_LETTERS = {r"\prime": "′", r"\varphi": "φ", **{rf"\{name}": letter for name, letter in GREEK.items()}}
_SCRIPTS = re.compile(r"(?P<base>.*?)(?:\^\{(?P<upper>.*?)\})?(?:_\{(?P<lower>.*)\})?", re.DOTALL)


def spans(latex: str) -> str:
    """A name in LaTeX as tspans: its letter in italics, what stands above and below smaller."""
    upright = latex.startswith(r"\mathrm")
    plain = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", latex)
    plain = re.sub(r"\\[A-Za-z]+", lambda found: _LETTERS[found[0]], plain).replace(r"\_", "_")
    found = _SCRIPTS.fullmatch(plain)
    assert found is not None
    style = "" if upright else ' font-style="italic"'
    result = f"<tspan{style}>{escape(found['base'])}</tspan>"
    moved = back = 0.0
    for part, shift in ((found["upper"], -7), (found["lower"], 4)):
        if part:
            # what stands below begins under what stands above
            result += (
                f'<tspan dx="{rounded(-back)}" dy="{rounded(shift - moved)}" font-size="72%">{escape(part)}</tspan>'
            )
            moved, back = shift, 5.2 * len(part.strip("()′")) + 4 * sum(c in "()" for c in part) + 3 * part.count("′")
    return result


def extent(latex: str) -> float:
    """About how wide a name is drawn; what stands above and below shares the room."""
    found = _SCRIPTS.fullmatch(re.sub(r"\\(?:mathrm\{([^{}]*)\}|[a-z]+)", lambda m: m[1] or "x", latex))
    assert found is not None
    return 8.0 * len(found["base"]) + 6.0 * max(len(found["upper"] or ""), len(found["lower"] or ""))


def label(x: float, y: float, inner: str, kind: str = "") -> str:
    """A text at a place; `inner` is escaped already."""
    return f'<text x="{rounded(x)}" y="{rounded(y)}"{f" class={kind!r}" if kind else ""}>{inner}</text>'


def over_lines(x: float, y: float, inner: str) -> str:
    """A name that can be read where lines cross it: first a wide shadow of it, then the name."""
    return label(x, y, inner, "fc-halo") + label(x, y, inner, "fc-weight")


# --------------------------------------------------------------------------------------------------------- maps

_SIDE, _LEFT, _TOP = 320, 62, 14
_COLOURS = 12


def _colour(n: int) -> str:
    """The n-th colour; after all of them come paler ones."""
    return f"var(--fc-{n % _COLOURS})" + (f'" fill-opacity="{0.5 ** (n // _COLOURS):g}' if n >= _COLOURS else "")


@dataclass(frozen=True, slots=True)
class Region:
    """Where one case holds: polygons in the unit square, and a place for its name, if there is room."""

    name: str
    polygons: tuple[tuple[tuple[float, float], ...], ...]
    label: tuple[float, float] | None
    share: float  # of the whole map


def region_map(
    title: str, words: str, regions: Sequence[Region], borders: Sequence[Sequence[tuple[float, float]]],
    axes: tuple[tuple[str, float, float], tuple[str, float, float]], caption: tuple[tuple[bool, str], ...],
    mark: tuple[float, float] | None = None,
) -> Picture:  # fmt: skip
    """Regions in a frame. `axes`: for each direction the name in LaTeX and both ends. `mark`: a point in the frame."""

    def at(point: tuple[float, float]) -> str:
        return f"{rounded(_LEFT + _SIDE * point[0])} {rounded(_TOP + _SIDE * (1 - point[1]))}"

    def body() -> Iterator[str]:
        for n, region in enumerate(regions):
            path = "".join(f"M{'L'.join(map(at, polygon))}z" for polygon in region.polygons)
            stroke = f' stroke="{_colour(n)}" stroke-width="0.7"' if n < _COLOURS else ""
            yield f'<path d="{path}" fill="{_colour(n)}"{stroke}/>'
        lines = "".join(f"M{'L'.join(map(at, border))}" for border in borders if _long_enough(border))
        yield f'<path class="fc-border" d="{lines}"/>'
        yield f'<rect class="fc-frame" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>'
        for region in regions:
            if region.label is not None:
                x, y = at(region.label).split()
                yield label(float(x), float(y) + 4, escape(region.name).replace("-&gt;", "→"), "fc-name")
        if mark is not None:
            x, y = at(mark).split()
            yield f'<circle class="fc-mark" cx="{x}" cy="{y}" r="6"/>'
        yield from _axis(axes)
        for n, region in enumerate(regions):
            left, base = _LEFT + 160 * (n % 2), _TOP + _SIDE + 74 + 22 * (n // 2)
            yield f'<rect x="{left}" y="{base - 10}" width="12" height="12" rx="2" fill="{_colour(n)}"/>'
            yield label(left + 18, base, escape(region.name).replace("-&gt;", "→"), "fc-soft fc-left")

    height = _TOP + _SIDE + 74 + 22 * ((len(regions) + 1) // 2)
    return replace(framed(_LEFT + _SIDE + 24, height, title, words, body()), caption=caption)


def _long_enough(border: Sequence[tuple[float, float]]) -> bool:
    return hypot(border[0][0] - border[1][0], border[0][1] - border[1][1]) > 1e-4


def _axis(axes: tuple[tuple[str, float, float], tuple[str, float, float]]) -> Iterator[str]:
    (across, left, right), (up, bottom, top) = axes
    for n in range(5):
        share = n / 4
        x, y = _LEFT + share * _SIDE, _TOP + _SIDE
        yield f'<path class="fc-frame" d="M{rounded(x)} {y}v5"/>'
        yield label(x, y + 19, f"{left + share * (right - left):g}".replace("-", "−"), "fc-soft")
        y_tick = _TOP + (1 - share) * _SIDE
        yield f'<path class="fc-frame" d="M{_LEFT} {rounded(y_tick)}h-5"/>'
        yield label(_LEFT - 20, y_tick + 4, f"{bottom + share * (top - bottom):g}".replace("-", "−"), "fc-soft")
    yield label(_LEFT + _SIDE / 2, _TOP + _SIDE + 42, spans(across))
    middle = _TOP + _SIDE / 2 + 5
    if extent(up) <= 32:
        yield label(_LEFT - 46, middle, spans(up))
    else:  # it would leave the picture
        turned = f'<text transform="rotate(-90 {_LEFT - 42} {rounded(middle)})"'
        yield label(_LEFT - 42, middle, spans(up)).replace("<text", turned, 1)
