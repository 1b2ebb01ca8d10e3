"""What is read off the equations of the smallest networks in numbers, and the names under which it is asked for.

Each takes a fraction of a second, so that a fault in a closed form, a flip, a flow or a name is seen by a test that is
quick.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import exact
import numpy as np
import pytest
import sympy
import z3

import fcsym
from fcsym import Network
from fcsym.closed import closed_form
from fcsym.closed import flip as flip_
from fcsym.closed import lambdified as lambdified_
from fcsym.closed.closed_form import _count as written_operations
from fcsym.closed.closed_form import _told_by, operations, paper_symbols
from fcsym.closed.costs import (
    STORED,
    Cost,
    _activation,
    _count,
    _equation,
    _is_gate,
    _where_it_saves,
    compare,
    cost,
    length,
)
from fcsym.closed.flip import _proved, flips
from fcsym.closed.series import flow, powers
from fcsym.closed.sharing import cse
from fcsym.deriving.record import UnknownQuantity
from fcsym.equations import apply, hidden, indices, input_, parameter, total
from fcsym.errors import ArgumentError, SizeError
from fcsym.kernel.lower import step_signature
from fcsym.language import smt
from fcsym.language.algebra import free_in
from fcsym.language.equation import Cases
from fcsym.language.expression import (
    ZERO,
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Indicator,
    Inverse,
    Mul,
    Pow,
    Ref,
    Role,
    Total,
    arrays_in,
    mul,
    power,
)
from fcsym.language.instance import Instance, exact_field
from fcsym.networks.symbols import adjoint_of, increment_of

ONE = Network.mlp([1, 1, 1])
X = Fraction(2)


def stepped(w1, w2, target, eta, order, x=X):
    """A step of 1-1-1 in rational numbers, by hand."""
    return exact.step((1, 1, 1), [[[w1]], [[w2]]], [x], [target], eta, order)


def put_in(expression, numbers):
    """A closed form at numbers, by the names of its symbols."""
    found = {s: sympy.Rational(str(numbers[s.name])) for s in expression.free_symbols}
    return Fraction(str(expression.subs(found)))


STEPS = {
    "active -> active": (Fraction(1, 2), Fraction(-1, 3), Fraction(1), Fraction(1, 7)),
    "active -> dead": (Fraction(1, 2), Fraction(3), Fraction(0), Fraction(1, 4)),
    "dead -> dead": (Fraction(-1), Fraction(3), Fraction(5), Fraction(1, 4)),
}


@pytest.mark.parametrize("case", STEPS)
def test_a_case_is_a_closed_form_without_cases_and_has_the_numbers_of_a_step(case, order):
    d = fcsym.derive(ONE, order)
    w1, w2, target, eta = STEPS[case]
    true = stepped(w1, w2, target, eta, order)
    known = {"W1_1_1": w1, "W2_1_1": w2, "x_1": X, "y_g": target, "eta": eta}
    moved = true.v_new[1][0] - true.v[1][0]
    # w' v' = (w' + p) v^c, where v^c is not 0
    p = true.w[1][0][0] * moved / true.v[1][0] if true.v[1][0] else Fraction(0)
    for name, wanted in (("dv1", moved), ("p", p)):
        found = d.expr(name, 1, case=case)
        assert not found.atoms(sympy.Piecewise) and not found.atoms(sympy.Function), name
        assert put_in(found, known) == wanted, name


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "softplus"])
def test_no_closed_form_has_more_operations_than_was_said(phi):
    """Twice as many at most, whatever is kept as a symbol."""
    d = fcsym.derive(Network.mlp([1, 1, 1], phi), "sequential")
    for name, keep in product(("s1_new", "W1_new", "dv1", "y_new"), ((), ("v1", "delta2"))):
        kept = frozenset(d[one].array for one in keep)
        counted = sympy.count_ops(d.expr(name, keep=keep))
        assert counted <= 2 * operations(d, d[name], kept), (name, keep)


def test_a_size_that_was_said_is_allowed():
    """What a refusal says that one may allow is enough, and one less is not."""
    d = fcsym.derive(ONE)
    with pytest.raises(SizeError, match="max_operations") as refused:
        d.expr("p", 1, max_operations=1)
    said = int(str(refused.value).rpartition("max_operations=")[2].rstrip("."))
    assert d.expr("p", 1, max_operations=said) is not None
    with pytest.raises(SizeError):
        d.expr("p", 1, max_operations=said - 1)


def test_a_unit_dies_where_its_flip_says(order):
    """At step sizes within and outside of the interval, for errors of every size and either sign."""
    flip, died = flips(fcsym.derive(ONE, order), 1), 0
    etas = [Fraction(1, 50), Fraction(1, 7), Fraction(1), Fraction(5), Fraction(31)]
    weights = [Fraction(1, 8), Fraction(1)], [Fraction(-1, 4), Fraction(1, 5), Fraction(1, 2), Fraction(2)]
    for w1, w2, error in product(*weights, etas):
        known = {"s_1": w1 * X, "a0": X * X, "W2_1_1": w2, "dE_dY": error}
        numbers = {sympy.Symbol(name, real=True): sympy.Rational(str(value)) for name, value in known.items()}
        for eta in etas:
            dead = stepped(w1, w2, w2 * w1 * X - error, eta, order).s_new[0][0] <= 0
            said = all(bool(condition.subs(numbers)) for condition in flip.when)
            assert (said and bool(flip.lower.subs(numbers) <= eta <= flip.upper.subs(numbers))) is dead
            died += dead
    assert flip.proved and died > 10


def test_a_unit_has_an_interval_where_its_parabola_reaches_0(monkeypatch):
    """However little beyond it: s' at three step sizes says which parabola it is."""
    monkeypatch.setattr(flip_, "_proved", bool)
    flip = flips(fcsym.derive(ONE, "sequential"), 1)
    for twentieths, reached in ((38, False), (39, False), (40, True), (41, True), (43, True), (60, True)):
        w2 = Fraction(twentieths, 20)
        start, one, two = (
            stepped(Fraction(1), w2, w2 * X - 1, Fraction(eta), "sequential").s_new[0][0] for eta in range(3)
        )
        bend = (two - 2 * one + start) / 2
        b = start + bend - one
        assert (b**2 >= 4 * bend * start) is reached
        known = {"s_1": X, "a0": X * X, "W2_1_1": w2, "dE_dY": 1}
        numbers = {sympy.Symbol(name, real=True): sympy.Rational(str(value)) for name, value in known.items()}
        assert [bool(condition.subs(numbers)) for condition in flip.when] == [True, reached]


