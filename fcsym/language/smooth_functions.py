"""The smooth functions of the language: one entry for each, a SymPy expression, from which everything else follows.

    sigmoid(s) = 1/(1 + e^{-s})      =>      sigmoid'(s) = v (1 - v),  v = sigmoid(s)

Closed forms put the expression and its derivative in, documents print both, the numbers that files are tested with are
computed from them, and kernels are generated from a form of them that floating point computes well (`accurate`). An
entry may say that form itself. SymPy is imported when one of these is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from fcsym.errors import NetworkError
from fcsym.language.formulas import FUNCTIONS, Formula, evaluate, from_sympy, mpmath_table, to_sympy

__all__ = [
    "ENTRIES",
    "Entry",
    "Smooth",
    "accepted",
    "derivative",
    "expression",
    "form",
    "formula",
    "latex",
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
    """The SymPy symbols s, the argument, and v, the value there; both real."""
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


def derivative(phi: Smooth) -> Any:
    """phi'(s) as a SymPy expression of s and v = phi(s): the shortest of the forms that are found, without e^s."""
    return _derivative(phi.name, phi.formula)


@cache
def _derivative(name: str, own: Formula) -> Any:
    import sympy

    s, _ = symbols()

    def length(form: Any) -> tuple[bool, int, int]:
        grows = any((power.args[0] / s).is_positive for power in form.atoms(sympy.exp))
        return grows, sympy.count_ops(form), len(str(form))

    return min(_forms(_expression(name, own)), key=length)


def _diff(phi: Any) -> Any:
    """phi', with |u| for u sign(u)."""
    import sympy

    s, _ = symbols()

    def joined(node: Any) -> Any:
        for factor in node.args:
            if isinstance(factor, sympy.sign) and node.has(factor.args[0]) and (node / factor).has(factor.args[0]):
                rest = node / factor / factor.args[0]
                if not sympy.denom(sympy.together(rest)).has(factor.args[0]) or rest.is_number:
                    return rest * sympy.Abs(factor.args[0])
                if factor.args[0] in node.args:
                    return rest * sympy.Abs(factor.args[0])
        return node

    found = sympy.diff(phi, s)
    if found.has(sympy.sign):
        found = found.replace(lambda node: node.is_Mul and node.has(sympy.sign), joined)
        sizes = {node: sympy.Dummy(positive=True) for node in found.atoms(sympy.Abs)}
        found = sympy.factor(sympy.cancel(found.xreplace(sizes))).xreplace({new: old for old, new in sizes.items()})
    return found


def _forms(phi: Any) -> Iterator[Any]:
    """phi' as it comes, with v for phi, as one fraction without e^s, and as a polynomial in v."""
    import sympy

    s, v = symbols()
    plain = _diff(phi)
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
        return node.rewrite(sympy.exp).subs({sympy.exp(s): grown, sympy.exp(-s): 1 / grown})

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


# ----------------------------------------------------------------------------------------------------- in numbers


@cache
def _nth(name: str, own: Formula, order: int) -> Formula:
    """The n-th derivative of phi as a formula."""
    if not order:
        return own or from_sympy(_expression(name, own))
    found = _expression(name, own)
    for _ in range(order):
        found = _diff(found)
    return from_sympy(found)


def value(phi: Smooth, order: int, s: Any) -> Any:
    """The n-th derivative of phi at a number of mpmath, to all digits that mpmath works with.

    With more and more digits, until two results agree: where terms cancel, a few are not enough.
    """
    return _digits(_nth(phi.name, phi.formula, order), s)


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
    """phi, or phi' where `order` is 1, as it is computed: in what `formulas.CALLS` has, and s > c alone to choose by."""
    return _form(phi.name, phi.formula, order)[0]


def bound(phi: Smooth, order: int) -> float:
    """How far off the form is at most, in roundings: units of eps (|f| + |s f'|), as `accurate` measures it."""
    return _form(phi.name, phi.formula, order)[1]


@cache
def _form(name: str, own: Formula, order: int) -> tuple[Formula, float]:
    from fcsym.language.accurate import accurate, measured

    def number(more: int, at: Any) -> Any:
        return _digits(_nth(name, own, order + more), at)

    s, _ = symbols()
    entry = None if own else ENTRIES[name]
    given = None if entry is None else (entry.slope if order else entry.value)
    if given is not None:
        found = from_sympy(given(s), fold=True)
        return found, measured(found, number)
    if entry is not None and not entry.everywhere:
        found = from_sympy(_diff(entry.expression(s)) if order else entry.expression(s), fold=True)
        return found, 0.0
    return accurate(_diff(_expression(name, own)) if order else _expression(name, own), s, number)


def never_zero(phi: Smooth) -> bool:
    """phi(s) != 0 for every real s, where SymPy can tell."""
    return _never_zero(phi.name, phi.formula)


@cache
def _never_zero(name: str, own: Formula) -> bool:
    found = _expression(name, own)
    return bool(found.is_positive or found.is_negative)


# ---------------------------------------------------------------------------------------------- a reader's own


