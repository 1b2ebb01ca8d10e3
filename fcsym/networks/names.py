"""What the numbers of a network are called: the reader's names, the paper's w_1 .. w_6, or W1_1_2."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any, Protocol

from fcsym.errors import NetworkError, shown
from fcsym.language.expression import Array
from fcsym.language.names import GREEK, element_name, latex_array
from fcsym.language.spelling import check_name
from fcsym.networks.symbols import adjoint_of

__all__ = [
    "Named",
    "biases",
    "flat_latex",
    "flat_name",
    "flat_names",
    "given_names",
    "own_names",
    "scalar_name",
    "weights_called",
]

_FLAT = re.compile(r"(?P<letter>.*?[^0-9_])_?(?P<number>[1-9][0-9]{0,17})", re.ASCII | re.DOTALL)


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
    def built(self) -> object:
        """The forward equations of a network of layers; None for a stack of dense ones."""

    @property
    def parameters(self) -> tuple[Array, ...]:
        """W1, b1, W2, ..."""

    @property
    def output(self) -> Array:
        """y."""

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
        return "dE_dY" if shape == (1,) else "_".join(["dE_dY", *(str(n + 1) for n in position)])
    single = _one_hidden(network) and array.layer == 1
    return element_name(array, position, shape, single)


def _one_hidden(network: Named) -> bool:
    """Whether it is a stack with one hidden layer, which needs no number."""
    return len(network.layers) == 2 and network.built is None


def _is_output_error(array: Array) -> bool:
    """Whether an array is dE/dy of a linear output: the adjoint of what has no layer of its own."""
    return array.of is not None and array.of.layer is None and array == adjoint_of(array.of)


def _weight_name(network: Named, array: Array, position: Sequence[int], shape: Sequence[int]) -> str:
    offset = _offset(position, shape)
    own = _own_name(network, array, position, offset)
    if own:
        return own
    if network.widths == (2, 2, 1) and network.built is None:  # the paper's figure 2
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
        lower = "" if shape == (1,) else f"_{{{','.join(str(n + 1) for n in position)}}}"
        return rf"\tfrac{{\mathrm{{d}}E}}{{\mathrm{{d}}Y{lower}}}"
    lower_parts = [str(n + 1) for n in position]
    for theta in _matrices(network):
        if array.layer is None and len(shape) == 2 and array.axes == theta.axes:
            lower_parts = [str(_counted(network, theta) + offset + 1)]
    if shape == (1,) and array.axes[0] == network.output.axes[-1]:
        lower_parts = []  # the output y of a network that has one
    if _one_hidden(network) and array.layer == 1 and array.axes:
        array = replace(array, layer=None)  # one hidden layer needs no number
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


def flat_name(network: Named, array: Array, position: Sequence[int]) -> str:
    """The name of one weight as formulas and pictures show it (w_8); "" where the reader gave one of his own."""
    if network.names:
        return ""
    return f"{array.symbol.lower()}_{_counted(network, array) + _offset(position, network.shape(array)) + 1}"


def flat_names(network: Named) -> dict[str, str]:
    """The weights' names as formulas and pictures show them (w_8) => the names that code has (W3_1_2)."""
    places = ((theta, p) for theta in network.parameters for p in product(*map(range, network.shape(theta))))
    found = {flat_name(network, theta, place): scalar_name(network, theta, place) for theta, place in places}
    return {} if network.names else found


def weights_called(network: Named, name: str) -> list[tuple[Array, tuple[int, ...]]]:
    """The weights that have a number in row order, w_8 or w8, or the reader's own name for one, and where they are."""
    flat = _FLAT.fullmatch(name)
    own = network.names.index(name) if name in network.names else None
    found, start = [], 0
    for theta in network.parameters:
        shape = network.shape(theta)
        if flat and flat["letter"] == theta.symbol.lower():
            found.append((theta, int(flat["number"]) - 1 - _counted(network, theta)))
        if own is not None:
            found.append((theta, own - start))
        start += prod(shape)
    return [(theta, _place(n, shape)) for theta, n in found if 0 <= n < prod(shape := network.shape(theta))]


def _place(offset: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The place of a number in row order, from 0."""
    place = []
    for length in reversed(shape):
        offset, n = divmod(offset, length)
        place.append(n)
    return tuple(reversed(place))


def biases(network: Named) -> list[Array]:
    """The parameters that are numbered as b."""
    return [theta for theta in network.parameters if theta.symbol.lower() == "b"]


def _matrices(network: Named) -> Iterator[Array]:
    return (theta for theta in network.parameters if len(theta.axes) == 2)


# symbols of a derivation; an array called A has the elements A_1_2, so that A_1 could not be told apart
_TAKEN = re.compile(
    r"eta|E|N|alpha|y|dE_dY(_\d+)?|y_g(_\d+)?|a\d+|vc(_\d+)*|\w*_new|(x|s|v|g|p|P|r|rho|kappa|delta|d[svy])\d*(_\d+)+"
    r"|dE_d[Wb]\d*(_\d+)*|[MmQqDd]\d+(_\d+)*|[Qq]t\d+(_\d+)*|beta|beta[12]|h[12]|lamda|nu|eps"
    r"|(epsilon|gamma|xi|omega|tau|zeta|psi|Z)(_\d+)?|s\d+_front"
    r"|(x|s|v|g|delta|d[svy]|s[cdu])\d+|i?c0|t0|x[hlms]|mx|x|s|v|g|p|P|r|rho|kappa|delta|phi|d[svyW]|vc|yg"
)


def given_names(names: object, network: Named) -> tuple[str, ...]:
    """A reader's own names, checked; NetworkError where they are not as many, or mean something else already."""
    if names == () or names is None:
        return ()
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise NetworkError(f"names is {shown(names)!r}: give a list of names.")
    arrays = network.parameters
    scalars = 0
    for array in arrays:
        size = 1
        for length in network.shape(array):
            size *= length
        scalars += size
    if len(names) not in (len(arrays), scalars):
        raise NetworkError(
            f"names has {len(names)} entries: give one per weight array ({len(arrays)}) or one per weight ({scalars})."
        )
    seen: set[str] = set()
    for n, name in enumerate(names, 1):
        checked = check_name(name, f"names, entry {n}")
        if checked in seen:
            raise NetworkError(f"names, entry {n}: the name {checked!r} is given twice; every weight needs its own.")
        if _TAKEN.fullmatch(checked) or (len(names) == len(arrays) != scalars and re.search(r"_\d+$", checked)):
            raise NetworkError(f"names, entry {n}: the name {checked!r} already means something else; choose another.")
        seen.add(checked)
    return tuple(names)
