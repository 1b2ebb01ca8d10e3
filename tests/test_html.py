from __future__ import annotations

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from browser import Browser
from conftest import few, need

from fcsym.derivation import derive
from fcsym.errors import MissingTool
from fcsym.language.equation import Cases
from fcsym.networks.network import Network
from fcsym.training import collapse, scheme

PAPER = derive(Network.parse("2-2-1"), "sequential")
DEEP = Network.mlp([3, 3, 2, 3, 2], ["leaky_relu", "gelu", "relu"], bias=True)
LONG = Network.from_table(
    {
        "widths": [2, 2, 1],
        "names": [f"{letter * 30}_{n}" for n, letter in enumerate("abcdef")],
        "activation": "q" * 32,
        "activations": [{"name": "q" * 32, "pieces": [{"upper": 0, "slope": 0}, {"slope": 1}]}],
    }
)
PAGES = {
    "long names": (derive(LONG, "sequential"), {"notation": "paper"}),
    "2-2-1": (PAPER, {}),
    "2-2-1 flat": (PAPER, {"notation": "paper"}),
    "wide": (derive(Network.mlp([3, 4, 4, 2], ["relu", "leaky_relu"], bias=[True, False, True]), "sequential"), {}),
    "four layers": (derive(DEEP, "sequential"), {}),
    "no hidden layer": (derive(Network.parse("2-1"), "sequential"), {"detail": "summary"}),
    "scheme": (scheme(Network.parse("2-3-1", "leaky_relu", True), "compensation", "sequential"), {}),
    "deep scheme": (scheme(DEEP, "history"), {}),
    "statement": (collapse(Network.parse("2-2-2-1")), {}),
}
SCHEMES = ("scheme", "deep scheme", "statement")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = need("chromium")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("pages")
    for name, (document, options) in PAGES.items():
        document.save(where / f"{name}.html", **options)
    return where


def page(name):
    return PAGES[name][0].html(**PAGES[name][1])


class Reader(HTMLParser):
    """Refuses what is not well formed, and remembers the tags."""

    VOID = frozenset({"meta", "br", "hr", "img", "mspace"})

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_well_formed_self_contained_and_can_be_navigated(name):
    text = page(name)
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert {link[1:] for link in links} <= set(ids)
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tags = {tag for tag, _ in reader.tags}
    assert {"h1", "h2", "h3", "nav", "main", "math"} <= tags
    assert not tags & {"script", "img", "iframe", "object", "link", "form"}
    assert not any(key.startswith("on") or key == "src" for _, attributes in reader.tags for key in attributes)
    assert all(attributes.get("alttext") for tag, attributes in reader.tags if tag == "math")
    assert all(attributes.get("scope") for tag, attributes in reader.tags if tag == "th")
    assert text.count("<table>") == text.count("<caption>")
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)


@pytest.mark.parametrize("name", [name for name in PAGES if name not in SCHEMES])
def test_every_equation_is_there_with_its_reason_and_verdict(name):
    d, options = PAGES[name]
    text = d.html(**options)
    for number, equation in enumerate(d, 1):
        (step,) = re.findall(rf'<article class="step" id="eq-{number}".*?</article>', text, re.DOTALL)
        assert f'class="mark {d.proof.verdict(equation.name).verdict.value.lower()}"' in step
        if options.get("detail") != "summary":
            assert "<summary>" in step
            assert all(f'href="#eq-{list(d.by_name).index(used) + 1}"' in step for used in equation.uses)
    assert ("def step(" in text) is (options.get("detail") != "summary")


def test_every_network_has_a_page(derivation):
    reader, text = Reader(), derivation.html()
    reader.feed(text)
    assert not reader.open
    assert "ex]" not in re.sub("<[^>]*>", "", text)  # what LaTeX has for space between rows, and MathML has not


def table_rows(step):
    """(case, what a program reads of the conditions, of the value, and the verdict) of a case table."""
    body = re.search(r"<tbody>(.*?)</tbody>", step, re.DOTALL)[1]
    for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL):
        cells = re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)
        spoken = [re.search(r'alttext="([^"]*)"', cell) for cell in cells]
        yield spoken[1][1], spoken[2][1] if spoken[2] else "undefined", re.search(r'class="mark (\w+)"', cells[3])[1]


