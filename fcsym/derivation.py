"""A derivation as people use it: the ordered list of equations, and every reading of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fcsym.deriving.gradient import with_gradient
from fcsym.deriving.pipeline import one_step
from fcsym.deriving.record import Record, UnknownQuantity
from fcsym.document import Document, TypesetEquation, typeset
from fcsym.errors import ArgumentError, CompileError, shown
from fcsym.language.equation import Case, Order
from fcsym.networks.network import Network

if TYPE_CHECKING:
    from sympy import Expr as SymPyExpr

    from fcsym.deriving.numbers import Numbers
    from fcsym.drawing.picture import Picture
    from fcsym.kernel import Kernel
    from fcsym.language.findings import Proof
    from fcsym.language.sympy_bridge import Symbolic

__all__ = ["TARGETS", "Derivation", "WithValues", "derive"]


def derive(
    network: Network, order: Order = "simultaneous", slope_at_kink: object = None, *, rule: object = None,
    batch: str | None = None, samples: int | None = None,
) -> Derivation:  # fmt: skip
    """Every equation of one training step and of its front contribution.

    `order`: "simultaneous" (the backward pass sees the old weights, as autodiff does) or "sequential" (it sees upper
    weights already updated, as the paper does, eq. 13-14).
    `slope_at_kink`: the derivative of the activations exactly at their kinks, a number or a text such as "1/2"; by
    default what each declares, and where it declares nothing the slope on the left of the kink.
    `rule`: an update rule from `fcsym.rule`, or its name; by default the gradient step.
    `batch`: "mean" or "sum" of the loss over an axis of samples, x (..., samples, n_0); by default one sample.
    `samples`: how many, where that is known; otherwise it stays open.
    Raises ArgumentError for an unknown order, rule or batch, NetworkError for a slope that is no number.

    >>> d = derive(Network.parse("2-2-1"), "sequential")
    >>> print(d["delta1"])
    delta1[i] = g1[i]*sum(k: W2_new[k, i]*delta2[k])
    """
    found = one_step(network, order, slope_at_kink, rule, batch, samples)
    return Derivation(found.network, found.order, found.equations)


@dataclass(frozen=True, repr=False)
class Derivation(Record, Document):
    """The equations of one step, each after those it uses, and every reading of them."""

    def __post_init__(self) -> None:
        """The equations are the record's; those of a face can typeset themselves."""
        object.__setattr__(self, "equations", typeset(self.equations))

    def __getitem__(self, name: str) -> TypesetEquation:
        """The equation of that name: d["p"], d["ds1"], d["W2'"]; also a derivative that the list has no equation for.

        d["dE_dW1"], d["dE/dx"], d["dy_dW1"] and d["grad W1"] are derived when they are asked for.

        >>> print(derive(Network.parse("2-2-1"))["s1"].latex())
        s^{(1)}_{i} = \\sum_{j} W^{(1)}_{ij} \\, x_{j}
        """
        known, own = self._knowing(name)
        found = known.by_name[own]
        assert isinstance(found, TypesetEquation)
        return found

    def _knowing(self, name: str, layer: int | None = None) -> tuple[Derivation, str]:
        """The list, or the list with what a derivative of that name needs beside it; and the name there."""
        try:
            return self, self.resolve(name, layer)
        except UnknownQuantity:
            found = None if layer is not None else with_gradient(self, name)
            if found is None:
                raise
            return replace(self, equations=found[0]), found[1]

    @cached_property
    def proof(self) -> Proof:
        """The verdict on every equation and every case."""
        return self.prove()

    def prove(self, progress: Callable[[str], None] = lambda _: None) -> Proof:
        """The same, reporting the name of each equation before it is examined; `proof` then has the result."""
        result = self._examine(progress)
        self.__dict__["proof"] = result  # where cached_property keeps it
        return result

    def _examine(self, progress: Callable[[str], None]) -> Proof:
        from fcsym.proof import prove

        return prove(self, progress)

    @property
    def lists(self) -> tuple[Derivation, ...]:
        """The lists of equations that a document shows: this one."""
        return (self,)

    def kernel_source(self) -> str:
        """The source of the NumPy kernel; raises CompileError where there is none."""
        return self.compile().source

    def expr(
        self, name: str, unit: int | Sequence[int] | None = None, *, output: int | None = None,
        row: int | None = None, column: int | None = None, layer: int | None = None, case: str | None = None,
        keep: tuple[str, ...] = (), max_operations: int | None = None, at: int | Sequence[int] | None = None,
    ) -> SymPyExpr:  # fmt: skip
        """The closed form of one element, in weights and inputs; arguments as for `fcsym.closed.closed_form.expr`.

        >>> print(derive(Network.parse("2-2-1")).expr("W1'", row=2, column=1, keep=("delta1",)))
        -delta_2*eta*x_1 + w_3
        """
        from fcsym.closed.closed_form import expr

        d, own = self._knowing(name, layer)
        return expr(
            d, own, unit, output=output, row=row, column=column, case=case, keep=keep,
            max_operations=max_operations, at=at,
        )  # fmt: skip

    def cases(
        self, name: str, unit: int | Sequence[int] | None = None, *, output: int | None = None,
        row: int | None = None, column: int | None = None, layer: int | None = None, keep: tuple[str, ...] = (),
        max_operations: int | None = None, at: int | Sequence[int] | None = None,
    ) -> list[Case]:  # fmt: skip
        """The case table of one unit, in raw weights and inputs; arguments as for `fcsym.closed.closed_form.cases`."""
        from fcsym.closed.closed_form import cases

        return cases(
            self, name, unit, output=output, row=row, column=column, layer=layer, keep=keep,
            max_operations=max_operations, at=at,
        )  # fmt: skip

    def sympy(self, name: str, evaluate: bool = False) -> Symbolic:
        """An equation as two SymPy expressions, `lhs` and `rhs`, in indices; `fcsym.from_sympy` reads it back.

        With `evaluate`, sums and products are sorted and folded as SymPy does it, and no longer stand as derived.

        >>> derive(Network.parse("2-2-1")).sympy("s1")
        s1[i] = Sum(W1[i, j]*x[j], (j, 0, n_0 - 1))
        """
        from fcsym.language.sympy_bridge import to_sympy

        return to_sympy(self[name], evaluate)

    def with_values(self, values: Any, digits: int = 6) -> WithValues:
        """The same derivation with the numbers of one step beside every equation, wherever it is shown.

        Each element then reads formula = the numbers put in = value, and what is defined by cases says which holds.
        `values`: the path of a values file, or names with numbers, as `fcsym.values` takes them. `digits`: how
        many significant ones are shown; the step itself is exact.
        Raises ArgumentError for values that do not fit and for digits below 1, SizeError where an array has too many
        numbers to be written out.

        >>> d = derive(Network.parse("1-1")).with_values({"x": [2], "target": 1, "W1": [["1/2"]], "eta": 0.1})
        >>> d.numbers.text["W1_new", (0, 0)]
        '0.5'
        """
        from fcsym.values import given_for, numbers

        if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 1000:
            raise ArgumentError(f"digits is {shown(digits)!r}: give a whole number from 1 to 1000.")
        given = given_for(self.network, values)
        made = WithValues(self.network, self.order, self.equations, numbers(self.equations, given, digits))
        if "proof" in self.__dict__:
            made.__dict__["proof"] = self.proof
        return made

    def compile(self, target: str = "numpy", gates: str = "float") -> Kernel:
        """The step as a function of arrays: `kernel.step(weights, x, target, eta)`, for shapes see `fcsym.kernel`.

        `numpy`: matrix products, for any width. `lambdify`: the SymPy closed forms of a small network as one function.
        `gates`: "exact" for gates as exact numbers decide them where rounding could turn one, for NumPy alone.
        Raises CompileError for another target, SizeError where the closed forms would be too large.
        """
        from fcsym.kernel import Kernel
        from fcsym.kernel.gated import exact_gates

        if target not in TARGETS:
            raise CompileError(
                f"The target {shown(target)!r} is no target for a derivation: choose {' or '.join(TARGETS)}, or "
                "compile a scheme."
            )
        if exact_gates(gates) and target != "numpy":
            raise CompileError(f'gates="exact" is for the target numpy, and not for {target}: leave one of them out.')
        return Kernel(self, gates=gates) if exact_gates(gates) else TARGETS[target](self)

    def case_map(
        self, plane: Sequence[str] = ("x_1", "x_2"), unit: int = 1, *, layer: int | None = None,
        at: Mapping[str, float] | None = None, ends: Sequence[Sequence[float]] | None = None,
        mark: Sequence[float] | None = None,
    ) -> Picture:  # fmt: skip
        """A picture of where each case of a hidden unit holds; arguments as for `fcsym.pictures.maps.case_map`."""
        from fcsym.pictures.maps import case_map

        return case_map(self, plane, unit, layer=layer, at=at, ends=ends, mark=mark)

    def case_maps(self) -> tuple[Picture, ...]:
        """The pictures that a document shows: the first unit over (x_1, x_2) and over (eta, w)."""
        from fcsym.pictures.maps import case_maps

        return case_maps(self)

    def __rich__(self) -> Any:
        from fcsym.render.terminal import document

        return document(self)


@dataclass(frozen=True, repr=False)
class WithValues(Derivation):
    """A derivation with the numbers of one step beside its equations."""

    at_values: Numbers

    @property
    def numbers(self) -> Numbers:
        """The numbers that stand beside the equations."""
        return self.at_values


def _numpy(d: Derivation) -> Kernel:
    from fcsym.kernel import Kernel

    return Kernel(d)


def _lambdify(d: Derivation) -> Kernel:
    from fcsym.closed.lambdified import lambdified
    from fcsym.kernel import Kernel
    from fcsym.kernel.lower import step_signature

    return Kernel(d, "lambdify", lambdified(d, *step_signature(d)))


TARGETS: Mapping[str, Callable[[Derivation], Kernel]] = {"numpy": _numpy, "lambdify": _lambdify}
"""What a derivation can be compiled for."""
