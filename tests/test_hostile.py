"""Strings that would do something, were they more than text: nothing of them is executed, and nothing gets out.

They are given wherever a reader may write something: as names, as titles and sentences, as numbers, as file names.
Names are refused unless they are plain identifiers; sentences stay sentences in every reading.
"""

from __future__ import annotations

import builtins
import json
import re
import subprocess
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import few, need

import fcsym
from fcsym import gallery
from fcsym.cli import main
from fcsym.errors import FcsymError
from fcsym.language.spelling import check_name
from fcsym.networks.own import input_, parameter
from fcsym.worked.report import document

HOSTILE = (
    # LaTeX
    r"\input{/etc/passwd}", r"\write18{touch pwned}", r"\immediate\openout5=pwned", r"\end{document}", "}{", "$$",
    r"\catcode`\%=0 x", "%", "^^5cinput{x}", r"\def\x{\x}\x", "#1", "&&", "~", "a\n\nb",
    # HTML and Markdown
    "<script>document.title='pwned'</script>", "<img src=x onerror=\"document.title='pwned'\">", "&lt;script&gt;",
    "-->", '"><svg onload=alert(1)>', "</title></style></script>", "[x](javascript:alert(1))|pwned",
    # Coq
    "*) Axiom pwned : False. (*", '"', "Admitted.", "Qed. Redirect \"pwned\" Print nat.",
    # C
    '*/ int pwned; /*', "??/", "??=define x", "\\\n#include </etc/passwd>", "%n%n%s", '"; system("touch pwned"); "',
    # JavaScript and JSON
    "');globalThis.pwned=1;//", "${globalThis.pwned=1}", "`", '{"error": 1}', "\u2028pwned",
    # Python
    '"""; open("pwned", "w"); """', "{__import__('os').system('touch pwned')}", "__import__('builtins').pwned",
    "'\\", "\\N{BULLET}",
    # terminals
    "\x1b]0;pwned\x07", "\x1b[2J\x1b[31m", "\x9b31m", "[bold red]x[/bold red]", "\u202epwned", "\u2066x\u2069",
    "\x08\x08", "\r", "\x7f",
    # what text is made of
    "\x00", "a\x00b", "\ufeff", "\u200b", "\U000e0041", "\uff41",
)  # fmt: skip
"""By what they are written in."""

WORDS = ("forall", "Qed", "fun", "INFINITY", "NULL", "errno", "print", "np", "self", "function", "undefined", "exp")
"""Names that are allowed, and mean something to a program that reads them."""


def test_there_are_forty():
    assert len(set(HOSTILE)) == len(HOSTILE) >= 40


@pytest.fixture(autouse=True)
def nothing_happens(tmp_path, monkeypatch):
    """Each test runs in a folder of its own, where none of them may leave its mark."""
    monkeypatch.chdir(tmp_path)
    yield
    assert [path for path in Path().rglob("*") if "pwned" in path.name] == []
    assert not hasattr(builtins, "pwned")


def steers(text: str) -> list[str]:
    """What in a text would move a cursor, change a colour or turn letters round."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"]


def as_toml(text: str) -> str:
    """A string of TOML in ASCII."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text) + '"'


# ---------------------------------------------------------------------------------------------------- as a name


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_as_a_name_it_is_refused(text):
    table = {"widths": [1, 1, 1]}
    for read in (
        lambda: check_name(text, "here"),
        lambda: fcsym.Network.from_table(table | {"names": [text, "ok"]}),
        lambda: fcsym.Network.from_table(table | {"activations": [{"name": text, "pieces": [{"slope": 1}]}]}),
        lambda: fcsym.Network.from_table(
            table | {"activations": [{"name": "f", "pieces": [{"slope": 1, "name": text}]}]}
        ),
        lambda: fcsym.Network.from_table({"shape": [1], "layers": [{"name": text, "width": 1}, {"width": 1}]}),
        lambda: fcsym.Network.from_table(table | {"activation": text}),
        lambda: fcsym.Network.from_table(table | {"loss": text}),
        lambda: fcsym.Network.from_table(table | {"rule": {"name": "sgd", text: 1}}),
        lambda: fcsym.Network.from_table(table | {text: 1}),
        lambda: fcsym.Network.parse(text),
        lambda: fcsym.piecewise_linear(text, [fcsym.Piece(None, 1)]),
        lambda: fcsym.smooth(text),
        lambda: input_(text),
        lambda: parameter(text),
        lambda: fcsym.rule(text),
    ):
        with pytest.raises(FcsymError):
            read()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_as_a_number_it_is_refused(text):
    network = fcsym.Network.parse("1-1")
    for key in ("x", "eta", "W1"):
        with pytest.raises(FcsymError):
            fcsym.values.values_of(network, {"x": 1, "target": 1, "eta": 1, "W1": 1} | {key: text})
    with pytest.raises(FcsymError):
        fcsym.Network.from_table({"widths": [1, text]})
    with pytest.raises(FcsymError):
        fcsym.rule("momentum", beta=text)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_on_the_command_line_it_is_refused_and_not_obeyed(text, capsys):
    Path("net.toml").write_text(f"widths = [1, 1, 1]\nnames = [{as_toml(text)}, {as_toml(text)}]\n")
    Path("key.toml").write_text(f"widths = [1, 1]\n{as_toml(text)} = 1\n")
    Path("e.toml").write_text(
        f'network = "1-1"\nclaims = [{as_toml(text)}]\n[values]\nx = 1\ntarget = 1\neta = 1\nW1 = 1\n'
    )
    lines = [
        ["derive", "net.toml"],
        ["derive", "key.toml"],
        ["audit", "e.toml"],
        ["derive", f"{text}.toml"],
        ["derive", text],
    ]
    lines += [
        ["derive", "1-1", option, text] for option in ("--activation", "--rule", "--only", "-o", "--order", "--values")
    ]
    lines += [["export", "1-1-1", "--name", text, "-o", "out"], ["audit", text], ["gradient", "1-1", "--of", text]]
    for words in lines:
        if text.startswith("-") and words[-1] == text:
            continue
        assert main(words) == 2, words
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("fcsym: ") and steers(err) == [], words
        assert err.count("\n") == 1, words
        assert main([*words, "--json"]) == 2
        assert set(json.loads(capsys.readouterr().out)) == {"error"}
    assert sorted(path.name for path in Path().iterdir()) == ["e.toml", "key.toml", "net.toml"]


