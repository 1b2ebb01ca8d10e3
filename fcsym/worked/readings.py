"""Readings of a worked example: what its author may have done, each as a change of the network, the numbers or a list.

A convention is a choice that a page may leave unsaid: the order of the update, the sum or the mean over samples, the
slope at a kink, which biases are trained. A slip is a mistake: an equation of the derivation that was changed, a number
taken for another, a rounding on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product
from math import prod
from typing import Any, TypeAlias

import numpy as np

from fcsym.deriving.pipeline import one_step
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError, FcsymError
from fcsym.kernel import Kernel
from fcsym.language.algebra import replaced
from fcsym.language.equation import Cases, Equation, Order
from fcsym.language.expression import ONE, Add, Apply, Array, Expr, Number, Ref, Role, add, arrays_in
from fcsym.language.instance import Field, Instance
from fcsym.networks.network import Network
from fcsym.networks.rules import PLAIN, RULES, rule
from fcsym.networks.symbols import ERROR, adjoint_of, averages_of_one, gate_of, increment_of, moment
from fcsym.values import Values, trained
from fcsym.values.called import names_of
from fcsym.values.exact import evaluated, exact_step
from fcsym.values.nested import Nested

__all__ = ["Reading", "Snapshot", "conventions", "exactly", "slips", "states"]

Snapshot: TypeAlias = "dict[str, Any]"
"""Every quantity of a step by name, as an array: the parameters before it, what is derived, the parameters after it."""

Edit: TypeAlias = "Callable[[Record], Record | None]"
"""A change of the list; None where there is nothing that it could change."""

LONG = 200
"""From so many steps on, numbers are those of float64, and numbers taken for one another are not searched for."""
MAX_READINGS = 20_000


@dataclass(frozen=True)
class Reading:
    """One way to read an example; `said` is what is different, in words."""

    network: Network
    order: Order
    values: Values
    said: tuple[str, ...] = ()
    edit: Edit | None = field(default=None, compare=False)
    rounding: int | None = None  # decimals of every number on the way

    @property
    def cost(self) -> int:
        """How many things are different."""
        return len(self.said)

    def record(self) -> Record | None:
        """The list of equations under this reading; None where there is none."""
        made = _derived(self.network, self.order)
        return made if self.edit is None else self.edit(made)

    def with_(self, said: str, **changes: Any) -> Reading:
        """The same, and one thing more is different."""
        network = changes.get("network")
        if network is not None and "values" not in changes:
            values = self.values
            memory = _carried(values.memory, self.network, network)
            changes["values"] = replace(values, network=network, memory=memory)
        return replace(self, said=(*self.said, said), **changes)


def _carried(memory: tuple[Nested, ...], before: Network, network: Network) -> tuple[Nested, ...]:
    """What another network's rule carries: what was given of it, which a frozen parameter has none of, else at rest."""
    if network.rule != before.rule:
        return _at_rest(network)
    given = dict(zip((array.name for array in before.memory), memory, strict=True))
    rest = zip(network.memory, _at_rest(network), strict=True)
    return tuple(given.get(array.name, zero) for array, zero in rest)


def _at_rest(network: Network) -> tuple[Nested, ...]:
    def filled(shape: tuple[int, ...], number: Fraction) -> Nested:
        return tuple(filled(shape[1:], number) for _ in range(shape[0])) if shape else number

    return tuple(filled(network.shape(array), number) for array, number in network.memory.items())


# --------------------------------------------------------------------------------------------------------- evaluation


def states(reading: Reading, at: Sequence[int], wanted: Sequence[str]) -> dict[int, Snapshot]:
    """The quantities after so many steps of training on the same numbers, in float64, or rounded as the reading says.

    Without an entry where training has left the range of numbers.
    """
    if reading.edit is None and reading.rounding is None:  # most readings only give other numbers to the same list
        return _by_kernel(reading, _compiled(reading.network, reading.order, tuple(wanted)), at)
    record = reading.record()
    if record is None:
        return {}
    record = _needed(record, wanted)
    if reading.rounding is not None:
        return dict(_rounded(reading, record, at))
    return _by_kernel(reading, Kernel(record), at)


@lru_cache(maxsize=64)
def _derived(network: Network, order: Order) -> Record:
    return one_step(network, order)


@lru_cache(maxsize=64)
def _compiled(network: Network, order: Order, wanted: tuple[str, ...]) -> Kernel:
    return Kernel(_needed(_derived(network, order), wanted))


