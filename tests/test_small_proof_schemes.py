"""What is said of a scheme's tables and functions, one change at a time, and the numbers of its runs.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from types import SimpleNamespace

import pytest
from test_small_proofs import HAT, changed, mlp

import fcsym
from fcsym.language.algebra import indices_of
from fcsym.language.equation import Cases, Equation, Rule, Status, Verdict
from fcsym.language.expression import ONE, ZERO, Apply, Array, Expr, Extreme, Number, add, mul
from fcsym.language.findings import Counterexample
from fcsym.networks.symbols import ETA
from fcsym.proof.numbers import Residue
from fcsym.proof.pieces import Pieces
from fcsym.proof.scheme_in_symbols import InSymbols, backpropagation_of
from fcsym.proof.scheme_runs import STEPS, ExactRuns, _Run
from fcsym.proof.schemes import _adds_nothing, _examine, _flaws, _frozen, _solvable, _table, prove_scheme
from fcsym.schemes.statements import next_input

BIASED = mlp([1, 1, 1], bias=True)
MADE = {
    "backprop": ("backprop", BIASED),
    "weights": ("weights", mlp([1, 1, 1])),
    "compensation": ("compensation", BIASED),
    "states": ("states", BIASED),
    "history": ("history", BIASED),
    "basis": ("basis", mlp([2, 1, 1], "tanh")),
    "collapsed": ("collapsed", mlp([1, 2, 1])),
}


@cache
def scheme(name):
    kind, network = MADE[name]
    return fcsym.scheme(network, kind)


def named(part, name):
    return next(e for e in part.equations if e.name == name)


def with_part(s, part, **changes):
    """The scheme where one function is another one."""
    return replace(s, routines={**s.routines, part: replace(s.routines[part], **changes)})


CHOSEN = {"weights": "r_new", "compensation": "P_new"}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_chosen_value_adds_no_compensation(name):
    """0, the last layer's own weight after the step, and what it was before; nothing else is 0 in the network."""
    s = scheme(name)
    e, last = named(s.step, CHOSEN[name]), s.network.read_out
    at = e.lhs.indices
    for value in (ZERO, last.primed[at], e.array.unprimed[at]):
        assert _adds_nothing(s.step, e, value)
    for value in (last[at], mul(2, last.primed[at]), e.array[at], mul(2, e.array.unprimed[at]), ETA[()]):
        assert not _adds_nothing(s.step, e, value)
    v = named(s.step, "v1_new")  # which has other axes than a weight
    assert _adds_nothing(s.step, v, ZERO) and _adds_nothing(s.step, v, v.array.unprimed[v.lhs.indices])
    assert not _adds_nothing(s.step, v, last.primed[at]) and not _adds_nothing(s.step, v, v.lhs)


@pytest.mark.parametrize("ran", ["", "identical in exact runs"])
@pytest.mark.parametrize("name", CHOSEN)
def test_a_table_of_a_scheme_is_not_better_than_its_rows(name, ran):
    """Nor where one of them is left out, or stands twice, or says that another value is chosen."""
    s = scheme(name)
    e, index = named(s.step, CHOSEN[name]), InSymbols(s)
    rows = e.rhs.branches
    assert [row.status for row in rows] == [Status.VALUE, Status.CHOSEN, Status.UNDEFINED]

    def said(*given):
        whole, *others = _table(s.step, replace(e, rhs=Cases(tuple(given))), index, None, ran)
        assert whole.case is None and [f.case for f in others] == [row.name for row in given]
        assert whole.expanded == (ran or "z3")
        return whole, [f.verdict for f in others]

    whole, verdicts = said(*rows)
    assert verdicts == [Verdict.PROVED, Verdict.CHOSEN, Verdict.PROVED]
    assert whole.verdict is Verdict.CHOSEN and "exclude each other (z3)" in whole.note
    for n, row in enumerate(rows):
        whole, found = said(*rows[:n], *rows[n + 1 :])
        assert whole.verdict is Verdict.UNDECIDED and Verdict.UNDECIDED not in found
        assert whole.note == "the cases overlap or leave a gap"
        assert said(*rows, row)[0].verdict is Verdict.UNDECIDED
        wrong = [replace(row, name="otherwise"), replace(row, note=f"{row.note} and so on")]
        if row.value is not None:
            wrong.append(replace(row, value=mul(2, row.value)))
        for one in wrong:
            whole, found = said(*rows[:n], one, *rows[n + 1 :])
            assert whole.verdict is Verdict.UNDECIDED and "exclude each other (z3)" in whole.note
            assert found == [*verdicts[:n], Verdict.UNDECIDED, *verdicts[n + 1 :]]
    found = Counterexample({}, e.name, 1, 2)
    whole, *_ = _table(s.step, e, index, found, ran)
    assert (whole.verdict, whole.counterexample) == (Verdict.REFUTED, found)


