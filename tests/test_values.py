"""Numbers for a network: read exactly, and taken through training steps in fractions and balls."""

from __future__ import annotations

import json
import math
import random
import zipfile
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

import exact
import numpy as np
import pytest
from conftest import need_package

from fcsym.derivation import derive
from fcsym.errors import ArgumentError, MissingTool, UnsupportedExpression
from fcsym.language.activation import relu
from fcsym.networks.network import Network
from fcsym.schemes import SCHEMES
from fcsym.training import scheme
from fcsym.values import exact_step, read_values, trained, values_of
from fcsym.values.ball import Ball, ball_of, smooth_at
from fcsym.values.called import place_of
from fcsym.values.exact import exact_field
from fcsym.values.nested import fraction, shaped
from fcsym.values.shown import _written, certain, decimal, fractional

NET = Network.mlp([2, 3, 2], bias=True)
GIVEN = {
    "x": ["1/3", -2], "target": [1, "0.25"], "eta": "0.1",
    "W1": [["1/2", 0.1], [-1, 2], [3, "-7/5"]], "b1": [0, 1, "-1/2"],
    "W2": [[1, 2, 3], ["0.5", -1, "1/7"]], "b2": 0.5,
}  # fmt: skip
"""The first and the last unit are live, and so is one after the step that was not."""

SIGMOID = Network.mlp([2, 2, 2], activation="sigmoid", output="sigmoid", bias=True).frozen("b1", "b2")
PUBLISHED = {
    "x": [0.05, 0.10], "target": [0.01, 0.99], "eta": 0.5, "b1": 0.35, "b2": 0.60,
    **{f"w{n}": w for n, w in enumerate((0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55), 1)},
}  # fmt: skip
"""The network of M. Mazur's "A step by step backpropagation example", 2015."""


def by_hand(values, order):
    layers = [list(map(list, w)) for w in values.weights[::2]]
    return exact.step(
        values.network.widths, layers, values.x, values.target, values.eta, order,
        biases=[list(b) for b in values.weights[1::2]],
    )  # fmt: skip


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_a_step_in_fractions_is_the_step_by_hand(order):
    values = values_of(NET, GIVEN)
    for done in trained(derive(NET, order), values, 3):
        true = by_hand(values, order)
        for layer in (1, 2):
            assert done.before[f"W{layer}_new"] == tuple(map(tuple, true.w[layer - 1]))
            assert done.before[f"b{layer}_new"] == tuple(true.b[layer - 1])
            assert done.before[f"s{layer}" if layer == 1 else "y"] == tuple(true.s[layer - 1])
        assert done.after["y"] == done.before["y_new"] == tuple(true.v_new[-1])
        assert done.after["E"] == sum((y - t) ** 2 for y, t in zip(true.v_new[-1], values.target, strict=True)) / 2
        values = done.values


@pytest.mark.parametrize(
    ("order", "error"), [("simultaneous", "0.29102777369359933"), ("sequential", "0.29102792390544197")]
)
def test_the_published_digits_of_the_sigmoid_network(order, error):
    """w5 as it is printed there; E as both orders have it in double precision."""
    (done,) = trained(derive(SIGMOID, order), values_of(SIGMOID, PUBLISHED))
    assert decimal(done.before["W2_new"][0][0], 8) == "0.35891648"
    assert decimal(done.after["E"], 14) == str(Decimal(error).quantize(Decimal("1e-14")))
    assert done.before["b1"] == (Fraction(35, 100),) * 2
    assert "b1_new" not in done.before


