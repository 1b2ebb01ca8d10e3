"""The neutral form without arrays: every element is a number of its own, and nothing is left to loop over.

    W1[i, j] * x[j], summed    =>    W1_1_1 * x_1 + W1_1_2 * x_2

Printed as Python numbers it is the shortest way through one step of a small network without a compiler. It does the
operations of the C target in its order, and agrees with it in every bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.common import shared
from fcsym.kernel.targets.arrays import literal
from fcsym.language.expression import Axis, Index

__all__ = ["columns", "python_function", "unroll"]


def columns(name: str, shape: tuple[int, ...]) -> list[str]:
    """The names of an array's elements, in row order, counted from 1; a scalar keeps its name."""
    return ["_".join([name, *(str(k + 1) for k in at)]) for at in product(*map(range, shape))]


def unroll(function: n.Function, sizes: Mapping[Axis, int], constants: Mapping[str, n.Values]) -> n.Function:
    """The same function on single numbers: every statement once per element, every Reduce a Sum, nothing twice."""
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
    return shared(replace(function, statements=tuple(statements)))


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
        case n.Indicator():
            return n.Const(Fraction(node.at(where)))
        case n.Product() if (split := n.without_indicators(node))[0]:
            return again(split[1]) if all(one.at(where) for one in split[0]) else n.Const(Fraction(0))
        case n.Reduce(over, body):
            ranges = [range(sizes[index.axis]) for index in over]
            tests = n.without_indicators(body)[0]
            every = [{**where, **dict(zip(over, at, strict=True))} for at in product(*ranges)]
            present = [at for at in every if all(one.at(at) for one in tests)]
            inner = [_unroll(body, at, sizes, constants) for at in present]
            if not inner:
                return n.Const(Fraction(0))
            return inner[0] if len(inner) == 1 else n.Sum(tuple((1, term) for term in inner))
        case n.Extreme(kind, over, (body,)):
            ranges = [range(sizes[index.axis]) for index in over]
            terms = [
                _unroll(body, {**where, **dict(zip(over, at, strict=True))}, sizes, constants)
                for at in product(*ranges)
            ]
            return terms[0] if len(terms) == 1 else n.Extreme(kind, (), tuple(terms))
        case _:
            return n.rebuilt(node, again)


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
    needed = {load.name for statement in function.statements for load in n.loads(statement)}
    own = {new: f"s[{at[old]}]" for new, old in results if new not in needed}  # what nothing else reads has its place
    for statement in function.statements:
        if isinstance(statement, n.Mark):
            lines.append(f"undefined = undefined or {_python_guard(statement.guard)}")
        else:
            lines.append(f"{own.get(statement.name, statement.name)} = {_python(statement.value)[0]}")
    lines += [f"s[{at[old]}] = {new}" for new, old in results if new in needed]
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
