"""Networks of layers: which layer reads what, and the forward equations that follow.

A network is an acyclic graph. Each node is a layer, the names of what it reads, and a name of its own; `x` is the
input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from math import prod

from fcsym.errors import NetworkError, listed, shown
from fcsym.language.activation import Activation as Phi
from fcsym.language.activation import identity
from fcsym.language.equation import Equation
from fcsym.language.expression import Apply, Array, Axis, Ref, Role, indicators_in
from fcsym.networks.dense import MAX_LAYERS, MAX_WIDTH
from fcsym.networks.layers.base import Building, Layer, Signal, whole
from fcsym.networks.layers.linear import Activation, Linear
from fcsym.networks.symbols import input_over, output, units

__all__ = ["INPUT", "Built", "Node", "built", "chained", "in_order", "stack_of"]

INPUT = "x"
"""What the input is called among the nodes."""


@dataclass(frozen=True)
class Node:
    """A layer in its place: what it is called, and what it reads; without `of`, what the node before it passes on."""

    layer: Layer
    name: str = ""
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """What a network of layers is to its readers: equations for one sample, and which array is what."""

    equations: tuple[Equation, ...]
    parameters: tuple[Array, ...]
    fixed: tuple[str, ...]
    sizes: Mapping[Axis, int] = field(hash=False)
    input: Array
    logits: Array
    features: Array  # what the read-out reads
    read_out: Array
    shift: Array | None  # the bias of the read-out
    nodes: tuple[Node, ...] = ()  # the layers, each told how long the axes are that it reads
    passed: Mapping[str, Array] = field(default_factory=dict, hash=False)  # what each passes on, by its name

    @cached_property
    def units(self) -> tuple[tuple[Phi, Array, Array], ...]:
        """(phi, s, v) wherever an activation is applied."""
        found = []
        for equation in self.equations:
            node = equation.rhs
            if isinstance(node, Apply) and equation.array.role is Role.ACTIVATION and isinstance(node.argument, Ref):
                found.append((node.activation, node.argument.array, equation.array))
        return tuple(found)

    @cached_property
    def read_by_matrices(self) -> tuple[Array, ...]:
        """The vectors that linear maps of one index read: what is multiplied by a parameter with two axes."""
        return tuple(
            array
            for equation in self.equations
            for array in equation.operands
            if len(array.axes) == 1 and array.role is not Role.PARAMETER
        )

    @cached_property
    def placed(self) -> frozenset[Axis]:
        """The axes of which single places are read by their numbers, such as the times of a recurrence."""
        return frozenset(
            node.index.axis
            for equation in self.equations
            for side in equation.expressions
            for node in indicators_in(side)
            if not node.form.terms
        )

    @cached_property
    def last_unit(self) -> tuple[Phi, Array, Array]:
        """(phi, s, v) of what the read-out reads; where it is no activation of anything, the identity of itself."""
        found = next((unit for unit in self.units if unit[2] == self.features), None)
        return found or (identity(), self.features, self.features)


def chained(layers: Iterable[object], before: str = INPUT, prefix: str = "layer ") -> tuple[Node, ...]:
    """Layers, or nodes, in a row => nodes with names, each of which says what it reads; groups become their nodes."""
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise NetworkError(
            f"The layers are {shown(layers)!r}: give a list of them; Network.parse('2-2-1') reads widths."
        )
    made: list[Node] = []
    for number, entry in enumerate(layers, 1):
        if isinstance(entry, str | Phi):
            entry = Activation(entry)
        node = entry if isinstance(entry, Node) else Node(entry) if isinstance(entry, Layer) else None
        if node is not None and isinstance(node.layer, str | Phi):
            node = replace(node, layer=Activation(node.layer))
        if node is None or not isinstance(node.layer, Layer):
            raise NetworkError(
                f"Layer {number} is {type(entry).__name__} {shown(entry)!r}: give layers such as "
                "fcsym.Dense, or names of activations."
            )
        of = node.of or (before,)
        of = tuple(of) if isinstance(of, tuple | list) else (of,)
        name = node.name or f"{prefix}{number}"
        if not all(isinstance(one, str) for one in (name, *of)):
            raise NetworkError(f"Layer {number} has the name {shown(name)!r} and reads {shown(of)}: give texts.")
        inner = node.layer.inner()
        if not inner:
            made.append(Node(node.layer, name, of))
            before = name
            continue
        parts = chained(inner, of[0], f"{name}.")
        closing = node.layer.closing()
        if closing is None:
            made += [*parts[:-1], replace(parts[-1], name=name)]
        else:
            made += [*parts, Node(closing, name, (*of, parts[-1].name))]
        before = name
    return tuple(made)


def stack_of(shape: Sequence[int], nodes: Sequence[Node]) -> tuple[list[int], list[Phi], list[bool]] | None:
    """Widths, activations and biases, where nodes are a stack of dense layers on one axis; None where they are not."""
    widths, between, biases = list(shape), list[Phi](), list[bool]()
    before = INPUT
    for node in in_order(nodes):
        if len(shape) != 1 or node.of != (before,):
            return None
        match node.layer:
            case Linear(inputs, int(outputs), bool(bias)) if inputs in (None, widths[-1]):
                between += [identity()] * (len(widths) - 1 - len(between))
                widths.append(outputs)
                biases.append(bias)
            case Activation() if len(widths) - 1 > len(between):
                between += node.layer.activations
            case _:
                return None
        before = node.name
    if not len(between) < len(biases) <= MAX_LAYERS or not all(type(n) is int and 1 <= n <= MAX_WIDTH for n in widths):
        return None  # what is wrong with it is said where it is built
    return widths, between, biases


def in_order(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, each after what it reads; NetworkError for a cycle, and for a name that nothing has."""
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        if node.name == INPUT or sum(other.name == node.name for other in nodes) > 1:
            raise NetworkError(f"The name {node.name!r} is given twice: every layer needs its own, and x is the input.")
        strange = next((name for name in node.of if name not in by_name and name != INPUT), None)
        if strange is not None:
            raise NetworkError(
                f"{_titled(node)} reads {shown(strange)!r}, which no layer is called: the names are {INPUT}, "
                f"{listed(by_name)}."
            )
    sorter = TopologicalSorter({node.name: [name for name in node.of if name != INPUT] for node in nodes})
    try:
        order = list(sorter.static_order())
    except CycleError as problem:
        inner = dict.fromkeys(name.partition(".")[0] for name in problem.args[1])  # a group by its own name
        circle = " -> ".join([*inner, next(iter(inner))])
        raise NetworkError(f"The layers read each other in a circle, {circle}: a network has none.") from None
    place = {name: n for n, name in enumerate(order)}
    straight = {node.name: n for n, node in enumerate(nodes)}
    if all(straight[name] < straight[node.name] for node in nodes for name in node.of if name != INPUT):
        return list(nodes)
    return sorted(nodes, key=lambda node: place[node.name])


