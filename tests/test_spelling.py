"""What people write: names of activations, numbers as fractions, and settings layer by layer on the command line."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy
from conftest import need_package

import fcsym
from fcsym.cli import main
from fcsym.language.activation import ALIASES, BUILT_IN, activation
from fcsym.language.spelling import exact
from fcsym.networks.network import Network

USUAL = {
    "ReLU": "relu", "RELU": "relu", "LeakyReLU": "leaky_relu", "Leaky_ReLU": "leaky_relu", "swish": "silu",
    "SiLU": "silu", "linear": "identity", "Identity": "identity", "logistic": "sigmoid", "Sigmoid": "sigmoid",
    "expit": "sigmoid", "Tanh": "tanh", "GELU": "gelu", "Softplus": "softplus",
}  # fmt: skip
"""The names that PyTorch, Keras, scikit-learn and SciPy have for them."""


@pytest.mark.parametrize("name", USUAL)
def test_an_activation_is_known_by_its_usual_names(name, tmp_path, capsys):
    """In Python, in a network file and on the command line, for hidden layers and for the output."""
    wanted = activation(USUAL[name])
    assert activation(name) == wanted
    net = Network.parse("2-2-1", USUAL[name], output=USUAL[name])
    assert Network.parse("2-2-1", name, output=name) == net
    (tmp_path / "n.toml").write_text(f'widths = [2, 2, 1]\nactivation = "{name}"\noutput = "{name}"\n')
    assert Network.load(tmp_path / "n.toml") == net
    assert main(["cost", "2-2-1", "--activation", name, "--output", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == str(net)
    if wanted.is_smooth:
        assert fcsym.smooth(name) == wanted


def test_every_built_in_name_may_be_in_large_letters_and_every_alias_leads_somewhere():
    assert all(activation(name.upper()) == activation(name) for name in BUILT_IN)
    assert set(ALIASES.values()) <= set(BUILT_IN) and not set(ALIASES) & set(BUILT_IN)
    assert set(ALIASES.values()) <= set(USUAL.values())


def test_a_name_of_one_s_own_is_what_its_owner_says(tmp_path):
    """As it is written: it is no alias, and large letters are others than small ones."""
    s = sympy.Symbol("s", real=True)
    swish = fcsym.smooth("swish", s / (1 + sympy.exp(-2 * s)))
    assert Network.mlp([2, 2, 1], swish).layers[0].activation == swish
    (tmp_path / "n.toml").write_text(
        'widths = [2, 2, 1]\nactivation = "linear"\n[[activations]]\nname = "linear"\n'
        "pieces = [{ upper = 0, slope = 1 }, { slope = 3 }]\n"
    )
    assert len(Network.load(tmp_path / "n.toml").layers[0].activation.pieces) == 2
    with pytest.raises(fcsym.NetworkError, match="'Hat' is not known"):
        activation("Hat", [fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(None, 1)])])
    with pytest.raises(fcsym.NetworkError, match="'nothing' is not known"):
        Network.parse("2-1", "nothing")


@pytest.mark.parametrize(
    ("options", "activations", "biases"),
    [
        ("2-2-2-1 --activation relu,tanh", ["relu", "tanh"], False),
        ("2-2-2-1 --activation relu,tanh --bias", ["relu", "tanh"], True),
        ("2-2-1 --bias yes,no", "relu", [True, False]),
        ("2-2-1 --bias=no,yes", "relu", [False, True]),
        ("--bias 2-2-1", "relu", True),
        ("--bias yes,no 2-2-1", "relu", [True, False]),
        ("2-2-1 --bias no", "relu", False),
        ("2-2-1", "relu", False),
    ],
)
def test_each_layer_can_have_its_own_on_the_command_line(options, activations, biases, capsys):
    words = options.split()
    widths = next(word for word in words if word[0] == "2")
    assert main(["cost", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == str(Network.parse(widths, activations, biases))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("2-2-1 --bias yes,maybe", "--bias has 'maybe': write yes or no"),
        ("2-2-1 --bias yes,no,no", "bias has 3 entries and the network needs 2: give one, or 2"),
        ("2-2-1 --bias yes,", "--bias has ''"),
        ("2-2-1 --activation relu,tanh", "activation has 2 entries and the network needs 1: give one."),
        ("2-2-2-1 --activation relu,mish", "The activation 'mish' is not known"),
        ("net.toml --bias no", "net.toml says itself which activations, biases"),
        ("2-2-1 --slope-at-kink 1/0", "slope_at_kink is '1/0': give a number"),
        ("2-2-1 --rule momentum,beta=1/0", "is '1/0': give a number, such as 0.5 or 1/2"),
    ],
)
def test_what_does_not_fit_is_one_sentence(options, said, capsys):
    assert main(["derive", *options.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1


# ------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    "value", ["1/2", " 1/2 ", "0.5", ".5", "5e-1", 0.5, Fraction(1, 2), Decimal("0.5"), np.float32(0.5)]
)
def test_one_half_is_read_however_it_is_written(value):
    assert exact(value, "it") == Fraction(1, 2)
    assert fcsym.rule("momentum", beta=value) == fcsym.rule("momentum", beta=0.5)
    assert fcsym.rule("sgd", eta=value).eta == Fraction(1, 2)
    assert fcsym.relu(value).kink_slopes == (Fraction(1, 2),)
    assert fcsym.leaky_relu(value) == fcsym.leaky_relu(0.5)
    assert fcsym.Piece(value, 1).upper == Fraction(1, 2)


@pytest.mark.parametrize("value", ["1/0", "1_0", "1e99999999", "half", "", "nan", "inf", "__import__('os')", "1/2/3"])
def test_what_is_no_number_is_said_to_be_none(value):
    net = Network.parse("1-1-1")
    kernel, weights = fcsym.derive(net).compile(), [[[1.0]], [[1.0]]]
    for wrong in (
        lambda: fcsym.rule("momentum", beta=value),
        lambda: fcsym.relu(value),
        lambda: fcsym.Piece(value, 1),
        lambda: kernel.step(weights, [1.0], [1.0], value),
        lambda: kernel.step(weights, [value], [1.0], 0.5),
        lambda: fcsym.derive(Network.parse("2-2-1")).case_map(at={"eta": value}),
    ):
        with pytest.raises(fcsym.FcsymError, match=r"give a number") as caught:
            wrong()
        assert "\n" not in str(caught.value)


def test_the_largest_and_the_smallest_numbers():
    """10^300, and decimals down to 10^-400: the last ones that are read."""
    for sign in (1, -1):
        assert exact(sign * 10**300, "it") == sign * 10**300
        with pytest.raises(fcsym.NetworkError, match=r"it is .* give a number of ordinary size"):
            exact(sign * (10**300 + 1), "it")
    assert exact(Decimal("1e-400"), "it") == Fraction(1, 10**400)
    for beyond in ("1e-401", "1e401", "1e999999"):
        with pytest.raises(fcsym.NetworkError, match="give a number, such as"):
            exact(Decimal(beyond), "it")


@pytest.mark.parametrize("target", ["numpy", "c", "jax", "torch"])
def test_kernels_read_fractions(target):
    """The same numbers to the bit, from texts, fractions and floats."""
    if target not in ("numpy", "c"):
        need_package(target)
    s = fcsym.scheme(Network.parse("2-2-1"), "states")
    kernel = s.compile(target)
    weights = [[[0.5, 0.25], [1.0, -0.5]], [[1.0, 2.0]]]
    written, plain = ["1/4", Fraction(3, 4)], [0.25, 0.75]
    state = kernel.init([[["1/2", "1/4"], [1, "-1/2"]], [[1, 2]]], written)
    same = kernel.init(weights, plain)
    after, other = kernel.step(state, written, ["1/8"], "1/2"), kernel.step(same, plain, [0.125], 0.5)
    for a, b in zip(after, other, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))
    if target in ("numpy", "c"):
        batch, bound = kernel.batch([state]), kernel.bind(state, plain, [0.0], 1.0)
        batch.step(written, ["1/8"], "1/2")
        bound.set(target=["1/8"], eta="1/2")
        bound.step()
        assert np.allclose(batch.state.s1[0], np.asarray(other.s1)) and np.allclose(bound.state.s1, other.s1)


def test_pictures_and_the_experiment_read_fractions(tmp_path, capsys):
    d = fcsym.derive(Network.parse("2-2-1"))
    written = d.case_map(at={"eta": "1/2"}, ends=(("-1/2", 1), (0, "1/2")), mark=("1/4", "1/4"))
    assert written.svg == d.case_map(at={"eta": 0.5}, ends=((-0.5, 1), (0, 0.5)), mark=(0.25, 0.25)).svg
    assert main(["reproduce", "--eta", "half", "-o", str(tmp_path)]) == 2
    assert "'half' is no number: write one such as 0.5 or 1/2" in capsys.readouterr().err
    assert main(["reproduce", "--eta", "-1/2", "-o", str(tmp_path)]) == 2
    assert "eta is -0.5: give a positive number" in capsys.readouterr().err


def test_a_time_limit_is_a_number():
    from fcsym.paper import Limits

    assert Limits(seconds="1/2") == Limits(seconds=0.5)
    with pytest.raises(fcsym.ArgumentError, match="the time limit is 'soon': give a number"):
        Limits(seconds="soon")


def test_an_option_takes_a_fraction(capsys):
    from fcsym.commands.options import number

    assert number("1/10") == 0.1
    for slope in ("-1/2", "-.5", "-0.5"):  # none of them is taken for an option
        assert main(["cases", "2-2-1", "--slope-at-kink", slope, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["cases"]