@pytest.mark.parametrize("name", MADE)
def test_every_equation_of_a_function_leads_to_a_result(name):
    """One more that nothing needs is a flaw, and so is a result that is not there; of what is only read neither is."""
    s = scheme(name)
    extra = Equation(Array("extra", None, ())[()], mul(2, ETA[()]), Rule.DEFINITION, "Nothing needs this.")
    assert [_flaws(part) for part in s.parts] == [[]] * len(s.parts)
    step = s.routines["step"]
    made = with_part(s, "step", equations=(*step.equations, extra)).step
    assert _flaws(made) == [("extra", "is needed by no result")]
    said = replace(extra, lhs=step.equations[-1].lhs, rule=Rule.IDENTITY, label="said")
    assert ("said", "is needed by no result") in _flaws(with_part(s, "step", equations=(*step.equations, said)).step)
    turned = with_part(s, "step", results=step.results[::-1]).step
    assert ("results" in dict(_flaws(turned))) is (step.results != step.results[::-1])
    shorter = with_part(s, "step", given=step.given[1:]).step
    assert "arguments" in dict(_flaws(shorter))


@pytest.mark.parametrize("name", [name for name in MADE if name not in ("history", "collapsed")])
def test_what_a_function_uses_it_is_given_or_has_said_before(name):
    """In the wrong order it uses what is said later; without an argument it uses what it is not given."""
    s = scheme(name)
    step, given = s.routines["step"], set(s.routines["step"].given)
    first = step.equations[0]
    reader = next(e for e in step.equations if first.array in e.operands)
    said = _flaws(with_part(s, "step", equations=(*step.equations[1:], first)).step)
    assert (reader.name, f"uses {first.name} before it stands") in said
    used = next(a for a in first.operands if a in given)
    said = _flaws(with_part(s, "step", given=tuple(a for a in step.given if a != used)).step)
    assert (first.name, f"is not given {used.name}") in said
    said = _flaws(with_part(s, "step", equations=(first, *step.equations)).step)
    assert (first.name, "stands twice") in said
    again = Equation(used[indices_of(used)], used[indices_of(used)], Rule.STATE, "It is the same.")
    said = _flaws(with_part(s, "step", equations=(again, *step.equations)).step)
    assert (used.name, "is given, and defined again") in said


@pytest.mark.parametrize("name", ["weights", "compensation", "history"])
def test_a_table_is_called_what_its_rows_are(name):
    """A definition where it is one, chosen where a value is, and proved elsewhere."""
    s = scheme(name)
    for part, proof in prove_scheme(s).items():
        for e in (e for e in getattr(s, part) if isinstance(e.rhs, Cases)):
            whole, *rows = [f for f in proof.findings if f.equation == e.name]
            chosen = any(row.status is Status.CHOSEN for row in e.rhs)
            other = Verdict.CHOSEN if chosen else Verdict.PROVED
            assert whole.verdict is (Verdict.DEFINITION if e.rule is Rule.DEFINITION else other), whole
            assert [f.case for f in rows] == [row.name for row in e.rhs]


def test_what_backpropagation_makes_is_no_scheme_s_to_define():
    """Nor what a step changes; and where units are held on their pieces it is said what s is."""
    s = scheme("collapsed")
    frozen, (w, *_) = s.frozen[0], s.network.parameters
    one = {"s": s.base["s1"].lhs, "W": w[indices_of(w)], "after": frozen.array.primed[frozen.lhs.indices]}
    for lhs in one.values():
        made = replace(s, frozen=(*s.frozen, replace(frozen, lhs=lhs)))
        assert (lhs.array.name, "is what a step changes, and is called frozen") in _flaws(made.step)
        made = replace(s, moving={lhs.array: replace(frozen, lhs=lhs)})
        said = (lhs.array.name, "is what backpropagation makes of it, and no scheme's to define")
        assert (said in _flaws(made.step)) is (not lhs.array.after)
    without = replace(s, meanings=tuple(m for m in s.meanings if m.name != "s1"))
    said = ("s1", "has no meaning, and the units are held on their pieces by it")
    assert said in _flaws(without.step) and said not in _flaws(replace(without, gates=()).step)


