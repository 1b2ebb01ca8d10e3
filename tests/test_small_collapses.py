"""What the scheme `collapsed` of any network that closes rests on: columns, bounds on them, what files run, what moves.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.collapsing.agreeing import _beside_autodiff
from fcsym.collapsing.alone import Trainer
from fcsym.collapsing.gates_held import without_gates
from fcsym.collapsing.given import checked_places
from fcsym.collapsing.moving import _watched_again
from fcsym.collapsing.tabled import most_columns, numbers_of
from fcsym.collapsing.watch import _GROWTH, Pace
from fcsym.errors import ArgumentError
from fcsym.language.expression import Role


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "identity"])
def test_the_most_columns_are_those_of_a_layer_with_every_pattern(phi, bias, samples, rule):
    """Of hundreds of units each pattern has more than it takes; in wider layers there are as many columns."""
    network = Network.mlp([2, 400, 2], phi, bias=bias)
    s = fcsym.scheme(network, "collapsed", rule=rule, batch="mean", samples=samples)
    layers = s.chosen(samples)
    own, rng = without_gates(s.network, s.order, layers), np.random.default_rng(0)
    (numbers,) = numbers_of(s.network, own, layers).values()
    weights = [rng.normal(size=s.network.shape(theta)) for theta in s.network.parameters]
    state = s.compile().init(weights, np.array([[1.0, 0.2], [-0.3, 1.0]])[:samples])
    assert state.widths[1] == most_columns(s.network, numbers, own) < 400


def test_what_is_found_is_what_the_scheme_has():
    """Under the names that the finder has."""
    s = fcsym.scheme(Network.mlp([2, 9, 2]), "collapsed")
    for name in ("state", "definitions", "recursion", "read", "size", "proof"):
        assert getattr(s, name) == getattr(s.found, name), name
    assert {e.array for e in s.recursion} == {a.primed for a in s.state}


@pytest.mark.parametrize("held", [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]])
def test_held_inputs_are_found_by_what_they_are(held):
    """All of them where none is given; of equal ones each once, in their order; what is not held is refused."""
    run = SimpleNamespace(x=np.array(held), dtype=np.dtype(float))
    count = len(held)
    assert Trainer._places(run, None).tolist() == list(range(count))
    assert Trainer._places(run, run.x).tolist() == list(range(count))
    assert Trainer._places(run, [1, 2]).tolist() == [0]
    if count == 3:
        assert Trainer._places(run, [[3, 4]]).tolist() == [1]
        assert Trainer._places(run, [[1, 2], [3, 4]]).tolist() == [0, 1]
        assert Trainer._places(run, [[3, 4], [1, 2], [1, 2]]).tolist() == [1, 0, 2]
    for other in ([1, 3], [[1, 2]] * (count + 1), [1, 2, 3], [[9, 9]] * count):
        with pytest.raises(ValueError, match="not what init was given"):
            Trainer._places(run, other)


PACES = {
    "one row": ([1.0], [2.0], 1.0),
    "long rows with room": ([10.0, 30.0], [100.0, 200.0], 1.0),
    "long rows without": ([10.0, 30.0], [0.5, 0.01], 1.0),
    "short rows": ([1e-3, 0.0], [1e-2, 5.0], 0.5),
    "a steep piece": ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 7.0),
}


@pytest.mark.parametrize("inner", [1e-3, 1.0])
@pytest.mark.parametrize("weights", [0.01, 1.0, 20.0])
@pytest.mark.parametrize("name", PACES)
def test_a_pace_holds_as_long_as_nothing_can_have_gone_too_far(name, weights, inner):
    """Beside rows that every step moves as far as it can: neither too long, nor given up at a small part of it."""
    rows, left, slope = np.array(PACES[name][0]), np.array(PACES[name][1]), PACES[name][2]
    products = np.full((len(rows), len(rows)), inner) + np.eye(len(rows)) * inner
    rng = np.random.default_rng(0)
    small = 2e-3 / slope * min(_GROWTH * weights / rows.sum(), left.min() / (weights * products.sum()))
    pace, w, s = Pace.of(weights, rows, left, slope, products), weights, rows.copy()
    assert pace.holds
    reached = 0.0
    for _ in range(100_000):
        errors = rng.uniform(0.2, 1, size=(len(rows), 1)) * small
        # a step in the worst direction: |dW| = g sum e_n |S_n| and |dS_n| = g sum |a_nm| e_m |W|
        w, s = w + slope * float(errors[:, 0] @ s), s + slope * (products @ errors[:, 0]) * w
        pace = pace.after(errors)
        if not pace.holds:
            break
        assert w <= (1 + _GROWTH) * weights
        assert (s - rows <= left).all()
        reached = max((w / weights - 1) / _GROWTH, ((s - rows) / np.minimum(left, rows + 1)).max())
    assert not pace.holds
    assert reached > 0.15 or rows.min() < 1  # shorter rows are taken to be as long as 1


class Recorder(SimpleNamespace):
    """Columns that say which watch was asked for."""

    def watch(self, rows):
        return "all", rows

    def watch_on(self, watch, rows, changed):
        return "some", sorted(changed)


@pytest.mark.parametrize(
    ("before", "after", "members", "wanted"),
    [
        ("ab", "ab", {}, "as it was"),
        ("ab", "aB", {1: 0}, [1]),
        ("ab", "AB", {0: 0, 1: 0}, [0, 1]),
        ("ab", "AB", {1: 0}, "all"),  # another block is another one, too
        ("ab", "a", {1: 0}, "all"),
        ("a", "aB", {0: 0}, "all"),
    ],
)
def test_blocks_that_stay_keep_what_they_have_travelled(before, after, members, wanted):
    """As long as they are the same in the same columns; in more columns all begin anew."""
    blocks = {letter: object() for letter in "abAB"}
    for width in (10, 12):
        old = Recorder(blocks=[blocks[b] for b in before], width=10)
        new = Recorder(blocks=[blocks[b] for b in after], width=width)
        found = _watched_again(new, "watch", "rows", old, SimpleNamespace(members=members))
        if not members:
            assert found == "watch"
        elif isinstance(wanted, list) and width == 10:
            assert found == ("some", wanted)
        else:
            assert found == ("all", "rows")


MOVING = {
    "plain": (Network.mlp([2, 9, 2]), {}),
    "decay in a mean": (
        Network.mlp([2, 9, 3, 2], bias=True),
        {"rule": fcsym.rule("sgd", weight_decay="0.1"), "batch": "mean", "samples": 2},
    ),
    "momentum and decay": (Network.mlp([2, 9, 2], bias=True), {"rule": fcsym.rule("momentum", weight_decay="0.1")}),
}


@pytest.mark.parametrize("name", MOVING)
def test_all_that_training_moves_has_an_equation(name):
    """What the meanings are made of: one equation of the step, or one of the scheme's own, and not both."""
    network, setting = MOVING[name]
    record = fcsym.scheme(network, "collapsed", **setting).induction
    of_step = {e.array for e in record.base.equations if e.defines}
    assert not of_step & record.moving.keys()
    made = {a for e in record.meanings for a in e.operands} | set(network.memory)
    still = (Role.FROZEN, Role.COEFFICIENT, Role.INPUT, Role.GATE, Role.UNIT)
    # xi is how a unit is made of columns, and stays
    carried = {a for a in made if a.role not in still and not a.after and a.symbol != "xi"}
    without = {a.name for a in carried if a.primed not in of_step | record.moving.keys()}
    assert not without
    for array, equation in record.moving.items():
        assert equation.array == array


