"""`states` of a network of layers: what every linear map makes of the data takes the place of its weights.

A map gives z_n = W D_n for data vectors D_n that stay: the patches that a convolution reads, the time steps of a
recurrence, the tokens of an embedding, of queries, keys and values, each for every sample. All that a step adds to W is
a sum over them, and the rule is linear in gradients and weights; so

z_n' = z_n - eta sum_m G_nm dE/dz_m        G_nm = D_n . D_m  (+ 1 for each bias that leaves with W)

and with momentum and decay as the rule has it for W. W = kept W_c + sum_n C_n D_n^T gives the weights back. Which maps
there are is read off the forward equations; everything else is trained as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fcsym.deriving.forward import forward
from fcsym.deriving.pipeline import finish
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError
from fcsym.language.algebra import expand, free_in, fresh, indices_of, inline, rename
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, ZERO, Array, Axis, Expr, Index, Number, Ref, add, mul, total
from fcsym.networks.symbols import (
    ETA,
    adjoint_of,
    coefficient_of,
    frozen_copy,
    gradient_of,
    gram_of_data,
    increment_of,
    kept_share,
    key_of,
    moment,
    patches,
)
from fcsym.schemes.data_maps import DataMap, Reading, reading
from fcsym.schemes.record import MULTIPLIER, Routine, SchemeRecord, SingleInput, Words, cut, target_of

__all__ = ["build"]


def build(base: Record) -> SchemeRecord:
    """(z, C, the inner products, all other parameters).

    ArgumentError for a rule that is not linear, and where no linear map reads the data.
    """
    network = base.network
    if not network.rule.is_linear:
        raise ArgumentError(
            f"states needs an update rule that is linear in the gradient, and that of {network} is {network.rule.name}"
            ": choose backprop."
        )
    made = _Layers.of(base)
    if not made.maps:
        raise ArgumentError(
            f"states stores what linear maps make of the data in place of their weights, and in {network} none reads "
            "the input with weights that nothing else reads: choose backprop."
        )
    gone = {theta for one in made.maps for theta in one.parameters}
    upper = tuple(theta for theta in network.parameters if theta not in gone)
    memory = tuple(a for a in network.memory if a.of is None or a.of in upper)
    moving = (*made.carried, *made.moments, *upper, *memory)
    key = key_of(network.input)
    changed = {*made.carried, *made.moments, *network.trained, *memory}
    step, output = tuple(made.step()), tuple(made.forward())
    facts = (*made.grams, *made.held(step, (*moving, *made.grams)))
    state = (*moving, *facts, key)
    after = tuple(array.primed if array in changed else array for array in moving)
    given = (*state, target_of(network), ETA)
    x, y = network.input, network.output
    held = tuple(frozen_copy(theta) for theta in network.parameters if theta in gone)
    return SchemeRecord(
        "states",
        base,
        state,
        tuple(made.meanings(facts)),
        {
            "init": Routine((*network.parameters, x), tuple(made.start(memory, facts)), state),
            "step": Routine(given, cut(step, given, after), (*after, *facts, key)),
            "output": Routine(state, cut(output, state, (y,)), (y,)),
            "expand": Routine((*state, *held, x), tuple(made.expand()), network.parameters),
        },
        Words(
            f"What {_listed(made.maps)} make{'s' if len(made.maps) == 1 else ''} of the data is stored in place of "
            f"{'its' if len(made.maps) == 1 else 'their'} weights.",
            (_STAY if network.batch else _STAYS,),
        ),
        single_input=True,
        constants_for=lambda _: {_multipliers(x): SingleInput.constants(network.sizes[x.axes[-1]])[MULTIPLIER]},
        frozen=finish(network, tuple(made.patches)),
        along=made.along,
    )


_STAY = "The samples `x` are the same at every step and are those that `init` was given."
_STAYS = "The input `x` is the same at every step and is the one that `init` was given."


def _multipliers(x: Array) -> Array:
    """What the entries along the last axis of the input are multiplied by in its key."""
    return replace(MULTIPLIER, axes=x.axes[-1:])


def _listed(maps: Sequence[DataMap]) -> str:
    names = [f"`{one.weight.name}`" for one in maps]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True)
class _Data:
    """The data vectors that maps read, as an array, and their inner products; maps that read the same share both."""

    vectors: Ref  # at the indices of the positions, of units where they differ by unit, and of the features
    named: Equation | None  # what defines them, where they are no array of the network
    gram: Array
    positions: tuple[Index, ...]
    units: tuple[Index, ...]  # those that the vectors have
    features: tuple[Index, ...]
    biases: int

    def other(self, index: Index) -> Index:
        """The index of the second position, or unit, in an inner product."""
        return fresh(index.axis, (*self.vectors.indices, index))

    def product(self, at: Sequence[Index], other: Sequence[Index], units: Sequence[Index]) -> Ref:
        """G between two positions."""
        return self.gram[(*at, *other, *units)]


@dataclass(frozen=True)
class _Layers:
    """The equations of the scheme; the update rule holds for each z, for its C and for what is kept of the weights."""

    base: Record
    read: Reading
    passed: tuple[Equation, ...]

    @classmethod
    def of(cls, base: Record) -> _Layers:
        """What of a step reads data."""
        names = [equation.name for equation in forward(base.network)]
        passed = tuple(base.by_name[name] for name in names)
        return cls(base, reading(base, passed), passed)

    @property
    def maps(self) -> tuple[DataMap, ...]:
        """The maps that read data."""
        return self.read.maps

    # ------------------------------------------------------------------------------------------------- arrays

    @cached_property
    def kept(self) -> tuple[Array, ...]:
        """What decay leaves of the first weights, where there is decay."""
        return (kept_share(),) if self.base.network.rule["weight_decay"] else ()

    @cached_property
    def carried(self) -> tuple[Array, ...]:
        """z and C of each map."""
        return (*(a for one in self.maps for a in (one.z, coefficient_of(one.z))), *self.kept)

    @cached_property
    def moments(self) -> tuple[Array, ...]:
        """Their velocities."""
        return tuple(moment(a, 1) for a in self.carried) if self.base.network.rule.memory(self.carried) else ()

    @cached_property
    def data(self) -> dict[Array, _Data]:
        """The data vectors of each map, by its z."""
        result: dict[Array, _Data] = {}
        made: list[tuple[DataMap, _Data]] = []
        for one in self.maps:
            same = next((d for m, d in made if _alike(m, one)), None)
            if same is None:
                same = _data_of(one)
                made.append((one, same))
            result[one.z] = same
        return result

    @cached_property
    def grams(self) -> tuple[Array, ...]:
        """The inner products, each once."""
        return tuple(dict.fromkeys(d.gram for d in self.data.values()))

    @property
    def along(self) -> tuple[Axis, ...]:
        """The samples, and what each data vector has of the input's axes: fewer samples or longer vectors save."""
        x = self.base.network.input
        features = dict.fromkeys(i.axis for one in self.maps for i in one.features)
        return (*(a for a in x.axes if a.open), *(axis for axis in features if axis in x.axes))

    @property
    def patches(self) -> Iterator[Equation]:
        """What defines the data vectors that are no arrays of the network."""
        found = {d.gram: d.named for d in self.data.values()}
        yield from (e for e in found.values() if e is not None)

    def held(self, step: Sequence[Equation], known: Sequence[Array]) -> tuple[Array, ...]:
        """The data that a step reads beside the maps, the input as a copy."""
        x, data = self.base.network.input, self.read.data
        network = self.base.network
        wanted = [a.primed for a in known]
        needed = cut(step, (*known, target_of(network), ETA), (*wanted, network.output))
        read = (a for e in needed if e.array not in data for a in e.operands)
        found = tuple(dict.fromkeys(a for a in read if a in data or a == frozen_copy(x)))
        return tuple(a for a in found if a not in known)

    # ---------------------------------------------------------------------------------------------- equations

    def forward(self) -> Iterator[Equation]:
        """The forward equations, with z in its place, and the input as it is held."""
        for equation in self.passed:
            changed = self.read.equations.get(equation.array, equation)
            changed = self._of_held(changed)
            if changed == equation:
                yield equation
            else:
                names = " and ".join(f"`{one.z.name}`" for one in self.maps if one.z in changed.operands)
                because = f"{names} is what the weights make of the data." if names else "The input is as it is held."
                yield replace(changed, rule=Rule.IDENTITY, because=because, uses=())

    def _of_held(self, equation: Equation) -> Equation:
        """The equation with the copy of the input in its place, unless it makes data of the input."""
        x = self.base.network.input
        if equation.array in self.read.data or x not in equation.operands or not isinstance(equation.rhs, Expr):
            return equation
        if equation.array in [one.z for one in self.maps]:
            return equation
        held = frozen_copy(x)
        indices = indices_of(x)
        return replace(equation, rhs=inline(equation.rhs, {x: (indices, held[indices])}), rule=Rule.IDENTITY, uses=())

    def step(self) -> Iterator[Equation]:
        """The step's equations, with the changes of z, C and the share of the first weights by the update rule."""
        changed = {e.array: e for e in self.forward()}
        replaced = {increment_of(one.z): one for one in self.maps if one.is_pre_activation}
        for equation in self.base.equations:
            if not equation.defines:
                continue
            one = replaced.get(equation.array)
            if one is not None:  # the last one is z' = z + dz, as it is in the step
                *made, _ = self._changes(one.z, one.at, self._reached(one), named=True)
                yield from (replace(e, rule=Rule.IDENTITY) if e.array == equation.array else e for e in made)
            else:
                yield changed.get(equation.array, self._of_held(equation))
        for one in self.maps:
            if not one.is_pre_activation:
                yield self._adjoint(one)
                yield from self._changes(one.z, one.at, self._reached(one))
            yield from self._changes(coefficient_of(one.z), one.at, adjoint_of(one.z)[one.at])
        for share in self.kept:
            yield from self._changes(share, (), ZERO)

    @staticmethod
    def _adjoint(one: DataMap) -> Equation:
        """dE/dz, from wherever z is read."""
        parts = []
        for equation, beside, over in one.uses:
            assert isinstance(equation.lhs, Ref)
            parts.append(total(over, mul(adjoint_of(equation.array)[equation.lhs.indices], beside)))
        names = " and ".join(f"`{equation.name}`" for equation, *_ in one.uses)
        because = f"By the chain rule, `{one.z.name}` acts on `E` only through {names}."
        return Equation(adjoint_of(one.z)[one.at], add(*parts), Rule.DEFINITION, because)

    def _reached(self, one: DataMap) -> Expr:
        """sum_m G_nm dE/dz_m."""
        data = self.data[one.z]
        taken, names = list(one.at), dict[Index, Index]()
        for index in one.positions:
            names[index] = fresh(index.axis, taken)
            taken.append(names[index])
        units = tuple(one.units[n] for n in self._units(one))
        other = tuple(names[i] for i in one.positions)
        delta = adjoint_of(one.z)[tuple(names.get(i, i) for i in one.at)]
        return total(other, mul(delta, data.product(one.positions, other, units)))

    def _units(self, one: DataMap) -> tuple[int, ...]:
        """Which of a map's units its data vectors have."""
        data = self.data[one.z]
        axes = [i.axis for i in data.units]
        return tuple(n for n, i in enumerate(one.units) if i.axis in axes)

    def _changes(self, array: Array, at: tuple[Index, ...], gradient: Expr, named: bool = False) -> Iterator[Equation]:
        """What the update rule makes of an array whose gradient is known; the last equation is the array after it."""
        results = (array.primed, moment(array, 1).primed)
        put = {gradient_of(array): (at, gradient)}
        for equation in self.base.network.rule.equations(array, at, named=named):
            assert isinstance(equation.rhs, Expr)
            rule = Rule.STATE if equation.array in results else Rule.DEFINITION
            because = "The change is added." if equation.array == array.primed else self._said(array)
            yield replace(equation, rhs=inline(equation.rhs, put), rule=rule, because=because, uses=())

    def _said(self, array: Array) -> str:
        kinds = {coefficient_of(one.z): "coefficients of the data" for one in self.maps}
        what = "first weights' share" if array in self.kept else kinds.get(array, "what the weights make of the data")
        return f"The update rule, which is linear, holds for the {what} as for the weights."

    def start(self, memory: Sequence[Array], facts: Sequence[Array]) -> Iterator[Equation]:
        """What `init` computes."""
        network, x = self.base.network, self.base.network.input
        wanted = [one.z for one in self.maps if one.is_pre_activation] + [a for a in facts if a in self.read.data]
        wanted += [a for d in self.data.values() for a in self._made_of(d)]
        yield from cut(self.passed, (*network.parameters, x), wanted)
        yield from self.patches
        for one in self.maps:
            if not one.is_pre_activation:
                yield self._value(one, Rule.STATE)
        still = "Nothing has moved yet."
        for array in self.carried:
            if array not in [one.z for one in self.maps]:
                value = ONE if array in self.kept else ZERO
                yield Equation(array[indices_of(array)], value, Rule.STATE, still)
        for array in self.moments:
            yield Equation(array[indices_of(array)], ZERO, Rule.STATE, still)
        for array in memory:
            value = Number(network.memory[array])
            yield Equation(array[indices_of(array)], value, Rule.DEFINITION, "No gradient has been seen yet.")
        yield from (self._gram(d, Rule.STATE) for d in self._each())
        if frozen_copy(x) in facts:
            yield self._copy(Rule.DEFINITION)
        *lead, last = indices_of(x)
        told = total(last, mul(_multipliers(x)[last], x[(*lead, last)]))
        yield Equation(
            key_of(x)[tuple(lead)], told, Rule.DEFINITION,
            "A fixed combination of its entries tells an input from others; no formula reads it.",
        )  # fmt: skip

    def _each(self) -> Iterator[_Data]:
        """The data vectors, each once."""
        found = {d.gram: d for d in self.data.values()}
        yield from found.values()

    def _made_of(self, data: _Data) -> tuple[Array, ...]:
        """The arrays of the network that data vectors are made of."""
        return (data.vectors.array,) if data.named is None else data.named.operands

    def _copy(self, rule: Rule) -> Equation:
        x = self.base.network.input
        indices = indices_of(x)
        return Equation(frozen_copy(x)[indices], x[indices], rule, "The input, which is read beside the maps as well.")

    def _gram(self, data: _Data, rule: Rule) -> Equation:
        names = {i: data.other(i) for i in data.positions}
        other = tuple(names[i] for i in data.positions)
        value = total(data.features, data.vectors * rename(data.vectors, names))
        value = value + data.biases if data.biases else value
        because = "These are the inner products of the data that is read"
        because += {0: ".", 1: " plus 1 for the bias."}.get(data.biases, f" plus {data.biases} for the biases.")
        return Equation(data.product(data.positions, other, data.units), value, rule, because)

    def _vectors(self, one: DataMap) -> Expr:
        """D, at the indices of a map."""
        data = self.data[one.z]
        own = (*one.positions, *(one.units[n] for n in self._units(one)), *one.features)
        names = dict(zip((*data.positions, *data.units, *data.features), own, strict=True))
        return rename(data.vectors, names)

    def _value(self, one: DataMap, rule: Rule) -> Equation:
        """z = sum W D (+ b)."""
        value = total(one.features, mul(one.element, self._vectors(one)))
        value = add(value, *(theta[one.units] for theta in one.shifts))
        return Equation(one.z[one.at], value, rule, f"This is what `{one.weight.name}` makes of the data.")

    def meanings(self, facts: Sequence[Array]) -> Iterator[Equation]:
        """W = kept W_c + sum_n C_n D_n, its velocity alike, z and its velocity, and the inner products."""
        for one in self.maps:
            shares = coefficient_of(one.z)
            for theta in one.parameters:
                yield self._sum(one, theta, shares, *self.kept)
            if self.moments:
                for theta in one.parameters:
                    yield self._sum(one, theta, moment(shares, 1), *(moment(a, 1) for a in self.kept), velocity=True)
                value = total(one.features, mul(moment(one.weight, 1)[one.element.indices], self._vectors(one)))
                value = add(value, *(moment(theta, 1)[one.units] for theta in one.shifts))
                said = f"The velocity of `{one.z.name}`."
                yield Equation(moment(one.z, 1)[one.at], value, Rule.INVARIANT, said)
            yield self._value(one, Rule.INVARIANT)
        yield from (self._gram(d, Rule.INVARIANT) for d in self._each())
        if frozen_copy(self.base.network.input) in facts:
            yield self._copy(Rule.INVARIANT)
        passed = {e.array: e for e in self.passed}
        yield from (replace(passed[a], rule=Rule.INVARIANT) for a in facts if a in passed)

    def _sum(self, one: DataMap, theta: Array, shares: Array, *kept: Array, velocity: bool = False) -> Equation:
        """kept W_c + sum_n C_n D_n, of which only the second part is there in a velocity while nothing decays."""
        matrix = theta == one.weight
        indices = one.element.indices if matrix else one.units
        moved = mul(shares[one.at], self._vectors(one)) if matrix else shares[one.at]
        held = frozen_copy(theta)[indices]
        first = mul(*(share[()] for share in kept), held) if kept or not velocity else ZERO
        value = add(first, total(one.positions, moved))
        array = moment(theta, 1) if velocity else theta
        because = (
            f"The velocity of `{theta.name}` is a sum over the data, too."
            if velocity
            else f"Every step moved `{theta.name}` along the data."
        )
        return Equation(array[indices], value, Rule.INVARIANT, because, (), "claim v")

    def expand(self) -> Iterator[Equation]:
        """The weights of backpropagation; no inverse of the inner products is needed."""
        network = self.base.network
        made = [a for one in self.maps for a in self._made_of(self.data[one.z])]
        yield from cut(self.passed, (*network.parameters, network.input), made)
        yield from self.patches
        for one in self.maps:
            for theta in one.parameters:
                equation = self._sum(one, theta, coefficient_of(one.z), *self.kept)
                yield replace(equation, rule=Rule.EXPANSION, because="The steps along the data, added up.")