def test_of_what_is_not_about_v_before_and_after_no_row_is_solved():
    """r v^c = w v' where v^c is 0: by every r where v' is 0, too, and by none where it is not."""
    s = scheme("weights")
    rows = named(s.step, "r_new").rhs.branches
    after, before = (next(c for c in rows[1].when if c.subject.array.after is wanted) for wanted in (True, False))
    for row in rows[1:]:
        assert _solvable(row, True) and not _solvable(row, False)
        for when in ((before,), (after,), ()):
            assert not _solvable(replace(row, when=when), True)
    assert not _solvable(replace(rows[1], when=rows[2].when), True)
    assert not _solvable(replace(rows[2], when=rows[1].when), True)


def test_what_is_only_read_may_say_more_than_it_needs():
    s = next_input(mlp([1, 1, 1]))
    extra = Equation(Array("extra", None, ())[()], mul(2, ETA[()]), Rule.DEFINITION, "Nothing needs this.")
    assert [_flaws(part) for part in s.parts] == [[]] * len(s.parts)
    routine = s.routines["next"]
    assert _flaws(with_part(s, "next", equations=(*routine.equations, extra)).parts[-1]) == []


def run_of(name, seed=0, smooth=False):
    s = scheme(name)
    return _Run(SimpleNamespace(scheme=s, network=s.network.reduced(), smooth=smooth), seed, "examined")


@pytest.mark.parametrize("name", MADE)
def test_a_counterexample_of_a_run_names_every_number_at_its_step(name):
    """Places and steps count from 1; the numbers are those of the run."""
    run = run_of(name)
    found = run._problem("y[1] in step", Fraction(1), Fraction(2))
    assert (found.quantity, found.derived, found.true) == ("y[1] in step", 1, 2)
    wanted = {"eta": run.eta}
    for array in run.network.parameters:
        for at in [at for a, at in run.start if a == array]:
            wanted[f"{array.name}[{', '.join(str(n + 1) for n in at)}]"] = run.start[array, at]
    for step in range(1, STEPS + 1):
        wanted |= {f"x[{i + 1}] at step {step}": v for (i,), v in run.inputs[step - 1].items()}
        wanted |= {f"(y - y_g)[{k + 1}] at step {step}": v for (k,), v in run.errors[step - 1].items()}
    drawn = {key for key in found.point if key.startswith("z[")}
    assert {key: value for key, value in found.point.items() if key not in drawn} == wanted
    assert all(run_of(name, seed).eta > 0 for seed in range(9))


@pytest.mark.parametrize("name", [name for name in MADE if name != "collapsed"])
def test_fixed_numbers_of_a_run_are_those_of_its_scheme(name):
    run = run_of(name)
    constants = run.scheme.constants_for(run.network.inputs)
    assert {array for array, _ in run.fixed} == set(constants)
    for array, matrix in constants.items():
        shape = (len(matrix), len(matrix[0]))
        assert len(array.axes) == 2 or shape[0] == 1
        for row, column in ((i, j) for i in range(shape[0]) for j in range(shape[1])):
            assert run.fixed[array, (row, column) if len(array.axes) == 2 else (column,)] == matrix[row][column]


def test_what_no_row_is_for_is_an_error_of_the_run():
    run = run_of("basis", smooth=True)
    with pytest.raises(ArithmeticError, match="No case of e holds"):
        run._choose(Cases(()), (Array("e", None, ()), ()), lambda _: 0)


def test_values_after_a_step_stand_under_the_names_before_it():
    """And what has no prime stays what it is."""
    run = run_of("backprop")
    a, b = (Array(letter, None, ()) for letter in "ab")
    assert run._after({(a, ()): 1, (a.primed, ()): 2, (b, ()): 3}) == {(a, ()): 2, (b, ()): 3}


BLAMED = ["weights", "compensation", "states", "history", "basis"]


