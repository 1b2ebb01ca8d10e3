"""A process that stays warm and tries one fault after another, each in a child of its own.

`collected`: everything is imported and every test collected. The child gives the functions that the fault is in their
new code, and runs the tests. `bare`: only what others wrote is imported. The child imports fcsym with the fault in it:
what runs at import is wrong, too. `measured`: as `collected`, and each function says which of its stretches has run.

Requests and answers are lines of JSON, on standard input and output.
"""

from __future__ import annotations

import ast
import gc
import importlib.abc
import importlib.machinery
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import _lru_cache_wrapper
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, FunctionType, ModuleType
from typing import Any

from reliability import mutants
from reliability.mutants import HIT, ROOMS, Mutant, planted, stretches

OTHERS = ("numpy", "sympy", "z3", "autograd.numpy", "mpmath", "rich.console", "latex2mathml.converter", "torch", "jax")
"""What tests would import when they run, for seconds, each for itself."""
WORDS = ("-s", "-x", "-q", "-p", "no:cacheprovider")
MEMORY, WALL = 8 << 30, 1200.0
"""Bytes, and seconds on the clock, that a request has at most unless it is told otherwise."""

SEEN, SURVIVED, LATE, ELSEWHERE = "seen", "survived", "without end", "at import"


class Warm:
    """The process, from outside."""

    def __init__(self, form: str, tests: Sequence[str] = ("tests",)) -> None:
        root = mutants.ROOT
        here = str(Path(__file__).parents[1])
        paths = os.pathsep.join(dict.fromkeys([str(root), here]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reliability.warm", form, str(root), *tests],
            cwd=root, env={**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        said = self._read()
        self.tests: list[str] = said["tests"]
        self.at_import: list[str] = said["at import"]

    def ask(
        self, tests: Sequence[str], mutant: Mutant | None = None, seconds: float = 30.0, wall: float = 0.0,
        each: Sequence[float] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """What these tests make of a fault, within so many seconds of the processor, each of them and together.

        A busy machine gives little of itself: on the clock they have many more unless told otherwise. Where each is not
        given there is only the limit on all.
        """
        asked = {
            "tests": list(tests),
            "seconds": seconds,
            "wall": wall or min(20 * seconds + 60, WALL),
            "each": list(each),
        }
        if mutant is not None:
            asked |= {"path": str(mutant.path), "place": mutant.place}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that tries faults has ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """No more requests."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# ------------------------------------------------------------------------------------------------------- inside


def main(form: str, root: str, *tests: str) -> int:
    """Answer until nothing more is asked."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is said
    mutants.ROOT = Path(root)
    import pytest

    with tempfile.TemporaryDirectory() as scratch:
        for name in OTHERS:
            with suppress(ImportError):
                import_module(name)
        if form == "bare":
            _serve(answers, lambda asked: _fresh(asked, scratch), [])
            return 0
        if form == "measured":
            sys.meta_path.insert(0, _Finder(_marked))
        plugin = _Loop(answers)
        status = pytest.main([*WORDS, "--basetemp", f"{scratch}/tests", *tests], plugins=[plugin])
        if not plugin.served:
            print(f"pytest ends with status {status}", file=sys.stderr)
        return 0 if plugin.served else 1


class _Loop:
    """In the place of pytest's loop over all tests."""

    def __init__(self, answers: Any) -> None:
        self.answers, self.served = answers, False

    def pytest_runtestloop(self, session: Any) -> bool:
        """Answers requests."""
        import fcsym

        for found in walk_packages(fcsym.__path__, "fcsym."):  # what a test would import only when it runs
            if not found.name.endswith("__main__"):
                with suppress(ImportError):
                    import_module(found.name)
        items = {item.nodeid: item for item in session.items}
        functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        held = []
        for one in gc.get_objects():
            if type(one) is FunctionType and one.__module__ and one.__module__.startswith("fcsym"):
                functions.setdefault(_key(one.__code__), []).append(one)
            elif type(one) is _lru_cache_wrapper:
                held.append(one)
        gc.freeze()

        def run(asked: dict[str, Any]) -> dict[str, Any]:
            if "path" in asked:
                found = replaced(Path(asked["path"]), asked["place"])
                if found is None:
                    return {"end": ELSEWHERE}
                for outer, new in found:
                    live = functions.get(_key(outer), [])
                    if not live or any(len(new.co_freevars) != len(f.__code__.co_freevars) for f in live):
                        return {"end": ELSEWHERE}
                    for old, own in [(outer, new), *_within(outer, new)]:
                        for function in functions.get(_key(old), []):
                            if len(own.co_freevars) == len(function.__code__.co_freevars):
                                function.__code__ = own
            for wrapper in held:  # what was kept when tests were collected would hide what a test runs
                wrapper.cache_clear()
            _hits.clear()
            limits = dict(zip(asked["tests"], asked["each"], strict=False))
            return _tried([(items[name], limits.get(name, 0.0)) for name in asked["tests"] if name in items])

        self.served = True
        _serve(self.answers, run, list(items))
        return True


def _key(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _tried(limited: list[tuple[Any, float]]) -> dict[str, Any]:
    """The tests one after another, until one fails or goes on beyond its limit."""
    from _pytest.runner import runtestprotocol

    start = _spent()
    signal.signal(signal.SIGPROF, signal.default_int_handler)  # pytest and hypothesis let an interruption through
    for (item, limit), (later, _) in zip(limited, [*limited[1:], (None, 0.0)], strict=False):
        signal.setitimer(signal.ITIMER_PROF, limit)
        try:
            reports = runtestprotocol(item, log=False, nextitem=later)
        except KeyboardInterrupt:
            return {"end": LATE, "by": item.nodeid, "hits": sorted(_hits)}
        if any(report.failed for report in reports):
            said = str(next(report for report in reports if report.failed).longrepr)
            return {"end": SEEN, "by": item.nodeid, "said": said[-2000:], "hits": sorted(_hits)}
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {"end": SURVIVED, "seconds": _spent() - start, "hits": sorted(_hits)}


def _spent() -> float:
    """Seconds of the processor, with those of the programs that tests have run."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def replaced(path: Path, place: int) -> list[tuple[CodeType, CodeType]] | None:
    """The functions that differ, as they were and as they are; None where what differs runs at import."""
    old, new = (compile(planted(path, which), str(path), "exec") for which in (None, place))
    found: list[tuple[CodeType, CodeType]] = []
    return found if _paired(old, new, found) else None


def _paired(old: CodeType, new: CodeType, found: list[tuple[CodeType, CodeType]]) -> bool:
    """Whether two bodies of a module or a class differ in their functions alone."""
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new)]
    plain = [[repr(c) for c in code.co_consts if not isinstance(c, CodeType)] for code in (old, new)]
    if (
        plain[0] != plain[1]
        or old.co_code != new.co_code
        or old.co_names != new.co_names
        or len(inner[0]) != len(inner[1])
    ):
        return False
    for before, after in zip(*inner, strict=True):
        if before == after:
            continue
        if before.co_flags & 0x2:  # CO_NEWLOCALS: a function, and no body of a class
            found.append((before, after))
        elif not _paired(before, after, found):
            return False
    return True


def _within(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The functions in a function that differ: one that it has made may be alive, and keeps what it was made with."""
    inner = ([c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new))
    for before, after in zip(*inner, strict=False):
        if before != after:
            yield before, after
            yield from _within(before, after)


def _fresh(asked: dict[str, Any], scratch: str) -> dict[str, Any]:
    """The tests with fcsym imported now, from a source with the fault in it."""
    import pytest

    if "path" in asked:
        wanted = Path(asked["path"])
        sys.meta_path.insert(0, _Finder(lambda path: planted(path, asked["place"]) if path == wanted else None))
    failed: list[str] = []

    class Note:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid)

    status = pytest.main([*WORDS, "--basetemp", f"{scratch}/{os.getpid()}", *asked["tests"]], plugins=[Note()])
    if status in (0, 5):
        return {"end": SURVIVED}
    return {"end": SEEN, "by": failed[0] if failed else "the import"}


# ----------------------------------------------------------------------------------------------------- children


def _serve(answers: Any, run: Callable[[dict[str, Any]], dict[str, Any]], tests: list[str]) -> None:
    """Each request in a child of its own; the first line says which tests there are."""
    print(json.dumps({"tests": tests, "at import": sorted(_hits)}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_in_a_child(run, json.loads(line))), file=answers, flush=True)


def _in_a_child(run: Callable[[dict[str, Any]], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        _child(run, asked, into)
    os.close(into)
    said, deadline = b"", time.monotonic() + asked["wall"]
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([out], [], [], max(0.0, deadline - time.monotonic()))
        got = os.read(out, 1 << 16) if ready else b""
        if not got:
            break
        said += got
    os.close(out)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # with what the tests have started
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if said.endswith(b"\n"):
        answer: dict[str, Any] = json.loads(said)
        return answer
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGPROF, signal.SIGKILL)
    return {"end": LATE if late else SEEN, "by": f"status {status}"}


def _child(run: Callable[[dict[str, Any]], dict[str, Any]], asked: dict[str, Any], into: int) -> None:
    """Never returns."""
    try:
        os.setsid()
        empty = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(empty, number)
        limit = int(asked["seconds"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        answer = run(asked)
    except BaseException as problem:
        answer = {"end": SEEN, "by": f"{type(problem).__name__}: {problem}"}
    with os.fdopen(into, "w") as pipe:
        pipe.write(json.dumps(answer) + "\n")
    os._exit(0)


# ------------------------------------------------------------------------------------------------------ imports

_hits: set[str] = set()


def _marked(path: Path) -> ast.Module | None:
    """The module with its stretches marked, where faults are planted in it."""
    parts = path.relative_to(mutants.ROOT).parts if path.is_relative_to(mutants.ROOT) else ()
    if parts[:1] != ("fcsym",) or len(parts) < 3 or parts[1] not in ROOMS:
        return None
    return stretches(ast.parse(path.read_text("utf-8")), str(Path(*parts)))[0]


class _Loader(importlib.machinery.SourceFileLoader):
    """A module made of a tree; files that belong to its package are found as ever."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self.tree = tree

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, HIT, _hits.add)
        exec(compile(self.tree, self.path, "exec", dont_inherit=True), module.__dict__)


class _Finder(importlib.abc.MetaPathFinder):
    """Modules of fcsym as something else gives them."""

    def __init__(self, given: Callable[[Path], ast.Module | None]) -> None:
        self.given = given

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not name.startswith("fcsym."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not spec.origin or not spec.has_location:
            return None
        tree = self.given(Path(spec.origin))
        if tree is not None:
            spec.loader = _Loader(spec.name, spec.origin, tree)
        return spec


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
