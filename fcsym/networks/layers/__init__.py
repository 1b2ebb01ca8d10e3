"""Layers: one file a kind, or a few that belong together. A new one is a class with `build`, entered in `KINDS`."""

from __future__ import annotations

from collections.abc import Mapping

from fcsym.networks.layers.attention import MultiheadAttention
from fcsym.networks.layers.base import Building, Layer, Signal
from fcsym.networks.layers.convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d
from fcsym.networks.layers.embedding import Embedding
from fcsym.networks.layers.graphs import Add, Concatenate, Dropout, Residual
from fcsym.networks.layers.linear import Activation, Dense, Flatten, Linear
from fcsym.networks.layers.normal import LayerNorm, RMSNorm
from fcsym.networks.layers.recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "KINDS",
    "LSTM",
    "RNN",
    "Activation",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "Building",
    "Concatenate",
    "Conv1d",
    "Conv2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MultiheadAttention",
    "RMSNorm",
    "Residual",
    "Signal",
]

KINDS: Mapping[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Dense, Linear, Activation, Flatten, Conv1d, Conv2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d, RNN, GRU, LSTM,
        MultiheadAttention, Add, Residual, Concatenate, LayerNorm, RMSNorm, Embedding, Dropout,
    )
}  # fmt: skip
"""The kinds of layers by their names in network files."""
