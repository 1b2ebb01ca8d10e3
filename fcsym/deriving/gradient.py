"""Derivatives by name: dE/dW, dE/dx, dy/dW, each with the equations that it needs and no others.

The forward equations, the same reverse mode that the step has, and one equation for each derivative that is wanted. In
a mini-batch a sample's output depends on that sample alone: its derivatives are those of one sample, for each of them.

Second derivatives are named d2E_dA_dB: what dE_dA moves by with B, its axes those of A and then those of B. Where A is
T, dE_dT is what E moves by along directions TW1, Tb1, ..., one number, and d2E_dT_dB is a Hessian-vector product, with
the axes of B. Reverse mode finds them from the list that it has made itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fcsym.deriving.differentiate import reverse
from fcsym.deriving.forward import forward, refuse_greatest
from fcsym.deriving.pipeline import finish
from fcsym.deriving.record import Record, UnknownQuantity
from fcsym.deriving.update import named_in
from fcsym.errors import ArgumentError, listed, shown
from fcsym.language.activation import said_of_gates
from fcsym.language.algebra import indices_of, replaced
from fcsym.language.equation import Equation, Order, Rule, functions_in
from fcsym.language.expression import ZERO, Array, Expr, Index, Ref, Role, add, arrays_in, mul, total
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ERROR,
    SAMPLES,
    derivative_of,
    direction_of,
    directional,
    one_sample,
    over_samples,
)

__all__ = ["GradientRecord", "Wanted", "of_one_sample", "said", "wanted", "with_gradient"]


@dataclass(frozen=True)
class Wanted:
    """What is differentiated, and by which arrays."""

    of: Array  # E or y
    by: tuple[Array, ...]
    first: Array | None = None  # what E has been differentiated by before
    along: tuple[Array, ...] = ()  # or along which arrays' directions

    @property
    def once(self) -> tuple[Array, ...]:
        """What E is differentiated by first, where it is twice."""
        return self.along or tuple(array for array in (self.first,) if array is not None)

    @property
    def root(self) -> Array:
        """What is differentiated last: E, y, dE_dW1 or dE_dT."""
        if self.along:
            return directional(self.of)
        return self.of if self.first is None else derivative_of(self.of, self.first)

    @property
    def results(self) -> tuple[Array, ...]:
        """The derivatives, in that order."""
        return tuple(derivative_of(self.root, array) for array in self.by)


_WRITTEN = re.compile(r"d\s?([A-Za-z]+)\s?[_/]\s?d\s?([A-Za-z]+[0-9]*)|(?:grad|nabla)[ _]([A-Za-z]+[0-9]*)", re.ASCII)
"""dE_dW1, dE/dW1, dy/dx; grad W1, which is of E."""

_TWICE = re.compile(
    r"d(?:2|\^2|\*\*2)\s?([A-Za-z]+)\s?[_/]\s?\(?\s?d\s?([A-Za-z]+[0-9]*)"
    r"(?:\s?[_ *]?\s?d\s?([A-Za-z]+[0-9]*)|(?:\^|\*\*)2|)\s?\)?",
    re.ASCII,
)
"""d2E_dW1_dW2, d2E/dW1dW2, d^2E/(dW1 dW2); d2E_dW1, d2E/dW1^2, which are twice by W1."""


@dataclass(frozen=True, repr=False)
class GradientRecord(Record):
    """The equations of some derivatives, each after those it uses."""

    of: str  # what is differentiated last: "E", "y", "dE_dW1" or "dE_dT"
    by: tuple[str, ...]  # names of parameters, and "x"
    along: tuple[str, ...] = ()  # what has a direction T

    @classmethod
    def derived(cls, network: Network, of: object, by: object, along: object = None) -> GradientRecord:
        """Network and names => the list. ArgumentError for what is not there to be differentiated."""
        asked = wanted(network, of, by, along)
        equations = _needed(network, asked, "simultaneous")
        names = (tuple(array.name for array in arrays) for arrays in (asked.by, asked.along))
        return cls(network, "simultaneous", equations, asked.root.name, *names)

    @property
    def asked(self) -> Wanted:
        """What is differentiated by what, as arrays."""
        return wanted(self.network, ERROR.name if self.along else self.of, self.by, self.along or None)

    @property
    def results(self) -> tuple[Equation, ...]:
        """The equations of the derivatives that were asked for, in that order."""
        return tuple(self.by_name[array.name] for array in self.asked.results)

    def resolve(self, name: object, layer: int | None = None) -> str:
        """A name as people write it, dE/dW1 and grad W1 too => the name of an equation."""
        if spelt(name) in self.by_name:
            return spelt(name)
        asked = parsed(self.network, name)
        if asked is not None and asked.results[0].name in self.by_name:
            return asked.results[0].name
        return super().resolve(name, layer)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""
        result = list(said_of_gates([unit.activation for unit in self.network.activated]))
        if self.network.batch:
            result.append("A mini-batch has `N` samples.")
            if self.of == self.network.output.name:
                result.append("The output of a sample is differentiated by its own input: by all others it is 0.")
        bent = [phi.name for phi in functions_in(self.equations) if phi.kinks]
        if bent and self.asked.once:
            names = " and ".join(dict.fromkeys(bent))
            result.append(f"Second derivatives of {names} are 0: the pieces are straight, and at a kink there is none.")
        if self.along:
            directions = " and ".join(f"`{direction_of(a).name}`" for a in self.asked.along)
            result.append(f"The directions {directions} are given, and the same wherever `E` is taken.")
        units = dict.fromkeys(a.name for e in self.equations for a in e.operands if a.role is Role.UNIT)
        result += [f"`{name}` is the unit matrix: 1 where its indices are equal, 0 elsewhere." for name in units]
        return tuple(result)

    @property
    def title(self) -> str:
        """What the list is about."""
        named = [said(array) for array in self.asked.results]
        along = f", T along {' and '.join(self.along)}" if self.along else ""
        return f"{self.network}, {' and '.join(named)}{along}"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"Derivatives of {self.title}"


def said(derivative: Array) -> str:
    """dE_dW1 => dE/dW1; d2E_dW1_dW2 => d2E/dW1 dW2; delta1 and adj_r1 stay as they are."""
    above, *below = derivative.name.split("_")
    return f"{above}/{' '.join(below)}" if below and above != "adj" else derivative.name


def spelt(name: object) -> str:
    """A derivative as equations are called: d2E/dT dW1 => d2E_dT_dW1; what is none stays as it is."""
    text = str(name).strip()
    once, twice = _WRITTEN.fullmatch(text), _TWICE.fullmatch(text)
    if twice is not None:
        return f"d2{twice[1]}_d{twice[2]}_d{twice[3] or twice[2]}"
    return text if once is None else f"dE_d{once[3]}" if once[3] else f"d{once[1]}_d{once[2]}"


def parsed(network: Network, name: object) -> Wanted | None:
    """A derivative as people write it => what by what; None for what is none, UnknownQuantity for what is not there."""
    text = str(name).strip()
    found = _WRITTEN.fullmatch(text)
    if found is not None:
        return wanted(network, *((ERROR.name, found[3]) if found[3] else (found[1], found[2])))
    twice = _TWICE.fullmatch(text)
    return None if twice is None else wanted(network, f"d{twice[1]}_d{twice[2]}", twice[3] or twice[2])


def wanted(network: Network, of: object, by: object, along: object = None) -> Wanted:
    """Names => arrays; ArgumentError for a name that is not there."""
    if not isinstance(network, Network):
        raise ArgumentError(
            f"gradient got {type(network).__name__} as its network: make one with Network.parse('2-2-1')."
        )
    roots = {array.name: array for array in (ERROR, network.output)}
    inner = (network.pre_activation(n) for n in range(1, len(network.layers) + 1))
    ends = {a.name: a for a in (*network.parameters, network.input)}
    known = ends | {a.name: a for a in inner if a != network.output}
    first = None
    if isinstance(of, str) and (once := _WRITTEN.fullmatch(of.strip())) is not None:
        of, before = (ERROR.name, once[3]) if once[3] else (once[1], once[2])
        (first,) = _known(network, before, ends)
        if of != ERROR.name or along is not None:
            raise ArgumentError(
                f"{of} is differentiated once only: second derivatives are those of E, by a parameter or along a "
                "direction, not both."
            )
        if network.batch and first == network.input:
            raise ArgumentError(
                f"dE_d{first.name} has a row for each sample of a mini-batch: differentiate by a parameter first, or "
                "along a direction."
            )
    if not isinstance(of, str) or of.strip() not in roots:
        raise UnknownQuantity(
            f"{shown(of)!r} is nothing to differentiate: choose {', '.join(roots)}, or a derivative such as dE_dW1."
        )
    root = roots[of.strip()]
    if along is not None and root != ERROR:
        raise ArgumentError(
            f"{root.name} has no derivative along a direction here: differentiate E, or leave along out."
        )
    directions = () if along is None else _known(network, along, ends)
    return Wanted(root, _known(network, by, ends if first is not None or directions else known), first, directions)


def _known(network: Network, given: object, known: Mapping[str, Array]) -> tuple[Array, ...]:
    names = given.split(",") if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    names = list(dict.fromkeys(str(name).strip() for name in names))
    wrong = next((name for name in names if name not in known), None)
    if wrong is not None or not names:
        raise UnknownQuantity(
            f"{shown(wrong or '')!r} is nothing that {network} can be differentiated by: choose among {listed(known)}."
        )
    return tuple(known[name] for name in names)


def with_gradient(record: Record, name: object) -> tuple[tuple[Equation, ...], str] | None:
    """A step's list with what a derivative needs beside it, and the derivative's name there; None for no such name.

    In sequential order the error comes through the updated weights, as everywhere in such a list.
    """
    asked = parsed(record.network, name)
    if asked is None:
        return None
    if asked.root != asked.of and record.order == "sequential":
        raise ArgumentError(
            f"{asked.results[0].name} is a derivative of E at one set of weights, and in sequential order the error "
            "comes through two: take the simultaneous order, or fcsym.gradient."
        )
    made = _needed(record.network, asked, record.order)
    more = tuple(equation for equation in made if equation.name not in record.by_name)
    return (*record.equations, *more), asked.results[0].name


def _needed(network: Network, asked: Wanted, order: Order) -> tuple[Equation, ...]:
    """The forward equations, adjoints and derivatives that the derivatives by some arrays need, in order."""
    refuse_greatest(network)
    passed, results = forward(network), asked.results
    if asked.root != asked.of:
        equations = _twice(passed, asked, network)
    elif asked.of == ERROR or not network.batch:
        equations = _derived(passed, asked, order, network)
    else:
        one = replace(network, batch="", samples=0)
        alone = Wanted(one.output, tuple(one_sample(array) for array in asked.by))
        known = {equation.array for equation in passed}
        once = frozenset(array for array in known if SAMPLES not in array.axes)  # what no sample brings anything to
        made = _derived(forward(one), alone, order, one)
        lifted = (_for_every_sample(e, once) for e in made if e.array not in once)
        equations = (*(e for e in passed if e.array != ERROR), *(e for e in lifted if e.array not in known))
        results = tuple(over_samples(array) for array in alone.results)
    kept = _leading_to(equations, {asked.of, asked.root, *results})
    last = {array: n for n, array in enumerate(results) if array.role is Role.GRADIENT}  # nothing rests on them
    ordered = sorted(kept, key=lambda e: last.get(e.array, -1))  # which keeps the order of the others
    return finish(network, tuple(ordered))


def _leading_to(equations: Sequence[Equation], wanted: set[Array]) -> list[Equation]:
    """The equations of some arrays, and those that they rest on."""
    needed, kept = set(wanted), list[Equation]()
    for equation in reversed(equations):
        if equation.array in needed:
            kept.append(equation)
            needed |= set(equation.operands)
    return kept[::-1]


def _twice(passed: Sequence[Equation], asked: Wanted, network: Network) -> tuple[Equation, ...]:
    """Reverse mode run on the list that it has made: the forward equations, their adjoints, and a first derivative.

    The first derivative by an array is differentiated element by element, as an output is for a Jacobian; what E moves
    by along directions is one number, sum T dE/dW, and its derivatives are Hessian-vector products.
    """
    made = _derived(passed, Wanted(asked.of, asked.once), "simultaneous", network)
    if asked.along:
        made = (*made, _along(asked))
    before = _leading_to(made, {asked.root})
    adjoints, gradients = reverse(
        before, lambda a: a.role in (Role.PRE_ACTIVATION, Role.ADJOINT), {}, partial(derivative_of, asked.root)
    )
    return (*_leading_to(made, {asked.of, asked.root}), *adjoints, *_results(asked.root, asked.by, adjoints, gradients))


def _along(asked: Wanted) -> Equation:
    """dE/dT = sum T dE/dW over everything that has a direction."""
    parts = list[Expr]()
    for array in asked.along:
        indices = indices_of(array)
        parts.append(total(indices, mul(direction_of(array)[indices], derivative_of(asked.of, array)[indices])))
    because = f"This is what `{asked.of.name}` moves by along the directions `T`, to first order."
    uses = tuple(derivative_of(asked.of, array).name for array in asked.along)
    return Equation(asked.root[()], add(*parts), Rule.GRADIENT, because, uses)


def _derived(
    passed: Sequence[Equation], asked: Wanted, order: Order, network: Network
) -> tuple[Equation, ...]:  # fmt: skip
    """The forward equations up to the root, its adjoints, and its derivatives."""
    root = asked.of
    place = next(n for n, equation in enumerate(passed) if equation.array == root)
    until = passed[: place + 1]
    seen = {theta: theta.primed for theta in network.trained} if order == "sequential" and root == ERROR else {}
    adjoints, gradients = reverse(until, named_in(until), seen, partial(derivative_of, root))
    return (*until, *adjoints, *_results(root, asked.by, adjoints, gradients))


def _results(
    root: Array,
    by: Sequence[Array],
    adjoints: Sequence[Equation],
    gradients: Mapping[Array, tuple[tuple[Index, ...], Expr]],
) -> tuple[Equation, ...]:
    """d root/d array for each of them; by a pre-activation it is one of the adjoints."""
    made = {equation.array for equation in adjoints}
    return tuple(_result(root, array, gradients) for array in by if derivative_of(root, array) not in made)


def _result(root: Array, array: Array, gradients: Mapping[Array, tuple[tuple[Index, ...], Expr]]) -> Equation:
    """d root/d array = what reverse mode has found; 0 where nothing leads from one to the other."""
    indices, value = gradients.get(array, (indices_of(array), ZERO))
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
    return None if mixed or not (samples or _is_constant(equation)) else one


_OF_SAMPLES = (
    Role.INPUT, Role.TARGET, Role.PRE_ACTIVATION, Role.ACTIVATION, Role.ADJOINT, Role.GRADIENT, Role.GATE,
)  # fmt: skip


def _is_constant(equation: Equation) -> bool:
    """Whether an equation is of the network and of no sample, such as the width of a head."""
    return not any(a.role in _OF_SAMPLES for a in (equation.array, *equation.operands))