def _by_kernel(reading: Reading, step: Kernel, at: Sequence[int]) -> dict[int, Snapshot]:
    network = reading.values.network
    weights, x, target, eta, memory = reading.values.floats()
    names = [array.name for array in network.parameters]
    found: dict[int, Snapshot] = {}
    last = max(at)
    for n in range(last + 1):
        values = dict(zip(step.outputs, step.unchecked([*weights, *memory, x, target, eta]), strict=False))
        if n in at:
            given = dict(zip([*names, *(m.name for m in network.memory)], [*weights, *memory], strict=True))
            found[n] = {**given, "x": x, "yg": target, "eta": eta, **values}
        weights = [values.get(f"{name}_new", old) for name, old in zip(names, weights, strict=True)]
        memory = [values[f"{array.name}_new"] for array in network.memory]
        if not all(np.isfinite(weight).all() for weight in weights):
            break
    return found


def _needed(record: Record, wanted: Sequence[str]) -> Record:
    """The equations that the quantities, and the next step, are computed with: training does not need the rest."""
    needed = {f"{name}_new" for name in (a.name for a in (*record.network.trained, *record.network.memory))}
    needed |= set(wanted) | {"y", "E"}
    kept = []
    for equation in reversed(record.equations):
        if equation.defines and equation.name in needed:
            kept.append(equation)
            needed |= {array.name for array in equation.operands}
    return Record(record.network, record.order, tuple(reversed(kept)))


def _rounded(reading: Reading, record: Record, at: Sequence[int]) -> Iterator[tuple[int, Snapshot]]:
    """Every quantity rounded to some decimals as soon as it is computed, as people do who write it down."""
    places = reading.rounding
    assert places is not None

    class Rounding(Instance):
        def right_side(self, equation: Equation, position: tuple[int, ...]) -> Any:
            found = super().right_side(equation, position)
            return None if found is None else round(float(found), places)

    values = reading.values
    network = values.network
    for n in range(max(at) + 1):
        found = evaluated(record.equations, values, _floating(), Rounding)
        if n in at:
            yield n, {name: np.array(value, dtype=float) for name, value in found.items()}
        names = [f"{theta.name}_new" if theta in network.trained else theta.name for theta in network.parameters]
        values = replace(
            values,
            weights=tuple(found[name] for name in names),
            memory=tuple(found[f"{array.name}_new"] for array in network.memory),
        )


def _floating() -> Field:
    from fcsym.language import smooth_functions

    def apply(node: Apply, _: Any, value: Any) -> Any:
        phi = node.activation
        if phi.is_smooth:
            try:
                return float(smooth_functions.value(phi, int(node.derivative), value))
            except (ArithmeticError, ValueError):  # outside of its range, or of that of numbers
                return math.nan
        at = Fraction(value)
        return float(phi.slope_at(at) if node.derivative else phi.value_at(at))

    def choose(cases: Cases, where: Any, value: Callable[[Expr], Any]) -> Any:
        for branch in cases:
            if all(condition.holds(value(condition.subject)) for condition in branch.when):
                return math.nan if branch.value is None else value(branch.value)
        return math.nan

    return Field(number=float, divide=lambda a, b: a / b if b else math.nan, apply=apply, choose=choose)


def exactly(reading: Reading, n: int) -> Snapshot | None:
    """The quantities after n steps in fractions and balls; None where that is not possible."""
    record = reading.record()
    if record is None or reading.rounding is not None:
        return None
    values = reading.values
    try:
        if n:
            *_, last = trained(record.equations, values, n)
            values = last.values
        return exact_step(record.equations, values)
    except (FcsymError, ZeroDivisionError):
        return None


# -------------------------------------------------------------------------------------------------------- conventions


