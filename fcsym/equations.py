"""What forward equations of one's own are written with, for `fcsym.Network.from_equations`.

Indices, arrays, sums, the greatest and the least, functions by name, and positions that are compared. Sums, products,
quotients and whole powers are Python's operators.
"""

from fcsym.language.expression import Axis, Index, greatest, indicator, least, total
from fcsym.networks.own import apply, hidden, indices, input_, parameter

__all__ = [
    "Axis", "Index", "apply", "greatest", "hidden", "indicator", "indices", "input_", "least", "parameter", "total",
]  # fmt: skip
