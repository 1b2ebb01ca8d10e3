"""What is known of a network and its state before there are numbers: where everything is, by the equations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

from fcsym.collapsing.gates_held import gates_held, held_arrays, lines_of, ones_of, seen, without_gates
from fcsym.collapsing.numbers import Numbers
from fcsym.collapsing.table import Layer, Table
from fcsym.language.equation import Order
from fcsym.language.expression import Array
from fcsym.networks.network import Network
from fcsym.networks.symbols import coefficient_of, frozen_copy, gram_of_data, key_of, norm, units

__all__ = ["most_columns", "numbers_of", "table_of"]


@lru_cache(maxsize=32)
def table_of(network: Network, order: Order, contracted: tuple[int, ...]) -> Table:
    """Where everything is in the state of a network in mini-batches and in the functions of its equations."""
    record, own = gates_held(network, order, contracted), without_gates(network, order, contracted)
    expand, step = record.routines["expand"], record.routines["step"]
    beside, sides, held = seen(network, own), seen(network, ()), held_arrays(network, contracted)
    numbers = numbers_of(network, own, contracted)

    def place(n: int) -> int | None:
        s = network.hidden[n - 1].s
        if s in own:
            return own.index(s)
        return len(own) + beside.index(s) if s in beside else None

    def start(n: int) -> int | None:
        s = network.hidden[n - 1].s
        return sides.index(s) if s in sides else None

    layers, above = {}, []
    for n, one in enumerate(network.hidden, 1):
        kinks = tuple(map(float, one.activation.kinks))
        at, begins = place(n), start(n)
        if n in numbers:
            lines = lines_of(one.activation) if n in held else None
            layers[n] = Layer(numbers[n], lines, at if kinks else None, begins)
        if kinks and any(k < n for k in numbers) and at is not None and begins is not None:
            above.append((at, begins, kinks))
    gram = norm(network.input)
    still = {key_of(network.input), gram, gram_of_data(network.feeding(1)[0], gram.axes)}
    follows = {k for layer in numbers.values() for k, _ in layer.following}
    alone = contracted == (0, 1) and len(network.layers) == 2 and network.rule.is_plain
    bounded = alone and not any(layer.adds_ones for layer in layers.values())
    return Table(
        {theta.name: network.shape(theta) for theta in network.parameters},
        (network.samples or None, network.inputs), network.widths[-1], tuple(a.name for a in own), layers,
        tuple(above), tuple(k for k, a in enumerate(own) if k not in follows and a not in still),
        tuple(k for k, theta in enumerate(network.parameters) if frozen_copy(theta) in expand.given),
        network.input in step.given, network.batch == "mean",
        (own.index(network.read_out), int(network.layers[0].bias)) if bounded else None,
    )  # fmt: skip


def numbers_of(network: Network, own: Sequence[Array], contracted: Sequence[int]) -> dict[int, Numbers]:
    """The numbers of the units of each layer that is summed over; `own`: the arrays of the state."""
    first = network.pre_activation(1)
    follows = coefficient_of(first) if network.rule.is_plain else None
    found, counted = {}, ones_of(network, contracted)
    for n in contracted:
        if n:
            places = [(k, a.axes.index(units(n)), a) for k, a in enumerate(own) if units(n) in a.axes]
            read = tuple((k, axis) for k, axis, a in places if a != follows)
            before = [own[k] for k, _ in read[: next((m for m, (k, _) in enumerate(read) if own[k] == first), 0)]]
            # a plain step adds to the first layer's pre-activations, which its own activations alone read
            rows = sum(_each(network, a, n) for a in before) if first in own and n == 1 and follows else None
            following = tuple((k, axis) for k, axis, a in places if a == follows)
            found[n] = Numbers(n, read, following, rows, n in counted)
    return found


def _each(network: Network, array: Array, n: int) -> int:
    """How many numbers of an array a unit of the layer has."""
    return prod(network.sizes[axis] for axis in array.axes if axis != units(n))


def most_columns(network: Network, numbers: Numbers, own: Sequence[Array]) -> int:
    """As many columns as every gate pattern of a layer has numbers that are read, if all patterns occur."""
    pieces = network.layers[numbers.layer - 1].activation.pieces
    count = sum(_each(network, own[k], numbers.layer) for k, _ in numbers.read)
    count += numbers.counts or bool(lines_of(network.layers[numbers.layer - 1].activation).offsets)
    samples = network.samples
    flat = sum(not piece.slope for piece in pieces) if numbers.rows is not None else 0
    patterns: int = len(pieces) ** min(samples, 64)  # more than any layer has units
    return patterns * count - patterns * samples * flat // len(pieces)
