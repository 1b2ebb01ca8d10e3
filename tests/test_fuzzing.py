"""Wrong input to everything that reads is taken or refused in one sentence."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from random import Random

import numpy
import pytest
from conftest import LONG

import fcsym
from fcsym import errors
from fcsym.cli import main
from fcsym.commands import COMMANDS
from fcsym.errors import ArgumentError, FcsymError, NetworkError, shown
from fcsym.values import read_values, values_of
from reliability.chapters import fuzzing
from reliability.frame import Wrong

HUGE = 16**5000
"""Python has it, writes it in hexadecimal, and refuses to write it in decimals."""


def test_no_unexpected_exception():
    *_, table = fuzzing.chapter(20_000 if LONG else 500, seed=1)
    assert table.failures == []
    assert set(table.rows) == set(fuzzing.READERS)  # everything was tried,
    assert all(row["refused"] for row in table.rows.values())  # and most of it is wrong


def test_every_command_is_tried():
    random = Random(0)
    assert {fuzzing.arguments(random)[0] for _ in range(400)} >= set(COMMANDS)


def test_what_takes_long_is_stopped(monkeypatch):
    monkeypatch.setattr(fuzzing, "SECONDS", 0.05)

    def endless(random):
        while True:
            try:
                random.random()
            except Exception:
                return "taken"

    assert fuzzing.outcome_of(endless, Random(0)) == "stopped"


def refuse(error):
    def read(random):
        raise error

    return read


def test_what_is_stopped_leaves_the_folder_and_the_streams_to_the_next(tmp_path, monkeypatch):
    """Time may be up while a trial goes back to where it was; its folder is gone then."""
    gone = tmp_path / "gone"
    gone.mkdir()

    def read(random):
        os.chdir(gone)
        gone.rmdir()
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        raise fuzzing._Late

    home, stream = Path.cwd(), sys.stdout
    assert fuzzing.outcome_of(read, Random(0)) == "stopped"
    assert Path.cwd() == home and sys.stdout is stream


@pytest.mark.parametrize("error", [KeyError("W1"), ValueError("bad"), UserWarning("odd"), RecursionError()])
def test_another_exception_is_a_failure(error):
    with pytest.raises(type(error)):
        fuzzing.outcome_of(refuse(error), Random(0))


@pytest.mark.parametrize("text", ["", "two\nlines.", "no end", "x" * 3000 + "."])
def test_what_is_no_sentence_is_a_failure(text):
    with pytest.raises(Wrong):
        fuzzing.outcome_of(refuse(FcsymError(text)), Random(0))


def test_a_command_that_leaves_something_is_a_failure(monkeypatch, tmp_path):
    def main(words):
        (tmp_path / "left").write_text("half a file")
        print("fcsym: It is wrong: mend it.", file=__import__("sys").stderr)
        return 2

    monkeypatch.setattr("fcsym.cli.main", main)
    with pytest.raises(Wrong, match="leaves"):
        fuzzing.run(["derive", "2-2-1"], tmp_path)


def test_a_traceback_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr("fcsym.cli.main", lambda words: {}["status"])
    with pytest.raises(Wrong, match="KeyError"):
        fuzzing.run(["derive"], tmp_path)


# ------------------------------------------------------------------------------------------- what has been found so


@pytest.mark.parametrize(
    "read",
    [
        lambda: fcsym.Network.mlp([2, HUGE]),
        lambda: fcsym.Network.mlp([2, 2, 1], HUGE),
        lambda: fcsym.Network.from_table({"widths": [2, 1], "loss": HUGE}),
        lambda: fcsym.Network.from_table({"widths": [2, 1], "rule": {"name": "momentum", "beta": HUGE}}),
        lambda: values_of(fcsym.Network.parse("1-1"), {"x": HUGE, "target": 1, "eta": 1, "W1": 1}),
        lambda: fcsym.rule(HUGE),
        lambda: fcsym.Network.from_table({"shape": [2], "layers": [{"name": HUGE, "width": 2}, {"width": 1}]}),
    ],
)
def test_a_number_too_long_to_be_written_is_refused(read):
    with pytest.raises((NetworkError, ArgumentError)):
        read()


def test_what_cannot_be_written_is_said_by_its_type():
    assert shown(HUGE) == "a number too long to write" and shown("x" * 50) == "x" * 40


@pytest.mark.parametrize("x", [1, None, []])
def test_a_batch_needs_rows(x):
    network = fcsym.Network.parse("1-1").training(None, "mean")
    with pytest.raises(ArgumentError, match="a row for each sample"):
        values_of(network, {"x": x, "target": 1, "eta": 1, "W1": 1})
    with pytest.raises(ArgumentError, match="x is missing"):
        values_of(network, {"target": 1, "eta": 1, "W1": 1})


def test_a_broken_archive_is_said_in_a_short_sentence(tmp_path):
    file = tmp_path / "v.npz"
    numpy.savez(file, x=numpy.ones(1))
    file.write_bytes(file.read_bytes().replace(b"x.npy", b"y.npy", 1))
    with pytest.raises(ArgumentError, match=r"is no \.npz file") as refused:
        read_values(fcsym.Network.parse("1-1"), file)
    assert len(str(refused.value)) < 200 + len(str(file))


def test_a_residual_needs_a_list_of_layers():
    with pytest.raises(NetworkError, match="give a list of them"):
        fcsym.Network.from_table({"shape": [2], "layers": [{"kind": "residual", "layers": 3}]})


def test_words_of_an_example_are_words():
    values = {"x": [1], "target": [1], "eta": 1, "W1": [[1]]}
    example = {"network": "1-1", "values": values, "claims": ["before, y is 1"]}
    with pytest.raises(ArgumentError, match="title"):
        fcsym.audit_example({**example, "title": HUGE})
    with pytest.raises(ArgumentError, match="claim 1: quantity"):
        fcsym.audit_example({**example, "claims": [{"quantity": 3, "printed": 1}]})
    with pytest.raises(ArgumentError, match="is no number"):
        fcsym.audit_example({**example, "claims": [{"quantity": "y", "printed": HUGE}]})


def test_the_refusal_of_a_time_limit_says_what_to_do(capsys, tmp_path):
    assert main(["audit", str(tmp_path / "e.toml"), "--time-limit", "3"]) == 2
    assert "leave it out" in capsys.readouterr().err


def test_a_sentence_names_some_of_very_many():
    assert errors.listed(["a", "b"]) == "a, b"
    assert errors.listed("abcde", most=3) == "a, b, c and 2 more"
    deep = fcsym.Network.parse("-".join(["1"] * 129), bias=True)
    for wrong in (lambda: deep.frozen("nothing"), lambda: fcsym.derive(deep)["nothing"]):
        with pytest.raises(FcsymError, match="more") as refused:
            wrong()
        fuzzing.checked_sentence(str(refused.value))
    layers = [{"kind": "layernorm"} for _ in range(199)] + [{"kind": "linear", "out_features": 1}]
    assert "-layernorm-...160 more...-layernorm-" in str(fcsym.Network.from_table({"shape": [2, 2], "layers": layers}))


def test_a_pipe_that_nobody_reads_ends(tmp_path):
    pipe = tmp_path / "pipe.toml"
    with fuzzing._pipe(pipe, b"x" * 200_000):
        pass
    with fuzzing._pipe(tmp_path / "other.toml", b"read"):
        assert (tmp_path / "other.toml").read_bytes() == b"read"
