"""Kills, full disks, others that write, compilers that hang: files are old or new, a set alike, and nothing is left.

The processes that are killed write sets of files over and over; where they are when the signal comes is chance. The
chapter `faults` of the reliability figures is the long form.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import LONG, few, need

from fcsym import ArgumentError, CompileError, MissingTool, files
from fcsym.files import write_bytes, write_files
from fcsym.kernel import native
from fcsym.kernel.native import load
from fcsym.machine import programs
from fcsym.render import pdf

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of POSIX")

NAMES = ("a.txt", "b/c.txt", "b/d.txt", "e/f.txt")
WRITER = """
import signal, sys; from pathlib import Path; from fcsym.files import write_files
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it from its start
folder, n = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    n += 1
    gone = [folder / "b/gone.txt"] if n % 2 else []
    more = {} if n % 2 else {folder / "b/gone.txt": str(n)}
    write_files({folder / name: str(n) * 1000 for name in sys.argv[2:]} | more, gone)
"""


@pytest.fixture
def folder(tmp_path):
    """With a set of files in it."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("0" * 1000)
    return tmp_path


def started(folder):
    command = [sys.executable, "-c", WRITER, str(folder), *NAMES]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def recovered(folder):
    """What is there after the next write, which is of another file; nothing else is left."""
    write_files({folder / "other.txt": "x", folder / "b" / "other.txt": "x", folder / "e" / "other.txt": "x"})
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert {found.pop(name) for name in ("other.txt", "b/other.txt", "e/other.txt")} == {"x"}
    return found


