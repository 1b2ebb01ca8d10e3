"""What a network is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fcsym.networks.rules import PLAIN

__all__ = ["in_words"]

_MOST = 40  # layers that a name says one by one


def in_words(network: Any) -> str:
    """2-2-1 tanh bias, and what is said of its output, its loss and its training."""
    text = _layers(network)
    if network.softmax or not network.output_activation.is_identity:
        text += f" output {network.outputs.activation}"
    text = text if network.loss == "squared" else f"{text} loss {network.loss}"
    text = f"{text} shared {','.join(network.common)}" if network.common else text
    text = f"{text} frozen {','.join(network.fixed)}" if network.fixed else text
    text = text if network.rule == PLAIN else f"{text} rule {network.rule}"
    return f"{text} batch {network.batch}" if network.batch else text


def _layers(network: Any) -> str:
    """2-2-1 tanh bias, or the shape of the input and the kinds of layers."""
    if network.own is not None:
        names = _joined(equation.name for equation in network.own.equations)
        return f"{'x'.join(map(str, network.shape_in))} equations {names} {network.layers[-1].width}"
    if network.nodes:
        kinds = [
            node.layer.activations[0].name if node.layer.kind == "activation" else node.layer.kind
            for node in network.nodes
        ]
        shape = "x".join(map(str, network.shape_in))
        return f"{shape} {_joined(kinds)} {network.layers[-1].width}"
    text = "-".join(map(str, network.widths))
    hidden = list(dict.fromkeys(layer.activation.name for layer in network.layers[:-1]))
    if hidden and hidden != ["relu"]:
        text += " " + ",".join(hidden)
    if any(layer.bias for layer in network.layers):
        everywhere = all(layer.bias for layer in network.layers)
        marks = "" if everywhere else " in " + ",".join(str(n) for n, la in enumerate(network.layers, 1) if la.bias)
        text += f" bias{marks}"
    return text


def _joined(words: Iterable[str]) -> str:
    """a-b-c; of more than a sentence can hold, the first and the last ones."""
    every = list(words)
    left_out = len(every) - _MOST
    if left_out > 0:
        every[_MOST - 10 : -10] = [f"...{left_out} more..."]
    return "-".join(every)
