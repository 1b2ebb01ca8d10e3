"""Algebra on expressions in index notation: substitution, expansion, canonical form, the linear part.

The canonical form is what makes proofs at symbolic widths possible. An expression is expanded to a sum of
monomials; in each, the bound indices get the names under which its sorted factors come first. Two expressions
are equal as polynomials in the array elements, for every width, exactly when their canonical forms are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations, product
from math import factorial, gcd, prod
from operator import is_
from typing import TypeAlias

from fcsym.errors import UnsupportedExpression
from fcsym.language.expression import (
    ONE,
    ZERO,
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    IndexForm,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    add,
    children,
    indicator,
    indices_in,
    mul,
    number,
    power,
    refs_in,
    total,
)

__all__ = [
    "Factor",
    "Monomial",
    "Polynomial",
    "coefficients",
    "contracted",
    "equal",
    "expand",
    "fresh",
    "inline",
    "linear_part",
    "products",
    "rename",
]

Factor: TypeAlias = "Ref | Indicator"
Factors: TypeAlias = "dict[Factor, int]"
_LETTERS = ("i", "j", "k", "m", "n", "q", "r", "t", "u", "z")


@dataclass(frozen=True, slots=True)
class Monomial:
    """Sorted factors with their exponents, summed over the bound indices."""

    factors: tuple[tuple[Factor, int], ...]  # an indicator only once
    bound: tuple[Index, ...]

    def expr(self, coefficient: Fraction = Fraction(1)) -> Expr:
        """The monomial as an expression, with a coefficient in front."""
        body = in_order(*(power(ref, exponent) for ref, exponent in self.factors))
        return mul(coefficient, total(self.bound, body))


Polynomial: TypeAlias = "dict[Monomial, Fraction]"


_PLACES = {role: k for k, role in enumerate((Role.HYPER_PARAMETER, Role.GATE, Role.PARAMETER, Role.ADJOINT))}


def in_order(*factors: Expr) -> Expr:
    """The product with its factors as people write them: eta, gate, weight, error, the rest, quotients."""

    def rank(factor: Expr) -> tuple[int, str]:
        base, exponent = (factor.base, factor.exponent) if isinstance(factor, Pow) else (factor, 1)
        if not isinstance(base, Ref):
            return 8, ""
        place = _PLACES.get(base.array.role, 4) if len(base.indices) < 3 else 4
        return (place if exponent > 0 else 9), base.array.name

    flat = [part for factor in factors for part in (factor.factors if isinstance(factor, Mul) else (factor,))]
    return mul(*sorted(flat, key=rank))


# ---------------------------------------------------------------------------------------------- substitution


def fresh(axis: Axis, taken: Iterable[Index]) -> Index:
    """An index over `axis` that is not among `taken`."""
    used = set(taken)
    for suffix in range(len(used) + 1):
        for letter in _LETTERS:
            index = Index(axis, letter if suffix == 0 else f"{letter}{suffix}")
            if index not in used:
                return index
    raise AssertionError("one more name than there are taken ones is always free")


def indices_of(array: Array) -> tuple[Index, ...]:
    """One fresh index per axis of an array."""
    result: list[Index] = []
    for axis in array.axes:
        result.append(fresh(axis, result))
    return tuple(result)


def rename(node: Expr, names: Mapping[Index, Index]) -> Expr:
    """Free indices are renamed; bound ones give way where they would capture a new name."""
    if all(old == new for old, new in names.items()):
        return node
    match node:
        case Ref(array, indices):
            return node if names.keys().isdisjoint(indices) else Ref(array, tuple(names.get(i, i) for i in indices))
        case Indicator():
            return node if names.keys().isdisjoint(node.indices) else node.renamed(names)
        case Total(over, body) | Extreme(_, over, body):
            taken = set(names.values()) | set(names) | set(indices_in(body))
            inner = {old: new for old, new in names.items() if old not in over}
            moved = []
            for index in over:
                if index in names.values():
                    inner[index] = fresh(index.axis, taken)
                    taken.add(inner[index])
                moved.append(inner.get(index, index))
            return _bound(node, tuple(moved), rename(body, inner))
        case _:
            return _rebuild(node, lambda child: rename(child, names))


def apart(node: Expr) -> Expr:
    """Every bound index gets a name that nothing else in the expression has: no sum can capture what is beside it."""
    return _apart_from(node, free_in(node))


def lettered(node: Expr, taken: Iterable[str]) -> Expr:
    """The same with every letter bound once and none of `taken`, whatever the axes: a printer does not see axes."""
    return _lettered(node, set(taken))


def _lettered(node: Expr, used: set[str]) -> Expr:
    if not isinstance(node, Total | Extreme):
        return _rebuild(node, lambda child: _lettered(child, used))
    names = {}
    for index in node.over:
        names[index] = (
            fresh(index.axis, (Index(index.axis, letter) for letter in used)) if index.letter in used else index
        )
        used.add(names[index].letter)
    return _bound(node, tuple(names.values()), _lettered(rename(node.body, names), used))


def free_in(node: Expr) -> set[Index]:
    """The indices that no sum in the expression binds."""
    if isinstance(node, Ref | Indicator):
        return set(node.indices)
    inside = set().union(*(free_in(child) for child in children(node)))
    return inside - set(node.over) if isinstance(node, Total | Extreme) else inside


def _bound(node: Total | Extreme, over: tuple[Index, ...], body: Expr) -> Expr:
    """The same kind of node over other indices."""
    return Total(over, body) if isinstance(node, Total) else Extreme(node.kind, over, body)


def _apart_from(node: Expr, taken: set[Index]) -> Expr:
    if not isinstance(node, Total | Extreme):
        return _rebuild(node, lambda child: _apart_from(child, taken))
    names = {}
    for index in node.over:
        names[index] = fresh(index.axis, taken) if index in taken else index
        taken.add(names[index])
    return _bound(node, tuple(names.values()), _apart_from(rename(node.body, names), taken))


def _rebuild(node: Expr, visit: Callable[[Expr], Expr]) -> Expr:
    """The node with each child replaced by what `visit` makes of it; the node itself where that changes nothing."""
    match node:
        case Add(terms):
            new = [visit(term) for term in terms]
            return node if all(map(is_, new, terms)) else add(*new)
        case Mul(factors):
            new = [visit(factor) for factor in factors]
            return node if all(map(is_, new, factors)) else mul(*new)
        case Pow(base, exponent):
            return power(visit(base), exponent)
        case Total(over, body):
            return total(over, visit(body))
        case Extreme(kind, over, body):
            return Extreme(kind, over, visit(body))
        case Inverse(element):
            inner = visit(element)
            if not isinstance(inner, Ref):
                raise UnsupportedExpression("What is inverted is a matrix with a name.")
            return Inverse(inner)
        case Apply(activation, argument, derivative, value):
            return Apply(activation, visit(argument), derivative, None if value is None else visit(value))
        case _:  # leaves: Number, Ref, Indicator, Written
            return node


Definition: TypeAlias = "tuple[tuple[Index, ...], Expr]"


def inline(node: Expr, definitions: Mapping[Array, Definition]) -> Expr:
    """A[...] => its right-hand side with the indices put in, for every array A that `definitions` has."""
    match node:
        case Ref(array, indices) if array in definitions:
            parameters, body = definitions[array]
            return rename(body, dict(zip(parameters, indices, strict=True)))
        case Total(over, body):
            return total(over, inline(body, definitions))
        case _:
            return _rebuild(node, lambda child: inline(child, definitions))


def rewritten(node: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with what `change` gives in the place of a part, from the whole down; None goes on within it."""
    made = change(node)
    return made if made is not None else _rebuild(node, lambda child: rewritten(child, change))


