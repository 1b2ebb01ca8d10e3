"""Equations as SymPy objects, and SymPy expressions as expressions of the language.

    s1[i] = sum(j: W1[i, j]*x[j])    <=>    s1[i],  Sum(W1[i, j]*x[j], (j, 0, n_0 - 1))

Arrays become `IndexedBase` of real numbers with the widths n_0 .. n_L as their shape, scalars real symbols, indices
`Idx` that count from 0, case tables `Piecewise` with `nan` where no value exists, and activations what they are:
pieces, or the expression of a smooth one. SymPy sorts and folds sums and products; nothing is sorted or folded here
unless that is asked for, so that an equation that is read back is the equation that was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Any, Protocol

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.relational import Relational

from fcsym.errors import ArgumentError, UnsupportedExpression, shown
from fcsym.language import smooth_functions
from fcsym.language.activation import SMOOTH, Activation, smooth
from fcsym.language.decision import excludes, negation
from fcsym.language.equation import Branch, Cases, Condition, Equation, Status
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
    add,
    children,
    indices_in,
    mul,
    number,
    power,
    total,
)  # fmt: skip
from fcsym.language.piecewise import Piecewise

__all__ = [
    "STORED", "Greatest", "Least", "Symbolic", "from_sympy", "length", "number_of", "phi_at", "relation", "slope_at",
    "symbol", "to_sympy",
]  # fmt: skip

STORED = sympy.Symbol("m", integer=True, nonnegative=True)
"""How many distinct inputs a scheme has stored."""


def length(axis: Axis) -> sympy.Symbol:
    """The symbol for an axis: n_0 .. n_L, m for stored inputs, N for the samples of a mini-batch."""
    if axis.like == STORED.name:
        return STORED
    return sympy.Symbol(axis.like or axis.name, integer=True, positive=True)


def symbol(name: str) -> sympy.Symbol:
    """The symbol of that name: a real number."""
    return sympy.Symbol(name, real=True)


# ------------------------------------------------------------------------------------------- what SymPy has no name for


class Inverted(sympy.Function):  # type: ignore[misc]
    """An element of the inverse of a matrix, at the place of the element that it is given."""

    is_real = True
    nargs = (1,)

    @classmethod
    def eval(cls, element: Any) -> None:
        """It stands as it is."""


class _Selected(ExprWithLimits):  # type: ignore[misc]
    """The least or the greatest value of an expression over indices."""

    def __new__(cls, body: Any, *limits: Any) -> Any:
        return sympy.Expr.__new__(cls, body, *(sympy.Tuple(*limit) for limit in limits))

    def doit(self, **hints: Any) -> Any:
        """Written out, where the limits are numbers."""
        body = self.function.doit(**hints) if hints.get("deep", True) else self.function
        if not all(lower.is_Integer and upper.is_Integer for _, lower, upper in self.limits):
            return self.func(body, *self.limits)
        ranges = [range(int(lower), int(upper) + 1) for _, lower, upper in self.limits]
        letters = [limit[0] for limit in self.limits]
        every = [body.subs(dict(zip(letters, at, strict=True))) for at in product(*ranges)]
        return self.of(*every)

    of: Any = None

    def _eval_is_extended_real(self) -> Any:
        return self.function.is_extended_real


class Least(_Selected):
    """The least value of an expression over indices, with limits as in `Sum`."""

    of = sympy.Min


class Greatest(_Selected):
    """The greatest value of an expression over indices, with limits as in `Sum`."""

    of = sympy.Max


# ----------------------------------------------------------------------------------------------------- activations


def number_of(value: Fraction) -> sympy.Rational:
    """The same number in SymPy."""
    return sympy.Rational(value.numerator, value.denominator)


def phi_at(phi: Activation, s: Any) -> Any:
    """phi(s): the expression of a smooth activation, or its pieces, the highest first, each above the kink below it."""
    if phi.is_smooth:
        return _smooth(phi, 0, s)
    values = [number_of(p.slope) * s + number_of(p.intercept) for p in phi.pieces]
    rows = [(values[n], _above(s, phi.kinks[n - 1])) for n in range(len(values) - 1, 0, -1)]
    return Piecewise(*rows, (values[0], sympy.true))


def slope_at(phi: Activation, s: Any, piece: int | None = None, order: int = 1) -> Any:
    """phi'(s); the declared slope at a kink only where it differs from that of the piece the kink belongs to.

    `piece`: the one that s is known to be on. `order`: which derivative of a smooth function.
    """
    if phi.is_smooth:
        return _smooth(phi, order, s)
    special = [
        (number_of(slope), sympy.Eq(s, number_of(kink), evaluate=False))
        for n, (kink, slope) in enumerate(zip(phi.kinks, phi.kink_slopes, strict=True))
        if slope != phi.pieces[n].slope and piece in (None, n)
    ]
    if piece is not None:
        return Piecewise(*special, (number_of(phi.pieces[piece].slope), sympy.true))
    rows = [(number_of(phi.pieces[n].slope), _above(s, phi.kinks[n - 1])) for n in range(len(phi.pieces) - 1, 0, -1)]
    return Piecewise(*special, *rows, (number_of(phi.pieces[0].slope), sympy.true))


def _above(s: Any, kink: Fraction) -> Any:
    return sympy.Gt(s, number_of(kink), evaluate=False)


def _smooth(activation: Activation, derivative: int, at: Any) -> Any:
    """phi, or a derivative, of a smooth activation."""
    s, v = smooth_functions.symbols()
    phi = smooth_functions.expression(activation)
    return (smooth_functions.derivative(activation, derivative).subs(v, phi) if derivative else phi).subs(s, at)


_RELATIONS = {">": sympy.Gt, "<=": sympy.Le, "=": sympy.Eq, "!=": sympy.Ne}


def relation(condition: Condition, subject: Any) -> Any:
    """The relation as it was written: SymPy would turn `s - eta*g > 0` into `eta*g - s < 0`."""
    return _RELATIONS[condition.relation](subject, number_of(condition.bound), evaluate=False)


# -------------------------------------------------------------------------------------------------------- to SymPy


@dataclass(frozen=True)
class Symbolic:
    """An equation as two SymPy expressions.

    They are kept apart, since `Eq` may decide what it is given; `eq` is the pair as an `Eq` that has not. `of` is the
    equation that it was made from: for its name, its reason and the names of its cases SymPy has no place.
    """

    lhs: sympy.Expr
    rhs: sympy.Expr
    of: Equation
    evaluate: bool = False

    @property
    def eq(self) -> sympy.Eq:
        """lhs = rhs as SymPy writes it, undecided."""
        return sympy.Eq(self.lhs, self.rhs, evaluate=False)

    def __iter__(self) -> Iterator[sympy.Expr]:
        return iter((self.lhs, self.rhs))

    def __str__(self) -> str:
        return f"{self.lhs} = {self.rhs}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {sympy.latex(self.lhs)} = {sympy.latex(self.rhs)}$"

    def __reduce__(self) -> Any:
        """For pickle and copy: SymPy would sort and fold both sides."""
        made = to_sympy(self.of, self.evaluate)
        if (made.lhs, made.rhs) == (self.lhs, self.rhs):
            return to_sympy, (self.of, self.evaluate)
        return Symbolic, (self.lhs, self.rhs, self.of, self.evaluate)


def to_sympy(equation: Equation, evaluate: bool = False) -> Symbolic:
    """An equation => both of its sides in SymPy.

    With `evaluate`, SymPy sorts and folds sums and products as it does with what is typed in; read back, the equation
    then says the same in another form.
    """
    writer = _Writer(evaluate)
    return Symbolic(writer.write(equation.lhs), writer.right_side(equation.rhs), equation, evaluate)


@dataclass(frozen=True, slots=True)
class _Writer:
    evaluate: bool

    def right_side(self, node: Expr | Cases) -> Any:
        if not isinstance(node, Cases):
            return self.write(node)
        return Piecewise(*((self._value(branch), self._when(branch)) for branch in node))

    def _value(self, branch: Branch) -> Any:
        return sympy.nan if branch.value is None else self.write(branch.value)

    def _when(self, branch: Branch) -> Any:
        return sympy.And(*(relation(c, self.write(c.subject)) for c in branch.when))

    def write(self, node: Expr) -> Any:
        match node:
            case Number(value):
                return number_of(value)
            case Ref(array, indices):
                return base_of(array)[tuple(map(index_of, indices))] if indices else base_of(array)
            case Indicator(index, form):
                other = sum((c * index_of(i) for i, c in form.terms), sympy.Integer(form.constant))
                return sympy.KroneckerDelta(index_of(index), other)
            case Add(terms):
                return sympy.Add(*map(self.write, terms), evaluate=self.evaluate)
            case Mul(factors):
                return sympy.Mul(*map(self.write, factors), evaluate=self.evaluate)
            case Pow(base, exponent):
                return sympy.Pow(self.write(base), exponent, evaluate=self.evaluate)
            case Total(over, body):
                return _sum(self.write(body), _limits(over))
            case Extreme(kind, over, body):
                return (Least if kind == "min" else Greatest)(self.write(body), *_limits(over))
            case Inverse(element):
                return Inverted(self.write(element))
            case Apply(phi, argument, derivative):
                return _applied(phi, derivative, self.write(argument))
        raise UnsupportedExpression(f"{node!r} has no form in SymPy.")


def base_of(array: Array) -> Any:
    """An array => an IndexedBase of real numbers with the shape of its axes; a scalar => a real symbol."""
    name = symbol(array.name)
    return sympy.IndexedBase(name, shape=tuple(map(length, array.axes))) if array.axes else name


def index_of(index: Index) -> sympy.Idx:
    """An index => an Idx. Its range is that of the sum, or the shape: `subs` would change one within a sum, and not the
    other.
    """
    return sympy.Idx(sympy.Symbol(index.letter, integer=True))


def _limits(over: Iterable[Index]) -> tuple[tuple[Any, Any, Any], ...]:
    return tuple((index_of(index), sympy.Integer(0), length(index.axis) - 1) for index in over)


def _sum(body: Any, limits: tuple[tuple[Any, Any, Any], ...]) -> Any:
    if not body.has(sympy.Piecewise):
        return sympy.Sum(body, *limits)
    made = sympy.Expr.__new__(sympy.Sum)  # which would fold the cases outwards
    made._args = (body, *(sympy.Tuple(*limit) for limit in limits))
    made.is_commutative = True
    return made


def _applied(phi: Activation, derivative: int, at: Any) -> Any:
    """phi or a derivative at an expression; what a straight line gives is held together, having no form of its own."""
    made = slope_at(phi, at, order=derivative) if derivative else phi_at(phi, at)
    return made if phi.is_smooth or isinstance(made, sympy.Piecewise) else sympy.UnevaluatedExpr(made)


# ------------------------------------------------------------------------------------------------------ from SymPy


class _Listed(Protocol):
    """A list of equations; a derivation is one."""

    @property
    def equations(self) -> tuple[Equation, ...]: ...


def from_sympy(found: Any, names: _Listed | Mapping[Any, Expr] | None = None) -> Any:
    """What `d.sympy` gives, or a SymPy expression, in the language of the equations.

    `found`: such a pair of sides => the equation; or an expression. `names`: what its symbols stand for, as a
    derivation, whose arrays, scalars and indices are then known, or as a mapping from SymPy symbols to expressions.
    Supported: rational numbers, sums, products, integer powers, sums over whole indices, activations by their
    pieces or their expression, and a function by its name where the language has it (tanh).
    Raises UnsupportedExpression for anything else and for symbols that stand for nothing; ArgumentError for a text,
    which is never evaluated.

    >>> import fcsym
    >>> d = fcsym.derive(fcsym.Network.parse("2-2-1"))
    >>> from_sympy(d.sympy("p")) == d["p"]
    True
    >>> from_sympy(d.sympy("s1").rhs * sympy.Symbol("eta", real=True) / 2, d)
    (1/2)*eta*sum(j: W1[i, j]*x[j])
    """
    if isinstance(found, Symbolic):
        reader = _Reader.of([found.of])
        lhs, rhs = reader.read(found.lhs), reader.right_side(found.rhs, found.of.rhs)
        return replace(found.of, lhs=lhs, rhs=rhs)
    if isinstance(found, str):
        raise ArgumentError(f"{shown(found)!r} is a text, and no text is evaluated: give a SymPy expression.")
    try:
        node = sympy.sympify(found, strict=True)
    except sympy.SympifyError:
        raise ArgumentError(f"{shown(found)!r} is a {type(found).__name__}: give a SymPy expression.") from None
    if isinstance(names, Mapping):
        reader = _Reader({sympy.sympify(key, strict=True): value for key, value in names.items()}, {})
    elif names is None or hasattr(names, "equations"):
        reader = _Reader.of(() if names is None else names.equations)
    else:
        raise ArgumentError(f"names is a {type(names).__name__}: give a derivation, or a mapping of symbols.")
    return reader.right_side(node, None)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What symbols stand for."""

    known: Mapping[Any, Expr | Array]  # symbols and elements, and bases by themselves
    applied: Mapping[Any, Apply]
    axes: frozenset[Axis] = frozenset()  # those that are summed over

    @classmethod
    def of(cls, equations: Iterable[Equation]) -> _Reader:
        """Everything that occurs in some equations."""
        known: dict[Any, Any] = {}
        applied: dict[Any, Apply] = {}
        axes: set[Axis] = set()
        writer = _Writer(evaluate=False)
        for equation in equations:
            for node in _nodes((equation.lhs, *equation.expressions)):
                match node:
                    case Ref(array, _):
                        _enter(known, base_of(array), array if array.axes else node)
                    case Indicator():
                        _enter(known, writer.write(node), node)
                    case Apply():
                        applied.setdefault(writer.write(node), node)
                    case Total(over, _):
                        axes |= {index.axis for index in over}
        return cls(known, applied, frozenset(axes))

    @property
    def activations(self) -> list[Activation]:
        """Those of the equations."""
        return list(dict.fromkeys(apply.activation for apply in self.applied.values()))

    def right_side(self, node: Any, like: Expr | Cases | None) -> Expr | Cases:
        """An expression, or a case table; names, notes and the order of conditions are those of `like`."""
        if not isinstance(node, sympy.Piecewise) or self._activation(node) is not None:
            return self.read(node)
        old: tuple[Branch | None, ...] = like.branches if isinstance(like, Cases) else ()
        if len(old) != len(node.args):
            old = (None,) * len(node.args)
        rows: list[Branch] = []
        written: list[tuple[Condition, ...]] = []  # what SymPy says of each row
        for (value, condition), was in zip(node.args, old, strict=True):
            when = self._conditions(condition, was)
            rows.append(self._branch(value, (*when, *_otherwise(condition, when, written)), was, len(rows) + 1))
            written.append(when)
        return Cases(tuple(rows))

    def _branch(self, value: Any, when: tuple[Condition, ...], was: Branch | None, place: int) -> Branch:
        defined = value is not sympy.nan
        read = self.read(value) if defined else None
        if was is None:
            return Branch(f"case {place}", when, read, Status.VALUE if defined else Status.UNDEFINED)
        return replace(was, when=when, value=read)

    def _conditions(self, node: Any, was: Branch | None) -> tuple[Condition, ...]:
        """What a row asks for, in the order in which it was written."""
        parts = node.args if isinstance(node, sympy.And) else () if node == True else (node,)  # noqa: E712
        found = [self._condition(part) for part in parts]
        if was is not None:
            found.sort(key=lambda c: was.when.index(c) if c in was.when else len(was.when))
        return tuple(found)

    def _condition(self, node: Any) -> Condition:
        for sign, kind in _RELATIONS.items():
            if isinstance(node, Relational) and node.func is kind:
                bound = self.read(node.rhs)
                if not isinstance(bound, Number):
                    return Condition(self.read(node.lhs) - bound, sign)  # type: ignore[arg-type]
                return Condition(self.read(node.lhs), sign, bound.value)  # type: ignore[arg-type]
        if isinstance(node, sympy.Lt):  # l < r
            return Condition(self.read(node.rhs) - self.read(node.lhs), ">")
        if isinstance(node, sympy.Ge):  # l >= r
            return Condition(self.read(node.rhs) - self.read(node.lhs), "<=")
        raise _refusal(node, "a condition is made of relations between numbers, joined by And")

    def read(self, node: Any) -> Expr:
        """An expression."""
        found = self.known.get(node)
        if isinstance(found, Expr):
            return found
        applied = self._activation(node)
        if applied is not None:
            return applied
        match node:
            case sympy.Rational():
                return number(Fraction(int(node.p), int(node.q)))
            case sympy.Float():
                return self._decimal(node)
            case sympy.Add():
                return add(*map(self.read, node.args))
            case sympy.Mul():
                return mul(*map(self.read, node.args))
            case sympy.Pow():
                return self._power(node)
            case sympy.UnevaluatedExpr():
                return self.read(node.args[0])
            case sympy.Sum():
                body = self.read(node.function)
                return total(self._over(node, body), body)
            case Least() | Greatest():
                kind = "min" if isinstance(node, Least) else "max"
                body = self.read(node.function)
                return Extreme(kind, self._over(node, body), body)  # type: ignore[arg-type]
            case Inverted():
                inner = self.read(node.args[0])
                if not isinstance(inner, Ref):
                    raise _refusal(node, "what is inverted is a matrix with a name")
                return Inverse(inner)
            case sympy.Indexed():
                return self._element(node)
            case sympy.Symbol() if symbol(node.name) in self.known:
                raise _refusal(node, f"the symbols of equations are real, sympy.Symbol({node.name!r}, real=True)")
            case sympy.Symbol():
                raise _refusal(node, "nothing says what the symbol stands for; give it in names")
            case sympy.Piecewise():
                raise _refusal(node, "cases within an expression must be those of an activation of the equations")
            case sympy.KroneckerDelta():
                raise _refusal(node, "an indicator is known by the equations that have it; give a derivation in names")
            case sympy.Function():
                return self._function(type(node).__name__, node.args[0], node)
        raise _refusal(node, "an expression is made of rational numbers, symbols, sums, products and integer powers")

    def _decimal(self, node: Any) -> Expr:
        if not node.is_finite:
            raise _refusal(node, "a number must be finite")
        return number(Fraction(str(node)))  # what was written: 0.01 is 1/100

    def _power(self, node: Any) -> Expr:
        base, exponent = node.args
        if exponent.is_Integer:
            return power(self.read(base), int(exponent))
        if exponent == sympy.Rational(1, 2) and not base.is_number:
            return self._function("sqrt", base, node)
        raise _refusal(node, "powers are whole numbers")

    def _function(self, name: str, argument: Any, node: Any) -> Expr:
        """A function that the language has under SymPy's name."""
        if name not in smooth_functions.ENTRIES or len(node.args) > 1 + (name == "sqrt"):
            raise _refusal(node, f"the functions of the language are {', '.join(smooth_functions.ENTRIES)}")
        return Apply(smooth(name), self.read(argument))

    def _element(self, node: Any) -> Expr:
        array = self.known.get(node.base)
        if not isinstance(array, Array):
            raise _refusal(node, "nothing says what the array stands for; give a derivation as names")
        letters = list(map(_letter, node.indices))
        if len(letters) != len(array.axes) or len(set(letters)) != len(letters):
            raise _refusal(node, f"{array.name} has {len(array.axes)} indices, each another one")
        return array[tuple(map(Index, array.axes, letters))]

    def _over(self, node: Any, body: Expr) -> tuple[Index, ...]:
        """The indices of a sum: which axis one runs over is known from where it occurs."""
        result: list[Index] = []
        for letter, lower, upper in node.limits:
            name = _letter(letter)
            found = {index for index in indices_in(body) if index.letter == name}
            if not found:  # of what does not depend on it, the range says which it is
                found = {Index(axis, name) for axis in self.axes if upper == length(axis) - 1}
            if len(found) != 1 or lower != 0 or upper != length(min(found).axis) - 1:
                raise _refusal(node, "a sum is over the whole range of an index that occurs in it")
            result += found
        return tuple(result)

    def _activation(self, node: Any) -> Expr | None:
        """phi or phi' where a node is what an activation of the equations, or a smooth one, is at some element."""
        if node in self.applied:
            return self.applied[node]
        if not node.has(sympy.Function):  # a Piecewise is one, too
            return None
        if isinstance(node, sympy.Piecewise):
            known = [phi for phi in self.activations if len(phi.pieces) > 1]
        else:
            known = [smooth(name) for name in SMOOTH]
        for part in sorted(node.atoms(sympy.Indexed, sympy.Symbol) - {node}, key=sympy.default_sort_key):
            if isinstance(part, sympy.Symbol) and part not in self.known:
                continue
            for phi, order in product(known, (0, 1)):
                if _applied(phi, order, part) == node:
                    return Apply(phi, self.read(part), order)
        return None


