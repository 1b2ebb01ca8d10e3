"""Documents of schemes: the state, what it stands for, and four derivations with their verdicts, in every format."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from io import StringIO

import pytest
from conftest import NETWORKS, need
from rich.console import Console

import fcsym
from fcsym.cli import main
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, SizeError
from fcsym.language.equation import Rule, Verdict
from fcsym.networks.network import Network
from fcsym.render import terminal
from fcsym.render.content import content
from fcsym.schemes import SCHEMES
from fcsym.training import collapse, next_input, scheme

ODD = {
    "2-2-1": Network.parse("2-2-1"),
    "four layers": Network.mlp([3, 2, 3, 2, 2], ["leaky_relu", "tanh", "identity"], bias=[True, False, True, True]),
    "smooth": NETWORKS["smooth"],
}
MADE = {
    f"{name} of {which}": (name, network)
    for which, network in ODD.items()
    for name in (*SCHEMES, "collapse", "next input")
    if name != "collapsed" or (len(network.layers) == 2 and network.layers[0].activation.pieces)
}


def rendered(document, width=200, **options):
    """What the terminal shows in a window of that width."""
    console = Console(width=width, file=StringIO())
    console.print(terminal.document(document, **options))
    return console.file.getvalue()


@pytest.fixture(params=list(MADE))
def made(request, order):
    name, network = MADE[request.param]
    if name in SCHEMES:
        return scheme(network, name, order)
    return collapse(network, order) if name == "collapse" else next_input(network, order)


def test_it_has_the_state_what_that_stands_for_and_every_equation_of_every_function(made):
    page = content(made)
    assert [carried.array for carried in page.state] == list(made.state)
    assert all(carried.meaning.endswith(".") for carried in page.state)
    assert [step.equation.array for step in page.invariants] == [meaning.array for meaning in made.meanings]
    parts = [part for part in made.parts if part.equations]
    assert [chapter.title for chapter in page.chapters] == [part.name for part in parts]
    for chapter, part in zip(page.chapters, parts, strict=True):
        assert [step.equation for step in chapter.steps] == list(part.equations)
        assert [step.verdict for step in chapter.steps] == [part.proof.verdict(e.name).verdict for e in part]
        titles = [section.title for section in chapter.sections]
        assert len(titles) == len(set(titles))
        first = next(chapter.steps, None)
        if first is not None:  # references stay within the function
            numbers = {step.number for step in chapter.steps}
            assert all(set(step.uses) <= numbers for step in chapter.steps)
    numbers = [step.number for step in (*page.invariants, *page.steps)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert dict(page.counts) == {v: made.proof.count(v) for v in Verdict if made.proof.count(v)}
    assert bool(page.source) is not made.is_statement
    assert page.induction.startswith("They hold") is bool(made.meanings)


def test_pdflatex_has_nothing_to_say(made, tmp_path):
    (tmp_path / "d.tex").write_text(made.latex())
    command = [need("pdflatex"), "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    log = (tmp_path / "d.log").read_text(errors="replace").replace("pdfTeX warning: \\pdfdraftmode", "")
    assert not re.findall(r"^!.*|.*[Ww]arning.*|^(?:Over|Under)full.*|.*undefined.*", log, re.MULTILINE)


def test_every_reference_leads_somewhere(made):
    text, page = made.latex(), made.html()
    assert set(re.findall(r"\\eqn\{(\d+)\}", text)) <= set(re.findall(r"\\target\{(\d+)\}", text))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    for part in made.parts:  # a function that computes nothing has a sentence and no section
        some = bool(part.equations)
        assert (rf"\section{{{part.name}}}" in text) is some
        assert (f'<h2 id="{part.name}">{part.name}</h2>' in page) is some
        idle = f"There is nothing to compute in {part.name}: it is given"
        assert (idle in text) is (idle in page) is (idle in " ".join(rendered(made).split())) is not some


def test_a_notebook_shows_it_typeset():
    s = scheme(Network.parse("2-2-1"), "states", "sequential")
    shown = s._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/latex", "text/plain"}
    equations = len(s.invariants) + sum(len(part) for part in s.parts)
    assert shown["text/html"].count("<math") == equations
    for part in ("init", "step", "output", "expand"):
        assert f">{part}</th>" in shown["text/html"]
        assert rf"\textbf{{{part}}}" in shown["text/latex"]
    assert shown["text/plain"] == str(s)


def test_it_is_saved_in_every_format(tmp_path):
    s = scheme(Network.parse("2-2-1"), "states", "sequential")
    assert s.save(tmp_path / "s.tex").read_text() == s.latex()
    assert s.save(tmp_path / "s.html").read_text() == s.html()
    need("pdflatex")
    assert s.save(tmp_path / "s.pdf").read_bytes().startswith(b"%PDF-")
    with pytest.raises(ArgumentError, match=r"ends in \.docx"):
        s.save(tmp_path / "s.docx")


def test_options():
    s = scheme(Network.parse("2-2-1"), "weights", "sequential")
    flat = s.latex(notation="paper")
    assert r"\sum" not in flat
    assert r"r_{5} = \tfrac" not in flat
    assert r"r_{5} = \frac{w_{5} \, v_{1}}" in flat or r"r_{5} &= \frac{w_{5} \, v_{1}}" in flat
    step = content(s, only="step")
    assert [chapter.title for chapter in step.chapters] == ["step"]
    assert [e.equation for e in step.steps] == list(s.step)
    whole = {e.equation: e.number for e in content(s).chapters[1].steps}
    assert all(whole[e.equation] == e.number for e in step.steps)
    assert step.state == step.invariants == ()
    one = content(s, only="r'")
    assert [chapter.title for chapter in one.chapters] == ["step"]
    assert [chapter.title for chapter in content(s, only="s1").chapters] == ["init"]
    assert len(s.latex(detail="summary")) < len(s.latex())
    with pytest.raises(ArgumentError, match=r"no function and no quantity 'q'.*init, step, output, expand"):
        s.latex(only="q")
    with pytest.raises(SizeError, match="indexed"):
        scheme(Network.parse("2-2-1"), "history").latex(notation="paper")
    with pytest.raises(SizeError, match="36"):
        scheme(Network.parse("3-4-4-2"), "states").latex(notation="paper")


def test_what_is_wrong_is_shown_as_wrong():
    s = scheme(Network.parse("2-2-1"), "states")
    step = s.routines["step"]
    wrong = tuple(replace(e, rhs=e.rhs * 2, rule=Rule.IDENTITY) if e.name == "delta1" else e for e in step.equations)
    broken = replace(s, routines={**s.routines, "step": replace(step, equations=wrong)})
    page, text = broken.html(), broken.latex()
    assert '<span class="mark refuted">' in page
    assert r"\verdict{refuted}" in text
    assert "should be" in text
    for document in (page, text):
        assert "They are not proved" in document
        assert "They hold" not in document
    assert "They hold" in s.latex()


def test_documents_are_deterministic():
    a, b = (scheme(Network.parse("2-3-2"), "compensation") for _ in range(2))
    assert a.latex() == b.latex()
    assert a.html() == b.html()


def has_nothing_empty(document, **options):
    """No section, list or table of any format is without content."""
    text = document.latex(**options)
    body = re.sub(r"\\vspace\{[^}]*\}", "", text.split(r"\begin{document}")[1])
    empty = re.search(r"\\(?:sub)?section\*?\{[^}]*\}\s*(\\section\*?\{|\\end\{document\}|\\subsection\*)", body)
    assert empty is None, empty[0]
    assert not re.search(r"\\begin\{itemize\}[^\n]*\n\\end\{itemize\}|\\hline\n\\end\{tabular\}|\{\}\\par", body)
    page = document.html(**options)
    assert not re.search(r"<tbody>\s*</tbody>|<ul[^>]*>\s*</ul>|<ol>\s*</ol>|<p[^>]*>\s*</p>", page)
    assert not re.search(r"<section[^>]*>\s*<h\d[^>]*>[^<]*</h\d>\s*</section>", page)
    shown = rendered(document, **options)
    assert not re.search(r"┃\n┡[━╇]+┩\n└|┏[━┳]*┓\n┃[^\n]*┃\n┗", shown)
    assert shown.strip()


@pytest.mark.parametrize("net", ["2-2-1", "2-1"])
@pytest.mark.parametrize("name", SCHEMES)
def test_nothing_without_content_is_printed(name, net):
    """Whole documents, each function, and each quantity by itself."""
    try:
        s = scheme(Network.parse(net), name)
    except ArgumentError:
        return
    has_nothing_empty(s)
    has_nothing_empty(s, detail="summary")
    for only in ("init", "step", "output", "expand"):
        has_nothing_empty(s, only=only)
    for part in s.parts:
        has_nothing_empty(part)
    d = derive(s.network)
    for only in ("y", "W1'"):
        has_nothing_empty(d, only=only)


def test_the_terminal_has_the_same(capsys):
    s = scheme(Network.parse("2-2-1"), "history")
    Console(width=200).print(s)
    said = capsys.readouterr().out
    for sentence in ("what it stands for", "They hold", "init: A conventional network becomes the state", "C_new"):
        assert sentence in said
    assert said.count("PROVED") == s.proof.count(Verdict.PROVED)


def test_the_command_line_writes_it(tmp_path, capsys, monkeypatch):
    command = ["derive", "2-2-1", "--scheme", "states", "--order", "sequential", "--trials", "5"]
    assert main([*command, "-o", str(tmp_path / "s.html")]) == 0
    said = capsys.readouterr().out
    assert "states of 2-2-1, sequential: 11 proved, 11 certified, 0 refuted; 5 networks trained" in said
    s = scheme(Network.parse("2-2-1"), "states", "sequential")
    assert (tmp_path / "s.html").read_text() == s.html()
    assert main([*command, "-o", str(tmp_path / "s.tex"), "--only", "step", "--detail", "summary", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["file"] == str(tmp_path / "s.tex")
    assert report["scheme"] == "states"
    assert {row["function"] for row in report["equations"]} == {"init", "step", "output", "expand"}
    assert (tmp_path / "s.tex").read_text() == s.latex(only="step", detail="summary")
    monkeypatch.setattr("fcsym.commands.derive.trained", None)  # what is wrong is said before the work
    for wrong in (["--only", "zz"], ["--detail", "more"], ["--notation", "paper"], ["-o", "t.docx"]):
        assert main([*command, *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["derive", "2-2-1", "--scheme", "none"]) == 2


def test_every_scheme_is_a_document():
    assert all(hasattr(fcsym.Scheme, name) for name in ("latex", "html", "save", "_repr_mimebundle_"))