def plain(network, eta_share=1.0, lost=False):
    """Backpropagation of a dense relu network in NumPy, as the four functions of a file."""

    def passed(weights, x):
        v = [x]
        for w in weights:
            v.append(v[-1] @ w.T if w is weights[-1] else np.maximum(v[-1] @ w.T, 0))
        return v

    def init(weights, x):
        count = network.samples or 3
        assert np.shape(x) == (count, network.inputs)
        return [np.array(w) for w in weights], np.array(x)

    def step(state, x, target, eta):
        weights, held = state
        v = passed(weights, held)
        delta, after = v[-1] - target, [w.copy() for w in weights]
        for n in reversed(range(len(weights))):
            share = eta * eta_share / (len(held) if network.batch == "mean" else 1)
            after[n] -= share * delta.T @ v[n]
            delta = (delta @ weights[n]) * (v[n] > 0)
        if lost:
            raise ArithmeticError("it diverges")
        return after, held

    def output(state, x=None):
        return passed(state[0], state[1])[-1]

    def expand(state):
        return state[0]

    return {"init": init, "step": step, "output": output, "expand": expand}


@pytest.mark.parametrize("setting", [{}, {"batch": "mean", "samples": 2}, {"batch": "sum", "samples": 4}], ids=str)
def test_a_file_is_held_against_backpropagation(setting):
    """One that trains as it should, one that takes longer steps, and one that cannot be trained."""
    network = Network.mlp([2, 3, 2])
    if setting:
        network = network.training(network.rule, **setting)
    assert _beside_autodiff(plain(network), network, "simultaneous") == ""
    assert "off by" in _beside_autodiff(plain(network, eta_share=1.001), network, "simultaneous")
    assert "could not be trained" in _beside_autodiff(plain(network, lost=True), network, "simultaneous")


def test_the_position_behind_the_last_input_is_refused():
    assert list(checked_places([2, 0], 3)) == [2, 0]
    for which in (3, -1, [0, 3]):
        with pytest.raises(ArgumentError, match="the positions 0 to 2"):
            checked_places(which, 3)


@pytest.mark.parametrize("batch", ["mean", "sum"])
@pytest.mark.parametrize("which", [[0], [2], [0, 1], [2, 0], [0, 1, 2]])
def test_a_step_on_some_of_the_held_inputs_is_that_of_a_batch_of_these(batch, which):
    """Their mean is over as many as are taken, and not over all that are held."""
    network = Network.mlp([2, 3, 1])
    network = network.training(network.rule, batch=batch, samples=3)
    kernel = fcsym.scheme(network, "collapsed").compile()
    rng = np.random.default_rng(5)
    weights, x, target = [rng.normal(size=(3, 2)), rng.normal(size=(1, 3))], rng.normal(size=(3, 2)), rng.normal(size=3)
    after = kernel.step(kernel.init(weights, x), x[which], target[which, None], 0.05)
    (wanted, _) = plain(network)["step"]((weights, x[which]), None, target[which, None], 0.05)
    for found, true in zip(kernel.expand(after, weights, x), wanted, strict=True):
        np.testing.assert_allclose(found, true, rtol=1e-11, atol=1e-13)
