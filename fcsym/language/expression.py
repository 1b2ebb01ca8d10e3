"""Expressions in index notation: the one language in which every equation is written.

    W1[i, j] * x[j]                  two array elements and their product
    total(j, W1[i, j] * x[j])        the sum over j
    least(j, q[j]), greatest(j, q[j])
    Apply(phi, s1[i])                an activation applied to an expression
    indicator(u, 2 * t + k - 1)      1 where the position u is 2 t + k - 1, else 0

Supported: exact rational numbers, array elements, indicators, sums, products, integer powers, sums over indices, the
least and the greatest value over indices, inverses of matrices, and activations (with their derivatives).
Conditions are no expressions: they live in `equation.Cases`.

Not supported: one index twice in the same element (diagonals), non-integer powers, arithmetic on the indices of an
element: a shifted element is a sum with an indicator, sum(u: [u = 2t + k - 1]*v[u]), which is 0 outside the array.

Nodes are immutable and know no printer, no algebra and no arithmetic. The operators build nodes and fold
what is trivial (0, 1, nested sums and products); nothing is ever expanded or reordered here, so that an
equation keeps the form in which it was derived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from fcsym.language.activation import Activation

__all__ = [
    "ONE",
    "ZERO",
    "Add",
    "Apply",
    "Array",
    "Axis",
    "Expr",
    "Extreme",
    "Index",
    "IndexForm",
    "Indicator",
    "Inverse",
    "Mul",
    "Number",
    "Pow",
    "Ref",
    "Role",
    "Total",
    "Written",
    "add",
    "applied_in",
    "arrays_in",
    "greatest",
    "indicator",
    "indicators_in",
    "indices_in",
    "least",
    "mul",
    "number",
    "power",
    "total",
    "value_of",
]

Numeric: TypeAlias = "int | Fraction"


@dataclass(frozen=True, slots=True, order=True)
class Axis:
    """The range of an index, by its name: units of a layer, samples, probe vectors.

    Its length belongs to the network and is no part of the algebra; of an `open` one it is known only when a program
    runs.
    """

    name: str
    open: bool = False
    like: str = ""  # the name of the axis whose length it has, where that is another's
    letters: str = ""  # what its indices are called, where they have letters of their own


@dataclass(frozen=True, slots=True, order=True)
class Index:
    """An index letter that runs over an axis."""

    axis: Axis
    letter: str

    def __hash__(self) -> int:  # one hash of plain values in place of one of an axis within it
        return hash((self.axis.name, self.letter))

    def __add__(self, other: Index | IndexForm | int) -> IndexForm:
        return _form(self) + other

    __radd__ = __add__

    def __sub__(self, other: Index | IndexForm | int) -> IndexForm:
        return _form(self) - other

    def __rsub__(self, other: int) -> IndexForm:
        return _form(other) - self

    def __mul__(self, factor: int) -> IndexForm:
        return _form(self) * factor

    __rmul__ = __mul__


@dataclass(frozen=True, slots=True)
class IndexForm:
    """A linear form in positions: whole multiples of indices, and a whole number. Positions count from 0."""

    terms: tuple[tuple[Index, int], ...]  # each index once, in the author's order; no coefficient is 0
    constant: int = 0

    def __add__(self, other: IndexForm | Index | int) -> IndexForm:
        right = _form(other)
        sums = dict(self.terms)
        for index, coefficient in right.terms:
            sums[index] = sums.get(index, 0) + coefficient
        return IndexForm(tuple((i, c) for i, c in sums.items() if c), self.constant + right.constant)

    __radd__ = __add__

    def __sub__(self, other: IndexForm | Index | int) -> IndexForm:
        return self + _form(other) * -1

    def __rsub__(self, other: Index | int) -> IndexForm:
        return _form(other) - self

    def __mul__(self, factor: int) -> IndexForm:
        if isinstance(factor, bool) or not isinstance(factor, int):
            raise TypeError(f"An index is multiplied by {factor!r}: give a whole number.")
        return IndexForm(tuple((i, c * factor) for i, c in self.terms if factor), self.constant * factor)

    __rmul__ = __mul__

    def at(self, positions: Mapping[Index, int]) -> int:
        """The value where its indices have these positions."""
        return sum(coefficient * positions[index] for index, coefficient in self.terms) + self.constant

    def spelt(self, times: str = "", names: Mapping[Index, str] | None = None) -> str:
        """2t + k - 1, with `times` between a number and a letter; `names` in the place of letters."""
        parts = [(c, (names[i] if names else i.letter)) for i, c in self.terms]
        texts = [(c < 0, f"{'' if abs(c) == 1 else f'{abs(c)}{times}'}{name}") for c, name in parts]
        if self.constant or not texts:
            texts.append((self.constant < 0, str(abs(self.constant))))
        (minus, first), *others = texts
        return f"{'-' * minus}{first}" + "".join(f" {'-' if negative else '+'} {text}" for negative, text in others)


def _form(value: IndexForm | Index | int) -> IndexForm:
    if isinstance(value, IndexForm):
        return value
    if isinstance(value, Index):
        return IndexForm(((value, 1),))
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"A position is compared with {value!r}: give whole multiples of indices and whole numbers.")
    return IndexForm((), value)


class Expr:
    """Any expression. Arithmetic operators build new nodes."""

    __slots__ = ()

    def __add__(self, other: Expr | Numeric) -> Expr:
        return add(self, other)

    def __radd__(self, other: Numeric) -> Expr:
        return add(other, self)

    def __sub__(self, other: Expr | Numeric) -> Expr:
        return add(self, mul(-1, other))

    def __rsub__(self, other: Numeric) -> Expr:
        return add(other, mul(-1, self))

    def __mul__(self, other: Expr | Numeric) -> Expr:
        return mul(self, other)

    def __rmul__(self, other: Numeric) -> Expr:
        return mul(other, self)

    def __truediv__(self, other: Expr | Numeric) -> Expr:
        return mul(self, power(number(other), -1))

    def __neg__(self) -> Expr:
        return mul(-1, self)

    def __pow__(self, exponent: int) -> Expr:
        return power(self, exponent)

    def __repr__(self) -> str:
        return _text(self)[0]


@dataclass(frozen=True, slots=True, repr=False)
class Number(Expr):
    """An exact rational number."""

    value: Fraction


class Role(Enum):
    """What an array is in a network and its training: whoever wants to know asks for this, never for its name."""

    PARAMETER = "parameter"
    INPUT = "input"
    TARGET = "target"
    PRE_ACTIVATION = "pre-activation"  # what a linear map of a layer gives
    ACTIVATION = "activation"
    LOSS = "loss"
    TERM = "term of the loss"  # what the loss, or an output activation over all outputs, is made of
    PARTITION = "partition function"  # a sum of e^(u - max u): at least 1, so that it is divided by without a case
    HYPER_PARAMETER = "hyper-parameter"
    COEFFICIENT = "coefficient of the update rule"  # a number that the rule brings; kernels have it in their text
    COUNT = "number of samples"
    GRADIENT = "gradient of a parameter"
    MOMENT = "moment"  # what an update rule carries from step to step, for a parameter or for all of them
    DIVISOR = "divisor of an update rule"  # above 0 with coefficients in their ranges
    GATE = "gate"  # the slope of an activation at a pre-activation
    BEND = "slope of a gate"  # the second derivative of an activation at a pre-activation
    DIRECTION = "direction"  # what a parameter or an input moves by, where a derivative is taken along it
    ADJOINT = "adjoint"
    INCREMENT = "increment"
    NORM = "norm"  # what a step moves a pre-activation by, in units of -eta times its adjoint
    UNIT = "unit matrix"  # 1 where its two indices are equal, 0 elsewhere
    FROZEN = "frozen"  # a parameter or an activation, as it was at the start
    OTHER = "other"  # what one derivation or one scheme has for itself


@dataclass(frozen=True, slots=True)
class Array:
    """A named family of numbers: a weight matrix, a vector of pre-activations, the scalar eta.

    `symbol`, `layer` and, of what a recurrence makes, the `time` are the mathematical name, for people; `after` is the
    prime, the value after the step. `role` says what the array is, and `of` whose: the pre-activation that a gate, an
    adjoint or an increment belongs to.
    """

    symbol: str
    layer: int | None
    axes: tuple[Axis, ...]
    after: bool = False
    role: Role = field(default=Role.OTHER, compare=False)
    of: Array | None = field(default=None, compare=False)
    time: int | None = None  # counted from 1

    def __hash__(self) -> int:  # the axes follow from the rest; hashing them again is most of the cost of a proof
        return hash((self.symbol, self.layer, self.after, self.time))

    @property
    def name(self) -> str:
        """The ASCII identifier, `W1` or `W1_new`, used in code, on the command line and in `d[...]`."""
        layer = "" if self.layer is None else str(self.layer)
        time = "" if self.time is None else f"_t{self.time}"
        return f"{self.symbol}{layer}{time}{'_new' if self.after else ''}"

    @property
    def primed(self) -> Array:
        """The same quantity after the step."""
        return Array(self.symbol, self.layer, self.axes, True, self.role, self.of, self.time)

    @property
    def unprimed(self) -> Array:
        """The same quantity before the step."""
        return Array(self.symbol, self.layer, self.axes, False, self.role, self.of, self.time)

    def __getitem__(self, indices: Index | tuple[Index, ...]) -> Ref:
        return Ref(self, indices if isinstance(indices, tuple) else (indices,))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, repr=False)
class Ref(Expr):
    """One element of an array, `W1[i, j]`; a scalar has no indices."""

    array: Array
    indices: tuple[Index, ...]

    def __post_init__(self) -> None:
        if tuple(index.axis for index in self.indices) != self.array.axes:
            own, given = (", ".join(axis.name for axis in axes) or "none" for axes in (
                self.array.axes, [index.axis for index in self.indices]
            ))  # fmt: skip
            raise TypeError(f"{self.array.name} has the axes {own} and is given indices over {given}: make them alike.")
        if len(set(self.indices)) != len(self.indices):
            raise TypeError(f"{self.array.name} is given one index twice; diagonals are not supported.")


@dataclass(frozen=True, slots=True, repr=False)
class Indicator(Expr):
    """1 where the position `index` is what a linear form in other indices says, else 0: [u = 2t + k - 1].

    It is a number of its own and depends on no array.
    """

    index: Index
    form: IndexForm

    def __post_init__(self) -> None:
        if any(index == self.index for index, _ in self.form.terms):
            raise TypeError(f"{self.index.letter} is on both sides of an indicator: solve for it first.")

    @property
    def indices(self) -> tuple[Index, ...]:
        """Every index in it, the one on the left first."""
        return (self.index, *(index for index, _ in self.form.terms))

    def at(self, positions: Mapping[Index, int]) -> int:
        """1 or 0, where its indices have these positions."""
        return int(positions[self.index] == self.form.at(positions))

    def solved(self, index: Index) -> IndexForm | None:
        """What the index is where this is 1; None where that need not be a whole number."""
        if index == self.index:
            return self.form
        own = dict(self.form.terms).get(index)
        if own not in (1, -1):
            return None
        return (self.index - self.form + own * index) * own

    def fixes(self, over: Iterable[Index]) -> Iterator[tuple[Index, IndexForm]]:
        """Which of these indices it fixes, and at what: the one on the left first."""
        for index in sorted(over, key=lambda index: index != self.index):
            form = self.solved(index)
            if form is not None:
                yield index, form

    def renamed(self, names: Mapping[Index, Index]) -> Expr:
        """The same of other indices; a number where nothing is left to compare."""
        form = IndexForm((), self.form.constant)
        for index, coefficient in self.form.terms:
            form = form + coefficient * names.get(index, index)
        return indicator(names.get(self.index, self.index), form)


@dataclass(frozen=True, slots=True, repr=False)
class Add(Expr):
    """A sum of two or more terms."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Mul(Expr):
    """A product of two or more factors; a number comes first."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Pow(Expr):
    """An integer power; negative ones are how a quotient is written."""

    base: Expr
    exponent: int


@dataclass(frozen=True, slots=True, repr=False)
class Total(Expr):
    """The sum of `body` over the indices `over`."""

    over: tuple[Index, ...]
    body: Expr


@dataclass(frozen=True, slots=True, repr=False)
class Extreme(Expr):
    """The least or the greatest value of `body` over the indices `over`; the algebra knows nothing of it."""

    kind: Literal["min", "max"]
    over: tuple[Index, ...]
    body: Expr


@dataclass(frozen=True, slots=True, repr=False)
class Inverse(Expr):
    """An element of the inverse of a symmetric matrix, at the same place; the algebra knows nothing of it."""

    element: Ref


@dataclass(frozen=True, slots=True, repr=False)
class Apply(Expr):
    """phi(argument), phi'(argument) when `derivative` is 1, phi''(argument) when it is 2, and so on."""

    activation: Activation
    argument: Expr
    derivative: int = 0
    value: Expr | None = field(
        default=None, compare=False
    )  # what stands for phi(argument) already, for readers of phi'


