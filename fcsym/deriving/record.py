"""The record of a derivation: the ordered list of equations, which every reading reads and which knows none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from fcsym.errors import ArgumentError, listed, shown
from fcsym.language.activation import said_of_gates
from fcsym.language.equation import Equation, Order
from fcsym.language.expression import Array, indicators_in
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    adjoint_of,
    effective,
    front_of,
    frozen_activation,
    increment_of,
    integral_of,
    p_of,
)

__all__ = ["Record", "UnknownQuantity"]


@dataclass(frozen=True)
class Record:
    """The equations of one step, each after those it uses."""

    network: Network
    order: Order
    equations: tuple[Equation, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Equation]:
        """The equations by their ASCII names."""
        return {equation.name: equation for equation in self.equations}

    def __getitem__(self, name: str) -> Equation:
        """The equation of that name: d["p"], d["ds1"], d["W2'"]. A name without a layer means the last hidden one."""
        return self.by_name[self.resolve(name)]

    def __iter__(self) -> Iterator[Equation]:
        return iter(self.equations)

    def __len__(self) -> int:
        return len(self.equations)

    def resolve(self, name: object, layer: int | None = None) -> str:
        """A name as people write it => the name of an equation; ArgumentError, and KeyError, when there is none."""
        wanted = str(name).strip().replace("'", "_new")
        depth = self._depth
        if wanted in ("dE_dY", "dE_dy", "delta_y") and self.network.output == self.network.logits:
            wanted = f"delta{depth}"
        head, after = (wanted.removesuffix("_new"), "_new") if wanted.endswith("_new") else (wanted, "")
        layers = [layer] if layer is not None else [depth - 1, depth, depth - 2]
        candidates = [wanted] if layer is None else []
        candidates += [f"{head}{n}{after}" for n in layers]
        if head == "dv" and after:  # the paper writes dv', which is the change from v^c
            candidates += [f"dv{n}" for n in layers]
        for candidate in candidates:
            if candidate in self.by_name:
                return candidate
        where = f" in layer {layer}" if layer is not None else ""
        if not self.function and head in self._absent:
            raise UnknownQuantity(f"The derivation of {self.network} has no {head}: {self._absent[head]}.")
        raise UnknownQuantity(
            f"The derivation of {self.network} has no quantity {shown(name)!r}{where}: "
            f"choose one of {listed(self.by_name)}."
        )

    @property
    def _depth(self) -> int:
        """The number of the read-out's layer."""
        return adjoint_of(self.network.logits).layer or len(self.network.layers)

    @property
    def _absent(self) -> Mapping[str, str]:
        """What front contribution brings elsewhere and this list has not: why, and what to do instead."""
        network, matrix = self.network, self.network.read_out
        p, integral = p_of(matrix).name, integral_of(matrix).name
        frozen = [frozen_activation(unit.v).name for unit in network.hidden[-1:]]
        if p not in self.by_name:
            names = (p, integral, effective(matrix).name, *frozen, front_of(network.logits).name, "compensation")
            return dict.fromkeys(names, self._without_p)
        return {} if integral in self.by_name else {integral: self._without_integral}

    @property
    def _without_p(self) -> str:
        """Why there is no p, and what to do instead."""
        network = self.network
        if not network.hidden:
            return "no layer is below the read-out, which has nothing to make up for: add a hidden layer"
        if not network.features_move:
            return "training moves nothing below the read-out, which has nothing to make up for: train a layer below it"
        instead = f"ask for {increment_of(network.logits).name}, which the read-out changes by"
        if len(network.places) > 1:
            instead = f"flatten what it reads, or {instead}"
        else:
            instead = f"give at most {network.most_served} {network.place}s, or {instead}"
        return f"{self._too_many}: {instead}"

    @property
    def _never(self) -> str:
        """That places are always dependent, where they are more than the numbers that are read."""
        network = self.network
        if network.served <= network.most_served:
            return ""
        return f" Here they never are: {network.served} {network.place}s are more than {network.most_served} numbers."

    @property
    def _too_many(self) -> str:
        """Why one p does not serve all places of the read-out."""
        network = self.network
        if len(network.places) > 1:
            said = " x ".join(str(network.sizes[axis]) for axis in network.positions)
            return (
                f"the read-out is taken at {said} positions{' of every sample' if network.batch else ''}, and one p "
                "for all of them is known along one axis alone"
            )
        return (
            f"the read-out serves {network.served} {network.place}s and reads {network.most_served} numbers, so that "
            f"one p would have to satisfy more equations w' v' = (w' + p) v^c, one for each {network.place}, than it "
            "has numbers"
        )

    @property
    def _without_integral(self) -> str:
        """Why there is a p and no P, and what to do instead."""
        network = self.network
        if network.built is not None:
            reason = "it is known for stacks of dense layers"
        elif network.batch or not network.rule.is_plain:
            reason = "the ratio of p to what the weight moves by is no polynomial but for one sample's gradient step"
        elif network.hidden[-1].activation.is_smooth:
            reason = "p is no polynomial in the weight where the last activation is smooth"
        else:
            reason = "training leaves the layer below the read-out as it is, and p does not depend on its own weight"
        return f"{reason}: ask for p"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""
        result = [
            "The input `x` and the target `y_g` are the same before and after the step.",
            *said_of_gates([unit.activation for unit in self.network.activated]),
        ]
        result += [f"`{name}` is one number for all units of its layer." for name in self.network.common]
        if self.network.fixed:
            names = " and ".join(f"`{name}`" for name in self.network.fixed)
            result.append(f"Training leaves {names} as {'it is' if len(self.network.fixed) == 1 else 'they are'}.")
        network = self.network
        if network.batch:
            result.append("A mini-batch has `N` samples, the same before and after the step.")
        if network.rule.values:
            said = " and ".join(f"`{a.name}` = {_decimal(value)}" for a, value in network.rule.values.items())
            result.append(f"The update rule is {network.rule.name}, as in PyTorch, with {said}.")
        if any(next(indicators_in(side), None) for equation in self.equations for side in equation.expressions):
            result.append("Places count from 0, and an element at a place outside of its array is 0.")
        if network.built is not None and "p" in self.by_name:
            result.append("No `P` is derived: it is known for stacks of dense layers.")
        elif network.hidden and "p" in self.by_name and (network.batch or not network.rule.is_plain):
            result.append(
                "There is no closed form of `P`: the ratio of `p` to what the weight moves by is no polynomial in the "
                "weight but for the gradient step on one sample."
            )
        if network.places and network.hidden and network.features_move:
            result.append(
                f"A `p` for all {network.place}s exists wherever their `v^c` are linearly independent; elsewhere it "
                f"need not exist.{self._never}"
                if "p" in self.by_name
                else f"No `p` is derived: {self._too_many}."
            )
        if self.order == "sequential":
            result.append(
                "The order is sequential: the error passes through weights already updated, with old activations, old "
                "gates and the old output error."
            )
        else:
            result.append("The order is simultaneous: the error passes through the old weights.")
        if "P" in self.by_name:
            because = self.by_name["P"].because
            result.append(f"For `P` only: {because[0].lower()}{because[1:]}")
        return tuple(result)

    @property
    def title(self) -> str:
        """What the list is about."""
        return f"{self.network}, {self.order} order"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"One training step of {self.title}"

    @property
    def function(self) -> str:
        """The name of the function that the list is, in a scheme; "" for a derivation that is none."""
        return ""

    @property
    def signature(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What a scheme's function is given and what it returns; nothing for a derivation that is none."""
        return (), ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {equation}" for equation in self.equations)])


def _decimal(value: Fraction) -> str:
    """0.9, 1e-08: a coefficient as it was given."""
    return repr(float(value)) if value.denominator != 1 else str(value)


class UnknownQuantity(ArgumentError, KeyError):
    """No equation has that name."""

    __str__ = Exception.__str__
