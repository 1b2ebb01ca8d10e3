"""How wide formulas are, and where they are broken: by definition, one letter as wide as another."""

from __future__ import annotations

import io
import re
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import pytest
import sympy
from rich.console import Console

import fcsym
from fcsym.language.activation import activation, smooth
from fcsym.language.equation import OPEN, Branch, Case, Cases, Condition, Equation, Rule
from fcsym.language.expression import (
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Indicator,
    Inverse,
    Number,
    Ref,
    Role,
    Written,
    add,
    mul,
    power,
    total,
)
from fcsym.language.findings import Verdict
from fcsym.render.formula import LINE, _chunks, _lines, equation, expression, in_numbers, stacked, value, width
from fcsym.render.parts import Step
from fcsym.render.terminal import (
    _WIDE,
    Grid,
    _Equations,
    cases,
    checks,
    document,
    joint,
    plain,
    refutations,
)
from fcsym.render.terminal import table as grid

a, b, c, d, e, f, g, h = (Written(name, 1.0, name) for name in "abcdefgh")
LONG = add(a, b, c, d)
OTHER = add(e, f, g, h)
BROKEN = {
    "a sum": add(LONG, OTHER),
    "a product of sums": mul(LONG, OTHER),
    "less a product of sums": mul(-1, LONG, OTHER),
    "a number of them": mul(3, LONG, OTHER),
    "what is short in front": mul(h, LONG),
    "a power": power(LONG, 2),
    "powers in a product": mul(power(LONG, 2), power(OTHER, 3)),
    "a short sum in a product": mul(add(a, b), LONG),
    "differences": mul(add(a, mul(-1, b), c, d), add(e, mul(-1, f), mul(-2, g))),
    "a short power in a product": mul(power(add(a, b), 3), LONG),
}


def measured(text):
    """A formula by its letters: a sign has 2.5 with its room, and so has each sum at its start; what is high, 0.8."""
    alone = text.startswith("-")
    text = re.sub(r"\\(left|right|bigl|bigr|,)", "", text[alone:])
    powers = len(re.findall(r"\^\{\d\}", text))
    text = re.sub(r"\^\{\d\}|[ {}]", "", text)
    signs, brackets = len(re.findall("[+-]", text)), len(re.findall(r"[()]", text))
    letters = len(re.findall("[a-z0-9]", text))
    return letters + brackets + 2.5 * (signs + text.count("(")) + 0.8 * powers + alone


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "differences"])
@pytest.mark.parametrize("room", [8, 10])
def test_a_part_of_a_broken_formula_is_as_wide_as_what_it_says(name, room):
    chunks = _chunks(BROKEN[name], room)
    wide = sum(chunk.width for chunk in chunks)
    text = "".join(chunk.glue + chunk.text for chunk in chunks)
    assert wide == pytest.approx(measured(text) + 2.5 * (name == "a sum")), text


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_formula_says_the_same(name):
    """Its brackets aside, which are no pairs of \\left and \\right there, and the signs that begin a line."""
    whole = re.sub(r"\\(left|right) ?", "", expression(BROKEN[name]))
    lines = _lines(BROKEN[name], 8)
    assert len(lines) > 1 and all(line.startswith("{}") for line in lines[1:])
    joined = "".join(re.sub(r"\\bigl|\\bigr|\\left|\\right", "", line) for line in lines)
    plain = [re.sub(r"[ {}]|\\,|\\cdot", "", text) for text in (joined, whole)]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("room", [7, 8, 10.5, 12, 14, 20])
def test_a_line_holds_as_many_terms_as_there_is_room_for(room):
    """Each with its sign is 3.5 wide."""
    node = add(a, b, c, d, e, f, g, h)
    lines = _lines(node, room)
    fit = int(room / 3.5)
    assert [len(re.findall("[a-h]", line)) for line in lines] == [min(fit, 8 - n) for n in range(0, 8, fit)]


def test_what_fits_exactly_is_not_broken():
    assert len(_lines(BROKEN["a sum"], width(BROKEN["a sum"]) - 0.1)) == 2
    for node in BROKEN.values():
        assert _lines(node, width(node)) == [expression(node)]
        assert r"\begin{aligned}" not in value(node, width(node)) and r"\begin{aligned}" in value(node, 8)


