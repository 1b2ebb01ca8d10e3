"""Layers: one file a kind, or a few that belong together. A new one is a class with `build`, entered in `KINDS`."""

from __future__ import annotations

from collections.abc import Mapping

from fcsym.networks.layers.base import Building, Layer, Signal
from fcsym.networks.layers.convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d
from fcsym.networks.layers.linear import Activation, Flatten, Linear

__all__ = [
    "KINDS",
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
    "Building",
    "Conv1d",
    "Conv2d",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "Signal",
]

KINDS: Mapping[str, type[Layer]] = {
    layer.kind: layer
    for layer in (Linear, Activation, Flatten, Conv1d, Conv2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d)
}
"""The kinds of layers by their names in network files."""
