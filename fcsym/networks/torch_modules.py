"""`torch.nn` modules => layers and their weights. PyTorch is not imported: a module tells what it is.

What a module computes that no layer here does is refused by the name of the module and of what it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fcsym.errors import NetworkError, shown
from fcsym.language.activation import leaky_relu
from fcsym.networks import layers as here
from fcsym.networks.graph import Node
from fcsym.networks.layers.base import Layer

__all__ = ["Found", "found_in"]

Weights: TypeAlias = "list[npt.NDArray[Any]]"


@dataclass
class Found:
    """What a row of modules is: layers, an output activation after the last one, and a weight for each parameter."""

    shape: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)
    output: object = "identity"
    weights: Weights = field(default_factory=list)
    held: list[bool] = field(default_factory=list)  # whether a weight is one that PyTorch does not train

    def fitting(self, shapes: Sequence[tuple[int, ...]]) -> Weights:
        """The weights as a network has them: what is read after Flatten has an axis for each that was there."""
        return [weight.reshape(shape) for weight, shape in zip(self.weights, shapes, strict=True)]


@dataclass
class _Module:
    """One module, and what it is called in messages."""

    module: Any
    number: str
    precision: Any = None  # that of the first parameter there is

    @property
    def where(self) -> str:
        """What it is called."""
        return f"Module {self.number} ({type(self.module).__name__})"

    def refuse(self, what: str) -> NetworkError:
        """The error for it."""
        return NetworkError(f"{self.where} {what}")

    def needs(self, **wanted: object) -> None:
        """NetworkError where a setting is another than what layers here do."""
        for name, value in wanted.items():
            given = getattr(self.module, name, value)
            if given != value:
                raise self.refuse(f"has {name}={shown(given)}, which no layer here has: make it {value}.")

    def array(self, name: str) -> npt.NDArray[Any]:
        """A parameter as an array of its own, of float64 or float32; NetworkError where it is none."""
        tensor = getattr(self.module, name)
        if tensor.is_complex() or tensor.is_meta:
            what = "complex numbers" if tensor.is_complex() else "no numbers yet"
            raise self.refuse(f"has {what} in its {name}: give it real ones.")
        held = tensor.detach().cpu()
        return np.array((held if held.element_size() > 3 else held.float()).numpy())  # half precision has no kernels

    def arrays(self, *names: str) -> Weights:
        """Those parameters that there are."""
        return [self.array(name) for name in names if getattr(self.module, name, None) is not None]

    def trained(self) -> bool:
        """Whether PyTorch trains it; NetworkError where it trains a part of it."""
        asked = {bool(p.requires_grad) for p in self.module.parameters(recurse=False)}
        if len(asked) > 1:
            raise self.refuse("has parameters of which only some have requires_grad: make them alike.")
        return asked != {False}


Read: TypeAlias = "tuple[list[Layer], Weights]"


def _linear(at: _Module) -> Read:
    m = at.module
    return [here.Linear(m.in_features, m.out_features, m.bias is not None)], at.arrays("weight", "bias")


def _single(at: _Module, name: str) -> Any:
    """A setting of a layer in one direction, which PyTorch has as a tuple of one or as a number."""
    value = getattr(at.module, name)
    return value[0] if isinstance(value, tuple) else value


def _padding(at: _Module) -> Any:
    """The padding as numbers: "valid" is none, "same" half of what a window spans besides one place."""
    m = at.module
    if m.padding == "valid":
        return (0,) * len(m.kernel_size)
    if m.padding == "same":
        spans = [d * (k - 1) for d, k in zip(m.dilation, m.kernel_size, strict=True)]
        if any(span % 2 for span in spans):
            raise at.refuse("has padding='same' with a window of even span: give the padding as a number.")
        return tuple(span // 2 for span in spans)
    return m.padding


def _conv(at: _Module) -> Read:
    m = at.module
    at.needs(padding_mode="zeros")
    padding, bias = _padding(at), m.bias is not None
    if len(m.kernel_size) == 1:
        (size,), (stride,), (extra,), (dilation,) = m.kernel_size, m.stride, padding, m.dilation
        made: Layer = here.Conv1d(m.in_channels, m.out_channels, size, stride, extra, dilation, m.groups, bias)
    else:
        own = (m.in_channels, m.out_channels, m.kernel_size, m.stride, padding, m.dilation, m.groups, bias)
        made = here.Conv2d(*own)
    return [made], at.arrays("weight", "bias")


def _average(at: _Module) -> Read:
    m = at.module
    at.needs(ceil_mode=False, divisor_override=None)
    if not m.count_include_pad and any(np.ravel(m.padding)):
        raise at.refuse("has count_include_pad=False, which no layer here has: make it True.")
    if type(m).__name__ == "AvgPool1d":
        return [here.AvgPool1d(_single(at, "kernel_size"), _single(at, "stride"), _single(at, "padding"))], []
    return [here.AvgPool2d(m.kernel_size, m.stride, m.padding)], []


def _greatest(at: _Module) -> Read:
    m = at.module
    at.needs(ceil_mode=False, return_indices=False)
    if type(m).__name__ == "MaxPool1d":
        return [here.MaxPool1d(*(_single(at, name) for name in _WINDOW))], []
    return [here.MaxPool2d(*(getattr(m, name) for name in _WINDOW))], []


_WINDOW = ("kernel_size", "stride", "padding", "dilation")


def _flatten(at: _Module) -> Read:
    if at.module.start_dim not in (0, 1):
        raise at.refuse(f"has start_dim={at.module.start_dim}: make it 1, all axes but that of the samples.")
    at.needs(end_dim=-1)
    return [here.Flatten()], []


def _phi(name: str, **wanted: object) -> Callable[[_Module], Read]:
    def read(at: _Module) -> Read:
        at.needs(**wanted)
        return [here.Activation(name)], []

    return read


def _leaky(at: _Module) -> Read:
    return [here.Activation(leaky_relu(at.module.negative_slope))], []


def _embedding(at: _Module) -> Read:
    at.needs(padding_idx=None, max_norm=None, scale_grad_by_freq=False)
    return [here.Embedding(at.module.num_embeddings, at.module.embedding_dim)], at.arrays("weight")


def _layer_norm(at: _Module) -> Read:
    m = at.module
    affine, bias = m.weight is not None, m.bias is not None
    return [here.LayerNorm(tuple(m.normalized_shape), m.eps, affine, bias)], at.arrays("weight", "bias")


def _rms_norm(at: _Module) -> Read:
    m = at.module
    weights = at.arrays("weight")
    eps = float(np.finfo(at.precision).eps) if m.eps is None else m.eps  # for PyTorch, of the numbers that it is given
    return [here.RMSNorm(tuple(m.normalized_shape), eps, bool(weights))], weights


def _recurrent(at: _Module) -> Read:
    """All gates on top of each other => an array for each."""
    m = at.module
    at.needs(num_layers=1, bidirectional=False, proj_size=0)
    layer: Any = {"RNN": here.RNN, "GRU": here.GRU, "LSTM": here.LSTM}[type(m).__name__]
    more = {"nonlinearity": m.nonlinearity} if layer is here.RNN else {}
    made = layer(m.input_size, m.hidden_size, m.bias, **more)
    stacked = at.arrays("weight_ih_l0", "weight_hh_l0", *(("bias_ih_l0", "bias_hh_l0") if m.bias else ()))
    return [made], [part for array in stacked for part in np.split(array, len(layer.gates))]


def _dropout(at: _Module) -> Read:
    if at.module.training and at.module.p:
        raise at.refuse(
            "draws a mask anew at every step: call eval() on the module to leave it out, or build the network of "
            "layers, with fcsym.layers.Dropout, whose mask is given."
        )
    return [], []


def _nothing(at: _Module) -> Read:
    del at
    return [], []


_READERS: Mapping[str, Callable[[_Module], Read]] = {
    "Linear": _linear,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool1d": _average,
    "AvgPool2d": _average,
    "MaxPool1d": _greatest,
    "MaxPool2d": _greatest,
    "Flatten": _flatten,
    "ReLU": _phi("relu"),
    "LeakyReLU": _leaky,
    "Tanh": _phi("tanh"),
    "Sigmoid": _phi("sigmoid"),
    "Softplus": _phi("softplus", beta=1),
    "SiLU": _phi("silu"),
    "GELU": _phi("gelu", approximate="none"),
    "Embedding": _embedding,
    "LayerNorm": _layer_norm,
    "RMSNorm": _rms_norm,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "Dropout": _dropout,
    "Identity": _nothing,
}
"""The modules that are read, by their names in `torch.nn`."""


def _in_a_row(module: Any, where: str = "") -> Iterator[_Module]:
    """The modules of a Sequential, those of one within it too, or of any other sequence."""
    if type(module).__name__ == "Sequential" or isinstance(module, list | tuple):
        for number, inner in enumerate(module, 1):
            yield from _in_a_row(inner, f"{where}.{number}" if where else f"{number}")
        return
    yield _Module(module, where or "1")


def _shape_of(shape: object, first: _Module) -> tuple[int, ...]:
    """The shape of one input: what is given, or what the first module tells."""
    kind = type(first.module).__name__
    if shape is None:
        if kind != "Linear":
            raise first.refuse(
                "does not say how large its input is: give the shape of one, input=..., without samples."
            )
        return (int(first.module.in_features),)
    lengths = (shape,) if isinstance(shape, int) else shape
    if not isinstance(lengths, Sequence) or isinstance(lengths, str):
        raise NetworkError(f"The input has shape {shown(shape)!r}: give a sequence of lengths, such as (1, 28, 28).")
    one_hot = kind == "Embedding" and len(lengths) == 1  # what PyTorch gives it are tokens
    return (*lengths, int(first.module.num_embeddings)) if one_hot else tuple(lengths)


def found_in(module: object, shape: object) -> Found:
    """A Sequential, or a sequence of modules => its layers and weights; NetworkError for what cannot be read."""
    row = list(_in_a_row(module))
    for strange in (at.module for at in row if not hasattr(at.module, "parameters")):
        raise NetworkError(f"from_torch got {type(strange).__name__} {shown(strange)!r}: give a torch.nn.Sequential.")
    if not row:
        raise NetworkError("The module has no layers: give at least a Linear one.")
    for n, at in enumerate(row):
        kind = type(at.module)
        if kind.__name__ not in _READERS and kind.__name__ != "Softmax":
            raise at.refuse(
                f"is no module that is known here: those are {', '.join(_READERS)}, and Softmax at the end."
            )
        if not kind.__module__.startswith("torch.nn."):
            raise at.refuse("is no module of torch.nn: give its own, as they are.")
        twice = next((other for other in row[:n] if other.module is at.module and list(at.module.parameters())), None)
        if twice is not None:
            raise at.refuse(f"is the same as {twice.where}: weights that two layers share cannot be read.")
    sizes = (p.element_size() for at in row for p in at.module.parameters())
    precision = np.dtype(np.float64 if next(sizes, 4) == 8 else np.float32)
    row = [replace(at, precision=precision) for at in row]
    found = Found(_shape_of(shape, row[0]))
    last = max((n for n, at in enumerate(row) if type(at.module).__name__ == "Linear"), default=len(row))
    for at in row[: last + 1]:
        if type(at.module).__name__ == "Softmax":
            raise at.refuse("is not at the end: a softmax is read there alone.")
        layers, weights = _READERS[type(at.module).__name__](at)
        found.nodes += (Node(layer, f"layer {at.number}") for layer in layers)
        found.weights += weights
        found.held += [not at.trained()] * len(weights) if weights else []
    for at in row[last + 1 :]:
        phi = _output(at)
        if phi is not None and found.output != "identity":
            raise at.refuse("follows on the output activation: only one is read after the last Linear.")
        found.output = found.output if phi is None else phi
    return found


def _output(at: _Module) -> object:
    """The output activation that follows on the last Linear; None for what does nothing."""
    if type(at.module).__name__ == "Softmax":
        if at.module.dim not in (-1, 1):
            raise at.refuse(f"has dim={at.module.dim}: make it -1, over the outputs.")
        return "softmax"
    made, _ = _READERS[type(at.module).__name__](at)
    if not all(isinstance(layer, here.Activation) for layer in made):
        raise at.refuse("follows on the last Linear: only an activation is read there.")
    return made[0].activations[0] if made else None
