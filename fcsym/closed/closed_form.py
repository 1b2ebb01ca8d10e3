"""Closed forms: one element of the derivation, instantiated at the network's widths, in SymPy.

Every pre-activation, gate and activation is built once and shared; nothing is expanded, and no `Piecewise` is ever
asked to rearrange itself, since that takes minutes where construction takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import factorial, prod
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy

from fcsym.errors import ArgumentError, SizeError, UnsupportedExpression, shown
from fcsym.language.activation import Activation
from fcsym.language.decision import Tree, decide
from fcsym.language.equation import Branch, Case, Cases, Condition, Equation
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Expr,
    Extreme,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
)
from fcsym.language.instance import Element, Field, Instance
from fcsym.language.names_of_cases import branch_name
from fcsym.language.piecewise import Piecewise
from fcsym.language.sympy_bridge import number_of, phi_at, relation, slope_at, symbol
from fcsym.networks.names import scalar_name
from fcsym.networks.symbols import effective, increment_of, p_of

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable

__all__ = [
    "MAX_OPERATIONS",
    "cases",
    "expr",
    "instance",
    "nested",
    "operations",
    "paper_symbols",
    "symbol_name",
]

MAX_OPERATIONS = 20_000_000
"""How many operations a closed form may have when it is written out. As an object it is far smaller, since equal
parts are shared; but SymPy walks it as if it were written out."""


Place: TypeAlias = "int | Sequence[int]"


def expr(
    d: Readable, name: str, unit: Place | None = None, *, output: int | None = None, row: int | None = None,
    column: int | None = None, layer: int | None = None, case: str | None = None, keep: tuple[str, ...] = (),
    max_operations: int | None = None, at: Place | None = None,
) -> sympy.Expr:  # fmt: skip
    """The closed form of one element of `name`.

    `row` and `column` of a matrix count from 1, as those of W1; `row` alone is the place in what has one axis. For what
    there is one of per hidden unit, `unit` is the unit, and the output for y. In p and in the weights of the output
    layer it is the column, with `output` as the row; of other matrices their rows are units as well, and which of the
    two is meant has to be said. A unit of a layer that has positions is as many numbers, unit=(channel, row, column).
    What is not given is 1. `at`: the element instead, each of its numbers from 1. `case`: the unit's case, such as
    "active -> active"; without it, the result is a `Piecewise` over all cases. `keep`: names that stay symbols instead
    of being replaced by what they stand for.

    Symbols are real SymPy symbols, `sympy.Symbol("eta", real=True)`: w_1 .. w_6, x_1, x_2, y_g and eta for 2-2-1 (the
    paper's names), W1_1_2 (layer, row, column) for other networks. Where no value exists, the result is `nan`.
    Raises ArgumentError for a name, unit or case that is not there, and SizeError when the written form would have more
    than `max_operations` operations.

    >>> import fcsym
    >>> expr(fcsym.derive(fcsym.Network.parse("2-2-1")), "y", keep=("v1",))
    v_1*w_5 + v_2*w_6
    """
    _refuse_batches(d)
    equation = d.by_name[d.resolve(name, layer)]
    position = _position(d, equation, unit, output, row, column, at)
    kept = _kept(d, keep)
    chosen = None if case is None else _find(d, equation, case)
    _refuse_too_large(d, equation, kept, max_operations)
    if chosen is not None and chosen.value is None:
        return sympy.nan
    if not isinstance(equation.rhs, Cases):
        value = instance(d, kept, _specialisation(d, equation, position, chosen)).right_side(equation, position)
    elif chosen is not None:
        value = _branch_value(d, equation, position, kept, chosen)
    else:
        assert isinstance(equation.lhs, Ref)
        binding = dict(zip(equation.lhs.indices, position, strict=True))
        plain = instance(d, kept, None)
        value = nested(
            decide(equation.rhs.branches),
            lambda branch: _branch_value(d, equation, position, kept, branch),
            lambda node: plain.value(node, binding),
        )
    return sympy.sympify(value, strict=True)  # strict: numbers only, never text


def _branch_value(
    d: Readable, equation: Equation, position: tuple[int, ...], kept: frozenset[Array], branch: Branch
) -> Any:
    """The value of one case, where the unit is known to be on that case's pieces: v is s there, and not a Piecewise."""
    if branch.value is None:
        return sympy.nan
    return instance(d, kept, _specialisation(d, equation, position, branch)).branch(equation, branch, position)


def _refuse_batches(d: Readable) -> None:
    """ArgumentError for mini-batches: a closed form is that of one sample."""
    if d.network.batch:
        raise ArgumentError(
            f"Closed forms are those of one sample, and {d.network} trains on mini-batches: derive it without a batch, "
            "or read the equations in indices, d.sympy(name)."
        )


def cases(
    d: Readable, name: str, unit: Place | None = None, *, output: int | None = None, row: int | None = None,
    column: int | None = None, layer: int | None = None, keep: tuple[str, ...] = (), max_operations: int | None = None,
    at: Place | None = None,
) -> list[Case]:  # fmt: skip
    """The case table of one unit: for each case its conditions, its value and the verdict on it.

    Arguments and errors are those of `expr`. r = w' + p has the cases of p, and so on. A case that cannot occur has
    `possible` False, and its note says why.
    """
    _refuse_batches(d)
    equation = d.by_name[d.resolve(name, layer)]
    position = _position(d, equation, unit, output, row, column, at)
    kept = _kept(d, keep)
    _refuse_too_large(d, equation, kept, max_operations)
    source = _told_by(d, equation)
    if source is None:
        place = tuple(n + 1 for n in position)
        value = expr(d, name, layer=layer, keep=keep, max_operations=max_operations, at=place)
        finding = d.proof.verdict(equation.name)
        return [Case("always", (), value, finding.verdict, finding.note)]
    result = []
    plain = instance(d, kept, None)
    assert isinstance(source.rhs, Cases) and isinstance(source.lhs, Ref)
    binding = dict(zip(source.lhs.indices, position, strict=True))
    for branch in source.rhs:
        when = tuple(relation(c, plain.value(c.subject, binding)) for c in branch.when)
        value = None if branch.value is None else _branch_value(d, source, position, kept, branch)
        if source is not equation and value is not None:
            value = _with_the_value(d, equation, source, position, kept, branch, value)
        finding = d.proof.case(source.name, branch.name)
        result.append(
            Case(
                branch.name, when, value, finding.verdict, finding.note, branch.status, finding.possible,
                " and ".join(_written(d, condition, binding) for condition in branch.when),
            )
        )  # fmt: skip
    return result


def _told_by(d: Readable, equation: Equation) -> Equation | None:
    """The equation whose rows are those of a quantity: itself, or of r = w' + p, say, that of p."""
    if isinstance(equation.rhs, Cases):
        return equation
    axes = equation.array.axes
    told = [d.by_name[array.name] for array in equation.operands if array.axes == axes and array.name in d.by_name]
    by_cases = [other for other in told if isinstance(other.rhs, Cases)]
    return by_cases[0] if len(by_cases) == 1 else None


def _with_the_value(
    d: Readable, equation: Equation, source: Equation, position: tuple[int, ...], kept: frozenset[Array],
    branch: Branch, value: sympy.Expr,
) -> sympy.Expr:  # fmt: skip
    """The right-hand side of an equation where one element of what it is made of has a value."""
    apart = kept | {source.array}
    made = instance(d, apart, _specialisation(d, source, position, branch)).right_side(equation, position)
    return sympy.sympify(made, strict=True).xreplace({symbol(symbol_name(d, source.array, position)): value})


def _written(d: Readable, condition: Condition, binding: Mapping[Any, int]) -> str:
    subject = condition.subject
    assert isinstance(subject, Ref)
    name = symbol_name(d, subject.array, tuple(binding[i] for i in subject.indices)).replace("_new", "'")
    return f"{name} {condition.relation} {condition.bound}"


def paper_symbols(d: Readable) -> tuple[str, ...]:
    """The symbols that the paper leaves standing in its formula for p: dE/dY, w', v^c and s'.

    Of a network of layers everything but what the last hidden layer, and what it is made of, changes by.
    """
    last = len(d.network.layers)
    if d.network.built is not None:
        moved = {increment_of(array).name for array in (d.network.hidden[-1].s, d.network.hidden[-1].v)}
        shown = {p_of(d.network.read_out).name, effective(d.network.read_out).name, *moved}
        return tuple(e.name for e in d.equations if e.defines and e.name not in shown)
    names = [f"delta{last}", f"W{last}_new", "vc"]
    for layer in range(1, last):
        names += [f"s{layer}", f"s{layer}_new", f"v{layer}"]
    names += [f"delta{layer}" for layer in range(2, last)] + [f"W{layer}_new" for layer in range(2, last)]
    names += [f"dv{layer}" for layer in range(1, last - 1)]
    return tuple(dict.fromkeys(name for name in names if name in d.by_name))


# ------------------------------------------------------------------------------------------------- arguments


def _position(
    d: Readable, equation: Equation, unit: object, output: object, row: object, column: object, at: object
) -> tuple[int, ...]:
    """The place of one element, from 0; ArgumentError where none is, and where it is not clear which one is meant."""
    if not equation.defines:
        raise ArgumentError(f"{equation.name} is a statement and has no value: ask for a quantity such as p.")
    shape, given = d.network.shape(equation.array), {"unit": unit, "output": output, "row": row, "column": column}
    wanted = [name for name, number in given.items() if number is not None]
    if at is not None:
        if wanted:
            raise ArgumentError(f"{equation.name} is asked for by at and by {' and '.join(wanted)}: give one of them.")
        return _element(equation, shape, at)
    first = len(shape) > 1 and _of_outputs(d, equation)
    if len(shape) > 2 or isinstance(unit, tuple | list):
        return _unit_with_positions(equation, shape, given, first)
    match len(shape):
        case 0:
            allowed = [{"unit", "output"}]  # it has neither, and a table of several quantities may give both
        case 1:
            allowed = [{"unit", "output"} if _of_outputs(d, equation) else {"unit"}, {"row"}]
        case _:
            allowed = [{"output", "unit"}, {"row", "column"}, {"row", "unit"}]
    if not any(set(wanted) <= names for names in allowed):
        what = {0: "is one number and needs none", 1: "has one axis: give unit or row"}
        raise ArgumentError(
            f"{equation.name} is asked for by {' and '.join(wanted)}: it "
            f"{what.get(len(shape), 'is a matrix: give row and column, or output and unit')}."
        )
    if len(shape) == 2 and wanted == ["unit"] and unit != 1 and shape[0] != 1 and not first:
        raise ArgumentError(
            f"Unit {shown(unit)} of {equation.name} may be its row or its column: give both, as in row=1, column=2."
        )
    names = [("row", "output"), ("column", "unit")] if len(shape) == 2 else [("unit", "output", "row")] * len(shape)
    place = []
    for options, length in zip(names, shape, strict=True):
        what_, value = next(((n, given[n]) for n in options if given[n] is not None), (options[-1], 1))
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= length:
            raise ArgumentError(f"{equation.name} has no {what_} {shown(value)}: it runs from 1 to {length}.")
        place.append(value - 1)
    return tuple(place)


def _element(equation: Equation, shape: Sequence[int], at: object, what: str = "element") -> tuple[int, ...]:
    """The place that is given by all of its numbers."""
    place = tuple(at) if isinstance(at, Sequence) and not isinstance(at, str) else (at,)
    fits = len(place) == len(shape) and all(
        not isinstance(n, bool) and isinstance(n, int) and 1 <= n <= length
        for n, length in zip(place, shape, strict=True)
    )
    if not fits:
        count = "1 number" if len(shape) == 1 else f"{len(shape)} numbers"
        raise ArgumentError(
            f"{equation.name} has no {what} {shown(at)}: give {count} from 1 to {', '.join(map(str, shape)) or 'none'}."
        )
    return tuple(int(n) - 1 for n in place)


def _unit_with_positions(
    equation: Equation, shape: Sequence[int], given: Mapping[str, object], first: bool
) -> tuple[int, ...]:
    """The place of a unit that is several numbers, such as a channel and a position; in p after that of the output."""
    output, unit = given["output"], given["unit"]
    said = [name for name in ("row", "column") if given[name] is not None]
    if said or (output is not None and not first):
        example = ", ".join("1" * len(shape))
        raise ArgumentError(
            f"{equation.name} has {len(shape)} axes and is asked for by {' and '.join(said or ['output'])}: give the "
            f"element, at=({example})."
        )
    lead = _element(equation, shape[:1], 1 if output is None else output, "output") if first else ()
    rest = shape[len(lead) :]
    return *lead, *_element(equation, rest, (1,) * len(rest) if unit is None else unit, "unit")


def _of_outputs(d: Readable, equation: Equation) -> bool:
    """Whether the first axis counts the outputs of the network."""
    return equation.array.axes[0] == d.network.output.axes[-1]


def _kept(d: Readable, keep: tuple[str, ...]) -> frozenset[Array]:
    names = (keep,) if isinstance(keep, str) else keep
    if not isinstance(names, Sequence | Set):
        raise ArgumentError(f"keep is {shown(keep)}: give the names of quantities, such as ('vc',).")
    return frozenset(d.by_name[d.resolve(name)].array for name in names)


def _find(d: Readable, equation: Equation, case: str) -> Branch:
    source = _case_source(d, equation)
    branches = source.rhs.branches if source is not None and isinstance(source.rhs, Cases) else ()
    if not branches:
        raise ArgumentError(f"{equation.name} has no cases: leave the case out.")
    for branch in branches:
        if branch.name == case:
            return branch
    raise ArgumentError(
        f"{equation.name} has no case {shown(case)!r}: choose one of {', '.join(b.name for b in branches)}."
    )


def _case_source(d: Readable, equation: Equation) -> Equation | None:
    """The equation whose cases a quantity has: itself, or that of the change of the unit that it is of."""
    if isinstance(equation.rhs, Cases):
        return equation
    axes = equation.array.axes
    alike = [u for u in d.network.activated if u.v.axes and axes[-len(u.v.axes) :] == u.v.axes]
    unit = d.network.unit_of(equation.array) or (alike[-1] if alike else None)
    source = None if unit is None else d.by_name.get(increment_of(unit.v).name)
    return source if source is not None and isinstance(source.rhs, Cases) else None


# ------------------------------------------------------------------------------------------- the SymPy field


@dataclass(frozen=True, slots=True)
class _Specialisation:
    """One unit is known to be on these pieces, before and after."""

    s: Array
    position: tuple[int, ...]
    before: int
    case: str


def _specialisation(
    d: Readable, equation: Equation, position: tuple[int, ...], branch: Branch | None
) -> _Specialisation | None:
    if branch is None:
        return None
    source = _case_source(d, equation)
    assert source is not None  # where the case was found
    before = len(position) - len(source.array.axes)
    found = _decided(d, source, branch, position[before:]) if before >= 0 else None  # a1 is of no unit
    if found is None:
        return None
    phi = next(unit.activation for unit in d.network.activated if unit.s == found[0])
    for a in range(len(phi.pieces)):
        for b in range(len(phi.pieces)):
            if branch_name(phi, a, b) == branch.name:
                return _Specialisation(*found, a, branch.name)
    return None


def _decided(d: Readable, equation: Equation, branch: Branch, position: Sequence[int]) -> Element | None:
    """The unit whose pieces a row of an equation is about, at one place of it: its pre-activation and where it is."""
    assert isinstance(equation.lhs, Ref)
    binding = dict(zip(equation.lhs.indices, position, strict=True))
    known = {unit.s for unit in d.network.activated}
    for condition in branch.when:
        subject = condition.subject
        if isinstance(subject, Ref) and subject.array.unprimed in known:
            return subject.array.unprimed, tuple(binding[index] for index in subject.indices)
    return None


def instance(
    d: Readable, kept: frozenset[Array] = frozenset(), unit: _Specialisation | None = None, *,
    name: Callable[[Readable, Array, tuple[int, ...]], str] | None = None,
    phi_at: Callable[[Activation, Any], Any] = phi_at,
) -> Instance:  # fmt: skip
    """Every element in SymPy, each built once. `name`: what symbols are called; `phi_at`: an activation there."""
    called = symbol_name if name is None else name
    equations = {e.array: e for e in d.equations if e.defines and e.array not in kept}
    names: dict[str, sympy.Symbol] = {}

    def leaf(array: Array, position: tuple[int, ...]) -> sympy.Symbol:
        if array.role is Role.UNIT:
            return sympy.Integer(int(position[0] == position[1]))
        own = called(d, array, position)
        return names.setdefault(own, symbol(own))

    def apply(node: Apply, source: Element, value: Any) -> Any:
        phi = node.activation
        here = unit if unit is not None and source == (unit.s, unit.position) else None
        if node.derivative:
            return slope_at(phi, value, None if here is None else here.before, node.derivative)
        if here is not None and not phi.is_smooth:
            piece = phi.pieces[here.before]
            return number_of(piece.slope) * value + number_of(piece.intercept)
        return phi_at(phi, value)

    def choose(options: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
        array, position = where
        for branch in options if unit is not None else ():
            assert unit is not None
            if branch.name == unit.case and _decided(d, equations[array], branch, position) == (unit.s, unit.position):
                return sympy.nan if branch.value is None else value(branch.value)

        def of(branch: Branch) -> Any:
            return sympy.nan if branch.value is None else value(branch.value)

        return nested(decide(options.branches), of, value)

    field = Field(
        number=number_of, divide=lambda a, b: a / b, apply=apply, choose=choose,
        add=lambda terms: sympy.Add(*terms), mul=lambda factors: sympy.Mul(*factors),
        extreme={"min": lambda values: sympy.Min(*values), "max": lambda values: sympy.Max(*values)}, inverse=_inverse,
    )  # fmt: skip
    return Instance(equations, d.network.sizes, leaf, field)


def _inverse(rows: list[list[Any]]) -> list[list[Any]]:
    """Cofactors over the determinant, whose entries are put in last: what they are made of is not multiplied out."""
    size = len(rows)
    names = sympy.Matrix(size, size, lambda i, j: sympy.Dummy(f"k_{i}_{j}"))
    own = {names[i, j]: value for i, row in enumerate(rows) for j, value in enumerate(row)}
    whole, cofactors = names.det(method="berkowitz"), names.adjugate(method="berkowitz")
    determinant = whole.xreplace(own)
    return [[cofactors[i, j].xreplace(own) / determinant for j in range(size)] for i in range(size)]


def nested(tree: Tree, leaf: Callable[[Branch], Any], value: Callable[[Expr], Any]) -> Any:
    """Nested decisions => nested Piecewise."""
    if isinstance(tree, Branch):
        return leaf(tree)
    test = relation(tree.condition, value(tree.condition.subject))
    return Piecewise((nested(tree.then, leaf, value), test), (nested(tree.otherwise, leaf, value), sympy.true))


def symbol_name(d: Readable, array: Array, position: tuple[int, ...]) -> str:
    """The ASCII name of one element: the reader's, the paper's w_1 .. w_6, or W1_1_2."""
    return scalar_name(d.network, array, position)


# --------------------------------------------------------------------------------------------- size estimate


def operations(d: Readable, equation: Equation, kept: frozenset[Array] = frozenset()) -> int:
    """How many operations the closed form of one element has, written out: never below half of them, found unbuilt."""
    counts: dict[Array, int] = {}
    for other in d.equations:
        if other.defines:
            counts[other.array] = 0 if other.array in kept else _count_right_side(d, other, counts)
    return _count_right_side(d, equation, counts)


def _count_right_side(d: Readable, equation: Equation, counts: Mapping[Array, int]) -> int:
    if isinstance(equation.rhs, Cases):
        return _count_tree(d, decide(equation.rhs.branches), counts)
    return _count(d, equation.rhs, counts)


def _count_tree(d: Readable, tree: Tree, counts: Mapping[Array, int]) -> int:
    if isinstance(tree, Branch):
        return 0 if tree.value is None else _count(d, tree.value, counts)
    own = 2 + _count(d, tree.condition.subject, counts)
    return own + _count_tree(d, tree.then, counts) + _count_tree(d, tree.otherwise, counts)


def _count(d: Readable, node: Expr, counts: Mapping[Array, int]) -> int:
    match node:
        case Number() | Indicator():
            return 0
        case Inverse(Ref(array, indices)):  # products of as many elements as there are rows, in every order of columns
            rows = d.network.sizes[indices[0].axis]
            return 2 * factorial(rows) * rows * (counts.get(array, 0) + 1)
        case Ref(array, _):
            return counts.get(array, 0)
        case Add(parts) | Mul(parts):
            return len(parts) - 1 + sum(_count(d, part, counts) for part in parts)
        case Pow(base, _):
            return 1 + _count(d, base, counts)
        case Total(over, body) | Extreme(_, over, body):
            return prod(d.network.sizes[index.axis] for index in over) * (_count(d, body, counts) + 1) - 1
        case Apply(phi, argument, _):
            inner = _count(d, argument, counts)
            if phi.is_smooth:
                return 4 + 3 * inner
            return 2 * (len(phi.pieces) - 1) * (1 + inner) or inner
    raise UnsupportedExpression(f"{node!r} has no closed form.")


def _refuse_too_large(d: Readable, equation: Equation, kept: frozenset[Array], limit: int | None) -> None:
    bound = MAX_OPERATIONS if limit is None else limit
    if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
        raise ArgumentError(f"max_operations is {shown(limit)!r}: give a whole number from 1.")
    size = operations(d, equation, kept)
    if size > bound:
        raise SizeError(
            f"The closed form of {equation.name} for {d.network} has about {size:.2g} operations, more than {bound}: "
            f"keep intermediate symbols with keep=(...), or allow it with max_operations={size}."
        )
