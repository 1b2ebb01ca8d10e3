from __future__ import annotations

import re
import subprocess

import pytest
from conftest import need

from fcsym.derivation import derive
from fcsym.errors import ArgumentError
from fcsym.network import Network
from fcsym.render.latex import document

DOCUMENTS = {
    "2-2-1": Network.parse("2-2-1"),
    "3-4-4-2": Network.parse("3-4-4-2"),
    "8-16-16-1 with biases": Network.parse("8-16-16-1", bias=True),
    "leaky": Network.parse("3-4-4-2", "leaky_relu", True),
    "deep linear": Network.parse("2-2-2-1", "identity"),
    "no hidden layer": Network.parse("2-1"),
    "deep, mixed": Network.mlp([3, 2, 2, 2, 2, 2], ["relu", "identity", "leaky_relu", "relu"], True),
}


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_pdflatex_has_nothing_to_say(name, order, tmp_path):
    program = need("pdflatex")
    source = derive(DOCUMENTS[name], order).save(tmp_path / "derivation.tex")
    run = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", source.name],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    log = (tmp_path / "derivation.log").read_text(errors="replace")
    assert run.returncode == 0, log[-2000:]
    said = re.findall(r"^!.*|.*[Ww]arning.*|^(?:Over|Under)full.*|.*undefined.*", log, re.MULTILINE)
    assert not said
    assert (tmp_path / "derivation.pdf").stat().st_size > 10_000


def test_long_tables_and_odd_names(tmp_path, order):
    """Eight pieces have 67 cases, which go over several pages; names have underscores."""
    program = need("pdflatex")
    ends = [
        'upper = -3, slope = 0.125, intercept = 0.375, name = "x_y_z"',
        "upper = -1, slope = 0",
        "upper = 0, slope = 1, intercept = 1",
        "upper = 1, slope = 2, intercept = 1",
        "upper = 2, slope = 0, intercept = 3",
        "upper = 3, slope = -1, intercept = 5",
        "upper = 4, slope = 0.5, intercept = 0.5",
        "slope = 1, intercept = -1.5",
    ]
    pieces = ", ".join(f"{{ {end} }}" for end in ends)
    (tmp_path / "net.toml").write_text(
        f'widths = [2, 2, 2]\nactivation = "a_b_c"\nbias = true\n[[activations]]\nname = "a_b_c"\npieces = [{pieces}]\n'
    )
    derive(Network.load(tmp_path / "net.toml"), order).save(tmp_path / "d.tex")
    subprocess.run([program, "-interaction=nonstopmode", "d.tex"], cwd=tmp_path, capture_output=True, check=True)
    log = (tmp_path / "d.log").read_text(errors="replace")
    assert not re.findall(r"^!.*|.*[Ww]arning.*|^(?:Over|Under)full.*", log, re.MULTILINE)


def test_a_warning_would_be_seen(tmp_path):
    """The same reading of the log, on a document that is too wide."""
    program = need("pdflatex")
    text = document(derive(Network.parse("2-2-1"))).replace(
        r"\begin{equation*}", r"\mbox{\hspace{30cm}}\begin{equation*}", 1
    )
    (tmp_path / "wide.tex").write_text(text)
    subprocess.run([program, "-interaction=nonstopmode", "wide.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert re.search(r"^Overfull", (tmp_path / "wide.log").read_text(errors="replace"), re.MULTILINE)


def test_every_equation_has_its_number_reason_and_verdict(derivation):
    text = document(derivation)
    for number, equation in enumerate(derivation, 1):
        assert text.count(rf"\tag{{{number}}}") == 1
        assert derivation.proof.verdict(equation.name).verdict.value.lower() in text
    for item in ("Assumptions", "Verdicts", r"\subsection*{Backpropagation}"):
        assert item in text
    assert "`" not in text


def test_the_slope_at_the_kink_is_printed():
    zero, half = (document(derive(Network.parse("2-2-1"), slope_at_kink=k)) for k in (0, 0.5))
    assert r"\frac{1}{2} & \text{if } s^{(1)}_{i} = 0" not in zero
    assert r"\frac{1}{2} & \text{if } s^{(1)}_{i} = 0" in half


def test_documents_are_deterministic(order):
    a, b = (document(derive(Network.parse("2-3-2"), order)) for _ in range(2))
    assert a == b


def test_bad_places_are_refused(tmp_path):
    d = derive(Network.parse("2-2-1"))
    (tmp_path / "folder.tex").mkdir()
    (tmp_path / "link.tex").symlink_to(tmp_path / "elsewhere.tex")
    for name in ("x.docx", "x", "folder.tex", "link.tex", "none/x.tex"):
        with pytest.raises(ArgumentError) as caught:
            d.save(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.tex", "link.tex"]