@pytest.mark.parametrize(
    ("network", "setting", "why"),
    [
        (ONE.frozen("W1"), {}, "trained"),
        (Network.mlp([1, 1]), {}, "no such hidden layer"),
        (ONE, {"rule": "adam"}, "gradient step"),
        (Network.mlp([1, 1, 1], "leaky_relu"), {}, "ReLU"),
        (Network.mlp([1, 1, 1, 1]), {}, "higher degree"),
        (Network([fcsym.Linear(1, 1), "relu", fcsym.Flatten(), fcsym.Linear(1, 1)], input=(1, 1)), {}, "dense layers"),
    ],
    ids=lambda one: str(one) if isinstance(one, Network) else "",
)
def test_where_there_is_no_flip_it_says_why(network, setting, why):
    flip = flips(fcsym.derive(network, **setting), 1)
    assert flip.lower is None and flip.upper is None and not flip.proved
    assert "no closed form" in str(flip) and why in str(flip)


@pytest.mark.parametrize("layer", [0, 2, 7])
def test_a_layer_that_is_not_hidden_has_no_flip(layer):
    assert "no such hidden layer" in str(flips(fcsym.derive(ONE), 1, layer))


def test_a_flow_is_the_map_of_a_step(order):
    """v'^2 - a w'^2, the determinant and the trace, by steps from three places; and the series of r beside r."""
    found = flow(fcsym.derive(ONE, order), terms=4)
    a = X * X

    def after(w1, w2, h=Fraction(1, 3)):
        """(w', v') with eta dE/dy = h: the target is one below the output."""
        true = stepped(w1, w2, w2 * w1 * X - 1, h, order)
        return true.w[1][0][0], true.s_new[0][0]

    for w1, w2 in ((Fraction(2), Fraction(1, 2)), (Fraction(3, 2), Fraction(-2))):
        w, v = after(w1, w2)
        known = {"w": w2, "v": w1 * X, "a": a, "h": Fraction(1, 3)}
        left = put_in(found.factor, known) * (known["v"] ** 2 - a * w2**2) + put_in(found.rest, known)
        assert left == v**2 - a * w**2
        more_w, more_v = after(w1, w2 + 1), after(w1 + 1 / X, w2)  # the map is linear in w and v
        columns = [(more_w[0] - w, more_w[1] - v), (more_v[0] - w, more_v[1] - v)]
        assert put_in(found.trace, known) == columns[0][0] + columns[1][1]
        determinant = columns[0][0] * columns[1][1] - columns[0][1] * columns[1][0]
        assert put_in(found.determinant, known) == determinant
    assert not found.rest.has(sympy.Symbol("v", positive=True) ** 2)
    assert found.rest == 0 or order == "sequential"  # the same factor for every unit
    numbers = {"a": 1.25, "C": 2.0, "vc": 0.7, "w": 0.125}
    at = {s: numbers[s.name] for s in found.r.free_symbols}
    terms = [float(c.subs(at)) * numbers["w"] ** (2 * n + 1) for n, c in enumerate(found.series)]
    assert float(found.r.subs(at)) == pytest.approx(0.125 * (2 + 1.25 / 64) ** 0.5 / 0.7, rel=1e-12)
    assert sum(terms) == pytest.approx(float(found.r.subs(at)), abs=abs(terms[-1]))


def test_an_error_of_0_moves_no_unit(order):
    """It is no condition for a flip, whatever would be divided by."""
    flip = flips(fcsym.derive(ONE, order), 1)
    still = {sympy.Symbol(name, real=True): n for name, n in {"dE_dY": 0, "W2_1_1": 2, "s_1": 1, "a0": 4}.items()}
    assert not all(bool(condition.subs(still)) for condition in flip.when)


def test_the_interval_that_is_proved_is_the_one_that_is_given(order, monkeypatch):
    """Of a line, or of a parabola, in eta; and what is neither has none."""
    monkeypatch.setattr(flip_, "_proved", lambda quadratic: "a parabola" if quadratic else "a line")
    d = fcsym.derive(ONE, order)
    assert flips(d, 1).proved == ("a parabola" if order == "sequential" else "a line")
    s, eta = sympy.Symbol("s_1", real=True), sympy.Symbol("eta", real=True)
    for after in (s - eta**3, s - eta + eta**2 + eta**3, 2 * s - eta, -eta):
        other = SimpleNamespace(network=d.network, order=order, by_name=d.by_name, expr=lambda *_, a=after, **__: a)
        assert "no quadratic in eta" in str(flips(other, 1)) and not flips(other, 1).proved


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Network.mlp([2, 2, 1], bias=[True, False]), "no bias in the first"),
        (Network.mlp([2, 2, 1], bias=[False, True]), "relu units and no bias"),
        (Network.mlp([2, 2, 2]), "one output"),
        (Network.mlp([2, 2, 2, 1]), "two layers"),
        (Network.mlp([2, 2, 1], "leaky_relu"), "relu units"),
        (Network.mlp([2, 2, 1], output="sigmoid"), "a linear output"),
        (Network.mlp([2, 2, 1]).frozen("W1"), "all of it trained"),
        (Network.mlp([2, 2, 1]).training("momentum"), "by gradient steps"),
    ],
    ids=str,
)
def test_a_flow_is_refused_where_a_step_is_no_such_map(network, why):
    with pytest.raises(ArgumentError, match=why):
        flow(fcsym.derive(network))


def test_a_flip_says_in_a_sentence_what_it_is(order):
    flip = flips(fcsym.derive(ONE, order), 1)
    ends = [f"dead after for {flip.lower} <= eta", f" <= {flip.upper}, if" if order == "sequential" else " <= eta, if"]
    for said in (*ends, *map(str, flip.when), "unit 1, active before", "proved by z3"):
        assert said in str(flip)
    assert str(replace(flip, proved=False)).count("not proved") == 1


def test_a_flip_without_an_upper_end_has_none_in_its_document(order):
    flip = flips(fcsym.derive(ONE, order), 1)
    told = flip.as_dict()
    assert told["lower"] == str(flip.lower) and told["when"] == [str(one) for one in flip.when]
    assert told["upper"] == (str(flip.upper) if order == "sequential" else None)


