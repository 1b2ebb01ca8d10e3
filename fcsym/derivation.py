"""A derivation: the ordered list of equations, and the readings of it.

Network -> forward equations -> adjoint -> update(order) -> contribution  =  Derivation
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from fcsym.deriving.contribution import compensation, increments, integrated
from fcsym.deriving.forward import forward
from fcsym.deriving.update import step
from fcsym.document import Document
from fcsym.errors import ArgumentError
from fcsym.language.algebra import rename, tidy, tidy_bound
from fcsym.language.equation import Branch, Case, Cases, Condition, Equation, Order
from fcsym.language.expression import Array, Axis, Expr, Ref
from fcsym.networks.network import Network

if TYPE_CHECKING:
    import sympy

    from fcsym.kernel import Kernel
    from fcsym.pictures.picture import Picture
    from fcsym.proof import Proof

__all__ = ["Derivation", "derive", "finish"]


def derive(network: Network, order: Order = "simultaneous", slope_at_kink: object = None) -> Derivation:
    """Every equation of one training step and of its front contribution.

    `order`: "simultaneous" (the backward pass sees the old weights, as autodiff does) or "sequential" (it sees upper
    weights already updated, as the paper does, eq. 13-14).
    `slope_at_kink`: the derivative of the activations exactly at their kinks; by default what each declares, 0 for
    the built-in ones.
    Raises ArgumentError for an unknown order, NetworkError for a slope that is no number.

    >>> d = derive(Network.parse("2-2-1"), "sequential")
    >>> print(d["delta1"])
    delta1[i] = g1[i]*sum(k: W2_new[k, i]*delta2[k])
    """
    if not isinstance(network, Network):
        raise ArgumentError(
            f"derive got {type(network).__name__} as its network: make one with Network.parse('2-2-1')."
        )
    if order not in get_args(Order):
        raise ArgumentError(f"The order {str(order)[:40]!r} is not known: choose simultaneous or sequential.")
    if slope_at_kink is not None:
        network = network.with_slope_at_kink(slope_at_kink)
    passed = forward(network)
    learned = step(passed, network.parameters, order)
    carried = increments(passed, learned)
    known = {equation.name: equation for equation in (*passed, *learned, *carried)}
    equations = (*known.values(), *compensation(network), *integrated(network, known, order))
    return Derivation(network, order, finish(network, equations))


def finish(network: Network, equations: tuple[Equation, ...]) -> tuple[Equation, ...]:
    """Equations as readers want them: their index letters, and `uses` completed."""
    defined = frozenset(equation.name for equation in equations if equation.defines)
    return tuple(_finish(equation, network, defined) for equation in equations)


def _finish(equation: Equation, network: Network, defined: frozenset[str]) -> Equation:
    """Reader's index letters, and `uses` completed by what the right-hand side mentions."""
    output = Axis(len(network.layers))
    assert isinstance(equation.lhs, Ref)
    names = tidy(equation.lhs.indices, output)
    used = frozenset(index.letter for index in names.values())

    def letters(node: Expr) -> Expr:
        return tidy_bound(rename(node, names), used, output)

    rhs: Expr | Cases
    if isinstance(equation.rhs, Cases):
        rhs = Cases(
            tuple(
                Branch(
                    branch.name,
                    tuple(Condition(letters(c.subject), c.relation, c.bound) for c in branch.when),
                    None if branch.value is None else letters(branch.value),
                    branch.status,
                    branch.note,
                )
                for branch in equation.rhs
            )
        )
    else:
        rhs = letters(equation.rhs)
    mentioned = (array.name for array in equation.operands if array.name in defined)
    uses = tuple(dict.fromkeys((*mentioned, *(name for name in equation.uses if name in defined))))
    return replace(equation, lhs=letters(equation.lhs), rhs=rhs, uses=uses)


