"""Pages of the smallest networks, read back: what each place of a page says is what the list of equations says.

Each takes a fraction of a second, so that a fault in any part of a page is seen by a test that is quick.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from html.parser import HTMLParser
from types import SimpleNamespace

import mpmath
import pytest

import fcsym
from fcsym import Network
from fcsym.errors import CompileError
from fcsym.language.equation import Cases, Rule, Verdict
from fcsym.language.expression import ZERO, Role, applied_in
from fcsym.networks.rules import RULES
from fcsym.render.appendix import closed_forms
from fcsym.render.content import content
from fcsym.render.flat_names import legend_of
from fcsym.render.formula import expression, width
from fcsym.render.parts import counted
from fcsym.render.pdf import compiled
from fcsym.render.terminal import joint
from fcsym.schemes.record import said_of_memory

VOID = frozenset({"meta", "br", "hr", "img", "mspace"})
mlp = Network.mlp
DOCUMENTS = {
    "no hidden layer": lambda: fcsym.derive(mlp([1, 1], bias=True)),
    "one unit": lambda: fcsym.derive(mlp([1, 1, 1]), "sequential"),
    "one unit, smooth": lambda: fcsym.derive(mlp([1, 1, 1], "softplus")),
    "backprop": lambda: fcsym.scheme(mlp([1, 1]), "backprop"),
    "states": lambda: fcsym.scheme(mlp([1, 1, 1]), "states"),
}


@dataclass
class Node:
    """An element of a page."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list[Node | str] = field(default_factory=list)

    def __getitem__(self, words):
        """Every element inside with a tag, or with a tag and a class: "p", "ul counts"."""
        tag, _, kind = words.partition(" ")
        found = []
        for part in self.parts:
            if isinstance(part, Node):
                own = part.attributes.get("class", "").split()
                found += [part] if part.tag == tag and set(kind.split()) <= set(own) else []
                found += part[words]
        return found

    @property
    def said(self):
        """Its text, with what is read out in the place of a formula."""
        if self.tag == "math":
            return self.attributes["alttext"]
        return "".join(part if isinstance(part, str) else part.said for part in self.parts)


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open = [Node("page")]
        self.feed(text)
        assert len(self.open) == 1

    def handle_starttag(self, tag, attrs):
        made = Node(tag, dict(attrs))
        self.open[-1].parts.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].parts.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].parts.append(data)


@cache
def read(name):
    """A document, and its page as elements."""
    document = DOCUMENTS[name]()
    return document, Reader(document.html()).open[0]


def words(text):
    return " ".join(str(text).split())


def derived(document):
    """Each equation by its number in the page, and the list that it is of."""
    start = 1 + len(document.invariants)
    every = [(d, equation) for d in document.lists for equation in d.equations]
    return dict(enumerate(every, start))


