"""Formulas in the readable notation, as text: delta2[k] = (y[k] - y_g[k])*g2[k], E = (1/2)*sum(k: (y[k] - y_g[k])**2).

Numbers, names with indices in brackets, + - * / ** (or ^), parentheses, sum(j: ...), max(j: ...), min(j: ...), and the
smooth functions and activations of the network by name, phi(s) and phi'(s). An index is a letter, or a position from 1.
A formula becomes nested tuples; nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from fcsym.errors import ArgumentError, shown

__all__ = ["Formula", "Name", "equation", "indices", "letters", "names", "value"]

Formula: TypeAlias = "tuple[Any, ...]"
"""("number", n), ("name", text, indices), ("add" | "mul", parts), ("neg" | "inv", part), ("pow", part, n),
("sum" | "max" | "min", letters, body), ("call", function, slope, argument)."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z]\w*'*)|(?P<sign>\*\*|[-+*/^()\[\],:=]))",
    re.ASCII,
)
_MAX = 2000  # characters
_DEEP = 60


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is written, with its indices: letters, or positions from 1."""

    text: str
    indices: tuple[str | int, ...]


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                self.fail(f"{text[at : at + 10].strip()!r} is no part of a formula")
            assert found is not None and found.lastgroup is not None
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self.at = 0
        self.depth = 0

    def fail(self, what: str) -> None:
        raise ArgumentError(
            f"The formula {shown(self.text, 60)!r} is not understood ({what}): write it as in "
            "y[k] = sum(j: W2[k,j]*v1[j])."
        )

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if not token or (expected and token != expected):
            self.fail(f"{expected or 'more'} is expected {'before ' + repr(token) if token else 'at the end'}")
        self.at += 1
        return token

    def total(self) -> Formula:
        self.depth += 1
        if self.depth > _DEEP:
            self.fail("it is nested too deep")
        parts = [self.product()]
        while self.peek() in ("+", "-"):
            sign = self.take()
            part = self.product()
            parts.append(part if sign == "+" else ("neg", part))
        self.depth -= 1
        return parts[0] if len(parts) == 1 else ("add", tuple(parts))

    def product(self) -> Formula:
        parts = [self.signed()]
        while self.peek() in ("*", "/"):
            sign = self.take()
            part = self.signed()
            parts.append(part if sign == "*" else ("inv", part))
        return parts[0] if len(parts) == 1 else ("mul", tuple(parts))

    def signed(self) -> Formula:
        if self.peek() == "-":
            self.take()
            self.depth += 1
            if self.depth > _DEEP:
                self.fail("it is nested too deep")
            inner = self.signed()
            self.depth -= 1
            return "neg", inner
        if self.peek() == "+":
            self.take()
        return self.powered()

    def powered(self) -> Formula:
        base = self.atom()
        if self.peek() in ("**", "^"):
            self.take()
            sign = -1 if self.peek() == "-" else 1
            if sign < 0:
                self.take()
            exponent = self.take()
            if not exponent.isdigit() or int(exponent) > 12:
                self.fail("an exponent is a whole number up to 12")
            return "pow", base, sign * int(exponent)
        return base

    def atom(self) -> Formula:
        token = self.take()
        kind = self.tokens[self.at - 1][0]
        if token == "(":
            inner = self.total()
            self.take(")")
            return inner
        if kind == "number":
            if "e" in token.lower() and abs(int(re.split("[eE]", token)[1])) > 400:
                self.fail(f"{token} is out of range")
            return "number", Fraction(token)
        if kind != "name":
            self.fail(f"{token!r} stands where a name or a number should")
        if token in ("sum", "max", "min") and self.peek() == "(":
            return self.over(token)
        if self.peek() == "(":
            self.take()
            argument = self.total()
            self.take(")")
            return "call", token.rstrip("'"), token.count("'"), argument
        return "name", token, self.indices()

    def over(self, head: str) -> Formula:
        self.take("(")
        over = [self.letter()]
        while self.peek() == ",":
            self.take()
            over.append(self.letter())
        self.take(":")
        body = self.total()
        self.take(")")
        return head, tuple(over), body

    def letter(self) -> str:
        token = self.take()
        if not re.fullmatch("[A-Za-z]", token):
            self.fail(f"{token!r} is no index letter")
        return token

    def indices(self) -> tuple[str | int, ...]:
        if self.peek() != "[":
            return ()
        self.take()
        found: list[str | int] = []
        while True:
            token = self.take()
            if token.isdigit() and len(token) > 9:
                self.fail("an index is out of range")
            found.append(int(token) if token.isdigit() else token)
            if not (token.isdigit() or re.fullmatch("[A-Za-z]", token)):
                self.fail(f"{token!r} is no index")
            if self.take() == "]":
                return tuple(found)
            if self.tokens[self.at - 1][1] != ",":
                self.fail("indices are separated by commas")


def equation(text: str) -> tuple[Formula, Formula]:
    """ "a = b" => both sides. Raises ArgumentError, one sentence, for anything that is no equation."""
    if len(text) > _MAX:
        raise ArgumentError(f"The formula has {len(text)} characters: at most {_MAX} are read.")
    parser = _Parser(text)
    left = parser.total()
    parser.take("=")
    right = parser.total()
    if parser.peek():
        parser.fail(f"{parser.peek()!r} is left over")
    return left, right


def names(formula: Formula) -> Iterator[Name]:
    """Every name in a formula."""
    match formula:
        case ("name", text, indices):
            yield Name(text, indices)
        case ("add" | "mul", parts):
            for part in parts:
                yield from names(part)
        case ("neg" | "inv", part) | ("pow", part, _) | ("sum" | "max" | "min", _, part) | ("call", _, _, part):
            yield from names(part)


def indices(formula: Formula) -> Iterator[str]:
    """Every letter of an index, bound by a sum or not."""
    match formula:
        case ("name", _, found):
            yield from (index for index in found if isinstance(index, str))
        case ("add" | "mul", parts):
            for part in parts:
                yield from indices(part)
        case ("sum" | "max" | "min", over, part):
            yield from over
            yield from indices(part)
        case ("neg" | "inv", part) | ("pow", part, _) | ("call", _, _, part):
            yield from indices(part)


def letters(formula: Formula, bound: frozenset[str] = frozenset()) -> set[str]:
    """The letters of the indices that no sum binds."""
    match formula:
        case ("name", _, indices):
            return {index for index in indices if isinstance(index, str)} - bound
        case ("add" | "mul", parts):
            return set().union(*(letters(part, bound) for part in parts))
        case ("sum" | "max" | "min", over, part):
            return letters(part, bound | set(over))
        case ("neg" | "inv", part) | ("pow", part, _) | ("call", _, _, part):
            return letters(part, bound)
    return set()


def value(
    formula: Formula, at: Mapping[str, int], lengths: Mapping[str, int],
    element: Callable[[str, tuple[int, ...]], Any], call: Callable[[str, int, Any], Any],
) -> Any:  # fmt: skip
    """The value with the free letters `at` positions from 0; None where something in it has none.

    `lengths`: of the axis that each letter runs over. `element`: a name and its positions => a number.
    """

    def of(node: Formula, bound: Mapping[str, int]) -> Any:
        match node:
            case ("number", number):
                return number
            case ("name", text, indices):
                return element(text, tuple(bound[i] if isinstance(i, str) else i - 1 for i in indices))
            case ("neg", part):
                inner = of(part, bound)
                return None if inner is None else -inner
            case ("inv", part):
                inner = of(part, bound)
                return None if inner is None or inner == 0 else Fraction(1) / inner
            case ("pow", part, exponent):
                inner = of(part, bound)
                if inner is None or (exponent < 0 and inner == 0):
                    return None
                result = Fraction(1)
                for _ in range(abs(exponent)):
                    result = result * inner
                return result if exponent >= 0 else Fraction(1) / result
            case ("add" | "mul" as head, parts):
                return combined(head, [of(part, bound) for part in parts])
            case ("sum" | "max" | "min" as head, over, body):
                every = [bound]
                for letter in over:
                    every = [{**one, letter: n} for one in every for n in range(lengths[letter])]
                found = [of(body, one) for one in every]
                if head == "sum":
                    return combined("add", found)
                return None if None in found else (max if head == "max" else min)(found)
            case ("call", function, slope, argument):
                inner = of(argument, bound)
                return None if inner is None else call(function, slope, inner)
        raise AssertionError(node)

    return of(formula, at)


def combined(head: str, parts: list[Any]) -> Any:
    """The sum or the product of some numbers; None where one has no value."""
    if any(part is None for part in parts):
        return None
    result = parts[0]
    for part in parts[1:]:
        result = result + part if head == "add" else result * part
    return result
