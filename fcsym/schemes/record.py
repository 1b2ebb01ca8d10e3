"""What a scheme is: the state that training carries, what it stands for, and four lists of equations over it.

A scheme takes the equations of one training step (`derive`) and *cuts* them: what its state holds is given, and only
the equations on the way to the new state are kept. What a scheme adds is few equations of its own, each with a meaning
that `proof.schemes` holds it against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from fcsym.deriving.pipeline import finish
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError, FcsymError, UndefinedContribution
from fcsym.language.activation import Activation, said_of_gates
from fcsym.language.algebra import inline
from fcsym.language.equation import Cases, Condition, Equation, Order, Rule
from fcsym.language.expression import ONE, ZERO, Array, Axis, Expr, Index, Number, greatest, least, mul, power, total
from fcsym.language.names_of_cases import named_row
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ETA,
    KEY,
    SHAPE,
    SIZE,
    adjoint_of,
    frozen_copy,
    frozen_pre_activation,
    moment,
    norm,
    units,
)
from fcsym.schemes.groups import Grouping, HeldLayer

__all__ = [
    "MULTIPLIER",
    "PARTS",
    "Matrix",
    "PartRecord",
    "Refusal",
    "Routine",
    "SchemeRecord",
    "SingleInput",
    "Words",
    "branches",
    "cut",
    "first_layer",
    "first_pre_activation",
    "frozen_weights",
    "needs_plain_steps",
    "needs_smooth_output",
    "needs_stack",
    "single_input_words",
    "target_of",
    "without_first_matrix",
]

_INVERSE = Array("ic", 0, ())
MULTIPLIER = Array("h", None, (units(0),))
"""What the entries of an input are multiplied by in its key; along another axis `replace(MULTIPLIER, axes=...)`."""

PARTS = ("init", "step", "output", "expand")
_ABOUT = {
    "init": "A conventional network becomes the state.",
    "step": "The state after one training step.",
    "output": "The output of the network that the state stands for.",
    "expand": "The weights that backpropagation has after the same steps.",
}
Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True, slots=True)
class Routine:
    """One function of a scheme: what it is given, its equations, and what it returns, in order."""

    given: tuple[Array, ...]
    equations: tuple[Equation, ...]
    results: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a scheme: a summary, and what its four derivations assume besides the slopes and the order."""

    summary: str
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is raised where a function of a scheme is undefined."""

    error: type[FcsymError]
    sentence: str  # what is wrong, with {at} where a network may be named, and what to do
    status: str  # the same in few words, and what a function without exceptions leaves

    def said(self, at: str = "") -> str:
        """The sentence, on its own where no network is named."""
        text = self.sentence.format(at=at)
        return text if at else f"{text[0].upper()}{text[1:]}"


def no_compensation(network: Network) -> Refusal:
    """Where a frozen unit of the last hidden layer gave 0 and gives something, no p exists."""
    does, did = network.layers[max(0, len(network.layers) - 2)].activation.leaving_zero
    return Refusal(
        UndefinedContribution,
        f"a frozen unit{{at}} with v^c = 0 {does} at this step, so no p exists: train the lower layers "
        "(schemes states, history, basis).",
        f"a frozen unit with v^c = 0 {did}: numbers of the state are not-a-number",
    )


@dataclass(frozen=True)
class SchemeRecord:
    """A way to carry training state, for one network and one order."""

    name: str
    base: Record  # one training step of the conventional network
    state: tuple[Array, ...]
    meanings: tuple[Equation, ...]  # what the state stands for, at every step; A = expression, never a quotient by 0
    routines: Mapping[str, Routine]  # init, step, output, expand
    words: Words
    single_input: bool  # one input, the same at every step
    is_statement: bool = False  # to be read and proved, not run
    constants_for: Callable[[int], Mapping[Array, Matrix]] = lambda _: {}  # by n_0; a vector has one row
    moving: Mapping[Array, Equation] = field(default_factory=dict)  # what no equation needs and a meaning mentions: u'
    frozen: tuple[Equation, ...] = ()  # what no step changes, from Wc1, Wc2 and x on: definitions that meanings mention
    measures: tuple[Equation, ...] = ()  # how the input is measured: definitions that no meaning mentions
    gates: tuple[Equation, ...] = ()  # what phi and phi' are worth where `step` and `output` are defined
    held: HeldLayer | None = None  # the layer that `gates` is of
    grouping: Grouping | None = None  # of a state of sums over units, as long as each of them keeps its line
    ones: frozenset[Axis] = frozenset()  # axes that have length one wherever the scheme exists
    along: tuple[Axis, ...] = ()  # axes whose lengths decide whether it costs less than backpropagation
    refused: Refusal | None = None  # what is said where a function is undefined, if not that no p exists

    @property
    def refusal(self) -> Refusal:
        """What is raised where a function is undefined."""
        return self.refused or no_compensation(self.network)

    @property
    def network(self) -> Network:
        """The network that is trained."""
        return self.base.network

    @property
    def order(self) -> Order:
        """The update order."""
        return self.base.order

    @property
    def split_by(self) -> Activation:
        """The activation whose pieces the names of cases speak of: that of the first layer."""
        return self.network.layers[0].activation

    @cached_property
    def constants(self) -> Mapping[Array, Matrix]:
        """Fixed arrays that the equations mention."""
        return self.constants_for(self.network.inputs)

    @cached_property
    def init(self) -> PartRecord:
        """A conventional network => the state."""
        return self._part("init")

    @cached_property
    def step(self) -> PartRecord:
        """State, input, target, eta => the state after one training step."""
        return self._part("step")

    @cached_property
    def output(self) -> PartRecord:
        """State, input => the output of the network that the state stands for."""
        return self._part("output")

    @cached_property
    def expand(self) -> PartRecord:
        """State, and the weights and input of `init` => the weights that backpropagation has (claim v)."""
        return self._part("expand")

    def _part(self, name: str) -> PartRecord:
        return PartRecord(*self._listed(name))

    def _listed(self, name: str) -> tuple[Any, ...]:
        """What makes the part of that name."""
        routine = self.routines[name]
        equations = finish(self.network, routine.equations, self.written)
        return self.network, self.order, equations, self, name, routine.given, routine.results

    @property
    def parts(self) -> tuple[PartRecord, ...]:
        """The four derivations, and further ones where a statement has them."""
        more = (self._part(name) for name in self.routines if name not in PARTS)
        return self.init, self.step, self.output, self.expand, *more

    @property
    def written(self) -> tuple[Equation, ...]:
        """Every equation of its document, as its functions were given them."""
        return (*self.meanings, *(equation for routine in self.routines.values() for equation in routine.equations))

    @cached_property
    def invariants(self) -> tuple[Equation, ...]:
        """What the state stands for, with the index letters of the four derivations."""
        return finish(self.network, self.meanings, self.written)

    @property
    def title(self) -> str:
        """What the scheme is about."""
        return f"{self.name} of {self.network}, {self.order} order"

    @property
    def heading(self) -> str:
        """The title of a document."""
        kind = "statement" if self.is_statement else "scheme"
        return f"The {kind} {self.title}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""
        order = next(sentence for sentence in self.base.assumptions if sentence.startswith("The order"))
        return *self.words.assumptions, *said_of_gates([unit.activation for unit in self.network.activated]), order

    @property
    def summary(self) -> str:
        """What the scheme does, in a sentence."""
        return self.words.summary

    @property
    def carried(self) -> tuple[tuple[Array, str, Equation | None], ...]:
        """Every array of the state, what it stands for in a sentence, and the invariant that says more."""
        return tuple((array, *self._meaning(array)) for array in self.state)

    def _meaning(self, array: Array) -> tuple[str, Equation | None]:
        """The words of the equation that says what an array of the state is."""
        defined = {e.array: e for e in self.invariants}
        if array in defined:
            return defined[array].because, defined[array]
        if array in self.network.parameters:
            return "This is as in the network.", None
        if array in self.network.memory:
            return said_of_memory(array), None
        known = self.base.by_name.get(array.name)
        if known is not None:
            return known.because, None
        at_start = next((e for e in self.init if e.defines and e.array == array), None)
        mentioned = next((e for e in self.invariants if array in e.operands), None)
        if mentioned is not None and (at_start is None or isinstance(at_start.rhs, Number)):  # what moves from there
            return mentioned.because, mentioned
        return ("" if at_start is None else at_start.because), None

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [
            self.title,
            f"  state: {', '.join(a.name for a in self.state)}",
        ]
        lines += [f"  frozen: {line.strip()}" for equation in self.frozen for line in str(equation).splitlines()]
        lines += [f"  invariant: {equation}" for equation in self.meanings]
        for part in self.parts:
            lines += [f"  {part.name}({', '.join(a.name for a in part.given)})"]
            lines += [f"    {line}" for equation in part for line in str(equation).splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class PartRecord(Record):
    """One of a scheme's four derivations, with its arguments and results."""

    scheme: SchemeRecord
    name: str
    given: tuple[Array, ...]
    results: tuple[Array, ...]

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""
        return self.scheme.assumptions

    @property
    def function(self) -> str:
        """Its name."""
        return self.name

    @property
    def signature(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What it is given and what it returns."""
        return self.given, self.results

    @property
    def summary(self) -> str:
        """What the function does, in a sentence."""
        return _ABOUT.get(self.name, "")

    @property
    def title(self) -> str:
        """What the list is about."""
        return f"{self.scheme.name}, {self.name}: {self.network}, {self.order} order"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"{self.title[0].upper()}{self.title[1:]}"


def said_of_memory(array: Array) -> str:
    """What an update rule carries from step to step, in a sentence."""
    if array.of is None:
        return "This is 1 less the coefficient to the number of steps so far."
    squares = "squares of the " if array == moment(array.of, 2) else ""
    return f"This is the running average of the {squares}gradients of `{array.of.name}`."


def cut(equations: Sequence[Equation], given: Sequence[Array], wanted: Sequence[Array]) -> tuple[Equation, ...]:
    """The equations on the way from what is given to what is wanted, in their order."""
    defined = {equation.array: equation for equation in equations if equation.defines}
    needed: set[Array] = set()
    waiting = list(wanted)
    while waiting:
        array = waiting.pop()
        if array in given or array in needed or array not in defined:
            continue
        needed.add(array)
        waiting += defined[array].operands
    return tuple(equation for equation in defined.values() if equation.array in needed)


# ------------------------------------------------------------------------------- what single-input schemes share


def needs_stack(network: Network, name: str, reason: str = "", instead: str = "") -> None:
    """ArgumentError for a network of other layers than dense ones, one after the other.

    `reason`: why there is no such scheme of other layers; `instead`: what to choose.
    """
    if not isinstance(network, Network):
        kind = type(network).__name__
        raise ArgumentError(f"{name} got {kind} as its network: make one with Network.parse('2-2-1').")
    if network.built is not None:
        why = f" ({reason})" if reason else ""
        instead = instead or "choose backprop, which trains every parameter of it."
        raise ArgumentError(f"{name} is derived for stacks of dense layers{why}, and {network} is none: {instead}")


def first_pre_activation(network: Network) -> Array:
    """The pre-activation that reads the input, which is that of the output where there is no hidden layer."""
    return network.pre_activation(1)


def first_layer(network: Network) -> tuple[Array, ...]:
    """The weights (and bias) of the layer that reads the input: W1, b1."""
    return network.feeding(1)


def needs_smooth_output(network: Network, name: str) -> None:
    """ArgumentError where what a scheme leaves undefined would be hidden: relu of not-a-number is 0."""
    phi = network.output_activation
    if phi.kinks:
        raise ArgumentError(
            f"{name} needs an output activation without kinks, and that of {network} is {phi.name}: choose states."
        )


def needs_plain_steps(network: Network, name: str, instead: str = "choose backprop, which trains so") -> None:
    """ArgumentError where training is not by the gradient step of every parameter on one sample.

    The scheme's formulas are for that; a bias is one for every unit.
    """
    if network.batch:
        raise ArgumentError(f"{name} trains on one sample at a time, and {network} in mini-batches: {instead}.")
    if not network.rule.is_plain:
        raise ArgumentError(
            f"{name} is made of plain gradient steps, and the update rule of {network} is {network.rule.name}"
            f"{' with decay' if network.rule.name == 'sgd' else ''}: {instead}."
        )
    if network.fixed:
        raise ArgumentError(
            f"{name} needs every parameter trained, and {network} has {' and '.join(network.fixed)} frozen: {instead}."
        )
    if network.common:
        raise ArgumentError(
            f"{name} needs a bias for every unit, and {network} has {' and '.join(network.common)} shared: {instead}."
        )


def frozen_weights(network: Network) -> tuple[Array, ...]:
    """The same as `init` was given them: Wc1, bc1."""
    return tuple(map(frozen_copy, first_layer(network)))


def without_first_matrix(network: Network) -> tuple[Array, ...]:
    """Every trained parameter but W1: b1 where there is one, W2, ..."""
    return network.parameters[1:]


def target_of(network: Network) -> Array:
    """y_g, with the axes of the output."""
    return network.target


def single_input_words(summary: str) -> Words:
    """The words of a scheme for one input."""
    return Words(summary, ("The input `x` is the same at every step and is the one that `init` was given.",))


@dataclass(frozen=True, slots=True)
class SingleInput:
    """What the schemes for one input share: first pre-activations in place of W1, and what is kept of the input."""

    base: Record
    s: Array  # pre-activations of layer 1
    upper: tuple[Array, ...]  # trained parameters of the layers above
    target: Array
    eta: Array

    @classmethod
    def of(cls, base: Record) -> SingleInput:
        """What a derivation of one step gives."""
        network = base.network
        upper = tuple(theta for theta in network.parameters if theta not in first_layer(network))
        return cls(base, first_pre_activation(network), upper, target_of(network), ETA)

    @property
    def x(self) -> Array:
        """The input."""
        return self.base.network.input

    @property
    def input_facts(self) -> tuple[Array, ...]:
        """c and t with |x|^2 (+ 1) = c t c, and the key that tells this input from others."""
        return SIZE, SHAPE, KEY

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The step's equations, with the squared norm of the input as it is held."""
        measure = norm(self.x)
        held = {measure: ((), mul(SIZE[()], SHAPE[()], SIZE[()]))}
        return tuple(
            replace(e, rhs=inline(e.rhs, held), rule=Rule.IDENTITY)
            if isinstance(e.rhs, Expr) and measure in e.operands
            else e
            for e in self.base.equations
            if not e.defines or e.array != measure
        )

    @property
    def init_given(self) -> tuple[Array, ...]:
        """Weights and the input."""
        return *self.base.network.parameters, self.x

    @property
    def measures(self) -> tuple[Equation, ...]:
        """How the input is measured, and what is in its units: definitions, to be found word for word."""
        network = self.base.network
        every = (*measured(network), *expansion(network))
        return finish(network, tuple(e for e in every if e.rule is Rule.DEFINITION))

    @staticmethod
    def constants(inputs: int) -> dict[Array, Matrix]:
        """The multipliers of the key: fractional parts of multiples of the golden ratio, to 32 bits."""
        return {MULTIPLIER: (tuple(Fraction(n * 0x9E3779B1 % 2**32, 2**32) for n in range(1, inputs + 1)),)}

    @property
    def meanings(self) -> tuple[Equation, ...]:
        """W1 = W1_c + u x^T for some u: every step moved the first layer along the input."""
        network = self.base.network
        j, i = Index(self.s.axes[0], "j"), Index(units(0), "i")
        result = []
        for theta, old in zip(first_layer(network), frozen_weights(network), strict=True):
            indices = (j, i) if len(theta.axes) == 2 else (j,)
            along = self.x[i] if len(theta.axes) == 2 else ONE
            result.append(
                Equation(
                    theta[indices],
                    old[indices] + self.moved[j] * along,
                    Rule.INVARIANT,
                    f"Every step moved `{theta.name}` along the input.",
                    (),
                    "claim v",
                )
            )
        held = mul(SIZE[()], SHAPE[()], SIZE[()])
        because = "The squared norm of the input is held by two numbers, of which each stays within range."
        return *result, Equation(norm(self.x)[()], held, Rule.INVARIANT, because)

    @property
    def moved(self) -> Array:
        """u, how far the first layer has moved along the input; no function needs it."""
        return Array("u", 1, self.s.axes)

    @property
    def moving(self) -> dict[Array, Equation]:
        """u' = u - eta delta1."""
        j = Index(self.s.axes[0], "j")
        rhs = self.moved[j] - ETA[()] * adjoint_of(self.s)[j]
        return {self.moved.primed: Equation(self.moved.primed[j], rhs, Rule.STATE, "The first layer's gradient step.")}

    def start(self, wanted: tuple[Array, ...]) -> tuple[Equation, ...]:
        """What `init` computes: the quantities wanted, and the facts of the input."""
        i = Index(units(0), "i")
        told = Equation(
            KEY[()],
            total(i, MULTIPLIER[i] * self.x[i]),
            Rule.DEFINITION,
            "A fixed combination of its entries tells the input from others; no formula reads it.",
        )
        return (*cut(self.base.equations, self.init_given, wanted), *measured(self.base.network), told)

    def expand(self, state: tuple[Array, ...], extra: tuple[Equation, ...] = ()) -> Routine:
        """State, W1_c, b1_c and x => the weights of backpropagation."""
        network = self.base.network
        given = (*state, *frozen_weights(network), self.x)
        return Routine(given, (*expansion(network), *extra), network.parameters)


def _by_size(network: Network, value: Expr, zero: Expr) -> Expr | Cases:
    """A value with a quotient by c, and what there is instead where the input is 0; with a bias, c is at least 1."""
    if network.layers[0].bias:
        return value
    size = SIZE[()]
    phi = network.layers[0].activation
    return branches(phi, ((Condition(size, "!="),), value), ((Condition(size, "="),), zero))


def _scaled(network: Network) -> Equation:
    """x/c; where the input is 0, it is 0."""
    x, i = network.input, Index(units(0), "i")
    value = _by_size(network, x[i] / SIZE[()], ZERO)
    because = "The input in units of its largest entry" + (" and 1" if network.layers[0].bias else "")
    return Equation(Array("xs", None, x.axes)[i], value, Rule.DEFINITION, f"{because}.")


def _bias_in_units() -> Equation:
    """1/c, the entry that a bias adds."""
    return Equation(_INVERSE[()], power(SIZE[()], -1), Rule.DEFINITION, "The bias is an entry of 1, in the same units.")


def measured(network: Network) -> tuple[Equation, ...]:
    """c = max |x_i|, with a bias at least 1, and t = |x/c|^2 (+ 1/c^2): scaled first, squared then."""
    x, i, bias = network.input, Index(units(0), "i"), network.layers[0].bias
    high, low, middle, largest = (Array(name, None, ())[()] for name in ("xh", "xl", "xm", "mx"))
    scaled = Array("xs", None, x.axes)
    size, inverse = SIZE[()], _INVERSE[()]
    above, below = Condition(middle, ">"), Condition(middle, "<=")
    phi = network.layers[0].activation
    sides = branches(phi, ((above,), high), ((below,), -low))
    equations = [
        Equation(high, greatest(i, x[i]), Rule.DEFINITION, "The greatest entry of the input."),
        Equation(low, least(i, x[i]), Rule.DEFINITION, "The least entry of the input."),
        Equation(middle, high + low, Rule.DEFINITION, "This is above 0 where the greatest is the larger one in size."),
        Equation(largest if bias else size, sides, Rule.DEFINITION, "The largest size of an entry."),
    ]
    if bias:
        rows = branches(
            phi,
            ((Condition(largest, ">", ONE.value),), largest),
            ((Condition(largest, "<=", ONE.value),), ONE),
        )
        equations.append(Equation(size, rows, Rule.DEFINITION, "The bias is a further entry, of 1."))
    squared = total(i, scaled[i] * scaled[i])
    because = "The squared norm of the input in units of `c0`: what is scaled before it is squared stays within range."
    return (
        *equations,
        _scaled(network),
        *([_bias_in_units()] if bias else []),
        Equation(
            SHAPE[()], _by_size(network, squared + inverse * inverse if bias else squared, ZERO), Rule.STATE, because
        ),
    )


def expansion(network: Network) -> tuple[Equation, ...]:
    """W1 = W1_c + (s1 - s1_c) x / |x|^2, and the same with 1 for the bias (claim v); |x|^2 = c t c is never formed."""
    s = first_pre_activation(network)
    held = frozen_weights(network)
    j, i = Index(s.axes[0], "j"), Index(units(0), "i")
    x, start = network.input, frozen_pre_activation(s)
    went, share_of = Array("sd", 1, s.axes), Array("su", 1, s.axes)
    scaled = Array("xs", None, x.axes)
    rhs = total(i, held[0][j, i] * x[i])
    if len(held) > 1:
        rhs = rhs + held[1][j]
    equations = [
        Equation(
            start[j], rhs, Rule.DEFINITION, f"This is `{s.name}` under the weights that `init` was given.", (), "eq. 9"
        )
    ]
    equations += [
        Equation(went[j], s[j] - start[j], Rule.DEFINITION, f"What `{s.name}` moved by."),
        Equation(
            share_of[j], _by_size(network, went[j] / SIZE[()], ZERO), Rule.DEFINITION, "The same in units of `c0`."
        ),
        _scaled(network),
        *([_bias_in_units()] if len(held) > 1 else []),
    ]
    for theta, old in zip(first_layer(network), held, strict=True):
        indices = (j, i) if len(theta.axes) == 2 else (j,)
        share = scaled[i] if len(theta.axes) == 2 else _INVERSE[()]
        moved = _by_size(network, old[indices] + share * share_of[j] / SHAPE[()], old[indices])
        because = f"Every step moved `{theta.name}` along the input, so what `{s.name}` moved by gives it back"
        if len(held) == 1:  # with a bias, a is at least 1
            because += "; where the input is 0, nothing moved"
        equations.append(Equation(theta[indices], moved, Rule.EXPANSION, f"{because}.", (start.name,), "claim v"))
    return tuple(equations)


def branches(phi: Activation, *rows: tuple[tuple[Condition, ...], Expr]) -> Cases:
    """(conditions, value) for each row; what it is called follows from its conditions."""
    return Cases(tuple(named_row(phi, *row) for row in rows))
