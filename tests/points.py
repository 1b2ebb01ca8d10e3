"""What equations about training are evaluated at: weights, held inputs and one step of automatic differentiation."""

from __future__ import annotations

import numpy as np

from fcsym.checking.oracle import backpropagation
from fcsym.language.expression import Add, Indicator, Mul, Number, Pow, Ref, Total
from fcsym.networks.symbols import SAMPLES


class Point:
    """Random weights, held inputs and a step of the oracle, as values of the arrays that equations have."""

    def __init__(self, held, seed=0):
        self.held, network = held, held.network
        rng = np.random.default_rng(seed)
        self.weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
        self.memory = {a.name: rng.normal(size=network.shape(a)) for a in network.memory}
        x = rng.normal(size=network.shape(network.input))
        target = rng.dirichlet(np.ones(network.widths[-1]), network.samples or None)
        self.eta = 0.1
        batch = [a[None] for a in (*self.weights, x, target)]
        with np.errstate(all="ignore"):
            one = backpropagation(
                network, held.order, batch[:-2], *batch[-2:], np.array([self.eta]),
                {name: value[None] for name, value in self.memory.items()},
            )  # fmt: skip
        self.seen = {name: value[0] for name, value in one.items()}
        self.known = {"x": x, "eta": np.asarray(self.eta), **self.memory}
        self.known |= {a.name: w for a, w in zip(network.parameters, self.weights, strict=True)}
        self.known |= {a.name: np.asarray(float(v)) for a, v in network.rule.values.items()}
        self.groups = {axis: self._members(axis) for axis in self.held.groups}
        self.sizes = dict(network.sizes) | {SAMPLES: network.samples}
        self.sizes |= {g: self.groups[axis].shape[0] for axis, g in self.held.groups.items()}

    def _members(self, axis):
        """1 where a unit is in a group: units with the same piece on every input."""
        hidden = self.held.network.units[axis]
        s = np.atleast_2d(self.seen[hidden.s.name])
        pieces = np.array([[hidden.activation.piece_at(float(v)) for v in row] for row in s])
        patterns, where = np.unique(pieces, axis=1, return_inverse=True)
        return (where.ravel()[None] == np.arange(patterns.shape[1])[:, None]).astype(float)

    def array(self, array, after):
        """The value of an array that the network has, before or after the step; units in their groups."""
        name, axes = array.name, [a for a in array.axes if a not in self.held.groups.values()]
        value = self.seen.get(f"{name}_new") if after else None
        value = self.known.get(name) if value is None else value
        if value is None:
            value = self.first(name, after) if name in ("s1", "ms1") else self.data(name)
        value = np.asarray(value, np.longdouble)
        out = list(array.axes)
        letters = {axis: chr(97 + n) for n, axis in enumerate(dict.fromkeys((*array.axes, *self.held.groups)))}
        operands, subs = [value], ["".join(letters[a] if axes.count(a) == 1 else "" for a in axes)]
        if name.startswith(("g", "o")) and name[1:].isdigit():  # what a group has in common: any unit of it
            axis = next((a for a, g in self.held.groups.items() if g in array.axes), None)
            if axis is None:
                return value
            first = self.groups[axis].argmax(axis=1)
            return value[..., first]
        for axis, group in self.held.groups.items():
            if group in array.axes:
                operands.append(self.groups[axis])
                subs.append(letters[group] + letters[axis])
        if len(operands) == 1:
            return value
        return np.einsum(f"{','.join(subs)}->{''.join(letters[a] for a in out)}", *operands)

    def first(self, name, after):
        """s1 = W1 x + b1, and the same of its velocity."""
        w, b = ("W1", "b1") if name == "s1" else ("M1", "m1")
        values = [self.seen.get(f"{n}_new") if after else self.known.get(n) for n in (w, b)]
        if after:
            values = [self.known.get(n) if v is None else v for n, v in zip((w, b), values, strict=True)]
        return self.known["x"] @ values[0].T + (0 if values[1] is None else values[1])

    def data(self, name):
        """What is held."""
        if name == "a0":
            x = self.known["x"]
            return x @ x.T + int(self.held.network.layers[0].bias)
        if name.startswith("one"):
            return np.ones(self.held.network.widths[int(name[3:])])
        if name.startswith("o"):
            hidden = self.held.network.hidden[int(name[1:]) - 1]
            return self.seen[hidden.v.name] - self.seen[f"g{name[1:]}"] * self.seen[hidden.s.name]
        return self.seen[name]


def evaluate(node, value):
    """An expression => (its numbers, the indices of their axes); `value`: what an array element is."""
    match node:
        case Number(number):
            return np.longdouble(number.numerator) / number.denominator, ()
        case Ref(array, indices):
            return value(array), indices
        case Indicator():
            raise AssertionError("no diagonal is met here")
        case Pow(base, exponent):
            inner, indices = evaluate(base, value)
            return inner**exponent, indices
        case Mul(factors):
            result, indices = evaluate(factors[0], value)
            for factor in factors[1:]:
                more, others = evaluate(factor, value)
                both = (*indices, *(i for i in others if i not in indices))
                result, indices = spread(result, indices, both) * spread(more, others, both), both
            return result, indices
        case Add(terms):
            parts = [evaluate(term, value) for term in terms]
            both = tuple(dict.fromkeys(i for _, indices in parts for i in indices))
            return sum(spread(part, indices, both) for part, indices in parts), both
        case Total(over, body):
            inner, indices = evaluate(body, value)
            places = tuple(n for n, i in enumerate(indices) if i in over)
            assert set(over) <= set(indices)
            return inner.sum(axis=places), tuple(i for i in indices if i not in over)
    raise AssertionError(node)


def spread(values, indices, wanted):
    """The same with axes in the wanted order, and new axes of length 1."""
    values = np.asarray(values)
    order = [indices.index(i) for i in wanted if i in indices]
    values = values.transpose(order)
    return values.reshape(
        [values.shape[[i for i in wanted if i in indices].index(i)] if i in indices else 1 for i in wanted]
    )
