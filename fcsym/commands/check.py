"""`fcsym check`: the compiled step, or training by a scheme, beside autodiff."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import (
    Commands,
    Usage,
    check_options,
    derivation_of,
    network_of,
    network_options,
    trials_of,
    values_of,
    values_option,
)
from fcsym.commands.reports import conclusion, prove, scheme_conclusion, scheme_summary, summary, trained
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("check", help="compare the compiled step, or training by a scheme, with autodiff")
    network_options(parser)
    check_options(parser)
    parser.add_argument("--scheme", help="train by {schemes}")
    parser.add_argument("--target", default="numpy", help="{step targets}, without --scheme")
    values_option(parser, "compare on these numbers alone", shown=False)
    parser.add_argument(
        "--steps", type=int, help="training steps, with --scheme (default 100, fewer for deep networks)"
    )
    parser.set_defaults(pace=0.07, pace_of_scheme=0.1, run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.checking.checker import check
    from fcsym.checking.points import Points

    if options.scheme is not None:
        return _check_scheme(options)

    d = derivation_of(options)
    trials = trials_of(options, d)  # what is too large is said before the work
    values = values_of(options, d.network)
    points = None if values is None else Points.of(*values.floats())
    prove(d)
    with progress() as step:
        report = check(d, trials, options.seed, target=options.target, points=points, progress=step)
    passed = report.passed and d.proof.holds
    if options.json:
        put(json.dumps(summary(d, [report])))
    else:
        from fcsym.render import terminal

        show(terminal.checks(report))
        say(conclusion(d, [report], given=values is not None))
    return DONE if passed else FAILED


def _check_scheme(options: argparse.Namespace) -> int:
    from fcsym.render import terminal
    from fcsym.training import scheme

    if options.values is not None:
        raise Usage("--values is for a derivation here: leave --scheme out, or see the numbers with derive --scheme.")
    s = scheme(network_of(options), options.scheme, options.order, options.slope_at_kink)
    report, passed = trained(s, options, options.target)
    if options.json:
        put(json.dumps(scheme_summary(s, report, passed)))
        return DONE if passed else FAILED
    show(terminal.checks(report))
    say(scheme_conclusion(s, report))
    return DONE if passed else FAILED
