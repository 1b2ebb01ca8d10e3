"""The scheme `collapsed`: what it holds, what it refuses, and how training goes on from there."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import ORDERS, need
from exact import step as exact_step

import fcsym
from fcsym.kernel.bound import Bound, BoundNumbers
from fcsym.kernel.rows import Exact, _Undefined
from fcsym.language.equation import Cases, Condition, Status, Verdict
from fcsym.language.expression import ONE, ZERO, Extreme
from fcsym.language.names_of_cases import named_row
from fcsym.networks.symbols import SIZE
from fcsym.proof.schemes import prove_scheme

RELU, LEAKY = (fcsym.Network.parse("3-6-1", name, True) for name in ("relu", "leaky_relu"))

RELU_UNIT = fcsym.relu()


def drawn(network, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=network.shape(a)) for a in network.parameters], rng.normal(size=network.inputs)


# ------------------------------------------------------------------------------------------------ going on after it


def plain(kernel, weights, x):
    """A state that does not know where it began: what one that is bound or packed is, and one in a batch."""
    return kernel.State(*kernel.init(weights, x))


@pytest.mark.parametrize("network", [RELU, LEAKY], ids=str)
@pytest.mark.parametrize("target", ["numpy", "c"])
def test_gate_events_are_carried_and_refused_where_the_start_is_not_known(network, target, order):
    """Training goes on as backpropagation does; a state without its start says what to do, and that is right."""
    if target == "c":
        need("gcc")
    kernel = fcsym.scheme(network, "collapsed", order=order).compile(target)
    reference = fcsym.scheme(network, "backprop", order=order).compile()
    refused = told = 0
    for seed in range(6):
        weights, x = drawn(network, seed)
        weights[:2] = [0.2 * w for w in weights[:2]]  # near the kink
        eta = 0.1 / (1 + x @ x)
        carried, given = kernel.init(weights, x), weights
        state, other, rng = plain(kernel, weights, x), reference.init(weights), np.random.default_rng(seed)
        pieces, changed = weights[0] @ x + weights[1] > 0, []
        for step in range(1, 61):
            y = rng.normal(size=1) * 2
            carried = kernel.step(carried, x, y, eta)
            try:
                state = kernel.step(state, x, y, eta)
            except fcsym.GateEvent as problem:
                assert "expand the state before" in str(problem) and "\n" not in str(problem)
                with pytest.raises(fcsym.GateEvent):
                    kernel.output(state, x)
                weights = kernel.expand(state, weights, x)
                state = kernel.step(plain(kernel, weights, x), x, y, eta)
                refused += 1
            other = reference.step(other, x, y, eta)
            for own, start in ((carried, given), (state, weights)):
                for found, true in zip(kernel.expand(own, start, x), other, strict=True):
                    np.testing.assert_allclose(found, true, rtol=0, atol=1e-10)
            np.testing.assert_allclose(kernel.output(carried, x), reference.output(other, x), rtol=0, atol=1e-10)
            now = other[0] @ x + other[1] > 0
            changed += [(step, int(unit), bool(now[unit])) for unit in np.flatnonzero(now != pieces)]
            pieces = now
            events = carried.events
            assert [(e.step, unit, e.after == (1.0,)) for e in events for unit in e.units] == changed
        told += len(changed)
    assert refused >= 6 and told >= refused


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_it_refuses_exactly_where_a_unit_has_changed_sides(phi, order):
    """In rational numbers, against steps written out by hand, which know nothing of pieces and extremes."""
    network = fcsym.Network.parse("2-3-1", phi)
    slope = Fraction(0) if phi == "relu" else Fraction(1, 100)
    scheme = fcsym.scheme(network, "collapsed", order=order, slope_at_kink=0)  # a unit on the kink stays there
    exact, rng, eta = Exact(scheme), np.random.default_rng(3), Fraction(1, 16)

    def by_hand(w, x, goal):
        return exact_step((2, 3, 1), w, x, [goal], eta, order, lambda s: s if s > 0 else slope * s,
                          lambda s: Fraction(1) if s > 0 else slope if s < 0 else Fraction(0))  # fmt: skip

    def row_order(w):
        return [[number for row in matrix for number in row] for matrix in w]

    refused = kept = 0
    for _ in range(60):
        w = [
            [[Fraction(int(n), 2) for n in row] for row in rng.integers(-4, 5, size=shape)]
            for shape in ((3, 2), (1, 3))
        ]
        x = [Fraction(int(n)) for n in rng.integers(-2, 3, size=2)]
        first, start, state = w, None, exact.init(row_order(w), x)
        for goal in map(Fraction, map(int, rng.integers(-9, 10, size=4))):
            now = by_hand(w, x, goal)
            sides = [(s > 0) - (s < 0) for s in now.s[0]]
            start = sides if start is None else start
            if sides != start:
                with pytest.raises(_Undefined):
                    exact.output(state, x)
                with pytest.raises(_Undefined):
                    exact.step(state, x, [goal], eta)
                refused += 1
                break
            assert exact.output(state, x) == now.v[-1]
            state, w = exact.step(state, x, [goal], eta), now.w
            assert exact.expand(state, row_order(first), x) == row_order(w)
            kept += 1
    assert refused > 10 and kept > 60


def test_a_layer_without_units_on_a_piece_stays_where_it_is():
    """Every unit is dead: the numbers that no unit has do not run away, and only the bias learns."""
    network = fcsym.Network.parse("2-3-1", bias=True)
    weights = [-np.ones((3, 2)), -np.ones(3), np.ones((1, 3)), np.zeros(1)]
    for order in ORDERS:
        kernel = fcsym.scheme(network, "collapsed", order=order).compile()
        state = kernel.init(weights, [3.0, 4.0])
        after = kernel.run(state, np.tile([3.0, 4.0], (3000, 1)), np.ones((3000, 1)), 0.9)
        assert (after.A, after.B, after.mu) == (1, 0, 0)
        np.testing.assert_allclose(kernel.output(after, [3.0, 4.0]), [1.0], rtol=1e-12)


# --------------------------------------------------------------------------------------------------- what it costs


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "identity"])
def test_state_and_step_depend_on_no_width(phi, order):
    spent = set()
    for text in ("1-1-1", "64-8-1", "7-300-1"):
        scheme = fcsym.scheme(fcsym.Network.parse(text, phi), "collapsed", order=order)
        cost = fcsym.cost(scheme)
        assert not (cost.state.free_symbols | cost.operations.free_symbols | cost.parts["output"].free_symbols)
        network = scheme.network
        state = scheme.compile().init([np.ones(network.shape(a)) for a in network.parameters], np.ones(network.inputs))
        assert sum(array.size for array in state) == cost.state
        spent.add((cost.state, cost.operations))
    assert len(spent) == 1


def test_the_chart_of_costs_has_it_where_it_exists():
    for text, has in (("8-4-1", True), ("8-4-2", False), ("8-4-4-1", False)):
        words = fcsym.cost_chart(fcsym.Network.parse(text), widths=(1, 64)).svg
        assert ("collapsed" in words) == has


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("network", "said"), [
    (fcsym.Network.parse("2-1"), "2-1; there is none"),
    (fcsym.Network.parse("2-3-1", "tanh"), "do not share a slope: tanh is not made of lines"),
    (fcsym.Network.parse("2-3-1").training("adam"), "it divides|divides by the root"),
])  # fmt: skip
def test_networks_without_the_scheme_are_named(network, said):
    with pytest.raises(fcsym.ArgumentError, match=said) as caught:
        fcsym.scheme(network, "collapsed")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("order", "out", "goal"), [("simultaneous", 2.0, 1.5), ("sequential", 2.0, 1.0)])
@pytest.mark.parametrize("target", ["numpy", "c"])
def test_a_unit_that_a_step_puts_on_a_kink_with_a_slope_goes_on(target, order, out, goal):
    """The first unit moves by its error times its weight, 1/2 * 2 or 1 * 1: to 0, where it has slope 1/2."""
    if target == "c":
        need("gcc")
    network = fcsym.Network.parse("2-2-1").with_slope_at_kink("1/2")
    a, b, x = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[out, 0.5]]), np.array([1.0, 0.0])
    kernel = fcsym.scheme(network, "collapsed", order).compile(target)
    state, seen = kernel.init([a, b], x), []
    for wanted, eta in ((goal, 1.0), (-1.0, 0.25), (-1.0, 0.25)):
        state = kernel.step(state, x, [wanted], eta)
        s = a @ x
        v, slope = np.maximum(s, 0), (s > 0) + 0.5 * (s == 0)
        error, before = b @ v - wanted, b
        b = b - eta * np.outer(error, v)
        a = a - eta * np.outer((error @ (b if order == "sequential" else before)) * slope, x)
        seen.append(float(a[0] @ x))
        np.testing.assert_allclose(kernel.output(state, x), b @ np.maximum(a @ x, 0), atol=1e-15)
    for got, true in zip(kernel.expand(state, [], x), (a, b), strict=True):
        np.testing.assert_allclose(got, true, atol=1e-15)
    first = state.events[0]
    assert seen[0] == 0 and (first.step, first.units, first.before, first.after) == (1, (0,), (1.0,), (0.5,))
    assert seen[1] < 0 and (state.events[1].step, state.events[1].after) == (2, (0.0,))


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_a_unit_on_a_kink_with_a_slope_is_refused_at_init(target):
    if target == "c":
        need("gcc")
    network = fcsym.Network.parse("2-2-1")
    weights = [np.array([[[1.0, 1.0], [1.0, -1.0]]] * 2), np.ones((2, 1, 2))]
    weights[0][0, 1] = [1.0, 2.0]
    kernel = fcsym.scheme(network, "collapsed", slope_at_kink=1).compile(target)
    with pytest.raises(fcsym.GateEvent, match=r"unit h2 of layer 1 of network \(1,\) is exactly on the kink of relu"):
        kernel.init(weights, [1.0, 1.0])
    state = kernel.init(weights, [1.0, 1.0], undefined="nan")
    assert np.isnan(kernel.output(state, [1.0, 1.0], undefined="nan")).ravel().tolist() == [False, True]
    still = fcsym.scheme(network, "collapsed").compile(target).init(weights, [1.0, 1.0])  # with slope 0 it never moves
    assert np.isfinite(np.concatenate([np.ravel(a) for a in still])).all()


def test_every_way_of_stepping_raises_by_name():
    need("gcc")
    network = fcsym.Network.parse("2-2-1")
    scheme = fcsym.scheme(network, "collapsed")
    weights, x = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0]])], np.array([0.5, 1.0])
    xs, far = np.stack([x] * 3), np.full((3, 1), -40.0)
    for target in ("numpy", "c"):
        kernel = scheme.compile(target)
        state = plain(kernel, weights, x)
        with pytest.raises(fcsym.GateEvent, match=r"^At step 2, a hidden unit has left"):
            kernel.run(state, xs, far, 0.1)
        after = kernel.step(state, x, far[0], 0.1)
        marked = kernel.step(after, x, far[0], 0.1, undefined="nan")
        assert np.isnan(marked.A) and np.isnan(kernel.output(after, x, undefined="nan")).all()
        both = kernel.State(*(np.stack([a, b]) for a, b in zip(state, after, strict=True)))
        with pytest.raises(fcsym.GateEvent, match=r"of network \(1,\)"):
            kernel.step(both, x, far[0], 0.1)
        with pytest.raises(fcsym.GateEvent, match=r"of network \(1,\)"):
            kernel.output(both, x)
        bound = kernel.bind(state, x, far[0], 0.1)
        assert isinstance(bound, Bound if target == "c" else BoundNumbers)
        bound.step()
        with pytest.raises(fcsym.GateEvent, match=r"^A hidden unit has left"):
            bound.step()
    batch = kernel.batch([state] * 5)
    batch.step(x, far[0], 0.1)
    with pytest.raises(fcsym.GateEvent, match=r"of network \(0,\)"):
        batch.step(x, far[0], 0.1)


# ------------------------------------------------------------------------------------------------------- the proof


def changed(scheme, part, name, change):
    routine = scheme.routines[part]
    equations = tuple(change(e) if e.name == name else e for e in routine.equations)
    assert equations != routine.equations
    return replace(scheme, routines={**scheme.routines, part: replace(routine, equations=equations)})


def without(equation, margin):
    """One margin is not tested."""
    rows = [
        replace(row, when=tuple(c for c in row.when if c.subject.array.symbol != margin))
        for row in equation.rhs
        if row.when[-1].subject.array.symbol != margin or row.value is not None
    ]
    return replace(equation, rhs=Cases(tuple(rows)))


def eased(equation, bound):
    rows = [replace(row, when=tuple(replace(c, bound=Fraction(bound)) for c in row.when)) for row in equation.rhs]
    return replace(equation, rhs=Cases(tuple(rows)))


@pytest.mark.parametrize("network", [RELU, LEAKY], ids=str)
@pytest.mark.parametrize("change", [
    lambda e: without(e, "lo"), lambda e: without(e, "hi"), lambda e: eased(e, -1), lambda e: eased(e, 1),
])  # fmt: skip
def test_a_gate_that_is_tested_wrongly_is_not_proved(network, change, order):
    scheme = fcsym.scheme(network, "collapsed", order=order)
    for part in ("step", "output"):
        proof = prove_scheme(changed(scheme, part, "y", change))[part]
        assert proof.verdict("y").verdict in (Verdict.UNDECIDED, Verdict.REFUTED)


def test_what_is_frozen_is_part_of_the_proof():
    """Definitions that do not say what a unit is: the same mistake in `init` and in what its state stands for."""
    scheme = fcsym.scheme(fcsym.Network.parse("2-2-1"), "collapsed")

    def both(name, change):
        frozen = tuple(change(e) if e.name == name else e for e in scheme.frozen)
        return replace(changed(scheme, "init", name, change), frozen=frozen)

    def other(e):
        return replace(e, rhs=Extreme("max" if e.rhs.kind == "min" else "min", e.rhs.over, e.rhs.body))

    def values(*numbers):
        return lambda e: replace(e, rhs=Cases(tuple(replace(r, value=v) for r, v in zip(e.rhs, numbers, strict=True))))

    for wrong in (
        both("ql", other), both("qh", other), both("e", values(ZERO, ONE)), both("e", values(ONE, ONE)),
        both("mu", values(ONE + ONE, ZERO)), both("mu", values(ONE, ONE)), both("qe", values(ZERO, ZERO)),
        both("qm", values(ONE, ONE)), both("q", values(ONE, ZERO)),
    ):  # fmt: skip
        assert not wrong.proof.holds
    alone = changed(scheme, "init", "ql", other)
    assert prove_scheme(alone)["init"].verdict("ql").verdict in (Verdict.UNDECIDED, Verdict.REFUTED)


def test_a_row_that_refuses_what_has_a_value_is_not_proved():
    """Refusing needlessly is no wrong number, and still no theorem."""
    scheme = fcsym.scheme(fcsym.Network.parse("2-2-1"), "collapsed")

    def more(equation):
        first = equation.rhs.branches[0]
        norm = Condition(SIZE[()], ">", Fraction(9))
        small = replace(norm, relation="<=")
        rows = (replace(first, when=(*first.when, norm)), *equation.rhs.branches[1:],
                named_row(RELU_UNIT, (*first.when, small), None, Status.UNDEFINED))  # fmt: skip
        return replace(equation, rhs=Cases(rows))

    proof = prove_scheme(changed(scheme, "output", "y", more))["output"]
    (refused,) = [f for f in proof.findings if f.case and "c <= 9" in f.case]
    assert refused.verdict is Verdict.UNDECIDED


# ------------------------------------------------------------------------------------------------------ typesetting


def test_extremes_are_typeset():
    part = fcsym.scheme(fcsym.Network.parse("2-2-1"), "collapsed").init
    assert str(part["ql"]) == "ql = min(j: qe[j])"
    assert r"\min_{j} \tilde q_{j}" in part.latex()
    assert r"\max\left(" in part.latex(notation="paper")
    assert "<mi>max</mi>" in part.html().replace("<mo>max</mo>", "<mi>max</mi>")


@pytest.mark.parametrize("text", ["1-4-1", "3-8-2"])
def test_exact_gates_are_refused_by_name(text):
    for gates, said in (("exact", "collapsed holds no unit"), ("near", "choose float or exact")):
        with pytest.raises(fcsym.CompileError, match=said):
            fcsym.scheme(fcsym.Network.parse(text), "collapsed").compile("numpy", gates)
