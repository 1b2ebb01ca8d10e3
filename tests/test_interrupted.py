"""Ctrl-C, and standard streams that are closed or full: one sentence, the right exit status, and nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import z3

from fcsym.cli import main
from fcsym.commands import limits
from fcsym.files import write_bytes
from fcsym.language import smt

PYTHON = [sys.executable, "-m", "fcsym"]
FULL = os.path.exists("/dev/full")  # noqa: PTH110


@pytest.fixture(autouse=True)
def interruptible():
    """A suite that runs in the background of a shell is started with interruptions ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def shell(command, **more):
    text = f"{' '.join(PYTHON)} {command}"
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, timeout=60, **more)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_z3_does_not_swallow_the_interruption():
    """A question that z3 would think about for hours."""
    x, y, z = z3.Ints("x y z")
    solver = z3.Solver()
    solver.add(x**3 + y**3 == z**3 + 114, x * y * z > 10**9)
    threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        smt.check(solver)
    easy = z3.Solver()
    easy.add(x > 3)
    assert smt.check(easy) == z3.sat  # and z3 can be asked again


def test_z3_answers_in_other_threads_too():
    found = []
    thread = threading.Thread(target=lambda: found.append(smt.check(z3.Solver(ctx=z3.Context()))))
    thread.start()
    thread.join()
    assert [str(answer) for answer in found] == ["sat"]


class Thinking:
    """As a solver that goes on for a while after it has been told to stop."""

    def __init__(self):
        self.ctx, self.told, self.asked, self.answered = self, threading.Event(), 0, False

    def set(self, *_):
        pass

    def interrupt(self):
        self.told.set()

    def check(self):
        self.asked += 1
        assert self.told.wait(30)
        time.sleep(0.3)
        self.answered = True


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("times", [(0.1,), (0.1, 0.2, 0.25)])
def test_an_interruption_waits_until_z3_has_stopped(times):
    """Two threads in one context of z3 end the process; a thread that was joined meanwhile counts as ended."""
    solver = Thinking()
    for seconds in times:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        smt.check(solver)
    assert (solver.asked, solver.answered) == (1, True)


@pytest.mark.parametrize("begun", [False, True])
def test_an_interruption_as_z3_is_being_asked_leaves_it_with_no_question(monkeypatch, begun):
    solver, start, threads = Thinking(), threading.Thread.start, []

    def interrupted(thread):
        threads.append(thread)
        if begun:
            start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        smt.check(solver)
    if not begun:
        start(threads[0])
    threads[0].join()
    assert (solver.asked, solver.answered) in ([(0, False), (1, True)] if begun else [(0, False)])


class Dying:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("json", [False, True])
def test_an_interruption_is_one_line_and_130(monkeypatch, capsys, json):
    """Also one that comes while an object is taken down, where Python drops exceptions."""

    def work(_):
        Dying()
        threading.Event().wait(20)

    monkeypatch.setattr("fcsym.commands.cost.run", work)
    assert main(["cost", "2-2-1", *["--json"] * json]) == 130
    out, err = capsys.readouterr()
    assert (out or err) == ('{"error": "Interrupted."}\n' if json else "fcsym: Interrupted.\n")
    assert not (out and err)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interruption_is_not_heard_while_z3_makes_a_term():
    """z3 takes down what it has only half made."""
    inside = {"__name__": "z3.z3", "signal": signal, "passed": []}
    exec("def make():\n    signal.raise_signal(signal.SIGINT)\n    passed.append(True)", inside)
    signal.signal(signal.SIGINT, limits.raising(signal.SIGINT, KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        inside["make"]()
        threading.Event().wait(20)
    assert inside["passed"] == [True]


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_an_interrupted_file_is_old_or_new_and_leaves_nothing(monkeypatch, tmp_path, place):
    file = tmp_path / "update.py"
    write_bytes(file, b"old")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os if place == "fsync" else type(file), place, stop)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(file, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["update.py"]
    assert file.read_bytes() == b"old"


@pytest.mark.skipif(not FULL, reason="no /dev/full here")
@pytest.mark.parametrize("command", ["cost 2-2-1", "cost 2-2-1 --json", "--help"])
@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
def test_a_standard_output_that_takes_nothing(command, where):
    done = shell(f"{command} {where}")
    assert done.returncode == 2
    assert done.stderr.startswith("fcsym: Standard output ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not FULL, reason="no /dev/full here")
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_an_error_output_that_takes_nothing(where):
    done = shell(f"--version {where}")
    assert done.returncode == 0
    assert done.stdout.startswith("fcsym")
    assert shell(f"cost 2-0-1 {where}").returncode == 2


def test_a_terminal_in_ascii():
    done = shell("cost 2-2-1", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stderr == ""
