"""Derivatives by name: dE/dW, dE/dx, dy/dW, each with the equations that it needs and no others.

The forward equations, the same reverse mode that the step has, and one equation for each derivative that is wanted. In
a mini-batch a sample's output depends on that sample alone: its derivatives are those of one sample, for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from fcsym.deriving.differentiate import reverse
from fcsym.deriving.forward import forward
from fcsym.deriving.pipeline import finish
from fcsym.deriving.record import Record, UnknownQuantity
from fcsym.deriving.update import named_in
from fcsym.errors import ArgumentError
from fcsym.language.activation import said_of_gates
from fcsym.language.algebra import indices_of, replaced
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import ZERO, Array, Expr, Index, Ref, Role, arrays_in
from fcsym.networks.network import Network
from fcsym.networks.symbols import ERROR, SAMPLES, derivative_of, one_sample, over_samples

__all__ = ["GradientRecord", "of_one_sample", "wanted", "with_gradient"]

Wanted: TypeAlias = "tuple[Array, tuple[Array, ...]]"
"""What is differentiated, and by which arrays."""

_WRITTEN = re.compile(r"d\s?([A-Za-z]+)\s?[_/]\s?d\s?([A-Za-z]+[0-9]*)|(?:grad|nabla)[ _]([A-Za-z]+[0-9]*)", re.ASCII)
"""dE_dW1, dE/dW1, dy/dx; grad W1, which is of E."""


@dataclass(frozen=True, repr=False)
class GradientRecord(Record):
    """The equations of some derivatives, each after those it uses."""

    of: str  # "E" or "y"
    by: tuple[str, ...]  # names of parameters, and "x"

    @classmethod
    def derived(cls, network: Network, of: object, by: object) -> GradientRecord:
        """Network and names => the list. ArgumentError for what is not there to be differentiated."""
        root, arrays = wanted(network, of, by)
        equations = _needed(network, root, arrays, "simultaneous")
        return cls(network, "simultaneous", equations, root.name, tuple(array.name for array in arrays))

    @property
    def results(self) -> tuple[Equation, ...]:
        """The equations of the derivatives that were asked for, in that order."""
        return tuple(self.by_name[self.resolve(f"d{self.of}_d{name}")] for name in self.by)

    def resolve(self, name: object, layer: int | None = None) -> str:
        """A name as people write it, dE/dW1 and grad W1 too => the name of an equation."""
        pair = parsed(name)
        if pair is not None:
            root, arrays = wanted(self.network, *pair)
            direct = derivative_of(root, arrays[0]).name
            if direct in self.by_name:
                return direct
        return super().resolve(name, layer)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""
        result = list(said_of_gates([unit.activation for unit in self.network.activated]))
        if self.network.batch:
            result.append("A mini-batch has `N` samples.")
            if self.of != ERROR.name:
                result.append("The output of a sample is differentiated by its own input: by all others it is 0.")
        units = dict.fromkeys(a.name for e in self.equations for a in e.operands if a.role is Role.UNIT)
        result += [f"`{name}` is the unit matrix: 1 where its indices are equal, 0 elsewhere." for name in units]
        return tuple(result)

    @property
    def title(self) -> str:
        """What the list is about."""
        return f"{self.network}, {' and '.join(f'd{self.of}/d{name}' for name in self.by)}"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"Derivatives of {self.title}"


def parsed(name: object) -> tuple[str, str] | None:
    """A derivative as people write it => (what, by what); None for what is none."""
    found = _WRITTEN.fullmatch(str(name).strip())
    if found is None:
        return None
    return (ERROR.name, found[3]) if found[3] else (found[1], found[2])


def wanted(network: Network, of: object, by: object) -> Wanted:
    """Names => arrays; ArgumentError for a name that is not there."""
    if not isinstance(network, Network):
        raise ArgumentError(
            f"gradient got {type(network).__name__} as its network: make one with Network.parse('2-2-1')."
        )
    roots = {array.name: array for array in (ERROR, network.output)}
    if not isinstance(of, str) or of.strip() not in roots:
        raise UnknownQuantity(f"{str(of)[:40]!r} is nothing to differentiate: choose {' or '.join(roots)}.")
    inner = (network.pre_activation(n) for n in range(1, len(network.layers) + 1))
    known = {a.name: a for a in (*network.parameters, network.input, *(a for a in inner if a != network.output))}
    names = by.split(",") if isinstance(by, str) else list(by) if isinstance(by, Iterable) else [by]
    names = list(dict.fromkeys(str(name).strip() for name in names))
    wrong = next((name for name in names if name not in known), None)
    if wrong is not None or not names:
        raise UnknownQuantity(
            f"{str(wrong or '')[:40]!r} is nothing that {network} can be differentiated by: choose among "
            f"{', '.join(known)}."
        )
    return roots[of.strip()], tuple(known[name] for name in names)


def with_gradient(record: Record, name: object) -> tuple[tuple[Equation, ...], str] | None:
    """A step's list with what a derivative needs beside it, and the derivative's name there; None for no such name.

    In sequential order the error comes through the updated weights, as everywhere in such a list.
    """
    pair = parsed(name)
    if pair is None:
        return None
    root, arrays = wanted(record.network, *pair)
    made = _needed(record.network, root, arrays, record.order)
    more = tuple(equation for equation in made if equation.name not in record.by_name)
    return (*record.equations, *more), derivative_of(root, arrays[0]).name


def _needed(network: Network, root: Array, by: Sequence[Array], order: Order) -> tuple[Equation, ...]:
    """The forward equations, adjoints and derivatives that the derivatives by some arrays need, in order."""
    passed = forward(network)
    if root == ERROR or not network.batch:
        equations, results = _derived(passed, root, by, order, network)
    else:
        one = replace(network, batch="", samples=0)
        alone = [one_sample(array) for array in by]
        made, results = _derived(forward(one), one.output, alone, order, one)
        known = {equation.array for equation in passed}
        once = frozenset(array for array in known if SAMPLES not in array.axes)  # what no sample brings anything to
        lifted = (_for_every_sample(e, once) for e in made if e.array not in once)
        equations = (*(e for e in passed if e.array != ERROR), *(e for e in lifted if e.array not in known))
        results = [over_samples(array) for array in results]
    needed, kept = {root, *results}, list[Equation]()
    for equation in reversed(equations):
        if equation.array in needed:
            kept.append(equation)
            needed |= set(equation.operands)
    last = {array: n for n, array in enumerate(results) if array.role is Role.GRADIENT}  # nothing rests on them
    ordered = sorted(reversed(kept), key=lambda e: last.get(e.array, -1))  # which keeps the order of the others
    return finish(network, tuple(ordered))


def _derived(
    passed: Sequence[Equation], root: Array, by: Sequence[Array], order: Order, network: Network
) -> tuple[tuple[Equation, ...], list[Array]]:
    """The forward equations up to the root, its adjoints, and its derivatives; and the arrays of the last ones."""
    place = next(n for n, equation in enumerate(passed) if equation.array == root)
    until = passed[: place + 1]
    seen = {theta: theta.primed for theta in network.trained} if order == "sequential" and root == ERROR else {}
    adjoints, gradients = reverse(until, named_in(until), seen, partial(derivative_of, root))
    gradients = {array: gradients.get(array, (indices_of(array), ZERO)) for array in by}  # 0 where nothing reads it
    results = [_result(root, array, gradients) for array in by]
    return (*until, *adjoints, *results), [derivative_of(root, array) for array in by]


def _result(root: Array, array: Array, gradients: Mapping[Array, tuple[tuple[Index, ...], Expr]]) -> Equation:
    """d root/d array = what reverse mode has found."""
    indices, value = gradients[array]
    symbol = derivative_of(root, array)
    own = tuple(Index(axis, f"of{n}") for n, axis in enumerate(root.axes))
    uses = tuple(a.name for a in arrays_in(value) if a.role in (Role.ADJOINT, Role.ACTIVATION, Role.PRE_ACTIVATION))
    because = f"This is the derivative of `{root.name}` by `{array.name}`."
    return Equation(symbol[(*own, *indices)], value, Rule.GRADIENT, because, uses)


_SAME_FOR_ALL = (Role.PARAMETER, Role.HYPER_PARAMETER, Role.UNIT)


def _for_every_sample(equation: Equation, once: frozenset[Array]) -> Equation:
    """The equation of one sample => the same for each of them."""
    n = Index(SAMPLES, "n")

    def each(node: Expr) -> Expr:
        def lifted(ref: Ref) -> Expr:
            alike = ref.array in once or ref.array.role in _SAME_FOR_ALL
            return ref if alike else over_samples(ref.array)[n, *ref.indices]

        return replaced(node, lifted)

    assert isinstance(equation.rhs, Expr)
    return replace(equation, lhs=each(equation.lhs), rhs=each(equation.rhs))


def of_one_sample(equation: Equation) -> Equation | None:
    """The way back: the equation of one sample; None where samples mix."""
    assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Expr)
    samples = [index for index in equation.lhs.indices if index.axis == SAMPLES]
    mixed = False

    def taken(ref: Ref) -> Expr:
        nonlocal mixed
        own = [index for index in ref.indices if index.axis == SAMPLES]
        constant = SAMPLES not in ref.array.axes and ref.array.role not in _OF_SAMPLES
        mixed = mixed or (own != samples and ref.array.role not in _SAME_FOR_ALL and not constant) or len(own) > 1
        return one_sample(ref.array)[tuple(index for index in ref.indices if index.axis != SAMPLES)]

    one = replace(equation, lhs=replaced(equation.lhs, taken), rhs=replaced(equation.rhs, taken))
    return None if mixed or len(samples) > 1 or not (samples or _is_constant(equation)) else one


_OF_SAMPLES = (
    Role.INPUT, Role.TARGET, Role.PRE_ACTIVATION, Role.ACTIVATION, Role.ADJOINT, Role.GRADIENT, Role.GATE,
)  # fmt: skip


def _is_constant(equation: Equation) -> bool:
    """Whether an equation is of the network and of no sample, such as the width of a head."""
    return not any(a.role in _OF_SAMPLES for a in (equation.array, *equation.operands))
