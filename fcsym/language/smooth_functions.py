"""The smooth functions of the language: one entry for each, a SymPy expression, from which everything else follows.

    sigmoid(s) = 1/(1 + e^{-s})      =>      sigmoid'(s) = v (1 - v),  v = sigmoid(s)

Closed forms put the expression and its derivative in, documents print both, the numbers that files are tested with are
computed from them, and kernels are generated from a form of them that floating point computes well (`accurate`). An
entry may say that form itself. SymPy is imported when one of these is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Protocol

from fcsym.language.formulas import Formula, NoRealValue, evaluate, from_sympy, mpmath_table, to_sympy

__all__ = [
    "ENTRIES",
    "Entry",
    "Smooth",
    "as_formula",
    "bound",
    "derivative",
    "expression",
    "form",
    "formula",
    "in_calls",
    "latex",
    "never_zero",
    "shown",
    "slope_of",
    "symbols",
    "text",
    "value",
]


class Smooth(Protocol):
    """What an activation tells of itself: a name in the table, or a name and a formula of its own."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def formula(self) -> Formula:
        """The function, where it is no entry of the table."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A smooth function of s: its expression, and forms to compute phi and phi' where the rules find no better ones.

    All are functions of s that give SymPy expressions; forms may call whatever targets know (`formulas.CALLS`).
    """

    expression: Callable[[Any], Any]
    value: Callable[[Any], Any] | None = None
    slope: Callable[[Any], Any] | None = None
    everywhere: bool = True  # defined for every s, as an activation must be


def _sympy() -> Any:
    import sympy

    return sympy


def _call(name: str) -> Any:
    return _sympy().Function(name, real=True)


ENTRIES: dict[str, Entry] = {
    # 1 - tanh^2 is exact to a rounding of 1, which is what a step needs, and takes nothing but the value
    "tanh": Entry(lambda s: _sympy().tanh(s), slope=lambda s: 1 - _sympy().tanh(s) ** 2),
    "sigmoid": Entry(lambda s: 1 / (1 + _sympy().exp(-s))),
    "softplus": Entry(lambda s: _sympy().log(1 + _sympy().exp(s))),
    "silu": Entry(
        lambda s: s / (1 + _sympy().exp(-s)),
        slope=lambda s: _call("sigmoid")(s) * (1 + s * _call("sigmoid")(-s)),
    ),
    "gelu": Entry(
        lambda s: s * (1 + _sympy().erf(s / _sympy().sqrt(2))) / 2,
        slope=lambda s: _call("normal_cdf")(s) + s * _call("normal_pdf")(s),
    ),
    "exp": Entry(lambda s: _sympy().exp(s)),
    "log": Entry(lambda s: _sympy().log(s), everywhere=False),
    "sqrt": Entry(lambda s: _sympy().sqrt(s), everywhere=False),
}
"""Every smooth function that has a name."""


@cache
def symbols() -> tuple[Any, Any]:
    """The SymPy symbols s, the argument, and v, the value there: real numbers."""
    import sympy

    return sympy.Symbol("s", real=True), sympy.Symbol("v", real=True)


def expression(phi: Smooth) -> Any:
    """phi(s) as a SymPy expression of the symbol s."""
    return _expression(phi.name, phi.formula)


@cache
def _expression(name: str, own: Formula) -> Any:
    s, _ = symbols()
    return to_sympy(own, s) if own else ENTRIES[name].expression(s)


def formula(phi: Smooth) -> Formula:
    """phi(s) as a formula, which is data."""
    return phi.formula or from_sympy(expression(phi))


def derivative(phi: Smooth, order: int = 1) -> Any:
    """The n-th derivative of phi as a SymPy expression of s and v = phi(s): the shortest form found, without e^s."""
    return _derivative(phi.name, phi.formula, order)


@cache
def _derivative(name: str, own: Formula, order: int) -> Any:
    import sympy

    s, _ = symbols()

    def length(form: Any) -> tuple[bool, int, int]:
        grows = any((power.args[0] / s).is_positive for power in form.atoms(sympy.exp))
        return grows, sympy.count_ops(form), len(str(form))

    phi = _expression(name, own)
    return min(_forms(phi, _slope(name, own, order)), key=length)


@cache
def _slope(name: str, own: Formula, order: int) -> Any:
    """The n-th derivative of phi as a SymPy expression of s, as it comes."""
    return slope_of(_slope(name, own, order - 1)) if order else _expression(name, own)