def value_of(node: Apply) -> Expr:
    """What stands for phi(s) where phi'(s) is printed."""
    return Apply(node.activation, node.argument) if node.value is None else node.value


ZERO = Number(Fraction(0))
ONE = Number(Fraction(1))


def number(value: Expr | Numeric) -> Expr:
    """The expression itself, or the number as an expression."""
    return value if isinstance(value, Expr) else _number(value)


@lru_cache(maxsize=256)  # nearly all of them are 1, -1 and 2
def _number(value: Numeric) -> Number:
    return Number(Fraction(value))


def add(*values: Expr | Numeric) -> Expr:
    """a + (b + c) => a + b + c; numbers are collected, 0 is dropped."""
    constant, terms = ZERO.value, []
    for value in values:
        node = number(value)
        for term in node.terms if isinstance(node, Add) else (node,):
            if isinstance(term, Number):
                constant = constant + term.value if constant else term.value
            else:
                terms.append(term)
    if constant:
        terms.append(Number(constant))
    if not terms:
        return ZERO
    return terms[0] if len(terms) == 1 else Add(tuple(terms))


def mul(*values: Expr | Numeric) -> Expr:
    """a * (b * c) => a * b * c; numbers are collected in front, 1 is dropped, 0 absorbs."""
    constant, factors = ONE.value, []
    for value in values:
        node = number(value)
        for factor in node.factors if isinstance(node, Mul) else (node,):
            if isinstance(factor, Number):  # exact products are slow, and most are by 1
                constant = factor.value if constant is ONE.value else constant * factor.value
            else:
                factors.append(factor)
    if not constant:
        return ZERO
    if not factors or (constant is not ONE.value and constant != 1):
        factors.insert(0, Number(constant))
    return factors[0] if len(factors) == 1 else Mul(tuple(factors))


