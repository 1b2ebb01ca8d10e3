"""The neutral form: what every target prints, and the only thing it has to understand.

A module has functions; a function has statements in order, each of which defines every element of one array:

    Define(s1, (i,), Sum(+ Reduce((j,), W1[i, j] * x[j]), + b1[i]))       for all i: s1[i] = sum_j W1[i, j] x[j] + b1[i]
    Define(v1, (i,), Select(s1[i] > 0, s1[i], 0))                         one branch, never both combined
    Define(r_ratio, (j,), Guarded(v2_new[j], vc[j], ((vc[j] != 0,),)))    a quotient that is 0 where its guard fails
    Mark((j,), ((vc[j] = 0, v2_new[j] != 0),))                            these elements are undefined

The meaning is exact down to the rounding: sums and products associate from the left, a `Reduce` adds its terms in row
order starting with the first (with 0 over a range that may be empty), an `Extreme` goes through them in that order and
takes a later one only where it is beyond the one it has, `Power` multiplies from the left, and nothing is
contracted. An `Indicator`, the one of the language, is 1 or 0 by positions alone; terms that it makes 0 may be left
out, which makes no difference among finite numbers, and those that are left may be added in another order. Two targets
that keep to this agree in every bit; where there are indicators or a matrix product is called, they agree to rounding.

Not supported, and refused where a derivation is lowered: activations of anything but an array element, one element with
the same index twice, quotients that no case guards (but for a squared norm plus 1), conditions between two unknowns,
powers that are not whole, and loops that carry a value from one element to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

from fcsym.language.expression import Array, Axis, Index, Indicator, Role
from fcsym.language.formulas import CALLS
from fcsym.networks.symbols import SAMPLES, SIZE, STORED

__all__ = [
    "CALLS",
    "Array",
    "Call",
    "Change",
    "Const",
    "Define",
    "Extreme",
    "Function",
    "Guard",
    "Guarded",
    "Indicator",
    "Inverse",
    "Load",
    "Mark",
    "Module",
    "Node",
    "Power",
    "Product",
    "Quotient",
    "Reduce",
    "Select",
    "Statement",
    "Sum",
    "Test",
    "Undefined",
    "Values",
    "flat",
    "loads",
    "operations",
    "parts",
    "rebuilt",
    "shape",
    "without_indicators",
]


@dataclass(frozen=True, slots=True)
class Const:
    """A number; targets round it to the precision they compute in."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Undefined:
    """No number: not-a-number where a target has it."""


