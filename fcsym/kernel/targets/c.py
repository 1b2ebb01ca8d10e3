"""C99: loops over the elements, in the order and with the operations of the neutral form.

    for (i = 0; i < 2; i++) {
        real sum = W1[i * 2] * x[0];
        ...
        s1[i] = sum;
    }

A step works in place: a new value takes the place of the old one as soon as no later statement reads that, and
statements are moved down where this makes it possible. The same text serves single networks (`real`) and, inside a
process, as many networks as a vector register has lanes (`vec`), with selections by mask instead of branches.

Temporaries stand on the stack as long as they are few (`STACK` numbers). A function that needs more has all of its
arrays in memory that its caller gives it, so that no stack grows with a width. Products of matrices are computed by
tiles (`c_products`), or by CBLAS where a file is compiled so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import prod

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.arrays import literal
from fcsym.kernel.targets.c_products import COLUMNS, ROWS, STRIP, TILE, Matrices, matrices_of, stride_of
from fcsym.language.expression import Axis, Index

__all__ = [
    "PRELUDE",
    "SMOOTH",
    "STACK",
    "Amount",
    "Room",
    "core_text",
    "lanes_functions",
    "parameters_of",
    "refuse_large",
    "room_of",
    "scalar_text",
    "smooth_functions",
    "takes_rows",
]

STACK = 256
"""How many numbers the temporaries of a function may have on the stack: 2 KiB in double precision."""

_SUM, _PRODUCT, _ATOM = range(3)
_LARGEST = 2**31 - 1  # an int counts the numbers of an array
_COLUMNS = 8  # from this many elements on, a sum over rows runs along the columns, which the machine can do together


def parameters_of(function: n.Function, module: n.Module) -> list[tuple[str, str]]:
    """(C name, declaration) of every array that the core of a function takes, in order: what is given, then results.

    A step has its state in place, so its results are no parameters of their own.
    """
    in_place = function.name == "step"
    changed = _changed(function) if in_place else {}
    given = {array.name for array in function.given}
    result = []
    for array in function.given:
        own = array.name in changed or (module.stored and in_place and array.name in ("X", "C"))
        result.append((array.name, f"{'' if own else 'const '}real *RESTRICT {array.name}"))
    if not in_place:
        for array in function.results:
            name = f"{array.name}_out" if array.name in given else array.name
            result.append((name, f"real *RESTRICT {name}"))
    return result


def _changed(function: n.Function) -> dict[str, str]:
    """State array => the name of its new value, where there is one."""
    defined = {s.name for s in function.statements if isinstance(s, n.Define)}
    pairs = zip(function.given, function.results, strict=False)
    return {old.name: new.name for old, new in pairs if new.name != old.name and new.name in defined}


# --------------------------------------------------------------------------------------------------- in place


@dataclass(frozen=True, slots=True)
class _Plan:
    """The statements of a step in an order that lets new values take the place of old ones."""

    statements: tuple[n.Statement, ...]
    alias: Mapping[str, str]  # new value => the array whose place it takes
    copies: tuple[tuple[str, str], ...]  # (old, new): new values that need a place of their own, copied at the end


def _plan(function: n.Function) -> _Plan:
    """Move each new value below the last statement that reads the old one, where nothing in between reads the new."""
    statements = list(function.statements)
    alias: dict[str, str] = {}
    copies = []
    for old, new in _changed(function).items():
        at = next(k for k, s in enumerate(statements) if isinstance(s, n.Define) and s.name == new)
        define = statements[at]
        assert isinstance(define, n.Define)
        own = all(load.indices == define.indices for load in n.loads(define) if load.name == old)
        readers = [k for k, s in enumerate(statements) if k != at and any(load.name == old for load in n.loads(s))]
        users = [k for k, s in enumerate(statements) if any(load.name == new for load in n.loads(s))]
        last = max([at, *readers])
        inputs = {load.name for load in n.loads(define)} & set(alias.values())
        # what it reads must still be there: an array whose place has been taken in between is not
        moved = any(isinstance(s, n.Define) and alias.get(s.name) in inputs for s in statements[at + 1 : last + 1])
        if not own or moved or any(k <= last for k in users):
            copies.append((old, new))
            continue
        statements.insert(last, statements.pop(at))
        alias[new] = old
    return _Plan(tuple(statements), alias, tuple(copies))


# ------------------------------------------------------------------------------------------------------ memory


@dataclass(frozen=True, slots=True)
class Amount:
    """How many numbers: so many, and so many for every row that is stored or sample that is given, and every pair."""

    fixed: int = 0
    per_row: int = 0
    per_pair: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(*map(sum, zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[int, int, int]:
        """For none, one and two axes of open length."""
        return self.fixed, self.per_row, self.per_pair

    def __bool__(self) -> bool:
        return any(self.parts)

    def at(self, rows: int) -> int:
        """The number itself."""
        return self.fixed + (self.per_row + self.per_pair * rows) * rows

    def most(self, other: Amount) -> Amount:
        """Enough for either."""
        return Amount(*map(max, zip(self.parts, other.parts, strict=True)))

    def behind(self, place: str) -> str:
        """place + 12 + 3 * rows, as C text."""
        numbers = (f"{part}{' * rows' * degree}" for degree, part in enumerate(self.parts) if part)
        return " + ".join([place, *numbers])


@dataclass(frozen=True, slots=True)
class Room:
    """What the temporaries of a function take, and how much more the strips of products by CBLAS take."""

    numbers: Amount
    strips: Amount

    @property
    def outside(self) -> bool:
        """Whether the caller gives memory for the arrays, which are too many for a stack."""
        return self.numbers.fixed > STACK or bool(self.numbers.per_pair or self.strips)

    @property
    def stack(self) -> int:
        """How many numbers, besides those of the rows, stand on the stack."""
        return 0 if self.outside else self.numbers.fixed

    @property
    def by_rows(self) -> Amount:
        """What depends on the number of rows."""
        return replace(self.numbers, fixed=0)

    @property
    def given(self) -> Amount:
        """All that a function is given by its caller, or by what calls it in the same file."""
        return self.numbers if self.outside else self.by_rows

    def __bool__(self) -> bool:
        """Whether the function takes work memory."""
        return bool(self.given)


def room_of(function: n.Function, module: n.Module, lanes: bool = False) -> Room:
    """What a function needs besides its arguments."""
    writer = _Writer(module, function, lanes, {})
    shared, strips = writer.shared()
    local = [writer.amount(function.axes[name]) for name in _temporaries(function, module)]
    return Room(sum((*shared.values(), *local), Amount()), strips)


def _temporaries(function: n.Function, module: n.Module) -> list[str]:
    """The arrays that a function makes and nobody else has, in order; not those that take the place of another."""
    given = {c_name for c_name, _ in parameters_of(function, module)}
    alias = _plan(function).alias if function.name == "step" else {}
    defined = [s.name for s in function.statements if isinstance(s, n.Define)]
    return [name for name in defined if name not in given and name not in alias and function.axes[name]]


def takes_rows(function: n.Function) -> bool:
    """Whether a function is told how many inputs are stored."""
    return any(axis.open for axes in function.axes.values() for axis in axes)


def refuse_large(module: n.Module) -> None:
    """CompileError for an array of more numbers than C counts here."""
    for function in module.functions:
        for name, axes in function.axes.items():
            size = prod(module.sizes.get(axis, 1) for axis in axes)
            if size > _LARGEST:
                raise CompileError(
                    f"{name} of {module.network} has {size} numbers, and C counts at most {_LARGEST}: take narrower "
                    'layers, or compile("numpy").'
                )


# --------------------------------------------------------------------------------------------------- printing


@dataclass(slots=True)
class _Writer:
    module: n.Module
    function: n.Function
    lanes: bool
    places: dict[str, str]  # array => C name
    scalars: set[str] = field(default_factory=set)  # which of them are variables and no arrays
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    numbers: count[int] = field(default_factory=lambda: count(1))
    cblas: bool = False  # whether products by CBLAS are printed as well

    @property
    def type(self) -> str:
        return "vec" if self.lanes else "real"

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # ---------------------------------------------------------------------------------------------- statements

    def define(self, statement: n.Define) -> None:
        """Every element of one array."""
        if products := self.products(statement):
            self._define_by_products(statement, products)
            return
        name, indices = statement.name, statement.indices
        sums: dict[n.Node, str] = {}
        columns: dict[n.Reduce, str] = {}
        for reduce in _reduces(statement.value):
            own = f"sum{next(self.numbers)}"
            if isinstance(reduce, n.Reduce) and self._along_columns(reduce, indices):
                columns[reduce] = own
            else:
                sums[reduce] = own
        at = 0
        for reduce, own in columns.items():
            self._sum_along_columns(reduce, own, indices, at)
            at += self.module.sizes[indices[0].axis]
        where = {index: self._letter(index) for index in indices}
        self._open(indices)
        for node, own in sums.items():
            if isinstance(node, n.Extreme):
                self._extreme(node, own, where)
            elif isinstance(node, n.Reduce):
                self._sum(node, own, where)
        known: dict[n.Node, str] = dict(sums)
        known |= {r: f"{own}[{where[indices[-1]]}]" for r, own in columns.items()}
        value = self.text(statement.value, where, known)[0]
        if self.lanes and isinstance(statement.value, n.Const | n.Undefined):
            value = f"all({value})"
        self.line(f"{self.element(name, indices, where)} = {value};")
        self._close(indices)

    def mark(self, statement: n.Mark) -> None:
        """The status says that something is undefined."""
        if not statement.guard:
            return
        where = {index: self._letter(index) for index in statement.indices}
        self._open(statement.indices)
        guard = self.guard(statement.guard, where)
        self.line(f"undefined |= {guard};" if self.lanes else f"status |= {guard} ? UNDEFINED : 0;")
        self._close(statement.indices)

    def copy(self, target: str, source: str, axes: tuple[Axis, ...]) -> None:
        """target = source, element by element."""
        size = self.size(axes)
        if source in self.scalars:
            self.line(f"{target}[0] = {source};")
            return
        self.line(f"for (int i = 0; i < {size}; i++) {{")
        self.line(f"    {target}[i] = {source}[i];")
        self.line("}")

    def size(self, axes: tuple[Axis, ...]) -> str:
        """How many numbers an array has, as C text."""
        known = prod(self.module.sizes[axis] for axis in axes if not axis.open)
        factors = ["rows"] * sum(axis.open for axis in axes) + [str(known)] * (known != 1)
        return " * ".join(factors) or "1"

    def amount(self, axes: tuple[Axis, ...]) -> Amount:
        """How many numbers an array has."""
        known = prod(self.module.sizes[axis] for axis in axes if not axis.open)
        degree = sum(axis.open for axis in axes)
        return Amount(*(known if k == degree else 0 for k in range(3)))

    def _open(self, indices: tuple[Index, ...]) -> None:
        for index in indices:
            letter = self._letter(index)
            self.line(f"for (int {letter} = 0; {letter} < {self.size((index.axis,))}; {letter}++) {{")
            self.depth += 1

    def _close(self, indices: tuple[Index, ...]) -> None:
        for _ in indices:
            self.depth -= 1
            self.line("}")

    def _letter(self, index: Index) -> str:
        return f"{index.letter}_" if index.letter in self.function.axes else index.letter

    # ------------------------------------------------------------------------------------------------- sums

    def _along_columns(self, reduce: n.Reduce, indices: tuple[Index, ...]) -> bool:
        """Whether the free index, and not the summed one, runs along the rows of a matrix."""
        if self.lanes or len(indices) != 1 or len(reduce.over) != 1 or self.size((indices[0].axis,)) == "rows":
            return False
        if self.module.sizes[indices[0].axis] < _COLUMNS:
            return False
        matrices = [load for load in n.loads(reduce.body) if len(load.indices) == 2]
        return any(load.indices == (reduce.over[0], indices[0]) for load in matrices)

    def _columns_at_most(self) -> int:
        """How many numbers all sums along columns of one statement need at once, at most."""
        most = 0
        for s in self.function.statements:
            if isinstance(s, n.Define):
                mine = [r for r in _reduces(s.value) if isinstance(r, n.Reduce) and self._along_columns(r, s.indices)]
                most = max(most, sum(self.module.sizes[s.indices[0].axis] for _ in mine))
        return most

    def shared(self) -> tuple[dict[str, Amount], Amount]:
        """Memory that statements use one after another, by name; and that of the strips of products by CBLAS."""
        tiles, panels, strips = Amount(), {"panel": Amount(), "row_panel": Amount()}, Amount()
        for s in self.function.statements:
            products = self.products(s) if isinstance(s, n.Define) else {}
            own = {name: Amount() for name in panels}
            for product in products.values():
                name, amount = self._panel(product)
                own[name] += amount
            panels = {name: amount.most(own[name]) for name, amount in panels.items()}
            tiles = tiles.most(Amount(len(products) * ROWS * COLUMNS))
            strips = strips.most(sum(map(self._strip, self._by_cblas(products)), Amount()))
        every = {**panels, "tiles": tiles, "sums": Amount(self._columns_at_most())}
        return {name: amount for name, amount in every.items() if amount}, strips

    def _sum_along_columns(self, reduce: n.Reduce, own: str, indices: tuple[Index, ...], at: int) -> None:
        (index,), (over,) = indices, reduce.over
        letter = self._letter(over)
        self.line(f"real *const {own} = sums{f' + {at}' if at else ''};")
        stored = over.axis.open
        where = {index: self._letter(index)}
        self._open(indices)
        first = "(real)0.0" if stored else self.text(reduce.body, {**where, over: "0"}, {})[0]
        self.line(f"{own}[{where[index]}] = {first};")
        self._close(indices)
        start, end = int(not stored), self.size((over.axis,))
        if end == "1":
            return
        self.line(f"for (int {letter} = {start}; {letter} < {end}; {letter}++) {{")
        self.depth += 1
        self._open(indices)
        self.line(f"{own}[{where[index]}] += {self.at(reduce.body, {**where, over: letter}, {}, _PRODUCT)};")
        self._close(indices)
        self.depth -= 1
        self.line("}")

    def _sum(self, reduce: n.Reduce, own: str, where: Mapping[Index, str]) -> None:
        """The sum as a variable, for one element."""
        if len(reduce.over) != 1:
            raise CompileError("A sum over two indices at once has no C form.")
        over = reduce.over[0]
        letter, end = self._letter(over), self.size((over.axis,))
        stored = over.axis.open
        zero = "all((real)0.0)" if self.lanes else "(real)0.0"
        first = zero if stored else self.text(reduce.body, {**where, over: "0"}, {})[0]
        self.line(f"{self.type} {own} = {first};")
        if end == "1":
            return
        self.line(f"for (int {letter} = {int(not stored)}; {letter} < {end}; {letter}++) {{")
        self.line(f"    {own} += {self.at(reduce.body, {**where, over: letter}, {}, _PRODUCT)};")
        self.line("}")

    def _extreme(self, node: n.Extreme, own: str, where: Mapping[Index, str]) -> None:
        """The least or greatest term as a variable, for one element."""
        (over,), (body,) = node.over, node.terms
        letter, end = self._letter(over), self.size((over.axis,))
        self.line(f"{self.type} {own} = {self.text(body, {**where, over: '0'}, {})[0]};")
        if end == "1":
            return
        test = f"next {'<' if node.kind == 'min' else '>'} {own}"
        self.line(f"for (int {letter} = 1; {letter} < {end}; {letter}++) {{")
        self.line(f"    const {self.type} next = {self.text(body, {**where, over: letter}, {})[0]};")
        self.line(f"    {own} = {self._select(f'(mask)({test})' if self.lanes else test, 'next', own)};")
        self.line("}")

    # --------------------------------------------------------------------------------------------- products

    def products(self, statement: n.Define) -> dict[n.Reduce, Matrices]:
        """The sums of a statement that are products of matrices, all with the same rows and columns of a result."""
        found: dict[n.Reduce, Matrices] = {}
        for reduce in _reduces(statement.value) if not self.lanes else ():
            ways = matrices_of(reduce, statement.indices, self.module.sizes) if isinstance(reduce, n.Reduce) else []
            first = next(iter(found.values()), None)
            fits = [w for w in ways if first is None or (w.rows, w.columns) == (first.rows, first.columns)]
            if fits and isinstance(reduce, n.Reduce):
                found[reduce] = fits[0]
        return found

    def _panel(self, product: Matrices) -> tuple[str, Amount]:
        """Which memory the panel of a product has, and how much."""
        terms = self.amount((product.over.axis,))
        name = "row_panel" if product.over.axis.open else "panel"
        return name, Amount(*(COLUMNS * part for part in terms.parts))

    def _strip(self, product: Matrices) -> Amount:
        """The memory of some rows of a product."""
        return Amount(*(STRIP * part for part in self.amount((product.columns.axis,)).parts))

    @staticmethod
    def _by_cblas(products: Mapping[n.Reduce, Matrices]) -> list[Matrices]:
        """The products of a statement if CBLAS can do all of them."""
        return list(products.values()) if all(product.both for product in products.values()) else []

    def _define_by_products(self, statement: n.Define, products: Mapping[n.Reduce, Matrices]) -> None:
        first = next(iter(products.values()))
        rest = [r for r in _reduces(statement.value) if r not in products]
        names: dict[n.Node, str] = {node: f"sum{next(self.numbers)}" for node in (*products, *rest)}
        by_cblas = self.cblas and self._by_cblas(products)
        if by_cblas:
            self.lines.append("#if defined(FCSYM_CBLAS)")
            self._define_by_cblas(statement, products, names)
            self.lines.append("#else")
        outer = [index for index in statement.indices if index not in (first.rows, first.columns)]
        where = {index: self._letter(index) for index in (*statement.indices, *(p.over for p in products.values()))}
        row, column = where[first.rows], where[first.columns]
        self._open(tuple(outer))
        end = self._blocks(first.columns, "TILE_COLUMNS")
        used = {"panel": Amount(), "row_panel": Amount()}
        places = {}
        for product in products.values():
            name, amount = self._panel(product)
            places[product] = used[name].behind(name)
            used[name] += amount
            at = f"({places[product]})" if "+" in places[product] else name
            element = f"{at}[{where[product.over]} * TILE_COLUMNS + {column} - {column}_at]"
            self._open((product.over,))
            self.line(f"for (int {column} = {column}_at; {column} < {end}; {column}++) {{")
            self.line(f"    {element} = {self.text(product.panel, where, {})[0]};")
            self.line("}")
            self.line(f"for (int {column} = {end}; {column} < {column}_at + TILE_COLUMNS; {column}++) {{")
            self.line(f"    {element} = (real)0.0;")
            self.line("}")
            self._close((product.over,))
        last = self._blocks(first.rows, "TILE_ROWS")
        for k, (reduce, product) in enumerate(products.items()):
            start = self.element(product.single.name, product.single.indices,
                                 where | {first.rows: f"{row}_at", product.over: "0"})  # fmt: skip
            strides = [stride_of(product.single, index, self.size) for index in (product.rows, product.over)]
            zero = "(real)0.0" if product.over.axis.open else "-(real)0.0"  # a sum that starts with its first term
            self.line(f"real *const {names[reduce]} = {Amount(k * ROWS * COLUMNS).behind('tiles')};")
            terms = self.size((product.over.axis,))
            self.line(f"tile({names[reduce]}, &{start}, {', '.join(strides)}, {places[product]}, {terms}, "
                      f"{last} - {row}_at, {zero});")  # fmt: skip
        place = f"[({row} - {row}_at) * TILE_COLUMNS + {column} - {column}_at]"
        self._elements(statement, first, {r: names[r] + place for r in products}, {r: names[r] for r in rest})
        self._close((first.rows, first.columns, *outer))
        if by_cblas:
            self.lines.append("#endif")

    def _define_by_cblas(
        self, statement: n.Define, products: Mapping[n.Reduce, Matrices], names: Mapping[n.Node, str]
    ) -> None:
        """The same with strips of rows in place of tiles."""
        first = next(iter(products.values()))
        where = {index: self._letter(index) for index in statement.indices}
        row, width = where[first.rows], self.size((first.columns.axis,))
        last = self._blocks(first.rows, str(STRIP))
        used = Amount()
        for reduce, product in products.items():
            assert product.both is not None
            left, right = product.both
            zeros = {first.rows: f"{row}_at", first.columns: "0", product.over: "0"}
            a, b = (f"&{self.element(load.name, load.indices, zeros)}" for load in (left, right))
            turned = [load.indices != order for load, order in
                      ((left, (product.rows, product.over)), (right, (product.over, product.columns)))]  # fmt: skip
            how = ", ".join("CblasTrans" if t else "CblasNoTrans" for t in turned)
            lengths = [self.size((load.indices[1].axis,)) for load in (left, right)]
            self.line(f"real *const {names[reduce]} = {used.behind('strip')};")
            used += self._strip(product)
            size = f"{last} - {row}_at, {width}, {self.size((product.over.axis,))}"
            given = f"(real)1.0, {a}, {lengths[0]}, {b}, {lengths[1]}, (real)0.0"
            self.line(f"GEMM(CblasRowMajor, {how}, {size}, {given}, {names[reduce]}, {width});")
        rest: dict[n.Node, str] = {r: names[r] for r in _reduces(statement.value) if r not in products}
        place = f"[({row} - {row}_at) * {width} + {where[first.columns]}]"
        self._elements(statement, first, {r: names[r] + place for r in products}, rest, whole=True)
        self._close((first.rows,))

    def _blocks(self, index: Index, length: str) -> str:
        """A loop over blocks of an axis; the name of the end of a block."""
        letter, size = self._letter(index), self.size((index.axis,))
        self.line(f"for (int {letter}_at = 0; {letter}_at < {size}; {letter}_at += {length}) {{")
        self.depth += 1
        block = f"{letter}_at + {length}"
        self.line(f"const int {letter}_end = {block} < {size} ? {block} : {size};")
        return f"{letter}_end"

    def _elements(
        self, statement: n.Define, product: Matrices, known: dict[n.Node, str], rest: dict[n.Node, str],
        whole: bool = False,
    ) -> None:  # fmt: skip
        """The equation for the elements of a block; of whole rows where that is said."""
        where = {index: self._letter(index) for index in statement.indices}
        row, column = where[product.rows], where[product.columns]
        self.line(f"for (int {row} = {row}_at; {row} < {row}_end; {row}++) {{")
        self.depth += 1
        first, last = ("0", self.size((product.columns.axis,))) if whole else (f"{column}_at", f"{column}_end")
        self.line(f"for (int {column} = {first}; {column} < {last}; {column}++) {{")
        self.depth += 1
        for node, own in rest.items():
            (self._extreme if isinstance(node, n.Extreme) else self._sum)(node, own, where)  # type: ignore[arg-type]
        value = self.text(statement.value, where, known | rest)[0]
        self.line(f"{self.element(statement.name, statement.indices, where)} = {value};")
        self._close((product.rows, product.columns))

    # ------------------------------------------------------------------------------------------ expressions

    def element(self, name: str, indices: tuple[Index, ...], where: Mapping[Index, str]) -> str:
        """W1[i * 2 + j]."""
        place = self.places.get(name, name)
        if name in self.scalars:
            return place
        text = "0"
        for index in indices:
            at, size = where[index], self.size((index.axis,))
            if text == "0" or (size == "1" and not text):
                text = at
            else:
                text = (f"({text})" if "+" in text else text) + f" * {size}" + (f" + {at}" if at != "0" else "")
        return f"{place}[{text}]"

    def text(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str]) -> tuple[str, int]:
        """(text, how tightly its outermost operator binds)."""
        match node:
            case n.Const(value):
                return f"(real){literal(value)}", _ATOM
            case n.Undefined():
                return "NOT_A_NUMBER", _ATOM
            case n.Load(name, indices):
                return self.element(name, indices, where), _ATOM
            case n.Sum(terms):
                text = ""
                for sign, term in terms:
                    own = self.at(term, where, known, _SUM if sign > 0 and not text else _PRODUCT)
                    text += own if sign > 0 and not text else f"-{own}" if not text else f" {'-+'[sign > 0]} {own}"
                return text, _SUM
            case n.Product(factors):
                every = [self.at(f, where, known, _ATOM if k else _PRODUCT) for k, f in enumerate(factors)]
                return " * ".join(every), _PRODUCT
            case n.Power(base, exponent):
                return " * ".join([self.at(base, where, known, _ATOM)] * exponent), _PRODUCT
            case n.Quotient(above, below):
                return f"{self.at(above, where, known, _PRODUCT)} / {self.at(below, where, known, _ATOM)}", _PRODUCT
            case n.Reduce():
                return known[node], _ATOM
            case n.Extreme():
                return known[node], _ATOM
            case n.Select(test, then, otherwise):
                return self._select(self.test(test, where), self.whole(then, where, known),
                                    self.whole(otherwise, where, known)), _ATOM  # fmt: skip
            case n.Guarded(above, below, guard):
                mask = self.guard(guard, where)
                if self.lanes:
                    a, b = self.whole(above, where, known), self.whole(below, where, known)
                    zero, one = "all((real)0.0)", "all((real)1.0)"
                    return f"{self._select(mask, a, zero)} / {self._select(mask, b, one)}", _PRODUCT
                a, b = self.at(above, where, known, _PRODUCT), self.at(below, where, known, _ATOM)
                return f"({mask} ? {a} / {b} : (real)0.0)", _ATOM
            case n.Call(function, argument):
                argument_text = self.text(argument, where, known)[0]
                return f"{function}_{'lanes' if self.lanes else 'of'}({argument_text})", _ATOM
            case _:
                raise CompileError(f"{type(node).__name__} has no C form.")

    def at(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str], level: int) -> str:
        """The text of a node, in brackets where its operator binds too loosely."""
        text, own = self.text(node, where, known)
        return text if own >= level else f"({text})"

    def whole(self, node: n.Node, where: Mapping[Index, str], known: Mapping[n.Node, str]) -> str:
        """The text of a node as an argument: a literal becomes as wide as the lanes."""
        text = self.text(node, where, known)[0]
        return f"all({text})" if self.lanes and isinstance(node, n.Const | n.Undefined) else text

    def _select(self, test: str, then: str, otherwise: str) -> str:
        return f"pick({test}, {then}, {otherwise})" if self.lanes else f"({test} ? {then} : {otherwise})"

    def test(self, test: n.Test, where: Mapping[Index, str]) -> str:
        left = self.at(test.left, where, {}, _ATOM)
        bound = f"(real){literal(test.bound)}"
        if self.lanes:
            return f"(mask)({left} {test.relation} all({bound}))"
        return f"{left} {test.relation} {bound}"

    def guard(self, guard: n.Guard, where: Mapping[Index, str]) -> str:
        both, either = (" & ", " | ") if self.lanes else (" && ", " || ")
        rows = []
        for row in guard:
            tests = [self.test(test, where) for test in row]
            rows.append(tests[0] if len(tests) == 1 else both.join(f"({test})" for test in tests))
        return f"({rows[0] if len(rows) == 1 else either.join(f'({row})' for row in rows)})"


def _reduces(node: n.Node) -> list[n.Reduce | n.Extreme]:
    """The sums and extremes in an expression, the outermost ones, each once."""
    if isinstance(node, n.Reduce | n.Extreme):
        return [node]
    return list(dict.fromkeys(reduce for part in n.parts(node) for reduce in _reduces(part)))


def core_text(function: n.Function, module: n.Module, name: str, lanes: bool = False, cblas: bool = False) -> str:
    """static int name(arrays): the function on one network, or on as many as there are lanes."""
    writer = _Writer(module, function, lanes, {}, cblas=cblas)
    step = function.name == "step"
    plan = _plan(function) if step else _Plan(function.statements, {}, ())
    parameters = parameters_of(function, module)
    taken = {c_name for c_name, _ in parameters}
    writer.places |= plan.alias
    defined = {s.name for s in function.statements if isinstance(s, n.Define)}
    arguments = [declaration.replace("real", writer.type) for _, declaration in parameters]
    room = room_of(function, module, lanes)
    if takes_rows(function):
        arguments.append("int rows")
    if room:
        arguments.append(f"{writer.type} *RESTRICT work")
    if lanes and function.marks:
        arguments.append("mask *RESTRICT undefined_lanes")
    shared, strips = writer.shared()
    sizes = shared | {local: writer.amount(function.axes[local]) for local in _temporaries(function, module)}
    before = [Amount(room.given.fixed), Amount(room.given.fixed, room.given.per_row)]
    used = Amount()
    for local, amount in sizes.items():
        if amount.fixed and not room.outside:
            writer.line(f"{writer.type} {local}[{amount.fixed}];")
            continue
        degree = 0 if amount.fixed else 1 if amount.per_row else 2
        own = Amount(*(part if k == degree else 0 for k, part in enumerate(used.parts)))
        place = own + before[degree - 1] if degree else own
        writer.line(f"{writer.type} *RESTRICT const {local} = {place.behind('work')};")
        used += amount
    if strips and cblas:
        writer.lines.append("#if defined(FCSYM_CBLAS)")
        writer.line(f"{writer.type} *RESTRICT const strip = {room.given.behind('work')};")
        for local in shared:
            writer.line(f"(void){local};")
        writer.lines.append("#endif")
    for local in (s.name for s in function.statements if isinstance(s, n.Define)):
        if local not in taken and local not in plan.alias and not function.axes[local]:
            writer.line(f"{writer.type} {local};")
            writer.scalars.add(local)
    if function.marks:
        writer.line("mask undefined = (mask){0};" if lanes else "int status = 0;")
    for constant, values in module.constants.items():
        if any(load.name == constant for s in function.statements for load in n.loads(s)):
            numbers = ", ".join(f"(real){literal(value)}" for value in n.flat(values))
            writer.line(f"static const real {constant}[] = {{{numbers}}};")  # a wide one would not fit on the stack
    for statement in plan.statements:
        if isinstance(statement, n.Mark):
            writer.mark(statement)
        else:
            writer.define(statement)
    for old, new in plan.copies:
        writer.copy(old, new, function.axes[new])
    if not step:
        given = {array.name for array in function.given}
        for array in function.results:
            if array.name in given:
                writer.copy(f"{array.name}_out", array.name, array.axes)
            elif array.name not in defined:  # nothing is stored yet
                writer.line(f"for (int i = 0; i < {writer.size(array.axes)}; i++) {{")
                writer.line(f"    {array.name}[i] = (real)0.0;")
                writer.line("}")
    read = {load.name for s in function.statements for load in n.loads(s)}
    passed = {array.name for array in function.results} if not step else set()
    for c_name, _ in parameters:
        if c_name not in read and c_name not in passed and c_name not in defined and not c_name.endswith("_out"):
            if step and c_name in _changed(function):
                continue
            writer.line(f"(void){c_name};")
    if lanes and function.marks:
        writer.line("*undefined_lanes |= undefined;")
    writer.line("return status;" if function.marks and not lanes else "return 0;")
    comment = "\n".join(f" * {line}" for equation in function.equations for line in equation.splitlines())
    head = f"/* {function.title}\n{f' *{chr(10)}{comment}{chr(10)}' if comment else ''} */\n"
    if lanes:
        head = ""
    signature = f"static int {name}(\n    {', '.join(arguments)})"
    return f"{head}{_wrapped(signature)}\n{{\n" + "\n".join(writer.lines) + "\n}\n"


def _wrapped(signature: str) -> str:
    """A parameter list on lines of at most 120 columns."""
    head, rest = signature.split("\n", 1)
    lines, line = [], "   "
    words = rest.strip().split(", ")
    for k, word in enumerate(words):
        piece = word + (", " if k + 1 < len(words) else "")
        if len(line) + len(piece) > 118:
            lines.append(line.rstrip())
            line = "   "
        line += " " * (line == "   ") + piece
    return "\n".join([head, *lines, line])


SMOOTH = {
    "tanh": """static real tanh_of(real s)
{
    return TANH(s);
}
""",
    "sigmoid": """/* 1 / (1 + exp(-s)), without overflow on either side */