def _titled(node: Node) -> str:
    name = f" {node.name}" if node.name.startswith("layer ") else f" {node.name!r}"
    return f"{name.strip().capitalize() if node.name.startswith('layer ') else 'Layer' + name} ({node.layer.kind})"


_LETTERS = {"C": "ce", "T": "tu", "H": "rh", "X": "cw"}
_SHAPES = {1: ("n",), 2: ("T", "n"), 3: ("C", "H", "X")}


def _input(shape: Sequence[int], nodes: Sequence[Node]) -> tuple[Array, dict[Axis, int]]:
    """x, with axes as its first reader has them."""
    if not shape or len(shape) > 3:
        raise NetworkError(f"The input has shape {tuple(shape)}: give one to three lengths, without the samples.")
    first = next((node.layer.reads for node in nodes if INPUT in node.of and len(node.layer.reads) == len(shape)), ())
    names = first or _SHAPES[len(shape)]
    axes = tuple(units(0) if name == "n" else Axis(f"{name}_0", letters=_LETTERS[name]) for name in names)
    sizes = {a: whole(size, f"length of the input along {a.name}") for a, size in zip(axes, shape, strict=True)}
    return input_over(axes), sizes


def built(shape: Sequence[int], nodes: Sequence[Node], linear: bool) -> Built:
    """The forward equations of a network of layers. `linear`: nothing is applied to what the read-out gives.

    NetworkError where shapes do not fit (which layer, what it expects), for a cycle, for a node that nothing reads, and
    where the last layer is not linear.
    """
    order = in_order(nodes)
    if not order:
        raise NetworkError("The network has no layers: give at least a linear one, the read-out.")
    read = {name for node in order for name in node.of}
    unread = [node for node in order if node.name not in read]
    if len(unread) > 1:
        raise NetworkError(f"Nothing reads {_titled(unread[0])}: only the read-out is read by none.")
    last = unread[0]
    if last.layer.kind != "linear":
        title = _titled(last).replace("Layer", "layer", 1)
        raise NetworkError(
            f"The read-out, {title}, is not linear: the last layer is Linear or Dense, and what follows on it is the "
            "output activation, output=..., and the loss."
        )
    alike: dict[Axis, Axis] = {}
    while True:  # until no layer finds that two axes should be one
        made, found = _once(shape, order, linear, alike)
        if found == alike:
            return made
        alike = found


