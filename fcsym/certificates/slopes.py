"""That the error passed back is a derivative, off the kinks: one theorem for each adjoint, one for each gradient.

    E as a function of s1, with s1 along any curve c:   dE/dt = sum_i delta1_i dc_i/dt
    E as a function of one weight:                      dE/dW1_ij = delta1_i x_j

The curve of one layer is a curve of the next: each theorem rests on that of the layer above. In sequential order the
error has passed updated weights, and is the derivative of what it is passed back through: sum_k delta2_k s2_k, with s2
made by the updated weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fcsym.certificates.functions import Function
from fcsym.certificates.printer import Printer
from fcsym.certificates.statement import Statement
from fcsym.certificates.theorem import Theorem
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation
from fcsym.language.equation import Equation, functions_in
from fcsym.language.expression import Apply, Array, Expr, Extreme, Index, Ref, Role, Total, applied_in
from fcsym.networks.symbols import adjoint_of, gradient_of

__all__ = ["Slopes"]


class Slopes:
    """The theorems on derivatives of one network."""

    def __init__(
        self, statement: Statement, printer: Printer, functions: Mapping[Activation, Function],
        given: Sequence[Equation],
    ) -> None:  # fmt: skip
        self.statement, self.printer, self.functions = statement, printer, functions
        self.given = {e.array for e in given if e.defines}
        self.forward = {e.array: e for e in statement.forward}
        self.layers = [e.array for e in statement.forward if e.array.role is Role.PRE_ACTIVATION]
        self.between: dict[Array, list[Equation]] = {}
        self.read = [(e, frozenset(e.operands)) for e in statement.forward]

    def theorems(self) -> Iterator[Theorem]:
        """Those of all layers, from the last one down."""
        for s in reversed(self.layers):
            yield self._adjoint(s)
            for theta in self.statement.network.trained:
                if theta in self.forward[s].operands:
                    yield self._gradient(s, theta)

    # ---------------------------------------------------------------------------------------------- functions

    def _next(self, s: Array) -> Array | None:
        """The pre-activation that the error at `s` comes from; None for the last one."""
        place = self.layers.index(s)
        return self.layers[place + 1] if place + 1 < len(self.layers) else None

    def _between(self, s: Array) -> list[Equation]:
        """The equations that make of `s` what the error comes from, that itself the last one."""
        if s in self.between:
            return self.between[s]
        above, reached = self._next(s), {s}
        found = self.between[s] = []
        for e, operands in self.read:
            if not reached.isdisjoint(operands):
                reached.add(e.array)
                found.append(e)
                if e.array == above:
                    break
        return found

    def _of(self, e: Equation, values: Mapping[Array, str]) -> str:
        arguments = (values.get(a, self.printer.array(a)) for a in self.statement.operands(e))
        return f"({self.printer.array(e.array)}_of {' '.join(arguments)})"

    def through(self, s: Array, value: str) -> str:
        """What the error at `s` is the derivative of, where `s` has that value."""
        above = self._next(s)
        sequential = self.statement.order == "sequential" and above is not None
        values = {s: value}
        for e in self._between(s):
            seen = {a: self.printer.array(b) for a, b in self.statement.seen.items()} if sequential else {}
            values[e.array] = self._of(e, seen | values)
        if above is None:
            return values[self.statement.forward[-1].array]
        if not sequential:
            return self.through(above, values[above])
        return self._against(above, lambda at: f"{values[above]} {at}")

    def _against(self, s: Array, value: object) -> str:
        """The sum of delta times a value, over all indices of a pre-activation."""
        assert callable(value)
        indices = self.printer.letters(s)
        at = self.printer.indices(indices)
        text = f"{self.printer.array(adjoint_of(s))} {at} * {value(at)}"
        for index in reversed(indices):
            text = f"sum {self.printer.width(index.axis)} (fun {self.printer.index(index)} => {text})"
        return text

    # ------------------------------------------------------------------------------------------------ premises

    def _kinks(self, s: Array) -> list[tuple[str, str]]:
        """(name, premise) for each kink between `s` and what the error is the derivative of."""
        found = []
        above = self._next(s)
        for e in self._between(s):
            assert isinstance(e.rhs, Expr)
            for apply in applied_in(e.rhs):
                assert isinstance(apply, Apply) and isinstance(apply.argument, Ref)
                ref = apply.argument
                if ref.array.role is Role.PARTITION:  # a sum of exponentials, above 0
                    continue
                for n, away in enumerate(self.functions[apply.activation].away):
                    where = away.format(s=f"({self.printer.term(ref)})" if ref.indices else self.printer.term(ref))
                    found.append((f"K_{self.printer.array(ref.array)}_{n}", f"{self._each(ref.indices)}{where}"))
        found = list(dict.fromkeys(found))
        if any(isinstance(e.rhs, Extreme) for e in self._between(s)):
            found.append(("K_outputs", f"(0 < {self.printer.width(s.axes[-1])})%nat"))
        if above is not None and self.statement.order == "simultaneous":
            found += [pair for pair in self._kinks(above) if pair not in found]
        return found

    def _each(self, indices: Sequence[Index]) -> str:
        """forall i, (i < n_1)%nat ->"""
        if not indices:
            return ""
        within = "".join(f"({self.printer.index(i)} < {self.printer.width(i.axis)})%nat -> " for i in indices)
        return f"forall ({self.printer.indices(indices)} : nat), {within}"

    # ------------------------------------------------------------------------------------------------ theorems

    def _adjoint(self, s: Array) -> Theorem:
        delta, printer = adjoint_of(s), self.printer
        indices = printer.letters(s)
        at, name = printer.indices(indices), printer.array(delta)
        kinks = self._kinks(s)
        premises = "".join(f"({said}) -> " for _, said in kinks)
        curve = f"nat -> {'nat -> ' * (len(s.axes) - 1)}R"
        statement = (
            f"forall (c_ : R -> {curve}) (dc_ : {curve}) t0, "
            f"({self._each(indices)}derivable_pt_lim (fun t => c_ t {at}) t0 (dc_ {at})) -> "
            f"(forall ({at} : nat), c_ t0 {at} = {printer.array(s)} {at}) -> {premises}\n  "
            f"derivable_pt_lim (fun t => {self.through(s, '(c_ t)')}) t0 ({self._against(s, lambda at: f'dc_ {at}')})"
        )
        hypotheses = " ".join(["Hc", "H0", *(k for k, _ in kinks)])
        above = self._next(s)
        between = self._between(s)
        opened = [f"{printer.array(e.array)}_of" for e in reversed(between)]
        gates = [printer.array(e.array) for e in self.statement.steps if e.array.role is Role.GATE and e.array.of == s]
        # what the derivative is made of, and what stands between: nothing of it is left opaque
        inner = [e for e in reversed(between) if e.array not in (above, self.statement.forward[-1].array)]
        values = [printer.array(e.array) for e in inner]
        values += [f"{value}_of" for value in values]
        known = self._known(kinks, between)
        close = f"unfold {', '.join([name, *gates])}; sums_at H0"
        if above is None:
            slopes = [f"slope_{printer.function(phi)}" for phi in self._smooth(between)]
            phis = [f"phi_{printer.function(phi)}" for phi in self._smooth([*between, self.statement.by_array[delta]])]
            close = f"unfold {', '.join([name, *gates, *values])}; sums_at H0"
            if slopes:
                only = f"unfold {', '.join(slopes)}"
                more = f"unfold {', '.join([*slopes, *phis])}"
                leaf = f"leaf_at H0 ltac:({only}) ltac:({more})"
                close = f"unfold {', '.join([name, *gates, *values])}; sums_by ltac:({leaf})"
        other = [phi for phi in functions_in(between) if self.functions[phi].abstract and _elsewhere(phi)]
        if above is None and other:
            reason = f"the slope of {other[0].name} is another function of the language, and here it may be any"
            return Theorem(f"derivative_{name}", statement, "", (delta.name, None), admitted=reason)
        if any(isinstance(e.rhs, Extreme) for e in between):
            return self._over_all_outputs(s, Theorem(f"derivative_{name}", statement, "", (delta.name, None)))
        if above is None or self.statement.order == "sequential":
            script = (
                f"intros c_ dc_ t0 {hypotheses}; eapply derivative_eq; "
                f"[unfold {', '.join(opened)}; derive ltac:(idtac; {known}) | {close}]."
            )
        else:
            values_at = {s: "(c_ t)"}
            for e in between:
                values_at[e.array] = self._of(e, values_at)
            upper = [k for k, _ in self._kinks(above)]
            applied = f"(derivative_{printer.array(adjoint_of(above))} (fun t => {values_at[above]}) _ t0)"
            script = (
                f"intros c_ dc_ t0 {hypotheses}; eapply derivative_eq; [eapply {applied}; "
                f"[intros; unfold {', '.join(opened)}; derive ltac:(idtac; {known}) "
                f"| intros; unfold {', '.join([printer.array(above), *values, *opened])}; sums_at H0"
                f"{''.join(f' | exact {k}' for k in upper)}] | {close}]."
            )
        return Theorem(
            f"derivative_{name}", statement, script, (delta.name, None),
            f"{name} is the derivative by {printer.array(s)}, off the kinks",
        )  # fmt: skip

    def _over_all_outputs(self, s: Array, theorem: Theorem) -> Theorem:
        """The cross-entropy of a softmax: the greatest of the logits, which is taken out, may be held where it was."""
        printer, between = self.printer, self._between(s)
        made = {e.array: e for e in between}
        error = self.statement.forward[-1]
        tau = next(e.array for e in between if isinstance(e.rhs, Extreme))
        partition = next((a for a in made if a.role is Role.PARTITION), None)
        said = "the derivative of what a softmax gives is not written for this loss"
        if partition is None or not {tau, s, partition} >= set(self.statement.operands(error)):
            return replace(theorem, admitted=said)
        values = {s: "(c_ t)"}
        held = {s: "(c_ t)", tau: printer.array(tau)}
        for e in between:
            values[e.array] = self._of(e, values)
            if e.array != tau:
                held[e.array] = self._of(e, held)
        names = {role: printer.array(a) for role, a in (("z", partition), ("tau", tau), ("s", s))}
        at = printer.letters(partition)
        i = printer.indices(at)
        inner = made[partition].rhs
        assert isinstance(inner, Total)
        outputs = printer.width(inner.over[0].axis)
        opened = ", ".join(f"{printer.array(e.array)}_of" for e in reversed(between))
        inside = [printer.array(a) for a in made if a not in (tau, error.array)]
        every = f"forall ({i} : nat), " if i else ""
        known = "first [apply Hc; assumption | rewrite Z_; apply derivative_log, P_ | apply derivative_exp]"
        logits = [a for a in self.statement.forward if a.array in made and a.array.axes == s.axes and a.array != s]
        more = ", ".join(printer.array(e.array) for e in reversed(logits))
        delta = printer.array(adjoint_of(s))
        unfolded = ", ".join([*reversed(inside), *(f"{name}_of" for name in reversed(inside))])
        script = (
            f"intros c_ dc_ t0 Hc H0 K_outputs; "
            f"assert (Z_ : {every}sum {outputs} (fun k_ => phi_exp (c_ t0 {i} k_ - {names['tau']} {i})) = "
            f"{names['z']} {i}) "
            f"by (intros; unfold {unfolded}; apply sum_ext; intros; rewrite H0; reflexivity); "
            f"assert (P_ : {every}0 < {names['z']} {i}) "
            f"by (intros; rewrite <- Z_; apply sum_positive; [exact K_outputs | intros; apply exp_pos]); "
            f"apply (derivative_ext _ (fun t => {held[error.array]})); "
            f"[eapply derivative_eq; [unfold {opened}; derive ltac:(idtac; cbv beta; {known}) "
            f"| unfold {delta}, {more}, {', '.join(f'{printer.array(e.array)}_of' for e in reversed(logits))}, "
            f"slope_log, slope_exp, phi_exp; sums_at H0] "
            f"| intros; unfold {opened}, phi_log, phi_exp; taken_out K_outputs]."
        )
        return replace(theorem, script=script.replace(" )", ")"))

    def _smooth(self, equations: Sequence[Equation]) -> list[Activation]:
        return [phi for phi in functions_in(equations) if phi.is_smooth and not self.functions[phi].abstract]

    def _known(self, kinks: Sequence[tuple[str, str]], between: Sequence[Equation]) -> str:
        """The tactic for what `derive` does not know: the curve, and the activations."""
        side = " | ".join([f"(apply {k}; assumption)" for k, _ in kinks] + ["assumption"])
        names = dict.fromkeys(
            self.printer.function(a.activation) for e in between for side in e.expressions for a in applied_in(side)
        )
        lemmas = [f"(apply derivative_{n}; cbv beta; rewrite ?H0; first [{side}])" for n in names]
        return f"first [{' | '.join(['(apply Hc; assumption)', *lemmas])}]"

    def _gradient(self, s: Array, theta: Array) -> Theorem:
        printer, e = self.printer, self.forward[s]
        w, d = printer.array(theta), printer.array(gradient_of(theta))
        indices = printer.letters(theta, "ab")
        at = printer.indices(indices)
        here = f"({w} {at})" if at else w
        moved = f"(set{len(indices)} {' '.join([w, at, 't']).replace('  ', ' ')})"
        value = self._of(e, {theta: moved})
        kinks = self._kinks(s)
        within = "".join(f"({printer.index(i)} < {printer.width(i.axis)})%nat -> " for i in indices)
        premises = within + "".join(f"({said}) -> " for _, said in kinks)
        statement = (
            f"{f'forall ({at} : nat), ' if at else ''}{premises}\n  "
            f"derivable_pt_lim (fun t => {self.through(s, value)}) {here} ({d} {at})".replace(" )", ")")
        )
        bounds = [f"B{n}" for n in range(len(indices))]
        delta = printer.array(adjoint_of(s))
        opened = f"unfold {printer.array(s)}_of, set{len(indices)}"
        # what a sum over one-hot directions picks
        letters = [f"{printer.index(i)}_" for i in indices]
        picked = f"{d} {' '.join(letters)}"
        for index, letter in reversed(list(zip(indices, letters, strict=True))):
            picked = (
                f"sum {printer.width(index.axis)} (fun {letter} => kron {letter} {printer.index(index)} * ({picked}))"
            )
        first = f"intros {' '.join([at, *bounds, *(k for k, _ in kinks)])}; " if at or kinks else ""
        script = (
            f"{first}eapply derivative_eq; [eapply (derivative_{delta} (fun t => {value}) _ {here}); "
            f"[intros; {opened}; derive ltac:(fail) | intros; unfold {printer.array(s)}; {opened}; sums"
            f"{''.join(f' | exact {k}' for k, _ in kinks)}] "
            f"| transitivity ({picked}); [unfold {d}; sums | {'picks' if at else 'reflexivity'}]]."
        )
        of = gradient_of(theta) if gradient_of(theta) in self.given else theta.primed
        return Theorem(
            f"derivative_{w}", statement, script, (of.name, None), f"the gradient by {w} is a derivative, off the kinks"
        )


def _elsewhere(phi: Activation) -> bool:
    """Whether its slope is written as another function of the language, as 1/s is for log."""
    return smooth_functions.slope_among_entries(phi) is not None
