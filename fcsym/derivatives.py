"""Derivatives by name, as people use them: dE/dW, dy/dx, d2E/dW dW, with their proof, documents and kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from fcsym.derivation import Derivation
from fcsym.deriving.gradient import GradientRecord
from fcsym.errors import ArgumentError, CompileError, shown
from fcsym.networks.network import Network

if TYPE_CHECKING:
    from sympy import Expr as SymPyExpr

    from fcsym.deriving.numbers import Numbers
    from fcsym.drawing.picture import Picture
    from fcsym.kernel.gradient import GradientKernel
    from fcsym.language.findings import Proof

__all__ = ["Gradient", "gradient"]


def gradient(
    network: Network, of: str = "E", by: str | Sequence[str] = "W1", slope_at_kink: object = None, *,
    along: str | Sequence[str] | None = None, batch: str | None = None, samples: int | None = None,
) -> Gradient:  # fmt: skip
    """The derivatives of the error, or of the outputs, by parameters or inputs: the equations that they need.

    `of`: "E", or "y" for the Jacobian, whose first axis is that of the outputs. `by`: a parameter ("W1", "b1") or the
    input, "x"; several in a list, or with commas. `slope_at_kink`, `batch` and `samples` as for `fcsym.derive`. In a
    mini-batch dE_dx has a row for each sample, and dy_dW1 is each sample's own: (samples, n_L, n_1, n_0).

    Second derivatives: with `of` a first one, "dE_dW1", and by W2 it is d2E_dW1_dW2, (n_1, n_0, n_2, n_1). `along`:
    names as in `by`, each of which has a direction, TW1 for W1; E is then differentiated along them, dE_dT, and
    d2E_dT_dW1, (n_1, n_0), is the product of the Hessian with the directions. Only E is differentiated twice.
    Raises ArgumentError, a KeyError too, for a name that is not there.

    >>> g = gradient(Network.parse("2-2-1"), of="E", by="W1,x")
    >>> print(g["dE_dx"])
    dE_dx[i] = sum(j: W1[j, i]*delta1[j])
    >>> print(gradient(Network.parse("2-2-1"), of="E", by="W1", along="W1")["d2E_dT_dW1"])
    d2E_dT_dW1[i, j] = d2E_dT_ds1[i]*x[j]
    """
    if isinstance(network, Network):
        if slope_at_kink is not None:
            network = network.with_slope_at_kink(slope_at_kink)
        if (batch, samples) != (None, None):
            network = network.training(
                network.rule, network.batch if batch is None else batch, network.samples or None if samples is None
                else samples,
            )  # fmt: skip
    found = GradientRecord.derived(network, of, by, along)
    return Gradient(found.network, found.order, found.equations, found.of, found.by, found.along)


@dataclass(frozen=True, repr=False)
class Gradient(GradientRecord, Derivation):
    """The equations of some derivatives, and every reading of them."""

    def _examine(self, progress: Callable[[str], None]) -> Proof:
        from fcsym.proof.gradients import prove_gradient

        return prove_gradient(self, progress)

    @property
    def lists(self) -> tuple[Derivation, ...]:
        """The lists of equations that a document shows: this one."""
        return (self,)

    def expr(
        self, name: str, unit: int | Sequence[int] | None = None, *, output: int | None = None,
        row: int | None = None, column: int | None = None, layer: int | None = None, case: str | None = None,
        keep: tuple[str, ...] = (), max_operations: int | None = None, at: int | Sequence[int] | None = None,
    ) -> SymPyExpr:  # fmt: skip
        """The closed form of one element, in weights and inputs, of a small network.

        `at`: the element, each number from 1: g.expr("dy_dW1", at=(output, row, column)). Otherwise arguments and
        errors are those of `Derivation.expr`.
        """
        from fcsym.closed.closed_form import expr

        place: dict[str, Any] = {"unit": unit, "output": output, "row": row, "column": column, "at": at}
        return expr(self, name, **place, layer=layer, case=case, keep=keep, max_operations=max_operations)

    def compile(self, target: str = "numpy") -> GradientKernel:  # type: ignore[override]  # it computes no step
        """The derivatives as a function of arrays, `kernel.gradient(weights, x, target)`; see `fcsym.kernel.gradient`.

        `numpy`; `c`, built by the machine's compiler; `jax` and `torch`, whose `source` is a pure function of the
        library's own arrays. All are given NumPy's and return them. Raises CompileError for another target, and where
        the compiler or the library is not there.
        """
        from fcsym.kernel.gradient import TARGETS, GradientKernel

        if target not in TARGETS:
            raise CompileError(
                f"The target {shown(target)!r} is no target for derivatives: choose {', '.join(TARGETS)}."
            )
        return GradientKernel(self, target)

    def with_values(self, values: Any, digits: int = 6) -> GradientWithValues:  # type: ignore[override]
        """The same with numbers put in, as `Derivation.with_values`; eta need not be there, and directions must be."""
        from fcsym.networks.symbols import direction_of
        from fcsym.values import given_for, numbers

        if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 1000:
            raise ArgumentError(f"digits is {shown(digits)!r}: give a whole number from 1 to 1000.")
        needs: Any = {"directions": [direction_of(a) for a in self.asked.along], "needs_eta": False}
        given = given_for(self.network, values, **needs)
        own = {item.name: getattr(self, item.name) for item in fields(Gradient)}
        made = GradientWithValues(**own, at_values=numbers(self.equations, given, digits))
        if "proof" in self.__dict__:
            made.__dict__["proof"] = self.proof
        return made

    def case_maps(self) -> tuple[Picture, ...]:
        """The pictures that a document shows: none."""
        return ()


@dataclass(frozen=True, repr=False)
class GradientWithValues(Gradient):
    """Derivatives with the numbers of one point beside their equations."""

    at_values: Numbers | None = None

    @property
    def numbers(self) -> Numbers | None:
        """The numbers that stand beside the equations."""
        return self.at_values
