"""`python -m reliability [NAME ...]`: chapters of `reliability/chapters`, in the short form or the long one.

Exit status: 0 without a failure, 1 with one, 2 for an unknown chapter, 130 when interrupted; what had been found by
then is printed and written all the same.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from reliability.frame import Table, chapters
from reliability.page import Result, into

DONE, FAILED, INTERRUPTED = 0, 1, 130
_EVERY = 60.0  # seconds after which what is known so far is written: a machine may stop without a word


def main(argv: Sequence[str] | None = None, known: dict[str, ModuleType] | None = None) -> int:
    """Run chapters, all of them unless some are named. Returns the exit status."""
    known = chapters() if known is None else known
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"chapters, all by default: {', '.join(known)}")
    parser.add_argument(
        "--short",
        action="store_true",
        help="few trials, and no mutants: less than three minutes",
    )
    parser.add_argument("--trials", type=_count, metavar="N", help="so many trials of each chapter")
    parser.add_argument("--only", type=_number, metavar="N", help="trial N alone, again")
    parser.add_argument("--seed", type=_number, default=0, metavar="N", help="another set of trials (default 0)")
    parser.add_argument("--into", type=Path, metavar="FILE", help="put the chapters into the page, such as docs/...md")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"the chapter {unknown[0]!r} is not known: choose from {', '.join(known)}.")
    if options.only is not None and len(options.names) != 1:
        parser.error("--only repeats a trial of one chapter: name it.")
    if options.only is not None and options.into is not None:
        parser.error("--only repeats a trial: leave --into out.")
    results: list[Result] = []
    costly = [name for name, module in known.items() if options.short and getattr(module, "COSTLY", False)]
    for name in options.names or [name for name in known if name not in costly]:
        old = signal.signal(signal.SIGTERM, _stop)
        try:
            results.append(_run(name, known[name], options))
        finally:
            signal.signal(signal.SIGTERM, old)
        if options.into is not None:
            into(options.into, results[-1:])
        if not options.json:
            print("\n".join(results[-1].lines()), flush=True)
        if results[-1].interrupted:
            break
    if options.json:
        json.dump({"chapters": [result.as_json() for result in results]}, sys.stdout, indent=1)
        print()
    if any(result.interrupted for result in results):
        return INTERRUPTED
    return FAILED if any(result.table.failures for result in results) else DONE


def _run(name: str, module: Any, options: argparse.Namespace) -> Result:
    """One chapter, to its end or to an interruption."""
    form = "short" if options.short else "long"
    wanted = options.trials or (module.SHORT if options.short else module.LONG)
    if options.only is not None:
        form, wanted = "one trial", 1
    start = written = shown = time.monotonic()
    result = Result(name, module, Table(()), form, wanted, options.seed, 0.0)
    try:
        for result.table in module.chapter(wanted, options.seed, options.only):
            now = time.monotonic()
            result.seconds = now - start
            if now - shown > 2 and sys.stderr.isatty():
                failures = len(result.table.failures)
                print(f"\r{name}: {result.table.tried} of {wanted}, {failures} failed", end="", file=sys.stderr)
                shown = now
            if options.into is not None and now - written > _EVERY:
                result.interrupted = True
                into(options.into, [result])
                result.interrupted, written = False, now
    except KeyboardInterrupt:
        result.interrupted = True
    result.seconds = time.monotonic() - start
    if shown > start:
        print(file=sys.stderr)
    return result


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("give a whole number from 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give a whole number from 1")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
