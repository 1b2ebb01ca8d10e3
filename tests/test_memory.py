"""Work that does not fit into memory is refused before it begins, with the number of bytes."""

from __future__ import annotations

import json

import pytest

from fcsym import memory
from fcsym.cli import main
from fcsym.errors import SizeError


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "100000-100000-1", "--target", "numpy"],
        ["export", "100000-100000-1", "--scheme", "states", "--target", "c"],
        ["check", "100000-100000-1", "--scheme", "history", "--trials", "20"],
        ["derive", "300000-300000-1", "--scheme", "basis", "--trials", "20"],
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments, capsys, tmp_path):
    where = ["-o", str(tmp_path / "out")] if arguments[0] == "export" else []
    assert main([*arguments, *where, "--json"]) == 2
    said = json.loads(capsys.readouterr().out)["error"]
    assert arguments[1].split("-")[0] in said
    assert "GB of memory" in said
    assert not list(tmp_path.glob("out/*"))


def test_the_smaller_of_machine_and_container_counts(monkeypatch):
    monkeypatch.setattr(memory, "_machine", lambda: 10**9)
    monkeypatch.setattr(memory, "_container", lambda: 10**6)
    assert memory.available() == 10**6
    memory.refuse_beyond("This", 999_999, "try less")
    with pytest.raises(SizeError, match=r"^This takes about 0\.002 GB of memory and 0\.001 GB are free: try less\.$"):
        memory.refuse_beyond("This", 2e6, "try less")
    monkeypatch.setattr(memory, "_machine", lambda: None)
    monkeypatch.setattr(memory, "_container", lambda: None)
    memory.refuse_beyond("This", 1e18, "try less")  # where nothing is known, nothing is refused


def test_memory_that_runs_out_all_the_same_is_a_sentence(monkeypatch, capsys):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("fcsym.commands.cost.run", exhausted)
    assert main(["cost", "2-2-1"]) == 2
    assert "memory" in capsys.readouterr().err
