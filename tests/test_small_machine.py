"""Kernels in machine code and of PyTorch beside those of NumPy, whichever leading axes arrays have; and small counts.

Each takes a fraction of a second, so that a fault in how a call is made is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from conftest import need, need_package

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError
from fcsym.kernel import neutral as n
from fcsym.kernel.native_scheme import aligned
from fcsym.kernel.said import shapes
from fcsym.kernel.stored import fraction_of, trained
from fcsym.language.expression import Array, Axis, Index

PLAIN = Network.mlp([2, 2, 1], "leaky_relu")
LEADS = [
    ((), (), ()),
    ((3,), (3,), ()),
    ((), (3,), (3,)),
    ((3,), (), (3,)),
    ((2, 1), (3,), (2, 3)),
    ((1,), (2, 3), (3,)),
]


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("name", ["backprop", "states", "history"])
def test_leading_axes_are_those_of_many_networks(name, target):
    """Of weights, inputs and targets, and of the step size: one step, two in one call, the output and the weights."""
    if target == "c":
        need("cc")
    else:
        need_package("torch")
    kernels = [fcsym.scheme(PLAIN, name).compile(one) for one in ("numpy", target)]
    rng = np.random.default_rng(0)
    for lead, of_x, of_target in LEADS:
        if name == "history" and target == "torch":
            of_x = of_target = lead
        weights = [rng.normal(size=(*lead, *PLAIN.shape(a))) for a in PLAIN.parameters]
        x, goal = rng.normal(size=(*of_x, 2)), rng.normal(size=(*of_target, 1))
        eta = np.broadcast_to(0.1, of_target) if target == "c" else 0.1
        found = []
        for kernel in kernels:
            given = (weights, x) if name == "states" else (weights,)
            state = kernel.init(*given)
            after = kernel.step(state, x, goal, eta)
            one = [kernel.output(after, x), *kernel.expand(after, *(given if name == "states" else ()))]
            if target == "c":
                two = kernel.run(state, np.stack([x, x]), np.stack([goal, 2 * goal]), eta)
                one += [*two, *kernel.step(after, x, 2 * goal, eta)]
            found.append([np.asarray(array) for array in one])
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(*np.broadcast_arrays(one, other), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_register_is_loaded_from_is_aligned(dtype):
    for shape in ((1,), (3, 5), (7,), (2, 3, 4)):
        memory = aligned(shape, np.dtype(dtype))
        assert memory.ctypes.data % 64 == 0 and memory.shape == shape and memory.dtype == dtype
        memory[...] = 1


def test_room_for_inputs_is_a_whole_number_that_history_is_given():
    need_package("torch")
    weights = [np.ones((2, 2)), np.ones((1, 2))]
    history = fcsym.scheme(PLAIN, "history").compile("torch")
    for capacity in (True, 2.0, "2"):
        with pytest.raises(ArgumentError, match="give history a whole number, and other schemes none"):
            history.init(weights, capacity=capacity)
    for capacity in (0, -1, 1_000_001):
        with pytest.raises(ArgumentError, match="give a whole number from 1 to 1000000"):
            history.init(weights, capacity=capacity)
    assert [history.init(weights, capacity=k).X.shape[0] for k in (1, 5)] == [1, 5]
    with pytest.raises(ArgumentError, match="give history a whole number, and other schemes none"):
        fcsym.scheme(PLAIN, "backprop").compile("torch").init(weights, capacity=3)
    for wrong, said in (([weights[0]], "weights has 1 arrays"), ([np.ones((3, 2)), weights[1]], "W1 has shape")):
        with pytest.raises(ArgumentError, match=said):
            history.init(wrong)


def test_tensors_and_arrays_may_be_mixed():
    """What is no tensor becomes one like the state's; labels and tokens are taken as elsewhere."""
    torch = need_package("torch")
    network = Network.sequential((2, 4), [fcsym.Embedding(4, 2), fcsym.Flatten(), fcsym.Linear(4, 3)],
                                 loss="cross_entropy")  # fmt: skip
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    kernels = [fcsym.scheme(network, "backprop").compile(one) for one in ("numpy", "torch")]
    rows = np.eye(4)[[3, 1]]
    wanted = kernels[0].step(kernels[0].init(weights), rows, np.eye(3)[2], 0.1)
    state = kernels[1].init(weights)
    for x in ([3, 1], rows, torch.tensor([3, 1]), torch.tensor(rows)):
        for goal in (2, np.eye(3)[2], torch.tensor(np.eye(3)[2])):
            for one, other in zip(wanted, kernels[1].step(state, x, goal, 0.1), strict=True):
                np.testing.assert_allclose(one, np.asarray(other), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(
            kernels[0].output(wanted, rows), np.asarray(kernels[1].output(wanted, x)), rtol=1e-12
        )


def test_whole_numbers_are_tokens_where_they_are_the_input_alone():
    """Of many inputs at once; and what is no probability is let through by pure functions, which raise nothing."""
    torch = need_package("torch")
    network = Network.sequential((2, 4), [fcsym.Embedding(4, 2), fcsym.Flatten(), fcsym.Linear(4, 2)])
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    kernels = [fcsym.scheme(network, "backprop").compile(one) for one in ("numpy", "torch")]
    states = [kernel.init(weights) for kernel in kernels]
    many = np.array([[3, 1], [0, 0], [2, 1]])
    for x, goal in (([3, 1], [1, 0]), (many, [1, 0]), (torch.tensor(many), np.array([[1, 0], [2, 3], [0, 1]]))):
        for one, other in zip(
            kernels[0].step(states[0], np.asarray(x), goal, 0.1), kernels[1].step(states[1], x, goal, 0.1), strict=True
        ):
            np.testing.assert_allclose(*np.broadcast_arrays(one, np.asarray(other)), rtol=1e-12, atol=1e-13)
    chances = fcsym.scheme(Network.mlp([1, 1], output="sigmoid", loss="bce"), "backprop").compile("torch")
    assert np.isfinite(np.asarray(chances.step(chances.init([np.ones((1, 1))]), [1.0], [2.0], 0.1).W1)).all()


@pytest.mark.parametrize("target", ["numpy", "c", "torch"])
def test_derivatives_have_the_axes_of_all_networks(target):
    """Also where they are the same for all, as a unit matrix is."""
    if target == "c":
        need("cc")
    elif target == "torch":
        need_package("torch")
    network = Network.mlp([2, 2, 2], bias=True)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(3, *network.shape(a))) for a in network.parameters]
    kernel = fcsym.gradient(network, "y", ["b2", "W2"]).compile(target)
    made = kernel.gradient(weights, rng.normal(size=2))
    assert made.dy_db2.shape == (3, 2, 2) and (np.asarray(made.dy_db2) == np.eye(2)).all()
    assert made.dy_dW2.shape == (3, 2, 2, 2) and not made.dy_dW2[:, 0, 1].any()
    assert repr(kernel).startswith("<kernel of derivatives: ") and ("target" in repr(kernel)) is (target != "numpy")
    batch = fcsym.gradient(network.training(batch="mean"), "y", ["W1"]).compile(target)
    x = rng.normal(size=(5, 2))
    many = batch.gradient([w[0] for w in weights], x).dy_dW1
    one = fcsym.gradient(network, "y", ["W1"]).compile("numpy")
    assert many.shape[0] == 5 or many.shape[1] == 5
    for k, point in enumerate(x):
        own = one.gradient([w[0] for w in weights], point).dy_dW1
        np.testing.assert_allclose(
            np.asarray(many)[k] if many.shape[0] == 5 else np.asarray(many)[:, k], own, atol=1e-6
        )


