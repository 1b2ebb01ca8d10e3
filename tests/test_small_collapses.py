"""What the scheme `collapsed` of any network that closes rests on: columns, bounds on them, what files run, what moves.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from test_small_proofs import HAT

import fcsym
from fcsym import Network, find_collapse
from fcsym.collapsing import agreeing, drawn
from fcsym.collapsing.agreeing import _beside_autodiff
from fcsym.collapsing.alone import Trainer
from fcsym.collapsing.blocks import Crossed
from fcsym.collapsing.equations import Closure, named
from fcsym.collapsing.events import Event
from fcsym.collapsing.finder import Bounds
from fcsym.collapsing.gates_held import without_gates
from fcsym.collapsing.given import checked_places
from fcsym.collapsing.lumped import _clean, lumped
from fcsym.collapsing.moving import _watched_again
from fcsym.collapsing.one_input import OneInputKernel
from fcsym.collapsing.solution import measured, solution
from fcsym.collapsing.sources import MODULES, text_of_modules
from fcsym.collapsing.tabled import most_columns, numbers_of
from fcsym.collapsing.watch import _GROWTH, _WAIT, Pace
from fcsym.errors import ArgumentError, GateEvent
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


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_the_ones_of_units_are_a_column_more_where_a_line_has_an_intercept(rule):
    """As many more as there are patterns: three of one input, each with many units."""
    s = fcsym.scheme(Network.mlp([2, 200, 2], HAT), "collapsed", rule=rule, batch="mean", samples=1)
    layers = s.chosen(1)
    own, rng = without_gates(s.network, s.order, layers), np.random.default_rng(0)
    (numbers,) = numbers_of(s.network, own, layers).values()
    weights = [3 * rng.normal(size=s.network.shape(theta)) for theta in s.network.parameters]
    state = s.compile().init(weights, np.array([[1.0, 0.2]]))
    assert state.groups == {1: 3} and len(state.columns[1].blocks) == 3
    assert state.widths[1] == most_columns(s.network, numbers, own)


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


@pytest.mark.parametrize(
    ("made", "tried", "said"),
    [
        ([0.0, 1e-10], 4, ""),
        ([None, 0.0, None, 1e-3], 4, "off by 0.001 "),
        ([0.0, None, None, None, None, 1e-12, None, None], 8, ""),
        ([None] * 8 + [0.0, None, 1e-3, None], 12, "off by 0.001 "),
        ([0.0] + [None] * 11, 12, "could not be trained"),
        ([None] * 12, 12, "could not be trained"),
    ],
)
def test_a_file_is_believed_when_two_random_networks_could_be_trained(monkeypatch, made, tried, said):
    """In steps that are smaller where fewer could; the worst of all counts."""
    asked, left = [], [*made, *[None] * 12]

    def trained(names, network, order, eta, rng):
        asked.append(eta)
        return left.pop(0)

    monkeypatch.setattr(agreeing, "_trained", trained)
    found = _beside_autodiff({}, Network.mlp([2, 3, 2]), "simultaneous")
    assert (said in found) if said else found == ""
    assert len(asked) == tried and len(set(asked)) == tried // 4 and asked == sorted(asked, reverse=True)


def test_what_is_watched_has_gone_no_further_than_is_said_and_is_looked_at_where_it_may_be_on_a_kink():
    """In rational numbers: what rounding adds is added to the bound, and a row is at most as long as is said."""
    network = Network.mlp([2, 60, 2], bias=True)
    kernel = fcsym.scheme(network, "collapsed", batch="sum", samples=2).compile()
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    state = kernel.init(weights, np.array([[1.0, 0.2], [-0.3, 1.0]]))
    columns, watch = state.columns[1], state.watches[1]
    assert watch.pace.holds and len(columns.blocks) > 2
    columns = replace(columns, fine=2.0**-30)
    watch = replace(columns.watch(state.rows[1]), least=np.zeros_like(watch.least))  # each is looked at
    for scale in (1 + 2e-9, 1.5, 3.0):
        rows = state.rows[1] * scale
        crossed, after = columns.look(rows, watch)
        longest = 0
        for b, block in enumerate(columns.blocks):
            for n in range(2):
                pairs = zip(rows[n, block.columns].tolist(), state.rows[1][n, block.columns].tolist(), strict=True)
                pairs = [(Fraction(a), Fraction(c)) for a, c in pairs]
                far = sum((a - c) ** 2 for a, c in pairs)
                assert far <= Fraction(after.travelled[b, n]) ** 2 <= far * (1 + Fraction(1, 10**13))
                longest = max(longest, float(sum(a**2 for a, _ in pairs)) ** 0.5)
        # what is so near to a kink is on it, which is less than what makes it looked at
        assert columns.fine / 3 * longest < crossed.blur < 0.9 * columns._slack(rows.dtype) * longest


def test_units_that_are_laid_out_anew_keep_how_near_to_a_kink_they_are_on_it():
    """Each its own, the first one, too; those that leave a block as near as is said then."""
    network = Network.mlp([2, 30, 2])
    kernel = fcsym.scheme(network, "collapsed", batch="sum", samples=1).compile()
    rng = np.random.default_rng(1)
    first = rng.normal(size=(30, 2))
    first[3:] = np.abs(first[3:])  # of one pattern, in a block
    first[:3] = -np.abs(first[:3])
    state = kernel.init([first, rng.normal(size=(2, 30))], np.array([[1.0, 0.2]]))
    columns = state.columns[1]
    assert len(columns.blocks) == 1 and sorted(columns.unit_of[columns.loose]) == [0, 1, 2]
    blur = np.where(columns.unit_of >= 0, (columns.unit_of + 1) / 1024, 0)
    left, on_kink = np.array([5]), np.ones((1, 1), np.int8)  # a member of the block comes to the kink
    crossed = Crossed(np.zeros(0, int), np.zeros((0, 1), np.int8), {0: (left, on_kink)}, 0.5)
    again, _ = replace(columns, blur=blur)._again(crossed, [np.asarray(a) for a in state.arrays])
    found = {int(u): float(b) for u, b in zip(again.unit_of, again.blur, strict=True) if u >= 0}
    assert found == {0: 1 / 1024, 1: 2 / 1024, 2: 3 / 1024, int(columns.blocks[0].members[5]): 0.5}


def test_a_watch_over_no_blocks_has_no_rows():
    network = Network.mlp([2, 4, 2])
    kernel = fcsym.scheme(network, "collapsed", batch="sum", samples=3).compile()
    state = kernel.init([np.ones((4, 2)), np.ones((2, 4))], np.array([[1.0, 0.2], [0.5, 1.0], [1.0, 3.0]]))
    watch = state.watches[1]
    assert not state.columns[1].blocks and watch.pace is None
    assert {watch.travelled.shape, watch.size.shape, watch.least.shape} == {(0, 3)}


def test_what_errors_of_0_move_is_nothing_and_errors_too_small_to_be_squared_count():
    """However many steps there are: a bound on them goes on, and is no less than what they add up to."""
    rows = np.array([1.0, 2.0])
    for size in (0.0, 1e-200, 1e-12):
        pace = Pace.of(1.0, rows, rows / 2, 1.0, np.eye(2))
        for n in range(1, 3 * _WAIT):
            pace = pace.after(np.full((2, 1), size))
            assert pace.holds and pace.reached >= (pace.share.sum(axis=1) * size).max() * n


def test_a_bound_on_the_rows_is_what_they_may_do_and_no_more():
    """1 stands for as far as they may go: by the share of the weights that they may grow, or of the way to a kink."""
    rows, left, inner = np.array([3.0, 4.0]), np.array([0.5, 2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    weights, slope = 1.5, 2.0
    pace = Pace.of(weights, rows, left, slope, inner)
    wanted = [slope * (1 + _GROWTH) * weights * inner[n] / left[n] for n in range(2)]
    wanted += [slope * (rows + left) / (_GROWTH * weights)]
    np.testing.assert_allclose(pace.share, wanted, rtol=1e-6)
    assert (pace.share > wanted).all()
    assert pace.longest == pytest.approx(max(np.linalg.norm(row) for row in wanted), rel=1e-6)


@pytest.mark.parametrize("bias", [False, True])
def test_the_inner_products_of_the_held_inputs_have_the_1_of_the_bias(bias):
    """Where they bound what a step moves."""
    network, x = Network.mlp([2, 60, 2], bias=bias), np.array([[1.0, 0.2], [-3.0, 1.0]])
    kernel = fcsym.scheme(network, "collapsed", batch="sum", samples=2).compile()
    run = kernel.init([np.ones(network.shape(a)) for a in network.parameters], x).run
    wider = np.concatenate([x, np.full((2, 1), float(bias))], axis=1)
    np.testing.assert_allclose(run.inner, np.abs(wider @ wider.T), rtol=1e-8)


@pytest.mark.parametrize("widths", [[2, 9, 2], [2, 9, 3, 2]], ids=str)
def test_a_table_says_where_the_pre_activations_of_a_state_are(widths):
    scheme = fcsym.scheme(Network.mlp(widths), "collapsed", batch="sum", samples=2)
    kernel = scheme.compile()
    weights = [np.ones(scheme.network.shape(a)) for a in scheme.network.parameters]
    state = kernel.init(weights, np.array([[1.0, 0.2], [-0.3, 1.0]]))
    table = state.run.table
    assert table.rows == {1: table.state.index("s1")} and table.gated == (1,)
    other = replace(table, layers={1: replace(table.layers[1], seen=len(table.state))})
    assert other.rows is None  # it is what `output` gives beside y


def test_units_are_put_together_as_soon_as_none_above_them_is_on_a_kink():
    """And are so from then on: rounding can move none off it any more."""
    network = Network.mlp([2, 60, 2, 1])
    kernel = fcsym.scheme(network, "collapsed", batch="sum", samples=2, slope_at_kink="1").compile()
    rng, x = np.random.default_rng(0), np.array([[1.0, 0.2], [-0.3, 1.0]])
    weights = [rng.normal(size=(60, 2)), rng.normal(size=(2, 60)) / 8, np.ones((1, 2))]
    weights[1][0] = 0  # s2 of its unit is exactly 0
    state = kernel.init(weights, x)
    assert not state.turned and state.widths == {1: 60}
    for _ in range(2):
        state = kernel.step(state, x, np.ones((2, 1)), 1e-3)
        assert state.turned and state.widths[1] < 40


def test_gate_events_are_drawn_up_to_the_last_step(monkeypatch):
    """Each as a rise at its step; nothing of a layer after its last one."""
    monkeypatch.setattr(drawn, "chart", lambda title, words, panels, across, up: panels)
    at = [(1, 1, (3, 4)), (2, 2, (0,)), (5, 1, (7,))]
    events = [Event(step, layer, units, (0.0,), (1.0,)) for step, layer, units in at]
    for steps in (5, 9):
        ((panel),) = drawn.events_over_time(events, steps, "2-3-1")
        assert [line.name for line in panel.lines] == ["layer 1", "layer 2"]
        first, second = (line.points for line in panel.lines)
        assert first == ((0, 0), (1, 0), (1, 2), (5, 2), (5, 3), (steps, 3))
        assert second == ((0, 0), (2, 0), (2, 1), (steps, 1))
    for steps in (0, 1):  # a picture of no steps has a width, too
        ((panel),) = drawn.events_over_time([], steps, "2-3-1")
        assert [(line.name, line.points) for line in panel.lines] == [("layer 1", ((0, 0), (1, 0)))]


def test_the_modules_of_a_file_have_their_docstring_as_a_comment_and_nowhere_else():
    text = text_of_modules()
    body = ast.parse(text).body
    assert not [node for node in body if isinstance(node, ast.Expr)]
    for module in MODULES:
        first = ast.get_docstring(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))).splitlines()[0]
        assert text.count(first) == 1 and f"\n# {first}\n" in text


def test_a_state_of_as_many_numbers_saves_none():
    network = Network.mlp([2, 3, 1])
    shapes = {"saves": 8, "as many": 9, "more": 10}
    kernel = fcsym.scheme(network, "collapsed", batch="sum", samples=2).compile()
    made = type(kernel.init([np.ones((3, 2)), np.ones((1, 3))], np.array([[1.0, 0.2], [-0.3, 1.0]])))
    for name, numbers in shapes.items():
        state = SimpleNamespace(numbers=numbers, run=SimpleNamespace(network=network))
        assert made.saves.fget(state) is (name == "saves")


def test_the_name_of_a_quantity_tells_it_from_all_others():
    """Also one number of every unit, summed over them: it is no array of the network."""
    for network in (Network.mlp([1, 3, 1], HAT, bias=True), Network.mlp([1, 3, 1], bias=True).shared("b1")):
        quantities = find_collapse(network, 1, contracted=(0, 1)).choices[0].found.quantities
        arrays = named(quantities)
        assert len(set(arrays)) == len(arrays)
        assert [a.axes for a in arrays] == [q.free for q in quantities]
        assert {a for a in arrays if a.symbol != "S"} == {a for a in arrays if a in network.parameters} != set()


@pytest.mark.parametrize("rounds", [8, 1])
def test_every_choice_says_what_came_of_it(rounds):
    """Also one that does not close."""
    found = find_collapse(Network.mlp([2, 3, 1]), contracted=(0, 1), bounds=Bounds(rounds=rounds))
    (line,) = [line for line in str(found).splitlines() if line.startswith("  summed over")]
    assert found.closed is (rounds > 1) and found.choices[0].said in line and ("numbers" in line) is found.closed


def test_a_quantity_as_long_as_allowed_is_found_and_a_longer_one_is_not():
    """And so of the rounds, of the quantities, and of what is read."""
    network = Network.mlp([2, 3, 1])
    closed = find_collapse(network, 1, contracted=(0, 1)).choices[0]
    growth = closed.found.growth
    needed = {"rounds": len(growth), "quantities": sum(n for n, _ in growth), "factors": max(n for _, n in growth)}
    for name, count in needed.items():
        assert find_collapse(network, 1, contracted=(0, 1), bounds=Bounds(**{name: count})).closed
        assert not find_collapse(network, 1, contracted=(0, 1), bounds=Bounds(**{name: count - 1})).closed


A, B = sympy.symbols("a b", positive=True)


@pytest.mark.parametrize("row", [[0, -A, 2 * B], [-A * B, 0, A**2], [0, 0, -1 / A], [1 / (A + B), 1 / A, 0]], ids=str)
def test_a_row_without_its_common_factor_is_the_same_for_all_its_multiples(row):
    """And has no sign before its first entry that is not 0, no quotient, and no factor that all have."""
    row = [sympy.sympify(entry) for entry in row]
    made = _clean(row)
    for factor in (1, -1, 3, -A, A + B, 1 / (A * B)):
        assert _clean([factor * entry for entry in row]) == made
    first = next(n for n, entry in enumerate(row) if entry != 0)
    assert not made[first].could_extract_minus_sign() and sympy.gcd_list([e for e in made if e != 0]) == 1
    assert all(sympy.denom(entry) == 1 for entry in made)
    assert all(sympy.cancel(entry * row[first] - own * made[first]) == 0 for entry, own in zip(made, row, strict=True))


def test_two_numbers_of_which_the_sum_alone_is_read_are_one():
    """Where both stay what they are; where one of them moves the other, they are two."""
    found = find_collapse(Network.mlp([1, 3, 1]).frozen("W1"), contracted=(0, 1)).choices[0].found
    ((read, (term,)),) = found.observed.items()
    _, second = found.quantities
    both = (term, replace(term, uses=found.steps[second][0].uses))
    still = {quantity: terms[:1] for quantity, terms in found.steps.items()}
    made = lumped(Closure.of(replace(found, observed={read: both}, steps=still)))
    assert made is not None and made.size == made.size.free_symbols.pop()
    assert lumped(Closure.of(replace(found, observed={read: both}))) is None


def one_input(target, output, finite=True):
    """A kernel of one input around functions that give `output`, a state and no more."""
    inner = SimpleNamespace(
        target=target, network=Network.mlp([1, 2, 1]), State=type("S", (tuple,), {}), output=lambda *_: output,
        step=lambda *_: ("after",), **{"__array__": "not to be asked for"},
    )  # fmt: skip
    return OneInputKernel(inner, lambda: None), (np.array([1.0]), np.array([2.0 if finite else np.inf]))


class Traced:
    """Numbers that are not there yet."""

    def __array__(self, *_, **__):
        raise TypeError("it is traced")


@pytest.mark.parametrize("finite", [True, False])
@pytest.mark.parametrize("lost", [True, False])
def test_a_mark_of_what_is_undefined_is_a_gate_event_where_the_state_is_finite(lost, finite):
    """An output that is no number, of a state that is none either, is that of training that has diverged."""
    kernel, state = one_input("jax", np.array([0.5, np.nan if lost else 1.0]), finite)
    for name in ("output", "step"):
        if lost and finite:
            with pytest.raises(GateEvent):
                kernel._tried(name, state, None)
        else:
            assert kernel._tried(name, state, None) is not None
    kernel, state = one_input("jax", Traced(), finite)
    assert kernel._tried("step", state, None) == ("after",) and isinstance(kernel._tried("output", state), Traced)


def test_a_kernel_that_is_being_copied_has_nothing_yet():
    """What is asked of it then is its own, and so is what Python asks of anything."""
    kernel, _ = one_input("numpy", 0)
    made = copy.copy(kernel)
    assert made.target == kernel.target == "numpy" and made is not kernel
    assert not hasattr(kernel, "__array__")
    assert not hasattr(OneInputKernel.__new__(OneInputKernel), "target")


def test_the_limit_where_the_constant_is_0_is_a_power_with_a_sign():
    """sqrt(a) w |w| / vc, as real numbers have it; and where it is above 0 the coefficients are real."""
    positive, zero, _ = solution(2).signs
    assert all((value * s).is_real for value in positive.series.values() for s in value.free_symbols if s.name == "vc")
    w, a, vc = sympy.Symbol("w", real=True), sympy.Symbol("a", positive=True), sympy.Symbol("vc", real=True)
    assert str(zero.r) == str(sympy.sqrt(a) * w * sympy.Abs(w) / vc)


def test_what_is_measured_is_how_far_both_formulas_are_from_training():
    """By gradient descent in NumPy on the same weights, of which all stay positive."""
    rng = np.random.default_rng(3)
    first, last = np.abs(rng.normal(size=(6, 3))) / 2, np.abs(rng.normal(size=(1, 6))) / 2
    x, eta = np.abs(rng.normal(size=3)), 0.02
    frozen, start, square = first @ x, last[0], x @ x
    for _ in range(10):
        s = first @ x
        error = last @ np.maximum(s, 0) - 3
        first, last = (
            first - eta * np.outer(error * last[0] * (s > 0), x),
            last - eta * error[:, None] * np.maximum(s, 0),
        )
    w, s = last[0], first @ x
    assert (s > 0).all()
    true = w * s / frozen
    formulas = {
        "limit": w * np.sqrt(frozen**2 + square * (w**2 - start**2)) / frozen,
        "printed": w + square * w**3 / (3 * frozen**2) - square * start**3 / (3 * frozen**2),
    }
    (found,) = measured((eta,), time=0.2, seed=3)
    assert (found.eta, found.steps) == (eta, 10)
    for name, value in formulas.items():
        assert getattr(found, name) == pytest.approx(np.abs(value - true).max() / np.abs(true).max(), rel=1e-6)
