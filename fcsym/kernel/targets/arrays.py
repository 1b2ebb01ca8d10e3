"""The neutral form as functions of arrays, one line per statement: NumPy, JAX and PyTorch differ by a few words.

    s1 = np.matvec(W1, x) + b1
    r_new_ratio = np.where(ok, v2_new / np.where(ok, vc, 1.0), 0.0)        nothing is divided where a guard fails

Sums of products become matrix products, everything else is element by element; the index letters say how axes line up,
and every array may have further axes in front. A guarded quotient selects twice, so that neither a warning nor the
derivative of a branch that is not taken ever gets out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.dialect import Dialect
from fcsym.kernel.targets.sums import Sums, literal, positions_test
from fcsym.kernel.windows import free_in
from fcsym.language.expression import Array, Axis, Index
from fcsym.networks.symbols import SAMPLES

__all__ = ["Dialect", "function_text", "literal", "positions_test", "values_text"]

_SUM, _PRODUCT, _ATOM = range(3)


def function_text(
    function: n.Function, dialect: Dialect, name: str = "", constants: Mapping[str, n.Values] | None = None,
    sizes: Mapping[Axis, int] | None = None,
) -> str:  # fmt: skip
    """def name(given): one line per statement; returns the results, and the mask where the function marks."""
    writer = _Writer(dialect, function, {array.name for array in function.given}, sizes=sizes or {})
    used = {load.name for statement in function.statements for load in n.loads(statement)}
    for constant, matrix in (constants or {}).items():
        if constant in used:
            like = function.given[0].name
            writer.lines.append(f"{constant} = {dialect.constant.format(values=values_text(matrix), like=like)}")
    for statement in _last_readers_last(function) if dialect.less else function.statements:
        writer.statement(statement)
    missing = [array for array in function.results if array.name not in writer.known]
    for array in missing:  # nothing is stored yet
        writer.empty(array)
    more = [dialect.capacity] if missing and dialect.capacity else []
    documentation = "\n".join(f"    {line}" for equation in function.equations for line in equation.splitlines())
    documentation = f"\n\n{documentation}\n    " if documentation else ""
    returned = ",\n        ".join((*(a.name for a in function.results), *(["undefined"] if function.marks else [])))
    return (
        f"def {name or function.name}({', '.join([*(array.name for array in function.given), *more])}):\n"
        f'    """{function.title}{documentation}"""\n'
        + "".join(f"    {line}\n" for line in writer.lines)
        + f"    return (\n        {returned},\n    )\n"
    )


def _last_readers_last(function: n.Function) -> list[n.Statement]:
    """C - delta after all else that reads delta, whose place the difference can then take."""
    statements = list(function.statements)
    for own in function.statements:
        if (name := _taken(own, function)) is None:
            continue
        assert isinstance(own, n.Define)
        at = statements.index(own)
        readers = [k for k, s in enumerate(statements) if any(load.name == name for load in n.loads(s))]
        users = [k for k, s in enumerate(statements) if any(load.name == own.name for load in n.loads(s))]
        if readers[-1] > at and all(k > readers[-1] for k in users):
            statements.insert(readers[-1], statements.pop(at))
    return statements


def _taken(statement: n.Statement, function: n.Function) -> str | None:
    """The array that is taken off another one, element by element, where it is a product made here and no result."""
    if not isinstance(statement, n.Define) or len(statement.indices) < 2 or not isinstance(statement.value, n.Sum):
        return None
    match statement.value.terms:
        case ((1, n.Load(_, first)), (-1, n.Load(name, second))) if first == second == statement.indices:
            made = {s.name: s.value for s in function.statements if isinstance(s, n.Define)}
            shared = [value for value in made.values() if isinstance(value, n.Load) and value.name == name]
            fresh = isinstance(made.get(name), n.Product) and not shared
            return name if fresh and all(array.name != name for array in function.results) else None
    return None


def _outer(node: n.Node, axes: tuple[Index, ...]) -> tuple[n.Node, n.Node, n.Node] | None:
    """W_ij - eta delta_i v_j => (W, eta delta, v), where the product is multiplied in that order anyway."""
    if len(axes) != 2 or not _is_matrix_less_product(node):
        return None
    assert isinstance(node, n.Sum)
    (_, matrix), (_, product) = node.terms
    if not isinstance(product, n.Product):
        return None
    *left, right = product.factors
    own = [tuple(load.indices for load in n.loads(factor)) for factor in (*left, right)]
    if own[-1] != (axes[1:],) or {index for loads in own[:-1] for index in loads} - {(), axes[:1]} or not left:
        return None
    if not any(axes[:1] in loads for loads in own[:-1]):
        return None
    return matrix, left[0] if len(left) == 1 else n.Product(tuple(left)), right


def _is_matrix_less_product(node: n.Node) -> bool:
    """W - eta delta v, say."""
    if not isinstance(node, n.Sum) or [sign for sign, _ in node.terms] != [1, -1]:
        return False
    matrix, product = (term for _, term in node.terms)
    return isinstance(matrix, n.Load) and (isinstance(product, n.Product) or _is_sum_of_products(product))


def _is_factor_of_sum(node: n.Node) -> bool:
    """g sum_k W[k, i] delta[n, k]: the sum is an array of its own."""
    if not isinstance(node, n.Product) or len(node.factors) != 2:
        return False
    return isinstance(node.factors[0], n.Load) and _is_sum_of_products(node.factors[1])


def _is_sum_of_products(node: n.Node) -> bool:
    """sum_n delta[n, i] v[n, j]: an array of its own, and not one that is there already, which a selection may be."""
    if not isinstance(node, n.Reduce) or not isinstance(node.body, n.Product):
        return False
    return len(node.body.factors) > 1 and all(isinstance(factor, n.Load) for factor in node.body.factors)


def values_text(values: n.Values) -> str:
    """The numbers of a fixed array as nested lists."""
    parts = [values_text(row) if isinstance(row, tuple) else literal(row) for row in values]
    return f"[{', '.join(parts)}]"


@dataclass(slots=True)
class _Writer:
    """Lines written so far. Expressions come out as (text, how tightly its outermost operator binds)."""

    dialect: Dialect
    function: n.Function
    known: set[str]
    lines: list[str] = field(default_factory=list)
    sizes: Mapping[Axis, int] = field(default_factory=dict)  # those that are known before the program runs
    short: dict[str, set[int]] = field(default_factory=dict)  # which axes of an array are one long and broadcast
    sums: Sums = field(init=False)

    def __post_init__(self) -> None:
        self.sums = Sums(self)

    @property
    def _of_samples(self) -> bool:
        """Whether the function is one of a mini-batch, whose selections are long and without a pattern."""
        return any(axis == SAMPLES for array in self.function.given for axis in array.axes)

    def statement(self, statement: n.Statement) -> None:
        if isinstance(statement, n.Mark):
            none = self.dialect.false.format(like="vc")  # where nothing is guarded, units are
            self.lines.append(f"undefined = {self._guard(statement.guard, statement.indices) or none}")
            return
        name, axes, value = statement.name, statement.indices, statement.value
        lacks = set() if isinstance(value, n.Const) else set(axes) - self._long_in(value)
        like = self._like(statement)
        if isinstance(value, n.Const) and like:
            self.lines.append(f"{name} = {self.dialect.module}.full_like({like}, {literal(value.value)})")
        elif isinstance(value, n.Const) and not axes:
            self.lines.append(f"{name} = {self.sums.scalar(literal(value.value))}")
        elif isinstance(value, n.Const):  # in the shape that arrays at hand have together
            likes = [f"{self.dialect.module}.zeros_like({self._only(index, axes)})" for index in axes]
            self.lines.append(f"{name} = {' + '.join([*likes, self._at(value, axes, _PRODUCT)])}")
        elif isinstance(value, n.Guarded):
            m = self.dialect.module
            ok = f"{name}_ok"
            self.lines.append(f"{ok} = {self._guard(value.guard, axes)}")
            above, below = self._at(value.above, axes, _PRODUCT), self._at(value.below, axes, _ATOM)
            self.lines.append(f"{name} = {m}.where({ok}, {above} / {m}.where({ok}, {below}, 1.0), 0.0)")
        elif self.dialect.less_outer and (parts := _outer(value, axes)):
            w = self.expression(parts[0], axes)[0]
            a, b = (self.expression(part, axes[k : k + 1])[0] for k, part in enumerate(parts[1:]))
            self.lines.append(f"{name} = {self.dialect.less_outer.format(w=w, a=a, b=b)}")
        elif self.dialect.less and (
            (len(axes) > 1 and _is_matrix_less_product(value)) or self._is_last_to_read(statement)
        ):
            assert isinstance(value, n.Sum)
            a, b = (self.expression(term, axes)[0] for _, term in value.terms)
            self.lines.append(f"{name} = {self.dialect.less.format(a=a, b=b)}")
        elif self.dialect.times and len(axes) > 1 and _is_factor_of_sum(value):
            assert isinstance(value, n.Product)
            a, b = (self.expression(factor, axes)[0] for factor in value.factors)
            self.lines.append(f"{name} = {self.dialect.times.format(a=a, b=b)}")
        elif like and self._lacks_an_axis(statement):  # which costs no addition
            m = self.dialect.module
            text = self.expression(value, axes)[0]
            self.lines.append(f"{name} = {m}.where({m}.zeros_like({like}) == 0.0, {text}, 0.0)")
            lacks = set()
        elif summed := self._lacking_and_summed(statement):
            m = self.dialect.module
            likes = [f"({m}.zeros_like({self._only(index, axes)}) == 0.0)" for index in summed]
            lacks -= set(summed)
            self.lines.append(f"{name} = {m}.where({' & '.join(likes)}, {self.expression(value, axes)[0]}, 0.0)")
        else:
            self.lines.append(f"{name} = {self.expression(value, axes)[0]}")
        self.known.add(name)
        self.short[name] = {axes.index(index) for index in lacks}

    def _is_last_to_read(self, statement: n.Define) -> bool:
        """Whether it takes off an array that no line after it reads."""
        name = _taken(statement, self.function)
        rest = [s for s in self.function.statements if not isinstance(s, n.Define) or s.name not in self.known]
        return name is not None and all(load.name != name for s in rest if s is not statement for load in n.loads(s))

    def empty(self, array: Array) -> None:
        """No rows yet, or as many free ones as the target has room for; the others' widths are those of W1."""
        rows = self.dialect.capacity or "0"
        first = next(given for given in self.function.given if len(given.axes) == 2)
        width = f"{first.name}.shape[{first.axes.index(array.axes[-1]) - 2}]"
        self.lines.append(
            f"{array.name} = {self.dialect.zeros.format(shape=f'(*{first.name}.shape[:-2], {rows}, {width})')}"
        )

    @staticmethod
    def _lacks_an_axis(statement: n.Define) -> bool:
        """Whether no element in the text has some axis of the result, which an array at hand that has them all lends.

        Without such an array the axis stays one long, as where it is one unit long, and broadcasts, unless a sum runs
        over it (`_lacking_and_summed`).
        """
        return not set(statement.indices) <= set(free_in(statement.value))

    def _like(self, statement: n.Define) -> str | None:
        """An array at hand with the axes of what is defined, each as long as it is; None where there is none."""
        wanted = tuple(index.axis for index in statement.indices)
        known = (name for name, axes in self.function.axes.items() if axes == wanted and name in self.known)
        return next((name for name in known if not self.short.get(name)), None)

    def _long_in(self, node: n.Node) -> set[Index]:
        """The free indices along which something in a node is as long as the axis."""
        if isinstance(node, n.Load):
            return {index for k, index in enumerate(node.indices) if k not in self.short.get(node.name, ())}
        if isinstance(node, n.Inverse | n.Indicator):
            return set(free_in(node))
        bound = set(node.over) if isinstance(node, n.Reduce | n.Extreme) else set()
        return set[Index]().union(*map(self._long_in, n.parts(node))) - bound

    def _lacking_and_summed(self, statement: n.Define) -> list[Index]:
        """The axes of the result that no element in the text has, and that a sum runs over in what is made of it."""
        lacks = set(statement.indices) - set(free_in(statement.value))
        short = {statement.name: {k for k, index in enumerate(statement.indices) if index in lacks}}  # one long
        if not lacks:
            return []
        found: set[int] = set()

        def look(node: n.Node, over: frozenset[Index]) -> set[Index]:
            """The indices of what is short, in one value."""
            if isinstance(node, n.Load):
                own = {node.indices[k] for k in short.get(node.name, ())}
                found.update(statement.indices.index(i) for i in lacks if {o.axis for o in own & over} & {i.axis})
                return own
            more = over | frozenset(node.over) if isinstance(node, n.Reduce) else over
            return set().union(*(look(part, more) for part in n.parts(node)))

        for later in self.function.statements[self.function.statements.index(statement) + 1 :]:
            if isinstance(later, n.Define):
                own = look(later.value, frozenset())
                short[later.name] = {k for k, index in enumerate(later.indices) if index in own}
        return [index for k, index in enumerate(statement.indices) if k in found]

    def _only(self, index: Index, axes: tuple[Index, ...]) -> str:
        """An array at hand that has the axis, with that axis alone, lined up with those of the left-hand side."""
        for name, own in self.function.axes.items():
            if self.has(name, index.axis):
                place = own.index(index.axis)
                first = [":" if k == place else "0" for k in range(len(own))]
                text = name if len(own) == 1 else f"{name}[..., {', '.join(first)}]"
                after = ", ".join(":" if other == index else "None" for other in axes)
                return text if len(axes) == 1 else f"{text}[..., {after}]"
        raise CompileError(f"No array at hand has the axis {index.axis.name}.")

    def has(self, name: str, axis: Axis) -> bool:
        """Whether an array is at hand that has the axis, and as long as it is."""
        own = self.function.axes[name]
        return name in self.known and axis in own and own.index(axis) not in self.short.get(name, ())

    # ------------------------------------------------------------------------------------------- expressions

    def expression(self, node: n.Node, axes: tuple[Index, ...]) -> tuple[str, int]:
        m = self.dialect.module
        match node:
            case n.Const(value):
                return literal(value), _SUM if value < 0 else _ATOM
            case n.Undefined():
                return f"{m}.nan", _ATOM
            case n.Load(name, indices):
                return self.element(name, indices, axes), _ATOM
            case n.Indicator():
                return self.element(self.sums.shift(node), node.indices, axes), _ATOM
            case n.Sum(terms):
                text = ""
                for sign, term in terms:
                    own = self._at(term, axes, _SUM if sign > 0 and not text else _PRODUCT)
                    text += own if sign > 0 and not text else f"-{own}" if not text else f" {'-+'[sign > 0]} {own}"
                return text, _SUM
            case n.Product(factors):
                return " * ".join(self._at(f, axes, _ATOM if k else _PRODUCT) for k, f in enumerate(factors)), _PRODUCT
            case n.Power(base, exponent):
                return f"{self._at(base, axes, _ATOM)} ** {exponent}", _PRODUCT
            case n.Quotient(above, below):
                return f"{self._at(above, axes, _PRODUCT)} / {self._at(below, axes, _ATOM)}", _PRODUCT
            case n.Reduce(over, body):
                return self.sums.of(over, body, axes), _ATOM
            case n.Extreme(kind, over, (body,)):
                text = self.expression(body, (*axes, *over))[0]
                for _ in over:  # along the last axis, which is gone then
                    text = self.dialect.extreme.format(kind=kind, text=text)
                return text, _ATOM
            case n.Inverse(name, indices) if self.dialect.inverse and indices == axes:
                return self.dialect.inverse.format(a=name), _ATOM
            case n.Select():
                return self._select(node, axes), _ATOM
            case n.Call(function, argument):
                return self.dialect.smooth[function].format(s=self.expression(argument, axes)[0]), _ATOM
            case _:
                raise CompileError(f"{type(node).__name__} has no array form in this place.")

    def _at(self, node: n.Node, axes: tuple[Index, ...], level: int) -> str:
        result, own = self.expression(node, axes)
        return result if own >= level else f"({result})"

    def _select(self, node: n.Select, axes: tuple[Index, ...]) -> str:
        test = self._test(node.test, axes)
        then, otherwise = self.expression(node.then, axes)[0], self.expression(node.otherwise, axes)[0]
        alone = node.otherwise == n.Const(Fraction(0)) and not isinstance(node.then, n.Const | n.Undefined)
        if alone and self.dialect.masked and self._of_samples:
            if node.test == n.Test(node.then, ">", Fraction(0)):
                return f"{self.dialect.module}.maximum({then}, 0.0)"
            return self.dialect.masked.format(value=then, test=test)
        both = isinstance(node.then, n.Const | n.Undefined) and isinstance(node.otherwise, n.Const | n.Undefined)
        if not both:
            return f"{self.dialect.module}.where({test}, {then}, {otherwise})"
        like = next(load for load in n.loads(node.test.left))  # literals alone would have a type of their own
        then = self.dialect.scalar_pair.format(like=like.name, value=then)
        text = f"{self.dialect.module}.where({test}, {then}, {otherwise})"
        return self.dialect.cast.format(text=text, like=like.name)

    def _test(self, test: n.Test, axes: tuple[Index, ...]) -> str:
        return f"{self._at(test.left, axes, _ATOM)} {test.relation} {literal(test.bound)}"

    def _guard(self, guard: n.Guard, axes: tuple[Index, ...]) -> str:
        rows = [" & ".join(f"({self._test(test, axes)})" for test in row) for row in guard]
        return rows[0] if len(rows) == 1 else " | ".join(f"({row})" for row in rows)

    def element(self, name: str, indices: tuple[Index, ...], axes: tuple[Index, ...]) -> str:
        """An array with its axes lined up with those of the left-hand side."""
        if len(set(indices)) != len(indices):
            raise CompileError(f"{name} is given one index twice, which has no array form.")
        places = [axes.index(index) for index in indices]
        if places != sorted(places):
            letters = dict(zip(indices, "abcdefghijklmnop", strict=False))
            indices = tuple(sorted(indices, key=axes.index))
            inside, outside = ("".join(letters[i] for i in order) for order in (letters, indices))
            name, places = f'{self.dialect.module}.einsum("...{inside}->...{outside}", {name})', sorted(places)
        if len(places) == len(axes):
            return name
        marks = [":" if n in places else "None" for n in range(len(axes))]
        return f"{name}[..., {', '.join(marks)}]"
