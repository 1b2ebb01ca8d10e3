"""The documentation: it builds without a warning, its examples run, and its pictures are those of the engine."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from conftest import need_package

import fcsym
from fcsym.language.activation import BUILT_IN, SMOOTH, activation
from fcsym.language.smooth_functions import latex

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MODULES = [
    ".".join(("fcsym", *path.relative_to(ROOT / "fcsym").with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted((ROOT / "fcsym").rglob("*.py"))
    if ">>> " in path.read_text()
]
PAGES = [path for path in sorted(DOCS.glob("*.md")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_examples_in_pages_run(path):
    found = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert found.attempted > 3
    assert found.failed == 0


def test_there_are_examples():
    assert {"fcsym.derivation", "fcsym.networks.network", "fcsym.training", "fcsym.closed.costs"} <= set(MODULES)
    assert {"guide", "extending"} <= {path.stem for path in PAGES}


def built(source, target, writer="html"):
    need_package("myst_parser")
    need_package("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", writer, source, target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_it_builds_without_a_warning_and_fetches_nothing(tmp_path):
    done = built(DOCS, tmp_path / "html")
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "html" / "api.html").read_text()
    for name in ("derive", "scheme", "check", "cost", "collapse", "next_input", "draw", "explore", "Network.parse"):
        assert f'id="fcsym.{name}"' in api, name
    for page in (tmp_path / "html").glob("*.html"):
        assert not re.search(r"""(?:src|href)="(?:https?:)?//[^"]*\.(?:js|css)""", page.read_text()), page.name
    assert "<math" in (tmp_path / "html" / "mathematics.html").read_text()


def test_a_warning_is_an_error(tmp_path):
    shutil.copytree(DOCS, tmp_path / "docs")
    with (tmp_path / "docs" / "guide.md").open("a") as page:
        page.write("\n![nothing](pictures/nothing.svg)\n")
    assert built(tmp_path / "docs", tmp_path / "html", "dummy").returncode != 0  # it reads all pages, and writes none


def test_every_public_function_has_its_place_in_the_reference():
    text = (DOCS / "api.md").read_text()
    for name in set(fcsym.__all__) - {"__version__"}:
        if isinstance(getattr(fcsym, name), type) and issubclass(getattr(fcsym, name), Exception):
            continue  # they stand there with their module
        assert re.search(rf":: fcsym\.{name}$", text, re.MULTILINE), name


def documented():
    """Every public function, and every public method and property of a public class, with its full name."""
    for name in fcsym.__all__:
        found = getattr(fcsym, name)
        if inspect.isfunction(found):
            yield name, found
        elif inspect.isclass(found) and not issubclass(found, Exception):
            yield name, found
            for inner, member in inspect.getmembers(found):
                ours = getattr(member, "__module__", None) or getattr(getattr(member, "fget", None), "__module__", "")
                is_one = inspect.isfunction(member) or inspect.ismethod(member) or isinstance(member, property)
                is_one = is_one and getattr(member, "__name__", "") != "<lambda>"  # a field that holds a function
                if not inner.startswith("_") and is_one and str(ours).startswith("fcsym"):
                    yield f"{name}.{inner}", member


def test_every_public_docstring_says_what_it_is_and_what_goes_wrong():
    seen = 0
    for name, found in documented():
        first, *others = (inspect.getdoc(found) or "").splitlines() or [""]
        assert first, f"{name} has no docstring"
        assert not others or not others[0], f"{name}: its first line is no statement of its own"
        if inspect.isfunction(found) and "." not in name:
            signature = inspect.signature(found)
            if signature.parameters:
                assert "Raises" in inspect.getdoc(found), f"{name} does not say what it raises"
            text = inspect.getdoc(found)
            unsaid = {"steps", "eta", "seed", "slope_at_kink"} & set(signature.parameters) - set(
                re.findall(r"\w+", text)
            )
            assert not unsaid, f"{name} does not say what {unsaid} is"
            defaults = (str(p.default) for p in signature.parameters.values())
            assert all(len(default) < 80 for default in defaults), f"{name} has a signature that nobody can read"
        seen += 1
    assert seen > 100


def script(name):
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pictures():
    return script("pictures")


def test_the_pictures_are_those_of_the_engine(pictures):
    made = pictures.drawn()
    assert {path.name for path in (DOCS / "pictures").iterdir()} == {*made, "derivation.png"}
    for name, svg in made.items():
        assert (DOCS / "pictures" / name).read_text() == svg, f"{name} has changed: run `make pictures`"
    png = (DOCS / "pictures" / "derivation.png").read_bytes()
    assert pictures.carried(png) == pictures.digest(), "the page has changed: run `make pictures`"
    assert pictures.carried(png.replace(b"digest", b"nothin")) is None


def test_what_the_readme_and_the_pages_show_is_there():
    for path in (ROOT / "README.md", *DOCS.glob("*.md")):
        for shown in re.findall(r"!\[[^]]+\]\(([^)]+)\)", path.read_text()):
            assert (path.parent / shown).is_file(), f"{path.name} shows {shown}"
    assert len(re.findall(r"!\[[^]]+\]\(", (ROOT / "README.md").read_text())) == 3


def table_of(heading):
    """The rows of the table below a heading of the mathematics, by the name in their first cell."""
    text = (DOCS / "mathematics.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_the_table_of_activations_is_that_of_the_registry():
    """Every built-in activation, with its slope at each kink."""
    rows = table_of("Activations")
    assert list(rows) == list(BUILT_IN)
    for name, cells in rows.items():
        assert cells[-1] == ", ".join(map(str, activation(name).kink_slopes))
        if name in SMOOTH:
            formulas = (latex(activation(name), n, "s", "v").replace("{s}", "s").replace("{v}", "v") for n in (0, 1))
            assert cells[:2] == [f"${formula}$" for formula in formulas]


def test_the_citation_has_the_paper():
    text = (ROOT / "CITATION.cff").read_text()
    for part in ("cff-version: 1.2.0", f"version: {fcsym.__version__}", "Swaroop", "Mishra", "Anjana", "2106.05569"):
        assert part in text


def test_the_slopes_at_kinks_are_those_that_the_libraries_give():
    for package in ("torch", "jax"):
        need_package(package)
    kinks = script("kinks")
    text = kinks.PAGE.read_text()
    (versions,) = re.findall(r"^Measured with .*$", text, re.MULTILINE)
    assert text == kinks.page(versions), "a slope has changed: run `make pictures`"
    known = {(row[1], row[2]): row[3] for row in kinks.rows() if row[0].startswith("ReLU, at 0")}
    assert (known["PyTorch", "torch.relu(s)"], known["SymPy", "Max(0, s)"], known["fcsym", "relu"]) == ("0", "1/2", "0")
