"""A function of s in a form that floating point computes well: no overflow, no cancellation where rules avoid it.

    1/(1 + e^-s)             =>    sigmoid(s)                     functions that targets have
    log(1 + e^s)             =>    softplus(s)
    1 - tanh(s)^2            =>    4 e/(1 + e)^2, e = e^-2|s|      quotients in e^s, on either side of 0

Two ways of writing the function are made, and the first that is good enough is taken. How good it is, is measured: in
numbers of 53 bits, each operation rounded, against many digits, at points from 1e-18 to 10^4 on both sides of 0. The
measure is in units of eps (|f| + |s f'|), which is what f changes by where s is off by a rounding; it can be asked for.
The same numbers come out on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from fcsym.errors import NetworkError
from fcsym.language.formulas import NUMBER, Formula, S, evaluate, from_sympy, mpmath_table

__all__ = ["POINTS", "accurate", "held", "in_calls", "measured"]

POINTS = tuple(
    Fraction(sign * p).limit_denominator(10**20)
    for p in (
        *(Fraction(1, 10**18), Fraction(7, 10**11), Fraction(3, 10**6), Fraction(7, 10**4), Fraction(1, 97)),
        *(Fraction(n, 7) for n in (1, 2, 3, 4, 5, 6, 8, 9, 11, 13, 16, 20, 26, 33, 41, 52, 65, 80, 100, 130, 180, 240)),
        *(Fraction(n, 3) for n in (263, 310, 500, 1000, 2120, 2300, 29_999)),
    )
    for sign in (-1, 1)
)
"""Where a form is measured."""

_GOOD = 16
_LARGEST = 3e38  # what the smaller of the two precisions holds


def accurate(expression: Any, s: Any, value: Callable[[int, Any], Any]) -> tuple[Formula, float]:
    """A SymPy expression of s => (the form that is computed, its measure); `value`: its n-th derivative at a number."""
    best: tuple[Formula, float] | None = None
    for form in _forms(expression, s):
        worst = measured(form, value)
        if worst <= _GOOD:
            return form, worst
        if best is None or worst < 0.9 * best[1]:
            best = form, worst
    assert best is not None
    return best


def measured(form: Formula, value: Callable[[int, Any], Any]) -> float:
    """The largest error of a form in units of eps (|f| + |s f'|), infinite where a number on the way is too large."""
    import mpmath

    worst = 0.0
    for point in POINTS:
        with mpmath.workprec(24):  # a number of either precision
            at = mpmath.mpf(point.numerator) / point.denominator
        with mpmath.workdps(30):
            true, slope = value(0, at), value(1, at)
            if abs(true) > _LARGEST / 10:
                continue
        with mpmath.workprec(53):
            try:
                found = evaluate(form, at, _checked(mpmath_table()))
            except (ArithmeticError, ValueError):
                return float("inf")
        with mpmath.workdps(30):
            size = (abs(true) + abs(at * slope)) * mpmath.mpf(2) ** -52 + mpmath.mpf(10) ** -290
            worst = max(worst, float(abs(found - true) / size))
    return worst


def _checked(table: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The same functions, with an error for what is too large; both sides of a choice are computed, as targets do."""

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            if not abs(result) < _LARGEST:
                raise OverflowError
            return result

        return call

    return {**{head: guarded(f) for head, f in table.items()}, "above": lambda test, a, b: a if test else b}


# ---------------------------------------------------------------------------------------------------------- forms


def _forms(expression: Any, s: Any) -> Iterator[Formula]:
    import sympy

    yield held(in_calls(expression))
    if expression.has(sympy.Piecewise):
        return
    if not expression.has(sympy.exp, sympy.tanh, sympy.sinh, sympy.cosh):
        yield from_sympy(with_calls(sympy.factor(sympy.together(expression))), fold=True)
    sided = _sides(expression, s)
    if sided is not None:
        yield sided
    yield from_sympy(expression, fold=True)


def held(form: Formula) -> Formula:
    """Each side of a choice with s held on that side: the other one is computed, too, and must not overflow."""
    match form:
        case ("above", p, q, a, b):
            bound = NUMBER, p, q
            return "above", p, q, _put(held(a), ("above", p, q, S, bound)), _put(held(b), ("above", p, q, bound, S))
        case _:
            return form


def _put(form: Formula, at: Formula) -> Formula:
    """The form with another in the place of s."""
    if form == S:
        return at
    return tuple(_put(part, at) if isinstance(part, tuple) else part for part in form)  # a choice is by s as it is


def in_calls(expression: Any) -> Formula:
    """A SymPy expression of s as a formula in the functions that targets have, piece by piece."""
    import sympy

    if expression.has(sympy.Piecewise):
        expression = sympy.piecewise_fold(expression)
    if isinstance(expression, sympy.Piecewise):
        return from_sympy(expression.func(*((with_calls(a), c) for a, c in expression.args)), fold=True)
    return from_sympy(with_calls(expression), fold=True)


def with_calls(expression: Any) -> Any:
    """The expression with functions that targets have, where these lose no digits: sigmoid, softplus, log1p, ..."""
    import sympy

    call = {name: sympy.Function(name, real=True) for name in ("sigmoid", "softplus", "log1p", "expm1", "normal_cdf")}
    one = sympy.Integer(1)

    def exponent(term: Any) -> Any:
        """u, of c e^u with c = 1; None for anything else."""
        return term.args[0] if isinstance(term, sympy.exp) else None

    def one_and_exp(node: Any) -> Any:
        """u, of 1 + e^u."""
        if node.is_Add and len(node.args) == 2 and node.args[0] == one:  # where SymPy has numbers
            return exponent(node.args[1])
        return None

    def power(node: Any) -> Any:
        u = one_and_exp(node.base)
        if u is not None and node.exp.is_Integer and node.exp < 0:
            return call["sigmoid"](-u) ** -node.exp
        return node

    def product(node: Any) -> Any:
        """e^u sigmoid(-u) is sigmoid(u), as often as both are there."""
        factors = list(node.args)
        for place, factor in enumerate(factors):
            base, count = factor.as_base_exp() if not isinstance(factor, sympy.exp) else (factor, one)
            if not isinstance(base, call["sigmoid"]) or not count.is_Integer or count < 1:
                continue
            u = -base.args[0]
            for other, grown in enumerate(factors):
                if not isinstance(grown, sympy.exp):
                    continue
                times = sympy.cancel(grown.args[0] / u)
                if times.is_Integer and 0 < times <= count:
                    factors[place] = base ** (count - times)
                    factors[other] = call["sigmoid"](u) ** times
                    return sympy.Mul(*factors)  # there is no other: SymPy writes e^a e^b as one
        return node

    def logarithm(node: Any) -> Any:
        (inner,) = node.args
        u = one_and_exp(inner)
        if u is not None:
            return call["softplus"](u)
        if isinstance(inner, call["sigmoid"]):
            return -call["softplus"](-inner.args[0])
        if inner.is_Add and one in inner.args:
            return call["log1p"](inner - 1)
        return node

    def total(node: Any) -> Any:
        """1 - sigmoid(u), e^u - 1, 1 + erf(u), 1 + tanh(u), 1 - tanh(u)^2 and sqrt(1 + u) - 1, each with a factor."""
        number = node.as_independent(*node.free_symbols, as_Add=True)[0]
        for term in node.args:
            count, rest = term.as_coeff_Mul()
            same, opposite, made = count == number, count == -number, None
            if opposite and isinstance(rest, call["sigmoid"]):
                made = number * call["sigmoid"](-rest.args[0])
            elif opposite and isinstance(rest, sympy.exp):
                made = count * call["expm1"](rest.args[0])
            elif (same or opposite) and isinstance(rest, sympy.erf):
                made = 2 * number * call["normal_cdf"](sympy.sqrt(2) * rest.args[0] * count / number)
            elif (same or opposite) and isinstance(rest, sympy.tanh):
                made = 2 * number * call["sigmoid"](2 * rest.args[0] * count / number)
            elif opposite and rest.is_Pow and isinstance(rest.base, sympy.tanh) and rest.exp == 2:
                twice = 2 * rest.base.args[0]
                made = 4 * number * call["sigmoid"](twice) * call["sigmoid"](-twice)
            elif opposite and rest.is_Pow and rest.exp == sympy.Rational(1, 2):
                made = count * sympy.expand(rest.base - 1) / (rest + 1)
            if made is not None:
                return node - term - number + made
        return node

    def tail(node: Any) -> Any:
        return 2 * call["normal_cdf"](-sympy.sqrt(2) * node.args[0])

    def changed(node: Any) -> Any:
        if not node.args or not node.free_symbols:
            return node
        node = node.func(*map(changed, node.args))
        if node.is_Pow:
            return power(node)
        if node.is_Mul:
            return product(node)
        if node.is_Add:
            return total(node)
        if isinstance(node, sympy.log):
            return logarithm(node)
        if isinstance(node, sympy.erfc):
            return tail(node)
        if isinstance(node, sympy.sinh | sympy.cosh):
            return changed(node.rewrite(sympy.exp))
        return node

    return changed(expression)


# ---------------------------------------------------------------------------------------------- on either side of 0


def _sides(expression: Any, s: Any) -> Formula | None:
    """A quotient in e^{q s}, with e = e^{-q |s|} on either side; None where there is no such quotient."""
    import sympy

    hyperbolic = (sympy.tanh, sympy.sinh, sympy.cosh)
    flat = expression.replace(lambda node: isinstance(node, hyperbolic), lambda node: node.rewrite(sympy.exp))
    flat = sympy.expand_power_exp(flat)
    rates = {(node.args[0] / s).cancel() for node in flat.atoms(sympy.exp) if node.has(s)}
    rates = {rate for rate in rates if rate.is_Rational}
    if not rates:
        return None
    unit = Fraction(0)
    for rate in rates:
        unit = _common(unit, Fraction(int(rate.p), int(rate.q)))
    q = sympy.Rational(unit.numerator, unit.denominator)
    small, fall = sympy.Dummy("small", positive=True), sympy.Dummy("fall", positive=True)
    if sympy.count_ops(flat) > 150:
        return None
    sides = []
    for sign in (1, -1):  # s > 0: e^{q s} = 1/small;  s <= 0: e^{q s} = small

        def in_small(node: Any, sign: int = sign) -> Any:
            if isinstance(node, sympy.exp) and (rate := (node.args[0] / s).cancel()).is_Rational:
                return small ** (-sign * rate / q)
            return node

        grown = flat.replace(lambda node: isinstance(node, sympy.exp), in_small)
        if grown.has(sympy.exp):
            return None
        sides.append(_arranged(_logarithms(grown, small, -sign * q * s), small, fall))
    away = ("exp", ("mul", (NUMBER, -unit.numerator, unit.denominator), ("Abs", S)))
    named = {small: away, fall: ("expm1", away[1])}
    above, below = (_named(side, s, named) for side in sides)
    return above if above == below else ("above", 0, 1, above, below)


def _common(a: Fraction, b: Fraction) -> Fraction:
    """The largest number of which both are multiples."""
    from math import gcd, lcm

    denominator = lcm(a.denominator, b.denominator)
    return Fraction(gcd(int(a * denominator), int(b * denominator)), denominator)


def _logarithms(node: Any, small: Any, log_small: Any) -> Any:
    """log of a quotient in `small`: what grows is taken out, and log1p where what is left is near 1."""
    import sympy

    if not node.args or not node.has(small):
        return node
    node = node.func(*(_logarithms(part, small, log_small) for part in node.args))
    if not isinstance(node, sympy.log):
        return node
    log1p, result = sympy.Function("log1p", real=True), sympy.Integer(0)
    for sign, part in zip((1, -1), sympy.fraction(sympy.together(node.args[0])), strict=True):
        if not part.is_polynomial(small):
            return node
        poly = sympy.Poly(part, small)
        lowest = min(m[0] for m in poly.monoms())
        rest = sympy.expand(poly.as_expr() / small**lowest)
        start = rest.subs(small, 0)
        if not start.is_number or not start.is_positive:
            return node
        result += sign * (lowest * log_small + sympy.log(start))
        rest = sympy.expand(rest / start - 1)
        result += sign * log1p(rest) if rest else 0
    return result


def _arranged(node: Any, small: Any, fall: Any) -> Any:
    """One quotient: powers of `small`, and of `fall` = small - 1, taken out, and what is left in Horner's form."""
    import sympy

    above, below = sympy.fraction(sympy.cancel(sympy.together(node)))
    return _factors(above, small, fall) / _factors(below, small, fall)


def _factors(node: Any, small: Any, fall: Any) -> Any:
    import sympy

    node = sympy.expand(node)
    if not node.has(small) or not node.is_polynomial(small):
        return node
    constant, found = sympy.factor_list(node)
    result = constant
    for factor, count in found:
        if sympy.expand(factor - small + 1) == 0:
            result *= fall**count
        else:
            poly = sympy.Poly(factor, small)
            result *= sympy.horner(poly.as_expr(), small) ** count
    return result


def _named(node: Any, s: Any, named: Mapping[Any, Formula]) -> Formula:
    """A formula with these in the places of symbols."""
    import sympy

    marks = {symbol: sympy.Function(f"mark{n}", real=True)(s) for n, symbol in enumerate(named)}
    places = {f"mark{n}": formula for n, formula in enumerate(named.values())}

    def back(node: Any) -> Formula:
        if node.is_Symbol or not node.args or not node.free_symbols:
            return from_sympy(node, fold=True)
        name = node.func.__name__
        if name in places:
            return places[name]
        if node.is_Add:
            return "add", *map(back, node.as_ordered_terms())
        if node.is_Mul:
            number, rest = node.as_independent(*node.free_symbols, as_Add=False)
            factors = [] if number == 1 else [from_sympy(number, fold=True)]
            return "mul", *factors, *map(back, sympy.Mul.make_args(rest))
        if node.is_Pow:
            return "pow", back(node.base), back(node.exp)
        if len(node.args) != 1:
            raise NetworkError(f"{name} has no formula here.")
        return name, back(node.args[0])

    return back(node.xreplace(marks))
