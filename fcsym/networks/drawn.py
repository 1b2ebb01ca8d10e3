"""A network draws itself: its units with their symbols, and a name on every weight where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from fcsym.drawing.picture import Picture, extent, framed, label, over_lines, rounded, spans
from fcsym.errors import ArgumentError
from fcsym.language.names import latex_array
from fcsym.networks.drawn_graph import draw_graph
from fcsym.networks.names import Named, flat_latex
from fcsym.networks.symbols import activation, input_array, output, pre_activation, weight

__all__ = ["draw"]

_COLUMN, _ROW, _MARGIN = 190, 78, 46
_MOST_UNITS, _MOST_COLUMNS, _MOST_NAMED = 6, 7, 3
_WIDEST = 62
"""A name that is wider does not fit on a line between two layers, or beside a unit."""


def draw(network: Named) -> Picture:
    """The network with the symbols of its derivation: x, s and v, y, and a name on every weight where they fit.

    Wide layers and deep networks are shown by their first and last parts, with what is left out said in numbers.
    Raises ArgumentError for anything that is no network.
    """
    if not hasattr(network, "layers") or not hasattr(network, "widths"):
        raise ArgumentError(f"draw got {type(network).__name__}: give a network, such as Network.parse('2-2-1').")
    if network.built is not None:
        return draw_graph(network)  # type: ignore[arg-type]
    depth = len(network.layers)
    columns = _first_and_last(depth + 1, _MOST_COLUMNS)
    shown = [None if layer is None else _first_and_last(network.widths[layer], _MOST_UNITS) for layer in columns]
    tallest = max(len(units) for units in shown if units is not None)
    width = 2 * _MARGIN + (len(columns) - 1) * _COLUMN + 70
    height = tallest * _ROW + 78
    places = [
        [(_MARGIN + 35 + n * _COLUMN, 24 + _ROW * (m + 0.5 + (tallest - len(units)) / 2)) for m in range(len(units))]
        if units is not None
        else [(_MARGIN + 35 + n * _COLUMN, 24 + _ROW * tallest / 2)]
        for n, units in enumerate(shown)
    ]

    def body() -> Iterator[str]:
        labels: list[str] = []
        for n, layer in enumerate(columns):
            before = columns[n - 1] if n else None
            if layer is not None and before is not None:
                units, below = shown[n], shown[n - 1]
                assert units is not None and below is not None
                yield from _edges(network, layer, (below, places[n - 1]), (units, places[n]), labels)
        yield from labels
        for n, layer in enumerate(columns):
            units = shown[n]
            if layer is None or units is None:
                yield label(places[n][0][0], places[n][0][1] + 6, "⋯")
                continue
            for unit, (x, y) in zip(units, places[n], strict=True):
                yield from [label(x, y + 6, "⋮")] if unit is None else _unit(network, layer, unit, x, y)
            yield from _caption(network, layer, places[n][0][0], height)

    sizes = ", ".join(map(str, network.widths[1:-1])) or "no"
    words = (
        f"The network {network}: {network.widths[0]} inputs x, {sizes} hidden units, "
        f"{network.widths[-1]} outputs y, every unit connected to every unit of the layer before."
    )
    return framed(width, height, f"The network {network}", words, body())


def _first_and_last(count: int, most: int) -> list[int | None]:
    """0 .. count-1, or the first and the last of them around a gap."""
    if count <= most:
        return list(range(count))
    return [*range(most - 3), None, count - 1]


def _symbol(network: Named, layer: int, unit: int) -> list[str]:
    """The names in a unit: s and v, or one of x and y."""
    if layer in (0, len(network.layers)):
        return [flat_latex(network, output(layer) if layer else input_array(), (unit,))]
    return [flat_latex(network, array, (unit,)) for array in (pre_activation(layer), activation(layer))]


def _unit(network: Named, layer: int, unit: int, x: float, y: float) -> Iterator[str]:
    names = _symbol(network, layer, unit)
    if len(names) == 1:
        yield f'<circle class="fc-unit" cx="{rounded(x)}" cy="{rounded(y)}" r="21"/>'
        yield label(x, y + 6, spans(names[0]))
    else:
        half = 33 if len(network.layers) == 2 else 40
        yield (
            f'<rect class="fc-unit" x="{rounded(x - half)}" y="{rounded(y - 21)}" width="{2 * half}" height="42" '
            'rx="21"/>'
            f'<path class="fc-frame" d="M{rounded(x)} {rounded(y - 21)}v42"/>'
        )
        yield label(x - half / 2 + 2, y + 6, spans(names[0]))
        yield label(x + half / 2 - 2, y + 6, spans(names[1]))
    if layer and network.layers[layer - 1].bias:
        array = network.bias(layer)
        place = (unit,) if array.axes else ()
        name = flat_latex(network, array, place)
        if extent(name) > _WIDEST:  # a reader's name
            name = latex_array(array, [str(n + 1) for n in place])
        yield f'<path class="fc-edge" d="M{rounded(x + 8)} {rounded(y - 33)}L{rounded(x)} {rounded(y - 21)}"/>'
        yield over_lines(x + 17, y - 29, spans(name))


def _edges(
    network: Named, layer: int,
    below: tuple[Sequence[int | None], Sequence[tuple[float, float]]],
    above: tuple[Sequence[int | None], Sequence[tuple[float, float]]],
    labels: list[str],
) -> Iterator[str]:  # fmt: skip
    """Lines, and the names that stand on them."""
    matrix = weight(layer)
    places = [(unit, source) for unit in above[0] for source in below[0] if unit is not None and source is not None]
    named = max(network.widths[layer - 1], network.widths[layer]) <= _MOST_NAMED
    named = named and max(extent(flat_latex(network, matrix, place)) for place in places) <= _WIDEST
    reach = 33 if len(network.layers) == 2 else 40
    for unit, (x2, y2) in zip(*above, strict=True):
        for source, (x1, y1) in zip(*below, strict=True):
            if unit is None or source is None:
                continue
            left = x1 + (reach if layer - 1 > 0 else 21)
            right = x2 - (reach if layer < len(network.layers) else 21)
            yield f'<path class="fc-edge" d="M{rounded(left)} {rounded(y1)}L{rounded(right)} {rounded(y2)}"/>'
            if named:
                # near its own end, where the lines of different units are apart
                crowded = network.widths[layer] + network.widths[layer - 1] > 4
                share = 0.5 if network.widths[layer] == 1 else 0.25 if crowded else 0.3
                x, y = right - share * (right - left), y2 - share * (y2 - y1)
                labels.append(over_lines(x, y + 5, spans(flat_latex(network, matrix, (unit, source)))))
    if not named:
        x = (below[1][0][0] + above[1][0][0]) / 2
        top = min(y for _, y in (*below[1], *above[1]))
        labels.append(over_lines(x, top - 26, spans(latex_array(matrix))))
        size = f"{network.widths[layer]} × {network.widths[layer - 1]}"
        labels.append(label(x, top - 10, escape(size), "fc-soft"))


def _caption(network: Named, layer: int, x: float, height: float) -> Iterator[str]:
    width = network.widths[layer]
    many = width > _MOST_UNITS
    count = f"{width} units" if many else ""
    if layer == 0:
        lines = [f"{width} inputs" if many else "input"]
    elif layer == len(network.layers):
        name = network.layers[-1].activation.name
        lines = [f"{width} outputs" if many else "output", "" if name == "identity" else name]
    else:
        lines = [f"layer {layer}", ", ".join(filter(None, (network.layers[layer - 1].activation.name, count)))]
    for n, line in enumerate(lines):
        if line:
            yield label(x, height - 34 + 17 * n, escape(line), "fc-soft")
