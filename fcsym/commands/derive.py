"""`fcsym derive`: derive, prove, show, compile and check."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from fcsym.commands.options import (
    Commands,
    Usage,
    check_options,
    derivation_of,
    digits_of,
    network_of,
    network_options,
    trials_of,
    values_of,
    values_option,
)
from fcsym.commands.reports import (
    certificate_or_reason,
    certified,
    conclusion,
    equation_of,
    prove,
    scheme_conclusion,
    scheme_summary,
    summary,
    trained,
)
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show

if TYPE_CHECKING:
    from fcsym.checking.report import Report
    from fcsym.derivation import Derivation
    from fcsym.document import Document


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("derive", help="derive, prove, show, compile and check: the main job")
    network_options(parser)
    check_options(parser)
    parser.add_argument(
        "-o", "--save", metavar="FILE", help="write the derivation as well: .tex, .html, .pdf, or .v for Coq"
    )
    parser.add_argument("--notation", help="of the file: {notations}, which has names w_1, w_2, ... (default indexed)")
    parser.add_argument("--detail", help="{details}, which is equations and verdicts without reasons (default full)")
    parser.add_argument(
        "--only", metavar="NAME", help="show this quantity and what leads to it, or this function of a scheme"
    )
    parser.add_argument(
        "--fragment", action="store_true", help="the file has equations without preamble, to \\input into a document"
    )
    values_option(parser, "formula = the numbers put in = value", digits=6)
    parser.add_argument("--scheme", help="a scheme's four derivations, trained beside autodiff: {schemes}")
    parser.set_defaults(pace=0.07, pace_of_scheme=0.1, run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.checking import xor
    from fcsym.checking.checker import check

    if options.scheme is not None:
        return _derive_scheme(options)
    d = _with_values(derivation_of(options), options)
    of_file, trials = _options_of_file(options, d), trials_of(options, d)
    prove(d)
    with progress() as step:
        reports = [check(d, trials, options.seed, progress=step)]
        if xor.applies(d.network):
            reports.append(check(d, 1, options.seed, points=xor.points(d.network, seed=options.seed), progress=step))
    written = None if options.save is None else d.save(options.save, **of_file)
    passed = d.proof.holds and all(reports)
    if options.json:
        document = summary(d, reports) | {"equations": [equation_of(d, name) for name in d.by_name]}
        if written is not None:
            document["file"] = str(written)
        put(json.dumps(document | certified(certificate_or_reason(d))))
        return DONE if passed else FAILED
    _show_derivation(d, reports, options)
    if written is not None:
        say(f"written: {written}")
    say(conclusion(d, reports, certificate_or_reason(d)))
    return DONE if passed else FAILED


def _with_values(d: Derivation, options: argparse.Namespace) -> Derivation:
    """The derivation with the numbers that are given, if any are."""
    values = values_of(options, d.network)
    return d if values is None else d.with_values(values, digits_of(options))


def _options_of_file(options: argparse.Namespace, document: Document) -> dict[str, Any]:
    """How the file is written, if one is; what is wrong with that is said before the work, not after."""
    from fcsym import certificates
    from fcsym.certificates import ENDING
    from fcsym.render.content import checked

    found = _options_of_terminal(options)
    if options.notation is not None:
        if options.save is None:
            raise Usage("--notation says how a file is written: name the file with -o.")
        found["notation"] = options.notation
    if options.fragment and options.save is None:
        raise Usage("--fragment says how a file is written: name the file with -o.")
    if options.save is not None and options.save.endswith(ENDING):
        if options.fragment or options.notation is not None or options.only or options.detail:
            raise Usage(f"{options.save} is a certificate, which has everything: leave the options of documents out.")
        certificates.writable(document, options.save)
        return {}
    if options.save is not None:
        from fcsym.render.save import writable

        writable(options.save, options.fragment)
    checked(document, **found)
    return found | {"fragment": options.fragment}


def _options_of_terminal(options: argparse.Namespace) -> dict[str, Any]:
    """What is shown, in a file and in the terminal alike."""
    found = {name: getattr(options, name) for name in ("detail", "only")}
    return {name: value for name, value in found.items() if value is not None}


def _derive_scheme(options: argparse.Namespace) -> int:
    """The same for a scheme: its four derivations, and training beside autodiff."""
    from fcsym.training import scheme

    s = scheme(network_of(options), options.scheme, options.order, options.slope_at_kink)
    values = values_of(options, s.network)
    s = s if values is None else s.with_values(values, digits_of(options))
    of_file = _options_of_file(options, s)
    report, passed = trained(s, options)
    written = None if options.save is None else s.save(options.save, **of_file)
    if options.json:
        document = scheme_summary(s, report, passed) | {
            "equations": [
                equation_of(part, name) | {"function": part.function} for part in s.lists for name in part.by_name
            ]
        }
        if written is not None:
            document["file"] = str(written)
        put(json.dumps(document | certified(certificate_or_reason(s))))
        return DONE if passed else FAILED
    from fcsym.render import terminal

    open_ones = [] if s.proof.holds else [terminal.refutations(s.proof)]
    show(terminal.document(s, **_options_of_terminal(options)), *open_ones, _checks(report, options))
    if written is not None:
        say(f"written: {written}")
    say(scheme_conclusion(s, report, certificate_or_reason(s)))
    return DONE if passed else FAILED


def _show_derivation(d: Derivation, reports: Sequence[Report], options: argparse.Namespace) -> None:
    from fcsym.closed.closed_form import paper_symbols
    from fcsym.render import terminal
    from fcsym.render.content import checked

    shown = _options_of_terminal(options)
    (names,) = checked(d, **shown)
    parts: list[Any] = [terminal.document(d, **shown)]
    if "p" in names and options.detail != "summary" and not d.network.batch and _small_enough(d):
        keep, first = paper_symbols(d), (1,) * (len(d.network.read_out.axes) - 1)
        parts.append(terminal.cases(f"p, unit {','.join(map(str, first))}", d.cases("p", first, keep=keep)))
    if not d.proof.holds:
        parts.append(terminal.refutations(d.proof))
    show(*parts, _checks(reports[0], options, names if options.only is not None else None))


def _checks(report: Report, options: argparse.Namespace, names: Collection[str] | None = None) -> Any:
    """The comparison with autodiff: of the quantities that are shown, of none for a summary, of what failed always."""
    from fcsym.render import terminal

    shown = [
        row
        for row in report.rows
        if not row.passed or (options.detail != "summary" and (names is None or row.quantity in names))
    ]
    return terminal.checks(report, shown)


def _small_enough(d: Derivation) -> bool:
    """Closed forms of a unit are shown where they fit on a screen."""
    from fcsym.closed.closed_form import operations, paper_symbols

    return operations(d, d["p"], frozenset(d.by_name[name].array for name in paper_symbols(d))) <= 200
