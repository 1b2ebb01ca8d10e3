"""What is not installed is named in one sentence, with the command that installs it; everything else works."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "latex2mathml",
    "ipywidgets",
    "matplotlib",
    "jax",
    "torch",
    "jupytext",
    "nbformat",
    "myst_parser",
    "safetensors",
)
NEEDS = {
    "d.html()": "html",
    "d.save('x.html')": "html",
    "s.save('x.html')": "html",
    "fcsym.explore(net)": "notebook",
    "main(['reproduce', '--steps', '3', '-o', 'out'])": "reproduce",
    "main(['derive', '2-2-1', '-o', 'x.html'])": "html",
    "s.compile('jax')": "jax",
    "s.compile('torch')": "torch",
    "main(['step', '2-2-1', '--values', 'v.safetensors'])": "safetensors",
}
WITHOUT = (
    "d.latex()", "d.save('x.tex')", "s.save('x.tex')", "s.compile()", "net._repr_svg_()", "fcsym.cost_chart(net)",
    "d.case_map()", "d._repr_mimebundle_()", "s._repr_mimebundle_()", "fcsym.audit(rows=['eq. 13'])._repr_html_()",
    "s.export('update_jax.py', target='jax', force=True)",
)  # fmt: skip
SETTING = f"""
import sys
for name in {PACKAGES!r}:
    sys.modules[name] = None
"""
PROGRAM = """
import fcsym
from fcsym.cli import main
net = fcsym.Network.parse("2-2-1")
d, s = fcsym.derive(net), fcsym.scheme(net, "states")
for line in sys.argv[1:]:
    try:
        made = eval(line)
        print(line, "->", "refused" if made == 2 else "done" if made else "nothing")
    except fcsym.FcsymError as problem:
        print(line, "->", problem)
"""


def run(program, *arguments, cwd):
    command = [sys.executable, "-c", SETTING + program, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_one_sentence_says_what_to_install(tmp_path):
    (tmp_path / "v.safetensors").touch()
    done = run(PROGRAM, *NEEDS, *WITHOUT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" -> ", 1) for line in done.stdout.splitlines())
    complaints = iter(done.stderr.splitlines())
    for line, extra in NEEDS.items():
        sentence = next(complaints) if said[line] == "refused" else said[line]
        assert f"pip install 'fcsym[{extra}]'" in sentence, line
    assert next(complaints, None) is None
    assert {said[line] for line in WITHOUT} == {"done"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["update_jax.py", "v.safetensors", "x.tex"]


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("import runpy; runpy.run_module('notebooks', run_name='__main__')", r"pip install '.[test]'"),
        ("import runpy; runpy.run_path('docs/pictures.py', run_name='__main__')", "pip install 'fcsym[html]'"),
        (
            "from sphinx.cmd.build import main; sys.exit(main(['-q', 'docs', sys.argv[1]]))",
            "pip install 'fcsym[docs]'",
        ),
    ],
)
def test_tools_of_the_repository_say_it_too(program, command, tmp_path):
    done = run(program, tmp_path / "html", cwd=ROOT)
    assert done.returncode != 0
    assert command in done.stderr
    assert "sphinx" in program or "Traceback" not in done.stderr  # Sphinx shows one with every error


def test_every_extra_that_is_named_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {*NEEDS.values(), "docs", "test"} <= set(extras)
