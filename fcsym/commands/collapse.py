"""`fcsym collapse`: on which few numbers training closes, found by the engine."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import Commands, network_of, network_options
from fcsym.commands.streams import DONE, FAILED, put, say, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("collapse", help="on which few numbers training closes, whatever the widths")
    network_options(parser)
    parser.add_argument("--inputs", type=int, default=1, help="distinct inputs that training sees (default 1)")
    parser.add_argument(
        "--over", metavar="N[,N]...", help="the layers to sum over, 0 for the inputs (default: every choice is tried)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.collapsing import find_collapse
    from fcsym.render import terminal

    network = network_of(options)
    if options.slope_at_kink is not None:
        network = network.with_slope_at_kink(options.slope_at_kink)
    found = find_collapse(network, options.inputs, options.order, contracted=_layers(options.over))
    status = FAILED if found.closed and not found.proof.holds else DONE
    if options.json:
        put(json.dumps(found.as_dict()))
        return status
    document = found.as_dict()
    for title in ("given", "state", "read", "recursion", "forms", "constants"):
        for line in document.get(title, ()):
            say(f"{title.removesuffix('s')}: {line}")
    show(
        terminal.table(
            f"every choice of layers to sum over: {found.title}",
            ("summed over", "what the finder saw", "numbers of state", "at these widths"),
            [
                [c.layers, c.said, "" if c.closure is None else str(c.closure.size), str(c.numbers or "")]
                for c in found.choices
            ],
        )
    )
    say(found.conclusion)
    return status


def _layers(text: str | None) -> list[int] | None:
    from fcsym.errors import ArgumentError, shown

    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(f"--over is {shown(text)!r}: give numbers of layers such as 0,1.") from None
