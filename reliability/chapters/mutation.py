"""Small faults in the code, and whether the tests see them.

One place in the derivation, the language, the closed forms, the schemes, the finder of collapses, the proof, the
certificates, the checks, the lowering or the printers is changed (a comparison, an operator, a number, a logical word,
what is returned), and tests that run this place are run until one fails: first quick ones, which take at most a
second, the cheapest of every file first, up to forty or three seconds of them; and what none of these sees is shown,
after all others, to the rest and to slower ones, which take up to twenty seconds, up to half a minute of them. Which
tests run a place is measured beforehand, for some minutes in each run, the quick ones first. So a change counts as a
failure of the tests where none that was run sees it, though one beyond these limits might; and a place counts as not
reached where none runs it of those of which this is known. What changes nothing that can be seen is listed with the
reason in `reliability/equivalent.toml`. What became of each fault is kept in `reliability/tried.txt` until the function
around it changes: a run tries other places, drawn from each folder in turn, and then again what has survived, where it
has not been shown all these tests. `python -m reliability.survivors` names every fault that no test has seen.

That every fault is seen or listed is not quite reached: what survives takes a person who looks whether anybody could
see it and writes a test, and every change of the code brings faults that nobody has looked at. Places that were not
tried since are drawn in an order in which those so far are a fair sample of each folder: as many of them will be seen
as of those that a run tries for the first time, which is said below where there are such.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from math import sqrt
from multiprocessing.pool import ThreadPool
from pathlib import Path
from queue import SimpleQueue
from statistics import NormalDist

from fcsym.files import write_text
from reliability import mutants as planting
from reliability.frame import PROCESSES, Table
from reliability.mutants import Mutant, equivalent, everywhere, stretch
from reliability.reach import QUICK, Reach, Survivors, measure
from reliability.warm import ELSEWHERE, LATE, SEEN, SURVIVED, Warm

SHORT, LONG = 2, 400
COSTLY = True
"""A trial is a run of tests: `make test` makes none, and neither does the short form of all chapters."""
MEASURING = 120.0
"""Seconds for which a run measures tests of which it is not known yet what they run."""
ENOUGH, MOST, FEW = 3.0, 40, 12
"""How many seconds of quick tests, and how many tests, a fault is shown to; how many where all is imported anew."""
LONGER = 30.0
"""How many seconds of all other tests, where none of these sees it."""
LIMIT = 30.0
"""After so many seconds of the processor, or three times those of all tests, what has not ended will not; nor one test
after two seconds and three times its own.
"""
EQUIVALENT, UNREACHED = "the same for everybody", "not reached"
QUICKLY = "survived quick ones"
"""It has not been shown to all others yet."""
ENDS = (SEEN, LATE, EQUIVALENT, SURVIVED, QUICKLY, UNREACHED)
OPEN = (SURVIVED, QUICKLY, UNREACHED)
_EVERY = 2.0  # seconds after which there are new figures


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many faults that have not been tried yet, and then what has survived or was not reached; or that one alone."""
    measure(MEASURING)
    order, ends = ordered(seed), recorded()
    untried = [n for n, one in enumerate(order) if one.digest not in ends]
    new = untried[:count] if only is None else []
    with Triers() as triers:

        def figures() -> Table:
            table = _figures(order, ends, only, triers.reach)
            if only is None:
                said = Counter(ends[order[n].digest] for n in new if order[n].digest in ends)
                table.notes += _first(said, len(untried), seconds)
            return table

        start, seconds, written = time.monotonic(), 0.0, time.monotonic()
        yield figures()
        try:
            for patient in (False, True):
                again = [n for n, one in enumerate(order) if ends.get(one.digest) in OPEN]
                wanted = ([only] if patient else []) if only is not None else again if patient else new
                for done, (one, end) in enumerate(triers.fates([order[n] for n in wanted], patient), 1):
                    ends[one.digest] = end
                    if not patient:
                        seconds = (time.monotonic() - start) / done
                    if time.monotonic() > written + _EVERY:
                        keep(ends, order)
                        yield figures()
                        written = time.monotonic()
        finally:
            keep(ends, order)
        yield figures()


