"""Which module may know which: the layers of the program, read off the imports."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import fcsym

ROOT = Path(fcsym.__file__).parent

BASE = {"errors", "expression", "activation", "equation", "notation", "algebra", "decision", "instance"}
DERIVING = {"network", "forward", "differentiate", "backprop", "contribution"}

# what a module may import at all (a package stands for its modules); "derivation" as a type only
MAY = {
    "errors": set(),
    "expression": set(),
    "activation": {"errors", "notation"},
    "equation": {"expression"},
    "notation": {"errors", "expression"},
    "algebra": {"errors", "expression"},
    "decision": {"equation"},
    "instance": {"equation", "errors", "expression"},
    "files": {"errors"},
    "memory": {"errors"},
    "smt": set(),
    "network": {"activation", "errors", "expression", "notation"},
    "forward": {"equation", "expression", "network"},
    "differentiate": {"algebra", "equation", "errors", "expression"},
    "backprop": {"algebra", "differentiate", "equation", "expression", "forward"},
    "contribution": {
        "activation",
        *(BASE - {"decision", "instance", "notation"}),
        *(DERIVING - {"contribution", "backprop"}),
    },
    "document": {"equation", "expression"},
    "derivation": {
        "algebra",
        "backprop",
        "contribution",
        "document",
        "equation",
        "errors",
        "expression",
        "forward",
        "network",
    },
    "schemes": {*(BASE - {"decision", "instance", "notation"}), *DERIVING, "derivation", "document", "memory"}
    - {"backprop"},
    "exact": {"activation", "equation", "errors", "network"},
    "paper": {
        *("costs", "derivation", "equation", "errors", "exact", "files", "kernel", "network", "proof"),
        *("expression", "instance", "schemes", "series", "smt", "xor"),
    },
    "series": {"algebra", "equation", "errors", "expression"},
    "costs": {"decision", "equation", "errors", "expression"},
    "closed_form": {*BASE, "contribution", "piecewise", "render"},
    "piecewise": set(),
    "proof": {*BASE, "smt", *(DERIVING - {"backprop"})},
    "render": {*BASE, "files"},
    "kernel": {*BASE, "network"},
    "maps": {"equation", "errors", "expression", "notation", "render"},
    "explorer": {
        "closed_form",
        "derivation",
        "equation",
        "errors",
        "expression",
        "maps",
        "network",
        "notation",
        "render",
    },
    "charts": {"costs", "equation", "errors", "expression", "network", "render", "schemes"},
    "oracle": {"activation", "network"},
    "checker": {"equation", "errors", "expression", "network", "oracle"},
    "trajectory": {"checker", "equation", "errors", "memory", "network", "oracle"},
    "xor": {"checker", "network"},
    "joint": {"activation", "equation", "errors", "expression", "instance", "network"},
    "flip": {"derivation"},
    "export": {"errors", "files", "kernel", "memory", "notation", "oracle"},
    "gallery": {
        *("costs", "derivation", "equation", "errors", "export", "files", "kernel", "network", "render", "schemes")
    },
}


def part(name):
    return name.split(".")[1] if name.startswith("fcsym.") else None


def imports(path):
    """Modules imported at run time when the file is imported."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "fcsym":
                found |= {f"fcsym.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_import_only_what_their_layer_may(path):
    own = path.relative_to(ROOT).with_suffix("").parts[0]
    if own in ("__init__", "__main__", "cli"):
        return
    known = {part(name) for name in imports(path)} - {None, own, "__version__"}
    assert known <= MAY[own]


def test_readings_do_not_know_each_other():
    for own in ("proof", "render", "kernel", "costs"):
        assert not MAY[own] & {"proof", "render", "kernel", "costs"}
    assert not MAY["checker"] & {"contribution", "schemes", "proof", "kernel", "derivation"}
    assert not MAY["oracle"] & {"derivation", "contribution", "forward", "kernel"}


def test_renderers_and_kernels_do_no_algebra():
    for folder in ("render", "kernel"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "sympy" not in {name.split(".")[0] for name in imports(path)}


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
