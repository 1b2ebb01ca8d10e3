"""The truth that derivations are held against: the full weight update and the full forward pass, evaluated.

It reads the network's forward equations and nothing of any derivation. Derivatives come from dual numbers in forward
mode, one weight at a time, so that reverse mode is not checked against itself. Each is carried through one layer, where
it meets dE/ds of that layer, found in the same way before: carried on to the output, it would cost the depth squared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation, smooth
from fcsym.language.algebra import as_expr, expand, indices_of, inline, linear_part
from fcsym.language.equation import Equation, Order
from fcsym.language.expression import Apply, Array, Expr, Role, arrays_in
from fcsym.language.instance import Element, Field, Instance, positions
from fcsym.networks.network import Network
from fcsym.networks.rules import UpdateRule
from fcsym.networks.symbols import (
    ALPHA,
    ERROR,
    ETA,
    adjoint_of,
    averages_of_one,
    bias,
    coefficient,
    corrected,
    count_of_samples,
    denominator,
    frozen_activation,
    gate_of,
    gradient_of,
    increment_of,
    kappa,
    moment,
    norm,
    rho,
)
from fcsym.networks.symbols import weight as weight_matrix
from fcsym.proof.numbers import Dual

__all__ = ["Gates", "plus", "reference"]


@dataclass(frozen=True, slots=True)
class Gates:
    """What the activation of one unit is: phi(s) and phi'(s) before the step, phi(s') after it."""

    value: Callable[[Element, Any], Any]  # the pre-activation's element and value => phi(s)
    slope: Callable[[Element, Any], Any]
    after: Callable[[Element, Any], Any]
    term: Callable[[Activation, Element, Any], tuple[Any, Any]]  # a function in a loss => its value and its slope
    greatest: Callable[[list[Any]], int] = lambda _: 0  # its place; E may not depend on which one is taken

    def taken(self, values: list[Any]) -> Any:
        """The greatest of some numbers, in whatever order they have."""
        return values[self.greatest(values)]


def plus(terms: list[Any]) -> Any:
    """A sum without a zero to start from."""
    return reduce(lambda a, b: a + b, terms)


def reference(
    network: Network, order: Order, leaf: Callable[[Array, tuple[int, ...]], Any],
    residual: Callable[[tuple[int, ...]], Any], gates: Gates, number: Callable[[Fraction], Any],
) -> dict[Element, Any]:  # fmt: skip
    """Network and numbers => the value of every quantity that has a meaning without a derivation.

    `leaf` gives the weights, x, eta, and what the update rule has; `residual` of a place gives y - y_g there, from
    which the target follows: that makes it a free variable. The result has s, v, y, y_g, E, the gates, the adjoints,
    the updated weights, everything after the step, and the changes.
    """
    sizes = network.sizes
    equations = {equation.array: equation for equation in forward(network)}
    output = network.output
    known: dict[Element, Any] = {}

    def apply(node: Apply, source: Element, value: Any) -> Any:
        if _is_a_units(network, node, source):
            return gates.value(source, value)
        return gates.term(node.activation, source, value)[0]

    def outside(array: Array, position: tuple[int, ...]) -> Any:
        if array == network.target:
            return before.element(output, position) - residual(position)
        return leaf(array, position)

    field = Field(number, lambda a, b: a / b, apply, _no_cases, plus, extreme={"max": gates.taken})
    before = Instance(equations, sizes, outside, field, known)
    before.fill()
    for position in positions(output, sizes):
        known[network.target, position] = outside(network.target, position)

    eta = leaf(ETA, ())
    known[ETA, ()] = eta
    known |= {(a, at): leaf(a, at) for a in (*network.memory, *network.rule.values) for at in positions(a, sizes)}
    training = Training(network.rule, known, gates, number)
    updated: dict[Element, Any] = {}
    for layer in range(len(network.layers), 0, -1):
        through = updated if order == "sequential" else {}
        pre = network.pre_activation(layer)
        for position in positions(pre, sizes):
            if pre != network.passed_on(layer):
                known[gate_of(pre), position] = gates.slope((pre, position), known[pre, position])
            if pre != network.logits:
                slope = _directional(
                    equations, sizes, known, through, gates, number, (pre, position), layer + 1, network
                )
            else:
                slope = _of_the_loss(equations, known, gates, number, (pre, position), network, residual)
            known[adjoint_of(pre), position] = slope
        moved: dict[Element, Any] = {}
        for theta in (theta for theta in network.feeding(layer) if theta in network.trained):
            for position in positions(theta, sizes):
                slope = _directional(equations, sizes, known, {}, gates, number, (theta, position), layer, network)
                moved[theta, position] = training.moved(theta, position, eta, slope)
        updated |= moved
    for (theta, position), value in updated.items():
        known[theta.primed, position] = value
    _after(network, equations, known, gates, number)
    _parts(network, order, known, number)
    return known


@dataclass(slots=True)
class Training:
    """The update rules in numbers, one element of a parameter at a time, as the manuals of optimisers have them.

    Written from the formulas of `torch.optim` and not from the equations of `networks.rules`.
    """

    rule: UpdateRule
    known: dict[Element, Any]  # what is carried, by its name before the step; everything made is added
    gates: Gates
    number: Callable[[Fraction], Any]

    def moved(self, theta: Array, at: tuple[int, ...], eta: Any, slope: Any) -> Any:
        """An element of a parameter after the step; what it is made of is noted down."""
        known, value, name = self.known, self.known[theta, at], self.rule.name
        if self.rule.is_plain:
            return value - eta * slope
        one = self.number(Fraction(1))
        known[gradient_of(theta), at] = slope
        decay = self._coefficient("lamda", "weight_decay")
        if name != "adamw" and decay is not None:
            slope = slope + decay * value
        lost = eta * decay * value if name == "adamw" and decay is not None else None
        if name in ("momentum", "nesterov"):
            beta, buffer = self._coefficient("beta", "beta"), known[moment(theta, 1), at]
            buffer = slope if beta is None else beta * buffer + slope
            known[moment(theta, 1).primed, at] = buffer
            slope = buffer if name == "momentum" else slope + beta * buffer
        if name == "rmsprop":
            squares = self._average(theta, 2, at, "alpha", slope * slope, "nu")
            slope = slope / self._root(theta, moment(theta, 2).primed, at, squares)
        if name in ("adam", "adamw"):
            average = self._average(theta, 1, at, "beta1", slope)
            squares = self._average(theta, 2, at, "beta2", slope * slope)
            rests = []
            for kind, seen in enumerate(averages_of_one(), 1):
                beta = self._coefficient(f"beta{kind}", f"beta{kind}")
                rests.append(one if beta is None else one - beta * (one - known[seen, ()]))
                known[seen.primed, ()] = rests[-1]
            hat = squares / rests[1]
            known[corrected(theta), at] = hat
            slope = average / (rests[0] * self._root(theta, corrected(theta), at, hat))
        change = self.number(Fraction(-1)) * eta * slope
        change = change if lost is None else change - lost
        known[increment_of(theta), at] = change
        return value + change

    def _coefficient(self, symbol: str, name: str) -> Any:
        return self.known[coefficient(symbol), ()] if self.rule[name] else None

    def _average(
        self, theta: Array, kind: int, at: tuple[int, ...], name: str, new: Any, symbol: str | None = None
    ) -> Any:  # fmt: skip
        beta = self._coefficient(symbol or name, name)
        share = new if beta is None else (self.number(Fraction(1)) - beta) * new
        result = share if beta is None else beta * self.known[moment(theta, kind), at] + share
        self.known[moment(theta, kind).primed, at] = result
        return result

    def _root(self, theta: Array, of: Array, at: tuple[int, ...], square: Any) -> Any:
        root, _ = self.gates.term(smooth("sqrt"), (of, at), square)
        self.known[denominator(theta), at] = root + self.known[coefficient("eps"), ()]
        return self.known[denominator(theta), at]


def _is_a_units(network: Network, node: Apply, source: Element) -> bool:
    """Whether a function is the activation of the layer whose pre-activation it reads."""
    unit = network.units.get(source[0].axes[-1]) if source[0].axes else None
    return unit is not None and unit.s == source[0].unprimed and unit.activation == node.activation


def _no_cases(*_: Any) -> Any:
    raise AssertionError("forward equations have no cases")


def _of_the_loss(
    equations: Mapping[Array, Equation], known: Mapping[Element, Any], gates: Gates,
    number: Callable[[Fraction], Any], seed: Element, network: Network, residual: Callable[[tuple[int, ...]], Any],
) -> Any:  # fmt: skip
    """dE/ds_k: what E changes by when one of the logits does, through the output activation and the loss's terms.

    The greatest of the logits stands for any number that is taken from all of them: E may not depend on it.
    """
    zero, one = number(Fraction(0)), number(Fraction(1))
    short = _by_residuals(equations[ERROR], network, residual, number, seed)
    if short is not None:
        return short

    def apply(node: Apply, at: Element, value: Dual) -> Dual:
        if _is_a_units(network, node, at):
            return Dual(known[network.units[at[0].axes[-1]].v, at[1]], gates.slope(at, known[at]) * value.slope)
        found, slope = gates.term(node.activation, at, value.value)
        return Dual(found, slope * value.slope)

    def leaf(array: Array, position: tuple[int, ...]) -> Dual:
        return Dual(known[array, position], zero)

    extreme = {"max": lambda every: every[gates.greatest([one.value for one in every])]}
    field = Field(lambda v: Dual(number(v), zero), lambda a, b: a / b, apply, _no_cases, plus, extreme=extreme)
    carried = {a: e for a, e in equations.items() if a.role in (Role.LOSS, Role.TERM, Role.PARTITION)}
    if network.output != network.logits:
        carried[network.output] = equations[network.output]
    moved = Instance(carried, network.sizes, leaf, field, {seed: Dual(known[seed], one)})
    return moved.element(ERROR, ()).slope


def _by_residuals(
    error: Equation, network: Network, residual: Callable[[tuple[int, ...]], Any], number: Callable[[Fraction], Any],
    seed: Element,
) -> Any:  # fmt: skip
    """The same where E depends on the residuals y - y_g alone: nothing larger is computed; None elsewhere."""
    assert isinstance(error.rhs, Expr)
    indices, axes = indices_of(network.target), network.output.axes
    apart, direction = Array("residual", None, axes), Array("direction", None, axes)
    put = {network.target: (indices, network.output[indices] - apart[indices])}
    try:
        of_residuals = as_expr(expand(inline(error.rhs, put)))
        moved = linear_part(of_residuals, apart, direction)
    except UnsupportedExpression:  # a function is applied to them
        return None
    if network.output != network.logits or set(arrays_in(of_residuals)) - {count_of_samples()} != {apart}:
        return None

    def leaf(array: Array, position: tuple[int, ...]) -> Any:
        if array.role is Role.COUNT:
            return number(Fraction(network.samples))
        return residual(position) if array == apart else number(Fraction((network.output, position) == seed))

    field = Field(number, lambda a, b: a / b, _no_cases, _no_cases, plus)
    return Instance({}, network.sizes, leaf, field).value(moved, {})


def _directional(
    equations: Mapping[Array, Equation], sizes: Any, known: Mapping[Element, Any], through: Mapping[Element, Any],
    gates: Gates, number: Callable[[Fraction], Any], seed: Element, layer: int, network: Network,
) -> Any:  # fmt: skip
    """sum_i dE/ds_i ds_i/dseed over a layer that the seed acts through, gates held constant.

    `through` has the weights that stand in place of the old ones. What dE/ds of that layer is has been computed before.
    """
    zero, one = number(Fraction(0)), number(Fraction(1))
    next_ = network.pre_activation(layer)
    source = network.passed_on(layer - 1)

    def apply(node: Apply, at: Element, value: Dual) -> Dual:
        return Dual(known[network.units[at[0].axes[-1]].v, at[1]], gates.slope(at, known[at]) * value.slope)

    def leaf(array: Array, position: tuple[int, ...]) -> Dual:
        element = (array, position)
        return Dual(through.get(element, known[element]), zero)

    field = Field(lambda v: Dual(number(v), zero), lambda a, b: a / b, apply, _no_cases, plus)
    carried = {a: equations[a] for a in (next_, source) if a == next_ or seed[0] not in network.parameters}
    moved = Instance(carried, sizes, leaf, field, {seed: Dual(known[seed], one)})
    delta = adjoint_of(next_)
    return plus([known[delta, at] * moved.element(next_, at).slope for at in positions(next_, sizes)])


def _after(
    network: Network, equations: Mapping[Array, Equation], known: dict[Element, Any], gates: Gates,
    number: Callable[[Fraction], Any],
) -> None:  # fmt: skip
    """The forward pass at the updated weights, and what changed."""

    def apply(node: Apply, source: Element, value: Any) -> Any:
        return gates.after(source, value)

    def leaf(array: Array, position: tuple[int, ...]) -> Any:
        element = (array.primed, position)
        return known[element] if element in known else known[array, position]

    field = Field(number, lambda a, b: a / b, apply, _no_cases, plus)
    passed = {a: equation for a, equation in equations.items() if a.role in (Role.PRE_ACTIVATION, Role.ACTIVATION)}
    after = Instance(passed, network.sizes, leaf, field)
    after.fill()
    for (array, position), value in list(after.known.items()):
        if array not in passed:
            continue
        known[array.primed, position] = value
        known[increment_of(array), position] = value - known[array, position]
    if len(network.layers) > 1:
        last = network.hidden[-1].v
        for position in positions(last, network.sizes):
            known[frozen_activation(last), position] = known[last, position]


def _parts(network: Network, order: Order, known: dict[Element, Any], number: Callable[[Fraction], Any]) -> None:
    """The sums that the contribution gives names to, computed from what they stand for."""
    sizes, depth = network.sizes, len(network.layers)
    for layer in range(depth):
        source = network.passed_on(layer)
        one = [number(Fraction(1))] if bias(layer + 1) in network.trained else []  # one for each unit
        for pair in positions(norm(source), sizes):  # of samples, if there are any
            first, second = pair[:1], pair[1:]
            units_of = range(sizes[source.axes[-1]])
            products = [known[source, (*first, i)] * known[source, (*second, i)] for i in units_of]
            known[norm(source), pair] = plus(products + one)
    if depth < 2 or network.batch:
        return
    output, hidden = network.logits, network.hidden[-1].v
    weight = network.read_out
    through = weight.primed if order == "sequential" else weight
    errors = [known[adjoint_of(output), at] for at in positions(output, sizes)]
    for k, j in positions(weight, sizes):
        others = [known[through, (m, j)] * e for m, e in enumerate(errors) if m != k]
        known[rho(weight), (k, j)] = plus([number(Fraction(0)), *others])
    own, shared = bias(depth - 1) in network.trained, bias(depth - 1, shared=True) in network.trained
    if depth < 3 and not shared:
        return
    below, zero = network.passed_on(depth - 2), number(Fraction(0))
    changes = {at: known.get((increment_of(below), at), zero) for at in positions(below, sizes)}
    delta = adjoint_of(network.hidden[-1].s)
    lower = weight_matrix(depth - 1)
    for (j,) in positions(hidden, sizes):
        arrives = [known[lower, (j, *at)] * change for at, change in changes.items()]
        if shared:  # the others' errors move the one bias, too
            every = plus([known[delta, at] for at in positions(delta, sizes)])
            arrives = [*arrives, known[ETA, ()] * (known[delta, (j,)] - every)]
        known[kappa(hidden), (j,)] = plus(arrives)
    products = [known[below, at] * known.get((below.primed, at), known[below, at]) for at in changes]
    one = [number(Fraction(1))] if own or shared else []
    known[ALPHA, ()] = plus(products + one)
