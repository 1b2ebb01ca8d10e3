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
from math import prod

from fcsym.kernel import neutral as n
from fcsym.language.expression import Axis, Index

__all__ = ["COLUMNS", "ROWS", "STRIP", "TILE", "Matrices", "matrices_of"]

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


def matrices_of(reduce: n.Reduce, indices: Sequence[Index], sizes: Mapping[Axis, int]) -> list[Matrices]:
    """The ways to see a sum as a product of matrices, the best first; none where it is no product, or a small one."""
    if len(reduce.over) != 1 or not isinstance(reduce.body, n.Product):
        return []
    (over,), factors = reduce.over, reduce.body.factors
    ways = [(factors[:-1], factors[-1]), *([(factors[1:], factors[0])] if len(factors) == 2 else [])]
    found = [made for others, single in ways if (made := _matrices(over, others, single, indices)) is not None]

    def length(index: Index) -> int:
        return sizes.get(index.axis, _OPEN)

    def rank(made: Matrices) -> tuple[int, bool]:
        """Columns that fill a tile; then those that follow each other in memory."""
        return min(length(made.columns), COLUMNS), made.columns == indices[-1]

    return sorted((m for m in found if prod(map(length, (over, m.rows, m.columns))) >= _WORTH), key=rank, reverse=True)


def _matrices(over: Index, others: Sequence[n.Node], single: n.Node, indices: Sequence[Index]) -> Matrices | None:
    if not isinstance(single, n.Load) or over not in single.indices or len(set(single.indices)) < len(single.indices):
        return None
    if not all(map(_is_plain, others)):
        return None
    there = {index for factor in others for load in n.loads(factor) for index in load.indices}
    rows = [index for index in indices if index in single.indices and index not in there]
    columns = [index for index in indices if index in there and index not in single.indices]
    if not rows or not columns or over not in there:
        return None
    return Matrices(over, rows[-1], columns[-1], single, others[0] if len(others) == 1 else n.Product(tuple(others)))


def _is_plain(node: n.Node) -> bool:
    return not isinstance(node, n.Reduce | n.Extreme) and all(map(_is_plain, n.parts(node)))


def stride_of(load: n.Load, index: Index, size: Callable[[tuple[Axis, ...]], str]) -> str:
    """How far it is in memory from one element to the next along an index, as C text."""
    after = tuple(i.axis for i in load.indices[load.indices.index(index) + 1 :])
    return size(after) if after else "1"


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

/* sum[r][c] = start + s[r * row] * panel[0][c] + s[r * row + step] * panel[1][c] + ... for the first `count` rows */
static void tile(
    real *RESTRICT sum, const real *RESTRICT s, int row, int step, const real *RESTRICT panel, int terms, int count,
    real start)
{{
#if defined(__GNUC__)
    const several zero = {{(real)0.0}};
    const real *const s0 = s; /* a row that is not there is one before it */
{_LINES(f"    const real *const s{r} = s{r - 1} + (count > {r} ? row : 0);" for r in _EACH[1:])}
    for (int c = 0; c < TILE_COLUMNS; c += TILE_BYTES / (int)sizeof(real)) {{
{_LINES(f"        several a{r} = start - zero;" for r in _EACH)}
        for (int t = 0; t < terms; t++) {{
            const several v = *(const several *)(panel + t * TILE_COLUMNS + c);
{_LINES(f"            a{r} += s{r}[t * step] * v;" for r in _EACH)}
        }}
{_LINES(f"        *(several *)(sum + {r} * TILE_COLUMNS + c) = a{r};" for r in _EACH)}
    }}
#else
    for (int r = 0; r < count; r++) {{
        for (int c = 0; c < TILE_COLUMNS; c++) {{
            real own = start;
            for (int t = 0; t < terms; t++) {{
                own += s[r * row + t * step] * panel[t * TILE_COLUMNS + c];
            }}
            sum[r * TILE_COLUMNS + c] = own;
        }}
    }}
#endif
}}
"""
