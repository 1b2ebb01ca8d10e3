"""Formulas as they are printed, read back as people read them: they have the value of the expression."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fcsym.certificates.orders import in_order_of
from fcsym.collapsing.rewriting import fewer
from fcsym.language.algebra import equal, expand
from fcsym.language.expression import Array, Axis, Index, Role, Total, add, mul, number, power, total
from fcsym.language.instance import Instance, exact_field
from fcsym.networks.symbols import units
from fcsym.render.formula import expression, value, width

LETTERS = {name: Array(name, None, ()) for name in "ABCDE"}
NUMBERS = dict(zip(LETTERS, map(Fraction, ("3", "-5", "7/2", "11", "-13/3")), strict=True))
J = Index(units(1), "j")
OVER = 3
"""What a sum runs over, none of whose terms depends on it: so many times the term."""

TOKEN = re.compile(
    r"\s+|(?P<number>\d+)|(?P<letter>[A-E])|(?P<sum>\\sum_\{[a-z,]+\})|(?P<frac>\\frac)|(?P<root>\\sqrt)"
    r"|(?P<layout>\\(?:left|right|bigl|bigr|begin\{aligned\}|end\{aligned\}|quad)|&|\\\\|\\(?:,|;|cdot)|\{\})"
    r"|(?P<mark>[-+^(){}])"
)


class Reader:
    """Sums of products of powers; what stands beside each other is multiplied, and layout means nothing."""

    def __init__(self, text):
        found = [match for match in TOKEN.finditer(text)]
        assert "".join(match.group() for match in found) == text, text
        self.tokens = [(m.lastgroup, m.group()) for m in found if m.lastgroup not in (None, "layout")]
        result = self.added()
        assert not self.tokens, self.tokens
        self.result = result

    @property
    def next(self):
        return self.tokens[0][1] if self.tokens else ""

    def take(self, *wanted):
        """The next token, which is one of these."""
        found = self.tokens.pop(0)[1]
        assert not wanted or found in wanted, (found, wanted)
        return found

    def added(self):
        result = Fraction(0)
        sign = self.take() if self.next in ("+", "-") else "+"
        while True:
            term = self.multiplied()
            result += term if sign == "+" else -term
            if self.next not in ("+", "-"):
                return result
            sign = self.take()

    def multiplied(self):
        result = self.raised()
        while self.tokens and self.next not in ("+", "-", ")", "}"):
            result *= self.raised()
        return result

    def raised(self):
        base = self.one()
        if self.next != "^":
            return base
        self.take()
        return base ** int(self.group()) if self.next == "{" else base ** int(self.take())

    def group(self):
        self.take("{")
        result = self.added()
        self.take("}")
        return result

    def one(self):
        if self.next == "{":
            return self.group()
        kind, text = self.tokens.pop(0)
        if kind == "number":
            return Fraction(text)
        if kind == "letter":
            return NUMBERS[text]
        if kind == "sum":
            return Fraction(OVER)
        if kind == "frac":
            return self.group() / self.group()
        assert text == "(", text
        result = self.added()
        self.take(")")
        return result


def true(node):
    """An expression of these letters."""
    return Instance({}, {J.axis: OVER}, lambda array, _: NUMBERS[array.name], exact_field()).value(node, {})


expressions = st.recursive(
    st.sampled_from([*(array[()] for array in LETTERS.values()), number(2), number(Fraction(-1, 3)), number(-1)]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: add(*parts)),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: mul(*parts)),
        st.tuples(inner, st.sampled_from([2, 3, -1, -2])).map(lambda pair: power(*pair)),
        inner.map(lambda node: total(J, node)),
    ),
    max_leaves=10,
)


def known(node):
    try:
        return true(node)
    except ZeroDivisionError:
        assume(False)


@given(expressions, st.sampled_from([2, 5, 9, 14, 20, 30, 62]))
def test_a_formula_is_read_back(node, room):
    """In one line, and broken into lines as narrow as they get; with no bracket or exponent that says nothing."""
    wanted = known(node)
    assert Reader(expression(node)).result == wanted
    assert "^{1}" not in expression(node)
    assert not re.search(r"\{\\left\([^()]*\\right\)\}", expression(node)), expression(node)
    text = value(node, room)
    assert Reader(text).result == wanted, text
    assert ("aligned" in text) <= (width(node) > room)


@pytest.mark.parametrize("coefficient", ["3", "-3", "3/7", "-1/7", "22/7", "1", "-1"])
def test_coefficients_stand_in_front(coefficient):
    """3 A over 7 B, and no A 3 over B 7."""
    wanted, a, b, c = Fraction(coefficient), *(LETTERS[name][()] for name in "ABC")
    for above, below in [((a,), (b,)), ((a, c), (b,)), ((), (b, c))]:
        text = expression(mul(number(wanted), *above, *(power(one, -1) for one in below)))
        sign, over, under = re.fullmatch(r"(-?)\\frac\{(.*)\}\{(.*)\}", text).groups()
        found = [re.fullmatch(r"(\d*)(\D*)", part).groups() for part in (over, under)]
        assert [int(number or 1) for number, _ in found] == [abs(wanted.numerator), wanted.denominator]
        assert (sign == "-") is (wanted < 0)
        assert [re.findall("[A-E]", rest) for _, rest in found] == [
            [x.array.name for x in part] for part in (above, below)
        ]


A1, B1 = Axis("a"), Axis("b")
P, Q = Array("P", None, (A1, A1)), Array("Q", None, (A1, B1))
R, S = Array("R", None, (B1,)), Array("S", None, (A1,))


def seen(ref):
    """An element, as itself."""
    return ref.array, ref.indices


def same(node):
    """What nothing is put in for."""
    return node


@given(st.permutations(range(4)), st.permutations(range(4)), st.booleans())
def test_sums_are_put_in_the_order_of_others(order, names, alone):
    """sum i, j, k, l: P[i, j] Q[j, k] R[l] S[i], however its sums stand and whatever they are called."""
    axes = (A1, A1, B1, B1)
    mine = [Index(axis, f"m{n}") for n, axis in enumerate(axes)]
    # an index is named after another place of its axis, as people do who begin anew with i and j
    theirs = [Index(axis, f"t{names[n]}") for n, axis in enumerate(axes)]

    def product_of(i, j, k, l):  # noqa: E741
        return mul(P[i, j], Q[j, k], R[l], S[i])

    left = total([theirs[n] for n in order], product_of(*theirs))
    right = total(mine, product_of(*mine))
    other = total(mine[:2], mul(P[mine[0], mine[1]], S[mine[1]]))
    found = in_order_of(right if alone else add(right, other), left, same, seen)
    made = found if alone else next(term for term in found.terms if term != other)
    assert equal(made, right)
    assert isinstance(made, Total)
    for axis in (A1, B1):  # those of each axis among themselves: an axis stays where it is
        assert [i for i in made.over if i.axis == axis] == [mine[n] for n in order if axes[n] == axis]


def test_sums_without_their_like_stay():
    """Another array, an index that is bound on one side alone, and two that are one."""
    i, j, k, b = *(Index(A1, letter) for letter in "ijk"), Index(B1, "b")
    node = total([i, j], mul(P[i, j], P[k, i]))
    for left in (
        total([j, i], mul(P[i, j], P[i, k])),
        total([j, i, k], mul(P[i, j], P[k, i])),
        total([j, i], mul(Q[i, b], P[k, i])),
        total(j, mul(P[i, j], P[k, i])),
        total([j, i], mul(P[i, j], P[j, i])),
        total([j, i], mul(P[i, j], P[k, i], S[k])),
    ):
        assert in_order_of(node, left, same, seen) == node
    node_of_one = total([i, j], mul(P[i, j], S[i]))
    for left in (total([j, i], mul(P[i, j], S[j])), total([j, i, k], mul(P[i, j], S[k]))):
        assert in_order_of(node_of_one, left, same, seen) == node_of_one
    turned = in_order_of(node, total([j, i], mul(P[i, j], P[k, i])), same, seen)
    assert turned == total([j, i], mul(P[i, j], P[k, i]))


def test_the_one_of_a_unit_is_left_out_beside_what_the_unit_has():
    """one[c, j] is 1 or 0: its square is itself, and what is 0 without it needs it no more."""
    axes = Axis("c"), Axis("n_1")
    c, j = Index(axes[0], "c"), Index(axes[1], "j")
    one, w, g = Array("one", 1, axes, role=Role.UNIT), Array("w", 1, axes), Array("g", 1, axes[:1])
    for node, wanted in [
        (mul(one[c, j], w[c, j]), w[c, j]),
        (power(one[c, j], 2), one[c, j]),
        (mul(one[c, j], power(w[c, j], 2), g[c]), mul(power(w[c, j], 2), g[c])),
        (mul(one[c, j], g[c]), mul(one[c, j], g[c])),
        (mul(power(w[c, j], 3), g[c]), mul(power(w[c, j], 3), g[c])),
        (total(j, mul(one[c, j], power(g[c], 2))), mul(total(j, one[c, j]), power(g[c], 2))),
    ]:
        ((monomial, coefficient),) = expand(node).items()
        assert coefficient == 1 and equal(fewer(monomial), wanted), node


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_a_sum_that_is_broken_keeps_its_power(exponent):
    """A product with a sum too wide for a line: the power is written once, and a first power is not."""
    a, b, c, d, e = (array[()] for array in LETTERS.values())
    wide = add(mul(a, b, c, d), mul(b, c, d, e), mul(c, d, e, a), mul(d, e, a, b))
    node = mul(a, power(wide, exponent))
    text = value(node, 9)
    assert r"\bigl(" in text and text.count("^") == (exponent > 1)
    assert Reader(text).result == true(node) == true(a) * true(wide) ** exponent


@pytest.mark.parametrize("exponent", [2, 3, Fraction(1, 2)])
def test_a_power_is_wider_than_its_base(exponent):
    for base in (LETTERS["A"][()], add(LETTERS["A"][()], LETTERS["B"][()])):
        assert width(base) < width(power(base, exponent)) < width(base) + 3
