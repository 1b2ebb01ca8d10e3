"""What is known of units that are summed over, piece by piece, and of schemes in symbols and in runs.

Each takes a fraction of a second, so that a fault in any part of such a proof is seen by a test that is quick.
"""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from functools import cache
from types import SimpleNamespace

import pytest
import z3
from test_small_proofs import CARRIED, LAYERS, SCHEMES, changed
from test_small_searches import AT, BY_HAND, KINKS

import fcsym
from fcsym import Network
from fcsym.language.algebra import as_expr, expand
from fcsym.language.equation import Cases, Condition, Rule, Verdict
from fcsym.language.expression import ONE, Apply, Array, Index, Number, Role, add, mul, power
from fcsym.language.instance import Instance, exact_field, positions
from fcsym.proof import proved
from fcsym.proof.induction import Meanings, _is_of_step, _is_start
from fcsym.proof.pieces import Pieces, _Unit
from fcsym.proof.scheme_in_symbols import InSymbols
from fcsym.proof.scheme_runs import STEPS, ExactRuns
from fcsym.proof.schemes import prove_scheme

mlp = Network.mlp


@cache
def collapsed(phi):
    return fcsym.scheme(mlp([1, 2, 1], phi), "collapsed")


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


UNITS = {"above": (1, 2, 3), "below": (-1, -2, -3), "both": (1, -2, 3)}


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
    for part, proof in prove_scheme(s).items():
        assert proof.holds and proof.instance == whole.instance
        assert (proof.method == whole.method) is (kind == "backprop")
        assert proof.method.startswith("run exactly over 2 steps") is (kind != "backprop")
        for f in proof.findings:  # the key is compared with nothing, and neither is the input once it is given back
            known = "" if (part, f.equation) in (("init", "key"), ("expand", "X1")) else "identical at random points"
            assert (f.index, f.expanded) == ("" if f.equation == "key" else "identical", known), f


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_units_that_are_summed_over_are_proved_by_both(phi):
    """But for abbreviations, for what `expand` has of no input, and for what z3 alone knows."""
    s = collapsed(phi)
    assert s.proof.holds, s.proof
    alone = {"z3"} if phi == "relu" else {"z3", "no such unit"}
    for f in s.proof.findings:
        part, name = f.equation.split(": ")
        table = isinstance(named(s.routines[part], name).rhs, Cases)
        if f.verdict is Verdict.DEFINITION or f.verdict is Verdict.CHOSEN:
            assert part != "init" or f.index == "identical" or f.case is not None
        elif table and f.case is None:
            assert f.index == "" and f.expanded in ("z3", "identical in exact runs")
        elif f.index != "identical":
            assert table and {f.index, f.expanded} - {""} <= alone and f.note
        else:
            assert (
                f.expanded == "identical in exact runs" or (part, name) == ("expand", "s1") or f.expanded == "identical"
            )
    refused = [f for f in s.proof.findings if f.index == "no such unit"]
    assert len(refused) == (2 if phi == "leaky_relu" else 0)
    assert all(f.note == "cannot occur: init has refused it" and not f.possible for f in refused)


def changed_in(s, part, name, change):
    """The scheme where one equation of a function says something else."""
    routine = s.routines[part]
    equations = tuple(change(e) if e.name == name else e for e in routine.equations)
    return replace(s, routines={**s.routines, part: replace(routine, equations=equations)})


