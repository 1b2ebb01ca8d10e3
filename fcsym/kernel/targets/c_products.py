"""Products of matrices in C: which sums are one, and the tile of a result that is computed at a time.

W1[i, j] - eta * sum(n: delta1[n, i] * x[n, j])    =>    for a block of columns j, x in a panel; for a block of rows i,
                                                         a tile of sums; and the equation for the elements of the tile

Every sum of a tile is added in the order of its index, like any other sum, so that a product has the bits of plain
loops, whatever the compiler and however long its vectors are. What is saved is time: a tile's sums stay in registers,
each number of the panel is used for all of its rows, and the panel is read along vectors. Either operand may be stored
by rows or by columns; factors in front of the last one become part of the panel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Protocol

from fcsym.kernel import neutral as n
from fcsym.kernel.targets.c_memory import Amount
from fcsym.language.expression import Axis, Index

__all__ = ["COLUMNS", "ROWS", "TILE", "Products", "is_plain", "reduces"]

ROWS, COLUMNS = 8, 16  # of a tile
STRIP = 64
"""Rows of the result that are computed by one call of CBLAS: their memory does not grow with the number of rows."""

_WORTH = 4096  # products of two numbers from which on a panel is worth filling
_OPEN = 16  # what an axis is counted as whose length is known only when the program runs


@dataclass(frozen=True, slots=True)
class Matrices:
    """sum(over: single[rows, over] * panel[over, columns]), either with its axes in any order."""

    over: Index
    rows: Index
    columns: Index
    single: n.Load
    panel: n.Node  # an element, or a product of factors

    @property
    def both(self) -> tuple[n.Load, n.Load] | None:
        """The two operands, where each is a matrix as it stands in memory."""
        if isinstance(self.panel, n.Load) and len(self.panel.indices) == len(self.single.indices) == 2:
            return self.single, self.panel
        return None


def _ways(reduce: n.Reduce, indices: Sequence[Index], sizes: Mapping[Axis, int]) -> list[Matrices]:
    """The ways to see a sum as a product of matrices, the best first; none where it is no product, or a small one."""
    if len(reduce.over) != 1 or not isinstance(reduce.body, n.Product):
        return []
    (over,), factors = reduce.over, reduce.body.factors
    ways = [(factors[:-1], factors[-1]), *([(factors[1:], factors[0])] if len(factors) == 2 else [])]
    found = [made for others, single in ways if (made := _matrices(over, others, single, indices)) is not None]

    def length(index: Index) -> int:
        return sizes.get(index.axis, _OPEN)

    def cost(made: Matrices) -> int:
        """About how many operations: the sums of whole tiles, the panels, and what is stored, along rows or not."""
        rows, columns, terms = map(length, (made.rows, made.columns, over))
        ends = [load.indices[-1] for load in n.loads(made.panel) if made.columns in load.indices]
        fill = 1 if all(index == made.columns for index in ends) else 2
        store = 1 if made.columns == indices[-1] else 3
        tiles = -(-columns // COLUMNS) * -(-rows // ROWS)
        return terms * (tiles * COLUMNS + columns * fill) + rows * columns * store

    return sorted((m for m in found if prod(map(length, (over, m.rows, m.columns))) >= _WORTH), key=cost)


def _matrices(over: Index, others: Sequence[n.Node], single: n.Node, indices: Sequence[Index]) -> Matrices | None:
    if not isinstance(single, n.Load) or over not in single.indices or len(set(single.indices)) < len(single.indices):
        return None
    if not all(map(is_plain, others)):
        return None
    there = {index for factor in others for load in n.loads(factor) for index in load.indices}
    rows = [index for index in indices if index in single.indices and index not in there]
    columns = [index for index in indices if index in there and index not in single.indices]
    if not rows or not columns or over not in there:
        return None
    return Matrices(over, rows[-1], columns[-1], single, others[0] if len(others) == 1 else n.Product(tuple(others)))


def is_plain(node: n.Node) -> bool:
    """Whether a node has no sum, extreme or indicator in it."""
    return not isinstance(node, n.Reduce | n.Extreme | n.Indicator) and all(map(is_plain, n.parts(node)))


def _stride(load: n.Load, index: Index, size: Callable[[tuple[Axis, ...]], str]) -> str:
    """How far it is in memory from one element to the next along an index, as C text."""
    return size(tuple(i.axis for i in load.indices[load.indices.index(index) + 1 :]))


def reduces(node: n.Node) -> list[n.Reduce | n.Extreme]:
    """The sums and extremes in an expression, the outermost ones, each once."""
    if isinstance(node, n.Reduce | n.Extreme):
        return [node]
    return list(dict.fromkeys(reduce for part in n.parts(node) for reduce in reduces(part)))


class Printer(Protocol):
    """What prints the statements of a function, as far as products need it."""

    module: n.Module
    lanes: bool
    lines: list[str]
    depth: int
    numbers: count[int]
    cblas: bool

    def line(self, text: str) -> None: ...
    def open(self, indices: tuple[Index, ...]) -> None: ...
    def close(self, indices: tuple[Index, ...]) -> None: ...
    def letter(self, index: Index) -> str: ...
    def size(self, axes: tuple[Axis, ...]) -> str: ...
    def amount(self, axes: tuple[Axis, ...]) -> Amount: ...
    def element(self, name: str, indices: tuple[Index, ...], where: Mapping[Index, str]) -> str: ...
    def text(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str]) -> tuple[str, int]: ...
    def sum(self, reduce: n.Reduce, own: str, where: Mapping[Index, str]) -> None: ...
    def extreme(self, node: n.Extreme, own: str, where: Mapping[Index, str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Products:
    """The statements with products, printed."""

    to: Printer

    def memory(self, function: n.Function) -> tuple[dict[str, Amount], Amount]:
        """What the products of one statement after another use, by name; and the strips of those by CBLAS."""
        tiles, panels, strips = Amount(), {"panel": Amount(), "row_panel": Amount()}, Amount()
        for s in function.statements:
            products = self.of(s) if isinstance(s, n.Define) else {}
            own = {name: Amount() for name in panels}
            for product in products.values():
                name, amount = self._panel(product)
                own[name] += amount
            panels = {name: amount.most(own[name]) for name, amount in panels.items()}
            tiles = tiles.most(Amount(len(products) * ROWS * COLUMNS))
            strips = strips.most(sum(map(self._strip, self._by_cblas(products)), Amount()))
        return {**panels, "tiles": tiles}, strips

    def of(self, statement: n.Define) -> dict[n.Reduce, Matrices]:
        """The sums of a statement that are products of matrices, all with the same rows and columns of a result."""
        found: dict[n.Reduce, Matrices] = {}
        for reduce in reduces(statement.value) if not self.to.lanes else ():
            ways = _ways(reduce, statement.indices, self.to.module.sizes) if isinstance(reduce, n.Reduce) else []
            first = next(iter(found.values()), None)
            fits = [w for w in ways if first is None or (w.rows, w.columns) == (first.rows, first.columns)]
            if fits and isinstance(reduce, n.Reduce):
                found[reduce] = fits[0]
        return found

    def _panel(self, product: Matrices) -> tuple[str, Amount]:
        """Which memory the panel of a product has, and how much."""
        terms = self.to.amount((product.over.axis,))
        name = "row_panel" if product.over.axis.open else "panel"
        return name, Amount(*(COLUMNS * part for part in terms.parts))

    def _strip(self, product: Matrices) -> Amount:
        """The memory of some rows of a product."""
        return Amount(*(STRIP * part for part in self.to.amount((product.columns.axis,)).parts))

    @staticmethod
    def _by_cblas(products: Mapping[n.Reduce, Matrices]) -> list[Matrices]:
        """The products of a statement if CBLAS can do all of them."""
        return list(products.values()) if all(product.both for product in products.values()) else []

    def define(self, statement: n.Define, products: Mapping[n.Reduce, Matrices]) -> None:
        """Every element of one array, tile by tile, or strip by strip where CBLAS is used."""
        first = next(iter(products.values()))
        rest = [r for r in reduces(statement.value) if r not in products]
        names: dict[n.Node, str] = {node: f"sum{next(self.to.numbers)}" for node in (*products, *rest)}
        by_cblas = self.to.cblas and self._by_cblas(products)
        if by_cblas:
            self.to.lines.append("#if defined(FCSYM_CBLAS)")
            self._define_by_cblas(statement, products, names)
            self.to.lines.append("#else")
        outer = [index for index in statement.indices if index not in (first.rows, first.columns)]
        where = {index: self.to.letter(index) for index in (*statement.indices, *(p.over for p in products.values()))}
        row, column = where[first.rows], where[first.columns]
        self.to.open(tuple(outer))
        end = self._blocks(first.columns, "TILE_COLUMNS")
        used = {"panel": Amount(), "row_panel": Amount()}
        places = {}
        for product in products.values():
            name, amount = self._panel(product)
            places[product] = used[name].behind(name)
            used[name] += amount
            at = f"({places[product]})" if "+" in places[product] else name
            element = f"{at}[{where[product.over]} * TILE_COLUMNS + {column} - {column}_at]"
            self.to.open((product.over,))
            self.to.line(f"for (int {column} = {column}_at; {column} < {end}; {column}++) {{")
            self.to.line(f"    {element} = {self.to.text(product.panel, where, {})[0]};")
            self.to.line("}")
            self.to.line(f"for (int {column} = {end}; {column} < {column}_at + TILE_COLUMNS; {column}++) {{")
            self.to.line(f"    {element} = (real)0.0;")
            self.to.line("}")
            self.to.close((product.over,))
        last = self._blocks(first.rows, "TILE_ROWS")
        for k, (reduce, product) in enumerate(products.items()):
            start = self.to.element(product.single.name, product.single.indices,
                                 where | {first.rows: f"{row}_at", product.over: "0"})  # fmt: skip
            strides = [_stride(product.single, index, self.to.size) for index in (product.rows, product.over)]
            zero = "(real)0.0" if product.over.axis.open else "-(real)0.0"  # a sum that starts with its first term
            self.to.line(f"real *const {names[reduce]} = {Amount(k * ROWS * COLUMNS).behind('tiles')};")
            terms = self.to.size((product.over.axis,))
            self.to.line(f"tile({names[reduce]}, TILE_COLUMNS, &{start}, {', '.join(strides)}, {places[product]}, "
                      f"TILE_COLUMNS, {terms}, {last} - {row}_at, 0, {zero});")  # fmt: skip
        place = f"[({row} - {row}_at) * TILE_COLUMNS + {column} - {column}_at]"
        self._elements(statement, first, {r: names[r] + place for r in products}, {r: names[r] for r in rest})
        self.to.close((first.rows, first.columns, *outer))
        if by_cblas:
            self.to.lines.append("#endif")

    def _define_by_cblas(
        self, statement: n.Define, products: Mapping[n.Reduce, Matrices], names: Mapping[n.Node, str]
    ) -> None:
        """The same with strips of rows in place of tiles."""
        first = next(iter(products.values()))
        where = {index: self.to.letter(index) for index in statement.indices}
        row, width = where[first.rows], self.to.size((first.columns.axis,))
        last = self._blocks(first.rows, str(STRIP))
        used = Amount()
        for reduce, product in products.items():
            assert product.both is not None
            left, right = product.both
            zeros = {first.rows: f"{row}_at", first.columns: "0", product.over: "0"}
            a, b = (f"&{self.to.element(load.name, load.indices, zeros)}" for load in (left, right))
            turned = [load.indices != order for load, order in
                      ((left, (product.rows, product.over)), (right, (product.over, product.columns)))]  # fmt: skip
            how = ", ".join("CblasTrans" if t else "CblasNoTrans" for t in turned)
            lengths = [self.to.size((load.indices[1].axis,)) for load in (left, right)]
            self.to.line(f"real *const {names[reduce]} = {used.behind('strip')};")
            used += self._strip(product)
            size = f"{last} - {row}_at, {width}, {self.to.size((product.over.axis,))}"
            given = f"(real)1.0, {a}, {lengths[0]}, {b}, {lengths[1]}, (real)0.0"
            self.to.line(f"GEMM(CblasRowMajor, {how}, {size}, {given}, {names[reduce]}, {width});")
        rest: dict[n.Node, str] = {r: names[r] for r in reduces(statement.value) if r not in products}
        place = f"[({row} - {row}_at) * {width} + {where[first.columns]}]"
        self._elements(statement, first, {r: names[r] + place for r in products}, rest, whole=True)
        self.to.close((first.rows,))

    def _blocks(self, index: Index, length: str) -> str:
        """A loop over blocks of an axis; the name of the end of a block."""
        letter, size = self.to.letter(index), self.to.size((index.axis,))
        self.to.line(f"for (int {letter}_at = 0; {letter}_at < {size}; {letter}_at += {length}) {{")
        self.to.depth += 1
        block = f"{letter}_at + {length}"
        self.to.line(f"const int {letter}_end = {block} < {size} ? {block} : {size};")
        return f"{letter}_end"

    def _elements(
        self, statement: n.Define, product: Matrices, known: dict[n.Node, str], rest: dict[n.Node, str],
        whole: bool = False,
    ) -> None:  # fmt: skip
        """The equation for the elements of a block; of whole rows where that is said."""
        where = {index: self.to.letter(index) for index in statement.indices}
        row, column = where[product.rows], where[product.columns]
        self.to.line(f"for (int {row} = {row}_at; {row} < {row}_end; {row}++) {{")
        self.to.depth += 1
        first, last = ("0", self.to.size((product.columns.axis,))) if whole else (f"{column}_at", f"{column}_end")
        self.to.line(f"for (int {column} = {first}; {column} < {last}; {column}++) {{")
        self.to.depth += 1
        for node, own in rest.items():
            (self.to.extreme if isinstance(node, n.Extreme) else self.to.sum)(node, own, where)  # type: ignore[arg-type]
        value = self.to.text(statement.value, where, known | rest)[0]
        self.to.line(f"{self.to.element(statement.name, statement.indices, where)} = {value};")
        self.to.close((product.rows, product.columns))


_EACH = range(ROWS)
_LINES = "\n".join
TILE = f"""/* A tile of a product of matrices. Several rows are added up at once, each number in the order of t: the
   results are those of plain loops in every bit. */
