"""The neutral form without arrays: every element is a number of its own, and nothing is left to loop over.

    W1[i, j] * x[j], summed    =>    W1_1_1 * x_1 + W1_1_2 * x_2

Two printers share it. Python numbers: the shortest way through one step of a small network without a compiler. NumPy:
one ufunc per operation into a workspace that is allocated once, over a tile of many networks. Both do the operations
of the C target in its order, and agree with it in every bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from fcsym.errors import CompileError
from fcsym.expression import Axis, Index
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.arrays import literal

__all__ = ["columns", "python_function", "tile_function", "unroll"]


def columns(name: str, shape: tuple[int, ...]) -> list[str]:
    """The names of an array's elements, in row order, counted from 1; a scalar keeps its name."""
    return ["_".join([name, *(str(k + 1) for k in at)]) for at in product(*map(range, shape))]


def unroll(function: n.Function, sizes: Mapping[Axis, int], constants: Mapping[str, n.Values]) -> n.Function:
    """The same function on single numbers: every statement once per element, every Reduce a Sum."""
    statements: list[n.Statement] = []
    for statement in function.statements:
        ranges = [range(sizes[index.axis]) for index in statement.indices]
        for at in product(*ranges):
            where = dict(zip(statement.indices, at, strict=True))
            guard = _unroll_guard(statement.guard, where, sizes, constants) if isinstance(statement, n.Mark) else ()
            if isinstance(statement, n.Mark):
                statements.append(n.Mark((), guard))
            else:
                name = _element(statement.name, at)
                statements.append(n.Define(name, (), _unroll(statement.value, where, sizes, constants)))
    return replace(function, statements=tuple(statements))


def _element(name: str, at: tuple[int, ...]) -> str:
    return "_".join([name, *(str(k + 1) for k in at)])


def _unroll_guard(
    guard: n.Guard, where: Mapping[Index, int], sizes: Mapping[Axis, int], constants: Mapping[str, n.Values]
) -> n.Guard:
    return tuple(
        tuple(replace(test, left=_unroll(test.left, where, sizes, constants)) for test in row) for row in guard
    )


def _unroll(
    node: n.Node, where: Mapping[Index, int], sizes: Mapping[Axis, int], constants: Mapping[str, n.Values]
) -> n.Node:
    def again(part: n.Node) -> n.Node:
        return _unroll(part, where, sizes, constants)

    match node:
        case n.Load(name, indices) if name in constants:
            number: Any = constants[name]
            for index in indices:
                number = number[where[index]]
            return n.Const(number)
        case n.Load(name, indices):
            return n.Load(_element(name, tuple(where[index] for index in indices)), ())
        case n.Sum(terms):
            return n.Sum(tuple((sign, again(term)) for sign, term in terms))
        case n.Product(factors):
            return n.Product(tuple(again(factor) for factor in factors))
        case n.Power(base, exponent):
            return n.Power(again(base), exponent)
        case n.Quotient(above, below):
            return n.Quotient(again(above), again(below))
        case n.Reduce(over, body):
            ranges = [range(sizes[index.axis]) for index in over]
            inner = [
                _unroll(body, {**where, **dict(zip(over, at, strict=True))}, sizes, constants)
                for at in product(*ranges)
            ]
            return inner[0] if len(inner) == 1 else n.Sum(tuple((1, term) for term in inner))
        case n.Extreme(kind, over, (body,)):
            ranges = [range(sizes[index.axis]) for index in over]
            every = [
                _unroll(body, {**where, **dict(zip(over, at, strict=True))}, sizes, constants)
                for at in product(*ranges)
            ]
            return every[0] if len(every) == 1 else n.Extreme(kind, (), tuple(every))
        case n.Select(test, then, otherwise):
            return n.Select(replace(test, left=again(test.left)), again(then), again(otherwise))
        case n.Guarded(above, below, guard):
            return n.Guarded(again(above), again(below), _unroll_guard(guard, where, sizes, constants))
        case n.Call(name, argument):
            return n.Call(name, again(argument))
        case _:
            return node