def numbered(node):
    """The articles inside, by their numbers."""
    return {int(one.attributes["id"].removeprefix("eq-")): one for one in node["article step"]}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_equation_is_read_out_with_its_verdict_its_reason_and_what_it_uses(name):
    document, page = read(name)
    articles, first = numbered(page), len(document.invariants)
    assert list(articles) == list(range(1, 1 + first + len(derived(document))))
    for number, (d, equation) in derived(document).items():
        article = articles[number]
        (head,), by_cases = article["div head"], isinstance(equation.rhs, Cases)
        wanted = f"{equation.lhs!r} by cases" if by_cases else str(equation)
        assert words(head["math"][0].said) == words(wanted)
        finding = next(f for f in d.proof.findings if (f.equation, f.case) == (equation.name, None))
        assert words(head["span mark"][0].said).endswith(" " + finding.verdict.value.lower())
        assert head["a"][0].said == f"({number})" and head["a"][0].attributes["href"] == f"#eq-{number}"
        (summary,) = article["summary"]
        assert summary.said.lower().startswith(equation.rule.value.lower())
        assert (equation.cite in summary.said) and (("paper" in summary.said) is bool(equation.cite))
        own = {e.name: n for n, (other, e) in derived(document).items() if other is d}
        used = [int(a.said.strip("()")) for one in article["ul uses"] for a in one["a"]]
        assert used == [own[other] for other in equation.uses]
        for place, other in zip(used, article["ul uses"][0]["li"] if used else [], strict=True):
            quoted = derived(document)[place][1]
            assert words(other["math"][0].said) in (words(quoted), f"{quoted.lhs!r} by cases")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_case_has_a_row(name):
    document, page = read(name)
    articles = numbered(page)
    for number, (d, equation) in derived(document).items():
        tables = articles[number]["table"]
        assert len(tables) == isinstance(equation.rhs, Cases)
        if not tables:
            continue
        assert tables[0]["caption"][0].said == f"{equation.lhs!r}, case by case"
        said = {f.case: f for f in d.proof.findings if f.equation == equation.name}
        remarks = any(f.note for case, f in said.items() if case is not None)
        assert len(tables[0]["thead"][0]["th"]) == 4 + remarks
        for row, branch in zip(tables[0]["tbody"][0]["tr"], equation.rhs, strict=True):
            cells = [cell for cell in row.parts if isinstance(cell, Node)]
            finding = said[branch.name]
            assert len(cells) == 4 + remarks
            if not set("^=") & set(branch.name):  # v^c and c != 0 are set as formulas
                assert cells[0].said.replace("→", "->") == branch.name
            assert words(cells[1].said) == ", ".join(map(str, branch.when))
            assert words(cells[2].said) == ("undefined" if branch.value is None else words(repr(branch.value)))
            assert cells[3].said.split()[-1] == finding.verdict.value.lower()
            assert (row.attributes.get("class") == "never") is not finding.possible
            assert bool(cells[4].said) is bool(finding.note) if remarks else not finding.note


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_contents_lead_to_what_they_say(name):
    """Every section is named once, with the numbers of the equations that stand in it."""
    _, page = read(name)
    sections = {s.attributes["aria-labelledby"]: s for s in page["section"]}
    entries, listed = page["nav"][0]["li"], []
    for entry in entries:
        (link,) = entry["a"]
        section = sections.pop(link.attributes["href"].removeprefix("#"))
        (heading,) = [h for level in "23456" for h in section[f"h{level}"] if h.attributes.get("id")][:1]
        assert heading.said == link.said
        numbers = list(numbered(section))
        ends = [f"({numbers[0]})", *([f"({numbers[-1]})"] if len(numbers) > 1 else [])] if numbers else []
        assert entry["span range"] == [] if not ends else entry["span range"][0].said == "–".join(ends)
        listed += [] if section["section"] else numbers
    assert not sections
    assert listed == list(numbered(page))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_stands_around_the_equations_is_theirs(name):
    """How many there are, the counts of verdicts, what each decider said, the numbers in the paper, the source."""
    document, page = read(name)
    every = [
        (f, number) for number, (d, e) in derived(document).items() for f in d.proof.findings if f.equation == e.name
    ]
    header, articles = page["header"][0], numbered(page)
    assert f"{len(derived(document))} equations," in header.said
    counts = Counter(f.verdict for f, _ in every)
    shown = [words(one.said) for one in page["ul counts"][0]["li"]]
    assert [int(one.split()[1]) for one in shown] == [counts[v] for v in Verdict if counts[v]]
    assert all(
        one.split()[2].startswith(v.value.lower()) for one, v in zip(shown, filter(counts.get, Verdict), strict=True)
    )
    decided = [
        (f, n) for f, n in every
        if f.verdict is not Verdict.DEFINITION and (f.index or f.expanded or f.case is None)
    ]  # fmt: skip
    tables = [s["tbody"][0]["tr"] for s in page["section"] if s.attributes["aria-labelledby"] == "verdicts"]
    rows = tables[0] if decided else []
    assert bool(tables) is bool(decided)
    for row, (finding, number) in zip(rows, sorted(decided, key=lambda one: rows_of(document, one)), strict=True):
        cells = [cell for cell in row.parts if isinstance(cell, Node)]
        assert cells[0].said.startswith(f"({number})") and (cells[0].said == f"({number})") is (finding.case is None)
        assert cells[1].said == (finding.index or "–")
        assert cells[2].said == ("by z3" if finding.expanded == "z3" else finding.expanded or "–")
        assert cells[3].said.split()[-1] == finding.verdict.value.lower()
    cited = {}
    for number, equation in enumerate((*document.invariants, *(e for _, e in derived(document).values())), 1):
        if equation.cite:
            cited.setdefault(equation.cite, []).append(f"({number})")
    found = [s["tbody"][0]["tr"] for s in page["section"] if s.attributes["aria-labelledby"] == "paper"]
    assert {row["th"][0].said: row["td"][0].said.split(", ") for rows in found for row in rows} == cited
    assert bool(found) is bool(cited)
    assert page["pre"][0].said == document.kernel_source()
    assert all(one["details"] for number, one in articles.items() if number in derived(document))


