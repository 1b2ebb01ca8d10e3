"""Counterexamples: exact small rationals at which an equation of a derivation is false.

The points are the same in every run, so that a report is. Nothing is proved by them: where none of them is a
counterexample, the verdict stays open.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import Activation
from fcsym.language.equation import Branch, Equation, Order, Rule, functions_in
from fcsym.language.expression import Array, Expr, Ref
from fcsym.language.findings import Counterexample
from fcsym.language.instance import Element, Instance, exact_field, positions
from fcsym.networks.network import Hidden, Network
from fcsym.networks.symbols import ALPHA, ETA, adjoint_of, frozen_activation, gate_of, increment_of, norm
from fcsym.networks.symbols import kappa as kappa_of
from fcsym.networks.symbols import rho as rho_of
from fcsym.proof.numbers import Dual
from fcsym.proof.reference import Gates, plus, reference

__all__ = ["in_network", "misnamed", "on_integral", "on_unit"]

_TRIES = 400


def _small(source: random.Random) -> Fraction:
    return Fraction(source.randint(-4, 4), source.choice((1, 1, 2)))


def _activation(network: Network, source: Element) -> Activation:
    return network.units[source[0].axes[-1]].activation


def in_network(
    network: Network, order: Order, equation: Equation, given: Mapping[str, Equation]
) -> Counterexample | None:
    """A network with small weights in which the right-hand side is not what the left-hand side means."""
    if network.rule.divides or any(phi.is_smooth for phi in functions_in(forward(network))):
        return None  # tanh of a rational is none: nothing here could be checked by hand
    small = network.reduced()
    gates = Gates(
        lambda source, s: _activation(small, source).value_at(s),
        lambda source, s: _activation(small, source).slope_at(s),
        lambda source, s: _activation(small, source).value_at(s),
        lambda phi, _, s: (phi.value_at(s), phi.slope_at(s)),
    )
    own = {
        given[name].array: given[name]
        for name in ("rho", "kappa", "alpha", "r", "p", *(f"a{n}" for n in range(len(small.layers))))
        if name in given and given[name].name != equation.name
    }
    for seed in range(_TRIES):
        source = random.Random(seed)
        leaves: dict[Element, Fraction] = {}

        def leaf(
            array: Array,
            position: tuple[int, ...],
            source: random.Random = source,
            leaves: dict[Element, Fraction] = leaves,
        ) -> Fraction:
            if (array, position) not in leaves:
                value = _small(source)
                leaves[array, position] = abs(value) or Fraction(1) if array == ETA else value
            return leaves[array, position]

        errors = {at: _small(source) for at in positions(small.output, small.sizes)}
        truth = reference(small, order, leaf, errors.__getitem__, gates, Fraction)
        instance = Instance(own, small.sizes, lambda a, p, t=truth: t[a, p], exact_field())  # type: ignore[misc]
        target = equation.array if equation.defines else small.logits.primed
        if (target, next(iter(positions(target, small.sizes)))) not in truth:
            return None
        for position in positions(target, small.sizes):
            try:
                derived = instance.right_side(equation, position)
            except (TypeError, KeyError, ArithmeticError, UnsupportedExpression):
                continue  # a unit without a compensation: the statement does not apply at this point
            if derived != truth[target, position]:
                numbers = {_name(*element): value for element, value in leaves.items()}
                numbers |= {_name(small.target, at): truth[small.target, at] for at in errors}
                return Counterexample(numbers, _name(target, position), derived, truth[target, position])
    return None


def _name(array: Array, position: tuple[int, ...]) -> str:
    return array.name + (f"[{', '.join(str(p + 1) for p in position)}]" if position else "")


def _words(network: Network, unit: Hidden) -> dict[Array, str]:
    """What a row about one unit may mention, and what it is called in a counterexample."""
    s, v = unit.s, unit.v
    words = {s: "s", s.primed: "s'", increment_of(s): "ds", v: "v", increment_of(v): "dv", frozen_activation(v): "vc"}
    words |= {network.read_out: "W", network.read_out.primed: "W'", adjoint_of(network.logits): "delta", ETA: "eta"}
    words |= {gate_of(s): "g", kappa_of(s): "kappa", rho_of(network.read_out): "rho", ALPHA: "alpha"}
    return words | {norm(read): "a" for read in network.read_by_matrices}


@dataclass(frozen=True, slots=True)
class _Unit:
    """One unit at a point: its numbers by name, as the equation's array elements see them."""

    phi: Activation
    numbers: Mapping[str, Fraction]
    words: Mapping[Array, str]

    def look_up(self, array: Array, _: tuple[int, ...]) -> Fraction:
        return self.numbers[self.words[array]]


def misnamed(network: Network, equation: Equation, branch: Branch) -> Counterexample | None:
    """Numbers that satisfy a row's conditions and lie on other pieces than its name says; pieces count from 1."""
    hidden = network.unit_of(equation.array) or network.hidden[-1]
    phi, known = hidden.activation, _words(network, hidden)
    names = [piece.name for piece in phi.pieces]
    words = branch.name.split(" at ")[0].split(",")[0].split(" -> ")
    if not all(word in names for word in words):
        return None
    for seed in range(_TRIES * 5):
        source = random.Random(seed)
        s, ds = _small(source), _small(source)
        value = phi.value_at(s)
        numbers = {"s": s, "ds": ds, "s'": s + ds, "v": value, "vc": value, "dv": phi.value_at(s + ds) - value}
        read = _reader(_Unit(phi, numbers, known), equation)
        if not all(condition.holds(read(condition.subject)) for condition in branch.when):
            continue
        for what, word, at in zip(("before", "after"), words, (s, s + ds), strict=False):
            if names.index(word) != phi.piece_at(at):
                told, true = Fraction(names.index(word) + 1), Fraction(phi.piece_at(at) + 1)
                return Counterexample({"s": s, "ds": ds}, f"the piece {what} in {branch.name!r}", told, true)
    return None