def slope_of(phi: Any) -> Any:
    """phi', with |u| for u sign(u)."""
    import sympy

    s, _ = symbols()

    def joined(node: Any) -> Any:
        for sign in node.args:
            if not isinstance(sign, sympy.sign):
                continue
            (inner,) = sign.args
            for factor in node.args:
                base, exponent = factor.as_base_exp()
                if base == inner and exponent.is_Integer and exponent > 0:
                    return node / sign / inner * sympy.Abs(inner)
        return node

    found = sympy.diff(phi, s)
    if found.has(sympy.sign):
        found = found.replace(lambda node: node.is_Mul and node.has(sympy.sign), joined)
        sizes = {node: sympy.Dummy(positive=True) for node in found.atoms(sympy.Abs)}
        found = sympy.factor(sympy.cancel(found.xreplace(sizes))).xreplace({new: old for old, new in sizes.items()})
    return found


def _forms(phi: Any, plain: Any) -> Iterator[Any]:
    """A derivative of phi as it comes, with v for phi, as one fraction without e^s, and as a polynomial in v."""
    import sympy

    s, v = symbols()
    for form in (plain, plain.subs(phi, v)):
        yield form
        if form.has(sympy.Piecewise):
            continue
        above, below = (sympy.expand(part) for part in sympy.fraction(sympy.together(form)))
        yield above / below
        yield sympy.expand(above * sympy.exp(-s)) / sympy.expand(below * sympy.exp(-s))
    in_value = _in_value(phi, plain)
    if in_value is not None:
        beside = sympy.expand(in_value / v)
        yield from ([v * beside] if beside.is_polynomial(v) else [])
        yield sympy.expand(in_value)


def _in_value(phi: Any, slope: Any) -> Any:
    """phi' as a polynomial in v alone, by solving v = phi for e^s; None where it is none."""
    import sympy

    s, v = symbols()
    grown = sympy.Dummy("grown", positive=True)

    def in_grown(node: Any) -> Any:
        return node.rewrite(sympy.exp).subs(sympy.exp(s), grown)

    value, slope = in_grown(phi), in_grown(slope)
    if not (value.is_rational_function(grown) and slope.is_rational_function(grown)) or s in value.free_symbols:
        return None
    equation = sympy.numer(sympy.together(value - v))
    if sympy.degree(equation, grown) > 2:
        return None
    for solution in sympy.solve(equation, grown):
        found = sympy.cancel(sympy.together(slope.subs(grown, solution)))
        if found.is_polynomial(v):
            return found
    return None


def slope_among_entries(phi: Smooth) -> tuple[Fraction, str | None, int] | None:
    """phi' = c f(s) s^n for a function f of the language, or none: softplus' = sigmoid, log' = 1/s; None otherwise."""
    return _among_entries(phi.name, phi.formula)


@cache
def _among_entries(name: str, own: Formula) -> tuple[Fraction, str | None, int] | None:
    import sympy

    s, _ = symbols()
    slope = slope_of(_expression(name, own))
    for power in (0, -1):
        rest = slope / s**power
        if _may_be_constant(rest) and (rest := sympy.simplify(rest)).is_Rational:
            return Fraction(int(rest.p), int(rest.q)), None, power
    for other, entry in ENTRIES.items():
        rest = slope - entry.expression(s)
        if _may_be_constant(rest) and sympy.simplify(rest) == 0:
            return Fraction(1), other, 0
    return None


def slope_by_value(phi: Smooth) -> tuple[Fraction, int] | None:
    """phi' = c phi^n: sqrt' = 1/(2 sqrt), exp' = exp; None otherwise."""
    return _by_value(phi.name, phi.formula)


@cache
def _by_value(name: str, own: Formula) -> tuple[Fraction, int] | None:
    import sympy

    value = _expression(name, own)
    for power in (1, -1):
        rest = sympy.simplify(slope_of(value) / value**power)
        if rest.is_Rational:
            return Fraction(int(rest.p), int(rest.q)), power
    return None


def _may_be_constant(what: Any) -> bool:
    """Whether an expression has the same value at two points: to simplify one that has not would take seconds."""
    import sympy

    s, _ = symbols()
    one, other = (what.subs(s, sympy.Rational(*at)).evalf(30) for at in ((7, 5), (1, 3)))
    if not (one.is_Float and other.is_Float):
        return True
    return bool(abs(one - other) <= sympy.Rational(1, 10**20) * (1 + abs(one)))


# ----------------------------------------------------------------------------------------------------- in numbers


@cache
def _nth(name: str, own: Formula, order: int) -> Formula:
    """The n-th derivative of phi as a formula."""
    return own if own and not order else from_sympy(_slope(name, own, order))


def as_formula(phi: Smooth, order: int) -> Formula:
    """The n-th derivative of phi as a formula, term by term as its expression has it."""
    return _nth(phi.name, phi.formula, order)