def test_a_smooth_step_is_that_of_autograd():
    import autograd.numpy as anp
    from autograd import grad

    net = Network.mlp([2, 3, 2], activation="tanh", bias=True)
    values = values_of(net, GIVEN)
    (w1, b1, w2, b2), x, target, eta, _ = values.floats()

    def loss(parameters):
        w1, b1, w2, b2 = parameters
        return 0.5 * anp.sum((anp.dot(w2, anp.tanh(anp.dot(w1, x) + b1)) + b2 - target) ** 2)

    gradients = grad(loss)([w1, b1, w2, b2])
    found = exact_step(derive(net), values)
    for name, before, gradient in zip(("W1", "b1", "W2", "b2"), (w1, b1, w2, b2), gradients, strict=True):
        np.testing.assert_allclose(np.array(found[f"{name}_new"], dtype=float), before - eta * gradient, rtol=1e-13)


def test_where_no_p_exists_it_has_no_value_and_the_rest_has():
    """A unit that wakes up: v = 0 before the step, and is greater after it."""
    net = Network.parse("1-1-1", bias=True)
    given = {"x": [1], "target": [1], "eta": 1, "W1": [[0]], "b1": [0], "W2": [[1]], "b2": [0]}
    net_slope = derive(net, slope_at_kink=1)
    found = exact_step(net_slope, values_of(net, given))
    assert found["p"] == ((None,),)
    assert found["W1_new"] == ((1,),)
    assert decimal(None, 5) == "undefined"


def test_a_kernel_says_the_step_exactly():
    kernel = derive(NET).compile()
    values = values_of(NET, GIVEN)
    step = kernel.exact(
        [*(GIVEN[name] for name in ("W1", "b1", "W2")), ["1/2"] * 2], GIVEN["x"], GIVEN["target"], "0.1"
    )
    assert step.W1_new[0, 0] == by_hand(values, "simultaneous").w[0][0][0]
    weights, x, target, eta, _ = values.floats()
    near = kernel.step(weights, x, target, eta)
    np.testing.assert_allclose(np.array(step.W2_new, dtype=float), near.W2_new, rtol=1e-12)


# --------------------------------------------------------------------------------------------------- balls, digits


@pytest.mark.parametrize("s", [Fraction(1, 3), Fraction(-7, 5), Fraction(0)])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "gelu", "silu"])
def test_a_ball_holds_the_value_of_the_function(name, s):
    import mpmath

    from fcsym.language.activation import activation
    from fcsym.language.smooth_functions import as_formula

    with mpmath.workdps(120):
        z = mpmath.mpf(s.numerator) / s.denominator
        true = {
            "sigmoid": lambda: 1 / (1 + mpmath.exp(-z)), "tanh": lambda: mpmath.tanh(z),
            "softplus": lambda: mpmath.log(1 + mpmath.exp(z)),
            "gelu": lambda: z * (1 + mpmath.erf(z / mpmath.sqrt(2))) / 2,
            "silu": lambda: z / (1 + mpmath.exp(-z)),
        }[name]()  # fmt: skip
        ball = smooth_at(as_formula(activation(name), 0), s)
        assert abs(mpmath.mpf(ball.middle) - true) <= ball.radius + mpmath.mpf(10) ** -90
        assert ball.radius < mpmath.mpf(10) ** -75


def test_a_ball_says_no_more_than_is_certain():
    third = ball_of(Fraction(1, 3))
    assert certain(third) >= 78
    assert decimal(third, 12) == "0.333333333333"
    rough = third + Ball((third * 0).range + (third.range - third.range) * 10**70)
    assert 5 <= certain(rough) <= 11
    assert decimal(rough, 50) == "0." + "3" * certain(rough)
    with pytest.raises(UnsupportedExpression, match="digits do not say"):
        _ = third > Fraction(1, 3)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (Fraction(1, 8), 6, "0.125"), (Fraction(2, 3), 4, "0.6667"), (Fraction(5932, 10000), 6, "0.5932"),
        (Fraction(5932001, 10**7), 5, "0.59320"), (Fraction(1, 3 * 10**9), 3, "3.33e-10"), (Fraction(0), 3, "0"),
        (Fraction(-12345678), 3, "-1.23e+07"), (Fraction(1200), 6, "1200"), (float("inf"), 3, "inf"),
    ],
)  # fmt: skip
def test_numbers_are_shown_with_their_digits(value, digits, text):
    assert decimal(value, digits) == text