def whole(found):
    """Whether all files are of one set, the one that is removed in every other among them."""
    written = {text[: len(text) // 1000] for text in (found[name] for name in NAMES)}
    if len(written) != 1 or {len(text) for name, text in found.items() if name in NAMES} != {1000 * len(min(written))}:
        return False
    n = int(min(written))
    return set(found) == {*NAMES, *(["b/gone.txt"] if n and not n % 2 else [])} and found.get(
        "b/gone.txt", str(n)
    ) == str(n)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("turn", range(40 if LONG else 6))
def test_a_set_of_files_is_all_old_or_all_new_after_a_kill(folder, number, turn):
    process = started(folder)
    time.sleep(0.02 + 0.0037 * turn)
    while process.poll() is None:  # Python drops an interruption that comes while it clears an object away
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
    process.stdout.close()
    assert whole(recovered(folder)), sorted(path.name for path in folder.rglob("*"))


PLACES = ("_write", "_second", "replace", "unlink")


class Killed(BaseException):
    """As a kill: nothing of what was to be done afterwards is done."""


def killed_at(monkeypatch, place, count):
    """From the call of that number on, nothing of `files` reaches the disk any more."""
    calls = [0]

    def wrapped(own, mine):
        def call(*arguments, **others):
            calls[0] += mine
            if calls[0] > count:
                raise Killed
            return own(*arguments, **others)

        return call

    for name in ("_write", "_second"):
        monkeypatch.setattr(files, name, wrapped(getattr(files, name), name == place))
    for name in ("replace", "unlink", "write_bytes"):
        monkeypatch.setattr(Path, name, wrapped(getattr(Path, name), name == place))
    return calls


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("count", range(9))
def test_it_is_so_wherever_it_is_killed(folder, place, count, tmp_path_factory):
    """Before every call that changes the disk; and once more, in taking back what an interruption has broken off."""
    (folder / "b" / "gone.txt").write_text("0")
    with pytest.MonkeyPatch.context() as patch:
        calls = killed_at(patch, place, count)
        try:
            write_files({folder / name: "1" * 1000 for name in NAMES}, [folder / "b" / "gone.txt"])
        except Killed:
            pass
        else:
            assert calls[0] <= count
    found = recovered(folder)
    gone = found.pop("b/gone.txt", "")
    assert set(found.values()) in ({"0" * 1000}, {"1" * 1000})
    assert (gone == "0") is (found["a.txt"][0] == "0")


@pytest.mark.parametrize("count", range(7))
def test_a_kill_while_it_is_taken_back_is_taken_back_too(folder, count):
    """The last rename fails, and the process is killed in what follows."""
    (folder / "e" / "f.txt").unlink()
    own = Path.replace

    def failing(self, target):
        if Path(target).name == "f.txt":
            killed_at(patch, "replace", count)
            raise OSError(28, "No space left on device")
        return own(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises((Killed, ArgumentError)):
            write_files({folder / name: "1" * 1000 for name in NAMES})
    new = {name: "1" * 1000 for name in NAMES}  # where it had not yet said that it takes back
    assert recovered(folder) in ({name: "0" * 1000 for name in NAMES[:-1]}, *([] if count else [new]))


def test_a_broken_recovery_would_be_seen(folder, monkeypatch):
    monkeypatch.setattr(files, "_settle", lambda journal: None)
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, "replace", 3)
        with pytest.raises(Killed):
            write_files({folder / name: "1" * 1000 for name in NAMES})
    assert set(recovered(folder)) != set(NAMES) or len(set(recovered(folder).values())) > 1


def test_a_journal_of_somebody_elses_reaches_nothing_outside(folder):
    outside = folder / "a.txt"
    inner = folder / "b"
    token = "fcsym0123456789ab"
    for name in ("../a.txt", str(outside)):
        (inner / f".{token}.journal").write_text(json.dumps({"files": [[name, True, False]]}))
        write_bytes(inner / "c.txt", b"new")
        assert outside.exists()
        assert not (inner / f".{token}.journal").exists()
    (inner / f".{token}.back").write_text("no journal")
    (inner / f".{token}.journal").symlink_to(outside)
    write_bytes(inner / "c.txt", b"new")
    assert not (inner / f".{token}.back").exists()
    assert outside.read_text() == "0" * 1000


def test_two_processes_at_once(folder):
    running = [started(folder) for _ in range(2)]
    time.sleep(0.6)
    assert all(process.poll() is None for process in running)
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()
    assert whole(recovered(folder))


def test_one_that_never_ends_is_named(folder, monkeypatch):
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    number = os.open(folder / "b", os.O_RDONLY)
    try:
        assert files.held(number)
        with pytest.raises(ArgumentError, match=r"^Another process is writing to .*b: wait for it"):
            write_bytes(folder / "b" / "c.txt", b"new")
    finally:
        os.close(number)
    write_bytes(folder / "b" / "c.txt", b"new")


def test_a_disk_that_is_full(folder):
    """By a limit on the size of files, for a file in the middle of a set."""
    code = (
        "import resource, sys; from pathlib import Path; from fcsym.files import write_files;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); folder = Path(sys.argv[1]);"
        "write_files({folder / 'a.txt': 'new', folder / 'b/c.txt': 'x' * 5000, folder / 'b/d.txt': 'new'})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert "b/c.txt cannot be written (File too large): choose another place." in done.stderr
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["a.txt", "c.txt", "d.txt", "f.txt"]
    assert whole(recovered(folder))


def test_a_folder_that_may_not_be_written_to(folder, monkeypatch):
    """A user for whom nothing is forbidden meets it as what the system says."""

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    (folder / "b").chmod(0o500)
    if os.getuid() == 0:
        monkeypatch.setattr(files, "_write", refused)
    with pytest.raises(ArgumentError, match=r"cannot be written \(Permission denied\)"):
        write_files({folder / "b" / name: "new" for name in ("c.txt", "new.txt")})
    monkeypatch.undo()
    (folder / "b").chmod(0o700)
    assert whole(recovered(folder))


# ------------------------------------------------------------------------------------------- compilers, and the cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fcsym" / "native"


def compiler_that(does, tmp_path, monkeypatch):
    path = tmp_path / "compiler"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\n{does}\n')
    path.chmod(0o700)
    monkeypatch.setenv("CC", str(path))


def test_a_compiler_that_hangs_is_ended_with_all_that_it_has_started(tmp_path, monkeypatch, cache):
    mark = tmp_path / "started"
    compiler_that(f"sleep 300 & echo $! > {mark}; wait", tmp_path, monkeypatch)
    monkeypatch.setattr(native, "_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(
        CompileError, match=r"/compiler did not finish \(stopped after 0\.5 s\): set CC to another compiler\.$"
    ):
        load("int kernel_lane_count(void) { return 1; }", np.float64)
    assert time.monotonic() - began < 90
    assert (
        not Path(f"/proc/{mark.read_text().strip()}/cmdline").exists()
        or not Path(f"/proc/{mark.read_text().strip()}/cmdline").read_bytes()
    )
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("does", "said"), [("echo 'error: no' >&2; exit 1", r"error: no"), ("exit 0", "refused"), ("kill -9 $$", "refused")]
)
def test_a_compiler_that_fails_is_one_sentence(does, said, tmp_path, monkeypatch, cache):
    compiler_that(does, tmp_path, monkeypatch)
    with pytest.raises(CompileError, match=said) as caught:
        load("", np.float64)
    assert "\n" not in str(caught.value)
    assert not list(cache.iterdir())


def test_without_a_compiler_and_without_latex(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CompileError, match="No C compiler was found"):
        load("", np.float64)
    with pytest.raises(MissingTool, match="pdflatex"):
        pdf.compiled("")


@pytest.mark.parametrize("kind", ["folder", "unreadable", "other user's", "of another version"])
def test_what_is_in_the_way_in_the_cache(kind, monkeypatch, cache):
    need("cc")
    source = "int kernel_lane_count(void) { return 7; }"
    library = load(source, np.float64)
    path = library.path
    before = path.read_bytes()
    if kind == "folder":
        path.unlink()
        path.mkdir()
        with pytest.raises(CompileError, match=r"cannot be loaded .*remove it"):
            load(source, np.float64)
        return
    if kind == "unreadable":
        path.unlink()
        path.write_bytes(b"")
        path.chmod(0o000)
    elif kind == "of another version":
        path.unlink()  # this process goes on using the old file
        path.write_bytes(before.replace(native._SEAL, b"fcsym0"))
    else:
        own = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: own + 1)
        assert not native._sound(path)
        monkeypatch.undo()
        return
    assert load(source, np.float64).lanes == 7
    assert native._sound(path)


def test_what_a_killed_build_has_left_goes_with_the_next(cache):
    need("cc")
    load("int kernel_lane_count(void) { return 1; }", np.float64)
    code = (
        "import sys, time; from pathlib import Path; from fcsym.machine.programs import workspace\n"
        "with workspace(Path(sys.argv[1])) as folder:\n print(folder, flush=True); time.sleep(100)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(cache)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    folders = [Path(process.stdout.readline().strip()) for process in running]
    running[0].kill()
    running[0].wait()
    load("int kernel_lane_count(void) { return 2; }", np.float64)
    assert [folder.exists() for folder in folders] == [False, True]
    running[1].kill()
    running[1].wait()
    for process in running:
        process.stdout.close()


def test_a_folder_is_left_to_nobody_even_where_its_maker_is_killed_before_it_holds_it(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(programs, "held", killed)
        with programs.workspace(tmp_path):
            pass
    assert len(list(tmp_path.iterdir())) == 1
    with programs.workspace(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_swept_before_it_is_held_is_made_again(tmp_path, monkeypatch):
    make, made = programs.tempfile.mkdtemp, []

    def swept(**settings):
        made.append(own := make(**settings))
        if len(made) == 1:
            with programs.workspace(tmp_path):  # another process, at just this moment
                pass
        return own

    monkeypatch.setattr(programs.tempfile, "mkdtemp", swept)
    with programs.workspace(tmp_path) as folder:
        assert folder.is_dir() and str(folder) == made[2] and not Path(made[0]).exists()
    monkeypatch.setattr(programs.tempfile, "mkdtemp", lambda **_: str(tmp_path / "none"))
    with pytest.raises(ArgumentError, match="removed as soon"), programs.workspace(tmp_path):
        pass


def test_an_interruption_ends_a_program_too():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            programs.run(["sleep", "100"], 100)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 90


@pytest.mark.parametrize("place", few(PLACES, 4))
def test_a_single_file_is_old_or_new(folder, place):
    for count in range(3):
        (folder / "a.txt").write_text("0")
        with pytest.MonkeyPatch.context() as patch:
            killed_at(patch, place, count)
            with suppress(Killed):
                write_bytes(folder / "a.txt", b"1")
        found = recovered(folder)
        assert found["a.txt"] in ("0", "1")
        assert set(found) == set(NAMES)
