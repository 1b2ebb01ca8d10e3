"""Any layer may follow any other, and an activation any layer: what they make has names of its own."""

from __future__ import annotations

from collections import Counter

import pytest

import fcsym
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    AvgPool1d,
    Conv1d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MultiheadAttention,
    Residual,
    RMSNorm,
)
from fcsym.networks.network import Network

LAYERS = {  # of two features at two positions
    "attention": lambda: MultiheadAttention(2, 1),
    "a recurrence": lambda: RNN(2, 2),
    "gates": lambda: GRU(2, 2),
    "a memory": lambda: LSTM(2, 2),
    "a norm": lambda: LayerNorm(2),
    "the root of squares": lambda: RMSNorm(2),
    "a mask": lambda: Dropout(0.5),
    "a convolution": lambda: Conv1d(2, 2, 1),
    "a largest value": lambda: MaxPool1d(1),
    "a mean": lambda: AvgPool1d(1),
    "a linear map": lambda: Linear(2, 2),
    "a way around": lambda: Residual([Linear(2, 2), "tanh"]),
    "an activation": lambda: "sigmoid",
}


def of(*layers, shape=(2, 2)):
    return Network.sequential(shape, [*layers, Flatten(), Linear(4, 1)])


@pytest.mark.parametrize("second", LAYERS)
@pytest.mark.parametrize("first", [*LAYERS, "an embedding"])
def test_what_two_layers_and_an_activation_make_has_names_of_its_own(first, second):
    made = Embedding(3, 2) if first == "an embedding" else LAYERS[first]()
    network = of(made, LAYERS[second](), "relu", shape=(2, 3) if first == "an embedding" else (2, 2))
    names = Counter(equation.array.name for equation in network.built.equations)
    assert max(names.values()) == 1, names.most_common(2)


@pytest.mark.parametrize("function", ["relu", "tanh"])
def test_an_activation_of_what_attention_gives(function, order):
    """Its shares are v of the layer as well."""
    d = fcsym.derive(of(MultiheadAttention(2, 1), function), order)
    assert d.proof.holds
    assert fcsym.check(d, trials=50).passed
    assert fcsym.scheme(d.network, "states", order).proof.holds
