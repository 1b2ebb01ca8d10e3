"""Small faults in the code, and whether the tests see them.

A trial takes one place in the derivation, the proof, the lowering or the printers, changes it (a comparison, an
operator, a number, a logical word, what is returned), and runs the tests that import that module or another one beside
it, until one fails. A change that no test sees is a failure of the tests, unless it changes nothing that can be seen:
these are listed with the reason in `reliability/equivalent.toml`. What is not decided within some minutes is counted.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from reliability.frame import Table, Wrong, trials

SHORT, LONG = 2, 400
COSTLY = True
"""A trial is a run of tests: `make test` makes none, and neither does the short form of all chapters."""
ROOT = Path(__file__).parents[2]
ROOMS = ("deriving", "proof", "kernel", "render")
FILES = 6
"""How many files of tests a fault is shown to, the nearest first."""
SECONDS = 300.0


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many faults."""
    table = Table(("faults", "seen", "the same for everybody", "not decided in time"), "where")
    for outcome in trials(trial, count, seed, only, seconds=SECONDS + 60):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            room, what = outcome.value
            table.add(room, "faults")
            table.add(room, what)
        table.rows = dict(sorted(table.rows.items()))
        yield table


def trial(seed: int, number: int) -> tuple[str, str]:
    """One fault: its room, and what became of it. Wrong where no test sees it."""
    random = Random(f"{seed} {number}")
    room = random.choice(ROOMS)
    path = random.choices(*_weighed(room))[0]
    found = mutants(path)
    mutant = found[random.randrange(len(found))]
    if mutant.name in equivalent():
        return room, "the same for everybody"
    said = fate(mutant, nearest(path))
    if said == "survived":
        raise Wrong(f"{mutant} is seen by none of {', '.join(nearest(path))}.")
    return room, said


@cache
def _weighed(room: str) -> tuple[list[Path], list[int]]:
    """The modules of a room, and how many faults each can have: a long one is tried more often."""
    paths = [path for path in sorted((ROOT / "fcsym" / room).rglob("*.py")) if mutants(path)]
    return paths, [len(mutants(path)) for path in paths]


# ------------------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True)
class Mutant:
    """A module with one place changed."""

    path: Path
    function: str
    line: int
    before: str
    after: str
    place: int  # which of the places of its module

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What stays the same when lines are added above it."""
        return str(self.path.relative_to(ROOT)), self.function, self.before, self.after

    @property
    def source(self) -> str:
        """The module, with the fault in it."""
        return ast.unparse(ast.fix_missing_locations(_Walk(self.place).visit(ast.parse(self.path.read_text("utf-8")))))

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}, {self.function}: {self.before} => {self.after}"


_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip


def changed(node: ast.AST) -> ast.AST | None:
    """A node with a fault in it; None for one that has no place for any."""
    made = copy(node)
    match made:
        case ast.Compare(ops=[op]) if type(op) in _COMPARED:
            made.ops = [_COMPARED[type(op)]()]
        case ast.BinOp(op=op) if type(op) in _COMPUTED:
            made.op = _COMPUTED[type(op)]()
        case ast.BoolOp(op=op):
            made.op = ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Constant(value=bool(value)):
            made.value = not value
        case ast.Constant(value=int(value)):
            made.value = value + 1
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            made.value = ast.Constant(None)
        case _:
            return None
    return made


class _Walk(ast.NodeTransformer):
    """Finds every place, and changes the one that is wanted."""

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted, self.scope = wanted, [""]
        self.found: list[tuple[str, ast.AST, ast.AST]] = []

    def visit(self, node: ast.AST) -> ast.AST:
        """Assertions are for people, and what only type checkers read has no faults of this kind."""
        if isinstance(node, ast.Assert) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            return node
        after = changed(node)
        if after is not None:
            self.found.append((self.scope[-1], node, after))
            if len(self.found) - 1 == self.wanted:
                return ast.copy_location(after, node)
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            return self.generic_visit(node)
        self.scope.append(f"{self.scope[-1]}.{node.name}".lstrip("."))
        node.body = [self.visit(statement) for statement in node.body]  # no decorators, no annotations
        self.scope.pop()
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The value alone."""
        node.value = None if node.value is None else self.visit(node.value)
        return node


@cache
def mutants(path: Path) -> list[Mutant]:
    """Every fault of this kind that a module can have, in the order of its places."""
    walk = _Walk()
    walk.visit(ast.parse(path.read_text("utf-8")))
    return [
        Mutant(path, function, node.lineno, _short(node), _short(after), place)
        for place, (function, node, after) in enumerate(walk.found)
    ]


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:100]


@cache
def equivalent() -> dict[tuple[str, str, str, str], str]:
    """Faults that nothing can show, and why."""
    listed = tomllib.loads((ROOT / "reliability" / "equivalent.toml").read_text("utf-8")).get("mutant", [])
    return {(one["file"], one["function"], one["before"], one["after"]): one["reason"] for one in listed}


# -------------------------------------------------------------------------------------------------------- tests


@cache
def nearest(path: Path) -> list[str]:
    """The files of tests that are nearest to a module: called like it, importing it, or naming it and its room most."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    room, stem = module.split(".")[1], module.rpartition(".")[2]
    ranked = []
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        text = file.read_text("utf-8")
        named = stem.rstrip("s") in file.stem
        imports = len(re.findall(rf"\b{re.escape(module)}\b", text))
        words = 3 * len(re.findall(rf"\b{re.escape(stem)}", text)) + len(re.findall(rf"\b{room[:5]}", text))
        if named or imports or words:
            ranked.append((-named, -min(imports, 1), -words, file.name))
    return [name for *_, name in sorted(ranked)[:FILES]]


def fate(mutant: Mutant, tests: list[str], seconds: float = SECONDS) -> str:
    """Whether tests see a fault: seen, survived, or not decided in time."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "fcsym", Path(folder, "fcsym"))  # with what is compiled already
        Path(folder, mutant.path.relative_to(ROOT)).write_text(mutant.source, "utf-8")
        words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        words += ["-o", f"pythonpath={folder} {ROOT}", *(f"tests/{name}" for name in tests)]
        paths = os.pathsep.join([folder, str(ROOT)])
        with subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                return "not decided in time"
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, 9)  # with what the tests have started
    if process.returncode in (1, 2) or "\nFAILED " in said:  # what fails may end in a crash besides
        return "seen"
    if process.returncode:
        raise Wrong(f"The tests {', '.join(tests)} end with status {process.returncode}: {said[-300:]}")
    return "survived"
