"""Each adjoint as what is sent back: by every equation that reads an array, its own adjoint times the slope there.

    adj_q[a] = sum over the equations e that read q[a] of the sum over what q lacks of adj_e * d e / d q[a]

The adjoints are those that the step defines, where it does; the others, which are put in where they are used, get names
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from fcsym.certificates.functions import Function, slope_function
from fcsym.certificates.printer import LETTERS, POWER, Printer
from fcsym.certificates.signs import Signs
from fcsym.certificates.statement import Statement
from fcsym.certificates.terms import parts
from fcsym.certificates.theorem import Theorem
from fcsym.errors import ArgumentError
from fcsym.language.activation import Activation
from fcsym.language.algebra import apart, free_in, lettered, rename, replaced
from fcsym.language.equation import Equation
from fcsym.language.expression import (
    ONE,
    Add,
    Apply,
    Array,
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

__all__ = ["Adjoints", "Share"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one occurrence of an array passes on: at lhs, summed over `bound`, slope * change of ref."""

    equation: Equation
    ref: Ref
    slope: Expr
    bound: tuple[Index, ...]
    number: int

    @property
    def name(self) -> str:
        """What it is called in the file."""
        return f"share_{self.number}"

    @property
    def free(self) -> tuple[Index, ...]:
        """The indices of the equation that it arrives at."""
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
            raise ArgumentError(f"{node!r} cannot be certified: name the argument of its activation first.")
        case Number() | Indicator() | Extreme():
            return


class Adjoints:
    """The adjoints of one network, and what every occurrence of an array sends back to it."""

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
        self.shares: list[Share] = []
        for e in self.nodes:
            assert isinstance(e.rhs, Expr)
            taken = {index.letter for index in free_in(e.lhs)}
            for ref, slope, bound in _slopes(lettered(e.rhs, taken)):
                if ref.array in reached:
                    passed = replaced(slope, partial(self._passed, ref.array))
                    self.shares.append(Share(e, ref, passed, bound, len(self.shares) + 1))

    def _seen(self, array: Array) -> Array:
        """What the error passes through in place of a parameter."""
        return self.statement.seen.get(array, array)

    def _passed(self, own: Array, ref: Ref) -> Expr:
        """The same on the way to `own`, whose slope phi'(c) is taken before the step."""
        return (own if ref.array == own else self._seen(ref.array))[ref.indices]

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

    def _back(self, share: Share, names: Mapping[Index, Index]) -> str:
        """sum over what the array has not of the adjoint times the slope, with the array's indices renamed."""
        fresh = {i: Index(i.axis, f"{i.letter}{n}_") for n, i in enumerate(share.others)}
        changed = {**fresh, **names}
        slope = rename(apart(share.slope), changed)
        free = [changed.get(i, i) for i in share.free]
        body = self._product(self._element(self._adjoint(share.equation.array), free), slope)
        return self._sum([fresh[i] for i in share.others], body)

    def _product(self, first: str, slope: Expr) -> str:
        return first if slope == ONE else f"{first} * {self.printer.term(slope, POWER)}"

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
                    slope = slope_function(phi)  # which reverse mode writes, sigmoid for the slope of softplus
                    values += self.functions[slope].opened if slope and slope in self.functions else ()
                if up == self.error:
                    continue
                if _stands_for_more(made):
                    values = [self._name(up), f"{self._name(up)}_of", *values]
                if not self._is_named(up):
                    names.append(self._adjoint(up))
                    waiting.append(up)
        return ", ".join(dict.fromkeys([*names, *gates, *values]))


def _stands_for_more(node: Expr) -> bool:
    """Whether reverse mode writes the value in the place of what it is: phi(s), or a quotient."""
    return isinstance(node, Apply) or any(isinstance(part, Pow) and part.exponent < 0 for part in parts(node))
