"""What is known of units that are summed over, piece by piece, and of schemes in symbols and in runs.

Each takes a fraction of a second, so that a fault in any part of such a proof is seen by a test that is quick.
"""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
from test_small_proofs import CARRIED, LAYERS, SCHEMES, changed

import fcsym
from fcsym import Network
from fcsym.language.algebra import as_expr, expand
from fcsym.language.equation import Cases, Rule
from fcsym.language.expression import ONE, Apply, Array, Index, Role, add, mul, power
from fcsym.language.instance import Instance, exact_field, positions
from fcsym.proof import proved
from fcsym.proof.pieces import Pieces
from fcsym.proof.scheme_in_symbols import InSymbols
from fcsym.proof.scheme_runs import STEPS, ExactRuns
from fcsym.proof.schemes import prove_scheme

mlp = Network.mlp


@cache
def collapsed(phi):
    return fcsym.scheme(mlp([1, 3, 1], phi), "collapsed")


def named(part, name):
    return next(e for e in part.equations if e.name == name)


def with_definition(pieces, name, change):
    """The same where an array stands for something else when it is looked up."""
    array = next(a for a in pieces.definitions if a.name == name)
    pieces.definitions = {**pieces.definitions, array: change(pieces.definitions[array])}
    return pieces


def of_rows(change):
    """A mean whose rows, of some units and of none, are changed."""
    return lambda e: replace(e, rhs=Cases(tuple(change(*e.rhs.branches))))


ELSE = Array("else", None, ())[()]
MEANS = {
    "no table": lambda e: replace(e, rhs=ONE),
    "no row for some": of_rows(lambda some, none: [none]),
    "no row for none": of_rows(lambda some, none: [some]),
    "1 of none": of_rows(lambda some, none: [some, replace(none, value=ONE)]),
    "rows about two things": of_rows(
        lambda some, none: [some, replace(none, when=(replace(none.when[0], subject=ELSE),))]
    ),
    "no quotient": of_rows(lambda some, none: [replace(some, value=ELSE), none]),
    "by a square": of_rows(
        lambda some, none: [replace(some, value=mul(some.value, power(some.when[0].subject, -1))), none]
    ),
    "of no sum": of_rows(lambda some, none: [replace(some, value=mul(ELSE, power(some.when[0].subject, -1))), none]),
    "by something else": of_rows(lambda some, none: [replace(some, value=mul(ELSE, power(ELSE, -2))), none]),
}


@pytest.mark.parametrize("part", ["step", "output"])
def test_an_output_is_refused_only_where_a_unit_has_left_its_piece(part):
    """Not above another bound, and not where it is the other way round."""
    s = collapsed("relu")
    pieces, routine = Pieces(s), getattr(s, part)
    rows = named(routine, "y").rhs.branches
    assert [row.value is None for row in rows] == [False, True, True]
    for row in rows[1:]:
        margin = row.when[-1]
        assert pieces.refused_rightly(routine, row)
        for wrong in (replace(margin, relation=">"), replace(margin, bound=ONE.value), replace(margin, subject=ONE)):
            assert not pieces.refused_rightly(routine, replace(row, when=(*row.when[:-1], wrong)))
        assert not pieces.refused_rightly(s.init, row)


@pytest.mark.parametrize("name", MEANS)
def test_what_stands_in_for_units_off_the_piece_is_the_mean_of_those_on_it(name):
    """0 where there is none; whatever else it were, an output might be refused for no reason."""
    s = collapsed("relu")
    pieces = with_definition(Pieces(s), "qm", MEANS[name])
    assert not any(pieces.refused_rightly(s.step, row) for row in named(s.step, "y").rhs.branches[1:])


@pytest.mark.parametrize("name", ["N", "qs"])
def test_the_mean_is_of_the_ratios_and_by_the_number_of_the_units(name):
    """Not of the units' weights, say, nor by a sum of them."""
    s = collapsed("relu")
    weights = next(e.array for e in s.frozen if e.name == "wp")
    index = Index(weights.axes[0], "j")
    total = named(s.init, name).rhs
    pieces = with_definition(
        Pieces(s), name, lambda e: replace(e, rhs=replace(total, over=(index,), body=weights[index]))
    )
    assert not any(pieces.refused_rightly(s.step, row) for row in named(s.step, "y").rhs.branches[1:])


def numbers_of(s, pre_activations):
    """What the scheme's definitions are for units with these pre-activations at `init`, and any weights."""
    source = random.Random(1)
    axis = s.frozen[0].array.axes[0]
    known = {(s.frozen[0].array, (n,)): value for n, value in enumerate(pre_activations)}
    known |= {(s.frozen[1].array, (n,)): Fraction(source.randint(1, 9), 4) for n in range(len(pre_activations))}
    sizes = {**s.network.sizes, axis: len(pre_activations)}
    made = Instance({e.array: e for e in s.frozen[2:]}, sizes, lambda a, p: known[a, p], exact_field(), dict(known))
    return {(e.array, at): made.element(e.array, at) for e in s.frozen for at in positions(e.array, sizes)}