# ------------------------------------------------------------------------------------------------- Python numbers

_SUM, _PRODUCT, _ATOM = range(3)


def python_function(
    function: n.Function, name: str, read: Sequence[str], given: Sequence[str], results: Sequence[tuple[str, str]]
) -> str:
    """An unrolled function as def name(s), with s a list of the numbers `given`, in that order.

    `read`: those that the function needs. `results`: (what is computed, the given number whose place it takes).
    The function returns whether anything is undefined, where something can be.
    """
    at = {column: k for k, column in enumerate(given)}
    lines = ["undefined = False"] if function.marks else []
    if len(read) == len(given):
        lines.append(f"{', '.join(given)}{',' * (len(given) == 1)} = s")
    else:
        lines += [f"{column} = s[{at[column]}]" for column in read]
    for statement in function.statements:
        if isinstance(statement, n.Mark):
            lines.append(f"undefined = undefined or {_python_guard(statement.guard)}")
        else:
            lines.append(f"{statement.name} = {_python(statement.value)[0]}")
    lines += [f"s[{at[old]}] = {new}" for new, old in results]
    lines += ["return undefined"] if function.marks else []
    return f"def {name}(s=s):\n" + "".join(f"    {line}\n" for line in lines)


def _python(node: n.Node) -> tuple[str, int]:
    match node:
        case n.Const(value):
            return literal(value), _SUM if value < 0 else _ATOM
        case n.Undefined():
            return "nan", _ATOM
        case n.Load(name, _):
            return name, _ATOM
        case n.Sum(terms):
            text = ""
            for sign, term in terms:
                own = _python_at(term, _SUM if sign > 0 and not text else _PRODUCT)
                text += own if sign > 0 and not text else f"-{own}" if not text else f" {'-+'[sign > 0]} {own}"
            return text, _SUM
        case n.Product(factors):
            return " * ".join(_python_at(f, _ATOM if k else _PRODUCT) for k, f in enumerate(factors)), _PRODUCT
        case n.Power(base, exponent):
            return " * ".join([_python_at(base, _ATOM)] * exponent), _PRODUCT
        case n.Quotient(above, below):
            return f"{_python_at(above, _PRODUCT)} / {_python_at(below, _ATOM)}", _PRODUCT
        case n.Select(test, then, otherwise):
            return f"({_python(then)[0]} if {_python_test(test)} else {_python(otherwise)[0]})", _ATOM
        case n.Guarded(above, below, guard):
            quotient = f"{_python_at(above, _PRODUCT)} / {_python_at(below, _ATOM)}"
            return f"({quotient} if {_python_guard(guard)} else 0.0)", _ATOM
        case n.Extreme(kind, _, terms):
            return f"{kind}({', '.join(_python(term)[0] for term in terms)})", _ATOM
        case n.Call(function, argument):
            return f"{function}({_python(argument)[0]})", _ATOM
        case _:
            raise CompileError(f"{type(node).__name__} has no form in single numbers.")


def _python_at(node: n.Node, level: int) -> str:
    text, own = _python(node)
    return text if own >= level else f"({text})"


def _python_test(test: n.Test) -> str:
    return f"{_python_at(test.left, _ATOM)} {test.relation} {literal(test.bound)}"


def _python_guard(guard: n.Guard) -> str:
    return " or ".join("(" + " and ".join(_python_test(test) for test in row) + ")" for row in guard) or "False"


# ------------------------------------------------------------------------------------------------- NumPy tiles


