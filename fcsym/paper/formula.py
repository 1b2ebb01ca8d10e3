"""Printed formulas as trees: the small language in which the paper's equations are written down.

    S("w5", 1) - eta * S("e") * S("v1")        w_5' - eta dE/dY v_1
    relu(S("s1"))                              RELU(s_1)
    Iverson(S("s1") > 0)                       the factor (s_1 > 0): 1 where it holds, 0 elsewhere

A tree keeps the form in which it is printed: nothing is folded, expanded or sorted, so that one printed sign is one
node. It is data. No text is ever read as a formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

__all__ = ["Claim", "Condition", "Node", "S", "iverson", "latex", "nodes", "num", "plain", "relu", "text"]

Operand: TypeAlias = "Node | int | Fraction"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation with its operands, a symbol, or a number."""

    head: str  # "num", "sym", "+", "*", "/", "neg", "^", "relu", "if", "sum", "other", "d"
    args: tuple[Node, ...] = ()
    name: str = ""  # of a symbol; the relation of an "if"
    primes: int = 0
    mark: str = ""  # which input a symbol belongs to: "", "@", "*", "#"
    value: Fraction = Fraction(0)  # of a number; the exponent of a "^"
    when: tuple[Condition, ...] = ()  # of an "if"

    def __add__(self, other: Operand) -> Node:
        mine = self.args if self.head == "+" else (self,)
        return Node("+", (*mine, num(other)))

    def __sub__(self, other: Operand) -> Node:
        return self + Node("neg", (num(other),))

    def __mul__(self, other: Operand) -> Node:
        mine = self.args if self.head == "*" else (self,)
        return Node("*", (*mine, num(other)))

    def __rmul__(self, other: Operand) -> Node:
        return num(other) * self

    def __truediv__(self, other: Operand) -> Node:
        return Node("/", (self, num(other)))

    def __neg__(self) -> Node:
        return Node("neg", (self,))

    def __pow__(self, exponent: int) -> Node:
        return Node("^", (self,), value=Fraction(exponent))

    def __gt__(self, other: Operand) -> Condition:
        return Condition(self, ">", num(other))

    def __ge__(self, other: Operand) -> Condition:
        return Condition(self, ">=", num(other))

    def __lt__(self, other: Operand) -> Condition:
        return Condition(self, "<", num(other))

    def __le__(self, other: Operand) -> Condition:
        return Condition(self, "<=", num(other))

    def differs(self, other: Operand) -> Condition:
        """self != other, as a condition."""
        return Condition(self, "!=", num(other))

    def equals(self, other: Operand) -> Condition:
        """self = other, as a condition."""
        return Condition(self, "=", num(other))

    def prime(self, count: int = 1) -> Node:
        """The same symbol after `count` more steps."""
        return replace(self, primes=self.primes + count)

    def at(self, mark: str) -> Node:
        """The same symbol for another input."""
        return replace(self, mark=mark)

    def __str__(self) -> str:
        return text(self)


@dataclass(frozen=True, slots=True)
class Condition:
    """left relation right; one that is printed, or one that is found."""

    left: Node
    relation: str  # ">", ">=", "<", "<=", "=", "!="
    right: Node

    def __str__(self) -> str:
        return f"{text(self.left)} {self.relation} {text(self.right)}"


@dataclass(frozen=True, slots=True)
class Claim:
    """left = right wherever all of `when` hold."""

    left: Node
    right: Node
    when: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        where = f"  where {' and '.join(map(str, self.when))}" if self.when else ""
        return f"{text(self.left)} = {text(self.right)}{where}"


def num(value: Operand) -> Node:
    """A number as a tree; a tree as it is."""
    return value if isinstance(value, Node) else Node("num", value=Fraction(value))


def S(name: str, primes: int = 0, mark: str = "") -> Node:
    """A symbol of the paper, after so many steps, for that input."""
    return Node("sym", name=name, primes=primes, mark=mark)


def relu(argument: Node) -> Node:
    """RELU(argument)."""
    return Node("relu", (argument,))