static real sigmoid_of(real s)
{
    const real small = EXP(s > (real)0.0 ? -s : s);
    return (s > (real)0.0 ? (real)1.0 : small) / ((real)1.0 + small);
}
""",
    "softplus": """/* log(1 + exp(s)), without overflow */
static real softplus_of(real s)
{
    return (s > (real)0.0 ? s : (real)0.0) + LOG1P(EXP(s > (real)0.0 ? -s : s));
}
""",
    "normal_cdf": """/* of the normal distribution, as accurate below 0 as above */
static real normal_cdf_of(real s)
{
    return (real)0.5 * ERFC(-s * (real)0.70710678118654752440);
}
""",
    "normal_pdf": """static real normal_pdf_of(real s)
{
    return EXP((real)-0.5 * s * s) * (real)0.39894228040143267794;
}
""",
    **{
        name: f"static real {name}_of(real s)\n{{\n    return {name.upper()}(s);\n}}\n"
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "erf", "atan", "sin", "cos")
    },
    "Abs": "static real Abs_of(real s)\n{\n    return FABS(s);\n}\n",
}
"""The functions of `neutral.CALLS`; what is called in capitals is the function of <math.h> in the precision at hand."""


def smooth_functions(module: n.Module) -> list[str]:
    """The smooth functions that a module calls."""

    def within(node: n.Node) -> set[str]:
        own = {node.function} if isinstance(node, n.Call) else set()
        return own.union(*(within(part) for part in n.parts(node)))

    found: set[str] = set()
    for function in module.functions:
        for statement in function.statements:
            if isinstance(statement, n.Define):
                found |= within(statement.value)
    return [name for name in SMOOTH if name in found]


REMEMBER = """/* a row for x among the stored inputs: the one that is x, or a free one (of zeros), made 0 */
static int remember(real *RESTRICT X, real *RESTRICT C, const real *RESTRICT x, int rows)
{{
    int free_row = -1, any = 0;
    for (int i = 0; i < {inputs}; i++) {{
        any |= x[i] != (real)0.0;
    }}
    for (int m = 0; m < rows; m++) {{
        int used = 0, other = 0;
        for (int i = 0; i < {inputs}; i++) {{
            other |= X[m * {inputs} + i] != x[i];
            used |= X[m * {inputs} + i] != (real)0.0;
        }}
        if (!other) {{
            return 0;
        }}
        if (!used && free_row < 0) {{
            free_row = m;
        }}
    }}
    if (!any) {{
        return 0;
    }}
    if (free_row < 0) {{
        return FULL;
    }}
    for (int i = 0; i < {inputs}; i++) {{
        X[free_row * {inputs} + i] = x[i];
    }}
    for (int j = 0; j < {units}; j++) {{
        C[free_row * {units} + j] = (real)0.0;
    }}
    return 0;
}}
"""


def remember_text(module: n.Module) -> str:
    """The C function that finds or makes a row for an input."""
    units = next(array for array in module.state if array.name == "C").axes[-1]
    inputs = next(array for array in module.state if array.name == "X").axes[-1]
    return REMEMBER.format(inputs=module.sizes[inputs], units=module.sizes[units])


def scalar_text(module: n.Module, cblas: bool = False) -> str:
    """The four functions on one network; with `cblas`, as text that is for CBLAS where it is compiled so."""
    text = [remember_text(module)] if module.stored else []
    cores = "\n".join([*text, *(core_text(f, module, f"{f.name}_core", cblas=cblas) for f in module.functions)])
    tiles, calls = cores.count(" tile("), cores.count(" GEMM(")
    if not tiles:
        return cores
    return f"#if !defined(FCSYM_CBLAS)\n{TILE}#endif\n\n{cores}" if tiles == calls else f"{TILE}\n{cores}"


def lanes_functions(module: n.Module) -> list[str]:
    """The smooth functions on as many numbers as there are lanes."""
    return [
        f"static vec {name}_lanes(vec s)\n{{\n    vec result;\n    for (int l = 0; l < LANES; l++) {{\n"
        f"        result[l] = {name}_of(s[l]);\n    }}\n    return result;\n}}\n"
        for name in smooth_functions(module)
    ]


PRELUDE = """#if !defined(__cplusplus)
#define RESTRICT restrict
#elif defined(__GNUC__) || defined(_MSC_VER)
#define RESTRICT __restrict
#else
#define RESTRICT
#endif

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "-ffast-math changes what the operations mean: compile without it"
#endif
#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "-funsafe-math-optimizations changes what the operations mean: compile without it"
#endif

/* a * b + c is two operations, each rounded; nothing is put in another order */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#if __clang_major__ >= 14
#pragma clang fp contract(off) reassociate(off)
#endif
#elif !defined(__GNUC__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off", "no-associative-math", "no-reciprocal-math", "no-unsafe-math-optimizations")
#endif
"""
