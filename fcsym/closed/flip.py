"""When does a unit flip: the step sizes for which an active unit is dead after one step, in closed form.

    simultaneous:  s' = s - eta b              dead where eta >= s / b, if b > 0; never otherwise
    sequential:    s' = s - eta b + eta^2 c    dead between the two roots, if b > 0 and b^2 >= 4 s c

The coefficients are read off the derivation's s' as a polynomial in eta; z3 proves that the interval is exactly where
s' <= 0. It is for the first hidden layer of ReLU networks: in sequential order with one hidden layer, in simultaneous
order with any number. In deeper layers s' has a higher degree in eta, and its roots have no closed form in general.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from fcsym.deriving.readable import Readable
from fcsym.language.sympy_bridge import symbol

__all__ = ["Flip", "flips"]


@dataclass(frozen=True, slots=True)
class Flip:
    """The interval of eta in which a unit that is active before the step is dead after it."""

    unit: int
    lower: sympy.Expr | None  # None: there is no closed form, and `reason` says why
    upper: sympy.Expr | None  # oo where the interval has no upper end
    when: tuple[sympy.Basic, ...]  # otherwise the interval is empty
    proved: bool
    reason: str = ""

    def __str__(self) -> str:
        if self.lower is None:
            return self.reason
        end = f"{self.lower} <= eta" + ("" if self.upper == sympy.oo else f" <= {self.upper}")
        said = "proved by z3" if self.proved else "not proved"
        when = " and ".join(map(str, self.when))
        norm = "a0 is the squared norm of the input, plus 1 where each unit has a trained bias"
        return f"unit {self.unit}, active before: dead after for {end}, if {when} ({said}); {norm}"

    def as_dict(self) -> dict[str, Any]:
        """For the JSON document."""
        if self.lower is None:
            return {
                "unit": self.unit,
                "lower": None,
                "upper": None,
                "when": None,
                "proved": False,
                "reason": self.reason,
            }
        upper = None if self.upper == sympy.oo else str(self.upper)
        return {
            "unit": self.unit, "lower": str(self.lower), "upper": upper, "when": [str(c) for c in self.when],
            "proved": self.proved, "reason": self.reason,
        }  # fmt: skip


def flips(d: Readable, unit: int, layer: int | None = None) -> Flip:
    """Readable => when that unit of the layer, the last hidden one unless given, flips from active to dead."""
    depth = len(d.network.layers)
    layer = depth - 1 if layer is None else layer

    def none(reason: str) -> Flip:
        return Flip(unit, None, None, (), False, f"no closed form: {reason}")

    if d.network.built is not None:
        return none("intervals of eta are for stacks of dense layers.")
    if not 1 <= layer < depth:
        return none("there is no such hidden layer.")
    if not d.network.rule.is_plain:
        return none("intervals of eta are for the gradient step.")
    if any(layer.activation.name != "relu" for layer in d.network.layers[:-1]):
        return none("intervals of eta are for ReLU units.")
    if layer != 1 or (d.order == "sequential" and depth > 2):
        return none(f"in {d.order} order s' of layer {layer} of {depth} is a polynomial of higher degree in eta.")
    # what a unit of the first layer feels: its own s, |x|^2 and the error that arrives through the weights above
    eta, s = symbol("eta"), symbol(f"s_{unit}" if depth == 2 else f"s1_{unit}")
    kept = tuple(name for name in ("a0", "s1", *(f"delta{n}" for n in range(2, depth + 1))) if name in d.by_name)
    after = d.expr("s1_new", unit, layer=None, case="active -> active", keep=kept)
    polynomial = sympy.Poly(sympy.expand(after), eta)
    start, slope, bend = (polynomial.coeff_monomial(eta**n) for n in range(3))
    if polynomial.degree() > 2 or sympy.expand(start - s) != 0:
        return none("s' is no quadratic in eta.")
    if slope == 0:
        return none("nothing that the unit is made of is trained.")
    b, c = sympy.factor(-slope), sympy.factor(bend)
    if polynomial.degree() < 2:
        return Flip(unit, s / b, sympy.oo, (b > 0,), _proved(False))
    root = sympy.sqrt(b**2 - 4 * s * c)
    return Flip(
        unit,
        (b - root) / (2 * c),
        (b + root) / (2 * c),
        (b > 0, sympy.Ge(b**2, 4 * s * c, evaluate=False)),
        _proved(True),
    )


def _proved(quadratic: bool) -> bool:
    """The interval is where s - eta b + eta^2 c <= 0, for s, eta, c > 0 and any b: by z3, in both directions."""
    import z3

    from fcsym.language.smt import check

    s, b, c, eta, root = z3.Reals("s b c eta root")
    given = [s > 0, eta > 0]
    if quadratic:
        given += [c > 0]
        real = z3.And(b > 0, b * b >= 4 * s * c)
        given.append(z3.Implies(real, z3.And(root >= 0, root * root == b * b - 4 * s * c)))
        inside = z3.And(real, b - root <= 2 * c * eta, 2 * c * eta <= b + root)
        after = s - eta * b + eta * eta * c
    else:
        inside = z3.And(b > 0, s <= eta * b)
        after = s - eta * b
    for claim in (z3.And(inside, after > 0), z3.And(z3.Not(inside), after <= 0)):
        solver = z3.Solver()
        solver.set("rlimit", 5_000_000)
        solver.add(*given, claim)
        if check(solver) != z3.unsat:
            return False
    return True
