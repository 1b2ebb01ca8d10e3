"""A reader's own smooth function: a SymPy expression of one real symbol, looked at before it becomes a formula.

Nothing is evaluated but the expression, which is an object already; a network file has names only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from fcsym.errors import NetworkError, shown
from fcsym.language.formulas import FUNCTIONS, Formula, evaluate, from_sympy, mpmath_table, to_sympy
from fcsym.language.smooth_functions import slope_of, symbols

__all__ = ["accepted"]


def accepted(name: str, expression: Any) -> Formula:
    """A SymPy expression of one real symbol as a formula; NetworkError where it is no smooth function of every s."""
    import sympy

    where = f"The activation {name!r}"
    if not isinstance(expression, sympy.Expr):
        raise NetworkError(f"{where} is given {shown(expression)!r}: give a SymPy expression of one symbol.")
    free = sorted(map(str, expression.free_symbols))
    if len(free) != 1:
        said = f"has the symbols {shown(', '.join(free), 60)}" if free else "has no symbol"
        raise NetworkError(f"{where} {said}: write an expression of exactly one, the pre-activation.")
    (symbol,) = expression.free_symbols
    narrow = next((word for word in _NARROW if getattr(symbol, f"is_{word}")), None)
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


_NARROW = ("positive", "negative", "nonnegative", "nonpositive", "zero", "nonzero", "integer", "rational", "imaginary")
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
    slope = from_sympy(slope_of(to_sympy(own, s)))
    table = mpmath_table()
    signs: dict[Formula, list[tuple[Any, Any]]] = {}
    slopes = set()
    with mpmath.workdps(30):
        corners = {mpmath.mpf(p) / q for p, q in _bounds(own)}
        points = [mpmath.mpf(p.numerator) / p.denominator for p in POINTS]
        for at in sorted([*points, mpmath.mpf(0), *(mpmath.mpf(n) for n in (-3, -2, -1, 1, 2, 3))]):
            for what, inside in (("value", own), ("slope", slope)):
                _real(where, what, inside, at)
            slopes.add(mpmath.nstr(evaluate(slope, at, table), 20))
            for inner in _corners(own):
                signs.setdefault(inner, []).append((at, evaluate(inner, at, table)))
        for inner, values in signs.items():
            for (a, below), (b, above) in pairwise(values):
                if not above:
                    corners.add(b)
                elif below * above < 0:
                    corners.add(_root(inner, a, b, below))
        near = mpmath.mpf(10) ** -20
        for corner in corners:
            for what, inside in (("jumps", own), ("has a corner", slope)):
                left, right = (evaluate(inside, corner + side * near, table) for side in (-1, 1))
                if not abs(left) < mpmath.mpf(10) ** 15:
                    raise _no_value(where, "value", corner)
                if abs(left - right) > mpmath.mpf(10) ** -9 * (1 + abs(left)):
                    raise NetworkError(
                        f"{where} {what} at s = {mpmath.nstr(corner, 4)}: a smooth function has a slope everywhere; "
                        "for straight pieces use piecewise_linear."
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
        raise _no_value(where, what, at)


def _no_value(where: str, what: str, at: Any) -> NetworkError:
    import mpmath

    return NetworkError(
        f"{where} has no real {what} at s = {mpmath.nstr(at, 4)}: an activation is real and smooth for every s."
    )


def _root(inner: Formula, a: Any, b: Any, below: Any) -> Any:
    """Where a formula is 0 between a and b, by halving; `below` is its value at a."""
    table = mpmath_table()
    for _ in range(100):
        middle = (a + b) / 2
        if evaluate(inner, middle, table) * below > 0:
            a = middle
        else:
            b = middle
    return b


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