def test_directions_are_given_where_they_are_needed():
    network = Network.mlp([1, 1, 1])
    weights, x, goal = [np.ones((1, 1))] * 2, [2.0], [0.5]
    along = fcsym.gradient(network, "E", "W1", along=["W1", "W2"]).compile()
    given = [np.array([[3.0]]), np.array([[-1.0]])]
    one = along.gradient(weights, x, goal, along=given)
    other = along.gradient(weights, x, goal, along={"W2": given[1], "W1": given[0]})
    assert one._fields == other._fields and all((a == b).all() for a, b in zip(one, other, strict=True))
    for wrong in (None, given[:1], {"W1": given[0]}, {"W1": given[0], "b": given[1]}, 5):
        with pytest.raises(ArgumentError, match="along must have a direction for each of W1, W2"):
            along.gradient(weights, x, goal, along=wrong)
    plain = fcsym.gradient(network, "E", "W1").compile()
    plain.gradient(weights, x, goal)
    with pytest.raises(ArgumentError, match="along must have a direction for each of none"):
        plain.gradient(weights, x, goal, along=given)
    with pytest.raises(ArgumentError, match="target is missing"):
        plain.gradient(weights, x)
    chances = fcsym.gradient(Network.mlp([1, 1], output="sigmoid", loss="bce"), "E", "W1").compile()
    with pytest.raises(ArgumentError, match="is no probability"):
        chances.gradient(weights[:1], x, [2.0])
    assert np.isfinite(chances.gradient(weights[:1], x, [2.0], undefined="nan").dE_dW1).all()


