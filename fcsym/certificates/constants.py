"""Constants of a scheme that are inverses of each other: what is carried is W B, and W comes back as (W B) C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property

from fcsym.certificates.printer import Printer, number
from fcsym.certificates.theorem import Theorem
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Ref
from fcsym.schemes.record import Matrix, SchemeRecord

__all__ = ["Constants"]

NUMBERS = 8
"""Constants of no more rows stand in the file as numbers, with a theorem on their product."""


class Constants:
    """Those of one scheme: any matrices with B C = 1, at any width, and the numbers at that of the network."""

    def __init__(self, scheme: SchemeRecord, printer: Printer, meant: Mapping[Array, Equation]) -> None:
        """`meant`: what arrays of the state are by definition."""
        self.scheme, self.printer, self.meant, self.values = scheme, printer, meant, scheme.constants

    @cached_property
    def pairs(self) -> list[tuple[Array, Array]]:
        """Constants in which something is carried, and those by which weights are given back."""
        within = {a for e in self.meant.values() for a in e.operands}
        back = {a for e in self.scheme.expand.equations for a in e.operands}
        return [
            (left, right) for left in self.values for right in self.values
            if left in within and right in back and left.axes == right.axes[::-1]
            and _is_inverse(self.values[left], self.values[right])
        ]  # fmt: skip

    def theorems(self) -> Iterator[Theorem]:
        """B C = 1 as what is assumed of any, and as a theorem of the numbers, where these are few."""
        printer = self.printer
        for left, right in self.pairs:
            b, c = printer.array(left), printer.array(right)
            size = len(self.values[left])
            if size <= NUMBERS:
                for name, array in ((b, left), (c, right)):
                    yield Theorem("", _numbers(f"{name}_here", self.values[array]), "")
                entry = f"unfold kron, {b}_here, {c}_here; simpl; lra"
                columns = f"do {size} (destruct j as [|j]; [intros; {entry} |]); intros; lia"
                yield Theorem(
                    f"{b}_{c}_here", _product(f"{b}_here", f"{c}_here", str(size), str(size)),
                    f"intros i j; do {size} (destruct i as [|i]; [{columns} |]); intros; lia.",
                    None, "the constants at this width",
                )  # fmt: skip
            assumed = _product(b, c, *(printer.width(axis) for axis in left.axes))
            yield Theorem("", f"Hypothesis {b}_{c} : {assumed}.", "", None, f"{b} and {c}, at any width")

    def give_back(self, e: Equation) -> bool:
        """Whether an equation undoes what something is carried in."""
        return any(right in e.operands for _, right in self.pairs)

    def inverted(self, e: Equation) -> tuple[str, str]:
        """The weights are what is carried times the inverse: bounds, and the proof."""
        assert isinstance(e.lhs, Ref)
        printer, indices = self.printer, e.lhs.indices
        left, right = next((b, c) for b, c in self.pairs if c in e.operands)
        last = next(i for i in indices if i.axis == right.axes[1])
        at = " ".join("l_" if i == last else printer.index(i) for i in indices)
        b, c = printer.array(left), printer.array(right)
        carried = ", ".join(printer.array(a) for a in e.operands if a in self.meant)
        return f"({printer.index(last)} < {printer.width(last.axis)})%nat -> ", (
            f"intros {printer.indices(indices)} B_; etransitivity; [exact (eq_sym (inverse_back _ _ "
            f"(fun l_ => {printer.array(e.array)} {at}) {b} {c} _ {b}_{c} B_)) | unfold {carried}; sums]."
        )


def _product(first: str, second: str, n: str, m: str) -> str:
    """The product of two matrices is 1."""
    inner = f"sum {m} (fun k => {first} i k * {second} k j)"
    return f"forall i j, (i < {n})%nat -> (j < {n})%nat ->\n  {inner} = kron i j"


def _numbers(name: str, rows: Matrix) -> str:
    """A matrix as a function of two natural numbers, 0 outside."""
    entries = "".join(
        f" | {n}%nat, {m}%nat => {number(value)}" for n, row in enumerate(rows) for m, value in enumerate(row) if value
    )
    return f"Definition {name} (i j : nat) : R := match i, j with{entries} | _, _ => 0 end."


def _is_inverse(left: Matrix, right: Matrix) -> bool:
    """Whether left times right is 1; of matrices with few entries in a row, in as few steps."""
    rows = [{n: v for n, v in enumerate(row) if v} for row in left]
    below = [{n: v for n, v in enumerate(row) if v} for row in right]
    for i, row in enumerate(rows):
        made: dict[int, Fraction] = {}
        for n, v in row.items():
            for m, w in below[n].items():
                made[m] = made.get(m, Fraction(0)) + v * w
        if {m: v for m, v in made.items() if v} != {i: Fraction(1)}:
            return False
    return True
