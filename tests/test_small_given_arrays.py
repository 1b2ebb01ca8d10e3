"""What kernels are given: arrays of the right number, shape and kind, in whichever way they are asked for.

Where nothing is compiled for it, so that each takes a few milliseconds.
"""

from __future__ import annotations

from collections import namedtuple
from fractions import Fraction
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError
from fcsym.kernel import arguments
from fcsym.kernel.arguments import Argument, checked
from fcsym.kernel.batch import ArrayBatch, TileBatch
from fcsym.kernel.gradient import GradientKernel
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.native_scheme import NativeKernel
from fcsym.kernel.pure import PureKernel
from fcsym.kernel.stored import fraction_of
from fcsym.language.expression import Array, Role


def test_arguments_of_every_kind_are_taken_or_refused():
    """Numbers, labels, tokens, weights, what a rule carries, and how undefined numbers are asked for."""
    network = Network.mlp([2, 3, 2], loss="cross_entropy").training("momentum")
    weights = [np.ones((3, 2)), np.ones((2, 3))]
    given = [*arguments.parameters(network, weights), *arguments.remembered(network, None)]
    made = checked([*given, Argument("eta", "1/2", ())])
    assert [array.shape for array in made] == [(3, 2), (2, 3), (3, 2), (2, 3), ()] and made[-1] == 0.5
    assert {array.dtype for array in made} == {np.dtype(float)}
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ArgumentError, match="a contains numbers that are not finite: give finite ones"):
            checked([Argument("a", [1.0, bad], (2,))])
        assert not np.isfinite(checked([Argument("a", [1.0, bad], (2,), False)])[0]).all()
    assert arguments.goal(network, [0, 1, 1], np.ones((3, 2))).tolist() == [[1, 0], [0, 1], [0, 1]]
    with pytest.raises(ArgumentError, match="has the label 2"):
        arguments.goal(network, [0, 2, 1], np.ones((3, 2)))
    assert arguments.point(network, [1.0, 2.0]) == [1.0, 2.0]
    xs, targets = arguments.rows_of_steps([[1.0, 2.0]], [[1.0]], [np.float32(1)])
    assert xs.dtype == targets.dtype == np.float32
    assert arguments.mode("nan") is True and arguments.mode("raise") is False
    assert arguments.rate(network, "1/4") == 0.25
    for shape in ((2,), (3, 3), (3,), (4, 2, 2)):
        with pytest.raises(ArgumentError, match=r"W has shape .*: it must be \(\.\.\., 3, 2\)"):
            checked([Argument("W", np.ones(shape), (3, 2))])
    with pytest.raises(ArgumentError, match="W1 has"):
        checked(arguments.parameters(network, weights[::-1]))


@pytest.mark.parametrize("samples", [False, True])
def test_rows_of_steps_of_machine_code_have_every_axis_and_are_finite_real_numbers(samples):
    """Each of what can be wrong is refused alone."""
    kernel = NativeKernel.__new__(NativeKernel)
    kernel.network, kernel.module = Network.mlp([3, 2]), SimpleNamespace(samples=samples)
    for name, width in (("x", 3), ("target", 2)):
        shape = (4, 5, width) if samples else (4, width)
        good = np.ones(shape)
        for lead in ((), (6,)):
            rows = np.ones((shape[0], *lead, *shape[1:]))
            assert kernel._rows(name, rows, rows.dtype) is rows
        assert kernel._rows(name, np.ones(shape, int), good.dtype).dtype == good.dtype
        wrong = [np.ones(shape[1:]), np.ones((*shape[:-1], width + 1)), good.astype(bool), good.astype(complex)]
        for bad in (np.nan, np.inf):
            wrong.append(good.copy())
            wrong[-1].flat[2] = bad
        for rows in wrong:
            with pytest.raises(
                ArgumentError, match=rf"{name}s must be finite real numbers of shape \(steps, ..., {width}"
            ):
                kernel._rows(name, rows, good.dtype)


@pytest.mark.parametrize("positions", [2, 3])
@pytest.mark.parametrize("lead", [(), (2,), (3,), (4, 2)])
def test_tokens_of_a_library_are_rows_and_rows_stay(positions, lead):
    """Also where there are as many tokens as positions, and networks along leading axes."""
    kernel = PureKernel.__new__(PureKernel)
    kernel.network = Network.sequential(
        (positions, 3), [fcsym.Embedding(3, 2), fcsym.Flatten(), fcsym.Linear(2 * positions, 1)]
    )
    kernel._own, kernel._make = np.ndarray, lambda array, like: array
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 3, (*lead, positions))
    rows = np.eye(3)[tokens]
    if (lead[-1:], positions) != ((positions,), 3):  # 3 rows of 3 tokens may be what they are not
        assert np.array_equal(kernel._rows(tokens, None), rows)
    whole = rows.astype(int)
    assert np.array_equal(kernel._rows(whole, None), rows) and np.array_equal(kernel._rows(rows, None), rows)
    assert kernel._rows(None, None) is None