@dataclass(frozen=True, slots=True)
class Load:
    """One element of an array."""

    name: str
    indices: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms with their signs, added from the left."""

    terms: tuple[tuple[int, Node], ...]  # (1 or -1, term)


@dataclass(frozen=True, slots=True)
class Product:
    """Factors multiplied from the left."""

    factors: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """base * base * ...; the exponent is at least 2."""

    base: Node
    exponent: int


@dataclass(frozen=True, slots=True)
class Quotient:
    """above / below, where below is never 0."""

    above: Node
    below: Node


@dataclass(frozen=True, slots=True)
class Reduce:
    """The sum of body over all values of the indices."""

    over: tuple[Index, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Extreme:
    """The least ("min") or the greatest ("max") value of the terms over all values of the indices.

    With indices there is one term; without, as many as the program has when nothing is left to loop over.
    """

    kind: str
    over: tuple[Index, ...]
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Inverse:
    """An element of the inverse of a symmetric matrix, at the same place; not-a-number where its rows are dependent."""

    name: str
    indices: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """left relation bound."""

    __test__ = False  # pytest: this is no test class

    left: Node
    relation: str  # > <= == !=
    bound: Fraction


@dataclass(frozen=True, slots=True)
class Select:
    """`then` where the test holds, `otherwise` elsewhere."""

    test: Test
    then: Node
    otherwise: Node


Guard: TypeAlias = "tuple[tuple[Test, ...], ...]"
"""Any of these, each of which is all of its tests."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """above / below where the guard holds, 0 elsewhere; nothing is divided there."""

    above: Node
    below: Node
    guard: Guard


@dataclass(frozen=True, slots=True)
class Call:
    """A function of one number, by its name in CALLS: smooth where it has a value, but for Abs."""

    function: str
    argument: Node


Node: TypeAlias = (
    "Const | Undefined | Load | Indicator | Sum | Product | Power | Quotient | Reduce | Extreme | Inverse | Select | "
    "Guarded | Call"
)


@dataclass(frozen=True, slots=True)
class Define:
    """name[indices] = value, for all values of the indices."""

    name: str
    indices: tuple[Index, ...]
    value: Node


@dataclass(frozen=True, slots=True)
class Mark:
    """Elements at which the result is undefined."""

    indices: tuple[Index, ...]
    guard: Guard


Statement: TypeAlias = "Define | Mark"

Values: TypeAlias = "tuple[Fraction, ...] | tuple[tuple[Fraction, ...], ...]"
"""The numbers of a fixed vector or matrix."""


@dataclass(frozen=True)
class Function:
    """name(given) -> results, and a mask of undefined elements where `marks` says so."""

    name: str
    title: str  # one sentence
    equations: tuple[str, ...]  # what is computed, for readers; one line or several each
    given: tuple[Array, ...]
    statements: tuple[Statement, ...]
    results: tuple[Array, ...]
    marks: bool
    lengths: Mapping[Axis, str] = field(default_factory=dict)  # axes that are shorter when it runs: what says how long

    @cached_property  # asked for at every statement
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        """The axes of every array that occurs, in order of first occurrence."""
        found = {array.name: array.axes for array in self.given}
        for statement in self.statements:
            if isinstance(statement, Define):
                found.setdefault(statement.name, tuple(index.axis for index in statement.indices))
        for array in self.results:
            found.setdefault(array.name, array.axes)
        return found

    @property
    def every_axis(self) -> tuple[Axis, ...]:
        """The axes of its arrays, then those that only a sum runs over: the taps of a pooling belong to no array."""
        arrays = (axis for axes in self.axes.values() for axis in axes)
        values = (statement.value for statement in self.statements if isinstance(statement, Define))
        return tuple(dict.fromkeys((*arrays, *(index.axis for value in values for index in _bound(value)))))


@dataclass(frozen=True, slots=True)
class Module:
    """A scheme's functions, and what they share."""

    title: str  # "states of 2-2-1, sequential order"
    scheme: str
    order: str
    network: str
    functions: tuple[Function, ...]  # init, step, output, expand
    state: tuple[Array, ...]
    weights: tuple[Array, ...]
    constants: Mapping[str, Values]
    sizes: Mapping[Axis, int]  # without those that are known only when the program runs
    single_input: bool
    first_bias: bool  # |x|^2 + 1 in place of |x|^2
    assumptions: tuple[str, ...]
    digest: str  # of the equations and the network
    refusal: str = ""  # one sentence: what is wrong where something is undefined, and what to do
    refused: str = ""  # the same in few words

    def __getitem__(self, name: str) -> Function:
        """The function of that name."""
        return next(function for function in self.functions if function.name == name)

    def one(self, role: Role) -> tuple[int, ...]:
        """The lengths of the axes of one input, or of one target, without samples."""
        array = next(a for function in self.functions for a in function.given if a.role is role)
        return tuple(self.sizes[axis] for axis in array.axes if not axis.open)

    @property
    def stored(self) -> bool:
        """Whether the state grows with the number of distinct inputs."""
        return any(axis == STORED for array in self.state for axis in array.axes)

    @property
    def measured(self) -> bool:
        """Whether the state has the size and the norm of its one input, which it divides by."""
        return SIZE in self.state

    @property
    def samples(self) -> bool:
        """Whether a step is given a mini-batch, of as many samples as there are."""
        return any(axis == SAMPLES for array in self["step"].given for axis in array.axes)

    @property
    def marks(self) -> bool:
        """Whether a step can be undefined."""
        return self["step"].marks