def accepted(name: str, expression: Any) -> Formula:
    """A SymPy expression of one real symbol as a formula; NetworkError where it is no smooth function of every s."""
    import sympy

    where = f"The activation {name!r}"
    if not isinstance(expression, sympy.Expr):
        raise NetworkError(f"{where} is given {str(expression)[:40]!r}: give a SymPy expression of one symbol.")
    free = sorted(map(str, expression.free_symbols))
    if len(free) != 1:
        said = f"has the symbols {', '.join(free)[:60]}" if free else "has no symbol"
        raise NetworkError(f"{where} {said}: write an expression of exactly one, the pre-activation.")
    (symbol,) = expression.free_symbols
    narrow = next((a for a in ("positive", "negative", "nonnegative", "nonpositive", "zero", "nonzero", "integer",
                               "rational", "imaginary") if getattr(symbol, f"is_{a}") not in (None, False)), None)  # fmt: skip
    if narrow or symbol.is_real is False:
        raise NetworkError(
            f"{where} is written with the symbol {symbol}, declared {narrow or 'not real'}: a pre-activation is any "
            f"real number, so use Symbol({str(symbol)!r}, real=True)."
        )
    if expression.has(sympy.I, sympy.oo, -sympy.oo, sympy.nan, sympy.zoo):
        raise NetworkError(f"{where} has a number in it that is not real and finite: take it out.")
    if sympy.count_ops(expression) > _LONGEST:
        raise NetworkError(f"{where} has more than {_LONGEST} operations: give a shorter expression.")
    s, _ = symbols()
    try:
        own = from_sympy(expression.xreplace({symbol: s}))
    except NetworkError as problem:
        raise NetworkError(f"{where}: {problem}") from None
    unknown = next((head for head in _heads(own) if head not in _KNOWN), None)
    if unknown:
        raise NetworkError(f"{where} calls {unknown}, which is not known: use {', '.join(FUNCTIONS)}.")
    _check_everywhere(where, own)
    return own


_LONGEST = 200
_KNOWN = {"s", "number", "pi", "add", "mul", "pow", "above", *FUNCTIONS}


def _heads(own: Formula) -> Iterator[str]:
    yield own[0]
    for part in own[1:]:
        if isinstance(part, tuple):
            yield from _heads(part)


def _check_everywhere(where: str, own: Formula) -> None:
    """Real values and slopes at many points, which meet wherever the expression has a corner."""
    import mpmath

    from fcsym.language.accurate import POINTS

    s, _ = symbols()
    slope = from_sympy(_diff(to_sympy(own, s)))
    table = mpmath_table()
    signs: dict[Formula, list[tuple[Any, Any]]] = {}
    corners = {mpmath.mpf(p) / q for p, q in _bounds(own)}
    slopes = set()
    with mpmath.workdps(30):
        points = [mpmath.mpf(p.numerator) / p.denominator for p in POINTS]
        for at in sorted([*points, mpmath.mpf(0), *(mpmath.mpf(n) for n in (-3, -2, -1, 1, 2, 3))]):
            for what, inside in (("value", own), ("slope", slope)):
                _real(where, what, inside, at)
            slopes.add(mpmath.nstr(evaluate(slope, at, table), 20))
            for inner in _corners(own):
                signs.setdefault(inner, []).append((at, evaluate(inner, at, table)))
        for inner, values in signs.items():
            for (a, below), (b, above) in zip(values, values[1:], strict=False):
                if not above:
                    corners.add(b)
                elif below * above < 0:
                    corners.add(mpmath.findroot(lambda t, f=inner: evaluate(f, t, table), (a, b), solver="anderson"))
        near = mpmath.mpf(10) ** -20
        for corner in corners:
            for what, inside in (("jumps", own), ("has a corner", slope)):
                left, right = (evaluate(inside, corner + side * near, table) for side in (-1, 1))
                if abs(left - right) > mpmath.mpf(10) ** -9 * (1 + abs(left)):
                    raise NetworkError(
                        f"{where} {what} at s = {mpmath.nstr(corner, 4)}: a smooth function has a slope everywhere; for "
                        "straight pieces use piecewise_linear."
                    )
    if len(slopes) == 1:
        raise NetworkError(f"{where} is a straight line: use piecewise_linear.")


def _real(where: str, what: str, inside: Formula, at: Any) -> None:
    import mpmath

    try:
        found = evaluate(inside, at, mpmath_table())
        good = isinstance(found, mpmath.mpf | int) and mpmath.isfinite(found)
    except (ZeroDivisionError, ValueError, OverflowError, TypeError):
        good = False
    if not good:
        raise NetworkError(
            f"{where} has no real {what} at s = {mpmath.nstr(at, 4)}: an activation is real and smooth for every s."
        )


def _bounds(own: Formula) -> Iterator[tuple[int, int]]:
    if own[0] == "above":
        yield own[1], own[2]
    for part in own[1:]:
        if isinstance(part, tuple):
            yield from _bounds(part)


def _corners(own: Formula) -> Iterator[Formula]:
    """What is 0 where the expression may have a corner or a pole: arguments of |u|, log u and powers of u."""
    if own[0] in ("Abs", "log") or (own[0] == "pow" and own[2][0] == "number" and (own[2][1] < 0 or own[2][2] > 1)):
        yield own[1]
    for part in own[1:]:
        if isinstance(part, tuple):
            yield from _corners(part)


# ------------------------------------------------------------------------------------------------------- in words


@cache
def _shown(name: str, own: Formula, order: int) -> Any:
    import sympy

    return _derivative(name, own) if order else _expression(name, own).rewrite(sympy.tanh, sympy.exp)


def shown(phi: Smooth, order: int) -> Any:
    """phi(s), or phi'(s) where `order` is 1, for readers: tanh is written out, since its name alone says nothing."""
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
