"""`python -m reliability.survivors [FOLDER or FILE ...]`: the faults that no test has seen, and what repeats each."""

from __future__ import annotations

import sys

from reliability.chapters.mutation import OPEN, ordered, recorded
from reliability.mutants import equivalent

if __name__ == "__main__":
    ends, wanted = recorded(), tuple(sys.argv[1:])
    for number, one in enumerate(ordered(0)):
        end = ends.get(one.digest)
        if end in OPEN and one.name not in equivalent() and one.name[0].startswith(wanted or ""):
            print(f"{number}: {one}: {end}")
