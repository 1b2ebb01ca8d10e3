"""`python -m reliability.survivors [FOLDER or FILE ...] [--to TEST ...]`: the faults that no test has seen.

Each with its number, by which `python -m reliability mutation --only NUMBER` tries it again. With `--to` each is shown
to these files of tests, or tests, alone; what sees it is named, and that it is seen is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from reliability.chapters.mutation import LIMIT, OPEN, keep, ordered, recorded
from reliability.mutants import equivalent
from reliability.warm import SEEN, SURVIVED, Warm


def main(argv: Sequence[str] | None = None) -> None:
    """Print them."""
    parser = argparse.ArgumentParser(prog="python -m reliability.survivors", description=__doc__)
    parser.add_argument("places", nargs="*", metavar="PATH", help="a folder or a file, such as fcsym/kernel")
    parser.add_argument("--to", nargs="+", default=[], metavar="TEST", help="show each to these tests")
    options = parser.parse_args(argv)
    ends, wanted, order = recorded(), tuple(options.places) or "", ordered(0)
    found = [
        (number, one, ends[one.digest])
        for number, one in enumerate(order)
        if ends.get(one.digest) in OPEN and one.name not in equivalent() and one.name[0].startswith(wanted)
    ]
    if not options.to:
        for number, one, end in found:
            print(f"{number}: {one}: {end}")
        return
    with Warm("collected", options.to) as process:
        sound = process.ask(process.tests, seconds=20 * LIMIT)
        if sound["end"] != SURVIVED:
            raise SystemExit(f"{sound.get('by')} fails without a fault")
        for number, one, _ in found:
            said = process.ask(process.tests, one, max(LIMIT, 3 * sound["seconds"]))
            print(f"{number}: {one}: {said['end']} {said.get('by', '')}".rstrip(), flush=True)
            if said["end"] == SEEN:
                ends[one.digest] = SEEN
    keep(ends, order)


if __name__ == "__main__":
    main()
