"""The smooth activations as SymPy expressions: one entry for each, from which its derivative and its formulas follow.

    sigmoid(s) = 1/(1 + e^{-s})      =>      sigmoid'(s) = v (1 - v),  v = sigmoid(s)

Closed forms put the expression and its derivative in, and documents print both. SymPy is imported when one is asked
for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["derivative", "expression", "latex", "symbols", "text"]


@cache
def symbols() -> tuple[Any, Any]:
    """The SymPy symbols s, the argument, and v, the value there: real numbers."""
    import sympy

    return sympy.Symbol("s", real=True), sympy.Symbol("v", real=True)


@cache
def expression(name: str) -> Any:
    """phi(s) as a SymPy expression of the symbol s."""
    import sympy

    s, _ = symbols()
    sigmoid = 1 / (1 + sympy.exp(-s))
    entries = {
        "tanh": sympy.tanh(s),
        "sigmoid": sigmoid,
        "softplus": sympy.log(1 + sympy.exp(s)),
        "silu": s * sigmoid,
        "gelu": s * (1 + sympy.erf(s / sympy.sqrt(2))) / 2,
    }
    return entries[name]


@cache
def derivative(name: str) -> Any:
    """phi'(s) as a SymPy expression of s and v = phi(s): the shortest of the forms that are found, without e^s."""
    import sympy

    s, _ = symbols()

    def length(form: Any) -> tuple[bool, int, int]:
        grows = any((power.args[0] / s).is_positive for power in form.atoms(sympy.exp))
        return grows, sympy.count_ops(form), len(str(form))

    return min(_forms(expression(name)), key=length)


def _forms(phi: Any) -> Iterator[Any]:
    """phi' as it comes, with v for phi, as one fraction without e^s, and as a polynomial in v."""
    import sympy

    s, v = symbols()
    plain = sympy.diff(phi, s)
    for form in (plain, plain.subs(phi, v)):
        yield form
        above, below = (sympy.expand(part) for part in sympy.fraction(sympy.together(form)))
        yield above / below
        yield sympy.expand(above * sympy.exp(-s)) / sympy.expand(below * sympy.exp(-s))
    in_value = _in_value(phi)
    if in_value is not None:
        beside = sympy.expand(in_value / v)
        yield from ([v * beside] if beside.is_polynomial(v) else [])
        yield sympy.expand(in_value)


def _in_value(phi: Any) -> Any:
    """phi' as a polynomial in v alone, by solving v = phi for e^s; None where it is none."""
    import sympy

    s, v = symbols()
    grown = sympy.Dummy("grown", positive=True)

    def in_grown(node: Any) -> Any:
        return node.rewrite(sympy.exp).subs({sympy.exp(s): grown, sympy.exp(-s): 1 / grown})

    value, slope = in_grown(phi), in_grown(sympy.diff(phi, s))
    if not (value.is_rational_function(grown) and slope.is_rational_function(grown)) or s in value.free_symbols:
        return None
    for solution in sympy.solve(sympy.Eq(sympy.together(value), v), grown):
        found = sympy.cancel(sympy.together(slope.subs(grown, solution)))
        if found.is_polynomial(v):
            return found
    return None


# ------------------------------------------------------------------------------------------------------- in words


@cache
def shown(name: str, order: int) -> Any:
    """phi(s), or phi'(s) where `order` is 1, for readers: tanh is written out, since its name alone says nothing."""
    import sympy

    return derivative(name) if order else expression(name).rewrite(sympy.tanh, sympy.exp)


def text(name: str, order: int, s: str, v: str) -> str:
    """The formula as plain text, with these texts for s and v."""
    import sympy

    return str(sympy.sstr(_named(name, order, s, v)))


def latex(name: str, order: int, s: str, v: str) -> str:
    """The formula as LaTeX, with these formulas for s and v."""
    import sympy

    names = dict(zip(symbols(), (f"{{{s}}}", f"{{{v}}}"), strict=True))
    return str(sympy.latex(shown(name, order), symbol_names=names, parenthesize_super=False))


def _named(name: str, order: int, s: str, v: str) -> Any:
    """The formula over symbols that print as these texts."""
    import sympy

    return shown(name, order).xreplace({old: sympy.Symbol(new) for old, new in zip(symbols(), (s, v), strict=True)})
