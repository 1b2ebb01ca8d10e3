"""`fcsym audit`: every printed equation of the paper, decided."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import Commands
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("audit", help="every printed equation of the paper, decided")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("-o", "--save", metavar="FOLDER", help="write report.tex and report.json there as well")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for one question to z3 (default 20)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.errors import ArgumentError
    from fcsym.paper import ROWS, Limits, audit
    from fcsym.paper import terminal as rows
    from fcsym.render import terminal

    if not 0 < options.time_limit <= 86400:
        raise ArgumentError(
            f"The time limit is {options.time_limit:g} s: give a number of seconds above 0, at most 86400."
        )
    if options.save is not None:
        from fcsym.paper.typeset import folder

        folder(options.save)  # before the work, not after
    with progress(len(ROWS)) as step:
        result = audit(Limits(seconds=options.time_limit), progress=step)
    if options.save is not None:
        from fcsym.paper.typeset import write

        write(result, options.save)
    if options.json:
        put(json.dumps(result.as_dict()))
    else:
        show(terminal.table("Every printed equation", rows.HEAD, list(rows.rows(result))))
        say(rows.conclusion(result))
    return DONE if result.decided else FAILED
