"""Exact collapse: the closed states of a network, found by the engine.

    found = fcsym.find_collapse(fcsym.Network.parse("3-8-4-1"))
    found.closed, found.size, found.state, found.recursion, found.proof.holds

Network -> the step with its gates held -> the finder, for every choice of layers -> equations, and fewer of them
-> proof. Nothing here knows which network closes: it is seen when a step of what was found needs nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, get_args

from fcsym.collapsing.conserved import Constant, Form, constants, forms
from fcsym.collapsing.equations import Closure
from fcsym.collapsing.finder import Bounds, Search, searches
from fcsym.collapsing.lumped import lumped
from fcsym.deriving.forward import forward
from fcsym.errors import ArgumentError, shown
from fcsym.language.equation import Equation, Order
from fcsym.language.expression import Array
from fcsym.language.findings import Proof
from fcsym.networks.network import Network

if TYPE_CHECKING:
    import numpy.typing as npt

    from fcsym.collapsing.kernel import CollapsedKernel
    from fcsym.collapsing.training import Training

__all__ = ["Bounds", "Choice", "Closure", "Collapse", "Constant", "Form", "find_collapse", "layers_in_words"]


def find_collapse(
    network: Network, inputs: int = 1, order: Order = "simultaneous", *, contracted: Sequence[int] | None = None,
    rule: object = None, batch: str | None = None, bounds: Bounds | None = None,
) -> Collapse:  # fmt: skip
    """The closed states of a network on held inputs: every choice of layers whose units can be summed over.

    Held are the inputs, `inputs` distinct ones, the gate pattern of every unit of a layer that is summed over, the
    order and the update rule. Steps may be on one input after another, or on several of them at once; the errors at the
    output may be any, so that targets may change and the loss is any.
    `contracted`: the layers to sum over, 0 for the inputs; by default every choice is tried. `rule`, `batch`: as for
    `derive`. `bounds`: where the finder stops.
    Raises ArgumentError for what is no network, order, number of inputs or choice of layers.

    >>> found = find_collapse(Network.parse("2-2-1"))
    >>> found.closed, found.size, [array.name for array in found.state]
    (True, 2*p_1, ['T1', 'T2'])
    """
    if not isinstance(network, Network):
        raise ArgumentError(
            f"find_collapse got {type(network).__name__} as its network: make one with Network.parse('2-2-1')."
        )
    if not _is_chain(network):
        raise ArgumentError(f"find_collapse needs fully connected layers, one after the other: {network} has others.")
    if order not in get_args(Order):
        raise ArgumentError(f"The order {shown(order)!r} is not known: choose {' or '.join(get_args(Order))}.")
    if (rule, batch) != (None, None):
        network = network.training(
            network.rule if rule is None else rule, network.batch if batch is None else batch, network.samples or None
        )
    only = None if contracted is None else _chosen(network, contracted)
    return Collapse(network, order, inputs, tuple(map(Choice, searches(network, order, inputs, bounds, only))))


def _is_chain(network: Network) -> bool:
    """Whether its forward equations are those of its widths and activations alone."""
    plain = Network(
        network.layers, inputs=network.inputs, loss=network.loss, common=network.common, batch=network.batch,
        samples=network.samples, counted=network.counted, softmax=network.softmax,
    )  # fmt: skip
    return [(e.lhs, e.rhs) for e in forward(plain)] == [(e.lhs, e.rhs) for e in forward(network)]


def _chosen(network: Network, contracted: Sequence[int]) -> frozenset[int]:
    """The layers to sum over, 0 for the inputs."""
    depth = len(network.layers)
    made = frozenset(n for n in contracted if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < depth)
    if len(made) != len(tuple(contracted)) or not made:
        raise ArgumentError(
            f"The layers to sum over are {', '.join(map(str, contracted)) or 'none'}: give different numbers, from 0 "
            f"for the inputs to {depth - 1} for the last hidden layer."
        )
    return made


@dataclass(frozen=True)
class Choice:
    """One choice of layers to sum over, and what came of it."""

    found: Search

    @cached_property
    def closure(self) -> Closure | None:
        """The closed state with the fewest numbers; None where nothing closed."""
        if not self.found.closed:
            return None
        whole = Closure.of(self.found)
        return lumped(whole) or whole

    @property
    def closed(self) -> bool:
        """Whether its state is closed."""
        return self.found.closed

    @property
    def layers(self) -> str:
        """The layers that are summed over, in words."""
        return layers_in_words(self.found.contracted)

    @cached_property
    def numbers(self) -> int | None:
        """How many numbers its state has at the network's widths, with as many gate patterns as there can be."""
        return None if self.closure is None else self.closure.at_widths(self.closure.size)

    @property
    def said(self) -> str:
        """What the finder saw, in a sentence."""
        growth = self.found.growth
        rounds = f"{len(growth)} round{'s' if len(growth) > 1 else ''}"
        new = ", ".join(str(count) for count, _ in growth)
        long = ", ".join(str(factors) for _, factors in growth)
        if self.closed:
            return f"closed: {new} new in {rounds}, then nothing"
        if not growth:
            return f"open: {self.found.why_not}"
        return f"open: {new} new in {rounds}, of up to {long} factors; {self.found.why_not}"


