"""Expressions and equations as plain text, the form that `str` shows."""

from __future__ import annotations

from dataclasses import dataclass

from fcsym.language import smooth_functions
from fcsym.language.equation import Cases, Condition, Equation
from fcsym.language.expression import Add, Apply, Expr, Extreme, Mul, Number, Pow, Ref, Total

__all__ = ["Written", "condition", "equation", "expression", "relation", "value_of"]

_SUM, _PRODUCT, _POWER, _ATOM = range(4)


@dataclass(frozen=True, slots=True, repr=False)
class Written(Expr):
    """A leaf that is written already: the name of one number, w_5."""

    latex: str
    width: float  # in ordinary letters
    text: str
    atom: bool = True  # False: a power of it needs parentheses in LaTeX


def expression(node: Expr) -> str:
    """`s1[i] - eta*delta1[i]*a0`."""
    return _text(node)[0]


def _text(node: Expr) -> tuple[str, int]:
    """The text and how tightly its outermost operator binds."""
    match node:
        case Number(value):
            return str(value), _SUM if value < 0 else _PRODUCT if value.denominator != 1 else _ATOM
        case Written(_, _, text):
            return text, _ATOM
        case Ref(array, indices):
            return array.name + (f"[{', '.join(i.letter for i in indices)}]" if indices else ""), _ATOM
        case Add(terms):
            return " + ".join(_at(term, _SUM) for term in terms).replace("+ -", "- "), _SUM
        case Mul(factors):
            if isinstance(factors[0], Number) and factors[0].value < 0:
                lead = () if factors[0].value == -1 else (Number(-factors[0].value),)
                return "-" + _product((*lead, *factors[1:])), _SUM
            return _product(factors), _PRODUCT
        case Pow(base, exponent):
            return (f"1/{_at(base, _POWER)}" if exponent == -1 else f"{_at(base, _ATOM)}**{exponent}"), _PRODUCT
        case Total(over, body):
            return f"sum({', '.join(i.letter for i in over)}: {_text(body)[0]})", _ATOM
        case Extreme(kind, over, body):
            return f"{kind}({', '.join(i.letter for i in over)}: {_text(body)[0]})", _ATOM
        case Apply(activation, argument, derivative):
            return f"{activation.name}{chr(39) * derivative}({_text(argument)[0]})", _ATOM
    return object.__repr__(node), _ATOM


def _at(node: Expr, level: int) -> str:
    text, own = _text(node)
    return text if own >= level else f"({text})"


def _product(factors: tuple[Expr, ...]) -> str:
    above = [f for f in factors if not (isinstance(f, Pow) and f.exponent < 0)]
    below = [
        Pow(f.base, -f.exponent) if f.exponent < -1 else f.base
        for f in factors
        if isinstance(f, Pow) and f.exponent < 0
    ]
    text = "*".join(_at(f, _POWER if len(factors) > 1 else _SUM) for f in above) or "1"
    return text + "".join("/" + _at(f, _ATOM) for f in below)


def relation(item: Condition) -> str:
    """`> 0`."""
    return f"{item.relation} {item.bound}"


def condition(item: Condition) -> str:
    """`s1[i] > 0`."""
    return f"{expression(item.subject)} {relation(item)}"


def _smooth(node: Apply) -> str:
    """phi(s), or phi'(s) with the array that holds phi(s)."""
    return smooth_functions.text(
        node.activation.name, node.derivative, expression(node.argument), expression(value_of(node))
    )


def value_of(node: Apply) -> Expr:
    """What stands for phi(s) where phi'(s) is printed."""
    return Apply(node.activation, node.argument) if node.value is None else node.value


def equation(item: Equation) -> str:
    """One line, or one line per case; of a smooth function, also what it is."""
    if isinstance(item.rhs, Apply) and item.rhs.activation.is_smooth:
        return f"{expression(item.lhs)} = {expression(item.rhs)} = {_smooth(item.rhs)}"
    if not isinstance(item.rhs, Cases):
        return f"{expression(item.lhs)} = {expression(item.rhs)}"
    rows = []
    for branch in item.rhs:
        value = "undefined" if branch.value is None else expression(branch.value)
        rows.append(f"  {value}   if {' and '.join(map(condition, branch.when))}   ({branch.name})")
    return f"{expression(item.lhs)} =\n" + "\n".join(rows)
