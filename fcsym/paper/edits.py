"""Small changes of a printed claim, made mechanically: a sign, a factor, an exponent, a prime, an index, a relation.

They serve twice. As corrections of a refuted claim they are tried from the smallest on, until one is proved; as false
transcriptions of a true one they show that the audit can tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from fcsym.paper.formula import Claim, Condition, Node, S, nodes, num

__all__ = ["Edit", "corrections", "pairs", "slips"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A claim that differs from the printed one in one place, or in one way throughout."""

    cost: int  # the smaller the likelier as a misprint
    kind: str  # sign, factor, exponent, prime, index, relation
    claim: Claim


_PARTNERS: dict[str, tuple[str, ...]] = {
    "w1": ("w2", "w3"), "w2": ("w1", "w4"), "w3": ("w4", "w1"), "w4": ("w3", "w2"), "w5": ("w6",), "w6": ("w5",),
    "x1": ("x2",), "x2": ("x1",), "s1": ("s2",), "s2": ("s1",), "v1": ("v2",), "v2": ("v1",), "v1c": ("v2c",),
    "v2c": ("v1c",), "S1": ("S2",), "S2": ("S1",), "p": ("q",), "q": ("p",), "dv1": ("dv2",), "dv2": ("dv1",),
    "dw1": ("dw2",), "dw2": ("dw1",), "w5n": ("w6n",), "w6n": ("w5n",),
    "dEdw1": ("dEdw2",), "dEdw2": ("dEdw1",), "dEdw3": ("dEdw4",), "dEdw4": ("dEdw3",),
}  # fmt: skip
_PRIMED = {"w1", "w2", "w3", "w4", "w5", "w6", "s1", "s2", "v1", "v2", "S1", "S2", "y", "e"}
_FLIPPED = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_COST = {"relation": 1, "prime": 1, "sign": 1, "index": 2, "exponent": 2, "factor": 2}

Variant = tuple[str, Node]


def slips(claim: Claim) -> Iterator[Edit]:
    """Every claim that differs from this one by one slip of the pen, in either side or in a condition."""
    yield from _in_claim(claim, _slip)


def _in_claim(claim: Claim, local: Callable[[Node], Iterable[Variant]]) -> Iterator[Edit]:
    for n, condition in enumerate(claim.when):
        for kind, changed in _in_condition(condition, local):
            when = (*claim.when[:n], changed, *claim.when[n + 1 :])
            yield Edit(_COST[kind], kind, replace(claim, when=when))
    for kind, node in _variants(claim.left, local):
        yield Edit(_COST[kind], kind, replace(claim, left=node))
    for kind, node in _variants(claim.right, local):
        yield Edit(_COST[kind], kind, replace(claim, right=node))


def _in_condition(condition: Condition, local: Callable[[Node], Iterable[Variant]]) -> Iterator[tuple[str, Condition]]:
    if condition.relation in _FLIPPED:
        yield "relation", replace(condition, relation=_FLIPPED[condition.relation])
    for kind, node in _variants(condition.left, local):
        yield kind, replace(condition, left=node)


def _variants(node: Node, local: Callable[[Node], Iterable[Variant]]) -> Iterator[Variant]:
    """The node with one change in it or below it."""
    yield from local(node)
    if node.head == "other":
        return
    for n, child in enumerate(node.args):
        for kind, changed in _variants(child, local):
            yield kind, replace(node, args=(*node.args[:n], changed, *node.args[n + 1 :]))
    for n, condition in enumerate(node.when):
        for kind, different in _in_condition(condition, local):
            yield kind, replace(node, when=(*node.when[:n], different, *node.when[n + 1 :]))


def _slip(node: Node) -> Iterator[Variant]:
    match node.head:
        case "sym":
            for partner in _PARTNERS.get(node.name, ()):
                yield "index", replace(node, name=partner)
            if node.name in _PRIMED:
                yield "prime", node.prime()
                if node.primes:
                    yield "prime", node.prime(-1)
        case "+":
            for n, child in enumerate(node.args):
                yield "sign", replace(node, args=(*node.args[:n], _negated(child), *node.args[n + 1 :]))
        case "neg":
            yield "sign", node.args[0]
        case "*":
            for n in range(len(node.args)):
                rest = (*node.args[:n], *node.args[n + 1 :])
                yield "factor", rest[0] if len(rest) == 1 else replace(node, args=rest)
        case "^":
            yield "exponent", replace(node, value=node.value + 1)
            yield "exponent", node.args[0] if node.value == 2 else replace(node, value=node.value - 1)
        case "num" if node.value > 1:
            yield "factor", num(node.value + 1)
            yield "factor", num(node.value - 1)