@dataclass(frozen=True)
class Derivation(Document):
    """The equations of one step, each after those it uses, and every reading of them."""

    network: Network
    order: Order
    equations: tuple[Equation, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Equation]:
        """The equations by their ASCII names."""
        return {equation.name: equation for equation in self.equations}

    def __getitem__(self, name: str) -> Equation:
        """The equation of that name: d["p"], d["ds1"], d["W2'"]. A name without a layer means the last hidden one."""
        return self.by_name[self.resolve(name)]

    def __iter__(self) -> Iterator[Equation]:
        return iter(self.equations)

    def __len__(self) -> int:
        return len(self.equations)

    def resolve(self, name: object, layer: int | None = None) -> str:
        """A name as people write it => the name of an equation; ArgumentError, and KeyError, when there is none."""
        wanted = str(name).strip().replace("'", "_new")
        depth = len(self.network.layers)
        if wanted in ("dE_dY", "dE_dy", "delta_y"):
            wanted = f"delta{depth}"
        head, after = (wanted.removesuffix("_new"), "_new") if wanted.endswith("_new") else (wanted, "")
        layers = [layer] if layer is not None else [depth - 1, depth, depth - 2]
        candidates = [wanted] if layer is None else []
        candidates += [f"{head}{n}{after}" for n in layers]
        if head == "dv" and after:  # the paper writes dv', which is the change from v^c
            candidates += [f"dv{n}" for n in layers]
        for candidate in candidates:
            if candidate in self.by_name:
                return candidate
        where = f" in layer {layer}" if layer is not None else ""
        raise UnknownQuantity(
            f"The derivation of {self.network} has no quantity {str(name)[:40]!r}{where}: "
            f"choose one of {', '.join(self.by_name)}."
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""
        result = [
            "The input `x` and the target `y_g` are the same before and after the step.",
            "The gates are held constant in derivatives: `phi'` is the slope of the piece, and at a kink as declared.",
        ]
        if self.order == "sequential":
            result.append(
                "The order is sequential: the error passes through weights already updated, with old activations, old "
                "gates and the old output error."
            )
        else:
            result.append("The order is simultaneous: the error passes through the old weights.")
        if "P" in self.by_name:
            because = self.by_name["P"].because
            result.append(f"For `P` only: {because[0].lower()}{because[1:]}")
        return tuple(result)

    # ------------------------------------------------------------------------------------------- readings

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
    def title(self) -> str:
        """What the list is about."""
        return f"{self.network}, {self.order} order"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"One training step of {self.title}"

    @property
    def lists(self) -> tuple[Derivation, ...]:
        """The lists of equations that a document shows: this one."""
        return (self,)

    @property
    def function(self) -> str:
        """The name of the function that the list is, in a scheme; "" for a derivation that is none."""
        return ""

    @property
    def signature(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What a scheme's function is given and what it returns; nothing for a derivation that is none."""
        return (), ()

    def kernel_source(self) -> str:
        """The source of the NumPy kernel; raises CompileError where there is none."""
        return self.compile().source

    def expr(
        self, name: str, unit: int = 1, *, output: int = 1, layer: int | None = None, case: str | None = None,
        keep: tuple[str, ...] = (), max_operations: int | None = None,
    ) -> sympy.Expr:  # fmt: skip
        """The closed form of one element, in weights and inputs; arguments and errors of `fcsym.closed.closed_form.expr`."""
        from fcsym.closed.closed_form import expr

        return expr(self, name, unit, output=output, layer=layer, case=case, keep=keep, max_operations=max_operations)

    def cases(
        self, name: str, unit: int = 1, *, output: int = 1, layer: int | None = None,
        keep: tuple[str, ...] = (), max_operations: int | None = None,
    ) -> list[Case]:  # fmt: skip
        """The case table of one unit, in raw weights and inputs; arguments and errors of `fcsym.closed.closed_form.cases`."""
        from fcsym.closed.closed_form import cases

        return cases(self, name, unit, output=output, layer=layer, keep=keep, max_operations=max_operations)

    def compile(self, target: str = "numpy") -> Kernel:
        """The step as a function of arrays: `kernel.step(weights, x, target, eta)`, for shapes see `fcsym.kernel`.

        Raises CompileError for a target other than numpy.
        """
        from fcsym.kernel import compile_step

        return compile_step(self, target)

    def case_map(
        self, plane: Sequence[str] = ("x_1", "x_2"), unit: int = 1, *, layer: int | None = None,
        at: Mapping[str, float] | None = None, ends: Sequence[Sequence[float]] | None = None,
        mark: Sequence[float] | None = None,
    ) -> Picture:  # fmt: skip
        """A picture of where each case of a hidden unit holds; arguments and errors of `fcsym.pictures.maps.case_map`."""
        from fcsym.pictures.maps import case_map

        return case_map(self, plane, unit, layer=layer, at=at, ends=ends, mark=mark)

    def case_maps(self) -> tuple[Picture, ...]:
        """The pictures that a document shows: the first unit over (x_1, x_2) and over (eta, w)."""
        from fcsym.pictures.maps import case_maps

        return case_maps(self)

    def __rich__(self) -> Any:
        from fcsym.render.terminal import document

        return document(self)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {equation}" for equation in self.equations)])


class UnknownQuantity(ArgumentError, KeyError):
    """No equation has that name."""

    __str__ = Exception.__str__