def test_a_flow_has_as_many_coefficients_as_are_asked_for():
    d = fcsym.derive(ONE)
    for terms in (1, 2):
        series = flow(d, terms).series
        assert len(series) == terms and all(coefficient.is_real for coefficient in series)
    for terms in (0, 51, True, 1.0):
        with pytest.raises(ArgumentError, match="a whole number from 1 to 50"):
            flow(d, terms)


def test_the_powers_of_p_integrated_are_those_of_the_updated_weight(order):
    """Added up they are the value of the case at any numbers; a case without a value has none, and is said not to."""
    d = fcsym.derive(ONE, order)
    equation, after = d["P"], d.network.read_out.primed

    def leaf(array, position):
        return Fraction(random.Random(f"{array.name}{position}").randint(1, 30), 7)

    at, binding = Instance({}, d.network.sizes, leaf, exact_field()), dict.fromkeys(equation.lhs.indices, 0)
    for row in equation.rhs:
        if row.value is None:
            with pytest.raises(ArgumentError, match=r"no case .* with a value: choose one of active -> "):
                powers(d, row.name)
            continue
        found = powers(d, row.name)
        added = sum(at.value(value, binding) * leaf(after, (0, 0)) ** power for power, value in found.items())
        assert added == at.value(row.value, binding)
        assert not any(after in arrays_in(value) for value in found.values())


def test_derivatives_have_the_names_that_people_write():
    g = fcsym.gradient(ONE, "E", ["W1", "W2", "x"])
    for name in ("W1", "W2", "x"):
        for written in (f"dE/d{name}", f"dE_d{name}", f" dE/d{name} "):
            assert g[written].name == f"dE_d{name}" and g[written].array.axes
    deep = Network.mlp([1, 1, 1, 1])
    g = fcsym.gradient(deep, "E", ["W1"])
    for n in (1, 2):  # an error is a derivative, too
        assert g[f"dE/ds{n}"].array == adjoint_of(deep.pre_activation(n))


PARTS = ("init", "step", "output", "expand")
LISTS = {
    "a step": lambda: fcsym.derive(ONE),
    "no hidden layer": lambda: fcsym.derive(Network.mlp([1, 1])),
    "derivatives": lambda: fcsym.gradient(ONE, "E", ["W1"]),
    **{part: lambda part=part: fcsym.scheme(ONE, "states").parts[PARTS.index(part)] for part in ("step", "output")},
}


@pytest.mark.parametrize("name", LISTS)
def test_what_is_not_there_is_refused_by_its_name(name):
    d = LISTS[name]()
    for wanted in ("nonsense", "p'", "", "W9", 7):
        with pytest.raises(UnknownQuantity, match="has no") as refused:
            d[wanted]
        assert isinstance(refused.value, ArgumentError)
    if "p" not in d.by_name:
        with pytest.raises(UnknownQuantity, match="has no") as refused:
            d["p"]
        # a list that might have had it says why there is none; one of functions says what it has
        assert ("choose one of" in str(refused.value)) is bool(d.function)
    assert all(d[e.name] == e for e in d if e.defines)


def test_arguments_of_a_lambdified_step_are_counted_from_1():
    """As in the formulas: W1_1_2 is the weight of the first unit from the second input."""
    source = fcsym.derive(Network.mlp([2, 1])).compile("lambdify").source
    said = source.partition("(")[2].partition(")")[0].split(", ")
    assert said == ["W1_1_1", "W1_1_2", "x_1", "x_2", "yg_1", "eta"]


def test_a_lambdified_step_says_of_each_unit_whether_it_has_a_value():
    """Once for each, however many outputs and networks there are, as the kernel does."""
    d = fcsym.derive(Network.mlp([1, 2, 3], bias=[True, False]).shared("b1"))  # by which a dead unit can become active
    rng, kernels, found = np.random.default_rng(1), [d.compile(target) for target in ("lambdify", "numpy")], set()
    weights = [rng.normal(size=(2, 3, *d.network.shape(theta))) for theta in d.network.parameters]
    for eta in (0.001, 1.5):
        steps = [kernel.step(weights, [1.0], [9.0, -9.0, 2.0], eta, undefined="nan") for kernel in kernels]
        one, other = (tuple.__getitem__(step, step._fields.index("undefined")) for step in steps)
        assert one.dtype == bool and one.shape == other.shape == (2, 3, 2) and (one == other).all()
        found |= set(one.ravel().tolist())
    assert found == {True, False}


def test_a_step_of_as_many_operations_as_allowed_is_lambdified(monkeypatch):
    d = fcsym.derive(ONE)
    _, quantities = step_signature(d)
    known = frozenset(e.array for e in d if e.defines)
    count = sum(math.prod(d.network.shape(e.array)) * (1 + operations(d, e, known)) for e in quantities.values())
    monkeypatch.setattr(lambdified_, "MAX_OPERATIONS", count)
    assert d.compile("lambdify") is not None
    monkeypatch.setattr(lambdified_, "MAX_OPERATIONS", count - 1)
    with pytest.raises(SizeError, match="more than"):
        d.compile("lambdify")


def test_a_name_without_its_layer_is_found_in_the_last_layer_that_has_it():
    """Also where that is the layer below the last hidden one."""
    d = fcsym.derive(Network.mlp([1, 1, 1, 1], bias=[True, False, False]))
    assert d["b'"] == d["b1'"] == d.by_name["b1_new"]
    assert d["s'"] == d.by_name["s2_new"] and d["W'"] == d.by_name["W2_new"] and d["delta3"] == d["dE_dy"]


@pytest.mark.parametrize("setting", [{}, {"rule": "momentum"}, {"batch": "mean"}], ids=str)
@pytest.mark.parametrize("widths", [[1, 1], [1, 1, 1], [1, 1, 1, 1]], ids=str)
def test_that_there_is_no_closed_form_of_p_is_said_where_there_is_a_p_without_one(widths, setting):
    d = fcsym.derive(Network.mlp(widths), **setting)
    said = any("no closed form of `P`" in sentence for sentence in d.assumptions)
    assert said is ("p" in d.by_name and "P" not in d.by_name) is (len(widths) > 2 and bool(setting))


