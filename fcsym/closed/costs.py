"""Cost: what a scheme stores and computes, counted on its derivation, as polynomials in the widths.

The rules of the count are those of the generated code. Factors are multiplied from left to right, and each product is
as large as the indices seen so far: eta delta_i is n operations, eta delta_i x_j is n + n m. A sum over m terms is
m - 1 additions. Every case of a table is computed for every unit, and a quotient that several cases share once.
Additions, subtractions, multiplications and divisions count 1, an evaluation of a smooth function 1; changes of sign,
comparisons and selections are not arithmetic and count 0. A sum over an index that an indicator fixes has one term,
also where that lies outside of the array. A factor that is a gate of 0 and 1 is a selection too, but within a sum over
an index, which is a matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import sympy

from fcsym.errors import ArgumentError
from fcsym.language.algebra import Definition, inline, replaced
from fcsym.language.decision import Tree, decide
from fcsym.language.equation import Branch, Cases, Equation
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
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
    mul,
    total,
)
from fcsym.language.sympy_bridge import STORED, length

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["STORED", "Cost", "compare", "cost", "length"]


@dataclass(frozen=True)
class Cost:
    """The size of a scheme's state, and the operations of its functions, as polynomials in the widths (and in m)."""

    scheme: str
    widths: Mapping[sympy.Symbol, int]  # those of the network
    state: sympy.Expr  # numbers
    parts: Mapping[str, sympy.Expr]  # operations of init, step, output, expand
    along: tuple[sympy.Symbol, ...] = ()  # the sizes that decide whether it saves

    @property
    def operations(self) -> sympy.Expr:
        """Operations of one training step."""
        return self.parts["step"]

    def at(self, value: sympy.Expr, inputs: int = 1) -> int:
        """A polynomial at the network's widths and for `inputs` stored inputs."""
        known = {**self.widths, STORED: inputs}
        left = ", ".join(sorted(map(str, value.free_symbols - known.keys())))
        if left:
            raise ArgumentError(
                f"The cost depends on {left}: say how many samples a mini-batch has, samples=N or --samples N."
            )
        return _at(value, known)

    @cached_property
    def stores_inputs(self) -> bool:
        """Whether the cost grows with the number of distinct inputs."""
        return bool(STORED in (self.state + self.operations).free_symbols)

    def __str__(self) -> str:
        return f"{self.scheme}: state {self.state}, operations per step {self.operations}"


def _at(value: sympy.Expr, known: Mapping[sympy.Symbol, int]) -> int:
    """A polynomial at given numbers. SymPy's own substitution builds every partial result as an expression."""
    if value.is_Add:
        return sum(_at(part, known) for part in value.args)
    if value.is_Mul:
        return prod(_at(part, known) for part in value.args)
    return int(known[value] if value.is_Symbol else value.subs(known))


def cost(scheme: SchemeRecord) -> Cost:
    """Scheme => its cost, that of its four derivations.

    What a call from Python does beside them, such as telling whether x is the input of `init`, is not counted.
    Raises ArgumentError for anything that is no scheme.

    >>> from fcsym import Network, scheme
    >>> cost(scheme(Network.parse("2-2-1"), "states")).state
    n_1*n_2 + n_1 + 3
    """
    kind = type(scheme).__name__
    scheme = getattr(scheme, "counted", scheme)  # what is no list of equations says which are to be counted
    if not hasattr(scheme, "parts"):
        raise ArgumentError(f"cost got {kind}: give a scheme, made by fcsym.scheme(net, name).")
    widths = {length(axis): size for axis, size in scheme.network.sizes.items()}
    state = sympy.expand(sympy.Add(*(_size(array.axes) for array in scheme.state)))
    one = {length(axis): 1 for axis in scheme.ones}  # the scheme does not exist at other lengths
    state = state.subs(one)
    parts = {part.name: _part(part).subs(one) for part in scheme.parts}
    return Cost(scheme.name, widths, state, parts, tuple(map(length, scheme.along)))


def compare(one: Cost, reference: Cost, inputs: int = 1) -> str:
    """Where a scheme saves and where it loses against another one, in one sentence, at the network's widths."""
    saved = {
        "state": reference.at(reference.state, inputs) - one.at(one.state, inputs),
        "operations": reference.at(reference.operations, inputs) - one.at(one.operations, inputs),
    }
    words = []
    for what, number in saved.items():
        whole = reference.at(getattr(reference, what), inputs)
        unit = "numbers" if what == "state" else "operations"
        verb = "saves" if number > 0 else "loses"
        words.append(f"{verb} {abs(number)} of {whole} {unit}" if number else f"has the same {whole} {unit}")
    sentence = " and ".join(words)
    for size in (STORED,) if one.stores_inputs else one.along:
        where = [f"{what} {_where_it_saves(one, reference, what, size)}" for what in saved]
        sentence += f"; it saves {' and '.join(where)}{' distinct inputs' if size == STORED else ''}"
    return sentence


