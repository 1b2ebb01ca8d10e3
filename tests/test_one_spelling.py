"""A network of layers is one thing, however it is written: in a list, with names, in a file, or in PyTorch."""

from __future__ import annotations

import pickle
import tomllib

import numpy as np
import pytest
from conftest import need_package

import fcsym
from fcsym import Conv2d, Dense, Flatten, LayerNorm, Linear, MaxPool2d, Network, NetworkError, Node, RMSNorm

WRITTEN = [Conv2d(1, 4, 3), "relu", MaxPool2d(2), Flatten(), Dense(10)]
FILE = """
shape = [1, 8, 8]
loss = "cross_entropy"
layers = [
    { kind = "conv2d", out_channels = 4, kernel_size = [3, 3] },
    { kind = "activation", function = "relu" },
    { kind = "maxpool2d", kernel_size = 2, stride = 2 },
    { kind = "flatten" },
    { kind = "dense", width = 10, bias = true },
]
"""
NAMED = [Node(Conv2d(1, 4, (3, 3), 1), "layer 1"), fcsym.relu(), MaxPool2d((2, 2), 2), Flatten(), Linear(36, 10)]


def images():
    return Network(WRITTEN, input=(1, 8, 8), loss="cross_entropy")


@pytest.mark.parametrize(
    "made",
    [
        Network(NAMED, (1, 8, 8), loss="cross_entropy"),
        Network.sequential([1, 8, 8], WRITTEN, loss="cross_entropy"),
        Network.from_table(tomllib.loads(FILE)),
        pickle.loads(pickle.dumps(images())),
    ],
    ids=["in full", "sequential", "a file", "kept"],
)
def test_other_spellings_give_the_same_network(made):
    assert made == images() and hash(made) == hash(images()) and str(made) == str(images())
    assert [theta.name for theta in made.parameters] == ["W1", "b1", "W3", "b3"]
    assert made.training("momentum", "mean") != images()


def test_what_pytorch_has_is_the_same_network_with_weights():
    torch = need_package("torch")
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10)).double()
    net = Network.from_torch(module, input=(1, 8, 8), loss="cross_entropy")
    assert net == images() and images().weights is None
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(3, 1, 8, 8)), np.array([0, 7, 9])
    found = fcsym.derive(net, batch="mean").compile("numpy").step(net.weights, x, labels, 0.1)
    loss = nn.CrossEntropyLoss()(module(torch.tensor(x)), torch.tensor(labels))
    loss.backward()
    np.testing.assert_allclose(found.E, loss.item(), rtol=1e-13)
    for theta, own in zip(net.parameters, module.parameters(), strict=True):
        after = (own - 0.1 * own.grad).detach().numpy().reshape(net.shape(theta))
        np.testing.assert_allclose(getattr(found, f"{theta.name}_new"), after, rtol=1e-12, atol=1e-14)


STACKS = [
    ([Dense(3), fcsym.leaky_relu(), Dense(1)], 2, ([2, 3, 1], "leaky_relu", True)),
    ([Linear(2, 3), "tanh", Linear(3, 1, bias=False)], (2,), ([2, 3, 1], "tanh", [True, False])),
    ([Dense(3, False), Dense(2, False), "tanh", Dense(1, False)], 2, ([2, 3, 2, 1], ["identity", "tanh"])),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "size", "said"), STACKS, ids=str)
def test_dense_layers_in_a_row_are_a_stack(layers, size, said):
    net = Network(layers, input=size, output="sigmoid", loss="bce")
    assert net == Network.mlp(*said, output="sigmoid", loss="bce")
    assert {"P", "r"} & set(fcsym.derive(net).by_name)


def test_settings_are_the_same_however_they_are_written():
    for one, other in (
        (LayerNorm(2), LayerNorm([2], eps=1e-5)),
        (RMSNorm((2,)), RMSNorm(2, "0.000001")),
        (fcsym.AvgPool2d(1, [1, 2]), fcsym.AvgPool2d((1, 1), (1, 2), [0, 0])),
    ):
        shape = (1, 2, 2) if isinstance(one, fcsym.AvgPool2d) else (2,)
        first, second = (Network([layer, Flatten(), Dense(1)], input=shape) for layer in (one, other))
        assert first == second and hash(first) == hash(second)


REFUSED = {
    "no input": (lambda: Network(WRITTEN), "The network has no input"),
    "an empty input": (lambda: Network(WRITTEN, input=()), "give one to three lengths"),
    "words": (lambda: Network("2-2-1", input=2), r"Network.parse\('2-2-1'\) reads widths"),
    "a number": (lambda: Network(3, input=2), "give a list of them"),
    "a class": (lambda: Network([Dense], input=2), "give layers such as fcsym.Dense"),
    "no width": (lambda: Network([Dense(0)], input=2), "out_features of Layer 1"),
    "an activation at the end": (lambda: Network([Dense(2), "relu"], input=2), "is not linear"),
    "a length": (lambda: Network([Conv2d(1, 1, 0), Dense(1)], input=(1, 2, 2)), "kernel_size of Layer 1"),
    "a setting": (lambda: Network([RMSNorm(2, -1), Dense(1)], input=2), "eps of Layer 1"),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_network_is_said_in_one_sentence(make, said):
    with pytest.raises(NetworkError, match=said) as problem:
        make()
    assert str(problem.value).endswith(".") and str(problem.value).count(". ") == 0


def test_an_argument_that_there_is_not_is_a_type_error():
    with pytest.raises(TypeError, match="no argument 'shape'"):
        Network(WRITTEN, shape=(1, 8, 8))
