"""Proofs about units that stay on their linear pieces: what z3 knows of a unit is so where it is computed."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest

import fcsym
from fcsym import Network
from fcsym.language.algebra import as_expr, expand, indices_of
from fcsym.language.equation import Cases, Condition
from fcsym.language.expression import Number, Total, add, mul
from fcsym.language.instance import Instance, exact_field, positions
from fcsym.proof.pieces import Pieces
from fcsym.proof.schemes import prove_scheme


@cache
def collapsed(phi="relu", order="sequential"):
    return fcsym.scheme(Network.mlp([1, 1, 1], phi), "collapsed", order=order)


def with_changed(scheme, part, name, change):
    """The scheme with one equation of a part that has another right-hand side."""
    routine = scheme.routines[part]
    equations = tuple(replace(e, rhs=change(e.rhs)) if e.name == name else e for e in routine.equations)
    assert equations != routine.equations
    return replace(scheme, routines={**scheme.routines, part: replace(routine, equations=equations)})


@pytest.mark.parametrize("part", ["init", "step", "output", "expand"])
def test_every_part_is_proved(part):
    assert prove_scheme(collapsed(), part)[part].holds


def test_the_lower_of_two_pieces_is_proved():
    assert prove_scheme(collapsed("leaky_relu", "simultaneous"), "output")["output"].holds


@pytest.mark.parametrize(
    "part, name, change, holds",
    [
        ("output", "lo", lambda margin: mul(2, margin), True),  # it is above 0 where the other one is
        ("output", "lo", lambda margin: add(margin, 1), False),
        ("output", "hi", lambda margin: mul(-1, margin), False),
        ("init", "wp", lambda product: mul(2, product), False),
        ("init", "N", lambda count: add(count, 1), False),
        ("step", "A_new", lambda value: mul(2, value), False),
        ("expand", "sd1", lambda value: mul(2, value), False),
    ],
)
def test_what_is_changed_is_not_unless_it_says_the_same(part, name, change, holds):
    assert prove_scheme(with_changed(collapsed(), part, name, change), part)[part].holds is holds


def test_a_row_that_refuses_what_has_a_value_is_not_proved():
    """The row of the outputs where every unit is on its piece, and those where one is not, change places."""

    def swapped(table):
        first, second, *rest = table
        return Cases((replace(first, value=second.value), replace(second, value=first.value), *rest))

    assert not prove_scheme(with_changed(collapsed(), "output", "y", swapped), "output")["output"].holds


# ------------------------------------------------------------------------------------------- what is known of a unit


def worlds(scheme, phi):
    """The frozen numbers of three units, on every side of every kink that there can be, and none twice on one."""
    sizes, equations = Network.mlp([1, 3, 1], phi).sizes, {e.array: e for e in scheme.frozen}
    source = random.Random(5)
    kinks = [Fraction(0)] if phi == "relu" else []
    for _ in range(12):
        at = [source.choice([*kinks, Fraction(source.choice((-1, 1)) * source.randint(1, 9), 4)]) for _ in range(3)]
        drawn = {}

        def leaf(array, position, at=at, drawn=drawn):
            if array.name in ("Wc1", "W1"):
                return at[position[0]]
            if array.name == "x":
                return Fraction(1)
            return drawn.setdefault((array, position), Fraction(source.randint(-9, 9), source.randint(1, 4)))

        yield at, Instance(equations, sizes, leaf, exact_field())


def region(s):
    """Below the kink at 0, on it, above it."""
    return 1 + (s > 0) - (s < 0)


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_what_is_known_of_a_unit_is_what_is_computed(phi):
    scheme = collapsed(phi, "sequential" if phi == "relu" else "simultaneous")
    pieces, known = Pieces(scheme), 0
    units = {unit.region: unit for unit in pieces._units}
    own = [e.array for e in scheme.frozen if e.array.axes]
    for at, world in worlds(scheme, phi):
        for place, s in enumerate(at):
            for array in own:
                number = units[region(s)].number(array)
                known += number is not None
                assert number in (None, world.element(array, (place,))), array
            for array in pieces.indicators:
                assert world.element(array, (place,)) in (0, 1)
    assert known > 50 and len(pieces.indicators) == (1 if phi == "relu" else 2)


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_conditions_say_which_indicators_are_1(phi):
    scheme = collapsed(phi, "sequential" if phi == "relu" else "simultaneous")
    pieces = Pieces(scheme)
    subject = pieces.start[indices_of(pieces.start)]
    for relation in (">", "<="):
        when = (Condition(subject, relation),)
        said = pieces.indicators_where(when)
        meant = {}
        for unit in pieces._units:
            if (unit.region == 2) is (relation == ">"):
                for array in pieces.indicators:
                    meant.setdefault(array, set()).add(unit.number(array))
        assert said == {array: value for array, (value,) in ((a, tuple(v)) for a, v in meant.items() if len(v) == 1)}
        assert said


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_a_reduced_polynomial_has_the_same_value(phi):
    """e e = e, e1 e2 = 0 and mu e = m e, in products that are drawn, summed over the units or not."""
    scheme = collapsed(phi, "sequential" if phi == "relu" else "simultaneous")
    pieces, source, shorter = Pieces(scheme), random.Random(7), 0
    (unit,) = indices_of(pieces.start)
    of_units = [e.array[unit,] for e in scheme.frozen if e.array.axes]
    ones = [array[unit,] for array in pieces.indicators]
    scalars = [array[()] for array in pieces._slopes]
    assert len(scalars) == len(ones)
    every = list(worlds(scheme, phi))
    for trial in range(40):
        terms = []
        for _ in range(2):
            drawn = [*source.choices(ones, k=2), *source.choices(of_units, k=1), *source.choices(scalars, k=2)]
            product = mul(Number(Fraction(source.randint(1, 3))), *source.sample(drawn, source.randint(2, 5)))
            terms.append(Total((unit,), product) if trial % 2 else product)
        polynomial = expand(add(*terms))
        reduced = pieces.reduced(polynomial)
        shorter += reduced != polynomial
        _, world = every[trial % len(every)]
        for place in positions(pieces.start, world.sizes):
            binding = {} if trial % 2 else {unit: place[0]}
            assert world.value(as_expr(reduced), binding) == world.value(as_expr(polynomial), binding)
    assert shorter > 20
