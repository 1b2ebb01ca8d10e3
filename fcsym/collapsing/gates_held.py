"""A step in which the gates of some layers are held: what of a scheme's step is run between gate events.

v1[n, i] = relu(s1[n, i])     =>     v1[n, i] = g1[n, i]*s1[n, i] (+ o1[n, i])          g1 and o1 are given
delta2[n, k] = ...            =>     delta2[n, k] = eta*use[n]*(...)                     a step on some of the samples

b2 one number for all units     =>     s2[n, i] = ... + b2*one2[i],  and its gradient is sum(n, i: delta2[n, i]*one2[i])

With its gates held a layer's units of one pattern may be turned into one another: the step takes any orthogonal
combination of them to the same combination, so that few of these stand for all units. A column of an array is a unit,
or such a combination; the equations are those of the scheme `states`, or of `backprop`, and do not know which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from fcsym.collapsing.lines import Lines
from fcsym.collapsing.rewriting import of_each, offset_of, one_of
from fcsym.deriving.pipeline import one_step
from fcsym.language.activation import Activation
from fcsym.language.algebra import indices_of, inline, replaced
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import ONE, Array, Expr, Ref, Role, mul
from fcsym.networks.network import Dense, Network
from fcsym.networks.symbols import ETA, SAMPLES, adjoint_of, gate_of, gradient_of
from fcsym.schemes import backprop, states
from fcsym.schemes.record import Routine, SchemeRecord

__all__ = ["USE", "gates_held", "held_arrays", "lines_of", "ones_of", "seen", "with_widths", "without_gates"]

USE = Array("use", None, (SAMPLES,), role=Role.FROZEN)
"""By what the error of a sample counts in a step: 0 where the step is not on it."""


def errors_of(network: Network) -> Array:
    """What drove the last step, the errors at the read-out, times eta where a step is plain; no equation reads it."""
    return Array("err", None, network.logits.axes, role=Role.FROZEN)


def with_widths(network: Network, inputs: int, widths: Sequence[int]) -> Network:
    """The network with other widths of its inputs and of its hidden layers."""
    layers = [Dense(n, own.activation, own.bias) for n, own in zip(widths, network.layers[:-1], strict=True)]
    return replace(network, inputs=inputs, layers=(*layers, network.layers[-1]), names=())


@lru_cache(maxsize=32)
def lines_of(phi: Activation) -> Lines:
    """The lines of an activation, those of its kinks with the slopes that are declared there."""
    slopes, offsets = [], []
    for n, piece in enumerate(phi.pieces):
        slopes.append(float(piece.slope))
        offsets.append(float(piece.intercept))
        if n < len(phi.kinks):
            kink, slope = phi.kinks[n], phi.kink_slopes[n]
            slopes.append(float(slope))
            offsets.append(float(phi.value_at(kink) - slope * kink))
    return Lines(tuple(map(float, phi.kinks)), tuple(slopes), tuple(offsets) if any(offsets) else ())


def held_arrays(network: Network, contracted: Sequence[int]) -> dict[int, tuple[Array, ...]]:
    """The slopes, and the intercepts where there are any, of the contracted layers whose units have gates."""
    found: dict[int, tuple[Array, ...]] = {}
    for n in sorted(set(contracted) - {0}):
        hidden = network.hidden[n - 1]
        if hidden.activation.is_identity:
            continue
        slopes, offsets = (replace(array(hidden.s), role=Role.FROZEN) for array in (gate_of, offset_of))
        found[n] = (slopes, offsets) if lines_of(hidden.activation).offsets else (slopes,)
    return found


def ones_of(network: Network, contracted: Sequence[int]) -> dict[int, Array]:
    """The 1 of every unit of the contracted layers whose bias is one number: of a column that of the units it is of."""
    found = {}
    for n in sorted(set(contracted) - {0}):
        if network.layers[n - 1].bias and not network.bias(n).axes:
            found[n] = replace(one_of(network.hidden[n - 1].s), role=Role.FROZEN)
    return found


def _given(network: Network, contracted: Sequence[int]) -> tuple[Array, ...]:
    """What a step of columns is given of the contracted layers, layer by layer."""
    held, ones = held_arrays(network, contracted), ones_of(network, contracted)
    every = ((*held.get(n, ()), *((ones[n],) if n in ones else ())) for n in sorted(set(contracted)))
    return tuple(array for arrays in every for array in arrays)


def gates_held(network: Network, order: Order, contracted: Sequence[int]) -> SchemeRecord:
    """The scheme of a network in mini-batches in which the gates of contracted layers are given.

    The first layer is out where the inputs are contracted. `output` gives pre-activations, too: see `seen`.
    """
    base = one_step(network, order)
    record = states.build(base) if 0 in contracted else backprop.build(base)
    held = held_arrays(network, contracted)
    told, driver = errors_of(network), adjoint_of(network.logits)
    ones = ones_of(network, contracted)
    given = (*_given(network, contracted), USE, told)
    put: dict[Array, Equation] = {}
    gone: set[Array] = set()
    for n, arrays in held.items():
        hidden = network.hidden[n - 1]
        gone.add(gate_of(hidden.s))
        own = next(e for e in base.equations if e.defines and e.array == hidden.v)
        assert isinstance(own.lhs, Ref)
        indices = own.lhs.indices
        value: Expr = mul(arrays[0][indices], hidden.s[indices])
        value = value + arrays[1][indices] if len(arrays) > 1 else value
        put[hidden.v] = Equation(own.lhs, value, Rule.INVARIANT, "Every unit is on the piece that it was on.")
    routines = dict(record.routines)
    for name in ("step", "output"):
        routine = record.routines[name]
        equations = [_with(e, put, driver) for e in routine.equations if e.array not in gone]
        for n, one in ones.items():
            equations = [_shared(e, network.hidden[n - 1].s, network.bias(n), one) for e in equations]
        if network.rule.is_plain:
            equations = [_driven(e, driver) for e in equations]
        equations = _put_in(equations)
        state = routine.given[: len(record.state)]
        if name == "step":
            indices = indices_of(told)
            equations.append(Equation(told.primed[indices], driver[indices], Rule.STATE, "What drove the step."))
        results = (*given[:-1], told.primed) if name == "step" else seen(network, state)
        results = (*routine.results, *results)
        routines[name] = Routine((*state, *given, *routine.given[len(state) :]), tuple(equations), results)
    return replace(record, name="collapsed", state=(*record.state, *given), routines=routines)


@lru_cache(maxsize=32)
def without_gates(network: Network, order: Order, contracted: tuple[int, ...]) -> tuple[Array, ...]:
    """The arrays of its state that training moves, or that stay with them: not the gates, nor what drives a step."""
    count = 2 + len(_given(network, contracted))
    return tuple(gates_held(network, order, contracted).state[:-count])


def seen(network: Network, state: Sequence[Array]) -> tuple[Array, ...]:
    """The pre-activations of layers with kinks, but for those that the state has."""
    return tuple(hidden.s for hidden in network.hidden if hidden.activation.kinks and hidden.s not in state)


def _driven(equation: Equation, driver: Array) -> Equation:
    """A plain step is linear in the errors: eta is multiplied with these, and with nothing that is wide."""
    assert isinstance(equation.rhs, Expr)
    if equation.defines and equation.array == driver:
        return replace(equation, rhs=mul(ETA[()], equation.rhs))
    if ETA not in equation.operands:
        return equation
    return replace(equation, rhs=inline(equation.rhs, {ETA: ((), ONE)}))


def _put_in(equations: Sequence[Equation]) -> list[Equation]:
    """s' = s + ds, ds = -sum(...) => s' = s - sum(...): an increment that is read once costs a pass over them."""
    made = list(equations)
    for own in equations:
        if own.defines and own.array.role is Role.INCREMENT and isinstance(own.rhs, Expr):
            readers = [e for e in made if own.array in e.operands]
            if len(readers) == 1 and isinstance(readers[0].rhs, Expr) and isinstance(own.lhs, Ref):
                put = inline(readers[0].rhs, {own.array: (own.lhs.indices, own.rhs)})
                made = [replace(e, rhs=put) if e is readers[0] else e for e in made if e is not own]
    return made


def _shared(equation: Equation, s: Array, shift: Array, one: Array) -> Equation:
    """One number for all units is that number times the 1 of each, where it is added and where it learns."""
    if equation.defines and equation.array == s:
        return of_each(equation, shift, one)
    if equation.defines and equation.array in (shift.primed, gradient_of(shift)):
        delta = adjoint_of(s)
        assert isinstance(equation.rhs, Expr)
        own = replaced(equation.rhs, lambda ref: ref * one[ref.indices[-1:]] if ref.array == delta else ref)
        return replace(equation, rhs=own)
    return equation


def _with(equation: Equation, put: dict[Array, Equation], driver: Array) -> Equation:
    """v = phi(s) with the slope as it is given, and the error at the read-out by how much it counts."""
    if equation.defines and equation.array in put:
        return put[equation.array]
    if equation.defines and equation.array == driver:
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        samples = equation.lhs.indices[:1]
        return replace(equation, rhs=mul(USE[samples], equation.rhs))
    return equation
