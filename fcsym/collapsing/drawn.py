"""Gate events over time, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from fcsym.collapsing.events import Event
from fcsym.drawing.chart import Line, Panel, chart
from fcsym.drawing.picture import Picture

__all__ = ["events_over_time"]


def events_over_time(events: Sequence[Event], steps: int, network: str) -> Picture:
    """The number of units that have crossed a kink, over the steps; a line for each layer that has events."""
    layers = sorted({event.layer for event in events})
    lines = []
    for number, layer in enumerate(layers or [1]):
        count, points = 0, [(0.0, 0.0)]
        for event in (e for e in events if e.layer == layer):
            points.append((float(event.step), float(count)))
            count += len(event.units)
            points.append((float(event.step), float(count)))
        points.append((float(max(steps, 1)), float(count)))
        lines.append(Line(f"layer {layer}", tuple(points), number))
    total = sum(len(event.units) for event in events)
    words = f"{total} units have crossed a kink in {steps} steps of {network}."
    return chart("Gate events", words, [Panel("units that have crossed a kink", tuple(lines))], "step", "units")
