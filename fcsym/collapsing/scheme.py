"""The scheme `collapsed` of any network that closes: what the finder found, and kernels that train on it.

s = fcsym.scheme(net, "collapsed")
s.size, s.recursion, s.proof                 # the closed state, as the finder found it
k = s.compile("c")                           # numpy, c, jax, torch
state = k.init(weights, X)                   # the number of inputs is that of X
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsym.collapsing import Choice, Closure, Collapse, find_collapse
from fcsym.collapsing.gates_held import gates_held, with_widths, without_gates
from fcsym.collapsing.kernel import CollapsedKernel
from fcsym.collapsing.tabled import most_columns, numbers_of
from fcsym.errors import ArgumentError, CompileError
from fcsym.kernel.gated import exact_gates
from fcsym.language.equation import Equation, Order
from fcsym.language.expression import Array
from fcsym.networks.network import Network

if TYPE_CHECKING:
    from fcsym.language.findings import Proof
    from fcsym.schemes.record import SchemeRecord

__all__ = ["CollapsedScheme", "collapsed_scheme", "refuse_exact_gates"]


def collapsed_scheme(network: Network, order: Order, conventional: Any = None) -> CollapsedScheme:
    """The scheme of a network. ArgumentError where nothing closes, and for what is no stack of dense layers.

    `conventional`: one training step by backpropagation, a Derivation, which the scheme is checked beside.
    """
    made = CollapsedScheme(network, order, conventional)
    made.chosen(network.samples or 2)
    return made


@dataclass(frozen=True, repr=False)
class CollapsedScheme:
    """Training on a closed state, for one network and one order, with gate events carried.

    `state`, `definitions`, `recursion`, `read`, `size` and `proof` are those of the finder's closed state, whose
    widths, number of inputs and of gate patterns are symbols. `compile` gives the four functions.
    """

    network: Network
    order: Order
    conventional: Any = None  # one training step by backpropagation
    name: str = "collapsed"
    single_input: bool = True  # what is held stays: `init` is given it
    is_statement: bool = False
    gates: tuple[Equation, ...] = ()  # no unit is held to its piece
    parts: tuple[Any, ...] = ()  # the four functions are no lists of equations

    @cached_property
    def found(self) -> Collapse:
        """What the finder found, for several inputs where it is not said how many."""
        return find_collapse(self.network, self.network.samples or 2, self.order)

    def chosen(self, inputs: int) -> tuple[int, ...]:
        """The layers to sum over for so many inputs: those of the fewest numbers, and more where that closes, too.

        A layer more never needs more columns than it has units. ArgumentError where no hidden layer closes.
        """
        found = self.found if inputs > 1 or self.network.samples else self._of_one
        closed = [c for c in found.choices if c.closed and any(c.found.contracted)]
        if not closed:
            why = next((c.said for c in found.choices if any(c.found.contracted)), "there is none")
            raise ArgumentError(
                f"collapsed needs a hidden layer that can be summed over ({self.network}; {why}): choose states or "
                "backprop."
            )
        first = min(closed, key=lambda c: (_numbers(c, inputs), c.found.contracted))
        least = set(first.found.contracted)
        more = [c.found.contracted for c in closed if least <= set(c.found.contracted)]
        return max(more, key=lambda layers: (len(layers), [-n for n in layers]))

    @cached_property
    def shown(self) -> Closure:
        """The closed state over the layers that its kernels sum over."""
        layers = self.chosen(self.network.samples or 2)
        closed = next(
            c.closure for c in self.found.choices if tuple(sorted(c.found.contracted)) == tuple(sorted(layers))
        )
        assert closed is not None
        return closed

    @cached_property
    def _of_one(self) -> Collapse:
        return find_collapse(self.network, 1, self.order)

    @property
    def state(self) -> tuple[Array, ...]:
        """The arrays of the closed state."""
        return self.found.state

    @property
    def definitions(self) -> tuple[Equation, ...]:
        """What each array of the state stands for."""
        return self.found.definitions

    @property
    def invariants(self) -> tuple[Equation, ...]:
        """The same, under the name that every scheme has for it."""
        return self.found.definitions

    @property
    def recursion(self) -> tuple[Equation, ...]:
        """The state after a step."""
        return self.found.recursion

    @property
    def read(self) -> tuple[Equation, ...]:
        """What is read off the state."""
        return self.found.read

    @property
    def size(self) -> Any:
        """How many numbers the state has: a SymPy polynomial."""
        return self.found.size

    @property
    def proof(self) -> Proof:
        """A finding for every equation of the recursion."""
        return self.found.proof

    @property
    def counted(self) -> SchemeRecord:
        """The equations of a step, to be counted: a width of a layer that is summed over is its number of columns.

        The most that there can be: as many as the layer has units, or for every gate pattern as many as a unit has
        numbers that are read.
        """
        made = self.network
        network = made.training(made.rule, made.batch or "sum", made.samples or 1)
        layers = self.chosen(network.samples)
        widths = list(network.widths[1:-1])
        own = without_gates(network, self.order, layers)
        for n, numbers in numbers_of(network, own, layers).items():
            widths[n - 1] = min(widths[n - 1], most_columns(network, numbers, own))
        return gates_held(with_widths(network, network.inputs, widths), self.order, layers)

    def compile(self, target: str = "numpy", gates: str = "float") -> CollapsedKernel:
        """The four functions: numpy, c, jax or torch; shapes as in `CollapsedKernel`. `gates`: "float" alone.

        Without a C compiler `c` warns and NumPy does the work. Raises CompileError for an unknown target, and for a
        package that is not installed.
        """
        refuse_exact_gates(gates)
        return CollapsedKernel(self.network, self.order, self.chosen, target, self.network.samples or None)

    @property
    def title(self) -> str:
        """What the scheme is about."""
        return f"collapsed of {self.network}, {self.order} order"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"The scheme {self.title}"

    def exportable(self, target: str) -> None:
        """Nothing: there are files for every target."""

    def export(
        self, path: str | Path, target: str | None = None, force: bool = False, values: Any = None
    ) -> list[Path]:  # fmt: skip
        """Write stand-alone files that carry gate events, after a check against autodiff, and return their paths.

        `path`: .py, for `target` numpy, jax or torch, by default numpy; or .c, with a header, a test program and a
        Makefile beside it. `force`, `values` and errors as for `Scheme.export`.
        """
        from fcsym.collapsing.export import export
        from fcsym.values import given_for

        given = None if values is None else given_for(self.network, values)
        layers = self.chosen(self.network.samples or 2)
        return export(self.network, self.order, layers, path, target, force, given)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.title}\n{self.found}"


def refuse_exact_gates(gates: object) -> None:
    """CompileError for gates="exact", and for what is neither that nor "float"."""
    if exact_gates(gates):
        raise CompileError(
            "collapsed holds no unit whose gate could be decided at every step: compile it with gates='float', or "
            "states with gates='exact'."
        )


def _numbers(choice: Choice, inputs: int) -> int:
    """How many numbers a closed state has for so many inputs, with as many gate patterns as there can be."""
    found = choice.found
    network = replace(found.held.network, samples=inputs) if found.held.network.batch else found.held.network
    bare = Closure(replace(found, held=replace(found.held, network=network)), (), (), (), ())
    lengths = {**network.sizes, **bare.patterns}
    return int(sum(quantity.count(lengths.__getitem__) for quantity in found.quantities))  # type: ignore[misc]
