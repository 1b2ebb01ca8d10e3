"""Front contribution: the step carried forward as increments, and the compensation p of the last layer.

    ds = W' dv - eta delta (|v|^2 + 1)      from  W'v' - Wv = W'(v' - v) + (W' - W)v
    dv = phi(s + ds) - phi(s)               by cases, piece before -> piece after
    p  = w' dv / v^c                        the paper's choice, eq. 22; the only place where it is made
    P  = integral of -p / (eta dE/dy v^c) dw,  eq. 28-30, with P = 0 at the initial weight

Increments avoid the difference of two nearly equal forward passes, which costs p up to all of its digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from fcsym.deriving.kinds import is_dense
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation, Piece
from fcsym.language.algebra import (
    Definition,
    Polynomial,
    as_expr,
    coefficients,
    common_factor,
    expand,
    fresh,
    in_order,
    indices_of,
    inline,
    rename,
)
from fcsym.language.equation import Branch, Cases, Condition, Equation, Order, Rule, Status
from fcsym.language.expression import (
    ONE,
    ZERO,
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Index,
    Indicator,
    Inverse,
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
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ALPHA,
    ETA,
    adjoint_of,
    effective,
    frozen_activation,
    gate_of,
    gram_of,
    increment_of,
    integral_of,
    inverse_gram_of,
    lacking,
    multiplier,
    norm,
    p_of,
    weight,
)
from fcsym.networks.symbols import kappa as kappa_of
from fcsym.networks.symbols import rho as rho_of

__all__ = ["compensation", "has_primitive", "increment_of", "increments", "integrated", "no_common_p"]


@dataclass(frozen=True, slots=True)
class _Change:
    """How one operand of a forward equation changes in the step."""

    after: Expr
    increment: Expr


# ------------------------------------------------------------------------------------------------ increments


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
                before = [_after(f, change) for f in factors[:n]]
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


def _after(node: Expr, change: object) -> Expr:
    """The same after the step."""
    assert callable(change)
    match node:
        case Ref():
            return change(node).after  # type: ignore[no-any-return]
        case Add(terms):
            return add(*(_after(term, change) for term in terms))
        case Mul(factors):
            return mul(*(_after(factor, change) for factor in factors))
        case Pow(base, exponent):
            return power(_after(base, change), exponent)
        case Total(over, body):
            return total(over, _after(body, change))
        case _:
            return node


def _pairs(phi: Activation) -> list[tuple[int, int]]:
    """(piece before, piece after), the highest pieces first: active -> active, active -> dead, dead -> dead, ..."""
    order = range(len(phi.pieces) - 1, -1, -1)
    return sorted(((a, b) for a in order for b in order), key=lambda ab: (-ab[0], ab[0] != ab[1], -ab[1]))


def _change_of(before: Piece, after: Piece, s: Expr, ds: Expr) -> Expr:
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
            _change_of(phi.pieces[a], phi.pieces[b], s, ds),
        )
        for a, b in _pairs(phi)
    )
    return Equation(
        increment_of(array)[indices],
        Cases(branches) if not phi.is_identity else branches[0].value or ZERO,
        Rule.CASES,
        f"The value of {phi.name} after the step minus the value before, piece before -> piece after.",
        (s.array.name, s.array.primed.name, increment_of(s.array).name),
        "eq. 23, 25" if s.array in first else "",
    )


# ------------------------------------------------------------------------------------- the choice of eq. 22


def _vanishes(phi: Activation, number: int) -> bool:
    """Whether phi has a zero on that piece, which is not zero throughout."""
    piece = phi.pieces[number]
    if piece.is_zero or not piece.slope:
        return False
    root = -piece.intercept / piece.slope
    return phi.piece_at(root) == number


@dataclass(frozen=True, slots=True)
class _Last:
    """The symbols around the last layer, with k over the outputs and j over what the read-out reads."""

    phi: Activation
    k: Index
    j: tuple[Index, ...]
    w: Ref  # before the step
    w_new: Ref
    s: Ref
    s_new: Ref
    ds: Ref
    dv: Ref
    vc: Ref
    error: Ref

    @classmethod
    def of(cls, network: Network) -> _Last:
        output, hidden = network.logits, network.hidden[-1].v
        k, j = Index(output.axes[0], "k"), _read(hidden.axes)
        weight, s = network.read_out, network.hidden[-1].s
        return cls(
            phi=network.hidden[-1].activation, k=k, j=j, w=weight[(k, *j)], w_new=weight.primed[(k, *j)],
            s=s[j], s_new=s.primed[j], ds=increment_of(s)[j], dv=increment_of(hidden)[j],
            vc=frozen_activation(hidden)[j], error=adjoint_of(output)[k],
        )  # fmt: skip

    def frozen_s(self, piece: Piece) -> Expr:
        """s in terms of v^c, on a piece that is not flat:  v = m s + c  =>  s = (v - c)/m."""
        return (self.vc - piece.intercept) * (1 / piece.slope)


def compensation(network: Network) -> tuple[Equation, ...]:
    """v^c, p, r and the statement that p was made for; nothing where there is no hidden layer.

    Nor for a mini-batch that has more samples than the last hidden layer has units.
    """
    if len(network.layers) < 2 or no_common_p(network):
        return ()
    if network.batch:
        return _for_all_samples(network)
    last = _Last.of(network)
    hidden = network.hidden[-1].v
    output = network.logits
    matrix = last.w.array
    at = (last.k, *last.j)
    p, r = p_of(matrix)[at], effective(matrix)[at]
    rest = total(last.j, r * last.vc)
    rest = rest + _shift(network, last.k)
    return (
        Equation(
            last.vc, hidden[last.j], Rule.DEFINITION,
            "The layers below the last are frozen here; `v^c` is what the last layer reads from now on.",
            (hidden.name,), "eq. 4, 21",
        ),
        Equation(
            p, Cases(tuple(row for row, _ in _p_rows(last))), Rule.CHOICE,
            "One equation for all units together, `w' v' = (w' + p) v^c`, is solved unit by unit: this is the paper's "
            "choice, one of many.",
            (last.w_new.array.name, last.dv.array.name, last.vc.array.name), "eq. 22, 26, 27",
        ),
        Equation(
            r, last.w_new + p, Rule.DEFINITION, "This is the weight that the frozen network needs.",
            (last.w_new.array.name, p.array.name), "eq. 22",
        ),
        Equation(
            output.primed[last.k], rest, Rule.IDENTITY,
            f"The frozen network with the weights `r` has the {_what(network)} of backpropagation, wherever `p` is "
            "defined.",
            (output.primed.name, r.array.name, last.vc.array.name), "eq. 4, 21", label="compensation",
        ),
    )  # fmt: skip


def _read(axes: Sequence[Axis]) -> tuple[Index, ...]:
    """The indices of what the read-out reads: units, or channels and positions."""
    return tuple(Index(axis, "j" if len(axes) == 1 else f"j{n}") for n, axis in enumerate(axes))


def no_common_p(network: Network) -> bool:
    """Whether one p has to serve more than it can in general, or has nothing to make up for.

    A mini-batch that is known to have more samples than the read-out reads numbers, a read-out at several positions, or
    one that reads what no trained parameter reaches.
    """
    return (
        bool(network.positions)
        or not network.features_move
        or (bool(network.batch) and network.samples > network.widths[-2])
    )


def _for_all_samples(network: Network) -> tuple[Equation, ...]:
    """One p for all samples: sum_j p_kj v^c_nj = sum_j w'_kj dv_nj, solved by the p of least norm.

    Unit by unit there is none in general; jointly there is, whatever the right-hand side, where the v^c of the samples
    are linearly independent. Then p = sum_n mu_n v^c_n is a combination of them, and no p is shorter.
    """
    hidden, output, matrix = network.hidden[-1].v, network.logits, network.read_out
    n, j = Index(hidden.axes[0], "n"), _read(hidden.axes[1:])
    m, k = Index(hidden.axes[0], "m"), Index(output.axes[1], "k")
    vc, dv, new = frozen_activation(hidden), increment_of(hidden), matrix.primed
    gram, inverse_, lack, mu = gram_of(vc), inverse_gram_of(vc), lacking(output), multiplier(output)
    p, r = p_of(matrix)[(k, *j)], effective(matrix)[(k, *j)]
    rest = total(j, r * vc[(n, *j)])
    rest = rest + _shift(network, k)
    return (
        Equation(
            vc[(n, *j)], hidden[(n, *j)], Rule.DEFINITION,
            "The layers below the last are frozen here; `v^c` is what the last layer reads from now on.",
            (hidden.name,), "eq. 4, 21",
        ),
        Equation(
            lack[n, k], total(j, new[(k, *j)] * dv[(n, *j)]), Rule.DEFINITION,
            "This is what `p` has to make up for, at every sample.", (new.name, dv.name),
        ),
        Equation(
            gram[n, m], total(j, vc[(n, *j)] * vc[(m, *j)]), Rule.DEFINITION,
            "These are the inner products of what the samples leave frozen.", (vc.name,),
        ),
        Equation(
            inverse_[n, m], Inverse(gram[n, m]), Rule.DEFINITION,
            "It exists where the `v^c` of the samples are linearly independent, which takes at least as many live "
            "units as samples.", (gram.name,),
        ),
        Equation(
            mu[n, k], total(m, inverse_[n, m] * lack[m, k]), Rule.DEFINITION,
            "These are the multipliers of the samples.", (inverse_.name, lack.name),
        ),
        Equation(
            p, total(n, mu[n, k] * vc[(n, *j)]), Rule.CHOICE,
            "One `p` for all samples solves `p v^c = w' dv`: this is the one of least norm, wherever the `v^c` of the "
            "samples are linearly independent.", (mu.name, vc.name),
        ),
        Equation(
            r, new[(k, *j)] + p, Rule.DEFINITION, "This is the weight that the frozen network needs.",
            (new.name, p.array.name), "eq. 22",
        ),
        Equation(
            output.primed[n, k], rest, Rule.IDENTITY,
            f"The frozen network with the weights `r` has the {_what(network)} of backpropagation at every sample, "
            "wherever `p` is defined.",
            (output.primed.name, r.array.name, vc.name), "eq. 4, 21", label="compensation",
        ),
    )  # fmt: skip


def _shift(network: Network, k: Index) -> Expr:
    """The bias of the read-out after the step; 0 where it has none."""
    shift = network.shift
    if shift is None:
        return ZERO
    return (shift.primed if shift in network.trained else shift)[(k,) if shift.axes else ()]


def _what(network: Network) -> str:
    """What the read-out gives."""
    return "output" if network.logits == network.output else "pre-activations of the output"


def _p_rows(last: _Last) -> list[tuple[Branch, int]]:
    """w' dv / v^c on each pair of pieces, with the piece before; where v^c = 0, what is left of 0 * p = w' dv."""
    rows: list[tuple[Branch, int]] = []
    phi = last.phi

    def row(when: tuple[Condition, ...], value: Expr | None, status: Status = Status.VALUE) -> Branch:
        return unit_row(phi, last.s, when, value, status)

    def at_zero(*when: Condition) -> tuple[Branch, Branch]:
        """v^c = 0: chosen where dv' = 0, undefined where it is not."""
        return (
            row((*when, Condition(last.dv, "=")), ZERO, Status.CHOSEN),
            row((*when, Condition(last.dv, "!=")), None, Status.UNDEFINED),
        )

    zero = Condition(last.vc, "=")
    if phi.is_smooth:
        moved = row((Condition(last.vc, "!="),), last.w_new * last.dv / last.vc)
        return [(moved, 0), *((one, 0) for one in at_zero(zero))]
    for a, b in _pairs(phi):
        before = phi.pieces[a]
        when = piece_conditions(phi, a, last.s) + piece_conditions(phi, b, last.s_new)
        dv = _change_of(before, phi.pieces[b], last.s, last.ds)
        if not before.is_zero:
            if _vanishes(phi, a):
                when = (*when, Condition(last.vc, "!="))
            if before.slope:
                dv = inline(dv, {last.s.array: (last.j, last.frozen_s(before))})
            rows.append((row(when, as_expr(expand(last.w_new * dv / last.vc))), a))
        elif dv == ZERO:
            rows.append((row(when, ZERO, Status.CHOSEN), a))
        elif not _vanishes(phi, b):
            rows.append((row(when, None, Status.UNDEFINED), a))
        else:
            rows += [(one, a) for one in at_zero(*when)]
    for number in range(len(phi.pieces)):
        if _vanishes(phi, number):
            rows += [(one, number) for one in at_zero(*piece_conditions(phi, number, last.s), zero)]
    return rows


