"""Which module may know which: the layers of the program, read off the imports."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import fcsym

ROOT = Path(fcsym.__file__).parent

# what a folder, or a file beside the folders, may import when it is imported
LANGUAGE = {"errors", "language"}
MAY = {
    "errors": set(),
    "language": {"errors", "networks"},
    "files": {"errors"},
    "networks": LANGUAGE | {"pictures"},
    "deriving": LANGUAGE | {"networks"},
    "document": LANGUAGE,
    "derivation": LANGUAGE | {"deriving", "document", "networks"},
    "schemes": LANGUAGE | {"deriving", "derivation", "document", "networks"},
    "closed": LANGUAGE | {"deriving", "derivation", "networks"},
    "checking": LANGUAGE | {"networks"},
    "proof": LANGUAGE | {"deriving", "networks"},
    "render": LANGUAGE | {"files", "pictures"},
    "pictures": LANGUAGE | {"closed", "derivation", "files", "networks", "render", "schemes"},
    "kernel": LANGUAGE | {"checking", "files", "networks"},
    "paper": LANGUAGE | {"checking", "closed", "derivation", "files", "kernel", "networks", "proof", "schemes"},
    "gallery": LANGUAGE | {"closed", "derivation", "files", "kernel", "networks", "render", "schemes"},
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
    for own in ("proof", "render", "kernel", "closed"):
        assert not MAY[own] & {"proof", "render", "kernel", "closed"}
    assert not MAY["checking"] & {"deriving", "schemes", "proof", "kernel", "derivation"}


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
