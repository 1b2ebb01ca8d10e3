"""Which tests run which stretch of the code, measured once a test and kept outside of the project.

`python -m reliability.reach [SECONDS [FILE ...]]` measures for so long, or all that is left, in those files of tests or
in all: first one setting of every test, then a second one of each, and so on. A test is known by its name; what it runs
is measured again where its file has changed. Of one that is too slow it is known what it runs at first.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

from reliability import mutants
from reliability.mutants import Mutant
from reliability.warm import SURVIVED, Warm

QUICK, LONGEST = 1.0, 20.0
"""Seconds of the processor up to which a test is quick, and beyond which it is too slow to be shown a fault."""
AT_IMPORT = "at import"
"""What stands in the place of a test for what runs when fcsym is imported and the tests are collected."""


def folder() -> Path:
    """Where it is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "fcsym-mutation")


def _digest(test: str) -> str:
    if test == AT_IMPORT:
        return ""
    text = Path(mutants.ROOT, test.split("::")[0]).read_bytes()
    return sha256(text).hexdigest()[:12]


def known() -> dict[str, dict[str, Any]]:
    """By test, what has been measured and still holds; None for the seconds of a test that fails or was stopped."""
    file, found = folder() / "reach.jsonl", {}
    digests: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        one = json.loads(line)
        name = one["test"].split("::")[0]
        if name not in digests:
            there = name == AT_IMPORT or Path(mutants.ROOT, name).exists()
            digests[name] = _digest(name) if there else "gone"
        if one["digest"] == digests[name]:
            found[one["test"]] = one
    return found


def measure(seconds: float = float("inf"), files: Sequence[str] = ("tests",)) -> int:
    """Measure what is not known yet. Returns how many tests were."""
    start, count, past = time.monotonic(), 0, known()
    folder().mkdir(parents=True, exist_ok=True)
    with Warm("measured", files) as process, (folder() / "reach.jsonl").open("a", encoding="utf-8") as file:
        at_import = {"test": AT_IMPORT, "digest": "", "seconds": None, "hits": process.at_import}
        file.write(json.dumps(at_import) + "\n")
        for limit in (QUICK, LONGEST):
            for test in _in_turns([test for test in process.tests if _is_open(past.get(test), limit)]):
                if time.monotonic() - start > seconds:
                    return count
                said = process.ask([test], seconds=2 * limit, wall=30 * limit, each=[limit])
                ended = said["end"] == SURVIVED
                one = {"test": test, "digest": _digest(test), "seconds": said["seconds"] if ended else None}
                past[test] = one | {"limit": limit, "hits": said.get("hits", [])}
                file.write(json.dumps(past[test]) + "\n")
                file.flush()
                count += 1
    return count


def _is_open(one: dict[str, Any] | None, limit: float) -> bool:
    """Whether more may be known of a test with so many seconds: where it was stopped, or failed, within fewer."""
    return one is None or (one["seconds"] is None and one.get("limit", QUICK) < limit)


def _in_turns(tests: list[str]) -> Iterator[str]:
    """One setting of each test, then another one; a test of every file, then another one of each."""
    by_file: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for test in tests:
        by_file[test.partition("::")[0]][test.partition("[")[0]].append(test)
    settings = [test for alike in zip_longest(*(f.values() for f in by_file.values())) for test in alike if test]
    for turn in zip_longest(*settings):
        yield from filter(None, turn)


class Reach:
    """What has been measured, by stretch: which tests run it, and what each of them costs."""

    def __init__(self) -> None:
        self.cost: dict[str, float] = {}
        self.at_import: set[str] = set()
        self.slow: set[str] = set()  # what tests that are too slow, or not measured to their end yet, run at first
        self.tests: dict[str, set[str]] = defaultdict(set)
        for test, one in known().items():
            if test == AT_IMPORT:
                self.at_import = set(one["hits"])
            elif one["seconds"] is not None:
                self.cost[test] = one["seconds"]
                for name in one["hits"]:
                    self.tests[name].add(test)
            else:
                self.slow.update(one["hits"])

    @property
    def files(self) -> list[str]:
        """Those that have a test that is not too slow."""
        return sorted({test.partition("::")[0] for test in self.cost})

    def of(self, name: str) -> list[str]:
        """The quick tests that run a stretch: the cheapest of every file, then the second ones, since those of one file
        see much the same.
        """
        turn = self._turns(test for test in self.tests.get(name, ()) if self.cost[test] <= QUICK)
        return sorted(turn, key=lambda test: (turn[test], self.cost[test], test))

    def all_of(self, name: str) -> list[str]:
        """All tests that run a stretch: one that costs twice as much comes with the second ones that cost half."""
        turn = self._turns(self.tests.get(name, ()))
        return sorted(turn, key=lambda test: ((turn[test] + 1) * self.cost[test], test))

    def of_module(self, path: Path, slow: bool = False) -> list[str]:
        """The tests that run something of a module, those that run most of it first: the quick ones, or all."""
        file, counts = f"{path.relative_to(mutants.ROOT)}:", Counter[str]()
        for name, tests in self.tests.items():
            if name.startswith(file):
                counts.update(test for test in tests if slow or self.cost[test] <= QUICK)
        return sorted(counts, key=lambda test: (-counts[test] / (0.3 + self.cost[test]), test))

    def _turns(self, tests: Iterable[str]) -> dict[str, int]:
        """How many of the same file are cheaper."""
        turns, turn = Counter[str](), {}
        for test in sorted(tests, key=lambda test: (self.cost[test], test)):
            file = test.partition("::")[0]
            turn[test] = turns[file]
            turns[file] += 1
        return turn


class Survivors:
    """Which faults have survived which tests, as these are: to be shown the same ones again would say nothing new."""

    def __init__(self) -> None:
        self.file = folder() / "survived.txt"
        self.found = set(self.file.read_text("utf-8").splitlines() if self.file.exists() else ())

    def has(self, mutant: Mutant, form: str, tests: Sequence[str]) -> bool:
        """Whether it has survived just these tests."""
        return self._line(mutant, form, tests) in self.found

    def add(self, mutant: Mutant, form: str, tests: Sequence[str]) -> None:
        """Remember it."""
        line = self._line(mutant, form, tests)
        self.found.add(line)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    @staticmethod
    def _line(mutant: Mutant, form: str, tests: Sequence[str]) -> str:
        said = "\n".join(f"{test} {_digest(test)}" for test in tests)
        return f"{mutant.digest} {form} {sha256(said.encode()).hexdigest()[:12]}"


if __name__ == "__main__":
    _, *given = sys.argv
    print(measure(float(given[0]) if given else float("inf"), given[1:] or ("tests",)), "tests measured")
