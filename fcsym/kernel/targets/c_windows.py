"""Products of arrays of many axes in C, also through windows: axes in groups as rows and columns of a matrix.

sum(c, k, u: W[o, c, k] [u = 2t + k - 1] v[c, u])    =>    the windows of v, (c, k) by (t), in memory, and W times them
sum(o, t, k: W[o, c, k] delta[o, t] [u = ...])       =>    W^T times delta, (c, k) by (t), added up in the places u

What is read and what is placed is decided in `windows`, for every target; the tiles are those of `c_products`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from fcsym.kernel import neutral as n
from fcsym.kernel.targets.c_memory import Amount
from fcsym.kernel.targets.c_products import COLUMNS, ROWS, is_plain, reduces
from fcsym.kernel.targets.c_sums import Printer, close, ends, letters, loops
from fcsym.kernel.windows import Operand, Place, reading
from fcsym.language.expression import Index, IndexForm

__all__ = ["Windows"]

_WORTH = 4096  # products of two numbers from which on it is worth filling memory
_WASTE = 6  # how many times as many a tile may compute
_LARGEST = 2**22  # numbers of a panel
_OPEN = 16  # what an axis is counted as whose length is known only when the program runs


@dataclass(frozen=True, slots=True)
class Grouped:
    """A sum as a product of matrices: single[rows, over] * panel[over, columns], for each of `around`, summed."""

    single: n.Load
    panel: Operand
    rows: tuple[Index, ...]
    columns: tuple[Index, ...]
    over: tuple[Index, ...]
    around: tuple[Index, ...]
    places: tuple[Place, ...]
    factor: tuple[n.Const, ...]


def _following(load: n.Load, among: Sequence[Index]) -> tuple[Index, ...]:
    """The last of these indices that stand side by side in an element, in their order: one step leads through them."""
    found: tuple[Index, ...] = ()
    for index in reversed(among):
        if index not in load.indices or index.axis.open:
            break
        if found and load.indices.index(index) + 1 != load.indices.index(found[0]):
            break
        found = (index, *found)
    return found or tuple(index for index in among[-1:] if index in load.indices)


@dataclass(frozen=True, slots=True)
class Windows:
    """The statements with such products, printed."""

    to: Printer

    def of(self, statement: n.Define) -> tuple[n.Reduce, Grouped] | None:
        """The first sum of a statement that is such a product, and a large one."""
        for reduce in reduces(statement.value) if not self.to.lanes else ():
            made = [m for m in self._ways(reduce, statement.indices) if self._worth(m)] if isinstance(
                reduce, n.Reduce) else []  # fmt: skip
            if made:
                assert isinstance(reduce, n.Reduce)
                return reduce, min(made, key=self._cost)
        return None

    def _ways(self, reduce: n.Reduce, indices: Sequence[Index]) -> Iterator[Grouped]:
        """The ways to see a sum as such a product."""
        marks, body = n.without_indicators(reduce.body)
        every = body.factors if isinstance(body, n.Product) else (body,)
        factors = [f for f in every if not isinstance(f, n.Const)]
        wide = marks or len(reduce.over) > 1 or any(len(load.indices) > 2 for load in n.loads(body))
        if not wide or len(factors) != 2 or not all(map(is_plain, factors)):
            return
        made = reading(reduce.over, marks, factors, self.to.module.sizes)
        summed = [i for i in made.over if i not in made.placed]
        if made.spans or made.masks or not made.present.issuperset((*summed, *made.placed)):
            return
        numbers = tuple(f for f in every if isinstance(f, n.Const))
        for single, panel in (made.operands, made.operands[::-1]):
            if single.at or not isinstance(single.factor, n.Load) or set(single.axes) & {u for u, _ in panel.at}:
                continue
            kept = {*indices, *made.placed} - {place.index for place in made.places}
            rows = _following(single.factor, [i for i in single.axes if i in kept and i not in panel.indices])
            own = [i for i in panel.indices if i in kept and i not in single.axes]
            columns = tuple(i for i in own if not i.axis.open)
            over = _following(single.factor, summed)
            around = tuple(i for i in summed if i not in over)
            left = {*made.placed} - {*rows, *columns}
            if (
                rows
                and columns
                and over
                and not left
                and not (made.places and rows[0].axis.open)
                and set(over) <= set(panel.indices)
            ):
                yield Grouped(single.factor, panel, rows, columns, over, around, made.places, numbers)

    def _length(self, indices: Iterable[Index]) -> int:
        return prod(self.to.module.sizes.get(index.axis, _OPEN) for index in indices)

    def _cost(self, made: Grouped) -> int:
        """What the tiles compute, and what is filled, for one of `around` and of the loops that are left."""
        rows, columns, over = map(self._length, (made.rows, made.columns, made.over))
        return -(-rows // ROWS) * ROWS * self._width(made) * over // 8 + over * columns

    def _worth(self, made: Grouped) -> bool:
        rows, columns, over = map(self._length, (made.rows, made.columns, made.over))
        every = rows * columns * over
        tiles = -(-rows // ROWS) * ROWS * self._width(made) * over
        around = self._length(made.around) * max(1, _OPEN * any(i.axis.open for i in made.panel.indices))
        return every * around >= _WORTH and tiles <= _WASTE * every and over * self._width(made) <= _LARGEST

    def _width(self, made: Grouped) -> int:
        return -(-self._length(made.columns) // COLUMNS) * COLUMNS

    # ------------------------------------------------------------------------------------------------- memory

    def memory(self, function: n.Function) -> dict[str, Amount]:
        """What the statements of a function use, one after another, by name."""
        most: dict[str, Amount] = {}
        for statement in function.statements:
            found = self.of(statement) if isinstance(statement, n.Define) else None
            if found is not None:
                assert isinstance(statement, n.Define)
                for name, amount in self._memory(statement, found[1]).values():
                    most[name] = most.get(name, Amount()).most(amount)
        return most

    def _memory(self, statement: n.Define, made: Grouped) -> dict[str, tuple[str, Amount]]:
        """What each part of a product is called, by whether the number of samples says how much it is; and how much."""
        width = self._width(made)
        terms, rows = (self.to.amount(tuple(i.axis for i in indices)) for indices in (made.over, made.rows))
        whole = Amount(-(-rows.fixed // ROWS) * ROWS * width, ROWS * rows.per_row * width)  # tiles are whole
        panel = Amount(*(width * part for part in terms.parts))
        parts = {"windows": panel, "product": whole}
        if made.places:
            parts["places"] = self.to.amount(tuple(i.axis for i in self._inner(statement, made)))
        return {part: (f"row_{part}" if amount.per_row else part, amount) for part, amount in parts.items()}

    @staticmethod
    def _inner(statement: n.Define, made: Grouped) -> tuple[Index, ...]:
        """The indices of a result that one product has."""
        own = {*made.rows, *made.columns, *(place.index for place in made.places)}
        return tuple(index for index in statement.indices if index in own)

    # ----------------------------------------------------------------------------------------------- printing

    def define(self, statement: n.Define, reduce: n.Reduce, made: Grouped) -> None:
        """Every element of one array."""
        to, inner = self.to, self._inner(statement, made)
        outer = tuple(index for index in statement.indices if index not in inner)
        every = (
            *statement.indices,
            *made.around,
            *made.rows,
            *made.columns,
            *made.over,
            *(u for u, _ in made.panel.at),
        )
        names = letters(to, list(dict.fromkeys(every)), {})
        depth, width = to.depth, self._width(made)
        own = {part: name for part, (name, _) in self._memory(statement, made).items()}
        windows, product = own["windows"], own["product"]
        to.line("{")
        to.depth += 1
        terms = self._text_of(made.over)
        self._zero(windows, f"{terms} * {width}")
        to.open(outer, names)
        rows = self._text_of(made.rows)
        if made.around:
            self._zero(product, f"{rows} * {width}")
        to.open(made.around, names)
        self._fill(made, names, windows, width)
        to.line(f"for (int row = 0; row < {rows}; row += TILE_ROWS) {{")
        to.line(f"    for (int column = 0; column < {width}; column += TILE_COLUMNS) {{")
        zeros = names | {index: "0" for index in (*made.rows, *made.over)}
        start = to.element(made.single.name, made.single.indices, zeros)
        row, step = (self._stride(made.single, indices[-1]) for indices in (made.rows, made.over))
        least = f"{rows} - row < TILE_ROWS ? {rows} - row : TILE_ROWS"
        first = "(real)0.0" if made.over[0].axis.open else "-(real)0.0"
        to.line(f"        tile({product} + row * {width} + column, {width}, &{start} + row * {row}, {row}, {step},")
        to.line(f"             {windows} + column, {width}, {terms}, {least}, {int(bool(made.around))}, {first});")
        to.line("    }")
        to.line("}")
        for _ in made.around:
            to.depth -= 1
            to.line("}")
        at = f"{product}[{self._flat(made.rows, names, width)} + {self._flat(made.columns, names, 1)}]"
        if made.places:
            self._place(statement, made, names, at)
            at = to.element("places", inner, names)  # the array of the places of one product
        self._elements(statement, reduce, made, names, inner, at)
        close(to, depth)

    def _zero(self, name: str, size: str) -> None:
        self.to.line(f"for (int i = 0; i < {size}; i++) {{")
        self.to.line(f"    {name}[i] = (real)0.0;")
        self.to.line("}")

    def _text_of(self, indices: Sequence[Index]) -> str:
        """How many there are, as C text."""
        return self.to.size(tuple(index.axis for index in indices))

    def _stride(self, load: n.Load, index: Index) -> str:
        return self.to.size(tuple(i.axis for i in load.indices[load.indices.index(index) + 1 :]))

    def _flat(self, indices: Sequence[Index], names: Mapping[Index, str], times: int) -> str:
        """The position in a group of axes, as C text."""
        parts = []
        for k, index in enumerate(indices):
            step = self._length(indices[k + 1 :]) * times
            parts.append(names[index] if step == 1 else f"{names[index]} * {step}")
        return " + ".join(parts)

    def _fill(self, made: Grouped, names: Mapping[Index, str], windows: str, width: int) -> None:
        """The panel; what lies outside stays 0."""
        to, forms, depth = self.to, dict(made.panel.at), self.to.depth
        inside = {*made.over, *made.columns}
        if any(self._leaves(u, form) and not inside.issuperset(i for i, _ in form.terms) for u, form in forms.items()):
            self._zero(windows, f"{self._text_of(made.over)} * {width}")
        loops(to, (*made.over, *made.columns), forms, names)
        value = to.text(made.panel.factor, names, {})[0]
        to.line(f"{windows}[{self._flat(made.over, names, width)} + {self._flat(made.columns, names, 1)}] = {value};")
        close(to, depth)

    def _leaves(self, index: Index, form: IndexForm) -> bool:
        """Whether a form leaves the axis that it is a position on."""
        sizes = self.to.module.sizes
        least, greatest = ends(form, sizes) or (-1, 0)
        return least < 0 or greatest >= sizes[index.axis]

    def _place(self, statement: n.Define, made: Grouped, names: Mapping[Index, str], at: str) -> None:
        """The terms added up in their places."""
        to, depth, inner = self.to, self.to.depth, self._inner(statement, made)
        self._zero("places", to.size(tuple(index.axis for index in inner)))
        loops(to, (*made.rows, *made.columns), {place.index: place.form for place in made.places}, names)
        to.line(f"{to.element('places', inner, names)} += {at};")
        close(to, depth)

    def _elements(
        self, statement: n.Define, reduce: n.Reduce, made: Grouped, names: Mapping[Index, str],
        inner: tuple[Index, ...], at: str,
    ) -> None:  # fmt: skip
        """The equation, with the sum at hand."""
        to = self.to
        to.open(inner, names)
        value = " * ".join([*(to.text(number, names, {})[0] for number in made.factor), at])
        known: dict[n.Node, str] = {reduce: f"({value})" if made.factor else value}
        for node in reduces(statement.value):
            if node not in known:
                known[node] = f"sum{next(to.numbers)}"
                (to.extreme if isinstance(node, n.Extreme) else to.sum)(node, known[node], names)  # type: ignore[arg-type]
        value = to.text(statement.value, names, known)[0]
        to.line(f"{to.element(statement.name, statement.indices, names)} = {value};")
