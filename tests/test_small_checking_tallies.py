"""What a check of one step allows for, and which points of it count, each beside its definition.

Each takes a fraction of a second, so that a fault in a check, which would let others pass, is seen by a test that is
quick.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking import gradients
from fcsym.checking import points as points_
from fcsym.checking import tally as tallies
from fcsym.checking.points import random_points
from fcsym.checking.report import ULPS
from fcsym.checking.tally import Tally
from fcsym.checking.trajectory import _Comparison
from fcsym.language.equation import Cases, Rule
from fcsym.language.expression import Array

DOUBLE, LEAST = np.dtype(float), 2.0**-1074
FINE = ULPS * float(np.finfo(np.longdouble).eps)
DEEP = Network.mlp([1, 2, 2, 1], HAT)


def compared(network, count=3):
    """A tally of a network, and both sides of a step of some."""
    d = fcsym.derive(network)
    tally, points = Tally(d, DOUBLE), random_points(network, np.random.default_rng(1), count)
    _, result, truth, scale, _ = tally.both(d.compile(), "simultaneous", points)
    return tally, dict(result), {name: np.asarray(value) for name, value in truth.items()}, scale


def sizes(result):
    """Another number for each quantity, so that a sum of some tells which they are."""
    names = [name for name, value in result.items() if isinstance(value, np.ndarray) and value.dtype == DOUBLE]
    own = {name: np.full(result[name].shape, 1 + 2.0**n) for n, name in enumerate(sorted(names))}
    return SimpleNamespace(of=own.__getitem__), own


@pytest.mark.parametrize("kink", [False, True])
def test_what_is_allowed_for_is_rounding_and_what_the_oracle_resolves(kink):
    """16 roundings of its own terms; of a difference, and of p and r, what two passes are rounded to; on a kink of s',
    where either piece may have been taken, what rounding moves s' by.
    """
    tally, result, *_ = compared(DEEP)
    bar, (scale, own) = ULPS * 2.0**-52, sizes(result)
    for layer in (1, 2):
        result[f"s{layer}_new"] = np.full((3, 2), 2.0 if kink else 0.75)
    result["vc"] = np.array([[0.5, -2.0], [0.0, 4.0], [0.25, 0.0]])
    spread = {f"v{layer}": bar * own[f"s{layer}_new"] if kink else 0 for layer in (1, 2)}
    passes = FINE * (own["v2"] + own["v2_new"]) + spread["v2"]
    with np.errstate(divide="ignore"):
        share = np.where(result["vc"] == 0, 0, passes / abs(result["vc"]))[:, None]
    for name in tally.names:
        if name not in own:
            continue
        wanted, value = bar * own[name], name.removeprefix("d").removesuffix("_new")
        if name.startswith("d") and f"{value}_new" in own:
            wanted = wanted + FINE * (own[value] + own[f"{value}_new"])
        if name.startswith("d") or name.endswith("_new"):
            wanted = wanted + spread.get(value, 0)
        if name in ("p", "r"):
            wanted = wanted + own["W3_new"] * share
        np.testing.assert_allclose(tally._bound(name, result, scale).astype(float), wanted, rtol=1e-14, err_msg=name)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_what_underflows_may_be_off_by_some_of_the_least_numbers(precision):
    """Of the precision of the kernel: as many as the square of how many roundings are allowed for."""
    tally, result, *_ = compared(Network.mlp([1, 1, 1]))
    tally.dtype = np.dtype(precision)
    nothing = SimpleNamespace(of=lambda name: np.zeros((3, 1), np.longdouble))
    least = float(np.finfo(precision).smallest_subnormal)
    for name in ("s1", "y", "delta1"):
        assert (tally._bound(name, result, nothing) == ULPS**2 * least).all()


def test_a_point_counts_where_all_of_it_are_numbers():
    """But for p and what is made of it, which are none where there is no p, and may not be infinite, either."""
    tally, result, truth, scale = compared(DEEP)
    assert tally._clear(result, truth, scale).all()
    for name in ("s1", "delta2", "W1_new", "E", "p", "r"):
        for value in (np.nan, np.inf, -np.inf):
            changed = np.array(result[name])
            changed[1].flat[-1:] = value
            if changed.ndim == 1:
                changed[1] = value
            counts = name in ("p", "r") and np.isnan(value)
            found = tally._clear(result | {name: changed}, truth, scale)
            assert found.tolist() == [True, counts, True], (name, value)


def test_a_point_counts_where_how_far_rounding_moves_it_is_known():
    tally, result, truth, scale = compared(DEEP)
    for name in ("s1", "y", "W2_new"):
        lost = np.array(scale.of(name)) * np.ones_like(result[name])
        lost[2].flat[-1:] = np.nan
        other = SimpleNamespace(of=lambda one, name=name, lost=lost: lost if one == name else scale.of(one))
        assert tally._clear(result, truth, other).tolist() == [True, True, False], name


def test_whether_v_is_0_is_that_of_the_last_hidden_layer_where_the_oracle_has_no_v_of_its_own():
    tally, result, truth, _ = compared(DEEP)
    del truth["vc"]
    result["vc"] = truth["v2"] = np.where(truth["v2"] == 0, 0.25, truth["v2"]).astype(float)
    truth["v1"] = np.where(truth["v1"] == 0, 0.25, truth["v1"])
    wide = SimpleNamespace(of=lambda name: np.full((3, 2), 1e16 if name == "vc" else 1e-9))
    off = result["vc"].copy()
    off[1, 1] = 0
    for own, counts in ((result["vc"], True), (off, False)):
        assert tally._clear(result | {"vc": own}, truth, wide).tolist() == [True, counts, True]
    assert tally._clear(result, truth | {"v1": 0 * truth["v1"]}, wide).all()


@pytest.mark.parametrize("kind", ["a step", "derivatives"])
def test_a_kink_of_a_loss_may_be_on_one_side_of_0_alone(kind, monkeypatch):
    """A point is left out near it, and not as far on the other side of 0."""
    network, bar, wide = Network.mlp([1, 1], loss="l1"), ULPS * 2.0**-52, 2.0**-10
    term, y = Array("t", None, (network.output.axes[-1],)), network.output.name
    scale = SimpleNamespace(of=lambda name: np.full((1, 1), wide / bar))
    module, cls = (tallies, Tally) if kind == "a step" else (gradients, gradients._Tally)
    monkeypatch.setattr(module, "in_the_loss", lambda network: [(HAT, term, None)])
    made = object.__new__(cls)
    vars(made).update(network=network, dtype=DOUBLE, bar=bar, after_p=(), _inner_gates=[])
    for at, counts in (
        (2.0, True),
        (2 + wide / 2, False),
        (2 + wide, False),
        (2 + 1.1 * wide, True),
        (-2 - wide / 2, True),
        (-2.0, True),
        (1.0, True),
    ):
        values = {y: np.ones((1, 1)), "t": np.full((1, 1), at)}
        found = made._clear(values, {y: np.ones((1, 1))}, scale)
        assert bool((found if kind == "a step" else found[0])[0]) is counts, at


@pytest.mark.parametrize("widths", [[1, 2, 1], [2, 3, 2]])
def test_a_row_of_a_report_has_the_numbers_for_which_its_conditions_hold(widths):
    """Element by element; where a unit is on a kink before or after the step, or near 0 and not there."""
    d = fcsym.derive(Network.mlp(widths, HAT))
    rng, tally = np.random.default_rng(2), Tally(d, DOUBLE)
    result = dict(random_points(d.network, rng, 40).step(d.compile()))
    for name, numbers in {"s1": [-1, 0, 1, 2, 3], "s1_new": [-1, 0, 1, 2, 3], "vc": [0, 1]}.items():
        result[name] = rng.choice(numbers, size=result[name].shape).astype(float)
    result["v1"] = rng.choice([-0.02, -0.005, 0, 0.005, 0.01, 0.02], size=result["v1"].shape)
    holds = {">": "__gt__", "<=": "__le__", "=": "__eq__", "!=": "__ne__"}
    for name in tally.names:
        if name not in result:
            continue
        rows, equation = dict(tally.cases(name, result)), d.by_name.get(name)
        if equation is None or not isinstance(equation.rhs, Cases):
            assert list(rows) == ["all"] and rows["all"].all() and rows["all"].shape == result[name].shape
            continue
        wanted = {}
        for branch in equation.rhs:
            mask = np.ones(result[name].shape, bool)
            for place in np.ndindex(mask.shape):
                for c in branch.when:
                    at = [place[0], *(place[1 + equation.lhs.indices.index(i)] for i in c.subject.indices)]
                    value = result[c.subject.array.name][tuple(at)]
                    mask[place] &= getattr(float(value), holds[c.relation])(float(c.bound))
            wanted[branch.name] = mask
        if equation.rule is Rule.CASES:
            for kink in (0, 2):
                wanted |= {f"s = {kink}": result["s1"] == kink, f"s' = {kink}": result["s1_new"] == kink}
            wanted["v^c near 0"] = abs(result["v1"]) == 0.005
        assert list(rows) == list(wanted)
        for case, mask in wanted.items():
            assert (rows[case] == mask).all(), (name, case)


def test_rows_are_those_of_what_was_seen_and_then_of_what_was_not():
    """In the order of the derivation; without a number only where all are asked for, and marked where none can be."""
    d = fcsym.derive(Network.mlp([1, 1, 1]))
    never = {("dv1", "dead -> active"), ("p", "active -> active")}
    told = SimpleNamespace(case=lambda *key: SimpleNamespace(possible=key not in never))
    known = SimpleNamespace(network=d.network, equations=d.equations, by_name=d.by_name, proof=told)
    tally, asked = Tally(known, DOUBLE), [e for e in d.equations if isinstance(e.rhs, Cases)]
    cases = {(e.name, b.name) for e in asked if e.rule is not Rule.INTEGRAL for b in e.rhs}
    assert never < cases and len(asked) > len({name for name, _ in cases})
    own = {("dv1", case) for case in ("s = 0", "s' = 0", "v^c near 0")}
    assert tally.expected == {key: key in never for key in cases | own}
    assert tally.rows(False) == () and set(tally.missing) == (cases | own) - never
    tally.compare(d.compile(), "simultaneous", random_points(d.network, np.random.default_rng(0), 30))
    seen, place = dict(tally.seen), tally.names.index
    assert set(tally.missing) == (cases | own) - never - set(seen) and {"s1", "y"} < {name for name, _ in seen}
    for whole, wanted in ((False, set(seen)), (True, set(seen) | cases | own)):
        rows = {(row.quantity, row.case): row for row in tally.rows(whole)}
        assert set(rows) == wanted and len(rows) == len(tally.rows(whole))
        assert [name for name, _ in rows] == sorted((name for name, _ in rows), key=place)
        for key, row in rows.items():
            assert row == seen[key] if key in seen else (row.points, row.impossible) == (0, key in never), key


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_a_number_that_has_no_bound_is_right_where_it_is_the_same_and_nowhere_else(off):
    """Of p, which may have none; where there is none on both sides nothing is off."""
    d = fcsym.derive(DEEP)
    points = random_points(DEEP, np.random.default_rng(1), 3)
    made = Tally(d, DOUBLE).computed(d.compile(), points)
    scale = SimpleNamespace(of=lambda name: made.scale.of(name) * (np.nan if name == "p" else 1))
    tally = Tally(d, DOUBLE, lambda *given: {n: a for n, a in made.result.items() if n != "undefined"})
    tally.compare_computed(
        made._replace(result=made.result | {"p": made.result["p"] + off}, scale=scale), "simultaneous"
    )
    rows = tally.rows(False)
    assert tally.left_out == 0 and {row.quantity for row in rows if not row.passed} == ({"p"} if off else set())
    assert all((row.worst, row.bound) == (off, 0) for row in rows if row.quantity == "p" and not row.passed)


def test_a_piece_is_a_line_however_far_rounding_moves_its_unit():
    """Where it stays on the line. And what a step does not give says nothing."""
    for phi, wide, counts in (("relu", 2.0, True), ("tanh", 2.0, False), ("tanh", 0.5, True)):
        tally, result, truth, scale = compared(Network.mlp([1, 2, 1], phi), 1)
        far = SimpleNamespace(of=lambda name, wide=wide, own=scale: wide / (ULPS * 2.0**-52) + 0 * own.of(name))
        away = {name: np.full((1, 2), 100.0) for name in ("s1", "s1_new", "vc")}
        assert tally._clear(result | away, truth | away, far).tolist() == [counts], (phi, wide)
    without = {name: value for name, value in (result | away).items() if name != "s1_new"}
    assert tally._clear(without, truth | away, far).tolist() == [True]


@pytest.mark.parametrize("kind", ["a step", "derivatives"])
def test_an_output_on_a_kink_of_a_loss_counts_where_all_outputs_are_exact(kind):
    """Of each point its own; one number that is off tells of what is rounded."""
    network = Network.mlp([1, 2], loss="l1")
    term = next(array.name for _, array, _ in points_.in_the_loss(network))
    made = object.__new__(Tally if kind == "a step" else gradients._Tally)
    vars(made).update(network=network, dtype=DOUBLE, bar=ULPS * 2.0**-52, after_p=(), _inner_gates=[])
    y, scale = network.output.name, SimpleNamespace(of=lambda name: np.ones((3, 2)))
    values = {y: np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), term: np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])}
    off = np.zeros((3, 2))
    for place, counts in (((0, 0), [False, True, True]), ((1, 1), [True, False, True]), ((2, 0), [True, True, False])):
        off[...] = 0
        for by, wanted in ((0.0, [True] * 3), (0.5, counts)):
            off[place] = by
            found = made._clear(values, {y: values[y] + off}, scale)
            assert (found if kind == "a step" else found[0]).tolist() == wanted, (place, by)


def test_a_point_of_two_hundred_numbers_is_shown_and_no_larger_one():
    """Of a step, of training and of derivatives."""
    one, tally = np.ones((1, 1)), Tally(fcsym.derive(Network.mlp([1, 1])), DOUBLE)
    made = object.__new__(gradients._Tally)
    made.seen = {}
    for count, shown in ((199, True), (200, True), (201, False)):
        inputs = {"x": np.zeros((1, count - 1)), "eta": np.zeros(1)}
        tally.seen.clear()
        made.seen.clear()
        tally._record("y", "all", one, one, one > 0, inputs)
        made._record("y", "all", np.array([True]), one, one, inputs)
        for own in (tally, made):
            (row,) = own.seen.values()
            assert set(row.where) == {"element", *(inputs if shown else ())}
        assert _Comparison._small(inputs) is shown
