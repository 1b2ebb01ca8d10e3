"""The gallery: what is committed under derivations/ is what its specs give."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import need

import fcsym
from fcsym.errors import ArgumentError, FcsymError
from fcsym.gallery import GENERATED, MEND, WRITERS, build, flaws, read, write

ROOT = Path(__file__).parent.parent
GALLERY = ROOT / "derivations"
SPECS = sorted(GALLERY.glob("*/spec.toml"))
SPEC = """title = "t"\nabout = "a"\norder = "sequential"\nscheme = "weights"\n[network]\nwidths = [1, 1, 1]\n"""


@pytest.fixture(scope="module")
def made():
    return build(GALLERY)


@pytest.fixture
def small(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "spec.toml").write_text(SPEC)
    return tmp_path


def test_what_is_committed_is_what_the_specs_give(made):
    wrong = flaws(GALLERY, made)
    assert not wrong, "\n".join(wrong)


def test_the_gallery_has_the_cases_it_should():
    assert len(SPECS) >= 8
    specs = [read(path) for path in SPECS]
    assert all(len(path.read_text().splitlines()) <= 40 for path in SPECS)
    networks = [spec.network for spec in specs]
    names = {layer.activation.name for network in networks for layer in network.layers[:-1]}
    assert {"relu", "leaky_relu", "identity", "tanh", "hat"} <= names
    assert {spec.order for spec in specs if str(spec.network) == "2-2-1"} == {"simultaneous", "sequential"}
    assert {"1-1-1"} <= {str(network) for network in networks}
    assert any(len(network.layers) > 2 for network in networks)
    assert any(layer.bias for network in networks for layer in network.layers)
    assert any(network.widths[-1] > 1 for network in networks)
    assert {spec.statement for spec in specs} == {None, "next input"}
    assert {spec.only for spec in specs} == {None, "P"}
    assert {spec.scheme for spec in specs} >= {"weights", "compensation", "states", "history"}


def test_nothing_is_refuted_or_left_open_and_the_table_says_what_the_reports_say(made):
    index = made["README.md"]
    for path in SPECS:
        name = path.parent.name
        assert {f"{name}/{GENERATED}/{file}" for file in WRITERS} <= set(made)
        report = json.loads(made[f"{name}/{GENERATED}/report.json"])
        assert report["proved"] > 0
        assert report["scheme"]["proved"] > 0
        for part in (report, report["scheme"]):
            assert part["refuted"] == part["undecided"] == 0
        said = Counter(v for e in report["equations"] for v in (e["verdict"], *(c["verdict"] for c in e["cases"])))
        counted = {verdict: report[verdict.lower()] for verdict in ("PROVED", "REFUTED", "CHOSEN", "UNDECIDED")}
        assert {verdict: said[verdict] for verdict in counted} == counted
        (row,) = re.findall(rf"^\| \[{name}\].*$", index, re.MULTILINE)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        expected = [len(report["equations"]), *(report[key] for key in ("proved", "refuted", "chosen"))]
        assert cells[2:6] == list(map(str, expected))
        assert cells[6:] == [report["scheme"]["name"], str(report["scheme"]["operations_value"])]


def test_nothing_generated_names_a_machine_or_a_day(made):
    for name, text in made.items():
        assert not re.search(r"/home/|/work/|/tmp/|\b20[0-9]{2}-[01][0-9]-[0-3][0-9]\b|\r", text), name
        assert text.endswith("\n"), name


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_the_kernel_of_every_case_agrees_with_autodiff(path):
    spec = read(path)
    assert fcsym.check(fcsym.scheme(spec.network, spec.scheme, spec.order), trials=4, steps=10)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_the_latex_of_every_case_compiles(path, tmp_path):
    program = need("pdflatex")
    shutil.copy(path.parent / GENERATED / "derivation.tex", tmp_path)
    run = subprocess.run(
        [program, "-interaction=nonstopmode", "derivation.tex"], cwd=tmp_path, capture_output=True, check=False
    )
    log = (tmp_path / "derivation.log").read_text(errors="replace")
    assert run.returncode == 0, log[-2000:]
    assert not re.findall(r"^!.*|.*[Ww]arning.*|.*undefined.*|^(?:Over|Under)full.*", log, re.MULTILINE)


def test_what_is_changed_missing_or_left_over_is_seen_and_mended(small):
    made = build(small)
    assert len(made) == len(WRITERS) + 1
    assert len(flaws(small, made)) == len(made)
    write(small, made)
    assert flaws(small, made) == []
    assert build(small) == made
    page = small / "one" / GENERATED / "derivation.html"
    page.write_text(page.read_text().replace("1-1-1", "1-1-2", 1))
    (small / "one" / GENERATED / "report.json").unlink()
    orphan = small / "one" / GENERATED / "update.cpp"
    orphan.write_text("")
    (small / "gone").mkdir()
    (small / "gone" / "report.json").write_text("{}")
    wrong = flaws(small, made)
    assert len(wrong) == 4
    assert all(MEND in sentence for sentence in wrong)
    write(small, made)
    assert not orphan.exists()
    assert [sentence.split()[0] for sentence in flaws(small, made)] == ["gone/report.json"]


def test_nothing_of_other_people_is_touched(small):
    made = build(small)
    other = small / "src" / GENERATED
    other.mkdir(parents=True)
    (other / "mine.py").write_text("precious")
    write(small, made)
    assert (other / "mine.py").read_text() == "precious"
    (small / "README.md").write_text("mine")
    with pytest.raises(ArgumentError, match="not written by fcsym"):
        write(small, made)
    assert (small / "README.md").read_text() == "mine"
    (small / "README.md").unlink()
    generated = small / "one" / GENERATED
    shutil.rmtree(generated)
    generated.symlink_to(other)
    with pytest.raises(ArgumentError, match="no folder of its own"):
        write(small, made)
    assert [path.name for path in other.iterdir()] == ["mine.py"]


def test_a_title_cannot_leave_its_cell(small):
    spec = small / "one" / "spec.toml"
    spec.write_text(SPEC.replace('"t"', '"a | <b>"'))
    (row,) = re.findall(r"^\| \[one\].*$", build(small)["README.md"], re.MULTILINE)
    assert r"| a \| &lt;b&gt; |" in row and len(re.findall(r"(?<!\\)\|", row)) == 9


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parent.name)
def test_what_is_committed_runs(path, tmp_path):
    need("gcc")
    need("make")
    folder = path.parent / GENERATED
    done = subprocess.run([sys.executable, folder / "update.py"], capture_output=True, text=True, check=False)
    assert re.fullmatch(r"update: \d+ rows agree with exact evaluation\n", done.stdout), done.stderr
    shutil.copy(folder / "update.h", tmp_path)
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-c"]
    subprocess.run([*command, folder / "update.c"], cwd=tmp_path, check=True)


def test_a_derivation_that_changes_changes_the_gallery(small):
    made = build(small)
    spec = small / "one" / "spec.toml"
    spec.write_text(SPEC.replace("sequential", "simultaneous"))
    again = build(small)
    assert all(made[name] != again[name] for name in made)


@pytest.mark.parametrize(
    "text",
    [
        "title = ", SPEC.replace('title = "t"\n', ""), SPEC + "[more]\n", SPEC + "# \n" * 40,
        SPEC.replace("sequential", "random"), SPEC.replace('"weights"', '"w"'), SPEC.replace('"t"', "1"),
        SPEC.replace("[1, 1, 1]", "[]"), SPEC.replace("[network]\nwidths = [1, 1, 1]", 'network = "1-1-1"'),
        'only = "q"\n' + SPEC, 'statement = "q"\n' + SPEC,
    ],
)  # fmt: skip
def test_a_wrong_spec_is_one_sentence(small, text):
    (small / "one" / "spec.toml").write_text(text)
    with pytest.raises(FcsymError) as caught:
        build(small)
    assert "\n" not in str(caught.value)
    assert "spec.toml" in str(caught.value)


def test_an_empty_gallery_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="no case"):
        build(tmp_path)
