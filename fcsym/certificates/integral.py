"""The integrated P: at the initial weight it is 0, and its slope is -p/(eta dE/dy v^c), the rest held constant.

How p depends on the weight is said first: `ds_at` is what the last hidden units move by where the weight is u, and a
theorem says that at the weight of the step it is what they moved by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from fcsym.certificates.printer import Printer, number
from fcsym.certificates.statement import Statement
from fcsym.certificates.theorem import Theorem
from fcsym.language.algebra import inline, replaced
from fcsym.language.equation import Branch, Cases, Equation
from fcsym.language.expression import ONE, ZERO, Array, Expr, Ref, add, mul
from fcsym.language.names_of_cases import piece_conditions
from fcsym.networks.symbols import (
    ALPHA,
    ETA,
    adjoint_of,
    frozen_activation,
    gate_of,
    gradient_of,
    increment_of,
    kappa,
    rho,
)

__all__ = ["Integral"]

_U = Array("u", None, ())
"""The weight, as a variable."""


class Integral:
    """The theorems on P."""

    def __init__(self, statement: Statement, printer: Printer, given: Mapping[str, Equation], e: Equation) -> None:
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Cases)
        self.statement, self.printer, self.given, self.e = statement, printer, given, e
        network = statement.network
        self.k, self.j = e.lhs.indices
        self.w = network.read_out
        self.unit = network.hidden[-1]
        self.vc, self.error = frozen_activation(self.unit.v)[self.j], adjoint_of(network.logits)[self.k]
        self.ds, self.delta = increment_of(self.unit.s), adjoint_of(self.unit.s)
        self.of_outputs = rho(self.w) if rho(self.w).name in given else None
        self.from_below = kappa(self.unit.s) if kappa(self.unit.s).name in given else None

    @cached_property
    def _moved(self) -> Expr:
        """What a unit moves by where the weight is u."""
        identity = self.unit.activation.is_identity
        gate = ONE if identity else gate_of(self.unit.s)[self.j]
        weight: Expr = _U[()]
        if self.statement.order == "simultaneous":  # the error passes the old weight, which the step has moved
            weight = add(weight, mul(ETA[()], self.error, self.vc))
        rest = ZERO if self.of_outputs is None else self.of_outputs[self.k, self.j]
        delta = mul(gate, add(mul(weight, self.error), rest))
        if self.from_below is not None:
            return add(self.from_below[self.j], mul(-1, ETA[()], delta, ALPHA[()]))
        moved = self.given[self.ds.name]
        assert isinstance(moved.lhs, Ref) and isinstance(moved.rhs, Expr)
        opened = inline(self.ds[self.j], {self.ds: (moved.lhs.indices, moved.rhs)})
        return inline(opened, {self.delta: ((self.j,), delta)})

    @property
    def _at(self) -> str:
        return self.printer.indices((self.k, self.j))

    def theorems(self, at_zero: Mapping[str, Theorem]) -> Iterator[Theorem]:
        """How p depends on the weight, and each row; `at_zero`: those of rows where nothing is integrated."""
        assert isinstance(self.e.rhs, Cases)
        head = f"({self._at} : nat) (u : R) : R :="
        yield Theorem("", f"Definition ds_at {head} {self.printer.term(self._moved)}.", "")
        yield self._link()
        chosen = self.given["p"].rhs
        assert isinstance(chosen, Cases)
        of_p = {row.name: row for row in chosen}
        for n, row in enumerate(self.e.rhs, 1):
            if row.name in at_zero:
                yield at_zero[row.name]
            elif row.name in of_p:  # the others have a value
                yield Theorem("", f"Definition P_row_{n} {head} {self.printer.term(self._in_weight(row))}.", "")
                yield self._row(n, row, of_p[row.name])

    def _link(self) -> Theorem:
        printer = self.printer
        k, j = printer.index(self.k), printer.index(self.j)
        outputs, w = printer.width(self.k.axis), printer.array(self.w.primed)
        one = self.of_outputs is None
        names: list[str] = []
        helpers = (self.from_below, ALPHA if self.from_below is not None else None, self.of_outputs)
        laws = ", ".join(f"eq_{printer.array(a)}" for a in helpers if a is not None)
        held = f"rewrite {laws}; " if laws else ""
        if self.statement.order == "simultaneous":
            names += [w, printer.array(gradient_of(self.w)), printer.array(self.vc.array)]
        for theta in self.statement.network.feeding(len(self.statement.network.layers) - 1):
            if self.from_below is not None and theta in self.statement.network.trained:
                names += [printer.array(theta.primed), printer.array(gradient_of(theta))]
        names.append(printer.array(self.delta))
        only = f"assert ({k} = 0%nat) as -> by lia; rewrite ?O_; cbn [sum]; " if one else ""
        return Theorem(
            "ds_at_the_step",
            f"forall ({k} {j} : nat), {f'{outputs} = 1%nat -> ' if one else ''}({k} < {outputs})%nat -> "
            f"ds_at {k} {j} ({w} {k} {j}) = {printer.array(self.ds)} {j}",
            f"intros {k} {j} {'O_ ' if one else ''}B_; rewrite eq_{printer.array(self.ds)}; unfold ds_at; "
            f"{held}unfold {', '.join(dict.fromkeys(names))}; {only}sums.",
            None, "ds_at is what the unit moved by, at the weight of the step",
        )  # fmt: skip

    def _in_weight(self, row: Branch) -> Expr:
        """The value of a row, with u in the place of the updated weight."""
        assert row.value is not None
        return replaced(row.value, lambda ref: _U[()] if ref == self.w.primed[self.k, self.j] else ref)

    def _row(self, n: int, row: Branch, of_p: Branch) -> Theorem:
        printer = self.printer
        k, j = printer.index(self.k), printer.index(self.j)
        assert of_p.value is not None
        marker = Array("ds_at", None, self.ds.axes)
        p_at = replaced(self._in_weight(of_p), lambda ref: marker[ref.indices] if ref.array == self.ds else ref)
        text = re.sub(rf"\bds_at {j}\b", f"ds_at {k} {j} u", printer.term(p_at))
        error, vc = printer.term(self.error), printer.term(self.vc)
        when = "".join(f"{printer.condition(c)} -> " for c in row.when)
        stated = (
            f"forall ({k} {j} : nat), {when}{printer.array(ETA)} <> 0 -> {error} <> 0 -> {vc} <> 0 ->\n  "
            f"P_row_{n} {k} {j} ({printer.array(self.w)} {k} {j}) = 0 /\\ "
            f"forall u, derivable_pt_lim (P_row_{n} {k} {j}) u "
            f"(- ({text}) / ({printer.array(ETA)} * {error} * {vc}))"
        )
        script = (
            f"intros; {self._gate(row, j)}split; [unfold P_row_{n}, Rdiv; ring | intro u; eapply derivative_eq; "
            f"[unfold P_row_{n}; derive fail | unfold ds_at{'; rewrite ?G_' if self._gate(row, j) else ''}; "
            f"cbn [INR Nat.pred]; field; repeat split; assumption]]."
        )
        return Theorem(f"P_case_{n}", stated, script, (self.e.name, row.name), row.name)

    def _gate(self, row: Branch, j: str) -> str:
        """That the gate is the slope of the piece, where P has that number in its place."""
        phi, s = self.unit.activation, self.unit.s
        if phi.is_identity:
            return ""
        on = [a for a in range(len(phi.pieces)) if set(piece_conditions(phi, a, s[self.j])) <= set(row.when)]
        slope = phi.gate_on(on[0]) if len(on) == 1 else None
        if slope is None:
            return ""
        printer = self.printer
        gate, v = printer.array(gate_of(s)), printer.array(self.unit.v)
        name = printer.function(phi)
        opened = f"{printer.array(self.vc.array)}, {v}, {v}_of, phi_{name}"
        return (
            f"assert (G_ : {gate} {j} = {number(slope)}) by (unfold {gate}, slope_{name}; decisions; "
            f"first [lra | exfalso; unfold {opened} in *; decisions; lra]); "
        )
