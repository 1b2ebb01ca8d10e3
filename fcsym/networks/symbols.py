"""The room that makes symbols: the axes and arrays of a network, by what they are. Nobody else spells their names.

A symbol has a name for people (`W`, 2), which stands in text, LaTeX and code, and a role for the program.
"""

from __future__ import annotations

from functools import cache

from fcsym.language.expression import Array, Axis, Role

__all__ = [
    "ALPHA",
    "ERROR",
    "ETA",
    "KEY",
    "PROBE",
    "SAMPLES",
    "SHAPE",
    "SIZE",
    "STORED",
    "activation",
    "adjoint_of",
    "averages_of_one",
    "bend_of",
    "bias",
    "coefficient",
    "coefficient_of",
    "column_of",
    "corrected",
    "count_of_samples",
    "data_share",
    "denominator",
    "derivative_of",
    "direction_of",
    "directional",
    "effective",
    "free_array",
    "front_of",
    "frozen_activation",
    "frozen_copy",
    "gate_of",
    "gradient_of",
    "gram_of",
    "gram_of_data",
    "increment_of",
    "input_array",
    "input_over",
    "integral_of",
    "inverse_gram_of",
    "kappa",
    "kept_share",
    "key_of",
    "lacking",
    "moment",
    "multiplier",
    "norm",
    "of_layer",
    "one_sample",
    "output",
    "over_samples",
    "p_of",
    "patches",
    "pre_activation",
    "rho",
    "seen_by",
    "target",
    "term",
    "unit_matrix",
    "units",
    "weight",
]

SAMPLES = Axis("samples", open=True, like="N", letters="nm")
"""The samples of a mini-batch: as many as a program is given."""

PROBE, STORED = Axis("probe", like="n_0"), Axis("stored", open=True, like="m")
"""The probe vectors of `basis`, as many as there are inputs; the distinct inputs that `history` has seen."""

SIZE = Array("c", 0, (), role=Role.NORM)
SHAPE = Array("t", 0, (), role=Role.NORM)
"""The largest entry of the input, and the squared norm in units of it: |x|^2 = c t c, which neither overflows nor
vanishes where x does not."""

ALPHA = Array("alpha", None, ())
"""The inner product of what the layer below the last reads before and after a step."""

KEY = Array("key", None, (), role=Role.FROZEN)
"""What tells a scheme's input from others."""

ETA = Array("eta", None, (), role=Role.HYPER_PARAMETER)
ERROR = Array("E", None, (), role=Role.LOSS)


@cache
def units(layer: int) -> Axis:
    """The units of a layer; 0 for the inputs."""
    return Axis(f"n_{layer}")


def weight(layer: int) -> Array:
    """W of a layer, (n_l, n_{l-1})."""
    return Array("W", layer, (units(layer), units(layer - 1)), role=Role.PARAMETER)


def bias(layer: int, shared: bool = False) -> Array:
    """b of a layer, (n_l,); one number for all of its units where it is shared."""
    return Array("b", layer, () if shared else (units(layer),), role=Role.PARAMETER)


def input_array() -> Array:
    """x, (n_0,)."""
    return Array("x", None, (units(0),), role=Role.INPUT)


def input_over(axes: tuple[Axis, ...]) -> Array:
    """x, with axes of its own."""
    return Array("x", None, axes, role=Role.INPUT)


def of_layer(symbol: str, layer: int, axes: tuple[Axis, ...], role: Role, time: int | None = None) -> Array:
    """What a layer is made of, under the letter that it gives: a parameter, a pre-activation, an activation."""
    return Array(symbol, layer, axes, role=role, time=time)


def free_array(name: str, axes: tuple[Axis, ...], role: Role) -> Array:
    """An array under the name that a reader gives it."""
    return Array(name, None, axes, role=role)


def target(layers: int) -> Array:
    """y_g, with the axes of the output of a network of so many layers."""
    return Array("yg", None, (units(layers),), role=Role.TARGET)


