"""How sums with indicators are written: with elements at shifted places, as people write them.

    sum(c, k, u: W[o, c, k]*[u = 2t + k - 1]*v[c, u])    =>    sum(c, k: W[o, c, k]*v[c, 2t + k - 1])
    sum(o, t, k: W[o, c, k]*delta[o, t]*[u = 2t + k])    =>    sum(o, t: W[o, c, u - 2t]*delta[o, t])

An element at a place outside of its array is 0. Of the indices that can go, those of parameters go last: a sum over
taps is written as a sum over taps. An indicator for which no index can go stays. Nothing is computed with the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from fcsym.language.algebra import free_in, replaced
from fcsym.language.expression import (
    Add,
    Apply,
    Expr,
    Extreme,
    Index,
    IndexForm,
    Indicator,
    Mul,
    Pow,
    Ref,
    Role,
    Total,
    Written,
    add,
    children,
    indicators_in,
    mul,
    power,
    total,
)
from fcsym.language.names import latex_array

__all__ = ["shifted", "written"]

_WIDTH = 0.7  # of a letter in an index


def written(node: Expr) -> Expr:
    """The expression with every sum in it as it is written."""
    if next(indicators_in(node), None) is None:
        return node
    if isinstance(node, Total):
        made = shifted(node)
        if made is not None:
            return written(made)
    match node:
        case Add(terms):
            return add(*map(written, terms))
        case Mul(factors):
            return mul(*map(written, factors))
        case Pow(base, exponent):
            return power(written(base), exponent)
        case Total(over, body):
            return Total(over, written(body))
        case Extreme(kind, over, body):
            return Extreme(kind, over, written(body))
        case Apply(phi, argument, derivative, value):
            return Apply(phi, written(argument), derivative, None if value is None else written(value))
    return node


@lru_cache(maxsize=1024)
def shifted(node: Total) -> Expr | None:
    """The sum with elements at forms in the place of its own indicators; None where there is none that can go."""
    factors = node.body.factors if isinstance(node.body, Mul) else (node.body,)
    rest = [factor for factor in factors if not isinstance(factor, Indicator)]
    marks = {n: factor for n, factor in enumerate(factors) if isinstance(factor, Indicator)}
    forms: dict[Index, IndexForm] = {}
    while (way := _next(node.over, marks, rest, forms)) is not None:
        gone, index, form = way
        forms = {i: _at(other, {index: form}) for i, other in forms.items()} | {index: form}
        marks = {n: _moved(mark, {index: form}) for n, mark in marks.items() if n != gone}
    if not forms:
        return None
    made = [
        marks.get(n) if isinstance(factor, Indicator) else replaced(factor, partial(_placed, forms=forms))
        for n, factor in enumerate(factors)
    ]
    return total(tuple(i for i in node.over if i not in forms), mul(*(factor for factor in made if factor is not None)))


def _next(
    over: Sequence[Index], marks: Mapping[int, Indicator], rest: Sequence[Expr], forms: Mapping[Index, IndexForm]
) -> tuple[int, Index, IndexForm] | None:
    """Which indicator goes next, with which index at which form: an index that no parameter has, if there is one."""
    of_parameters = {
        i for f in rest if isinstance(f, Ref) and (f.array.of or f.array).role is Role.PARAMETER for i in f.indices
    }
    ways = [
        (index in of_parameters, n, place, index, form)
        for n, mark in marks.items()
        for place, (index, form) in enumerate(mark.fixes(over))
        if index not in forms and _can_go(index, form, [m for k, m in marks.items() if k != n], rest)
    ]
    if not ways:
        return None
    _, n, _, index, form = min(ways, key=lambda way: way[:3])
    return n, index, form


def _can_go(index: Index, form: IndexForm, marks: Sequence[Indicator], rest: Sequence[Expr]) -> bool:
    """Whether what is left says the same with the form in the place of the index.

    An element of the product has to have the index, so that the product is 0 where the form leaves the axis. What else
    has it must be such an element, another indicator with it in its form, or an expression without sums and quotients.
    """
    if not any(isinstance(f, Ref) and index in f.indices for f in rest):
        return False
    if any(index == mark.index or mark.index in dict(form.terms) for mark in marks if index in mark.indices):
        return False
    return all(isinstance(f, Ref) or index not in free_in(f) or _is_simple(f) for f in rest)


def _is_simple(node: Expr) -> bool:
    quotient = isinstance(node, Pow) and node.exponent < 0
    return not isinstance(node, Total | Extreme) and not quotient and all(map(_is_simple, children(node)))


def _at(form: IndexForm, forms: Mapping[Index, IndexForm]) -> IndexForm:
    """A form with forms in the place of some of its indices."""
    made = IndexForm((), form.constant)
    for index, coefficient in form.terms:
        made = made + forms.get(index, IndexForm(((index, 1),))) * coefficient
    return made


def _moved(mark: Indicator, forms: Mapping[Index, IndexForm]) -> Indicator:
    return Indicator(mark.index, _at(mark.form, forms)) if set(forms) & set(mark.indices) else mark


def _placed(ref: Ref, forms: Mapping[Index, IndexForm]) -> Expr:
    """The element as it is written, with forms in the place of indices."""
    if not set(forms) & set(ref.indices):
        return ref
    names = [forms[i].spelt() if i in forms else i.letter for i in ref.indices]
    upper = (2.5 if ref.array.layer is not None else 0) + (0.5 if ref.array.after else 0)
    base = 2.0 if ref.array.role is Role.INCREMENT else 1.2
    wide = base + max(upper, _WIDTH * sum(map(len, names)))
    return Written(latex_array(ref.array, names), wide, f"{ref.array.name}[{', '.join(names)}]")
