"""How a scheme for one input, or for one full batch, knows it again; and what a step says of states and steps.

Each takes a fraction of a second, so that a fault in what is compared is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, Diverged, GateEvent, UndefinedContribution

DENSE = Network.mlp([3, 2, 1])
BIASED = Network.mlp([3, 2, 1], bias=True)
PLACES = Network.sequential((1, 3), [fcsym.Conv1d(1, 1, 2), "relu", fcsym.Flatten(), fcsym.Linear(2, 1)])
BATCH = DENSE.training(batch="mean")
NETWORKS = {"dense": DENSE, "biased": BIASED, "positions": PLACES, "a batch": BATCH}


@cache
def kernel_of(name, scheme="states"):
    return fcsym.scheme(NETWORKS[name], scheme).compile()


def started(name, x, dtype=np.float64, lead=(), scheme="states"):
    """A state for an input of that last axis: the input itself, and a target."""
    kernel, network, rng = kernel_of(name, scheme), NETWORKS[name], np.random.default_rng(0)
    weights = [rng.normal(size=(*lead, *network.shape(a))).astype(dtype) for a in network.parameters]
    x = np.asarray(x, dtype)
    if name == "positions":
        x = x[..., None, :]
    if name == "a batch":
        x = np.stack([x, x[..., ::-1]], axis=-2)
    target = np.zeros((*((2,) if name == "a batch" else ()), 1), dtype)
    return kernel, kernel.init(weights, x), x, target


@pytest.mark.parametrize("size", [1.0, 4.0, 1e9, 3e-7, 1e100])
@pytest.mark.parametrize("name", NETWORKS)
def test_another_input_is_refused_however_alike(name, size):
    """With the same entries in another order, of another sign, a little off; in any units."""
    row = np.array([1.0, 2.0, 0.5]) * size
    kernel, state, x, target = started(name, row)
    kernel.step(state, x, target, 0.1)
    kernel.step(state, x.tolist(), target, 0.1)
    kernel.step(state, None, target, 0.1)
    kernel.output(state, x)
    others = [x[..., [1, 0, 2]], x[..., [0, 2, 1]], -x, x * np.array([1, 1, -1]), x * (1 + 1e-9), x * 2, x * 0]
    others += [x + np.array([0, 0, 1e-9]) * size, x + np.array([1e-9, 0, 0]) * size]
    for other in others:
        for call in (lambda other=other: kernel.step(state, other, target, 0.1),
                     lambda other=other: kernel.output(state, other)):  # fmt: skip
            with pytest.raises(ArgumentError, match=r"is not the (input|one) that init was given"):
                call()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_input_is_known_again_in_another_precision(name):
    """A state in single precision, and the input as it was before it was rounded, or rounded, or in a list."""
    for row in ([0.1, -0.7, 0.3], [0.0, 0.0, 0.0], [1e-3, 3.3e3, 0.2]):
        kernel, state, x, target = started(name, row, np.float32)
        exact = started(name, row)[2]
        for again in (x, exact, x.astype(float), exact.tolist(), x[None], exact[None]):
            for goal in (target, target.astype(float)):
                kernel.step(state, again, goal, 0.1)
            kernel.output(state, again)
        off = exact + np.array([0.0, 0.0, 1e-2])
        with pytest.raises(ArgumentError, match="is not the"):
            kernel.step(state, off, target, 0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_an_input_is_known_again_where_its_entries_cancel(name, dtype):
    """Of a fixed combination that is about 0, in any order of adding; down to the least numbers that it may have."""
    kernel = kernel_of(name)
    h = np.asarray(kernel._namespace["h"], float)
    rng = np.random.default_rng(1)
    for size in (1.0, 1e-30, float(np.finfo(dtype).smallest_normal) * 8):
        for _ in range(10):
            row = np.cross(h, rng.normal(size=3))
            row *= size / np.abs(row).max()
            _, state, x, target = started(name, row, dtype)
            for again in (x, x[None], np.stack([x, x]), x.tolist()):
                kernel.step(state, again, target, 0.1)
                kernel.output(state, again)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_whose_input_is_another_one_is_named(name):
    row = np.array([[[1.0, 2.0, 0.5]] * 3] * 2)
    kernel, state, x, target = started(name, row, lead=(2, 3))
    kernel.step(state, x, target, 0.1)
    kernel.step(state, x[0, 0], target, 0.1)
    other = x.copy()
    other[1, 2] *= 2
    other[1, 1, ..., -1] += 1
    said = "sample 1 of x" if name == "a batch" else r"given \(network \(1, 1\)\)"
    with pytest.raises(ArgumentError, match=said):
        kernel.step(state, other, target, 0.1)
    if name != "a batch":
        with pytest.raises(ArgumentError, match="init was given, and states"):
            _, one, x, target = started(name, row[0, 0])
            kernel.step(one, 2 * x, target, 0.1)


@pytest.mark.parametrize("name", ["positions", "a batch"])
def test_networks_whose_input_is_nothing_have_that_input(name):
    """Beside others, in another precision than that of the state."""
    kernel, state, x, target = started(name, [[0.0, 0.0, 0.0], [0.1, 0.2, 0.7]], np.float32, (2,))
    kernel.step(state, x, target, 0.1)
    kernel.step(state, x.astype(float), target, 0.1)


def test_as_many_samples_are_given_as_at_the_start():
    kernel, state, x, target = started("a batch", [[1.0, 2.0, 0.5]] * 2, lead=(2,))
    for other, count in ((x[:, :1], 1), (np.concatenate([x, x], axis=1), 4)):
        wanted = np.zeros((count, 1))
        with pytest.raises(ArgumentError, match=f"x has {count} samples and "):
            kernel.step(state, other, wanted, 0.1)
        with pytest.raises(ArgumentError, match=f"x has {count} samples and state.s1 has 2: give"):
            kernel.output(state, other)
    for place in (0, 1):
        other = x.copy()
        other[1, place, 0] = np.nan
        with pytest.raises(ArgumentError, match=f"sample {place + 1} of x is not the one"):
            kernel.step(state, other, target, 0.1)
    with pytest.raises(ArgumentError, match="target contains numbers that are not finite"):
        kernel.step(state, x, target + np.nan, 0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_input_is_refused_where_nothing_can_be_divided_by_it(dtype):
    """Below the normal numbers; not the least of these, not nothing at all, and never beside a bias or a weight."""
    least = np.finfo(dtype).smallest_normal
    one = np.ones((2, 3), dtype)

    def init(name, x, w=1.0):
        network = NETWORKS[name]
        weights = [np.full(network.shape(a), w, dtype) for a in network.parameters]
        return kernel_of(name).init(weights, np.asarray(x, dtype))

    init("dense", [least, 0, 0])
    init("dense", [0, 0, -least])
    init("dense", [0, 0, 0])
    init("dense", [1, 0, 0], least / 4)
    init("biased", [least / 4, 0, 0])
    init("positions", [[least / 4, 0, 0]])
    for x in ([least / 2, 0, 0], [0, -least / 4, least / 4]):
        with pytest.raises(ArgumentError, match=r"^x is below .* divides by its size"):
            init("dense", x)
    many = [one * 1, np.ones((1, 2), dtype)]
    with pytest.raises(ArgumentError, match=r"^x of network \(2,\) is below"):
        kernel_of("dense").init(many, np.array([[1, 0, 0], [0, 0, 0], [least / 2, 0, 0]], dtype))


# ---------------------------------------------------------------------------------------------- states and steps


def test_a_step_in_which_a_second_moment_leaves_the_range_has_diverged():
    """Although the weights stay where they are: what is divided by it is 0."""
    network = Network.mlp([1, 1]).training("adam")
    kernel = fcsym.scheme(network, "backprop").compile()
    state = kernel.init([np.ones((1, 1))])
    with pytest.raises(Diverged, match="is not finite after this step"):
        kernel.step(state, [1.0], [1e160], 0.1)
    after = kernel.step(state, [1.0], [1e160], 0.1, undefined="nan")
    assert np.isfinite(after.W1).all() and not all(np.isfinite(array).all() for array in after)


def test_what_leaves_the_range_is_named_and_why_it_may_have():
    """A small v^c is a reason for what is divided by it alone."""
    huge = [np.full((1, 1), 1e200), np.full((1, 1), 1e200)]
    kernel = fcsym.scheme(Network.mlp([1, 1, 1]), "backprop").compile()
    with pytest.raises(Diverged, match="training diverges; go back"):
        kernel.step(kernel.init(huge), [1e100], [1.0], 0.1)
    small = [np.full((1, 1), 1e-200), np.full((1, 1), 1e150)]
    kernel = fcsym.scheme(Network.mlp([1, 1, 1]), "weights").compile()
    with pytest.raises(Diverged, match=r"state\.r is not finite.*or v\^c is too small to divide by; go back"):
        kernel.step(kernel.init(small, [1.0]), [1.0], [1e200], 0.1)


def test_a_state_has_as_many_arrays_as_its_scheme():
    kernel, state, x, target = started("dense", [1.0, 2.0, 0.5])
    for wrong, count in ((5, "no"), (state[:2], 2), ([*state, 1], 6), (None, "no")):
        with pytest.raises(
            ArgumentError, match=f"state has {count} arrays and states holds 5: s1, W2, c0, t0, key; use"
        ):
            kernel.step(wrong, x, target, 0.1)


def test_what_is_stored_has_a_row_for_each_input():
    kernel = fcsym.scheme(DENSE, "history").compile()
    rng = np.random.default_rng(0)
    state = kernel.init([rng.normal(size=DENSE.shape(a)) for a in DENSE.parameters])
    for _ in range(2):
        state = kernel.step(state, rng.normal(size=3), [1.0], 0.1)
    with pytest.raises(ArgumentError, match=r"state\.X has 2 inputs and state\.C 1 rows: use init and step"):
        kernel.step(state._replace(C=state.C[:1]), np.ones(3), [1.0], 0.1)
    with pytest.raises(ArgumentError, match=r"state\.X contains numbers that are not finite: the run has diverged"):
        kernel.step(state._replace(X=state.X * np.nan), np.ones(3), [1.0], 0.1)


def test_what_is_no_probability_is_refused_or_let_through_where_marks_are_wanted():
    """By a step and by many in one call; of a scheme with one input as well."""
    network = Network.mlp([1, 1, 1], output="sigmoid", loss="bce")
    for name in ("backprop", "states"):
        kernel = fcsym.scheme(network, name).compile("numpy")
        weights = [np.ones((1, 1)), np.ones((1, 1))]
        state = kernel.init(weights, [1.0]) if name == "states" else kernel.init(weights)
        after = kernel.step(state, [1.0], [2.0], 0.1, undefined="nan")
        for one, other in zip(after, kernel.run(state, [[1.0]], [[2.0]], 0.1, undefined="nan"), strict=True):
            assert (one == other).all() and np.isfinite(one).all()
        with pytest.raises(ArgumentError, match="is no probability"):
            kernel.step(state, [1.0], [2.0], 0.1)


def test_gates_that_are_decided_exactly_are_those_that_something_compares():
    """Each array that a function is asked about has a test, of this function or of a later one."""
    for name in ("states", "history", "backprop"):
        kernel = fcsym.scheme(DENSE, name).compile(gates="exact")
        for gated in kernel.gated.values():
            assert all(tests for tests in gated.tests.values())
            made = {s.name for s in gated.function.statements if hasattr(s, "name")}
            assert set(gated.tests) <= made
    assert set(kernel.gated["output"].tests) == {"s1"}


@pytest.mark.parametrize("samples", [None, 3])
def test_a_step_in_exact_numbers_takes_as_many_samples_as_it_is_given(samples):
    """One step of the mean of squares, by hand: w - eta mean((w x - y) x)."""
    network = Network.mlp([1, 1]).training(batch="mean", samples=samples)
    kernel = fcsym.scheme(network, "backprop").compile()
    x, y = [Fraction(1), Fraction(2), Fraction(-1, 3)], [Fraction(1, 2), Fraction(0), Fraction(5)]
    made = kernel.exact([[["1/3"]]], [[v] for v in x], [[v] for v in y], "1/10")
    w = Fraction(1, 3)
    assert made.W1[0, 0] == w - Fraction(1, 10) * sum((w * a - b) * a for a, b in zip(x, y, strict=True)) / 3
    for none in (5, []):
        with pytest.raises(ArgumentError, match="^x has no samples" if samples is None else "^x "):
            kernel.exact([[["1/3"]]], none, [[v] for v in y], "1/10")
    with pytest.raises(ArgumentError, match="eta is missing"):
        kernel.exact([[["1/3"]]], [[v] for v in x], [[v] for v in y])


def test_what_is_not_finite_is_refused_by_a_scheme_for_one_input():
    kernel, state, x, target = started("dense", [1.0, 2.0, 0.5])
    for bad in (np.nan, np.inf):
        for call in (lambda bad=bad: kernel.step(state, x * bad, target, 0.1),
                     lambda bad=bad: kernel.output(state, x + bad)):  # fmt: skip
            with pytest.raises(ArgumentError, match="x contains numbers that are not finite"):
                call()


def test_an_input_with_the_same_key_is_told_by_its_norm_and_its_size():
    """Two others whose fixed combination is that of x: in units of the largest entry one has another norm, and one has
    the same norm and another size.
    """
    kernel, state, x, target = started("dense", [1.0, -0.9, 0.8])
    h = np.asarray(kernel._namespace["h"], float)
    kernel.step(state, x, target, 0.1)
    across = np.cross(h, [1.0, 0.0, 0.0])  # which leaves the first entry, the largest one, as it is
    with pytest.raises(ArgumentError, match="is not the input"):
        kernel.step(state, x + 0.1 * across / np.abs(across).max(), target, 0.1)
    shape, key = x @ x / np.abs(x).max() ** 2, h @ x
    found = 0
    for largest in (1.05, 1.1, 1.2, 0.9):
        for first in (largest, -largest):
            rest, length = key - h[0] * first, (shape - 1) * largest**2
            flat = h[1:] @ h[1:]
            out = length - rest**2 / flat
            if out < 0:
                continue
            for side in (1, -1):
                tail = h[1:] * rest / flat + side * np.sqrt(out / flat) * np.array([-h[2], h[1]])
                if np.abs(tail).max() >= largest:
                    continue
                other = np.array([first, *tail])
                assert abs(h @ other - key) < 1e-14 and abs(other @ other / largest**2 - shape) < 1e-14
                with pytest.raises(ArgumentError, match="is not the input"):
                    kernel.step(state, other, target, 0.1)
                found += 1
    assert found


def test_a_frozen_unit_that_wakes_up_is_said_to():
    """A unit at 0 moves where its gate is not 0, and no p makes up for that."""
    network = Network.mlp([1, 1, 1], "leaky_relu")
    for name in ("weights", "compensation"):
        kernel = fcsym.scheme(network, name).compile("numpy")
        state = kernel.init([np.zeros((1, 1)), np.ones((1, 1))], [1.0])
        with pytest.raises(UndefinedContribution):
            kernel.step(state, [1.0], [1.0], 0.1)
        with pytest.raises(UndefinedContribution, match=r"^At step 1, "):
            kernel.run(state, [[1.0]], [[1.0]], 0.1)
        after = kernel.step(state, [1.0], [1.0], 0.1, undefined="nan")
        assert not all(np.isfinite(array).all() for array in after)


def test_a_unit_that_has_left_its_piece_is_said_to_have():
    """By the step and by the output, which is no number where marks are wanted."""
    kernel = fcsym.scheme(Network.mlp([1, 2, 1]), "collapsed").compile("numpy")
    state = kernel.init([np.array([[1.0], [0.5]]), np.array([[1.0, -1.0]])], [1.0])
    after = kernel.step(state, [1.0], [-50.0], 1.0, undefined="nan")
    for call in (lambda: kernel.step(after, [1.0], [1.0], 0.1), lambda: kernel.output(after, [1.0])):
        with pytest.raises(GateEvent, match="has left the piece"):
            call()
    assert np.isnan(kernel.output(after, [1.0], undefined="nan")).all()
    assert np.isfinite(kernel.output(state, [1.0])).all()


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_no_step_takes_a_state_as_one_step_does(target):
    """With numbers that are not finite only where marks are wanted."""
    if target == "c":
        need("cc")
    kernel = fcsym.scheme(Network.mlp([1, 1]), "backprop").compile(target)
    lost, none = [np.full((1, 1), np.nan)], (np.zeros((0, 1)), np.zeros((0, 1)), 0.1)
    with pytest.raises(ArgumentError, match=r"state\.W1 contains numbers that are not finite"):
        kernel.run(lost, *none)
    assert np.isnan(kernel.run(lost, *none, undefined="nan").W1).all()
    assert np.isnan(kernel.step(lost, [1.0], [1.0], 0.1, undefined="nan").W1).all()
