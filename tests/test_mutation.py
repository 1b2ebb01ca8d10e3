"""The runner that plants faults: what it plants, and that it tells a fault that is seen from one that is not."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

from reliability import mutants, reach, survivors
from reliability.chapters import mutation
from reliability.mutants import Mutant, equivalent
from reliability.reach import measure
from reliability.warm import Warm

MODULE = '''
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    LATER = 1 < 2

@dataclass(frozen=True)
class Interval:
    """From low to high."""

    low: int = 0

    def has(self, x: int) -> bool:
        assert x < 10
        return self.low <= x and not x == 7

def middle(a: int, b: int) -> int:
    return (a + b) // 2

def half(a: int) -> int:
    if a > 0:
        return a // 2
    return 0

def counted(n: int) -> int:
    while n > 0:
        n = n - 1
    return n

def sign(a: int) -> int:
    return 1 if a > 0 else -1

def unused(a: int) -> int:
    return a * 2

def paired(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    return list(zip(a, b, strict=True))

def flat(a: Any) -> Any:
    return a.reshape(-1, 8)

START = 0
TABLE = {"less": lambda a: a - 1}
'''
TEST = """
from importlib.resources import files

from fcsym.deriving.interval import START, TABLE, Interval, counted, half, middle, sign

def test_interval():
    assert TABLE["less"](3) == 2
    assert files("fcsym.deriving").joinpath("beside.txt").read_text() == "4"
    assert START == 0
    assert Interval().has(0) and Interval(3).has(3) and not Interval(3).has(2) and not Interval().has(7)
    assert Interval().low == 0
    assert middle(2, 4) == 3

def test_half():
    assert half(4) == 2 and half(0) == 0 and counted(3) == 0
    assert sign(4) == 1 and sign(-4) == -1
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one module and one file of tests."""
    room = tmp_path / "fcsym" / "deriving"
    room.mkdir(parents=True)
    for package in (room.parent, room):
        (package / "__init__.py").write_text("")
    (room / "beside.txt").write_text("4")
    (room / "interval.py").write_text(MODULE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_interval.py").write_text(TEST)
    (tmp_path / "reliability").mkdir()
    (tmp_path / "reliability" / "equivalent.toml").write_text("")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "ROOMS", ("deriving",))
    monkeypatch.setattr(mutation, "LIMIT", 1.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    held = [f for f in vars(mutants).values() if hasattr(f, "cache_clear")]
    for function in held:
        function.cache_clear()
    yield room / "interval.py"
    for function in held:
        function.cache_clear()


def test_every_kind_of_fault_is_planted(project):
    planted = {(one.before, one.after) for one in mutants.mutants(project)}
    assert planted >= {
        ("self.low <= x", "self.low < x"),
        ("self.low <= x and (not x == 7)", "self.low <= x or not x == 7"),
        ("not x == 7", "x == 7"),
        ("a + b", "a - b"),
        ("(a + b) // 2", "(a + b) * 2"),
        ("0", "1"),
        ("2", "3"),
        ("return a * 2", "return None"),
    }
    assert {one.before for one in mutants.mutants(project) if one.function == "flat"} == {
        "return a.reshape(-1, 8)",
        "8",
    }
    assert not {before for before, _ in planted} & {"True", "1 < 2", "x < 10"}  # no decorators, types and assertions
    for one in mutants.mutants(project):
        assert ast.dump(mutants.planted(project, one.place)) != ast.dump(mutants.planted(project, None))
        functions = {"middle", "half", "counted", "sign", "unused", "paired", "flat"}
        assert one.function in {"", "Interval", "Interval.has", *functions}


def planted_where(path: Path, before: str, function: str) -> Mutant:
    return next(one for one in mutants.mutants(path) if (one.before, one.function) == (before, function))


def test_what_becomes_of_faults(project, monkeypatch):
    """In a function, at import, where no test comes, and where there is no end."""
    measure()
    with mutation.Trier() as trier:
        for before, function, end in [
            ("a - 1", "", "seen"),
            ("a + b", "middle", "seen"),
            ("self.low <= x", "Interval.has", "seen"),
            ("0", "Interval", "seen"),
            ("0", "", "seen"),
            ("a * 2", "unused", "not reached"),
            ("a > 0", "half", "survived"),
            ("n - 1", "counted", "without end"),
        ]:
            assert trier.fate(planted_where(project, before, function)) == end, before
            if before in ("a - 1", "a + b"):  # a function without a name is one, too
                assert "bare" not in trier.processes
        monkeypatch.setattr(Warm, "ask", None)  # what has survived is not asked again
        assert trier.fate(planted_where(project, "a > 0", "half")) == "survived"


SLOW = """
from time import process_time

