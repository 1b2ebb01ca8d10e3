"""Sums of the neutral form as expressions of arrays: matrix products, einsums, and the windows that indicators make.

    s1 = np.matvec(W1, x) + b1
    read1 = windows(x, ((-1, -1, (2, 1), (4, 3)),))                      an axis read at 2t + k - 1: axes for t and k
    added_up(term, -1, 7, -1, 2, ((-2, 3, 1),))                            the terms of t and k added up at 2t + k - 1

What a sum with indicators asks for is decided in `windows`; here it gets words. Where NumPy multiplies arrays of more
than two axes, the axes are grouped into those of matrices, so that the linear algebra library does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Protocol, TypeAlias

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.dialect import Dialect
from fcsym.kernel.windows import Operand, Place, Span, by_length, reading
from fcsym.language.expression import Axis, Index, IndexForm

__all__ = ["Sums", "literal", "positions_test"]

_SHORT = 64  # places on the axes of a window up to which an array is added for each: NumPy is slow along short axes

_Indices: TypeAlias = "tuple[Index, ...]"


def literal(value: object) -> str:
    """An exact number as the text of the nearest float64."""
    return repr(float(value))  # type: ignore[arg-type]


def _positions(axes: _Indices, lengths: Sequence[object], arange: str) -> dict[Index, str]:
    """The places along each axis, as the text of an array that lines up with all axes; `arange` has {n}."""
    last = len(axes) - 1
    after = [", None" * (last - k) for k in range(len(axes))]
    texts = [arange.replace("{n}", str(length)) for length in lengths]
    return {i: text + (f"[:{more}]" if more else "") for i, text, more in zip(axes, texts, after, strict=True)}


def positions_test(node: n.Indicator, axes: _Indices, lengths: Sequence[object], arange: str) -> str:
    """The comparison of an indicator's positions as the text of a mask with these axes; `arange` has {n}."""
    names = _positions(axes, lengths, arange)
    return f"{names[node.index]} == {node.form.spelt(' * ', names)}"


class Writer(Protocol):
    """What writes the statements of a function, as far as sums need it."""

    dialect: Dialect
    function: n.Function
    lines: list[str]
    sizes: Mapping[Axis, int]

    def expression(self, node: n.Node, axes: _Indices) -> tuple[str, int]: ...
    def element(self, name: str, indices: _Indices, axes: _Indices) -> str: ...
    def has(self, name: str, axis: Axis) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """An array in a sum: its text, its indices in order, and which of them are short axes of windows."""

    text: str
    indices: _Indices
    short: frozenset[Index] = frozenset()