# ----------------------------------------------------------------------------------------------------------- counts

J, K = Index(Axis("j"), "j"), Index(Axis("k"), "k")
A, B = n.Load("a", (J,)), n.Load("b", (J,))


@pytest.mark.parametrize(
    ("indices", "value", "count"),
    [
        ((J,), A, 0),
        ((J,), n.Product((A, B)), 3),
        ((J,), n.Sum(((1, n.Product((A, B))), (-1, A), (1, B))), 9),
        ((J,), n.Power(n.Sum(((1, A), (1, B))), 3), 6),
        ((J,), n.Call("exp", A), 3),
        ((J,), n.Select(n.Test(A, ">", Fraction(0)), n.Product((A, B)), B), 6),
        ((J,), n.Quotient(A, B), 3),
        ((), n.Reduce((J,), A), 2),
        ((), n.Reduce((J,), n.Product((A, B))), 5),
        ((K,), n.Reduce((J,), n.Product((A, B))), 10),
        ((), n.Extreme("max", (J,), (A,)), 2),
        ((J,), n.Extreme("max", (), (A, B)), 3),
        ((J,), n.Const(Fraction(1)), 0),
    ],
)
def test_operations_are_counted_element_by_element(indices, value, count):
    """One for each sign between terms or factors, and one for any other operation: 3 elements along j, 2 along k."""
    arrays = tuple(Array(name, None, (J.axis,)) for name in "ab")
    made = n.Function("f", "", (), arrays, (n.Define("r", indices, value),), (), False)
    assert n.operations(made, {J.axis: 3, K.axis: 2}) == count
    marked = n.Function("f", "", (), arrays, (n.Mark((J,), ((n.Test(A, ">", Fraction(0)),),)),), (), True)
    assert n.operations(marked, {J.axis: 3, K.axis: 2}) == 3


def test_arrays_are_named_with_their_lengths_up_to_a_dozen():
    assert shapes([("a", ()), ("b", (2,)), ("c", (2, 3))]) == "a (), b (2,), c (2, 3)"
    many = [(f"a{k}", (k,)) for k in range(14)]
    assert shapes(many[:12]).count("a") == 12 and "more" not in shapes(many[:12])
    assert shapes(many[:13]).endswith("a11 (11,), and 1 more") and shapes(many).endswith("and 2 more")


def test_a_number_of_any_kind_is_a_fraction_and_one_beyond_all_floats_is_said_to_be():
    for value in (0.5, 3, -2.25, Fraction(1, 3), mpmath.mpf("0.375"), mpmath.mpf(-6), mpmath.mpf(0)):
        exact = value if isinstance(value, Fraction) else Fraction(float(value))
        assert fraction_of(value) == exact
    assert fraction_of(mpmath.mpf(2) ** 3000) == Fraction(2) ** 3000
    assert fraction_of(-(mpmath.mpf(2) ** -3000)) == -Fraction(1, 2**3000)
    for sign in (0, 1):  # of many digits: where it ends counts
        long = fraction_of(mpmath.mp.make_mpf((sign, (1 << 200) + 1, -16500, 201)))
        assert bool(long == (-1) ** sign * Fraction((1 << 200) + 1, 1 << 16500))
    with pytest.raises(OverflowError):
        fraction_of(mpmath.mpf(2) ** 20000)
    for sign in (1, -1):
        tiny = fraction_of(sign * mpmath.mpf(2) ** -20000)
        assert 0 < sign * tiny < Fraction(1, 2**5000)