def on_unit(network: Network, equation: Equation, branch: Branch) -> Counterexample | None:
    """Numbers for one unit that satisfy a row's conditions and at which its value is wrong."""
    hidden = network.unit_of(equation.array) or network.hidden[-1]
    phi, known = hidden.activation, _words(network, hidden)
    for seed in range(_TRIES * 5):
        source = random.Random(seed)
        s, ds = _small(source), _small(source)
        before, after = (_small(source), _small(source)) if phi.is_smooth else (phi.value_at(s), phi.value_at(s + ds))
        numbers = {
            "s": s, "ds": ds, "s'": s + ds, "v": before, "vc": before,
            "dv": after - before, "W": _small(source), "W'": _small(source),
        }  # fmt: skip
        unit = _Unit(phi, numbers, known)
        value = _reader(unit, equation)
        if not all(condition.holds(value(condition.subject)) for condition in branch.when):
            continue
        true: Fraction | None
        if equation.rule is Rule.CASES:
            true = numbers["dv"]
        elif numbers["vc"]:
            true = numbers["W'"] * numbers["dv"] / numbers["vc"]
        else:
            true = Fraction(0) if not numbers["dv"] else None
        try:
            derived = None if branch.value is None else value(branch.value)
        except (KeyError, UnsupportedExpression):
            return None  # the row mentions more than one unit's numbers
        except ZeroDivisionError:
            derived = None
        if derived != true:
            shown = ("vc", "dv") if phi.is_smooth else ("s", "ds")
            used = {k: v for k, v in numbers.items() if k in shown or (k == "W'" and equation.rule is Rule.CHOICE)}
            return Counterexample(used, f"{equation.name} [{branch.name}]", derived, true)
    return None


def _anywhere(equation: Equation) -> dict[Any, int]:
    """A place for each index: that of the one unit there is."""
    assert isinstance(equation.lhs, Ref)
    return dict.fromkeys(equation.lhs.indices, 0)


def _reader(unit: _Unit, equation: Equation) -> Callable[[Expr], Any]:
    instance, binding = Instance({}, {}, unit.look_up, exact_field()), _anywhere(equation)
    return lambda node: instance.value(node, binding)


def on_integral(
    network: Network, order: Order, equation: Equation, branch: Branch, pieces: tuple[int, int]
) -> Counterexample | None:
    """Numbers for one unit at which P's slope in the weight is not -p/(eta dE/dy v^c), or P is not 0 at w' = w."""
    phi, words = network.hidden[-1].activation, _words(network, network.hidden[-1])
    before, after = (phi.pieces[n] for n in pieces)
    assert branch.value is not None
    mentioned = {words[array] for array in equation.operands if array in words}
    for seed in range(_TRIES * 5):
        source = random.Random(seed)
        s, w, eta, error, kappa, alpha, rho = (_small(source) for _ in range(7))
        vc = before.slope * s + before.intercept
        if not (s and vc and eta > 0 and error) or phi.piece_at(s) != pieces[0]:
            continue
        kappa, rho = (kappa if "kappa" in mentioned else Fraction(0)), (rho if "rho" in mentioned else Fraction(0))
        through = w if order == "sequential" else w + eta * error * vc
        gate = phi.slope_at(s)
        ds = kappa - eta * gate * (through * error + rho) * alpha
        if phi.piece_at(s + ds) != pieces[1]:
            continue
        dv = after.slope * (s + ds) + after.intercept - vc
        numbers = {
            "W": w + eta * error * vc, "W'": w, "eta": eta, "delta": error, "vc": vc, "kappa": kappa, "rho": rho,
            "alpha": alpha, "a": alpha, "s": s, "ds": ds, "g": gate,
        }  # fmt: skip

        def look_up(array: Array, _: tuple[int, ...], numbers: Mapping[str, Fraction] = numbers) -> Dual:
            key = words[array]
            return Dual(numbers[key], Fraction(key == "W'"))

        def number(value: Fraction) -> Dual:
            return Dual(value, Fraction(0))

        field = replace(exact_field(), number=number, add=plus)
        binding = _anywhere(equation)
        try:
            slope = Instance({}, {}, look_up, field, {}).value(branch.value, binding).slope
        except (KeyError, UnsupportedExpression):
            return None  # the row mentions what this unit does not have
        truth = -w * dv / (eta * error * vc * vc)
        used = {name: value for name, value in numbers.items() if name not in ("kappa", "rho", "alpha", "a")}
        used |= {name: numbers[name] for name in ("kappa", "rho", "alpha", "a") if name in mentioned}
        if slope != truth:
            return Counterexample(used, f"dP/dw' [{branch.name}]", slope, truth)
        start = numbers | {"W'": numbers["W"]}
        at_start = Instance({}, {}, lambda a, p: look_up(a, p, start), field, {}).value(branch.value, binding).value  # noqa: B023
        if at_start:
            return Counterexample(used | {"W'": numbers["W"]}, f"P [{branch.name}] at w' = w", at_start, Fraction(0))
    return None
