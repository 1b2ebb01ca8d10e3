"""What an equation is, by its form: asked by those who can say more of some forms than of others."""

from __future__ import annotations

from fcsym.language.equation import Equation
from fcsym.language.expression import Add, Array, Expr, Index, Mul, Ref, Role, Total

__all__ = ["is_dense"]


def is_dense(equation: Equation) -> bool:
    """Whether it is s_i = sum_j W_ij v_j (+ b_i), for one sample or for each of a mini-batch; b may be one number."""
    if not isinstance(equation.rhs, Expr) or not isinstance(equation.lhs, Ref):
        return False
    *samples, own = equation.lhs.indices or (None,)
    if own is None or not all(index.axis.open for index in samples):
        return False
    terms = equation.rhs.terms if isinstance(equation.rhs, Add) else (equation.rhs,)
    shifts = [term for term in terms if _is_parameter(term, ((), (own,)))]
    products = [term for term in terms if term not in shifts]
    return len(products) == 1 and len(shifts) <= 1 and _is_product(products[0], tuple(samples), own)


def _is_parameter(node: Expr, allowed: tuple[tuple[Index, ...], ...]) -> bool:
    return isinstance(node, Ref) and node.array.role is Role.PARAMETER and node.indices in allowed


def _is_product(node: Expr, samples: tuple[Index, ...], own: Index) -> bool:
    match node:
        case Total((j,), Mul((Ref() as one, Ref() as other))):
            matrix, read = (one, other) if one.array.role is Role.PARAMETER else (other, one)
            return _is_parameter(matrix, ((own, j),)) and read.indices == (*samples, j) and _moves(read.array)
    return False


def _moves(array: Array) -> bool:
    return array.role is not Role.PARAMETER