def replaced(node: Expr, change: Callable[[Ref], Expr]) -> Expr:
    """The expression with something else in the place of every array element, bound indices and all."""
    return rewritten(node, lambda part: change(part) if isinstance(part, Ref) else None)


def contracted(node: Expr) -> Expr:
    """sum_i I_ki f_i => f_k, wherever the sum is over one factor I and others."""
    if isinstance(node, Add):
        return add(*map(contracted, node.terms))
    if isinstance(node, Mul):  # a coefficient in front of a sum
        return mul(*map(contracted, node.factors))
    if not isinstance(node, Total):
        return node
    factors = node.body.factors if isinstance(node.body, Mul) else (node.body,)
    for unit in factors:
        if not isinstance(unit, Ref) or unit.array.role is not Role.UNIT:
            continue
        for index, other in (unit.indices, unit.indices[::-1]):
            rest = [factor for factor in factors if factor is not unit]
            if index in node.over and not _on_diagonal(rest, index, other):
                left = tuple(i for i in node.over if i != index)
                return contracted(total(left, rename(mul(*rest), {index: other})))
    return node


def _on_diagonal(factors: Sequence[Expr], one: Index, other: Index) -> bool:
    """Whether an element has both indices, so that one cannot be put in the place of the other."""
    return any({one, other} <= set(ref.indices) for factor in factors for ref in refs_in(factor))