# ------------------------------------------------------------------------------------------- the integrated P


def integrated(network: Network, equations: Mapping[str, Equation], order: Order) -> tuple[Equation, ...]:
    """P by case: the primitive of -p / (eta dE/dy v^c) in the last layer's weight, minus its value at the start."""
    if len(network.layers) < 2 or not has_primitive(network):
        return ()
    last = _Last.of(network)

    if last.phi.is_smooth:  # p is no polynomial in the weight: there is nothing to integrate in closed form
        return ()
    if weight(len(network.layers) - 1) not in network.trained:  # what moves the unit does not come from this weight
        return ()
    helpers, constants = _held_constant(network, last, equations, order)
    gate = gate_of(last.s.array)
    rows = []
    for branch, before in _p_rows(last):
        if branch.value is not None and branch.status is Status.VALUE:
            value = inline(branch.value, constants)
            slope = last.phi.gate_on(before)
            if slope is not None:  # otherwise the gate stays a symbol: at a kink it is not the slope of the piece
                value = inline(value, {gate: (last.j, Number(slope))})
            integrand = expand(mul(-1, value, power(mul(ETA[()], last.error, last.vc), -1)))
            branch = replace(branch, value=_integral(integrand, last))
        rows.append(branch)
    gates = ["the gates"] if any(phi.kinks for phi in network.hidden_activations) else []
    through = "dE/dy" if network.logits == network.output else last.error.array.name
    held = ["`v^c`", f"`{through}`", *gates, *(f"`{name}`" for name in _names(helpers))]
    return (
        *helpers,
        Equation(
            integral_of(last.w.array)[last.w.indices], Cases(tuple(rows)), Rule.INTEGRAL,
            f"This is the integral of `-p/(eta {through} v^c)` over the weight, from its initial value, with "
            f"{_and(held)} held constant; it needs `{through}` and `v^c` different from 0.",
            (p_of(last.w.array).name, *_names(helpers)), "eq. 28-30",
        ),
    )  # fmt: skip