def tile_function(function: n.Function, sizes: Mapping[Axis, int], marks: int) -> tuple[str, int, int]:
    """An unrolled function as def _name(columns..., results..., w, m): (source, workspaces, masks).

    Every operation is one ufunc that writes into `w[k]` (numbers) or `m[k]` (masks), or into its result.
    """
    writer = _Tiles()
    defined = {statement.name for statement in function.statements if isinstance(statement, n.Define)}
    given = [c for array in function.given for c in columns(array.name, n.shape(array.axes, sizes))]
    results = [c for array in function.results for c in columns(array.name, n.shape(array.axes, sizes))]
    for name in results:
        if name in defined:
            writer.places[name] = f"{name}_"
    last: dict[str, int] = {}
    for k, statement in enumerate(function.statements):
        for load in n.loads(statement):
            last[load.name] = k
    for k, statement in enumerate(function.statements):
        if isinstance(statement, n.Mark):
            writer.mark(statement)
        else:
            writer.define(statement.name, statement.value)
        for name in sorted({load.name for load in n.loads(statement) if last[load.name] == k}):
            writer.free(name)
    for name in results:
        if name not in defined:
            writer.lines.append(f"np.copyto({name}_, {name})")
    arguments = [*given, *(f"{name}_" for name in results), *(f"undefined_{k + 1}" for k in range(marks)), "w", "m"]
    head = f"def _{function.name}_tile(\n    {', '.join(arguments)},\n):\n"
    text = head + f'    """{function.title}"""\n' + "".join(f"    {line}\n" for line in writer.lines or ["pass"])
    return text, writer.numbers.most, writer.masks.most


@dataclass(slots=True)
class _Pool:
    """Workspaces, each in use or free."""

    letter: str
    free: list[int] = field(default_factory=list)
    most: int = 0

    def take(self) -> str:
        if not self.free:
            self.free.append(self.most)
            self.most += 1
        return f"{self.letter}[{self.free.pop()}]"

    def give(self, place: str) -> None:
        if place.startswith(f"{self.letter}["):
            self.free.append(int(place[2:-1]))


