"""Closed forms of a small network, element by element, in weights and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any

from fcsym.errors import FcsymError, SizeError
from fcsym.language.equation import Branch, Cases, Equation, Rule, Verdict
from fcsym.language.expression import Apply, Array, Expr, Mul, Number, Pow, Written, add, mul, number, power
from fcsym.networks.names import scalar_name
from fcsym.render.flat_names import MAX_FLAT, flat_name, own_axes, weight_count
from fcsym.render.parts import ClosedForm

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable, Shown
    from fcsym.language.findings import Finding

__all__ = ["arrays_of", "closed_forms", "element"]

_MAX_OPERATIONS = 160  # operations of a closed form that still can be read


def arrays_of(document: Shown) -> dict[str, Array]:
    """Every array that a document names, by its name: of the equations, the signatures and the network."""
    equations = [*document.invariants, *(e for d in document.lists for e in d.equations)]
    found = {array.name: array for e in equations for array in e.operands}
    found |= {e.name: e.array for e in equations if e.defines}
    found |= {array.name: array for d in document.lists for arrays in d.signature for array in arrays}
    network = document.lists[0].network
    return found | {a.name: a for theta in (*network.parameters, *network.memory) for a in (theta, theta.primed)}


_SHOWN = (Rule.UPDATE, Rule.CHOICE, Rule.INTEGRAL)


class _Unreadable(Exception):
    """A closed form contains a Piecewise."""


def closed_forms(
    d: Readable, numbers: Mapping[str, int], wanted: str | None
) -> tuple[tuple[Array, ...], tuple[ClosedForm, ...]]:
    """What a step is made for in weights and inputs, for a network that is small enough, and what stays a symbol there.

    The activations stay symbols, and so do their slopes where a Piecewise would be left otherwise: what they stand for
    is a case distinction of its own, and tables of different units are never multiplied together.
    """
    if weight_count(d) > MAX_FLAT // 2 or not own_axes(d):
        return (), ()
    activated = {e.name: e.rhs.derivative for e in d.equations if e.defines and isinstance(e.rhs, Apply)}
    values = tuple(name for name, derivative in activated.items() if not derivative)
    names = _scalar_names(d)
    kept: set[str] = set()
    result: list[ClosedForm] = []
    for equation in d.equations:
        wants = equation.rule in _SHOWN if wanted is None else equation.name == wanted
        if not wants or not equation.defines or equation.name in activated or len(equation.array.axes) > 2:
            continue
        for keep in dict.fromkeys((values, tuple(activated))):
            try:
                result += _elements(d, equation, keep, numbers[equation.name], names)
            except _Unreadable:
                continue  # with more symbols it may do
            except FcsymError:  # too large, or over axes that closed forms do not know
                break
            kept |= set(keep)
            break
    return tuple(d.by_name[name].array for name in activated if name in kept), tuple(result)


def _scalar_names(d: Readable) -> dict[str, Written]:
    """The ASCII names that closed forms use => how they are written, in the order that factors have."""
    flat = flat_name(d)
    known = arrays_of(d)
    first = [array for name, array in known.items() if not array.axes]
    return {
        scalar_name(d.network, array, position): flat(array, position)
        for array in (*first, *d.network.parameters, *known.values())
        if set(array.axes) <= set(d.network.sizes)
        for position in product(*(range(length) for length in d.network.shape(array)))
    }


def _elements(
    d: Readable, equation: Equation, keep: tuple[str, ...], place: int, names: Mapping[str, Written]
) -> list[ClosedForm]:
    """Every element, and every case of it that can occur and has a value other than 0."""
    findings = {(f.equation, f.case): f for f in d.proof.findings}
    shape = d.network.shape(equation.array)
    settings: dict[str, Any] = {"keep": keep, "max_operations": _MAX_OPERATIONS}
    result = []
    for position in product(*(range(length) for length in shape)):
        at = dict(zip(("output", "unit")[2 - len(shape) :], (n + 1 for n in position), strict=True)) | settings
        lhs = names[scalar_name(d.network, equation.array, position)]
        labels = [""]
        if isinstance(equation.rhs, Cases):
            labels = [b.name for b in equation.rhs if b.value is not None and _occurs(findings, equation, b)]
        for label in labels:
            value = d.expr(equation.name, case=label or None, **at)
            if label and value == 0:
                continue
            written = Equation(lhs, _from_sympy(value, names), equation.rule, equation.because)
            result.append(ClosedForm(place, written, label, _verdict(findings, equation.name, label or None)))
    return result


def element(
    d: Readable, name: str, unit: int, output: int = 1, *, case: str | None = None, keep: tuple[str, ...] = ()
) -> Equation | None:
    """The closed form of one element, written out as documents have it; None where it would be too long to read.

    Arguments as for `Derivation.expr`.
    """
    equation = d.by_name[d.resolve(name)]
    shape = d.network.shape(equation.array)
    place = {"unit": unit} | ({"output": output} if len(shape) == 2 else {})
    names = _scalar_names(d)
    position = (output - 1, unit - 1)[2 - len(shape) :]
    lhs = names[scalar_name(d.network, equation.array, position)]
    for kept in (keep, tuple(dict.fromkeys((*keep, *(e.name for e in d if e.defines and isinstance(e.rhs, Apply)))))):
        try:
            value = d.expr(equation.name, **place, case=case, keep=kept)
            if value.count_ops() > _MAX_OPERATIONS:
                continue
            return Equation(lhs, _from_sympy(value, names), equation.rule, equation.because)
        except (_Unreadable, SizeError):
            continue
    return None


def _occurs(findings: Mapping[tuple[str, str | None], Finding], equation: Equation, branch: Branch) -> bool:
    finding = findings.get((equation.name, branch.name))
    return finding is None or finding.possible


def _verdict(findings: Mapping[tuple[str, str | None], Finding], name: str, case: str | None) -> Verdict:
    """The verdict on a case; what was not examined is undecided."""
    finding = findings.get((name, case))
    return Verdict.UNDECIDED if finding is None else finding.verdict


def _from_sympy(value: Any, names: Mapping[str, Written]) -> Expr:
    """A SymPy expression as one of ours, for the printer, its terms and factors in SymPy's printing order."""
    if value.is_Rational:
        return number(Fraction(int(value.p), int(value.q)))
    if value.is_Symbol:
        return names[value.name]
    if value.is_Add:
        terms = [_from_sympy(term, names) for term in value.as_ordered_terms()]
        return add(*sorted(terms, key=_is_negative))  # a sum that begins with a minus is harder to read
    if value.is_Mul:
        order: dict[Expr, int] = {name: n for n, name in enumerate(names.values())}
        factors = [_from_sympy(factor, names) for factor in value.as_ordered_factors()]
        return mul(*sorted(factors, key=lambda f: order.get(_base(f), len(order)) if not isinstance(f, Number) else -1))
    if value.is_Pow and value.exp.is_Integer:
        return power(_from_sympy(value.base, names), int(value.exp))
    raise _Unreadable


def _base(node: Expr) -> Expr:
    return node.base if isinstance(node, Pow) else node


def _is_negative(node: Expr) -> bool:
    first = node.factors[0] if isinstance(node, Mul) else node
    return isinstance(first, Number) and first.value < 0
