"""`fcsym cost`: what every scheme stores and computes."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import Commands, network_of, network_options
from fcsym.commands.streams import DONE, put, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("cost", help="what every scheme stores and computes, as polynomials in the widths")
    network_options(parser)
    parser.add_argument("--inputs", type=int, default=1, help="distinct inputs, for history (default 1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.closed.costs import compare, cost
    from fcsym.errors import ArgumentError
    from fcsym.render import terminal
    from fcsym.schemes import every_scheme

    if options.inputs < 0:
        raise ArgumentError(f"--inputs is {options.inputs}: give a whole number from 0.")
    network = network_of(options)
    costs = [cost(s) for s in every_scheme(network, options.order, options.slope_at_kink).values()]
    rows = [
        {
            "scheme": c.scheme, "state": str(c.state), "operations": str(c.operations),
            "state_value": c.at(c.state, options.inputs), "operations_value": c.at(c.operations, options.inputs),
            "against_backprop": "" if c.scheme == "backprop" else compare(c, costs[0], options.inputs),
        }
        for c in costs
    ]  # fmt: skip
    if options.json:
        put(json.dumps({
            "network": str(network), "order": options.order, "inputs": options.inputs,
            "schemes": {row["scheme"]: {k: v for k, v in row.items() if k != "scheme"} for row in rows},
        }))  # fmt: skip
        return DONE
    show(terminal.table(
        f"{network}, {options.order} order, m = {options.inputs} distinct inputs",
        ("scheme", "numbers of state", "operations per step", "state", "operations", "against backprop"),
        [[str(row[k]) for k in ("scheme", "state", "operations", "state_value", "operations_value", "against_backprop")]
         for row in rows],
    ))  # fmt: skip
    return DONE
