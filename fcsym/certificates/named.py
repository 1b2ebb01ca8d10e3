"""What a derivation's own names stand for, made of the network alone: norms, v^c, what p is found by, what P holds.

    vc j    := v1 j                            what the read-out reads, the layers below it frozen
    r k j   := W2' k j + p k j                 the weights of the frozen network
    kappa i := sum n_1 (fun j => W2 i j * dv1 j)

A derivation may write them differently, and a theorem says that it is the same. Were they what it says of itself, a
v^c that is v' would need no p at all, and whatever is held constant could hide what P is to integrate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fcsym.deriving.kinds import is_dense
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import Array, Expr, Index, Ref, add, mul, total
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ALPHA,
    ETA,
    adjoint_of,
    effective,
    frozen_activation,
    gram_of,
    increment_of,
    inverse_gram_of,
    kappa,
    lacking,
    multiplier,
    norm,
    p_of,
    rho,
)

__all__ = ["frozen", "named"]


def frozen(network: Network) -> Equation | None:
    """v^c: what the last hidden layer gave before the step; None where there is no hidden layer."""
    if not network.hidden:
        return None
    v = network.hidden[-1].v
    at = _indices(v, "j")
    return Equation(frozen_activation(v)[at], v[at], Rule.DEFINITION, "")


def named(network: Network, order: Order, forward: Mapping[Array, Equation]) -> Mapping[Array, Equation]:
    """What every such name stands for, where the network has it."""
    found = {e.array: e for read in network.read_by_matrices for e in (_norm(network, read, forward),)}
    if not network.hidden or len(network.places) > 1:  # of positions of samples there is no one p
        return found
    made = _for_all(network) if network.places else _of_one(network, order)
    return found | {e.array: e for e in made}


def _indices(array: Array, letters: str) -> tuple[Index, ...]:
    """One index for each axis: j, or j0, j1, ..."""
    several = len(array.axes) > 1
    return tuple(Index(axis, f"{letters}{n}" if several else letters) for n, axis in enumerate(array.axes))


def _is(lhs: Ref, rhs: Expr) -> Equation:
    return Equation(lhs, rhs, Rule.DEFINITION, "")


def _norm(network: Network, read: Array, forward: Mapping[Array, Equation]) -> Equation:
    """The inner products of what a dense layer reads, and 1 for a bias for each unit that moves with its weights."""
    *places, own = read.axes
    moved = [
        {len(a.axes) for a in e.operands if a in network.trained}
        for e in forward.values() if read in e.operands and is_dense(e)
    ]  # fmt: skip
    one = all(1 in axes for axes in moved if 2 in axes)
    n = tuple(Index(axis, "n") for axis in places)
    m = tuple(Index(axis, "m") for axis in places)
    i = Index(own, "i")
    inner = total(i, read[(*n, i)] * read[(*m, i)])
    return _is(norm(read)[(*n, *m)], inner + 1 if one else inner)


def _effective(network: Network) -> Equation:
    w = network.read_out
    at = _indices(w, "j")
    return _is(effective(w)[at], w.primed[at] + p_of(w)[at])


def _for_all(network: Network) -> Iterator[Equation]:
    """One p for all places: K mu = w' dv is what it solves, K the inner products of their v^c."""
    hidden, logits, w = network.hidden[-1].v, network.logits, network.read_out
    place, *axes = hidden.axes
    n, m, k = Index(place, "n"), Index(place, "m"), Index(logits.axes[-1], "k")
    j = tuple(Index(axis, f"j{a}") for a, axis in enumerate(axes))
    vc, dv = frozen_activation(hidden), increment_of(hidden)
    lack, gram = lacking(logits), gram_of(vc)
    yield _is(lack[n, k], total(j, w.primed[(k, *j)] * dv[(n, *j)]))
    yield _is(gram[n, m], total(j, vc[(n, *j)] * vc[(m, *j)]))
    yield _is(multiplier(logits)[n, k], total(m, inverse_gram_of(vc)[n, m] * lack[m, k]))
    yield _effective(network)


def _of_one(network: Network, order: Order) -> Iterator[Equation]:
    """What P holds constant: the error through the other outputs, and what comes from the layers below."""
    yield _effective(network)
    if network.built is not None:
        return
    depth, w = len(network.layers), network.read_out
    k, j, m = Index(w.axes[0], "k"), Index(w.axes[1], "j"), Index(w.axes[0], "m")
    error = adjoint_of(network.logits)
    through = w.primed if order == "sequential" else w
    yield _is(rho(w)[k, j], total(m, through[m, j] * error[m]) - through[k, j] * error[k])
    s, below = network.hidden[-1].s, network.passed_on(depth - 2)
    lower, *shift = network.feeding(depth - 1)
    i = Index(below.axes[0], "i")
    moves = depth > 2  # the input does not
    after = below.primed if moves else below
    arrives: list[Expr] = [total(i, lower[j, i] * increment_of(below)[i])] if moves else []
    moved = [b for b in shift if b in network.trained]
    if any(not b.axes for b in moved):  # the errors of the other units move the one bias, too
        other, delta = Index(j.axis, "o"), adjoint_of(s)
        arrives.append(mul(ETA[()], delta[j] - total(other, delta[other])))
    yield _is(kappa(s)[j], add(*arrives))
    yield _is(ALPHA[()], total(i, below[i] * after[i]) + (1 if moved else 0))
