"""Which room may know which: the layers of the program, read off its imports."""

from __future__ import annotations

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fcsym

ROOT = Path(fcsym.__file__).parent

# What a folder, or a file beside the folders, may import: anywhere in it, for types and inside functions, too.
LANGUAGE = {"errors", "language"}
NETWORKS = LANGUAGE | {"networks"}
LISTS = NETWORKS | {"deriving", "schemes"}
READINGS = {"certificates", "proof", "render", "kernel", "closed", "pictures", "checking", "values"}
FACES = {"derivation", "derivatives", "document", "precision", "training"}
MAY = {
    "errors": set(),
    "files": {"errors"},
    "machine": {"errors", "files"},
    "language": {"errors"},
    "drawing": LANGUAGE | {"files"},
    "networks": LANGUAGE | {"drawing"},
    "layers": {"networks"},
    "equations": {"language", "networks"},
    "deriving": NETWORKS | {"drawing"},
    "values": NETWORKS | {"deriving", "files"},
    "schemes": NETWORKS | {"deriving", "machine"},
    "closed": LISTS,
    "proof": LISTS,
    "render": LISTS | {"drawing", "files", "machine"},
    "pictures": LISTS | {"closed", "drawing"},
    "checking": NETWORKS | {"machine"},
    "collapsing": LISTS | {"checking", "drawing", "kernel", "render", "values"},
    "kernel": LISTS | {"checking", "files", "machine", "values"},
    "certificates": LISTS | {"files", "machine"},
    "document": {"certificates", "deriving", "drawing", "errors", "language", "render"},
    "derivation": LISTS | {"document", "drawing"} | (READINGS - {"checking"}),
    "derivatives": LISTS | {"derivation", "drawing"} | (READINGS - {"checking"}),
    "collapsed": LISTS | {"collapsing", "derivation", "document", "proof", "render"},
    "training": LISTS | {"collapsed", "collapsing", "derivation", "document", "drawing"} | READINGS,
    "precision": LISTS | {"checking", "derivation", "kernel", "training", "values"},
    "explorer": LISTS | FACES | READINGS | {"drawing"},
    "paper": LISTS | FACES | READINGS | {"collapsing", "files"},
    "worked": LISTS | {"files", "kernel", "proof", "values"},
    "gallery": LISTS | FACES | READINGS | {"files"},
    "commands": LISTS | FACES | READINGS | {"collapsing", "files", "machine", "paper", "worked"},
}
ABOVE_ALL = {"__init__", "__main__", "cli"}

FILES = sorted(ROOT.rglob("*.py"))


def module(path):
    """The dotted name within the package; a folder's own file has the folder's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module(path) for path in FILES}


def imports(path):
    """Every module that a file imports anywhere: at its top, for types only, or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written from the package on"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def within(path):
    """The modules of the package among them; where a file of a folder is imported, the file and not the folder."""
    named = {name.removeprefix("fcsym.") for name in imports(path) if name.startswith("fcsym.")} & MODULES
    return {name for name in named if not any(other.startswith(f"{name}.") for other in named)} - {module(path)}


def circle(graph):
    """A circle in the graph, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        return found.args[1]
    return None


def room(name):
    return name.split(".")[0]


def rooms(graph):
    """The same graph between folders, and files beside them."""
    result = {}
    for name, known in graph.items():
        result.setdefault(room(name), set()).update({room(other) for other in known} - {room(name)})
    return result


GRAPH = {module(path): within(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_room_imports_only_what_it_may(path):
    own = room(module(path))
    if own not in ABOVE_ALL:
        assert {room(name) for name in within(path)} - {own} <= MAY[own]


def test_there_is_no_circle_between_files_or_between_folders():
    assert circle(GRAPH) is None
    assert circle(rooms(GRAPH)) is None


def test_a_circle_would_be_found():
    graph = {**GRAPH, "language.expression": GRAPH["language.expression"] | {"proof.expanded"}}
    assert {"language.expression", "proof.expanded"} <= set(circle(graph))
    assert {"language", "proof"} <= set(circle(rooms(graph)))


def test_an_import_for_types_or_inside_a_function_counts(tmp_path):
    for text in (
        "if TYPE_CHECKING:\n    from fcsym.kernel import Kernel",
        "def f():\n    from fcsym.kernel import Kernel",
    ):
        path = ROOT / "language" / "x.py"
        made = tmp_path / "x.py"
        made.write_text(text)
        assert "fcsym.kernel" in imports(made)
        assert not path.exists()


def test_readings_do_not_know_each_other():
    for own in ("certificates", "proof", "render", "kernel", "closed"):
        assert not MAY[own] & ({"certificates", "proof", "render", "kernel", "closed"} | FACES)
    assert not MAY["checking"] & {"deriving", "schemes", "proof", "kernel"}


def test_renderers_and_kernels_do_no_algebra():
    for folder in ("render", "kernel"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "sympy" not in {name.split(".")[0] for name in imports(path)}


def test_only_the_rooms_that_make_names_ask_how_a_symbol_is_spelt():
    """What an array is stands in its role, and whose it is in `of`; its name and its layer's number are for people."""
    makes_names = {
        "language.expression",
        "language.names",
        "language.names_of_cases",
        "networks.names",
        "networks.symbols",
    }
    spelt = {"paper"}  # its formulas are made of printed names
    for path in FILES:
        name = module(path)
        if name in makes_names or room(name) in spelt:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr != "symbol", f"{name}:{node.lineno}"
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "Array"
                and room(name) in ("deriving", "networks")
            ):
                raise AssertionError(f"{name}:{node.lineno} makes a symbol")


def test_the_public_names_are_there():
    for name in fcsym.__all__:
        assert getattr(fcsym, name) is not None
    assert set(fcsym.__all__) <= set(dir(fcsym))
    with pytest.raises(AttributeError):
        fcsym.nothing  # noqa: B018


def test_importing_the_checker_does_not_hide_the_function():
    import fcsym.checking.checker

    assert callable(fcsym.check)


def test_there_is_one_version():
    text = (ROOT.parent / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["version"] == fcsym.__version__


def bound_twice(tree):
    """Names that a module gives two meanings, one after the other: the first one is lost without a word."""
    names = []
    for statement in tree.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            parts = [part for target in targets for part in ast.walk(target)]
            names += [part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.append(statement.name)
    return {name for name in names if names.count(name) > 1}


def test_no_module_gives_a_name_two_meanings():
    assert bound_twice(ast.parse("SHORT, LONG = 1, 2\nSHORT = 3\ndef f(): pass")) == {"SHORT"}
    folders = (ROOT, ROOT.parent / "reliability", ROOT.parent / "benchmarks", ROOT.parent / "tests")
    found = {
        f"{path.name}: {name}"
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        for name in bound_twice(ast.parse(path.read_text()))
    }
    assert not found


def cut(tree):
    """Where a sentence cuts a value's text itself, by the line: `shown` does it, which knows what has no text."""
    return [
        node.lineno
        for part in ast.walk(tree)
        if isinstance(part, ast.FormattedValue)
        for node in ast.walk(part.value)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and node.slice.lower is None
        if isinstance(node.slice.upper, ast.Constant) and 20 <= node.slice.upper.value <= 100
        if not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "list")
    ]


def test_a_value_is_cut_for_a_sentence_in_one_way():
    assert {module(path): cut(ast.parse(path.read_text())) for path in FILES} == {module(path): [] for path in FILES}
    assert cut(ast.parse("raise ValueError(f'{str(x)[:40]!r} is none: take one of {list(known)[:40]}.')")) == [1]