def value(phi: Smooth, order: int, s: Any) -> Any:
    """The n-th derivative of phi at a number of mpmath, to all digits that mpmath works with.

    With more and more digits, until two results agree: where terms cancel, a few are not enough. Raises NoRealValue
    outside of where the function is defined, as for the logarithm of what is not positive.
    """
    try:
        found = _digits(_nth(phi.name, phi.formula, order), s)
    except ZeroDivisionError as problem:
        raise NoRealValue from problem
    if found.imag or not abs(found) < float("inf"):
        raise NoRealValue
    return found


def _digits(what: Formula, s: Any) -> Any:
    import mpmath

    table, more = mpmath_table(), mpmath.mp.dps + 25
    before = None
    while True:
        with mpmath.workdps(more):
            found = evaluate(what, s, table)
            near = before and abs(found - before) <= abs(found) * mpmath.mpf(10) ** (20 - more // 2)
            near = near and abs(found) > mpmath.mpf(10) ** (20 - more // 2)  # no term was below the digits
        if near or more > _MOST_DIGITS:
            return +found
        before, more = found, 2 * more


_MOST_DIGITS = 400  # what is left then is below every number of double precision, or 0


def form(phi: Smooth, order: int) -> Formula:
    """phi, or its n-th derivative, as it is computed: by calls of `formulas.CALLS`, and choices by s > c alone."""
    return _given(phi.name, phi.formula, order) or _found(phi.name, phi.formula, order)[0]


def in_calls(phi: Smooth) -> Formula | None:
    """phi as its expression has it, in functions that targets have; None where another form is computed."""
    return _in_calls(phi.name, phi.formula)


@cache
def _in_calls(name: str, own: Formula) -> Formula | None:
    from fcsym.language import accurate

    made = accurate.in_calls(_expression(name, own))
    computed = _given(name, own, 0) or _found(name, own, 0)[0]
    return made if accurate.held(made) == computed else None


def bound(phi: Smooth, order: int) -> float:
    """How far off the form is at most, in roundings: units of eps (|f| + |s f'|), as `accurate` measures it."""
    from fcsym.language.accurate import measured

    given = _given(phi.name, phi.formula, order)
    if given is None:
        return _found(phi.name, phi.formula, order)[1]
    return measured(given, lambda more, at: value(phi, order + more, at))


@cache
def _given(name: str, own: Formula, order: int) -> Formula | None:
    """The form that an entry says, or, where it is not defined everywhere, its expression."""
    if own:
        return None
    entry, (s, _) = ENTRIES[name], symbols()
    said = (entry.value, entry.slope)[order] if order < 2 else None
    if said is not None:
        return from_sympy(said(s), fold=True)
    return None if entry.everywhere else from_sympy(_slope(name, own, order), fold=True)


@cache
def _found(name: str, own: Formula, order: int) -> tuple[Formula, float]:
    """The form that rules find, and its measure."""
    from fcsym.language.accurate import accurate

    def number(more: int, at: Any) -> Any:
        return _digits(_nth(name, own, order + more), at)

    s, _ = symbols()
    return accurate(_slope(name, own, order), s, number)


def never_zero(phi: Smooth) -> bool:
    """phi(s) != 0 for every real s, where SymPy can tell."""
    return _never_zero(phi.name, phi.formula)


@cache
def _never_zero(name: str, own: Formula) -> bool:
    found = _expression(name, own)
    return bool(found.is_positive or found.is_negative)


# ------------------------------------------------------------------------------------------------------- in words


@cache
def _shown(name: str, own: Formula, order: int) -> Any:
    import sympy

    return _derivative(name, own, order) if order else _expression(name, own).rewrite(sympy.tanh, sympy.exp)


def shown(phi: Smooth, order: int) -> Any:
    """phi(s), or its n-th derivative, for readers: tanh is written out, since its name alone says nothing."""
    if not order and phi.formula:
        return expression(phi)
    return _shown(phi.name, phi.formula, order)


def text(phi: Smooth, order: int, s: str, v: str) -> str:
    """The formula as plain text, with these texts for s and v."""
    import sympy

    return str(sympy.sstr(_named(phi, order, s, v)))


def latex(phi: Smooth, order: int, s: str, v: str) -> str:
    """The formula as LaTeX, with these formulas for s and v."""
    import sympy

    names = dict(zip(symbols(), (f"{{{s}}}", f"{{{v}}}"), strict=True))
    return str(sympy.latex(shown(phi, order), symbol_names=names, parenthesize_super=False))


def _named(phi: Smooth, order: int, s: str, v: str) -> Any:
    """The formula over symbols that print as these texts."""
    import sympy

    return shown(phi, order).xreplace(
        {old: sympy.Symbol(new, real=True) for old, new in zip(symbols(), (s, v), strict=True)}
    )
