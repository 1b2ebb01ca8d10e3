"""A step in which the gates of some layers are held: what of a scheme's step is run between gate events.

v1[n, i] = relu(s1[n, i])     =>     v1[n, i] = g1[n, i]*s1[n, i] (+ o1[n, i])          g1 and o1 are given
delta2[n, k] = ...            =>     delta2[n, k] = eta*use[n]*(...)                     a step on some of the samples

With its gates held a layer's units of one pattern may be turned into one another: the step takes any orthogonal
combination of them to the same combination, so that few of these stand for all units. A column of an array is a unit,
or such a combination; the equations are those of the scheme `states`, or of `backprop`, and do not know which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from fcsym.collapsing.rewriting import offset_of
from fcsym.deriving.pipeline import one_step
from fcsym.language.algebra import indices_of, inline
from fcsym.language.equation import Equation, Order, Rule
from fcsym.language.expression import ONE, Array, Expr, Ref, Role, mul
from fcsym.networks.network import Dense, Network
from fcsym.networks.symbols import ETA, SAMPLES, adjoint_of, gate_of
from fcsym.schemes import backprop, states
from fcsym.schemes.record import Routine, SchemeRecord

__all__ = ["USE", "gates_held", "held_arrays", "seen", "with_widths", "without_gates"]

USE = Array("use", None, (SAMPLES,), role=Role.FROZEN)
"""By what the error of a sample counts in a step: 0 where the step is not on it."""


def errors_of(network: Network) -> Array:
    """What drove the last step, the errors at the read-out, times eta where a step is plain; no equation reads it."""
    return Array("err", None, network.logits.axes, role=Role.FROZEN)


def with_widths(network: Network, inputs: int, widths: Sequence[int]) -> Network:
    """The network with other widths of its inputs and of its hidden layers."""
    layers = [Dense(n, own.activation, own.bias) for n, own in zip(widths, network.layers[:-1], strict=True)]
    return replace(network, inputs=inputs, layers=(*layers, network.layers[-1]), names=())


def held_arrays(network: Network, contracted: Sequence[int]) -> dict[int, tuple[Array, ...]]:
    """The slopes, and the intercepts where there are any, of the contracted layers whose units have gates."""
    found: dict[int, tuple[Array, ...]] = {}
    for n in sorted(set(contracted) - {0}):
        hidden = network.hidden[n - 1]
        if hidden.activation.is_identity:
            continue
        shifted = any(piece.intercept for piece in hidden.activation.pieces)
        slopes = replace(gate_of(hidden.s), role=Role.FROZEN)
        found[n] = (slopes, replace(offset_of(hidden.s), role=Role.FROZEN)) if shifted else (slopes,)
    return found


def gates_held(network: Network, order: Order, contracted: Sequence[int]) -> SchemeRecord:
    """The scheme of a network in mini-batches in which the gates of contracted layers are given.

    The first layer is out where the inputs are contracted. `output` gives pre-activations, too: see `seen`.
    """
    base = one_step(network, order)
    record = states.build(base) if 0 in contracted else backprop.build(base)
    held = held_arrays(network, contracted)
    told, driver = errors_of(network), adjoint_of(network.logits)
    given = (*(array for arrays in held.values() for array in arrays), USE, told)
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
    count = 2 + sum(map(len, held_arrays(network, contracted).values()))
    return tuple(gates_held(network, order, contracted).state[:-count])


def seen(network: Network, state: Sequence[Array]) -> tuple[Array, ...]:
    """The pre-activations of layers with kinks, but for those that the state has."""
    return tuple(hidden.s for hidden in network.hidden if hidden.activation.kinks and hidden.s not in state)


def _driven(equation: Equation, driver: Array) -> Equation:
    """A plain step is linear in the errors: eta is multiplied with these, and with nothing that is wide."""
    if not isinstance(equation.rhs, Expr):
        return equation
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


def _with(equation: Equation, put: dict[Array, Equation], driver: Array) -> Equation:
    """v = phi(s) with the slope as it is given, and the error at the read-out by how much it counts."""
    if equation.defines and equation.array in put:
        return put[equation.array]
    if equation.defines and equation.array == driver:
        assert isinstance(equation.rhs, Expr) and isinstance(equation.lhs, Ref)
        samples = equation.lhs.indices[:1]
        return replace(equation, rhs=mul(USE[samples], equation.rhs))
    return equation
