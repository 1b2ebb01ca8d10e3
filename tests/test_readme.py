"""What the README shows is what the commands print."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

from fcsym.cli import main
from fcsym.derivation import derive
from fcsym.networks.network import Network
from fcsym.render.formula import escape
from fcsym.render.trust import grounds, markdown

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FILES = (ROOT / "docs" / "files.md").read_text()
PAGES = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]


def shown(command):
    """What the README or a page shows of a command; where several do, it is the same."""
    mark = rf"<!-- generated: {re.escape(command)} -->\n(.*?)<!-- end -->"
    (text,) = {text for page in PAGES for text in re.findall(mark, page, re.DOTALL)}
    return [line.strip() for line in text.strip().splitlines()]


def test_the_last_line_of_the_demo(capsys):
    assert main(["derive", "2-2-1", "--order", "sequential"]) == 0
    said = capsys.readouterr().out.strip().splitlines()[-1]
    (line,) = shown("fcsym derive 2-2-1 --order sequential")
    # the last figure is rounding of this machine's linear algebra; everything else is not
    assert re.sub(r"worst error.*", "", said) == re.sub(r"worst error.*", "", line)


def test_the_first_lines_of_python(capsys):
    code = re.search(r"```python\n(import fcsym.*?)```", README, re.DOTALL)[1]
    exec(compile(code, "README.md", "exec"), {})
    assert [line.strip() for line in capsys.readouterr().out.strip().splitlines()] == shown("python")


def test_the_check_of_a_scheme(capsys):
    command = "fcsym check 2-2-1 --scheme states --order sequential"
    assert main(command.split()[1:]) == 0
    (line,) = shown(command)
    said = capsys.readouterr().out.strip().splitlines()[-1]
    assert re.sub(r"worst error.*", "", said) == re.sub(r"worst error.*", "", line)


def test_where_schemes_save(capsys):
    assert main(["cost", "64-8-1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["schemes"]
    said = [f"{name}: {row['against_backprop']}" for name, row in rows.items() if row["against_backprop"]]
    assert said == shown("fcsym cost 64-8-1")


def test_the_two_formulas_for_p():
    for order, weights in (("sequential", "w_5_new**2"), ("simultaneous", "w_5*w_5_new")):
        p = derive(Network.parse("2-2-1"), order).expr("p", 1, case="active -> active", keep=("dE_dY", "W2'", "vc"))
        assert str(p) == f"-dE_dY*eta*{weights}*(x_1**2 + x_2**2)/vc_1"


def test_the_network_file(tmp_path):
    (tmp_path / "net.toml").write_text(re.search(r"```toml\n(.*?)```", FILES, re.DOTALL)[1])
    assert Network.load(tmp_path / "net.toml").widths == (2, 3, 1)


def test_the_worked_example(capsys):
    command = "fcsym audit derivations/examples/sigmoid-2-2-2.toml"
    assert main(["audit", str(ROOT / command.split()[-1])]) == 0
    assert shown(command) == [capsys.readouterr().out.strip().splitlines()[-1]]


def test_the_worked_example_of_the_documentation(tmp_path, capsys):
    text = (ROOT / "docs" / "audit.md").read_text()
    (tmp_path / "example.toml").write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    assert main(["audit", str(tmp_path / "example.toml")]) == 0
    assert "3 claims: 3 hold" in capsys.readouterr().out


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 180


def test_the_table_of_what_is_certain():
    """In the README, in the documentation, and in every document."""
    assert shown("fcsym.render.trust") == markdown().splitlines()
    d = derive(Network.parse("1-1-1"))
    for page, escaped in ((unescape(d.html()), str), (d.latex(), escape)):
        assert all(escaped(text) in page for ground in grounds() for text in (ground.word, ground.of, ground.by))