@dataclass(slots=True)
class _Tiles:
    lines: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)  # where a defined number is
    numbers: _Pool = field(default_factory=lambda: _Pool("w"))
    masks: _Pool = field(default_factory=lambda: _Pool("m"))
    marks: int = 0

    def define(self, name: str, value: n.Node) -> None:
        if isinstance(value, n.Load) and name not in self.places:  # vc = v2: the same numbers
            self.lines.append(f"np.copyto({self._new(name)}, {self._read(value.name)})")
            return
        self._into(value, self._new(name))

    def _new(self, name: str) -> str:
        return self.places.setdefault(name, self.numbers.take() if name not in self.places else "")

    def free(self, name: str) -> None:
        if self.places.get(name, "").startswith("w["):
            self.numbers.give(self.places.pop(name))

    def _read(self, name: str) -> str:
        return self.places.get(name, name)

    def mark(self, statement: n.Mark) -> None:
        self.marks += 1
        place = self._guard(statement.guard)
        if place is not None:
            self.lines.append(f"np.copyto(undefined_{self.marks}, {place})")
            self.masks.give(place)

    def _value(self, node: n.Node) -> str:
        """The text of a number at hand, computed first where it has to be."""
        match node:
            case n.Const(value):
                return literal(value)
            case n.Undefined():
                return "np.nan"
            case n.Load(name, _):
                return self._read(name)
        place = self.numbers.take()
        self._into(node, place)
        return place

    def _apply(self, ufunc: str, out: str, *operands: str) -> None:
        self.lines.append(f"np.{ufunc}({', '.join(operands)}, out={out})")
        self._done(*(operand for operand in operands if operand != out))

    def _done(self, *operands: str) -> None:
        """Workspaces that no defined number is in can be taken again; one that was given twice counts once."""
        for operand in dict.fromkeys(operands):
            if operand not in self.places.values():
                self.numbers.give(operand)

    def _chain(self, ufunc: str, nodes: list[tuple[str, n.Node]], out: str) -> None:
        """((a op b) op c) op d, into out."""
        first = self._value(nodes[0][1])
        if len(nodes) == 1:
            self.lines.append(f"np.copyto({out}, {first})")
            return
        for operator, node in nodes[1:]:
            self._apply(operator, out, first, self._value(node))
            first = out

    def _into(self, node: n.Node, out: str) -> None:
        """out = node. `out` is written last, or holds a partial result that nothing else reads."""
        match node:
            case n.Const() | n.Undefined() | n.Load():
                self.lines.append(f"np.copyto({out}, {self._value(node)})")
            case n.Sum(terms):
                if terms[0][0] < 0:
                    self._apply("negative", out, self._value(terms[0][1]))
                    for sign, term in terms[1:]:
                        self._apply("add" if sign > 0 else "subtract", out, out, self._value(term))
                    return
                self._chain("add", [("add" if sign > 0 else "subtract", term) for sign, term in terms], out)
            case n.Product(factors):
                self._chain("multiply", [("multiply", f) for f in factors], out)
            case n.Power(base, exponent):
                value = self._value(base)
                first = value
                for _ in range(exponent - 1):
                    self.lines.append(f"np.multiply({first}, {value}, out={out})")
                    first = out
                self._done(value)
            case n.Quotient(above, below):
                self._apply("divide", out, self._value(above), self._value(below))
            case n.Select(test, then, otherwise):
                mask = self._test(test)
                first, second = self._value(otherwise), self._value(then)
                if (second, first) == ("1.0", "0.0"):
                    self.lines.append(f"np.copyto({out}, {mask})")
                else:  # three times as fast as a copy where the mask says so
                    self.lines.append(f"np.copyto({out}, np.where({mask}, {second}, {first}))")
                self._done(first, second)
                self.masks.give(mask)
            case n.Guarded(above, below, guard):
                allowed = self._guard(guard) or "False"
                a, b = self._value(above), self._value(below)
                self.lines.append(f"np.copyto({out}, 0.0)")
                self.lines.append(f"np.divide({a}, {b}, out={out}, where={allowed})")
                self._done(a, b)
                self.masks.give(allowed)
            case n.Extreme(kind, _, terms):
                first = self._value(terms[0])
                for term in terms[1:]:
                    other, mask = self._value(term), self.masks.take()
                    self.lines.append(f"np.{'less' if kind == 'min' else 'greater'}({other}, {first}, out={mask})")
                    self.lines.append(f"np.copyto({out}, np.where({mask}, {other}, {first}))")
                    self._done(*(place for place in (first, other) if place != out))
                    self.masks.give(mask)
                    first = out
            case n.Call(function, argument):
                value = self._value(argument)
                self.lines.append(f"np.copyto({out}, {_NUMPY_CALLS[function].format(s=value)})")
                self._done(value)
            case _:
                raise CompileError(f"{type(node).__name__} has no form in single numbers.")

    def _test(self, test: n.Test) -> str:
        value, mask = self._value(test.left), self.masks.take()
        name = {">": "greater", "<=": "less_equal", "==": "equal", "!=": "not_equal"}[test.relation]
        self.lines.append(f"np.{name}({value}, {literal(test.bound)}, out={mask})")
        self._done(value)
        return mask

    def _guard(self, guard: n.Guard) -> str | None:
        rows = []
        for row in guard:
            masks = [self._test(test) for test in row]
            for other in masks[1:]:
                self.lines.append(f"np.logical_and({masks[0]}, {other}, out={masks[0]})")
                self.masks.give(other)
            rows.append(masks[0])
        for other in rows[1:]:
            self.lines.append(f"np.logical_or({rows[0]}, {other}, out={rows[0]})")
            self.masks.give(other)
        return rows[0] if rows else None


NORMAL_CALLS = {name: f"{name}({{s}})" for name in ("normal_cdf", "normal_pdf")}
_NUMPY_CALLS = {
    "tanh": "np.tanh({s})",
    "sigmoid": "sigmoid({s})",
    "softplus": "np.logaddexp(0.0, {s})",
    **NORMAL_CALLS,
}