def test_a_sum_in_a_product_is_held_together_while_it_fits_with_its_brackets():
    short, long = _chunks(mul(add(a, b), LONG), 7 + 2)[:2]
    assert short.text == r"\left(a + b\right)" and long.text.startswith(r"\bigl(")
    assert _chunks(mul(add(a, b), LONG), 7 + 1.9)[0].text == r"\bigl(a"


def test_a_product_that_fits_exactly_is_one_part():
    product_ = mul(LONG, OTHER)
    assert len(_chunks(product_, width(product_))) == 1 and len(_chunks(product_, width(product_) - 0.1)) > 1


def test_a_sum_of_a_sum_is_broken_behind_its_sign():
    i = Index(Axis("I"), "i")
    x, y = (Array(name, None, (i.axis,))[i] for name in "xy")
    lines = _lines(total(i, add(x, y, mul(x, y))), 6)
    assert lines[0].startswith(r"\sum_{i} \bigl(x_{i}") and lines[-1].endswith(r"\bigr)") and len(lines) == 3
    whole = sum(chunk.width for chunk in _chunks(total(i, add(x, y, mul(x, y))), 6))
    assert whole == pytest.approx(2.5 + 2 + width(add(x, y, mul(x, y))))


def test_a_chain_of_numbers_stands_on_one_line_while_there_is_room():
    """With 3 for each of its equals signs, and for what begins it."""
    left, first = Written("p", 10.0, "p"), Written("q", 10.0, "q")
    room = LINE - 20 - 9
    assert in_numbers([(left, first, Written("r", room, "r"))]).count("&=") == 1
    assert in_numbers([(left, first, Written("r", room + 0.5, "r"))]).count("&=") == 2
    terms = add(first, Written("t", LINE - 10 - 3 - 12.5 - 2.5, "t"))
    assert r"\quad" not in in_numbers([(left, first, terms)])
    wider = add(first, Written("t", LINE - 10 - 3 - 12.5 - 2.0, "t"))
    assert r"\quad" in in_numbers([(left, first, wider)])


def test_equations_below_each_other_have_what_is_left_of_the_line():
    left = Written("p", 5.0, "p")
    one = Equation(left, add(Written("q", 10.0, "q"), Written("r", 10.0, "r")), Rule.DEFINITION, "")
    assert r"\quad" not in stacked([one], 5 + 25 + 3) and r"\quad" in stacked([one], 5 + 25 + 2.9)


def table(*rows):
    branches = tuple(Branch("", when, node) for node, when in rows)
    return Equation(Written("p", 3.0, "p"), Cases(branches), Rule.CASES, "")


def test_a_table_has_its_conditions_beside_its_values_while_there_is_room():
    """Beside the widest value stands the widest condition, 4 more for each relation, and 4 for the brace."""
    s, t = Written("s", 2.0, "s"), Written("t", 6.0, "t")
    rows = (Written("v", 9.0, "v"), (Condition(s, ">"),)), (None, (Condition(s, "<="), Condition(t, ">")))
    line = (2 + 4 + 6 + 4) + 9 + 3 + 4
    assert r"\quad" not in equation(table(*rows), line)
    below = equation(table(*rows), line - 0.5)
    assert below.count(r"\\ \quad\text{if }") == 2 and r"\text{undefined}" in below
    wide = add(Written("u", 10.0, "u"), Written("v", 10.0, "v"))
    rows = ((wide, (Condition(t, ">"), Condition(s, ">"), Condition(t, "!="))),)
    room = width(wide) + 3 + 8
    assert r"\begin{aligned}" not in equation(table(*rows), room)
    assert r"\begin{aligned}" in equation(table(*rows), room - 0.5)


