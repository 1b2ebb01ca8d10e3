"""Common subexpressions of closed forms, each computed once, and nothing computed outside of its guard.

    Piecewise((s/v, v > 0), (0, True)), Piecewise((-s/v, v > 0), (1, True))        =>        s/v stays where it is

`sympy.cse` takes the quotient out of its row, where v may be 0: the values stay right, but a program that computes it
divides by 0. This one has the same arguments and results, and can be given to `sympy.lambdify(..., cse=cse)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sympy
from sympy.core.relational import Relational

from fcsym.language.piecewise import never_zero, with_parts

__all__ = ["cse"]


def cse(exprs: Any, symbols: Iterator[Any] | None = None, **_: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """One expression, or a list => [(symbol, what it stands for), ...] in order, and the rest in these symbols.

    What divides by something that may be 0 is taken out only where it is computed anyway.

    >>> x, y = sympy.symbols("x y", real=True)
    >>> cse([(x + y) ** 2, 1 / (x + y)])
    ([(x0, x + y)], [x0**2, 1/x0])
    """
    single = isinstance(exprs, sympy.Basic)
    roots = [exprs] if single else list(exprs)
    uses: dict[Any, int] = {}
    taken: set[str] = set()
    for root in roots:
        _count(root, uses, taken)
    plain = set(_unguarded(roots))
    total: dict[Any, bool] = {}
    shared = {node for node, n in uses.items() if n > 1 and (node in plain or _total(node, total))}
    names = sympy.numbered_symbols("x", real=True) if symbols is None else symbols
    writer = _Writer(shared, (name for name in names if name.name not in taken))
    rest = [writer.write(root) for root in roots]
    return writer.replacements, rest[0] if single else rest


def _count(node: Any, uses: dict[Any, int], taken: set[str]) -> None:
    """How many places need a node, and the names in use; what is within a node is needed once, wherever it occurs."""
    if not node.args:
        taken.add(getattr(node, "name", ""))
        return
    if isinstance(node, sympy.Expr):
        uses[node] = uses.get(node, 0) + 1
        if uses[node] > 1:
            return
    for part in node.args:
        _count(part, uses, taken)


def _unguarded(roots: Iterable[Any]) -> Iterator[Any]:
    """Every node that is computed whatever holds: of a Piecewise, its first condition."""
    seen: set[Any] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            yield node
            stack += [node.args[0].cond] if isinstance(node, sympy.Piecewise) else node.args


def _total(node: Any, known: dict[Any, bool]) -> bool:
    """Whether a node divides by nothing that may be 0."""
    if node not in known:
        divides = isinstance(node, sympy.Pow) and not node.exp.is_nonnegative and not never_zero(node.base)
        known[node] = not divides and all([_total(part, known) for part in node.args])
    return known[node]


class _Writer:
    """The expressions with names in them."""

    def __init__(self, shared: set[Any], names: Iterator[Any]) -> None:
        self.shared, self.names = shared, names
        self.replacements: list[tuple[Any, Any]] = []
        self.known: dict[Any, Any] = {}

    def write(self, node: Any) -> Any:
        """The node, with the names of what is shared in it."""
        if not node.args:
            return node
        if node not in self.known:
            made = self._rebuilt(node)
            if node in self.shared:
                name = next(self.names)
                self.replacements.append((name, made))
                made = name
            self.known[node] = made
        return self.known[node]

    def _rebuilt(self, node: Any) -> Any:
        if isinstance(node, Relational):
            return with_parts(node, self.write)
        parts = [self.write(part) for part in node.args]
        return node if all(a is b for a, b in zip(parts, node.args, strict=True)) else node.func(*parts)