from fcsym.deriving.interval import START, sign, unused

def test_slow():
    assert unused(3) == 6
    until = process_time() + 0.4
    while process_time() < until:
        pass
    assert sign(0) == -1
"""


def test_what_no_quick_test_sees_is_shown_to_slower_ones(project, monkeypatch):
    """As soon as it is known what these run: of one that is stopped only what it runs at first."""
    (project.parents[2] / "tests" / "test_slow.py").write_text(SLOW)
    slow, name = "tests/test_slow.py::test_slow", "fcsym/deriving/interval.py:unused:1"
    monkeypatch.setattr(reach, "QUICK", 0.2)
    monkeypatch.setattr(reach, "LONGEST", 0.3)
    assert measure() == 4  # the slow one twice
    stopped = reach.Reach()
    assert slow not in stopped.cost and name in stopped.slow and name not in stopped.tests
    monkeypatch.setattr(reach, "LONGEST", 5.0)
    assert measure() == 1
    with mutation.Trier() as trier:
        assert trier.reach.cost[slow] > 0.2
        assert trier.reach.of(name) == [] and trier.reach.all_of(name) == [slow]
        assert slow in trier.reach.of_module(project, slow=True) and slow not in trier.reach.of_module(project)
        for before, function, by in [
            ("a * 2", "unused", slow),
            ("a > 0", "sign", slow),
            ("a + b", "middle", "tests/test_interval.py::test_interval"),
        ]:
            fault = planted_where(project, before, function)
            quickly = trier.fate(fault, patient=False)
            assert quickly == ("seen" if by != slow else "not reached" if function == "unused" else mutation.QUICKLY)
            assert (trier.fate(fault), trier.by) == ("seen", by)


KEPT = """
from functools import cache

from fcsym.deriving.interval import unused

known = cache(unused)
AT = known(3)

def test_kept():
    assert known(3) == AT
"""


def test_what_was_kept_when_tests_were_collected_is_run_again(project):
    (project.parents[2] / "tests" / "test_kept.py").write_text(KEPT)
    measure()
    assert reach.Reach().tests["fcsym/deriving/interval.py:unused:1"] == {"tests/test_kept.py::test_kept"}


MAKER = """
def maker(k: int):
    def added(x: int) -> int:
        return x + k
    return added

three = maker(3)
"""
USED = """
from fcsym.deriving.maker import three

def test_three():
    assert three(4) == 7
"""


def test_a_function_that_another_one_has_made_gets_the_fault_too(project):
    """It is made when the module is imported, before anything is planted."""
    made = project.parent / "maker.py"
    made.write_text(MAKER)
    (project.parents[2] / "tests" / "test_three.py").write_text(USED)
    measure()
    with mutation.Trier() as trier:
        assert trier.fate(planted_where(made, "x + k", "maker.added")) == "seen"


OUTSIDE = """
import subprocess
import sys

BUSY = "import time\\nwhile time.process_time() < 0.4: pass"

def test_outside():
    subprocess.run([sys.executable, "-c", BUSY], check=True)