def test_a_kernel_says_what_it_is_of():
    """Its network, its order, its target, and the shapes of what it holds."""
    network = Network.mlp([2, 3, 1])
    for order in ("sequential", "simultaneous"):
        said = repr(fcsym.derive(network, order=order).compile())
        assert (
            said == f"<kernel of one training step: 2-3-1, {order} order, target numpy; weights W1 (3, 2), W2 (1, 3)>"
        )
    scheme = fcsym.scheme(network, "backprop")
    kernel = PureKernel.__new__(PureKernel)
    kernel.scheme, kernel.network, kernel.module, kernel.target = scheme, network, lower_scheme(scheme), "jax"
    assert repr(kernel) == f"<kernel: {kernel.module.title}, target jax; state W1 (3, 2), W2 (1, 3)>"


def test_what_an_update_rule_carries_is_a_list_of_arrays():
    """For a step in exact numbers as for any other."""
    kernel = fcsym.derive(Network.mlp([1, 1]).training("momentum")).compile()
    weights, rest = [[[1]]], ([1], [1], "1/2")
    right = kernel.exact(weights, *rest, memory=[[[0]]]).W1_new
    assert right[0, 0] == kernel.exact(weights, *rest).W1_new[0, 0]
    for wrong in ([], [[[0]], [[0]]], 5):
        with pytest.raises(ArgumentError, match="memory is no list of 1 arrays"):
            kernel.exact(weights, *rest, memory=wrong)


def test_directions_are_given_where_they_are_needed_and_nowhere_else():
    kernel = GradientKernel.__new__(GradientKernel)
    kernel.network = Network.mlp([2, 1])
    theta = kernel.network.parameters[0]
    direction = Array("T", None, theta.axes, role=Role.DIRECTION, of=theta)
    kernel.directions = ()
    assert kernel._along(None) == []
    for wrong in ([], [np.ones((1, 2))], {"W1": 1}):
        with pytest.raises(ArgumentError, match="a direction for each of none"):
            kernel._along(wrong)
    kernel.directions = (direction,)
    for given in ([5], {"W1": 5}):
        (made,) = kernel._along(given)
        assert (made.name, made.value, made.shape) == ("T", 5, (1, 2))
    for wrong in (None, [], [1, 2], {}, {"W2": 5}, {"W1": 5, "W2": 5}, 5):
        with pytest.raises(ArgumentError, match="a direction for each of W1"):
            kernel._along(wrong)


def test_a_state_has_as_many_arrays_as_its_scheme_and_is_finite_where_it_is_bound():
    scheme = fcsym.scheme(Network.mlp([2, 2, 1]), "backprop")
    kernel = scheme.compile()
    state = kernel.init([np.ones((2, 2)), np.ones((1, 2))])
    for wrong, count in ((state[:1], "1"), ((*state, 1.0), "3"), (5, "no")):
        with pytest.raises(ArgumentError, match=f"state has {count} arrays and backprop holds 2"):
            kernel.step(wrong, [1.0, 1.0], [1.0], 0.1)
    for bad in (np.nan, np.inf):
        with pytest.raises(ArgumentError, match=r"state.W1 contains numbers that are not finite"):
            kernel.bind(state._replace(W1=np.full((2, 2), bad)), [1.0, 1.0], [1.0], 0.1)
    assert "_step_tile" in kernel._namespace and type(kernel.batch([state])) is TileBatch
    del kernel._namespace["_step_tile"]
    assert type(kernel.batch([state])) is ArrayBatch


def test_a_module_has_the_constants_of_its_scheme_and_says_whether_it_measures_its_input():
    network = Network.mlp([2, 2, 1])
    for name, measured in (("basis", False), ("states", True), ("backprop", False)):
        scheme = fcsym.scheme(network, name)
        module = lower_scheme(scheme)
        for array, matrix in scheme.constants.items():
            shape = network.lengths(array)
            assert np.shape(np.array(module.constants[array.name], float)) == tuple(shape)
            assert np.array_equal(np.ravel(np.array(module.constants[array.name])), np.ravel(np.array(matrix)))
        assert module.measured is measured


# --------------------------------------------------------------------------------------------------- the one input


def test_an_input_is_the_same_up_to_the_rounding_of_the_sum_that_it_is_known_by():
    """Where its terms cancel, too; beyond, it is another one."""
    kernel = fcsym.scheme(Network.mlp([3, 2, 1]), "states").compile()
    h = np.ravel(kernel._namespace["h"])
    x = np.array([h[1] + h[2], -h[0], -h[0]])
    state = kernel.init([np.ones((2, 3)), np.ones((1, 2))], x)
    size = np.finfo(float).eps * float(np.abs(h) @ np.abs(x))
    for off, same in ((0.0, True), (size, True), (-size, True), (100 * size, False), (-100 * size, False)):
        moved = state._replace(key=np.asarray(state.key + off))
        if same:
            kernel.step(moved, x, [1.0], 0.01)
        else:
            with pytest.raises(ArgumentError, match="x is not the input that init was given"):
                kernel.step(moved, x, [1.0], 0.01)


