"""The step of a small network as its SymPy closed forms, lambdified to one NumPy function.

Every element of every quantity is one expression in the network's numbers; what occurs in several of them is computed
once, and never outside of its guard.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from inspect import getsource
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from sympy.codegen.cfunctions import log1p

from fcsym.closed.closed_form import instance, nested, operations
from fcsym.closed.sharing import cse
from fcsym.errors import CompileError, SizeError
from fcsym.language.activation import Activation
from fcsym.language.decision import decide
from fcsym.language.equation import Cases, Equation, Status
from fcsym.language.expression import Array, Ref
from fcsym.language.instance import Instance, positions
from fcsym.language.sympy_bridge import phi_at, symbol

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable

__all__ = ["MAX_OPERATIONS", "lambdified"]

MAX_OPERATIONS = 20_000
"""How many operations a step may have, every quantity counted once: a few seconds of SymPy."""


def lambdified(
    d: Readable, given: Sequence[Array], quantities: Mapping[str, Equation]
) -> tuple[str, Callable[..., tuple[Any, ...]]]:
    """Derivation => (source, step): `step` takes the arrays `given` and returns the quantities in their order.

    Where one of them may be undefined, the mask of the units without a value comes last. Leading axes broadcast.
    Raises SizeError where the step has more than MAX_OPERATIONS operations, or more layers than SymPy can nest.
    """
    if d.network.batch or not d.network.rule.is_plain:
        raise CompileError(
            f"The target lambdify is for the gradient step on one sample, and {d.network} trains otherwise: compile "
            "for numpy."
        )
    _refuse_too_large(d, quantities)
    try:
        return _written(d, given, quantities)
    except RecursionError:
        raise SizeError(f"The closed forms of a step of {d.network} are nested too deep: compile for numpy.") from None


def _written(
    d: Readable, given: Sequence[Array], quantities: Mapping[str, Equation]
) -> tuple[str, Callable[..., tuple[Any, ...]]]:
    forms = instance(d, name=_name, phi_at=_accurate)
    places = {array: list(positions(array, d.network.sizes)) for array in given}
    arguments = [symbol(_name(d, array, place)) for array, every in places.items() for place in every]
    values, shapes = [], []
    for equation in quantities.values():
        array = _defined(equation)
        values += [forms.right_side(equation, place) for place in positions(array, d.network.sizes)]
        shapes.append(d.network.shape(array))
    marked = next((e for e in quantities.values() if _undefined(e)), None)
    if marked is not None:
        units = [place for place in positions(_defined(marked), d.network.sizes) if not any(place[:-1])]
        values += [_mark(forms, marked, place) for place in units]
        shapes.append((len(units),))
    own = {"erf": np.vectorize(math.erf, otypes=[float]), "erfc": np.vectorize(math.erfc, otypes=[float])}
    shared = cse([sympy.sympify(v, strict=True) for v in values])  # SymPy walks what it is given as if written out
    function = sympy.lambdify(arguments, shared[1], [own, "numpy"], cse=lambda _: shared)

    def step(*arrays: Any) -> tuple[Any, ...]:
        pairs = zip(arrays, places.values(), strict=True)
        found = iter(function(*(array[(..., *place)] for array, every in pairs for place in every)))
        result = []
        for shape in shapes:
            elements = np.broadcast_arrays(*(next(found) for _ in range(prod(shape))))
            together = np.stack(elements, axis=-1)
            result.append(together.reshape(together.shape[:-1] + shape).astype(arrays[0].dtype))
        if marked is not None:
            result[-1] = result[-1] != 0
        return tuple(result)

    return getsource(function), step


def _name(_: Readable, array: Array, place: tuple[int, ...]) -> str:
    """What an argument is called in the source: W1_1_2, whatever the reader calls it, which might be `where`."""
    return "_".join([array.name, *(str(n + 1) for n in place)])


def _defined(equation: Equation) -> Array:
    """The array whose elements the right-hand side gives."""
    assert isinstance(equation.lhs, Ref)
    return equation.lhs.array


def _undefined(equation: Equation) -> bool:
    return isinstance(equation.rhs, Cases) and any(branch.status is not Status.VALUE for branch in equation.rhs)


def _mark(forms: Instance, equation: Equation, place: tuple[int, ...]) -> Any:
    """1 where the element has no value, 0 elsewhere."""
    assert isinstance(equation.rhs, Cases) and isinstance(equation.lhs, Ref)
    binding = dict(zip(equation.lhs.indices, place, strict=True))
    return nested(
        decide(equation.rhs.branches),
        lambda branch: sympy.Integer(branch.status is Status.UNDEFINED),
        lambda node: forms.value(node, binding),
    )


def _accurate(phi: Activation, s: Any) -> Any:
    """phi(s) in a form that keeps its digits and its range where the plain one does not."""
    match phi.name if phi.is_smooth else "":
        case "softplus":
            return sympy.Max(s, 0) + log1p(sympy.exp(-sympy.Abs(s)))
        case "gelu":
            return s * sympy.erfc(-s / sympy.sqrt(2)) / 2
    return phi_at(phi, s)


def _refuse_too_large(d: Readable, quantities: Mapping[str, Equation]) -> None:
    known = frozenset(e.array for e in d.equations if e.defines)
    size = sum(prod(d.network.shape(_defined(e))) * (1 + operations(d, e, known)) for e in quantities.values())
    if size > MAX_OPERATIONS:
        raise SizeError(
            f"The closed forms of a step of {d.network} have about {size:.2g} operations, more than {MAX_OPERATIONS}: "
            "compile for numpy, which takes any width."
        )
