"""Functions of one real number s as nested tuples: they hash, compare, pickle and print without any algebra.

    s tanh(log(1 + e^s))    =>    ("mul", ("s",), ("tanh", ("log", ("add", ("exp", ("s",)), ("number", 1, 1)))))

Heads: s; number (numerator, denominator); pi; add, mul and pow of formulas; the name of a function of one formula; and
("above", n, d, a, b), which is a where s > n/d and b elsewhere. A formula is data, made from a SymPy expression and
made into one again; nothing is ever parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from fcsym.errors import NetworkError, shown

__all__ = [
    "CALLS",
    "FUNCTIONS",
    "NUMBER",
    "Formula",
    "NoRealValue",
    "S",
    "evaluate",
    "from_sympy",
    "mpmath_table",
    "to_sympy",
]

Formula: TypeAlias = "tuple[Any, ...]"

S: Formula = ("s",)
NUMBER = "number"

FUNCTIONS = ("exp", "log", "tanh", "sinh", "cosh", "erf", "erfc", "atan", "sin", "cos", "Abs")
"""The functions that an expression may be written with, by SymPy's names; powers, sums and products besides."""

CALLS = (
    *("tanh", "sigmoid", "softplus", "normal_cdf", "normal_pdf"),
    *("exp", "expm1", "log", "log1p", "sqrt", "erf", "atan", "sin", "cos", "Abs"),
)  # fmt: skip
"""The functions that every target knows: what formulas are computed with."""


class NoRealValue(ArithmeticError):
    """A function is not defined at a number."""


def from_sympy(node: Any, fold: bool = False) -> Formula:
    """A SymPy expression as a formula; with `fold`, constants that are no fractions as fractions of 40 digits.

    Raises NetworkError for what has no formula, and names it.
    """
    import sympy

    def again(part: Any) -> Formula:
        return from_sympy(part, fold)

    if node.is_Symbol:
        return S
    if node.is_Float:
        node = sympy.Rational(str(node))
    if node.is_Rational:
        return NUMBER, int(node.p), int(node.q)
    if fold and not node.free_symbols:
        return from_sympy(sympy.Rational(str(node.evalf(40))))
    if node is sympy.pi:
        return ("pi",)
    if node is sympy.E:
        return "exp", (NUMBER, 1, 1)
    if node.is_Add or node.is_Mul:
        head = "add" if node.is_Add else "mul"
        number, rest = node.as_independent(*node.free_symbols, as_Add=node.is_Add)
        if not fold or number in (node.identity, node):
            return head, *map(again, node.as_ordered_terms() if node.is_Add else node.as_ordered_factors())
        parts = again(rest)
        return head, again(number), *(parts[1:] if parts[0] == head else (parts,))
    if node.is_Pow:
        return "pow", again(node.base), again(node.exp)
    if isinstance(node, sympy.Piecewise):
        return _above(node.args, again)
    name = node.func.__name__
    if name == "sign" or (name in FUNCTIONS or name in CALLS):
        return name, again(node.args[0])
    raise NetworkError(
        f"{name} has no formula here: write the expression with {', '.join(FUNCTIONS)}, sqrt, powers and Piecewise."
    )


def _above(pieces: Any, again: Callable[[Any], Formula]) -> Formula:
    """Pieces from the first on: a where s > c and b elsewhere. On c itself both have one value."""
    import sympy

    (value, condition), *rest = pieces
    if condition is sympy.true:
        return again(value)
    names = {sympy.StrictGreaterThan: 1, sympy.GreaterThan: 1, sympy.StrictLessThan: 0, sympy.LessThan: 0}
    if type(condition) not in names or not (condition.lhs.is_Symbol and condition.rhs.is_Rational):
        raise NetworkError(f"The condition {shown(condition)} has no formula here: write s < c or s > c, c a fraction.")
    if not rest:
        raise NetworkError("The Piecewise does not say what holds elsewhere: end it with (value, True).")
    bound = condition.rhs
    here, there = again(value), _above(rest, again)
    pair = (here, there) if names[type(condition)] else (there, here)
    return "above", int(bound.p), int(bound.q), *pair


def to_sympy(formula: Formula, s: Any) -> Any:
    """A formula as a SymPy expression of this symbol."""
    import sympy

    table: dict[str, Callable[..., Any]] = {
        **{name: getattr(sympy, name) for name in (*FUNCTIONS, "sign")},
        "number": sympy.Rational,
        "pi": lambda: sympy.pi,
        "add": sympy.Add,
        "mul": sympy.Mul,
        "pow": sympy.Pow,
    }
    match formula:
        case ("s",):
            return s
        case ("number", p, q):
            return sympy.Rational(p, q)
        case ("above", p, q, a, b):
            return sympy.Piecewise((to_sympy(a, s), s > sympy.Rational(p, q)), (to_sympy(b, s), True))
        case (head, *parts):
            return table[head](*(to_sympy(part, s) for part in parts))
    raise AssertionError(formula)


def evaluate(formula: Formula, s: Any, table: Mapping[str, Callable[..., Any]]) -> Any:
    """The value at s, of whatever kind the functions in the table are for; `table` has every head but s and above.

    For a choice, only what is chosen is computed, unless the table has `above` itself: (s > bound, a, b) => value.
    """
    match formula:
        case ("s",):
            return s
        case ("number", p, q):
            return table[NUMBER](p, q)
        case ("above", p, q, a, b):
            if "above" in table:
                here, there = (evaluate(part, s, table) for part in (a, b))
                return table["above"](s > table[NUMBER](p, q), here, there)
            return evaluate(a if s > table[NUMBER](p, q) else b, s, table)
        case (head, *parts):
            return table[head](*(evaluate(part, s, table) for part in parts))
    raise AssertionError(formula)


def mpmath_table() -> dict[str, Callable[..., Any]]:
    """Every head in mpmath, at whatever precision that has when it is called."""
    import mpmath

    def sigmoid(s: Any) -> Any:
        small = mpmath.exp(-abs(s))
        return (1 if s > 0 else small) / (1 + small)

    def product(*factors: Any) -> Any:
        result = factors[0]
        for factor in factors[1:]:
            result = result * factor
        return result

    def total(*terms: Any) -> Any:
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result

    return {
        NUMBER: lambda p, q: mpmath.mpf(p) / q, "pi": lambda: +mpmath.pi, "add": total, "mul": product,
        "pow": lambda a, b: a ** (int(b) if mpmath.isint(b) else b), "sign": mpmath.sign, "Abs": abs,
        **{name: getattr(mpmath, name) for name in FUNCTIONS if name != "Abs"},
        **{name: getattr(mpmath, name) for name in ("expm1", "log1p", "sqrt")},
        "sigmoid": sigmoid, "softplus": lambda s: (s if s > 0 else mpmath.mpf(0)) + mpmath.log1p(mpmath.exp(-abs(s))),
        "normal_cdf": lambda s: mpmath.erfc(-s / mpmath.sqrt(2)) / 2, "normal_pdf": mpmath.npdf,
    }  # fmt: skip