def test_an_input_is_divided_by_from_the_smallest_normal_number_on():
    kernel = fcsym.scheme(Network.mlp([2, 2, 1]), "states").compile()
    least = np.finfo(float).smallest_normal
    weights = [np.ones((2, 2)), np.ones((1, 2))]
    for size in (0.0, least, -least, np.nextafter(least, 1)):
        kernel.init(weights, [size, 0.0])
    for size in (np.nextafter(least, 0), -least / 2):
        with pytest.raises(ArgumentError, match="the smallest normal number"):
            kernel.init(weights, [size, 0.0])


def test_samples_that_stay_are_the_same_in_a_precision_that_rounds_them_to_nothing():
    """Half of the least number is 0 there, and what they are known by may be the least number."""
    kernel = fcsym.scheme(Network.mlp([1, 1, 1]), "states", batch="mean").compile()
    factor, least = float(np.ravel(kernel._namespace["h"])[0]), float(np.finfo(np.float32).smallest_subnormal)
    for times in (Fraction(1, 2), Fraction(3, 2), Fraction(5, 4), Fraction(1, 4), Fraction(3)):
        x = np.array([[float(times) * least / factor], [float(times) * least]])
        state = kernel.init([np.ones((1, 1)), np.ones((1, 1))], x)
        single = type(state)(*(np.asarray(a, np.float32) for a in state))
        kernel.expand(single, [np.ones((1, 1)), np.ones((1, 1))], x)


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, 1.7e308, 2.5])
def test_samples_that_stay_are_not_those_with_a_number_that_is_not_finite(wrong):
    kernel = fcsym.scheme(Network.mlp([2, 2, 1]), "states", batch="mean").compile()
    x, goal = np.array([[1.0, 2.0], [3.0, -1.0]]), [[1.0], [1.0]]
    state = kernel.init([np.ones((2, 2)), np.ones((1, 2))], x)
    kernel.step(state, x, goal, 0.1)
    for at in ((0, 1), (1, 0)):
        other = x.copy()
        other[at] = wrong
        with pytest.raises(ArgumentError, match=f"sample {at[0] + 1} of x is not the one that init was given"):
            kernel.step(state, other, goal, 0.1)


@pytest.mark.parametrize("widths", [[2, 1], [2, 3, 1]], ids=str)
def test_what_functions_of_a_library_are_given_is_like_the_state(widths):
    """In its precision, however few arrays it has; here the library is NumPy, and its functions give what they get."""
    kernel = PureKernel.__new__(PureKernel)
    kernel.scheme = fcsym.scheme(Network.mlp(widths), "backprop")
    kernel.network, kernel.module = kernel.scheme.network, lower_scheme(kernel.scheme)
    kernel._own = np.ndarray
    kernel._make = lambda array, like: np.asarray(array, None if like is None else like.dtype)
    kernel.State = namedtuple("State", [a.name for a in kernel.scheme.state])
    kernel._functions = dict.fromkeys(("init", "step", "output"), lambda *given: given)
    for dtype in (np.float32, np.float64):
        weights = [np.ones(kernel.network.shape(a), dtype) for a in kernel.network.parameters]
        state, x, target, eta = kernel.step(weights, [1, 2], [0.5], 0.1)
        assert [array.shape for array in state] == [w.shape for w in weights] and eta == 0.1
        assert x.dtype == target.dtype == dtype and x.tolist() == [1, 2] and target.tolist() == [0.5]
        state, x = kernel.output(weights, np.array([3, 4]))
        assert x.dtype == dtype and x.tolist() == [3, 4] and state._fields == kernel.State._fields
        (held, *_) = kernel.init(weights)
        assert all(a is b for a, b in zip(held, weights, strict=True))
    with pytest.raises(ArgumentError, match="use init"):
        kernel.step(weights[:-1], [1, 2], [0.5], 0.1)


def test_a_number_beyond_what_is_told_apart_is_its_sign_or_refused_by_its_size_alone():
    """However many digits it has: what counts is the power of two above it."""
    edge = 1 << 14
    with mpmath.workprec(400):
        for digits in (1, 2, 200, 399):
            number = mpmath.mpf((1 << digits) - 1)
            inside = fraction_of(mpmath.ldexp(number, edge - digits))
            assert inside == ((1 << digits) - 1) * Fraction(2) ** (edge - digits)
            low = fraction_of(-mpmath.ldexp(number, -edge - digits))
            assert low == -((1 << digits) - 1) * Fraction(2) ** (-edge - digits)
            with pytest.raises(OverflowError, match="above 2 to the power"):
                fraction_of(mpmath.ldexp(number, edge - digits + 1))
            assert -(Fraction(2) ** -edge) <= fraction_of(-mpmath.ldexp(number, -edge - digits - 1)) < 0