def _negated(node: Node) -> Node:
    return node.args[0] if node.head == "neg" else Node("neg", (node,))


# -------------------------------------------------------------------------------------------------- corrections


def corrections(claim: Claim) -> list[Edit]:
    """Changes that may put a refuted claim right, the smallest first."""
    found = list(slips(claim))
    found += _everywhere(claim)
    found += _marks(claim)
    scaled = [("factor", factor) for factor in _palette(claim)]
    found += [Edit(3 + _size(factor), kind, changed) for kind, factor in scaled for changed in _scaled(claim, factor)]
    return sorted(found, key=lambda edit: edit.cost)


def pairs(claim: Claim) -> Iterator[Edit]:
    """Two changes at once: divisions of two different terms by an input."""
    inputs = [S("x1") ** -1, S("x2") ** -1]
    for first in _scaled(claim, inputs[0]):
        for changed in _scaled(first, inputs[1]):
            yield Edit(8, "factor", changed)


def _size(factor: Node) -> int:
    return sum(1 for node in nodes(factor) if node.head in ("sym", "neg", "^"))


def _everywhere(claim: Claim) -> Iterator[Edit]:
    """A prime on every weight of the last layer, on every activation, or on both."""
    for names in (("w5", "w6"), ("v1", "v2"), ("w5", "w6", "v1", "v2")):

        def primed(node: Node, names: tuple[str, ...] = names) -> Node:
            if node.head == "sym" and node.name in names:
                return node.prime()
            return replace(node, args=tuple(map(primed, node.args)))

        # the left side alone may need another prime than the right side
        for on_left in (names, ()):
            left = primed(claim.left) if on_left else claim.left
            yield Edit(2 + len(names), "prime", Claim(left, primed(claim.right), claim.when))
    left = _replaced(claim.left, ("w5", "w6", "v1", "v2"))
    yield Edit(6, "prime", Claim(left, _replaced(claim.right, ("w5", "w6")), claim.when))


def _replaced(node: Node, names: tuple[str, ...]) -> Node:
    if node.head == "sym" and node.name in names:
        return node.prime()
    return replace(node, args=tuple(_replaced(child, names) for child in node.args))


def _marks(claim: Claim) -> Iterator[Edit]:
    """Another input for one symbol, among the inputs that the claim mentions."""
    marks = dict.fromkeys(n.mark for side in (claim.left, claim.right) for n in nodes(side) if n.head == "sym")

    def local(node: Node) -> Iterator[Variant]:
        if node.head == "sym" and node.name in {*_PRIMED, "x1", "x2"}:
            for mark in marks:
                if mark != node.mark:
                    yield "index", node.at(mark)

    if len(marks) > 1:
        yield from _in_claim(claim, local)


def _palette(claim: Claim) -> Iterator[Node]:
    """Factors that may be missing: -1, the step size, the claim's own symbols and their inverses, w_5' and w_6'."""
    found = [n for side in (claim.left, claim.right) for n in nodes(side) if n.head == "sym" and not n.mark]
    letters = dict.fromkeys([S("eta"), *found, S("w5", 1), S("w6", 1)])
    for letter in letters:
        for factor in (letter, letter**-1):
            yield factor
            yield -factor


def _scaled(claim: Claim, factor: Node) -> Iterator[Claim]:
    """The claim with one term, or every sum over the steps, multiplied by the factor."""

    def local(node: Node) -> Iterator[Variant]:
        if node.head == "+":
            for n, child in enumerate(node.args):
                yield "factor", replace(node, args=(*node.args[:n], times(child, factor), *node.args[n + 1 :]))

    for _, changed in _variants(claim.right, local):
        yield replace(claim, right=changed)
    if claim.right.head != "+":
        yield replace(claim, right=times(claim.right, factor))
    if any(node.head == "sum" for node in nodes(claim.right)):
        yield replace(claim, right=_scale_series(claim.right, factor))


def _scale_series(node: Node, factor: Node) -> Node:
    if node.head == "sum":
        return times(node, factor)
    return replace(node, args=tuple(_scale_series(child, factor) for child in node.args))


def times(node: Node, factor: Node) -> Node:
    """node * factor, with the sign in front and an inverse as a denominator."""
    negative = (node.head == "neg") is not (factor.head == "neg")
    bare = node.args[0] if node.head == "neg" else node
    by = factor.args[0] if factor.head == "neg" else factor
    if by.head == "^" and by.value == -1:
        result = bare / by.args[0]
    elif bare.head == "*":
        result = Node("*", (by, *bare.args))
    elif bare == num(1):
        result = by
    else:
        result = by * bare
    return -result if negative else result