# ------------------------------------------------------------------------------------------------ as a sentence


def example(**more):
    claims = [{"claim": text, "quantity": "y", "after": 0, "printed": "2"} for text in HOSTILE]
    values = {"x": [1], "target": [1], "eta": 1, "W1": [[2]]}
    return {"network": "1-1", "values": values, "claims": claims} | more


OURS = re.compile(
    r"\\(section\*|medskip|textbf|quad|textsc|par|small|end|textbackslash|textless|textgreater|textbar|\^|~|[&%$#_{}])"
    r"|\$(\\pm|-|\*)\$"
)
"""The commands of the document itself."""


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_title_and_a_claim_are_text_in_latex(text):
    page = document(fcsym.audit_example(example(title=text)))
    body = page.partition(r"\begin{document}")[2].removesuffix("\\end{document}\n")
    left = OURS.sub("", body)
    assert set(left) & set("\\^~&%$#_") == set()
    assert left.count("{") == left.count("}")
    assert body.isascii() and steers(body) == []
    assert "\n\n" not in body.split("\\medskip")[0].strip()  # no paragraph ends within a heading


def test_the_document_is_typeset():
    need("pdflatex")
    Path("report.tex").write_text(document(fcsym.audit_example(example(title=" ".join(HOSTILE)))), "utf-8")
    made = subprocess.run(["pdflatex", "-halt-on-error", "report.tex"], capture_output=True, timeout=120)
    assert made.returncode == 0, made.stdout[-2000:]
    assert not re.search(
        rb"\((/etc/passwd|pwned)", Path("report.log").read_bytes()
    )  # how TeX says that it opens a file


def test_an_example_in_the_terminal_and_in_json(capsys):
    text = f'network = "1-1"\ntitle = {as_toml(" ".join(HOSTILE))}\n[values]\nx = 1\ntarget = 1\neta = 1\nW1 = 2\n'
    text += "".join(
        f'[[claim]]\nclaim = {as_toml(claim)}\nquantity = "y"\nafter = 0\nprinted = "2"\n' for claim in HOSTILE
    )
    Path("e.toml").write_text(text)
    assert main(["audit", "e.toml"]) == 0
    out, err = capsys.readouterr()
    assert steers(out + err) == []
    assert "[bold red]x[/bold red]" in out.replace("\n", "")
    assert main(["audit", "e.toml", "--json"]) == 0
    assert [row["claim"] for row in json.loads(capsys.readouterr().out)["claims"]] == list(HOSTILE)


class Elements(HTMLParser):
    """The elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_a_gallery_says_it_and_does_not_do_it():
    """The title and the sentence of a case, in its index (Markdown with HTML) and in its report (JSON)."""
    title, about = " ".join(HOSTILE[:20]), " ".join(HOSTILE[20:])
    Path("case").mkdir()
    Path("case/spec.toml").write_text(
        f"title = {as_toml(title)}\nabout = {as_toml(about)}\norder = 'sequential'\nscheme = 'backprop'\n"
        "[network]\nwidths = [1, 1]\n"
    )
    made = gallery.build(".")
    page = Elements()
    page.feed(made[gallery.INDEX])
    assert page.found == []
    assert len([line for line in made[gallery.INDEX].split("\n") if line.startswith("| [case]")]) == 1
    report = json.loads(made["case/generated/report.json"])
    assert (report["title"], report["about"]) == (title, about)
    for name, text in made.items():
        assert name in (gallery.INDEX, "case/generated/report.json") or "pwned" not in text


# -------------------------------------------------------------------------- names that mean something to a program


@pytest.mark.parametrize("turn", few(range(3), 1))
def test_words_of_other_languages_are_names(turn):
    """Weights, an activation and its pieces are called so; every reading is made, and every program runs."""
    names, (phi, below, above) = [*WORDS, *WORDS][turn * 4 :][:6], WORDS[turn : turn + 3]
    pieces = [{"upper": 0, "slope": 0, "name": below}, {"slope": 1, "name": above}]
    table = {"widths": [2, 2, 1], "names": names, "activation": phi, "activations": [{"name": phi, "pieces": pieces}]}
    network = fcsym.Network.from_table(table)
    d = fcsym.derive(network)
    for file in ("d.tex", "d.html", "d.v"):
        d.save(file)
    made = subprocess.run([need("coqc"), "d.v"], capture_output=True, timeout=300)
    assert made.returncode == 0, made.stderr[-1000:]
    for target, file in (("numpy", "a.py"), ("c", "b.c"), ("jax", "j.py"), ("torch", "t.py")):
        fcsym.scheme(network, "backprop").export(file, target)  # runs it, and compares it with autodiff
