"""Faults that are planted: a module with one place changed, and which of its stretches the place is in.

A stretch is what runs together: the statements of a function from its start, or from the end of a compound statement,
up to the next one. Which tests run a stretch is measured once, by a call at the start of each.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = (
    "certificates", "checking", "closed", "collapsing", "deriving", "kernel", "language", "proof", "render", "schemes",
)  # fmt: skip


Name = tuple[str, str, str, str, int]
"""Its file, its function, what stands there, what is put there, and how many of the same come before it."""


@dataclass(frozen=True)
class Mutant:
    """A module with one place changed."""

    path: Path
    function: str
    line: int
    before: str
    after: str
    place: int  # which of the places of its module
    among: int  # how many of the same name come before it

    @cached_property
    def name(self) -> Name:
        """What stays the same when lines are added above it."""
        return str(self.path.relative_to(ROOT)), self.function, self.before, self.after, self.among

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The folders of fcsym that it is in, the outermost first."""
        parts = Path(self.name[0]).parts[1:-1]
        return tuple("/".join(parts[: n + 1]) for n in range(len(parts)))

    @cached_property
    def digest(self) -> str:
        """What stays the same as long as the function around it does, to remember what became of a fault."""
        around = _texts(self.path).get(self.function, "")
        *names, among = self.name
        text = "\n".join((*names, around, str(among)))
        return sha256(text.encode()).hexdigest()[:12]

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
        if isinstance(node, ast.keyword) and ast.unparse(node) == "strict=True":  # of `zip`: an assertion, too
            return node
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".reshape"):
            node.args = [one if ast.unparse(one) == "-1" else self.visit(one) for one in node.args]
            node.func = self.visit(node.func)  # any negative length is the one that is left open
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


def planted(path: Path, place: int | None) -> ast.Module:
    """The module, with the fault in that place, or without any; lines are those of the file."""
    tree = ast.parse(path.read_text("utf-8"))
    return tree if place is None else ast.fix_missing_locations(_Walk(place).visit(tree))


@cache
def mutants(path: Path) -> list[Mutant]:
    """Every fault of this kind that a module can have, in the order of its places."""
    walk = _Walk()
    walk.visit(ast.parse(path.read_text("utf-8")))
    seen: Counter[tuple[str, str, str]] = Counter()
    made = []
    for place, (function, node, after) in enumerate(walk.found):
        name = function, _short(node), _short(after)
        made.append(Mutant(path, function, node.lineno, *name[1:], place, seen[name]))
        seen[name] += 1
    return made


def everywhere() -> Iterator[Mutant]:
    """Every fault that can be planted."""
    for room in ROOMS:
        for path in sorted((ROOT / "fcsym" / room).rglob("*.py")):
            yield from mutants(path)


@cache
def _texts(path: Path) -> dict[str, str]:
    """Every function and class by its name, as text; what has no name is the rest of the module."""
    found: dict[str, str] = {}

    def walk(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                deeper = f"{scope}.{child.name}".lstrip(".")
                found[deeper] = found.get(deeper, "") + ast.unparse(child)
                walk(child, deeper)
            else:
                walk(child, scope)

    walk(ast.parse(path.read_text("utf-8")), "")
    return found


def _short(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:100]


@cache
def equivalent() -> dict[Name, str]:
    """Faults that nothing can show, and why."""
    listed = tomllib.loads((ROOT / "reliability" / "equivalent.toml").read_text("utf-8")).get("mutant", [])
    return {
        (one["file"], one["function"], one["before"], one["after"], one.get("among", 0)): one["reason"]
        for one in listed
    }


# ---------------------------------------------------------------------------------------------------- stretches

HIT = "__hit__"
"""What the call at the start of a stretch is named, in the globals of its module."""


def stretches(tree: ast.Module, file: str) -> tuple[ast.Module, dict[int, str]]:
    """The module with a call at the start of every stretch of its functions, and line => name of its stretch."""
    counts: dict[str, int] = {}
    lines: dict[int, str] = {}

    def marked(body: list[ast.stmt], scope: str, inside: bool) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        name = ""
        for statement in body:
            said = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if inside and not name and not said:
                counts[scope] = counts.get(scope, 0) + 1
                name = f"{file}:{scope}:{counts[scope]}"
                call = ast.Call(ast.Name(HIT, ast.Load()), [ast.Constant(name)], [])
                made.append(ast.copy_location(ast.Expr(call), statement))
            if name:
                lines.update(dict.fromkeys(range(statement.lineno, (statement.end_lineno or 0) + 1), name))
            if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                deeper = f"{scope}.{statement.name}".lstrip(".")
                statement.body = marked(statement.body, deeper, isinstance(statement, ast.FunctionDef))
            else:
                parts = [statement, *getattr(statement, "handlers", []), *getattr(statement, "cases", [])]
                found = [(part, field) for part in parts for field in ("body", "orelse", "finalbody")]
                for part, field in found:
                    if getattr(part, field, None):
                        setattr(part, field, marked(getattr(part, field), scope, inside))
                if len([1 for part, field in found if getattr(part, field, None)]):
                    name = ""
            made.append(statement)
        return made

    tree.body = marked(tree.body, "", False)
    return ast.fix_missing_locations(tree), lines


@cache
def _lines(path: Path) -> dict[int, str]:
    return stretches(ast.parse(path.read_text("utf-8")), str(path.relative_to(ROOT)))[1]


def stretch(mutant: Mutant) -> str | None:
    """The name of the stretch a fault is in; None for one outside of every function, which runs at import."""
    return _lines(mutant.path).get(mutant.line)
