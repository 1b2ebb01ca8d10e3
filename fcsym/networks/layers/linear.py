"""Linear layers, elementwise activations, and Flatten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from fcsym.errors import shown
from fcsym.language.activation import Activation as Phi
from fcsym.language.activation import activation as named_activation
from fcsym.language.expression import Apply, Expr, Index, Role, total
from fcsym.networks.layers.base import Building, Layer, Signal, whole

__all__ = ["Activation", "Dense", "Flatten", "Linear"]


@dataclass(frozen=True)
class Linear(Layer):
    """s_i = sum_j W_ij v_j + b_i, as `torch.nn.Linear`: on the last axis, at every position alike.

    After `Flatten` it reads all axes, and W has them one by one, (out_features, channels, positions), where PyTorch has
    one of their product, in the same order.
    """

    in_features: int | None  # None: whatever it is given
    out_features: int
    bias: bool = True
    kind: ClassVar[str] = "linear"
    flattened: ClassVar[bool] = True
    measured: ClassVar[str] = "in_features"

    def build(self, at: Building, *sources: Signal) -> Signal:
        """W of shape (out_features, in_features), and b."""
        (source,) = sources
        over = source.axes[len(source.axes) - source.together :]
        kept = source.axes[: len(source.axes) - source.together]
        width = 1
        for axis in over:
            width *= at.size(axis)
        if self.in_features != width:
            raise at.refuse(
                f"it expects {shown(self.in_features)} features and is given {width} (shape {at.shape(source)}): make "
                "the two alike."
            )
        own = at.units(whole(self.out_features, f"out_features of {at.where}"))
        i = Index(own, "i")
        j = tuple(Index(axis, f"j{n}") for n, axis in enumerate(over))
        t = tuple(Index(axis, f"t{n}") for n, axis in enumerate(kept))
        weight = at.parameter("W", own, *over)
        value: Expr = total(j, weight[(i, *j)] * source.array[(*t, *j)])
        shift = at.parameter("b", own) if self.bias else None
        if shift is not None:
            value = value + shift[i]
        made = at.pre_activation((*kept, own))
        what = f"the pre-activation of layer {at.n}"
        if at.last is not None:
            made, what = replace(at.last, axes=(*kept, own)), "what the read-out gives"
        at.define(made, (*t, i), value, f"This is {what}.")
        at.read_outs.append((weight, shift, made))
        return Signal(made)


@dataclass(frozen=True)
class Dense(Layer):
    """Linear with as many features as it is given, so that only its width is said: s_i = sum_j W_ij v_j + b_i.

    In network files `bias` is false unless it is said, as in the files of stacks.
    """

    width: int
    bias: bool = True
    kind: ClassVar[str] = "dense"

    def inner(self) -> tuple[Any, ...]:
        """The linear layer."""
        return (Linear(None, self.width, self.bias),)


@dataclass(frozen=True)
class Activation(Layer):
    """v = phi(s), element by element: any activation of the language, by its name or as it is.

    In PyTorch ReLU, LeakyReLU, Tanh, Sigmoid, Softplus, SiLU and GELU.
    """

    function: object
    kind: ClassVar[str] = "activation"
    flattened: ClassVar[bool] = True
    numbered: ClassVar[bool] = False

    @property
    def phi(self) -> Phi:
        """The activation."""
        return named_activation(self.function)

    def fitted(self, at: Building, *sources: Signal) -> Activation:
        """The same layer, with the activation in the place of its name."""
        del at, sources
        return replace(self, function=self.phi)

    @property
    def activations(self) -> tuple[Phi, ...]:
        """The one that it applies."""
        return (self.phi,)

    def with_activations(self, change: Callable[[Phi], Phi]) -> Activation:
        """The same layer with another one."""
        return replace(self, function=change(self.phi))

    def build(self, at: Building, *sources: Signal) -> Signal:
        """No parameters."""
        (source,) = sources
        s, phi = source.array, self.phi
        i = tuple(Index(axis, f"i{n}") for n, axis in enumerate(source.axes))
        made = replace(at.activation(source.axes), layer=s.layer)
        if s.role is not Role.PRE_ACTIVATION or made.name in {array.name for array in at.made}:
            at.n += 1
            made = at.activation(source.axes)
        value: Expr = s[i] if phi.is_identity else Apply(phi, s[i])
        because = f"The activation of layer {made.layer} is {phi.name}."
        return Signal(at.define(made, i, value, because), source.together)


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes are read as one, by the linear layer that follows; as `torch.nn.Flatten`, in the same order."""

    kind: ClassVar[str] = "flatten"
    flattened: ClassVar[bool] = True
    numbered: ClassVar[bool] = False

    def build(self, at: Building, *sources: Signal) -> Signal:
        """No parameters, and no equations."""
        (source,) = sources
        del at
        return Signal(source.array, len(source.axes))
