"""How much a smooth function changes, without the cancellation of subtracting two values of it.

    e^u' - e^u              =>    e^u (e^du - 1)                           du = u' - u, and e^du - 1 is expm1
    sigmoid(u') - sigmoid(u)  =>    sigmoid(u') sigmoid(-u) (1 - e^-du)
    a' b' - a b             =>    da b' + a db                             and so on, through sums, powers and quotients
    Phi(u') - Phi(u)        =>    phi(m) du (1 + (m^2 - 1) du^2/24 + ...)   m = (u + u')/2, of the normal distribution

Where s changes by ds = 10^-9, two values of a function agree in nine digits, and their difference has seven left. Each
rule takes what the arguments change by instead, down to ds itself, which the equations have computed already. Where a
rule loses digits, or overflows, the values are far apart and are subtracted.

Formulas are those of `formulas`, with three heads more: `after`, which is s + ds; `change`, which is ds; and
("where", u, n, d, a, b), which is a where u > n/d and b elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from math import factorial

from fcsym.language.formulas import NUMBER, Formula, S

__all__ = ["AFTER", "CHANGE", "difference"]

AFTER: Formula = ("after",)
CHANGE: Formula = ("change",)
_NOUGHT: Formula = (NUMBER, 0, 1)


@cache
def difference(form: Formula) -> Formula | None:
    """f(s + ds) - f(s) for a formula f of s, as one of s, s + ds and ds; None where no rule says more than that."""
    made = _change(form)
    return None if made == _minus(put(form, {S: AFTER}), form) else made


def put(form: Formula, places: dict[Formula, Formula]) -> Formula:
    """The formula with others in the places of s, s + ds and ds."""
    if form in places:
        return places[form]
    if form[0] == "above" and S in places:
        return "where", places[S], *form[1:3], *(put(part, places) for part in form[3:])
    return tuple(put(part, places) if isinstance(part, tuple) else part for part in form)


# ------------------------------------------------------------------------------------------------------------ rules


def _change(form: Formula) -> Formula:
    """What a formula changes by."""
    plain = _minus(put(form, {S: AFTER}), form)
    match form:
        case ("s",):
            return CHANGE
        case ("number" | "pi", *_):
            return _NOUGHT
        case ("add", *terms):
            return _sum(*map(_change, terms))
        case ("mul", *factors):
            after = [put(factor, {S: AFTER}) for factor in factors]
            changes = map(_change, factors)
            return _sum(*(_product(*factors[:n], d, *after[n + 1 :]) for n, d in enumerate(changes)))
        case ("pow", base, ("number", p, q)) if q <= 2:
            return _power(base, p, q)
        case ("above", p, q, above, below):
            return _piece(p, q, above, below, plain)
        case (name, u) if name in _RULES:
            du = _change(u)
            return _NOUGHT if du == _NOUGHT else _RULES[name](u, put(u, {S: AFTER}), du)
    return plain


def _power(base: Formula, p: int, q: int) -> Formula:
    """(b + db)^n - b^n = db (b'^(n-1) + b'^(n-2) b + ...); of a root, db over the sum of both; of 1/b, -db/(b b')."""
    change, after = _change(base), put(base, {S: AFTER})
    if change == _NOUGHT:
        return _NOUGHT
    if q == 2:
        root, other = ("pow", base, (NUMBER, 1, 2)), ("pow", after, (NUMBER, 1, 2))
        base, after, change = root, other, _product(change, ("pow", _sum(other, root), (NUMBER, -1, 1)))
    n = abs(p)
    if n > 1:
        change = _product(change, _sum(*(_product(_to(after, n - 1 - k), _to(base, k)) for k in range(n))))
    if p > 0:
        return change
    return _product((NUMBER, -1, 1), change, ("pow", base, (NUMBER, -n, 1)), ("pow", after, (NUMBER, -n, 1)))


def _piece(p: int, q: int, above: Formula, below: Formula, plain: Formula) -> Formula:
    """On one piece its own change, with s and s' held there: what is not chosen is computed, too, and may overflow."""
    bound = NUMBER, p, q

    def held(inside: Formula, up: bool) -> Formula:
        own = {at: ("where", at, p, q, *((at, bound) if up else (bound, at))) for at in (S, AFTER)}
        return put(_change(inside), own)

    both = "where", AFTER, p, q
    return "where", S, p, q, (*both, held(above, True), plain), (*both, plain, held(below, False))


def _exponential(u: Formula, after: Formula, du: Formula) -> Formula:
    """The larger one times 1 - e^-|du|, with the sign of du."""
    return _product(("exp", _larger(u, after, du)), _fall(du))


def _sigmoid(u: Formula, after: Formula, du: Formula) -> Formula:
    """sigmoid(larger) sigmoid(-smaller) (1 - e^-|du|), with the sign of du."""
    return _product(("sigmoid", _larger(u, after, du)), ("sigmoid", _negative(_larger(after, u, du))), _fall(du))


def _tanh(u: Formula, after: Formula, du: Formula) -> Formula:
    """tanh(u) = 2 sigmoid(2u) - 1."""
    two = NUMBER, 2, 1
    return _product(two, _sigmoid(*(_product(two, part) for part in (u, after, du))))


def _softplus(u: Formula, after: Formula, du: Formula) -> Formula:
    """log1p((e^-|du| - 1) sigmoid(larger)); beyond 1, where that loses digits, the values are apart, or nearly du."""
    size = "where", ("Abs", du), 1, 1, _NOUGHT, ("Abs", du)
    fall = "expm1", _negative(size)
    near = _falling(du, ("log1p", _product(fall, ("sigmoid", _larger(u, after, du)))))
    far = _minus(("softplus", after), ("softplus", u))
    right = _sum(du, _minus(("softplus", _negative(after)), ("softplus", _negative(u))))
    return "where", ("Abs", du), 1, 1, ("where", _larger(after, u, du), 0, 1, right, far), near


def _logarithm(u: Formula, after: Formula, du: Formula) -> Formula:
    """log(1 + du/u), where that is not far from 1."""
    return _logarithm_near(_product(du, ("pow", u, (NUMBER, -1, 1))), _minus(("log", after), ("log", u)))


def _log1p(u: Formula, after: Formula, du: Formula) -> Formula:
    """log(1 + du/(1 + u))."""
    share = _product(du, ("pow", _sum((NUMBER, 1, 1), u), (NUMBER, -1, 1)))
    return _logarithm_near(share, _minus(("log1p", after), ("log1p", u)))


def _logarithm_near(share: Formula, far: Formula) -> Formula:
    return "where", share, -1, 2, ("log1p", ("where", share, -1, 2, share, _NOUGHT)), far


def _sine(u: Formula, after: Formula, du: Formula) -> Formula:
    """2 cos((u + u')/2) sin(du/2)."""
    return _product((NUMBER, 2, 1), ("cos", _halved(_sum(u, after))), ("sin", _halved(du)))


def _cosine(u: Formula, after: Formula, du: Formula) -> Formula:
    """-2 sin((u + u')/2) sin(du/2)."""
    return _product((NUMBER, -2, 1), ("sin", _halved(_sum(u, after))), ("sin", _halved(du)))


def _arc_tangent(u: Formula, after: Formula, du: Formula) -> Formula:
    """atan(du/(1 + u u')), where u u' is not near -1."""
    across = _product(u, after)
    held = _sum((NUMBER, 1, 1), ("where", across, -1, 2, across, _NOUGHT))
    near = "atan", _product(du, ("pow", held, (NUMBER, -1, 1)))
    return "where", across, -1, 2, near, _minus(("atan", after), ("atan", u))


def _absolute(u: Formula, after: Formula, du: Formula) -> Formula:
    """du, or -du, on one side of 0."""
    plain = _minus(("Abs", after), ("Abs", u))
    here, there = ("where", after, 0, 1, du, plain), ("where", after, 0, 1, plain, _negative(du))
    return "where", u, 0, 1, here, there


def _normal(u: Formula, after: Formula, du: Formula) -> Formula:
    """phi(m) du sum_k He_2k(m) (du/2)^2k/(2k + 1)! while |du| (1 + |m|) <= 1/4; else the smaller tails subtracted."""
    middle = _halved(_sum(u, after))
    room = _product(("Abs", du), _sum((NUMBER, 1, 1), ("Abs", middle)))
    own = "where", room, 1, 4, _NOUGHT, middle
    x, y = _to(own, 2), _to(_halved(("where", room, 1, 4, _NOUGHT, du)), 2)
    terms: list[Formula] = []
    for k, hermite in enumerate(_hermite(_TERMS)):
        inner = _horner([(NUMBER, c, 1) for c in hermite], x)
        terms.append(_product((NUMBER, 1, factorial(2 * k + 1)), inner))
    near = _product(("normal_pdf", own), du, _horner(terms, y))
    left = _minus(("normal_cdf", after), ("normal_cdf", u))
    right = _minus(("normal_cdf", _negative(u)), ("normal_cdf", _negative(after)))
    return "where", room, 1, 4, ("where", middle, 0, 1, right, left), near


_TERMS = 6
"""Of the series for the normal distribution: the next one is below 10^-16 of the sum."""


def _hermite(count: int) -> list[list[int]]:
    """The coefficients of He_0, He_2, He_4, ... in powers of m^2."""
    before, now, found = [0], [1], [[1]]
    for n in range(2 * count - 2):  # He_{n+1} = m He_n - n He_{n-1}
        shifted = [0, *now]
        before, now = now, [a - n * b for a, b in zip(shifted, [*before, *[0] * 2], strict=False)]
        if n % 2:
            found.append(now[::2])
    return found


def _error(u: Formula, after: Formula, du: Formula) -> Formula:
    """erf(u) = 2 Phi(sqrt(2) u) - 1."""
    return _product((NUMBER, 2, 1), _normal(*(_product(_ROOT_OF_2, part) for part in (u, after, du))))


_ROOT_OF_2: Formula = (NUMBER, *Fraction("1.4142135623730950488016887242096980785697").as_integer_ratio())

_RULES: Mapping[str, Callable[[Formula, Formula, Formula], Formula]] = {
    "exp": _exponential, "expm1": _exponential, "sigmoid": _sigmoid, "tanh": _tanh, "softplus": _softplus,
    "log": _logarithm, "log1p": _log1p, "sin": _sine, "cos": _cosine, "atan": _arc_tangent, "Abs": _absolute,
    "normal_cdf": _normal, "erf": _error,
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- writing


def _sum(*terms: Formula) -> Formula:
    own = [term for term in terms if term != _NOUGHT]
    return ("add", *own) if len(own) > 1 else own[0] if own else _NOUGHT


def _product(*factors: Formula) -> Formula:
    if _NOUGHT in factors:
        return _NOUGHT
    flat = [part for factor in factors for part in (factor[1:] if factor[0] == "mul" else (factor,))]
    flat = [part for part in flat if part != (NUMBER, 1, 1)]
    return ("mul", *flat) if len(flat) > 1 else flat[0] if flat else (NUMBER, 1, 1)


def _negative(u: Formula) -> Formula:
    return _product((NUMBER, -1, 1), u)


def _minus(a: Formula, b: Formula) -> Formula:
    return _sum(a, _negative(b))


def _halved(u: Formula) -> Formula:
    return _product((NUMBER, 1, 2), u)


def _to(base: Formula, n: int) -> Formula:
    return ("pow", base, (NUMBER, n, 1)) if n > 1 else base if n else (NUMBER, 1, 1)


def _horner(coefficients: list[Formula], x: Formula) -> Formula:
    """c_0 + x (c_1 + x (c_2 + ...))."""
    made = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        made = _sum(c, _product(x, made))
    return made


def _larger(u: Formula, after: Formula, du: Formula) -> Formula:
    """u' where du is above 0, u elsewhere."""
    return "where", du, 0, 1, after, u


def _falling(du: Formula, value: Formula) -> Formula:
    """-value where du is above 0, value elsewhere."""
    return "where", du, 0, 1, _negative(value), value


def _fall(du: Formula) -> Formula:
    """1 - e^-|du| with the sign of du."""
    return _falling(du, ("expm1", _negative(("Abs", du))))