@dataclass(frozen=True, repr=False)
class Collapse:
    """What the finder found for a network: its closed states, the smallest one first among them."""

    network: Network
    order: Order
    inputs: int
    choices: tuple[Choice, ...]

    @cached_property
    def choice(self) -> Choice | None:
        """The choice of layers with the fewest numbers; None where nothing closed."""
        closed = [choice for choice in self.choices if choice.closed]
        return min(closed, key=lambda c: (c.numbers or 0, c.found.contracted), default=None)

    @property
    def closed(self) -> bool:
        """Whether there is a closed state."""
        return self.choice is not None

    @property
    def closure(self) -> Closure:
        """The smallest closed state. Raises ArgumentError where there is none."""
        if self.choice is None or self.choice.closure is None:
            raise ArgumentError(f"No closed state of {self.network} was found: {self.choices[0].said}.")
        return self.choice.closure

    @property
    def state(self) -> tuple[Array, ...]:
        """The arrays of the smallest closed state."""
        return self.closure.state

    @property
    def definitions(self) -> tuple[Equation, ...]:
        """What each array of the state stands for."""
        return self.closure.definitions

    @property
    def recursion(self) -> tuple[Equation, ...]:
        """The state after a step, in the state, the errors at the output, and what is held."""
        return self.closure.recursion

    @property
    def read(self) -> tuple[Equation, ...]:
        """What is read off the state: the output, and pre-activations and errors of layers that are not summed over."""
        return self.closure.read

    @property
    def size(self) -> Any:
        """How many numbers the state has: a SymPy polynomial in the widths n, the inputs m and the patterns p."""
        return self.closure.size

    @property
    def proof(self) -> Proof:
        """A finding for every equation of the recursion."""
        return self.closure.proof

    @property
    def rounds(self) -> tuple[tuple[int, int], ...]:
        """For every round of the smallest state how many quantities were new, and the factors of the longest."""
        return () if self.choice is None else self.choice.found.growth

    @property
    def carried(self) -> int:
        """How many numbers training carries without any of this: weights, and what the update rule remembers."""
        arrays = (*self.network.parameters, *self.network.memory)
        return sum(prod(self.network.shape(array)) for array in arrays)

    @property
    def saves(self) -> bool:
        """Whether the smallest state has fewer numbers than training carries."""
        return self.closed and self.closure.at_widths(self.size) < self.carried

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """The forms in the smallest state's quantities that every step multiplies by a known factor."""
        return () if self.choice is None else forms(Closure.of(self.choice.found))

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Constants of motion of every unit as eta -> 0, layer by layer, and what one step changes them by."""
        return constants(self.network, self.order, self.inputs)

    @property
    def title(self) -> str:
        """What it is about."""
        return f"{self.network}, {self.order} order, {self.inputs} held input{'s' if self.inputs > 1 else ''}"

    @property
    def conclusion(self) -> str:
        """What was found, in a sentence."""
        if self.choice is None:
            return f"{self.title}: no closed state was found."
        patterns = self.closure.patterns.items()
        at_most = " and ".join(f"{group.name} = {most}" for group, most in patterns)
        what = f"{self.size} numbers"
        if str(self.size) != str(self.choice.numbers):
            what += f", {self.choice.numbers} at these widths" + (f" with {at_most}, the most" if at_most else "")
        verdict = f"proved {len(self.proof.findings)} equations" if self.proof.holds else "its recursion is not proved"
        saved = "" if self.saves else "; nothing is saved"
        return (
            f"{self.title}: summed over {self.choice.layers}, training closes on {what}, in place of {self.carried}"
            f"{saved}; {verdict}."
        )

    def train(self, weights: Sequence[npt.ArrayLike], inputs: npt.ArrayLike) -> Training:
        """Training on the smallest closed state, from these weights and on these inputs.

        `weights`: [W1, b1, W2, ...], one network; `inputs`: (m, n_0), or (n_0,) for one. Raises ArgumentError for
        arrays that do not fit, and where there is no closed state.
        """
        from fcsym.collapsing.training import Training

        return Training(self.network, self.closure.found, weights, inputs)

    def compile(self, target: str = "numpy") -> CollapsedKernel:
        """The four functions of the smallest closed state, with the arguments that schemes have.

        `target`: numpy, c, jax or torch. Raises CompileError for an unknown one, ArgumentError where nothing closes.
        """
        from fcsym.collapsing.kernel import CollapsedKernel

        contracted = tuple(sorted(self.closure.found.contracted))
        return CollapsedKernel(self.network, self.order, contracted, target, self.inputs)

    def latex(self) -> str:
        """The state and its recursion as LaTeX displays."""
        from fcsym.render.formula import equation

        closure = self.closure
        parts = (*closure.data, *closure.parts, *closure.definitions, *closure.read, *closure.recursion)
        return "\n".join(rf"\[ {equation(part)} \]" for part in parts if part.lhs != part.rhs)

    def as_dict(self) -> dict[str, Any]:
        """The whole as plain data."""
        result: dict[str, Any] = {
            "network": str(self.network), "order": self.order, "inputs": self.inputs, "closed": self.closed,
            "state": [], "size": None, "numbers": None, "carried": self.carried, "saves": self.saves, "recursion": [],
            "rounds": [{"new": new, "factors": factors} for new, factors in self.rounds],
            "forms": [str(form) for form in self.forms], "constants": [str(one) for one in self.constants],
            "choices": [_choice(choice) for choice in self.choices],
        }  # fmt: skip
        if self.choice is not None:
            result |= {
                "state": [str(e) for e in self.definitions], "size": str(self.size), "numbers": self.choice.numbers,
                "read": [str(e) for e in self.read], "recursion": [str(e) for e in self.recursion],
                "given": [str(e) for e in (*self.closure.data, *self.closure.parts)], "proved": self.proof.holds,
            }  # fmt: skip
        return result

    def _repr_latex_(self) -> str:
        return self.latex() if self.closed else str(self)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [self.conclusion]
        if self.closed:
            closure = self.closure
            for title, equations in (
                ("given", (*closure.data, *closure.parts)), ("state", closure.definitions), ("read", closure.read),
                ("step", closure.recursion),
            ):  # fmt: skip
                lines += [f"  {title}: {_shown(equation)}" for equation in equations]
        lines += [f"  conserved: {one}" for one in (*self.forms, *self.constants)]
        lines += [f"  summed over {choice.layers}: {_told(choice)}" for choice in self.choices]
        return "\n".join(lines)


def _shown(equation: Equation) -> str:
    """The equation; an array of the network as it is, by its name."""
    return repr(equation.lhs) if equation.lhs == equation.rhs else str(equation)


def _told(choice: Choice) -> str:
    if choice.closure is None:
        return choice.said
    return f"{choice.said}; {choice.closure.size} numbers, {choice.numbers} at these widths"


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "contracted": list(choice.found.contracted), "closed": choice.closed, "said": choice.said,
        "size": None if choice.closure is None else str(choice.closure.size), "numbers": choice.numbers,
        "rounds": [{"new": new, "factors": factors} for new, factors in choice.found.growth],
    }  # fmt: skip


def layers_in_words(contracted: Sequence[int]) -> str:
    """(0, 1, 3) => "the inputs and layers 1 and 3"."""
    hidden = [str(n) for n in contracted if n]
    parts = ["the inputs"] if 0 in contracted else []
    if hidden:
        parts.append(f"layer{'s' if len(hidden) > 1 else ''} {' and '.join(hidden)}")
    return " and ".join(parts)
