"""Activations: a list of linear pieces, with the slope at each kink as a named option; or a smooth function by name.

    relu:        phi(s) = s  where s > 0,  0 otherwise;       phi'(0) = slope_at_kink, 0 unless given
    leaky_relu:  phi(s) = s  where s > 0,  s/100 otherwise;   phi'(0) = slope_at_kink, 1/100 unless given
    tanh:        phi(s) = tanh(s),                            phi'(s) = 1 - tanh(s)^2

A kink belongs to the piece below it, as in `s > 0` for the ReLU: the paper leaves s = 0 open in eq. 10. The value
there does not depend on the side, since the pieces must meet; the slope does, and is a named option. Unless it is given
it is the slope of the piece below, which is a subgradient of phi and what PyTorch has for the built-in activations.

A smooth activation has no pieces. To a derivation it is any differentiable function: nothing that is proved depends on
which one. What it is worth is one entry in `smooth_functions`, or a formula of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise
from numbers import Rational
from typing import Any

from fcsym.errors import NetworkError, shown
from fcsym.language import smooth_functions
from fcsym.language.formulas import Formula
from fcsym.language.own_functions import accepted
from fcsym.language.spelling import check_name, exact

__all__ = [
    "ALIASES",
    "BUILT_IN",
    "SMOOTH",
    "Activation",
    "Piece",
    "activation",
    "identity",
    "leaky_relu",
    "piecewise_linear",
    "relu",
    "smooth",
    "spelt",
]

SMOOTH = ("tanh", "sigmoid", "softplus", "silu", "gelu")
"""The smooth activations that are offered by name; the language has more functions, see `smooth_functions.ENTRIES`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """phi(s) = slope * s + intercept for s up to and including `upper` (None: without end)."""

    upper: Fraction | None
    slope: Fraction
    intercept: Fraction = Fraction(0)
    name: str = ""

    def __post_init__(self) -> None:
        """Every number becomes the exact decimal that was written; NetworkError for what is none."""
        for part in ("upper", "slope", "intercept"):
            value = getattr(self, part)
            if value is not None or part != "upper":
                object.__setattr__(self, part, exact(value, f"the {part} of a piece"))
        if not isinstance(self.name, str):
            raise NetworkError(f"The name of a piece is {shown(self.name)!r}: write it as a string.")

    @property
    def is_zero(self) -> bool:
        """phi vanishes on the whole piece."""
        return not self.slope and not self.intercept


@dataclass(frozen=True, slots=True)
class Activation:
    """A continuous piecewise-linear function, or a smooth one without pieces.

    `pieces` are in order of s; piece i ends at its `upper`, where the next one starts.
    `kink_slopes[i]` is the derivative used exactly at the end of piece i.
    """

    name: str
    pieces: tuple[Piece, ...]
    kink_slopes: tuple[Fraction, ...]
    formula: Formula = field(default=(), repr=False)  # of a smooth function that is no entry of the table

    def __post_init__(self) -> None:
        """Names become part of documents and programs, wherever they come from; NetworkError for one that must not."""
        check_name(self.name, "an activation")
        for piece in self.pieces:
            if not re.fullmatch(r"piece \d+", piece.name, re.ASCII):
                check_name(piece.name, f"activation {self.name}, a piece")

    @property
    def kinks(self) -> tuple[Fraction, ...]:
        """The points where two pieces meet."""
        return tuple(piece.upper for piece in self.pieces if piece.upper is not None)

    @property
    def is_smooth(self) -> bool:
        """phi has a name instead of pieces; no case distinction is possible, and none is needed."""
        return not self.pieces

    def said_of_slope(self, order: int = 1) -> str:
        """What phi' is, or phi'' where `order` is 2, in a sentence."""
        if self.is_smooth:
            which = "derivative" if order == 1 else "second derivative"
            return f"This is the {which} of {self.name}, a smooth function."
        if self.kinks:
            return "The gate is the slope of the activation, declared at its kinks and constant between them."
        return f"This is the slope of {self.name}, the same everywhere."

    @property
    def never_zero(self) -> bool:
        """phi(s) != 0 for every s: found from the expression of a smooth function, as for the sigmoid."""
        return self.is_smooth and smooth_functions.never_zero(self)

    @property
    def leaving_zero(self) -> tuple[str, str]:
        """What a unit does that gave 0 and changes, and what it did: only one that was dead wakes up."""
        dead = any(piece.is_zero for piece in self.pieces)
        return ("wakes up", "woke up") if dead else ("leaves 0", "left 0")

    @property
    def is_identity(self) -> bool:
        """phi(s) = s everywhere."""
        return len(self.pieces) == 1 and self.pieces[0].slope == 1 and not self.pieces[0].intercept

    def piece_at(self, s: Rational | float | int) -> int:
        """The number of the piece that s lies on, from 0; a kink belongs to the piece below it."""
        return sum(s > kink for kink in self.kinks)

    def slope_at(self, s: Fraction) -> Fraction:
        """phi'(s), with the declared slope at a kink."""
        if s in self.kinks:
            return self.kink_slopes[self.kinks.index(s)]
        return self.pieces[self.piece_at(s)].slope

    def gate_on(self, piece: int) -> Fraction | None:
        """phi'(s) wherever s is on that piece and phi(s) is not 0; None where a declared kink slope differs."""
        kink = self.pieces[piece].upper
        if kink is None or self.kink_slopes[piece] == self.pieces[piece].slope or not self.value_at(kink):
            return self.pieces[piece].slope
        return None

    def value_at(self, s: Fraction) -> Fraction:
        """phi(s)."""
        piece = self.pieces[self.piece_at(s)]
        return piece.slope * s + piece.intercept

    def with_slope_at_kink(self, slope: object) -> Activation:
        """The same function with another derivative at its kinks: one number for all, or one per kink."""
        values = slope if isinstance(slope, Sequence) and not isinstance(slope, str) else [slope] * len(self.kinks)
        if len(values) != len(self.kinks):
            raise NetworkError(
                f"slope_at_kink has {len(values)} numbers and {self.name!r} has {len(self.kinks)} kinks: "
                "give one number, or one per kink."
            )
        return replace(self, kink_slopes=tuple(exact(value, "slope_at_kink") for value in values))


