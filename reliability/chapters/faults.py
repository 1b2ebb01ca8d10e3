"""Kills while files are written.

A process writes the same set of files again and again, one of two versions in turn: the four files of an export in C,
a gallery of two cases, a certificate, libraries in the cache. At some moment it gets SIGINT or SIGKILL; or no file
may be longer than so many bytes, as on a disk that is full in the middle. Every file must then be one of its two
versions, byte for byte. After the next write in the same folder all files must be of one version, and none is left
that does not belong there; after a full disk it is the version that was there before. The last columns say how often
something was left for the next write to finish or to remove, and how often that was a set of which only a part was in
its place.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import count as counted
from pathlib import Path
from typing import Any

from reliability.frame import Table, Wrong, trials

SHORT, LONG = 48, 1000
WAYS = {"SIGINT": signal.SIGINT, "SIGKILL": signal.SIGKILL, "full disk": None}
Files = Mapping[str, bytes]


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many kills."""
    table = Table((*WAYS, "something left", "half a set"), "what is written")
    for outcome in trials(trial, count, seed, only):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            kind, way, left, half = outcome.value
            table.add(kind, way)
            table.add(kind, "something left", left)
            table.add(kind, "half a set", half)
            table.rows = dict(sorted(table.rows.items()))
        yield table


