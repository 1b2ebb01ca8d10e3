"""Reverse mode over a list of equations, written once for every kind of layer.

lhs[i] = rhs(..., A[a], ...)    =>    dE/dA[a] += sum over the indices of lhs and rhs that A[a] lacks of
                                                 dE/dlhs[i] * d rhs / d A[a]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from fcsym.errors import UnsupportedExpression
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation, smooth
from fcsym.language.algebra import Definition, apart, contracted, in_order, indices_of, inline, rename
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import (
    ONE,
    Add,
    Apply,
    Array,
    Expr,
    Extreme,
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
    indices_in,
    mul,
    power,
    refs_in,
    total,
)
from fcsym.networks.symbols import adjoint_of, bend_of, gate_of, unit_matrix

__all__ = ["occurrences", "reverse"]


_Place: TypeAlias = "tuple[Equation, Ref, Expr, tuple[Index, ...]]"
"""Where an array occurs: the equation, the element, the slope there, and the indices bound around it."""


def occurrences(node: Expr, gated: bool = True) -> Iterator[tuple[Ref, Expr, tuple[Index, ...]]]:
    """(A[a], d node / d A[a], indices bound around it) for each place where an array element occurs.

    `gated`: the slope of an activation has a name, its gate, and that of a gate has one; otherwise, as in a loss, it
    is written out.
    """
    yield from _occurrences(apart(node), gated)


def _occurrences(node: Expr, gated: bool) -> Iterator[tuple[Ref, Expr, tuple[Index, ...]]]:
    match node:
        case Ref():
            yield node, ONE, ()
        case Add(terms):
            for term in terms:
                yield from _occurrences(term, gated)
        case Mul(factors):
            for n, factor in enumerate(factors):
                others = mul(*factors[:n], *factors[n + 1 :])
                for ref, slope, bound in _occurrences(factor, gated):
                    yield ref, mul(others, slope), bound
        case Pow(base, exponent):
            for ref, slope, bound in _occurrences(base, gated):
                yield ref, mul(exponent, power(base, exponent - 1), slope), bound
        case Total(over, body):
            for ref, slope, bound in _occurrences(body, gated):
                yield ref, slope, over + bound
        case Apply(phi, Ref(), order) if order and not phi.is_smooth:  # a gate is the same all around, but at kinks
            return
        case Apply(phi, Ref(array, indices) as argument, order):
            named = (gate_of, bend_of)[order] if gated else None
            yield argument, slope_of(phi, argument, order) if named is None else named(array)[indices], ()
        case (
            Number() | Indicator() | Extreme()
        ):  # what an extreme of the logits is taken from may not depend on it: the proof sees
            return
        case _:
            raise UnsupportedExpression(
                f"{node!r} cannot be differentiated: name the argument of its activation first."
            )


def slope_of(phi: Activation, argument: Ref, order: int = 0) -> Expr:
    """phi'(argument), in functions of the language where it is one: log' = 1/s, softplus' = sigmoid, exp' = exp.

    `order`: how many derivatives of phi there are already.
    """
    own = smooth_functions.slope_by_value(phi) if phi.is_smooth and not order else None
    if own is not None:
        return mul(own[0], power(Apply(phi, argument), own[1]))
    known = None if order or not phi.is_smooth else smooth_functions.slope_among_entries(phi)
    if known is None:
        return Apply(phi, argument, derivative=order + 1)
    factor, name, exponent = known
    rest: Expr = ONE if name is None else Apply(smooth(name), argument)
    return mul(factor, power(argument, exponent), rest)


def reverse(
    equations: Sequence[Equation], named: Callable[[Array], bool], seen: Mapping[Array, Array],
    adjoint: Callable[[Array], Array] = adjoint_of, by: Collection[Array] | None = None,
) -> tuple[tuple[Equation, ...], dict[Array, Definition]]:  # fmt: skip
    """The adjoint equations of a list whose last equation defines what is differentiated: the error, or an array.

    `named`: which arrays get an adjoint equation of their own; the others' adjoints are put in where they are used.
    `seen`: which array the backward pass sees in place of another; this is where the order of the update enters.
    `adjoint`: what holds the derivative by an array; where an array is differentiated, its axes come first.
    `by`: of what nothing defines, whose adjoints are wanted, with the gates in them; without it all are.

    Returns the equations, each gate and slope of a gate before its first use, and the adjoint of every array that
    nothing defines (weights and inputs) as an expression.
    """
    defined = {equation.array: equation for equation in equations}
    root = equations[-1].array
    own, adjoints = _seed(root)
    known = set(defined)
    result: list[Equation] = []
    order = [equation.array for equation in reversed(equations)]
    order += dict.fromkeys(a for equation in reversed(equations) for a in equation.operands if a not in defined)
    last = next(array for array in order if named(array))  # the read-out, which the error is made of
    values = _Called.of(equations)
    alias = {old: _alias(new) for old, new in seen.items()}
    applied = _applied_to(equations)
    own_gates = set(map(_read, applied.values()))  # of two functions that read one array the gate is that of the first
    places: dict[Array, list[_Place]] = {}
    for equation in equations:
        gated = equation.array.role in (Role.ACTIVATION, Role.GATE) and _read(equation) in own_gates
        for ref, slope, bound in occurrences(equation.rhs, gated) if isinstance(equation.rhs, Expr) else ():
            places.setdefault(ref.array, []).append((equation, ref, _known(slope, values), bound))
    for array in order:
        if array in adjoints:
            continue
        indices, value, uses = _collect(array, places.get(array, ()), adjoints)
        value = inline(value, alias)
        value = _known(value, values)
        if named(array) or (
            array not in defined and (by is None or array in by)
        ):  # otherwise gates in it are wanted where it is put in
            for gate in arrays_in(value):
                if gate.role in (Role.GATE, Role.BEND) and gate not in known:
                    known.add(gate)
                    result.append(_gate_equation(gate, applied))
        if not named(array):
            adjoints[array] = indices, value
            continue
        symbol = adjoint(array)
        result.append(
            Equation(
                symbol[(*own, *indices)],
                value,
                Rule.ADJOINT,
                "This is `dE/dy`, the output error."
                if array == last and array.layer is None and root.role is Role.LOSS
                else f"By the chain rule, `{array.name}` acts on `{root.name}` only through {_listed(uses)}.",
                (),
                "eq. 16" if array == last and root.role is Role.LOSS else "",
            )
        )
        adjoints[array] = indices, symbol[(*own, *indices)]
    return tuple(result), {array: value for array, value in adjoints.items() if array not in defined}


def _seed(root: Array) -> tuple[tuple[Index, ...], dict[Array, Definition]]:
    """dE/dE = 1, and dy_k/dy_m = delta_km: the free indices that all derivatives of it have, and its own one."""
    own = tuple(Index(axis, f"of{n}") for n, axis in enumerate(root.axes))
    indices = indices_of(root)
    return own, {root: (indices, mul(*(unit_matrix(i.axis)[i, m] for i, m in zip(own, indices, strict=True))))}


@dataclass(frozen=True)
class _Called:
    """What forward equations call a value, phi(s_k) or a_k/Z, by the arrays that are in it."""

    applied: Mapping[tuple[Array, int], Sequence[tuple[Apply, Ref]]]
    quotients: Mapping[Array, Sequence[tuple[int, Ref, Ref, Ref]]]  # by what is above: (place, above, below, its name)

    @classmethod
    def of(cls, equations: Iterable[Equation]) -> _Called:
        applied: dict[tuple[Array, int], list[tuple[Apply, Ref]]] = {}
        quotients: dict[Array, list[tuple[int, Ref, Ref, Ref]]] = {}
        for n, (value, name) in enumerate({e.rhs: e.lhs for e in equations}.items()):
            if isinstance(value, Apply) and isinstance(value.argument, Ref) and isinstance(name, Ref):
                applied.setdefault((value.argument.array, value.derivative), []).append((value, name))
            elif isinstance(value, Mul) and _is_quotient(value) and isinstance(name, Ref):
                above, below = value.factors[0], _below(value.factors[1])
                assert isinstance(above, Ref) and below is not None
                quotients.setdefault(above.array, []).append((n, above, below, name))
        return cls(applied, quotients)


def _known(node: Expr, values: _Called) -> Expr:
    """phi(s_k), where a forward equation calls it y_k, is y_k."""
    match node:
        case Add(terms):
            return add(*(_known(part, values) for part in terms))
        case Mul(factors):
            return _known_quotient(mul(*(_known(part, values) for part in factors)), values)
        case Pow(base, exponent):
            return power(_known(base, values), exponent)
        case Total(over, body):
            return total(over, _known(body, values))
        case Apply(phi, Ref(array, indices), derivative):
            for value, name in values.applied.get((array, derivative), ()):
                assert isinstance(value.argument, Ref)
                if value.activation == phi:
                    return rename(name, dict(zip(value.argument.indices, indices, strict=True)))
            return node
        case _:
            return node


def _is_quotient(node: Mul) -> bool:
    """Whether it is one array element over another one: psi_k/Z."""
    return len(node.factors) == 2 and isinstance(node.factors[0], Ref) and _below(node.factors[1]) is not None


def _below(node: Expr) -> Ref | None:
    match node:
        case Pow(Ref() as base, -1):
            return base
    return None


def _divided(node: Expr) -> Ref | None:
    """What a factor divides by, once or more."""
    match node:
        case Pow(Ref() as base, exponent) if exponent < 0:
            return base
    return None


def _known_quotient(node: Expr, values: _Called) -> Expr:
    """psi_k/Z, where a forward equation calls it y_k, is y_k, among the factors of a product."""
    if not isinstance(node, Mul):
        return node
    refs = {ref.array: ref for ref in reversed(node.factors) if isinstance(ref, Ref)}
    for _, above, below, name in sorted(
        (q for array in refs for q in values.quotients.get(array, ())), key=itemgetter(0)
    ):
        over = refs[above.array]
        under = next((f for f in node.factors if (r := _divided(f)) is not None and r.array == below.array), None)
        names = dict(zip(above.indices, over.indices, strict=True))
        if under is None or rename(below, names) != (ref := _divided(under)):
            continue
        rest = [f for f in node.factors if f is not over and f is not under]
        assert isinstance(under, Pow) and ref is not None
        return _known_quotient(mul(*rest, power(ref, under.exponent + 1), rename(name, names)), values)
    return node


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _alias(array: Array) -> Definition:
    indices = indices_of(array)
    return indices, array[indices]


def _collect(
    array: Array, places: Sequence[_Place], adjoints: Mapping[Array, Definition]
) -> tuple[tuple[Index, ...], Expr, list[str]]:
    """dE/d array[indices], summed over every place where the array occurs."""
    indices: tuple[Index, ...] | None = None
    parts: list[Expr] = []
    uses: list[str] = []
    for equation, ref, slope, bound in places:
        if equation.array not in adjoints:
            continue
        assert isinstance(equation.lhs, Ref)
        parameters, value = adjoints[equation.array]
        outer = rename(value, dict(zip(parameters, equation.lhs.indices, strict=True)))
        over = tuple(i for i in (*equation.lhs.indices, *bound) if i not in ref.indices)
        terms = outer.terms if isinstance(outer, Add) and _has_units(outer) else (outer,)
        part = add(*(_pull(contracted(total(over, in_order(slope, term)))) for term in terms))
        if indices is None:
            indices = ref.indices
        else:
            part = rename(part, dict(zip(ref.indices, indices, strict=True)))
        parts.append(part)
        uses.append(equation.name)
    if indices is None:
        return indices_of(array), mul(0, ONE), uses
    return indices, _over_one(add(*parts)), uses


def _over_one(node: Expr) -> Expr:
    """a/Z + b/Z => (a + b)/Z, for what all terms are divided by."""
    if not isinstance(node, Add):
        return node
    factors = [term.factors if isinstance(term, Mul) else (term,) for term in node.terms]
    below = next((f for f in factors[0] if _divided(f) is not None and all(f in others for others in factors)), None)
    if below is None:
        return node
    rest = [list(own) for own in factors]
    for own in rest:
        own.remove(below)
    return mul(_over_one(add(*(mul(*own) for own in rest))), below)


def _has_units(node: Expr) -> bool:
    return any(ref.array.role is Role.UNIT for ref in refs_in(node))


def _pull(node: Expr) -> Expr:
    """sum_i a b_i => a sum_i b_i."""
    if not isinstance(node, Total) or not isinstance(node.body, Mul):
        return node
    inside = set(node.over)
    outer = [f for f in node.body.factors if inside.isdisjoint(indices_in(f))]
    inner = [f for f in node.body.factors if f not in outer]
    return in_order(*outer, total(node.over, mul(*inner)))


def _applied_to(equations: Iterable[Equation]) -> dict[Array, Equation]:
    """The first equation that applies an activation to an array, by the array."""
    found: dict[Array, Equation] = {}
    for equation in equations:
        if isinstance(equation.rhs, Apply) and isinstance(equation.rhs.argument, Ref) and not equation.rhs.derivative:
            found.setdefault(equation.rhs.argument.array, equation)
    return found


def _read(equation: Equation) -> tuple[Array, Activation] | None:
    """The array that an equation applies a function to, or a slope of one, and the function."""
    match equation.rhs:
        case Apply(phi, Ref(array, _)):
            return array, phi
    return None


def _gate_equation(gate: Array, applied: Mapping[Array, Equation]) -> Equation:
    """g = phi'(s), for the activation that reads the pre-activation s; of the second order dg = phi''(s)."""
    array = gate.of
    assert array is not None
    order = 2 if gate.role is Role.BEND else 1
    if array not in applied:
        raise UnsupportedExpression(f"No activation reads {array.name}, yet its gate is used.")
    equation = applied[array]
    assert isinstance(equation.rhs, Apply) and isinstance(equation.rhs.argument, Ref)
    source, phi = equation.rhs.argument, equation.rhs.activation
    return Equation(
        gate[source.indices],
        Apply(phi, source, derivative=order, value=equation.lhs),
        Rule.DEFINITION,
        phi.said_of_slope(order),
        (array.name, equation.name) if phi.is_smooth else (array.name,),
        "eq. 14" if order == 1 else "",
    )
