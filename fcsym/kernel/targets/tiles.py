"""NumPy for small networks: element by element over tiles of many networks, which are the last axis of every array.

    np.multiply(W1, x, out=w0)
    np.add(w0[:, 0], w0[:, 1], out=w1)  # s1

Every operation is one ufunc over all elements of an array, into a workspace that is allocated once. A sum is added term
by term in row order, so that the C target, which does the same operations in the same order, agrees in every bit.
Selections work on bits and not on numbers: `np.where` branches for every element, and half the guesses are wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeAlias

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.arrays import literal, positions_test
from fcsym.language.expression import Axis, Index

__all__ = ["CALLS", "Tile", "tile_function"]

CALLS = {
    "tanh": "np.tanh({s})",
    "sigmoid": "sigmoid({s})",
    "softplus": "np.logaddexp(0.0, {s})",
    "normal_cdf": "normal_cdf({s})",
    "normal_pdf": "normal_pdf({s})",
    "exp": "np.exp({s})",
    "expm1": "np.expm1({s})",
    "log": "np.log({s})",
    "log1p": "np.log1p({s})",
    "sqrt": "np.sqrt({s})",
    "erf": "error_function({s})",
    "atan": "np.arctan({s})",
    "sin": "np.sin({s})",
    "cos": "np.cos({s})",
    "Abs": "np.abs({s})",
}
"""Functions of an array in NumPy; what it does not have is written beside the source."""

_RELATIONS = {">": "greater", "<=": "less_equal", "==": "equal", "!=": "not_equal"}
_Indices: TypeAlias = "tuple[Index, ...]"
_TestKey: TypeAlias = "tuple[str, str, object]"


@dataclass(frozen=True, slots=True)
class Tile:
    """A function of arrays whose last axis is the networks, and the workspaces it needs."""

    text: str
    constants: tuple[str, ...]  # fixed arrays that it is given as well
    numbers: tuple[tuple[int, ...], ...]  # the shapes of its workspaces, without the networks
    masks: tuple[tuple[int, ...], ...]
    bits: tuple[tuple[int, ...], ...]  # masks as whole numbers, all bits 0 or all 1
    marks: int  # elements that may be undefined


def tile_function(function: n.Function, sizes: Mapping[Axis, int], constants: Mapping[str, n.Values]) -> Tile:
    """A function as def _NAME_tile(given, constants, results, undefined, w, m, on, bits)."""
    read = {load.name for statement in function.statements for load in n.loads(statement)}
    used = tuple(name for name in constants if name in read)
    writer = _Writer(sizes)
    defined = {statement.name for statement in function.statements if isinstance(statement, n.Define)}
    results = [f"{array.name}_" for array in function.results]
    for array in function.results:
        if array.name in defined:
            writer.places[array.name] = f"{array.name}_"
    last = {load.name: k for k, statement in enumerate(function.statements) for load in n.loads(statement)}
    for statement in function.statements:
        writer.expect(statement)
    for k, statement in enumerate(function.statements):
        writer.statement(statement)
        for name in dict.fromkeys(load.name for load in n.loads(statement) if last[load.name] == k):
            writer.forget(name)
    writer.lines += [f"np.copyto({a.name}_, {a.name})" for a in function.results if a.name not in defined]
    lines = [
        f"{', '.join(f'{pool.letter}{k}' for k in range(len(pool.shapes)))}, = {pool.letter}"
        for pool in (writer.numbers, writer.masks, writer.bits)
        if pool.shapes
    ]
    arguments = [*(array.name for array in function.given), *used, *results, "undefined", "w", "mask", "on", "bits"]
    head = f"def _{function.name}_tile(\n    {', '.join(arguments)},\n):\n"
    text = f'{head}    """{function.title}"""\n' + "".join(f"    {line}\n" for line in [*lines, *writer.lines])
    shapes = [tuple(tuple(shape) for shape in pool.shapes) for pool in (writer.numbers, writer.masks, writer.bits)]
    return Tile(text, used, shapes[0], shapes[1], shapes[2], writer.marks)


@dataclass(slots=True)
class _Pool:
    """Workspaces, each in use or free."""

    letter: str
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    free: list[int] = field(default_factory=list)

    def take(self, shape: tuple[int, ...]) -> str:
        k = next((k for k in reversed(self.free) if self.shapes[k] == shape), None)
        if k is None:
            self.shapes.append(shape)
            return f"{self.letter}{len(self.shapes) - 1}"
        self.free.remove(k)
        return f"{self.letter}{k}"

    def give(self, place: str) -> None:
        self.free.append(int(place[len(self.letter) :]))


@dataclass(frozen=True, slots=True)
class _Operand:
    """A value: its text, the indices of its axes in order, and the workspace that is free once it has been used."""

    text: str
    indices: _Indices = ()
    holds: str = ""

    @property
    def own(self) -> bool:
        """Whether it is a workspace that can be written to."""
        return bool(self.holds) and self.text == self.holds

    def along(self, indices: _Indices) -> str:
        """The text with its axes lined up with these."""
        if not self.indices or self.indices == indices:
            return self.text
        order = sorted(range(len(self.indices)), key=lambda k: indices.index(self.indices[k]))
        text = self.text
        if order != list(range(len(order))):
            text += f".transpose({', '.join(map(str, [*order, len(order)]))})"
        marks = [":" if index in self.indices else "None" for index in indices]
        while marks[0] == "None":  # axes in front line up by themselves
            marks.pop(0)
        return f"{text}[{', '.join(marks)}]" if "None" in marks else text


@dataclass(slots=True)
class _Writer:
    sizes: Mapping[Axis, int]
    lines: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)  # where a defined array is
    numbers: _Pool = field(default_factory=lambda: _Pool("w"))
    masks: _Pool = field(default_factory=lambda: _Pool("mask"))
    bits: _Pool = field(default_factory=lambda: _Pool("on"))
    tests: Counter[_TestKey] = field(default_factory=Counter)  # selections still to come
    held: dict[_TestKey, str] = field(default_factory=dict)  # masks that one of them will read
    marks: int = 0

    # ---------------------------------------------------------------------------------------------- statements

    def expect(self, statement: n.Statement) -> None:
        """Count the tests of selections, so that each is made once."""

        def within(node: n.Node) -> None:
            if isinstance(node, n.Select) and isinstance(node.test.left, n.Load):
                self.tests[_key(node.test)] += 1
            for part in n.parts(node):
                within(part)

        if isinstance(statement, n.Define):
            within(statement.value)

    def statement(self, statement: n.Statement) -> None:
        if isinstance(statement, n.Mark):
            self._mark(statement)
            return
        name, indices = statement.name, statement.indices
        if name in self.places:  # a result
            self._give(self._into(statement.value, indices, _Operand(self.places[name], indices)))
            return
        value = self._value(statement.value, indices)
        if not value.own or value.indices != indices:
            own = self._new(indices)
            self.lines.append(f"np.copyto({own.text}, {value.along(indices)})")
            self._give(value)
            value = own
        self.places[name] = value.text
        self.lines[-1] += f"  # {name}"

    def forget(self, name: str) -> None:
        """Nothing reads this array from here on."""
        if self.places.get(name, "").removeprefix("w").isdigit():
            self.numbers.give(self.places.pop(name))

    def _mark(self, statement: n.Mark) -> None:
        count = len(list(product(*(range(self.sizes[index.axis]) for index in statement.indices))))
        rows = f"undefined[{self.marks}:{self.marks + count}]"
        self.marks += count
        if not statement.guard:
            return
        shape = "".join(f"{self.sizes[index.axis]}, " for index in statement.indices)
        mask = self._guard(statement.guard, statement.indices)
        rows = rows if len(statement.indices) == 1 else f"{rows}.reshape({shape}-1)"
        self.lines.append(f"np.copyto({rows}, {mask.along(statement.indices)})")
        self.masks.give(mask.holds)

    # ---------------------------------------------------------------------------------------------- workspaces

    def _new(self, indices: _Indices) -> _Operand:
        place = self.numbers.take(self._shape(indices))
        return _Operand(place, indices, place)

    def _shape(self, indices: _Indices) -> tuple[int, ...]:
        return tuple(self.sizes[index.axis] for index in indices)

    def _give(self, *operands: _Operand) -> None:
        for place in dict.fromkeys(operand.holds for operand in operands if operand.holds):
            self.numbers.give(place)

    def _apply(self, ufunc: str, operands: Sequence[_Operand], indices: _Indices, out: _Operand | None) -> _Operand:
        """One operation over all elements, into `out`, the place of an operand that is not needed, or a new place."""
        own = next((operand for operand in operands if operand.own and operand.indices == indices), None)
        target = out or own or self._new(indices)
        texts = ", ".join(operand.along(indices) for operand in operands)
        self.lines.append(f"np.{ufunc}({texts}, out={target.text})")
        self._give(*(operand for operand in operands if operand.holds != target.holds))
        return target

    # --------------------------------------------------------------------------------------------- expressions

    def _into(self, node: n.Node, loop: _Indices, out: _Operand) -> _Operand:
        """The value in a place that is given."""
        value = self._value(node, loop, out)
        if value.text != out.text:
            self.lines.append(f"np.copyto({out.text}, {value.along(out.indices)})")
            self._give(value)
        return out

    def _value(self, node: n.Node, loop: _Indices, out: _Operand | None = None) -> _Operand:
        """The value, in `out` where it is computed with the axes of that, and in a place of its own elsewhere."""
        match node:
            case n.Const(value):
                return _Operand(literal(value))
            case n.Undefined():
                return _Operand("np.nan")
            case n.Load(name, indices):
                return _Operand(self.places.get(name, name), indices)
            case n.Indicator():
                indices = _union(loop, node.indices)
                return _Operand(
                    f"({positions_test(node, indices, self._shape(indices), 'np.arange({n})')})[..., None]", indices
                )
            case n.Sum(terms):
                return self._sum(terms, loop, out)
            case n.Product(factors):
                return self._chain([("multiply", factor) for factor in factors], loop, out)
            case n.Power(base, exponent):
                factor = self._value(base, loop)
                power = borrowed = replace(factor, holds="")
                for k in range(exponent - 1):
                    last = out if k == exponent - 2 and out and out.indices == factor.indices else None
                    power = self._apply("multiply", (power, borrowed), factor.indices, last)
                self._give(factor)
                return power
            case n.Quotient(above, below):
                return self._chain([("", above), ("divide", below)], loop, out)
            case n.Reduce(over, body):
                return self._reduce("add", over, body, loop, out)
            case n.Extreme(kind, over, (body,)):
                return self._reduce("less" if kind == "min" else "greater", over, body, loop, out)
            case n.Select():
                return self._select(node, loop, out)
            case n.Guarded(above, below, guard):
                allowed = self._guard(guard, loop)
                a, b = self._value(above, loop), self._value(below, loop)
                indices = _union(loop, a.indices, b.indices, allowed.indices)
                target = out if out and out.indices == indices else self._new(indices)
                self.lines.append(f"np.copyto({target.text}, 0.0)")
                self.lines.append(
                    f"np.divide({a.along(indices)}, {b.along(indices)}, out={target.text}, "
                    f"where={allowed.along(indices)})"
                )
                self._give(a, b)
                self.masks.give(allowed.holds)
                return target
            case n.Call(function, argument):
                s = self._value(argument, loop)
                target = out if out and out.indices == s.indices else self._new(s.indices)
                self.lines.append(f"np.copyto({target.text}, {CALLS[function].format(s=s.text)})")
                self._give(s)
                return target
            case _:
                raise CompileError(f"{type(node).__name__} has no form over tiles of networks.")

    def _sum(self, terms: Sequence[tuple[int, n.Node]], loop: _Indices, out: _Operand | None) -> _Operand:
        if terms[0][0] > 0:
            return self._chain([("add" if sign > 0 else "subtract", term) for sign, term in terms], loop, out)
        value = self._value(terms[0][1], loop)
        last = out if len(terms) == 1 and out and out.indices == value.indices else None
        first = self._apply("negative", (value,), value.indices, last)
        return self._chain([("add" if sign > 0 else "subtract", term) for sign, term in terms[1:]], loop, out, first)

    def _chain(
        self,
        nodes: Sequence[tuple[str, n.Node]],
        loop: _Indices,
        out: _Operand | None,
        first: _Operand | None = None,
    ) -> _Operand:
        """((a op b) op c) op d."""
        rest = list(nodes)
        result = first or self._value(rest.pop(0)[1], loop)
        for k, (ufunc, node) in enumerate(rest, 1):
            other = self._value(node, loop)
            indices = _union(loop, result.indices, other.indices)
            last = out if k == len(rest) and out and out.indices == indices else None
            result = self._apply(ufunc, (result, other), indices, last)
        return result

    def _reduce(self, ufunc: str, over: _Indices, body: n.Node, loop: _Indices, out: _Operand | None) -> _Operand:
        """The terms of all elements at once, and then added or compared one after another."""
        natural: _Indices = max((load.indices for load in n.loads(body)), key=len, default=())
        terms = self._value(body, tuple(dict.fromkeys((*natural, *loop, *over))))
        if any(index not in terms.indices for index in over):
            raise CompileError("A sum or extreme of terms without its index has no form over tiles of networks.")
        kept = tuple(index for index in terms.indices if index not in over)
        rows = []
        for at in product(*(range(self.sizes[index.axis]) for index in over)):
            where = dict(zip(over, map(str, at), strict=True))
            marks = [where.get(index, ":") for index in terms.indices]
            while marks[-1] == ":":  # the last axes are whole by themselves
                marks.pop()
            rows.append(_Operand(f"{terms.text}[{', '.join(marks)}]", kept, terms.holds))
        if len(rows) == 1:
            return rows[0]
        result = out if out and out.indices == kept else self._new(kept)
        before = rows[0]
        mask = self.masks.take(self._shape(kept)) if ufunc != "add" else ""
        for row in rows[1:]:
            if mask:
                self.lines.append(f"np.{ufunc}({row.text}, {before.text}, out={mask})")
                self.lines.append(f"np.copyto({result.text}, np.where({mask}, {row.text}, {before.text}))")
            else:
                self.lines.append(f"np.add({before.text}, {row.text}, out={result.text})")
            before = result
        if mask:
            self.masks.give(mask)
        self._give(terms)
        return result

    # -------------------------------------------------------------------------------------------------- choices

    def _select(self, node: n.Select, loop: _Indices, out: _Operand | None) -> _Operand:
        """otherwise ^ ((then ^ otherwise) & mask), in bits; then & mask where the other value is 0."""
        mask = self._bits(node.test, loop)
        otherwise = self._value(node.otherwise, loop)
        then = self._value(node.then, loop)
        zero = isinstance(node.otherwise, n.Const) and not node.otherwise.value
        indices = _union(loop, mask.indices, then.indices, otherwise.indices)
        own = then if then.own and then.indices == indices else None
        target = out if out and out.indices == indices else own or self._new(indices)
        none = isinstance(node.then, n.Const) and not node.then.value
        if not zero and not isinstance(node.otherwise, n.Load) and not otherwise.own:
            filled = self._new(indices)
            self.lines.append(f"np.copyto({filled.text}, {otherwise.along(indices)})")
            self._give(otherwise)
            otherwise = filled
        if isinstance(node.then, n.Const | n.Undefined) and not none:
            self.lines.append(f"np.copyto({target.text}, {then.text})")
            then = target
        given, made, gate = _bits(then, indices), f"{target.text}.view(bits)", mask.along(indices)
        if zero:
            self.lines.append(f"np.bitwise_and({given}, {gate}, out={made})")
        else:
            other = _bits(otherwise, indices)
            if not none:
                self.lines.append(f"np.bitwise_xor({given}, {other}, out={made})")
            self.lines.append(f"np.bitwise_and({other if none else made}, {gate}, out={made})")
            self.lines.append(f"np.bitwise_xor({made}, {other}, out={made})")
        self._give(*(operand for operand in (then, otherwise) if operand.holds != target.holds))
        self._release(node.test, mask)
        return target

    def _bits(self, test: n.Test, loop: _Indices) -> _Operand:
        """All bits of a whole number where the test holds, and none elsewhere."""
        if isinstance(test.left, n.Load) and (place := self.held.get(_key(test))):
            return _Operand(place, test.left.indices, place)
        mask = self._test(test, loop)
        place = self.bits.take(self._shape(mask.indices))
        self.lines.append(f"np.copyto({place}, {mask.text})")
        self.lines.append(f"np.negative({place}, out={place})")
        self.masks.give(mask.holds)
        if isinstance(test.left, n.Load):
            self.held[_key(test)] = place
        return _Operand(place, mask.indices, place)

    def _release(self, test: n.Test, mask: _Operand) -> None:
        if isinstance(test.left, n.Load):
            self.tests[_key(test)] -= 1
            if self.tests[_key(test)]:
                return
            del self.held[_key(test)]
        self.bits.give(mask.holds)

    def _test(self, test: n.Test, loop: _Indices) -> _Operand:
        value = self._value(test.left, loop)
        place = self.masks.take(self._shape(value.indices))
        self.lines.append(f"np.{_RELATIONS[test.relation]}({value.text}, {literal(test.bound)}, out={place})")
        self._give(value)
        return _Operand(place, value.indices, place)

    def _guard(self, guard: n.Guard, loop: _Indices) -> _Operand:
        rows = [self._combined("logical_and", [self._test(test, loop) for test in row], loop) for row in guard]
        return self._combined("logical_or", rows, loop)

    def _combined(self, ufunc: str, masks: Sequence[_Operand], loop: _Indices) -> _Operand:
        result = masks[0]
        for other in masks[1:]:
            indices = _union(loop, result.indices, other.indices)
            place = next((m.text for m in (result, other) if m.indices == indices), "")
            place = place or self.masks.take(self._shape(indices))
            self.lines.append(f"np.{ufunc}({result.along(indices)}, {other.along(indices)}, out={place})")
            for mask in (result, other):
                if mask.holds != place:
                    self.masks.give(mask.holds)
            result = _Operand(place, indices, place)
        return result


def _key(test: n.Test) -> _TestKey:
    """What a test asks of a whole array, whatever letters its indices have."""
    assert isinstance(test.left, n.Load)
    return test.left.name, test.relation, test.bound


def _bits(operand: _Operand, indices: _Indices) -> str:
    return f"{operand.along(indices)}.view(bits)"


def _union(loop: _Indices, *several: _Indices) -> _Indices:
    """All indices, in the order of the loop; those it does not have come last."""
    found = dict.fromkeys(index for indices in several for index in indices)
    return tuple(sorted(found, key=lambda index: loop.index(index) if index in loop else len(loop)))
