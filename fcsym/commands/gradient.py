"""`fcsym gradient`: derivatives by name, first and second, derived, proved, shown, compiled, checked and in numbers."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from fcsym.commands.numbers import as_float, at_place, exactly, exactly_or_rounded, mapped, rows_of, shown_with
from fcsym.commands.options import (
    Commands,
    Usage,
    check_options,
    digits_of,
    network_of,
    network_options,
    trials_of,
    values_of,
    values_option,
)
from fcsym.commands.reports import counts, equation_of, prove, row_of
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show

if TYPE_CHECKING:
    from fcsym.derivatives import Gradient
    from fcsym.values import Values


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("gradient", help="derivatives by name, such as dE/dW1 and the Jacobian dy/dx")
    network_options(parser, order=False)
    check_options(parser)
    parser.add_argument(
        "--of", default="E", metavar="E|y|dE_dW1", help="what is differentiated: E (default), y, dE_dW1"
    )
    parser.add_argument(
        "--by", action="append", metavar="NAME,...",
        help="parameters, such as W1, and x (default: the first one); twice for second derivatives, one by one",
    )  # fmt: skip
    parser.add_argument(
        "--along", metavar="NAME,...", help="Hessian-vector products: directions TW1, ... of these are multiplied"
    )
    values_option(parser, "the derivatives in numbers")
    parser.add_argument("-o", "--save", metavar="FILE", help="write the derivation as well: .tex, .html, .pdf")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.checking.checker import check
    from fcsym.derivatives import gradient
    from fcsym.networks.symbols import direction_of, one_sample
    from fcsym.render import terminal
    from fcsym.render.save import writable

    if options.save is not None:
        writable(options.save, certifiable=False)
    network = network_of(options)
    of, by = _asked(options, network.parameters[0].name)
    g = gradient(network, of, by, options.slope_at_kink, along=options.along)
    directions = [direction_of(array) for array in g.asked.along]
    values = values_of(options, g.network, directions=directions, needs_eta=False)
    trials = trials_of(options, g)
    if options.trials is None:  # as many numbers, which there are for every output and of second derivatives
        trials = max(20, trials // math.prod(g.network.shape(one_sample(g.asked.root))))
    prove(g)
    with progress() as step:
        report = check(g, trials, options.seed, progress=step)
    if values is not None:
        g = _with_values(g, values, options)
    written = None if options.save is None else g.save(options.save)
    passed = g.proof.holds and report.passed
    if options.json:
        document = {
            "network": str(g.network), "of": g.of, "by": list(g.by), "along": list(g.along),
            "results": [e.name for e in g.results],
            **counts(g.proof), "passed": passed, "checks": [row_of(row, "random") for row in report.rows],
            "left_out": report.left_out, "equations": [equation_of(g, name) for name in g.by_name],
        }  # fmt: skip
        if values is not None:
            from fcsym.values import exact_step

            exact, digits = exact_step(g, values), digits_of(options)
            shown = {e.name: exact[e.name] for e in g.results}
            document["values"] = {name: mapped(value, as_float) for name, value in shown.items()}
            document["exact"] = {
                n: mapped(value, lambda v: exactly_or_rounded(v, digits)) for n, value in shown.items()
            }
        if written is not None:
            document["file"] = str(written)
        put(json.dumps(document))
        return DONE if passed else FAILED
    open_ones = [] if g.proof.holds else [terminal.refutations(g.proof)]
    show(terminal.document(g), *open_ones, terminal.checks(report))
    if values is not None:
        show(_in_numbers(g, values, digits_of(options)))
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


def _asked(options: argparse.Namespace, first: str) -> tuple[str, str]:
    """What is differentiated by what: --by W1 --by W2 is --of dE_dW1 --by W2; E by the first parameter."""
    by: list[str] = options.by or [first]
    if len(by) == 1:
        return options.of, by[0]
    if len(by) > 2 or "," in by[0] or options.of.strip() != "E" or options.along is not None:
        raise Usage("--by twice is for second derivatives of E: give one name first, then those to go on with.")
    return f"dE_d{by[0].strip()}", by[1]


def _with_values(g: Gradient, values: Values, options: argparse.Namespace) -> Gradient:
    """The equations with the numbers put in; without them where they are too many, but for a file."""
    from fcsym.errors import SizeError

    try:
        return g.with_values(values, digits_of(options))
    except SizeError:
        if options.save is not None:
            raise
        return g


def _in_numbers(g: Gradient, values: Values, digits: int) -> Any:
    """The derivatives that were asked for, exactly, rounded and from the kernel."""
    from fcsym.render import terminal
    from fcsym.values import exact_step

    exact = exact_step(g, values)
    weights, x, target, *_ = values.floats()
    along = values.floats_along() if values.directions else None
    double = {n: v.tolist() for n, v in g.compile().gradient(weights, x, target, along=along)._asdict().items()}
    names = [*(["dE_dT"] if values.directions else []), *(e.name for e in g.results)]
    columns = [
        shown_with(exact, digits),
        lambda name, at: exactly(at_place(exact, name, at)),
        shown_with(double, digits),
    ]
    head = ("quantity", "exact, rounded", "exactly", "float64")
    rows = rows_of(exact, names, columns, everything=True)
    return terminal.Grid(f"{g.title}, in numbers", head, rows, right=frozenset(head[1:]), lines=False)