def rows_of(document, one):
    """Where a finding stands: in the order in which the proof has them."""
    finding, number = one
    d = derived(document)[number][0]
    return [other is d for other in document.lists].index(True), d.proof.findings.index(finding)


STEPS = {
    "active → active": {"x": [2], "target": [1], "eta": "1/2", "W1": [[3]], "W2": [[-1]]},
    "active → dead": {"x": [2], "target": [0], "eta": "1/4", "W1": [["1/2"]], "W2": [[3]]},
}


@pytest.mark.parametrize("case", STEPS)
def test_closed_forms_have_the_numbers_of_a_step(case):
    """Those of every case, and the one that holds; they are read as Python reads them."""
    document, page = read("one unit")
    given, numbers = STEPS[case], document.with_values(STEPS[case]).numbers.text
    x, target, eta, (((w1,),), ((w2,),)) = (
        Fraction(given["x"][0]), given["target"][0], Fraction(given["eta"]), (given["W1"], given["W2"])
    )  # fmt: skip
    known = {"x_1": x, "y_g": target, "eta": eta, "W1_1_1": Fraction(w1), "W2_1_1": Fraction(w2), "g_1": 1}
    known["v_1"] = known["W1_1_1"] * x
    (section,) = [s for s in page["section"] if s.attributes["aria-labelledby"] == "closed-forms"]
    found = []
    for form in section["div step"]:
        about, _, number = form["p"][0].said.partition("from (")
        equation = derived(document)[int(number.partition(")")[0])][1]
        name, _, right = form["math"][-1].said.partition(" = ")
        found.append((name, about.strip(" ,")))
        if not about or found[-1][1] == case:
            value = eval(right, {"__builtins__": {}}, known)
            assert float(value) == pytest.approx(float(numbers[equation.name, (0, 0)]), rel=1e-5), name
    assert found == [
        ("W2_1_1_new", ""), ("W1_1_1_new", ""), *((f"{p}_1_1", name) for p in ("p", "P") for name in STEPS)
    ]  # fmt: skip


def test_a_scheme_says_what_it_carries():
    document, page = read("states")
    (section,) = [s for s in page["section"] if s.attributes["aria-labelledby"] == "the-state"]
    sizes = document.lists[0].network.sizes
    rows = section["tbody"][0]["tr"]
    for row, (array, _, more) in zip(rows, document.carried, strict=True):
        assert row["th"][0].said == array.name
        assert row["td"][0].said == (" × ".join(str(sizes[axis]) for axis in array.axes) or "1")
        links = [int(a.said.strip("()")) for a in row["a"]]
        assert links == ([] if more is None else [1 + document.invariants.index(more)])
    assert [words(a["math"][0].said) for a in numbered(section).values()] == [
        words(f"{e.lhs!r} by cases" if isinstance(e.rhs, Cases) else e) for e in document.invariants
    ]
    assert all(not article["span mark"] or article["table"] for article in numbered(section).values())


def test_a_summary_has_neither_reasons_nor_an_end():
    document, _ = read("one unit")
    page = Reader(document.html(detail="summary")).open[0]
    assert len(numbered(page)) == len(document.equations)
    assert not page["details"] and not page["pre"] and not page["figure"]
    assert not [s for s in page["section"] if s.attributes["aria-labelledby"] in ("verdicts", "paper", "closed-forms")]


