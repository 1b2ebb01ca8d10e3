"""What files of kernels are tested with, and how a kernel is held against automatic differentiation before it is one.

Each takes a fraction of a second, so that a fault in a check is seen by a test that is quick.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.checking.oracle import backpropagation
from fcsym.errors import ArgumentError, CompileError
from fcsym.kernel import export
from fcsym.kernel.rows import Exact, _fraction, _row, frozen_rows
from fcsym.schemes import SCHEMES

NETWORKS = {"relu": Network.mlp([2, 2, 1]), "leaky": Network.mlp([2, 2, 1], "leaky_relu")}
SHARED = Network.mlp([2, 2, 1], bias=True).shared("b1")


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("network", [*NETWORKS.values(), SHARED, NETWORKS["relu"].training(batch="mean")], ids=str)
def test_rows_are_what_a_kernel_does_in_floating_point(network, name):
    """Output by output, and the weights at the end; the last step is refused where the row says so."""
    try:
        scheme = fcsym.scheme(network, name)
    except ArgumentError as problem:
        assert name in str(problem)
        return
    if not hasattr(scheme, "base"):  # which has a kernel of its own, and no rows
        return
    rows, kernel = frozen_rows(scheme, draws=40), export._Marking(fcsym.scheme(network, name).compile("numpy"))
    assert rows
    for row in rows:
        weights = [np.reshape(w, network.shape(a)) for w, a in zip(row.weights, network.parameters, strict=True)]
        x = [np.asarray(one) for one in row.x]
        state = kernel.init(weights, x[0])
        for k, (point, goal) in enumerate(zip(x, row.target, strict=True)):
            y = np.ravel(kernel.output(state, point))
            if k == len(row.y):  # where the output is refused already
                assert row.undefined and np.isnan(y).all()
            else:
                np.testing.assert_allclose(y, row.y[k], rtol=1e-9, atol=1e-9)
            state = kernel.step(state, point, np.asarray(goal), row.eta)
        ends = all(np.isfinite(array).all() for array in state)
        assert ends is not row.undefined
        if ends:
            np.testing.assert_allclose(np.ravel(kernel.output(state, x[-1])), row.y[-1], rtol=1e-9, atol=1e-9)
            for one, other in zip(kernel.expand(state, weights, x[0]), row.expanded, strict=True):
                np.testing.assert_allclose(np.ravel(one), other, rtol=1e-9, atol=1e-9)
    if name == "history":
        assert any(np.any(row.x[0] != row.x[1]) for row in rows)
    if name in ("weights", "compensation") and network is NETWORKS["leaky"]:
        assert any(row.undefined for row in rows)
    if name == "collapsed":
        assert any(row.undefined for row in rows)


def test_a_row_is_kept_where_it_reaches_something_new():
    """And none that reaches the same, or less."""
    exact = Exact(fcsym.scheme(NETWORKS["relu"], "backprop"))
    numbers = [[Fraction(1), Fraction(-1, 2), Fraction(2), Fraction(1)], [Fraction(1), Fraction(-1)]]
    given = numbers, [[Fraction(1), Fraction(2)]] * 2, [[Fraction(1)]] * 2, Fraction(1, 8)

    def row(known):
        exact.reached = set()
        return _row(exact, *given, known)

    whole = row(None)
    reached = set(exact.reached)
    assert len(reached) > 1 and whole is not None
    assert row(set(reached)) is None and row({*reached, "more"}) is None
    assert all(row(reached - {one}) == whole for one in reached) and row(set()) == whole


def test_a_number_of_either_kind_is_a_fraction():
    for value in ("0", "3", "-2.5", "0.75", "-0.0078125", "1e300", "-1e-300"):
        exact = Fraction(float(value))
        assert _fraction(mpmath.mpf(float(value))) == _fraction(np.float64(value)) == _fraction(exact) == exact
    assert _fraction(np.float32(-0.5)) == Fraction(-1, 2)


# ---------------------------------------------------------------------------------------------- against autodiff


def faked(monkeypatch, good=None, off=0.0, problem=""):
    """How many networks each group has, in place of comparing them."""
    counts = []

    def group(scheme, kernel, reference, size, rng, count):
        counts.append(count)
        return (count if good is None else good(count)), off, problem

    monkeypatch.setattr(export, "_group", group)
    return counts


@pytest.mark.parametrize("shape", [[2, 2, 1], [3, 200, 200, 2], [10, 700, 700, 1], [3000, 1]])
def test_as_many_networks_are_compared_as_fit_and_the_limit_counts_as_many(shape, monkeypatch):
    """In groups that hold no more numbers at a time; memory is asked for as many of them as a group has."""
    network, counts, asked = Network.mlp(shape), faked(monkeypatch), []
    scheme = type("Scheme", (), {"network": network})()
    assert export._compared(scheme, None, None, 0.1) == (True, "")
    numbers = sum(a * b for a, b in pairwise(shape)) + shape[0] + shape[-1]
    assert sum(counts) == export._networks(numbers) >= export._FEWEST
    assert max(counts) == min(sum(counts), max(1, export._AT_ONCE // numbers))
    monkeypatch.setattr(export, "refuse_beyond", lambda what, size, instead: asked.append(size))
    monkeypatch.setattr(export, "refuse_longer", lambda what, seconds, instead: asked.append(seconds))
    export.refuse_large_check(network)
    assert asked[0] >= export._BYTES * numbers * max(counts)
    assert asked[0] <= 2 * export._BYTES * max(numbers * sum(counts) if len(counts) == 1 else export._AT_ONCE, numbers)


def test_what_is_said_of_a_comparison_is_what_was_found(monkeypatch):
    """Half of the networks are enough, and the largest error counts."""
    scheme = type("Scheme", (), {"network": Network.mlp([2, 2, 1])})()
    faked(monkeypatch, problem="it is wrong")
    assert export._compared(scheme, None, None, 0.1) == (True, "it is wrong")
    for lost, trained in ((0, True), (15, True), (16, True), (17, False), (32, False)):
        counts = faked(monkeypatch, good=lambda count, lost=lost: count - lost)
        done, said = export._compared(scheme, None, None, 0.1)
        assert sum(counts) == 32 and done is trained
        assert said == ("" if trained else f"only {32 - lost} of 32 random networks could be trained")
    for off, fine in ((0.0, True), (export._BAR / 2, True), (export._BAR * 2, False), (float("inf"), False)):
        faked(monkeypatch, off=off)
        done, said = export._compared(scheme, None, None, 0.1)
        assert done and (said == "" if fine else said.startswith("it is off by "))


def test_where_too_few_could_be_trained_smaller_steps_are_tried(monkeypatch):
    """And no more where they could; of more inputs they are smaller from the start."""
    monkeypatch.setattr(export, "_runnable", lambda scheme, target: None)
    for enough, tried in ((1, 1), (2, 2), (3, 3), (9, 3)):
        firsts = []
        for inputs in (1, 50):
            sizes = []

            def compared(scheme, kernel, reference, size, sizes=sizes, enough=enough):
                sizes.append(size)
                return len(sizes) >= enough, f"said of {len(sizes)}"

            monkeypatch.setattr(export, "_compared", compared)
            scheme = type("Scheme", (), {"network": Network.mlp([inputs, 1])})()
            assert export.agrees_with_autodiff(scheme) == f"said of {tried}" and len(sizes) == tried
            assert all(10 * later < earlier for earlier, later in pairwise(sizes))
            firsts.append(sizes[0])
        assert firsts[1] < firsts[0] <= 0.1


class Watched:
    """A kernel of which some networks are lost in the first step."""

    def __init__(self, kernel, lost=()):
        self.kernel, self.lost, self.calls = export._Marking(kernel), list(lost), []

    def init(self, *given):
        self.calls.append("init")
        return self.kernel.init(*given)

    def output(self, *given):
        self.calls.append("output")
        return self.kernel.output(*given)

    def step(self, *given):
        self.calls.append("step")
        state = self.kernel.step(*given)
        for array in state:
            array[self.lost] = np.nan
        return state

    def expand(self, *given):
        self.calls.append("expand")
        return self.kernel.expand(*given)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_networks_that_are_lost_are_not_compared_and_half_of_them_have_to_be_left(count):
    scheme = fcsym.scheme(Network.mlp([2, 2, 1], "tanh"), "backprop")
    steps = export._STEPS
    for lost in range(count + 1):
        kernel = Watched(scheme.compile("numpy"), range(lost))
        good, off, problem = export._group(scheme, kernel, backpropagation, 0.01, np.random.default_rng(0), count)
        assert problem == "" and good == count - lost and off < 1e-12
        enough = 2 * good >= count
        whole = ["init", *["output", "step"] * steps, "output", *(["expand"] if enough else [])]
        assert kernel.calls == (whole if enough or not lost else ["init", "output", "step", "output"])


def test_an_output_after_a_unit_has_left_its_piece_is_wrong():
    """Where a scheme holds its units there, it has to be no number; a network without one is compared on."""
    network = Network.mlp([1, 2, 1])
    scheme = fcsym.scheme(network, "states")

    class Held:
        """A scheme that says so of itself, and gives what backpropagation does."""

        gates, single_input, order = True, True, scheme.order

        def __init__(self):
            self.network = network

    def moved(net, order, weights, x, goal, eta, memory):
        true = backpropagation(net, order, weights, x, goal, eta, memory)
        moved.times += 1
        return true | {"s1": -true["s1"] if moved.times > 1 else true["s1"]}

    for marked in (False, True):
        moved.times = 0
        kernel = Watched(fcsym.scheme(network, "states").compile("numpy"))
        if marked:
            whole = kernel.kernel.output
            kernel.output = lambda *given, whole=whole: whole(*given) * (np.nan if moved.times > 1 else 1)
        good, _, problem = export._group(Held(), kernel, moved, 0.001, np.random.default_rng(0), 4)
        assert good == 0
        assert problem == ("" if marked else "it gives an output after a unit has left its piece")


def test_the_largest_error_is_relative_to_large_numbers():
    """Of each network to its own; infinite for another shape, or what is no number; of those that are left."""
    rng, good = np.random.default_rng(0), np.array([True, False, True])
    for shape in ((3,), (3, 2), (3, 2, 2)):
        wanted = rng.normal(size=shape) * np.array([0.1, 1.0, 50.0]).reshape(-1, *(1,) * (len(shape) - 1))
        error = rng.normal(size=shape)
        each = [np.abs(error[k]).max() / max(1, np.abs(wanted[k]).max()) for k in (0, 2)]
        assert export._distance(wanted + error, wanted, good) == pytest.approx(max(each), rel=1e-12)
        assert export._distance(wanted, wanted, good) == 0
        bad = wanted.copy()
        bad[1] = np.nan
        assert export._distance(bad, wanted, good) == 0
        bad[2] = np.nan
        assert export._distance(bad, wanted, good) == float("inf")
    assert export._distance(np.zeros((3, 1)), np.zeros((3, 2)), good) == float("inf")


def test_what_this_machine_cannot_run_is_compared_as_numpy_runs_it(monkeypatch):
    """Without a compiler, or the library."""
    scheme = fcsym.scheme(Network.mlp([1, 1]), "backprop")
    monkeypatch.setattr("fcsym.kernel.native.compiler", lambda: None)
    for name in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, name, None)
    for target in ("numpy", "c", "torch", "jax"):
        kernel = export._runnable(scheme, target)
        state = kernel.init([np.array([[2.0]])], None)
        assert isinstance(kernel, export._Marking) and kernel.output(state, [3.0]).tolist() == [6.0]
    with pytest.raises(CompileError, match="Nothing here runs the target other"):
        export._runnable(scheme, "other")


def test_a_file_may_not_hide_a_module_that_it_needs(tmp_path):
    for name in ("json", "random", "numpy", "torch", "jax"):
        with pytest.raises(ArgumentError, match=f"would hide the module {name} from itself"):
            export.destination(tmp_path / f"{name}.py", None)
        where, target, stem = export.destination(tmp_path / f"{name}.c", None)
        assert (where.name, target.name, stem) == (f"{name}.c", "c", name)
    assert export.destination(tmp_path / "mine.py", None)[2] == "mine"
    assert export.destination(tmp_path / "mine.py", "torch")[1].name == "torch"
    for name, target, said in (
        ("mine.txt", None, "in neither"),
        ("mine.c", "numpy", "is no name for numpy: end it in"),
    ):
        with pytest.raises(ArgumentError, match=said):
            export.destination(tmp_path / name, target)
