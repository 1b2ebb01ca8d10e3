"""`fcsym cases`: the case table of one unit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fcsym.commands.numbers import as_float, exactly, exactly_or_rounded
from fcsym.commands.options import Commands, derivation_of, digits_of, network_options, values_of, values_option
from fcsym.commands.streams import DONE, FAILED, progress, put, say, show

if TYPE_CHECKING:
    from fcsym.derivation import Derivation
    from fcsym.proof.joint import Joint


_MAX_PRINTED = 200_000  # operations; a thousand pages are no table


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("cases", help="the case table of one unit, in closed form")
    network_options(parser)
    parser.add_argument(
        "--unit",
        type=_numbers_of,
        help="which unit, from 1 (default 1); 2,3 for channel 2, place 3",
    )
    parser.add_argument("--at", type=_numbers_of, help="which element, by all of its numbers: 1,2,3")
    parser.add_argument("--row", type=int, help="of a matrix, which row, such as the output of p (default 1)")
    parser.add_argument("--layer", type=int, help="which hidden layer (default: the last)")
    parser.add_argument("--quantity", default="p", help="p, P, dv, ... (default p)")
    parser.add_argument("--raw", action="store_true", help="in raw weights and inputs only")
    parser.add_argument("--max-operations", type=int, help="allow closed forms of this size")
    values_option(parser, "which case every unit is in at these numbers")
    parser.set_defaults(pace=0.1, run=run)
    parser.add_argument(
        "--joint", action="store_true", help="which gate patterns of all hidden units together can occur"
    )


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.closed.closed_form import paper_symbols
    from fcsym.closed.flip import flips
    from fcsym.render import terminal
    from fcsym.values import cases_at

    d = derivation_of(options)
    values = values_of(options, d.network)
    keep = () if options.raw else tuple(n for n in paper_symbols(d) if n != d.resolve(options.quantity, options.layer))
    unit = options.unit if options.unit is not None or options.at or d.network.built is not None else 1
    rows = d.cases(
        options.quantity,
        unit,
        at=options.at,
        row=options.row,
        layer=options.layer,
        keep=keep,
        max_operations=_MAX_PRINTED if options.max_operations is None else options.max_operations,
    )
    last = options.unit or options.at or 1
    flip = flips(d, last if isinstance(last, int) else last[-1], options.layer)
    patterns = _joint(options, d)
    name = d.resolve(options.quantity, options.layer)
    here = [] if values is None else cases_at(d, values, name)
    if options.json:
        put(json.dumps({
            "network": str(d.network), "order": d.order, "unit": None if options.at else options.unit or 1,
            "at": options.at, "quantity": name,
            "cases": [
                {
                    "name": row.name, "when": row.condition,
                    "value": "undefined" if row.value is None else str(row.value),
                    "verdict": row.verdict.value, "status": row.status.value, "possible": row.possible,
                    "note": terminal.plain(row.note),
                }
                for row in rows
            ],
            "flip": flip.as_dict(), **_joint_document(patterns),
            "at_values": None if values is None else [
                {"element": [n + 1 for n in place], "case": case, "value": as_float(value),
                 "exact": exactly_or_rounded(value, digits_of(options))} for place, case, value in here
            ],
        }))  # fmt: skip
    else:
        show(terminal.cases(f"{name}, {_said(options)}, {d.network}, {d.order} order", rows))
        if values is not None:
            show(_at_values(name, here, digits_of(options)))
        say(f"flip: {flip}")
        if patterns:
            show(*map(terminal.joint, patterns))
    open_questions = any(found.unknown for found in patterns)
    return DONE if not d.proof.refuted and not open_questions else FAILED


def _numbers_of(text: str) -> int | tuple[int, ...]:
    """ "2" => 2, "2,3" => (2, 3)."""
    made = tuple(int(part) for part in text.split(","))
    return made[0] if len(made) == 1 else made


def _said(options: argparse.Namespace) -> str:
    """ "unit 1", "unit 2,3", "element 1,2,3"."""
    what, place = ("element", options.at) if options.at else ("unit", options.unit or 1)
    return f"{what} {','.join(map(str, place if isinstance(place, tuple) else (place,)))}"


def _at_values(name: str, here: Sequence[tuple[tuple[int, ...], str, Any]], digits: int) -> Any:
    """A row for every element: the case that holds, and the value."""
    from fcsym.render import terminal
    from fcsym.values.shown import decimal

    rows = [
        (f"{name}[{','.join(str(n + 1) for n in place)}]", case or "no cases", decimal(value, digits), exactly(value))
        for place, case, value in here
    ]
    head = ("element", "case", "value", "exactly")
    return terminal.Grid("at the numbers that are given", head, rows, right=frozenset(head[2:]), lines=False)


def _joint(options: argparse.Namespace, d: Derivation) -> list[Joint]:
    """The joint patterns with one input and with two, where they are asked for."""
    if not options.joint:
        return []
    from fcsym.proof.joint import joint

    with progress() as step:
        return [joint(d.network, d.order, inputs, step) for inputs in (1, 2)]


def _joint_document(patterns: Sequence[Joint]) -> dict[str, Any]:
    if not patterns:
        return {"joint": None}
    one, two = patterns
    return {
        "joint": len(one.reachable), "joint_two_inputs": len(two.reachable),
        "joint_impossible": len(one.impossible), "joint_unknown": len(one.unknown) + len(two.unknown),
        "joint_patterns": [{"pattern": one.named(p), "witness": str(w)} for p, w in one.reachable.items()],
        "joint_patterns_two_inputs": [{"pattern": two.named(p), "witness": str(w)} for p, w in two.reachable.items()],
    }  # fmt: skip
