"""Parts of pages by themselves: names, elements, what is quoted, and where something is left out."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import pytest
import sympy

import fcsym
from fcsym.errors import ArgumentError, CompileError, SizeError
from fcsym.language.activation import activation
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import Apply, Array, Axis, Extreme, Index, Number, Ref, Written, add, mul, power
from fcsym.language.findings import Finding, Verdict
from fcsym.render import appendix, flat_names, html, latex
from fcsym.render import content as content_module
from fcsym.render.appendix import _from_sympy, _is_negative, _scalar_names, closed_forms
from fcsym.render.content import _is_decided, _rows, content
from fcsym.render.flat import _element
from fcsym.render.flat_names import flat_name, letters
from fcsym.render.formula import equation, expression, width
from fcsym.render.html import _quoted
from fcsym.render.latex import _height, _is_table
from fcsym.render.pdf import compiled
from fcsym.render.save import writable
from fcsym.render.sections import sections_of
from fcsym.render.worked import _digits
from fcsym.schemes import SCHEMES

ONE = fcsym.Network.mlp([1, 1, 1])
X, Y = sympy.symbols("x y", real=True)
NAMES = {name: Written(name, 1.0, name) for name in "xy"}


def test_a_sum_of_a_closed_form_begins_with_what_is_not_negative():
    x, y = NAMES.values()
    for value, written in (
        (Y - X, add(y, mul(-1, x))),
        (X - Y, add(x, mul(-1, y))),
        (2 * Y - 3 * X, add(mul(2, y), mul(-3, x))),
        (Y - 2, add(y, -2)),
        (3 * X**2 * Y, mul(3, power(x, 2), y)),
        (2 * Y * X, mul(2, x, y)),
        (Y / 2, mul(Fraction(1, 2), y)),
        (Y / 2 - X, add(mul(Fraction(1, 2), y), mul(-1, x))),
        (X / 2 - Y, add(mul(Fraction(1, 2), x), mul(-1, y))),
    ):
        assert _from_sympy(value, NAMES) == written, value
    turned = {name: NAMES[name] for name in "yx"}
    assert _from_sympy(2 * X * Y, turned) == mul(2, y, x) and _from_sympy(2 * X * Y, NAMES) == mul(2, x, y)
    signs = ((mul(-1, x), True), (mul(2, x), False), (mul(-2, x, y), True), (x, False), (Number(Fraction(-1, 2)), True))
    assert all(_is_negative(node) is negative for node, negative in signs)


def test_of_one_quantity_that_is_wanted_the_closed_form_is_shown_and_of_no_other():
    d = fcsym.derive(ONE)
    numbers = {e.name: n for n, e in enumerate(d.equations, 1)}
    for wanted in ("s1_new", "y"):
        _, forms = closed_forms(d, numbers, wanted)
        assert {form.number for form in forms} == {numbers[wanted]}


def test_what_has_more_than_two_axes_has_no_closed_form():
    page = content(fcsym.gradient(fcsym.Network.mlp([1, 1]), "y", "W1"), only="dy_dW1")
    assert [len(step.equation.array.axes) for step in page.steps][-1] == 3 and page.closed == page.kept == ()


def test_every_element_of_every_array_has_a_name():
    """Also where an array is over all axes that there are."""
    d = fcsym.derive(fcsym.Network.mlp([2, 3]))
    names = _scalar_names(d)
    assert len([name for name in names if re.fullmatch(r"(w|W1)_\d(_\d)?", name)]) == 6
    assert all(name in names for name in ("x_1", "x_2", "eta"))


def test_the_largest_of_one_element_is_that_element():
    k = Index(Axis("K"), "k")
    x = Array("x", None, (k.axis,))

    def name(array, position):
        return Written(f"x_{{{position[0] + 1}}}", 2.0, f"x{position[0] + 1}")

    for kind in ("max", "min"):
        node = Extreme(kind, (k,), Ref(x, (k,)))
        assert _element(node, {}, {k.axis: 1}, name) == name(x, (0,))
        several = _element(node, {}, {k.axis: 3}, name)
        assert repr(several) == f"{kind}(x1, x2, x3)"
        assert several.latex == rf"\{kind}\left(x_{{1}}, x_{{2}}, x_{{3}}\right)"
        assert width(several) == 3 + 3 * (2.0 + 1)  # the word, and a comma or bracket for each


@pytest.mark.parametrize(
    ("latex", "wide"),
    [("w_{5}", 1.9), (r"\delta_{5}", 1.9), (r"\eta", 1.2), (r"\mathrm{d}v_{12}", 3.4), (r"\tfrac{1}{2}", 2.0)],
)
def test_a_name_is_about_as_wide_as_its_letters(latex, wide):
    assert letters(latex) == pytest.approx(wide)
    assert letters(r"\mathrm{gate}_{1}") > letters(r"\gamma_{1}") + 2


def test_what_says_a_quantity_again_stands_with_what_comes_before_it():
    """An identity has no chapter of its own, and neither has a parameter that is restored."""
    for d in (fcsym.derive(ONE), *fcsym.scheme(ONE, "states").parts):
        chapters = list(sections_of(d))
        assert sorted(e.name for _, part in chapters for e in part) == sorted(e.name for e in d.equations)
        for title, part in chapters:
            told = [e for e in part if e.rule is Rule.IDENTITY]
            assert title != Rule.IDENTITY.value.capitalize() and (len(part) > len(told) or not told)


def test_a_long_table_is_quoted_by_its_left_side():
    left = Written("p", 1.0, "p")
    row = Branch("a", (Condition(NAMES["x"], ">"),), Number(Fraction(1)))
    few, many = (Cases((row,) * count) for count in (2, 40))
    for table in (few, many):
        written = Equation(left, table, Rule.CASES, "")
        said = _quoted(SimpleNamespace(rows=(table.branches,), written=(written,)))
        assert ("by cases" in said) is (table is many)
        assert (re.search('alttext="([^"]*)"', said)[1] == "p by cases") is (table is many)


def test_a_display_is_higher_with_more_lines_and_more_fractions():
    assert _height("a") == 0 and _height(r"a \\ b \\ c") == 2
    assert _height(r"\frac{a}{b}") > _height("a") and _height(r"a \\ \frac{a}{b}") > _height(r"a \\ b")


def test_a_fragment_is_a_latex_file(tmp_path):
    for name in ("a.tex", "a.html", "a.pdf", "a.txt"):
        if name == "a.tex":
            assert writable(tmp_path / name, fragment=True) == tmp_path / name
        else:
            with pytest.raises(ArgumentError, match=r"no LaTeX file.*\.tex"):
                writable(tmp_path / name, fragment=True)
    assert writable(tmp_path / "a.html") == tmp_path / "a.html"


def test_code_stands_in_a_whole_document_alone():
    states = fcsym.scheme(ONE, "states")
    assert content(states).source and not content(states, detail="summary").source
    assert not content(states, only="step").source


def test_a_row_that_nothing_was_found_about_is_undecided_and_possible():
    rows = Cases((Branch("a -> b", (Condition(NAMES["x"], ">"),), Number(Fraction(1)), note="why"),))
    (row,) = _rows("p", Equation(NAMES["y"], rows, Rule.CASES, ""), {})
    assert row.verdict is Verdict.UNDECIDED and row.possible is True


def test_what_had_to_be_decided_is_listed():
    """A definition has not; of a case, only what was looked at."""
    for verdict, case, index, expanded, listed in (
        (Verdict.PROVED, None, "", "", True),
        (Verdict.PROVED, "a -> b", "", "", False),
        (Verdict.PROVED, "a -> b", "yes", "", True),
        (Verdict.PROVED, "a -> b", "", "yes", True),
        (Verdict.DEFINITION, None, "yes", "", False),
    ):
        assert _is_decided(Finding("p", case, verdict, index, expanded)) is listed


def test_numbers_of_the_paper_lead_to_the_equations_that_have_them():
    page = content(fcsym.derive(ONE))
    cited = {step.number: step.equation.cite for step in page.steps if step.equation.cite}
    assert cited and {n: cite for cite, places in page.citations.items() for n in places} == cited


def test_a_scheme_has_its_summary_and_titles_in_front_and_a_derivation_has_none():
    states, alone = fcsym.scheme(ONE, "states"), fcsym.derive(ONE)
    assert content(states).about[0] == states.summary and content(alone).about == ()
    assert [chapter.title for chapter in content(states).chapters] == [d.function for d in states.lists if d.equations]
    assert [chapter.title for chapter in content(alone).chapters] == [""]


def test_what_is_assumed_for_one_symbol_is_said_where_it_is_shown():
    d = fcsym.derive(ONE)
    (special,) = (sentence for sentence in d.assumptions if sentence.startswith("For `P` only"))
    for only, said in ((None, True), ("P", True), ("s1", False)):
        assumed = content(d, only=only).assumptions
        assert (special in assumed) is said and set(d.assumptions) - {special} <= set(assumed)


def test_a_function_of_several_pieces_or_of_none_is_a_table():
    s, half = NAMES["x"], fcsym.piecewise_linear("half", [fcsym.Piece(None, Fraction(1, 2))])
    for node, table in (
        (Apply(half, s), False),
        (Apply(activation("relu"), s), True),
        (Apply(activation("tanh"), s), True),
        (s, False),
    ):
        item = Equation(NAMES["y"], node, Rule.DEFINITION, "")
        assert _is_table(item) is table
        assert (r"\begin{cases}" in equation(item)) is (isinstance(node, Apply) and len(node.activation.pieces) > 1)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_function_that_computes_nothing_is_named_where_it_is_shown(name):
    """With all others, or by itself; it has no chapter."""
    scheme = fcsym.scheme(ONE, name)
    idle = {d.function for d in scheme.lists if not d.equations}
    for only in (None, *(d.function for d in scheme.lists)):
        page = content(scheme, only=only)
        said = {s.split()[6].rstrip(":") for s in page.about if s.startswith("There is nothing to compute in ")}
        assert said == {f for f in idle if only in (None, f)}
        assert not said & {chapter.title for chapter in page.chapters}


def test_a_name_that_nothing_has_is_refused_as_by_the_list_or_by_the_scheme():
    d, states = fcsym.derive(ONE), fcsym.scheme(ONE, "states")
    with pytest.raises(ArgumentError) as by_list:
        d.resolve("nonsense")
    with pytest.raises(ArgumentError, match=re.escape(str(by_list.value))):
        content(d, only="nonsense")
    with pytest.raises(ArgumentError, match="no function and no quantity 'nonsense': choose one of init, step"):
        content(states, only="nonsense")


@pytest.mark.parametrize("made", [lambda: fcsym.derive(ONE), lambda: fcsym.scheme(ONE, "states")])
def test_a_fragment_counts_its_equations_and_names_what_they_belong_to(made):
    """In HTML with numbers, in LaTeX without; what has no equations has no name there."""
    document = made()
    every = [*document.invariants, *(e for d in document.lists for e in d.equations)]
    page, paper = html.fragment(document), latex.fragment(document)
    assert re.findall(r"<td>\((\d+)\)</td>", page) == [str(n) for n in range(1, len(every) + 1)]
    functions = [d.function for d in document.lists if d is not document and d.equations]
    assert re.findall(r"textbf\{(\w*)\}", paper) == functions
    assert (
        re.findall(r'scope="rowgroup">([^<]*)<', page)
        == ["What the state stands for"] * bool(document.invariants) + functions
    )
    assert paper.count("& ") >= len(every) and all(equation(e) in paper for e in every)


def test_titles_of_functions_stand_above_those_of_sections():
    """One level lower than in a list by itself, and each equation one lower than its section."""
    for document, level in ((fcsym.derive(ONE), 2), (fcsym.scheme(ONE, "states"), 3)):
        page = html.document(document)
        for chapter in content(document).chapters:
            for section in chapter.sections:
                assert re.search(rf'<h{level} id="[a-z-]*">{section.title}</h{level}>', page)
                for step in section.steps:
                    assert f'<h{level + 1} class="number"><a href="#eq-{step.number}">' in page


def test_the_title_of_a_pdf_is_plain():
    text = "fcsym_2-2.1, (x) \\ {é} 字 % 1"
    assert latex._plain(text) == re.sub(r"[^A-Za-z0-9 ,._-]", "", text)


@pytest.mark.parametrize("lines", [1, 2, 7, 8, 11, 21, 22, 23, 30])
def test_a_display_has_as_much_as_fits_on_a_page(lines):
    """Each part so many lines high: no fewer than fit, and where one alone does not, it stands alone."""
    parts = list(range(9))
    shown = list(latex._fitting(parts, lambda own: Display(own, lines)))
    assert [n for own in shown for n in own.parts] == parts
    fit = max(1, latex._PAGE // lines)
    assert [len(own.parts) for own in shown] == [min(fit, 9 - n) for n in range(0, 9, fit)]


class Display(str):
    """So many lines."""

    def __new__(cls, parts, lines):
        made = super().__new__(cls, r"\\" * (lines * len(parts)))
        made.parts = list(parts)
        return made


def test_a_derivative_as_a_name_stands_in_brackets_under_a_power():
    d = fcsym.derive(ONE)
    name = flat_name(d)
    every = [name(e.array, (0,) * len(e.array.axes)) for e in d.equations if e.defines]
    fractions = [own for own in every if own.latex.startswith(r"\tfrac")]
    assert fractions and len(fractions) < len(every)
    for own in every:
        assert (r"\left(" in expression(power(own, 2))) is (own in fractions)


@pytest.mark.parametrize("made", [lambda: fcsym.derive(ONE), lambda: fcsym.scheme(ONE, "states")])
def test_a_part_says_of_what_it_is_a_part(made):
    document = made()
    whole = "scheme" if document.invariants else "derivation"
    (said,) = [s for s in content(document, only="s1").about if s.startswith("Shown are")]
    assert said.endswith(f"in the whole {whole}.") and said.startswith("Shown are s1 and the equations")
    assert not any(s.startswith("Shown are") for s in content(document).about)
    for only in ("s1", *(d.function for d in document.lists if d is not document)):
        page = content(document, only=only)
        assert page.state == page.invariants == ()
        assert all(step.number > len(document.invariants) for step in page.steps)
    assert len(content(document).state) == len(document.carried)


def test_numbers_of_a_scheme_are_told_to_be_of_the_state_after_the_step():
    values = {"x": [2], "target": [1], "eta": "1/2", "W1": [[3]], "W2": [[-1]]}
    for document, told in ((fcsym.derive(ONE), False), (fcsym.scheme(ONE, "backprop"), True)):
        about = content(document.with_values(values)).about
        assert any("stand the numbers of one step" in sentence for sentence in about)
        assert any("for the state after it" in sentence for sentence in about) is told


def test_functions_are_told_where_they_are_applied():
    """A part that applies none says none."""
    d = fcsym.derive(fcsym.Network.mlp([1, 1, 1], "tanh"))
    for only, told in ((None, True), ("v1", True), ("s1", False), ("y", True)):
        assert bool(content(d, only=only).functions) is told


@pytest.mark.parametrize("most", range(1, 7))
def test_networks_are_small_up_to_a_number_of_weights(most, monkeypatch):
    """Half as many for closed forms. This one has two."""
    d = fcsym.derive(ONE)
    for module in (appendix, content_module, flat_names):
        monkeypatch.setattr(module, "MAX_FLAT", most)
    page = content(d)
    assert page.small is (most >= 2) and bool(page.closed) is bool(page.kept) is (most // 2 >= 2)
    if most >= 2:
        flat_names.refuse_many(d)
    else:
        with pytest.raises(SizeError, match=f"at most {most} weights, and .* has 2:"):
            flat_names.refuse_many(d)
    named = replace(ONE, names=("A", "B"))
    said = "".join(part for _, part in flat_names.legend_of(named))
    assert said.count(" = ") == min(most, 2) and said.endswith(", and so on in row order.") is (most < 2)


def test_flat_names_are_for_arrays_over_the_layers():
    for network, own in ((ONE, True), (fcsym.Network.mlp([1, 1]), True), (fcsym.Network.mlp([2, 1]), True)):
        assert flat_names.own_axes(fcsym.derive(network)) is own
    network = fcsym.Network([fcsym.Conv1d(1, 1, 2), fcsym.Flatten(), fcsym.Linear(2, 1)], input=(1, 3))
    d = fcsym.derive(network)
    inner = {axis for e in d.equations for array in e.operands for axis in array.axes} - set(network.sizes)
    assert flat_names.own_axes(d) is not bool(inner)


def test_what_there_is_one_of_per_weight_carries_its_number():
    for d in (fcsym.derive(ONE), fcsym.derive(fcsym.Network.mlp([2, 3, 1])), fcsym.derive(fcsym.Network.mlp([1, 1]))):
        matrices = {w.axes for w in d.network.parameters if len(w.axes) > 1}
        per_weight = {e.name for e in d.equations if e.defines and e.array.layer is None and e.array.axes in matrices}
        assert set(re.findall("`(\\w+)`", flat_names.remark_on_names(d))) == per_weight
        assert ("weight's number" in flat_names.remark_on_names(d)) is bool(per_weight)


def test_an_element_has_the_number_of_the_step():
    """Written out in the names of documents; None where no closed form is short enough."""
    d = fcsym.derive(fcsym.Network.mlp([2, 1, 2]), "sequential")
    numbers = {"x": [2, 3], "target": [1, -1], "eta": "1/8", "W1": [[1, "-1/2"]], "W2": [[4], [-2]]}
    done = d.with_values(numbers).numbers
    known = {"x_1": 2, "x_2": 3, "y_g_1": 1, "y_g_2": -1, "eta": 0.125, "v_1": 0.5, "g_1": 1}
    known |= {"W1_1_1": 1, "W1_1_2": -0.5, "W2_1_1": 4, "W2_2_1": -2}
    for name, place, position, written in (
        ("W1_new", (2,), (0, 1), "W1_1_2_new"), ("W1_new", (1,), (0, 0), "W1_1_1_new"), ("s1", (1,), (0,), "s_1"),
        ("W2_new", (1, 2), (1, 0), "W2_2_1_new"), ("E", (1,), (), "E"), ("p", (1,), (0, 0), "p_1_1"),
        ("delta1", (1,), (0,), "delta_1"), ("p", (1, 2), (1, 0), "p_2_1"),
    ):  # fmt: skip
        for keep in ((), ("v1",), ("v1", "g1")):
            case = done.holds[name, position] if name == "p" else None
            shown = appendix.element(d, name, *place, case=case, keep=keep)
            value = eval(str(shown.rhs), {"__builtins__": {}}, known)
            assert value == pytest.approx(float(done.text[name, position]), rel=1e-5), (name, keep)
            assert (shown.rule, shown.because) == (d.by_name[name].rule, d.by_name[name].because)
            assert repr(shown.lhs) == written
    assert appendix.element(d, "r", 1) is None


@pytest.mark.parametrize("phi", ["relu", "tanh"])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_sections_are_runs_of_a_list(phi, order):
    """A definition stands with what it is made for, which comes next; the first ones are the network."""
    for d in (
        fcsym.derive(ONE if phi == "relu" else fcsym.Network.mlp([1, 1, 1], phi), order),
        *fcsym.scheme(fcsym.Network.mlp([1, 1, 1], phi), "compensation", order=order).lists,
        *fcsym.scheme(fcsym.Network.mlp([1, 1, 1], phi), "basis", order=order).lists,
        fcsym.derive(fcsym.Network.mlp([1, 1], bias=True), order),
    ):
        chapters = list(sections_of(d))
        assert [e for _, part in chapters for e in part] == list(d.equations)
        assert all(part for _, part in chapters)
        assert all(one[0] != other[0] for one, other in pairwise(chapters))
        defining = (Rule.DEFINITION, Rule.SPLIT)
        for title, part in chapters[:-1]:
            assert title == "The network" or part[-1].rule not in defining
        if d.equations[0].rule in defining:
            assert chapters[0][0] == "The network"
        if chapters[0][0] == "The network" and len(chapters) > 1:
            assert chapters[1][1][0].rule not in defining
        for title, part in chapters:  # a parameter that is restored is none of the state
            for e in part:
                if e.rule is Rule.STATE and e.defines:
                    assert (title == "State") is (e.array not in d.network.parameters), (title, e.name)
        told = {e.rule: title for title, part in chapters for e in part if e.rule in (Rule.INCREMENT, Rule.UPDATE)}
        assert told.items() <= {Rule.INCREMENT: "Front contribution", Rule.UPDATE: "Backpropagation"}.items()


def test_invariants_are_said_to_hold_where_all_that_makes_them_is_proved():
    without, proved = fcsym.scheme(ONE, "backprop"), fcsym.scheme(ONE, "states")
    assert content(without).induction == "" and content(proved).induction.startswith("They hold when training starts")
    open_ = SimpleNamespace(invariants=proved.invariants, lists=[SimpleNamespace(proof=SimpleNamespace(holds=False))])
    assert content_module._induction(open_).startswith("They are not proved")


LATEX = {"relu": lambda: fcsym.derive(ONE), "states": lambda: fcsym.scheme(ONE, "states")}


@pytest.mark.parametrize("name", LATEX)
def test_a_paper_says_of_every_equation_what_its_page_says(name):
    """Its number, its rule, what it uses, its verdict and what was found; a row for each case, with a remark if any."""
    document = LATEX[name]()
    text, page = latex.document(document), content(document)
    parts = re.split(r"\\target\{(\d+)\}", text.partition(r"\section{Verdicts}")[0])
    found = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    assert list(found) == [step.number for step in (*page.invariants, *page.steps)]
    for step in page.steps:
        own = found[step.number]
        assert f"\\tag{{{step.number}}}" in own
        reason = re.search(r"\\reason\{(.*)\}\n", own)[1]
        assert (
            reason.startswith(rf"\emph{{{step.equation.rule.value.capitalize()}")
            or step.equation.rule.value[0].isupper()
        )
        assert ("Uses" in reason) is bool(step.uses) and ("Paper:" in reason) is bool(step.equation.cite)
        assert [int(n) for n in re.findall(r"\\eqn\{(\d+)\}", reason.partition("Uses ")[2])] == list(step.uses)
        assert rf"\verdict{{{step.verdict.value.lower()}}}." in reason
        after = reason.partition(rf"\verdict{{{step.verdict.value.lower()}}}.")[2]
        assert bool(after) is bool(step.note and not step.has_cases)
        assert own.count(r"\begin{tabular}") == step.has_cases
        if step.has_cases:
            (rows,) = step.rows
            body = own.partition(r"\hline")[2]
            remarks = any(row.note for row in rows)
            lines = re.findall(r".*\\tabularnewline", body)
            assert len(lines) == len(rows) and {line.count(r"\raggedright") for line in lines} == {2 + remarks}
            assert (r"\emph{remark}" in own) is remarks
            for row, line in zip(rows, lines, strict=True):
                assert rf"\verdict{{{row.verdict.value.lower()}}}" in line


def test_what_latex_says_is_told_up_to_a_hundred_letters(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    program = tmp_path / "pdflatex"
    for letters_ in (99, 100, 101, 150):
        program.write_text(f"#!/bin/sh\nprintf '! {'e' * letters_}\\n' > derivation.log\nexit 1\n")
        program.chmod(0o700)
        with pytest.raises(CompileError) as said:
            compiled("text")
        assert f"({'e' * min(100, letters_)})" in str(said.value)


def test_a_number_with_a_power_of_ten_is_wider_by_its_dot():
    for text, wide in (("1.25", 0.8 * 4), ("1.5e-07", 0.8 * 7 + 1), ("-3", 0.8 * 2)):
        made = _digits(text)
        assert made.width == pytest.approx(wide)
        assert float(made.latex.replace(r" \cdot 10^{", "e").replace("}", "")) == float(text)


def test_an_equation_that_nothing_was_found_about_is_undecided():
    d = fcsym.derive(ONE)
    bare = SimpleNamespace(
        equations=d.equations, network=d.network, function="", numbers=None, proof=SimpleNamespace(findings=())
    )
    chapter = content_module._chapter(bare, set(d.by_name), {e.name: n for n, e in enumerate(d.equations)}, False, "")
    assert {(step.verdict, step.note) for step in chapter.steps} == {(Verdict.UNDECIDED, "")}
    found = {f.equation: f for f in d.proof.findings if f.case is None}
    for step in content(d).steps:
        assert (step.verdict, step.note) == (found[step.equation.name].verdict, found[step.equation.name].note)


def test_activations_stay_symbols_in_closed_forms_and_slopes_only_where_a_table_would_be_left():
    d = fcsym.derive(ONE)
    for wanted, kept in (("W2_new", {"v1"}), ("W1_new", {"v1", "g1"})):
        page = content(d, only=wanted)
        assert {array.name for array in page.kept} == kept and page.closed


def test_a_function_and_its_derivatives_are_typeset_each_with_its_own_formula():
    d = fcsym.derive(fcsym.Network.mlp([1, 1, 1], "softplus"))
    (function,) = content(d).functions
    sides = [formula.split(" = ") for formula in function.latex]
    assert [left.count("'") for left, _ in sides] == [0, 1] and len({right for _, right in sides}) == len(sides)
