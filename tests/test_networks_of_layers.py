"""Networks of layers in every reading: files, documents, pictures, schemes, exported code, values, costs."""

from __future__ import annotations

import tomllib

import pytest

import fcsym
from fcsym.layers import Add, Conv1d, Flatten, Linear, MaxPool1d, Node
from fcsym.networks.layers import KINDS

CONV = """
shape = [1, 8]
loss = "cross_entropy"

[[layers]]
kind = "conv1d"
out_channels = 2
kernel_size = 3
activation = "relu"

[[layers]]
kind = "maxpool1d"
kernel_size = 2

[[layers]]
kind = "flatten"

[[layers]]
kind = "linear"
out_features = 4
activation = "tanh"
name = "a"

[[layers]]
kind = "dense"
width = 4
name = "b"

[[layers]]
kind = "add"
from = ["a", "b"]

[[layers]]
kind = "linear"
out_features = 2
"""


def read(text):
    return fcsym.Network.from_table(tomllib.loads(text))


def conv():
    return fcsym.Network.sequential(
        (1, 8), [Conv1d(1, 2, 3), "relu", MaxPool1d(2), Flatten(), Linear(6, 2)], loss="cross_entropy"
    )


# ------------------------------------------------------------------------------------------------------------- files


def test_a_file_says_what_python_says():
    written = [
        Conv1d(1, 2, 3), "relu", MaxPool1d(2), Flatten(), Linear(6, 4), Node(fcsym.layers.Activation("tanh"), "a"),
        Node(Linear(4, 4, bias=False), "b"), Node(Add(), of=("a", "b")), Linear(4, 2),
    ]  # fmt: skip
    made = fcsym.Network.sequential((1, 8), written, loss="cross_entropy")
    assert read(CONV).layer_equations == made.layer_equations
    assert read(CONV).sizes == made.sizes


def test_a_file_says_how_such_a_network_is_trained():
    network = read('train = { b1 = false }\nrule = "momentum"\nbatch = "mean"\n' + CONV)
    assert network.fixed == ("b1",)
    assert network.rule.name == "momentum" and network.batch == "mean"


def test_the_activation_of_the_last_layer_is_the_outputs():
    assert read(CONV.replace("cross_entropy", "bce") + 'activation = "sigmoid"').output_activation.name == "sigmoid"
    assert read('output = "softmax"\n' + CONV.replace("cross_entropy", "squared")).softmax


def test_old_files_keep_their_meaning():
    first = 'inputs = 2\n[[layers]]\nwidth = 3\nactivation = "tanh"'
    old = read(first + '\n[[layers]]\nkind = "dense"\nwidth = 1\nbias = true')
    assert old.built is None and str(old) == "2-3-1 tanh bias in 2"


def test_a_group_of_layers_stands_in_a_file():
    group = '[[layers]]\nkind = "residual"\nlayers = [{ kind = "linear", out_features = 4 }]'
    text = f"inputs = 4\n{group}\n[[layers]]\nwidth = 1"
    made = fcsym.Network.sequential(4, [fcsym.layers.Residual([Linear(4, 4)]), Linear(4, 1, bias=False)])
    assert read(text).layer_equations == made.layer_equations


