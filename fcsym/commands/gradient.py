"""`fcsym gradient`: derivatives by name, derived, proved, shown, compiled and checked."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import Commands, check_options, network_of, network_options, trials_of
from fcsym.commands.reports import counts, equation_of, prove, row_of
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("gradient", help="derivatives by name, such as dE/dW1 and the Jacobian dy/dx")
    network_options(parser, order=False)
    check_options(parser)
    parser.add_argument("--of", default="E", metavar="E|y", help="what is differentiated: E (default), or y")
    parser.add_argument("--by", default="W1", metavar="NAME,...", help="parameters, such as W1, and x (default W1)")
    parser.add_argument("-o", "--save", metavar="FILE", help="write the derivation as well: .tex, .html, .pdf")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.checking.checker import check
    from fcsym.derivatives import gradient
    from fcsym.render import terminal
    from fcsym.render.save import writable

    if options.save is not None:
        writable(options.save)
    g = gradient(network_of(options), options.of, options.by, options.slope_at_kink)
    trials = trials_of(options, g)
    if options.trials is None and g.of != "E":  # as many numbers, which there are for every output
        trials = max(20, trials // g.network.widths[-1])
    prove(g)
    with progress() as step:
        report = check(g, trials, options.seed, progress=step)
    written = None if options.save is None else g.save(options.save)
    passed = g.proof.holds and report.passed
    if options.json:
        document = {
            "network": str(g.network), "of": g.of, "by": list(g.by), "results": [e.name for e in g.results],
            **counts(g.proof), "passed": passed, "checks": [row_of(row, "random") for row in report.rows],
            "left_out": report.left_out, "equations": [equation_of(g, name) for name in g.by_name],
        }  # fmt: skip
        if written is not None:
            document["file"] = str(written)
        put(json.dumps(document))
        return DONE if passed else FAILED
    open_ones = [] if g.proof.holds else [terminal.refutations(g.proof)]
    show(terminal.document(g), *open_ones, terminal.checks(report))
    if written is not None:
        say(f"written: {written}")
    proved = ", ".join(f"{verdict} {count}" for verdict, count in counts(g.proof).items() if count)
    agrees = "agrees" if report.passed else "DISAGREES"
    worst = report.worst
    say(
        f"{g.title}: {proved}; measured {report.points} numbers: the kernel {agrees} with autodiff, worst error "
        f"{worst.ratio:.2g} of its bound ({worst.quantity})."
    )
    return DONE if passed else FAILED