@pytest.mark.parametrize(
    "saved",  # what one cost has beyond the other: by hand, where it is below 0
    [
        "n - 1", "2*n - 1", "n - 4", "2*n - 7", "n", "n + 2", "0", "1 - n", "1 - 2*n", "4 - n", "7 - 2*n", "-n",
        "-2 - n", "(n - 2)*(n - 3)", "(n - 3)**2", "(n - 1)*(n - 2)*(n - 2)",
    ],
)  # fmt: skip
def test_a_cost_saves_exactly_where_it_is_said_to(saved):
    n = sympy.Symbol("n", positive=True, integer=True)
    more = sympy.sympify(saved, {"n": n})
    one, other = (SimpleNamespace(widths={n: 3}, state=state) for state in (more + 5 * n, 5 * n))
    up_to, at = _where_it_saves(one, other, "state", n).removesuffix(" on").split(" n = ")
    for size in range(1, 12):
        said = size <= int(at) if up_to == "up to" else size >= int(at)
        assert said is bool(more.subs(n, size) < 0), size


# ------------------------------------------------------------------------------------ one element, and one case of it


def test_what_has_no_cases_has_one_row_with_the_closed_form_of_that_element():
    d = fcsym.derive(Network.mlp([1, 2, 1], "identity"))
    for unit in (1, 2):
        (row,) = d.cases("dv1", unit)
        assert row.value == d.expr("dv1", unit) and row.name == "always" and not row.when
    assert d.cases("dv1", 1)[0].value != d.cases("dv1", 2)[0].value


def test_the_weight_that_is_compensated_has_the_cases_of_its_compensation():
    """r = w' + p, case by case, and no number where p is none."""
    d = fcsym.derive(ONE)
    for row in d.by_name["p"].rhs:
        p, r = (d.expr(name, 1, case=row.name) for name in ("p", "r"))
        if row.value is None:
            assert p is sympy.nan and r is sympy.nan
        else:
            assert not r.has(sympy.nan) and sympy.expand(r - p - d.expr("W2_new", 1, case=row.name)) == 0


def test_the_rows_of_the_weight_that_is_compensated_are_those_of_its_compensation():
    """Each with w' + p in numbers, where p is a number."""
    d = fcsym.derive(ONE)
    for row, p in zip(d.cases("r", 1), d.cases("p", 1), strict=True):
        assert (row.name, row.when, row.value is None) == (p.name, p.when, p.value is None)
        for case, (w1, w2, target, eta) in STEPS.items():
            if case == row.name and row.value is not None:
                known = {"W1_1_1": w1, "W2_1_1": w2, "x_1": X, "y_g": target, "eta": eta}
                after = stepped(w1, w2, target, eta, "simultaneous").w[1][0][0]
                assert put_in(row.value, known) == put_in(p.value, known) + after


@pytest.mark.parametrize("name", ["y", "E", "x", "W2_new", "delta2"])
def test_what_is_of_no_unit_has_no_cases(name):
    d = fcsym.derive(ONE)
    if name == "W2_new":  # what a unit gives is in its step
        assert d.expr(name, 1, case="dead -> dead") == sympy.Symbol("W2_1_1", real=True)
        return
    if name in d.by_name:
        with pytest.raises(ArgumentError, match="has no cases: leave the case out"):
            d.expr(name, 1, case="active -> active")


def test_a_unit_that_is_one_number_is_on_the_pieces_of_its_case():
    """Of the same form as the only unit of a layer, in all that it changes."""
    i, h, j, k = indices("i h j k")
    x, W = input_("x", i), parameter("W", k, j)
    t, z, y = hidden("t", j), hidden("z", j), hidden("y", k)
    above = [(z[j], apply("relu", t[j])), (y[k], total(j, W[k, j] * z[j]))]
    found = []
    for own in ((), (h,)):
        u, q, s, v = parameter("u", *own, i), parameter("Q", j, *own), hidden("s", *own), hidden("v", *own)
        below = [(s[own], total(i, u[(*own, i)] * x[i])), (v[own], apply("relu", s[own]))]
        body = q[(j, *own)] * v[own]
        below.append((t[j], total(h, body) if own else body))
        network = Network.from_equations([*below, *above], {a: 1 for a in ("i", "j", "k", *(["h"] if own else []))})
        d = fcsym.derive(network)
        found.append([d.expr(name, case=case) for case in STEPS for name in ("ds", "dv", "v_new")])
    alone, one = ([str(e).replace("u_1_1", "u_1").replace("Q_1_1", "Q_1") for e in forms] for forms in found)
    assert alone == one
    assert all(", u_1*x_1 > 0" not in form for form in alone)


@pytest.mark.parametrize("case", STEPS)
def test_what_is_one_number_for_all_units_is_the_same_in_every_case(case):
    d = fcsym.derive(Network.mlp([2, 2, 1]))
    assert d.expr("a1", case=case) == d.expr("a1")


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_the_paper_leaves_standing_what_every_layer_below_the_last_hidden_one_changes_by(depth):
    kept = paper_symbols(fcsym.derive(Network.mlp([1] * (depth + 1))))
    assert {name for name in kept if name.startswith("dv")} == {f"dv{n}" for n in range(1, depth - 1)}
    assert {name for name in kept if name.startswith("delta")} == {f"delta{n}" for n in range(2, depth + 1)}
    assert {name for name in kept if name.startswith("W")} == {f"W{n}_new" for n in range(2, depth + 1)}
    passed = {f"{letter}{n}" for letter in "sv" for n in range(1, depth)} | {f"s{n}_new" for n in range(1, depth)}
    assert {name for name in kept if name[0] in "sv"} == passed | {"vc"}
    assert len(set(kept)) == len(kept)


@pytest.mark.parametrize("widths", [[1, 1, 1], [2, 2, 2]])
def test_what_has_no_cases_has_those_of_what_it_is_made_of_where_that_has_as_many_elements(widths):
    """v' = v + dv has those of dv, and r = w' + p those of p; y' = y + dy and dy, a sum over the units, have none."""
    d = fcsym.derive(Network.mlp(widths))
    found = {e.name: _told_by(d, e) for e in d.equations if e.defines}
    assert {name: told.name for name, told in found.items() if told is not None} == {
        "dv1": "dv1", "v1_new": "dv1", "p": "p", "r": "p", "P": "P",
    }  # fmt: skip


def test_a_cost_is_written_in_one_line():
    n = sympy.Symbol("n")
    assert str(Cost("one", {n: 4}, n + STORED, {"step": 2 * n})) == f"one: state {n + STORED}, operations per step 2*n"