def _alike(one: DataMap, other: DataMap) -> bool:
    """Whether two maps read the same data vectors, with as many biases."""
    same = [[i.axis for i in (*m.positions, *m.features)] for m in (one, other)]
    if same[0] != same[1] or len(one.shifts) != len(other.shifts) or _own_units(one) or _own_units(other):
        return False
    names = dict(zip((*other.positions, *other.features), (*one.positions, *one.features), strict=True))
    return expand(one.data) == expand(rename(other.data, names))


def _own_units(one: DataMap) -> tuple[Index, ...]:
    """The units that a map's data vectors differ by."""
    return tuple(i for i in one.units if i in free_in(one.data))


def _data_of(one: DataMap) -> _Data:
    """The data vectors of a map: an array of the network, where they are one, or the patches that are cut from it."""
    units = _own_units(one)
    at = (*one.positions, *units, *one.features)
    plain = isinstance(one.data, Ref)
    vectors = one.data if isinstance(one.data, Ref) else patches(one.weight, tuple(i.axis for i in at))[at]
    because = f"These are the data that `{one.weight.name}` reads, one vector for each position."
    named = None if plain else Equation(vectors, one.data, Rule.DEFINITION, because)
    axes = tuple(i.axis for i in (*one.positions, *one.positions, *units))
    return _Data(
        vectors, named, gram_of_data(one.weight, axes), one.positions, units, one.features, len(one.shifts)
    )  # fmt: skip