def _otherwise(
    node: Any, when: tuple[Condition, ...], before: Iterable[tuple[Condition, ...]]
) -> Iterator[Condition]:  # fmt: skip
    """What must be added to a row: SymPy takes the first that holds, and of a case table exactly one does."""
    for row in before:
        if not any(excludes(condition, when) for condition in row):
            if len(row) != 1:
                raise _refusal(node, "the rows of a case table exclude each other")
            yield negation(row[0])


def _letter(node: Any) -> str:
    """An index => its letter."""
    label = node.label if isinstance(node, sympy.Idx) else node
    if not isinstance(label, sympy.Symbol):
        raise _refusal(node, "an index is a letter; arithmetic on indices is not supported")
    return str(label.name)


def _refusal(node: Any, why: str) -> UnsupportedExpression:
    return UnsupportedExpression(f"{shown(node)} cannot be read into the language: {why}.")


def _nodes(expressions: Iterable[Expr]) -> Iterator[Expr]:
    for node in expressions:
        yield node
        yield from _nodes(children(node))
        if isinstance(node, Apply) and node.value is not None:
            yield from _nodes((node.value,))


def _enter(table: dict[Any, Any], key: Any, value: Any) -> None:
    if table.setdefault(key, value) != value:
        raise UnsupportedExpression(f"{key} would stand for two different things in SymPy, {value!r} being one.")
