"""Names: what a symbol is called in code, in LaTeX and in the paper.

Arrays have structured names (`expression.Array`); this module turns them into text. Names that people choose
are checked here, before anything is made of them: no text from a user is ever evaluated.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

from fcsym.errors import NetworkError
from fcsym.expression import Array

if TYPE_CHECKING:
    from fcsym.network import Network

__all__ = [
    "check_name",
    "element_latex",
    "element_name",
    "flat_latex",
    "latex_array",
    "scalar_name",
    "weight_names",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)

_GREEK = {"eta": r"\eta", "kappa": r"\kappa", "alpha": r"\alpha", "rho": r"\rho"}
_LATEX = {
    "yg": ("y", r"\mathrm{g}"),
    "vc": ("v", r"\mathrm{c}"),
    "Wc": ("W", r"\mathrm{c}"),
    "bc": ("b", r"\mathrm{c}"),
    "sc": ("s", r"\mathrm{c}"),
    "dW": (r"\mathrm{d}W", ""),
    "sz": ("s", "@"),  # what another input z sees
    "dsz": (r"\mathrm{d}s", "@"),
    "Kz": ("K", "@"),
    "vz": ("v", "@"),
    "vzc": ("v", r"\mathrm{c}@"),
    "pz": ("p", "@"),
    "yz": ("y", "@"),
    "Bi": ("B", "-1"),
    "key": (r"\mathrm{key}", ""),
    "dist": (r"\mathrm{dist}", ""),
    "wc": ("w", r"\mathrm{c}"),
    "wp": (r"\hat w", ""),
    "sp": (r"\hat s", ""),
    "Sww": ("S", r"ww"),
    "Sws": ("S", r"ws"),
    "Sss": ("S", r"ss"),
    "H": ("h", ""),
    "mu": (r"\mu", ""),
    "qs": (r"\Sigma q", ""),
    "qm": (r"\bar q", ""),
    "qe": (r"\tilde q", ""),
    "ql": (r"q", r"\min"),
    "qh": (r"q", r"\max"),
    "lo": (r"\rho", r"\min"),
    "hi": (r"\rho", r"\max"),
    "ds": (r"\mathrm{d}s", ""),
    "dv": (r"\mathrm{d}v", ""),
    "dy": (r"\mathrm{d}y", ""),
    "delta": (r"\delta", ""),
    "g": (r"\varphi'", ""),
}


def check_name(name: object, where: str) -> str:
    """The name, if it is safe and usable in Python, C and LaTeX; NetworkError otherwise."""
    if not isinstance(name, str):
        raise NetworkError(f"{where}: the name {str(name)[:40]!r} is no text: write it as a string.")
    if not _NAME.fullmatch(name) or "__" in name:
        raise NetworkError(
            f"{where}: the name {name[:40]!r} is not allowed: use a letter, then at most 31 ASCII letters, "
            "digits or single underscores."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _C_KEYWORDS:
        raise NetworkError(f"{where}: the name {name!r} is a keyword: choose another one.")
    return name


_C_KEYWORDS = frozenset(
    {"auto", "case", "char", "const", "default", "do", "double", "enum", "extern", "float", "goto", "inline", "int"}
    | {"long", "register", "restrict", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union"}
    | {"unsigned", "void", "volatile", "main"}
)


def latex_array(array: Array, indices: Sequence[str] = ()) -> str:
    r"""`W2_new` => W^{(2)\prime}_{ij}; the prime and the layer share one superscript."""
    base, mark = _LATEX.get(array.symbol, (_GREEK.get(array.symbol, array.symbol), ""))
    upper = f"({array.layer})" if array.layer is not None else ""
    upper += mark + (r"\prime" if array.after else "")
    lower = "".join(indices) if all(len(i) == 1 for i in indices) else ",".join(indices)
    return base + (f"^{{{upper}}}" if upper else "") + (f"_{{{lower}}}" if lower else "")


def weight_names(arrays: Sequence[tuple[Array, tuple[int, ...]]], flat: bool) -> dict[Array, list[str]]:
    """Names of the scalar weights, in row order.

    `flat`: the paper's w_1 .. w_6 (figure 2), counted through all layers; otherwise W1_1_2, with layer, row, column.
    """
    names: dict[Array, list[str]] = {}
    count = 0
    for array, shape in arrays:
        size = 1
        for length in shape:
            size *= length
        if flat:
            names[array] = [f"w_{count + n}" for n in range(1, size + 1)]
            count += size
        else:
            names[array] = [element_name(array, _unravel(n, shape), shape) for n in range(size)]
    return names


def _unravel(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    result: list[int] = []
    for length in reversed(shape):
        result.append(position % length)
        position //= length
    return tuple(reversed(result))


def element_name(array: Array, position: Sequence[int], shape: Sequence[int], single_layer: bool = False) -> str:
    """The scalar symbol of one element, counted from 1: x_1, y_g, s_1, W1_1_2."""
    if array.symbol == "yg":
        return "y_g" if shape == (1,) else f"y_g_{position[0] + 1}"
    if array.symbol == "y" and shape == (1,):
        return array.name
    layer = "" if array.layer is None or single_layer else str(array.layer)
    return "_".join([f"{array.symbol}{layer}", *(str(p + 1) for p in position), *(["new"] if array.after else [])])


def scalar_name(network: Network, array: Array, position: Sequence[int]) -> str:
    """The ASCII name of one element: the reader's, the paper's w_1 .. w_6, or W1_1_2."""
    shape = network.shape(array)
    base = array.unprimed
    if base in network.parameters:
        name = _weight_name(network, base, position, shape)
        return f"{name}_new" if array.after else name
    if array.symbol == "delta" and array.layer == len(network.layers):
        return "dE_dY" if shape == (1,) else f"dE_dY_{position[0] + 1}"
    single = len(network.layers) == 2 and array.layer == 1
    return element_name(array, position, shape, single)


def _weight_name(network: Network, array: Array, position: Sequence[int], shape: Sequence[int]) -> str:
    offset = _offset(position, shape)
    own = _own_name(network, array, position, offset)
    if own:
        return own
    if network.widths == (2, 2, 1):  # the paper's figure 2
        return f"{array.symbol.lower()}_{_counted(network, array) + offset + 1}"
    return element_name(array, position, shape)


def _own_name(network: Network, array: Array, position: Sequence[int], offset: int) -> str:
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


def _counted(network: Network, array: Array) -> int:
    """How many weights of the same kind stand in the layers below."""
    before = network.parameters[: network.parameters.index(array)]
    return sum(prod(network.shape(a)) for a in before if a.symbol == array.symbol)


def flat_latex(network: Network, array: Array, position: Sequence[int]) -> str:
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
        if own:
            return element_latex(f"{own}_new" if array.after else own)
        upper = f"^{{{prime}}}" if prime else ""
        return f"{array.symbol.lower()}{upper}_{{{_counted(network, base) + offset + 1}}}"
    if array.symbol == "delta" and array.layer == len(network.layers):
        lower = "" if shape == (1,) else f"_{{{position[0] + 1}}}"
        return rf"\tfrac{{\mathrm{{d}}E}}{{\mathrm{{d}}Y{lower}}}"
    lower_parts = [str(n + 1) for n in position]
    for theta in _matrices(network):
        if array.layer is None and len(shape) == 2 and array.axes == theta.axes:
            lower_parts = [str(_counted(network, theta) + offset + 1)]
    if shape == (1,) and array.axes[0].layer == len(network.layers):
        lower_parts = []  # the output y of a network that has one
    if len(network.layers) == 2 and array.layer == 1 and array.axes:
        array = Array(array.symbol, None, array.axes, array.after)  # one hidden layer needs no number
    return latex_array(array, [",".join(lower_parts)] if lower_parts else [])


def _matrices(network: Network) -> Iterator[Array]:
    return (theta for theta in network.parameters if len(theta.axes) == 2)


def element_latex(name: str) -> str:
    r"""`w_5` => w_{5}, `W1_1_2` => W^{(1)}_{1,2}, `y_g` => y_{\mathrm{g}}."""
    head, *rest = name.split("_")
    if (head, rest[:1]) == ("dE", ["dY"]):
        lower = f"_{{{','.join(rest[1:])}}}" if rest[1:] else ""
        return rf"\tfrac{{\mathrm{{d}}E}}{{\mathrm{{d}}Y{lower}}}"
    after = "new" in rest
    numbers = [part for part in rest if part.isdigit()]
    words = [part for part in rest if not part.isdigit() and part != "new"]
    match = re.fullmatch(r"([A-Za-z]+?)(\d*)", head, re.ASCII)
    base, layer = (match[1], match[2]) if match else (head, "")
    base, mark = _LATEX.get(base, (_GREEK.get(base, base if len(base) == 1 else rf"\mathrm{{{base}}}"), ""))
    upper = (f"({layer})" if layer else "") + mark + (r"\prime" if after else "")
    lower = ",".join([*(rf"\mathrm{{{word}}}" for word in words), *numbers])
    return base + (f"^{{{upper}}}" if upper else "") + (f"_{{{lower}}}" if lower else "")
