"""That the error passed back is a derivative, in any network: along curves of all parameters at once, off the kinks.

Each forward quantity becomes a curve, to which anything may be added. What E changes by is then

    dE/dt = sum of dE/dtheta dtheta/dt over the parameters + sum of adj_q (what is added to q)/dt over all quantities q

Each quantity's change is linear in those of what it is made of, and each such share is counted at both ends: where it
leaves from, under the adjoint, and where it arrives. No proof looks further than one equation, whatever the network is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fcsym.certificates.functions import Function
from fcsym.certificates.printer import LETTERS, POWER, Printer
from fcsym.certificates.signs import Signs
from fcsym.certificates.statement import Statement
from fcsym.certificates.terms import parts
from fcsym.certificates.theorem import Theorem
from fcsym.language.activation import Activation
from fcsym.language.algebra import apart, rename, replaced
from fcsym.language.equation import Equation
from fcsym.language.expression import (
    ONE,
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    Indicator,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    applied_in,
    mul,
    power,
)
from fcsym.networks.symbols import adjoint_of, gradient_of

__all__ = ["Curves"]


@dataclass(frozen=True, slots=True)
class _Share:
    """What one occurrence of an array passes on: at lhs, summed over `bound`, slope * change of ref."""

    equation: Equation
    ref: Ref
    slope: Expr
    bound: tuple[Index, ...]
    number: int

    @property
    def name(self) -> str:
        return f"share_{self.number}"

    @property
    def free(self) -> tuple[Index, ...]:
        assert isinstance(self.equation.lhs, Ref)
        return self.equation.lhs.indices

    @property
    def others(self) -> tuple[Index, ...]:
        """The indices that the array has not."""
        return tuple(i for i in (*self.free, *self.bound) if i not in self.ref.indices)


def _slopes(node: Expr) -> Iterator[tuple[Ref, Expr, tuple[Index, ...]]]:
    """Each occurrence of an array element, what its change is multiplied by, and the sums around it."""
    match node:
        case Ref():
            yield node, ONE, ()
        case Add(terms):
            for term in terms:
                yield from _slopes(term)
        case Mul(factors):
            for n, factor in enumerate(factors):
                for ref, slope, bound in _slopes(factor):
                    yield ref, mul(*factors[:n], *factors[n + 1 :], slope), bound
        case Pow(base, exponent):
            for ref, slope, bound in _slopes(base):
                yield ref, mul(exponent, power(base, exponent - 1), slope), bound
        case Total(over, body):
            for ref, slope, bound in _slopes(body):
                yield ref, slope, over + bound
        case Apply(phi, Ref() as argument, order):
            if not order:
                yield argument, Apply(phi, argument, 1), ()
        case Apply():
            raise NotImplementedError
        case Number() | Indicator() | Extreme():
            return


class Curves:
    """The theorems on derivatives of one network in simultaneous order."""

    def __init__(
        self, statement: Statement, printer: Printer, functions: Mapping[Activation, Function],
        given: Sequence[Equation], signs: Signs,
    ) -> None:  # fmt: skip
        self.statement, self.printer, self.functions = statement, printer, functions
        self.given = {e.array for e in given if e.defines}
        self.trained = statement.network.trained
        self.forward = {e.array: e for e in statement.forward}
        self.error = statement.forward[-1].array
        self.signs = signs
        reached = set(self.trained)
        self.held = [e for e in statement.forward if isinstance(e.rhs, Extreme)]
        self.nodes: list[Equation] = []  # what moves with the parameters, but for a greatest value, which is held
        for e in statement.forward:
            if reached & set(e.operands) and not isinstance(e.rhs, Extreme):
                reached.add(e.array)
                self.nodes.append(e)
        self.moving = reached
        self.inner = [e.array for e in self.nodes if e.array != self.error]
        self.shares: list[_Share] = []
        for e in self.nodes:
            assert isinstance(e.rhs, Expr)
            for ref, slope, bound in _slopes(apart(e.rhs)):
                if ref.array in reached:
                    passed = replaced(slope, lambda r: self._seen(r.array)[r.indices])
                    self.shares.append(_Share(e, ref, passed, bound, len(self.shares) + 1))

    def _seen(self, array: Array) -> Array:
        """What the error passes through in place of a parameter."""
        return self.statement.seen.get(array, array)

    # ------------------------------------------------------------------------------------------------ names

    def _name(self, array: Array) -> str:
        return self.printer.array(array)

    def _adjoint(self, array: Array) -> str:
        """What stands for dE/d array."""
        if array == self.error:
            return "1"
        return self._name(gradient_of(array) if array in self.trained else adjoint_of(array))

    def _element(self, name: str, indices: Sequence[Index]) -> str:
        return f"{name} {self.printer.indices(indices)}" if indices else name

    def _letters(self, array: Array) -> tuple[Index, ...]:
        """Indices for an array, as its own equation has them."""
        if array in self.forward:
            lhs = self.forward[array].lhs
            assert isinstance(lhs, Ref)
            return lhs.indices
        return self.printer.letters(array, LETTERS)

    def _sum(self, over: Sequence[Index], body: str, widths: Mapping[Index, str] | None = None) -> str:
        for index in reversed(over):
            width = self.printer.width(index.axis) if widths is None else widths[index]
            body = f"sum {width} (fun {self.printer.index(index)} => {body})"
        return body

    def _all(self, indices: Sequence[Index]) -> str:
        return f"forall ({self.printer.indices(indices)} : nat), " if indices else ""

    def _every(self, indices: Sequence[Index]) -> str:
        """For all indices in range."""
        within = "".join(f"({self.printer.index(i)} < {self.printer.width(i.axis)})%nat -> " for i in indices)
        return f"{self._all(indices)}{within}"

    def _binder(self, indices: Sequence[Index]) -> str:
        return f"({self.printer.indices(indices)} : nat) " if indices else ""

    def _here(self, indices: Sequence[Index]) -> str:
        """The indices as arguments, with a space before them."""
        return f" {self.printer.indices(indices)}" if indices else ""

    def _ext(self, indices: Sequence[Index]) -> str:
        """Functions are equal where they are at every place."""
        one = "apply FunctionalExtensionality.functional_extensionality; intro"
        return "".join(f"{one} {self.printer.index(i)}; " for i in indices)

    def _made(self, e: Equation, named: Callable[[Array], str]) -> str:
        """The forward equation of that, with names for what it is made of."""
        return " ".join([f"{self._name(e.array)}_of", *map(named, self.statement.operands(e))])

    def _is_named(self, array: Array) -> bool:
        """Whether the step defines the adjoint, or the gradient."""
        own = gradient_of(array) if array in self.trained else adjoint_of(array)
        return own in self._named

    # ----------------------------------------------------------------------------------------------- adjoints

    @cached_property
    def _named(self) -> set[Array]:
        """Adjoints and gradients that the step defines."""
        return {e.array for e in self.statement.steps}

    def _raw(self, array: Array) -> tuple[tuple[Index, ...], str]:
        """dE/d array as the sum of what every occurrence sends back, and the indices it has there."""
        indices = self._letters(array)
        parts = []
        for share in self.shares:
            if share.ref.array == array:
                names = dict(zip(share.ref.indices, indices, strict=True))
                parts.append(self._back(share, names))
        return indices, " + ".join(parts) or "0"

    def _back(self, share: _Share, names: Mapping[Index, Index]) -> str:
        """sum over what the array has not of the adjoint times the slope, with the array's indices renamed."""
        fresh = {i: Index(i.axis, f"{i.letter}{n}_") for n, i in enumerate(share.others)}
        changed = {**fresh, **names}
        slope = rename(apart(share.slope), changed)
        free = [changed.get(i, i) for i in share.free]
        body = self._product(self._element(self._adjoint(share.equation.array), free), slope)
        return self._sum([fresh[i] for i in share.others], body)

    def _product(self, first: str, slope: Expr) -> str:
        return first if slope == ONE else f"{first} * {self.printer.term(slope, POWER)}"

    def theorems(self) -> Iterator[Theorem]:
        """Each adjoint as what is sent back to it, and that E has these derivatives."""
        yield from self._adjoints()
        if self.statement.order == "simultaneous":
            yield from self._section()
        else:
            for array in [*reversed(self.inner), *self.trained]:
                if self._is_named(array):
                    yield self._alone(array)

    def _adjoints(self) -> Iterator[Theorem]:
        """Every adjoint as what is sent back to it: a definition, or an equation where it is defined already."""
        for array in [*reversed(self.inner), *self.trained]:
            indices, raw = self._raw(array)
            name = self._adjoint(array)
            if not self._is_named(array):
                yield Theorem("", f"Definition {name} {self._binder(indices)}: R := {raw}.", "")
                continue
            yield Theorem(
                f"{name}_is", f"{self._every(indices)}{self._element(name, indices)} = {raw}",
                f"intros; unfold {self._opened(array)}; first [sums | sums_inverse].",
                None, f"what is sent back to {self._name(array)}",
            )  # fmt: skip

    def _opened(self, array: Array) -> str:
        """What the proof of one looks into: the adjoints that have no name of their own, gates and values."""
        names, gates = [self._adjoint(array)], list[str]()
        values: list[str] = []
        waiting, seen = [array], set()
        while waiting:
            one = waiting.pop(0)
            if one in seen:
                continue
            seen.add(one)
            gates += [
                self._name(e.array) for e in self.statement.steps if e.array.role is Role.GATE and e.array.of == one
            ]
            for share in self.shares:
                if share.ref.array != one:
                    continue
                up, made = share.equation.array, share.equation.rhs
                assert isinstance(made, Expr)
                for phi in {apply.activation: None for apply in applied_in(made)}:
                    values += self.functions[phi].opened
                if up == self.error:
                    continue
                if _stands_for_more(made):
                    values = [self._name(up), f"{self._name(up)}_of", *values]
                if not self._is_named(up):
                    names.append(self._adjoint(up))
                    waiting.append(up)
        return ", ".join(dict.fromkeys([*names, *gates, *values]))

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
                f"{self._ext(indices)}unfold {name}_at, {name}; rewrite {starts}, S_{name}_more; ring.",
            )  # fmt: skip
        assert isinstance(e.rhs, Expr)
        curves = [] if is_error else [(f"{name}_more", f"H_{name}_more", e.array.axes)]
        curves += [(f"{self._name(a)}_at", f"H_{self._name(a)}", a.axes) for a in operands]
        known = self._known([e], curves, starts, [name for name, _ in self._kinks()])
        yield Theorem(
            f"H_{name}", self._slope(f"{name}_at", indices, f"{name}_dot"),
            f"intros; unfold {name}_at, {name}_of; eapply derivative_eq; "
            f"[derive ltac:(idtac; {known}) "
            f"| rewrite {starts}; cbn [INR Nat.pred]; unfold {name}_dot; first [sums | sums_inverse]].",
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

    def _turned(self, shares: Sequence[_Share], change: str = "") -> tuple[list[str], list[str]]:
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

    def _summed(self, array: Array, change: str) -> str:
        """That an adjoint is what is sent back, under the sum, and the rest."""
        if not self._is_named(array):
            return f"unfold {self._adjoint(array)}; sums"
        indices = self._letters(array)
        middle = self._sum(indices, f"({self._raw(array)[1]}) * {change}{self._here(indices)}")
        inside = "apply sum_ext; intros; " * len(indices)
        return f"transitivity ({middle}); [{inside}rewrite {self._adjoint(array)}_is by assumption; reflexivity | sums]"

    def _shared(self, share: _Share, named: str = "") -> str:
        """What a share adds up: the adjoint where it arrives, times the slope, times the change of where it is from."""
        change = Array(named or f"{share.ref.array.name}_dot", None, share.ref.array.axes)
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
                f"unfold {', '.join([f'{name}_dot', *own])}; sums.",
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
        made, used = self._turned(own)
        opened = [f"unfold {s.name}" for s in own]
        return Theorem(
            f"leaves_{name}", f"{self._against(array, f'{name}_dot')} = {' + '.join(s.name for s in own) or '0'}",
            f"{'; '.join([*opened, *made, *used, self._summed(array, f'{name}_dot')])}.",
        )  # fmt: skip

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
            zero = "" if e.array == self.error else f"rewrite Z_{name}; "
            if e in self._open:  # it has a part of what is taken out, which the next ones do away with
                made = self._made(e, lambda a: f"({self._name(a)}_at clock)" if a in self.moving else self._name(a))
                steps.append(
                    f"assert (W_{name} : {name}_at clock = {made}) by "
                    f"({self._ext(indices)}unfold {name}_at; {zero}ring)"
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
                f"unfold {name}_at, {name}_with; {zero}{rewritten}ring)"
            )
        error = self._name(self.error)
        goal = " +\n  ".join(self._against(theta, f"{self._name(theta)}_dot") for theta in self.trained)
        vanish = "; ".join(
            f"assert (V_{self._name(a)} : {self._against(a, f'{self._name(a)}_more_dot')} = 0) by "
            f"({self._vanishing(a)})"
            for a in self.inner
        )
        own_error = f"derivable_pt_lim (fun clock => {error}_with {curve}) t0"
        yield Theorem(
            "gradient_of_E", f"{self._nothing()}\n  {own_error} (\n  {goal})",
            f"intros {hypotheses}; apply (derivative_ext _ {error}_at); [eapply derivative_eq; "
            f"[apply derivative_of_E | {vanish}; lra] "
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
        body = "0"
        for index in reversed(at):
            body = f"sum {self.printer.width(index.axis)} (fun {self.printer.index(index)} => {body})"
        inside = "apply sum_ext; intros; " * len(at)
        return f"transitivity ({body}); [{inside}rewrite N_{self._name(array)}; ring | sums]"

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


def _stands_for_more(node: Expr) -> bool:
    """Whether reverse mode writes the value in the place of what it is: phi(s), or a quotient."""
    return isinstance(node, Apply) or any(isinstance(part, Pow) and part.exponent < 0 for part in parts(node))
