"""What the numbers of a network are called: the reader's names, the paper's w_1 .. w_6, or W1_1_2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, Protocol

from fcsym.language.expression import Array
from fcsym.language.names import GREEK, element_name, latex_array
from fcsym.networks.symbols import adjoint_of

__all__ = ["Named", "flat_latex", "flat_names", "own_names", "scalar_name"]


class Named(Protocol):
    """What of a network its names and its picture follow from."""

    @property
    def layers(self) -> Sequence[Any]:
        """Each with a width, an activation and a bias or none."""

    @property
    def names(self) -> tuple[str, ...]:
        """The reader's own."""

    @property
    def widths(self) -> tuple[int, ...]:
        """(n_0, ..., n_L)."""

    @property
    def parameters(self) -> tuple[Array, ...]:
        """W1, b1, W2, ..."""

    def bias(self, layer: int) -> Array:
        """b of a layer, counted from 1."""

    def shape(self, array: Array) -> tuple[int, ...]:
        """The lengths of an array's axes."""


def scalar_name(network: Named, array: Array, position: Sequence[int]) -> str:
    """The ASCII name of one element: the reader's, the paper's w_1 .. w_6, or W1_1_2."""
    shape = network.shape(array)
    base = array.unprimed
    if base in network.parameters:
        name = _weight_name(network, base, position, shape)
        return f"{name}_new" if array.after else name
    if _is_output_error(array):
        return "dE_dY" if shape == (1,) else f"dE_dY_{position[0] + 1}"
    single = len(network.layers) == 2 and array.layer == 1
    return element_name(array, position, shape, single)


def _is_output_error(array: Array) -> bool:
    """Whether an array is dE/dy of a linear output: the adjoint of what has no layer of its own."""
    return array.of is not None and array.of.layer is None and array == adjoint_of(array.of)


def _weight_name(network: Named, array: Array, position: Sequence[int], shape: Sequence[int]) -> str:
    offset = _offset(position, shape)
    own = _own_name(network, array, position, offset)
    if own:
        return own
    if network.widths == (2, 2, 1):  # the paper's figure 2
        return f"{array.symbol.lower()}_{_counted(network, array) + offset + 1}"
    return element_name(array, position, shape)


def _own_name(network: Named, array: Array, position: Sequence[int], offset: int) -> str:
    """The name that the reader gave to a weight, if any."""
    if not network.names:
        return ""
    before = network.parameters[: network.parameters.index(array)]
    if len(network.names) == sum(prod(network.shape(theta)) for theta in network.parameters):
        return network.names[sum(prod(network.shape(a)) for a in before) + offset]
    return "_".join([network.names[len(before)], *(str(n + 1) for n in position)])


def _offset(position: Sequence[int], shape: Sequence[int]) -> int:
    """The number of an element in row order, from 0."""
    offset = 0
    for n, length in zip(position, shape, strict=True):
        offset = offset * length + n
    return offset


def _counted(network: Named, array: Array) -> int:
    """How many weights of the same kind stand in the layers below."""
    before = network.parameters[: network.parameters.index(array)]
    return sum(prod(network.shape(a)) for a in before if a.symbol == array.symbol)


def flat_latex(network: Named, array: Array, position: Sequence[int]) -> str:
    r"""The paper's name of one element as LaTeX: w_{5}', s_{1}, dE/dY; the reader's own name where there is one.

    Weights count through all layers in row order. What has one value per weight of a layer and no layer of its own
    (p, P, r) carries the weight's number: the paper's p and q are p_5 and p_6.
    """
    shape = network.shape(array)
    base = array.unprimed
    prime = r"\prime" if array.after else ""
    offset = _offset(position, shape)
    if base in network.parameters:
        own = _own_name(network, base, position, offset)
        upper = f"^{{{prime}}}" if prime else ""
        if own:
            letter, lower = _own_latex(own)
            return f"{letter}{upper}{lower}"
        return f"{array.symbol.lower()}{upper}_{{{_counted(network, base) + offset + 1}}}"
    if _is_output_error(array):
        lower = "" if shape == (1,) else f"_{{{position[0] + 1}}}"
        return rf"\tfrac{{\mathrm{{d}}E}}{{\mathrm{{d}}Y{lower}}}"
    lower_parts = [str(n + 1) for n in position]
    for theta in _matrices(network):
        if array.layer is None and len(shape) == 2 and array.axes == theta.axes:
            lower_parts = [str(_counted(network, theta) + offset + 1)]
    if shape == (1,) and array.axes[0] == list(_matrices(network))[-1].axes[0]:
        lower_parts = []  # the output y of a network that has one
    if len(network.layers) == 2 and array.layer == 1 and array.axes:
        array = Array(array.symbol, None, array.axes, array.after)  # one hidden layer needs no number
    return latex_array(array, [",".join(lower_parts)] if lower_parts else [])


def _own_latex(name: str) -> tuple[str, str]:
    r"""A reader's name => its letter and what stands below: different names never look the same, nor like ours.

    a_1 => a_{1}; alpha_in => \alpha_{\mathrm{in}}; a_new_1 => a_{\mathrm{new},1}; W1 => \mathrm{W1}.
    """
    head, *rest = name.split("_")
    letter = rf"\{head}" if head in GREEK else head if len(head) == 1 else rf"\mathrm{{{head}}}"
    lower = ",".join(part if part.isdigit() else rf"\mathrm{{{part}}}" if part else r"\_" for part in rest)
    return letter, f"_{{{lower}}}" if rest else ""


def own_names(network: Named) -> tuple[tuple[str, str], ...]:
    r"""(the reader's name, what is called so), both as LaTeX: (A, W^{(1)}), or (a_{1}, W^{(1)}_{11}) and so on."""
    if not network.names:
        return ()
    if len(network.names) == len(network.parameters):
        called = [latex_array(theta) for theta in network.parameters]
    else:
        places = [(theta, p) for theta in network.parameters for p in product(*map(range, network.shape(theta)))]
        called = [latex_array(theta, [str(n + 1) for n in place]) for theta, place in places]
    return tuple(("".join(_own_latex(name)), what) for name, what in zip(network.names, called, strict=True))


def flat_names(network: Named) -> dict[str, str]:
    """The weights' names as formulas and pictures show them (w_8) => the names that code has (W3_1_2)."""
    if network.names:
        return {}
    found = {}
    for theta in network.parameters:
        for n, place in enumerate(product(*map(range, network.shape(theta))), 1):
            found[f"{theta.symbol.lower()}_{_counted(network, theta) + n}"] = scalar_name(network, theta, place)
    return found


def _matrices(network: Named) -> Iterator[Array]:
    return (theta for theta in network.parameters if len(theta.axes) == 2)