def test_a_fraction_too_long_to_write_is_none():
    assert fractional(Fraction(3, 7)) == "3/7"
    assert fractional(Fraction(1, 3**10_000)) is None
    assert decimal(Fraction(1, 3**10_000), 3).endswith("e-4772")


# ------------------------------------------------------------------------------------------------------- files


def as_text(value):
    return [as_text(part) for part in value] if isinstance(value, tuple) else float(value)


def test_every_kind_of_file_means_the_same(tmp_path):
    plain = {name: np.array(as_text(v)) for name, v in exact_step(derive(NET), values_of(NET, GIVEN)).items()
             if name in ("x", "W1", "b1", "W2", "b2", "eta")} | {"target": np.array([1, 0.25])}  # fmt: skip
    np.savez(tmp_path / "v.npz", **plain)
    (tmp_path / "v.json").write_text(json.dumps({name: array.tolist() for name, array in plain.items()}))
    (tmp_path / "v.toml").write_text("\n".join(f"{name} = {array.tolist()}" for name, array in plain.items()))
    found = [read_values(NET, tmp_path / f"v.{ending}") for ending in ("npz", "json", "toml")]
    assert found[0] == found[1] == found[2]
    assert found[0].eta == Fraction(1, 10)


def test_a_file_of_safetensors_means_the_same(tmp_path):
    need_package("safetensors")
    from safetensors.numpy import save_file

    arrays = {"x": np.array([2.0]), "target": np.array([1.0]), "W1": np.array([[0.1]]), "eta": np.array(0.5)}
    save_file(arrays, tmp_path / "v.safetensors")
    found = read_values(Network.parse("1-1"), tmp_path / "v.safetensors")
    assert found.weights == (((Fraction(1, 10),),),)
    (tmp_path / "v.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArgumentError, match=r"is no \.safetensors file"):
        read_values(Network.parse("1-1"), tmp_path / "v.safetensors")


def test_what_a_file_of_safetensors_needs_is_said(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    (tmp_path / "v.safetensors").write_bytes(b"")
    with pytest.raises(MissingTool, match="pip install"):
        read_values(NET, tmp_path / "v.safetensors")


def test_arrays_tensors_and_numbers_of_every_kind_are_taken():
    torch = need_package("torch")
    given = {
        "x": np.array([0.1, 3], dtype=np.float32), "target": torch.tensor([0.1, 2.0]), "eta": Decimal("0.1"),
        "W1": torch.tensor([[0.1, 1], [2, 3], [4, 5]]), "b1": (1, 2, Fraction(1, 3)), "W2": np.ones((2, 3)), "b2": 0,
    }  # fmt: skip
    found = values_of(NET, given)
    assert found.x[0] == found.target[0] == found.weights[0][0][0] == found.eta == Fraction(1, 10)
    assert found.weights[1][2] == Fraction(1, 3)


# --------------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"W1": None}, "W1 is missing"),
        ({"x": None}, "x is missing"),
        ({"target": None}, "target is missing"),
        ({"eta": None}, "eta is missing"),
        ({"W3": [[1]]}, "'W3' is no name of"),
        ({"t": [1, 2]}, "two names of one thing"),
        ({"W1": [[1, 2, 3], [4, 5, 6]]}, r"W1 has the shape \(2, 3\) and needs \(3, 2\): its transpose would fit"),
        ({"W1": [[1, 2], [4, 5]]}, r"W1 has the shape \(2, 2\) and needs \(3, 2\): give as many numbers"),
        ({"W1": [[1, 2], [4, 5], [6]]}, "W1 is not rectangular"),
        ({"b1": [1, 2]}, r"b1 has the shape \(2,\) and needs \(3,\)"),
        ({"x": [1, "1,5"]}, "x is '1,5': give a number"),
        ({"x": [1, True]}, "x is 'True'"),
        ({"x": [1, math.nan]}, "x is 'nan'"),
        ({"x": [1, "1/0"]}, "x is '1/0'"),
        ({"eta": "1e999999999"}, "eta is '1e999999999'"),
        ({"samples": 3}, "samples is 3"),
        ({"samples": Decimal("sNaN")}, "samples is sNaN"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(change, said):
    given = {name: value for name, value in (GIVEN | change).items() if value is not None}
    with pytest.raises(ArgumentError, match=said) as found:
        values_of(NET, given)
    assert str(found.value).endswith(".")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v.toml", "x = [1,", "v.toml is not valid"),
        ("v.json", "[1]", "holds no names"),
        ("v.json", "{", "v.json is not valid"),
        ("v.npz", "nothing", "v.npz"),
        ("v.txt", "", "of an unknown kind"),
        ("v.toml", "x = 1", "v.toml: W1 is missing"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(ArgumentError, match=said):
        read_values(NET, tmp_path / name)
    with pytest.raises(ArgumentError, match="is not there"):
        read_values(NET, tmp_path / "none.toml")


class Unread:
    """An array that only tells its shape."""

    def __init__(self, *shape):
        self.shape, self.ndim = shape, len(shape)

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("its numbers are read")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"W3": Unread(2)}, "'W3' is no name"),
        ({"W1": Unread(2, 3)}, "its transpose would fit"),
        ({"eta": None}, "eta is missing"),
        ({"target": Unread(9, 9)}, "target has the shape"),
        ({"W2": None, "W2_1_1": 3}, "W2_1_2 is missing"),
        ({"W2": None}, "W2 is missing"),
    ],
)
def test_names_and_shapes_are_looked_at_before_any_number(change, said):
    given = {"x": Unread(2), "target": Unread(2), "eta": 1, "weights": None}
    given |= {theta.name: Unread(*NET.shape(theta)) for theta in NET.parameters} | change
    with pytest.raises(ArgumentError, match=said):
        values_of(NET, {name: value for name, value in given.items() if value is not None})


def test_a_missing_name_of_a_million_is_found_at_once():
    """One number of them is given, and the first that is not ends the search."""
    wide = Network.parse("2-1000000-1", bias=True)
    for given in ({}, {"W1_1_1": 3}, {"b17": 1}):
        with pytest.raises(ArgumentError, match="is missing"):
            values_of(wide, {"x": [0, 0], "target": 0, "eta": 1} | given)
    assert place_of(wide, "w2000003") == (wide.parameters[2], (0, 2))
    assert (
        place_of(wide, "W1[7,2]") == place_of(wide, "W1_7_2") == place_of(wide, "w14") == (wide.parameters[0], (6, 1))
    )
    assert place_of(wide, "W1_1000001_1") is place_of(wide, "b1000002") is place_of(wide, "w0") is None


def _npz(folder, x):
    """All that is needed, in arrays of numbers but for x."""
    weights = {theta.name: np.ones(NET.shape(theta)) for theta in NET.parameters}
    np.savez(folder / "v.npz", x=x, target=[1, 2], eta=0.5, **weights)


def _twice(folder):
    with zipfile.ZipFile(folder / "v.npz", "w") as archive:
        for name in ("x.npy", "x"):
            with archive.open(name, "w") as stream:
                np.save(stream, np.array([1.0, 2.0]))


def _header(folder):
    with zipfile.ZipFile(folder / "v.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x20\x00" + b"__import__('builtins').pwned    \n")


def _bomb(folder):
    """100 KB that are 100 MB."""
    np.savez_compressed(folder / "v.npz", x=np.zeros(10**8, dtype="i1"))


def _text(kind, text):
    return lambda folder: (folder / f"v.{kind}").write_text(text)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda folder: _npz(folder, np.array([1, "a"], dtype=object)), "has objects of Python in x"),
        (lambda folder: _npz(folder, np.zeros(2, "f8,f8")), r"x is '\(0.0, 0.0\)': give a number"),
        (lambda folder: _npz(folder, [b"1", b"2"]), "x is \"b'1'\": give a number"),
        (lambda folder: _npz(folder, np.zeros(2, "V8")), "x is .*: give a number"),
        (_twice, "it has 'x' twice"),
        (_header, "an array in it has no valid header"),
        (_bomb, "holds 100000.* bytes and 50000000 are read"),
        (_text("json", '{"x": 1, "x": 2}'), "it has 'x' twice"),
        (_text("json", '{"x": ' + "[" * 400 + "1" + "]" * 400 + "}"), "W1 is missing"),
        (_text("json", '{"x": ' + "[" * 99999 + "}"), "it is nested too deeply"),
        (_text("toml", "eta = 1e99999999999999999999999"), "the number 1e9*.* is out of range"),
        (_text("toml", ".".join(["a"] * 200_000) + " = 1"), "it has a key of more than 50 parts"),
        (_text("toml", '"a"' + ' . "b" . c' * 100_000 + " = 1"), "it has a key of more than 50 parts"),
        (_text("toml", "x = [" + "0.5, " * 20_000 + "]"), "W1 is missing"),
        (lambda folder: (folder / "v.json").mkdir(), "is no file"),
    ],
)
def test_hostile_files_are_one_sentence(tmp_path, write, said):
    write(tmp_path)
    (file,) = tmp_path.iterdir()
    with pytest.raises(ArgumentError, match=said) as problem:
        read_values(NET, file)
    assert "\n" not in str(problem.value)


