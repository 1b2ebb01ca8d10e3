from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcsym.errors import FcsymError, NetworkError
from fcsym.language.activation import Piece, activation, leaky_relu, piecewise_linear, relu
from fcsym.networks.network import Network


def test_the_three_ways_to_make_a_network_agree(tmp_path):
    file = tmp_path / "net.toml"
    file.write_text('widths = [2, 3, 1]\nactivation = "leaky_relu"\nbias = [true, false]\n')
    made = Network.mlp([2, 3, 1], "leaky_relu", [True, False])
    assert Network.load(file) == made == Network.parse("2-3-1", "leaky_relu", [True, False])
    assert made.widths == (2, 3, 1)
    assert [a.name for a in made.parameters] == ["W1", "b1", "W2"]


def test_numpy_integers_are_widths():
    assert Network.mlp(list(np.array([2, 2, 1]))) == Network.parse("2-2-1")


def test_layer_tables_and_own_activations(tmp_path):
    file = tmp_path / "net.toml"
    file.write_text(
        """
        inputs = 2
        [[activations]]
        name = "hard_tanh"
        slope_at_kink = [0.5, 1]
        pieces = [
          { upper = -1, slope = 0, intercept = -1 },
          { upper = 1, slope = 1 },
          { slope = 0, intercept = 1, name = "high" },
        ]
        [[layers]]
        width = 3
        activation = "hard_tanh"
        bias = true
        [[layers]]
        kind = "dense"
        width = 1
        """
    )
    net = Network.load(file)
    phi = net.layers[0].activation
    assert [piece.name for piece in phi.pieces] == ["piece 1", "piece 2", "high"]
    assert [phi.value_at(Fraction(s)) for s in (-2, -1, 0, 1, 3)] == [-1, -1, 0, 1, 1]
    assert [phi.slope_at(Fraction(s)) for s in (-2, -1, 0, 1, 3)] == [0, Fraction(1, 2), 1, 1, 0]


def test_decimals_are_exact():
    assert leaky_relu(0.1).pieces[0].slope == Fraction(1, 10)


def test_the_slope_at_a_kink_is_declared():
    assert relu().slope_at(Fraction(0)) == 0
    assert relu(slope_at_kink=0.5).slope_at(Fraction(0)) == Fraction(1, 2)
    assert relu(slope_at_kink=1).value_at(Fraction(0)) == 0


@pytest.mark.parametrize(
    "text",
    [
        *("2--1", "2-0-1", "2", "", "-", "2-2-1-", "2-2-1.5", "2-2-x", "2-2-1\n", "2-1000000000-1", "2-2-1" * 500),
        *("+2-1", "2_0-1", " 2-1", "\uff12-2-1", "__import__('os').system('x')"),
    ],
)
def test_malformed_texts_are_refused_in_one_sentence(text):
    with pytest.raises(NetworkError) as caught:
        Network.parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "sizes", [[2], [], [2, -1], [2, 0, 1], [True, 2, 1], [2, 2.0, 1], [2, "2", 1], "221", None, 3, [2, 10**12, 1],
              [2, np.bool_(True)], [2, float("nan")]],
)  # fmt: skip
def test_malformed_widths_are_refused(sizes):
    with pytest.raises(NetworkError):
        Network.mlp(sizes)


@pytest.mark.parametrize(
    "bad",
    [
        *({"activation": value} for value in ("mish", None, ["relu", "relu"])),
        *({"bias": value} for value in (1, "yes", [True])),
    ],
)
def test_unknown_settings_are_refused(bad):
    with pytest.raises(NetworkError):
        Network.parse("2-2-1", **bad)


@given(st.text(max_size=40))
def test_parse_never_fails_otherwise(text):
    try:
        net = Network.parse(text)
    except FcsymError:
        return
    assert "-".join(map(str, net.widths)) == "-".join(str(int(part)) for part in text.split("-"))


