"""`fcsym accuracy`: how many digits of a step, and of training by each scheme, are right."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict

from fcsym.commands.options import Commands, network_of, network_options, number
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("accuracy", help="errors in units in the last place, beside exact numbers and bounds")
    network_options(parser)
    parser.add_argument("--trials", type=int, default=350, help="points of a step, ordinary and hard (default 350)")
    parser.add_argument("--steps", type=int, default=20, help="training steps of each scheme (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the points (default 0)")
    parser.add_argument("--limit", type=number, default=60.0, help="seconds after which measuring ends (default 60)")
    parser.set_defaults(pace=0.1, run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.checking.ulps import HEADINGS
    from fcsym.precision import accuracy
    from fcsym.render import terminal

    network = network_of(options)
    if options.slope_at_kink is not None:
        network = network.with_slope_at_kink(options.slope_at_kink)
    with progress() as step:
        found = accuracy(
            network, options.order, trials=options.trials, steps=options.steps, seed=options.seed,
            limit=options.limit, progress=step,
        )  # fmt: skip
    if options.json:
        rows = [{key: _finite(value) for key, value in asdict(row).items()} for row in found.rows]
        put(json.dumps({
            "network": found.network, "order": found.order, "trials": found.trials, "steps": found.steps,
            "seed": found.seed, "rows": rows, "gates": found.gates, "wrong_gates": found.wrong_gates,
            "left_out": found.left_out, "notes": list(found.notes), "passed": found.passed,
        }))  # fmt: skip
        return DONE if found.passed else FAILED
    shown = [[row.subject, row.quantity, *found.figures(row)] for row in found.rows]
    show(terminal.table(found.title, ("of", "quantity", *HEADINGS), shown, texts=2))
    say(found.conclusion)
    return DONE if found.passed else FAILED


def _finite(value: object) -> object:
    """JSON has no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