def test_numbers_of_every_precision_are_the_decimals_that_they_mean():
    for kind in ("f2", "f4", "f8", "g"):
        array = np.array([0.1, 0.3], kind) if kind != "g" else np.array(["0.1", "0.3"], "g")
        assert shaped(array, (2,), "x") == (Fraction(1, 10), Fraction(3, 10))
        assert fraction(array[0], "x") == Fraction(1, 10)


# ------------------------------------------------------------------------------------------------------ schemes


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_backpropagation_as_a_scheme_is_the_step_by_hand(order):
    kernel, values = scheme(NET, "backprop", order).compile(), values_of(NET, GIVEN)
    state = kernel.exact(values.weights, values.x, values.target, "0.1")
    state = kernel.exact(state, values.x, values.target, "0.1")
    once = by_hand(values, order)
    again = exact.step(NET.widths, once.w, values.x, values.target, values.eta, order, biases=once.b)
    for layer in (1, 2):
        assert getattr(state, f"W{layer}").tolist() == again.w[layer - 1]
        assert getattr(state, f"b{layer}").tolist() == again.b[layer - 1]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", SCHEMES)
def test_a_step_of_every_scheme_is_what_its_kernel_gives(name, activation):
    if name == "collapsed" and activation == "tanh":
        pytest.skip("collapsed is for activations in pieces")
    network = Network.mlp([2, 3, 1], activation=activation)
    kernel = scheme(network, name).compile()
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=network.shape(theta)) for theta in network.parameters]
    x, target = np.array([0.5, -1.25]), np.array([0.75])
    state = kernel.init(weights, x)
    found, near = state, state
    for _ in range(2):
        found, near = kernel.exact(found, x, target, "1/16"), kernel.step(near, x, target, 0.0625)
    for own, true in zip(near, found, strict=True):
        np.testing.assert_allclose(own, np.array(true, dtype=float), rtol=1e-9, atol=1e-12)
    if kernel.scheme.single_input:
        with pytest.raises(ArgumentError, match="is not the input that init was given"):
            kernel.exact(found, x + 1, target, "1/16")


