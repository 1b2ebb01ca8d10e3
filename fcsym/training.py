"""Schemes as people use them: the state that training carries, four derivations over it, and every reading of them.

s = fcsym.scheme(net, "states", order="sequential")
k = s.compile("numpy")
state = k.init(weights, x)
state = k.step(state, x, target, eta)
k.output(state, x), k.expand(state, weights, x)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsym import schemes
from fcsym.derivation import Derivation
from fcsym.deriving.pipeline import one_step
from fcsym.document import Document, typeset
from fcsym.errors import ArgumentError, CompileError, shown
from fcsym.language.equation import Equation, Order
from fcsym.networks.network import Network
from fcsym.schemes import statements
from fcsym.schemes.record import PartRecord, SchemeRecord

if TYPE_CHECKING:
    from fcsym.deriving.numbers import Numbers
    from fcsym.language.findings import Proof

__all__ = ["Part", "Scheme", "collapse", "next_input", "scheme"]


def scheme(
    network: Network, name: str, order: Order = "simultaneous", slope_at_kink: object = None, *, rule: object = None,
    batch: str | None = None, samples: int | None = None,
) -> Scheme:  # fmt: skip
    """The scheme of that name for a network.

    `backprop`: all weights, the reference. `weights`: the last layer's w + p (technique 1 of the paper's figure 3).
    `compensation`: w fixed, P accumulates (technique 2). `states`: first pre-activations and upper weights (technique
    3). These three are for one input that stays. `history`: distinct inputs and a coefficient for each (eq. 18-20).
    `basis`: first-layer responses to probe vectors (eq. 5, 32). `collapsed`: a few numbers for a hidden layer of any
    width, on inputs that stay: what `find_collapse` finds, with gate events carried (beyond the paper).

    `order`, `slope_at_kink`, `rule`, `batch`, `samples`: as for `derive`.
    Raises ArgumentError for an unknown name, order, rule or batch, and where the scheme does not exist for the network.

    >>> [array.name for array in scheme(Network.parse("2-2-1"), "states").state]
    ['s1', 'W2', 'c0', 't0', 'key']
    """
    if name == "collapsed" and isinstance(network, Network):
        made: Scheme = _collapsed(network, name, order, slope_at_kink, rule, batch, samples)
        return made
    return Scheme.of(schemes.build(network, name, order, slope_at_kink, rule, batch, samples))


def _collapsed(
    network: Network,
    name: str,
    order: Order,
    slope_at_kink: object,
    rule: object,
    batch: str | None,
    samples: int | None,
) -> Any:
    """The equations of one input and one output where these hold the network, and what the finder finds of others."""
    from fcsym.collapsed import CollapsedAnyInputs

    try:
        record = schemes.build(network, name, order, slope_at_kink, rule, batch, samples)
    except ArgumentError:
        base = one_step(network, order, slope_at_kink, rule, batch, samples)  # which says what of these is wrong
        if base.network.built is not None:  # no stack of dense layers, as is said already
            raise
        return CollapsedAnyInputs.of(base)
    return CollapsedOneInput.of(record)


def collapse(network: Network, order: Order = "simultaneous", slope_at_kink: object = None) -> Scheme:
    """n layers => n - 1 => ... => 1: the compensation at every layer boundary, after any number of steps.

    With every layer below it frozen, layer l needs the weights R_l = W_l + p_l on the constant input v^c of the layer
    below, and then has the pre-activations of backpropagation. So the next layer reads the same v, and the argument can
    be repeated (supplement, induction; eq. 22 at every boundary). The last R is the direct formula
    w + w (v - v^c)/v^c: v is the same in both.
    `order`, `slope_at_kink`: as for `derive`. Raises ArgumentError for a network without a hidden layer and for an
    unknown order.
    """
    return Scheme.of(statements.collapse(network, order, slope_at_kink))


def next_input(network: Network, order: Order = "simultaneous", slope_at_kink: object = None) -> Scheme:
    """One step on x, seen from another input z: eq. 18-19, and for one hidden layer eq. 31 with its domain.

    Repeated for every step, eq. 18-19 is the scheme `history`: s1(z) = W1_c z + sum_m C_m (x_m . z).
    `order`, `slope_at_kink`: as for `derive`. Raises ArgumentError for an unknown order.
    """
    return Scheme.of(statements.next_input(network, order, slope_at_kink))


@dataclass(frozen=True, repr=False)
class Scheme(SchemeRecord, Document):
    """A way to carry training state, for one network and one order."""

    @classmethod
    def of(cls, record: SchemeRecord) -> Scheme:
        """The record with its readings."""
        return cls(**{item.name: getattr(record, item.name) for item in fields(record)})

    if TYPE_CHECKING:  # parts of a scheme are derivations with their readings

        @property
        def init(self) -> Part: ...  # noqa: D102
        @property
        def step(self) -> Part: ...  # noqa: D102
        @property
        def output(self) -> Part: ...  # noqa: D102
        @property
        def expand(self) -> Part: ...  # noqa: D102
        @property
        def parts(self) -> tuple[Part, ...]: ...  # noqa: D102

    def _part(self, name: str) -> Part:
        return Part(*self._listed(name))

    def with_values(self, values: Any, digits: int = 6) -> WithValues:
        """The same scheme with the numbers of one step beside its equations, wherever they are shown.

        `init` is given the weights, `step` what it returns, `output` and `expand` the state after the step. Arguments
        and errors as for `Derivation.with_values`; ArgumentError for a statement, too.

        >>> s = scheme(Network.parse("1-1"), "backprop")
        >>> s = s.with_values({"x": [2], "target": 3, "W1": [["1/2"]], "eta": "0.1"})
        >>> s.step.numbers.text["W1_new", (0, 0)]
        '0.9'
        """
        from fcsym.kernel.worked import scheme_numbers
        from fcsym.values import given_for

        if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 1000:
            raise ArgumentError(f"digits is {shown(digits)!r}: give a whole number from 1 to 1000.")
        if self.is_statement:
            raise ArgumentError(f"{self.name} is a statement to be read: numbers are put into a scheme.")
        made = WithValues(**{item.name: getattr(self, item.name) for item in fields(SchemeRecord)})
        made.by_function.update(scheme_numbers(self, given_for(self.network, values), digits))
        if "proofs" in self.__dict__:
            made.__dict__["proofs"] = self.proofs
        return made

    @property
    def conventional(self) -> Derivation:
        """One training step by backpropagation, of whose equations the four functions are made."""
        return Derivation(self.network, self.order, self.base.equations)

    @property
    def lists(self) -> tuple[Derivation, ...]:
        """The lists of equations that a document shows: one for each function."""
        return self.parts

    @cached_property
    def invariants(self) -> tuple[Equation, ...]:
        """What the state stands for, with the index letters of the four derivations."""
        return typeset(super().invariants)

    def kernel_source(self) -> str:
        """The source of the four functions over NumPy arrays; raises CompileError for a statement."""
        return str(self.compile().source)

    @cached_property
    def proof(self) -> Proof:
        """The verdict on every equation of the four derivations, named `step: s1_new`."""
        from fcsym.proof.schemes import merged

        return merged(self.proofs)

    @cached_property
    def proofs(self) -> Mapping[str, Proof]:
        """The verdicts part by part."""
        from fcsym.proof.schemes import prove_scheme

        return prove_scheme(self)

    def compile(self, target: str = "numpy", gates: str = "float") -> Any:
        """The four functions over arrays: numpy, c, jax or torch; shapes as in `fcsym.kernel.scheme.SchemeKernel`.

        `gates`: "exact" for gates as exact numbers decide them where rounding could turn one, for NumPy alone.
        Without a C compiler `c` warns and gives the NumPy kernel. Raises CompileError for an unknown target, a package
        that is not installed, and a statement.
        """
        from fcsym.kernel.by_target import compile_scheme

        if self.is_statement:
            raise CompileError(f"{self.name} is a statement to be read: compile a scheme, fcsym.scheme(net, name).")
        return compile_scheme(self, target, gates)

    def exportable(self, target: str) -> None:
        """CompileError where there is no such file of it."""
        from fcsym.kernel.lower import lower_scheme

        del target
        lower_scheme(self)

    def export(
        self, path: str | Path, target: str | None = None, force: bool = False, values: Any = None
    ) -> list[Path]:  # fmt: skip
        """Write stand-alone files, .py or .c, after a check against autodiff, and return their paths.

        `target`: numpy, c, jax or torch, by default what the ending says. `force`: replace files that fcsym did not
        write. `values`: numbers that the file tests itself with, beside others: a values file, or what
        `Derivation.with_values` takes. Raises ArgumentError for a place that cannot be written and for values that do
        not fit or are no test, CompileError for an unknown target, ExportError where the kernel and autodiff disagree.
        """
        from fcsym.kernel.export import export
        from fcsym.values import given_for

        return export(self, path, target, force, None if values is None else given_for(self.network, values))

    def __rich__(self) -> Any:
        from fcsym.render.terminal import document

        return document(self)


@dataclass(frozen=True, repr=False)
class CollapsedOneInput(Scheme):
    """`collapsed` of one output, as equations of one input; its kernels take several inputs and carry gate events."""

    def compile(self, target: str = "numpy", gates: str = "float") -> Any:
        """The four functions over arrays: numpy, c, jax or torch; `init` takes one input, (n_0,), or several, (m, n_0).

        `gates`: "float" alone. Errors as for `Scheme.compile`.
        """
        from fcsym.collapsing.one_input import OneInputKernel
        from fcsym.collapsing.scheme import collapsed_scheme, refuse_exact_gates

        refuse_exact_gates(gates)
        return OneInputKernel(
            super().compile(target), lambda: collapsed_scheme(self.network, self.order).compile(target)
        )


@dataclass(frozen=True, repr=False)
class WithValues(Scheme):
    """A scheme with the numbers of one step beside its equations."""

    by_function: dict[str, Numbers] = field(default_factory=dict, compare=False)

    @property
    def numbers(self) -> Numbers | None:
        """The numbers that stand beside the equations of the step."""
        return self.by_function.get("step")


@dataclass(frozen=True, repr=False)
class Part(PartRecord, Derivation):
    """One of a scheme's four derivations, with its arguments and results."""

    scheme: Scheme

    @property
    def numbers(self) -> Numbers | None:
        """The numbers that stand beside the equations, where the scheme has some."""
        return self.scheme.by_function.get(self.name) if isinstance(self.scheme, WithValues) else None

    def _examine(self, progress: Any) -> Proof:
        return self.scheme.proofs[self.name]

    def compile(self, target: str = "numpy", gates: str = "float") -> Any:
        """Not on its own: a scheme's four functions are compiled together."""
        raise CompileError(
            f"{self.name} is one of four functions: compile the whole scheme, scheme.compile({target!r})."
        )