def test_a_part_has_the_numbers_of_the_whole():
    document, _ = read("one unit")
    page = Reader(document.html(only="p")).open[0]
    needed, waiting = set(), ["p"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += document.by_name[name].uses
    assert list(numbered(page)) == [n for n, e in enumerate(document.equations, 1) if e.name in needed]
    assert not page["pre"] and "equations that lead to it" in page["header"][0].said


@pytest.mark.parametrize("name", DOCUMENTS)
def test_pictures_of_cases_are_on_the_whole_page_alone(name):
    """As many as the derivation has, and none on a part or a summary."""
    document, page = read(name)

    def drawn(node):
        """All but the network itself."""
        return [one for one in node["figure"] if one.attributes.get("aria-label") != "network"]

    assert len(drawn(page)) == len(document.case_maps()) >= (name == "one unit")
    *_, last = (e.name for d in document.lists for e in d.equations)
    for part in ({"only": last}, {"detail": "summary"}):
        assert not drawn(Reader(document.html(**part)).open[0])


@pytest.mark.parametrize("phi", ["relu", "identity"])
def test_every_case_that_occurs_has_a_closed_form(phi, order):
    """But for values that are 0, and for those that do not exist."""
    d = fcsym.derive(mlp([1, 1, 1], phi), order)
    _, found = closed_forms(d, {e.name: n for n, e in enumerate(d.equations)}, None)
    never = {(f.equation, f.case) for f in d.proof.findings if not f.possible}
    wanted = {
        (e.name, b.name)
        for e in d.equations
        if isinstance(e.rhs, Cases) and e.rule in (Rule.CHOICE, Rule.INTEGRAL)
        for b in e.rhs
        if b.value not in (None, ZERO) and (e.name, b.name) not in never
    }
    assert {(d.equations[form.number].name, form.case) for form in found if form.case} == wanted
    assert wanted


@pytest.mark.parametrize("verdict", Verdict)
def test_verdicts_are_counted_in_words(verdict):
    """One of a kind is no plural, and only what is a noun has one."""
    for count in (0, 1, 2, 21):
        number, word = counted(verdict, count).split(maxsplit=1)
        assert int(number) == count
        assert word.removesuffix("s") == verdict.value.lower().removesuffix("s")
        assert (word == verdict.value.lower() + "s") is (verdict is Verdict.DEFINITION and count != 1)


def test_names_of_one_s_own_are_told_where_there_are_some():
    plain = mlp([1, 1, 1])
    assert legend_of(plain) == () == content(fcsym.derive(plain), "indexed", "full", None).legend
    network = replace(plain, names=("A", "B"))
    said = legend_of(network)
    assert [part.partition(" = ")[0] for is_math, part in said if is_math] == ["A", "B"]
    assert said[0][1].endswith(": ") and said[-1][1] == "."


LOG = r"printf 'This is TeX\n! Undefined control sequence.\nl.3' > derivation.log"
ENGINES = {
    "nothing is said": ("exit 1", "no PDF (it left no message)"),
    "a log is left": (f"{LOG}; exit 1", "no PDF (Undefined control sequence.)"),
    "no document": ("exit 0", "no PDF (it left no message)"),
}


@pytest.mark.parametrize("name", ENGINES)
def test_what_an_engine_says_is_told(name, tmp_path, monkeypatch):
    """One that stands in the place of LaTeX, and fails; and one that does not."""
    program = tmp_path / "pdflatex"
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    program.write_text("#!/bin/sh\n" + ENGINES[name][0] + "\n")
    program.chmod(0o700)
    with pytest.raises(CompileError, match=re.escape(ENGINES[name][1])):
        compiled("text")
    program.write_text("#!/bin/sh\ncp derivation.tex derivation.pdf\n")
    assert compiled("text") == b"text"


FUNCTIONS = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda s: 1 / (1 + mpmath.exp(-s)),
    "softplus": lambda s: mpmath.log(1 + mpmath.exp(s)),
    "silu": lambda s: s / (1 + mpmath.exp(-s)),
    "gelu": lambda s: s * mpmath.erfc(-s / mpmath.sqrt(2)) / 2,
}


