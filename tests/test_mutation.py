"""The runner that plants faults: what it plants, and that it tells a fault that is seen from one that is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from reliability.chapters import mutation
from reliability.chapters.mutation import Mutant, equivalent, fate, mutants, nearest, trial
from reliability.frame import Wrong

MODULE = '''
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

def unused(a: int) -> int:
    return a * 2
'''
TEST = """
from fcsym.deriving.interval import Interval, middle

def test_interval():
    assert Interval().has(0) and Interval(3).has(3) and not Interval(3).has(2) and not Interval().has(7)
    assert Interval().low == 0
    assert middle(2, 4) == 3
"""


KEYS = ("file", "function", "before", "after")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one module and one file of tests."""
    room = tmp_path / "fcsym" / "deriving"
    room.mkdir(parents=True)
    (room / "interval.py").write_text(MODULE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_interval.py").write_text(TEST)
    (tmp_path / "reliability").mkdir()
    (tmp_path / "reliability" / "equivalent.toml").write_text("")
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    monkeypatch.setattr(mutation, "ROOMS", ("deriving",))
    for function in (mutants, equivalent, nearest, mutation._weighed):
        function.cache_clear()
    yield room / "interval.py"
    for function in (mutants, equivalent, nearest, mutation._weighed):
        function.cache_clear()


def test_every_kind_of_fault_is_planted(project):
    planted = {(one.before, one.after) for one in mutants(project)}
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
    assert not {before for before, _ in planted} & {"True", "1 < 2", "x < 10"}  # no decorators, types and assertions
    for one in mutants(project):
        assert ast.dump(ast.parse(one.source)) != ast.dump(ast.parse(MODULE))
        assert one.function in {"Interval", "Interval.has", "middle", "unused"}


def planted(path: Path, before: str) -> Mutant:
    return next(one for one in mutants(path) if one.before == before)


def test_a_fault_is_seen_or_survives(project):
    assert nearest(project) == ["test_interval.py"]
    assert fate(planted(project, "a + b"), nearest(project)) == "seen"
    assert fate(planted(project, "a * 2"), nearest(project)) == "survived"
    (project.parents[2] / "tests" / "test_interval.py").write_text("import time\n\ndef test():\n    time.sleep(60)\n")
    assert fate(planted(project, "a * 2"), nearest(project), seconds=3) == "not decided in time"


def test_a_survivor_is_a_failure_unless_it_is_listed(project, monkeypatch):
    monkeypatch.setattr(mutation, "fate", lambda mutant, tests: "survived")
    with pytest.raises(Wrong, match=r"is seen by none of test_interval\.py"):
        trial(0, 0)
    (project.parents[2] / "reliability" / "equivalent.toml").write_text(
        "".join(
            "[[mutant]]\nreason = 'x'\n" + "".join(f"{key} = {text!r}\n" for key, text in zip(KEYS, name, strict=True))
            for name in {one.name for one in mutants(project)}
        )
    )
    equivalent.cache_clear()
    assert trial(0, 0) == ("deriving", "the same for everybody")


def test_what_is_listed_is_there():
    """A fault in the list is one that can be planted, and has a reason."""
    files = {file for file, *_ in equivalent()}
    names = {one.name for file in files for one in mutants(mutation.ROOT / file)}
    assert set(equivalent()) <= names
    assert all(len(reason) > 20 for reason in equivalent().values())
