"""Expressions as Coq terms: arrays are functions of natural numbers, sums are finite sums.

    sum(j: W1[i, j]*x[j])   =>   sum n_0 (fun j => W1 i j * x j)
    relu'(s1[i])            =>   slope_relu (s1 i)

A name becomes a Coq identifier or is refused: nothing that a user has written is put into a file as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import TypeAlias

from fcsym.errors import ArgumentError, shown
from fcsym.language.activation import Activation
from fcsym.language.decision import Decision, Tree
from fcsym.language.equation import Condition
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    IndexForm,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
)

__all__ = ["ATOM", "LETTERS", "POWER", "Printer", "identifier", "number", "remark"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_TAKEN = frozenset({
    "as", "at", "cofix", "else", "end", "exists", "exists2", "fix", "for", "forall", "fun", "if", "IF", "in", "let",
    "match", "mod", "return", "then", "using", "where", "with", "Prop", "Set", "Type", "SProp",
    "R", "nat", "bool", "True", "False", "not", "and", "or", "ex", "exp", "ln", "sqrt", "derivable_pt_lim",
    "Rlt_dec", "Rle_dec", "Req_EM_T", "sum", "kron", "greatest", "least", "t0",
    "theorems", "nothing", "also", "everything", "all_curves", "all_carried",
})  # fmt: skip
"""What Coq, or the head of every file, means by a name already."""

_LIBRARY = re.compile(
    r"[SOI]|INR|IZR|pow|pred|plus|mult|eq|eq_\w+|R[a-z]+(_\w+)?|(derivable|derivative|functional|sum)_\w+"
)
"""What the head of a file, its scripts and Coq's library call what they use."""

_MADE = re.compile(
    r"(eq|share|K|M|phi|slope|flat|above|nonzero|some|n|start|kept|expand|read|all|never)_\w+"
    r"|\w+_(of|is|at|dot|never|covered|excluded|solves|defined|inverse|(case|row)_\d+)|\w+_"
)
"""What a file makes of the names of its arrays, and, with _ at the end, what its scripts call what they assume."""

LETTERS = "abcdefgh"
"""What the indices of an array are called where nothing else has named them."""
_SUM, _PRODUCT, POWER, _APPLIED, ATOM = range(5)
Text: TypeAlias = "tuple[str, int]"
"""A term, and how tightly it holds together."""


def remark(text: str) -> str:
    """Prose as a Coq comment can hold it: no comment ends or begins within, and no string."""
    return re.sub(r"[^A-Za-z0-9 .,:;=<>!@+/^'_-]", "", text)


@cache
def identifier(name: str) -> str:
    """The name itself, where it is one for Coq; ArgumentError for any other."""
    if not _IDENTIFIER.fullmatch(name):
        raise ArgumentError(f"The name {shown(name)!r} cannot stand in a Coq file: use letters and digits.")
    return f"{name}_" if name in _TAKEN else name


def of_array(name: str) -> str:
    """The name of an array as a file has it: never that of something else there; two names never become one."""
    made = identifier(name)
    return f"{name}_" if made != name or _LIBRARY.fullmatch(name) or _MADE.fullmatch(name) else name