def test_wrong_arguments_of_an_exact_step_are_refused():
    kernel = scheme(NET, "backprop").compile()
    weights = values_of(NET, GIVEN).weights
    for arguments, said in (
        ((weights[:2], [1, 2], [1, 2], 1), "state has 2 arrays"),
        ((weights, [1, 2, 3], [1, 2], 1), r"x has the shape \(3,\) and needs \(2,\)"),
        ((weights, [1, 2], [1], 1), r"target has the shape \(1,\)"),
        ((weights, [1, 2], [1, 2]), "eta is missing"),
        ((weights, [1, 2], [1, "two"], 1), "target is 'two'"),
    ):
        with pytest.raises(ArgumentError, match=said):
            kernel.exact(*arguments)


def test_decimals_are_rounded_as_a_division_of_all_digits_rounds():
    """Against the decimal module, which is slow where both parts are long; and one whose parts are very long."""
    rng = random.Random(0)
    for _ in range(3000):
        twos, tens = 2 ** rng.randrange(40) * 5 ** rng.randrange(5), 10 ** rng.randrange(40)
        below, above = rng.choice([twos, tens, rng.getrandbits(90) + 1]), rng.getrandbits(rng.choice([3, 40, 200]))
        value, digits = Fraction(above * rng.choice([1, -1]), below), rng.randrange(1, 25)
        context = Context(prec=digits, rounding=ROUND_HALF_EVEN)
        number = context.divide(Decimal(value.numerator), Decimal(value.denominator))
        if Fraction(number) == value:
            number = number.normalize(context)
        assert decimal(value, digits) == _written(number, digits)
    long = Fraction(10**300_000 + 1, 3 * 10**300_000)
    assert decimal(long, 10) == "0.3333333333"
    assert decimal(Fraction(5 * 10**200_000 + 1, 10**200_001), 1) == "0.5"  # and not 0.5 exactly
    assert decimal(Fraction(25 * 10**200_000 + 1, 10**200_002), 1) == "0.3"  # above the tie, by its last digit
    assert decimal(Fraction(25, 100), 1) == "0.2"