def tidy(free: Sequence[Index], output: Axis) -> dict[Index, Index]:
    """Reader's letters for free indices: those of the axis, k over the outputs, otherwise i, then j."""
    names: dict[Index, Index] = {}
    plain = [index for index in free if not index.axis.letters]
    for index in free:
        used = {name.letter for name in names.values()}
        letters: tuple[str, ...] = ("k",) if index.axis == output and "k" not in used else ("i", "j", "m", "n")
        letters = (*index.axis.letters, *letters)
        if len(plain) > 1 and letters[0] == "i" and index != plain[0]:
            letters = letters[1:]
        names[index] = Index(index.axis, next(letter for letter in letters if letter not in used))
    return names


def tidy_bound(node: Expr, used: frozenset[str], output: Axis) -> Expr:
    """Bound indices get letters that no index around them has, whatever its axis: readers do not see axes."""
    if isinstance(node, Total | Extreme):
        names: dict[Index, Index] = {}
        for index in node.over:
            letters: tuple[str, ...] = (
                ("k", "m", "n", "q", "t", "u") if index.axis == output else ("j", "i", "m", "n", "q", "t", "u")
            )
            letters = (*index.axis.letters, *letters)
            letter = next((letter for letter in letters if letter not in used), f"j{len(used)}")
            names[index] = Index(index.axis, letter)
            used |= {letter}
        body = rename(node.body, names)
        return _bound(node, tuple(names.values()), tidy_bound(body, used, output))
    return _rebuild(node, lambda child: tidy_bound(child, used, output))


# ------------------------------------------------------------------------------------------------- expansion


def expand(node: Expr, *, ones: frozenset[Axis] = frozenset()) -> Polynomial:
    """An expression => its canonical sum of monomials.

    `ones` are axes known to have length one: a sum over such an axis is its single term.
    Raises UnsupportedExpression for activations (replace them by their gates first) and for quotients whose
    denominator is not a product of array elements.
    """
    result: Polynomial = {}
    for coefficient, factors, bound in _terms(node):
        settled = _settled(factors, bound, ones) if any(isinstance(f, Indicator) for f in factors) else (factors, bound)
        if settled is None:
            continue
        monomial = _canonical(*settled, ones)
        value = result[monomial] + coefficient if monomial in result else coefficient
        if value:
            result[monomial] = value
        else:
            result.pop(monomial, None)
    return result


def products(node: Expr) -> list[tuple[Fraction, Factors, frozenset[Index]]]:
    """An expression multiplied out, before terms are compared: coefficients, factors with exponents, bound indices.

    Raises UnsupportedExpression as `expand` does.
    """
    return _terms(node)


_ONE = ONE.value  # exact products are slow, and most are by 1
_Term: TypeAlias = "tuple[Fraction, Factors, frozenset[Index]]"