"""


def test_what_a_test_costs_counts_the_programs_that_it_runs(project):
    (project.parents[2] / "tests" / "test_outside.py").write_text(OUTSIDE)
    measure()
    cost = reach.Reach().cost
    assert cost["tests/test_outside.py::test_outside"] > 0.4 > cost["tests/test_interval.py::test_half"]


def test_what_is_listed_is_passed_over(project):
    """The place that is meant, of all those with the same text."""
    first = planted_where(project, "1", "counted")
    assert first.name == ("fcsym/deriving/interval.py", "counted", "1", "2", 0)
    entry = f"[[mutant]]\nfile = {first.name[0]!r}\nfunction = 'counted'\nbefore = '1'\nafter = '2'\nreason = 'x'\n"
    file = project.parents[2] / "reliability" / "equivalent.toml"
    for text, listed in ((entry, True), (entry + "among = 1\n", False)):
        file.write_text(text)
        equivalent.cache_clear()
        with mutation.Trier() as trier:
            assert trier.fate(first) == (mutation.EQUIVALENT if listed else mutation.UNREACHED)


def test_a_run_goes_on_where_the_last_one_ended(project, monkeypatch):
    """What survived comes again, what was seen does not, until its function has changed."""
    ends = {"half": "survived"}
    tried: list[Mutant] = []
    patient: list[Mutant] = []

    def fate(self, one, slower):
        (patient if slower else tried).append(one)
        return ends.get(one.function, "seen") if slower else quickly.get(one.function, "seen")

    quickly = {"half": mutation.QUICKLY, "middle": mutation.QUICKLY}
    monkeypatch.setattr(mutation.Trier, "fate", fate)
    monkeypatch.setattr(mutation, "measure", lambda seconds: 0)
    every = mutation.ordered(0)
    half = [one for one in every if one.function == "half"]
    count = len(every)
    *_, table = mutation.chapter(3, 0)
    assert len(tried) == 3 and f": the {count - 3} places that have not been tried would take" in table.notes[-1]
    *_, table = mutation.chapter(count, 0)
    assert sorted(tried, key=every.index) == every
    assert {one.function for one in patient} == set(quickly)  # after all others, and they alone
    assert [failure.said for failure in table.failures] == [
        f"{one} is seen by none of the tests that it was shown to." for one in half
    ]
    figures = {"places": count, "tried": count, "survived": len(half), "seen": count - len(half)}
    assert table.rows == {"all": figures, "deriving": figures}
    assert f"Of {count - 3} faults that were tried for the first time" in table.notes[-1]  # none is left
    assert f" {sum(one.function != 'half' for one in tried[3:])} are seen:" in table.notes[-1]
    tried.clear()
    patient.clear()
    project.write_text("AT = 3\n" + MODULE.replace("(a + b) // 2", "(a + b) // 3"))
    mutants.mutants.cache_clear()
    mutants._texts.cache_clear()
    *_, table = mutation.chapter(len(every), 1)
    assert {one.function for one in tried} == {"", "middle"} and {one.function for one in patient} == set(quickly)
    assert [one.before for one in tried if not one.function] == ["3"]
    assert table.tried == len(mutation.ordered(1)) == len(every) + 1
    assert f"Of {len(tried)} faults that were tried for the first time" in table.notes[-1]


def test_what_no_test_has_seen_is_named_and_shown_to_others(project, capsys):
    """One that is listed as the same for everybody is not, nor one that was seen."""
    half, sign, unused, middle = (
        planted_where(project, before, function)
        for before, function in [("a > 0", "half"), ("a > 0", "sign"), ("a * 2", "unused"), ("a + b", "middle")]
    )
    ends = {half: "survived", sign: mutation.QUICKLY, unused: "not reached", middle: "seen"}
    mutation.keep({one.digest: end for one, end in ends.items()}, mutation.ordered(0))
    survivors.main([])
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(
        f"{mutation.ordered(0).index(one)}: {one}: {end}" for one, end in ends.items() if end != "seen"
    )
    survivors.main(["fcsym/kernel"])
    assert not capsys.readouterr().out
    (project.parents[2] / "tests" / "test_more.py").write_text(
        "from fcsym.deriving.interval import unused\n\ndef test_more():\n    assert unused(3) == 6\n"
    )
    survivors.main(["fcsym/deriving", "--to", "tests/test_more.py"])
    said = [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    by = "seen tests/test_more.py::test_more"
    assert sorted(said) == sorted([f"{half}: survived", f"{sign}: survived", f"{unused}: {by}"])
    (project.parents[2] / "tests" / "test_more.py").write_text("def test_more():\n    assert False\n")
    with pytest.raises(SystemExit, match="test_more fails without a fault"):
        survivors.main(["--to", "tests/test_more.py"])


@pytest.mark.parametrize(("hits", "of"), [(0, 5), (7, 9), (190, 200), (9, 9)])
def test_the_bound_of_a_share_is_where_the_sample_is_just_likely_enough(hits, of):
    """A share as low as that would give so many hits, or more, 1.645 standard deviations above its mean."""
    low = mutation._at_least(hits, of)
    assert (hits / of - low) == pytest.approx(1.6448536 * (low * (1 - low) / of) ** 0.5, abs=1e-7)
    assert 0 <= low < max(hits / of, 1e-9)


def test_what_has_survived_is_known_for_the_tests_as_they_are(project):
    """Other tests, the same in another file, and another form of trial say something new."""
    reach.folder().mkdir(parents=True)
    one, test = planted_where(project, "a > 0", "half"), "tests/test_interval.py::test_half"
    assert not reach.Survivors().has(one, "collected", [test])
    reach.Survivors().add(one, "collected", [test])
    assert reach.Survivors().has(one, "collected", [test])
    assert not reach.Survivors().has(one, "bare", [test])
    assert not reach.Survivors().has(planted_where(project, "0", "half"), "collected", [test])
    assert not reach.Survivors().has(one, "collected", [test, test])
    (project.parents[2] / "tests" / "test_interval.py").write_text(TEST + "    assert half(1) == 0\n")
    assert not reach.Survivors().has(one, "collected", [test])


def test_folders_take_turns(project, monkeypatch):
    """However many places each has."""
    other = project.parents[1] / "kernel" / "targets" / "small.py"
    other.parent.mkdir(parents=True)
    other.write_text("def up(a):\n    return a + 1\n")
    monkeypatch.setattr(mutants, "ROOMS", ("deriving", "kernel"))
    few = mutants.mutants(other)
    assert {one.folders for one in few} == {("kernel", "kernel/targets")}
    assert {one.function for one in mutation.ordered(0)[: 2 * len(few)]} > {"up"}
    assert [one.path == other for one in mutation.ordered(0)[: 2 * len(few)]].count(True) == len(few)


def test_a_test_that_fails_without_the_fault_sees_nothing(project, monkeypatch):
    file = project.parents[2] / "tests" / "test_interval.py"
    file.write_text("import os\n" + TEST + "\ndef test_a():\n    middle(0, 0)\n    assert 'BROKEN' not in os.environ\n")
    measure()
    monkeypatch.setenv("BROKEN", "1")
    with mutation.Trier() as trier:
        assert trier.fate(planted_where(project, "2", "middle")) == "seen"
        assert trier.by.endswith("::test_interval")


def test_what_is_listed_is_there():
    """A fault in the list is one that can be planted, and has a reason."""
    files = {file for file, *_ in equivalent()}
    names = {one.name for file in files for one in mutants.mutants(mutants.ROOT / file)}
    assert set(equivalent()) <= names
    assert all(len(reason) > 20 for reason in equivalent().values())


def test_no_module_is_taken_for_a_file_of_tests(pytestconfig):
    """Pytest reads those in its own way, so that it would not be known which tests run one."""
    patterns = pytestconfig.getini("python_files")
    modules = list((mutants.ROOT / "fcsym").rglob("*.py"))
    assert modules and not [path for path in modules if any(fnmatch(path.name, pattern) for pattern in patterns)]
