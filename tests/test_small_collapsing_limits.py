"""Where a search ends, where a bound on steps ends, what is refused, and what is said: at the last number that is in.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import ast
import inspect
import sys
from dataclasses import replace
from itertools import combinations
from math import nan
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import sympy
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.collapsing import Bounds, agreeing, find_collapse, layers_in_words, quantities
from fcsym.collapsing.by_unit import _fewer
from fcsym.collapsing.c_running import CFiles
from fcsym.collapsing.columns import Columns
from fcsym.collapsing.finder import _beyond, _terms
from fcsym.collapsing.gates_held import lines_of
from fcsym.collapsing.given import checked_rate
from fcsym.collapsing.held import Held
from fcsym.collapsing.kernel import CollapsedKernel
from fcsym.collapsing.lines import Lines
from fcsym.collapsing.lumped import block_of
from fcsym.collapsing.moving import Run, _refuse_infinite
from fcsym.collapsing.numbers import Numbers
from fcsym.collapsing.one_input import OneInputKernel
from fcsym.collapsing.parts import ClosedParts
from fcsym.collapsing.scheme import CollapsedScheme, collapsed_scheme
from fcsym.collapsing.solution import solution
from fcsym.collapsing.sources import MODULES, text_of_modules
from fcsym.collapsing.tabled import table_of
from fcsym.collapsing.watch import _GROWTH, Pace
from fcsym.errors import ArgumentError, Diverged
from fcsym.language.algebra import products
from fcsym.language.expression import Array, Axis, Index, Role, add, mul, power, total

# ---------------------------------------------------------------------------------------------------- searches


def test_a_search_ends_at_its_bounds_and_not_before():
    """Each is the most that there may be: what a search meets, it may have, and not one less."""
    network = Network.mlp([2, 3, 2, 1])
    whole = find_collapse(network, contracted=[0, 1]).choices[0].found
    assert whole.closed
    held, waiting = whole.held, whole.rounds
    counts = {}
    for q in whole.quantities:
        terms = 1
        for array in q.arrays:
            terms *= len(held.expanded(held.update(array)[1])) if held.is_trained(array) else 1
        counts[q] = terms * len(q.factors) ** 2
    read = max(sum(1 for _ in products(value)) for _, value in held.observed.values())
    most = {
        "rounds": len(waiting), "quantities": len(whole.quantities),
        "factors": max(len(q.factors) for q in whole.quantities), "work": max(counts.values()), "read": read,
    }  # fmt: skip
    said = {
        "rounds": "there was still something new",
        "quantities": "quantities were found",
        "factors": "factors, more than",
        "work": r"the step of a quantity of \d factors has \d+ terms, too many",
        "read": "what is read of a layer, .* too many",
    }
    assert find_collapse(network, contracted=[0, 1], bounds=Bounds(**most)).closed
    for name, count in most.items():
        found = find_collapse(network, contracted=[0, 1], bounds=Bounds(**{**most, name: count - 1})).choices[0].found
        assert not found.closed
        with pytest.raises(ArgumentError, match=said[name]):
            raise ArgumentError(found.why_not)


J, K, M = (Index(Axis(f"n_{n}"), letter) for n, letter in ((1, "j"), (2, "k"), (0, "i")))
W, V, B, C = (
    Array("W", 2, (K.axis, J.axis)),
    Array("V", 1, (J.axis, M.axis)),
    Array("b", 2, (K.axis,)),
    Array("C", None, ()),
)
ONES = Array("one", 1, (J.axis,), role=Role.UNIT), Array("one", 2, (K.axis,), role=Role.UNIT)


@pytest.mark.parametrize("factors", [1, 2, 3, 4])
def test_the_work_of_a_step_is_its_terms_times_the_square_of_its_factors(factors):
    """Of the hardest of the new quantities: as much as is said may be, and not one less."""
    hard, easy = (SimpleNamespace(factors=("a",) * n) for n in (factors, 1))
    updates = SimpleNamespace(terms=lambda quantity: 5 if quantity is hard else 4)
    for off, said in ((0, ""), (-1, f"the step of a quantity of {factors} factors has 5 terms, too many")):
        assert _beyond(Bounds(work=5 * factors * factors + off), [(easy, hard)], [easy, hard], updates) == said


@pytest.mark.parametrize(
    "node",
    [
        W[K, J],
        add(W[K, J], B[K]),
        mul(add(W[K, J], B[K]), add(C[()], V[J, M], B[K])),
        power(add(W[K, J], B[K]), 3),
        total(J, mul(add(W[K, J], C[()]), power(add(V[J, M], B[K], C[()]), 2))),
        add(mul(add(C[()], B[K]), add(C[()], W[K, J])), power(add(C[()], B[K]), 2), W[K, J]),
    ],
    ids=str,
)
def test_products_are_counted_before_they_are_multiplied_out(node):
    assert _terms(node) == sum(1 for _ in products(node))


def test_a_quantity_that_is_too_large_to_compare_ends_a_search(monkeypatch):
    monkeypatch.setattr(quantities, "_MOST_ORDERS", 0)
    found = find_collapse(Network.mlp([2, 3, 1]), contracted=[0, 1])
    assert not found.closed and str(found) == found._repr_latex_()
    assert found.choices[0].found.why_not.startswith("the bound of the comparison was met: A quantity of 2 factors")


def test_a_layer_that_is_summed_over_is_counted_as_wide_as_its_columns_can_be():
    """Of each pattern that has a slope no more than a unit has numbers; the widths of all others are as they are."""
    made = collapsed_scheme(Network.mlp([2, 3, 400, 2]), "simultaneous").counted.network.widths
    assert (*made[:2], made[3]) == (2, 3, 2) and 3 < made[2] < 30


@pytest.mark.parametrize("inputs", [0, -1, True, 2.0, "2", None, 10**9])
def test_what_is_no_number_of_inputs_is_refused(inputs):
    with pytest.raises(ArgumentError, match="give a whole number from 1"):
        Held.of(Network.mlp([2, 3, 1]), "simultaneous", inputs, frozenset({0}))


def test_layers_to_sum_over_that_there_are_not_are_refused_by_those_that_there_are():
    for widths in ([2, 3, 1], [2, 3, 4, 1]):
        with pytest.raises(
            ArgumentError, match=f"from 0 for the inputs to {len(widths) - 2} for the last hidden layer"
        ):
            find_collapse(Network.mlp(widths), contracted=[len(widths) - 1])
    for layers, said in (((), "none"), ((0, 0), "0, 0"), ((1, 5), "1, 5")):
        with pytest.raises(ArgumentError, match=f"The layers to sum over are {said}: give different numbers, from 0 "):
            find_collapse(Network.mlp([2, 3, 1]), contracted=layers)


def test_a_layer_has_the_slopes_and_intercepts_of_its_own_groups():
    network = Network.mlp([2, 3, 2, 3, 1], ["relu", "tanh", HAT])
    held = Held.of(network, "simultaneous", 2, frozenset({1, 3}))
    for n in (1, 3):
        for array in held.group_arrays(n):
            assert all(a.open for a in array.axes)
            assert array.layer == n and {a.name for a in array.axes} == {"samples", f"p_{n}"}
    closure = find_collapse(network, 2, contracted=[1, 3]).choices[0].closure
    assert {a.name for a in ClosedParts(closure, (), ()).gates} == {"g1", "g3", "o3"}
    assert {
        a.name for a in ClosedParts(find_collapse(Network.mlp([2, 3, 1]), 2, contracted=[1]).closure, (), ()).gates
    } == {"g1"}


def test_the_1_of_a_unit_is_left_out_beside_something_else_of_the_unit():
    """And beside nothing else: of another unit, of none, or the 1 of a unit again."""
    one, other = ONES[0][J], ONES[1][K]
    assert _fewer(mul(one, W[K, J])) == W[K, J]
    assert _fewer(mul(one, V[J, M], C[()])) == mul(V[J, M], C[()])
    assert _fewer(total(J, mul(one, W[K, J], B[K]))) == total(J, mul(W[K, J], B[K]))
    assert _fewer(add(mul(one, W[K, J]), mul(other, B[K]))) == add(W[K, J], B[K])
    for alone in (mul(one, B[K]), mul(one, C[()]), mul(one, other), total(J, mul(one, B[K]))):
        assert _fewer(alone) == alone


@pytest.mark.parametrize(
    ("widths", "layers", "inputs", "alone"),
    [
        ([1, 3, 1], (0, 1), 1, True), ([2, 3, 1], (0, 1), 1, True), ([1, 3, 1], (1,), 1, True),
        ([1, 3, 2], (0, 1), 1, False), ([2, 3, 1], (0, 1), 2, False), ([2, 3, 1], (1,), 1, False),
        ([1, 3, 4, 1], (0, 1), 1, False), ([1, 3, 1, 1], (0, 1), 1, True), ([1, 1, 3, 1], (0, 2), 1, True),
        ([2, 3, 1], (0,), 1, False),
    ],
)  # fmt: skip
def test_numbers_of_a_pattern_are_a_block_where_every_other_index_has_length_1(widths, layers, inputs, alone):
    """Those of several outputs, inputs or units in a layer that is not summed over are no numbers of the pattern."""
    closure = find_collapse(Network.mlp(widths), inputs, contracted=layers).choices[0].closure
    own = [q for q in closure.found.quantities if any(axis.name.startswith("p_") for axis in q.free)]
    block = block_of(closure)
    assert list(block) == (own if alone else []) and bool(own) is (layers != (0,))


# ------------------------------------------------------------------------------------------------ what is bounded


@pytest.mark.parametrize("left", [0.25, 0.5, 4.0])
@pytest.mark.parametrize("row", [0.0, 0.2, 3.0])
def test_rows_that_are_short_are_bounded_as_if_they_were_1_long(row, left):
    """They go at most their own length and 1 more, so that a bound on them lasts."""
    weights, slope, inner = 1.5, 2.0, 0.75
    pace = Pace.of(weights, np.array([row]), np.array([left]), slope, np.array([[inner]]))
    may = min(left, row + 1)
    wanted = [slope * (1 + _GROWTH) * weights * inner / may, slope * max(row + may, 1) / (_GROWTH * weights)]
    np.testing.assert_allclose(pace.share[:, 0], wanted, rtol=1e-7)
    assert (pace.share[:, 0] > wanted).all() and pace.holds
    assert max(pace.share[:, 0]) < pace.longest < (1 + 1e-8) * max(pace.share[:, 0])


@pytest.mark.parametrize("left", [0.0, -1.0, nan])
@np.errstate(all="ignore")
def test_there_is_no_bound_where_a_row_may_not_move(left):
    assert not Pace.of(1.0, np.array([1.0, 1.0]), np.array([1.0, left]), 1.0, np.eye(2)).holds


@pytest.mark.parametrize(("size", "holds"), [(0.75, True), (1.0, False), (1.25, False), (2.5, False), (nan, False)])
@pytest.mark.parametrize("waits", [0, 14, 15])
def test_a_bound_ends_with_the_step_that_may_reach_it(size, holds, waits):
    """Also where errors are still to be added up."""
    pace = Pace(np.array([[1.0]]), 1.0, np.zeros(1), (np.zeros((1, 1)),) * waits, 0.0, True)
    assert pace.after(np.array([[size]])).holds is holds


def test_a_bound_is_over_what_rows_have_travelled_so_far():
    """Longer rows, and less that is left of the way to a kink."""
    network = Network.mlp([2, 60, 2])
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(0)
    state = kernel.init([rng.normal(size=(60, 2)), rng.normal(size=(2, 60))], np.array([[1.0, 0.2], [-0.3, 1.0]]))
    columns, watch, inner = state.columns[1], state.watches[1], np.eye(2)
    weights = np.asarray(state.arrays[2]).T
    travelled = watch.least * 0.25
    weights = weights.astype(np.float32)  # whose rounding is seen
    made = columns.paced(further(watch, travelled), weights, 1.0, inner).pace
    longest = max(np.linalg.norm(weights[b.columns].astype(float)) for b in columns.blocks)
    rows = watch.size + travelled
    left = (watch.least - travelled - 2 * columns._slack(np.dtype(np.float32)) * rows).min(axis=0)
    wanted = Pace.of(longest, rows.max(axis=0), left, 1.0, inner)
    np.testing.assert_allclose(made.share, wanted.share, rtol=1e-12)
    first = columns.paced(watch, weights, 1.0, inner).pace
    assert (made.share[:2].diagonal() > 1.3 * first.share[:2].diagonal()).all()


def further(watch, travelled):
    return type(watch)(travelled, watch.size, watch.due, watch.least, watch.seen)


def test_a_watch_is_begun_anew_over_some_blocks_and_goes_on_over_the_others():
    network = Network.mlp([2, 60, 2], bias=True)
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    state = kernel.init(weights, np.array([[1.0, 0.2], [-0.3, 1.0]]))
    columns, watch = state.columns[1], state.watches[1]
    watch = further(watch, watch.least / 2)
    rows = state.rows[1] + rng.normal(size=state.rows[1].shape) / 64
    assert len(columns.blocks) > 2
    new, made = columns.watch(rows), columns.watch_on(watch, rows, [1])
    assert made.pace is None and made.seen is rows
    for b, block in enumerate(columns.blocks):
        far = np.linalg.norm(rows[:, block.columns] - state.rows[1][:, block.columns], axis=1)
        wanted = new if b == 1 else watch
        np.testing.assert_allclose(made.travelled[b], 0 if b == 1 else watch.travelled[b] + far, rtol=1e-8)
        for name in ("size", "due", "least"):
            np.testing.assert_array_equal(getattr(made, name)[b], getattr(wanted, name)[b])
        np.testing.assert_allclose(new.size[b], np.linalg.norm(rows[:, block.columns], axis=1))
        distance = np.abs(block.xi @ rows[:, block.columns].T + _rest(block))
        lengths = np.linalg.norm(block.xi, axis=1)
        np.testing.assert_allclose(new.due[b], distance / lengths[:, None], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(new.least[b], new.due[b].min(axis=0))
    assert not new.travelled.any()
    rounded = rows.astype(np.float32)
    for block, due in zip(columns.blocks, columns.watch(rounded).due, strict=True):
        distance = np.abs(block.xi @ rounded[:, block.columns].T + _rest(block))
        distance -= 64 * 2.0**-23 * np.abs(_rest(block))  # what stands beside the columns rounds by itself
        np.testing.assert_allclose(due, distance / np.linalg.norm(block.xi, axis=1)[:, None], rtol=1e-9, atol=1e-12)
    products = np.abs(state.run.x @ state.run.x.T + 1)
    assert (state.run.inner >= products).all() and (state.run.inner < 1.001 * products).all()
    for fine in (0.0, 2.0**-10):
        assert replace(columns, fine=fine)._slack(np.dtype(np.float32)) == pytest.approx(64 * 2.0**-23 + fine)


@pytest.mark.parametrize("off", [0.0, 1e-12, -1e-12])
def test_a_unit_in_a_block_that_comes_near_to_a_kink_is_on_it(off):
    """So near as rounding leaves it; others of its block that have not come to one are where they were."""
    network = Network.mlp([2, 60, 2], bias=True)
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    state = kernel.init(weights, np.array([[1.0, 0.2], [-0.3, 1.0]]))
    columns, watch = replace(state.columns[1], fine=2.0**-30), replace(state.watches[1], pace=None)
    for b, block in enumerate(columns.blocks):
        for n in {0, 1} - set(block.idle.tolist()):
            rows, xi = state.rows[1].copy(), block.xi[3]
            rows[n, block.columns] += (off - xi @ rows[n, block.columns]) * xi / (xi @ xi)
            crossed, after = columns.look(rows, watch)
            s = block.seen(rows)
            wanted = np.where(s > 0, 2, 0)
            wanted[3, n] = 1
            left = np.flatnonzero((wanted != block.pattern).any(axis=1))
            places, codes = crossed.members[b]
            assert 3 in left and places.tolist() == left.tolist() and (codes == wanted[left]).all()
            assert after.pace is None and after.travelled[b, n] > watch.travelled[b, n]


def test_a_bound_goes_on_by_the_errors_of_the_step():
    """Times eta, sample by sample."""
    network = Network.mlp([2, 60, 2])
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(0)
    x, target = np.array([[1.0, 0.2], [-0.3, 1.0]]), rng.normal(size=(2, 2))
    state = kernel.init([rng.normal(size=(60, 2)), rng.normal(size=(2, 60))], x)
    after = kernel.step(state, x, target, 1e-6)
    (errors,) = after.watches[1].pace.waiting
    np.testing.assert_allclose(errors, 1e-6 * (state.output - target), rtol=1e-12)


def test_a_line_through_a_kink_has_the_slope_that_is_declared_and_the_value_there():
    """And the lines of pieces are those of the pieces."""
    for phi in (HAT, Network.mlp([1, 1, 1], "leaky_relu").layers[0].activation):
        lines = lines_of(phi)
        offsets = lines.offsets or (0.0,) * len(lines.slopes)
        assert len(lines.slopes) == len(offsets) == 2 * len(phi.kinks) + 1
        for n, kink in enumerate(map(float, phi.kinks)):
            for at in (2 * n, 2 * n + 1, 2 * n + 2):
                assert lines.slopes[at] * kink + offsets[at] == float(phi.value_at(phi.kinks[n]))
            assert lines.slopes[2 * n + 1] == float(phi.kink_slopes[n])
        assert list(lines.slopes[::2]) == [float(piece.slope) for piece in phi.pieces]


def _rest(block):
    """What stands beside the columns, (units, samples)."""
    made = np.zeros((len(block.xi), len(block.pattern)))
    made[:, block.idle] = block.rest
    return made


def test_the_nearest_kink_is_as_far_as_it_is():
    s = np.array([[-2.0, -0.5], [0.25, 7.0]])
    assert (Lines((), (1.0,), ()).distance(s) == np.inf).all() and Lines((), (1.0,), ()).distance(s).shape == s.shape
    np.testing.assert_array_equal(Lines((0.0,), (0.0, 0.5, 1.0), ()).distance(s), np.abs(s))
    hat = Lines((-1.0, 2.0), (1.0,) * 5, ())
    np.testing.assert_array_equal(hat.distance(s), [[1.0, 0.5], [1.25, 5.0]])
    at = np.array([-1.25, -1.0, -0.875, 0.0, 1.75, 2.0, 2.25])
    np.testing.assert_array_equal(hat.codes_of(at), [0, 1, 2, 2, 2, 3, 4])
    np.testing.assert_array_equal(hat.codes_of(at, 0.125), [0, 1, 1, 2, 2, 3, 4])
    np.testing.assert_array_equal(hat.codes_of(at, np.array([0.25, 0, 0, 0, 0.5, 0, 0.125])), [1, 1, 2, 2, 3, 3, 4])


def test_columns_of_no_blocks_are_not_bounded():
    columns = SimpleNamespace(blocks=())
    assert Columns.paced(columns, "watch", None, 1.0, None) == "watch"


@pytest.mark.parametrize(
    ("numbers", "refused"),
    [([1e308] * 4, False), ([1.0, 2.0], False), ([], False), ([1.0, nan], True), ([np.inf, 1.0], True),
     ([np.inf, -np.inf], True), ([-np.inf], True)],
)  # fmt: skip
@np.errstate(all="ignore")
def test_what_is_not_finite_is_refused_and_what_only_adds_up_to_too_much_is_not(numbers, refused):
    def diverged(steps):
        return Diverged(f"after step {steps}")

    run = SimpleNamespace(table=SimpleNamespace(finite=(1,)), diverged=diverged)
    state = SimpleNamespace(run=run, columns={}, arrays=(np.array([nan]), np.array(numbers)), steps=3)
    if refused:
        with pytest.raises(Diverged, match="after step 3"):
            _refuse_infinite(state, set())
    else:
        _refuse_infinite(state, set())


def test_numbers_are_short_where_they_are_multiples_of_a_millionth():
    """Of 2^-20: weights and inputs, wherever in them one is that is not."""
    table = SimpleNamespace(bound=None)

    def fine(x, *weights):
        return Run(table, np.array(x), False, tuple(map(np.array, weights)), np.dtype(float)).fine

    long, short = 2.0**-21, 3 * 2.0**-20
    assert fine([[short, 1.0]], [[0.5, -short]]) > 0
    assert (
        fine([[long, 1.0]], [[0.5]]) == fine([[short]], [[0.5, -long]]) == fine([[short]], [1.0] * 99 + [long]) == 0.0
    )


@pytest.mark.parametrize("bias", [[False, False], [True, True], [True, False], [False, True]], ids=str)
def test_few_numbers_bound_a_plain_step_of_one_hidden_layer_and_no_other(bias):
    plain = Network.mlp([2, 9, 3], bias=bias)
    own = [a.name for a in CollapsedKernel(plain, "simultaneous", (0, 1)).init(
        [np.ones(plain.shape(a)) for a in plain.parameters], np.ones((2, 2))).run.own]  # fmt: skip

    def bound(network, layers=(0, 1)):
        return table_of(network.training(network.rule, "sum", 2), "simultaneous", layers).bound

    assert bound(plain) == (own.index("W2"), int(bias[0]))
    others = [
        (plain, (1,)), (Network.mlp([2, 9, 3], HAT, bias=bias), (0, 1)), (plain.training("momentum"), (0, 1)),
        (Network.mlp([2, 9, 3, 1], bias=[*bias, False]), (0, 1)),
    ]  # fmt: skip
    if bias[0]:
        others.append((plain.shared("b1"), (0, 1)))
    for network, layers in others:
        assert bound(network, layers) is None


# ----------------------------------------------------------------------------------------------- what is given


def test_numbers_of_units_are_put_where_they_were():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((2, 5), (5, 3), (4, 5, 2), (7,))]
    for numbers, read, follows in (
        (Numbers(1, ((0, 1), (1, 0)), ((2, 1),)), 5, 8), (Numbers(1, ((2, 1),), ()), 8, 0),
        (Numbers(1, ((1, 0),), ((0, 1),)), 3, 2),
    ):  # fmt: skip
        values, following = numbers.of(arrays)
        assert values.shape == (5, read) and following.shape == (5, follows)
        again = numbers.put(arrays, values, following)
        assert all((a == b).all() and a.shape == b.shape for a, b in zip(arrays, again, strict=True))
        doubled = numbers.put(arrays, 2 * values, 3 * following)
        for k, array in enumerate(arrays):
            by = 2 if k in dict(numbers.read) else 3 if k in dict(numbers.following) else 1
            np.testing.assert_array_equal(doubled[k], by * array)


def test_memory_of_a_state_is_aligned_to_lines_of_a_cache():
    """Whatever it is long, and wherever it is made."""
    made = SimpleNamespace(real=np.dtype(float), _packed=lambda w: w, _call=lambda *given: None, samples=0)
    made.step_in_place = lambda *given: None
    kept = []
    for size in (1, 63, 64, 65, 1000, 4095, 4096, 100_001):
        made._size = size
        for _ in range(4):
            state = CFiles.init(made, [], np.ones((1, 2)))
            state[:] = size % 251
            after = CFiles.step(made, state, None, 0.0, 0.1)
            assert len(state) == len(after) == size and (after == state).all() and after is not state
            assert state.ctypes.data % 64 == after.ctypes.data % 64 == 0
            kept += [state, after]  # so that others are elsewhere


@pytest.mark.parametrize("target", ["numpy", "torch"])
@pytest.mark.parametrize("compiling", [False, True])
def test_a_call_is_traced_where_its_own_library_compiles_it(target, compiling, monkeypatch):
    compiler = SimpleNamespace(is_compiling=lambda: compiling)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(compiler=compiler))
    kernel = SimpleNamespace(_inner=SimpleNamespace(target=target))
    assert OneInputKernel._is_traced.fget(kernel) is (compiling and target == "torch")


def test_how_far_apart_arrays_are_is_relative_to_numbers_above_1():
    for got, wanted, off in (
        ([1.0], [1.0], 0.0), ([110.0], [100.0], 0.1), ([0.5], [0.25], 0.25), ([3.0, 4.0], [3.0, 8.0], 0.5),
        ([], [], 0.0), ([nan], [1.0], float("inf")), ([1.0], [nan], float("inf")), ([-1.0], [1.0], 2.0),
    ):  # fmt: skip
        assert agreeing._distance(np.array(got), np.array(wanted)) == pytest.approx(off)


@pytest.mark.parametrize("off", [[], [0.0], [1e-13, 3e-14], [1e-13, 2e-12], [nan], [float("inf"), 0.0]])
def test_files_that_are_off_from_exact_evaluation_are_said_to_be(off, monkeypatch):
    """By the worst of their rows; they have room for the samples of the longest."""
    asked = []

    def made(files, network, stem, samples):
        asked.append(samples)
        return SimpleNamespace(init=1, step=2, output=3, expand=4)

    rows = [SimpleNamespace(x=(np.ones((n + 4, 2)),), off=o) for n, o in enumerate(off)]
    monkeypatch.setattr(agreeing, "CFiles", made)
    monkeypatch.setattr(agreeing, "compiler", lambda: "cc")
    monkeypatch.setattr(agreeing, "_off_row", lambda _, row: row.off)
    monkeypatch.setattr(agreeing, "_beside_autodiff", lambda names, *_: " ".join(names))
    found = agreeing.c_agrees({}, "", Network.mlp([2, 3, 1]), "simultaneous", "update", rows)
    assert asked == [max(3, len(rows) + 3 if rows else 3)]
    if max(off, default=0.0) <= 1e-12:
        assert found == "init step output expand"
    else:
        assert found == f"it is off by {max(off):.2g} from exact evaluation"


def test_files_are_tried_in_numpy_where_there_is_no_compiler(monkeypatch):
    monkeypatch.setattr(agreeing, "compiler", lambda: None)
    monkeypatch.setattr(agreeing, "agrees", lambda text, *_: f"{text} is wrong")
    assert (
        agreeing.c_agrees({}, "the text", Network.mlp([2, 3, 1]), "simultaneous", "update", []) == "the text is wrong"
    )


def test_a_file_is_what_it_says_of_itself_and_what_autodiff_says(monkeypatch):
    said = iter(["", "its row 2", "", ""])

    def selftest():
        if why := next(said):
            raise AssertionError(why)

    monkeypatch.setattr(agreeing, "defined", lambda text: {"selftest": selftest, "text": text})
    monkeypatch.setattr(agreeing, "_beside_autodiff", lambda names, *given: f"{names['text']} {given[1]}")
    network = Network.mlp([2, 3, 1])
    assert agreeing.agrees("one", network, "sequential") == "one sequential"
    assert agreeing.agrees("two", network, "sequential") == "its row 2"


@pytest.mark.parametrize("wrong", ["", "y before", "y at the end", "W1"])
def test_a_frozen_row_is_trained_from_its_first_input_and_every_number_of_it_counts(wrong):
    """A state is how many steps there have been; units stand alone in it, as exact numbers do."""
    w, v = [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]
    row = SimpleNamespace(
        weights=[np.ravel(w), np.ravel(v)], x=([1.0, 2.0], [3.0, 4.0]), target=([0.5], [0.25]), eta=0.125,
        y=([0.0], [1.0], [2.5 if wrong == "y at the end" else 2.0]), expanded=(np.ravel(w), np.ravel(v)),
    )  # fmt: skip
    asked = []

    def init(weights, x, name):
        asked.append(([a.tolist() for a in weights], x, name))
        return 0

    def step(state, x, target, eta):
        assert x is None and (target, eta) == (row.target[state], 0.125)
        return state + 1

    def output(state):
        return np.array([[state + 0.5 * (wrong == "y before" and state == 1)]])

    made = SimpleNamespace(
        init=init, step=step, output=output, expand=lambda state: [np.array(w) + 0.5 * (wrong == "W1"), np.array(v)],
        ends=[4],
    )  # fmt: skip
    off = agreeing._off_row(made, row)
    assert asked == [([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0]], [1.0, 2.0], "init_apart")]
    assert off == {"": 0.0, "y before": 0.5, "y at the end": 0.2, "W1": 0.125}[wrong]


def test_what_a_file_defines_is_known_by_no_name_afterwards(monkeypatch):
    """And a module that had its name has it again."""
    assert agreeing.defined("a = 1 + 1")["a"] == 2 and "exported" not in sys.modules
    other = ModuleType("exported")
    monkeypatch.setitem(sys.modules, "exported", other)
    assert agreeing.defined("a = 1 + 1")["a"] == 2 and sys.modules["exported"] is other
    with pytest.raises(ZeroDivisionError):
        agreeing.defined("a = 1 / 0")
    assert sys.modules["exported"] is other


def test_layers_that_are_summed_over_have_words():
    for layers, said in (
        ((0, 1, 3), "the inputs and layers 1 and 3"), ((2,), "layer 2"), ((1, 3), "layers 1 and 3"),
        ((0,), "the inputs"), ((0, 2), "the inputs and layer 2"),
    ):  # fmt: skip
        assert layers_in_words(layers) == said


def test_the_text_of_the_modules_defines_what_they_define():
    tree = ast.parse(text_of_modules())
    found, text = {node.name: node for node in tree.body if hasattr(node, "name")}, ast.unparse(tree)
    for module in MODULES:
        for node in ast.parse(inspect.getsource(module)).body:
            if hasattr(node, "name"):
                assert ast.dump(found.pop(node.name)) == ast.dump(node)
            elif isinstance(node, ast.Assign) and not ast.unparse(node).startswith("__all__"):
                assert ast.unparse(node) in text
    assert not found


# ------------------------------------------------------------------------------------------------ a known limit


def test_the_limit_of_small_steps_is_what_is_conserved_solved_for_the_weight():
    """v^2 - a w^2 = C and r = w v / vc; eq. 29 is w where the weight is where it froze."""
    found = solution(3)
    w, a, c, vc, wc = (sympy.Symbol(name, real=True) for name in ("w", "a", "C", "vc", "wc"))
    v = sympy.Symbol("v", positive=True)
    assert found.conserved.free_symbols == {w, a, v}
    for terms in (1, 21, True, 2.0):
        with pytest.raises(ArgumentError, match="give a whole number from 2 to 20"):
            solution(terms)
    assert sympy.simplify(found.conserved / (v**2 - a * w**2)).is_number
    assert sympy.expand(found.printed.subs(w, wc) - wc) == 0
    plain = {"w": w, "a": a, "C": c, "vc": vc, "wc": wc}
    at = {"a": 0.7, "C": 1.3, "vc": 1.1, "wc": 0.4}

    def number(expression, **own):
        return float(expression.subs({s: {**at, **own}[s.name] for s in expression.free_symbols if s.name in plain}))

    said = str(found).splitlines()
    assert (
        len(said) == 6 and said[0].startswith(f"{found.conserved} = C, ") and said[4].endswith(f"r = {found.printed}")
    )
    for sign, line in zip(found.signs, said[1:4], strict=True):
        powers = ", ".join(f"w^{n}: {value}" for n, value in sign.series.items())
        assert line == f"  {sign.when}: r = {sign.r}" + f"; {powers}" * bool(powers)
    positive = found.signs[0]
    assert set(positive.series) == {1, 3, 5} and set(found.difference) == {0, 1, 3, 5}
    for small in (0.01, -0.02, 0.03):
        true = small * np.sqrt(at["C"] + at["a"] * small**2) / at["vc"]
        series = sum(number(value) * small**n for n, value in positive.series.items())
        off = sum(number(value) * small**n for n, value in found.difference.items())
        assert abs(series - true) < small**6 and number(positive.r, w=small) == pytest.approx(true, rel=1e-12)
        printed = small + at["a"] * (small**3 - at["wc"] ** 3) / (3 * at["vc"] ** 2)
        assert number(found.printed, w=small) == pytest.approx(printed, rel=1e-12)
        assert abs(off - (true - printed)) < small**6


def test_a_step_for_each_input_is_those_steps_and_events_are_those_of_the_state():
    network = Network.mlp([2, 30, 2])
    kernel = CollapsedKernel(network, "simultaneous", (0, 1), inputs=2)
    rng = np.random.default_rng(2)
    weights, x, targets = (
        [rng.normal(size=(30, 2)), rng.normal(size=(2, 30))],
        rng.normal(size=(2, 2)),
        9 * np.ones((3, 2)),
    )
    first = kernel.init(weights, x)
    np.testing.assert_array_equal(first.inputs, x)
    made = kernel.run(first, [x[0], x[1], x[0]], targets, 0.02)
    state = first
    for n, target in zip((0, 1, 0), targets, strict=True):
        state = kernel.step(state, x[n], target, 0.02)
    for a, b in zip(kernel.expand(made), kernel.expand(state), strict=True):
        np.testing.assert_array_equal(a, b)
    assert kernel.events(made) == made.events == state.events != ()
    assert kernel.output(made, x[1]).shape == (2,) and kernel.output(made, x[1:]).shape == (1, 2)
    np.testing.assert_array_equal(kernel.output(made, x[1]), kernel.output(made, x)[1])
    np.testing.assert_array_equal(kernel.output(made, None), kernel.output(made, x))
    with pytest.raises(ArgumentError, match=r"give the held inputs, \(2, n_0\)\."):
        kernel.init(weights, np.ones((3, 2)))
    free = CollapsedKernel(network, "simultaneous", (0, 1))
    with pytest.raises(ArgumentError, match=r"give the held inputs, \(m, n_0\), or \(n_0,\) for one\."):
        free.init(weights, np.ones((3, 2, 2)))
    for other in (x[None], x[:, None], 2 * x, np.ones((1, 3))):
        with pytest.raises(ArgumentError, match=r"x (is not what|has an input that) init was"):
            kernel.step(first, other, np.ones((2, 2)), 0.1)
    one = free.init(weights, x[0])
    np.testing.assert_array_equal(one.inputs, x[0])
    scheme = fcsym.scheme(Network.mlp([2, 3, 2]), "collapsed")
    assert not scheme.is_statement and scheme.single_input and repr(scheme) == str(scheme)
    assert repr(kernel) == "<kernel: collapsed of 2-30-2, simultaneous order, target numpy>"
    one = fcsym.scheme(Network.mlp([2, 3, 1]), "collapsed").compile()
    assert repr(one) == repr(one._inner) and "2-3-1" in repr(one)
    with pytest.raises(ArgumentError):
        one.init([np.ones((3, 2))], np.ones(2))
    closed = find_collapse(Network.mlp([2, 3, 2]))
    assert repr(closed) == str(closed) and str(scheme).startswith(f"{scheme.title}\n{closed.title.split(',')[0]}")
    assert closed._repr_latex_() == closed.latex() != str(closed)


@pytest.mark.parametrize("lead", [(2,), (2, 1), (1, 3)])
def test_many_networks_are_each_trained_alone(lead):
    """On inputs of its own."""
    network = Network.mlp([2, 20, 2])
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(4)
    count = int(np.prod(lead))
    first, second = rng.normal(size=(*lead, 20, 2)), rng.normal(size=(2, 20))
    for x in (rng.normal(size=(*lead, 3, 2)), rng.normal(size=(*lead, 3, 2))[..., :1, :]):
        target = rng.normal(size=x.shape)
        own = [
            np.broadcast_to(a, (*lead, *a.shape[-2:])).reshape(count, *a.shape[-2:]) for a in (first, second, x, target)
        ]
        states = kernel.init([first, second], x)
        assert states.lead == lead and len(states) == count
        etas = np.linspace(0.01, 0.02, count).reshape(lead)
        states = kernel.step(states, None, target, etas)
        states = kernel.step(states, x, target, 0.01, undefined="nan")
        states = kernel.step(states, x[..., 0, :], target[..., 0, :], 0.01)
        y, made = kernel.output(states, x), kernel.expand(states)
        assert y.shape == x.shape and [a.shape for a in made] == [(*lead, 20, 2), (*lead, 2, 20)]
        for n, (w, v, points, goal) in enumerate(zip(*own, strict=True)):
            one = kernel.init([w, v], points)
            one = kernel.step(one, points, goal, float(etas.ravel()[n]))
            one = kernel.step(one, points, goal, 0.01)
            one = kernel.step(one, points[0], goal[0], 0.01)
            np.testing.assert_array_equal(y.reshape(count, -1, 2)[n], kernel.output(one, points))
            for a, b in zip(made, kernel.expand(one), strict=True):
                np.testing.assert_array_equal(a.reshape(count, *b.shape)[n], b)
    with pytest.raises(ArgumentError, match="leading axes that do not fit together"):
        kernel.init([np.ones((2, 20, 2)), np.ones((3, 2, 20))], np.ones((3, 2)))
    with pytest.raises(ArgumentError, match="does not fit"):
        kernel.init([first, second], np.ones((7, 3, 2)))


def test_labels_are_those_of_each_network():
    network = Network.mlp([2, 9, 3], loss="cross_entropy")
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(4)
    weights, x = [rng.normal(size=(2, 9, 2)), rng.normal(size=(2, 3, 9))], rng.normal(size=(2, 4, 2))
    labels = rng.integers(0, 3, size=(2, 4))
    states = kernel.step(kernel.init(weights, x), x, labels, 0.01)
    for n in range(2):
        one = kernel.step(kernel.init([a[n] for a in weights], x[n]), x[n], np.eye(3)[labels[n]], 0.01)
        np.testing.assert_array_equal(kernel.output(states, x)[n], kernel.output(one, x[n]))
    whole, hot = (kernel.step(one, x[1, 2], own, 0.01) for own in (labels[1, 2], np.eye(3)[labels[1, 2]]))
    np.testing.assert_array_equal(whole.output, hot.output)
    plain = CollapsedKernel(Network.mlp([2, 9, 3]), "simultaneous", (0, 1))
    targets = rng.integers(0, 3, size=(2, 4, 3))  # whole numbers that are no labels
    made = [plain.step(plain.init(weights, x), x, own, 0.01)[1].output for own in (targets, targets.astype(float))]
    np.testing.assert_array_equal(*made)


def test_a_network_that_leaves_the_range_of_numbers_is_nan_from_then_on_where_that_is_asked_for():
    network = Network.mlp([2, 20, 2])
    kernel = CollapsedKernel(network, "simultaneous", (0, 1))
    rng = np.random.default_rng(4)
    x, target = rng.normal(size=(3, 2)), np.full((3, 2), 1e200)
    state = kernel.init([rng.normal(size=(20, 2)), rng.normal(size=(2, 20))], x)
    with pytest.raises(Diverged, match="after step 1"):
        kernel.step(state, x, target, 1e200)
    lost = kernel.step(state, x, target, 1e200, undefined="nan")
    for one in (lost, kernel.step(lost, x, target, 0.1, undefined="nan")):
        assert np.isnan(kernel.output(one, x)).all() and kernel.output(one, x).shape == (3, 2)
        assert all(np.isnan(a).all() for a in kernel.expand(one)) and one.events == state.events
    with pytest.raises(ArgumentError):
        kernel.step(state, x, np.full((3, 2), np.nan), 0.1)


def test_steps_of_one_input_say_at_which_of_them_training_leaves_the_range_of_numbers():
    """Also after a unit has left its piece, and where the weights are numbers and what the equations sum up is not."""
    network = Network.mlp([2, 12, 1], "leaky_relu")
    kernel = fcsym.scheme(network, "collapsed").compile()
    rng = np.random.default_rng(1)
    weights, x = [rng.normal(size=network.shape(a)) for a in network.parameters], rng.normal(size=2)
    state = kernel.init(weights, x)
    targets = [np.array([t]) for t in (9.0, -9.0, 1e200, 1e200, 1e200, 1e200)]
    after = state
    with pytest.raises(Diverged):
        for target in targets:
            after = kernel.step(after, x, target, 0.08)
    made = after.start.steps
    assert 2 <= made < 6 and {e.step for e in kernel.events(after)} & {1, 2}
    with pytest.raises(Diverged, match=f"^At step {made + 1}, "):
        kernel.run(state, [x] * 6, targets, 0.08)


def test_layers_are_chosen_by_what_closes_for_as_many_inputs(monkeypatch):
    """For one input by what closes for one; files are of the layers that are shown."""
    network = Network.mlp([2, 3, 2])
    for samples in (None, 2):
        scheme = CollapsedScheme(network.training(None, "sum", samples) if samples else network, "simultaneous")
        scheme.__dict__["found"] = find_collapse(network, 2, contracted=[1])
        scheme.__dict__["_of_one"] = find_collapse(network, 1, contracted=[0, 1])
        assert scheme.chosen(2) == scheme.chosen(3) == (1,)
        assert scheme.chosen(1) == ((1,) if samples else (0, 1))
    asked = []
    monkeypatch.setattr("fcsym.collapsing.export.export", lambda network, order, layers, *more: asked.append(layers))
    monkeypatch.setattr(CollapsedScheme, "chosen", lambda self, inputs: (1,) if inputs == 2 else (0, 1))
    for samples in (None, 2):
        trained = network.training(None, "sum", samples) if samples else network
        CollapsedScheme(trained, "simultaneous").export("update.py")
        scheme = CollapsedScheme(trained, "simultaneous")
        scheme.__dict__["found"] = find_collapse(trained, 2)
        assert scheme.shown.found.contracted == (1,)
    assert asked == [(1,), (1,)]


def test_the_rate_of_a_step_is_given_or_that_of_the_rule():
    network = Network.mlp([2, 3, 1])
    own = network.training(fcsym.rule("sgd", eta="1/8"))
    assert checked_rate(own, None) == 0.125 and checked_rate(own, 0.5) == checked_rate(network, 0.5) == 0.5
    for bad in (None, nan, float("inf")):
        with pytest.raises(ArgumentError, match="eta is"):
            checked_rate(network, bad)


def test_numbers_that_are_not_there_yet_carry_no_events(monkeypatch):
    """A library that maps or traces the call has none: the state is that of the equations."""

    def codes(self, weights, x):
        raise TypeError

    monkeypatch.setattr(OneInputKernel, "_codes", codes)
    kernel = fcsym.scheme(Network.mlp([2, 3, 1]), "collapsed").compile()
    weights, x = [np.ones((3, 2)), np.ones((1, 3))], np.ones(2)
    state = kernel.init(weights, x)
    assert tuple(state) == tuple(kernel._inner.init(weights, x)) and getattr(state, "start", None) is None


def test_all_functions_of_a_closed_state_say_what_they_are_for():
    closure = find_collapse(Network.mlp([2, 3, 2]).training(None, "sum", 2), 2, contracted=[0, 1]).closure
    parts = ClosedParts(closure, (), ())
    said = [one.about for one in (parts.init, parts.step, parts.output, parts.expand)]
    assert all(text.endswith(".") for text in said) and all(a != b for a, b in combinations(said, 2))
    assert "step" in said[1] and "output" in said[2] and "weights" in said[3]
