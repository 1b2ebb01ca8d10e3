"""Names: what a symbol is called in code, in LaTeX and in the paper.

Arrays have structured names (`expression.Array`); this module turns them into text. Names that people choose
are checked here, before anything is made of them: no text from a user is ever evaluated.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from fcsym.errors import NetworkError
from fcsym.expression import Array

__all__ = ["check_name", "element_latex", "element_name", "latex_array", "weight_names"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)

_GREEK = {"eta": r"\eta", "kappa": r"\kappa", "alpha": r"\alpha", "rho": r"\rho"}
_LATEX = {
    "yg": ("y", r"\mathrm{g}"),
    "vc": ("v", r"\mathrm{c}"),
    "Wc": ("W", r"\mathrm{c}"),
    "bc": ("b", r"\mathrm{c}"),
    "sc": ("s", r"\mathrm{c}"),
    "dW": (r"\mathrm{d}W", ""),
    "Bi": ("B", "-1"),
    "key": (r"\mathrm{key}", ""),
    "dist": (r"\mathrm{dist}", ""),
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


def element_latex(name: str) -> str:
    r"""`w_5` => w_{5}, `W1_1_2` => W^{(1)}_{1,2}, `y_g` => y_{\mathrm{g}}."""
    head, *rest = name.split("_")
    after = "new" in rest
    numbers = [part for part in rest if part.isdigit()]
    words = [part for part in rest if not part.isdigit() and part != "new"]
    match = re.fullmatch(r"([A-Za-z]+?)(\d*)", head, re.ASCII)
    base, layer = (match[1], match[2]) if match else (head, "")
    base = _GREEK.get(base, _LATEX.get(base, (base if len(base) == 1 else rf"\mathrm{{{base}}}", ""))[0])
    upper = (f"({layer})" if layer else "") + (r"\prime" if after else "")
    lower = ",".join([*(rf"\mathrm{{{word}}}" for word in words), *numbers])
    return base + (f"^{{{upper}}}" if upper else "") + (f"_{{{lower}}}" if lower else "")