LINEAR = '\n[[layers]]\nkind = "linear"\nout_features = 2'
CYCLE = (
    'inputs = 3\n[[layers]]\nkind = "linear"\nname = "a"\nfrom = "b"\nout_features = 2\nactivation = "relu"\n'
    '[[layers]]\nkind = "linear"\nname = "b"\nout_features = 2' + LINEAR
)
BAD = {
    "unknown kind": (f'shape = [1, 8]\n[[layers]]\nkind = "conv9"{LINEAR}', ["conv9", "number 1", *KINDS]),
    "unknown key": (f'shape = [1, 8]\n[[layers]]\nkind = "conv1d"\nkernel = 3{LINEAR}', ["'kernel'", "kernel_size"]),
    "missing key": (f'shape = [1, 8]\n[[layers]]\nkind = "conv1d"\nkernel_size = 3{LINEAR}', ["out_channels"]),
    "padding": (CONV.replace("kernel_size = 3", "kernel_size = 3\npadding = 4"), ["Layer 1", "padding 4", "3"]),
    "window": (CONV.replace("kernel_size = 3", "kernel_size = 9"), ["Layer 1", "9 places", "T_0", "8"]),
    "channels": (CONV.replace("kernel_size = 3", "kernel_size = 3\nin_channels = 4"), ["Layer 1", "4", "given 1"]),
    "no steps": (f'shape = [0, 3]\n[[layers]]\nkind = "rnn"\nhidden_size = 2\nlast = true{LINEAR}', ["T_0", "'0'"]),
    "cycle": (CYCLE, ["a -> b -> a"]),
    "read-out": (f'inputs = 3{LINEAR}\n[[layers]]\nkind = "layernorm"', ["layernorm"]),
    "two shapes": (f"shape = [3]\ninputs = 3{LINEAR}", ["shape", "inputs"]),
    "no name": (CONV.replace('from = ["a", "b"]', 'from = ["a", "c"]'), ["'c'", "layer 6"]),
    "flag": (f"shape = [3]{LINEAR}\nbias = 3", ["bias", "true or false"]),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_one_sentence(what):
    text, words = BAD[what]
    with pytest.raises(fcsym.NetworkError) as caught:
        read(text)
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert said.endswith(".") and "\n" not in said


def test_the_command_line_refuses_with_status_2_and_writes_nothing(tmp_path, capsys):
    from fcsym.cli import main

    (tmp_path / "net.toml").write_text(BAD["padding"][0])
    assert main(["derive", str(tmp_path / "net.toml"), "-o", str(tmp_path / "x.tex")]) == 2
    assert "padding" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["net.toml"]


# ---------------------------------------------------------------------------------------------------------- pictures


def residual():
    written = [Linear(3, 3), "relu", fcsym.layers.Residual([Linear(3, 3), "tanh"]), Linear(3, 2)]
    return fcsym.Network.sequential(3, written)


def test_the_graph_is_drawn_with_a_box_for_every_layer_and_its_shape():
    picture = fcsym.draw(conv())
    assert "conv1d, relu gives v1 2 x 6, maxpool1d, flatten gives v2 2 x 3, linear gives y 2." in picture.words
    assert picture.svg.count('<rect class="fc-unit"') == 4
    assert picture.svg.count("2 × 6") == 1


def test_what_skips_layers_passes_them_by():
    straight, skipping = fcsym.draw(conv()).svg, fcsym.draw(residual()).svg
    assert straight.count('d="M') == 2 * 3  # a line and its head, from box to box
    assert skipping.count('d="M') == 2 * 5
    assert "V" in skipping.split("</style>")[1] and "V" not in straight.split("</style>")[1]


def test_equations_of_ones_own_are_drawn():
    from fcsym.equations import apply, hidden, indices, input_, parameter, total

    i, j, k = indices("i j k")
    x, U, W = input_("x", j), parameter("U", i, j), parameter("W", k, i)
    s, v, y = hidden("s", i), hidden("v", i), hidden("y", k)
    written = [
        (s[i], total(j, U[i, j] * x[j])),
        (v[i], apply("sigmoid", s[i]) * s[i]),
        (y[k], total(i, W[k, i] * v[i])),
    ]
    picture = fcsym.draw(fcsym.Network.from_equations(written, {"i": 3, "j": 2, "k": 1}))
    assert picture.words.endswith("input gives x 2, s gives s 3, v gives v 3, y gives y 1.")


# ----------------------------------------------------------------------------------------------------------- schemes


@pytest.mark.parametrize("name", ["weights", "compensation", "history", "basis", "collapsed"])
def test_other_schemes_say_that_they_are_for_stacks(name):
    said = rf"^{name} is derived for stacks of dense layers \(.*\), .*: choose .*backprop"
    with pytest.raises(fcsym.ArgumentError, match=said):
        fcsym.scheme(conv(), name)


@pytest.mark.parametrize("statement", [fcsym.collapse, fcsym.next_input])
def test_statements_say_it_too(statement):
    with pytest.raises(fcsym.ArgumentError, match="stacks of dense layers"):
        statement(conv())
