"""Units that are held on linear pieces: what is known of each, and when a margin that fails says that one has left.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from types import SimpleNamespace

import pytest
import z3
from test_small_proofs import mlp

import fcsym
from fcsym.errors import UnsupportedExpression
from fcsym.language.equation import Cases, Condition, Equation, Rule
from fcsym.language.expression import ONE, ZERO, Array, Extreme, Index, Number, add, mul, total
from fcsym.proof.pieces import Pieces, _Unit

COUNTED, ELSE = Array("counted", None, ()), Array("else", None, ())[()]


@cache
def collapsed(phi):
    return fcsym.scheme(mlp([1, 2, 1], phi), "collapsed")


@cache
def pieces_of(phi):
    return Pieces(collapsed(phi))


def named(part, name):
    return next(e for e in part if e.name == name)


def with_frozen(s, name, change):
    """The scheme where one of the definitions that no step changes says something else."""
    return replace(s, frozen=tuple(change(e) if e.name == name else e for e in s.frozen))


def with_equations(s, part, change):
    """The scheme where the equations of a function are others."""
    routine = s.routines[part]
    return replace(s, routines={**s.routines, part: replace(routine, equations=tuple(change(routine.equations)))})


def refused(s, pieces=None):
    """Whether each row without an output is refused for a unit that has left its piece."""
    pieces = pieces or Pieces(s)
    return [pieces.refused_rightly(s.step, row) for row in named(s.step, "y").rhs if row.value is None]


def in_margin(e, equation, power):
    """lo = C ql + A with a power of ql in its place."""
    least = next(f for f in equation.rhs.terms[0].factors if f.array.name in ("ql", "qh"))
    return replace(e, rhs=add(mul(equation.rhs.terms[0], *[least] * (power - 1)), *equation.rhs.terms[1:]))


@pytest.mark.parametrize("power", [1, 2])
def test_a_margin_is_linear_in_the_extreme_ratio(power):
    """C q + A > 0 for every unit on the piece says nothing of the same with the square of the least q in it."""
    s = with_equations(
        collapsed("relu"), "step",
        lambda equations: [in_margin(e, e, power) if e.name in ("lo", "hi") else e for e in equations],
    )  # fmt: skip
    assert refused(s) == [power == 1] * 2


@pytest.mark.parametrize("times", [1, 2])
def test_the_extreme_is_one_of_the_ratios_themselves(times):
    """Twice the least of them is another number than that of a unit."""
    s = collapsed("relu")
    for name in ("ql", "qh"):
        s = with_frozen(s, name, lambda e: replace(e, rhs=replace(e.rhs, body=mul(times, e.rhs.body))))
    assert isinstance(named(s.frozen, "ql").rhs, Extreme) and refused(s) == [times == 1] * 2


def test_without_a_unit_off_the_piece_nothing_is_asked_of_the_mean():
    """Whatever it is: it stands in for nobody."""
    s = with_frozen(collapsed("relu"), "qm", lambda e: replace(e, rhs=ONE))
    assert refused(s) == [False, False]
    pieces = Pieces(s)
    filled = named(s.frozen, "qe").array
    pieces._units = [unit for unit in pieces._units if unit.ratio(filled) is not None]
    assert len(pieces._units) == 1 and refused(s, pieces) == [True, True]


@pytest.mark.parametrize("other", [False, True])
def test_one_number_stands_in_for_all_units_off_the_piece(other):
    """Below the kink and on it: with another number there, that might be the least of them."""

    def with_kink(e):
        above, below = e.rhs.branches
        (at_most,) = below.when
        apart = replace(below, when=(at_most, Condition(at_most.subject, "!=")))
        on = replace(below, when=(at_most, Condition(at_most.subject, "=")), value=ELSE if other else below.value)
        return replace(e, rhs=Cases((above, apart, on)))

    s = with_frozen(collapsed("relu"), "qe", with_kink)
    assert refused(s) == [not other] * 2


@pytest.mark.parametrize("value", [0, 1])
def test_a_state_rests_where_what_moves_it_is_0_without_a_unit(value):
    """A slope that were 1 there would move it, and an output be refused though there is nobody who has left."""

    def without_units(e):
        some, none = e.rhs.branches
        assert none.value == ZERO
        return replace(e, rhs=Cases((some, replace(none, value=Number(Fraction(value))))))

    assert refused(with_frozen(collapsed("relu"), "mu", without_units)) == [not value] * 2


def test_a_state_that_no_slope_moves_is_no_margin():
    """A number of steps, say, which is another one after each of them."""
    s = collapsed("relu")
    start = Equation(COUNTED[()], ZERO, Rule.STATE, "No step yet.")
    after = Equation(COUNTED.primed[()], COUNTED[()] + 1, Rule.STATE, "One step more.")
    s = with_equations(s, "init", lambda equations: [*equations, start])
    s = with_equations(s, "step", lambda equations: [*equations, after])
    assert refused(s) == [True, True]


@pytest.mark.parametrize("rule", [Rule.DEFINITION, Rule.STATE, Rule.IDENTITY])
def test_only_abbreviations_are_taken_for_granted(rule):
    """Not what else a step says, which is what is proved: from 1 = 0 everything would follow."""
    s = collapsed("relu")
    wrong = Equation(COUNTED[()], COUNTED[()] + 1, rule, "This is true of no number.")
    s = with_equations(s, "step", lambda equations: [wrong, *equations])
    for unit in Pieces(s)._units:
        assert unit.follows(z3.BoolVal(False), [*unit._abbreviations(s.step), *unit.facts]) is (rule is Rule.DEFINITION)
        assert unit.keeps(s.step, ()) is (rule is Rule.DEFINITION or unit.region < 2)  # off the piece nothing moves


def test_a_least_or_greatest_ratio_is_beyond_none_and_may_be_that_of_any_unit():
    s = collapsed("relu")
    for e in s.frozen:
        if not isinstance(e.rhs, Extreme):
            continue
        for unit in pieces_of("relu")._units:
            extreme, own = unit._of(e.array), unit.value(e.rhs.body)
            below, above = (extreme, own) if e.rhs.kind == "min" else (own, extreme)
            assert unit.follows(below <= above, unit.facts)
            assert not unit.follows(below < above, unit.facts) and not unit.follows(below == above, unit.facts)


def test_a_sum_over_an_axis_of_length_one_is_its_term():
    """The weights out of a unit, to the one output there is; of a sum over the units nothing is known."""
    s = collapsed("relu")
    weights = named(s.frozen, "wc")
    (output,) = weights.rhs.over
    assert output.axis in s.ones
    j = Index(s.frozen[0].array.axes[0], "j")
    for unit in pieces_of("relu")._units:
        assert unit.same(weights.array, weights.rhs.body.array)
        assert z3.eq(unit.value(weights.rhs), unit.value(weights.rhs.body))
        with pytest.raises(UnsupportedExpression, match="not about one unit"):
            unit.value(total(j, weights.array[j]))


@pytest.mark.parametrize("relation", [">", "<=", "=", "!="])
def test_a_condition_is_what_it_says_in_numbers(relation):
    unit = pieces_of("relu")._units[0]
    for value in (Fraction(-1), Fraction(0), Fraction(1, 3), Fraction(2)):
        for bound in (Fraction(0), Fraction(1, 3), Fraction(-1)):
            found = z3.simplify(unit._condition(Condition(Number(value), relation, bound)))
            wanted = {">": value > bound, "<=": value <= bound, "=": value == bound, "!=": value != bound}[relation]
            assert z3.is_true(found) is wanted and z3.is_false(found) is not wanted


def test_three_kinks_make_seven_regions():
    """Below the first, on it, between it and the next, and so on: each number is in one of them."""
    kinks, s = (Fraction(-1), Fraction(1, 2), Fraction(3)), z3.Real("s")
    for at in (-2, -1, 0, Fraction(1, 2), 1, 3, 4):
        inside = []
        for region in range(7):
            facts = _Unit._within(SimpleNamespace(phi=SimpleNamespace(kinks=kinks)), s, region)
            put = [z3.simplify(z3.substitute(fact, (s, z3.RatVal(*Fraction(at).as_integer_ratio())))) for fact in facts]
            inside += [region] * all(map(z3.is_true, put))
        assert inside == [sum(at > k for k in kinks) + sum(at >= k for k in kinks)]


def test_where_no_output_is_refused_gates_are_not_those_at_the_start():
    """Without any condition a unit may be anywhere."""
    s = with_equations(collapsed("relu"), "step", lambda equations: [e for e in equations if e.name != "y"])
    pieces = Pieces(s)
    assert pieces.guard(s.step) is None and not pieces.gates_hold(s.step, named(s.step, "A_new"))
