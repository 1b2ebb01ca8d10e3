"""Names: what a symbol is called in code, in LaTeX and in the paper.

Arrays have structured names (`expression.Array`); this module turns them into text. Names that people choose
are checked here, before anything is made of them: no text from a user is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

from fcsym.language.expression import Array, Role

__all__ = [
    "GREEK",
    "element_name",
    "latex_array",
]

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
    "db": (r"\mathrm{d}b", ""),
    "eps": (r"\varepsilon", ""),
    "lamda": (r"\lambda", ""),  # spelt as in SymPy: in Python the other is a keyword
    "beta1": (r"\beta_1", ""),
    "beta2": (r"\beta_2", ""),
    "h1": ("h_1", ""),
    "h2": ("h_2", ""),
    "Qt": (r"\hat Q", ""),
    "qt": (r"\hat q", ""),
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
    "Ki": ("K", "-1"),
    "ell": (r"\ell", ""),
    "ms": (r"\dot s", ""),
    "mC": (r"\dot C", ""),
    "kept": (r"\varrho", ""),
    "mkept": (r"\dot\varrho", ""),
    "dC": (r"\mathrm{d}C", ""),
    "dkept": (r"\mathrm{d}\varrho", ""),
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
    "dim": (r"d", ""),
    "g": (r"\varphi'", ""),
    "dg": (r"\varphi", r"\prime\prime"),
}


def latex_array(array: Array, indices: Sequence[str] = ()) -> str:
    r"""`W2_new` => W^{(2)\prime}_{ij}; the prime and the layer share one superscript."""
    base, mark = _letter(array)
    numbered = array.layer is not None and not array.symbol.startswith(_TWICE)
    upper = f"({array.layer})" if numbered else ""
    upper += f"{',' if upper else ''}{array.time}" if array.time is not None else ""
    of_a_part = mark.startswith(_UPRIGHT) and array.role in (*_OF_LAYERS, *_OF_OTHERS)
    upper = mark + upper if of_a_part else upper + mark  # W^{q(1)}, and v^{(1)c}
    upper += r"\prime" if array.after else ""
    plain = all(len(i) == 1 for i in indices) and len({i.isdigit() for i in indices}) < 2
    lower = "".join(indices) if plain else ",".join(indices)
    return base + (f"^{{{upper}}}" if upper else "") + (f"_{{{lower}}}" if lower else "")


def _letter(array: Array) -> tuple[str, str]:
    r"""The letter of a symbol, and the mark that it has above: Wq => W and \mathrm{q}.

    What belongs to another array is written with its letter: \bar v for an adjoint, \mathrm{d}v for an increment.
    """
    symbol, whose = array.symbol, array.of
    if whose is not None and symbol == f"adj_{whose.symbol}":
        letter, mark = _letter(whose)
        return rf"\bar{{{letter}}}", mark
    if array.role is Role.DIRECTION:
        return symbol[0], symbol[1:]
    if whose is not None and array.role is Role.INCREMENT and symbol == f"d{whose.symbol}":
        letter, mark = _letter(whose)
        return rf"\mathrm{{d}}{letter}", mark
    if whose is not None and array.role is Role.GRADIENT and symbol == f"dE_d{whose.symbol}":
        letter, mark = _letter(whose)
        return rf"(\mathrm{{d}}E/\mathrm{{d}}{letter})", mark
    if whose is not None and array.role is Role.GATE and symbol == f"g{whose.symbol}":
        return r"\varphi'", rf"\mathrm{{{_escaped(whose.symbol)}}}"
    if whose is not None and array.role is Role.NORM and symbol == f"a_{whose.symbol}":
        return "a", rf"\mathrm{{{_escaped(whose.symbol)}}}"
    if array.role is Role.UNIT and len(symbol) > 1:
        return symbol[0], rf"\mathrm{{{_escaped(symbol[1:])}}}"
    if array.role is Role.BEND and whose is not None and symbol != "dg":
        return r"\varphi", rf"\mathrm{{{_escaped(whose.symbol)}}}\prime\prime"
    if whose is not None and symbol not in _LATEX and (belonging := _of_a_part(array, whose)) is not None:
        return belonging
    if array.role not in _OF_LAYERS or (symbol in _LATEX_OF_LAYERS and array.layer is None):
        return _LATEX.get(symbol) or _made(array)
    if len(symbol) > 1 and symbol not in GREEK:  # g and mx of one's own are no gate and no greatest input
        if array.layer is not None and len(symbol) < 4:  # the letter of a layer, and that of a gate or a head
            return symbol[0], rf"\mathrm{{{_escaped(symbol[1:])}}}"
        return rf"\mathrm{{{_escaped(symbol)}}}", ""
    return _made(array)


def _of_a_part(array: Array, whose: Array) -> tuple[str, str] | None:
    r"""What a scheme has for a matrix of a gate or a head: Wqc => W and \mathrm{q}\mathrm{c}, Cq => C and \mathrm{q}.

    A velocity has a dot: mzi => \dot z and \mathrm{i}.
    """
    letter, mark = _letter(whose)
    if array.role is Role.FROZEN and array.symbol == f"{whose.symbol}c":
        return letter, rf"{mark}\mathrm{{c}}"
    if array.role is Role.MOMENT and array.symbol == f"m{whose.symbol}" and whose.role is not Role.PARAMETER:
        return rf"\dot {letter}", mark
    if array.symbol[1:] and array.symbol[1:] == whose.symbol[1:] and array.layer is not None:
        return array.symbol[0], mark
    return None


_UPRIGHT = r"\mathrm{"
_OF_LAYERS = (Role.PARAMETER, Role.INPUT, Role.PRE_ACTIVATION, Role.ACTIVATION)
_OF_OTHERS = (Role.ADJOINT, Role.GATE, Role.INCREMENT, Role.GRADIENT, Role.NORM, Role.UNIT)
_LATEX_OF_LAYERS = ("yg", "vz")


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")


_TWICE = "d2"
"""What the symbol of a second derivative begins with; it says the layer of each that it is taken by."""


def _made(array: Array) -> tuple[str, str]:
    r"""dE_dW => (\mathrm{d}E/\mathrm{d}W); d2E_dW1_dW of layer 2 => (\mathrm{d}^2E/\mathrm{d}W^{(1)}\mathrm{d}W^{(2)}).

    What is none of these stays what it is, a Greek letter as LaTeX has it.
    """
    symbol = array.symbol
    of, _, by = symbol.partition("_d")
    if by and symbol.startswith(_TWICE):
        first, _, second = by.partition("_d")
        layer = "" if array.layer is None else array.layer
        below = r"\,\mathrm{d}".join(map(_counted, (first, f"{second}{layer}")))
        return rf"(\mathrm{{d}}^2{of.removeprefix(_TWICE)}/\mathrm{{d}}{below})", ""
    if by and of.startswith("d"):
        return rf"(\mathrm{{d}}{of[1:]}/\mathrm{{d}}{by})", ""
    return rf"\{symbol}" if symbol in GREEK else symbol, ""


def _counted(name: str) -> str:
    r"""W1 => W^{(1)}, delta2 => \delta^{(2)}."""
    letters = name.rstrip("0123456789")
    shown = rf"\{letters}" if letters in GREEK else letters
    return f"{shown}^{{({name[len(letters) :]})}}" if letters != name else shown


def element_name(array: Array, position: Sequence[int], shape: Sequence[int], single_layer: bool = False) -> str:
    """The scalar symbol of one element, counted from 1: x_1, y_g, s_1, W1_1_2."""
    if array.symbol == "yg":
        return "y_g" if shape == (1,) else "_".join(["y_g", *(str(p + 1) for p in position)])
    if array.symbol == "y" and shape == (1,):
        return array.name
    layer = "" if array.layer is None or single_layer else str(array.layer)
    time = [] if array.time is None else [f"t{array.time}"]
    return "_".join(
        [f"{array.symbol}{layer}", *time, *(str(p + 1) for p in position), *(["new"] if array.after else [])]
    )