def has_primitive(network: Network) -> bool:
    """Whether the ratio of p to the weight's step is a polynomial in the weight: for one sample's gradient step alone.

    A velocity, a decay or an average depends on the steps before or divides, and so does a sum over samples. Nor is it
    known how what other layers than dense ones read depends on one weight.
    """
    return network.rule.is_plain and not network.batch and network.built is None


def _names(equations: Sequence[Equation]) -> tuple[str, ...]:
    return tuple(equation.name for equation in equations)


def _and(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]


def _integral(integrand: Polynomial, last: _Last) -> Expr:
    """sum c_n w^n => sum c_n (w'^(n+1) - w^(n+1)) / (n+1)."""
    parts = []
    for n, coefficient in sorted(coefficients(integrand, last.w_new).items(), reverse=True):
        factor = as_expr(coefficient)
        grown = power(last.w_new, n + 1) - power(last.w, n + 1)
        parts.append(mul(Fraction(1, n + 1), factor, grown))
    return add(*parts)


def _held_constant(
    network: Network, last: _Last, equations: Mapping[str, Equation], order: Order
) -> tuple[tuple[Equation, ...], dict[Array, Definition]]:
    """How ds of the last hidden layer depends on one weight of the last layer; everything else gets a name.

    delta_j = phi'(s_j) (w_kj dE/dy_k + rho_kj)      rho: what comes through the other outputs
    ds_j    = kappa_j - eta delta_j alpha_j          kappa, alpha: what comes from the layers below
    """
    helpers: list[Equation] = []
    delta = adjoint_of(last.s.array)
    gate: Expr = ONE if last.phi.is_identity else gate_of(last.s.array)[last.j]
    through = last.w_new if order == "sequential" else last.w_new + ETA[()] * last.error * last.vc
    share: Expr = through * last.error
    if network.widths[-1] > 1:
        m = fresh(last.k.axis, [last.k])
        weights = last.w_new.array if order == "sequential" else last.w.array
        everything = total(m, weights[(m, *last.j)] * last.error.array[m])
        rho = rho_of(last.w.array)[last.w.indices]
        helpers.append(
            Equation(
                rho, everything - weights[last.w.indices] * last.error, Rule.SPLIT,
                "This is the error that reaches the unit through the other outputs.",
                (last.error.array.name, *((weights.name,) if weights.after else ())),
            )
        )  # fmt: skip
        share = share + rho
    constants: dict[Array, Definition] = {}
    moved = equations[last.ds.array.name]
    assert isinstance(moved.rhs, Expr) and isinstance(moved.lhs, Ref)
    update = equations[weight(len(network.layers) - 1).primed.name]
    assert isinstance(update.rhs, Expr) and isinstance(update.lhs, Ref)
    common = next((b for b in network.feeding(len(network.layers) - 1) if not b.axes and b in network.trained), None)
    if len(network.layers) > 2 or common is not None:
        opened = expand(
            inline(
                inline(last.ds, {last.ds.array: (moved.lhs.indices, moved.rhs)}),
                {update.array: (update.lhs.indices, update.rhs)},
            )
        )
        mine = {m: c for m, c in opened.items() if any(ref == delta[last.j] for ref, _ in m.factors)}
        others = {
            m: c
            for m, c in opened.items()
            if not any(isinstance(ref, Ref) and ref.array == delta for ref, _ in m.factors)
        }
        arrives = as_expr(others)
        if common is not None:  # of what the errors of all units do, the unit's own part
            every = {m: c for m, c in opened.items() if m not in mine and m not in others}
            alone = mul(-1, ETA[()], delta[last.j])
            mine = expand(as_expr(mine) + alone)
            arrives = arrives + in_order(*common_factor(expand(as_expr(every) - alone)))
        factor, alpha_value = common_factor(mine)
        kappa = kappa_of(last.s.array)[last.j]
        alpha = ALPHA[()]
        ways = [f"`{update.name.removesuffix('_new')}`"] if len(network.layers) > 2 else []
        ways += [f"the other units' part in `{common.name}`"] if common is not None else []
        helpers += [
            Equation(
                kappa, arrives, Rule.SPLIT, f"This is the change that reaches the unit through {_and(ways)}.",
                (moved.name,),
            ),
            Equation(
                alpha, alpha_value, Rule.SPLIT, "This is the inner product of what the layer reads before and after.",
                (moved.name, update.name),
            ),
        ]  # fmt: skip
        constants[last.ds.array] = (last.j, kappa + in_order(factor, alpha))
        value = inline(constants[last.ds.array][1], {delta: (last.j, mul(gate, share))})
    else:
        value = inline(
            inline(last.ds, {last.ds.array: (moved.lhs.indices, moved.rhs)}), {delta: (last.j, mul(gate, share))}
        )
    constants[last.ds.array] = (last.j, value)
    return tuple(helpers), constants