def conventions(base: Reading) -> Iterator[Reading]:
    """The reading and what else a page may have meant, those that differ least first."""
    network = base.network
    options: list[list[Callable[[Reading], Reading] | None]] = []
    other: Order = "sequential" if base.order == "simultaneous" else "simultaneous"
    options.append([None, lambda r: r.with_(f"{other} order", order=other)])
    if network.batch:
        told = "sum" if network.batch == "mean" else "mean"
        options.append(
            [None, lambda r: r.with_(f"the {told} over the samples", network=replace(r.network, batch=told))]
        )
    kinks = any(unit.activation.kinks for unit in network.activated)
    if kinks:
        now = {slope for unit in network.activated for slope in unit.activation.kink_slopes}
        slopes = [slope for slope in (Fraction(0), Fraction(1, 2), Fraction(1)) if {slope} != now]
        options.append([None, *(_at_kink(slope) for slope in slopes)])
    biases = [theta.name for theta in network.parameters if len(theta.axes) < 2]
    if biases:
        if any(name not in network.fixed for name in biases):
            options.append([None, lambda r: r.with_("biases not trained", network=r.network.frozen(*biases))])
        else:
            kept = tuple(name for name in network.fixed if name not in biases)
            options.append([None, lambda r: r.with_("biases trained", network=replace(r.network, fixed=kept))])
    made = []
    for chosen in product(*options):
        reading = base
        for choice in chosen:
            reading = reading if choice is None else choice(reading)
        made.append(reading)
    yield from sorted(made, key=lambda reading: reading.cost)


def _at_kink(slope: Fraction) -> Callable[[Reading], Reading]:
    return lambda r: r.with_(f"slope {slope} at a kink", network=r.network.with_slope_at_kink(slope))


# --------------------------------------------------------------------------------------------------------------- slips


def slips(base: Reading, long: bool = False) -> Iterator[Reading]:
    """Every slip on the list, made in one reading; `long` leaves out those of which there are many."""
    if not long:
        _refuse_too_many(base)
    yield from _in_equations(base)
    yield from _in_training(base)
    if not long:
        yield from _rounding(base)
        yield from _in_numbers(base)


def _refuse_too_many(base: Reading) -> None:
    count = sum(1 for _ in _places(base.network, base.values))
    if count**2 > MAX_READINGS:
        raise ArgumentError(
            f"The search for numbers taken for one another would try {count**2} readings of {count} numbers, and at "
            f"most {MAX_READINGS} are tried: claim something about a smaller network."
        )


def _in_equations(base: Reading) -> Iterator[Reading]:
    network = base.network
    logits, delta = network.logits, adjoint_of(network.logits)
    outputs = network.widths[-1]
    for same in ([logits], *_by_layer(network)):
        which = "the output activation" if same == [logits] else f"the activation of layer {same[0].layer}"
        gates = [gate_of(s) for s in same]
        yield base.with_(f"without the derivative of {which}", edit=_each(gates, lambda _: ONE))
        yield base.with_(f"the derivative of {which} taken at its value", edit=_each(gates, _at_value(network)))
    for said, array, term in _ways_back(_derived(network, base.order)):
        yield base.with_(f"the way back through {said} left out", edit=_put(array, _without(term)))
    if network.output_activation.is_smooth or network.softmax:
        y = network.output
        yield base.with_(
            "one derivative of the output activation, y(1 - y), too many",
            edit=_put(delta, lambda e: e.rhs * _like(y, e) * (1 - _like(y, e))),
        )
    factors = {"1/2": Fraction(1, 2), "2": Fraction(2)}
    if outputs > 1:
        factors |= {
            f"1/{outputs}, the number of outputs,": Fraction(1, outputs),
            f"{outputs}, the number of outputs,": Fraction(outputs),
        }
    count = network.samples
    if count > 1:
        factors |= {
            f"1/{count}, the number of samples,": Fraction(1, count),
            f"{count}, the number of samples,": Fraction(count),
        }
    for said, factor in factors.items():
        times = Number(factor)
        yield base.with_(f"a factor {said} too much in E", edit=_put(ERROR, _times(times)))
        yield base.with_(f"a factor {said} too much in the gradient", edit=_put(delta, _times(times)))
    yield base.with_("the sign of the gradient reversed", edit=_put(delta, lambda e: -e.rhs))


def _by_layer(network: Network) -> list[list[Array]]:
    """The pre-activations of the hidden layers, from the last one on; those of all steps of a recurrence together."""
    found: dict[Any, list[Array]] = {}
    for hidden in reversed(network.hidden):
        found.setdefault(hidden.s.name if hidden.s.layer is None else hidden.s.layer, []).append(hidden.s)
    return list(found.values())


def _ways_back(record: Record) -> Iterator[tuple[str, Array, Expr]]:
    """Where an error, or a gradient, is the sum over several uses of a quantity: which it is, and each of the terms."""
    for equation in record.equations:
        if equation.array.role not in (Role.ADJOINT, Role.GRADIENT) or not isinstance(equation.rhs, Add):
            continue
        ways = [(term, [a.of or a for a in arrays_in(term) if a.role is Role.ADJOINT]) for term in equation.rhs.terms]
        if not all(through for _, through in ways):
            continue
        for term, through in ways:
            names = " and ".join(dict.fromkeys(array.name for array in through))
            yield f"{names} to {(equation.array.of or equation.array).name}", equation.array, term