BAD_FILES = {
    "broken": "widths = [2, 2",
    "no widths": 'activation = "relu"',
    "unknown key": 'widths = [2, 2, 1]\ncolour = "red"',
    "unknown activation": 'widths = [2, 2, 1]\nactivation = "mish"',
    "widths no list": 'widths = "2-2-1"',
    "fractional width": "widths = [2, 2.5, 1]",
    "boolean width": "widths = [2, true, 1]",
    "duplicate names": 'widths = [1, 1, 1]\nnames = ["a", "a"]',
    "keyword": 'widths = [1, 1, 1]\nnames = ["a", "lambda"]',
    "C keyword": 'widths = [1, 1, 1]\nnames = ["a", "double"]',
    "not ASCII": 'widths = [1, 1, 1]\nnames = ["a", "β"]',
    "code": 'widths = [1, 1, 1]\nnames = ["a", "__import__(\'os\').system(\'x\')"]',
    "dunder": 'widths = [1, 1, 1]\nnames = ["a", "a__class__"]',
    "taken name": 'widths = [1, 1, 1]\nnames = ["a", "eta"]',
    "generated name": 'widths = [1, 1, 1]\nnames = ["a", "vc_1"]',
    "primed name": 'widths = [1, 1, 1]\nnames = ["a", "a_new"]',
    "name of an element": 'widths = [2, 2, 1]\nnames = ["A", "A_1"]',
    "two pieces of one name": 'widths = [1, 1]\n[[activations]]\nname = "f"\n'
                              'pieces = [{ upper = 0, slope = 0, name = "q" }, { slope = 1, name = "q" }]',
    "constant activation": 'widths = [1, 1]\n[[activations]]\nname = "f"\npieces = [{ slope = 0 }]',
    "number of names": 'widths = [1, 1, 1]\nnames = ["a", "b", "c"]',
    "jump": 'widths = [1, 1, 1]\nactivation = "f"\n[[activations]]\nname = "f"\n'
            "pieces = [{ upper = 0, slope = 0 }, { slope = 0, intercept = 1 }]",
    "pieces out of order": 'widths = [1, 1, 1]\nactivation = "f"\n[[activations]]\nname = "f"\n'
                           "pieces = [{ upper = 1, slope = 1 }, { upper = 0, slope = 1 }, { slope = 1 }]",
    "unknown piece key": 'widths = [1, 1]\n[[activations]]\nname = "f"\npieces = [{ slope = 1, until = 0 }]',
    "endless number": 'widths = [1, 1]\n[[activations]]\nname = "f"\npieces = [{ slope = 1e999999999 }]',
    "not a number": 'widths = [1, 1]\n[[activations]]\nname = "f"\npieces = [{ slope = nan }]',
    "unknown kind": 'inputs = 1\n[[layers]]\nkind = "conv"\nwidth = 1',
    "output activation": 'widths = [1, 1]\noutput = "soft"',
    "loss": 'widths = [1, 1]\nloss = "mae"',
    "loss no name": "widths = [1, 1]\nloss = 3",
    "train no table": "widths = [2, 1]\ntrain = false",
    "train no parameter": "widths = [2, 1]\ntrain = { b1 = false }",
    "train no truth value": "widths = [2, 1]\nbias = true\ntrain = { b1 = 0 }",
    "read-out frozen": "widths = [2, 1]\ntrain = { W1 = false }",
    "layers no tables": "inputs = 1\nlayers = 3",
    "both forms": "widths = [1, 1]\ninputs = 1\n[[layers]]\nwidth = 1",
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_bad_files_are_refused_in_one_sentence(name, tmp_path):
    file = tmp_path / "net.toml"
    file.write_text(BAD_FILES[name], encoding="utf-8")
    with pytest.raises(NetworkError) as caught:
        Network.load(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_binary_files_are_refused(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "binary.toml"):
        with pytest.raises(NetworkError):
            Network.load(path)


def test_pieces_must_meet():
    with pytest.raises(NetworkError, match="jumps"):
        piecewise_linear("step", [Piece(Fraction(0), Fraction(0)), Piece(None, Fraction(0), Fraction(1))])
    assert activation("relu").name == "relu"
