"""`fcsym export`: files that stand alone."""

from __future__ import annotations

import argparse
import json

from fcsym.commands.options import (
    Commands,
    network_of,
    network_options,
    refuse_large_step,
    values_of,
    values_option,
)
from fcsym.commands.streams import DONE, FAILED, complain, progress, put, say


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("export", help="write a scheme's four functions as files that stand alone")
    network_options(parser)
    parser.add_argument("--scheme", default="backprop", help="{schemes}")
    parser.add_argument("--target", default="numpy", help="{targets}")
    parser.add_argument("-o", "--save", metavar="DIR", default=".", help="the folder to write to (default: this one)")
    parser.add_argument("--name", default="update", help="the name of the files and of C functions (default update)")
    values_option(parser, "numbers that the files test themselves with, beside others", shown=False)
    parser.add_argument("--force", action="store_true", help="replace files that fcsym did not write")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.commands.folders import folder_for
    from fcsym.errors import CompileError, ExportError, shown
    from fcsym.kernel.export import TARGETS
    from fcsym.language.spelling import check_name
    from fcsym.training import scheme

    if options.target not in TARGETS:
        raise CompileError(f"The target {shown(options.target)!r} is not known: choose one of {', '.join(TARGETS)}.")
    name = check_name(options.name, "--name")
    made = scheme(network_of(options), options.scheme, options.order, options.slope_at_kink)
    if options.values is not None:
        refuse_large_step(options, made.conventional, made.network)
    values = values_of(options, made.network)
    made.exportable(options.target)  # what has no file says so before there is a folder
    try:
        with folder_for(options.save) as folder, progress() as step:
            step(f"comparing {made.name} of {made.network} with automatic differentiation")
            files = made.export(
                folder / f"{name}{TARGETS[options.target].suffix}", options.target, options.force, values
            )
    except ExportError as problem:
        if options.json:
            put(json.dumps({"files": [], "checked": False, "error": str(problem)}))
        else:
            return complain(str(problem), False, FAILED)
        return FAILED
    if options.json:
        put(json.dumps({"files": [str(file) for file in files], "checked": True}))
    else:
        for file in files:
            say(f"written: {file}")
        say(f"{made.name} of {made.network}, {made.order}: agrees with backpropagation by autograd.")
    return DONE
