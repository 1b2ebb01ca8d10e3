"""`fcsym cost`: what every scheme stores and computes."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fcsym.commands.options import Commands, network_of, network_options
from fcsym.commands.streams import DONE, put, show

if TYPE_CHECKING:
    from fcsym.closed.costs import Cost
    from fcsym.language.equation import Order
    from fcsym.networks.network import Network


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("cost", help="what every scheme stores and computes, as polynomials in the widths")
    network_options(parser)
    parser.add_argument("--inputs", type=int, default=1, help="distinct inputs, for history (default 1)")
    parser.set_defaults(pace=0.006, run=run)


def _collapsed(network: Network, order: Order, slope_at_kink: str | None, inputs: int) -> list[tuple[Cost, Cost]]:
    """The cost of `collapsed` on so many inputs, and of backpropagation on all of them; nothing where it is refused.

    A width of a layer that is summed over is its number of columns, the most that there can be.
    """
    from fcsym.closed.costs import cost
    from fcsym.errors import ArgumentError
    from fcsym.training import scheme

    given = {"batch": network.batch or "sum", "samples": network.samples or max(1, inputs)}
    try:
        own = scheme(network, "collapsed", order, slope_at_kink, **given)  # type: ignore[arg-type]
        reference = scheme(network, "backprop", order, slope_at_kink, **given)  # type: ignore[arg-type]
        return [(cost(own), cost(reference))]
    except ArgumentError:  # said by name where it is asked for
        return []


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
    references = [costs[0]] * len(costs)
    if all(c.scheme != "collapsed" for c in costs):
        for own in _collapsed(network, options.order, options.slope_at_kink, options.inputs):
            costs.append(own[0])
            references.append(own[1])
    rows = [
        {
            "scheme": c.scheme, "state": str(c.state), "operations": str(c.operations),
            "state_value": c.at(c.state, options.inputs), "operations_value": c.at(c.operations, options.inputs),
            "against_backprop": "" if c.scheme == "backprop" else compare(c, reference, options.inputs),
        }
        for c, reference in zip(costs, references, strict=True)
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