def _terms(node: Expr) -> list[_Term]:
    match node:
        case Number(value):
            return [(value, {}, frozenset())] if value else []
        case Ref():
            return [(_ONE, {node: 1}, frozenset())]
        case Indicator():
            return [(_ONE, {_normal(node): 1}, frozenset())]
        case Add(terms):
            return [term for part in terms for term in _terms(part)]
        case Mul(factors):
            first, *others = factors
            result = _terms(first)
            for factor in others:
                right = _terms(factor)
                result = [_times(a, b) for a, b in product(result, right)]
            return result
        case Pow(base, exponent):
            inner = _terms(base)
            if exponent < 0:
                if len(inner) != 1 or inner[0][2]:
                    raise UnsupportedExpression(
                        f"1/({base!r}) divides by a sum: name the denominator by an equation of its own."
                    )
                coefficient, factors_, _ = inner[0]
                if any(isinstance(factor, Indicator) for factor in factors_):
                    raise UnsupportedExpression(f"1/({base!r}) divides by an indicator, which is 0 somewhere.")
                inner = [(1 / coefficient, {ref: -e for ref, e in factors_.items()}, frozenset())]
            result = inner
            for _ in range(abs(exponent) - 1):
                result = [_times(a, b) for a, b in product(result, inner)]
            return result
        case Total(over, body):
            return [(c, f, bound | frozenset(over)) for c, f, bound in map(_apart(over), _terms(body))]
        case _:
            raise UnsupportedExpression(f"{node!r} is no polynomial: replace activations by their gates first.")


def _apart(over: tuple[Index, ...]) -> Callable[[_Term], _Term]:
    """Bound indices of a term that share a name with `over` are renamed."""

    def move(term: _Term) -> _Term:
        coefficient, factors, bound = term
        clash = bound & set(over)
        if not clash:
            return term
        taken = {index for ref in factors for index in ref.indices} | bound | set(over)
        names: dict[Index, Index] = {}
        for index in sorted(clash):
            names[index] = fresh(index.axis, taken)
            taken.add(names[index])
        renamed = {_renamed(factor, names): e for factor, e in factors.items()}
        return coefficient, renamed, frozenset(names.get(i, i) for i in bound)

    return move


def _times(left: _Term, right: _Term) -> _Term:
    """The product of two terms, with the bound indices of each renamed apart from every index of the other."""
    in_left = {index for ref in left[1] for index in ref.indices} | left[2]
    right = _apart(tuple(in_left))(right) if right[2] & in_left else right
    in_right = {index for ref in right[1] for index in ref.indices} | right[2]
    left = _apart(tuple(in_right))(left) if left[2] & in_right else left
    factors = dict(left[1])
    for ref, exponent in right[1].items():
        value = factors.get(ref, 0) + exponent
        if value:
            factors[ref] = 1 if isinstance(ref, Indicator) else value  # 1 and 0 are their own squares
        else:
            del factors[ref]
    coefficient = left[0] if right[0] is _ONE else right[0] if left[0] is _ONE else left[0] * right[0]
    return coefficient, factors, left[2] | right[2]


def _renamed(factor: Factor, names: Mapping[Index, Index]) -> Factor:
    """The factor with names in the place of indices that stay apart."""
    if isinstance(factor, Ref):
        return Ref(factor.array, tuple(names.get(i, i) for i in factor.indices))
    made = factor.renamed(names)
    assert isinstance(made, Indicator)  # what is different by its indices stays so under other names
    return _normal(made)


def _normal(node: Indicator) -> Indicator:
    """[t = u] and [u = t] are one: the first index that can be solved for stands on the left, the others are sorted."""
    first = min(index for index in node.indices if node.solved(index) is not None)
    form = node.solved(first)
    assert form is not None
    terms = sorted(form.terms)
    if first.letter == _ONLY and terms and terms[0][1] < 0:  # [0 = f] and [0 = -f] are one
        form, terms = form * -1, [(index, -coefficient) for index, coefficient in terms]
    return Indicator(first, replace(form, terms=tuple(terms)))