def _without(term: Expr) -> Callable[[Equation], Expr]:
    def less(equation: Equation) -> Expr:
        assert isinstance(equation.rhs, Add)
        return add(*(other for other in equation.rhs.terms if other != term))

    return less


def _in_training(base: Reading) -> Iterator[Reading]:
    network, update = base.network, base.network.rule
    if update.is_plain:
        return
    given = dict(update.coefficients)
    for name, value in given.items():
        if value:
            less = {key: number for key, number in given.items() if key != name} | {name: 0}
            yield from _with_rule(base, f"without {name}", update.name, less, update.eta)
    for name in RULES:
        if name != update.name:
            known = {key: number for key, number in given.items() if key in dict(rule(name).coefficients)}
            yield from _with_rule(base, f"{name} in place of {update.name}", name, known, update.eta)
    yield base.with_("plain gradient steps", network=replace(network, rule=replace(PLAIN, eta=update.eta)))
    moments = [moment(theta, 1) for theta in network.trained]
    if any(array in network.memory for array in moments):
        old = {array.primed: array for array in moments}
        yield base.with_("the velocity from before the step", edit=_each(_updates(network), lambda e: _renamed(e, old)))
        beta = given.get("beta")
        if beta:
            yield base.with_(
                f"the gradient times 1 - beta = {1 - beta} in the velocity",
                edit=_each(_velocities(network), lambda e: _damped(e, Number(1 - beta))),
            )
    averages = [array.primed for array in averages_of_one()]
    if any(array.unprimed in network.memory for array in averages):
        yield base.with_("without the bias correction", edit=_each(averages, lambda _: ONE))


def _with_rule(
    base: Reading, said: str, name: str, numbers: Mapping[str, Any], eta: Fraction | None
) -> Iterator[Reading]:
    try:
        made = rule(name, **numbers, **({} if eta is None else {"eta": eta}))
        yield base.with_(said, network=replace(base.network, rule=made))
    except (ArgumentError, TypeError):  # a coefficient that cannot be left out
        return


def _rounding(base: Reading) -> Iterator[Reading]:
    for places in range(8, 0, -1):
        yield base.with_(f"every number on the way rounded to {places} decimals", rounding=places)


def _in_numbers(base: Reading) -> Iterator[Reading]:
    """One given number taken for another, two exchanged, a matrix read by columns, a bias left out, another eta."""
    network, values = base.network, base.values
    for n, array in enumerate(network.parameters):
        shape = network.shape(array)
        if len(shape) == 2 and min(shape) > 1:
            turned = _by_columns(values.weights[n], shape)
            what = "transposed" if shape[0] == shape[1] else "read column by column"
            yield base.with_(f"{array.name} {what}", values=_replaced(values, {n: turned}))
        if len(shape) < 2:
            yield base.with_(
                f"without {array.name}",
                values=_replaced(values, {n: _mapped(values.weights[n], lambda _: Fraction(0))}),
            )
    for said, factor in (("10 times eta", Fraction(10)), ("a tenth of eta", Fraction(1, 10))):
        yield base.with_(said, values=replace(values, eta=values.eta * factor))
    if network.batch and network.samples > 1:
        for n in range(network.samples):
            one = replace(network, samples=1)
            yield base.with_(
                f"sample {n + 1} alone", network=one,
                values=replace(values, network=one, x=(values.x[n],), target=(values.target[n],)),
            )  # fmt: skip
    places = list(_places(network, values))
    for (name, get, put), (other, theirs, put_other) in combinations(places, 2):
        a, b = get(values), theirs(values)
        if a != b:
            yield base.with_(f"{name} and {other} exchanged", values=put_other(put(values, b), a))
            yield base.with_(f"{other} taken for {name}", values=put(values, b))
            yield base.with_(f"{name} taken for {other}", values=put_other(values, a))
    for name, get, put in places:
        if get(values):
            yield base.with_(f"the sign of {name} lost", values=put(values, -get(values)))


_Place: TypeAlias = "tuple[str, Callable[[Values], Any], Callable[[Values, Any], Values]]"