UNITS = {
    "above": (1, 2, 3), "below": (-1, -2, -3), "both": (1, -2, 3), "one above": (-1, -2, 3), "one below": (1, -2, 3),
}  # fmt: skip


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_a_polynomial_is_reduced_to_what_it_is_for_units_on_pieces(phi, units):
    """Of indicators that are 0 or 1, of which one is 1, and of the slope of a piece that has a unit."""
    s = collapsed(phi)
    pieces, known = Pieces(s), numbers_of(s, list(map(Fraction, UNITS[units])))
    indicators = [e.array for e in s.frozen if e.name in ("e", "e1", "e2")]
    slopes = [e.array for e in s.frozen if e.name.startswith("mu")]
    assert {*pieces.indicators} == {*indicators}
    source, axis = random.Random(units), indicators[0].axes[0]
    i, j = Index(axis, "i"), Index(axis, "j")
    w = s.frozen[1].array
    choices = [
        *(a[k] for a in indicators for k in (i, j)), w[i], w[j], *(a[()] for a in slopes), *(a[()] for a in slopes)
    ]  # fmt: skip
    for _ in range(12):
        monomials = [mul(source.randint(1, 5), *source.choices(choices, k=source.randint(1, 4))) for _ in range(3)]
        monomials += [power(monomials[0], 2)]
        node = add(*monomials)
        short = as_expr(pieces.reduced(expand(node)))
        for at in ({i: 0, j: 1}, {i: 2, j: 0}, {i: 1, j: 1}):
            value = Instance({}, {}, lambda a, p: known[a, p], exact_field()).value
            assert value(node, at) == value(short, at), (node, short)
    for e in indicators:
        assert pieces.reduced(expand(power(e[i], 3) - e[i])) == {}
        assert pieces.reduced(expand(e[i] * e[j])) == expand(e[i] * e[j])
    if len(indicators) == 2:
        one, other = indicators
        assert pieces.reduced(expand(one[i] * other[i])) == {} != pieces.reduced(expand(one[i] * other[j]))


PLAIN = {name: given for name, given in SCHEMES.items() if name != "basis"}


@pytest.mark.parametrize("name", PLAIN)
def test_index_notation_alone_sees_what_a_scheme_says_wrong(name):
    """Not a step's own equations, and not what is an abbreviation; v^c and W_c at `init` are v and W."""
    network, setting = PLAIN[name]
    s = fcsym.scheme(network, name, **setting)
    symbols, seen = InSymbols(s), 0
    for part in s.parts:
        for e in part.equations:
            if isinstance(e.rhs, Cases | Apply) or e.array in symbols.definitions or s.base.by_name.get(e.name) == e:
                continue
            frozen = part.name == "init" and e.array.role is Role.FROZEN
            if e.rule is Rule.DEFINITION and not symbols._known(e.array) and not frozen:
                assert symbols.holds(part, e) is symbols.holds(part, changed(e)) is None
                continue
            assert (symbols.holds(part, e), symbols.holds(part, changed(e))) == (True, False), e
            seen += 1
    assert seen > 1 or name == "backprop"


@pytest.mark.parametrize("name", PLAIN)
def test_runs_say_in_which_step_they_differ(name):
    """What `init` makes is wrong before the first one, and what a step makes from the first one on."""
    network, setting = PLAIN[name]
    s = fcsym.scheme(network, name, **setting)
    for part in ("init", "step"):
        routine, base = s.routines[part], s.base.by_name
        for place, e in enumerate(routine.equations):
            if isinstance(e.rhs, Cases) or e.name == "key" or e.rule is not Rule.STATE or base.get(e.name) == e:
                continue
            equations = [changed(one) if n == place else one for n, one in enumerate(routine.equations)]
            made = replace(s, routines={**s.routines, part: replace(routine, equations=tuple(equations))})
            refuted = ExactRuns(made).refuted
            assert refuted, e
            for (where, _), found in refuted.items():
                step = int(found.quantity.rpartition("step ")[2])
                assert found.derived != found.true and 1 <= step <= STEPS
                assert step == 1 or where != "init"


BACKPROP = {"backprop of layers": ("backprop", *LAYERS["one that is read beside"])}


@pytest.mark.parametrize("name", ["one that is read beside", "patches", *BACKPROP])
def test_of_layers_a_scheme_with_equations_of_its_own_is_run(name):
    """Any other is proved with the step that it is cut from, and that is what is said of it."""
    kind, network, setting = (CARRIED | BACKPROP)[name]
    s = fcsym.scheme(network, kind, **setting)
    whole = proved(s.base)
    for proof in prove_scheme(s).values():
        assert proof.holds and proof.instance == whole.instance
        assert (proof.method == whole.method) is (kind == "backprop")
        assert proof.method.startswith("run exactly over 2 steps") is (kind != "backprop")