def power(base: Expr, exponent: int) -> Expr:
    """x^0 => 1, x^1 => x, (x^a)^b => x^(a b); numbers are evaluated."""
    if exponent == 0:
        return ONE
    if exponent == 1:
        return base
    if isinstance(base, Number):
        return Number(base.value**exponent)
    if isinstance(base, Pow):
        return power(base.base, base.exponent * exponent)
    return Pow(base, exponent)


def total(over: Index | Iterable[Index], body: Expr | Numeric) -> Expr:
    """The sum over `over`; a sum of 0 is 0 and a sum over nothing is the body."""
    indices = (over,) if isinstance(over, Index) else tuple(over)
    node = number(body)
    if not indices or node == ZERO:
        return node
    if isinstance(node, Total) and not set(indices) & set(node.over):
        return Total(indices + node.over, node.body)
    return Total(indices, node)


def indicator(index: Index, form: IndexForm | Index | int) -> Expr:
    """[index = form]: 1 where the position is what the form says, else 0.

    `form`: whole multiples of other indices and a whole number, `stride * t + dilation * k - padding`; positions count
    from 0. A sum over `index` of a product with it is a shift, 0 where the form leaves the axis. Raises TypeError for a
    form with other numbers, and where the index is in the form so that nothing can be solved for a position.

    >>> t, k, u = (Index(Axis(name), letter) for name, letter in (("T", "t"), ("K", "k"), ("U", "u")))
    >>> indicator(u, 2 * t + k - 1)
    [u = 2t + k - 1]
    """
    rest = _form(form) - index  # 0 where it holds
    own = dict(rest.terms)
    if not own:
        return ONE if rest.constant == 0 else ZERO
    solved = next((i for i in (index, *own) if own.get(i) in (1, -1)), None)
    if solved is None:
        raise TypeError(
            f"{index.letter} is on both sides of an indicator: give an index in it the factor 1, and solve for that."
        )
    return Indicator(solved, (rest - own[solved] * solved) * -own[solved])