TABLE = {word: getattr(mpmath, word) for word in ("exp", "log", "erf", "sqrt", "pi")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_smooth_functions_are_told_with_every_derivative_that_is_applied(name):
    """What stands there, read as Python, is what the function is and what its derivatives are."""
    d = fcsym.gradient(mlp([1, 1, 1], name), "dE/dW1", "W1")
    (function,) = content(d, "indexed", "full", None).functions
    lines = dict(line.split(" = ") for line in function.text.split(", "))
    applied = {node.derivative for e in d.equations for side in e.expressions for node in applied_in(side)}
    assert applied == {0, 1, 2}
    assert lines.keys() - {"v"} == {f"{name}{chr(39) * order}(s)" for order in applied}
    assert len(function.latex) == len(lines)
    for at in (-1.5, 0.25, 2.0):
        s = mpmath.mpf(at)
        known = {"s": s, "v": FUNCTIONS[name](s), **TABLE}
        for order in applied:
            found = eval(lines[f"{name}{chr(39) * order}(s)"], {"__builtins__": {}}, known)
            assert float(found) == pytest.approx(float(mpmath.diff(FUNCTIONS[name], s, order)), rel=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_carries_is_told_by_what_it_is(name):
    """Averages of gradients, of their squares, and what is left of the start: by the equation of a step."""
    d = fcsym.derive(mlp([1, 1], bias=True), rule=name)
    for array in d.network.memory:
        made, said = d[array.primed.name], said_of_memory(array)
        gradients = [a for a in made.operands if a.role in (Role.GRADIENT, Role.ADJOINT)]
        assert ("running average" in said) is bool(gradients) and ("number of steps" in said) is not gradients
        assert all(f"gradients of `{a.name.removeprefix('dE_d')}`" in said for a in gradients)
        assert ("squares" in said) is ("**2" in str(made.rhs))


def test_numbers_stand_below_their_equations():
    """Name = formula = the numbers put in = value, each with the case that holds."""
    document, _ = read("one unit")
    page = Reader(document.with_values(STEPS["active → dead"]).html(detail="summary")).open[0]
    for number, article in numbered(page).items():
        equation = document.equations[number - 1]
        (chain,) = [words(box.said) for box in article["div formula"]][1:]
        chain, _, holds = chain.partition(" as ")
        name, *_, put_in, value = chain.split(" = ")
        assert name.partition("[")[0] == equation.array.name
        if "relu" not in put_in and "[" not in put_in:  # a name alone is its number at once
            assert eval(put_in, {"__builtins__": {}}) == pytest.approx(float(value), rel=1e-5), chain
        assert bool(holds) is bool(article["p small"]) is isinstance(equation.rhs, Cases)
        if holds:
            assert holds.endswith("(active -> dead)")
            assert article["p small"][0].said == f"active → dead, as {holds.partition(' (')[0]}"


@pytest.mark.parametrize(
    "network, setting",
    [
        (mlp([2, 2, 2], "leaky_relu", bias=True), {}),
        (mlp([2, 2, 2, 1], "tanh"), {"order": "sequential", "rule": "adam", "batch": "mean"}),
        (Network([fcsym.Conv1d(1, 1, 2), "relu", fcsym.Flatten(), fcsym.Linear(2, 1)], input=(1, 3)), {}),
    ],
    ids=str,
)
def test_a_formula_is_about_as_wide_as_its_letters(network, setting):
    """By this width lines are broken: one for each letter that is printed, more around signs, less where it is low."""
    for equation in fcsym.derive(network, **setting).equations:
        table = equation.rhs if isinstance(equation.rhs, Cases) else ()
        for node in (equation.lhs, *(b.value for b in table), *([] if table else [equation.rhs])):
            if node is not None:
                plain = re.sub(r"\\(left|right|frac|mathrm|operatorname|[,;])(?![a-z])", "", expression(node))
                letters = len(re.sub(r"[\s{}^_]", "", re.sub(r"\\[a-zA-Z]+", "m", plain)))
                assert 0.25 * letters < width(node) < 2 * letters, plain


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_summary_of_a_paper_counts_every_equation_once(name):
    document = DOCUMENTS[name]()
    said = re.search(r"(\d+) equations\. Verdicts", document.latex())
    assert said is not None and int(said[1]) == sum(len(one.equations) for one in document.lists)


@pytest.mark.parametrize("inputs", [1, 2])
def test_a_table_of_patterns_says_whether_it_is_about_one_input(inputs):
    found = SimpleNamespace(
        network=mlp([1, 1, 1]), order="sequential", inputs=inputs, unknown=(), reachable={}, impossible=(), groups={}
    )
    assert ("one input:" in joint(found).title) is (inputs == 1)
    assert ("does not see" in joint(found).title) is (inputs > 1)


@pytest.mark.parametrize("digits, said", [(1, "1 significant digit."), (2, "2 significant digits.")])
def test_it_is_said_how_many_digits_are_shown(digits, said):
    document, _ = read("one unit")
    page = document.with_values(STEPS["active → dead"], digits=digits).html(detail="summary")
    assert f"shown to {said}" in Reader(page).open[0].said