def _where_it_saves(one: Cost, reference: Cost, what: str, size: sympy.Symbol) -> str:
    """Up to which size, or from which one on, a cost is below another one, all other sizes being the network's."""
    # put in all at once: one after another, each of them goes through every term
    others = {symbol: sympy.Integer(width) for symbol, width in one.widths.items() if symbol != size}
    difference = sympy.Poly((getattr(one, what) - getattr(reference, what)).xreplace(others), size)
    last = max((sympy.Integer(0), *difference.real_roots()))
    if difference.LC() >= 0:  # nothing is saved beyond the last root
        most = max(0, int(sympy.ceiling(last)) - 1)
        return f"up to {size} = {most if difference.eval(most) < 0 else 0}"
    return f"from {size} = {int(sympy.floor(last)) + 1} on"


def _part(part: PartRecord) -> Any:
    """Operations of one function."""
    gates = frozenset(e.array for e in part.equations if _is_gate(e.rhs))
    values: dict[Array, Definition] = {a: ((), Number(value)) for a, value in part.network.rule.values.items()}
    plain = (replace(e, rhs=inline(e.rhs, values)) if isinstance(e.rhs, Expr) else e for e in part.equations)
    return sympy.expand(sympy.Add(*(_equation(equation, gates) for equation in (plain if values else part.equations))))


def _is_gate(rhs: Expr | Cases) -> bool:
    """Whether a quantity is 1 in one case and 0 in all others."""
    if isinstance(rhs, Cases):
        values = _leaves(decide(rhs.branches))
    elif isinstance(rhs, Apply) and rhs.derivative:
        phi = rhs.activation
        ends = [slope for piece, slope in zip(phi.pieces, phi.kink_slopes, strict=False) if slope != piece.slope]
        values = [Number(slope) for slope in (*(piece.slope for piece in phi.pieces), *ends)]
    else:
        return False
    return len(values) > 1 and values.count(ONE) == 1 and values.count(ZERO) == len(values) - 1


def _leaves(tree: Tree) -> list[Expr | None]:
    return [tree.value] if isinstance(tree, Branch) else [*_leaves(tree.then), *_leaves(tree.otherwise)]


def _size(axes: Sequence[Axis]) -> Any:
    return sympy.Mul(*(length(axis) for axis in axes))


def _room(indices: Sequence[Index]) -> Any:
    return _size([index.axis for index in indices])


def _equation(equation: Equation, gates: frozenset[Array]) -> Any:
    """Operations of one equation, for all its elements."""
    if not isinstance(equation.rhs, Cases):
        return _count(equation.rhs, gates)[0]
    quotients = {q: n for branch in equation.rhs for q, n in _quotients(branch.value).items()}
    return sum(quotients.values(), sympy.Integer(0)) + _tree(decide(equation.rhs.branches), gates)


def _tree(tree: Tree, gates: frozenset[Array]) -> Any:
    """Every branch is computed for every element."""
    if isinstance(tree, Branch):
        return sympy.Integer(0) if tree.value is None else _count(tree.value, gates, cases=True)[0]
    return _tree(tree.then, gates) + _tree(tree.otherwise, gates)


def _quotients(node: Expr | None) -> dict[Expr, Any]:
    """Each quotient of a case, with the size of what is divided: one division per element."""
    result: dict[Expr, Any] = {}
    for term in () if node is None else node.terms if isinstance(node, Add) else (node,):
        for factor in term.factors if isinstance(term, Mul) else (term,):
            if isinstance(factor, Pow) and factor.exponent == -1 and isinstance(factor.base, Ref):
                partner = _partner(term, factor.base)
                result[Mul((partner, factor)) if partner else factor] = _room((partner or factor.base).indices)
    return result


def _partner(term: Expr, below: Ref) -> Ref | None:
    """The factor of the same shape as the denominator, which is divided by it: dv_j / v^c_j.

    A scalar divides the first factor there is. Only in a case: elsewhere the kernel divides the whole product.
    """
    if not isinstance(term, Mul):
        return None
    elements = [factor for factor in term.factors if isinstance(factor, Ref)]
    same = next((factor for factor in elements if factor.indices == below.indices), None)
    return same or (next(iter(elements), None) if not below.indices else None)