def pre_activation(layer: int) -> Array:
    """s of a hidden layer, (n_l,)."""
    return Array("s", layer, (units(layer),), role=Role.PRE_ACTIVATION)


def activation(layer: int) -> Array:
    """v of a hidden layer, (n_l,)."""
    return Array("v", layer, (units(layer),), role=Role.ACTIVATION)


def output(layers: int, role: Role = Role.PRE_ACTIVATION) -> Array:
    """y of a network of so many layers, (n_L,): the read-out itself, or what an output activation makes of it."""
    return Array("y", None, (units(layers),), role=role)


def term(symbol: str, axes: tuple[Axis, ...] = (), role: Role = Role.TERM) -> Array:
    """What a loss, or an output activation over all outputs, is made of."""
    return Array(symbol, None, axes, role=role)


def adjoint_of(array: Array) -> Array:
    """The array that holds dE/d array; for the pre-activations s, and for y, the paper's delta."""
    layer = array.layer if array.layer is not None else _layer_of(array)
    named = array.role is Role.PRE_ACTIVATION
    numbered = named and layer is not None and array.symbol in ("s", "y")
    symbol = "delta" if numbered else f"adj_{array.symbol}"
    return Array(symbol, layer, array.axes, role=Role.ADJOINT, of=array, time=array.time)


def over_samples(array: Array) -> Array:
    """The same quantity for every sample of a mini-batch: s => s of sample n."""
    of = None if array.of is None else over_samples(array.of)
    return Array(array.symbol, array.layer, (SAMPLES, *array.axes), array.after, array.role, of, array.time)


def one_sample(array: Array) -> Array:
    """The same quantity for one sample, the way back from `over_samples`."""
    of = None if array.of is None else one_sample(array.of)
    axes = tuple(axis for axis in array.axes if axis != SAMPLES)
    return Array(array.symbol, array.layer, axes, array.after, array.role, of, array.time)


def count_of_samples() -> Array:
    """N, the number of samples."""
    return Array("N", None, (), role=Role.COUNT)


def coefficient_of(array: Array) -> Array:
    """C, what the samples have added to a layer: W = W_c + sum_n C_n x_n^T; with the axes of its pre-activations."""
    letters = "" if array.symbol == "y" else array.symbol[1:] if array.layer is not None else array.symbol
    return Array(f"C{letters}", array.layer, array.axes, of=array)


def data_share(weight: Array, axes: tuple[Axis, ...]) -> Array:
    """z, what a matrix makes of data, where a pre-activation is made of other things as well: Wi => zi."""
    return Array(f"z{_letters(weight)}", weight.layer, axes, role=Role.PRE_ACTIVATION)


def gram_of_data(weight: Array, axes: tuple[Axis, ...]) -> Array:
    """G, the inner products of the data vectors that a matrix reads."""
    return Array(f"G{_letters(weight)}", weight.layer, axes, role=Role.NORM, of=weight)


def patches(weight: Array, axes: tuple[Axis, ...]) -> Array:
    """X, the data vectors that a matrix reads, where they are no array of the network: the patches of an image."""
    return Array(f"X{_letters(weight)}", weight.layer, axes, of=weight)


def _letters(weight: Array) -> str:
    """What tells a matrix of a layer from its others; of a reader's own one the whole name."""
    return weight.symbol[1:] if weight.layer is not None else weight.symbol


def kept_share() -> Array:
    """What decay has left of the first weights."""
    return Array("kept", None, ())


def key_of(source: Array) -> Array:
    """What tells inputs from others, one number for each."""
    return Array("key", None, source.axes[:-1], role=Role.FROZEN)


def coefficient(symbol: str) -> Array:
    """A number that an update rule brings."""
    return Array(symbol, None, (), role=Role.COEFFICIENT)


def gradient_of(theta: Array) -> Array:
    """dE/dtheta, with the axes of the parameter."""
    return Array(f"dE_d{theta.symbol}", theta.layer, theta.axes, role=Role.GRADIENT, of=theta)