class Printer:
    """The printer of one file, which has these arrays: an index never has the name of one."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self.names = {array.unprimed: of_array(array.unprimed.name) for array in arrays}
        self.taken = set(self.names.values())
        self.functions: dict[Activation, str] = {}  # each with the name that it has in the file
        self.ends: dict[Array, str] = {}  # what the names of some arrays end in

    # ------------------------------------------------------------------------------------------------ names

    def array(self, array: Array) -> str:
        """W1 and, after the step, W1'."""
        name = self.names.get(array.unprimed) or identifier(array.unprimed.name)
        return name + "'" * array.after + self.ends.get(array, "")

    def width(self, axis: Axis) -> str:
        """The length of an axis, a natural number."""
        name = identifier(axis.name)
        return name if name.startswith("n_") else f"n_{name}"

    def index(self, index: Index) -> str:
        """The letter of an index."""
        letter = identifier(index.letter)
        return f"{letter}_" if letter in self.taken else letter

    def indices(self, indices: Iterable[Index]) -> str:
        """The letters, one after the other."""
        return " ".join(map(self.index, indices))

    def function(self, phi: Activation) -> str:
        """What a function is called: two of one name are told apart."""
        if phi not in self.functions:
            identifier(phi.name)  # refused, if it is none
            name = phi.name
            count = sum(known.split("'")[0] == name for known in self.functions.values())
            self.functions[phi] = name + "'" * count
        return self.functions[phi]

    def letters(self, array: Array, letters: str = "ijklmopq") -> tuple[Index, ...]:
        """One index for each axis of an array, no two with one letter."""
        return tuple(Index(axis, letter) for axis, letter in zip(array.axes, letters, strict=False))

    def type(self, array: Array) -> str:
        """nat -> nat -> R."""
        return "nat -> " * len(array.axes) + "R"

    # ------------------------------------------------------------------------------------------------ terms

    def term(self, node: Expr, level: int = _SUM) -> str:
        """The expression, in parentheses where it stands within what holds together more tightly."""
        text, own = self._term(node)
        return text if own >= level else f"({text})"

    def _term(self, node: Expr) -> Text:
        match node:
            case Number(value):
                return number(value), ATOM
            case Ref(array, indices):
                return (
                    (f"{self.array(array)} {self.indices(indices)}", _APPLIED)
                    if indices
                    else (
                        self.array(array),
                        ATOM,
                    )
                )
            case Add(terms):
                first, *others = terms
                parts = [self.term(first)]
                for term in others:
                    minus = _without_minus(term)
                    sign, part = ("+", term) if minus is None else ("-", minus)
                    parts.append(f"{sign} {self.term(part, _PRODUCT)}")
                return " ".join(parts), _SUM
            case Mul(factors):
                return self._product(factors)
            case Pow(base, exponent):
                if exponent < 0:
                    return f"/ {self._powered(base, -exponent)}", _PRODUCT
                return self._powered(base, exponent), POWER
            case Total(over, body):
                opened = self.term(body)
                for index in reversed(over):
                    opened = f"sum {self.width(index.axis)} (fun {self.index(index)} => {opened})"
                return opened, _APPLIED
            case Extreme(which, (index,), body):
                name = {"max": "greatest", "min": "least"}[which]
                return f"{name} {self.width(index.axis)} (fun {self.index(index)} => {self.term(body)})", _APPLIED
            case Apply(phi, argument, derivative):
                kind = "slope" if derivative else "phi"
                return f"{kind}_{self.function(phi)} {self.term(argument, ATOM)}", _APPLIED
            case Indicator(index, form):
                return f"kron {self._position(index, form)}", _APPLIED
            case _:
                raise ArgumentError(f"{type(node).__name__} has no form in Coq yet: {node!r} cannot be certified.")

    def _position(self, index: Index, form: IndexForm) -> str:
        """i = 2 t + k - 1 as two natural numbers, (i + 1) (2 * t + k): what is subtracted stands on the other side."""
        sides: tuple[list[str], list[str]] = ([self.index(index)], [])
        for letter, times in form.terms:
            text = self.index(letter) if abs(times) == 1 else f"{abs(times)} * {self.index(letter)}"
            sides[times > 0].append(text)
        if form.constant:
            sides[form.constant > 0].append(str(abs(form.constant)))
        if not sides[1]:
            sides[1].append("0")
        return " ".join(
            side[0] if len(side) == 1 and " " not in side[0] else f"({' + '.join(side)})%nat" for side in sides
        )

    def _powered(self, base: Expr, exponent: int) -> str:
        return self.term(base, _APPLIED) + (f" ^ {exponent}" if exponent != 1 else "")

    def _product(self, factors: tuple[Expr, ...]) -> Text:
        sign = ""
        if factors[0] == Number(Fraction(-1)):
            sign, factors = "- ", factors[1:]
        text = ""
        for factor in factors:
            if isinstance(factor, Pow) and factor.exponent < 0:
                text = (text or "1") + f" / {self._powered(factor.base, -factor.exponent)}"
            else:
                text = (f"{text} * " if text else "") + self.term(factor, POWER)
        return f"{sign}{text}", _SUM if sign else _PRODUCT

    # ------------------------------------------------------------------------------------- conditions and cases

    def condition(self, condition: Condition) -> str:
        """0 < s1 i."""
        subject, bound = self.term(condition.subject), number(condition.bound)
        if condition.relation == ">":
            return f"{bound} < {subject}"
        return f"{subject} {'<>' if condition.relation == '!=' else condition.relation} {bound}"

    def tree(self, tree: Tree) -> str:
        """Nested decisions; 0 stands where nothing is defined."""
        if not isinstance(tree, Decision):
            return "0" if tree.value is None else self.term(tree.value, _PRODUCT)
        subject, bound = self.term(tree.condition.subject, ATOM), number(tree.condition.bound)
        then, otherwise = self.tree(tree.then), self.tree(tree.otherwise)
        match tree.condition.relation:
            case ">":
                test = f"Rlt_dec {bound} {subject}"
            case "<=":
                test = f"Rle_dec {subject} {bound}"
            case "=":
                test = f"Req_EM_T {subject} {bound}"
            case "!=":
                test, then, otherwise = f"Req_EM_T {subject} {bound}", otherwise, then
        return f"(if {test} then {then} else {otherwise})"


def number(value: Fraction) -> str:
    """An exact number."""
    if value.denominator == 1:
        return str(value.numerator) if value >= 0 else f"({value.numerator})"
    return f"({value.numerator} / {value.denominator})"


def _without_minus(node: Expr) -> Expr | None:
    """- a => a; None for what is not written so."""
    if isinstance(node, Mul) and node.factors[0] == Number(Fraction(-1)):
        rest = node.factors[1:]
        return rest[0] if len(rest) == 1 else Mul(rest)
    return None
