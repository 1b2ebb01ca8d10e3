"""Networks: which layers, which activations, how wide; from code, from "2-2-1", or from a TOML file.

A network is data. Nothing in it is evaluated, and everything that can be wrong with it is found when it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsym.errors import ArgumentError, LossWarning, NetworkError, listed, shown, warn
from fcsym.language.activation import Activation
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Axis, Expr, Role
from fcsym.networks.dense import MAX_WIDTH, Dense, activated, dense_equations, width_of
from fcsym.networks.file import dense_in, layers_in, table_at, trained
from fcsym.networks.graph import INPUT, Built, Node, chained, stack_of, with_activations
from fcsym.networks.graph import built as build
from fcsym.networks.losses import Outputs, unsuited
from fcsym.networks.making import assembled, of_built, output_of
from fcsym.networks.names import given_names
from fcsym.networks.own import built_of
from fcsym.networks.own_loss import OwnLoss
from fcsym.networks.rules import PLAIN, UpdateRule, rule
from fcsym.networks.symbols import (
    PROBE,
    SAMPLES,
    bias,
    input_array,
    one_sample,
    output,
    over_samples,
    pre_activation,
    target,
    units,
    weight,
)
from fcsym.networks.symbols import activation as activation_of
from fcsym.networks.torch_modules import found_in
from fcsym.networks.words import in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Dense", "Network"]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A layer with an activation, v = phi(s); for an output activation v is y."""

    activation: Activation
    s: Array
    v: Array