def derivative_of(root: Array, array: Array) -> Array:
    """d root/d array, with the axes of what is differentiated first; of E by a pre-activation the paper's delta.

    Of a derivative it is the second one: of dE_dW1 by W2 it is d2E_dW1_dW2.
    """
    if array.role is Role.PRE_ACTIVATION and root == ERROR:
        return adjoint_of(array)
    role = Role.ADJOINT if array.role in (Role.PRE_ACTIVATION, Role.ACTIVATION, Role.ADJOINT) else Role.GRADIENT
    axes = (*root.axes, *array.axes)
    symbol = f"d{root.symbol}_d{array.symbol}"
    if root.of is not None:  # dE_dW1, which is d E by d W1
        symbol = f"d2{root.symbol.partition('_')[0].removeprefix('d')}_d{root.of.name}_d{array.symbol}"
    return Array(symbol, array.layer, axes, role=role, of=array, time=array.time)


def direction_of(array: Array) -> Array:
    """T, what a parameter or an input moves by where a derivative is taken along it: W1 => TW1."""
    return Array(f"T{array.symbol}", array.layer, array.axes, role=Role.DIRECTION, of=array)


def directional(root: Array) -> Array:
    """What a number moves by along the directions T, to first order: dE_dT."""
    return Array(f"d{root.symbol}_dT", None, root.axes, role=Role.GRADIENT, of=Array("T", None, ()))


@cache
def unit_matrix(axis: Axis) -> Array:
    """I, 1 on the diagonal: what a unit is differentiated by itself; of another axis, with its letters."""
    number = _number(axis)
    letters = axis.name if number is None else axis.name.rpartition("_")[0]
    return Array("I" if letters == "n" else f"I{letters}", number, (axis, axis), role=Role.UNIT)


def moment(theta: Array, kind: int) -> Array:
    """What an update rule remembers of a parameter's gradients (1) or their squares (2): M and Q, for biases m and q.

    Of other parameters, and of what stands for parameters, the velocity of s, say, it is ms.
    """
    letter = "mq"[kind - 1]
    if theta.role is not Role.PARAMETER or _told_apart(theta):
        return Array(f"{letter}{theta.symbol}", theta.layer, theta.axes, role=Role.MOMENT, of=theta)
    symbol = letter.upper() if len(theta.axes) > 1 else letter
    return Array(symbol, theta.layer, theta.axes, role=Role.MOMENT, of=theta)


def _told_apart(theta: Array) -> str:
    """The letters of a parameter, where a layer has others beside its matrix and its bias."""
    return theta.symbol if theta.role is Role.PARAMETER and theta.symbol not in ("W", "b") else ""


def averages_of_one() -> tuple[Array, ...]:
    """h1 and h2, 1 less beta1 and beta2 to the number of steps so far: how much of Adam's averages is gradients."""
    return tuple(Array(f"h{kind}", None, (), role=Role.DIVISOR) for kind in (1, 2))


def corrected(theta: Array) -> Array:
    """The second moment without the zero that it started from."""
    symbol = ("Qt" if len(theta.axes) > 1 else "qt") + _told_apart(theta)
    return Array(symbol, theta.layer, theta.axes, of=theta)


def denominator(whose: Array) -> Array:
    """What a step is divided by, D, d for biases."""
    own = _told_apart(whose)
    symbol = f"D{own}" if len(whose.axes) > 1 or own else "d"  # db is the change of a bias
    return Array(symbol, whose.layer, whose.axes, role=Role.DIVISOR, of=whose)


def gate_of(array: Array) -> Array:
    """The gate: the array that holds phi'(s) for the pre-activation s."""
    symbol = "g" if array.symbol == "s" and array.layer is not None else f"g{array.symbol}"
    return Array(symbol, array.layer, array.axes, role=Role.GATE, of=array, time=array.time)


def bend_of(array: Array) -> Array:
    """The array that holds phi''(s) for the pre-activation s: what its gate moves by."""
    gate = gate_of(array)
    return Array(f"d{gate.symbol}", gate.layer, gate.axes, role=Role.BEND, of=array, time=gate.time)


