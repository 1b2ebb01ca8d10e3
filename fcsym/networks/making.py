"""What networks are made of, checked before there is one: widths and activations, or forward equations."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fcsym.errors import NetworkError
from fcsym.language.activation import Activation, activation
from fcsym.networks.dense import MAX_LAYERS, Dense
from fcsym.networks.graph import Built, features_of
from fcsym.networks.losses import loss_name

__all__ = ["assembled", "of_built", "output_of"]


def output_of(output: object) -> tuple[Activation, bool]:
    """The output activation of a network of layers, and whether the outputs are a softmax instead."""
    softmax = isinstance(output, str) and output.lower() == "softmax"
    return activation("identity" if softmax else output, ()), softmax


def of_built(made: Built, last: Activation, softmax: bool, loss: object, **what: Any) -> dict[str, Any]:
    """What a network is, given the forward equations that it is of and what follows on their read-out."""
    width = made.sizes[made.logits.axes[-1]]
    if softmax and width == 1:
        raise NetworkError("The softmax of one output is 1 whatever it is: give at least two outputs, or a sigmoid.")
    inputs = prod(made.sizes[axis] for axis in made.input.axes)
    stands = (Dense(features_of(made), made.last_unit[0], False), Dense(width, last, made.shift is not None))
    return {
        "inputs": inputs, "layers": stands, "loss": loss_name(loss), "softmax": softmax, "fixed": made.fixed, **what
    }  # fmt: skip


def _listed(value: object, count: int, what: str) -> list[Any]:
    if isinstance(value, str | bool | Activation) or not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        give = "give one" if count == 1 else f"give one, or {count}"
        raise NetworkError(f"{what} has {len(value)} entries and the network needs {count}: {give}.")
    return list(value)


def assembled(
    widths: Sequence[int], activations: object, biases: object, own: Sequence[Activation] = (), *,
    output: object = "identity", loss: object = "squared",
) -> dict[str, Any]:  # fmt: skip
    """What a stack of dense layers is, given its widths, its activations and which of them have a bias."""
    depth = len(widths) - 1
    if depth < 1:
        raise NetworkError(f"The network has {len(widths)} widths: give at least an input and an output, such as 2-1.")
    if depth > MAX_LAYERS:
        raise NetworkError(f"The network has {depth} layers: at most {MAX_LAYERS} are supported.")
    hidden = [activation(entry, own) for entry in _listed(activations, depth - 1, "activation")]
    if depth == 1 and (isinstance(activations, str) or not isinstance(activations, Sequence)):
        activation(activations, own)
    softmax = isinstance(output, str) and output.lower() == "softmax" and all(phi.name != output for phi in own)
    if softmax and widths[-1] == 1:
        raise NetworkError("The softmax of one output is 1 whatever it is: give at least two outputs, or a sigmoid.")
    last = activation("identity" if softmax else output, own)
    every = [*hidden, last]
    twice = next((a.name for a in every for b in every if a.name == b.name and a.formula != b.formula), None)
    if twice is not None:
        raise NetworkError(f"The network has two activations with the name {twice!r}: give each its own.")
    bias = _listed(biases, depth, "bias")
    for n, flag in enumerate(bias, 1):
        if not isinstance(flag, bool):
            raise NetworkError(f"The bias of layer {n} is {str(flag)[:40]!r}: write true or false.")
    layers = tuple(Dense(width, phi, flag) for width, phi, flag in zip(widths[1:], every, bias, strict=True))
    return {"inputs": widths[0], "layers": layers, "loss": loss_name(loss), "softmax": softmax}
