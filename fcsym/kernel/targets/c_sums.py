"""Sums with indicators, and sums over several indices, in C: what an indicator fixes is no loop.

sum(k, u: W[k] [u = 2t + k - 1] v[u])    =>    int k_from = ..., k_to = ...;      where 2t + k - 1 is on the axis of u
                                               for (int k = k_from; k < k_to; k++) {
                                                   const int u = 2 * t + k - 1;
                                                   sum1 += W[k] * v[u];
                                               }

That a fixed position is on its axis is asked of the range of the innermost loop that moves it, and not of every term.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Protocol

from fcsym.kernel import neutral as n
from fcsym.kernel.targets.c_memory import Amount
from fcsym.kernel.targets.c_products import reduces
from fcsym.kernel.windows import free_in
from fcsym.language.expression import Axis, Index, IndexForm

__all__ = ["close", "ends", "letters", "loops", "nested_extreme", "nested_sum", "on_axis"]

_PRODUCT = 1  # how tightly the operator of a product binds


class Printer(Protocol):
    """What prints the statements of a function, as far as these sums need it."""

    module: n.Module
    lanes: bool
    depth: int
    numbers: count[int]

    def line(self, text: str) -> None: ...
    def open(self, indices: tuple[Index, ...], names: Mapping[Index, str] | None = None) -> None: ...
    def amount(self, axes: tuple[Axis, ...]) -> Amount: ...
    def element(self, name: str, indices: tuple[Index, ...], where: Mapping[Index, str]) -> str: ...
    def text(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str]) -> tuple[str, int]: ...
    def letter(self, index: Index) -> str: ...
    def size(self, axes: tuple[Axis, ...]) -> str: ...
    def sum(self, reduce: n.Reduce, own: str, where: Mapping[Index, str]) -> None: ...
    def extreme(self, node: n.Extreme, own: str, where: Mapping[Index, str]) -> None: ...
    def at(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str], level: int) -> str: ...
    def choice(self, test: str, then: str, otherwise: str) -> str: ...


def nested_sum(to: Printer, reduce: n.Reduce, own: str, where: Mapping[Index, str]) -> None:
    """The sum over several indices, or of terms with sums or indicators in them, as a variable."""
    indicators, body = n.without_indicators(reduce.body)
    inner = letters(to, reduce.over, where)
    fixed, others = _fixed(indicators, reduce.over)
    zero = "all((real)0.0)" if to.lanes else "(real)0.0"
    to.line(f"{'vec' if to.lanes else 'real'} {own} = {zero};")
    depth = to.depth
    read = {*free_in(body), *(index for one in others for index in one.indices)}  # gcc warns of what nothing reads
    loops(to, tuple(index for index in reduce.over if index not in fixed), fixed, inner, read)
    if tests := [f"{inner[one.index]} == {one.form.spelt(' * ', inner)}" for one in others]:
        to.line(f"if ({' && '.join(tests)}) {{")
        to.depth += 1
    known = _sums_in(to, body, inner)
    term = to.at(body, inner, known, _PRODUCT)
    to.line(f"{own} += {f'all({term})' if to.lanes and isinstance(body, n.Const) else term};")
    close(to, depth)


def nested_extreme(to: Printer, node: n.Extreme, own: str, where: Mapping[Index, str]) -> None:
    """The least or greatest term over several indices, or of terms with sums in them, as a variable."""
    (body,) = node.terms
    inner, depth, kind = letters(to, node.over, where), to.depth, "vec" if to.lanes else "real"
    to.line(f"{kind} {own} = {'all((real)0.0)' if to.lanes else '(real)0.0'};")
    to.line(f"int {own}_none = 1; /* nothing is compared with yet */")
    loops(to, node.over, {}, inner)
    known = _sums_in(to, body, inner)
    to.line(f"const {kind} next = {to.text(body, inner, known)[0]};")
    test = f"next {'<' if node.kind == 'min' else '>'} {own}"
    to.line(f"{own} = {own}_none ? next : {to.choice(f'(mask)({test})' if to.lanes else test, 'next', own)};")
    to.line(f"{own}_none = 0;")
    close(to, depth)


def letters(to: Printer, over: Sequence[Index], where: Mapping[Index, str]) -> dict[Index, str]:
    """What the indices are called, none of them like another."""
    inner = dict(where)
    for index in over:
        letter = to.letter(index)
        while letter in inner.values():
            letter += "_"
        inner[index] = letter
    return inner


def _fixed(
    indicators: Sequence[n.Indicator], over: Sequence[Index]
) -> tuple[dict[Index, IndexForm], list[n.Indicator]]:
    """Which indices the indicators fix, and at what; and the indicators that are tests."""
    fixed: dict[Index, IndexForm] = {}
    others = []
    for one in indicators:
        used = {index for form in fixed.values() for index, _ in form.terms}
        for index, form in one.fixes(over):
            if not index.axis.open and index not in {*fixed, *used} and fixed.keys().isdisjoint(one.indices):
                fixed[index] = form
                break
        else:
            others.append(one)
    return fixed, others


def loops(
    to: Printer, over: Sequence[Index], fixed: Mapping[Index, IndexForm], inner: Mapping[Index, str],
    read: Collection[Index] | None = None,
) -> None:  # fmt: skip
    """Loops over indices, in ranges where those that are fixed are on their axes, and what these are, where read."""
    if fixed:  # a block, for names that another sum of the same statement may have, too
        to.line("{")
        to.depth += 1
    _name_fixed(to, [index for index, form in fixed.items() if _last(form, over) < 0], fixed, inner, read, tested=True)
    for k, index in enumerate(over):
        letter, size = inner[index], to.size((index.axis,))
        moved = [other for other, form in fixed.items() if _last(form, over) == k]
        ranges = [text for other in moved for text in _range(to, other, fixed[other], index, inner)]
        if ranges:
            to.line(f"int {letter}_from = 0, {letter}_to = {size};")
            for text in ranges:
                to.line(text)
        start, end = (f"{letter}_from", f"{letter}_to") if ranges else ("0", size)
        to.line(f"for (int {letter} = {start}; {letter} < {end}; {letter}++) {{")
        to.depth += 1
        _name_fixed(to, moved, fixed, inner, read)


def _last(form: IndexForm, over: Sequence[Index]) -> int:
    """The innermost loop that moves a form; -1 where none does."""
    return max((over.index(index) for index, _ in form.terms if index in over), default=-1)


def _name_fixed(
    to: Printer, which: Sequence[Index], fixed: Mapping[Index, IndexForm], inner: Mapping[Index, str],
    read: Collection[Index] | None, tested: bool = False,
) -> None:  # fmt: skip
    for index in which:
        letter = inner[index]
        test = on_axis(to.module.sizes, index, fixed[index], letter) if tested else ""
        if test or read is None or index in read:
            to.line(f"const int {letter} = {fixed[index].spelt(' * ', inner)};")
        if test:
            to.line(f"if ({test}) {{")
            to.depth += 1


def ends(form: IndexForm, sizes: Mapping[Axis, int]) -> tuple[int, int] | None:
    """The least and the greatest value of a form; None where the length of an axis is open."""
    if any(index.axis not in sizes for index, _ in form.terms):
        return None
    far = [c * (sizes[index.axis] - 1) for index, c in form.terms]
    return form.constant + sum(c for c in far if c < 0), form.constant + sum(c for c in far if c > 0)


def on_axis(sizes: Mapping[Axis, int], index: Index, form: IndexForm, letter: str) -> str:
    """The test whether a position is on its axis; nothing where it always is."""
    low, high = ends(form, sizes) or (-1, sizes[index.axis])
    tests = [f"{letter} >= 0"] * (low < 0) + [f"{letter} < {sizes[index.axis]}"] * (high >= sizes[index.axis])
    return " && ".join(tests)


def _range(to: Printer, other: Index, form: IndexForm, index: Index, inner: Mapping[Index, str]) -> list[str]:
    """Lines that narrow the range of an index to where a form that it moves is on the axis of another."""
    size, letter = to.module.sizes[other.axis], inner[index]
    least, greatest = ends(form, to.module.sizes) or (-1, size)
    if least >= 0 and greatest < size:
        return []
    step = dict(form.terms)[index]
    at, size_of = f"{letter}_at_{inner[other]}", abs(step)
    ahead, behind = size_of - 1, size + size_of - 1
    if step > 0:  # rounded up; what is negative before it is divided leaves the end of the range as it is
        low, high, too_low, too_high = f"{ahead} - {at}", f"{behind} - {at}", least < 0, greatest >= size
    else:
        low, high = f"{at} - {size - size_of}", f"{at} + {size_of}"
        too_low, too_high = greatest >= size, least < 0
    if size_of > 1:
        low, high = f"({low}) / {size_of}", f"({high}) / {size_of}"
    lines = [f"const int {at} = {(form - step * index).spelt(' * ', inner)};"]
    if too_low:
        lines.append(f"{letter}_from = {low} > {letter}_from ? {low} : {letter}_from;")
    if too_high:
        lines.append(f"{letter}_to = {high} < {letter}_to ? {high} : {letter}_to;")
    return lines


def _sums_in(to: Printer, body: n.Node, inner: Mapping[Index, str]) -> dict[n.Node, str]:
    known: dict[n.Node, str] = {}
    for node in reduces(body):
        known[node] = f"sum{next(to.numbers)}"
        if isinstance(node, n.Extreme):
            to.extreme(node, known[node], inner)
        else:
            to.sum(node, known[node], inner)
    return known


def close(to: Printer, depth: int) -> None:
    """The ends of loops, back to a depth."""
    while to.depth > depth:
        to.depth -= 1
        to.line("}")
