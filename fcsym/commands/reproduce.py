"""`fcsym reproduce`: the paper's experiment."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import Commands, number
from fcsym.commands.streams import DONE, progress, put, say, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("reproduce", help="the paper's XOR experiment and figure 3")
    parser.add_argument("-o", "--save", metavar="DIR", default="reproduction", help="where to write the files")
    parser.add_argument("--steps", type=int, default=1000, help="training steps (default 1000)")
    parser.add_argument("--eta", type=number, default=0.1, help="step size, such as 0.5 or 1/2 (default 0.1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default 0)")
    parser.add_argument("--no-figure", action="store_true", help="write CSV and JSON only")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.commands.folders import folder_for
    from fcsym.paper import experiment
    from fcsym.render import terminal

    if not options.no_figure:
        experiment.require_matplotlib()  # before the work, not after
    with folder_for(options.save) as folder, progress() as step:
        done = experiment.run(options.steps, options.eta, options.seed, step)
        written = experiment.write(done, folder, figure=not options.no_figure)
    figure = None if options.no_figure else str(written[-1])
    if options.json:
        put(json.dumps(done.document(figure)))
        return DONE
    show(
        terminal.table(
            f"XOR, 2-2-1, eta = {done.eta:g}, {options.steps} steps: worst errors over samples and orders",
            ("technique", "|backprop - front|", "paper", "front to exact", "backprop to exact", "diverged"),
            experiment.summary(done),
        ),
        terminal.table(
            f"Runs that leave the floating-point range within {experiment.DIVERGENCE_STEPS} steps, by step size",
            ("eta", "order", "runs", "diverged", "median of the largest factor of a step"),
            [
                [f"{d.eta:g}", d.order, str(d.runs), str(d.diverged), f"{d.largest_factor:.3g}"]
                for d in done.divergences
            ],
        ),
    )
    show(
        terminal.table(
            "r after n steps on random networks whose units stay active: |sum_j r_j v^c_j - y| / |y|",
            ("steps", "order", "formula", "networks", "median", "worst"),
            [[str(d.steps), d.order, d.formula, str(d.networks), f"{d.median:.1e}", f"{d.worst:.1e}"]
             for d in done.formulas],
        )
    )  # fmt: skip
    say(f"exact: {done.exact}")
    say(experiment.why())
    for path in written:
        say(f"written: {path}")
    return DONE
