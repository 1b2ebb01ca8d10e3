"""Front contribution: the compensation p of the last layer, and its integral P.

    p  = w' dv / v^c                        the paper's choice, eq. 22; the only place where it is made
    P  = integral of -p / (eta dE/dy v^c) dw,  eq. 28-30, with P = 0 at the initial weight

dv is what `increments` makes of the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from fcsym.deriving.increments import change_of, pairs
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
    inline,
)
from fcsym.language.equation import Branch, Cases, Condition, Equation, Order, Rule, Status
from fcsym.language.expression import ONE, ZERO, Array, Axis, Expr, Index, Inverse, Number, Ref, add, mul, power, total
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
    p_of,
    weight,
)
from fcsym.networks.symbols import kappa as kappa_of
from fcsym.networks.symbols import rho as rho_of

__all__ = ["compensation", "has_primitive", "integrated", "no_common_p"]


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
    if network.places:
        return _for_all(network)
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

    More samples than the read-out reads numbers; positions of samples, or along several axes; or a read-out of what no
    trained parameter reaches.
    """
    return not (network.has_common_p and network.features_move)


def _for_all(network: Network) -> tuple[Equation, ...]:
    """One p for all samples or positions: sum_j p_kj v^c_nj = sum_j w'_kj dv_nj, solved by the p of least norm.

    Unit by unit there is none in general; jointly there is, whatever the right-hand side, where their v^c are linearly
    independent. Then p = sum_n mu_n v^c_n is a combination of them, and no p is shorter.
    """
    hidden, output, matrix = network.hidden[-1].v, network.logits, network.read_out
    (axis,), place = network.places, network.place
    n, m = (Index(axis, letter) for letter in (axis.letters if len(axis.letters) > 1 else "nm")[:2])
    j, k = _read(hidden.axes[1:]), Index(output.axes[1], "k")
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
            f"This is what `p` has to make up for, at every {place}.", (new.name, dv.name),
        ),
        Equation(
            gram[n, m], total(j, vc[(n, *j)] * vc[(m, *j)]), Rule.DEFINITION,
            f"These are the inner products of what the {place}s leave frozen.", (vc.name,),
        ),
        Equation(
            inverse_[n, m], Inverse(gram[n, m]), Rule.DEFINITION,
            f"It exists where the `v^c` of the {place}s are linearly independent, which takes at least as many live "
            f"units as {place}s.", (gram.name,),
        ),
        Equation(
            mu[n, k], total(m, inverse_[n, m] * lack[m, k]), Rule.DEFINITION,
            f"These are the multipliers of the {place}s.", (inverse_.name, lack.name),
        ),
        Equation(
            p, total(n, mu[n, k] * vc[(n, *j)]), Rule.CHOICE,
            f"One `p` for all {place}s solves `p v^c = w' dv`: this is the one of least norm, wherever the `v^c` of "
            f"the {place}s are linearly independent.", (mu.name, vc.name),
        ),
        Equation(
            r, new[(k, *j)] + p, Rule.DEFINITION, "This is the weight that the frozen network needs.",
            (new.name, p.array.name), "eq. 22",
        ),
        Equation(
            output.primed[n, k], rest, Rule.IDENTITY,
            f"The frozen network with the weights `r` has the {_what(network)} of backpropagation at every {place}, "
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
    for a, b in pairs(phi):
        before = phi.pieces[a]
        when = piece_conditions(phi, a, last.s) + piece_conditions(phi, b, last.s_new)
        dv = change_of(before, phi.pieces[b], last.s, last.ds)
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