def test_training_that_rounds_only_what_is_stored_is_that_by_hand():
    """One weight: y = w x and w' = fl(w - eta (w x - t) x), at the float next to it; the output after the last step."""
    scheme, w, eta, t = fcsym.scheme(Network.mlp([1, 1]), "backprop"), 0.1, 0.3, 0.7
    xs = [[1.1], [0.3], [-2.7]]
    found, wanted = list(trained(scheme, [[[w]]], xs, [t], eta)), []
    for (x,) in xs:
        wanted.append([float(Fraction(w) * Fraction(x))])
        w = float(Fraction(w) - Fraction(eta) * (Fraction(w) * Fraction(x) - Fraction(t)) * Fraction(x))
    assert found == [*wanted, [float(Fraction(w) * Fraction(xs[-1][0]))], [w]]


def test_indicators_are_taken_out_of_a_product():
    one, two = n.Indicator(J, K + 1), n.Indicator(K, J + 0)
    assert n.without_indicators(n.Product((one, A, two, B))) == ((one, two), n.Product((A, B)))
    assert n.without_indicators(n.Product((A, one))) == ((one,), A)
    assert n.without_indicators(one) == ((one,), n.Const(Fraction(1)))
    for plain in (A, n.Product((A, B)), n.Sum(((1, one), (1, A)))):
        assert n.without_indicators(plain) == ((), plain)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_says_its_shapes_and_its_precision(dtype):
    kernel = fcsym.scheme(PLAIN, "backprop").compile()
    state = kernel.init([np.ones(PLAIN.shape(a), dtype) for a in PLAIN.parameters])
    said = f"; W1 (2, 2), W2 (1, 2), {np.dtype(dtype).name}>"
    assert repr(state) == f"<state: {kernel.module.title}, target {kernel.target}{said}"


@pytest.mark.parametrize("target", ["torch", "jax"])
@pytest.mark.parametrize("name", ["backprop", "weights", "states", "history"])
def test_a_library_s_whole_numbers_are_numbers(name, target):
    """Weights, inputs and targets of whole numbers train as the same numbers with a point; a state keeps its counts."""
    library = need_package(target)
    make = library.tensor if target == "torch" else library.numpy.asarray
    scheme = fcsym.scheme(PLAIN, name)
    weights, x, goal = [np.array([[1, -2], [3, 1]]), np.array([[2, -1]])], np.array([1, 2]), np.array([3])
    plain, other = scheme.compile(), scheme.compile(target)
    read = {"x": x} if scheme.single_input or name == "states" else {}
    made = {"x": make(x)} if read else {}
    state, pure = plain.init(weights, **read), other.init([make(w) for w in weights], **made)
    state, pure = plain.step(state, x, goal, 0.125), other.step(pure, make(x), make(goal), 0.125)
    np.testing.assert_allclose(plain.output(state, x), np.asarray(other.output(pure, make(x))), atol=1e-5)


@pytest.mark.parametrize("name", ["backprop", "states"])
def test_tokens_and_their_rows_are_taken_by_every_function(name):
    """Tokens and rows of 0 and a 1, as tensors of whole numbers and as lists."""
    torch = need_package("torch")
    network = Network.sequential((2, 4), [fcsym.Embedding(4, 2), fcsym.Flatten(), fcsym.Linear(4, 2)])
    scheme = fcsym.scheme(network, name)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    plain, pure = scheme.compile(), scheme.compile("torch")
    single, rows = scheme.single_input, np.eye(4, dtype=int)[[3, 1]]

    def trained(kernel, x):
        state = kernel.step(kernel.init(weights, x) if single else kernel.init(weights), x, [1.0, 2.0], 0.1)
        return kernel.expand(state, weights, x) if single else kernel.expand(state)

    wanted = trained(plain, rows)
    for x in ([3, 1], rows, torch.tensor([3, 1]), torch.tensor(rows)):
        for one, other in zip(wanted, trained(pure, x), strict=True):
            np.testing.assert_allclose(one, np.asarray(other), rtol=1e-12, atol=1e-13)