@dataclass(frozen=True, init=False)
class Network:
    """A network of layers: `Network([Conv2d(1, 4, 3), "relu", Flatten(), Dense(10)], input=(1, 8, 8))`.

    `layers` and `input` are those of `sequential`, as are `output`, `loss` and what is raised. `names` are the reader's
    own names for the weights: none, one per parameter array (W1, b1, W2, ...), or one per scalar weight in row order.
    `weights` are those of the module that it was read from, in the order of `parameters`; None for other networks.

    >>> from fcsym import Dense
    >>> Network([Dense(3), "tanh", Dense(1)], input=2) == Network.mlp([2, 3, 1], "tanh", bias=True)
    True
    """

    inputs: int
    layers: tuple[Dense, ...]
    names: tuple[str, ...] = ()
    loss: str | OwnLoss = "squared"
    fixed: tuple[str, ...] = ()  # the parameters that training leaves alone
    common: tuple[str, ...] = ()  # the biases that are one number for all units of their layer
    rule: UpdateRule = PLAIN
    batch: str = ""  # "mean" or "sum" over a mini-batch; "" for one sample
    samples: int = 0  # how many samples a mini-batch has; 0 where that is open until arrays arrive
    counted: int = 0  # in a smaller instance, how many outputs the network has: what a mean over them divides by
    softmax: bool = False  # whether the outputs are the softmax of the read-out, which has no activation of its own
    nodes: tuple[Node, ...] = ()  # the layers of a network that is no stack of dense ones
    shape_in: tuple[int, ...] = ()  # the lengths of its input's axes
    own: Built | None = None  # forward equations of one's own
    at_most: int = 0  # in a smaller instance of it, how long an axis is at most
    weights: tuple[NDArray[Any], ...] | None = field(default=None, compare=False, repr=False)

    def __init__(
        self, layers: Iterable[object], input: int | Sequence[int] | None = None, *, output: object = "identity",
        loss: object = "squared", **record: Any,
    ) -> None:  # fmt: skip
        if "inputs" in record:  # the fields as they are, of a network that there is already
            self.__dict__.update(record, layers=layers, loss=loss)
            return
        if record:
            raise TypeError(f"Network() has no argument {next(iter(record))!r}: it takes input, output and loss.")
        if input is None:
            raise NetworkError("The network has no input: give the shape of one, such as input=(1, 8, 8) or input=2.")
        self.__dict__.update(type(self).sequential(input, layers, output=output, loss=loss).__dict__)

    def __iter__(self) -> Iterator[Any]:
        """For `net, weights = Network.from_torch(...)`: the network, and its weights as a list."""
        return iter((self[0], self[1]))

    def __getitem__(self, n: int) -> Any:
        """The one or the other of these two."""
        if self.weights is None:
            raise TypeError(f"{self} has no weights to unpack: only what from_torch reads has them.")
        return (self, list(self.weights))[n]

    # ------------------------------------------------------------------------------------------ constructors

    @classmethod
    def mlp(
        cls, sizes: Sequence[int], activation: object = "relu", bias: object = False, *, output: object = "identity",
        loss: object = "squared",
    ) -> Network:  # fmt: skip
        """A multilayer perceptron with widths `sizes` = (n_0, ..., n_L).

        `activation`: a name or an Activation, or one per hidden layer; "ReLU", "swish" and other usual names
        are known (`fcsym.language.activation.ALIASES`). `bias`: True or False, or one per layer.
        `output`: the output activation, y = phi(s^L), or "softmax"; "identity" for a linear output.
        `loss`: one of `fcsym.networks.losses.LOSSES`, such as "squared", 1/2 sum (y - y_g)^2, or one's own from
        `fcsym.loss`. Raises NetworkError for
        anything else.
        """
        if isinstance(sizes, str) or (not isinstance(sizes, Sequence) and not hasattr(sizes, "__iter__")):
            raise NetworkError(f"The widths are {shown(sizes)!r}: give a sequence of integers such as [2, 2, 1].")
        widths = [width_of(size, f"width {n}") for n, size in enumerate(sizes)]
        return cls._of(assembled(widths, activation, bias, output=output, loss=loss))

    @classmethod
    def parse(
        cls, text: str, activation: object = "relu", bias: object = False, *, output: object = "identity",
        loss: object = "squared",
    ) -> Network:  # fmt: skip
        """ "2-2-1" => the network with these widths. Raises NetworkError when the text is not of that form.

        The other arguments are those of `mlp`.

        >>> Network.parse("2-3-1", bias=True).widths
        (2, 3, 1)
        """
        if not isinstance(text, str) or len(text) > 1000 or not re.fullmatch(r"[0-9]+(-[0-9]+)+", text, re.ASCII):
            raise NetworkError(
                f"The network {shown(text)!r} is not understood: write widths from input to output, such as 2-2-1."
            )
        return cls.mlp([int(part[:12]) for part in text.split("-")], activation, bias, output=output, loss=loss)

    @classmethod
    def sequential(
        cls, shape: int | Sequence[int], layers: Iterable[object], *, output: object = "identity",
        loss: object = "squared",
    ) -> Network:  # fmt: skip
        """A network of layers, each reading what the one before it passes on, or what its node says.

        `shape`: that of one input, without samples: (C, H, W) for images, (C, T) or (T, n) for sequences, (n,).
        `layers`: from `fcsym.layers`, an activation by its name or as it is; a `fcsym.layers.Node` gives a layer a name
        and says what it reads. The last one is Linear or Dense, the read-out. Linear layers and activations alone, in a
        row on one axis, make the network that `mlp` makes. `output` and `loss` as for `mlp`; where the
        read-out is taken at several positions, the loss is the sum over them.
        Raises NetworkError for shapes that do not fit, a cycle, and a read-out that is not linear.

        >>> from fcsym.layers import Conv1d, Flatten, Linear
        >>> net = Network.sequential((1, 8), [Conv1d(1, 2, 3), "relu", Flatten(), Linear(12, 1)])
        >>> [theta.name for theta in net.parameters]
        ['W1', 'b1', 'W2', 'b2']
        """
        lengths = (shape,) if isinstance(shape, int) and not isinstance(shape, bool) else shape
        if isinstance(lengths, str) or not isinstance(lengths, Sequence):
            raise NetworkError(f"The input has shape {shown(shape)!r}: give a sequence of lengths, such as (1, 8, 8).")
        nodes = chained(layers)
        stack = stack_of(tuple(lengths), nodes)
        if stack is not None:
            return cls._of(assembled(*stack, output=output, loss=loss))
        last, softmax = output_of(output)
        made = build(tuple(lengths), nodes, last.is_identity and not softmax)
        return cls._of(of_built(made, last, softmax, loss, nodes=made.nodes, shape_in=tuple(lengths)))

    @classmethod
    def from_equations(
        cls, equations: Iterable[tuple[Expr, object]], sizes: Mapping[object, int], *, output: object = "identity",
        loss: object = "squared",
    ) -> Network:  # fmt: skip
        """A network of one's own: forward equations, written with what `fcsym.equations` has.

        `equations`: pairs (element, expression), of one sample; the last one is the read-out, linear in what it reads.
        `sizes`: how long the axis of each index is, by its letter. `output` and `loss` as for `sequential`.
        Raises NetworkError for a shape that does not fit, a cycle, what nothing defines, and a read-out that is not
        linear.

        >>> from fcsym.equations import apply, hidden, indices, input_, parameter, total
        >>> i, j, k = indices("i j k")
        >>> x, U, V, W = input_("x", j), parameter("U", i, j), parameter("V", i, j), parameter("W", k, i)
        >>> s, t, h, v, y = *(hidden(name, i) for name in "sthv"), hidden("y", k)
        >>> gated = [(s[i], total(j, U[i, j] * x[j])), (t[i], total(j, V[i, j] * x[j])), (h[i], apply("sigmoid", t[i]))]
        >>> read = [(v[i], s[i] * h[i]), (y[k], total(i, W[k, i] * v[i]))]
        >>> print(Network.from_equations([*gated, *read], {"i": 3, "j": 2, "k": 1}))
        2 equations s-t-h-v-y 1
        """
        last, softmax = output_of(output)
        made = built_of(equations, sizes, () if last.is_identity and not softmax else ("y",))
        shape = tuple(made.sizes[axis] for axis in made.input.axes)
        return cls._of(of_built(made, last, softmax, loss, own=made, shape_in=shape))

    @classmethod
    def from_torch(
        cls, module: object, input: int | Sequence[int] | None = None, *, loss: object = "squared"
    ) -> Network:  # fmt: skip
        """A `torch.nn.Sequential` => the network that it is, with its `weights` as arrays in the order of `parameters`.

        `input`: the shape of one input as PyTorch takes it, without samples; where the first module is Linear, it
        tells. An activation or a softmax after the last Linear is the output activation. Linear layers and activations
        alone make the network that `mlp` makes. A list of modules is taken too: there a
        recurrence passes on all its steps, the first of the two that it returns. What has requires_grad=False is not
        trained. The names in `torch.nn` that are read, and where a layer differs, are in `fcsym.layers`; PyTorch's
        Softplus is s above its threshold.
        Raises NetworkError, with the number of the module, for what cannot be read.

        >>> net = Network.from_torch(torch.nn.Sequential(torch.nn.Linear(2, 1)))  # doctest: +SKIP
        >>> net, weights = Network.from_torch(torch.nn.Sequential(torch.nn.Linear(2, 1)))  # doctest: +SKIP
        """
        found = found_in(module, input)
        network = cls.sequential(found.shape, found.nodes, output=found.output, loss=loss)
        held = [theta.name for theta, frozen in zip(network.parameters, found.held, strict=True) if frozen]
        weights = found.fitting([network.shape(theta) for theta in network.parameters])
        return replace(network.frozen(*held), weights=tuple(weights))

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """A network from a TOML file. Raises NetworkError when the file or anything in it is not as it should be."""
        data = table_at(path)
        try:
            return cls.from_table(data)
        except NetworkError as problem:
            raise NetworkError(f"{Path(path)}: {problem}") from None

    @classmethod
    def from_table(cls, data: Mapping[str, object]) -> Network:
        """What a network file holds, as `tomllib` reads it => the network. Raises NetworkError as `load` does."""
        if not isinstance(data, Mapping):
            raise NetworkError(f"The network is {shown(data)!r}: give a table with its widths.")
        layers = layers_in(data)
        return trained(cls._of(assembled(**dense_in(data))) if layers is None else cls.sequential(**layers), data)

    @classmethod
    def _of(cls, what: Mapping[str, Any]) -> Network:
        """The network of these fields, with a warning where its loss is not made for its outputs."""
        network = cls(**what)
        said = unsuited(network.loss, network.outputs.activation)
        if said:
            warn(said, LossWarning)
        return network

    # --------------------------------------------------------------------------------------------- readings

    @property
    def widths(self) -> tuple[int, ...]:
        """(n_0, ..., n_L)."""
        return (self.inputs, *(layer.width for layer in self.layers))

    def _each(self, array: Array) -> Array:
        """What there is for every sample, with their axis in front where training is in mini-batches."""
        return over_samples(array) if self.batch and array not in self.once else array

    @cached_property
    def once(self) -> frozenset[Array]:
        """What is the same for every sample: the parameters, and what is made of nothing that a sample brings."""
        found = set(self.parameters)
        for equation in self.built.equations if self.built is not None else ():
            if all(array in found or array.role is Role.HYPER_PARAMETER for array in equation.operands):
                found.add(equation.array)
        return frozenset(found)

    @cached_property
    def built(self) -> Built | None:
        """The forward equations of a network of layers, and which array is what; None for a stack of dense layers."""
        if not self.nodes and self.own is None:
            return None
        linear = self.output_activation.is_identity and not self.softmax
        made = self.own or build(self.shape_in, self.nodes, linear)
        if not self.at_most:
            return made
        free = {axis: min(size, self.at_most) for axis, size in made.sizes.items() if axis not in made.placed}
        return replace(made, sizes={**made.sizes, **free})

    @cached_property
    def layer_equations(self) -> tuple[Equation, ...]:
        """The forward equations of one sample, up to the read-out and the output activation that follows on it."""
        if self.built is None:
            return dense_equations(self)
        logits, y = self.built.logits, self.output
        if self.softmax or self.output_activation.is_identity:
            return self.built.equations
        return *self.built.equations, activated(logits, one_sample(y), self.output_activation, "The output activation")

    @cached_property
    def positions(self) -> tuple[Axis, ...]:
        """The axes along which the read-out is taken again and again; none for a stack of dense layers."""
        return () if self.built is None else self.built.logits.axes[:-1]

    @cached_property
    def places(self) -> tuple[Axis, ...]:
        """The axes along which the read-out is taken again with the same weights: samples of a batch, positions."""
        return self.logits.axes[:-1]

    @property
    def place(self) -> str:
        """What one of those is called."""
        return "sample" if self.batch else "position"

    @property
    def served(self) -> int:
        """At how many places the read-out is taken with the same weights; of open many samples, at how many of each."""
        return max(1, self.samples) * prod(self.sizes[axis] for axis in self.positions)

    @property
    def most_served(self) -> int:
        """For how many places one p may exist: as many as the read-out reads numbers."""
        return prod(self.shape(self.read_out)[1:])

    @cached_property
    def has_common_p(self) -> bool:
        """Whether one p for all places is derived: they are along one axis, and samples no more than can have one.

        How many positions there are decides nothing: a list of equations is as long for every length of a sequence.
        Smaller networks of the same kind, on which equations are tried, have what this one has.
        """
        whole = replace(self, at_most=0)
        return len(self.places) < 2 and (not self.batch or whole.served <= whole.most_served)

    @cached_property
    def input(self) -> Array:
        """x."""
        return self._each(input_array() if self.built is None else self.built.input)

    @cached_property
    def one_input(self) -> tuple[int, ...]:
        """The lengths of the axes of one input, without samples."""
        return tuple(self.sizes[axis] for axis in self.input.axes if not axis.open)

    @cached_property
    def one_target(self) -> tuple[int, ...]:
        """The lengths of the axes of one target, without samples."""
        return tuple(self.sizes[axis] for axis in self.target.axes if not axis.open)

    @cached_property
    def tokens(self) -> int:
        """How many tokens there are, where the input is rows of 0 and a 1 that stand for tokens; 0 where it is not."""
        readers = [node.layer for node in self.nodes if INPUT in node.of]
        return self.shape_in[-1] if readers and all(layer.one_hot for layer in readers) else 0

    @cached_property
    def target(self) -> Array:
        """y_g."""
        if self.built is None:
            return self._each(target(len(self.layers)))
        return self._each(replace(target(0), axes=self.built.logits.axes))

    @cached_property
    def output(self) -> Array:
        """y, what the network gives: the logits, or what the output activation makes of them."""
        role = Role.PRE_ACTIVATION if self.output_activation.is_identity else Role.ACTIVATION
        role = Role.TERM if self.softmax else role
        if self.built is not None:
            linear = role is Role.PRE_ACTIVATION
            return self._each(self.built.logits if linear else replace(output(0, role), axes=self.built.logits.axes))
        return self._each(output(len(self.layers), role))

    @property
    def output_activation(self) -> Activation:
        """phi of the last layer; the identity where the output is linear."""
        return self.layers[-1].activation

    @cached_property
    def logits(self) -> Array:
        """What the read-out gives, a linear map of the last hidden layer: s^L, or y where the output is linear."""
        linear = self.output_activation.is_identity and not self.softmax
        if self.built is not None:
            return self._each(self.built.logits)
        return self.output if linear else self._each(pre_activation(len(self.layers)))

    @property
    def outputs(self) -> Outputs:
        """What the loss reads."""
        name = "softmax" if self.softmax else self.output_activation.name
        return Outputs(self.output, self.logits, self.target, name, self.counted or self.widths[-1])

    @cached_property
    def read_out(self) -> Array:
        """The matrix of the read-out, where p lives."""
        return weight(len(self.layers)) if self.built is None else self.built.read_out

    @cached_property
    def shift(self) -> Array | None:
        """The bias of the read-out; None where it has none."""
        if self.built is not None:
            return self.built.shift
        return self.bias(len(self.layers)) if self.layers[-1].bias else None

    @cached_property
    def hidden(self) -> tuple[Hidden, ...]:
        """The hidden layers, from the input on; of a network of layers, those with an activation, and the last one."""
        if self.built is not None:
            every = dict.fromkeys((*(u for u in self.built.units if u != self.built.last_unit), self.built.last_unit))
            return tuple(Hidden(phi, self._each(s), self._each(v)) for phi, s, v in every)
        return tuple(
            Hidden(layer.activation, self._each(pre_activation(n)), self._each(activation_of(n)))
            for n, layer in enumerate(self.layers[:-1], 1)
        )

    @cached_property
    def activated(self) -> tuple[Hidden, ...]:
        """The hidden layers, and the output layer where it has an activation."""
        if self.output_activation.is_identity:
            return self.hidden
        return (*self.hidden, Hidden(self.output_activation, self.logits, self.output))

    @cached_property
    def units(self) -> Mapping[Axis, Hidden]:
        """The layer with an activation whose units an axis counts."""
        return {layer.s.axes[-1]: layer for layer in self.activated}

    def unit_of(self, array: Array) -> Hidden | None:
        """The layer with an activation that an array, or what it is of, is the activation or the pre-activation of.

        What one activation gives and another is applied to belongs to the first.
        """
        whose = {layer.s: layer for layer in self.activated} | {layer.v: layer for layer in self.activated}
        found = whose.get(array.unprimed)
        return found if found is not None or array.of is None else self.unit_of(array.of)

    def pre_activation(self, layer: int) -> Array:
        """What the weights of a layer give, counted from 1: s, and the logits for the last one."""
        return self.logits if layer == len(self.layers) else self.hidden[layer - 1].s

    def passed_on(self, layer: int) -> Array:
        """What a layer passes on, counted from the input: x for 0, y for the last one, v in between.

        A softmax is none of the layer's units, and reads what that passes on.
        """
        if 0 < layer < len(self.layers):
            return self.hidden[layer - 1].v
        return self.input if layer == 0 else self.logits if self.softmax else self.output

    @cached_property
    def read_by_matrices(self) -> tuple[Array, ...]:
        """What dense layers read: each moves along it, by an amount that its squared norm says."""
        if self.built is not None:
            return tuple(dict.fromkeys(self._each(array) for array in self.built.read_by_matrices))
        return tuple(map(self.passed_on, range(len(self.layers))))

    @cached_property
    def sizes(self) -> dict[Axis, int]:
        """The length of each axis; that of the samples only where it is known."""
        known = {SAMPLES: self.samples} if self.samples else {}
        if self.built is not None:
            return {**known, **self.built.sizes}
        return {PROBE: self.inputs, **known, **{units(n): width for n, width in enumerate(self.widths)}}

    @cached_property
    def parameters(self) -> tuple[Array, ...]:
        """W1, b1, W2, ...: the arrays that training is about, b only where a layer has a bias."""
        if self.built is not None:
            return self.built.parameters
        return tuple(theta for n in range(1, len(self.layers) + 1) for theta in self.feeding(n))

    def feeding(self, layer: int) -> tuple[Array, ...]:
        """The parameters that a layer's pre-activations are made of, counted from 1: its matrix, and a bias."""
        return (weight(layer), self.bias(layer)) if self.layers[layer - 1].bias else (weight(layer),)

    def bias(self, layer: int) -> Array:
        """b of a layer, (n_l,), or a scalar where its entries are one value."""
        made = bias(layer)
        return bias(layer, shared=True) if made.name in self.common else made

    @cached_property
    def trained(self) -> tuple[Array, ...]:
        """The parameters that training changes: all but the frozen ones."""
        return tuple(theta for theta in self.parameters if theta.name not in self.fixed)

    @cached_property
    def memory(self) -> Mapping[Array, Fraction]:
        """What the update rule carries from step to step beside the parameters, and what it is before the first one."""
        return self.rule.memory(self.trained)

    @cached_property
    def features_move(self) -> bool:
        """Whether training reaches what the read-out of a network of layers reads; of dense ones it is told to."""
        if self.built is None:
            return True
        reached = set(self.trained)
        for equation in self.built.equations:
            if reached & set(equation.operands):
                reached.add(equation.array)
        return self.built.features in reached

    @property
    def is_plain(self) -> bool:
        """Whether it is trained as in the paper: by the gradient step on one sample, with every parameter."""
        return self.rule.is_plain and not self.batch and not self.fixed and not self.common

    def training(self, update: object = None, batch: object = None, samples: object = None) -> Network:
        """The same network, trained by an update rule and in mini-batches.

        `update`: a rule (`fcsym.rule`) or its name; None for the gradient step. `batch`: "mean" or "sum" of the loss
        over an axis of samples, (..., samples, n_0); None for one sample. `samples`: how many, where that is known.
        Raises ArgumentError for anything else.
        """
        if batch not in (None, "", "mean", "sum"):
            raise ArgumentError(f"batch is {shown(batch)!r}: choose mean or sum, or None for one sample.")
        count = 0
        if samples is not None:
            if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= MAX_WIDTH:
                raise ArgumentError(f"samples is {shown(samples)}: give a whole number from 1 to {MAX_WIDTH}.")
            if not batch:
                raise ArgumentError("samples is given without a batch: choose batch mean or sum.")
            count = int(samples)
        made = PLAIN if update is None else rule(update)  # type: ignore[arg-type]  # which refuses what is none
        return replace(self, rule=made, batch=str(batch or ""), samples=count)

    def frozen(self, *names: str) -> Network:
        """The same network with parameters that training leaves alone, by name: net.frozen("b1", "b2").

        Raises NetworkError for what is no parameter of the network, and for the matrix of the read-out, in which the
        front contribution lives.
        """
        known = [theta.name for theta in self.parameters]
        for name in names:
            if name not in known:
                raise NetworkError(f"{shown(name)!r} cannot be frozen: the parameters of {self} are {listed(known)}.")
            if name == self.read_out.name:
                raise NetworkError(
                    f"{name} cannot be frozen: it is the matrix of the read-out, which front contribution changes."
                )
        every = {*self.fixed, *names}
        return replace(self, fixed=tuple(name for name in known if name in every))

    def shared(self, *names: str) -> Network:
        """The same network with biases that are one number for all units of their layer, by name: net.shared("b1").

        Such a bias is a scalar, and its gradient the sum over the units. Raises NetworkError for what is no bias of the
        network.
        """
        known = [theta.name for theta in self.parameters]
        if self.built is not None and names:
            raise NetworkError(
                f"{shown(names[0])!r} cannot be shared: only in a stack of dense layers can a bias be one number."
            )
        biases = [self.bias(n).name for n, layer in enumerate(self.layers, 1) if layer.bias]
        for name in names:
            if name not in known:
                raise NetworkError(
                    f"{shown(name)!r} cannot be shared: the biases of {self} are {', '.join(biases) or 'none'}."
                )
            if name not in biases:
                raise NetworkError(f"{name} cannot be shared: it is a matrix, and only a bias can be one number.")
        every = {*self.common, *names}
        made = replace(self, common=tuple(name for name in biases if name in every), weights=None)
        given_names(made.names, made)  # which may no longer be as many
        return made

    def shape(self, array: Array) -> tuple[int, ...]:
        """The lengths of an array's axes in this network."""
        return tuple(self.sizes[axis] for axis in array.axes)

    def lengths(self, array: Array) -> tuple[int | str, ...]:
        """The lengths of an array's axes, and the name of one whose length is known only when arrays arrive."""
        known = self.sizes
        return tuple(axis.name if axis.open and axis not in known else known[axis] for axis in array.axes)

    def reduced(self, width: int = 2) -> Network:
        """The same depth, activations and biases, with every width at most `width`."""
        if self.built is not None:
            few = min(self.samples or width, width) if self.batch else 0
            return replace(self, at_most=width, samples=few, weights=None)
        layers = tuple(Dense(min(layer.width, width), layer.activation, layer.bias) for layer in self.layers)
        samples = min(self.samples or width, width) if self.batch else 0
        counted = self.counted or (self.widths[-1] if self.widths[-1] > width else 0)
        smaller = replace(self, inputs=min(self.inputs, width), layers=layers, names=(), weights=None)
        return replace(smaller, samples=samples, counted=counted)

    @property
    def hidden_activations(self) -> tuple[Activation, ...]:
        """The activations of the hidden layers."""
        if self.built is not None:
            return tuple(phi for phi, _, _ in self.built.units)
        return tuple(layer.activation for layer in self.layers[:-1])

    def with_slope_at_kink(self, slope: object) -> Network:
        """The same network with another derivative at the kinks of its activations."""
        layers = tuple(
            replace(layer, activation=layer.activation.with_slope_at_kink(slope)) if layer.activation.kinks else layer
            for layer in self.layers
        )
        nodes = with_activations(self.nodes, lambda phi: phi.with_slope_at_kink(slope) if phi.kinks else phi)
        return replace(self, layers=layers, nodes=nodes)

    def _repr_svg_(self) -> str:
        from fcsym.networks.drawn import draw

        return draw(self).svg

    def __str__(self) -> str:
        return in_words(self)
