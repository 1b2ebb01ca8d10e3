"""Names: what a symbol is called in code, in LaTeX and in the paper.

Arrays have structured names (`expression.Array`); this module turns them into text. Names that people choose
are checked here, before anything is made of them: no text from a user is ever evaluated.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from fcsym.errors import NetworkError
from fcsym.language.expression import Array

if TYPE_CHECKING:
    from fcsym.networks.network import Network

__all__ = [
    "GREEK",
    "check_name",
    "element_name",
    "flat_latex",
    "flat_names",
    "latex_array",
    "own_names",
    "scalar_name",
    "weight_names",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta":
    "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ",
    "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
"""Names of Greek letters, which LaTeX has as commands."""
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
    "ic": ("c", "-1"),
    "xs": (r"\hat x", ""),
    "xh": (r"\overline x", ""),
    "xl": (r"\underline x", ""),
    "xm": (r"\tilde x", ""),
    "mx": (r"x", r"\max"),
    "sd": (r"\Delta s", ""),
    "su": (r"\bar s", ""),
    "dh": (r"\overline d", ""),
    "dl": (r"\underline d", ""),
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
    base, mark = _LATEX.get(array.symbol, (rf"\{array.symbol}" if array.symbol in GREEK else array.symbol, ""))
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
        upper = f"^{{{prime}}}" if prime else ""
        if own:
            letter, lower = _own_latex(own)
            return f"{letter}{upper}{lower}"
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


def _own_latex(name: str) -> tuple[str, str]:
    r"""A reader's name => its letter and what stands below: different names never look the same, nor like ours.

    a_1 => a_{1}; alpha_in => \alpha_{\mathrm{in}}; a_new_1 => a_{\mathrm{new},1}; W1 => \mathrm{W1}.
    """
    head, *rest = name.split("_")
    letter = rf"\{head}" if head in GREEK else head if len(head) == 1 else rf"\mathrm{{{head}}}"
    lower = ",".join(part if part.isdigit() else rf"\mathrm{{{part}}}" if part else r"\_" for part in rest)
    return letter, f"_{{{lower}}}" if rest else ""


def own_names(network: Network) -> tuple[tuple[str, str], ...]:
    r"""(the reader's name, what is called so), both as LaTeX: (A, W^{(1)}), or (a_{1}, W^{(1)}_{11}) and so on."""
    if not network.names:
        return ()
    if len(network.names) == len(network.parameters):
        called = [latex_array(theta) for theta in network.parameters]
    else:
        places = [(theta, p) for theta in network.parameters for p in product(*map(range, network.shape(theta)))]
        called = [latex_array(theta, [str(n + 1) for n in place]) for theta, place in places]
    return tuple(("".join(_own_latex(name)), what) for name, what in zip(network.names, called, strict=True))


def flat_names(network: Network) -> dict[str, str]:
    """The weights' names as formulas and pictures show them (w_8) => the names that code has (W3_1_2)."""
    if network.names:
        return {}
    found = {}
    for theta in network.parameters:
        for n, place in enumerate(product(*map(range, network.shape(theta))), 1):
            found[f"{theta.symbol.lower()}_{_counted(network, theta) + n}"] = scalar_name(network, theta, place)
    return found


def _matrices(network: Network) -> Iterator[Array]:
    return (theta for theta in network.parameters if len(theta.axes) == 2)
