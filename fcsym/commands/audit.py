"""`fcsym audit`: every printed equation of the paper, or the claims of anybody's worked example, decided."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING

from fcsym.commands.certify import counted
from fcsym.commands.options import Commands, Usage, number
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show

if TYPE_CHECKING:
    from fcsym.certificates import Accepted
    from fcsym.paper import Audit

_SECONDS = 20.0


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("audit", help="printed equations of the paper, or a worked example, decided")
    parser.add_argument("example", nargs="?", help="a worked example (.toml); without it, the paper")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument(
        "-o", "--save", metavar="FOLDER", help="write report.tex and report.json there as well; a file .v for Coq"
    )
    parser.add_argument("--certify", action="store_true", help="have Coq check the paper's rows")
    parser.add_argument("--time-limit", type=number, help=f"seconds for one question to z3 (default {_SECONDS:g})")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    if options.example is not None:
        return _example(options)
    from fcsym.commands.folders import folder_for
    from fcsym.errors import ArgumentError
    from fcsym.paper import ROWS, Limits, audit
    from fcsym.paper import terminal as rows
    from fcsym.paper.typeset import write
    from fcsym.render import terminal

    seconds = _SECONDS if options.time_limit is None else options.time_limit
    if not 0 < seconds <= 86400:
        raise ArgumentError(f"The time limit is {seconds:g} s: give a number of seconds above 0, at most 86400.")
    certificate = _refuse_early(options)
    into = options.save if not certificate else None
    with nullcontext() if into is None else folder_for(into, above=False) as where:
        with progress(len(ROWS)) as step:
            result = audit(Limits(seconds=seconds), progress=step)
        if where is not None:
            write(result, where)
    if certificate:
        from fcsym.paper.certificate import save

        save(result, options.save)
    found = _checked(result) if options.certify else None
    if options.json:
        put(json.dumps(result.as_dict() | ({} if found is None else {"certificate": counted(found)})))
    else:
        show(terminal.table("Every printed equation", rows.HEAD, list(rows.rows(result))))
        if found is not None:
            say(f"The certificate of the audit: {found}")
        say(rows.conclusion(result))
    return DONE if result.decided and (found is None or found) else FAILED


def _refuse_early(options: argparse.Namespace) -> bool:
    """What is wrong with the place, or missing, is said before the work; whether the place is that of a certificate."""
    from fcsym.certificates import ENDING, writable_place

    if options.certify:
        from fcsym.certificates.checking import coq

        coq()
    if options.save is None or not str(options.save).endswith(ENDING):
        return False
    writable_place(options.save)
    return True


def _checked(result: Audit) -> Accepted:
    """What Coq says of the rows."""
    from fcsym.certificates.checking import checked
    from fcsym.paper.certificate import audit_certificate

    with progress() as step:
        step("checking with Coq")
        return checked(audit_certificate(result))


def _example(options: argparse.Namespace) -> int:
    """The claims of a worked example; 1 where one of them is left undecided."""
    from fcsym.commands.folders import folder_for
    from fcsym.render import terminal
    from fcsym.worked import audit_example
    from fcsym.worked.report import HEAD, cells, write

    if options.time_limit is not None:
        raise Usage("--time-limit is for the paper's equations: leave it out, a worked example asks z3 nothing.")
    if options.certify or str(options.save).endswith(".v"):
        raise Usage("certificates of an audit are for the paper's equations: leave --certify and files .v out.")
    with nullcontext() if options.save is None else folder_for(options.save) as where:
        with progress() as step:
            result = audit_example(options.example, step)
        written = [] if where is None else write(result, where)
    if options.json:
        put(json.dumps(result.as_dict() | ({"files": [str(file) for file in written]} if written else {})))
    else:
        show(terminal.table(result.title or str(options.example), HEAD, cells(result)))
        for file in written:
            say(f"written: {file}")
        say(result.conclusion)
    return DONE if result.decided else FAILED
