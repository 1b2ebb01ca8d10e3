"""The step carried forward as increments: what every value of the network changes by.

    ds = W' dv - eta delta (|v|^2 + 1)      from  W'v' - Wv = W'(v' - v) + (W' - W)v
    dv = phi(s + ds) - phi(s)               by cases, piece before -> piece after

Increments avoid the difference of two nearly equal forward passes, which costs p up to all of its digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fcsym.deriving.kinds import is_dense
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation, Piece
from fcsym.language.algebra import (
    Polynomial,
    as_expr,
    common_factor,
    expand,
    fresh,
    in_order,
    indices_of,
    inline,
    rename,
    replaced,
)
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import (
    ONE,
    ZERO,
    Add,
    Apply,
    Array,
    Expr,
    Index,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    add,
    arrays_in,
    children,
    mul,
    power,
    total,
)
from fcsym.language.names_of_cases import piece_conditions, unit_row
from fcsym.networks.symbols import ETA, adjoint_of, increment_of, norm

__all__ = ["change_of", "increments", "pairs"]


@dataclass(frozen=True, slots=True)
class _Change:
    """How one operand of a forward equation changes in the step."""

    after: Expr
    increment: Expr


def increments(
    forward: Sequence[Equation], updates: Sequence[Equation], every_unit: bool = True
) -> tuple[Equation, ...]:
    """Forward equations and updates => what every quantity changes by and becomes, in the order of the forward pass.

    `every_unit`: also of pre-activations and activations that no trained parameter reaches, which change by 0.
    """
    updated = {equation.array.unprimed: equation for equation in updates if equation.rule is Rule.UPDATE}
    last = max(n for n, e in enumerate(forward) if e.array.role is Role.PRE_ACTIVATION)  # what follows is the error,
    passed = [*forward[: last + 1], *(e for e in forward[last + 1 :] if e.array.role is Role.ACTIVATION)]  # but for y
    moving = _moving(passed, updated, every_unit)
    logits = forward[last].array
    hidden = (e for e in passed if e.array != logits)
    first = {e.array for e in hidden if any(a.role is Role.INPUT for a in e.operands)}  # what the paper's s is
    plain = _read_without_bias(passed, updated)
    result: list[Equation] = []
    for equation in passed:
        array = equation.array
        if array not in moving:  # a constant of the network, or a part of the input
            continue
        if not _has_a_rule(equation.rhs):
            result += _from_both_ends(equation, updated, moving)
            continue
        if isinstance(equation.rhs, Apply):
            result.append(_activation_increment(equation, equation.rhs.activation, first))
        elif is_dense(equation):
            result += _affine_increment(equation, updated, moving, equation.array in first, plain)
        else:
            result.append(_product_increment(equation, updated, moving))
        assert isinstance(equation.lhs, Ref)
        indices = equation.lhs.indices
        result.append(
            Equation(
                array.primed[indices],
                array[indices] + increment_of(array)[indices],
                Rule.AFTER,
                f"The increment is added; this equals the forward equation of `{array.name}` at the updated weights.",
                tuple(a.primed.name for a in equation.operands if a in updated or a in moving),
                "eq. 17" if array in first else "eq. 15",
            )
        )
    return tuple(result)


def _moving(passed: Sequence[Equation], updated: Mapping[Array, Equation], every_unit: bool) -> set[Array]:
    """What may change in a step: what is made of an updated parameter, or of something that may change."""
    units = (Role.PRE_ACTIVATION, Role.ACTIVATION) if every_unit else ()
    found: set[Array] = set()
    for e in passed:
        if e.array.role in units or any(a in updated or a in found for a in e.operands):
            found.add(e.array)
    return found


def _has_a_rule(node: Expr | Cases) -> bool:
    """Whether the change of a right-hand side follows from the changes of its operands by a rule."""
    match node:
        case Apply(_, Ref(), derivative):
            return not derivative
        case Number() | Ref() | Indicator():
            return True
        case Add(parts) | Mul(parts):
            return all(map(_has_a_rule, parts))
        case Pow(Ref(), exponent):
            return exponent in (-1, 2)
        case Total(_, body):
            return not isinstance(body, Apply) and _has_a_rule(body)
        case _:
            return False


def _from_both_ends(equation: Equation, updated: Mapping[Array, Equation], moving: set[Array]) -> list[Equation]:
    """A' = the forward equation at the updated values, and dA = A' - A: for what no rule carries forward."""
    assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
    array, indices = equation.array, equation.lhs.indices
    primes = {a: (indices_of(a), a.primed[indices_of(a)]) for a in equation.operands if a in updated or a in moving}
    after = Equation(
        array.primed[indices], inline(equation.rhs, primes), Rule.AFTER,
        f"This is the forward equation of `{array.name}` at the updated values.", tuple(a.primed.name for a in primes),
    )  # fmt: skip
    change = Equation(
        increment_of(array)[indices], array.primed[indices] - array[indices], Rule.INCREMENT,
        "The value after the step minus the value before.", (after.name, equation.name),
    )  # fmt: skip
    return [after, change]


def _product_increment(equation: Equation, updated: Mapping[Array, Equation], moving: set[Array]) -> Equation:
    """The changes of sums, products and quotients, from those of what they are made of."""
    assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)

    def change(ref: Ref) -> _Change:
        if ref.array in updated or ref.array in moving:
            return _Change(ref.array.primed[ref.indices], increment_of(ref.array)[ref.indices])
        return _Change(ref, ZERO)

    value = _difference(equation.rhs, change)
    product = any(isinstance(node, Mul | Pow) for node in _nodes(equation.rhs))
    return Equation(
        increment_of(equation.array)[equation.lhs.indices], value, Rule.INCREMENT,
        "A product changes by `A'B' - AB = A'(B' - B) + (A' - A)B`."
        if product
        else "A linear layer passes the change on."
        if isinstance(equation.rhs, Ref)
        else "A sum passes the changes on.",
        (equation.name,),
    )  # fmt: skip


def _nodes(node: Expr) -> Iterator[Expr]:
    yield node
    for part in children(node):
        yield from _nodes(part)


def _affine_increment(
    equation: Equation, updated: Mapping[Array, Equation], moving: set[Array], first: bool, without: Collection[Array]
) -> list[Equation]:
    """s' - s = sum W' dv - eta delta a,  a = sum v^2 (+ 1): the part of the weights has -eta delta in common."""
    assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
    array, indices = equation.array, equation.lhs.indices

    def difference(by: Collection[Array]) -> Expr:
        assert isinstance(equation.rhs, Expr)
        return _difference(equation.rhs, lambda ref: _moved(ref, updated, moving, by))

    own = {theta for theta in updated if set(theta.axes) & set(array.axes)}
    passed_on, learned = difference(moving), difference(own)
    # what all units share moved by what reaches every one of them
    common = in_order(*common_factor(expand(difference(updated.keys() - own))))
    result: list[Equation] = []
    source = next((v for v in equation.operands if v.role is not Role.PARAMETER), None)
    plain = not any(a.role is Role.INCREMENT for a in arrays_in(learned))  # an update rule has a name for each change
    if plain and source is not None and learned != ZERO:
        learned, made = _along(learned, array, source, indices, apart=source in without)
        result += [] if made is None else [made]
    weights = " and ".join(f"`{theta.primed.name}`" for theta in equation.operands if theta in updated)
    result.append(
        Equation(
            increment_of(array)[indices],
            passed_on + learned + common,
            Rule.INCREMENT,
            f"A product changes by `W'v' - Wv = W'(v' - v) + (W' - W)v`, with {weights} as updated."
            if passed_on != ZERO and weights
            else "A linear layer passes the change on."
            if array.role is Role.ACTIVATION
            else f"A product changes by `W(v' - v)`, since `{array.name}` has no trained weights of its own."
            if passed_on != ZERO
            else "Nothing that it is made of changes."
            if not weights
            else f"The input does not change, and {weights} moved by `-eta delta` times it."
            if plain and common == ZERO
            else f"The input does not change: this is what {weights} moved by, applied to it.",
            (equation.name, *(theta.primed.name for theta in equation.operands if theta in updated)),
            "eq. 17" if first else "",
        )
    )
    return result


def _read_without_bias(passed: Sequence[Equation], updated: Mapping[Array, Equation]) -> set[Array]:
    """What some dense layer reads without a bias that moves: for all readers its norm is then without the 1."""
    return {
        source
        for e in passed
        if is_dense(e) and sum(theta in updated for theta in e.operands) == 1
        for source in e.operands
        if any(len(theta.axes) == 2 for theta in e.operands if theta in updated) and source.role is not Role.PARAMETER
    }


def _along(
    learned: Expr, array: Array, source: Array, indices: tuple[Index, ...], apart: bool
) -> tuple[Expr, Equation | None]:
    """-eta delta_i sum_j v_j v_j => -eta delta_i a, and the equation of a; of samples, a has the inner products.

    `apart`: whether the 1 of a bias is no part of a, since another layer that reads the same has none.
    """
    squared = norm(source)
    if not squared.axes:
        factor, rest = common_factor(expand(learned))
        if isinstance(rest, Number):  # a bias alone
            return in_order(factor, rest), None
        named, left, bias = _without_one(rest, apart)
        said = f"The weights that feed `{array.name}` all move along `{source.name}`; this is its squared norm{bias}."
        return in_order(factor, squared[()] + left), Equation(squared[()], named, Rule.DEFINITION, said, ())
    n, *_ = indices
    m = fresh(n.axis, indices)
    delta = adjoint_of(array)
    parts = [(rest, factor) for rest, factor in _apart(expand(learned), delta, (m, *indices[1:]))]
    factor = parts[0][1]
    inner = add(*(rest for rest, _ in parts))
    if isinstance(inner, Number):
        return in_order(factor, total(m, mul(inner, delta[(m, *indices[1:])]))), None
    named, left, bias = _without_one(inner, apart)
    said = (
        f"The weights that feed `{array.name}` move along the `{source.name}` of every sample; these are their inner "
        f"products{bias}."
    )
    moved = in_order(factor, total(m, in_order(delta[(m, *indices[1:])], squared[n, m] + left)))
    return moved, Equation(squared[n, m], named, Rule.DEFINITION, said, ())


def _without_one(rest: Expr, apart: bool) -> tuple[Expr, Expr, str]:
    """sum_j v_j v_j + 1 => what a is, what stands beside it, and what its sentence says of a bias."""
    if not isinstance(rest, Add):
        return rest, ZERO, ""
    if not apart:
        return rest, ZERO, " plus 1 for the bias"
    return add(*(t for t in rest.terms if not isinstance(t, Number))), ONE, ""


def _apart(learned: Polynomial, delta: Array, at: tuple[Index, ...]) -> Iterator[tuple[Expr, Expr]]:
    """Each monomial -eta delta_mi v_mj v_nj => (what delta at `at` is multiplied by and summed over, -eta)."""
    for monomial, coefficient in learned.items():
        target = next(ref for ref, _ in monomial.factors if isinstance(ref, Ref) and ref.array == delta)
        names = dict(zip(target.indices, at, strict=True))
        outer = [ref for ref, _ in monomial.factors if isinstance(ref, Ref) and ref.array == ETA]
        inner = (power(ref, exponent) for ref, exponent in monomial.factors if ref != target and ref not in outer)
        left = tuple(index for index in monomial.bound if index not in target.indices)
        yield rename(total(left, mul(*inner)), names), mul(coefficient, *outer)


def _moved(
    ref: Ref, updated: Mapping[Array, Equation], moving: Collection[Array], by: Collection[Array]
) -> _Change:  # fmt: skip
    """The change of one operand, where it is among those `by` which the change is asked for."""
    array, indices = ref.array, ref.indices
    if array in updated:
        change: Expr = ZERO
        if array in by:
            equation = updated[array]
            assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
            body = as_expr(expand(equation.rhs - array[equation.lhs.indices]))
            change = inline(array[indices], {array: (equation.lhs.indices, body)})
        return _Change(array.primed[indices], change)
    if array in moving:
        return _Change(array.primed[indices], increment_of(array)[indices] if array in by else ZERO)
    return _Change(ref, ZERO)


def _difference(node: Expr, change: object) -> Expr:
    """f(after) - f(before); for products the rule  AB => A' dB + dA B."""
    assert callable(change)
    match node:
        case Number() | Indicator():
            return ZERO
        case Ref():
            return change(node).increment  # type: ignore[no-any-return]
        case Add(terms):
            return add(*(_difference(term, change) for term in terms))
        case Total(over, body):
            made = _difference(body, change)
            return add(*(total(over, term) for term in (made.terms if isinstance(made, Add) else (made,))))
        case Mul(factors):
            parts = []
            for n, factor in enumerate(factors):
                before = [replaced(f, lambda ref: change(ref).after) for f in factors[:n]]
                parts.append(mul(*before, _difference(factor, change), *factors[n + 1 :]))
            return add(*parts)
        case Pow(Ref() as base, -1):  # 1/A' - 1/A = -(A' - A)/(A A')
            made = change(base)
            return ZERO if made.increment == ZERO else mul(-1, made.increment, power(base, -1), power(made.after, -1))
        case Pow(Ref() as base, 2):
            made = change(base)
            return ZERO if made.increment == ZERO else mul(add(base, made.after), made.increment)
        case _:
            raise UnsupportedExpression(f"No increment rule for {node!r}: write it with sums and products.")


