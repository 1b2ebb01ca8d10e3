"""Formulas as they are printed, read back as people read them: they have the value of the expression."""

from __future__ import annotations

import re
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from fcsym.language.expression import Array, Index, add, mul, number, power, total
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
    """In one line, and broken into lines as narrow as they get."""
    wanted = known(node)
    assert Reader(expression(node)).result == wanted
    text = value(node, room)
    assert Reader(text).result == wanted, text
    assert ("aligned" in text) <= (width(node) > room)
