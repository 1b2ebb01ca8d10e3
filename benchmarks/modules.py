"""Networks of layers as PyTorch has them: a module for each node, with the same weights, and a step by autograd."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

import fcsym
from fcsym.layers import LSTM, RNN, Activation, Add, Flatten, MultiheadAttention

__all__ = ["step_of"]


def _module(layer: Any) -> Any:
    """The layer of that name in PyTorch, with the same numbers."""
    import torch

    match layer:
        case Activation():
            return getattr(torch.nn, {"relu": "ReLU", "tanh": "Tanh"}[layer.activations[0].name])()
        case Flatten():
            return torch.nn.Flatten()
        case Add():
            return None
        case MultiheadAttention():
            return torch.nn.MultiheadAttention(layer.embed_dim, layer.num_heads, bias=layer.bias, batch_first=True)
        case RNN() | LSTM():
            made = getattr(torch.nn, type(layer).__name__)
            return made(layer.input_size, layer.hidden_size, bias=layer.bias, batch_first=True)
        case _:
            exact = {name: float(value) for name, value in vars(layer).items() if isinstance(value, Fraction)}
            return getattr(torch.nn, type(layer).__name__)(**vars(layer) | exact)


def _applied(layer: Any, module: Any, values: list[Any]) -> Any:
    """What a node passes on."""
    import torch

    match layer:
        case Add():
            return torch.stack(values).sum(dim=0) if len(values) > 2 else values[0] + values[1]
        case MultiheadAttention():
            length, dtype = values[0].shape[-2], values[0].dtype
            square = torch.nn.Transformer.generate_square_subsequent_mask
            mask = square(length, dtype=dtype) if layer.causal else None
            return module(*values * 3, need_weights=False, attn_mask=mask, is_causal=layer.causal)[0]
        case RNN() | LSTM():
            every = module(*values)[0]
            return every[:, -1] if layer.last else every
        case _:
            return module(*values)


def _weights(layer: Any, module: Any) -> list[Any]:
    """Views of the module's parameters, as many and in the order that the layer has them."""
    match layer:
        case MultiheadAttention():
            each = zip(module.in_proj_weight.data.chunk(3), module.in_proj_bias.data.chunk(3), strict=True)
            return [*(part for pair in each for part in pair), module.out_proj.weight.data, module.out_proj.bias.data]
        case RNN() | LSTM():
            return [part for p in module.parameters() for part in p.data.chunk(len(layer.gates))]
        case Add():
            return []
        case _:
            return [parameter.data for parameter in module.parameters()]


def step_of(
    network: fcsym.Network, weights: list[np.ndarray], x: np.ndarray, target: np.ndarray, eta: float
) -> tuple[Callable[[], object], list[np.ndarray]]:
    """A step with PyTorch's layers, loss, autograd and SGD on one thread; and the weights after the first one.

    The loss is what the network's is, the sum of 1/2 squared errors or the cross-entropy of labels, its mean over the
    samples; `target` holds numbers, or labels where it has an axis less than the output.
    """
    import torch

    torch.set_num_threads(1)
    inputs, wanted = torch.tensor(x), torch.tensor(target)
    modules = [_module(node.layer) for node in network.nodes]
    pairs = [(node.layer, module) for node, module in zip(network.nodes, modules, strict=True)]
    every = torch.nn.ModuleList(module for module in modules if module is not None).to(inputs.dtype)
    own = [view for layer, module in pairs for view in _weights(layer, module)]
    for view, start in zip(own, weights, strict=True):
        view.copy_(torch.tensor(start.reshape(view.shape)))
    optimiser, entropy = torch.optim.SGD(every.parameters(), eta), torch.nn.CrossEntropyLoss(reduction="sum")
    labels = not wanted.is_floating_point()

    def step() -> None:
        optimiser.zero_grad()
        values = {"x": inputs}
        for node, (layer, module) in zip(network.nodes, pairs, strict=True):
            values[node.name] = y = _applied(layer, module, [values[name] for name in node.of])
        loss = entropy(y.flatten(0, -2), wanted.flatten()) if labels else ((y - wanted) ** 2).sum() / 2
        (loss / len(inputs)).backward()
        optimiser.step()

    step()
    return step, [view.numpy().copy() for view in own]