def _count(node: Expr, gates: frozenset[Array] = frozenset(), cases: bool = False) -> tuple[Any, tuple[Index, ...]]:
    """(operations, the indices that the value has); products with `gates` select; `cases`: a case's value."""
    zero = sympy.Integer(0)
    match node:
        case Number():
            return zero, ()
        case Ref(_, indices):
            return zero, indices
        case Indicator():
            return zero, node.indices
        case Add(terms):
            return _chain(terms, gates, cases)
        case Mul(factors):
            chosen = [f for f in factors if isinstance(f, Indicator) or (isinstance(f, Ref) and f.array in gates)]
            rest = [f for f in _without_sign(_divided(node, factors, cases)) if f not in chosen]
            operations, indices = _chain(rest, gates, cases)
            return operations, tuple(dict.fromkeys((*indices, *(index for gate in chosen for index in gate.indices))))
        case Pow(base, exponent) if exponent < 0:
            inner, indices = _count(base, cases=cases)
            return inner + _room(indices), indices
        case Pow(base, exponent):
            inner, indices = _count(base, cases=cases)
            return inner + (exponent - 1) * _room(indices), indices
        case Total(over, body) if (shift := _shift(over, body)) is not None:
            return _count(shift, cases=cases)
        case Total(over, body):
            inner, indices = _count(body, cases=cases)
            left = tuple(index for index in indices if index not in over)
            return inner + _room(left) * (_room(over) - 1), left
        case Extreme(_, over, body):  # comparisons are not arithmetic
            inner, indices = _count(body, cases=cases)
            return inner, tuple(index for index in indices if index not in over)
        case Apply(phi, Ref(_, indices), derivative):
            return _room(indices) * _activation(phi, derivative), indices
    raise ArgumentError(f"{node!r} cannot be counted.")


def _shift(over: tuple[Index, ...], body: Expr) -> Expr | None:
    """sum_u [u = 2t + k] v_u => v_tk: one term, not as many as u has positions; None where no index is fixed."""
    factors = body.factors if isinstance(body, Mul) else (body,)
    for one in (f for f in factors if isinstance(f, Indicator)):
        for index, form in one.fixes(over):
            others = tuple(i for i, _ in form.terms)

            def read(ref: Ref, index: Index = index, others: tuple[Index, ...] = others) -> Expr:
                if index not in ref.indices:
                    return ref
                seen = tuple(dict.fromkeys(j for i in ref.indices for j in (others if i == index else (i,))))
                return Ref(Array("shifted", None, tuple(i.axis for i in seen)), seen)

            rest = [replaced(f, read) for f in factors if f is not one]
            return total((i for i in over if i != index), mul(*rest))
    return None


def _activation(phi: Any, derivative: int) -> int:
    """Operations per element: every piece is computed."""
    if phi.is_smooth:
        return 1
    if derivative:
        return 0
    return sum((piece.slope not in (0, 1)) + bool(piece.slope and piece.intercept) for piece in phi.pieces)


def _without_sign(factors: Sequence[Expr]) -> list[Expr]:
    """-1 is a sign and -2 the number 2 with one."""
    return [f for f in factors if not (isinstance(f, Number) and abs(f.value) == 1)]


def _divided(node: Mul, factors: Sequence[Expr], cases: bool) -> list[Expr]:
    """w dv / v^c => w (dv / v^c), where the quotient has been counted as one number per element."""
    below = next((f for f in factors if isinstance(f, Pow) and f.exponent == -1 and isinstance(f.base, Ref)), None)
    if below is None:
        return list(factors)
    assert isinstance(below, Pow) and isinstance(below.base, Ref)
    partner = _partner(node, below.base) if cases else None  # elsewhere the whole product is divided, at its end
    over = (partner or below.base).indices
    ratio = Ref(Array("ratio", None, tuple(index.axis for index in over)), over)
    kept = [factor for factor in factors if factor is not below]
    if partner is not None:
        kept.remove(partner)
    return [*kept, ratio]


def _chain(parts: Sequence[Expr], gates: frozenset[Array], cases: bool) -> tuple[Any, tuple[Index, ...]]:
    """From left to right: each operation is as large as the indices seen so far."""
    operations: Any = sympy.Integer(0)
    seen: tuple[Index, ...] = ()
    for n, part in enumerate(parts):
        inner, indices = _count(part, gates, cases)
        operations += inner
        seen = tuple(dict.fromkeys((*seen, *indices)))
        if n:
            operations += _room(seen)
    return operations, seen