#define TILE_ROWS {ROWS}
#define TILE_COLUMNS {COLUMNS}
#if defined(__AVX512F__)
#define TILE_BYTES 64
#elif defined(__AVX__)
#define TILE_BYTES 32
#else
#define TILE_BYTES 16
#endif
#if defined(__GNUC__)
typedef real several __attribute__((vector_size(TILE_BYTES), aligned(sizeof(real)), may_alias));
#endif

/* sum[r * across + c] = start + s[r * row] * panel[c] + s[r * row + step] * panel[width + c] + ... for the first
   `count` rows; with `more`, what the sum has already stands in the place of `start` */
static void tile(
    real *RESTRICT sum, int across, const real *RESTRICT s, int row, int step, const real *RESTRICT panel, int width,
    int terms, int count, int more, real start)
{{
#if defined(__GNUC__)
    const several zero = {{(real)0.0}};
    const real *const s0 = s; /* a row that is not there is one before it */
{_LINES(f"    const real *const s{r} = s{r - 1} + (count > {r} ? row : 0);" for r in _EACH[1:])}
    for (int c = 0; c < TILE_COLUMNS; c += TILE_BYTES / (int)sizeof(real)) {{
{_LINES(f"        several a{r} = start - zero;" for r in _EACH)}
        if (more) {{
{_LINES(f"            a{r} = *(const several *)(sum + {r} * across + c);" for r in _EACH)}
        }}
        for (int t = 0; t < terms; t++) {{
            const several v = *(const several *)(panel + t * width + c);
{_LINES(f"            a{r} += s{r}[t * step] * v;" for r in _EACH)}
        }}
{_LINES(f"        *(several *)(sum + {r} * across + c) = a{r};" for r in _EACH)}
    }}
#else
    for (int r = 0; r < count; r++) {{
        for (int c = 0; c < TILE_COLUMNS; c++) {{
            real own = more ? sum[r * across + c] : start;
            for (int t = 0; t < terms; t++) {{
                own += s[r * row + t * step] * panel[t * width + c];
            }}
            sum[r * across + c] = own;
        }}
    }}
#endif
}}
"""