def _first(ends: Counter[str], places: int, seconds: float) -> list[str]:
    """What became of faults for which no test was written, and how long all others would take."""
    tried, seen = sum(ends.values()) - ends[EQUIVALENT], ends[SEEN] + ends[LATE]
    if not tried:
        return []
    notes = [
        (
            f"Of {tried:,} faults that were tried for the first time in this run, and are not on the list of what "
            f"nobody can see, {seen:,} are seen: with 95 % confidence at least {_at_least(seen, tried):.0%} of such "
            "faults are, drawn from each folder in turn. Some of the others may be the same for everybody."
        )
    ]
    left = places - sum(ends.values())
    if left:
        notes.append(
            f"A fault takes {seconds:.2g} s here, where quick tests are run alone: the {left:,} places that have not "
            f"been tried would take {seconds * left / 3600:.1f} hours."
        )
    return notes


def _at_least(hits: int, of: int) -> float:
    """A lower bound of a share from a sample, at 95 % confidence (Wilson, 1927)."""
    z = NormalDist().inv_cdf(0.95)
    share = hits / of
    middle, half = share + z**2 / (2 * of), z * sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    return max(0.0, (middle - half) / (1 + z**2 / of))


def _figures(order: list[Mutant], ends: dict[str, str], only: int | None, reach: Reach) -> Table:
    """Those of all folders together, and of each; a run that is interrupted here has the ones before."""
    table = Table(("places", "tried", *ENDS), "folder")
    for number, one in enumerate(order):
        end = EQUIVALENT if one.name in equivalent() else ends.get(one.digest)
        for name in ("all", *one.folders):
            table.add(name, "places")
            if end is not None:
                table.add(name, "tried")
                table.add(name, end)
        if end in (SURVIVED, QUICKLY) and only in (None, number):
            kind = "quick tests" if end == QUICKLY else "tests"
            table.fail(number, f"{one} is seen by none of the {kind} that it was shown to.")
    table.rows = dict(sorted(table.rows.items()))
    all_of = table.rows["all"]
    table.tried = all_of.get("tried", 0) if only is None else 1
    seen = sum(all_of.get(end, 0) for end in (SEEN, LATE))
    reached = seen + sum(all_of.get(end, 0) for end in (SURVIVED, QUICKLY))
    apart = [n for one in order if (n := stretch(one)) and n not in reach.tests and n not in reach.at_import]
    slow = sum(name in reach.slow for name in apart)
    quick = sum(cost <= QUICK for cost in reach.cost.values())
    table.notes += [
        "Counted are all faults that have been tried, in this run and before it, in functions that are still the same.",
        f"Of the {reached:,} faults that a test runs and that can be seen, {seen:,} are seen.",
        (
            f"It was measured for {quick:,} quick tests and {len(reach.cost) - quick:,} slower ones what they run: of "
            f"all {len(order):,} places {len(apart):,} are in code that none of them runs, {slow:,} of which another "
            "one runs before it is stopped."
        ),
    ]
    return table


def ordered(seed: int) -> list[Mutant]:
    """Every place, drawn from each folder in turn: the first ones of a folder are a fair sample of it."""
    turns: Counter[str] = Counter()
    turn: dict[str, int] = {}
    drawn = sorted(everywhere(), key=lambda one: sha256(f"{seed} {one.digest}".encode()).hexdigest())
    for one in drawn:
        turn[one.digest] = turns[one.folders[0]]
        turns[one.folders[0]] += 1
    return sorted(drawn, key=lambda one: turn[one.digest])


# ------------------------------------------------------------------------------------------------------- record


def _file() -> Path:
    return planting.ROOT / "reliability" / "tried.txt"


def recorded() -> dict[str, str]:
    """What became of faults that have been tried, by their digests."""
    lines = _file().read_text("utf-8").splitlines() if _file().exists() else []
    return {digest: end for digest, _, end in (line.partition(" ") for line in lines)}


def keep(ends: dict[str, str], order: list[Mutant]) -> None:
    """Write it, without what is no longer in the code."""
    there = {one.digest for one in order}
    lines = sorted(f"{digest} {end}\n" for digest, end in ends.items() if digest in there)
    write_text(_file(), "".join(lines))


# ------------------------------------------------------------------------------------------------------- trials


