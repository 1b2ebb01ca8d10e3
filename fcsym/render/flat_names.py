"""Flat names, one for every number of a small network: w_1, ..., w_6, and what is to be said of them."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from fcsym.errors import SizeError
from fcsym.language.equation import Equation
from fcsym.language.expression import Array, Written, arrays_in
from fcsym.networks.names import flat_latex, own_names, scalar_name

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable, Shown
    from fcsym.networks.network import Network

__all__ = [
    "MAX_FLAT",
    "flat_name",
    "legend_of",
    "letters",
    "own_axes",
    "refuse_many",
    "remark_on_names",
    "weight_count",
]

MAX_FLAT = 24
"""Weights up to which a network is small: its equations can be written out, and have an appendix of closed forms."""


def weight_count(d: Readable) -> int:
    """How many numbers the parameters of a network have."""
    return sum(prod(d.network.shape(theta)) for theta in d.network.parameters)


def refuse_many(d: Readable) -> None:
    """SizeError where not every number of a derivation can have a name of its own."""
    if d.network.batch:
        raise SizeError(
            f"The paper's flat names are for one sample, and {d.network} trains on mini-batches: choose the indexed "
            "notation."
        )
    if weight_count(d) > MAX_FLAT:
        raise SizeError(
            f"The paper's flat names are for networks of at most {MAX_FLAT} weights, and {d.network} has "
            f"{weight_count(d)}: choose the indexed notation."
        )
    if not own_axes(d):
        raise SizeError("Some arrays run over more than the network's layers: choose the indexed notation.")


def own_axes(d: Readable) -> bool:
    """Whether every array runs over layers of the network, and not over something else."""
    axes = {axis for e in d.equations for array in (*e.operands, *_defined(e)) for axis in array.axes}
    return axes <= set(d.network.sizes)


def _defined(equation: Equation) -> tuple[Array, ...]:
    return arrays_in(equation.lhs)


def flat_name(d: Readable) -> Any:
    """(array, position) => its flat name in this network, in LaTeX and in plain text."""

    @cache
    def name(array: Array, position: tuple[int, ...]) -> Written:
        latex = flat_latex(d.network, array, position)
        plain = scalar_name(d.network, array, position)
        return Written(latex, letters(latex), plain, not latex.startswith(r"\tfrac"))

    return name


def letters(latex: str) -> float:
    r"""About how wide a name is: w_{5} 1.9, s^{(1)\prime}_{12} 4.0; what stands above and below shares the room."""
    if latex.startswith(r"\tfrac"):
        return 2.0
    base, _, lower = latex.partition("_{")
    base, _, upper = base.partition("^{")
    small = max(len(part.replace(r"\prime", "'").replace(r"\mathrm", "").strip("{}")) for part in (upper, lower))
    wide = 2.0 if r"\mathrm{d}" in base else 1.2 if base.startswith("\\") and "mathrm" not in base else len(base) + 0.2
    return min(wide, 40.0) + 0.7 * small


def remark_on_names(document: Shown) -> str:
    """How the flat names of a document are to be read, in a sentence."""
    network = document.lists[0].network
    matrices = [theta for theta in network.parameters if len(theta.axes) == 2]
    carried = sorted(
        {
            e.name
            for d in document.lists
            for e in d.equations
            if e.defines and e.array.layer is None and any(e.array.axes == theta.axes for theta in matrices)
        }
    )
    names = "The weights have names of their own" if network.names else "The weights are counted in row order"
    if not carried:
        return f"{names}."
    listed = ", ".join(f"`{symbol}`" for symbol in carried)
    return f"{names}; what there is one of per weight ({listed}) carries the weight's number."


def legend_of(network: Network) -> tuple[tuple[bool, str], ...]:
    """A = W^{(1)}, B = W^{(2)}: what the reader called A and B; of many names the first ones."""
    names = own_names(network)
    if not names:
        return ()
    parts: list[tuple[bool, str]] = [(False, "The weights have names of their own: ")]
    for own, what in names[:MAX_FLAT]:
        parts += [(True, f"{own} = {what}"), (False, ", ")]
    return (*parts[:-1], (False, "." if len(names) <= MAX_FLAT else ", and so on in row order."))