def test_a_sum_over_an_axis_has_an_operation_less_than_terms_beside_those_of_each():
    """Also a greatest value; an inner product of three has three products and two sums."""
    j, sizes = Index(Axis("n"), "j"), {Axis("n"): 3}
    a, b = (Array(name, None, (j.axis,)) for name in "ab")
    d = SimpleNamespace(network=SimpleNamespace(sizes=sizes))
    for node, wanted in ((a[j], 2), (mul(a[j], b[j]), 5), (mul(a[j], b[j]) + a[j], 8), (power(a[j], 2), 5)):
        assert written_operations(d, Total((j,), node), {}) == wanted == sympy.count_ops(summed(node, j))
        assert written_operations(d, Extreme("max", (j,), node), {}) == wanted
    assert written_operations(d, Total((j,), mul(a[j], b[j])), {a: 4}) == 5 + 3 * 4


def summed(node, j):
    """The sum of three, written out in symbols that are different ones."""
    names = {name: sympy.symbols(f"{name}1:4") for name in "ab"}

    def at(part, n):
        match part:
            case Ref(array, _):
                return names[array.name][n]
            case Pow(base, exponent):
                return at(base, n) ** exponent
            case Mul(factors):
                return sympy.Mul(*(at(f, n) for f in factors))
        return sympy.Add(*(at(term, n) for term in part.terms))

    return sympy.Add(*(at(node, n) for n in range(3)))


def test_of_a_network_of_layers_all_is_left_standing_but_what_the_last_hidden_one_changes_by():
    """And p and r, which are asked for; what is no value has no symbol."""
    layers = [fcsym.Conv1d(1, 1, 2), "relu", fcsym.Flatten(), fcsym.Linear(1, 1)]
    d = fcsym.derive(Network(layers, input=(1, 2)))
    kept, values = set(paper_symbols(d)), {e.name for e in d if e.defines}
    last = d.network.hidden[-1]
    assert values - kept == {"p", "r", increment_of(last.s).name, increment_of(last.v).name} & values
    assert kept <= values and {last.s.name, last.v.name} <= kept and len(values) < len({e.name for e in d})


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_unit_of_a_matrix_is_its_row_or_its_column_where_one_of_them_is_meant(rows, columns):
    """In a matrix of one row it is the column, in that of the read-out, too; the first one is the first in both."""
    d = fcsym.derive(Network.mlp([columns, rows, 1]))
    assert d.expr("W1_new", 1) == d.expr("W1_new", row=1, column=1)
    if rows > 1:
        for unit in (2, rows + 5):
            with pytest.raises(ArgumentError, match="may be its row or its column"):
                d.expr("W1_new", unit)
        assert d.expr("W2_new", 2) == d.expr("W2_new", row=1, column=2)
    elif columns > 1:
        assert d.expr("W1_new", 2) == d.expr("W1_new", row=1, column=2)


def test_a_unit_of_a_matrix_is_asked_for_by_both_numbers_where_it_has_rows_and_columns():
    d = fcsym.derive(Network.mlp([2, 2, 1]))
    assert d.expr("W1_new", 1) == d.expr("W1_new") == d.expr("W1_new", row=1, column=1)
    with pytest.raises(ArgumentError, match="may be its row or its column"):
        d.expr("W1_new", 2)
    assert d.expr("W2_new", 2) == d.expr("W2_new", output=1, unit=2) == d.expr("W2_new", row=1, column=2)


def test_of_a_unit_with_positions_the_first_element_is_meant_where_none_is_said():
    layers = [fcsym.Conv2d(1, 2, (1, 2)), fcsym.Flatten(), fcsym.Linear(4, 1)]
    d = fcsym.derive(Network(layers, input=(1, 1, 3)))
    assert d.expr("s1") == d.expr("s1", unit=(1, 1, 1)) == d.expr("s1", at=(1, 1, 1))
    assert d.expr("s1") != d.expr("s1", unit=(2, 1, 1)) and d.expr("s1") != d.expr("s1", unit=(1, 1, 2))


def test_a_unit_with_positions_is_asked_for_by_all_of_its_numbers_and_the_output_by_its_own():
    d = fcsym.derive(Network([fcsym.Conv1d(1, 2, 2), "relu", fcsym.Flatten(), fcsym.Linear(4, 2)], input=(1, 3)))
    for unit, output, wanted in (
        (None, None, (0, 0, 0)), ((1, 2), None, (0, 0, 1)), ((2, 1), 2, (1, 1, 0)), (None, 2, (1, 0, 0)),
    ):  # fmt: skip
        assert closed_form._position(d, d["p"], unit, output, None, None, None) == wanted
    for unit, output, said in (
        ((3, 1), 1, "no unit"),
        ((1, 1), 3, "no output"),
        ((1, 1), 0, "no output"),
        (1, 1, "no unit"),
    ):
        with pytest.raises(ArgumentError, match=said):
            closed_form._position(d, d["p"], unit, output, None, None, None)


def test_an_output_may_be_asked_for_as_a_place_of_one_number():
    d = fcsym.derive(Network.mlp([1, 1, 3]))
    for n in (1, 2, 3):
        assert closed_form._position(d, d["y"], (n,), None, None, None, None) == (n - 1,)