def parts(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node."""
    match node:
        case Sum(terms):
            return tuple(term for _, term in terms)
        case Product(factors):
            return factors
        case Power(base, _):
            return (base,)
        case Quotient(above, below):
            return above, below
        case Reduce(_, body):
            return (body,)
        case Extreme(_, _, terms):
            return terms
        case Select(test, then, otherwise):
            return test.left, then, otherwise
        case Guarded(above, below, guard):
            return above, below, *(test.left for row in guard for test in row)
        case Call(_, argument):
            return (argument,)
        case _:
            return ()


Change: TypeAlias = "Callable[[Node], Node]"


def without_indicators(node: Node) -> tuple[tuple[Indicator, ...], Node]:
    """D1 D2 a b => (D1, D2), a b: the indicators among the factors, and the rest."""
    factors = node.factors if isinstance(node, Product) else (node,)
    found = tuple(f for f in factors if isinstance(f, Indicator))
    rest = tuple(f for f in factors if not isinstance(f, Indicator))
    if not found:
        return (), node
    return found, Const(Fraction(1)) if not rest else rest[0] if len(rest) == 1 else Product(rest)


def rebuilt(node: Node, change: Change) -> Node:
    """The node with every direct part changed."""
    match node:
        case Sum(terms):
            return Sum(tuple((sign, change(term)) for sign, term in terms))
        case Product(factors):
            return Product(tuple(change(factor) for factor in factors))
        case Power(base, exponent):
            return Power(change(base), exponent)
        case Quotient(above, below):
            return Quotient(change(above), change(below))
        case Reduce(over, body):
            return Reduce(over, change(body))
        case Extreme(kind, over, terms):
            return Extreme(kind, over, tuple(change(term) for term in terms))
        case Select(test, then, otherwise):
            return Select(replace(test, left=change(test.left)), change(then), change(otherwise))
        case Guarded(above, below, guard):
            rows = tuple(tuple(replace(test, left=change(test.left)) for test in row) for row in guard)
            return Guarded(change(above), change(below), rows)
        case Call(function, argument):
            return Call(function, change(argument))
        case _:
            return node


def _bound(node: Node) -> Iterator[Index]:
    """The indices that sums and extremes run over."""
    if isinstance(node, Reduce | Extreme):
        yield from node.over
    for part in parts(node):
        yield from _bound(part)


def loads(node: Node | Statement) -> Iterator[Load]:
    """Every element that is read, from left to right, repeated ones too."""
    match node:
        case Load():
            yield node
        case Inverse(name, indices):
            yield Load(name, indices)
        case Define(_, _, value):
            yield from loads(value)
        case Mark(_, guard):
            for row in guard:
                for test in row:
                    yield from loads(test.left)
        case _:
            for part in parts(node):
                yield from loads(part)


def flat(values: Values) -> list[Fraction]:
    """The numbers of a fixed array, in row order."""
    return [number for row in values for number in (row if isinstance(row, tuple) else (row,))]


def shape(axes: tuple[Axis, ...], sizes: Mapping[Axis, int]) -> tuple[int, ...]:
    """The lengths of the axes."""
    return tuple(sizes[axis] for axis in axes)


def operations(function: Function, sizes: Mapping[Axis, int]) -> int:
    """How many operations on single numbers a function does; a stored range counts once."""

    def within(node: Node) -> int:
        own = {Sum: len(parts(node)) - 1, Product: len(parts(node)) - 1}.get(type(node), 1)
        if isinstance(node, Load | Const | Undefined | Indicator):
            own = 0
        inner = sum(within(part) for part in parts(node))
        if isinstance(node, Reduce):
            count = _count(node.over, sizes)
            return count * inner + count - 1
        if isinstance(node, Extreme):
            return max(1, _count(node.over, sizes)) * (inner + len(node.terms)) - 1
        return own + inner

    total = 0
    for statement in function.statements:
        cost = within(statement.value) if isinstance(statement, Define) else 1
        total += cost * _count(statement.indices, sizes)
    return total


def _count(indices: tuple[Index, ...], sizes: Mapping[Axis, int]) -> int:
    count = 1
    for index in indices:
        count *= sizes.get(index.axis, 1)
    return count