@dataclass(slots=True)
class Sums:
    """The sums of one function, printed."""

    to: Writer
    names: dict[object, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    """What has an array: how it was made => its name, and in which order it has its axes."""

    def of(self, over: _Indices, body: n.Node, axes: _Indices) -> str:
        """A sum: of products of array elements as a matrix product, of anything else element by element."""
        m = self.to.dialect.module
        if isinstance(body, n.Const):  # how many there are
            return self.scalar(" * ".join([literal(body.value), *map(self.length, over)]))
        elements: list[n.Load] = []
        shifts, rest = n.without_indicators(body)
        factors = rest.factors if isinstance(rest, n.Product) else (rest,)
        if shifts:
            return self._with_indicators(over, shifts, factors, axes)
        for factor in factors:
            base, exponent = (factor.base, factor.exponent) if isinstance(factor, n.Power) else (factor, 1)
            if not isinstance(base, n.Load):
                inner = self.to.expression(body, (*axes, *over))[0]
                return f"{m}.sum({inner}, {self.to.dialect.axis}={tuple(range(-len(over), 0))})"
            elements += [base] * exponent
        free = tuple(index for load in elements for index in load.indices if index not in over)
        result = tuple(index for index in axes if index in free)
        if self.to.dialect.contracted and any(len(load.indices) > 2 for load in elements):
            parts = [_Part(load.name, load.indices) for load in elements]
            return self.to.element(*self._product(parts, over, result), axes)
        across = self._across(elements, over, axes)
        if across is not None:
            return across
        summed = self._matrix_product(elements, over) or self._einsum(
            [_Part(load.name, load.indices) for load in elements], over, result
        )
        return summed if result == axes else self.to.element(summed, result, axes)

    def scalar(self, text: str) -> str:
        """A number as an array without axes, of the type of the others."""
        return self.to.dialect.scalar.format(value=text, like=self._like)

    @property
    def _like(self) -> str:
        return self.to.function.given[0].name

    def _name(self, key: object, kind: str, text: str, order: tuple[int, ...] = ()) -> tuple[str, tuple[int, ...]]:
        """The name of an array that is made once."""
        if key not in self.names:
            name = f"{kind}{sum(known.startswith(kind) for known, _ in self.names.values()) + 1}"
            self.to.lines.append(f"{name} = {text}")
            self.names[key] = name, order
        return self.names[key]

    def shift(self, node: n.Indicator | Span) -> str:
        """The array of an indicator, 1 and 0 with its indices as axes; or that of whether a form is on an axis."""
        indices = node.indices
        lengths = [self.length(index) for index in indices]
        arange = self.to.dialect.arange.replace("{like}", self._like)
        if isinstance(node, n.Indicator):
            test = positions_test(node, indices, lengths, arange)
        else:
            form = node.form.spelt(" * ", _positions(indices, lengths, arange))
            test = f"(({form}) >= 0) & (({form}) < {self.length(Index(node.axis, ''))})"
        as_numbers = self.to.dialect.as_numbers.format(test=test, like=self._like)
        return self._name(node, "shift", as_numbers if indices else self.scalar(f"float({test})"))[0]

    def length(self, index: Index) -> str:
        """The length of an axis: the number that the module has for it, or read off an array at hand."""
        for name, axes in self.to.function.axes.items():
            if self.to.has(name, index.axis):
                return f"{name}.shape[{axes.index(index.axis) - len(axes)}]"
        if index.axis in self.to.sizes:
            return str(self.to.sizes[index.axis])
        raise CompileError(f"No array at hand has the axis {index.axis.name}.")

    def _size(self, index: Index) -> str:
        """The same, as a number where there is one."""
        known = self.to.sizes.get(index.axis)
        return self.length(index) if known is None or index.axis.open else str(known)

    # ---------------------------------------------------------------------------------------- with indicators

    def _with_indicators(
        self, over: _Indices, shifts: tuple[n.Indicator, ...], factors: Sequence[n.Node], axes: _Indices
    ) -> str:
        """A sum with indicators: its operands read by windows, multiplied, and what has a place put there."""
        numbers = [factor.value for factor in factors if isinstance(factor, n.Const)]
        made = reading(over, shifts, [f for f in factors if not isinstance(f, n.Const)], self.to.sizes)
        present = made.present
        ends = tuple(place.index for place in made.places)
        result = tuple(i for i in axes if i in present and i not in ends)
        placed = [[t for t in by_length(place.form, self.to.sizes)] for place in made.places]
        taps = [i for terms in placed for i, _ in terms[:-1] if i in present]
        term = (*result, *taps, *(terms[-1][0] for terms in placed if terms[-1][0] in present))
        summed = tuple(i for i in made.over if i in present and i not in made.placed)
        parts = [self._operand(operand, summed, len(made.operands) > 1) for operand in made.operands]
        parts += [_Part(self.shift(span), span.indices) for span in made.spans]
        parts += [_Part(self.shift(mask), mask.indices) for mask in made.masks]
        counts = [literal(value) for value in numbers if value != 1]
        counts += [self._size(i) for i in made.over if i not in present and i not in made.placed]
        text, indices = self._product(parts, summed, term)
        for place in reversed(made.places):
            text, indices = self._placed(text, indices, place)
        text = self.to.element(text, indices, axes)
        return f"({' * '.join([*counts, text])})" if counts else text

    def _placed(self, text: str, indices: _Indices, place: Place) -> tuple[str, _Indices]:
        """The terms at the positions that a form says, and the indices that they have then."""
        *taps, (strip, step) = by_length(place.form, self.to.sizes)
        if strip not in indices:
            text, indices = f"{text}[..., None]", (*indices, strip)
        own = ", ".join(
            f"({indices.index(i) - len(indices) if i in indices else None}, {self._size(i)}, {c})" for i, c in taps
        )
        axis, size = indices.index(strip) - len(indices), self._size(place.index)
        made = self.to.dialect.placed.format(
            a=text, axis=axis, length=self._size(strip), size=size, start=place.form.constant, step=step,
            taps=f"({own}{',' * (len(taps) == 1)})",
        )  # fmt: skip
        gone = {i for i, _ in taps}
        return made, tuple(place.index if i == strip else i for i in indices if i not in gone)

    def _operand(self, operand: Operand, summed: _Indices, multiplied: bool) -> _Part:
        """An operand, read at its forms."""
        name, load = "", operand.factor
        if isinstance(load, n.Load):
            name = load.name
        else:
            name = self._name(operand.factor, "part", self.to.expression(operand.factor, operand.axes)[0])[0]
        if not operand.at:
            return _Part(name, operand.axes)
        indices = operand.indices
        forms = dict(operand.at)
        short = frozenset(i for form in forms.values() for i, _ in by_length(form, self.to.sizes)[:-1])
        slices = [self._slice(axis, forms.get(axis)) for axis in operand.axes]
        if all(slices):
            return _Part(f"{name}[..., {', '.join(map(str, slices))}]", indices, short)
        reads = "".join(
            f"({k - len(operand.axes)}, {forms[axis].constant}, {_tuple(c for _, c in forms[axis].terms)}, "
            f"{_tuple(self._size(i) for i, _ in forms[axis].terms)}), "
            for k, axis in enumerate(operand.axes)
            if axis in forms
        ).strip()
        key = (
            name,
            tuple(
                (forms[axis].constant, *((i.axis, c) for i, c in forms[axis].terms)) if axis in forms else axis.axis
                for axis in operand.axes
            ),
        )  # whatever letters the indices have
        if multiplied and self.to.dialect.columns:
            order = self._order(indices, summed, short)
            text = self.to.dialect.columns.format(a=name, reads=f"({reads})", order=order)
            made, had = self._name(("columns", *key), "read", text, order)
            return _Part(made, tuple(indices[k] for k in had), short)
        made, _ = self._name(key, "read", self.to.dialect.windows.format(a=name, reads=f"({reads})"))
        return _Part(made, indices, short)

    def _order(self, indices: _Indices, summed: _Indices, short: frozenset[Index]) -> tuple[int, ...]:
        """The axes of windows as rows or columns of a matrix, those last that are copied in one piece."""
        long = next((i for i in reversed(indices) if i not in short), None)
        last = long in summed
        return tuple(
            sorted(range(len(indices)), key=lambda k: ((indices[k] in summed) == last, indices[k] not in short))
        )

    def _slice(self, axis: Index, form: IndexForm | None) -> str | None:
        """What stands between brackets for an axis: all of it, one position, or every so many; None for windows."""
        if form is None:
            return ":"
        size = self.to.sizes.get(axis.axis)
        lengths = [self.to.sizes.get(i.axis) for i, _ in form.terms]
        if size is None or None in lengths or len(lengths) > 1 or any(c < 0 for _, c in form.terms):
            return None
        ((length, step),) = [(k, c) for k, (_, c) in zip(lengths, form.terms, strict=True)] or [(1, 0)]
        assert length is not None
        end = form.constant + step * (length - 1)
        if not 0 <= form.constant <= end < size:
            return None
        return f"{form.constant}:{end + 1}:{step}" if form.terms else f"{form.constant}"

    # ------------------------------------------------------------------------------------------------ products

    def _product(self, parts: Sequence[_Part], over: _Indices, result: _Indices) -> tuple[str, _Indices]:
        """The sum over `over` of a product of arrays, and the indices that it has: those of the result, in an order."""
        dialect, rest = self.to.dialect, list(parts)
        if not dialect.contracted:
            if len(rest) == 1 and not set(rest[0].indices) & set(over):
                return rest[0].text, rest[0].indices
            return self._einsum(rest, over, result), result
        self._each_alone(rest, over)
        while len(rest) > 2 and (found := _within(rest)):
            small, large = found
            text = f"({large.text} * {self.to.element(small.text, small.indices, large.indices)})"
            rest = [part for part in rest if part is not small and part is not large]
            rest.append(_Part(text, large.indices, large.short))
            self._each_alone(rest, over)
        if len(rest) == 1:
            return rest[0].text, rest[0].indices
        left, right = rest[-2:]
        less, both = sorted((set(left.indices), set(right.indices)), key=len)[0], set(left.indices) & set(right.indices)
        many = both == less and not both <= set(over)  # many matrices, each times one vector
        if len(rest) > 2 or many or {*left.indices, *right.indices} - set(over) <= both:
            return self._einsum(rest, over, result), result
        if not set(left.indices) & set(right.indices) & set(over):
            return f"({' * '.join(self.to.element(p.text, p.indices, result) for p in rest)})", result
        if result and result[-1] in left.indices and result[-1] not in right.indices:
            left, right = right, left
        return self._as_matrices(left, right, over)

    def _each_alone(self, parts: list[_Part], over: _Indices) -> None:
        """Every array summed over what no other has."""
        for k, part in enumerate(parts):
            others = {i for j, other in enumerate(parts) if j != k for i in other.indices}
            parts[k] = self._alone(part, tuple(i for i in part.indices if i in over and i not in others))

    def _alone(self, part: _Part, over: _Indices) -> _Part:
        """The sum over what no other array has."""
        if not over:
            return part
        kept = tuple(i for i in part.indices if i not in over)
        lengths = [self.to.sizes.get(i.axis, _SHORT + 1) for i in over]
        if self.to.dialect.summed and part.short >= set(over) and prod(lengths) <= _SHORT:
            axes = tuple(part.indices.index(i) - len(part.indices) for i in over)
            return _Part(self.to.dialect.summed.format(a=part.text, axes=axes), kept, part.short - set(over))
        return _Part(self._einsum([part], over, kept), kept, part.short - set(over))

    def _as_matrices(self, left: _Part, right: _Part, over: _Indices) -> tuple[str, _Indices]:
        """Two arrays multiplied as matrices: the indices of both, those of one, and those that are summed."""
        # the order of what is summed is that of the larger array, which need not be copied then
        large = max((left, right), key=lambda part: len(part.indices))
        summed = [i for i in large.indices if i in over]
        both = [i for i in large.indices if i in left.indices and i in right.indices and i not in over]
        own = [[i for i in part.indices if i not in over and i not in both] for part in (left, right)]
        orders = [tuple(part.indices.index(i) for i in (*both, *rows, *summed))
                  for part, rows in zip((left, right), own, strict=True)]  # fmt: skip
        text = self.to.dialect.contracted.format(
            a=left.text, a_axes=_tuple(orders[0]), b=right.text, b_axes=_tuple(orders[1]), both=len(both),
            over=len(summed),
        )  # fmt: skip
        return text, (*both, *own[0], *own[1])

    def _across(self, elements: Sequence[n.Load], over: _Indices, axes: _Indices) -> str | None:
        """A sum of products of two matrices as one product, with the result's axes in their order."""
        if len(elements) != 2 or len(over) != 1 or len(axes) < 2:
            return None
        left, right = elements
        if not all(len(load.indices) == 2 and over[0] in load.indices for load in elements):
            return None
        free = [next(index for index in load.indices if index != over[0]) for load in elements]
        if sorted(free) != sorted(axes) or free[0] == free[1]:
            return None
        if tuple(free) != axes:
            left, right = right, left
        turned = self.to.dialect.turned
        rows = left.name if left.indices[1] == over[0] else turned.format(a=left.name)
        columns = right.name if right.indices[0] == over[0] else turned.format(a=right.name)
        return f"{self.to.dialect.module}.matmul({rows}, {columns})"

    def _matrix_product(self, elements: Sequence[n.Load], over: _Indices) -> str | None:
        if len(elements) != 2 or len(over) != 1:
            return None
        left, right = elements
        for a, b in ((left, right), (right, left)):
            match a.indices, b.indices:
                case ((_, j), (m,)) if j == m == over[0]:
                    return self.to.dialect.matvec.format(a=a.name, b=b.name)
                case ((i, _), (m,)) if i == m == over[0]:
                    return self.to.dialect.vecmat.format(a=b.name, b=a.name)
        if left.indices == right.indices == over:
            return self.to.dialect.vecdot.format(a=left.name, b=right.name)
        return None

    def _einsum(self, parts: Sequence[_Part], over: _Indices, result: _Indices) -> str:
        letters = {index: "abcdefghijklmnop"[k] for k, index in enumerate(dict.fromkeys((*result, *over)))}
        inputs = ",".join("..." + "".join(letters[i] for i in part.indices) for part in parts)
        outputs = "..." + "".join(letters[i] for i in result)
        names = ", ".join(part.text for part in parts)
        many = self.to.dialect.many if len(parts) > 2 and self.names else ""
        return f'{self.to.dialect.module}.einsum("{inputs}->{outputs}", {names}{many})'


def _within(parts: Sequence[_Part]) -> tuple[_Part, _Part] | None:
    """Two arrays, the first with no index that the second has not."""
    for small in parts:
        for large in parts:
            if small is not large and set(small.indices) <= set(large.indices):
                return small, large
    return None


def _tuple(values: object) -> str:
    texts = [str(value) for value in values]  # type: ignore[attr-defined]
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"
