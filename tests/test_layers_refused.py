"""Layers and modules that do not fit: one sentence each, which layer, which axis, what it expected."""

from __future__ import annotations

from dataclasses import MISSING, fields
from fractions import Fraction

import numpy as np
import pytest
from conftest import need_package

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, NetworkError
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    AvgPool1d,
    Concatenate,
    Conv1d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MaxPool2d,
    MultiheadAttention,
    Node,
    Residual,
    RMSNorm,
)
from fcsym.networks.layers.base import Layer

END = Linear(2, 1)

REFUSED = {
    "features": ((3,), [Linear(4, 2), END], "Layer 1 (linear): it expects 4 features and is given 3"),
    "channels": ((2, 5), [Conv1d(1, 1, 2), END], "Layer 1 (conv1d): it expects 1 channels and is given 2"),
    "axes": ((5,), [Conv2d(1, 1, 2), END], "Layer 1 (conv2d): it reads channels, rows and columns, (C, H, W)"),
    "a window": ((1, 3), [Conv1d(1, 1, 2, dilation=3), END], "its window spans 4 places and the axis T_0 has 3"),
    "groups": ((3, 3), [Conv1d(3, 4, 1, groups=2), END], "2 groups do not divide 3 and 4 channels"),
    "padding": ((1, 9), [Conv1d(1, 1, 2, padding=3), END], "the padding 3 is larger than the kernel of 2"),
    "padding of a mean": ((1, 9), [AvgPool1d(2, padding=2), END], "the padding 2 is more than half of the window of 2"),
    "padding of a maximum": (
        (1, 9), [MaxPool1d(3, padding=2), END], "the padding 2 is more than half of the window of 3: give at most half",
    ),
    "two lengths of a window": ((1, 9), [MaxPool1d((2, 3)), END], "The kernel_size of Layer 1 (maxpool1d) is '(2, 3)'"),
    "two strides": ((1, 9), [AvgPool1d(2, (1, 2)), END], "The stride of Layer 1 (avgpool1d) is '(1, 2)'"),
    "a maximum of nothing": (
        (1, 1), [MaxPool1d(4, padding=2, dilation=2), END],
        "Layer 1 (maxpool1d): its window spans 7 places and the axis T_0 has 1, 5 with padding",
    ),
    "a maximum over padding alone": (
        (1, 2), [MaxPool1d(2, padding=1, dilation=3), END], "one of its windows lies outside of the axis T_0 of 2",
    ),
    "no steps": ((0, 2), [RNN(2, 2, last=True), END], "along T_0 is '0': give a whole number from 1"),
    "steps": ((2,), [LSTM(2, 2), END], "Layer 1 (lstm): it reads steps and features, (T, n)"),
    "features of a step": ((3, 2), [GRU(4, 2), END], "Layer 1 (gru): it expects 4 features and is given 2"),
    "nonlinearity": ((3, 2), [RNN(2, 2, nonlinearity="sine"), END], "Layer 1 (rnn): The activation 'sine' is not"),
    "a million steps": ((1_000_000, 2), [RNN(2, 2), END], "Layer 1 (rnn): with it the network has more than 10000"),
    "a window of a million": (
        (1, 1000, 1000), [MaxPool2d(1000), Flatten(), Linear(1, 1)], "Layer 1 (maxpool2d): with it the network",
    ),
    "heads": ((3, 2), [MultiheadAttention(2, 4), END], "Layer 1 (attention): 4 heads do not divide 2 features"),
    "positions": ((2,), [MultiheadAttention(2, 1), END], "Layer 1 (attention): it reads positions and features"),
    "normalisation": ((3, 2), [LayerNorm(3), END], "it normalises axes of shape (3,) and is given (3, 2)"),
    "epsilon": ((2,), [RMSNorm(2, -1), END], "The eps of Layer 1 (rmsnorm) is -1: give a number from 0 on"),
    "tokens": ((3, 2), [Embedding(5, 2), END], "Layer 1 (embedding): it expects 5 tokens, one after the other, and"),
    "a mask": ((2,), [Dropout(1), END], "The p of Layer 1 (dropout) is 1: give a number from 0 up to, but not, 1"),
    "a sum": ((2,), [Residual([Linear(2, 3)]), END], "Layer 1 (add): it joins shapes (2,) and (3,): make them alike"),
    "a sum of one": ((2,), [Add(), END], "Layer 1 (add): it joins layers and is given one"),
    "side by side": (
        (3, 2), [Node(Flatten(), "f"), Node(Linear(6, 2), "a"), Node(Concatenate(), "c", ("x", "a")), END],
        "Layer 'c' (concatenate): it joins shapes (3, 2) and (2,): make them alike but for the last axis",
    ),
    "a circle": (
        (2,), [Node(Linear(2, 2), "a", ("b",)), Node(Linear(2, 2), "b", ("a",)), END],
        "The layers read each other in a circle, a -> b -> a",
    ),
    "a name": ((2,), [Node(END, "a", ("z",))], "Layer 'a' (linear) reads 'z', which no layer is called"),
    "what nothing reads": ((2,), [Node(END, "a"), Node(END, "b", ("x",))], "Nothing reads layer 'a' (linear)"),
    "the read-out": ((2,), [Linear(2, 2), Activation("relu")], "The read-out, layer 2 (activation), is not linear"),
    "flattened": ((2, 4), [Flatten(), RNN(4, 2), END], "Layer 2 (rnn): it reads axes one by one, and what it is given"),
    "flattened in part": (
        (2, 2), [Node(Flatten(), "f"), Node(Add(), "s", ("f", "x")), Linear(4, 1)], "of shape (2, 2), is flattened",
    ),
    "flattened, too long": ((2, 2), [Flatten(), LayerNorm(2), Linear(4, 1)], "of shape (2,) and is given (4,)"),
    "a flag": ((2,), [Linear(2, 2, "yes"), END], "The bias of Layer 1 (linear) is 'yes': give true or false"),
    "a name that is none": ((2,), [Node(END, "a", (3,))], "Layer 1 has the name 'a' and reads (3,): give texts"),
    "a node of nothing": ((2,), [Node(3, "a")], "Layer 1 is Node"),
    "three lengths": ((1, 4, 4), [Conv2d(1, 1, (1, 1, 1)), END], "kernel_size of Layer 1 (conv2d) is (1, 1, 1)"),
    "no layer": ((2,), [3], "Layer 1 is int '3': give layers such as fcsym.Dense"),
    "no layers": ((2,), [], "The network has no layers"),
    "no whole number": ((2, 2), [RNN(2, 2.5), END], "is '2.5': give a whole number from 1"),
}  # fmt: skip