def trial(seed: int, number: int) -> tuple[str, str, bool, bool]:
    """One kill: what was written, by what it was ended, and whether something was left. Wrong where a set is torn."""
    rng = random.Random(f"{seed} {number}")
    kind, (way, how) = list(KINDS)[number % len(KINDS)], list(WAYS.items())[number // len(KINDS) % len(WAYS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "work"
        folder.mkdir()
        return (kind, way, *KINDS[kind](folder, how, rng))


def _sets(
    folder: Path, how: int | None, rng: random.Random, versions: tuple[Files, Files], write: Callable[[int], None]
) -> tuple[bool, bool]:  # fmt: skip
    """A set of files in two versions, the first of which is there; `write` writes one of them."""
    from fcsym.files import write_bytes

    for path, data in versions[0].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    _ended(write, how, rng, max(map(len, versions[1].values())))
    found = _contents(folder)
    hidden = {path for path in found if Path(path).name.startswith(".")}
    for path, data in found.items():
        if path not in hidden and data not in [version.get(path) for version in versions]:
            raise Wrong(f"{path} is neither of its two versions after the kill: {len(data)} bytes.")
    half = {path: data for path, data in found.items() if path not in hidden} not in versions
    write_bytes(folder / "another", b"")
    (folder / "another").unlink()
    found = {path: data for path, data in _contents(folder).items() if not Path(path).name.startswith(".")}
    if found not in (versions if how is not None else versions[:1]):
        of = {path: [data == version.get(path) for version in versions] for path, data in found.items()}
        raise Wrong(f"After the next write the set is of no one version: {of}.")
    write(1)
    if _contents(folder) != versions[1]:
        raise Wrong(f"After the next run there is {sorted(_contents(folder))}, not {sorted(versions[1])}.")
    return bool(hidden), half


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _ended(write: Callable[[int], None], how: int | None, rng: random.Random, size: int) -> None:
    """A process that writes, ended by a signal at some moment or by a limit on the size of files."""
    from fcsym.errors import FcsymError

    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 4
        try:
            os.close(reader)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if how is None:
                limit = rng.randrange(1, size)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            os.write(writer, b"x")
            for n in counted(1) if how is not None else (1,):
                write(n % 2)
        except KeyboardInterrupt:
            status = 2
        except FcsymError as problem:
            status = 3 if "\n" not in str(problem) else 4
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    if how is not None:
        time.sleep(rng.uniform(0, _SPAN))
        os.kill(child, how)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    expected = {None: 3, signal.SIGINT: 2, signal.SIGKILL: -signal.SIGKILL}[how]
    if status != expected:
        raise Wrong(f"The process ended with status {status}, not {expected}.")


_SPAN = 0.1  # seconds: several writes
_TURNS = 50  # builds within which what a compiler has left is gone


# ------------------------------------------------------------------------------------------------- what is written


def _export(folder: Path, how: int | None, rng: random.Random) -> tuple[bool, bool]:
    from fcsym.kernel import export

    schemes = _schemes()
    # what is written is not the question: only the writing takes time
    export.agrees_with_autodiff = lambda *_: ""  # type: ignore[assignment]
    export._files = lambda scheme, *_: schemes[str(scheme.network)][1]  # type: ignore[assignment]

    def made(n: int, where: Path) -> None:
        export.export(list(schemes.values())[n][0], where / "update.c", force=True)

    return _sets(folder, how, rng, _versions(made), lambda n: made(n, folder))


@cache
def _schemes() -> Mapping[str, tuple[Any, dict[str, str]]]:
    """Two schemes by their networks, each with its files in C."""
    import fcsym
    from fcsym.kernel.export import TARGETS, _files

    made = [fcsym.scheme(fcsym.Network.parse(text), "states") for text in ("1-1-1", "2-2-1")]
    return {str(scheme.network): (scheme, _files(scheme, TARGETS["c"], "update")) for scheme in made}


def _gallery(folder: Path, how: int | None, rng: random.Random) -> tuple[bool, bool]:
    from fcsym.gallery import write

    texts = [f"# Derivations\n\nEach folder has a spec and what follows from it {n}\n" * (n + 1) for n in range(2)]

    def made(n: int, where: Path) -> None:
        for case in ("first", "second"):
            (where / case).mkdir(exist_ok=True)
            (where / case / "spec.toml").touch()
        files = {f"{case}/generated/{k}.txt": f"{case} {n} {k}" * 500 for case in ("first", "second") for k in range(3)}
        more = {"second/generated/more.txt": "more"} if n else {}
        write(where, {**files, **more, "README.md": texts[n]})

    return _sets(folder, how, rng, _versions(made), lambda n: made(n, folder))


def _certificate(folder: Path, how: int | None, rng: random.Random) -> tuple[bool, bool]:
    from fcsym.files import write_text

    def made(n: int, where: Path) -> None:
        write_text(where / "proof.v", _certificates()[n])

    return _sets(folder, how, rng, _versions(made), lambda n: made(n, folder))


def _versions(made: Callable[[int, Path], None]) -> tuple[Files, Files]:
    found = []
    for n in range(2):
        with tempfile.TemporaryDirectory() as name:
            made(n, Path(name))
            found.append(_contents(Path(name)))
    return found[0], found[1]


@cache
def _certificates() -> tuple[str, str]:
    import fcsym
    from fcsym.certificates import certificate_of

    first, second = (certificate_of(fcsym.derive(fcsym.Network.parse(text))).text for text in ("2-1", "2-2-1"))
    return first, second


def _cache(folder: Path, how: int | None, rng: random.Random) -> tuple[bool, bool]:
    """Every library is whole, and there is nothing else; a new one is built in each turn."""
    import numpy as np

    from fcsym.kernel import native

    def built(n: int) -> None:
        native.load(f"int kernel_lane_count(void) {{ return {n}; }} /* {next(numbers)} */", np.float64)

    numbers, before = counted(), os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    where = folder / "fcsym" / "native"
    try:
        built(1)
        _ended(built, how, rng, 4000)
        names = sorted(path.name for path in where.iterdir())
        left = any(not name.endswith(".so") for name in names)
        for turn in range(_TURNS):  # the compiler of a killed process lives on for a moment, and holds what it writes
            native.load(f"int kernel_lane_count(void) {{ return 3; }} /* {turn} */", np.float64)
            if all(path.suffix == ".so" for path in where.iterdir()):
                break
            time.sleep(0.1)
        for path in where.iterdir():
            if path.suffix != ".so" or not native._sound(path):
                raise Wrong(f"{path.name} is in the cache after the next build; before it there were {names}.")
    finally:
        with suppress(KeyError):
            del os.environ["XDG_CACHE_HOME"]
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before
        shutil.rmtree(folder, ignore_errors=True)
    return left, False


KINDS: Mapping[str, Callable[[Path, int | None, random.Random], tuple[Any, Any]]] = {
    "export": _export, "gallery": _gallery, "certificate": _certificate, "cache": _cache,
}  # fmt: skip
