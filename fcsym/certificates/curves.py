"""That the error passed back is a derivative, in any network: along curves of all parameters at once, off the kinks.

Each forward quantity becomes a curve, to which anything may be added. What E changes by is then

    dE/dt = sum of dE/dtheta dtheta/dt over the parameters + sum of adj_q (what is added to q)/dt over all quantities q

Each quantity's change is linear in those of what it is made of, and each such share is counted at both ends: where it
leaves from, under the adjoint, and where it arrives. No proof looks further than one equation, whatever the network is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from fcsym.certificates.adjoints import Adjoints, Share
from fcsym.certificates.terms import parts
from fcsym.certificates.theorem import Theorem
from fcsym.language.equation import Equation
from fcsym.language.expression import (
    Array,
    Axis,
    Expr,
    Index,
    Pow,
    Ref,
    applied_in,
    mul,
)
from fcsym.networks.symbols import adjoint_of, gradient_of

__all__ = ["Curves"]


class Curves(Adjoints):
    """The theorems on derivatives of one network."""

    def theorems(self) -> Iterator[Theorem]:
        """Each adjoint as what is sent back to it, and that E has these derivatives."""
        yield from self._adjoints()
        if self.statement.order == "simultaneous":
            yield from self._section()
        else:
            for array in [*reversed(self.inner), *self.trained]:
                if self._is_named(array):
                    yield self._alone(array)

    # ------------------------------------------------------------------------------------------------ curves

    def _kinks(self, nodes: Sequence[Equation] | None = None) -> list[tuple[str, str]]:
        """(name, premise) for each kink, and for what must be above 0 and is not known to be."""
        found = []
        for e in self.nodes if nodes is None else nodes:
            assert isinstance(e.rhs, Expr)
            for apply in applied_in(e.rhs):
                ref, made = apply.argument, self.functions[apply.activation]
                assert isinstance(ref, Ref)
                if made.positive:
                    continue
                for n, away in enumerate(made.away):
                    where = away.format(s=f"({self.printer.term(ref)})" if ref.indices else self.printer.term(ref))
                    found.append((f"K_{self._name(ref.array)}_{n}", f"{self._every(ref.indices)}{where}"))
        return list(dict.fromkeys([*found, *self.signs.premises()]))

    def _slope(self, curve: str, indices: Sequence[Index], slope: str) -> str:
        """For all indices in range, the curve has that derivative."""
        here = self._here(indices)
        return f"{self._every(indices)}derivable_pt_lim (fun clock => {curve} clock{here}) t0 ({slope}{here})"

    def _section(self) -> Iterator[Theorem]:
        parameters = [(self._name(a), self.printer.type(a), self._letters(a)) for a in self.trained]
        values = [(self._name(a), self.printer.type(a), self._letters(a)) for a in self.inner]
        lines = ["(* curves of the parameters, and what is added to each value *)", "Section curves."]
        lines += [f"Variables ({name}_at : R -> {kind}) ({name}_dot : {kind})." for name, kind, _ in parameters]
        lines += [f"Variables ({name}_more : R -> {kind}) ({name}_more_dot : {kind})." for name, kind, _ in values]
        lines.append("Variable t0 : R.")
        for name, _, at in parameters:
            lines.append(f"Hypothesis H_{name} : {self._slope(f'{name}_at', at, f'{name}_dot')}.")
            lines.append(f"Hypothesis S_{name} : {name}_at t0 = {name}.")
        for name, _, at in values:
            lines.append(f"Hypothesis H_{name}_more : {self._slope(f'{name}_more', at, f'{name}_more_dot')}.")
            lines.append(f"Hypothesis S_{name}_more : {self._all(at)}{name}_more t0{self._here(at)} = 0.")
        lines += [f"Hypothesis {name} : {said}." for name, said in self._kinks()]
        yield Theorem("", "\n".join(lines), "")
        for e in self.nodes:
            yield from self._node(e)
        yield from self._counted()
        yield from self._own()
        yield Theorem("", "End curves.", "")

    def _node(self, e: Equation) -> Iterator[Theorem]:
        """One quantity as a curve, its start, and its derivative."""
        name, indices, is_error = self._name(e.array), self._letters(e.array), e.array == self.error
        here, binder = self._here(indices), self._binder(indices)
        operands = [a for a in self.statement.operands(e) if a in self.moving]
        more = "" if is_error else f" + {name}_more clock{here}"
        value = self._made(e, lambda a: f"({self._name(a)}_at clock)" if a in self.moving else self._name(a))
        yield Theorem("", f"Definition {name}_at (clock : R) {binder}: R := {value}{here}{more}.", "")
        changes = [
            self._sum(s.bound, self._product(self._element(f"{self._name(s.ref.array)}_dot", s.ref.indices), s.slope))
            for s in self.shares if s.equation == e
        ]  # fmt: skip
        changes += [] if is_error else [f"{name}_more_dot{here}"]
        yield Theorem("", f"Definition {name}_dot {binder}: R := {' + '.join(changes)}.", "")
        starts = ", ".join(f"?S_{self._name(a)}" for a in operands)
        if not is_error:
            yield Theorem(
                f"S_{name}", f"{name}_at t0 = {name}",
                f"{self._ext(indices)}unfold {name}_at, {name}; rewrite {starts}, S_{name}_more; apply Rplus_0_r.",
            )  # fmt: skip
        assert isinstance(e.rhs, Expr)
        curves = [] if is_error else [(f"{name}_more", f"H_{name}_more", e.array.axes)]
        curves += [(f"{self._name(a)}_at", f"H_{self._name(a)}", a.axes) for a in operands]
        known = self._known([e], curves, starts, [name for name, _ in self._kinks()])
        yield Theorem(
            f"H_{name}", self._slope(f"{name}_at", indices, f"{name}_dot"),
            f"intros; unfold {name}_at, {name}_of; eapply derivative_eq; "
            f"[derive ltac:(idtac; {known}) "
            f"| rewrite {starts}; cbn [INR Nat.pred]; unfold {name}_dot; "
            "first [solve [termwise] | sums | sums_inverse]].",
        )  # fmt: skip

    def _known(
        self, equations: Sequence[Equation], curves: Sequence[tuple[str, str, Sequence[Axis]]], starts: str,
        kinks: Sequence[str],
    ) -> str:  # fmt: skip
        """The tactic for what `derive` does not know: the curves, functions, and what is no 0."""
        premises = (*kinks, *self.signs.known())
        side = " | ".join([*(f"(apply {premise}; assumption)" for premise in premises), "assumption"])
        tries = [
            f"|- derivable_pt_lim (fun clock => {curve} clock{' _' * len(axes)}) _ _ => apply {lemma}; assumption"
            for curve, lemma, axes in curves
        ]
        applied = (a for e in equations for expression in e.expressions for a in applied_in(expression))
        for phi, order in {apply.activation: apply.derivative for apply in applied}.items():
            function = self.printer.function(phi)
            kind, lemma = ("slope", "flat") if order else ("phi", "derivative")
            tries.append(
                f"|- derivable_pt_lim {kind}_{function} _ _ => "
                f"apply {lemma}_{function}; cbv beta; rewrite {starts}; first [{side}]"
            )
        tries.append(f"|- _ <> _ => cbv beta; rewrite {starts}; first [{side}]")
        return f"lazymatch goal with {' | '.join(tries)} end"

    def _alone(self, array: Array) -> Theorem:
        """An adjoint in sequential order: the derivative of what the error is passed back through, by one array."""
        name, indices = self._name(array), self._letters(array)
        own = [s for s in self.shares if s.ref.array == array]
        readers = list(dict.fromkeys(s.equation.array for s in own))
        values = []
        for reader in readers:
            made = self._made(
                self.forward[reader], lambda a: "(move clock)" if a == array else self._name(self._seen(a))
            )
            at = self._letters(reader)
            adjoint = self._element(self._adjoint(reader), at)
            values.append(self._sum(at, f"{adjoint} * {made}{self._here(at)}"))
        equations = [self.forward[reader] for reader in readers]
        kinks = self._kinks(equations)
        kind = self.printer.type(array)
        statement = (
            f"forall (move : R -> {kind}) (move_dot : {kind}) (t0 : R), "
            f"({self._slope('move', indices, 'move_dot')}) -> "
            f"move t0 = {name} -> {''.join(f'({said}) -> ' for _, said in kinks)}\n  "
            f"derivable_pt_lim (fun clock => {' + '.join(values) or '0'}) t0 ({self._against(array, 'move_dot')})"
        )
        changes = " + ".join(self._sum((*s.free, *s.bound), self._shared(s, "move_dot")) for s in own) or "0"
        known = self._known(equations, [("move", "H_", array.axes)], "?S_", [k for k, _ in kinks])
        opened = ", ".join(f"{self._name(reader)}_of" for reader in readers)
        steps, turned = self._turned(own, "move_dot")
        script = (
            f"intros move move_dot t0 {' '.join(['H_', 'S_', *(k for k, _ in kinks)])}; eapply derivative_eq; "
            f"[unfold {opened}; derive ltac:(idtac; {known}) | rewrite ?S_; cbn [INR Nat.pred]; "
            f"transitivity ({changes}); [first [sums | sums_inverse] "
            f"| symmetry; {'; '.join([*steps, *turned, self._summed(array, 'move_dot')])}]]."
        )
        of = gradient_of(array) if array in self.trained else adjoint_of(array)
        if of not in self.given:
            of = array.primed
        said = f"the derivative by {name} of what the error is passed back through"
        return Theorem(f"derivative_{name}", statement, script, (of.name, None), said)

    def _turned(self, shares: Sequence[Share], change: str = "") -> tuple[list[str], list[str]]:
        """Tactics that bring the sum over an array's own indices to the front of each of its shares.

        Every sum has a length of its own meanwhile: what is alike is not mixed up.
        """
        made, used = [], []
        for s in shares:
            over = (*s.free, *s.bound)
            widths = {i: f"n{n}_" for n, i in enumerate(over)}
            direct = self._sum(over, self._shared(s, change), widths)
            other = self._sum((*s.ref.indices, *s.others), self._shared(s, change), widths)
            if direct != other:
                turned = f"forall ({' '.join(widths.values())} : nat), {direct} = {other}"
                made.append(f"assert (T{s.number} : {turned}) by (intros; sums)")
                used.append(f"rewrite T{s.number}")
        return made, used

    def _summed(self, array: Array, change: str, rest: str = "sums") -> str:
        """That an adjoint is what is sent back, under the sum, and the tactic for the rest."""
        if not self._is_named(array):
            return f"unfold {self._adjoint(array)}; {rest}"
        indices = self._letters(array)
        middle = self._sum(indices, f"({self._raw(array)[1]}) * {change}{self._here(indices)}")
        inside = "apply sum_ext; intros; " * len(indices)
        inside += f"rewrite {self._adjoint(array)}_is by assumption; reflexivity"
        return f"transitivity ({middle}); [{inside} | {rest}]"

    def _shared(self, share: Share, named: str = "") -> str:
        """What a share adds up: the adjoint where it arrives, times the slope, times the change of where it is from."""
        change = Array(named or f"{self._name(share.ref.array)}_dot", None, share.ref.array.axes)
        adjoint = self._element(self._adjoint(share.equation.array), share.free)
        return self._product(adjoint, mul(share.slope, change[share.ref.indices]))

    def _against(self, array: Array, change: str) -> str:
        """The sum of an adjoint times a change, over all places."""
        at = self._letters(array)
        return self._sum(at, f"{self._element(self._adjoint(array), at)} * {change}{self._here(at)}")

    def _counted(self) -> Iterator[Theorem]:
        """Each share at both ends, and the whole."""
        names: list[str] = []
        for s in self.shares:
            yield Theorem("", f"Definition {s.name} : R := {self._sum((*s.free, *s.bound), self._shared(s))}.", "")
        for e in self.nodes:
            name = self._name(e.array)
            own = [s.name for s in self.shares if s.equation == e]
            more = [] if e.array == self.error else [self._against(e.array, f"{name}_more_dot")]
            names.append(f"arrives_{name}")
            yield Theorem(
                names[-1], f"{self._against(e.array, f'{name}_dot')} = {' + '.join([*own, *more])}",
                f"unfold {name}_dot; " + (f"shares ltac:(cbv delta [{' '.join(own)}])." if own else "sums."),
            )  # fmt: skip
        for array in [*self.inner, *self.trained]:
            names.append(f"leaves_{self._name(array)}")
            yield self._leaving(array)
        changes = [self._against(theta, f"{self._name(theta)}_dot") for theta in self.trained]
        changes += [self._against(array, f"{self._name(array)}_more_dot") for array in self.inner]
        goal = " +\n  ".join(changes)
        yield Theorem(
            "derivative_of_E", f"derivable_pt_lim {self._name(self.error)}_at t0 (\n  {goal})",
            f"eapply derivative_eq; [apply H_{self._name(self.error)} | "
            f"{'; '.join(f'pose proof {n}' for n in names)}; lra].",
            None, "all parameters move, and something is added to all values: each adjoint is what E changes by",
        )  # fmt: skip

    def _leaving(self, array: Array) -> Theorem:
        """An adjoint times a change is what all shares of it are together."""
        name = self._name(array)
        own = [s for s in self.shares if s.ref.array == array]
        script = self._summed(array, f"{name}_dot")
        if own:  # summand by summand: there is one for each share
            cases = " | ".join(f"|- _ = {s.name} => {self._moved(s)}" for s in own)
            script = self._summed(array, f"{name}_dot", f"shares ltac:(idtac; lazymatch goal with {cases} end)")
        return Theorem(
            f"leaves_{name}", f"{self._against(array, f'{name}_dot')} = {' + '.join(s.name for s in own) or '0'}",
            f"{script}.",
        )  # fmt: skip

    def _moved(self, share: Share) -> str:
        """The tactic that opens a share and brings the sums over the array's own indices to the front, by swaps."""
        order, wanted = [*share.free, *share.bound], [*share.ref.indices, *share.others]
        steps = [f"unfold {share.name}"]
        for place, index in enumerate(wanted):
            for at in range(order.index(index) - 1, place - 1, -1):
                order[at], order[at + 1] = order[at + 1], order[at]
                steps.append(f"turned {at}%nat")
        return "; ".join(steps)

    # ------------------------------------------------------------------------------------------- the network's E

    def _own(self) -> Iterator[Theorem]:
        """The network's own error along curves of its parameters, with nothing added."""
        binders = " ".join(f"({self._name(a)} : {self.printer.type(a)})" for a in self.trained)
        given = " ".join(self._name(a) for a in self.trained)
        curve = " ".join(f"({self._name(a)}_at clock)" for a in self.trained)
        own = {*self.moving, *(e.array for e in self.held)} - set(self.trained)
        hypotheses = " ".join(f"Z_{self._name(a)} N_{self._name(a)}" for a in self.inner)
        steps = []
        for e in self.statement.forward:
            if e.array not in own:
                continue
            name, indices = self._name(e.array), self._letters(e.array)
            value = self._made(e, lambda a: f"({self._name(a)}_with {given})" if a in own else self._name(a))
            yield Theorem("", f"Definition {name}_with {binders} := {value}.", "")
            if e in self.held:
                continue
            operands = [self._name(a) for a in self.statement.operands(e) if a in own]
            zero, close = f"rewrite Z_{name}; ", "apply Rplus_0_r"
            if e.array == self.error:
                zero, close = "", "reflexivity"
            if e in self._open:  # it has a part of what is taken out, which the next ones do away with
                made = self._made(e, lambda a: f"({self._name(a)}_at clock)" if a in self.moving else self._name(a))
                steps.append(
                    f"assert (W_{name} : {name}_at clock = {made}) by "
                    f"({self._ext(indices)}unfold {name}_at; {zero}apply Rplus_0_r)"
                )
                continue
            rewritten = f"rewrite {', '.join(f'?W_{a}' for a in operands)}; " if operands else ""
            if e in self._closing:
                inner = [self._name(a.array) for a in reversed(self._open)]
                looked = ", ".join([f"{name}_of", *(f"{a}_of" for a in inner)])
                withs = ", ".join([f"{name}_with", *(f"{a}_with" for a in inner)])
                fixed = [self._name(one.array) for one in self.statement.forward if not self.statement.operands(one)]
                constants = f"unfold {', '.join(fixed)}" if fixed else "idtac"
                settled = ", ".join(f"?W_{a}" for a in operands if a not in inner)
                below = ", ".join(f"?W_{self._name(a)}" for b in self._open for a in b.operands if a in own)
                steps.append(
                    f"assert (W_{name} : {name}_at clock = {name}_with {curve}) by ({self._ext(indices)}"
                    f"unfold {name}_at; {zero}rewrite {', '.join(f'?W_{a}' for a in inner)}; "
                    f"unfold {withs}; rewrite {', '.join(filter(None, (below, settled)))}; unfold {looked}, phi_exp; "
                    f"try unfold phi_log; shifted ltac:({constants}))"
                )
                continue
            steps.append(
                f"assert (W_{name} : {name}_at clock = {name}_with {curve}) by ({self._ext(indices)}"
                f"unfold {name}_at, {name}_with; {zero}{rewritten}{close})"
            )
        error = self._name(self.error)
        goal = " +\n  ".join(self._against(theta, f"{self._name(theta)}_dot") for theta in self.trained)
        vanish = "".join(f"apply nothing_more; [|{self._vanishing(a)}]; " for a in reversed(self.inner))
        own_error = f"derivable_pt_lim (fun clock => {error}_with {curve}) t0"
        yield Theorem(
            "gradient_of_E", f"{self._nothing()}\n  {own_error} (\n  {goal})",
            f"intros {hypotheses}; apply (derivative_ext _ {error}_at); [eapply derivative_eq; "
            f"[apply derivative_of_E | {vanish}reflexivity] "
            f"| intro clock; {'; '.join(steps)}; symmetry; exact W_{error}].",
            None, "the gradients are those of E as a function of the parameters alone, along any curve",
        )  # fmt: skip

    def _nothing(self) -> str:
        """Nothing is added to any value."""
        said = ""
        for a in self.inner:
            at = self._letters(a)
            binders = f" ({self.printer.indices(at)} : nat)" if at else ""
            said += f"(forall (clock : R){binders}, {self._name(a)}_more clock{self._here(at)} = 0) -> "
            said += f"({self._all(at)}{self._name(a)}_more_dot{self._here(at)} = 0) -> "
        return said

    def _vanishing(self, array: Array) -> str:
        at = self._letters(array)
        inside = "apply sum_nothing; intro; " * len(at)
        return f"{inside}rewrite N_{self._name(array)}; apply Rmult_0_r"

    @cached_property
    def _open(self) -> list[Equation]:
        """What is made of a greatest value that is taken out and not yet put back."""
        reached, found = {e.array for e in self.held}, []
        for e in self.nodes:
            if reached & set(e.operands) and not _puts_back(e):
                reached.add(e.array)
                found.append(e)
        return found

    @cached_property
    def _closing(self) -> list[Equation]:
        """What puts it back: a quotient, or the logarithm of the sum."""
        reached = {e.array for e in (*self.held, *self._open)}
        return [e for e in self.nodes if reached & set(e.operands) and e not in self._open]


def _puts_back(e: Equation) -> bool:
    assert isinstance(e.rhs, Expr)
    divides = any(isinstance(part, Pow) and part.exponent < 0 for part in parts(e.rhs))
    return divides or any(f.activation.name == "log" for f in applied_in(e.rhs))