class Triers(ExitStack):
    """Several at once, which know together what has survived."""

    def __init__(self, count: int = PROCESSES) -> None:
        super().__init__()
        self.reach, self.count, survivors = Reach(), count, Survivors()
        self.idle: SimpleQueue[Trier] = SimpleQueue()
        for _ in range(count):
            self.idle.put(self.enter_context(Trier(self.reach, survivors)))

    def fates(self, mutants: list[Mutant], patient: bool) -> Iterator[tuple[Mutant, str]]:
        """What becomes of each, as it is known."""
        with ThreadPool(self.count) as pool:
            yield from pool.imap_unordered(partial(self._fate, patient), mutants)

    def _fate(self, patient: bool, mutant: Mutant) -> tuple[Mutant, str]:
        trier = self.idle.get()
        try:
            return mutant, trier.fate(mutant, patient)
        finally:
            self.idle.put(trier)


class Trier(ExitStack):
    """Shows faults to the tests that run their places."""

    def __init__(self, reach: Reach | None = None, survivors: Survivors | None = None) -> None:
        super().__init__()
        self.reach = reach or Reach()
        self.processes: dict[str, Warm] = {}
        self.sound: dict[tuple[str, str], bool] = {}
        self.survivors = survivors or Survivors()
        self.by = ""  # what has seen the last one

    def fate(self, mutant: Mutant, patient: bool = True) -> str:
        """What becomes of a fault that is shown to quick tests, and to all others where none of these has seen it.

        Without patience it is not, and what has survived then is told from what has survived all.
        """
        self.by = ""
        if mutant.name in equivalent():
            return EQUIVALENT
        name, ends, shown = stretch(mutant), [], defaultdict[str, list[str]](list)
        forms = ["collected"]  # what is in no function may be in one without a name
        if name is None or name in self.reach.at_import:
            forms.append("bare")
        for slow in (False, True):
            for form in forms:  # one may be added
                tests = [test for test in self._tests(form, mutant, slow) if test not in shown[form]]
                if slow and tests and not patient:
                    return QUICKLY if SURVIVED in ends else UNREACHED
                within = LONGER if slow else ENOUGH, FEW if form == "bare" else None if slow else MOST
                end = self._stage(form, mutant, tests, shown[form], *within)
                if end in (SEEN, LATE):
                    return end
                if end == ELSEWHERE and "bare" not in forms:
                    forms.append("bare")
                ends += [end] if end != ELSEWHERE else []
        return SURVIVED if SURVIVED in ends else UNREACHED

    def _tests(self, form: str, mutant: Mutant, slow: bool) -> list[str]:
        """Those that run its place; where that runs at import, those that run most of its module."""
        name = stretch(mutant)
        if form == "bare" or name is None:
            return self.reach.of_module(mutant.path, slow)
        return self.reach.all_of(name) if slow else self.reach.of(name)

    def _stage(
        self, form: str, mutant: Mutant, tests: list[str], shown: list[str], enough: float, most: int | None
    ) -> str:
        """Shown to so many seconds of tests, and so many; they are noted.

        A test that fails without the fault has seen nothing.
        """
        if not tests:
            return UNREACHED
        if form not in self.processes:
            self.processes[form] = self.enter_context(Warm(form, self.reach.files))
        process = self.processes[form]
        while True:
            usable = [test for test in tests if self.sound.get((form, test), True)]
            if process.tests:
                usable = [test for test in usable if test in process.tests]
            if not usable:
                return UNREACHED
            chosen, seconds = [], 0.0
            for test in usable[:most]:
                seconds += self.reach.cost[test]
                if seconds > enough and chosen:
                    break
                chosen.append(test)
            if self.survivors.has(mutant, form, chosen):
                shown += chosen
                return SURVIVED
            costs = [self.reach.cost[test] for test in chosen]
            said = process.ask(chosen, mutant, max(LIMIT, 3 * sum(costs)), each=[2 + 3 * cost for cost in costs])
            self.by = said.get("by", "")
            if said["end"] == SURVIVED:
                self.survivors.add(mutant, form, chosen)
                shown += chosen
            if said["end"] != SEEN or self.by not in chosen:
                return str(said["end"])
            if (form, self.by) not in self.sound:
                limit = max(LIMIT, 3 * self.reach.cost[self.by])
                self.sound[form, self.by] = process.ask([self.by], seconds=limit)["end"] == SURVIVED
            if self.sound[form, self.by]:
                return SEEN