@pytest.mark.parametrize("notation", ["indexed", "paper"])
def test_case_tables_say_condition_value_and_verdict_of_every_case(order, notation):
    from html import unescape

    d = derive(Network.mlp([2, 2, 1], activation="leaky_relu"), order)
    page = d.html(notation=notation)
    verdicts = set()
    for number, equation in enumerate(d, 1):
        if not isinstance(equation.rhs, Cases):
            continue
        (step,) = re.findall(rf'<article class="step" id="eq-{number}".*?</article>', page, re.DOTALL)
        rows = [tuple(map(unescape, row)) for row in table_rows(step)]
        findings = {f.case: f.verdict.value.lower() for f in d.proof.findings if f.equation == equation.name}
        assert [row[2] for row in rows[: len(equation.rhs.branches)]] == [findings[b.name] for b in equation.rhs]
        verdicts |= {row[2] for row in rows}
        if notation == "indexed":
            for row, branch in zip(rows, equation.rhs, strict=True):
                assert row[0] == ", ".join(map(str, branch.when))
                assert row[1] == ("undefined" if branch.value is None else repr(branch.value))
        else:  # the names of single numbers, and no index
            assert all("[" not in row[0] + row[1] for row in rows)
            assert any("w_5_new" in row[1] or "w_5" in row[1] for row in rows) or equation.name not in ("p", "P")
    assert {"proved", "chosen"} <= verdicts


def test_formulas_are_read_out_as_what_they_say():
    d = PAPER
    spoken = re.findall(r'<article class="step" id="eq-\d+".*?alttext="([^"]*)"', d.html(), re.DOTALL)
    for said, equation in zip(spoken, d, strict=True):
        wanted = f"{equation.lhs!r} by cases" if isinstance(equation.rhs, Cases) else str(equation)
        assert said.replace("&gt;", ">").replace("&#x27;", "'") == " ".join(wanted.split())


def test_the_page_shows_the_network_and_its_readers_names():
    from fcsym.networks.drawn import draw

    assert draw(PAPER.network).svg in PAPER.html()
    assert "names of their own" not in PAPER.html()
    named = derive(replace(PAPER.network, names=("A", "beta"))).html()
    assert re.search(r'names of their own: (<span class="keep">)?<math alttext="A = W\^{\(1\)}"', named)
    assert 'alttext="\\beta = W^{(2)}"' in named


def test_nothing_reaches_the_page_unescaped():
    """Names are checked where they are made; a page trusts nobody all the same."""
    d = derive(Network.parse("2-2-1"))
    hostile = "<script>alert(1)</script>&\"'"
    e = d["s1"]
    changed = tuple(replace(e, because=hostile, cite=hostile) if x is e else x for x in d)
    text = replace(d, equations=changed).html()
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;") == 3  # the reason, its citation, the index


def test_pages_are_deterministic(order):
    a, b = (derive(Network.parse("2-3-2"), order).html() for _ in range(2))
    assert a == b


def test_without_the_package_one_sentence(monkeypatch, tmp_path):
    import fcsym.drawing.mathml as mathml

    d = derive(Network.parse("2-1"))
    monkeypatch.setattr(mathml, "find_spec", lambda _: None)
    with pytest.raises(MissingTool, match=r"pip install 'fcsym\[html\]'"):
        d.save(tmp_path / "x.html")
    assert not list(tmp_path.iterdir())
    assert set(d._repr_mimebundle_()) == {"text/latex", "text/plain"}


def test_a_comma_stays_with_its_formula():
    text = re.sub(r"<caption>.*?</caption>", "", PAPER.html())
    following = re.findall(r"</math>[,.;:)](.{7})", text)
    assert len(following) > 10
    assert set(following) == {"</span>"}


def test_notebooks_show_formulas():
    shown = derive(Network.parse("2-2-1"))._repr_mimebundle_()
    assert shown["text/html"].count("<math") == 22
    assert r"\begin{aligned}" in shown["text/latex"]


# ------------------------------------------------------------------------------------------- in a real browser

UNREAD = r"""[...document.querySelectorAll('math')].filter(m => {
    const shown = m.cloneNode(true); shown.querySelectorAll('mover > mo').forEach(hat => hat.remove());
    return /[&\\^]|\[\d/.test(shown.textContent) }).length"""
