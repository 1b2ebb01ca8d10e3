"""`fcsym claims`: the paper's claims, each with a number."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import Commands, network_of, network_settings
from fcsym.commands.streams import DONE, progress, put, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "claims", help="the paper's claims (i)-(vi), its induction and its headline, each with a number"
    )
    parser.add_argument("network", nargs="?", default="2-2-1", help="widths, or a network file (default 2-2-1)")
    network_settings(parser, order=False)
    parser.set_defaults(pace=0.5, run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.paper.claims import claims
    from fcsym.render import terminal

    network = network_of(options)
    if options.slope_at_kink is not None:
        network = network.with_slope_at_kink(options.slope_at_kink)
    with progress(8) as step:
        rows = claims(network, step)
    if options.json:
        put(json.dumps({"network": str(network), "rows": [row.as_dict() for row in rows]}))
        return DONE
    head = ("", "claim", "answer", "derived", "condition", "number")
    cells = [[r.label, r.text, r.answer.value, r.finding, r.condition, r.number] for r in rows]
    show(terminal.table(f"The paper's claims for {network}, sequential order", head, cells))
    return DONE
