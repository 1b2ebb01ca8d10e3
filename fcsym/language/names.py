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
    "g": (r"\varphi'", ""),
    "dg": (r"\varphi", r"\prime\prime"),
}


def latex_array(array: Array, indices: Sequence[str] = ()) -> str:
    r"""`W2_new` => W^{(2)\prime}_{ij}; the prime and the layer share one superscript."""
    base, mark = _LATEX.get(array.symbol) or _made(array)
    layer = "" if array.layer is None or array.symbol.startswith(_TWICE) else f"({array.layer})"
    upper = layer + (f"{',' if layer else ''}{array.time}" if array.time is not None else "")
    upper += mark + (r"\prime" if array.after else "")
    lower = "".join(indices) if all(len(i) == 1 for i in indices) else ",".join(indices)
    return base + (f"^{{{upper}}}" if upper else "") + (f"_{{{lower}}}" if lower else "")


_TWICE = "d2"
"""What the symbol of a second derivative begins with; it says the layer of each that it is taken by."""


def _made(array: Array) -> tuple[str, str]:
    r"""dE_dW => (\mathrm{d}E/\mathrm{d}W); d2E_dW1_dW of layer 2 => (\mathrm{d}^2E/\mathrm{d}W^{(1)}\mathrm{d}W^{(2)}).

    The direction of a parameter, TW, is T^{W}; what is none of these stays what it is, a Greek letter as LaTeX has it.
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
    if array.role is Role.DIRECTION:
        return symbol[0], symbol[1:]
    return rf"\{symbol}" if symbol in GREEK else symbol, ""


def _counted(name: str) -> str:
    r"""W1 => W^{(1)}, delta2 => \delta^{(2)}."""
    letters = name.rstrip("0123456789")
    shown = rf"\{letters}" if letters in GREEK else letters
    return f"{shown}^{{({name[len(letters) :]})}}" if letters != name else shown


def element_name(array: Array, position: Sequence[int], shape: Sequence[int], single_layer: bool = False) -> str:
    """The scalar symbol of one element, counted from 1: x_1, y_g, s_1, W1_1_2."""
    if array.symbol == "yg":
        return "y_g" if shape == (1,) else f"y_g_{position[0] + 1}"
    if array.symbol == "y" and shape == (1,):
        return array.name
    layer = "" if array.layer is None or single_layer else str(array.layer)
    return "_".join([f"{array.symbol}{layer}", *(str(p + 1) for p in position), *(["new"] if array.after else [])])