def test_an_element_that_is_not_there_is_refused_with_how_many_numbers_it_takes():
    d = fcsym.derive(Network.mlp([2, 3, 1]))
    for name, at, said in (
        ("s1", (4,), "1 number from 1 to 3"), ("W1_new", (1,), "2 numbers from 1 to 3, 2"),
        ("E", (1,), "0 numbers from 1 to none"), ("s1", (1, 1), "1 number from 1 to 3"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=rf"has no element .*: give {said}\."):
            d.expr(name, at=at)


def test_what_is_asked_for_by_names_that_it_has_not_is_told_by_which():
    """Of what has positions: by its row or its column, or by an output that counts nothing of it."""
    layers = [fcsym.Conv2d(1, 2, (1, 2)), fcsym.Flatten(), fcsym.Linear(4, 1)]
    d = fcsym.derive(Network(layers, input=(1, 1, 3)))
    for asked in (("row",), ("column",), ("row", "column"), ("output",)):
        with pytest.raises(ArgumentError, match=f"is asked for by {' and '.join(asked)}: give the element"):
            d.expr("s1", **dict.fromkeys(asked, 1))


def test_an_element_of_the_unit_matrix_is_1_where_its_indices_are_the_same():
    at, axis = closed_form.instance(fcsym.derive(ONE)), Axis("n")
    i, j = (Index(axis, letter) for letter in "ij")
    unit = Array("one", None, (axis, axis), role=Role.UNIT)
    assert [at.value(unit[i, j], {i: a, j: b}) for a in range(2) for b in range(2)] == [1, 0, 0, 1]


def test_a_function_that_is_none_is_left_out():
    """The identity, in equations of one's own and in a recurrence: v is s there, and its change is that of s."""
    i, j, k = indices("i j k")
    x, U, W = input_("x", j), parameter("U", i, j), parameter("W", k, i)
    s, v, y = hidden("s", i), hidden("v", i), hidden("y", k)
    own = [(s[i], total(j, U[i, j] * x[j])), (v[i], apply("identity", s[i])), (y[k], total(i, W[k, i] * v[i]))]
    recurrent = Network([fcsym.RNN(1, 1, nonlinearity="identity"), fcsym.Linear(1, 1)], (2, 1))
    for network in (Network.from_equations(own, {"i": 1, "j": 1, "k": 1}), recurrent):
        assert fcsym.derive(network).proof.holds


# -------------------------------------------------------------------------------------------------------------- costs

THREE = fcsym.piecewise_linear("three", [fcsym.Piece(0, 2), fcsym.Piece(1, 3), fcsym.Piece(None, 1, 2)])


@pytest.mark.parametrize("inputs", [1, 9])
@pytest.mark.parametrize("phi", ["relu", THREE], ids=["two", "three"])
def test_what_is_within_a_piece_is_counted_as_often_as_it_is_written(phi, inputs):
    """The sum that a unit sees stands in each of its pieces and at each kink between them."""
    d = fcsym.derive(Network.mlp([inputs, 1, 1], phi))
    written = sympy.count_ops(d.expr("v1"))
    assert written >= 2 * sympy.count_ops(d.expr("s1"))
    assert written / 2 <= operations(d, d["v1"]) <= 1.4 * written


def test_a_number_is_no_operation():
    d = fcsym.derive(ONE)
    eta = Ref(Array("eta", None, ()), ())
    for node, wanted in ((3 * eta, 1), (eta + 3, 1), (eta**2 + 3 * eta + 5, 4), (eta, 0)):
        assert written_operations(d, node, {}) == wanted


@pytest.mark.parametrize(
    ("pieces", "operations"),
    [
        ([(None, 1, 0)], 0),
        ([(None, 2, 0)], 1),
        ([(None, 1, 3)], 1),
        ([(None, 2, 3)], 2),
        ([(0, 0, 3), (None, 0, 3)], 0),
        ([(0, 0, 0), (1, Fraction(1, 2), 1), (None, 1, Fraction(1, 2))], 3),
    ],
)
def test_a_piece_costs_a_product_and_a_sum_where_it_needs_them(pieces, operations):
    assert (
        _activation(SimpleNamespace(is_smooth=False, pieces=[fcsym.Piece(*piece) for piece in pieces]), 0) == operations
    )


def test_a_sum_that_picks_every_other_position_is_one_of_numbers():
    """sum_u [t = 2u], one number for every t: one addition less than there are u, whatever an indicator is."""
    t, u = Index(Axis("T"), "t"), Index(Axis("U"), "u")
    at = Indicator(t, 2 * u)
    assert _count(at) == (0, (t, u))
    count, left = _count(Total((u,), at))
    assert left == (t,) and sympy.expand(count - length(t.axis) * (length(u.axis) - 1)) == 0


def test_a_slope_is_a_gate_where_it_is_1_on_one_piece_and_0_everywhere_else():
    """Also at the kink, unless it is there what it is on the piece below."""
    for slope, wanted in (("0", True), ("1/2", False), ("1", False)):
        phi = fcsym.derive(ONE, slope_at_kink=slope).network.layers[0].activation
        assert _is_gate(Apply(phi, Ref(Array("s", 1, ()), ()), 1)) is wanted, slope
    for name in ("leaky_relu", "identity", "tanh"):
        phi = Network.mlp([1, 1, 1], name).layers[0].activation
        assert not _is_gate(Apply(phi, Ref(Array("s", 1, ()), ()), 1))


@pytest.mark.parametrize("inner", [0, 2])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_inverse_has_about_as_many_operations_as_are_written(size, inner):
    """A determinant of elements, which are symbols or m q + 1."""
    axis, q = Axis("n"), sympy.Symbol("q")
    m = sympy.Matrix(size, size, lambda i, j: sympy.Symbol(f"m{i}{j}")).tolist()
    rows = [[(entry * q + 1 if inner else entry) for entry in row] for row in m]
    written = max(sympy.count_ops(entry) for row in closed_form._inverse(rows) for entry in row)
    matrix = Array("M", None, (axis, axis))
    d, node = SimpleNamespace(network=SimpleNamespace(sizes={axis: size})), matrix[Index(axis, "i"), Index(axis, "j")]
    assert written / 2 <= written_operations(d, Inverse(node), {matrix: 2} if inner else {}) <= 2 * written


def test_a_case_without_a_value_costs_nothing():
    """As one that is 0 does, and one that is a product costs that."""
    d = fcsym.derive(ONE)
    p = d["p"]
    s, gone = p.rhs.branches[0].when[0].subject, next(branch for branch in p.rhs if branch.value is None)

    def counted(value):
        branches = tuple(replace(b, value=value) if b is gone else b for b in p.rhs)
        return operations(d, replace(p, rhs=Cases(branches)), frozenset({s.array}))

    names = ("s1", "s1_new", "dv1", "vc", "W2_new", "g1", "delta1", "ds1", "v1_new")
    written = sympy.count_ops(d.expr("p", 1, keep=names))
    assert written <= operations(d, p, frozenset(d.by_name[name].array for name in names)) <= 2 * written
    assert counted(None) == counted(ZERO) == operations(d, p, frozenset({s.array})) == counted(s * s) - 1


N_AXIS, M_AXIS = Axis("n"), Axis("m")
HERE, THERE, ABOVE = Index(N_AXIS, "j"), Index(N_AXIS, "i"), Index(M_AXIS, "k")
ONES, OTHERS, ROW = (Array(name, None, (axis,)) for name, axis in (("p", N_AXIS), ("q", N_AXIS), ("r", M_AXIS)))
MATRIX = Array("W", None, (M_AXIS, N_AXIS))
COUNTED = {
    "an array": (ONES[HERE], "0"),
    "a sign": (-ONES[HERE], "0"),
    "a number and a sign": (-2 * ONES[HERE], "n"),
    "a product": (ONES[HERE] * OTHERS[HERE], "n"),
    "of all with all": (ONES[HERE] * ROW[ABOVE], "n*m"),
    "from left to right": (mul(ONES[HERE], OTHERS[HERE], ROW[ABOVE]), "n + n*m"),
    "a sum": (ONES[HERE] + OTHERS[HERE], "n"),
    "a difference": (ONES[HERE] - OTHERS[HERE], "n"),
    "a quotient": (ONES[HERE] * power(OTHERS[HERE], -1), "n"),
    "one by a number of each": (power(ONES[HERE], -1), "n"),
    "one by a sum": (power(ONES[HERE] + OTHERS[HERE], -1), "2*n"),
    "a square": (power(ONES[HERE], 2), "n"),
    "a cube": (power(ONES[HERE], 3), "2*n"),
    "the square of a sum": (power(ONES[HERE] + OTHERS[HERE], 2), "2*n"),
    "an inner product": (total([HERE], ONES[HERE] * OTHERS[HERE]), "2*n - 1"),
    "a matrix by a column": (total([HERE], MATRIX[ABOVE, HERE] * ONES[HERE]), "n*m + (n - 1)*m"),
    "with a bias": (total([HERE], MATRIX[ABOVE, HERE] * ONES[HERE]) + ROW[ABOVE], "n*m + (n - 1)*m + m"),
    "a number that is one for all": (total([HERE], ONES[HERE]) * ROW[ABOVE], "n - 1 + m"),
    "a function": (Apply(Network.mlp([1, 1, 1], "tanh").layers[0].activation, ONES[HERE]), "n"),
    "a piece": (Apply(Network.mlp([1, 1, 1]).layers[0].activation, ONES[HERE]), "0"),
    "a slope": (Apply(Network.mlp([1, 1, 1], "leaky_relu").layers[0].activation, ONES[HERE]), "n"),
    "which piece": (Apply(Network.mlp([1, 1, 1], "leaky_relu").layers[0].activation, ONES[HERE], 1), "0"),
    "what is picked out, by all": (total([THERE], mul(Indicator(THERE, 2 * ABOVE), ONES[THERE], OTHERS[HERE])), "n*m"),
    "a greatest value": (Extreme("max", (HERE,), ONES[HERE]), "0"),
}
"""What is computed, and how many operations that takes, by hand."""


@pytest.mark.parametrize("name", COUNTED)
def test_operations_are_those_that_are_done(name):
    node, wanted = COUNTED[name]
    known = {"n": length(N_AXIS), "m": length(M_AXIS)}
    count, indices = _count(node)
    assert sympy.expand(count - sympy.sympify(wanted, known)) == 0
    assert set(indices) == {index for index in (HERE, ABOVE) if index in free_in(node)}


def test_what_is_no_scheme_has_no_cost():
    for given in (3, None, ONE):
        with pytest.raises(ArgumentError, match="give a scheme"):
            cost(given)


def test_a_cost_at_numbers_is_its_polynomial_there():
    n, m = sympy.symbols("n m")
    made = Cost("one", {n: 3, m: 5}, n, {"step": n})
    for value in (n, n * m, 2 * n**2 * m + n * m - 4, sympy.Integer(7), STORED * n + STORED**2, -m):
        assert made.at(value, 11) == value.subs({n: 3, m: 5, STORED: 11}), value
    with pytest.raises(ArgumentError, match="depends on k"):
        made.at(n * sympy.Symbol("k"))


def test_a_gate_in_a_product_selects_and_is_no_operation():
    gate = Array("g", None, (N_AXIS,))
    for node, wanted in ((gate[HERE] * ONES[HERE], 0), (mul(gate[HERE], ONES[HERE], OTHERS[HERE]), length(N_AXIS))):
        assert _count(node, frozenset({gate})) == (wanted, (HERE,))
        assert _count(node)[0] == wanted + length(N_AXIS)


def test_what_a_scheme_saves_and_loses_is_said_in_numbers():
    """At these widths, and up to or from which number of inputs on."""
    n = sympy.Symbol("n")
    reference = Cost("other", {n: 4}, 3 * n, {"step": 2 * n**2})
    one = Cost("one", {n: 4}, n + STORED, {"step": 2 * n**2 + STORED})
    for inputs, state in (
        (1, "saves 7 of 12 numbers"),
        (7, "saves 1 of 12 numbers"),
        (9, "loses 1 of 12 numbers"),
        (8, "has the same 12 numbers"),
        (10, "loses 2 of 12 numbers"),
    ):
        said = compare(one, reference, inputs)
        assert said.startswith(f"{state} and loses {inputs} of 32 operations; it saves state up to ")
        assert "state up to m = 7 and operations up to m = 0 distinct inputs" in said
    assert compare(reference, reference) == "has the same 12 numbers and has the same 32 operations"


def test_a_quotient_of_cases_is_computed_once_for_every_element_and_each_case_too():
    """One division where several cases have it, and what each does with it; no value and a number cost nothing."""
    e = fcsym.derive(ONE)["dv1"]
    (i,) = e.lhs.indices
    top, below = (Array(name, None, (i.axis,))[i] for name in "pq")
    quotient, n, alone = mul(top, power(below, -1)), length(i.axis), Array("z", None, ())[()]
    for values, wanted in (
        ((None, ZERO, quotient, quotient), n), ((None, ZERO, quotient, 3 * quotient + top), 3 * n),
        ((ZERO, ZERO, quotient, mul(below, power(top, -1))), 2 * n), ((None, None, top + below, top), n),
        ((None, ZERO, mul(top, power(alone, -1)), mul(top, below, power(alone, -1))), 2 * n),
    ):  # fmt: skip
        branches = tuple(replace(b, value=value) for b, value in zip(e.rhs, values, strict=True))
        assert sympy.expand(_equation(replace(e, rhs=Cases(branches)), frozenset()) - wanted) == 0
    s = fcsym.derive(ONE)["s1"]  # and what has no cases, as it is
    inputs, units = (length(axis) for axis in fcsym.derive(ONE).network.parameters[0].axes[::-1])
    assert sympy.expand(_equation(s, frozenset()) - (2 * inputs - 1) * units) == 0


def test_a_cost_that_grows_with_the_inputs_stores_them():
    n = sympy.Symbol("n")
    for state, step, stored in ((n, n, False), (STORED, n, True), (n, n * STORED, True), (STORED, STORED, True)):
        assert Cost("one", {n: 1}, state, {"step": step}).stores_inputs is stored


def test_what_is_shared_is_taken_out_of_a_piece_where_it_is_a_number_everywhere():
    """What may divide by 0 is computed in its own piece alone."""
    x, y, z = sympy.symbols("x y z", real=True)
    for inner, taken in (((x + y) ** 2, True), (1 / (x + y), False), (1 / (1 + sympy.exp(x)), True)):
        replaced, _ = cse(sympy.Piecewise((inner + sympy.sin(inner), z > 0), (0, True)))
        assert any(value == inner for _, value in replaced) is taken, inner


def test_what_the_first_condition_asks_for_is_computed_whatever_holds():
    """And may be taken out of it, even where it may divide by 0; what a later one asks for may not."""
    x, y, z = sympy.symbols("x y z", real=True)
    inner = 1 / (x + y)
    asked = inner + sympy.sin(inner) > 0
    for form, taken in ((sympy.Piecewise((x, asked), (y, z > 0), (z, True)), True),
                        (sympy.Piecewise((y, z > 0), (x, asked), (z, True)), False)):  # fmt: skip
        replaced, _ = cse(form)
        assert any(value == inner for _, value in replaced) is taken


@pytest.mark.parametrize("quadratic", [False, True])
def test_a_flip_is_proved_for_every_error_and_step_above_0(quadratic, monkeypatch):
    """What is given to z3 leaves out no place with a pre-activation, a step and a norm above 0, nor a double root."""
    asked = []
    real = smt.check
    monkeypatch.setattr(smt, "check", lambda solver: asked.append(solver.assertions()) or real(solver))
    assert _proved(quadratic) and len(asked) == 2
    symbols = [z3.Real(name) for name in ("s", "b", "c", "eta")]
    for at in product(("1/8", "2", "3"), ("-1", "0", "2"), ("1/100", "1/2"), ("1/16", "5")):
        places = [(symbol, z3.RealVal(value)) for symbol, value in zip(symbols, at, strict=True)]
        solver = z3.Solver()
        solver.add([z3.substitute(one, *places) for one in list(asked[0])[:-1]])
        assert solver.check() == z3.sat, at


def test_a_flip_that_is_none_is_not_proved():
    told = flips(fcsym.derive(Network.mlp([1, 1])), 1).as_dict()
    assert told["proved"] is False and told["lower"] is None and told["reason"]
    told = flips(fcsym.derive(ONE), 1).as_dict()
    assert told["proved"] is True and told["lower"] is not None


@pytest.mark.parametrize("quadratic", [False, True])
def test_what_is_proved_of_a_flip_is_that_inside_it_s_is_dead_and_outside_it_is_not(quadratic, monkeypatch):
    """Both claims that are refuted, at numbers: where a parabola has its roots, or a line its own."""
    asked = []
    monkeypatch.setattr(smt, "check", lambda solver: asked.append(list(solver.assertions())[-1]) or z3.unsat)
    assert _proved(quadratic) and len(asked) == 2
    within, beyond = asked
    for c, low, high, eta in product(
        (Fraction(1, 2), 1), (Fraction(1, 4), 2), (2, 3), (Fraction(1, 8), Fraction(1, 4), 2, 3, 4)
    ):
        if quadratic:
            known = {"s": c * low * high, "b": c * (low + high), "c": c, "root": c * (high - low), "eta": eta}
            after, inside = c * (eta - low) * (eta - high), low <= eta <= high
        else:
            known = {"s": c * low, "b": c, "eta": eta}
            after, inside = c * (low - eta), low <= eta
        places = [(z3.Real(name), z3.RealVal(str(value))) for name, value in known.items()]

        def holds(part, places=places):
            return z3.is_true(z3.simplify(z3.substitute(part, *places)))

        assert [holds(part) for part in within.children()] == [inside, after > 0]
        assert [holds(part) for part in beyond.children()] == [not inside, after <= 0]


@pytest.mark.parametrize(
    "answers", [(z3.sat, z3.unsat), (z3.unsat, z3.sat), (z3.unknown, z3.unsat), (z3.unsat, z3.unknown)]
)
def test_a_flip_is_not_proved_where_either_claim_is_not(answers, monkeypatch):
    said = iter(answers)
    monkeypatch.setattr(smt, "check", lambda solver: next(said))
    assert _proved(True) is False


def test_a_table_has_no_value_where_there_is_none():
    """Row by row, in the names and conditions of the equation, with what the proof says of each."""
    d = fcsym.derive(ONE)
    told = SimpleNamespace(verdict="a verdict", note="a note", possible="perhaps")
    known = SimpleNamespace(
        network=d.network, by_name=d.by_name, equations=d.equations, resolve=d.resolve, order=d.order,
        proof=SimpleNamespace(case=lambda *_: told, verdict=lambda _: told),
    )  # fmt: skip
    for name in ("p", "dv1", "r"):
        rows, own = closed_form.cases(known, name, 1), d.by_name["p" if name == "r" else name].rhs.branches
        assert [row.name for row in rows] == [branch.name for branch in own]
        assert [row.value is None for row in rows] == [branch.value is None for branch in own]
        assert all((row.verdict, row.note, row.possible) == ("a verdict", "a note", "perhaps") for row in rows)
        assert [len(row.when) for row in rows] == [len(branch.when) for branch in own]
    (row,) = closed_form.cases(known, "s1", 1)
    assert row.name == "always" and row.value == d.expr("s1", 1) and row.verdict == "a verdict"


def test_what_is_one_number_needs_no_place():
    """And a unit or an output that is given with it decides nothing; a row has it not."""
    d = fcsym.derive(ONE)
    assert d.expr("E") == d.expr("E", 1) == d.expr("E", 1, output=1) == d.expr("E", output=1)
    for other in ({"row": 1}, {"column": 1}, {"row": 1, "column": 1}):
        with pytest.raises(ArgumentError, match="is one number and needs none"):
            d.expr("E", **other)
