"""A list of equations at given widths, over any field: exact numbers, polynomials, SymPy symbols.

One interpreter serves all of them, so that the closed form, the counterexample and the expanded proof are readings of
the same list. It is a few lines because the language is small.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

from fcsym.errors import UnsupportedExpression
from fcsym.language.equation import Branch, Cases, Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Total,
)

__all__ = ["Element", "Field", "Instance", "Plans", "positions"]

Element: TypeAlias = "tuple[Array, tuple[int, ...]]"
Binding: TypeAlias = "Mapping[Index, int]"
Plans: TypeAlias = "dict[tuple[Array, bool, tuple[int, ...]], Callable[[Instance], Any]]"
"""Right-hand sides whose indices are looked up already, for instances of the same equations at the same widths."""

_NOT_YET = object()
_NESTED = 8
"""How many elements may wait for one another before the innermost is put off: chains are as long as networks deep."""


def positions(array: Array, sizes: Mapping[Axis, int]) -> Iterable[tuple[int, ...]]:
    """Every position in an array, in row order, from 0."""
    return product(*(range(sizes[axis]) for axis in array.axes))


@dataclass(frozen=True, slots=True)
class Field:
    """The numbers that an instance computes with. They bring their own + - *; the rest is given here."""

    number: Callable[[Fraction], Any]
    divide: Callable[[Any, Any], Any]
    apply: Callable[[Apply, Element, Any], Any]  # an activation, the pre-activation it reads, and its value
    choose: Callable[[Cases, Element, Callable[[Expr], Any]], Any]  # what a case distinction is worth
    add: Callable[[list[Any]], Any] = sum
    mul: Callable[[list[Any]], Any] | None = None
    extreme: Mapping[str, Callable[[list[Any]], Any]] = dataclasses.field(
        default_factory=lambda: {"min": min, "max": max}
    )
    inverse: Callable[[list[list[Any]]], list[list[Any]] | None] | None = None  # None where there is none


class _PutOff(Exception):
    """An element is asked for too deep within others: it is computed first, and they again after it."""

    def __init__(self, element: Element) -> None:
        super().__init__(element)
        self.element = element


@dataclass(slots=True)
class Instance:
    """The values of every element, each computed when it is first asked for, in any depth without deep recursion."""

    equations: Mapping[Array, Equation]
    sizes: Mapping[Axis, int]
    leaf: Callable[[Array, tuple[int, ...]], Any]  # weights, inputs, targets and eta
    field: Field
    known: dict[Element, Any] = dataclasses.field(default_factory=dict)
    plans: Plans | None = None  # shared by many instances, each of which would look up the same indices
    inverses: dict[Array, list[list[Any]] | None] = dataclasses.field(default_factory=dict)
    _nested: int = 0

    def element(self, array: Array, position: tuple[int, ...]) -> Any:
        """The value of one element."""
        key = (array, position)
        value = self.known.get(key, _NOT_YET)
        if value is not _NOT_YET:
            return value
        if array not in self.equations:
            self.known[key] = self.leaf(array, position)
        elif self._nested >= _NESTED:
            raise _PutOff(key)
        elif self._nested:
            self.known[key] = self._within(key)
        else:
            self._compute(key)
        return self.known[key]

    def _within(self, key: Element) -> Any:
        """The value of an element, with those that it asks for one level further in."""
        self._nested += 1
        try:
            return self.right_side(self.equations[key[0]], key[1])
        finally:
            self._nested -= 1

    def _compute(self, wanted: Element) -> None:
        """Compute an element after everything that was put off for it."""
        waiting = [wanted]
        while waiting:
            try:
                self.known[waiting[-1]] = self._within(waiting[-1])
            except _PutOff as deeper:
                waiting.append(deeper.element)
            else:
                waiting.pop()

    def right_side(self, equation: Equation, position: tuple[int, ...]) -> Any:
        """The right-hand side of an equation at one position of its left-hand side."""
        assert isinstance(equation.lhs, Ref)
        if self.plans is not None:
            key = (equation.array, equation.defines, position)  # an array may have a statement beside its definition
            plan = self.plans.get(key)
            if plan is None:
                plan = self.plans[key] = _plan(equation, position, self.sizes)
            return plan(self)
        binding = dict(zip(equation.lhs.indices, position, strict=True))
        if isinstance(equation.rhs, Cases):
            where = (equation.array, position)
            return self.field.choose(equation.rhs, where, lambda node: self.value(node, binding))
        return self.value(equation.rhs, binding)

    def branch_at(self, equation: Equation, position: tuple[int, ...]) -> Branch | None:
        """The branch that holds at one position; None where a condition is about something without a value."""
        assert isinstance(equation.lhs, Ref) and isinstance(equation.rhs, Cases)
        binding = dict(zip(equation.lhs.indices, position, strict=True))
        for branch in equation.rhs:
            subjects = [self.value(condition.subject, binding) for condition in branch.when]
            if any(value is None for value in subjects):
                return None
            if all(c.holds(value) for c, value in zip(branch.when, subjects, strict=True)):
                return branch
        return None

    def branch(self, equation: Equation, branch: Branch, position: tuple[int, ...]) -> Any:
        """The value of one branch at one position, whether or not its conditions hold."""
        assert isinstance(equation.lhs, Ref) and branch.value is not None
        return self.value(branch.value, dict(zip(equation.lhs.indices, position, strict=True)))

    def value(self, node: Expr, binding: Binding) -> Any:
        """The value of an expression whose free indices are bound."""
        match node:
            case Number(value):
                return self.field.number(value)
            case Ref(array, indices):
                return self.element(array, tuple(binding[index] for index in indices))
            case Add(terms):
                return self.field.add([self.value(term, binding) for term in terms])
            case Indicator():
                return self.field.number(Fraction(node.at(binding)))
            case Mul(factors) if _absent(factors, binding):
                return self.field.number(Fraction(0))
            case Mul(factors):
                return self.product([self.value(factor, binding) for factor in factors])
            case Pow(base, exponent):
                value = self.value(base, binding)
                powered = self.product([value] * abs(exponent))
                return powered if exponent > 0 else self.field.divide(self.field.number(Fraction(1)), powered)
            case Total(over, body):
                ranges = [range(self.sizes[index.axis]) for index in over]
                return self.field.add(
                    [self.value(body, {**binding, **dict(zip(over, at, strict=True))}) for at in product(*ranges)]
                )
            case Extreme(kind, over, body):
                ranges = [range(self.sizes[index.axis]) for index in over]
                every = [self.value(body, {**binding, **dict(zip(over, at, strict=True))}) for at in product(*ranges)]
                return self.field.extreme[kind](every)
            case Apply(_, Ref(array, indices), _):
                source = array, tuple(binding[index] for index in indices)
                return self.field.apply(node, source, self.element(*source))
            case Inverse(Ref(array, indices)):
                return self.inverse(array, tuple(binding[index] for index in indices))
            case _:
                raise UnsupportedExpression(f"{node!r} cannot be evaluated.")

    def product(self, values: list[Any]) -> Any:
        """The product of some numbers of the field."""
        if self.field.mul is not None:
            return self.field.mul(values)
        result = values[0]
        for value in values[1:]:
            result = result * value
        return result

    def inverse(self, array: Array, position: tuple[int, ...]) -> Any:
        """An element of the inverse of a matrix, which is computed once; None where there is none."""
        if self.field.inverse is None:
            raise UnsupportedExpression(f"The inverse of {array.name} cannot be evaluated here.")
        if array not in self.inverses:
            rows, columns = (range(self.sizes[axis]) for axis in array.axes)
            self.inverses[array] = self.field.inverse([[self.element(array, (n, m)) for m in columns] for n in rows])
        found = self.inverses[array]
        return None if found is None else found[position[0]][position[1]]

    def fill(self) -> None:
        """Compute every element in the order of the list, so that no value waits for a long chain of others."""
        for array, equation in self.equations.items():
            for position in positions(equation.array, self.sizes):
                self.element(array, position)


def _absent(factors: Iterable[Expr], binding: Binding) -> bool:
    """Whether an indicator says that a product is 0, so that nothing else in it has to be known."""
    return any(isinstance(factor, Indicator) and not factor.at(binding) for factor in factors)


def _plan(equation: Equation, position: tuple[int, ...], sizes: Mapping[Axis, int]) -> Callable[[Instance], Any]:
    """The right-hand side at one position as a function of the instance."""
    assert isinstance(equation.lhs, Ref)
    binding = dict(zip(equation.lhs.indices, position, strict=True))
    if not isinstance(equation.rhs, Cases):
        return _planned(equation.rhs, binding, sizes)
    cases, where = equation.rhs, (equation.array, position)
    made: dict[int, Callable[[Instance], Any]] = {}

    def value(node: Expr, instance: Instance) -> Any:
        if id(node) not in made:  # a part of the cases, which live as long as the plan
            made[id(node)] = _planned(node, binding, sizes)
        return made[id(node)](instance)

    return lambda instance: instance.field.choose(cases, where, lambda node: value(node, instance))


def _planned(node: Expr, binding: Binding, sizes: Mapping[Axis, int]) -> Callable[[Instance], Any]:
    """`Instance.value` with the walk over the tree and the indices done once."""

    def every(over: tuple[Index, ...], body: Expr) -> list[Callable[[Instance], Any]]:
        ranges = [range(sizes[index.axis]) for index in over]
        bound = ({**binding, **dict(zip(over, at, strict=True))} for at in product(*ranges))
        return [_planned(body, inner, sizes) for inner in bound]

    match node:
        case Number(value):
            return lambda i: i.field.number(value)
        case Ref(array, indices):
            where = array, tuple(binding[index] for index in indices)

            def read(i: Instance) -> Any:
                value = i.known.get(where, _NOT_YET)
                return i.element(*where) if value is _NOT_YET else value

            return read
        case Add(terms):
            parts = [_planned(term, binding, sizes) for term in terms]
            return lambda i: i.field.add([part(i) for part in parts])
        case Indicator():
            return _planned(Number(Fraction(node.at(binding))), binding, sizes)
        case Mul(factors) if _absent(factors, binding):
            return lambda i: i.field.number(Fraction(0))
        case Mul(factors):
            parts = [_planned(factor, binding, sizes) for factor in factors]
            return lambda i: i.product([part(i) for part in parts])
        case Pow(base, exponent) if exponent > 0:
            inner = _planned(base, binding, sizes)
            return lambda i: i.product([inner(i)] * exponent)
        case Pow(base, exponent):
            inner = _planned(base, binding, sizes)
            return lambda i: i.field.divide(i.field.number(Fraction(1)), i.product([inner(i)] * abs(exponent)))
        case Total(over, body):
            parts = every(over, body)
            return lambda i: i.field.add([part(i) for part in parts])
        case Extreme(kind, over, body):
            parts = every(over, body)
            return lambda i: i.field.extreme[kind]([part(i) for part in parts])
        case Apply(_, Ref(array, indices), _):
            source = array, tuple(binding[index] for index in indices)
            return lambda i: i.field.apply(node, source, i.element(*source))
        case Inverse(Ref(array, indices)):
            at = tuple(binding[index] for index in indices)
            return lambda i: i.inverse(array, at)
        case _:
            raise UnsupportedExpression(f"{node!r} cannot be evaluated.")


def exact_field() -> Field:
    """Rational numbers: gates and cases are decided by the values."""

    def apply(node: Apply, _: Element, value: Fraction) -> Fraction:
        return node.activation.slope_at(value) if node.derivative else node.activation.value_at(value)

    return Field(number=lambda value: value, divide=lambda a, b: a / b, apply=apply, choose=first_that_holds)


def first_that_holds(cases: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
    """The value of the branch whose conditions hold; None where it is undefined."""
    for branch in cases:
        if all(condition.holds(value(condition.subject)) for condition in branch.when):
            return None if branch.value is None else value(branch.value)
    raise ArithmeticError(f"No case of {where[0].name} holds.")