BOXES = """[...document.querySelectorAll('math')].filter(m => {
    const r = m.getBoundingClientRect(); return !(r.width > 1 && r.height > 1) }).length"""
OPEN = "document.querySelectorAll('details').forEach(d => { d.querySelector('summary').click() })"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SPILLED = """[...document.querySelectorAll('main *, header *, nav *')].filter(e => {
    if (e.closest('.scroll') && !e.matches('.scroll')) return false;
    return e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 }).length"""


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_it(browser, folder, name, width):
    path = folder / f"{name}.html"
    browser.open(path, width)
    assert browser.requests == [path.resolve().as_uri()]
    assert browser.messages == []
    steps = browser.value("document.querySelectorAll('article.step').length")
    document = PAGES[name][0]
    assert steps == len(document.invariants) + sum(map(len, document.lists))
    closed = browser.value("[...document.querySelectorAll('details .why')].filter(w => w.checkVisibility()).length")
    assert closed == 0
    browser.value(OPEN)
    shown = browser.value("[...document.querySelectorAll('details .why')].filter(w => w.checkVisibility()).length")
    assert shown == browser.value("document.querySelectorAll('details .why').length")
    assert shown == (0 if PAGES[name][1].get("detail") == "summary" else steps)
    assert browser.value("document.querySelectorAll('math').length") >= steps
    assert browser.value(BOXES) == 0
    assert browser.value(UNREAD) == 0
    assert browser.value(WIDER) <= 0
    assert browser.value(SPILLED) == 0
    assert browser.requests == [path.resolve().as_uri()]


def test_wide_formulas_scroll_in_their_own_box(browser, folder):
    browser.open(folder / "wide.html", 390)
    scrolling = "[...document.querySelectorAll('.scroll')].filter(b => b.scrollWidth > b.clientWidth).length"
    assert browser.value(scrolling) > 0
    assert browser.value("[...document.querySelectorAll('.scroll')].every(b => b.tabIndex === 0)")


def test_a_page_that_is_too_wide_or_empty_would_be_seen(browser, folder, tmp_path):
    """The same looks, at a page that asks for something, has an empty formula and does not fit."""
    broken = (folder / "2-2-1.html").read_text()
    broken = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", broken)
    unread = "".join(f'<math alttext="x"><mi>{text}</mi></math>' for text in ("&amp;", "[0.8ex]"))
    formulas = '<math alttext="x"></math>' + unread
    others = '<div style="width:50rem">x</div><img src="none.png">'
    broken = broken.replace("<main>", f"<main>{formulas}{others}", 1)
    (tmp_path / "broken.html").write_text(broken)
    browser.open(tmp_path / "broken.html", 390)
    assert len(browser.requests) == 2
    assert browser.value(BOXES) == 1
    assert browser.value(UNREAD) == 2
    assert browser.value(SPILLED) > 0 or browser.value(WIDER) > 0


def test_the_page_follows_the_wish_for_the_dark(browser, folder):
    colours = []
    for dark in (False, True):
        browser.open(folder / "2-2-1.html", 1200, dark=dark)
        colours.append(
            browser.value("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
        )
    brightness = [[sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in pair] for pair in colours]
    assert brightness[0][0] > 700 > 200 > brightness[0][1]
    assert brightness[1][0] < 200 < 600 < brightness[1][1]


def test_paper_shows_what_is_folded_on_the_screen(browser, folder):
    browser.open(folder / "2-2-1.html", 800)
    shown = "[...document.querySelectorAll('article .why')].every(w => w.checkVisibility())"
    assert browser.value(shown) is False
    browser.ask("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.value(shown) is True
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize(("width", "dark"), few([(1200, False), (390, True), (390, False), (1200, True)], 2))
def test_pictures_for_a_person_to_look_at(browser, folder, width, dark, tmp_path):
    """Written to the folder `screenshots` where FCSYM_SCREENSHOTS names one; here they must show something."""
    where = Path(os.environ.get("FCSYM_SCREENSHOTS", tmp_path))
    where.mkdir(exist_ok=True)
    browser.open(folder / "2-2-1.html", width, dark=dark)
    browser.value(OPEN)
    picture = browser.picture(where / f"2-2-1-{width}-{'dark' if dark else 'light'}.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000
