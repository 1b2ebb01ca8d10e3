"""What kernels make of what they are given: labels, tokens, precisions, and what they refuse, in which words.

Each takes a fraction of a second, so that a fault in what is looked at before anything runs is seen by a test that is
quick.
"""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, Diverged
from fcsym.kernel.arguments import (
    Argument,
    all_finite,
    as_array,
    cast,
    checked,
    goal,
    mode,
    parameters,
    point,
    rows_of_steps,
)
from fcsym.kernel.batch import _spans

CLASSES = Network.mlp([2, 4, 3], loss="cross_entropy")
CHANCES = Network.mlp([2, 4, 3], output="sigmoid", loss="bce")
PLACES = Network.sequential((5, 2), [fcsym.Linear(2, 3)], loss="cross_entropy")


def given_for(*lead):
    return np.zeros((*lead, 2))


@pytest.mark.parametrize(
    ("lead", "labels"),
    [((), 2), ((), 0), ((5,), [0, 1, 2, 2, 0]), ((2, 3), [[0, 1, 2], [2, 1, 0]]), ((3,), [0, 1, 2]), ((3,), [0, 0, 0])],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_are_rows_with_a_1_where_they_say(lead, labels, dtype):
    """In the precision of the input, and in double precision where it has none."""
    x = given_for(*lead).astype(dtype)
    made = goal(CLASSES, labels, x)
    assert made.dtype == dtype and made.shape == (*lead, 3)
    assert (made == (np.asarray(labels)[..., None] == np.arange(3))).all()
    assert goal(CLASSES, labels, x.tolist()).dtype == np.float64


@pytest.mark.parametrize(
    ("network", "x", "target", "said"),
    [
        (CLASSES, given_for(), 3, "the label 3: labels of .* are whole numbers from 0 to 2"),
        (CLASSES, given_for(), -1, "the label -1: labels"),
        (CLASSES, given_for(4), [0, 5, -7, 3], "the label 5: labels"),
        (CLASSES, given_for(3), [2, -1, 0], "the label -1: labels"),
        (CLASSES, given_for(3), [1, 0, 4], "the label 4: labels"),
        (CLASSES, given_for(), 1.0, r"shape \(\) and dtype float64: give labels, whole numbers of shape \(\), or"),
        (CLASSES, given_for(5), [0, 1], r"whole numbers of shape \(5,\), or distributions over 3 classes, \(..., 3\)"),
        (CLASSES, given_for(5), [0.0] * 5, r"dtype float64: give labels, whole numbers of shape \(5,\), or"),
        (CLASSES, given_for(2, 5), [[0, 1]], r"whole numbers of shape \(2, 5\), or"),
        (CLASSES, given_for(3), [0, 1, 0], "may be 3 labels or one distribution over 3 classes"),
        (CLASSES, given_for(2, 3), [[0, 1, 0], [1, 0, 0]], "may be 3 labels or one distribution over 3 classes"),
        (CLASSES, given_for(3), [0, 0, 1], "may be 3 labels or one distribution over 3 classes"),
        (CLASSES, given_for(), [0.5, 0.25, 0.5], "target is no probability.* that add up to 1, or labels"),
        (CLASSES, given_for(), [1.5, -0.5, 0], "target is no probability.* that add up to 1, or labels"),
        (CLASSES, given_for(), [0.5, 0.25, 0.25 + 1e-6], "target is no probability"),
        (CLASSES, given_for(2), [[1, 0, 0], [0, 1, 1]], r"target at \(1,\) is no probability"),
        (CHANCES, given_for(), [0.5, 1.5, 1.0], r"target at \(1,\) is no probability.* needs numbers from 0 to 1: g"),
        (CHANCES, given_for(2), [[0, 0, 0], [0, 1, -1]], r"target at \(1, 2\) is no probability"),
        (CHANCES, given_for(), [0.5, np.nan, 1.0], r"target at \(1,\) is no probability"),
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused_in_its_own_words(network, x, target, said):
    with pytest.raises(ArgumentError, match=said):
        goal(network, target, x)


@pytest.mark.parametrize(
    ("network", "x", "target"),
    [
        (CLASSES, given_for(), [0.5, 0.25, 0.25]),
        (CLASSES, given_for(), [0.5, 0.25, 0.25 + 1e-8]),
        (CLASSES, given_for(), np.array([1 / 3, 1 / 3, 1 / 3 + 1e-4], np.float32)),
        (CLASSES, given_for(5), [0, 1, 0]),
        (CLASSES, given_for(2, 5), [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (CLASSES, given_for(3), [0.0, 1.0, 0.0]),
        (CLASSES, given_for(3), np.eye(3, dtype=int)),
        (CHANCES, given_for(), [0, 1, 1]),
        (CHANCES, given_for(), [0.5, 0.0, 1.0]),
        (CHANCES, given_for(), 7),
        (CHANCES, given_for(5), [2] * 5),
        (Network.mlp([2, 4, 3]), given_for(), [5, -1, 0]),
    ],
)
def test_any_other_target_stays_as_it_is(network, x, target):
    """Distributions but for roundings, chances, numbers; what has another shape is refused by its shape later."""
    assert goal(network, target, x) is target
    assert goal(network, target, x, False) is target


def test_what_is_no_probability_is_let_through_where_it_is_not_looked_at():
    for network in (CLASSES, CHANCES):
        target = [2.0, 3.0, -1.0]
        assert goal(network, target, given_for(), False) is target


def test_samples_may_have_labels_that_could_be_one_distribution():
    made = goal(CLASSES.training(batch="mean"), [0, 1, 0], given_for(3))
    assert made.tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_labels_are_one_for_each_position_of_the_read_out():
    assert goal(PLACES, [0, 2, 1, 1, 0], np.zeros((5, 2))).argmax(-1).tolist() == [0, 2, 1, 1, 0]
    many = [[0, 2, 1, 1, 0], [2, 2, 2, 0, 0]]
    assert goal(PLACES, many, np.zeros((2, 5, 2))).argmax(-1).tolist() == many


def test_an_input_of_too_few_axes_is_what_is_refused():
    kernel = fcsym.scheme(Network.sequential((2, 4), [fcsym.Flatten(), fcsym.Linear(8, 3)], loss="cross_entropy"),
                          "backprop").compile()  # fmt: skip
    state = kernel.init([np.ones((3, 2, 4)), np.ones(3)])
    for target in (1, [0.0] * 4, [0, 1, 2, 0]):
        with pytest.raises(ArgumentError, match=r"^x has shape \(4,\)" if target == 1 else "^x has shape|^target has"):
            kernel.step(state, np.ones(4), target, 0.1)


TOKENS = Network.sequential((2, 2), [fcsym.Embedding(2, 3), fcsym.Flatten(), fcsym.Linear(6, 1)])
MORE = Network.sequential((2, 5), [fcsym.Embedding(5, 3), fcsym.Flatten(), fcsym.Linear(6, 1)])


def test_tokens_are_rows_with_a_1_where_they_say():
    """In the precision of the weights, all of which have to be single for that."""
    for x in ([4, 0], [[1, 1], [2, 3], [0, 4]]):
        assert (point(MORE, x) == (np.asarray(x)[..., None] == np.arange(5))).all()
    single, double = np.zeros(1, np.float32), np.zeros(1)
    for weights, dtype in (
        ([single, single], np.float32),
        ([single, double], np.float64),
        ([], np.float64),
        ([single], np.float32),
    ):
        assert point(MORE, [4, 0], weights).dtype == dtype


def test_what_may_be_rows_of_a_0_and_a_1_is_taken_for_them():
    """Other whole numbers of that shape are the tokens of two inputs, and what is refused as tokens is no row."""
    for x in ([[0, 1], [1, 0]], [[1, 0], [1, 0]], [[[0, 1], [1, 0]]]):
        assert point(TOKENS, x) is x
    for x in ([[1, 1], [0, 1]], [[0, 0], [0, 1]], [0, 1], [[1, 1], [0, 0]]):
        assert (point(TOKENS, x) == (np.asarray(x)[..., None] == np.arange(2))).all()
    for x, token in (([[0, 2], [1, 0]], 2), ([[-1, 2], [1, 0]], -1), ([[2, -1], [1, 0]], 2)):
        with pytest.raises(ArgumentError, match=f"x has the token {token}: tokens of .* from 0 to 1"):
            point(TOKENS, x)


def test_what_is_no_token_is_left_as_it_is():
    for x in (3, [0.0, 1.0], [1, 2, 3], np.eye(5)[[0, 1]], np.eye(5, dtype=int)[[0, 1]]):
        assert point(MORE, x) is x
    x = [9, 9]
    assert point(Network.parse("2-1"), x) is x


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (5, "weights has no arrays and .* needs 2: W1, W2"),
        ([np.ones((4, 2))], "weights has 1 arrays and .* needs 2"),
        ([1, 2, 3], "weights has 3 arrays"),
    ],
)
def test_so_many_weights_are_given_as_there_are(weights, said):
    with pytest.raises(ArgumentError, match=said):
        parameters(CLASSES, weights)


def test_how_what_is_undefined_is_said_is_one_of_two_words():
    assert mode("nan") is True and mode("raise") is False
    for wrong in ("", "none", "raised", None, 1, ["raise"], np.array(["raise", "nan"])):
        with pytest.raises(ArgumentError, match="choose raise or nan"):
            mode(wrong)


def test_steps_in_one_call_are_rows_of_both_and_lists_have_the_precision_of_the_state():
    single, double = np.zeros(1, np.float32), np.zeros(1)
    for state, dtype in (([single], np.float32), ([single, double], np.float64), ((), np.float64), (None, np.float64)):
        for made in rows_of_steps([[1.0], [2.0]], [[0.5], [0.5]], state):
            assert made.dtype == dtype and made.shape == (2, 1)
    xs, targets = np.ones((2, 1)), np.ones((2, 1), int)
    assert rows_of_steps(xs, targets, [single])[0] is xs and rows_of_steps(xs, targets, [single])[1] is targets
    assert [made.dtype for made in rows_of_steps([["1/2"]], [[1]], [single])] == [np.float32] * 2
    for xs, targets in (([1.0], [[1.0]]), ([[1.0]], [1.0]), ([[1.0], [2.0]], [[1.0]])):
        with pytest.raises(ArgumentError, match=r"both need one row per step"):
            rows_of_steps(xs, targets)


def test_numbers_are_finite_or_not():
    """However many, in whatever shape and of whatever size: squares that overflow say nothing."""
    for shape in ((), (3,), (9000,), (70, 80), (100, 100), (2, 70, 80), (1, 9000)):
        for size in (1.0, 1e200):
            array = np.full(shape, size)
            assert all_finite(array) is True and all_finite(array.astype(int if size == 1 else float)) is True
            for bad in (np.nan, np.inf, -np.inf):
                array.flat[array.size // 2] = bad
                assert all_finite(array) is False
    wide = np.ones((100, 100))
    wide[3, :2] = np.inf, -np.inf
    assert all_finite(wide) is False and all_finite(np.array([2**62] * 4)) is True


def test_arrays_are_all_of_one_precision():
    """Single where all that have one are; plain numbers, lists and eta have no say."""
    single, double, whole = np.ones(2, np.float32), np.ones(2), np.ones(2, int)

    def kinds(*values, names="abcdef"):
        return {made.dtype for made in checked([Argument(n, v, (2,)) for n, v in zip(names, values, strict=False)])}

    assert kinds(single, single) == kinds(single, [1.0, 2.0]) == {np.dtype(np.float32)}
    assert kinds(single, double) == kinds([1, 2]) == kinds(whole, single) == kinds(double) == {np.dtype(np.float64)}
    made = checked([Argument("a", single, (2,)), Argument("eta", np.asarray(0.1), ())])
    assert [array.dtype for array in made] == [np.float32] * 2 and made[0] is single
    assert checked([Argument("a", double, (2,))])[0] is double


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([Argument("a", np.ones(3), (2,))], r"^a has shape \(3,\): it must be \(..., 2\)"),
        ([Argument("a", np.ones(2), (1, 2))], r"^a has shape \(2,\): it must be \(..., 1, 2\)"),
        ([Argument("a", 1.0, (1,))], r"^a has shape \(\): it must be \(..., 1\)"),
        ([Argument("a", np.ones((4, 3)), (None, 2))], r"it must be \(..., m, 2\)"),
        ([Argument("a", np.ones((0, 2)), ("samples", 2))], "a has no samples: give at least one"),
        (
            [Argument("a", np.ones((3, 2)), ("samples", 2)), Argument("b", np.ones((4, 1)), ("samples", 1))],
            "b has 4 samples and a has 3: give as many",
        ),
        (
            [Argument("a", np.ones((3, 2)), (2,)), Argument("c", 1.0, ()), Argument("b", np.ones((4, 2)), (2,))],
            r"The leading axes do not broadcast \(a \(3,\), b \(4,\)\): make",
        ),
        ([Argument("a", [1.0, np.nan], (2,))], "a contains numbers that are not finite: give finite ones"),
        ([Argument("a", [1.0, np.nan], (2,), True, "go back")], "not finite: go back"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, said):
    with pytest.raises(ArgumentError, match=said):
        checked(arguments)


def test_what_fits_is_taken():
    checked([Argument("a", np.ones((3, 1, 2)), (2,)), Argument("b", np.ones((4, 2)), (2,))])
    checked([Argument("a", np.ones((7, 2)), (None, 2)), Argument("b", np.ones((5, 2)), (None, 2))])
    checked([Argument("a", [1.0, np.nan], (2,), False)])


def test_what_another_precision_cannot_hold_is_refused():
    """Beyond its range, and an eta of which nothing is left; another small number is 0 there."""
    for number, said in ((1e300, r"1e\+300"), (-1e300, r"-1e\+300")):
        with pytest.raises(ArgumentError, match=rf"a contains {said}, which is too large for float32"):
            cast("a", np.array([0.0, number]), np.float32)
    with pytest.raises(ArgumentError, match="eta contains 1e-300, which is too small for float32"):
        cast("eta", np.asarray(1e-300), np.float32)
    assert cast("a", np.array([1e-300, np.inf, 2.0]), np.float32).tolist() == [0.0, np.inf, 2.0]
    assert cast("eta", np.asarray(0.0), np.float32) == 0 and cast("eta", np.asarray(0.5), np.float32) == 0.5


def test_what_another_library_says_is_passed_on():
    for problem, said in (
        (RuntimeError("It is far away.\nSo it is."), "It is far away"),
        (RuntimeError(), "RuntimeError"),
    ):

        class Far:
            def __array__(self, *_, problem=problem, **__):
                raise problem

        with pytest.raises(ArgumentError, match=rf"^x is a Far that is no array \({said}\): give NumPy"):
            as_array("x", Far())
    for wrong in (np.ones(2) * 1j, [1j], [None], [True, "x"], np.array([True])):
        with pytest.raises(ArgumentError, match=r"x has dtype|number of x"):
            as_array("x", wrong)
    assert as_array("x", ["1/2", Fraction(1, 4), "0.125"]).tolist() == [0.5, 0.25, 0.125]


# ---------------------------------------------------------------------------------------------------- many at once


def test_spans_cover_all_and_none_is_longer_than_needed():
    for total in range(1, 14):
        for count in range(1, 6):
            spans = _spans(total, count)
            assert [k for start, stop in spans for k in range(start, stop)] == list(range(total))
            assert len(spans) <= count and max(stop - start for start, stop in spans) == -(-total // count)


def started(name="backprop", shape="2-2-1", lead=(3,)):
    network = Network.parse(shape) if isinstance(shape, str) else shape
    scheme = fcsym.scheme(network, name)
    kernel, rng = scheme.compile(), np.random.default_rng(0)
    weights = [rng.normal(size=(*lead, *network.shape(a))) for a in network.parameters]
    return kernel, kernel.init(weights, np.ones(network.one_input)) if scheme.single_input else kernel.init(weights)


def test_a_batch_is_made_of_states():
    kernel, state = started()
    for wrong in ([], [1, 2], 5, [state, 1], [[1.0]]):
        with pytest.raises(ArgumentError, match="batch got no states: give what init"):
            kernel.batch(wrong)
    with pytest.raises(ArgumentError, match="differ in shape"):
        kernel.batch([state, started(lead=(2,))[1]])
    lost = state._replace(W2=np.full_like(state.W2, np.nan))
    with pytest.raises(ArgumentError, match=r"state.W2 contains numbers that are not finite"):
        kernel.batch(lost)
    with pytest.raises(ArgumentError, match="no networks"):
        kernel.batch(started(lead=(0,))[1])
    for threads in (0, True, 1.0, -1, "2"):
        with pytest.raises(ArgumentError, match="threads is"):
            kernel.batch(state, threads)


def test_a_batch_of_one_array_is_stepped():
    kernel, state = started(shape="2-1")
    batch = kernel.batch(state, threads=2)
    batch.step([1.0, 2.0], [0.5], 0.1)
    np.testing.assert_allclose(batch.state.W1, kernel.step(state, [1.0, 2.0], [0.5], 0.1).W1, rtol=1e-14)


def test_the_first_network_that_is_lost_is_named():
    kernel, state = started(shape="1-1-1", lead=(2, 3))
    state.W1[1, 1], state.W1[1, 2] = 1e200, 1e200
    state.W2[1, 1], state.W2[1, 2] = 1e200, 1e200
    batch = kernel.batch(state)
    for _ in range(2):
        batch.step([2.0], [0.5], 0.1)
    with pytest.raises(Diverged, match=re.escape("of network (1, 1) is not finite")):
        batch.read()
    with pytest.raises(Diverged, match=re.escape("of network (1, 1) is not finite")):
        _ = batch.state
    marked = batch.read(undefined="nan")
    assert np.isfinite(marked.W1[0]).all() and not np.isfinite(marked.W1[1, 1]).all()


def test_what_a_batch_is_given_is_one_set_for_all_or_one_for_each():
    kernel, state = started(lead=(3,))
    batch = kernel.batch(state)
    for x, said in (
        (np.ones(3), r"x has shape \(3,\): give"),
        (np.ones((2, 2)), r"x has shape \(2, 2\): give finite numbers, one .* or one for each of \(3,\)"),
        (1.0, r"x has shape \(\): give"),
        ([np.nan, 1.0], r"x has shape \(2,\): give finite"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=said):
            batch.step(x, [0.5], 0.1)
    with pytest.raises(ArgumentError, match=r"eta has shape \(2,\): give"):
        batch.step([1.0, 1.0], [0.5], [0.1, 0.2])
    batch.step(np.ones((3, 2)), np.ones((3, 1)), [0.1, 0.2, 0.3])
    with pytest.raises(ArgumentError, match="The batch has no target, eta: give"):
        batch.step(np.ones(2))


def test_rows_of_steps_of_a_batch_have_an_axis_of_steps():
    kernel, state = started(shape=Network.sequential((1, 4), [fcsym.Flatten(), fcsym.Linear(4, 1)]))
    with pytest.raises(ArgumentError, match=r"x has shape \(4,\): give"):
        kernel.batch(state).run(np.ones((1, 4)), np.ones((1, 1)), 0.1)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_a_batch_knows_its_input_again(lead):
    """Also where one is given for each network, or with axes of length 1 in front; and no other one."""
    kernel, state = started("states", "3-2-1", lead)
    x = np.ones(3)
    for given in (x, np.ones((1, 3)), np.ones((*lead, 3))):
        batch = kernel.batch(state)
        batch.step(given, [0.5], 0.1)
        batch.run([given, given], [[0.5], [0.25]], 0.1)
        with pytest.raises(ArgumentError, match="x is not the input that init was given"):
            batch.step(2 * given, [0.5], 0.1)
        with pytest.raises(ArgumentError, match="x is not the input that init was given"):
            batch.run([given, 2 * given], [[0.5], [0.25]], 0.1)


def test_what_is_pinned_says_what_it_is():
    for lead, kinds in (((), "bound step"), ((3,), "batch of 3 networks"), ((1,), "batch of 1 network:")):
        kernel, state = started(lead=lead)
        made = kernel.batch(state) if lead else kernel.bind(state, [1.0, 1.0], [0.5], 0.1)
        said = repr(made)
        assert said.startswith(f"<{kinds}") and kernel.module.title in said and "numpy" in said
        assert all(name in said for name in kernel.State._fields)
        assert repr(kernel).startswith(f"<kernel: {kernel.module.title}, target numpy; state W1")


@pytest.mark.parametrize("name", ["backprop", "history", "states"])
def test_a_bound_network_takes_one_step_at_a_time(name):
    """In machine code as in Python."""
    need("cc")
    network = Network.parse("2-2-1")
    for target in ("c", "numpy") if name != "history" else ("c",):
        kernel = fcsym.scheme(network, name).compile(target)
        rng = np.random.default_rng(4)
        weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
        state = kernel.init(weights, [1.0, 1.0]) if kernel.scheme.single_input else kernel.init(weights)
        bound = kernel.bind(state, [1.0, 1.0], [0.5], 0.1)
        for _ in range(2):
            bound.step()
            state = kernel.step(state, [1.0, 1.0], [0.5], 0.1)
            for one, other in zip(bound.state, state, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