@pytest.mark.parametrize("name", BLAMED)
def test_an_equation_of_the_step_itself_is_not_to_blame(name):
    """Where an equation of the scheme's own is wrong, one of its own is named."""
    s = scheme(name)
    assert ExactRuns(s).refuted == {}
    for part in ("init", "step"):
        base = s.base.by_name
        own = [e for e in s.routines[part].equations if e.rule is Rule.STATE and base.get(e.name) != e]
        e = next((e for e in own if isinstance(e.rhs, Expr) and not isinstance(e.rhs, Apply)), None)
        if e is None:
            continue
        routine = s.routines[part]
        made = with_part(s, part, equations=tuple(changed(one) if one is e else one for one in routine.equations))
        refuted = ExactRuns(made).refuted
        assert refuted
        for where, blamed in refuted:
            known = named(made.routines[where], blamed)
            assert base.get(blamed) is None or (known.lhs, known.rhs) != (base[blamed].lhs, base[blamed].rhs)


@pytest.mark.parametrize("name", MADE)
def test_of_the_step_a_scheme_has_all_but_the_compensation(name):
    """v^c, p, r, what they are made of and P are its own to make; parameters are backpropagation's before it, too."""
    s = scheme(name)
    own = {"vc", "p", "r", "compensation", "rho", "kappa", "alpha", "P"}
    known = backpropagation_of(s)
    assert set(known) == {e.name for e in s.base if e.name not in own}
    ones = {axis for axis, size in s.network.sizes.items() if size == 1 and not axis.open}
    index, run = InSymbols(s), run_of(name)
    assert index.ones == ones and not any(array.axes for array in index.scalars)
    assert len(index.scalars) == len([e for e in s.base if e.defines and not e.array.axes])
    for array in (*(e.array for e in s.base), *s.network.parameters, *s.state, *s.constants):
        assert run._is_known(array) is (array.name in known or array in s.network.parameters), array


FUNCTIONS = {"relu": "relu", "leaky": fcsym.leaky_relu(slope_at_kink="1/3"), "hat": HAT}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_run_in_rational_numbers_has_the_function_itself(name):
    """With the slope that is declared at its kinks."""
    network = mlp([1, 1, 1], FUNCTIONS[name])
    phi, s = network.layers[0].activation, fcsym.scheme(network, "backprop")
    run = _Run(SimpleNamespace(scheme=s, network=s.network.reduced(), smooth=False), 0, "examined")
    for at in map(Fraction, (-3, 0, Fraction(1, 2), 2, 5)):
        assert run._function(phi, at, 0) == phi.value_at(at)
        assert run._function(phi, at, 1) == phi.slope_at(at)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_run_modulo_a_prime_has_the_pieces_of_a_function(name):
    """At numbers above 0, of which the order is known."""
    phi = mlp([1, 1, 1], FUNCTIONS[name]).layers[0].activation
    run = run_of("basis", smooth=True)
    for at in map(Fraction, (1, 2, 3, 7)):
        assert run._function(phi, Residue.of(at), 0) == Residue.of(phi.value_at(at))
        assert at in phi.kinks or run._function(phi, Residue.of(at), 1) == Residue.of(phi.slope_at(at))


@pytest.mark.parametrize("name", ["backprop", "weights", "states"])
def test_a_run_stops_at_what_a_function_is_not_given(name):
    """An argument less, and whatever uses it has no value."""
    s = scheme(name)
    routine = s.routines["step"]
    read = {a for e in routine.equations for a in e.operands}
    used = next(a for a in routine.given if a in read and a not in s.state)
    made = with_part(s, "step", given=tuple(a for a in routine.given if a != used))
    said = [what for (part, _), what in ExactRuns(made).refuted.items() if part == "step"]
    assert said and all(f"step uses {used.name}, which it is not given" in what for what in said)


def test_an_equation_of_the_step_is_refuted_where_a_run_refutes_it():
    """However the step that a scheme is cut from was proved."""
    s = scheme("states")
    e = named(s.step, "delta2")
    assert s.base["delta2"] == e
    wrong = changed(e)
    base = replace(s.base, equations=tuple(wrong if one.name == e.name else one for one in s.base.equations))
    routine = s.routines["step"]
    equations = tuple(wrong if one.name == e.name else one for one in routine.equations)
    made = with_part(replace(s, base=base), "step", equations=equations)
    (found,) = _examine(made.step, wrong, InSymbols(made), ExactRuns(made))
    assert (found.equation, found.verdict) == ("delta2", Verdict.REFUTED)
    assert found.counterexample.derived == 2 * found.counterexample.true != 0
    assert found.counterexample.quantity.startswith("delta2[1] in step, step ")