def pairs(phi: Activation) -> list[tuple[int, int]]:
    """(piece before, piece after), the highest pieces first: active -> active, active -> dead, dead -> dead, ..."""
    order = range(len(phi.pieces) - 1, -1, -1)
    return sorted(((a, b) for a in order for b in order), key=lambda ab: (-ab[0], ab[0] != ab[1], -ab[1]))


def change_of(before: Piece, after: Piece, s: Expr, ds: Expr) -> Expr:
    """phi(s + ds) - phi(s) where s lies on `before` and s + ds on `after`."""
    value = after.slope * (s + ds) + after.intercept - (before.slope * s + before.intercept)
    return as_expr(expand(value))


def _activation_increment(equation: Equation, phi: Activation, first: set[Array]) -> Equation:
    """dv = phi(s + ds) - phi(s), piece by piece."""
    assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Apply) and isinstance(equation.rhs.argument, Ref)
    s, array, indices = equation.rhs.argument, equation.array, equation.lhs.indices
    ds, after = increment_of(s.array)[indices], s.array.primed[indices]
    if phi.is_smooth:
        return Equation(
            increment_of(array)[indices],
            Apply(phi, after) - array[indices],
            Rule.INCREMENT,
            f"The value of {phi.name} after the step minus the value before; a smooth activation has no cases.",
            (array.name, s.array.primed.name),
        )
    branches = tuple(
        unit_row(
            phi,
            s,
            piece_conditions(phi, a, s) + piece_conditions(phi, b, after),
            change_of(phi.pieces[a], phi.pieces[b], s, ds),
        )
        for a, b in pairs(phi)
    )
    return Equation(
        increment_of(array)[indices],
        Cases(branches),
        Rule.CASES,
        f"The value of {phi.name} after the step minus the value before, piece before -> piece after.",
        (s.array.name, s.array.primed.name, increment_of(s.array).name),
        "eq. 23, 25" if s.array in first else "",
    )
