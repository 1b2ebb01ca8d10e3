"""What p is chosen for: (w' + p) v^c = w' v', row by row of its table, and under the sum of the read-out.

A row with a value solves it by that; one that is chosen is solved by every p; one that is undefined by none, where the
weight is not 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fcsym.certificates.printer import Printer, identifier
from fcsym.certificates.statement import Statement
from fcsym.certificates.theorem import Theorem
from fcsym.language.decision import decide
from fcsym.language.equation import Cases, Equation, Rule, Status
from fcsym.language.expression import ZERO, Expr, Ref
from fcsym.networks.symbols import (
    effective,
    frozen_activation,
    gram_of,
    increment_of,
    inverse_gram_of,
    lacking,
    multiplier,
    p_of,
)

__all__ = ["DECIDED", "Choice", "common_identity"]

DECIDED = "first [assumption | lra | congruence]"
_AGAINST = "match goal with H : _ <> 0 |- _ => apply H; lra end"
_NOT_ZERO = f"first [assumption | intro; first [lra | {_AGAINST}]]"
_SIDE = f"try (repeat split; {_NOT_ZERO})"


@dataclass(frozen=True, slots=True)
class Choice:
    """A table of choices: (base + p) c = w v, for one output and one unit."""

    printer: Printer
    e: Equation
    w: Expr  # the weight of the read-out after the step
    base: Expr  # what p is added to: the weight, and what was chosen before
    v: Expr  # what the unit gives
    c: Expr  # what it gives in the frozen network
    opened: str  # what these are made of, looked into until nothing but s is left
    first: str = ""  # what is put in before a value is compared

    @property
    def name(self) -> str:
        """p, or what else is chosen."""
        return self.printer.array(self.e.array)

    @property
    def at(self) -> str:
        """k j."""
        assert isinstance(self.e.lhs, Ref)
        return self.printer.indices(self.e.lhs.indices)

    def _solved_by(self, value: str, sign: str = "=") -> str:
        w, v, base, c = (self.printer.term(part) for part in (self.w, self.v, self.base, self.c))
        return f"{w} * {v} {sign} {value if self.base == ZERO else f'({base} + {value})'} * {c}"

    def theorems(self) -> Iterator[Theorem]:
        """The rows, the table as a function, and that it solves the equation wherever it is defined."""
        assert isinstance(self.e.rhs, Cases)
        printer, name, at = self.printer, self.name, self.at
        yield from self.rows()
        undefined = [row for row in self.e.rhs if row.value is None]
        said = " /\\ ".join("~ (" + " /\\ ".join(map(printer.condition, row.when)) + ")" for row in undefined) or "True"
        tree = printer.tree(decide(self.e.rhs.branches))
        yield Theorem(name, f"Definition {name} ({at} : nat) : R := {tree}.", "")
        yield Theorem("", f"Definition {name}_defined ({at} : nat) : Prop := {said}.", "")
        rows = [f"(apply {name}_case_{n}; {DECIDED})" for n, row in enumerate(self.e.rhs, 1) if row.value is not None]
        script = (
            f"unfold {name}, {name}_defined; intros {at} U_; decisions; first [{' | '.join([*rows, 'undefined'])}]."
        )
        yield Theorem(
            f"{name}_solves", f"forall ({at} : nat), {name}_defined {at} -> {self._solved_by(f'{name} {at}')}", script,
            (self.e.name, None), self.e.rule.value,
        )  # fmt: skip

    def rows(self) -> Iterator[Theorem]:
        """What is solved on each row: by its value, by any, by none; of an integral, the rows where none is taken."""
        assert isinstance(self.e.rhs, Cases)
        printer = self.printer
        w, v, c = (printer.term(part) for part in (self.w, self.v, self.c))
        every = f"forall ({self.at} : nat)"
        solve = f"unfold {self.opened} in *; decisions" if self.opened else "decisions"
        zero = f"assert (E_ : {c} = 0) by ({solve}; lra)"
        for n, row in enumerate(self.e.rhs, 1):
            when = "".join(f"{printer.condition(condition)} -> " for condition in row.when)
            if row.value is None:
                stated = f"{every} (q : R), {when}{w} <> 0 -> {self._solved_by('q', '<>')}"
                script = (
                    f"intros; {zero}; assert (V_ : {v} <> 0) by ({solve}; {_NOT_ZERO}); "
                    f"rewrite E_; intro F_; rewrite Rmult_0_r in F_; apply Rmult_integral in F_; tauto."
                )
                said = f"{row.name}: no p exists"
            elif row.status is Status.CHOSEN:
                stated = f"{every} (q : R), {when}{self._solved_by('q')}"
                script = f"intros; {zero}; assert (V_ : {v} = 0) by ({solve}; lra); rewrite E_, V_; ring."
                said = f"{row.name}: every p solves it"
            elif self.e.rule is Rule.INTEGRAL:
                continue
            else:
                stated = f"{every}, {when}{self._solved_by(f'({printer.term(row.value)})')}"
                script, said = f"intros; {self.first}{solve}; field; {_SIDE}.", row.name
            yield Theorem(f"{self.name}_case_{n}", stated, script, (self.e.name, row.name), said)

    def under_sum(self, e: Equation, opened: str, between: Sequence[str]) -> Theorem:
        """What the read-out gives: the sum over the units of what each of them solves."""
        assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr) and isinstance(self.e.lhs, Ref)
        printer, name = self.printer, self.name
        k, *units = self.e.lhs.indices
        at_k, at_j = printer.index(k), printer.indices(units)
        w, v, base, c = (printer.term(part) for part in (self.w, self.v, self.base, self.c))
        whole = f"({base} + {name} {self.at})"
        if between:
            whole = f"{between[0]} {self.at}"
        looked = f"unfold {between[0]}; " if between else ""
        bounds = [f"B{n}_" for n, _ in enumerate(units)]
        every = [(printer.width(j.axis), printer.index(j)) for j in units]

        def summed(body: str) -> str:
            for width, j in reversed(every):
                body = f"sum {width} (fun {j} => {body})"
            return body

        by = "".join(f"apply sum_ext; intros {j} {bound}; " for (_, j), bound in zip(every, bounds, strict=True))
        script = (
            f"intros {at_k} U_; unfold {opened}; assert (E_ : {summed(f'{w} * {v}')} = {summed(f'{whole} * {c}')}) by "
            f"({by}{looked}apply {name}_solves, U_; assumption); rewrite E_; first [reflexivity | sums]."
        )
        within = "".join(f"({j} < {width})%nat -> " for width, j in every)
        return Theorem(
            identifier(e.label) if e.label else f"eq_{printer.array(e.array)}",
            f"forall ({at_k} : nat), (forall ({at_j} : nat), {within}{name}_defined {self.at}) ->\n  "
            f"{printer.term(e.lhs)} = {printer.term(e.rhs)}",
            script, (e.name, None), "the frozen network gives what backpropagation gives",
        )  # fmt: skip


def common_identity(statement: Statement, printer: Printer, e: Equation) -> Iterator[Theorem]:
    """One p for all samples: K times its inverse is 1, so that the frozen network makes up for what p has to."""
    assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
    network = statement.network
    y = e.lhs.array
    opened = f"{printer.array(y)}, {printer.array(y.unprimed)}_of"
    n, k = (printer.index(i) for i in e.lhs.indices)
    first, *axes = network.hidden[-1].v.axes
    samples = printer.width(first)
    letters = [f"j{a}_" for a, _ in enumerate(axes)]
    j = " ".join(letters)

    def over_units(body: str) -> str:
        for axis, letter in reversed(list(zip(axes, letters, strict=True))):
            body = f"sum {printer.width(axis)} (fun {letter} => {body})"
        return body

    v, dv = network.hidden[-1].v, increment_of(network.hidden[-1].v)
    vc = frozen_activation(v)
    names = (gram_of(vc), inverse_gram_of(vc), lacking(network.logits), multiplier(network.logits))
    gram, inverse, lack, mu = map(printer.array, names)
    c, r, p = printer.array(vc), printer.array(effective(network.read_out)), printer.array(p_of(network.read_out))
    yield Theorem(
        "p_solves",
        f"forall ({n} {k} : nat), ({n} < {samples})%nat -> "
        f"{over_units(f'{p} {k} {j} * {c} {n} {j}')} = {lack} {n} {k}",
        f"intros {n} {k} B_; transitivity (sum {samples} (fun m => {gram} {n} m * {mu} m {k})); "
        f"[unfold {p}, {gram}; sums | unfold {mu}; rewrite sum_exchange; rewrite (sum_ext {samples} _ "
        f"(fun l => kron l {n} * {lack} l {k})); [rewrite sum_kron by assumption; reflexivity "
        f"| intros l L_; rewrite {inverse}_inverse by assumption; reflexivity]].",
        None, "one p for all samples",
    )  # fmt: skip
    m, d = "m_", f"(fun {j} => q {j} - {p} {k} {j})"
    none = over_units(f"{d} {j} * {c} {m} {j}")
    squares = over_units(f"{d} {j} ^ 2")
    kind = "nat -> " * len(axes) + "R"
    yield Theorem(
        "p_is_shortest",
        f"forall ({k} : nat) (q : {kind}), (forall {n}, ({n} < {samples})%nat -> "
        f"{over_units(f'q {j} * {c} {n} {j}')} = {lack} {n} {k}) ->\n  "
        f"{over_units(f'{p} {k} {j} ^ 2')} <= {over_units(f'q {j} ^ 2')}",
        f"intros {k} q Q_; assert (D_ : forall d : {kind}, {over_units(f'{p} {k} {j} * d {j}')} = "
        f"sum {samples} (fun {m} => {mu} {m} {k} * {over_units(f'd {j} * {c} {m} {j}')})) "
        f"by (intros; unfold {p}; sums); specialize (D_ {d}); "
        f"rewrite (sum_ext {samples} _ (fun _ => 0)), sum_zero in D_; "
        f"[assert (S_ : 0 <= {squares}) by at_least; "
        f"assert (E_ : {over_units(f'q {j} ^ 2')} = {over_units(f'{p} {k} {j} ^ 2')} + "
        f"2 * {over_units(f'{p} {k} {j} * {d} {j}')} + {squares}) "
        f"by (cbv beta; sums); "
        f"cbv beta in *; lra "
        f"| intros {m} B_; cbv beta; assert (N_ : {none} = 0) by (cbv beta; transitivity "
        f"({over_units(f'q {j} * {c} {m} {j}')} - {over_units(f'{p} {k} {j} * {c} {m} {j}')}); "
        f"[sums | rewrite Q_, p_solves by assumption; ring]); cbv beta in N_; rewrite N_; ring].",
        None, "and no p that does is shorter",
    )  # fmt: skip
    yield Theorem(
        "compensation",
        f"forall ({n} {k} : nat), ({n} < {samples})%nat -> {printer.term(e.lhs)} = {printer.term(e.rhs)}",
        f"intros {n} {k} B_; unfold {opened}; apply Rminus_diag_uniq; "
        f"transitivity ({lack} {n} {k} - {over_units(f'{p} {k} {j} * {c} {n} {j}')}); "
        f"[unfold {r}, {lack}, {printer.array(dv)}, {c}; sums | rewrite (p_solves {n} {k} B_); ring].",
        (e.name, None), "the frozen network with the weights r gives what backpropagation gives",
    )  # fmt: skip