def test_a_ball_that_is_exactly_on_a_kink_has_the_slope_that_is_declared_there():
    """tanh 0 is 0, and a ReLU after it is on its kink, of which a number and a ball without width are the same."""
    one = [["1"]]
    for slope in ("1/2", 0, 1):
        net = Network.mlp([1, 1, 1, 1], activation=["tanh", relu(slope)])
        kernel = derive(net).compile()
        assert float(kernel.exact([one, one, one], [0], [1], "1/10").g2[0]) == float(Fraction(slope))
        np.testing.assert_equal(kernel.step([np.ones((1, 1))] * 3, [0.0], [1.0], 0.1).g2, [float(Fraction(slope))])


def test_a_case_that_the_digits_do_not_say_is_not_a_case_without_a_value():
    d = derive(Network.parse("2-2-1"))
    cases = next(e for e in d if e.name == "dv1").rhs
    around = ball_of(Fraction(1, 3)) - ball_of(Fraction(1, 3))
    with pytest.raises(UnsupportedExpression, match="digits do not say"):
        exact_field().choose(cases, (None, (0,)), lambda node: around)
    assert exact_field().choose(cases, (None, (0,)), lambda node: None) is None


def test_an_inverse_of_numbers_beyond_all_floats_is_one():
    """Two samples at 1e300 in a mini-batch: the inverse that p takes is found without a float."""
    for size in (Fraction(10**400), Fraction(1, 10**400)):
        assert exact_field().inverse([[Fraction(0), size], [size, Fraction(0)]]) == [[0, 1 / size], [1 / size, 0]]
    kernel = derive(Network.mlp([2, 2, 1]), batch="sum", samples=2).compile()
    arguments = [[["1e300", 1], [1, 2]], [[1, 1]]], [["1e300", 1], [1, 2]], [[1], [1]], "1/10"
    assert all(value is not None for value in kernel.exact(*arguments).p.flat)