def least(over: Index, body: Expr) -> Expr:
    """The least value of the body over an index; it is not differentiated, and E may not depend on it."""
    return Extreme("min", (over,), body)


def greatest(over: Index, body: Expr) -> Expr:
    """The greatest value of the body over an index; it is not differentiated, and E may not depend on it."""
    return Extreme("max", (over,), body)


def children(node: Expr) -> tuple[Expr, ...]:
    """The direct parts of a node."""
    match node:
        case Add(terms):
            return terms
        case Mul(factors):
            return factors
        case Pow(base, _) | Total(_, base) | Extreme(_, _, base) | Apply(_, base, _) | Inverse(base):
            return (base,)
        case Number() | Ref() | Indicator() | Written():
            return ()
        case _:
            raise TypeError(f"{type(node).__name__} is no node of the language.")


def refs_in(node: Expr) -> Iterator[Ref]:
    """Every array element that occurs, from left to right, repeated ones too."""
    if isinstance(node, Ref):
        yield node
    for child in children(node):
        yield from refs_in(child)


def indicators_in(node: Expr) -> Iterator[Indicator]:
    """Every indicator that occurs, from left to right, repeated ones too."""
    if isinstance(node, Indicator):
        yield node
    for child in children(node):
        yield from indicators_in(child)