def iverson(*when: Condition) -> Node:
    """The condition as a factor: 1 where all hold, 0 elsewhere."""
    return Node("if", when=when)


def series(body: Node) -> Node:
    """The sum from 1 to n."""
    return Node("sum", (body,))


def other(body: Node) -> Node:
    """The same quantity in a network with another first layer and everything else equal."""
    return Node("other", (body,))


def derivative(body: Node) -> Node:
    """The derivative with respect to w_5', everything else held constant."""
    return Node("d", (body,))


def nodes(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in node.args:
        yield from nodes(child)
    for condition in node.when:
        yield from nodes(condition.left)
        yield from nodes(condition.right)


def plain(node: Node) -> Any:
    """Nested tuples of text and fractions: the form in which a formula leaves the engine."""
    match node.head:
        case "num":
            return node.value
        case "sym":
            return ("sym", node.name, node.primes, node.mark)
        case "^":
            return ("^", plain(node.args[0]), int(node.value))
        case "if":
            return ("if", *(plain_condition(condition) for condition in node.when))
    return (node.head, *map(plain, node.args))


def plain_condition(condition: Condition) -> Any:
    """A condition as nested tuples."""
    return (condition.relation, plain(condition.left), plain(condition.right))


# ---------------------------------------------------------------------------------------------------- printing

_SUM, _PRODUCT, _ATOM = range(3)
_ASCII = {"e": "dE/dY", "yg": "y_g", "en": "dE/dY_n", "dP": "dP/dw_5"}
_LATEX = {
    "e": r"\frac{dE}{dY}", "eta": r"\eta", "yg": "y_g", "en": r"\frac{dE}{dY_n}", "dP": r"\frac{dP}{dw_5}",
    "An-1": "A_{n-1}", "Bn-1": "B_{n-1}",
}  # fmt: skip


def _ascii_name(name: str) -> str:
    if name in _ASCII:
        return _ASCII[name]
    if name.startswith("dEd"):
        return f"dE/d{_ascii_name(name[3:])}"
    if name.endswith("-1"):
        return f"{name[0]}_(n-1)"
    head = "".join(c for c in name if not c.isdigit())
    digits = "".join(c for c in name if c.isdigit())
    if digits:
        before, after = name.split(digits)
        tail = "^c" if after == "c" and before == "v" else after
        return f"{before}_{digits}{tail}"
    return f"{head[0]}_{head[1:]}" if head in ("An", "Bn") else head


def _latex_name(node: Node) -> tuple[str, str]:
    """The letter with its subscript, and the superscript that it has of its own."""
    name = node.name
    if name in _LATEX:
        return _LATEX[name], ""
    if name.startswith("dEd"):
        return rf"\frac{{dE}}{{d{name[3]}_{name[4:]}}}", ""
    digits = "".join(c for c in name if c.isdigit())
    if digits:
        before, after = name.split(digits)
        if after == "c" and before == "v":
            return f"v_{digits}", "c"
        return f"{before}_{{{digits}{after}}}" if after else f"{before}_{digits}", ""
    return (f"{name[0]}_{name[1:]}" if name in ("An", "Bn") else name), ""


def text(node: Node) -> str:
    """`w_5' - eta*dE/dY*v_1`."""
    return _text(node)[0]


def _text(node: Node) -> tuple[str, int]:
    match node.head:
        case "num":
            return str(node.value), _ATOM if node.value.denominator == 1 else _PRODUCT
        case "sym":
            name = _ascii_name(node.name) + "'" * node.primes + node.mark
            return name, _PRODUCT if "/" in name else _ATOM
        case "+":
            result = ""
            for child in node.args:
                negative = child.head == "neg"
                inner = _within(child.args[0], _PRODUCT) if negative else _within(child, _PRODUCT)
                result += (" - " if negative else " + ") + inner
            return result[3:] if result.startswith(" + ") else f"-{result[3:]}", _SUM
        case "neg":
            return f"-{_within(node.args[0], _PRODUCT)}", _SUM
        case "*":
            return "*".join(
                _within(child, _ATOM if "/" in _text(child)[0] else _PRODUCT) for child in node.args
            ), _PRODUCT
        case "/":
            return f"{_within(node.args[0], _PRODUCT)}/{_within(node.args[1], _ATOM)}", _PRODUCT
        case "^":
            return f"{_within(node.args[0], _ATOM)}^{node.value}", _ATOM
        case "if":
            return f"[{' and '.join(map(str, node.when))}]", _ATOM
    words = {"relu": "RELU", "sum": "sum_1^n", "other": "for another W_1: ", "d": "d/dw_5' "}
    return f"{words[node.head]}({text(node.args[0])})", _ATOM


def _within(node: Node, level: int) -> str:
    said, own = _text(node)
    return said if own >= level else f"({said})"


_RELATION = {">": ">", ">=": r"\ge", "<": "<", "<=": r"\le", "=": "=", "!=": r"\ne"}


def latex(node: Node) -> str:
    """The formula as LaTeX."""
    return _latex(node)[0]


def latex_condition(condition: Condition) -> str:
    """The condition as LaTeX."""
    return f"{latex(condition.left)} {_RELATION[condition.relation]} {latex(condition.right)}"


def latex_claim(claim: Claim) -> str:
    """The claim as LaTeX, its conditions behind it."""
    where = r",\ ".join(map(latex_condition, claim.when))
    return f"{latex(claim.left)} = {latex(claim.right)}" + (rf"\quad ({where})" if where else "")


def _latex(node: Node) -> tuple[str, int]:
    match node.head:
        case "num":
            size = abs(node.value)
            sign = "-" if node.value < 0 else ""
            whole = (
                f"{size.numerator}" if size.denominator == 1 else rf"\frac{{{size.numerator}}}{{{size.denominator}}}"
            )
            return sign + whole, _ATOM
        case "sym":
            base, upper = _latex_name(node)
            marks = upper + r"\prime" * node.primes
            marks += f"{' ' if node.primes and node.mark else ''}" + {"#": r"\#"}.get(node.mark, node.mark)
            return base + (f"^{{{marks}}}" if marks else ""), _ATOM
        case "+":
            result = ""
            for child in node.args:
                negative = child.head == "neg"
                result += (" - " if negative else " + ") + _inside(child.args[0] if negative else child, _PRODUCT)
            return result[3:] if result.startswith(" + ") else f"-{result[3:]}", _SUM
        case "neg":
            return f"-{_inside(node.args[0], _PRODUCT)}", _SUM
        case "*":
            return r" ".join(_inside(child, _PRODUCT) for child in node.args), _PRODUCT
        case "/":
            return rf"\frac{{{latex(node.args[0])}}}{{{latex(node.args[1])}}}", _ATOM
        case "^":
            below = node.args[0]
            inner = f"{{{latex(below)}}}" if below.head == "sym" else _inside(below, _ATOM)
            if below.head in ("*", "/"):
                inner = rf"\left({latex(below)}\right)"
            return f"{inner}^{{{node.value}}}", _ATOM
        case "if":
            conditions = r",\ ".join(map(latex_condition, node.when))
            return rf"\left({conditions}\right)", _ATOM
        case "relu":
            return rf"\mathrm{{RELU}}\left({latex(node.args[0])}\right)", _ATOM
        case "sum":
            return rf"\sum_1^n {_inside(node.args[0], _PRODUCT)}", _PRODUCT
        case "d":
            return rf"\frac{{d}}{{dw_5^{{\prime}}}}\left({latex(node.args[0])}\right)", _ATOM
        case "other":
            return rf"\left.{latex(node.args[0])}\right|_{{\text{{another }} W_1}}", _ATOM
    raise TypeError(f"{node.head} has no LaTeX form.")


def _inside(node: Node, level: int) -> str:
    said, own = _latex(node)
    return said if own >= level else rf"\left({said}\right)"