@pytest.mark.parametrize(("shape", "layers", "said"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_said_in_one_sentence(shape, layers, said):
    with pytest.raises(NetworkError) as problem:
        Network.sequential(shape, layers)
    text = str(problem.value)
    assert said.lower() in text.lower()
    assert text.endswith(".") and text.count(". ") == 0 and "\n" not in text


def test_an_update_in_sequential_order_that_would_need_itself_is_refused():
    net = Network.sequential((3, 2), [RNN(2, 2, last=True), END])
    with pytest.raises(ArgumentError, match="choose the simultaneous order"):
        fcsym.derive(net, "sequential")


def token_kernel():
    net = Network.sequential((3, 4), [Embedding(4, 2), Flatten(), Linear(6, 2)], loss="cross_entropy")
    rng = np.random.default_rng(0)
    return fcsym.derive(net, batch="mean").compile(), [rng.normal(size=net.shape(a)) for a in net.parameters]


def test_tokens_are_rows_of_0_and_a_1():
    kernel, weights = token_kernel()
    tokens = np.array([[3, 0, 1], [2, 2, 2]])
    after = kernel.step(weights, tokens, [0, 1], 0.1)
    for rows in (np.eye(4)[tokens], np.eye(4, dtype=int)[tokens]):
        assert np.array_equal(kernel.step(weights, rows, [0, 1], 0.1).W1_new, after.W1_new)
    assert not np.array_equal(after.W1_new[3], weights[0][3])
    single = kernel.step([w.astype("float32") for w in weights], tokens, [0, 1], 0.1)
    assert single.y.dtype == np.float32


@pytest.mark.parametrize("token", [4, -1])
def test_a_token_that_there_is_not_is_refused(token):
    kernel, weights = token_kernel()
    with pytest.raises(ArgumentError, match=rf"x has the token {token}: tokens of .* are whole numbers from 0 to 3"):
        kernel.step(weights, np.array([[0, 1, token]]), [0], 0.1)


@pytest.mark.parametrize("layers", [[], 3, "relu"])
def test_a_residual_connection_goes_around_layers(layers):
    with pytest.raises(NetworkError, match="Residual has the layers"):
        Residual(layers)


MODULES = {
    "complex numbers": (lambda nn: [nn.Linear(2, 1, dtype=complex_())], "has complex numbers in its weight"),
    "no numbers": (lambda nn: [nn.Linear(2, 1, device="meta")], "Module 1 (Linear) has no numbers yet in its weight"),
    "a module that is not known": (lambda nn: [nn.BatchNorm1d(3)], "Module 1 (BatchNorm1d) is no module that is known"),
    "one within another": (
        lambda nn: [nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Bilinear(2, 2, 2))], "Module 2.2 (Bilinear)",
    ),
    "dropout while training": (lambda nn: [nn.Linear(2, 2), nn.Dropout()], "Module 2 (Dropout) draws a mask anew"),
    "a setting": (
        lambda nn: [nn.Conv1d(1, 1, 2, padding=1, padding_mode="circular")], "has padding_mode=circular, which no",
    ),
    "half a window": (lambda nn: [nn.Conv1d(1, 1, 2, padding="same")], "padding='same' with a window of even span"),
    "two layers": (lambda nn: [nn.LSTM(2, 2, 2)], "Module 1 (LSTM) has num_layers=2"),
    "a row that is not trained": (lambda nn: [nn.Embedding(4, 2, padding_idx=0)], "has padding_idx=0"),
    "a shared module": (lambda nn: [nn.Linear(2, 2)] * 2, "Module 2 (Linear) is the same as Module 1 (Linear)"),
    "two outputs": (lambda nn: [nn.Linear(2, 2), nn.Tanh(), nn.Softmax(-1)], "Module 3 (Softmax) follows on the"),
    "a softmax within": (lambda nn: [nn.Softmax(-1), nn.Linear(2, 2)], "Module 1 (Softmax) is not at the end"),
    "a softmax over samples": (lambda nn: [nn.Linear(2, 2), nn.Softmax(0)], "has dim=0"),
    "no read-out": (lambda nn: [nn.ReLU()], "is not linear"),
    "no size": (lambda nn: [nn.Conv1d(1, 1, 2), nn.Linear(2, 2)], "does not say how large its input is"),
    "features": (lambda nn: [nn.Linear(2, 3), nn.Identity(), nn.Linear(2, 1)], "Layer 3 (linear): it expects 2"),
    "a part that is trained": (lambda nn: [held(nn.Linear(2, 1), "bias")], "of which only some have requires_grad"),
}  # fmt: skip


def complex_():
    return need_package("torch").complex64


def held(module, name):
    """The module, with one parameter that is not trained."""
    getattr(module, name).requires_grad = False
    return module


@pytest.mark.parametrize(("make", "said"), MODULES.values(), ids=MODULES)
def test_a_module_that_cannot_be_read_is_named(make, said):
    nn = need_package("torch").nn
    modules = make(nn)
    shapes = {"Conv1d": (1, 4), "LSTM": (3, 2), "Embedding": 3, "BatchNorm1d": 3, "ReLU": 2, "Softmax": 2}
    shape = None if "how large" in said else shapes.get(type(modules[0]).__name__)
    with pytest.raises(NetworkError) as problem:
        Network.from_torch(modules, shape)
    assert said in str(problem.value)


@pytest.mark.parametrize("thing", [3, "Linear", None])
def test_what_is_no_module_is_refused(thing):
    with pytest.raises(NetworkError, match=r"from_torch got .*: give a torch.nn.Sequential"):
        Network.from_torch(thing)


def test_a_sequential_of_linear_layers_is_a_stack_of_dense_ones():
    nn = need_package("torch").nn
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3, bias=False), nn.Linear(3, 2), nn.Sigmoid())
    module[0].requires_grad_(False)
    net, weights = Network.from_torch(module)
    stack = Network.mlp([2, 3, 3, 2], ["relu", "identity"], [True, False, True], output="sigmoid")
    assert net == stack.frozen("W1", "b1")
    assert [w.shape for w in weights] == [net.shape(theta) for theta in net.parameters]
    assert all(map(np.array_equal, net.training("momentum", "mean").weights, weights)) and stack.weights is None
    weights[0][:] = 0  # a copy: the module keeps its own
    assert module[0].weight.abs().sum() > 0
    for strange in (stack, net.reduced()):
        with pytest.raises(TypeError, match="has no weights to unpack"):
            net, weights = strange


