"""What the arrays of a scheme stand for in symbols: before the first step, in a step, and what is compared.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from test_small_proofs import mlp

import fcsym
from fcsym.language.algebra import expand
from fcsym.language.equation import Cases, Equation, Rule
from fcsym.language.expression import ONE, Array, Axis, Index, Role, add, mul, power
from fcsym.networks.symbols import ETA, frozen_activation, frozen_copy, frozen_pre_activation, gate_of
from fcsym.proof.scheme_in_symbols import InSymbols, _are_inverse, _denominators
from fcsym.proof.schemes import _flaws, _refused_at_init

SCHEMES = {
    "one layer": ("backprop", mlp([1, 1])),
    "two layers": ("weights", mlp([1, 2, 1])),
    "three layers": ("states", mlp([1, 1, 2, 1], bias=True)),
    "four layers": ("history", mlp([1, 1, 1, 2, 1])),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_before_the_first_step_what_is_kept_is_what_it_is_kept_of(name):
    """Weights, the value of every hidden layer, that of the last one by its own name, too, and s1; the rest is 0."""
    kind, network = SCHEMES[name]
    s = fcsym.scheme(network, kind)
    shift = InSymbols(s)._before_the_first()
    kept = {frozen_copy(theta): theta for theta in network.parameters}
    kept |= {Array("vc", n, unit.v.axes): unit.v for n, unit in enumerate(network.hidden, 1)}
    kept |= {frozen_activation(unit.v): unit.v for unit in network.hidden[-1:]}
    kept |= {frozen_pre_activation(network.pre_activation(1)): network.pre_activation(1)}
    for array, of in kept.items():
        indices, value = shift.pop(array)
        assert value == of[indices] and array.axes == of.axes
    added = {array.unprimed for array in s.moving} | {a for a in s.state if a.axes and a.axes[0].name == "stored"}
    assert set(shift) >= {array.unprimed for array in s.moving} and added <= set(shift)
    assert not any(value for _, value in shift.values() if not isinstance(value, type(ONE)))
    assert {str(value) for _, value in shift.values()} <= {"0"}


@cache
def with_momentum():
    s = fcsym.scheme(mlp([1, 2, 1]), "states", batch="sum", samples=2, rule="nesterov")
    return s, InSymbols(s)


def test_what_a_step_is_made_of_is_put_in_and_its_results_are_not():
    """Velocities of what is carried, and what they are made of; then what backpropagation makes of its own arrays."""
    s, index = with_momentum()
    own, first, moved, meanings = index._stages(s.step)
    base = {e.array: e for e in s.base}
    new = [e for e in s.step if e.defines and e.array not in base]
    carried = {a.primed for a in s.state if a.role is not Role.MOMENT}
    assert {e.array for e in new if e.array not in carried} == set(own)
    assert {array.name for array in own} >= {"ms1_new", "mC1_new"} and not carried & set(own)
    assert list(first) == [s.network.pre_activation(1)]
    after = {e.array for e in s.base if e.array.after and e.defines}
    made = {a for a, e in base.items() if e.rule in (Rule.GRADIENT, Rule.TRAINING)}
    assert {array.name for array in made - after} >= {"dE_dW1", "dE_dW2", "dW1", "dW2"}
    assert set(moved) == after | made
    assert set(meanings) == {m.array for m in s.meanings}


def test_an_abbreviation_means_nothing_by_itself():
    """Whatever function it is in; of what is kept from the start `init` says what it is, and no other function."""
    s = fcsym.scheme(mlp([1, 1, 1]), "weights")
    index = InSymbols(s)
    vc = next(e for e in s.init if e.array == frozen_activation(s.network.hidden[0].v))
    short = Equation(Array("short", None, ())[()], mul(2, ETA[()]), Rule.DEFINITION, "")
    for part in s.parts:
        assert index.holds(part, short) is None
        assert index.holds(part, vc) is (True if part.name == "init" else None)
        assert index.holds(part, replace(vc, rhs=mul(2, vc.rhs))) is (False if part.name == "init" else None)


def test_the_output_of_a_collapsed_scheme_holds_since_a_unit_is_on_one_piece():
    """A product of two indicators is 0 or one of them: without that it would not, and with more in it it does not."""
    s = fcsym.scheme(mlp([1, 2, 1]), "collapsed")
    index, e = InSymbols(s), next(e for e in s.output if e.array == s.network.output)
    (row,) = (row for row in e.rhs if row.value is not None)
    assert index.case_holds(s.output, e, row) is True
    assert index.case_holds(s.output, e, replace(row, value=add(row.value, ETA[()]))) is False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(index.pieces), "reduced", lambda self, polynomial: polynomial)
        assert index.case_holds(s.output, e, row) is False


MATRICES = {
    "one": ([[1]], [[1]], True), "halves": ([[2, 0], [0, 1]], [["1/2", 0], [0, 1]], True),
    "sums": ([[1, 1], [1, -1]], [["1/2", "1/2"], ["1/2", "-1/2"]], True), "other": ([[2]], [[1]], False),
    "higher": ([[1, 0], [0, 1]], [[1, 0], [0, 1], [0, 0]], False), "a row": ([[1, 0]], [[1], [0]], False),
    "a column": ([[1], [0]], [[1, 0]], False), "wide": ([[1, 0], [0, 1]], [[1, 0, 0], [0, 1, 0]], False),
    "of other sizes": ([[1]], [[1, 0], [0, 1]], False), "zero": ([[0]], [[0]], False),
}  # fmt: skip


@pytest.mark.parametrize("name", MATRICES)
def test_two_square_matrices_are_inverse_where_their_product_is_1(name):
    """And two they have to be: 1 itself is no constant that another one undoes."""
    left, right, inverse = MATRICES[name]
    one, other = (tuple(tuple(map(Fraction, row)) for row in rows) for rows in (left, right))
    assert _are_inverse(one, other) is inverse
    if inverse:
        assert np.array_equal(np.array(one) @ np.array(other), np.eye(len(one)))
    assert not _are_inverse(one, one)


def test_what_is_multiplied_by_is_every_number_that_is_divided_by():
    """As often as it is in any term; elements of arrays stay where they are."""
    c = Axis("c")
    j = Index(c, "j")
    a, b, d = (Array(name, None, ())[()] for name in "abd")
    x = Array("x", None, (c,))[j]
    node = add(mul(a, power(b, -1)), mul(power(b, -2), d), mul(x, power(x.array[j], -3), a), power(d, 2), power(d, -1))
    found = _denominators(node)
    assert sorted(map(str, found)) == sorted(map(str, [power(b, 2), d]))
    cleared = expand(mul(node, *found))
    assert not any(exponent < 0 and ref in (b, d) for monomial in cleared for ref, exponent in monomial.factors)
    assert _denominators(add(mul(a, b), x)) == []


@pytest.mark.parametrize("kind", ["backprop", "weights", "compensation", "states", "history", "collapsed"])
def test_a_function_of_a_scheme_is_one(kind):
    """Also where what is chosen is another value than 0, and where units are held on their pieces."""
    s = fcsym.scheme(mlp([1, 2, 1]), kind)
    assert [_flaws(part) for part in s.parts] == [[]] * len(s.parts)


def test_a_row_is_refused_where_init_has_no_value_for_such_weights():
    """By what its conditions say of a unit at the start: of another number, or with another relation, it is not."""
    s = fcsym.scheme(mlp([1, 2, 1], "leaky_relu"), "collapsed")
    undefined = [row for e in s.init if isinstance(e.rhs, Cases) for row in e.rhs if row.value is None]
    assert undefined
    for row in undefined:
        assert not _refused_at_init(s.init, row)  # it is the row that refuses them
        for part in (s.step, s.output, s.expand):
            assert _refused_at_init(part, row)
            frozen = {c.subject.array: c.subject for c in row.when}
            kept = [
                replace(c, subject=frozen_pre_activation(c.subject.array)[c.subject.indices])
                if c.subject.array == s.network.pre_activation(1) else c
                for c in row.when
            ]  # fmt: skip
            assert frozen and _refused_at_init(part, replace(row, when=tuple(kept)))
            first, *others = row.when
            for other in (
                replace(first, bound=first.bound + 1), replace(first, relation="!="),
                replace(first, subject=ETA[()]),
            ):  # fmt: skip
                assert not _refused_at_init(part, replace(row, when=(other, *others)))
            assert not _refused_at_init(part, replace(row, when=()))
            gates = (replace(c, subject=gate_of(c.subject.array)[c.subject.indices]) for c in row.when)
            assert not _refused_at_init(part, replace(row, when=tuple(gates)))  # which is of the unit, and not kept