REST = {
    "as it is": ("init", "A", lambda e: e, True),
    "twice, it is as far from 0": ("init", "A", lambda e: replace(e, rhs=Number(2)), True),
    "0, and no unit says that it is above": ("init", "A", lambda e: replace(e, rhs=Number(0)), False),
    "below 0": ("init", "A", lambda e: replace(e, rhs=Number(-1)), False),
    "moved though there is no unit": ("step", "A_new", lambda e: replace(e, rhs=add(e.rhs, ONE)), False),
    "moved by half, which is 0 where there is none": (
        "step", "A_new", lambda e: replace(e, rhs=add(mul(Fraction(1, 2), e.rhs), Number(Fraction(1, 2)))), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REST)
def test_where_a_piece_has_no_unit_nothing_moves_and_no_output_is_refused(name):
    part, array, change, wanted = REST[name]
    s = changed_in(collapsed("relu"), part, array, change)
    pieces = Pieces(s)
    assert [pieces.refused_rightly(s.step, row) for row in named(s.step, "y").rhs.branches[1:]] == [wanted, wanted]


@pytest.mark.parametrize("off", [False, True])
@pytest.mark.parametrize("name", ["e", "q"])
def test_units_are_counted_where_they_are_on_the_piece_alone(name, off):
    """One that is off it and counted, or on it and not, would move the mean."""
    s = collapsed("relu")
    pieces = Pieces(s)
    array, filled = (next(e.array for e in s.frozen if e.name == n) for n in (name, "qe"))
    units = [unit for unit in pieces._units if (unit.ratio(filled) is None) is off]
    assert units
    for unit in units:
        unit.values[array] = z3.RealVal(1 if off else 2)
    assert not any(pieces.refused_rightly(s.step, row) for row in named(s.step, "y").rhs.branches[1:])


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_gates_are_those_at_the_start_where_an_output_has_a_value(phi):
    """And in what rests on it; without the conditions they need not be."""
    s = collapsed(phi)
    pieces = Pieces(s)
    for part in s.parts:
        after = False
        for e in part.equations:
            after = after or (e.name == "y" and part.name != "expand")
            rests = after and (e.name == "y" or e.name[0] in "dHAB")
            assert pieces.gates_hold(part, e) is (rests and part.name in ("step", "output")), (part.name, e)
        assert (pieces.guard(part) is None) == (part.name not in ("step", "output")) or phi == "leaky_relu"
    for lost in range(2):
        made = changed_in(s, "step", "y", lambda e, lost=lost: replace(e, rhs=Cases(tuple(
            replace(row, when=row.when[:lost] + row.when[lost + 1 :]) if row.value is not None else row for row in e.rhs
        ))))  # fmt: skip
        assert not Pieces(made).gates_hold(made.step, named(made.step, "y"))


@pytest.mark.parametrize("name", KINKS)
def test_regions_of_a_unit_are_below_on_and_between_the_kinks(name):
    kinks, s = BY_HAND[name][2], z3.Real("s")
    for region in range(2 * len(kinks) + 1):
        facts = _Unit._within(SimpleNamespace(phi=KINKS[name]), s, region)
        for at in AT:
            here = next((2 * n + (at == kink) for n, kink in enumerate(kinks) if at <= kink), 2 * len(kinks))
            put = [z3.simplify(z3.substitute(fact, (s, z3.RatVal(*at.as_integer_ratio())))) for fact in facts]
            assert all(map(z3.is_true, put)) == (here == region)


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_indicators_are_known_where_conditions_leave_them_one_number(phi):
    """By what they are for units above, on and below the kink."""
    s = collapsed(phi)
    pieces = Pieces(s)
    start = s.frozen[0].array
    at = start[Index(start.axes[0], "i")]
    given = {"above": [Condition(at, ">")], "below": [Condition(at, "<="), Condition(at, "!=")], "any": []}
    wanted = {"above": {"e": 1, "e1": 0, "e2": 1}, "below": {"e": 0, "e1": 1, "e2": 0}, "any": {}}
    for name, when in given.items():
        found = {array.name: number for array, number in pieces.indicators_where(tuple(when)).items()}
        assert found == {e.name: wanted[name][e.name] for e in s.frozen if e.name in wanted[name]}


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "patches, with momentum"])
def test_of_layers_index_notation_alone_sees_what_a_scheme_says_wrong(name):
    """In the equation itself or in one that rests on it; what an update rule starts from is not its to say."""
    network, setting = LAYERS[name]
    s, seen = fcsym.scheme(network, "states", **setting), 0
    for part in s.parts:
        for e in part.equations:
            start = part.name == "init" and e.array in s.network.memory
            known = s.base.by_name.get(e.name)
            of_step = known is not None and (known.lhs, known.rhs, known.rule) == (e.lhs, e.rhs, e.rule)
            assert (_is_start(part, e), _is_of_step(part, e)) == (start, of_step), e
            if start or of_step or e.name == "key":
                continue
            alone = Meanings(s).holds(part, e)
            assert alone is True or (alone is None and e.rule is Rule.DEFINITION), e
            made = changed_in(s, part.name, e.name, changed)
            other = getattr(made, part.name)
            assert False in [Meanings(made).holds(other, one) for one in other.equations], e
            seen += 1
    assert seen > 3