def _settled(
    factors: Factors, bound: frozenset[Index], ones: frozenset[Axis]
) -> tuple[Factors, frozenset[Index]] | None:
    """sum_u [u = t] a_u => a_t over one axis, and [u = t] a_u => [u = t] a_t; axes of length one decide indicators.

    None where one is 0. A sum over an index that is a shift of others is left as it is: where the shift leaves the axis
    the sum is 0, and an element outside an array is nothing that can be written.
    """
    for node in [factor for factor in factors if isinstance(factor, Indicator)]:
        if ones and any(index.axis in ones for index in node.indices):
            made = _at_first(node, ones)
            if made != node:
                rest: Factors = {factor: e for factor, e in factors.items() if factor != node}
                if isinstance(made, Indicator):
                    return _settled(rest | {_normal(made): 1}, bound, ones)
                return None if made == ZERO else _settled(rest, bound, ones)
    again = _said_again(factors, bound)
    if again is not None:
        return _settled(*again, ones)
    for same in _classes(factors):
        merged = _merged(factors, bound, same)
        if merged is None:
            return None
        if merged != (factors, bound):
            return _settled(*merged, ones)
    return factors, bound


def _said_again(factors: Factors, bound: frozenset[Index]) -> tuple[Factors, frozenset[Index]] | None:
    """sum_j [i = f][j = f] => [i = f], for indices over one axis where j stands nowhere else: a mask is its square."""
    marks = [factor for factor in factors if isinstance(factor, Indicator)]
    if len(marks) < 2:
        return None
    for node in marks:
        for index in node.indices:
            if index not in bound or sum(index in factor.indices for factor in factors) > 1:
                continue
            form = node.solved(index)
            for other in marks if form is not None else ():
                if other is not node and any(i.axis == index.axis and other.solved(i) == form for i in other.indices):
                    return {f: e for f, e in factors.items() if f is not node}, bound - {index}
    return None


def _classes(factors: Factors) -> list[set[Index]]:
    """The indices over one axis that indicators such as [u = t] say to be equal."""
    classes: list[set[Index]] = []
    for node in factors:
        if isinstance(node, Indicator) and _is_plain(node):
            pair = set(node.indices)
            met = [same for same in classes if same & pair]
            classes = [same for same in classes if same not in met] + [pair.union(*met)]
    return classes


def _is_plain(node: Indicator) -> bool:
    """Whether it is [u = t] over one axis."""
    return len(node.indices) == 2 and node.form == node.indices[1] * 1 and node.index.axis == node.indices[1].axis


def _merged(factors: Factors, bound: frozenset[Index], same: set[Index]) -> tuple[Factors, frozenset[Index]] | None:
    """The term with one index in the place of equal ones, which is a free one where there is any; None where it is 0.

    It stays as it is where that would need an element with one index twice.
    """
    free = sorted(same - bound)
    kept = free[0] if free else min(same)
    names, twice = dict.fromkeys(same - {kept}, kept), False
    changed: Factors = {_normal(Indicator(kept, other * 1)): 1 for other in free[1:]}
    for factor, exponent in factors.items():
        if isinstance(factor, Indicator) and _is_plain(factor) and factor.index in same:
            continue
        try:
            value = rename(factor, names)
        except TypeError:
            twice = True
            continue
        if value == ZERO:
            return None
        if isinstance(value, Indicator):
            changed[_normal(value)] = 1
        elif isinstance(value, Ref):
            changed[value] = changed.get(value, 0) + exponent
    return (factors, bound) if twice else ({f: e for f, e in changed.items() if e}, bound - (same - {kept}))


_ONLY = "1"
"""The letter of the only position on an axis of length one, which is 0."""