def test_a_definition_of_a_scheme_is_repeated_to_the_letter():
    """A table with another row, or one that is called something else, is no such definition."""
    s = scheme("collapsed")
    index, tables = InSymbols(s), 0
    for e in (e for e in s.init.equations if e.array in index.definitions):
        tables += isinstance(e.rhs, Cases)
        whole, *rows = _frozen(s.init, e, index, None)
        assert index.is_defined_so(s.init, e) and (whole.verdict, whole.index) == (Verdict.DEFINITION, "identical")
        assert {f.verdict for f in rows} <= {Verdict.DEFINITION}
        wrong = [changed(e)]
        if isinstance(e.rhs, Cases):
            wrong.append(replace(e, rhs=Cases(e.rhs.branches[::-1])))
            wrong.append(replace(e, rhs=e.rhs.branches[0].value))
        for one in wrong:
            whole, *_ = _frozen(s.init, one, index, None)
            assert not index.is_defined_so(s.init, one) and (whole.verdict, whole.index) == (
                Verdict.UNDECIDED,
                "differs",
            )
        if isinstance(e.rhs, Cases):
            first, *others = e.rhs.branches
            misnamed = replace(e, rhs=Cases((replace(first, name="otherwise"), *others)))
            assert _frozen(s.init, misnamed, index, None)[0].verdict is Verdict.UNDECIDED
    assert tables > 2


def test_a_margin_of_0_is_none():
    """What a unit that has kept its piece says is that c r + d is above 0, and not that it is not below."""
    s = scheme("collapsed")
    pieces = InSymbols(s).pieces
    filled = next(e.array for e in s.frozen if e.name == "qe")
    units = [unit for unit in pieces._units if unit.ratio(filled) is not None]
    assert units
    for unit in units:
        for number, wanted in (
            (Fraction(1), True),
            (Fraction(1, 9), True),
            (Fraction(0), False),
            (Fraction(-1), False),
        ):
            assert unit.positive(s.step, ZERO, Number(number), filled) is wanted
        assert not unit.positive(s.step, ONE, ZERO, filled)  # a ratio may be of any sign
        for e in s.frozen:
            if isinstance(e.rhs, Extreme):  # it is the unit's own, or another one's
                least, own = unit._of(e.array), unit.value(e.rhs.body)
                assert unit.follows(least <= own if e.rhs.kind == "min" else least >= own, unit.facts)
                assert not unit.follows(least != own, unit.facts) and not unit.follows(least == own, unit.facts)


@pytest.mark.parametrize("wrong", [False, True])
def test_what_is_kept_from_the_start_is_compared_there(wrong):
    """Each definition that a scheme's `init` has, with what it is at the first weights."""
    s, noted = scheme("collapsed"), {}
    if wrong:
        made = tuple(replace(e, rhs=add(e.rhs, ONE)) if e.name == "wp" else e for e in s.routines["init"].equations)
        s = with_part(s, "init", equations=made)

    def record(part, name, problem):
        noted[part, name] = noted.get((part, name)) or problem  # of any of its elements

    stub = SimpleNamespace(scheme=s, network=s.network.reduced(), smooth=False, record=record)
    run = _Run(stub, 3, "examined")  # of weights that are not negative
    run._init(run._truth(0))
    frozen = {("init", e.name) for e in s.init.equations if e.array in {one.array for one in s.frozen}}
    assert frozen and frozen <= set(noted)
    problems = {key for key, problem in noted.items() if problem is not None}
    assert ("init", "wp") in problems if wrong else not problems


REGIONS = {"relu": {0, 1, 2}, "leaky_relu": {0, 2}, "identity": {0}}


@pytest.mark.parametrize("phi", REGIONS)
def test_units_are_below_on_and_above_a_kink_and_anywhere_without_one(phi):
    """On a kink with a slope on both sides `init` refuses them."""
    assert {unit.region for unit in Pieces(fcsym.scheme(mlp([1, 2, 1], phi), "collapsed"))._units} == REGIONS[phi]