def _places(network: Network, values: Values) -> Iterator[_Place]:
    """Every given number: what it is called, how it is read, and how it is replaced."""

    def of(part: str, index: int | None, place: tuple[int, ...]) -> tuple[Any, Any]:
        def get(v: Values) -> Any:
            whole = getattr(v, part) if index is None else v.weights[index]
            for n in place:
                whole = whole[n]
            return whole

        def put(v: Values, number: Any) -> Values:
            if index is None:
                return replace(v, **{part: _changed(getattr(v, part), place, number)})
            return _replaced(v, {index: _changed(v.weights[index], place, number)})

        return get, put

    for part, array in (("x", network.input), ("target", network.target)):
        for place in product(*map(range, network.shape(array))):
            yield f"{part}[{','.join(str(n + 1) for n in place)}]", *of(part, None, place)
    for index, theta in enumerate(network.parameters):
        shape = network.shape(theta)
        if not theta.axes:
            yield theta.name, *of("weights", index, ())
            continue
        uniform = len(theta.axes) < 2 and len({*values.weights[index]}) == 1
        if uniform:  # one bias for all units of a layer
            yield theta.name, *_whole(index, prod(shape))
            continue
        for place in product(*map(range, shape)):
            yield names_of(network, theta, place)[-1], *of("weights", index, place)


def _whole(index: int, count: int) -> tuple[Callable[[Values], Any], Callable[[Values, Any], Values]]:
    """A bias that all units of a layer share: how it is read and replaced."""
    return (lambda v: v.weights[index][0]), (lambda v, number: _replaced(v, {index: (number,) * count}))


def _changed(value: Nested, place: tuple[int, ...], number: Any) -> Nested:
    if not place:
        return number
    head, *rest = place
    return tuple(_changed(part, tuple(rest), number) if n == head else part for n, part in enumerate(value))


def _replaced(values: Values, arrays: Mapping[int, Nested]) -> Values:
    return replace(values, weights=tuple(arrays.get(n, value) for n, value in enumerate(values.weights)))


def _mapped(value: Nested, function: Callable[[Any], Any]) -> Nested:
    return tuple(_mapped(part, function) for part in value) if isinstance(value, tuple) else function(value)


def _by_columns(value: Nested, shape: tuple[int, ...]) -> Nested:
    """The same numbers in a matrix of the same shape, filled column by column."""
    flat = [entry for row in value for entry in row]
    return tuple(tuple(flat[m * shape[0] + n] for m in range(shape[1])) for n in range(shape[0]))


# --------------------------------------------------------------------------------------------------- edits of the list


def _put(array: Array, made: Callable[[Any], Expr]) -> Edit:
    """The equation of an array with another right-hand side."""
    return _each([array], made)


def _each(arrays: Sequence[Array], made: Callable[[Any], Expr]) -> Edit:
    def edit(record: Record) -> Record | None:
        changed = [
            replace(e, rhs=made(e)) if e.defines and e.array in arrays and isinstance(e.rhs, Expr) else e
            for e in record.equations
        ]
        if tuple(changed) == record.equations:
            return None
        return Record(record.network, record.order, tuple(changed))

    return edit


def _times(factor: Expr) -> Callable[[Any], Expr]:
    return lambda equation: factor * equation.rhs


def _like(array: Array, equation: Equation) -> Ref:
    """An array at the indices of the left-hand side."""
    assert isinstance(equation.lhs, Ref)
    return array[equation.lhs.indices]


def _at_value(network: Network) -> Callable[[Equation], Expr]:
    """phi'(v) where phi'(s) belongs."""

    def made(equation: Equation) -> Expr:
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        unit = next(unit for unit in network.activated if gate_of(unit.s) == equation.array)
        return Apply(unit.activation, unit.v[equation.lhs.indices], 1)

    return made


def _renamed(equation: Equation, names: Mapping[Array, Array]) -> Expr:
    assert isinstance(equation.rhs, Expr)
    return replaced(equation.rhs, lambda ref: Ref(names.get(ref.array, ref.array), ref.indices))


def _damped(equation: Equation, factor: Expr) -> Expr:
    """The velocity with its gradient times a factor."""
    assert isinstance(equation.rhs, Expr)
    return replaced(equation.rhs, lambda ref: factor * ref if ref.array.role is Role.GRADIENT else ref)


def _velocities(network: Network) -> list[Array]:
    return [moment(theta, 1).primed for theta in network.trained]


def _updates(network: Network) -> list[Array]:
    return [array for theta in network.trained for array in (theta.primed, increment_of(theta))]
