"""Joint gate patterns: which assignments of pieces to all hidden units, before and after a step, can occur at all.

With one input, the pattern is that of the input that the step sees. With two, the step sees one input and the pattern
is that of another one. A pattern that some numbers have is found by trying small ones, and the numbers are evaluated
again in fractions, for one pattern of each kind by the reference that proofs use as well; that the others cannot occur
is left to z3, one question for each assignment of pieces. The output error is a free variable, since the target is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations, product
from typing import Any, TypeAlias, get_args

import numpy as np

from fcsym.errors import ArgumentError, SizeError
from fcsym.language.activation import Activation
from fcsym.language.equation import Order
from fcsym.language.expression import Array
from fcsym.language.instance import Element
from fcsym.networks.network import Network
from fcsym.networks.symbols import ETA, input_array, pre_activation

__all__ = ["MAX_PATTERNS", "Joint", "Pattern", "Witness", "joint", "witness"]

Pattern: TypeAlias = "tuple[tuple[int, int], ...]"
"""(piece before, piece after) of every hidden unit, layer by layer; pieces count from 0."""

MAX_PATTERNS = 1024
_COUNTED = 10**18  # patterns, beyond which they are not counted
_BATCH, _BATCHES = 20_000, 40
_STEPS = 4_000_000  # of z3's own count, for one question


@dataclass(frozen=True, slots=True)
class Witness:
    """Numbers at which a pattern occurs."""

    weights: tuple[Any, ...]  # W1, (b1,) W2, ... as nested tuples of fractions
    x: tuple[Fraction, ...]  # what the step sees
    other: tuple[Fraction, ...]  # the input whose pattern it is; x itself with one input
    target: tuple[Fraction, ...]
    eta: Fraction
    inputs: int  # 2 where x@ is an input of its own, which may have the numbers of x

    def __str__(self) -> str:
        parts = [f"{name} = {_shown(value)}" for name, value in zip(_names(self.weights), self.weights, strict=True)]
        parts += [f"x = {_shown(self.x)}"]
        parts += [f"x@ = {_shown(self.other)}"] if self.inputs == 2 else []
        return ", ".join([*parts, f"y_g = {_shown(self.target)}", f"eta = {self.eta}"])


def _shown(value: Any) -> str:
    return f"({', '.join(map(_shown, value))})" if isinstance(value, tuple) else str(value)


def _names(weights: Sequence[Any]) -> list[str]:
    names, layer = [], 0
    for value in weights:
        matrix = isinstance(value[0], tuple)
        layer += matrix
        names.append(f"{'W' if matrix else 'b'}{layer}")
    return names


@dataclass(frozen=True, slots=True)
class Joint:
    """Every pattern: those that occur, with numbers, and those that are proved impossible."""

    network: Network
    order: Order
    inputs: int
    reachable: Mapping[Pattern, Witness]
    impossible: tuple[Pattern, ...]
    unknown: tuple[Pattern, ...]

    @property
    def groups(self) -> dict[Pattern, int]:
        """Reachable patterns up to the order of the units in a layer, each with how many patterns it stands for."""
        result: dict[Pattern, int] = {}
        for pattern in sorted(self.reachable, reverse=True):
            key = _canonical(self.network, pattern)
            result[key] = result.get(key, 0) + 1
        return result

    def named(self, pattern: Pattern) -> str:
        """ "active -> active, active -> dead | dead -> dead", a bar between layers."""
        names, start = [], 0
        for layer in self.network.layers[:-1]:
            pieces = layer.activation.pieces
            here = pattern[start : start + layer.width]
            names.append(", ".join(f"{pieces[a].name} -> {pieces[b].name}" for a, b in here))
            start += layer.width
        return " | ".join(names)


def _units(network: Network) -> list[Activation]:
    return [layer.activation for layer in network.layers[:-1] for _ in range(layer.width)]


def _patterns(network: Network) -> Iterator[Pattern]:
    pairs = [[(a, b) for a in range(len(phi.pieces)) for b in range(len(phi.pieces))] for phi in _units(network)]
    yield from product(*pairs)


def joint(
    network: Network, order: Order = "simultaneous", inputs: int = 1, progress: Callable[[str], None] = lambda _: None
) -> Joint:
    """Network => every joint pattern, decided.

    Raises SizeError for more than MAX_PATTERNS patterns, with their number.
    """
    if network.built is not None:
        raise ArgumentError(
            f"Joint patterns are decided for stacks of dense layers, and {network} is none: ask for the cases of one "
            "unit."
        )
    units = _units(network)
    if not units:
        raise ArgumentError(f"{network} has no hidden units: joint patterns need at least one hidden layer.")
    smooth = next((phi.name for phi in units if phi.is_smooth), None)
    if smooth is not None:
        raise ArgumentError(
            f"{network} has units with {smooth}, a smooth function without cases: joint patterns are of units with "
            "some."
        )
    if order not in get_args(Order) or inputs not in (1, 2):
        raise ArgumentError(f"order and inputs are {order!r} and {inputs!r}: simultaneous or sequential, and 1 or 2.")
    if not network.is_plain or network.loss != "squared" or network.output != network.logits:
        raise ArgumentError(
            f"{network} is no network of which joint patterns are known: they are decided for the squared error of a "
            "linear output, with every parameter trained by the gradient step on one sample and no shared bias."
        )
    count = 1
    for phi in units:
        count = min(count * len(phi.pieces) ** 2, _COUNTED)
    if count > MAX_PATTERNS or sum(network.widths) > 40:
        number = f"{count}" if count < _COUNTED else "more than 10^18"
        raise SizeError(
            f"{network} has {number} joint patterns of {len(units)} hidden units and widths that add up to "
            f"{sum(network.widths)}: up to {MAX_PATTERNS} patterns and a sum of 40 are decided, so try fewer units."
        )
    progress("trying small numbers")
    reachable: dict[Pattern, Witness] = {}
    for pattern, found in _tried(network, order, inputs):
        reachable.update(_relabelled(network, order, pattern, found, reachable))
    impossible: list[Pattern] = []
    unknown: list[Pattern] = []
    settled: dict[Pattern, list[Pattern]] = {}
    for pattern in _patterns(network):  # what holds for a pattern holds for every order of the units in a layer
        if pattern in reachable:
            continue
        key = _canonical(network, pattern)
        if key not in settled:
            progress(f"pattern {len(reachable) + len(impossible) + len(unknown)} of {count}")
            answer, model = _decided(network, order, inputs, pattern)
            if model is not None:
                reachable.update(_relabelled(network, order, pattern, model, reachable))
                continue
            settled[key] = impossible if answer is False else unknown
        settled[key].append(pattern)
    ordered = {pattern: reachable[pattern] for pattern in sorted(reachable, reverse=True)}
    return Joint(network, order, inputs, ordered, tuple(impossible), tuple(unknown))


def _canonical(network: Network, pattern: Pattern) -> Pattern:
    """The pattern with the units of each layer sorted."""
    parts, start = [], 0
    for layer in network.layers[:-1]:
        parts += sorted(pattern[start : start + layer.width], reverse=True)
        start += layer.width
    return tuple(parts)


def _relabelled(
    network: Network, order: Order, pattern: Pattern, found: Witness, known: Mapping[Pattern, Witness]
) -> Iterator[tuple[Pattern, Witness]]:
    """The pattern and what it becomes when the units of a layer change places, each with its numbers."""
    hidden = [layer.width for layer in network.layers[:-1]]
    for places in product(*(permutations(range(width)) for width in hidden)):
        start, parts = 0, []
        for width, place in zip(hidden, places, strict=True):
            parts += [pattern[start + n] for n in place]
            start += width
        moved = tuple(parts)
        if moved in known:
            continue
        weights, rest = [], iter(found.weights)
        columns: Sequence[int] = range(network.inputs)
        for n, layer in enumerate(network.layers):
            rows = places[n] if n < len(places) else range(layer.width)
            matrix = next(rest)
            weights.append(tuple(tuple(matrix[i][j] for j in columns) for i in rows))
            if layer.bias:
                bias = next(rest)
                weights.append(tuple(bias[i] for i in rows))
            columns = rows
        numbers = replace(found, weights=tuple(weights))
        assert _pattern_of(network, order, numbers) == moved
        yield moved, numbers


def witness(network: Network, order: Order, wanted: Callable[[Pattern], bool], inputs: int = 1) -> Witness | None:
    """Small numbers at which a pattern of that kind occurs, or None where trying does not find them."""
    found = [(pattern, w) for pattern, w in _tried(network, order, inputs, 4) if wanted(pattern)]
    return found[0][1] if found else None


# ---------------------------------------------------------------------------------------------- trying small numbers


def _tried(network: Network, order: Order, inputs: int, batches: int = _BATCHES) -> Iterator[tuple[Pattern, Witness]]:
    """Each pattern that occurs among many small numbers, once; the same ones every time."""
    seen: set[Pattern] = set()
    kinds: set[Pattern] = set()  # what the reference has confirmed, up to the order of the units in a layer
    source = np.random.default_rng(0)
    idle = 0
    for _ in range(batches):
        draw = _Draw.of(network, inputs, source)
        before, after = draw.pieces(order)
        _, first = np.unique(_coded(network, before, after), return_index=True)
        idle += 1
        for n in sorted(first.tolist()):
            pattern = tuple((int(a), int(b)) for a, b in zip(before[n], after[n], strict=True))
            if pattern in seen:
                continue
            candidate = draw.witness(n)
            if _pattern_of(network, order, candidate) != pattern:  # floats suggest, fractions decide
                continue
            kind = _canonical(network, pattern)
            if kind in kinds or _pattern_at(network, order, candidate) == pattern:
                kinds.add(kind)
                seen.add(pattern)
                idle = 0
                yield pattern, candidate
        if idle >= 12:
            return


def _coded(network: Network, before: Any, after: Any) -> Any:
    """One number for each pattern, in the order of the patterns: MAX_PATTERNS of them have room in an integer."""
    result = np.zeros(len(before), dtype=np.int64)
    for pieces in (before, after):
        for unit, phi in enumerate(_units(network)):
            result = result * len(phi.pieces) + pieces[:, unit]
    return result


@dataclass(frozen=True, slots=True)
class _Draw:
    """A batch of small networks."""

    network: Network
    parameters: list[Any]
    x: Any
    other: Any
    error: Any
    eta: Any
    inputs: int

    @classmethod
    def of(cls, network: Network, inputs: int, source: np.random.Generator) -> _Draw:
        def whole(bound: int, *shape: int) -> Any:
            return source.integers(-bound, bound + 1, (_BATCH, *shape)).astype(float)

        parameters = [whole(3, *network.shape(array)) for array in network.parameters]
        x = whole(2, network.inputs)
        other = whole(2, network.inputs) if inputs == 2 else x
        eta = 2.0 ** source.integers(-5, 2, _BATCH)
        return cls(network, parameters, x, other, whole(3, network.widths[-1]), eta, inputs)

    def _layers(self, parameters: list[Any]) -> Iterator[tuple[Any, Any]]:
        rest = iter(parameters)
        for layer in self.network.layers:
            yield next(rest), next(rest) if layer.bias else None

    def _forward(self, parameters: list[Any], x: Any) -> tuple[list[Any], list[Any]]:
        s, v = [], [x]
        for layer, (w, b) in zip(self.network.layers, self._layers(parameters), strict=True):
            z = np.einsum("nij,nj->ni", w, v[-1]) + (0 if b is None else b)
            s.append(z)
            v.append(_value(layer.activation, z))
        return s, v

    def pieces(self, order: Order) -> tuple[Any, Any]:
        """The pieces of every hidden unit, before and after the step."""
        return self._gates(self.parameters), self._gates(self._updated(order))

    def _gates(self, parameters: list[Any]) -> Any:
        s, _ = self._forward(parameters, self.other)
        hidden = zip(self.network.layers[:-1], s, strict=False)
        return np.concatenate([_piece(layer.activation, z) for layer, z in hidden], axis=1)

    def _updated(self, order: Order) -> list[Any]:
        s, v = self._forward(self.parameters, self.x)
        old = list(self._layers(self.parameters))
        new: list[Any] = []
        delta, above = self.error, None
        for n in range(len(old) - 1, -1, -1):
            w, b = old[n]
            if above is not None:
                delta = np.einsum("nij,ni->nj", above, delta) * _slope(self.network.layers[n].activation, s[n])
            scaled = self.eta[:, None] * delta
            w_new = w - scaled[:, :, None] * v[n][:, None, :]
            new = [w_new, *([] if b is None else [b - scaled]), *new]
            above = w_new if order == "sequential" else w
        return new

    def witness(self, n: int) -> Witness:
        """The numbers of one network of the batch, as fractions; the target gives the drawn error."""
        weights = tuple(_exact(value[n]) for value in self.parameters)
        x, other, error = (_exact(value[n]) for value in (self.x, self.other, self.error))
        y = _output(self.network, weights, x)
        target = tuple(a - b for a, b in zip(y, error, strict=True))
        return Witness(weights, x, other, target, Fraction(float(self.eta[n])), self.inputs)


def _exact(value: Any) -> Any:
    return tuple(_exact(part) for part in value) if value.ndim else Fraction(float(value))


def _value(phi: Activation, s: Any) -> Any:
    result = np.zeros_like(s)
    number = _piece(phi, s)
    for n, piece in enumerate(phi.pieces):
        result = np.where(number == n, float(piece.slope) * s + float(piece.intercept), result)
    return result


def _piece(phi: Activation, s: Any) -> Any:
    return sum((s > float(kink) for kink in phi.kinks), start=np.zeros(s.shape, dtype=int))


def _slope(phi: Activation, s: Any) -> Any:
    number = _piece(phi, s)
    result = np.array([float(piece.slope) for piece in phi.pieces])[number]
    for kink, slope in zip(phi.kinks, phi.kink_slopes, strict=True):
        result = np.where(s == float(kink), float(slope), result)
    return result


# -------------------------------------------------------------------------------------------------- exact evaluation


def _leaves(network: Network, weights: Sequence[Any], x: Sequence[Fraction], eta: Fraction) -> dict[Element, Fraction]:
    leaves: dict[Element, Fraction] = {(ETA, ()): eta}
    for array, value in zip(network.parameters, weights, strict=True):
        for position in product(*map(range, network.shape(array))):
            entry: Any = value
            for index in position:
                entry = entry[index]
            leaves[array, position] = entry
    for n, number in enumerate(x):
        leaves[input_array(), (n,)] = number
    return leaves


def _evaluated(
    network: Network, order: Order, weights: Sequence[Any], x: Sequence[Fraction], eta: Fraction,
    target: Sequence[Fraction],
) -> dict[Element, Any]:  # fmt: skip
    """One step by the reference of the proofs, in fractions."""
    from fcsym.proof.reference import Gates, reference

    def phi(source: Element) -> Activation:
        return network.units[source[0].axes[-1]].activation

    leaves = _leaves(network, weights, x, eta)
    y = _output(network, weights, x)
    gates = Gates(
        lambda source, s: phi(source).value_at(s), lambda source, s: phi(source).slope_at(s),
        lambda source, s: phi(source).value_at(s), lambda phi, _, s: (phi.value_at(s), phi.slope_at(s)),
    )  # fmt: skip
    return reference(
        network, order, lambda a, p: leaves[a, p], lambda at: y[at[0]] - target[at[0]], gates, lambda value: value
    )


def _passed(network: Network, weights: Sequence[Any], x: Sequence[Fraction]) -> list[tuple[Any, Any]]:
    """(v below, s) of each layer."""
    rest, v = iter(weights), tuple(x)
    result = []
    for layer in network.layers:
        w = next(rest)
        b = next(rest) if layer.bias else (Fraction(0),) * layer.width
        s = [sum((p * q for p, q in zip(row, v, strict=True)), shift) for row, shift in zip(w, b, strict=True)]
        result.append((v, s))
        v = tuple(layer.activation.value_at(z) for z in s)
    return result


def _output(network: Network, weights: Sequence[Any], x: Sequence[Fraction]) -> tuple[Fraction, ...]:
    return tuple(_passed(network, weights, x)[-1][1])


def _stepped(network: Network, order: Order, at: Witness) -> list[Any]:
    """The weights after the step of a witness, by reverse mode written out: one pass for all of them."""
    passed, rest = _passed(network, at.weights, at.x), iter(at.weights)
    old = [(next(rest), next(rest) if layer.bias else None) for layer in network.layers]
    delta = [y - wanted for y, wanted in zip(passed[-1][1], at.target, strict=True)]
    new: list[Any] = []
    above: Any = None
    for n in range(len(old) - 1, -1, -1):
        w, b = old[n]
        v, s = passed[n]
        if above is not None:
            slopes = [network.layers[n].activation.slope_at(z) for z in s]
            arrives = [
                sum((d * row[j] for d, row in zip(delta, above, strict=True)), Fraction(0)) for j in range(len(s))
            ]
            delta = [g * a for g, a in zip(slopes, arrives, strict=True)]
        w_new = [[c - at.eta * d * a for c, a in zip(row, v, strict=True)] for row, d in zip(w, delta, strict=True)]
        b_new = [] if b is None else [[c - at.eta * d for c, d in zip(b, delta, strict=True)]]
        new = [w_new, *b_new, *new]
        above = w_new if order == "sequential" else w
    return new


def _pattern_of(network: Network, order: Order, at: Witness) -> Pattern:
    """The pattern of a witness in exact arithmetic, by the step written out above."""
    before, after = (
        [layer.activation.piece_at(z) for layer, (_, s) in zip(network.layers[:-1], passed, strict=False) for z in s]
        for passed in (_passed(network, at.weights, at.other), _passed(network, _stepped(network, order, at), at.other))
    )
    return tuple(zip(before, after, strict=True))


def _pattern_at(network: Network, order: Order, at: Witness) -> Pattern:
    """The pattern of a witness in exact arithmetic, by the reference that proofs use."""
    known = _evaluated(network, order, at.weights, at.x, at.eta, at.target)
    if at.other != at.x:
        updated = tuple(_tuple(network, array, known) for array in network.parameters)
        old = _evaluated(network, order, at.weights, at.other, Fraction(0), at.target)
        new = _evaluated(network, order, updated, at.other, Fraction(0), at.target)
        known = {**old, **{(a.primed, p): v for (a, p), v in new.items()}}
    pattern = []
    for n, layer in enumerate(network.layers[:-1], 1):
        s = pre_activation(n)
        for j in range(layer.width):
            phi = layer.activation
            pattern.append((phi.piece_at(known[s, (j,)]), phi.piece_at(known[s.primed, (j,)])))
    return tuple(pattern)


def _tuple(network: Network, array: Array, known: Mapping[Element, Any]) -> Any:
    shape = network.shape(array)
    if len(shape) == 1:
        return tuple(known[array.primed, (i,)] for i in range(shape[0]))
    return tuple(tuple(known[array.primed, (i, j)] for j in range(shape[1])) for i in range(shape[0]))


# ------------------------------------------------------------------------------------------------------------- z3


def _decided(network: Network, order: Order, inputs: int, pattern: Pattern) -> tuple[bool | None, Witness | None]:
    """Whether the pattern can occur: False, or a witness, or (None, None) where z3 does not say."""
    if inputs == 1:
        trained: Iterator[tuple[int, ...]] = iter([tuple(before for before, _ in pattern)])
    else:
        trained = product(*(range(len(phi.pieces)) for phi in _units(network)))
    open_question = False
    for pieces in trained:
        if _asked(network, order, inputs, pattern, pieces, relaxed=True)[0] is False:
            continue
        answer, found = _asked(network, order, inputs, pattern, pieces, relaxed=False)
        if found is not None:
            return True, found
        open_question = open_question or answer is not False
    return (None if open_question else False), None


def _asked(
    network: Network, order: Order, inputs: int, pattern: Pattern, trained: tuple[int, ...], *, relaxed: bool
) -> tuple[bool | None, Witness | None]:
    """z3 on one assignment of pieces.

    `relaxed`: what reaches the last hidden layer, eta times the error through the last layer's weights, is a variable
    of its own, one for each unit, and eta is 1: all increments are linear in that product. Every real step is covered,
    so what is impossible here is impossible; the other way round it does not follow.
    """
    import z3

    from fcsym.language.smt import check

    terms = _Terms(network, trained)
    weights = [terms.array(array) for array in network.parameters]
    x = [z3.Real(f"x{n}") for n in range(network.inputs)]
    other = x if inputs == 1 else [z3.Real(f"o{n}") for n in range(network.inputs)]
    error = [z3.Real(f"e{k}") for k in range(network.widths[-1])]
    eta = Fraction(1) if relaxed else z3.Real("eta")
    if not relaxed:
        terms.facts.append(eta > 0)
    arriving = [z3.Real(f"h{j}") for j in range(network.widths[-2])] if relaxed else None
    updated = terms.step(weights, x, error, eta, order, trained, arriving)
    if terms.contradiction:
        return False, None
    before, after = tuple(a for a, _ in pattern), tuple(b for _, b in pattern)
    if inputs == 2:
        terms.forward(weights, other, before)
    terms.forward(updated, other, after)
    if terms.contradiction:
        return False, None
    solver = z3.Solver()
    solver.set("rlimit", _STEPS)
    solver.set("random_seed", 0)
    solver.add(*terms.facts)
    answer = check(solver)
    if answer == z3.unsat:
        return False, None
    if answer == z3.unknown or relaxed:
        return None, None
    return True, terms.witness(solver.model(), weights, x, other, error, eta, order, pattern)


class _Terms:
    """The step as z3 terms, with the piece of every unit given; what is 0 stays 0 and never becomes a term."""

    def __init__(self, network: Network, trained: tuple[int, ...]) -> None:
        import z3

        self.z3, self.network = z3, network
        self.facts: list[Any] = []
        self.contradiction = False

    def array(self, array: Array) -> Any:
        """Variables for a weight matrix or a bias."""
        shape = self.network.shape(array)
        if len(shape) == 1:
            return [self.z3.Real(f"{array.name}_{i}") for i in range(shape[0])]
        return [[self.z3.Real(f"{array.name}_{i}_{j}") for j in range(shape[1])] for i in range(shape[0])]

    def _pairs(self, weights: list[Any]) -> Iterator[tuple[Any, Any]]:
        rest = iter(weights)
        for layer in self.network.layers:
            yield next(rest), next(rest) if layer.bias else None

    def forward(self, weights: list[Any], x: list[Any], pieces: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
        """The forward pass on these pieces; that they are the right ones is added to the facts."""
        s, v, start = [], [list(x)], 0
        for n, (layer, (w, b)) in enumerate(zip(self.network.layers, self._pairs(weights), strict=True)):
            z = [self._sum([*(_product(c, a) for c, a in zip(row, v[-1], strict=True)), *([] if b is None else [b[i]])])
                 for i, row in enumerate(w)]  # fmt: skip
            s.append(z)
            if n < len(self.network.layers) - 1:
                here = pieces[start : start + layer.width]
                start += layer.width
                v.append([self._on(layer.activation, number, a) for number, a in zip(here, z, strict=True)])
            else:
                v.append(z)
        return s, v

    def _on(self, phi: Activation, number: int, s: Any) -> Any:
        """phi(s) on a piece, with the fact that s lies there."""
        lower = phi.pieces[number - 1].upper if number else None
        upper, piece = phi.pieces[number].upper, phi.pieces[number]
        if isinstance(s, Fraction):
            self.contradiction = self.contradiction or phi.piece_at(s) != number
            return phi.value_at(s)
        if lower is not None:
            self.facts.append(s > self._number(lower))
        if upper is not None:
            self.facts.append(s <= self._number(upper))
        return self._sum([_product(piece.slope, s), piece.intercept])

    def _number(self, value: Fraction) -> Any:
        return self.z3.RatVal(value.numerator, value.denominator)

    def _sum(self, parts: Sequence[Any]) -> Any:
        constant = sum((p for p in parts if isinstance(p, Fraction)), Fraction(0))
        rest = [p for p in parts if not isinstance(p, Fraction)]
        if not rest:
            return constant
        whole = rest[0] if len(rest) == 1 else self.z3.Sum(rest)
        return whole + self._number(constant) if constant else whole

    def _slope(self, phi: Activation, number: int, s: Any) -> Any:
        """phi'(s), with the declared slope at the kink that belongs to the piece."""
        piece = phi.pieces[number]
        if isinstance(s, Fraction):
            return phi.slope_at(s)
        if piece.upper is None or phi.kink_slopes[number] == piece.slope:
            return piece.slope
        at_kink = self._number(phi.kink_slopes[number])
        return self.z3.If(s == self._number(piece.upper), at_kink, self._number(piece.slope))

    def step(
        self, weights: list[Any], x: list[Any], error: list[Any], eta: Any, order: Order, pieces: Any,
        arriving: list[Any] | None = None,
    ) -> list[Any]:  # fmt: skip
        """The updated weights; `arriving` stands for what the last layer passes down."""
        s, v = self.forward(weights, x, pieces)
        old = list(self._pairs(weights))
        new: list[Any] = []
        delta, above = list(error), None
        end = len(pieces)
        for n in range(len(old) - 1, -1, -1):
            w, b = old[n]
            layer = self.network.layers[n]
            if above is not None:
                end -= layer.width
                slopes = [self._slope(layer.activation, pieces[end + j], s[n][j]) for j in range(layer.width)]
                through = [
                    self._sum([_product(above[i][j], d) for i, d in enumerate(delta)]) for j in range(layer.width)
                ]
                if arriving is not None and n == len(old) - 2:
                    through = arriving
                delta = [_product(g, t) for g, t in zip(slopes, through, strict=True)]
            scaled = [_product(_product(Fraction(-1), eta), d) for d in delta]
            w_new = [[self._sum([c, _product(d, a)]) for c, a in zip(row, v[n], strict=True)]
                     for row, d in zip(w, scaled, strict=True)]  # fmt: skip
            b_new = [] if b is None else [[self._sum([c, d]) for c, d in zip(b, scaled, strict=True)]]
            new = [w_new, *b_new, *new]
            above = w_new if order == "sequential" else w
        return new

    def witness(
        self, model: Any, weights: list[Any], x: list[Any], other: list[Any], error: list[Any], eta: Any, order: Order,
        pattern: Pattern,
    ) -> Witness | None:  # fmt: skip
        """The model as fractions, where it is rational and exact evaluation confirms it."""

        def number(term: Any) -> Fraction:
            value = model.eval(term, model_completion=True)
            if not self.z3.is_rational_value(value):
                raise ArithmeticError
            return Fraction(value.numerator_as_long(), value.denominator_as_long())

        def read(terms: Any) -> Any:
            return tuple(read(term) for term in terms) if isinstance(terms, list) else number(terms)

        try:
            values, at, elsewhere, gap = tuple(read(w) for w in weights), read(x), read(other), read(error)
            step = number(eta)
        except ArithmeticError:
            return None
        y = _output(self.network, values, at)
        inputs = 1 if other is x else 2
        found = Witness(values, at, elsewhere, tuple(a - b for a, b in zip(y, gap, strict=True)), step, inputs)
        return found if _pattern_at(self.network, order, found) == pattern else None


def _product(a: Any, b: Any) -> Any:
    """a b, where fractions stay fractions and 0 and 1 vanish."""
    for one, two in ((a, b), (b, a)):
        if isinstance(one, Fraction):
            if not one:
                return Fraction(0)
            if one == 1:
                return two
            if isinstance(two, Fraction):
                return one * two
            return two * one.numerator / one.denominator if one.denominator != 1 else two * one.numerator
    return a * b