def increment_of(array: Array) -> Array:
    """The change of a quantity in one step: s => ds, W => dW."""
    return Array(f"d{array.symbol}", array.layer, array.axes, role=Role.INCREMENT, of=array, time=array.time)


def norm(source: Array) -> Array:
    """a = |v|^2, plus 1 where each reader has a bias, for what a layer reads; of a mini-batch, its inner products.

    It carries what it is the norm of: a of layer l for v of layer l, and for x; otherwise the letter, and the time.
    """
    plain = source.role is Role.INPUT or (source.symbol == "v" and source.layer is not None)
    layer = _layer_of(source) if source.role is Role.INPUT else source.layer
    return Array(
        "a" if plain and layer is not None else f"a_{source.symbol}",
        layer,
        (*source.axes[:-1], *source.axes[:-1]),
        role=Role.NORM,
        of=source,
        time=source.time,
    )


def frozen_copy(array: Array) -> Array:
    """A parameter as it was at the start: W1 => Wc1."""
    return Array(f"{array.symbol}c", array.layer, array.axes, role=Role.FROZEN, of=array)


def column_of(array: Array, axes: tuple[Axis, ...]) -> Array:
    """A number of a unit, of a column that stands for units: W2 => Wz2."""
    return Array(f"{array.symbol}z", array.layer, axes, role=Role.PARAMETER)


def frozen_pre_activation(array: Array) -> Array:
    """s^c of the first layer: its pre-activation under the weights that a scheme was given."""
    return Array("sc", 1, array.axes, role=Role.FROZEN, of=array)


def p_of(matrix: Array) -> Array:
    """p, one number for each weight of the read-out."""
    return Array("p", None, matrix.axes)


def integral_of(matrix: Array) -> Array:
    """P, one number for each weight of the read-out."""
    return Array("P", None, matrix.axes)


def front_of(logits: Array) -> Array:
    """The same logits from the frozen network with the weights r: y_front, or s2_front below an output activation."""
    return Array(f"{logits.name}_front", None, logits.axes)


def gram_of(frozen: Array) -> Array:
    """K, (samples, samples): the inner products of what the samples leave frozen."""
    return Array("K", None, (frozen.axes[0], frozen.axes[0]), of=frozen)


def inverse_gram_of(frozen: Array) -> Array:
    """The inverse of K."""
    return Array("Ki", None, (frozen.axes[0], frozen.axes[0]), of=frozen)


def lacking(logits: Array) -> Array:
    """What a common p has to make up for, (samples, n_L)."""
    return Array("ell", None, logits.axes, of=logits)


def multiplier(logits: Array) -> Array:
    """mu, (samples, n_L): p is the combination of the samples' v^c that it says."""
    return Array("mu", None, logits.axes, of=logits)


def effective(matrix: Array) -> Array:
    """r = w + p."""
    return Array("r", None, matrix.axes)


def seen_by(letter: str, array: Array) -> Array:
    """The same quantity for another input: v => vz for the input z."""
    return Array(f"{array.symbol[0]}{letter}{array.symbol[1:]}", None, array.axes, role=array.role, of=array)


def rho(matrix: Array) -> Array:
    """The error that reaches a unit through the other outputs, one number for each weight of the read-out."""
    return Array("rho", None, matrix.axes)


def kappa(units_array: Array) -> Array:
    """The change that reaches a last hidden unit through the layer below it."""
    return Array("kappa", None, units_array.axes)


def frozen_activation(hidden: Array) -> Array:
    """v^c of the last hidden layer: its activation under frozen weights."""
    return Array("vc", None, hidden.axes, role=Role.FROZEN, of=hidden)


def _layer_of(array: Array) -> int | None:
    """The number in the name of the axis of units, which counts layers in the names of what belongs to it."""
    return _number(array.axes[-1]) if array.axes else None


def _number(axis: Axis) -> int | None:
    """The layer whose units, channels or positions an axis counts; None for samples."""
    number = axis.name.rpartition("_")[2]
    return int(number) if number.isdigit() else None
