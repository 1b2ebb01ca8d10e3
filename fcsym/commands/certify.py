"""`fcsym certify`: the certificate of a derivation, checked by Coq."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from fcsym.commands.options import Commands, derivation_of, network_of, network_options, number
from fcsym.commands.reports import prove
from fcsym.commands.streams import DONE, FAILED, progress, put, say
from fcsym.errors import listed

if TYPE_CHECKING:
    from fcsym.certificates import Accepted
    from fcsym.derivation import Derivation
    from fcsym.training import Scheme


_SECONDS = 300.0  # for Coq, unless told otherwise


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("certify", help="have Coq check every equation and case, at every width")
    network_options(parser)
    parser.add_argument("--scheme", help="the certificate of a scheme, with its induction over steps: {schemes}")
    parser.add_argument(
        "--max-seconds", type=number, metavar="S", help=f"stop Coq after so many seconds (default {_SECONDS:g})"
    )
    parser.add_argument(
        "--independent", action="store_true",
        help="have coqchk check what coqc has compiled, too, and Coq's own library (half a minute more)",
    )  # fmt: skip
    # Coq that does not finish has not accepted the file: that is a failed check; the work before it is bounded too
    parser.set_defaults(pace=0.3, pace_of_scheme=0.1, run=run, stopped_after=lambda seconds: 2 * seconds + 30)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.certificates import certify
    from fcsym.certificates.checking import coq
    from fcsym.certificates.file import by_reason

    coq()  # what is not installed is said before the work
    document = _document(options)
    with progress() as step:
        step("checking with Coq")
        seconds = _SECONDS if options.max_seconds is None else options.max_seconds
        found = certify(document, max_seconds=seconds, independent=options.independent)
    made = found.certificate
    if options.json:
        put(json.dumps(_summary(document, found)))
    else:
        for reason, names in by_reason(made.admitted).items():
            say(f"not certified: {listed(names)} ({reason})")
        say(f"{document.title}: {found}")
    return DONE if found else FAILED


def _document(options: argparse.Namespace) -> Derivation | Scheme:
    """The derivation, or the scheme."""
    from fcsym.training import scheme

    if options.scheme is not None:
        return scheme(network_of(options), options.scheme, options.order, options.slope_at_kink)
    d = derivation_of(options)
    prove(d)
    return d


def _summary(document: Derivation | Scheme, found: Accepted) -> dict[str, Any]:
    """What Coq said, for JSON."""
    return {"network": str(document.network), "order": document.order, **counted(found)}


def counted(found: Accepted) -> dict[str, Any]:
    """What a certificate has, and what Coq said of it."""
    made = found.certificate
    return {
        "statements": made.statements, "certified": made.certified, "admitted": len(made.admitted),
        "accepted": found.accepted, "seconds": round(found.seconds, 2), "said": found.said,
        "axioms": list(found.axioms), "independent": found.independent, "reasons": dict(made.admitted),
    }  # fmt: skip