def test_a_piece_is_printed_with_what_it_adds_and_where_it_holds():
    s, v = (Ref(Array(name, None, ()), ()) for name in "sv")
    phi = fcsym.piecewise_linear("three", [fcsym.Piece(0, 2), fcsym.Piece(1, 3), fcsym.Piece(None, 1, 2)])
    said = equation(Equation(v, Apply(phi, s), Rule.DEFINITION, ""))
    rows = re.search(r"\\begin\{cases\} (.*) \\end\{cases\}", said)[1].split(r" \\ ")
    assert rows == [
        r"s + 2 & \text{if } 1 < s",
        r"3 \, s & \text{if } 0 < s \le 1",
        r"2 \, s & \text{if } s \le 0",
    ]
    assert equation(Equation(v, Apply(activation("relu"), s), Rule.DEFINITION, "")).count(r"& \text{if }") == 2
    assert r"\begin{cases}" not in equation(Equation(v, Apply(smooth("tanh"), s), Rule.DEFINITION, ""))


def test_an_array_is_as_wide_as_its_letter_and_the_wider_of_what_is_above_and_below():
    i, j = Index(Axis("I"), "i"), Index(Axis("J"), "j")
    axes = (i.axis, j.axis)
    plain, layer = Array("W", None, axes), Array("W", 1, axes)
    assert width(plain[i, j]) == pytest.approx(1.2 + 1.4)
    assert width(layer[i, j]) == pytest.approx(1.2 + 2.5)
    assert width(layer.primed[i, j]) == pytest.approx(1.2 + 3.0)
    assert width(Array("dW", 1, axes, role=Role.INCREMENT)[i, j]) == pytest.approx(2 + 2.5)
    assert width(Number(12)) == 2


def test_every_kind_of_formula_has_its_width():
    """A letter for each that is printed in a line; half of one for what is small below, and room around signs."""
    i, j = Index(Axis("I"), "i"), Index(Axis("J"), "j")
    x, y, m = Written("x", 5.0, "x"), Written("y", 7.0, "y"), Array("M", None, (i.axis, j.axis))
    phi, both = activation("relu"), add(x, y)
    for node, wide in (
        (Number(Fraction(3)), 1),
        (Number(Fraction(-120)), 4),
        (Number(Fraction(1, 3)), 2 + 0.5),
        (Number(Fraction(7, 1000)), 2 + 4 * 0.5),
        (Indicator(i, 2 * j + 1), 3.5 + 0.7 * len("2j + 1")),
        (both, 5 + 7 + 2 * 2.5),
        (mul(x, y), 5 + 7 + 2 * 0.3),
        (mul(x, both), 5 + 0.3 + 17 + 2),
        (mul(x, power(y, -1)), 7 + 0.8 + 0.3),
        (mul(y, y, power(x, -1)), 2 * (7 + 0.3)),
        (power(x, 2), 5 + 0.8),
        (total(i, m[i, j]), 2.5 + 1.2 + 1.4),
        (Extreme("max", (i,), m[i, j]), 3.5 + 1.2 + 1.4),
        (Inverse(m[i, j]), 5),
        (Apply(phi, x), len("relu") + 2 + 5),
        (Apply(phi, x, 1), len("relu") + 2 + 5),
    ):
        assert width(node) == pytest.approx(wide), node


def test_an_undefined_case_is_as_wide_as_its_word():
    """The values of a table have the room of the widest of them, which that word may be: 6."""
    s = Written("s", 2.0, "s")
    rows = (Written("v", 4.0, "v"), (Condition(s, ">"),)), (None, (Condition(s, "<="),))
    line = (2 + 4) + 6 + 3 + 4
    assert r"\quad" not in equation(table(*rows), line) and r"\quad" in equation(table(*rows), line - 0.5)


def test_a_value_beside_its_condition_is_broken_where_it_is_wider_than_40():
    s = Written("s", 2.0, "s")
    for wide, broken in ((17.5, False), (17.8, True)):
        value_ = add(Written("u", 17.5, "u"), Written("v", wide, "v"))
        said = equation(table((value_, (Condition(s, ">"),))))
        assert r"\quad" not in said and (r"\begin{aligned}" in said) is broken


# -------------------------------------------------------------------------------------------------------- in a window

HEAD = ("name", "what it is", "empty", "n")
ROWS = (("one", "a few words more", "", "12"), ("twelve", "word", "", "3"), ("c", "", "", "1234567"))


