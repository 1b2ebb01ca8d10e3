"""Small faults in the code, and whether the tests see them.

One place in the derivation, the language, the closed forms, the schemes, the finder of collapses, the proof, the
certificates, the checks, the lowering or the printers is changed (a comparison, an operator, a number, a logical word,
what is returned), and tests that run this place are run until one fails: first quick ones, which take at most a
second, the cheapest of every file first, up to forty or eight seconds of them; and where none of these sees it slower
ones, which take up to twenty seconds, the cheapest first, up to a minute of them. Which tests run a place is measured
beforehand, for some minutes in each run, the quick ones first. So a change counts as a failure of the tests where none
that was run sees it, though one beyond these limits might; and a place counts as not reached where none runs it of
those of which this is known. What changes nothing that can be seen is listed with the reason in
`reliability/equivalent.toml`. What became of each fault is kept in `reliability/tried.txt` until the function around it
changes: a run tries again what has survived, where there are other tests by now, and then other places, drawn from each
folder in turn.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from math import sqrt
from pathlib import Path
from statistics import NormalDist

from fcsym.files import write_text
from reliability import mutants as planting
from reliability.frame import Table
from reliability.mutants import Mutant, equivalent, everywhere, stretch
from reliability.reach import QUICK, Reach, Survivors, measure
from reliability.warm import ELSEWHERE, LATE, SEEN, SURVIVED, Warm

SHORT, LONG = 2, 400
COSTLY = True
"""A trial is a run of tests: `make test` makes none, and neither does the short form of all chapters."""
MEASURING = 120.0
"""Seconds for which a run measures tests of which it is not known yet what they run."""
ENOUGH, MOST, FEW = 8.0, 40, 12
"""How many seconds of quick tests, and how many tests, a fault is shown to; how many where all is imported anew."""
LONGER = 60.0
"""How many seconds of slower tests, where no quick one sees it."""
LIMIT = 30.0
"""After so many seconds of the processor, or three times those of all tests, what has not ended will not; nor one test
after two seconds and three times its own.
"""
EQUIVALENT, UNREACHED = "the same for everybody", "not reached"
ENDS = (SEEN, LATE, EQUIVALENT, SURVIVED, UNREACHED)
_ALWAYS = 3  # notes, before those on what was tried for the first time


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """What has survived or was not reached, and so many faults that have not been tried yet; or that one alone."""
    measure(MEASURING)
    order, ends = ordered(seed), recorded()
    again = [n for n, one in enumerate(order) if ends.get(one.digest) in (SURVIVED, UNREACHED)]
    new = [n for n, one in enumerate(order) if one.digest not in ends]
    with Trier() as trier:
        yield (table := _figures(order, ends, only, trier.reach))
        first, start = Counter[str](), time.monotonic()
        for done, number in enumerate([only] if only is not None else again + new[:count], 1):
            one, known = order[number], ends.get(order[number].digest)
            end = trier.fate(one)
            first[end] += known is None
            if known != end:
                ends[one.digest] = end
                keep(ends, order)
                table = _figures(order, ends, only, trier.reach)
            if only is None:
                table.notes[_ALWAYS:] = _first(first, len(new), (time.monotonic() - start) / done)
            yield table


def _first(ends: Counter[str], places: int, seconds: float) -> list[str]:
    """What became of faults for which no test was written, and how long all others would take."""
    tried, seen = sum(ends.values()) - ends[EQUIVALENT], ends[SEEN] + ends[LATE]
    if not tried:
        return []
    return [
        (
            f"Of {tried:,} faults that were tried for the first time in this run, and are not on the list of what "
            f"nobody can see, {seen:,} are seen at once: with 95 % confidence at least {_at_least(seen, tried):.0%} of "
            "such faults are, drawn from each folder in turn. Some of the others may be the same for everybody."
        ),
        (
            f"A fault takes {seconds:.2g} s here: the {places - sum(ends.values()):,} places that have not been tried "
            f"would take {seconds * (places - sum(ends.values())) / 3600:.0f} hours."
        ),
    ]


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
        if end == SURVIVED and only in (None, number):
            table.fail(number, f"{one} is seen by none of the tests that it was shown to.")
    table.rows = dict(sorted(table.rows.items()))
    all_of = table.rows["all"]
    table.tried = all_of.get("tried", 0) if only is None else 1
    seen, reached = (sum(all_of.get(end, 0) for end in ends) for ends in ((SEEN, LATE), (SEEN, LATE, SURVIVED)))
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


class Trier(ExitStack):
    """Shows faults to the tests that run their places."""

    def __init__(self) -> None:
        super().__init__()
        self.reach = Reach()
        self.processes: dict[str, Warm] = {}
        self.sound: dict[tuple[str, str], bool] = {}
        self.survivors = Survivors()
        self.by = ""  # what has seen the last one

    def fate(self, mutant: Mutant) -> str:
        """What becomes of a fault."""
        self.by = ""
        if mutant.name in equivalent():
            return EQUIVALENT
        name, end, reach = stretch(mutant), UNREACHED, self.reach
        if name is not None:
            end = self._shown("collected", mutant, reach.of(name), reach.slower(name))
        if name is None or end == ELSEWHERE or (end != SEEN and name in reach.at_import):
            tests = reach.of_module(mutant.path), reach.of_module(mutant.path, slow=True)
            end = self._shown("bare", mutant, *tests) if any(tests) else UNREACHED
        return end

    def _shown(self, form: str, mutant: Mutant, quick: list[str], slower: list[str]) -> str:
        """Shown to quick tests, and to slower ones where no quick one has seen it."""
        end = self._stage(form, mutant, quick, ENOUGH)
        if end in (SURVIVED, UNREACHED):
            later = self._stage(form, mutant, slower, LONGER)
            end = end if later == UNREACHED else later
        return end

    def _stage(self, form: str, mutant: Mutant, tests: list[str], enough: float) -> str:
        """Shown to so many seconds of tests; a test that fails without the fault has seen nothing."""
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
            for test in usable[: MOST if form == "collected" else FEW]:
                seconds += self.reach.cost[test]
                if seconds > enough and chosen:
                    break
                chosen.append(test)
            if self.survivors.has(mutant, form, chosen):
                return SURVIVED
            costs = [self.reach.cost[test] for test in chosen]
            said = process.ask(chosen, mutant, max(LIMIT, 3 * sum(costs)), each=[2 + 3 * cost for cost in costs])
            self.by = said.get("by", "")
            if said["end"] == SURVIVED:
                self.survivors.add(mutant, form, chosen)
            if said["end"] != SEEN or self.by not in chosen:
                return str(said["end"])
            if (form, self.by) not in self.sound:
                limit = max(LIMIT, 3 * self.reach.cost[self.by])
                self.sound[form, self.by] = process.ask([self.by], seconds=limit)["end"] == SURVIVED
            if self.sound[form, self.by]:
                return SEEN