def said_of_gates(activations: Sequence[Activation]) -> tuple[str, ...]:
    """What is taken for granted of the slopes of these activations, in sentences; nothing where all are straight."""
    kinked, bent = (
        list(dict.fromkeys(phi.name for phi in activations if chosen(phi)))
        for chosen in (lambda phi: bool(phi.kinks), lambda phi: phi.is_smooth)
    )
    result = []
    if kinked:
        whose = f"The gates of {_and(kinked)}" if bent else "The gates"
        slope = "`phi'` is the slope of the piece, and at a kink as declared"
        result.append(f"{whose} are held constant in derivatives: {slope}.")
    if bent:
        what = f"The activations {_and(bent)} are" if len(bent) > 1 else f"The activation {bent[0]} is"
        result.append(f"{what} smooth: `phi'` is the derivative everywhere.")
    return tuple(result)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def piecewise_linear(name: str, pieces: Sequence[Piece], slope_at_kink: object = None) -> Activation:
    """An activation from its pieces, in order of s; every piece but the last has an `upper` end.

    `slope_at_kink`: the derivative where two pieces meet, one number for all kinks or one per kink, also as a text such
    as "1/2"; by default the slope of the piece below, on the left.
    Raises NetworkError when the ends do not increase or two pieces do not meet.

    >>> [int(kink) for kink in piecewise_linear("hat", [Piece(0, -1), Piece(2, 1), Piece(None, 0, 2)]).kinks]
    [0, 2]
    """
    where = f"activation {check_name(name, 'an activation')!r}"
    if isinstance(pieces, str) or not isinstance(pieces, Sequence) or not all(isinstance(p, Piece) for p in pieces):
        raise NetworkError(f"{where} has the pieces {shown(pieces)!r}: give a list of Piece.")
    if not pieces:
        raise NetworkError(f"{where} has no pieces: give at least one.")
    ends = [piece.upper for piece in pieces]
    if ends[-1] is not None or any(end is None for end in ends[:-1]):
        raise NetworkError(f"{where}: every piece but the last needs an upper end, and the last must have none.")
    kinks = [end for end in ends if end is not None]
    if any(a >= b for a, b in pairwise(kinks)):
        raise NetworkError(f"{where}: the upper ends of its pieces must increase.")
    for below, above in pairwise(pieces):
        assert below.upper is not None
        left, right = (piece.slope * below.upper + piece.intercept for piece in (below, above))
        if left != right:
            raise NetworkError(
                f"{where} jumps from {left} to {right} at s = {below.upper}: its pieces must meet, a step has no slope."
            )
    if not any(piece.slope for piece in pieces):
        raise NetworkError(f"{where} is constant: nothing can be learned through it; give a piece with a slope.")
    named = tuple(replace(p, name=p.name or f"piece {n}") for n, p in enumerate(pieces, 1))
    names = [piece.name for piece in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise NetworkError(f"{where} has two pieces with the name {twice!r}: every piece needs its own.")
    too_long = next((name for name in names if len(name) > 16), None)
    if too_long is not None:
        raise NetworkError(f"{where} has a piece named {too_long!r}: use at most 16 letters.")
    on_the_left = [piece.slope for piece in named[:-1]]
    return Activation(name, named, ()).with_slope_at_kink(on_the_left if slope_at_kink is None else slope_at_kink)


def relu(slope_at_kink: object = None) -> Activation:
    """phi(s) = s where s > 0, 0 otherwise (eq. 10).

    `slope_at_kink`: phi'(0), which the paper leaves open; 0 unless given. Raises NetworkError for what is
    no exact number.
    """
    dead = Piece(Fraction(0), Fraction(0), name="dead")
    active = Piece(None, Fraction(1), name="active")
    return piecewise_linear("relu", (dead, active), slope_at_kink)


def leaky_relu(slope: object = Fraction(1, 100), slope_at_kink: object = None) -> Activation:
    """phi(s) = s where s > 0, slope * s otherwise.

    `slope_at_kink`: phi'(0), which is `slope` unless given. Raises NetworkError for what is no exact number.
    """
    below = Piece(Fraction(0), exact(slope, "the slope of leaky_relu"))
    return piecewise_linear("leaky_relu", (below, Piece(None, Fraction(1))), slope_at_kink)


def identity() -> Activation:
    """phi(s) = s: the layer is linear."""
    return piecewise_linear("identity", (Piece(None, Fraction(1)),))


def smooth(name: str, expression: Any = None) -> Activation:
    """A smooth function: one that has a name already, or one's own from a SymPy expression of one real symbol.

    Raises NetworkError for a name that is not known or is taken, and for an expression that is not a real number with a
    slope for every s, or is written with functions that are not known.

    >>> import sympy
    >>> s = sympy.Symbol("s", real=True)
    >>> smooth("mish", s * sympy.tanh(sympy.log(1 + sympy.exp(s)))).name
    'mish'
    """
    entries = smooth_functions.ENTRIES
    if expression is None:
        known = spelt(name)
        if known not in entries:
            raise NetworkError(
                f"The smooth activation {shown(name)!r} is not known: choose one of {', '.join(entries)}, or give "
                "an expression."
            )
        return Activation(known, (), ())
    check_name(name, "an activation")
    if name in entries or name in BUILT_IN:
        raise NetworkError(f"The name {name!r} is taken by a built-in activation: choose another.")
    return Activation(name, (), (), accepted(name, expression))


_BY_NAME: dict[str, Callable[[], Activation]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "identity": identity,
    **{name: partial(smooth, name) for name in SMOOTH},
}

BUILT_IN = tuple(_BY_NAME)

ALIASES = {"linear": "identity", "leakyrelu": "leaky_relu", "logistic": "sigmoid", "expit": "sigmoid", "swish": "silu"}
"""Other names under which built-in activations are known, in small letters."""


def spelt(name: object) -> str:
    """The name of an activation as fcsym spells it: "ReLU" => "relu", "swish" => "silu"; "" for what is no text.

    Large and small letters are alike in names that are known; another name stays as it is.
    """
    if not isinstance(name, str):
        return ""
    known = ALIASES.get(name.lower(), name.lower())
    return known if known in _BY_NAME or known in smooth_functions.ENTRIES else name


@cache  # every network of that kind asks for the same, and it never changes
def _built_in(name: str) -> Activation:
    return _BY_NAME[name]()


def activation(name: object, own: Sequence[Activation] = ()) -> Activation:
    """The activation of that name: one of `own`, a built-in piecewise-linear one, or a smooth one.

    Built-in ones have other names as well (`ALIASES`), and large and small letters are alike in all of them.
    """
    if isinstance(name, Activation):
        entry = smooth_functions.ENTRIES.get(name.name) if name.is_smooth and not name.formula else None
        if entry is not None and not entry.everywhere:
            raise NetworkError(f"The function {name.name} has no value for every s: it is no activation.")
        return name
    for candidate in own:
        if candidate.name == name:
            return candidate
    known = spelt(name)
    if known in _BY_NAME:
        return _built_in(known)
    if known in smooth_functions.ENTRIES:
        return activation(smooth(known))
    there = ", ".join([*_BY_NAME, *(candidate.name for candidate in own)])
    raise NetworkError(f"The activation {shown(name)!r} is not known: choose one of {there}.")
