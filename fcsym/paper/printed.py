r"""The equations as the paper prints them: label, place, LaTeX, and the same as a formula.

"Front Contribution instead of Back Propagation", arXiv 2106.05569. Misprints are part of the record. One row is one
equality sign; in a chain, each line is held against the quantity that the chain is about. Where the print can be read
in two ways, both readings have a row. No verdict stands here: `verdict` and `statements` find it.

`when` is what the text offers an equation under. The paper's condition behind an equation, `(s_1 > 0)`, is read as
"where"; a second row reads it as a factor where the print allows that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from fcsym.paper.decision import Setup
from fcsym.paper.formula import Claim, Condition, Node, S, derivative, iverson, num, other, relu, series

__all__ = ["ROWS", "Row"]

Unit: TypeAlias = "dict[str, Node]"

MAIN, SUPPLEMENT = "main text", "supplement"
ONE_INPUT = Setup(("",))


@dataclass(frozen=True, slots=True)
class Row:
    """One printed statement."""

    label: str
    place: str
    printed: str  # LaTeX, as printed; for a sentence its words
    claim: Claim | None = None
    setup: Setup = ONE_INPUT
    introduces: str = ""  # the equation of the derivation whose rule says what kind of statement this is
    reading: str = ""  # how the print is read, where that is open
    statement: str = ""  # for a sentence: which function of `statements` examines it
    instead: Claim | None = None  # what to put in its place where no small change makes it true; it is proved as well


eta, e = S("eta"), S("e")
x1, x2 = S("x1"), S("x2")
AGAIN, NEXT = Setup(("", "")), ONE_INPUT
TWO, THREE = Setup(("", "@")), Setup(("", "@", "*"))
HELD, SERIES = Setup(("",), "held"), Setup(("",), "series")
UNITS = ((1, "w1", "w2", "w5", "p"), (2, "w3", "w4", "w6", "q"))


def s(unit: int, primes: int = 0, mark: str = "") -> Node:
    return S(f"s{unit}", primes, mark)


def v(unit: int, primes: int = 0, mark: str = "") -> Node:
    return S(f"v{unit}", primes, mark)


def vc(unit: int) -> Node:
    return S(f"v{unit}c")


def norm(mark: str = "") -> Node:
    return S("x1", 0, mark) ** 2 + S("x2", 0, mark) ** 2


def inner(a: str, b: str) -> Node:
    return S("x1", 0, a) * S("x1", 0, b) + S("x2", 0, a) * S("x2", 0, b)


def dot(first: str, second: str, mark: str = "", primes: int = 0) -> Node:
    return S(first, primes) * S("x1", 0, mark) + S(second, primes) * S("x2", 0, mark)


def _both(rows: Sequence[Row], labels: Callable[[str], str]) -> list[Row]:
    """The same rows once more, as the main text has them."""
    return [replace(row, label=labels(row.label), place=MAIN) for row in rows]


def _eq(
    label: str, printed: str, left: Node, right: Node, *when: Condition, setup: Setup = ONE_INPUT, introduces: str = "",
    reading: str = "", instead: Claim | None = None,
) -> Row:  # fmt: skip
    return Row(label, SUPPLEMENT, printed, Claim(left, right, when), setup, introduces, reading, instead=instead)


def _says(label: str, words: str, statement: str) -> Row:
    return Row(label, SUPPLEMENT, words, statement=statement)


# ------------------------------------------------------------------------------------- what both places print


def _formalization() -> list[Row]:
    gated = S("dw1", 1)
    update = Claim(gated, -(eta * e * S("w5", 1) * x1), (s(1) > 0,))
    return [
        _says("eq. 6", r"Y = f(X, W_1, W_2, \dots, W_n)", "forward"),
        _eq("eq. 7", r"\Delta W_1 = f(W_2, W_3 \dots W_n)", gated, other(gated), instead=update,
            reading="the change of w_1 is the same whatever W_1 is"),
        _eq("eq. 8", r"\Delta W_2 = f(W_3, W_4 \dots W_n)", S("dw5", 1), other(S("dw5", 1)),
            reading="the change of w_5 is the same whatever W_1 is",
            instead=Claim(S("dw5", 1), -(eta * e * v(1)))),
        _eq("formalization, W_1", r"\Delta W_1 \text{ does not further depend on } W_1", gated, other(gated),
            instead=update),
        _eq("formalization, basis", r"W_2 \dots W_n \text{ can represent the output value at any iteration}",
            S("y", 1), other(S("y", 1)), reading="the output after a step is the same whatever W_1 is",
            instead=Claim(S("y", 1), S("w5", 1) * relu(s(1, 1)) + S("w6", 1) * relu(s(2, 1)))),
        _says("formalization, p", r"p \text{ must be a non-linear function of weights in } W_2", "nonlinear"),
    ]  # fmt: skip


def _eq_21() -> list[Row]:
    printed = (
        r"Y_{backpropagation} = Y_{contribution\ factor} \implies "
        r"v_1 \cdot w_5 + v_2 \cdot w_6 = v_1^c \cdot (w_5 + p) + v_2^c \cdot (w_6 + q)"
    )
    return [
        _eq("eq. 21, reading 1", printed, v(1) * S("w5") + v(2) * S("w6"),
            vc(1) * (S("w5") + S("p")) + vc(2) * (S("w6") + S("q")), reading="no prime means before the update"),
        _eq("eq. 21, reading 2", printed, v(1, 1) * S("w5", 1) + v(2, 1) * S("w6", 1),
            vc(1) * (S("w5", 1) + S("p")) + vc(2) * (S("w6", 1) + S("q")), introduces="compensation",
            reading="the symbols stand for their values after the update"),
        _eq("v_1^c", r"v_1^c \text{ and } v_2^c \text{ are the constants}", vc(1), v(1), introduces="vc"),
    ]  # fmt: skip


def _gradient_is_p() -> list[Row]:
    printed = r"\frac{dE}{dw_5'} = p"
    instead = Claim(S("p"), S("dv1", 1) * S("w5", 1) / vc(1))
    return [
        _eq("dE/dw_5', reading 1", printed, S("dEdw5"), S("p"), reading="E before the step", instead=instead),
        _eq("dE/dw_5', reading 2", printed, S("dEdw5", 1), S("p"), reading="E after the step", instead=instead),
        _eq("r_5", r"\text{Let } w_5 + p \text{ be } r_5", S("r5"), S("w5", 1) + S("p"), introduces="r",
            reading="w_5 as updated by eq. 13"),
        _eq("r_6", r"\text{Let } w_6 + q \text{ be } r_6", S("r6"), S("w6", 1) + S("q"), introduces="r",
            reading="w_6 as updated by eq. 13"),
    ]  # fmt: skip


def _series_rows() -> list[Row]:
    """r_5n, A_n, r_6n, B_n."""
    rows = []
    en = S("en")
    for unit, first, second, weight, _ in UNITS:
        letter, r, wn = "AB"[unit - 1], S(f"r{unit + 4}n"), S(f"{weight}n")
        before, after = S(f"{letter}n-1"), S(f"{letter}n")
        vcn = S(f"v{unit}c")
        w, n, a, c = f"w_{{{weight[1]}n}}", f"r_{{{unit + 4}n}}", letter, f"v_{{{unit}c}}"
        total = rf"\sum_1^n \frac{{dE}}{{dY_n}} {w} (x_1^2 + x_2^2)"
        exact = wn * S(f"v{unit}n") / vcn
        rows += [
            _eq(f"r_{unit + 4}n, case 1",
                rf"{n} = {w} + \frac{{{w}^3 (x_1^2 + x_2^2)}}{{3({c} + {total}^2)}} \quad "
                rf"({a}_{{n-1}} > 0 \ \&\& \ {a}_n > 0)",
                r, wn + wn**3 * norm() / (num(3) * (vcn + series(en * wn * norm() ** 2))),
                before > 0, after > 0, setup=SERIES, instead=Claim(r, exact, (before > 0,)),
                reading=f"{letter}_n is the pre-activation after n steps, dE/dY_k the error of step k"),
            _eq(f"r_{unit + 4}n, case 2",
                rf"{n} = {w} + \frac{{{w}^2}}{{2\eta \frac{{dE}}{{dY_n}} ({c} + {total})}} \quad "
                rf"({a}_{{n-1}} > 0 \ \&\& \ {a}_n < 0)",
                r, wn + wn**2 / (num(2) * eta * en * (vcn + series(en * wn * norm()))),
                before > 0, after < 0, setup=SERIES, instead=Claim(r, exact, (before > 0,)),
                reading=f"{letter}_n is the pre-activation after n steps, dE/dY_k the error of step k"),
            _eq(f"{letter}_n",
                rf"{a}_n = ({first[0]}_{{{first[1]}c}} + \sum_1^n \frac{{dE}}{{dY_n}} {w} x_1) x_1 + "
                rf"({second[0]}_{{{second[1]}c}} + \sum_1^n \frac{{dE}}{{dY_n}} {w} x_2) x_2",
                after, (S(f"{first}c") + series(en * wn * x1)) * x1 + (S(f"{second}c") + series(en * wn * x2)) * x2,
                before > 0, setup=SERIES, reading=f"{letter}_n is the pre-activation after n steps"),
        ]  # fmt: skip
    return rows


def _eq_32() -> list[Row]:
    rows = []
    starts = ((1, "w1", "w2", "a"), (2, "w3", "w4", "b"))
    for unit, first, second, part in starts:
        a, b = first[1], second[1]
        rows.append(_eq(f"eq. 32, line 1 ({part})", rf"s_{unit} = w_{a} x_1 + w_{b} x_2", s(unit), dot(first, second),
                        introduces="s1"))  # fmt: skip
    for unit, first, second, part in starts:
        a, b = first[1], second[1]
        rows.append(_eq(f"eq. 32, line 2 ({part})", rf"S_{unit} = w_{a} x_1 - w_{b} x_2", S(f"S{unit}"),
                        S(first) * x1 - S(second) * x2, introduces="s1"))  # fmt: skip
    for name, sign, line in (("s", "+", 3), ("S", "-", 4)):
        for unit, _, _, part in starts:
            one, two = s(unit, 1), S(f"S{unit}", 1)
            up, down = (one + two) / 2 * S("x1", 0, "@"), (one - two) / 2 * S("x2", 0, "@")
            rows.append(_eq(
                f"eq. 32, line {line} ({part})",
                rf"{name}_{unit}^{{@'}} = \frac{{s_{unit}' + S_{unit}'}}{{2}} x_1^@ {sign} "
                rf"\frac{{s_{unit}' - S_{unit}'}}{{2}} x_2^@",
                S(f"{name}{unit}", 1, "@"), up + down if sign == "+" else up - down))  # fmt: skip
    return rows


def _claims() -> list[Row]:
    """Sentences of the text that both places have."""
    cubic = Claim(S("P"), norm() * (S("w5", 1) ** 3 - S("w5") ** 3) / (num(3) * vc(1) ** 2), (s(1) > 0, s(1, 1) > 0))
    words = r"W_2 \text{ weights can take the form } W_2 + W_2^3"
    return [
        _says("storage", r"\text{for multiple inputs, the entire input sequence must be stored}", "storage"),
        _eq("W_2 + W_2^3, reading 1", words, S("w5", 1) * derivative(S("p")), num(3) * S("p"), s(1) > 0, s(1, 1) > 0,
            setup=HELD, reading="p is a multiple of the cube of w_5': w_5' dp/dw_5' = 3 p"),
        _eq("W_2 + W_2^3, reading 2", words, S("w5", 1) * S("dP"), num(3) * S("P"), s(1) > 0, s(1, 1) > 0, setup=HELD,
            reading="P is a multiple of the cube of w_5': w_5' dP/dw_5' = 3 P", instead=cubic),
        _says("induction", r"\text{NN of } n \text{ layers can be collapsed to } n-1 \text{ layers } \to \dots \to 1",
              "induction"),
    ]  # fmt: skip


def _main_text() -> list[Row]:
    number = {"eq. 6": "eq. 1", "eq. 7": "eq. 2", "eq. 8": "eq. 3"}
    a = norm()
    left = (vc(1) ** 2 - a * S("w5") ** 2) * (num(1) - a * eta**2 * e**2)
    textbook = Setup(("",), "steps", "simultaneous")
    return [
        Row("abstract, same output", MAIN, r"\text{our algorithm produces the exact same output as BP}",
            Claim(S("y", 1), vc(1) * S("r5") + vc(2) * S("r6")), ONE_INPUT, reading="one input"),
        Row("abstract, same output, any input", MAIN, r"\text{our algorithm produces the exact same output as BP}",
            Claim(v(1, 1, "@") * S("w5", 1), v(1, 0, "@") * (S("w5", 1) + S("p") + S("p", 0, "@"))), NEXT,
            reading="another input, unit by unit"),
        *_both(_formalization(), lambda label: number.get(label, label)),
        Row("section 3, s_1", MAIN, r"s_1 = w_1 x_1 + w_2 x_2", Claim(s(1), dot("w1", "w2")), introduces="s1"),
        Row("section 3, v_1", MAIN, r"v_1 = \text{RELU}(s_1)", Claim(v(1), relu(s(1))), introduces="v1"),
        *_both(_eq_21(), lambda label: label.replace("eq. 21", "eq. 4")),
        Row("3 possible values", MAIN, r"dv_1' \text{ can have 3 possible values}", statement="three_values"),
        *_both(_gradient_is_p(), str),
        *_both(_series_rows(), str),
        *_both(_claims()[:1], str),
        *_both(_eq_32(), lambda label: label.replace("eq. 32", "eq. 5")),
        *_both(_claims()[1:], str),
        Row("claim i", MAIN, r"\text{the algorithm's time complexity remains } O(1)", statement="constant_time"),
        Row("claim iv", MAIN, r"W_n = W_n + k_1 W_n^3 + k_2 W_n^5 + \dots",
            Claim(left / vc(1) ** 2, num(1), (s(1) > 0,)), textbook,
            reading="r as a power series in w has the leading coefficient 1; its square is "
                    "((v^c)^2 - |x|^2 w^2)(1 - |x|^2 eta^2 (dE/dY)^2)/(v^c)^2 after a step in simultaneous order",
            instead=Claim((S("r5") * vc(1)) ** 2, S("w5", 1) ** 2 * (left + a * S("w5", 1) ** 2),
                          (s(1) > 0, s(1, 1) > 0))),
        Row("claim v", MAIN, r"\text{The modified network can always be expanded to a conventional network}",
            Claim(S("w1", 1), S("w1") + (s(1, 1) - s(1)) / norm() * x1),
            reading="the weights follow from the states: W_1 = W_1^c + (s - s^c) x^T / |x|^2"),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------- the supplement


def _network() -> list[Row]:
    rows = [
        _eq("eq. 9 (a)", r"s_1 = w_1.x_1 + w_2.x_2", s(1), dot("w1", "w2"), introduces="s1"),
        _eq("eq. 9 (b)", r"s_2 = w_3.x_1 + w_4.x_2", s(2), dot("w3", "w4"), introduces="s1"),
        _eq("eq. 10 (a)", r"v_1 = \text{RELU}(s_1)", v(1), relu(s(1)), introduces="v1"),
        _eq("eq. 10 (b)", r"v_2 = \text{RELU}(s_2)", v(2), relu(s(2)), introduces="v1"),
        _eq("RELU, line 1", r"\text{RELU}(s) = s \quad \text{if } s > 0", relu(s(1)), s(1), s(1) > 0, introduces="v1"),
        _eq("RELU, line 2", r"\text{RELU}(s) = 0 \quad \text{if } s < 0", relu(s(1)), num(0), s(1) < 0,
            introduces="v1"),
        _says("RELU, both lines", r"\text{RELU}(s) = \begin{cases} s & \text{if } s > 0 \\ 0 & \text{if } s < 0 "
              r"\end{cases}", "relu_covers"),
        _eq("eq. 11", r"y = w_5.v_1 + w_6.v_2", S("y"), S("w5") * v(1) + S("w6") * v(2), introduces="y"),
        _eq("eq. 12 (a)", r"E = \frac{1}{2}(y - y_g)^2", S("E"), num(1) / 2 * (S("y") - S("yg")) ** 2, introduces="E"),
        _eq("eq. 12 (b)", r"\frac{dE}{dY} = y - y_g", e, S("y") - S("yg")),
        _eq("eq. 13 (a)", r"w_5' = w_5 - \eta \frac{dE}{dY} v_1", S("w5", 1), S("w5") - eta * e * v(1)),
        _eq("eq. 13 (b)", r"w_6' = w_6 - \eta \frac{dE}{dY} v_2", S("w6", 1), S("w6") - eta * e * v(2)),
        _says("2 possible values", r"\frac{dE}{dw_1} \text{ can have 2 possible values}", "two_values"),
    ]  # fmt: skip
    for line, (weight, unit, upper, x) in enumerate(
        (("w1", 1, "w5", "x1"), ("w2", 1, "w5", "x2"), ("w3", 2, "w6", "x1"), ("w4", 2, "w6", "x2")), 1
    ):
        n, m, k = weight[1], upper[1], x[1]
        slope, value = S(f"dEd{weight}"), e * S(upper) * S(x)
        printed = rf"\frac{{dE}}{{dw_{n}}} = \frac{{dE}}{{dY}}.w_{m}.x_{k} (s_{unit} > 0)"
        rows += [
            _eq(f"dE/dw, line {line} (a)", rf"\frac{{dE}}{{dw_{n}}} = 0", slope, num(0), s(unit) < 0,
                reading="the other case of the line: the unit is dead"),
            _eq(f"dE/dw, line {line} (b)", printed, slope, value, s(unit) > 0),
        ]  # fmt: skip
    for line, (weight, unit, upper, x) in enumerate(
        (("w1", 1, "w5", "x1"), ("w2", 1, "w5", "x2"), ("w3", 2, "w6", "x1"), ("w4", 2, "w6", "x2")), 1
    ):
        n, m, k = weight[1], upper[1], x[1]
        new, old, change = S(weight, 1), S(weight), eta * e * S(upper, 1) * S(x)
        printed = rf"w_{n}' = w_{n} - \eta \frac{{dE}}{{dY}} w_{m}' x_{k} (s_{unit} > 0)"
        rows += [
            _eq(f"eq. 14, line {line} (a), reading 1", printed, new, old - change, s(unit) > 0,
                reading="the condition says where"),
            _eq(f"eq. 14, line {line} (a), reading 2", printed, new,
                old - eta * e * S(upper, 1) * S(x) * iverson(s(unit) > 0), reading="the condition is a factor"),
            _eq(f"eq. 14, line {line} (b)", rf"w_{n}' = w_{n} (s_{unit} < 0)", new, old, s(unit) < 0),
        ]  # fmt: skip
    return rows


def _after_the_step() -> list[Row]:
    rows = [
        _eq("eq. 15, line 1 (a)", r"s_1' = w_1'.x_1 + w_2'.x_2", s(1, 1), dot("w1", "w2", "", 1)),
        _eq("eq. 15, line 1 (b)", r"s_2' = w_3'.x_1 + w_4'.x_2", s(2, 1), dot("w3", "w4", "", 1)),
        _eq("eq. 15, line 2 (a)", r"v_1' = RELU(s_1')", v(1, 1), relu(s(1, 1))),
        _eq("eq. 15, line 2 (b)", r"v_2' = RELU(s_2')", v(2, 1), relu(s(2, 1))),
        _eq("eq. 15, line 2 (c)", r"y = w_5'.v_1' + w_6'.v_2'", S("y"), S("w5", 1) * v(1, 1) + S("w6", 1) * v(2, 1)),
        _eq("eq. 16 (a)", r"\frac{dE}{dY} = y - y_g", e, S("y") - S("yg")),
        _eq("eq. 16 (b)", r"\frac{dE}{dY} = (w_5.v_1 + w_6.v_2) - y_g", e,
            (S("w5") * v(1) + S("w6") * v(2)) - S("yg")),
    ]  # fmt: skip
    first, second = S("w1") - eta * e * S("w5", 1) * x1, S("w2") - eta * e * S("w5", 1) * x2
    rows += [
        _eq("eq. 17, line 1", r"s_1' = (w_1 - \eta \frac{dE}{dY} w_5' x_1) x_1 + "
            r"(w_2 - \eta \frac{dE}{dY} w_5' x_2) x_2", s(1, 1), first * x1 + second * x2),
        _eq("eq. 17, line 2", r"s_1' = w_1.x_1 + w_2.x_2 - \eta \frac{dE}{dY} w_5' (x_1^2 + x_2^2)", s(1, 1),
            dot("w1", "w2") - eta * e * S("w5", 1) * norm()),
        _eq("eq. 17, line 3", r"s_1' = s_1 - \eta \frac{dE}{dY} w_5' (x_1^2 + x_2^2)", s(1, 1),
            s(1) - eta * e * S("w5", 1) * norm()),
        _eq("eq. 17, line 4", r"s_2' = s_2 - \eta \frac{dE}{dY} w_6' (x_1^2 + x_2^2)", s(2, 1),
            s(2) - eta * e * S("w6", 1) * norm()),
    ]  # fmt: skip
    xa, xb = S("x1", 0, "@"), S("x2", 0, "@")
    for a, b, upper, left, printed, line in (
        ("w1", "w2", "w5", s(1, 0, "@"), "s_1^@", 1), ("w3", "w4", "w6", s(2, 1, "@"), "s_2'^@", 3),
    ):  # fmt: skip
        one, two = S(a) - eta * e * S(upper, 1) * x1, S(b) - eta * e * S(upper, 1) * x2
        m = upper[1]
        rows += [
            _eq(f"eq. 18, line {line}", rf"{printed} = (w_{a[1]} - \eta \frac{{dE}}{{dY}} w_{m}' x_1) x_1^@ + "
                rf"(w_{b[1]} - \eta \frac{{dE}}{{dY}} w_{m}' x_2) x_2^@", left, one * xa + two * xb),
            _eq(f"eq. 18, line {line + 1}", rf"{printed} = w_{a[1]}.x_1^@ + w_{b[1]}.x_2^@ - \eta \frac{{dE}}{{dY}} "
                rf"w_{m}' (x_1 x_1^@ + x_2 x_2^@)", left,
                dot(a, b, "@") - eta * e * S(upper, 1) * inner("", "@")),
        ]  # fmt: skip
    for n, (unit, a, b) in enumerate(((1, "w1", "w2"), (2, "w3", "w4"))):
        rows.append(_eq(f"eq. 19, using ({'ab'[n]})", rf"s_{unit}^@ = w_{a[1]}.x_1^@ + w_{b[1]}.x_2^@",
                        s(unit, 0, "@"), dot(a, b, "@"), introduces="s1"))  # fmt: skip
    for unit in (1, 2):
        rows.append(_eq(f"eq. 19, line {unit}", rf"s_{unit}'^@ = s_{unit}^@ + \frac{{s_{unit}' - s_{unit}}}"
                        r"{x_1^2 + x_2^2} (x_1 x_1^@ + x_2 x_2^@)", s(unit, 1, "@"),
                        s(unit, 0, "@") + (s(unit, 1) - s(unit)) / norm() * inner("", "@")))  # fmt: skip
    for unit, a, b in ((1, "w1", "w2"), (2, "w3", "w4")):
        for n, mark in enumerate("*#"):
            rows.append(_eq(f"eq. 20, let line {unit} ({'ab'[n]})",
                            rf"s_{unit}^{_m(mark)} = w_{a[1]}.x_1^{_m(mark)} + w_{b[1]}.x_2^{_m(mark)}",
                            s(unit, 0, mark), dot(a, b, mark), introduces="s1"))  # fmt: skip
    for unit in (1, 2):
        terms = [("", 1), ("@", 2), ("*", 3)]

        def learned(to: str, count: int, unit: int = unit, terms: Sequence[tuple[str, int]] = tuple(terms)) -> Node:
            result = s(unit, 0, to)
            for mark, primes in terms[:count]:
                change = s(unit, primes, mark) - s(unit, primes - 1, mark)
                result = result + change / norm(mark) * inner(mark, to)
            return result

        head = rf"\frac{{s_{unit}' - s_{unit}}}{{x_1^2 + x_2^2}}"
        middle = rf"\frac{{s_{unit}''^@ - s_{unit}'^@}}{{x_1^{{@2}} + x_2^{{@2}}}}"
        tail = rf"\frac{{s_{unit}'''^* - s_{unit}''^*}}{{x_1^{{*2}} + x_2^{{*2}}}}"
        rows += [
            _eq(f"eq. 20, line {2 * unit - 1}", rf"s_{unit}''^* = s_{unit}^* + {head} (x_1 x_1^* + x_2 x_2^*) + "
                rf"{middle} (x_1^@ x_1^* + x_2^@ x_2^*)", s(unit, 2, "*"), learned("*", 2), setup=TWO),
            _eq(f"eq. 20, line {2 * unit}", rf"s_{unit}'''^\# = s_{unit}^\# + {head} (x_1 x_1^\# + x_2 x_2^\#) + "
                rf"{middle} (x_1^@ x_1^\# + x_2^@ x_2^\#) + {tail} (x_1^* x_1^\# + x_2^* x_2^\#)",
                s(unit, 3, "#"), learned("#", 3), setup=THREE),
        ]  # fmt: skip
    return rows


def _m(mark: str) -> str:
    return r"\#" if mark == "#" else mark


def _compensation() -> list[Row]:
    rows = [
        _eq("eq. 21, line 2", r"v_1'.w_5' + v_2'.w_6' = v_1^c.(w_5' + p) + v_2^c.(w_6' + q)",
            v(1, 1) * S("w5", 1) + v(2, 1) * S("w6", 1),
            vc(1) * (S("w5", 1) + S("p")) + vc(2) * (S("w6", 1) + S("q"))),
        _eq("eq. 21, line 3", r"(v_1^c + dv_1').w_5' + (v_2^c + dv_2').w_6' = v_1^c.(w_5' + p) + v_2^c.(w_6' + q)",
            (vc(1) + S("dv1", 1)) * S("w5", 1) + (vc(2) + S("dv2", 1)) * S("w6", 1),
            vc(1) * (S("w5", 1) + S("p")) + vc(2) * (S("w6", 1) + S("q"))),
    ]  # fmt: skip
    for unit, _, _, weight, p in UNITS:
        w, dv, m = S(weight, 1), S(f"dv{unit}", 1), weight[1]
        rows += [
            _eq(f"eq. 22, line {unit} (a)", rf"(v_{unit}^c + dv_{unit}').w_{m}' = v_{unit}^c.(w_{m}' + {p})",
                (vc(unit) + dv) * w, vc(unit) * (w + S(p)), introduces="p"),
            _eq(f"eq. 22, line {unit} (b)", rf"dv_{unit}'.w_{m}' = v_{unit}^c.{p}", dv * w, vc(unit) * S(p),
                introduces="p"),
        ]  # fmt: skip
    dv, moved = S("dv1", 1), S("w1", 1) * x1 + S("w2", 1) * x2
    rows += [
        _says("3 possible values", r"dv_1' \text{ can have 3 possible values}", "three_values"),
        _says("3 possible values, (iii)", r"\text{RELU is dead at the 0th iteration and becomes active after the 1st "
              r"update}", "dead_to_active"),
        _eq("eq. 23, line 1", r"dv_1' = 0", dv, num(0), s(1) < 0, s(1, 1) < 0,
            reading="case (i) of the sentence above: dead and stays dead"),
        _eq("eq. 23, line 2", r"dv_1' = dw_1'.x_1 + dw_2'.x_2 \quad ((s_1 \geq 0) \&\& (s_1' \geq 0))", dv,
            S("dw1", 1) * x1 + S("dw2", 1) * x2, s(1) >= 0, s(1, 1) >= 0),
        _eq("eq. 23, line 3 (a)", r"dv_1' = -v_1 \quad ((s_1 \geq 0) \&\& (s_1' < 0))", dv, -v(1), s(1) >= 0,
            s(1, 1) < 0),
        _eq("eq. 23, line 3 (b)", r"-v_1 = -s_1 \quad ((s_1 \geq 0) \&\& (s_1' < 0))", -v(1), -s(1), s(1) >= 0,
            s(1, 1) < 0),
        _eq("eq. 23, where line 1", r"s_1 = w_1.x_1 + w_2.x_2", s(1), dot("w1", "w2"), introduces="s1"),
        _eq("eq. 23, where line 2, reading 1", r"s_1' = s_1 (s_1 < 0)", s(1, 1), s(1), s(1) < 0,
            reading="the condition says where"),
        _eq("eq. 23, where line 2, reading 2", r"s_1' = s_1 (s_1 < 0)", s(1, 1), s(1) * iverson(s(1) < 0),
            reading="the condition is a factor", instead=Claim(s(1, 1), s(1), (s(1) < 0,))),
        _eq("eq. 24, line 1, reading 1", r"s_1' = (w_1'.x_1 + w_2'.x_2)(s_1 \geq 0)", s(1, 1), moved, s(1) >= 0,
            reading="the condition says where"),
        _eq("eq. 24, line 1, reading 2", r"s_1' = (w_1'.x_1 + w_2'.x_2)(s_1 \geq 0)", s(1, 1),
            moved * iverson(s(1) >= 0), reading="the condition is a factor"),
        _eq("eq. 24, line 2", r"s_1' = (w_1 - \eta \frac{dE}{dw_1}).x_1 + (w_2 - \eta \frac{dE}{dw_2}).x_2", s(1, 1),
            (S("w1") - eta * S("dEdw1")) * x1 + (S("w2") - eta * S("dEdw2")) * x2,
            reading="dE/dw_1 as printed after eq. 13, with w_5",
            instead=Claim(s(1, 1), (S("w1") - eta * e * S("w5", 1) * x1) * x1
                          + (S("w2") - eta * e * S("w5", 1) * x2) * x2, (s(1) > 0,))),
        _eq("eq. 24, line 2, simultaneous order",
            r"s_1' = (w_1 - \eta \frac{dE}{dw_1}).x_1 + (w_2 - \eta \frac{dE}{dw_2}).x_2", s(1, 1),
            (S("w1") - eta * S("dEdw1")) * x1 + (S("w2") - eta * S("dEdw2")) * x2,
            setup=Setup(("",), "steps", "simultaneous"), reading="the first layer is updated with the old w_5"),
        _eq("eq. 24, line 3", r"s_1' = (w_1 - \eta \frac{dE}{dY}.w_5'.x_1(s_1 \geq 0)).x_1 + "
            r"(w_2 - \eta \frac{dE}{dY}.w_5'.x_2(s_1 \geq 0)).x_2", s(1, 1),
            (S("w1") - eta * e * S("w5", 1) * x1 * iverson(s(1) >= 0)) * x1
            + (S("w2") - eta * e * S("w5", 1) * x2 * iverson(s(1) >= 0)) * x2, reading="the condition is a factor"),
        _eq("eq. 24, line 4, reading 1", r"s_1' = s_1 - \eta \frac{dE}{dY}.w_5'(x_1^2 + x_2^2)(s_1 \geq 0)", s(1, 1),
            s(1) - eta * e * S("w5", 1) * norm(), s(1) >= 0, reading="the condition says where"),
        _eq("eq. 24, line 4, reading 2", r"s_1' = s_1 - \eta \frac{dE}{dY}.w_5'(x_1^2 + x_2^2)(s_1 \geq 0)", s(1, 1),
            s(1) - eta * e * S("w5", 1) * norm() * iverson(s(1) >= 0), reading="the condition is a factor"),
    ]  # fmt: skip
    return rows


def _formula_for_p() -> list[Row]:
    dv, w, p, before = S("dv1", 1), S("w5", 1), S("p"), dot("w1", "w2")
    after = (S("w1") - eta * e * w * x1) * x1 + (S("w2") - eta * e * w * x2) * x2
    active, dead = (before >= 0, after >= 0), (before >= 0, after < 0)
    first = r"((w_1.x_1 + w_2.x_2) \geq 0)"
    second = r"((w_1 - \eta \frac{dE}{dY}.w_5'.x_1).x_1 + (w_2 - \eta \frac{dE}{dY}.w_5'.x_2).x_2)"
    both, dies = rf"{first} \&\& ({second} \geq 0)", rf"{first} \&\& ({second} < 0)"
    ds = -(eta * e * w * norm())
    step = r"-\eta \frac{dE}{dY}.w_5'(x_1^2 + x_2^2)"
    return [
        _eq("eq. 25, line 1", rf"dv_1' = {step}{both}", dv, ds, *active),
        _eq("eq. 25, line 2", rf"dv_1' = -(w_1.x_1 + w_2.x_2){dies}", dv, -before, *dead),
        _eq("eq. 26, line 1", r"p = \frac{dv_1'.w_5'}{v_1^c}", p, dv * w / vc(1)),
        _eq("eq. 26, line 2", rf"p = \frac{{{step}{both}.w_5'}}{{v_1^c}}", p,
            -(eta * e * w * norm() * w) / vc(1), *active),
        _eq("eq. 26, line 3", rf"p = \frac{{{step}{both}}}{{v_1^c}}", p, -(eta * e * w * norm()) / vc(1), *active),
        _eq("eq. 27, line 1", r"p = \frac{dv_1'.w_5'}{v_1^c}", p, dv * w / vc(1)),
        _eq("eq. 27, line 2", rf"p = \frac{{-(w_1.x_1 + w_2.x_2){both}.w_5'}}{{v_1^c}}", p, -(before * w) / vc(1),
            *active),
        _eq("eq. 27, line 3", rf"p = \frac{{-v_1^c.{both}.w_5'}}{{v_1^c}}", p, -(vc(1) * w) / vc(1), *active),
        _eq("eq. 27, line 4", rf"p = -w_5'.{both}", p, -w, *active),
    ]  # fmt: skip


def _integral() -> list[Row]:
    w, before = S("w5", 1), dot("w1", "w2")
    after = (S("w1") - eta * e * w * x1) * x1 + (S("w2") - eta * e * w * x2) * x2
    active = (before >= 0, after >= 0)
    both = (
        r"((w_1.x_1 + w_2.x_2) \geq 0) \&\& "
        r"((w_1 - \eta \frac{dE}{dY}.w_5'.x_1).x_1 + (w_2 - \eta \frac{dE}{dY}.w_5'.x_2).x_2) \geq 0)"
    )
    grown = w**3 * norm() / (num(3) * vc(1) * vc(1))
    died = w**2 / (num(2) * eta * e * vc(1))
    integral = "the integrand is dP/dw_5'"
    start = "P is 0 at the initial weight"
    primitive = "a primitive: its derivative is dP/dw_5'"
    return [
        _eq("eq. 28, line 1", r"-\eta \frac{dE}{dY}.v_1^c.\frac{dP}{dw_5} = p", -(eta * e * vc(1) * S("dP")), S("p"),
            e.differs(0), vc(1).differs(0), setup=HELD, introduces="P",
            reading="v_1^c, dE/dY and the gates are held constant, and are not 0 where something is divided by them"),
        _eq("eq. 28, line 2", r"\frac{dP}{dw_5} = \frac{-p}{\eta \frac{dE}{dY}.v_1^c}", S("dP"),
            -S("p") / (eta * e * vc(1)), setup=HELD, reading="v_1^c, dE/dY and the gates are held constant"),
        _eq("eq. 28, line 3", r"P = \int \frac{-p}{\eta \frac{dE}{dY}.v_1^c}.dw_5", S("dP"),
            -S("p") / (eta * e * vc(1)), setup=HELD, reading=integral),
        _eq("eq. 29, line 1, reading 1",
            rf"P = \int \frac{{\frac{{\eta \frac{{dE}}{{dY}}.w_5'^2(x_1^2 + x_2^2)({both})}}{{v_1^c}}}}"
            r"{\eta \frac{dE}{dY}.v_1^c}.dw_5'", S("dP"), eta * e * w**2 * norm() / vc(1) / (eta * e * vc(1)), *active,
            setup=HELD, reading=f"a fraction over a fraction; {integral}"),
        _eq("eq. 29, line 1, reading 2",
            rf"P = \int \frac{{\eta \frac{{dE}}{{dY}}.w_5'^2(x_1^2 + x_2^2)({both})}}"
            r"{v_1^c.\eta \frac{dE}{dY}.v_1^c.v_1^c}.dw_5'", S("dP"),
            eta * e * w**2 * norm() / (vc(1) * eta * e * vc(1) * vc(1)), *active,
            setup=HELD, reading=f"one fraction, v_1^c three times below; {integral}"),
        _eq("eq. 29, line 2", rf"P = \int \frac{{w_5'^2(x_1^2 + x_2^2)({both})}}{{v_1^c.v_1^c}}.dw_5'", S("dP"),
            w**2 * norm() / (vc(1) * vc(1)), *active, setup=HELD, reading=integral),
        _eq("eq. 29, line 3, reading 1", rf"P = \frac{{w_5'^3(x_1^2 + x_2^2)({both})}}{{3v_1^c.v_1^c}}", S("dP"),
            derivative(grown), *active, setup=HELD, reading=primitive),
        _eq("eq. 29, line 3, reading 2", rf"P = \frac{{w_5'^3(x_1^2 + x_2^2)({both})}}{{3v_1^c.v_1^c}}", S("P"), grown,
            *active, setup=HELD, reading=start,
            instead=Claim(S("P"), (w**3 - S("w5") ** 3) * norm() / (num(3) * vc(1) * vc(1)), (s(1) > 0, s(1, 1) > 0))),
        _eq("eq. 30, line 1", rf"P = \int \frac{{w_5'({both})}}{{\eta \frac{{dE}}{{dY}}.v_1^c}}.dw_5'", S("dP"),
            w / (eta * e * vc(1)), *active, setup=HELD, reading=integral),
        _eq("eq. 30, line 2, reading 1", rf"P = \frac{{w_5'^2({both})}}{{2\eta \frac{{dE}}{{dY}}.v_1^c}}", S("dP"),
            derivative(died), *active, setup=HELD, reading=primitive),
        _eq("eq. 30, line 2, reading 2", rf"P = \frac{{w_5'^2({both})}}{{2\eta \frac{{dE}}{{dY}}.v_1^c}}", S("P"), died,
            *active, setup=HELD, reading=start,
            instead=Claim(S("P"), (w**2 - S("w5") ** 2) / (num(2) * eta * e * vc(1)), (s(1) > 0, s(1, 1) <= 0))),
    ]  # fmt: skip


def _second_step() -> list[Row]:
    w5, w6, p, q = S("w5", 1), S("w6", 1), S("p"), S("q")
    active = (s(1) >= 0, s(1, 1) >= 0)
    e_next = S("e", 1)
    output = vc(1) * w5 + vc(1) * p + vc(2) * w6 + vc(2) * q - S("yg")
    printed = r"(v_1^c w_5' + v_1^c p + v_2^c w_6' + v_2^c q - y_g)"
    where = r" \quad (s_1 \geq 0,\ s_1' \geq 0)"
    rows = [
        _eq("p", r"p = -\eta \frac{dE}{dy} w_5'^2 \frac{(x_1^2 + x_2^2)}{v_1^c}" + where, p,
            -(eta * e * w5**2 * (norm() / vc(1))), *active),
        _eq("q", r"q = -\eta \frac{dE}{dy} w_6'^2 \frac{(x_1^2 + x_2^2)}{v_2^c}" + where, q,
            -(eta * e * w6**2 * (norm() / vc(2))), *active, s(2) >= 0, s(2, 1) >= 0,
            reading="the condition of the text, for unit 2 as well"),
        _eq("y'", r"y' = (w_5' + p)v_1^c + (w_6' + q)v_2^c" + where, S("y", 1),
            (w5 + p) * vc(1) + (w6 + q) * vc(2), *active),
        _eq("dE'/dy", r"\frac{dE'}{dy} = y' - y_g", e_next, S("y", 1) - S("yg"), *active, setup=AGAIN),
        _eq("w_5'' (a)", r"w_5'' = w_5' - \eta \frac{dE'}{dy} v_1'", S("w5", 2), w5 - eta * e_next * v(1, 1), *active,
            setup=AGAIN),
        _eq("w_5'' (b)", rf"w_5'' = w_5' - \eta {printed}(v_1^c - p v_1^c)", S("w5", 2),
            w5 - eta * output * (vc(1) - p * vc(1)), *active, setup=AGAIN),
        _eq("w_6'' (a)", r"w_6'' = w_6' - \eta \frac{dE'}{dy} v_1'", S("w6", 2), w6 - eta * e_next * v(1, 1), *active,
            setup=AGAIN),
        _eq("w_6'' (b)", rf"w_6'' = w_6' - \eta {printed}(v_2^c - q v_2^c)", S("w6", 2),
            w6 - eta * output * (vc(2) - q * vc(2)), *active, s(2) >= 0, s(2, 1) >= 0, setup=AGAIN,
            reading="the condition of the text, for unit 2 as well"),
    ]  # fmt: skip
    more, next_p, next_q = S("p", 0, "@"), S("p", 0, "@"), S("q", 0, "@")
    at = v(1, 0, "@")
    rows += [
        _eq("eq. 31, line 1", r"v_1^{@'} w_5' = (w_5' + p + p^@) v_1^@", v(1, 1, "@") * w5, (w5 + p + more) * at,
            *active, introduces="p"),
        _eq("eq. 31, line 2", r"-\eta \frac{dE}{dy} w_5'^2 (x_1 x_1^@ + x_2 x_2^@) = p^@ (w_1 x_1^@ + w_2 x_2^@) + "
            r"p (w_1 x_1^@ + w_2 x_2^@)", -(eta * e * w5**2 * inner("", "@")),
            more * dot("w1", "w2", "@") + p * dot("w1", "w2", "@"), *active),
        _eq("eq. 31, line 3", r"p^@ = p - \eta \frac{dE}{dy} w_5'^2 \frac{(x_1 x_1^@ + x_2 x_2^@)}{v_1^@}", next_p,
            p - eta * e * w5**2 * (inner("", "@") / at), *active),
        _eq("eq. 31, line 4", r"q^@ = q - \eta \frac{dE}{dy} w_6'^2 \frac{(x_1 x_1^@ + x_2 x_2^@)}{v_2^@}", next_q,
            q - eta * e * w6**2 * (inner("", "@") / v(2, 0, "@")), s(2) >= 0, s(2, 1) >= 0,
            reading="the condition of the text, for unit 2"),
    ]  # fmt: skip
    return rows


def _rows() -> tuple[Row, ...]:
    return (
        *_main_text(),
        *_formalization(),
        *_network(),
        *_after_the_step(),
        *_eq_21(),
        *_compensation(),
        *_formula_for_p(),
        *_gradient_is_p(),
        *_integral(),
        *_series_rows(),
        *_second_step(),
        *_claims()[:1],
        *_eq_32(),
        *_claims()[1:],
    )


ROWS: tuple[Row, ...] = _rows()
