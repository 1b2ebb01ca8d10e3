"""What a certificate is about, made of the network alone: forward equations, loss, update rule, order.

    s1 i   := sum n_0 (fun j => W1 i j * x j)          forward, and the same with a prime after the step
    delta1 i := slope_relu (s1 i) * sum ...            the error, passed back through old or updated weights
    dE_dW1 i j := delta1 i * x j,  W1' i j := W1 i j - eta * dE_dW1 i j

A derivation is held against it: nothing of what is examined enters here. That the error passed back is a derivative is
a theorem of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fcsym.certificates.printer import Printer
from fcsym.deriving.differentiate import reverse
from fcsym.deriving.forward import forward
from fcsym.deriving.pipeline import finish
from fcsym.deriving.update import changes_with_names, named_in
from fcsym.language.algebra import Definition, indices_of
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import ZERO, Array, Expr, Ref, Role
from fcsym.networks.network import Network
from fcsym.networks.symbols import gradient_of, increment_of

__all__ = ["Statement", "ordered"]

_HELD = (Role.INPUT, Role.TARGET, Role.COUNT)
"""What a forward equation is no function of: it is the same before and after the step."""


@dataclass(frozen=True)
class Statement:
    """A network's step, as definitions."""

    network: Network
    order: Order

    @cached_property
    def forward(self) -> tuple[Equation, ...]:
        """The forward equations, the error E at the end."""
        return finish(self.network, self._passed)

    @cached_property
    def _passed(self) -> tuple[Equation, ...]:
        return forward(self.network)

    @cached_property
    def seen(self) -> Mapping[Array, Array]:
        """Which parameters the error passes through in place of the old ones."""
        return {theta: theta.primed for theta in self.network.trained} if self.order == "sequential" else {}

    @cached_property
    def _reverse(self) -> tuple[tuple[Equation, ...], dict[Array, Definition]]:
        if self.network.built is None:
            return reverse(self._passed, lambda array: array.role is Role.PRE_ACTIVATION, self.seen)
        return reverse(self._passed, named_in(self._passed), self.seen, by=self.network.trained)

    @cached_property
    def steps(self) -> tuple[Equation, ...]:
        """Gates, adjoints, gradients and updates, in an order in which each may be defined."""
        adjoints, gradients = self._reverse
        made = [*self.network.rule.shared(), *adjoints]
        named = () if self.network.built is None else changes_with_names(self._passed, self.network.trained)
        for theta in self.network.trained:
            indices, gradient = gradients.get(theta, (indices_of(theta), ZERO))  # 0 where nothing reads it
            made.append(Equation(gradient_of(theta)[indices], gradient, Rule.GRADIENT, ""))
            made += self.network.rule.equations(theta, indices, named=theta in named)
        return finish(self.network, tuple(made))

    @cached_property
    def by_array(self) -> Mapping[Array, Equation]:
        """What is stated, by the arrays that it defines."""
        return {e.array: e for e in (*self.forward, *self.steps)}

    @cached_property
    def moving(self) -> tuple[Array, ...]:
        """What has a value after the step: pre-activations and activations, and of layers all that they change."""
        values = (Role.PRE_ACTIVATION, Role.ACTIVATION)
        if self.network.built is None:
            return tuple(e.array for e in self.forward if e.array.role in values)
        last = max(n for n, e in enumerate(self.forward) if e.array.role is Role.PRE_ACTIVATION)
        reached = set(self.network.trained)
        for e in self.forward:
            if reached & set(e.operands):
                reached.add(e.array)
        return tuple(
            e.array for n, e in enumerate(self.forward)
            if e.array in reached and (n <= last or e.array.role is Role.ACTIVATION)
        )  # fmt: skip

    @cached_property
    def after_step(self) -> frozenset[Array]:
        """The values after the step that the network itself has."""
        return frozenset(array.primed for array in self.moving)

    @cached_property
    def changes(self) -> Mapping[Array, Array]:
        """Increments, and whose: q' - q is what one is, and the equations of a derivation say what it equals."""
        return {increment_of(q): q for q in self.moving}

    def operands(self, equation: Equation) -> tuple[Array, ...]:
        """What a forward equation is a function of."""
        return tuple(array for array in equation.operands if array.role not in _HELD)

    def after(self, array: Array) -> Array:
        """The array after the step, where it changes."""
        changes = array in self.moving or array in self.network.trained
        return array.primed if changes else array

    def lines(self, printer: Printer) -> Iterator[str]:
        """The definitions, in an order in which each stands after what it uses."""
        constants = [e for e in self.forward if not self.operands(e)]
        for e in constants:
            yield f"Definition {printer.array(e.array)} {definition(e, printer)}"
        yield "(* forward: each quantity as a function of what the network makes it of *)"
        for e in self.forward:
            if self.operands(e):
                arguments = binders(self.operands(e), printer)
                yield f"Definition {printer.array(e.array)}_of {arguments}{definition(e, printer)}"
        yield "(* the values before the step *)"
        for e in self.forward:
            if e not in constants:
                yield self._value(e, lambda array: array, printer)
        yield "(* the step: the error passed back, gradients, updated parameters; a prime is a value after the step *)"
        for e in ordered(self.steps):
            yield f"Definition {printer.array(e.array)} {definition(e, printer)}"
        yield "(* the values after the step *)"
        for e in self.forward:
            if e.array in self.moving:
                yield self._value(e, self.after, printer)
        for change, q in self.changes.items():
            lhs = q[printer.letters(q)]
            value = printer.term(lhs.array.primed[lhs.indices] - lhs)
            yield f"Definition {printer.array(change)} {free(lhs, printer)}: R := {value}."

    def _value(self, e: Equation, at: object, printer: Printer) -> str:
        assert callable(at)
        arguments = " ".join(printer.array(at(array)) for array in self.operands(e))
        return f"Definition {printer.array(at(e.array))} := {printer.array(e.array)}_of {arguments}."


def binders(arrays: Iterable[Array], printer: Printer) -> str:
    """(W1 : nat -> nat -> R) (v1 : nat -> R), with a space at the end."""
    return "".join(f"({printer.array(array)} : {printer.type(array)}) " for array in arrays)


def definition(e: Equation, printer: Printer) -> str:
    """The indices of an equation, and what it says: (i : nat) : R := ..."""
    assert isinstance(e.lhs, Ref) and isinstance(e.rhs, Expr)
    return f"{free(e.lhs, printer)}: R := {printer.term(e.rhs)}."


def free(lhs: Ref, printer: Printer) -> str:
    """(i j : nat), with a space at the end; nothing where there is none."""
    return f"({printer.indices(lhs.indices)} : nat) " if lhs.indices else ""


def ordered(equations: Sequence[Equation]) -> Iterator[Equation]:
    """Definitions, each after those that it uses."""
    waiting = list(equations)
    left = {e.array for e in waiting}
    while waiting:
        ready = next(e for e in waiting if not left & set(e.operands))
        waiting.remove(ready)
        left.remove(ready.array)
        yield ready