def _once(
    shape: Sequence[int], order: Sequence[Node], linear: bool, alike: Mapping[Axis, Axis]
) -> tuple[Built, dict[Axis, Axis]]:
    """The network, and which axes are one, those that are known to be and those that it finds."""
    x, sizes = _input(shape, order)
    at = Building(sizes, alike=dict(alike))
    signals, fitted = {INPUT: Signal(x)}, list[Node]()
    last = next(node for node in order if not any(node.name in other.of for other in order))
    for node in order:
        if node.layer.sources and len(node.of) != node.layer.sources:
            raise NetworkError(f"{_titled(node)} reads {len(node.of)} layers and needs {node.layer.sources}.")
        at.where = _titled(node)
        at.n += node.layer.numbered or not at.equations
        if node is last:
            at.last = output(at.n) if linear else at.pre_activation(())
        read = [signals[name] for name in node.of]
        try:
            _refuse_settings(at, node.layer, read)
            fitted.append(replace(node, layer=node.layer.fitted(at, *read)))
            signals[node.name] = fitted[-1].layer.build(at, *read)
        except NetworkError as problem:
            if at.where in str(problem):
                raise
            raise NetworkError(f"{at.where}: {problem}") from None  # such as an activation that is not known
    matrix, shift, logits = at.read_outs[-1]
    (features,) = (signals[name] for name in last.of)
    made = Built(
        tuple(at.equations), tuple(at.parameters), tuple(at.fixed), dict(at.sizes), x, logits, features.array, matrix,
        shift, tuple(fitted), {name: signal.array for name, signal in signals.items()},
    )  # fmt: skip
    return made, at.alike


def _refuse_settings(at: Building, layer: Layer, read: Sequence[Signal]) -> None:
    """NetworkError for a flag that is neither true nor false, and for what is flattened where axes are read apart."""
    for entry in fields(layer):  # type: ignore[arg-type]  # every kind is a dataclass
        if entry.type == "bool" and not isinstance(getattr(layer, entry.name), bool):
            said = shown(getattr(layer, entry.name))
            raise NetworkError(f"The {entry.name} of {at.where} is {said!r}: give true or false.")
    flat = next((signal for signal in read if signal.together > 1), None)
    if flat is not None and not (layer.flattened and all(s.together == flat.together for s in read)):
        raise at.refuse(
            f"it reads axes one by one, and what it is given, of shape {at.shape(flat)}, is flattened: put the "
            "flattening after it."
        )


def with_activations(nodes: Sequence[Node], change: Callable[[Phi], Phi]) -> tuple[Node, ...]:
    """The same nodes with other activations."""
    return tuple(replace(node, layer=node.layer.with_activations(change)) for node in nodes)


def features_of(made: Built) -> int:
    """How many numbers the read-out reads."""
    return prod(made.sizes[axis] for axis in made.read_out.axes[1:])
