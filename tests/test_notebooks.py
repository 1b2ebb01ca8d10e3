"""The notebooks: paired with their text forms, short, run from beginning to end, and one of them moved in a browser."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import Browser
from conftest import need, need_package

import fcsym

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
TEXTS = sorted(FOLDER.glob("[0-9]*.py"))
BOOKS = sorted(FOLDER.glob("*.ipynb"))
RUN = """import os, sys, nbformat, nbclient
from jupyter_client.manager import AsyncKernelManager
kernel = AsyncKernelManager(kernel_name="python3")
folder, *paths = sys.argv[1:]
for n, path in enumerate(paths):
    book = nbformat.read(path, as_version=4)
    where = f"{folder}/{n}"
    os.mkdir(where)
    book.cells.insert(0, nbformat.v4.new_code_cell(f"%cd -q {where}\\n%reset -f"))
    try:
        nbclient.NotebookClient(book, km=kernel, timeout=600).execute()
    except nbclient.exceptions.CellExecutionError as problem:
        book.metadata["problem"] = str(problem)
    del book.cells[0]
    nbformat.write(book, f"{where}.ipynb")
nbclient.client.run_sync(kernel.shutdown_kernel)(now=True)
"""
"""Notebooks one after another in one kernel, each in a folder of its own and with no name that another has made."""

IMPORTED = (
    {"fcsym", "numpy", "jax", "sklearn.datasets", "update", "update_jax"}
    | set(sys.stdlib_module_names)
    | {"importlib.util"}
)
WIDGET = "application/vnd.jupyter.widget-view+json"


def read(path):
    nbformat = need_package("nbformat")
    return nbformat.read(path, as_version=4)


def test_there_are_nine_and_each_has_its_text_form():
    assert [path.name[:2] for path in BOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]
    assert [path.stem for path in TEXTS] == [path.stem for path in BOOKS]
    need_package("jupytext")
    check = [sys.executable, "-m", "notebooks", "--check"]
    found = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_notebook_that_differs_from_its_text_form_is_seen(tmp_path):
    need_package("jupytext")
    shutil.copytree(FOLDER, tmp_path / "notebooks", ignore=shutil.ignore_patterns("__pycache__"))
    book = tmp_path / "notebooks" / BOOKS[0].name
    book.write_text(book.read_text().replace("2-2-1", "2-2-2", 1))
    (tmp_path / "notebooks" / "10_left_over.ipynb").write_text("{}")
    command = [sys.executable, "-m", "notebooks"]
    found = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert [line.split()[0] for line in found.stdout.splitlines()] == [BOOKS[0].name, "10_left_over.ipynb"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert book.read_bytes() == BOOKS[0].read_bytes()


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_what_is_in_the_cells(path):
    book = read(path)
    assert len(book.cells) <= 12
    assert book.cells[0].cell_type == "markdown"
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        assert cell.outputs == []
        assert cell.execution_count is None
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef)
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= IMPORTED
            assert not isinstance(node, ast.ImportFrom)
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
                if isinstance(node.value, ast.Name) and node.value.id == "fcsym":
                    assert node.attr in fcsym.__all__


@pytest.fixture(scope="session", autouse=True)
def _jupyter_at_home(tmp_path_factory):
    """Jupyter's own files of this run go where the tests' files go."""
    old = dict(os.environ)
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        os.environ[name] = str(home / name.lower())
    yield
    os.environ.clear()
    os.environ.update(old)


def executed(folder, paths, environment=None):
    """The notebooks with their outputs, run in a process of its own: what Jupyter leaves open is no test's warning."""
    for package in ("ipykernel", "ipywidgets", "nbclient"):
        need_package(package)
    command = [sys.executable, "-c", RUN, folder, *paths]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {path: read(folder / f"{n}.ipynb") for n, path in enumerate(paths)}


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """Every notebook that can be run here, by its path."""
    paths = [path for path in BOOKS if find_spec("sklearn") or "sklearn" not in path.read_text(encoding="utf-8")]
    return executed(tmp_path_factory.mktemp("books"), paths)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_every_notebook_runs(path, books):
    if path not in books:
        need_package("sklearn")
    book = books[path]
    assert "problem" not in book.metadata, book.metadata["problem"]
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    for cell in code:
        for output in cell.outputs:
            assert output.get("name") != "stderr", output
    assert sum(bool(cell.outputs) for cell in code) >= len(code) - 2
    for cell, following in zip(code, [*code[1:], None], strict=True):
        if any(WIDGET in output.get("data", {}) for output in cell.outputs):
            assert following is not None, "nothing follows the widget"
            shown = [output.data for output in following.outputs if "data" in output]
            assert any("text/html" in data and WIDGET not in data for data in shown)


def said_by(book):  # one print may arrive in two outputs: nothing goes between them
    return "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", []))