def indices_in(node: Expr) -> Iterator[Index]:
    """Every index of an array element or an indicator, bound or free, repeated ones too."""
    if isinstance(node, Ref | Indicator):
        yield from node.indices
    for child in children(node):
        yield from indices_in(child)


def applied_in(node: Expr) -> Iterator[Apply]:
    """Every function that is applied, from left to right, repeated ones too."""
    if isinstance(node, Apply):
        yield node
    for child in children(node):
        yield from applied_in(child)


def arrays_in(node: Expr) -> tuple[Array, ...]:
    """The arrays that occur, each once, in order of first occurrence."""
    return tuple(dict.fromkeys(ref.array for ref in refs_in(node)))


# ------------------------------------------------------------------------------------- how an expression is written


@dataclass(frozen=True, slots=True, repr=False)
class Written(Expr):
    """A leaf that is written already: the name of one number, w_5, or its digits, -0.5."""

    latex: str
    width: float  # in ordinary letters
    text: str
    atom: bool = True  # False: a power of it needs parentheses in LaTeX


_SUM, _PRODUCT, _POWER, _ATOM = range(4)


def _text(node: Expr) -> tuple[str, int]:
    """The text and how tightly its outermost operator binds."""
    match node:
        case Number(value):
            return str(value), _SUM if value < 0 else _PRODUCT if value.denominator != 1 else _ATOM
        case Written(_, _, text):
            return text, _SUM if text.startswith("-") else _ATOM
        case Ref(array, indices):
            return array.name + (f"[{', '.join(i.letter for i in indices)}]" if indices else ""), _ATOM
        case Indicator(index, form):
            return f"[{index.letter} = {form.spelt()}]", _ATOM
        case Add(terms):
            return " + ".join(_at(term, _SUM) for term in terms).replace("+ -", "- "), _SUM
        case Mul(factors):
            if isinstance(factors[0], Number) and factors[0].value < 0:
                lead = () if factors[0].value == -1 else (Number(-factors[0].value),)
                rest = (*lead, *factors[1:])
                return "-" + (_at(rest[0], _PRODUCT) if len(rest) == 1 else _product(rest)), _SUM
            return _product(factors), _PRODUCT
        case Pow(base, exponent):
            return (f"1/{_at(base, _POWER)}" if exponent == -1 else f"{_at(base, _ATOM)}**{exponent}"), _PRODUCT
        case Total(over, body):
            return f"sum({', '.join(i.letter for i in over)}: {_text(body)[0]})", _ATOM
        case Extreme(kind, over, body):
            return f"{kind}({', '.join(i.letter for i in over)}: {_text(body)[0]})", _ATOM
        case Inverse(Ref(array, indices)):
            return f"inverse({array.name})[{', '.join(i.letter for i in indices)}]", _ATOM
        case Apply(activation, argument, derivative):
            return f"{activation.name}{chr(39) * derivative}({_text(argument)[0]})", _ATOM
    return object.__repr__(node), _ATOM


def _at(node: Expr, level: int) -> str:
    text, own = _text(node)
    return text if own >= level else f"({text})"


def _product(factors: tuple[Expr, ...]) -> str:
    above = [f for f in factors if not (isinstance(f, Pow) and f.exponent < 0)]
    below = [
        Pow(f.base, -f.exponent) if f.exponent < -1 else f.base
        for f in factors
        if isinstance(f, Pow) and f.exponent < 0
    ]
    text = "*".join(_at(f, _POWER) for f in above) or "1"
    return text + "".join("/" + _at(f, _ATOM) for f in below)