def printed(shown, columns):
    console = Console(width=columns, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(shown)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_is_one_where_its_words_fit_and_a_list_elsewhere():
    """Beside each word stand a line and two spaces; a column that wants no more than there is stays on one line."""
    words = len("twelve") + len("words") + len("1234567")
    lines = len("twelve") + len("a few words more") + len("1234567")
    least, enough = words + 3 * 3 + 1, lines + 3 * 3 + 1
    for columns in range(least - 8, enough + 20):
        text = printed(Grid("", HEAD, ROWS, lines=False), columns)
        table = "┃" in "".join(text)
        assert all(len(line) <= columns for line in text)
        assert table is (columns >= least), columns
        if table:
            assert all(any(word in line for line in text) for word in ("twelve", "1234567", "words", "more", "name"))
            assert len(text) == (6 + 1 if columns >= enough else len(text)) and "empty" not in "".join(text)
            assert (len(text) == 7) is (columns >= enough), columns


def test_below_each_other_what_is_long_has_more_room_than_its_name():
    """In a narrow window each row is a list; a cell with nothing in it is left out, and its name with it."""
    assert len(printed(Grid("", HEAD, ROWS), 80)) == len(printed(Grid("", HEAD, ROWS, lines=False), 80)) + 2
    text = printed(Grid("", HEAD, ROWS), 27)
    said = [[part.strip() for part in line.strip("│").split("│")] for line in text if line.startswith("│")]
    assert [pair[0] for pair in said if pair[0]] == ["name", "what it is", "n", "name", "what it is", "n", "name", "n"]
    long = printed(Grid("", ("n" * 30, "what"), [("1", "word " * 10)]), 40)
    (first, *_) = (line.strip("│").split("│") for line in long if line.startswith("│"))
    assert len(first[0]) < len(first[1]) and len(first[0]) + len(first[1]) == 40 - 3


def test_a_reason_stands_beside_its_equation_in_a_wide_window_alone_and_nowhere_in_a_summary():
    derived = fcsym.derive(fcsym.Network.mlp([1, 1]))
    because = "".join(re.findall("[a-z]", derived.equations[0].because))
    for detail, columns in product(("full", "summary"), (60, 109, 110, 160)):
        text = printed(document(derived, detail=detail), columns)
        letters = "".join(re.findall("[a-z]", "".join(text)))
        assert ("why" in "".join(line for line in text if "┃" in line)) is (detail == "full" and columns >= 110)
        if columns < 110:
            assert (because in letters) is (detail == "full")


def test_a_case_that_cannot_occur_is_said_to_where_there_is_no_point_in_it():
    def row(points, passed, impossible):
        return SimpleNamespace(
            quantity="p", case="c", points=points, worst=0.0, bound=1.0, ratio=0.0, passed=passed, impossible=impossible
        )

    def last(*what):
        report = SimpleNamespace(network="1-1", order="", against="", dtype="float64", rows=[row(*what)])
        (line,) = (line for line in printed(checks(report), 200) if line.startswith("│"))
        return line.strip("│ ").split("│")[-1].strip()

    assert last(3, True, False) == "ok" and last(3, False, False) == "FAILED"
    assert last(0, True, True) == "cannot occur"
    assert last(3, True, True) == "ok" and last(3, False, True) == "FAILED"


def test_a_row_of_cases_says_its_value_or_that_it_has_none():
    rows = [Case("one", (), sympy.Integer(7), Verdict.PROVED), Case("two", (), None, Verdict.CHOSEN)]
    text = printed(cases("", rows), 100)
    assert [("7" in line, "undefined" in line) for line in text if "one" in line or "two" in line] == [
        (True, False),
        (False, True),
    ]


def test_columns_of_numbers_end_below_each_other_and_words_begin_so():
    shown = Grid("", ("word", "number"), [("a", "1"), ("bcd", "12345"), ("ef", "123")], right=frozenset({"number"}))
    rows = [line.strip("│").split("│") for line in printed(shown, 80) if line.startswith("│")]
    assert [[cell.index(cell.strip()) for cell in row] for row in rows] == [[1, 6], [1, 2], [1, 4]]


def test_lines_stand_between_rows_of_words_alone():
    """Between rows of numbers, of patterns and of checks stand none."""
    head, rows = ("name", "n"), [("a", "1"), ("b", "2"), ("c", "3")]

    def between(shown):
        return sum(line.startswith("├") for line in printed(shown, 200))

    assert between(grid("", head, rows)) == 2 and between(grid("", head, rows, texts=1)) == 0
    row = SimpleNamespace(
        quantity="p", case="c", points=1, worst=0.0, bound=1.0, ratio=0.0, passed=True, impossible=False
    )
    report = SimpleNamespace(network="1-1", order="", against="", dtype="float64", rows=[row, row])
    assert between(checks(report)) == 0
    found = SimpleNamespace(
        network="1-1", order="sequential", inputs=1, unknown=(), impossible=(), reachable={"p": "x", "q": "y"},
        groups={"p": 1, "q": 2}, named=str,
    )  # fmt: skip
    assert between(joint(found)) == 0


def test_what_is_left_of_a_window_is_shared_by_those_who_want_it():
    """Who wants little gets all of it; what is wanted beyond that is shared, and no more given than there is."""
    rows = [["a " * 3, "b " * 30, "c " * 50]]
    for window in range(10, 200):
        cells = [[SimpleNamespace(plain=text.strip()) for text in row] for row in rows]
        widths = Grid("", "xyz", rows)._widths("xyz", cells, window)
        room = window - 3 * 3 - 1
        assert (widths is None) is (room < 3)
        if widths is not None:
            wanted = [len(text.strip()) for text in rows[0]]
            assert sum(widths) == min(room, sum(wanted)) or max(widths) - sorted(widths)[1] <= 1
            assert all(1 <= own <= most for own, most in zip(widths, wanted, strict=True))
            assert all(own == most or max(widths) - own <= 1 for own, most in zip(widths, wanted, strict=True))
            assert sum(widths) <= room


def test_a_sentence_has_no_marks_and_steers_nothing():
    assert plain("`a` and b\nc") == "a and b\nc" and "\x1b" not in plain("\x1b[31mred")


def test_what_is_wrong_is_told_with_its_counterexample_and_then_what_is_open():
    every = list(Verdict)
    findings = [SimpleNamespace(verdict=verdict, name=f"q{n}", note=f"why `{n}`") for n, verdict in enumerate(every)]
    said = refutations(SimpleNamespace(findings=findings)).plain.splitlines()
    wanted = [v for v in (Verdict.REFUTED, *(v for v in every if v in OPEN))]
    assert sorted(said) == sorted(f"{v.value} q{every.index(v)}: why {every.index(v)}" for v in wanted)
    assert said[0].startswith("REFUTED")


def step_of(note="", cite="", by_cases=False, number=1, uses=(2, 3)):
    s = Written("s", 2.0, "s")
    rhs = Cases((Branch("", (Condition(s, ">"),), s),)) if by_cases else s
    own = Equation(s, rhs, Rule.CASES, "because of `it`", cite=cite)
    return Step(number, own, (own,), uses, Verdict.PROVED, note, ())


def test_a_reason_says_its_rule_what_it_uses_and_what_was_found():
    """What was found about a case stands in its own table."""
    why = _Equations("", [], True)._why
    said = f"{Rule.CASES.value}: because of it"
    assert why(step_of()) == f"{said} Uses (2), (3)." and why(step_of(uses=())) == said
    assert why(step_of("it is `so`", uses=())) == f"{said} It is so."
    assert why(step_of("it is so", by_cases=True, uses=())) == said


@pytest.mark.parametrize("columns", [_WIDE - 1, _WIDE, 160])
@pytest.mark.parametrize("reasons", [True, False])
@pytest.mark.parametrize("cites", [("", ""), ("", "Eq. 7")])
def test_numbers_of_the_paper_have_a_column_where_there_are_some_and_room(cites, reasons, columns):
    """Beside the reasons; below them elsewhere."""
    steps = [step_of(cite=cite, number=n) for n, cite in enumerate(cites, 1)]
    text = printed(_Equations("", steps, reasons), columns)
    head = next(line for line in text if line.startswith("┃"))
    beside = reasons and columns >= _WIDE
    wanted = ["#", "equation", *["why"] * beside, *["paper"] * (beside and any(cites)), "verdict"]
    assert [name.strip() for name in head.strip("┃").split("┃")] == wanted
    assert ("Eq. 7" in "".join(text)) is (reasons and any(cites))
    assert ("Paper: Eq. 7." in "".join(text)) is (reasons and any(cites) and not beside)