def _at_first(node: Indicator, ones: frozenset[Axis]) -> Expr:
    """The indicator with 0 in the place of every position on an axis of length one."""
    terms = [(node.index, -1), *node.form.terms]
    form = IndexForm(tuple((i, c) for i, c in terms if i.axis not in ones), node.form.constant)  # 0 where it holds
    shared = gcd(*(c for _, c in form.terms))
    if form.constant and (not shared or form.constant % shared):
        return ZERO
    if not form.terms:
        return ONE
    form = IndexForm(tuple((i, c // shared) for i, c in form.terms), form.constant // shared)
    solved = next((i for i, c in form.terms if c in (1, -1)), None)
    return indicator(solved, form + solved) if solved else Indicator(Index(min(ones), _ONLY), form)


def _identity(factor: Factor) -> tuple[str, tuple[Index, ...]]:
    """What tells a factor from others, and sorts it: its name and its indices."""
    if isinstance(factor, Ref):
        return factor.array.name, factor.indices
    return f"[{[c for _, c in factor.form.terms]} {factor.form.constant}]", factor.indices


def _role(factor: Factor, index: Index) -> Iterator[tuple[str, int]]:
    """The places of an index in a factor, said so that no name of an index matters."""
    if isinstance(factor, Ref):
        yield from ((factor.array.name, place) for place, other in enumerate(factor.indices) if other == index)
    elif index in factor.indices:
        yield "[=]", abs(dict(factor.form.terms).get(index, 1))


def _key(factors: Iterable[tuple[Factor, int]]) -> list[tuple[str, tuple[Index, ...], int]]:
    return sorted((*_identity(factor), exponent) for factor, exponent in factors)


def _only(ref: Ref, ones: frozenset[Axis]) -> Ref:
    """The element with one name for the only position on an axis of length one; a matrix over it twice needs two."""
    indices: list[Index] = []
    for index in ref.indices:
        met = sum(other.axis == index.axis for other in indices)
        indices.append(Index(index.axis, _ONLY if not met else str(met + 1)) if index.axis in ones else index)
    return Ref(ref.array, tuple(indices))


def _canonical(factors: Factors, bound: frozenset[Index], ones: frozenset[Axis]) -> Monomial:
    """The monomial under the renaming of bound indices whose sorted factors come first."""
    if ones and any(index.axis in ones for ref in factors for index in ref.indices):
        merged: Factors = {}
        for ref, exponent in factors.items():
            if isinstance(ref, Indicator):  # settled already
                merged[ref] = 1
                continue
            only = _only(ref, ones)
            merged[only] = merged.get(only, 0) + exponent
        factors = {ref: exponent for ref, exponent in merged.items() if exponent}
    bound = frozenset(index for index in bound if index.axis not in ones)
    items = list(factors.items())
    if not bound:
        return Monomial(tuple(sorted(items, key=lambda f: (*_identity(f[0]), f[1]))), ())

    # Indices that occur in different roles cannot be exchanged: only those with equal roles are permuted.
    roles: dict[tuple[Axis, tuple[tuple[str, int, int], ...]], list[Index]] = {}
    for index in sorted(bound):
        role = tuple(sorted((*place, exponent) for factor, exponent in items for place in _role(factor, index)))
        roles.setdefault((index.axis, role), []).append(index)
    groups = [roles[key] for key in sorted(roles)]
    if prod(factorial(len(group)) for group in groups) > 40_320:
        raise UnsupportedExpression(f"A term with {len(bound)} bound indices in equal roles is too large to compare.")
    free = {index for ref in factors for index in ref.indices} - bound
    names: list[Index] = []
    taken = set(free)
    for group in groups:
        for index in group:
            names.append(fresh(index.axis, taken))
            taken.add(names[-1])
    best: tuple[list[tuple[str, tuple[Index, ...], int]], list[tuple[Factor, int]]] | None = None
    for choice in product(*(permutations(group) for group in groups)):
        table = dict(zip((index for group in choice for index in group), names, strict=True))
        renamed = [(_renamed(factor, table), e) for factor, e in items]
        key = _key(renamed)
        if best is None or key < best[0]:
            best = key, renamed
    assert best is not None
    ordered = sorted(best[1], key=lambda f: (*_identity(f[0]), f[1]))
    return Monomial(tuple(ordered), tuple(names))


def equal(left: Expr, right: Expr, *, ones: frozenset[Axis] = frozenset()) -> bool:
    """left = right as polynomials in the array elements, at every width."""
    return not expand(left - right, ones=ones)


# ------------------------------------------------------------------------------------- readings of a polynomial


def as_expr(polynomial: Polynomial) -> Expr:
    """The polynomial as a sum of products."""
    return add(*(monomial.expr(coefficient) for monomial, coefficient in polynomial.items()))


def coefficients(polynomial: Polynomial, variable: Ref) -> dict[int, Polynomial]:
    """sum_n c_n x^n => {n: c_n} for one array element x; the c_n do not contain it."""
    result: dict[int, Polynomial] = {}
    for monomial, coefficient in polynomial.items():
        factors = dict(monomial.factors)
        exponent = factors.pop(variable, 0)
        rest = Monomial(tuple(factors.items()), monomial.bound)
        result.setdefault(exponent, {})[rest] = coefficient
    return result


def linear_part(node: Expr, variable: Array, direction: Array) -> Expr:
    """The part of node(variable + direction) that is linear in `direction`: the derivative, by definition.

    It uses no rule of differentiation, which is what makes it an independent check of `differentiate`.
    """
    indices = tuple(fresh(axis, [Index(a, "i") for a in variable.axes[:n]]) for n, axis in enumerate(variable.axes))
    shifted = inline(node, {variable: (indices, variable[indices] + direction[indices])})
    chosen: Polynomial = {}
    for monomial, coefficient in expand(shifted).items():
        if sum(exponent for ref, exponent in monomial.factors if isinstance(ref, Ref) and ref.array == direction) == 1:
            chosen[monomial] = coefficient
    return as_expr(chosen)


def contract(polynomial: Polynomial, left: Array, right: Array) -> Polynomial:
    """sum_m A_im B_mj => [i = j] for two matrices that are inverse to each other: one of i, j is bound, and goes."""
    result: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        for shorter, factor in expand(_contracted(monomial, left, right).expr(coefficient)).items():
            result[shorter] = result.get(shorter, Fraction(0)) + factor
    return {monomial: coefficient for monomial, coefficient in result.items() if coefficient}


def _contracted(monomial: Monomial, left: Array, right: Array) -> Monomial:
    for one, a in monomial.factors:
        for other, b in monomial.factors:
            if not (isinstance(one, Ref) and isinstance(other, Ref) and one.array == left and other.array == right):
                continue
            if a != 1 or b != 1 or one.indices[1] != other.indices[0]:
                continue
            (i, m), j = one.indices, other.indices[1]
            rest = [(ref, exponent) for ref, exponent in monomial.factors if ref not in (one, other)]
            if m not in monomial.bound or any(m in ref.indices for ref, _ in rest):
                continue
            gone, stays = (j, i) if j in monomial.bound else (i, j)
            if gone not in monomial.bound:
                continue
            factors = tuple((_renamed(factor, {gone: stays}), exponent) for factor, exponent in rest)
            bound = tuple(index for index in monomial.bound if index not in (m, gone))
            return _contracted(Monomial(factors, bound), left, right)
    return monomial


def common_factor(polynomial: Polynomial) -> tuple[Expr, Expr]:
    """sum_n c f m_n => (c f, sum_n m_n) where f is what every monomial contains outside its sums."""
    monomials = list(polynomial)
    if not monomials:
        return ONE, ZERO
    shared = dict(monomials[0].factors)
    for monomial in monomials:
        factors = dict(monomial.factors)
        shared = {
            ref: min(exponent, factors[ref])
            for ref, exponent in shared.items()
            if ref in factors and exponent > 0 and factors[ref] > 0 and not set(ref.indices) & set(monomial.bound)
        }
    lead = polynomial[monomials[0]]
    rest = add(
        *(
            Monomial(
                tuple((ref, e - shared.get(ref, 0)) for ref, e in monomial.factors if e != shared.get(ref, 0)),
                monomial.bound,
            ).expr(coefficient / lead)
            for monomial, coefficient in polynomial.items()
        )
    )
    factor = Monomial(tuple(shared.items()), ()).expr(lead)
    return factor, number(rest)
