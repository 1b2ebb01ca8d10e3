"""Common subexpressions of an unrolled function, each computed once.

    a = eta * d * x; b = eta * d * z        =>    common1 = eta * d; a = common1 * x; b = common1 * z

A product is multiplied from the left, so its beginnings are subexpressions. Nothing is reordered: every number keeps
its bits. Targets whose compiler does this by itself need no help.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from fcsym.kernel import neutral as n

__all__ = ["shared"]


def shared(function: n.Function) -> n.Function:
    """The same function, with a statement of its own for what occurs more than once."""
    statements = [_changed(statement, _in_pairs) for statement in function.statements]
    uses: Counter[n.Node] = Counter()
    seen: set[n.Node] = set()
    for statement in statements:
        for node in _roots(statement):
            _count(node, uses, seen)
    writer = _Writer({node for node, count in uses.items() if count > 1})
    for statement in statements:
        writer.write(statement)
    return replace(function, statements=tuple(writer.statements))


def _roots(statement: n.Statement) -> list[n.Node]:
    if isinstance(statement, n.Define):
        return [statement.value]
    return [test.left for row in statement.guard for test in row]


def _changed(statement: n.Statement, change: n.Change) -> n.Statement:
    if isinstance(statement, n.Define):
        return replace(statement, value=change(statement.value))
    guard = tuple(tuple(replace(test, left=change(test.left)) for test in row) for row in statement.guard)
    return replace(statement, guard=guard)


def _in_pairs(node: n.Node) -> n.Node:
    """a b c => (a b) c, which is how it is computed."""
    node = n.rebuilt(node, _in_pairs)
    if isinstance(node, n.Product):
        first, *others = node.factors
        for factor in others:
            first = n.Product((first, factor))
        return first
    return node


def _count(node: n.Node, uses: Counter[n.Node], seen: set[n.Node]) -> None:
    """How many places need a node; what is within it is needed once, however often it occurs."""
    if isinstance(node, n.Sum | n.Product | n.Power | n.Call):
        uses[node] += 1
    if node not in seen:
        seen.add(node)
        for part in n.parts(node):
            _count(part, uses, seen)


@dataclass(slots=True)
class _Writer:
    common: set[n.Node]
    statements: list[n.Statement] = field(default_factory=list)
    names: dict[n.Node, str] = field(default_factory=dict)

    def write(self, statement: n.Statement) -> None:
        if isinstance(statement, n.Define) and statement.value in self.common and statement.value not in self.names:
            whole = n.rebuilt(statement.value, self._named)
            self.names[statement.value] = statement.name
            self.statements.append(replace(statement, value=_flat(whole)))
            return
        self.statements.append(_changed(statement, self._named))

    def _named(self, node: n.Node) -> n.Node:
        """The node, with the names of what is common in it; these are defined first."""
        if node not in self.common:
            return _flat(n.rebuilt(node, self._named))
        if node not in self.names:
            value = _flat(n.rebuilt(node, self._named))
            self.names[node] = f"common{1 + sum(name.startswith('common') for name in self.names.values())}"
            self.statements.append(n.Define(self.names[node], (), value))
        return n.Load(self.names[node], ())


def _flat(node: n.Node) -> n.Node:
    """(a b) c => a b c."""
    if isinstance(node, n.Product) and isinstance(node.factors[0], n.Product):
        return n.Product((*node.factors[0].factors, *node.factors[1:]))
    return node
