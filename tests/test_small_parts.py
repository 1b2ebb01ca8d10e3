"""Parts of pages by themselves: names, elements, what is quoted, and where something is left out."""

from __future__ import annotations

import re
from fractions import Fraction
from types import SimpleNamespace

import pytest
import sympy

import fcsym
from fcsym.errors import ArgumentError
from fcsym.language.activation import activation
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import Apply, Array, Axis, Extreme, Index, Number, Ref, Written, add, mul, power
from fcsym.language.findings import Finding, Verdict
from fcsym.render.appendix import _from_sympy, _is_negative, _scalar_names, closed_forms
from fcsym.render.content import _is_decided, _rows, content
from fcsym.render.flat import _element
from fcsym.render.flat_names import letters
from fcsym.render.formula import equation, width
from fcsym.render.html import _quoted
from fcsym.render.latex import _height, _is_table
from fcsym.render.save import writable
from fcsym.render.sections import sections_of

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