def test_half_precision_is_read_as_single():
    torch = need_package("torch")
    module = torch.nn.Sequential(torch.nn.Linear(2, 1, dtype=torch.bfloat16))
    _, weights = Network.from_torch(module)
    assert [w.dtype for w in weights] == [np.float32] * 2
    assert np.array_equal(weights[0], module[0].weight.detach().float().numpy())


def test_an_output_activation_is_read_off_the_end():
    nn = need_package("torch").nn
    conv = [nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(6, 2)]
    for last, output in ((nn.Softmax(-1), "softmax"), (nn.Sigmoid(), "sigmoid"), (nn.Identity(), "identity")):
        net, _ = Network.from_torch(nn.Sequential(*conv, last), (1, 4))
        assert net.outputs.activation == output


@pytest.mark.parametrize("layers", [[], [Flatten()], [AvgPool1d(1)], [LayerNorm(2, elementwise_affine=False)]], ids=str)
def test_what_no_training_reaches_needs_no_compensation(layers):
    net = Network.sequential((1, 2), [*layers, Flatten(), Linear(2, 1)])
    d = fcsym.derive(net)
    assert not {"p", "r", "vc"} & set(d.by_name)
    after = d.compile().step([np.ones((1, 1, 2)), np.ones(1)], [[1.0, 2.0]], [1.0], 0.5)
    assert after.y_new.shape == (1,)


HOSTILE = (
    16**5000,
    -(16**5000),
    (16**5000, 2),
    Fraction(16**5000, 3),
    float("inf"),
    float("nan"),
    "a" * 9999,
    None,
    b"",
)
KINDS = [
    kind
    for kind in vars(fcsym.layers).values()
    if isinstance(kind, type) and issubclass(kind, Layer) and kind is not Layer
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whatever_an_argument_of_a_layer_is_there_is_a_sentence(kind):
    """Each argument of every layer, of numbers that Python does not write and of what is no number."""
    known = [field for field in fields(kind) if field.init]
    needed = [field.name for field in known if field.default is MISSING and field.default_factory is MISSING]
    for field in known:
        for value in HOSTILE:
            given = {**dict.fromkeys(needed, 2), field.name: value}
            for shape in ((6,), (2, 6), (2, 6, 6)):
                try:
                    Network.sequential(shape, [kind(**given), "relu", Flatten(), Linear(12, 1)])
                except fcsym.FcsymError as problem:
                    assert len(str(problem)) < 600 and "\n" not in str(problem)
