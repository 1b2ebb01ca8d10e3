"""Gates of 0 and 1 as selections: a product with a gate is the other factors where the gate is 1, and 0 elsewhere.

    g1[i] = Select(s1[i] > 0, 1, 0)
    delta1[i] = g1[i] * sum        =>    delta1[i] = Select(s1[i] > 0, sum, 0)

A selection costs less than the product and the number it saves, and is 0 where the other factors are not finite.
Every target prints the result, so that they go on agreeing in every bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from fcsym.kernel import neutral as n
from fcsym.language.expression import Index

__all__ = ["select_by_gates"]

_ZERO, _ONE = n.Const(Fraction(0)), n.Const(Fraction(1))


def select_by_gates(function: n.Function) -> n.Function:
    """The function with selections in place of products with gates, and without the gates that nothing reads then."""
    gates = {s.name: s for s in function.statements if isinstance(s, n.Define) and _is_gate(s.value)}
    if not gates:
        return function
    statements = [
        replace(s, value=_selected(s.value, gates)) if isinstance(s, n.Define) else s for s in function.statements
    ]
    wanted = {array.name for array in function.results} | {load.name for s in statements for load in n.loads(s)}
    kept = tuple(s for s in statements if not (isinstance(s, n.Define) and s.name in gates and s.name not in wanted))
    return replace(function, statements=kept)


def _is_gate(node: n.Node) -> bool:
    """Whether a node selects 1 in one case and 0 in the others, by tests of one element."""
    leaves = _leaves(node)
    return isinstance(node, n.Select) and leaves.count(_ONE) == 1 and leaves.count(_ZERO) == len(leaves) - 1


def _leaves(node: n.Node) -> list[n.Node]:
    if not isinstance(node, n.Select) or not isinstance(node.test.left, n.Load):
        return [node]
    return _leaves(node.then) + _leaves(node.otherwise)


def _selected(node: n.Node, gates: Mapping[str, n.Define]) -> n.Node:
    """Products outside of sums over indices: inside, a product is a matrix product for the targets that have one."""
    match node:
        case n.Sum(terms):
            return n.Sum(tuple((sign, _selected(term, gates)) for sign, term in terms))
        case n.Select(test, then, otherwise):
            return n.Select(test, _selected(then, gates), _selected(otherwise, gates))
        case n.Product(factors):
            gate = next((f for f in factors if isinstance(f, n.Load) and f.name in gates), None)
            if gate is None:
                return node
            rest = list(factors)
            rest.remove(gate)
            value = rest[0] if len(rest) == 1 else n.Product(tuple(rest))
            define = gates[gate.name]
            where = dict(zip(define.indices, gate.indices, strict=True))
            return _chosen(define.value, where, _selected(value, gates))
        case _:
            return node


def _chosen(gate: n.Node, where: Mapping[Index, Index], value: n.Node) -> n.Node:
    """The gate's selection, with the value in the place of 1."""
    if isinstance(gate, n.Select):
        left = gate.test.left
        assert isinstance(left, n.Load)
        test = replace(gate.test, left=n.Load(left.name, tuple(where[index] for index in left.indices)))
        return n.Select(test, _chosen(gate.then, where, value), _chosen(gate.otherwise, where, value))
    return value if gate == _ONE else gate