def test_exported_files_are_used_and_what_is_missing_is_named(books, tmp_path):
    """With what there is here, and on a machine without JAX and without a compiler."""
    path = FOLDER / "05_export.ipynb"
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["jax"] = None\n')
    bare = executed(tmp_path, [path], os.environ | {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)})
    assert "problem" not in bare[path].metadata, bare[path].metadata["problem"]
    found = [said_by(book[path]) for book in (books, bare)]
    for said in found:
        assert said.count("equal in every bit: True") >= 1
        assert "rows agree with exact evaluation" in said
    assert "There is no C compiler here: install one" in found[1]
    assert "pip install 'fcsym[jax]'" in found[1]
    if shutil.which("cc"):
        assert re.search(r"the program says 0\.\d+ \| equal in every bit: True", found[0])
    if find_spec("jax"):
        assert float(re.findall(r"largest difference: (\S+)", found[0])[1]) < 1e-14
        assert "derivative of the output: [[[" in found[0]


def test_every_widget_is_followed_by_the_same_without_one():
    cells = [cell.source for cell in read(FOLDER / "04_cases.ipynb").cells if cell.cell_type == "code"]
    made = set(re.findall(r"^(\w+) = fcsym\.explore\(", "\n".join(cells), re.MULTILINE))
    last = [cell.splitlines()[-1] for cell in cells]
    shown = [n for n, line in enumerate(last) if line in made]
    assert {last[n] for n in shown} == made and len(made) == 2
    assert all(last[n + 1] == f"{last[n]}.still" for n in shown)


# -------------------------------------------------------------------------------------------------- a real JupyterLab


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a folder with the notebook; its address."""
    need_package("jupyterlab")
    shutil.copy(FOLDER / "04_cases.ipynb", tmp_path)
    log = tmp_path / "lab.log"
    options = [
        "--no-browser", "--port=0", "--ip=127.0.0.1", "--allow-root", "--expose-app-in-browser",
        f"--notebook-dir={tmp_path}",
        "--LabApp.news_url=", "--IdentityProvider.token=", "--ServerApp.password=",
    ]  # fmt: skip
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        address = None
        end = time.monotonic() + 300
        while address is None and time.monotonic() < end and process.poll() is None:
            time.sleep(0.2)
            address = re.search(r"http://127\.0\.0\.1:\d+/lab", log.read_text(errors="replace"))
        assert address, log.read_text(errors="replace")[-2000:]
        yield address[0]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(browser, script, seconds=300):
    """The value of a script, as soon as it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = browser.value(script)
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"never true in the browser: {script}; it shows {browser.value('document.body.innerText')[:2000]}")


def test_a_slider_is_moved_in_jupyterlab(lab, tmp_path):
    """Run all, move a slider with the keyboard, see the case and the formula change."""
    browser = Browser(need("chromium"), tmp_path / "profile")
    try:
        browser.visit(f"{lab}/tree/04_cases.ipynb", width=1400, height=1800)
        wait_for(browser, "!!(window.jupyterapp && document.querySelector('.jp-Notebook .jp-Cell'))")
        panel = "[...window.jupyterapp.shell.widgets('main')].find(w => w.sessionContext)"
        wait_for(
            browser, f"{panel}?.sessionContext.session?.kernel?.status === 'idle'"
        )  # before that, Run All asks which kernel to take
        browser.value("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        wait_for(browser, "document.querySelectorAll('.widget-hslider').length >= 20")
        shown = "[...document.querySelectorAll('.fcsym-case')].map(e => e.textContent)[0]"
        assert wait_for(browser, f"({shown} === 'active → active') && {shown}")
        math = "document.querySelector('.fcsym-case').parentElement.querySelectorAll('mjx-container').length"
        wait_for(browser, f"{math} >= 2")
        before = browser.value("document.querySelector('.fcsym-case').parentElement.innerHTML")
        readouts = "[...document.querySelectorAll('.widget-readout')].slice(0, 10).map(e => e.textContent).join(' ')"
        time.sleep(2)  # whatever the page and the kernel still have to say to each other
        assert (
            browser.value(readouts).replace("−", "-") == "0.10 1.20 0.50 0.30 0.80 1.50 0.90 1.00 -1.00 1.50"
        )  # as the notebook says
        for number, key in ((1, "Home"), (0, "End")):  # w_5 to -2, eta to 1
            handle = f"document.querySelectorAll('.widget-hslider .noUi-handle')[{number}]"
            browser.value(f"{handle}.scrollIntoView({{block: 'center'}})")
            browser.value(f"{handle}.focus()")
            browser.press(key)
        assert wait_for(browser, f"({shown} === 'active → dead') && {shown}")
        after = browser.value("document.querySelector('.fcsym-case').parentElement.innerHTML")
        assert before != after
        wait_for(browser, f"{math} >= 2")
    finally:
        browser.close()
