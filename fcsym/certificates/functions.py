"""What an activation is in Coq: its definition, its slope, and the theorem that the slope is its derivative.

Pieces are nested decisions, from the last piece down. A smooth function is what its formula says where Coq's library
has what it takes (`SMOOTH`), and otherwise any function with any derivative: then the file holds for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fcsym.certificates.printer import Printer, number
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation, smooth

__all__ = ["Function", "function", "needed", "slope_function"]


@dataclass(frozen=True, slots=True)
class Function:
    """An activation in a file."""

    stated: tuple[str, ...]  # what a reader must believe
    proved: tuple[str, ...]  # the theorem on its derivative
    away: tuple[str, ...]  # where the slope is the derivative: premises about s
    never_zero: bool = False  # and that it is never 0, where that is so
    positive: bool = False  # a function of what is above 0
    opened: tuple[str, ...] = ()  # the definitions that a proof may look into


SMOOTH: Mapping[str, tuple[str, str, str]] = {
    "tanh": ("(exp s - exp (- s)) / (exp s + exp (- s))", "1 - phi_tanh s ^ 2", ""),
    "sigmoid": ("1 / (1 + exp (- s))", "phi_sigmoid s * (1 - phi_sigmoid s)", ""),
    "softplus": ("ln (1 + exp s)", "1 / (1 + exp (- s))", ""),
    "silu": ("s / (1 + exp (- s))", "1 / (1 + exp (- s)) + s * exp (- s) / (1 + exp (- s)) ^ 2", ""),
    "exp": ("exp s", "exp s", ""),
    "log": ("ln s", "1 / s", "0 < {s}"),
    "sqrt": ("sqrt s", "1 / (2 * sqrt s)", "0 < {s}"),
}
"""phi(s), phi'(s), and where it has a derivative, of smooth functions in what Coq's library has."""


_NEVER_ZERO = {
    "sigmoid": "apply Rdiv_lt_0_compat; positive; lra",
    "softplus": "rewrite <- ln_1; apply ln_increasing; positive; lra",
    "exp": "apply exp_pos",
}
"""How it is proved that a function is above 0."""


def function(phi: Activation, printer: Printer, flat: bool = False) -> Function:
    """An activation => its definitions and its theorem; `flat`: and that the slope of pieces has the derivative 0."""
    name = printer.function(phi)
    if not phi.is_smooth:
        return _pieces(phi, name, flat)
    if phi.formula or phi.name not in SMOOTH:
        derivative = f"Hypothesis derivative_{name} : forall s, derivable_pt_lim phi_{name} s (slope_{name} s)."
        known = smooth_functions.slope_among_entries(phi)
        if known is None:
            said = "(* any differentiable function, with its derivative *)"
            return Function((f"Variables (phi_{name} slope_{name} : R -> R). {said}", derivative), (), ())
        factor, other, exponent = known
        power = " / s" if exponent else ""  # there is no other
        what = "" if other is None else f" * phi_{printer.function(smooth(other))} s"
        stated = (
            f"Variable phi_{name} : R -> R. (* any function with this derivative *)",
            f"Definition slope_{name} (s : R) : R := {number(factor)}{what}{power}.", derivative,
        )  # fmt: skip
        return Function(stated, (), (), opened=(f"slope_{name}",))
    value, slope, where = SMOOTH[phi.name]
    made = (
        f"Definition phi_{name} (s : R) : R := {value}.",
        f"Definition slope_{name} (s : R) : R := {slope}.",
    )
    premise = f"{where.format(s='s')} -> " if where else ""
    proved: tuple[str, ...] = (
        f"Lemma derivative_{name} s : {premise}derivable_pt_lim phi_{name} s (slope_{name} s).",
        f"Proof. unfold slope_{name}; smooth phi_{name}. Qed.",
    )
    if name in _NEVER_ZERO:
        proved += (
            f"Lemma never_zero_{name} s : phi_{name} s <> 0.",
            f"Proof. apply Rgt_not_eq; unfold phi_{name}; {_NEVER_ZERO[name]}. Qed.",
        )
    return Function(
        made,
        proved,
        (where,) if where else (),
        never_zero=name in _NEVER_ZERO,
        positive=bool(where),
        opened=(f"slope_{name}", f"phi_{name}"),
    )


def needed(phi: Activation) -> Activation | None:
    """The function that the slope of another one is, where it is one: tanh of log cosh."""
    return slope_function(phi) if phi.formula else None


def slope_function(phi: Activation) -> Activation | None:
    """The function that the slope of another one has as a factor, where there is one: sigmoid of softplus."""
    known = smooth_functions.slope_among_entries(phi) if phi.is_smooth else None
    return None if known is None or known[1] is None else smooth(known[1])


def _pieces(phi: Activation, name: str, flat: bool) -> Function:
    value = _line(phi.pieces[0].slope, phi.pieces[0].intercept)
    slope = number(phi.pieces[0].slope)
    rows = zip(phi.kinks, phi.pieces[1:], phi.kink_slopes, phi.pieces, strict=False)
    for kink, piece, declared, below in rows:
        at = number(kink)
        value = f"if Rlt_dec {at} s then {_line(piece.slope, piece.intercept)} else {value}"
        if declared != below.slope:
            slope = f"if Req_EM_T s {at} then {number(declared)} else {slope}"
        slope = f"if Rlt_dec {at} s then {number(piece.slope)} else {slope}"
    stated = (f"Definition phi_{name} (s : R) : R := {value}.", f"Definition slope_{name} (s : R) : R := {slope}.")
    away = tuple(f"{{s}} <> {number(kink)}" for kink in phi.kinks)
    ends = [None, *phi.kinks, None]
    tries, level = [], []
    for piece, low, high in zip(phi.pieces, ends, ends[1:], strict=False):
        lower, upper = "(s - 1)" if low is None else number(low), "(s + 1)" if high is None else number(high)
        tries.append(f"piece phi_{name} {number(piece.intercept)} {lower} {upper}")
        level.append(f"piece slope_{name} {number(piece.slope)} {lower} {upper}")
    premises = "".join(f"{premise.format(s='s')} -> " for premise in away)
    proved: tuple[str, ...] = (
        f"Lemma derivative_{name} s : {premises}derivable_pt_lim phi_{name} s (slope_{name} s).",
        f"Proof. intros; unfold slope_{name}; decisions; first [{' | '.join(tries)}]. Qed.",
    )
    if flat:
        sides = "".join(f"destruct (Rlt_dec {number(kink)} s); " for kink in phi.kinks)
        proved += (
            f"Lemma flat_{name} s : {premises}derivable_pt_lim slope_{name} s 0.",
            f"Proof. intros; {sides}first [{' | '.join(level)}]. Qed.",
        )
    return Function(stated, proved, away)


def _line(slope: Fraction, intercept: Fraction) -> str:
    parts = [] if not slope else ["s" if slope == 1 else "- s" if slope == -1 else f"{number(slope)} * s"]
    if intercept or not parts:
        parts.append(number(intercept))
    return " + ".join(parts)
